//! A node that takes part: what it holds between its calls.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::underlay::{self, Underlay};
use super::{NodeConfig, NodeError};
use crate::datastore::Store;
use crate::ipam::{Ambient, Ipam};
use crate::mtu::TunnelMtu;
use crate::name::NodeName;
use crate::netlink::Kernel;
use crate::plan::Observed;
use crate::resource::Node as NodeRecord;
use crate::sys::netns::Netns;

/// A node of the pod network.
///
/// Everything that lasts is in the store and in the kernel: a value that is dropped, or a process that
/// ends, takes nothing down (but for a user-space data path, which lives in the process that carries
/// the packets), and the next [`Node::join`] or [`Node::open`] goes on from what it finds. Any number
/// of threads may call the methods of one value; those that change the kernel take turns.
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) netns: Arc<Netns>,
    pub(super) ipam: Ipam,
    pub(super) store: Arc<dyn Store>,
    pub(super) ambient: Ambient,
    turn: Mutex<State>,
}

/// What a node remembers between its calls, and only one call at a time may change.
#[derive(Debug, Default)]
pub(super) struct State {}

impl Node {
    /// The node as `config` says, without a look at the store or the kernel.
    pub(super) fn new(
        store: Arc<dyn Store>,
        config: NodeConfig,
        ambient: Ambient,
    ) -> Result<Self, NodeError> {
        let netns = match &config.netns {
            Some(netns) => Arc::clone(netns),
            None => Arc::new(Netns::current()?),
        };
        Ok(Self {
            ipam: Ipam::new(Arc::clone(&store), ambient.clone()),
            netns,
            config,
            store,
            ambient,
            turn: Mutex::default(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.config.name
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Waits until no other call of this value changes the kernel.
    pub(super) fn turn(&self) -> MutexGuard<'_, State> {
        // What a call that panicked has remembered is true; what it did not do, the next one finds.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel in the node's namespace.
    pub(super) fn kernel(&self) -> Result<Kernel, NodeError> {
        Ok(Kernel::open(&self.netns)?)
    }

    /// The node's record, which it has once it joined.
    pub(super) fn record(&self) -> Result<NodeRecord, NodeError> {
        let record = self.ipam.node(self.name())?;
        record
            .filter(|record| record.addr().is_some())
            .ok_or_else(|| self.not_joined())
    }

    pub(super) fn not_joined(&self) -> NodeError {
        NodeError::NotJoined {
            node: self.name().to_string(),
        }
    }

    /// The underlay among what was `observed`, for a node that others know by `record`.
    pub(super) fn underlay(
        &self,
        observed: &Observed,
        record: Option<&NodeRecord>,
    ) -> Result<Underlay, NodeError> {
        let known = record.and_then(NodeRecord::addr).map(|addr| addr.0);
        Ok(underlay::choose(observed, &self.config.underlay, known)?)
    }

    /// The MTU inside the tunnel and of its workloads.
    pub(super) fn mtu(&self, underlay: &Underlay) -> TunnelMtu {
        self.config.mtu.unwrap_or_else(|| underlay.mtu.tunnel())
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("config", &self.config)
            .field("netns", &self.netns)
            .finish_non_exhaustive()
    }
}
