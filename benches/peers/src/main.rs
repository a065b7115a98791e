//! The second half of `benches/run wire`: the codec beside other packet crates and the least code that does the same work.
//!
//! Everybody gets the same packets and has to find the same fields, or nothing where a packet is not good;
//! that is asserted before anything is timed. Contestants take turns within a round, so that a busy machine
//! slows all of them alike; each figure is the median over rounds, each ratio the median of the rounds' own
//! ratios.

mod etherparse;
mod ours;
mod pnet;
#[path = "../../wire_reference.rs"]
#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod reference;
mod smoltcp;
#[path = "../../timing.rs"]
mod timing;

use std::hint::black_box;

use reference::Fields;
use timing::{median, time};

const PACKETS: usize = 1024;
/// A cache line, in octets.
const LINE: usize = 64;
const ROUNDS: usize = 201;
/// Batches per round and contestant: long enough that reading the clock does not count.
const BATCHES: usize = 16;
/// 172.18.0.3 and 172.18.0.2.
const ENDPOINTS: (u32, u32) = (0xac12_0003, 0xac12_0002);

/// A name and one batch of work.
type Contestant<'a> = (&'static str, Box<dyn FnMut() -> u64 + 'a>);

/// A source of numbers that is the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn octet(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[3]
    }

    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.octet()) << 8 | usize::from(self.octet())) % limit
    }
}

/// IPIP packets around inner packets of `inner_len` octets, all different, each on cache lines of its own.
/// Their memory stays until the program ends.
fn corpus(inner_len: usize) -> Vec<&'static [u8]> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let template = reference::Template::new(ENDPOINTS, 0);
    let stride = (20 + inner_len).next_multiple_of(LINE);
    let buffer = vec![0u8; PACKETS * stride + LINE].leak();
    let start = buffer.as_ptr().align_offset(LINE);
    buffer[start..]
        .chunks_exact_mut(stride)
        .take(PACKETS)
        .map(|packet| {
            let packet = &mut packet[..20 + inner_len];
            packet.fill_with(|| numbers.octet());
            let len = u16::try_from(inner_len).unwrap().to_be_bytes();
            packet[20] = 0x45;
            packet[22..24].copy_from_slice(&len);
            packet[26] &= 0x40;
            packet[27] = 0;
            packet[28] |= 1;
            packet[30..32].fill(0);
            let checksum = reference::checksum(&packet[20..40]);
            packet[30..32].copy_from_slice(&checksum.to_be_bytes());
            template.encapsulate(packet, 20).unwrap();
            &*packet
        })
        .collect()
}

/// Packets with a few octets changed and sometimes cut short: headers with options, fragments, lies about
/// lengths, wrong checksums.
fn damaged() -> Vec<Vec<u8>> {
    let mut numbers = Numbers(1);
    let mut packets: Vec<_> = corpus(64).iter().map(|packet| packet.to_vec()).collect();
    for packet in &mut packets {
        let at = numbers.below(40);
        packet[at] ^= 1 << numbers.below(8);
        if numbers.below(4) == 0 {
            packet.truncate(numbers.below(84));
        }
        // Two of three get right checksums again, where the header says that they belong.
        for start in [0, 20] {
            let Some(first) = packet.get(start) else {
                continue;
            };
            let end = start + usize::from(first & 15) * 4;
            if numbers.below(3) != 0 && end >= start + 20 && end <= packet.len() {
                packet[start + 10..start + 12].fill(0);
                let checksum = reference::checksum(&packet[start..end]);
                packet[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
            }
        }
    }
    packets
}

/// Times all in turn and prints one line each, with their ratios to the second, which is the reference;
/// below somebody's line stands the most of that time that ipip may take, if there is a target.
fn compare(
    work: &str,
    calls: usize,
    mut contestants: Vec<Contestant<'_>>,
    targets: &[(&str, f64)],
) {
    let count = contestants.len();
    let mut times = vec![Vec::with_capacity(ROUNDS); count];
    for round in 0..ROUNDS {
        for turn in 0..count {
            // Everybody is first as often as anybody else.
            let who = (turn + round) % count;
            times[who].push(time(BATCHES, calls, &mut contestants[who].1));
        }
    }
    let ratio = |a: usize, b: usize| {
        let pairs = times[a].iter().zip(&times[b]);
        median(pairs.map(|(a, b)| a / b).collect())
    };
    println!("{work}");
    for (who, (name, _)) in contestants.iter().enumerate() {
        let ns = median(times[who].clone());
        let (reference, ours) = (ratio(who, 1), ratio(0, who));
        println!("    {name:<12} {ns:>9.2} {reference:>12.2} {ours:>18.2}");
        for (_, limit) in targets.iter().filter(|(target, _)| target == name) {
            let verdict = if ours <= *limit { "met" } else { "MISSED" };
            println!("    target: at most {limit} of {name}: {verdict}");
        }
    }
}

fn mix(fields: Option<Fields>) -> u64 {
    fields.map_or(0, |f| {
        u64::from(f.outer.0 ^ f.outer.1 ^ f.inner.0.rotate_left(7) ^ f.inner.1)
            .wrapping_add(f.range.1 as u64)
    })
}

/// One batch: `work` on every item.
fn batch<'a, T>(
    name: &'static str,
    items: &'a [T],
    mut work: impl FnMut(&T) -> u64 + 'a,
) -> Contestant<'a> {
    let run = move || {
        let results = items.iter().map(&mut work);
        results.fold(0u64, |sum, result| sum.wrapping_add(result))
    };
    (name, Box::new(run))
}

