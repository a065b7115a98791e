//! What no data path may let in: the same packets for each, and for each the counter that tells of them.

use std::net::Ipv4Addr;

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::datapath::Counters;
use ipip_core::node::ensure_guard;
use ipip_core::overlay::{Guard, GuardPool};
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;
use ipip_core::wire::Ipv4Header;

use crate::matrix::{Carrier, Start, bpf, kernel, userspace};
use crate::support::shell::comes_soon;
use crate::support::{A, B, Pair, sh};
use crate::world::{
    BRIEFLY, IN_A, IN_B, SOON, configure, header, inject, packet, udp, udp_socket, whole,
};

pub(crate) fn bpf_drops() {
    drops(bpf);
}

pub(crate) fn userspace_drops() {
    drops(userspace);
}

/// The driver asks nobody who sends; the guard before it does.
pub(crate) fn kernel_drops() {
    drops(|netns, local| {
        let carrier = kernel(netns, local);
        let guard = Guard::new(
            Peers::from_iter([("10.244.79.0/26".parse().unwrap(), NodeAddr(A))]),
            vec![GuardPool {
                prefix: "10.244.0.0/16".parse().unwrap(),
                nat_outgoing: false,
            }],
            TunnelAddr(IN_B),
        );
        ensure_guard(netns, &guard).unwrap();
        carrier
    });
}

#[derive(Debug, Clone, Copy)]
enum Bad {
    UnknownNode,
    ForeignSource,
    Twice,
    Truncated,
    /// First fragments of packets whose other ones never come.
    Fragments,
}

impl Bad {
    const ALL: [Self; 5] = [
        Self::UnknownNode,
        Self::ForeignSource,
        Self::Twice,
        Self::Truncated,
        Self::Fragments,
    ];

    fn packets(self, count: u16) -> Vec<Vec<u8>> {
        let good = udp(IN_A, &[9; 100], whole);
        let from_a = header(4, A, B);
        let one = |number| match self {
            Self::UnknownNode => packet(header(4, Ipv4Addr::new(172, 18, 0, 9), B), &good),
            Self::ForeignSource => {
                let nobody = Ipv4Addr::new(10, 244, 9, 9);
                packet(from_a, &udp(nobody, &[9; 100], whole))
            }
            // As by a route that leads back into the tunnel.
            Self::Twice => packet(from_a, &packet(from_a, &good)),
            Self::Truncated => packet(from_a, &good[..27]),
            Self::Fragments => {
                let first = Ipv4Header {
                    identification: number,
                    more_fragments: true,
                    ..from_a
                };
                packet(first, &good[..80])
            }
        };
        (0..count).map(one).collect()
    }

    /// How many of them are counted as dropped at node B.
    fn count(self, netns: &Netns, counters: Option<Counters>) -> u64 {
        let dropped = counters.map(|counters| counters.drops);
        match (self, dropped) {
            // `ReasmFails`: the kernel puts together whatever the path is.
            (Self::Fragments, _) => number(netns, "awk '/^Ip: [0-9]/ {print $17}' /proc/net/snmp"),
            (Self::UnknownNode, Some(drops)) => drops.unknown_node,
            (Self::ForeignSource | Self::Twice, Some(drops)) => drops.foreign_source,
            (Self::Truncated, Some(drops)) => drops.malformed,
            // `InTruncatedPkts`, once the driver has handed it on.
            (Self::Truncated, None) => {
                number(netns, "awk '/^IpExt: [0-9]/ {print $3}' /proc/net/netstat")
            }
            (Self::UnknownNode | Self::ForeignSource | Self::Twice, None) => {
                let words = "{for (at = 1; at < NF; at++) if ($at == \"packets\") all += $(at + 1)} END {print all + 0}";
                number(
                    netns,
                    &format!("nft list chain ip ipip tunnel | awk '{words}'"),
                )
            }
        }
    }
}

/// However many pieces come of packets that are never whole, they take no more memory than the kernel is told to give.
fn flood(pair: &Pair) {
    const LIMIT: u32 = 256 << 10;
    let limits = format!(
        "net.ipv4.ipfrag_low_thresh={} net.ipv4.ipfrag_high_thresh={LIMIT}",
        LIMIT / 2
    );
    sh(&pair.b, &format!("sysctl -qw {limits}"));
    inject(&pair.a, &Bad::Fragments.packets(3000));
    let table = pair
        .b
        .enter(|| std::fs::read_to_string("/proc/thread-self/net/sockstat"));
    let table = table.unwrap().unwrap();
    let held = table.split_once("FRAG: ").unwrap().1;
    let octets = held.trim().rsplit_once(' ').unwrap().1;
    let octets: u32 = octets.parse().unwrap();
    // The one that passes the limit is let in yet.
    assert!(octets > 0 && octets < LIMIT + 4096, "{held}");
}

fn number(netns: &Netns, line: &str) -> u64 {
    sh(netns, line).trim().parse().unwrap()
}

fn drops(start: Start) {
    const COUNT: u16 = 50;
    let pair = Pair::new();
    let carrier = start(&pair.b, B);
    if matches!(carrier, Carrier::Kernel) {
        sh(
            &pair.b,
            "ip route add 10.244.79.0/26 via 172.18.0.3 dev tunl0 onlink",
        );
    } else {
        configure(&pair.b, IN_B, "10.244.79.0/26");
    }
    // The kernel's own check of sources would hide ours.
    let settings =
        "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.ipfrag_time=1";
    sh(&pair.b, &format!("sysctl -qw {settings}"));
    let there = udp_socket(&pair.b, IN_B, 4000);
    let mut buffer = [0; 200];
    let mut faults = vec![];
    for bad in Bad::ALL {
        let count = || bad.count(&pair.b, carrier.counters());
        let before = count();
        inject(&pair.a, &bad.packets(COUNT));
        comes_soon(|| count() >= before + u64::from(COUNT));
        let counted = count() - before;
        if counted != u64::from(COUNT) {
            faults.push(format!("{counted} of {COUNT} {bad:?} counted"));
        }
        there.set_read_timeout(Some(BRIEFLY)).unwrap();
        let let_in = std::iter::from_fn(|| there.recv(&mut buffer).ok()).count();
        if let_in != 0 {
            faults.push(format!("{let_in} {bad:?} let in"));
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
    flood(&pair);
    inject(
        &pair.a,
        &[packet(header(4, A, B), &udp(IN_A, b"good", whole))],
    );
    there.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(there.recv(&mut buffer).unwrap(), 4, "a good one");
}
