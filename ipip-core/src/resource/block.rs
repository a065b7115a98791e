//! One block in memory: which of its addresses are assigned to whom, and in which order the free
//! ones come next.

mod json;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use super::json::Extra;
use super::{Affinity, Attribute, BlockError, BlockPrefix, Ordinal, rfc3339};
use crate::name::HandleId;

/// Counts the changes of a block; an assignment remembers the count at which it was made, so that
/// a release based on old data is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// One block: /26 by default, /20 to /32 possible.
///
/// Free addresses queue: the next one assigned is the one that has been free longest, so a
/// released address comes back last. Network and broadcast address are addresses like any other.
/// A call that fails leaves the block as it was.
///
/// ```
/// use ipip_core::name::HandleId;
/// use ipip_core::resource::{Attribute, Block, Release, Sequence};
///
/// let mut block = Block::new("10.244.79.0/26".parse()?, Sequence(0));
/// let pod = Attribute::new(Some(HandleId::try_new("pod-a")?));
/// let first = block.assign_any(pod.clone())?;
/// assert_eq!(first.addr.to_string(), "10.244.79.0");
/// block.assign("10.244.79.20".parse()?, pod)?;
/// block.release(&Release::of(first.addr))?;
/// assert_eq!(block.free_count(), 63);
/// assert_eq!(block.free().last(), Some(first.addr), "released last, reused last");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    prefix: BlockPrefix,
    affinity: Option<Affinity>,
    claim_time: Option<String>,
    /// By ordinal: the index in `attributes`, below its length.
    allocations: Vec<Option<u16>>,
    /// The ordinals whose allocation is `None`, each once, the next to be assigned first.
    unallocated: VecDeque<u16>,
    /// `None` until the first assignment, which Calico writes as null.
    attributes: Option<Vec<Attribute>>,
    /// By attribute: how many allocations point to it.
    references: Vec<u16>,
    sequence: Sequence,
    /// By ordinal.
    sequences: Vec<Option<u64>>,
    deleted: bool,
    extra: Extra,
}

/// An address that was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The address.
    pub addr: Ipv4Addr,
    /// The block's sequence number at which it was assigned; [`Release::at`] takes it.
    pub sequence: Sequence,
}

/// A release to be made: the address, and what the caller knows of the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The address.
    pub addr: Ipv4Addr,
    /// The handle that it must have; `None` accepts any, and none.
    pub handle: Option<HandleId>,
    /// The sequence number that its assignment must have; `None` accepts any.
    pub sequence: Option<Sequence>,
}

/// An address that was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The address.
    pub addr: Ipv4Addr,
    /// The handle that it had.
    pub handle: Option<String>,
}

impl Release {
    /// Releases `addr`, whoever has it.
    #[must_use]
    pub fn of(addr: Ipv4Addr) -> Self {
        Self {
            addr,
            handle: None,
            sequence: None,
        }
    }

    /// The same, only if it has `handle`.
    #[must_use]
    pub fn from_handle(self, handle: HandleId) -> Self {
        Self {
            handle: Some(handle),
            ..self
        }
    }

    /// The same, only if it was assigned at `sequence`: a second assignment of the address, even to
    /// the same handle, is left alone.
    #[must_use]
    pub fn at(self, sequence: Sequence) -> Self {
        Self {
            sequence: Some(sequence),
            ..self
        }
    }
}

impl Block {
    /// The block `prefix`, owned by nobody, every address free, in order.
    ///
    /// `sequence` is where the count of its changes starts. In a datastore it should be the
    /// present time in nanoseconds since 1970, so that a block that was deleted and made again does
    /// not repeat old numbers.
    #[must_use]
    pub fn new(prefix: BlockPrefix, sequence: Sequence) -> Self {
        let size = prefix.size() as usize;
        Self {
            prefix,
            affinity: None,
            claim_time: None,
            allocations: vec![None; size],
            unallocated: prefix.ordinals().map(Ordinal::get).collect(),
            attributes: None,
            references: Vec::new(),
            sequence,
            sequences: vec![None; size],
            deleted: false,
            extra: Extra::default(),
        }
    }

    /// The same block, owned by `affinity` since `time` (whole seconds).
    #[must_use]
    pub fn claimed_by(mut self, affinity: Affinity, time: SystemTime) -> Self {
        self.affinity = Some(affinity);
        self.claim_time = Some(rfc3339(time));
        self
    }

