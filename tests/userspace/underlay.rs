//! What routers of the underlay say of the packets around a pod's packets, and what the pod hears of it.

use std::net::Ipv4Addr;

use ipip_core::sys::netns::Netns;

use crate::path::{Path, start};
use crate::support::{A, B, Needs, Test, sh, soon, try_sh};
use crate::traffic::TOLD;
use crate::world::{IN_A, IN_B, configure, pod_behind, udp_socket};

/// What any data path of ours must do.
pub(crate) const TESTS: &[Test] = &[
    (
        "a_router_that_carries_less_is_heard_of",
        Needs::Root,
        a_router_that_carries_less_is_heard_of,
    ),
    (
        "a_way_that_is_too_long_is_heard_of",
        Needs::Root,
        a_way_that_is_too_long_is_heard_of,
    ),
    (
        "a_router_that_knows_no_way_is_heard_of",
        Needs::Root,
        a_router_that_knows_no_way_is_heard_of,
    ),
];

/// Two nodes with a router between them.
struct Routed {
    _paths: [Path; 2],
    a: Netns,
    b: Netns,
    router: Netns,
}

impl Routed {
    fn new() -> Self {
        const ROUTER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);
        let [a, b, router] = [(); 3].map(|()| Netns::create_unnamed().unwrap());
        // The router's errors, all at once.
        let settings =
            "net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000";
        sh(
            &router,
            &format!("sysctl -qw {settings} || true; ip link set lo up"),
        );
        for (node, addr, other, link) in [(&a, A, B, "to_a"), (&b, B, A, "to_b")] {
            sh(
                &router,
                &format!("ip link add {link} type veth peer name eth0 netns {node}"),
            );
            sh(
                &router,
                &format!(
                    "ip addr add {ROUTER}/32 dev {link}; ip link set {link} up; ip route add {addr} dev {link}"
                ),
            );
            sh(
                node,
                &format!("ip link set lo up; ip addr add {addr}/32 dev eth0; ip link set eth0 up"),
            );
            sh(
                node,
                &format!("ip route add {ROUTER} dev eth0; ip route add {other} via {ROUTER}"),
            );
            soon("the link is up", || {
                try_sh(node, "ip -o link show eth0").is_ok_and(|text| text.contains("state UP"))
            });
        }
        let paths = [start(&a, A).unwrap(), start(&b, B).unwrap()];
        configure(&a, IN_A, "10.244.244.64/26");
        configure(&b, IN_B, "10.244.79.0/26");
        Self {
            _paths: paths,
            a,
            b,
            router,
        }
    }
}

fn a_router_that_carries_less_is_heard_of() {
    let routed = Routed::new();
    sh(&routed.router, "ip link set to_b mtu 1400");
    let pod = pod_behind(&routed.a, Ipv4Addr::new(10, 244, 79, 20));
    let there = udp_socket(&routed.b, IN_B, 4000);
    for (sender, what) in [(&pod, "a pod"), (&routed.a, "the node")] {
        let said = sh(sender, &format!("python3 -c \"{TOLD}\""));
        assert_eq!(said, "1380 90\n90\n1352\n", "MTU and sends of {what}");
        let received = there.recv(&mut [0; 2000]).unwrap();
        assert_eq!(received, 1352, "what fits, from {what}");
        // What the first has found out the second is to find out again.
        sh(&routed.a, "ip route flush cache");
    }
}

/// Sends a datagram with a TTL and says which error comes of it (`IP_RECVERR` 11, `IP_TTL` 2, `SO_ERROR` 4).
fn heard(sender: &Netns, ttl: u8) -> String {
    let script = format!(
        "import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(0, 11, 1)
s.setsockopt(0, 2, {ttl})
s.connect(('{IN_B}', 4000))
s.send(b'lost')
for _ in range(1000):
    error = s.getsockopt(1, 4)
    if error: break
    time.sleep(.01)
print(error)"
    );
    let said = sh(sender, &format!("python3 -c \"{script}\""));
    said.trim_end().to_owned()
}

fn a_way_that_is_too_long_is_heard_of() {
    let routed = Routed::new();
    let pod = pod_behind(&routed.a, Ipv4Addr::new(10, 244, 79, 20));
    let unreachable = libc::EHOSTUNREACH.to_string();
    // The outer TTL is the inner one, which the node itself has lowered by one: the router is the last to see it.
    assert_eq!(heard(&pod, 2), unreachable, "after too many routers");
}

/// What the router says (code of "destination unreachable") and what a pod hears: RFC 2003, section 4.1.
fn a_router_that_knows_no_way_is_heard_of() {
    let routed = Routed::new();
    let pod = pod_behind(&routed.a, Ipv4Addr::new(10, 244, 79, 20));
    for (way, error) in [
        ("ip route replace unreachable", libc::EHOSTUNREACH),
        ("ip route replace prohibit", libc::EHOSTUNREACH),
        ("ip route del", libc::ENETUNREACH),
    ] {
        sh(&routed.router, &format!("{way} {B}"));
        assert_eq!(heard(&pod, 64), error.to_string(), "{way}");
    }
}
