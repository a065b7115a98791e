//! Which handles have addresses, beside what their records say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Check, Problem, Seen, unreadable};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, key};
use crate::resource::{BlockPrefix, Handle};

/// Records of handles by their names. There may be millions, so a handle is known by its number.
#[derive(Debug)]
pub(in crate::ipam) struct Numbers<'a>(HashMap<&'a str, usize>);

impl<'a> Numbers<'a> {
    pub(in crate::ipam) fn of(records: &'a [Record]) -> Self {
        // At once: to grow step by step would hash each of a million names several times.
        let mut numbers = HashMap::with_capacity(records.len());
        let handles = records.iter().enumerate();
        numbers
            .extend(handles.filter_map(|(number, r)| Some((key::parse_handle(&r.key)?, number))));
        Self(numbers)
    }

    /// The number of the record of `handle`, if there is one.
    pub(in crate::ipam) fn get(&self, handle: &str) -> Option<usize> {
        self.0.get(handle).copied()
    }
}

/// The handles of all blocks.
#[derive(Debug)]
pub(super) struct Handles<'a> {
    records: &'a [Record],
    numbers: Numbers<'a>,
    /// The number of a record, a block, and how many addresses the handle has there.
    found: Vec<(usize, BlockPrefix, u32)>,
    missing: BTreeMap<String, Vec<(BlockPrefix, u32)>>,
    unreadable: BTreeSet<Ipv4Prefix>,
}

impl<'a> Handles<'a> {
    pub(super) fn new(records: &'a [Record]) -> Self {
        Self {
            records,
            numbers: Numbers::of(records),
            found: Vec::new(),
            missing: BTreeMap::new(),
            unreadable: BTreeSet::new(),
        }
    }

    pub(super) fn has_record(&self, handle: &str) -> bool {
        self.numbers.get(handle).is_some()
    }

    /// `handle` has `count` addresses in `block`.
    pub(super) fn add(&mut self, handle: &str, block: BlockPrefix, count: u32) {
        match self.numbers.get(handle) {
            Some(number) => self.found.push((number, block, count)),
            None => {
                let blocks = self.missing.entry(handle.to_owned()).or_default();
                blocks.push((block, count));
            }
        }
    }

    /// Whose addresses are in `block` nobody can tell.
    pub(super) fn unreadable(&mut self, block: BlockPrefix) {
        self.unreadable.insert(block.prefix());
    }

    /// Adds the problems with handles.
    pub(super) fn judge(mut self, check: &mut Check<'_>) {
        self.found.sort_unstable();
        let mut from = 0;
        for (number, record) in self.records.iter().enumerate() {
            let rest = self.found.get(from..).unwrap_or_default();
            let own = rest.iter().take_while(|(one, _, _)| *one == number);
            let (found, _) = rest.split_at(own.count());
            from += found.len();
            self.of_record(record, found, check);
        }
        for (handle, blocks) in &self.missing {
            let addresses = blocks.iter().map(|(_, count)| count).sum();
            let mut records: Vec<_> = blocks
                .iter()
                .map(|(b, _)| check.seen_block(b.prefix()))
                .collect();
            let key = format!("{}{handle}", key::handle_prefix());
            records.push(Seen {
                key,
                revision: None,
            });
            let handle = handle.clone();
            check.note(Problem::HandleMissing { handle, addresses }, records);
        }
    }

    /// Holds a record against what the handle was found to have.
    fn of_record(
        &self,
        record: &Record,
        found: &[(usize, BlockPrefix, u32)],
        check: &mut Check<'_>,
    ) {
        if let [(_, block, count)] = found
            && Handle::is_stored_as(&record.value, *block, *count)
        {
            return;
        }
        let seen = Seen {
            key: record.key.clone(),
            revision: Some(record.revision),
        };
        let Some(name) = key::parse_handle(&record.key) else {
            let problem = Problem::Misplaced {
                key: record.key.clone(),
                found: "this names no handle".to_owned(),
            };
            return check.note(problem, vec![seen]);
        };
        let stored = match Handle::from_json(&record.value) {
            Ok(stored) => stored,
            Err(fault) => return check.problems.push(unreadable(record, fault)),
        };
        let mut blocks: BTreeMap<BlockPrefix, (u64, u32)> = BTreeMap::new();
        for block in stored.blocks() {
            blocks.entry(block).or_default().0 = stored.count(block);
        }
        for (_, block, count) in found {
            blocks.entry(*block).or_default().1 = *count;
        }
        let readable = |block: &BlockPrefix| !self.unreadable.contains(&block.prefix());
        if found.is_empty() && !stored.has_foreign() && blocks.keys().all(readable) {
            let handle = name.to_owned();
            return check.note(Problem::HandleLeaked { handle }, vec![seen]);
        }
        let wrong = |(block, (counted, found)): &(BlockPrefix, (u64, u32))| {
            *counted != u64::from(*found) && readable(block)
        };
        for (block, (counted, found)) in blocks.into_iter().filter(wrong) {
            let problem = Problem::HandleCount {
                handle: name.to_owned(),
                block,
                counted,
                found,
            };
            check.note(
                problem,
                vec![seen.clone(), check.seen_block(block.prefix())],
            );
        }
    }
}
