//! The netlink room against the kernel: acts through the library, looks through `ip -j`, which
//! shares no code with it.
//!
//! Every test makes its own namespaces and removes them. Without root, all are skipped and say so.
//! Those that need the kernel's ipip driver are skipped where it is missing; `tests/kernel/uml`
//! boots a kernel that has it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod changes;
mod full;
mod many;
mod monitored;
mod observed;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod tunnel;

use std::process::ExitCode;

use support::{Needs, Test};

fn main() -> ExitCode {
    let tests: &[Test] = &[
        (
            "every_change_equals_its_shell_line",
            Needs::Root,
            changes::every_change_equals_its_shell_line,
        ),
        (
            "settings_read_as_sysctl_shows_them",
            Needs::Root,
            changes::settings_read_as_sysctl_shows_them,
        ),
        (
            "a_workload_is_wired_by_its_plan",
            Needs::Root,
            changes::a_workload_is_wired_by_its_plan,
        ),
        (
            "a_read_only_proc_is_no_obstacle",
            Needs::Root,
            changes::a_read_only_proc_is_no_obstacle,
        ),
        (
            "a_full_kernel_keeps_what_it_has",
            Needs::Root,
            full::a_full_kernel_keeps_what_it_has,
        ),
        (
            "a_full_alias_is_kept",
            Needs::Root,
            changes::a_full_alias_is_kept,
        ),
        (
            "links_are_those_that_ip_shows",
            Needs::Root,
            observed::links_are_those_that_ip_shows,
        ),
        (
            "routes_are_those_that_ip_shows",
            Needs::Root,
            observed::routes_are_those_that_ip_shows,
        ),
        (
            "an_empty_namespace_has_no_routes",
            Needs::Root,
            observed::an_empty_namespace_has_no_routes,
        ),
        (
            "many_routes_are_read_in_full",
            Needs::Root,
            observed::many_routes_are_read_in_full,
        ),
        (
            "a_changing_namespace_is_still_read",
            Needs::Root,
            observed::a_changing_namespace_is_still_read,
        ),
        (
            "the_kernel_says_which_way",
            Needs::Root,
            observed::the_kernel_says_which_way,
        ),
        (
            "refusals_name_the_object",
            Needs::Root,
            refusals::refusals_name_the_object,
        ),
        (
            "the_taken_end_of_a_pair_is_named",
            Needs::Root,
            refusals::the_taken_end_of_a_pair_is_named,
        ),
        (
            "apply_stops_at_the_first_failure",
            Needs::Root,
            refusals::apply_stops_at_the_first_failure,
        ),
        (
            "a_foreign_route_is_not_deleted",
            Needs::Root,
            refusals::a_foreign_route_is_not_deleted,
        ),
        (
            "places_are_checked",
            Needs::Root,
            refusals::places_are_checked,
        ),
        (
            "without_privilege_it_reads_and_is_refused",
            Needs::Nothing,
            refusals::without_privilege_it_reads_and_is_refused,
        ),
        (
            "many_at_once_equal_one_by_one",
            Needs::Root,
            many::many_at_once_equal_one_by_one,
        ),
        (
            "many_pods_are_wired_as_one_by_one",
            Needs::Root,
            many::many_pods_are_wired_as_one_by_one,
        ),
        (
            "failures_in_the_middle_are_named",
            Needs::Root,
            many::failures_in_the_middle_are_named,
        ),
        (
            "ten_thousand_failures_are_all_told",
            Needs::Root,
            many::ten_thousand_failures_are_all_told,
        ),
        (
            "a_failed_creation_takes_its_steps_along",
            Needs::Root,
            many::a_failed_creation_takes_its_steps_along,
        ),
        (
            "a_deletion_stays_in_its_place",
            Needs::Root,
            many::a_deletion_stays_in_its_place,
        ),
        (
            "only_ours_are_deleted_together",
            Needs::Root,
            many::only_ours_are_deleted_together,
        ),
        (
            "events_are_those_that_ip_monitor_prints",
            Needs::Root,
            monitored::events_are_those_that_ip_monitor_prints,
        ),
        (
            "a_filter_that_goes_is_told",
            Needs::Root,
            monitored::a_filter_that_goes_is_told,
        ),
        (
            "an_overrun_is_reported",
            Needs::Root,
            monitored::an_overrun_is_reported,
        ),
        (
            "a_workloads_routes_are_told_as_its_own",
            Needs::Root,
            monitored::a_workloads_routes_are_told_as_its_own,
        ),
        (
            "a_monitor_is_woken",
            Needs::Root,
            monitored::a_monitor_is_woken,
        ),
        (
            "a_missing_driver_is_named",
            Needs::NoDriver,
            tunnel::a_missing_driver_is_named,
        ),
        (
            "a_created_tunnel_equals_the_fallback",
            Needs::Driver,
            tunnel::a_created_tunnel_equals_the_fallback,
        ),
        (
            "a_created_tunnel_equals_its_shell_line",
            Needs::Driver,
            tunnel::a_created_tunnel_equals_its_shell_line,
        ),
        (
            "the_fallback_cannot_be_deleted",
            Needs::Driver,
            tunnel::the_fallback_cannot_be_deleted,
        ),
        (
            "a_tunnel_carries_its_plan",
            Needs::Driver,
            tunnel::a_tunnel_carries_its_plan,
        ),
    ];
    // One at a time, since some turn kernel-wide switches.
    support::run(1, tests)
}
