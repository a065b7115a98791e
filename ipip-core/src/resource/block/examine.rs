//! Damaged blocks: everything that is wrong with one, and what can be mended for certain.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use super::Block;
use super::json::{affinity, prefix, sequences, unallocated};
use crate::resource::json::Object;
use crate::resource::{Attribute, BlockPrefix, ResourceError};

/// A stored block and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The block as [`Block::from_json`] reads it; `None` if it refuses.
    pub(crate) block: Option<Block>,
    /// Every rule that it breaks.
    pub(crate) faults: Vec<ResourceError>,
}

impl Block {
    /// Reads the stored value, and says everything that is wrong with it.
    pub(crate) fn examine(text: &[u8]) -> Examined {
        match Self::read(text, unallocated, sequences) {
            Ok((block, 0)) => Examined {
                block: Some(block),
                faults: Vec::new(),
            },
            Ok((block, _)) => Examined {
                block: Some(block),
                faults: faults(text),
            },
            Err(first) => {
                let mut faults = faults(text);
                if faults.is_empty() {
                    faults.push(first);
                }
                Examined {
                    block: None,
                    faults,
                }
            }
        }
    }

    /// Reads a stored value whose queue of free ordinals is wrong, or that numbers assignments of
    /// ordinals that it does not have. Whom each address is assigned to is never in doubt: the queue
    /// then holds exactly the ordinals that are assigned to nobody, first those that it held, in their
    /// order.
    ///
    /// # Errors
    /// [`ResourceError`] for everything else that is wrong.
    pub(crate) fn mended(text: &[u8]) -> Result<Self, ResourceError> {
        let (block, _) = Self::read(text, mended_queue, mended_sequences)?;
        Ok(block)
    }
}

fn mended_queue(
    object: &mut Object,
    _: BlockPrefix,
    allocations: &[Option<u16>],
) -> Result<VecDeque<u16>, ResourceError> {
    let entries: Vec<Option<i64>> = object.take("unallocated")?.unwrap_or_default();
    let all = 0..allocations.len();
    let held = entries.into_iter().flatten();
    let held = held.filter_map(|place| usize::try_from(place).ok());
    let mut seen = HashSet::new();
    let free = |place: &usize| matches!(allocations.get(*place), Some(None));
    let queue = held.chain(all).filter(free);
    let queue = queue.filter(|place| seen.insert(*place));
    Ok(queue
        .filter_map(|place| u16::try_from(place).ok())
        .collect())
}

fn mended_sequences(
    object: &mut Object,
    block: BlockPrefix,
) -> Result<Vec<Option<u64>>, ResourceError> {
    let entries: HashMap<Cow<'_, str>, Option<u64>> = object
        .take("sequenceNumberForAllocation")?
        .unwrap_or_default();
    let place = |place: u32| entries.get(place.to_string().as_str()).copied().flatten();
    Ok((0..block.size()).map(place).collect())
}

/// Every rule that the block in `text` breaks.
fn faults(text: &[u8]) -> Vec<ResourceError> {
    let mut faults = Vec::new();
    let mut object = match Object::parse(text) {
        Ok(object) => object,
        Err(fault) => return vec![fault],
    };
    let block = match prefix(&mut object) {
        Ok(prefix) => prefix,
        Err(fault) => return vec![fault],
    };
    let mut note = |fault: ResourceError| faults.push(fault);
    let attributes = object.take::<Vec<Attribute>>("attributes");
    let attributes = attributes.map(|entries| entries.map_or(0, |e| e.len()));
    match object.take::<Vec<Option<i64>>>("allocations") {
        Err(fault) => note(fault),
        Ok(entries) => {
            let entries = entries.unwrap_or_default();
            if let Ok(attributes) = attributes {
                of_indexes(&entries, attributes, &mut note);
            }
            let found = entries.len();
            if found != block.size() as usize {
                note(ResourceError::AllocationsLen { block, found });
            } else {
                let used = entries.iter().map(Option::is_some).collect();
                of_queue(&mut object, block, used, &mut note);
            }
        }
    }
    if let Err(fault) = attributes {
        note(fault);
    }
    let rest = [
        affinity(&mut object).err(),
        object.take::<String>("affinity_claim_time").err(),
        object.take::<u64>("sequenceNumber").err(),
        object.take::<bool>("deleted").err(),
        sequences(&mut object, block).err(),
    ];
    rest.into_iter().flatten().for_each(note);
    faults
}

/// What is wrong with the indexes in `allocations`, and with the attributes that they do not name.
fn of_indexes(entries: &[Option<i64>], attributes: usize, note: &mut impl FnMut(ResourceError)) {
    let mut named = vec![false; attributes];
    for (ordinal, index) in entries.iter().enumerate() {
        let Some(index) = *index else { continue };
        let entry = usize::try_from(index).ok().and_then(|at| named.get_mut(at));
        match entry {
            Some(entry) => *entry = true,
            None => note(ResourceError::AllocationIndex {
                ordinal,
                index,
                attributes,
            }),
        }
    }
    let stray = named.iter().enumerate().filter(|(_, named)| !**named);
    stray.for_each(|(index, _)| note(ResourceError::StrayAttribute { index }));
}

/// What is wrong with the queue, where `used` says which ordinals are assigned.
fn of_queue(
    object: &mut Object,
    block: BlockPrefix,
    mut used: Vec<bool>,
    note: &mut impl FnMut(ResourceError),
) {
    let entries: Vec<i64> = match object.take("unallocated") {
        Ok(entries) => entries.unwrap_or_default(),
        Err(fault) => return note(fault),
    };
    let assigned = used.clone();
    for found in entries {
        let place = usize::try_from(found).ok();
        let (Some(place), Ok(ordinal)) = (place.filter(|p| *p < used.len()), u16::try_from(found))
        else {
            note(ResourceError::UnallocatedRange { block, found });
            continue;
        };
        if std::mem::replace(&mut used[place], true) {
            let assigned = assigned[place];
            note(ResourceError::UnallocatedTaken { ordinal, assigned });
        }
    }
    let missing = used.iter().enumerate().filter(|(_, used)| !**used);
    missing.for_each(|(ordinal, _)| note(ResourceError::UnallocatedMissing { ordinal }));
}
