//! `ensure_peer_route` and `remove_peer_route`, on the tunnel and on the underlay.

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::mtu::TunnelMtu;
use ipip_core::name::InterfaceName;
use ipip_core::node::{ensure_peer_route, ensure_tunnel, remove_peer_route};
use ipip_core::overlay::{PeerRoute, Tunnel};

use crate::support::{Named, Needs, Test};
use crate::{lines, refusal};

pub(crate) const TESTS: &[Test] = &[
    ("peer_route_fresh", Needs::Driver, fresh),
    ("peer_route_repeated", Needs::Driver, repeated),
    ("peer_route_damaged", Needs::Driver, damaged),
    (
        "peer_route_after_the_tunnel_went_down",
        Needs::Driver,
        tunnel_down,
    ),
    ("peer_route_prefix_taken", Needs::Driver, prefix_taken),
    ("peer_route_removed", Needs::Driver, removed),
    ("peer_route_direct_fresh", Needs::Root, direct_fresh),
    (
        "peer_route_direct_renumbered",
        Needs::Root,
        direct_renumbered,
    ),
    (
        "peer_route_direct_prefix_taken",
        Needs::Root,
        direct_prefix_taken,
    ),
    ("peer_route_direct_removed", Needs::Root, direct_removed),
    ("peer_route_without_its_device", Needs::Root, without_device),
    ("peer_route_refused_by_the_kernel", Needs::Root, refused),
];

const BLOCK: &str = "10.244.244.64/26";

fn via(node: u8) -> PeerRoute {
    PeerRoute::tunnelled(BLOCK.parse().unwrap(), NodeAddr([172, 18, 0, node].into()))
}

fn direct(node: u8) -> PeerRoute {
    PeerRoute {
        device: InterfaceName::try_new("eth0").unwrap(),
        ..via(node)
    }
}

/// A node with an underlay.
fn node() -> Named {
    let node = Named::new("node");
    node.sh("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up");
    node.sh("ip addr add 172.18.0.3/16 dev eth0");
    node
}

/// The same with its tunnel.
fn tunnel_node() -> Named {
    let node = node();
    let tunnel = Tunnel::new(
        TunnelAddr([10, 244, 79, 0].into()),
        TunnelMtu::try_new(1480).unwrap(),
    );
    ensure_tunnel(&node.netns, &tunnel).unwrap();
    node
}

fn route(node: &Named) -> String {
    node.sh(&format!("ip route show {BLOCK}")).trim().to_owned()
}

fn fresh() {
    let node = tunnel_node();
    let changes = ensure_peer_route(&node.netns, &via(2)).unwrap();
    assert_eq!(
        lines(&changes),
        [format!(
            "ip route add {BLOCK} via 172.18.0.2 dev tunl0 proto bird onlink"
        )]
    );
    assert_eq!(
        route(&node),
        format!("{BLOCK} via 172.18.0.2 dev tunl0 proto bird onlink")
    );
    let routes = node.ip(&format!("-d route show {BLOCK}"));
    assert_eq!(routes[0]["protocol"], "bird");
    assert_eq!(routes[0]["flags"], serde_json::json!(["onlink"]));
    // The kernel's own answer to "which way", from a pod's address.
    let chosen = node.sh("ip route get 10.244.244.73");
    assert!(chosen.contains("via 172.18.0.2 dev tunl0"), "{chosen}");
}

fn repeated() {
    let node = tunnel_node();
    ensure_peer_route(&node.netns, &via(2)).unwrap();
    let before = node.sh("ip -d route");
    assert!(ensure_peer_route(&node.netns, &via(2)).unwrap().is_empty());
    assert_eq!(node.sh("ip -d route"), before);
}

fn damaged() {
    let node = tunnel_node();
    for damage in [
        format!("ip route change {BLOCK} via 172.18.0.9 dev tunl0 proto bird onlink"),
        format!("ip route change {BLOCK} via 172.18.0.2 dev eth0 proto bird"),
        format!("ip route del {BLOCK}"),
        "echo 0 > /proc/sys/net/ipv4/conf/tunl0/forwarding".to_owned(),
    ] {
        ensure_peer_route(&node.netns, &via(2)).unwrap();
        let before = node.sh("ip -d route");
        node.sh(&damage);
        assert_eq!(
            ensure_peer_route(&node.netns, &via(2)).unwrap().steps.len(),
            1,
            "{damage}"
        );
        assert_eq!(node.sh("ip -d route"), before, "{damage}");
        assert_eq!(node.sysctl("conf/tunl0/forwarding"), "1");
    }
}

