//! Each rule of Calico's, by its name.

pub(in crate::overlay) mod world;

use world::*;

use super::*;
use crate::addr::TunnelAddr;
use crate::plan::RouteProtocol;
use crate::resource::IpipMode::{Always, CrossSubnet, Never};
use crate::resource::{Affinity, Node};

const BLOCK: &str = "10.244.2.0/26";

fn piece_of(view: &View, text: &str) -> Piece {
    routes_of_block(view, &local(), &Policy::default(), prefix(text))
}

fn routes(piece: &Piece) -> Vec<String> {
    let claims = piece.claims.iter();
    claims.map(|claim| claim.route.to_string()).collect()
}

fn reasons(piece: &Piece) -> Vec<String> {
    piece.withheld.iter().map(ToString::to_string).collect()
}

/// The routes for a block of `owner` in a pool with `mode`.
fn owned_by(mode: IpipMode, owner: &str) -> Piece {
    piece_of(&view(mode, block(BLOCK, Some(owner), &[])), BLOCK)
}

#[test]
fn encapsulated_a_block_is_reached_through_the_tunnel() {
    let tunnelled = "10.244.2.0/26 via 172.18.0.2 dev tunl0 proto bird onlink";
    assert_eq!(routes(&owned_by(Always, "node-b")), [tunnelled]);
    let other_subnet = "10.244.2.0/26 via 172.19.0.2 dev tunl0 proto bird onlink";
    assert_eq!(routes(&owned_by(CrossSubnet, "node-c")), [other_subnet]);
}

#[test]
fn cross_subnet_a_neighbours_block_is_reached_directly() {
    let direct = "10.244.2.0/26 via 172.18.0.2 dev eth0 proto bird onlink";
    assert_eq!(routes(&owned_by(CrossSubnet, "node-b")), [direct]);
    // The local node's subnet decides, not the one that the other's record has.
    let mut alone = local();
    alone.address.prefix_len = 32;
    let view = view(CrossSubnet, block(BLOCK, Some("node-b"), &[]));
    let piece = routes_of_block(&view, &alone, &Policy::default(), prefix(BLOCK));
    assert!(routes(&piece)[0].contains("dev tunl0"));
}

#[test]
fn never_encapsulated_a_block_is_reached_in_the_subnet_or_not_by_us() {
    let direct = "10.244.2.0/26 via 172.18.0.2 dev eth0 proto bird onlink";
    assert_eq!(routes(&owned_by(Never, "node-b")), [direct]);
    let piece = owned_by(Never, "node-c");
    assert_eq!(routes(&piece), [""; 0]);
    assert_eq!(
        reasons(&piece),
        ["10.244.2.0/26: node node-c is in another subnet, and the pool asks for no encapsulation"]
    );
}

#[test]
fn a_local_block_gets_a_blackhole_and_a_local_single_address_none() {
    let piece = owned_by(Always, "node-a");
    assert_eq!(routes(&piece), ["blackhole 10.244.2.0/26 proto bird"]);
    let single = view(Always, block("10.244.2.9/32", Some("node-a"), &[]));
    assert_eq!(piece_of(&single, "10.244.2.9/32"), Piece::default());
}

#[test]
fn a_local_workload_has_its_own_route_and_link() {
    let pod: &[_] = &[
        ("node", "node-a"),
        ("namespace", "default"),
        ("pod", "podA"),
    ];
    // In whosever block, and whatever became of its pool.
    for (text, owner, others) in [
        (BLOCK, Some("node-a"), 1),
        (BLOCK, Some("node-b"), 1),
        (BLOCK, None, 0),
        ("10.9.2.0/26", Some("node-a"), 0),
    ] {
        let view = view(Always, block(text, owner, &[(20, pod)]));
        let piece = piece_of(&view, text);
        let found = routes(&piece);
        let host = text.replace("0/26", "20");
        let own = format!("{host} dev cali7f94ce7c295 scope link");
        assert_eq!(
            found.iter().filter(|route| **route == own).count(),
            1,
            "{found:?}"
        );
        assert_eq!(found.len(), 1 + others, "{found:?}");
        assert_eq!(piece.workloads.len(), 1);
    }
}

#[test]
fn a_borrowed_address_has_its_own_route_everywhere_but_at_the_borrower() {
    let by_c: &[_] = &[("node", "node-c"), ("namespace", "default"), ("pod", "p")];
    let own = "10.244.2.5 via 172.19.0.2 dev tunl0 proto bird onlink";
    for owner in ["node-a", "node-b"] {
        let view = view(Always, block(BLOCK, Some(owner), &[(5, by_c)]));
        assert_eq!(routes(&piece_of(&view, BLOCK))[1..], [own]);
    }
    let at_home = view(Always, block(BLOCK, Some("node-c"), &[(5, by_c)]));
    assert_eq!(
        piece_of(&at_home, BLOCK).claims.len(),
        1,
        "covered by the block"
    );
}

