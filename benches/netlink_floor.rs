//! The least that must be done over netlink: octets written beforehand, sent in the same datagrams, and
//! answers looked at only as far as it takes.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

use ipip_core::sys::netns::Netns;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// `NLM_F_CREATE | NLM_F_EXCL`.
const NEW: u16 = 0x600;
const DATAGRAM: usize = 64 * 1024;
const NESTED: u16 = 0x8000;

/// A socket in a namespace.
pub(crate) struct Floor {
    socket: Socket,
    buffer: Vec<u8>,
}

/// A route in as few octets as tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) gateway: u32,
    pub(crate) device: u32,
    pub(crate) protocol: u8,
}

/// Requests in one datagram each, of which the last asks to be acknowledged.
pub(crate) type Datagrams = Vec<Vec<u8>>;

impl Floor {
    pub(crate) fn open(netns: &Netns) -> Self {
        Self::new(netns.enter(|| Socket::new(NETLINK_ROUTE)).unwrap().unwrap())
    }

    pub(crate) fn open_each(all: &[Netns]) -> Vec<Self> {
        let all: Vec<_> = all.iter().collect();
        let opened = Netns::enter_each(&all, || Socket::new(NETLINK_ROUTE).unwrap());
        opened
            .into_iter()
            .map(|socket| Self::new(socket.unwrap()))
            .collect()
    }

    fn new(mut socket: Socket) -> Self {
        socket.bind_auto().unwrap();
        socket.connect(&SocketAddr::new(0, 0)).unwrap();
        socket.set_netlink_get_strict_chk(true).unwrap();
        Self {
            socket,
            buffer: Vec::with_capacity(32 * 1024),
        }
    }

    /// Sends each and waits for its last answer.
    pub(crate) fn change(&mut self, datagrams: &Datagrams) {
        for datagram in datagrams {
            self.socket.send(datagram, 0).unwrap();
            self.receive();
            let error = self
                .buffer
                .get(16..20)
                .map(|b| i32::from_ne_bytes(b.try_into().unwrap()));
            assert_eq!(error, Some(0), "refused");
        }
    }

    fn receive(&mut self) {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, 0).unwrap();
    }

    /// Every route of the main table, by prefix and length.
    pub(crate) fn routes(&mut self, mut each: impl FnMut((u32, u8), Seen)) {
        self.dump(
            &message(26, DUMP, &[2, 0, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0], &[]),
            |payload| {
                let (mut prefix, mut seen) = (
                    (0, payload[1]),
                    Seen {
                        gateway: 0,
                        device: 0,
                        protocol: payload[5],
                    },
                );
                attributes(&payload[12..], |kind, value| {
                    let word = || <[u8; 4]>::try_from(value).unwrap();
                    match kind {
                        1 => prefix.0 = u32::from_be_bytes(word()),
                        4 => seen.device = u32::from_ne_bytes(word()),
                        5 => seen.gateway = u32::from_be_bytes(word()),
                        _ => {}
                    }
                });
                each(prefix, seen);
            },
        );
    }

    /// Every link's index, by name.
    pub(crate) fn links(&mut self) -> HashMap<String, u32> {
        let mut found = HashMap::new();
        self.dump(
            &message(18, DUMP, &[0; 16], &[attribute(29, &8u32.to_ne_bytes())]),
            |payload| {
                let index = u32::from_ne_bytes(payload[4..8].try_into().unwrap());
                attributes(&payload[16..], |kind, value| {
                    if kind == 3 {
                        let text = &value[..value.len() - 1];
                        found.insert(String::from_utf8_lossy(text).into_owned(), index);
                    }
                });
            },
        );
        found
    }

    fn dump(&mut self, request: &[u8], mut each: impl FnMut(&[u8])) {
        self.socket.send(request, 0).unwrap();
        loop {
            self.receive();
            let mut rest = &self.buffer[..];
            while rest.len() >= 16 {
                let len =
                    usize::try_from(u32::from_ne_bytes(rest[..4].try_into().unwrap())).unwrap();
                if u16::from_ne_bytes([rest[4], rest[5]]) == 3 {
                    return;
                }
                each(&rest[16..len]);
                rest = &rest[len.next_multiple_of(4)..];
            }
        }
    }
}

