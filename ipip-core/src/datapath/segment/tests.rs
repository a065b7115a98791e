use std::net::Ipv4Addr;

use super::*;
use crate::wire::Ipv4Header;

const HERE: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);

/// A packet as the kernel hands it up: its transport checksum is for somebody else to finish.
fn packet(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let header = Ipv4Header {
        protocol,
        identification: 0xffff,
        source: HERE,
        destination: THERE,
        dont_fragment: true,
        ..Ipv4Header::default()
    };
    let mut packet = [&[0; 20], transport].concat();
    header.emit(&mut packet).unwrap();
    packet
}

/// A TCP segment with all of the flags, 12 octets of options and `len` of payload.
fn tcp(len: usize) -> Vec<u8> {
    let mut segment = vec![1; 32];
    segment[4..8].copy_from_slice(&0xffff_ff00_u32.to_be_bytes());
    segment[12..14].copy_from_slice(&[0x80, 0xff]);
    segment.extend((0..len).map(|at| at.to_le_bytes()[0]));
    segment
}

fn udp(len: usize) -> Vec<u8> {
    [vec![2; 8], vec![3; len]].concat()
}

fn pieces(packet: &[u8], piece_len: u16) -> Vec<Vec<u8>> {
    let piece_len = NonZeroU16::new(piece_len).unwrap();
    let mut pieces = Pieces::new(packet, piece_len).unwrap().unwrap();
    let mut buffer = vec![0xa5; 70_000];
    let next = || pieces.next(&mut buffer).map(|len| buffer[..len].to_vec());
    std::iter::from_fn(next).collect()
}

/// The one's complement sum, octet by octet.
fn slow_sum(octets: impl Iterator<Item = u8>) -> u32 {
    let words = octets.enumerate().map(|(at, octet)| {
        let octet = u32::from(octet);
        if at % 2 == 0 { octet << 8 } else { octet }
    });
    words.sum::<u32>() % 0xffff
}

/// That the checksums of a piece are right, by the sums of everything that they are about.
fn check(piece: &[u8]) {
    let len = u16::try_from(piece.len()).unwrap();
    assert_eq!(piece[2..4], len.to_be_bytes(), "total length");
    let header = piece[..20].iter().copied();
    assert_eq!(slow_sum(header), 0, "header checksum");
    let pseudo = [&piece[12..20], &[0, piece[9]], &(len - 20).to_be_bytes()].concat();
    let covered = pseudo.into_iter().chain(piece[20..].iter().copied());
    assert_eq!(slow_sum(covered), 0, "transport checksum");
}

#[test]
fn tcp_is_cut_as_linux_cuts_it() {
    let pieces = pieces(&packet(6, &tcp(2501)), 1000);
    let lens: Vec<_> = pieces.iter().map(Vec::len).collect();
    assert_eq!(lens, [1052, 1052, 553]);
    for (number, piece) in (0u32..).zip(&pieces) {
        check(piece);
        let sequence = 0xffff_ff00_u32.wrapping_add(1000 * number);
        assert_eq!(piece[24..28], sequence.to_be_bytes(), "sequence number");
        let identification = [0xffff_u16, 0, 1][usize::try_from(number).unwrap()];
        assert_eq!(piece[4..6], identification.to_be_bytes(), "identification");
        // Of FIN, PSH and CWR the first piece has the last, the last the others, all have the rest.
        let flags = [0xf6, 0x76, 0x7f][usize::try_from(number).unwrap()];
        assert_eq!(piece[33], flags, "flags of piece {number}");
    }
    let payload: Vec<_> = pieces
        .iter()
        .flat_map(|piece| &piece[52..])
        .copied()
        .collect();
    assert_eq!(payload, tcp(2501)[32..], "payload");
}

#[test]
fn udp_is_cut_into_datagrams() {
    let pieces = pieces(&packet(17, &udp(2000)), 1000);
    for piece in &pieces {
        check(piece);
        assert_eq!(piece[24..26], 1008_u16.to_be_bytes(), "length");
    }
    assert_eq!(pieces.len(), 2);
}

#[test]
fn a_packet_that_needs_no_cut_is_one_piece() {
    for len in [0, 1, 999, 1000] {
        assert_eq!(pieces(&packet(6, &tcp(len)), 1000).len(), 1, "{len} octets");
    }
}

#[test]
fn what_has_no_whole_header_is_not_cut() {
    let mut lying = tcp(10);
    lying[12] = 0x40;
    let cases = [
        packet(6, &tcp(0)[..31]),
        packet(6, &lying),
        packet(17, &[0; 7]),
        packet(1, &[0; 100]),
        packet(6, &[]),
    ];
    for packet in cases {
        let pieces = Pieces::new(&packet, NonZeroU16::MIN).unwrap();
        assert!(pieces.is_none(), "{packet:?}");
    }
    assert!(Pieces::new(&[0; 19], NonZeroU16::MIN).is_err());
}
