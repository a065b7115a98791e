//! Frames explained: octets to layers, and layers to a line or a tree.
//!
//! [`layers`] takes a frame apart without fail: what cannot be read becomes a
//! [`Layer::Malformed`] that says why, and ends the list. [`line()`] prints the layers as
//! `tcpdump -n -S` does (with `-e` where there are MAC addresses), [`tree()`] as Wireshark's packet
//! details do, [`json()`] as an object of all fields. All show every IP layer, so an encapsulated packet has two.
//!
//! Checksums are judged ([`verdicts`]) but never demanded, and a packet may be cut short: a capture
//! also shows frames that are wrong, and those of which only the beginning was kept.

mod checksum;
mod ip;
mod json;
mod line;
mod link;
mod transport;
mod tree;

use std::fmt;

use super::frame::{Frame, LinkType};
use crate::wire::{self, WireError, protocol};
use ip::{ICMPV6, IPV6_IN_IP, NO_NEXT_HEADER, is_tunnel};

pub use checksum::{Verdict, verdicts};
pub use ip::{Extension, Ipv4, Ipv6};
pub use json::json;
pub use line::line;
pub use link::{Arp, Ethernet, Sll, Vlan, ether_type};
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
    /// An 802.1Q tag, or the outer one of two (QinQ).
    Vlan(Vlan),
    /// An ARP message for IPv4 over Ethernet.
    Arp(Arp),
    /// A Linux cooked header.
    Sll(Sll),
    /// An IPv4 header; [`verdicts`] says whether its checksum is right.
    Ipv4(Ipv4<'a>),
    /// An IPv6 header.
    Ipv6(Ipv6<'a>),
    /// An IPv6 extension header.
    Extension(Extension<'a>),
    /// An ICMP or ICMPv6 message.
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
/// // The first octets of an IPv6 header.
/// let layers = describe::layers(LinkType::RawIp, &[0x60, 0, 0, 0]);
/// let [describe::Layer::Malformed(malformed)] = layers[..] else { panic!() };
/// assert_eq!(malformed.to_string(), "IPv6 is truncated: found 4 octets, needs 40");
/// ```
#[must_use]
pub fn layers(link_type: LinkType, octets: &[u8]) -> Vec<Layer<'_>> {
    let mut layers = Vec::new();
    if octets.is_empty() {
        return layers;
    }
    let mut read = || match link_type {
        LinkType::Ethernet => {
            let (ethernet, rest) = Ethernet::read(octets)?;
            layers.push(Layer::Ethernet(ethernet));
            read_ether_type(ethernet.ether_type, rest, &mut layers)
        }
        LinkType::LinuxSll | LinkType::LinuxSll2 => {
            let (sll, rest) = match link_type {
                LinkType::LinuxSll => Sll::read(octets)?,
                _ => Sll::read_v2(octets)?,
            };
            layers.push(Layer::Sll(sll));
            read_ether_type(sll.ether_type, rest, &mut layers)
        }
        LinkType::RawIp => {
            let is_v6 = octets.first().is_some_and(|first| first >> 4 == 6);
            let number = if is_v6 { IPV6_IN_IP } else { protocol::IPIP };
            read_ip(number, octets, &mut layers)
        }
        LinkType::Other(number) => {
            layers.push(opaque(OpaqueKind::Link(number), octets));
            Ok(())
        }
    };
    if let Err(malformed) = read() {
        layers.push(Layer::Malformed(malformed));
    }
    layers
}

fn read_ether_type<'a>(
    kind: u16,
    octets: &'a [u8],
    layers: &mut Vec<Layer<'a>>,
) -> Result<(), Malformed> {
    let (mut kind, mut rest) = (kind, octets);
    while ether_type::is_vlan(kind) && layers.len() <= MAX_DEPTH {
        let (vlan, inside) = Vlan::read(rest)?;
        layers.push(Layer::Vlan(vlan));
        (kind, rest) = (vlan.ether_type, inside);
    }
    match kind {
        ether_type::IPV4 => read_ip(protocol::IPIP, rest, layers)?,
        ether_type::IPV6 => read_ip(IPV6_IN_IP, rest, layers)?,
        ether_type::ARP => match Arp::read(rest)? {
            Some(arp) => layers.push(Layer::Arp(arp)),
            None => layers.push(opaque(OpaqueKind::EtherType(kind), rest)),
        },
        _ => layers.push(opaque(OpaqueKind::EtherType(kind), rest)),
    }
    Ok(())
}

/// What an IP header, or the chain of headers after it, leads to.
struct Inside<'a> {
    protocol: u8,
    octets: &'a [u8],
    /// Octets of it that were not captured.
    missing: usize,
    /// Whether it is a later fragment, which begins anywhere.
    is_later: bool,
}

