//! How a file is opened: new, ours, or refused.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::disk::Link;
use super::fault::{Fault, open_error};
use super::{SqliteOptions, query};
use crate::datastore::StoreError;

/// "ipip" in ASCII.
const APPLICATION_ID: i32 = 0x6970_6970;
const SCHEMA_VERSION: i32 = 1;

/// In octets: https://www.sqlite.org/fileformat.html#page_size
const SMALLEST_PAGE: u64 = 512;

/// `record` is what a store holds. It has rowids, since values are long: a list of keys reads the
/// index alone, and a changed value changes one page. `change` tells which commit changed which key;
/// each commit has at least one row, with an empty key if it changed none, and so has the beginning.
/// The last commit's rows stay: their revision is the store's.
const SCHEMA: &str = "
    CREATE TABLE record (
        key TEXT NOT NULL UNIQUE,
        value BLOB NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE change (
        revision INTEGER NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (revision, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO change (revision, key) VALUES (0, '');
";

/// The file that a handle was opened on, and by whom.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// The path as error messages name it.
    pub(super) text: String,
    process: u32,
    place: Place,
}

/// Device and inode: another file under the same name has another one.
type Place = (u64, u64);

impl File {
    /// # Errors
    /// [`StoreError::Forked`] in a child of the process that opened it.
    pub(super) fn check_process(&self) -> Result<(), StoreError> {
        let used_by = std::process::id();
        if used_by == self.process {
            return Ok(());
        }
        Err(StoreError::Forked {
            path: self.text.clone(),
            opened_by: self.process,
            used_by,
        })
    }

    /// # Errors
    /// [`StoreError::Gone`] if the name leads to another file, or to none.
    pub(super) fn check_place(&self) -> Result<(), StoreError> {
        if place(&self.path).is_ok_and(|place| place == self.place) {
            return Ok(());
        }
        let path = self.text.clone();
        Err(StoreError::Gone { path })
    }
}

fn place(path: &Path) -> std::io::Result<Place> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The path from the root, so that a change of directory does not move it, and so that SQLite takes no
/// part of it for a name with a meaning, such as `:memory:`.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|error| open_error(path, &error))
}

/// The path with more text behind its last name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Others had the file for the whole deadline.
pub(super) fn late(path: &Path, started: Instant) -> StoreError {
    StoreError::Deadline {
        path: path.display().to_string(),
        waited: started.elapsed(),
    }
}

/// The first connection of a handle: makes the file if it is new, and refuses one that is not ours.
pub(super) fn first(
    path: PathBuf,
    options: &SqliteOptions,
    started: Instant,
) -> Result<(File, Link), StoreError> {
    let text = path.display().to_string();
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, options.create);
    let mark = Mark::check(&path)?;
    let opened = connection(&path, flags).and_then(|mut connection| {
        let left = options.deadline.saturating_sub(started.elapsed());
        connection.busy_timeout(left)?;
        adopt(&mut connection, &text)?;
        query::check(&connection)?;
        Ok(connection)
    });
    let connection = opened.map_err(|fault| fault.of(&text, started.elapsed()))?;
    mark.set()?;
    let link = Link::new(connection, &path).map_err(|error| open_error(&path, &error))?;
    let file = File {
        place: place(&path).map_err(|error| open_error(&path, &error))?,
        process: std::process::id(),
        path,
        text,
    };
    Ok((file, link))
}

/// A few octets in the file that orders the writers say that there was a store: an empty file is a new
/// one only without them.
struct Mark {
    lock: PathBuf,
    is_set: bool,
}

impl Mark {
    fn check(path: &Path) -> Result<Self, StoreError> {
        let lock = beside(path, "-lock");
        let is_set = fs::metadata(&lock).is_ok_and(|lock| lock.len() > 0);
        let mark = Self { lock, is_set };
        match fs::metadata(path) {
            Ok(file) if file.len() == 0 && is_set => {
                let text = "it is empty, and was not before".to_owned();
                let path = path.display().to_string();
                Err(StoreError::Damaged { path, text })
            }
            // SQLite would take the remains of a page for a new file.
            Ok(file) if (1..SMALLEST_PAGE).contains(&file.len()) => {
                let path = path.display().to_string();
                Err(StoreError::NotDatabase { path })
            }
            // Deleted on purpose: whoever fails to make it again may try once more.
            Err(_) if is_set => mark.write(""),
            _ => Ok(mark),
        }
    }

    fn set(self) -> Result<(), StoreError> {
        if !self.is_set {
            self.write("ipip\n")?;
        }
        Ok(())
    }

    fn write(self, text: &str) -> Result<Self, StoreError> {
        fs::write(&self.lock, text).map_err(|error| open_error(&self.lock, &error))?;
        let is_set = !text.is_empty();
        Ok(Self { is_set, ..self })
    }
}

/// One more connection to a file that was adopted.
pub(super) fn again(file: &File, options: &SqliteOptions) -> Result<Link, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    file.check_place()?;
    let opened = connection(&file.path, flags).and_then(|connection| {
        connection.busy_timeout(options.deadline)?;
        query::check(&connection)?;
        Ok(connection)
    });
    let connection = opened.map_err(|fault| fault.of(&file.text, options.deadline))?;
    let link = Link::new(connection, &file.path).map_err(|error| open_error(&file.path, &error))?;
    file.check_place()?;
    Ok(link)
}

fn connection(path: &Path, flags: OpenFlags) -> Result<Connection, Fault> {
    // Without SQLite's own mutex: only one thread has a connection at a time.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // SQLite takes the log to the disk before what it copies from it; each commit is ours to do, in `disk`.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes the tables of a new file; refuses another program's, and one of a later version. Nothing is
/// written to a file that is refused.
fn adopt(connection: &mut Connection, path: &str) -> Result<(), Fault> {
    let found = Header::read(connection)?;
    if !found.is_new() {
        found.check(path)?;
    }
    if connection.is_readonly("main")? {
        let (path, text) = (path.to_owned(), "the file is read-only".to_owned());
        return Err(StoreError::ReadOnly { path, text }.into());
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let text = format!("its journal cannot be a write-ahead log, it is {mode:?}");
        let path = path.to_owned();
        return Err(StoreError::Failed { path, text }.into());
    }
    if found.is_new() {
        return create(connection, path);
    }
    Ok(())
}

fn create(connection: &mut Connection, path: &str) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = Header::read(&transaction)?;
    if !found.is_new() {
        // Somebody who does not take turns was faster.
        return Ok(found.check(path)?);
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

/// What a file says about itself.
struct Header {
    application_id: i32,
    version: i32,
    tables: i64,
}

impl Header {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        let count = "SELECT count(*) FROM sqlite_schema";
        Ok(Self {
            application_id: number("application_id")?,
            version: number("user_version")?,
            tables: connection.query_row(count, [], |row| row.get(0))?,
        })
    }

    fn is_new(&self) -> bool {
        (self.application_id, self.version, self.tables) == (0, 0, 0)
    }

    fn check(&self, path: &str) -> Result<(), StoreError> {
        let path = path.to_owned();
        if self.application_id != APPLICATION_ID {
            return Err(StoreError::Foreign {
                path,
                found: self.application_id,
                ours: APPLICATION_ID,
            });
        }
        match self.version {
            SCHEMA_VERSION => Ok(()),
            found if found > SCHEMA_VERSION => Err(StoreError::Newer {
                path,
                found,
                known: SCHEMA_VERSION,
            }),
            found => Err(StoreError::Damaged {
                path,
                text: format!("its schema version is {found}"),
            }),
        }
    }
}
