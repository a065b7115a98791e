//! Who gets which address: one pool, a block for each node, addresses from the allocator.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipip_core::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use ipip_core::datastore::Memory;
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, DEFAULT_BLOCK_LEN, Pool};

use crate::options::Options;

/// The pool of the reference picture.
pub(crate) const POOL: &str = "10.244.0.0/16";

/// Name, letter, underlay address, block and first pod of each node in the reference picture.
const NODES: [(&str, char, Ipv4Addr, &str, Ipv4Addr); 2] = [
    (
        "node-a",
        'a',
        Ipv4Addr::new(172, 18, 0, 3),
        "10.244.79.0/26",
        Ipv4Addr::new(10, 244, 79, 20),
    ),
    (
        "node-b",
        'b',
        Ipv4Addr::new(172, 18, 0, 2),
        "10.244.244.64/26",
        Ipv4Addr::new(10, 244, 244, 73),
    ),
];

/// What one node was given.
pub(crate) struct NodePlan {
    pub(crate) name: &'static str,
    pub(crate) letter: char,
    pub(crate) addr: NodeAddr,
    pub(crate) block: Ipv4Prefix,
    pub(crate) tunnel_addr: TunnelAddr,
    /// The first is the reference picture's, the others are what the allocator gives.
    pub(crate) pods: Vec<Ipv4Addr>,
}

/// Claims the blocks and assigns the addresses, in memory.
pub(crate) fn assign(options: &Options) -> Result<[NodePlan; 2], Box<dyn Error>> {
    let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    let pool = Pool::try_new("default-ipv4-ippool", POOL.parse()?, DEFAULT_BLOCK_LEN)?;
    ipam.create_pool(&pool.with_ipip_mode(options.mode))?;
    let [a, b] = NODES;
    Ok([join(&ipam, a, options)?, join(&ipam, b, options)?])
}

fn join(
    ipam: &Ipam,
    (name, letter, addr, block, first_pod): (&'static str, char, Ipv4Addr, &str, Ipv4Addr),
    options: &Options,
) -> Result<NodePlan, Box<dyn Error>> {
    let node = NodeName::try_new(name)?;
    let claimed = ipam.claim(&node, block.parse()?)?;
    let handle = HandleId::try_new(&format!("ipip-tunnel-addr-{name}"))?;
    let tunnel = Attribute::new(Some(handle)).with("type", "ipipTunnelAddress");
    let tunnel_addr = TunnelAddr(ipam.assign_any(&node, &tunnel)?.addr);
    let mut pods = Vec::new();
    for number in 1..=options.pods {
        let handle = HandleId::try_new(&format!("two-nodes.pod-{letter}{number}"))?;
        let pod = Attribute::new(Some(handle))
            .with("namespace", "default")
            .with("pod", &format!("pod-{letter}{number}"));
        let assigned = match number {
            1 => ipam.assign(&node, first_pod, &pod)?,
            _ => ipam.assign_any(&node, &pod)?,
        };
        pods.push(assigned.addr);
    }
    let block = claimed.block.try_into()?;
    Ok(NodePlan {
        name,
        letter,
        addr: NodeAddr(addr),
        block,
        tunnel_addr,
        pods,
    })
}
