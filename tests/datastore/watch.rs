//! Watching: what is told, when, and when the store no longer knows.

use std::time::{Duration, Instant};

use ipip_core::datastore::{Change, Changes, Commit, Revision, Store, StoreError};

use crate::Case;
use crate::world::{HISTORY, World, land, put, puts};

pub(crate) const CASES: &[Case] = &[
    (
        "changes_are_told_in_order_and_once",
        changes_are_told_in_order_and_once,
    ),
    ("deletions_are_told", deletions_are_told),
    (
        "a_watch_waits_as_long_as_asked",
        a_watch_waits_as_long_as_asked,
    ),
    ("a_change_ends_the_wait", a_change_ends_the_wait),
    ("many_watch_at_once", many_watch_at_once),
    ("what_is_forgotten_is_said", what_is_forgotten_is_said),
];

fn look(store: &dyn Store, prefix: &str, after: u64) -> Changes {
    store
        .watch(prefix, Revision(after), Duration::ZERO)
        .unwrap()
}

fn change(key: &str, value: Option<&str>, revision: u64) -> Change {
    Change {
        key: key.to_owned(),
        value: value.map(|text| text.as_bytes().into()),
        revision: Revision(revision),
    }
}

fn changes_are_told_in_order_and_once(world: &World) {
    assert_eq!(look(world.view(0), "/", 0).revision, Revision(0));
    put(world.view(0), "/n/b", "1");
    put(world.view(1), "/o/a", "2");
    land(world.view(2), puts(&[("/n/c", "3"), ("/n/a", "3")]));
    put(world.view(0), "/n/b", "4");
    land(world.view(1), Commit::new());
    for view in 0..3 {
        let (view, revision) = (world.view(view), Revision(5));
        let told = |changes: &[Change]| Changes {
            changes: changes.to_vec(),
            revision,
        };
        let (a, b) = (change("/n/a", Some("3"), 3), change("/n/b", Some("4"), 4));
        let c = change("/n/c", Some("3"), 3);
        assert_eq!(
            look(view, "/n/", 0),
            told(&[a.clone(), c.clone(), b.clone()])
        );
        assert_eq!(look(view, "/n/", 2), told(&[a, c, b.clone()]));
        assert_eq!(look(view, "/n/", 3), told(&[b]));
        assert_eq!(look(view, "/n/", 4), told(&[]));
        assert_eq!(look(view, "/", 5), told(&[]));
        assert_eq!(look(view, "/o/", 0), told(&[change("/o/a", Some("2"), 2)]));
    }
}

fn deletions_are_told(world: &World) {
    land(
        world.view(0),
        puts(&[("/b/10.0.3.0-26", "1"), ("/b/10.0.30.0-26", "1")]),
    );
    let mut delete = Commit::new();
    delete
        .delete("/b/10.0.3.0-26")
        .delete("/b/10.0.3.64-26")
        .delete("/b/10.0.30.0-26");
    land(world.view(1), delete);
    put(world.view(2), "/b/10.0.30.0-26", "3");
    for view in 0..3 {
        let told = look(world.view(view), "/b/10.0.3.", 1).changes;
        assert_eq!(told, [change("/b/10.0.3.0-26", None, 2)]);
        let told = look(world.view(view), "/b/", 1).changes;
        let back = change("/b/10.0.30.0-26", Some("3"), 3);
        assert_eq!(told, [change("/b/10.0.3.0-26", None, 2), back]);
    }
}

fn a_watch_waits_as_long_as_asked(world: &World) {
    put(world.view(0), "/o", "1");
    for (view, millis) in [(0, 0), (1, 1), (2, 60), (0, 60)] {
        let (started, wait) = (Instant::now(), Duration::from_millis(millis));
        let told = world.view(view).watch("/n/", Revision(0), wait).unwrap();
        assert_eq!(
            told,
            Changes {
                changes: vec![],
                revision: Revision(1)
            }
        );
        assert!(started.elapsed() >= wait, "{:?}", started.elapsed());
        assert!(
            started.elapsed() < wait + Duration::from_millis(500),
            "{:?}",
            started.elapsed()
        );
    }
}

fn a_change_ends_the_wait(world: &World) {
    // From each view to each other: the same handle, another one, another process.
    for (number, (watcher, writer)) in [(0, 0), (0, 1), (1, 2), (2, 0), (1, 1)]
        .into_iter()
        .enumerate()
    {
        if std::ptr::addr_eq(world.view(watcher), world.view(writer)) && writer == 1 {
            // One line to another process carries one call at a time.
            continue;
        }
        let after = put(world.view(0), "/n/a", "before");
        std::thread::scope(|scope| {
            let watch = || {
                world
                    .view(watcher)
                    .watch("/n/", after, Duration::from_secs(30))
                    .unwrap()
            };
            let waiting = scope.spawn(watch);
            put(world.view(writer), "/o", "not below the prefix");
            std::thread::sleep(Duration::from_millis(40));
            assert!(!waiting.is_finished());
            let text = number.to_string();
            let committed = Instant::now();
            let revision = put(world.view(writer), "/n/a", &text);
            let told = waiting.join().unwrap();
            let took = committed.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
            let changes = vec![change("/n/a", Some(&text), revision.0)];
            assert_eq!(told, Changes { changes, revision });
        });
    }
}

fn many_watch_at_once(world: &World) {
    std::thread::scope(|scope| {
        let watch = |number: usize| {
            let prefix = format!("/n/{number}/");
            world
                .view(0)
                .watch(&prefix, Revision(0), Duration::from_secs(30))
                .unwrap()
        };
        let waiting: Vec<_> = (0..16)
            .map(|number| scope.spawn(move || watch(number)))
            .collect();
        for number in (0..16).rev() {
            put(world.view(1), &format!("/n/{number}/x"), "");
        }
        for (number, watch) in waiting.into_iter().enumerate() {
            assert_eq!(
                watch.join().unwrap().changes[0].key,
                format!("/n/{number}/x")
            );
        }
    });
}

fn what_is_forgotten_is_said(world: &World) {
    for number in 0..u64::from(HISTORY) {
        put(world.view(0), "/n", &number.to_string());
        assert_eq!(
            look(world.view(1), "/", 0).changes.len(),
            1,
            "all are remembered yet"
        );
    }
    for _ in 0..80 {
        put(world.view(0), "/n", "");
    }
    let last = u64::from(HISTORY) + 80;
    for view in 0..3 {
        let view = world.view(view);
        let watch = |after| view.watch("/", Revision(after), Duration::from_secs(30));
        let oldest = match watch(0) {
            Err(StoreError::Compacted {
                after: Revision(0),
                oldest,
            }) => oldest,
            other => panic!("{other:?}"),
        };
        assert!(
            (1..=last - u64::from(HISTORY)).contains(&oldest.0),
            "{oldest:?}"
        );
        assert_eq!(
            look(view, "/", oldest.0).changes,
            [change("/n", Some(""), last)]
        );
        let before = Revision(oldest.0 - 1);
        assert_eq!(
            watch(before.0),
            Err(StoreError::Compacted {
                after: before,
                oldest
            })
        );
        let future = Revision(last + 1);
        assert_eq!(
            watch(future.0),
            Err(StoreError::Compacted {
                after: future,
                oldest
            })
        );
        let end = Revision(u64::MAX);
        assert_eq!(
            watch(end.0),
            Err(StoreError::Compacted { after: end, oldest })
        );
    }
}
