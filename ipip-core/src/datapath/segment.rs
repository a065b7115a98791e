//! TCP and UDP packets longer than a way carries, in the pieces that their sender meant: what a network card does
//! that segments (TSO, USO).

use std::num::NonZeroU16;

use crate::wire::{self, Ipv4View, Layer, WireError, protocol};

/// Where fields stand in headers, in octets (RFC 791, 3.1; RFC 9293, 3.1; RFC 768).
const TOTAL_LEN: usize = 2;
const IDENTIFICATION: usize = 4;
const HEADER_CHECKSUM: usize = 10;
const SEQUENCE: usize = 4;
const DATA_OFFSET: usize = 12;
pub(super) const FLAGS: usize = 13;
pub(super) const TCP_CHECKSUM: usize = 16;
const UDP_LEN: usize = 4;
const UDP_CHECKSUM: usize = 6;
const UDP_HEADER_LEN: usize = 8;
/// The least that a TCP header is long, in octets.
pub(super) const TCP_HEADER_LEN: usize = 20;

/// Flags of TCP that only the last piece has (the end of the stream, "push"), and only the first ("congestion
/// window reduced").
const FIN: u8 = 0x01;
pub(super) const PUSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// What is left to cut of one packet.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    view: Ipv4View<'a>,
    /// Octets of IPv4 and transport header, which every piece has.
    headers: usize,
    piece_len: u16,
    /// Octets of payload that were cut already.
    done: usize,
    /// Pieces that were.
    count: u16,
}

impl<'a> Pieces<'a> {
    /// The pieces of `packet` with `piece_len` octets of payload each, and fewer in the last; `None` for what is
    /// neither TCP nor UDP, is a fragment, or has a header cut short.
    ///
    /// # Errors
    /// Those of [`Ipv4View::parse`].
    pub(super) fn new(packet: &'a [u8], piece_len: NonZeroU16) -> Result<Option<Self>, WireError> {
        let view = Ipv4View::parse(packet, Layer::Inner)?;
        let transport = match view.protocol() {
            protocol::TCP => tcp_header_len(view.payload()),
            protocol::UDP => Some(UDP_HEADER_LEN),
            _ => None,
        };
        let fits = |len: &usize| *len <= view.payload().len() && !view.is_fragment();
        Ok(transport.filter(fits).map(|len| Self {
            headers: view.header_len() + len,
            view,
            piece_len: piece_len.get(),
            done: 0,
            count: 0,
        }))
    }

    /// Writes the next piece to the start of `buffer` and returns its length; `None` after the last, and if
    /// `buffer` is shorter.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let packet = self.view.packet();
        let from = self.headers + self.done;
        // A packet without payload is one piece.
        if from >= packet.len() && self.count > 0 {
            return None;
        }
        let end = packet.len().min(from + usize::from(self.piece_len));
        let payload = packet.get(from..end)?;
        let len = self.headers + payload.len();
        let piece = buffer.get_mut(..len)?;
        let (headers, room) = piece.split_at_mut(self.headers);
        headers.copy_from_slice(packet.get(..self.headers)?);
        room.copy_from_slice(payload);
        self.correct_header(piece)?;
        match self.view.protocol() {
            protocol::TCP => self.correct_tcp(piece, end == packet.len())?,
            _ => self.correct_udp(piece)?,
        }
        self.done += payload.len();
        self.count = self.count.wrapping_add(1);
        Some(len)
    }

    /// Length, identification and checksum of the IPv4 header. A piece's identification is as far from the
    /// first one's as the piece, as Linux does (`inet_gso_segment`).
    fn correct_header(&self, piece: &mut [u8]) -> Option<()> {
        let len = u16::try_from(piece.len()).ok()?;
        let identification = self.view.identification().wrapping_add(self.count);
        let sum = wire::update_checksum(self.view.checksum(), self.view.total_len(), len);
        let sum = wire::update_checksum(sum, self.view.identification(), identification);
        put(piece, TOTAL_LEN, len)?;
        put(piece, IDENTIFICATION, identification)?;
        put(piece, HEADER_CHECKSUM, sum)
    }

    fn correct_tcp(&self, piece: &mut [u8], is_last: bool) -> Option<()> {
        let segment = piece.get_mut(self.view.header_len()..)?;
        let sequence = sequence(segment)?.wrapping_add(u32::try_from(self.done).ok()?);
        segment
            .get_mut(SEQUENCE..SEQUENCE + 4)?
            .copy_from_slice(&sequence.to_be_bytes());
        let flags = segment.get_mut(FLAGS)?;
        if !is_last {
            *flags &= !(FIN | PUSH);
        }
        if self.count > 0 {
            *flags &= !CWR;
        }
        put(segment, TCP_CHECKSUM, 0)?;
        let checksum = !transport_sum(&self.view, segment)?;
        put(segment, TCP_CHECKSUM, checksum)
    }

    fn correct_udp(&self, piece: &mut [u8]) -> Option<()> {
        let datagram = piece.get_mut(self.view.header_len()..)?;
        put(datagram, UDP_LEN, u16::try_from(datagram.len()).ok()?)?;
        put(datagram, UDP_CHECKSUM, 0)?;
        // 0 would mean "no checksum".
        let checksum = match !transport_sum(&self.view, datagram)? {
            0 => 0xffff,
            checksum => checksum,
        };
        put(datagram, UDP_CHECKSUM, checksum)
    }
}

/// The length of the TCP header at the start of `segment`, in octets; `None` if it claims less than its fixed part.
pub(super) fn tcp_header_len(segment: &[u8]) -> Option<usize> {
    let len = usize::from(segment.get(DATA_OFFSET)? >> 4) * 4;
    (len >= TCP_HEADER_LEN).then_some(len)
}

/// The sequence number of the TCP segment.
pub(super) fn sequence(segment: &[u8]) -> Option<u32> {
    let octets = segment.get(SEQUENCE..)?.first_chunk()?;
    Some(u32::from_be_bytes(*octets))
}

/// The sum of `segment` and of the pseudo-header that `view` gives it: 0xffff if a checksum in it is right.
pub(super) fn transport_sum(view: &Ipv4View<'_>, segment: &[u8]) -> Option<u16> {
    let len = u16::try_from(segment.len()).ok()?;
    let (source, destination) = (view.source(), view.destination());
    let pseudo = wire::pseudo_header_sum(source, destination, view.protocol(), len);
    Some(wire::combine(wire::sum(segment), pseudo))
}

/// Makes `header` that of a packet of `len` octets.
pub(super) fn set_total_len(header: &mut [u8], view: &Ipv4View<'_>, len: u16) -> Option<()> {
    let sum = wire::update_checksum(view.checksum(), view.total_len(), len);
    put(header, TOTAL_LEN, len)?;
    put(header, HEADER_CHECKSUM, sum)
}

/// Writes a number at an octet.
pub(super) fn put(octets: &mut [u8], at: usize, number: u16) -> Option<()> {
    let place = octets.get_mut(at..)?.first_chunk_mut()?;
    *place = number.to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests;