#[test]
fn of_nobodys_block_only_the_addresses_are_routed() {
    let by = |node| [("node", node), ("namespace", "default"), ("pod", "p")];
    let (b, c) = (by("node-b"), by("node-c"));
    let orphan = block(BLOCK, None, &[(5, &b), (6, &c)]);
    assert_eq!(
        routes(&piece_of(&view(Always, orphan), BLOCK)),
        [
            "10.244.2.5 via 172.18.0.2 dev tunl0 proto bird onlink",
            "10.244.2.6 via 172.19.0.2 dev tunl0 proto bird onlink",
        ]
    );
    let virtual_owner = Block::new(BLOCK.parse().unwrap(), crate::resource::Sequence(1))
        .claimed_by(Affinity::Virtual("lb".to_owned()), std::time::UNIX_EPOCH);
    assert_eq!(
        piece_of(&view(Always, virtual_owner), BLOCK),
        Piece::default()
    );
}

/// The route to the tunnel address of node-b, where `block` is all that there is.
fn tunnel_route(block: Option<Block>, addr: [u8; 4]) -> Piece {
    let mut all = nodes();
    all[1] = all[1]
        .clone()
        .with_tunnel_addr(Some(TunnelAddr(addr.into())));
    let view = View::from_parts(all, [pool(Always)], block);
    routes_of_node(&view, &local(), &Policy::default(), &name("node-b"))
}

#[test]
fn a_tunnel_address_has_its_own_route_unless_its_nodes_block_covers_it() {
    let own = "10.244.2.1 via 172.18.0.2 dev tunl0 proto bird onlink";
    let addr = [10, 244, 2, 1];
    let covered = block(BLOCK, Some("node-b"), &[]);
    assert_eq!(tunnel_route(Some(covered), addr), Piece::default());
    for found in [
        None,
        Some(block(BLOCK, Some("node-c"), &[])),
        Some(block(BLOCK, None, &[])),
    ] {
        assert_eq!(routes(&tunnel_route(found, addr)), [own]);
    }
    // The block's own route is the /32 then.
    let single = block("10.244.2.1/32", Some("node-b"), &[]);
    assert_eq!(tunnel_route(Some(single.clone()), addr), Piece::default());
    assert_eq!(
        routes(&piece_of(&view(Always, single), "10.244.2.1/32")),
        [own]
    );
}

/// A pod was given an address that the node's record still remembers as its tunnel's.
#[test]
fn a_tunnel_address_that_a_block_says_is_anothers_is_not_routed() {
    let pod: &[_] = &[("node", "node-c"), ("namespace", "default"), ("pod", "p")];
    let taken = block(BLOCK, Some("node-c"), &[(1, pod)]);
    let piece = tunnel_route(Some(taken), [10, 244, 2, 1]);
    assert_eq!(routes(&piece), [""; 0]);
    assert_eq!(
        reasons(&piece),
        ["10.244.2.1/32: the tunnel address of node node-b is assigned to node node-c"]
    );
}

#[test]
fn a_route_to_a_node_without_an_address_waits_for_it() {
    let reason = |owner| reasons(&owned_by(Always, owner)).remove(0);
    assert_eq!(
        reason("node-d"),
        "10.244.2.0/26: node node-d has no address"
    );
    assert_eq!(reason("node-x"), "10.244.2.0/26: node node-x is not known");
}

#[test]
fn no_route_leads_to_ourselves_or_to_no_host() {
    for addr in [[172, 18, 0, 3], [224, 0, 0, 5], [0; 4]] {
        let mut all = nodes();
        all[1] = node("node-b", addr);
        let view = View::from_parts(all, [pool(Always)], [block(BLOCK, Some("node-b"), &[])]);
        let piece = piece_of(&view, BLOCK);
        assert_eq!(routes(&piece), [""; 0]);
        assert!(reasons(&piece)[0].ends_with("which must be another host's"));
    }
}

#[test]
fn own_addresses_are_no_workloads() {
    let mine: &[_] = &[("node", "node-a"), ("namespace", "default"), ("pod", "p")];
    let kind: &[_] = &[("node", "node-a"), ("type", "ipipTunnelAddress")];
    let mut view = view(
        Always,
        block("10.244.1.0/26", Some("node-a"), &[(1, mine), (2, kind)]),
    );
    let blackhole = ["blackhole 10.244.1.0/26 proto bird"];
    let piece = piece_of(&view, "10.244.1.0/26");
    assert_eq!(
        (routes(&piece), piece.withheld),
        (blackhole.map(String::from).to_vec(), vec![])
    );
    // The underlay's address lies in a block.
    let mut inside = local();
    inside.address.addr = [10, 244, 1, 2].into();
    view = View::from_parts(
        nodes(),
        [pool(Always)],
        [block("10.244.1.0/26", Some("node-a"), &[(2, mine)])],
    );
    let piece = routes_of_block(&view, &inside, &Policy::default(), prefix("10.244.1.0/26"));
    assert_eq!(routes(&piece), blackhole);
}

