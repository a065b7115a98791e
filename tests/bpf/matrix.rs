//! Every data path against every other: the octets between them are the same.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::Stdio;

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::datapath::{Bpf, Counters, Userspace};
use ipip_core::mtu::UnderlayMtu;
use ipip_core::node::ensure_tunnel;
use ipip_core::overlay::Tunnel;
use ipip_core::sys::netns::Netns;
use ipip_core::wire::{Ecn, FragmentOffset, Ipv4Header, Ipv4View, Layer};

use crate::seen::nothing_is_odd;
use crate::support::shell::inside;
use crate::support::{A, B, Pair, Tcpdump, name, sh};
use crate::traffic::{send_with_df, transfer};
use crate::underlay::{NO_WAYS, Routed, heard};
use crate::world::{
    IN_A, IN_B, SOON, echo, header, inject_to, packet, peers, udp_socket, udp_to, whole,
};

/// Who carries one node's packets.
pub(crate) enum Carrier {
    Kernel,
    Bpf(Bpf),
    Userspace(Userspace),
}

impl Carrier {
    /// What it counted; the driver's numbers are at its device.
    pub(crate) fn counters(&self) -> Option<Counters> {
        match self {
            Self::Kernel => None,
            Self::Bpf(path) => Some(path.counters().unwrap()),
            Self::Userspace(path) => Some(path.counters()),
        }
    }
}

pub(crate) type Start = fn(&Netns, Ipv4Addr) -> Carrier;

pub(crate) fn kernel(netns: &Netns, local: Ipv4Addr) -> Carrier {
    let address = if local == A { IN_A } else { IN_B };
    let tunnel = Tunnel::new(TunnelAddr(address), UnderlayMtu::ETHERNET.tunnel());
    ensure_tunnel(netns, &tunnel).unwrap();
    Carrier::Kernel
}

pub(crate) fn bpf(netns: &Netns, local: Ipv4Addr) -> Carrier {
    Carrier::Bpf(Bpf::start(netns, &name("tunl0"), NodeAddr(local), peers()).unwrap())
}

pub(crate) fn userspace(netns: &Netns, local: Ipv4Addr) -> Carrier {
    Carrier::Userspace(Userspace::start(netns, &name("tunl0"), NodeAddr(local), peers()).unwrap())
}

pub(crate) fn bpf_to_bpf() {
    cross(bpf, bpf);
}

pub(crate) fn bpf_to_userspace() {
    cross(bpf, userspace);
}

pub(crate) fn userspace_to_userspace() {
    cross(userspace, userspace);
}

pub(crate) fn kernel_to_kernel() {
    cross(kernel, kernel);
}

pub(crate) fn kernel_to_bpf() {
    cross(kernel, bpf);
}

pub(crate) fn kernel_to_userspace() {
    cross(kernel, userspace);
}

/// One end and its addresses.
struct End<'a> {
    netns: &'a Netns,
    node: Ipv4Addr,
    inside: Ipv4Addr,
    /// Whether packets must be cut before they are received here, as a wire has them: a veth hands super-packets
    /// over uncut, and of one of UDP a raw socket cannot see where to cut it.
    cut: bool,
}

fn cross(start_a: Start, start_b: Start) {
    let pair = Pair::new();
    let carriers = [start_a(&pair.a, A), start_b(&pair.b, B)];
    let [cut_a, cut_b] = carriers
        .each_ref()
        .map(|carrier| matches!(carrier, Carrier::Userspace(_)));
    let ends = [(&pair.a, A, IN_A, cut_a), (&pair.b, B, IN_B, cut_b)];
    let [a, b] = ends.map(|(netns, node, inside, cut)| End {
        netns,
        node,
        inside,
        cut,
    });
    configure(&a, "10.244.244.64/26", B);
    configure(&b, "10.244.79.0/26", A);
    transfer(a.netns, b.netns, b.inside, 4 << 20);
    transfer(b.netns, a.netns, a.inside, 4 << 20);
    let oracle = Tcpdump::in_bulk(&pair.b, "eth0", 65_535);
    for (from, to) in [(&a, &b), (&b, &a)] {
        assert!(
            echo(from.netns, to.inside, 1, SOON),
            "no echo from {}",
            from.node
        );
        transfer(from.netns, to.netns, to.inside, 256 << 10);
        datagrams(from, to);
        outer_fields(from, to);
        path_mtu(from, to);
        outer_fragments(from, to);
        congestion(from, to);
    }
    // Segments as a wire has them, with finished checksums.
    for end in [&a, &b] {
        sh(end.netns, "ethtool -K eth0 tx off");
    }
    transfer(a.netns, b.netns, b.inside, 32 << 10);
    transfer(b.netns, a.netns, a.inside, 32 << 10);
    nothing_is_odd(&pair.b, oracle);
}

