//! Assigning addresses of a block.

use std::net::Ipv4Addr;

use super::{Block, Sequence};
use crate::resource::{Attribute, BlockError};

/// An address that was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The address.
    pub addr: Ipv4Addr,
    /// The block's sequence number at which it was assigned; [`Release::at`](super::Release::at)
    /// takes it.
    pub sequence: Sequence,
}

impl Block {
    /// Assigns the address that has been free longest.
    ///
    /// # Errors
    /// [`BlockError::Full`] if none is free.
    pub fn assign_any(&mut self, attribute: Attribute) -> Result<Assignment, BlockError> {
        let block = self.prefix;
        let Some(place) = self.unallocated.pop_front() else {
            return Err(BlockError::Full { block });
        };
        let assignment = self.put(place, attribute);
        self.touch();
        Ok(assignment)
    }

    /// Assigns up to `count` addresses, those that have been free longest, in one change: all have
    /// the same sequence number. Those that `skip` names are passed over, and keep their place
    /// among the free ones. The list is shorter if there are not enough, and then empty if there
    /// are none; the block is as before then.
    ///
    /// ```
    /// use ipip_core::resource::{Attribute, Block, Sequence};
    /// let mut block = Block::new("10.244.79.0/29".parse()?, Sequence(7));
    /// let first = |addr: std::net::Ipv4Addr| addr.octets()[3] == 0;
    /// let assigned = block.assign_many(2, &Attribute::default(), first);
    /// assert_eq!(assigned.iter().map(|a| a.addr.octets()[3]).collect::<Vec<_>>(), [1, 2]);
    /// assert_eq!(assigned[1].sequence, Sequence(7));
    /// assert_eq!(block.assign_many(9, &Attribute::default(), first).len(), 5);
    /// # Ok::<(), ipip_core::resource::BlockPrefixError>(())
    /// ```
    pub fn assign_many(
        &mut self,
        count: usize,
        attribute: &Attribute,
        skip: impl Fn(Ipv4Addr) -> bool,
    ) -> Vec<Assignment> {
        let mut assigned = Vec::with_capacity(count.min(self.unallocated.len()));
        let mut kept = Vec::new();
        while assigned.len() < count {
            let Some(place) = self.unallocated.pop_front() else {
                break;
            };
            if skip(self.addr_at(place)) {
                kept.push(place);
            } else {
                assigned.push(self.put(place, attribute.clone()));
            }
        }
        for place in kept.into_iter().rev() {
            self.unallocated.push_front(place);
        }
        if !assigned.is_empty() {
            self.touch();
        }
        assigned
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
        let assignment = self.put(place, attribute);
        self.touch();
        Ok(assignment)
    }

    /// Records that the ordinal `place`, just taken from the queue, belongs to `attribute`.
    fn put(&mut self, place: u16, attribute: Attribute) -> Assignment {
        let index = self.attributes.get_or_insert_default().add(attribute);
        self.allocations[usize::from(place)] = Some(index);
        // Calico stamps the count as read, before this change is counted.
        let sequence = self.sequence;
        self.sequences[usize::from(place)] = Some(sequence.0);
        let addr = self.addr_at(place);
        Assignment { addr, sequence }
    }
}
