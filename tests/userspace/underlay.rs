//! What routers of the underlay say of the packets around a pod's packets, and what the pod hears of it.

use std::net::Ipv4Addr;

use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::wire::{IcmpError, MAX_ICMP_ERROR_LEN};

use crate::path::start;
use crate::support::{A, B, Needs, Test, sh, soon, try_sh};
use crate::traffic::TOLD;
use crate::world::{IN_A, IN_B, Tunnel, configure, header, packet, pod_behind, udp_socket};

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
    (
        "an_mtu_told_with_little_quoted_is_heard_of",
        Needs::Root,
        an_mtu_told_with_little_quoted_is_heard_of,
    ),
];

/// Two nodes with a router between them.
pub(crate) struct Routed<P> {
    _paths: [P; 2],
    pub(crate) a: Netns,
    pub(crate) b: Netns,
    pub(crate) router: Netns,
}

impl<P> Routed<P> {
    pub(crate) fn of<E: std::fmt::Debug>(start: fn(&Netns, Ipv4Addr) -> Result<P, E>) -> Self {
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
    let routed = Routed::of(start);
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

/// Sends datagrams with a TTL until an error comes of one, and says which (`IP_RECVERR` 11, `IP_TTL` 2, `SO_ERROR` 4); 0
/// after `attempts` half seconds. One would not do: a router that has just told of another keeps silent about the next
/// for a second (`net.ipv4.route.error_cost`, which counts other errors of the same router too, whatever `icmp_ratelimit`).
pub(crate) fn heard(sender: &Netns, (to, ttl): (Ipv4Addr, u8), attempts: u8) -> String {
    let script = format!(
        "import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(0, 11, 1)
s.setsockopt(0, 2, {ttl})
s.connect(('{to}', 4000))
error = 0
for _ in range({attempts}):
    try: s.send(b'lost')
    except OSError as told: error = told.errno
    for _ in range(50):
        error = error or s.getsockopt(1, 4)
        if error: break
        time.sleep(.01)
    if error: break
print(error)"
    );
    let said = sh(sender, &format!("python3 -c \"{script}\""));
    said.trim_end().to_owned()
}

fn a_way_that_is_too_long_is_heard_of() {
    let routed = Routed::of(start);
    let pod = pod_behind(&routed.a, Ipv4Addr::new(10, 244, 79, 20));
    let unreachable = libc::EHOSTUNREACH.to_string();
    // The outer TTL is the inner one, which the node itself has lowered by one: the router is the last to see it.
    assert_eq!(
        heard(&pod, (IN_B, 2), 20),
        unreachable,
        "after too many routers"
    );
}

/// What the router does with packets for the other node, and which error their sender hears of it: RFC 2003, section 4.1.
pub(crate) const NO_WAYS: [(&str, i32); 4] = [
    // Its neighbour does not answer: "host unreachable" after three seconds.
    ("ip neigh flush dev to_b", libc::EHOSTUNREACH),
    (
        "ip route replace unreachable 172.18.0.2",
        libc::EHOSTUNREACH,
    ),
    ("ip route replace prohibit 172.18.0.2", libc::EHOSTUNREACH),
    ("ip route del 172.18.0.2", libc::ENETUNREACH),
];

fn a_router_that_knows_no_way_is_heard_of() {
    let routed = Routed::of(start);
    let pod = pod_behind(&routed.a, Ipv4Addr::new(10, 244, 79, 20));
    sh(&routed.b, "ip link set eth0 arp off");
    for (way, error) in NO_WAYS {
        for (sender, what) in [(&pod, "a pod"), (&routed.a, "the node")] {
            sh(&routed.router, &format!("{way} || true"));
            assert_eq!(
                heard(sender, (IN_B, 64), 20),
                error.to_string(),
                "{way}, {what}"
            );
        }
    }
}

/// Has node A hear of a packet to `node` what a router says that quotes no more than it must: the outer header and 8
/// octets.
fn say_with_little_quoted(tunnel: &Tunnel, error: IcmpError, node: Ipv4Addr) {
    let sent = packet(header(4, A, node), &[0x45; 1480]);
    let mut buffer = [0; MAX_ICMP_ERROR_LEN];
    let len = error.emit(B, &sent[..28], &mut buffer).unwrap();
    let router = tunnel.pair.b.enter(RawSocket::ipip).unwrap().unwrap();
    assert!(router.send(&buffer[..len], A).unwrap(), "sent");
}

fn an_mtu_told_with_little_quoted_is_heard_of() {
    let tunnel = Tunnel::new();
    let pod = pod_behind(&tunnel.pair.a, Ipv4Addr::new(10, 244, 79, 20));
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let needed = IcmpError::FragmentationNeeded { mtu: 1400 };
    say_with_little_quoted(&tunnel, needed, B);
    let said = sh(&pod, &format!("python3 -c \"{TOLD}\""));
    assert_eq!(said, "1380 90\n90\n1352\n", "MTU and sends");
    // The first that was too long is the first that was answered.
    assert_eq!(there.recv(&mut [0; 2000]).unwrap(), 1352, "what fits");
}

/// The next sender hears it: RFC 2003, section 5.1.
pub(crate) fn what_little_was_quoted_of_is_owed() {
    let tunnel = Tunnel::new();
    let pod = pod_behind(&tunnel.pair.a, Ipv4Addr::new(10, 244, 79, 20));
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let unreachable = libc::EHOSTUNREACH.to_string();
    for (sender, what) in [(&pod, "a pod"), (&tunnel.pair.a, "the node")] {
        let failed = || tunnel.path_a.counters().drops.send_failed;
        let before = failed();
        // Nothing is owed of a node that nobody knows, nor of ourselves.
        for nobody in [Ipv4Addr::new(172, 18, 0, 9), A] {
            say_with_little_quoted(&tunnel, IcmpError::HOST_UNREACHABLE, nobody);
        }
        say_with_little_quoted(&tunnel, IcmpError::HOST_UNREACHABLE, B);
        // Some may be carried before it is heard of.
        let first = heard(sender, (IN_B, 64), 20);
        assert_eq!(first, unreachable, "{what}");
        assert_eq!(failed() - before, 1, "packets of {what} in its place");
        let second = heard(sender, (IN_B, 64), 1);
        assert_eq!(second, "0", "{what}, a second time");
        assert_eq!(there.recv(&mut [0; 100]).unwrap(), 4, "from {what}");
    }
}