/// Reads the IP packet that `number` announces, and those inside it.
fn read_ip<'a>(number: u8, octets: &'a [u8], layers: &mut Vec<Layer<'a>>) -> Result<(), Malformed> {
    let (mut number, mut octets) = (number, octets);
    for _ in 0..MAX_DEPTH {
        let inside = match number {
            IPV6_IN_IP => read_ipv6(octets, layers)?,
            _ => read_ipv4(octets, layers)?,
        };
        (number, octets) = (inside.protocol, inside.octets);
        if inside.is_later {
            layers.push(opaque(OpaqueKind::Fragment(number), octets));
            return Ok(());
        }
        if !is_tunnel(number) {
            return read_transport(&inside, layers);
        }
    }
    layers.push(opaque(OpaqueKind::Protocol(number), octets));
    Ok(())
}

fn read_ipv4<'a>(octets: &'a [u8], layers: &mut Vec<Layer<'a>>) -> Result<Inside<'a>, Malformed> {
    // Only for the wording of errors: octet 9 is the protocol.
    let name = match octets.get(9) {
        Some(&protocol::IPIP) => wire::Layer::Outer,
        _ => wire::Layer::Inner,
    };
    let packet = Ipv4::read(octets, name)?;
    layers.push(Layer::Ipv4(packet));
    Ok(Inside {
        protocol: packet.protocol(),
        octets: packet.payload(),
        missing: packet.missing(),
        is_later: packet.fragment_offset().units() > 0,
    })
}

fn read_ipv6<'a>(octets: &'a [u8], layers: &mut Vec<Layer<'a>>) -> Result<Inside<'a>, Malformed> {
    let packet = Ipv6::read(octets)?;
    layers.push(Layer::Ipv6(packet));
    let mut inside = Inside {
        protocol: packet.next_header,
        octets: packet.payload,
        missing: packet.missing,
        is_later: false,
    };
    for _ in 0..MAX_DEPTH {
        if inside.is_later || !Extension::is(inside.protocol) {
            break;
        }
        let (extension, rest) = Extension::read(inside.protocol, inside.octets)?;
        layers.push(Layer::Extension(extension));
        inside.protocol = extension.next_header;
        inside.octets = rest;
        inside.is_later = extension.fragment().is_some_and(|(offset, _)| offset > 0);
    }
    Ok(inside)
}

fn read_transport<'a>(inside: &Inside<'a>, layers: &mut Vec<Layer<'a>>) -> Result<(), Malformed> {
    let Inside {
        octets, missing, ..
    } = *inside;
    layers.push(match inside.protocol {
        protocol::ICMP => Layer::Icmp(Icmp::read(octets, missing)?),
        ICMPV6 => Layer::Icmp(Icmp {
            is_v6: true,
            ..Icmp::read(octets, missing)?
        }),
        protocol::UDP => Layer::Udp(Udp::read(octets)?),
        protocol::TCP => Layer::Tcp(Tcp::read(octets, missing)?),
        NO_NEXT_HEADER if octets.is_empty() => return Ok(()),
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
