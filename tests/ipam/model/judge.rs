//! The plain lists, and the rules by which they judge what the allocator did.

use std::collections::{BTreeMap, BTreeSet};

use ipip_core::ipam::{Assignments, BlockRelease, IpamErrorKind, ReleasedMany, Request, Shortfall};

use super::{BLOCKS, SIZE, place};

/// Who has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Handle(u8),
    Cooling,
}

#[derive(Debug)]
pub(super) struct Plain {
    /// `None`: nobody any more.
    owner: Option<u8>,
    claimed: u64,
    /// The free places, the next one first.
    pub(super) queue: Vec<u8>,
    used: BTreeMap<u8, Holder>,
    /// When cooling places were released.
    since: BTreeMap<u8, u64>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) blocks: BTreeMap<u8, Plain>,
    pub(super) strict: bool,
    pub(super) cooldown: u64,
    pub(super) now: u64,
    reserved: BTreeSet<u8>,
}

type Answer<T> = Result<T, IpamErrorKind>;
use IpamErrorKind::{Exhausted, Invalid, NotFound, Taken};

fn places(block: u8) -> impl Iterator<Item = u8> + Clone {
    block * SIZE..(block + 1) * SIZE
}

/// Both refuse in the same way, or both do not.
fn same<T: std::fmt::Debug>(expected: Answer<()>, found: Answer<T>) -> Answer<T> {
    match (&expected, &found) {
        (Err(expected), Err(found)) => assert_eq!(expected, found),
        (Ok(()), Ok(_)) => {}
        _ => panic!("{found:?} instead of {expected:?}"),
    }
    found
}

impl Plain {
    fn new(block: u8, owner: u8, claimed: u64) -> Self {
        Self {
            owner: Some(owner),
            claimed,
            queue: places(block).collect(),
            used: BTreeMap::new(),
            since: BTreeMap::new(),
        }
    }

    /// The places that have cooled down.
    fn cooled(&self, now: u64, cooldown: u64) -> Vec<u8> {
        let over = self.since.iter().filter(|(_, at)| **at + cooldown < now);
        over.map(|(place, _)| *place).collect()
    }

    fn collect(&mut self, now: u64, cooldown: u64) {
        for place in self.cooled(now, cooldown) {
            self.since.remove(&place);
            self.used.remove(&place);
            self.queue.push(place);
        }
    }

    fn give_back(&mut self, place: u8, now: u64, cooldown: u64) {
        if cooldown > 0 {
            self.used.insert(place, Holder::Cooling);
            self.since.insert(place, now);
        } else {
            self.used.remove(&place);
            self.queue.push(place);
        }
    }
}

impl Model {
    pub(super) fn new(now: u64, reserved: BTreeSet<u8>) -> Self {
        Self {
            blocks: BTreeMap::new(),
            strict: false,
            cooldown: 0,
            now,
            reserved,
        }
    }

    pub(super) fn holders(&self) -> BTreeMap<u8, Holder> {
        let used = self.blocks.values().flat_map(|block| block.used.clone());
        used.collect()
    }

    pub(super) fn owned(&self, node: u8) -> impl Iterator<Item = u8> {
        let mine = move |(_, block): &(&u8, &Plain)| block.owner == Some(node);
        self.blocks.iter().filter(mine).map(|(block, _)| *block)
    }

    fn is_reserved(&self, block: u8) -> bool {
        places(block).all(|place| self.reserved.contains(&place))
    }

    /// Blocks that are not there, and may be claimed by somebody who asks for any.
    fn free_blocks(&self) -> Vec<u8> {
        let free = (0..BLOCKS).filter(|block| !self.blocks.contains_key(block));
        free.filter(|block| !self.is_reserved(*block)).collect()
    }

    /// The free places for somebody who asks for any, after those have come back that have cooled.
    fn free_in(&self, block: u8) -> Vec<u8> {
        let Some(plain) = self.blocks.get(&block) else {
            return Vec::new();
        };
        let cooled = plain.cooled(self.now, self.cooldown);
        let free = plain.queue.iter().copied().chain(cooled);
        free.filter(|place| !self.reserved.contains(place))
            .collect()
    }

    fn may_reclaim(&self, node: u8, block: u8) -> bool {
        self.blocks.get(&block).is_some_and(|plain| {
            plain.owner.is_some_and(|owner| owner != node)
                && plain.claimed + 60 <= self.now
                && plain.used.len() == plain.cooled(self.now, self.cooldown).len()
                && !self.is_reserved(block)
        })
    }

