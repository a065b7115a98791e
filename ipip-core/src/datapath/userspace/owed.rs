//! What routers of the underlay said of a way when they quoted too little to tell whose packet it was: the sender of
//! the next packet for that node hears it (<https://www.rfc-editor.org/rfc/rfc2003#section-4>).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::addr::NodeAddr;
use crate::mtu::TunnelMtu;
use crate::wire::{IcmpError, Ipv4View, Layer, Quoted, Relay, TunnelState, UNREACHABLE_LIFETIME};

/// The soft state of the tunnels of which something is owed: no more than there are other nodes, and each for
/// [`UNREACHABLE_LIFETIME`].
#[derive(Debug)]
pub(super) struct Owed {
    /// Whether there is any, which is all that a packet asks as a rule.
    any: AtomicBool,
    tunnels: Mutex<BTreeMap<NodeAddr, Kept>>,
    start: Instant,
}

#[derive(Debug)]
struct Kept {
    state: TunnelState,
    at: Duration,
}

impl Owed {
    pub(super) fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            tunnels: Mutex::default(),
            start: Instant::now(),
        }
    }

    /// Keeps what `relay` says of the tunnel to `node`, which is a known one, whose MTU is `mtu`.
    pub(super) fn keep(&self, node: NodeAddr, relay: Relay, mtu: TunnelMtu) {
        let at = self.start.elapsed();
        let mut state = TunnelState::new(mtu);
        state.remember(relay, at);
        // An MTU, which the kernel keeps with its route, leaves it as it was.
        if state == TunnelState::new(mtu) {
            return;
        }
        let mut tunnels = self.tunnels();
        tunnels.insert(node, Kept { state, at });
        self.any.store(true, Ordering::Relaxed);
    }

    /// What the sender of `inner` has to hear instead of its packet being carried to `node`: once, and only who may
    /// be answered.
    pub(super) fn take(&self, node: NodeAddr, inner: &[u8]) -> Option<IcmpError> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let now = self.start.elapsed();
        let mut tunnels = self.tunnels();
        tunnels.retain(|_, kept| now.saturating_sub(kept.at) < UNREACHABLE_LIFETIME);
        let quoted = Quoted::parse(inner, Layer::Inner).ok();
        let is_owed = quoted.is_some_and(|quoted| quoted.may_be_answered());
        let kept = is_owed.then(|| tunnels.remove(&node)).flatten();
        self.any.store(!tunnels.is_empty(), Ordering::Relaxed);
        let view = Ipv4View::parse(inner, Layer::Inner).ok()?;
        kept?.state.check(&view, now).err()
    }

    /// Each entry is whole whatever a panicking writer did.
    fn tunnels(&self) -> MutexGuard<'_, BTreeMap<NodeAddr, Kept>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
