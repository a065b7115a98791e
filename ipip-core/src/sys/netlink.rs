//! Socket options that the netlink socket crate does not offer.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::socket::{self, option, set_option};

/// Sets the receive buffer to `octets`: past the system's limit (`net.core.rmem_max`) where the
/// process may (`SO_RCVBUFFORCE`), else up to it (`SO_RCVBUF`).
///
/// # Errors
/// The kernel's answer to the second attempt.
pub(crate) fn set_receive_buffer(fd: BorrowedFd<'_>, octets: libc::c_int) -> io::Result<()> {
    socket::set_receive_buffer(fd, octets)
}

/// Makes a receive fail with `EAGAIN` after `limit` (`SO_RCVTIMEO`), counted in whole microseconds;
/// zero waits for ever.
///
/// # Errors
/// `EDOM` for a limit that the kernel cannot represent.
pub(crate) fn set_receive_timeout(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let seconds = libc::time_t::try_from(limit.as_secs())
        .map_err(|_| io::Error::from_raw_os_error(libc::EDOM))?;
    let value = libc::timeval {
        tv_sec: seconds,
        tv_usec: libc::suseconds_t::from(limit.subsec_micros()),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)
}

/// How much a socket holds, in octets as the kernel charges them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    /// What may wait to be read; a message more is dropped and reported as `ENOBUFS`.
    pub(crate) receive: usize,
    /// What one send may be charged; more is refused with `EMSGSIZE`.
    pub(crate) send: usize,
}

/// What the socket's buffers really hold (`SO_RCVBUF`, `SO_SNDBUF`): limits of the system may have made
/// them smaller than was asked for.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn buffers(fd: BorrowedFd<'_>) -> io::Result<Buffers> {
    let octets = |name| -> io::Result<usize> {
        let octets: libc::c_int = option(fd, libc::SOL_SOCKET, name)?;
        Ok(usize::try_from(octets).unwrap_or_default())
    };
    Ok(Buffers {
        receive: octets(libc::SO_RCVBUF)?,
        send: octets(libc::SO_SNDBUF)?,
    })
}
