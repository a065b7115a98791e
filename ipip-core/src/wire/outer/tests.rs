use super::*;
use crate::wire::{Encapsulator, FragmentOffset, Layer, encapsulate};

const ENDPOINTS: Endpoints = Endpoints {
    local: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 3)),
    remote: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 2)),
};

/// The outer header for an inner packet of 28 octets.
fn outer_of(outer: Outer, inner: Ipv4Header) -> Ipv4Header {
    let mut packet = [0xa5; 28];
    inner.emit(&mut packet).unwrap();
    let inner = Ipv4View::parse(&packet, Layer::Inner).unwrap();
    outer.header(&inner).unwrap()
}

#[test]
fn tunl0_takes_ttl_ecn_and_df_from_inside_and_nothing_else() {
    let inner = Ipv4Header {
        dscp: Dscp::try_new(46).unwrap(),
        ecn: Ecn::Ect1,
        identification: 0x7777,
        dont_fragment: true,
        more_fragments: true,
        fragment_offset: FragmentOffset::try_new(3).unwrap(),
        ttl: 17,
        protocol: 6,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
    };
    let expected = Ipv4Header {
        ecn: Ecn::Ect1,
        dont_fragment: true,
        ttl: 17,
        protocol: 4,
        source: [172, 18, 0, 3].into(),
        destination: [172, 18, 0, 2].into(),
        ..Ipv4Header::default()
    };
    assert_eq!(outer_of(Outer::tunl0(ENDPOINTS), inner), expected);
}

#[test]
fn each_policy_sets_its_own_field() {
    let dscp = |value| Dscp::try_new(value).unwrap();
    let inner = Ipv4Header {
        dscp: dscp(10),
        ttl: 9,
        ..Ipv4Header::default()
    };
    let base = Outer::tunl0(ENDPOINTS);
    let unchanged = outer_of(base, inner);
    for (outer, expected) in [
        (
            Outer {
                ttl: Ttl::Fixed(NonZeroU8::MAX),
                ..base
            },
            Ipv4Header {
                ttl: 255,
                ..unchanged
            },
        ),
        (
            Outer {
                dscp: DscpPolicy::Inherit,
                ..base
            },
            Ipv4Header {
                dscp: dscp(10),
                ..unchanged
            },
        ),
        (
            Outer {
                dscp: DscpPolicy::Fixed(dscp(63)),
                ..base
            },
            Ipv4Header {
                dscp: dscp(63),
                ..unchanged
            },
        ),
        (
            Outer {
                dont_fragment: DontFragment::Always,
                ..base
            },
            Ipv4Header {
                dont_fragment: true,
                ..unchanged
            },
        ),
        (
            Outer {
                identification: 0xbeef,
                ..base
            },
            Ipv4Header {
                identification: 0xbeef,
                ..unchanged
            },
        ),
    ] {
        assert_eq!(outer_of(outer, inner), expected, "{outer:?}");
    }
}

/// One row of figure 3, and Linux's own column: the outer field in compatibility mode, in normal mode
/// and as the kernel writes it.
fn entry(inner: Ecn, compatibility: Ecn, normal: Ecn, kernel: Ecn) {
    for (ecn, expected) in [
        (EcnPolicy::Compatibility, compatibility),
        (EcnPolicy::Normal, normal),
        (EcnPolicy::Kernel, kernel),
    ] {
        let inner = Ipv4Header {
            ecn: inner,
            ..Ipv4Header::default()
        };
        let outer = Outer {
            ecn,
            ..Outer::tunl0(ENDPOINTS)
        };
        assert_eq!(outer_of(outer, inner).ecn, expected, "{ecn:?} {inner:?}");
    }
}

#[test]
fn rfc6040_section_4_1_inner_not_ect() {
    entry(Ecn::NotEct, Ecn::NotEct, Ecn::NotEct, Ecn::NotEct);
}

#[test]
fn rfc6040_section_4_1_inner_ect0() {
    entry(Ecn::Ect0, Ecn::NotEct, Ecn::Ect0, Ecn::Ect0);
}

#[test]
fn rfc6040_section_4_1_inner_ect1() {
    entry(Ecn::Ect1, Ecn::NotEct, Ecn::Ect1, Ecn::Ect1);
}

/// RFC 3168 section 9.1.1 has ECT(0) here, and so has Linux.
#[test]
fn rfc6040_section_4_1_inner_ce() {
    entry(Ecn::Ce, Ecn::NotEct, Ecn::Ce, Ecn::Ect0);
}

