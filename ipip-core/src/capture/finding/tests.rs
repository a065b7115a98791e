//! Each finding from one change to a good packet; the good packet has none.

use super::*;
use crate::capture::{Direction, LinkType};
use crate::wire::{Dscp, Endpoints, Ipv4Header, Outer, checksum, encapsulate, pseudo_header_sum};
use std::time::SystemTime;

const A: NodeAddr = NodeAddr(std::net::Ipv4Addr::new(172, 18, 0, 3));
const B: NodeAddr = NodeAddr(std::net::Ipv4Addr::new(172, 18, 0, 2));

fn inner() -> Ipv4Header {
    Ipv4Header {
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    }
}

/// A UDP datagram with `data` octets of data.
fn packet(header: Ipv4Header, data: usize) -> Vec<u8> {
    let len = u16::try_from(8 + data).unwrap();
    let mut datagram = vec![0; len.into()];
    datagram[4..6].copy_from_slice(&len.to_be_bytes());
    let sum = pseudo_header_sum(header.source, header.destination, 17, len);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    let finished = checksum(&datagram);
    datagram[6..8].copy_from_slice(&finished.to_be_bytes());
    [header.to_octets(datagram.len()).unwrap().to_vec(), datagram].concat()
}

fn within(inner: &[u8], local: NodeAddr, remote: NodeAddr) -> Vec<u8> {
    let mut buffer = [&[0; 20], inner].concat();
    let outer = Outer::tunl0(Endpoints { local, remote });
    encapsulate(&mut buffer, 20, &outer).unwrap().to_vec()
}

fn frame(octets: Vec<u8>) -> Frame {
    Frame {
        link_type: LinkType::RawIp,
        time: SystemTime::UNIX_EPOCH,
        direction: Direction::Unknown,
        original_len: octets.len(),
        checksum_pending: false,
        octets,
    }
}

