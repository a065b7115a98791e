//! One commit that assigns addresses of one block: the block, its handle, and what goes with them.

use std::sync::Arc;

use super::cache::Latest;
use super::read::Stored;
use super::retry::Written;
use super::{Assigned, Ipam, IpamError};
use crate::addr::TunnelAddr;
use crate::datastore::{Commit, Revision, StoreError, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Assignment, Attribute, Block, BlockPrefix, Pool};

/// For whom addresses are.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) node: &'a NodeName,
    pub(super) attribute: Attribute,
    pub(super) handle: Option<HandleId>,
    /// If the address is that of the node's tunnel device: the revision of the node's record, into which
    /// it is written.
    pub(super) recorded_at: Option<Option<Revision>>,
}

/// Where addresses come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) pool: &'a Stored<Arc<Pool>>,
    pub(super) right: Right,
}

/// By what right a node takes addresses of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// The block is the node's, by a claim that was read at this revision.
    Claimed(Revision),
    /// The same, remembered and not read: the commit says whether it still is so.
    Remembered(Revision),
    /// The commit makes or confirms the claim.
    Claiming,
    /// The block is another's.
    Borrowing,
}

/// A block with addresses assigned in it, to be stored.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    pub(super) block: Block,
    pub(super) assigned: Vec<Assignment>,
    pub(super) source: Source<'a>,
}

/// How an attempt to assign ended.
#[derive(Debug)]
pub(super) enum Put {
    /// With these addresses, at this revision.
    Done(Vec<Assigned>, Revision),
    /// Somebody else was faster: read again.
    Changed,
    /// The reply was lost: [`Ipam::recognised`] tells, or read again.
    Perhaps(Vec<Assigned>),
}

impl<'a> Wanted<'a> {
    pub(super) fn new(node: &'a NodeName, attribute: &Attribute) -> Result<Self, IpamError> {
        let handle = attribute.handle().map(HandleId::try_new).transpose()?;
        let mut attribute = attribute.clone();
        if attribute.known("node").is_none() {
            attribute = attribute.with("node", node.as_str());
        }
        Ok(Self {
            node,
            attribute,
            handle,
            recorded_at: None,
        })
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(pool: &'a Stored<Arc<Pool>>, right: Right) -> Self {
        Self { pool, right }
    }

    /// From where the node gets addresses next, after a commit at `revision` that took some of `block`.
    fn latest(self, block: BlockPrefix, revision: Revision) -> Option<Latest> {
        let claim = match self.right {
            Right::Claimed(claim) | Right::Remembered(claim) => claim,
            Right::Claiming => revision,
            Right::Borrowing => return None,
        };
        let pool = self.pool.clone();
        Some(Latest { block, claim, pool })
    }
}

impl Filled<'_> {
    fn addresses(&self) -> Vec<Assigned> {
        let block = self.block.prefix().into();
        let assigned = |assignment: &Assignment| Assigned {
            addr: assignment.addr,
            block,
            sequence: assignment.sequence,
            borrowed: self.source.right == Right::Borrowing,
        };
        self.assigned.iter().map(assigned).collect()
    }
}

impl Ipam {
    /// Stores `filled` with `commit`, which compares its block and what else must not have changed.
    pub(super) fn put(
        &self,
        mut commit: Commit,
        wanted: &Wanted<'_>,
        filled: Filled<'_>,
    ) -> Result<Put, IpamError> {
        let prefix = filled.block.prefix();
        commit.put_shared(&key::block(prefix.into()), filled.block.to_shared_json());
        if let Some(handle) = &wanted.handle {
            self.count_up(&mut commit, handle, &filled)?;
        }
        let assigned = filled.addresses();
        if let (Some(revision), Some(first)) = (wanted.recorded_at, assigned.first()) {
            commit.expect(&key::node(wanted.node), revision);
            self.record_tunnel_addr(&mut commit, wanted.node, Some(TunnelAddr(first.addr)))?;
        }
        let revision = match self.commit(commit)? {
            Written::Yes(revision) => revision,
            Written::No => return Ok(Put::Changed),
            Written::Perhaps => return Ok(Put::Perhaps(assigned)),
        };
        if let Some(latest) = filled.source.latest(prefix, revision) {
            self.cache.set_latest(wanted.node, latest);
        }
        self.cache
            .note_if_full(&filled.block, revision, wanted.node);
        self.keep_block(filled.block, revision);
        for assigned in &assigned {
            log::debug!("address {} assigned on node {}", assigned.addr, wanted.node);
        }
        Ok(Put::Done(assigned, revision))
    }

    /// Whether `assigned`, whose reply was lost, stands in its block after all.
    ///
    /// A commit that changes a block uses up its sequence number, so whoever finds these addresses
    /// there with this number and this attribute finds the work of this commit, or of one that
    /// another caller made at the same time for the same handle on the same node, which is the same
    /// workload asking twice. Without a handle those two cannot be told apart.
    ///
    /// All of them must stand. If others released some meanwhile, though nobody was told of them, what is
    /// left may also be the work of such a call that asked for fewer, so this one takes all anew: it tells of
    /// no address that another one tells of too, and the handle has those beside them until it is released.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no handle to tell by.
    pub(super) fn recognised(
        &self,
        wanted: &Wanted<'_>,
        assigned: &[Assigned],
    ) -> Result<bool, IpamError> {
        let Some(first) = assigned.first() else {
            return Ok(false);
        };
        let Some(block) = self.read_block(BlockPrefix::try_from(first.block)?)? else {
            return Ok(false);
        };
        let stands = assigned.iter().all(|one| {
            block.value.sequence_of(one.addr) == Some(one.sequence)
                && block.value.attribute_of(one.addr) == Some(&wanted.attribute)
        });
        if stands && wanted.handle.is_none() {
            let path = key::block(block.value.prefix().into());
            let addrs: Vec<_> = assigned.iter().map(|one| one.addr.to_string()).collect();
            let text = format!(
                "{} may be assigned, and have no handle to tell by",
                addrs.join(", ")
            );
            return Err(StoreError::Unknown { path, text }.into());
        }
        Ok(stands)
    }

    fn count_up(
        &self,
        commit: &mut Commit,
        handle: &HandleId,
        filled: &Filled<'_>,
    ) -> Result<(), IpamError> {
        let key = key::handle(handle);
        let stored = match filled.source.right {
            // There is none: it was read, or the commit fails.
            Right::Remembered(_) => None,
            _ => self.read_handle(handle)?,
        };
        commit.expect(&key, stored.as_ref().map(|stored| stored.revision));
        let mut counts = stored.map(|stored| stored.value).unwrap_or_default();
        let count = u32::try_from(filled.assigned.len()).unwrap_or(u32::MAX);
        counts.add(filled.block.prefix(), count);
        commit.put(&key, counts.to_json());
        Ok(())
    }
}

/// The start of a commit that changes `block`, from a pool that is as it was.
pub(super) fn change(block: &Stored<Arc<Block>>, pool: &Stored<Arc<Pool>>) -> Commit {
    let mut commit = Commit::new();
    let key = key::block(block.value.prefix().into());
    commit.expect(&key, Some(block.revision));
    // A pool that was disabled or deleted meanwhile gives nothing any more.
    commit.expect(&key::pool(pool.value.name()), Some(pool.revision));
    commit
}
