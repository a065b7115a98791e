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
use super::message::{Frame, Meaning, Request, encode, frames};
use crate::sys::netlink::{Buffers, buffers, set_receive_buffer, set_receive_timeout};
use crate::sys::netns::Netns;

/// Octets; the kernel fills at most 32,400 of a dump at a time, and a single answer is smaller.
pub(super) const DATAGRAM_MAX: usize = 32 * 1024;

/// Octets; an unread answer is charged 832 of them, so this holds more than four thousand.
const RECEIVE_BUFFER: libc::c_int = 4 * 1024 * 1024;

/// An answer is there or lost long before; only a dump that waits for the kernel's lock takes time.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The reason of a [`Fault::AnswerLost`] where there was nothing to receive in time.
pub(super) const NONE: &str = "none within 10 s";

/// How often a dump that changed under the reader is read in all.
const DUMP_ATTEMPTS: u32 = 5;

/// A socket for requests, in the namespace where it was opened for life. The inner socket must
/// never be cloned: a clone closes the descriptor that both hold.
#[derive(Debug)]
pub(super) struct RequestSocket {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    pub(super) limits: Buffers,
}

/// What a dump brought.
#[derive(Debug)]
pub(super) struct Dump<T> {
    pub(super) values: Vec<T>,
    /// It changed while it was read: something may be missing or be there twice.
    pub(super) interrupted: bool,
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
        read: impl FnOnce() -> Read<T>,
    ) -> ControlFlow<()> {
        // Any message may bear the flag, the closing one included.
        self.interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match meaning {
            Meaning::Part => match read() {
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
        Self::new(open(netns)?)
    }

    /// One in each of `all`, none of which is the calling thread's own.
    pub(super) fn open_each(all: &[&Netns]) -> Vec<Result<Self, Fault>> {
        let opened = Netns::enter_each(all, || Socket::new(NETLINK_ROUTE));
        let opened = opened.into_iter().map(|entered| {
            let socket = entered.map_err(Fault::Netns)?;
            Self::new(socket.map_err(|error| Fault::Socket("open", error))?)
        });
        opened.collect()
    }

    fn new(socket: Socket) -> Result<Self, Fault> {
        let configured = configure(socket, RECEIVE_BUFFER).and_then(|socket| {
            let limits = buffers(socket.as_fd())?;
            Ok((socket, limits))
        });
        let (socket, limits) = configured.map_err(|error| Fault::Socket("open", error))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM_MAX),
            limits,
        })
    }

    /// Asks for a change and waits for its acknowledgement.
    pub(super) fn change(&mut self, message: impl Into<Request>, flags: u16) -> Result<(), Fault> {
        let sequence = self.request(message, flags | NLM_F_ACK)?;
        self.receive(sequence, |_, meaning| match meaning {
            Meaning::Done => ControlFlow::Break(()),
            Meaning::Part | Meaning::Nothing => ControlFlow::Continue(()),
        })
    }

    /// Asks a question that has one answer, and reads it.
    pub(super) fn ask<T>(
        &mut self,
        message: RouteNetlinkMessage,
        read: impl Fn(&Frame<'_>) -> Read<T>,
    ) -> Result<T, Fault> {
        let sequence = self.request(message, 0)?;
        let other = || Err("another message in place of an answer".to_owned());
        self.receive(sequence, |frame, meaning| match meaning {
            Meaning::Part => {
                ControlFlow::Break(read(&frame).and_then(|v| v.map_or_else(other, Ok)))
            }
            Meaning::Done => ControlFlow::Break(other()),
            Meaning::Nothing => ControlFlow::Continue(()),
        })?
        .map_err(Fault::Unreadable)
    }

    /// Asks for everything of a kind, `what` by name, and keeps what `read` makes of it. A message
    /// that cannot be read is left out and reported to the log: one exotic device of somebody else
    /// must not hide all others.
    pub(super) fn dump<T>(
        &mut self,
        what: &str,
        message: impl Into<Request>,
        read: impl Fn(&Frame<'_>) -> Read<T>,
    ) -> Result<Dump<T>, Fault> {
        let message = message.into();
        let dump = read_in_one_piece(|| self.dump_once(message.clone(), &read))?;
        if dump.interrupted {
            log::warn!(
                "{what} changed during each of {DUMP_ATTEMPTS} readings, the last may be incomplete"
            );
        }
        if let Some(first) = &dump.first {
            let count = dump.unreadable;
            log::warn!(
                "{count} of the kernel's messages about {what} left out as unreadable: {first}"
            );
        }
        Ok(dump)
    }

    fn dump_once<T>(
        &mut self,
        message: Request,
        read: impl Fn(&Frame<'_>) -> Read<T>,
    ) -> Result<Dump<T>, Fault> {
        let sequence = self.request(message, NLM_F_DUMP)?;
        let mut dump = Dump::new();
        self.receive(sequence, |frame, meaning| {
            dump.take(frame.flags, meaning, || read(&frame))
        })?;
        Ok(dump)
    }

    /// The first of `count` numbers in a row that no request had lately. 0 is the number of messages
    /// that nobody asked for.
    pub(super) fn number(&mut self, count: u32) -> u32 {
        let last = self.sequence.checked_add(count);
        self.sequence = last.unwrap_or(count);
        self.sequence - count + 1
    }

    fn request(&mut self, message: impl Into<Request>, flags: u16) -> Result<u32, Fault> {
        let sequence = self.number(1);
        let mut bytes = Vec::new();
        encode(&mut bytes, message.into(), flags | NLM_F_REQUEST, sequence);
        self.send(&bytes)?;
        Ok(sequence)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let sent = retry(|| self.socket.send(bytes, 0));
        sent.map(drop)
            .map_err(|error| Fault::Socket("send to", error))
    }

    /// Hands every answer to the request `sequence` to `each`, until that has what it wants.
    fn receive<T>(
        &mut self,
        sequence: u32,
        mut each: impl FnMut(Frame<'_>, Meaning) -> ControlFlow<T>,
    ) -> Result<T, Fault> {
        self.receive_frames(|frame| {
            if frame.sequence != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            let meaning = frame.meaning()?;
            Ok(each(frame, meaning))
        })
    }

    /// Hands every message that comes to `each`, until that has what it wants.
    pub(super) fn receive_frames<T>(
        &mut self,
        mut each: impl FnMut(Frame<'_>) -> Result<ControlFlow<T>, Fault>,
    ) -> Result<T, Fault> {
        loop {
            if let Err(fault) = receive_datagram(&self.socket, &mut self.buffer, 0) {
                self.drain();
                return Err(fault);
            }
            for frame in frames(&self.buffer) {
                if let ControlFlow::Break(result) = each(frame?)? {
                    return Ok(result);
                }
            }
        }
    }

    /// Makes the buffer as small as the kernel allows, behind the back of whoever counts on its size.
    #[cfg(test)]
    pub(super) fn hold_little(&self) {
        set_receive_buffer(self.socket.as_fd(), 1).unwrap();
    }

    /// Takes in what is left over. After an overrun the kernel answers nothing more until everything
    /// was read (`NETLINK_S_CONGESTED`).
    fn drain(&mut self) {
        while receive_datagram(&self.socket, &mut self.buffer, libc::MSG_DONTWAIT).is_ok() {}
    }
}

/// Opens a socket in the namespace, which it keeps for life.
pub(super) fn open(netns: &Netns) -> Result<Socket, Fault> {
    // Reading one's own namespace needs no privilege, entering any does, even one's own.
    let socket = if Netns::current().is_ok_and(|here| here.is_same(netns)) {
        Socket::new(NETLINK_ROUTE)
    } else {
        netns
            .enter(|| Socket::new(NETLINK_ROUTE))
            .map_err(Fault::Netns)?
    };
    socket.map_err(|error| Fault::Socket("open", error))
}

/// Receives one datagram into `buffer`, whose capacity is the most that it may be long.
pub(super) fn receive_datagram(
    socket: &Socket,
    buffer: &mut Vec<u8>,
    flags: libc::c_int,
) -> Result<(), Fault> {
    let len = retry(|| {
        buffer.clear();
        // With this flag the length is the datagram's own, even where the buffer is shorter.
        socket.recv(buffer, libc::MSG_TRUNC | flags)
    })
    .map_err(|error| match error.raw_os_error() {
        Some(libc::ENOBUFS) => Fault::AnswerLost("receive buffer overrun"),
        Some(libc::EAGAIN) => Fault::AnswerLost(NONE),
        _ => Fault::Socket("receive from", error),
    })?;
    if len > buffer.len() {
        return Err(Fault::AnswerLost("longer than the buffer"));
    }
    Ok(())
}

pub(super) fn configure(mut socket: Socket, buffer: libc::c_int) -> io::Result<Socket> {
    socket.bind_auto()?;
    // To the kernel, which is port 0: nobody else's messages are let in.
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    // Unknown before Linux 4.20, which then ignores the filters of dumps; readers filter too.
    let _ = socket.set_netlink_get_strict_chk(true);
    set_receive_buffer(socket.as_fd(), buffer)?;
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
        let read = || Ok(Some(()));
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
            let read = || Read::<()>::Err(reason.to_owned());
            assert!(dump.take(0, Meaning::Part, read).is_continue());
        }
        assert_eq!((dump.values.len(), dump.unreadable), (0, 2));
        assert_eq!(dump.first.as_deref(), Some("odd"));
    }
}
