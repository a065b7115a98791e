//! Many short histories of an allocator shared by many nodes, each decided by a seed: what every
//! node does, who goes on at which store call, who dies where, which reply is lost, which read is
//! late. `oracle` judges every commit, and every answer by what was committed.
//!
//! `IPIP_SEED=N` replays one history, and `IPIP_TAIL=N` says how much of a failing one is printed;
//! `IPIP_HISTORIES=N` says how many there are (500, which suit a build for debugging), `IPIP_FROM=N`
//! from which seed on.

mod addresses;
mod answers;
mod calico;
mod chance;
mod coroutine;
mod focus;
mod found;
mod operation;
mod oracle;
#[path = "../support/pass_on.rs"]
mod pass_on;
mod record;
mod resources;
mod scene;
mod state;
mod terms;
mod truth;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use world::World;

/// So many of the last things that happened are printed.
const TAIL: usize = 40;

/// After so many of a long run the rate is printed.
const CHUNK: usize = 20_000;

/// Runs the histories `from` to `from + count`, on all processors; panics at the first violation.
fn run(from: u64, count: u64) {
    let start = Instant::now();
    let (next, calls) = (AtomicU64::new(from), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let failures = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        let mut stacks = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return;
            }
            let mut world = World::new(seed, false, stacks);
            match world.run() {
                Ok(more) => calls.fetch_add(more, Ordering::Relaxed),
                Err(violation) => {
                    next.store(from + count, Ordering::Relaxed);
                    return failures().push((seed, violation));
                }
            };
            stacks = world.into_stacks();
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some((seed, violation)) = failures().iter().min() {
        panic!("seed {seed}: {violation}\n{}", replayed(*seed));
    }
    let (calls, seconds) = (calls.into_inner(), start.elapsed().as_secs_f64());
    let rate = count as f64 / seconds;
    println!(
        "{count} histories from seed {from}, {calls} store calls, {seconds:.1} s, {rate:.0} a second"
    );
}

/// The end of the history of `seed`, and how to see more of it.
fn replayed(seed: u64) -> String {
    let mut again = World::new(seed, true, Vec::new());
    let _the_same = again.run();
    let lines = number("IPIP_TAIL").map_or(TAIL, |lines| lines.try_into().expect("few"));
    let tail = &again.tail[again.tail.len().saturating_sub(lines)..];
    format!(
        "{}\nreplay: IPIP_SEED={seed} cargo test --release -p ipip-core --test simulation",
        tail.join("\n")
    )
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn every_history_keeps_the_rules() {
    if let Some(seed) = number("IPIP_SEED") {
        return run(seed, 1);
    }
    let from = number("IPIP_FROM").unwrap_or(0);
    let count = number("IPIP_HISTORIES").unwrap_or(500);
    for done in (0..count).step_by(CHUNK) {
        run(from + done, (count - done).min(CHUNK as u64));
    }
    println!("{count} histories from seed {from} in all, and no violation");
}
