//! One captured frame as a value.

use std::fmt;
use std::time::SystemTime;

/// What the first octet of a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkType {
    /// An Ethernet header: veth and real interfaces.
    Ethernet,
    /// An IP header: `tunl0` and TUN interfaces.
    RawIp,
    /// A Linux cooked header of 16 octets, as a capture on `any` has it
    /// (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html>).
    LinuxSll,
    /// A Linux cooked header of 20 octets, which names the interface
    /// (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>).
    LinuxSll2,
    /// Something of this number that is not read.
    Other(u32),
}

impl LinkType {
    /// Its number in a capture file (<https://www.tcpdump.org/linktypes.html>): `LINKTYPE_ETHERNET`
    /// is 1, `LINKTYPE_RAW` 101, `LINKTYPE_LINUX_SLL` 113, `LINKTYPE_LINUX_SLL2` 276.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Other(number) => number,
        }
    }

    /// What a capture file means by a number. Raw IP has several: 101, 12 and 14 (`DLT_RAW` of
    /// different systems), 228 and 229 (of one version only).
    ///
    /// ```
    /// # use ipip_core::capture::LinkType;
    /// assert_eq!(LinkType::of_number(228), LinkType::RawIp);
    /// assert_eq!(LinkType::of_number(105), LinkType::Other(105)); // IEEE 802.11
    /// ```
    #[must_use]
    pub fn of_number(number: u32) -> Self {
        match number {
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }

    /// What an interface of that hardware type (`ARPHRD_*` of linux/if_arp.h) carries: Ethernet for
    /// 1 and for loopback's 772, raw IP for an IPIP tunnel's 768 and a TUN device's 65534, `None`
    /// for others.
    #[must_use]
    pub fn of_hardware_type(hardware_type: u16) -> Option<Self> {
        match hardware_type {
            1 | 772 => Some(Self::Ethernet),
            768 | 65534 => Some(Self::RawIp),
            _ => None,
        }
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::RawIp => "raw IP",
            Self::LinuxSll => "Linux cooked v1",
            Self::LinuxSll2 => "Linux cooked v2",
            Self::Other(number) => return write!(f, "link type {number}"),
        })
    }
}

/// Which way a frame passed its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into this host, whomever it is addressed to.
    Incoming,
    /// Out of this host.
    Outgoing,
    /// The capture does not say: most files do not, a live capture always does.
    Unknown,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incoming => "in",
            Self::Outgoing => "out",
            Self::Unknown => "unknown",
        })
    }
}

/// One frame as it passed an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the first octet belongs to.
    pub link_type: LinkType,
    /// When the kernel saw it; nanoseconds are kept.
    pub time: SystemTime,
    /// Which way it passed.
    pub direction: Direction,
    /// Octets that it had on the interface, at least as many as are kept in `octets`.
    pub original_len: usize,
    /// Whether its transport checksum was left for hardware, or for another host's kernel on the
    /// same machine, to finish: what it shows then is only the sum of the pseudo header.
    pub checksum_pending: bool,
    /// The frame from its first octet, without frame check sequence.
    pub octets: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::interface;

    #[test]
    fn link_types_follow_the_kernels_hardware_types() {
        let cases = [
            (interface::HARDWARE_ETHERNET, Some(LinkType::Ethernet)),
            (interface::HARDWARE_LOOPBACK, Some(LinkType::Ethernet)),
            (interface::HARDWARE_TUNNEL, Some(LinkType::RawIp)),
            (interface::HARDWARE_NONE, Some(LinkType::RawIp)),
            (512, None), // ARPHRD_PPP
        ];
        for (hardware_type, expected) in cases {
            assert_eq!(LinkType::of_hardware_type(hardware_type), expected);
        }
    }
}
