//! What the socket files share: open, options, and one shape for "would block".

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::net::Ipv4Addr;
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

/// The value of the option `name`, which must be integers only.
pub(super) fn option<T: Copy + Default>(fd: impl AsFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut len = len_of::<T>();
    // SAFETY: the pointer and the length describe `value`, which outlives the call; all callers ask for
    // integers, for which any octets are valid.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    check(result).map(|()| value)
}

/// Names `to` as the other end of a socket that sends datagrams; nothing is sent.
pub(super) fn connect(fd: &OwnedFd, to: Ipv4Addr) -> io::Result<()> {
    let address = address(to);
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    let result = unsafe {
        libc::connect(
            fd.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            len_of::<libc::sockaddr_in>(),
        )
    };
    check(result)
}

/// An IPv4 address as the kernel takes it, port 0.
pub(super) fn address(addr: Ipv4Addr) -> libc::sockaddr_in {
    // SAFETY: a sockaddr_in is numbers only, for which zero is valid.
    let mut address: libc::sockaddr_in = unsafe { zeroed() };
    address.sin_family = libc::sa_family_t::try_from(libc::AF_INET).expect("a number below 65536");
    address.sin_addr.s_addr = u32::from_ne_bytes(addr.octets());
    address
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
