//! Claiming a block for a node, and giving it up.

use ipnetwork::Ipv4Network;

use super::decide::{self, Standing};
use super::{Ipam, IpamError, Stored};
use crate::datastore::{Commit, key};
use crate::name::NodeName;
use crate::resource::{Affinity, AffinityState, Block, BlockAffinity, BlockPrefix, Pool, Sequence};

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

impl Ipam {
    /// Claims one more block for `node`, whatever it has already: the first free one from where its
    /// name says, in the first pool that has one.
    ///
    /// # Errors
    /// [`IpamError::NoPool`], and [`IpamError::PoolsExhausted`] naming the pools.
    pub fn claim_any(&self, node: &NodeName) -> Result<Claimed, IpamError> {
        self.retry(&format_args!("node {node}"), || {
            let pools = self.automatic_pools()?;
            let block = self.try_claim_any(node, &pools)?;
            Ok(block.map(|block| claimed(block.value.prefix(), true)))
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
        self.retry(&format_args!("block {prefix}"), || {
            let pool = self.pool_cut_into(prefix)?;
            let Some(mut block) = self.read_block(prefix)? else {
                let made = self.try_claim(node, &pool, prefix)?;
                return Ok(made.map(|_| claimed(prefix, true)));
            };
            let affinity = self.read_affinity(node, prefix)?;
            let state = affinity.as_ref().map(|affinity| affinity.value.state);
            match decide::standing(node, state, Some(&block.value)) {
                Standing::Ours => Ok(Some(claimed(prefix, false))),
                Standing::Unconfirmed => {
                    let mut commit = Commit::new();
                    let key = key::block(prefix.into());
                    // Written, not only compared: Calico may be giving it up, in several commits.
                    block.value.touch();
                    commit
                        .expect(&key, Some(block.revision))
                        .put(&key, block.value.to_json());
                    confirm(&mut commit, node, prefix, affinity);
                    let done = self.commit(commit)?;
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
        self.retry(&format_args!("block {prefix}"), || {
            let claim = key::affinity(node, prefix.into());
            let mut commit = Commit::new();
            let key = key::block(prefix.into());
            // The claim itself is not compared: whoever confirms or remakes it writes the block.
            commit.delete(&claim);
            let Some(stored) = self.read_block(prefix)? else {
                if self.read_affinity(node, prefix)?.is_none() {
                    let node = node.to_string();
                    return Err(IpamError::BlockNotClaimed {
                        node,
                        block: prefix,
                    });
                }
                commit.expect(&key, None);
                return Ok(self.commit(commit)?.map(|_| BlockRelease::Deleted));
            };
            let mut block = stored.value;
            if !decide::is_owned_by(&block, node) {
                return Err(decide::owned_by_other(&block));
            }
            commit.expect(&key, Some(stored.revision));
            let outcome = if block.is_empty() {
                commit.delete(&key);
                BlockRelease::Deleted
            } else {
                block.orphan();
                commit.put(&key, block.to_json());
                BlockRelease::Orphaned
            };
            Ok(self.commit(commit)?.map(|_| outcome))
        })
    }

    /// One attempt to claim the first free block of `pools`; `None` if somebody was faster.
    pub(super) fn try_claim_any(
        &self,
        node: &NodeName,
        pools: &[Stored<Pool>],
    ) -> Result<Option<Stored<Block>>, IpamError> {
        let taken = self.taken()?;
        for pool in pools {
            let start = decide::start_index(node, &pool.value, self.ambient.random());
            if let Some(block) = decide::free_block(&pool.value, &taken, start) {
                return self.make_block(node, pool, block);
            }
        }
        let names = pools.iter().map(|pool| pool.value.name().to_owned());
        Err(IpamError::PoolsExhausted {
            node: node.to_string(),
            pools: names.collect(),
        })
    }

    /// One attempt to claim `block`, which was not there; `None` if somebody was faster.
    pub(super) fn try_claim(
        &self,
        node: &NodeName,
        pool: &Stored<Pool>,
        block: BlockPrefix,
    ) -> Result<Option<Stored<Block>>, IpamError> {
        match self.taken()?.overlapping(block.prefix()) {
            Some(existing) if existing != block.prefix() => {
                Err(IpamError::BlockOverlaps { block, existing })
            }
            Some(_) => Ok(None),
            None => self.make_block(node, pool, block),
        }
    }

    /// Claim and block in one commit, if neither the pool nor the claim changed and there is still
    /// no block.
    fn make_block(
        &self,
        node: &NodeName,
        pool: &Stored<Pool>,
        prefix: BlockPrefix,
    ) -> Result<Option<Stored<Block>>, IpamError> {
        let affinity = self.read_affinity(node, prefix)?;
        let now = self.ambient.now();
        let nanos = now
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        let sequence = Sequence(u64::try_from(nanos).unwrap_or(0));
        let block = Block::new(prefix, sequence).claimed_by(Affinity::Host(node.clone()), now);
        let mut commit = Commit::new();
        let key = key::block(prefix.into());
        commit.expect(&key::pool(pool.value.name()), Some(pool.revision));
        commit.expect(&key, None).put(&key, block.to_json());
        confirm(&mut commit, node, prefix, affinity);
        let Some(revision) = self.commit(commit)? else {
            return Ok(None);
        };
        log::debug!("node {node} claimed block {prefix}");
        Ok(Some(Stored {
            value: block,
            revision,
        }))
    }

    fn pool_cut_into(&self, block: BlockPrefix) -> Result<Stored<Pool>, IpamError> {
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
