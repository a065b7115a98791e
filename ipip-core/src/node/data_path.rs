//! The tunnel device with somebody behind it who carries the packets.

use super::ensure::{Changes, converge};
use super::{NodeError, ensure_tunnel};
use crate::addr::NodeAddr;
use crate::datapath::{Choice, DataPathKind, Decision, DriverState, Userspace, choose};
use crate::netlink::Kernel;
use crate::overlay::Tunnel;
use crate::peers::Peers;
use crate::plan::{self, Place, TunnelEnds};
use crate::sys::netns::Netns;

/// What a data path is to be like.
#[derive(Debug, Clone)]
pub struct DataPathConfig {
    /// The tunnel device, its address and its MTU.
    pub tunnel: Tunnel,
    /// This node's underlay address, the outer source where we write the outer header.
    pub local: NodeAddr,
    /// The other nodes and their prefixes.
    pub peers: Peers,
    /// Who may carry the packets.
    pub choice: Choice,
}

/// Who carries a node's packets. The kernel's driver goes on by itself; user space carries them while
/// this value lives, and takes the tunnel device with it.
#[derive(Debug)]
pub struct DataPath {
    decision: Decision,
    userspace: Option<Userspace>,
}

impl DataPath {
    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> DataPathKind {
        self.decision.kind
    }

    /// Why it is this one, a clause for people.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.decision.reason
    }

    /// The user-space path, where it is that: its counters, its failure.
    #[must_use]
    pub fn userspace(&self) -> Option<&Userspace> {
        self.userspace.as_ref()
    }

    /// Replaces what is known of the other nodes. The kernel's driver asks the routes and nobody else.
    pub fn set_peers(&self, peers: Peers) {
        if let Some(path) = &self.userspace {
            path.set_peers(peers);
        }
    }
}

/// Brings a tunnel device to be in `netns` with a data path behind it: the kernel's ipip driver where
/// it is there and wanted, else user space. Says which, and why, in the log and in the answer.
///
/// # Errors
/// [`NodeError::Choice`] if what was asked for cannot be had, [`NodeError::DataPath`] if the
/// user-space path cannot start, otherwise as [`ensure_tunnel`].
pub fn ensure_data_path(
    netns: &Netns,
    config: &DataPathConfig,
) -> Result<(DataPath, Changes), NodeError> {
    let tunnel = &config.tunnel;
    tunnel.check()?;
    let mut kernel = Kernel::open(netns)?;
    let observed = kernel.observe()?;
    let (state, changes) = match observed.link(&Place::Node, &tunnel.device) {
        Some(link) if link.tunnel.is_some_and(TunnelEnds::is_any) => (DriverState::Present, None),
        Some(link) => (
            DriverState::Foreign {
                kind: link.kind.clone(),
            },
            None,
        ),
        // Trying is the only way to know, and it must not be tried where it is not wanted.
        None if config.choice == Choice::Userspace => (DriverState::Missing, None),
        None => match ensure_tunnel(netns, tunnel) {
            Ok(changes) => (DriverState::Creatable, Some(changes)),
            Err(NodeError::NoDriver { .. }) => (DriverState::Missing, None),
            Err(other) => return Err(other),
        },
    };
    let decision = choose(config.choice, &state)?;
    log::info!(
        "data path in {netns}: {}, {}",
        decision.kind,
        decision.reason
    );
    let (userspace, changes) = match (decision.kind, changes) {
        (DataPathKind::Userspace, _) => {
            let path = Userspace::start(netns, &tunnel.device, config.local, config.peers.clone())?;
            (
                Some(path),
                converge(kernel, &tunnel.desired_on_existing(), plan::ensure)?,
            )
        }
        (_, Some(changes)) => (None, changes),
        (_, None) => (None, ensure_tunnel(netns, tunnel)?),
    };
    Ok((
        DataPath {
            decision,
            userspace,
        },
        changes,
    ))
}
