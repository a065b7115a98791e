//! What one block, or one node's record, adds to what the local node holds.
//!
//! | what | route |
//! |---|---|
//! | block of another node, tunnelled | `BLOCK via NODE dev tunl0 onlink` |
//! | CrossSubnet or Never, and the local node's subnet holds the other's address | `BLOCK via NODE dev UNDERLAY onlink` |
//! | Never, and it does not | none: BGP tells the routers between, or nobody |
//! | block of this node, larger than /32 | `blackhole BLOCK` |
//! | address of this node's workload, in whosever block | `ADDRESS dev cali… scope link` |
//! | address that another node has from a third one's block, from ours, or from nobody's | a /32 as for a block of that node |
//! | tunnel address of another node, in no block of that node | the same |
//! | block in no pool, or in one of VXLAN's | none but those of this node's workloads |
//!
//! A workload's own route asks no pool: its pool may be deleted while it runs.

use std::net::Ipv4Addr;

use super::{Blackhole, LocalNode, PeerRoute, Policy, Withheld, WithheldReason, WorkloadEndpoint};
use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr, is_host};
use crate::cluster::View;
use crate::name::{InterfaceName, NodeName};
use crate::plan::{NextHop, Route, Target};
use crate::resource::{Attribute, Block, IpipMode, Pool};

/// Who asks for a route. Where several do for one prefix, the first of these has it: a workload that is
/// here beats what the cluster remembers of where it was (Calico's route classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteSource {
    /// A workload of this node.
    Workload,
    /// A block, for one address that it says another node has.
    Assigned,
    /// A node's record, for its tunnel address.
    TunnelAddress,
    /// A block, for itself.
    Block,
    /// A block of this node, against what is not assigned.
    Blackhole,
}

/// A route that a record asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who asks.
    pub source: RouteSource,
    /// For what.
    pub route: Route,
}

/// What one record adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// The routes that it asks for.
    pub claims: Vec<Claim>,
    /// The workloads of this node that it names.
    pub workloads: Vec<WorkloadEndpoint>,
    /// What it speaks of and nothing is done for.
    pub withheld: Vec<Withheld>,
}

/// What the block `prefix` adds; nothing if there is none. A change touches it if it is of this block,
/// of a node that the block names, or of a pool around it.
///
/// ```
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::cluster::View;
/// use ipip_core::mtu::UnderlayMtu;
/// use ipip_core::name::{InterfaceName, NodeName};
/// use ipip_core::overlay::{LocalNode, Policy, routes_of_block};
/// use ipip_core::plan::InterfaceAddr;
/// use ipip_core::resource::{Affinity, Block, IpipMode, Node, Pool, Sequence};
/// let other = NodeName::try_new("node-b")?;
/// let node = Node::new(other.clone()).with_addr(NodeAddr([172, 18, 0, 2].into()), 16)?;
/// let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?.with_ipip_mode(IpipMode::Always);
/// let block = Block::new("10.244.244.64/26".parse()?, Sequence(0))
///     .claimed_by(Affinity::Host(other), std::time::UNIX_EPOCH);
/// let view = View::from_parts([node], [pool], [block]);
/// let local = LocalNode {
///     name: NodeName::try_new("node-a")?,
///     address: InterfaceAddr { addr: [172, 18, 0, 3].into(), prefix_len: 16 },
///     underlay: InterfaceName::try_new("eth0")?,
///     tunnel_address: None,
///     mtu: UnderlayMtu::ETHERNET.tunnel(),
/// };
/// let piece = routes_of_block(&view, &local, &Policy::default(), "10.244.244.64/26".parse()?);
/// let text = piece.claims[0].route.to_string();
/// assert_eq!(text, "10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn routes_of_block(
    view: &View,
    local: &LocalNode,
    policy: &Policy,
    prefix: Ipv4Prefix,
) -> Piece {
    let mut piece = Piece::default();
    let Some(block) = view.block(prefix) else {
        return piece;
    };
    let pool = match pool_for(view, prefix) {
        Ok(pool) => Some(pool),
        Err(reason) => {
            piece.withhold(prefix, reason);
            None
        }
    };
    let rules = Rules {
        view,
        local,
        policy,
    };
    let owner = block.affinity().and_then(|affinity| affinity.node());
    if let (Some(pool), Some(owner)) = (pool, owner) {
        if *owner == local.name {
            piece.guard(prefix, policy);
        } else {
            let claim = rules.claim(RouteSource::Block, pool, owner.as_str(), prefix);
            piece.add(prefix, claim);
        }
    }
    for (addr, node, who) in placed(block) {
        if node == local.name.as_str() {
            piece.wire(addr, who, local);
        } else if let Some(pool) = pool
            && owner.is_none_or(|owner| owner.as_str() != node)
            && !local.holds(addr)
        {
            let host = Ipv4Prefix::host(addr);
            piece.add(host, rules.claim(RouteSource::Assigned, pool, node, host));
        }
    }
    piece
}

