//! Every field of many frames, as tshark has it.
//!
//! What we say is taken from the JSON lines, so these are tested, too.

use std::path::{Path, PathBuf};
use std::process::Command;

use ipip_core::capture::{Frame, Reader, describe};
use serde_json::Value;

use crate::files::tool;
use crate::support::Scratch;

/// A field of ours with tshark's names of it.
type Field = (&'static str, &'static [&'static str]);

/// Our layers and their fields.
const FIELDS: &[(&str, &[Field])] = &[
    (
        "ethernet",
        &[
            ("source", &["eth.src"]),
            ("destination", &["eth.dst"]),
            ("ether_type", &["eth.type"]),
        ],
    ),
    (
        "vlan",
        &[
            ("id", &["ieee8021ad.id", "vlan.id"]),
            ("priority", &["ieee8021ad.priority", "vlan.priority"]),
            ("drop_eligible", &["ieee8021ad.dei", "vlan.dei"]),
        ],
    ),
    (
        "ipv4",
        &[
            ("header_len", &["ip.hdr_len"]),
            ("dscp", &["ip.dsfield.dscp"]),
            ("ecn", &["ip.dsfield.ecn"]),
            ("total_len", &["ip.len"]),
            ("identification", &["ip.id"]),
            ("reserved_flag", &["ip.flags.rb"]),
            ("dont_fragment", &["ip.flags.df"]),
            ("more_fragments", &["ip.flags.mf"]),
            ("fragment_offset", &["ip.frag_offset"]),
            ("ttl", &["ip.ttl"]),
            ("protocol", &["ip.proto"]),
            ("checksum", &["ip.checksum"]),
            ("verdict", &["ip.checksum.status"]),
            ("source", &["ip.src"]),
            ("destination", &["ip.dst"]),
        ],
    ),
    (
        "ipv6",
        &[
            ("dscp", &["ipv6.tclass.dscp"]),
            ("ecn", &["ipv6.tclass.ecn"]),
            ("flow_label", &["ipv6.flow"]),
            ("payload_len", &["ipv6.plen"]),
            ("next_header", &["ipv6.nxt"]),
            ("hop_limit", &["ipv6.hlim"]),
            ("source", &["ipv6.src"]),
            ("destination", &["ipv6.dst"]),
        ],
    ),
    (
        "icmp",
        &[
            ("type", &["icmp.type", "icmpv6.type"]),
            ("code", &["icmp.code", "icmpv6.code"]),
            ("checksum", &["icmp.checksum", "icmpv6.checksum"]),
            (
                "verdict",
                &["icmp.checksum.status", "icmpv6.checksum.status"],
            ),
        ],
    ),
    (
        "udp",
        &[
            ("source_port", &["udp.srcport"]),
            ("destination_port", &["udp.dstport"]),
            ("len", &["udp.length"]),
            ("checksum", &["udp.checksum"]),
            ("verdict", &["udp.checksum.status"]),
        ],
    ),
    (
        "tcp",
        &[
            ("source_port", &["tcp.srcport"]),
            ("destination_port", &["tcp.dstport"]),
            ("sequence", &["tcp.seq_raw"]),
            ("acknowledgement", &["tcp.ack_raw"]),
            ("header_len", &["tcp.hdr_len"]),
            ("flags", &["tcp.flags"]),
            ("window", &["tcp.window_size_value"]),
            ("checksum", &["tcp.checksum"]),
            ("verdict", &["tcp.checksum.status"]),
            ("urgent", &["tcp.urgent_pointer"]),
            ("data_len", &["tcp.len"]),
        ],
    ),
];

/// tshark's names in the order of the table.
fn names() -> impl Iterator<Item = &'static str> {
    let fields = FIELDS.iter().flat_map(|(_, fields)| fields.iter());
    fields.flat_map(|(_, names)| names.iter().copied())
}

/// A line a frame, its fields separated by bars and their values by commas.
fn tshark(file: &Path) -> Option<String> {
    let mut command = Command::new("tshark");
    command.args([
        "-n",
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-E",
        "occurrence=a",
    ]);
    for preference in [
        "ip.defragment:FALSE",
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "tcp.relative_sequence_numbers:FALSE",
    ] {
        command.args(["-o", preference]);
    }
    for name in names() {
        command.args(["-e", name]);
    }
    tool(command.arg("-r").arg(file))
}

/// A value of either side in one spelling: decimal numbers, tshark's numbers for verdicts.
fn plain(text: &str) -> String {
    match text {
        "incorrect" | "partial" | "false" | "False" => "0".to_owned(),
        "correct" | "true" | "True" => "1".to_owned(),
        "unverified" => "2".to_owned(),
        "absent" => "3".to_owned(),
        _ => match text
            .strip_prefix("0x")
            .map(|hex| u64::from_str_radix(hex, 16))
        {
            Some(Ok(number)) => number.to_string(),
            _ => text.to_owned(),
        },
    }
}

fn of_json(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Whether a layer is an ICMP error: tshark goes on into the packet that it quotes.
fn quotes_another(layer: &Value) -> bool {
    let errors = [3, 4, 5, 11, 12];
    layer["layer"] == "icmp" && errors.iter().any(|number| layer["type"] == *number)
}

/// How many values were compared; they must be equal.
fn compare(number: usize, frame: &Frame, theirs: &str) -> usize {
    let line = describe::json(frame);
    let ours: Value = serde_json::from_str(&line).unwrap();
    let layers = ours["layers"].as_array().unwrap();
    // tshark shows the fields of a header that is cut, as far as they go, and leaves out some before
    // options that are; we name the header only.
    let is_cut = layers
        .last()
        .is_some_and(|last| last["layer"] == "malformed");
    let quotes = layers.last().is_some_and(quotes_another);
    let is_fragment = layers.iter().any(|layer| layer["more_fragments"] == true);
    let mut columns = theirs.split('|');
    let mut compared = 0;
    for (layer, fields) in FIELDS {
        let layers: Vec<_> = layers.iter().filter(|l| l["layer"] == **layer).collect();
        for (key, names) in *fields {
            let mut ours: Vec<_> = layers.iter().map(|layer| of_json(&layer[*key])).collect();
            let columns = names.iter().map(|_| columns.next().unwrap_or_default());
            let theirs = columns.flat_map(|column| column.split(',').filter(|v| !v.is_empty()));
            let mut theirs: Vec<_> = theirs.map(plain).collect();
            match *key {
                // In units of 8 octets.
                "fragment_offset" => theirs.iter_mut().for_each(|units| {
                    let octets = units.parse::<u32>().map_or(u32::MAX, |units| units * 8);
                    *units = octets.to_string();
                }),
                // tshark does not say how much data a fragment has of its segment.
                "data_len" if is_fragment => theirs.clone_from(&ours),
                // It takes the inner packet in a first outer fragment for one that is damaged.
                "verdict" if is_fragment && *layer != "ipv4" => theirs.clone_from(&ours),
                _ => {}
            }
            if is_cut {
                let both = ours.len().min(theirs.len());
                ours.truncate(both);
                theirs.truncate(both);
            }
            if quotes {
                theirs.truncate(ours.len());
            }
            assert_eq!(ours, theirs, "frame {number}: {layer} {key}: {line}");
            compared += ours.len();
        }
    }
    compared
}

/// Compares all frames of a file; how many frames and values, or `None` if tshark is not installed.
pub(crate) fn agrees(file: &Path) -> Option<(usize, usize)> {
    let text = tshark(file)?;
    let mut lines = text.lines();
    let (mut frames, mut values) = (0, 0);
    for frame in Reader::open(file).unwrap() {
        frames += 1;
        let line = lines.next().expect("as many lines of tshark");
        values += compare(frames, &frame.unwrap(), line);
    }
    assert_eq!(lines.next(), None, "tshark has more frames");
    Some((frames, values))
}

/// A Python that has scapy: that of the main job's tests, or the machine's.
fn python_with_scapy() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let venv = target.join("two-nodes-venv/bin/python");
    let mut candidates = [venv, PathBuf::from("python3")].into_iter();
    candidates.find(|python| {
        let found = Command::new(python).args(["-c", "import scapy"]).output();
        found.is_ok_and(|output| output.status.success())
    })
}

fn scapy_capture(seed: u32, count: usize) {
    let Some(python) = python_with_scapy() else {
        eprintln!("skipped: scapy is not installed");
        return;
    };
    let scratch = Scratch::new();
    let file = scratch.file("scapy.pcap");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/capture/make_capture.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&file);
    tool(command.args([seed.to_string(), count.to_string()]));
    let Some((frames, values)) = agrees(&file) else {
        return;
    };
    eprintln!("{frames} frames, {values} values");
    assert!(
        frames == count && values > count * 20,
        "{frames} frames, {values} values"
    );
}

pub(crate) fn every_field_of_a_scapy_capture_is_tsharks() {
    scapy_capture(1, 1000)
}

pub(crate) fn long_every_field_of_ten_thousand_scapy_frames_is_tsharks() {
    scapy_capture(2, 10_000)
}
