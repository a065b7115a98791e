//! One packet, and a packet within a packet.

use ipip_core::wire::{
    IpipView, Ipv4View, Layer, Quoted, WireError, decapsulate, decapsulate_in_place, lower_ttl,
};

use super::{Input, slow};

/// Repairs, then a packet.
pub fn ipv4(octets: &[u8]) {
    let mut input = Input::new(octets);
    let repairs = input.octet();
    let packet = input.packet(repairs);
    let view = Ipv4View::parse(&packet, Layer::Inner);
    let lens = view.map(|view| slow::Lens {
        header: view.header_len(),
        total: view.total_len().into(),
    });
    assert_eq!(lens.map_err(|error| error.code()), slow::ipv4(&packet));
    if let Ok(view) = view {
        view_is_the_packet(&view, &packet);
    }
    a_hop_less(&packet);
}

fn view_is_the_packet(view: &Ipv4View<'_>, packet: &[u8]) {
    let whole = &packet[..view.total_len().into()];
    assert_eq!(view.packet(), whole);
    assert_eq!(
        [&whole[..20], view.options(), view.payload()].concat(),
        whole
    );
    assert_eq!(view.options().len() + 20, view.header_len());
    let quoted = Quoted::parse(packet, Layer::Inner).unwrap();
    assert_eq!(
        (quoted.source, quoted.destination),
        (view.source(), view.destination())
    );
    assert_eq!(quoted.protocol, whole[9]);
    assert_eq!(quoted.dont_fragment, view.dont_fragment());
    assert_eq!(quoted.fragment_offset, view.fragment_offset());
    assert_eq!(&quoted.payload[..view.payload().len()], view.payload());
    let part = view.fragment();
    assert_eq!(part.is_some(), slow::half(whole, 6) & 0x3fff != 0);
    assert!(part.is_none_or(|part| part.len == view.payload().len()));

    // The reserved flag and options are not among the fields.
    let mut emitted = whole.to_vec();
    view.header().emit(&mut emitted).unwrap();
    if view.options().is_empty() && whole[6] & 0x80 == 0 {
        // Two values are right where the other words sum to all ones.
        emitted[10..12].copy_from_slice(&whole[10..12]);
        assert_eq!(emitted, whole);
    }
}

/// What a forwarding node does, and that it undoes nothing else.
fn a_hop_less(packet: &[u8]) {
    let mut forwarded = packet.to_vec();
    match lower_ttl(&mut forwarded) {
        Ok(left) => {
            assert_eq!(left, packet[8] - 1);
            assert_eq!(slow::ipv4(&forwarded), slow::ipv4(packet));
            forwarded[8] = packet[8];
            forwarded[10..12].copy_from_slice(&packet[10..12]);
        }
        Err(WireError::TtlExpired { found }) => assert!(found == packet[8] && found < 2),
        Err(error) => assert_eq!(slow::ipv4(packet), Err(error.code())),
    }
    assert_eq!(forwarded, packet);
}

/// Repairs, then an IPIP packet.
pub fn ipip(octets: &[u8]) {
    let mut input = Input::new(octets);
    let repairs = input.octet();
    let mut packet = input.packet(repairs);
    let expected = slow::ipip(&packet);
    let view = IpipView::parse(&packet);
    match (view, expected) {
        (Ok(view), Ok((outer, inner))) => {
            let range = outer.header..outer.header + inner.total;
            assert_eq!(view.inner_range(), range);
            assert_eq!(view.inner.packet(), &packet[range]);
            assert_eq!(view.outer.packet(), &packet[..outer.total]);
        }
        (view, expected) => {
            let found = view.map(drop).map_err(|error| error.code());
            assert_eq!(found, expected.map(drop));
        }
    }
    let found = decapsulate(&packet).map_err(|error| error.code());
    assert_eq!(found, slow::delivered(&packet));
    in_place(&mut packet);
}

/// The ECN fields of both headers become what RFC 6040 says, and nothing else changes.
fn in_place(packet: &mut [u8]) {
    let before = packet.to_vec();
    let expected = slow::delivered(&before).and_then(|inner| {
        let row = slow::ECN_AT_EXIT[usize::from(inner[1] % 4)];
        let ecn = row[usize::from(before[1] % 4)];
        if ecn == 4 {
            return Err(215);
        }
        let mut expected = inner.to_vec();
        expected[1] = inner[1] / 4 * 4 + ecn;
        Ok(expected)
    });
    match decapsulate_in_place(packet) {
        Ok(found) => {
            let mut expected = expected.unwrap();
            assert!(slow::ipv4(found.packet).is_ok());
            expected[10..12].copy_from_slice(&found.packet[10..12]);
            assert_eq!(found.packet, expected);
        }
        Err(error) => {
            assert_eq!(Err(error.code()), expected);
            assert_eq!(packet, before);
        }
    }
}
