//! A tunnel's entry with all that never changes worked out beforehand.

use super::checksum::fold;
use super::error::{Layer, WireError};
use super::header::{DONT_FRAGMENT, HEADER_LEN, MAX_PACKET_LEN, Words, protocol};
use super::ipv4::Ipv4View;
use super::outer::{DontFragment, DscpPolicy, EcnPolicy, Outer, Ttl};

/// Octet 1 of the header, as a part of its first 8 octets.
const TOS: u32 = 48;
/// Where the total length stands in the first 8 octets.
const TOTAL_LEN: u32 = 32;
/// Where the identification stands in the first 8 octets.
const IDENTIFICATION: u32 = 16;
/// Where the TTL stands in the second 8 octets.
const TTL: u32 = 56;
/// Where the checksum stands in the second 8 octets.
const CHECKSUM: u32 = 32;

/// Writes the outer headers of one tunnel: an [`Outer`] turned into masks, with its constant part
/// already summed.
///
/// Builds the same octets as [`encapsulate`](super::encapsulate) does with the same [`Outer`]; make one
/// for each tunnel and keep it.
///
/// ```
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::wire::{Encapsulator, Endpoints, HEADER_LEN, Outer, encapsulate};
/// # let inner = [
/// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73,
/// #     8, 0, 0xf7, 0xff, 0, 0, 0, 0,
/// # ];
/// let outer = Outer::tunl0(Endpoints {
///     local: NodeAddr([172, 18, 0, 3].into()),
///     remote: NodeAddr([172, 18, 0, 2].into()),
/// });
/// let tunnel = Encapsulator::new(&outer);
/// let mut buffer = [0; 1500];
/// buffer[HEADER_LEN..][..inner.len()].copy_from_slice(&inner);
/// let mut same = buffer;
/// let packet = tunnel.encapsulate(&mut buffer, HEADER_LEN)?;
/// assert_eq!(packet, encapsulate(&mut same, HEADER_LEN, &outer)?);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encapsulator {
    /// What is the same in every packet; total length, identification and checksum are zero.
    constant: Words,
    /// The sum of `constant`.
    sum: u16,
    identification: u16,
    /// What of the inner packet's first 8 octets is taken over; never a bit that `constant` sets.
    first: u64,
    /// What of its second 8 octets is taken over.
    second: u64,
    /// ECN's low bit if an inner CE becomes ECT(0), else nothing.
    ce_to_ect0: u64,
}

impl Encapsulator {
    /// The entry of the tunnel that `outer` describes.
    #[must_use]
    #[inline]
    pub fn new(outer: &Outer) -> Self {
        let (dscp, dscp_mask) = match outer.dscp {
            DscpPolicy::Inherit => (0, 0xfc << TOS),
            DscpPolicy::Fixed(dscp) => (u64::from(dscp.value()) << (TOS + 2), 0),
        };
        let (ecn_mask, ce_to_ect0) = match outer.ecn {
            EcnPolicy::Kernel => (3 << TOS, 1 << TOS),
            EcnPolicy::Normal => (3 << TOS, 0),
            EcnPolicy::Compatibility => (0, 0),
        };
        let (flags, flags_mask) = match outer.dont_fragment {
            DontFragment::Inherit => (0, u64::from(DONT_FRAGMENT)),
            DontFragment::Always => (u64::from(DONT_FRAGMENT), 0),
        };
        let (ttl, second) = match outer.ttl {
            Ttl::Inherit => (0, 0xff << TTL),
            Ttl::Fixed(hops) => (u64::from(hops.get()) << TTL, 0),
        };
        let constant = Words(
            0x45 << 56 | dscp | flags,
            ttl | u64::from(protocol::IPIP) << 48 | u64::from(outer.endpoints.local.0.to_bits()),
            outer.endpoints.remote.0.to_bits(),
        );
        Self {
            constant,
            sum: constant.sum(),
            identification: outer.identification,
            first: dscp_mask | ecn_mask | flags_mask,
            second,
            ce_to_ect0,
        }
    }

