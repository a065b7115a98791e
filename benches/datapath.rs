//! The data paths beside no tunnel at all and beside the kernel's VXLAN device: TCP, small datagrams, round trips.
//!
//! Two namespaces and a veth pair for each; both ends, the generators and whatever carries share this machine's
//! processors, so every figure is one of efficiency and only ratios inside one run mean anything. All are measured in
//! turn, round by round, and the ratios of each round compared. Needs root; `ethtool` for the rows with frames as a wire has them.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;
#[path = "datapath/traffic.rs"]
mod traffic;

use std::net::Ipv4Addr;

use ipip_core::addr::NodeAddr;
use ipip_core::datapath::{Bpf, Userspace};
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;
use support::{A, B, Pair, name, sh, try_sh};
use traffic::{alone, datagrams, round_trip, tcp};

const IN_A: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
const IN_B: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 65);
/// Each figure is the median of so many short rounds.
const ROUNDS: usize = 21;

/// The first column that is a time.
const TIMES: usize = 4;

/// A way from node A to node B.
struct Way {
    name: &'static str,
    pair: Pair,
    to: Ipv4Addr,
    /// What goes with it.
    _carriers: Vec<Box<dyn std::any::Any>>,
}

/// What is measured, with its unit; more is better, but for those from [`TIMES`] on.
const COLUMNS: [&str; 6] = [
    "TCP, super-packets uncut, Gb/s",
    "TCP, frames of the wire's size, Gb/s",
    "the same, joined on receipt (GRO), Gb/s",
    "64-octet datagrams without loss, 1000/s",
    "round trip, two threads on one processor, µs",
    "the same, one thread at both ends, µs",
];

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    if let Err(error) = Netns::create_unnamed() {
        println!("skipped: no namespace can be made (root?): {error}");
        return;
    }
    let ways = [plain(), vxlan(), bpf(), userspace()];
    let mut samples = vec![vec![Vec::new(); COLUMNS.len()]; ways.len()];
    for _ in 0..ROUNDS {
        for column in 0..COLUMNS.len() {
            for (way, samples) in ways.iter().zip(&mut samples) {
                samples[column].extend(measure(way, column));
            }
        }
    }
    report(&ways, &samples);
}

fn measure(way: &Way, column: usize) -> Option<f64> {
    let Way { pair, to, .. } = way;
    match column {
        0 => {
            offload(way, true, true);
            Some(tcp(&pair.a, &pair.b, *to))
        }
        1 | 2 => offload(way, false, column == 2).then(|| tcp(&pair.a, &pair.b, *to)),
        3 => {
            offload(way, true, true);
            Some(datagrams(&pair.a, &pair.b, *to))
        }
        4 => round_trip(&pair.a, &pair.b, *to),
        _ => Some(alone(&pair.a, &pair.b, *to)),
    }
}