/// All that is known: an MTU of 500 and two nodes, each with its block.
fn found(octets: Vec<u8>) -> Vec<String> {
    let peers = Peers::from_iter([
        ("10.244.79.0/26".parse().unwrap(), A),
        ("10.244.244.64/26".parse().unwrap(), B),
    ]);
    let expected = Expected {
        mtu: Some(500),
        peers: Some(&peers),
    };
    let found = findings(&frame(octets), &expected);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_packet_has_no_findings() {
    let inner = packet(inner(), 452); // 500 octets with both headers
    assert_eq!(found(inner.clone()), [""; 0]);
    assert_eq!(found(within(&inner, A, B)), [""; 0]);
    // Nothing is known of this point, so nothing is judged by it.
    let spoofed = frame(within(&packet(self::inner(), 1400), B, A));
    assert_eq!(findings(&spoofed, &Expected::default()), []);
}

#[test]
fn too_big_is_told_with_what_it_leads_to() {
    let mut inner = inner();
    let exceeds = "packet of 501 octets exceeds the MTU of 500: ";
    let big = packet(inner, 473);
    assert_eq!(found(big.clone()), [format!("{exceeds}it is fragmented")]);
    inner.dont_fragment = true;
    let lost = format!("{exceeds}DF forbids to fragment it, it is lost");
    assert_eq!(found(packet(inner, 473)), std::slice::from_ref(&lost));
    // The tunnel's twenty octets are what makes it too big; its DF counts, not the inner one.
    assert_eq!(found(within(&packet(inner, 453), A, B)), [lost]);
    // Captured before segmentation: the checksum says so.
    let mut large = packet(inner, 473);
    let sum = pseudo_header_sum(inner.source, inner.destination, 17, 481);
    large[26..28].copy_from_slice(&sum.to_be_bytes());
    let segmented = format!("{exceeds}the sender's hardware cuts it into segments");
    assert!(found(large).contains(&segmented));
}

#[test]
fn wrong_checksums_are_told_and_offload_explained() {
    let good = within(&packet(inner(), 10), A, B);
    for (at, expected) in [
        (10, "outermost IPv4 header has checksum "),
        (30, "inner IPv4 header has checksum "),
        (46, "transport checksum "),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let found = found(bad);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
        assert!(!found[0].contains("hardware"), "{found:?}");
        let right = u16::from_be_bytes([good[at], good[at + 1]]);
        assert!(
            found[0].ends_with(&format!("computed is {right:#06x}")),
            "{found:?}"
        );
    }
    let mut partial = good.clone();
    let sum = pseudo_header_sum(inner().source, inner().destination, 17, 18);
    partial[46..48].copy_from_slice(&sum.to_be_bytes());
    let explained = ": not finished when captured, hardware does it";
    assert!(found(partial)[0].ends_with(explained));
    // The kernel's own word is enough, whatever the field holds.
    let mut pending = frame(good);
    pending.octets[46] ^= 0x10;
    pending.checksum_pending = true;
    let found = findings(&pending, &Expected::default());
    assert!(matches!(
        found[..],
        [Finding::TransportChecksum {
            offloaded: true,
            ..
        }]
    ));
    // Half of a datagram says nothing about its checksum.
    pending.octets.truncate(52);
    assert_eq!(findings(&pending, &Expected::default()), []);
}

#[test]
fn a_ttl_that_ends_here_is_told_for_either_header() {
    for (ttl, expected) in [(0, true), (1, true), (2, false)] {
        let last = packet(Ipv4Header { ttl, ..inner() }, 10);
        assert_eq!(found(last).len(), usize::from(expected), "{ttl}");
    }
    // The outer header inherits it.
    let inside = found(within(&packet(Ipv4Header { ttl: 1, ..inner() }, 10), A, B));
    let expected = [
        "outermost IPv4 header has TTL 1, no router forwards it",
        "inner IPv4 header has TTL 1, no router forwards it",
    ];
    assert_eq!(inside, expected);
    let multicast = Ipv4Header {
        ttl: 1,
        destination: [224, 0, 0, 5].into(),
        ..inner()
    };
    assert_eq!(found(packet(multicast, 10)), [""; 0]);
}

/// Row by row, <https://www.rfc-editor.org/rfc/rfc6040#section-4.2> figure 4.
#[test]
fn rfc_6040_4_2_alarms() {
    let (not, zero, one, ce) = (Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce);
    let table = [
        (not, [(not, ""), (zero, "!"), (one, "!"), (ce, "drop")]),
        (zero, [(not, ""), (zero, ""), (one, ""), (ce, "")]),
        (one, [(not, ""), (zero, "!"), (one, ""), (ce, "")]),
        (ce, [(not, ""), (zero, ""), (one, "!"), (ce, "")]),
    ];
    for (inside, row) in table {
        for (outside, expected) in row {
            let inner = packet(
                Ipv4Header {
                    ecn: inside,
                    ..inner()
                },
                10,
            );
            let outer = Ipv4Header {
                dscp: Dscp::default(),
                ecn: outside,
                protocol: protocol::IPIP,
                source: A.0,
                destination: B.0,
                ..Ipv4Header::default()
            };
            let octets = [outer.to_octets(inner.len()).unwrap().to_vec(), inner].concat();
            let found = found(octets);
            let text = match expected {
                "" => Vec::new(),
                "!" => vec![format!(
                    "ECN {outside} around {inside}: not expected of a tunnel"
                )],
                _ => vec!["ECN CE around Not-ECT: the end of the tunnel drops it".to_owned()],
            };
            assert_eq!(found, text);
        }
    }
}

#[test]
fn a_tunnel_in_a_tunnel_is_told() {
    let twice = within(&within(&packet(inner(), 10), A, B), A, B);
    let found = found(twice);
    assert_eq!(found[1..], ["encapsulated twice: 3 IPv4 headers"]);
    // The tunnel packet inside comes from a node, not from a pod.
    let spoofed = "spoofed: inner source 172.18.0.3 is not in a prefix of node 172.18.0.3";
    assert_eq!(found[0], spoofed);
}

#[test]
fn a_source_behind_another_node_is_told() {
    let inner = packet(inner(), 10);
    let unknown = within(&inner, NodeAddr([172, 18, 0, 9].into()), B);
    assert_eq!(
        found(unknown),
        ["spoofed: outer source 172.18.0.9 is not a known node"]
    );
    let foreign = "spoofed: inner source 10.244.79.20 is not in a prefix of node 172.18.0.2";
    assert_eq!(found(within(&inner, B, A)), [foreign]);
    let loopback = Ipv4Header {
        source: [127, 0, 0, 1].into(),
        ..self::inner()
    };
    assert_eq!(
        found(within(&packet(loopback, 10), A, B)),
        ["spoofed: inner source 127.0.0.1 is no host's address, allowed are unicast addresses"]
    );
}
