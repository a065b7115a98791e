//! What the socket files share: open, options, and one shape for "would block".

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A new socket, close-on-exec and non-blocking.
pub(super) fn open(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::socket(domain, kind | flags, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave this descriptor to us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets the option `name` to `value`, which must be the plain C value that the option takes; what it
/// points to, as a filter does, must be valid during the call.
pub(super) fn set_option<T: Copy>(
    fd: impl AsFd,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            len_of::<T>(),
        )
    };
    check(result)
}

/// Asks for a receive buffer of `octets`, past the system's limit where we may, up to it elsewhere.
pub(super) fn set_receive_buffer(fd: impl AsFd, octets: c_int) -> io::Result<()> {
    let fd = fd.as_fd();
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &octets)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &octets))
}

/// Binds to an interface by name, so that only its packets are received and it alone sends.
pub(super) fn bind_device(fd: &OwnedFd, name: &str) -> io::Result<()> {
    let length = libc::socklen_t::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the pointer and the length describe `name`, which outlives the call; the kernel adds
    // the final zero itself.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            length,
        )
    };
    check(result)
}

/// The size of `T` as the kernel takes it.
pub(super) fn len_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a socket structure is far below 4 GiB")
}

/// The kernel's answer to a call that returns 0 or -1.
pub(super) fn check(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The answer of a call that returns a count or -1; `None` if there was nothing to do yet.
/// An interrupted call counts as that too: whoever waits, waits again.
pub(super) fn count(result: isize) -> io::Result<Option<usize>> {
    match usize::try_from(result) {
        Ok(count) => Ok(Some(count)),
        Err(_) => {
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            }
        }
    }
}
