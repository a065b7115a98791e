//! AF_PACKET: the frames of one interface, each with time, direction and true length.

use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::{offset_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use super::socket;

/// Whether frames are wanted with their link header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// From the link header on (`SOCK_RAW`).
    LinkHeader,
    /// From the network header on (`SOCK_DGRAM`); right for devices without a link header.
    NetworkHeader,
}

/// A packet socket. It is bound to one interface and never blocks.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

/// What the kernel says of one received frame; its octets are in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Octets written to the buffer.
    pub captured_len: usize,
    /// Octets the frame had; more than `captured_len` if the buffer was too short.
    pub original_len: usize,
    /// When the kernel saw it.
    pub time: SystemTime,
    /// Whether this host sent it.
    pub outgoing: bool,
    /// Whether its transport checksum is left for hardware to finish (`TP_STATUS_CSUMNOTREADY`).
    pub checksum_pending: bool,
    /// A VLAN tag that the kernel took out of the frame, as tag protocol and tag control.
    pub vlan: Option<[u16; 2]>,
}

/// Frames since the last question (`PACKET_STATISTICS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that reached the socket, dropped ones included.
    pub seen: u32,
    /// Frames for which the receive buffer had no room.
    pub dropped: u32,
}

impl PacketSocket {
    /// A socket in the namespace of the calling thread. It receives nothing until it is bound.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn open(content: Content) -> io::Result<Self> {
        let kind = match content {
            Content::LinkHeader => libc::SOCK_RAW,
            Content::NetworkHeader => libc::SOCK_DGRAM,
        };
        // Protocol 0: with ETH_P_ALL it would receive from every interface until bind.
        let fd = socket::open(libc::AF_PACKET, kind, 0)?;
        let on: c_int = 1;
        socket::set_option(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on)?;
        socket::set_option(&fd, libc::SOL_PACKET, PACKET_AUXDATA, &on)?;
        Ok(Self { fd })
    }

    /// Asks for a receive buffer of `octets`; the kernel may give less.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn set_receive_buffer(&self, octets: i32) -> io::Result<()> {
        socket::set_receive_buffer(&self.fd, octets)
    }

    /// Starts to receive every frame that the interface numbered `index` sends or receives
    /// (`ETH_P_ALL`, which sees packets before tc does).
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface. One that is down is no error: frames come once it is up.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        // SAFETY: a sockaddr_ll is numbers only, for which zero is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_protocol = u16::try_from(libc::ETH_P_ALL)
            .map_err(io::Error::other)?
            .to_be();
        address.sll_ifindex = c_int::try_from(index).map_err(io::Error::other)?;
        // SAFETY: the pointer and the length describe `address`, which outlives the call.
        let result = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                socket::len_of::<libc::sockaddr_ll>(),
            )
        };
        socket::check(result)?;
        // Binding to an interface that is down leaves ENETDOWN for the first receive.
        self.take_error().map(drop)
    }

    /// Takes no more frames from now on; those already received can still be read.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn close_intake(&self) -> io::Result<()> {
        let mut reject = libc::sock_filter {
            code: BPF_RET_K,
            jt: 0,
            jf: 0,
            k: 0,
        };
        let program = libc::sock_fprog {
            len: 1,
            filter: &raw mut reject,
        };
        // The program has one instruction, which outlives the call.
        socket::set_option(&self.fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// The next frame, its octets in `buffer`; `None` if none is waiting.
    ///
    /// # Errors
    /// `ENETDOWN` once after the interface went down or, from up, away.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        // SAFETY: a sockaddr_ll is numbers only, for which zero is valid.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        let mut control = [0u64; 16];
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: a msghdr is numbers and pointers, for which zero and null are valid.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = socket::len_of::<libc::sockaddr_ll>();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the message describes `from`, `buffer` and `control`, each with its own length, and
        // all of them outlive the call. MSG_TRUNC only changes the number returned.
        let result =
            unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, libc::MSG_TRUNC) };
        let Some(original_len) = socket::count(result)? else {
            return Ok(None);
        };
        let notes = Notes::read(&message);
        Ok(Some(Received {
            captured_len: original_len.min(buffer.len()),
            original_len,
            // Without a stamp (never seen): the time of reading.
            time: notes.time.unwrap_or_else(SystemTime::now),
            outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
            checksum_pending: notes.checksum_pending,
            vlan: notes.vlan,
        }))
    }

    /// Frames seen and dropped since the last call, which resets both.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn statistics(&self) -> io::Result<Statistics> {
        // struct tpacket_stats: tp_packets (dropped ones included), tp_drops.
        let [seen, dropped] =
            socket::option::<[c_uint; 2]>(&self.fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(Statistics { seen, dropped })
    }

    /// Takes the error that waits on the socket; `None` if there is none.
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = socket::option::<c_int>(&self.fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `PACKET_AUXDATA` of linux/if_packet.h: a [`AuxData`] with each frame.
const PACKET_AUXDATA: c_int = 8;
/// `BPF_RET | BPF_K` of linux/filter.h: accept `k` octets, none for 0.
const BPF_RET_K: u16 = 0x06;
const TP_STATUS_CSUM_NOT_READY: u32 = 1 << 3;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

/// `struct tpacket_auxdata` of linux/if_packet.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct AuxData {
    status: u32,
    len: u32,
    snap_len: u32,
    mac: u16,
    net: u16,
    vlan_tci: u16,
    vlan_tpid: u16,
}

