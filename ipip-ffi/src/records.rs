//! What a store holds: lists, what changes, and all of it as lines of text.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io::BufReader;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use ipip_core::datastore::{self, ImportOptions, Revision};

use crate::boundary::{flag, give, guard, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::store::ipip_store;

/// Records of a store, read at one instant.
///
/// Ownership: whoever got it from `ipip_store_list` or `ipip_store_watch` frees it. Threads: may share it
/// without a lock.
#[derive(Debug)]
pub struct ipip_records {
    found: Vec<Found>,
    revision: u64,
}

/// A key, its value, which is none if it was deleted, and its revision.
type Found = (CString, Option<Arc<[u8]>>, u64);

/// One record; its pointers live as long as the `ipip_records` that it is from.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_record {
    /// The key.
    pub key: *const c_char,
    /// The value, as a rule JSON, without a final zero; NULL if the key was deleted.
    pub value: *const u8,
    /// Octets of the value.
    pub value_len: usize,
    /// Which commit of the store wrote it, or deleted it.
    pub revision: u64,
}

/// The records whose keys begin with `prefix`, in the order of their octets. A prefix begins with "/" and
/// ends with "/", or with "." inside a dotted address; "/" is all.
///
/// # Safety
/// `prefix` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_store_list(
    store: Option<&ipip_store>,
    prefix: *const c_char,
    records_out: Option<&mut MaybeUninit<*mut ipip_records>>,
) -> ipip_status {
    guard(|| {
        let store = required(store, "store")?;
        let out = required(records_out, "records_out")?;
        // SAFETY: the caller's duty, as documented.
        let listing = store.0.list(unsafe { text(prefix, "prefix") }?)?;
        let entries = listing.entries.into_iter();
        let found = entries.map(|record| (record.key, Some(record.value), record.revision));
        give(out, ipip_records::new(found, listing.revision)?);
        Ok(())
    })
}

/// What changed below `prefix` after the revision `after`, which `ipip_records_revision` of a list or of
/// an earlier call gave; waits up to `timeout_ms` milliseconds for the first change. Each key once, as it
/// is now, in the order of the changes; none if nothing changed in that time.
///
/// IPIP_STATUS_COMPACTED if the store no longer knows: list again.
///
/// # Safety
/// `prefix` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_store_watch(
    store: Option<&ipip_store>,
    prefix: *const c_char,
    after: u64,
    timeout_ms: u32,
    records_out: Option<&mut MaybeUninit<*mut ipip_records>>,
) -> ipip_status {
    guard(|| {
        let store = required(store, "store")?;
        let out = required(records_out, "records_out")?;
        // SAFETY: the caller's duty, as documented.
        let prefix = unsafe { text(prefix, "prefix") }?;
        let wait = Duration::from_millis(timeout_ms.into());
        let changes = store.0.watch(prefix, Revision(after), wait)?;
        let found = changes.changes.into_iter();
        let found = found.map(|change| (change.key, change.value, change.revision));
        give(out, ipip_records::new(found, changes.revision)?);
        Ok(())
    })
}

impl ipip_records {
    fn new(
        found: impl Iterator<Item = (String, Option<Arc<[u8]>>, Revision)>,
        revision: Revision,
    ) -> Result<Self, Failure> {
        let found = found.map(|(key, value, revision)| {
            let key = CString::new(key).map_err(|fault| {
                let text = format!("a key has a zero in it: {fault}");
                Failure::new(ipip_status::Store, text)
            })?;
            Ok((key, value, revision.0))
        });
        Ok(Self {
            found: found.collect::<Result<_, Failure>>()?,
            revision: revision.0,
        })
    }
}

/// How many records there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_records_count(records: Option<&ipip_records>) -> usize {
    or(0, || records.map_or(0, |records| records.found.len()))
}

/// The store's revision when they were read, for `ipip_store_watch`; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_records_revision(records: Option<&ipip_records>) -> u64 {
    or(0, || records.map_or(0, |records| records.revision))
}

/// The record `index`, counted from 0.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_records_get(
    records: Option<&ipip_records>,
    index: usize,
    record_out: Option<&mut MaybeUninit<ipip_record>>,
) -> ipip_status {
    guard(|| {
        let records = required(records, "records")?;
        let out = required(record_out, "record_out")?;
        let (key, value, revision) = records.found.get(index).ok_or_else(|| {
            let count = records.found.len();
            let text = format!("record {index} of {count}, counted from 0");
            Failure::new(ipip_status::NotFound, text)
        })?;
        let value = value.as_deref();
        out.write(ipip_record {
            key: key.as_ptr(),
            value: value.map_or(std::ptr::null(), <[u8]>::as_ptr),
            value_len: value.map_or(0, <[u8]>::len),
            revision: *revision,
        });
        Ok(())
    })
}

/// Frees records. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_records_free(records: Option<Box<ipip_records>>) {
    or((), || drop(records));
}

/// How records are imported.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_import_options {
    /// 1 only counts what would change.
    pub dry_run: u8,
    /// 1 deletes the keys that no line has.
    pub remove_others: u8,
}

/// What an import changed, or would change in a dry run, in keys.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_imported {
    /// That were not there.
    pub added: usize,
    /// That had another value.
    pub replaced: usize,
    /// That were deleted.
    pub removed: usize,
    /// That had their value already.
    pub unchanged: usize,
}

/// Writes every record of the store to the file descriptor `fd`, which stays open: a line of JSON each,
/// `{"key":"...","value":...}`, or `"base64"` for a value that is no JSON on one line. `count_out` (may be
/// NULL) is how many there were.
///
/// IPIP_STATUS_KERNEL if they cannot be written.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_store_export(
    store: Option<&ipip_store>,
    fd: c_int,
    count_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let store = required(store, "store")?;
        let exported = datastore::export(&*store.0, &mut file(fd)?)?;
        if let Some(out) = count_out {
            out.write(exported.records);
        }
        Ok(())
    })
}

/// Puts every record that `ipip_store_export` wrote, read from the file descriptor `fd` up to its end,
/// into the store by one commit. `fd` stays open. `options` may be NULL: nothing is deleted.
/// `imported_out` may be NULL.
///
/// IPIP_STATUS_INVALID_ARGUMENT if a line is no record (the text has its number), IPIP_STATUS_BUSY if
/// others keep writing to the same keys; nothing is written then.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_store_import(
    store: Option<&ipip_store>,
    fd: c_int,
    options: Option<&ipip_import_options>,
    imported_out: Option<&mut MaybeUninit<ipip_imported>>,
) -> ipip_status {
    guard(|| {
        let store = required(store, "store")?;
        let options = match options {
            Some(options) => ImportOptions {
                dry_run: flag(options.dry_run, "dry_run")?,
                remove_others: flag(options.remove_others, "remove_others")?,
            },
            None => ImportOptions::default(),
        };
        let imported = datastore::import(&*store.0, BufReader::new(file(fd)?), options)?;
        if let Some(out) = imported_out {
            out.write(ipip_imported {
                added: imported.added.len(),
                replaced: imported.replaced.len(),
                removed: imported.removed.len(),
                unchanged: imported.unchanged,
            });
        }
        Ok(())
    })
}

/// The caller's file by a descriptor of our own.
fn file(fd: c_int) -> Result<File, Failure> {
    let refused = |error: std::io::Error| {
        let text = format!("file descriptor {fd} cannot be used: {error}");
        Failure::new(ipip_status::InvalidArgument, text)
    };
    if fd < 0 {
        return Err(refused(std::io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: not negative; should it be closed, the copy fails.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(borrowed.try_clone_to_owned().map_err(refused)?.into())
}