#[test]
fn no_tunnel_leads_to_its_own_outer_destination() {
    let mut all = nodes();
    all[1] = node("node-b", [10, 244, 2, 7]);
    let view = View::from_parts(all, [pool(Always)], [block(BLOCK, Some("node-b"), &[])]);
    let piece = piece_of(&view, BLOCK);
    assert_eq!(
        reasons(&piece),
        ["10.244.2.0/26: it holds the address 10.244.2.7 of its node, which is reached through it"]
    );
}

#[test]
fn the_pool_around_a_block_decides_even_if_it_is_disabled() {
    let stored = block(BLOCK, Some("node-b"), &[]);
    let disabled = pool(Always).with_disabled(true);
    let view = View::from_parts(nodes(), [disabled], [stored.clone()]);
    assert_eq!(piece_of(&view, BLOCK).claims.len(), 1);
    let without = View::from_parts(nodes(), [], [stored.clone()]);
    assert_eq!(
        reasons(&piece_of(&without, BLOCK)),
        ["10.244.2.0/26: it lies in no pool"]
    );
    let vxlan =
        br#"{"metadata":{"name":"v"},"spec":{"cidr":"10.244.0.0/16","vxlanMode":"Always"}}"#;
    let vxlan = Pool::from_json(vxlan).unwrap();
    let view = View::from_parts(nodes(), vxlan, [stored]);
    let reason = "10.244.2.0/26: pool v is encapsulated by VXLAN, mode Always";
    assert_eq!(reasons(&piece_of(&view, BLOCK)), [reason]);
}

#[test]
fn an_address_without_a_workloads_name_is_listed() {
    let bare: &[_] = &[("node", "node-a")];
    let bad: &[_] = &[("node", "node-a"), ("namespace", "a/b"), ("pod", "p")];
    let view = view(Always, block(BLOCK, Some("node-a"), &[(5, bare), (6, bad)]));
    let found = reasons(&piece_of(&view, BLOCK));
    assert_eq!(
        found[0],
        "10.244.2.5/32: its attributes name no namespace and pod"
    );
    assert!(
        found[1].starts_with("10.244.2.6/32: workload namespace \"a/b\""),
        "{}",
        found[1]
    );
}

#[test]
fn protocol_metric_and_mtu_are_the_policys() {
    let policy = Policy {
        protocol: RouteProtocol(99),
        metric: 1024,
        route_mtu: true,
        ..Policy::default()
    };
    let pod: &[_] = &[
        ("node", "node-a"),
        ("namespace", "default"),
        ("pod", "podA"),
    ];
    let by = |mode, owner, addresses: &[(u8, &[(&str, &str)])]| {
        let view = view(mode, block(BLOCK, Some(owner), addresses));
        routes(&routes_of_block(&view, &local(), &policy, prefix(BLOCK)))
    };
    let tunnelled = "10.244.2.0/26 via 172.18.0.2 dev tunl0 proto 99 metric 1024 onlink mtu 1480";
    assert_eq!(by(Always, "node-b", &[]), [tunnelled]);
    let direct = "10.244.2.0/26 via 172.18.0.2 dev eth0 proto 99 metric 1024 onlink";
    assert_eq!(by(CrossSubnet, "node-b", &[]), [direct]);
    assert_eq!(
        by(Always, "node-a", &[(20, pod)]),
        [
            "blackhole 10.244.2.0/26 proto 99 metric 1024",
            "10.244.2.20 dev cali7f94ce7c295 scope link",
        ]
    );
}

#[test]
fn an_address_that_cools_down_is_nobodys() {
    let view = view(
        Always,
        block(BLOCK, Some("node-b"), &[(5, &[]), (6, &[("node", "")])]),
    );
    assert_eq!(piece_of(&view, BLOCK).claims.len(), 1);
}

#[test]
fn a_node_without_a_tunnel_address_adds_nothing() {
    let view = View::from_parts([Node::new(name("node-b"))], [], []);
    let (local, policy) = (local(), Policy::default());
    for text in ["node-b", "node-x", "node-a"] {
        assert_eq!(
            routes_of_node(&view, &local, &policy, &name(text)),
            Piece::default()
        );
    }
}
