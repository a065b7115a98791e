//! What a capture shows: `cargo run --example read_capture -- FILE…`.
//!
//! Several files are several points of the packets' way, such as those that
//! `two_nodes --pcap DIR` writes: `read_capture --journeys --findings --mtu 1500 DIR/*.pcap`.
//! `python -m ipip capture` has the same options and prints the same.

#[path = "read_capture/options.rs"]
mod options;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use ipip_core::capture::describe::{json, line, tree};
use ipip_core::capture::{Expected, Frame, Point, Reader, findings, journeys};
use ipip_core::error_chain;
use options::{Form, Options};

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1);
    let args = args.map(|arg| arg.to_string_lossy().into_owned());
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // `read_capture … | head` is no failure.
        Err(error) if is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("read_capture: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// `false` if a file could not be read to its end; what came before is printed all the same.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let mut points = Vec::new();
    let mut whole = true;
    for file in &options.files {
        let name = Path::new(file).file_stem().unwrap_or_default();
        let name = name.to_string_lossy();
        let (found, damage) = Point::read(&name, &mut Reader::open(file)?);
        points.extend(found);
        if let Some(damage) = damage {
            eprintln!("{file}: {}", error_chain(&damage));
            whole = false;
        }
    }
    for point in &mut points {
        point.frames.retain(|frame| options.filter.matches(frame));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if options.journeys {
        print_journeys(&points, options, &mut out)?;
    } else {
        print_points(&points, options, &mut out)?;
    }
    out.flush()?;
    Ok(whole)
}

fn print_points(points: &[Point], options: &Options, out: &mut impl Write) -> io::Result<()> {
    for point in points {
        // JSON lines stay JSON lines.
        if points.len() > 1 && options.form != Form::Json {
            writeln!(out, "{}:", point.name)?;
        }
        for frame in &point.frames {
            match options.form {
                Form::Line => writeln!(out, "{}", line(frame))?,
                Form::Tree => writeln!(out, "{}", tree(frame))?,
                Form::Json => writeln!(out, "{}", json(frame))?,
            }
            print_findings(point, frame, options, out)?;
        }
    }
    Ok(())
}

fn print_findings(
    point: &Point,
    frame: &Frame,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<()> {
    if !options.findings {
        return Ok(());
    }
    let expected = Expected {
        mtu: options.mtu_of(&point.name),
        peers: options.peers.as_ref(),
    };
    for finding in findings(frame, &expected) {
        writeln!(out, "    ! {finding}")?;
    }
    Ok(())
}

/// Each packet with the points that saw it, in the order of time.
fn print_journeys(points: &[Point], options: &Options, out: &mut impl Write) -> io::Result<()> {
    for journey in journeys(points) {
        let packet = journey.packet;
        writeln!(
            out,
            "{} > {}, protocol {}, id {}, {} octets of payload, seen at {} of {} points",
            packet.source,
            packet.destination,
            packet.protocol,
            packet.identification,
            packet.payload_len,
            journey.sightings.len(),
            points.len()
        )?;
        for sighting in &journey.sightings {
            let Some(point) = points.get(sighting.point) else {
                continue;
            };
            let Some(frame) = point.frames.get(sighting.frame) else {
                continue;
            };
            writeln!(
                out,
                "  {}: ttl {}: {}",
                point.name,
                sighting.ttl,
                line(frame)
            )?;
            print_findings(point, frame, options, out)?;
        }
    }
    Ok(())
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
