//! Addresses that nobody is assigned unasked.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::resource::{Reservation, ReservationError};

use crate::addr::ipip_prefix;
use crate::boundary::{TextBuffer, array, fill_array, give, guard, octets, or, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// Addresses set aside (Calico's IPReservation): assigning any address passes over them, asking for
/// one of them by name does not.
///
/// Ownership: whoever got it frees it. Threads: may share it without a lock.
#[derive(Debug)]
pub struct ipip_reservation(pub(crate) Reservation);

/// Makes the reservation `name` of `cidrs`.
///
/// IPIP_STATUS_INVALID_ARGUMENT for a name that Kubernetes refuses or a prefix with host bits.
///
/// # Safety
/// - `name` is NULL or a string that ends in a zero.
/// - `cidrs` is NULL or points to `cidrs_len` prefixes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reservation_new(
    name: *const c_char,
    cidrs: *const ipip_prefix,
    cidrs_len: usize,
    reservation_out: Option<&mut MaybeUninit<*mut ipip_reservation>>,
) -> ipip_status {
    guard(|| {
        let out = required(reservation_out, "reservation_out")?;
        // SAFETY: the caller's duty, as documented.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: the caller's duty, as documented.
        let cidrs = unsafe { array(cidrs, cidrs_len, "cidrs") }?;
        let checked = cidrs.iter().map(|cidr| cidr.checked("cidrs"));
        let cidrs = checked.map(|cidr| cidr.map(Into::into));
        let cidrs = cidrs.collect::<Result<Vec<_>, _>>()?;
        give(out, ipip_reservation(Reservation::try_new(name, &cidrs)?));
        Ok(())
    })
}

/// Its name. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reservation_name(
    reservation: Option<&ipip_reservation>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let reservation = required(reservation, "reservation")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(reservation.0.name())
    })
}

/// The IPv4 addresses set aside, in the order of its list; malformed entries, which Calico ignores, are
/// left out.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if they do not fit.
///
/// # Safety
/// `cidrs` is NULL or points to room for `cidrs_len` prefixes that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reservation_cidrs(
    reservation: Option<&ipip_reservation>,
    cidrs: *mut ipip_prefix,
    cidrs_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let reservation = required(reservation, "reservation")?;
        let found: Vec<_> = reservation.0.cidrs().map(ipip_prefix::from).collect();
        // SAFETY: the caller's duty, as documented.
        unsafe { fill_array(cidrs, cidrs_len, needed_out, &found, "cidrs") }
    })
}

/// Reads a reservation as Calico stores it, in JSON.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none; the text names the field.
///
/// # Safety
/// `json` is NULL or points to `json_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reservation_from_json(
    json: *const u8,
    json_len: usize,
    reservation_out: Option<&mut MaybeUninit<*mut ipip_reservation>>,
) -> ipip_status {
    guard(|| {
        let out = required(reservation_out, "reservation_out")?;
        // SAFETY: the caller's duty, as documented.
        let json = unsafe { octets(json, json_len, "json") }?;
        give(out, ipip_reservation(Reservation::from_json(json)?));
        Ok(())
    })
}

/// The reservation as Calico stores it, in JSON. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_reservation_to_json(
    reservation: Option<&ipip_reservation>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let reservation = required(reservation, "reservation")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&String::from_utf8_lossy(&reservation.0.to_json()))
    })
}

/// Frees the reservation. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_reservation_free(reservation: Option<Box<ipip_reservation>>) {
    or((), || drop(reservation));
}

impl From<ReservationError> for Failure {
    fn from(error: ReservationError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}
