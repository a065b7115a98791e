//! The data path of eBPF programs between two namespaces: what passes, what is refused, what stays.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(
    dead_code,
    reason = "what a raw socket alone must repair is asked of the user-space path only"
)]

#[path = "../userspace/inbound.rs"]
mod inbound;
mod path;
#[path = "../support/mod.rs"]
mod support;
#[path = "../userspace/traffic.rs"]
mod traffic;
#[path = "../userspace/world.rs"]
mod world;

use std::process::ExitCode;

use support::{Needs, Test};

const TESTS: &[Test] = &[
    (
        "echoes_come_back_and_are_counted",
        Needs::Root,
        traffic::echoes_come_back_and_are_counted,
    ),
    (
        "tcp_and_udp_pass_both_ways",
        Needs::Root,
        traffic::tcp_and_udp_pass_both_ways,
    ),
    (
        "the_mtu_is_used_to_the_last_octet",
        Needs::Root,
        traffic::the_mtu_is_used_to_the_last_octet,
    ),
    (
        "a_packet_too_long_for_the_underlay_is_answered",
        Needs::Root,
        traffic::a_packet_too_long_for_the_underlay_is_answered,
    ),
    (
        "a_packet_too_long_for_the_underlay_is_cut",
        Needs::Root,
        traffic::a_packet_too_long_for_the_underlay_is_cut,
    ),
    (
        "peers_change_at_run_time",
        Needs::Root,
        traffic::peers_change_at_run_time,
    ),
    (
        "outer_fragments_are_put_together",
        Needs::Root,
        inbound::outer_fragments_are_put_together,
    ),
    (
        "spoofed_and_damaged_packets_are_dropped",
        Needs::Root,
        inbound::spoofed_and_damaged_packets_are_dropped,
    ),
    (
        "a_congestion_mark_is_handed_on",
        Needs::Root,
        inbound::a_congestion_mark_is_handed_on,
    ),
];

fn main() -> ExitCode {
    // One at a time, as its neighbours.
    support::run(1, TESTS)
}
