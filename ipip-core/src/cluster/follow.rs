//! Reading the cluster, and following it.
//!
//! Nodes and pools stand far from the blocks among Calico's keys. Each of the three is listed by itself,
//! since what lies between (a handle for each workload) is many times as much; but all are watched as one,
//! so that the view always shows the store as it was at one revision.

use std::time::{Duration, Instant};

use super::view::WATCHED;
use super::{Changed, ClusterError, View};
use crate::datastore::{Changes, Record, Revision, Store, StoreError, key};

/// How often everything is listed before a store is given up that forgets faster than it lists.
const ATTEMPTS: usize = 3;

impl View {
    /// The cluster as `store` has it now.
    ///
    /// ```
    /// use ipip_core::{cluster::View, datastore::Memory};
    /// use std::time::Duration;
    /// let store = Memory::new();
    /// let mut view = View::load(&store)?;
    /// assert!(view.update(&store, Duration::ZERO)?.is_empty());
    /// # Ok::<(), ipip_core::cluster::ClusterError>(())
    /// ```
    ///
    /// # Errors
    /// [`ClusterError::Store`] if the store cannot be read. A damaged record is no error: see
    /// [`View::faults`].
    pub fn load(store: &dyn Store) -> Result<Self, ClusterError> {
        let mut view = Self::default();
        view.relist(store)?;
        Ok(view)
    }

    /// Takes over what changed since the last call, and says which records it was; waits up to `wait`
    /// for the first of them. Where the store no longer knows, everything is read again and compared.
    ///
    /// # Errors
    /// [`ClusterError::Store`] if the store cannot be read; the view is as it was.
    pub fn update(&mut self, store: &dyn Store, wait: Duration) -> Result<Changed, ClusterError> {
        let started = Instant::now();
        let mut changed = Changed::default();
        loop {
            let left = wait.saturating_sub(started.elapsed());
            match store.watch(WATCHED, self.revision, left) {
                Ok(changes) => self.take_over(changes, &mut changed),
                Err(StoreError::Compacted { .. }) => return self.relist(store),
                Err(source) => return Err(failed("watched", source)),
            }
            // Most of what changes below the prefix is none of the view's, such as handles.
            if !changed.is_empty() || started.elapsed() >= wait {
                return Ok(changed);
            }
        }
    }

    /// Reads everything, and answers the difference.
    fn relist(&mut self, store: &dyn Store) -> Result<Changed, ClusterError> {
        let mut changed = Changed {
            relisted: true,
            ..Changed::default()
        };
        for attempt in 1.. {
            let (records, oldest) = list(store)?;
            // What changed while the lists were made is told, as it is now, by a watch from the first.
            let since = match store.watch(WATCHED, oldest, Duration::ZERO) {
                Ok(since) => since,
                Err(StoreError::Compacted { .. }) if attempt < ATTEMPTS => continue,
                Err(source) => return Err(failed("watched", source)),
            };
            let present = records.iter().map(|record| record.key.as_str()).collect();
            for key in self.keys_missing_in(&present) {
                self.apply(&key, None, &mut changed);
            }
            for record in &records {
                self.apply(&record.key, Some(&record.value), &mut changed);
            }
            self.take_over(since, &mut changed);
            break;
        }
        Ok(changed)
    }

    fn take_over(&mut self, changes: Changes, changed: &mut Changed) {
        for change in &changes.changes {
            self.apply(&change.key, change.value.as_deref(), changed);
        }
        self.revision = changes.revision;
    }
}

/// The records of the three lists, and the revision of the first.
fn list(store: &dyn Store) -> Result<(Vec<Record>, Revision), ClusterError> {
    let (mut records, mut oldest) = (Vec::new(), None);
    for prefix in [key::node_prefix(), key::pool_prefix(), key::block_prefix()] {
        let listing = store.list(prefix);
        let listing = listing.map_err(|source| failed("listed", source))?;
        oldest.get_or_insert(listing.revision);
        records.extend(listing.entries);
    }
    Ok((records, oldest.unwrap_or_default()))
}

fn failed(operation: &'static str, source: StoreError) -> ClusterError {
    ClusterError::Store { operation, source }
}
