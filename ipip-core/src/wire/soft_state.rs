//! What the entry of a tunnel knows of the way through it, until it is too old
//! (<https://www.rfc-editor.org/rfc/rfc2003#section-5>).

use core::time::Duration;

use super::icmp_error::IcmpError;
use super::ipv4::Ipv4View;
use super::relay::{Relay, TunnelError};
use crate::mtu::TunnelMtu;

/// How long a smaller MTU is believed: "should be aged [...] 10 minutes"
/// (<https://www.rfc-editor.org/rfc/rfc1191#section-6.3>).
pub const MTU_LIFETIME: Duration = Duration::from_secs(600);

/// How long an unreachable exit is believed, unless it answers: long enough for one error to each
/// sender, short enough not to be in the way of what has recovered.
pub const UNREACHABLE_LIFETIME: Duration = Duration::from_secs(30);

/// The soft state of one tunnel. Time comes in, as what has passed since any moment that stays the same.
///
/// ```
/// use core::time::Duration;
/// use ipip_core::mtu::TunnelMtu;
/// use ipip_core::wire::TunnelState;
/// let state = TunnelState::new(TunnelMtu::try_new(1480).unwrap());
/// assert_eq!(state.mtu(Duration::from_secs(7)).octets(), 1480);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelState {
    configured: TunnelMtu,
    learned: Option<Aging<TunnelMtu>>,
    owed: Option<Aging<IcmpError>>,
}

/// Something and when it was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aging<T> {
    value: T,
    at: Duration,
}

impl<T: Copy> Aging<T> {
    /// The value, unless it is older than `lifetime`. A clock that went back makes it new.
    fn get(self, now: Duration, lifetime: Duration) -> Option<T> {
        (now.saturating_sub(self.at) < lifetime).then_some(self.value)
    }
}

impl TunnelState {
    /// Nothing learnt yet; `configured` is the MTU of the tunnel device, never exceeded.
    #[must_use]
    pub fn new(configured: TunnelMtu) -> Self {
        Self {
            configured,
            learned: None,
            owed: None,
        }
    }

    /// The tunnel's MTU at the time `now`.
    #[must_use]
    pub fn mtu(&self, now: Duration) -> TunnelMtu {
        let learned = self.learned.and_then(|mtu| mtu.get(now, MTU_LIFETIME));
        learned.map_or(self.configured, |mtu| mtu.min(self.configured))
    }

    /// Learns the MTU that `error` tells, if it tells one: ICMP lowers it and never raises it
    /// (<https://www.rfc-editor.org/rfc/rfc1191#section-3>). Returns the MTU from now on.
    pub fn learn_mtu(&mut self, error: &TunnelError<'_>, now: Duration) -> TunnelMtu {
        let before = self.mtu(now);
        if let Some(value) = error.mtu()
            && value <= before
        {
            self.learned = Some(Aging { value, at: now });
        }
        self.mtu(now)
    }

    /// Keeps what cannot be sent yet; other outcomes change nothing.
    ///
    /// "Fragmentation needed" is not kept: [`Self::check`] says so of any packet that is too long.
    pub fn remember(&mut self, relay: Relay, now: Duration) {
        match relay {
            Relay::Remember(IcmpError::FragmentationNeeded { .. }) => {}
            Relay::Remember(value) => self.owed = Some(Aging { value, at: now }),
            Relay::Send(_) | Relay::Keep => {}
        }
    }

    /// What the sender of `inner` has to be told instead of its being carried, if anything: that it is too
    /// long and must stay whole, with exactly the tunnel's MTU, or what could not be told before.
    ///
    /// A packet that is too long and may be cut is to be cut, see [`Fragments`](super::Fragments).
    ///
    /// # Errors
    /// The ICMP error to send, if the packet [may be answered](super::Quoted::may_be_answered). What was
    /// kept is told once.
    pub fn check(&mut self, inner: &Ipv4View<'_>, now: Duration) -> Result<(), IcmpError> {
        let owed = self.owed.take();
        if let Some(error) = owed.and_then(|owed| owed.get(now, UNREACHABLE_LIFETIME)) {
            return Err(error);
        }
        let mtu = self.mtu(now).octets();
        if inner.dont_fragment() && u32::from(inner.total_len()) > mtu {
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            return Err(IcmpError::FragmentationNeeded { mtu });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::NodeAddr;
    use crate::wire::{Endpoints, IcmpErrorView, Ipv4Header, Layer, protocol};

    const ENDPOINTS: Endpoints = Endpoints {
        local: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 3)),
        remote: NodeAddr(core::net::Ipv4Addr::new(172, 18, 0, 2)),
    };

