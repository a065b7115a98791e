use core::num::NonZeroU8;

use proptest::prelude::*;

use super::*;
use crate::addr::NodeAddr;
use crate::wire::{Dscp, Ecn, Endpoints, FragmentOffset, Ipv4Header};

fn outer() -> impl Strategy<Value = Outer> {
    let ttl = prop_oneof![
        Just(Ttl::Inherit),
        (1u8..).prop_map(|hops| Ttl::Fixed(NonZeroU8::new(hops).unwrap())),
    ];
    let dscp = prop_oneof![
        Just(DscpPolicy::Inherit),
        (0u8..64).prop_map(|value| DscpPolicy::Fixed(Dscp::try_new(value).unwrap())),
    ];
    let ecn = prop_oneof![
        Just(EcnPolicy::Kernel),
        Just(EcnPolicy::Normal),
        Just(EcnPolicy::Compatibility),
    ];
    let df = prop_oneof![Just(DontFragment::Inherit), Just(DontFragment::Always)];
    let fixed = (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u16>());
    (fixed, ttl, dscp, ecn, df).prop_map(
        |((local, remote, identification), ttl, dscp, ecn, dont_fragment)| Outer {
            endpoints: Endpoints {
                local: NodeAddr(local.into()),
                remote: NodeAddr(remote.into()),
            },
            ttl,
            dscp,
            ecn,
            dont_fragment,
            identification,
        },
    )
}

/// A packet of `len` octets at `headroom` octets in a buffer of 0xa5.
fn buffer_with(headroom: usize, len: usize, fields: (u8, u8, u16)) -> Vec<u8> {
    let mut buffer = vec![0xa5; headroom + len];
    let (tos, ttl, flags) = fields;
    let header = Ipv4Header {
        dscp: Dscp::of_tos(tos),
        ecn: Ecn::of_tos(tos),
        identification: 0xffff,
        dont_fragment: flags & 0x4000 != 0,
        more_fragments: flags & 0x2000 != 0,
        fragment_offset: FragmentOffset::try_new(flags & 0x1fff).unwrap(),
        ttl,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
    };
    header.emit(&mut buffer[headroom..]).unwrap();
    buffer
}

/// The outer header octet by octet, as RFC 2003 section 3.1 and the policies' own words tell it.
fn slow_header(outer: &Outer, inner: &[u8]) -> [u8; 20] {
    let mut octets = [0; 20];
    let len = u16::from_be_bytes([inner[2], inner[3]]) + 20;
    let dscp = match outer.dscp {
        DscpPolicy::Inherit => inner[1] / 4,
        DscpPolicy::Fixed(dscp) => dscp.value(),
    };
    let ecn = match (outer.ecn, inner[1] % 4) {
        (EcnPolicy::Compatibility, _) => 0,
        (EcnPolicy::Kernel, 3) => 2,
        (_, ecn) => ecn,
    };
    octets[0] = 0x45;
    octets[1] = dscp * 4 + ecn;
    octets[2..4].copy_from_slice(&len.to_be_bytes());
    octets[4..6].copy_from_slice(&outer.identification.to_be_bytes());
    if outer.dont_fragment == DontFragment::Always || inner[6] & 0x40 != 0 {
        octets[6] = 0x40;
    }
    octets[8] = match outer.ttl {
        Ttl::Inherit => inner[8],
        Ttl::Fixed(hops) => hops.get(),
    };
    octets[9] = 4;
    octets[12..16].copy_from_slice(&outer.endpoints.local.0.octets());
    octets[16..20].copy_from_slice(&outer.endpoints.remote.0.octets());
    let words = octets
        .chunks(2)
        .map(|w| u32::from(w[0]) * 256 + u32::from(w[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = sum % 0x10000 + sum / 0x10000;
    }
    octets[10..12].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    octets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn octets_are_those_of_the_slow_one(
        outer in outer(), fields: (u8, u8, u16), headroom in 20usize..40, len in 20usize..300,
    ) {
        let fields = (fields.0, fields.1.max(1), fields.2);
        let mut buffer = buffer_with(headroom, len, fields);
        let expected = slow_header(&outer, &buffer[headroom..]);
        let before = buffer.clone();
        let packet = Encapsulator::new(&outer).encapsulate(&mut buffer, headroom).unwrap();
        prop_assert_eq!(&packet[..20], expected);
        prop_assert_eq!(&packet[20..], &before[headroom..]);
        let inner = Ipv4View::parse(&before[headroom..], Layer::Inner).unwrap();
        prop_assert_eq!(outer.header(&inner).unwrap().to_octets(len), Ok(expected));
        prop_assert_eq!(&buffer[..headroom - 20], &before[..headroom - 20]);
    }

    #[test]
    fn an_identification_of_its_own_replaces_the_tunnels(outer in outer(), identification: u16) {
        let mut buffer = buffer_with(20, 28, (0, 64, 0));
        let expected = slow_header(&Outer { identification, ..outer }, &buffer[20..]);
        let tunnel = Encapsulator::new(&outer);
        let packet = tunnel.encapsulate_as(&mut buffer, 20, identification).unwrap();
        prop_assert_eq!(&packet[..20], expected);
    }
}
