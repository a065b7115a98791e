//! What was observed, found by name and by key in one step each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;

use super::model::{Observed, ObservedLink, Place, Route};
use crate::addr::Ipv4Prefix;
use crate::name::InterfaceName;

pub(super) type Mixed = BuildHasherDefault<Mix>;

/// [`RouteKey`](super::RouteKey), with the workload's namespace or none: to compare two keys of the node's
/// is to look at no other memory than theirs.
type Key<'a> = (Option<&'a Path>, Ipv4Prefix, u8, u32);

/// The links and routes of an [`Observed`]. Of several routes with one key, which only `ip route append`
/// makes, the first is the one that the kernel uses and replaces.
#[derive(Default)]
pub(super) struct Index<'a> {
    links: HashMap<(&'a Place, &'a InterfaceName), &'a ObservedLink, Mixed>,
    routes: HashMap<Key<'a>, &'a Route, Mixed>,
    /// The second and later routes of a key.
    doubles: HashMap<Key<'a>, Vec<&'a Route>, Mixed>,
}

impl<'a> Index<'a> {
    pub(super) fn of_links(observed: &'a Observed) -> Self {
        let links = observed.links.iter();
        Self {
            links: links
                .map(|link| ((&link.place, &link.name), link))
                .collect(),
            ..Self::default()
        }
    }

    /// With `routes`, of which there are about `count`.
    pub(super) fn with_routes(
        mut self,
        routes: impl Iterator<Item = &'a Route>,
        count: usize,
    ) -> Self {
        self.routes.reserve(count);
        for route in routes {
            let key = key_of(route);
            match self.routes.entry(key) {
                Entry::Vacant(place) => drop(place.insert(route)),
                Entry::Occupied(_) => self.doubles.entry(key).or_default().push(route),
            }
        }
        self
    }

    pub(super) fn link(&self, place: &Place, name: &InterfaceName) -> Option<&'a ObservedLink> {
        self.links.get(&(place, name)).copied()
    }

    /// The routes with the key of `route`, the kernel's order kept.
    pub(super) fn routes_like<'s>(
        &'s self,
        route: &'s Route,
    ) -> impl Iterator<Item = &'a Route> + Clone + 's {
        let key = key_of(route);
        let first = self.routes.get(&key).into_iter();
        // Few tables have any: then nothing is looked up.
        let doubles = Some(&self.doubles).filter(|doubles| !doubles.is_empty());
        let more = doubles.and_then(|doubles| doubles.get(&key));
        first.chain(more.into_iter().flatten()).copied()
    }
}

pub(super) fn key_of(route: &Route) -> Key<'_> {
    let place = match &route.place {
        Place::Node => None,
        Place::Workload(path) => Some(&**path),
    };
    (place, route.prefix, route.tos, route.metric)
}

/// A hash of small keys that costs one multiplication for each field. Whoever can install routes needs
/// no collisions to do harm, so it is not keyed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mix(u64);

impl Mix {
    fn mix(&mut self, word: u64) {
        // 2^64 divided by the golden ratio, made odd: Knuth's multiplicative hashing.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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

    fn finish(&self) -> u64 {
        // The table takes its place from the low bits, which a product mixes least.
        self.0 ^ (self.0 >> 32)
    }
}
