//! `benches/run wire`: the codec against the least code that does the same work, whole packets. The outer
//! header alone is timed beside other crates, in `benches/peers`.
//!
//! Contestants take turns within a round, so that a busy machine slows all of them alike; each
//! figure is the median over rounds, each ratio the median of the rounds' own ratios.

mod timing;
#[expect(dead_code, reason = "the benchmark beside other crates uses the rest")]
mod wire_reference;

use std::hint::black_box;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{
    Encapsulator, Endpoints, HEADER_LEN, IpipFields, IpipView, Ipv4Header, Outer, Span, checksum,
    decapsulate, encapsulate, parse_batch, protocol,
};
use timing::{median, time};
use wire_reference as reference;

const PACKETS: usize = 1024;
const ROUNDS: usize = 301;
/// Batches per round and contestant: long enough that reading the clock does not count.
const BATCHES: usize = 24;

/// Packets of one size in one buffer, each on a cache line of its own.
struct Corpus {
    buffer: Vec<u8>,
    stride: usize,
    len: usize,
}

impl Corpus {
    /// IPIP packets around inner packets of `inner_len` octets, all different.
    fn new(inner_len: usize) -> Self {
        let len = HEADER_LEN + inner_len;
        let stride = len.next_multiple_of(64);
        let mut buffer = vec![0; PACKETS * stride];
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for packet in buffer.chunks_exact_mut(stride) {
            for octet in packet.iter_mut() {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                *octet = seed.to_le_bytes()[3];
            }
            let inner = Ipv4Header {
                dont_fragment: packet[0] & 1 != 0,
                protocol: protocol::UDP,
                identification: u16::from_le_bytes([packet[1], packet[2]]),
                source: [10, 244, 79, packet[3]].into(),
                destination: [10, 244, 244, packet[4]].into(),
                ..Ipv4Header::default()
            };
            inner.emit(&mut packet[HEADER_LEN..len]).unwrap();
            encapsulate(packet, HEADER_LEN, &outer()).unwrap();
        }
        Self {
            buffer,
            stride,
            len,
        }
    }

    fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.buffer
            .chunks_exact(self.stride)
            .map(|packet| &packet[..self.len])
    }

    /// Encapsulates every packet in place, writing the same octets again.
    fn each_in_place(&mut self, mut call: impl FnMut(&mut [u8]) -> usize) -> u64 {
        let (stride, len) = (self.stride, self.len);
        let lens = self.buffer.chunks_exact_mut(stride);
        lens.fold(0, |sum, packet| sum + digest(call(&mut packet[..len])))
    }
}

fn outer() -> Outer {
    Outer::tunl0(Endpoints {
        local: NodeAddr([172, 18, 0, 3].into()),
        remote: NodeAddr([172, 18, 0, 2].into()),
    })
}

const ENDPOINTS: (u32, u32) = (0xac12_0003, 0xac12_0002);

