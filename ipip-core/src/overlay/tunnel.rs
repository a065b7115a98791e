//! The tunnel device: the kernel's own fallback ipip device, adopted where it is there.

use super::error::{OverlayError, check_address};
use super::well_known;
use crate::addr::TunnelAddr;
use crate::mtu::TunnelMtu;
use crate::name::InterfaceName;
use crate::plan::{Desired, InterfaceAddr, Link, LinkKind, Place, Setting, TUNNEL_MARK};

/// The name of the kernel's fallback ipip device, which Calico uses.
pub const TUNNEL_DEVICE: &str = "tunl0";

/// A node's tunnel device and the address that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The device; `tunl0` unless there is a reason.
    pub device: InterfaceName,
    /// Its overlay address, set as a /32.
    pub address: TunnelAddr,
    /// Its MTU: the underlay's less 20 octets.
    pub mtu: TunnelMtu,
}

impl Tunnel {
    /// `tunl0` with this address and MTU.
    #[must_use]
    pub fn new(address: TunnelAddr, mtu: TunnelMtu) -> Self {
        Self {
            device: well_known(TUNNEL_DEVICE),
            address,
            mtu,
        }
    }

    /// Whether there can be such a tunnel device.
    ///
    /// # Errors
    /// [`OverlayError`] for an address that no interface can hold.
    pub fn check(&self) -> Result<(), OverlayError> {
        check_address("tunnel", self.address.0)
    }

    /// What the node should hold where the kernel's driver carries the packets: an ipip device with
    /// any local and any remote end, up, forwarding what arrives, with the address as a /32. Another
    /// address on it is not touched.
    #[must_use]
    pub fn desired(&self) -> Desired {
        self.link(LinkKind::Tunnel)
    }

    /// What the node should hold where another data path has made the device already.
    #[must_use]
    pub fn desired_on_existing(&self) -> Desired {
        self.link(LinkKind::Existing)
    }

    fn link(&self, kind: LinkKind) -> Desired {
        let link = tunnel_link(&self.device, kind, Some(self.address), self.mtu);
        Desired {
            links: vec![link],
            ..Desired::default()
        }
    }
}

/// A tunnel device, which takes packets in even while it has no address.
pub(super) fn tunnel_link(
    device: &InterfaceName,
    kind: LinkKind,
    address: Option<TunnelAddr>,
    mtu: TunnelMtu,
) -> Link {
    let host = |TunnelAddr(addr)| InterfaceAddr {
        addr,
        prefix_len: 32,
    };
    Link {
        place: Place::Node,
        name: device.clone(),
        kind,
        mtu: Some(mtu.octets()),
        mac: None,
        mark: Some(TUNNEL_MARK.to_owned()),
        addresses: address.map(host).into_iter().collect(),
        settings: vec![(Setting::Forwarding, 1)],
        up: true,
    }
}
