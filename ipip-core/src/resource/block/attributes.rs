//! The attributes of one block, numbered: each once, however many addresses point to it.

use std::sync::OnceLock;

use crate::resource::Attribute;

/// The attributes of a block in the order in which they came.
///
/// An attribute that nothing points to any more keeps its number until many have gone, so that a
/// release does not renumber the others; what is written leaves it out.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    entries: Vec<Entry>,
    /// How many entries are pointed to.
    live: usize,
    /// The entry that was found last: who asks for several addresses asks for it again.
    last: usize,
    /// What is written, once it was: changed with the entries, so that they need not be gathered from
    /// all over the memory each time.
    text: OnceLock<Text>,
}

/// The entries that are pointed to as they are written, a comma behind each.
#[derive(Debug, Clone, Default)]
struct Text {
    octets: Vec<u8>,
    /// Of each entry, with its comma.
    lens: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Entry {
    attribute: Attribute,
    /// `None` until it is looked for: many blocks are only read.
    hash: Option<u64>,
    /// How many addresses point to it.
    references: u16,
    cooling: bool,
    /// The end of its handle.
    handle_end: u64,
}

impl From<Attribute> for Entry {
    fn from(attribute: Attribute) -> Self {
        Self {
            hash: None,
            handle_end: attribute.handle().map_or(0, end_of),
            cooling: attribute.is_cooling_down(),
            attribute,
            references: 0,
        }
    }
}

/// So many entries that nothing points to are let be.
const SPARE: usize = 16;

impl Attributes {
    /// The attributes as they are stored, nothing pointing to them yet.
    pub(super) fn stored(attributes: Vec<Attribute>) -> Self {
        Self {
            entries: attributes.into_iter().map(Entry::from).collect(),
            ..Self::default()
        }
    }

    /// Lets one more address point to the entry `index`, which must be there.
    pub(super) fn point_to(&mut self, index: u16) {
        let entry = &mut self.entries[usize::from(index)];
        self.live += usize::from(entry.references == 0);
        entry.references += 1;
    }

    /// The number of `attribute`, which one more address points to.
    pub(super) fn add(&mut self, attribute: Attribute) -> u16 {
        let hash = attribute.hash();
        let is = |entry: &mut Entry| {
            entry.references > 0
                && *entry.hash.get_or_insert_with(|| entry.attribute.hash()) == hash
                && entry.attribute == attribute
        };
        let found = if self.entries.get_mut(self.last).is_some_and(is) {
            self.last
        } else if let Some(found) = self.entries.iter_mut().position(is) {
            found
        } else {
            // At the end, as Calico does, even if an entry like it has gone before.
            self.push(attribute);
            self.entries.len() - 1
        };
        self.last = found;
        let index = u16::try_from(found).expect("at most twice as many as addresses");
        self.point_to(index);
        index
    }

    fn push(&mut self, attribute: Attribute) {
        if let Some(text) = self.text.get_mut() {
            text.push(&attribute);
        }
        self.entries.push(Entry::from(attribute));
    }

    /// Lets one address fewer point to the entry `index`.
    pub(super) fn remove(&mut self, index: u16) {
        let (before, rest) = self.entries.split_at_mut(usize::from(index));
        rest[0].references -= 1;
        if rest[0].references == 0 {
            self.live -= 1;
            if let Some(text) = self.text.get_mut() {
                text.remove(before.iter().filter(|entry| entry.references > 0).count());
            }
        }
        while self.entries.last().is_some_and(|last| last.references == 0) {
            self.entries.pop();
        }
    }

    /// Renumbers `allocations` once too many entries have gone.
    pub(super) fn tidy(&mut self, allocations: &mut [Option<u16>]) {
        if self.entries.len() > 2 * self.live + SPARE {
            self.renumber(allocations);
        }
    }

    /// Drops the entries that nothing points to, and renumbers `allocations`.
    pub(super) fn renumber(&mut self, allocations: &mut [Option<u16>]) {
        if self.entries.len() == self.live {
            return;
        }
        let numbers = self.numbers();
        for index in allocations.iter_mut().flatten() {
            *index = numbers[usize::from(*index)];
        }
        self.entries.retain(|entry| entry.references > 0);
        self.last = 0;
    }

    /// By index: the number among the entries that are pointed to.
    pub(super) fn numbers(&self) -> Vec<u16> {
        let mut next = 0;
        let number = |entry: &Entry| {
            let number = next;
            next += u16::from(entry.references > 0);
            number
        };
        self.entries.iter().map(number).collect()
    }

    pub(super) fn get(&self, index: u16) -> Option<&Attribute> {
        let entry = self.entries.get(usize::from(index))?;
        Some(&entry.attribute)
    }

    /// Whether the entry of an index has `handle`.
    pub(super) fn with_handle(&self, handle: &str) -> impl Fn(u16) -> bool {
        let end = end_of(handle);
        move |index| {
            let entry = self.entries.get(usize::from(index));
            entry.is_some_and(|entry| {
                entry.handle_end == end && entry.attribute.handle() == Some(handle)
            })
        }
    }

    /// Whether one of them stands for addresses that cool down.
    pub(super) fn has_cooling(&self) -> bool {
        let live = |entry: &Entry| entry.cooling && entry.references > 0;
        self.entries.iter().any(live)
    }

    /// Those that are pointed to as they are written, with a comma between them.
    pub(super) fn text(&self) -> &[u8] {
        let text = self.text.get_or_init(|| {
            let mut text = Text::default();
            self.iter().for_each(|attribute| text.push(attribute));
            text
        });
        text.octets.split_last().map_or(&[], |(_, list)| list)
    }

    /// Those that are pointed to, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Attribute> {
        let live = self.entries.iter().filter(|entry| entry.references > 0);
        live.map(|entry| &entry.attribute)
    }
}

/// The last 8 octets, in which handles differ as a rule: few attributes need be looked at then.
fn end_of(handle: &str) -> u64 {
    let octets = handle.bytes().rev().take(8);
    octets.fold(0, |end, octet| end << 8 | u64::from(octet))
}

impl Text {
    fn push(&mut self, attribute: &Attribute) {
        let json = attribute.json();
        self.octets.extend_from_slice(json);
        self.octets.push(b',');
        self.lens.push(json.len() + 1);
    }

    /// Removes the entry that has `number` others before it.
    fn remove(&mut self, number: usize) {
        let start: usize = self.lens[..number].iter().sum();
        let len = self.lens.remove(number);
        self.octets.drain(start..start + len);
    }
}
