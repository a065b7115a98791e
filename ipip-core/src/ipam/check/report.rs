//! What a check found.

use std::fmt;
use std::time::SystemTime;

use super::Problem;
use crate::datastore::{Commit, Revision};
use crate::resource::{ObjectWriter, rfc3339, write_list};

/// What a check found: everything that is wrong at one instant.
///
/// It displays as text, a problem a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The problems: of pools and nodes, then of blocks, claims and handles.
    pub problems: Vec<Found>,
    /// How many records and addresses were looked at.
    pub checked: Checked,
    /// The store's revision at which they were.
    pub revision: Revision,
    /// When they were read.
    pub taken: SystemTime,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Pools.
    pub pools: u64,
    /// Blocks, damaged ones included.
    pub blocks: u64,
    /// Addresses that are assigned, in blocks that are not damaged.
    pub addresses: u64,
    /// Handles that have a record.
    pub handles: u64,
    /// Claims of nodes.
    pub claims: u64,
}

/// A problem, and the records that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The problem.
    pub problem: Problem,
    /// The records as they were: while they are so, the problem is there.
    pub records: Vec<Seen>,
}

/// A record as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its key.
    pub key: String,
    /// When it was last written; `None` if there was none.
    pub revision: Option<Revision>,
}

impl Found {
    /// A commit that takes effect only while the problem is there.
    pub(in crate::ipam) fn commit(&self) -> Commit {
        let mut commit = Commit::new();
        for seen in &self.records {
            commit.expect(&seen.key, seen.revision);
        }
        commit
    }

    /// Whether the check saw `key` at `revision`: what was read later may be older.
    pub(in crate::ipam) fn saw(&self, key: &str, revision: Option<Revision>) -> bool {
        let mut records = self.records.iter();
        records.any(|seen| seen.key == key && seen.revision == revision)
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.field("revision", &self.revision.0);
        object.field("taken", &rfc3339(self.taken));
        object.field_with("checked", |out| self.checked.write(out));
        object.field_with("problems", |out| {
            write_list(out, &self.problems, |out, found| found.write(out));
        });
        object.close();
        crate::ipam::text(out)
    }
}

impl Checked {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.field("pools", &self.pools);
        object.field("blocks", &self.blocks);
        object.field("addresses", &self.addresses);
        object.field("handles", &self.handles);
        object.field("claims", &self.claims);
        object.close();
    }
}

impl Found {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        self.problem.write(&mut object);
        object.field_with("records", |out| {
            write_list(out, &self.records, |out, seen| {
                let mut object = ObjectWriter::new(out);
                object.field("key", &seen.key);
                object.field("revision", &seen.revision.map(|revision| revision.0));
                object.close();
            });
        });
        object.close();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked {
            pools,
            blocks,
            addresses,
            handles,
            claims,
        } = self.checked;
        writeln!(
            f,
            "checked {pools} pools, {blocks} blocks, {addresses} addresses, {handles} handles, {claims} claims"
        )?;
        for found in &self.problems {
            writeln!(f, "{}", found.problem)?;
        }
        match self.problems.len() {
            0 => writeln!(f, "no problem found"),
            1 => writeln!(f, "1 problem found"),
            found => writeln!(f, "{found} problems found"),
        }
    }
}
