//! What a node does not hold although a record speaks of it, and why.

use std::fmt;

use super::OverlayError;
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::NodeName;
use crate::resource::IpipMode;

/// A block or an address that nothing is done for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// The block, or the address as a /32.
    pub prefix: Ipv4Prefix,
    /// Why.
    pub reason: WithheldReason,
}

/// Why nothing is done for a block or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WithheldReason {
    /// No pool holds the block, so nothing says how it is reached.
    #[error("it lies in no pool")]
    NoPool,
    /// Its pool is one of VXLAN's, which is somebody else's to do.
    #[error("pool {pool} is encapsulated by VXLAN, mode {mode}")]
    Vxlan {
        /// The pool's name.
        pool: String,
        /// Its VXLAN mode.
        mode: IpipMode,
    },
    /// Its node has no record that can be read.
    #[error("node {node} is not known")]
    NodeUnknown {
        /// The node.
        node: String,
    },
    /// Its node's record has no address: the route waits until it has one.
    #[error("node {node} has no address")]
    NoAddress {
        /// The node.
        node: NodeName,
    },
    /// Its node's address is no host's, or our own.
    #[error("node {node} has address {addr}, which must be another host's")]
    BadAddress {
        /// The node.
        node: NodeName,
        /// The address.
        addr: NodeAddr,
    },
    /// Its pool asks for no encapsulation, and its node is in another subnet: the routers between must
    /// know the way, and telling them is BGP's affair.
    #[error("node {node} is in another subnet, and the pool asks for no encapsulation")]
    OtherSubnet {
        /// The node.
        node: NodeName,
    },
    /// It holds the address that the tunnel would send to: the packets would go round and round.
    #[error("it holds the address {addr} of its node, which is reached through it")]
    HoldsItsNode {
        /// The node's address.
        addr: NodeAddr,
    },
    /// The node's record names a tunnel address that a block says is another's.
    #[error("the tunnel address of node {node} is assigned to node {assigned}")]
    TunnelAddressTaken {
        /// The node whose record says so.
        node: NodeName,
        /// Whom the block names.
        assigned: String,
    },
    /// It is an address of this node, and its attributes name no namespace and pod: it is not wired.
    #[error("its attributes name no namespace and pod")]
    NoWorkload,
    /// Its attributes name a workload that there cannot be.
    #[error(transparent)]
    Workload(#[from] OverlayError),
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.prefix, self.reason)
    }
}
