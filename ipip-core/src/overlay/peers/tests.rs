use super::*;
use crate::addr::TunnelAddr;
use crate::overlay::piece::world::{block, name, node, nodes, pool};
use crate::resource::IpipMode::{Always, CrossSubnet, Never};
use crate::resource::Pool;

fn held_by(view: &View) -> Vec<String> {
    let peers = peers(view, &name("node-a"));
    let mut held: Vec<_> = peers.iter().collect();
    held.sort_unstable();
    let text = |(prefix, node): &(Ipv4Prefix, NodeAddr)| format!("{prefix} {node}");
    held.iter().map(text).collect()
}

#[test]
fn blocks_borrowed_and_tunnel_addresses_of_the_others() {
    let by_c: &[_] = &[("node", "node-c")];
    let by_b: &[_] = &[("node", "node-b")];
    let mut all = nodes();
    let tunnel_addr = |last| Some(TunnelAddr([10, 244, 2, last].into()));
    all[1] = all[1].clone().with_tunnel_addr(tunnel_addr(1));
    all[2] = all[2].clone().with_tunnel_addr(tunnel_addr(2));
    let blocks = [
        block("10.244.1.0/26", Some("node-a"), &[(5, by_c)]),
        block("10.244.2.0/26", Some("node-b"), &[(1, by_b), (6, by_c)]),
        block(
            "10.244.3.0/26",
            None,
            &[(7, by_b), (8, &[("node", "node-a")])],
        ),
        block("10.244.4.0/26", Some("node-d"), &[]),
        block("10.9.0.0/26", Some("node-b"), &[]),
    ];
    for mode in [Always, CrossSubnet, Never] {
        let view = View::from_parts(all.clone(), [pool(mode)], blocks.clone());
        assert_eq!(
            held_by(&view),
            [
                "10.244.1.5/32 172.19.0.2",
                "10.244.2.0/26 172.18.0.2",
                "10.244.2.1/32 172.18.0.2",
                "10.244.2.2/32 172.19.0.2",
                "10.244.2.6/32 172.19.0.2",
                "10.244.3.7/32 172.18.0.2",
            ]
        );
    }
}

#[test]
fn a_record_that_remembers_anothers_address_does_not_count() {
    let mut all = nodes();
    let tunnel_addr = Some(TunnelAddr([10, 244, 2, 1].into()));
    all[2] = all[2].clone().with_tunnel_addr(tunnel_addr);
    let stored = block(
        "10.244.2.0/26",
        Some("node-b"),
        &[(1, &[("node", "node-b")])],
    );
    let view = View::from_parts(all, [pool(Always)], [stored]);
    assert_eq!(held_by(&view), ["10.244.2.0/26 172.18.0.2"]);
}

#[test]
fn what_vxlan_carries_is_no_peers() {
    let vxlan =
        br#"{"metadata":{"name":"v"},"spec":{"cidr":"10.244.0.0/16","vxlanMode":"Always"}}"#;
    let nodes = [node("node-b", [172, 18, 0, 2])];
    let stored = block("10.244.2.0/26", Some("node-b"), &[]);
    let view = View::from_parts(nodes, Pool::from_json(vxlan).unwrap(), [stored]);
    assert_eq!(held_by(&view), [""; 0]);
}
