//! The branches below IP.

use super::Branch;
use crate::capture::describe::link::{Arp, Ethernet, Sll, Vlan, ether_type};

pub(super) fn ethernet(ethernet: &Ethernet) -> Branch {
    Branch {
        summary: format!(
            "Ethernet II, Src: {}, Dst: {}",
            ethernet.source, ethernet.destination
        ),
        fields: vec![type_field(ethernet.ether_type)],
    }
}

pub(super) fn vlan(vlan: &Vlan) -> Branch {
    Branch {
        summary: format!(
            "802.1Q Virtual LAN, PRI: {}, ID: {}",
            vlan.priority, vlan.id
        ),
        fields: vec![
            format!("Drop eligible: {}", vlan.drop_eligible),
            type_field(vlan.ether_type),
        ],
    }
}

fn type_field(number: u16) -> String {
    let name = match number {
        ether_type::IPV4 => "IPv4",
        ether_type::ARP => "ARP",
        ether_type::VLAN => "802.1Q",
        ether_type::QINQ => "802.1ad",
        ether_type::OLD_QINQ => "802.1QinQ (old)",
        ether_type::IPV6 => "IPv6",
        0..ether_type::MIN => return format!("Length: {number}"),
        _ => "Unknown",
    };
    format!("Type: {name} (0x{number:04x})")
}

pub(super) fn arp(arp: &Arp) -> Branch {
    let name = match arp.operation {
        1 => "request",
        2 => "reply",
        _ => "unknown",
    };
    Branch {
        summary: format!("Address Resolution Protocol ({name})"),
        fields: vec![
            format!("Opcode: {name} ({})", arp.operation),
            format!("Sender MAC address: {}", arp.sender_mac),
            format!("Sender IP address: {}", arp.sender),
            format!("Target MAC address: {}", arp.target_mac),
            format!("Target IP address: {}", arp.target),
        ],
    }
}

pub(super) fn sll(sll: &Sll) -> Branch {
    let kept = usize::from(sll.address_len).min(sll.address.len());
    let address = sll.address.get(..kept).unwrap_or_default();
    let address: Vec<_> = address.iter().map(|octet| format!("{octet:02x}")).collect();
    let what = match sll.packet_type {
        0 => "Unicast to us",
        1 => "Broadcast",
        2 => "Multicast",
        3 => "Unicast to another host",
        Sll::OUTGOING => "Sent by us",
        _ => "Unknown",
    };
    let interface = sll
        .interface
        .map(|index| format!("Interface index: {index}"));
    let mut fields = vec![
        format!("Packet type: {what} ({})", sll.packet_type),
        format!("Link-layer address type: {}", sll.hardware_type),
        format!("Link-layer address: {}", address.join(":")),
        type_field(sll.ether_type),
    ];
    fields.extend(interface);
    let version = if sll.interface.is_some() { 2 } else { 1 };
    Branch {
        summary: format!("Linux cooked capture v{version}"),
        fields,
    }
}
