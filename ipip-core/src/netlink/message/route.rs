//! Routes, read octet by octet: a node in a large cluster has a hundred thousand, and a general reader
//! takes half as long again as the kernel needs to write them.

use std::net::Ipv4Addr;

use netlink_packet_route::route::{RouteLwEnCapType, RouteScope, RouteType};

use super::reply::{Names, Read};
use super::{Frame, METRIC_MTU, ONLINK, attributes, ipv4, u16_at, u32_at};
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::plan::{NextHop, Place, Route, RouteProtocol, Target};

/// `RTA_VIA`: a gateway of another family.
const VIA: u16 = 18;

/// `RTA_ENCAP_TYPE`.
const ENCAP_TYPE: u16 = 21;

/// `RTA_NH_ID`: the number of a next hop that is an object of its own.
pub(super) const NEXT_HOP_ID: u16 = 30;

/// `struct rtmsg`, and behind it the attributes that matter here.
#[derive(Debug)]
pub(in crate::netlink) struct RouteFacts {
    family: u8,
    prefix_len: u8,
    tos: u8,
    table: u32,
    protocol: u8,
    scope: u8,
    kind: u8,
    flags: u32,
    destination: Ipv4Addr,
    pub(in crate::netlink) gateway: Option<Ipv4Addr>,
    pub(in crate::netlink) source: Option<Ipv4Addr>,
    pub(in crate::netlink) device: Option<u32>,
    metric: u32,
    mtu: Option<u32>,
    object: Option<u32>,
    other: Option<OtherForm>,
}

/// What makes it a route of a form that this crate never installs.
#[derive(Debug)]
enum OtherForm {
    Multipath(usize),
    Via,
    Encap(u16),
}

/// An IPv4 route of the main table that somebody installed, there (`RTM_NEWROUTE`) or gone
/// (`RTM_DELROUTE`); what the kernel cached (`RTM_F_CLONED`) is not one.
pub(in crate::netlink) fn route(frame: &Frame<'_>, place: &Place, names: &Names) -> Read<Route> {
    let Some(facts) = RouteFacts::read(frame)? else {
        return Ok(None);
    };
    if facts.family != u8::try_from(libc::AF_INET).unwrap_or_default()
        || facts.flags & libc::RTM_F_CLONED != 0
        || facts.table != u32::from(libc::RT_TABLE_MAIN)
    {
        return Ok(None);
    }
    let prefix = Ipv4Prefix::try_new(facts.destination, facts.prefix_len)
        .map_err(|error| format!("a route: {error}"))?;
    Ok(Some(Route {
        place: place.clone(),
        prefix,
        target: facts.target(names),
        protocol: RouteProtocol(facts.protocol),
        metric: facts.metric,
        tos: facts.tos,
        source: facts.source,
        mtu: facts.mtu,
    }))
}

impl RouteFacts {
    /// Reads a message about a route; nothing if it is about something else.
    pub(in crate::netlink) fn read(frame: &Frame<'_>) -> Read<Self> {
        if !matches!(frame.kind, libc::RTM_NEWROUTE | libc::RTM_DELROUTE) {
            return Ok(None);
        }
        let Some((header, rest)) = frame.payload.split_first_chunk() else {
            return Err(format!("a route in {} octets", frame.payload.len()));
        };
        let mut facts = Self::of_header(*header);
        attributes(rest, |kind, value| facts.take(kind, value))?;
        Ok(Some(facts))
    }

    fn of_header(header: [u8; 12]) -> Self {
        let [
            family,
            prefix_len,
            _,
            tos,
            table,
            protocol,
            scope,
            kind,
            flags @ ..,
        ] = header;
        Self {
            family,
            prefix_len,
            tos,
            table: table.into(),
            protocol,
            scope,
            kind,
            flags: u32::from_ne_bytes(flags),
            destination: Ipv4Addr::UNSPECIFIED,
            gateway: None,
            source: None,
            device: None,
            metric: 0,
            mtu: None,
            object: None,
            other: None,
        }
    }

