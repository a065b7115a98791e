//! Claiming a block for a node, and giving it up.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ipnetwork::Ipv4Network;

use super::decide::{self, Order, Standing};
use super::put::change;
use super::read::Stored;
use super::retry::{EMPTY_OBJECT, Written};
use super::search::Place;
use super::terms::collected;
use super::{Ipam, IpamError, Request};
use crate::datastore::{Commit, Revision, key};
use crate::name::NodeName;
use crate::resource::{
    Affinity, AffinityState, Attribute, Block, BlockAffinity, BlockPrefix, Pool, Sequence,
};

/// A block that is a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The block's prefix.
    pub block: Ipv4Network,
    /// Whether this call claimed it; otherwise it was the node's before.
    pub newly: bool,
}

/// What became of a block that its node gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockRelease {
    /// It was empty and is gone: anybody may claim it.
    Deleted,
    /// It has addresses and stays until the last of them is released: nobody may claim it.
    Orphaned,
}

/// A node that claims a block, and its revision as an owner of blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimant<'a> {
    node: &'a NodeName,
    revision: Option<Revision>,
}

/// What stands where a block is to be made.
#[derive(Debug)]
pub(super) enum Site<'a> {
    /// No block.
    Free,
    /// No block, but the node's claim on it, as it was read: the block is made only while it stands.
    Claimed(Stored<BlockAffinity>),
    /// An empty block of another node, whose claim ends.
    Empty(&'a Stored<Arc<Block>>),
}

impl Ipam {
    /// Claims one more block for `node`, whatever it has already and whatever the limit: the first
    /// free one that its name leads to, in the first pool that has one.
    ///
    /// # Errors
    /// [`IpamError::NoPool`], and [`IpamError::PoolsExhausted`] naming the pools.
    pub fn claim_any(&self, node: &NodeName) -> Result<Claimed, IpamError> {
        let request = Request::new(node.clone(), 1, Attribute::default());
        self.retry_in_turn(&format_args!("node {node}"), || {
            let owner = self.owner_revision(node)?;
            let owned = u32::try_from(self.claims_of(node)?.len()).unwrap_or(u32::MAX);
            let terms = self.terms(&request)?;
            for pool in &terms.pools {
                let mut place = Place::new(Order::of(node, &pool.value, || self.ambient.random()));
                let free = self.free_in(&pool.value, &mut place, owned, &terms.reserved)?;
                if let Some(prefix) = free {
                    let made = self.make_block(claimant(node, owner), pool, prefix)?;
                    return Ok(made.revision().map(|_| claimed(prefix, true)));
                }
            }
            let node = node.to_string();
            let pools = terms.pool_names();
            Err(IpamError::PoolsExhausted { node, pools })
        })
    }

    /// Claims `block` for `node`; a block that is the node's already stays so.
    ///
    /// # Errors
    /// [`IpamError::Prefix`] if it is the prefix of no block, [`IpamError::BlockOutsidePools`],
    /// [`IpamError::PoolDisabled`], [`IpamError::WrongBlockSize`] if the pool is cut into others,
    /// [`IpamError::BlockOwned`] naming the owner, and [`IpamError::BlockOverlaps`].
    pub fn claim(&self, node: &NodeName, block: Ipv4Network) -> Result<Claimed, IpamError> {
        let prefix = BlockPrefix::try_from(block)?;
        let mut perhaps = false;
        self.retry_in_turn(&format_args!("block {prefix}"), || {
            let pool = self.pool_cut_into(prefix)?;
            let Some(block) = self.read_block(prefix)? else {
                if !self.is_free(prefix)? {
                    return Ok(None);
                }
                let owner = claimant(node, self.owner_revision(node)?);
                let made = self.make_block(owner, &pool, prefix)?;
                perhaps |= made == Written::Perhaps;
                return Ok(made.revision().map(|_| claimed(prefix, true)));
            };
            let affinity = self.read_affinity(node, prefix)?;
            let state = affinity.as_ref().map(|affinity| affinity.value.state);
            match decide::standing(node, state, Some(&block.value)) {
                Standing::Ours => Ok(Some(claimed(prefix, perhaps))),
                Standing::Unconfirmed => {
                    let mut commit = change(&block, &pool);
                    let mut block = self.to_change(block.value);
                    // Written, not only compared: Calico may be giving it up, in several commits.
                    block.touch();
                    commit.put_shared(&key::block(prefix.into()), block.to_shared_json());
                    confirm(&mut commit, node, prefix, affinity);
                    let done = self.commit(commit)?.revision();
                    Ok(done.map(|_| claimed(prefix, false)))
                }
                Standing::NoBlock | Standing::Stale => Err(decide::owned_by_other(&block.value)),
            }
        })
    }

