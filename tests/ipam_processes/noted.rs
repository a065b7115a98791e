//! A store that writes to the log when a commit begins and ends.

use std::sync::Arc;
use std::time::Instant;

use ipip_core::datastore::{Commit, Outcome, Store, StoreError};

use crate::log::{Event, Log};
use crate::pass_on::pass_on;

/// The store of a worker.
#[derive(Debug)]
pub(crate) struct Noted<S> {
    pub(crate) store: S,
    pub(crate) log: Arc<Log>,
    pub(crate) worker: usize,
}

impl<S> Noted<S> {
    fn note(&self, event: &Event) {
        self.log.write(self.worker, event).unwrap();
    }
}

impl<S: Store> Store for Noted<S> {
    pass_on!([.store] get list list_keys watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.note(&Event::CommitBegins);
        let started = Instant::now();
        let outcome = self.store.commit(commit);
        self.note(&Event::CommitEnded(started.elapsed()));
        outcome
    }

    fn in_turn(&self, work: &mut dyn FnMut()) {
        self.store.in_turn(work);
    }
}
