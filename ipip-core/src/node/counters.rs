//! What a node did since its value was made, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a node did since its value was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCounters {
    /// How often it compared what is with what should be.
    pub passes: u64,
    /// Passes that ended early, as the store or the kernel could not be read.
    pub errors: u64,
    /// Steps that were carried out.
    pub applied: u64,
    /// Steps that the kernel refused.
    pub failed: u64,
    /// Objects of others that were in the way; one that stays is counted in each pass.
    pub conflicts: u64,
    /// Changes in the kernel that were told.
    pub events: u64,
    /// Changes in the store that were told.
    pub changes: u64,
    /// Passes for which nothing was told: the time had come, or something told was lost.
    pub resyncs: u64,
    /// Passes whose time was over before their work.
    pub cut_short: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passes: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) applied: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) resyncs: AtomicU64,
    pub(super) cut_short: AtomicU64,
}

impl Tally {
    pub(super) fn read(&self) -> NodeCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NodeCounters {
            passes: read(&self.passes),
            errors: read(&self.errors),
            applied: read(&self.applied),
            failed: read(&self.failed),
            conflicts: read(&self.conflicts),
            events: read(&self.events),
            changes: read(&self.changes),
            resyncs: read(&self.resyncs),
            cut_short: read(&self.cut_short),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    counter.fetch_add(count, Ordering::Relaxed);
}
