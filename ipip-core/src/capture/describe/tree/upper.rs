//! The branches from IP up.

use super::{Branch, data_field};
use crate::capture::describe::ip::{Extension, ICMPV6, IPV6_IN_IP, Ipv4, Ipv6};
use crate::capture::describe::transport::{Icmp, Tcp, Udp};
use crate::wire::{Ecn, protocol};

pub(super) fn ipv4(packet: &Ipv4<'_>, checksum: &str) -> Branch {
    let flags: Vec<_> = [
        ("Reserved", packet.reserved_flag()),
        ("Don't fragment", packet.dont_fragment()),
        ("More fragments", packet.more_fragments()),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect();
    let flags = if flags.is_empty() {
        "none".to_owned()
    } else {
        flags.join(", ")
    };
    let mut fields = vec![
        format!("Header Length: {} octets", packet.header_len()),
        format!(
            "Differentiated Services Field: 0x{:02x} (DSCP: {}, ECN: {})",
            packet.tos(),
            packet.dscp().value(),
            packet.ecn()
        ),
        format!("Total Length: {}", packet.total_len()),
        format!("Identification: 0x{0:04x} ({0})", packet.identification()),
        format!("Flags: {flags}"),
        format!("Fragment Offset: {}", packet.fragment_offset().octets()),
        format!("Time to Live: {}", packet.ttl()),
        format!("Protocol: {}", protocol_name(packet.protocol())),
        format!("Header {checksum}"),
        format!("Source Address: {}", packet.source()),
        format!("Destination Address: {}", packet.destination()),
    ];
    if !packet.options().is_empty() {
        fields.push(format!("Options: {} octets", packet.options().len()));
    }
    fields.extend(missing_field(packet.missing()));
    Branch {
        summary: format!(
            "Internet Protocol Version 4, Src: {}, Dst: {}",
            packet.source(),
            packet.destination()
        ),
        fields,
    }
}

pub(super) fn protocol_name(number: u8) -> String {
    let name = match number {
        protocol::ICMP => "ICMP",
        protocol::IPIP => "IPIP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        IPV6_IN_IP => "IPv6",
        ICMPV6 => "ICMPv6",
        _ => return number.to_string(),
    };
    format!("{name} ({number})")
}

/// Octets that the packet has and the capture has not.
fn missing_field(octets: usize) -> Option<String> {
    (octets > 0).then(|| format!("Missing: {octets} octets"))
}

pub(super) fn ipv6(packet: &Ipv6<'_>) -> Branch {
    let (class, hops) = (packet.traffic_class, packet.hop_limit);
    let mut fields = vec![
        format!(
            "Traffic Class: 0x{class:02x} (DSCP: {}, ECN: {})",
            class >> 2,
            Ecn::of_tos(class)
        ),
        format!("Flow Label: 0x{:05x}", packet.flow_label),
        format!("Payload Length: {}", packet.payload_len),
        format!("Next Header: {}", next_header_name(packet.next_header)),
        format!("Hop Limit: {hops}"),
        format!("Source Address: {}", packet.source),
        format!("Destination Address: {}", packet.destination),
    ];
    fields.extend(missing_field(packet.missing));
    Branch {
        summary: format!(
            "Internet Protocol Version 6, Src: {}, Dst: {}",
            packet.source, packet.destination
        ),
        fields,
    }
}

pub(super) fn extension(extension: &Extension<'_>) -> Branch {
    let next = next_header_name(extension.next_header);
    let mut fields = vec![
        format!("Next Header: {next}"),
        format!("Length: {} octets", extension.octets.len()),
    ];
    if let Some((offset, more)) = extension.fragment() {
        fields.push(format!("Fragment Offset: {offset}"));
        fields.push(format!("More Fragments: {more}"));
    }
    Branch {
        summary: format!("IPv6 {}", next_header_name(extension.kind)),
        fields,
    }
}

/// IPv6 gives some numbers to headers of its own.
fn next_header_name(number: u8) -> String {
    let name = match number {
        Extension::HOP_BY_HOP => "Hop-by-Hop Options",
        Extension::ROUTING => "Routing Header",
        Extension::FRAGMENT => "Fragment Header",
        Extension::DESTINATION => "Destination Options",
        _ => return protocol_name(number),
    };
    format!("{name} ({number})")
}

pub(super) fn icmp(icmp: &Icmp<'_>, checksum: String) -> Branch {
    let (version, is_v6) = (if icmp.is_v6 { " v6" } else { "" }, icmp.is_v6);
    let name = match (is_v6, icmp.kind) {
        (false, Icmp::ECHO_REPLY) | (true, Icmp::V6_ECHO_REPLY) => " (Echo (ping) reply)",
        (false, Icmp::UNREACHABLE) => " (Destination unreachable)",
        (false, Icmp::ECHO_REQUEST) | (true, Icmp::V6_ECHO_REQUEST) => " (Echo (ping) request)",
        (false, Icmp::TIME_EXCEEDED) => " (Time-to-live exceeded)",
        (true, Icmp::V6_TOO_BIG) => " (Packet Too Big)",
        _ => "",
    };
    let mut fields = vec![
        format!("Type: {}{name}", icmp.kind),
        format!("Code: {}", icmp.code),
        checksum,
    ];
    if name.contains("ping") {
        fields.push(format!("Identifier: {}", icmp.identifier()));
        fields.push(format!("Sequence Number: {}", icmp.sequence()));
    } else if (is_v6, icmp.kind, icmp.code) == (false, Icmp::UNREACHABLE, 4) {
        fields.push(format!("MTU of next hop: {}", icmp.next_hop_mtu()));
    }
    fields.push(data_field(icmp.data));
    Branch {
        summary: format!("Internet Control Message Protocol{version}"),
        fields,
    }
}

pub(super) fn udp(udp: &Udp<'_>, checksum: String) -> Branch {
    Branch {
        summary: format!(
            "User Datagram Protocol, Src Port: {}, Dst Port: {}",
            udp.source_port, udp.destination_port
        ),
        fields: vec![
            format!("Length: {}", udp.len),
            checksum,
            data_field(udp.data),
        ],
    }
}

pub(super) fn tcp(tcp: &Tcp<'_>, checksum: String) -> Branch {
    Branch {
        summary: format!(
            "Transmission Control Protocol, Src Port: {}, Dst Port: {}",
            tcp.source_port, tcp.destination_port
        ),
        fields: vec![
            format!("Sequence Number: {}", tcp.sequence),
            format!("Acknowledgment Number: {}", tcp.acknowledgement),
            format!("Flags: [{}]", tcp.flags),
            format!("Window: {}", tcp.window),
            checksum,
            format!("Options: {} octets", tcp.options.len()),
            data_field(tcp.data),
        ],
    }
}
