//! Cutting a packet into fragments before it is encapsulated, and what a fragment says of itself
//! (<https://www.rfc-editor.org/rfc/rfc791#section-3.2>).
//!
//! Fragments of the inner packet are put together by its destination; fragments of the outer packet
//! would have to be put together by the tunnel's exit
//! (<https://www.rfc-editor.org/rfc/rfc4459#section-3.1>).

use core::net::Ipv4Addr;

use super::checksum::checksum;
use super::error::{FragmentError, WireError};
use super::header::{FragmentOffset, HEADER_LEN, MAX_PACKET_LEN, MORE_FRAGMENTS};
use super::ipv4::Ipv4View;
use crate::mtu::TunnelMtu;

/// The longest header, in octets: 15 words of 4.
const MAX_HEADER_LEN: usize = 60;
/// What offsets are counted in, in octets.
const UNIT: usize = 8;

/// The longest payload that fragments can make together, in octets.
const MAX_PAYLOAD_LEN: usize = MAX_PACKET_LEN - HEADER_LEN;

/// An option of one octet: the end of the list.
const END: u8 = 0;
/// An option of one octet: nothing.
const NO_OPERATION: u8 = 1;
/// In an option's first octet: every fragment has it.
const COPIED: u8 = 0x80;

/// What the fragments of one packet share (<https://www.rfc-editor.org/rfc/rfc791#section-3.2>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    /// Where they come from.
    pub source: Ipv4Addr,
    /// Where they go.
    pub destination: Ipv4Addr,
    /// What the whole packet carries.
    pub protocol: u8,
    /// What tells one packet from the next.
    pub identification: u16,
}

/// Where a fragment's payload belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentPart {
    /// What it shares with the others.
    pub key: FragmentKey,
    /// The first octet's place in the whole payload, in octets, 0 to 65,528.
    pub offset: usize,
    /// How many octets.
    pub len: usize,
    /// Whether this is not the end.
    pub more_fragments: bool,
}

impl Ipv4View<'_> {
    /// Where this packet belongs if it is a fragment: what has to be put together with others before a
    /// tunnel's exit can look inside. `None` for a whole packet.
    ///
    /// What a fragment claims is not checked against the others, nor against the 65,535 octets of the
    /// longest packet.
    #[must_use]
    pub fn fragment(&self) -> Option<FragmentPart> {
        self.is_fragment().then(|| FragmentPart {
            key: FragmentKey {
                source: self.source(),
                destination: self.destination(),
                protocol: self.protocol(),
                identification: self.identification(),
            },
            offset: self.fragment_offset().octets().into(),
            len: self.payload().len(),
            more_fragments: self.more_fragments(),
        })
    }
}

/// The fragments of a packet, from first to last; a packet that is short enough is the only one.
///
/// The first has all options; the others have those that demand to be copied. A fragment may be cut
/// again.
///
/// ```
/// use ipip_core::mtu::TunnelMtu;
/// use ipip_core::wire::{Fragments, Ipv4Header, Ipv4View, Layer};
/// let mut packet = [0; 1500];
/// Ipv4Header::default().emit(&mut packet)?;
/// let packet = Ipv4View::parse(&packet, Layer::Inner)?;
/// let mut fragments = Fragments::new(&packet, TunnelMtu::try_new(1480).unwrap()).unwrap();
/// let mut buffer = [0; 20 + 1480]; // headroom for an encapsulator
/// let mut lens = [0; 2];
/// for (fragment, len) in fragments.zip(&mut lens) {
///     *len = fragment.emit(&mut buffer[20..])?;
/// }
/// assert_eq!(lens, [20 + 1456, 20 + 24]);
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fragments<'a> {
    /// The next one's header; its lengths, flags and checksum are still the whole packet's.
    header: Header,
    /// The header of those that follow the first.
    later: Header,
    rest: &'a [u8],
    offset: FragmentOffset,
    /// Whether the packet was itself a fragment that others follow.
    more_follow: bool,
    mtu: usize,
    done: bool,
}

/// One fragment: a header of its own in front of a part of the packet's payload.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    header: Header,
    payload: &'a [u8],
}

