//! What is above IP: ICMP, UDP and TCP.

use std::fmt;

use super::link::split;
use super::{Fault, Malformed};

/// An ICMP message (RFC 792), or one of ICMPv6 (RFC 4443), whose types have other meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp<'a> {
    /// The type: 8 echo request, 0 echo reply, 3 unreachable, 11 time exceeded, …
    pub kind: u8,
    /// The code, whose meaning depends on the type.
    pub code: u8,
    /// The checksum as found.
    pub checksum: u16,
    /// Octets 4 to 7, whose meaning depends on the type: identifier and sequence number of an echo.
    pub rest: [u8; 4],
    /// What follows: an echo's data, or the packet that an error is about.
    pub data: &'a [u8],
    /// The whole message, which the checksum covers, as far as captured.
    pub message: &'a [u8],
    /// Octets of the message in the packet, captured or not.
    pub message_len: usize,
    /// Whether it is one of ICMPv6.
    pub is_v6: bool,
}

impl<'a> Icmp<'a> {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;

    /// Packet too big, of ICMPv6.
    pub const V6_TOO_BIG: u8 = 2;
    /// Echo request, of ICMPv6.
    pub const V6_ECHO_REQUEST: u8 = 128;
    /// Echo reply, of ICMPv6.
    pub const V6_ECHO_REPLY: u8 = 129;

    /// `missing` octets of the packet were not captured.
    pub(super) fn read(message: &'a [u8], missing: usize) -> Result<Self, Malformed> {
        let (&[kind, code, c0, c1, r0, r1, r2, r3], data) = split::<8>(message, "ICMP")?;
        Ok(Self {
            kind,
            code,
            checksum: u16::from_be_bytes([c0, c1]),
            rest: [r0, r1, r2, r3],
            data,
            message,
            message_len: message.len() + missing,
            is_v6: false,
        })
    }

    /// The identifier of an echo.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        let [high, low, _, _] = self.rest;
        u16::from_be_bytes([high, low])
    }

    /// The sequence number of an echo.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.second_half()
    }

    /// The next hop's MTU in octets, of "fragmentation needed" (RFC 1191); 0 from old routers.
    #[must_use]
    pub fn next_hop_mtu(&self) -> u16 {
        self.second_half()
    }

    fn second_half(&self) -> u16 {
        let [_, _, high, low] = self.rest;
        u16::from_be_bytes([high, low])
    }
}

/// A UDP header (RFC 768) and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Octets of header and data as the header says; in a first fragment more than are here.
    pub len: u16,
    /// The checksum as found; 0 is none.
    pub checksum: u16,
    /// The data as far as it is here.
    pub data: &'a [u8],
    /// Header and what follows it in the packet, as far as captured.
    pub datagram: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Octets of the header.
    pub const HEADER_LEN: u16 = 8;

    pub(super) fn read(octets: &'a [u8]) -> Result<Self, Malformed> {
        let (&[s0, s1, d0, d1, l0, l1, c0, c1], data) = split::<8>(octets, "UDP")?;
        let len = u16::from_be_bytes([l0, l1]);
        if len < Self::HEADER_LEN {
            return Err(Malformed {
                expected: "UDP",
                fault: Fault::Header("has a length below 8 octets"),
            });
        }
        Ok(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            len,
            checksum: u16::from_be_bytes([c0, c1]),
            data: data
                .get(..usize::from(len - Self::HEADER_LEN))
                .unwrap_or(data),
            datagram: octets,
        })
    }
}

/// A TCP header (RFC 9293) and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The sequence number as on the wire.
    pub sequence: u32,
    /// The acknowledgement number as on the wire; counts only with [`TcpFlags::ACK`].
    pub acknowledgement: u32,
    /// The flags.
    pub flags: TcpFlags,
    /// The window as on the wire, unscaled.
    pub window: u16,
    /// The checksum as found.
    pub checksum: u16,
    /// The urgent pointer; counts only with the flag.
    pub urgent: u16,
    /// The options, unread.
    pub options: &'a [u8],
    /// The data as far as captured.
    pub data: &'a [u8],
    /// Octets of data in the packet, captured or not.
    pub data_len: usize,
    /// Header and data as far as captured.
    pub segment: &'a [u8],
}

/// The nine flags of a TCP header. As text, in tcpdump's letters: `S`, `P.`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// Last octet of a direction.
    pub const FIN: u16 = 0x01;
    /// First octet of a direction.
    pub const SYN: u16 = 0x02;
    /// The connection is refused or ended at once.
    pub const RST: u16 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u16 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u16 = 0x20;

    /// Whether any of `flags` is set.
    #[must_use]
    pub fn has(self, flags: u16) -> bool {
        self.0 & flags != 0
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE: from the lowest bit up.
        let letters = "FSRP.UEWe".chars().enumerate();
        let text: String = letters
            .filter(|(bit, _)| self.has(1 << bit))
            .map(|(_, letter)| letter)
            .collect();
        f.write_str(if text.is_empty() { "none" } else { &text })
    }
}

/// Octets of a TCP header without options.
const TCP_HEADER_LEN: usize = 20;

impl<'a> Tcp<'a> {
    /// `missing` octets of the packet were not captured.
    pub(super) fn read(octets: &'a [u8], missing: usize) -> Result<Self, Malformed> {
        let (header, rest) = split::<TCP_HEADER_LEN>(octets, "TCP")?;
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let whole = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
        let header_len = usize::from(header[12] >> 4) * 4;
        let fault = |fault| Malformed {
            expected: "TCP",
            fault,
        };
        let options_len = header_len
            .checked_sub(TCP_HEADER_LEN)
            .ok_or(fault(Fault::Header("has a header length below 20 octets")))?;
        let (options, data) =
            rest.split_at_checked(options_len)
                .ok_or(fault(Fault::Truncated {
                    needed: header_len,
                    found: octets.len(),
                }))?;
        Ok(Self {
            source_port: half(0),
            destination_port: half(2),
            sequence: whole(4),
            acknowledgement: whole(8),
            flags: TcpFlags(half(12) & 0x01ff),
            window: half(14),
            checksum: half(16),
            urgent: half(18),
            options,
            data,
            data_len: data.len() + missing,
            segment: octets,
        })
    }
}
