//! What a store refuses.

use std::time::Duration;

use super::Revision;

/// Why a store did not do what it was asked. Nothing was written, unless it is
/// [`StoreError::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key is empty.
    #[error("a key must not be empty")]
    EmptyKey,
    /// A key does not begin with `/`, so that listing `/` would miss it.
    #[error("key {key:?} must begin with '/'")]
    RelativeKey {
        /// The key.
        key: String,
    },
    /// A prefix to be listed does not end with `/` or `.`, so that it would take `node10` for
    /// `node1`, or does not begin with `/`, as every key does.
    #[error("prefix {prefix:?} must begin with '/' and end with '/' or '.'")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// A commit writes a key twice, which etcd refuses too.
    #[error("key {key} is written twice in one commit")]
    WrittenTwice {
        /// The key.
        key: String,
    },
    /// The store does not know every change after this revision: list again.
    #[error("changes after revision {after} are not known, only those after {oldest}: list again")]
    Compacted {
        /// The revision that was asked for.
        after: Revision,
        /// The first revision that could have been.
        oldest: Revision,
    },
    /// The file was not opened, or a file beside it.
    #[error("{path} cannot be opened: {text}")]
    Open {
        /// The file.
        path: String,
        /// The kind of failure, for example that there is no such directory.
        kind: std::io::ErrorKind,
        /// The system's or the database's words.
        text: String,
    },
    /// The file holds something else than a database.
    #[error("{path} is not a database")]
    NotDatabase {
        /// The file.
        path: String,
    },
    /// The file is a database of another program.
    #[error(
        "{path} is a database of another program: its application id is {found:#x}, not {ours:#x}"
    )]
    Foreign {
        /// The file.
        path: String,
        /// Its `application_id`; 0 if its program set none.
        found: i32,
        /// That of our files.
        ours: i32,
    },
    /// The file was written by a later version of this library.
    #[error("{path} has schema version {found}, this version knows {known}")]
    Newer {
        /// The file.
        path: String,
        /// The file's schema version.
        found: i32,
        /// The last one that this library knows.
        known: i32,
    },
    /// The file is damaged: a person must look.
    #[error("{path} is damaged: {text}")]
    Damaged {
        /// The file.
        path: String,
        /// What the database says.
        text: String,
    },
    /// The file, its directory or its file system does not let us write.
    #[error("{path} cannot be written: {text}")]
    ReadOnly {
        /// The file.
        path: String,
        /// What the database says.
        text: String,
    },
    /// There is no room left where the file is.
    #[error("{path} cannot grow: {text}")]
    Full {
        /// The file.
        path: String,
        /// What the database says.
        text: String,
    },
    /// The file was deleted, or another one is in its place.
    #[error("{path} was deleted or replaced after it was opened")]
    Gone {
        /// The file.
        path: String,
    },
    /// Others held the store longer than this call may wait: try later.
    #[error("{path} was locked by others for {} ms", waited.as_millis())]
    Deadline {
        /// The file.
        path: String,
        /// How long the call waited.
        waited: Duration,
    },
    /// The handle was opened by a process of which this one is a child: open the store again here.
    #[error("{path} was opened by process {opened_by} and cannot be used by its child {used_by}")]
    Forked {
        /// The file.
        path: String,
        /// The process that opened it.
        opened_by: u32,
        /// The process that used it.
        used_by: u32,
    },
    /// The commit was sent and may have taken effect, or may do so later: read before you repeat it.
    #[error("{path} did not confirm a commit, which may have taken effect: {text}")]
    Unknown {
        /// The file, or the address of the store.
        path: String,
        /// What the store says.
        text: String,
    },
    /// The store failed otherwise.
    #[error("{path} failed: {text}")]
    Failed {
        /// The file, or the address of the store.
        path: String,
        /// What the store says.
        text: String,
    },
}
