//! A node that takes part: what it holds between its calls.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::counters::Tally;
use super::live::Live;
use super::progress::Turns;
use super::underlay::{self, Underlay};
use super::{DataPath, DataPathState, NodeConfig, NodeCounters, NodeError};
use crate::addr::NodeAddr;
use crate::cluster::View;
use crate::datapath::{Counters, DataPathKind};
use crate::datastore::Store;
use crate::ipam::{Ambient, Ipam};
use crate::mtu::MtuChain;
use crate::name::NodeName;
use crate::netlink::Kernel;
use crate::plan::{Change, Observed, Route, RouteKey, SettingBefore, Step};
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
    pub(super) tally: Arc<Tally>,
    pub(super) turns: Arc<Turns>,
}

/// Who carries a node's packets.
#[derive(Debug, Default)]
pub(super) enum Carrier {
    /// Nobody need.
    #[default]
    Idle,
    /// This one, while it is held here if it is in user space.
    This(DataPath),
    /// Another process of this node.
    Another,
    /// Nobody can, and why.
    Nobody(String),
}

/// What a node remembers between its calls, and only one call at a time may change.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The cluster as it was read last.
    pub(super) view: Option<View>,
    /// What the node should hold by that view.
    pub(super) live: Option<Live>,
    /// Who carries the packets.
    pub(super) data_path: Carrier,
    /// The node's address that it carries them for.
    pub(super) carried_for: Option<NodeAddr>,
    /// Why there can be no guard here.
    pub(super) no_guard: Option<String>,
    /// The routes that are known to be ours.
    pub(super) known: HashSet<RouteKey>,
    /// What settings were before we changed them.
    pub(super) before: Vec<SettingBefore>,
}

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
            tally: Arc::default(),
            turns: Arc::default(),
        })
    }

    /// The same node, with what it remembers, that reads and writes its records through `store`.
    pub(super) fn through(&self, store: Arc<dyn Store>) -> Self {
        Self {
            config: self.config.clone(),
            netns: Arc::clone(&self.netns),
            ipam: Ipam::new(Arc::clone(&store), self.ambient.clone()),
            store,
            ambient: self.ambient.clone(),
            tally: Arc::clone(&self.tally),
            turns: Arc::clone(&self.turns),
        }
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

    /// What it did since this value was made.
    #[must_use]
    pub fn counters(&self) -> NodeCounters {
        self.tally.read()
    }

    /// What the data path of this value carried and dropped since it was started; it waits for calls that
    /// change the kernel. Where the kernel's driver carries, what its device counts (`ip -s link show tunl0`), see
    /// [`Counters::of_driver`]. `None` where another process carries, and before the first pass.
    ///
    /// # Errors
    /// [`NodeError::DataPath`] if the kernel does not let the counters of eBPF programs be read, [`NodeError::Kernel`] if
    /// the driver's device is gone, [`NodeError::InProgress`] if the node's own listener asks.
    pub fn traffic(&self) -> Result<Option<Counters>, NodeError> {
        match &self.turn()?.data_path {
            Carrier::This(path) => path.counters().map(Some),
            _ => Ok(None),
        }
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

    /// The MTUs of the tunnel and of the workloads.
    pub(super) fn mtu(&self, underlay: &Underlay) -> Result<MtuChain, NodeError> {
        Ok(MtuChain::try_new(underlay.mtu, self.config.mtu)?)
    }
}

impl State {
    /// Whether not the kernel's driver carries the packets, but whoever made the tunnel device.
    pub(super) fn is_carried_outside(&self) -> bool {
        match &self.data_path {
            Carrier::This(path) => path.kind() != DataPathKind::Kernel,
            Carrier::Another => true,
            Carrier::Idle | Carrier::Nobody(_) => false,
        }
    }

    pub(super) fn data_path_state(&self) -> DataPathState {
        match &self.data_path {
            Carrier::Idle => DataPathState::Idle,
            Carrier::This(path) => DataPathState::Running {
                kind: path.kind(),
                reason: path.reason().to_owned(),
            },
            Carrier::Another => DataPathState::Elsewhere,
            Carrier::Nobody(reason) => DataPathState::Unavailable {
                reason: reason.clone(),
            },
        }
    }

    /// Keeps of `adopted` what is news: a route that was not there before, and that we did not put there.
    pub(super) fn notice(&mut self, adopted: &mut Vec<Route>, done: &[Step]) {
        adopted.retain(|route| self.known.insert(route.key()));
        for step in done {
            if let Change::AddRoute(route) | Change::ReplaceRoute(route) = &step.change {
                self.known.insert(route.key());
            }
        }
    }

    /// Keeps what settings were, the first time that they are changed.
    pub(super) fn remember(&mut self, before: Vec<SettingBefore>) {
        for one in before {
            let is_it =
                |kept: &SettingBefore| (&kept.name, kept.setting) == (&one.name, one.setting);
            if !self.before.iter().any(is_it) {
                self.before.push(one);
            }
        }
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
