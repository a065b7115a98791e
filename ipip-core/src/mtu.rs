//! The MTU chain, subtracted exactly once.
//!
//! Two quantities are easily confused, so each has a type: what the underlay carries
//! ([`UnderlayMtu`], measured on the node's interface or route) and what is left inside the tunnel
//! ([`TunnelMtu`], set on `tunl0` and on every pod's interface). The only way from the first to the
//! second is [`UnderlayMtu::tunnel`].

use core::fmt;

/// Octets that IPIP adds to a packet: one IPv4 header without options (RFC 791, 5 words of 4).
pub const OVERHEAD: u32 = 20;

/// Octets that VXLAN adds, for comparison: inner Ethernet 14, VXLAN 8, UDP 8, outer IPv4 20 (RFC 7348).
pub const VXLAN_OVERHEAD: u32 = 50;

/// The smallest MTU that IPv4 allows, in octets: a 60-octet header and 8 octets of data
/// (<https://www.rfc-editor.org/rfc/rfc791#section-3.2>).
pub const IPV4_MIN: u32 = 68;

/// The largest packet that IPv4 can describe, in octets.
pub const IPV4_MAX: u32 = 65_535;

/// Largest packet that the underlay carries, in octets, outer header included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnderlayMtu(u32);

/// Largest packet inside the tunnel, in octets, outer header not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelMtu(u32);

/// An MTU outside what IPv4 in IPv4 can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{plane} MTU {octets} is outside {min} to {max} octets")]
pub struct MtuError {
    plane: &'static str,
    octets: u32,
    min: u32,
    max: u32,
}

impl UnderlayMtu {
    /// 1,500 octets, what Ethernet carries unless it is told otherwise (RFC 894).
    pub const ETHERNET: Self = Self(1500);

    /// An underlay MTU of `octets`, 88 (68 inside the tunnel) to 65,535.
    ///
    /// # Errors
    /// [`MtuError`] outside that range.
    pub fn try_new(octets: u32) -> Result<Self, MtuError> {
        check("underlay", octets, IPV4_MIN + OVERHEAD, IPV4_MAX).map(Self)
    }

    /// What is left inside the tunnel: 20 octets less.
    #[must_use]
    pub fn tunnel(self) -> TunnelMtu {
        TunnelMtu(self.0 - OVERHEAD)
    }

    /// The MTU in octets.
    #[must_use]
    pub fn octets(self) -> u32 {
        self.0
    }
}

impl TunnelMtu {
    /// A tunnel MTU of `octets`, 68 to 65,515.
    ///
    /// # Errors
    /// [`MtuError`] outside that range.
    pub fn try_new(octets: u32) -> Result<Self, MtuError> {
        check("tunnel", octets, IPV4_MIN, IPV4_MAX - OVERHEAD).map(Self)
    }

    /// The MTU in octets.
    #[must_use]
    pub fn octets(self) -> u32 {
        self.0
    }
}

/// Every MTU of a node, each derived from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MtuChain {
    /// What the underlay carries, in octets of outer packets.
    pub underlay: UnderlayMtu,
    /// What the tunnel device takes, in octets of inner packets: the underlay's less 20, or less than that
    /// where somebody asked for it, as on a path that carries less than its first interface.
    pub tunnel: TunnelMtu,
    /// What a workload's interface sends: the tunnel's, so that no packet is ever too large for it.
    pub workload: TunnelMtu,
}

/// An MTU was asked for that the underlay cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "tunnel MTU {wanted} is above {largest}, which is the underlay's {underlay} less {OVERHEAD} octets of outer header"
)]
pub struct MtuOverrideError {
    /// What was asked for, in octets.
    pub wanted: TunnelMtu,
    /// The most that fits, in octets.
    pub largest: TunnelMtu,
    /// What the underlay carries, in octets.
    pub underlay: UnderlayMtu,
}

impl MtuChain {
    /// The chain of an underlay, with the tunnel MTU that `wanted` says instead of the largest one.
    ///
    /// ```
    /// use ipip_core::mtu::{MtuChain, TunnelMtu, UnderlayMtu};
    /// assert_eq!(MtuChain::try_new(UnderlayMtu::ETHERNET, None)?.workload.octets(), 1480);
    /// let wanted = TunnelMtu::try_new(1481).unwrap();
    /// assert!(MtuChain::try_new(UnderlayMtu::ETHERNET, Some(wanted)).is_err());
    /// # Ok::<(), ipip_core::mtu::MtuOverrideError>(())
    /// ```
    ///
    /// # Errors
    /// [`MtuOverrideError`] if `wanted` does not fit into the underlay. What is too small for IPv4 is no
    /// [`TunnelMtu`] at all.
    pub fn try_new(
        underlay: UnderlayMtu,
        wanted: Option<TunnelMtu>,
    ) -> Result<Self, MtuOverrideError> {
        let largest = underlay.tunnel();
        let tunnel = wanted.unwrap_or(largest);
        if tunnel > largest {
            return Err(MtuOverrideError {
                wanted: tunnel,
                largest,
                underlay,
            });
        }
        Ok(Self {
            underlay,
            tunnel,
            workload: tunnel,
        })
    }
}

fn check(plane: &'static str, octets: u32, min: u32, max: u32) -> Result<u32, MtuError> {
    if (min..=max).contains(&octets) {
        Ok(octets)
    } else {
        Err(MtuError {
            plane,
            octets,
            min,
            max,
        })
    }
}

impl fmt::Display for UnderlayMtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TunnelMtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_is_subtracted_once() {
        assert_eq!(
            UnderlayMtu::try_new(1500).unwrap().tunnel(),
            TunnelMtu::try_new(1480).unwrap()
        );
    }

    #[test]
    fn what_is_asked_for_must_fit() {
        let (underlay, fits) = (UnderlayMtu::ETHERNET, TunnelMtu::try_new(1400).unwrap());
        let chain = MtuChain::try_new(underlay, Some(fits)).unwrap();
        assert_eq!((chain.tunnel, chain.workload), (fits, fits));
        let refused = MtuChain::try_new(underlay, TunnelMtu::try_new(1481).ok()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "tunnel MTU 1481 is above 1480, which is the underlay's 1500 less 20 octets of outer header"
        );
    }

    #[test]
    fn limits_are_named() {
        let text = UnderlayMtu::try_new(87).unwrap_err().to_string();
        assert_eq!(text, "underlay MTU 87 is outside 88 to 65535 octets");
        assert_eq!(UnderlayMtu::try_new(88).unwrap().tunnel().octets(), 68);
        assert!(TunnelMtu::try_new(67).is_err() && TunnelMtu::try_new(65_516).is_err());
    }
}
