//! Deleting a pool, with the claims on its blocks.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnetwork::Ipv4Network;

use super::read::{Stored, blocks_below};
use super::retry::Written;
use super::{BlockRelease, Ipam, IpamError, decide};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Commit, Record, key};
use crate::resource::{Affinity, Attribute, Block, BlockPrefix, Pool};

/// What became of the blocks of a pool that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolDeletion {
    /// The blocks that were empty and are gone, in order.
    pub deleted: Vec<Ipv4Network>,
    /// The blocks that have addresses still, in order: nobody owns them, and they end with their last
    /// address.
    pub orphaned: Vec<Ipv4Network>,
    /// The addresses in them, in order: somebody may be using each.
    pub remaining: Vec<Remaining>,
}

/// An address that somebody may still be using.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// The address.
    pub addr: Ipv4Addr,
    /// The handle that has it.
    pub handle: Option<String>,
}

impl Ipam {
    /// Deletes the pool `name`, as Calico does: it is disabled first, so that nobody assigns or claims
    /// from it; then its blocks are given up, the empty ones deleted; then it is deleted.
    ///
    /// Addresses in use do not keep the pool: they are told, stay assigned, and can be released as
    /// before, and a later pool that covers them does not assign them again. Whoever wants to wait for
    /// them disables the pool and looks at [`Ipam::usage`].
    ///
    /// Each block is one commit. A call that ends early, by an error or a crash, leaves the pool
    /// disabled; calling again goes on.
    ///
    /// # Errors
    /// [`IpamError::PoolMissing`], also if somebody else deleted the pool meanwhile: one that was then created
    /// under the same name is left alone, which its unique id tells. [`IpamError::Value`] if one of its blocks is damaged; the pool is as
    /// before then.
    pub fn delete_pool(&self, name: &str) -> Result<PoolDeletion, IpamError> {
        let pool = self.read_pool(name)?.value;
        self.blocks_in(pool.cidr())?;
        self.disable_this(&pool)?;
        let mut deletion = PoolDeletion::default();
        let mut unsure = false;
        self.retry(&format_args!("pool {name}"), || {
            let stored = match self.read_this(&pool) {
                Err(IpamError::PoolMissing { .. }) if unsure => return Ok(Some(())),
                stored => stored?,
            };
            if stored.value.is_enabled() {
                // By somebody else, meanwhile: what is given up could be claimed again.
                self.disable_this(&pool)?;
                return Ok(None);
            }
            // Until nothing is found: Calico's nodes may have been claiming when it was disabled.
            if !self.give_up_all(&stored, &mut deletion)? {
                return Ok(None);
            }
            let key = key::pool(name);
            let mut commit = Commit::new();
            commit.expect(&key, Some(stored.revision)).delete(&key);
            let written = self.commit(commit)?;
            unsure |= written == Written::Perhaps;
            Ok(written.revision().map(|_| ()))
        })?;
        deletion.deleted.sort_unstable();
        Ok(deletion)
    }

    /// Gives up every block inside `pool` and every claim on one; `false`: somebody was faster.
    fn give_up_all(
        &self,
        pool: &Stored<Arc<Pool>>,
        deletion: &mut PoolDeletion,
    ) -> Result<bool, IpamError> {
        let cidr = pool.value.cidr();
        (deletion.orphaned, deletion.remaining) = Default::default();
        let mut settled = true;
        for stored in self.blocks_in(cidr)? {
            let prefix = stored.value.prefix();
            let done = match has_claim(&stored.value) {
                true => self.give_up_of(Some(pool), prefix, has_claim)?,
                false => Some(BlockRelease::Orphaned),
            };
            match done {
                None => settled = false,
                Some(BlockRelease::Deleted) => deletion.deleted.push(prefix.into()),
                Some(BlockRelease::Orphaned) => {
                    deletion.orphaned.push(prefix.into());
                    deletion.remaining.extend(remaining(&stored.value));
                }
            }
        }
        let mut claims = self.store.list(key::all_affinities_prefix())?.entries;
        let inside = |key: &str| key::parse_affinity(key).is_some_and(|(_, b)| cidr.covers(b));
        claims.retain(|record| inside(&record.key));
        for claim in claims {
            settled &= self.drop_claim(&claim)?;
        }
        Ok(settled)
    }

    /// The blocks inside `cidr`, in order.
    fn blocks_in(&self, cidr: Ipv4Prefix) -> Result<Vec<Stored<Arc<Block>>>, IpamError> {
        let mut records = self.store.list(&blocks_below(cidr))?.entries;
        records.retain(|record| {
            let prefix = key::parse_block(&record.key);
            prefix.is_some_and(|prefix| cidr.covers(prefix))
        });
        let mut blocks: Vec<_> = records
            .into_iter()
            .map(|record| self.parse_block(record))
            .collect::<Result<_, _>>()?;
        blocks.sort_unstable_by_key(|block| block.value.prefix());
        Ok(blocks)
    }

