//! Packets that a tunnel must not carry, lest they go round for ever
//! (<https://www.rfc-editor.org/rfc/rfc2003#section-3.2>).

use core::net::Ipv4Addr;

use super::error::{Layer, LoopError};
use super::header::protocol;
use super::ipv4::Ipv4View;
use super::outer::Endpoints;

/// Which signs of a loop make a tunnel's entry refuse a packet.
///
/// ```
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::wire::{Endpoints, Ipv4Header, Ipv4View, Layer, LoopError, LoopPolicy};
/// let endpoints = Endpoints {
///     local: NodeAddr([172, 18, 0, 3].into()),
///     remote: NodeAddr([172, 18, 0, 2].into()),
/// };
/// let own = [10, 244, 79, 1].into();
/// let mut packet = [0; 20];
/// Ipv4Header { source: own, ..Ipv4Header::default() }.emit(&mut packet)?;
/// let inner = Ipv4View::parse(&packet, Layer::Inner)?;
///
/// let forwarded = LoopPolicy::default().check(&inner, &endpoints, |addr| addr == own);
/// assert_eq!(forwarded, Err(LoopError::OwnSource { found: own }));
/// // What this node sends itself comes from its own addresses.
/// let local = LoopPolicy { own_source: false, ..LoopPolicy::default() };
/// assert_eq!(local.check(&inner, &endpoints, |addr| addr == own), Ok(()));
/// # Ok::<(), ipip_core::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoopPolicy {
    /// Refuse an inner source that is one of this node's own addresses. The RFC demands it of packets
    /// that a router forwards; what the node sends itself, from its tunnel address for one, is exempt.
    pub own_source: bool,
    /// Refuse an inner source that is the tunnel's exit.
    pub exit_source: bool,
    /// Refuse an inner destination that is the tunnel's exit: the way to the exit leads through the
    /// tunnel itself.
    pub exit_destination: bool,
    /// How many tunnels a packet may be in once it has left this entry, 0 to 255; 0 refuses every
    /// packet. The limit that
    /// <https://www.rfc-editor.org/rfc/rfc2473#section-4.1.1> gives to IPv6, where 4 is the default.
    pub max_depth: u8,
}

impl Default for LoopPolicy {
    /// What is to be asked of forwarded packets: every sign counts, 4 tunnels at most.
    fn default() -> Self {
        Self {
            own_source: true,
            exit_source: true,
            exit_destination: true,
            max_depth: 4,
        }
    }
}

impl LoopPolicy {
    /// Whether the tunnel between `endpoints` may carry `inner`; `is_own` says which addresses are this
    /// node's. Reads headers only, at most `max_depth` of them.
    ///
    /// # Errors
    /// In this order: [`LoopError::SameEndpoints`] whatever the policy, [`LoopError::OwnSource`],
    /// [`LoopError::ExitSource`], [`LoopError::ExitDestination`], [`LoopError::TunnelDepth`].
    pub fn check(
        &self,
        inner: &Ipv4View<'_>,
        endpoints: &Endpoints,
        is_own: impl FnOnce(Ipv4Addr) -> bool,
    ) -> Result<(), LoopError> {
        let (source, exit) = (inner.source(), endpoints.remote);
        if endpoints.local == exit {
            return Err(LoopError::SameEndpoints { found: exit });
        }
        if self.own_source && is_own(source) {
            return Err(LoopError::OwnSource { found: source });
        }
        if self.exit_source && source == exit.0 {
            return Err(LoopError::ExitSource { found: exit });
        }
        if self.exit_destination && inner.destination() == exit.0 {
            return Err(LoopError::ExitDestination { found: exit });
        }
        if tunnels(inner, self.max_depth) >= self.max_depth {
            return Err(LoopError::TunnelDepth {
                max: self.max_depth,
            });
        }
        Ok(())
    }
}

