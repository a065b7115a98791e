//! ICMP echo (RFC 792).

use std::mem::MaybeUninit;

use ipip_core::wire::{ECHO_HEADER_LEN, Echo, EchoKind, EchoView};

use crate::boundary::{choose, guard, octets, octets_mut, required};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// Which half of an echo exchange: the ICMP type.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_echo_kind {
    /// Type 0.
    Reply = 0,
    /// Type 8.
    Request = 8,
}

/// The header of an echo message. Numbers are in the byte order of the machine.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_echo {
    /// An enum ipip_echo_kind.
    pub kind: u32,
    /// What tells one sender's requests from another's.
    pub identifier: u16,
    /// Counts a sender's requests.
    pub sequence: u16,
}

/// A checked echo message.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_echo_view {
    /// The header.
    pub echo: ipip_echo,
    /// The checksum as found, which is right.
    pub checksum: u16,
    /// What the reply must return unchanged, within the buffer that was parsed.
    pub data: ipip_span,
}

/// Checks an echo message, the whole payload of an IPv4 packet that is no fragment, and reads it.
///
/// IPIP_STATUS_TRUNCATED, IPIP_STATUS_ICMP_TYPE or IPIP_STATUS_CHECKSUM, looked for in this order.
///
/// # Safety
/// `message` is NULL or points to `message_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_echo_parse(
    message: *const u8,
    message_len: usize,
    view_out: Option<&mut MaybeUninit<ipip_echo_view>>,
) -> ipip_status {
    guard(|| {
        let out = required(view_out, "view_out")?;
        // SAFETY: the caller's duty, as documented.
        let message = unsafe { octets(message, message_len, "message") }?;
        let view = EchoView::parse(message)?;
        out.write(ipip_echo_view {
            echo: view.header().into(),
            checksum: view.checksum(),
            data: (ECHO_HEADER_LEN..message.len()).into(),
        });
        Ok(())
    })
}

/// Writes the header into the first 8 octets of `message`, with the checksum over all of it; what
/// follows is the data, which is there already.
///
/// IPIP_STATUS_HEADER_BUFFER below 8 octets, IPIP_STATUS_PACKET_TOO_LONG above 65,515 (what one packet
/// holds), IPIP_STATUS_INVALID_ARGUMENT for an unknown kind. Nothing is written then.
///
/// # Safety
/// `message` is NULL or points to `message_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_echo_emit(
    echo: Option<&ipip_echo>,
    message: *mut u8,
    message_len: usize,
) -> ipip_status {
    guard(|| {
        let echo = required(echo, "echo")?.checked()?;
        // SAFETY: the caller's duty, as documented.
        let message = unsafe { octets_mut(message, message_len, "message") }?;
        Ok(echo.emit(message)?)
    })
}

impl ipip_echo {
    fn checked(self) -> Result<Echo, Failure> {
        let kinds = [
            (ipip_echo_kind::Reply as u32, EchoKind::Reply),
            (ipip_echo_kind::Request as u32, EchoKind::Request),
        ];
        Ok(Echo {
            kind: choose(self.kind, "kind", "ipip_echo_kind", &kinds)?,
            identifier: self.identifier,
            sequence: self.sequence,
        })
    }
}

impl From<Echo> for ipip_echo {
    fn from(echo: Echo) -> Self {
        let kind = match echo.kind {
            EchoKind::Reply => ipip_echo_kind::Reply,
            EchoKind::Request => ipip_echo_kind::Request,
        };
        Self {
            kind: kind as u32,
            identifier: echo.identifier,
            sequence: echo.sequence,
        }
    }
}
