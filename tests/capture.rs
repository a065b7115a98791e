//! Live capture, capture files and their explanation, against tcpdump and tshark.

#[path = "capture/agree.rs"]
mod agree;
#[path = "capture/explain.rs"]
mod explain;
#[path = "capture/files.rs"]
mod files;
#[path = "capture/live.rs"]
mod live;
mod two_netns;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(live::CHILD).is_some() {
        return live::unprivileged_child();
    }
    two_netns::run(
        &[
            ("lines_are_tcpdumps", explain::lines_are_tcpdumps),
            ("tcpdump_reads_our_files", explain::tcpdump_reads_our_files),
            ("trees_are_tsharks", explain::trees_are_tsharks),
            ("layers_are_tsharks", explain::layers_are_tsharks),
            (
                "damaged_frames_are_described_all_the_same",
                explain::damaged_frames_are_described_all_the_same,
            ),
            (
                "every_format_of_editcap_is_read",
                files::every_format_of_editcap_is_read,
            ),
            (
                "merged_files_keep_their_interfaces",
                files::merged_files_keep_their_interfaces,
            ),
            (
                "every_field_of_a_scapy_capture_is_tsharks",
                agree::every_field_of_a_scapy_capture_is_tsharks,
            ),
            (
                "long_every_field_of_ten_thousand_scapy_frames_is_tsharks",
                agree::long_every_field_of_ten_thousand_scapy_frames_is_tsharks,
            ),
            ("a_missing_file_is_named", files::a_missing_file_is_named),
        ],
        &[
            ("frames_are_tcpdumps", live::frames_are_tcpdumps),
            ("a_tun_device_gives_raw_ip", live::a_tun_device_gives_raw_ip),
            ("vlan_tags_are_put_back", live::vlan_tags_are_put_back),
            (
                "a_pending_checksum_is_told",
                live::a_pending_checksum_is_told,
            ),
            ("timeouts_are_precise", live::timeouts_are_precise),
            (
                "a_stop_ends_a_wait_and_keeps_what_passed",
                live::a_stop_ends_a_wait_and_keeps_what_passed,
            ),
            (
                "an_interface_removed_while_down_is_told",
                live::an_interface_removed_while_down_is_told,
            ),
            (
                "an_interface_that_goes_down_is_told",
                live::an_interface_that_goes_down_is_told,
            ),
            ("drops_are_counted", live::drops_are_counted),
            ("faults_name_their_object", live::faults_name_their_object),
            (
                "missing_privilege_is_named",
                live::missing_privilege_is_named,
            ),
        ],
    )
}
