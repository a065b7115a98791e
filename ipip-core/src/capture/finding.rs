//! What is wrong with a frame at the point where it was captured.

use std::fmt;

use super::describe::{Ipv4, Layer, Verdict, verdicts};
use super::frame::Frame;
use crate::addr::NodeAddr;
use crate::peers::{PeerError, Peers};
use crate::wire::{Ecn, protocol};

/// What is known about the point of a capture; what is `None` is not judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The longest IP packet that should pass there, in octets.
    pub mtu: Option<usize>,
    /// All nodes with their prefixes, this one's included: who may have sent a tunnel packet.
    pub peers: Option<&'a Peers>,
}

/// One thing wrong with a frame. As text it says what, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The outermost IPv4 packet exceeds the MTU of the point.
    TooBig {
        /// Its length in octets.
        len: usize,
        /// The MTU in octets.
        mtu: usize,
        /// Whether it forbids routers to fragment it, so that it is lost
        /// (<https://www.rfc-editor.org/rfc/rfc1191#section-3>).
        dont_fragment: bool,
        /// Whether it was captured before the sender's hardware cut it into segments.
        segmented_later: bool,
    },
    /// An IPv4 header with a wrong checksum, which the next hop discards.
    HeaderChecksum {
        /// How many IP headers are around it.
        depth: usize,
        /// The checksum found.
        found: u16,
        /// The right one.
        computed: u16,
    },
    /// A wrong ICMP, UDP or TCP checksum, which the receiver discards.
    TransportChecksum {
        /// The checksum found.
        found: u16,
        /// The right one.
        computed: u16,
        /// Whether offload explains it: only the pseudo header is summed, hardware finishes the rest.
        offloaded: bool,
    },
    /// A TTL that no router will forward, 0 or 1, to an address that is not multicast.
    Ttl {
        /// How many IP headers are around it.
        depth: usize,
        /// The TTL found.
        ttl: u8,
    },
    /// A pair of ECN fields that the end of the tunnel has to report or drop
    /// (<https://www.rfc-editor.org/rfc/rfc6040#section-4.2>).
    Ecn {
        /// Of the header outside.
        outer: Ecn,
        /// Of the header directly inside.
        inner: Ecn,
    },
    /// A tunnel inside a tunnel, so many IPv4 headers in all.
    EncapsulatedTwice {
        /// IPv4 headers directly in each other, at least 3.
        headers: usize,
    },
    /// A tunnel packet that its sender had no right to send.
    Spoofed(PeerError),
}

/// What is wrong with a frame; empty if nothing is.
#[must_use]
pub fn findings(frame: &Frame, expected: &Expected<'_>) -> Vec<Finding> {
    let layers = frame.layers();
    let verdicts = verdicts(&layers);
    let mut findings = Vec::new();
    let mut depth = 0;
    for (layer, verdict) in layers.iter().zip(&verdicts) {
        match layer {
            Layer::Ipv4(packet) => {
                findings.extend(header_finding(packet, *verdict, depth));
                depth += 1;
            }
            Layer::Ipv6(_) => depth += 1,
            _ => findings.extend(transport_finding(layer, *verdict, frame.checksum_pending)),
        }
    }
    let outermost = layers.iter().find_map(|layer| match layer {
        Layer::Ipv4(packet) => Some(packet),
        _ => None,
    });
    let offloaded = frame.checksum_pending
        || (verdicts.iter()).any(|verdict| matches!(verdict, Some(Verdict::Partial { .. })));
    findings.extend(outermost.zip(expected.mtu).and_then(|(packet, mtu)| {
        let len = usize::from(packet.total_len());
        (len > mtu).then_some(Finding::TooBig {
            len,
            mtu,
            dont_fragment: packet.dont_fragment(),
            // Where software fragments instead, it finishes the checksum first.
            segmented_later: offloaded,
        })
    }));
    findings.extend(tunnel_findings(&layers, expected));
    findings
}

