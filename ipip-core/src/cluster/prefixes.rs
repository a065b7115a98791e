//! A map by prefix, in order, searched by the longest prefix that covers something.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::addr::Ipv4Prefix;

/// Values by prefix. A search takes one look for each length that is present: pools and blocks have few.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<T> {
    entries: BTreeMap<Ipv4Prefix, T>,
    /// How many entries there are of each length that is present, in bits.
    lengths: BTreeMap<u8, usize>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

impl<T> Prefixes<T> {
    pub(super) fn get(&self, prefix: Ipv4Prefix) -> Option<&T> {
        self.entries.get(&prefix)
    }

    pub(super) fn insert(&mut self, prefix: Ipv4Prefix, value: T) -> Option<T> {
        let before = self.entries.insert(prefix, value);
        if before.is_none() {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        before
    }

    pub(super) fn remove(&mut self, prefix: Ipv4Prefix) -> Option<T> {
        let before = self.entries.remove(&prefix)?;
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
        Some(before)
    }

    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.entries.values()
    }

    /// The value of the longest prefix that holds `addr`.
    pub(super) fn longest(&self, addr: Ipv4Addr) -> Option<&T> {
        self.covering(Ipv4Prefix::host(addr))
    }

    /// The value of the longest prefix that covers `prefix`, which may be its own.
    pub(super) fn covering(&self, prefix: Ipv4Prefix) -> Option<&T> {
        let lengths = self.lengths.range(..=prefix.len()).rev();
        let mut around = lengths.filter_map(|(len, _)| {
            let around = Ipv4Prefix::containing(prefix.network(), *len).ok()?;
            self.entries.get(&around)
        });
        around.next()
    }

    /// The prefixes inside `outer`, its own included, in order.
    pub(super) fn within(&self, outer: Ipv4Prefix) -> impl Iterator<Item = Ipv4Prefix> {
        // Of one network the shorter prefix comes first: only those are before `outer` that hold more.
        let inside = self.entries.range(outer..=Ipv4Prefix::host(outer.last()));
        inside.map(|(prefix, _)| *prefix)
    }
}
