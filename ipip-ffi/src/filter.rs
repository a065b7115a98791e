//! Which frames somebody wants to see.

use std::mem::MaybeUninit;

use ipip_core::capture::Filter;

use crate::addr::ipip_prefix;
use crate::boundary::{array, guard, required};
use crate::error::Failure;
use crate::frame::ipip_frame;
use crate::status::ipip_status;

/// What one IPv4 header of a frame must be, the outer or an inner one. All zero takes every frame,
/// even one without such a header. IPIP packets between nodes: protocol 4, and each node's address as a
/// prefix of 32 bits.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_filter {
    /// Its protocol number; NULL for any.
    pub protocol: *const u8,
    /// Prefixes of which its source and its destination must each lie in one. NULL if `between_len` is
    /// 0, which allows all.
    pub between: *const ipip_prefix,
    /// How many prefixes there are.
    pub between_len: usize,
}

/// Whether a frame has such a header: 1 or 0.
///
/// IPIP_STATUS_INVALID_ARGUMENT for an impossible prefix or field of the frame.
///
/// # Safety
/// - `filter` is NULL or its `protocol` is NULL or points to a number, and its `between` points to
///   `between_len` prefixes.
/// - `frame` is NULL or its `octets` point to `octets_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_filter_matches(
    filter: Option<&ipip_filter>,
    frame: Option<&ipip_frame>,
    matches_out: Option<&mut MaybeUninit<u8>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let filter = unsafe { required(filter, "filter")?.checked() }?;
        // SAFETY: the caller's duty, as documented.
        let frame = unsafe { required(frame, "frame")?.checked() }?;
        required(matches_out, "matches_out")?.write(filter.matches(&frame).into());
        Ok(())
    })
}

impl ipip_filter {
    /// # Safety
    /// - `protocol` is NULL or points to a number.
    /// - `between` is NULL or points to `between_len` prefixes.
    unsafe fn checked(&self) -> Result<Filter, Failure> {
        // SAFETY: the caller's duty.
        let between = unsafe { array(self.between, self.between_len, "between") }?;
        let between = between.iter().map(|prefix| prefix.checked("between"));
        Ok(Filter {
            // SAFETY: the caller's duty.
            protocol: unsafe { self.protocol.as_ref() }.copied(),
            between: between.collect::<Result<_, _>>()?,
        })
    }
}
