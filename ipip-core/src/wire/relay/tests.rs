use core::net::Ipv4Addr;
use core::num::NonZeroU8;

use super::*;
use crate::addr::NodeAddr;
use crate::wire::{Encapsulator, Ipv4Header, MAX_ICMP_ERROR_LEN, WireError};

const A: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 3);
const B: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 9);
const ENDPOINTS: Endpoints = Endpoints {
    local: NodeAddr(A),
    remote: NodeAddr(B),
};

fn context(same_network: bool) -> RelayContext {
    RelayContext {
        mtu: TunnelMtu::try_new(1380).unwrap(),
        same_network,
    }
}

/// An IPIP packet of 20 + `inner_len` octets, as this entry sends it.
fn sent(inner_len: usize) -> Vec<u8> {
    let mut buffer = vec![0xa5; 20 + inner_len];
    let inner = Ipv4Header {
        dont_fragment: true,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    inner.emit(&mut buffer[20..]).unwrap();
    let tunnel = Encapsulator::new(&Outer::tunl0(ENDPOINTS));
    tunnel.encapsulate(&mut buffer, 20).unwrap();
    buffer
}

/// Hands over the error that a router sends about the packet whose beginning is `quoted`.
fn reported<T>(error: IcmpError, quoted: &[u8], read: impl FnOnce(&IcmpErrorView<'_>) -> T) -> T {
    let mut buffer = [0; MAX_ICMP_ERROR_LEN];
    let len = error.emit(ROUTER, quoted, &mut buffer).unwrap();
    read(&IcmpErrorView::parse(&buffer[20..len]).unwrap())
}

fn relay_of(error: IcmpError, quoted: &[u8], outer: &Outer, same_network: bool) -> Relay {
    reported(error, quoted, |view| {
        let error = TunnelError::parse(view, &ENDPOINTS).unwrap();
        error.relay(outer, context(same_network))
    })
}

/// What is done about `error`, with the inner header quoted.
fn relay(error: IcmpError, same_network: bool) -> Relay {
    let outer = Outer::tunl0(ENDPOINTS);
    relay_of(error, &sent(100), &outer, same_network)
}

fn unreachable(code: u8) -> IcmpError {
    IcmpError::Unreachable { code }
}

#[test]
fn rfc2003_section_4_1_code_0_is_network_or_host_unreachable() {
    for (same_network, code) in [(false, 0), (true, 1)] {
        let expected = Relay::Send(unreachable(code));
        assert_eq!(relay(unreachable(0), same_network), expected);
    }
}

#[test]
fn rfc2003_section_4_1_code_1_is_relayed() {
    for same_network in [false, true] {
        assert_eq!(
            relay(unreachable(1), same_network),
            Relay::Send(unreachable(1))
        );
    }
}

#[test]
fn rfc2003_section_4_1_code_2_is_never_told_as_such() {
    for (same_network, code) in [(false, 0), (true, 1)] {
        let expected = Relay::Send(unreachable(code));
        assert_eq!(relay(unreachable(2), same_network), expected);
    }
}

#[test]
fn rfc2003_section_4_1_code_3_is_not_relayed() {
    assert_eq!(relay(unreachable(3), true), Relay::Keep);
}

#[test]
fn rfc2003_section_4_1_code_4_is_relayed_with_exactly_the_tunnels_mtu() {
    for mtu in [0, 68, 1400, 9000] {
        let expected = Relay::Send(IcmpError::FragmentationNeeded { mtu: 1380 });
        assert_eq!(
            relay(IcmpError::FragmentationNeeded { mtu }, true),
            expected
        );
    }
}

#[test]
fn rfc2003_section_5_1_a_sender_without_df_is_not_told_of_the_entrys() {
    let mut quoted = sent(100);
    quoted[20 + 6] = 0;
    let needed = IcmpError::FragmentationNeeded { mtu: 100 };
    let outer = Outer::tunl0(ENDPOINTS);
    assert_eq!(relay_of(needed, &quoted, &outer, true), Relay::Keep);
    let remembered = relay_of(needed, &quoted[..28], &outer, true);
    assert!(matches!(remembered, Relay::Remember(_)));
}

#[test]
fn rfc2003_section_4_1_code_5_is_not_relayed() {
    assert_eq!(relay(unreachable(5), true), Relay::Keep);
}

#[test]
fn rfc1812_section_5_2_7_1_younger_codes_count_as_what_they_refine() {
    for (code, expected) in [
        (6, 0),
        (7, 1),
        (8, 1),
        (9, 0),
        (10, 1),
        (11, 0),
        (12, 1),
        (13, 1),
        (14, 1),
        (15, 1),
    ] {
        let expected = Relay::Send(unreachable(expected));
        assert_eq!(relay(unreachable(code), false), expected, "{code}");
    }
}

#[test]
fn rfc2003_section_4_2_source_quench_is_not_relayed() {
    assert_eq!(relay(IcmpError::SourceQuench, true), Relay::Keep);
}

#[test]
fn rfc2003_section_4_3_redirect_is_not_relayed() {
    let redirect = IcmpError::Redirect {
        code: 1,
        gateway: ROUTER,
    };
    assert_eq!(relay(redirect, true), Relay::Keep);
}

#[test]
fn rfc2003_section_4_4_time_exceeded_is_host_unreachable() {
    for code in [0, 1] {
        assert_eq!(
            relay(IcmpError::TimeExceeded { code }, false),
            Relay::Send(unreachable(1))
        );
    }
}

#[test]
fn rfc2003_section_4_5_parameter_problem_is_relayed_if_the_field_is_the_senders() {
    let tunl0 = Outer::tunl0(ENDPOINTS);
    let fixed = Outer {
        ttl: Ttl::Fixed(NonZeroU8::MAX),
        ecn: EcnPolicy::Compatibility,
        ..tunl0
    };
    let uniform = Outer {
        dscp: DscpPolicy::Inherit,
        ..fixed
    };
    for (outer, code, pointer, expected) in [
        (tunl0, 0, 1, Some(1)),
        (fixed, 0, 1, None),
        (uniform, 0, 1, Some(1)),
        (fixed, 0, 6, Some(6)),
        (tunl0, 0, 8, Some(8)),
        (fixed, 0, 8, None),
        // Version, identification, protocol, checksum and addresses are the entry's.
        (tunl0, 0, 0, None),
        (tunl0, 0, 4, None),
        (tunl0, 0, 9, None),
        (tunl0, 0, 10, None),
        (tunl0, 0, 19, None),
        // The inner header itself.
        (tunl0, 0, 20, Some(0)),
        (tunl0, 0, 28, Some(8)),
        // Codes that point at nothing.
        (tunl0, 1, 1, None),
        (tunl0, 2, 20, None),
    ] {
        let problem = |pointer| IcmpError::ParameterProblem { code, pointer };
        let expected = expected.map_or(Relay::Keep, |pointer| Relay::Send(problem(pointer)));
        let found = relay_of(problem(pointer), &sent(100), &outer, true);
        assert_eq!(found, expected, "code {code}, octet {pointer}");
    }
}

/// Routers need to quote no more than 8 octets after the outer header.
#[test]
fn rfc2003_section_5_what_quotes_too_little_is_remembered() {
    let outer = Outer::tunl0(ENDPOINTS);
    for (quoted, expected) in [
        (28, Relay::Remember(unreachable(1))),
        (39, Relay::Remember(unreachable(1))),
        (40, Relay::Send(unreachable(1))),
    ] {
        let relay = relay_of(unreachable(1), &sent(100)[..quoted], &outer, true);
        assert_eq!(relay, expected, "{quoted}");
    }
    let problem = IcmpError::ParameterProblem {
        code: 0,
        pointer: 8,
    };
    assert_eq!(
        relay_of(problem, &sent(100)[..28], &outer, true),
        Relay::Keep
    );
}

#[test]
fn what_this_entry_could_not_have_sent_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut quoted = sent(100);
        change(&mut quoted);
        reported(unreachable(1), &quoted, |view| {
            TunnelError::parse(view, &ENDPOINTS).map(|_| ())
        })
    };
    assert_eq!(refused(&|_| ()), Ok(()));
    assert_eq!(
        refused(&|o| o[9] = 17),
        Err(RelayError::QuotedProtocol { found: 17 })
    );
    let error = refused(&|o| o[15] = 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "quoted packet is from 172.18.0.4 to 172.18.0.2, allowed are this tunnel's ends"
    );
    assert!(matches!(
        refused(&|o| o[19] = 9),
        Err(RelayError::QuotedEndpoints { .. })
    ));
    assert_eq!(
        refused(&|o| o[7] = 2),
        Err(RelayError::QuotedFragment { offset: 16 })
    );
    let empty = [3, 1, 0xfc, 0xfe, 0, 0, 0, 0];
    let view = IcmpErrorView::parse(&empty).unwrap();
    let source = WireError::Truncated {
        layer: Layer::Outer,
        needed: 20,
        found: 0,
    };
    assert_eq!(
        TunnelError::parse(&view, &ENDPOINTS),
        Err(RelayError::Quoted { source })
    );
}

