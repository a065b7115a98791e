//! Nodes come, go and are renumbered, pods come and go, modes change, somebody interferes, programs end and
//! start anew; thousands of times, in an order that a seed decides. In between and at the end all is as a
//! simple model says, what is others' is untouched, and nothing is left over.
//!
//! `IPIP_SEED=N` replays one history.

#[expect(dead_code, reason = "the simulation draws more")]
#[path = "../simulation/chance.rs"]
mod chance;
mod field;
mod foreign;
mod model;
mod restarts;

use std::fs;

use crate::support::{Needs, Test};
use chance::Chance;
use field::Field;

pub(crate) const TESTS: &[Test] = &[
    ("churn_ends_converged", Needs::NoDriver, || churn(200, 25)),
    ("drivers_churn_ends_converged", Needs::Driver, || {
        churn(120, 15)
    }),
    ("long_churn_ends_converged", Needs::NoDriver, || {
        churn(10_000, 500)
    }),
];

/// How often all is compared.
const EVERY: usize = 20;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Node,
    Pod,
    Mode,
    Foreign,
    Restart,
}

const KINDS: [Kind; 5] = [
    Kind::Node,
    Kind::Pod,
    Kind::Mode,
    Kind::Foreign,
    Kind::Restart,
];

/// `total` events, of each kind at least `least`.
fn churn(total: usize, least: usize) {
    let seed = std::env::var("IPIP_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut field = Field::new(Chance::new(seed), seed);
    // Of the tests before, a thread may wait for its store yet.
    crate::support::soon("the threads of others have ended", || held().1 == 1);
    let (before, start) = (held(), field.left_over());
    let mut counts = [0; KINDS.len()];
    let (mut happened, mut most) = (0, before);
    while happened < total {
        let kind = field.chance.below(KINDS.len());
        if !happens(&mut field, KINDS[kind]) {
            continue;
        }
        counts[kind] += 1;
        happened += 1;
        if happened % EVERY == 0 {
            field.check();
            let now = held();
            most = (most.0.max(now.0), most.1.max(now.1));
        }
    }
    field.end();
    assert_eq!(field.left_over(), start, "links, routes and records");
    // A thread that was joined may be listed for a moment yet.
    crate::support::soon("descriptors and threads are as before", || held() == before);
    println!(
        "seed {seed}: {total} events, {counts:?} of {KINDS:?}; at most {} syncs until there was nothing to do; \
         descriptors and threads {before:?}, at most {most:?}, in the end {:?}",
        field.slowest,
        held()
    );
    assert!(counts.iter().all(|count| *count >= least), "{counts:?}");
}

/// Whether there was something for it to happen to.
fn happens(field: &mut Field, kind: Kind) -> bool {
    match kind {
        Kind::Node => field.node_event(),
        Kind::Pod => field.pod_event(),
        Kind::Mode => field.mode_event(),
        Kind::Foreign => field.foreign_event(),
        Kind::Restart => field.restart_event(),
    }
}

/// The descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |what| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    (count("fd"), count("task"))
}
