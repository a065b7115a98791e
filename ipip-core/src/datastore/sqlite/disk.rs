//! The write-ahead log on its way to the disk.
//!
//! SQLite writes a commit to the log and does not wait for the disk (`synchronous=NORMAL`); the handle does
//! so itself, once the next writer may go on. What that rests on:
//!
//! - The log is one file, so whoever takes his commit to the disk takes all before it along.
//! - SQLite empties the log only after all of it was copied to the database and the disk has that. A
//!   commit whose log another process empties before we come to sync it is on the disk already.
//! - SQLite syncs a log's header when it begins one, and with it the directory: there the names of a new
//!   database and of its log are made to last. <https://www.sqlite.org/atomiccommit.html#_nuances>
//! - As long as a connection is open nobody who closes his deletes the log, so the file that was opened
//!   beside it stays the one that it writes.
//! - Linux tells of a page that could not be written once to each descriptor that was open by then, and
//!   calls the page clean (`errseq_t`, since 4.13): a descriptor opened later may sync without an error. So it is
//!   open before the commit is written, and after an error nobody asks again: what follows a gap in the
//!   log is lost with it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

use super::connect::beside;

/// A connection, and the log that it writes to, opened before its first commit.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    log: fs::File,
}

impl Link {
    /// `connection` has read the database at `path`, so that its log is there.
    pub(super) fn new(connection: Connection, path: &Path) -> io::Result<Self> {
        // SQLite follows symbolic links, and its log lies where they lead.
        let log = fs::File::open(beside(&fs::canonicalize(path)?, "-wal"))?;
        Ok(Self { connection, log })
    }

    /// Waits until the disk has all that the log holds.
    ///
    /// # Errors
    /// The system's, and if the log was deleted: nobody would find it after a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.log.sync_data()?;
        if self.log.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "its log was deleted",
            ));
        }
        Ok(())
    }
}
