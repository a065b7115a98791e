use proptest::prelude::*;

use super::*;
use crate::wire::protocol;

/// scapy 2.8.0: `IP(tos=0xb9, id=0xbeef, flags="DF+MF", frag=185, ttl=42, proto=6, src="10.244.79.20",
/// dst="10.244.244.73")/Raw(bytes([1, 2, 3, 4]))`
const PACKET: [u8; 24] = [
    0x45, 0xb9, 0x00, 0x18, 0xbe, 0xef, 0x60, 0xb9, 0x2a, 0x06, 0x17, 0x39, 10, 244, 79, 20, 10,
    244, 244, 73, 1, 2, 3, 4,
];

fn header() -> Ipv4Header {
    Ipv4Header {
        dscp: Dscp::try_new(46).unwrap(),
        ecn: Ecn::Ect1,
        identification: 0xbeef,
        dont_fragment: true,
        more_fragments: true,
        fragment_offset: FragmentOffset::try_new(185).unwrap(),
        ttl: 42,
        protocol: protocol::TCP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
    }
}

#[test]
fn deconstruct() {
    let view = Ipv4View::parse(&PACKET, Layer::Inner).unwrap();
    assert_eq!(view.header(), header());
    assert_eq!((view.header_len(), view.total_len()), (20, 24));
    assert_eq!((view.tos(), view.checksum()), (0xb9, 0x1739));
    assert_eq!(view.fragment_offset().octets(), 1480);
    assert_eq!((view.options(), view.payload()), (&[][..], &PACKET[20..]));
    assert_eq!(view.packet(), PACKET);
}

#[test]
fn debug_shows_fields_and_no_payload() {
    let view = Ipv4View::parse(&PACKET, Layer::Inner).unwrap();
    let header = header();
    let expected = format!("Ipv4View {{ header: {header:?}, options: [], total_len: 24 }}");
    assert_eq!(format!("{view:?}"), expected);
}

#[test]
fn construct() {
    let mut packet = [0xa5; 24];
    packet[20..].copy_from_slice(&[1, 2, 3, 4]);
    header().emit(&mut packet).unwrap();
    assert_eq!(packet, PACKET);
}

#[test]
fn padding_and_options_are_told_from_payload() {
    let mut packet = [0xa5; 40];
    // 5 words and one of options (four no-operations), 3 octets of payload, then padding.
    let plain = Ipv4Header::default();
    plain.emit(&mut packet[..27]).unwrap();
    packet[0] = 0x46;
    packet[20..24].fill(1);
    // The first word grew by 0x0100, the options sum to 0x0202.
    let checksum = BigEndian::read_u16(&packet[10..12]) - 0x0302;
    BigEndian::write_u16(&mut packet[10..12], checksum);
    let view = Ipv4View::parse(&packet, Layer::Outer).unwrap();
    assert_eq!((view.header_len(), view.total_len()), (24, 27));
    assert_eq!(view.options(), [1; 4]);
    assert_eq!(view.payload(), [0xa5; 3]);
    assert_eq!(view.packet().len(), 27);
}

/// The usual case is decided by the first octet, and by the sum of the first 20 only then.
#[test]
fn a_right_sum_excuses_no_other_first_octet() {
    let layer = Layer::Outer;
    let read = |first: u8| {
        // Options that sum to nothing, so that the first 20 octets are right by themselves.
        let mut packet = [0; 27];
        Ipv4Header::default().emit(&mut packet).unwrap();
        let more = (u16::from(first) - 0x45) << 8;
        let checksum = BigEndian::read_u16(&packet[10..12]) - more;
        packet[0] = first;
        BigEndian::write_u16(&mut packet[10..12], checksum);
        assert_eq!(sum(&packet[..20]), 0xffff);
        Ipv4View::parse(&packet, layer).map(|view| (view.options().len(), view.payload().len()))
    };
    assert_eq!(read(0x45), Ok((0, 7)));
    assert_eq!(read(0x46), Ok((4, 3)));
    assert_eq!(read(0x65), Err(WireError::Version { layer, found: 6 }));
}

