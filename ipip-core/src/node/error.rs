//! What can go wrong at the front desk.

use crate::datapath::{ChooseError, DatapathError};
use crate::name::InterfaceName;
use crate::netlink::NetlinkError;
use crate::overlay::OverlayError;
use crate::plan::Conflict;
use crate::sys::netns::NetnsError;

/// Why an object could not be brought to be, or taken away. What the call did before is taken back,
/// but for [`NodeError::HalfApplied`], and for a pair of ours that was deleted to be made anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A namespace cannot be opened or entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The kernel refused a request; names the object and carries the kernel's words.
    #[error(transparent)]
    Kernel(#[from] NetlinkError),
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
    /// Nothing of the overlay can be like what was asked for.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// The data path that was asked for cannot be had.
    #[error(transparent)]
    Choice(#[from] ChooseError),
    /// A data path of ours cannot start, or the kernel refuses a change of it.
    #[error(transparent)]
    DataPath(#[from] DatapathError),
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
            Self::Kernel(error) | Self::NoDriver { source: error, .. } => error.errno(),
            Self::HalfApplied { refused, .. } => refused.errno(),
            Self::DataPath(error) => error.errno(),
            Self::InTheWay(_) | Self::Choice(_) | Self::Overlay(_) => None,
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
