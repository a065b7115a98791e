//! Lines, trees and files: what tcpdump and tshark say of the same frames.

use std::process::Command;
use std::time::{Duration, SystemTime};

use ipip_core::capture::{Direction, Frame, LinkType, PcapWriter, describe};

use crate::support::{Scratch, same};

/// A frame of `vectors/capture/frames.txt`.
struct Vector {
    name: String,
    frame: Frame,
    tcpdump: String,
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let text = include_str!("../vectors/capture/frames.txt");
    for entry in text.split("\n\n").skip(1) {
        let mut lines = entry.lines();
        let mut field = |key: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(key));
            line.ok_or_else(|| format!("no {key} in {entry}"))
        };
        let (name, link, tcpdump) = (
            field("name: ").unwrap(),
            field("link: ").unwrap(),
            field("tcpdump: ").unwrap(),
        );
        let original_len = field("wire: ").unwrap().parse().unwrap();
        let octets: Result<Vec<u8>, _> = lines
            .flat_map(str::split_whitespace)
            .map(|octet| u8::from_str_radix(octet, 16))
            .collect();
        let octets = octets.unwrap();
        vectors.push(Vector {
            name: name.to_owned(),
            frame: Frame {
                link_type: LinkType::of_number(link.parse().unwrap()),
                // 12:34:56.789012, with nanoseconds that the line cuts off.
                time: SystemTime::UNIX_EPOCH + Duration::new(45_296, 789_012_999),
                direction: Direction::Incoming,
                original_len,
                checksum_pending: false,
                octets,
            },
            // tcpdump looks for the interface on its own host; we print the index.
            tcpdump: tcpdump.replacen("?     ", "if424242 ", 1),
        });
    }
    assert!(vectors.len() > 30, "{} vectors", vectors.len());
    vectors
}

pub(crate) fn frames() -> Vec<Frame> {
    vectors().into_iter().map(|vector| vector.frame).collect()
}

pub(crate) fn lines_are_tcpdumps() {
    for vector in vectors() {
        let expected = format!("12:34:56.789012 {}", vector.tcpdump);
        assert_eq!(describe::line(&vector.frame), expected, "{}", vector.name);
    }
}

/// Writes the frames of one link type to a file and gives it to `tool`, which prints a line a frame.
fn read_by(tool: &str, args: &[&str], link_type: LinkType) -> Option<Vec<String>> {
    let scratch = Scratch::new();
    let file = scratch.file("ours.pcap");
    let mut writer = PcapWriter::create(&file, link_type).unwrap();
    for vector in vectors().iter().filter(|v| v.frame.link_type == link_type) {
        writer.write(&vector.frame).unwrap();
    }
    writer.finish().unwrap();
    let output = Command::new(tool)
        .args(args)
        .arg("-r")
        .arg(&file)
        .env("TZ", "UTC")
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {tool} is not installed");
            return None;
        }
        other => other.unwrap(),
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().map(str::to_owned).collect())
}

pub(crate) fn tcpdump_reads_our_files() {
    for (link_type, args) in [
        (LinkType::Ethernet, &["-n", "-S", "-e"][..]),
        (LinkType::RawIp, &["-n", "-S"]),
        (LinkType::LinuxSll, &["-n", "-S"]),
    ] {
        let ours: Vec<_> = vectors()
            .iter()
            .filter(|vector| vector.frame.link_type == link_type)
            .map(|vector| describe::line(&vector.frame))
            .collect();
        if let Some(lines) = read_by("tcpdump", args, link_type) {
            same(&ours, &lines, "lines");
        }
    }
    // The nanoseconds arrive too.
    let args = ["-n", "--time-stamp-precision=nano"];
    if let Some(lines) = read_by("tcpdump", &args, LinkType::RawIp) {
        let exact = lines
            .iter()
            .all(|line| line.starts_with("12:34:56.789012999 "));
        assert!(exact, "{}", lines.join("\n"));
    }
}

pub(crate) fn trees_are_tsharks() {
    const FIELDS: [&str; 9] = [
        "ip.src",
        "ip.dst",
        "ip.ttl",
        "ip.proto",
        "ip.checksum",
        "ip.checksum.status",
        "icmp.checksum",
        "icmp.ident",
        "icmp.seq",
    ];
    let mut args = vec![
        "-o",
        "ip.check_checksum:TRUE",
        "-n",
        "-T",
        "fields",
        "-E",
        "separator=|",
    ];
    for field in FIELDS {
        args.extend(["-e", field]);
    }
    let Some(lines) = read_by("tshark", &args, LinkType::Ethernet) else {
        return;
    };
    let first = lines.first().expect("a line");
    // The first vector is the encapsulated echo request; the outer value comes first.
    let tree = describe::tree(&vectors()[0].frame);
    let summaries: Vec<_> = tree.branches.iter().map(|b| b.summary.as_str()).collect();
    let expected = [
        "Frame: 118 octets on the wire, 118 octets captured",
        "Ethernet II, Src: ee:ee:ee:ee:ee:ee, Dst: 0a:00:00:00:00:01",
        "Internet Protocol Version 4, Src: 172.18.0.3, Dst: 172.18.0.2",
        "Internet Protocol Version 4, Src: 10.244.79.20, Dst: 10.244.244.73",
        "Internet Control Message Protocol",
    ];
    assert_eq!(&summaries[..], &expected[..], "branches");
    let value = |branch: usize, key: &str| {
        let fields = tree.branches.get(branch).map(|branch| &branch.fields);
        let field = fields.and_then(|f| f.iter().find_map(|f| f.strip_prefix(key)));
        field.unwrap_or("missing").to_owned()
    };
    // "64", "IPIP (4)", "0x1234 [correct]" to what tshark prints of each.
    let number = |text: String| match text.split_once('(') {
        Some((_, number)) => number.trim_end_matches(')').to_owned(),
        None => text.split(' ').next().unwrap_or_default().to_owned(),
    };
    let both = |key: &str| format!("{},{}", number(value(2, key)), number(value(3, key)));
    let ours = [
        both("Source Address: "),
        both("Destination Address: "),
        both("Time to Live: "),
        both("Protocol: "),
        both("Header Checksum: "),
        "1,1".to_owned(), // tshark's word for correct
        number(value(4, "Checksum: ")),
        number(value(4, "Identifier: ")),
        number(value(4, "Sequence Number: ")),
    ];
    assert_eq!(&ours.join("|"), first, "fields");
}

