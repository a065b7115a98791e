use super::*;
use crate::datapath::segment::Pieces;
use crate::wire::Ipv4Header;

/// A packet of one connection, `at` octets behind its beginning; the source tells connections apart.
fn segment(source: u8, at: u32, len: usize, flags: u8) -> Vec<u8> {
    let header = Ipv4Header {
        protocol: 6,
        source: [10, 244, 79, source].into(),
        destination: [10, 244, 244, 73].into(),
        dont_fragment: true,
        ..Ipv4Header::default()
    };
    let mut packet = vec![0; 40];
    packet[24..28].copy_from_slice(&at.to_be_bytes());
    packet[32..34].copy_from_slice(&[0x50, flags]);
    packet.extend((0..len).map(|octet| octet.to_le_bytes()[0]));
    header.emit(&mut packet).unwrap();
    with_checksum(packet)
}

fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    packet[36..38].fill(0);
    let view = Ipv4View::parse(&packet, Layer::Inner).unwrap();
    let checksum = !transport_sum(&view, view.payload()).unwrap();
    packet[36..38].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn runs(packets: &[Vec<u8>]) -> Vec<Run> {
    join(packets.iter().map(|packet| (&packet[..], true)))
}

fn numbers(packets: &[Vec<u8>]) -> Vec<Vec<usize>> {
    runs(packets).into_iter().map(|run| run.packets).collect()
}

#[test]
fn what_is_joined_comes_apart_again() {
    let packets = [
        segment(1, u32::MAX - 1500, 1000, ACK),
        segment(1, u32::MAX - 500, 1000, ACK),
        segment(1, 499, 300, ACK | PUSH),
    ];
    let runs = runs(&packets);
    let [
        Run {
            joined: Some((header, note)),
            ..
        },
    ] = &runs[..]
    else {
        panic!("{runs:?}");
    };
    let Note::Segment {
        size,
        tcp_at,
        payload_at,
    } = *note
    else {
        panic!("{note:?}");
    };
    assert_eq!((size, tcp_at, payload_at), (1000, 20, 40));
    let payloads = packets.iter().flat_map(|packet| &packet[40..]);
    let whole: Vec<_> = header.iter().chain(payloads).copied().collect();
    let mut pieces = Pieces::new(&whole, size.try_into().unwrap())
        .unwrap()
        .unwrap();
    for (number, packet) in packets.iter().enumerate() {
        let mut buffer = vec![0; 2000];
        let len = pieces.next(&mut buffer).unwrap();
        let mut piece = buffer[..len].to_vec();
        // The first one's identification is 0 as all of theirs, and counted from there.
        let view = Ipv4View::parse(packet, Layer::Inner).unwrap();
        piece[..20].copy_from_slice(&view.header().to_octets(len - 20).unwrap());
        assert_eq!(&piece, packet, "piece {number}");
    }
    assert!(pieces.next(&mut [0; 2000]).is_none());
}

#[test]
fn only_what_follows_is_joined() {
    let first = || segment(1, 0, 1000, ACK);
    let next = || segment(1, 1000, 1000, ACK);
    let changed = |at: usize, value: u8| {
        let mut packet = next();
        packet[at] = value;
        packet[10..12].fill(0);
        let sum = wire::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        with_checksum(packet)
    };
    let mut damaged = next();
    damaged[50] ^= 1;
    let mut damaged_first = first();
    damaged_first[50] ^= 1;
    for (what, one, two) in [
        ("a gap", first(), segment(1, 1001, 1000, ACK)),
        ("a repetition", first(), first()),
        ("a longer one", first(), segment(1, 1000, 1001, ACK)),
        (
            "after a shorter one",
            segment(1, 700, 300, ACK | PUSH),
            next(),
        ),
        ("an end", first(), segment(1, 1000, 1000, ACK | 1)),
        ("a beginning", first(), segment(1, 1000, 1000, 2)),
        ("urgent data", first(), segment(1, 1000, 1000, ACK | 0x20)),
        ("no payload", first(), segment(1, 1000, 0, ACK)),
        ("another connection", first(), segment(2, 1000, 1000, ACK)),
        ("another port", first(), changed(21, 9)),
        ("another acknowledgement", first(), changed(31, 9)),
        ("another window", first(), changed(35, 9)),
        ("another TOS", first(), changed(1, 4)),
        ("another TTL", first(), changed(8, 9)),
        ("no DF", first(), changed(6, 0)),
        ("a wrong checksum", first(), damaged),
        ("after a wrong checksum", damaged_first, next()),
    ] {
        assert_eq!(numbers(&[one, two]), [[0], [1]], "{what}");
    }
    assert_eq!(numbers(&[first(), next()]), [[0, 1]]);
    let pair = [first(), next()];
    let kept = join(pair.iter().map(|packet| (&packet[..], false)));
    assert_eq!(kept.len(), 2, "what may not be joined");
}

#[test]
fn connections_are_joined_side_by_side_and_stay_in_order() {
    let one = |at| segment(1, at, 100, ACK);
    let two = |at| segment(2, at, 100, ACK);
    // A retransmission stands before what follows it.
    let packets = [
        one(0),
        two(0),
        one(100),
        two(100),
        one(0),
        one(100),
        two(200),
    ];
    let wanted = [vec![0, 2], vec![1, 3, 6], vec![4, 5]];
    assert_eq!(numbers(&packets), wanted);
}

#[test]
fn nothing_overtakes_an_acknowledgement() {
    let packets = [
        segment(1, 0, 100, ACK),
        segment(1, 100, 0, ACK),
        segment(1, 100, 100, ACK),
        segment(1, 200, 100, ACK),
    ];
    assert_eq!(numbers(&packets), [vec![0], vec![1], vec![2, 3]]);
}

#[test]
fn a_joined_packet_is_no_longer_than_a_packet_can_be() {
    let packets: Vec<_> = (0..50)
        .map(|number| segment(1, number * 1440, 1440, ACK))
        .collect();
    let lens: Vec<_> = numbers(&packets).iter().map(Vec::len).collect();
    // 45 times 1440 octets and 40 of headers are 64,840.
    assert_eq!(lens, [45, 5]);
}
