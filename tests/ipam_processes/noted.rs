//! A store that writes to the log when a commit begins and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipip_core::datastore::{
    Changes, Commit, Listing, Outcome, Record, Revision, Store, StoreError,
};

use crate::log::{Event, Log};

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
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.store.get(key)
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.store.list(prefix)
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.store.list_keys(prefix)
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.note(&Event::CommitBegins);
        let started = Instant::now();
        let outcome = self.store.commit(commit);
        self.note(&Event::CommitEnded(started.elapsed()));
        outcome
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        self.store.watch(prefix, after, wait)
    }

    fn in_turn(&self, work: &mut dyn FnMut()) {
        self.store.in_turn(work);
    }
}
