//! The statements: what a read and a commit do in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Rows, ToSql, params};

use super::fault::Fault;
use crate::datastore::{
    Change, Changes, Commit, Compare, Listing, Outcome, Record, Revision, StoreError, Write,
};

/// How often old rows of `change` are deleted: at every commit whose revision is a multiple of this.
const TRIM_EVERY: u64 = 64;

const GET: &str = "SELECT key, value, revision FROM record WHERE key = ?1";
const LIST: &str =
    "SELECT key, value, revision FROM record WHERE key >= ?1 AND key < ?2 ORDER BY key";
const LIST_KEYS: &str = "SELECT key FROM record WHERE key >= ?1 AND key < ?2 ORDER BY key";
const REVISION_OF: &str = "SELECT revision FROM record WHERE key = ?1";
const PUT: &str = "INSERT INTO record (key, value, revision) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision";
const PUT_NEW: &str = "INSERT INTO record (key, value, revision) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO NOTHING";
const PUT_AT: &str = "UPDATE record SET value = ?2, revision = ?3 WHERE key = ?1 AND revision = ?4";
const DELETE: &str = "DELETE FROM record WHERE key = ?1";
const DELETE_AT: &str = "DELETE FROM record WHERE key = ?1 AND revision = ?2";
const LOG: &str = "INSERT INTO change (revision, key) VALUES (?1, ?2)";
/// Reads no more rows than it deletes, and one.
const TRIM: &str = "DELETE FROM change WHERE number < (
        SELECT number FROM change WHERE revision > ?1 ORDER BY number LIMIT 1
    )";
const LAST: &str = "SELECT revision FROM change ORDER BY number DESC LIMIT 1";
const FIRST: &str = "SELECT revision FROM change ORDER BY number LIMIT 1";
/// Each key once: it is now as its last change left it. Looks back from the end to the first row that is
/// known, and no further.
const CHANGES: &str = "SELECT c.key, r.value, c.last
    FROM (
        SELECT key, max(revision) AS last FROM change
        WHERE number > coalesce(
            (SELECT number FROM change WHERE revision <= ?1 ORDER BY number DESC LIMIT 1), 0
        ) AND key >= ?2 AND key < ?3 GROUP BY key
    ) AS c
    LEFT JOIN record AS r ON r.key = c.key
    ORDER BY c.last, c.key";

/// Checks that the tables are there.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    connection.prepare_cached(GET)?;
    let mut last = connection.prepare_cached(LAST)?;
    first_revision(&mut last.query([])?).map(|_| ())
}

pub(super) fn get(connection: &Connection, key: &str) -> Result<Option<Record>, Fault> {
    let mut statement = connection.prepare_cached(GET)?;
    let mut rows = statement.query([key])?;
    rows.next()?.map(record).transpose()
}

pub(super) fn list(connection: &Connection, prefix: &str) -> Result<Listing<Record>, Fault> {
    listing(connection, LIST, prefix, record)
}

pub(super) fn list_keys(connection: &Connection, prefix: &str) -> Result<Listing<String>, Fault> {
    listing(connection, LIST_KEYS, prefix, |row| text(row, 0))
}

fn listing<T>(
    connection: &Connection,
    sql: &str,
    prefix: &str,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Listing<T>, Fault> {
    // A statement that was begun and not ended holds the snapshot for those after it.
    let mut last = connection.prepare_cached(LAST)?;
    let mut snapshot = last.query([])?;
    let revision = first_revision(&mut snapshot)?;
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([prefix, &end_of(prefix)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read(row)?);
    }
    Ok(Listing { entries, revision })
}

/// What is different below `prefix` than at `after`.
pub(super) fn changes(
    connection: &Connection,
    prefix: &str,
    after: Revision,
) -> Result<Changes, Fault> {
    let mut last = connection.prepare_cached(LAST)?;
    let mut snapshot = last.query([])?;
    let revision = first_revision(&mut snapshot)?;
    if after == revision {
        let changes = Vec::new();
        return Ok(Changes { changes, revision });
    }
    let mut first = connection.prepare_cached(FIRST)?;
    let oldest = first_revision(&mut first.query([])?)?.0;
    let oldest = Revision(oldest.saturating_sub(1));
    if after < oldest || after > revision {
        return Err(StoreError::Compacted { after, oldest }.into());
    }
    let mut statement = connection.prepare_cached(CHANGES)?;
    let mut rows = statement.query(params![number(after)?, prefix, end_of(prefix)])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(Change {
            key: text(row, 0)?,
            value: octets(row, 1)?,
            revision: revision_of(row, 2)?,
        });
    }
    Ok(Changes { changes, revision })
}

/// Does the whole commit, or nothing.
pub(super) fn commit(
    connection: &Connection,
    commit: &Commit,
    history: u32,
) -> Result<Outcome, Fault> {
    run(connection, "BEGIN IMMEDIATE")?;
    let outcome = decide(connection, commit, history);
    if matches!(outcome, Ok(Outcome::Committed(_)))
        && let Err(error) = run(connection, "COMMIT")
    {
        roll_back(connection);
        return Err(Fault::Commit(error));
    }
    if !matches!(outcome, Ok(Outcome::Committed(_))) {
        roll_back(connection);
    }
    outcome
}

