//! `benches/run ipam`: the allocator, each figure beside the target that it has to meet, and the stores.
//! `cargo bench -p ipip-core --bench ipam -- NAME…` measures some of it: block, assignments, many, claims,
//! load, store.
//!
//! Each figure is the median over rounds. What takes a second or more is measured in seconds of the
//! processor, so that other work on the machine does not count; where the network is read as a whole,
//! the clock on the wall is told too, and a load is judged by it. The load of the machine stands above
//! all, and again after each part.

mod ipam_store;
mod memory;
#[path = "../tests/support/pass_on.rs"]
mod pass_on;

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use ipip_core::datastore::{Commit, Memory, Outcome, Store, StoreError, key};
use ipip_core::ipam::{Ambient, Collector, Ipam, Request};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{
    Affinity, Attribute, Block, BlockAffinity, BlockPrefix, Handle, Pool, Release, Sequence,
};

use pass_on::pass_on;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let parts: [(&str, fn()); 6] = [
        ("block", block),
        ("assignments", assignments),
        ("many", many),
        ("claims", claims),
        ("load", load),
        ("store", ipam_store::run),
    ];
    let is_named = |name: &str| names.iter().any(|named| named == name);
    let any = parts.iter().any(|(name, _)| is_named(name));
    busy();
    for (_, measure) in parts.iter().filter(|(name, _)| !any || is_named(name)) {
        measure();
        busy();
    }
}

/// How much else runs: figures of a busy machine say little.
fn busy() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = load.split(' ').next().unwrap_or("unknown");
    println!("(load of the machine in the last minute: {minute})");
}

/// One line: what was measured, what came out, what was demanded, and whether it is so.
fn row(what: &str, found: &str, target: &str, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("{what:<58} {found:>16}   {target:<12} {verdict}");
}

fn node(name: &str) -> NodeName {
    NodeName::try_new(name).expect("a node's name")
}

/// The attribute of a pod as Calico's CNI plugin writes it.
fn pod(number: usize, node: &str) -> Attribute {
    let handle = HandleId::try_new(&format!("k8s-pod-network.{}", container(number)));
    Attribute::new(Some(handle.expect("a handle")))
        .with("namespace", "default")
        .with("node", node)
        .with("pod", &format!("web-7d4b9c6f5-{number:06}"))
        .with("timestamp", "2026-08-22 13:33:20.123456789 +0000 UTC")
}

