use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::addr::NodeAddr;
use crate::wire::{Endpoints, Ipv4Header};

const TUNL0: Endpoints = Endpoints {
    local: NodeAddr(Ipv4Addr::new(172, 18, 0, 3)),
    remote: NodeAddr(Ipv4Addr::new(172, 18, 0, 2)),
};

/// An inner packet of `len` octets with `ttl`, at `headroom` octets in a buffer of 0xa5.
fn buffer_with(headroom: usize, len: usize, ttl: u8) -> Vec<u8> {
    let mut buffer = vec![0xa5; headroom + len];
    let header = Ipv4Header {
        dont_fragment: true,
        ttl,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    header.emit(&mut buffer[headroom..]).unwrap();
    buffer
}

/// scapy 2.8.0: `IP(ttl=63, flags="DF", id=0x1234, src="172.18.0.3", dst="172.18.0.2", proto=4)` before 28 octets.
#[test]
fn the_outer_header_is_these_octets() {
    let mut buffer = buffer_with(20, 28, 63);
    let outer = Outer {
        identification: 0x1234,
        ..Outer::tunl0(TUNL0)
    };
    let packet = encapsulate(&mut buffer, 20, &outer).unwrap();
    assert_eq!(
        packet[..20],
        [
            0x45, 0, 0, 48, 0x12, 0x34, 0x40, 0, 63, 4, 0xd1, 0x6c, 172, 18, 0, 3, 172, 18, 0, 2
        ]
    );
}

#[test]
fn a_packet_that_may_not_be_carried_leaves_the_buffer_alone() {
    let mut bad_checksum = buffer_with(20, 28, 64);
    bad_checksum[20 + 11] ^= 1;
    let inner = Layer::Inner;
    for (mut buffer, headroom, expected) in [
        (buffer_with(20, 28, 0), 20, WireError::TtlZero),
        (
            buffer_with(19, 28, 64),
            19,
            WireError::Headroom {
                needed: 20,
                found: 19,
            },
        ),
        (
            buffer_with(20, 65_516, 64),
            20,
            WireError::PacketTooLong {
                found: 65_536,
                max: 65_535,
            },
        ),
        (
            vec![0xa5; 20],
            20,
            WireError::Truncated {
                layer: inner,
                needed: 20,
                found: 0,
            },
        ),
        (
            vec![0xa5; 39],
            40,
            WireError::Truncated {
                layer: inner,
                needed: 20,
                found: 0,
            },
        ),
        (
            vec![0xa5; 39],
            usize::MAX,
            WireError::Truncated {
                layer: inner,
                needed: 20,
                found: 0,
            },
        ),
        (
            buffer_with(20, 28, 64)[..47].to_vec(),
            20,
            WireError::Truncated {
                layer: inner,
                needed: 28,
                found: 27,
            },
        ),
        (
            vec![0xa5; 48],
            20,
            WireError::Version {
                layer: inner,
                found: 10,
            },
        ),
    ] {
        let before = buffer.clone();
        let found = encapsulate(&mut buffer, headroom, &Outer::tunl0(TUNL0));
        assert_eq!(found, Err(expected));
        assert!(buffer == before, "{expected}: the buffer changed");
    }
    assert!(matches!(
        encapsulate(&mut bad_checksum, 20, &Outer::tunl0(TUNL0)),
        Err(WireError::Checksum {
            layer: Layer::Inner,
            ..
        })
    ));
    assert!(encapsulate(&mut buffer_with(20, 65_515, 1), 20, &Outer::tunl0(TUNL0)).is_ok());
}

#[test]
fn a_packet_out_of_time_can_be_read_but_not_delivered() {
    let mut packet = buffer_with(20, 28, 0);
    let outer = Ipv4Header {
        protocol: protocol::IPIP,
        ..Ipv4Header::default()
    };
    outer.emit(&mut packet).unwrap();
    assert_eq!(IpipView::parse(&packet).unwrap().inner.ttl(), 0);
    assert_eq!(decapsulate(&packet), Err(WireError::TtlZero));
}

/// One header as RFC 791 tells it, octet by octet; what the oracle below is made of.
fn slow_header(octets: &[u8]) -> Result<(usize, usize), &'static str> {
    if octets.len() < 20 {
        return Err("Truncated");
    }
    if octets[0] / 16 != 4 {
        return Err("Version");
    }
    let header_len = usize::from(octets[0] % 16) * 4;
    let total_len = usize::from(octets[2]) * 256 + usize::from(octets[3]);
    if total_len > octets.len() {
        return Err("Truncated");
    }
    if total_len < header_len {
        return Err("TotalLen");
    }
    if header_len < 20 {
        return Err("HeaderLen");
    }
    let mut sum = 0u32;
    for pair in octets[..header_len].chunks(2) {
        sum += u32::from(pair[0]) * 256 + u32::from(pair[1]);
        sum = sum % 0x10000 + sum / 0x10000;
    }
    if sum != 0xffff {
        return Err("Checksum");
    }
    Ok((header_len, total_len))
}

