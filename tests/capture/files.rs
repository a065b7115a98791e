//! Capture files as other tools write them, read by us and by tshark.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use ipip_core::capture::{Frame, LinkType, PcapWriter, Reader};

use crate::explain;
use crate::support::{Scratch, same};

/// Runs a tool and returns what it printed, or `None` with a reason if it is not installed.
pub(crate) fn tool(command: &mut Command) -> Option<String> {
    let output = match command.env("TZ", "UTC").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = command.get_program().display();
            eprintln!("skipped: {name} is not installed");
            return None;
        }
        other => other.unwrap(),
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What tshark says of each frame of a file: fields joined by bars.
pub(crate) fn tshark(file: &Path, fields: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]);
    command.arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let text = tool(&mut command)?;
    Some(text.lines().map(str::to_owned).collect())
}

fn write(file: &Path, link_type: LinkType) -> Vec<Frame> {
    let mut frames = explain::frames();
    frames.retain(|frame| frame.link_type == link_type);
    let mut writer = PcapWriter::create(file, link_type).unwrap();
    for frame in &frames {
        writer.write(frame).unwrap();
    }
    writer.finish().unwrap();
    frames
}

/// Time, lengths and interface of each frame, and that the octets are those written.
fn agrees(file: &Path, written: &[Frame], nanoseconds: bool) {
    let fields = [
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.interface_id",
    ];
    let Some(theirs) = tshark(file, &fields) else {
        return;
    };
    let mut reader = Reader::open(file).unwrap();
    let mut ours = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        let since = frame.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let fraction = since.subsec_nanos();
        let fraction = if nanoseconds {
            fraction
        } else {
            fraction / 1000 * 1000
        };
        // Only pcapng has interfaces.
        let interface = if reader.interfaces()[reader.interface()].name.is_some()
            || file.extension().is_some_and(|ext| ext == "pcapng")
        {
            reader.interface().to_string()
        } else {
            "0".to_owned()
        };
        let Some(expected) = written.get(ours.len()) else {
            break;
        };
        same(&frame.octets, &expected.octets, "octets");
        same(&frame.link_type, &expected.link_type, "link type");
        let (seconds, len, kept) = (since.as_secs(), frame.original_len, frame.octets.len());
        ours.push(format!("{seconds}.{fraction:09}|{len}|{kept}|{interface}"));
    }
    // tshark numbers an interface in classic pcap, too, or leaves it out, depending on its version.
    let theirs: Vec<_> = theirs
        .into_iter()
        .map(|line| {
            line.strip_suffix('|')
                .map_or(line.clone(), |line| format!("{line}|0"))
        })
        .collect();
    same(&ours, &theirs, &file.display().to_string());
    same(&ours.len(), &written.len(), "frames");
}

pub(crate) fn every_format_of_editcap_is_read() {
    let scratch = Scratch::new();
    for link_type in [LinkType::Ethernet, LinkType::RawIp] {
        let source = scratch.file("ours.pcap");
        let frames = write(&source, link_type);
        agrees(&source, &frames, true);
        for (format, nanoseconds) in [
            ("pcap", false),
            ("nsecpcap", true),
            ("modpcap", false),
            ("pcapng", true),
        ] {
            let file = scratch.file(&format!("{format}.{format}"));
            let mut editcap = Command::new("editcap");
            editcap.args(["-F", format]).arg(&source).arg(&file);
            if tool(&mut editcap).is_none() {
                return;
            }
            agrees(&file, &frames, nanoseconds);
        }
    }
}

/// Several interfaces in one file, of different link types.
pub(crate) fn merged_files_keep_their_interfaces() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.file("first.pcap"), scratch.file("second.pcap"));
    let mut frames = write(&first, LinkType::RawIp);
    frames.extend(write(&second, LinkType::Ethernet));
    let merged = scratch.file("merged.pcapng");
    let mut mergecap = Command::new("mergecap");
    mergecap.args(["-a", "-F", "pcapng", "-w"]).arg(&merged);
    if tool(mergecap.arg(&first).arg(&second)).is_none() {
        return;
    }
    agrees(&merged, &frames, true);
    let mut reader = Reader::open(&merged).unwrap();
    let read = reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
    same(&read.len(), &frames.len(), "frames");
    same(&reader.interfaces().len(), &2, "interfaces");
}

pub(crate) fn a_missing_file_is_named() {
    let error = Reader::open("/nonexistent/capture.pcap").err().unwrap();
    let expected = "cannot open capture file /nonexistent/capture.pcap".to_owned();
    same(&error.to_string(), &expected, "message");
}
