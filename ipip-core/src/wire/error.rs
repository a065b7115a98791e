//! What can be wrong with octets or with the numbers to be written into them.

use core::fmt;
use core::net::Ipv4Addr;

use crate::addr::NodeAddr;

/// Which packet an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The packet between nodes, the one on the underlay.
    Outer,
    /// The packet that a tunnel carries, or that a workload sends and receives as it is.
    Inner,
    /// An ICMP message.
    Icmp,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outer => "outer IPv4 packet",
            Self::Inner => "inner IPv4 packet",
            Self::Icmp => "ICMP message",
        })
    }
}

/// Why octets are not what they should be, or why they cannot be written.
///
/// Each variant carries the numbers found; the message adds what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The buffer ends before the packet does.
    #[error("{layer} is truncated: found {found} octets, needs {needed}")]
    Truncated {
        /// The packet that is cut short.
        layer: Layer,
        /// Octets needed: the fixed header, or the header's own total length once that is readable.
        needed: usize,
        /// Octets found.
        found: usize,
    },
    /// The version field is not 4.
    #[error("{layer} has version {found}, allowed is 4")]
    Version {
        /// The packet concerned.
        layer: Layer,
        /// The version found, 0 to 15.
        found: u8,
    },
    /// The header length (IHL) is shorter than the fixed header.
    #[error("{layer} has a header length of {words} words, allowed are 5 to 15")]
    HeaderLen {
        /// The packet concerned.
        layer: Layer,
        /// The header length found, in words of 4 octets, 0 to 4.
        words: u8,
    },
    /// The total length is shorter than the header that states it.
    #[error("{layer} has a total length of {found} octets, allowed are {header_len} to 65535")]
    TotalLen {
        /// The packet concerned.
        layer: Layer,
        /// The total length found, in octets.
        found: u16,
        /// The header length that the same header states, in octets.
        header_len: u8,
    },
    /// The checksum does not match what it covers.
    #[error("{layer} has checksum {found:#06x}, computed is {computed:#06x}")]
    Checksum {
        /// The packet whose header, or the message that, the checksum covers.
        layer: Layer,
        /// The checksum found in the field.
        found: u16,
        /// The checksum that the other octets give.
        computed: u16,
    },
    /// The outer packet does not carry IPv4.
    #[error("outer IPv4 packet carries protocol {found}, allowed is 4 (IPv4 in IPv4)")]
    Protocol {
        /// The protocol number found.
        found: u8,
    },
    /// The outer packet is a fragment; what it carries can be read after reassembly only.
    #[error(
        "outer IPv4 packet is a fragment (offset {offset} octets, more fragments: {more_fragments}), \
         allowed is a whole packet (offset 0 octets, more fragments: false)"
    )]
    OuterFragment {
        /// Where the fragment belongs, in octets, 0 to 65,528.
        offset: u16,
        /// Whether another fragment follows.
        more_fragments: bool,
    },
    /// The packet to be carried has no time left: it is neither encapsulated nor delivered
    /// (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>).
    #[error("inner IPv4 packet has TTL 0, allowed are 1 to 255")]
    TtlZero,
    /// There is no room in front of the inner packet for the outer header.
    #[error("headroom is {found} octets, needs {needed}")]
    Headroom {
        /// Octets needed.
        needed: usize,
        /// Octets found.
        found: usize,
    },
    /// The buffer to write into is shorter than the header.
    #[error("buffer is {found} octets, needs {needed}")]
    Buffer {
        /// Octets needed.
        needed: usize,
        /// Octets found.
        found: usize,
    },
    /// The packet would be longer than IPv4 can state.
    #[error("packet would be {found} octets, allowed are at most {max}")]
    PacketTooLong {
        /// The length it would have, in octets.
        found: usize,
        /// The largest possible, in octets.
        max: usize,
    },
    /// The ICMP message is neither echo request nor echo reply.
    #[error("ICMP message has type {found} code {code}, allowed are type 8 or 0 with code 0")]
    IcmpType {
        /// The type found.
        found: u8,
        /// The code found.
        code: u8,
    },
    /// The packet to be forwarded has no time left for another hop; it is discarded, and its sender told
    /// (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>).
    #[error("inner IPv4 packet has TTL {found}, allowed are 2 to 255 to be forwarded")]
    TtlExpired {
        /// The TTL found, 0 or 1.
        found: u8,
    },
    /// The outer packet met congestion and the inner one can tell of it only by being dropped
    /// (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>).
    #[error("outer IPv4 packet has ECN CE, allowed around an inner packet without ECN is Not-ECT")]
    EcnDrop,
    /// The ICMP message does not report an error.
    #[error("ICMP message has type {found}, allowed are 3, 4, 5, 11 and 12")]
    IcmpNotError {
        /// The type found.
        found: u8,
    },
    /// A differentiated services code point does not fit its 6 bits.
    #[error("DSCP {found} is outside 0 to 63")]
    Dscp {
        /// The value found.
        found: u8,
    },
    /// A fragment offset does not fit its 13 bits.
    #[error("fragment offset {found} is outside 0 to 8191 units of 8 octets")]
    FragmentOffset {
        /// The value found, in units of 8 octets.
        found: u16,
    },
}