fn header_finding(
    packet: &Ipv4<'_>,
    verdict: Option<Verdict>,
    depth: usize,
) -> impl Iterator<Item = Finding> {
    let checksum = match verdict {
        Some(Verdict::Incorrect { computed }) => Some(Finding::HeaderChecksum {
            depth,
            found: packet.checksum(),
            computed,
        }),
        _ => None,
    };
    let ttl = packet.ttl();
    let stays = ttl <= 1 && !packet.destination().is_multicast();
    let ttl = stays.then_some(Finding::Ttl { depth, ttl });
    checksum.into_iter().chain(ttl)
}

fn transport_finding(
    layer: &Layer<'_>,
    verdict: Option<Verdict>,
    pending: bool,
) -> Option<Finding> {
    let found = match layer {
        Layer::Icmp(icmp) => icmp.checksum,
        Layer::Udp(udp) => udp.checksum,
        Layer::Tcp(tcp) => tcp.checksum,
        _ => return None,
    };
    let (computed, offloaded) = match verdict? {
        Verdict::Incorrect { computed } => (computed, pending),
        Verdict::Partial { computed } => (computed, true),
        _ => return None,
    };
    Some(Finding::TransportChecksum {
        found,
        computed,
        offloaded,
    })
}

/// What two IPv4 headers directly in each other say together.
fn tunnel_findings(layers: &[Layer<'_>], expected: &Expected<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut headers = 1;
    for pair in layers.windows(2) {
        let [Layer::Ipv4(outer), Layer::Ipv4(inner)] = pair else {
            continue;
        };
        headers += 1;
        // The exit's own rule, so that a finding is what the exit would report.
        if inner.ecn().at_exit(outer.ecn()).alarm.is_some() {
            findings.push(Finding::Ecn {
                outer: outer.ecn(),
                inner: inner.ecn(),
            });
        }
        if let Some(peers) = expected.peers
            && outer.protocol() == protocol::IPIP
            && let Err(error) = peers.check(NodeAddr(outer.source()), inner.source())
        {
            findings.push(Finding::Spoofed(error));
        }
    }
    if headers > 2 {
        findings.push(Finding::EncapsulatedTwice { headers });
    }
    findings
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig {
                len,
                mtu,
                dont_fragment,
                segmented_later,
            } => {
                let then = match (segmented_later, dont_fragment) {
                    (true, _) => "the sender's hardware cuts it into segments",
                    (false, true) => "DF forbids to fragment it, it is lost",
                    (false, false) => "it is fragmented",
                };
                write!(f, "packet of {len} octets exceeds the MTU of {mtu}: {then}")
            }
            Self::HeaderChecksum {
                depth,
                found,
                computed,
            } => {
                let which = header_name(*depth);
                write!(
                    f,
                    "{which} has checksum {found:#06x}, computed is {computed:#06x}"
                )
            }
            Self::TransportChecksum {
                found,
                computed,
                offloaded,
            } => {
                let why = if *offloaded {
                    ": not finished when captured, hardware does it"
                } else {
                    ""
                };
                write!(
                    f,
                    "transport checksum {found:#06x}, computed is {computed:#06x}{why}"
                )
            }
            Self::Ttl { depth, ttl } => {
                let which = header_name(*depth);
                write!(f, "{which} has TTL {ttl}, no router forwards it")
            }
            Self::Ecn { outer, inner } => {
                let then = match (outer, inner) {
                    (Ecn::Ce, Ecn::NotEct) => "the end of the tunnel drops it",
                    _ => "not expected of a tunnel",
                };
                write!(f, "ECN {outer:?} around {inner:?}: {then}")
            }
            Self::EncapsulatedTwice { headers } => {
                write!(f, "encapsulated twice: {headers} IPv4 headers")
            }
            Self::Spoofed(error) => write!(f, "spoofed: {error}"),
        }
    }
}

fn header_name(depth: usize) -> &'static str {
    match depth {
        0 => "outermost IPv4 header",
        _ => "inner IPv4 header",
    }
}

#[cfg(test)]
mod tests;
