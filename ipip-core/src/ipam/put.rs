//! One commit that assigns addresses of one block: the block, its handle, and what goes with them.

use std::sync::Arc;

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
    handle: Option<HandleId>,
    /// If the address is that of the node's tunnel device: the revision of the node's record, into which
    /// it is written.
    pub(super) recorded_at: Option<Option<Revision>>,
}

/// A block with addresses assigned in it, to be stored.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) block: Block,
    pub(super) assigned: Vec<Assignment>,
    pub(super) borrowed: bool,
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
        if !attribute.secondary().contains_key("node") {
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

impl Filled {
    fn addresses(&self) -> Vec<Assigned> {
        let block = self.block.prefix().into();
        let assigned = |assignment: &Assignment| Assigned {
            addr: assignment.addr,
            block,
            sequence: assignment.sequence,
            borrowed: self.borrowed,
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
        filled: Filled,
    ) -> Result<Put, IpamError> {
        let prefix = filled.block.prefix();
        commit.put(&key::block(prefix.into()), filled.block.to_json());
        if let Some(handle) = &wanted.handle {
            let count = u32::try_from(filled.assigned.len()).unwrap_or(u32::MAX);
            self.count_up(&mut commit, handle, prefix, count)?;
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
        self.keep_block(filled.block, revision);
        self.cache.set_latest(wanted.node, prefix);
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
        block: BlockPrefix,
        count: u32,
    ) -> Result<(), IpamError> {
        let key = key::handle(handle);
        let stored = self.read_handle(handle)?;
        commit.expect(&key, stored.as_ref().map(|stored| stored.revision));
        let mut counts = stored.map(|stored| stored.value).unwrap_or_default();
        counts.add(block, count);
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
