//! The outer header of a tunnel: its fixed fields, and what it takes from the inner packet.

use core::num::NonZeroU8;

use super::error::WireError;
use super::header::{Ipv4Header, protocol};
use super::ipv4::Ipv4View;
use super::tos::{Dscp, Ecn};
use crate::addr::NodeAddr;

/// The two ends of a tunnel, as the encapsulating node sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// This node: the outer source.
    pub local: NodeAddr,
    /// The other node: the outer destination.
    pub remote: NodeAddr,
}

/// The outer TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ttl {
    /// The inner packet's TTL: `ip tunnel … ttl inherit`.
    #[default]
    Inherit,
    /// Always this many hops, 1 to 255.
    Fixed(NonZeroU8),
}

/// The outer DSCP (<https://www.rfc-editor.org/rfc/rfc2983#section-3.1>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DscpPolicy {
    /// The inner packet's, the uniform model.
    Inherit,
    /// Always this one, the pipe model.
    Fixed(Dscp),
}

impl Default for DscpPolicy {
    /// Always 0, as Linux does unless the tunnel has `tos inherit`.
    fn default() -> Self {
        Self::Fixed(Dscp::default())
    }
}

/// The outer ECN field at the tunnel's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EcnPolicy {
    /// The inner one, but ECT(0) where the inner one is CE: the full-functionality option of
    /// <https://www.rfc-editor.org/rfc/rfc3168#section-9.1.1>, and what Linux does (seen on 6.1: inner
    /// TOS 0x03 leaves `tunl0` with outer TOS 0x02).
    #[default]
    Kernel,
    /// The inner one as it is, CE included: normal mode of
    /// <https://www.rfc-editor.org/rfc/rfc6040#section-4.1>, which replaced the rule above.
    Normal,
    /// Not-ECT: compatibility mode of the same section, for an exit that does not know ECN.
    Compatibility,
}

/// The outer DF. An inner DF always makes an outer one
/// (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>), so clearing it is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DontFragment {
    /// The inner packet's DF: `ip tunnel … nopmtudisc`.
    #[default]
    Inherit,
    /// Always set: `ip tunnel … pmtudisc`.
    Always,
}

/// What an encapsulating node writes in front of an inner packet.
///
/// ```
/// use ipip_core::addr::NodeAddr;
/// use ipip_core::wire::{DontFragment, Endpoints, Outer};
/// let outer = Outer {
///     dont_fragment: DontFragment::Always,
///     identification: 0x1234,
///     ..Outer::tunl0(Endpoints {
///         local: NodeAddr([172, 18, 0, 3].into()),
///         remote: NodeAddr([172, 18, 0, 2].into()),
///     })
/// };
/// # let _ = outer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// Outer source and destination.
    pub endpoints: Endpoints,
    /// Outer TTL.
    pub ttl: Ttl,
    /// Outer DSCP.
    pub dscp: DscpPolicy,
    /// Outer ECN.
    pub ecn: EcnPolicy,
    /// Outer DF.
    pub dont_fragment: DontFragment,
    /// Outer identification. Where DF ends up clear the caller has to make it unique per source,
    /// destination and protocol for as long as a fragment may live
    /// (<https://www.rfc-editor.org/rfc/rfc6864#section-4.1>); with DF any value will do.
    pub identification: u16,
}

impl Outer {
    /// What Linux's `tunl0` does as the module makes it, and so what Calico's nodes do: TTL
    /// inherited, DSCP 0, ECN as [`EcnPolicy::Kernel`], DF inherited; identification 0.
    #[must_use]
    pub fn tunl0(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            ttl: Ttl::default(),
            dscp: DscpPolicy::default(),
            ecn: EcnPolicy::default(),
            dont_fragment: DontFragment::default(),
            identification: 0,
        }
    }

    /// The outer header for `inner`, to stand in front of it.
    ///
    /// Options of the inner header are not copied
    /// (<https://www.rfc-editor.org/rfc/rfc2003#section-3.1>). The inner TTL is not lowered: that is
    /// the duty of whoever forwards the packet into the tunnel.
    ///
    /// # Errors
    /// [`WireError::TtlZero`] for an inner TTL of 0.
    #[inline]
    pub fn header(&self, inner: &Ipv4View<'_>) -> Result<Ipv4Header, WireError> {
        // "An encapsulator MUST NOT encapsulate a datagram with TTL = 0" (RFC 2003 section 3.1).
        if inner.ttl() == 0 {
            return Err(WireError::TtlZero);
        }
        Ok(Ipv4Header {
            dscp: match self.dscp {
                DscpPolicy::Inherit => inner.dscp(),
                DscpPolicy::Fixed(dscp) => dscp,
            },
            ecn: self.ecn.at_entry(inner.ecn()),
            identification: self.identification,
            dont_fragment: self.dont_fragment == DontFragment::Always || inner.dont_fragment(),
            ttl: match self.ttl {
                Ttl::Inherit => inner.ttl(),
                Ttl::Fixed(hops) => hops.get(),
            },
            protocol: protocol::IPIP,
            source: self.endpoints.local.0,
            destination: self.endpoints.remote.0,
            ..Ipv4Header::default()
        })
    }
}

