//! How much of the pools is in use.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use ipip_core::ipam::{Counts, Usage};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::admin::at;
use crate::boundary::{TextBuffer, choose, give, guard, or, required};
use crate::ipam::ipip_ipam;
use crate::outcome::c_text;
use crate::status::ipip_status;

/// The use of all pools, at about one instant.
///
/// Ownership: whoever got it from `ipip_ipam_usage` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_usage {
    usage: Usage,
    names: Vec<CString>,
}

/// Numbers of addresses.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ipip_usage_counts {
    /// All that there are.
    pub total: u64,
    /// Those that are assigned, or cooling down.
    pub in_use: u64,
    /// Those that reservations set aside.
    pub reserved: u64,
    /// Those that whoever asks for any may be assigned.
    pub free: u64,
    /// Those in use that were released and are cooling down.
    pub cooling: u64,
}

/// The use of a pool; its name lives as long as the `ipip_usage` that it is from.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_pool_usage {
    /// Its name.
    pub name: *const c_char,
    /// Its prefix.
    pub cidr: ipip_prefix,
    /// Its addresses.
    pub counts: ipip_usage_counts,
    /// How many of its blocks are there.
    pub blocks: usize,
}

/// What a use is written as.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_usage_form {
    /// The table of the pools, which `calicoctl ipam show` prints.
    Pools = 0,
    /// The same with each pool's blocks below it.
    Blocks = 1,
    /// The table of borrowed addresses.
    Borrowed = 2,
    /// The table of the configuration.
    Configuration = 3,
    /// All of it as JSON.
    Json = 4,
}

/// How much of each pool and block is in use, and what is borrowed. A damaged block is told in the JSON,
/// and not counted.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_usage(
    ipam: Option<&ipip_ipam>,
    usage_out: Option<&mut MaybeUninit<*mut ipip_usage>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(usage_out, "usage_out")?;
        let usage = ipam.0.usage()?;
        let names = usage.pools.iter().map(|pool| c_text(&pool.name)).collect();
        give(out, ipip_usage { usage, names });
        Ok(())
    })
}

/// How many pools there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_usage_pool_count(usage: Option<&ipip_usage>) -> usize {
    or(0, || usage.map_or(0, |usage| usage.names.len()))
}

/// The use of the pool `index`, counted from 0, by name.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_usage_pool(
    usage: Option<&ipip_usage>,
    index: usize,
    pool_out: Option<&mut MaybeUninit<ipip_pool_usage>>,
) -> ipip_status {
    guard(|| {
        let ipip_usage { usage, names } = required(usage, "usage")?;
        let out = required(pool_out, "pool_out")?;
        let pool = at(&usage.pools, index, "pool")?;
        out.write(ipip_pool_usage {
            name: at(names, index, "pool")?.as_ptr(),
            cidr: ipip_prefix::of_network(pool.cidr),
            counts: pool.counts.into(),
            blocks: pool.blocks.len(),
        });
        Ok(())
    })
}

/// The use as text, in an `enum ipip_usage_form`. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_usage_text(
    usage: Option<&ipip_usage>,
    form: u32,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let usage = &required(usage, "usage")?.usage;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        let forms = [
            ipip_usage_form::Pools,
            ipip_usage_form::Blocks,
            ipip_usage_form::Borrowed,
            ipip_usage_form::Configuration,
            ipip_usage_form::Json,
        ];
        let known = forms.map(|form| (form as u32, form));
        text.fill(&match choose(form, "form", "ipip_usage_form", &known)? {
            ipip_usage_form::Pools => usage.to_string(),
            ipip_usage_form::Blocks => usage.blocks_table(),
            ipip_usage_form::Borrowed => usage.borrowed_table(),
            ipip_usage_form::Configuration => usage.configuration_table(),
            ipip_usage_form::Json => usage.to_json(),
        })
    })
}

/// Frees the use. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_usage_free(usage: Option<Box<ipip_usage>>) {
    or((), || drop(usage));
}

/// What is known of one address, as JSON: `address`, `block`, `inUse`, `handle`, `attributes`,
/// `releasedAt`. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_address_usage(
    ipam: Option<&ipip_ipam>,
    address: ipip_ipv4,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&ipam.0.address_usage(address.into())?.to_json())
    })
}

impl From<Counts> for ipip_usage_counts {
    fn from(counts: Counts) -> Self {
        Self {
            total: counts.total,
            in_use: counts.in_use,
            reserved: counts.reserved,
            free: counts.free,
            cooling: counts.cooling,
        }
    }
}
