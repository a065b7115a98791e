//! What the store really holds, with all that it held before, and the store as an operation sees it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ipip_core::datastore::{
    Changes, Commit, Compare, Listing, Outcome, Record, Revision, Store, StoreError, Write,
};

use crate::coroutine::{Fault, Grant, Seat};

type Value = Option<Arc<[u8]>>;

/// Every value of every key, with the revision that wrote it.
#[derive(Debug, Default)]
pub struct Truth {
    versions: BTreeMap<String, Vec<(u64, Value)>>,
    revision: u64,
    /// What was committed and is not judged yet.
    pub unjudged: Vec<Committed>,
    /// How many calls there were.
    pub calls: u64,
}

/// One commit that took effect.
#[derive(Debug)]
pub struct Committed {
    /// Who made it.
    pub actor: usize,
    /// Key, value before, value after.
    pub changes: Vec<(String, Value, Value)>,
}

impl Truth {
    /// The value of `key` as it was `behind` revisions ago.
    fn at(&self, key: &str, behind: u64) -> Option<(u64, Arc<[u8]>)> {
        let versions = self.versions.get(key)?;
        let limit = self.revision.saturating_sub(behind);
        let (revision, value) = versions
            .iter()
            .rev()
            .find(|(revision, _)| *revision <= limit)?;
        Some((*revision, Arc::clone(value.as_ref()?)))
    }

    /// What is there now, by key.
    pub fn records(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.versions.iter().filter_map(|(key, versions)| {
            let (_, value) = versions.last()?;
            Some((key.as_str(), value.as_deref()?))
        })
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Absent(key) => self.at(key, 0).is_none(),
            Compare::Unchanged(key, revision) => self
                .at(key, 0)
                .is_some_and(|(found, _)| found == revision.0),
        }
    }

    fn write(&mut self, actor: usize, writes: Vec<Write>) {
        self.revision += 1;
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, after) = match write {
                Write::Put(key, value) => (key, Some(Arc::from(value))),
                Write::Delete(key) => (key, None),
            };
            let before = self.at(&key, 0).map(|(_, value)| value);
            if before.is_some() || after.is_some() {
                let versions = self.versions.entry(key.clone()).or_default();
                versions.push((self.revision, after.clone()));
                changes.push((key, before, after));
            }
        }
        self.unjudged.push(Committed { actor, changes });
    }
}

/// The store as one actor sees it: each call stops the actor's operation first.
#[derive(Debug)]
pub struct View {
    pub truth: Arc<Mutex<Truth>>,
    pub seat: Arc<Seat>,
    pub actor: usize,
}

impl View {
    fn call(&self) -> (Grant, MutexGuard<'_, Truth>) {
        let grant = self.seat.stop();
        let mut truth = self.truth.lock().expect("no operation panics");
        truth.calls += 1;
        (grant, truth)
    }

    fn below<T>(
        &self,
        prefix: &str,
        entry: impl Fn(&str, u64, Arc<[u8]>) -> T,
    ) -> Result<Listing<T>, StoreError> {
        let (grant, truth) = self.call();
        failed(grant)?;
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let keys = truth.versions.range::<str, _>(from).map(|(key, _)| key);
        let keys = keys.take_while(|key| key.starts_with(prefix));
        let found = keys.filter_map(|key| {
            let (revision, value) = truth.at(key, grant.behind)?;
            Some(entry(key, revision, value))
        });
        Ok(Listing {
            entries: found.collect(),
            revision: Revision(truth.revision.saturating_sub(grant.behind)),
        })
    }
}

fn record(key: &str, revision: u64, value: &[u8]) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_vec(),
        revision: Revision(revision),
    }
}

fn unknown() -> StoreError {
    StoreError::Unknown {
        path: "simulation".to_owned(),
        text: "no reply".to_owned(),
    }
}

fn failed(grant: Grant) -> Result<(), StoreError> {
    if grant.fault == Fault::Refused {
        let (path, text) = ("simulation".to_owned(), "no reply".to_owned());
        return Err(StoreError::Failed { path, text });
    }
    Ok(())
}

impl Store for View {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let (grant, truth) = self.call();
        failed(grant)?;
        Ok(truth
            .at(key, grant.behind)
            .map(|(revision, value)| record(key, revision, &value)))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.below(prefix, |key, revision, value| record(key, revision, &value))
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.below(prefix, |key, _, _| key.to_owned())
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check()?;
        let (grant, mut truth) = self.call();
        if grant.fault == Fault::Refused {
            return Err(unknown());
        }
        let held = commit.compares.iter().all(|compare| truth.holds(compare));
        if held {
            truth.write(self.actor, commit.writes);
        }
        let revision = Revision(truth.revision);
        drop(truth);
        match grant.fault {
            Fault::LostReply => return Err(unknown()),
            // The scheduler never lets it go on from here.
            Fault::DiesAfter => {
                self.seat.stop();
            }
            Fault::None | Fault::Refused => {}
        }
        Ok(if held {
            Outcome::Committed(revision)
        } else {
            Outcome::Conflict
        })
    }

    fn watch(&self, _: &str, after: Revision, _: Duration) -> Result<Changes, StoreError> {
        let oldest = Revision(self.truth.lock().expect("no operation panics").revision);
        Err(StoreError::Compacted { after, oldest })
    }
}
