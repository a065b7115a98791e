//! Parsed values, kept by key and revision: what stands under a key at a revision never changes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decide::is_owned_by;
use super::read::Stored;
use crate::datastore::Revision;
use crate::name::NodeName;
use crate::resource::{Block, BlockPrefix, Pool};

/// What an allocator remembers. Nothing here is believed before the store has told the revision
/// once more, be it by a commit that compares it, so that a cache may be lost, or shared by threads,
/// at any time.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) blocks: Shelf<BlockPrefix, Arc<Block>>,
    /// By key; `None`: a pool that is not ours to use, of IPv6.
    pub(super) pools: Shelf<String, Option<Arc<Pool>>>,
    /// From where an address of each node was assigned last.
    latest: Mutex<HashMap<NodeName, Latest>>,
    /// The owners of blocks that have no free address and none that cools down. Whoever looks through a
    /// node's blocks meets more of these than are remembered whole.
    full: Shelf<BlockPrefix, NodeName>,
}

/// A block of a node from which an address was assigned.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    pub(super) block: BlockPrefix,
    /// When the node's claim was written, which was confirmed.
    pub(super) claim: Revision,
    /// The pool of the block.
    pub(super) pool: Stored<Arc<Pool>>,
}

/// Values of one kind.
#[derive(Debug)]
pub(super) struct Shelf<K, T> {
    kept: Mutex<Generations<K, T>>,
    /// So many values are kept in each generation.
    room: usize,
}

/// What was used since the shelf was full, and what was before.
#[derive(Debug)]
struct Generations<K, T> {
    young: HashMap<K, (Revision, T)>,
    old: HashMap<K, (Revision, T)>,
}

/// So many blocks, and pools, are kept in each generation. A full block of /26 takes 37 kB as it was read,
/// 82 kB once it was written, and 123 kB if all its attributes were listed (`cargo bench --bench ipam --
/// block` counts it), so that all blocks take 38 MB, 84 MB and 126 MB at most. A pool of a /16 has as many.
const ROOM: usize = 512;

/// So many full blocks are known in each generation, about a hundred octets each.
const FULL: usize = 8192;

/// So many nodes are kept, a few hundred octets each.
const NODES: usize = 2048;

impl Default for Cache {
    fn default() -> Self {
        Self {
            blocks: Shelf::new(ROOM),
            pools: Shelf::new(ROOM),
            latest: Mutex::default(),
            full: Shelf::new(FULL),
        }
    }
}

impl<K, T> Shelf<K, T> {
    fn new(room: usize) -> Self {
        let kept = Mutex::new(Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        });
        Self { kept, room }
    }
}

impl<K: Hash + Eq, T: Clone> Shelf<K, T> {
    /// The value of `key` at `revision`.
    pub(super) fn get<Q>(&self, key: &Q, revision: Revision) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (kept, value) = self.latest(key)?;
        (kept == revision).then_some(value)
    }

    /// The value of `key` and its revision, which may have passed.
    pub(super) fn latest<Q>(&self, key: &Q) -> Option<(Revision, T)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut shelf = lock(&self.kept);
        if let Some((key, entry)) = shelf.old.remove_entry(key) {
            shelf.keep(key, entry, self.room);
        }
        shelf.young.get(key).cloned()
    }

    /// Keeps the value of `key` at `revision`, in place of an older one.
    pub(super) fn keep(&self, key: K, revision: Revision, value: T) {
        let mut shelf = lock(&self.kept);
        if let Some(entry) = shelf.young.get_mut(&key) {
            *entry = (revision, value);
            return;
        }
        shelf.old.remove(&key);
        shelf.keep(key, (revision, value), self.room);
    }

    /// Forgets `key`, so that whoever holds the value may be its only holder.
    pub(super) fn forget(&self, key: &K) {
        let mut shelf = lock(&self.kept);
        if shelf.young.remove(key).is_none() {
            shelf.old.remove(key);
        }
    }
}

