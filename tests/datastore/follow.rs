//! A store beside a plain map, over random commits; and a follower that keeps a listing by watching.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipip_core::datastore::{Change, Commit, Outcome, Revision, Store};

use crate::Case;
use crate::world::{Random, World};

pub(crate) const CASES: &[Case] = &[
    ("a_plain_map_does_the_same", a_plain_map_does_the_same),
    ("a_follower_has_the_listing", a_follower_has_the_listing),
];

type Map = BTreeMap<String, (Arc<[u8]>, Revision)>;

/// A commit over few keys, with compares that often hold.
fn random_commit(random: &mut Random, map: &Map) -> Commit {
    let key = |random: &mut Random| format!("/{}/{}", random.below(3), random.below(6));
    let mut commit = Commit::new();
    for _ in 0..random.below(3) {
        let key = key(random);
        let known = map.get(&key).map(|(_, revision)| *revision);
        let guess = match random.below(8) {
            0 => None,
            1 => Some(Revision(random.below(40))),
            _ => known,
        };
        commit.expect(&key, guess);
    }
    for _ in 0..random.below(4) {
        let key = key(random);
        if commit.writes.iter().any(|write| write.key() == key) {
            continue;
        }
        match random.below(3) {
            0 => commit.delete(&key),
            _ => commit.put(&key, random.below(1000).to_string().into_bytes()),
        };
    }
    commit
}

/// What a commit means, one key after the other.
fn naive(map: &mut Map, commit: &Commit, next: Revision) -> bool {
    use ipip_core::datastore::{Compare, Write};
    for compare in &commit.compares {
        let holds = match compare {
            Compare::Absent(key) => !map.contains_key(key),
            Compare::Unchanged(key, revision) => map.get(key).is_some_and(|(_, r)| r == revision),
        };
        if !holds {
            return false;
        }
    }
    for write in &commit.writes {
        match write {
            Write::Put(key, value) => map.insert(key.clone(), (Arc::clone(value), next)),
            Write::Delete(key) => map.remove(key),
        };
    }
    true
}

fn listed(store: &dyn Store, prefix: &str) -> (Map, Revision) {
    let listing = store.list(prefix).unwrap();
    let entries = listing.entries.into_iter();
    let map = entries
        .map(|record| (record.key, (record.value, record.revision)))
        .collect();
    (map, listing.revision)
}

fn a_plain_map_does_the_same(world: &World) {
    let (mut random, mut map, mut revision) =
        (Random(0x1234_5678_9abc_def1), Map::new(), Revision(0));
    for step in 0..600 {
        let commit = random_commit(&mut random, &map);
        let next = Revision(revision.0 + 1);
        let view = usize::try_from(random.below(3)).unwrap();
        let outcome = world.view(view).commit(commit.clone()).unwrap();
        if naive(&mut map, &commit, next) {
            assert_eq!(outcome, Outcome::Committed(next), "step {step}: {commit:?}");
            revision = next;
        } else {
            assert_eq!(outcome, Outcome::Conflict, "step {step}: {commit:?}");
        }
        let found = listed(world.view(view + 1), "/");
        assert_eq!(found, (map.clone(), revision), "step {step}: {commit:?}");
    }
}

fn a_follower_has_the_listing(world: &World) {
    let mut random = Random(0xfeed_5678_9abc_def1);
    let (mut followed, mut after) = listed(world.view(0), "/1/");
    for step in 0..300 {
        let (map, _) = listed(world.view(0), "/");
        let commit = random_commit(&mut random, &map);
        let _ = world.view(step).commit(commit).unwrap();
        if random.below(3) > 0 {
            continue;
        }
        let told = world
            .view(step + 1)
            .watch("/1/", after, Duration::ZERO)
            .unwrap();
        assert!(
            told.changes
                .is_sorted_by_key(|change| (change.revision, change.key.clone()))
        );
        for Change {
            key,
            value,
            revision,
        } in told.changes
        {
            assert!(after < revision && revision <= told.revision, "step {step}");
            match value {
                Some(value) => followed.insert(key, (value, revision)),
                None => followed.remove(&key),
            };
        }
        after = told.revision;
        assert_eq!(
            (followed.clone(), after),
            listed(world.view(0), "/1/"),
            "step {step}"
        );
    }
}
