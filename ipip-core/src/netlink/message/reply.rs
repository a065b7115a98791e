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
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::addr::{Ipv4Prefix, MacAddr, NodeAddr};
use crate::name::InterfaceName;
use crate::plan::{
    InterfaceAddr, NextHop, ObservedLink, Place, Route, RouteProtocol, Setting, Target, TunnelEnds,
};

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
    let (index, name) = link_identity(&message)?;
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

/// The index and the name alone.
pub(in crate::netlink) fn link_identity(
    message: &LinkMessage,
) -> Result<(u32, InterfaceName), String> {
    let index = message.header.index;
    let text = message.attributes.iter().find_map(|part| match part {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    });
    let text = text.ok_or_else(|| format!("link {index} without a name"))?;
    let name = InterfaceName::try_new(text).map_err(|error| error.to_string())?;
    Ok((index, name))
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

/// An IPv4 address and the index of its link.
pub(in crate::netlink) fn address(message: RouteNetlinkMessage) -> Read<(u32, InterfaceAddr)> {
    let RouteNetlinkMessage::NewAddress(message) = message else {
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

/// An IPv4 route of the main table that somebody installed; what the kernel cached is not one.
pub(in crate::netlink) fn route(
    message: RouteNetlinkMessage,
    place: &Place,
    names: &Names,
) -> Read<Route> {
    let RouteNetlinkMessage::NewRoute(message) = message else {
        return Ok(None);
    };
    let facts = RouteFacts::of(&message);
    let header = &message.header;
    if header.address_family != AddressFamily::Inet
        || header.flags.contains(RouteFlags::Cloned)
        || facts.table.unwrap_or(header.table.into()) != u32::from(RouteHeader::RT_TABLE_MAIN)
    {
        return Ok(None);
    }
    let network = facts.destination.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let prefix = Ipv4Prefix::try_new(network, header.destination_prefix_length)
        .map_err(|error| format!("a route: {error}"))?;
    Ok(Some(Route {
        place: place.clone(),
        prefix,
        target: facts.target(header, names),
        protocol: RouteProtocol(header.protocol.into()),
        metric: facts.metric,
        tos: header.tos,
        source: facts.source,
        mtu: facts.mtu,
    }))
}

/// The attributes of a route that matter here.
#[derive(Debug, Default)]
pub(in crate::netlink) struct RouteFacts {
    destination: Option<Ipv4Addr>,
    pub(in crate::netlink) gateway: Option<Ipv4Addr>,
    pub(in crate::netlink) source: Option<Ipv4Addr>,
    pub(in crate::netlink) device: Option<u32>,
    table: Option<u32>,
    metric: u32,
    mtu: Option<u32>,
    /// What makes it a route of a form that this crate never installs, in words.
    other: Option<String>,
}

impl RouteFacts {
    pub(in crate::netlink) fn of(message: &RouteMessage) -> Self {
        let mut facts = Self::default();
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(a)) => facts.destination = Some(*a),
                RouteAttribute::Gateway(RouteAddress::Inet(a)) => facts.gateway = Some(*a),
                RouteAttribute::PrefSource(RouteAddress::Inet(a)) => facts.source = Some(*a),
                RouteAttribute::Oif(index) => facts.device = Some(*index),
                RouteAttribute::Table(table) => facts.table = Some(*table),
                RouteAttribute::Priority(metric) => facts.metric = *metric,
                RouteAttribute::Metrics(metrics) => facts.mtu = mtu(metrics),
                RouteAttribute::NhId(id) => facts.other = Some(format!("nhid {id}")),
                RouteAttribute::MultiPath(hops) => {
                    facts.other = Some(format!("multipath over {} next hops", hops.len()));
                }
                RouteAttribute::Via(_) => facts.other = Some("via another family".to_owned()),
                RouteAttribute::EncapType(kind) => facts.other = Some(format!("encap {kind}")),
                _ => {}
            }
        }
        facts
    }

    fn target(&self, header: &RouteHeader, names: &Names) -> Target {
        if let Some(words) = &self.other {
            return Target::Other(words.clone());
        }
        match header.kind {
            RouteType::BlackHole => return Target::Blackhole,
            RouteType::Unicast => {}
            kind => return Target::Other(type_words(kind)),
        }
        let Some(device) = self.device.and_then(|index| names.get(&index)) else {
            return Target::Other(match self.device {
                Some(index) => format!("dev index {index}"),
                None => "without a device".to_owned(),
            });
        };
        // Of the next hop's flags only this one is part of the route; others (linkdown, dead,
        // offload) are its state at the moment.
        let onlink = header.flags.contains(RouteFlags::Onlink);
        let next_hop = match self.gateway {
            Some(gateway) if onlink => NextHop::Onlink(NodeAddr(gateway)),
            Some(gateway) => NextHop::Gateway(gateway),
            None if header.scope == RouteScope::Link => NextHop::Direct,
            None => return Target::Other(format!("dev {device} scope {}", header.scope)),
        };
        Target::Device {
            device: device.clone(),
            next_hop,
        }
    }
}

fn mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
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
