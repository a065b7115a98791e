//! One netlink socket: a request goes out, its answers come in.
//!
//! A request is carried out while it is sent, so its answer waits when the send returns; a dump is
//! written while it is read. Every answer bears the sequence number of its request; whatever bears
//! another is left over from a request that failed, and skipped.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::error::Fault;
use super::message::reply::Read;
use super::message::{Frame, Meaning, encode, frames};
use crate::sys::netlink::{set_receive_buffer, set_receive_timeout};
use crate::sys::netns::Netns;

/// Octets; the kernel fills at most 32,400 of a dump at a time, and a single answer is smaller.
const DATAGRAM_MAX: usize = 32 * 1024;

/// Octets; an unread answer is charged 832 of them, so this holds four thousand.
const RECEIVE_BUFFER: libc::c_int = 4 * 1024 * 1024;

/// An answer is there or lost long before; only a dump that waits for the kernel's lock takes time.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a dump that changed under the reader is read in all.
const DUMP_ATTEMPTS: u32 = 5;

/// A socket for requests, in the namespace where it was opened for life. The inner socket must
/// never be cloned: a clone closes the descriptor that both hold.
#[derive(Debug)]
pub(super) struct RequestSocket {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What a dump brought.
struct Dump<T> {
    values: Vec<T>,
    /// It changed while it was read: something may be missing or be there twice.
    interrupted: bool,
    /// How many messages could not be read, and what is wrong with the first.
    unreadable: usize,
    first: Option<String>,
}

impl<T> Dump<T> {
    fn new() -> Self {
        Self {
            values: vec![],
            interrupted: false,
            unreadable: 0,
            first: None,
        }
    }

    /// Takes in one message; breaks at the end.
    fn take(
        &mut self,
        flags: u16,
        meaning: Meaning,
        read: impl Fn(RouteNetlinkMessage) -> Read<T>,
    ) -> ControlFlow<()> {
        // Any message may bear the flag, the closing one included.
        self.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match meaning {
            Meaning::Part(part) => match part.and_then(read) {
                Ok(value) => self.values.extend(value),
                Err(reason) => {
                    self.unreadable += 1;
                    self.first.get_or_insert(reason);
                }
            },
            Meaning::Done => return ControlFlow::Break(()),
            Meaning::Nothing => {}
        }
        ControlFlow::Continue(())
    }
}

/// Reads again what changed meanwhile, a bounded number of times; a busy system may never hold still.
fn read_in_one_piece<T>(
    mut read: impl FnMut() -> Result<Dump<T>, Fault>,
) -> Result<Dump<T>, Fault> {
    let mut dump = read()?;
    for _ in 1..DUMP_ATTEMPTS {
        if !dump.interrupted {
            break;
        }
        dump = read()?;
    }
    Ok(dump)
}

impl RequestSocket {
    pub(super) fn open(netns: &Netns) -> Result<Self, Fault> {
        // Reading one's own namespace needs no privilege, entering any does, even one's own.
        let socket = if Netns::current().is_ok_and(|here| here.is_same(netns)) {
            Socket::new(NETLINK_ROUTE)
        } else {
            netns
                .enter(|| Socket::new(NETLINK_ROUTE))
                .map_err(Fault::Netns)?
        };
        let socket = socket
            .and_then(configure)
            .map_err(|error| Fault::Socket("open", error))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM_MAX),
        })
    }

    /// Asks for a change and waits for its acknowledgement.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Fault> {
        let sequence = self.send(message, flags | NLM_F_ACK)?;
        self.receive(sequence, |_, meaning| match meaning {
            Meaning::Done => ControlFlow::Break(()),
            Meaning::Part(_) | Meaning::Nothing => ControlFlow::Continue(()),
        })
    }

    /// Asks a question that has one answer.
    pub(super) fn ask(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<RouteNetlinkMessage, Fault> {
        let sequence = self.send(message, 0)?;
        let unanswered = || Err("an acknowledgement in place of an answer".to_owned());
        self.receive(sequence, |_, meaning| match meaning {
            Meaning::Part(part) => ControlFlow::Break(part),
            Meaning::Done => ControlFlow::Break(unanswered()),
            Meaning::Nothing => ControlFlow::Continue(()),
        })?
        .map_err(Fault::Unreadable)
    }

    /// Asks for everything of a kind, `what` by name, and keeps what `read` makes of it. A message
    /// that cannot be read is left out and reported to the log: one exotic device of somebody else
    /// must not hide all others. So is a dump that was never read in one piece.
    pub(super) fn dump<T>(
        &mut self,
        what: &str,
        message: &RouteNetlinkMessage,
        read: impl Fn(RouteNetlinkMessage) -> Read<T>,
    ) -> Result<Vec<T>, Fault> {
        let dump = read_in_one_piece(|| self.dump_once(message.clone(), &read))?;
        if dump.interrupted {
            log::warn!(
                "{what} changed during each of {DUMP_ATTEMPTS} readings, the last may be incomplete"
            );
        }
        if let Some(first) = dump.first {
            let count = dump.unreadable;
            log::warn!(
                "{count} of the kernel's messages about {what} left out as unreadable: {first}"
            );
        }
        Ok(dump.values)
    }

    fn dump_once<T>(
        &mut self,
        message: RouteNetlinkMessage,
        read: impl Fn(RouteNetlinkMessage) -> Read<T>,
    ) -> Result<Dump<T>, Fault> {
        let sequence = self.send(message, NLM_F_DUMP)?;
        let mut dump = Dump::new();
        self.receive(sequence, |frame, meaning| {
            dump.take(frame.flags, meaning, &read)
        })?;
        Ok(dump)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<u32, Fault> {
        // 0 is the number of messages that nobody asked for.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let bytes = encode(message, flags | NLM_F_REQUEST, self.sequence);
        retry(|| self.socket.send(&bytes, 0)).map_err(|error| Fault::Socket("send to", error))?;
        Ok(self.sequence)
    }

    /// Hands every answer to the request `sequence` to `each`, until that has what it wants.
    fn receive<T>(
        &mut self,
        sequence: u32,
        mut each: impl FnMut(Frame<'_>, Meaning) -> ControlFlow<T>,
    ) -> Result<T, Fault> {
        loop {
            self.receive_datagram()?;
            for frame in frames(&self.buffer) {
                let frame = frame?;
                if frame.sequence != sequence {
                    continue;
                }
                if let ControlFlow::Break(result) = each(frame, frame.meaning()?) {
                    return Ok(result);
                }
            }
        }
    }

    fn receive_datagram(&mut self) -> Result<(), Fault> {
        let len = retry(|| {
            self.buffer.clear();
            // With this flag the length is the datagram's own, even where the buffer is shorter.
            self.socket.recv(&mut self.buffer, libc::MSG_TRUNC)
        })
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ENOBUFS) => Fault::AnswerLost("receive buffer overrun"),
            Some(libc::EAGAIN) => Fault::AnswerLost("none within 10 s"),
            _ => Fault::Socket("receive from", error),
        })?;
        if len > self.buffer.len() {
            return Err(Fault::AnswerLost("longer than the buffer"));
        }
        Ok(())
    }
}

