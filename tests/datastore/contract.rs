//! Get, list and commit.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use ipip_core::datastore::{Commit, Compare, Outcome, Record, Revision, StoreError};

use crate::Case;
use crate::world::{World, increment, keys, land, put, puts, value};

pub(crate) const CASES: &[Case] = &[
    ("revisions_increase", revisions_increase),
    ("a_compare_that_fails_stops_the_commit", compares),
    (
        "a_compare_of_a_written_key_counts_as_well",
        compares_of_written_keys,
    ),
    ("nobody_sees_half_a_commit", nobody_sees_half_a_commit),
    ("lists_are_in_the_order_of_octets", order_of_octets),
    ("a_prefix_is_complete", a_prefix_is_complete),
    ("malformed_calls_are_refused", malformed_calls_are_refused),
    ("values_are_any_octets", values_are_any_octets),
    ("a_value_may_be_a_mebibyte", a_value_may_be_a_mebibyte),
    ("a_hundred_thousand_keys", a_hundred_thousand_keys),
    ("no_increment_is_lost", no_increment_is_lost),
];

fn revisions_increase(world: &World) {
    let mut last = Revision(0);
    assert_eq!(world.view(0).list("/").unwrap().revision, last);
    for number in 0..12 {
        let (key, text) = (format!("/n/{}", number % 5), number.to_string());
        let revision = put(world.view(number), &key, &text);
        assert_eq!(revision, Revision(last.0 + 1));
        for view in 0..3 {
            let record = world.view(view).get(&key).unwrap().unwrap();
            let expected = Record {
                key: key.clone(),
                value: text.as_bytes().into(),
                revision,
            };
            assert_eq!(record, expected, "seen at once from everywhere");
            assert_eq!(
                world.view(view).list_keys("/n/").unwrap().revision,
                revision
            );
        }
        last = revision;
    }
    let nothing = land(world.view(1), Commit::new());
    assert_eq!(nothing, Revision(13), "a commit without writes counts");
    assert_eq!(world.view(2).list("/x/").unwrap().revision, Revision(13));
    let mut delete = Commit::new();
    delete.delete("/none");
    assert_eq!(land(world.view(2), delete), Revision(14));
    assert_eq!(put(world.view(0), "/n/0", ""), Revision(15));
}

fn compares(world: &World) {
    let old = put(world.view(0), "/a", "1");
    let new = put(world.view(1), "/a", "2");
    for (number, (compare, holds)) in [
        (Compare::Unchanged("/a".into(), old), false),
        (Compare::Unchanged("/a".into(), Revision(u64::MAX)), false),
        (Compare::Unchanged("/b".into(), new), false),
        (Compare::Absent("/a".into()), false),
        (Compare::Absent("/b".into()), true),
        (Compare::Unchanged("/a".into(), new), true),
    ]
    .into_iter()
    .enumerate()
    {
        put(world.view(number), "/y", "");
        let before = world.view(number + 1).list("/").unwrap();
        let mut commit = puts(&[("/x", ""), ("/c", "")]);
        commit
            .compares
            .extend([Compare::Absent("/z".into()), compare.clone()]);
        commit.delete("/y");
        let outcome = world.view(number + 1).commit(commit).unwrap();
        let after = world.view(number + 2).list("/").unwrap();
        if holds {
            assert_eq!(outcome, Outcome::Committed(after.revision), "{compare:?}");
            let found: Vec<_> = after.entries.iter().map(|r| r.key.as_str()).collect();
            assert_eq!(found, ["/a", "/c", "/x"], "{compare:?}");
        } else {
            assert_eq!(outcome, Outcome::Conflict, "{compare:?}");
            assert_eq!(after, before, "{compare:?}");
        }
    }
    let mut again = Commit::new();
    let a = world.view(0).get("/a").unwrap().unwrap();
    again.expect("/a", Some(a.revision)).delete("/a");
    land(world.view(1), again);
    let revision = put(world.view(2), "/a", "1");
    assert!(
        revision > a.revision,
        "a key that comes back does not look like the old one"
    );
}

