//! A tunnel's exit: what becomes of the two ECN fields (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>).

use super::edit::set_tos;
use super::error::WireError;
use super::ipip::IpipView;
use super::tos::Ecn;

/// Two ECN fields that should not have met: something on the path, or the tunnel's entry, does not
/// keep to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EcnAlarm {
    /// What stood in the inner header.
    pub inner: Ecn,
    /// What stood in the outer header.
    pub outer: Ecn,
    /// How urgent it is.
    pub urgency: Urgency,
}

/// How urgent an [`EcnAlarm`] is. Whoever logs it should do so at a limited rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Urgency {
    /// The exit may log it: `(!)` in the RFC's table.
    MayLog,
    /// The exit should log it, and may raise an alarm: `(!!!)` in the RFC's table.
    ShouldLog,
}

/// What leaves a tunnel.
#[derive(Debug, PartialEq, Eq)]
pub struct Decapsulated<'a> {
    /// The inner packet, its ECN field and checksum as they are to be delivered.
    pub packet: &'a mut [u8],
    /// What was odd about the two ECN fields.
    pub alarm: Option<EcnAlarm>,
}

/// What two ECN fields become at a tunnel's exit; see [`Ecn::at_exit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EcnExit {
    /// What the delivered packet has; `None` if it must be dropped.
    pub delivered: Option<Ecn>,
    /// What was odd about the two.
    pub alarm: Option<EcnAlarm>,
}

impl Ecn {
    /// What becomes of this inner field where the outer one is `outer`: the table of
    /// <https://www.rfc-editor.org/rfc/rfc6040#section-4.2>, the same for either mode of the entry.
    ///
    /// ```
    /// use ipip_core::wire::Ecn;
    /// assert_eq!(Ecn::Ect0.at_exit(Ecn::Ce).delivered, Some(Ecn::Ce));
    /// let dropped = Ecn::NotEct.at_exit(Ecn::Ce);
    /// assert!(dropped.delivered.is_none() && dropped.alarm.is_some());
    /// ```
    #[must_use]
    pub const fn at_exit(self, outer: Self) -> EcnExit {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let (delivered, urgency) = match (self, outer) {
            // A drop is the only sign of congestion that this sender understands.
            (NotEct, Ce) => (None, Some(Urgency::ShouldLog)),
            (NotEct, Ect0 | Ect1) => (Some(NotEct), Some(Urgency::ShouldLog)),
            (Ce, Ect1) => (Some(Ce), Some(Urgency::ShouldLog)),
            (Ect1, Ect0) => (Some(Ect1), Some(Urgency::MayLog)),
            // ECT(1) may be a mark between none and CE (RFC 6660), so it is not lost.
            (Ect0, Ect1) => (Some(Ect1), None),
            (Ect0 | Ect1, Ce) => (Some(Ce), None),
            (inner, _) => (Some(inner), None),
        };
        let alarm = match urgency {
            Some(urgency) => Some(EcnAlarm {
                inner: self,
                outer,
                urgency,
            }),
            None => None,
        };
        EcnExit { delivered, alarm }
    }
}

/// Takes the inner packet out of the IPIP packet in `buffer` as a tunnel's exit must: congestion that
/// the outer header met is carried over to the inner one, by [`Ecn::at_exit`].
///
/// Only the inner TOS octet and header checksum change, and those seldom. The inner TTL is not lowered:
/// that is the duty of whoever forwards the packet next
/// (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>).
///
/// # Errors
/// Those of [`decapsulate`](super::decapsulate), and [`WireError::EcnDrop`]: congestion was met by a
/// packet that can tell of it only by being dropped. The buffer is as it was then.
///
/// ```
/// use ipip_core::wire::{Ipv4Header, Ipv4View, Layer, Ecn, decapsulate_in_place, protocol};
/// let mut buffer = [0; 40];
/// let inner = Ipv4Header { ecn: Ecn::Ect0, ..Ipv4Header::default() };
/// inner.emit(&mut buffer[20..])?;
/// let outer = Ipv4Header { ecn: Ecn::Ce, protocol: protocol::IPIP, ..inner };
/// outer.emit(&mut buffer)?;
/// let inner = decapsulate_in_place(&mut buffer)?;
/// assert_eq!(Ipv4View::parse(inner.packet, Layer::Inner)?.ecn(), Ecn::Ce);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[inline]
pub fn decapsulate_in_place(buffer: &mut [u8]) -> Result<Decapsulated<'_>, WireError> {
    let view = IpipView::parse(buffer)?.deliverable()?;
    let (inner, range) = (view.inner.ecn(), view.inner_range());
    let EcnExit { delivered, alarm } = inner.at_exit(view.outer.ecn());
    let ecn = delivered.ok_or(WireError::EcnDrop)?;
    let tos = view.inner.dscp().with_ecn(ecn);
    // In range, or the parse had failed.
    let packet = buffer.get_mut(range).unwrap_or_default();
    if ecn != inner
        && let Some(header) = packet.first_chunk_mut()
    {
        set_tos(header, tos);
    }
    Ok(Decapsulated { packet, alarm })
}

#[cfg(test)]
mod tests;