    /// Takes the owner away: the block keeps its addresses, and no node may claim it again.
    pub fn orphan(&mut self) {
        self.affinity = None;
        self.claim_time = None;
        self.touch();
    }

    /// Counts one change without making one, so that whoever read the block before must read again.
    /// The count wraps, as Calico's does.
    pub fn touch(&mut self) {
        self.sequence = Sequence(self.sequence.0.wrapping_add(1));
    }

    /// Assigns the address that has been free longest.
    ///
    /// # Errors
    /// [`BlockError::Full`] if none is free.
    pub fn assign_any(&mut self, attribute: Attribute) -> Result<Assignment, BlockError> {
        let block = self.prefix;
        let Some(place) = self.unallocated.pop_front() else {
            return Err(BlockError::Full { block });
        };
        Ok(self.put(usize::from(place), attribute))
    }

    /// Assigns `addr`.
    ///
    /// # Errors
    /// [`BlockError::Outside`] if it is in another block, [`BlockError::AlreadyAssigned`] if it is
    /// not free.
    pub fn assign(
        &mut self,
        addr: Ipv4Addr,
        attribute: Attribute,
    ) -> Result<Assignment, BlockError> {
        let place = self.prefix.ordinal_of(addr)?.get();
        let Some(at) = self.unallocated.iter().position(|free| *free == place) else {
            let handle = self
                .attribute_at(usize::from(place))
                .and_then(Attribute::handle);
            return Err(BlockError::AlreadyAssigned {
                addr,
                handle: handle.map(str::to_owned),
            });
        };
        self.unallocated.remove(at);
        Ok(self.put(usize::from(place), attribute))
    }

    /// Releases one address.
    ///
    /// # Errors
    /// [`BlockError::Outside`], [`BlockError::NotAssigned`] (free, or cooling down), and
    /// [`BlockError::HandleMismatch`] or [`BlockError::SequenceMismatch`] if the assignment is not
    /// the one that the caller knows.
    pub fn release(&mut self, release: &Release) -> Result<Released, BlockError> {
        let addr = release.addr;
        let place = usize::from(self.prefix.ordinal_of(addr)?.get());
        let Some(attribute) = self.attribute_at(place).filter(|a| !a.is_cooling_down()) else {
            return Err(BlockError::NotAssigned { addr });
        };
        let handle = attribute.handle();
        if let Some(expected) = release
            .handle
            .as_ref()
            .filter(|h| handle != Some(h.as_str()))
        {
            return Err(BlockError::HandleMismatch {
                addr,
                expected: expected.to_string(),
                found: handle.map(str::to_owned),
            });
        }
        let found = self.sequence_at(place);
        if let Some(expected) = release.sequence.filter(|expected| *expected != found) {
            return Err(BlockError::SequenceMismatch {
                addr,
                expected,
                found,
            });
        }
        let handle = handle.map(str::to_owned);
        self.free_place(place);
        self.compact();
        self.touch();
        Ok(Released { addr, handle })
    }

    /// Releases every address of `handle`, in order of address; none if it has none here.
    pub fn release_handle(&mut self, handle: &HandleId) -> Vec<Released> {
        let places: Vec<Ordinal> = self.ordinals_of(handle.as_str()).collect();
        for ordinal in &places {
            self.free_place(usize::from(ordinal.get()));
        }
        if !places.is_empty() {
            self.compact();
            self.touch();
        }
        let released = |ordinal: Ordinal| Released {
            addr: ordinal.addr(),
            handle: Some(handle.as_str().to_owned()),
        };
        places.into_iter().map(released).collect()
    }

    /// The block's prefix.
    #[must_use]
    pub fn prefix(&self) -> BlockPrefix {
        self.prefix
    }

    /// The owner; `None` for a block that outlived its owner's claim.
    #[must_use]
    pub fn affinity(&self) -> Option<&Affinity> {
        self.affinity.as_ref()
    }

    /// When the owner claimed it, as RFC 3339 text; Calico before 3.32 does not say.
    #[must_use]
    pub fn claim_time(&self) -> Option<&str> {
        self.claim_time.as_deref()
    }