    /// Gives up the claim of `node` on `block`: an empty block is deleted, one with addresses stays
    /// without an owner.
    ///
    /// # Errors
    /// [`IpamError::Prefix`], [`IpamError::BlockNotClaimed`] if there is no such block, and
    /// [`IpamError::BlockOwned`] if it is another node's.
    pub fn release_block(
        &self,
        node: &NodeName,
        block: Ipv4Network,
    ) -> Result<BlockRelease, IpamError> {
        let prefix = BlockPrefix::try_from(block)?;
        let mut unsure = None;
        self.retry_in_turn(&format_args!("block {prefix}"), || {
            match self.try_release_block(node, prefix, &mut unsure) {
                Err(IpamError::BlockNotClaimed { .. } | IpamError::BlockOwned { .. })
                    if unsure.is_some() =>
                {
                    Ok(unsure)
                }
                outcome => outcome,
            }
        })
    }

    fn try_release_block(
        &self,
        node: &NodeName,
        prefix: BlockPrefix,
        unsure: &mut Option<BlockRelease>,
    ) -> Result<Option<BlockRelease>, IpamError> {
        let key = key::block(prefix.into());
        let mut commit = Commit::new();
        let outcome = if let Some(stored) = self.read_block(prefix)? {
            if !decide::is_owned_by(&stored.value, node) {
                return Err(decide::owned_by_other(&stored.value));
            }
            let config = self.config()?;
            let value = collected(stored.value, self.ambient.now(), &config);
            let revision = stored.revision;
            self.disown(&mut commit, Stored { value, revision })
        } else {
            let Some(affinity) = self.read_affinity(node, prefix)? else {
                let node = node.to_string();
                let block = prefix;
                return Err(IpamError::BlockNotClaimed { node, block });
            };
            let affinity_key = key::affinity(node, prefix.into());
            commit.expect(&affinity_key, Some(affinity.revision));
            commit.expect(&key, None);
            BlockRelease::Deleted
        };
        // Where there is a block the claim itself is not compared: whoever confirms or remakes it
        // writes the block.
        commit.delete(&key::affinity(node, prefix.into()));
        let written = self.commit(commit)?;
        if written == Written::Perhaps {
            *unsure = Some(outcome);
        }
        Ok(written.revision().map(|_| outcome))
    }

    /// Adds to `commit` that `block` has no owner any more: an empty one is deleted.
    pub(super) fn disown(&self, commit: &mut Commit, block: Stored<Arc<Block>>) -> BlockRelease {
        let key = key::block(block.value.prefix().into());
        commit.expect(&key, Some(block.revision));
        let mut value = self.to_change(block.value);
        if value.is_empty() {
            commit.delete(&key);
            return BlockRelease::Deleted;
        }
        value.orphan();
        commit.put(&key, value.to_json());
        BlockRelease::Orphaned
    }

    /// Gives up the block of a node whose pool does not want the node any more, if it is empty, and
    /// says whether it did.
    pub(super) fn give_up_if_empty(
        &self,
        node: &NodeName,
        prefix: BlockPrefix,
    ) -> Result<bool, IpamError> {
        let Some(block) = self.read_block(prefix)? else {
            return Ok(false);
        };
        if !block.value.is_empty() || !decide::is_owned_by(&block.value, node) {
            return Ok(false);
        }
        let mut commit = Commit::new();
        let key = key::block(prefix.into());
        commit.expect(&key, Some(block.revision)).delete(&key);
        commit.delete(&key::affinity(node, prefix.into()));
        let gone = self.commit(commit)?.revision().is_some();
        if gone {
            log::debug!("node {node} gave up block {prefix}, whose pool does not select it");
        }
        Ok(gone)
    }

    /// Removes a claim whose block belongs to somebody else, if it still does.
    pub(super) fn forget_claim(
        &self,
        node: &NodeName,
        block: &Stored<Arc<Block>>,
    ) -> Result<bool, IpamError> {
        let prefix = block.value.prefix();
        let mut commit = Commit::new();
        // While the block is another's, the claim is stale, whatever it says by now.
        commit.expect(&key::block(prefix.into()), Some(block.revision));
        commit.delete(&key::affinity(node, prefix.into()));
        let gone = self.commit(commit)?.revision().is_some();
        if gone {
            log::warn!("removed the stale claim of node {node} on block {prefix}");
        }
        Ok(gone)
    }

