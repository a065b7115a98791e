//! The search for any addresses: own blocks, new blocks, empty blocks of others, borrowed addresses.

use std::collections::VecDeque;
use std::sync::Arc;

use super::borrow::Others;
use super::claim::{Site, claimant, confirm};
use super::decide::{self, Order, Standing, Taken};
use super::put::{Filled, Put, Right, Source, Wanted, change};
use super::read::{Claim, Stored};
use super::terms::Terms;
use super::{Assigned, Assignments, Ipam, IpamError, Request, Shortfall};
use crate::datastore::{Commit, Revision, key};
use crate::resource::{Block, BlockAffinity, BlockPrefix, Pool, Reserved};

/// One search, from its first block to its last.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) ipam: &'a Ipam,
    pub(super) request: &'a Request,
    pub(super) wanted: Wanted<'a>,
    found: Vec<Assigned>,
    /// What was found, if a reply was lost.
    unsure: Vec<Assigned>,
    /// Whether what is remembered may be tried: nobody was faster yet.
    from_memory: bool,
    /// `None` before the first attempt, and after somebody else was faster.
    seen: Option<Seen>,
}

/// What was seen of the store since somebody else was faster.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) terms: Terms,
    /// The node's claims that were not looked at yet; `None`: not listed yet.
    claims: Option<VecDeque<Claim>>,
    /// How many blocks the node has.
    pub(super) owned: u32,
    /// The revision of the node as an owner, read before its claims.
    pub(super) owner: Option<Revision>,
    /// By pool: what is known of its blocks, and where to go on.
    pub(super) places: Vec<Place>,
    /// Blocks of others to take over; `None`: not looked for yet.
    pub(super) empty: Option<Others>,
    /// Blocks of others to borrow from; `None`: not looked for yet.
    pub(super) lenders: Option<Others>,
}

/// How far the search came in one pool.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) order: Order,
    /// How many blocks of the order were tried by themselves.
    pub(super) probed: u64,
    /// All its blocks, once trying did not find a free one, and how many of the order were looked at
    /// since.
    pub(super) taken: Option<(Taken, u64)>,
}

/// What one step came to.
pub(super) enum Step {
    /// Addresses, assigned at this revision.
    Found(Vec<Assigned>, Revision),
    /// Nothing, and nothing is to be had here.
    Nothing,
    /// Somebody else was faster: read again.
    Changed,
}

impl<'a> Search<'a> {
    pub(super) fn new(ipam: &'a Ipam, request: &'a Request) -> Result<Self, IpamError> {
        Ok(Self {
            ipam,
            request,
            wanted: Wanted::new(&request.node, &request.attribute)?,
            found: Vec::new(),
            unsure: Vec::new(),
            from_memory: true,
            seen: None,
        })
    }

    /// As many addresses as were asked for, or why there are fewer.
    pub(super) fn run(mut self) -> Result<Assignments, IpamError> {
        while self.left() > 0 {
            let ipam = self.ipam;
            let node = &self.request.node;
            let step = ipam.retry_in_turn(&format_args!("node {node}"), || self.attempt());
            match step {
                Ok(Ok(found)) => self.found.extend(found),
                Ok(Err(shortfall)) => return Ok(self.ended(Some(shortfall))),
                Err(error) if self.found.is_empty() => return Err(error),
                Err(error) => {
                    let error = Box::new(error);
                    return Ok(self.ended(Some(Shortfall::Failed { error })));
                }
            }
        }
        Ok(self.ended(None))
    }

    fn ended(self, shortfall: Option<Shortfall>) -> Assignments {
        Assignments {
            assigned: self.found,
            shortfall,
        }
    }

    /// How many addresses are missing.
    pub(super) fn left(&self) -> usize {
        let count = usize::try_from(self.request.count).unwrap_or(usize::MAX);
        count - self.found.len()
    }

    /// Addresses of one block, or why there are no more; `None` if somebody else was faster.
    pub(super) fn attempt(
        &mut self,
    ) -> Result<Option<Result<Vec<Assigned>, Shortfall>>, IpamError> {
        let unsure = std::mem::take(&mut self.unsure);
        if self.ipam.recognised(&self.wanted, &unsure)? {
            return Ok(Some(Ok(unsure)));
        }
        if std::mem::take(&mut self.from_memory) {
            match self.recent()? {
                Step::Found(found, _) => return Ok(Some(Ok(found))),
                Step::Changed if !self.unsure.is_empty() => return Ok(None),
                Step::Changed | Step::Nothing => {}
            }
        }
        let mut seen = match self.seen.take() {
            Some(seen) => seen,
            None => Seen::new(self.ipam, self.request)?,
        };
        let outcome = match self.own(&mut seen)? {
            Step::Nothing => self.beyond_own(&mut seen)?,
            step => Ok(step),
        };
        Ok(match outcome {
            Ok(Step::Found(found, _)) => {
                self.seen = Some(seen);
                Some(Ok(found))
            }
            Ok(Step::Changed | Step::Nothing) => None,
            Err(shortfall) => Some(Err(shortfall)),
        })
    }

