//! TUN: a network interface whose other end is this process.

use std::ffi::{CStr, c_int, c_short};
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::{interface, socket};
use crate::name::InterfaceName;

/// The device file that TUN interfaces are made through.
pub const DEVICE_FILE: &str = "/dev/net/tun";

/// Octets of the note (`struct virtio_net_hdr`) in front of every packet read or written.
pub const NOTE_LEN: usize = 10;

/// A TUN interface of IPv4 packets. It exists as long as this value unless it is made to stay, and it never
/// blocks.
#[derive(Debug)]
pub struct Tun {
    file: File,
}

/// What the kernel should know of a packet written to a TUN device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A packet like any other, its checksums complete.
    Plain,
    /// A TCP segment over IPv4 longer than the path carries: the kernel cuts it where it has to, and
    /// finishes the checksum, whose field holds the sum of the pseudo header.
    Segment {
        /// Octets of payload per piece.
        size: u16,
        /// Where the TCP header begins, in octets from the packet's first.
        tcp_at: u16,
        /// Where the payload begins, in octets from the packet's first.
        payload_at: u16,
    },
}

/// What the kernel says of a packet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Its length in octets.
    pub len: usize,
    /// Whether its transport checksum is still to be finished; never before [`Tun::leave_checksums`].
    pub checksum_pending: bool,
}

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`, a flag in a note's first octet.
const NEEDS_CHECKSUM: u8 = 1;

impl Tun {
    /// Makes an interface of exactly that name in the namespace of the calling thread. It is down and
    /// has no address. Packets read from it have whole checksums and are no longer than its MTU.
    ///
    /// # Errors
    /// `EBUSY` if the name is taken, `EPERM` without `CAP_NET_ADMIN`, `ENOENT` or `ENODEV` without
    /// the tun driver.
    pub fn create(name: &InterfaceName) -> io::Result<Self> {
        // Without it the kernel would attach to a persistent TUN device of that name.
        Self::open(name, libc::IFF_TUN_EXCL)
    }

    /// Makes an interface of that name, or attaches to one that is there and that nobody holds. It stays when the
    /// value goes (`ip tuntap add`), without carrier then.
    ///
    /// # Errors
    /// As [`Tun::create`]; `EBUSY` if another process holds it, `EINVAL` if it is no TUN interface.
    pub fn persistent(name: &InterfaceName) -> io::Result<Self> {
        let tun = Self::open(name, 0)?;
        // SAFETY: TUNSETPERSIST takes a number.
        socket::check(unsafe { libc::ioctl(tun.file.as_raw_fd(), libc::TUNSETPERSIST, 1) })?;
        Ok(tun)
    }

    /// Takes it on to finish checksums: packets read from now on may want that, as [`Packet::checksum_pending`]
    /// says. Without it Linux before 6.11 does not let its own programs send UDP in segments (`UDP_SEGMENT`: `EIO`).
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn leave_checksums(&self) -> io::Result<()> {
        let fd = self.file.as_raw_fd();
        // SAFETY: TUNSETOFFLOAD takes a number.
        socket::check(unsafe { libc::ioctl(fd, libc::TUNSETOFFLOAD, libc::TUN_F_CSUM) })
    }

    fn open(name: &InterfaceName, more_flags: c_int) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(DEVICE_FILE)?;
        let mut request = interface::request(name);
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | more_flags;
        // The flags fill all sixteen bits, so the cast keeps them.
        request.ifr_ifru.ifru_flags = c_short::from_ne_bytes(
            u16::try_from(flags)
                .map_err(io::Error::other)?
                .to_ne_bytes(),
        );
        // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        socket::check(result)?;
        // SAFETY: the name is an array of 16 octets that the kernel ends with a zero.
        let made = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
        if made.to_bytes() != name.as_str().as_bytes() {
            // A '%d' in the name is a pattern to the kernel. The interface ends with `file`.
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(Self { file })
    }

    /// The next packet that the kernel sends through the interface: `buffer` then holds
    /// [`NOTE_LEN`] octets of no interest and the packet. `None` if none is waiting.
    ///
    /// # Errors
    /// `EBADFD` once the interface has been removed.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        let len = ready((&self.file).read(buffer))?;
        let flags = buffer.first().copied().unwrap_or_default();
        Ok(len.map(|len| Packet {
            len: len.saturating_sub(NOTE_LEN),
            checksum_pending: flags & NEEDS_CHECKSUM != 0,
        }))
    }

    /// Hands `packet` to the kernel as received from the interface; `Ok(false)` if it has no room at
    /// the moment.
    ///
    /// # Errors
    /// `EIO` while the interface is down, `EINVAL` for what is no IP packet, `EBADFD` once the
    /// interface has been removed.
    pub fn write(&self, packet: &[u8], note: Note) -> io::Result<bool> {
        let note = note.octets();
        let parts = [IoSlice::new(&note), IoSlice::new(packet)];
        Ok(ready((&self.file).write_vectored(&parts))?.is_some())
    }
}

impl Note {
    /// The `struct virtio_net_hdr` of linux/virtio_net.h, in the machine's byte order as TUN has it.
    fn octets(self) -> [u8; NOTE_LEN] {
        const SEGMENT_TCP_IPV4: u8 = 1;
        /// The place of the checksum in a TCP header (RFC 9293, 3.1).
        const TCP_CHECKSUM_AT: u16 = 16;
        let mut octets = [0; NOTE_LEN];
        if let Self::Segment {
            size,
            tcp_at,
            payload_at,
        } = self
        {
            octets[..2].copy_from_slice(&[NEEDS_CHECKSUM, SEGMENT_TCP_IPV4]);
            let numbers = [payload_at, size, tcp_at, TCP_CHECKSUM_AT];
            for (place, number) in octets[2..].chunks_exact_mut(2).zip(numbers) {
                place.copy_from_slice(&number.to_ne_bytes());
            }
        }
        octets
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}