fn attributes(mut bytes: &[u8], mut each: impl FnMut(u16, &[u8])) {
    while bytes.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        each(u16::from_ne_bytes([bytes[2], bytes[3]]), &bytes[4..len]);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, flags: u16, header: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend_from_slice(header);
    attributes.iter().for_each(|a| bytes.extend_from_slice(a));
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
    bytes
}

/// Packs messages into datagrams.
pub(crate) fn datagrams(messages: impl Iterator<Item = Vec<u8>>) -> Datagrams {
    let mut datagrams: Vec<Vec<Vec<u8>>> = vec![];
    let mut len = DATAGRAM;
    for message in messages {
        if len + message.len() > DATAGRAM {
            datagrams.push(vec![]);
            len = 0;
        }
        len += message.len();
        datagrams.last_mut().unwrap().push(message);
    }
    for datagram in &mut datagrams {
        let last = datagram.last_mut().unwrap();
        last[6] |= u8::try_from(ACK).unwrap();
    }
    datagrams.into_iter().map(|d| d.concat()).collect()
}

/// A route to `prefix`, without `gateway` of scope link; protocol bird and onlink with one.
pub(crate) fn add_route(prefix: (Ipv4Addr, u8), gateway: Option<Ipv4Addr>, device: u32) -> Vec<u8> {
    let (protocol, scope, flags) = if gateway.is_some() {
        (12, 0, 4)
    } else {
        (3, 253, 0)
    };
    let header = [2, prefix.1, 0, 0, 254, protocol, scope, 1, flags, 0, 0, 0];
    let mut attributes = vec![attribute(4, &device.to_ne_bytes())];
    if prefix.1 > 0 {
        attributes.insert(0, attribute(1, &prefix.0.octets()));
    }
    attributes.extend(gateway.map(|gateway| attribute(5, &gateway.octets())));
    message(24, NEW, &header, &attributes)
}

pub(crate) fn add_address(device: u32, addr: Ipv4Addr) -> Vec<u8> {
    let header = [[2, 32, 0, 0], device.to_ne_bytes()].concat();
    message(
        20,
        NEW,
        &header,
        &[attribute(2, &addr.octets()), attribute(1, &addr.octets())],
    )
}

pub(crate) fn set_up(device: u32) -> Vec<u8> {
    let up = 1u32.to_ne_bytes();
    let header = [[0; 4], device.to_ne_bytes(), up, up].concat();
    message(19, 0, &header, &[])
}

/// A pair with the other end, eth0, in another namespace.
pub(crate) fn create_veth(name: &str, peer: RawFd) -> Vec<u8> {
    let text = |name: &str| attribute(3, format!("{name}\0").as_bytes());
    let end = |name: &str| {
        let queue = 1u32.to_ne_bytes();
        [
            text(name),
            attribute(31, &queue),
            attribute(32, &queue),
            attribute(4, &1480u32.to_ne_bytes()),
        ]
        .concat()
    };
    let inside = [vec![0; 16], end("eth0"), attribute(28, &peer.to_ne_bytes())].concat();
    let data = attribute(2 | NESTED, &attribute(1 | NESTED, &inside));
    let info = attribute(18 | NESTED, &[attribute(1, b"veth"), data].concat());
    let mac = attribute(1, &[0xee; 6]);
    message(16, NEW, &[0; 16], &[end(name), mac, info])
}

/// What marks a pod's link as ours, and what makes its node answer for its gateway and forward for it.
pub(crate) fn settings(device: u32, alias: &str) -> [Vec<u8>; 4] {
    let set = |attributes: &[Vec<u8>]| {
        let header = [[0; 4], device.to_ne_bytes(), [0; 4], [0; 4]].concat();
        message(19, 0, &header, attributes)
    };
    let conf = |key: u16| {
        let values = attribute(1 | NESTED, &attribute(key, &1u32.to_ne_bytes()));
        set(&[attribute(26 | NESTED, &attribute(2 | NESTED, &values))])
    };
    let parameters = [
        attribute(1, &device.to_ne_bytes()),
        attribute(13, &0u64.to_ne_bytes()),
    ];
    let table = [
        attribute(1, b"arp_cache\0"),
        attribute(6 | NESTED, &parameters.concat()),
    ];
    [
        set(&[attribute(20, alias.as_bytes())]),
        conf(1),
        conf(3),
        message(67, 0, &[2, 0, 0, 0], &table),
    ]
}
