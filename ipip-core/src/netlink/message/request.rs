//! Plan values as messages to the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InfoData, InfoIpTunnel, InfoKind, InfoVeth, LinkAttribute,
    LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour_table::{
    NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::addr::MacAddr;
use crate::name::InterfaceName;
use crate::plan::{InterfaceAddr, RouteProtocol};

/// `IFLA_IFALIAS`.
const LINK_ALIAS: u16 = 20;

/// `IFLA_INET_CONF`: settings of a link's IPv4 stack.
const INET_CONF: u16 = 1;

/// A setting of a link's IPv4 stack, by its number in linux/ip.h.
#[derive(Debug, Clone, Copy)]
pub(in crate::netlink) enum DevConf {
    /// `IPV4_DEVCONF_FORWARDING`.
    Forwarding = 1,
    /// `IPV4_DEVCONF_PROXY_ARP`.
    ProxyArp = 3,
}

/// What a link is changed to.
#[derive(Debug)]
pub(in crate::netlink) enum LinkChange<'a> {
    Alias(&'a str),
    Mtu(u32),
    Mac(MacAddr),
    Up(bool),
    Conf(DevConf, u32),
    /// As `ip link set … group`.
    Group(u32),
}

/// The two ends of a veth pair.
#[derive(Debug)]
pub(in crate::netlink) struct VethPair<'a> {
    pub(in crate::netlink) name: &'a InterfaceName,
    pub(in crate::netlink) mac: Option<MacAddr>,
    /// Of both ends.
    pub(in crate::netlink) mtu: Option<u32>,
    pub(in crate::netlink) peer_name: &'a InterfaceName,
    /// The namespace in which the other end is born; it is still open when the message is sent.
    pub(in crate::netlink) peer_netns: RawFd,
}

/// An ipip device equal to the driver's fallback device in every attribute. Each of these must be
/// said: without protocol 0 ("any") the kernel takes 4, without `PMTUDISC` it takes 1.
pub(in crate::netlink) fn create_tunnel(name: &InterfaceName) -> RouteNetlinkMessage {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let data = InfoData::IpTunnel(vec![
        InfoIpTunnel::Local(any),
        InfoIpTunnel::Remote(any),
        InfoIpTunnel::Ttl(0),
        InfoIpTunnel::Tos(0),
        InfoIpTunnel::Protocol(0.into()),
        InfoIpTunnel::PMtuDisc(false),
    ]);
    let info = vec![LinkInfo::Kind(InfoKind::IpIp), LinkInfo::Data(data)];
    RouteNetlinkMessage::NewLink(link_message(vec![
        if_name(name),
        LinkAttribute::LinkInfo(info),
    ]))
}

/// A pair whose other end is born in its namespace: moving it there afterwards takes the kernel 40
/// times as long, under the lock that all network configuration waits for. One queue per direction
/// spares another wait. The other end cannot be up from the start (`ENOTCONN`).
pub(in crate::netlink) fn create_veth(pair: &VethPair<'_>) -> RouteNetlinkMessage {
    let end = |name: &InterfaceName| {
        let mut attributes = vec![
            if_name(name),
            LinkAttribute::NumTxQueues(1),
            LinkAttribute::NumRxQueues(1),
        ];
        attributes.extend(pair.mtu.map(LinkAttribute::Mtu));
        attributes
    };
    let mut peer = end(pair.peer_name);
    peer.push(LinkAttribute::NetNsFd(pair.peer_netns));
    let mut host = end(pair.name);
    host.extend(pair.mac.map(mac_address));
    host.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(link_message(peer)))),
    ]));
    RouteNetlinkMessage::NewLink(link_message(host))
}

pub(in crate::netlink) fn set_link(index: u32, change: &LinkChange<'_>) -> RouteNetlinkMessage {
    let mut message = link_message(vec![]);
    message.header.index = index;
    match *change {
        // Without the final zero, which the kernel would count against its limit of 255 octets,
        // and which would make an empty alias one of a single zero.
        LinkChange::Alias(alias) => message
            .attributes
            .push(LinkAttribute::Other(DefaultNla::new(
                LINK_ALIAS,
                alias.as_bytes().to_vec(),
            ))),
        LinkChange::Mtu(mtu) => message.attributes.push(LinkAttribute::Mtu(mtu)),
        LinkChange::Mac(mac) => message.attributes.push(mac_address(mac)),
        LinkChange::Up(up) => {
            message.header.change_mask = LinkFlags::Up;
            if up {
                message.header.flags = LinkFlags::Up;
            }
        }
        LinkChange::Conf(setting, value) => message.attributes.push(conf(setting, value)),
        LinkChange::Group(group) => message.attributes.push(LinkAttribute::Group(group)),
    }
    RouteNetlinkMessage::SetLink(message)
}

