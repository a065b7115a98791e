//! Whole nodes on a real kernel, each in a namespace of its own, on one underlay and one store: who
//! joins, attaches, detaches, leaves; what is there afterwards is asked of `ip`, `ping` and the store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod attach;
mod churn;
mod cluster;
mod crash;
mod data_path;
mod deadline;
mod detach;
mod join;
mod killed;
mod leave;
mod next_hops;
#[path = "../support/pass_on.rs"]
mod pass_on;
mod planned;
mod progress;
mod refused;
mod run;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod torn;
mod two;
mod unsteady;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(store) = std::env::var_os(killed::AGENT) {
        return killed::agent(&store);
    }
    if let Some(store) = std::env::var_os(torn::DOOMED) {
        return torn::doomed(&store);
    }
    let tests = [
        join::TESTS,
        attach::TESTS,
        detach::TESTS,
        sync::TESTS,
        data_path::TESTS,
        crash::TESTS,
        torn::TESTS,
        killed::TESTS,
        states::TESTS,
        leave::TESTS,
        next_hops::TESTS,
        planned::TESTS,
        refused::TESTS,
        run::TESTS,
        deadline::TESTS,
        progress::TESTS,
        churn::TESTS,
    ];
    support::run(1, &tests.concat())
}
