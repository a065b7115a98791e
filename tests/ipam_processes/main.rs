//! Processes that assign and release addresses on one file, are killed at any moment, and go on.
//!
//! A `worker` is a process that writes to a `log`, shared by all, what it is about to do and what was
//! acknowledged to it, and (`noted`) when a commit begins and ends. The `killer` starts workers, kills
//! them, and starts them again, each to go on where its lines end. The `judge` then knows from the log
//! alone what the store must hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod judge;
mod killer;
mod log;
mod noted;
#[path = "../support/pass_on.rs"]
mod pass_on;
#[path = "../support/scratch.rs"]
mod scratch;
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use killer::Plan;

fn main() -> ExitCode {
    if let Some(code) = worker::run_if_asked() {
        return code;
    }
    let short = Plan {
        workers: 4,
        each: 50,
        kills: 20,
        pause_ms: 30,
        is_timed: false,
    };
    let long = Plan {
        workers: 16,
        each: 1_000,
        kills: 500,
        pause_ms: 150,
        is_timed: true,
    };
    let trials = [
        (
            "killed_processes_lose_nothing_and_assign_nothing_twice",
            short,
        ),
        ("long_sixteen_processes_survive_five_hundred_kills", long),
    ];
    let trials = trials.into_iter().map(|(name, plan)| {
        let test = move || {
            killer::run(&plan);
            Ok::<(), Failed>(())
        };
        Trial::test(name, test).with_ignored_flag(name.starts_with("long_"))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Numbers that look random and are the same for the same seed, which is not 0.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
