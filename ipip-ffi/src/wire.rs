//! What the packet functions share: where octets lie, what can be wrong with them, checksums.

use std::mem::MaybeUninit;
use std::ops::Range;

use ipip_core::wire::{self, PartialChecksum, Span, WireError};

use crate::boundary::{guard, octets, octets_mut, required, same_layout};
use crate::error::Failure;
use crate::status::ipip_status;

/// Octets within the buffer that a call was given: `buffer + offset`, `len` of them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_span {
    /// Octets before the first, from the start of the buffer.
    pub offset: usize,
    /// How many octets.
    pub len: usize,
}

same_layout!(ipip_span, Span, offset, len);

/// What `ipip_finish_partial_checksum` found and did.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_partial_checksum {
    /// There is no such field: neither TCP nor UDP, a fragment, or a header cut short.
    NotApplicable = 0,
    /// The field holds something else: a finished checksum, right or wrong, or none (UDP's 0).
    NotPartial = 1,
    /// The field held the pseudo-header's sum alone; now it holds the checksum.
    Finished = 2,
}

/// The internet checksum of some octets (RFC 1071), in the byte order of the machine: what belongs in
/// a field while the field itself is zero, and 0 over octets that include a right one.
///
/// # Safety
/// `bytes` is NULL or points to `bytes_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_checksum(
    bytes: *const u8,
    bytes_len: usize,
    checksum_out: Option<&mut MaybeUninit<u16>>,
) -> ipip_status {
    guard(|| {
        let out = required(checksum_out, "checksum_out")?;
        // SAFETY: the caller's duty, as documented.
        let bytes = unsafe { octets(bytes, bytes_len, "bytes") }?;
        out.write(wire::checksum(bytes));
        Ok(())
    })
}

/// Finishes the TCP or UDP checksum of the packet at the start of `inner` if a sender on this host left
/// it to hardware that is not there (Linux: CHECKSUM_PARTIAL); changes nothing otherwise. A packet that
/// a packet or raw socket read from a veth pair needs this before it leaves in a tunnel: without it
/// ping works and TCP does not.
///
/// A damaged packet is taken for a partial one, and so accepted, once in 65,536 times; use it only
/// where the sender may be on this host.
///
/// `result_out` and `checksum_out` (the checksum written, with IPIP_PARTIAL_CHECKSUM_FINISHED only) may
/// be NULL. The failures are those of `ipip_ipv4_parse`; nothing is written then.
///
/// # Safety
/// `inner` is NULL or points to `inner_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_finish_partial_checksum(
    inner: *mut u8,
    inner_len: usize,
    result_out: Option<&mut MaybeUninit<ipip_partial_checksum>>,
    checksum_out: Option<&mut MaybeUninit<u16>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let inner = unsafe { octets_mut(inner, inner_len, "inner") }?;
        let (result, checksum) = match wire::finish_partial_checksum(inner)? {
            PartialChecksum::NotApplicable => (ipip_partial_checksum::NotApplicable, None),
            PartialChecksum::NotPartial => (ipip_partial_checksum::NotPartial, None),
            PartialChecksum::Finished { checksum } => {
                (ipip_partial_checksum::Finished, Some(checksum))
            }
        };
        if let Some(out) = result_out {
            out.write(result);
        }
        if let (Some(out), Some(checksum)) = (checksum_out, checksum) {
            out.write(checksum);
        }
        Ok(())
    })
}

impl From<Range<usize>> for ipip_span {
    #[inline(always)]
    fn from(range: Range<usize>) -> Self {
        Self {
            offset: range.start,
            len: range.len(),
        }
    }
}

impl From<WireError> for Failure {
    #[cold]
    fn from(error: WireError) -> Self {
        let status = match error {
            WireError::Truncated { .. } => ipip_status::Truncated,
            WireError::Version { .. } => ipip_status::Version,
            WireError::HeaderLen { .. } => ipip_status::HeaderLen,
            WireError::TotalLen { .. } => ipip_status::TotalLen,
            WireError::Checksum { .. } => ipip_status::Checksum,
            WireError::Protocol { .. } => ipip_status::Protocol,
            WireError::OuterFragment { .. } => ipip_status::OuterFragment,
            WireError::TtlZero => ipip_status::TtlZero,
            WireError::Headroom { .. } => ipip_status::Headroom,
            WireError::Buffer { .. } => ipip_status::HeaderBuffer,
            WireError::PacketTooLong { .. } => ipip_status::PacketTooLong,
            WireError::IcmpType { .. } => ipip_status::IcmpType,
            WireError::Dscp { .. } => ipip_status::Dscp,
            WireError::FragmentOffset { .. } => ipip_status::FragmentOffset,
            WireError::TtlExpired { .. } => ipip_status::TtlExpired,
            WireError::EcnDrop => ipip_status::EcnDrop,
            WireError::IcmpNotError { .. } => ipip_status::IcmpNotError,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
