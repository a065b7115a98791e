//! Many requests by one socket: as few sends as its buffers allow, and the answer to each.
//!
//! The kernel carries out a datagram of requests message by message while it is sent, goes on after
//! one that fails, and answers each failure whether or not that was asked for. So only the last
//! message asks to be acknowledged, and its answer ends the datagram's. An answer bears the number of
//! its request, and the numbers of a datagram follow each other.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use netlink_packet_core::NLM_F_REQUEST;
use netlink_packet_route::RouteNetlinkMessage;

use super::course::Course;
use super::error::Fault;
use super::message::reply::Read;
use super::message::{Frame, Meaning, Request, ask_for_acknowledgement, encode};
use super::socket::RequestSocket;

/// Octets in one send; more is no faster.
const DATAGRAM_MAX: usize = 64 * 1024;

/// What the kernel charges a send beyond its octets (`netlink_sendmsg`).
const SEND_OVERHEAD: usize = 32;

/// Octets that an unread refusal is charged: 832, or more with words in it.
const REFUSAL_CHARGE: usize = 1024;

/// Octets that an unread message about a link is charged at most.
const LINK_CHARGE: usize = 8192;

/// What became of a list of requests; those not named here were carried out.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Which were refused or never sent, by their place in the list, and why.
    pub(super) failed: Vec<(usize, Fault)>,
    /// Of which the answers were lost. Each may have been carried out.
    pub(super) unknown: Vec<(usize, &'static str)>,
    /// Which were never sent, as the time was over.
    pub(super) left: Vec<usize>,
}

/// Requests that leave in one send.
#[derive(Debug, Default)]
struct Datagram {
    bytes: Vec<u8>,
    /// Each request's place in the list.
    items: Vec<usize>,
    /// The number of the first request; those of the others follow.
    first: u32,
    /// Where the last request begins.
    last: usize,
}

impl RequestSocket {
    /// Asks for every change of `requests`, in order, until the time is over; of `None` nothing is asked.
    pub(super) fn change_all(
        &mut self,
        requests: impl Iterator<Item = Option<(Request, u16)>>,
        course: &mut Course,
    ) -> Outcome {
        self.exchange(requests, REFUSAL_CHARGE, course, |_, _| {})
    }