    fn take(&mut self, kind: u16, value: &[u8]) {
        match kind {
            libc::RTA_DST => self.destination = ipv4(value).unwrap_or(self.destination),
            libc::RTA_GATEWAY => self.gateway = ipv4(value),
            libc::RTA_PREFSRC => self.source = ipv4(value),
            libc::RTA_OIF => self.device = u32_at(value, 0),
            // rtm_table has no room for large numbers.
            libc::RTA_TABLE => self.table = u32_at(value, 0).unwrap_or(self.table),
            libc::RTA_PRIORITY => self.metric = u32_at(value, 0).unwrap_or_default(),
            libc::RTA_METRICS => self.mtu = mtu(value),
            NEXT_HOP_ID => self.object = u32_at(value, 0),
            libc::RTA_MULTIPATH => self.other = Some(OtherForm::Multipath(next_hops(value))),
            VIA => self.other = Some(OtherForm::Via),
            ENCAP_TYPE => self.other = u16_at(value, 0).map(OtherForm::Encap),
            _ => {}
        }
    }

    fn target(&self, names: &Names) -> Target {
        if let Some(form) = &self.other {
            return Target::Other(form.words());
        }
        match self.kind {
            libc::RTN_BLACKHOLE => return Target::Blackhole,
            libc::RTN_UNICAST => {}
            kind => return Target::Other(type_words(kind.into())),
        }
        let Some(device) = self.device.and_then(|index| names.get(&index)) else {
            return Target::Other(match (self.device, self.object) {
                (Some(index), _) => format!("dev index {index}"),
                // Of a blackhole, or told without what it says (`net.ipv4.nexthop_compat_mode`).
                (None, Some(id)) => format!("nhid {id}"),
                (None, None) => "without a device".to_owned(),
            });
        };
        // Of the next hop's flags only this one is part of the route; others (linkdown, dead,
        // offload) are its state at the moment.
        let onlink = self.flags & ONLINK != 0;
        let next_hop = match (self.object, self.gateway) {
            (Some(id), _) => NextHop::Object(id),
            (None, Some(gateway)) if onlink => NextHop::Onlink(NodeAddr(gateway)),
            (None, Some(gateway)) => NextHop::Gateway(gateway),
            (None, None) if self.scope == libc::RT_SCOPE_LINK => NextHop::Direct,
            (None, None) => {
                let scope = RouteScope::from(self.scope);
                return Target::Other(format!("dev {device} scope {scope}"));
            }
        };
        Target::Device {
            device: device.clone(),
            next_hop,
        }
    }
}

impl OtherForm {
    fn words(&self) -> String {
        match self {
            Self::Multipath(count) => format!("multipath over {count} next hops"),
            Self::Via => "via another family".to_owned(),
            Self::Encap(kind) => format!("encap {}", RouteLwEnCapType::from(*kind)),
        }
    }
}

fn mtu(metrics: &[u8]) -> Option<u32> {
    let mut mtu = None;
    let _ = attributes(metrics, |kind, value| {
        if kind == METRIC_MTU {
            mtu = u32_at(value, 0);
        }
    });
    mtu
}

/// Counts `struct rtnexthop`, each of which begins with its length.
fn next_hops(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(len) = u16_at(bytes, 0).filter(|len| *len >= 8) {
        count += 1;
        bytes = bytes
            .get(usize::from(len).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    count
}

/// The type as `ip route` prints it, where it is a usual one.
fn type_words(kind: RouteType) -> String {
    match kind {
        RouteType::Unreachable => "unreachable".to_owned(),
        RouteType::Prohibit => "prohibit".to_owned(),
        RouteType::Throw => "throw".to_owned(),
        RouteType::Local => "local".to_owned(),
        RouteType::Broadcast => "broadcast".to_owned(),
        kind => format!("type {}", u8::from(kind)),
    }
}
