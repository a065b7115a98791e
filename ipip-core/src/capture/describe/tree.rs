//! One frame as a tree: a branch for each layer, in the words of Wireshark's packet details.

mod lower;
mod upper;

use std::fmt;

use super::link::ether_type;
use super::{Layer, Opaque, OpaqueKind, Verdict, verdicts};
use crate::capture::frame::Frame;
use upper::protocol_name;

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
    for (layer, verdict) in layers.iter().zip(verdicts(&layers)) {
        let pending = frame.checksum_pending;
        let checksum = |found| checksum_field(found, verdict, pending);
        branches.push(match layer {
            Layer::Ethernet(ethernet) => lower::ethernet(ethernet),
            Layer::Vlan(vlan) => lower::vlan(vlan),
            Layer::Sll(sll) => lower::sll(sll),
            Layer::Arp(arp) => lower::arp(arp),
            Layer::Ipv4(packet) => upper::ipv4(packet, &checksum(packet.checksum())),
            Layer::Ipv6(packet) => upper::ipv6(packet),
            Layer::Extension(extension) => upper::extension(extension),
            Layer::Icmp(icmp) => upper::icmp(icmp, checksum(icmp.checksum)),
            Layer::Udp(udp) => upper::udp(udp, checksum(udp.checksum)),
            Layer::Tcp(tcp) => upper::tcp(tcp, checksum(tcp.checksum)),
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

fn opaque_branch(opaque: &Opaque<'_>) -> Branch {
    let what = match opaque.kind {
        OpaqueKind::Link(number) => format!("Link type {number}"),
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

fn checksum_field(found: u16, verdict: Option<Verdict>, pending: bool) -> String {
    let verdict = match verdict {
        Some(Verdict::Correct) => "correct".to_owned(),
        Some(Verdict::Absent) => "none".to_owned(),
        Some(Verdict::Partial { .. } | Verdict::Incorrect { .. }) if pending => {
            "unfinished, left to hardware".to_owned()
        }
        Some(Verdict::Partial { .. }) => "incorrect, only the pseudo header is summed".to_owned(),
        Some(Verdict::Incorrect { computed }) => format!("incorrect, should be 0x{computed:04x}"),
        Some(Verdict::Unverified) | None => "unverified, octets are missing".to_owned(),
    };
    format!("Checksum: 0x{found:04x} [{verdict}]")
}

fn data_field(data: &[u8]) -> String {
    format!("Data: {} octets", data.len())
}