    /// Claims `prefix`, where there is no block.
    fn make_block(
        &self,
        owner: Claimant<'_>,
        pool: &Stored<Arc<Pool>>,
        prefix: BlockPrefix,
    ) -> Result<Written, IpamError> {
        let (block, mut commit) = self.new_block(owner, pool, prefix, Site::Free)?;
        commit.put_shared(&key::block(prefix.into()), block.to_shared_json());
        let written = self.commit(commit)?;
        if let Some(revision) = written.revision() {
            log::debug!("node {} claimed block {prefix}", owner.node);
            self.keep_block(block, revision);
        }
        Ok(written)
    }

    /// A new block for `owner`, and the start of the commit that stores it: the claim, if neither the
    /// pool nor the claim changed, `owner` claimed nothing else, and `site` is as it was.
    pub(super) fn new_block(
        &self,
        owner: Claimant<'_>,
        pool: &Stored<Arc<Pool>>,
        prefix: BlockPrefix,
        site: Site<'_>,
    ) -> Result<(Block, Commit), IpamError> {
        let (affinity, old) = match site {
            Site::Free => (self.read_affinity(owner.node, prefix)?, None),
            Site::Claimed(affinity) => (Some(affinity), None),
            Site::Empty(old) => (self.read_affinity(owner.node, prefix)?, Some(old)),
        };
        let mut commit = Commit::new();
        // Every claim of a node writes this, so that two at once do not exceed its limit, nor take
        // two blocks where one would do (calicoctl issue 1378).
        let owner_key = key::ipam_host(owner.node);
        commit.expect(&owner_key, owner.revision);
        commit.put(&owner_key, EMPTY_OBJECT.to_vec());
        commit.expect(&key::pool(pool.value.name()), Some(pool.revision));
        let old_revision = old.map(|old| old.revision);
        commit.expect(&key::block(prefix.into()), old_revision);
        let loser = old.and_then(|old| old.value.affinity()?.node());
        if let Some(loser) = loser.filter(|loser| *loser != owner.node) {
            commit.delete(&key::affinity(loser, prefix.into()));
        }
        confirm(&mut commit, owner.node, prefix, affinity);
        let now = self.ambient.now();
        let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let start = u64::try_from(nanos).unwrap_or(0);
        // After the numbers of the old block, whatever the clock of its node said.
        let after_old = old.map_or(0, |old| old.value.sequence().0.saturating_add(1));
        let block = Block::new(prefix, Sequence(start.max(after_old)));
        let block = block.claimed_by(Affinity::Host(owner.node.clone()), now);
        Ok((block, commit))
    }

    fn pool_cut_into(&self, block: BlockPrefix) -> Result<Stored<Arc<Pool>>, IpamError> {
        let mut pools = self.read_pools()?.into_iter();
        let pool = pools.find(|pool| pool.value.cidr().covers(block.prefix()));
        let pool = pool.ok_or(IpamError::BlockOutsidePools { block })?;
        let name = pool.value.name().to_owned();
        if !pool.value.is_enabled() {
            return Err(IpamError::PoolDisabled { pool: name });
        }
        let block_len = pool.value.block_len();
        if block_len != block.len() {
            return Err(IpamError::WrongBlockSize {
                block,
                pool: name,
                block_len,
            });
        }
        Ok(pool)
    }
}

/// `node`, whose record as an owner was read at `revision`.
pub(super) fn claimant(node: &NodeName, revision: Option<Revision>) -> Claimant<'_> {
    Claimant { node, revision }
}

/// Adds to `commit` that the claim of `node`, read as `affinity`, is confirmed.
pub(super) fn confirm(
    commit: &mut Commit,
    node: &NodeName,
    block: BlockPrefix,
    affinity: Option<Stored<BlockAffinity>>,
) {
    let key = key::affinity(node, block.into());
    commit.expect(&key, affinity.as_ref().map(|affinity| affinity.revision));
    let mut affinity = affinity.map(|affinity| affinity.value).unwrap_or_default();
    affinity.state = AffinityState::Confirmed;
    commit.put(&key, affinity.to_json());
}

fn claimed(block: BlockPrefix, newly: bool) -> Claimed {
    let block = block.into();
    Claimed { block, newly }
}
