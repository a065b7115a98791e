//! The block's JSON, as Calico writes and reads it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::attributes::Attributes;
use super::{Block, Sequence};
use crate::name::NodeName;
use crate::resource::json::{NearNumbers, Object, ObjectWriter, Text, number_into, write_list};
use crate::resource::{Affinity, Attribute, BlockPrefix, ResourceError};

/// Reads the queue of free ordinals.
pub(super) type Queue =
    fn(&mut Object, BlockPrefix, &[Option<u16>]) -> Result<VecDeque<u16>, ResourceError>;
/// Reads the sequence numbers of the ordinals.
pub(super) type Numbers = fn(&mut Object, BlockPrefix) -> Result<Vec<Option<u64>>, ResourceError>;

/// So many octets are kept for the next block to be written: a full one of /26 has 20,000 as a rule.
const DRAFT_MAX: usize = 64 << 10;

impl Block {
    /// Reads the stored value, and checks that every address is either assigned to an attribute
    /// that is there, or once in the queue.
    ///
    /// Accepted besides what Calico writes today: fields missing or null, the owner in the old
    /// `hostAffinity` (which moves to `affinity`) or an empty text (nobody), an attribute that
    /// nothing points to (which is dropped).
    ///
    /// # Errors
    /// [`ResourceError`] naming the field and the rule.
    pub fn from_json(text: &[u8]) -> Result<Self, ResourceError> {
        let (block, _) = Self::read(text, unallocated, sequences)?;
        Ok(block)
    }

    /// The block in `text`, with the queue and the sequence numbers as the two functions read them, and
    /// how many attributes were dropped.
    pub(super) fn read(
        text: &[u8],
        queue: Queue,
        numbers: Numbers,
    ) -> Result<(Self, usize), ResourceError> {
        let mut object = Object::parse(text)?;
        let prefix = prefix(&mut object)?;
        let attributes: Option<Vec<Attribute>> = object.take("attributes")?;
        let count = attributes.as_ref().map_or(0, Vec::len);
        let mut allocations = allocations(&mut object, prefix, count)?;
        let unallocated = queue(&mut object, prefix, &allocations)?;
        let mut attributes = attributes.map(Attributes::stored);
        if let Some(attributes) = &mut attributes {
            for index in allocations.iter().flatten() {
                attributes.point_to(*index);
            }
            attributes.renumber(&mut allocations);
        }
        let kept = attributes.iter().flat_map(Attributes::iter).count();
        let block = Self {
            prefix,
            affinity: affinity(&mut object)?,
            claim_time: object.take("affinity_claim_time")?,
            allocations,
            unallocated,
            attributes,
            sequence: Sequence(object.take("sequenceNumber")?.unwrap_or(0)),
            sequences: numbers(&mut object, prefix)?,
            deleted: object.take("deleted")?.unwrap_or_default(),
            extra: object.into_extra(),
        };
        Ok((block, count - kept))
    }

