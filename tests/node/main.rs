//! Whole nodes on a real kernel, each in a namespace of its own, on one underlay and one store: who
//! joins, attaches, detaches, leaves; what is there afterwards is asked of `ip`, `ping` and the store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod attach;
mod cluster;
mod detach;
mod join;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    support::run(1, &[join::TESTS, attach::TESTS, detach::TESTS].concat())
}
