//! The fields of an IPv4 header, to be written (<https://www.rfc-editor.org/rfc/rfc791#section-3.1>).

use core::net::Ipv4Addr;

use byteorder::{BigEndian, ByteOrder};

use super::checksum::{add, fold};
use super::error::WireError;
use super::tos::{Dscp, Ecn};

/// Length of a header without options, in octets: 5 words of 4.
pub const HEADER_LEN: usize = 20;

/// The longest packet, in octets: what the 16-bit total length can state.
pub const MAX_PACKET_LEN: usize = 65_535;

pub(super) const DONT_FRAGMENT: u16 = 0x4000;
pub(super) const MORE_FRAGMENTS: u16 = 0x2000;

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

    /// The offset in the 16-bit field that it shares with the flags.
    #[inline]
    pub(super) const fn of_field(field: u16) -> Self {
        Self(field & Self::MAX)
    }

    /// The offset in units of 8 octets, as the header states it.
    #[must_use]
    #[inline]
    pub const fn units(self) -> u16 {
        self.0
    }

    /// The offset in octets, 0 to 65,528.
    #[must_use]
    pub const fn octets(self) -> u16 {
        self.0 * 8
    }
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

/// The fixed header in three registers, in network order: summed there, loaded and stored once.
///
/// Storing octets one by one and loading them again as words for the sum stalls the processor, and
/// costs three times as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words(pub(super) u64, pub(super) u64, pub(super) u32);

impl Words {
    #[inline]
    pub(super) fn load(header: &[u8; HEADER_LEN]) -> Self {
        Self(
            BigEndian::read_u64(&header[0..8]),
            BigEndian::read_u64(&header[8..16]),
            BigEndian::read_u32(&header[16..20]),
        )
    }

    /// 0xffff if the checksum is right.
    #[inline]
    pub(super) fn sum(self) -> u16 {
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
