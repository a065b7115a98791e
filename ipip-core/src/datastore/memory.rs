//! The store that ends with its process.

mod keys;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use keys::Keys;

use super::bell::Bell;
use super::store::{check_key, check_prefix};
use super::{
    Change, Changes, Commit, Compare, DEFAULT_HISTORY, Listing, Outcome, Record, Revision, Store,
    StoreError, Write,
};

/// A store in memory, for tests and tools that live shortly. Share it between threads in an
/// [`Arc`](std::sync::Arc).
///
/// ```
/// use ipip_core::datastore::{Commit, Memory, Outcome, Store};
/// let store = Memory::new();
/// let mut commit = Commit::new();
/// commit.expect("/a", None).put("/a", b"1".to_vec());
/// assert!(matches!(store.commit(commit.clone())?, Outcome::Committed(_)));
/// assert_eq!(store.commit(commit)?, Outcome::Conflict, "it is there now");
/// # Ok::<(), ipip_core::datastore::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Memory {
    inner: RwLock<Inner>,
    history: usize,
    changed: Bell,
}

#[derive(Debug, Default)]
struct Inner {
    /// By key: keys are long and much alike, so finding one in order takes many comparisons.
    records: HashMap<Arc<str>, Entry>,
    /// The keys of the records.
    keys: Keys,
    revision: Revision,
    /// The keys that each of the last commits changed; the last entry is that of `revision`.
    log: VecDeque<Vec<Arc<str>>>,
}

#[derive(Debug)]
struct Entry {
    /// The key again, to be shared by who notes it.
    key: Arc<str>,
    value: Arc<[u8]>,
    revision: Revision,
}

impl Memory {
    /// A store without records.
    #[must_use]
    pub fn new() -> Self {
        Self::with_history(DEFAULT_HISTORY)
    }

    /// A store that remembers for watchers what the last `commits` changed.
    #[must_use]
    pub fn with_history(commits: u32) -> Self {
        Self {
            inner: RwLock::default(),
            history: usize::try_from(commits).unwrap_or(usize::MAX),
            changed: Bell::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // A commit checks everything before its first write, so a panic leaves nothing half done.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&self, key: &str) -> Option<Record> {
        let entry = self.records.get(key)?;
        Some(Record {
            key: key.to_owned(),
            value: Arc::clone(&entry.value),
            revision: entry.revision,
        })
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Absent(key) => !self.records.contains_key(key.as_str()),
            Compare::Unchanged(key, revision) => {
                let entry = self.records.get(key.as_str());
                entry.is_some_and(|entry| entry.revision == *revision)
            }
        }
    }

    /// Does the write; the key if that changed anything.
    fn write(&mut self, write: Write, revision: Revision) -> Option<Arc<str>> {
        match write {
            Write::Put(key, value) => Some(self.put(key, value, revision)),
            Write::Delete(key) => {
                let (key, _) = self.records.remove_entry(key.as_str())?;
                self.keys.remove(&key);
                Some(key)
            }
        }
    }

    fn put(&mut self, key: String, value: Arc<[u8]>, revision: Revision) -> Arc<str> {
        if let Some(entry) = self.records.get_mut(key.as_str()) {
            entry.value = value;
            entry.revision = revision;
            return Arc::clone(&entry.key);
        }
        let key: Arc<str> = key.into();
        let entry = Entry {
            key: Arc::clone(&key),
            value,
            revision,
        };
        self.records.insert(Arc::clone(&key), entry);
        self.keys.insert(Arc::clone(&key));
        key
    }