    fn tunnel_mtu(octets: u32) -> TunnelMtu {
        TunnelMtu::try_new(octets).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Learns that the next hop's MTU is `mtu`, from an outer packet of 1500 octets; returns the result.
    fn learn(state: &mut TunnelState, mtu: u16, now: Duration) -> u32 {
        let outer = Ipv4Header {
            protocol: protocol::IPIP,
            source: ENDPOINTS.local.0,
            destination: ENDPOINTS.remote.0,
            ..Ipv4Header::default()
        };
        let quoted = outer.to_octets(1480).unwrap();
        let mut buffer = [0; 100];
        let len = IcmpError::FragmentationNeeded { mtu }
            .emit(ENDPOINTS.remote.0, &quoted, &mut buffer)
            .unwrap();
        let view = IcmpErrorView::parse(&buffer[20..len]).unwrap();
        let error = TunnelError::parse(&view, &ENDPOINTS).unwrap();
        state.learn_mtu(&error, now).octets()
    }

    /// What the sender of a packet of `len` octets is told.
    fn check(
        state: &mut TunnelState,
        len: usize,
        df: bool,
        now: Duration,
    ) -> Result<(), IcmpError> {
        let mut octets = vec![0; len];
        let header = Ipv4Header {
            dont_fragment: df,
            ..Ipv4Header::default()
        };
        header.emit(&mut octets).unwrap();
        state.check(&Ipv4View::parse(&octets, Layer::Inner).unwrap(), now)
    }

    #[test]
    fn rfc1191_section_3_an_mtu_is_lowered_and_never_raised() {
        let mut state = TunnelState::new(tunnel_mtu(1480));
        assert_eq!(learn(&mut state, 1499, seconds(0)), 1479);
        assert_eq!(learn(&mut state, 1400, seconds(1)), 1380);
        assert_eq!(learn(&mut state, 1450, seconds(2)), 1380);
        // Below a smaller configured one nothing is learnt.
        let mut small = TunnelState::new(tunnel_mtu(1000));
        assert_eq!(learn(&mut small, 1400, seconds(0)), 1000);
        assert_eq!(small, TunnelState::new(tunnel_mtu(1000)));
    }

    #[test]
    fn rfc1191_section_6_3_a_learned_mtu_ages_from_when_it_was_last_told() {
        let mut state = TunnelState::new(tunnel_mtu(1480));
        learn(&mut state, 1400, seconds(100));
        assert_eq!(state.mtu(seconds(699)).octets(), 1380);
        assert_eq!(state.mtu(seconds(700)).octets(), 1480);
        assert_eq!(
            state.mtu(seconds(0)).octets(),
            1380,
            "a clock that went back"
        );
        learn(&mut state, 1400, seconds(600));
        assert_eq!(state.mtu(seconds(1199)).octets(), 1380);
        // Once it is old, a larger one may be learnt.
        assert_eq!(learn(&mut state, 1450, seconds(1200)), 1430);
    }

    #[test]
    fn rfc2003_section_5_1_too_long_with_df_is_told_exactly_the_tunnels_mtu() {
        let mut state = TunnelState::new(tunnel_mtu(1480));
        let now = seconds(5);
        let needed = |mtu| Err(IcmpError::FragmentationNeeded { mtu });
        assert_eq!(check(&mut state, 1480, true, now), Ok(()));
        assert_eq!(check(&mut state, 1481, true, now), needed(1480));
        assert_eq!(check(&mut state, 1481, false, now), Ok(()));
        learn(&mut state, 1400, now);
        assert_eq!(check(&mut state, 1380, true, now), Ok(()));
        assert_eq!(check(&mut state, 1381, true, now), needed(1380));
    }

    #[test]
    fn rfc2003_section_5_what_could_not_be_told_is_told_once_and_not_too_late() {
        let mut state = TunnelState::new(tunnel_mtu(1480));
        let owed = Relay::Remember(IcmpError::HOST_UNREACHABLE);
        state.remember(owed, seconds(0));
        state.remember(Relay::Keep, seconds(1));
        state.remember(Relay::Send(IcmpError::NET_UNREACHABLE), seconds(1));
        let needed = Relay::Remember(IcmpError::FragmentationNeeded { mtu: 100 });
        state.remember(needed, seconds(1));
        let told = check(&mut state, 40, true, seconds(29));
        assert_eq!(told, Err(IcmpError::HOST_UNREACHABLE));
        assert_eq!(check(&mut state, 40, true, seconds(29)), Ok(()));
        state.remember(owed, seconds(30));
        assert_eq!(check(&mut state, 40, true, seconds(60)), Ok(()));
    }
}
