//! IP headers as they were captured: cut short, with a wrong checksum, and all the same readable.
//!
//! [`crate::wire::Ipv4View`] is a proof and refuses such headers; a capture has to show them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::link::split;
use super::{Fault, Malformed};
use crate::wire::{self, Dscp, Ecn, FragmentOffset, WireError, protocol};

/// An IPv4 header (RFC 791) and as much of its payload as was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; wire::HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
    packet: &'a [u8],
    missing: usize,
}

impl<'a> Ipv4<'a> {
    /// Refuses only what has no readable header: fewer than 20 octets, another version, or lengths
    /// that contradict each other.
    pub(super) fn read(octets: &'a [u8], layer: wire::Layer) -> Result<Self, Malformed> {
        let refused = |error| Malformed {
            expected: "IPv4",
            fault: Fault::Ipv4(error),
        };
        let found = octets.len();
        let needed = wire::HEADER_LEN;
        let fixed: &[u8; wire::HEADER_LEN] =
            octets.first_chunk().ok_or(refused(WireError::Truncated {
                layer,
                needed,
                found,
            }))?;
        let (version, words) = (fixed[0] >> 4, fixed[0] & 0x0f);
        if version != 4 {
            let found = version;
            return Err(refused(WireError::Version { layer, found }));
        }
        if words < 5 {
            return Err(refused(WireError::HeaderLen { layer, words }));
        }
        let (header_len, total_len) = (words * 4, u16::from_be_bytes([fixed[2], fixed[3]]));
        if total_len < u16::from(header_len) {
            let found = total_len;
            return Err(refused(WireError::TotalLen {
                layer,
                found,
                header_len,
            }));
        }
        let total_len = usize::from(total_len);
        let packet = octets.get(..total_len).unwrap_or(octets);
        let cut = usize::from(header_len).min(packet.len());
        Ok(Self {
            fixed,
            options: packet.get(wire::HEADER_LEN..cut).unwrap_or_default(),
            payload: packet.get(cut..).unwrap_or_default(),
            packet,
            missing: total_len - packet.len(),
        })
    }

    /// Length of the header with its options, in octets, 20 to 60.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(self.fixed[0] & 0x0f) * 4
    }

    /// Length of the packet by its header, in octets.
    #[must_use]
    pub fn total_len(&self) -> u16 {
        self.half(2)
    }

    /// Octets of the packet that were not captured, or that a first fragment leaves to later ones.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// The whole TOS octet: [`Self::dscp`] and [`Self::ecn`].
    #[must_use]
    pub fn tos(&self) -> u8 {
        self.fixed[1]
    }

    /// The upper 6 bits of the TOS octet.
    #[must_use]
    pub fn dscp(&self) -> Dscp {
        Dscp::of_tos(self.tos())
    }

    /// The lower 2 bits of the TOS octet.
    #[must_use]
    pub fn ecn(&self) -> Ecn {
        Ecn::of_tos(self.tos())
    }

    /// What fragments of one packet share.
    #[must_use]
    pub fn identification(&self) -> u16 {
        self.half(4)
    }

    /// Whether the reserved flag is set, which nobody should.
    #[must_use]
    pub fn reserved_flag(&self) -> bool {
        self.fixed[6] & 0x80 != 0
    }

    /// Whether DF is set: routers may not fragment the packet.
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.fixed[6] & 0x40 != 0
    }

    /// Whether MF is set: another fragment follows.
    #[must_use]
    pub fn more_fragments(&self) -> bool {
        self.fixed[6] & 0x20 != 0
    }

    /// Where this fragment belongs; 0 in a whole packet.
    #[must_use]
    pub fn fragment_offset(&self) -> FragmentOffset {
        // 13 bits: always in range.
        FragmentOffset::try_new(self.half(6) & FragmentOffset::MAX).unwrap_or_default()
    }

    /// Whether the packet is a part of another: an offset, or more to follow.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset().units() > 0
    }

    /// Hops left, 0 to 255.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// What the payload is, see [`wire::protocol`].
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.fixed[9]
    }

    /// The header checksum as found.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        self.half(10)
    }

    /// What the header checksum should be; `None` if options are missing.
    #[must_use]
    pub fn computed_checksum(&self) -> Option<u16> {
        let header = self.packet.get(..self.header_len())?;
        // Without the field itself: a word's complement takes it out of a sum (RFC 1624 section 3).
        Some(!wire::combine(wire::sum(header), !self.checksum()))
    }

    /// Whether the header checksum is right; `None` if options are missing.
    #[must_use]
    pub fn is_checksum_right(&self) -> Option<bool> {
        let header = self.packet.get(..self.header_len())?;
        Some(wire::sum(header) == 0xffff)
    }

    /// Where the packet comes from.
    #[must_use]
    pub fn source(&self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Where the packet goes.
    #[must_use]
    pub fn destination(&self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// The options with their padding, as far as captured, unread.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        self.options
    }

    /// What follows the header, up to the total length and as far as captured.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The packet from its first header octet, up to the total length and as far as captured.
    #[must_use]
    pub fn packet(&self) -> &'a [u8] {
        self.packet
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.fixed[at], self.fixed[at + 1]])
    }
}

