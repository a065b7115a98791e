//! The user-space data path between two namespaces: what arrives, what is refused, what is left.

#[path = "userspace/inbound.rs"]
mod inbound;
#[path = "userspace/lifetime.rs"]
mod lifetime;
#[path = "userspace/traffic.rs"]
mod traffic;
mod two_netns;
#[path = "userspace/world.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(lifetime::CHILD).is_some() {
        return lifetime::unprivileged_child();
    }
    two_netns::run(
        &[],
        &[
            (
                "echoes_come_back_and_are_counted",
                traffic::echoes_come_back_and_are_counted,
            ),
            (
                "tcp_and_udp_pass_both_ways",
                traffic::tcp_and_udp_pass_both_ways,
            ),
            (
                "the_mtu_is_used_to_the_last_octet",
                traffic::the_mtu_is_used_to_the_last_octet,
            ),
            (
                "a_packet_too_long_for_the_underlay_is_counted",
                traffic::a_packet_too_long_for_the_underlay_is_counted,
            ),
            (
                "peers_change_at_run_time",
                traffic::peers_change_at_run_time,
            ),
            (
                "outer_fragments_are_put_together",
                inbound::outer_fragments_are_put_together,
            ),
            (
                "spoofed_and_damaged_packets_are_dropped",
                inbound::spoofed_and_damaged_packets_are_dropped,
            ),
            (
                "a_partial_checksum_arrives_finished",
                inbound::a_partial_checksum_arrives_finished,
            ),
            (
                "joined_segments_pass_a_smaller_mtu",
                inbound::joined_segments_pass_a_smaller_mtu,
            ),
            ("a_stop_leaves_nothing", lifetime::a_stop_leaves_nothing),
            (
                "it_survives_down_and_reports_removal",
                lifetime::it_survives_down_and_reports_removal,
            ),
            (
                "faults_name_their_object",
                lifetime::faults_name_their_object,
            ),
            (
                "missing_privilege_is_named",
                lifetime::missing_privilege_is_named,
            ),
        ],
    )
}
