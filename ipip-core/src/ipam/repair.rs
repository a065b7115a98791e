//! Repairing what a check found, as far as it is certain.

use std::fmt;
use std::time::Duration;

use super::check::{Found, Problem, Report};
use super::claim::confirm;
use super::retry::Written;
use super::{Ipam, IpamError};
use crate::datastore::{Commit, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Block, BlockPrefix, Handle, ObjectWriter, write_list};

/// What became of the problems of a report.
///
/// It displays as text, a problem a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repaired {
    /// The problems that are no more.
    pub repaired: Vec<Problem>,
    /// The others, and why they are left.
    pub left: Vec<Left>,
}

/// A problem that was not repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The problem.
    pub problem: Problem,
    /// Why it is left.
    pub why: Why,
}

/// Why a problem was not repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// What is right nobody can tell from the store: a person must look.
    Uncertain,
    /// It may be an assignment of Calico under way, which writes the handle first, and the block after.
    /// It is damage if it is still so after [`Repaired::SETTLED`].
    Recent,
    /// A record changed since the check: check again.
    Changed,
    /// [`Ipam::collect`] releases addresses of handles that are not alive, after a time of grace.
    Collected,
    /// [`Ipam::ensure_tunnel_address`] on its node mends it.
    TunnelAddress,
}

impl Repaired {
    /// How long a handle must have counted wrong before it is repaired: Calico gives up an operation
    /// after this time.
    pub const SETTLED: Duration = Duration::from_secs(90);
}

/// What a repair came to.
enum Step {
    Write(Commit),
    Leave(Why),
}

impl Ipam {
    /// Repairs those problems of `report` whose right state the store tells for certain, each in one
    /// commit that takes effect only if the records are as the check saw them:
    ///
    /// - a queue of free addresses that does not agree with what is assigned is made to agree; sequence
    ///   numbers and attributes of no address are dropped;
    /// - a claim becomes what its block says: confirmed, made, or removed; a block that is empty and
    ///   nobody's is deleted;
    /// - a handle's record is made or corrected to what the blocks hold, and deleted if they hold
    ///   nothing.
    ///
    /// No address is assigned or released. Everything else is left, and the answer says why.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::{Commit, Memory, Store, key};
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # use ipip_core::name::NodeName;
    /// # let store = Arc::new(Memory::new());
    /// # let ipam = Ipam::new(Arc::clone(&store) as Arc<dyn Store>, Ambient::system());
    /// let mut stale = Commit::new();
    /// let node = NodeName::try_new("node-a")?;
    /// stale.put(&key::affinity(&node, "10.65.0.0/26".parse()?), Vec::new());
    /// store.commit(stale)?;
    /// let repaired = ipam.repair(&ipam.check()?)?;
    /// assert_eq!(repaired.repaired[0].to_string(), "node node-a claims block 10.65.0.0/26, which is not there");
    /// assert!(ipam.check()?.is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError`] if the store fails; what was repaired before then stays so.
    pub fn repair(&self, report: &Report) -> Result<Repaired, IpamError> {
        let age = self.ambient.now().duration_since(report.taken);
        let is_settled = age.is_ok_and(|age| age >= Repaired::SETTLED);
        let mut repaired = Repaired::default();
        let mut rest = report.problems.as_slice();
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|next| is_one_repair(first, next));
            let (group, after) = rest.split_at(count.count().max(1));
            rest = after;
            let why = match self.step(first, group, is_settled)? {
                Step::Leave(why) => why,
                Step::Write(commit) => match self.commit(commit)? {
                    Written::Yes(_) => {
                        let problems = group.iter().map(|found| found.problem.clone());
                        repaired.repaired.extend(problems);
                        continue;
                    }
                    Written::No | Written::Perhaps => Why::Changed,
                },
            };
            repaired.left.extend(group.iter().map(|found| Left {
                problem: found.problem.clone(),
                why,
            }));
        }
        Ok(repaired)
    }

    /// What to do about a problem.
    fn step(&self, found: &Found, group: &[Found], is_settled: bool) -> Result<Step, IpamError> {
        let mut commit = found.commit();
        let others = group.iter().skip(1).map(Found::commit);
        commit
            .compares
            .extend(others.flat_map(|other| other.compares));
        match &found.problem {
            Problem::BlockFault { block, .. } => self.mend_block(*block, found, commit),
            Problem::BlockOrphaned { block } => {
                Ok(written(commit, |c| c.delete(&key::block(block.prefix()))))
            }
            Problem::BlockUnclaimed { block, node }
            | Problem::ClaimUnconfirmed { block, node, .. } => {
                self.confirm_claim(*block, node, found, commit)
            }
            Problem::ClaimWithoutBlock { block, node }
            | Problem::ClaimOfOther { block, node, .. } => Ok(written(commit, |c| {
                c.delete(&key::affinity(node, block.prefix()))
            })),
            Problem::HandleMissing { handle, .. } => self.make_handle(handle, found, commit),
            Problem::HandleLeaked { .. } if !is_settled => Ok(Step::Leave(Why::Recent)),
            Problem::HandleCount { .. } if !is_settled && group.iter().any(is_too_high) => {
                Ok(Step::Leave(Why::Recent))
            }
            Problem::HandleLeaked { handle } => {
                let key = format!("{}{handle}", key::handle_prefix());
                Ok(written(commit, |c| c.delete(&key)))
            }
            Problem::HandleCount { handle, .. } => self.correct_handle(handle, group, commit),
            Problem::Leaked { .. } => Ok(Step::Leave(Why::Collected)),
            Problem::TunnelAddress { .. } => Ok(Step::Leave(Why::TunnelAddress)),
            _ => Ok(Step::Leave(Why::Uncertain)),
        }
    }
}

