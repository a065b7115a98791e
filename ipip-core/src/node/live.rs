//! What a node should hold by the cluster as it was read last.

use std::sync::Arc;

use crate::addr::Ipv4Prefix;
use crate::cluster::{Changed, View};
use crate::overlay::{self, LiveOverlay, LocalNode, Overlay, Policy};
use crate::peers::Peers;
use crate::plan::{Ownership, Route};

/// What the node should hold, kept up to date record by record, and for which node that is.
#[derive(Debug)]
pub(super) struct Live {
    local: LocalNode,
    policy: Policy,
    overlay: LiveOverlay,
    /// Who may send to it; `None` until asked for, and once something changed.
    peers: Option<Arc<Peers>>,
    /// All that it should hold, likewise.
    whole: Option<Arc<Overlay>>,
}

impl Live {
    pub(super) fn new(view: &View, local: &LocalNode, policy: Policy) -> Self {
        Self {
            overlay: LiveOverlay::new(view, local.clone(), policy.clone()),
            local: local.clone(),
            policy,
            peers: None,
            whole: None,
        }
    }

    /// Takes over what changed in `view`.
    pub(super) fn update(&mut self, view: &View, changed: &Changed) {
        if !changed.is_empty() {
            self.overlay.update(view, changed);
            (self.peers, self.whole) = (None, None);
        }
    }

    /// To find them takes longer than to read as many routes from the kernel.
    pub(super) fn peers(&mut self, view: &View) -> Arc<Peers> {
        let peers = || Arc::new(overlay::peers(view, &self.local.name));
        Arc::clone(self.peers.get_or_insert_with(peers))
    }

    pub(super) fn is_for(&self, local: &LocalNode, policy: &Policy) -> bool {
        self.local == *local && self.policy == *policy
    }

    /// The route that should be there for `prefix`.
    pub(super) fn route(&self, prefix: Ipv4Prefix) -> Option<&Route> {
        self.overlay.route(prefix)
    }

    /// All that should be there.
    pub(super) fn overlay(&mut self) -> Arc<Overlay> {
        let whole = || Arc::new(self.overlay.overlay());
        Arc::clone(self.whole.get_or_insert_with(whole))
    }

    /// What is ours.
    pub(super) fn ownership(&self, view: &View) -> Ownership {
        self.overlay.ownership(view)
    }
}
