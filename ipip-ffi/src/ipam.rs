//! The allocator.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::sync::Arc;

use ipip_core::ipam::{Ambient, Assigned, BlockRelease, Ipam, IpamError};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::Block;

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::assignment::{ipip_assignment, ipip_attribute, ipip_release};
use crate::block::ipip_block;
use crate::boundary::{fill_array, give, guard, or, required, text};
use crate::error::Failure;
use crate::pool::ipip_pool;
use crate::status::ipip_status;
use crate::store::ipip_store;

/// An allocator on a store: nodes claim blocks from pools and assign addresses from them.
///
/// It keeps nothing but the store, so any number of them may work on one store, and Calico beside
/// them. Each call either does all that it says or leaves the store as it was.
///
/// Ownership: whoever got it from `ipip_ipam_new` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_ipam(Ipam);

/// What became of a block that its node gave up.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_block_release {
    /// It was empty and is gone: anybody may claim it.
    Deleted = 0,
    /// It has addresses and stays until the last of them is released: nobody may claim it.
    Orphaned = 1,
}

/// Makes an allocator on `store`.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_new(
    store: Option<&ipip_store>,
    ipam_out: Option<&mut MaybeUninit<*mut ipip_ipam>>,
) -> ipip_status {
    guard(|| {
        let store = Arc::clone(&required(store, "store")?.0);
        let out = required(ipam_out, "ipam_out")?;
        give(out, ipip_ipam(Ipam::new(store, Ambient::system())));
        Ok(())
    })
}

/// Stores a pool.
///
/// IPIP_STATUS_ALREADY_EXISTS if there is one of that name; IPIP_STATUS_OVERLAP if it shares addresses
/// with another, or with a block of another size that an earlier pool left;
/// IPIP_STATUS_INVALID_ARGUMENT if it breaks a rule of its fields.
///
/// # Safety
/// `pool` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_create_pool(
    ipam: Option<&ipip_ipam>,
    pool: Option<&ipip_pool>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        Ok(ipam.0.create_pool(&pool)?)
    })
}

/// Claims one more block for `node`, whatever it has already.
///
/// IPIP_STATUS_POOL_EXHAUSTED if there is no pool, or none has a free block.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_claim_any(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    block_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(block_out, "block_out")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let claimed = ipam.0.claim_any(&node)?;
        out.write(ipip_prefix {
            network: claimed.block.ip().into(),
            len: claimed.block.prefix(),
        });
        Ok(())
    })
}

/// Claims `block` for `node`. `newly_out` (may be NULL) is 1, or 0 if it was the node's already.
///
/// IPIP_STATUS_OUTSIDE_POOL, IPIP_STATUS_POOL_DISABLED, IPIP_STATUS_BLOCK_SIZE if the pool is cut into
/// blocks of another size, IPIP_STATUS_OWNED_BY_ANOTHER (the text names the owner), IPIP_STATUS_OVERLAP
/// with a block of another size, IPIP_STATUS_INVALID_ARGUMENT if it is the prefix of no block.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_claim(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    block: ipip_prefix,
    newly_out: Option<&mut MaybeUninit<c_int>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let claimed = ipam.0.claim(&node, block.block()?.into())?;
        if let Some(out) = newly_out {
            out.write(claimed.newly.into());
        }
        Ok(())
    })
}

/// Gives up the claim of `node` on `block`. `outcome_out` may be NULL.
///
/// IPIP_STATUS_NOT_FOUND if it has no such block, IPIP_STATUS_OWNED_BY_ANOTHER,
/// IPIP_STATUS_INVALID_ARGUMENT if it is the prefix of no block.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_release_block(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    block: ipip_prefix,
    outcome_out: Option<&mut MaybeUninit<ipip_block_release>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let outcome = match ipam.0.release_block(&node, block.block()?.into())? {
            BlockRelease::Deleted => ipip_block_release::Deleted,
            BlockRelease::Orphaned => ipip_block_release::Orphaned,
        };
        if let Some(out) = outcome_out {
            out.write(outcome);
        }
        Ok(())
    })
}

/// Assigns an address on `node`: from the first of its blocks that has a free one, the one free
/// longest; if all are full, from one more block that it claims. The key "node" is added to the
/// attribute, if it is not there.
///
/// IPIP_STATUS_POOL_EXHAUSTED if there is no pool, or nothing is left in any.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero; so are the strings of `attribute`, and `pairs` points
/// to `pairs_len` pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_assign_any(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    attribute: Option<&ipip_attribute>,
    assignment_out: Option<&mut MaybeUninit<ipip_assignment>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(assignment_out, "assignment_out")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        // SAFETY: the caller's duty, as documented.
        let attribute = unsafe { required(attribute, "attribute")?.checked() }?;
        out.write(ipam.0.assign_any(&node, &attribute)?.into());
        Ok(())
    })
}

/// Assigns `address` on `node`, and claims its block if nobody has. `assignment_out` may be NULL.
///
/// IPIP_STATUS_OUTSIDE_POOL, IPIP_STATUS_POOL_DISABLED, IPIP_STATUS_OWNED_BY_ANOTHER (the text names the
/// owner of the block), IPIP_STATUS_OVERLAP, IPIP_STATUS_ALREADY_ASSIGNED (the text names the handle).
///
/// # Safety
/// As `ipip_ipam_assign_any`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_assign(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    address: ipip_ipv4,
    attribute: Option<&ipip_attribute>,
    assignment_out: Option<&mut MaybeUninit<ipip_assignment>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        // SAFETY: the caller's duty, as documented.
        let attribute = unsafe { required(attribute, "attribute")?.checked() }?;
        let assigned = ipam.0.assign(&node, address.into(), &attribute)?;
        if let Some(out) = assignment_out {
            out.write(assigned.into());
        }
        Ok(())
    })
}

