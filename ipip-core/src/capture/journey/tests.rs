use super::*;
use crate::addr::NodeAddr;
use crate::capture::{Direction, Filter, LinkType, PcapWriter};
use crate::wire::{Endpoints, Ipv4Header, Outer, encapsulate};
use std::time::{Duration, SystemTime};

const NODES: [NodeAddr; 2] = [
    NodeAddr(Ipv4Addr::new(172, 18, 0, 3)),
    NodeAddr(Ipv4Addr::new(172, 18, 0, 2)),
];

fn header(identification: u16, ttl: u8) -> Ipv4Header {
    Ipv4Header {
        identification,
        ttl,
        protocol: protocol::UDP,
        source: [10, 244, 79, 20].into(),
        destination: [10, 244, 244, 73].into(),
        ..Ipv4Header::default()
    }
}

fn packet(header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    [
        header.to_octets(payload.len()).unwrap().to_vec(),
        payload.to_vec(),
    ]
    .concat()
}

fn tunnelled(inner: &[u8]) -> Vec<u8> {
    let mut buffer = [&[0; 20], inner].concat();
    let [local, remote] = NODES;
    let outer = Outer::tunl0(Endpoints { local, remote });
    encapsulate(&mut buffer, 20, &outer).unwrap().to_vec()
}

fn frame(millis: u64, octets: Vec<u8>) -> Frame {
    Frame {
        link_type: LinkType::RawIp,
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
        direction: Direction::Unknown,
        original_len: octets.len(),
        checksum_pending: false,
        octets,
    }
}

fn point(name: &str, frames: Vec<Frame>) -> Point {
    let name = name.to_owned();
    Point { name, frames }
}

/// Point, frame, depth and TTL of each sighting of each journey.
fn ways(points: &[Point]) -> Vec<Vec<(usize, usize, usize, u8)>> {
    let way = |sighting: &Sighting| (sighting.point, sighting.frame, sighting.depth, sighting.ttl);
    let ways = journeys(points);
    ways.iter()
        .map(|journey| journey.sightings.iter().map(way).collect())
        .collect()
}

#[test]
fn a_packet_is_found_again_whatever_the_way_changes() {
    let mut payload = [7; 100];
    let at_the_pod = packet(header(5, 64), &payload);
    payload[6..8].copy_from_slice(&[1, 2]); // the checksum, finished by hardware
    let on_the_wire = tunnelled(&packet(header(5, 63), &payload));
    let mut short = frame(2, on_the_wire);
    short.octets.truncate(40 + 48); // the snap length: two headers and what is hashed
    let points = [
        point("wire", vec![short]),
        point("pod", vec![frame(1, at_the_pod)]),
    ];
    // By time, not by the order of the points.
    assert_eq!(ways(&points), [vec![(1, 0, 0, 64), (0, 0, 1, 63)]]);
}

#[test]
fn packets_that_differ_are_kept_apart() {
    let all = [
        packet(header(5, 64), &[7; 40]),
        packet(header(6, 64), &[7; 40]),
        packet(header(5, 64), &[7; 41]),
        packet(header(5, 64), &[8; 40]),
        packet(
            Ipv4Header {
                protocol: 6,
                ..header(5, 64)
            },
            &[7; 40],
        ),
        packet(
            Ipv4Header {
                source: [10, 244, 79, 21].into(),
                ..header(5, 64)
            },
            &[7; 40],
        ),
        packet(
            Ipv4Header {
                destination: [10, 244, 79, 21].into(),
                ..header(5, 64)
            },
            &[7; 40],
        ),
        packet(
            Ipv4Header {
                fragment_offset: FragmentOffset::try_new(1).unwrap(),
                ..header(5, 64)
            },
            &[7; 40],
        ),
    ];
    let frames: Vec<_> = (0..)
        .zip(all)
        .map(|(at, octets)| frame(at, octets))
        .collect();
    let count = frames.len();
    let points = [point("a", frames.clone()), point("b", frames)];
    let ways = ways(&points);
    assert_eq!(ways.len(), count);
    assert!(
        ways.iter()
            .enumerate()
            .all(|(at, way)| *way == [(0, at, 0, 64), (1, at, 0, 64)])
    );
    // Only TCP and UDP have a checksum at that place.
    let other = |octet| {
        let mut payload = [7; 40];
        payload[6] = octet;
        PacketKey::of(&frame(
            0,
            packet(
                Ipv4Header {
                    protocol: 47,
                    ..header(5, 64)
                },
                &payload,
            ),
        ))
    };
    assert_ne!(other(1), other(2));
}

