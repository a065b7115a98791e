//! The data path of eBPF programs between two namespaces: what passes, what is refused, what stays.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(
    dead_code,
    reason = "what a raw socket alone must repair is asked of the user-space path only"
)]

#[path = "../userspace/decoded.rs"]
mod decoded;
mod drops;
#[path = "../userspace/inbound.rs"]
mod inbound;
mod lifetime;
mod matrix;
mod object;
mod path;
mod seen;
#[path = "../support/mod.rs"]
mod support;
mod tcx;
#[path = "../userspace/traffic.rs"]
mod traffic;
#[path = "../userspace/underlay.rs"]
mod underlay;
#[path = "../userspace/world.rs"]
mod world;

use std::process::ExitCode;

use support::{Needs, Test};

const TESTS: &[Test] = &[
    (
        "strangers_fragments_are_dropped_at_once",
        Needs::Root,
        lifetime::strangers_fragments_are_dropped_at_once,
    ),
    (
        "a_killed_process_is_followed_without_loss",
        Needs::Root,
        lifetime::a_killed_process_is_followed_without_loss,
    ),
    (
        "removal_leaves_nothing_of_ours",
        Needs::Root,
        lifetime::removal_leaves_nothing_of_ours,
    ),
    (
        "others_filters_and_devices_stay",
        Needs::Root,
        lifetime::others_filters_and_devices_stay,
    ),
    (
        "a_failed_start_leaves_nothing",
        Needs::Root,
        lifetime::a_failed_start_leaves_nothing,
    ),
    (
        "missing_privilege_is_named",
        Needs::Root,
        lifetime::missing_privilege_is_named,
    ),
    (
        "programs_are_attached_by_tcx",
        Needs::Root,
        tcx::programs_are_attached_by_tcx,
    ),
    (
        "strangers_at_tcx_stay_and_do_not_matter",
        Needs::Root,
        tcx::strangers_stay_and_do_not_matter,
    ),
    (
        "filters_are_taken_over_without_loss",
        Needs::Root,
        tcx::filters_are_taken_over_without_loss,
    ),
    ("bpf_drops", Needs::Root, drops::bpf_drops),
    ("userspace_drops", Needs::Root, drops::userspace_drops),
    (
        "guard_tunnel_drops",
        Needs::GuardedDriver,
        drops::kernel_drops,
    ),
    ("bpf_to_bpf", Needs::Root, matrix::bpf_to_bpf),
    ("bpf_to_userspace", Needs::Root, matrix::bpf_to_userspace),
    (
        "userspace_to_userspace",
        Needs::Root,
        matrix::userspace_to_userspace,
    ),
    (
        "the_driver_tells_nobody_that_a_node_is_unreachable",
        Needs::Driver,
        matrix::the_driver_tells_nobody_that_a_node_is_unreachable,
    ),
    ("kernel_to_kernel", Needs::Driver, matrix::kernel_to_kernel),
    ("kernel_to_bpf", Needs::Driver, matrix::kernel_to_bpf),
    (
        "kernel_to_userspace",
        Needs::Driver,
        matrix::kernel_to_userspace,
    ),
    (
        "the_object_is_what_clang_makes",
        Needs::Nothing,
        object::the_object_is_what_clang_makes,
    ),
];

/// Whether a new namespace gets the drivers' fallback devices.
const FALLBACK: &str = "/proc/sys/net/core/fb_tunnels_only_for_init_net";

fn main() -> ExitCode {
    if let Some(netns) = std::env::var_os(lifetime::CHILD) {
        return lifetime::child(&netns);
    }
    // In a guest the driver gives each new namespace a tunl0, whose name is wanted here.
    let before = std::env::var_os("IPIP_GUEST").map(|_| std::fs::read_to_string(FALLBACK).unwrap());
    if before.is_some() {
        std::fs::write(FALLBACK, "2").unwrap();
    }
    // One at a time, as its neighbours.
    let tests = [
        traffic::TESTS,
        inbound::TESTS,
        underlay::TESTS,
        decoded::TESTS,
        TESTS,
    ]
    .concat();
    let code = support::run(1, &tests);
    // The setting is the whole machine's, and other programs' tests come after these.
    if let Some(before) = before {
        std::fs::write(FALLBACK, before.trim()).unwrap();
    }
    code
}
