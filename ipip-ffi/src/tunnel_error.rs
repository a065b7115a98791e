//! ICMP errors that routers inside a tunnel send to its entry (RFC 2003 section 4).

use std::mem::MaybeUninit;

use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{
    ICMP_ERROR_HEADER_LEN, IcmpErrorView, Relay, RelayContext, RelayError, TunnelError,
};

use crate::boundary::{choose, flag, guard, octets, required};
use crate::error::Failure;
use crate::icmp_error::{ipip_icmp_error, ipip_quoted};
use crate::ipip::ipip_outer;
use crate::loops::ipip_endpoints;
use crate::status::ipip_status;
use crate::wire::ipip_span;

/// An ICMP error about a packet that a tunnel's entry could have sent. Spans count from the start of the
/// message that was parsed.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_tunnel_error {
    /// What was reported.
    pub error: ipip_icmp_error,
    /// The outer header, as quoted.
    pub outer: ipip_quoted,
    /// The inner header; all zero unless `has_inner`.
    pub inner: ipip_quoted,
    /// Whether enough was quoted for the inner header, 0 or 1: routers need not quote more than 8 octets
    /// of it.
    pub has_inner: u8,
    /// Whether the error tells an MTU, 0 or 1.
    pub has_mtu: u8,
    /// The tunnel MTU in octets that "fragmentation needed" tells, 68 or more; 0 unless `has_mtu`. A router
    /// older than RFC 1191 does not tell, and one that tells no less than the packet's own length is
    /// mistaken; then it is the next plateau below that length (RFC 1191 section 7.1).
    pub mtu: u32,
    /// What was quoted of the inner packet: what an error to its sender quotes in turn.
    pub original: ipip_span,
}

/// What to do about an ICMP error from inside a tunnel.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_relay_action {
    /// Nothing: it is for the tunnel's entry alone, or for nobody.
    Keep = 0,
    /// Send `error` to the source of the inner packet, if that may be answered.
    Send = 1,
    /// Send nothing now, too little was quoted; tell `error` to the sender of the next packet that it
    /// concerns: `ipip_tunnel_state_remember`.
    Remember = 2,
}

/// What to do about an ICMP error from inside a tunnel, and with which words.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_relay {
    /// An enum ipip_relay_action.
    pub action: u32,
    /// What is told; all zero, and not read, with IPIP_RELAY_ACTION_KEEP.
    pub error: ipip_icmp_error,
}

/// What an error may say of the inner network, which the outer one cannot know.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_relay_context {
    /// The tunnel's MTU in octets, 68 to 65,515, with this error taken into account: what "fragmentation
    /// needed" says.
    pub mtu: u32,
    /// Whether the inner destination is on the entry's own network, as it seems to the sender, 0 or 1.
    pub same_network: u8,
}

/// Checks an ICMP error, the whole payload of an IPv4 packet that is no fragment, and that it quotes a
/// packet that the entry of the tunnel between `endpoints` could have sent. That is all the protection
/// there is: who can forge a packet from the underlay and knows both addresses can forge this.
///
/// The failures are those of `ipip_icmp_error_parse`, and where the error is not about this tunnel:
/// IPIP_STATUS_QUOTED if the outer header cannot be read, IPIP_STATUS_QUOTED_PROTOCOL,
/// IPIP_STATUS_QUOTED_ENDPOINTS, and IPIP_STATUS_QUOTED_FRAGMENT for a fragment but the first, which quotes no
/// inner header.
///
/// # Safety
/// `message` is NULL or points to `message_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_tunnel_error_parse(
    message: *const u8,
    message_len: usize,
    endpoints: Option<&ipip_endpoints>,
    error_out: Option<&mut MaybeUninit<ipip_tunnel_error>>,
) -> ipip_status {
    guard(|| {
        let endpoints = (*required(endpoints, "endpoints")?).into();
        let out = required(error_out, "error_out")?;
        // SAFETY: the caller's duty, as documented.
        let message = unsafe { octets(message, message_len, "message") }?;
        let view = IcmpErrorView::parse(message)?;
        let error = TunnelError::parse(&view, &endpoints)?;
        out.write((&error).into());
        Ok(())
    })
}

