//! Socket options that the netlink socket crate does not offer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Sets the receive buffer to `octets`: past the system's limit (`net.core.rmem_max`) where the
/// process may (`SO_RCVBUFFORCE`), else up to it (`SO_RCVBUF`).
///
/// # Errors
/// The kernel's answer to the second attempt.
pub(crate) fn set_receive_buffer(socket: BorrowedFd<'_>, octets: libc::c_int) -> io::Result<()> {
    set(socket, libc::SO_RCVBUFFORCE, &octets).or_else(|_| set(socket, libc::SO_RCVBUF, &octets))
}

/// Makes a receive fail with `EAGAIN` after `limit` (`SO_RCVTIMEO`), counted in whole microseconds;
/// zero waits for ever.
///
/// # Errors
/// `EDOM` for a limit that the kernel cannot represent.
pub(crate) fn set_receive_timeout(socket: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let seconds = libc::time_t::try_from(limit.as_secs())
        .map_err(|_| io::Error::from_raw_os_error(libc::EDOM))?;
    let value = libc::timeval {
        tv_sec: seconds,
        tv_usec: libc::suseconds_t::from(limit.subsec_micros()),
    };
    set(socket, libc::SO_RCVTIMEO, &value)
}

fn set<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).expect("an option of a few octets");
    // SAFETY: the descriptor is open, and `value` is valid for reads of its own size during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