    /// The value to be stored: byte for byte what Calico writes, then the fields we do not know.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// The same, to be shared: written where the last block was, which is still at hand, so that the
    /// shared copy is the only memory that has to be fetched.
    pub(crate) fn to_shared_json(&self) -> Arc<[u8]> {
        thread_local! {
            static DRAFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        DRAFT.with_borrow_mut(|draft| {
            draft.clear();
            // A block of a /20 has a megabyte, and is rare.
            draft.shrink_to(DRAFT_MAX);
            self.write(draft);
            Arc::from(draft.as_slice())
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let attributes = self.attributes.as_ref();
        let octets = attributes.map_or(0, Attributes::written_len);
        out.reserve(512 + 32 * self.allocations.len() + octets);
        let mut object = ObjectWriter::new(out);
        object.any_text("cidr", &self.prefix.to_string());
        match &self.affinity {
            Some(owner) => object.any_text("affinity", &owner.to_string()),
            None => object.field("affinity", &()),
        }
        if let Some(time) = &self.claim_time {
            object.any_text("affinity_claim_time", time);
        }
        object.field_with("allocations", |out| self.write_allocations(out));
        object.field_with("unallocated", |out| {
            write_list(out, &self.unallocated, |out, place| {
                number_into(out, u64::from(*place));
            });
        });
        object.field_with("attributes", |out| match attributes {
            None => out.extend_from_slice(b"null"),
            Some(list) => {
                out.push(b'[');
                list.write(out);
                out.push(b']');
            }
        });
        object.field("sequenceNumber", &self.sequence.0);
        object.field_with("sequenceNumberForAllocation", |out| {
            self.write_sequences(out)
        });
        object.field("deleted", &self.deleted);
        object.end(&self.extra);
    }

    fn write_allocations(&self, out: &mut Vec<u8>) {
        let attributes = self.attributes.as_ref();
        let numbers = attributes.map(Attributes::numbers).unwrap_or_default();
        write_list(out, &self.allocations, |out, index| match index {
            Some(index) => number_into(out, u64::from(numbers[usize::from(*index)])),
            None => out.extend_from_slice(b"null"),
        });
    }

    fn write_sequences(&self, out: &mut Vec<u8>) {
        let mut is_first = true;
        let mut numbers = NearNumbers::default();
        out.push(b'{');
        each_in_text_order(self.sequences.len(), &mut |place| {
            let Some(Some(sequence)) = self.sequences.get(place) else {
                return;
            };
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.push(b'"');
            number_into(out, u64::try_from(place).unwrap_or(u64::MAX));
            out.extend_from_slice(b"\":");
            numbers.write(out, *sequence);
        });
        out.push(b'}');
    }
}

/// Calls `visit` with 0 to `size` − 1 in the order of their decimal text, as Go sorts map keys: 0,
/// 1, 10, 11, …, 19, 2, 20, …
fn each_in_text_order(size: usize, visit: &mut impl FnMut(usize)) {
    fn descend(from: usize, size: usize, visit: &mut impl FnMut(usize)) {
        visit(from);
        for next in (from * 10..from * 10 + 10).take_while(|next| *next < size) {
            descend(next, size, visit);
        }
    }
    visit(0);
    for first in (1..10).take_while(|first| *first < size) {
        descend(first, size, visit);
    }
}

pub(super) fn prefix(object: &mut Object) -> Result<BlockPrefix, ResourceError> {
    let cidr: Option<String> = object.take("cidr")?;
    let cidr = cidr.ok_or(ResourceError::Missing { field: "cidr" })?;
    Ok(cidr.parse()?)
}

pub(super) fn affinity(object: &mut Object) -> Result<Option<Affinity>, ResourceError> {
    let text: Option<String> = object.take("affinity")?;
    let legacy: Option<String> = object.take("hostAffinity")?;
    let some = |text: &String| !text.is_empty();
    let legacy = || {
        let name = legacy.filter(some)?;
        Some(NodeName::try_new(&name).map_or_else(|_| Affinity::Other(name), Affinity::Host))
    };
    Ok(text
        .filter(some)
        .map(|text| Affinity::parse(&text))
        .or_else(legacy))
}

fn allocations(
    object: &mut Object,
    block: BlockPrefix,
    attributes: usize,
) -> Result<Vec<Option<u16>>, ResourceError> {
    let entries: Vec<Option<i64>> = object.take("allocations")?.unwrap_or_default();
    if entries.len() != block.size() as usize {
        return Err(ResourceError::AllocationsLen {
            block,
            found: entries.len(),
        });
    }
    let check = |(ordinal, index): (usize, Option<i64>)| {
        let Some(index) = index else {
            return Ok(None);
        };
        let known = u16::try_from(index)
            .ok()
            .filter(|i| usize::from(*i) < attributes);
        known.map(Some).ok_or(ResourceError::AllocationIndex {
            ordinal,
            index,
            attributes,
        })
    };
    entries.into_iter().enumerate().map(check).collect()
}

pub(super) fn unallocated(
    object: &mut Object,
    block: BlockPrefix,
    allocations: &[Option<u16>],
) -> Result<VecDeque<u16>, ResourceError> {
    let entries: Vec<i64> = object.take("unallocated")?.unwrap_or_default();
    let mut used: Vec<bool> = allocations.iter().map(Option::is_some).collect();
    let mut queue = VecDeque::with_capacity(allocations.len());
    for found in entries {
        let place = usize::try_from(found).ok();
        let (Some(seen), Ok(ordinal)) = (place.and_then(|p| used.get_mut(p)), u16::try_from(found))
        else {
            return Err(ResourceError::UnallocatedRange { block, found });
        };
        if std::mem::replace(seen, true) {
            let assigned = allocations[usize::from(ordinal)].is_some();
            return Err(ResourceError::UnallocatedTaken { ordinal, assigned });
        }
        queue.push_back(ordinal);
    }
    match used.iter().position(|seen| !seen) {
        Some(ordinal) => Err(ResourceError::UnallocatedMissing { ordinal }),
        None => Ok(queue),
    }
}

pub(super) fn sequences(
    object: &mut Object,
    block: BlockPrefix,
) -> Result<Vec<Option<u64>>, ResourceError> {
    const FIELD: &str = "sequenceNumberForAllocation";
    let mut sequences = vec![None; block.size() as usize];
    let entries: Sequences = object.take(FIELD)?.unwrap_or_default();
    for (key, sequence) in entries.0 {
        let place = key.as_ref().ok();
        let Some(entry) = place.and_then(|place| sequences.get_mut(*place)) else {
            let key = key.map_or_else(|key| key, |place| place.to_string());
            return Err(ResourceError::SequenceKey { block, key });
        };
        *entry = sequence;
    }
    Ok(sequences)
}

/// A map of sequence numbers, as it stands there; a key that is no ordinal as text.
#[derive(Default)]
struct Sequences(Vec<(Result<usize, String>, Option<u64>)>);

/// The ordinal that `key` names. Only the plain form does: "07" and "+7" would be a second name of
/// ordinal 7.
fn ordinal(key: &str) -> Result<usize, String> {
    let is_plain = key == "0" || key.starts_with(|first| matches!(first, '1'..='9'));
    let place = key.parse().ok().filter(|_| is_plain);
    place.ok_or_else(|| key.to_owned())
}

impl<'de> Deserialize<'de> for Sequences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Sequences;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sequences, A::Error> {
                let mut entries = Vec::with_capacity(64);
                while let Some((Text(key), sequence)) = map.next_entry()? {
                    entries.push((ordinal(&key), sequence));
                }
                Ok(Sequences(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
