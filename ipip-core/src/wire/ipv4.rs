//! A checked IPv4 packet, borrowed (<https://www.rfc-editor.org/rfc/rfc791#section-3.1>).

use core::fmt;
use core::net::Ipv4Addr;

use byteorder::{BigEndian, ByteOrder};

use super::checksum::{combine, sum};
use super::error::{Layer, WireError};
use super::header::{DONT_FRAGMENT, FragmentOffset, HEADER_LEN, Ipv4Header, MORE_FRAGMENTS, Words};
use super::tos::{Dscp, Ecn};

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
    /// In this order: [`WireError::Truncated`] below 20 octets, [`WireError::Version`],
    /// [`WireError::Truncated`] below the total length, [`WireError::TotalLen`],
    /// [`WireError::HeaderLen`], [`WireError::Checksum`].
    // Inlined by force, here and in `ipip`: returned through memory, the view costs more than its checks.
    #[inline(always)]
    pub fn parse(buffer: &'a [u8], layer: Layer) -> Result<Self, WireError> {
        // Nearly every packet is a good one without options: version 4 and five words are one octet.
        if let Some(header) = buffer.first_chunk::<HEADER_LEN>()
            && header[0] == 0x45
            && let Some((packet, _padding)) =
                buffer.split_at_checked(BigEndian::read_u16(&header[2..4]).into())
            && let Some((header, payload)) = packet.split_first_chunk()
            && Words::load(header).sum() == 0xffff
        {
            return Ok(Self {
                header,
                options: &[],
                payload,
                packet,
            });
        }
        Self::parse_any(buffer, layer)
    }

    /// What [`Self::parse`] says, of any octets.
    #[cold]
    fn parse_any(buffer: &'a [u8], layer: Layer) -> Result<Self, WireError> {
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
        let sum = combine(Words::load(header).sum(), sum(options));
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
        self.header_len_octet().into()
    }

    #[inline]
    pub(super) fn header_len_octet(&self) -> u8 {
        (self.header[0] & 0x0f) * 4
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
        FragmentOffset::of_field(self.fragment_field())
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

    /// What the payload is, see [`protocol`](super::protocol).
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
    #[inline(always)]
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

    /// The fixed header, in registers.
    #[inline]
    pub(super) fn words(&self) -> Words {
        Words::load(self.header)
    }

    /// Flags and fragment offset, one 16-bit field.
    #[inline]
    pub(super) fn fragment_field(&self) -> u16 {
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

#[cfg(test)]
mod tests;