fn configure(end: &End<'_>, remote: &str, node: Ipv4Addr) {
    let up = "sysctl -qw net.ipv4.conf.tunl0.forwarding=1; ip link set tunl0 mtu 1480 up";
    sh(
        end.netns,
        &format!("ip addr replace {}/32 dev tunl0; {up}", end.inside),
    );
    let route = format!(
        "ip route add {remote} via {node} dev tunl0 onlink src {}",
        end.inside
    );
    sh(end.netns, &route);
}

/// Sends from Python, which has the socket options that the standard library here has not.
fn python(netns: &Netns, script: &str) {
    let socket = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n";
    sh(netns, &format!("python3 -c '{socket}{script}'"));
}

/// Cut by the kernel before the tunnel, by its sender (`UDP_SEGMENT` is 103), and with options (`IP_OPTIONS` 4): three
/// times "no operation" and the end of the list. By one process, since a guest starts each slowly.
fn datagrams(from: &End<'_>, to: &End<'_>) {
    let there = udp_socket(to.netns, to.inside, 4000);
    let longest = if to.cut { 2000 } else { 65_536 };
    let limit = format!("ip link set eth0 gso_max_size {longest}");
    sh(from.netns, &limit);
    let send = |len: usize| format!("s.sendto(bytes({len}), (\"{}\", 4000))", to.inside);
    let script = [
        &send(4000),
        "s.setsockopt(17, 103, 1000)",
        &send(24_500),
        "s.setsockopt(17, 103, 0)",
        "s.setsockopt(0, 4, b\"\\x01\\x01\\x01\\x00\")",
        &send(100),
    ];
    python(from.netns, &script.join("\n"));
    let segments = std::iter::repeat_n(1000, 24);
    let mut wanted: Vec<_> = [4000]
        .into_iter()
        .chain(segments)
        .chain([500, 100])
        .collect();
    let mut buffer = [0; 9000];
    let mut found: Vec<_> = (0..wanted.len())
        .map_while(|_| there.recv(&mut buffer).ok())
        .collect();
    // What goes another way, as options do, may be overtaken.
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted, "datagrams from {}", from.node);
}

/// TOS, TTL and DF of the outer header, as the driver's own with `ttl inherit nopmtudisc tos 0`.
fn outer_fields(from: &End<'_>, to: &End<'_>) {
    let tos = [(0, 0), (0x29, 1), (0x2a, 2), (3, 2), (0xfc, 0)];
    let cases = tos
        .into_iter()
        .flat_map(|(inner, outer)| [(inner, outer, true), (inner, outer, false)]);
    let cases: Vec<_> = cases.collect();
    let there = udp_socket(to.netns, to.inside, 4000);
    let filter = format!("ip proto 4 and src {}", from.node);
    let oracle = Tcpdump::start(to.netns, "eth0", &filter);
    let mut script = String::new();
    for (tos, _, df) in &cases {
        // IP_TOS 1, IP_TTL 2, IP_MTU_DISCOVER 10; 0 is "never", 2 "always".
        let discover = if *df { 2 } else { 0 };
        for (option, value) in [(1, *tos), (2, 37), (10, discover)] {
            script += &format!("s.setsockopt(0, {option}, {value})\n");
        }
        script += &format!("s.sendto(bytes(32), (\"{}\", 4000))\n", to.inside);
    }
    python(from.netns, &script);
    for (tos, _, _) in &cases {
        let len = there.recv(&mut [0; 100]).unwrap();
        assert_eq!(len, 32, "datagram with TOS {tos}");
    }
    let frames = oracle.stop_at(cases.len());
    for (frame, (tos, outer_tos, df)) in frames.iter().zip(cases) {
        let outer = Ipv4View::parse(&frame[14..], Layer::Outer).unwrap();
        let inner = Ipv4View::parse(outer.payload(), Layer::Inner).unwrap();
        let fields = |view: &Ipv4View<'_>| {
            let tos = view.dscp().with_ecn(view.ecn());
            (tos, view.ttl(), view.dont_fragment())
        };
        assert_eq!(fields(&inner), (tos, 37, df), "inner from {}", from.node);
        let wanted = (outer_tos, 37, df);
        assert_eq!(
            fields(&outer),
            wanted,
            "outer from {}, TOS {tos}",
            from.node
        );
    }
}

