//! ICMP errors: [`IcmpErrorView`] reads, [`IcmpError`] is what one says and writes it
//! (<https://www.rfc-editor.org/rfc/rfc792>).

use core::net::Ipv4Addr;

use byteorder::{BigEndian, ByteOrder};

use super::checksum::{checksum, combine, sum};
use super::error::{Layer, WireError};
use super::header::{DONT_FRAGMENT, FragmentOffset, HEADER_LEN, Ipv4Header, protocol};
use super::tos::Dscp;
use crate::addr::is_host;

/// Length of an ICMP error before what it quotes, in octets.
pub const ICMP_ERROR_HEADER_LEN: usize = 8;

/// The longest ICMP error that is written, in octets, its IPv4 header included: as much as possible of
/// the original within 576 (<https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.3>).
pub const MAX_ICMP_ERROR_LEN: usize = 576;

/// What an ICMP error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// Type 3, destination unreachable, but for code 4.
    Unreachable {
        /// 0 network, 1 host, 2 protocol, 3 port, 5 source route failed, and those of RFC 1812 5.2.7.1.
        code: u8,
    },
    /// Type 3 code 4: the packet is too long for the next hop and has DF set.
    FragmentationNeeded {
        /// The next hop's MTU in octets; 0 from a router older than RFC 1191, which does not say.
        mtu: u16,
    },
    /// Type 4, which nobody should send any more (RFC 6633).
    SourceQuench,
    /// Type 5: a better way.
    Redirect {
        /// 0 network, 1 host, 2 and 3 the same for one type of service.
        code: u8,
        /// The better next hop.
        gateway: Ipv4Addr,
    },
    /// Type 11.
    TimeExceeded {
        /// 0 in transit, 1 while fragments were waited for.
        code: u8,
    },
    /// Type 12.
    ParameterProblem {
        /// 0 a wrong field, 1 an option is missing, 2 a wrong length.
        code: u8,
        /// Which octet of the packet is wrong, with code 0.
        pointer: u8,
    },
}

impl IcmpError {
    /// The network cannot be reached.
    pub const NET_UNREACHABLE: Self = Self::Unreachable { code: 0 };
    /// The host cannot be reached.
    pub const HOST_UNREACHABLE: Self = Self::Unreachable { code: 1 };

    /// Type, code and the four octets after the checksum.
    fn parts(self) -> (u8, u8, [u8; 4]) {
        match self {
            Self::Unreachable { code } => (3, code, [0; 4]),
            Self::FragmentationNeeded { mtu } => {
                let [high, low] = mtu.to_be_bytes();
                (3, 4, [0, 0, high, low])
            }
            Self::SourceQuench => (4, 0, [0; 4]),
            Self::Redirect { code, gateway } => (5, code, gateway.octets()),
            Self::TimeExceeded { code } => (11, code, [0; 4]),
            Self::ParameterProblem { code, pointer } => (12, code, [pointer, 0, 0, 0]),
        }
    }

    /// Writes an IPv4 packet with this error to the start of `buffer`: from `source` to the sender of
    /// `original`, of which it quotes as much as [`MAX_ICMP_ERROR_LEN`] allows. Returns its length in
    /// octets, 56 to 576; so long a buffer is always long enough. What follows in `buffer` is left alone.
    ///
    /// `original` may be cut short, but not within its header; its other checks are left out, because
    /// the packet was good when it was sent. DSCP is 48, internetwork control
    /// (<https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.5>). Ask [`Quoted::may_be_answered`] first,
    /// and send at a limited rate.
    ///
    /// # Errors
    /// Those of [`Quoted::parse`] for `original`; [`WireError::Buffer`]. Nothing is written then.
    ///
    /// ```
    /// use ipip_core::wire::{IcmpError, Ipv4Header, IcmpErrorView, MAX_ICMP_ERROR_LEN};
    /// let mut original = [0; 1500];
    /// Ipv4Header::default().emit(&mut original)?;
    /// let mut buffer = [0; MAX_ICMP_ERROR_LEN];
    /// let error = IcmpError::FragmentationNeeded { mtu: 1480 };
    /// let len = error.emit([10, 244, 79, 1].into(), &original, &mut buffer)?;
    /// let view = IcmpErrorView::parse(&buffer[20..len])?;
    /// assert_eq!((view.error(), view.quoted()), (error, &original[..548]));
    /// # Ok::<(), ipip_core::wire::WireError>(())
    /// ```
    pub fn emit(
        &self,
        source: Ipv4Addr,
        original: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, WireError> {
        let to = Quoted::parse(original, Layer::Inner)?;
        let most = MAX_ICMP_ERROR_LEN - HEADER_LEN - ICMP_ERROR_HEADER_LEN;
        let quoted_len = original.len().min(most).min(to.total_len.into());
        let quoted = original.get(..quoted_len).unwrap_or_default();
        let (icmp_type, code, rest) = self.parts();
        let [a, b, c, d] = rest;
        let mut header = [icmp_type, code, 0, 0, a, b, c, d];
        let checksum = !combine(sum(&header), sum(quoted));
        BigEndian::write_u16(&mut header[2..4], checksum);
        let outside = Ipv4Header {
            dscp: Dscp::of_tos(0xc0),
            protocol: protocol::ICMP,
            source,
            destination: to.source,
            ..Ipv4Header::default()
        };
        let outside = outside.to_octets(header.len() + quoted.len())?;
        let needed = outside.len() + header.len() + quoted.len();
        let found = buffer.len();
        let room = buffer.get_mut(..needed);
        let room = room.ok_or(WireError::Buffer { needed, found })?;
        let octets = outside.iter().chain(&header).chain(quoted);
        for (to, from) in room.iter_mut().zip(octets) {
            *to = *from;
        }
        Ok(needed)
    }
}

/// A checked ICMP error, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpErrorView<'a> {
    error: IcmpError,
    quoted: &'a [u8],
}

