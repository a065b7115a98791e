//! Messages of the kernel as plan values.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InfoData, InfoIpTunnel, InfoKind, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableParameter};
use netlink_packet_route::nsid::NsidAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::addr::MacAddr;
use crate::name::InterfaceName;
use crate::plan::{InterfaceAddr, ObservedLink, Place, Setting, TunnelEnds};

/// Names of a namespace's links by index.
pub(in crate::netlink) type Names = HashMap<u32, InterfaceName>;

/// What is read of one message: nothing if it is about something else, an error if it cannot be read.
pub(in crate::netlink) type Read<T> = Result<Option<T>, String>;

/// The number by which a namespace knows another one (`ip netns list-id`).
pub(in crate::netlink) type NetnsId = i32;

/// Reads a link, and for a veth the number of the namespace that its other end is in, if that is
/// another one. Addresses and the neighbour table's settings come from other messages.
pub(in crate::netlink) fn link(
    message: RouteNetlinkMessage,
    place: &Place,
) -> Read<(ObservedLink, Option<NetnsId>)> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return Ok(None);
    };
    let index = message.header.index;
    let name = name_of(&message)?;
    let (mut lower, mut elsewhere) = (None, None);
    let mut link = ObservedLink {
        place: place.clone(),
        index,
        name,
        kind: String::new(),
        mtu: 0,
        mac: None,
        alias: None,
        up: message.header.flags.contains(LinkFlags::Up),
        peer_index: None,
        peer_place: None,
        tunnel: None,
        addresses: vec![],
        settings: BTreeMap::new(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(octets) => link.mac = octets.try_into().ok().map(MacAddr),
            LinkAttribute::IfAlias(alias) if !alias.is_empty() => link.alias = Some(alias),
            LinkAttribute::Link(index) => lower = Some(index),
            LinkAttribute::LinkNetNsId(id) => elsewhere = Some(id),
            LinkAttribute::LinkInfo(info) => read_info(&info, &mut link),
            LinkAttribute::AfSpecUnspec(families) => read_settings(&families, &mut link.settings),
            _ => {}
        }
    }
    if link.kind != "veth" {
        return Ok(Some((link, None)));
    }
    link.peer_index = lower;
    if elsewhere.is_none() {
        link.peer_place = lower.map(|_| place.clone());
    }
    Ok(Some((link, elsewhere)))
}

/// The number of the namespace that was asked about; `None` if it has none yet.
pub(in crate::netlink) fn netns_id(message: &RouteNetlinkMessage) -> Option<NetnsId> {
    let RouteNetlinkMessage::NewNsId(message) = message else {
        return None;
    };
    message.attributes.iter().find_map(|part| match part {
        // -1 is NETNSA_NSID_NOT_ASSIGNED.
        NsidAttribute::Id(id) => Some(*id).filter(|id| *id >= 0),
        _ => None,
    })
}

fn name_of(message: &LinkMessage) -> Result<InterfaceName, String> {
    let text = message.attributes.iter().find_map(|part| match part {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    });
    let text = text.ok_or_else(|| format!("link {} without a name", message.header.index))?;
    InterfaceName::try_new(text).map_err(|error| error.to_string())
}

fn read_info(info: &[LinkInfo], link: &mut ObservedLink) {
    for part in info {
        match part {
            LinkInfo::Kind(kind) => {
                link.kind = kind.to_string();
                if *kind == InfoKind::IpIp {
                    link.tunnel.get_or_insert(ANY);
                }
            }
            LinkInfo::Data(InfoData::IpTunnel(attributes)) if link.kind == "ipip" => {
                link.tunnel = Some(tunnel_ends(attributes));
            }
            _ => {}
        }
    }
}

const ANY: TunnelEnds = TunnelEnds {
    local: Ipv4Addr::UNSPECIFIED,
    remote: Ipv4Addr::UNSPECIFIED,
    ttl: 0,
    tos: 0,
    pmtudisc: false,
};

fn tunnel_ends(attributes: &[InfoIpTunnel]) -> TunnelEnds {
    let mut ends = ANY;
    for attribute in attributes {
        match *attribute {
            InfoIpTunnel::Local(IpAddr::V4(addr)) => ends.local = addr,
            InfoIpTunnel::Remote(IpAddr::V4(addr)) => ends.remote = addr,
            InfoIpTunnel::Ttl(ttl) => ends.ttl = ttl,
            InfoIpTunnel::Tos(tos) => ends.tos = tos,
            InfoIpTunnel::PMtuDisc(set) => ends.pmtudisc = set,
            _ => {}
        }
    }
    ends
}

fn read_settings(families: &[AfSpecUnspec], settings: &mut BTreeMap<Setting, u32>) {
    for family in families {
        let AfSpecUnspec::Inet(parts) = family else {
            continue;
        };
        for part in parts {
            let AfSpecInet::DevConf(conf) = part else {
                continue;
            };
            for (setting, value) in [
                (Setting::Forwarding, conf.forwarding),
                (Setting::ProxyArp, conf.proxy_arp),
            ] {
                settings.insert(setting, value.cast_unsigned());
            }
        }
    }
}

/// An IPv4 address, there or gone, and the index of its link.
pub(in crate::netlink) fn address(message: RouteNetlinkMessage) -> Read<(u32, InterfaceAddr)> {
    let (RouteNetlinkMessage::NewAddress(message) | RouteNetlinkMessage::DelAddress(message)) =
        message
    else {
        return Ok(None);
    };
    if message.header.family != AddressFamily::Inet {
        return Ok(None);
    }
    // IFA_ADDRESS is the other end's on a point-to-point link; IFA_LOCAL is always this one's.
    let mut local = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(addr)) => local = Some(*addr),
            AddressAttribute::Address(IpAddr::V4(addr)) => {
                local.get_or_insert(*addr);
            }
            _ => {}
        }
    }
    let index = message.header.index;
    let addr = local.ok_or_else(|| format!("an address without octets on link {index}"))?;
    let prefix_len = message.header.prefix_len;
    Ok(Some((index, InterfaceAddr { addr, prefix_len })))
}

/// A link's index and its proxy delay in hundredths of a second, which is how `sysctl` counts it;
/// the kernel reports milliseconds.
pub(in crate::netlink) fn proxy_delay(message: RouteNetlinkMessage) -> Read<(u32, u32)> {
    let RouteNetlinkMessage::NewNeighbourTable(message) = message else {
        return Ok(None);
    };
    if message.header.family != AddressFamily::Inet {
        return Ok(None);
    }
    let mut found = (None, None);
    for attribute in &message.attributes {
        let NeighbourTableAttribute::Parms(parameters) = attribute else {
            continue;
        };
        for parameter in parameters {
            match *parameter {
                NeighbourTableParameter::Ifindex(index) => found.0 = Some(index),
                NeighbourTableParameter::ProxyDelay(delay) => found.1 = Some(delay / 10),
                _ => {}
            }
        }
    }
    // The table's own defaults come without an index.
    let (Some(index), Some(delay)) = found else {
        return Ok(None);
    };
    let delay = u32::try_from(delay).map_err(|_| format!("proxy delay {delay} on link {index}"))?;
    Ok(Some((index, delay)))
}
