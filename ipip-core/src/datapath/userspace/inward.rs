//! From the underlay to the device: packets are received in batches, judged one by one, and segments of one
//! connection joined.

use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::{Failed, Shared};
use crate::datapath::counters::Reason;
use crate::datapath::forward::{Inbound, inbound};
use crate::datapath::join::{Run, join};
use crate::datapath::segment::Pieces;
use crate::sys::raw::MAX_BATCH;
use crate::sys::tun::Note;
use crate::wire::MAX_PACKET_LEN;

/// Octets for each packet of a batch: the longest, and whole cache lines.
const SLOT: usize = MAX_PACKET_LEN + 1;

impl Shared {
    pub(super) fn carry_in(&self) -> Failed {
        // Of this the kernel gives memory only to what packets have reached, some 256 KiB for usual ones.
        let mut buffer = vec![0; MAX_BATCH * SLOT];
        let mut lens = [0; MAX_BATCH];
        self.until_woken(self.raw.as_fd(), "receive from the underlay", || {
            let slots = buffer.chunks_exact_mut(SLOT);
            let count = self.raw.receive_batch(slots, &mut lens)?;
            let slots = buffer.chunks_exact_mut(SLOT).zip(lens).take(count);
            // A longer packet would be cut, and is then refused as truncated.
            let packets = slots.filter_map(|(slot, len)| slot.get_mut(..len.min(SLOT)));
            self.deliver(packets);
            Ok(count > 0)
        })
    }

    fn deliver<'a>(&self, packets: impl Iterator<Item = &'a mut [u8]>) {
        let mtu = || self.interfaces.mtu(&self.device).ok();
        let mut accepted: Vec<Inbound<'a>> = Vec::with_capacity(MAX_BATCH);
        {
            let peers = self.peers();
            for packet in packets {
                match inbound(packet, self.local, &peers, mtu) {
                    Ok(inbound) => accepted.push(inbound),
                    Err(reason) => self.tally.dropped(reason),
                }
            }
        }
        let joins = self.joins.load(Ordering::Relaxed);
        let candidates = accepted
            .iter()
            .map(|inbound| (&*inbound.packet, joins && inbound.note == Note::Plain));
        for run in join(candidates) {
            self.deliver_run(&run, &accepted);
        }
    }

    /// Hands the packets of a run to the device, as one where it takes that.
    fn deliver_run(&self, run: &Run, accepted: &[Inbound<'_>]) {
        let packets = || run.packets.iter().filter_map(|at| accepted.get(*at));
        if let Some((header, note)) = &run.joined {
            let payloads = packets().map(|inbound| inbound.packet.get(header.len()..));
            let mut parts: Vec<&[u8]> = Vec::with_capacity(1 + run.packets.len());
            parts.push(header);
            parts.extend(payloads.flatten());
            if self.write(&parts, *note) {
                packets().for_each(|inbound| self.count(inbound));
                return;
            }
        }
        for inbound in packets() {
            if self.write(&[&*inbound.packet], inbound.note) || self.write_in_pieces(inbound) {
                self.count(inbound);
            } else {
                // The device refuses while it is down (EIO) and when its queue is full.
                self.tally.dropped(Reason::DeviceRefused);
            }
        }
    }

    /// Whether the device took it. One that refuses what is no plain packet (EINVAL) is asked no more: kernels have
    /// refused segments that others of the same number took.
    fn write(&self, parts: &[&[u8]], note: Note) -> bool {
        let is_plain = note == Note::Plain;
        if !is_plain && !self.joins.load(Ordering::Relaxed) {
            return false;
        }
        let written = self.tun.write(parts, note);
        if let Err(error) = &written
            && !is_plain
            && error.raw_os_error() == Some(libc::EINVAL)
        {
            self.joins.store(false, Ordering::Relaxed);
            log::debug!("{} takes no joined segments: {error}", self.device);
        }
        matches!(written, Ok(true))
    }

    /// Cuts a packet here that was joined elsewhere and that the device does not take as it is.
    fn write_in_pieces(&self, inbound: &Inbound<'_>) -> bool {
        let Note::Segment { size, .. } = inbound.note else {
            return false;
        };
        let pieces = NonZeroU16::new(size).map(|size| Pieces::new(inbound.packet, size));
        let Some(Ok(Some(mut pieces))) = pieces else {
            return false;
        };
        let mut buffer = vec![0; inbound.packet.len()];
        while let Some(len) = pieces.next(&mut buffer) {
            let piece = buffer.get(..len).unwrap_or_default();
            if !self.write(&[piece], Note::Plain) {
                return false;
            }
        }
        true
    }

    fn count(&self, inbound: &Inbound<'_>) {
        self.tally.received(inbound.packet.len());
        if inbound.checksum_finished {
            self.tally.checksum_finished();
        }
        if inbound.alarm.is_some() {
            self.tally.ecn_alarm();
        }
    }
}
