//! Where pools, blocks and assignments are kept.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::Arc;

use ipip_core::datastore::{Memory, Store, StoreError, TransferError};

use crate::boundary::{choose, flag, give, guard, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// A datastore with Calico's keys and values.
///
/// Ownership: whoever got it from an `ipip_store_open_...` function frees it; an allocator keeps what it
/// needs of it, so the two may be freed in any order. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_store(pub(crate) Arc<dyn Store>);

/// What a commit to a file survives once it was acknowledged.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_durability {
    /// Loss of power: the disk has confirmed each commit, and all before it, when the call returns. If it does
    /// not, the call ends with `IPIP_STATUS_COMMIT_UNKNOWN`, and every later one with `IPIP_STATUS_STORE`: open the
    /// file anew once the disk is well.
    Power = 0,
    /// The end of the process, however it ends; a loss of power may take the last commits. Several times
    /// faster.
    Process = 1,
}

/// How a store in a file is opened.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_sqlite_options {
    /// The longest time in milliseconds that a call waits for others who hold the file; 0 does not wait.
    pub deadline_ms: u32,
    /// How many commits the store remembers for watchers at least; 0 counts as 1.
    pub history: u32,
    /// An `enum ipip_durability`.
    pub durability: u32,
    /// 1 makes a file that is not there; 0 refuses it.
    pub create: u8,
}

/// Makes an empty store in the memory of the process, for tests and short-lived tools. It ends with
/// the last object that uses it.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_store_open_memory(
    store_out: Option<&mut MaybeUninit<*mut ipip_store>>,
) -> ipip_status {
    guard(|| {
        let out = required(store_out, "store_out")?;
        give(out, ipip_store(Arc::new(Memory::new())));
        Ok(())
    })
}

/// Opens the store in the file `path` on a local file system, or makes it: an SQLite database with
/// "-wal", "-shm", "-lock" and "-next" beside it, for all processes of one machine. `options` may be NULL: then a
/// call waits 10,000 ms, 16,384 commits are remembered, a commit survives loss of power, and the file is
/// made.
///
/// A process may end at any instant: the file holds every acknowledged commit as a whole. A child made by
/// fork() opens the file itself.
///
/// IPIP_STATUS_STORE if the file cannot be opened, or is not ours, newer or damaged, IPIP_STATUS_BUSY if
/// others held it too long, IPIP_STATUS_UNSUPPORTED if the library was built without "sqlite".
///
/// # Safety
/// `path` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_store_open_sqlite(
    path: *const c_char,
    options: Option<&ipip_sqlite_options>,
    store_out: Option<&mut MaybeUninit<*mut ipip_store>>,
) -> ipip_status {
    guard(|| {
        let out = required(store_out, "store_out")?;
        // SAFETY: the caller's duty, as documented.
        let path = unsafe { text(path, "path") }?;
        let checked = options.map(ipip_sqlite_options::checked).transpose()?;
        give(out, ipip_store(open(path, checked)?));
        Ok(())
    })
}

/// Deadline in milliseconds, history, durability, create.
type Checked = (u32, u32, ipip_durability, bool);

impl ipip_sqlite_options {
    fn checked(&self) -> Result<Checked, Failure> {
        let known = [ipip_durability::Power, ipip_durability::Process];
        let known = known.map(|durability| (durability as u32, durability));
        let durability = choose(self.durability, "durability", "ipip_durability", &known)?;
        let create = flag(self.create, "create")?;
        Ok((self.deadline_ms, self.history, durability, create))
    }
}

#[cfg(feature = "sqlite")]
fn open(path: &str, options: Option<Checked>) -> Result<Arc<dyn Store>, Failure> {
    use ipip_core::datastore::{Durability, Sqlite, SqliteOptions};
    use std::time::Duration;

    let options = options.map_or_else(
        SqliteOptions::default,
        |(deadline, history, durability, create)| SqliteOptions {
            deadline: Duration::from_millis(deadline.into()),
            durability: match durability {
                ipip_durability::Power => Durability::Power,
                ipip_durability::Process => Durability::Process,
            },
            create,
            history,
        },
    );
    Ok(Arc::new(Sqlite::open(path, options)?))
}

#[cfg(not(feature = "sqlite"))]
fn open(_: &str, _: Option<Checked>) -> Result<Arc<dyn Store>, Failure> {
    let text = "this library was built without sqlite";
    Err(Failure::new(ipip_status::Unsupported, text))
}

/// Closes a store. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_store_free(store: Option<Box<ipip_store>>) {
    or((), || drop(store));
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::EmptyKey
            | StoreError::RelativeKey { .. }
            | StoreError::Prefix { .. }
            | StoreError::WrittenTwice { .. } => ipip_status::InvalidArgument,
            StoreError::Compacted { .. } => ipip_status::Compacted,
            StoreError::Deadline { .. } => ipip_status::Busy,
            StoreError::Unknown { .. } => ipip_status::CommitUnknown,
            StoreError::Open { .. }
            | StoreError::NotDatabase { .. }
            | StoreError::Foreign { .. }
            | StoreError::Newer { .. }
            | StoreError::Damaged { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Full { .. }
            | StoreError::Gone { .. }
            | StoreError::Forked { .. }
            | StoreError::Failed { .. } => ipip_status::Store,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let errno = |error: &std::io::Error| error.raw_os_error();
        let (status, errno) = match &error {
            TransferError::Store(_) => (ipip_status::Store, None),
            TransferError::Line { .. } | TransferError::Twice { .. } => {
                (ipip_status::InvalidArgument, None)
            }
            TransferError::Write(cause) | TransferError::Read { error: cause, .. } => {
                (ipip_status::Kernel, errno(cause))
            }
            TransferError::Busy { .. } => (ipip_status::Busy, None),
            _ => (ipip_status::Internal, None),
        };
        match error {
            // It has a status of its own.
            TransferError::Store(error) => error.into(),
            error => Self::of(status, &error, errno),
        }
    }
}