/// Every IPv4 layer and transport checksum of every frame, as tshark has them.
pub(crate) fn layers_are_tsharks() {
    const FIELDS: [&str; 7] = [
        "ip.src",
        "ip.dst",
        "ip.ttl",
        "ip.proto",
        "ip.len",
        "tcp.checksum.status",
        "udp.checksum.status",
    ];
    let mut args = vec!["-n", "-T", "fields", "-E", "separator=|"];
    args.extend(["-o", "tcp.check_checksum:TRUE"]);
    args.extend(["-o", "udp.check_checksum:TRUE"]);
    args.extend(["-o", "ip.defragment:FALSE"]);
    for field in FIELDS {
        args.extend(["-e", field]);
    }
    let Some(lines) = read_by("tshark", &args, LinkType::Ethernet) else {
        return;
    };
    let ethernet = |vector: &Vector| vector.frame.link_type == LinkType::Ethernet;
    let vectors: Vec<_> = vectors().into_iter().filter(ethernet).collect();
    assert_eq!(lines.len(), vectors.len(), "lines");
    for (vector, line) in vectors.iter().zip(&lines) {
        let packets: Vec<_> = vector
            .frame
            .layers()
            .into_iter()
            .filter_map(|layer| match layer {
                describe::Layer::Ipv4(packet) => Some(packet),
                _ => None,
            })
            .collect();
        let ours = |of: fn(&describe::Ipv4<'_>) -> String| {
            let values: Vec<_> = packets.iter().map(of).collect();
            values.join(",")
        };
        let ip = [
            ours(|packet| packet.source().to_string()),
            ours(|packet| packet.destination().to_string()),
            ours(|packet| packet.ttl().to_string()),
            ours(|packet| packet.protocol().to_string()),
            ours(|packet| packet.total_len().to_string()),
        ];
        let theirs: Vec<_> = line.split('|').collect();
        // tshark goes on with the packet that an ICMP error quotes.
        for ((ours, theirs), field) in ip.iter().zip(&theirs).zip(FIELDS) {
            let agrees = theirs.starts_with(ours);
            let name = &vector.name;
            assert!(agrees, "{name}: {field} {ours}, not {theirs}");
        }
        let tree = describe::tree(&vector.frame);
        let verdict = |name: &str| {
            let branch = tree.branches.iter().find(|b| b.summary.starts_with(name));
            let field = branch.and_then(|b| b.fields.iter().find(|f| f.starts_with("Checksum: ")));
            field.and_then(|field| field.split_once('[')?.1.split([',', ']']).next())
        };
        // Bad 0, good 1, unverified 2, not present 3. Only the last header counts: quoted ones follow it.
        let word = |status: Option<&&str>| match status.copied() {
            Some("0") => Some("incorrect"),
            Some("1") => Some("correct"),
            Some("2") => Some("unverified"),
            Some("3") => Some("none"),
            _ => None,
        };
        let icmp = packets.last().is_some_and(|packet| packet.protocol() == 1);
        // tshark sums up what there is of a packet that is shorter than it says; we do not judge it.
        if !icmp && !vector.name.ends_with("than it says") {
            let (tcp, udp) = (word(theirs.get(5)), word(theirs.get(6)));
            let transport = "Transmission Control Protocol";
            assert_eq!(verdict(transport), tcp, "{}", vector.name);
            assert_eq!(verdict("User Datagram Protocol"), udp, "{}", vector.name);
        }
    }
}

/// Every frame cut everywhere, and every octet of it damaged.
pub(crate) fn damaged_frames_are_described_all_the_same() {
    let mut malformed = 0;
    let mut describe = |frame: &Frame| {
        let tree = describe::tree(frame).to_string();
        malformed += usize::from(tree.contains("Malformed"));
        assert!(!describe::line(frame).contains('\n'), "{tree}");
    };
    for Vector { mut frame, .. } in vectors() {
        for at in 0..frame.octets.len() {
            for damage in [0x01, 0x0f, 0x80, 0xff] {
                frame.octets[at] ^= damage;
                describe(&frame);
                frame.octets[at] ^= damage;
            }
        }
        for len in (0..frame.octets.len()).rev() {
            frame.octets.truncate(len);
            describe(&frame);
        }
    }
    assert!(malformed > 1000, "{malformed} malformed");
}
