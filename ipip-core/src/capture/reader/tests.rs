//! Files built here by hand; `tests/capture/files.rs` has those of other tools.

use super::*;
use crate::capture::PcapWriter;
use std::collections::VecDeque;
use std::io;

/// A number in a byte order.
fn order(number: u32, big_endian: bool) -> [u8; 4] {
    if big_endian {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

fn words(numbers: &[u32], big_endian: bool) -> Vec<u8> {
    let octets = numbers.iter().flat_map(|number| order(*number, big_endian));
    octets.collect()
}

fn classic(magic: u32, big_endian: bool, records: &[&[u8]]) -> Vec<u8> {
    let mut file = words(&[magic], big_endian);
    file.extend(if big_endian {
        [0, 2, 0, 4]
    } else {
        [2, 0, 4, 0]
    });
    file.extend(words(&[0, 0, 65_535, 101], big_endian));
    for record in records {
        let len = u32::try_from(record.len()).unwrap();
        file.extend(words(&[7, 9, len, len + 1], big_endian));
        file.extend_from_slice(record);
    }
    file
}

/// A block: type, length, inside padded to four octets, length.
fn block(kind: u32, inside: &[u8], big_endian: bool) -> Vec<u8> {
    let mut inside = inside.to_vec();
    inside.resize(inside.len().next_multiple_of(4), 0);
    let len = u32::try_from(inside.len()).unwrap() + 12;
    [
        words(&[kind, len], big_endian),
        inside,
        words(&[len], big_endian),
    ]
    .concat()
}

/// An option: code, length, value.
fn option(code: u16, value: &[u8], big_endian: bool) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap();
    let [code, len] = [code, len].map(|half| {
        if big_endian {
            half.to_be_bytes()
        } else {
            half.to_le_bytes()
        }
    });
    let mut octets = [&code, &len, value].concat();
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn section(big_endian: bool) -> Vec<u8> {
    let version = if big_endian {
        [0, 1, 0, 0]
    } else {
        [1, 0, 0, 0]
    };
    let inside = [
        words(&[0x1a2b_3c4d], big_endian),
        version.to_vec(),
        vec![0xff; 8],
    ];
    block(0x0a0d_0d0a, &inside.concat(), big_endian)
}

fn interface(link_type: u16, options: &[u8], big_endian: bool) -> Vec<u8> {
    let kind = if big_endian {
        link_type.to_be_bytes()
    } else {
        link_type.to_le_bytes()
    };
    block(
        1,
        &[&kind, &[0; 2][..], &[0; 4], options].concat(),
        big_endian,
    )
}

fn enhanced(
    interface: u32,
    ticks: u64,
    octets: &[u8],
    options: &[u8],
    big_endian: bool,
) -> Vec<u8> {
    let (high, low) = (ticks >> 32, ticks & 0xffff_ffff);
    let [high, low] = [high, low].map(|half| u32::try_from(half).unwrap());
    let len = u32::try_from(octets.len()).unwrap();
    let mut inside = words(&[interface, high, low, len, len + 1], big_endian);
    inside.extend_from_slice(octets);
    inside.resize(inside.len().next_multiple_of(4), 0);
    inside.extend_from_slice(options);
    block(6, &inside, big_endian)
}

fn read(file: &[u8]) -> (Vec<Frame>, Option<ReadError>) {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut frames = Vec::new();
    let mut error = None;
    for item in &mut reader {
        match item {
            Ok(frame) => frames.push(frame),
            Err(fault) => assert!(error.replace(fault).is_none(), "two errors"),
        }
    }
    assert!(reader.next().is_none());
    (frames, error)
}

fn message(file: &[u8]) -> String {
    read(file).1.expect("an error").to_string()
}

#[test]
fn both_orders_and_all_units_of_classic_pcap_are_read() {
    for (magic, nanos) in [(0xa1b2_c3d4, 9000), (0xa1b2_3c4d, 9)] {
        for big_endian in [false, true] {
            let (frames, error) = read(&classic(magic, big_endian, &[&[0x45, 1], &[], &[2; 99]]));
            assert!(error.is_none(), "{error:?}");
            assert_eq!(frames.len(), 3);
            let expected = Frame {
                link_type: LinkType::RawIp,
                time: SystemTime::UNIX_EPOCH + Duration::new(7, nanos),
                direction: Direction::Unknown,
                original_len: 3,
                checksum_pending: false,
                octets: vec![0x45, 1],
            };
            assert_eq!(frames[0], expected);
            assert_eq!(frames[2].octets, [2; 99]);
        }
    }
    // The "modified" format: eight octets of no interest in each record's header.
    let mut file = classic(0xa1b2_cd34, false, &[]);
    file.extend(words(&[7, 9, 1, 1, 0xdead, 0xbeef], false));
    file.push(0x45);
    assert_eq!(read(&file).0[0].octets, [0x45]);
}

#[test]
fn sections_interfaces_and_times_of_pcapng_are_told_apart() {
    for order in [false, true] {
        let other = !order;
        let offset = |seconds: i64| {
            if order {
                seconds.to_be_bytes()
            } else {
                seconds.to_le_bytes()
            }
        };
        let named = [option(2, b"tunl0", order), option(9, &[9], order)].concat();
        let binary = [option(9, &[0x8a], order), option(14, &offset(-2), order)].concat();
        let file = [
            section(order),
            interface(101, &named, order),
            block(5, &[0; 12], order), // statistics
            interface(1, &binary, order),
            enhanced(
                0,
                3_000_000_001,
                &[0x45],
                &option(2, &self::order(2, order), order),
                order,
            ),
            enhanced(1, 5 << 10 | 512, &[1, 2, 3], &[], order),
            // In another order, with interfaces of its own; microseconds are the default.
            section(other),
            interface(113, &[], other),
            enhanced(
                0,
                3_000_001,
                &[7; 5],
                &option(2, &self::order(1, other), other),
                other,
            ),
            block(3, &[words(&[2], other), vec![8, 9]].concat(), other),
        ]
        .concat();
        let mut reader = Reader::new(&file[..]).unwrap();
        let mut seen = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            let since = frame.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let len = frame.octets.len();
            seen.push((
                reader.interface(),
                frame.link_type,
                since.as_nanos(),
                frame.direction,
                len,
            ));
        }
        let (incoming, outgoing, unknown) =
            (Direction::Incoming, Direction::Outgoing, Direction::Unknown);
        let expected = [
            (0, LinkType::RawIp, 3_000_000_001, outgoing, 1),
            (1, LinkType::Ethernet, 3_500_000_000, unknown, 3),
            (2, LinkType::LinuxSll, 3_000_001_000, incoming, 5),
            (2, LinkType::LinuxSll, 0, unknown, 2),
        ];
        assert_eq!(seen, expected);
        let names: Vec<_> = reader
            .interfaces()
            .iter()
            .map(|i| i.name.as_deref())
            .collect();
        assert_eq!(names, [Some("tunl0"), None, None]);
    }
}

/// Every cut of a file: all frames before it, then an error at the record that was cut.
#[test]
fn a_cut_is_named_at_the_record_that_it_cuts() {
    let classic = classic(0xa1b2_c3d4, true, &[&[1; 30], &[2; 7]]);
    let pcapng = [
        section(false),
        interface(1, &[], false),
        enhanced(0, 1, &[1; 30], &[], false),
        block(0xbad, &[0; 8], false),
        enhanced(0, 1, &[2; 7], &[], false),
    ]
    .concat();
    for (file, starts, frames_before) in [
        (classic, vec![0, 24, 70, 93], vec![0, 0, 1, 2]),
        (
            pcapng,
            vec![0, 28, 48, 112, 132, 172],
            vec![0, 0, 0, 1, 1, 2],
        ),
    ] {
        assert_eq!(file.len(), *starts.last().unwrap());
        for len in 4..=file.len() {
            let (frames, error) = read(&file[..len]);
            let record = starts.iter().rposition(|start| *start <= len).unwrap();
            assert_eq!(frames.len(), frames_before[record], "cut at {len}");
            match error {
                None => assert!(starts.contains(&len) && len > 0, "cut at {len}"),
                Some(ReadError::Damaged { offset, damage }) => {
                    assert_eq!(offset, starts[record] as u64, "cut at {len}");
                    let whole = matches!(damage, Damage::Truncated { found, .. } if found == len - starts[record]);
                    assert!(whole, "cut at {len}: {damage}");
                }
                Some(error) => panic!("cut at {len}: {error}"),
            }
        }
    }
}

#[test]
fn damage_is_named() {
    let start = [section(false), interface(1, &[], false)].concat();
    let then = |block: Vec<u8>| message(&[start.clone(), block].concat());
    let mut end = enhanced(0, 1, &[1; 4], &[], false);
    *end.last_mut().unwrap() = 1;
    let mut inside = enhanced(0, 1, &[1; 4], &[], false);
    inside[20] = 5; // octets captured
    let mut fine = option(9, &[39], false);
    fine.extend(option(2, &[], false));
    let at = "capture is damaged at offset 48: ";
    for (found, expected) in [
        (message(b"abcdefg"), "not a capture: begins with [61, 62, 63, 64], allowed are a1b2c3d4, a1b23c4d and a1b2cd34 (pcap, in either byte order) and 0a0d0d0a (pcapng)".into()),
        (message(&[]), "not a capture: begins with [], allowed are a1b2c3d4, a1b23c4d and a1b2cd34 (pcap, in either byte order) and 0a0d0d0a (pcapng)".into()),
        (
            message(&[classic(0xa1b2_c3d4, false, &[&[1]]), words(&[0, 0, 0x7fff_ffff, 1], false)].concat()),
            "capture is damaged at offset 41: a frame of 2147483647 octets, allowed are at most 262144".into(),
        ),
        (then(words(&[6, 33, 0], false)), format!("{at}a block of type 0x6 and 33 octets, allowed are multiples of 4 from 32 to 1048576")),
        (then(words(&[6, 0x10_0004, 0], false)), format!("{at}a block of type 0x6 and 1048580 octets, allowed are multiples of 4 from 32 to 1048576")),
        (then(words(&[9, 0, 0], false)), format!("{at}a block of type 0x9 and 0 octets, allowed are multiples of 4 from 12 to 4294967292")),
        (then(words(&[9, 0xffff_fff0, 0], false)), format!("{at}it is cut off: found 12 octets, needs 4294967280")),
        (then(end), format!("{at}a block of 36 octets whose end says 16777252")),
        (then(inside), format!("{at}a block of type 0x6 whose inside does not fit in it")),
        (then(enhanced(1, 1, &[1; 4], &[], false)), format!("{at}a frame of interface 1, the section has described 1")),
        (then(block(2, &[0; 20], false)), format!("{at}an obsolete packet block (type 2), read are enhanced (6) and simple ones (3)")),
        (then(block(0x0a0d_0d0a, &[3; 16], false)), format!("{at}byte order mark [03, 03, 03, 03], allowed are 1a2b3c4d and 4d3c2b1a")),
        (
            message(&[section(true), interface(1, &option(9, &[39], true), true), enhanced(0, 5, &[], &[], true)].concat()),
            "capture is damaged at offset 56: a time of 5 ticks of an interface with resolution 0x27, which cannot be counted here".into(),
        ),
    ] {
        assert_eq!(found, expected);
    }
}

/// One octet a read, with interruptions, and at last a failure.
struct Trickle(VecDeque<u8>, bool);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let next = self.0.pop_front().ok_or(io::ErrorKind::ConnectionReset)?;
        buffer[0] = next;
        Ok(1)
    }
}

