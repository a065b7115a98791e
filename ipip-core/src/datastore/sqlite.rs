//! The store in a file, shared by the processes of one machine.
//!
//! | file | holds |
//! |---|---|
//! | `connect` | how a file is opened: new, ours, or refused |
//! | `query` | the statements: what a read and a commit do in one transaction |
//! | `turn` | who writes next, among threads and processes |
//! | `disk` | when a commit is on the disk |
//! | `fault` | SQLite's errors as ours |

mod connect;
mod disk;
mod fault;
mod query;
mod turn;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use self::connect::File;
use self::disk::Link;
use self::fault::Fault;
use self::turn::{Turn, Turns};
use super::bell::Bell;
use super::store::{check_key, check_prefix};
use super::{
    Changes, Commit, DEFAULT_HISTORY, Listing, Outcome, Record, Revision, Store, StoreError,
};

/// What a commit survives once it was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Loss of power: `fdatasync` has returned for the log that holds the commit, and for all commits
    /// before it, before the call does. A disk that loses what it said it has is beyond this.
    ///
    /// Others may read a commit a moment before it is on the disk, or one whose caller ended before it
    /// was; what they commit then is on the disk only with it.
    ///
    /// If the disk reports an error instead, the call ends with [`StoreError::Unknown`] and the handle is
    /// of no use any more: nobody can tell which part of the log the disk has, and asking it again would
    /// not tell either. Reading and committing end with [`StoreError::Failed`] from then on. Each other
    /// handle that had the file open learns of it at its own next commit; open the file anew once
    /// the disk is well.
    #[default]
    Power,
    /// The end of the process, however it ends; a loss of power may take the last commits, and leaves
    /// those before them. Several times faster.
    Process,
}

/// How a [`Sqlite`] store is opened.
///
/// ```
/// use ipip_core::datastore::SqliteOptions;
/// use std::time::Duration;
/// let options = SqliteOptions { deadline: Duration::from_secs(2), ..SqliteOptions::default() };
/// assert!(options.create);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The longest time that a call waits for others who hold the file; 10 s by default. What the disk
    /// takes for the call's own work is not counted.
    pub deadline: Duration,
    /// What a commit survives.
    pub durability: Durability,
    /// Whether a file that is not there is made, with its tables; true by default.
    pub create: bool,
    /// How many commits the store remembers for watchers at least; 0 counts as 1. The handle that
    /// commits decides.
    pub history: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            durability: Durability::default(),
            create: true,
            history: DEFAULT_HISTORY,
        }
    }
}

/// A store in a file on a local file system, for all processes of one machine; built with the feature
/// `sqlite`. Share a handle between threads in an [`Arc`](std::sync::Arc).
///
/// The file is an SQLite database in WAL mode, with `-wal`, `-shm`, `-lock` and `-next` beside it. Writers take
/// turns, so none of many processes starves. A process may end at any instant, also by a signal: the
/// file holds every acknowledged commit as a whole, and of the one in flight all or nothing.
///
/// A child made by `fork` opens the file itself; a handle of its parent's says so. Do not open the file
/// with another copy of SQLite in the same process: closing that one would drop the locks of this one.
///
/// ```
/// use ipip_core::datastore::{Commit, Outcome, Revision, Sqlite, SqliteOptions, Store};
/// # let path = std::env::temp_dir().join(format!("ipip-doc-{}", std::process::id()));
/// let store = Sqlite::open(&path, SqliteOptions::default())?;
/// let mut commit = Commit::new();
/// commit.expect("/a", None).put("/a", b"1".to_vec());
/// assert_eq!(store.commit(commit)?, Outcome::Committed(Revision(1)));
///
/// let another = Sqlite::open(&path, SqliteOptions::default())?;
/// assert_eq!(*another.get("/a")?.unwrap().value, *b"1");
/// # for end in ["", "-wal", "-shm", "-lock", "-next"] {
/// #     let _ = std::fs::remove_file(format!("{}{end}", path.display()));
/// # }
/// # Ok::<(), ipip_core::datastore::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Sqlite {
    file: File,
    options: SqliteOptions,
    turns: Turns,
    /// Connections that nobody uses now; the one used last is taken first, since it knows most pages.
    idle: Mutex<Vec<Link>>,
    changed: Bell,
    /// Whether the disk failed to confirm a commit.
    is_unconfirmed: AtomicBool,
}

/// More idle connections than this are closed.
const MOST_IDLE: usize = 8;
/// How often a watch looks whether another process committed, at first and after a while without any;
/// a look costs about 2 µs. Commits through the same handle wake it at once.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(16);