#[test]
fn each_fault_has_its_own_error() {
    let layer = Layer::Outer;
    // Which octet gets which value, how many octets are left, what that is.
    for (at, value, len, expected) in [
        (
            0,
            0x45,
            19,
            WireError::Truncated {
                layer,
                needed: 20,
                found: 19,
            },
        ),
        (
            0,
            0x45,
            23,
            WireError::Truncated {
                layer,
                needed: 24,
                found: 23,
            },
        ),
        (0, 0x65, 24, WireError::Version { layer, found: 6 }),
        (0, 0x44, 24, WireError::HeaderLen { layer, words: 4 }),
        (0, 0x40, 24, WireError::HeaderLen { layer, words: 0 }),
        (
            3,
            19,
            24,
            WireError::TotalLen {
                layer,
                found: 19,
                header_len: 20,
            },
        ),
        (
            0,
            0x47,
            24,
            WireError::TotalLen {
                layer,
                found: 24,
                header_len: 28,
            },
        ),
        (
            2,
            0xff,
            24,
            WireError::Truncated {
                layer,
                needed: 0xff18,
                found: 24,
            },
        ),
        (
            10,
            0x56,
            24,
            WireError::Checksum {
                layer,
                found: 0x5639,
                computed: 0x1739,
            },
        ),
        (
            8,
            0x29,
            24,
            WireError::Checksum {
                layer,
                found: 0x1739,
                computed: 0x1839,
            },
        ),
    ] {
        let mut packet = PACKET;
        packet[at] = value;
        let found = Ipv4View::parse(&packet[..len], layer);
        assert_eq!(found, Err(expected), "octet {at} = {value:#x}, {len} long");
    }
}

#[test]
fn lengths_that_cannot_be_emitted_leave_the_buffer_alone() {
    let mut short = [0xa5; 19];
    let error = header().emit(&mut short).unwrap_err();
    assert_eq!(error.to_string(), "buffer is 19 octets, needs 20");
    assert_eq!(short, [0xa5; 19]);

    let mut long = vec![0xa5; 65_536];
    let error = header().emit(&mut long).unwrap_err();
    assert_eq!(
        error.to_string(),
        "packet would be 65536 octets, allowed are at most 65535"
    );
    assert!(long.iter().all(|octet| *octet == 0xa5));
    assert_eq!(header().emit(&mut long[1..]), Ok(()));
}

#[test]
fn a_fourteenth_offset_bit_is_refused() {
    assert_eq!(FragmentOffset::try_new(8191).unwrap().octets(), 65_528);
    let error = FragmentOffset::try_new(8192).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fragment offset 8192 is outside 0 to 8191 units of 8 octets"
    );
}

fn any_header() -> impl Strategy<Value = Ipv4Header> {
    let octets = (any::<u8>(), any::<u8>(), any::<u8>());
    let fields = (
        any::<u16>(),
        any::<u16>(),
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
    );
    (octets, fields).prop_map(
        |((tos, ttl, protocol), (identification, flags, from, to))| Ipv4Header {
            dscp: Dscp::of_tos(tos),
            ecn: Ecn::of_tos(tos),
            identification,
            dont_fragment: flags & 0x4000 != 0,
            more_fragments: flags & 0x2000 != 0,
            fragment_offset: FragmentOffset::try_new(flags & 0x1fff).unwrap(),
            ttl,
            protocol,
            source: from.into(),
            destination: to.into(),
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in any_header(), len in 20usize..=1500) {
        let mut packet = vec![0xa5; len];
        header.emit(&mut packet).unwrap();
        let view = Ipv4View::parse(&packet, Layer::Inner).unwrap();
        prop_assert_eq!(view.header(), header);
        prop_assert_eq!(view.packet(), &packet[..]);
        prop_assert_eq!(view.payload(), &packet[20..]);
    }

    #[test]
    fn a_packet_cut_anywhere_is_truncated(header in any_header(), len in 20usize..200, cut: prop::sample::Index) {
        let mut packet = vec![0xa5; len];
        header.emit(&mut packet).unwrap();
        let found = cut.index(len);
        let needed = if found < 20 { 20 } else { len };
        prop_assert_eq!(
            Ipv4View::parse(&packet[..found], Layer::Inner),
            Err(WireError::Truncated { layer: Layer::Inner, needed, found })
        );
    }

    /// RFC 1071: a changed bit always shows in the checksum, unless it shows earlier.
    #[test]
    fn one_flipped_header_bit_never_passes(header in any_header(), bit in 0usize..160) {
        let mut packet = vec![0xa5; 64];
        header.emit(&mut packet).unwrap();
        packet[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Ipv4View::parse(&packet, Layer::Inner).is_err());
    }
}
