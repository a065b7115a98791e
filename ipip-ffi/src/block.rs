//! One block in memory.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;

use ipip_core::name::HandleId;
use ipip_core::resource::{Assignment, Attribute, Block, BlockError, ResourceError, Sequence};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::assignment::{ipip_assignment, ipip_attribute, ipip_release};
use crate::boundary::{TextBuffer, fill_array, give, guard, octets, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// One block in memory: which of its addresses are assigned to whom. /26 as a rule, /20 to /32
/// possible. Free addresses queue: the next one assigned is the one that has been free longest.
/// Network and broadcast address are addresses like any other. A call that fails leaves the block as
/// it was.
///
/// Ownership: whoever got it from `ipip_block_new` or an allocator frees it; a block of an allocator is a
/// copy, and changing it changes nothing in the store. Threads: one at a time; threads that share a
/// block need a lock around every call.
#[derive(Debug)]
pub struct ipip_block(pub(crate) Block);

/// What an address of a block is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_use {
    /// It may be assigned.
    Free = 0,
    /// It is assigned, or was released a moment ago and is not free yet.
    Assigned = 1,
}

/// Makes the block `prefix`, owned by nobody, every address free; its sequence numbers start at 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it has host bits set or is not /20 to /32.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_new(
    prefix: ipip_prefix,
    block_out: Option<&mut MaybeUninit<*mut ipip_block>>,
) -> ipip_status {
    guard(|| {
        let out = required(block_out, "block_out")?;
        let prefix = prefix.block()?;
        give(out, ipip_block(Block::new(prefix, Sequence(0))));
        Ok(())
    })
}

/// Assigns the address that has been free longest.
///
/// IPIP_STATUS_BLOCK_FULL if none is free, IPIP_STATUS_INVALID_ARGUMENT for a malformed handle or a key
/// that is given twice.
///
/// # Safety
/// The strings of `attribute` end in a zero, and `pairs` points to `pairs_len` pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_assign_any(
    block: Option<&mut ipip_block>,
    attribute: Option<&ipip_attribute>,
    assignment_out: Option<&mut MaybeUninit<ipip_assignment>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        let out = required(assignment_out, "assignment_out")?;
        // SAFETY: the caller's duty, as documented.
        let attribute = unsafe { required(attribute, "attribute")?.checked() }?;
        let assignment = block.0.assign_any(attribute)?;
        out.write(block.assignment(&assignment));
        Ok(())
    })
}

/// Assigns `address`. `assignment_out` may be NULL.
///
/// IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_ALREADY_ASSIGNED (the text names the handle that has it),
/// IPIP_STATUS_INVALID_ARGUMENT for a malformed handle or a key that is given twice.
///
/// # Safety
/// The strings of `attribute` end in a zero, and `pairs` points to `pairs_len` pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_assign(
    block: Option<&mut ipip_block>,
    address: ipip_ipv4,
    attribute: Option<&ipip_attribute>,
    assignment_out: Option<&mut MaybeUninit<ipip_assignment>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let attribute = unsafe { required(attribute, "attribute")?.checked() }?;
        let assignment = block.0.assign(address.into(), attribute)?;
        if let Some(out) = assignment_out {
            out.write(block.assignment(&assignment));
        }
        Ok(())
    })
}

/// Releases one address; it comes back last.
///
/// IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, and IPIP_STATUS_HANDLE_MISMATCH or
/// IPIP_STATUS_SEQUENCE_MISMATCH if the assignment is not the one that the caller knows.
///
/// # Safety
/// `release` is NULL or its `handle` is NULL or a string that ends in a zero, and its `sequence` is
/// NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_release(
    block: Option<&mut ipip_block>,
    release: Option<&ipip_release>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let release = unsafe { required(release, "release")?.checked() }?;
        block.0.release(&release)?;
        Ok(())
    })
}

/// Releases every address of `handle`; `count_out` (may be NULL) is how many, 0 if it has none here.
///
/// IPIP_STATUS_INVALID_ARGUMENT for a malformed handle.
///
/// # Safety
/// `handle` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_release_handle(
    block: Option<&mut ipip_block>,
    handle: *const c_char,
    count_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let handle = HandleId::try_new(unsafe { text(handle, "handle") }?)?;
        let released = block.0.release_handle(&handle);
        if let Some(out) = count_out {
            out.write(released.len());
        }
        Ok(())
    })
}

/// The block's prefix; all zero for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_prefix(block: Option<&ipip_block>) -> ipip_prefix {
    or(NO_PREFIX, || {
        block.map_or(NO_PREFIX, |block| block.0.prefix().prefix().into())
    })
}

/// How many addresses are free, 0 to 4,096; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_free_count(block: Option<&ipip_block>) -> usize {
    or(0, || block.map_or(0, |block| block.0.free_count()))
}

/// How many addresses are not free, 0 to 4,096; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_used_count(block: Option<&ipip_block>) -> usize {
    or(0, || block.map_or(0, |block| block.0.used_count()))
}

/// The address at a place of the block, counted from 0 at the network address.
///
/// IPIP_STATUS_OUTSIDE_BLOCK past the last place.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_address(
    block: Option<&ipip_block>,
    ordinal: u32,
    address_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        let out = required(address_out, "address_out")?;
        out.write(block.0.prefix().ordinal(ordinal)?.addr().into());
        Ok(())
    })
}

/// The place of an address in the block, counted from 0 at the network address.
///
/// IPIP_STATUS_OUTSIDE_BLOCK if it is in another block.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_ordinal(
    block: Option<&ipip_block>,
    address: ipip_ipv4,
    ordinal_out: Option<&mut MaybeUninit<u32>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        let out = required(ordinal_out, "ordinal_out")?;
        out.write(block.0.prefix().ordinal_of(address.into())?.get().into());
        Ok(())
    })
}