impl<K: Hash + Eq, T> Generations<K, T> {
    /// Adds what is not among the young ones.
    fn keep(&mut self, key: K, entry: (Revision, T), room: usize) {
        if self.young.len() >= room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

impl Cache {
    pub(super) fn latest(&self, node: &NodeName) -> Option<Latest> {
        lock(&self.latest).get(node).cloned()
    }

    pub(super) fn set_latest(&self, node: &NodeName, latest: Latest) {
        let mut all = lock(&self.latest);
        if let Some(entry) = all.get_mut(node) {
            *entry = latest;
            return;
        }
        if all.len() >= NODES {
            all.clear();
        }
        all.insert(node.clone(), latest);
    }

    /// Whether `prefix` at `revision` is a block of `node` that has nothing to give.
    pub(super) fn is_full(&self, prefix: BlockPrefix, revision: Revision, node: &NodeName) -> bool {
        self.full.get(&prefix, revision).as_ref() == Some(node)
    }

    /// Notes `block` at `revision` if it is a block of `node` that has nothing to give: to nobody, and
    /// not later either, until it is written again.
    pub(super) fn note_if_full(&self, block: &Block, revision: Revision, node: &NodeName) {
        if block.free_count() == 0 && !block.has_cooling() && is_owned_by(block, node) {
            self.full.keep(block.prefix(), revision, node.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one insertion or removal, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Affinity, Attribute, Release, Sequence};
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_value_is_given_only_at_its_revision() {
        let shelf = Shelf::new(ROOM);
        shelf.keep("/a".to_owned(), Revision(1), 'a');
        assert_eq!(shelf.get("/a", Revision(1)), Some('a'));
        assert_eq!(shelf.get("/a", Revision(2)), None);
        shelf.keep("/a".to_owned(), Revision(2), 'b');
        assert_eq!(shelf.get("/a", Revision(1)), None);
        shelf.forget(&"/a".to_owned());
        assert_eq!(shelf.get("/a", Revision(2)), None);
    }

    #[test]
    fn only_a_block_with_nothing_to_give_is_known_as_full() {
        let [node, other] = ["a", "b"].map(|name| NodeName::try_new(name).unwrap());
        let prefix: BlockPrefix = "10.0.0.0/31".parse().unwrap();
        let block = |owner: &NodeName, assigned: usize| {
            let owner = Affinity::Host(owner.clone());
            let mut block = Block::new(prefix, Sequence(0)).claimed_by(owner, UNIX_EPOCH);
            let _ = block.assign_many(assigned, &Attribute::default(), |_| false);
            block
        };
        let mut cooling = block(&node, 2);
        let release = Release::of("10.0.0.1".parse().unwrap());
        cooling.release_many(&[release], Some(UNIX_EPOCH)).unwrap();
        assert_eq!(cooling.free_count(), 0);
        for (block, full) in [
            (block(&node, 2), true),
            (block(&node, 1), false),
            (block(&other, 2), false),
            (cooling, false),
        ] {
            let cache = Cache::default();
            cache.note_if_full(&block, Revision(7), &node);
            assert_eq!(cache.is_full(prefix, Revision(7), &node), full, "{block:?}");
            assert!(!cache.is_full(prefix, Revision(8), &node));
            assert!(!cache.is_full(prefix, Revision(7), &other));
        }
    }

    #[test]
    fn a_shelf_does_not_grow_without_end() {
        let shelf = Shelf::new(ROOM);
        shelf.keep("used".to_owned(), Revision(0), 0);
        for key in 0..10 * ROOM {
            shelf.keep(key.to_string(), Revision(0), key);
            assert_eq!(
                shelf.get("used", Revision(0)),
                Some(0),
                "what is used stays"
            );
        }
        let kept = lock(&shelf.kept);
        assert!(kept.young.len() <= ROOM && kept.old.len() <= ROOM);
    }
}
