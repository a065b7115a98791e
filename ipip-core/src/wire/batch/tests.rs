use core::mem::{offset_of, size_of};

use proptest::prelude::*;

use super::*;
use crate::addr::NodeAddr;
use crate::wire::{Endpoints, Ipv4Header, Outer, encapsulate, protocol};

fn outer() -> Outer {
    Outer::tunl0(Endpoints {
        local: NodeAddr([172, 18, 0, 3].into()),
        remote: NodeAddr([172, 18, 0, 2].into()),
    })
}

/// An inner packet of `len` octets, behind 20 of headroom.
fn inner(len: usize, ttl: u8) -> Vec<u8> {
    let mut packet = vec![0xa5; HEADER_LEN + len];
    let header = Ipv4Header {
        ttl,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    header.emit(&mut packet[HEADER_LEN..]).unwrap();
    packet
}

/// C and NumPy see these as they are.
#[test]
fn records_have_no_padding() {
    assert_eq!(size_of::<HeaderFields>(), 20);
    assert_eq!(size_of::<IpipFields>(), 44);
    assert_eq!(offset_of!(HeaderFields, identification), 8);
    assert_eq!(offset_of!(HeaderFields, tos), 16);
    assert_eq!(offset_of!(IpipFields, inner), 20);
    assert_eq!(offset_of!(IpipFields, status), 40);
    assert_eq!(size_of::<Span>(), 2 * size_of::<usize>());
}

#[test]
fn each_field_is_the_header_fields() {
    let mut packet = inner(28, 9);
    let header = Ipv4Header {
        dscp: crate::wire::Dscp::try_new(46).unwrap(),
        ecn: crate::wire::Ecn::Ect1,
        identification: 0xbeef,
        dont_fragment: true,
        ttl: 77,
        protocol: protocol::IPIP,
        source: [172, 18, 0, 3].into(),
        destination: [172, 18, 0, 2].into(),
        ..Ipv4Header::default()
    };
    header.emit(&mut packet).unwrap();
    let span = Span { offset: 0, len: 48 };
    let mut fields = [IpipFields::default()];
    assert_eq!(parse_batch(&packet, &[span], &mut fields), Ok(1));
    let expected = HeaderFields {
        source: 0xac12_0003,
        destination: 0xac12_0002,
        identification: 0xbeef,
        total_len: 48,
        fragment: 0x4000,
        checksum: u16::from_be_bytes([packet[10], packet[11]]),
        tos: 0xb9,
        ttl: 77,
        protocol: 4,
        header_len: 20,
    };
    assert_eq!(fields[0].outer, expected);
    assert_eq!(
        (fields[0].inner.ttl, fields[0].inner.protocol),
        (9, protocol::UDP)
    );
}

#[test]
fn an_output_too_short_is_refused_and_one_too_long_is_left_alone_beyond() {
    let spans = [Span {
        offset: 20,
        len: 28,
    }; 2];
    let mut buffer = inner(28, 64);
    let before = buffer.clone();
    let error = BatchError::Output {
        needed: 2,
        found: 1,
    };
    assert_eq!(
        error.to_string(),
        "output has places for 1 packets, needs 2"
    );
    let dirty = Span { offset: 7, len: 7 };
    let (mut one, mut three) = ([dirty; 1], [dirty; 3]);
    let tunnel = Encapsulator::new(&outer());
    for (out, statuses) in [
        (&mut one[..], &mut [7; 3][..]),
        (&mut three[..], &mut [7; 1][..]),
    ] {
        let found = decapsulate_batch(&buffer, &spans, out, statuses);
        assert_eq!(found, Err(error));
        let found = tunnel.encapsulate_batch(&mut buffer, &spans, 0, (out, statuses));
        assert_eq!(found, Err(error));
        assert!(statuses.iter().all(|status| *status == 7));
    }
    assert!(one == [dirty; 1] && three == [dirty; 3] && buffer == before);
    let mut fields = [IpipFields::default(); 1];
    assert_eq!(parse_batch(&buffer, &spans, &mut fields), Err(error));
    let mut statuses = [7; 3];
    assert_eq!(
        decapsulate_batch(&buffer, &spans, &mut three, &mut statuses),
        Ok(0)
    );
    assert_eq!((three[2], statuses[2]), (dirty, 7));
}

#[test]
fn packets_that_would_damage_each_other_are_refused() {
    let one = inner(28, 64);
    let mut buffer = [&one[..], &one[20..], &one[..], &one[..]].concat();
    let before = buffer.clone();
    let spans = [
        (20, 28),
        (48, 28),        // no headroom
        (usize::MAX, 2), // nowhere
        (96, 28),
        (96, 28),  // the same again
        (20, 28),  // backwards
        (97, 27),  // within what the fourth took
        (144, 29), // past the end
    ]
    .map(|(offset, len)| Span { offset, len });
    let (mut out, mut statuses) = ([Span::default(); 8], [7; 8]);
    let tunnel = Encapsulator::new(&outer());
    let good = tunnel.encapsulate_batch(&mut buffer, &spans, 0xfffe, (&mut out, &mut statuses));
    assert_eq!(good, Ok(2));
    assert_eq!(statuses, [0, 208, 200, 0, 208, 208, 208, 200]);
    let mut whole = [Span::default(); 8];
    (whole[0], whole[3]) = (
        Span { offset: 0, len: 48 },
        Span {
            offset: 76,
            len: 48,
        },
    );
    assert_eq!(out, whole);
    assert_eq!(buffer[20..76], before[20..76]);
    assert_eq!(buffer[96..], before[96..]);
    // Identifications go on over those that were refused.
    assert_eq!(
        (&buffer[4..6], &buffer[80..82]),
        (&[0xff, 0xfe][..], &[0, 1][..])
    );
}

#[test]
fn codes_are_all_different() {
    let layer = Layer::Outer;
    let codes = [
        WireError::Truncated {
            layer,
            needed: 0,
            found: 0,
        },
        WireError::Version { layer, found: 0 },
        WireError::HeaderLen { layer, words: 0 },
        WireError::TotalLen {
            layer,
            found: 0,
            header_len: 0,
        },
        WireError::Checksum {
            layer,
            found: 0,
            computed: 0,
        },
        WireError::Protocol { found: 0 },
        WireError::OuterFragment {
            offset: 0,
            more_fragments: true,
        },
        WireError::TtlZero,
        WireError::Headroom {
            needed: 0,
            found: 0,
        },
        WireError::Buffer {
            needed: 0,
            found: 0,
        },
        WireError::PacketTooLong { found: 0, max: 0 },
        WireError::IcmpType { found: 0, code: 0 },
        WireError::Dscp { found: 0 },
        WireError::FragmentOffset { found: 0 },
        WireError::TtlExpired { found: 0 },
        WireError::EcnDrop,
        WireError::IcmpNotError { found: 0 },
    ]
    .map(|error| error.code());
    assert!(codes.into_iter().eq(200..217), "{codes:?}");
}

proptest! {
    /// A batch of packets, some damaged and some with too little room, against the single calls.
    #[test]
    fn a_batch_says_what_single_calls_say(
        sizes in prop::collection::vec((20usize..90, 0u8..4, 0usize..4), 0..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        identification: u16, past_the_end: bool,
    ) {
        let mut buffer = vec![];
        let mut spans = vec![];
        for (len, ttl, gap) in sizes {
            buffer.resize(buffer.len() + gap, 0xa5);
            spans.push(Span { offset: buffer.len() + HEADER_LEN, len });
            buffer.extend(inner(len, ttl));
        }
        for (at, value) in damage {
            if !buffer.is_empty() {
                let at = at.index(buffer.len());
                buffer[at] = value;
            }
        }
        if past_the_end {
            buffer.truncate(buffer.len().saturating_sub(5));
        }
        let (mut packets, mut statuses) = (vec![Span::default(); spans.len()], vec![7; spans.len()]);
        let mut singly = buffer.clone();
        let good = Encapsulator::new(&outer())
            .encapsulate_batch(&mut buffer, &spans, identification, (&mut packets, &mut statuses))
            .unwrap();
        let mut next = identification;
        for (span, (packet, status)) in spans.iter().zip(packets.iter().zip(&statuses)) {
            let slot = span.offset - HEADER_LEN..(span.offset + span.len).min(singly.len());
            let outer = Outer { identification: next, ..outer() };
            let single = encapsulate(&mut singly[slot], HEADER_LEN, &outer);
            let expected = match single {
                Ok(whole) => (Span { offset: span.offset - HEADER_LEN, len: whole.len() }, 0),
                Err(error) => (Span::default(), error.code()),
            };
            // Cut short, the batch says so before it looks at what is left.
            if span.offset + span.len > singly.len() {
                prop_assert_eq!(*status, 200);
            } else {
                prop_assert_eq!((*packet, *status), expected);
            }
            next = next.wrapping_add(1);
        }
        prop_assert_eq!(good, statuses.iter().filter(|status| **status == 0).count());

        // What came out, read again; the empty spans of the bad ones are bad packets.
        let mut fields = vec![IpipFields::default(); spans.len()];
        let mut inner = packets.clone();
        prop_assert_eq!(parse_batch(&buffer, &packets, &mut fields), Ok(good));
        prop_assert_eq!(decapsulate_batch(&buffer, &packets, &mut inner, &mut statuses), Ok(good));
        for (at, packet) in packets.iter().enumerate() {
            let octets = &buffer[packet.offset..packet.offset + packet.len];
            match IpipView::parse(octets) {
                Ok(view) => {
                    prop_assert_eq!(fields[at].outer.identification, view.outer.identification());
                    prop_assert_eq!(fields[at].inner.total_len, view.inner.total_len());
                    prop_assert_eq!(fields[at].status, 0);
                    let range = inner[at].offset..inner[at].offset + inner[at].len;
                    prop_assert_eq!(&buffer[range], view.inner.packet());
                }
                Err(error) => {
                    let expected = IpipFields { status: error.code(), ..IpipFields::default() };
                    prop_assert_eq!(fields[at], expected);
                    prop_assert_eq!((inner[at], statuses[at]), (Span::default(), error.code()));
                }
            }
        }
    }
}
