//! TCP segments that follow each other, as one packet for the kernel (GRO): it then asks its routes, its filters and
//! the socket once and not for each of them.

use std::ops::Range;

use super::segment::{
    FLAGS, PUSH, TCP_CHECKSUM, put, sequence, set_total_len, tcp_header_len, transport_sum,
};
use crate::sys::tun::{MAX_PARTS, Note};
use crate::wire::{self, Ipv4View, Layer, MAX_PACKET_LEN, protocol};

/// "The acknowledgement counts" (RFC 9293, 3.1), which every segment of a running connection has; with any other
/// flag but "push" a segment stays alone.
const ACK: u8 = 0x10;

/// Some of the packets received together: one as it came, or several segments to be joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Which they are, in order.
    pub(super) packets: Vec<usize>,
    /// The header that the joined packet gets, and how the kernel takes it to pieces again.
    pub(super) joined: Option<(Vec<u8>, Note)>,
}

/// A segment that others may follow.
#[derive(Debug)]
struct Segment<'a> {
    view: Ipv4View<'a>,
    transport: &'a [u8],
    header_len: usize,
    sequence: u32,
    flags: u8,
}

/// A run and what its next segment must be.
struct Open<'a> {
    packets: Vec<usize>,
    first: Option<Segment<'a>>,
    next_sequence: u32,
    total_len: usize,
    /// The flags of all of them.
    flags: u8,
}

/// Joins what of `packets` may be joined, each the octets of one inner packet; `may_join` tells of each whether it
/// may. All others are runs of one. Packets of one connection stay in order.
///
/// Joined are segments of one connection whose headers differ in nothing but length, identification, sequence number and
/// checksum, without a gap, of equal length but for a shorter last one, DF set, and with right checksums, since the
/// kernel will make new ones.
pub(super) fn join<'a>(packets: impl Iterator<Item = (&'a [u8], bool)>) -> Vec<Run> {
    let mut runs: Vec<Open<'a>> = Vec::new();
    // How many runs stand before a packet that stays alone: nothing overtakes it.
    let mut ended = 0;
    for (number, (packet, may_join)) in packets.enumerate() {
        let segment = Segment::parse(packet).filter(|_| may_join);
        if segment.is_none() {
            ended = runs.len();
        }
        if let Some(segment) = &segment
            && let Some(run) = runs.iter_mut().skip(ended).rfind(|run| run.is_of(segment))
            && run.takes(segment)
        {
            run.push(number, segment);
        } else {
            runs.push(Open::new(number, segment));
        }
    }
    runs.into_iter().map(Open::close).collect()
}

impl<'a> Segment<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let view = Ipv4View::parse(packet, Layer::Inner).ok()?;
        if view.protocol() != protocol::TCP || view.is_fragment() || !view.options().is_empty() {
            return None;
        }
        let transport = view.payload();
        let header_len = tcp_header_len(transport).filter(|len| *len < transport.len())?;
        let flags = *transport.get(FLAGS)?;
        if !view.dont_fragment() || flags & !PUSH != ACK {
            return None;
        }
        Some(Self {
            sequence: sequence(transport)?,
            view,
            transport,
            header_len,
            flags,
        })
    }

    fn payload_len(&self) -> usize {
        self.transport.len() - self.header_len
    }

    /// What all segments of a run have in common: the two ports, and from the acknowledgement on all but flags and
    /// checksum.
    fn same(&self) -> [Option<&'a [u8]>; 4] {
        let part = |range: Range<usize>| self.transport.get(range);
        [
            part(0..4),
            part(8..FLAGS),
            part(FLAGS + 1..TCP_CHECKSUM),
            part(TCP_CHECKSUM + 2..self.header_len),
        ]
    }

    fn is_like(&self, other: &Self) -> bool {
        let of = |view: &Ipv4View<'_>| (view.tos(), view.ttl());
        of(&self.view) == of(&other.view) && self.same() == other.same()
    }

    fn has_right_checksum(&self) -> bool {
        transport_sum(&self.view, self.transport) == Some(0xffff)
    }
}

impl<'a> Open<'a> {
    fn new(number: usize, first: Option<Segment<'a>>) -> Self {
        // A run never goes on behind a wrong checksum.
        let first = first.filter(Segment::has_right_checksum);
        let mut run = Self {
            packets: vec![number],
            next_sequence: 0,
            total_len: 0,
            flags: 0,
            first: None,
        };
        if let Some(first) = first {
            run.total_len = first.view.packet().len();
            run.follow(&first);
            run.first = Some(first);
        }
        run
    }

    /// Whether `segment` is of the same connection.
    fn is_of(&self, segment: &Segment<'_>) -> bool {
        self.first.as_ref().is_some_and(|first| {
            let of = |view: &Ipv4View<'_>| (view.source(), view.destination());
            of(&first.view) == of(&segment.view)
                && first.transport.get(..4) == segment.transport.get(..4)
        })
    }

    fn takes(&self, segment: &Segment<'_>) -> bool {
        let Some(first) = &self.first else {
            return false;
        };
        let (len, longest) = (segment.payload_len(), first.payload_len());
        // A shorter one or a push ends a run: those before it are whole.
        let is_whole =
            (self.total_len - first.view.header_len() - first.header_len).is_multiple_of(longest);
        is_whole
            && self.flags & PUSH == 0
            && len <= longest
            && segment.sequence == self.next_sequence
            && self.total_len + len <= MAX_PACKET_LEN
            && self.packets.len() + 1 < MAX_PARTS
            && first.is_like(segment)
            && segment.has_right_checksum()
    }

    fn push(&mut self, number: usize, segment: &Segment<'_>) {
        self.packets.push(number);
        self.total_len += segment.payload_len();
        self.follow(segment);
    }

    fn follow(&mut self, segment: &Segment<'_>) {
        let len = u32::try_from(segment.payload_len()).unwrap_or(0);
        self.next_sequence = segment.sequence.wrapping_add(len);
        self.flags |= segment.flags;
    }

    fn close(self) -> Run {
        let several = self.packets.len() > 1;
        let first = self.first.filter(|_| several);
        let joined = first.and_then(|first| header(&first, self.total_len, self.flags));
        Run {
            packets: self.packets,
            joined,
        }
    }
}

/// The headers of segments joined to a packet of `total_len` octets, the first of them `first`.
fn header(first: &Segment<'_>, total_len: usize, flags: u8) -> Option<(Vec<u8>, Note)> {
    let (view, tcp_at) = (&first.view, first.view.header_len());
    let payload_at = tcp_at + first.header_len;
    let mut header = view.packet().get(..payload_at)?.to_vec();
    set_total_len(&mut header, view, u16::try_from(total_len).ok()?)?;
    let tcp = header.get_mut(tcp_at..)?;
    *tcp.get_mut(FLAGS)? = flags;
    let len = u16::try_from(total_len - tcp_at).ok()?;
    let (source, destination) = (view.source(), view.destination());
    let pseudo = wire::pseudo_header_sum(source, destination, protocol::TCP, len);
    put(tcp, TCP_CHECKSUM, pseudo)?;
    let note = Note::Segment {
        size: u16::try_from(first.payload_len()).ok()?,
        tcp_at: u16::try_from(tcp_at).ok()?,
        payload_at: u16::try_from(payload_at).ok()?,
    };
    Some((header, note))
}

#[cfg(test)]
mod tests;
