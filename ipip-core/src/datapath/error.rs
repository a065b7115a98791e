//! What can go wrong with a data path.

use std::io;
use std::path::PathBuf;

use crate::addr::NodeAddr;
use crate::name::InterfaceName;
use crate::netlink::NetlinkError;
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
    /// The kernel does not take the eBPF programs, or their maps.
    #[error("cannot {action} for {device}: {}", verifier(source, log))]
    Bpf {
        /// What was tried, and by which call, such as "load program out, bpf(BPF_PROG_LOAD)".
        action: String,
        /// The device of the data path.
        device: InterfaceName,
        /// The kernel's answer.
        source: io::Error,
        /// The last words of the kernel's verifier, if it is what refused.
        log: String,
    },
    /// The eBPF programs cannot be attached, detached or found.
    #[error("eBPF data path on {device}")]
    Hook {
        /// The device of the data path.
        device: InterfaceName,
        /// What was refused, and the kernel's answer.
        source: NetlinkError,
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
            Self::Hook { source, .. } => source.errno(),
            Self::NoTun { source, .. }
            | Self::Bpf { source, .. }
            | Self::Privilege { source, .. }
            | Self::System { source, .. } => source.raw_os_error(),
        }
    }
}

/// What the verifier says, and which privilege is missing where that is it; the number is the cause's to say.
fn verifier(source: &io::Error, log: &str) -> String {
    match (source.raw_os_error(), log) {
        (Some(libc::EPERM), _) => {
            "it needs CAP_BPF and CAP_NET_ADMIN in the first user namespace".to_owned()
        }
        (Some(libc::ENOSYS), _) => "this kernel has no bpf(2)".to_owned(),
        (_, "") => "the kernel refused".to_owned(),
        (_, log) => format!("the kernel's verifier refused: {log}"),
    }
}
