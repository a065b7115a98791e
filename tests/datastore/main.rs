//! What every store must do, done by each of them, and what the store in a file must survive.
//!
//! `contract` and `watch` are lists of cases, each run on every [`world::World`]: the store in memory,
//! one file, one file opened twice, and one file used by three processes. A case acts through several
//! views of the same store and must not notice which they are. The other files are about the store in
//! a file, and about moving from one store to another.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod child;
mod contract;
mod crash;
mod disk;
mod fairness;
mod files;
mod follow;
mod limits;
#[path = "../support/pass_on.rs"]
mod pass_on;
mod remote;
#[path = "../support/scratch.rs"]
mod scratch;
mod transfer;
mod versions;
mod watch;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// Name and test, which panics where it fails.
type Test = (&'static str, fn());
/// Name and case, which panics where a store fails.
type Case = (&'static str, fn(&world::World));

fn main() -> ExitCode {
    if let Some(code) = child::run_if_asked() {
        return code;
    }
    let arguments = Arguments::from_args();
    let cases = contract::CASES
        .iter()
        .chain(watch::CASES)
        .chain(follow::CASES);
    let mut trials: Vec<_> = cases
        .flat_map(|&(name, case)| {
            world::KINDS.iter().map(move |&kind| {
                let test = move || case(&world::World::new(kind));
                trial(&format!("{kind:?}::{name}").to_lowercase(), test)
            })
        })
        .collect();
    let tests = [
        crash::TESTS,
        disk::TESTS,
        fairness::TESTS,
        files::TESTS,
        limits::TESTS,
        transfer::TESTS,
        versions::TESTS,
    ];
    trials.extend(tests.concat().iter().map(|&(name, test)| trial(name, test)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// `tests/run long` asks by name for those that take long.
fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    let is_long = name.starts_with("long_");
    let test = move || {
        test();
        Ok::<(), Failed>(())
    };
    Trial::test(name, test).with_ignored_flag(is_long)
}