impl Sqlite {
    /// Opens the file `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError::NotDatabase`], [`StoreError::Foreign`], [`StoreError::Newer`] and
    /// [`StoreError::Damaged`] by what the file holds, which stays as it is; [`StoreError::Open`],
    /// [`StoreError::ReadOnly`], [`StoreError::Full`] by where it lies; [`StoreError::Deadline`].
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let started = Instant::now();
        let path = connect::absolute(path.as_ref())?;
        let turns = Turns::open(&path, options.create)?;
        let turn = turns.take(options.deadline);
        let turn = turn.ok_or_else(|| connect::late(&path, started))?;
        let (file, link) = connect::first(path, &options, started)?;
        drop(turn);
        Ok(Self {
            file,
            options,
            turns,
            idle: Mutex::new(vec![link]),
            changed: Bell::default(),
            is_unconfirmed: AtomicBool::new(false),
        })
    }

    /// Reads every page of the file and checks that they fit together; takes long on a large file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what SQLite found, or if the file cannot be read.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.with(Instant::now(), |link| query::verify(&link.connection))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        // Nothing can panic while the list is changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` on a connection of its own, in what is left of the deadline.
    fn with<T>(
        &self,
        started: Instant,
        work: impl FnOnce(&Link) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let link = match idle {
            Some(link) => link,
            None => connect::again(&self.file, &self.options)?,
        };
        let left = self.options.deadline.saturating_sub(started.elapsed());
        let result = link.connection.busy_timeout(left).map_err(Fault::from);
        let result = result.and_then(|()| work(&link));
        let mut idle = self.idle();
        // One that could not end its transaction ends it by being closed.
        if link.connection.is_autocommit() && idle.len() < MOST_IDLE {
            idle.push(link);
        }
        drop(idle);
        result.map_err(|fault| fault.of(&self.file.text, started.elapsed()))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.check()?;
        self.with(Instant::now(), |link| work(&link.connection))
    }

    /// # Errors
    /// [`StoreError::Forked`]; [`StoreError::Failed`] if what is there may not be on the disk.
    fn check(&self) -> Result<(), StoreError> {
        self.file.check_process()?;
        if !self.is_unconfirmed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError::Failed {
            path: self.file.text.clone(),
            text: "the disk did not confirm an earlier commit, open it anew".to_owned(),
        })
    }

    /// Writes, and waits for the disk once the next writer may go on.
    fn write(&self, link: &Link, commit: &Commit, turn: Turn<'_>) -> Result<Outcome, Fault> {
        let outcome = query::commit(&link.connection, commit, self.options.history)?;
        if outcome == Outcome::Conflict {
            turn.keep();
            return Ok(outcome);
        }
        drop(turn);
        if self.options.durability == Durability::Power {
            self.confirm(link)?;
        }
        Ok(outcome)
    }

    /// # Errors
    /// [`StoreError::Unknown`], as it was written; the handle is given up.
    fn confirm(&self, link: &Link) -> Result<(), StoreError> {
        let unknown = |text: String| {
            self.is_unconfirmed.store(true, Ordering::Release);
            let path = self.file.text.clone();
            StoreError::Unknown { path, text }
        };
        link.sync().map_err(|error| unknown(error.to_string()))?;
        // What another thread's commit left out is before ours in the log.
        self.check().map_err(|error| unknown(error.to_string()))
    }
}

impl Store for Sqlite {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        check_key(key)?;
        self.read(|connection| query::get(connection, key))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        check_prefix(prefix)?;
        self.read(|connection| query::list(connection, prefix))
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        check_prefix(prefix)?;
        self.read(|connection| query::list_keys(connection, prefix))
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check()?;
        self.check()?;
        let started = Instant::now();
        let turn = self.turns.take(self.options.deadline);
        let turn = turn.ok_or_else(|| connect::late(&self.file.path, started))?;
        self.file.check_place()?;
        let outcome = self.with(started, |link| self.write(link, &commit, turn))?;
        if outcome != Outcome::Conflict {
            self.changed.ring();
        }
        Ok(outcome)
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        check_prefix(prefix)?;
        let started = Instant::now();
        let (mut after, mut pause) = (after, FIRST_LOOK);
        loop {
            let left = wait.saturating_sub(started.elapsed());
            let look = || {
                let found = self.read(|connection| query::changes(connection, prefix, after))?;
                // What was looked through is not looked through again.
                after = found.revision;
                Ok((left.is_zero() || !found.changes.is_empty()).then_some(found))
            };
            if let Some(found) = self.changed.look_or_wait(look, left.min(pause))? {
                return Ok(found);
            }
            self.file.check_place()?;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    fn in_turn(&self, work: &mut dyn FnMut()) {
        let _keeper = self.turns.keeper();
        work();
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl Drop for Sqlite {
    /// In a child made by `fork` the connections are forgotten: to close them would end the parent's.
    fn drop(&mut self) {
        if self.file.check_process().is_err() {
            let idle = self.idle.get_mut();
            let idle = std::mem::take(idle.unwrap_or_else(PoisonError::into_inner));
            std::mem::forget(idle);
        }
    }
}
