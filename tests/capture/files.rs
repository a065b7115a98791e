//! Capture files as other tools write them, read by us and by tshark.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use ipip_core::capture::{Frame, LinkType, PcapWriter, Reader};
use libtest_mimic::Failed;

use crate::explain;
use crate::two_netns::{Outcome, Scratch, ensure, same};

/// Runs a tool and returns what it printed, or `None` with a reason if it is not installed.
pub(crate) fn tool(command: &mut Command) -> Result<Option<String>, Failed> {
    let output = match command.env("TZ", "UTC").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = command.get_program().display();
            eprintln!("skipped: {name} is not installed");
            return Ok(None);
        }
        other => other?,
    };
    ensure(output.status.success(), || {
        format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// What tshark says of each frame of a file: fields joined by bars.
pub(crate) fn tshark(file: &Path, fields: &[&str]) -> Result<Option<Vec<String>>, Failed> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]);
    command.arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let text = tool(&mut command)?;
    Ok(text.map(|text| text.lines().map(str::to_owned).collect()))
}

fn write(file: &Path, link_type: LinkType) -> Result<Vec<Frame>, Failed> {
    let mut frames = explain::frames()?;
    frames.retain(|frame| frame.link_type == link_type);
    let mut writer = PcapWriter::create(file, link_type)?;
    frames.iter().try_for_each(|frame| writer.write(frame))?;
    writer.finish()?;
    Ok(frames)
}

/// Time, lengths and interface of each frame, and that the octets are those written.
fn agrees(file: &Path, written: &[Frame], nanoseconds: bool) -> Outcome {
    let fields = [
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.interface_id",
    ];
    let Some(theirs) = tshark(file, &fields)? else {
        return Ok(());
    };
    let mut reader = Reader::open(file)?;
    let mut ours = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        let since = frame.time.duration_since(SystemTime::UNIX_EPOCH)?;
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
        same(&frame.octets, &expected.octets, "octets")?;
        same(&frame.link_type, &expected.link_type, "link type")?;
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
    same(&ours, &theirs, &file.display().to_string())?;
    same(&ours.len(), &written.len(), "frames")
}

pub(crate) fn every_format_of_editcap_is_read() -> Outcome {
    let scratch = Scratch::new()?;
    for link_type in [LinkType::Ethernet, LinkType::RawIp] {
        let source = scratch.file("ours.pcap");
        let frames = write(&source, link_type)?;
        agrees(&source, &frames, true)?;
        for (format, nanoseconds) in [
            ("pcap", false),
            ("nsecpcap", true),
            ("modpcap", false),
            ("pcapng", true),
        ] {
            let file = scratch.file(&format!("{format}.{format}"));
            let mut editcap = Command::new("editcap");
            editcap.args(["-F", format]).arg(&source).arg(&file);
            if tool(&mut editcap)?.is_none() {
                return Ok(());
            }
            agrees(&file, &frames, nanoseconds)?;
        }
    }
    Ok(())
}

/// Several interfaces in one file, of different link types.
pub(crate) fn merged_files_keep_their_interfaces() -> Outcome {
    let scratch = Scratch::new()?;
    let (first, second) = (scratch.file("first.pcap"), scratch.file("second.pcap"));
    let mut frames = write(&first, LinkType::RawIp)?;
    frames.extend(write(&second, LinkType::Ethernet)?);
    let merged = scratch.file("merged.pcapng");
    let mut mergecap = Command::new("mergecap");
    mergecap.args(["-a", "-F", "pcapng", "-w"]).arg(&merged);
    if tool(mergecap.arg(&first).arg(&second))?.is_none() {
        return Ok(());
    }
    agrees(&merged, &frames, true)?;
    let mut reader = Reader::open(&merged)?;
    let read = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    same(&read.len(), &frames.len(), "frames")?;
    same(&reader.interfaces().len(), &2, "interfaces")
}

pub(crate) fn a_missing_file_is_named() -> Outcome {
    let error = Reader::open("/nonexistent/capture.pcap")
        .err()
        .ok_or("opened")?;
    let expected = "cannot open capture file /nonexistent/capture.pcap".to_owned();
    same(&error.to_string(), &expected, "message")
}
