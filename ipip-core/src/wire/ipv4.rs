//! One IPv4 header: [`Ipv4View`] reads a checked one, [`Ipv4Header`] writes one
//! (<https://www.rfc-editor.org/rfc/rfc791#section-3.1>).

use core::fmt;
use core::net::Ipv4Addr;

use byteorder::{BigEndian, ByteOrder};

use super::checksum::{add, combine, fold, sum};
use super::error::{Layer, WireError};
use super::tos::{Dscp, Ecn};

/// Length of a header without options, in octets: 5 words of 4.
pub const HEADER_LEN: usize = 20;

/// The longest packet, in octets: what the 16-bit total length can state.
pub const MAX_PACKET_LEN: usize = 65_535;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;

/// The protocol numbers that this crate tells apart (IANA, Assigned Internet Protocol Numbers).
pub mod protocol {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// IPv4 in IPv4, RFC 2003.
    pub const IPIP: u8 = 4;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
}

/// Where a fragment belongs in its packet, in units of 8 octets, 0 to 8191.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FragmentOffset(u16);

impl FragmentOffset {
    /// The largest offset: 13 bits.
    pub const MAX: u16 = 0x1fff;

    /// The offset of `units` times 8 octets.
    ///
    /// # Errors
    /// [`WireError::FragmentOffset`] above 8191.
    pub const fn try_new(units: u16) -> Result<Self, WireError> {
        if units > Self::MAX {
            return Err(WireError::FragmentOffset { found: units });
        }
        Ok(Self(units))
    }

    /// The offset in units of 8 octets, as the header states it.
    #[must_use]
    pub const fn units(self) -> u16 {
        self.0
    }

    /// The offset in octets, 0 to 65,528.
    #[must_use]
    pub const fn octets(self) -> u16 {
        self.0 * 8
    }
}

/// A packet whose header passed every check, borrowed; cut at its total length.
///
/// Not checked, because each is valid on a path of its own: TTL, TOS, protocol, the reserved flag,
/// addresses, the inside of options, and whether it is a fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ipv4View<'a> {
    header: &'a [u8; HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
    packet: &'a [u8],
}

impl<'a> Ipv4View<'a> {
    /// Checks the packet at the start of `buffer`; octets after its total length are padding.
    ///
    /// `layer` is what errors call it.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::Version`], [`WireError::TotalLen`],
    /// [`WireError::HeaderLen`] or [`WireError::Checksum`], looked for in this order.
    // Inlined by force, here and in `ipip`: returned through memory, the view costs more than its checks.
    #[inline(always)]
    pub fn parse(buffer: &'a [u8], layer: Layer) -> Result<Self, WireError> {
        let truncated = |needed| WireError::Truncated {
            layer,
            needed,
            found: buffer.len(),
        };
        let fixed: &[u8; HEADER_LEN] = buffer.first_chunk().ok_or(truncated(HEADER_LEN))?;
        let (version, words) = (fixed[0] >> 4, fixed[0] & 0x0f);
        if version != 4 {
            return Err(WireError::Version {
                layer,
                found: version,
            });
        }
        let (header_len, total_len) = (words * 4, BigEndian::read_u16(&fixed[2..4]));
        // Each split is the check: what it cannot cut off is missing.
        let Some((packet, _padding)) = buffer.split_at_checked(total_len.into()) else {
            return Err(truncated(total_len.into()));
        };
        let Some((header, payload)) = packet.split_at_checked(header_len.into()) else {
            return Err(WireError::TotalLen {
                layer,
                found: total_len,
                header_len,
            });
        };
        let Some((header, options)) = header.split_first_chunk() else {
            return Err(WireError::HeaderLen { layer, words });
        };
        let mut sum = Words::load(header).sum();
        if !options.is_empty() {
            sum = add_options(sum, options);
        }
        if sum != 0xffff {
            let found = BigEndian::read_u16(&fixed[10..12]);
            // Taking a word out of a sum is adding its complement (RFC 1624 section 3).
            let computed = !combine(sum, !found);
            return Err(WireError::Checksum {
                layer,
                found,
                computed,
            });
        }
        Ok(Self {
            header,
            options,
            payload,
            packet,
        })
    }

