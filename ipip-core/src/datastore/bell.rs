//! Waking those who wait for a change in the same process.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A bell that wakes everybody who waits for it. Ringing it costs a lock, and a system call only if
/// somebody waits.
#[derive(Debug, Default)]
pub(super) struct Bell {
    waiting: Mutex<usize>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // The number is right between any two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits. What they wait for has happened before.
    pub(super) fn ring(&self) {
        if *self.lock() > 0 {
            self.rung.notify_all();
        }
    }

    /// Calls `look`; if it finds nothing, waits until the bell rings or `longest` is over. A ring after
    /// the look is never missed, and the wait may end early.
    pub(super) fn look_or_wait<T, E>(
        &self,
        look: impl FnOnce() -> Result<Option<T>, E>,
        longest: Duration,
    ) -> Result<Option<T>, E> {
        let mut waiting = self.lock();
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        *waiting += 1;
        let waited = self.rung.wait_timeout(waiting, longest);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *waiting -= 1;
        Ok(None)
    }
}
