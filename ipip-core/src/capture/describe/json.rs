//! One frame, one line of JSON: for `jq`, logs and other programs.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Layer, OpaqueKind, Verdict, verdicts};
use crate::capture::frame::Frame;

/// The frame as one JSON object, without a line break.
///
/// Lengths are octets; numbers are as in the header, so a `fragment_offset` counts units of 8 octets;
/// flags are decoded; octets are hexadecimal. `layers` holds one object per layer, outermost first, whose `layer` names it. Each
/// `checksum` comes with a `verdict` and, if that is `incorrect` or `partial`, with what `computed`
/// says it should be. `time_ns` counts from 1970.
///
/// ```
/// # use ipip_core::capture::{Direction, Frame, LinkType, describe};
/// # let frame = Frame {
/// #     link_type: LinkType::RawIp, time: std::time::SystemTime::UNIX_EPOCH, checksum_pending: false,
/// #     direction: Direction::Outgoing, original_len: 3, octets: vec![0x45, 0, 0],
/// # };
/// let line = describe::json(&frame);
/// let expected = r#"{"time_ns":0,"link_type":101,"direction":"out","original_len":3,"captured_len":3,"#;
/// assert!(line.starts_with(expected), "{line}");
/// ```
#[must_use]
pub fn json(frame: &Frame) -> String {
    let layers = frame.layers();
    let records = layers.iter().zip(verdicts(&layers));
    let since = frame.time.duration_since(SystemTime::UNIX_EPOCH);
    let record = FrameRecord {
        time_ns: since.unwrap_or(Duration::ZERO).as_nanos(),
        link_type: frame.link_type.number(),
        direction: frame.direction.to_string(),
        original_len: frame.original_len,
        captured_len: frame.octets.len(),
        checksum_pending: frame.checksum_pending,
        layers: records
            .map(|(layer, verdict)| Record::of(layer, verdict))
            .collect(),
    };
    // Strings and numbers only: nothing of it can fail.
    serde_json::to_string(&record).unwrap_or_default()
}

#[derive(Serialize)]
struct FrameRecord {
    time_ns: u128,
    link_type: u32,
    direction: String,
    original_len: usize,
    captured_len: usize,
    checksum_pending: bool,
    layers: Vec<Record>,
}

/// A checksum field, judged.
#[derive(Serialize)]
struct Checksum {
    checksum: u16,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    computed: Option<u16>,
}