    /// The steps after the node's own blocks are full.
    fn beyond_own(&mut self, seen: &mut Seen) -> Result<Result<Step, Shortfall>, IpamError> {
        let limit = seen.terms.limit;
        if seen.owned >= limit {
            return Ok(Err(Shortfall::BlockLimit { limit }));
        }
        if !seen.terms.config.auto_allocate_blocks {
            return Ok(Err(Shortfall::AutoAllocationOff));
        }
        let mut step = self.new_block(seen)?;
        if matches!(step, Step::Nothing) {
            step = self.reclaim(seen)?;
        }
        let pools = || seen.terms.pool_names();
        if matches!(step, Step::Nothing) && seen.terms.config.strict_affinity {
            return Ok(Err(Shortfall::StrictAffinity { pools: pools() }));
        }
        if matches!(step, Step::Nothing) {
            step = self.borrow(seen)?;
        }
        if matches!(step, Step::Nothing) {
            let pools = seen.terms.pool_names();
            return Ok(Err(Shortfall::PoolsExhausted { pools }));
        }
        Ok(Ok(step))
    }

    /// Addresses of a block that the node has.
    fn own(&mut self, seen: &mut Seen) -> Result<Step, IpamError> {
        if seen.claims.is_none() {
            if let Some(latest) = self.ipam.cache.latest(self.wanted.node)
                && let step @ (Step::Found(..) | Step::Changed) = self.latest(seen, latest.block)?
            {
                return Ok(step);
            }
            // Read before the claims: whoever claims one meanwhile changes it.
            seen.owner = self.ipam.owner_revision(self.wanted.node)?;
            let claims = self.ipam.claims_of(self.wanted.node)?;
            seen.owned = u32::try_from(claims.len()).unwrap_or(u32::MAX);
            seen.claims = Some(claims.into());
        }
        while let Some(claim) = seen.claims.as_mut().and_then(VecDeque::pop_front) {
            match self.of_claim(seen, claim)? {
                Step::Nothing => {}
                step => return Ok(step),
            }
        }
        Ok(Step::Nothing)
    }

    /// Addresses of the block that served the node last: as a rule it has more, and the others need
    /// not be looked at.
    fn latest(&mut self, seen: &Seen, latest: BlockPrefix) -> Result<Step, IpamError> {
        let (Some(pool), false) = (seen.terms.pool_of(latest), seen.terms.is_reserved(latest))
        else {
            return Ok(Step::Nothing);
        };
        let Some(affinity) = self.ipam.read_affinity(self.wanted.node, latest)? else {
            return Ok(Step::Nothing);
        };
        let Some(block) = self.ipam.read_block(latest)? else {
            return Ok(Step::Nothing);
        };
        self.of_block(seen, pool, block, affinity)
    }

    fn of_claim(&mut self, seen: &mut Seen, claim: Claim) -> Result<Step, IpamError> {
        let prefix = claim.block;
        let Some(pool) = seen.terms.pool_of(prefix) else {
            if seen
                .terms
                .deselecting
                .iter()
                .any(|cidr| cidr.covers(prefix.prefix()))
            {
                let gone = self.ipam.give_up_if_empty(self.wanted.node, prefix)?;
                seen.owned -= u32::from(gone);
            }
            return Ok(Step::Nothing);
        };
        if seen.terms.is_reserved(prefix) {
            return Ok(Step::Nothing);
        }
        let Some(record) = self.ipam.store.get(&key::block(prefix.into()))? else {
            let step = self.of_blockless(seen, pool, claim)?;
            if let Step::Found(_, revision) = &step {
                // It was counted as the node's before.
                seen.owner = Some(*revision);
            }
            return Ok(step);
        };
        let cache = &self.ipam.cache;
        if cache.is_full(prefix, record.revision, self.wanted.node) {
            return Ok(Step::Nothing);
        }
        let block = self.ipam.kept_block(prefix, record)?;
        if !decide::is_owned_by(&block.value, self.wanted.node) {
            let gone = self.ipam.forget_claim(self.wanted.node, &block)?;
            seen.owned -= u32::from(gone);
            return Ok(Step::Nothing);
        }
        self.of_block(seen, pool, block, claim.affinity)
    }

