//! Routes to be added, replaced and deleted, written octet by octet: a node in a large cluster has a hundred
//! thousand, and a message of lists in lists costs a tenth of what the kernel needs for the route.

use std::net::Ipv4Addr;

use super::route::NEXT_HOP_ID;
use super::{HEADER_LEN, METRIC_MTU, ONLINK};
use crate::plan::{NextHop, Route, Target};

/// Octets of the longest: `struct rtmsg`, five attributes of one word, and the MTU in its nest.
const BODY_MAX: usize = 12 + 5 * 8 + 12;

/// A request about one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::netlink) struct RouteRequest {
    /// `RTM_NEWROUTE` or `RTM_DELROUTE`.
    kind: u16,
    body: [u8; BODY_MAX],
    /// How many octets of it are written.
    len: usize,
}

impl RouteRequest {
    /// Adds the route, `index` being that of its device; `None` for a target that is only read.
    ///
    /// A namespace that never had an address has no local table, and there the kernel refuses every
    /// gateway as invalid, onlink or not (Linux 6.18: `ip route add 10.0.0.0/8 via 10.0.0.1 dev eth0 onlink`).
    pub(in crate::netlink) fn add(route: &Route, index: Option<u32>) -> Option<Self> {
        Self::of_kind(libc::RTM_NEWROUTE, route, index)
    }

    /// Deletes it: the kernel compares prefix, TOS, type, protocol, scope, gateway, device and, where they
    /// are not 0, source and metric. So a route of metric 0 that is gone meanwhile may hit its twin of
    /// another metric.
    pub(in crate::netlink) fn delete(route: &Route, index: Option<u32>) -> Option<Self> {
        Self::of_kind(libc::RTM_DELROUTE, route, index)
    }

    fn of_kind(kind: u16, route: &Route, index: Option<u32>) -> Option<Self> {
        let mut request = Self {
            kind,
            body: [0; BODY_MAX],
            len: 0,
        };
        let gateway = request.head(route)?;
        if route.prefix.len() > 0 {
            request.address(libc::RTA_DST, Some(route.prefix.network()));
        }
        request.address(libc::RTA_PREFSRC, route.source);
        // The kernel takes an object's number in the place of all that the object says.
        match route.object() {
            Some(id) => request.number(NEXT_HOP_ID, Some(id)),
            None => {
                request.address(libc::RTA_GATEWAY, gateway);
                request.number(libc::RTA_OIF, index);
            }
        }
        request.number(libc::RTA_PRIORITY, Some(route.metric).filter(|m| *m != 0));
        if route.mtu.is_some() {
            // A nest of one: its length, then the metric.
            request.octets(&12_u16.to_ne_bytes());
            request.octets(&libc::RTA_METRICS.to_ne_bytes());
            request.number(METRIC_MTU, route.mtu);
        }
        Some(request)
    }

    /// Writes `struct rtmsg`; the route's gateway, if it has one.
    fn head(&mut self, route: &Route) -> Option<Option<Ipv4Addr>> {
        let (mut kind, mut scope, mut flags) = (libc::RTN_UNICAST, libc::RT_SCOPE_UNIVERSE, 0);
        let mut gateway = None;
        match &route.target {
            Target::Device { next_hop, .. } => match *next_hop {
                NextHop::Direct => scope = libc::RT_SCOPE_LINK,
                NextHop::Gateway(router) => gateway = Some(router),
                NextHop::Object(_) => {}
                NextHop::Onlink(node) => {
                    gateway = Some(node.0);
                    flags = ONLINK;
                }
            },
            Target::Blackhole => kind = libc::RTN_BLACKHOLE,
            Target::Other(_) => return None,
        }
        let family = u8::try_from(libc::AF_INET).ok()?;
        let (table, protocol) = (libc::RT_TABLE_MAIN, route.protocol.0);
        self.octets(&[family, route.prefix.len(), 0, route.tos]);
        self.octets(&[table, protocol, scope, kind]);
        self.octets(&u32::to_ne_bytes(flags));
        Some(gateway)
    }

    fn address(&mut self, kind: u16, address: Option<Ipv4Addr>) {
        if let Some(address) = address {
            self.word(kind, address.octets());
        }
    }

    fn number(&mut self, kind: u16, number: Option<u32>) {
        if let Some(number) = number {
            self.word(kind, number.to_ne_bytes());
        }
    }

    /// An attribute of four octets.
    fn word(&mut self, kind: u16, value: [u8; 4]) {
        self.octets(&8_u16.to_ne_bytes());
        self.octets(&kind.to_ne_bytes());
        self.octets(&value);
    }

    fn octets(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if let Some(place) = self.body.get_mut(self.len..end) {
            place.copy_from_slice(octets);
            self.len = end;
        }
    }

    /// Writes it behind `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>, flags: u16, sequence: u32) {
        let body = self.body.get(..self.len).unwrap_or_default();
        let len = u32::try_from(HEADER_LEN + body.len()).unwrap_or_default();
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&self.kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        // The port, which the kernel fills in.
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(body);
    }
}
