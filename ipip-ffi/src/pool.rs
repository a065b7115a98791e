//! What blocks are cut from.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::resource::{AssignmentMode, IpipMode, Pool, PoolError, Selector, Use};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::assignment::{ipip_pair, pairs};
use crate::boundary::{TextBuffer, choose, flag, guard, optional_text, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// When packets between two nodes of a pool are encapsulated: Calico's `ipipMode`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_mode {
    /// Never: routes go directly to the node.
    Never = 0,
    /// Always, also inside one subnet.
    Always = 1,
    /// Only if the two nodes are in different subnets.
    CrossSubnet = 2,
}

/// What the addresses of a pool may be assigned for: bits, to be combined by `|`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_pool_use {
    /// Pods and other workloads.
    Workload = 1,
    /// The tunnel devices of nodes.
    Tunnel = 2,
    /// Services of type LoadBalancer.
    LoadBalancer = 4,
}

/// Who may be assigned addresses of a pool.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_assignment_mode {
    /// Whoever asks for any address.
    Automatic = 0,
    /// Only who names the pool or the address.
    Manual = 1,
}

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_pool {
    /// Its name, as Kubernetes writes names: 1 to 253 of a-z, 0-9, '-' and '.'.
    pub name: *const c_char,
    /// Its prefix, not link-local and no smaller than a block.
    pub cidr: ipip_prefix,
    /// The prefix length of its blocks in bits, 20 to 32; 26 as a rule.
    pub block_len: u8,
    /// 1 if nothing is assigned or claimed from it, else 0.
    pub disabled: u8,
    /// 1 if packets that leave the cluster take the node's address, else 0.
    pub nat_outgoing: u8,
    /// An enum ipip_mode; 0 is Never, as Calico has it where nothing is said.
    pub ipip_mode: u32,
    /// Which nodes may claim blocks of it unasked, in Calico's selector language, such as
    /// "zone == 'west'"; NULL is "all()".
    pub node_selector: *const c_char,
    /// Bits of enum ipip_pool_use; 0 is IPIP_POOL_USE_WORKLOAD | IPIP_POOL_USE_TUNNEL, as Calico has it
    /// where nothing is said.
    pub allowed_uses: u32,
    /// An enum ipip_assignment_mode; 0 is Automatic.
    pub assignment_mode: u32,
}

/// How many blocks a pool is cut into, 1 to 2^32. This and the other functions of a pool fail with
/// IPIP_STATUS_INVALID_ARGUMENT if the pool breaks a rule of its fields.
///
/// # Safety
/// `pool` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block_count(
    pool: Option<&ipip_pool>,
    count_out: Option<&mut MaybeUninit<u64>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        required(count_out, "count_out")?.write(pool.block_count());
        Ok(())
    })
}

/// The block at a place of the pool, counted from 0.
///
/// IPIP_STATUS_OUTSIDE_POOL past the last place.
///
/// # Safety
/// `pool` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block(
    pool: Option<&ipip_pool>,
    index: u64,
    block_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        let out = required(block_out, "block_out")?;
        let block = pool.block(index).ok_or_else(|| {
            let last = pool.block_count() - 1;
            let text = format!("pool {} has blocks 0 to {last}, not {index}", pool.name());
            Failure::new(ipip_status::OutsidePool, text)
        })?;
        out.write(block.prefix().into());
        Ok(())
    })
}

/// The block of the pool that an address is in.
///
/// IPIP_STATUS_OUTSIDE_POOL if it is outside the pool.
///
/// # Safety
/// `pool` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block_of(
    pool: Option<&ipip_pool>,
    address: ipip_ipv4,
    block_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        let out = required(block_out, "block_out")?;
        let addr = address.into();
        let block = pool.block_of(addr).ok_or_else(|| {
            let text = format!(
                "address {addr} is outside pool {} {}",
                pool.name(),
                pool.cidr()
            );
            Failure::new(ipip_status::OutsidePool, text)
        })?;
        out.write(block.prefix().into());
        Ok(())
    })
}

/// Whether a node with these labels may take any address of the pool without naming it: the pool is
/// not disabled, it is automatic, and its node selector matches. `selects_out` is 1 or 0.
///
/// # Safety
/// - `pool` is NULL or its strings are NULL or end in a zero.
/// - `labels` is NULL or points to `labels_len` pairs, whose strings end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_selects(
    pool: Option<&ipip_pool>,
    labels: *const ipip_pair,
    labels_len: usize,
    selects_out: Option<&mut MaybeUninit<u8>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        let out = required(selects_out, "selects_out")?;
        // SAFETY: the caller's duty, as documented.
        let labels = unsafe { owned_labels(labels, labels_len) }?;
        out.write(pool.selects(&labels).into());
        Ok(())
    })
}