/// What the record of the node `name` adds: the way to its tunnel address, where no block of its covers
/// that. A change touches it if it is of this node, or of a pool or a block around the address.
#[must_use]
pub fn routes_of_node(view: &View, local: &LocalNode, policy: &Policy, name: &NodeName) -> Piece {
    let mut piece = Piece::default();
    let tunnel_addr = view.node(name).and_then(|node| node.tunnel_addr());
    let Some(TunnelAddr(addr)) = tunnel_addr.filter(|addr| !local.holds(addr.0)) else {
        return piece;
    };
    let block = view.block_of(addr);
    let owner = block.and_then(|block| block.affinity()?.node());
    if *name == local.name || owner == Some(name) {
        return piece;
    }
    let host = Ipv4Prefix::host(addr);
    let assigned = block.and_then(|block| node_of(block.attribute_of(addr)?));
    let rules = Rules {
        view,
        local,
        policy,
    };
    // What the block says counts: a record may remember an address that has long been somebody else's.
    let claim = match assigned.filter(|assigned| *assigned != name.as_str()) {
        Some(assigned) => Err(WithheldReason::TunnelAddressTaken {
            node: name.clone(),
            assigned: assigned.to_owned(),
        }),
        None => pool_for(view, host)
            .and_then(|pool| rules.claim(RouteSource::TunnelAddress, pool, name.as_str(), host)),
    };
    piece.add(host, claim);
    piece
}

/// The pool that says how `prefix` is reached. A disabled one says so as before.
pub(super) fn pool_for(view: &View, prefix: Ipv4Prefix) -> Result<&Pool, WithheldReason> {
    let pool = view.pool_around(prefix).ok_or(WithheldReason::NoPool)?;
    match pool.vxlan_mode() {
        IpipMode::Never => Ok(pool),
        mode => Err(WithheldReason::Vxlan {
            pool: pool.name().to_owned(),
            mode,
        }),
    }
}

/// The addresses of which the block says on which node they are.
pub(super) fn placed(block: &Block) -> impl Iterator<Item = (Ipv4Addr, &str, &Attribute)> {
    let assigned = block.assigned();
    assigned.filter_map(|(addr, who)| Some((addr, node_of(who)?, who)))
}

pub(super) fn node_of(who: &Attribute) -> Option<&str> {
    who.known("node").filter(|node| !node.is_empty())
}

impl LocalNode {
    /// Whether `addr` is its own, on the underlay or on the tunnel device: no workload's then.
    pub(super) fn holds(&self, addr: Ipv4Addr) -> bool {
        self.address.addr == addr || self.tunnel_address == Some(TunnelAddr(addr))
    }
}

struct Rules<'a> {
    view: &'a View,
    local: &'a LocalNode,
    policy: &'a Policy,
}

