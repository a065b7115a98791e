//! Frames explained: octets to layers, and layers to a line or a tree.
//!
//! [`layers`] takes a frame apart without fail: what cannot be read becomes a
//! [`Layer::Malformed`] that says why, and ends the list. [`line()`] prints the layers as
//! `tcpdump -n -S` does (with `-e` where there are MAC addresses), [`tree()`] as Wireshark's packet
//! details do. Both show every IP layer, so an encapsulated packet has two.
//!
//! Checksums are judged but never demanded: a capture also shows frames that are wrong.

mod line;
mod link;
mod transport;
mod tree;

use std::fmt;

use super::frame::{Frame, LinkType};
use crate::wire::{self, Ipv4View, WireError, protocol};

pub use line::line;
pub use link::{Arp, Ethernet, Vlan, ether_type};
pub use transport::{Icmp, Tcp, TcpFlags, Udp};
pub use tree::{Branch, Tree, tree};

/// How many IP headers may follow each other before the rest is left unread: more than any real
/// nesting, so that no frame can make the list long.
pub const MAX_DEPTH: usize = 8;

/// One layer of a frame, the outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer<'a> {
    /// An Ethernet header.
    Ethernet(Ethernet),
    /// An 802.1Q tag.
    Vlan(Vlan),
    /// An ARP message for IPv4 over Ethernet.
    Arp(Arp),
    /// An IPv4 header whose checksum is right.
    Ipv4(Ipv4View<'a>),
    /// An ICMP message.
    Icmp(Icmp<'a>),
    /// A UDP header.
    Udp(Udp<'a>),
    /// A TCP header.
    Tcp(Tcp<'a>),
    /// Octets that are not read further.
    Opaque(Opaque<'a>),
    /// Octets that are not what the layer before says they are.
    Malformed(Malformed),
}

/// Octets that are not read further, named by the number that announces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opaque<'a> {
    /// What they are.
    pub kind: OpaqueKind,
    /// The octets.
    pub octets: &'a [u8],
}

/// What unread octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpaqueKind {
    /// A frame of this link type's number.
    Link(u32),
    /// The payload of this EtherType, or of an IEEE 802.3 frame below 0x0600.
    EtherType(u16),
    /// The payload of this IP protocol.
    Protocol(u8),
    /// A later fragment of a packet of this IP protocol: its transport header is in the first one.
    Fragment(u8),
}

/// Why a layer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// What should be there, such as "UDP".
    pub expected: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The octets end before the header does.
    Truncated {
        /// Octets needed.
        needed: usize,
        /// Octets found.
        found: usize,
    },
    /// A field of the header contradicts it.
    Header(&'static str),
    /// An IPv4 header that the codec refuses.
    Ipv4(WireError),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.expected;
        match self.fault {
            Fault::Truncated { needed, found } => write!(
                f,
                "{expected} is truncated: found {found} octets, needs {needed}"
            ),
            Fault::Header(reason) => write!(f, "{expected} {reason}"),
            Fault::Ipv4(error) => error.fmt(f),
        }
    }
}

/// The layers of a frame, outermost first; an empty frame has none.
///
/// ```
/// use ipip_core::capture::{LinkType, describe};
/// // A raw IP packet of version 6 is named and left unread.
/// let layers = describe::layers(LinkType::RawIp, &[0x60, 0, 0, 0]);
/// assert!(matches!(layers[..], [describe::Layer::Opaque(_)]));
/// ```
#[must_use]
pub fn layers(link_type: LinkType, octets: &[u8]) -> Vec<Layer<'_>> {
    let mut layers = Vec::new();
    if octets.is_empty() {
        return layers;
    }
    let outcome = match link_type {
        LinkType::Ethernet => read_ethernet(octets, &mut layers),
        LinkType::RawIp => match octets.first().map(|first| first >> 4) {
            Some(6) => {
                layers.push(opaque(OpaqueKind::EtherType(ether_type::IPV6), octets));
                Ok(())
            }
            _ => read_ipv4(octets, &mut layers),
        },
        other => {
            layers.push(opaque(OpaqueKind::Link(other.number()), octets));
            Ok(())
        }
    };
    if let Err(malformed) = outcome {
        layers.push(Layer::Malformed(malformed));
    }
    layers
}

fn read_ethernet<'a>(octets: &'a [u8], layers: &mut Vec<Layer<'a>>) -> Result<(), Malformed> {
    let (ethernet, mut rest) = Ethernet::read(octets)?;
    layers.push(Layer::Ethernet(ethernet));
    let mut kind = ethernet.ether_type;
    while kind == ether_type::VLAN && layers.len() <= MAX_DEPTH {
        let (vlan, inside) = Vlan::read(rest)?;
        layers.push(Layer::Vlan(vlan));
        (kind, rest) = (vlan.ether_type, inside);
    }
    match kind {
        ether_type::IPV4 => read_ipv4(rest, layers)?,
        ether_type::ARP => match Arp::read(rest)? {
            Some(arp) => layers.push(Layer::Arp(arp)),
            None => layers.push(opaque(OpaqueKind::EtherType(kind), rest)),
        },
        _ => layers.push(opaque(OpaqueKind::EtherType(kind), rest)),
    }
    Ok(())
}

fn read_ipv4<'a>(octets: &'a [u8], layers: &mut Vec<Layer<'a>>) -> Result<(), Malformed> {
    let mut octets = octets;
    for _ in 0..MAX_DEPTH {
        // Only for the wording of errors: octet 9 is the protocol.
        let name = match octets.get(9) {
            Some(&protocol::IPIP) => wire::Layer::Outer,
            _ => wire::Layer::Inner,
        };
        let packet = Ipv4View::parse(octets, name).map_err(|error| Malformed {
            expected: "IPv4",
            fault: Fault::Ipv4(error),
        })?;
        layers.push(Layer::Ipv4(packet));
        if packet.fragment_offset().units() > 0 {
            let kind = OpaqueKind::Fragment(packet.protocol());
            layers.push(opaque(kind, packet.payload()));
            return Ok(());
        }
        // The first fragment of a tunnel packet holds an inner header, but not the inner packet.
        if packet.protocol() != protocol::IPIP || packet.is_fragment() {
            return read_transport(packet, layers);
        }
        octets = packet.payload();
    }
    layers.push(opaque(OpaqueKind::Protocol(protocol::IPIP), octets));
    Ok(())
}

fn read_transport<'a>(packet: Ipv4View<'a>, layers: &mut Vec<Layer<'a>>) -> Result<(), Malformed> {
    let octets = packet.payload();
    layers.push(match packet.protocol() {
        protocol::ICMP => Layer::Icmp(Icmp::read(octets)?),
        protocol::UDP => Layer::Udp(Udp::read(octets)?),
        protocol::TCP => Layer::Tcp(Tcp::read(octets)?),
        other => opaque(OpaqueKind::Protocol(other), octets),
    });
    Ok(())
}

fn opaque(kind: OpaqueKind, octets: &[u8]) -> Layer<'_> {
    Layer::Opaque(Opaque { kind, octets })
}

impl Frame {
    /// Its layers, outermost first; see [`layers`].
    #[must_use]
    pub fn layers(&self) -> Vec<Layer<'_>> {
        layers(self.link_type, &self.octets)
    }
}
