//! Where pools, blocks and assignments are kept.

use std::mem::MaybeUninit;
use std::sync::Arc;

use ipip_core::datastore::{Memory, Store};

use crate::boundary::{give, guard, or, required};
use crate::status::ipip_status;

/// A datastore with Calico's keys and values.
///
/// Ownership: whoever got it from an `ipip_store_open_...` function frees it; an allocator keeps what it
/// needs of it, so the two may be freed in any order. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_store(pub(crate) Arc<dyn Store>);

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

/// Closes a store. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_store_free(store: Option<Box<ipip_store>>) {
    or((), || drop(store));
}
