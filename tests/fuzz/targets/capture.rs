//! Frames explained, and files of them.

use std::io::Read;
use std::time::{Duration, SystemTime};

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::capture::describe::{self, Layer, Verdict};
use ipip_core::capture::{
    Direction, Expected, Filter, Frame, LinkType, PacketKey, PcapWriter, Point, ReadError, Reader,
    findings,
};
use ipip_core::peers::Peers;
use serde_json::Value;

use super::{Input, slow};

/// Every link type that is read, and one that is not.
const LINK_TYPES: [LinkType; 5] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Other(105),
];

/// A link type, flags, octets cut off by the capture, an MTU; then a frame.
pub fn describe(octets: &[u8]) {
    let mut input = Input::new(octets);
    let [link_type, flags] = input.take();
    let (cut, mtu) = (input.half(), input.half());
    let frame = Frame {
        link_type: LINK_TYPES[usize::from(link_type) % LINK_TYPES.len()],
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(u64::from(cut) << (flags % 48)),
        direction: Direction::Unknown,
        original_len: input.rest().len() + usize::from(cut),
        checksum_pending: flags & 0x80 != 0,
        octets: input.rest().to_vec(),
    };
    layers_are_of_the_frame(&frame);
    words(&frame);
    object(&frame);
    judged(&frame, mtu.into());
}

fn layers_are_of_the_frame(frame: &Frame) {
    let layers = frame.layers();
    assert_eq!(layers.is_empty(), frame.octets.is_empty());
    // Nine tags at most, eight IP headers with eight extensions each, and two more.
    assert!(layers.len() <= 9 + describe::MAX_DEPTH * (1 + describe::MAX_DEPTH) + 2);
    let verdicts = describe::verdicts(&layers);
    assert_eq!(verdicts.len(), layers.len());
    for (layer, verdict) in layers.iter().zip(verdicts) {
        let part = match layer {
            Layer::Ipv4(packet) => {
                header_is_judged(packet, verdict);
                packet.packet()
            }
            Layer::Ipv6(packet) => packet.payload,
            Layer::Extension(extension) => extension.octets,
            Layer::Icmp(icmp) => icmp.message,
            Layer::Udp(udp) => udp.datagram,
            Layer::Tcp(tcp) => tcp.segment,
            Layer::Opaque(opaque) => opaque.octets,
            _ => continue,
        };
        assert!(slow::is_within(part, &frame.octets));
    }
}

fn header_is_judged(packet: &describe::Ipv4<'_>, verdict: Option<Verdict>) {
    let octets = packet.packet();
    let total = octets.len() + packet.missing();
    assert_eq!(total, usize::from(packet.total_len()));
    let header = octets.get(..packet.header_len());
    let expected = header.map(|header| slow::sum(header) == 0xffff);
    match verdict {
        Some(Verdict::Correct) => assert_eq!(expected, Some(true)),
        Some(Verdict::Incorrect { computed }) => {
            assert_eq!(expected, Some(false));
            let mut right = octets[..packet.header_len()].to_vec();
            slow::repair(&mut right, 1);
            assert_eq!(slow::half(&right, 10), computed);
        }
        verdict => assert_eq!((verdict, expected), (Some(Verdict::Unverified), None)),
    }
}

/// One line is one line, and the tree has a branch for each layer.
fn words(frame: &Frame) {
    let line = describe::line(frame);
    assert!(!line.contains(char::is_control), "{line:?}");
    let tree = describe::tree(frame);
    assert_eq!(tree.branches.len(), 1 + frame.layers().len());
    let lines: usize = tree.branches.iter().map(|b| 1 + b.fields.len()).sum();
    assert_eq!(tree.to_string().lines().count(), lines);
}

fn object(frame: &Frame) {
    let text = describe::json(frame);
    assert!(!text.contains(char::is_control));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["captured_len"], frame.octets.len());
    assert_eq!(value["original_len"], frame.original_len);
    assert_eq!(value["link_type"], frame.link_type.number());
    let layers = value["layers"].as_array().unwrap();
    assert_eq!(layers.len(), frame.layers().len());
    assert!(layers.iter().all(|layer| layer["layer"].is_string()));
}