/// A transaction that cannot be rolled back has been already, or is when the connection is closed.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = run(connection, "ROLLBACK");
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Compares and writes; the outcome says whether what was written may stay.
fn decide(connection: &Connection, commit: &Commit, history: u32) -> Result<Outcome, Fault> {
    let Some(compares) = compares_of_writes(connection, commit)? else {
        return Ok(Outcome::Conflict);
    };
    let mut last = connection.prepare_cached(LAST)?;
    let revision = Revision(first_revision(&mut last.query([])?)?.0 + 1);
    let at = number(revision)?;
    let mut log = connection.prepare_cached(LOG)?;
    let mut changed = false;
    for (write, compare) in commit.writes.iter().zip(compares) {
        match write_if(connection, write, compare, at)? {
            None => return Ok(Outcome::Conflict),
            Some(0) => {}
            Some(_) => {
                log.execute(params![at, write.key()])?;
                changed = true;
            }
        }
    }
    if !changed {
        log.execute(params![at, ""])?;
    }
    if revision.0.is_multiple_of(TRIM_EVERY) {
        let kept = i64::from(history.max(1));
        connection.prepare_cached(TRIM)?.execute([at - kept])?;
    }
    Ok(Outcome::Committed(revision))
}

/// For each write the compare of its key, to be done with it: that looks the key up once. The others are
/// done here, as the records are before the commit; `None` if one does not hold.
fn compares_of_writes<'a>(
    connection: &Connection,
    commit: &'a Commit,
) -> Result<Option<Vec<Option<&'a Compare>>>, Fault> {
    let keys = commit.writes.iter().map(Write::key);
    let places: HashMap<_, _> = keys.zip(0..).collect();
    let mut compares = vec![None; commit.writes.len()];
    let mut revision_of_key = connection.prepare_cached(REVISION_OF)?;
    for compare in &commit.compares {
        let place: Option<&usize> = places.get(compare.key());
        match place.and_then(|place| compares.get_mut(*place)) {
            Some(free @ None) => *free = Some(compare),
            _ if holds(&mut revision_of_key, compare)? => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(compares))
}

/// How many records it changed; `None` if `compare`, of the same key, does not hold.
fn write_if(
    connection: &Connection,
    write: &Write,
    compare: Option<&Compare>,
    at: i64,
) -> Result<Option<usize>, Fault> {
    let run = |sql, values: &[&dyn ToSql]| connection.prepare_cached(sql)?.execute(values);
    let one = |count: usize| (count == 1).then_some(1);
    Ok(match (write, compare) {
        (Write::Put(key, value), None) => Some(run(PUT, &[key, value, &at])?),
        (Write::Put(key, value), Some(Compare::Absent(_))) => {
            one(run(PUT_NEW, &[key, value, &at])?)
        }
        (Write::Put(key, value), Some(Compare::Unchanged(_, revision))) => {
            one(run(PUT_AT, &[key, value, &at, &number(*revision)?])?)
        }
        (Write::Delete(key), None) => Some(run(DELETE, &[key])?),
        (Write::Delete(key), Some(Compare::Absent(_))) => (run(DELETE, &[key])? == 0).then_some(0),
        (Write::Delete(key), Some(Compare::Unchanged(_, revision))) => {
            one(run(DELETE_AT, &[key, &number(*revision)?])?)
        }
    })
}

fn holds(statement: &mut CachedStatement<'_>, compare: &Compare) -> Result<bool, Fault> {
    let found = statement
        .query_row([compare.key()], |row| Ok(revision_of(row, 0)))
        .optional()?
        .transpose()?;
    Ok(match compare {
        Compare::Absent(_) => found.is_none(),
        Compare::Unchanged(_, revision) => found == Some(*revision),
    })
}

/// What SQLite finds wrong, at most a few lines of it.
pub(super) fn verify(connection: &Connection) -> Result<(), Fault> {
    let mut statement = connection.prepare("PRAGMA integrity_check(5)")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(text(row, 0)?);
    }
    if found == ["ok"] {
        return Ok(());
    }
    Err(Fault::Damaged(found.join("; ")))
}

/// The first string in octet order that is behind all those with this prefix, which ends with `/` or
/// `.`: the next ASCII character in its last place.
fn end_of(prefix: &str) -> String {
    let slash = prefix.strip_suffix('/').map(|kept| (kept, '0'));
    let dot = prefix.strip_suffix('.').map(|kept| (kept, '/'));
    let (kept, end) = slash.or(dot).unwrap_or((prefix, '\u{10ffff}'));
    format!("{kept}{end}")
}

fn record(row: &Row<'_>) -> Result<Record, Fault> {
    let value = octets(row, 1)?;
    Ok(Record {
        key: text(row, 0)?,
        value: value.ok_or_else(|| Fault::Damaged("a value is missing".to_owned()))?,
        revision: revision_of(row, 2)?,
    })
}

fn text(row: &Row<'_>, column: usize) -> Result<String, Fault> {
    Ok(row.get(column)?)
}

/// A value that another program wrote may be text.
fn octets(row: &Row<'_>, column: usize) -> Result<Option<Arc<[u8]>>, Fault> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(octets) | ValueRef::Text(octets) => Ok(Some(octets.into())),
        other => {
            let found = other.data_type();
            Err(Fault::Damaged(format!("a value is of type {found}")))
        }
    }
}

fn revision_of(row: &Row<'_>, column: usize) -> Result<Revision, Fault> {
    let found: i64 = row.get(column)?;
    let revision = u64::try_from(found);
    let revision = revision.map_err(|_| Fault::Damaged(format!("a revision is {found}")));
    Ok(Revision(revision?))
}

/// The revision in the first row, which stays the current one.
fn first_revision(rows: &mut Rows<'_>) -> Result<Revision, Fault> {
    let row = rows.next()?;
    let row = row.ok_or_else(|| Fault::Damaged("it has no revision".to_owned()))?;
    revision_of(row, 0)
}

/// # Errors
/// Beyond 2^63 − 1, what SQLite can hold; a million commits a second take 292,000 years.
fn number(revision: Revision) -> Result<i64, Fault> {
    let number = i64::try_from(revision.0);
    number.map_err(|_| Fault::Damaged(format!("revision {revision} is above 2^63 - 1")))
}
