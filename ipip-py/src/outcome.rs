//! What the allocator answers: what was assigned, released, given up and collected.

use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipip_core::addr::Ipv4Prefix;
use ipip_core::error_chain;
use ipip_core::ipam::{self, Assigned, RefusedBlock, Remaining, Shortfall};
use ipnetwork::Ipv4Network;
use pyo3::prelude::*;

use crate::args::{self, Given, Network};
use crate::attributes::Released;
use crate::block::Assignment;
use crate::errors;

/// A block that is a node's.
#[pyclass(frozen, eq, hash, get_all, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Claimed {
    /// The block's prefix.
    block: Network,
    /// Whether this call claimed it; otherwise it was the node's before.
    newly: bool,
}

impl From<ipam::Claimed> for Claimed {
    fn from(claimed: ipam::Claimed) -> Self {
        Self {
            block: claimed.block.into(),
            newly: claimed.newly,
        }
    }
}

#[pymethods]
impl Claimed {
    fn __repr__(&self) -> String {
        let newly = args::boolean(self.newly);
        format!("<Claimed {} newly={newly}>", self.block.0)
    }
}

impl Assignment {
    pub(crate) fn new(py: Python<'_>, assigned: &Assigned) -> PyResult<Self> {
        let block = Ipv4Prefix::try_from(assigned.block);
        Ok(Self {
            address: assigned.addr,
            sequence: assigned.sequence.0,
            block: block.map_err(|fault| errors::invalid(py)(&fault))?,
            borrowed: assigned.borrowed,
        })
    }
}

/// What assign_many assigned, and why it is less than was asked for.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct Assignments {
    /// The addresses.
    assigned: Vec<Assignment>,
    /// Why they are fewer, in one word: "pools_exhausted", "strict_affinity", "block_limit",
    /// "auto_allocation_off", or "failed" if the store failed after the first block; None if they are
    /// all.
    shortfall: Option<&'static str>,
    /// The same as a sentence.
    shortfall_text: Option<String>,
}

impl Assignments {
    pub(crate) fn new(py: Python<'_>, found: ipam::Assignments) -> PyResult<Self> {
        let assigned = found.assigned.iter();
        Ok(Self {
            assigned: assigned
                .map(|one| Assignment::new(py, one))
                .collect::<PyResult<_>>()?,
            shortfall: found.shortfall.as_ref().map(word_of),
            shortfall_text: found.shortfall.map(|shortfall| shortfall.to_string()),
        })
    }
}

fn word_of(shortfall: &Shortfall) -> &'static str {
    match shortfall {
        Shortfall::PoolsExhausted { .. } => "pools_exhausted",
        Shortfall::StrictAffinity { .. } => "strict_affinity",
        Shortfall::BlockLimit { .. } => "block_limit",
        Shortfall::AutoAllocationOff => "auto_allocation_off",
        _ => "failed",
    }
}

#[pymethods]
impl Assignments {
    fn __repr__(&self) -> String {
        let short = self.shortfall.unwrap_or("None");
        format!("<Assignments {} shortfall={short}>", self.assigned.len())
    }
}

/// What release_many released, and what it did not.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct ReleasedMany {
    /// What was released.
    released: Vec<Released>,
    /// The addresses that nobody had, in order.
    not_assigned: Vec<Ipv4Addr>,
    /// The blocks of which nothing was released, each with the reason.
    refused: Vec<(Network, String)>,
}

impl From<ipam::ReleasedMany> for ReleasedMany {
    fn from(many: ipam::ReleasedMany) -> Self {
        Self {
            released: released(many.released),
            not_assigned: many.not_assigned,
            refused: refused(many.refused),
        }
    }
}

#[pymethods]
impl ReleasedMany {
    fn __repr__(&self) -> String {
        format!(
            "<ReleasedMany released={} not_assigned={} refused={}>",
            self.released.len(),
            self.not_assigned.len(),
            self.refused.len()
        )
    }
}

/// What became of the blocks of a pool that was deleted.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct PoolDeletion {
    /// The blocks that were empty and are gone, in order.
    deleted: Vec<Network>,
    /// The blocks that have addresses still, in order: nobody owns them.
    orphaned: Vec<Network>,
    /// The addresses in them, with their handles: somebody may be using each.
    remaining: Vec<(Ipv4Addr, Option<String>)>,
}

impl From<ipam::PoolDeletion> for PoolDeletion {
    fn from(deletion: ipam::PoolDeletion) -> Self {
        Self {
            deleted: networks(deletion.deleted),
            orphaned: networks(deletion.orphaned),
            remaining: remaining(deletion.remaining),
        }
    }
}