/// Whether an address is free or assigned, and at which sequence number (`sequence_out`, may be NULL,
/// is written with IPIP_USE_ASSIGNED only).
///
/// IPIP_STATUS_OUTSIDE_BLOCK if it is in another block.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_use(
    block: Option<&ipip_block>,
    address: ipip_ipv4,
    use_out: Option<&mut MaybeUninit<ipip_use>>,
    sequence_out: Option<&mut MaybeUninit<u64>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        let out = required(use_out, "use_out")?;
        block.0.prefix().ordinal_of(address.into())?;
        let sequence = block.0.sequence_of(address.into());
        out.write(match sequence {
            Some(_) => ipip_use::Assigned,
            None => ipip_use::Free,
        });
        if let (Some(out), Some(sequence)) = (sequence_out, sequence) {
            out.write(sequence.0);
        }
        Ok(())
    })
}

/// The handle that an address is assigned to; "" if it has none. `needed_out` may be NULL.
///
/// IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, IPIP_STATUS_BUFFER_TOO_SMALL.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_handle(
    block: Option<&ipip_block>,
    address: ipip_ipv4,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let attribute = block.attribute_of(address)?;
        text.fill(attribute.handle().unwrap_or_default())
    })
}

/// What is known of the workload that an address is assigned to: the value of one key, such as "pod".
/// `needed_out` may be NULL.
///
/// IPIP_STATUS_OUTSIDE_BLOCK, IPIP_STATUS_NOT_ASSIGNED, IPIP_STATUS_NOT_FOUND if there is no such key,
/// IPIP_STATUS_BUFFER_TOO_SMALL.
///
/// # Safety
/// `key` is NULL or a string that ends in a zero; `text` is NULL or points to `text_len` octets that
/// nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_attribute(
    block: Option<&ipip_block>,
    address: ipip_ipv4,
    key: *const c_char,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let key = unsafe { self::text(key, "key") }?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let value = block.attribute_of(address)?.secondary().get(key);
        text.fill(value.ok_or_else(|| {
            let address = Ipv4Addr::from(address);
            let text = format!("address {address} has no attribute {key:?}");
            Failure::new(ipip_status::NotFound, text)
        })?)
    })
}

/// The owner as the block names it: "host:NODE" for a node; "" for a block that outlived its owner's
/// claim, and for one that was made with `ipip_block_new`. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_affinity(
    block: Option<&ipip_block>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let owner = block.0.affinity().map(ToString::to_string);
        text.fill(owner.as_deref().unwrap_or_default())
    })
}

/// The addresses of `handle`, in order, into an array of `addresses_len`. `needed_out` is how many there
/// are.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit; nothing but `needed_out` is written then.
///
/// # Safety
/// `handle` is NULL or a string that ends in a zero; `addresses` is NULL or points to room for
/// `addresses_len` addresses that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_addresses_of(
    block: Option<&ipip_block>,
    handle: *const c_char,
    addresses: *mut ipip_ipv4,
    addresses_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let handle = HandleId::try_new(unsafe { text(handle, "handle") }?)?;
        let found: Vec<ipip_ipv4> = block.0.addresses_of(&handle).map(Into::into).collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(addresses, addresses_len, needed_out, &found, "addresses") }
    })
}

/// The free addresses, the next one to be assigned first; as `ipip_block_addresses_of`.
///
/// # Safety
/// `addresses` is NULL or points to room for `addresses_len` addresses that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_free_addresses(
    block: Option<&ipip_block>,
    addresses: *mut ipip_ipv4,
    addresses_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        let found: Vec<ipip_ipv4> = block.0.free().map(Into::into).collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(addresses, addresses_len, needed_out, &found, "addresses") }
    })
}

/// Reads a block as Calico stores it, in JSON.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field and the rule that it breaks.
///
/// # Safety
/// `json` is NULL or points to `json_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_from_json(
    json: *const u8,
    json_len: usize,
    block_out: Option<&mut MaybeUninit<*mut ipip_block>>,
) -> ipip_status {
    guard(|| {
        let out = required(block_out, "block_out")?;
        // SAFETY: the caller's duty, as documented.
        let json = unsafe { octets(json, json_len, "json") }?;
        give(out, ipip_block(Block::from_json(json)?));
        Ok(())
    })
}

/// The block as Calico stores it, in JSON. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_block_to_json(
    block: Option<&ipip_block>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let block = required(block, "block")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&String::from_utf8_lossy(&block.0.to_json()))
    })
}

/// Frees the block. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_block_free(block: Option<Box<ipip_block>>) {
    or((), || drop(block));
}

/// What [`ipip_block_prefix`] says of no block.
const NO_PREFIX: ipip_prefix = ipip_prefix {
    network: ipip_ipv4 { octets: [0; 4] },
    len: 0,
};

impl ipip_block {
    fn assignment(&self, assignment: &Assignment) -> ipip_assignment {
        ipip_assignment {
            address: assignment.addr.into(),
            block: self.0.prefix().prefix().into(),
            sequence: assignment.sequence.0,
            borrowed: 0,
        }
    }

    fn attribute_of(&self, address: ipip_ipv4) -> Result<&Attribute, Failure> {
        let addr = address.into();
        self.0.prefix().ordinal_of(addr)?;
        let attribute = self.0.attribute_of(addr);
        Ok(attribute.ok_or(BlockError::NotAssigned { addr })?)
    }
}

impl From<ResourceError> for Failure {
    fn from(error: ResourceError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}
