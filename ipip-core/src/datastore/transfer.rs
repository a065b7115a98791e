//! All records as JSON lines, so that a network moves from one store to another.
//!
//! One line is one record: `{"key":"/calico/…","value":{…}}`, the value octet for octet as it is
//! stored; one that is no JSON on one line is `"base64":"…"` instead
//! (<https://www.rfc-editor.org/rfc/rfc4648#section-4>). Lines are in the order of the keys' octets, so
//! two exports can be compared line by line. Revisions do not move: the other store counts its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::store::check_key;
use super::{Commit, Outcome, Record, Revision, Store, StoreError};

/// A longer line is refused before it is read: 64 MiB.
const LONGEST_LINE: u64 = 64 << 20;
/// How often an import begins again because others wrote meanwhile.
const ATTEMPTS: u32 = 8;

/// What [`export`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// How many records.
    pub records: usize,
    /// The store's revision at which they were read, all at one instant.
    pub revision: Revision,
}

/// How [`import`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Only tell what would change.
    pub dry_run: bool,
    /// Delete the keys that no line has, so that the store holds exactly what was exported.
    pub remove_others: bool,
}

/// What [`import`] changed, or would change in a dry run. Each list is in the order of the keys'
/// octets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Keys that were not there.
    pub added: Vec<String>,
    /// Keys that had another value.
    pub replaced: Vec<String>,
    /// Keys that were deleted, see [`ImportOptions::remove_others`].
    pub removed: Vec<String>,
    /// How many keys had their value already.
    pub unchanged: usize,
    /// The revision of the commit; `None` if there was nothing to commit, or in a dry run.
    pub revision: Option<Revision>,
}

/// Why records were not moved; of an import nothing was written, unless the store's error says
/// otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was exported could not be written.
    #[error("the export cannot be written")]
    Write(#[source] io::Error),
    /// What is to be imported could not be read.
    #[error("line {line} cannot be read")]
    Read {
        /// The number of the line, from 1.
        line: usize,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
    /// A line is not a record.
    #[error("line {line} is not a record: {fault}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// A key has two lines.
    #[error("lines {first} and {line} both have key {key}")]
    Twice {
        /// The number of the second one.
        line: usize,
        /// The number of the first one.
        first: usize,
        /// The key.
        key: String,
    },
    /// Others wrote to the same keys at each attempt: stop them first.
    #[error("others changed the store during each of {attempts} attempts")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: String,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    value: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// A value of `null` is a value too.
fn present<'a, D: Deserializer<'a>>(line: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(line).map(Some)
}

/// Writes every record of `store`, read at one instant, a line each.
///
/// ```
/// use ipip_core::datastore::{Commit, ImportOptions, Memory, Store, export, import};
/// let (old, new) = (Memory::new(), Memory::new());
/// let mut commit = Commit::new();
/// commit.put("/a", br#"{"n":18446744073709551615}"#.to_vec());
/// old.commit(commit)?;
///
/// let mut lines = Vec::new();
/// export(&old, &mut lines)?;
/// assert_eq!(lines, b"{\"key\":\"/a\",\"value\":{\"n\":18446744073709551615}}\n");
/// let imported = import(&new, &lines[..], ImportOptions::default())?;
/// assert_eq!(imported.added, ["/a"]);
/// assert_eq!(new.get("/a")?.unwrap().value, old.get("/a")?.unwrap().value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransferError::Store`] and [`TransferError::Write`]; part of the lines may be written then.
pub fn export(store: &dyn Store, to: &mut dyn io::Write) -> Result<Exported, TransferError> {
    let listing = store.list("/")?;
    let mut to = io::BufWriter::new(to);
    for record in &listing.entries {
        write_line(&mut to, record).map_err(TransferError::Write)?;
    }
    io::Write::flush(&mut to).map_err(TransferError::Write)?;
    Ok(Exported {
        records: listing.entries.len(),
        revision: listing.revision,
    })
}

fn write_line(to: &mut dyn io::Write, record: &Record) -> io::Result<()> {
    let value = on_one_line(&record.value);
    let line = Line {
        key: record.key.clone(),
        value,
        base64: value.is_none().then(|| STANDARD.encode(&record.value)),
    };
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}

/// The value as JSON that comes back octet for octet; what stands around it would be lost, and a line
/// end within it would end the line.
fn on_one_line(value: &[u8]) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_slice(value).ok()?;
    let whole = json.get().len() == value.len() && !json.get().contains(['\n', '\r']);
    whole.then_some(json)
}

/// Puts every record that `from` has into `store`, by one commit; values that are there already are
/// left.
///
/// # Errors
/// [`TransferError::Line`], [`TransferError::Twice`] and [`TransferError::Read`] name the line;
/// [`TransferError::Busy`] if others write to the same keys; [`TransferError::Store`].
pub fn import(
    store: &dyn Store,
    from: impl BufRead,
    options: ImportOptions,
) -> Result<Imported, TransferError> {
    let lines = read_lines(from)?;
    for _ in 0..ATTEMPTS {
        let (commit, mut imported) = compare(store.list("/")?.entries, &lines, options);
        if options.dry_run || commit.writes.is_empty() {
            return Ok(imported);
        }
        if let Outcome::Committed(revision) = store.commit(commit)? {
            imported.revision = Some(revision);
            return Ok(imported);
        }
    }
    Err(TransferError::Busy { attempts: ATTEMPTS })
}

fn read_lines(mut from: impl BufRead) -> Result<BTreeMap<String, Vec<u8>>, TransferError> {
    let mut lines = BTreeMap::new();
    let mut first = BTreeMap::new();
    let mut octets = Vec::new();
    for line in 1.. {
        octets.clear();
        let mut limited = (&mut from).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut octets);
        if read.map_err(|error| TransferError::Read { line, error })? == 0 {
            break;
        }
        let (key, value) =
            read_line(&octets).map_err(|fault| TransferError::Line { line, fault })?;
        if let Some(first) = first.insert(key.clone(), line) {
            return Err(TransferError::Twice { line, first, key });
        }
        lines.insert(key, value);
    }
    Ok(lines)
}

