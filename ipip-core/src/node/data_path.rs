//! The tunnel device with somebody behind it who carries the packets.

use super::ensure::{Changes, converge};
use super::{NodeError, ensure_tunnel, remove_tunnel};
use crate::addr::NodeAddr;
#[cfg(feature = "bpf")]
use crate::datapath::Bpf;
use crate::datapath::{
    BpfState, Choice, Counters, DataPathKind, DatapathError, Decision, DriverState, Drops, Traffic,
    Userspace, choose,
};
#[cfg(feature = "bpf")]
use crate::error_chain;
use crate::name::InterfaceName;
use crate::netlink::{Kernel, LinkStatistics};
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

/// Who carries a node's packets. The kernel's driver and eBPF programs go on by themselves; user space carries
/// them while this value lives, and takes the tunnel device with it.
#[derive(Debug)]
pub struct DataPath {
    decision: Decision,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    /// With its device, which counts.
    Kernel(Netns, InterfaceName),
    #[cfg(feature = "bpf")]
    Bpf(Bpf),
    Userspace(Userspace),
}

impl DataPath {
    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> DataPathKind {
        self.decision.kind
    }

    /// Why it is this one, a clause for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.decision.reason
    }

    /// The user-space path, where it is that: its counters, its failure.
    #[must_use]
    pub fn userspace(&self) -> Option<&Userspace> {
        match &self.carrier {
            Carrier::Userspace(path) => Some(path),
            _ => None,
        }
    }

    /// The path of eBPF programs, where it is that.
    #[cfg(feature = "bpf")]
    #[must_use]
    pub fn bpf(&self) -> Option<&Bpf> {
        match &self.carrier {
            Carrier::Bpf(path) => Some(path),
            _ => None,
        }
    }

    /// Why it no longer carries all that it should, such as that somebody removed its device.
    pub(super) fn failure(&self) -> Option<&DatapathError> {
        match &self.carrier {
            Carrier::Kernel(..) => None,
            #[cfg(feature = "bpf")]
            Carrier::Bpf(path) => path.failure(),
            Carrier::Userspace(path) => path.failure(),
        }
    }

    /// Whether what carries the packets is where it was put; only eBPF programs can be taken away by themselves.
    #[cfg_attr(not(feature = "bpf"), expect(unused_variables))]
    pub(super) fn is_attached(&self, kernel: &mut Kernel, underlay: &InterfaceName) -> bool {
        match &self.carrier {
            #[cfg(feature = "bpf")]
            Carrier::Bpf(path) => path.is_attached(kernel, underlay),
            _ => true,
        }
    }

    /// What it carried and dropped since it was started; the kernel's driver, since its device was made.
    ///
    /// # Errors
    /// [`NodeError::DataPath`] if the kernel does not let the programs' counters be read, [`NodeError::Kernel`] if the
    /// driver's device is gone.
    pub fn counters(&self) -> Result<Counters, NodeError> {
        Ok(match &self.carrier {
            Carrier::Kernel(netns, device) => {
                let told = Kernel::open(netns)?.statistics(&Place::Node, device)?;
                counters_of(&told)
            }
            #[cfg(feature = "bpf")]
            Carrier::Bpf(path) => path.counters()?,
            Carrier::Userspace(path) => path.counters(),
        })
    }

    /// Replaces what is known of the other nodes. The kernel's driver asks the routes and nobody else.
    ///
    /// # Errors
    /// [`NodeError::DataPath`] if the kernel has no room for so many.
    pub fn set_peers(&self, peers: Peers) -> Result<(), NodeError> {
        match &self.carrier {
            Carrier::Kernel(..) => {}
            #[cfg(feature = "bpf")]
            Carrier::Bpf(path) => path.set_peers(peers)?,
            Carrier::Userspace(path) => path.set_peers(peers),
        }
        Ok(())
    }
}

/// Brings a tunnel device to be in `netns` with a data path behind it: the kernel's ipip driver where
/// it is there and wanted, else eBPF programs, else user space. Says which, and why, in the log and in the answer.
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
    let (state, changes) = driver_state(netns, &mut kernel, config)?;
    let (bpf, programs) = match (config.choice, &state) {
        (Choice::Auto | Choice::Bpf, DriverState::Missing | DriverState::LookAlike) => {
            try_bpf(netns, config)
        }
        _ => (BpfState::Untried, None),
    };
    let decision = choose(config.choice, &state, &bpf)?;
    log::info!(
        "data path in {netns}: {}, {}",
        decision.kind,
        decision.reason
    );
    let carrier = match (decision.kind, programs) {
        (DataPathKind::Userspace, _) => {
            let (device, peers) = (&tunnel.device, config.peers.clone());
            Carrier::Userspace(Userspace::start(netns, device, config.local, peers)?)
        }
        (_, Some(programs)) => programs,
        (_, None) => Carrier::Kernel(netns.try_clone()?, tunnel.device.clone()),
    };
    let changes = match (&carrier, changes) {
        (Carrier::Kernel(..), Some(changes)) => changes,
        (Carrier::Kernel(..), None) => ensure_tunnel(netns, tunnel)?,
        _ => converge(kernel, &tunnel.desired_on_existing(), plan::ensure)?,
    };
    Ok((DataPath { decision, carrier }, changes))
}

