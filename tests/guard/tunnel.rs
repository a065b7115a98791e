//! The guard in front of the kernel's own tunnel: what comes in on the underlay, and what comes out of
//! `tunl0`.

use ipip_core::addr::TunnelAddr;
use ipip_core::mtu::TunnelMtu;
use ipip_core::node::{ensure_guard, ensure_tunnel, remove_guard};
use ipip_core::overlay::Tunnel;

use crate::packets::{FROM_PEER, Forged, STRANGER, answers, wired_pod};
use crate::reference;
use crate::support::{Needs, Pair, Tcpdump, Test, sh};

pub(crate) const TESTS: &[Test] = &[
    (
        "guard_tunnel_peer_passes",
        Needs::GuardedDriver,
        peer_passes,
    ),
    (
        "guard_tunnel_unknown_node_dropped",
        Needs::GuardedDriver,
        unknown_node,
    ),
    ("guard_tunnel_pod_dropped", Needs::GuardedDriver, pod),
    (
        "guard_tunnel_of_somebody_else_passes",
        Needs::GuardedDriver,
        another_tunnel,
    ),
    (
        "guard_tunnel_own_packets_are_answered",
        Needs::GuardedDriver,
        own_packets,
    ),
];

/// Two nodes with their tunnel devices, and node-a's guard.
fn guarded() -> Pair {
    let pair = Pair::new();
    for (netns, address) in [(&pair.a, [10, 244, 79, 0]), (&pair.b, [10, 244, 244, 64])] {
        let mtu = TunnelMtu::try_new(1480).unwrap();
        ensure_tunnel(netns, &Tunnel::new(TunnelAddr(address.into()), mtu)).unwrap();
    }
    sh(
        &pair.a,
        "ip route add 10.244.244.64/26 via 172.18.0.2 dev tunl0 onlink",
    );
    sh(
        &pair.b,
        "ip route add 10.244.79.0/26 via 172.18.0.3 dev tunl0 onlink",
    );
    ensure_guard(&pair.a, &reference()).unwrap();
    pair
}

/// How many packets come out of node-a's `tunl0` while `send` has at least one arrive on `arrival`.
fn out_of_the_tunnel(pair: &Pair, arrival: &str, send: impl Fn()) -> usize {
    let inside = Tcpdump::start(&pair.a, "tunl0", "ip");
    let outside = Tcpdump::start(&pair.a, arrival, "ip proto 4");
    send();
    assert!(!outside.stop_at(1).is_empty(), "it never arrived");
    inside.stop_at(0).len()
}

fn peer_passes() {
    let pair = guarded();
    assert!(answers(&pair.b, "10.244.244.64", "10.244.79.0"));
    let count = out_of_the_tunnel(&pair, "eth0", || FROM_PEER.send(&pair.b));
    assert_eq!(count, 1);
}

fn unknown_node() {
    let pair = guarded();
    let stranger = Forged {
        outer: STRANGER,
        ..FROM_PEER
    };
    let send = || stranger.send(&pair.b);
    assert_eq!(out_of_the_tunnel(&pair, "eth0", send), 0);
    // The second call leaves the rules as they are, and they go with the removal.
    assert!(ensure_guard(&pair.a, &reference()).unwrap().is_empty());
    assert_eq!(out_of_the_tunnel(&pair, "eth0", send), 0);
    remove_guard(&pair.a).unwrap();
    assert_eq!(out_of_the_tunnel(&pair, "eth0", send), 1);
}

fn pod() {
    let pair = guarded();
    let pod = wired_pod(&pair);
    let send = || FROM_PEER.send(&pod.netns);
    assert_eq!(out_of_the_tunnel(&pair, "cali1", send), 0);
    remove_guard(&pair.a).unwrap();
    assert_eq!(out_of_the_tunnel(&pair, "cali1", send), 1);
}

/// A tunnel of an administrator's between two other addresses of the same hosts.
fn another_tunnel() {
    let pair = guarded();
    for (netns, own, far, inner) in [
        (&pair.a, 7, 66, "192.168.7.1"),
        (&pair.b, 66, 7, "192.168.7.2"),
    ] {
        sh(
            netns,
            &format!(
                "ip addr add 172.18.0.{own}/32 dev eth0; ip route add 172.18.0.{far} dev eth0"
            ),
        );
        sh(
            netns,
            &format!(
                "ip link add lab type ipip local 172.18.0.{own} remote 172.18.0.{far}; ip link set lab up"
            ),
        );
        sh(netns, &format!("ip addr add {inner}/24 dev lab"));
    }
    assert!(answers(&pair.b, "192.168.7.2", "192.168.7.1"));
    assert_eq!(
        out_of_the_tunnel(&pair, "eth0", || assert!(answers(
            &pair.b,
            "192.168.7.2",
            "192.168.7.1"
        ))),
        0
    );
}

/// A process bound to the node's address reaches a pod, and the answer comes back through the tunnel.
fn own_packets() {
    let pair = guarded();
    let outside = Tcpdump::start(&pair.b, "eth0", "ip proto 4");
    assert!(answers(&pair.a, "172.18.0.3", "10.244.244.64"));
    let frames = outside.stop_at(2);
    // Ethernet 14, outer 20, inner source at 12.
    assert_eq!(frames[0][46..50], [10, 244, 79, 0]);
    assert_eq!(frames[1][50..54], [10, 244, 79, 0]);
}
