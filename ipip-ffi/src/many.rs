//! Many addresses by one call.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::ipam::{Assignments, Request, Shortfall};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::Use;

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::assignment::{ipip_assignment, ipip_attribute, ipip_release};
use crate::boundary::{TextBuffer, array, choose, fill_array, give, guard, or, required, text};
use crate::error::Failure;
use crate::ipam::ipip_ipam;
use crate::outcome::ipip_outcome;
use crate::pool::ipip_pool_use;
use crate::status::ipip_status;

/// Any addresses for one owner on one node. All zero but for the node, the count and the attribute asks
/// for a workload's, from any pool that selects the node.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_request {
    /// The node on which they will be.
    pub node: *const c_char,
    /// How many, 1 to 2^20.
    pub count: u32,
    /// To whom. The key "node" is added, if it is not there.
    pub attribute: ipip_attribute,
    /// The pools to take them from, by their prefixes, whatever they select; NULL if `pools_len` is 0: the
    /// pools that select the node.
    pub pools: *const ipip_prefix,
    /// How many pools there are.
    pub pools_len: usize,
    /// What for, an enum ipip_pool_use; 0 is IPIP_POOL_USE_WORKLOAD.
    pub purpose: u32,
    /// The most blocks that the node may have to claim one more; NULL says nothing and leaves the
    /// configuration's, or Calico's 20.
    pub max_blocks: *const u32,
}

/// Why fewer addresses were assigned than were asked for.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_shortfall {
    /// They are all.
    None = 0,
    /// No address is left in the pools.
    PoolsExhausted = 1,
    /// No block is left in the pools, and strict affinity forbids to borrow.
    StrictAffinity = 2,
    /// The node's blocks are full, and it may not have more.
    BlockLimit = 3,
    /// The node's blocks are full, and the configuration forbids to claim one.
    AutoAllocationOff = 4,
    /// Something failed after the first block; whoever asks for the rest may learn it again.
    Failed = 5,
}

/// Addresses that were assigned by one call, and why they are not more.
///
/// Ownership: whoever got it from `ipip_ipam_assign_many` frees it, which releases no address. Threads:
/// may share it without a lock.
#[derive(Debug)]
pub struct ipip_assignments(Assignments);

/// Assigns the addresses that `request` asks for: from the node's blocks, then from more that it claims,
/// then from others' blocks, with one commit for each block. Too few are no failure:
/// `ipip_assignments_shortfall` says why.
///
/// IPIP_STATUS_POOL_EXHAUSTED if no pool serves the node, IPIP_STATUS_NOT_FOUND for a pool that is not
/// there, IPIP_STATUS_INVALID_ARGUMENT for a count that is not allowed.
///
/// # Safety
/// The strings of `request` are NULL or end in a zero, its arrays are NULL or as long as their `_len`
/// says, and `max_blocks` is NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_assign_many(
    ipam: Option<&ipip_ipam>,
    request: Option<&ipip_request>,
    assignments_out: Option<&mut MaybeUninit<*mut ipip_assignments>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(assignments_out, "assignments_out")?;
        // SAFETY: the caller's duty, as documented.
        let request = unsafe { required(request, "request")?.checked() }?;
        give(out, ipip_assignments(ipam.0.assign_many(&request)?));
        Ok(())
    })
}

/// How many addresses were assigned; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_assignments_count(assignments: Option<&ipip_assignments>) -> usize {
    or(0, || assignments.map_or(0, |all| all.0.assigned.len()))
}

/// The assignment `index`, counted from 0.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_assignments_get(
    assignments: Option<&ipip_assignments>,
    index: usize,
    assignment_out: Option<&mut MaybeUninit<ipip_assignment>>,
) -> ipip_status {
    guard(|| {
        let all = &required(assignments, "assignments")?.0.assigned;
        let out = required(assignment_out, "assignment_out")?;
        let assigned = all.get(index).ok_or_else(|| {
            let text = format!("assignment {index} of {}, counted from 0", all.len());
            Failure::new(ipip_status::NotFound, text)
        })?;
        out.write((*assigned).into());
        Ok(())
    })
}

