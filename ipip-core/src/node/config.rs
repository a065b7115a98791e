//! What a node is told about itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::progress::{Listener, Progress};
use crate::datapath::Choice;
use crate::mtu::TunnelMtu;
use crate::name::{InterfaceName, NodeName};
use crate::overlay::Policy;
use crate::sys::netns::Netns;

/// The network of the handles where nobody says otherwise: that of Calico's CNI configuration.
pub const NETWORK: &str = "k8s-pod-network";

/// How long a pass of [`Node::run`](super::Node::run) takes at most where nobody says otherwise.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a node takes part: who it is, where, and what it may do. All but its name has a default.
///
/// ```
/// use ipip_core::name::{InterfaceName, NodeName};
/// use ipip_core::node::NodeConfig;
/// let config = NodeConfig::new(NodeName::try_new("node-a")?)
///     .with_underlay(InterfaceName::try_new("eth0")?)
///     .with_label("zone", "west");
/// assert_eq!(config.name().as_str(), "node-a");
/// # Ok::<(), ipip_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub(super) name: NodeName,
    pub(super) netns: Option<Arc<Netns>>,
    pub(super) underlay: UnderlaySelector,
    pub(super) mtu: Option<TunnelMtu>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) policy: Policy,
    pub(super) choice: Choice,
    pub(super) guard: bool,
    pub(super) network: String,
    pub(super) deadline: Duration,
    pub(super) progress: Option<Listener>,
}

/// How the underlay is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnderlaySelector {
    /// The interface of the default route, else the only one that is up and has a global IPv4 address.
    #[default]
    Auto,
    /// This interface, by its one IPv4 address.
    Interface(InterfaceName),
    /// The interface that holds this address.
    Address(Ipv4Addr),
}

impl NodeConfig {
    /// The node `name`, in the caller's network namespace, with everything else as a rule.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            netns: None,
            underlay: UnderlaySelector::Auto,
            mtu: None,
            labels: BTreeMap::new(),
            policy: Policy::default(),
            choice: Choice::Auto,
            guard: true,
            network: NETWORK.to_owned(),
            deadline: DEADLINE,
            progress: None,
        }
    }

    /// The same node in the namespace `netns`.
    #[must_use]
    pub fn with_netns(self, netns: Netns) -> Self {
        Self {
            netns: Some(Arc::new(netns)),
            ..self
        }
    }

    /// The same node, reached by the others through `interface`, which must have one IPv4 address.
    #[must_use]
    pub fn with_underlay(self, interface: InterfaceName) -> Self {
        Self {
            underlay: UnderlaySelector::Interface(interface),
            ..self
        }
    }

    /// The same node, reached by the others at `addr`, whatever interface holds it.
    #[must_use]
    pub fn with_underlay_address(self, addr: Ipv4Addr) -> Self {
        Self {
            underlay: UnderlaySelector::Address(addr),
            ..self
        }
    }

    /// The same node with this MTU inside the tunnel and in its workloads, not the underlay's less 20
    /// octets: where the path between the nodes carries less than the interface says.
    #[must_use]
    pub fn with_mtu(self, mtu: TunnelMtu) -> Self {
        Self {
            mtu: Some(mtu),
            ..self
        }
    }

    /// The same node with the label `key`, by which pools select nodes. Labels that others stored stay.
    #[must_use]
    pub fn with_label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same node with routes as `policy` says: their mark, their metric, whose are taken over.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same node with this data path.
    #[must_use]
    pub fn with_data_path(self, choice: Choice) -> Self {
        Self { choice, ..self }
    }

    /// The same node without the guard against forged tunnel packets, or with it, which is the rule.
    #[must_use]
    pub fn with_guard(self, guard: bool) -> Self {
        Self { guard, ..self }
    }

    /// The same node with handles `NETWORK.CONTAINER` of another network than [`NETWORK`].
    #[must_use]
    pub fn with_network(self, network: &str) -> Self {
        Self {
            network: network.to_owned(),
            ..self
        }
    }

    /// The same node with passes of [`Node::run`](super::Node::run) that take no longer than this, by
    /// default 30 s. A pass whose time is over ends between two batches of changes in the kernel, but never
    /// before the first, and the next one goes on where it ended; a store that has not answered by then,
    /// or for 5 s if that is longer, counts as one that cannot be read. Other calls take the time that they need.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same node, which calls `tell` while it works on many objects in the kernel: on the thread of
    /// the call, each time the kernel has answered a batch of changes (64 KiB, 1,260 routes; 128
    /// containers attached, 24 detached), and never once the call has returned. A call that has nothing to do in the
    /// kernel tells nothing, and a run nothing of a route that it puts back at once.
    ///
    /// The call has the node's turn meanwhile: what `tell` asks of the node itself is answered by
    /// [`NodeError::InProgress`](super::NodeError::InProgress), and calls of other threads wait. A panic in it ends the
    /// call between two batches; the next call goes on from there.
    ///
    /// ```
    /// use ipip_core::name::NodeName;
    /// use ipip_core::node::NodeConfig;
    /// let config = NodeConfig::new(NodeName::try_new("node-a")?)
    ///     .with_progress(|p| eprintln!("{}: {} of {}", p.task, p.done, p.total));
    /// # Ok::<(), ipip_core::name::NameError>(())
    /// ```
    #[must_use]
    pub fn with_progress(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self {
            progress: Some(Listener::new(tell)),
            ..self
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }
}
