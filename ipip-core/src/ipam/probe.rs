//! Finding a free block without listing all that there are.

use super::decide::{Order, free_block};
use super::search::{Place, Seen};
use super::{Ipam, IpamError};
use crate::addr::Ipv4Prefix;
use crate::resource::{BlockPrefix, Pool, Reserved};

/// So many blocks are tried one by one before all of a pool are listed. In a pool that is half full
/// one search in 2¹⁶ lists it, in one that is nine tenths full one in five.
const PROBES: u64 = 16;

impl Place {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            probed: 0,
            taken: None,
        }
    }
}

impl Ipam {
    /// Whether there is no block that shares addresses with `prefix`; `false`: there is this one.
    ///
    /// # Errors
    /// [`IpamError::BlockOverlaps`] naming one of another size.
    pub(super) fn is_free(&self, prefix: BlockPrefix) -> Result<bool, IpamError> {
        match self.overlapping(prefix)? {
            Some(existing) if existing != prefix.prefix() => Err(IpamError::BlockOverlaps {
                block: prefix,
                existing,
            }),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// Whether there is no block that shares addresses with `prefix`.
    pub(super) fn has_no_overlap(&self, prefix: BlockPrefix) -> Result<bool, IpamError> {
        Ok(self.overlapping(prefix)?.is_none())
    }

    fn overlapping(&self, prefix: BlockPrefix) -> Result<Option<Ipv4Prefix>, IpamError> {
        let taken = self.taken_around(prefix.prefix())?;
        Ok(taken.overlapping(prefix.prefix()))
    }

    /// The next free block of the pool `number` of those that `seen` has.
    pub(super) fn next_free(
        &self,
        seen: &mut Seen,
        number: usize,
    ) -> Result<Option<BlockPrefix>, IpamError> {
        let pool = &seen.terms.pools[number].value;
        let place = &mut seen.places[number];
        self.free_in(pool, place, seen.owned, &seen.terms.reserved)
    }

    /// The next free block of `pool` after `place`, for a node that has `owned` blocks.
    ///
    /// A few are tried by themselves, where the node's next block should be; whoever claims it
    /// compares that it is still free. Only then all keys of the pool are read.
    pub(super) fn free_in(
        &self,
        pool: &Pool,
        place: &mut Place,
        owned: u32,
        reserved: &Reserved,
    ) -> Result<Option<BlockPrefix>, IpamError> {
        let order = place.order;
        while place.taken.is_none() && place.probed < PROBES && PROBES < order.count() {
            // The first ones are the node's own, where they were free.
            let index = order.index(place.probed + u64::from(owned));
            place.probed += 1;
            if let Some(block) = pool.block(index)
                && !reserved.covers(block.prefix())
                && self.has_no_overlap(block)?
            {
                return Ok(Some(block));
            }
        }
        let (taken, from) = match &mut place.taken {
            Some(known) => known,
            unknown => unknown.insert((self.taken_around(pool.cidr())?, 0)),
        };
        let wanted = |block: BlockPrefix| !reserved.covers(block.prefix());
        let Some((number, block)) = free_block(pool, taken, order, *from, wanted) else {
            *from = order.count();
            return Ok(None);
        };
        *from = number + 1;
        Ok(Some(block))
    }
}
