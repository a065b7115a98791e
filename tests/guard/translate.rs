//! Whose address packets bear when they leave the node.

use ipip_core::name::InterfaceName;
use ipip_core::node::ensure_guard;

use crate::packets::{answers, wired_pod};
use crate::reference;
use crate::support::{Needs, Pair, Tcpdump, Test, sh};

pub(crate) const TESTS: &[Test] = &[
    (
        "guard_translates_what_leaves_the_cluster",
        Needs::NfTables,
        outgoing,
    ),
    (
        "guard_translates_no_other_pool",
        Needs::NfTables,
        other_pool,
    ),
    (
        "guard_gives_own_packets_the_tunnel_address",
        Needs::NfTables,
        own_packets,
    ),
];

/// The sources that node-b sees of datagrams which `send` causes; both ends have the routes for it.
fn sources(pair: &Pair, send: impl Fn()) -> Vec<String> {
    sh(
        &pair.b,
        "ip addr add 10.244.244.73/32 dev lo; ip addr add 192.0.2.1/32 dev lo; ip route add 10.244.79.0/26 via 172.18.0.3",
    );
    sh(
        &pair.a,
        "ip route add 10.244.244.64/26 via 172.18.0.2; ip route add 192.0.2.1 via 172.18.0.2",
    );
    let tcpdump = Tcpdump::start(&pair.b, "eth0", "udp dst port 9");
    send();
    let frames = tcpdump.stop_at(2);
    let source = |frame: &Vec<u8>| {
        frame[26..30]
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(".")
    };
    frames.iter().map(source).collect()
}

fn outgoing() {
    let pair = Pair::new();
    let pod = wired_pod(&pair);
    ensure_guard(&pair.a, &reference()).unwrap();
    let seen = sources(&pair, || {
        // A host outside; a node, which is outside too; a pod.
        for to in ["192.0.2.1", "172.18.0.2", "10.244.244.73"] {
            assert!(answers(&pod.netns, "10.244.79.20", to), "{to}");
        }
    });
    assert_eq!(seen, ["172.18.0.3", "172.18.0.3", "10.244.79.20"]);
}

fn other_pool() {
    let pair = Pair::new();
    let pod = wired_pod(&pair);
    let mut guard = reference();
    guard.pools[0].nat_outgoing = false;
    ensure_guard(&pair.a, &guard).unwrap();
    let seen = sources(&pair, || {
        for to in ["192.0.2.1", "10.244.244.73"] {
            assert!(answers(&pod.netns, "10.244.79.20", to), "{to}");
        }
    });
    assert_eq!(seen, ["10.244.79.20", "10.244.79.20"]);
}

/// Here the underlay stands for the tunnel device; `tunnel` has the real one.
fn own_packets() {
    let pair = Pair::new();
    sh(&pair.a, "ip addr add 10.244.79.0/32 dev lo");
    let mut guard = reference();
    guard.device = InterfaceName::try_new("eth0").unwrap();
    ensure_guard(&pair.a, &guard).unwrap();
    let seen = sources(&pair, || {
        for to in ["10.244.244.73", "172.18.0.2"] {
            assert!(answers(&pair.a, "172.18.0.3", to), "{to}");
        }
    });
    assert_eq!(seen, ["10.244.79.0", "172.18.0.3"]);
}
