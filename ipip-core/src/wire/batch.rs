//! Many packets in one buffer by one call: [`parse_batch`], [`decapsulate_batch`],
//! [`Encapsulator::encapsulate_batch`].
//!
//! Made so that other languages can bind them as they are: spans, fields and statuses are arrays of
//! plain numbers in the machine's byte order without padding, and all memory is the caller's. Each
//! packet has a status of its own, 0 or a [`WireError::code`]; one bad packet never spoils another.
//! The single call says in words what was wrong with it.

use super::encapsulator::Encapsulator;
use super::error::{BatchError, Layer, WireError};
use super::header::HEADER_LEN;
use super::ipip::IpipView;
use super::ipv4::Ipv4View;

/// Octets within the buffer that a call was given.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Octets before the first, from the start of the buffer.
    pub offset: usize,
    /// How many octets.
    pub len: usize,
}

/// One header of a packet in a batch; all zero if the packet is not good.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HeaderFields {
    /// Where the packet comes from, as a number.
    pub source: u32,
    /// Where the packet goes, as a number.
    pub destination: u32,
    /// What fragments of one packet share.
    pub identification: u16,
    /// Length of the packet in octets, header included.
    pub total_len: u16,
    /// The flags and the fragment offset as they stand in the header: 0x4000 is DF, 0x2000 is MF, the
    /// lower 13 bits are the offset in units of 8 octets.
    pub fragment: u16,
    /// The header checksum as found, which is right.
    pub checksum: u16,
    /// DSCP in the upper 6 bits, ECN in the lower 2.
    pub tos: u8,
    /// Hops left.
    pub ttl: u8,
    /// What the payload is, see [`protocol`](super::protocol).
    pub protocol: u8,
    /// Length of the header with its options, in octets, 20 to 60.
    pub header_len: u8,
}

/// Both headers of a packet in a batch. The inner packet starts `outer.header_len` octets after the
/// outer one and is `inner.total_len` octets long.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IpipFields {
    /// The packet between the nodes.
    pub outer: HeaderFields,
    /// The packet it carries.
    pub inner: HeaderFields,
    /// 0, or the [`WireError::code`] of what is wrong; the fields are zero then.
    pub status: u32,
}

impl HeaderFields {
    #[inline(always)]
    fn of(view: &Ipv4View<'_>) -> Self {
        Self {
            source: view.source().to_bits(),
            destination: view.destination().to_bits(),
            identification: view.identification(),
            total_len: view.total_len(),
            fragment: view.fragment_field(),
            checksum: view.checksum(),
            tos: view.tos(),
            ttl: view.ttl(),
            protocol: view.protocol(),
            header_len: view.header_len_octet(),
        }
    }
}

/// Does what [`IpipView::parse`] does to each of `packets` in `buffer`, and writes the fields of the
/// packet at the same place into `fields_out`. Returns how many were good.
///
/// A span that reaches past the buffer is a truncated packet.
///
/// # Errors
/// [`BatchError::Output`] if `fields_out` has fewer places than there are packets; nothing is written
/// then. Places beyond are left alone.
///
/// ```
/// use ipip_core::wire::{IpipFields, Span, WireError, parse_batch};
/// # let buffer = [
/// #     0x45, 0, 0, 48, 0, 0, 0, 0, 64, 4, 0x22, 0xa1, 172, 18, 0, 3, 172, 18, 0, 2,
/// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73,
/// #     8, 0, 0xf7, 0xff, 0, 0, 0, 0,
/// # ];
/// // The same packet twice, the second time cut short.
/// let packets = [Span { offset: 0, len: 48 }, Span { offset: 0, len: 40 }];
/// let mut fields = [IpipFields::default(); 2];
/// assert_eq!(parse_batch(&buffer, &packets, &mut fields)?, 1);
/// assert_eq!(fields[0].inner.source, 0x0af4_4f14);
/// assert_eq!(fields[1].status, 200);
/// # Ok::<(), ipip_core::wire::BatchError>(())
/// ```
pub fn parse_batch(
    buffer: &[u8],
    packets: &[Span],
    fields_out: &mut [IpipFields],
) -> Result<usize, BatchError> {
    let fields_out = room(packets, fields_out)?;
    let mut good = 0;
    for (span, out) in packets.iter().zip(fields_out) {
        match span.of(buffer, Layer::Outer).and_then(IpipView::parse) {
            Ok(view) => {
                good += 1;
                *out = IpipFields {
                    outer: HeaderFields::of(&view.outer),
                    inner: HeaderFields::of(&view.inner),
                    status: 0,
                };
            }
            Err(error) => {
                *out = IpipFields {
                    status: error.code(),
                    ..IpipFields::default()
                };
            }
        }
    }
    Ok(good)
}