    /// The count of changes.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// How many addresses are free, 0 to 4,096.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.unallocated.len()
    }

    /// How many addresses are not free: assigned, or cooling down.
    #[must_use]
    pub fn used_count(&self) -> usize {
        self.allocations.len() - self.unallocated.len()
    }

    /// Whether every address is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used_count() == 0
    }

    /// The free addresses, the next one to be assigned first.
    pub fn free(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.unallocated.iter().map(|place| self.addr_at(*place))
    }

    /// To whom `addr` is assigned; `None` if it is free or in another block.
    #[must_use]
    pub fn attribute_of(&self, addr: Ipv4Addr) -> Option<&Attribute> {
        let ordinal = self.prefix.ordinal_of(addr).ok()?;
        self.attribute_at(usize::from(ordinal.get()))
    }

    /// The sequence number at which `addr` was assigned, 0 if the block does not say (Calico before
    /// 3.23); `None` if it is free or in another block.
    #[must_use]
    pub fn sequence_of(&self, addr: Ipv4Addr) -> Option<Sequence> {
        self.attribute_of(addr)?;
        let ordinal = self.prefix.ordinal_of(addr).ok()?;
        Some(self.sequence_at(usize::from(ordinal.get())))
    }

    /// Every address that is not free, with its owner, in order.
    pub fn assigned(&self) -> impl Iterator<Item = (Ipv4Addr, &Attribute)> {
        let entry = |o: Ordinal| Some((o.addr(), self.attribute_at(usize::from(o.get()))?));
        self.prefix.ordinals().filter_map(entry)
    }

    /// The addresses of `handle`, in order.
    pub fn addresses_of(&self, handle: &HandleId) -> impl Iterator<Item = Ipv4Addr> {
        self.ordinals_of(handle.as_str()).map(Ordinal::addr)
    }

    fn ordinals_of(&self, handle: &str) -> impl Iterator<Item = Ordinal> {
        self.prefix.ordinals().filter(move |ordinal| {
            let attribute = self.attribute_at(usize::from(ordinal.get()));
            attribute.and_then(Attribute::handle) == Some(handle)
        })
    }

    fn addr_at(&self, place: u16) -> Ipv4Addr {
        let ordinal = self.prefix.ordinal(u32::from(place));
        ordinal
            .expect("the queue holds ordinals of this block")
            .addr()
    }

    fn attribute_at(&self, place: usize) -> Option<&Attribute> {
        let index = self.allocations.get(place).copied().flatten()?;
        self.attributes.as_deref()?.get(usize::from(index))
    }

    fn sequence_at(&self, place: usize) -> Sequence {
        Sequence(self.sequences.get(place).copied().flatten().unwrap_or(0))
    }

    /// Records that the ordinal `place`, just taken from the queue, belongs to `attribute`.
    fn put(&mut self, place: usize, attribute: Attribute) -> Assignment {
        let index = self.index_of(attribute);
        self.references[usize::from(index)] += 1;
        self.allocations[place] = Some(index);
        // Calico stamps the count as read, before this change is counted.
        let sequence = self.sequence;
        self.sequences[place] = Some(sequence.0);
        self.touch();
        let addr = self.addr_at(u16::try_from(place).expect("an ordinal"));
        Assignment { addr, sequence }
    }

    /// Where `attribute` stands in the list, to which it is added if it is new.
    fn index_of(&mut self, attribute: Attribute) -> u16 {
        // Those that somebody points to are no more than addresses; the others may be any number.
        if self.references.len() > usize::from(u16::MAX) {
            self.compact();
        }
        let attributes = self.attributes.get_or_insert_default();
        let known = attributes.iter().position(|known| *known == attribute);
        let index = known.unwrap_or_else(|| {
            attributes.push(attribute);
            self.references.push(0);
            attributes.len() - 1
        });
        u16::try_from(index).expect("no more than addresses")
    }

    /// Moves the assigned ordinal `place` to the end of the queue; [`Self::compact`] must follow.
    fn free_place(&mut self, place: usize) {
        if let Some(index) = self.allocations[place].take() {
            self.references[usize::from(index)] -= 1;
            self.unallocated
                .push_back(u16::try_from(place).expect("an ordinal"));
            self.sequences[place] = None;
        }
    }

    /// Drops the attributes that nothing points to and renumbers the rest, in order.
    fn compact(&mut self) {
        let Some(attributes) = &mut self.attributes else {
            return;
        };
        while let Some(gone) = self.references.iter().rposition(|count| *count == 0) {
            self.references.remove(gone);
            attributes.remove(gone);
            for index in self.allocations.iter_mut().flatten() {
                if usize::from(*index) > gone {
                    *index -= 1;
                }
            }
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
