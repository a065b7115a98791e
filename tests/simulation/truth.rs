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
pub(crate) struct Truth {
    versions: BTreeMap<String, Vec<(u64, Value)>>,
    pub(crate) revision: u64,
    /// What was committed and is not judged yet.
    pub(crate) unjudged: Vec<Committed>,
    /// Commits that were sent and did not arrive yet: whose, and by which of its operations.
    pub(crate) on_the_way: Vec<(usize, u64, Commit)>,
    /// How many calls there were.
    pub(crate) calls: u64,
    /// By actor.
    pub(crate) sessions: Vec<Session>,
    /// Whether what an actor reads is never older than what it read or wrote before.
    pub(crate) ordered: bool,
}

/// What an actor has seen of the store.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Session {
    /// The newest revision that it saw.
    floor: u64,
    /// The oldest that its operation may have seen.
    pub(crate) oldest: u64,
    /// The number of its operation.
    pub(crate) operation: u64,
}

/// One commit that took effect.
#[derive(Debug)]
pub(crate) struct Committed {
    /// Who made it.
    pub(crate) actor: usize,
    /// The number of the operation that made it.
    pub(crate) operation: u64,
    pub(crate) revision: u64,
    /// Key, value before, value after.
    pub(crate) changes: Vec<(String, Value, Value)>,
}

impl Truth {
    pub(crate) fn new(actors: usize, ordered: bool) -> Self {
        Self {
            sessions: vec![Session::default(); actors],
            ordered,
            ..Self::default()
        }
    }

    /// The value of `key` as it was at the revision `limit`.
    fn at(&self, key: &str, limit: u64) -> Option<(u64, Arc<[u8]>)> {
        let versions = self.versions.get(key)?;
        let (revision, value) = versions
            .iter()
            .rev()
            .find(|(revision, _)| *revision <= limit)?;
        Some((*revision, Arc::clone(value.as_ref()?)))
    }

    /// The revision that `actor` sees now, at most `behind` others.
    fn seen(&mut self, actor: usize, behind: u64) -> u64 {
        let session = &mut self.sessions[actor];
        let mut seen = self.revision.saturating_sub(behind);
        if self.ordered {
            seen = seen.max(session.floor);
            session.floor = seen;
        }
        session.oldest = session.oldest.min(seen);
        seen
    }

    /// Begins the operation `number` of `actor`.
    pub(crate) fn begin(&mut self, actor: usize, number: u64) {
        self.sessions[actor].operation = number;
        self.sessions[actor].oldest = self.revision;
    }

    /// A commit arrives that was on the way.
    pub(crate) fn arrive(&mut self, number: usize) {
        let (actor, operation, commit) = self.on_the_way.swap_remove(number);
        if commit.compares.iter().all(|compare| self.holds(compare)) {
            self.write(actor, operation, commit.writes);
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Absent(key) => self.at(key, u64::MAX).is_none(),
            Compare::Unchanged(key, revision) => self
                .at(key, u64::MAX)
                .is_some_and(|(found, _)| found == revision.0),
        }
    }

    fn write(&mut self, actor: usize, operation: u64, writes: Vec<Write>) {
        self.revision += 1;
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, after) = match write {
                Write::Put(key, value) => (key, Some(value)),
                Write::Delete(key) => (key, None),
            };
            let before = self.at(&key, u64::MAX).map(|(_, value)| value);
            if before.is_some() || after.is_some() {
                let versions = self.versions.entry(key.clone()).or_default();
                versions.push((self.revision, after.clone()));
                changes.push((key, before, after));
            }
        }
        self.unjudged.push(Committed {
            actor,
            operation,
            revision: self.revision,
            changes,
        });
    }
}

/// The store as one actor sees it: each call stops the actor's operation first.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) truth: Arc<Mutex<Truth>>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) actor: usize,
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
        let (grant, mut truth) = self.call();
        failed(grant)?;
        let seen = truth.seen(self.actor, grant.behind);
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let keys = truth.versions.range::<str, _>(from).map(|(key, _)| key);
        let keys = keys.take_while(|key| key.starts_with(prefix));
        let found = keys.filter_map(|key| {
            let (revision, value) = truth.at(key, seen)?;
            Some(entry(key, revision, value))
        });
        Ok(Listing {
            entries: found.collect(),
            revision: Revision(seen),
        })
    }
}

fn record(key: &str, revision: u64, value: Arc<[u8]>) -> Record {
    Record {
        key: key.to_owned(),
        value,
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
    if matches!(grant.fault, Fault::Refused | Fault::OnTheWay) {
        let (path, text) = ("simulation".to_owned(), "no reply".to_owned());
        return Err(StoreError::Failed { path, text });
    }
    Ok(())
}

impl Store for View {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let (grant, mut truth) = self.call();
        failed(grant)?;
        let seen = truth.seen(self.actor, grant.behind);
        Ok(truth
            .at(key, seen)
            .map(|(revision, value)| record(key, revision, value)))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.below(prefix, record)
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.below(prefix, |key, _, _| key.to_owned())
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check()?;
        let (grant, mut truth) = self.call();
        // Whatever comes of it: what is read afterwards is not older than this.
        truth.sessions[self.actor].floor = truth.revision;
        let operation = truth.sessions[self.actor].operation;
        match grant.fault {
            Fault::Refused => return Err(unknown()),
            Fault::OnTheWay => {
                truth.on_the_way.push((self.actor, operation, commit));
                return Err(unknown());
            }
            _ => {}
        }
        let held = commit.compares.iter().all(|compare| truth.holds(compare));
        if held {
            truth.write(self.actor, operation, commit.writes);
            truth.sessions[self.actor].floor = truth.revision;
        }
        let revision = Revision(truth.revision);
        drop(truth);
        match grant.fault {
            Fault::LostReply => return Err(unknown()),
            // The scheduler never lets it go on from here.
            Fault::DiesAfter => {
                self.seat.stop();
            }
            Fault::None | Fault::Refused | Fault::OnTheWay => {}
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