fn path_mtu(from: &End<'_>, to: &End<'_>) {
    let there = udp_socket(to.netns, to.inside, 4000);
    assert_eq!(
        send_with_df(from.netns, to.inside, 1452),
        "1452",
        "the longest, from {}",
        from.node
    );
    assert_eq!(
        there.recv(&mut [0; 2000]).unwrap(),
        1452,
        "the longest, from {}",
        from.node
    );
    let said = send_with_df(from.netns, to.inside, 1453);
    assert_eq!(
        said,
        libc::EMSGSIZE.to_string(),
        "one octet more, from {}",
        from.node
    );
}

fn outer_fragments(a: &End<'_>, b: &End<'_>) {
    let there = udp_socket(b.netns, b.inside, 4000);
    let inner = udp_to(b.inside, a.inside, &[9; 1000], whole);
    let (first, last) = inner.split_at(800);
    let outer = Ipv4Header {
        identification: 77,
        ..header(4, a.node, b.node)
    };
    let first_header = Ipv4Header {
        more_fragments: true,
        ..outer
    };
    let last_header = Ipv4Header {
        fragment_offset: FragmentOffset::try_new(100).unwrap(),
        ..outer
    };
    inject_to(
        b.node,
        a.netns,
        &[packet(first_header, first), packet(last_header, last)],
    );
    assert_eq!(
        there.recv(&mut [0; 2000]).unwrap(),
        1000,
        "two fragments of one packet"
    );
}

/// A mark that the underlay made goes on to the inner packet (RFC 6040, 4.2), as the receiver's socket tells.
fn congestion(a: &End<'_>, b: &End<'_>) {
    // IP_RECVTOS 13 and IP_TOS 1.
    let script = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 13, 1); s.settimeout(20); s.bind((\"{}\", 4000)); print(\"bound\", flush=True); print(s.recvmsg(100, 64)[1][0][2][0])",
        b.inside
    );
    let mut receiver = inside(b.netns, "python3")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(receiver.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "bound");
    let with_ecn = |header: Ipv4Header, ecn| Ipv4Header { ecn, ..header };
    let datagram = udp_to(b.inside, a.inside, b"marked", whole);
    let inner = with_ecn(header(17, a.inside, b.inside), Ecn::Ect0);
    let inner = packet(inner, &datagram[20..]);
    let outer = with_ecn(header(4, a.node, b.node), Ecn::Ce);
    inject_to(b.node, a.netns, &[packet(outer, &inner)]);
    assert_eq!(said.next().unwrap().unwrap(), "3", "TOS that arrives");
    receiver.wait().unwrap();
}

/// Where the other paths relay (RFC 2003, section 4.1), `ipip_err` of Linux relays nothing for a device without a fixed
/// other end (`t->parms.iph.daddr == 0`); of "fragmentation needed" it takes note.
pub(crate) fn the_driver_tells_nobody_that_a_node_is_unreachable() {
    let routed = Routed::of(|netns, local| Ok::<_, ()>(kernel(netns, local)));
    for (netns, remote, node) in [
        (&routed.a, "10.244.244.64/26", B),
        (&routed.b, "10.244.79.0/26", A),
    ] {
        let route = format!("ip route replace {remote} via {node} dev tunl0 onlink");
        sh(netns, &route);
    }
    assert!(echo(&routed.a, IN_B, 1, SOON), "no echo");
    sh(&routed.b, "ip link set eth0 arp off");
    for (way, _) in NO_WAYS {
        sh(&routed.router, &format!("{way} || true"));
        assert_eq!(heard(&routed.a, (IN_B, 64), 8), "0", "{way}");
    }
}
