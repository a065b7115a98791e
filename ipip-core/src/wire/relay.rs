//! ICMP errors that routers inside the tunnel send to its entry: whether one is about this tunnel, and
//! what the sender of the inner packet is to be told (<https://www.rfc-editor.org/rfc/rfc2003#section-4>).
//!
//! Nothing here sends or remembers anything: [`TunnelError`] is what was understood, [`Relay`] what is
//! to be done, and [`TunnelState`](super::TunnelState) keeps what outlives the message.

use super::error::{Layer, RelayError};
use super::header::protocol;
use super::icmp_error::{IcmpError, IcmpErrorView, Quoted};
use super::outer::{DscpPolicy, EcnPolicy, Endpoints, Outer, Ttl};
use crate::mtu::{OVERHEAD, TunnelMtu};

/// An ICMP error about a packet that this tunnel's entry could have sent.
///
/// ```
/// use core::time::Duration;
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::mtu::TunnelMtu;
/// use ipip_core::wire::{
///     Endpoints, IcmpError, IcmpErrorView, Ipv4Header, Outer, Relay, RelayContext, TunnelError, TunnelState,
///     encapsulate,
/// };
/// let outer = Outer::tunl0(Endpoints {
///     local: NodeAddr([172, 18, 0, 3].into()),
///     remote: NodeAddr([172, 18, 0, 2].into()),
/// });
/// // A packet of 1500 octets on the underlay meets a hop that takes 1400.
/// let mut packet = [0; 1500];
/// Ipv4Header { dont_fragment: true, ..Ipv4Header::default() }.emit(&mut packet[20..])?;
/// encapsulate(&mut packet, 20, &outer)?;
/// let mut answer = [0; 576];
/// let told = IcmpError::FragmentationNeeded { mtu: 1400 };
/// let len = told.emit([172, 18, 0, 1].into(), &packet, &mut answer)?;
///
/// let view = IcmpErrorView::parse(&answer[20..len])?;
/// let error = TunnelError::parse(&view, &outer.endpoints).unwrap();
/// let mut state = TunnelState::new(TunnelMtu::try_new(1480).unwrap());
/// let mtu = state.learn_mtu(&error, Duration::ZERO);
/// let relay = error.relay(&outer, RelayContext { mtu, same_network: false });
/// assert_eq!(relay, Relay::Send(IcmpError::FragmentationNeeded { mtu: 1380 }));
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelError<'a> {
    /// What was reported.
    pub error: IcmpError,
    /// The outer header, as quoted.
    pub outer: Quoted<'a>,
    /// The inner header, if enough was quoted: routers need not quote more than 8 octets of it.
    pub inner: Option<Quoted<'a>>,
    /// What was quoted of the inner packet: what an error to its sender quotes in turn.
    pub original: &'a [u8],
}

/// What the entry of a tunnel does about an ICMP error from inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relay {
    /// Send this to the source of the inner packet, if that [may be answered](Quoted::may_be_answered).
    Send(IcmpError),
    /// Send nothing now, too little was quoted; tell this to the sender of the next packet that it
    /// concerns.
    Remember(IcmpError),
    /// It is for the tunnel's entry alone, or for nobody.
    Keep,
}

/// What an error may say of the inner network, which the outer one cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayContext {
    /// The tunnel's MTU, with this error taken into account: what "fragmentation needed" says.
    pub mtu: TunnelMtu,
    /// Whether the inner destination is on the entry's own network, as it seems to the sender.
    pub same_network: bool,
}

impl<'a> TunnelError<'a> {
    /// Checks that `error` quotes a packet that the entry of the tunnel between `endpoints` could have
    /// sent. That is all the protection there is: who can forge a packet from the underlay and knows both
    /// addresses can forge this.
    ///
    /// # Errors
    /// [`RelayError::Quoted`] if the outer header cannot be read, [`RelayError::QuotedProtocol`],
    /// [`RelayError::QuotedEndpoints`], and [`RelayError::QuotedFragment`] for a fragment but the first, which
    /// quotes no inner header.
    pub fn parse(error: &IcmpErrorView<'a>, endpoints: &Endpoints) -> Result<Self, RelayError> {
        let outer = Quoted::parse(error.quoted(), Layer::Outer)
            .map_err(|source| RelayError::Quoted { source })?;
        if outer.protocol != protocol::IPIP {
            return Err(RelayError::QuotedProtocol {
                found: outer.protocol,
            });
        }
        let ends = (endpoints.local.0, endpoints.remote.0);
        if (outer.source, outer.destination) != ends {
            return Err(RelayError::QuotedEndpoints {
                from: outer.source,
                to: outer.destination,
            });
        }
        if outer.fragment_offset.units() != 0 {
            return Err(RelayError::QuotedFragment {
                offset: outer.fragment_offset.octets(),
            });
        }
        Ok(Self {
            error: error.error(),
            outer,
            inner: Quoted::parse(outer.payload, Layer::Inner).ok(),
            original: outer.payload,
        })
    }

