//! Parsed values, kept by key and revision: what stands under a key at a revision never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::datastore::Revision;
use crate::name::NodeName;
use crate::resource::{Block, BlockPrefix, Pool};

/// What an allocator remembers. Nothing here is believed before the store has told the revision
/// once more, so that a cache may be lost, or shared by threads, at any time.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pub(super) blocks: Shelf<Arc<Block>>,
    /// `None`: a pool that is not ours to use, of IPv6.
    pub(super) pools: Shelf<Option<Arc<Pool>>>,
    /// The block of each node from which an address was assigned last.
    latest: Mutex<HashMap<NodeName, BlockPrefix>>,
}

/// Values of one kind.
#[derive(Debug)]
pub(super) struct Shelf<T>(Mutex<HashMap<String, (Revision, T)>>);

/// So many values of a kind, or nodes, are kept: full blocks of /26 take about 20 kB each.
const ROOM: usize = 1024;

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Shelf<T> {
    /// The value of `key` at `revision`.
    pub(super) fn get(&self, key: &str, revision: Revision) -> Option<T> {
        let entries = lock(&self.0);
        let (kept, value) = entries.get(key)?;
        (*kept == revision).then(|| value.clone())
    }

    /// Keeps the value of `key` at `revision`, in place of an older one.
    pub(super) fn keep(&self, key: &str, revision: Revision, value: T) {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.get_mut(key) {
            *entry = (revision, value);
            return;
        }
        if entries.len() >= ROOM {
            entries.clear();
        }
        entries.insert(key.to_owned(), (revision, value));
    }

    /// Forgets `key`, so that whoever holds the value may be its only holder.
    pub(super) fn forget(&self, key: &str) {
        lock(&self.0).remove(key);
    }
}

impl Cache {
    pub(super) fn latest(&self, node: &NodeName) -> Option<BlockPrefix> {
        lock(&self.latest).get(node).copied()
    }

    pub(super) fn set_latest(&self, node: &NodeName, block: BlockPrefix) {
        let mut latest = lock(&self.latest);
        if let Some(entry) = latest.get_mut(node) {
            *entry = block;
            return;
        }
        if latest.len() >= ROOM {
            latest.clear();
        }
        latest.insert(node.clone(), block);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one insertion or removal, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_given_only_at_its_revision() {
        let shelf = Shelf::default();
        shelf.keep("/a", Revision(1), 'a');
        assert_eq!(shelf.get("/a", Revision(1)), Some('a'));
        assert_eq!(shelf.get("/a", Revision(2)), None);
        shelf.keep("/a", Revision(2), 'b');
        assert_eq!(shelf.get("/a", Revision(1)), None);
        shelf.forget("/a");
        assert_eq!(shelf.get("/a", Revision(2)), None);
    }

    #[test]
    fn a_shelf_does_not_grow_without_end() {
        let shelf = Shelf::default();
        for key in 0..=ROOM {
            shelf.keep(&key.to_string(), Revision(0), key);
        }
        assert_eq!(lock(&shelf.0).len(), 1);
        assert_eq!(shelf.get(&ROOM.to_string(), Revision(0)), Some(ROOM));
    }
}