fn read_line(octets: &[u8]) -> Result<(String, Vec<u8>), String> {
    let whole = octets.strip_suffix(b"\n");
    if whole.is_none() && octets.len() as u64 == LONGEST_LINE {
        return Err(format!("it is longer than {LONGEST_LINE} octets"));
    }
    let line: Line<'_> = serde_json::from_slice(whole.unwrap_or(octets)).map_err(|fault| {
        // Its own number of the line is that within this one.
        fault.to_string().replace(" at line 1 column", " at column")
    })?;
    check_key(&line.key).map_err(|fault| fault.to_string())?;
    let value = match (line.value, line.base64) {
        (Some(json), None) => json.get().as_bytes().to_vec(),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|fault| format!("its base64 is wrong: {fault}"))?,
        _ => return Err("it must have either \"value\" or \"base64\"".to_owned()),
    };
    Ok((line.key, value))
}

/// What has to be written so that the store holds the lines, if it still holds `found`.
fn compare(
    found: Vec<Record>,
    lines: &BTreeMap<String, Vec<u8>>,
    options: ImportOptions,
) -> (Commit, Imported) {
    let (mut commit, mut imported) = (Commit::new(), Imported::default());
    let mut there = BTreeSet::new();
    for Record {
        key,
        value,
        revision,
    } in found
    {
        let line = lines.get(&key);
        if line.is_none() && !options.remove_others {
            continue;
        }
        commit.expect(&key, Some(revision));
        match line {
            Some(line) if **line == *value => imported.unchanged += 1,
            Some(line) => {
                commit.put(&key, line.clone());
                imported.replaced.push(key.clone());
            }
            None => {
                commit.delete(&key);
                imported.removed.push(key.clone());
            }
        }
        there.insert(key);
    }
    for (key, line) in lines.iter().filter(|(key, _)| !there.contains(*key)) {
        commit.expect(key, None).put(key, line.clone());
        imported.added.push(key.clone());
    }
    (commit, imported)
}