const _: () = assert!(offset_of!(AuxData, vlan_tci) == 16 && size_of::<AuxData>() == 20);

/// What the control messages of one frame say.
#[derive(Default)]
struct Notes {
    time: Option<SystemTime>,
    checksum_pending: bool,
    vlan: Option<[u16; 2]>,
}

impl Notes {
    fn read(message: &libc::msghdr) -> Self {
        let mut notes = Self::default();
        // SAFETY: the kernel filled the message, so its control pointer and length describe octets
        // that live as long as the borrow.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside the control
        // octets, which are aligned for it (an array of u64).
        while let Some(header) = unsafe { next.as_ref() } {
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    notes.time = value::<libc::timespec>(header).and_then(system_time);
                }
                (libc::SOL_PACKET, PACKET_AUXDATA) => {
                    if let Some(aux) = value::<AuxData>(header) {
                        notes.checksum_pending = aux.status & TP_STATUS_CSUM_NOT_READY != 0;
                        notes.vlan = vlan(&aux);
                    }
                }
                _ => {}
            }
            // SAFETY: `header` is inside the control octets of `message`.
            next = unsafe { libc::CMSG_NXTHDR(message, header) };
        }
        notes
    }
}

/// The value of a control message; `None` if it is shorter than `T`.
fn value<T: Copy>(header: &libc::cmsghdr) -> Option<T> {
    // SAFETY: arithmetic on numbers.
    let needed = unsafe { libc::CMSG_LEN(socket::len_of::<T>()) };
    if header.cmsg_len < needed as _ {
        return None;
    }
    // SAFETY: arithmetic on the header's own address.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: the kernel wrote at least a `T` there (just checked); read_unaligned asks no alignment,
    // and both types used here are integers, for which any octets are valid.
    Some(unsafe { data.cast::<T>().read_unaligned() })
}

fn vlan(aux: &AuxData) -> Option<[u16; 2]> {
    let tpid = if aux.status & TP_STATUS_VLAN_TPID_VALID != 0 {
        aux.vlan_tpid
    } else {
        0x8100 // IEEE 802.1Q, the only tag of kernels that do not name it
    };
    (aux.status & TP_STATUS_VLAN_VALID != 0).then_some([tpid, aux.vlan_tci])
}

fn system_time(stamp: libc::timespec) -> Option<SystemTime> {
    let since = Duration::new(
        u64::try_from(stamp.tv_sec).ok()?,
        u32::try_from(stamp.tv_nsec).ok()?,
    );
    SystemTime::UNIX_EPOCH.checked_add(since)
}
