//! What can go wrong while capturing.

use std::io;
use std::path::PathBuf;

use super::frame::LinkType;
use crate::name::InterfaceName;
use crate::sys::netns::NetnsError;

/// Why frames of an interface cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The namespace cannot be entered.
    #[error("cannot capture on interface {interface}")]
    Namespace {
        /// The interface to be captured on.
        interface: InterfaceName,
        /// Which namespace, and the kernel's answer.
        source: NetnsError,
    },
    /// The namespace holds no interface of that name.
    #[error("no interface {interface} in network namespace {netns}", netns = netns.display())]
    NoInterface {
        /// The interface asked for.
        interface: InterfaceName,
        /// Where it was looked for.
        netns: PathBuf,
    },
    /// The caller may not open packet sockets there.
    #[error(
        "capturing on interface {interface} needs CAP_NET_RAW in the user namespace that owns network namespace {netns}",
        netns = netns.display()
    )]
    Privilege {
        /// The interface to be captured on.
        interface: InterfaceName,
        /// Its namespace.
        netns: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The interface carries frames that this library cannot read.
    #[error(
        "interface {interface} has hardware type {hardware_type}, this library reads Ethernet (1, 772) and raw IP (768, 65534)"
    )]
    HardwareType {
        /// The interface asked for.
        interface: InterfaceName,
        /// Its `ARPHRD_*` number.
        hardware_type: u16,
    },
    /// The interface went down. The capture goes on when it comes up again.
    #[error("interface {interface} went down")]
    Down {
        /// The interface captured on.
        interface: InterfaceName,
    },
    /// The interface was removed, or moved to another namespace; no frame will come any more.
    #[error("interface {interface} was removed from network namespace {netns}", netns = netns.display())]
    Gone {
        /// The interface captured on.
        interface: InterfaceName,
        /// Where it was.
        netns: PathBuf,
    },
    /// Another system call failed.
    #[error("cannot {action} on interface {interface} in network namespace {netns}", netns = netns.display())]
    System {
        /// What was tried, such as "open a packet socket".
        action: &'static str,
        /// The interface captured on.
        interface: InterfaceName,
        /// Its namespace.
        netns: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl CaptureError {
    /// The kernel's error number behind it.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Namespace { source, .. } => source.errno(),
            Self::NoInterface { .. } | Self::Gone { .. } => Some(libc::ENODEV),
            Self::Down { .. } => Some(libc::ENETDOWN),
            Self::Privilege { source, .. } | Self::System { source, .. } => source.raw_os_error(),
            Self::HardwareType { .. } => None,
        }
    }
}

/// Why frames cannot be written to a capture file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PcapError {
    /// A file holds frames of one link type only.
    #[error("a {found} frame does not belong in a capture file of {expected} frames")]
    LinkType {
        /// The frame's.
        found: LinkType,
        /// The file's.
        expected: LinkType,
    },
    /// The format counts seconds since 1970 in 32 bits.
    #[error("the frame's time is outside 1970 to 2106, which is what a capture file can hold")]
    Time,
    /// The format counts octets in 32 bits.
    #[error("a frame of {octets} octets is longer than a capture file can hold")]
    Len {
        /// The frame's length.
        octets: usize,
    },
    /// The file cannot be made.
    #[error("cannot make the capture file {path}", path = path.display())]
    Create {
        /// Where it was to be.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Writing failed, and nothing of the frame is in the file.
    #[error("cannot write the capture file")]
    Write(#[source] io::Error),
    /// Writing failed in the middle of a frame. The next call writes the rest before anything else, so
    /// the frame must not be given again.
    #[error("cannot write the last {left} octets of a frame to the capture file")]
    Rest {
        /// Octets of its record that are still to be written.
        left: usize,
        /// The writer's answer.
        source: io::Error,
    },
}

/// Why a capture cannot be read, or not further: the frames before the offset were whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open capture file {path}", path = path.display())]
    Open {
        /// The file asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The reader failed.
    #[error("cannot read the capture at offset {offset}")]
    Read {
        /// Octets that were read before.
        offset: u64,
        /// Its answer.
        source: io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error(
        "not a capture: begins with {found:02x?}, allowed are a1b2c3d4, a1b23c4d and a1b2cd34 (pcap, in either byte \
         order) and 0a0d0d0a (pcapng)"
    )]
    NotACapture {
        /// Its first octets, four if there are as many.
        found: Vec<u8>,
    },
    /// A record is not what the format allows, and where the next one begins cannot be known.
    #[error("capture is damaged at offset {offset}: {damage}")]
    Damaged {
        /// Octets before the damaged record.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What is wrong with a record of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The capture ends within it.
    #[error("it is cut off: found {found} octets, needs {needed}")]
    Truncated {
        /// Octets that it has, by its own account.
        needed: usize,
        /// Octets that are there.
        found: usize,
    },
    /// No frame is so long.
    #[error("a frame of {found} octets, allowed are at most {max}")]
    FrameLen {
        /// Its length by the record's account.
        found: u32,
        /// The longest frame read.
        max: usize,
    },
    /// A pcapng block has an impossible length.
    #[error(
        "a block of type {kind:#x} and {found} octets, allowed are multiples of 4 from {min} to {max}"
    )]
    BlockLen {
        /// The block's type.
        kind: u32,
        /// Its length by its own account.
        found: u32,
        /// The shortest block of that type.
        min: u32,
        /// The longest block of that type.
        max: u32,
    },
    /// The two lengths of a pcapng block differ.
    #[error("a block of {first} octets whose end says {last}")]
    BlockEnd {
        /// Its length as its beginning has it.
        first: u32,
        /// And its end.
        last: u32,
    },
    /// A section's byte order mark is neither way round.
    #[error("byte order mark {found:02x?}, allowed are 1a2b3c4d and 4d3c2b1a")]
    ByteOrder {
        /// The octets in its place.
        found: [u8; 4],
    },
    /// A block's inside contradicts it.
    #[error("a block of type {kind:#x} whose inside does not fit in it")]
    Inside {
        /// The block's type.
        kind: u32,
    },
    /// A frame of an interface that the section has not described.
    #[error("a frame of interface {found}, the section has described {described}")]
    Interface {
        /// The interface's number.
        found: u32,
        /// How many are described, from number 0 on.
        described: usize,
    },
    /// A packet block as pcapng had it before 2009.
    #[error("an obsolete packet block (type 2), read are enhanced (6) and simple ones (3)")]
    ObsoletePacket,
    /// A time outside what this machine can count.
    #[error(
        "a time of {ticks} ticks of an interface with resolution {resolution:#04x}, which cannot be counted here"
    )]
    Time {
        /// The time since 1970, in the interface's unit.
        ticks: u64,
        /// The interface's `if_tsresol`: the negative power of ten, or with the upper bit of two.
        resolution: u8,
    },
}