/// Releases one address, whichever node it was assigned on.
///
/// IPIP_STATUS_NOT_ASSIGNED, and IPIP_STATUS_HANDLE_MISMATCH or IPIP_STATUS_SEQUENCE_MISMATCH if the
/// assignment is not the one that the caller knows.
///
/// # Safety
/// `release` is NULL or its `handle` is NULL or a string that ends in a zero, and its `sequence` is
/// NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_release(
    ipam: Option<&ipip_ipam>,
    release: Option<&ipip_release>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let release = unsafe { required(release, "release")?.checked() }?;
        ipam.0.release(&release)?;
        Ok(())
    })
}

/// Releases every address of `handle`, whichever nodes they were assigned on. `count_out` (may be NULL)
/// is how many there were.
///
/// IPIP_STATUS_NOT_FOUND if there is no such handle.
///
/// # Safety
/// `handle` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_release_handle(
    ipam: Option<&ipip_ipam>,
    handle: *const c_char,
    count_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let handle = HandleId::try_new(unsafe { text(handle, "handle") }?)?;
        let released = ipam.0.release_handle(&handle)?;
        if let Some(out) = count_out {
            out.write(released.len());
        }
        Ok(())
    })
}

/// A copy of the block that holds `address`, whoever owns it; the caller frees it with
/// `ipip_block_free`.
///
/// IPIP_STATUS_NOT_FOUND if nobody claimed it yet.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_block_of(
    ipam: Option<&ipip_ipam>,
    address: ipip_ipv4,
    block_out: Option<&mut MaybeUninit<*mut ipip_block>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(block_out, "block_out")?;
        let addr = address.into();
        let block = ipam.0.block_of(addr)?.ok_or_else(|| {
            let text = format!("address {addr} is in no block that a node has claimed");
            Failure::new(ipip_status::NotFound, text)
        })?;
        give(out, ipip_block(block));
        Ok(())
    })
}

/// The prefixes of the blocks that `node` owns, in order, into an array of `blocks_len`. `needed_out` is
/// how many there are.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit; nothing but `needed_out` is written then.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero; `blocks` is NULL or points to room for `blocks_len`
/// prefixes that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_blocks_of(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    blocks: *mut ipip_prefix,
    blocks_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let node = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let found = prefixes_of(&ipam.0.blocks_of(&node)?);
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(blocks, blocks_len, needed_out, &found, "blocks") }
    })
}

/// The prefixes of all blocks of all nodes, and of those that nobody owns; as `ipip_ipam_blocks_of`.
///
/// # Safety
/// `blocks` is NULL or points to room for `blocks_len` prefixes that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_blocks(
    ipam: Option<&ipip_ipam>,
    blocks: *mut ipip_prefix,
    blocks_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let found = prefixes_of(&required(ipam, "ipam")?.0.blocks()?);
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(blocks, blocks_len, needed_out, &found, "blocks") }
    })
}

/// Frees the allocator; its store stays. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_free(ipam: Option<Box<ipip_ipam>>) {
    or((), || drop(ipam));
}

fn prefixes_of(blocks: &[Block]) -> Vec<ipip_prefix> {
    let prefix = |block: &Block| block.prefix().prefix().into();
    blocks.iter().map(prefix).collect()
}

impl From<Assigned> for ipip_assignment {
    fn from(assigned: Assigned) -> Self {
        Self {
            address: assigned.addr.into(),
            block: ipip_prefix {
                network: assigned.block.ip().into(),
                len: assigned.block.prefix(),
            },
            sequence: assigned.sequence.0,
        }
    }
}

impl From<IpamError> for Failure {
    fn from(error: IpamError) -> Self {
        let status = match error {
            // What has a status as an error of its own.
            IpamError::Block(error) => return error.into(),
            IpamError::Prefix(error) => return error.into(),
            IpamError::Pool(error) => return error.into(),
            IpamError::Name(error) => return error.into(),
            IpamError::OutsidePools { .. } | IpamError::BlockOutsidePools { .. } => {
                ipip_status::OutsidePool
            }
            IpamError::PoolDisabled { .. } => ipip_status::PoolDisabled,
            IpamError::NoPool | IpamError::PoolsExhausted { .. } => ipip_status::PoolExhausted,
            IpamError::WrongBlockSize { .. } => ipip_status::BlockSize,
            IpamError::BlockOwned { .. } => ipip_status::OwnedByAnother,
            IpamError::BlockOverlaps { .. }
            | IpamError::PoolOverlaps { .. }
            | IpamError::PoolBlockSize { .. } => ipip_status::Overlap,
            IpamError::BlockNotClaimed { .. } | IpamError::HandleUnknown { .. } => {
                ipip_status::NotFound
            }
            IpamError::PoolExists { .. } => ipip_status::AlreadyExists,
            IpamError::Busy { .. } => ipip_status::Busy,
            IpamError::Store(_) | IpamError::Value { .. } | IpamError::Misplaced { .. } => {
                ipip_status::Store
            }
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
