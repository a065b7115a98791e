//! The reference picture's node, as values.

use std::path::Path;

use super::prefix;
use crate::addr::{NodeAddr, TunnelAddr};
use crate::mtu::TunnelMtu;
use crate::overlay::{Blackhole, PeerRoute, Tunnel, WorkloadEndpoint};
use crate::plan::naive_kernel::link;
use crate::plan::{Desired, LinkKind, Observed, Place};

pub(super) fn netns() -> &'static Path {
    Path::new("/run/netns/pod")
}

pub(super) fn inside() -> Place {
    Place::Workload(netns().into())
}

pub(super) fn tunnel() -> Desired {
    Tunnel::new(
        TunnelAddr([10, 244, 79, 0].into()),
        TunnelMtu::try_new(1480).unwrap(),
    )
    .desired()
}

pub(super) fn workload() -> Desired {
    let mtu = TunnelMtu::try_new(1480).unwrap();
    WorkloadEndpoint::new("default", "podA", [10, 244, 79, 20].into(), mtu).desired(netns())
}

pub(super) fn peer_route(node: [u8; 4]) -> Desired {
    PeerRoute::tunnelled(prefix("10.244.244.64/26"), NodeAddr(node.into())).desired()
}

pub(super) fn blackhole() -> Desired {
    Blackhole::new(prefix("10.244.79.0/26")).desired()
}

pub(super) fn everything() -> Desired {
    let parts = [
        tunnel(),
        workload(),
        peer_route([172, 18, 0, 2]),
        blackhole(),
    ];
    let mut all = Desired::default();
    for part in parts {
        // The device of a peer route is the tunnel, which is in the list already.
        all.links.extend(
            part.links
                .into_iter()
                .filter(|link| link.kind != LinkKind::Existing),
        );
        all.routes.extend(part.routes);
    }
    all
}

/// A node with an underlay interface, and a pod's namespace with nothing in it.
pub(super) fn fresh() -> Observed {
    Observed {
        links: vec![link(&Place::Node, "eth0", "veth", 2)],
        ..Observed::default()
    }
}
