//! The front desk on a real kernel: each `ensure_*` fresh, repeated, damaged, with somebody else's
//! object in the way, and removed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod blackhole;
mod concurrent;
mod peer_route;
#[path = "../support/mod.rs"]
mod support;
mod tunnel;
mod workload;

use std::process::ExitCode;

use ipip_core::node::{Changes, NodeError};

fn main() -> ExitCode {
    // One at a time, since some turn kernel-wide switches.
    support::run(
        1,
        &[
            tunnel::TESTS,
            workload::TESTS,
            peer_route::TESTS,
            blackhole::TESTS,
            concurrent::TESTS,
        ]
        .concat(),
    )
}

/// The steps as text.
fn lines(changes: &Changes) -> Vec<String> {
    changes.steps.iter().map(ToString::to_string).collect()
}

/// The message, after a second look: the call changed nothing, so it fails alike again.
fn refusal<T: std::fmt::Debug>(call: impl Fn() -> Result<T, NodeError>) -> String {
    let first = call().unwrap_err().to_string();
    assert_eq!(call().unwrap_err().to_string(), first);
    first
}
