//! Where a packet for one address should go, by the rules as a person would follow them.

use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr, is_host};
use crate::cluster::View;
use crate::overlay::LocalNode;
use crate::plan::{NextHop, Route, Target};
use crate::resource::{IpipMode, Node};

/// None inside another. The last one lies in no pool.
pub(super) const BLOCKS: [&str; 5] = [
    "10.1.0.0/30",
    "10.1.0.4/30",
    "10.1.0.8/32",
    "10.2.0.0/30",
    "10.3.0.0/30",
];

/// Inside the blocks, and in the pools beside them.
pub(super) const ADDRESSES: [[u8; 4]; 12] = [
    [10, 1, 0, 0],
    [10, 1, 0, 1],
    [10, 1, 0, 3],
    [10, 1, 0, 4],
    [10, 1, 0, 6],
    [10, 1, 0, 8],
    [10, 1, 0, 9],
    [10, 2, 0, 0],
    [10, 2, 0, 2],
    [10, 2, 0, 9],
    [10, 3, 0, 0],
    [10, 3, 0, 9],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Workload,
    /// On the underlay.
    Direct(NodeAddr),
    Tunnel(NodeAddr),
    Blackhole,
}

impl Way {
    pub(super) fn of(route: &Route) -> Self {
        match &route.target {
            Target::Device { device, next_hop } => match (device.as_str(), next_hop) {
                ("tunl0", NextHop::Onlink(node)) => Self::Tunnel(*node),
                ("eth0", NextHop::Onlink(node)) => Self::Direct(*node),
                (_, NextHop::Direct) => Self::Workload,
                other => panic!("nobody asked for {other:?}"),
            },
            Target::Blackhole => Self::Blackhole,
            Target::Other(words) => panic!("nobody asked for {words}"),
        }
    }
}

pub(super) fn expected(view: &View, local: &LocalNode, addr: [u8; 4]) -> Option<Way> {
    let blocks: Vec<_> = view
        .blocks()
        .filter(|block| block.prefix().contains(addr.into()))
        .collect();
    assert!(blocks.len() < 2);
    let block = blocks.first();
    let attribute = block.and_then(|block| block.attribute_of(addr.into()));
    let text = |key| {
        attribute
            .and_then(|who| who.secondary().get(key))
            .map(String::as_str)
    };
    let assigned = text("node");
    let own = local.tunnel_address == Some(TunnelAddr(addr.into()));
    if assigned == Some("node-a") && text("pod").is_some() && !own {
        return Some(Way::Workload);
    }
    let mode = mode_of(view, addr)?;
    let way_to = |name: &str| way_to(view, local, mode, name);
    let owner = block
        .and_then(|block| block.affinity()?.node())
        .map(|owner| owner.as_str());
    let by_block = || match owner? {
        "node-a" => block
            .filter(|block| block.prefix().len() < 32)
            .map(|_| Way::Blackhole),
        other => way_to(other),
    };
    if let Some(assigned) = assigned.filter(|name| *name != "node-a" && Some(*name) != owner)
        && let Some(way) = way_to(assigned)
    {
        return Some(way);
    }
    let is_its = |node: &&Node| {
        let name = node.name().as_str();
        let free = assigned.is_none_or(|assigned| assigned == name);
        node.tunnel_addr() == Some(TunnelAddr(addr.into()))
            && name != "node-a"
            && owner != Some(name)
            && free
    };
    let by_record = view.nodes().filter(is_its);
    let by_record = by_record.filter_map(|node| way_to(node.name().as_str()));
    by_record.min().or_else(by_block)
}

fn mode_of(view: &View, addr: [u8; 4]) -> Option<IpipMode> {
    let mut around = view
        .pools()
        .filter(|pool| pool.cidr().contains(addr.into()));
    around.next().map(|pool| pool.ipip_mode())
}

fn way_to(view: &View, local: &LocalNode, mode: IpipMode, name: &str) -> Option<Way> {
    let mut named = view.nodes().filter(|node| node.name().as_str() == name);
    let addr = named.next()?.addr()?;
    if addr.0 == local.address.addr || !is_host(addr.0) {
        return None;
    }
    let subnet = Ipv4Prefix::containing(local.address.addr, local.address.prefix_len).unwrap();
    match (mode, subnet.contains(addr.0)) {
        (IpipMode::Always, _) | (IpipMode::CrossSubnet, false) => Some(Way::Tunnel(addr)),
        (IpipMode::CrossSubnet | IpipMode::Never, true) => Some(Way::Direct(addr)),
        (IpipMode::Never, false) => None,
    }
}
