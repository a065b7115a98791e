//! The attributes of one block, numbered: each once, however many addresses point to it.

use std::sync::OnceLock;

use crate::resource::Attribute;

/// The attributes of a block in the order in which they came.
///
/// An attribute that nothing points to any more keeps its number until many have gone, so that a
/// release neither renumbers the others nor moves their text; what is written leaves it out.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    entries: Vec<Entry>,
    /// How many entries are pointed to.
    live: usize,
    /// How many of these stand for addresses that cool down.
    cooling: usize,
    /// The entry that was found last: who asks for several addresses asks for it again.
    last: usize,
    /// The text of the entries, once they were written: changed with them, so that it need not be
    /// gathered from all over the memory each time.
    text: OnceLock<Text>,
}

/// All entries as they are written, a comma behind each.
#[derive(Debug, Clone, Default)]
struct Text {
    octets: Vec<u8>,
    /// Where each entry ends, with its comma.
    ends: Vec<usize>,
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
        if entry.references == 0 {
            self.live += 1;
            self.cooling += usize::from(entry.cooling);
        }
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
        let entry = &mut self.entries[usize::from(index)];
        entry.references -= 1;
        if entry.references == 0 {
            self.live -= 1;
            self.cooling -= usize::from(entry.cooling);
        }
        while self.entries.last().is_some_and(|last| last.references == 0) {
            self.entries.pop();
            if let Some(text) = self.text.get_mut() {
                text.pop();
            }
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
        self.text.take();
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
        self.cooling > 0
    }

    /// Writes those that are pointed to at the end of `out`, with a comma between them.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let text = self.text();
        // What stands between two entries that nothing points to is copied at once.
        let (mut from, mut to) = (0, 0);
        for (entry, end) in self.entries.iter().zip(&text.ends) {
            if entry.references == 0 {
                out.extend_from_slice(&text.octets[from..to]);
                from = *end;
            }
            to = *end;
        }
        out.extend_from_slice(&text.octets[from..to]);
        if out.len() > start {
            out.pop();
        }
    }

    /// How many octets [`Attributes::write`] writes, with a comma at the end.
    pub(super) fn written_len(&self) -> usize {
        let mut from = 0;
        let len = |(entry, end): (&Entry, &usize)| {
            let len = end - std::mem::replace(&mut from, *end);
            if entry.references > 0 { len } else { 0 }
        };
        self.entries.iter().zip(&self.text().ends).map(len).sum()
    }

    fn text(&self) -> &Text {
        self.text.get_or_init(|| {
            let mut text = Text::default();
            let attributes = self.entries.iter().map(|entry| &entry.attribute);
            attributes.for_each(|attribute| text.push(attribute));
            text
        })
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
        self.octets.extend_from_slice(attribute.json());
        self.octets.push(b',');
        self.ends.push(self.octets.len());
    }

    /// Removes the last entry.
    fn pop(&mut self) {
        self.ends.pop();
        self.octets.truncate(self.ends.last().copied().unwrap_or(0));
    }
}
