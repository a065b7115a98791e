//! What the guard drops before anybody receives it. A raw socket of protocol 4 stands where the tunnel
//! would: the kernel gives a packet to both at the same place, behind the input hook.

use std::net::Ipv4Addr;

use ipip_core::node::ensure_guard;
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;

use crate::support::{A, B, Named, Needs, Pair, Tcpdump, Test, sh};
use crate::{node, prefix, reference};

pub(crate) const TESTS: &[Test] = &[
    ("guard_peer_passes", Needs::NfTables, peer_passes),
    ("guard_unknown_node_dropped", Needs::NfTables, unknown_node),
    (
        "guard_foreign_inner_source_dropped",
        Needs::NfTables,
        foreign_source,
    ),
    (
        "guard_borrowed_address_is_its_borrowers",
        Needs::NfTables,
        borrowed,
    ),
    ("guard_outer_options_hide_nothing", Needs::NfTables, options),
    (
        "guard_outer_fragments_hide_nothing",
        Needs::NfTables,
        fragments,
    ),
    ("guard_pod_dropped", Needs::NfTables, pod),
    (
        "guard_another_tunnel_passes",
        Needs::NfTables,
        another_tunnel,
    ),
];

/// An address that is no node's.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 66);
/// In the block of node 172.18.0.2.
pub(crate) const REMOTE_POD: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);
/// Here.
pub(crate) const LOCAL_POD: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);

/// A packet to node-a, the obvious way.
#[derive(Clone, Copy)]
pub(crate) struct Forged {
    pub(crate) outer: Ipv4Addr,
    pub(crate) inner: (Ipv4Addr, Ipv4Addr),
    /// Octets of outer options.
    pub(crate) options: u8,
    /// Octets behind the inner header.
    pub(crate) data: u16,
    /// How many octets of the outer payload go in a fragment of their own; a multiple of 8.
    pub(crate) cut: Option<u8>,
}

pub(crate) const FROM_PEER: Forged = Forged {
    outer: B,
    inner: (REMOTE_POD, LOCAL_POD),
    options: 0,
    data: 8,
    cut: None,
};

impl Forged {
    /// The outer checksum is the kernel's to fill.
    fn octets(self) -> Vec<u8> {
        let inner_len = 20 + self.data;
        let outer_len = 20 + u16::from(self.options) + inner_len;
        let header = |ihl: u8, len: u16, protocol: u8, from: Ipv4Addr, to: Ipv4Addr| {
            let [high, low] = len.to_be_bytes();
            let mut octets = vec![0x40 + ihl, 0, high, low, 0, 7, 0, 0, 64, protocol, 0, 0];
            octets.extend(from.octets());
            octets.extend(to.octets());
            octets
        };
        let mut octets = header(5 + self.options / 4, outer_len, 4, self.outer, A);
        octets.extend(vec![1; self.options.into()]);
        // Protocol 253: for experiments (RFC 3692).
        octets.extend(header(5, inner_len, 253, self.inner.0, self.inner.1));
        octets.extend(vec![0x5a; self.data.into()]);
        octets
    }

    /// The packet, or its two fragments.
    fn pieces(self) -> Vec<Vec<u8>> {
        let whole = self.octets();
        let Some(cut) = self.cut else {
            return vec![whole];
        };
        let (header, payload) = whole.split_at(20);
        let (first, second) = payload.split_at(cut.into());
        let piece = |[flags, offset]: [u8; 2], part: &[u8]| {
            let mut octets = [header, part].concat();
            let len = u16::try_from(octets.len()).unwrap();
            octets[2..4].copy_from_slice(&len.to_be_bytes());
            octets[6..8].copy_from_slice(&[flags, offset]);
            octets
        };
        // 0x20: more fragments.
        vec![piece([0x20, 0], first), piece([0, cut / 8], second)]
    }

