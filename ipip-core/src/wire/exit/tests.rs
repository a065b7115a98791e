use Ecn::{Ce, Ect0, Ect1, NotEct};
use Urgency::{MayLog, ShouldLog};

use super::*;
use crate::wire::{Dscp, Ipv4Header, Ipv4View, Layer, protocol};

/// An IPIP packet of 56 octets, its last 8 padding.
fn packet(inner: Ecn, outer: Ecn, ttl: u8) -> Vec<u8> {
    let mut buffer = vec![0xa5; 56];
    let header = Ipv4Header {
        dscp: Dscp::try_new(46).unwrap(),
        ecn: inner,
        ttl,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    };
    header.emit(&mut buffer[20..48]).unwrap();
    let header = Ipv4Header {
        dscp: Dscp::default(),
        ecn: outer,
        protocol: protocol::IPIP,
        ..header
    };
    header.emit(&mut buffer).unwrap();
    buffer
}

/// One row of figure 4: for the outer fields Not-ECT, ECT(0), ECT(1) and CE, what is delivered and how
/// urgent it is.
type Row = [(Option<Ecn>, Option<Urgency>); 4];

fn row(inner: Ecn, row: Row) {
    for (outer, (delivered, urgency)) in [NotEct, Ect0, Ect1, Ce].into_iter().zip(row) {
        let alarm = urgency.map(|urgency| EcnAlarm {
            inner,
            outer,
            urgency,
        });
        let exit = EcnExit { delivered, alarm };
        assert_eq!(inner.at_exit(outer), exit, "{inner:?} in {outer:?}");

        let mut buffer = packet(inner, outer, 9);
        let before = buffer.clone();
        let Some(delivered) = delivered else {
            assert_eq!(decapsulate_in_place(&mut buffer), Err(WireError::EcnDrop));
            assert_eq!(buffer, before);
            continue;
        };
        let found = decapsulate_in_place(&mut buffer).unwrap();
        assert_eq!(found.alarm, alarm);
        // As if the sender had written that field itself.
        assert_eq!(found.packet, &packet(delivered, outer, 9)[20..48]);
        assert!(Ipv4View::parse(found.packet, Layer::Inner).is_ok());
        assert_eq!(
            (&buffer[..20], &buffer[48..]),
            (&before[..20], &before[48..])
        );
    }
}

#[test]
fn rfc6040_section_4_2_inner_not_ect() {
    row(
        NotEct,
        [
            (Some(NotEct), None),
            (Some(NotEct), Some(ShouldLog)),
            (Some(NotEct), Some(ShouldLog)),
            (None, Some(ShouldLog)),
        ],
    );
}

#[test]
fn rfc6040_section_4_2_inner_ect0() {
    row(
        Ect0,
        [
            (Some(Ect0), None),
            (Some(Ect0), None),
            (Some(Ect1), None),
            (Some(Ce), None),
        ],
    );
}

#[test]
fn rfc6040_section_4_2_inner_ect1() {
    row(
        Ect1,
        [
            (Some(Ect1), None),
            (Some(Ect1), Some(MayLog)),
            (Some(Ect1), None),
            (Some(Ce), None),
        ],
    );
}

#[test]
fn rfc6040_section_4_2_inner_ce() {
    row(
        Ce,
        [
            (Some(Ce), None),
            (Some(Ce), None),
            (Some(Ce), Some(ShouldLog)),
            (Some(Ce), None),
        ],
    );
}

#[test]
fn rfc2003_section_3_1_an_inner_ttl_of_0_is_discarded_and_1_is_not_lowered() {
    let mut spent = packet(Ect0, Ce, 0);
    let before = spent.clone();
    assert_eq!(decapsulate_in_place(&mut spent), Err(WireError::TtlZero));
    assert_eq!(spent, before);
    let mut last = packet(Ect0, Ce, 1);
    let inner = decapsulate_in_place(&mut last).unwrap().packet;
    assert_eq!(Ipv4View::parse(inner, Layer::Inner).unwrap().ttl(), 1);
}

#[test]
fn rfc2003_section_3_1_faults_are_those_of_decapsulate() {
    let good = packet(Ect0, Ce, 64);
    for len in 0..good.len() {
        let mut cut = good[..len].to_vec();
        let expected = crate::wire::decapsulate(&good[..len]).map(<[u8]>::len);
        assert_eq!(
            decapsulate_in_place(&mut cut).map(|d| d.packet.len()),
            expected
        );
    }
}