/// The name of a container: 64 digits that are in no order, as a runtime makes them.
fn container(number: usize) -> String {
    let number = u64::try_from(number).expect("64 bits");
    // Steele, Lea and Flood's SplitMix: https://doi.org/10.1145/2714064.2660195
    let word = |part: u64| {
        let mut word = (number * 4 + part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(word);
    format!("{a:016x}{b:016x}{c:016x}{d:016x}")
}

fn network(store: Arc<dyn Store>, cidr: &str) -> Ipam {
    let ipam = Ipam::new(store, Ambient::system());
    let pool = Pool::try_new("pods", cidr.parse().expect("a prefix"), 26).expect("a pool");
    ipam.create_pool(&pool).expect("a new store");
    ipam
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// The seconds that this thread has had a processor: other work on the machine does not count.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or(f64::NAN, |ns: f64| ns / 1e9)
}

fn block() {
    let prefix = "10.244.79.0/26".parse().expect("a block");
    let mut block = Block::new(prefix, Sequence(0));
    for number in 0..32 {
        block.assign_any(pod(number, "node-a")).expect("room");
    }
    const ROUNDS: usize = 10_000;
    for (what, attributes) in [("the same owner", 1), ("32 owners in turn", 32)] {
        let owners: Vec<_> = (0..attributes).map(|n| pod(100 + n, "node-a")).collect();
        let round = || {
            let start = Instant::now();
            for number in 0..ROUNDS {
                let owner = owners[number % owners.len()].clone();
                let assigned = block.assign_any(owner).expect("room");
                black_box(
                    block
                        .release(&Release::of(assigned.addr))
                        .expect("assigned"),
                );
            }
            seconds(start) * 1e9 / ROUNDS as f64
        };
        let found = median(std::iter::repeat_with(round).take(101).collect());
        let what = format!("Block, half full: assign and release, {what}");
        row(&what, &format!("{found:.1} ns"), "< 100 ns", found < 100.0);
    }
    block_memory();
}

/// What an allocator that remembers a full block holds of the heap for it.
fn block_memory() {
    let prefix: BlockPrefix = "10.244.79.0/26".parse().expect("a block");
    let mut block = Block::new(prefix, Sequence(0));
    for number in 0..64 {
        block.assign_any(pod(number, "node-a")).expect("room");
    }
    let json = block.to_json();
    let (block, read) = memory::held(|| Block::from_json(&json).expect("good JSON"));
    let (_, written) = memory::held(|| drop(black_box(block.to_json())));
    let (_, looked_at) = memory::held(|| {
        for (_, attribute) in block.assigned() {
            black_box(attribute.secondary());
        }
    });
    let written = read + written;
    let kilobytes = |octets: u64| format!("{:.1} kB", octets as f64 / 1e3);
    for (what, octets) in [
        ("Block of /26, full, on the heap: as read", read),
        ("… once written", written),
        ("… and its attributes listed", written + looked_at),
    ] {
        println!("{what:<58} {:>16}", kilobytes(octets));
    }
}

fn assignments() {
    const NODES: usize = 100;
    const EACH: usize = 1000;
    let mut rates = Vec::new();
    let mut turns = Vec::new();
    for _ in 0..3 {
        let ipam = network(Arc::new(Memory::new()), "10.0.0.0/8");
        let nodes: Vec<_> = (0..NODES).map(|n| node(&format!("node-{n}"))).collect();
        let pods: Vec<_> = (0..NODES * EACH)
            .map(|n| pod(n, nodes[n % NODES].as_str()))
            .collect();
        let start = processor();
        for (number, pod) in pods.iter().enumerate() {
            ipam.assign_any(&nodes[number % NODES], pod).expect("room");
        }
        rates.push(pods.len() as f64 / (processor() - start));
        let start = processor();
        for (number, pod) in pods.iter().enumerate() {
            let handle = HandleId::try_new(pod.handle().expect("one")).expect("a handle");
            ipam.release_handle(&handle).expect("assigned");
            ipam.assign_any(&nodes[number % NODES], pod).expect("room");
        }
        turns.push(pods.len() as f64 / (processor() - start));
    }
    let rate = median(rates);
    row(
        "Ipam on memory: 100 nodes, 1,000 pods each, assigned",
        &format!("{rate:.0}/s"),
        "≥ 100000/s",
        rate >= 100_000.0,
    );
    let rate = median(turns);
    row(
        "the same: each released by its handle, and assigned again",
        &format!("{rate:.0}/s"),
        "≥ 50000/s",
        rate >= 50_000.0,
    );
}

/// Counts the commits.
#[derive(Debug, Default)]
struct Counted {
    store: Memory,
    commits: AtomicU64,
}

impl Store for Counted {
    pass_on!([.store] get list list_keys watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.commits.fetch_add(1, Relaxed);
        self.store.commit(commit)
    }
}

fn many() {
    let store = Arc::new(Counted::default());
    let ipam = network(Arc::<Counted>::clone(&store), "10.0.0.0/8");
    let before = store.commits.load(Relaxed);
    let request = Request::new(node("node-a"), 64, pod(1, "node-a"));
    let found = ipam.assign_many(&request).expect("room");
    assert_eq!(found.assigned.len(), 64);
    let commits = store.commits.load(Relaxed) - before;
    row(
        "64 addresses asked for together, with their block",
        &format!("{commits} commit"),
        "1 commit",
        commits == 1,
    );
}

fn claims() {
    const ROUNDS: usize = 300;
    let networks = [10, 100_000].map(|count| {
        let ipam = network(Arc::new(Memory::new()), "10.0.0.0/8");
        for number in 0..count {
            ipam.claim_any(&node(&format!("old-{number}")))
                .expect("room");
        }
        ipam
    });
    let mut figures = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let mut both = [0.0; 2];
        for (which, ipam) in networks.iter().enumerate() {
            let node = node(&format!("new-{round}"));
            let start = Instant::now();
            ipam.claim_any(&node).expect("room");
            both[which] = seconds(start) * 1e6;
            figures[which].push(both[which]);
        }
        ratios.push(both[1] / both[0]);
    }
    let [few, lots] = figures.map(median);
    let ratio = median(ratios);
    row(
        "a block claimed beside 100,000 others, and beside 10",
        &format!("{lots:.1} / {few:.1} µs"),
        "≤ 2 times",
        ratio <= 2.0,
    );
}

fn load() {
    const BLOCKS: u32 = 16_384;
    const EACH: usize = 61;
    let store = Arc::new(Memory::new());
    let ipam = network(Arc::<Memory>::clone(&store), "10.0.0.0/12");
    let mut octets = 0;
    for number in 0..BLOCKS {
        let network = std::net::Ipv4Addr::from_bits(0x0a00_0000 + (number << 6));
        let prefix: BlockPrefix = format!("{network}/26").parse().expect("a block");
        let node = node(&format!("node-{}", number % 1000));
        let owner = Affinity::Host(node.clone());
        let mut block = Block::new(prefix, Sequence(1)).claimed_by(owner, SystemTime::now());
        let mut commit = Commit::new();
        for place in 0..EACH {
            let number = place + EACH * usize::try_from(number).expect("small");
            let pod = pod(number, node.as_str());
            let handle = HandleId::try_new(pod.handle().expect("one")).expect("a handle");
            let mut counts = Handle::default();
            counts.add(prefix, 1);
            commit.put(&key::handle(&handle), counts.to_json());
            block.assign_any(pod).expect("room");
        }
        let json = block.to_json();
        octets += json.len();
        commit.put(&key::block(prefix.into()), json);
        let claim = BlockAffinity::default().to_json();
        commit.put(&key::affinity(&node, prefix.into()), claim);
        let _ = store.commit(commit).expect("memory");
    }
    let (mut figures, mut walls) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (start, wall) = (processor(), Instant::now());
        let blocks = ipam.blocks().expect("good blocks");
        figures.push(processor() - start);
        walls.push(seconds(wall));
        let assigned: usize = blocks.iter().map(Block::used_count).sum();
        assert_eq!(assigned, EACH * usize::try_from(BLOCKS).expect("small"));
    }
    let what = format!(
        "1.0 million addresses in 16,384 blocks ({} MB): loaded",
        octets >> 20
    );
    let wall = median(walls);
    let figure = format!("{wall:.2} s ({:.2} s CPU)", median(figures));
    row(&what, &figure, "≤ 2 s", wall <= 2.0);
    whole(&ipam);
}

