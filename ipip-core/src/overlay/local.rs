//! The node that an overlay is for, and how it wants its routes.

use super::{HOST_VETH_PREFIX, TUNNEL_DEVICE, well_known};
use crate::addr::TunnelAddr;
use crate::cluster::View;
use crate::mtu::TunnelMtu;
use crate::name::{InterfaceName, NodeName};
use crate::plan::{InterfaceAddr, Ownership, RouteProtocol};

/// The local node: what it knows of itself. The cluster's record of it is for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    /// Its name in the cluster.
    pub name: NodeName,
    /// Its address on the underlay, with the length of its subnet, which decides who is in it.
    pub address: InterfaceAddr,
    /// The underlay's interface, which holds that address.
    pub underlay: InterfaceName,
    /// The address that its tunnel device holds; `None` while it has none.
    pub tunnel_address: Option<TunnelAddr>,
    /// The MTU inside the tunnel.
    pub mtu: TunnelMtu,
}

/// How the routes are to be, and what of others' counts as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What our routes bear: bird by default, as Calico's between nodes have always done.
    pub protocol: RouteProtocol,
    /// The metric of the routes to other nodes and of the blackholes; 0 by default. A workload's own
    /// route has 0 always.
    pub metric: u32,
    /// Whether routes through the tunnel bear its MTU, as Felix's do and BIRD's do not; no by default.
    pub route_mtu: bool,
    /// Whether Felix's routes are taken over; no by default.
    pub adopt_felix: bool,
    /// Whether the tunnel device is ours alone, so that foreign addresses on it go; no by default.
    pub exclusive: bool,
    /// The tunnel device, `tunl0` by default.
    pub tunnel: InterfaceName,
    /// Whether another data path than the kernel's driver made that device; no by default.
    pub tunnel_exists: bool,
    /// Whether the routes to a node go by one next hop object (`ip nexthop`), for very many nodes; no by
    /// default, as `ip route` shows such routes otherwise than the reference. It needs Linux 5.3 and
    /// `net.ipv4.nexthop_compat_mode` 1, the kernel's default.
    pub next_hop_objects: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            protocol: RouteProtocol::BIRD,
            metric: 0,
            route_mtu: false,
            adopt_felix: false,
            exclusive: false,
            tunnel: well_known(TUNNEL_DEVICE),
            tunnel_exists: false,
            next_hop_objects: false,
        }
    }
}

/// What is ours on `local`: by the pools and nodes of `view`, and sparing what records may hold that
/// cannot be read.
///
/// Where a node's record is damaged, the blocks that name it are spared, so that the routes to it stay
/// until somebody mends it.
#[must_use]
pub fn ownership(view: &View, local: &LocalNode, policy: &Policy) -> Ownership {
    let pools = view.pools().map(|pool| pool.cidr());
    let (tunnel, underlay) = (policy.tunnel.clone(), local.underlay.clone());
    let mut spared: Vec<_> = view.faults().filter_map(|fault| fault.block()).collect();
    let damaged = view.faults().filter_map(|fault| fault.node());
    damaged.for_each(|node| spared.extend(view.blocks_naming(&node)));
    Ownership {
        protocol: policy.protocol,
        adopt_felix: policy.adopt_felix,
        exclusive: policy.exclusive,
        host_veth_prefix: HOST_VETH_PREFIX.to_owned(),
        nodes: view.nodes().filter_map(|node| node.addr()).collect(),
        spared,
        ..Ownership::new(tunnel, underlay, pools)
    }
}
