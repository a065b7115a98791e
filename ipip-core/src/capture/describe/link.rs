//! What is below IP: Ethernet, 802.1Q and ARP.

use std::net::Ipv4Addr;

use super::{Fault, Malformed};
use crate::addr::MacAddr;

/// The EtherTypes that this library tells apart.
pub mod ether_type {
    /// Internet Protocol version 4, RFC 894.
    pub const IPV4: u16 = 0x0800;
    /// Address Resolution Protocol, RFC 826.
    pub const ARP: u16 = 0x0806;
    /// An IEEE 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// An outer IEEE 802.1ad tag, of QinQ.
    pub const QINQ: u16 = 0x88a8;
    /// An outer tag of QinQ as it was before IEEE 802.1ad.
    pub const OLD_QINQ: u16 = 0x9100;
    /// Internet Protocol version 6, RFC 2464.
    pub const IPV6: u16 = 0x86dd;
    /// The smallest EtherType: below it is the length of an IEEE 802.3 frame.
    pub const MIN: u16 = 0x0600;

    /// Whether a VLAN tag follows.
    pub(in crate::capture) fn is_vlan(number: u16) -> bool {
        matches!(number, VLAN | QINQ | OLD_QINQ)
    }
}

/// An Ethernet header (IEEE 802.3, 14 octets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ethernet {
    /// Whom the frame is for.
    pub destination: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    /// What follows; below [`ether_type::MIN`] a length.
    pub ether_type: u16,
}

impl Ethernet {
    pub(super) fn read(octets: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (header, rest) = split::<14>(octets, "Ethernet")?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let ethernet = Self {
            destination: MacAddr([d0, d1, d2, d3, d4, d5]),
            source: MacAddr([s0, s1, s2, s3, s4, s5]),
            ether_type: u16::from_be_bytes([t0, t1]),
        };
        Ok((ethernet, rest))
    }
}

/// An 802.1Q tag (4 octets, of which the first two are the EtherType before it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// The VLAN's number, 0 to 4095.
    pub id: u16,
    /// The frame's priority, 0 to 7.
    pub priority: u8,
    /// DEI: the frame may be dropped first.
    pub drop_eligible: bool,
    /// What follows.
    pub ether_type: u16,
}

impl Vlan {
    pub(super) fn read(octets: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (&[c0, c1, t0, t1], rest) = split::<4>(octets, "802.1Q tag")?;
        let vlan = Self {
            id: u16::from_be_bytes([c0, c1]) & 0x0fff,
            priority: c0 >> 5,
            drop_eligible: c0 & 0x10 != 0,
            ether_type: u16::from_be_bytes([t0, t1]),
        };
        Ok((vlan, rest))
    }
}

/// A Linux cooked header: what a capture on the interface `any` has instead of the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sll {
    /// 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 from this host.
    pub packet_type: u16,
    /// The interface's `ARPHRD_*` number.
    pub hardware_type: u16,
    /// The interface's index on the capturing host; only in the second version.
    pub interface: Option<u32>,
    /// The sender's link-layer address, as far as the header has room for it.
    pub address: [u8; 8],
    /// How many octets the address has; above 8 it was cut.
    pub address_len: u16,
    /// What follows, an EtherType.
    pub ether_type: u16,
}

impl Sll {
    /// The packet type of what this host sends.
    pub const OUTGOING: u16 = 4;

    /// The first version, of 16 octets.
    pub(super) fn read(octets: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (packet_type, rest) = half(octets)?;
        let (hardware_type, rest) = half(rest)?;
        let (address_len, rest) = half(rest)?;
        let (address, rest) = split::<8>(rest, "Linux cooked header")?;
        let (ether_type, rest) = half(rest)?;
        let sll = Self {
            packet_type,
            hardware_type,
            interface: None,
            address: *address,
            address_len,
            ether_type,
        };
        Ok((sll, rest))
    }

    /// The second version, of 20 octets.
    pub(super) fn read_v2(octets: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (ether_type, rest) = half(octets)?;
        let (_reserved, rest) = half(rest)?;
        let (interface, rest) = split::<4>(rest, "Linux cooked header")?;
        let (hardware_type, rest) = half(rest)?;
        let (&[packet_type, address_len], rest) = split::<2>(rest, "Linux cooked header")?;
        let (address, rest) = split::<8>(rest, "Linux cooked header")?;
        let sll = Self {
            packet_type: packet_type.into(),
            hardware_type,
            interface: Some(u32::from_be_bytes(*interface)),
            address: *address,
            address_len: address_len.into(),
            ether_type,
        };
        Ok((sll, rest))
    }
}

fn half(octets: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    let (half, rest) = split::<2>(octets, "Linux cooked header")?;
    Ok((u16::from_be_bytes(*half), rest))
}

/// An ARP message for IPv4 over Ethernet (RFC 826, 28 octets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 is a request, 2 a reply.
    pub operation: u16,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address.
    pub sender: Ipv4Addr,
    /// The target's Ethernet address, zero in most requests.
    pub target_mac: MacAddr,
    /// The target's IPv4 address: the one asked for in a request.
    pub target: Ipv4Addr,
    /// Octets of the message with padding.
    pub len: usize,
}

impl Arp {
    /// Hardware Ethernet, protocol IPv4, addresses of 6 and 4 octets.
    const IPV4_OVER_ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];

    /// `None` if it is about other kinds of addresses.
    pub(super) fn read(octets: &[u8]) -> Result<Option<Self>, Malformed> {
        let (kind, rest) = split::<6>(octets, "ARP")?;
        if *kind != Self::IPV4_OVER_ETHERNET {
            return Ok(None);
        }
        let (operation, rest) = split::<2>(rest, "ARP")?;
        let (sender_mac, rest) = split::<6>(rest, "ARP")?;
        let (sender, rest) = split::<4>(rest, "ARP")?;
        let (target_mac, rest) = split::<6>(rest, "ARP")?;
        let (target, _padding) = split::<4>(rest, "ARP")?;
        Ok(Some(Self {
            operation: u16::from_be_bytes(*operation),
            sender_mac: MacAddr(*sender_mac),
            sender: Ipv4Addr::from(*sender),
            target_mac: MacAddr(*target_mac),
            target: Ipv4Addr::from(*target),
            len: octets.len(),
        }))
    }
}

/// The first `N` octets and the rest.
pub(super) fn split<'a, const N: usize>(
    octets: &'a [u8],
    expected: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), Malformed> {
    octets.split_first_chunk().ok_or(Malformed {
        expected,
        fault: Fault::Truncated {
            needed: N,
            found: octets.len(),
        },
    })
}
