//! A whole node of the pod network.

use std::mem::MaybeUninit;
use std::sync::Arc;

use ipip_core::datastore::Store;
use ipip_core::ipam::Ambient;
use ipip_core::node::{LeaveOptions, Node, NodeConfig, NodeCounters, NodeError, Stop};

use crate::boundary::{Out, flag, give, guard, or, required};
use crate::error::Failure;
use crate::node_config::ipip_node_config;
use crate::node_report::ipip_node_report;
use crate::outcome::ipip_outcome;
use crate::status::ipip_status;
use crate::store::ipip_store;

/// A node of the pod network: its record and addresses in a store, and what they mean in its kernel.
///
/// Everything that lasts is in the store and in the kernel. An object that is freed, or a process that
/// ends at any instant, takes nothing down, and the next `ipip_node_join` or `ipip_node_open` goes on from
/// what it finds. But IPIP_DATA_PATH_STATE_USERSPACE: there the object itself carries the packets.
///
/// Ownership: whoever got it from `ipip_node_join` or `ipip_node_open` frees it, after every call with it
/// has returned; it keeps what it needs of its store and namespace, so these may be freed before. Threads:
/// may share it without a lock; calls that change the kernel take turns.
#[derive(Debug)]
pub struct ipip_node {
    pub(crate) node: Node,
    pub(crate) stop: Stop,
}

/// What a node did since its object was made.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_node_counts {
    /// How often it compared what is with what should be.
    pub passes: u64,
    /// Passes that ended early, as the store or the kernel could not be read.
    pub errors: u64,
    /// Steps that were carried out.
    pub applied: u64,
    /// Steps that the kernel refused.
    pub failed: u64,
    /// Objects of others that were in the way; one that stays is counted in each pass.
    pub conflicts: u64,
    /// Changes in the kernel that were told.
    pub events: u64,
    /// Changes in the store that were told.
    pub changes: u64,
    /// Passes for which nothing was told: the time had come, or something told was lost.
    pub resyncs: u64,
    /// Passes of `ipip_node_run` whose time was over before their work.
    pub cut_short: u64,
}

/// Makes a node of this host: stores its record with its address and labels, gets an address for its
/// tunnel device, and brings about in the kernel what a node of this cluster holds, as `ipip_node_sync`.
/// A node that takes part already is found as it is, so a call that was interrupted is completed by the
/// next.
///
/// IPIP_STATUS_NO_UNDERLAY if it is not clear through which interface the others reach it (the text says
/// what to name), IPIP_STATUS_ADDRESS_TAKEN if another node has its address, IPIP_STATUS_POOL_EXHAUSTED if
/// no tunnel address is left, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT
/// for fields of `config` out of range; those of the store.
///
/// # Safety
/// - The strings of `config` and of its labels are NULL or end in a zero.
/// - Its other pointers are NULL or point to their objects, and `labels` to `labels_len` pairs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_join(
    store: Option<&ipip_store>,
    config: Option<&ipip_node_config>,
    node_out: Option<&mut MaybeUninit<*mut ipip_node>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let config = config.map(|config| unsafe { config.checked() });
        give_node(store, config, node_out, Node::join)
    })
}

/// The node of this host, which joined before, perhaps in another process: nothing is changed.
///
/// IPIP_STATUS_NOT_JOINED if the store has no address of it; else as `ipip_node_join`.
///
/// # Safety
/// As `ipip_node_join`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_open(
    store: Option<&ipip_store>,
    config: Option<&ipip_node_config>,
    node_out: Option<&mut MaybeUninit<*mut ipip_node>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let config = config.map(|config| unsafe { config.checked() });
        give_node(store, config, node_out, Node::open)
    })
}