/// Whether the veth takes super-packets, and whether it joins what it receives; false if nobody can say so. A VXLAN
/// device joins what it decapsulated whatever the veth does, unless it is told as well.
fn offload(way: &Way, whole: bool, join: bool) -> bool {
    let word = |on| if on { "on" } else { "off" };
    let features = "tso tx-udp_tnl-segmentation tx-udp_tnl-csum-segmentation tx-ipxip4-segmentation tx-udp-segmentation";
    let features: Vec<_> = features
        .split(' ')
        .map(|feature| format!("{feature} {}", word(whole)))
        .collect();
    let mut line = format!("ethtool -K eth0 {} gro {}", features.join(" "), word(join));
    if way.name == "vxlan" {
        line += &format!(" && ethtool -K vxlan0 gro {}", word(join));
    }
    [&way.pair.a, &way.pair.b]
        .iter()
        .all(|netns| try_sh(netns, &line).is_ok())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The shortest of times, the most of all else.
fn best(values: &[f64], is_time: bool) -> f64 {
    let better = if is_time { f64::min } else { f64::max };
    values.iter().copied().fold(f64::NAN, better)
}

/// How many times the one is the other, round by round: what else the machine does at the time weighs on both.
fn ratio(one: &[f64], other: &[f64]) -> f64 {
    median(
        one.iter()
            .zip(other)
            .map(|(one, other)| one / other)
            .collect(),
    )
}

/// For each way, for each column, what was measured in each round.
type Samples = [Vec<Vec<f64>>];

fn report(ways: &[Way], samples: &Samples) {
    println!(
        "medians of {ROUNDS} rounds, measured in turn; in brackets the median of each round's"
    );
    println!("ratio to plain; and the best round, which a machine with nothing else to do shows");
    for (column, title) in COLUMNS.iter().enumerate() {
        println!("{title}");
        for (way, row) in ways.iter().zip(samples) {
            let value = median(row[column].clone());
            let ratio = ratio(&row[column], &samples[0][column]);
            let best = best(&row[column], column >= TIMES);
            println!("  {:<10} {value:>8.2}  ({ratio:.2})  {best:>8.2}", way.name);
        }
    }
    let [plain, vxlan, bpf, user] = [0, 1, 2, 3].map(|way| &samples[way]);
    println!("targets:");
    for (what, one, other, column, wanted) in [
        ("bpf: TCP uncut, of plain", bpf, plain, 0, 0.9),
        ("bpf: TCP uncut, of vxlan", bpf, vxlan, 0, 1.0),
        ("bpf: TCP in frames, of vxlan", bpf, vxlan, 1, 0.95),
        ("bpf: TCP joined, of vxlan", bpf, vxlan, 2, 0.95),
        ("bpf: 64-octet datagrams, of vxlan", bpf, vxlan, 3, 1.2),
        (
            "bpf: plain's round trip, of bpf's",
            plain,
            bpf,
            4,
            1.0 / 1.2,
        ),
        ("userspace: TCP uncut, of plain", user, plain, 0, 0.1),
        ("userspace: TCP in frames, of plain", user, plain, 1, 0.3),
    ] {
        let found = ratio(&one[column], &other[column]);
        let word = if found.is_nan() {
            "not measured (ethtool?)"
        } else if found >= wanted {
            "met"
        } else {
            "missed"
        };
        println!("  {what}: {found:.2}, at least {wanted:.2}: {word}");
    }
}

fn plain() -> Way {
    Way {
        name: "plain",
        pair: Pair::new(),
        to: B,
        _carriers: vec![],
    }
}

fn vxlan() -> Way {
    let pair = Pair::new();
    for (netns, inside, local, remote) in [(&pair.a, IN_A, A, B), (&pair.b, IN_B, B, A)] {
        let ends = format!("local {local} remote {remote} dstport 4789 dev eth0");
        sh(
            netns,
            &format!("ip link add vxlan0 type vxlan id 4096 {ends}"),
        );
        sh(
            netns,
            &format!("ip addr add {inside}/8 dev vxlan0; ip link set vxlan0 mtu 1450 up"),
        );
    }
    Way {
        name: "vxlan",
        pair,
        to: IN_B,
        _carriers: vec![],
    }
}

fn peers() -> Peers {
    Peers::from_iter([
        ("10.244.79.0/26".parse().unwrap(), NodeAddr(A)),
        ("10.244.244.64/26".parse().unwrap(), NodeAddr(B)),
    ])
}

fn bpf() -> Way {
    tunnel("bpf", |netns, local| {
        Box::new(Bpf::start(netns, &name("tunl0"), local, peers()).unwrap())
    })
}

fn userspace() -> Way {
    tunnel("userspace", |netns, local| {
        Box::new(Userspace::start(netns, &name("tunl0"), local, peers()).unwrap())
    })
}

type Carrier = Box<dyn std::any::Any>;

fn tunnel(name: &'static str, start: impl Fn(&Netns, NodeAddr) -> Carrier) -> Way {
    let pair = Pair::new();
    let mut carriers = Vec::new();
    for (netns, inside, local, remote, block) in [
        (&pair.a, IN_A, A, B, "10.244.244.64/26"),
        (&pair.b, IN_B, B, A, "10.244.79.0/26"),
    ] {
        carriers.push(start(netns, NodeAddr(local)));
        let up = "sysctl -qw net.ipv4.conf.tunl0.forwarding=1; ip link set tunl0 mtu 1480 up";
        sh(netns, &format!("ip addr add {inside}/32 dev tunl0; {up}"));
        sh(
            netns,
            &format!("ip route add {block} via {remote} dev tunl0 onlink src {inside}"),
        );
    }
    Way {
        name,
        pair,
        to: IN_B,
        _carriers: carriers,
    }
}
