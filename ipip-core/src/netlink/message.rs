//! Bytes of a netlink datagram: headers, acknowledgements and the kernel's words in them.
//!
//! Netlink speaks the machine's own byte order; addresses in attributes are in network order. Both
//! are a matter of this file and its neighbours: [`request`] writes plan values as messages, [`reply`]
//! reads them. Of what comes in thousands, or must be read whatever else it holds, [`route`] and
//! [`link`] read the octets themselves, and [`route_request`] writes them.

use std::net::Ipv4Addr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

use super::error::{Fault, Refusal};
use next_hop::NextHopRequest;
use route_request::RouteRequest;

pub(super) mod link;
pub(super) mod next_hop;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod route;
pub(super) mod route_request;

/// `struct nlmsghdr`: length 4, type 2, flags 2, sequence 4, port 4.
const HEADER_LEN: usize = 16;

/// `NLMSGERR_ATTR_MSG`: the kernel's words, ending in a zero.
const ERROR_TEXT: u16 = 1;

/// `NLA_TYPE_MASK`: an attribute's type without the flags "nested" and "network byte order".
const TYPE_MASK: u16 = 0x3fff;

/// `RTNH_F_ONLINK`, in the flags of a route.
const ONLINK: u32 = 4;

/// `RTAX_MTU`, inside `RTA_METRICS`.
const METRIC_MTU: u16 = 2;

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// `RTM_*`, or one of the four below 16 that every protocol of netlink has.
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// What a message is to the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A part of the answer, which is still to be read.
    Part,
    /// The request was carried out, or the dump is complete.
    Done,
    /// Nothing to anybody.
    Nothing,
}

/// What is asked of the kernel.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// Written by the crate that knows most kinds of message.
    Any(RouteNetlinkMessage),
    /// A change of a route.
    Route(RouteRequest),
    /// About next hop objects.
    NextHop(NextHopRequest),
}

impl From<RouteNetlinkMessage> for Request {
    fn from(message: RouteNetlinkMessage) -> Self {
        Self::Any(message)
    }
}

/// Writes a request behind those in `bytes`. A message of this room is a few hundred octets long.
pub(super) fn encode(bytes: &mut Vec<u8>, request: Request, flags: u16, sequence: u32) {
    match request {
        Request::Any(message) => encode_any(bytes, message, flags, sequence),
        Request::Route(route) => route.encode(bytes, flags, sequence),
        Request::NextHop(next_hop) => next_hop.encode(bytes, flags, sequence),
    }
}

fn encode_any(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let (start, len) = (bytes.len(), message.buffer_len());
    bytes.resize(start + align(len), 0);
    if let Some(place) = bytes.get_mut(start..start + len) {
        message.serialize(place);
    }
}

/// Asks that the message which begins at `start` be acknowledged.
pub(super) fn ask_for_acknowledgement(bytes: &mut [u8], start: usize) {
    let flags = bytes.get_mut(start + 6..).and_then(<[u8]>::first_chunk_mut);
    if let Some(flags) = flags {
        *flags = (u16::from_ne_bytes(*flags) | NLM_F_ACK).to_ne_bytes();
    }
}

/// The messages of a datagram, in order.
pub(super) fn frames(datagram: &[u8]) -> impl Iterator<Item = Result<Frame<'_>, Fault>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let frame = frame(rest);
        // Whatever follows a broken header cannot be found.
        rest = match &frame {
            Ok(frame) => rest
                .get(align(HEADER_LEN + frame.payload.len())..)
                .unwrap_or_default(),
            Err(_) => &[],
        };
        Some(frame)
    })
}

fn frame(bytes: &[u8]) -> Result<Frame<'_>, Fault> {
    let broken = || Fault::Unreadable(format!("a message header in {} octets", bytes.len()));
    let len = usize::try_from(u32_at(bytes, 0).ok_or_else(broken)?).map_err(|_| broken())?;
    Ok(Frame {
        kind: u16_at(bytes, 4).ok_or_else(broken)?,
        flags: u16_at(bytes, 6).ok_or_else(broken)?,
        sequence: u32_at(bytes, 8).ok_or_else(broken)?,
        payload: bytes.get(HEADER_LEN..len).ok_or_else(broken)?,
    })
}

impl Frame<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// The kernel's refusal, which an error message and the end of a dump may carry.
    pub(super) fn meaning(&self) -> Result<Meaning, Fault> {
        match self.kind {
            NLMSG_NOOP => Ok(Meaning::Nothing),
            NLMSG_OVERRUN => Err(Fault::AnswerLost("overrun")),
            NLMSG_ERROR => self.outcome(self.error_attributes()),
            // An empty one is allowed and means success.
            NLMSG_DONE if self.payload.is_empty() => Ok(Meaning::Done),
            NLMSG_DONE => self.outcome(self.payload.get(4..).unwrap_or_default()),
            _ => Ok(Meaning::Part),
        }
    }

    fn outcome(&self, attributes: &[u8]) -> Result<Meaning, Fault> {
        let code = u32_at(self.payload, 0).map(u32::cast_signed);
        match code.ok_or_else(|| Fault::Unreadable("an error without a number".to_owned()))? {
            // A dump may end with a positive number, which means nothing.
            0.. => Ok(Meaning::Done),
            code => Err(Fault::Refused(Refusal {
                errno: code.saturating_neg(),
                text: error_text(attributes),
            })),
        }
    }

    /// Behind the number stand the request, or only its header, and then the attributes.
    fn error_attributes(&self) -> &[u8] {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return &[];
        }
        let request = self.payload.get(4..).unwrap_or_default();
        let len = if self.flags & NLM_F_CAPPED == 0 {
            u32_at(request, 0).and_then(|len| usize::try_from(len).ok())
        } else {
            Some(HEADER_LEN)
        };
        len.and_then(|len| request.get(align(len)..))
            .unwrap_or_default()
    }

    /// Reads a part by the crate that knows most kinds of message.
    pub(super) fn parse(&self) -> Result<RouteNetlinkMessage, String> {
        let mut header = NetlinkHeader::default();
        header.message_type = self.kind;
        RouteNetlinkMessage::deserialize(&header, self.payload).map_err(|error| error.to_string())
    }
}

/// The kernel's words among the attributes of an error.
fn error_text(bytes: &[u8]) -> Option<String> {
    let mut words = None;
    // One that is cut short has no words either.
    let _ = attributes(bytes, |kind, value| {
        if kind == ERROR_TEXT {
            let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
            words.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
        }
    });
    words.filter(|text| !text.is_empty())
}

/// Hands type and value of each attribute to `each`.
///
/// # Errors
/// What is wrong with one whose length is not inside `bytes`; those before it were handed out.
fn attributes<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u16, &'a [u8])) -> Result<(), String> {
    while let (Some(len), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let (len, left) = (usize::from(len), bytes.len());
        let value = bytes.get(4..len);
        let value =
            value.ok_or_else(|| format!("an attribute of {len} octets where {left} are"))?;
        each(kind & TYPE_MASK, value);
        bytes = bytes.get(align(len)..).unwrap_or_default();
    }
    Ok(())
}

/// Messages and attributes begin at multiples of four octets.
fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