impl<'a> IcmpErrorView<'a> {
    /// Checks `message`, the whole payload of an IPv4 packet that is no fragment.
    ///
    /// What it quotes is not checked here, see [`Quoted::parse`].
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::IcmpNotError`] or [`WireError::Checksum`], looked for in
    /// this order.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let Some((header, rest)) = message.split_first_chunk::<ICMP_ERROR_HEADER_LEN>() else {
            return Err(WireError::Truncated {
                layer: Layer::Icmp,
                needed: ICMP_ERROR_HEADER_LEN,
                found: message.len(),
            });
        };
        let [icmp_type, code, _, _, a, words, c, d] = *header;
        let error = match (icmp_type, code) {
            (3, 4) => IcmpError::FragmentationNeeded {
                mtu: u16::from_be_bytes([c, d]),
            },
            (3, code) => IcmpError::Unreachable { code },
            (4, _) => IcmpError::SourceQuench,
            (5, code) => IcmpError::Redirect {
                code,
                gateway: [a, words, c, d].into(),
            },
            (11, code) => IcmpError::TimeExceeded { code },
            (12, code) => IcmpError::ParameterProblem { code, pointer: a },
            (found, _) => return Err(WireError::IcmpNotError { found }),
        };
        if sum(message) != 0xffff {
            let mut blank = *header;
            blank[2..4].fill(0);
            return Err(WireError::Checksum {
                layer: Layer::Icmp,
                found: BigEndian::read_u16(&header[2..4]),
                computed: !combine(!checksum(&blank), sum(rest)),
            });
        }
        // An extended message says how many words of the original it quotes, at least 128 octets,
        // before its extensions begin: https://www.rfc-editor.org/rfc/rfc4884#section-4
        let quoted_len = usize::from(words) * 4;
        let extended = matches!(icmp_type, 3 | 11 | 12) && quoted_len >= 128;
        let quoted = match rest.get(..quoted_len) {
            Some(quoted) if extended => quoted,
            _ => rest,
        };
        Ok(Self { error, quoted })
    }

    /// What it says.
    #[must_use]
    pub fn error(&self) -> IcmpError {
        self.error
    }

    /// The beginning of the packet that it is about, see [`Quoted::parse`].
    #[must_use]
    pub fn quoted(&self) -> &'a [u8] {
        self.quoted
    }
}

/// The header of a packet of which only the beginning may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quoted<'a> {
    /// Where the packet came from.
    pub source: Ipv4Addr,
    /// Where it was to go.
    pub destination: Ipv4Addr,
    /// What it carried.
    pub protocol: u8,
    /// Whether DF was set.
    pub dont_fragment: bool,
    /// Where it belongs if it was a fragment; 0 otherwise.
    pub fragment_offset: FragmentOffset,
    /// Its length in octets, header included, as its header states it.
    pub total_len: u16,
    /// Length of its header in octets, 20 to 60.
    pub header_len: u8,
    /// What is there of its payload.
    pub payload: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// Reads the header at the start of `octets`. Total length and checksum are not compared with
    /// anything: the packet is cut short, and routers change headers before they quote them.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if the header is not all there, [`WireError::Version`],
    /// [`WireError::HeaderLen`].
    pub fn parse(octets: &'a [u8], layer: Layer) -> Result<Self, WireError> {
        let truncated = |needed| WireError::Truncated {
            layer,
            needed,
            found: octets.len(),
        };
        let fixed: &[u8; HEADER_LEN] = octets.first_chunk().ok_or(truncated(HEADER_LEN))?;
        let (found, words) = (fixed[0] >> 4, fixed[0] & 0x0f);
        if found != 4 {
            return Err(WireError::Version { layer, found });
        }
        if words < 5 {
            return Err(WireError::HeaderLen { layer, words });
        }
        let header_len = words * 4;
        let payload = octets.get(header_len.into()..);
        let fragment = BigEndian::read_u16(&fixed[6..8]);
        Ok(Self {
            source: Ipv4Addr::from_bits(BigEndian::read_u32(&fixed[12..16])),
            destination: Ipv4Addr::from_bits(BigEndian::read_u32(&fixed[16..20])),
            protocol: fixed[9],
            dont_fragment: fragment & DONT_FRAGMENT != 0,
            fragment_offset: FragmentOffset::of_field(fragment),
            total_len: BigEndian::read_u16(&fixed[2..4]),
            header_len,
            payload: payload.ok_or(truncated(header_len.into()))?,
        })
    }

    /// Whether an ICMP error about this packet may be sent to its source: not about ICMP errors (nor
    /// about ICMP whose type is not there to be seen), not about fragments but the first, not to
    /// addresses that no single host has, and not about what was sent to many
    /// (<https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.7>).
    #[must_use]
    pub fn may_be_answered(&self) -> bool {
        let to_many = self.destination.is_multicast() || self.destination.is_broadcast();
        let about_icmp = self.protocol == protocol::ICMP
            // Queries and their answers: echo, router discovery, timestamp.
            && !matches!(self.payload.first(), Some(0 | 8 | 9 | 10 | 13 | 14));
        self.fragment_offset.units() == 0 && !about_icmp && is_host(self.source) && !to_many
    }
}

#[cfg(test)]
mod tests;
