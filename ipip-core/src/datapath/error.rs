//! What can go wrong with a data path.

use std::io;
use std::path::PathBuf;

use crate::addr::NodeAddr;
use crate::name::InterfaceName;
use crate::sys::netns::NetnsError;

/// Why a data path cannot start, or why it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatapathError {
    /// The namespace cannot be entered.
    #[error("cannot start the user-space data path on {device}")]
    Namespace {
        /// The device that was to be made.
        device: InterfaceName,
        /// Which namespace, and the kernel's answer.
        source: NetnsError,
    },
    /// An interface of that name exists.
    #[error("interface name {device} is taken in network namespace {netns}", netns = netns.display())]
    NameTaken {
        /// The name.
        device: InterfaceName,
        /// The namespace that holds the interface.
        netns: PathBuf,
    },
    /// The node address is on no interface of the namespace.
    #[error("no interface of network namespace {netns} has the node address {addr}", netns = netns.display())]
    NodeAddr {
        /// The address.
        addr: NodeAddr,
        /// Where it was looked for.
        netns: PathBuf,
    },
    /// The kernel has no TUN driver, or this container does not see its device file.
    #[error("the user-space data path on {device} needs the TUN driver's device file /dev/net/tun")]
    NoTun {
        /// The device that was to be made.
        device: InterfaceName,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The caller may not do this.
    #[error(
        "cannot {action} for {device}: it needs CAP_NET_ADMIN and CAP_NET_RAW in the user namespace that owns network namespace {netns}",
        netns = netns.display()
    )]
    Privilege {
        /// What was tried.
        action: &'static str,
        /// The device of the data path.
        device: InterfaceName,
        /// Its namespace.
        netns: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another system call failed.
    #[error("cannot {action} for {device} in network namespace {netns}", netns = netns.display())]
    System {
        /// What was tried, such as "open a raw socket".
        action: &'static str,
        /// The device of the data path.
        device: InterfaceName,
        /// Its namespace.
        netns: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl DatapathError {
    /// The kernel's error number behind it.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Namespace { source, .. } => source.errno(),
            Self::NameTaken { .. } => Some(libc::EEXIST),
            Self::NodeAddr { .. } => Some(libc::EADDRNOTAVAIL),
            Self::NoTun { source, .. }
            | Self::Privilege { source, .. }
            | Self::System { source, .. } => source.raw_os_error(),
        }
    }
}