fn parse(packets: &[&[u8]], name: &str) {
    compare(
        name,
        packets.len(),
        vec![
            batch("ipip", packets, |p| mix(ours::parse(p))),
            batch("reference", packets, |p| mix(reference::parse(p))),
            batch("etherparse", packets, |p| mix(etherparse::parse(p))),
            batch("smoltcp", packets, |p| mix(smoltcp::parse(p))),
            batch("pnet_packet", packets, |p| mix(pnet::parse(p))),
        ],
        &[("reference", 1.15), ("etherparse", 0.65)],
    );
}

/// Stores the header, as every caller does, and takes an octet of its checksum.
///
/// A header alone: as an `Option` in memory it would have its octets in odd places, which the compiler
/// fills at once in one program and by pieces in the next.
fn made(header: Option<[u8; 20]>) -> u64 {
    let Some(header) = header else { return 0 };
    black_box(&header)[11].into()
}

/// The outer header of an inner packet that each has already read.
fn build(packets: &[&[u8]], name: &str) {
    let endpoints = black_box(ENDPOINTS);
    let tunnel = black_box(ours::tunnel(endpoints));
    let template = black_box(reference::Template::new(endpoints, 0));
    let inner: Vec<_> = packets.iter().map(|packet| &packet[20..]).collect();
    let ours: Vec<_> = inner.iter().filter_map(|i| ours::view(i)).collect();
    let etherparse: Vec<_> = inner.iter().filter_map(|i| etherparse::view(i)).collect();
    let smoltcp: Vec<_> = inner.iter().filter_map(|i| smoltcp::view(i)).collect();
    let pnet: Vec<_> = inner.iter().filter_map(|i| pnet::view(i)).collect();
    for (at, packet) in packets.iter().enumerate() {
        let expected = packet.first_chunk().copied();
        assert_eq!(ours::build(&tunnel, &ours[at]), expected, "ipip");
        assert_eq!(template.build(inner[at]), expected, "reference");
        let found = etherparse::build(&etherparse[at], endpoints);
        assert_eq!(found, expected, "etherparse");
        assert_eq!(smoltcp::build(&smoltcp[at], endpoints), expected, "smoltcp");
        assert_eq!(pnet::build(&pnet[at], endpoints), expected, "pnet_packet");
    }
    compare(
        name,
        packets.len(),
        vec![
            batch("ipip", &ours, |i| made(ours::build(&tunnel, i))),
            batch("reference", &inner, |i| made(template.build(i))),
            batch("etherparse", &etherparse, |i| {
                made(etherparse::build(i, endpoints))
            }),
            batch("smoltcp", &smoltcp, |i| made(smoltcp::build(i, endpoints))),
            batch("pnet_packet", &pnet, |i| made(pnet::build(i, endpoints))),
        ],
        &[("reference", 1.1), ("etherparse", 0.4)],
    );
}

/// Of packets that the first-level cache holds together, unless one alone is too long: octets just read
/// or about to be written.
fn checksum(len: usize, targets: &[(&str, f64)]) {
    let packets = corpus(len.max(64) - 20);
    let pieces: Vec<_> = packets.iter().take(16).map(|p| &p[..len]).collect();
    for piece in &pieces {
        let expected = reference::checksum(piece);
        assert_eq!(ours::checksum(piece), expected, "ipip");
        assert_eq!(etherparse::checksum(piece), expected, "etherparse");
        assert_eq!(smoltcp::checksum(piece), expected, "smoltcp");
        assert_eq!(pnet::checksum(piece), expected, "pnet_packet");
    }
    compare(
        &format!("checksum of {len} octets"),
        pieces.len(),
        vec![
            batch("ipip", &pieces, |p| ours::checksum(p).into()),
            batch("reference", &pieces, |p| reference::checksum(p).into()),
            batch("etherparse", &pieces, |p| etherparse::checksum(p).into()),
            batch("smoltcp", &pieces, |p| smoltcp::checksum(p).into()),
            batch("pnet_packet", &pieces, |p| pnet::checksum(p).into()),
        ],
        targets,
    );
}

fn agree<'a>(packets: impl Iterator<Item = &'a [u8]>) -> usize {
    let found = packets.map(|packet| {
        let expected = reference::parse(packet);
        for (name, found) in [
            ("ipip", ours::parse(packet)),
            ("etherparse", etherparse::parse(packet)),
            ("smoltcp", smoltcp::parse(packet)),
            ("pnet_packet", pnet::parse(packet)),
        ] {
            assert_eq!(found, expected, "{name}: {packet:02x?}");
        }
        usize::from(expected.is_some())
    });
    found.sum()
}

fn main() {
    let damaged = damaged();
    let good = agree(damaged.iter().map(Vec::as_slice));
    println!(
        "all agree on {} damaged packets, {good} of them still good",
        damaged.len()
    );
    println!(
        "    {:<12} {:>9} {:>12} {:>18}",
        "", "ns, median", "x reference", "ipip takes (of 1)"
    );
    for inner_len in [64, 1500] {
        let packets = corpus(inner_len);
        assert_eq!(agree(packets.iter().copied()), packets.len());
        parse(
            &packets,
            &format!("parse both headers, inner {inner_len} octets"),
        );
        build(&packets, &format!("outer header, inner {inner_len} octets"));
    }
    for len in [20, 64, 65_535] {
        checksum(len, &[]);
    }
    checksum(1500, &[("smoltcp", 0.5)]);
}