/// An IPv6 header (RFC 8200) and as much of its payload as was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6<'a> {
    /// The whole octet of DSCP and ECN.
    pub traffic_class: u8,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// Octets after this header, by its account.
    pub payload_len: u16,
    /// What follows: an extension header or a protocol.
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Where the packet comes from.
    pub source: Ipv6Addr,
    /// Where the packet goes.
    pub destination: Ipv6Addr,
    /// What follows this header, as far as captured.
    pub payload: &'a [u8],
    /// Octets of the payload that were not captured.
    pub missing: usize,
}

impl<'a> Ipv6<'a> {
    pub(super) fn read(octets: &'a [u8]) -> Result<Self, Malformed> {
        // 40: RFC 8200 section 3.
        let (header, rest) = split::<40>(octets, "IPv6")?;
        let (&[a, b, c, d, l0, l1, next_header, hop_limit], addresses) =
            split::<8>(header, "IPv6")?;
        if a >> 4 != 6 {
            return Err(Malformed {
                expected: "IPv6",
                fault: Fault::Header("has another version than 6"),
            });
        }
        let (source, destination) = split::<16>(addresses, "IPv6")?;
        let (destination, _) = split::<16>(destination, "IPv6")?;
        let payload_len = u16::from_be_bytes([l0, l1]);
        let payload = rest.get(..payload_len.into()).unwrap_or(rest);
        Ok(Self {
            traffic_class: a << 4 | b >> 4,
            flow_label: u32::from_be_bytes([0, b & 0x0f, c, d]),
            payload_len,
            next_header,
            hop_limit,
            source: Ipv6Addr::from(*source),
            destination: Ipv6Addr::from(*destination),
            payload,
            missing: usize::from(payload_len) - payload.len(),
        })
    }
}

/// An IPv6 extension header (RFC 8200 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its own number: 0 hop-by-hop options, 43 routing, 44 fragment, 60 destination options.
    pub kind: u8,
    /// What follows it.
    pub next_header: u8,
    /// The whole header.
    pub octets: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// A routing header.
    pub const ROUTING: u8 = 43;
    /// A fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Destination options.
    pub const DESTINATION: u8 = 60;

    /// Whether a header of that number has this form.
    pub(super) fn is(kind: u8) -> bool {
        matches!(
            kind,
            Self::HOP_BY_HOP | Self::ROUTING | Self::FRAGMENT | Self::DESTINATION
        )
    }

    /// The header of that kind at the start of `octets`, and what follows it.
    pub(super) fn read(kind: u8, octets: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let expected = "IPv6 extension header";
        let (&[next_header, units, ..], _) = split::<8>(octets, expected)?;
        // The length counts units of 8 octets beyond the first; a fragment header has no length.
        let needed = match kind {
            Self::FRAGMENT => 8,
            _ => 8 + usize::from(units) * 8,
        };
        let (octets, rest) = octets.split_at_checked(needed).ok_or(Malformed {
            expected,
            fault: Fault::Truncated {
                needed,
                found: octets.len(),
            },
        })?;
        let extension = Self {
            kind,
            next_header,
            octets,
        };
        Ok((extension, rest))
    }

    /// Offset in octets and "more fragments" of a fragment header.
    #[must_use]
    pub fn fragment(&self) -> Option<(u16, bool)> {
        match self.octets {
            [_, _, high, low, ..] if self.kind == Self::FRAGMENT => {
                Some((u16::from_be_bytes([*high, low & 0xf8]), low & 1 != 0))
            }
            _ => None,
        }
    }
}

/// The IP header around a transport header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around<'a> {
    V4(Ipv4<'a>),
    /// The header, and whether a fragment header follows it.
    V6(Ipv6<'a>, bool),
}

impl Around<'_> {
    /// Whether all of the payload is here.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::V4(packet) => !packet.is_fragment() && packet.missing() == 0,
            Self::V6(packet, fragment) => !fragment && packet.missing == 0,
        }
    }

    /// The sum of the pseudo header in front of `len` octets (RFC 9293 section 3.1, RFC 8200 8.1).
    pub(super) fn pseudo_header_sum(&self, protocol: u8, len: u16) -> u16 {
        match self {
            Self::V4(packet) => {
                wire::pseudo_header_sum(packet.source(), packet.destination(), protocol, len)
            }
            Self::V6(packet, _) => {
                let source = wire::sum(&packet.source.octets());
                let addresses = wire::combine(source, wire::sum(&packet.destination.octets()));
                wire::combine(wire::combine(addresses, protocol.into()), len)
            }
        }
    }
}

/// Whether a payload of that protocol is an IP packet.
pub(super) fn is_tunnel(number: u8) -> bool {
    matches!(number, protocol::IPIP | IPV6_IN_IP)
}

/// IPv6 encapsulated: 6in4 (RFC 4213), or 6in6.
pub(super) const IPV6_IN_IP: u8 = 41;

/// No header follows (RFC 8200 section 4.7).
pub(super) const NO_NEXT_HEADER: u8 = 59;

/// ICMP for IPv6 (RFC 4443).
pub(super) const ICMPV6: u8 = 58;