fn compares_of_written_keys(world: &World) {
    let old = put(world.view(0), "/a", "1");
    let new = put(world.view(1), "/a", "2");
    let unchanged = |key: &str, revision| Compare::Unchanged(key.into(), revision);
    for (number, (compare, holds)) in [
        (unchanged("/a", old), false),
        (unchanged("/a", Revision(new.0 + 1)), false),
        (unchanged("/b", new), false),
        (Compare::Absent("/a".into()), false),
        (Compare::Absent("/b".into()), true),
        (unchanged("/a", new), true),
    ]
    .into_iter()
    .enumerate()
    {
        let key = compare.key();
        let mut delete = puts(&[("/x", "")]);
        delete.delete(key);
        // The deletion first: where it is done, there is nothing to be put over.
        for mut commit in [delete, puts(&[("/x", ""), (key, "3")])] {
            let before = world.view(number + 1).list("/").unwrap();
            commit.compares.push(compare.clone());
            let outcome = world.view(number).commit(commit.clone()).unwrap();
            let after = world.view(number + 2).list("/").unwrap();
            if holds {
                assert_eq!(outcome, Outcome::Committed(after.revision), "{commit:?}");
                assert_ne!(after.entries, before.entries);
                break;
            }
            assert_eq!(outcome, Outcome::Conflict, "{commit:?}");
            assert_eq!(after, before, "{commit:?}");
        }
    }
    assert_eq!(keys(world.view(0), "/"), ["/x"]);
    let last = put(world.view(0), "/a", "4");
    let mut again = puts(&[("/a", "5")]);
    again.expect("/a", Some(last));
    land(world.view(1), again);
    assert_eq!(value(world.view(2), "/a").as_deref(), Some("5"));
}

/// A writer keeps two keys equal; whoever lists sees them equal.
fn nobody_sees_half_a_commit(world: &World) {
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                let text = u32::to_string(&number);
                land(
                    world.view(1),
                    puts(&[("/pair/a", &text), ("/pair/b", &text)]),
                );
                if enough.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        // However the reader ends.
        let _end = AtEnd(&enough);
        let mut seen = BTreeSet::new();
        while seen.len() < 20 {
            let found = world.view(2).list("/pair/").unwrap();
            if let [a, b] = &found.entries[..] {
                assert_eq!((&a.value, a.revision), (&b.value, b.revision));
                assert_eq!(a.revision, found.revision, "the list's revision is its own");
                seen.insert(a.revision);
            } else {
                assert_eq!(found.entries, []);
            }
        }
    });
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn order_of_octets(world: &World) {
    let mut names = [
        "/k/",
        "/k/-",
        "/k/.",
        "/k//",
        "/k/0",
        "/k/10",
        "/k/9",
        "/k/A",
        "/k/a",
        "/k/a/b",
        "/k/a b",
        "/k/a\u{0}b",
        "/k/a\u{0}",
        "/k/ä",
        "/k/\u{ffff}",
        "/k/\u{10000}",
        "/k/~",
        "/k/a%b_",
        "/k/'\"",
        "/j",
        "/k",
        "/k0",
        "/l",
    ];
    names.reverse();
    for (number, name) in names.iter().enumerate() {
        put(world.view(number), name, name);
    }
    let mut expected: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("/k/"))
        .collect();
    expected.sort_by_key(|name| name.as_bytes());
    assert_eq!(
        keys(world.view(0), "/k/"),
        expected.iter().map(|n| **n).collect::<Vec<_>>()
    );
    for (record, name) in world
        .view(1)
        .list("/k/")
        .unwrap()
        .entries
        .iter()
        .zip(expected)
    {
        assert_eq!(
            (record.key.as_str(), &record.value[..]),
            (*name, name.as_bytes())
        );
    }
    assert_eq!(keys(world.view(2), "/").len(), names.len());
}

fn a_prefix_is_complete(world: &World) {
    let names = [
        "/host/node1",
        "/host/node1/a",
        "/host/node1/b/c",
        "/host/node10/a",
        "/b/10.0.3.0-26",
        "/b/10.0.3.64-26",
        "/b/10.0.30.0-26",
        "/b/10.0.2.192-26",
        "/b/110.0.3.0-26",
        "/b/10.0.3",
    ];
    for name in names {
        put(world.view(0), name, "");
    }
    for (prefix, expected) in [
        ("/host/node1/", vec!["/host/node1/a", "/host/node1/b/c"]),
        (
            "/host/",
            vec![
                "/host/node1",
                "/host/node1/a",
                "/host/node1/b/c",
                "/host/node10/a",
            ],
        ),
        ("/b/10.0.3.", vec!["/b/10.0.3.0-26", "/b/10.0.3.64-26"]),
        ("/b/10.0.30.", vec!["/b/10.0.30.0-26"]),
        (
            "/b/10.",
            vec![
                "/b/10.0.2.192-26",
                "/b/10.0.3",
                "/b/10.0.3.0-26",
                "/b/10.0.3.64-26",
                "/b/10.0.30.0-26",
            ],
        ),
        ("/b/10..", vec![]),
        ("/none/", vec![]),
    ] {
        for view in 0..3 {
            assert_eq!(keys(world.view(view), prefix), expected, "{prefix}");
            let records = world.view(view).list(prefix).unwrap().entries;
            assert!(
                records.iter().map(|record| &record.key).eq(expected.iter()),
                "{prefix}"
            );
        }
    }
}

