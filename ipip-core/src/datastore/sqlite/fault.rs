//! SQLite's errors as ours.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Error, ErrorCode};

use crate::datastore::StoreError;

/// What went wrong, before the file's name is added.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(Error),
    /// While a commit was made durable: it may have taken effect.
    Commit(Error),
    /// What is read makes no sense.
    Damaged(String),
    Store(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The error of a call on the file `path` that began `waited` ago.
    pub(super) fn of(self, path: &str, waited: Duration) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Store(error) => error,
            Self::Damaged(text) => StoreError::Damaged { path, text },
            // The log was written and its arrival on the disk was not confirmed.
            Self::Commit(error) if code(&error) == Some(ErrorCode::SystemIoFailure) => {
                let text = error.to_string();
                StoreError::Unknown { path, text }
            }
            Self::Sqlite(error) | Self::Commit(error) => of_sqlite(path, &error, waited),
        }
    }
}

fn code(error: &Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

fn of_sqlite(path: String, error: &Error, waited: Duration) -> StoreError {
    let text = error.to_string();
    match code(error) {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Deadline { path, waited },
        Some(ErrorCode::NotADatabase) => StoreError::NotDatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, text },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { path, text }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full { path, text },
        Some(ErrorCode::CannotOpen) => StoreError::Open {
            kind: cannot_open(Path::new(&path)),
            path,
            text,
        },
        // A table or a column is missing, or holds another type.
        Some(ErrorCode::Unknown) | None => StoreError::Damaged { path, text },
        Some(_) => StoreError::Failed { path, text },
    }
}

/// SQLite does not say why; the file system does, when it is asked again.
fn cannot_open(path: &Path) -> std::io::ErrorKind {
    let asked = std::fs::metadata(path);
    asked.map_or_else(|error| error.kind(), |_| std::io::ErrorKind::Other)
}

/// A failure of the file system when a file is opened.
pub(super) fn open_error(path: &Path, error: &std::io::Error) -> StoreError {
    let path = path.display().to_string();
    let text = error.to_string();
    match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path, text },
        std::io::ErrorKind::StorageFull => StoreError::Full { path, text },
        kind => StoreError::Open { path, kind, text },
    }
}