/// The pool as Calico stores it, in JSON. `needed_out` may be NULL. What a store holds beside these fields
/// is not in it: `ipip_store_list` gives a stored pool as it is.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// - `pool` is NULL or its strings are NULL or end in a zero.
/// - `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_to_json(
    pool: Option<&ipip_pool>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&String::from_utf8_lossy(&pool.to_json()))
    })
}

/// Whether a selector in Calico's language, such as `has(zone) && zone != 'west'`, selects what has these
/// labels. `matches_out` is 1 or 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT for a selector that is malformed; the text names the place.
///
/// # Safety
/// - `selector` is NULL or a string that ends in a zero.
/// - `labels` is NULL or points to `labels_len` pairs, whose strings end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_selector_matches(
    selector: *const c_char,
    labels: *const ipip_pair,
    labels_len: usize,
    matches_out: Option<&mut MaybeUninit<u8>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let found = parse_selector(unsafe { text(selector, "selector") }?, "selector")?;
        let out = required(matches_out, "matches_out")?;
        // SAFETY: the caller's duty, as documented.
        let labels = unsafe { owned_labels(labels, labels_len) }?;
        out.write(found.matches(&labels).into());
        Ok(())
    })
}

/// # Safety
/// `labels` is NULL or points to `labels_len` pairs, whose strings end in a zero.
unsafe fn owned_labels(
    labels: *const ipip_pair,
    labels_len: usize,
) -> Result<BTreeMap<String, String>, Failure> {
    // SAFETY: the caller's duty.
    let labels = unsafe { pairs(labels, labels_len, "labels") }?;
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok(labels.into_iter().map(owned).collect())
}

impl ipip_pool {
    /// # Safety
    /// `name` and `node_selector` are NULL or strings that end in a zero.
    pub(crate) unsafe fn checked(&self) -> Result<Pool, Failure> {
        let modes = [
            (ipip_mode::Never as u32, IpipMode::Never),
            (ipip_mode::Always as u32, IpipMode::Always),
            (ipip_mode::CrossSubnet as u32, IpipMode::CrossSubnet),
        ];
        // SAFETY: the caller's duty.
        let name = unsafe { text(self.name, "name") }?;
        let cidr = self.cidr.checked("cidr")?;
        let pool = Pool::try_new(name, cidr.into(), self.block_len)?
            .with_disabled(flag(self.disabled, "disabled")?)
            .with_nat_outgoing(flag(self.nat_outgoing, "nat_outgoing")?)
            .with_ipip_mode(choose(self.ipip_mode, "ipip_mode", "ipip_mode", &modes)?)
            .with_allowed_uses(&self.checked_uses()?)
            .with_assignment_mode(self.checked_mode()?);
        // SAFETY: the caller's duty.
        match unsafe { optional_text(self.node_selector, "node_selector") }? {
            Some(text) => Ok(pool.with_node_selector(parse_selector(text, "node_selector")?)),
            None => Ok(pool),
        }
    }

    fn checked_uses(&self) -> Result<Vec<Use>, Failure> {
        let uses = [
            (ipip_pool_use::Workload as u32, Use::Workload),
            (ipip_pool_use::Tunnel as u32, Use::Tunnel),
            (ipip_pool_use::LoadBalancer as u32, Use::LoadBalancer),
        ];
        let known = uses.iter().fold(0, |bits, (bit, _)| bits | bit);
        let found = self.allowed_uses;
        if found & !known != 0 {
            let text = format!("allowed_uses is {found}, which has bits of no enum ipip_pool_use");
            return Err(Failure::new(ipip_status::InvalidArgument, text));
        }
        if found == 0 {
            return Ok(Use::DEFAULT.to_vec());
        }
        let given = uses.iter().filter(|(bit, _)| found & bit != 0);
        Ok(given.map(|(_, one)| *one).collect())
    }

    fn checked_mode(&self) -> Result<AssignmentMode, Failure> {
        let modes = [
            (
                ipip_assignment_mode::Automatic as u32,
                AssignmentMode::Automatic,
            ),
            (ipip_assignment_mode::Manual as u32, AssignmentMode::Manual),
        ];
        let (name, kind) = ("assignment_mode", "ipip_assignment_mode");
        choose(self.assignment_mode, name, kind, &modes)
    }
}

fn parse_selector(text: &str, name: &str) -> Result<Selector, Failure> {
    Selector::parse(text)
        .map_err(|error| Failure::of(ipip_status::InvalidArgument, &error, None).in_field(name))
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}