    /// Length of the header with its options, in octets, 20 to 60.
    #[must_use]
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[0] & 0x0f) * 4
    }

    /// Length of the packet, in octets, header included.
    #[must_use]
    #[inline]
    pub fn total_len(&self) -> u16 {
        BigEndian::read_u16(&self.header[2..4])
    }

    /// The whole TOS octet: [`Self::dscp`] and [`Self::ecn`].
    #[must_use]
    #[inline]
    pub fn tos(&self) -> u8 {
        self.header[1]
    }

    /// The upper 6 bits of the TOS octet.
    #[must_use]
    #[inline]
    pub fn dscp(&self) -> Dscp {
        Dscp::of_tos(self.tos())
    }

    /// The lower 2 bits of the TOS octet.
    #[must_use]
    #[inline]
    pub fn ecn(&self) -> Ecn {
        Ecn::of_tos(self.tos())
    }

    /// The identification that fragments of one packet share; without meaning in a packet that is
    /// no fragment and has DF set (<https://www.rfc-editor.org/rfc/rfc6864#section-4>).
    #[must_use]
    #[inline]
    pub fn identification(&self) -> u16 {
        BigEndian::read_u16(&self.header[4..6])
    }

    /// Whether DF is set: routers may not fragment the packet.
    #[must_use]
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.fragment_field() & DONT_FRAGMENT != 0
    }

    /// Whether MF is set: another fragment follows.
    #[must_use]
    #[inline]
    pub fn more_fragments(&self) -> bool {
        self.fragment_field() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment belongs; 0 in a whole packet.
    #[must_use]
    #[inline]
    pub fn fragment_offset(&self) -> FragmentOffset {
        FragmentOffset(self.fragment_field() & FragmentOffset::MAX)
    }

    /// Whether the packet is a part of another: an offset, or more to follow.
    #[must_use]
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.fragment_field() & (MORE_FRAGMENTS | FragmentOffset::MAX) != 0
    }

    /// Hops left, 0 to 255.
    #[must_use]
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// What the payload is, see [`protocol`].
    #[must_use]
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// The header checksum as found, which is right.
    #[must_use]
    #[inline]
    pub fn checksum(&self) -> u16 {
        BigEndian::read_u16(&self.header[10..12])
    }

    /// Where the packet comes from.
    #[must_use]
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(BigEndian::read_u32(&self.header[12..16]))
    }

    /// Where the packet goes.
    #[must_use]
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(BigEndian::read_u32(&self.header[16..20]))
    }

    /// The options with their padding, 0 to 40 octets, unread.
    #[must_use]
    #[inline]
    pub fn options(&self) -> &'a [u8] {
        self.options
    }

    /// What follows the header, up to the total length.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The packet from its first header octet to its total length.
    #[must_use]
    #[inline]
    pub fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The fields as a plain value; options and the reserved flag are not part of it.
    #[must_use]
    pub fn header(&self) -> Ipv4Header {
        Ipv4Header {
            dscp: self.dscp(),
            ecn: self.ecn(),
            identification: self.identification(),
            dont_fragment: self.dont_fragment(),
            more_fragments: self.more_fragments(),
            fragment_offset: self.fragment_offset(),
            ttl: self.ttl(),
            protocol: self.protocol(),
            source: self.source(),
            destination: self.destination(),
        }
    }

    /// Flags and fragment offset, one 16-bit field.
    #[inline]
    fn fragment_field(&self) -> u16 {
        BigEndian::read_u16(&self.header[6..8])
    }
}

impl fmt::Debug for Ipv4View<'_> {
    /// The fields, not the payload's octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ipv4View")
            .field("header", &self.header())
            .field("options", &self.options)
            .field("total_len", &self.total_len())
            .finish()
    }
}

/// The fixed header in three registers, in network order: summed there, loaded and stored once.
///
/// Storing octets one by one and loading them again as words for the sum stalls the processor, and
/// costs three times as much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words(u64, u64, u32);

impl Words {
    #[inline]
    fn load(header: &[u8; HEADER_LEN]) -> Self {
        Self(
            BigEndian::read_u64(&header[0..8]),
            BigEndian::read_u64(&header[8..16]),
            BigEndian::read_u32(&header[16..20]),
        )
    }

    #[inline]
    fn sum(self) -> u16 {
        fold(add(add(self.0, self.1), self.2.into()))
    }

    /// Fills the checksum field, which is zero.
    #[inline]
    fn with_checksum(self) -> Self {
        Self(self.0, self.1 | u64::from(!self.sum()) << 32, self.2)
    }

