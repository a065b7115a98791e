//! One route per block: the peers' through the tunnel, our own into a blackhole.

use super::error::{OverlayError, check_route};
use super::{TUNNEL_DEVICE, well_known};
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::InterfaceName;
use crate::plan::{
    Desired, InterfaceAddr, Link, LinkKind, NextHop, Place, Route, RouteProtocol, Setting, Target,
};
use crate::resource::IpipMode;

/// The way to another node's block: `BLOCK via NODE dev tunl0 proto bird onlink`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRoute {
    /// The block, or a /32 for a borrowed address.
    pub block: Ipv4Prefix,
    /// The node that holds it. On an ipip device the kernel takes it as the outer destination.
    pub node_addr: NodeAddr,
    /// `tunl0`, or the underlay's interface where this peer is reached directly.
    pub device: InterfaceName,
    /// Whose mark the route bears; [`RouteProtocol::BIRD`] unless there is a reason.
    pub protocol: RouteProtocol,
}

/// The guard of a node's own block: `blackhole BLOCK proto bird`, so that a packet for an address
/// that no workload has ends here and does not follow the default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackhole {
    /// The node's own block.
    pub block: Ipv4Prefix,
    /// Whose mark the route bears.
    pub protocol: RouteProtocol,
}

impl PeerRoute {
    /// Through `tunl0`, with protocol bird.
    #[must_use]
    pub fn tunnelled(block: Ipv4Prefix, node_addr: NodeAddr) -> Self {
        Self {
            block,
            node_addr,
            device: well_known(TUNNEL_DEVICE),
            protocol: RouteProtocol::BIRD,
        }
    }

    /// Through `tunl0` or, where `mode` says so for this pair of nodes, directly on the underlay.
    #[must_use]
    pub fn by_mode(
        mode: IpipMode,
        local: InterfaceAddr,
        underlay: &InterfaceName,
        block: Ipv4Prefix,
        node: NodeAddr,
    ) -> Self {
        let route = Self::tunnelled(block, node);
        if mode.tunnels(local, node) {
            route
        } else {
            Self {
                device: underlay.clone(),
                ..route
            }
        }
    }

    /// Whether a node can hold it.
    ///
    /// # Errors
    /// [`OverlayError`] for a block of every address and for protocol 0.
    pub fn check(&self) -> Result<(), OverlayError> {
        check_route(self.block, self.protocol)
    }

    /// What the node should hold: the route, onlink, and forwarding where the peer's packets enter.
    #[must_use]
    pub fn desired(&self) -> Desired {
        Desired {
            links: vec![entrance(&self.device)],
            routes: vec![self.route()],
            ..Desired::default()
        }
    }

    pub(super) fn route(&self) -> Route {
        let target = Target::Device {
            device: self.device.clone(),
            next_hop: NextHop::Onlink(self.node_addr),
        };
        Route::new(self.block, target, self.protocol)
    }
}

/// Somebody else's device through which peers' packets enter: it forwards.
pub(super) fn entrance(device: &InterfaceName) -> Link {
    Link {
        place: Place::Node,
        name: device.clone(),
        kind: LinkKind::Existing,
        mtu: None,
        mac: None,
        mark: None,
        addresses: vec![],
        settings: vec![(Setting::Forwarding, 1)],
        up: false,
    }
}

impl Blackhole {
    /// For `block`, with protocol bird.
    #[must_use]
    pub fn new(block: Ipv4Prefix) -> Self {
        Self {
            block,
            protocol: RouteProtocol::BIRD,
        }
    }

    /// Whether a node can hold it.
    ///
    /// # Errors
    /// [`OverlayError`] for a block of every address and for protocol 0.
    pub fn check(&self) -> Result<(), OverlayError> {
        check_route(self.block, self.protocol)
    }

    /// What the node should hold: nothing for a /32, whose blackhole would take the place of the
    /// workload's own route; else the blackhole.
    #[must_use]
    pub fn desired(&self) -> Desired {
        Desired {
            links: vec![],
            routes: self.route().into_iter().collect(),
            ..Desired::default()
        }
    }

    pub(super) fn route(&self) -> Option<Route> {
        let route = Route::new(self.block, Target::Blackhole, self.protocol);
        (self.block.len() < 32).then_some(route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Ipv4Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_reference_routes() {
        let node = NodeAddr([172, 18, 0, 2].into());
        let route = &PeerRoute::tunnelled(prefix("10.244.244.64/26"), node)
            .desired()
            .routes[0];
        assert_eq!(
            route.to_string(),
            "10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink"
        );
        let route = &Blackhole::new(prefix("10.244.79.0/26")).desired().routes[0];
        assert_eq!(route.to_string(), "blackhole 10.244.79.0/26 proto bird");
    }

    #[test]
    fn a_single_address_gets_no_blackhole() {
        assert_eq!(
            Blackhole::new(prefix("10.244.79.1/32")).desired(),
            Desired::default()
        );
    }

    #[test]
    fn a_direct_peer_is_reached_on_the_underlay() {
        let local = InterfaceAddr {
            addr: [172, 18, 0, 3].into(),
            prefix_len: 16,
        };
        let (eth0, block) = (well_known("eth0"), prefix("10.244.244.64/26"));
        let device = |node| {
            PeerRoute::by_mode(IpipMode::CrossSubnet, local, &eth0, block, NodeAddr(node)).device
        };
        assert_eq!(device([172, 18, 0, 2].into()), eth0);
        assert_eq!(device([172, 19, 0, 2].into()), well_known("tunl0"));
    }
}
