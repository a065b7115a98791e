//! The `Store` trait, the memory store, and Calico's keys.
//!
//! A store maps text keys to values and gives each value a [`Revision`]. It can do four things:
//! [`get`](Store::get) one key, [`list`](Store::list) those below a prefix (or their keys alone),
//! [`commit`](Store::commit) any number of writes together, if the records that the caller
//! looked at are still as they were, and [`watch`](Store::watch) what changes. That is etcd's model, and Calico's keys ([`key`]) stand in
//! it unchanged. [`Memory`] is the store for tests and short-lived tools, `Sqlite` (feature `sqlite`,
//! on by default) the one in a file that the processes of a machine share.
//!
//! [`export`] and [`import`] move all records from one store to another.
//!
//! Stores know neither what the values mean nor who retries: a commit that lost a race is the value
//! [`Outcome::Conflict`], and [`ipam`](crate::ipam) decides what to do about it.

mod bell;
mod error;
pub mod key;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod transfer;

pub use error::StoreError;
pub use memory::Memory;
#[cfg(feature = "sqlite")]
pub use sqlite::{Durability, Sqlite, SqliteOptions};
pub use store::{
    Change, Changes, Commit, Compare, Listing, Outcome, Record, Revision, Store, Write,
};
pub use transfer::{Exported, ImportOptions, Imported, TransferError, export, import};

/// How many commits a store remembers for watchers, unless told otherwise.
pub const DEFAULT_HISTORY: u32 = 16_384;
