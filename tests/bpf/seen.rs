//! What a pair of ends sent each other, as tshark reads it.

use std::collections::BTreeSet;

use ipip_core::sys::netns::Netns;

use crate::decoded::read;
use crate::support::{A, B, Tcpdump};

/// What tshark is asked for: of an IPv4 field both headers' values, outer first.
const FIELDS: [&str; 13] = [
    "ip.proto",
    "ip.checksum.status",
    "ip.src",
    "ip.hdr_len",
    "ip.len",
    "ip.ttl",
    "ip.flags.mf",
    "ip.flags.df",
    "ip.dsfield.ecn",
    "icmp.type",
    "icmp.code",
    "tcp.stream",
    "tcp.checksum.status",
];

/// The streams before this are sent as super-packets, whose checksums a veth hands on unfinished.
const WHOLE_STREAMS: u32 = 2;

/// A frame, by the names of its fields.
struct Row([String; FIELDS.len()]);

impl Row {
    fn of(&self, field: &str) -> &str {
        let at = FIELDS.iter().position(|name| *name == field);
        &self.0[at.unwrap()]
    }

    /// Whether it is of a stream that was sent as super-packets; `None` without TCP.
    fn is_whole(&self) -> Option<bool> {
        let stream: u32 = self.of("tcp.stream").parse().ok()?;
        Some(stream < WHOLE_STREAMS)
    }

    /// The driver, where it is loaded and has no device, answers what a raw socket has taken by "port unreachable",
    /// which nobody relays (RFC 2003, section 4.1).
    fn is_the_drivers_answer(&self) -> bool {
        let kind = (self.of("icmp.type"), self.of("icmp.code"));
        self.of("ip.proto").starts_with("1,4") && kind == ("3", "3")
    }

    /// What of [`KINDS`] it is.
    fn kinds(&self) -> Vec<&'static str> {
        let is = |kind, fields: &[(&str, &str)]| {
            let is_it = fields.iter().all(|(name, value)| self.of(name) == *value);
            is_it.then_some(kind)
        };
        let kinds = [
            is("echo request", &[("ip.proto", "4,1"), ("icmp.type", "8")]),
            is("echo reply", &[("ip.proto", "4,1"), ("icmp.type", "0")]),
            is("datagram", &[("ip.proto", "4,17")]),
            is("inner fragment", &[("ip.flags.mf", "0,1")]),
            is("options", &[("ip.hdr_len", "20,24")]),
            is(
                "longest, with DF",
                &[("ip.len", "1500,1480"), ("ip.flags.df", "1,1")],
            ),
            is("ECN 0", &[("ip.dsfield.ecn", "0,0")]),
            is("ECN 1", &[("ip.dsfield.ecn", "1,1")]),
            is("ECN 2 of 3", &[("ip.dsfield.ecn", "2,3")]),
            is("ECN 3 over 2", &[("ip.dsfield.ecn", "3,2")]),
            self.is_whole()
                .map(|whole| if whole { "segment" } else { "finished segment" }),
        ];
        kinds.into_iter().flatten().collect()
    }
}

/// What must have been there from each node.
const KINDS: [&str; 12] = [
    "echo request",
    "echo reply",
    "datagram",
    "inner fragment",
    "options",
    "longest, with DF",
    "ECN 0",
    "ECN 1",
    "ECN 2 of 3",
    "ECN 3 over 2",
    "segment",
    "finished segment",
];

/// Every frame is IPv4 in IPv4, of right header checksums and with the inner TTL outside; and all kinds of traffic were
/// there, from either end, outer fragments too.
pub(crate) fn nothing_is_odd(netns: &Netns, mut oracle: Tcpdump) {
    let mut seen = BTreeSet::new();
    for row in read(netns, &mut oracle, FIELDS).into_iter().map(Row) {
        let fields = &row.0;
        if row.is_the_drivers_answer() {
            continue;
        }
        let node = row.of("ip.src").split(',').next().unwrap().to_owned();
        // The first of two outer fragments tells no more; the second has the packet.
        if row.of("ip.proto") == "4" {
            let told = (row.of("ip.checksum.status"), row.of("ip.flags.mf"));
            assert_eq!(told, ("1", "1"), "{fields:?}");
            seen.insert((node, "outer fragment"));
            continue;
        }
        assert_eq!(row.of("ip.checksum.status"), "1,1", "1 is good: {fields:?}");
        assert!(row.of("ip.proto").starts_with("4,"), "{fields:?}");
        let (outer, inner) = row.of("ip.ttl").split_once(',').unwrap();
        assert_eq!(outer, inner, "TTL: {fields:?}");
        if row.is_whole() == Some(false) {
            assert_eq!(row.of("tcp.checksum.status"), "1", "{fields:?}");
        }
        seen.extend(row.kinds().into_iter().map(|kind| (node.clone(), kind)));
    }
    for node in [A, B].map(|node| node.to_string()) {
        for kind in KINDS.into_iter().chain(["outer fragment"]) {
            assert!(
                seen.contains(&(node.clone(), kind)),
                "no {kind} from {node}"
            );
        }
    }
}
