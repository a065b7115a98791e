//! ICMP errors (RFC 792), and the packets that they quote.

use std::mem::MaybeUninit;

use ipip_core::wire::{
    FragmentOffset, ICMP_ERROR_HEADER_LEN, IcmpError, IcmpErrorView, Layer, MAX_ICMP_ERROR_LEN,
    Quoted,
};

use crate::addr::ipip_ipv4;
use crate::boundary::{choose, flag, guard, octets, octets_mut, required};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// The longest ICMP error that is written, in octets, its IPv4 header included (RFC 1812 section 4.3.2.3).
pub const IPIP_MAX_ICMP_ERROR_LEN: usize = 576;

const _: () = assert!(IPIP_MAX_ICMP_ERROR_LEN == MAX_ICMP_ERROR_LEN);

/// What kind of error an ICMP message reports.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_icmp_error_kind {
    /// Type 3, destination unreachable, but for code 4. The code: 0 network, 1 host, 2 protocol, 3 port,
    /// 5 source route failed, and those of RFC 1812 section 5.2.7.1.
    Unreachable = 0,
    /// Type 3 code 4: the packet is too long for the next hop and has DF set.
    FragmentationNeeded = 1,
    /// Type 4, which nobody should send any more (RFC 6633).
    SourceQuench = 2,
    /// Type 5, a better way. The code: 0 network, 1 host, 2 and 3 the same for one type of service.
    Redirect = 3,
    /// Type 11. The code: 0 in transit, 1 while fragments were waited for.
    TimeExceeded = 4,
    /// Type 12. The code: 0 a wrong field, 1 an option is missing, 2 a wrong length.
    ParameterProblem = 5,
}

/// What an ICMP error says. Fields that its kind does not have are 0, and are not read.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_icmp_error {
    /// An enum ipip_icmp_error_kind.
    pub kind: u32,
    /// The code, where the kind leaves a choice.
    pub code: u8,
    /// IPIP_ICMP_ERROR_KIND_PARAMETER_PROBLEM with code 0: which octet of the packet is wrong.
    pub pointer: u8,
    /// IPIP_ICMP_ERROR_KIND_FRAGMENTATION_NEEDED: the next hop's MTU in octets; 0 from a router older than
    /// RFC 1191, which does not say.
    pub mtu: u16,
    /// IPIP_ICMP_ERROR_KIND_REDIRECT: the better next hop.
    pub gateway: ipip_ipv4,
}

/// A checked ICMP error.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_icmp_error_view {
    /// What it says.
    pub error: ipip_icmp_error,
    /// The beginning of the packet that it is about, within the buffer that was parsed; `ipip_quoted_parse`
    /// reads it.
    pub quoted: ipip_span,
}

/// The header of a packet of which only the beginning may be there.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_quoted {
    /// Where the packet came from.
    pub source: ipip_ipv4,
    /// Where it was to go.
    pub destination: ipip_ipv4,
    /// What it carried.
    pub protocol: u8,
    /// Whether DF was set, 0 or 1.
    pub dont_fragment: u8,
    /// Where it belongs if it was a fragment, in units of 8 octets, 0 to 8191; 0 otherwise.
    pub fragment_offset: u16,
    /// Its length in octets, header included, as its header states it.
    pub total_len: u16,
    /// Length of its header in octets, 20 to 60.
    pub header_len: u8,
    /// Whether an ICMP error about it may be sent to its source, 0 or 1: not about ICMP errors (nor about
    /// ICMP whose type is not there to be seen), not about fragments but the first, not to addresses that
    /// no single host has, and not about what was sent to many (RFC 1812 section 4.3.2.7).
    pub may_be_answered: u8,
    /// What is there of its payload, within the buffer that was parsed.
    pub payload: ipip_span,
}

/// Checks an ICMP error, the whole payload of an IPv4 packet that is no fragment, and reads it. What it
/// quotes is not checked here; extensions (RFC 4884) are no part of it.
///
/// IPIP_STATUS_TRUNCATED, IPIP_STATUS_ICMP_NOT_ERROR or IPIP_STATUS_CHECKSUM, looked for in this order.
///
/// # Safety
/// `message` is NULL or points to `message_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_icmp_error_parse(
    message: *const u8,
    message_len: usize,
    view_out: Option<&mut MaybeUninit<ipip_icmp_error_view>>,
) -> ipip_status {
    guard(|| {
        let out = required(view_out, "view_out")?;
        // SAFETY: the caller's duty, as documented.
        let message = unsafe { octets(message, message_len, "message") }?;
        let view = IcmpErrorView::parse(message)?;
        out.write(ipip_icmp_error_view {
            error: view.error().into(),
            quoted: ipip_span {
                offset: ICMP_ERROR_HEADER_LEN,
                len: view.quoted().len(),
            },
        });
        Ok(())
    })
}

