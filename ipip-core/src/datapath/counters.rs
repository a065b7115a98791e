//! What became of the packets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Packets and octets of one direction, outer headers not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Octets of the inner packets.
    pub octets: u64,
}

/// What a data path carried and dropped since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Taken from the device and sent to a node.
    pub sent: Traffic,
    /// Received from a node and handed to the device.
    pub received: Traffic,
    /// Received packets whose partial transport checksum was finished here; part of `received`.
    pub checksums_finished: u64,
    /// Received packets whose two ECN fields should not have met: somebody on the way does not keep to
    /// the rules (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>); part of `received`.
    pub ecn_alarms: u64,
    /// What was dropped.
    pub drops: Drops,
    /// Whether the kernel's driver carries. Its device, which counts since it was made, tells `sent` and `received`
    /// (a super-packet is one), of outbound drops only how many (`send_failed`), `congestion` and `device_refused`;
    /// all else is 0 then, and untold.
    pub of_driver: bool,
}

/// Packets dropped, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// Outbound: not IPv4, such as IPv6 router solicitations.
    pub not_ipv4: u64,
    /// Outbound: an IPv4 packet that may not be sent on, such as one whose TTL is 0.
    pub unsendable: u64,
    /// Outbound: the inner destination is behind no node.
    pub no_peer: u64,
    /// Outbound: with its outer header longer than the way to the node carries, and not to be cut (DF);
    /// the sender is told.
    pub too_long: u64,
    /// Outbound: the kernel did not send it (no route, no neighbour, a filter, a full queue), or a router on the way
    /// had said that it would not arrive, and the sender is told.
    pub send_failed: u64,
    /// Inbound: not IPv4 in IPv4, or headers that are damaged.
    pub malformed: u64,
    /// Inbound: the outer source is not another node that we know.
    pub unknown_node: u64,
    /// Inbound: the inner source is not behind the node that sent it, or no host's address at all.
    pub foreign_source: u64,
    /// Inbound: it met congestion, and its sender understands no other sign of that than a drop
    /// (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>).
    pub congestion: u64,
    /// Inbound: the device did not take it, because it is down or its queue is full.
    pub device_refused: u64,
}

impl Counters {
    /// From numbers in the order of the fields, as `ipip.bpf.c` has them; what is missing is 0.
    #[cfg(feature = "bpf")]
    pub(super) fn from_numbers(numbers: [u64; Self::COUNT]) -> Self {
        let [
            sent,
            sent_octets,
            received,
            received_octets,
            ecn_alarms,
            drops @ ..,
        ] = numbers;
        Self {
            sent: Traffic {
                packets: sent,
                octets: sent_octets,
            },
            received: Traffic {
                packets: received,
                octets: received_octets,
            },
            checksums_finished: 0,
            ecn_alarms,
            drops: Drops::from_numbers(drops),
            of_driver: false,
        }
    }

    /// How many numbers that takes: two for each direction, the alarms, the drops.
    #[cfg(feature = "bpf")]
    pub(super) const COUNT: usize = 5 + 10;

    /// What two parts of a data path carried and dropped together.
    #[cfg(feature = "bpf")]
    pub(super) fn and(self, other: &Self) -> Self {
        let traffic = |one: Traffic, two: Traffic| Traffic {
            packets: one.packets.wrapping_add(two.packets),
            octets: one.octets.wrapping_add(two.octets),
        };
        let mut drops = self.drops.by_reason().map(|(_, count)| count);
        for (count, (_, more)) in drops.iter_mut().zip(other.drops.by_reason()) {
            *count = count.wrapping_add(more);
        }
        Self {
            sent: traffic(self.sent, other.sent),
            received: traffic(self.received, other.received),
            checksums_finished: self
                .checksums_finished
                .wrapping_add(other.checksums_finished),
            ecn_alarms: self.ecn_alarms.wrapping_add(other.ecn_alarms),
            drops: Drops::from_numbers(drops),
            of_driver: self.of_driver,
        }
    }
}

