//! Blocks of others: the empty ones, which a node takes over, and those that it borrows from.

use std::collections::VecDeque;
use std::sync::Arc;

use super::claim::Site;
use super::decide::{self, Order};
use super::put::{Right, Source, change};
use super::read::Stored;
use super::search::{Search, Seen, Step};
use super::{Ipam, IpamError};
use crate::datastore::key;
use crate::resource::{Block, BlockPrefix, Pool};

/// Blocks of others that may serve.
#[derive(Debug)]
pub(super) struct Others {
    blocks: VecDeque<BlockPrefix>,
    /// Whether there are no others; else the search ended when there were enough.
    all: bool,
}

impl Others {
    /// What it means that none of them served.
    fn ended(&self) -> Step {
        if self.all {
            Step::Nothing
        } else {
            Step::Changed
        }
    }
}

impl Search<'_> {
    /// Addresses of an empty block of another node, which it loses.
    pub(super) fn reclaim(&mut self, seen: &mut Seen) -> Result<Step, IpamError> {
        let mut empty = match seen.empty.take() {
            Some(empty) => empty,
            None => self.others(seen, |block| seen.terms.room_if_taken(block))?,
        };
        while let Some(prefix) = empty.blocks.pop_front() {
            let (Some(old), Some(pool)) =
                (self.ipam.read_block(prefix)?, seen.terms.pool_of(prefix))
            else {
                continue;
            };
            if decide::is_owned_by(&old.value, self.wanted.node)
                || seen.terms.room_if_taken(&old.value) == 0
            {
                continue;
            }
            let step = self.fill_new(seen, pool, prefix, Site::Empty(&old))?;
            if !matches!(step, Step::Nothing) {
                log::debug!(
                    "node {} takes over the empty block {prefix}",
                    self.wanted.node
                );
                seen.empty = Some(empty);
                return Ok(seen.after_claim(step));
            }
        }
        let ended = empty.ended();
        seen.empty = Some(empty);
        Ok(ended)
    }

    /// Addresses of a block of another node, or of nobody, which keeps its owner.
    pub(super) fn borrow(&mut self, seen: &mut Seen) -> Result<Step, IpamError> {
        let mut lenders = match seen.lenders.take() {
            Some(lenders) => lenders,
            None => self.others(seen, |block| {
                seen.terms.room(&seen.terms.collected(Arc::clone(block)))
            })?,
        };
        while let Some(prefix) = lenders.blocks.pop_front() {
            let (Some(block), Some(pool)) =
                (self.ipam.read_block(prefix)?, seen.terms.pool_of(prefix))
            else {
                continue;
            };
            if decide::is_owned_by(&block.value, self.wanted.node) {
                continue;
            }
            let mut commit = change(&block, pool);
            // Whoever forbids to borrow forbids it from then on.
            commit.expect(key::config(), seen.terms.config_revision);
            let step = self.fill(
                seen,
                block.value,
                commit,
                Source::new(pool, Right::Borrowing),
            )?;
            if !matches!(step, Step::Nothing) {
                seen.lenders = Some(lenders);
                return Ok(step);
            }
        }
        let ended = lenders.ended();
        seen.lenders = Some(lenders);
        Ok(ended)
    }

    /// Blocks that others own, in the order of the pools and of the node in each, of which `worth`
    /// tells how many addresses they may give: as many as are needed for all that is missing.
    fn others(
        &self,
        seen: &Seen,
        worth: impl Fn(&Arc<Block>) -> usize,
    ) -> Result<Others, IpamError> {
        let mut blocks = VecDeque::new();
        let mut missing = self.left();
        for (pool, place) in seen.terms.pools.iter().zip(&seen.places) {
            let pool = &pool.value;
            for stretch in Stretch::of(pool, place.order) {
                for block in self.ipam.blocks_below(&stretch)? {
                    let block = block.value;
                    let prefix = block.prefix();
                    // One of another size is left of an earlier pool, and should come to its end.
                    let fits = prefix.len() == pool.block_len()
                        && pool.cidr().covers(prefix.prefix())
                        && !decide::is_owned_by(&block, self.wanted.node);
                    let worth = if fits { worth(&block) } else { 0 };
                    if worth > 0 {
                        blocks.push_back(prefix);
                        missing = missing.saturating_sub(worth);
                    }
                    if missing == 0 {
                        return Ok(Others { blocks, all: false });
                    }
                }
            }
        }
        Ok(Others { blocks, all: true })
    }
}

/// Blocks that are listed together: those of one pool that begin with the same octets, few enough to
/// be held at once, and many enough that a large pool needs few calls.
#[derive(Debug)]
struct Stretch {
    below: String,
    /// Where in the list the node begins.
    first: BlockPrefix,
}

impl Stretch {
    /// The stretches of `pool`, from the one where `order` begins around to those before it.
    fn of(pool: &Pool, order: Order) -> impl Iterator<Item = Self> {
        let first = pool.block(order.index(0));
        let first = first.expect("an order leads to blocks of its pool");
        let octets = if pool.cidr().len() < 24 { 2 } else { 3 };
        let len = (8 * octets).max(pool.cidr().len());
        let parts: Vec<_> = pool.cidr().subprefixes(len).collect();
        let at = parts.iter().position(|part| part.covers(first.prefix()));
        let at = at.unwrap_or(0);
        (0..parts.len()).map(move |step| {
            let part = parts[(at + step) % parts.len()];
            let octets: Vec<_> = part.network().octets()[..usize::from(octets)]
                .iter()
                .map(|octet| format!("{octet}."))
                .collect();
            Self {
                below: format!("{}{}", key::block_prefix(), octets.concat()),
                first,
            }
        })
    }
}

impl Ipam {
    /// The blocks of `stretch`, from where it begins around to those before it.
    fn blocks_below(&self, stretch: &Stretch) -> Result<Vec<Stored<Arc<Block>>>, IpamError> {
        let records = self.store.list(&stretch.below)?.entries.into_iter();
        let blocks = records.map(|record| self.parse_block(record));
        let mut blocks: Vec<_> = blocks.collect::<Result<_, _>>()?;
        blocks.sort_unstable_by_key(|block| block.value.prefix());
        let at = blocks.partition_point(|block| block.value.prefix() < stretch.first);
        blocks.rotate_left(at);
        Ok(blocks)
    }
}