/// Does what [`decapsulate`](super::decapsulate) does to each of `packets` in `buffer`: writes where its
/// inner packet lies into `inner_out`, and its status into `statuses_out`, both at the same place. Returns
/// how many were good.
///
/// A packet that is not good has an empty span at offset 0; a span that reaches past the buffer is a
/// truncated packet. The example is that of [`Encapsulator::encapsulate_batch`].
///
/// # Errors
/// [`BatchError::Output`] if an output has fewer places than there are packets; nothing is written
/// then. Places beyond are left alone.
pub fn decapsulate_batch(
    buffer: &[u8],
    packets: &[Span],
    inner_out: &mut [Span],
    statuses_out: &mut [u32],
) -> Result<usize, BatchError> {
    let outputs = room(packets, inner_out)?.iter_mut();
    let outputs = outputs.zip(room(packets, statuses_out)?);
    let mut good = 0;
    for (span, (inner_out, status_out)) in packets.iter().zip(outputs) {
        let inner = span.of(buffer, Layer::Outer).and_then(|packet| {
            let inner = IpipView::parse(packet)?.deliverable()?.inner_range();
            // Within the buffer, so below its length.
            let (offset, len) = (span.offset.wrapping_add(inner.start), inner.len());
            Ok(Span { offset, len })
        });
        (*inner_out, *status_out, good) = outcome(inner, good);
    }
    Ok(good)
}