fn malformed_calls_are_refused(world: &World) {
    put(world.view(0), "/a", "1");
    let before = world.view(0).list("/").unwrap();
    let zero = std::time::Duration::ZERO;
    for prefix in ["", "/a", "a/", "/a/b", "."] {
        for view in 0..3 {
            let (view, error) = (world.view(view), || StoreError::Prefix {
                prefix: prefix.to_owned(),
            });
            assert_eq!(view.list(prefix), Err(error()));
            assert_eq!(view.list_keys(prefix), Err(error()));
            assert_eq!(view.watch(prefix, Revision(0), zero), Err(error()));
        }
    }
    let relative = || StoreError::RelativeKey {
        key: "a".to_owned(),
    };
    let mut twice = puts(&[("/a", "2"), ("/b", "")]);
    twice.delete("/a");
    let mut compared = puts(&[("/a", "2")]);
    compared.expect("", None);
    for view in 0..3 {
        let view = world.view(view);
        let key = "/a".to_owned();
        assert_eq!(view.get(""), Err(StoreError::EmptyKey));
        assert_eq!(view.get("a"), Err(relative()));
        assert_eq!(
            view.commit(puts(&[("/a", "2"), ("a", "")])),
            Err(relative())
        );
        assert_eq!(
            view.commit(puts(&[("/a", "2"), ("", "")])),
            Err(StoreError::EmptyKey)
        );
        assert_eq!(view.commit(compared.clone()), Err(StoreError::EmptyKey));
        assert_eq!(
            view.commit(twice.clone()),
            Err(StoreError::WrittenTwice { key })
        );
    }
    assert_eq!(world.view(1).list("/").unwrap(), before);
}

fn values_are_any_octets(world: &World) {
    let all: Vec<u8> = (0..=255).collect();
    for (number, octets) in [all, vec![], vec![0], b"\xff\xfe{".to_vec()]
        .into_iter()
        .enumerate()
    {
        let mut commit = Commit::new();
        commit.put("/v", octets.clone());
        land(world.view(number), commit);
        for view in 0..3 {
            assert_eq!(*world.view(view).get("/v").unwrap().unwrap().value, octets);
            assert_eq!(
                *world.view(view).list("/").unwrap().entries[0].value,
                octets
            );
        }
    }
}

fn a_value_may_be_a_mebibyte(world: &World) {
    let long: Vec<u8> = (0..1_048_576u32).map(|n| n.to_le_bytes()[1]).collect();
    for size in [1_048_576, 100_000, 5_000, 1_048_576] {
        let mut commit = Commit::new();
        commit
            .put("/long", long[..size].to_vec())
            .put("/short", vec![1]);
        land(world.view(size), commit);
        assert_eq!(
            *world.view(size + 1).get("/long").unwrap().unwrap().value,
            long[..size]
        );
        assert_eq!(*world.view(1).get("/short").unwrap().unwrap().value, [1]);
    }
}

fn a_hundred_thousand_keys(world: &World) {
    const COUNT: usize = 100_000;
    let mut commit = Commit::new();
    for number in (0..COUNT).rev() {
        commit.put(
            &format!("/many/{}/{number:05}", number % 1000),
            number.to_string().into_bytes(),
        );
    }
    let revision = land(world.view(1), commit);
    let found = world.view(0).list_keys("/many/").unwrap();
    assert_eq!((found.entries.len(), found.revision), (COUNT, revision));
    assert!(found.entries.is_sorted());
    let part = world.view(2).list("/many/7/").unwrap();
    assert_eq!(part.entries.len(), COUNT / 1000);
    assert!(
        part.entries
            .iter()
            .all(|record| record.key.ends_with("007"))
    );
    assert_eq!(
        value(world.view(0), "/many/999/99999").as_deref(),
        Some("99999")
    );
}

fn no_increment_is_lost(world: &World) {
    const THREADS: usize = 6;
    const EACH: usize = 40;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for _ in 0..EACH {
                    increment(world.view(thread), "/counter").unwrap();
                }
            });
        }
    });
    let record = world.view(0).get("/counter").unwrap().unwrap();
    assert_eq!(*record.value, *(THREADS * EACH).to_string().as_bytes());
    assert_eq!(
        record.revision,
        Revision((THREADS * EACH) as u64),
        "a conflict makes no revision"
    );
}