    #[inline]
    pub(super) fn store(self, header: &mut [u8; HEADER_LEN]) {
        BigEndian::write_u64(&mut header[0..8], self.0);
        BigEndian::write_u64(&mut header[8..16], self.1);
        BigEndian::write_u32(&mut header[16..20], self.2);
    }
}

/// Apart, so that the loop over options is not laid out among the code of headers without any.
#[cold]
fn add_options(fixed: u16, options: &[u8]) -> u16 {
    combine(fixed, sum(options))
}

/// The fields of a header without options, to be written.
///
/// ```
/// use ipip_core::wire::{Ipv4Header, Ipv4View, Layer, protocol};
/// let mut packet = [0; 28]; // 20 octets of header, 8 of payload
/// let header = Ipv4Header {
///     protocol: protocol::ICMP,
///     source: [10, 244, 79, 20].into(),
///     destination: [10, 244, 244, 73].into(),
///     ..Ipv4Header::default()
/// };
/// header.emit(&mut packet)?;
/// assert_eq!(Ipv4View::parse(&packet, Layer::Inner)?.header(), header);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Header {
    /// The upper 6 bits of the TOS octet.
    pub dscp: Dscp,
    /// The lower 2 bits of the TOS octet.
    pub ecn: Ecn,
    /// What fragments of one packet share.
    pub identification: u16,
    /// DF: routers may not fragment the packet.
    pub dont_fragment: bool,
    /// MF: another fragment follows.
    pub more_fragments: bool,
    /// Where this fragment belongs.
    pub fragment_offset: FragmentOffset,
    /// Hops left, 0 to 255.
    pub ttl: u8,
    /// What the payload is, see [`protocol`].
    pub protocol: u8,
    /// Where the packet comes from.
    pub source: Ipv4Addr,
    /// Where the packet goes.
    pub destination: Ipv4Addr,
}

impl Default for Ipv4Header {
    /// TTL 64 (the default that RFC 1700 recommends), addresses 0.0.0.0, all else zero.
    fn default() -> Self {
        Self {
            dscp: Dscp::default(),
            ecn: Ecn::NotEct,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: FragmentOffset(0),
            ttl: 64,
            protocol: 0,
            source: Ipv4Addr::UNSPECIFIED,
            destination: Ipv4Addr::UNSPECIFIED,
        }
    }
}

impl Ipv4Header {
    /// Writes the header into the first 20 octets of `packet`, whose length becomes the total length.
    ///
    /// # Errors
    /// [`WireError::Buffer`] below 20 octets, [`WireError::PacketTooLong`] above 65,535; nothing is
    /// written then.
    pub fn emit(&self, packet: &mut [u8]) -> Result<(), WireError> {
        let found = packet.len();
        let Some((header, payload)) = packet.split_first_chunk_mut() else {
            return Err(WireError::Buffer {
                needed: HEADER_LEN,
                found,
            });
        };
        self.words(payload.len())?.store(header);
        Ok(())
    }

    /// The header in front of `payload_len` octets that lie elsewhere.
    ///
    /// # Errors
    /// [`WireError::PacketTooLong`] if the two together exceed 65,535 octets.
    #[inline]
    pub fn to_octets(self, payload_len: usize) -> Result<[u8; HEADER_LEN], WireError> {
        let mut octets = [0; HEADER_LEN];
        self.words(payload_len)?.store(&mut octets);
        Ok(octets)
    }

    #[inline]
    pub(super) fn words(&self, payload_len: usize) -> Result<Words, WireError> {
        let found = payload_len.saturating_add(HEADER_LEN);
        let total_len = u16::try_from(found).map_err(|_| WireError::PacketTooLong {
            found,
            max: MAX_PACKET_LEN,
        })?;
        let flags = if self.dont_fragment { DONT_FRAGMENT } else { 0 }
            | if self.more_fragments {
                MORE_FRAGMENTS
            } else {
                0
            };
        let a = 0x4500_0000_0000_0000
            | u64::from(self.dscp.with_ecn(self.ecn)) << 48
            | u64::from(total_len) << 32
            | u64::from(self.identification) << 16
            | u64::from(flags | self.fragment_offset.0);
        let b = u64::from(self.ttl) << 56
            | u64::from(self.protocol) << 48
            | u64::from(self.source.to_bits());
        Ok(Words(a, b, self.destination.to_bits()).with_checksum())
    }
}

#[cfg(test)]
mod tests;
