//! Many packets in one buffer by one call; `encapsulator` has the third one.

use std::mem::MaybeUninit;

use ipip_core::wire::{self, BatchError, HeaderFields, IpipFields, Span};

use crate::boundary::{array, array_mut, guard, octets, same_layout};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// One header of a packet in a batch, in the byte order of the machine; all zero if the packet is not
/// good. The struct has no padding.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_header_fields {
    /// Where the packet comes from, as a number: 0x0af44f14 is 10.244.79.20.
    pub source: u32,
    /// Where the packet goes, as a number.
    pub destination: u32,
    /// What the fragments of one packet share.
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
    /// What the payload is: 1 ICMP, 4 IPv4 in IPv4, 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Length of the header with its options, in octets, 20 to 60.
    pub header_len: u8,
}

/// Both headers of a packet in a batch. The inner packet starts `outer.header_len` octets after the
/// outer one and is `inner.total_len` octets long. The struct has no padding.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_fields {
    /// The packet between the nodes.
    pub outer: ipip_header_fields,
    /// The packet it carries.
    pub inner: ipip_header_fields,
    /// An enum ipip_status: IPIP_STATUS_OK, or what is wrong with the packet; the fields are zero then.
    pub status: u32,
}

same_layout!(
    ipip_header_fields,
    HeaderFields,
    source,
    destination,
    identification,
    total_len,
    fragment,
    checksum,
    tos,
    ttl,
    protocol,
    header_len
);
same_layout!(ipip_fields, IpipFields, outer, inner, status);

/// Does what `ipip_parse` does to each of `packets` in `buffer`, and writes the fields of the packet at
/// the same place into `fields_out`, which has `places` places. `good_out`, how many were good, may be
/// NULL.
///
/// A packet that is not good has its status, and does no harm to the others; `ipip_parse` says in words
/// what is wrong with it. A span that reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is
/// allocated, nothing is copied but the fields.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `packets_len`; nothing is written then. Places
/// beyond are left alone.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets; `packets` is NULL or points to `packets_len` spans;
/// `fields_out` is NULL or points to room for `places` structs that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_parse_batch(
    buffer: *const u8,
    buffer_len: usize,
    packets: *const ipip_span,
    packets_len: usize,
    fields_out: *mut ipip_fields,
    places: usize,
    good_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        // SAFETY: the caller's duty, as documented; both spans have one layout.
        let packets = unsafe { array(packets.cast::<Span>(), packets_len, "packets") }?;
        // SAFETY: the caller's duty, as documented; both structs have one layout, and are only written.
        let fields = unsafe { array_mut(fields_out.cast::<IpipFields>(), places, "fields_out") }?;
        let good = wire::parse_batch(buffer, packets, fields)?;
        if let Some(out) = good_out {
            out.write(good);
        }
        Ok(())
    })
}

/// Does what `ipip_decapsulate` does to each of `packets` in `buffer`: where the inner packet lies goes
/// into `inner_out`, an enum ipip_status into `statuses_out`, both at the same place; both have `places`
/// places. `good_out`, how many were good, may be NULL.
///
/// A packet that is not good has an empty span at offset 0, and does no harm to the others. A span that
/// reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is allocated, nothing is copied.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `packets_len`; nothing is written then. Places
/// beyond are left alone.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets; `packets` is NULL or points to `packets_len` spans;
/// `inner_out` and `statuses_out` are NULL or point to room for `places` spans and numbers that nobody
/// else uses.
#[unsafe(no_mangle)]
#[allow(
    clippy::too_many_arguments,
    reason = "three arrays and a buffer, as C passes them"
)]
pub unsafe extern "C" fn ipip_decapsulate_batch(
    buffer: *const u8,
    buffer_len: usize,
    packets: *const ipip_span,
    packets_len: usize,
    inner_out: *mut ipip_span,
    statuses_out: *mut u32,
    places: usize,
    good_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        // SAFETY: the caller's duty, as documented; both spans have one layout.
        let packets = unsafe { array(packets.cast::<Span>(), packets_len, "packets") }?;
        // SAFETY: the caller's duty, as documented; both spans have one layout, and are only written.
        let inner = unsafe { array_mut(inner_out.cast::<Span>(), places, "inner_out") }?;
        // SAFETY: the caller's duty, as documented; they are only written.
        let statuses = unsafe { array_mut(statuses_out, places, "statuses_out") }?;
        let good = wire::decapsulate_batch(buffer, packets, inner, statuses)?;
        if let Some(out) = good_out {
            out.write(good);
        }
        Ok(())
    })
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        let status = match error {
            BatchError::Output { .. } => ipip_status::BufferTooSmall,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