#[test]
fn rfc1191_section_7_1_what_no_router_would_say_becomes_the_next_plateau() {
    // Length of the outer packet, what the router says, the tunnel's MTU.
    for (len, mtu, expected) in [
        (1500, 1400, 1380),
        (1500, 1499, 1479),
        (1500, 1500, 1472), // no less than the packet: 1492 - 20
        (1500, 0, 1472),
        (1492, 0, 986),
        (40, 0, 68),
        (1500, 1, 68),
        (1500, 87, 68),
        (1500, 89, 69),
        (68, 0, 68),
    ] {
        let found = reported(
            IcmpError::FragmentationNeeded { mtu },
            &sent(len - 20),
            |view| TunnelError::parse(view, &ENDPOINTS).unwrap().mtu(),
        );
        assert_eq!(found.map(TunnelMtu::octets), Some(expected), "{len} {mtu}");
    }
    let other = reported(unreachable(1), &sent(100), |view| {
        TunnelError::parse(view, &ENDPOINTS).unwrap().mtu()
    });
    assert_eq!(other, None);
}

/// The whole way: a router says that a packet was too long, and the pod hears the tunnel's MTU.
#[test]
fn what_is_relayed_quotes_the_inner_packet() {
    let octets = sent(1480);
    reported(
        IcmpError::FragmentationNeeded { mtu: 1400 },
        &octets,
        |view| {
            let error = TunnelError::parse(view, &ENDPOINTS).unwrap();
            let inner = error.inner.unwrap();
            assert!(inner.may_be_answered());
            let Relay::Send(told) = error.relay(&Outer::tunl0(ENDPOINTS), context(false)) else {
                panic!("not relayed")
            };
            let mut buffer = [0; MAX_ICMP_ERROR_LEN];
            let len = told.emit(ROUTER, error.original, &mut buffer).unwrap();
            let outside = crate::wire::Ipv4View::parse(&buffer[..len], Layer::Inner).unwrap();
            assert_eq!(outside.destination(), inner.source);
            let view = IcmpErrorView::parse(outside.payload()).unwrap();
            assert_eq!(view.error(), IcmpError::FragmentationNeeded { mtu: 1380 });
            // 548 octets were quoted, the outer header 20 of them.
            assert_eq!(view.quoted(), &octets[20..548]);
        },
    );
}