#[pymethods]
impl PoolDeletion {
    fn __repr__(&self) -> String {
        format!(
            "<PoolDeletion deleted={} orphaned={} remaining={}>",
            self.deleted.len(),
            self.orphaned.len(),
            self.remaining.len()
        )
    }
}

/// What was done to remove a node.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct NodeRemoval {
    /// The addresses that were released, wherever they were.
    released: Vec<Released>,
    /// Its blocks that were empty then and are gone, in order.
    deleted: Vec<Network>,
    /// Its blocks with addresses that nothing says are the node's: nobody owns them now.
    orphaned: Vec<Network>,
    /// The addresses in those, with their handles.
    remaining: Vec<(Ipv4Addr, Option<String>)>,
    /// The blocks of which nothing was released, each with the reason.
    refused: Vec<(Network, String)>,
    /// The keys of blocks that are damaged: whether the node has addresses there nobody can tell.
    unreadable: Vec<String>,
    /// Whether there was a record of it.
    had_record: bool,
}

impl From<ipam::NodeRemoval> for NodeRemoval {
    fn from(removal: ipam::NodeRemoval) -> Self {
        Self {
            released: released(removal.released),
            deleted: networks(removal.deleted),
            orphaned: networks(removal.orphaned),
            remaining: remaining(removal.remaining),
            refused: refused(removal.refused),
            unreadable: removal.unreadable,
            had_record: removal.had_record,
        }
    }
}

#[pymethods]
impl NodeRemoval {
    fn __repr__(&self) -> String {
        format!(
            "<NodeRemoval released={} deleted={} orphaned={}>",
            self.released.len(),
            self.deleted.len(),
            self.orphaned.len()
        )
    }
}

/// What Ipam.collect remembers from call to call: what looked useless, and since when.
///
/// grace is how many seconds everything is let be after it was seen first to be useless; 900 as a rule,
/// which is Calico's. It should be longer than a workload takes from asking for its address to being
/// alive.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Collector(Mutex<ipam::Collector>);

impl Collector {
    /// The collector, for one call at a time. Wait for it without the GIL.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ipam::Collector> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Collector {
    #[new]
    #[pyo3(signature = (grace=Given::Default), text_signature = "(grace=900.0)")]
    fn new(grace: Given<'_>) -> PyResult<Self> {
        let grace = grace.or(ipam::Collector::GRACE, |value| args::moment("grace", value))?;
        Ok(Self(Mutex::new(ipam::Collector::new(grace))))
    }

    #[expect(clippy::unused_self, reason = "a method of Python's")]
    fn __repr__(&self) -> &'static str {
        "<Collector>"
    }
}

/// What one call of Ipam.collect collected, and what it left.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct Collected {
    /// The addresses that were released.
    released: Vec<Released>,
    /// The blocks of which nothing was released, each with the reason.
    refused: Vec<(Network, String)>,
    /// The handles that had a record and no address, and have none now.
    handles: Vec<String>,
    /// The blocks that were empty and are gone, in order.
    blocks: Vec<Network>,
    /// How many addresses have cooled down and are free.
    cooled: u64,
    /// How many addresses, handles and blocks look useless, and have not done so for long enough.
    waiting: u64,
    /// How many addresses have no handle, so that nobody can tell whether they are needed.
    without_handle: u64,
    /// The keys of blocks that are damaged.
    unreadable: Vec<String>,
}

impl From<ipam::Collected> for Collected {
    fn from(collected: ipam::Collected) -> Self {
        Self {
            released: released(collected.released),
            refused: refused(collected.refused),
            handles: collected.handles,
            blocks: networks(collected.blocks),
            cooled: collected.cooled,
            waiting: collected.waiting,
            without_handle: collected.without_handle,
            unreadable: collected.unreadable,
        }
    }
}

#[pymethods]
impl Collected {
    fn __repr__(&self) -> String {
        format!(
            "<Collected released={} handles={} blocks={} waiting={}>",
            self.released.len(),
            self.handles.len(),
            self.blocks.len(),
            self.waiting
        )
    }
}

fn networks(blocks: Vec<Ipv4Network>) -> Vec<Network> {
    blocks.into_iter().map(Network).collect()
}

fn released(all: Vec<ipip_core::resource::Released>) -> Vec<Released> {
    all.into_iter().map(Released::from).collect()
}

fn remaining(all: Vec<Remaining>) -> Vec<(Ipv4Addr, Option<String>)> {
    all.into_iter().map(|one| (one.addr, one.handle)).collect()
}

fn refused(blocks: Vec<RefusedBlock>) -> Vec<(Network, String)> {
    let blocks = blocks.into_iter();
    blocks
        .map(|one| (one.block.into(), error_chain(&one.error)))
        .collect()
}
