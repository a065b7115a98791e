//! Which data path a sync would start, found out where it does no harm.

use super::data_path::{DataPathConfig, ensure_data_path};
use super::synced::DataPathState;
use super::{Changes, NodeError};
use crate::datapath::DataPathKind;
use crate::netlink::Kernel;
use crate::overlay::{LocalNode, well_known};
use crate::plan::{Change, ObservedLink, Place, Step};
use crate::sys::netns::Netns;

/// What became of a trial.
pub(super) struct Trial {
    /// Who would carry the packets.
    pub(super) state: DataPathState,
    /// The tunnel device as it would be, and how it would become so, where not the kernel's driver makes it.
    pub(super) device: Option<(ObservedLink, Changes)>,
}

/// Starts a data path in a namespace that nobody else sees and that ends with it: trying is the only way to
/// know what the kernel lets us do.
pub(super) fn try_data_path(
    config: &DataPathConfig,
    local: &LocalNode,
) -> Result<Trial, NodeError> {
    let netns = Netns::create_unnamed()?;
    let mut kernel = Kernel::open(&netns)?;
    let underlay = underlay(local);
    kernel.apply(&underlay).map_err(|error| error.cause)?;
    let (path, changes) = match ensure_data_path(&netns, config) {
        Ok(started) => started,
        Err(error) => {
            let reason = crate::error_chain(&error);
            return Ok(Trial {
                state: DataPathState::Unavailable { reason },
                device: None,
            });
        }
    };
    let made_by_us = path.kind() != DataPathKind::Kernel;
    let observed = kernel.observe()?;
    let link = observed.link(&Place::Node, &config.tunnel.device);
    Ok(Trial {
        state: DataPathState::Running {
            kind: path.kind(),
            reason: path.reason().to_owned(),
        },
        device: link
            .filter(|_| made_by_us)
            .map(|link| (link.clone(), changes)),
    })
}

/// An interface like the node's own underlay, with its address.
fn underlay(local: &LocalNode) -> Vec<Step> {
    let name = &local.underlay;
    let changes = [
        Change::CreateVeth {
            name: name.clone(),
            mac: None,
            mtu: None,
            peer_place: Place::Node,
            peer_name: well_known("trial"),
        },
        Change::AddAddress {
            name: name.clone(),
            address: local.address,
        },
        Change::SetUp { name: name.clone() },
    ];
    let here = |change| Step {
        place: Place::Node,
        change,
    };
    changes.into_iter().map(here).collect()
}