    /// Writes the outer header in front of the inner packet that starts at `headroom` octets into
    /// `buffer`, and returns the whole IPIP packet, a part of `buffer`; its identification is that of
    /// the [`Outer`].
    ///
    /// # Errors
    /// Those of [`encapsulate`](super::encapsulate); the buffer is as it was then.
    #[inline(always)]
    pub fn encapsulate<'a>(
        &self,
        buffer: &'a mut [u8],
        headroom: usize,
    ) -> Result<&'a mut [u8], WireError> {
        self.encapsulate_as(buffer, headroom, self.identification)
    }

    /// Does the same with an identification of the packet's own.
    ///
    /// Where DF ends up clear, it has to be unique per source, destination and protocol for as long
    /// as a fragment may live (<https://www.rfc-editor.org/rfc/rfc6864#section-4.1>).
    ///
    /// # Errors
    /// Those of [`encapsulate`](super::encapsulate); the buffer is as it was then.
    #[inline(always)]
    pub fn encapsulate_as<'a>(
        &self,
        buffer: &'a mut [u8],
        headroom: usize,
        identification: u16,
    ) -> Result<&'a mut [u8], WireError> {
        let start = headroom
            .checked_sub(HEADER_LEN)
            .ok_or(WireError::Headroom {
                needed: HEADER_LEN,
                found: headroom,
            })?;
        let packet = buffer.get_mut(start..).unwrap_or_default();
        let Some((room, rest)) = packet.split_first_chunk_mut() else {
            return Err(WireError::Truncated {
                layer: Layer::Inner,
                needed: HEADER_LEN,
                found: 0,
            });
        };
        let inner = Ipv4View::parse(rest, Layer::Inner)?;
        let len = HEADER_LEN.wrapping_add(inner.packet().len());
        self.words(&inner, identification)?.store(room);
        // In range: `rest` holds the inner total length, or the parse had failed.
        Ok(&mut packet[..len])
    }

    /// The outer header for `inner`, to stand in front of a packet that lies elsewhere.
    ///
    /// # Errors
    /// [`WireError::TtlZero`] and [`WireError::PacketTooLong`], as [`Self::encapsulate`].
    #[inline]
    pub fn header(&self, inner: &Ipv4View<'_>) -> Result<[u8; HEADER_LEN], WireError> {
        let mut octets = [0; HEADER_LEN];
        self.words(inner, self.identification)?.store(&mut octets);
        Ok(octets)
    }

    #[inline(always)]
    fn words(&self, inner: &Ipv4View<'_>, identification: u16) -> Result<Words, WireError> {
        let Words(first, second, _) = inner.words();
        // "An encapsulator MUST NOT encapsulate a datagram with TTL = 0" (RFC 2003 section 3.1).
        if second >> TTL == 0 {
            return Err(WireError::TtlZero);
        }
        // The slice has the length of the header's field, in a register already; `usize` has 64 bits at most.
        let total_len = inner.packet().len() as u64 + 20;
        if total_len > 0xffff {
            return Err(WireError::PacketTooLong {
                found: usize::from(inner.total_len()) + HEADER_LEN,
                max: MAX_PACKET_LEN,
            });
        }
        let (first, second) = (first & self.first, second & self.second);
        // CE is both bits: the upper one, moved down, takes the lower one away.
        let first = first & !(first >> 1 & self.ce_to_ect0);
        let first = first | total_len << TOTAL_LEN | u64::from(identification) << IDENTIFICATION;
        // No bit is set on both sides, so what is added to the octets is added to their sum.
        let sum = fold(
            u64::from(self.sum)
                .wrapping_add(first >> 32)
                .wrapping_add(first & 0xffff_ffff)
                .wrapping_add(second >> 32),
        );
        let Words(a, b, destination) = self.constant;
        let checksum = u64::from(!sum) << CHECKSUM;
        Ok(Words(a | first, b | second | checksum, destination))
    }
}

#[cfg(test)]
mod tests;