impl Encapsulator {
    /// Does what [`Self::encapsulate_as`] does to each of `inner`, the inner packets in `buffer`: writes
    /// the outer header into the 20 octets before it, where the whole packet now lies into
    /// `packets_out`, and its status into `statuses_out`, both at the same place. Returns how many were
    /// good.
    ///
    /// The first packet gets `identification`, each further one the next, whether it was good or not;
    /// 0 follows 65,535.
    ///
    /// Spans have to ascend, with 20 octets of headroom between one's end and the next: a packet whose
    /// outer header would start before the end of the span before it is refused as
    /// [`WireError::Headroom`], so no packet can damage another. One that is not good leaves its
    /// surroundings as they are and has an empty span at offset 0; one that reaches past the buffer is
    /// truncated.
    ///
    /// # Errors
    /// [`BatchError::Output`] if an output has fewer places than there are packets; nothing is written
    /// then. Places beyond are left alone.
    ///
    /// ```
    /// use ipip_core::addr::NodeAddr;
    /// use ipip_core::wire::{Encapsulator, Endpoints, Outer, Span, decapsulate_batch};
    /// # let packet = [
    /// #     0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x21, 0x9c, 10, 244, 79, 20, 10, 244, 244, 73,
    /// #     8, 0, 0xf7, 0xff, 0, 0, 0, 0,
    /// # ];
    /// let tunnel = Encapsulator::new(&Outer::tunl0(Endpoints {
    ///     local: NodeAddr([172, 18, 0, 3].into()),
    ///     remote: NodeAddr([172, 18, 0, 2].into()),
    /// }));
    /// // A packet of 28 octets twice, each time behind its headroom.
    /// let mut buffer = [&[0; 20], &packet[..], &[0; 20], &packet[..]].concat();
    /// let inner = [Span { offset: 20, len: 28 }, Span { offset: 68, len: 28 }];
    /// let (mut packets, mut statuses) = ([Span::default(); 2], [0; 2]);
    /// let outputs = (&mut packets[..], &mut statuses[..]);
    /// assert_eq!(tunnel.encapsulate_batch(&mut buffer, &inner, 7, outputs)?, 2);
    /// assert_eq!(packets, [Span { offset: 0, len: 48 }, Span { offset: 48, len: 48 }]);
    ///
    /// let mut found = [Span::default(); 2];
    /// assert_eq!(decapsulate_batch(&buffer, &packets, &mut found, &mut statuses)?, 2);
    /// assert_eq!(found, inner);
    /// # Ok::<(), ipip_core::wire::BatchError>(())
    /// ```
    pub fn encapsulate_batch(
        &self,
        buffer: &mut [u8],
        inner: &[Span],
        identification: u16,
        (packets_out, statuses_out): (&mut [Span], &mut [u32]),
    ) -> Result<usize, BatchError> {
        let outputs = room(inner, packets_out)?.iter_mut();
        let outputs = outputs.zip(room(inner, statuses_out)?);
        let (mut good, mut identification, mut taken) = (0, identification, 0);
        for (span, (packet_out, status_out)) in inner.iter().zip(outputs) {
            let packet = self.encapsulate_at(buffer, *span, taken, identification);
            (*packet_out, *status_out, good) = outcome(packet, good);
            identification = identification.wrapping_add(1);
            // What lies past the buffer takes no room in it.
            if span.end() <= buffer.len() {
                taken = taken.max(span.end());
            }
        }
        Ok(good)
    }

    /// One packet of a batch; octets before `taken` belong to packets before it.
    #[inline(always)]
    fn encapsulate_at(
        &self,
        buffer: &mut [u8],
        inner: Span,
        taken: usize,
        identification: u16,
    ) -> Result<Span, WireError> {
        let found = buffer.len();
        let headroom = inner.offset.saturating_sub(taken);
        let slot = buffer.get_mut(taken..inner.end());
        let slot = slot.ok_or(WireError::Truncated {
            layer: Layer::Inner,
            needed: inner.end(),
            found,
        });
        // Too little headroom is also what spans in the wrong order have.
        if headroom < HEADER_LEN {
            return Err(WireError::Headroom {
                needed: HEADER_LEN,
                found: headroom,
            });
        }
        let len = self.encapsulate_as(slot?, headroom, identification)?.len();
        Ok(Span {
            offset: inner.offset.wrapping_sub(HEADER_LEN),
            len,
        })
    }
}

impl Span {
    /// One past the last octet.
    #[inline]
    fn end(self) -> usize {
        self.offset.saturating_add(self.len)
    }

    #[inline(always)]
    fn of(self, buffer: &[u8], layer: Layer) -> Result<&[u8], WireError> {
        buffer
            .get(self.offset..self.end())
            .ok_or(WireError::Truncated {
                layer,
                needed: self.end(),
                found: buffer.len(),
            })
    }
}

/// As many places as there are packets.
fn room<'a, T>(packets: &[Span], out: &'a mut [T]) -> Result<&'a mut [T], BatchError> {
    let found = out.len();
    out.get_mut(..packets.len()).ok_or(BatchError::Output {
        needed: packets.len(),
        found,
    })
}

/// The span and the status of one packet, and how many are good with it.
#[inline(always)]
fn outcome(packet: Result<Span, WireError>, good: usize) -> (Span, u32, usize) {
    match packet {
        Ok(span) => (span, 0, good + 1),
        Err(error) => (Span::default(), error.code(), good),
    }
}

#[cfg(test)]
mod tests;