impl Checksum {
    fn of(checksum: u16, verdict: Option<Verdict>) -> Self {
        let (verdict, computed) = match verdict {
            Some(Verdict::Correct) => ("correct", None),
            Some(Verdict::Incorrect { computed }) => ("incorrect", Some(computed)),
            Some(Verdict::Partial { computed }) => ("partial", Some(computed)),
            Some(Verdict::Absent) => ("absent", None),
            Some(Verdict::Unverified) | None => ("unverified", None),
        };
        Self {
            checksum,
            verdict,
            computed,
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
enum Record {
    Ethernet {
        source: String,
        destination: String,
        ether_type: u16,
    },
    Vlan {
        id: u16,
        priority: u8,
        drop_eligible: bool,
        ether_type: u16,
    },
    Cooked {
        packet_type: u16,
        hardware_type: u16,
        interface: Option<u32>,
        address: String,
        address_len: u16,
        ether_type: u16,
    },
    Arp {
        operation: u16,
        sender_mac: String,
        sender: Ipv4Addr,
        target_mac: String,
        target: Ipv4Addr,
    },
    Ipv4 {
        header_len: usize,
        dscp: u8,
        ecn: u8,
        total_len: u16,
        identification: u16,
        reserved_flag: bool,
        dont_fragment: bool,
        more_fragments: bool,
        fragment_offset: u16,
        ttl: u8,
        protocol: u8,
        #[serde(flatten)]
        checksum: Checksum,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        options: String,
        missing: usize,
    },
    Ipv6 {
        dscp: u8,
        ecn: u8,
        flow_label: u32,
        payload_len: u16,
        next_header: u8,
        hop_limit: u8,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        missing: usize,
    },
    Ipv6Extension {
        kind: u8,
        next_header: u8,
        octets: String,
    },
    Icmp {
        version: u8,
        #[serde(rename = "type")]
        kind: u8,
        code: u8,
        #[serde(flatten)]
        checksum: Checksum,
        rest: String,
        message_len: usize,
    },
    Udp {
        source_port: u16,
        destination_port: u16,
        len: u16,
        #[serde(flatten)]
        checksum: Checksum,
    },
    Tcp {
        source_port: u16,
        destination_port: u16,
        sequence: u32,
        acknowledgement: u32,
        header_len: usize,
        flags: u16,
        window: u16,
        #[serde(flatten)]
        checksum: Checksum,
        urgent: u16,
        options: String,
        data_len: usize,
    },
    Opaque {
        kind: &'static str,
        number: u32,
        octets: String,
    },
    Malformed {
        reason: String,
    },
}

impl Record {
    fn of(layer: &Layer<'_>, verdict: Option<Verdict>) -> Self {
        match layer {
            Layer::Ethernet(ethernet) => Self::Ethernet {
                source: ethernet.source.to_string(),
                destination: ethernet.destination.to_string(),
                ether_type: ethernet.ether_type,
            },
            Layer::Vlan(vlan) => Self::Vlan {
                id: vlan.id,
                priority: vlan.priority,
                drop_eligible: vlan.drop_eligible,
                ether_type: vlan.ether_type,
            },
            Layer::Sll(sll) => Self::Cooked {
                packet_type: sll.packet_type,
                hardware_type: sll.hardware_type,
                interface: sll.interface,
                address: hex(&sll.address),
                address_len: sll.address_len,
                ether_type: sll.ether_type,
            },
            Layer::Arp(arp) => Self::Arp {
                operation: arp.operation,
                sender_mac: arp.sender_mac.to_string(),
                sender: arp.sender,
                target_mac: arp.target_mac.to_string(),
                target: arp.target,
            },
            Layer::Ipv4(packet) => Self::Ipv4 {
                header_len: packet.header_len(),
                dscp: packet.dscp().value(),
                ecn: packet.ecn().value(),
                total_len: packet.total_len(),
                identification: packet.identification(),
                reserved_flag: packet.reserved_flag(),
                dont_fragment: packet.dont_fragment(),
                more_fragments: packet.more_fragments(),
                fragment_offset: packet.fragment_offset().units(),
                ttl: packet.ttl(),
                protocol: packet.protocol(),
                checksum: Checksum::of(packet.checksum(), verdict),
                source: packet.source(),
                destination: packet.destination(),
                options: hex(packet.options()),
                missing: packet.missing(),
            },
            Layer::Ipv6(packet) => Self::Ipv6 {
                dscp: packet.traffic_class >> 2,
                ecn: packet.traffic_class & 3,
                flow_label: packet.flow_label,
                payload_len: packet.payload_len,
                next_header: packet.next_header,
                hop_limit: packet.hop_limit,
                source: packet.source,
                destination: packet.destination,
                missing: packet.missing,
            },
            Layer::Extension(extension) => Self::Ipv6Extension {
                kind: extension.kind,
                next_header: extension.next_header,
                octets: hex(extension.octets),
            },
            Layer::Icmp(icmp) => Self::Icmp {
                version: if icmp.is_v6 { 6 } else { 4 },
                kind: icmp.kind,
                code: icmp.code,
                checksum: Checksum::of(icmp.checksum, verdict),
                rest: hex(&icmp.rest),
                message_len: icmp.message_len,
            },
            Layer::Udp(udp) => Self::Udp {
                source_port: udp.source_port,
                destination_port: udp.destination_port,
                len: udp.len,
                checksum: Checksum::of(udp.checksum, verdict),
            },
            Layer::Tcp(tcp) => Self::Tcp {
                source_port: tcp.source_port,
                destination_port: tcp.destination_port,
                sequence: tcp.sequence,
                acknowledgement: tcp.acknowledgement,
                header_len: tcp.segment.len() - tcp.data.len(),
                flags: tcp.flags.0,
                window: tcp.window,
                checksum: Checksum::of(tcp.checksum, verdict),
                urgent: tcp.urgent,
                options: hex(tcp.options),
                data_len: tcp.data_len,
            },
            Layer::Opaque(opaque) => {
                let (kind, number) = match opaque.kind {
                    OpaqueKind::Link(number) => ("link", number),
                    OpaqueKind::EtherType(number) => ("ether_type", number.into()),
                    OpaqueKind::Protocol(number) => ("protocol", number.into()),
                    OpaqueKind::Fragment(number) => ("fragment", number.into()),
                };
                let octets = hex(opaque.octets);
                Self::Opaque {
                    kind,
                    number,
                    octets,
                }
            }
            Layer::Malformed(malformed) => Self::Malformed {
                reason: malformed.to_string(),
            },
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