/// A header with options.
#[derive(Debug, Clone, Copy)]
struct Header {
    octets: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl<'a> Fragments<'a> {
    /// Cuts `packet` so that no fragment is longer than `mtu`.
    ///
    /// # Errors
    /// [`FragmentError::DontFragment`] if it is too long and has DF set: then its sender is to be told;
    /// [`FragmentError::FragmentEnd`] if it is a fragment that reaches beyond the longest packet;
    /// [`FragmentError::Options`] if its options cannot be told apart.
    pub fn new(packet: &Ipv4View<'a>, mtu: TunnelMtu) -> Result<Self, FragmentError> {
        let mtu = usize::try_from(mtu.octets()).unwrap_or(usize::MAX);
        let total_len = packet.total_len();
        let whole = packet.packet().get(..packet.header_len());
        let header = Header::new(whole.unwrap_or_default());
        let mut fragments = Self {
            header,
            later: header,
            rest: packet.payload(),
            offset: packet.fragment_offset(),
            more_follow: packet.more_fragments(),
            mtu,
            done: false,
        };
        if usize::from(total_len) <= mtu {
            return Ok(fragments);
        }
        if packet.dont_fragment() {
            return Err(FragmentError::DontFragment {
                found: total_len,
                mtu,
            });
        }
        let end = usize::from(packet.fragment_offset().octets()) + packet.payload().len();
        if end > MAX_PAYLOAD_LEN {
            return Err(FragmentError::FragmentEnd { found: end });
        }
        fragments.later = Header::later(&header, packet.options())?;
        Ok(fragments)
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        if self.done {
            return None;
        }
        let mut header = core::mem::replace(&mut self.header, self.later);
        // At least 8 octets, since no header exceeds 60 and no MTU is below 68.
        let room = self.mtu.saturating_sub(header.len);
        let (payload, rest) = if self.rest.len() <= room {
            (self.rest, &[][..])
        } else {
            self.rest.split_at_checked(room / UNIT * UNIT)?
        };
        self.done = rest.is_empty();
        self.rest = rest;
        header.finish(payload.len(), self.offset, !self.done || self.more_follow);
        // All but the last are whole units, and the end was checked to be in range.
        let units = u16::try_from(payload.len() / UNIT).unwrap_or(0);
        self.offset = FragmentOffset::of_field(self.offset.units().wrapping_add(units));
        Some(Fragment { header, payload })
    }
}

impl Fragment<'_> {
    /// Length in octets, header included; never 0.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a fragment always has its header"
    )]
    pub fn len(&self) -> usize {
        self.header.len + self.payload.len()
    }

    /// Writes the fragment to the start of `buffer`, and returns its length in octets.
    ///
    /// # Errors
    /// [`WireError::Buffer`] if `buffer` is shorter; nothing is written then.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let (found, needed) = (buffer.len(), self.len());
        let room = buffer.get_mut(..needed);
        let room = room.ok_or(WireError::Buffer { needed, found })?;
        let octets = self.header.octets().iter().chain(self.payload);
        for (to, from) in room.iter_mut().zip(octets) {
            *to = *from;
        }
        Ok(needed)
    }
}

impl Header {
    /// The first 60 octets of `octets` at most.
    fn new(octets: &[u8]) -> Self {
        let mut header = Self {
            octets: [0; MAX_HEADER_LEN],
            len: 0,
        };
        header.push(octets);
        header
    }

    /// `first` as the fragments after the first have it: with those of its `options` only that demand
    /// to be copied.
    fn later(first: &Self, options: &[u8]) -> Result<Self, FragmentError> {
        let mut header = Self::new(first.octets.get(..HEADER_LEN).unwrap_or_default());
        let mut rest = options;
        loop {
            rest = match rest {
                [] | [END, ..] => break,
                [NO_OPERATION, tail @ ..] => tail,
                [kind, len, ..] if (2..=rest.len()).contains(&usize::from(*len)) => {
                    let (option, tail) = rest.split_at(usize::from(*len));
                    if kind & COPIED != 0 {
                        header.push(option);
                    }
                    tail
                }
                _ => {
                    return Err(FragmentError::Options {
                        at: HEADER_LEN + options.len() - rest.len(),
                    });
                }
            }
        }
        // The octets after the last option are zero already, which is the end of the list.
        header.len = header.len.next_multiple_of(4);
        Ok(header)
    }

    fn push(&mut self, octets: &[u8]) {
        let room = self.octets.iter_mut().skip(self.len);
        let pairs = room.zip(octets);
        self.len += pairs.map(|(to, from)| *to = *from).count();
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    /// Writes what differs between fragments; identification, DF and the reserved flag are the packet's.
    fn finish(&mut self, payload_len: usize, offset: FragmentOffset, more_fragments: bool) {
        // Both fit: a header is at most 60 octets, and together they are no longer than the packet was.
        let words = u8::try_from(self.len / 4).unwrap_or(0);
        let total_len = u16::try_from(self.len + payload_len).unwrap_or(0);
        let more = if more_fragments { MORE_FRAGMENTS } else { 0 };
        let kept = u16::from_be_bytes([self.octets[6], self.octets[7]]);
        let kept = kept & !(MORE_FRAGMENTS | FragmentOffset::MAX);
        self.octets[0] = 0x40 | words;
        self.octets[2..4].copy_from_slice(&total_len.to_be_bytes());
        self.octets[6..8].copy_from_slice(&(kept | more | offset.units()).to_be_bytes());
        self.octets[10..12].fill(0);
        let checksum = checksum(self.octets());
        self.octets[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
