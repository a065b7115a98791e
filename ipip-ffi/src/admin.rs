//! What an administrator does to a store: pools, the configuration, reservations.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use ipip_core::resource::{AssignmentMode, IpipMode, Pool, Reservation, Use};

use crate::boundary::{give, guard, octets, or, required, text};
use crate::config::ipip_allocator_config;
use crate::error::Failure;
use crate::ipam::ipip_ipam;
use crate::outcome::{c_text, ipip_outcome};
use crate::pool::{ipip_assignment_mode, ipip_mode, ipip_pool, ipip_pool_use};
use crate::reservation::ipip_reservation;
use crate::status::ipip_status;

/// The pools of a store, read at one instant, or one that was read from JSON.
///
/// Ownership: whoever got it from `ipip_ipam_pools` or `ipip_pools_from_json` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_pools(Vec<(Pool, CString, CString)>);

/// The pools, by name.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_pools(
    ipam: Option<&ipip_ipam>,
    pools_out: Option<&mut MaybeUninit<*mut ipip_pools>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(pools_out, "pools_out")?;
        give(out, ipam.0.pools()?.into_iter().collect());
        Ok(())
    })
}

/// The pool that `json` holds, as Calico stores it: a list of one, or of none if the pool is of IPv6.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
///
/// # Safety
/// `json` is NULL or points to `json_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pools_from_json(
    json: *const u8,
    json_len: usize,
    pools_out: Option<&mut MaybeUninit<*mut ipip_pools>>,
) -> ipip_status {
    guard(|| {
        let out = required(pools_out, "pools_out")?;
        // SAFETY: the caller's duty, as documented.
        let json = unsafe { octets(json, json_len, "json") }?;
        give(out, Pool::from_json(json)?.into_iter().collect());
        Ok(())
    })
}

impl FromIterator<Pool> for ipip_pools {
    fn from_iter<I: IntoIterator<Item = Pool>>(pools: I) -> Self {
        let named = |pool: Pool| {
            // Malformed, it selects no node.
            let selector = pool.node_selector();
            let selector = selector.map_or("!all()", |selector| selector.as_str());
            let (name, selector) = (c_text(pool.name()), c_text(selector));
            (pool, name, selector)
        };
        Self(pools.into_iter().map(named).collect())
    }
}

/// How many pools there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_pools_count(pools: Option<&ipip_pools>) -> usize {
    or(0, || pools.map_or(0, |pools| pools.0.len()))
}

/// The pool `index`, counted from 0; its strings live as long as `pools`. A node selector that is
/// malformed is told as "!all()": it selects no node either.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_pools_get(
    pools: Option<&ipip_pools>,
    index: usize,
    pool_out: Option<&mut MaybeUninit<ipip_pool>>,
) -> ipip_status {
    guard(|| {
        let pools = &required(pools, "pools")?.0;
        let out = required(pool_out, "pool_out")?;
        let (pool, name, selector) = at(pools, index, "pool")?;
        let uses = pool.allowed_uses().map(|one| match one {
            Use::Workload => ipip_pool_use::Workload as u32,
            Use::Tunnel => ipip_pool_use::Tunnel as u32,
            Use::LoadBalancer => ipip_pool_use::LoadBalancer as u32,
        });
        out.write(ipip_pool {
            name: name.as_ptr(),
            cidr: pool.cidr().into(),
            block_len: pool.block_len(),
            disabled: pool.is_disabled().into(),
            nat_outgoing: pool.nat_outgoing().into(),
            ipip_mode: match pool.ipip_mode() {
                IpipMode::Never => ipip_mode::Never,
                IpipMode::Always => ipip_mode::Always,
                IpipMode::CrossSubnet => ipip_mode::CrossSubnet,
            } as u32,
            node_selector: match selector.is_empty() {
                true => ptr::null(),
                false => selector.as_ptr(),
            },
            allowed_uses: uses.fold(0, |bits, bit| bits | bit),
            assignment_mode: match pool.assignment_mode() {
                AssignmentMode::Automatic => ipip_assignment_mode::Automatic,
                AssignmentMode::Manual => ipip_assignment_mode::Manual,
            } as u32,
        });
        Ok(())
    })
}

/// Frees the list; the pools stay. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_pools_free(pools: Option<Box<ipip_pools>>) {
    or((), || drop(pools));
}

/// Changes the pool of the same name to what `pool` says; what is stored beside these fields stays, and so
/// do addresses and blocks in use.
///
/// IPIP_STATUS_NOT_FOUND, and IPIP_STATUS_INVALID_ARGUMENT with the reason if the prefix or the block size
/// would change.
///
/// # Safety
/// `pool` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_update_pool(
    ipam: Option<&ipip_ipam>,
    pool: Option<&ipip_pool>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        ipam.0.update_pool(&pool)?;
        Ok(())
    })
}

/// Lets nothing be assigned or claimed from a pool any more; what is in use stays so.
///
/// IPIP_STATUS_NOT_FOUND.
///
/// # Safety
/// `pool` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_disable_pool(
    ipam: Option<&ipip_ipam>,
    pool: *const c_char,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        Ok(ipam.0.disable_pool(unsafe { text(pool, "pool") }?)?)
    })
}

