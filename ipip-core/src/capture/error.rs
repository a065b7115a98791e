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
    /// Writing failed.
    #[error("cannot write the capture file")]
    Write(#[source] io::Error),
}