    /// Asks questions that have one answer each, and reads the answers, in order.
    pub(super) fn ask_all<T>(
        &mut self,
        questions: impl ExactSizeIterator<Item = RouteNetlinkMessage>,
        read: impl Fn(&Frame<'_>) -> Read<T>,
    ) -> Vec<Result<T, Fault>> {
        let unanswered = || Err(Fault::Unreadable("no answer".to_owned()));
        let mut answers: Vec<_> = (0..questions.len()).map(|_| unanswered()).collect();
        let questions = questions.map(|question| Some((question.into(), 0)));
        let mut course = Course::default();
        let outcome = self.exchange(questions, LINK_CHARGE, &mut course, |item, frame| {
            if let (Some(answer), Some(found)) = (answers.get_mut(item), read(frame).transpose()) {
                *answer = found.map_err(Fault::Unreadable);
            }
        });
        let lost = |(item, reason)| (item, Fault::AnswerLost(reason));
        for (item, fault) in outcome
            .failed
            .into_iter()
            .chain(outcome.unknown.into_iter().map(lost))
        {
            if let Some(answer) = answers.get_mut(item) {
                *answer = Err(fault);
            }
        }
        answers
    }

    fn exchange(
        &mut self,
        requests: impl Iterator<Item = Option<(Request, u16)>>,
        answer_charge: usize,
        course: &mut Course,
        mut part: impl FnMut(usize, &Frame<'_>),
    ) -> Outcome {
        // What the buffers hold is never exceeded, so no answer is lost and no send is too long.
        let count_max = (self.limits.receive / answer_charge).max(1);
        let octets_max = DATAGRAM_MAX.min(self.limits.send.saturating_sub(SEND_OVERHEAD));
        let mut outcome = Outcome::default();
        let mut datagram = Datagram::default();
        for (item, request) in requests.enumerate() {
            let Some((request, flags)) = request else {
                continue;
            };
            let number = self.number(1);
            let start = datagram.bytes.len();
            encode(&mut datagram.bytes, request, flags | NLM_F_REQUEST, number);
            // The numbers begin again once in 2^32 requests.
            if start > 0 && (datagram.bytes.len() > octets_max || number < datagram.first) {
                let next = datagram.bytes.split_off(start);
                self.exchange_one(&mut datagram, &mut outcome, course, &mut part);
                datagram.bytes = next;
                datagram.push(item, number, 0);
            } else {
                datagram.push(item, number, start);
            }
            if datagram.items.len() >= count_max {
                self.exchange_one(&mut datagram, &mut outcome, course, &mut part);
            }
        }
        if !datagram.items.is_empty() {
            self.exchange_one(&mut datagram, &mut outcome, course, &mut part);
        }
        outcome
    }

    /// Sends one datagram, takes in its answers and empties it; only that if the time is over.
    fn exchange_one(
        &mut self,
        datagram: &mut Datagram,
        outcome: &mut Outcome,
        course: &mut Course,
        part: &mut impl FnMut(usize, &Frame<'_>),
    ) {
        if course.is_over() {
            outcome.left.append(&mut datagram.items);
            datagram.bytes.clear();
            return;
        }
        course.begin();
        ask_for_acknowledgement(&mut datagram.bytes, datagram.last);
        let mut refused = Vec::new();
        let ended = self.send(&datagram.bytes).map_err(Lost::Unsent);
        let ended = ended.and_then(|()| {
            self.receive_frames(|frame| Ok(datagram.take(&frame, &mut refused, part)))
                .map_err(Lost::Unanswered)
        });
        if let Err(lost) = ended {
            let known: BTreeSet<usize> = refused.iter().map(|(item, _)| *item).collect();
            let rest = datagram.items.iter().filter(|item| !known.contains(item));
            rest.for_each(|item| outcome.lose(*item, &lost));
        }
        outcome.failed.append(&mut refused);
        course.count(datagram.items.len());
        datagram.bytes.clear();
        datagram.items.clear();
    }
}

impl Datagram {
    /// Counts the request that was written at `start`.
    fn push(&mut self, item: usize, number: u32, start: usize) {
        if self.items.is_empty() {
            self.first = number;
        }
        self.last = start;
        self.items.push(item);
    }

    /// Takes in one answer; breaks at the last.
    fn take(
        &self,
        frame: &Frame<'_>,
        refused: &mut Vec<(usize, Fault)>,
        part: &mut impl FnMut(usize, &Frame<'_>),
    ) -> ControlFlow<()> {
        let place = frame.sequence.wrapping_sub(self.first);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        // Whatever bears another number is left over from a request that failed.
        let Some(item) = self.items.get(place) else {
            return ControlFlow::Continue(());
        };
        match frame.meaning() {
            Ok(Meaning::Part) => {
                part(*item, frame);
                return ControlFlow::Continue(());
            }
            Ok(Meaning::Nothing) => return ControlFlow::Continue(()),
            Ok(Meaning::Done) => {}
            Err(fault) => refused.push((*item, fault)),
        }
        if place + 1 == self.items.len() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Why a datagram's requests have no answers.
#[derive(Debug)]
enum Lost {
    /// It was never sent, so nothing was done.
    Unsent(Fault),
    Unanswered(Fault),
}

impl Outcome {
    /// Adds what became of others of the same list.
    pub(super) fn extend(&mut self, mut other: Self) {
        self.failed.append(&mut other.failed);
        self.unknown.append(&mut other.unknown);
        self.left.append(&mut other.left);
    }

    fn lose(&mut self, item: usize, lost: &Lost) {
        match lost {
            Lost::Unsent(fault) => self.failed.push((item, fault.again())),
            Lost::Unanswered(Fault::AnswerLost(reason)) => self.unknown.push((item, reason)),
            Lost::Unanswered(_) => self.unknown.push((item, "the socket failed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{link, request};
    use super::*;
    use crate::name::InterfaceName;
    use crate::sys::netns::Netns;

    /// Deletes links that nobody has: every one is refused, with privilege and without.
    fn refused(count: u32) -> impl Iterator<Item = Option<(Request, u16)>> {
        let index = |number| 0x7fff_0000 + number;
        (0..count).map(move |number| Some((request::delete_link(index(number)).into(), 0)))
    }

    fn socket() -> RequestSocket {
        RequestSocket::open(&Netns::current().unwrap()).unwrap()
    }

    #[test]
    fn each_refusal_is_told_by_its_place() {
        let mut socket = socket();
        // Across the end of the numbers, and past what is no request.
        socket.number(u32::MAX - 700);
        let outcome = socket.change_all(
            refused(3000).chain([None]).chain(refused(1)),
            &mut Course::default(),
        );
        let places: Vec<usize> = outcome.failed.iter().map(|(item, _)| *item).collect();
        assert_eq!(places, (0..3000).chain([3001]).collect::<Vec<_>>());
        assert!(outcome.unknown.is_empty());
    }

    #[test]
    fn lost_answers_leave_the_outcome_unknown_and_the_socket_sound() {
        let mut socket = socket();
        socket.hold_little();
        let outcome = socket.change_all(refused(1000), &mut Course::default());
        assert_eq!(outcome.failed.len() + outcome.unknown.len(), 1000);
        assert!(outcome.unknown.len() > 900);
        // What the kernel does not answer before everything was read.
        let lo = InterfaceName::try_new("lo").unwrap();
        let found = socket.ask(request::get_link(&lo), link::link).unwrap();
        assert_eq!((found.index, found.name), (1, Some(lo)));
    }

    #[test]
    fn what_is_not_begun_in_time_is_told_by_its_place() {
        let mut socket = socket();
        let mut course = Course::until(std::time::Instant::now());
        let outcome = socket.change_all(refused(10_000), &mut course);
        // A batch at least, so that whoever goes on comes to an end.
        let begun = outcome.failed.len();
        assert!(begun > 100 && begun < 9000, "{begun} begun");
        assert_eq!(outcome.left, (begun..10_000).collect::<Vec<_>>());
        assert!(outcome.unknown.is_empty());
    }

    #[test]
    fn questions_are_answered_in_their_order() {
        let mut socket = socket();
        let names = ["lo", "nosuch-here", "lo"].map(|name| InterfaceName::try_new(name).unwrap());
        let answers = socket.ask_all(names.iter().map(request::get_link), link::link);
        let indexes: Vec<_> = answers
            .iter()
            .map(|a| a.as_ref().map(|l| l.index).ok())
            .collect();
        assert_eq!(indexes, [Some(1), None, Some(1)]);
        assert!(answers[1].as_ref().unwrap_err().is(libc::ENODEV));
    }
}