    /// Ends whoever's claim on the block `prefix`, if it is `wanted` still, and deletes the block if it
    /// is empty; `None`: it is not wanted any more.
    pub(super) fn give_up(
        &self,
        prefix: BlockPrefix,
        wanted: impl Fn(&Block) -> bool,
    ) -> Result<Option<BlockRelease>, IpamError> {
        self.give_up_of(None, prefix, wanted)
    }

    /// The same, only while `pool` is as it was read: a later one may have the block's addresses.
    fn give_up_of(
        &self,
        pool: Option<&Stored<Arc<Pool>>>,
        prefix: BlockPrefix,
        wanted: impl Fn(&Block) -> bool,
    ) -> Result<Option<BlockRelease>, IpamError> {
        let mut unsure = None;
        let mut again = false;
        self.retry(&format_args!("block {prefix}"), || {
            let block = self.read_block(prefix)?;
            let Some(block) = block.filter(|block| wanted(&block.value)) else {
                return Ok(Some(unsure));
            };
            if std::mem::replace(&mut again, true) && !self.is_unchanged(pool)? {
                return Ok(Some(None));
            }
            let (written, outcome) = self.try_give_up(pool, block)?;
            if written == Written::Perhaps {
                unsure = Some(outcome);
            }
            Ok(written.revision().map(|_| Some(outcome)))
        })
    }

    /// Whether `pool`, if there is one, is as it was read.
    fn is_unchanged(&self, pool: Option<&Stored<Arc<Pool>>>) -> Result<bool, IpamError> {
        let Some(pool) = pool else { return Ok(true) };
        let record = self.store.get(&key::pool(pool.value.name()))?;
        Ok(record.is_some_and(|record| record.revision == pool.revision))
    }

    fn try_give_up(
        &self,
        pool: Option<&Stored<Arc<Pool>>>,
        block: Stored<Arc<Block>>,
    ) -> Result<(Written, BlockRelease), IpamError> {
        let prefix = block.value.prefix();
        let claim = block
            .value
            .affinity()
            .and_then(|owner| claim_key(owner, prefix));
        let mut commit = Commit::new();
        let outcome = self.disown(&mut commit, block);
        if let Some(pool) = pool {
            commit.expect(&key::pool(pool.value.name()), Some(pool.revision));
        }
        if let Some(claim) = claim {
            commit.delete(&claim);
        }
        Ok((self.commit(commit)?, outcome))
    }

    /// Removes a claim unless its node owns the block; `false`: it does, or somebody was faster.
    pub(super) fn drop_claim(&self, claim: &Record) -> Result<bool, IpamError> {
        let Some((node, prefix)) = key::parse_affinity(&claim.key) else {
            return Ok(true);
        };
        let Ok(prefix) = BlockPrefix::try_from(prefix) else {
            return Ok(true);
        };
        let block = match self.read_block(prefix) {
            // Whose block it is nobody can tell: the claim stays.
            Err(IpamError::Value { .. } | IpamError::Misplaced { .. }) => return Ok(true),
            block => block?,
        };
        if let Some(block) = &block
            && decide::is_owned_by(&block.value, &node)
        {
            return Ok(false);
        }
        let mut commit = Commit::new();
        commit.expect(&claim.key, Some(claim.revision));
        let revision = block.map(|block| block.revision);
        commit.expect(&key::block(prefix.into()), revision);
        commit.delete(&claim.key);
        Ok(self.commit(commit)?.revision().is_some())
    }
}

/// The key of the claim that goes with `owner` of `block`, if we know one.
fn claim_key(owner: &Affinity, block: BlockPrefix) -> Option<String> {
    match owner {
        Affinity::Host(node) => Some(key::affinity(node, block.into())),
        Affinity::Virtual(name) => Some(key::virtual_affinity(name, block.into())),
        Affinity::Other(_) => None,
    }
}

/// Whether somebody owns `block`, or nobody needs it.
fn has_claim(block: &Block) -> bool {
    block.affinity().is_some() || block.is_empty()
}

/// The addresses of `block` that somebody may be using.
pub(super) fn remaining(block: &Block) -> Vec<Remaining> {
    let in_use = |(addr, who): (Ipv4Addr, &Attribute)| {
        let handle = who.handle().map(str::to_owned);
        (!who.is_cooling_down()).then_some(Remaining { addr, handle })
    };
    block.assigned().filter_map(in_use).collect()
}