/// The octets of the outer header that each tunnel object writes in front of `inner`, an octet of
/// options in each word of `option_words`.
fn written(outer: Outer, inner: Ipv4Header, option_words: u8) -> [u8; 20] {
    let header_len = 20 + usize::from(option_words) * 4;
    let mut buffer = vec![0xa5; 20 + header_len + 9];
    inner.emit(&mut buffer[20..]).unwrap();
    buffer[20] = 0x45 + option_words;
    buffer[40..20 + header_len].fill(1); // no operation
    buffer[30..32].fill(0);
    let checksum = crate::wire::checksum(&buffer[20..20 + header_len]);
    buffer[30..32].copy_from_slice(&checksum.to_be_bytes());
    let mut by_tunnel = buffer.clone();
    encapsulate(&mut buffer, 20, &outer).unwrap();
    Encapsulator::new(&outer)
        .encapsulate(&mut by_tunnel, 20)
        .unwrap();
    assert_eq!(buffer, by_tunnel);
    *buffer.first_chunk().unwrap()
}

#[test]
fn rfc2003_section_3_1_version_and_ihl_are_those_of_a_header_without_options() {
    for option_words in [0, 1, 10] {
        let octets = written(Outer::tunl0(ENDPOINTS), Ipv4Header::default(), option_words);
        assert_eq!(octets[0], 0x45, "inner options are not copied");
    }
}

#[test]
fn rfc2003_section_3_1_tos_is_copied_where_the_tunnel_is_uniform() {
    let uniform = Outer {
        dscp: DscpPolicy::Inherit,
        ecn: EcnPolicy::Normal,
        ..Outer::tunl0(ENDPOINTS)
    };
    for tos in 0..=u8::MAX {
        let inner = Ipv4Header {
            dscp: Dscp::of_tos(tos),
            ecn: Ecn::of_tos(tos),
            ..Ipv4Header::default()
        };
        assert_eq!(written(uniform, inner, 0)[1], tos);
    }
}

#[test]
fn rfc2003_section_3_1_total_length_is_that_of_the_inner_packet_and_both_headers() {
    for (option_words, total_len) in [(0, 20 + 29), (10, 20 + 69)] {
        let octets = written(Outer::tunl0(ENDPOINTS), Ipv4Header::default(), option_words);
        assert_eq!(octets[2..4], [0, total_len]);
    }
}

#[test]
fn rfc2003_section_3_1_flags_and_fragment_offset() {
    for (always, inner_df, outer_df) in [
        (DontFragment::Inherit, false, false),
        (DontFragment::Inherit, true, true),
        (DontFragment::Always, false, true),
        (DontFragment::Always, true, true),
    ] {
        let outer = Outer {
            dont_fragment: always,
            identification: 0xbeef,
            ..Outer::tunl0(ENDPOINTS)
        };
        // Whatever part of a packet the inner one is, the outer one is whole.
        let inner = Ipv4Header {
            dont_fragment: inner_df,
            identification: 0x1234,
            more_fragments: true,
            fragment_offset: FragmentOffset::try_new(77).unwrap(),
            ..Ipv4Header::default()
        };
        let df = if outer_df { 0x40 } else { 0 };
        assert_eq!(written(outer, inner, 0)[4..8], [0xbe, 0xef, df, 0]);
    }
}

#[test]
fn rfc2003_section_3_1_ttl_is_configured_or_inherited_and_never_lowered_here() {
    let inner = |ttl| Ipv4Header {
        ttl,
        ..Ipv4Header::default()
    };
    let fixed = Outer {
        ttl: Ttl::Fixed(NonZeroU8::new(64).unwrap()),
        ..Outer::tunl0(ENDPOINTS)
    };
    for ttl in 1..=u8::MAX {
        assert_eq!(written(Outer::tunl0(ENDPOINTS), inner(ttl), 0)[8], ttl);
        assert_eq!(written(fixed, inner(ttl), 0)[8], 64);
    }
    let mut packet = [0xa5; 28];
    inner(0).emit(&mut packet).unwrap();
    let spent = Ipv4View::parse(&packet, Layer::Inner).unwrap();
    assert_eq!(fixed.header(&spent), Err(WireError::TtlZero));
}

#[test]
fn rfc2003_section_3_1_protocol_checksum_and_addresses() {
    let inner = Ipv4Header {
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    let octets = written(Outer::tunl0(ENDPOINTS), inner, 3);
    assert_eq!(octets[9], 4);
    assert_eq!(octets[12..], [172, 18, 0, 3, 172, 18, 0, 2]);
    let words = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}
