//! The user-space data path between two namespaces: what arrives, what is refused, what is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "userspace/decoded.rs"]
mod decoded;
#[path = "userspace/inbound.rs"]
mod inbound;
#[path = "userspace/lifetime.rs"]
mod lifetime;
#[path = "userspace/path.rs"]
mod path;
#[path = "userspace/refused.rs"]
mod refused;
mod support;
#[path = "userspace/traffic.rs"]
mod traffic;
#[path = "userspace/underlay.rs"]
mod underlay;
#[path = "userspace/world.rs"]
mod world;

use std::process::ExitCode;

use support::{Needs, Test};

const TESTS: &[Test] = &[
    (
        "a_partial_checksum_arrives_finished",
        Needs::Root,
        inbound::a_partial_checksum_arrives_finished,
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
    (
        "what_little_was_quoted_of_is_owed",
        Needs::Root,
        underlay::what_little_was_quoted_of_is_owed,
    ),
    (
        "it_carries_where_offloads_are_refused",
        Needs::Root,
        refused::it_carries_where_offloads_are_refused,
    ),
    (
        "joined_segments_are_cut_for_a_device_that_takes_none",
        Needs::Root,
        refused::joined_segments_are_cut_for_a_device_that_takes_none,
    ),
];

fn main() -> ExitCode {
    if std::env::var_os(lifetime::CHILD).is_some() {
        return lifetime::unprivileged_child();
    }
    if let Some(netns) = std::env::var_os(refused::CHILD) {
        return refused::child(&netns);
    }
    // One at a time: one counts the sockets that a stop leaves, and while another starts a program, the
    // child holds copies of them all until its exec.
    support::run(
        1,
        &[
            traffic::TESTS,
            inbound::TESTS,
            underlay::TESTS,
            decoded::TESTS,
            TESTS,
        ]
        .concat(),
    )
}