/// Ends what `ipip_ipam_disable_pool` began.
///
/// IPIP_STATUS_NOT_FOUND.
///
/// # Safety
/// `pool` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_enable_pool(
    ipam: Option<&ipip_ipam>,
    pool: *const c_char,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        Ok(ipam.0.enable_pool(unsafe { text(pool, "pool") }?)?)
    })
}

/// Deletes a pool: it is disabled, its blocks are given up, the empty ones deleted, then it is deleted.
/// Addresses in use stay so, and can be released as before. The outcome, which may be NULL, has the lists
/// Deleted, Orphaned and Remaining. A call that ended early leaves the pool disabled; the next goes on.
///
/// IPIP_STATUS_NOT_FOUND.
///
/// # Safety
/// `pool` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_delete_pool(
    ipam: Option<&ipip_ipam>,
    pool: *const c_char,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let deletion = ipam.0.delete_pool(unsafe { text(pool, "pool") }?)?;
        if let Some(out) = outcome_out {
            give(out, deletion.into());
        }
        Ok(())
    })
}

/// The configuration that is stored, or the one that counts where none is.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_config(
    ipam: Option<&ipip_ipam>,
    config_out: Option<&mut MaybeUninit<ipip_allocator_config>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(config_out, "config_out")?;
        out.write((&ipam.0.config()?).into());
        Ok(())
    })
}

/// Stores the configuration, whatever its fields were before, and keeps what Calico stores beside them.
/// Whoever changes what he has read takes `ipip_ipam_change_config`, which leaves alone what others
/// change meanwhile.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it breaks a rule.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_set_config(
    ipam: Option<&ipip_ipam>,
    config: Option<&ipip_allocator_config>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let config = required(config, "config")?.checked()?;
        Ok(ipam.0.set_config(&config)?)
    })
}

/// Changes the fields in which `after` differs from `before`, which was read, and leaves the others as
/// they are by now. `config_out`, which may be NULL, gets what is stored then. So of two who change
/// different fields at once none is undone, and of two who change one field the later counts.
///
/// IPIP_STATUS_INVALID_ARGUMENT if what would be stored breaks a rule.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_change_config(
    ipam: Option<&ipip_ipam>,
    before: Option<&ipip_allocator_config>,
    after: Option<&ipip_allocator_config>,
    config_out: Option<&mut MaybeUninit<ipip_allocator_config>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let (before, after) = (required(before, "before")?, required(after, "after")?);
        let (before, after) = (before.unchecked()?, after.unchecked()?);
        let stored = ipam.0.change_config(&before, &after)?;
        if let Some(out) = config_out {
            out.write((&stored).into());
        }
        Ok(())
    })
}

/// Stores a reservation; addresses of it that are assigned stay so.
///
/// IPIP_STATUS_ALREADY_EXISTS.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_create_reservation(
    ipam: Option<&ipip_ipam>,
    reservation: Option<&ipip_reservation>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let reservation = required(reservation, "reservation")?;
        Ok(ipam.0.create_reservation(&reservation.0)?)
    })
}

/// Deletes a reservation.
///
/// IPIP_STATUS_NOT_FOUND.
///
/// # Safety
/// `reservation` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_delete_reservation(
    ipam: Option<&ipip_ipam>,
    reservation: *const c_char,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(reservation, "reservation") }?;
        Ok(ipam.0.delete_reservation(name)?)
    })
}

/// The reservations of a store, read at one instant.
///
/// Ownership: whoever got it from `ipip_ipam_reservations` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_reservations(Vec<Reservation>);

/// The reservations, by name.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_reservations(
    ipam: Option<&ipip_ipam>,
    reservations_out: Option<&mut MaybeUninit<*mut ipip_reservations>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(reservations_out, "reservations_out")?;
        give(out, ipip_reservations(ipam.0.reservations()?));
        Ok(())
    })
}

/// How many reservations there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reservations_count(reservations: Option<&ipip_reservations>) -> usize {
    or(0, || reservations.map_or(0, |all| all.0.len()))
}

/// A copy of the reservation `index`, counted from 0; the caller frees it with `ipip_reservation_free`.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reservations_get(
    reservations: Option<&ipip_reservations>,
    index: usize,
    reservation_out: Option<&mut MaybeUninit<*mut ipip_reservation>>,
) -> ipip_status {
    guard(|| {
        let all = &required(reservations, "reservations")?.0;
        let out = required(reservation_out, "reservation_out")?;
        give(
            out,
            ipip_reservation(at(all, index, "reservation")?.clone()),
        );
        Ok(())
    })
}

/// Frees the list; the reservations stay. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reservations_free(reservations: Option<Box<ipip_reservations>>) {
    or((), || drop(reservations));
}

pub(crate) fn at<'a, T>(all: &'a [T], index: usize, what: &str) -> Result<&'a T, Failure> {
    all.get(index).ok_or_else(|| {
        let text = format!("{what} {index} of {}, counted from 0", all.len());
        Failure::new(ipip_status::NotFound, text)
    })
}
