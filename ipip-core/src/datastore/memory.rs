//! The store that ends with its process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::store::check_prefix;
use super::{Commit, Compare, Listing, Outcome, Record, Revision, Store, StoreError, Write};

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
#[derive(Debug, Default)]
pub struct Memory {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<String, (Vec<u8>, Revision)>,
    revision: Revision,
}

impl Memory {
    /// A store without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // A commit checks everything before its first write, so a panic leaves nothing half done.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a (Vec<u8>, Revision))> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let records = self.records.range::<str, _>(from);
        records.take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Absent(key) => !self.records.contains_key(key),
            Compare::Unchanged(key, revision) => {
                self.records.get(key).is_some_and(|(_, r)| r == revision)
            }
        }
    }
}

fn record(key: &str, (value, revision): &(Vec<u8>, Revision)) -> Record {
    Record {
        key: key.to_owned(),
        value: value.clone(),
        revision: *revision,
    }
}

impl Store for Memory {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.read().records.get(key).map(|entry| record(key, entry)))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        check_prefix(prefix)?;
        let inner = self.read();
        let entries = inner.below(prefix).map(|(key, entry)| record(key, entry));
        Ok(Listing {
            entries: entries.collect(),
            revision: inner.revision,
        })
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        check_prefix(prefix)?;
        let inner = self.read();
        Ok(Listing {
            entries: inner.below(prefix).map(|(key, _)| key.clone()).collect(),
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
        for write in commit.writes {
            match write {
                Write::Put(key, value) => {
                    inner.records.insert(key, (value, revision));
                }
                Write::Delete(key) => {
                    inner.records.remove(&key);
                }
            }
        }
        Ok(Outcome::Committed(revision))
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
        assert_eq!(records.entries[1].value, b"/n/node1/b");
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
}
