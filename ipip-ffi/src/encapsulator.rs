//! A tunnel's entry, made ready for many packets.

use std::mem::MaybeUninit;

use ipip_core::wire::{Encapsulator, HEADER_LEN, Span};

use crate::boundary::{array, array_mut, give, guard, octets_mut, or, required};
use crate::ipip::ipip_outer;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// Writes the outer headers of one tunnel: a struct ipip_outer checked once, with all that never changes
/// worked out. Builds the same octets as `ipip_encapsulate`, in less time; make one for each tunnel and
/// keep it.
///
/// Threads: any number may share one, since no call changes it.
#[derive(Debug)]
pub struct ipip_encapsulator(Encapsulator);

/// Makes the entry of the tunnel that `outer` describes.
///
/// IPIP_STATUS_INVALID_ARGUMENT and IPIP_STATUS_DSCP for fields of `outer` out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_encapsulator_new(
    outer: Option<&ipip_outer>,
    encapsulator_out: Option<&mut MaybeUninit<*mut ipip_encapsulator>>,
) -> ipip_status {
    guard(|| {
        let outer = required(outer, "outer")?.checked()?;
        let out = required(encapsulator_out, "encapsulator_out")?;
        give(out, ipip_encapsulator(Encapsulator::new(&outer)));
        Ok(())
    })
}

/// Writes the outer header in front of the inner packet that starts at `headroom` octets into
/// `buffer`, as `ipip_encapsulate` does, and with its failures for packets; the identification is that of
/// the struct ipip_outer.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_encapsulator_encapsulate(
    encapsulator: Option<&ipip_encapsulator>,
    buffer: *mut u8,
    buffer_len: usize,
    headroom: usize,
    packet_out: Option<&mut MaybeUninit<ipip_span>>,
) -> ipip_status {
    guard(|| {
        let encapsulator = required(encapsulator, "encapsulator")?;
        let out = required(packet_out, "packet_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        let len = encapsulator.0.encapsulate(buffer, headroom)?.len();
        out.write(ipip_span {
            // At least 20, or the call had failed.
            offset: headroom.saturating_sub(HEADER_LEN),
            len,
        });
        Ok(())
    })
}

/// The same for each of `inner`, the inner packets in `buffer`: writes the outer header into the 20
/// octets before it; where the whole packet now lies goes into `packets_out`, an enum ipip_status into
/// `statuses_out`, both at the same place; both have `places` places. `good_out`, how many were good, may
/// be NULL.
///
/// The first packet gets `identification`, each further one the next, whether it was good or not; 0
/// follows 65,535.
///
/// Spans have to ascend, with 20 octets of headroom between one's end and the next: a packet whose
/// outer header would start before the end of the span before it is IPIP_STATUS_HEADROOM, so no packet
/// can damage another. One that is not good leaves its surroundings as they are and has an empty span at
/// offset 0; one that reaches past the buffer is IPIP_STATUS_TRUNCATED. Nothing is allocated, no packet is
/// copied.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if `places` is below `inner_len`; nothing is written then. Places beyond
/// are left alone.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets that nobody else uses; `inner` is NULL or points to
/// `inner_len` spans; `packets_out` and `statuses_out` are NULL or point to room for `places` spans and
/// numbers that nobody else uses.
#[unsafe(no_mangle)]
#[allow(
    clippy::too_many_arguments,
    reason = "three arrays and a buffer, as C passes them"
)]
pub unsafe extern "C" fn ipip_encapsulator_encapsulate_batch(
    encapsulator: Option<&ipip_encapsulator>,
    buffer: *mut u8,
    buffer_len: usize,
    inner: *const ipip_span,
    inner_len: usize,
    identification: u16,
    packets_out: *mut ipip_span,
    statuses_out: *mut u32,
    places: usize,
    good_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let encapsulator = required(encapsulator, "encapsulator")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        // SAFETY: the caller's duty, as documented; both spans have one layout.
        let inner = unsafe { array(inner.cast::<Span>(), inner_len, "inner") }?;
        // SAFETY: the caller's duty, as documented; both spans have one layout, and are only written.
        let packets = unsafe { array_mut(packets_out.cast::<Span>(), places, "packets_out") }?;
        // SAFETY: the caller's duty, as documented; they are only written.
        let statuses = unsafe { array_mut(statuses_out, places, "statuses_out") }?;
        let outputs = (packets, statuses);
        let good = encapsulator
            .0
            .encapsulate_batch(buffer, inner, identification, outputs)?;
        if let Some(out) = good_out {
            out.write(good);
        }
        Ok(())
    })
}

/// Frees the encapsulator. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_encapsulator_free(encapsulator: Option<Box<ipip_encapsulator>>) {
    or((), || drop(encapsulator));
}
