//! The nodes of a store, and the addresses of their tunnel devices.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;

use ipip_core::name::NodeName;
use ipip_core::resource::Node;

use crate::addr::ipip_ipv4;
use crate::admin::at;
use crate::boundary::{give, guard, or, required, text};
use crate::error::Failure;
use crate::ipam::ipip_ipam;
use crate::node_record::ipip_node_record;
use crate::outcome::ipip_outcome;
use crate::status::ipip_status;

/// The nodes that have a record, read at one instant.
///
/// Ownership: whoever got it from `ipip_ipam_nodes` frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_node_records(Vec<Node>);

/// The nodes that have a record, by name.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_nodes(
    ipam: Option<&ipip_ipam>,
    records_out: Option<&mut MaybeUninit<*mut ipip_node_records>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(records_out, "records_out")?;
        give(out, ipip_node_records(ipam.0.nodes()?));
        Ok(())
    })
}

/// How many nodes there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_records_count(records: Option<&ipip_node_records>) -> usize {
    or(0, || records.map_or(0, |records| records.0.len()))
}

/// A copy of the record `index`, counted from 0; the caller frees it with `ipip_node_record_free`.
///
/// IPIP_STATUS_NOT_FOUND if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_records_get(
    records: Option<&ipip_node_records>,
    index: usize,
    record_out: Option<&mut MaybeUninit<*mut ipip_node_record>>,
) -> ipip_status {
    guard(|| {
        let records = &required(records, "records")?.0;
        let out = required(record_out, "record_out")?;
        give(out, ipip_node_record(at(records, index, "node")?.clone()));
        Ok(())
    })
}

/// Frees the list; the nodes stay. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_records_free(records: Option<Box<ipip_node_records>>) {
    or((), || drop(records));
}

/// The record of `node`; the caller frees it with `ipip_node_record_free`.
///
/// IPIP_STATUS_NOT_FOUND if there is none.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_node(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    record_out: Option<&mut MaybeUninit<*mut ipip_node_record>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let out = required(record_out, "record_out")?;
        // SAFETY: the caller's duty, as documented.
        let name = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let record = ipam.0.node(&name)?.ok_or_else(|| {
            let text = format!("node {name} has no record");
            Failure::new(ipip_status::NotFound, text)
        })?;
        give(out, ipip_node_record(record));
        Ok(())
    })
}

/// Stores the labels and addresses of a node. The address of its tunnel device stays if `record` has none,
/// and so do fields that we do not know.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ipam_put_node(
    ipam: Option<&ipip_ipam>,
    record: Option<&ipip_node_record>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        Ok(ipam.0.put_node(&required(record, "record")?.0)?)
    })
}

/// Removes a node that is gone: its addresses are released, its blocks given up, the empty ones deleted,
/// then its record is deleted. The outcome, which may be NULL, has every list but NotAssigned and Handles.
/// A node that nothing is known of is removed already; a call that ended early is completed by the next.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_remove_node(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let name = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let removal = ipam.0.remove_node(&name)?;
        if let Some(out) = outcome_out {
            give(out, removal.into());
        }
        Ok(())
    })
}

/// The address of the tunnel device of `node`, assigned and written into the node's record if it has none.
/// `has_out` is 1, or 0 if no pool that encapsulates by IPIP serves the node; `address_out` is 0.0.0.0
/// then.
///
/// IPIP_STATUS_POOL_EXHAUSTED if there is no address left.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_ensure_tunnel_address(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    has_out: Option<&mut MaybeUninit<c_int>>,
    address_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        let has_out = required(has_out, "has_out")?;
        let address_out = required(address_out, "address_out")?;
        // SAFETY: the caller's duty, as documented.
        let name = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let found = ipam.0.ensure_tunnel_address(&name)?;
        has_out.write(found.is_some().into());
        let none = Ipv4Addr::UNSPECIFIED;
        address_out.write(found.map_or(none, |addr| addr.0).into());
        Ok(())
    })
}

/// Releases the address of the tunnel device of `node`, and takes it out of the node's record; it may have
/// none. `count_out` (may be NULL) is how many addresses were released.
///
/// # Safety
/// `node` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipam_release_tunnel_address(
    ipam: Option<&ipip_ipam>,
    node: *const c_char,
    count_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let ipam = required(ipam, "ipam")?;
        // SAFETY: the caller's duty, as documented.
        let name = NodeName::try_new(unsafe { text(node, "node") }?)?;
        let released = ipam.0.release_tunnel_address(&name)?;
        if let Some(out) = count_out {
            out.write(released.len());
        }
        Ok(())
    })
}
