//! A store that fails or hangs on demand, in front of one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ipip_core::datastore::{
    Changes, Commit, Listing, Memory, Outcome, Record, Revision, Store, StoreError,
};

#[derive(Debug)]
pub(crate) struct Unsteady {
    inner: Arc<Memory>,
    fails: AtomicBool,
    hangs: AtomicBool,
}

impl Unsteady {
    pub(crate) fn before(inner: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            fails: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
        })
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// Calls that begin from now on have no answer until this is taken back.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::Relaxed);
    }

    fn steady(&self) -> Result<&Memory, StoreError> {
        while self.hangs.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        if self.fails.load(Ordering::Relaxed) {
            let path = "memory".to_owned();
            let text = "out of reach".to_owned();
            return Err(StoreError::Unknown { path, text });
        }
        Ok(&self.inner)
    }
}

impl Store for Unsteady {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.steady()?.get(key)
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.steady()?.list(prefix)
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.steady()?.list_keys(prefix)
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.steady()?.commit(commit)
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        self.steady()?.watch(prefix, after, wait)
    }
}