/// Written by hand: the crate's own form leaves out every zero.
fn conf(setting: DevConf, value: u32) -> LinkAttribute {
    let mut attribute = Vec::with_capacity(8);
    attribute.extend_from_slice(&8_u16.to_ne_bytes());
    attribute.extend_from_slice(&(setting as u16).to_ne_bytes());
    attribute.extend_from_slice(&value.to_ne_bytes());
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![AfSpecInet::Other(
        DefaultNla::new(INET_CONF | NLA_F_NESTED, attribute),
    )])])
}

pub(in crate::netlink) fn delete_link(index: u32) -> RouteNetlinkMessage {
    let mut message = link_message(vec![]);
    message.header.index = index;
    RouteNetlinkMessage::DelLink(message)
}

/// Deletes every link of a group, or none if one of them cannot be deleted.
pub(in crate::netlink) fn delete_group(group: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelLink(link_message(vec![LinkAttribute::Group(group)]))
}

pub(in crate::netlink) fn get_link(name: &InterfaceName) -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link_message(vec![if_name(name), without_counters()]))
}

pub(in crate::netlink) fn get_link_with_counters(name: &InterfaceName) -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link_message(vec![if_name(name)]))
}

pub(in crate::netlink) fn get_link_by_index(index: u32) -> RouteNetlinkMessage {
    let mut message = link_message(vec![without_counters()]);
    message.header.index = index;
    RouteNetlinkMessage::GetLink(message)
}

pub(in crate::netlink) fn dump_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link_message(vec![without_counters()]))
}

/// By which number the socket's namespace knows the one that is open as `netns`. Nobody assigns one
/// by this question; the kernel does when it first reports a link whose other end is there.
pub(in crate::netlink) fn get_netns_id(netns: RawFd) -> RouteNetlinkMessage {
    let mut message = NsidMessage::default();
    message.attributes = vec![NsidAttribute::Fd(netns.cast_unsigned())];
    RouteNetlinkMessage::GetNsId(message)
}

/// `RTEXT_FILTER_SKIP_STATS`: counters are two thirds of a link message.
fn without_counters() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

fn link_message(attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = attributes;
    message
}

fn if_name(name: &InterfaceName) -> LinkAttribute {
    LinkAttribute::IfName(name.as_str().to_owned())
}

fn mac_address(mac: MacAddr) -> LinkAttribute {
    LinkAttribute::Address(mac.0.to_vec())
}

pub(in crate::netlink) fn add_address(index: u32, address: InterfaceAddr) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewAddress(address_message(index, address))
}

pub(in crate::netlink) fn delete_address(
    index: u32,
    address: InterfaceAddr,
) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelAddress(address_message(index, address))
}

pub(in crate::netlink) fn dump_addresses() -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    RouteNetlinkMessage::GetAddress(message)
}

fn address_message(index: u32, address: InterfaceAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.prefix_len;
    message.header.index = index;
    // As `ip` does: an address of the loopback net is nobody else's business.
    if address.addr.is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    message.attributes = vec![
        AddressAttribute::Local(address.addr.into()),
        AddressAttribute::Address(address.addr.into()),
    ];
    message
}

/// Sets how long the device waits before it answers ARP for others. Sent in milliseconds.
pub(in crate::netlink) fn set_proxy_delay(index: u32, milliseconds: u64) -> RouteNetlinkMessage {
    let mut message = neighbour_table();
    message.attributes = vec![
        NeighbourTableAttribute::Name("arp_cache".to_owned()),
        NeighbourTableAttribute::Parms(vec![
            NeighbourTableParameter::Ifindex(index),
            NeighbourTableParameter::ProxyDelay(milliseconds),
        ]),
    ];
    RouteNetlinkMessage::SetNeighbourTable(message)
}

pub(in crate::netlink) fn dump_neighbour_tables() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetNeighbourTable(neighbour_table())
}

fn neighbour_table() -> NeighbourTableMessage {
    let mut message = NeighbourTableMessage::default();
    message.header.family = AddressFamily::Inet;
    message
}

/// Every route of the main table, or of one protocol. Older kernels ignore the filter; the reader
/// filters again.
pub(in crate::netlink) fn dump_routes(protocol: Option<RouteProtocol>) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.protocol = protocol.map_or(0, |protocol| protocol.0).into();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    RouteNetlinkMessage::GetRoute(message)
}

/// Which way the kernel would send a packet of its own.
pub(in crate::netlink) fn look_up(destination: Ipv4Addr) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message.header.flags = RouteFlags::LookupTable;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(destination))];
    RouteNetlinkMessage::GetRoute(message)
}