impl Counters {
    /// Each number's name and value, those of the directions first; `None` for what is not told.
    #[must_use]
    pub fn by_name(&self) -> [(&'static str, Option<u64>); 16] {
        let of_ours = |count: u64| Some(count).filter(|_| !self.of_driver);
        let drop = |(name, count): (&'static str, u64)| {
            let is_told = matches!(name, "send_failed" | "congestion" | "device_refused");
            (name, if is_told { Some(count) } else { of_ours(count) })
        };
        let [a, b, c, d, e, f, g, h, i, j] = self.drops.by_reason().map(drop);
        [
            ("sent_packets", Some(self.sent.packets)),
            ("sent_octets", Some(self.sent.octets)),
            ("received_packets", Some(self.received.packets)),
            ("received_octets", Some(self.received.octets)),
            ("checksums_finished", of_ours(self.checksums_finished)),
            ("ecn_alarms", of_ours(self.ecn_alarms)),
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
        ]
    }
}

impl Drops {
    /// From counts in the order of [`Drops::by_reason`].
    fn from_numbers(counts: [u64; 10]) -> Self {
        let [
            not_ipv4,
            unsendable,
            no_peer,
            too_long,
            send_failed,
            malformed,
            unknown_node,
            foreign_source,
            congestion,
            device_refused,
        ] = counts;
        Self {
            not_ipv4,
            unsendable,
            no_peer,
            too_long,
            send_failed,
            malformed,
            unknown_node,
            foreign_source,
            congestion,
            device_refused,
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }

    /// Each reason's name and count, outbound ones first.
    #[must_use]
    pub fn by_reason(&self) -> [(&'static str, u64); 10] {
        [
            ("not_ipv4", self.not_ipv4),
            ("unsendable", self.unsendable),
            ("no_peer", self.no_peer),
            ("too_long", self.too_long),
            ("send_failed", self.send_failed),
            ("malformed", self.malformed),
            ("unknown_node", self.unknown_node),
            ("foreign_source", self.foreign_source),
            ("congestion", self.congestion),
            ("device_refused", self.device_refused),
        ]
    }
}

/// Why one packet is dropped; the fields of [`Drops`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    NotIpv4,
    Unsendable,
    NoPeer,
    TooLong,
    SendFailed,
    Malformed,
    UnknownNode,
    ForeignSource,
    Congestion,
    DeviceRefused,
}

/// Counters that two threads write and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: Pair,
    received: Pair,
    checksums_finished: AtomicU64,
    ecn_alarms: AtomicU64,
    drops: [AtomicU64; 10],
}

#[derive(Debug, Default)]
struct Pair {
    packets: AtomicU64,
    octets: AtomicU64,
}

impl Tally {
    pub(super) fn sent(&self, octets: usize) {
        self.sent.add(octets);
    }

    pub(super) fn received(&self, octets: usize) {
        self.received.add(octets);
    }

    pub(super) fn checksum_finished(&self) {
        self.checksums_finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ecn_alarm(&self) {
        self.ecn_alarms.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, reason: Reason) {
        if let Some(count) = self.drops.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> Counters {
        let counts = self.drops.each_ref();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Counters {
            sent: self.sent.snapshot(),
            received: self.received.snapshot(),
            checksums_finished: self.checksums_finished.load(Ordering::Relaxed),
            ecn_alarms: self.ecn_alarms.load(Ordering::Relaxed),
            drops: Drops::from_numbers(counts),
            of_driver: false,
        }
    }
}

impl Pair {
    fn add(&self, octets: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Traffic {
        Traffic {
            packets: self.packets.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let reasons = [
            Reason::NotIpv4,
            Reason::Unsendable,
            Reason::NoPeer,
            Reason::TooLong,
            Reason::SendFailed,
            Reason::Malformed,
            Reason::UnknownNode,
            Reason::ForeignSource,
            Reason::Congestion,
            Reason::DeviceRefused,
        ];
        let tally = Tally::default();
        for (times, reason) in (1..).zip(reasons) {
            (0..times).for_each(|_| tally.dropped(reason));
        }
        let drops = tally.snapshot().drops;
        let counts = drops.by_reason().map(|(_, count)| count);
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(drops.total(), 55);
    }
}
