//! A store that fails or hangs on demand, in front of one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ipip_core::datastore::{Memory, Store, StoreError};

use crate::pass_on::pass_on;

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
    pass_on!([.steady()?] get list list_keys commit watch);
}
