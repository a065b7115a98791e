//! The keys of a store in order, by directory.
//!
//! Keys are long and begin much alike, and lie all over the memory. So what a key has in common with
//! its neighbours is said once, and what tells it from them as a rule stands where the tree is searched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Keys in order.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// By what they begin with, to the last `/`; none is empty.
    directories: BTreeMap<Box<str>, BTreeSet<Place>>,
}

/// A key in its directory, in the order of the keys.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// How it goes on behind the directory, followed by zeros.
    head: Head,
    key: Arc<str>,
}

/// 24 octets in the order of their places: what the handles of pods begin with, and 8 digits of what
/// tells them apart.
type Head = [u64; 3];

impl Keys {
    /// Adds `key`, which is not there.
    pub(super) fn insert(&mut self, key: Arc<str>) {
        let (directory, name) = split(&key);
        let place = Place::new(name, &key);
        match self.directories.get_mut(directory) {
            Some(places) => {
                places.insert(place);
            }
            None => {
                self.directories.insert(directory.into(), [place].into());
            }
        }
    }

    /// Removes `key`.
    pub(super) fn remove(&mut self, key: &Arc<str>) {
        let (directory, name) = split(key);
        let Some(places) = self.directories.get_mut(directory) else {
            return;
        };
        places.remove(&Place::new(name, key));
        if places.is_empty() {
            self.directories.remove(directory);
        }
    }

    /// The keys that begin with `prefix`, in order.
    pub(super) fn below(&self, prefix: &str) -> Vec<&Arc<str>> {
        let (directory, begin) = split(prefix);
        let mut found = Vec::new();
        if !begin.is_empty()
            && let Some(places) = self.directories.get(directory)
        {
            let from = Place::new(begin, &prefix.into());
            let keys = places.range(from..).map(|place| &place.key);
            found.extend(keys.take_while(|key| key.starts_with(prefix)));
        }
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let directories = self.directories.range::<str, _>(from);
        let mut several = false;
        for (_, places) in directories.take_while(|(path, _)| path.starts_with(prefix)) {
            several |= !found.is_empty();
            found.extend(places.iter().map(|place| &place.key));
        }
        if several {
            // What lies in a directory may stand before what lies beside it: `-` comes before `/`.
            found.sort();
        }
        found
    }
}

impl Place {
    fn new(name: &str, key: &Arc<str>) -> Self {
        let key = Arc::clone(key);
        let head = head(name);
        Self { head, key }
    }
}

/// The first octets of `name`. Where two names differ in them, they differ so in order: what is behind
/// the end of the shorter one is as low as any octet.
fn head(name: &str) -> Head {
    let mut octets = [0; 24];
    let len = name.len().min(octets.len());
    octets[..len].copy_from_slice(&name.as_bytes()[..len]);
    let (words, _) = octets.as_chunks::<8>();
    let mut head = Head::default();
    for (word, octets) in head.iter_mut().zip(words) {
        *word = u64::from_be_bytes(*octets);
    }
    head
}

/// The directory of `key`, with its `/`, and the rest.
fn split(key: &str) -> (&str, &str) {
    key.split_at(key.rfind('/').map_or(0, |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = String> {
        // Few letters, so that keys meet; one before `/` in order, one behind, zeros and two octets.
        let name = prop::collection::vec(
            prop::sample::select(vec![
                "",
                "\0",
                "-",
                "a",
                "ä",
                "a.b",
                "abcdefghijklmnopqrstuvwxy",
            ]),
            0..3,
        );
        let path = prop::collection::vec(name.prop_map(|parts| parts.concat()), 1..4);
        path.prop_map(|names| format!("/{}", names.join("/")))
    }

    proptest! {
        #[test]
        fn they_are_those_of_a_sorted_list(
            steps in prop::collection::vec((any::<bool>(), key()), 0..60),
            prefixes in prop::collection::vec(key(), 0..9),
        ) {
            let mut keys = Keys::default();
            let mut model = BTreeSet::new();
            for (comes, key) in steps {
                if comes && model.insert(key.clone()) {
                    keys.insert(key.into());
                } else if !comes && model.remove(&key) {
                    keys.remove(&key.into());
                }
            }
            for prefix in prefixes.iter().flat_map(|key| [format!("{key}/"), format!("{key}."), "/".into()]) {
                let found: Vec<_> = keys.below(&prefix).into_iter().map(|key| &**key).collect();
                let expected: Vec<_> = model.iter().filter(|key| key.starts_with(&prefix)).collect();
                prop_assert_eq!(found, expected, "{}", prefix);
            }
            for key in &model {
                keys.remove(&key.as_str().into());
            }
            prop_assert!(keys.directories.is_empty());
        }
    }
}
