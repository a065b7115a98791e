//! Many short histories of an allocator shared by many nodes, each decided by a seed: what every
//! node does, who goes on at which store call, who dies where, which reply is lost, which read is
//! late. `oracle` judges every commit, and every answer by what was committed.
//!
//! `IPIP_SEED=N` replays one history and prints it.

mod addresses;
mod answers;
mod calico;
mod chance;
mod coroutine;
mod operation;
mod oracle;
mod record;
mod scene;
mod state;
mod truth;
mod world;

use std::time::Instant;

use world::World;

/// Runs the histories `from` to `from + count`; panics at the first violation.
fn run(from: u64, count: u64) {
    let start = Instant::now();
    let (mut stacks, mut steps) = (Vec::new(), 0);
    for seed in from..from + count {
        let mut world = World::new(seed, false, stacks);
        match world.run() {
            Ok(calls) => steps += calls,
            Err(violation) => {
                let mut again = World::new(seed, true, Vec::new());
                let _ = again.run();
                let tail = again
                    .tail
                    .len()
                    .saturating_sub(number("IPIP_TAIL").map_or(40, |lines| lines as usize));
                panic!(
                    "seed {seed}: {violation}\n{}\nreplay: IPIP_SEED={seed} cargo test --release -p ipip-core --test simulation",
                    again.tail[tail..].join("\n")
                );
            }
        }
        stacks = world.into_stacks();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} histories from seed {from}, {steps} store calls, {seconds:.1} s");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

#[test]
fn every_history_keeps_the_rules() {
    match number("IPIP_SEED") {
        Some(seed) => run(seed, 1),
        None => run(0, number("IPIP_HISTORIES").unwrap_or(2_000)),
    }
}

#[test]
#[ignore = "takes long"]
fn long_a_million_histories_keep_the_rules() {
    let half = number("IPIP_HISTORIES").unwrap_or(1_000_000) / 2;
    std::thread::scope(|scope| {
        scope.spawn(|| run(1 << 32, half));
        run(1 << 33, half);
    });
}
