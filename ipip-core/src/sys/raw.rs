//! Raw IPv4 sockets: ICMP for packets whose outer header the kernel writes, and protocol 4 for
//! packets whose header is ours.

use std::ffi::c_int;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::socket;
use crate::name::InterfaceName;

/// A raw IPv4 socket that never blocks. What it receives begins with the IPv4 header, fragments
/// already put together.
#[derive(Debug)]
pub struct RawSocket {
    fd: OwnedFd,
}

impl RawSocket {
    /// Sends ICMP messages behind a header that the kernel writes, and receives a copy of every ICMP
    /// packet that the kernel does.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn icmp() -> io::Result<Self> {
        socket::open(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).map(|fd| Self { fd })
    }

    /// Sends packets that begin with their own IPv4 header (`IP_HDRINCL`: the kernel still fills the
    /// total length, the checksum, and an identification or source of zero), and receives every
    /// packet of protocol 4 (RFC 2003). While it is open the kernel answers none with "protocol
    /// unreachable".
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn ipip() -> io::Result<Self> {
        let fd = socket::open(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_IPIP)?;
        let on: c_int = 1;
        socket::set_option(&fd, libc::IPPROTO_IP, libc::IP_HDRINCL, &on)?;
        Ok(Self { fd })
    }

    /// Receives only what is sent to `local`, and sends from it where the kernel chooses.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if no interface of the namespace has that address.
    pub fn bind(&self, local: Ipv4Addr) -> io::Result<()> {
        let address = socket::address(local);
        // SAFETY: the pointer and the length describe `address`, which outlives the call.
        let result = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                socket::len_of::<libc::sockaddr_in>(),
            )
        };
        socket::check(result)
    }

    /// Receives from and sends through one interface only.
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface.
    pub fn bind_device(&self, interface: &InterfaceName) -> io::Result<()> {
        socket::bind_device(&self.fd, interface.as_str())
    }

    /// Asks for a receive buffer of `octets`; the kernel may give less.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn set_receive_buffer(&self, octets: i32) -> io::Result<()> {
        socket::set_receive_buffer(&self.fd, octets)
    }

    /// Sends `packet` towards `to`; `Ok(false)` if the send buffer is full at the moment.
    ///
    /// # Errors
    /// `EMSGSIZE` if it is longer than the MTU of the way out, `ENETUNREACH` without a route,
    /// `EPERM` if a filter refuses it.
    pub fn send(&self, packet: &[u8], to: Ipv4Addr) -> io::Result<bool> {
        let address = socket::address(to);
        // SAFETY: packet and address are described by their own pointers and lengths and outlive the
        // call.
        let result = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                std::ptr::from_ref(&address).cast(),
                socket::len_of::<libc::sockaddr_in>(),
            )
        };
        Ok(socket::count(result)?.is_some())
    }

    /// The next packet in `buffer`, with the length it had (more than the buffer's if it was cut);
    /// `None` if none is waiting.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: the pointer and the length describe `buffer`. MSG_TRUNC only changes the number
        // returned.
        let result = unsafe {
            libc::recv(
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC,
            )
        };
        socket::count(result)
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
