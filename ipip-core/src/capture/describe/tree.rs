//! One frame as a tree: a branch for each layer, in the words of Wireshark's packet details.

use std::fmt;
use std::net::Ipv4Addr;

use super::link::{Arp, Ethernet, Vlan, ether_type};
use super::transport::{Icmp, Tcp, Udp};
use super::{Layer, Opaque, OpaqueKind};
use crate::capture::frame::Frame;
use crate::wire::{self, Ecn, Ipv4View, protocol};

/// A frame's layers for people: the frame itself first, then one branch per header. As text, one
/// line per branch and its fields indented below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The branches, the frame's own first.
    pub branches: Vec<Branch>,
}

/// One layer of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The layer in one line.
    pub summary: String,
    /// Its fields, one line each.
    pub fields: Vec<String>,
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for branch in &self.branches {
            writeln!(f, "{}", branch.summary)?;
            for field in &branch.fields {
                writeln!(f, "    {field}")?;
            }
        }
        Ok(())
    }
}

/// The frame as a tree. An encapsulated echo has five branches: frame, Ethernet, two times IPv4, and
/// ICMP.
#[must_use]
pub fn tree(frame: &Frame) -> Tree {
    let layers = frame.layers();
    let mut branches = vec![frame_branch(frame)];
    // The innermost IPv4 header is the one that a transport checksum covers.
    let mut around = None;
    for layer in &layers {
        branches.push(match layer {
            Layer::Ethernet(ethernet) => ethernet_branch(ethernet),
            Layer::Vlan(vlan) => vlan_branch(vlan),
            Layer::Arp(arp) => arp_branch(arp),
            Layer::Ipv4(packet) => {
                around = Some(packet);
                ipv4_branch(packet)
            }
            Layer::Icmp(icmp) => icmp_branch(icmp, around),
            Layer::Udp(udp) => udp_branch(udp, around, frame.checksum_pending),
            Layer::Tcp(tcp) => tcp_branch(tcp, around, frame.checksum_pending),
            Layer::Opaque(opaque) => opaque_branch(opaque),
            Layer::Malformed(malformed) => Branch {
                summary: format!("Malformed: {malformed}"),
                fields: Vec::new(),
            },
        });
    }
    Tree { branches }
}

fn frame_branch(frame: &Frame) -> Branch {
    let (wire, kept) = (frame.original_len, frame.octets.len());
    Branch {
        summary: format!("Frame: {wire} octets on the wire, {kept} octets captured"),
        fields: vec![
            format!(
                "Link type: {} ({})",
                frame.link_type,
                frame.link_type.number()
            ),
            format!("Direction: {}", frame.direction),
        ],
    }
}

fn ethernet_branch(ethernet: &Ethernet) -> Branch {
    Branch {
        summary: format!(
            "Ethernet II, Src: {}, Dst: {}",
            ethernet.source, ethernet.destination
        ),
        fields: vec![type_field(ethernet.ether_type)],
    }
}

fn vlan_branch(vlan: &Vlan) -> Branch {
    Branch {
        summary: format!(
            "802.1Q Virtual LAN, PRI: {}, ID: {}",
            vlan.priority, vlan.id
        ),
        fields: vec![type_field(vlan.ether_type)],
    }
}

fn type_field(number: u16) -> String {
    let name = match number {
        ether_type::IPV4 => "IPv4",
        ether_type::ARP => "ARP",
        ether_type::VLAN => "802.1Q",
        ether_type::IPV6 => "IPv6",
        0..ether_type::MIN => return format!("Length: {number}"),
        _ => "Unknown",
    };
    format!("Type: {name} (0x{number:04x})")
}

fn arp_branch(arp: &Arp) -> Branch {
    let name = match arp.operation {
        1 => "request",
        2 => "reply",
        _ => "unknown",
    };
    Branch {
        summary: format!("Address Resolution Protocol ({name})"),
        fields: vec![
            format!("Opcode: {name} ({})", arp.operation),
            format!("Sender MAC address: {}", arp.sender_mac),
            format!("Sender IP address: {}", arp.sender),
            format!("Target MAC address: {}", arp.target_mac),
            format!("Target IP address: {}", arp.target),
        ],
    }
}

fn ipv4_branch(packet: &Ipv4View<'_>) -> Branch {
    let flags: Vec<_> = [
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
            ecn_name(packet.ecn())
        ),
        format!("Total Length: {}", packet.total_len()),
        format!("Identification: 0x{0:04x} ({0})", packet.identification()),
        format!("Flags: {flags}"),
        format!("Fragment Offset: {}", packet.fragment_offset().octets()),
        format!("Time to Live: {}", packet.ttl()),
        format!("Protocol: {}", protocol_name(packet.protocol())),
        // The layer would be malformed otherwise.
        format!("Header Checksum: 0x{:04x} [correct]", packet.checksum()),
        format!("Source Address: {}", packet.source()),
        format!("Destination Address: {}", packet.destination()),
    ];
    if !packet.options().is_empty() {
        fields.push(format!("Options: {} octets", packet.options().len()));
    }
    Branch {
        summary: format!(
            "Internet Protocol Version 4, Src: {}, Dst: {}",
            packet.source(),
            packet.destination()
        ),
        fields,
    }
}

