//! Raw IPv4 sockets: ICMP for packets whose outer header the kernel writes, and protocol 4 for
//! packets whose header is ours.

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::socket;
use crate::name::InterfaceName;

/// The most packets that one call sends or receives.
pub const MAX_BATCH: usize = 64;

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

    /// As [`RawSocket::icmp`], but receives only "destination unreachable", "time exceeded" and "parameter problem".
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn icmp_errors() -> io::Result<Self> {
        // linux/icmp.h: the types not wanted, a bit each.
        const ICMP_FILTER: c_int = 1;
        let refused = !((1_u32 << 3) | (1 << 11) | (1 << 12));
        let socket = Self::icmp()?;
        socket::set_option(&socket.fd, libc::SOL_RAW, ICMP_FILTER, &refused)?;
        Ok(socket)
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

    /// Sends the first [`MAX_BATCH`] of `packets`, each towards its own address, with one call, up to the first that
    /// cannot be sent; returns how many were, 0 if the send buffer is full at the moment.
    ///
    /// # Errors
    /// As [`RawSocket::send`], about the first of them.
    pub fn send_batch<'a>(
        &self,
        packets: impl Iterator<Item = (&'a [u8], Ipv4Addr)>,
    ) -> io::Result<usize> {
        // SAFETY: an address, an iovec and a message are numbers and pointers, for which zero and null are valid.
        let (mut addresses, mut parts, mut messages): (
            [libc::sockaddr_in; MAX_BATCH],
            [libc::iovec; MAX_BATCH],
            [libc::mmsghdr; MAX_BATCH],
        ) = unsafe { zeroed() };
        let places = addresses.iter_mut().zip(&mut parts).zip(&mut messages);
        let mut count = 0;
        for (((address, part), message), (packet, to)) in places.zip(packets) {
            *address = socket::address(to);
            // The kernel only reads what is sent.
            part.iov_base = packet.as_ptr().cast_mut().cast();
            part.iov_len = packet.len();
            message.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            message.msg_hdr.msg_namelen = socket::len_of::<libc::sockaddr_in>();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: `count` messages are described, each with its own address, part and packet, which all
        // outlive the call.
        let result =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        let sent = isize::try_from(result).map_err(io::Error::other)?;
        Ok(socket::count(sent)?.unwrap_or(0))
    }

    /// The next packets, each at the start of one of `buffers` with its length in `lens` (more than the buffer's if
    /// it was cut), with one call; returns how many, 0 if none is waiting. No more than [`MAX_BATCH`].
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn receive_batch<'a>(
        &self,
        buffers: impl Iterator<Item = &'a mut [u8]>,
        lens: &mut [usize; MAX_BATCH],
    ) -> io::Result<usize> {
        // SAFETY: an iovec and a message are numbers and pointers, for which zero and null are valid.
        let (mut parts, mut messages): ([libc::iovec; MAX_BATCH], [libc::mmsghdr; MAX_BATCH]) =
            unsafe { zeroed() };
        let mut count = 0;
        for ((part, message), buffer) in parts.iter_mut().zip(&mut messages).zip(buffers) {
            part.iov_base = buffer.as_mut_ptr().cast();
            part.iov_len = buffer.len();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: `count` messages are described, each with its own part and buffer, which outlive the call. MSG_TRUNC
        // only changes the numbers returned; a null time is "no limit", and the socket does not block.
        let result = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count,
                libc::MSG_TRUNC,
                std::ptr::null_mut(),
            )
        };
        let received = isize::try_from(result).map_err(io::Error::other)?;
        let received = socket::count(received)?.unwrap_or(0);
        for (len, message) in lens.iter_mut().zip(&messages).take(received) {
            *len = usize::try_from(message.msg_len).map_err(io::Error::other)?;
        }
        Ok(received)
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