    /// Sends it to node-a from a raw socket of Python's.
    pub(crate) fn send(self, from: &Netns) {
        let hex = |piece: &Vec<u8>| piece.iter().map(|octet| format!("{octet:02x}")).collect();
        let pieces: Vec<String> = self.pieces().iter().map(hex).collect();
        let program = format!(
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW); \
             [s.sendto(bytes.fromhex(piece), (\"{A}\", 0)) for piece in \"{}\".split()]",
            pieces.join(" ")
        );
        sh(from, &format!("python3 -c '{program}'"));
    }
}

/// Whether a datagram from `from` to a closed port at `to` is answered: the kernel there says "port
/// unreachable". Python asks.
pub(crate) fn answers(from: &Netns, source: &str, to: &str) -> bool {
    let program = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind((\"{source}\", 0))\n\
         s.settimeout(2)\ns.connect((\"{to}\", 9))\ns.send(b\"ask\")\n\
         try: s.recv(1)\nexcept ConnectionRefusedError: print(\"yes\")\nexcept OSError: print(\"no\")"
    );
    sh(from, &format!("python3 -c '{program}'")).trim() == "yes"
}

/// Whether node-a's raw socket gets the packet that `from` sends through interface `arrival` of node-a,
/// where tcpdump must see it come.
fn is_received(pair: &Pair, packet: Forged, from: &Netns, arrival: &str) -> bool {
    let socket = pair.a.enter(RawSocket::ipip).unwrap().unwrap();
    let tcpdump = Tcpdump::start(&pair.a, arrival, "ip proto 4");
    packet.send(from);
    assert!(!tcpdump.stop_at(1).is_empty(), "it never arrived");
    let mut buffer = [0; 8192];
    socket.receive(&mut buffer).unwrap().is_some()
}

fn from_b(packet: Forged) -> bool {
    let pair = Pair::new();
    assert!(
        is_received(&pair, packet, &pair.b, "eth0"),
        "without a guard all is received"
    );
    ensure_guard(&pair.a, &reference()).unwrap();
    is_received(&pair, packet, &pair.b, "eth0")
}

fn peer_passes() {
    assert!(from_b(FROM_PEER));
    // An answer of the node itself to a pod that asked its node address.
    let itself = (B, LOCAL_POD);
    assert!(from_b(Forged {
        inner: itself,
        ..FROM_PEER
    }));
}

fn unknown_node() {
    assert!(!from_b(Forged {
        outer: STRANGER,
        ..FROM_PEER
    }));
    // Nor by an inner source of its own, towards a pod.
    let inner = ([192, 0, 2, 1].into(), LOCAL_POD);
    assert!(!from_b(Forged {
        outer: STRANGER,
        inner,
        ..FROM_PEER
    }));
    // Nor as a pod, past the pods.
    let inner = (REMOTE_POD, A);
    assert!(!from_b(Forged {
        outer: STRANGER,
        inner,
        ..FROM_PEER
    }));
}

fn foreign_source() {
    for inner in [
        [10, 244, 244, 128],
        [10, 244, 79, 21],
        [172, 18, 0, 3],
        [192, 0, 2, 1],
    ] {
        let inner = (inner.into(), LOCAL_POD);
        assert!(!from_b(Forged { inner, ..FROM_PEER }), "{inner:?}");
    }
}

fn borrowed() {
    let pair = Pair::new();
    let mut guard = reference();
    guard.peers.insert(prefix("10.244.244.73/32"), node(5));
    ensure_guard(&pair.a, &guard).unwrap();
    assert!(!is_received(&pair, FROM_PEER, &pair.b, "eth0"));
    let borrower = Forged {
        outer: node(5).0,
        ..FROM_PEER
    };
    assert!(is_received(&pair, borrower, &pair.b, "eth0"));
}

fn options() {
    let options = Forged {
        options: 40,
        ..FROM_PEER
    };
    assert!(from_b(options));
    assert!(!from_b(Forged {
        outer: STRANGER,
        ..options
    }));
}

/// The first fragment ends before the inner source begins. With and without the tracking of connections,
/// which puts fragments together by itself.
fn fragments() {
    let mut untracked = reference();
    untracked.address = None;
    untracked.pools[0].nat_outgoing = false;
    for guard in [reference(), untracked] {
        for (outer, passes) in [(B, true), (STRANGER, false)] {
            let pair = Pair::new();
            ensure_guard(&pair.a, &guard).unwrap();
            let cut = Forged {
                outer,
                cut: Some(8),
                ..FROM_PEER
            };
            assert_eq!(is_received(&pair, cut, &pair.b, "eth0"), passes, "{outer}");
        }
    }
}

/// A workload names the peer as its outer source, and is on no interface of the underlay.
fn pod() {
    let (pair, pod) = (Pair::new(), wired_pod);
    let pod = pod(&pair);
    assert!(
        is_received(&pair, FROM_PEER, &pod.netns, "cali1"),
        "without a guard"
    );
    ensure_guard(&pair.a, &reference()).unwrap();
    assert!(!is_received(&pair, FROM_PEER, &pod.netns, "cali1"));
    // Nor to another host, whatever is inside.
    let outside = Tcpdump::start(&pair.b, "eth0", "ip proto 4 or udp");
    let to_b = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4); s.sendto(b\"x\" * 40, (\"172.18.0.2\", 0))";
    pod.sh(&format!("python3 -c '{to_b}'"));
    answers(&pod.netns, "10.244.79.20", "172.18.0.2");
    let seen = outside.stop_at(1);
    assert!(
        seen.iter().all(|frame| frame[23] == 17),
        "protocol 4 got out"
    );
}

/// A pod 10.244.79.20 behind `cali1` of node-a, by `ip`.
pub(crate) fn wired_pod(pair: &Pair) -> Named {
    let pod = Named::new("pod");
    sh(
        &pair.a,
        &format!(
            "ip link add cali1 type veth peer name eth0 netns {}",
            pod.netns
        ),
    );
    pod.sh("ip link set lo up; ip link set eth0 up; ip addr add 10.244.79.20/32 dev eth0");
    pod.sh("ip route add 172.18.0.3 dev eth0; ip route add default via 172.18.0.3 dev eth0");
    sh(
        &pair.a,
        "ip link set cali1 up; ip route add 10.244.79.20 dev cali1; echo 1 > /proc/sys/net/ipv4/ip_forward",
    );
    crate::support::soon("the pod is up", || {
        answers(&pod.netns, "10.244.79.20", "172.18.0.3")
    });
    pod
}

fn another_tunnel() {
    let inner = ([192, 168, 7, 1].into(), [192, 168, 8, 1].into());
    assert!(from_b(Forged {
        outer: STRANGER,
        inner,
        ..FROM_PEER
    }));
}