/// Brings about what this node should hold of the cluster as it is now: the tunnel device, the host side
/// of its workloads, the routes to the blocks of the others, and the guard; and takes away what is ours
/// and should not be there. The caller frees the report with `ipip_node_report_free`.
///
/// What the kernel refuses is no failure of the call: the report names it, and the rest is done. Where
/// the store cannot be read, what was read last counts, and nothing is taken away.
///
/// IPIP_STATUS_NOT_JOINED, IPIP_STATUS_NO_UNDERLAY, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, those of
/// the store if it could never be read; nothing was changed then.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_sync(
    node: Option<&ipip_node>,
    report_out: Option<&mut MaybeUninit<*mut ipip_node_report>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let out = required(report_out, "report_out")?;
        give(out, node.node.sync()?.into());
        Ok(())
    })
}

/// What `ipip_node_sync` would do in the kernel now: the report has the lists Steps, Conflicts, Adopted
/// and Withheld, and its text is a script that does it. Nothing is changed, in the store neither.
///
/// Fails as `ipip_node_sync`.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_plan(
    node: Option<&ipip_node>,
    report_out: Option<&mut MaybeUninit<*mut ipip_node_report>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let out = required(report_out, "report_out")?;
        give(out, node.node.plan()?.into());
        Ok(())
    })
}

/// Takes this node off the pod network: our routes, the workloads' wires, our address on the tunnel device
/// and the guard, whoever's process made them; forwarding is set back where this object changed it. The
/// tunnel device goes only if we made it. Then its tunnel address is released. What is not ours stays.
///
/// With `forget` 1 the store forgets it as well: its record, the addresses of its workloads, its blocks;
/// `outcome_out` (may be NULL) has what `ipip_ipam_remove_node` would say, with all lists empty if that was
/// not asked for or could not be done. With 0 its workloads' addresses and blocks stay its own, for when it
/// joins again.
///
/// Everything is tried: the report has what was done and what was not in the lists Steps, Failed, Released
/// and Faults, and the next call completes it. Nobody should `ipip_node_run` the node meanwhile.
///
/// IPIP_STATUS_INVALID_ARGUMENT if `forget` is neither 0 nor 1; else as `ipip_node_sync`: nothing was done
/// then.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_leave(
    node: Option<&ipip_node>,
    forget: u8,
    report_out: Option<&mut MaybeUninit<*mut ipip_node_report>>,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let forget = flag(forget, "forget")?;
        let out = required(report_out, "report_out")?;
        let left = node.node.leave(&LeaveOptions { forget })?;
        if let Some(out) = outcome_out {
            give(out, left.removal.clone().unwrap_or_default().into());
        }
        give(out, left.into());
        Ok(())
    })
}

/// What the node did since its object was made. It does not wait for calls of other threads.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_counters(
    node: Option<&ipip_node>,
    counts_out: Option<&mut MaybeUninit<ipip_node_counts>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        required(counts_out, "counts_out")?.write(node.node.counters().into());
        Ok(())
    })
}

/// Frees the object; the node goes on taking part. No call with it may be under way. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_free(node: Option<Box<ipip_node>>) {
    or((), || drop(node));
}

/// Hands over what `make` makes; it is not called if there is nowhere to put it.
fn give_node(
    store: Option<&ipip_store>,
    config: Option<Result<NodeConfig, Failure>>,
    node_out: Out<'_, *mut ipip_node>,
    make: impl FnOnce(Arc<dyn Store>, NodeConfig, Ambient) -> Result<Node, NodeError>,
) -> Result<(), Failure> {
    let store = Arc::clone(&required(store, "store")?.0);
    let config = required(config, "config")??;
    let out = required(node_out, "node_out")?;
    let node = ipip_node {
        node: make(store, config, Ambient::system())?,
        stop: Stop::default(),
    };
    give(out, node);
    Ok(())
}

impl From<NodeCounters> for ipip_node_counts {
    fn from(counters: NodeCounters) -> Self {
        Self {
            passes: counters.passes,
            errors: counters.errors,
            applied: counters.applied,
            failed: counters.failed,
            conflicts: counters.conflicts,
            events: counters.events,
            changes: counters.changes,
            resyncs: counters.resyncs,
            cut_short: counters.cut_short,
        }
    }
}
