//! Packets too long for a tunnel: cut into fragments (RFC 791 section 3.2), or asked to be shorter.

use std::mem::MaybeUninit;

use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{self, FragmentError, Fragments, Ipv4View, Layer};

use crate::addr::ipip_ipv4;
use crate::boundary::{array_mut, guard, octets, octets_mut, required};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// What the fragments of a packet need.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_fragments_room {
    /// How many there are, at least 1.
    pub places: usize,
    /// How many octets they are, each with its headroom.
    pub octets: usize,
}

/// Where a packet belongs if it is a fragment.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_fragment_part {
    /// 0 for a whole packet: then `offset` and `more_fragments` are 0 too.
    pub is_fragment: u8,
    /// 1 if this is not the end.
    pub more_fragments: u8,
    /// What the whole packet carries. The fragments of one packet share this and the three after it.
    pub protocol: u8,
    /// What tells one packet from the next.
    pub identification: u16,
    /// Where they come from.
    pub source: ipip_ipv4,
    /// Where they go.
    pub destination: ipip_ipv4,
    /// The first octet's place in the whole payload, in octets, 0 to 65,528.
    pub offset: usize,
    /// How many octets of it are here.
    pub len: usize,
}

/// Cuts the packet at the start of `packet` into fragments of at most `mtu` octets (68 to 65,515) and
/// writes them one after another into `buffer`, each behind `headroom` octets that are left alone: with
/// IPIP_HEADER_LEN of those, `fragments_out` is what `ipip_encapsulator_encapsulate_batch` takes. A packet
/// that is short enough is its only fragment.
///
/// Fragments of the inner packet are put together by its destination; those of the outer packet would
/// have to be put together by the tunnel's exit (RFC 4459 section 3.1). The first has all options, the
/// others have those that demand to be copied. A fragment may be cut again.
///
/// Where each fragment lies in `buffer` goes into `fragments_out`, which has `places` places. `needed_out`
/// says what they need, so a first call with NULL and 0 twice asks for it; it may be NULL.
///
/// The failures are those of `ipip_ipv4_parse`; IPIP_STATUS_DONT_FRAGMENT if the packet is too long and has
/// DF set: then its sender is to be told; IPIP_STATUS_FRAGMENT_END and IPIP_STATUS_OPTIONS for a packet that
/// cannot be cut; IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range; IPIP_STATUS_BUFFER_TOO_SMALL. Neither
/// array is written then.
///
/// # Safety
/// `packet` is NULL or points to `packet_len` octets; `buffer` is NULL or points to `buffer_len` octets, and
/// `fragments_out` is NULL or points to room for `places` spans, that nobody else uses.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "three arrays, as C passes them")]
pub unsafe extern "C" fn ipip_fragments_emit(
    packet: *const u8,
    packet_len: usize,
    mtu: u32,
    headroom: usize,
    buffer: *mut u8,
    buffer_len: usize,
    fragments_out: *mut ipip_span,
    places: usize,
    needed_out: Option<&mut MaybeUninit<ipip_fragments_room>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let packet = unsafe { octets(packet, packet_len, "packet") }?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        // SAFETY: the caller's duty, as documented; they are only written.
        let spans = unsafe { array_mut(fragments_out, places, "fragments_out") }?;
        let mtu = TunnelMtu::try_new(mtu)?;
        let fragments = Fragments::new(&Ipv4View::parse(packet, Layer::Inner)?, mtu)?;
        let needed = ipip_fragments_room::of(&fragments, headroom);
        if let Some(out) = needed_out {
            out.write(needed);
        }
        needed.fits(spans.len(), buffer.len())?;
        let mut rest = buffer;
        let mut offset = 0;
        for (span, fragment) in spans.iter_mut().zip(fragments) {
            rest = rest.get_mut(headroom..).unwrap_or_default();
            let len = fragment.emit(rest)?;
            rest = rest.get_mut(len..).unwrap_or_default();
            offset += headroom;
            *span = ipip_span { offset, len };
            offset += len;
        }
        Ok(())
    })
}

/// Says where the packet at the start of `buffer` belongs if it is a fragment: what has to be put together
/// with others before a tunnel's exit can look inside. What a fragment claims is not checked against the
/// others, nor against the 65,535 octets of the longest packet.
///
/// The failures are those of `ipip_ipv4_parse`.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipv4_fragment(
    buffer: *const u8,
    buffer_len: usize,
    part_out: Option<&mut MaybeUninit<ipip_fragment_part>>,
) -> ipip_status {
    guard(|| {
        let out = required(part_out, "part_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        let view = Ipv4View::parse(buffer, Layer::Inner)?;
        let part = view.fragment();
        out.write(ipip_fragment_part {
            is_fragment: part.is_some().into(),
            more_fragments: view.more_fragments().into(),
            protocol: view.protocol(),
            identification: view.identification(),
            source: view.source().into(),
            destination: view.destination().into(),
            offset: part.map_or(0, |part| part.offset),
            len: view.payload().len(),
        });
        Ok(())
    })
}

/// Lowers the MSS in the TCP segment that opens a connection, in `packet`, to what fits into a tunnel with
/// an MTU of `mtu` octets (68 to 65,515), 40 octets less, and the TCP checksum with it: for senders that
/// never hear of "fragmentation needed".
///
/// `clamped_out`, 1 if it was lowered, and `before_out`, the MSS that was there, written only then, may be
/// NULL. An MSS that is not there is not put in: it counts as 536. A partial checksum has to be finished
/// before (`ipip_finish_partial_checksum`).
///
/// The failures are those of `ipip_ipv4_parse`, and IPIP_STATUS_INVALID_ARGUMENT for an MTU out of range; the
/// packet is as it was then.
///
/// # Safety
/// `packet` is NULL or points to `packet_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_clamp_mss(
    packet: *mut u8,
    packet_len: usize,
    mtu: u32,
    clamped_out: Option<&mut MaybeUninit<u8>>,
    before_out: Option<&mut MaybeUninit<u16>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let packet = unsafe { octets_mut(packet, packet_len, "packet") }?;
        let before = wire::clamp_mss(packet, TunnelMtu::try_new(mtu)?)?;
        if let Some(out) = clamped_out {
            out.write(before.is_some().into());
        }
        if let (Some(out), Some(before)) = (before_out, before) {
            out.write(before);
        }
        Ok(())
    })
}

impl ipip_fragments_room {
    fn of(fragments: &Fragments<'_>, headroom: usize) -> Self {
        let none = Self {
            places: 0,
            octets: 0,
        };
        // Too much headroom to count is too much for any buffer.
        fragments.clone().fold(none, |sum, fragment| Self {
            places: sum.places + 1,
            octets: sum
                .octets
                .saturating_add(headroom)
                .saturating_add(fragment.len()),
        })
    }

    fn fits(self, places: usize, octets: usize) -> Result<(), Failure> {
        if self.places <= places && self.octets <= octets {
            return Ok(());
        }
        Err(Failure::new(
            ipip_status::BufferTooSmall,
            format!(
                "room is {places} fragments of {octets} octets in all, needs {} of {}",
                self.places, self.octets
            ),
        ))
    }
}

impl From<FragmentError> for Failure {
    fn from(error: FragmentError) -> Self {
        let status = match error {
            FragmentError::DontFragment { .. } => ipip_status::DontFragment,
            FragmentError::FragmentEnd { .. } => ipip_status::FragmentEnd,
            FragmentError::Options { .. } => ipip_status::Options,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
