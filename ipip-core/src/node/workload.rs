//! A container of a pod, as a container runtime names it.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::NodeError;
use crate::name::{HandleId, InterfaceName};
use crate::overlay::well_known;

/// Which container of which pod: what a runtime repeats when it asks again, and when it takes the
/// container away. A pod that is made anew has the same names and another container.
///
/// ```
/// let id = ipip_core::node::WorkloadId::new("default", "podA", "3a1f0c5e9d7b");
/// assert_eq!(id.to_string(), "default.podA 3a1f0c5e9d7b");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    /// The Kubernetes namespace, such as "default".
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's id, 64 hexadecimal digits as a rule.
    pub container_id: String,
}

/// A container to be attached to the pod network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Which it is.
    pub id: WorkloadId,
    /// A path to its network namespace, such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    pub netns: PathBuf,
    /// The interface that it gets, normally `eth0`.
    pub interface: InterfaceName,
    /// The address that it must have; `None` takes any.
    pub address: Option<Ipv4Addr>,
}

impl WorkloadId {
    /// The container `container_id` of the pod `namespace`, `pod`.
    #[must_use]
    pub fn new(namespace: &str, pod: &str, container_id: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container_id: container_id.to_owned(),
        }
    }

    /// The handle of its address: `NETWORK.CONTAINER`, as Calico's CNI plugin has it.
    pub(super) fn handle(&self, network: &str) -> Result<HandleId, NodeError> {
        let text = format!("{network}.{}", self.container_id);
        let named = HandleId::try_new(&text)?;
        if network.is_empty() || self.container_id.is_empty() {
            return Err(NodeError::Unnamed { handle: text });
        }
        Ok(named)
    }
}

impl Workload {
    /// The container `id` in the namespace at `netns`, with `eth0` and any address.
    #[must_use]
    pub fn new(id: WorkloadId, netns: impl Into<PathBuf>) -> Self {
        Self {
            id,
            netns: netns.into(),
            interface: well_known("eth0"),
            address: None,
        }
    }
}

impl std::fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} {}", self.namespace, self.pod, self.container_id)
    }
}
