//! The course of long work: by when it should be over, and who hears how far it is.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// By when work should be over, and who hears how far it is. It ends between two batches and never before the
/// first, so whoever takes it up again and again comes to its end, however short the time. By default
/// there is time for everything, and nobody hears.
#[derive(Clone, Default)]
pub struct Course {
    end: Option<Instant>,
    begun: bool,
    listener: Option<Listener>,
    /// What is done, of how much that is expected; counted where somebody hears of it.
    done: usize,
    total: usize,
}

/// Hears how much is done, of how much.
type Listener = Arc<dyn Fn(usize, usize) + Send + Sync>;

impl Course {
    /// The time is over at `end`.
    #[must_use]
    pub fn until(end: Instant) -> Self {
        Self {
            end: Some(end),
            ..Self::default()
        }
    }

    /// Whether the time is over, so that no further batch is to be begun.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.begun && self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// The first batch was sent, or another since.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The same, and `listener` hears of every batch that was answered.
    pub(crate) fn with_listener(self, listener: Listener) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    /// So much more is to come.
    pub(crate) fn expect(&mut self, more: usize) {
        self.total += more;
    }

    /// So much more is done.
    pub(crate) fn count(&mut self, more: usize) {
        self.reach(self.done + more);
    }

    /// How much is done.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// So much is done in all.
    pub(super) fn reach(&mut self, done: usize) {
        // What was tried twice counts once.
        let done = done.min(self.total);
        let Some(listener) = self.listener.as_ref().filter(|_| done > self.done) else {
            return;
        };
        self.done = done;
        listener(done, self.total);
    }
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course")
            .field("end", &self.end)
            .field("begun", &self.begun)
            .field("done", &self.done)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