impl Rules<'_> {
    /// The way to `prefix`, which `node` has.
    fn claim(
        &self,
        source: RouteSource,
        pool: &Pool,
        node: &str,
        prefix: Ipv4Prefix,
    ) -> Result<Claim, WithheldReason> {
        let unknown = || WithheldReason::NodeUnknown {
            node: node.to_owned(),
        };
        let name = NodeName::try_new(node).map_err(|_| unknown())?;
        let record = self.view.node(&name).ok_or_else(unknown)?;
        let Some(addr) = record.addr() else {
            return Err(WithheldReason::NoAddress { node: name });
        };
        if !is_host(addr.0) || addr.0 == self.local.address.addr {
            return Err(WithheldReason::BadAddress { node: name, addr });
        }
        let (mode, local) = (pool.ipip_mode(), self.local.address);
        let tunnelled = mode.tunnels(local, addr);
        // Where neither it nor CrossSubnet tunnels, the other is in the subnet.
        if !tunnelled && IpipMode::CrossSubnet.tunnels(local, addr) {
            return Err(WithheldReason::OtherSubnet { node: name });
        }
        if tunnelled && prefix.contains(addr.0) {
            return Err(WithheldReason::HoldsItsNode { addr });
        }
        let peer = PeerRoute {
            device: match tunnelled {
                true => self.policy.tunnel.clone(),
                false => self.local.underlay.clone(),
            },
            protocol: self.policy.protocol,
            ..PeerRoute::tunnelled(prefix, addr)
        };
        let mtu = self.local.mtu.octets();
        let route = Route {
            metric: self.policy.metric,
            mtu: (self.policy.route_mtu && tunnelled).then_some(mtu),
            ..peer.route()
        };
        Ok(Claim { source, route })
    }
}

impl Piece {
    fn add(&mut self, prefix: Ipv4Prefix, claim: Result<Claim, WithheldReason>) {
        match claim {
            Ok(claim) => self.claims.push(claim),
            Err(reason) => self.withhold(prefix, reason),
        }
    }

    fn withhold(&mut self, prefix: Ipv4Prefix, reason: WithheldReason) {
        self.withheld.push(Withheld { prefix, reason });
    }

    /// The blackhole of a block of this node.
    fn guard(&mut self, block: Ipv4Prefix, policy: &Policy) {
        let blackhole = Blackhole {
            block,
            protocol: policy.protocol,
        };
        self.claims.extend(blackhole.route().map(|route| Claim {
            source: RouteSource::Blackhole,
            route: Route {
                metric: policy.metric,
                ..route
            },
        }));
    }

    /// An address of this node: its own, or a workload's.
    fn wire(&mut self, addr: Ipv4Addr, who: &Attribute, local: &LocalNode) {
        let text = |key| who.known(key);
        // Calico's types are ipipTunnelAddress, vxlanTunnelAddress and so on; a workload has none.
        let is_tunnels = text("type").is_some_and(|kind| kind.ends_with("TunnelAddress"));
        if local.holds(addr) || is_tunnels {
            return;
        }
        let (Some(namespace), Some(pod)) = (text("namespace"), text("pod")) else {
            return self.withhold(Ipv4Prefix::host(addr), WithheldReason::NoWorkload);
        };
        let workload = WorkloadEndpoint::new(namespace, pod, addr, local.mtu);
        if let Err(error) = workload.check() {
            return self.withhold(Ipv4Prefix::host(addr), error.into());
        }
        self.claims.push(Claim {
            source: RouteSource::Workload,
            route: workload.host_route(),
        });
        self.workloads.push(workload);
    }
}

impl Claim {
    /// Of two claims to one prefix, the smaller has it. Where the source is the same, the way without the
    /// tunnel counts, and then the lower address: any order would do, as long as it is one.
    pub(super) fn rank(&self, policy: &Policy) -> (RouteSource, bool, u32, Option<InterfaceName>) {
        let Target::Device { device, next_hop } = &self.route.target else {
            return (self.source, false, 0, None);
        };
        let gateway = match next_hop {
            NextHop::Onlink(NodeAddr(addr)) | NextHop::Gateway(addr) => u32::from(*addr),
            NextHop::Direct => 0,
            NextHop::Object(id) => *id,
        };
        let tunnelled = *device == policy.tunnel;
        (self.source, tunnelled, gateway, Some(device.clone()))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::world;
