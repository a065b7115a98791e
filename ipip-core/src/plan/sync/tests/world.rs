//! A node to plan for: eth0 and tunl0, two links of ours (cali1, cali3) and one of a stranger's (cali2).

use crate::addr::{Ipv4Prefix, MacAddr, NodeAddr};
use crate::name::InterfaceName;
use crate::plan::naive_kernel::link;
use crate::plan::{
    InterfaceAddr, Link, LinkKind, NextHop, Observed, Ownership, Place, Route, RouteProtocol,
    Setting, Target,
};

pub(in crate::plan) fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}

pub(in crate::plan) fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

pub(in crate::plan) fn ownership() -> Ownership {
    let mut ownership = Ownership::new(name("tunl0"), name("eth0"), [prefix("10.1.0.0/16")]);
    let nodes = [2, 3].map(|last| NodeAddr([172, 18, 0, last].into()));
    ownership.nodes.extend(nodes);
    ownership
}

pub(in crate::plan) fn node() -> Observed {
    let mut links = ["eth0", "tunl0", "cali1", "cali2", "cali3"].map(|text| {
        let kind = if text == "tunl0" { "ipip" } else { "veth" };
        let mut found = link(&Place::Node, text, kind, 1);
        found.up = true;
        if kind == "veth" {
            found.settings = settings().into_iter().collect();
            found.mac = Some(MacAddr::CALICO);
        }
        if ["cali1", "cali3"].contains(&text) {
            found.alias = Some(mark(text));
        }
        found
    });
    for (index, link) in (1..).zip(&mut links) {
        link.index = index;
    }
    Observed {
        links: links.into(),
        ..Observed::default()
    }
}

fn mark(link: &str) -> String {
    format!("ipip default.{link}")
}

fn settings() -> Vec<(Setting, u32)> {
    vec![
        (Setting::ProxyArp, 1),
        (Setting::ProxyDelay, 0),
        (Setting::Forwarding, 1),
    ]
}

pub(in crate::plan) fn host_veth(text: &str) -> Link {
    Link {
        place: Place::Node,
        name: name(text),
        kind: LinkKind::HostVeth,
        mtu: None,
        mac: Some(MacAddr::CALICO),
        mark: Some(mark(text)),
        addresses: vec![],
        settings: settings(),
        up: true,
    }
}

pub(in crate::plan) fn tunnel(addresses: &[InterfaceAddr]) -> Link {
    Link {
        kind: LinkKind::Tunnel,
        name: name("tunl0"),
        mac: None,
        mark: Some("ipip".to_owned()),
        addresses: addresses.to_vec(),
        settings: vec![],
        ..host_veth("cali0")
    }
}

fn via(device: &str, text: &str, node: [u8; 4]) -> Route {
    let target = Target::Device {
        device: name(device),
        next_hop: NextHop::Onlink(NodeAddr(node.into())),
    };
    Route::new(prefix(text), target, RouteProtocol::BIRD)
}

pub(in crate::plan) fn tunnelled_via(text: &str, node: [u8; 4]) -> Route {
    via("tunl0", text, node)
}

pub(in crate::plan) fn tunnelled(text: &str, last: u8) -> Route {
    via("tunl0", text, [172, 18, 0, last])
}

pub(in crate::plan) fn direct(text: &str, last: u8) -> Route {
    via("eth0", text, [172, 18, 0, last])
}

pub(in crate::plan) fn workload(addr: &str, device: &str) -> Route {
    let target = Target::Device {
        device: name(device),
        next_hop: NextHop::Direct,
    };
    let host = Ipv4Prefix::host(addr.parse().unwrap());
    Route::new(host, target, RouteProtocol::BOOT)
}
