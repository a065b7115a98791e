//! The guard of a node on a real kernel: its table, looked at with `nft`, and what it drops, lets through
//! and translates, looked at with tcpdump and raw sockets.
//!
//! Packets come from a few lines of Python, which share no code with the library. The tests of `tunnel`
//! need the ipip driver and nf_tables at once: the guest of qemu has both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod packets;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod translate;
mod tunnel;

use std::process::ExitCode;

use ipip_core::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use ipip_core::node::Changes;
use ipip_core::overlay::{Guard, GuardPool};

fn main() -> ExitCode {
    support::run(
        2,
        &[
            table::TESTS,
            packets::TESTS,
            translate::TESTS,
            tunnel::TESTS,
        ]
        .concat(),
    )
}

/// The steps as text.
fn lines(changes: &Changes) -> Vec<String> {
    changes.steps.iter().map(ToString::to_string).collect()
}

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

fn node(last: u8) -> NodeAddr {
    NodeAddr([172, 18, 0, last].into())
}

/// The guard of node-a of the reference picture: one peer, 172.18.0.2, with 10.244.244.64/26.
fn reference() -> Guard {
    let pool = GuardPool {
        prefix: prefix("10.244.0.0/16"),
        nat_outgoing: true,
    };
    Guard::new(
        [(prefix("10.244.244.64/26"), node(2))]
            .into_iter()
            .collect(),
        vec![pool],
        TunnelAddr([10, 244, 79, 0].into()),
    )
}
