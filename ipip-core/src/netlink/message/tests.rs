//! Bytes that `ip` (iproute2 6.1.0) and Linux 6.1.176 exchanged, captured on an nlmon device by
//! tcpdump 4.99.3 on a little-endian machine. Sequence numbers and ports are as they came.
#![cfg(target_endian = "little")]

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};

use super::route_request::RouteRequest;
use super::*;
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::InterfaceName;
use crate::plan::{
    InterfaceAddr, NextHop, ObservedLink, Place, Route, RouteProtocol, Setting, Target, TunnelEnds,
};

mod damaged;
mod written;

const SEQUENCE: u32 = 1_795_358_760;

/// `ip route add 10.2.0.0/16 via 192.0.2.1 dev tunl0`, refused; the request is repeated in full.
const INVALID_GATEWAY: &str = "
    68000000 0200 0002 2800036b df020000 9bffffff
    34000000 1800 0506 2800036b 00000000 02100000fe03000100000000
    080001000a020000 08000500c0000201 0800040003000000
    20000100 4e657874686f702068617320696e76616c6964206761746577617900";

/// `ip route show table 77`: the end of a dump that never began.
const NO_TABLE: &str = "
    38000000 0300 2202 2800036b e4020000 feffffff
    23000100 697076343a20464942207461626c6520646f6573206e6f742065786973740000";

/// `ip link set tunl0 up`: done, and of the request only its header.
const ACKNOWLEDGED: &str =
    "24000000 0200 0001 2800036b db020000 00000000 20000000 1000 0500 2800036b 00000000";

/// `ip route show`: two routes in one datagram, the end in another.
const ROUTES: &str = "
    2c000000 1800 2200 2800036b e0020000 021a0000fe0c000600000000
    08000f00fe000000 080001000af44f00
    3c000000 1800 2200 2800036b e0020000 021a0000fe0c000104000000
    08000f00fe000000 080001000af4f440 08000500ac120002 0800040003000000";

/// `ip addr show`: 10.244.79.0/32 on tunl0.
const ADDRESS: &str = "
    50000000 1400 0200 2900036b e2020000 0220800003000000
    080001000af44f00 080002000af44f00 0a00030074756e6c30000000 0800080080000000
    14000600ffffffffffffffff0802000008020000";

const TUNNEL: &str = include_str!("tests/tunl0.hex");
const NEIGHBOUR_TABLE: &str = include_str!("tests/neighbour_table.hex");