/// A device that goes down takes its routes along, without a word.
fn tunnel_down() {
    let node = tunnel_node();
    ensure_peer_route(&node.netns, &via(2)).unwrap();
    node.sh("ip link set tunl0 down; ip link set tunl0 up");
    assert_eq!(route(&node), "");
    assert_eq!(
        ensure_peer_route(&node.netns, &via(2)).unwrap().steps.len(),
        1
    );
    assert_ne!(route(&node), "");
}

fn prefix_taken() {
    let node = tunnel_node();
    assert_prefix_taken(&node, &via(2), "tunl0");
}

fn direct_prefix_taken() {
    assert_prefix_taken(&node(), &direct(2), "eth0");
}

fn assert_prefix_taken(node: &Named, wanted: &PeerRoute, device: &str) {
    node.sh(&format!(
        "ip route add {BLOCK} via 172.18.0.7 dev eth0 proto static"
    ));
    let before = node.sh("ip -d route");
    let said = refusal(|| ensure_peer_route(&node.netns, wanted));
    assert_eq!(
        said,
        format!(
            "route {BLOCK} via 172.18.0.2 dev {device} proto bird onlink: the prefix is taken by route {BLOCK} via \
             172.18.0.7 dev eth0 proto static"
        )
    );
    assert!(
        remove_peer_route(&node.netns, wanted).unwrap().is_empty(),
        "nor is it removed"
    );
    assert_eq!(node.sh("ip -d route"), before);
}

fn removed() {
    let node = tunnel_node();
    let before = node.sh("ip -d route");
    ensure_peer_route(&node.netns, &via(2)).unwrap();
    assert!(
        remove_peer_route(&node.netns, &via(9)).unwrap().is_empty(),
        "another node's stays"
    );
    assert_eq!(
        remove_peer_route(&node.netns, &via(2)).unwrap().steps.len(),
        1
    );
    assert_eq!(node.sh("ip -d route"), before);
    assert!(remove_peer_route(&node.netns, &via(2)).unwrap().is_empty());
}

fn direct_fresh() {
    let node = node();
    let changes = ensure_peer_route(&node.netns, &direct(2)).unwrap();
    assert_eq!(
        lines(&changes),
        [
            "sysctl -w net.ipv4.conf.eth0.forwarding=1".to_owned(),
            format!("ip route add {BLOCK} via 172.18.0.2 dev eth0 proto bird onlink")
        ]
    );
    assert_eq!(
        route(&node),
        format!("{BLOCK} via 172.18.0.2 dev eth0 proto bird onlink")
    );
    assert!(
        ensure_peer_route(&node.netns, &direct(2))
            .unwrap()
            .is_empty()
    );
}

fn direct_renumbered() {
    let node = node();
    ensure_peer_route(&node.netns, &direct(2)).unwrap();
    let changes = ensure_peer_route(&node.netns, &direct(5)).unwrap();
    assert_eq!(
        lines(&changes),
        [format!(
            "ip route replace {BLOCK} via 172.18.0.5 dev eth0 proto bird onlink"
        )]
    );
    assert_eq!(
        route(&node),
        format!("{BLOCK} via 172.18.0.5 dev eth0 proto bird onlink")
    );
}

fn direct_removed() {
    let node = node();
    ensure_peer_route(&node.netns, &direct(2)).unwrap();
    assert_eq!(
        remove_peer_route(&node.netns, &direct(2))
            .unwrap()
            .steps
            .len(),
        1
    );
    assert_eq!(route(&node), "");
    assert!(
        remove_peer_route(&node.netns, &direct(2))
            .unwrap()
            .is_empty()
    );
}

fn without_device() {
    let node = node();
    let nowhere = PeerRoute {
        device: InterfaceName::try_new("nowhere").unwrap(),
        ..via(2)
    };
    assert_eq!(
        refusal(|| ensure_peer_route(&node.netns, &nowhere)),
        "link nowhere does not exist"
    );
}

/// The step, the object, the kernel's own words and the error number; and nothing of it stays.
fn refused() {
    let node = node();
    node.sh("ip link set eth0 down");
    let said = refusal(|| ensure_peer_route(&node.netns, &direct(2)));
    let route = format!("{BLOCK} via 172.18.0.2 dev eth0 proto bird onlink");
    let named = format!("ip route add {route}: route {route}: ");
    assert!(said.starts_with(&named), "{said}");
    assert!(said.contains("(Network is down, os error 100)"), "{said}");
    assert_eq!(
        node.sysctl("conf/eth0/forwarding"),
        "0",
        "the setting before it was taken back"
    );
}