impl EcnPolicy {
    /// The outer field for an inner one.
    #[inline]
    fn at_entry(self, inner: Ecn) -> Ecn {
        match (self, inner) {
            (Self::Compatibility, _) => Ecn::NotEct,
            (Self::Kernel, Ecn::Ce) => Ecn::Ect0,
            (Self::Kernel | Self::Normal, inner) => inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FragmentOffset, Layer};

    const ENDPOINTS: Endpoints = Endpoints {
        local: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 3)),
        remote: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 2)),
    };

    /// The outer header for an inner packet of 28 octets.
    fn outer_of(outer: Outer, inner: Ipv4Header) -> Ipv4Header {
        let mut packet = [0xa5; 28];
        inner.emit(&mut packet).unwrap();
        let inner = Ipv4View::parse(&packet, Layer::Inner).unwrap();
        outer.header(&inner).unwrap()
    }

    #[test]
    fn tunl0_takes_ttl_ecn_and_df_from_inside_and_nothing_else() {
        let inner = Ipv4Header {
            dscp: Dscp::try_new(46).unwrap(),
            ecn: Ecn::Ect1,
            identification: 0x7777,
            dont_fragment: true,
            more_fragments: true,
            fragment_offset: FragmentOffset::try_new(3).unwrap(),
            ttl: 17,
            protocol: 6,
            source: [10, 244, 79, 20].into(),
            destination: [10, 244, 244, 73].into(),
        };
        let expected = Ipv4Header {
            ecn: Ecn::Ect1,
            dont_fragment: true,
            ttl: 17,
            protocol: 4,
            source: [172, 18, 0, 3].into(),
            destination: [172, 18, 0, 2].into(),
            ..Ipv4Header::default()
        };
        assert_eq!(outer_of(Outer::tunl0(ENDPOINTS), inner), expected);
    }

    #[test]
    fn each_policy_sets_its_own_field() {
        let dscp = |value| Dscp::try_new(value).unwrap();
        let inner = Ipv4Header {
            dscp: dscp(10),
            ttl: 9,
            ..Ipv4Header::default()
        };
        let base = Outer::tunl0(ENDPOINTS);
        let unchanged = outer_of(base, inner);
        for (outer, expected) in [
            (
                Outer {
                    ttl: Ttl::Fixed(NonZeroU8::MAX),
                    ..base
                },
                Ipv4Header {
                    ttl: 255,
                    ..unchanged
                },
            ),
            (
                Outer {
                    dscp: DscpPolicy::Inherit,
                    ..base
                },
                Ipv4Header {
                    dscp: dscp(10),
                    ..unchanged
                },
            ),
            (
                Outer {
                    dscp: DscpPolicy::Fixed(dscp(63)),
                    ..base
                },
                Ipv4Header {
                    dscp: dscp(63),
                    ..unchanged
                },
            ),
            (
                Outer {
                    dont_fragment: DontFragment::Always,
                    ..base
                },
                Ipv4Header {
                    dont_fragment: true,
                    ..unchanged
                },
            ),
            (
                Outer {
                    identification: 0xbeef,
                    ..base
                },
                Ipv4Header {
                    identification: 0xbeef,
                    ..unchanged
                },
            ),
        ] {
            assert_eq!(outer_of(outer, inner), expected, "{outer:?}");
        }
    }

    #[test]
    fn ecn_at_entry() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        for (policy, outer) in [
            (EcnPolicy::Kernel, [NotEct, Ect1, Ect0, Ect0]),
            (EcnPolicy::Normal, [NotEct, Ect1, Ect0, Ce]),
            (EcnPolicy::Compatibility, [NotEct; 4]),
        ] {
            for (inner, expected) in [NotEct, Ect1, Ect0, Ce].into_iter().zip(outer) {
                let outer = Outer {
                    ecn: policy,
                    ..Outer::tunl0(ENDPOINTS)
                };
                let inner = Ipv4Header {
                    ecn: inner,
                    ..Ipv4Header::default()
                };
                assert_eq!(outer_of(outer, inner).ecn, expected, "{policy:?} {inner:?}");
            }
        }
    }
}
