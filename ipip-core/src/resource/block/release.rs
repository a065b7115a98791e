//! Releasing addresses of a block, at once or after a cool-down.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use super::{Block, Sequence};
use crate::name::HandleId;
use crate::resource::{Attribute, BlockError};

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

/// What became of several releases in one block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReleasedGroup {
    /// What was released, in the order of the addresses, each once.
    pub released: Vec<Released>,
    /// The addresses that nobody had, in order, each once.
    pub not_assigned: Vec<Ipv4Addr>,
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
    /// Releases one address.
    ///
    /// # Errors
    /// [`BlockError::Outside`], [`BlockError::NotAssigned`] (free, or cooling down), and
    /// [`BlockError::HandleMismatch`] or [`BlockError::SequenceMismatch`] if the assignment is not
    /// the one that the caller knows.
    pub fn release(&mut self, release: &Release) -> Result<Released, BlockError> {
        let place = self.checked(release)?;
        let addr = release.addr;
        let Some(place) = place else {
            return Err(BlockError::NotAssigned { addr });
        };
        let handle = self.handle_at(place);
        self.free_place(place);
        self.tidy();
        self.touch();
        Ok(Released { addr, handle })
    }

    /// Releases several addresses in one change, or none: what is named twice is released once, and
    /// must match each time. An address that nobody has is no error. They become free in their order;
    /// with an instant in `cooling` they cool down from then on, and [`Block::collect`] frees them.
    ///
    /// # Errors
    /// [`BlockError::Outside`], [`BlockError::HandleMismatch`], [`BlockError::SequenceMismatch`].
    ///
    /// ```
    /// use ipip_core::resource::{Attribute, Block, Release, Sequence};
    /// let mut block = Block::new("10.244.79.0/29".parse()?, Sequence(0));
    /// let [a, b] = [block.assign_any(Attribute::default())?, block.assign_any(Attribute::default())?];
    /// let stale = [Release::of(a.addr), Release::of(b.addr).at(a.sequence)];
    /// assert!(block.release_many(&stale, None).is_err());
    /// assert_eq!(block.used_count(), 2, "not even the first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_many(
        &mut self,
        releases: &[Release],
        cooling: Option<SystemTime>,
    ) -> Result<ReleasedGroup, BlockError> {
        let mut places = Vec::with_capacity(releases.len());
        let mut group = ReleasedGroup::default();
        for release in releases {
            match self.checked(release)? {
                Some(place) => places.push(place),
                None => group.not_assigned.push(release.addr),
            }
        }
        places.sort_unstable();
        places.dedup();
        group.not_assigned.sort_unstable();
        group.not_assigned.dedup();
        for place in &places {
            let handle = self.handle_at(*place);
            let addr = self.addr_at(*place);
            group.released.push(Released { addr, handle });
        }
        self.give_back(&places, cooling);
        Ok(group)
    }

    /// Releases every address of `handle`, in order of address; none if it has none here.
    pub fn release_handle(&mut self, handle: &HandleId) -> Vec<Released> {
        let releases: Vec<_> = self.addresses_of(handle).map(Release::of).collect();
        let group = self.release_many(&releases, None);
        group.expect("nothing is demanded of them").released
    }

    /// Frees the addresses that were released before `now` − `cooldown`, in order, and says how many
    /// there were. This is no change of its own: the change that follows it counts, or
    /// [`Block::touch`].
    ///
    /// Calico collects so too, each time it reads a block.
    pub fn collect(&mut self, now: SystemTime, cooldown: Duration) -> usize {
        let Some(attributes) = &self.attributes else {
            return 0;
        };
        let over = |attribute: &Attribute| {
            let free_at = attribute.cooling().and_then(|at| at.checked_add(cooldown));
            free_at.is_some_and(|free_at| free_at < now)
        };
        if !attributes.iter().any(over) {
            return 0;
        }
        let places = self.prefix.ordinals().map(|ordinal| ordinal.get());
        let places: Vec<u16> = places
            .filter(|place| self.attribute_at(usize::from(*place)).is_some_and(over))
            .collect();
        for place in &places {
            self.free_place(*place);
        }
        self.tidy();
        places.len()
    }

    /// The ordinal that `release` may release; `None` if nobody has the address.
    fn checked(&self, release: &Release) -> Result<Option<u16>, BlockError> {
        let addr = release.addr;
        let ordinal = self.prefix.ordinal_of(addr)?.get();
        let place = usize::from(ordinal);
        let Some(attribute) = self.attribute_at(place).filter(|a| !a.is_cooling_down()) else {
            return Ok(None);
        };
        let handle = attribute.handle();
        let expected = release.handle.as_ref();
        if let Some(expected) = expected.filter(|h| handle != Some(h.as_str())) {
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
        Ok(Some(ordinal))
    }

    fn handle_at(&self, place: u16) -> Option<String> {
        let attribute = self.attribute_at(usize::from(place))?;
        attribute.handle().map(str::to_owned)
    }

    /// Frees the assigned ordinals `places`, or lets them cool down, in one change.
    fn give_back(&mut self, places: &[u16], cooling: Option<SystemTime>) {
        if places.is_empty() {
            return;
        }
        let cooling = cooling.map(Attribute::cooling_since);
        for place in places {
            let Some(cooling) = &cooling else {
                self.free_place(*place);
                continue;
            };
            let at = usize::from(*place);
            if let (Some(attributes), Some(index)) = (&mut self.attributes, self.allocations[at]) {
                self.allocations[at] = Some(attributes.add(cooling.clone()));
                attributes.remove(index);
                self.sequences[at] = Some(self.sequence.0);
            }
        }
        self.tidy();
        self.touch();
    }

    /// Moves the assigned ordinal `place` to the end of the queue.
    fn free_place(&mut self, place: u16) {
        let at = usize::from(place);
        if let (Some(attributes), Some(index)) = (&mut self.attributes, self.allocations[at].take())
        {
            attributes.remove(index);
            self.unallocated.push_back(place);
            self.sequences[at] = None;
        }
    }

    fn tidy(&mut self) {
        if let Some(attributes) = &mut self.attributes {
            attributes.tidy(&mut self.allocations);
        }
    }
}