/// Writes an IPv4 packet with this error to the start of `buffer`: from `source` to the sender of
/// `original`, of which it quotes as much as IPIP_MAX_ICMP_ERROR_LEN allows. `len_out` is its length in
/// octets, 56 to 576 for a whole `original`; so long a buffer is always long enough. What follows in
/// `buffer` is left alone.
///
/// `original` may be cut short, but not within its header; its other checks are left out, because the
/// packet was good when it was sent. Ask `may_be_answered` of `ipip_quoted_parse` first, and send at a
/// limited rate.
///
/// The failures are those of `ipip_quoted_parse` for `original`, IPIP_STATUS_HEADER_BUFFER for a buffer that
/// is too short, and IPIP_STATUS_INVALID_ARGUMENT for an unknown kind. Nothing is written then.
///
/// # Safety
/// `original` is NULL or points to `original_len` octets; `buffer` is NULL or points to `buffer_len` octets
/// that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_icmp_error_emit(
    error: Option<&ipip_icmp_error>,
    source: ipip_ipv4,
    original: *const u8,
    original_len: usize,
    buffer: *mut u8,
    buffer_len: usize,
    len_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        let error = required(error, "error")?.checked()?;
        let out = required(len_out, "len_out")?;
        // SAFETY: the caller's duty, as documented.
        let original = unsafe { octets(original, original_len, "original") }?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets_mut(buffer, buffer_len, "buffer") }?;
        out.write(error.emit(source.into(), original, buffer)?);
        Ok(())
    })
}

/// Reads the header at the start of `octets`, the beginning of a packet. Total length and checksum are not
/// compared with anything: the packet is cut short, and routers change headers before they quote them.
///
/// IPIP_STATUS_TRUNCATED if the header is not all there, IPIP_STATUS_VERSION, IPIP_STATUS_HEADER_LEN.
///
/// # Safety
/// `octets` is NULL or points to `octets_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_quoted_parse(
    octets: *const u8,
    octets_len: usize,
    quoted_out: Option<&mut MaybeUninit<ipip_quoted>>,
) -> ipip_status {
    guard(|| {
        let out = required(quoted_out, "quoted_out")?;
        // SAFETY: the caller's duty, as documented.
        let octets = unsafe { self::octets(octets, octets_len, "octets") }?;
        out.write(ipip_quoted::of(&Quoted::parse(octets, Layer::Inner)?, 0));
        Ok(())
    })
}

impl ipip_icmp_error {
    pub(crate) fn checked(self) -> Result<IcmpError, Failure> {
        let (code, pointer) = (self.code, self.pointer);
        let kinds = [
            (
                ipip_icmp_error_kind::Unreachable as u32,
                IcmpError::Unreachable { code },
            ),
            (
                ipip_icmp_error_kind::FragmentationNeeded as u32,
                IcmpError::FragmentationNeeded { mtu: self.mtu },
            ),
            (
                ipip_icmp_error_kind::SourceQuench as u32,
                IcmpError::SourceQuench,
            ),
            (
                ipip_icmp_error_kind::Redirect as u32,
                IcmpError::Redirect {
                    code,
                    gateway: self.gateway.into(),
                },
            ),
            (
                ipip_icmp_error_kind::TimeExceeded as u32,
                IcmpError::TimeExceeded { code },
            ),
            (
                ipip_icmp_error_kind::ParameterProblem as u32,
                IcmpError::ParameterProblem { code, pointer },
            ),
        ];
        choose(self.kind, "kind", "ipip_icmp_error_kind", &kinds)
    }
}

impl From<IcmpError> for ipip_icmp_error {
    fn from(error: IcmpError) -> Self {
        let of = |kind: ipip_icmp_error_kind, code| Self {
            kind: kind as u32,
            code,
            pointer: 0,
            mtu: 0,
            gateway: ipip_ipv4 { octets: [0; 4] },
        };
        match error {
            IcmpError::Unreachable { code } => of(ipip_icmp_error_kind::Unreachable, code),
            IcmpError::FragmentationNeeded { mtu } => Self {
                mtu,
                ..of(ipip_icmp_error_kind::FragmentationNeeded, 0)
            },
            IcmpError::SourceQuench => of(ipip_icmp_error_kind::SourceQuench, 0),
            IcmpError::Redirect { code, gateway } => Self {
                gateway: gateway.into(),
                ..of(ipip_icmp_error_kind::Redirect, code)
            },
            IcmpError::TimeExceeded { code } => of(ipip_icmp_error_kind::TimeExceeded, code),
            IcmpError::ParameterProblem { code, pointer } => Self {
                pointer,
                ..of(ipip_icmp_error_kind::ParameterProblem, code)
            },
        }
    }
}

impl ipip_quoted {
    /// For a header that begins `base` octets into the buffer.
    pub(crate) fn of(quoted: &Quoted<'_>, base: usize) -> Self {
        Self {
            source: quoted.source.into(),
            destination: quoted.destination.into(),
            protocol: quoted.protocol,
            dont_fragment: quoted.dont_fragment.into(),
            fragment_offset: quoted.fragment_offset.units(),
            total_len: quoted.total_len,
            header_len: quoted.header_len,
            may_be_answered: quoted.may_be_answered().into(),
            payload: ipip_span {
                offset: base + usize::from(quoted.header_len),
                len: quoted.payload.len(),
            },
        }
    }

    /// The header alone: nothing is there of the payload.
    pub(crate) fn checked(self) -> Result<Quoted<'static>, Failure> {
        Ok(Quoted {
            source: self.source.into(),
            destination: self.destination.into(),
            protocol: self.protocol,
            dont_fragment: flag(self.dont_fragment, "dont_fragment")?,
            fragment_offset: FragmentOffset::try_new(self.fragment_offset)?,
            total_len: self.total_len,
            header_len: self.header_len,
            payload: &[],
        })
    }
}
