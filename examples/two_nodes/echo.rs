//! ICMP echoes from pod to pod, our own packets.

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipip_core::sys::raw::RawSocket;
use ipip_core::sys::wake::{Ended, Wake};
use ipip_core::wire::{Echo, EchoKind, EchoView, Ipv4View, Layer};

use crate::options::Options;
use crate::stage::{Pair, Stage};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// 56 octets of data, as `ping` sends: 64 with the ICMP header, 84 with the inner IPv4 header.
const DATA: &[u8; 56] = b"two nodes, a pod on each, and an echo between them. 0123";

/// What came of the echoes.
pub(crate) struct Outcome {
    /// Every request sent, by identifier and sequence number.
    pub(crate) sent: Vec<(u16, u16)>,
    /// How many were answered with the same data by the right pod.
    pub(crate) answered: usize,
}

/// Sends `--count` echoes from each pod of the first node to its partner on the second.
pub(crate) fn play(
    stage: &Stage,
    options: &Options,
    interrupted: &AtomicBool,
) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome {
        sent: vec![],
        answered: 0,
    };
    let open =
        |pair: &Pair| Ok::<_, Box<dyn Error>>(pair.netns_of_sender().enter(RawSocket::icmp)??);
    let sockets = stage
        .pairs
        .iter()
        .map(open)
        .collect::<Result<Vec<_>, _>>()?;
    for sequence in 1..=options.count {
        for (pair, socket) in stage.pairs.iter().zip(&sockets) {
            let echo = Echo {
                kind: EchoKind::Request,
                identifier: pair.identifier,
                sequence,
            };
            if interrupted.load(Ordering::Relaxed) {
                return Err("interrupted".into());
            }
            outcome.answered += usize::from(exchange(pair, socket, echo, interrupted)?);
            outcome.sent.push((echo.identifier, sequence));
        }
        if sequence < options.count {
            pause(options.interval, interrupted);
        }
    }
    Ok(outcome)
}

/// Sleeps, in steps short enough for a person who pressed Ctrl-C.
fn pause(interval: Duration, interrupted: &AtomicBool) {
    let end = Instant::now() + interval;
    while !interrupted.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

fn exchange(
    pair: &Pair,
    socket: &RawSocket,
    echo: Echo,
    interrupted: &AtomicBool,
) -> Result<bool, Box<dyn Error>> {
    let mut message = [[0; 8].as_slice(), DATA].concat();
    echo.emit(&mut message)?;
    match socket.send(&message, pair.to) {
        Ok(_) => {}
        Err(refused) => {
            eprintln!(
                "two_nodes: echo {} to {}: {refused}",
                echo.sequence, pair.to
            );
            return Ok(false);
        }
    }
    let wanted = Echo {
        kind: EchoKind::Reply,
        ..echo
    };
    let (never, deadline) = (Wake::new()?, Instant::now() + PATIENCE);
    let mut buffer = [0; 2048];
    while Instant::now() < deadline && !interrupted.load(Ordering::Relaxed) {
        if never.wait(socket.as_fd(), Duration::from_millis(100))? != Ended::Readable {
            continue;
        }
        let Some(len) = socket.receive(&mut buffer)? else {
            continue;
        };
        if is_reply(&buffer[..len.min(buffer.len())], pair, wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_reply(packet: &[u8], pair: &Pair, wanted: Echo) -> bool {
    let Ok(ip) = Ipv4View::parse(packet, Layer::Inner) else {
        return false;
    };
    let Ok(echo) = EchoView::parse(ip.payload()) else {
        return false;
    };
    (ip.source(), ip.destination()) == (pair.to, pair.from)
        && echo.header() == wanted
        && echo.data() == DATA
}
