//! What was observed, found by name and by key in one step each.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::path::Path;

use super::model::{Observed, ObservedLink};
use super::place::Place;
use super::route::Route;
use crate::name::InterfaceName;

pub(super) type Mixed = BuildHasherDefault<Mix>;

/// The links of an [`Observed`].
pub(super) struct LinkIndex<'a>(HashMap<(&'a Place, &'a InterfaceName), &'a ObservedLink, Mixed>);

impl<'a> LinkIndex<'a> {
    pub(super) fn new(observed: &'a Observed) -> Self {
        let links = observed.links.iter();
        let named = links.map(|link| ((&link.place, &link.name), link));
        Self(named.collect())
    }

    pub(super) fn link(&self, place: &Place, name: &InterfaceName) -> Option<&'a ObservedLink> {
        self.0.get(&(place, name)).copied()
    }
}

/// Observed routes by [`RouteKey`](super::RouteKey). Of several with one key, which only
/// `ip route append` makes, the first is the one that the kernel uses and replaces.
///
/// They lie sorted, which the kernel's own order almost is: who asks in that order too finds each where the
/// last one ended, and memory is read from one end to the other.
pub(super) struct RouteIndex<'a> {
    /// In the order of keys; of one key, in the kernel's.
    routes: Vec<(Key, &'a Route)>,
    /// Whether the key was claimed of the route at the same place.
    claimed: Vec<bool>,
    /// Claimed keys that no route has.
    missed: HashSet<Key, Mixed>,
    keys: Keys<'a>,
    /// Behind the routes that were found last.
    next: usize,
}

impl<'a> RouteIndex<'a> {
    pub(super) fn new(routes: impl Iterator<Item = &'a Route>) -> Self {
        let mut keys = Keys::default();
        let mut routes: Vec<_> = routes.map(|route| (keys.of(route), route)).collect();
        routes.sort_by_key(|(key, _)| *key);
        Self {
            claimed: vec![false; routes.len()],
            routes,
            missed: HashSet::default(),
            keys,
            next: 0,
        }
    }

    /// The first route with the key of `route`.
    pub(super) fn first_like(&mut self, route: &'a Route) -> Option<&'a Route> {
        let key = self.keys.of(route);
        let found = self.find(key);
        self.routes
            .get(found)
            .and_then(<[_]>::first)
            .map(|(_, first)| *first)
    }

    /// The routes with the key of `route`, the kernel's order kept; nothing if the key was claimed before.
    pub(super) fn claim(
        &mut self,
        route: &'a Route,
    ) -> Option<impl Iterator<Item = &'a Route> + Clone> {
        let key = self.keys.of(route);
        let found = self.find(key);
        let claimed = self.claimed.get_mut(found.clone()).unwrap_or_default();
        let is_new = match claimed.first() {
            Some(claimed) => !claimed,
            None => self.missed.insert(key),
        };
        claimed.fill(true);
        let found = self.routes.get(found).unwrap_or_default();
        is_new.then(|| found.iter().map(|(_, route)| *route))
    }

    /// The routes whose keys were not claimed.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = &'a Route> {
        let routes = self.routes.iter().zip(&self.claimed);
        let left = routes.filter(|(_, claimed)| !**claimed);
        left.map(|((_, route), _)| *route)
    }

    fn find(&mut self, key: Key) -> Range<usize> {
        let has_key = |at: usize| self.routes.get(at).is_some_and(|(found, _)| *found == key);
        let is_first = self.next == 0 || !has_key(self.next - 1);
        let start = if is_first && has_key(self.next) {
            self.next
        } else {
            self.routes.partition_point(|(found, _)| *found < key)
        };
        let mut end = start;
        while has_key(end) {
            end += 1;
        }
        self.next = end;
        start..end
    }
}

/// A [`RouteKey`](super::RouteKey) in two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key(u64, u64);

/// Makes keys; workloads' namespaces are numbered as they come.
#[derive(Default)]
struct Keys<'a>(HashMap<&'a Path, u32, Mixed>);

