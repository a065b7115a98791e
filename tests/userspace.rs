//! The user-space data path between two namespaces: what arrives, what is refused, what is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "userspace/inbound.rs"]
mod inbound;
#[path = "userspace/lifetime.rs"]
mod lifetime;
#[path = "userspace/path.rs"]
mod path;
mod support;
#[path = "userspace/traffic.rs"]
mod traffic;
#[path = "userspace/world.rs"]
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
        "a_flood_of_fragments_is_bounded",
        Needs::Root,
        inbound::a_flood_of_fragments_is_bounded,
    ),
    (
        "spoofed_and_damaged_packets_are_dropped",
        Needs::Root,
        inbound::spoofed_and_damaged_packets_are_dropped,
    ),
    (
        "a_partial_checksum_arrives_finished",
        Needs::Root,
        inbound::a_partial_checksum_arrives_finished,
    ),
    (
        "a_congestion_mark_is_handed_on",
        Needs::Root,
        inbound::a_congestion_mark_is_handed_on,
    ),
    (
        "joined_segments_pass_a_smaller_mtu",
        Needs::Root,
        inbound::joined_segments_pass_a_smaller_mtu,
    ),
    (
        "a_stop_leaves_nothing",
        Needs::Root,
        lifetime::a_stop_leaves_nothing,
    ),
    (
        "it_survives_down_and_reports_removal",
        Needs::Root,
        lifetime::it_survives_down_and_reports_removal,
    ),
    (
        "faults_name_their_object",
        Needs::Root,
        lifetime::faults_name_their_object,
    ),
    (
        "missing_privilege_is_named",
        Needs::Root,
        lifetime::missing_privilege_is_named,
    ),
];

fn main() -> ExitCode {
    if std::env::var_os(lifetime::CHILD).is_some() {
        return lifetime::unprivileged_child();
    }
    // One at a time: one counts the sockets that a stop leaves, and while another starts a program, the
    // child holds copies of them all until its exec.
    support::run(1, TESTS)
}