/// Octets from hexadecimal digits; `#` begins a line of comment.
fn octets(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u8> = lines
        .flat_map(str::bytes)
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let pairs = digits
        .chunks_exact(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn meanings(text: &str) -> Vec<Result<Meaning, Fault>> {
    let bytes = octets(text);
    frames(&bytes)
        .map(|frame| frame.unwrap().meaning())
        .collect()
}

fn parts(text: &str) -> Vec<RouteNetlinkMessage> {
    assert!(
        meanings(text)
            .iter()
            .all(|m| matches!(m, Ok(Meaning::Part)))
    );
    let bytes = octets(text);
    frames(&bytes)
        .map(|frame| frame.unwrap().parse().unwrap())
        .collect()
}

fn routes(bytes: &[u8], names: &reply::Names) -> Vec<Option<Route>> {
    frames(bytes)
        .map(|frame| route::route(&frame.unwrap(), &Place::Node, names).unwrap())
        .collect()
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}

fn peer_route() -> Route {
    let target = Target::Device {
        device: name("tunl0"),
        next_hop: NextHop::Onlink(NodeAddr([172, 18, 0, 2].into())),
    };
    Route::new(
        "10.244.244.64/26".parse().unwrap(),
        target,
        RouteProtocol::BIRD,
    )
}

fn blackhole() -> Route {
    let prefix = "10.244.79.0/26".parse().unwrap();
    Route::new(prefix, Target::Blackhole, RouteProtocol::BIRD)
}

fn tunnel_addr() -> InterfaceAddr {
    InterfaceAddr {
        addr: [10, 244, 79, 0].into(),
        prefix_len: 32,
    }
}

#[test]
fn the_kernels_words_are_read() {
    let refused = |text| match meanings(text).remove(0) {
        Err(Fault::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let gateway = refused(INVALID_GATEWAY);
    assert_eq!(gateway.errno, libc::ENETUNREACH);
    assert_eq!(gateway.text.as_deref(), Some("Nexthop has invalid gateway"));
    let table = refused(NO_TABLE);
    assert_eq!(table.errno, libc::ENOENT);
    assert_eq!(
        table.text.as_deref(),
        Some("ipv4: FIB table does not exist")
    );
    assert!(matches!(meanings(ACKNOWLEDGED)[..], [Ok(Meaning::Done)]));
}

#[test]
fn requests_are_those_of_ip() {
    let route = |route: &Route, index| Request::Route(RouteRequest::add(route, index).unwrap());
    for (message, expected) in [
        // ip route add 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink
        (
            route(&peer_route(), Some(3)),
            "34000000 1800 0506 2800036b 00000000 021a0000fe0c000104000000
             080001000af4f440 08000500ac120002 0800040003000000",
        ),
        // ip route add blackhole 10.244.79.0/26 proto bird
        (
            route(&blackhole(), None),
            "24000000 1800 0506 2800036b 00000000 021a0000fe0c000600000000 080001000af44f00",
        ),
        // ip addr add 10.244.79.0/32 dev tunl0
        (
            request::add_address(3, tunnel_addr()).into(),
            "28000000 1400 0506 2800036b 00000000 0220000003000000
             080002000af44f00 080001000af44f00",
        ),
        // ip link set tunl0 up, which sends it as RTM_NEWLINK; this is RTM_SETLINK, 0x13, which
        // cannot create anything
        (
            request::set_link(3, &request::LinkChange::Up(true)).into(),
            "20000000 1300 0506 2800036b 00000000 00000000030000000100000001000000",
        ),
    ] {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let mut bytes = vec![];
        encode(&mut bytes, message, flags, SEQUENCE);
        assert_eq!(bytes, octets(expected), "{expected}");
    }
}

#[test]
fn a_route_that_is_only_read_is_not_written() {
    let target = Target::Other("multipath over 2 next hops".to_owned());
    let route = Route::new("10.0.0.0/8".parse().unwrap(), target, RouteProtocol::BIRD);
    assert_eq!(RouteRequest::add(&route, None), None);
}

#[test]
fn routes_are_read() {
    let names = reply::Names::from([(3, name("tunl0"))]);
    let found = routes(&octets(ROUTES), &names);
    assert_eq!(found, [Some(blackhole()), Some(peer_route())]);
    // The gateway's attribute, octets 88 to 95, as RTA_NH_ID 30.
    let mut by_object = octets(ROUTES);
    by_object[90] = 30;
    by_object[92..96].copy_from_slice(&5_u32.to_ne_bytes());
    let target = Target::Device {
        device: name("tunl0"),
        next_hop: NextHop::Object(5),
    };
    let found = routes(&by_object, &names).remove(1);
    assert_eq!(found.map(|route| route.target), Some(target));
    let unknown = routes(&octets(ROUTES), &reply::Names::new()).remove(1);
    let target = Target::Other("dev index 3".to_owned());
    assert_eq!(unknown.map(|route| route.target), Some(target));
}

#[test]
fn what_the_kernel_cached_and_what_is_elsewhere_is_no_route() {
    let read = |bytes: &[u8]| routes(bytes, &reply::Names::new()).remove(0);
    let second = octets(ROUTES).split_off(44);
    assert!(read(&second).is_some());
    // rtm_flags, octets 24 to 27: RTM_F_CLONED is 0x200.
    let mut cached = second.clone();
    cached[25] = 0x02;
    assert_eq!(read(&cached), None);
    // The attribute RTA_TABLE rules, not rtm_table, which has no room for large numbers.
    let mut elsewhere = second.clone();
    elsewhere[32] = 100;
    assert_eq!(read(&elsewhere), None);
    // rtm_family.
    let mut six = second;
    six[16] = 10;
    six.truncate(28);
    six[0] = 28;
    assert_eq!(read(&six), None);
}

#[test]
fn only_onlink_counts_of_the_next_hops_flags() {
    let mut bytes = octets(ROUTES).split_off(44);
    // LINKDOWN 0x10 and DEAD 0x01 beside ONLINK 0x04.
    bytes[24] |= 0x11;
    let names = reply::Names::from([(3, name("tunl0"))]);
    assert_eq!(routes(&bytes, &names), [Some(peer_route())]);
}

#[test]
fn the_tunnel_device_is_read() {
    let read = reply::link(parts(TUNNEL).remove(0), &Place::Node);
    let expected = ObservedLink {
        place: Place::Node,
        index: 3,
        name: name("tunl0"),
        kind: "ipip".to_owned(),
        mtu: 1480,
        mac: None,
        alias: None,
        up: true,
        peer_index: None,
        peer_place: None,
        tunnel: Some(TunnelEnds {
            local: [0, 0, 0, 0].into(),
            remote: [0, 0, 0, 0].into(),
            ttl: 0,
            tos: 0,
            pmtudisc: false,
        }),
        addresses: vec![],
        settings: [(Setting::Forwarding, 0), (Setting::ProxyArp, 0)].into(),
    };
    assert_eq!(read, Ok(Some((expected, None))));
    let short = |bytes: &[u8]| link::link(&frames(bytes).next().unwrap().unwrap());
    let facts = |name| link::LinkFacts {
        index: 3,
        name,
        up: true,
        mac: None,
        group: 0,
    };
    let bytes = octets(TUNNEL);
    assert_eq!(short(&bytes), Ok(Some(facts(Some(name("tunl0"))))));
    // Whatever is wrong with the rest, its index remains.
    let mut damaged = bytes;
    damaged[33] = 0xff;
    assert_eq!(short(&damaged), Ok(Some(facts(None))));
    let address = reply::address(parts(ADDRESS).remove(0));
    assert_eq!(address, Ok(Some((3, tunnel_addr()))));
    // 800 milliseconds are 80 hundredths of a second.
    let delay = reply::proxy_delay(parts(NEIGHBOUR_TABLE).remove(0));
    assert_eq!(delay, Ok(Some((3, 80))));
}