    /// What to do about it, by the rules of RFC 2003 section 4 and its subsections.
    ///
    /// Codes of "destination unreachable" that are younger than RFC 2003 count as network (6, 9, 11) or
    /// host unreachable, which they refine.
    #[must_use]
    pub fn relay(&self, outer: &Outer, context: RelayContext) -> Relay {
        let unreachable = if context.same_network {
            IcmpError::HOST_UNREACHABLE
        } else {
            IcmpError::NET_UNREACHABLE
        };
        let told = match self.error {
            // "The encapsulator MAY have Code 1 [...] Otherwise [...] MUST be 0"; the sender did not use
            // protocol 4, so code 2 becomes one of the two as well.
            IcmpError::Unreachable {
                code: 0 | 2 | 6 | 9 | 11,
            } => unreachable,
            // The outer header has no port: "MUST NOT be relayed". A source route was the entry's own:
            // "MUST NOT be relayed".
            IcmpError::Unreachable { code: 3 | 5 } => return Relay::Keep,
            IcmpError::Unreachable { .. } => IcmpError::HOST_UNREACHABLE,
            // DF of the entry's own making is no business of a sender who did not set it: such packets
            // are cut from now on.
            IcmpError::FragmentationNeeded { .. }
                if self.inner.is_some_and(|inner| !inner.dont_fragment) =>
            {
                return Relay::Keep;
            }
            IcmpError::FragmentationNeeded { .. } => {
                let mtu = u16::try_from(context.mtu.octets()).unwrap_or(u16::MAX);
                IcmpError::FragmentationNeeded { mtu }
            }
            // A routing loop within the tunnel: "MUST be reported [...] as Host Unreachable".
            IcmpError::TimeExceeded { .. } => IcmpError::HOST_UNREACHABLE,
            IcmpError::ParameterProblem { code, pointer } => {
                match self.pointed_at(outer, code, pointer) {
                    Some(pointer) => IcmpError::ParameterProblem { code, pointer },
                    None => return Relay::Keep,
                }
            }
            // A redirect is about the way to the exit: "MUST NOT relay". Of source quench nobody should
            // hear any more: https://www.rfc-editor.org/rfc/rfc6633#section-3
            IcmpError::Redirect { .. } | IcmpError::SourceQuench => return Relay::Keep,
        };
        match self.inner {
            Some(_) => Relay::Send(told),
            None => Relay::Remember(told),
        }
    }

    /// Which octet of the inner packet a parameter problem is about; `None` if it is about one that the
    /// entry made up.
    fn pointed_at(&self, outer: &Outer, code: u8, pointer: u8) -> Option<u8> {
        // Only code 0 points at something; the entry adds no options that could be missing or wrong.
        if code != 0 || self.inner.is_none() {
            return None;
        }
        let copied = match pointer {
            TOS => outer.dscp == DscpPolicy::Inherit || outer.ecn != EcnPolicy::Compatibility,
            FLAGS => true,
            TTL => outer.ttl == Ttl::Inherit,
            _ => false,
        };
        if copied {
            return Some(pointer);
        }
        // Past the outer header it points into the inner packet itself.
        pointer.checked_sub(self.outer.header_len)
    }
}

/// Where TOS stands in a header, in octets.
const TOS: u8 = 1;
/// Where DF stands in a header, in octets.
const FLAGS: u8 = 6;
/// Where the TTL stands in a header, in octets.
const TTL: u8 = 8;

/// The plateaus of <https://www.rfc-editor.org/rfc/rfc1191#section-7.1>, in octets, longest first.
const PLATEAUS: [u16; 11] = [
    65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68,
];

impl TunnelError<'_> {
    /// The tunnel MTU that a "fragmentation needed" tells, never below the smallest there is; `None` for
    /// other errors.
    ///
    /// A router older than RFC 1191 does not tell, and one that tells no less than the packet's own length
    /// is mistaken; then it is the next plateau below that length.
    #[must_use]
    pub fn mtu(&self) -> Option<TunnelMtu> {
        let IcmpError::FragmentationNeeded { mtu } = self.error else {
            return None;
        };
        let len = self.outer.total_len;
        let told = if mtu != 0 && mtu < len {
            mtu
        } else {
            let below = PLATEAUS.into_iter().find(|plateau| *plateau < len);
            below.unwrap_or(0)
        };
        // 20 octets are the outer header's, once and only here.
        let octets = u32::from(told).saturating_sub(OVERHEAD);
        TunnelMtu::try_new(octets.max(crate::mtu::IPV4_MIN)).ok()
    }
}

#[cfg(test)]
mod tests;
