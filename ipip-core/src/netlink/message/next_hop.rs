//! Next hops that are objects of their own (`RTM_*NEXTHOP`), octet by octet: the crate that knows most kinds of
//! message knows nothing of these.

use super::reply::{Names, Read};
use super::{Frame, HEADER_LEN, ONLINK, attributes, ipv4, u32_at};
use crate::addr::NodeAddr;
use crate::plan::{NextHop, NextHopObject, RouteProtocol, Target};

/// `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`, `RTM_GETNEXTHOP`.
pub(in crate::netlink) const NEW: u16 = 104;
pub(in crate::netlink) const DELETE: u16 = 105;
const GET: u16 = 106;

/// Attributes (`NHA_*`): its number, the members of a group, a blackhole, its device and its gateway.
const ID: u16 = 1;
const GROUP: u16 = 2;
const BLACKHOLE: u16 = 4;
const DEVICE: u16 = 5;
const GATEWAY: u16 = 6;

/// `struct nhmsg`: family, scope, protocol, reserved, flags of four octets.
const HEAD_LEN: usize = 8;

/// A request about next hops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::netlink) struct NextHopRequest {
    kind: u16,
    body: Vec<u8>,
}

impl NextHopRequest {
    /// Adds it; `None` for one that is only read. `index` is that of its device.
    pub(in crate::netlink) fn add(object: &NextHopObject, index: u32) -> Option<Self> {
        let Target::Device {
            next_hop: NextHop::Onlink(NodeAddr(gateway)),
            ..
        } = object.target
        else {
            return None;
        };
        let mut request = Self::of_kind(NEW, libc::AF_INET, object.protocol.0, ONLINK);
        request.word(ID, object.id.to_ne_bytes());
        request.word(DEVICE, index.to_ne_bytes());
        request.word(GATEWAY, gateway.octets());
        Some(request)
    }

    /// Deletes the one of this number, and all routes that go by it.
    pub(in crate::netlink) fn delete(id: u32) -> Self {
        let mut request = Self::of_kind(DELETE, libc::AF_UNSPEC, 0, 0);
        request.word(ID, id.to_ne_bytes());
        request
    }

    /// All of them.
    pub(in crate::netlink) fn dump() -> Self {
        Self::of_kind(GET, libc::AF_UNSPEC, 0, 0)
    }

    fn of_kind(kind: u16, family: libc::c_int, protocol: u8, flags: u32) -> Self {
        let family = u8::try_from(family).unwrap_or_default();
        let mut body = vec![family, 0, protocol, 0];
        body.extend_from_slice(&flags.to_ne_bytes());
        Self { kind, body }
    }

    /// An attribute of four octets.
    fn word(&mut self, kind: u16, value: [u8; 4]) {
        self.body.extend_from_slice(&8_u16.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(&value);
    }

    /// Writes it behind `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>, flags: u16, sequence: u32) {
        let len = u32::try_from(HEADER_LEN + self.body.len()).unwrap_or_default();
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&self.kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        // The port, which the kernel fills in.
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.body);
    }
}

/// An object, there (`RTM_NEWNEXTHOP`) or gone; nothing if the message is about something else.
pub(in crate::netlink) fn next_hop(frame: &Frame<'_>, names: &Names) -> Read<NextHopObject> {
    if !matches!(frame.kind, NEW | DELETE) {
        return Ok(None);
    }
    let Some((head, rest)) = frame.payload.split_first_chunk::<HEAD_LEN>() else {
        return Err(format!("a next hop in {} octets", frame.payload.len()));
    };
    let flags = u32_at(head, 4).unwrap_or_default();
    let (mut id, mut device, mut gateway, mut other) = (None, None, None, None);
    attributes(rest, |kind, value| match kind {
        ID => id = u32_at(value, 0),
        DEVICE => device = u32_at(value, 0),
        GATEWAY => gateway = ipv4(value),
        // `struct nexthop_grp`: number, weight, reserved.
        GROUP => other = Some(Target::Other(format!("group of {}", value.len() / 8))),
        BLACKHOLE => other = Some(Target::Blackhole),
        _ => {}
    })?;
    let id = id.ok_or("a next hop without a number")?;
    let device = device.and_then(|index| names.get(&index));
    let way = match (device, gateway) {
        (Some(device), Some(gateway)) => Target::Device {
            device: device.clone(),
            next_hop: match flags & ONLINK {
                0 => NextHop::Gateway(gateway),
                _ => NextHop::Onlink(NodeAddr(gateway)),
            },
        },
        (Some(device), None) => Target::Other(format!("dev {device}")),
        (None, _) => Target::Other("without a device".to_owned()),
    };
    Ok(Some(NextHopObject {
        id,
        target: other.unwrap_or(way),
        protocol: RouteProtocol(head[2]),
    }))
}