impl WireError {
    /// The error's number, the same in every version and language; batches state it for each packet.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Truncated { .. } => 200,
            Self::Version { .. } => 201,
            Self::HeaderLen { .. } => 202,
            Self::TotalLen { .. } => 203,
            Self::Checksum { .. } => 204,
            Self::Protocol { .. } => 205,
            Self::OuterFragment { .. } => 206,
            Self::TtlZero => 207,
            Self::Headroom { .. } => 208,
            Self::Buffer { .. } => 209,
            Self::PacketTooLong { .. } => 210,
            Self::IcmpType { .. } => 211,
            Self::Dscp { .. } => 212,
            Self::FragmentOffset { .. } => 213,
            Self::TtlExpired { .. } => 214,
            Self::EcnDrop => 215,
            Self::IcmpNotError { .. } => 216,
        }
    }
}

impl FragmentError {
    /// The error's number, the same in every version and language.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::DontFragment { .. } => 217,
            Self::FragmentEnd { .. } => 218,
            Self::Options { .. } => 219,
        }
    }
}

impl LoopError {
    /// The error's number, the same in every version and language.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::SameEndpoints { .. } => 220,
            Self::OwnSource { .. } => 221,
            Self::ExitSource { .. } => 222,
            Self::ExitDestination { .. } => 223,
            Self::TunnelDepth { .. } => 224,
        }
    }
}

impl RelayError {
    /// The error's number, the same in every version and language.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Quoted { .. } => 225,
            Self::QuotedProtocol { .. } => 226,
            Self::QuotedEndpoints { .. } => 227,
            Self::QuotedFragment { .. } => 228,
        }
    }
}

/// Why a batch was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// An output has too few places.
    #[error("output has places for {found} packets, needs {needed}")]
    Output {
        /// How many packets there are.
        needed: usize,
        /// How many places there are.
        found: usize,
    },
}

/// Why a tunnel must not carry a packet: it would come back, or is likely to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoopError {
    /// Both ends of the tunnel are one node.
    #[error("tunnel leads from {found} to itself, allowed are two different nodes")]
    SameEndpoints {
        /// The address at both ends.
        found: NodeAddr,
    },
    /// A forwarded packet that claims to be from this node.
    #[error("inner source {found} is an address of this node, allowed are others")]
    OwnSource {
        /// The inner source.
        found: Ipv4Addr,
    },
    /// The packet comes from where the tunnel leads to.
    #[error("inner source {found} is the tunnel's exit, allowed are others")]
    ExitSource {
        /// The inner source.
        found: NodeAddr,
    },
    /// The way to the tunnel's exit leads through the tunnel.
    #[error("inner destination {found} is the tunnel's exit, allowed are others")]
    ExitDestination {
        /// The inner destination.
        found: NodeAddr,
    },
    /// The packet is inside too many tunnels already.
    #[error(
        "inner packet is inside other tunnels, allowed {} {max} {} at once, this one included",
        if *max == 1 { "is" } else { "are" }, if *max == 1 { "tunnel" } else { "tunnels" }
    )]
    TunnelDepth {
        /// How many tunnels at most.
        max: u8,
    },
}

/// Why a packet cannot be cut into fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// The packet is too long and must stay whole: its sender is to be told that fragmentation is needed.
    #[error("packet is {found} octets and has DF set, allowed are at most {mtu}")]
    DontFragment {
        /// The packet's length, in octets.
        found: u16,
        /// The longest that may be, in octets.
        mtu: usize,
    },
    /// The packet is a fragment itself and reaches beyond the longest packet.
    #[error("fragment ends at octet {found} of its packet's payload, allowed are at most 65515")]
    FragmentEnd {
        /// Where it ends, in octets.
        found: usize,
    },
    /// An option's length is not possible, so those after it cannot be found.
    #[error("option at octet {at} of the header has a length outside 2 to what is left")]
    Options {
        /// Where the option stands, in octets from the start of the header.
        at: usize,
    },
}

/// Why an ICMP error is not about a tunnel's packet: whoever sent it saw another's, or made it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The quoted outer header cannot be read.
    #[error("quoted packet cannot be read")]
    Quoted {
        /// Why not.
        source: WireError,
    },
    /// The quoted packet does not carry IPv4.
    #[error("quoted packet carries protocol {found}, allowed is 4 (IPv4 in IPv4)")]
    QuotedProtocol {
        /// The protocol number found.
        found: u8,
    },
    /// The quoted packet went another way.
    #[error("quoted packet is from {from} to {to}, allowed are this tunnel's ends")]
    QuotedEndpoints {
        /// The source found.
        from: Ipv4Addr,
        /// The destination found.
        to: Ipv4Addr,
    },
    /// The quoted packet is a fragment, and not the first.
    #[error("quoted packet is a fragment at {offset} octets, allowed is 0")]
    QuotedFragment {
        /// Where the fragment belongs, in octets.
        offset: u16,
    },
}
