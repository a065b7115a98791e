//! Who may send through the tunnel, by all of a view.

use super::piece::{node_of, placed, pool_for};
use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr, is_host};
use crate::cluster::View;
use crate::name::NodeName;
use crate::peers::Peers;
use crate::resource::Node;

/// The other nodes and what they hold: their blocks, the addresses that they have from others' blocks,
/// and their tunnel addresses. `local` is the node that asks.
///
/// Every pool counts that IPIP is not ruled out for by VXLAN, whatever its mode and whoever is in whose
/// subnet: while a mode changes, the one side tunnels already or still.
///
/// ```
/// use ipip_core::{cluster::View, name::NodeName, overlay};
/// let peers = overlay::peers(&View::default(), &NodeName::try_new("node-a").unwrap());
/// assert!(peers.is_empty());
/// ```
#[must_use]
pub fn peers(view: &View, local: &NodeName) -> Peers {
    let mut peers = Peers::new();
    let others = view.nodes().filter(|node| node.name() != local);
    for (host, node) in others.filter_map(|node| tunnel_host(view, node)) {
        peers.insert(host, node);
    }
    let of_other = |node: &NodeName| addr_of(view, node).filter(|_| node != local);
    for block in view.blocks() {
        let prefix = block.prefix().into();
        if pool_for(view, prefix).is_err() {
            continue;
        }
        let owner = block.affinity().and_then(|affinity| affinity.node());
        if let Some(node) = owner.and_then(of_other) {
            peers.insert(prefix, node);
        }
        let borrowed =
            placed(block).filter(|(_, node, _)| owner.is_none_or(|owner| owner.as_str() != *node));
        for (addr, node, _) in borrowed {
            let node = NodeName::try_new(node).ok();
            if let Some(node) = node.as_ref().and_then(of_other) {
                peers.insert(Ipv4Prefix::host(addr), node);
            }
        }
    }
    peers
}

/// The tunnel address of `node`, unless a block says that it is another's.
fn tunnel_host(view: &View, node: &Node) -> Option<(Ipv4Prefix, NodeAddr)> {
    let TunnelAddr(addr) = node.tunnel_addr()?;
    let block = view.block_of(addr);
    let assigned = block.and_then(|block| node_of(block.attribute_of(addr)?));
    let is_its = assigned.is_none_or(|assigned| assigned == node.name().as_str());
    let host = Ipv4Prefix::host(addr);
    let is_there = is_its && pool_for(view, host).is_ok();
    is_there.then_some((host, addr_of(view, node.name())?))
}

fn addr_of(view: &View, node: &NodeName) -> Option<NodeAddr> {
    view.node(node)?.addr().filter(|addr| is_host(addr.0))
}

#[cfg(test)]
mod tests;
