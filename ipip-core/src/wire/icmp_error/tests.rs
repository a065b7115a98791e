use proptest::prelude::*;

use super::*;

const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
const AWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);

/// A UDP packet of `len` octets from a pod.
fn original(len: usize) -> Vec<u8> {
    let mut packet = vec![0xa5; len];
    let header = Ipv4Header {
        protocol: protocol::UDP,
        source: POD,
        destination: AWAY,
        ..Ipv4Header::default()
    };
    header.emit(&mut packet).unwrap();
    packet
}

/// A message with a right checksum.
fn message(header: [u8; 8], rest: &[u8]) -> Vec<u8> {
    let mut message = [&header[..], rest].concat();
    message[2..4].fill(0);
    let checksum = crate::wire::checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// scapy 2.8.0: `IP(tos=0xc0, id=0, src="10.244.79.1", dst="10.244.79.20")/ICMP(type=3, code=4,
/// nexthopmtu=1480)/IP(src="10.244.79.20", dst="10.244.244.73", id=0)/UDP(sport=1, dport=2)`
const FRAGMENTATION_NEEDED: [u8; 56] = [
    0x45, 0xc0, 0x00, 0x38, 0x00, 0x00, 0x00, 0x00, 0x40, 0x01, 0xc6, 0x08, 10, 244, 79, 1, 10,
    244, 79, 20, 0x03, 0x04, 0x50, 0x93, 0x00, 0x00, 0x05, 0xc8, 0x45, 0x00, 0x00, 0x1c, 0x00,
    0x00, 0x00, 0x00, 0x40, 0x11, 0x21, 0x8c, 10, 244, 79, 20, 10, 244, 244, 73, 0x00, 0x01, 0x00,
    0x02, 0x00, 0x08, 0xa6, 0x95,
];

#[test]
fn rfc1191_section_4_fragmentation_needed_is_these_octets() {
    let mut buffer = [0xa5; MAX_ICMP_ERROR_LEN];
    let error = IcmpError::FragmentationNeeded { mtu: 1480 };
    let original = &FRAGMENTATION_NEEDED[28..];
    assert_eq!(error.emit(NODE, original, &mut buffer), Ok(56));
    assert_eq!(buffer[..56], FRAGMENTATION_NEEDED);
    assert_eq!(buffer[56..], [0xa5; 520]);
}

#[test]
fn each_error_is_read_as_it_was_written() {
    let packet = original(100);
    for (error, start) in [
        (IcmpError::NET_UNREACHABLE, [3, 0, 0, 0, 0, 0]),
        (IcmpError::HOST_UNREACHABLE, [3, 1, 0, 0, 0, 0]),
        (IcmpError::Unreachable { code: 13 }, [3, 13, 0, 0, 0, 0]),
        (
            IcmpError::FragmentationNeeded { mtu: 0x1234 },
            [3, 4, 0, 0, 0x12, 0x34],
        ),
        (IcmpError::SourceQuench, [4, 0, 0, 0, 0, 0]),
        (
            IcmpError::Redirect {
                code: 1,
                gateway: NODE,
            },
            [5, 1, 10, 244, 79, 1],
        ),
        (IcmpError::TimeExceeded { code: 1 }, [11, 1, 0, 0, 0, 0]),
        (
            IcmpError::ParameterProblem {
                code: 0,
                pointer: 8,
            },
            [12, 0, 8, 0, 0, 0],
        ),
    ] {
        let mut buffer = [0xa5; MAX_ICMP_ERROR_LEN];
        assert_eq!(error.emit(NODE, &packet, &mut buffer), Ok(128), "{error:?}");
        let outside = crate::wire::Ipv4View::parse(&buffer, Layer::Inner).unwrap();
        assert_eq!((outside.source(), outside.destination()), (NODE, POD));
        assert_eq!((outside.tos(), outside.protocol()), (0xc0, protocol::ICMP));
        let message = outside.payload();
        let start = [&start[..2], &message[2..4], &start[2..]].concat();
        assert_eq!(message[..8], start);
        let view = IcmpErrorView::parse(message).unwrap();
        assert_eq!((view.error(), view.quoted()), (error, &packet[..]));
    }
}

#[test]
fn rfc1812_section_4_3_2_3_no_more_than_576_octets_and_no_padding_are_quoted() {
    let mut padded = original(100);
    padded.extend([0; 40]);
    for (octets, expected) in [(original(548), 576), (original(549), 576), (padded, 128)] {
        let mut buffer = [0; MAX_ICMP_ERROR_LEN];
        let len = IcmpError::HOST_UNREACHABLE.emit(NODE, &octets, &mut buffer);
        assert_eq!(len, Ok(expected));
    }
    let mut short = [0xa5; 127];
    let error = IcmpError::HOST_UNREACHABLE.emit(NODE, &original(100), &mut short);
    let expected = WireError::Buffer {
        needed: 128,
        found: 127,
    };
    assert_eq!((error, short), (Err(expected), [0xa5; 127]));
}

#[test]
fn rfc4884_section_4_extensions_are_no_part_of_what_is_quoted() {
    let rest = [0x11; 160];
    for (icmp_type, words, expected) in [
        (3, 32, 128),
        (11, 33, 132),
        (12, 40, 160),
        (3, 0, 160),
        (3, 31, 160), // less than such a message must quote
        (3, 41, 160), // more than there is
        (5, 32, 160), // a part of the gateway's address
    ] {
        let octets = message([icmp_type, 0, 0, 0, 0, words, 0, 0], &rest);
        let view = IcmpErrorView::parse(&octets).unwrap();
        assert_eq!(view.quoted().len(), expected, "{icmp_type} {words}");
    }
}

#[test]
fn what_is_no_good_error_is_refused() {
    let mut damaged = message([3, 1, 0, 0, 0, 0, 0, 0], &[1; 9]);
    let computed = BigEndian::read_u16(&damaged[2..4]);
    damaged[3] ^= 1;
    let checksum = WireError::Checksum {
        layer: Layer::Icmp,
        found: computed ^ 1,
        computed,
    };
    let truncated = WireError::Truncated {
        layer: Layer::Icmp,
        needed: 8,
        found: 7,
    };
    for (octets, expected) in [
        (damaged, checksum),
        (vec![3; 7], truncated),
        (
            message([8, 0, 0, 0, 0, 0, 0, 0], &[]),
            WireError::IcmpNotError { found: 8 },
        ),
        (
            message([13, 0, 0, 0, 0, 0, 0, 0], &[]),
            WireError::IcmpNotError { found: 13 },
        ),
    ] {
        assert_eq!(IcmpErrorView::parse(&octets), Err(expected));
    }
}

/// "Other ICMP messages are not related to the encapsulation operations".
#[test]
fn rfc2003_section_4_6_other_messages_are_none_of_a_tunnels_business() {
    for icmp_type in 0..=u8::MAX {
        let octets = message([icmp_type, 0, 0, 0, 0, 0, 0, 0], &[0xa5; 28]);
        let related = [3, 4, 5, 11, 12].contains(&icmp_type);
        let expected = WireError::IcmpNotError { found: icmp_type };
        assert_eq!(IcmpErrorView::parse(&octets).is_ok(), related);
        assert!(related || IcmpErrorView::parse(&octets) == Err(expected));
    }
}

#[test]
fn rfc1812_section_4_3_2_7_what_must_not_be_answered() {
    let answer = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = original(48);
        change(&mut octets);
        Quoted::parse(&octets, Layer::Inner)
            .unwrap()
            .may_be_answered()
    };
    assert!(answer(&|_| ()));
    assert!(answer(&|o| (o[9], o[20]) = (1, 8)));
    for icmp_type in [3, 4, 5, 11, 12, 255] {
        assert!(!answer(&|o| (o[9], o[20]) = (1, icmp_type)), "{icmp_type}");
    }
    assert!(!answer(&|o| {
        o[9] = 1;
        o.truncate(20);
    }));
    assert!(!answer(&|o| o[7] = 1), "not the first fragment");
    assert!(answer(&|o| o[6] = 0x20), "the first fragment");
    for source in [
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [224, 0, 0, 5],
        [240, 0, 0, 1],
        [255; 4],
    ] {
        assert!(
            !answer(&|o| o[12..16].copy_from_slice(&source)),
            "{source:?}"
        );
    }
    for destination in [[224, 0, 0, 5], [255; 4]] {
        assert!(!answer(&|o| o[16..20].copy_from_slice(&destination)));
    }
}

