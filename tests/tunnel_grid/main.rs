//! The kernel's ipip driver against `wire`, both ways: what the driver sends is what our `Encapsulator`
//! builds, octet by octet, and what ours builds the driver takes.
//!
//! The underlay of the node under test is this program: its `eth0` is a TUN device, so each packet
//! that its kernel sends can be read whole, and any packet can be put before it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod entry;
mod exit;
mod inner;
mod refusals;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    support::run(
        1,
        &[entry::TESTS, settings::TESTS, exit::TESTS, refusals::TESTS].concat(),
    )
}