#[test]
fn a_slow_pipe_is_read_and_its_failure_told() {
    let mut file = classic(0xa1b2_c3d4, false, &[&[1; 30]]);
    file.extend([0; 5]);
    let mut reader = Reader::new(Trickle(file.into(), false)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().octets, [1; 30]);
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cannot read the capture at offset 75");
    assert!(reader.next().is_none());
}

#[test]
fn nothing_is_allocated_by_a_number_of_the_file() {
    let mut file = classic(0xa1b2_c3d4, false, &[]);
    file.extend(words(&[0, 0, 262_144, 262_144], false));
    let mut reader = Reader::new(&file[..]).unwrap();
    assert!(reader.next().unwrap().is_err());
    let kept = reader.source.buffer.capacity();
    assert!(kept < 1000, "{kept} octets for a file of {}", file.len());
}

#[test]
fn what_was_written_is_read_again() {
    let frame = Frame {
        link_type: LinkType::LinuxSll2,
        time: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 999_999_999),
        direction: Direction::Unknown,
        original_len: 70_000,
        checksum_pending: false,
        octets: vec![0x5a; 262_144],
    };
    let mut file = PcapWriter::new(Vec::new(), LinkType::LinuxSll2).unwrap();
    file.write(&frame).unwrap();
    let (frames, error) = read(&file.finish().unwrap());
    assert!(error.is_none());
    let original_len = 262_144; // never less than what was kept
    assert_eq!(
        frames,
        [Frame {
            original_len,
            ..frame
        }]
    );
}

proptest::proptest! {
    #[test]
    fn any_octets_are_survived(
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        kind in 0usize..5, changes in proptest::collection::vec((0usize..300, proptest::prelude::any::<u8>()), 0..6),
    ) {
        let good = [section(kind > 2), interface(1, &option(9, &[6], kind > 2), kind > 2), enhanced(0, 1, &[3; 9], &[], kind > 2)].concat();
        let mut file = match kind {
            0 => octets,
            1 => [classic(0xa1b2_c3d4, false, &[&[1; 3]]), octets].concat(),
            2 => [good, octets].concat(),
            _ => [good.clone(), good].concat(),
        };
        for (at, value) in changes {
            if let Some(octet) = file.get_mut(at) {
                *octet = value;
            }
        }
        let (frames, _) = read(&file);
        proptest::prop_assert!(frames.len() <= file.len() / 16);
    }
}