#[test]
fn a_quoted_header_is_as_long_as_it_says() {
    let layer = Layer::Outer;
    let truncated = |needed, found| {
        Err(WireError::Truncated {
            layer,
            needed,
            found,
        })
    };
    for (first, len, expected) in [
        (0x45, 60, Ok((20, 40))),
        (0x45, 20, Ok((20, 0))),
        (0x46, 60, Ok((24, 36))),
        (0x4f, 60, Ok((60, 0))),
        (0x4f, 59, truncated(60, 59)),
        (0x45, 19, truncated(20, 19)),
        (0x44, 60, Err(WireError::HeaderLen { layer, words: 4 })),
        (0x65, 60, Err(WireError::Version { layer, found: 6 })),
    ] {
        let mut octets = original(60);
        octets[0] = first;
        let quoted = Quoted::parse(&octets[..len], layer);
        let found = quoted.map(|quoted| (quoted.header_len, quoted.payload.len()));
        assert_eq!(found, expected, "{first:#x} of {len}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let octets = if octets.len() >= 8 {
            message(*octets.first_chunk().unwrap(), &octets[8..])
        } else {
            octets
        };
        if let Ok(view) = IcmpErrorView::parse(&octets) {
            prop_assert!(octets[8..].starts_with(view.quoted()));
            if let Ok(quoted) = Quoted::parse(view.quoted(), Layer::Outer) {
                let header_len = usize::from(quoted.header_len);
                prop_assert_eq!(quoted.payload, &view.quoted()[header_len..]);
                let mut buffer = [0; MAX_ICMP_ERROR_LEN];
                let _ = view.error().emit(NODE, view.quoted(), &mut buffer);
            }
        }
    }
}
