//! Checksums: whole, in pieces, carried along, and left unfinished.

use ipip_core::wire::{
    self, PartialChecksum, combine, finish_partial_checksum, pseudo_header_sum, update_checksum,
};

use super::{Input, slow};

/// Where to cut and what to change, then octets to be summed.
pub fn checksum(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (at, after, skip) = (input.half(), input.half(), input.octet());
    let octets = input
        .rest()
        .get(usize::from(skip % 16)..)
        .unwrap_or_default();
    let expected = slow::sum(octets);
    assert_eq!(wire::sum(octets), expected);
    assert_eq!(wire::checksum(octets), !expected);
    // Pieces of an even length; a word that changes.
    let at = usize::from(at).min(octets.len()) & !1;
    let (head, tail) = octets.split_at(at);
    assert_eq!(combine(wire::sum(head), wire::sum(tail)), expected);
    if let Some(word) = tail.first_chunk() {
        let mut changed = octets.to_vec();
        changed[at..at + 2].copy_from_slice(&after.to_be_bytes());
        let updated = update_checksum(!expected, u16::from_be_bytes(*word), after);
        let new = !slow::sum(&changed);
        // Ones' complement has two zeros; equation 3 tells them apart unless every word was or is zero.
        let is_zero = |checksum| checksum == 0 || checksum == u16::MAX;
        assert!(updated == new || is_zero(updated) && is_zero(new));
    }
    if let Some(pseudo) = octets.first_chunk::<12>() {
        let [s0, s1, s2, s3, d0, d1, d2, d3, _, protocol, ..] = *pseudo;
        let len = slow::half(pseudo, 10);
        let mut header = *pseudo;
        header[8] = 0;
        let (source, destination) = ([s0, s1, s2, s3].into(), [d0, d1, d2, d3].into());
        let found = pseudo_header_sum(source, destination, protocol, len);
        assert_eq!(found, slow::sum(&header));
    }
}

/// Repairs, of which 16 writes the pseudo header's sum into the field; then an inner packet.
pub fn partial_checksum(octets: &[u8]) {
    let mut input = Input::new(octets);
    let repairs = input.octet();
    let mut packet = input.packet(repairs);
    let field = field(&packet);
    if let Some(field) = field.clone().filter(|_| repairs & 16 != 0) {
        let sum = pseudo_sum(&packet);
        packet[field].copy_from_slice(&sum.to_be_bytes());
    }
    let before = packet.clone();
    let found = finish_partial_checksum(&mut packet);
    let expected = slow::ipv4(&before).map(|_| field);
    match (found, expected) {
        (Ok(PartialChecksum::Finished { checksum }), Ok(Some(field))) => {
            let lens = slow::ipv4(&before).unwrap();
            assert_eq!(packet[field.clone()], checksum.to_be_bytes());
            assert_eq!(before[field.clone()], pseudo_sum(&before).to_be_bytes());
            let segment = slow::sum(&packet[lens.header..lens.total]);
            let whole = u32::from(segment) + u32::from(pseudo_sum(&packet));
            assert!(checksum != 0 && whole % 0xffff == 0 && whole != 0);
            packet[field.clone()].copy_from_slice(&before[field]);
        }
        (Ok(PartialChecksum::NotPartial), Ok(Some(field))) => {
            assert_ne!(before[field], pseudo_sum(&before).to_be_bytes());
        }
        (Ok(PartialChecksum::NotApplicable), Ok(None)) => {}
        (found, expected) => assert_eq!(found.map(|_| None).map_err(|e| e.code()), expected),
    }
    assert_eq!(packet, before);
}

/// Where the checksum of whole TCP or UDP stands in a good packet.
fn field(packet: &[u8]) -> Option<std::ops::Range<usize>> {
    let lens = slow::ipv4(packet).ok()?;
    let (at, least) = match packet[9] {
        6 => (16, 20),
        17 => (6, 8),
        _ => return None,
    };
    let is_whole = slow::half(packet, 6) & 0x3fff == 0 && lens.total - lens.header >= least;
    is_whole.then(|| lens.header + at..lens.header + at + 2)
}

/// The sum of a good packet's pseudo header.
fn pseudo_sum(packet: &[u8]) -> u16 {
    let lens = slow::ipv4(packet).unwrap();
    let len = u16::try_from(lens.total - lens.header).unwrap();
    let tail = [&[0, packet[9]], &len.to_be_bytes()[..]].concat();
    slow::sum(&[&packet[12..20], &tail].concat())
}