/// What a filter takes and what is found wrong follow from the layers.
fn judged(frame: &Frame, mtu: usize) {
    let layers = frame.layers();
    let packets = || {
        layers.iter().filter_map(|layer| match layer {
            Layer::Ipv4(packet) => Some(packet),
            _ => None,
        })
    };
    assert!(Filter::default().matches(frame));
    let udp = Filter {
        protocol: Some(17),
        between: vec![Ipv4Prefix::ALL],
    };
    assert_eq!(udp.matches(frame), packets().any(|p| p.protocol() == 17));
    let ends = packets()
        .next()
        .map(|p| [p.source(), p.destination()].map(NodeAddr));
    let tunnel = Filter::tunnel(&ends.unwrap_or([NodeAddr([172, 18, 0, 3].into()); 2]));
    assert!(tunnel.matches(frame) || packets().next().is_none_or(|p| p.protocol() != 4));
    assert_eq!(PacketKey::of(frame).is_some(), packets().next().is_some());

    let mut peers = Peers::new();
    peers.insert(
        Ipv4Prefix::host([10, 244, 79, 20].into()),
        NodeAddr([172, 18, 0, 3].into()),
    );
    let expected = Expected {
        mtu: Some(mtu),
        peers: Some(&peers),
    };
    for finding in findings(frame, &expected) {
        assert!(!finding.to_string().contains(char::is_control));
    }
    assert!(
        packets().next().is_some() || findings(frame, &expected).is_empty() || layers.len() > 1
    );
}

/// A capture file.
pub fn read_capture(octets: &[u8]) {
    let (frames, error) = read(octets);
    // The smallest record of a frame is 16 octets and the frame.
    let kept: usize = frames.iter().map(|frame| 16 + frame.octets.len()).sum();
    assert!(kept <= octets.len());
    assert!(
        frames
            .iter()
            .all(|frame| frame.original_len >= frame.octets.len()
                || frame.time == SystemTime::UNIX_EPOCH)
    );
    if let Some(ReadError::Damaged { offset, damage }) = &error {
        assert!(*offset <= octets.len() as u64, "{damage}");
    }
    let (slowly, same) = read(Trickle(octets));
    assert_eq!((slowly, text(&same)), (frames.clone(), text(&error)));
    written(&frames);
}

fn text(error: &Option<ReadError>) -> Option<String> {
    error.as_ref().map(ToString::to_string)
}

fn read(octets: impl Read) -> (Vec<Frame>, Option<ReadError>) {
    let mut reader = match Reader::new(octets) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let (mut frames, mut error) = (Vec::new(), None);
    for item in &mut reader {
        match item {
            Ok(frame) => frames.push(frame),
            Err(fault) => assert!(error.replace(fault).is_none(), "two errors"),
        }
    }
    assert!(reader.next().is_none(), "more after the end");
    assert!(frames.is_empty() || reader.interface() < reader.interfaces().len());
    (frames, error)
}

/// One octet a read.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

/// What is written is read again, but for the direction, which that format does not have.
fn written(frames: &[Frame]) {
    let Some(link_type) = frames.first().map(|frame| frame.link_type) else {
        return;
    };
    let mut file = PcapWriter::new(Vec::new(), link_type).unwrap();
    let mut expected = Vec::new();
    for frame in frames {
        if file.write(frame).is_ok() {
            expected.push(Frame {
                direction: Direction::Unknown,
                original_len: frame.original_len.max(frame.octets.len()),
                ..frame.clone()
            });
        }
    }
    let (again, error) = read(&file.finish().unwrap()[..]);
    assert!(error.is_none() && again == expected, "{error:?}");
}

/// A capture file, as one point and as two.
pub fn journeys(octets: &[u8]) {
    let Ok(mut reader) = Reader::new(octets) else {
        return;
    };
    let (mut points, _) = Point::read("a", &mut reader);
    points.extend(points.clone());
    let keyed = |point: &Point| {
        point
            .frames
            .iter()
            .filter(|f| PacketKey::of(f).is_some())
            .count()
    };
    let journeys = ipip_core::capture::journeys(&points);
    let sightings: usize = journeys.iter().map(|journey| journey.sightings.len()).sum();
    assert_eq!(sightings, points.iter().map(keyed).sum::<usize>());
    for journey in &journeys {
        let mut seen: Vec<usize> = journey.sightings.iter().map(|s| s.point).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), journey.sightings.len(), "twice at one point");
        // Whatever one copy saw, the other saw.
        assert_eq!(seen.len() % 2, 0);
        for sighting in &journey.sightings {
            let frame = &points[sighting.point].frames[sighting.frame];
            assert_eq!(PacketKey::of(frame), Some(journey.packet));
        }
    }
}