/// Says what to do about `error`, by the rules of RFC 2003 section 4; `outer` is what the tunnel's entry
/// writes in front of its packets.
///
/// Codes of "destination unreachable" that are younger than RFC 2003 count as network (6, 9, 11) or host
/// unreachable, which they refine.
///
/// IPIP_STATUS_INVALID_ARGUMENT, IPIP_STATUS_DSCP and IPIP_STATUS_FRAGMENT_OFFSET for fields out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_tunnel_error_relay(
    error: Option<&ipip_tunnel_error>,
    outer: Option<&ipip_outer>,
    context: Option<&ipip_relay_context>,
    relay_out: Option<&mut MaybeUninit<ipip_relay>>,
) -> ipip_status {
    guard(|| {
        let error = required(error, "error")?.checked()?;
        let outer = required(outer, "outer")?.checked()?;
        let context = required(context, "context")?.checked()?;
        let out = required(relay_out, "relay_out")?;
        out.write(error.relay(&outer, context).into());
        Ok(())
    })
}

impl ipip_tunnel_error {
    /// The error with no more than the headers of what it quotes.
    pub(crate) fn checked(self) -> Result<TunnelError<'static>, Failure> {
        let inner = flag(self.has_inner, "has_inner")?.then(|| self.inner.checked());
        Ok(TunnelError {
            error: self.error.checked()?,
            outer: self.outer.checked()?,
            inner: inner.transpose()?,
            original: &[],
        })
    }
}

impl From<&TunnelError<'_>> for ipip_tunnel_error {
    fn from(error: &TunnelError<'_>) -> Self {
        let outer = ipip_quoted::of(&error.outer, ICMP_ERROR_HEADER_LEN);
        let original = outer.payload;
        let nothing = ipip_quoted {
            source: std::net::Ipv4Addr::UNSPECIFIED.into(),
            destination: std::net::Ipv4Addr::UNSPECIFIED.into(),
            protocol: 0,
            dont_fragment: 0,
            fragment_offset: 0,
            total_len: 0,
            header_len: 0,
            may_be_answered: 0,
            payload: ipip_span { offset: 0, len: 0 },
        };
        let inner = error.inner.as_ref();
        let mtu = error.mtu();
        Self {
            error: error.error.into(),
            outer,
            inner: inner.map_or(nothing, |inner| ipip_quoted::of(inner, original.offset)),
            has_inner: inner.is_some().into(),
            has_mtu: mtu.is_some().into(),
            mtu: mtu.map_or(0, TunnelMtu::octets),
            original,
        }
    }
}

impl ipip_relay_context {
    fn checked(self) -> Result<RelayContext, Failure> {
        Ok(RelayContext {
            mtu: TunnelMtu::try_new(self.mtu)?,
            same_network: flag(self.same_network, "same_network")?,
        })
    }
}

impl ipip_relay {
    pub(crate) fn checked(self) -> Result<Relay, Failure> {
        let actions = [
            (ipip_relay_action::Keep as u32, ipip_relay_action::Keep),
            (ipip_relay_action::Send as u32, ipip_relay_action::Send),
            (
                ipip_relay_action::Remember as u32,
                ipip_relay_action::Remember,
            ),
        ];
        let action = choose(self.action, "action", "ipip_relay_action", &actions)?;
        Ok(match action {
            ipip_relay_action::Keep => Relay::Keep,
            ipip_relay_action::Send => Relay::Send(self.error.checked()?),
            ipip_relay_action::Remember => Relay::Remember(self.error.checked()?),
        })
    }
}

impl From<Relay> for ipip_relay {
    fn from(relay: Relay) -> Self {
        let nothing = ipip_core::wire::IcmpError::NET_UNREACHABLE;
        let (action, error) = match relay {
            // Which is all zero.
            Relay::Keep => (ipip_relay_action::Keep, nothing),
            Relay::Send(error) => (ipip_relay_action::Send, error),
            Relay::Remember(error) => (ipip_relay_action::Remember, error),
        };
        Self {
            action: action as u32,
            error: error.into(),
        }
    }
}

impl From<RelayError> for Failure {
    fn from(error: RelayError) -> Self {
        let status = match error {
            RelayError::Quoted { .. } => ipip_status::Quoted,
            RelayError::QuotedProtocol { .. } => ipip_status::QuotedProtocol,
            RelayError::QuotedEndpoints { .. } => ipip_status::QuotedEndpoints,
            RelayError::QuotedFragment { .. } => ipip_status::QuotedFragment,
            _ => ipip_status::Internal,
        };
        Self::of(status, &error, None)
    }
}
