//! One block in memory: which of its addresses are assigned to whom, and in which order the free
//! ones come next.

mod assign;
mod attributes;
mod examine;
mod json;
mod release;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::SystemTime;

pub use assign::Assignment;
pub use release::{Release, Released, ReleasedGroup};

use super::json::Extra;
use super::{Affinity, Attribute, BlockPrefix, Ordinal, parse_rfc3339, rfc3339};
use crate::name::HandleId;
use attributes::Attributes;

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
#[derive(Debug, Clone)]
pub struct Block {
    prefix: BlockPrefix,
    affinity: Option<Affinity>,
    claim_time: Option<String>,
    /// By ordinal: the index in `attributes`, below its length.
    allocations: Vec<Option<u16>>,
    /// The ordinals whose allocation is `None`, each once, the next to be assigned first.
    unallocated: VecDeque<u16>,
    /// `None` until the first assignment, which Calico writes as null.
    attributes: Option<Attributes>,
    sequence: Sequence,
    /// By ordinal.
    sequences: Vec<Option<u64>>,
    deleted: bool,
    extra: Extra,
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

    /// Whether the owner claimed it at `time` or before, or in a time that we do not know: of old.
    pub(crate) fn is_claimed_before(&self, time: SystemTime) -> bool {
        let claimed = self.claim_time().and_then(parse_rfc3339);
        claimed.is_none_or(|claimed| claimed <= time)
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

    /// Whether nobody has an address of it: every one is free, or set aside by Calico for a Windows
    /// host. One that cools down counts as somebody's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used_count() == 0 || self.assigned().all(|(_, who)| who.is_windows_reserved())
    }

    /// Whether addresses of it cool down, or have cooled down and were not collected yet.
    pub(crate) fn has_cooling(&self) -> bool {
        self.attributes
            .as_ref()
            .is_some_and(Attributes::has_cooling)
    }

    /// The free addresses, the next one to be assigned first.
    pub fn free(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.unallocated.iter().map(|place| self.addr_at(*place))
    }

    /// To whom `addr` is assigned, which may be an attribute that is cooling down; `None` if it is free
    /// or in another block.
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
        let attributes = self.attributes.as_ref();
        let is = attributes.map(|attributes| attributes.with_handle(handle));
        self.prefix.ordinals().filter(move |ordinal| {
            let index = self.allocations[usize::from(ordinal.get())];
            index.zip(is.as_ref()).is_some_and(|(index, is)| is(index))
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
        self.attributes.as_ref()?.get(index)
    }

    fn sequence_at(&self, place: usize) -> Sequence {
        Sequence(self.sequences.get(place).copied().flatten().unwrap_or(0))
    }
}

/// Equal if what is stored is.
impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Eq for Block {}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