/// What looks at the whole store, beside which there are a million records of handles.
fn whole(ipam: &Ipam) {
    seconds_and_memory("… and their use told", || {
        let usage = ipam.usage().expect("a good store");
        assert_eq!(usage.pools[0].counts.in_use, 999_424);
    });
    seconds_and_memory("… and all of it checked", || {
        let report = ipam.check().expect("a good store");
        assert!(report.is_clean() && report.checked.handles == 999_424);
    });
    let mut collector = Collector::new(Duration::from_secs(60));
    let live = (0..999_424).map(|number| {
        let pod = pod(number, "any");
        HandleId::try_new(pod.handle().expect("one")).expect("a handle")
    });
    let live: HashSet<_> = live.collect();
    seconds_and_memory("… and nothing found to collect", || {
        let collected = ipam.collect(&mut collector, &live).expect("a good store");
        assert_eq!((collected.waiting, collected.released.len()), (0, 0));
    });
}

/// A call that looks at a million addresses: its time, and what memory it takes beside the store's own.
fn seconds_and_memory(what: &str, mut call: impl FnMut()) {
    let octets = memory::peak(&mut call);
    let (mut figures, mut walls) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (start, wall) = (processor(), Instant::now());
        call();
        figures.push(processor() - start);
        walls.push(seconds(wall));
    }
    let (found, wall) = (median(figures), median(walls));
    let figure = format!("{wall:.2} s ({found:.2} s CPU)");
    row(what, &figure, "≤ 5 s CPU", found <= 5.0);
    let megabytes = format!("{} MB", octets >> 20);
    let each = octets as f64 / 999_424.0;
    println!(
        "{:<58} {megabytes:>16}   {each:.0} octets for each address",
        "    at its worst it held"
    );
}
