//! `benches/run wire`: the codec called from C, through libipip, against the same work in Rust.
//!
//! `benches/run` builds `benches/c/wire.c` on libipip and names the result in `IPIP_BENCH_C`. Both sides
//! take turns within a round, on the same memory; each figure is the median over rounds, each ratio and
//! difference the median of the rounds' own.
#![allow(
    clippy::cast_possible_truncation,
    reason = "packets of a few octets, numbers of an index"
)]

mod timing;

use std::ffi::{CStr, CString};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::ops::Range;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{
    Encapsulator, Endpoints, HEADER_LEN, IpipFields, IpipView, Ipv4Header, Ipv4View, Outer, Span,
    decapsulate, decapsulate_batch, parse_batch, protocol,
};
use timing::{median, time};

const PACKETS: usize = 1024;
const ROUNDS: usize = 301;
/// Batches per round and side: long enough that reading the clock does not count.
const BATCHES: usize = 24;

/// `struct work` of `benches/c/wire.c`.
#[repr(C)]
struct Work {
    buffer: *mut u8,
    buffer_len: usize,
    packets: *const Span,
    inner: *const Span,
    packets_len: usize,
    fields: *mut IpipFields,
    found: *mut Span,
    statuses: *mut u32,
}

type Loop = unsafe extern "C" fn(*const Work) -> u64;

/// Packets of one size in one buffer, each on a cache line of its own, and room for what is found.
struct Corpus {
    buffer: Vec<u8>,
    packets: Vec<Span>,
    inner: Vec<Span>,
    fields: Vec<IpipFields>,
    found: Vec<Span>,
    statuses: Vec<u32>,
}

impl Corpus {
    /// IPIP packets around inner packets of `inner_len` octets.
    fn new(inner_len: usize, tunnel: &Encapsulator) -> Self {
        let len = HEADER_LEN + inner_len;
        let stride = len.next_multiple_of(64);
        let mut buffer = vec![0xa5; PACKETS * stride];
        for (number, packet) in buffer.chunks_exact_mut(stride).enumerate() {
            let inner = Ipv4Header {
                protocol: protocol::UDP,
                identification: number as u16,
                source: [10, 244, 79, number as u8].into(),
                destination: [10, 244, 244, (number >> 3) as u8].into(),
                ..Ipv4Header::default()
            };
            inner.emit(&mut packet[HEADER_LEN..len]).unwrap();
            tunnel.encapsulate(packet, HEADER_LEN).unwrap();
        }
        let spans = |skip: usize| {
            let spans = (0..PACKETS).map(|number| Span {
                offset: number * stride + skip,
                len: len - skip,
            });
            spans.collect()
        };
        Self {
            buffer,
            packets: spans(0),
            inner: spans(HEADER_LEN),
            fields: vec![IpipFields::default(); PACKETS],
            found: vec![Span::default(); PACKETS],
            statuses: vec![0; PACKETS],
        }
    }

    fn work(&mut self) -> Work {
        Work {
            buffer: self.buffer.as_mut_ptr(),
            buffer_len: self.buffer.len(),
            packets: self.packets.as_ptr(),
            inner: self.inner.as_ptr(),
            packets_len: PACKETS,
            fields: self.fields.as_mut_ptr(),
            found: self.found.as_mut_ptr(),
            statuses: self.statuses.as_mut_ptr(),
        }
    }

    fn each(&self, call: impl Fn(&[u8]) -> u64) -> impl Iterator<Item = u64> {
        let octets = |span: &Span| &self.buffer[span.offset..][..span.len];
        self.packets.iter().map(move |span| call(octets(span)))
    }
}

/// What a caller reads from a packet, so that parsing cannot be skipped.
#[inline(always)]
fn mix(addresses: [Ipv4Addr; 4], inner: Range<usize>) -> u64 {
    let [outer_source, outer_destination, source, destination] = addresses.map(Ipv4Addr::to_bits);
    let addresses = outer_source ^ outer_destination ^ source.rotate_left(7) ^ destination;
    u64::from(addresses) + (inner.start + inner.end) as u64
}

/// Takes only that from the view.
#[inline(always)]
fn parse(packet: &[u8]) -> u64 {
    IpipView::parse(packet).map_or(0, |view| {
        let (outer, inner) = (&view.outer, &view.inner);
        let (from, to) = (outer.source(), outer.destination());
        let addresses = [from, to, inner.source(), inner.destination()];
        mix(addresses, view.inner_range())
    })
}

/// Stores every field of the view first, as `ipip_parse` does.
#[inline(always)]
fn parse_all(packet: &[u8]) -> u64 {
    let all = |view: &Ipv4View<'_>| {
        let lens = (view.options().len(), view.payload().len());
        let lens = (view.header_len(), view.total_len(), lens);
        (view.header(), view.checksum(), lens)
    };
    IpipView::parse(packet).map_or(0, |view| {
        let fields = (all(&view.outer), all(&view.inner), view.inner_range());
        let ((outer, ..), (inner, ..), range) = black_box(&fields);
        let (from, to) = (outer.source, outer.destination);
        mix([from, to, inner.source, inner.destination], range.clone())
    })
}

/// How much more than Rust's the time from C may be.
enum Target {
    Nanoseconds(f64),
    Times(f64),
}

impl Target {
    fn verdict(&self, ratio: f64, more: f64) -> String {
        let (limit, met) = match self {
            Self::Nanoseconds(limit) => (format!("+{limit} ns"), more <= *limit),
            Self::Times(limit) => (format!("{limit} times"), ratio <= *limit),
        };
        format!("at most {limit}: {}", if met { "met" } else { "MISSED" })
    }
}

