//! One frame, one line: what `tcpdump -n -S` prints, with `-e` where there are MAC addresses.
//!
//! The oracle is tcpdump 4.99. Payloads of well-known ports are not read, so where tcpdump goes on
//! with DNS or HTTP this line ends with the length.

mod tcp;

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use super::ip::{Extension, NO_NEXT_HEADER};
use super::link::{Arp, Sll, ether_type};
use super::transport::{Icmp, Udp};
use super::{Layer, Opaque, OpaqueKind};
use crate::addr::MacAddr;
use crate::capture::frame::{Frame, LinkType};
use crate::wire::{self, Quoted, protocol};
use tcp::tcp_text;

/// The frame in one line, without a line break. The time of day is UTC, in microseconds.
///
/// ```text
/// 12:00:00.000001 ee:ee:ee:ee:ee:ee > 0a:00:00:00:00:01, ethertype IPv4 (0x0800), length 118: 172.18.0.3 > 172.18.0.2: 10.244.79.20 > 10.244.244.73: ICMP echo request, id 1, seq 1, length 64
/// 12:00:00.000001 IP 10.244.79.20 > 10.244.244.73: ICMP echo request, id 1, seq 1, length 64
/// ```
#[must_use]
pub fn line(frame: &Frame) -> String {
    let mut text = time_of_day(frame.time);
    text.push(' ');
    let layers = frame.layers();
    // tcpdump names the protocol of each header where no EtherType has named it.
    let named = frame.link_type != LinkType::Ethernet;
    // What the capture left out is no fault of the packet.
    let mut missing = frame.original_len.saturating_sub(frame.octets.len());
    for (place, layer) in layers.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| layers.get(place));
        let next = layers.get(place + 1);
        let part = match layer {
            Layer::Ethernet(ethernet) => format!(
                "{} > {}, {}, length {}: ",
                ethernet.source,
                ethernet.destination,
                ether_type_text(ethernet.ether_type),
                frame.original_len
            ),
            Layer::Sll(sll) => sll_text(sll),
            Layer::Vlan(vlan) => format!(
                "vlan {}, p {}{}, {}, ",
                vlan.id,
                vlan.priority,
                if vlan.drop_eligible { ", DEI" } else { "" },
                ether_type_text(vlan.ether_type)
            ),
            Layer::Arp(arp) if named => format!("ARP, {}", arp_text(arp)),
            Layer::Arp(arp) => arp_text(arp),
            Layer::Ipv4(packet) => {
                let cut = truncated("ip", packet.missing(), &mut missing);
                let ends = addresses(&packet.source(), &packet.destination(), next);
                format!("{}{cut}{ends}", if named { "IP " } else { "" })
            }
            Layer::Ipv6(packet) => {
                let cut = truncated("ip6", packet.missing, &mut missing);
                let ends = addresses(&packet.source, &packet.destination, next);
                let end = match packet.next_header {
                    NO_NEXT_HEADER => "no next header",
                    _ => "",
                };
                format!("{}{cut}{ends}{end}", if named { "IP6 " } else { "" })
            }
            Layer::Extension(extension) => extension_text(extension, next),
            Layer::Icmp(icmp) if icmp.is_v6 => icmpv6_text(icmp),
            Layer::Icmp(icmp) => icmp_text(icmp),
            Layer::Udp(udp) => format!("UDP, length {}", udp.len - Udp::HEADER_LEN),
            Layer::Tcp(tcp) => tcp_text(tcp),
            Layer::Opaque(opaque) => opaque_text(opaque, before),
            Layer::Malformed(malformed) => format!("[{malformed}]"),
        };
        text.push_str(&part);
    }
    text
}

/// Hours, minutes, seconds and microseconds of a day in UTC.
fn time_of_day(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    let second = since.as_secs() % 86_400;
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}")
}

fn ether_type_text(number: u16) -> String {
    let name = match number {
        ether_type::IPV4 => "IPv4",
        ether_type::ARP => "ARP",
        ether_type::VLAN => "802.1Q",
        ether_type::QINQ => "802.1Q-QinQ",
        ether_type::OLD_QINQ => "802.1Q-9100",
        ether_type::IPV6 => "IPv6",
        0..ether_type::MIN => return "802.3".to_owned(),
        _ => "Unknown",
    };
    format!("ethertype {name} (0x{number:04x})")
}

/// Source and destination, with ports where the next layer has them.
fn addresses(
    source: &impl Display,
    destination: &impl Display,
    next: Option<&Layer<'_>>,
) -> String {
    match ports(next) {
        Some((from, to)) => format!("{source}.{from} > {destination}.{to}: "),
        None => format!("{source} > {destination}: "),
    }
}

fn ports(layer: Option<&Layer<'_>>) -> Option<(u16, u16)> {
    match layer {
        Some(Layer::Udp(udp)) => Some((udp.source_port, udp.destination_port)),
        Some(Layer::Tcp(tcp)) => Some((tcp.source_port, tcp.destination_port)),
        _ => None,
    }
}

/// Says so if more of a packet is missing than of what is around it.
fn truncated(version: &str, missing: usize, around: &mut usize) -> String {
    let more = missing.saturating_sub(*around);
    *around = missing.max(*around);
    if more == 0 {
        return String::new();
    }
    format!("truncated-{version} - {more} bytes missing! ")
}