#[test]
fn equal_packets_pair_in_their_order() {
    let same = || packet(header(0, 64), &[7; 40]);
    let points = [
        point(
            "a",
            vec![frame(0, same()), frame(10, same()), frame(20, same())],
        ),
        // The second was lost, which nobody can know: the third takes its place.
        point("b", vec![frame(1, same()), frame(21, same())]),
    ];
    let expected = [
        vec![(0, 0, 0, 64), (1, 0, 0, 64)],
        vec![(0, 1, 0, 64), (1, 1, 0, 64)],
        vec![(0, 2, 0, 64)],
    ];
    assert_eq!(ways(&points), expected);
}

#[test]
fn interfaces_of_a_cooked_capture_are_points_and_damage_is_kept() {
    let cooked = |index: u8, octets: &[u8]| {
        let header = [
            8, 0, 0, 0, 0, 0, 0, index, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0,
        ];
        let link_type = LinkType::LinuxSll2;
        let octets = [&header, octets].concat();
        Frame {
            link_type,
            ..frame(0, octets)
        }
    };
    let inner = packet(header(5, 64), &[7; 40]);
    let mut file = PcapWriter::new(Vec::new(), LinkType::LinuxSll2).unwrap();
    for frame in [
        cooked(4, &inner),
        cooked(2, &tunnelled(&inner)),
        cooked(4, &inner),
    ] {
        file.write(&frame).unwrap();
    }
    let mut file = file.finish().unwrap();
    file.push(0);
    let (points, error) = Point::read("node-a", &mut Reader::new(&file[..]).unwrap());
    let names: Vec<_> = points
        .iter()
        .map(|point| (point.name.as_str(), point.frames.len()))
        .collect();
    assert_eq!(names, [("node-a if4", 2), ("node-a if2", 1)]);
    assert!(matches!(error, Some(ReadError::Damaged { .. })));
    assert_eq!(ways(&points).len(), 2);
}

#[test]
fn a_filter_wants_one_header_that_fits() {
    let inner = packet(header(5, 64), &[7; 40]);
    let (plain, tunnel) = (frame(0, inner.clone()), frame(0, tunnelled(&inner)));
    let arp = Frame {
        link_type: LinkType::Other(9),
        ..frame(0, vec![0])
    };
    let prefix = |text: &str| text.parse().unwrap();
    let pods = vec![prefix("10.244.79.0/26"), prefix("10.244.244.64/26")];
    let between = |protocol, between: &[_]| Filter {
        protocol,
        between: between.to_vec(),
    };
    for (filter, expected) in [
        (Filter::default(), [true, true, true]),
        (Filter::tunnel(&NODES), [false, true, false]),
        (Filter::tunnel(&NODES[..1]), [false, false, false]),
        (between(Some(4), &[]), [false, true, false]),
        (between(Some(17), &[]), [true, true, false]),
        (between(None, &pods), [true, true, false]),
        (between(None, &pods[..1]), [false, false, false]),
        // Each holds for a header, but for none of them both.
        (between(Some(4), &pods), [false, false, false]),
    ] {
        let found = [&plain, &tunnel, &arp].map(|frame| filter.matches(frame));
        assert_eq!(found, expected, "{filter:?}");
    }
}