fn ecn_name(ecn: Ecn) -> &'static str {
    match ecn {
        Ecn::NotEct => "Not-ECT",
        Ecn::Ect1 => "ECT(1)",
        Ecn::Ect0 => "ECT(0)",
        Ecn::Ce => "CE",
    }
}

fn protocol_name(number: u8) -> String {
    let name = match number {
        protocol::ICMP => "ICMP",
        protocol::IPIP => "IPIP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        41 => "IPv6",
        _ => return number.to_string(),
    };
    format!("{name} ({number})")
}

fn icmp_branch(icmp: &Icmp<'_>, around: Option<&Ipv4View<'_>>) -> Branch {
    let name = match icmp.kind {
        Icmp::ECHO_REPLY => " (Echo (ping) reply)",
        Icmp::UNREACHABLE => " (Destination unreachable)",
        Icmp::ECHO_REQUEST => " (Echo (ping) request)",
        Icmp::TIME_EXCEEDED => " (Time-to-live exceeded)",
        _ => "",
    };
    let sum = wire::sum(icmp.message);
    let mut fields = vec![
        format!("Type: {}{name}", icmp.kind),
        format!("Code: {}", icmp.code),
        checksum_field(icmp.checksum, whole(around).then_some(sum), false),
    ];
    match (icmp.kind, icmp.code) {
        (Icmp::ECHO_REPLY | Icmp::ECHO_REQUEST, _) => {
            fields.push(format!("Identifier: {}", icmp.identifier()));
            fields.push(format!("Sequence Number: {}", icmp.sequence()));
        }
        (Icmp::UNREACHABLE, 4) => {
            fields.push(format!("MTU of next hop: {}", icmp.next_hop_mtu()));
        }
        _ => {}
    }
    fields.push(data_field(icmp.data));
    Branch {
        summary: "Internet Control Message Protocol".to_owned(),
        fields,
    }
}

fn udp_branch(udp: &Udp<'_>, around: Option<&Ipv4View<'_>>, pending: bool) -> Branch {
    let checksum = if udp.checksum == 0 {
        "Checksum: 0x0000 [none]".to_owned()
    } else {
        checksum_field(udp.checksum, transport_sum(around), pending)
    };
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

fn tcp_branch(tcp: &Tcp<'_>, around: Option<&Ipv4View<'_>>, pending: bool) -> Branch {
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
            checksum_field(tcp.checksum, transport_sum(around), pending),
            format!("Options: {} octets", tcp.options.len()),
            data_field(tcp.data),
        ],
    }
}

/// Whether the packet holds the whole message, so that a checksum over it can be judged.
fn whole(around: Option<&Ipv4View<'_>>) -> bool {
    around.is_some_and(|packet| !packet.is_fragment())
}

/// The sum over pseudo header and payload, 0xffff if the checksum inside is right.
fn transport_sum(around: Option<&Ipv4View<'_>>) -> Option<u16> {
    let packet = around.filter(|packet| !packet.is_fragment())?;
    let (source, destination): (Ipv4Addr, Ipv4Addr) = (packet.source(), packet.destination());
    let len = u16::try_from(packet.payload().len()).ok()?;
    let pseudo = wire::pseudo_header_sum(source, destination, packet.protocol(), len);
    Some(wire::combine(pseudo, wire::sum(packet.payload())))
}

/// `sum` is over everything that the checksum covers, itself included; `None` if some is missing.
fn checksum_field(checksum: u16, sum: Option<u16>, pending: bool) -> String {
    let verdict = match sum {
        None => "unverified, a fragment",
        Some(0xffff) => "correct",
        Some(_) if pending => "unfinished, left to the receiving side's hardware",
        Some(_) => "incorrect",
    };
    format!("Checksum: 0x{checksum:04x} [{verdict}]")
}

fn data_field(data: &[u8]) -> String {
    format!("Data: {} octets", data.len())
}

fn opaque_branch(opaque: &Opaque<'_>) -> Branch {
    let what = match opaque.kind {
        OpaqueKind::Link(number) => format!("Link type {number}"),
        OpaqueKind::EtherType(ether_type::IPV6) => "Internet Protocol Version 6".to_owned(),
        OpaqueKind::EtherType(number @ ..ether_type::MIN) => {
            format!("IEEE 802.3 frame of length {number}")
        }
        OpaqueKind::EtherType(number) => format!("EtherType 0x{number:04x}"),
        OpaqueKind::Protocol(number) => format!("IP protocol {}", protocol_name(number)),
        OpaqueKind::Fragment(number) => {
            format!("Later fragment of {}", protocol_name(number))
        }
    };
    Branch {
        summary: what,
        fields: vec![data_field(opaque.octets)],
    }
}
