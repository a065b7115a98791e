//! Captures at the points of the journey, one thread each.

use std::error::Error;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use ipip_core::capture::{CaptureError, Frame, LinkType, Live, PcapWriter, Stopper};
use ipip_core::wire::{EchoKind, EchoView, IpipView, Ipv4View, Layer};

use crate::stage::Stage;

/// Enough for frames that the kernel has queued to be read after the last echo.
const DRAIN: Duration = Duration::from_millis(200);

/// The kernel starts to stamp packets a moment after the first socket asks for it (by a work queue,
/// `net_enable_timestamp`); until then a frame gets the time when it is read.
const SETTLE: Duration = Duration::from_millis(20);

/// The captures under way.
pub(crate) struct Watch {
    threads: Vec<(Stopper, JoinHandle<Point>)>,
}

/// What one point saw.
pub(crate) struct Point {
    /// "pod eth0", "host cali…", "tunl0", "node eth0".
    pub(crate) title: String,
    pub(crate) link_type: LinkType,
    pub(crate) frames: Vec<Frame>,
    /// What happened to the interface meanwhile, such as that it went down.
    pub(crate) incidents: Vec<CaptureError>,
}

/// One echo message, whatever it was wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) kind: EchoKind,
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
    /// Whether there was an outer header around it.
    pub(crate) encapsulated: bool,
}

impl Watch {
    /// Opens every point before the first packet is sent, so that none is missed.
    pub(crate) fn start(stage: &Stage) -> Result<Self, Box<dyn Error>> {
        let mut threads = Vec::new();
        for (title, netns, interface) in stage.points() {
            let mut live = Live::open(netns, &interface)?;
            let stopper = live.stopper();
            threads.push((
                stopper,
                std::thread::spawn(move || collect(&mut live, title)),
            ));
        }
        std::thread::sleep(SETTLE);
        Ok(Self { threads })
    }

    /// Ends the captures and returns what they saw.
    pub(crate) fn stop(self) -> Result<Vec<Point>, Box<dyn Error>> {
        std::thread::sleep(DRAIN);
        self.threads.iter().for_each(|(stopper, _)| stopper.stop());
        let join = |thread: JoinHandle<_>| thread.join().map_err(|_| "a capture thread panicked");
        self.threads
            .into_iter()
            .map(|(_, thread)| Ok(join(thread)?))
            .collect()
    }
}

fn collect(live: &mut Live, title: String) -> Point {
    let mut point = Point {
        title,
        link_type: live.link_type(),
        frames: vec![],
        incidents: vec![],
    };
    while !live.is_stopped() {
        match live.next_frame(Duration::from_secs(1)) {
            Ok(frame) => point.frames.extend(frame),
            // It may come up again.
            Err(down @ CaptureError::Down { .. }) => point.incidents.push(down),
            Err(other) => {
                point.incidents.push(other);
                break;
            }
        }
    }
    point
}

impl Point {
    /// The echo messages it saw, in order.
    pub(crate) fn echoes(&self) -> impl Iterator<Item = Seen> {
        self.frames
            .iter()
            .filter_map(|frame| seen(self.link_type, &frame.octets))
    }
}

fn seen(link_type: LinkType, octets: &[u8]) -> Option<Seen> {
    const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
    let packet = match link_type {
        LinkType::Ethernet if octets.get(12..14)? == ETHERTYPE_IPV4 => &octets[14..],
        LinkType::RawIp => octets,
        _ => return None,
    };
    let (inner, encapsulated) = match IpipView::parse(packet) {
        Ok(both) => (both.inner, true),
        Err(_) => (Ipv4View::parse(packet, Layer::Outer).ok()?, false),
    };
    let echo = (inner.protocol() == 1).then(|| EchoView::parse(inner.payload()).ok())??;
    Some(Seen {
        kind: echo.kind(),
        identifier: echo.identifier(),
        sequence: echo.sequence(),
        encapsulated,
    })
}

/// Before anything else is made, so that a path that cannot be is told at once.
pub(crate) fn make_directory(directory: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(directory).map_err(|refused| {
        format!("cannot make directory {}: {refused}", directory.display()).into()
    })
}

/// One file per point, numbered in the order of the journey.
pub(crate) fn write_pcaps(points: &[Point], directory: &Path) -> Result<(), Box<dyn Error>> {
    for (number, point) in points.iter().enumerate() {
        let file = format!("{}-{}.pcap", number + 1, point.title.replace(' ', "-"));
        let mut writer = PcapWriter::create(directory.join(file), point.link_type)?;
        point
            .frames
            .iter()
            .try_for_each(|frame| writer.write(frame))?;
        writer.finish()?;
    }
    Ok(())
}