    /// What is different below `prefix` than at `after`, each key once.
    fn changes(&self, prefix: &str, after: Revision) -> Result<Vec<Change>, StoreError> {
        let logged = u64::try_from(self.log.len()).unwrap_or(u64::MAX);
        let oldest = Revision(self.revision.0 - logged);
        if after < oldest || after > self.revision {
            return Err(StoreError::Compacted { after, oldest });
        }
        let mut seen = HashSet::new();
        let mut changes = Vec::new();
        let revisions = (after.0 + 1..=self.revision.0).rev();
        for (revision, keys) in revisions.zip(self.log.iter().rev()) {
            let below = keys.iter().filter(|key| key.starts_with(prefix));
            changes.extend(below.filter(|key| seen.insert(*key)).map(|key| Change {
                key: key.to_string(),
                value: self.records.get(key).map(|entry| Arc::clone(&entry.value)),
                revision: Revision(revision),
            }));
        }
        changes.sort_unstable_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
        Ok(changes)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn is_local(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        check_key(key)?;
        Ok(self.read().record(key))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        check_prefix(prefix)?;
        let inner = self.read();
        let keys = inner.keys.below(prefix).into_iter();
        let entries = keys.filter_map(|key| inner.record(key));
        Ok(Listing {
            entries: entries.collect(),
            revision: inner.revision,
        })
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        check_prefix(prefix)?;
        let inner = self.read();
        let keys = inner.keys.below(prefix).into_iter();
        Ok(Listing {
            entries: keys.map(|key| key.to_string()).collect(),
            revision: inner.revision,
        })
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check()?;
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !commit.compares.iter().all(|compare| inner.holds(compare)) {
            return Ok(Outcome::Conflict);
        }
        let revision = Revision(inner.revision.0 + 1);
        inner.revision = revision;
        let writes = commit.writes.into_iter();
        let changed = writes.filter_map(|write| inner.write(write, revision));
        let changed = changed.collect();
        inner.log.push_back(changed);
        if inner.log.len() > self.history {
            inner.log.pop_front();
        }
        drop(inner);
        self.changed.ring();
        Ok(Outcome::Committed(revision))
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        check_prefix(prefix)?;
        let started = Instant::now();
        loop {
            let left = wait.saturating_sub(started.elapsed());
            let look = || {
                let inner = self.read();
                let changes = inner.changes(prefix, after)?;
                let revision = inner.revision;
                let found = left.is_zero() || !changes.is_empty();
                Ok(found.then_some(Changes { changes, revision }))
            };
            if let Some(found) = self.changed.look_or_wait(look, left)? {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Memory, key: &str) -> Revision {
        let mut commit = Commit::new();
        commit.put(key, key.as_bytes().to_vec());
        match store.commit(commit).unwrap() {
            Outcome::Committed(revision) => revision,
            Outcome::Conflict => panic!("nothing was compared"),
        }
    }

    #[test]
    fn a_commit_happens_as_a_whole_or_not_at_all() {
        let store = Memory::new();
        let old = put(&store, "/a");
        let new = put(&store, "/a");
        assert!(new > old);
        for (compare, holds) in [
            (Compare::Unchanged("/a".into(), old), false),
            (Compare::Unchanged("/b".into(), new), false),
            (Compare::Absent("/a".into()), false),
            (Compare::Absent("/b".into()), true),
            (Compare::Unchanged("/a".into(), new), true),
        ] {
            let mut commit = Commit::new();
            commit
                .compares
                .extend([Compare::Absent("/z".into()), compare.clone()]);
            commit.put("/x", vec![]).delete("/y");
            put(&store, "/y");
            let done = store.commit(commit).unwrap() != Outcome::Conflict;
            assert_eq!(done, holds, "{compare:?}");
            assert_eq!(store.get("/x").unwrap().is_some(), holds, "{compare:?}");
            assert_eq!(store.get("/y").unwrap().is_none(), holds, "{compare:?}");
        }
    }

    #[test]
    fn a_list_holds_what_is_below_the_prefix_in_order() {
        let store = Memory::new();
        for key in ["/n/node10/b", "/n/node1/b", "/n/node1", "/n/node1/a", "/o"] {
            put(&store, key);
        }
        let keys = store.list_keys("/n/node1/").unwrap();
        assert_eq!(keys.entries, ["/n/node1/a", "/n/node1/b"]);
        assert_eq!(keys.revision, Revision(5));
        let records = store.list("/n/node1/").unwrap();
        assert_eq!(*records.entries[1].value, *b"/n/node1/b");
        assert_eq!(records.entries[1].revision, Revision(2));
        assert!(store.list("/none/").unwrap().entries.is_empty());
    }

    #[test]
    fn malformed_calls_are_refused() {
        let store = Memory::new();
        let prefix = "/n".to_owned();
        assert_eq!(store.list("/n"), Err(StoreError::Prefix { prefix }));
        assert!(store.list_keys("").is_err());
        let mut twice = Commit::new();
        twice.put("/a", vec![]).delete("/a");
        let key = "/a".to_owned();
        assert_eq!(store.commit(twice), Err(StoreError::WrittenTwice { key }));
        let mut empty = Commit::new();
        empty.expect("", None);
        assert_eq!(store.commit(empty), Err(StoreError::EmptyKey));
        assert_eq!(store.list("/").unwrap().entries, []);
    }

    fn told(store: &Memory, prefix: &str, after: u64) -> Vec<(String, bool, u64)> {
        let changes = store
            .watch(prefix, Revision(after), Duration::ZERO)
            .unwrap();
        assert_eq!(changes.revision, store.list("/").unwrap().revision);
        let changes = changes.changes.into_iter();
        changes
            .map(|c| (c.key, c.value.is_some(), c.revision.0))
            .collect()
    }

    #[test]
    fn a_watch_tells_each_key_once_as_it_is_now() {
        let store = Memory::with_history(4);
        for key in ["/n/b", "/n/a", "/o/a", "/n/b"] {
            put(&store, key);
        }
        let b = ("/n/b".to_owned(), true, 4);
        assert_eq!(
            told(&store, "/n/", 0),
            [("/n/a".to_owned(), true, 2), b.clone()]
        );
        assert_eq!(told(&store, "/n/", 2), [b]);
        assert_eq!(told(&store, "/n/", 4), []);
        let mut commit = Commit::new();
        commit.delete("/n/b").delete("/none");
        assert_eq!(store.commit(commit), Ok(Outcome::Committed(Revision(5))));
        assert_eq!(told(&store, "/", 3), [("/n/b".to_owned(), false, 5)]);
        for after in [0, 6] {
            let (after, oldest) = (Revision(after), Revision(1));
            let compacted = StoreError::Compacted { after, oldest };
            assert_eq!(store.watch("/n/", after, Duration::ZERO), Err(compacted));
        }
    }

    #[test]
    fn a_commit_wakes_a_watch() {
        let store = Memory::new();
        std::thread::scope(|scope| {
            let watch = || store.watch("/n/", Revision(0), Duration::MAX).unwrap();
            let waiting = scope.spawn(watch);
            put(&store, "/o");
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            put(&store, "/n/a");
            assert_eq!(waiting.join().unwrap().changes[0].revision, Revision(2));
        });
    }
}