/// Interface and direction; the first version says nothing without `-e`.
fn sll_text(sll: &Sll) -> String {
    let Some(interface) = sll.interface else {
        return String::new();
    };
    let direction = match sll.packet_type {
        0 => "In",
        1 => "B",
        2 => "M",
        3 => "P",
        4 => "Out",
        _ => "?",
    };
    // tcpdump asks the reading host for the name of that index, which is another host's.
    format!("{:<5} {direction:<3} ", format!("if{interface}"))
}

/// Ports follow the header before them, so a transport header behind this one has them here.
fn extension_text(extension: &Extension<'_>, next: Option<&Layer<'_>>) -> String {
    let ports = ports(next).map(|(from, to)| format!("{from} > {to}: "));
    let name = match (extension.kind, extension.fragment()) {
        (Extension::HOP_BY_HOP, _) => "HBH".to_owned(),
        (Extension::DESTINATION, _) => "DSTOPT".to_owned(),
        (_, Some((offset, _))) => format!("frag ({offset})"),
        _ => format!("RT6 (len={})", extension.octets.len() / 8 - 1),
    };
    format!("{name} {}", ports.unwrap_or_default())
}

fn icmpv6_text(icmp: &Icmp<'_>) -> String {
    let (id, seq) = (icmp.identifier(), icmp.sequence());
    let what = match icmp.kind {
        Icmp::V6_ECHO_REQUEST => format!("echo request, id {id}, seq {seq}"),
        Icmp::V6_ECHO_REPLY => format!("echo reply, id {id}, seq {seq}"),
        Icmp::V6_TOO_BIG => format!("packet too big, mtu {}", u32::from_be_bytes(icmp.rest)),
        kind => format!("type-#{kind}"),
    };
    format!("ICMP6, {what}, length {}", icmp.message_len)
}

fn arp_text(arp: &Arp) -> String {
    let zero = MacAddr([0; 6]);
    let Arp {
        sender,
        target,
        sender_mac,
        target_mac,
        len,
        ..
    } = arp;
    let what = match arp.operation {
        1 if *target_mac == zero => format!("Request who-has {target} tell {sender}"),
        1 => format!("Request who-has {target} ({target_mac}) tell {sender}"),
        2 => format!("Reply {sender} is-at {sender_mac}"),
        other => format!("Unknown ({other}) {sender} > {target}"),
    };
    format!("{what}, length {len}")
}

fn icmp_text(icmp: &Icmp<'_>) -> String {
    let echo = |name| {
        format!(
            "echo {name}, id {}, seq {}",
            icmp.identifier(),
            icmp.sequence()
        )
    };
    let what = match (icmp.kind, icmp.code) {
        (Icmp::ECHO_REPLY, _) => echo("reply"),
        (Icmp::ECHO_REQUEST, _) => echo("request"),
        (Icmp::TIME_EXCEEDED, 0) => "time exceeded in-transit".to_owned(),
        (Icmp::TIME_EXCEEDED, 1) => "ip reassembly time exceeded".to_owned(),
        (Icmp::UNREACHABLE, code) => unreachable_text(code, icmp),
        (kind, _) => format!("type-#{kind}"),
    };
    format!("ICMP {what}, length {}", icmp.message_len)
}

/// Names whom the quoted packet did not reach.
fn unreachable_text(code: u8, icmp: &Icmp<'_>) -> String {
    let Ok(quoted) = Quoted::parse(icmp.data, wire::Layer::Inner) else {
        return format!("unreachable, code {code}");
    };
    let (to, kind) = (quoted.destination, quoted.protocol);
    let port = quoted.payload.get(2..).and_then(|rest| rest.first_chunk());
    let port = port.map(|port| u16::from_be_bytes(*port));
    match code {
        0 => format!("net {to} unreachable"),
        1 => format!("host {to} unreachable"),
        2 => format!("{to} protocol {kind} unreachable"),
        3 => match (kind, port) {
            (protocol::UDP, Some(port)) => format!("{to} udp port {port} unreachable"),
            (protocol::TCP, Some(port)) => format!("{to} tcp port {port} unreachable"),
            _ => format!("{to} protocol {kind} port unreachable"),
        },
        4 if icmp.next_hop_mtu() == 0 => format!("{to} unreachable - need to frag"),
        4 => format!(
            "{to} unreachable - need to frag (mtu {})",
            icmp.next_hop_mtu()
        ),
        13 => format!("host {to} unreachable - admin prohibited filter"),
        _ => format!("{to} unreachable - #{code}"),
    }
}

fn opaque_text(opaque: &Opaque<'_>, before: Option<&Layer<'_>>) -> String {
    let len = opaque.octets.len();
    match opaque.kind {
        OpaqueKind::EtherType(_) => match before {
            Some(_) => format!("{len} octets"),
            None => format!("length {len}"),
        },
        OpaqueKind::Link(number) => format!("link type {number}, length {len}"),
        OpaqueKind::Fragment(_) if matches!(before, Some(Layer::Extension(_))) => String::new(),
        OpaqueKind::Fragment(protocol) => format!("ip-proto-{protocol}"),
        // Two spaces after the colon, as tcpdump has them.
        OpaqueKind::Protocol(protocol) => format!(" ip-proto-{protocol} {len}"),
    }
}