impl Ipam {
    /// Makes the queue of a block what its allocations say, if nothing else is wrong with it.
    fn mend_block(
        &self,
        block: BlockPrefix,
        found: &Found,
        mut commit: Commit,
    ) -> Result<Step, IpamError> {
        let key = key::block(block.prefix());
        let Some(record) = self.store.get(&key)? else {
            return Ok(Step::Leave(Why::Changed));
        };
        if !found.saw(&key, Some(record.revision)) {
            return Ok(Step::Leave(Why::Changed));
        }
        let Ok(mut mended) = Block::mended(&record.value) else {
            return Ok(Step::Leave(Why::Uncertain));
        };
        if mended.prefix() != block {
            return Ok(Step::Leave(Why::Uncertain));
        }
        // Whoever read the damaged one and is about to write it must read again.
        mended.touch();
        commit.put(&key, mended.to_json());
        Ok(Step::Write(commit))
    }

    /// Makes the claim of `node` on its block a confirmed one.
    fn confirm_claim(
        &self,
        prefix: BlockPrefix,
        node: &NodeName,
        found: &Found,
        mut commit: Commit,
    ) -> Result<Step, IpamError> {
        let claim = self.read_affinity(node, prefix)?;
        let Some(block) = self.read_block(prefix)? else {
            return Ok(Step::Leave(Why::Changed));
        };
        let key = key::block(prefix.into());
        if !found.saw(&key, Some(block.revision)) {
            return Ok(Step::Leave(Why::Changed));
        }
        confirm(&mut commit, node, prefix, claim);
        let mut block = self.to_change(block.value);
        // Written, not only compared: Calico may be giving it up, in several commits.
        block.touch();
        commit.put(&key, block.to_json());
        Ok(Step::Write(commit))
    }

    /// Makes the record of a handle that has addresses.
    fn make_handle(
        &self,
        handle: &str,
        found: &Found,
        mut commit: Commit,
    ) -> Result<Step, IpamError> {
        let Ok(id) = HandleId::try_new(handle) else {
            return Ok(Step::Leave(Why::Uncertain));
        };
        let mut counts = Handle::default();
        for seen in &found.records {
            let prefix = key::parse_block(&seen.key).and_then(|prefix| prefix.try_into().ok());
            let Some(prefix) = prefix else { continue };
            let block = self.read_block(prefix)?;
            if !found.saw(&seen.key, block.as_ref().map(|block| block.revision)) {
                return Ok(Step::Leave(Why::Changed));
            }
            if let Some(block) = block {
                let count = block.value.addresses_of(&id).count();
                counts.set(prefix, u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        commit.put(&key::handle(&id), counts.to_json());
        Ok(Step::Write(commit))
    }

    /// Corrects what the record of a handle counts in the blocks of `group`.
    fn correct_handle(
        &self,
        handle: &str,
        group: &[Found],
        mut commit: Commit,
    ) -> Result<Step, IpamError> {
        let key = format!("{}{handle}", key::handle_prefix());
        let Some(record) = self.store.get(&key)? else {
            return Ok(Step::Leave(Why::Changed));
        };
        if !group
            .iter()
            .all(|found| found.saw(&key, Some(record.revision)))
        {
            return Ok(Step::Leave(Why::Changed));
        }
        let Ok(mut counts) = Handle::from_json(&record.value) else {
            return Ok(Step::Leave(Why::Changed));
        };
        for found in group {
            if let Problem::HandleCount { block, found, .. } = &found.problem {
                counts.set(*block, *found);
            }
        }
        if counts.is_empty() {
            commit.delete(&key);
        } else {
            commit.put(&key, counts.to_json());
        }
        Ok(Step::Write(commit))
    }
}

/// Whether one commit mends both: all that is wrong with a block, or with what a handle counts.
fn is_one_repair(first: &Found, next: &Found) -> bool {
    match (&first.problem, &next.problem) {
        (Problem::BlockFault { block, .. }, Problem::BlockFault { block: other, .. }) => {
            block == other
        }
        (Problem::HandleCount { handle, .. }, Problem::HandleCount { handle: other, .. }) => {
            handle == other
        }
        _ => false,
    }
}

/// Whether a handle counts more addresses than it has.
fn is_too_high(found: &Found) -> bool {
    match found.problem {
        Problem::HandleCount { counted, found, .. } => counted > u64::from(found),
        _ => false,
    }
}

fn written(mut commit: Commit, write: impl FnOnce(&mut Commit) -> &mut Commit) -> Step {
    write(&mut commit);
    Step::Write(commit)
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uncertain => "the store does not tell what is right",
            Self::Recent => {
                "an assignment may be under way, repair this report 90 s after it was taken"
            }
            Self::Changed => "it changed since the check, check again",
            Self::Collected => "collection releases it after its time of grace",
            Self::TunnelAddress => "the node mends it when it ensures its tunnel address",
        })
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.repaired {
            writeln!(f, "repaired: {problem}")?;
        }
        for left in &self.left {
            writeln!(f, "left: {}: {}", left.problem, left.why)?;
        }
        Ok(())
    }
}

impl Repaired {
    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.field_with("repaired", |out| {
            write_list(out, &self.repaired, |out, problem| {
                let mut object = ObjectWriter::new(out);
                problem.write(&mut object);
                object.close();
            });
        });
        object.field_with("left", |out| {
            write_list(out, &self.left, |out, left| {
                let mut object = ObjectWriter::new(out);
                left.problem.write(&mut object);
                object.field("why", &left.why.to_string());
                object.close();
            });
        });
        object.close();
        super::text(out)
    }
}
