use proptest::prelude::*;

use super::*;
use crate::wire::{Encapsulator, Endpoints, Ipv4Header, Layer, Outer, decapsulate, protocol};

fn mtu(octets: usize) -> TunnelMtu {
    TunnelMtu::try_new(u32::try_from(octets).unwrap()).unwrap()
}

/// A packet with `options`, whose payload counts up, and with the 16 bits of flags and offset as given.
fn packet(options: &[u8], payload_len: usize, fragment: u16) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut packet = vec![0xa5; 20];
    packet.extend(options);
    packet.extend((0..payload_len).map(|i| u8::try_from(i % 251).unwrap()));
    let header = Ipv4Header {
        identification: 0xbeef,
        ttl: 7,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    header.emit(&mut packet).unwrap();
    packet[0] = 0x40 | u8::try_from(header_len / 4).unwrap();
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = crate::wire::checksum(&packet[..header_len]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn cut(octets: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, FragmentError> {
    let view = Ipv4View::parse(octets, Layer::Inner).unwrap();
    let fragments = Fragments::new(&view, mtu(limit))?;
    Ok(fragments
        .map(|fragment| {
            let mut buffer = vec![0xa5; fragment.len()];
            assert_eq!(fragment.emit(&mut buffer), Ok(fragment.len()));
            buffer
        })
        .collect())
}

fn view(octets: &[u8]) -> Ipv4View<'_> {
    Ipv4View::parse(octets, Layer::Inner).unwrap()
}

/// 472 octets in all, 280 at most.
#[test]
fn rfc791_appendix_a_example_2_two_fragments() {
    let fragments = cut(&packet(&[], 452, 0), 280).unwrap();
    let facts = |octets: &Vec<u8>| {
        let view = view(octets);
        (
            view.total_len(),
            view.more_fragments(),
            view.fragment_offset().units(),
        )
    };
    assert_eq!(
        fragments.iter().map(facts).collect::<Vec<_>>(),
        [(276, true, 0), (216, false, 32)]
    );
}

#[test]
fn rfc791_section_3_1_options_are_copied_by_their_flag() {
    let (strict, record, security) = ([137, 3, 4], [7, 7, 4, 1, 2, 3, 4], [130, 4, 9, 9]);
    // No-operations between them, an end and padding after them.
    let options = [
        &[1][..],
        &record,
        &strict,
        &[1, 1],
        &security,
        &[0, 0xff, 0xff],
    ]
    .concat();
    let fragments = cut(&packet(&options, 300, 0), 104).unwrap();
    assert_eq!(view(&fragments[0]).options(), options);
    for later in &fragments[1..] {
        assert_eq!(
            view(later).options(),
            [&strict[..], &security, &[0]].concat()
        );
    }
    // The shorter header leaves room for more: 64 octets, then 72 each.
    let lens: Vec<_> = fragments.iter().map(|f| view(f).payload().len()).collect();
    assert_eq!(lens, [64, 72, 72, 72, 20]);
}

#[test]
fn rfc791_section_3_1_options_without_a_possible_length_are_not_guessed() {
    for (options, at) in [
        (&[130, 1, 0, 0][..], 20),
        (&[130, 0, 0, 0], 20),
        (&[1, 130, 4, 0], 21),
        (&[1, 1, 1, 130], 23),
        (&[130, 4, 0, 0, 7, 255, 0, 0], 24),
    ] {
        let error = cut(&packet(options, 300, 0), 104).unwrap_err();
        assert_eq!(error, FragmentError::Options { at }, "{options:?}");
        // What need not be cut is not read.
        assert_eq!(cut(&packet(options, 30, 0), 104).unwrap().len(), 1);
    }
}

#[test]
fn rfc791_section_3_2_df_is_honoured_and_short_packets_stay_as_they_are() {
    let octets = packet(&[], 81, 0x4000);
    let error = cut(&octets, 100).unwrap_err();
    assert_eq!(
        error,
        FragmentError::DontFragment {
            found: 101,
            mtu: 100
        }
    );
    assert_eq!(
        error.to_string(),
        "packet is 101 octets and has DF set, allowed are at most 100"
    );
    // The reserved flag, too.
    for fragment in [0x4000, 0xc000, 0x2000, 0x2007, 0x0007, 0] {
        let octets = packet(&[1, 1, 1, 0], 76, fragment);
        assert_eq!(cut(&octets, 100).unwrap(), [octets]);
    }
}

#[test]
fn a_fragment_beyond_the_longest_packet_is_not_cut() {
    // The last of 65,515 octets, and one octet more.
    for (payload_len, expected) in [
        (107, Ok(2)),
        (108, Err(FragmentError::FragmentEnd { found: 65_516 })),
    ] {
        let fragments = cut(&packet(&[], payload_len, 8176), 100);
        assert_eq!(fragments.map(|f| f.len()), expected);
    }
}

#[test]
fn a_fragment_says_where_it_belongs() {
    assert_eq!(view(&packet(&[], 9, 0x4000)).fragment(), None);
    let part = FragmentPart {
        key: FragmentKey {
            source: [10, 244, 79, 20].into(),
            destination: [10, 244, 244, 73].into(),
            protocol: protocol::UDP,
            identification: 0xbeef,
        },
        offset: 65_528,
        len: 9,
        more_fragments: true,
    };
    assert_eq!(view(&packet(&[1; 4], 9, 0x3fff)).fragment(), Some(part));
}

#[test]
fn a_buffer_too_short_is_left_alone() {
    let octets = packet(&[], 300, 0);
    let fragment = Fragments::new(&view(&octets), mtu(100)).unwrap().next();
    let mut buffer = [0xa5; 99];
    let error = WireError::Buffer {
        needed: 100,
        found: 99,
    };
    assert_eq!(fragment.unwrap().emit(&mut buffer), Err(error));
    assert_eq!(buffer, [0xa5; 99]);
}

/// Puts fragments together as RFC 791's receiver does: each octet where its fragment says.
fn reassemble(fragments: &[Vec<u8>]) -> (Vec<u8>, usize, bool) {
    let first = view(&fragments[0]).fragment_offset().octets().into();
    let (mut payload, mut more) = (vec![], true);
    for octets in fragments {
        let view = view(octets);
        let at = usize::from(view.fragment_offset().octets()) - first;
        assert_eq!(at, payload.len(), "neither gap nor overlap");
        payload.extend(view.payload());
        more = view.more_fragments();
    }
    (payload, first, more)
}

proptest! {
    #[test]
    fn what_is_cut_is_whole_again(
        options in 0usize..=10, payload_len in 0usize..3000, limit in 68usize..1500,
        offset in 0u16..4000, more: bool,
    ) {
        let fragment = offset | if more { 0x2000 } else { 0 };
        let octets = packet(&vec![1; options * 4], payload_len, fragment);
        let fragments = cut(&octets, limit).unwrap();
        let (whole, first, more_follow) = reassemble(&fragments);
        prop_assert_eq!(&whole, view(&octets).payload());
        prop_assert_eq!((first, more_follow), (usize::from(offset) * 8, more));
        let (last, others) = fragments.split_last().unwrap();
        prop_assert!(last.len() <= limit);
        for octets in others {
            let view = view(octets);
            // No longer than allowed, no shorter than need be, whole units, more to come.
            prop_assert!(octets.len() <= limit && octets.len() + 8 > limit);
            prop_assert!(view.payload().len().is_multiple_of(8) && view.more_fragments());
        }
        // Cut once more, it still fits together.
        let again: Vec<_> = fragments.iter().flat_map(|f| cut(f, 68).unwrap()).collect();
        prop_assert_eq!(reassemble(&again), (whole, first, more_follow));
        // The rest of the header is the packet's own.
        for fragment in &again {
            let header = Ipv4Header {
                fragment_offset: FragmentOffset::default(),
                more_fragments: false,
                ..view(fragment).header()
            };
            let whole = Ipv4Header {
                fragment_offset: FragmentOffset::default(),
                more_fragments: false,
                ..view(&octets).header()
            };
            prop_assert_eq!(header, whole);
        }
    }
}

/// RFC 4459 section 3.1: cut inside, each outer packet is whole and as long as the underlay carries.
#[test]
fn rfc4459_fragments_go_into_a_tunnel_one_by_one() {
    let octets = packet(&[], 3000, 0);
    let tunnel = Encapsulator::new(&Outer::tunl0(Endpoints {
        local: crate::addr::NodeAddr([172, 18, 0, 3].into()),
        remote: crate::addr::NodeAddr([172, 18, 0, 2].into()),
    }));
    let mut arrived = vec![];
    for fragment in Fragments::new(&view(&octets), mtu(1480)).unwrap() {
        let mut buffer = [0xa5; 1500];
        fragment.emit(&mut buffer[20..]).unwrap();
        let outer = tunnel.encapsulate(&mut buffer, 20).unwrap();
        assert!(!view(outer).is_fragment());
        arrived.push(decapsulate(outer).unwrap().to_vec());
    }
    assert_eq!(arrived.len(), 3);
    assert_eq!(reassemble(&arrived).0, view(&octets).payload());
}
