//! A small cluster: node-a, which is the local one, and node-b in one subnet, node-c in another, and
//! node-d without an address.

use std::time::UNIX_EPOCH;

use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use crate::cluster::View;
use crate::mtu::TunnelMtu;
use crate::name::{InterfaceName, NodeName};
use crate::overlay::LocalNode;
use crate::plan::InterfaceAddr;
use crate::resource::{Affinity, Attribute, Block, IpipMode, Node, Pool, Sequence};

pub(in crate::overlay) fn name(text: &str) -> NodeName {
    NodeName::try_new(text).unwrap()
}

pub(in crate::overlay) fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

pub(in crate::overlay) fn local() -> LocalNode {
    LocalNode {
        name: name("node-a"),
        address: InterfaceAddr {
            addr: [172, 18, 0, 3].into(),
            prefix_len: 16,
        },
        underlay: InterfaceName::try_new("eth0").unwrap(),
        tunnel_address: Some(TunnelAddr([10, 244, 1, 1].into())),
        mtu: TunnelMtu::try_new(1480).unwrap(),
    }
}

pub(in crate::overlay) fn node(text: &str, addr: [u8; 4]) -> Node {
    let node = Node::new(name(text));
    node.with_addr(NodeAddr(addr.into()), 16).unwrap()
}

pub(in crate::overlay) fn nodes() -> Vec<Node> {
    vec![
        node("node-a", [172, 18, 0, 3]),
        node("node-b", [172, 18, 0, 2]),
        node("node-c", [172, 19, 0, 2]),
        Node::new(name("node-d")),
    ]
}

pub(in crate::overlay) fn pool(mode: IpipMode) -> Pool {
    let pool = Pool::try_new("pods", "10.244.0.0/16".parse().unwrap(), 26).unwrap();
    pool.with_ipip_mode(mode)
}

/// A block with addresses: the last octet of each, and its attributes.
pub(in crate::overlay) fn block(
    text: &str,
    owner: Option<&str>,
    addresses: &[(u8, &[(&str, &str)])],
) -> Block {
    let mut block = Block::new(text.parse().unwrap(), Sequence(1));
    if let Some(owner) = owner {
        block = block.claimed_by(Affinity::Host(name(owner)), UNIX_EPOCH);
    }
    let [a, b, c, _] = prefix(text).network().octets();
    for (last, attributes) in addresses {
        let mut who = Attribute::new(None);
        for (key, value) in *attributes {
            who = who.with(key, value);
        }
        block.assign([a, b, c, *last].into(), who).unwrap();
    }
    block
}

pub(in crate::overlay) fn view(mode: IpipMode, block: Block) -> View {
    View::from_parts(nodes(), [pool(mode)], [block])
}
