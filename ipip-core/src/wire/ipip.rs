//! A packet within a packet (<https://www.rfc-editor.org/rfc/rfc2003>): [`IpipView`] reads both headers,
//! [`encapsulate`] adds the outer one, [`decapsulate`] takes it off.

use core::ops::Range;

use super::encapsulator::Encapsulator;
use super::error::{Layer, WireError};
use super::header::protocol;
use super::ipv4::Ipv4View;
use super::outer::Outer;

/// Both packets of a checked IPIP packet, borrowed.
///
/// Options in either header and inner fragments are as valid as any. Octets after the inner total
/// length are padding, whether they lie within the outer packet or after it.
///
/// ```
/// use ipip_core::wire::{IpipView, WireError};
/// # let packet = [
/// #     0x45, 0, 0, 48, 0, 0, 0, 0, 64, 4, 0x22, 0xa1, 172, 18, 0, 3, 172, 18, 0, 2,
/// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73,
/// #     8, 0, 0xf7, 0xff, 0, 0, 0, 0,
/// # ];
/// let view = IpipView::parse(&packet)?;
/// assert_eq!(view.outer.destination().to_string(), "172.18.0.2");
/// assert_eq!(view.inner.destination().to_string(), "10.244.244.73");
/// assert_eq!(
///     IpipView::parse(&packet[..40]),
///     Err(WireError::Truncated { layer: ipip_core::wire::Layer::Outer, needed: 48, found: 40 })
/// );
/// # Ok::<(), WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpipView<'a> {
    /// The packet between the nodes.
    pub outer: Ipv4View<'a>,
    /// The packet it carries.
    pub inner: Ipv4View<'a>,
}

impl<'a> IpipView<'a> {
    /// Checks both headers of the packet at the start of `buffer`.
    ///
    /// The inner TTL is not checked here, see [`decapsulate`].
    ///
    /// # Errors
    /// Those of [`Ipv4View::parse`] for the outer packet; [`WireError::Protocol`] unless it carries
    /// protocol 4; [`WireError::OuterFragment`] if it has to be reassembled first; those of
    /// [`Ipv4View::parse`] for the inner packet.
    #[inline(always)]
    pub fn parse(buffer: &'a [u8]) -> Result<Self, WireError> {
        let outer = Ipv4View::parse(buffer, Layer::Outer)?;
        if outer.protocol() != protocol::IPIP {
            return Err(WireError::Protocol {
                found: outer.protocol(),
            });
        }
        if outer.is_fragment() {
            return Err(WireError::OuterFragment {
                offset: outer.fragment_offset().octets(),
                more_fragments: outer.more_fragments(),
            });
        }
        let inner = Ipv4View::parse(outer.payload(), Layer::Inner)?;
        Ok(Self { outer, inner })
    }

    /// Where the inner packet lies in the buffer that was parsed, in octets.
    #[must_use]
    #[inline]
    pub fn inner_range(&self) -> Range<usize> {
        let start = self.outer.header_len();
        start..start + usize::from(self.inner.total_len())
    }

    /// The same packet if it may be delivered: what [`decapsulate`] asks beyond [`Self::parse`].
    ///
    /// # Errors
    /// [`WireError::TtlZero`] if the inner packet has no time left.
    #[inline(always)]
    pub fn deliverable(self) -> Result<Self, WireError> {
        if self.inner.ttl() == 0 {
            return Err(WireError::TtlZero);
        }
        Ok(self)
    }
}

/// Writes the outer header in front of the inner packet that starts at `headroom` octets into
/// `buffer`, and returns the whole IPIP packet, a part of `buffer`.
///
/// Only the 20 octets before the inner packet change; the inner packet stays where it is, and octets
/// after its total length stay out of the result.
///
/// # Errors
/// [`WireError::Headroom`] below 20 octets, those of [`Ipv4View::parse`] for the inner packet,
/// [`WireError::TtlZero`], and [`WireError::PacketTooLong`] if the result would exceed 65,535 octets.
/// The buffer is as it was then.
///
/// ```
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::wire::{Endpoints, HEADER_LEN, Outer, decapsulate, encapsulate};
/// # let inner = [
/// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73,
/// #     8, 0, 0xf7, 0xff, 0, 0, 0, 0,
/// # ];
/// let mut buffer = [0; 1500];
/// buffer[HEADER_LEN..][..inner.len()].copy_from_slice(&inner);
/// let outer = Outer::tunl0(Endpoints {
///     local: NodeAddr([172, 18, 0, 3].into()),
///     remote: NodeAddr([172, 18, 0, 2].into()),
/// });
/// let packet = encapsulate(&mut buffer, HEADER_LEN, &outer)?;
/// assert_eq!(packet.len(), 20 + inner.len());
/// assert_eq!(decapsulate(packet)?, inner);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[inline(always)]
pub fn encapsulate<'a>(
    buffer: &'a mut [u8],
    headroom: usize,
    outer: &Outer,
) -> Result<&'a mut [u8], WireError> {
    Encapsulator::new(outer).encapsulate(buffer, headroom)
}

/// The inner packet of an IPIP packet, a part of `buffer`: without outer header and padding.
///
/// # Errors
/// Those of [`IpipView::parse`], and [`WireError::TtlZero`]: a packet that arrives with an inner TTL
/// of 0 must be discarded (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>).
#[inline]
pub fn decapsulate(buffer: &[u8]) -> Result<&[u8], WireError> {
    Ok(IpipView::parse(buffer)?.deliverable()?.inner.packet())
}

#[cfg(test)]
mod tests;
