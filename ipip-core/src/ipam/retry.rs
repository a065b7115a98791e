//! Commits that others may be faster than, and commits whose reply was lost.

use std::fmt::Display;
use std::time::Duration;

use super::{Ipam, IpamError};
use crate::datastore::{Commit, Compare, Outcome, Revision, StoreError, key};

/// How often an operation reads again at most, however the clock goes: with the pauses between them
/// this takes longer than [`DEADLINE`].
const ATTEMPTS: u32 = 10_000;
/// How long others may be faster before an operation gives up.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Written {
    /// It took effect, and made this revision.
    Yes(Revision),
    /// It did not: somebody else was faster.
    No,
    /// Its reply was lost. By now it has taken effect or never will: read again to learn it.
    Perhaps,
}

impl Written {
    pub(super) fn revision(self) -> Option<Revision> {
        match self {
            Self::Yes(revision) => Some(revision),
            Self::No | Self::Perhaps => None,
        }
    }
}

impl Ipam {
    /// The start of a commit that makes a record: it begins with one that nobody deletes, and that may
    /// be written again unchanged.
    pub(super) fn making(&self) -> Result<Commit, IpamError> {
        let fence = self.store.get(key::pool_creation())?;
        let mut commit = Commit::new();
        commit.expect(key::pool_creation(), fence.map(|record| record.revision));
        Ok(commit)
    }

    /// Makes `commit`, whose first compare is of a record that may be written again unchanged.
    pub(super) fn commit(&self, commit: Commit) -> Result<Written, IpamError> {
        // Better of a record that is there: one that is absent may be so once more, after it was made
        // and deleted.
        let mut compares = commit.compares.iter();
        let there = compares.find(|compare| matches!(compare, Compare::Unchanged(..)));
        let fence = there.or(commit.compares.first()).cloned();
        match self.store.commit(commit) {
            Ok(Outcome::Committed(revision)) => Ok(Written::Yes(revision)),
            Ok(Outcome::Conflict) => Ok(Written::No),
            Err(error @ StoreError::Unknown { .. }) if !self.store.is_local() => {
                self.settle(fence, error)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that a commit whose reply was lost does not take effect later, when what it would
    /// do has been done another way: the record that it compares gets another revision.
    fn settle(&self, fence: Option<Compare>, lost: StoreError) -> Result<Written, IpamError> {
        log::warn!("{lost}; looking whether it did");
        let (key, revision) = match fence {
            None => return Err(lost.into()),
            Some(Compare::Absent(key)) => (key, None),
            Some(Compare::Unchanged(key, revision)) => (key, Some(revision)),
        };
        // A store that lost its disk reads nothing any more: the commit stays in doubt.
        let Ok(found) = self.store.get(&key) else {
            return Err(lost.into());
        };
        if found.as_ref().map(|record| record.revision) != revision {
            return Ok(Written::Perhaps);
        }
        let mut fence = Commit::new();
        fence.expect(&key, revision);
        // An absent record is that of every creation of a pool, which is always this.
        let value = found.map_or_else(|| EMPTY_OBJECT.to_vec(), |record| record.value.to_vec());
        fence.put(&key, value);
        match self.store.commit(fence) {
            Ok(_) => Ok(Written::Perhaps),
            Err(_) => Err(lost.into()),
        }
    }

    /// Calls `attempt` until it gives a value; `None` means that somebody else was faster.
    pub(super) fn retry<T>(
        &self,
        object: &dyn Display,
        mut attempt: impl FnMut() -> Result<Option<T>, IpamError>,
    ) -> Result<T, IpamError> {
        let mut since = None;
        for attempts in 1.. {
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            let now = self.ambient.now();
            let since = *since.get_or_insert(now);
            // A clock that was set back counts as standing still; the attempts end it then.
            let waited = now.duration_since(since).unwrap_or_default();
            if waited >= self.deadline || attempts >= ATTEMPTS {
                let object = object.to_string();
                return Err(IpamError::Busy {
                    object,
                    attempts,
                    waited,
                });
            }
            self.ambient.back_off(attempts - 1);
        }
        unreachable!("the attempts end")
    }

    /// The same for what takes milliseconds: from the first commit on others wait. On one block that many
    /// want, one who is only as fast as they are would lose again and again.
    pub(super) fn retry_in_turn<T>(
        &self,
        object: &dyn Display,
        mut attempt: impl FnMut() -> Result<Option<T>, IpamError>,
    ) -> Result<T, IpamError> {
        let mut result = None;
        self.store
            .in_turn(&mut || result = Some(self.retry(object, &mut attempt)));
        // A store that keeps no turns may leave the work to us.
        result.unwrap_or_else(|| self.retry(object, attempt))
    }
}

/// What stands for a node as an owner of blocks, and for the creation of pools.
pub(super) const EMPTY_OBJECT: &[u8] = b"{}";