impl<'a> Keys<'a> {
    fn of(&mut self, route: &'a Route) -> Key {
        let place = match &route.place {
            Place::Node => 0,
            Place::Workload(path) => {
                // Nobody has four thousand million.
                let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
                *self.0.entry(path).or_insert(next)
            }
        };
        let network = u64::from(route.prefix.network().to_bits());
        // In the kernel's order: of one network the longer prefix comes first, then the greater TOS.
        let small = u64::from(u16::from_be_bytes([!route.prefix.len(), !route.tos]));
        Key(
            u64::from(place) << 32 | network,
            small << 32 | u64::from(route.metric),
        )
    }
}

/// A hash of small keys that costs one multiplication for each field. Whoever can install routes needs
/// no collisions to do harm, so it is not keyed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mix(u64);

impl Mix {
    fn mix(&mut self, word: u64) {
        // 2^64 divided by the golden ratio, made odd: Knuth's multiplicative hashing. Both halves of the
        // product count, as each alone leaves the bits of one end unmixed.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let word = self.0 ^ word;
        let high = (u128::from(word) * u128::from(GOLDEN)) >> 64;
        self.0 = word.wrapping_mul(GOLDEN) ^ u64::try_from(high).unwrap_or_default();
    }
}

impl Hasher for Mix {
    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.mix(u64::from_ne_bytes(word));
        }
    }

    fn write_u8(&mut self, octet: u8) {
        self.mix(u64::from(octet));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::addr::Ipv4Prefix;
    use crate::plan::{RouteProtocol, Target};

    /// Of few keys; the protocol tells those of one key apart.
    fn route() -> impl Strategy<Value = Route> {
        let prefixes = ["10.0.0.0/26", "10.0.0.0/24", "10.0.0.64/26"];
        let key = (0..3_usize, 0..prefixes.len(), 0..2_u8, 0..2_u32);
        (key, any::<u8>()).prop_map(move |((place, prefix, tos, metric), protocol)| {
            let prefix = prefixes[prefix].parse().unwrap();
            let place = match ["", "/run/netns/a", "/run/netns/b"][place] {
                "" => Place::Node,
                path => Place::Workload(Arc::from(Path::new(path))),
            };
            Route {
                place,
                tos,
                metric,
                ..Route::new(prefix, Target::Blackhole, RouteProtocol(protocol))
            }
        })
    }

    proptest! {
        #[test]
        fn routes_are_found_by_all_of_their_key(
            found in prop::collection::vec(route(), 0..20),
            asked in prop::collection::vec(route(), 0..20),
        ) {
            let mut index = RouteIndex::new(found.iter());
            let mut claimed = vec![];
            for route in &asked {
                let like: Vec<&Route> = found.iter().filter(|r| r.key() == route.key()).collect();
                prop_assert_eq!(index.first_like(route), like.first().copied());
                let is_new = !claimed.contains(&route.key());
                let expected = is_new.then_some(like);
                prop_assert_eq!(index.claim(route).map(Iterator::collect), expected);
                claimed.push(route.key());
            }
            let mut left: Vec<&Route> = found.iter().collect();
            left.retain(|route| !claimed.contains(&route.key()));
            left.sort_by_key(|route| index.keys.of(route));
            prop_assert_eq!(index.unclaimed().collect::<Vec<_>>(), left);
        }
    }

    /// The keys of a large node are a sequence of blocks. Of as many random ones, 70,000 places of 131,072
    /// are taken.
    #[test]
    fn the_keys_of_a_hundred_thousand_blocks_spread() {
        let mut keys = Keys::default();
        let block = |n: u32| Ipv4Prefix::containing((0x0a00_0000 + (n << 6)).into(), 26).unwrap();
        let routes =
            (0..100_000).map(|n| Route::new(block(n), Target::Blackhole, RouteProtocol::BIRD));
        let routes: Vec<Route> = routes.collect();
        let hash = |route| {
            let mut mix = Mix::default();
            std::hash::Hash::hash(&keys.of(route), &mut mix);
            mix.finish()
        };
        let hashes: Vec<u64> = routes.iter().map(hash).collect();
        // A table takes the place from the low bits, and tells neighbours apart by the seven highest.
        let places: HashSet<u64> = hashes.iter().map(|hash| hash % 131_072).collect();
        let marks: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(places.len() > 60_000, "{} places", places.len());
        assert_eq!(marks.len(), 128);
    }
}
