//! What a store can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::StoreError;

/// When a record was last written: a store counts its commits, and each record carries the count
/// of the commit that wrote it. A later commit has a greater revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key, a path.
    pub key: String,
    /// The value, as a rule JSON; a store in memory shares it with whoever reads it.
    pub value: Arc<[u8]>,
    /// When it was last written.
    pub revision: Revision,
}

/// What was found below a prefix, at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The records, or the keys, in the order of the keys' octets.
    pub entries: Vec<T>,
    /// The store's last revision when the list was made.
    pub revision: Revision,
}

/// What became of a key since a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value now; `None` if it was deleted.
    pub value: Option<Arc<[u8]>>,
    /// When it was last written, or deleted.
    pub revision: Revision,
}

/// What changed below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// In the order of their revisions, and of the keys' octets within one; empty if nothing changed
    /// in the time given.
    pub changes: Vec<Change>,
    /// The store's last revision when they were read: `after` of the next call.
    pub revision: Revision,
}

/// What must hold for a commit to take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// There is no record under this key.
    Absent(String),
    /// The record under this key was last written at this revision.
    Unchanged(String, Revision),
}

/// One write of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Puts this value under this key, whether there is one or not.
    Put(String, Arc<[u8]>),
    /// Removes this key; no matter if there is none.
    Delete(String),
}

/// Writes that take effect together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// All of these must hold.
    pub compares: Vec<Compare>,
    /// All of these then happen; no key twice.
    pub writes: Vec<Write>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It took effect, and made this revision.
    Committed(Revision),
    /// A compare did not hold: nothing was written; read again.
    Conflict,
}

/// A place for records, shared by whoever manages the same network.
///
/// A call sees every commit that ended before the call began. Implementers check a commit with
/// [`Commit::check`].
pub trait Store: fmt::Debug + Send + Sync {
    /// The record under `key`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError>;

    /// The records whose keys begin with `prefix`.
    ///
    /// A prefix ends with `/`, or with `.`: an octet of a dotted address is complete then, as in
    /// `/calico/ipam/v2/assignment/ipv4/block/10.0.3.`
    ///
    /// # Errors
    /// [`StoreError::Prefix`], or if the store cannot be read.
    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError>;

    /// The keys that begin with `prefix`; see [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError>;

    /// Does every write of `commit` if every compare holds, and nothing otherwise.
    ///
    /// # Errors
    /// [`StoreError::EmptyKey`], [`StoreError::RelativeKey`] and [`StoreError::WrittenTwice`], or if
    /// the store cannot be written. [`StoreError::Unknown`] alone leaves open whether the commit took
    /// effect; after every other error nothing was written.
    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError>;

    /// What changed below `prefix` (see [`Store::list`]) after the revision `after`, which a listing or
    /// an earlier call gave; waits up to `wait` for the first change.
    ///
    /// A key that changed several times is told once, as it is now, so whoever applies what each call
    /// returns to a listing has the listing of later. A deletion may be told of a key that the caller
    /// never saw; the deletion of a key that was not there is none.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the store no longer knows: list again, and go on from the revision
    /// of that listing. [`StoreError::Prefix`], or if the store cannot be read.
    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError>;

    /// Does `work`, on this thread and soon. If a commit of it meets a conflict, others who commit wait for
    /// its next commit or its end, if the store can make them; one that cannot only does the work. So what
    /// is read after a conflict is as a rule what the next commit finds, and who lost against others once
    /// does not lose again and again.
    fn in_turn(&self, work: &mut dyn FnMut()) {
        work();
    }

    /// Whether the store is on this machine and loses no reply: [`StoreError::Unknown`] says that its disk
    /// failed, so the commit is left in doubt, since nothing that is read afterwards tells what the disk has.
    /// What would tell the work of such a commit from another's need not be read before it then.
    fn is_local(&self) -> bool {
        false
    }
}

impl Commit {
    /// No compares, no writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the demand that `key` is still as it was read: last written at `revision`, or absent.
    pub fn expect(&mut self, key: &str, revision: Option<Revision>) -> &mut Self {
        let key = key.to_owned();
        self.compares.push(match revision {
            Some(revision) => Compare::Unchanged(key, revision),
            None => Compare::Absent(key),
        });
        self
    }

    /// Adds the write of `value` under `key`.
    pub fn put(&mut self, key: &str, value: Vec<u8>) -> &mut Self {
        self.put_shared(key, value.into())
    }

    /// The same; a store in memory keeps `value` as it is.
    pub fn put_shared(&mut self, key: &str, value: Arc<[u8]>) -> &mut Self {
        self.writes.push(Write::Put(key.to_owned(), value));
        self
    }

    /// Adds the removal of `key`.
    pub fn delete(&mut self, key: &str) -> &mut Self {
        self.writes.push(Write::Delete(key.to_owned()));
        self
    }

    /// Checks what every store demands of a commit.
    ///
    /// # Errors
    /// [`StoreError::EmptyKey`], [`StoreError::RelativeKey`] and [`StoreError::WrittenTwice`], the two
    /// naming the key.
    pub fn check(&self) -> Result<(), StoreError> {
        let compared = self.compares.iter().map(Compare::key);
        let mut written: Vec<_> = self.writes.iter().map(Write::key).collect();
        written.sort_unstable();
        if let Some(twice) = written.windows(2).find(|pair| pair[0] == pair[1]) {
            let key = twice[0].to_owned();
            return Err(StoreError::WrittenTwice { key });
        }
        written.into_iter().chain(compared).try_for_each(check_key)
    }
}

impl Compare {
    /// The key that it looks at.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key) | Self::Unchanged(key, _) => key,
        }
    }
}

impl Write {
    /// The key that it writes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// Every key lies below `/`, so that `/` lists them all.
pub(super) fn check_key(key: &str) -> Result<(), StoreError> {
    match key.chars().next() {
        Some('/') => Ok(()),
        Some(_) => Err(StoreError::RelativeKey {
            key: key.to_owned(),
        }),
        None => Err(StoreError::EmptyKey),
    }
}

/// Checks what every store demands of a prefix to be listed.
pub(super) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.starts_with('/') && prefix.ends_with(['/', '.']) {
        return Ok(());
    }
    Err(StoreError::Prefix {
        prefix: prefix.to_owned(),
    })
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