/// How many IPIP headers `packet` begins with, counted up to `most`.
fn tunnels(packet: &Ipv4View<'_>, most: u8) -> u8 {
    let mut packet = *packet;
    let mut found = 0;
    while found < most && packet.protocol() == protocol::IPIP {
        found += 1;
        // Fragments other than the first, and what is damaged, end the count: what is inside them is
        // not readable as a header.
        match Ipv4View::parse(packet.payload(), Layer::Inner) {
            Ok(next) if packet.fragment_offset().units() == 0 => packet = next,
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::NodeAddr;
    use crate::wire::Ipv4Header;

    const A: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 3);
    const B: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
    const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
    const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);

    /// A packet inside `depth` tunnels.
    fn packet(source: Ipv4Addr, destination: Ipv4Addr, depth: usize) -> Vec<u8> {
        let mut packet = vec![0xa5; 8];
        for layer in 0..=depth {
            packet.splice(0..0, [0; 20]);
            let header = Ipv4Header {
                protocol: if layer == 0 {
                    protocol::UDP
                } else {
                    protocol::IPIP
                },
                source,
                destination,
                ..Ipv4Header::default()
            };
            header.emit(&mut packet).unwrap();
        }
        packet
    }

    fn check(policy: LoopPolicy, octets: &[u8]) -> Result<(), LoopError> {
        let endpoints = Endpoints {
            local: NodeAddr(A),
            remote: NodeAddr(B),
        };
        let inner = Ipv4View::parse(octets, Layer::Inner).unwrap();
        policy.check(&inner, &endpoints, |addr| addr == OWN || addr == A)
    }

    #[test]
    fn rfc2003_section_3_2_each_sign_of_a_loop_has_its_switch() {
        let all = LoopPolicy::default();
        let exit = NodeAddr(B);
        for (octets, error, off) in [
            (
                packet(OWN, ELSEWHERE, 0),
                LoopError::OwnSource { found: OWN },
                LoopPolicy {
                    own_source: false,
                    ..all
                },
            ),
            (
                packet(B, ELSEWHERE, 0),
                LoopError::ExitSource { found: exit },
                LoopPolicy {
                    exit_source: false,
                    ..all
                },
            ),
            (
                packet(POD, B, 0),
                LoopError::ExitDestination { found: exit },
                LoopPolicy {
                    exit_destination: false,
                    ..all
                },
            ),
            (
                packet(POD, ELSEWHERE, 4),
                LoopError::TunnelDepth { max: 4 },
                LoopPolicy {
                    max_depth: 5,
                    ..all
                },
            ),
        ] {
            assert_eq!(check(all, &octets), Err(error));
            assert_eq!(check(off, &octets), Ok(()), "{error}");
        }
        assert_eq!(check(all, &packet(POD, ELSEWHERE, 3)), Ok(()));
        let none = LoopPolicy {
            max_depth: 1,
            ..all
        };
        assert_eq!(check(none, &packet(POD, ELSEWHERE, 0)), Ok(()));
        assert_eq!(
            check(none, &packet(POD, ELSEWHERE, 9))
                .unwrap_err()
                .to_string(),
            "inner packet is inside other tunnels, allowed is 1 tunnel at once, this one included"
        );
    }

    #[test]
    fn a_tunnel_to_itself_is_refused_whatever_the_policy() {
        let none = LoopPolicy {
            own_source: false,
            exit_source: false,
            exit_destination: false,
            max_depth: 255,
        };
        let octets = packet(POD, ELSEWHERE, 0);
        let inner = Ipv4View::parse(&octets, Layer::Inner).unwrap();
        let endpoints = Endpoints {
            local: NodeAddr(A),
            remote: NodeAddr(A),
        };
        let error = none.check(&inner, &endpoints, |_| false);
        assert_eq!(error, Err(LoopError::SameEndpoints { found: NodeAddr(A) }));
    }

    #[test]
    fn the_count_ends_at_the_highest_limit() {
        let highest = LoopPolicy {
            max_depth: 255,
            ..LoopPolicy::default()
        };
        let too_deep = Err(LoopError::TunnelDepth { max: 255 });
        for (depth, expected) in [(254, Ok(())), (255, too_deep), (300, too_deep)] {
            assert_eq!(check(highest, &packet(POD, ELSEWHERE, depth)), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_count() {
        let whole = packet(POD, ELSEWHERE, 6);
        let mut damaged = whole.clone();
        damaged[20 + 11] ^= 1;
        let mut fragment = whole.clone();
        let header = Ipv4Header {
            protocol: protocol::IPIP,
            fragment_offset: crate::wire::FragmentOffset::try_new(1).unwrap(),
            source: POD,
            destination: ELSEWHERE,
            ..Ipv4Header::default()
        };
        header.emit(&mut fragment).unwrap();
        assert!(check(LoopPolicy::default(), &whole).is_err());
        assert_eq!(check(LoopPolicy::default(), &damaged), Ok(()));
        assert_eq!(check(LoopPolicy::default(), &fragment), Ok(()));
    }
}
