//! What can go wrong at the front desk.

use std::net::Ipv4Addr;

use super::UnderlayError;
use crate::cluster::ClusterError;
use crate::datapath::{ChooseError, DatapathError};
use crate::ipam::IpamError;
use crate::mtu::MtuOverrideError;
use crate::name::{InterfaceName, NameError};
use crate::netlink::{ApplyError, NetlinkError};
use crate::overlay::OverlayError;
use crate::plan::{Change, Conflict, Step};
use crate::sys::netns::NetnsError;

/// Why an object could not be brought to be, or taken away. What the call did before is taken back,
/// but for [`NodeError::HalfApplied`], and for a pair of ours that was deleted to be made anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A namespace cannot be opened or entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The kernel could not be asked, or refused a change of the guard; names the object and carries the
    /// kernel's words.
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
    /// The kernel refused a step; names it by its shell line, with the object and the kernel's words, as
    /// [`FailedStep`](super::FailedStep) does.
    #[error("{step}: {}", crate::error_chain(.cause))]
    Refused {
        /// The step.
        step: Box<Step>,
        /// Why; part of the message, so not chained.
        cause: Box<NetlinkError>,
    },
    /// Objects of somebody else are where ours should be, or one that must exist does not.
    #[error("{}", list(.0))]
    InTheWay(Vec<Conflict>),
    /// The kernel has no ipip driver, so it cannot make the tunnel device.
    #[error(
        "link {device}: this kernel has no ipip driver; load the module ipip, or have a data path that does without \
         (ensure_data_path, in Rust)"
    )]
    NoDriver {
        /// The device that was wanted.
        device: InterfaceName,
        /// What the kernel said.
        source: NetlinkError,
    },
    /// The guard cannot be had here.
    #[error("no guard")]
    NoGuard(#[source] NetlinkError),
    /// Nothing of the overlay can be like what was asked for.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// The data path that was asked for cannot be had.
    #[error(transparent)]
    Choice(#[from] ChooseError),
    /// A data path of ours cannot start, or the kernel refuses a change of it.
    #[error(transparent)]
    DataPath(#[from] DatapathError),
    /// No interface can be the underlay.
    #[error(transparent)]
    Underlay(#[from] UnderlayError),
    /// The underlay cannot carry the MTU that was asked for.
    #[error(transparent)]
    Mtu(#[from] MtuOverrideError),
    /// The allocator refused, or its store failed.
    #[error(transparent)]
    Ipam(#[from] IpamError),
    /// The cluster's records cannot be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A name is none: of a handle, with the network and the container that it is made of.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The network or the container's id is empty, so that its handle could be another's.
    #[error("handle {handle:?} must be of the form NETWORK.CONTAINER, neither empty")]
    Unnamed {
        /// What they would make.
        handle: String,
    },
    /// The node has no record in the store, or no address in it: it has not joined.
    #[error("node {node} has not joined: the store has no address of it")]
    NotJoined {
        /// The node.
        node: String,
    },
    /// The listener of the node's progress has called the node, which is at work on that thread.
    #[error("node {node} is at work, and tells of it: its progress callback must not call it")]
    InProgress {
        /// The node.
        node: String,
    },
    /// Another node has this underlay address, so that the others could not tell the two.
    #[error(
        "address {addr} of node {node} is that of node {other} already; one of them must change or be removed"
    )]
    AddressTaken {
        /// This node.
        node: String,
        /// The address.
        addr: Ipv4Addr,
        /// The node that has it.
        other: String,
    },
    /// The container has an address, and asks for another.
    #[error("container {container} has address {held}, and asks for {wanted}; detach it first")]
    OtherAddress {
        /// The container's id.
        container: String,
        /// The address that it has.
        held: Ipv4Addr,
        /// The address that it asks for.
        wanted: Ipv4Addr,
    },
    /// The call failed, and the address that it had assigned is still assigned: detach gives it back.
    #[error("{refused}; and address {addr} could not be given back: {release}")]
    NotGivenBack {
        /// Why the call failed.
        refused: Box<NodeError>,
        /// The address.
        addr: Ipv4Addr,
        /// Why not; part of the message, so not chained.
        release: Box<IpamError>,
    },
    /// The call failed and the steps before that could not all be taken back.
    #[error("{refused}; taking back the steps before it failed too: {undo}")]
    HalfApplied {
        /// Why the call failed.
        refused: Box<NodeError>,
        /// Why one could not be taken back.
        undo: Box<NetlinkError>,
    },
}

impl NodeError {
    /// Whether all that is wrong is that a link is missing which must exist.
    #[must_use]
    pub fn is_link_missing(&self) -> bool {
        let missing = |conflict: &Conflict| matches!(conflict, Conflict::LinkMissing { .. });
        matches!(self, Self::InTheWay(conflicts) if conflicts.iter().all(missing))
    }

    /// The kernel's error number, where the kernel refused something.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netns(error) => error.errno(),
            Self::HalfApplied { refused, .. } | Self::NotGivenBack { refused, .. } => {
                refused.errno()
            }
            Self::Kernel(error) | Self::NoDriver { source: error, .. } | Self::NoGuard(error) => {
                error.errno()
            }
            Self::Refused { cause, .. } => cause.errno(),
            Self::DataPath(error) => error.errno(),
            _ => None,
        }
    }
}

impl From<ApplyError> for NodeError {
    fn from(ApplyError { step, cause, .. }: ApplyError) -> Self {
        match step.change {
            // Its line has all of the table in it.
            Change::Guard(_) => Self::Kernel(cause),
            _ => Self::Refused {
                step,
                cause: Box::new(cause),
            },
        }
    }
}

fn list(conflicts: &[Conflict]) -> String {
    conflicts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
