//! From the device to the underlay: packets are read, cut where the kernel left that to us, and sent in batches.

use std::num::NonZeroU16;
use std::ops::Range;
use std::os::fd::AsFd;

use super::{Failed, Shared};
use crate::addr::NodeAddr;
use crate::datapath::counters::Reason;
use crate::datapath::forward::outbound;
use crate::datapath::segment::Pieces;
use crate::sys::raw::MAX_BATCH;
use crate::sys::tun::NOTE_LEN;
use crate::wire::{self, HEADER_LEN, MAX_PACKET_LEN};

/// Octets of a batch: one packet of the longest kind, cut, beside another.
const BATCH_OCTETS: usize = 3 * MAX_PACKET_LEN;

/// Packets with their outer headers, until they are sent together.
struct Batch {
    octets: Vec<u8>,
    used: usize,
    packets: Vec<(Range<usize>, NodeAddr)>,
}

impl Batch {
    fn new() -> Self {
        Self {
            octets: vec![0; BATCH_OCTETS],
            used: 0,
            packets: Vec::with_capacity(MAX_BATCH),
        }
    }

    /// Whether one more packet of `len` octets has no room.
    fn is_full(&self, len: usize) -> bool {
        self.packets.len() >= MAX_BATCH || self.octets.len() - self.used < HEADER_LEN + len
    }

    /// Where the next packet goes, behind room for its outer header.
    fn room(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.used..).unwrap_or_default()
    }

    /// Keeps the packet of `len` octets, the outer header among them, that stands in [`Batch::room`].
    fn keep(&mut self, len: usize, node: NodeAddr) {
        self.packets.push((self.used..self.used + len, node));
        self.used += len;
    }

    fn packet(&self, number: usize) -> Option<(&[u8], NodeAddr)> {
        let (range, node) = self.packets.get(number)?;
        Some((self.octets.get(range.clone())?, *node))
    }

    fn clear(&mut self) {
        self.used = 0;
        self.packets.clear();
    }
}

impl Shared {
    pub(super) fn carry_out(&self) -> Failed {
        const ACTION: &str = "read from the TUN device";
        let mut buffer = vec![0; NOTE_LEN + MAX_PACKET_LEN];
        let mut batch = Batch::new();
        self.until_woken(self.tun.as_fd(), ACTION, || {
            let Some(read) = self.tun.read(&mut buffer)? else {
                self.flush(&mut batch);
                return Ok(false);
            };
            let packet = buffer.get_mut(NOTE_LEN..NOTE_LEN + read.len);
            let packet = packet.unwrap_or_default();
            let taken = match read.piece_len {
                Some(piece_len) => self.cut(packet, piece_len, &mut batch),
                None => {
                    if read.checksum_pending {
                        // What cannot be read is refused below.
                        let _ = wire::finish_partial_checksum(packet);
                    }
                    self.add(packet, &mut batch)
                }
            };
            if let Err(reason) = taken {
                self.tally.dropped(reason);
            }
            Ok(true)
        })
    }

    /// Puts a packet into the batch.
    fn add(&self, packet: &[u8], batch: &mut Batch) -> Result<(), Reason> {
        if batch.is_full(packet.len()) {
            self.flush(batch);
        }
        let room = batch.room().get_mut(..HEADER_LEN + packet.len());
        let room = room.ok_or(Reason::TooLong)?;
        room.get_mut(HEADER_LEN..)
            .unwrap_or_default()
            .copy_from_slice(packet);
        let outbound = outbound(room, self.local, &self.peers())?;
        let (len, node) = (outbound.packet.len(), outbound.node);
        self.tell_what_is_owed(outbound.packet, node)?;
        batch.keep(len, node);
        Ok(())
    }

    /// Puts the pieces of a packet into the batch.
    fn cut(&self, packet: &[u8], piece_len: NonZeroU16, batch: &mut Batch) -> Result<(), Reason> {
        // No header is longer than 60 octets.
        let longest = usize::from(piece_len.get()) + 120;
        let pieces = Pieces::new(packet, piece_len).map_err(|_| Reason::Unsendable)?;
        let mut pieces = pieces.ok_or(Reason::Unsendable)?;
        let peers = self.peers();
        loop {
            if batch.is_full(longest) {
                self.flush(batch);
            }
            let room = batch.room();
            let Some(len) = pieces.next(room.get_mut(HEADER_LEN..).unwrap_or_default()) else {
                return Ok(());
            };
            let room = room.get_mut(..HEADER_LEN + len).unwrap_or_default();
            let outbound = outbound(room, self.local, &peers)?;
            let (len, node) = (outbound.packet.len(), outbound.node);
            self.tell_what_is_owed(outbound.packet, node)?;
            batch.keep(len, node);
        }
    }

    /// Whether `packet` is to be carried to `node`; if not, its sender has been told why.
    fn tell_what_is_owed(&self, packet: &[u8], node: NodeAddr) -> Result<(), Reason> {
        let inner = packet.get(HEADER_LEN..).unwrap_or_default();
        let Some(error) = self.owed.take(node, inner) else {
            return Ok(());
        };
        self.tell_sender(inner, error);
        Err(Reason::SendFailed)
    }

    /// Sends what is in the batch.
    fn flush(&self, batch: &mut Batch) {
        let mut next = 0;
        while let Some(first) = batch.packet(next) {
            let rest = (next..).map_while(|number| batch.packet(number));
            let sent = self
                .raw
                .send_batch(rest.map(|(octets, node)| (octets, node.0)));
            let count = match sent {
                Ok(count) if count > 0 => count,
                refused => {
                    self.refused(first, refused.err());
                    next += 1;
                    continue;
                }
            };
            for (range, _) in batch.packets.iter().skip(next).take(count) {
                self.tally.sent(range.len() - HEADER_LEN);
            }
            next += count;
        }
        batch.clear();
    }

    /// What becomes of a packet that the kernel does not take.
    fn refused(&self, (packet, node): (&[u8], NodeAddr), error: Option<std::io::Error>) {
        let inner = packet.get(HEADER_LEN..).unwrap_or_default();
        let is_too_long = error.is_some_and(|error| error.raw_os_error() == Some(libc::EMSGSIZE));
        let sent = if is_too_long {
            self.send_in_pieces(inner, node)
        } else {
            Err(Reason::SendFailed)
        };
        match sent {
            Ok(()) => self.tally.sent(inner.len()),
            Err(reason) => self.tally.dropped(reason),
        }
    }
}