/// Why they are not more, and as a sentence, "" if they are all. `needed_out` may be NULL, and so may
/// `text`, if `text_len` is 0 and `needed_out` NULL: then only `shortfall_out` is written.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_assignments_shortfall(
    assignments: Option<&ipip_assignments>,
    shortfall_out: Option<&mut MaybeUninit<ipip_shortfall>>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let shortfall = required(assignments, "assignments")?.0.shortfall.as_ref();
        let out = required(shortfall_out, "shortfall_out")?;
        if !text.is_null() || text_len > 0 || needed_out.is_some() {
            let sentence = shortfall.map(ToString::to_string).unwrap_or_default();
            // SAFETY: the caller's duty, as documented.
            unsafe { TextBuffer::new(text, text_len, needed_out) }?.fill(&sentence)?;
        }
        out.write(shortfall.into());
        Ok(())
    })
}

/// Frees the list; the addresses stay assigned. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_assignments_free(assignments: Option<Box<ipip_assignments>>) {
    or((), || drop(assignments));
}

/// Releases several addresses, those of one block in one commit. If one of a block is not the assignment
/// that its `struct ipip_release` names, nothing of that block is released. The outcome has the lists
/// Released, NotAssigned and Refused.
///
/// # Safety
/// - `releases` is NULL or points to `releases_len` releases.
/// - Their strings are NULL or end in a zero, and their sequence numbers are NULL or point to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_release_many(
    ipam: Option<&ipip_ipam>,
    releases: *const ipip_release,
    releases_len: usize,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(outcome_out, "outcome_out")?;
        // SAFETY: the caller's duty, as documented.
        let releases = unsafe { array(releases, releases_len, "releases") }?;
        // SAFETY: the caller's duty, as documented.
        let checked = releases.iter().map(|release| unsafe { release.checked() });
        let releases = checked.collect::<Result<Vec<_>, _>>()?;
        give(out, ipam.0.release_many(&releases)?.into());
        Ok(())
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
pub unsafe extern "C" fn ipip_ipam_addresses_of(
    ipam: Option<&ipip_ipam>,
    handle: *const c_char,
    addresses: *mut ipip_ipv4,
    addresses_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let handle = HandleId::try_new(unsafe { text(handle, "handle") }?)?;
        let found = ipam.0.addresses_of(&handle)?.into_iter();
        let found: Vec<ipip_ipv4> = found.map(|(addr, _)| addr.into()).collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(addresses, addresses_len, needed_out, &found, "addresses") }
    })
}

impl ipip_request {
    /// # Safety
    /// - Its strings are NULL or end in a zero.
    /// - Its arrays are NULL or as long as their `_len` says.
    /// - `max_blocks` is NULL or points to a number.
    unsafe fn checked(&self) -> Result<Request, Failure> {
        let uses = [
            (0, Use::Workload),
            (ipip_pool_use::Workload as u32, Use::Workload),
            (ipip_pool_use::Tunnel as u32, Use::Tunnel),
            (ipip_pool_use::LoadBalancer as u32, Use::LoadBalancer),
        ];
        // SAFETY: the caller's duty.
        let node = NodeName::try_new(unsafe { text(self.node, "node") }?)?;
        // SAFETY: the caller's duty.
        let attribute = unsafe { self.attribute.checked() }?;
        // SAFETY: the caller's duty.
        let pools = unsafe { array(self.pools, self.pools_len, "pools") }?;
        let pools = pools.iter().map(|pool| pool.checked("pools"));
        let pools = pools.map(|pool| pool.map(Into::into));
        // SAFETY: the caller's duty.
        let max_blocks = unsafe { self.max_blocks.as_ref() };
        Ok(Request {
            pools: pools.collect::<Result<_, _>>()?,
            purpose: choose(self.purpose, "purpose", "ipip_pool_use", &uses)?,
            max_blocks: max_blocks.copied(),
            ..Request::new(node, self.count, attribute)
        })
    }
}

impl From<Option<&Shortfall>> for ipip_shortfall {
    fn from(shortfall: Option<&Shortfall>) -> Self {
        match shortfall {
            None => Self::None,
            Some(Shortfall::PoolsExhausted { .. }) => Self::PoolsExhausted,
            Some(Shortfall::StrictAffinity { .. }) => Self::StrictAffinity,
            Some(Shortfall::BlockLimit { .. }) => Self::BlockLimit,
            Some(Shortfall::AutoAllocationOff) => Self::AutoAllocationOff,
            Some(_) => Self::Failed,
        }
    }
}