/// A call for one packet.
const SINGLE: Target = Target::Nanoseconds(5.0);
/// A call for all of them.
const BATCH: Target = Target::Times(1.1);

/// One kind of work in Rust; each has the same in `benches/c/wire.c`, below its name.
type RustLoop = fn(&mut Corpus, &Encapsulator) -> u64;

const KINDS: [(&str, &CStr, Target, RustLoop); 7] = [
    ("parse", c"bench_parse", SINGLE, |corpus, _| {
        corpus.each(parse).fold(0, |sum, found| sum ^ found)
    }),
    ("parse, every field", c"bench_parse", SINGLE, |corpus, _| {
        corpus.each(parse_all).fold(0, |sum, found| sum ^ found)
    }),
    (
        "parse, one batch",
        c"bench_parse_batch",
        BATCH,
        |corpus, _| {
            parse_batch(&corpus.buffer, &corpus.packets, &mut corpus.fields).unwrap() as u64
        },
    ),
    ("decapsulate", c"bench_decapsulate", SINGLE, |corpus, _| {
        let len = |packet: &[u8]| decapsulate(packet).map_or(0, <[u8]>::len) as u64;
        corpus.each(len).sum()
    }),
    (
        "decapsulate, one batch",
        c"bench_decapsulate_batch",
        BATCH,
        |corpus, _| {
            let (found, statuses) = (&mut corpus.found, &mut corpus.statuses);
            decapsulate_batch(&corpus.buffer, &corpus.packets, found, statuses).unwrap() as u64
        },
    ),
    (
        "encapsulate, one tunnel",
        c"bench_encapsulate",
        SINGLE,
        |corpus, tunnel| {
            let (buffer, mut sum) = (&mut corpus.buffer, 0);
            for span in &corpus.packets {
                let packet = &mut buffer[span.offset..][..span.len];
                sum += tunnel
                    .encapsulate(packet, HEADER_LEN)
                    .map_or(0, |packet| packet.len());
            }
            sum as u64
        },
    ),
    (
        "encapsulate, one batch",
        c"bench_encapsulate_batch",
        BATCH,
        |corpus, tunnel| {
            let outputs = (&mut corpus.found[..], &mut corpus.statuses[..]);
            let good = tunnel.encapsulate_batch(&mut corpus.buffer, &corpus.inner, 0, outputs);
            good.unwrap() as u64
        },
    ),
];

/// Times the two in turn and prints one line, with what became of the target.
fn compare(
    (name, target): (&str, &Target),
    corpus: &mut Corpus,
    tunnel: &Encapsulator,
    (c, rust): (Loop, RustLoop),
) {
    let from_c = |corpus: &mut Corpus| {
        let work = corpus.work();
        // SAFETY: `c` is a loop of wire.c, whose struct `work` is; all of it points into `corpus`, which
        // nobody else uses, and has the lengths that it says.
        unsafe { c(&raw const work) }
    };
    assert_eq!(
        from_c(corpus),
        rust(corpus, tunnel),
        "{name}: the two disagree"
    );
    let (mut from_c_ns, mut rust_ns) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who goes first alternates too.
        if round % 2 == 0 {
            from_c_ns.push(time(BATCHES, PACKETS, &mut || from_c(corpus)));
        }
        rust_ns.push(time(BATCHES, PACKETS, &mut || rust(corpus, tunnel)));
        if round % 2 == 1 {
            from_c_ns.push(time(BATCHES, PACKETS, &mut || from_c(corpus)));
        }
    }
    let rounds = || from_c_ns.iter().zip(&rust_ns);
    let ratio = median(rounds().map(|(c, rust)| c / rust).collect());
    let more = median(rounds().map(|(c, rust)| c - rust).collect());
    let (c, rust) = (median(from_c_ns), median(rust_ns));
    let verdict = target.verdict(ratio, more);
    println!("{name:<43} {c:>9.2} {rust:>12.2} {ratio:>7.2} {more:>+9.2}   {verdict}");
}

/// The loops of the library at `path`, which stays loaded.
fn load(path: &str) -> Vec<Loop> {
    let file = CString::new(path).unwrap();
    // SAFETY: a string that ends in a zero; the library is our own and starts nothing but a tunnel.
    let library = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "{path} cannot be loaded");
    let find = |name: &CStr| {
        // SAFETY: an open library and a string that ends in a zero.
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        assert!(!found.is_null(), "{name:?} is not in {path}");
        // SAFETY: a function of wire.c, all of which have this signature.
        unsafe { std::mem::transmute::<*mut libc::c_void, Loop>(found) }
    };
    KINDS.iter().map(|(_, name, ..)| find(name)).collect()
}

fn main() {
    let Ok(path) = std::env::var("IPIP_BENCH_C") else {
        println!("skipped: `benches/run wire` builds the C side");
        return;
    };
    let loops = load(&path);
    let tunnel = black_box(Encapsulator::new(&Outer::tunl0(Endpoints {
        local: NodeAddr([172, 18, 0, 3].into()),
        remote: NodeAddr([172, 18, 0, 2].into()),
    })));
    println!(
        "{:<43} {:>9} {:>12} {:>7} {:>9}   target",
        "ns per packet, median", "from C", "Rust", "ratio", "C - Rust"
    );
    for inner_len in [64, 1500] {
        let mut corpus = Corpus::new(inner_len, &tunnel);
        for ((name, _, target, rust), c) in KINDS.iter().zip(&loops) {
            let name = format!("{name}, inner {inner_len} octets");
            compare((&name, target), &mut corpus, &tunnel, (*c, *rust));
        }
    }
}
