//! What others find in a file, and what a file of an earlier version is made into; Python's sqlite3 reads the
//! one and makes the other.

use std::path::Path;
use std::time::Duration;

use ipip_core::datastore::{Revision, Sqlite, SqliteOptions, Store, StoreError};

use crate::Test;
use crate::files::{python, sql};
use crate::scratch::Scratch;
use crate::world::{open, options, put, puts};

pub(crate) const TESTS: &[Test] = &[
    ("python_reads_what_we_wrote", python_reads_what_we_wrote),
    (
        "a_file_of_the_version_before_goes_on",
        a_file_of_the_version_before_goes_on,
    ),
    (
        "what_was_forgotten_stays_so_in_the_new_version",
        what_was_forgotten_stays_so_in_the_new_version,
    ),
];

fn python_reads_what_we_wrote() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let store = open(&path);
    put(&store, "/b", "{\"n\":18446744073709551615}");
    put(&store, "/a", "ä");
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n\
        print(db.execute('PRAGMA integrity_check').fetchone()[0], db.execute('PRAGMA journal_mode').fetchone()[0])\n\
        for row in db.execute('SELECT key, value, revision FROM record ORDER BY key'): print(row[0], row[1].decode(), row[2])";
    let output = python(script, &path).output().unwrap();
    let expected = "ok wal\n/a ä 2\n/b {\"n\":18446744073709551615} 1\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

/// In version 1 the log of changes was an index.
fn make_old(path: &Path) {
    sql(
        path,
        "ALTER TABLE change RENAME TO new;
        CREATE TABLE change (revision INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (revision, key))
            STRICT, WITHOUT ROWID;
        INSERT INTO change SELECT revision, key FROM new;
        DROP TABLE new;
        PRAGMA user_version = 1",
    );
}

fn a_file_of_the_version_before_goes_on() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let store = open(&path);
    for value in ["1", "2"] {
        put(&store, "/b", value);
        put(&store, "/a", value);
    }
    let _ = store.commit(puts(&[])).unwrap();
    let before = store.watch("/", Revision(1), Duration::ZERO).unwrap();
    drop(store);
    make_old(&path);
    let store = open(&path);
    let after = store.watch("/", Revision(1), Duration::ZERO).unwrap();
    assert_eq!((after.revision, &after), (Revision(5), &before));
    let keys: Vec<_> = after.changes.iter().map(|change| &*change.key).collect();
    assert_eq!(keys, ["/b", "/a"]);
    put(&store, "/c", "1");
    assert_eq!(open(&path).list("/").unwrap().revision, Revision(6));
    store.verify().unwrap();
}

/// What the log does not tell any more it does not tell in the new version either.
fn what_was_forgotten_stays_so_in_the_new_version() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let history = 8;
    let store = Sqlite::open(
        &path,
        SqliteOptions {
            history,
            ..options()
        },
    )
    .unwrap();
    for number in 0..100u32 {
        put(&store, "/a", &number.to_string());
    }
    let watch = |store: &Sqlite| store.watch("/", Revision(1), Duration::ZERO);
    let before = watch(&store);
    assert!(
        matches!(before, Err(StoreError::Compacted { .. })),
        "{before:?}"
    );
    drop(store);
    make_old(&path);
    assert_eq!(watch(&open(&path)), before);
}
