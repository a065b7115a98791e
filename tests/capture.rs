//! Live capture, capture files and their explanation, against tcpdump and tshark.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "capture/agree.rs"]
mod agree;
#[path = "capture/explain.rs"]
mod explain;
#[path = "capture/files.rs"]
mod files;
#[path = "capture/live.rs"]
mod live;
#[path = "capture/makers.rs"]
mod makers;
mod support;
#[path = "capture/traffic.rs"]
mod traffic;

use std::process::ExitCode;

use support::{Needs, Test};

const TESTS: &[Test] = &[
    (
        "lines_are_tcpdumps",
        Needs::Nothing,
        explain::lines_are_tcpdumps,
    ),
    (
        "tcpdump_reads_our_files",
        Needs::Nothing,
        explain::tcpdump_reads_our_files,
    ),
    (
        "trees_are_tsharks",
        Needs::Nothing,
        explain::trees_are_tsharks,
    ),
    (
        "layers_are_tsharks",
        Needs::Nothing,
        explain::layers_are_tsharks,
    ),
    (
        "damaged_frames_are_described_all_the_same",
        Needs::Nothing,
        explain::damaged_frames_are_described_all_the_same,
    ),
    (
        "every_format_of_editcap_is_read",
        Needs::Nothing,
        files::every_format_of_editcap_is_read,
    ),
    (
        "merged_files_keep_their_interfaces",
        Needs::Nothing,
        files::merged_files_keep_their_interfaces,
    ),
    (
        "a_missing_file_is_named",
        Needs::Nothing,
        files::a_missing_file_is_named,
    ),
    (
        "every_field_of_a_scapy_capture_is_tsharks",
        Needs::Nothing,
        agree::every_field_of_a_scapy_capture_is_tsharks,
    ),
    (
        "long_every_field_of_ten_thousand_scapy_frames_is_tsharks",
        Needs::Nothing,
        agree::long_every_field_of_ten_thousand_scapy_frames_is_tsharks,
    ),
    (
        "every_field_of_a_user_space_capture_is_tsharks",
        Needs::Root,
        makers::every_field_of_a_user_space_capture_is_tsharks,
    ),
    (
        "every_field_of_the_drivers_capture_is_tsharks",
        Needs::Driver,
        makers::every_field_of_the_drivers_capture_is_tsharks,
    ),
    (
        "frames_are_tcpdumps",
        Needs::Root,
        live::frames_are_tcpdumps,
    ),
    (
        "a_tun_device_gives_raw_ip",
        Needs::Root,
        live::a_tun_device_gives_raw_ip,
    ),
    (
        "vlan_tags_are_put_back",
        Needs::Root,
        live::vlan_tags_are_put_back,
    ),
    (
        "a_pending_checksum_is_told",
        Needs::Root,
        live::a_pending_checksum_is_told,
    ),
    (
        "timeouts_are_precise",
        Needs::Root,
        live::timeouts_are_precise,
    ),
    (
        "a_stop_ends_a_wait_and_keeps_what_passed",
        Needs::Root,
        live::a_stop_ends_a_wait_and_keeps_what_passed,
    ),
    (
        "an_interface_removed_while_down_is_told",
        Needs::Root,
        live::an_interface_removed_while_down_is_told,
    ),
    (
        "an_interface_that_goes_down_is_told",
        Needs::Root,
        live::an_interface_that_goes_down_is_told,
    ),
    ("drops_are_counted", Needs::Root, live::drops_are_counted),
    (
        "faults_name_their_object",
        Needs::Root,
        live::faults_name_their_object,
    ),
    (
        "missing_privilege_is_named",
        Needs::Root,
        live::missing_privilege_is_named,
    ),
];

fn main() -> ExitCode {
    if std::env::var_os(live::CHILD).is_some() {
        return live::unprivileged_child();
    }
    // Two at a time: the tests wait on each other's time otherwise.
    support::run(2, TESTS)
}