/// Takes away what [`ensure_data_path`] left in the kernel, in this process or an earlier one: the tunnel device as
/// [`remove_tunnel`] does, eBPF programs and their device. A user-space path goes with its value.
///
/// # Errors
/// [`NodeError::DataPath`] or [`NodeError::Kernel`] if the kernel refuses a step; the others are done all the same.
pub fn remove_data_path(netns: &Netns, tunnel: &Tunnel) -> Result<Changes, NodeError> {
    let programs = remove_programs(netns, &tunnel.device);
    let changes = remove_tunnel(netns, tunnel);
    programs?;
    changes
}

/// Takes away eBPF programs and their device, where there are any of ours.
#[cfg(feature = "bpf")]
pub(super) fn remove_programs(netns: &Netns, device: &InterfaceName) -> Result<(), NodeError> {
    Ok(Bpf::remove(netns, device)?)
}

#[cfg(not(feature = "bpf"))]
pub(super) fn remove_programs(_: &Netns, _: &InterfaceName) -> Result<(), NodeError> {
    Ok(())
}

/// What the driver's device counts, as ours: its octets too are those of inner packets.
fn counters_of(told: &LinkStatistics) -> Counters {
    let traffic = |packets, octets| Traffic { packets, octets };
    Counters {
        sent: traffic(told.sent_packets, told.sent_octets),
        received: traffic(told.received_packets, told.received_octets),
        drops: Drops {
            send_failed: told.send_errors.wrapping_add(told.send_drops),
            congestion: told.frame_errors,
            device_refused: told.receive_drops,
            ..Drops::default()
        },
        of_driver: true,
        ..Counters::default()
    }
}

/// What is to be known of the driver, and what finding it out changed.
fn driver_state(
    netns: &Netns,
    kernel: &mut Kernel,
    config: &DataPathConfig,
) -> Result<(DriverState, Option<Changes>), NodeError> {
    let tunnel = &config.tunnel;
    let observed = kernel.observe()?;
    let state = match observed.link(&Place::Node, &tunnel.device) {
        Some(link) if link.tunnel.is_some_and(TunnelEnds::is_any) => DriverState::Present,
        Some(_) if is_look_alike(netns, &tunnel.device)? => DriverState::LookAlike,
        Some(link) => DriverState::Foreign {
            kind: link.kind.clone(),
        },
        // Trying is the only way to know, and it must not be tried where it is not wanted.
        None if matches!(config.choice, Choice::Bpf | Choice::Userspace) => DriverState::Missing,
        None => match ensure_tunnel(netns, tunnel) {
            Ok(changes) => return Ok((DriverState::Creatable, Some(changes))),
            Err(NodeError::NoDriver { .. }) => DriverState::Missing,
            Err(other) => return Err(other),
        },
    };
    Ok((state, None))
}

/// Whether eBPF programs made `device`, in whatever process.
#[cfg(feature = "bpf")]
pub(super) fn is_look_alike(netns: &Netns, device: &InterfaceName) -> Result<bool, NodeError> {
    Ok(Bpf::is_there(netns, device)?)
}

#[cfg(not(feature = "bpf"))]
pub(super) fn is_look_alike(_: &Netns, _: &InterfaceName) -> Result<bool, NodeError> {
    Ok(false)
}

/// Trying is the only way to know here too.
#[cfg(feature = "bpf")]
fn try_bpf(netns: &Netns, config: &DataPathConfig) -> (BpfState, Option<Carrier>) {
    let (device, peers) = (&config.tunnel.device, config.peers.clone());
    match Bpf::start(netns, device, config.local, peers) {
        Ok(path) => (BpfState::Taken, Some(Carrier::Bpf(path))),
        Err(error) => {
            let why = error_chain(&error);
            (BpfState::Refused { why }, None)
        }
    }
}

#[cfg(not(feature = "bpf"))]
fn try_bpf(_: &Netns, _: &DataPathConfig) -> (BpfState, Option<Carrier>) {
    let why = "this build is without feature bpf".to_owned();
    (BpfState::Refused { why }, None)
}