fn configure(mut socket: Socket) -> io::Result<Socket> {
    socket.bind_auto()?;
    // To the kernel, which is port 0: nobody else's messages are let in.
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    // Unknown before Linux 4.20, which then ignores the filters of dumps; readers filter too.
    let _ = socket.set_netlink_get_strict_chk(true);
    set_receive_buffer(socket.as_fd(), RECEIVE_BUFFER)?;
    set_receive_timeout(socket.as_fd(), RECEIVE_TIMEOUT)?;
    Ok(socket)
}

/// Again, as long as a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_dump_is_read_again_but_not_for_ever() {
        for (interruptions, readings, interrupted) in [(0, 1, false), (2, 3, false), (9, 5, true)] {
            let mut count = 0;
            let dump = read_in_one_piece(|| {
                count += 1;
                let mut dump = Dump::new();
                dump.interrupted = count <= interruptions;
                dump.values.push(count);
                Ok(dump)
            })
            .unwrap();
            assert_eq!((count, dump.interrupted), (readings, interrupted));
            assert_eq!(dump.values, [readings], "the last reading counts");
        }
    }

    #[test]
    fn the_last_message_may_tell_of_the_interruption() {
        let read = |_| Ok(Some(()));
        let mut dump = Dump::new();
        assert!(dump.take(0, Meaning::Nothing, read).is_continue());
        assert!(!dump.interrupted);
        assert!(dump.take(NLM_F_DUMP_INTR, Meaning::Done, read).is_break());
        assert!(dump.interrupted);
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_left_out() {
        let mut dump = Dump::new();
        for reason in ["odd", "odder"] {
            let part = Meaning::Part(Err(reason.to_owned()));
            assert!(dump.take(0, part, |_| Ok(Some(()))).is_continue());
        }
        assert_eq!((dump.values.len(), dump.unreadable), (0, 2));
        assert_eq!(dump.first.as_deref(), Some("odd"));
    }
}
