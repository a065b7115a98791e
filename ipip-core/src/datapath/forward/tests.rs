use std::net::Ipv4Addr;

use super::*;
use crate::wire::{Dscp, Ecn, Ipv4Header};

const A: NodeAddr = NodeAddr(Ipv4Addr::new(172, 18, 0, 3));
const B: NodeAddr = NodeAddr(Ipv4Addr::new(172, 18, 0, 2));
const POD_A: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
const POD_B: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);

/// Both blocks, so that each end can be played.
fn peers() -> Peers {
    Peers::from_iter([
        ("10.244.79.0/26".parse().unwrap(), A),
        ("10.244.244.64/26".parse().unwrap(), B),
    ])
}

/// A packet from pod A to pod B.
fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    emit(header(protocol, POD_A, POD_B), payload)
}

fn header(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr) -> Ipv4Header {
    Ipv4Header {
        protocol,
        source,
        destination,
        ..Ipv4Header::default()
    }
}

fn emit(header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xa5; HEADER_LEN];
    octets.extend_from_slice(payload);
    header.emit(&mut octets).unwrap();
    octets
}

fn wrapped(outer_source: NodeAddr, inner: &[u8]) -> Vec<u8> {
    emit(header(protocol::IPIP, outer_source.0, B.0), inner)
}

fn with_headroom(inner: &[u8]) -> Vec<u8> {
    [&[0xa5; HEADER_LEN][..], inner].concat()
}

fn no_mtu() -> Option<u32> {
    panic!("the MTU does not matter here")
}

#[test]
fn a_packet_goes_to_the_node_that_holds_its_destination_and_back_out() {
    let inner = packet(protocol::UDP, b"12345678");
    let mut buffer = with_headroom(&inner);
    let out = outbound(&mut buffer, A, &peers()).unwrap();
    assert_eq!((out.node, out.packet.len()), (B, 48));
    let mut wire = out.packet.to_vec();
    let received = inbound(&mut wire, B, &peers(), no_mtu).unwrap();
    assert_eq!(
        (&*received.packet, received.note),
        (&inner[..], Note::Plain)
    );
}

#[test]
fn outbound_refusals() {
    let udp = packet(protocol::UDP, b"12345678");
    let mut version = udp.clone();
    version[0] = 0x60;
    let elsewhere = emit(header(17, POD_A, Ipv4Addr::new(10, 244, 80, 1)), b"");
    let own = emit(header(17, POD_A, Ipv4Addr::new(10, 244, 79, 21)), b"");
    let ttl = Ipv4Header {
        ttl: 0,
        ..header(17, POD_A, POD_B)
    };
    let cases = [
        (&version[..], Reason::NotIpv4),
        (&udp[..27], Reason::Unsendable),
        (&[], Reason::Unsendable),
        (&elsewhere, Reason::NoPeer),
        (&own, Reason::NoPeer),
        (&emit(ttl, b""), Reason::Unsendable),
        (&packet(17, &[0; 65_496]), Reason::TooLong),
    ];
    for (inner, reason) in cases {
        let mut buffer = with_headroom(inner);
        assert_eq!(outbound(&mut buffer, A, &peers()), Err(reason));
    }
    assert_eq!(outbound(&mut [], A, &peers()), Err(Reason::Unsendable));
}

#[test]
fn inbound_refusals() {
    let inner = packet(protocol::UDP, b"12345678");
    let from_b = emit(header(protocol::UDP, POD_B, POD_B), b"12345678");
    let stranger = NodeAddr(Ipv4Addr::new(172, 18, 0, 9));
    let ttl = Ipv4Header {
        ttl: 0,
        ..header(17, POD_A, POD_B)
    };
    let mut checksum = wrapped(A, &inner);
    checksum[10] ^= 1;
    let cases = [
        (wrapped(stranger, &inner), Reason::UnknownNode),
        // Pod B's address, sent by A's node.
        (wrapped(A, &from_b), Reason::ForeignSource),
        // B itself, which `peers` has too.
        (wrapped(B, &from_b), Reason::UnknownNode),
        (wrapped(A, &emit(ttl, b"")), Reason::Malformed),
        (wrapped(A, &inner[..27]), Reason::Malformed),
        (checksum, Reason::Malformed),
        (inner.clone(), Reason::Malformed),
        (Vec::new(), Reason::Malformed),
    ];
    for (mut buffer, reason) in cases {
        assert_eq!(inbound(&mut buffer, B, &peers(), no_mtu), Err(reason));
    }
}

