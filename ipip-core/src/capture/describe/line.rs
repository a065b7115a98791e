//! One frame, one line: what `tcpdump -n -S` prints, with `-e` where there are MAC addresses.
//!
//! The oracle is tcpdump 4.99. Payloads of well-known ports are not read, so where tcpdump goes on
//! with DNS or HTTP this line ends with the length.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use super::link::{Arp, ether_type};
use super::transport::{Icmp, Tcp, TcpFlags, Udp};
use super::{Layer, Opaque, OpaqueKind};
use crate::addr::MacAddr;
use crate::capture::frame::{Frame, LinkType};
use crate::wire::{self, Ipv4View, protocol};

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
    let named = frame.link_type == LinkType::RawIp;
    for (place, layer) in layers.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| layers.get(place));
        let part = match layer {
            Layer::Ethernet(ethernet) => format!(
                "{} > {}, {}, length {}: ",
                ethernet.source,
                ethernet.destination,
                ether_type_text(ethernet.ether_type),
                frame.original_len
            ),
            Layer::Vlan(vlan) => format!(
                "vlan {}, p {}, {}, ",
                vlan.id,
                vlan.priority,
                ether_type_text(vlan.ether_type)
            ),
            Layer::Arp(arp) => arp_text(arp),
            Layer::Ipv4(packet) => addresses(packet, layers.get(place + 1), named),
            Layer::Icmp(icmp) => icmp_text(icmp),
            Layer::Udp(udp) => format!("UDP, length {}", udp.len - Udp::HEADER_LEN),
            Layer::Tcp(tcp) => tcp_text(tcp),
            Layer::Opaque(opaque) => opaque_text(opaque, before, named),
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
        ether_type::IPV6 => "IPv6",
        0..ether_type::MIN => return "802.3".to_owned(),
        _ => "Unknown",
    };
    format!("ethertype {name} (0x{number:04x})")
}

/// Source and destination, with ports where the next layer has them.
fn addresses(packet: &Ipv4View<'_>, next: Option<&Layer<'_>>, named: bool) -> String {
    let name = if named { "IP " } else { "" };
    let (source, destination) = (packet.source(), packet.destination());
    let ports = match next {
        Some(Layer::Udp(udp)) => Some((udp.source_port, udp.destination_port)),
        Some(Layer::Tcp(tcp)) => Some((tcp.source_port, tcp.destination_port)),
        _ => None,
    };
    match ports {
        Some((from, to)) => format!("{name}{source}.{from} > {destination}.{to}: "),
        None => format!("{name}{source} > {destination}: "),
    }
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
    format!("ICMP {what}, length {}", icmp.message.len())
}

/// Names whom the quoted packet did not reach.
fn unreachable_text(code: u8, icmp: &Icmp<'_>) -> String {
    // The quoted packet is cut short, and its checksum may have been changed on the way, so the
    // header is read leniently: total length and checksum do not matter here.
    let Some(quoted) = Quoted::read(icmp.data) else {
        return format!("unreachable, code {code}");
    };
    let (to, kind) = (quoted.destination, quoted.protocol);
    match code {
        0 => format!("net {to} unreachable"),
        1 => format!("host {to} unreachable"),
        2 => format!("{to} protocol {kind} unreachable"),
        3 => match (kind, quoted.port) {
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

/// What an ICMP error quotes of the packet it is about.
struct Quoted {
    destination: Ipv4Addr,
    protocol: u8,
    port: Option<u16>,
}

impl Quoted {
    fn read(octets: &[u8]) -> Option<Self> {
        let header: &[u8; wire::HEADER_LEN] = octets.first_chunk()?;
        let [.., d0, d1, d2, d3] = *header;
        let transport = octets.get(usize::from(header[0] & 0x0f) * 4..);
        Some(Self {
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            protocol: header[9],
            port: transport
                .and_then(|octets| octets.get(2..4))
                .and_then(|port| port.try_into().ok())
                .map(u16::from_be_bytes),
        })
    }
}

fn tcp_text(tcp: &Tcp<'_>) -> String {
    let mut text = format!("Flags [{}]", tcp.flags);
    let len = tcp.data.len();
    // Writing to a String cannot fail.
    let _ = match u32::try_from(len) {
        Ok(octets @ 1..) => {
            let end = tcp.sequence.wrapping_add(octets);
            write!(text, ", seq {}:{end}", tcp.sequence)
        }
        _ if tcp.flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) => {
            write!(text, ", seq {}", tcp.sequence)
        }
        _ => Ok(()),
    };
    if tcp.flags.has(TcpFlags::ACK) {
        let _ = write!(text, ", ack {}", tcp.acknowledgement);
    }
    let _ = write!(text, ", win {}", tcp.window);
    if tcp.flags.has(TcpFlags::URG) {
        let _ = write!(text, ", urg {}", tcp.urgent);
    }
    if !tcp.options.is_empty() {
        let _ = write!(text, ", options [{}]", options_text(tcp.options));
    }
    let _ = write!(text, ", length {len}");
    text
}

/// TCP options (RFC 9293 3.1, 7323, 2018) up to the first that is not whole.
fn options_text(mut octets: &[u8]) -> String {
    let number = |value: &[u8]| value.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let mut texts = Vec::new();
    while let [kind, rest @ ..] = octets {
        if *kind == 0 {
            texts.push("eol".to_owned());
            break;
        }
        if *kind == 1 {
            texts.push("nop".to_owned());
            octets = rest;
            continue;
        }
        let len = rest.first().map_or(0, |len| usize::from(*len));
        let (Some(value), Some(after)) = (octets.get(2..len), octets.get(len..)) else {
            texts.push(format!("[bad opt {kind}]"));
            break;
        };
        texts.push(match (kind, value) {
            (2, [_, _]) => format!("mss {}", number(value)),
            (3, [shift]) => format!("wscale {shift}"),
            (4, []) => "sackOK".to_owned(),
            (5, blocks) if blocks.len() % 8 == 0 => {
                let pairs = blocks.chunks_exact(8).map(|pair| {
                    let (left, right) = pair.split_at(4);
                    format!("{{{}:{}}}", number(left), number(right))
                });
                format!("sack {} {}", blocks.len() / 8, pairs.collect::<String>())
            }
            (8, [_, _, _, _, echo @ ..]) if value.len() == 8 => {
                let (value, echo) = (number(&value[..4]), number(echo));
                format!("TS val {value} ecr {echo}")
            }
            _ => {
                let hex: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
                format!("unknown-{kind} 0x{hex}")
            }
        });
        octets = after;
    }
    texts.join(",")
}

fn opaque_text(opaque: &Opaque<'_>, before: Option<&Layer<'_>>, named: bool) -> String {
    let len = opaque.octets.len();
    match opaque.kind {
        // The link layer has named it already.
        OpaqueKind::EtherType(ether_type::IPV6) if named => format!("IP6, length {len}"),
        OpaqueKind::EtherType(_) => match before {
            Some(_) => format!("{len} octets"),
            None => format!("length {len}"),
        },
        OpaqueKind::Link(number) => format!("link type {number}, length {len}"),
        OpaqueKind::Fragment(protocol) => format!("ip-proto-{protocol}"),
        // Two spaces after the colon, as tcpdump has them.
        OpaqueKind::Protocol(protocol) => format!(" ip-proto-{protocol} {len}"),
    }
}
