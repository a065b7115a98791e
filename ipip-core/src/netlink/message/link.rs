//! What every message about a link holds, read without regard to the rest of it: a newer kernel's
//! exotic device has an index and a name like any other.

use super::super::message::{Frame, attributes, u16_at, u32_at};
use super::reply::Read;
use crate::addr::MacAddr;
use crate::name::InterfaceName;

/// `struct ifinfomsg`: family 1, pad 1, type 2, index 4, flags 4, change 4.
const HEADER_LEN: usize = 16;

/// `IFLA_GROUP`.
pub(in crate::netlink) const GROUP: u16 = 27;

/// The family in octet 0; other families tell of a link's place in something else, such as a bridge.
const UNSPEC: u16 = 0;

/// What a link counted since it was made: `ip -s link show`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LinkStatistics {
    pub(crate) received_packets: u64,
    pub(crate) sent_packets: u64,
    pub(crate) received_octets: u64,
    pub(crate) sent_octets: u64,
    /// What it did not send, for whatever reason.
    pub(crate) send_errors: u64,
    pub(crate) receive_drops: u64,
    pub(crate) send_drops: u64,
    /// Received frames whose header made no sense; to the ipip driver, ECN fields that ask for a drop.
    pub(crate) frame_errors: u64,
}

/// A link in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::netlink) struct LinkFacts {
    pub(in crate::netlink) index: u32,
    /// `None` if the message holds none that is one.
    pub(in crate::netlink) name: Option<InterfaceName>,
    /// Administratively up (`IFF_UP`).
    pub(in crate::netlink) up: bool,
    /// Its hardware address, if it is one of six octets.
    pub(in crate::netlink) mac: Option<MacAddr>,
    /// `ip link set … group`; 0 by default.
    pub(in crate::netlink) group: u32,
}

/// Reads a link that is there (`RTM_NEWLINK`) or gone (`RTM_DELLINK`). If the attributes are damaged,
/// those before the damage count.
pub(in crate::netlink) fn link(frame: &Frame<'_>) -> Read<LinkFacts> {
    if !matches!(frame.kind, libc::RTM_NEWLINK | libc::RTM_DELLINK) {
        return Ok(None);
    }
    let header = || {
        (
            u16_at(frame.payload, 0),
            u32_at(frame.payload, 4),
            u32_at(frame.payload, 8),
        )
    };
    let (Some(family), Some(index), Some(flags)) = header() else {
        return Err(format!("a link in {} octets", frame.payload.len()));
    };
    if u16::from(family.to_ne_bytes()[0]) != UNSPEC {
        return Ok(None);
    }
    let mut facts = LinkFacts {
        index,
        name: None,
        up: flags & libc::IFF_UP.cast_unsigned() != 0,
        mac: None,
        group: 0,
    };
    let rest = frame.payload.get(HEADER_LEN..).unwrap_or_default();
    let _ = attributes(rest, |kind, value| match kind {
        libc::IFLA_IFNAME => facts.name = name(value),
        libc::IFLA_ADDRESS => facts.mac = value.try_into().ok().map(MacAddr),
        GROUP => facts.group = u32_at(value, 0).unwrap_or_default(),
        _ => {}
    });
    Ok(Some(facts))
}

/// Reads what a link counted: the `struct rtnl_link_stats64` of linux/if_link.h. Newer kernels have more behind.
pub(in crate::netlink) fn statistics(frame: &Frame<'_>) -> Read<LinkStatistics> {
    /// `IFLA_STATS64`.
    const STATS64: u16 = 23;
    if frame.kind != libc::RTM_NEWLINK {
        return Ok(None);
    }
    let mut found = None;
    let rest = frame.payload.get(HEADER_LEN..).unwrap_or_default();
    let _ = attributes(rest, |kind, value| {
        if kind == STATS64 {
            found = of_octets(value);
        }
    });
    let missing = || "a link without counters".to_owned();
    found.map(Some).ok_or_else(missing)
}

fn of_octets(value: &[u8]) -> Option<LinkStatistics> {
    let number = |at: usize| {
        let octets = value.get(8 * at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*octets))
    };
    Some(LinkStatistics {
        received_packets: number(0)?,
        sent_packets: number(1)?,
        received_octets: number(2)?,
        sent_octets: number(3)?,
        send_errors: number(5)?,
        receive_drops: number(6)?,
        send_drops: number(7)?,
        frame_errors: number(13)?,
    })
}

fn name(value: &[u8]) -> Option<InterfaceName> {
    let text = value.split(|octet| *octet == 0).next()?;
    InterfaceName::try_new(std::str::from_utf8(text).ok()?).ok()
}