    /// A block that nobody owns ends with its last address.
    fn sweep(&mut self) {
        self.blocks
            .retain(|_, block| block.owner.is_some() || !block.used.is_empty());
    }

    pub(super) fn claimed(&mut self, node: u8, block: u8, done: Answer<bool>) -> Answer<()> {
        let owner = self.blocks.get(&block).map(|plain| plain.owner);
        let expected = match owner {
            Some(owner) if owner != Some(node) => Err(Taken),
            _ => Ok(()),
        };
        let newly = same(expected, done)?;
        assert_eq!(newly, owner.is_none());
        let now = self.now;
        self.blocks
            .entry(block)
            .or_insert_with(|| Plain::new(block, node, now));
        Ok(())
    }

    pub(super) fn claimed_any(&mut self, node: u8, done: Answer<u8>) -> Answer<()> {
        let free = self.free_blocks();
        let expected = if free.is_empty() {
            Err(Exhausted)
        } else {
            Ok(())
        };
        let block = same(expected, done)?;
        assert!(free.contains(&block));
        self.blocks.insert(block, Plain::new(block, node, self.now));
        Ok(())
    }

    pub(super) fn assigned(
        &mut self,
        node: u8,
        at: u8,
        handle: u8,
        done: Answer<bool>,
    ) -> Answer<()> {
        let block = at / SIZE;
        let plain = self.blocks.get(&block);
        let free = plain.is_none_or(|plain| {
            plain.queue.contains(&at) || plain.cooled(self.now, self.cooldown).contains(&at)
        });
        let mine = plain.is_none_or(|plain| plain.owner == Some(node));
        let expected = if block >= BLOCKS {
            Err(Invalid)
        } else if !free || (self.strict && !mine) {
            Err(Taken)
        } else {
            Ok(())
        };
        assert_eq!(same(expected, done)?, !mine, "borrowed");
        self.put(node, at, handle);
        Ok(())
    }

    /// Records an assignment, made in a new block where there is none.
    fn put(&mut self, node: u8, at: u8, handle: u8) {
        let (block, now) = (at / SIZE, self.now);
        let plain = self.blocks.entry(block);
        let plain = plain.or_insert_with(|| Plain::new(block, node, now));
        plain.collect(self.now, self.cooldown);
        plain.queue.retain(|free| *free != at);
        let old = plain.used.insert(at, Holder::Handle(handle));
        assert_eq!(old, None, "assigned twice");
    }

    /// Judges each step of an answer in turn: whether the rules allowed it where it stood.
    pub(super) fn assigned_many(
        &mut self,
        request: &Request,
        node: u8,
        handle: u8,
        done: &Assignments,
    ) {
        let limit = usize::try_from(request.max_blocks.unwrap()).unwrap();
        for one in &done.assigned {
            let at = place(one.addr);
            let block = at / SIZE;
            let own: Vec<u8> = self.owned(node).collect();
            let in_own = own.contains(&block);
            if !in_own {
                assert!(
                    own.iter().all(|own| self.free_in(*own).is_empty()),
                    "own ones first"
                );
                assert!(own.len() < limit, "limit");
            }
            let fresh = !in_own && !self.blocks.contains_key(&block);
            let taken_over = !in_own && !fresh && !one.borrowed;
            if taken_over || one.borrowed {
                assert!(self.free_blocks().is_empty(), "free blocks first");
            }
            if taken_over {
                assert!(self.may_reclaim(node, block));
                self.blocks.remove(&block);
            }
            if one.borrowed {
                assert!(!in_own && !self.strict);
                let empty = (0..BLOCKS).find(|block| self.may_reclaim(node, *block));
                assert_eq!(empty, None, "empty ones are taken over first");
            }
            if self.blocks.contains_key(&block) {
                assert_eq!(
                    self.free_in(block).first(),
                    Some(&at),
                    "the one free longest"
                );
            }
            assert!(!self.reserved.contains(&at));
            self.put(node, at, handle);
        }
        let count = usize::try_from(request.count).unwrap();
        assert_eq!(done.assigned.len() == count, done.shortfall.is_none());
        if let Some(shortfall) = &done.shortfall {
            self.judge_shortfall(shortfall, node, limit);
        }
    }

