//! TUN: a network interface whose other end is this process.

use std::ffi::{CStr, c_int, c_short, c_uint};
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::{interface, socket};
use crate::name::InterfaceName;

/// The device file that TUN interfaces are made through.
pub const DEVICE_FILE: &str = "/dev/net/tun";

/// Octets of the note (`struct virtio_net_hdr`) in front of every packet read or written.
pub const NOTE_LEN: usize = 10;

/// The most parts that [`Tun::write`] takes.
pub const MAX_PARTS: usize = 127;

/// A TUN interface of IPv4 packets. It exists as long as this value unless it is made to stay, and it never
/// blocks.
#[derive(Debug)]
pub struct Tun {
    file: File,
    /// Whether packets have notes; very old and odd kernels refuse them.
    has_notes: bool,
}

/// What of the kernel's work a reader of a TUN interface has taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offload {
    /// None: packets read are whole and no longer than the MTU.
    None,
    /// To finish checksums, as [`Packet::checksum_pending`] says.
    Checksums,
    /// And to cut TCP segments, as [`Packet::piece_len`] says.
    Tcp,
    /// And UDP (Linux 6.2, `UDP_SEGMENT`).
    TcpAndUdp,
}

impl Offload {
    /// The most first.
    const ALL: [Self; 3] = [Self::TcpAndUdp, Self::Tcp, Self::Checksums];

    /// The flags of `TUNSETOFFLOAD` (linux/if_tun.h). The kernel takes UDP's for both families or not at all;
    /// IPv6 packets are none of ours, and refused when read.
    fn flags(self) -> c_uint {
        const TUN_F_USO4: c_uint = 0x20;
        const TUN_F_USO6: c_uint = 0x40;
        let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4;
        match self {
            Self::None => 0,
            Self::Checksums => libc::TUN_F_CSUM,
            Self::Tcp => tcp,
            Self::TcpAndUdp => tcp | TUN_F_USO4 | TUN_F_USO6,
        }
    }
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
    /// Whether its transport checksum is still to be finished; never before [`Tun::take_on`].
    pub checksum_pending: bool,
    /// Into how many octets of payload each its reader has to cut it, if it is longer than the MTU; never
    /// before [`Tun::take_on`].
    pub piece_len: Option<NonZeroU16>,
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

    /// Takes on as much of the kernel's work as the kernel gives, and says how much that is. Without checksums
    /// Linux before 6.11 does not let its own programs send UDP in segments (`UDP_SEGMENT`: `EIO`); with TCP a
    /// packet of 64 KiB is read at once that would else be 45.
    #[must_use]
    pub fn take_on(&self) -> Offload {
        if !self.has_notes {
            return Offload::None;
        }
        let fd = self.file.as_raw_fd();
        let taken = Offload::ALL.into_iter().find(|offload| {
            let flags = std::ffi::c_ulong::from(offload.flags());
            // SAFETY: TUNSETOFFLOAD takes a number.
            socket::check(unsafe { libc::ioctl(fd, libc::TUNSETOFFLOAD, flags) }).is_ok()
        });
        taken.unwrap_or(Offload::None)
    }

    /// With notes where the kernel has them: some refuse the flag with EINVAL.
    fn open(name: &InterfaceName, more_flags: c_int) -> io::Result<Self> {
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | more_flags;
        let attached = attach(name, flags | libc::IFF_VNET_HDR);
        match attached.map_err(|error| (error.raw_os_error(), error)) {
            Ok(file) => Ok(Self {
                file,
                has_notes: true,
            }),
            Err((Some(libc::EINVAL), _)) => attach(name, flags).map(|file| Self {
                file,
                has_notes: false,
            }),
            Err((_, error)) => Err(error),
        }
    }

    /// The next packet that the kernel sends through the interface: `buffer` then holds
    /// [`NOTE_LEN`] octets of no interest and the packet. `None` if none is waiting.
    ///
    /// # Errors
    /// `EBADFD` once the interface has been removed.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        let Some((note, _)) = buffer.split_first_chunk_mut::<NOTE_LEN>() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        *note = [0; NOTE_LEN];
        let note_len = if self.has_notes { 0 } else { NOTE_LEN };
        let place = buffer.get_mut(note_len..).unwrap_or_default();
        let Some(len) = ready((&self.file).read(place))? else {
            return Ok(None);
        };
        let note = buffer.first_chunk().copied().unwrap_or_default();
        Ok(Some(Packet::of(
            note,
            (note_len + len).saturating_sub(NOTE_LEN),
        )))
    }

    /// Hands the packet made of `parts` to the kernel as received from the interface; `Ok(false)` if it has no
    /// room at the moment.
    ///
    /// # Errors
    /// `EIO` while the interface is down, `EINVAL` for what is no IP packet, for a segment where the kernel takes
    /// none, and for more than [`MAX_PARTS`] parts, `EBADFD` once the interface has been removed.
    pub fn write(&self, parts: &[&[u8]], note: Note) -> io::Result<bool> {
        let mut all = [IoSlice::new(&[]); 1 + MAX_PARTS];
        let octets = note.octets();
        if parts.len() > MAX_PARTS || (!self.has_notes && note != Note::Plain) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let first: &[u8] = if self.has_notes { &octets } else { &[] };
        let parts = std::iter::once(first).chain(parts.iter().copied());
        let mut count = 0;
        for (place, part) in all.iter_mut().zip(parts) {
            *place = IoSlice::new(part);
            count += 1;
        }
        let all = all.get(..count).unwrap_or_default();
        Ok(ready((&self.file).write_vectored(all))?.is_some())
    }
}

/// The device file as the other end of an interface of exactly that name.
fn attach(name: &InterfaceName, flags: c_int) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(DEVICE_FILE)?;
    let mut request = interface::request(name);
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
    Ok(file)
}

impl Packet {
    /// What `note` says of a packet of `len` octets: the `struct virtio_net_hdr` of linux/virtio_net.h.
    fn of(note: [u8; NOTE_LEN], len: usize) -> Self {
        let [flags, kind, _, _, low, high, ..] = note;
        let piece_len = NonZeroU16::new(u16::from_ne_bytes([low, high]));
        Self {
            len,
            checksum_pending: flags & NEEDS_CHECKSUM != 0,
            piece_len: piece_len.filter(|_| kind != 0),
        }
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
