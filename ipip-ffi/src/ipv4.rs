//! One IPv4 header.

use std::mem::MaybeUninit;

use ipip_core::wire::{Dscp, Ecn, FragmentOffset, HEADER_LEN, Ipv4Header, Ipv4View, Layer};

use crate::addr::ipip_ipv4;
use crate::boundary::{flag, guard, octets, octets_mut, required};
use crate::error::Failure;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// The fields of an IPv4 header without options (RFC 791), to be written or as read. Numbers are in
/// the byte order of the machine.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_ipv4_header {
    /// The upper 6 bits of the TOS octet, 0 to 63.
    pub dscp: u8,
    /// The lower 2 bits of the TOS octet: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE.
    pub ecn: u8,
    /// What the fragments of one packet share.
    pub identification: u16,
    /// DF, 0 or 1: routers may not fragment the packet.
    pub dont_fragment: u8,
    /// MF, 0 or 1: another fragment follows.
    pub more_fragments: u8,
    /// Where this fragment belongs, in units of 8 octets, 0 to 8191.
    pub fragment_offset: u16,
    /// Hops left, 0 to 255.
    pub ttl: u8,
    /// What the payload is: 1 ICMP, 4 IPv4 in IPv4, 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Where the packet comes from.
    pub source: ipip_ipv4,
    /// Where the packet goes.
    pub destination: ipip_ipv4,
}

/// A checked IPv4 packet: its fields, and where its parts lie in the buffer that was parsed.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_ipv4_view {
    /// The fields of the header.
    pub header: ipip_ipv4_header,
    /// The header checksum as found, which is right.
    pub checksum: u16,
    /// Length of the header with its options, in octets, 20 to 60.
    pub header_len: u16,
    /// Length of the packet in octets, header included.
    pub total_len: u16,
    /// The options with their padding, 0 to 40 octets, unread.
    pub options: ipip_span,
    /// What follows the header, up to the total length.
    pub payload: ipip_span,
    /// The packet from its first header octet to its total length; the buffer may be longer.
    pub packet: ipip_span,
}

/// Checks the packet at the start of `buffer` and reads its header. Octets after its total length are
/// padding. Options, fragments and a TTL of 0 are valid here.
///
/// IPIP_STATUS_TRUNCATED, _VERSION, _TOTAL_LEN, _HEADER_LEN or _CHECKSUM, looked for in this order.
///
/// # Safety
/// `buffer` is NULL or points to `buffer_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipv4_parse(
    buffer: *const u8,
    buffer_len: usize,
    view_out: Option<&mut MaybeUninit<ipip_ipv4_view>>,
) -> ipip_status {
    guard(|| {
        let out = required(view_out, "view_out")?;
        // SAFETY: the caller's duty, as documented.
        let buffer = unsafe { octets(buffer, buffer_len, "buffer") }?;
        let view = Ipv4View::parse(buffer, Layer::Inner)?;
        out.write(ipip_ipv4_view::of(&view, 0));
        Ok(())
    })
}

/// Writes a header into the first 20 octets of `packet`, checksum included; `packet_len` becomes the
/// total length.
///
/// IPIP_STATUS_HEADER_BUFFER below 20 octets, IPIP_STATUS_PACKET_TOO_LONG above 65,535,
/// IPIP_STATUS_DSCP, IPIP_STATUS_FRAGMENT_OFFSET and IPIP_STATUS_INVALID_ARGUMENT for fields out of
/// range. Nothing is written then.
///
/// # Safety
/// `packet` is NULL or points to `packet_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ipv4_emit(
    header: Option<&ipip_ipv4_header>,
    packet: *mut u8,
    packet_len: usize,
) -> ipip_status {
    guard(|| {
        let header = required(header, "header")?.checked()?;
        // SAFETY: the caller's duty, as documented.
        let packet = unsafe { octets_mut(packet, packet_len, "packet") }?;
        Ok(header.emit(packet)?)
    })
}

impl ipip_ipv4_header {
    fn checked(self) -> Result<Ipv4Header, Failure> {
        Ok(Ipv4Header {
            dscp: Dscp::try_new(self.dscp)?,
            ecn: ecn(self.ecn, "ecn")?,
            identification: self.identification,
            dont_fragment: flag(self.dont_fragment, "dont_fragment")?,
            more_fragments: flag(self.more_fragments, "more_fragments")?,
            fragment_offset: FragmentOffset::try_new(self.fragment_offset)?,
            ttl: self.ttl,
            protocol: self.protocol,
            source: self.source.into(),
            destination: self.destination.into(),
        })
    }
}

impl From<Ipv4Header> for ipip_ipv4_header {
    #[inline(always)]
    fn from(header: Ipv4Header) -> Self {
        Self {
            dscp: header.dscp.value(),
            ecn: header.ecn.value(),
            identification: header.identification,
            dont_fragment: header.dont_fragment.into(),
            more_fragments: header.more_fragments.into(),
            fragment_offset: header.fragment_offset.units(),
            ttl: header.ttl,
            protocol: header.protocol,
            source: header.source.into(),
            destination: header.destination.into(),
        }
    }
}

impl ipip_ipv4_view {
    /// For a view whose packet begins `base` octets into the buffer.
    // Inline: else the fields go through a copy on the stack, which costs more than the parsing.
    #[inline(always)]
    pub(crate) fn of(view: &Ipv4View<'_>, base: usize) -> Self {
        let header_len = view.header_len();
        let end = base + usize::from(view.total_len());
        Self {
            header: view.header().into(),
            checksum: view.checksum(),
            header_len: u16::try_from(header_len).unwrap_or(u16::MAX),
            total_len: view.total_len(),
            options: (base + HEADER_LEN..base + header_len).into(),
            payload: (base + header_len..end).into(),
            packet: (base..end).into(),
        }
    }
}

pub(crate) fn ecn(value: u8, name: &str) -> Result<Ecn, Failure> {
    if value > 3 {
        return Err(Failure::new(
            ipip_status::InvalidArgument,
            format!("{name} is {value}, allowed are 0 to 3"),
        ));
    }
    Ok(Ecn::of_tos(value))
}