    fn judge_shortfall(&self, shortfall: &Shortfall, node: u8, limit: usize) {
        let own: Vec<u8> = self.owned(node).collect();
        assert!(own.iter().all(|block| self.free_in(*block).is_empty()));
        if let Shortfall::BlockLimit { limit: told } = shortfall {
            assert_eq!(usize::try_from(*told).unwrap(), limit);
            return assert!(own.len() >= limit);
        }
        assert!(own.len() < limit);
        assert!(self.free_blocks().is_empty());
        assert!((0..BLOCKS).all(|block| !self.may_reclaim(node, block)));
        match shortfall {
            Shortfall::StrictAffinity { .. } => assert!(self.strict),
            Shortfall::PoolsExhausted { .. } => {
                assert!(!self.strict);
                assert!((0..BLOCKS).all(|block| self.free_in(block).is_empty()));
            }
            other => panic!("{other}"),
        }
    }

    fn holder(&self, at: u8) -> Option<u8> {
        match self.blocks.get(&(at / SIZE))?.used.get(&at)? {
            Holder::Handle(handle) => Some(*handle),
            Holder::Cooling => None,
        }
    }

    /// Gives back places of one block, in one change.
    fn give_back(&mut self, block: u8, places: &BTreeSet<u8>) {
        if places.is_empty() {
            return;
        }
        let plain = self.blocks.get_mut(&block).unwrap();
        plain.collect(self.now, self.cooldown);
        for place in places {
            plain.give_back(*place, self.now, self.cooldown);
        }
        self.sweep();
    }

    pub(super) fn released(&mut self, at: u8, wanted: Option<u8>, done: Answer<u8>) -> Answer<()> {
        let expected = match self.holder(at) {
            None => Err(NotFound),
            Some(holder) if wanted.is_some_and(|wanted| wanted != holder) => Err(Taken),
            Some(_) => Ok(()),
        };
        assert_eq!(same(expected, done)?, at);
        self.give_back(at / SIZE, &[at].into());
        Ok(())
    }

    pub(super) fn released_many(&mut self, several: &[(u8, Option<u8>)], done: &ReleasedMany) {
        let mut not_assigned = BTreeSet::new();
        let (mut released, mut refused) = (Vec::new(), Vec::new());
        let blocks: BTreeSet<u8> = several.iter().map(|(at, _)| at / SIZE).collect();
        for block in blocks {
            let group = || several.iter().filter(move |(at, _)| at / SIZE == block);
            let wrong = |(at, wanted): &(u8, Option<u8>)| {
                let holder = self.holder(*at);
                holder.is_some() && wanted.is_some() && holder != *wanted
            };
            if group().any(wrong) {
                refused.push(block);
                continue;
            }
            let (held, free): (BTreeSet<u8>, BTreeSet<u8>) = group()
                .map(|(at, _)| *at)
                .partition(|at| self.holder(*at).is_some());
            self.give_back(block, &held);
            released.extend(held);
            not_assigned.extend(free);
        }
        let told = done.released.iter().map(|one| place(one.addr));
        assert_eq!(told.collect::<Vec<_>>(), released);
        let told = done.not_assigned.iter().map(|addr| place(*addr));
        assert!(told.eq(not_assigned));
        let told = done.refused.iter().map(|one| place(one.block.ip()) / SIZE);
        assert_eq!(told.collect::<Vec<_>>(), refused);
    }

    pub(super) fn released_handle(&mut self, handle: u8, done: Answer<BTreeSet<u8>>) -> Answer<()> {
        let has = |holder: &Holder| *holder == Holder::Handle(handle);
        let held = self.holders().into_iter().filter(|(_, holder)| has(holder));
        let held: BTreeSet<u8> = held.map(|(place, _)| place).collect();
        let expected = if held.is_empty() {
            Err(NotFound)
        } else {
            Ok(())
        };
        assert_eq!(same(expected, done)?, held);
        for block in 0..BLOCKS {
            let of_block = held.iter().copied().filter(|place| place / SIZE == block);
            self.give_back(block, &of_block.collect());
        }
        Ok(())
    }

    pub(super) fn released_block(
        &mut self,
        node: u8,
        block: u8,
        done: Answer<BlockRelease>,
    ) -> Answer<()> {
        let expected = match self.blocks.get(&block) {
            None => Err(NotFound),
            Some(plain) if plain.owner != Some(node) => Err(Taken),
            Some(_) => Ok(()),
        };
        let done = same(expected, done)?;
        let (now, cooldown) = (self.now, self.cooldown);
        let plain = self.blocks.get_mut(&block).unwrap();
        plain.collect(now, cooldown);
        plain.owner = None;
        let orphaned = !plain.used.is_empty();
        assert_eq!(done == BlockRelease::Orphaned, orphaned);
        self.sweep();
        Ok(())
    }
}
