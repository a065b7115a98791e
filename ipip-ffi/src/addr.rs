//! Addresses and prefixes as values, and their text.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;

use ipip_core::addr::Ipv4Prefix;

use crate::boundary::{TextBuffer, guard, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// An IPv4 address. Its octets lie as in a packet and in `struct in_addr`, so `inet_pton(AF_INET, text,
/// &address)` fills it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_ipv4 {
    /// The octets as they are written: {10, 244, 79, 20} is 10.244.79.20.
    pub octets: [u8; 4],
}

/// An IPv4 prefix.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_prefix {
    /// The first address: no bit below `len` is set.
    pub network: ipip_ipv4,
    /// The length in bits, 0 to 32.
    pub len: u8,
}

impl From<ipip_ipv4> for Ipv4Addr {
    fn from(address: ipip_ipv4) -> Self {
        address.octets.into()
    }
}

impl From<Ipv4Addr> for ipip_ipv4 {
    #[inline]
    fn from(address: Ipv4Addr) -> Self {
        Self {
            octets: address.octets(),
        }
    }
}

impl ipip_prefix {
    /// The prefix, its length and host bits checked.
    pub(crate) fn checked(self, name: &str) -> Result<Ipv4Prefix, Failure> {
        Ipv4Prefix::try_new(self.network.into(), self.len)
            .map_err(|error| Failure::from(error).in_field(name))
    }
}

impl From<Ipv4Prefix> for ipip_prefix {
    fn from(prefix: Ipv4Prefix) -> Self {
        Self {
            network: prefix.network().into(),
            len: prefix.len(),
        }
    }
}

/// Reads an address such as "10.244.79.20".
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none.
///
/// # Safety
/// `text` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipv4_from_text(
    text: *const c_char,
    address_out: Option<&mut MaybeUninit<ipip_ipv4>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { self::text(text, "text") }?;
        let out = required(address_out, "address_out")?;
        let address: Ipv4Addr = text.parse().map_err(|_| {
            Failure::new(
                ipip_status::InvalidArgument,
                format!("{text:?} is not an IPv4 address of the form a.b.c.d"),
            )
        })?;
        out.write(address.into());
        Ok(())
    })
}

/// Reads a prefix such as "10.244.79.0/26".
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none, or has bits set below its length.
///
/// # Safety
/// `text` is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_prefix_from_text(
    text: *const c_char,
    prefix_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { self::text(text, "text") }?;
        let out = required(prefix_out, "prefix_out")?;
        let prefix: Ipv4Prefix = text
            .parse()
            .map_err(|error| Failure::from(error).in_field(&format!("{text:?}")))?;
        out.write(prefix.into());
        Ok(())
    })
}

/// Writes an address as text, at most 16 octets with the final zero.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipv4_to_text(
    address: Option<&ipip_ipv4>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let address = Ipv4Addr::from(*required(address, "address")?);
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&address.to_string())
    })
}

/// Writes a prefix as text, at most 19 octets with the final zero.
///
/// IPIP_STATUS_INVALID_ARGUMENT if it is none, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `text` is NULL or points to `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_prefix_to_text(
    prefix: Option<&ipip_prefix>,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let prefix = required(prefix, "prefix")?.checked("prefix")?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(&prefix.to_string())
    })
}