    /// Addresses of the block of `claim`, which is yet to be made.
    fn of_blockless(
        &mut self,
        seen: &Seen,
        pool: &Stored<Arc<Pool>>,
        claim: Claim,
    ) -> Result<Step, IpamError> {
        let prefix = claim.block;
        if prefix.len() != pool.value.block_len() || !self.ipam.has_no_overlap(prefix)? {
            return Ok(Step::Nothing);
        }
        // Without its claim, which was given up meanwhile, it would be one that nobody asked for.
        self.fill_new(seen, pool, prefix, Site::Claimed(claim.affinity))
    }

    /// Addresses of `block`, which the node claims by `affinity`.
    fn of_block(
        &mut self,
        seen: &Seen,
        pool: &Stored<Arc<Pool>>,
        block: Stored<Arc<Block>>,
        affinity: Stored<BlockAffinity>,
    ) -> Result<Step, IpamError> {
        let node = self.wanted.node;
        self.ipam
            .cache
            .note_if_full(&block.value, block.revision, node);
        let mut commit = change(&block, pool);
        let right = match decide::standing(node, Some(affinity.value.state), Some(&block.value)) {
            // Not compared: a claim that was read is given up only with the block, which is.
            Standing::Ours => Right::Claimed(affinity.revision),
            Standing::Unconfirmed => {
                confirm(&mut commit, node, block.value.prefix(), Some(affinity));
                Right::Claiming
            }
            Standing::NoBlock | Standing::Stale => return Ok(Step::Nothing),
        };
        self.fill(seen, block.value, commit, Source::new(pool, right))
    }

    /// Addresses of `block`, stored with `commit`.
    pub(super) fn fill(
        &mut self,
        seen: &Seen,
        block: Arc<Block>,
        commit: Commit,
        source: Source<'_>,
    ) -> Result<Step, IpamError> {
        let block = seen.terms.collected(block);
        if seen.terms.room(&block) == 0 {
            return Ok(Step::Nothing);
        }
        let block = self.ipam.to_change(block);
        self.fill_owned(&seen.terms.reserved, block, commit, source)
    }

    /// Addresses of the new block `prefix`, which the node claims with them.
    pub(super) fn fill_new(
        &mut self,
        seen: &Seen,
        pool: &Stored<Arc<Pool>>,
        prefix: BlockPrefix,
        site: Site<'_>,
    ) -> Result<Step, IpamError> {
        let owner = claimant(self.wanted.node, seen.owner);
        let (block, commit) = self.ipam.new_block(owner, pool, prefix, site)?;
        let source = Source::new(pool, Right::Claiming);
        self.fill_owned(&seen.terms.reserved, block, commit, source)
    }

    /// Addresses of `block`, which nobody else sees, passing over those that are `reserved`.
    pub(super) fn fill_owned(
        &mut self,
        reserved: &Reserved,
        mut block: Block,
        commit: Commit,
        source: Source<'_>,
    ) -> Result<Step, IpamError> {
        let skip = |addr| !reserved.is_empty() && reserved.contains(addr);
        let assigned = block.assign_many(self.left(), &self.wanted.attribute, skip);
        if assigned.is_empty() {
            return Ok(Step::Nothing);
        }
        let filled = Filled {
            block,
            assigned,
            source,
        };
        Ok(match self.ipam.put(commit, &self.wanted, filled)? {
            Put::Done(assigned, revision) => Step::Found(assigned, revision),
            Put::Changed => Step::Changed,
            Put::Perhaps(assigned) => {
                self.unsure = assigned;
                Step::Changed
            }
        })
    }

    /// Addresses of a free block, which the node claims.
    fn new_block(&mut self, seen: &mut Seen) -> Result<Step, IpamError> {
        for number in 0..seen.terms.pools.len() {
            while let Some(prefix) = self.ipam.next_free(seen, number)? {
                let pool = &seen.terms.pools[number];
                match self.fill_new(seen, pool, prefix, Site::Free)? {
                    Step::Nothing => {}
                    step => return Ok(seen.after_claim(step)),
                }
            }
        }
        Ok(Step::Nothing)
    }
}

impl Seen {
    fn new(ipam: &Ipam, request: &Request) -> Result<Self, IpamError> {
        let terms = ipam.terms(request)?;
        let random = || ipam.ambient.random();
        let place =
            |pool: &Stored<Arc<Pool>>| Place::new(Order::of(&request.node, &pool.value, random));
        Ok(Self {
            places: terms.pools.iter().map(place).collect(),
            terms,
            claims: None,
            owned: 0,
            owner: None,
            empty: None,
            lenders: None,
        })
    }

    /// Takes over that the node has one block more, if `step` claimed it.
    pub(super) fn after_claim(&mut self, step: Step) -> Step {
        if let Step::Found(_, revision) = &step {
            self.owned += 1;
            self.owner = Some(*revision);
        }
        step
    }
}