fn digest(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What a caller reads from a view, so that parsing cannot be skipped.
#[inline(always)]
fn fields(packet: &[u8]) -> Option<reference::Fields> {
    let view = IpipView::parse(packet).ok()?;
    let range = view.inner_range();
    Some(reference::Fields {
        outer: (
            view.outer.source().to_bits(),
            view.outer.destination().to_bits(),
        ),
        inner: (
            view.inner.source().to_bits(),
            view.inner.destination().to_bits(),
        ),
        range: (range.start, range.end),
    })
}

#[inline(always)]
fn mix(fields: Option<reference::Fields>) -> u64 {
    fields.map_or(0, |f| {
        u64::from(f.outer.0 ^ f.outer.1 ^ f.inner.0.rotate_left(7) ^ f.inner.1)
            + digest(f.range.0 + f.range.1)
    })
}

/// Times the two in turn and prints one line; `octets` per call give a rate.
fn compare(
    name: &str,
    (calls, octets): (usize, Option<usize>),
    mut ours: impl FnMut() -> u64,
    mut reference: impl FnMut() -> u64,
) {
    assert_eq!(ours(), reference(), "{name}: the two disagree");
    let (mut ours_ns, mut reference_ns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who goes first alternates too.
        let (a, b) = if round % 2 == 0 {
            let a = time(BATCHES, calls, &mut ours);
            (a, time(BATCHES, calls, &mut reference))
        } else {
            let b = time(BATCHES, calls, &mut reference);
            (time(BATCHES, calls, &mut ours), b)
        };
        ours_ns.push(a);
        reference_ns.push(b);
        ratios.push(a / b);
    }
    let (ours, reference, ratio) = (median(ours_ns), median(reference_ns), median(ratios));
    let octets = octets.and_then(|octets| u32::try_from(octets).ok());
    let rate = octets.map_or(String::new(), |o| {
        format!("{:8.1} GB/s", f64::from(o) / ours)
    });
    println!("{name:<43} {ours:>9.2} {reference:>12.2} {ratio:>7.2}{rate}");
}

fn main() {
    println!(
        "{:<43} {:>9} {:>12} {:>7}",
        "ns per packet, median", "ipip", "reference", "ratio"
    );
    for inner_len in [64, 1500] {
        let corpus = Corpus::new(inner_len);
        let named = |call: &str| format!("{call}, inner {inner_len} octets");
        let work = (PACKETS, None);

        assert!(
            corpus
                .packets()
                .all(|p| fields(p) == reference::parse(p) && fields(p).is_some())
        );
        compare(
            &named("parse"),
            work,
            || corpus.packets().fold(0, |sum, p| sum ^ mix(fields(p))),
            || {
                let found = corpus.packets().map(|p| mix(reference::parse(p)));
                found.fold(0, |sum, found| sum ^ found)
            },
        );
        let spans: Vec<_> = (0..PACKETS)
            .map(|i| Span {
                offset: i * corpus.stride,
                len: corpus.len,
            })
            .collect();
        let mut records = vec![IpipFields::default(); PACKETS];
        let mut found = vec![None; PACKETS];
        compare(
            &named("parse, one batch"),
            work,
            || {
                let good = parse_batch(&corpus.buffer, &spans, &mut records).unwrap_or(0);
                black_box(&mut records);
                digest(good)
            },
            || {
                for (packet, out) in corpus.packets().zip(&mut found) {
                    *out = reference::parse(packet);
                }
                black_box(&mut found);
                digest(found.len())
            },
        );
        compare(
            &named("decapsulate"),
            work,
            || {
                let inner = corpus
                    .packets()
                    .map(|p| decapsulate(p).map_or(0, <[u8]>::len));
                inner.fold(0, |sum, len| sum + digest(len))
            },
            || {
                let inner = corpus.packets().map(reference::parse);
                inner.fold(0, |sum, f| {
                    sum + f.map_or(0, |f| digest(f.range.1 - f.range.0))
                })
            },
        );

        let outer = black_box(outer());
        let endpoints = black_box(ENDPOINTS);
        let template = black_box(reference::Template::new(endpoints, 0));
        let tunnel = black_box(Encapsulator::new(&outer));
        let mut theirs = Corpus::new(inner_len);
        let mut ours = corpus;
        compare(
            &named("encapsulate"),
            work,
            || {
                ours.each_in_place(|packet| {
                    encapsulate(packet, HEADER_LEN, &outer).map_or(0, |packet| packet.len())
                })
            },
            || {
                theirs.each_in_place(|packet| {
                    reference::encapsulate(packet, HEADER_LEN, endpoints).unwrap_or(0)
                })
            },
        );
        compare(
            &named("encapsulate, one tunnel"),
            work,
            || {
                ours.each_in_place(|packet| {
                    tunnel
                        .encapsulate(packet, HEADER_LEN)
                        .map_or(0, |packet| packet.len())
                })
            },
            || theirs.each_in_place(|packet| template.encapsulate(packet, HEADER_LEN).unwrap_or(0)),
        );
        assert!(
            ours.buffer == theirs.buffer,
            "the two built different octets"
        );
    }
    for len in [20, 64, 1500, 65_535] {
        let corpus = Corpus::new(65_515);
        let pieces: Vec<_> = corpus.packets().take(64).map(|p| &p[..len]).collect();
        compare(
            &format!("checksum of {len} octets"),
            (pieces.len(), Some(len)),
            || pieces.iter().fold(0, |sum, p| sum + u64::from(checksum(p))),
            || {
                pieces
                    .iter()
                    .fold(0, |sum, p| sum + u64::from(reference::checksum(p)))
            },
        );
    }
}
