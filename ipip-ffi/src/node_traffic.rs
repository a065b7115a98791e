//! What a node's data path carried and dropped.

use std::mem::MaybeUninit;

use ipip_core::datapath::Counters;

use crate::boundary::{guard, required};
use crate::error::Failure;
use crate::node::ipip_node;
use crate::status::ipip_status;

/// What a data path carried and dropped since it was started. Octets are those of the inner packets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_traffic {
    /// Packets taken from the device and sent to a node.
    pub sent_packets: u64,
    /// Their octets.
    pub sent_octets: u64,
    /// Packets received from a node and handed to the device.
    pub received_packets: u64,
    /// Their octets.
    pub received_octets: u64,
    /// Received packets whose partial transport checksum was finished here.
    pub checksums_finished: u64,
    /// Received packets whose two ECN fields should not have met (RFC 6040, 4.2).
    pub ecn_alarms: u64,
    /// Outbound, dropped: not IPv4.
    pub not_ipv4: u64,
    /// Outbound, dropped: may not be sent on, such as one whose TTL is 0.
    pub unsendable: u64,
    /// Outbound, dropped: the inner destination is behind no node.
    pub no_peer: u64,
    /// Outbound, dropped: longer than the way carries, and not to be cut; its sender is told.
    pub too_long: u64,
    /// Outbound, dropped: the kernel did not send it.
    pub send_failed: u64,
    /// Inbound, dropped: not IPv4 in IPv4, or headers that are damaged.
    pub malformed: u64,
    /// Inbound, dropped: the outer source is not another node that is known.
    pub unknown_node: u64,
    /// Inbound, dropped: the inner source is not behind the node that sent it.
    pub foreign_source: u64,
    /// Inbound, dropped: it met congestion, and its sender understands no other sign of that.
    pub congestion: u64,
    /// Inbound, dropped: the device did not take it.
    pub device_refused: u64,
    /// 1 where the kernel's driver carries, else 0. Its device, which counts since it was made, tells packets and octets (a
    /// super-packet is one), of outbound drops only how many (send_failed), congestion and device_refused; all else is
    /// 0 then, and untold.
    pub of_driver: u8,
}

/// What the node's data path carried and dropped since this object started it; it waits for calls that
/// change the kernel.
///
/// Where the kernel's driver carries, what its device counts (`ip -s link show tunl0`).
///
/// IPIP_STATUS_NOT_FOUND where another process carries, and before the first pass; IPIP_STATUS_KERNEL if the kernel does
/// not let the counters be read.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_node_traffic(
    node: Option<&ipip_node>,
    traffic_out: Option<&mut MaybeUninit<ipip_traffic>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let out = required(traffic_out, "traffic_out")?;
        let counters = node.node.traffic()?.ok_or_else(|| {
            let text = format!("node {} carries no packets here", node.node.name());
            Failure::new(ipip_status::NotFound, text)
        })?;
        out.write(counters.into());
        Ok(())
    })
}

impl From<Counters> for ipip_traffic {
    fn from(counters: Counters) -> Self {
        let drops = counters.drops;
        Self {
            sent_packets: counters.sent.packets,
            sent_octets: counters.sent.octets,
            received_packets: counters.received.packets,
            received_octets: counters.received.octets,
            checksums_finished: counters.checksums_finished,
            ecn_alarms: counters.ecn_alarms,
            not_ipv4: drops.not_ipv4,
            unsendable: drops.unsendable,
            no_peer: drops.no_peer,
            too_long: drops.too_long,
            send_failed: drops.send_failed,
            malformed: drops.malformed,
            unknown_node: drops.unknown_node,
            foreign_source: drops.foreign_source,
            congestion: drops.congestion,
            device_refused: drops.device_refused,
            of_driver: counters.of_driver.into(),
        }
    }
}
