//! What the tests of the kernel-facing rooms share: the harness that says what it skips, namespaces
//! that end with their test, and the tools that look into them.
//!
//! - [`run`] takes each test with what it [`Needs`].
//! - [`world`]: [`Named`] namespaces, and a [`World`] of a node and its pod for the netlink room.
//! - [`pair`]: two nodes joined by a veth [`Pair`], for what sends packets.
//! - [`shell`]: command lines inside a namespace; [`echo`]: one packet there and back; [`tcpdump`]: a
//!   capture beside ours; [`scratch`]: their files; [`mod@tcx`]: programs at hooks that no tool shows.
//! - `pass_on`, which other programs include by itself: a store that changes a call or two of another.
//!
//! A test acts through the library and looks through `ip -j`, tcpdump or tshark, which share no code
//! with it. It fails by a panic, and so does everything here.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unused_imports, reason = "as above")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod echo;
pub(crate) mod pair;
pub(crate) mod scratch;
pub(crate) mod shell;
pub(crate) mod tcpdump;
pub(crate) mod tcx;
pub(crate) mod world;

use std::fmt::Debug;
use std::process::ExitCode;

use ipip_core::name::InterfaceName;
use ipip_core::sys::netns::Netns;
use libtest_mimic::{Arguments, Failed, Trial};

pub(crate) use echo::echo;
pub(crate) use pair::{A, B, Pair};
pub(crate) use scratch::Scratch;
pub(crate) use shell::{sh, soon, try_sh};
pub(crate) use tcpdump::Tcpdump;
pub(crate) use tcx::{tcx, tcx_names};
pub(crate) use world::{Named, World, addr, at};

/// Name, what it needs, and the test, which panics where it fails.
pub(crate) type Test = (&'static str, Needs, fn());

/// What a test needs of the machine besides this crate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Needs {
    /// Nothing: it makes no namespace.
    Nothing,
    /// Namespaces of its own.
    Root,
    /// Those, and the kernel's ipip driver: the guests of `tests/kernel` have it.
    Driver,
    /// Those, and a kernel without the driver.
    NoDriver,
    /// Namespaces, and the kernel's nf_tables with the program `nft`.
    NfTables,
    /// Namespaces, and a kernel without nf_tables: the guest of user-mode-linux.
    NoNfTables,
    /// Both the driver and nf_tables: the guest of qemu.
    GuardedDriver,
}

/// Every need of a namespace.
const ROOTED: [Needs; 6] = [
    Needs::Root,
    Needs::Driver,
    Needs::NoDriver,
    Needs::NfTables,
    Needs::NoNfTables,
    Needs::GuardedDriver,
];

/// Runs the tests, `threads` at a time unless the command line says otherwise. A test whose needs are
/// not met is ignored, and the reason printed.
pub(crate) fn run(threads: usize, tests: &[Test]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    let missing = missing(tests);
    let trials = tests.iter().map(|&(name, needs, test)| {
        let reason = missing.iter().find(|(what, _)| *what == needs);
        if let Some((_, reason)) = reason {
            eprintln!("{name}: skipped, {reason}");
        }
        let trial = Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        });
        // `tests/run long` asks by name for those that take long.
        trial.with_ignored_flag(reason.is_some() || name.starts_with("long_"))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// What cannot be tested here, and why.
fn missing(tests: &[Test]) -> Vec<(Needs, String)> {
    if let Err(error) = Netns::create_unnamed() {
        let reason = format!("no namespace can be made (root?): {error}");
        return ROOTED.map(|needs| (needs, reason.clone())).into();
    }
    let asks = |asked: &[Needs]| tests.iter().any(|(_, needs, _)| asked.contains(needs));
    let mut missing = Vec::new();
    let mut miss = |needs: &[Needs], reason: &str| {
        missing.extend(needs.iter().map(|needs| (*needs, reason.to_owned())));
    };
    if asks(&[Needs::Driver, Needs::NoDriver, Needs::GuardedDriver]) {
        if has_driver() {
            miss(&[Needs::NoDriver], "this kernel has the ipip driver");
        } else {
            let without = [Needs::Driver, Needs::GuardedDriver];
            miss(&without, "this kernel has no ipip driver");
        }
    }
    if asks(&[Needs::NfTables, Needs::NoNfTables, Needs::GuardedDriver]) {
        if has_nf_tables() {
            miss(&[Needs::NoNfTables], "this kernel has nf_tables");
        } else {
            let without = [Needs::NfTables, Needs::GuardedDriver];
            miss(&without, "no nf_tables here, or no nft");
        }
    }
    missing
}

/// Whether `nft` makes a table.
fn has_nf_tables() -> bool {
    Named::new("probe").try_sh("nft add table ip probe").is_ok()
}

/// Whether the kernel makes ipip devices, asked of `ip`.
fn has_driver() -> bool {
    let node = Named::new("probe");
    let made = node.try_sh("ip link show tunl0 || ip link add tunl0 type ipip");
    made.is_ok()
}

/// As `assert_eq!`, for long values: prints the beginning of each only.
#[track_caller]
pub(crate) fn same<T: PartialEq + Debug>(found: &T, expected: &T, what: &str) {
    let cut = |value: &T| format!("{value:?}").chars().take(400).collect::<String>();
    assert!(
        found == expected,
        "{what}: found {}, expected {}",
        cut(found),
        cut(expected)
    );
}

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}
