//! Transport checksums judged.

use super::Layer;
use super::ip::{Around, ICMPV6};
use super::transport::{Icmp, Tcp, Udp};
use crate::wire::{self, protocol};

/// What a checksum is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is right.
    Correct,
    /// It is wrong.
    Incorrect {
        /// What it should be.
        computed: u16,
    },
    /// It holds the sum of the pseudo header only: a sender on the capturing host left the rest to
    /// hardware, so the frame was captured before it was finished. A damaged packet looks the same
    /// once in 65,536 times.
    Partial {
        /// What it should be once finished.
        computed: u16,
    },
    /// UDP's 0: the sender made none.
    Absent,
    /// Not all that it covers was captured, or the packet is a fragment.
    Unverified,
}

/// The verdict on each layer's checksum, `None` for layers without one; as many as there are layers.
///
/// The transport checksums are judged with the innermost IP header around them.
#[must_use]
pub fn verdicts<'a>(layers: &[Layer<'a>]) -> Vec<Option<Verdict>> {
    let mut around = None;
    let judge = |layer: &Layer<'a>| match layer {
        Layer::Ipv4(packet) => {
            around = Some(Around::V4(*packet));
            let verdict = match (packet.is_checksum_right(), packet.computed_checksum()) {
                (Some(true), _) => Verdict::Correct,
                (_, Some(computed)) => Verdict::Incorrect { computed },
                (_, None) => Verdict::Unverified,
            };
            Some(verdict)
        }
        Layer::Ipv6(packet) => {
            around = Some(Around::V6(*packet, false));
            None
        }
        Layer::Extension(extension) => {
            if let (Some(Around::V6(_, fragment)), Some(_)) = (&mut around, extension.fragment()) {
                *fragment = true;
            }
            None
        }
        Layer::Icmp(icmp) => Some(icmp_verdict(icmp, around.as_ref())),
        Layer::Udp(udp) => Some(udp_verdict(udp, around.as_ref())),
        Layer::Tcp(tcp) => Some(tcp_verdict(tcp, around.as_ref())),
        _ => None,
    };
    layers.iter().map(judge).collect()
}

fn icmp_verdict(icmp: &Icmp<'_>, around: Option<&Around<'_>>) -> Verdict {
    let Some(around) = around.filter(|around| around.is_whole()) else {
        return Verdict::Unverified;
    };
    let pseudo = match (around, u16::try_from(icmp.message.len())) {
        (Around::V6(..), Ok(len)) => around.pseudo_header_sum(ICMPV6, len),
        _ => 0,
    };
    judge(icmp.checksum, pseudo, icmp.message)
}

fn udp_verdict(udp: &Udp<'_>, around: Option<&Around<'_>>) -> Verdict {
    if udp.checksum == 0 {
        return Verdict::Absent;
    }
    let around = around.filter(|around| around.is_whole());
    let Some((around, datagram)) = around.zip(udp.datagram.get(..udp.len.into())) else {
        return Verdict::Unverified;
    };
    let pseudo = around.pseudo_header_sum(protocol::UDP, udp.len);
    judge(udp.checksum, pseudo, datagram)
}

fn tcp_verdict(tcp: &Tcp<'_>, around: Option<&Around<'_>>) -> Verdict {
    let around = around.filter(|around| around.is_whole());
    let Some((around, len)) = around.zip(u16::try_from(tcp.segment.len()).ok()) else {
        return Verdict::Unverified;
    };
    let pseudo = around.pseudo_header_sum(protocol::TCP, len);
    judge(tcp.checksum, pseudo, tcp.segment)
}

/// `octets` are what the checksum covers after the pseudo header, itself included.
fn judge(found: u16, pseudo: u16, octets: &[u8]) -> Verdict {
    let sum = wire::combine(pseudo, wire::sum(octets));
    if sum == 0xffff {
        return Verdict::Correct;
    }
    let computed = !wire::combine(sum, !found);
    if pseudo != 0 && found == pseudo {
        return Verdict::Partial { computed };
    }
    Verdict::Incorrect { computed }
}