#[test]
fn congestion_on_the_underlay_reaches_the_inner_packet() {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    // The table of RFC 6040 section 4.2: a row for each inner field, a column for each outer one.
    let outers = [NotEct, Ect0, Ect1, Ce];
    let table = [
        (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
        (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
        (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
        (Ce, [Some(Ce); 4]),
    ];
    let with_ecn = |ecn| Ipv4Header {
        dscp: Dscp::of_tos(0xb8),
        ecn,
        ..header(17, POD_A, POD_B)
    };
    for (inner, row) in table {
        for (outer, delivered) in outers.into_iter().zip(row) {
            let outside = Ipv4Header {
                ecn: outer,
                ..header(protocol::IPIP, A.0, B.0)
            };
            let mut buffer = emit(outside, &emit(with_ecn(inner), b"12345678"));
            let found = inbound(&mut buffer, B, &peers(), no_mtu);
            let found = found.map(|found| (found.packet.to_vec(), found.alarm.is_some()));
            let odd = [(NotEct, Ect0), (NotEct, Ect1), (Ect1, Ect0), (Ce, Ect1)];
            let odd = odd.contains(&(inner, outer));
            let expected = delivered.map(|ecn| (emit(with_ecn(ecn), b"12345678"), odd));
            let expected = expected.ok_or(Reason::Congestion);
            assert_eq!(found, expected, "inner {inner:?}, outer {outer:?}");
        }
    }
}

/// A TCP segment from pod A to pod B: 20 octets of header and `payload_len` of payload.
fn segment(payload_len: usize, checksum: impl Fn(&[u8], u16) -> u16) -> Vec<u8> {
    let mut tcp = vec![0x11; 20 + payload_len];
    tcp[12..18].copy_from_slice(&[0x50, 0x10, 1, 1, 0, 0]);
    let len = u16::try_from(tcp.len()).unwrap();
    let pseudo = wire::pseudo_header_sum(POD_A, POD_B, protocol::TCP, len);
    let field = checksum(&tcp, pseudo);
    tcp[16..18].copy_from_slice(&field.to_be_bytes());
    packet(protocol::TCP, &tcp)
}

fn partial(payload_len: usize) -> Vec<u8> {
    segment(payload_len, |_, pseudo| pseudo)
}

fn finished(payload_len: usize) -> Vec<u8> {
    segment(payload_len, |tcp, pseudo| {
        !wire::combine(wire::sum(tcp), pseudo)
    })
}

#[test]
fn a_partial_checksum_is_finished() {
    let mut buffer = wrapped(A, &partial(1440));
    let received = inbound(&mut buffer, B, &peers(), || Some(1480)).unwrap();
    assert!(received.checksum_finished);
    assert_eq!(received.packet, finished(1440));
    // A checksum that is right, or wrong in another way, is none of our business.
    for inner in [finished(1440), segment(1440, |_, pseudo| pseudo ^ 1)] {
        let mut buffer = wrapped(A, &inner);
        let received = inbound(&mut buffer, B, &peers(), || Some(1480)).unwrap();
        assert!(!received.checksum_finished);
        assert_eq!(received.packet, inner);
    }
}

#[test]
fn joined_segments_are_left_for_the_kernel_to_cut() {
    let inner = partial(1441);
    let mut buffer = wrapped(A, &inner);
    let received = inbound(&mut buffer, B, &peers(), || Some(1480)).unwrap();
    let note = Note::Segment {
        size: 1440,
        tcp_at: 20,
        payload_at: 40,
    };
    assert_eq!((&*received.packet, received.note), (&inner[..], note));
    // Neither a whole checksum nor an unknown MTU makes one.
    for (inner, mtu) in [(finished(1441), Some(1480)), (partial(1441), None)] {
        let received = inbound(&mut wrapped(A, &inner), B, &peers(), || mtu).map(|r| r.note);
        assert_eq!(received, Ok(Note::Plain));
    }
    // A header length below its minimum, or past the end, is left to the receiver.
    for (payload_len, words, mtu) in [(1441, 4, 1480), (4, 15, 30), (4, 15, 79)] {
        let mut odd = partial(payload_len);
        odd[HEADER_LEN + 12] = words << 4;
        let received = inbound(&mut wrapped(A, &odd), B, &peers(), || Some(mtu)).map(|r| r.note);
        assert_eq!(received, Ok(Note::Plain), "{words} words");
    }
}
