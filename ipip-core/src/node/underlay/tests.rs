use super::*;
use crate::plan::{NextHop, RouteProtocol};
use std::collections::BTreeMap;

fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}

fn link(text: &str, addresses: &[&str]) -> ObservedLink {
    let address = |text: &&str| {
        let (addr, len) = text.split_once('/').unwrap();
        InterfaceAddr {
            addr: addr.parse().unwrap(),
            prefix_len: len.parse().unwrap(),
        }
    };
    ObservedLink {
        place: Place::Node,
        index: 1,
        name: name(text),
        kind: String::new(),
        mtu: 1500,
        mac: None,
        alias: None,
        up: true,
        peer_index: None,
        peer_place: None,
        tunnel: None,
        addresses: addresses.iter().map(address).collect(),
        settings: BTreeMap::new(),
    }
}

fn world(links: &[ObservedLink], defaults: &[(&str, u32)]) -> Observed {
    let route = |(device, metric): &(&str, u32)| Route {
        metric: *metric,
        ..Route::new(
            Ipv4Prefix::ALL,
            Target::Device {
                device: name(device),
                next_hop: NextHop::Gateway([172, 18, 0, 1].into()),
            },
            RouteProtocol::STATIC,
        )
    };
    Observed {
        links: links.to_vec(),
        routes: defaults.iter().map(route).collect(),
        ..Observed::default()
    }
}

const LO: (&str, &[&str]) = ("lo", &["127.0.0.1/8"]);

fn chosen(observed: &Observed, selector: &UnderlaySelector) -> String {
    match choose(observed, selector, None) {
        Ok(underlay) => format!("{} {}", underlay.interface, underlay.address),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_default_route_tells_then_the_only_candidate() {
    let auto = UnderlaySelector::Auto;
    let lo = || link(LO.0, LO.1);
    let (eth0, eth1) = (
        || link("eth0", &["172.18.0.3/16"]),
        || link("eth1", &["10.0.0.3/24"]),
    );
    let pods = || link("cali7f94ce7c295", &["10.1.0.1/32"]);
    let tunnel = || link("tunl0", &["10.244.79.0/32"]);
    let local = || link("eth2", &["169.254.7.7/16"]);
    let down = ObservedLink {
        up: false,
        ..eth0()
    };
    for (links, defaults, expected) in [
        (
            vec![lo(), eth0(), eth1()],
            vec![("eth1", 0)],
            "eth1 10.0.0.3/24",
        ),
        (
            vec![lo(), eth0(), eth1()],
            vec![("eth1", 200), ("eth0", 100)],
            "eth0 172.18.0.3/16",
        ),
        (
            vec![lo(), eth0(), pods(), tunnel(), local()],
            vec![],
            "eth0 172.18.0.3/16",
        ),
        (
            vec![lo(), eth0(), tunnel()],
            vec![("tunl0", 0)],
            "eth0 172.18.0.3/16",
        ),
        (
            vec![lo(), eth0(), eth1()],
            vec![],
            "no default route tells the underlay, and it may be any of: eth0, eth1; name one of them",
        ),
        (
            vec![lo(), pods(), local()],
            vec![],
            "no interface is up with a global IPv4 address; bring one up, or name the underlay",
        ),
        (
            vec![down],
            vec![("eth0", 0)],
            "underlay eth0 is down; take it up: ip link set eth0 up",
        ),
        (
            vec![link("eth0", &[])],
            vec![("eth0", 0)],
            "underlay eth0 has no IPv4 address; give it one, or name another interface",
        ),
    ] {
        assert_eq!(chosen(&world(&links, &defaults), &auto), expected);
    }
}

#[test]
fn what_is_named_must_be_there_and_be_one() {
    let both = ["172.18.0.3/16", "172.18.0.9/32"];
    let observed = world(&[link(LO.0, LO.1), link("eth0", &both)], &[]);
    let interface = |text| UnderlaySelector::Interface(name(text));
    for (selector, expected) in [
        (
            interface("eth0"),
            "underlay eth0 has 2 IPv4 addresses: 172.18.0.3/16, 172.18.0.9/32; name one of them",
        ),
        (
            interface("eth9"),
            "underlay eth9 does not exist; interfaces with an IPv4 address: eth0",
        ),
        (
            UnderlaySelector::Address([172, 18, 0, 9].into()),
            "eth0 172.18.0.9/32",
        ),
        (
            UnderlaySelector::Address([172, 18, 0, 4].into()),
            "no interface has the underlay address 172.18.0.4; interfaces with an IPv4 address: eth0",
        ),
    ] {
        assert_eq!(chosen(&observed, &selector), expected);
    }
    let known = choose(
        &observed,
        &UnderlaySelector::Auto,
        Some([172, 18, 0, 9].into()),
    );
    assert_eq!(
        known.unwrap().address.to_string(),
        "172.18.0.9/32",
        "the others know it by that"
    );
}

#[test]
fn an_mtu_without_room_for_a_tunnel_is_named() {
    let narrow = ObservedLink {
        mtu: 80,
        ..link("eth0", &["172.18.0.3/16"])
    };
    let error = choose(&world(&[narrow], &[]), &UnderlaySelector::Auto, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "underlay eth0: underlay MTU 80 is outside 88 to 65535 octets"
    );
}