/// Where the inner packet lies, or the name of the error.
fn slow_ipip(octets: &[u8]) -> Result<Range<usize>, &'static str> {
    let (start, end) = slow_header(octets)?;
    if octets[9] != 4 {
        return Err("Protocol");
    }
    if octets[6] & 0x3f != 0 || octets[7] != 0 {
        return Err("OuterFragment");
    }
    let (_, inner_len) = slow_header(&octets[start..end])?;
    Ok(start..start + inner_len)
}

/// Two headers with options and any fields, checksums right, then damaged a little.
fn nearly_ipip() -> impl Strategy<Value = Vec<u8>> {
    let header = || (prop::array::uniform12(any::<u8>()), 5u8..=15, 0usize..12);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (header(), header(), 0u8..4, damage, any::<bool>(), 0usize..6).prop_map(
        |(outer, inner, odd, damage, repair, cut)| {
            let mut octets = Vec::new();
            for (fields, words, padding) in [inner, outer] {
                let header_len = usize::from(words) * 4;
                octets.extend(vec![0xa5; padding]);
                octets.splice(0..0, vec![1; header_len]);
                octets[0] = 0x40 | words;
                let len = u16::try_from(octets.len() - padding).unwrap();
                octets[2..4].copy_from_slice(&len.to_be_bytes());
                octets[6..8].copy_from_slice(&[fields[0] & 0xc0, 0]);
                octets[8..10].copy_from_slice(&[fields[1], 4]);
                octets[12..20].copy_from_slice(&fields[4..]);
            }
            if odd == 0 {
                octets[7] = 1; // a fragment
            }
            let starts = [0, usize::from(octets[0] % 16) * 4];
            let mut damage = damage.into_iter();
            if repair && let Some((at, value)) = damage.next() {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            for start in starts {
                let end = octets
                    .len()
                    .min(start + usize::from(octets[start] % 16) * 4);
                if end >= start + 12 {
                    octets[start + 10..start + 12].fill(0);
                    let checksum = crate::wire::checksum(&octets[start..end]);
                    octets[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
                }
            }
            for (at, value) in damage {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            octets.truncate(octets.len() - if odd == 1 { cut } else { 0 });
            octets
        },
    )
}

/// What the fast code says, in the oracle's terms.
fn fast_ipip(octets: &[u8]) -> Result<Range<usize>, String> {
    match IpipView::parse(octets) {
        Ok(view) => Ok(view.inner_range()),
        Err(error) => Err(format!("{error:?}").split(' ').next().unwrap().into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_octets_get_the_oracles_answer(octets in prop::collection::vec(any::<u8>(), 0..128)) {
        prop_assert_eq!(fast_ipip(&octets), slow_ipip(&octets).map_err(String::from));
    }

    #[test]
    fn damaged_packets_get_the_oracles_answer(octets in nearly_ipip()) {
        let expected = slow_ipip(&octets);
        prop_assert_eq!(fast_ipip(&octets), expected.clone().map_err(String::from));
        if let Ok(range) = expected {
            let inner = decapsulate(&octets);
            if octets[range.start + 8] == 0 {
                prop_assert_eq!(inner, Err(WireError::TtlZero));
            } else {
                prop_assert_eq!(inner, Ok(&octets[range]));
            }
        }
    }

    #[test]
    fn what_is_encapsulated_comes_out_again(
        headroom in 20usize..64, len in 20usize..1500, ttl in 1u8.., tail in 0usize..8,
    ) {
        let mut buffer = buffer_with(headroom, len, ttl);
        buffer.extend(vec![0x5a; tail]);
        let before = buffer.clone();
        let packet = encapsulate(&mut buffer, headroom, &Outer::tunl0(TUNL0)).unwrap();
        prop_assert_eq!(packet.len(), 20 + len);
        prop_assert_eq!(decapsulate(packet), Ok(&before[headroom..headroom + len]));
        prop_assert_eq!(&buffer[..headroom - 20], &before[..headroom - 20]);
        prop_assert_eq!(&buffer[headroom..], &before[headroom..]);
    }
}
