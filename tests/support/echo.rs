//! Echoes between namespaces.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::wire::{Echo, EchoKind, EchoView, Ipv4View, Layer};

/// Sends one echo request from `netns`; whether its reply came within `wait`.
pub(crate) fn echo(netns: &Netns, to: Ipv4Addr, sequence: u16, wait: Duration) -> bool {
    let request = Echo {
        kind: EchoKind::Request,
        identifier: 7,
        sequence,
    };
    let socket = netns.enter(RawSocket::icmp).unwrap().unwrap();
    let mut message = [0x2a; 64];
    request.emit(&mut message).unwrap();
    socket.send(&message, to).unwrap();
    let deadline = Instant::now() + wait;
    let mut buffer = [0; 2048];
    while Instant::now() < deadline {
        let Some(len) = socket.receive(&mut buffer).unwrap() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let packet = Ipv4View::parse(&buffer[..len], Layer::Inner).unwrap();
        let reply = EchoView::parse(packet.payload()).ok();
        let reply = reply.map(|echo| (packet.source(), echo.kind(), echo.sequence()));
        if reply == Some((to, EchoKind::Reply, sequence)) {
            return true;
        }
    }
    false
}
