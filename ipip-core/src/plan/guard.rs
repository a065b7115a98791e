//! The nf_tables table that guards a node: what it lets in, what it translates, and the difference
//! between two of them.
//!
//! | file | holds |
//! |---|---|
//! | this one | [`GuardTable`], its sets, [`ObservedGuard`], and a transaction: [`GuardChange`] |
//! | `steps` | the transactions that lead from one table to another |
//! | `rules` | its chains and rules, of which [`GuardChain`] is what a listing shows |
//! | `text` | a transaction as the words of `nft` |
//!
//! A table changes in two transactions: [`steps::widen`] goes before the routes, [`steps::narrow`] after them. Between
//! the two it lets in what either state lets in, so that no packet of a peer is lost while routes move.

mod rules;
pub(super) mod steps;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::InterfaceName;

pub use rules::{GuardChain, GuardRule};

/// The name of the guard's table, of family `ip`: `nft list table ip ipip`.
pub const GUARD_TABLE: &str = "ipip";

/// The comment on each set of a table that is ours. A set outlives `nft flush table`, a rule does not.
pub const GUARD_MARK: &str = "made by ipip";

/// IPv4 addresses from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddrRange {
    /// The lowest.
    pub first: Ipv4Addr,
    /// The highest.
    pub last: Ipv4Addr,
}

/// A node and inner sources of the packets that it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerRange {
    /// The outer source.
    pub node: NodeAddr,
    /// The inner sources.
    pub inner: AddrRange,
}

/// The sets of a guard's table. The ranges of a set do not overlap, those of different nodes aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardSets {
    /// Who may send what.
    pub peers: BTreeSet<PeerRange>,
    /// The pools: packets whose inner addresses lie here are the guard's business.
    pub pools: BTreeSet<AddrRange>,
    /// The pools whose packets take the node's address where they leave the cluster.
    pub nat_pools: BTreeSet<AddrRange>,
}

/// A guard's table as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardTable {
    /// What its rules look up.
    pub sets: GuardSets,
    /// What the names of the workloads' host ends begin with: "cali".
    pub workloads: String,
    /// Whether packets of `nat_pools` are translated at all.
    pub nat_outgoing: bool,
    /// The tunnel device and the address that the node's own packets take there; `None` leaves them.
    pub tunnel: Option<(InterfaceName, Ipv4Addr)>,
}

/// What the kernel has under the guard's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ObservedGuard {
    /// Nothing, or nobody looked.
    #[default]
    Absent,
    /// A table without our mark.
    Foreign,
    /// A table of ours.
    Ours {
        /// What its sets hold; `None` if they are not what we made: one is missing, or two differ that
        /// should be alike.
        sets: Option<GuardSets>,
        /// Its chains, in the order of the listing.
        chains: Vec<GuardChain>,
    },
}

/// One transaction on the guard's table: the kernel does all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardChange {
    /// Make the table; refused where there is one of its name.
    Create(Box<GuardTable>),
    /// Put this table in the place of ours.
    Replace(Box<GuardTable>),
    /// Take elements from its sets and add others.
    Update {
        /// What goes.
        delete: Box<GuardSets>,
        /// What comes.
        add: Box<GuardSets>,
    },
    /// Delete our table.
    Delete,
}

impl From<Ipv4Prefix> for AddrRange {
    fn from(prefix: Ipv4Prefix) -> Self {
        Self {
            first: prefix.network(),
            last: prefix.last(),
        }
    }
}

impl AddrRange {
    /// Whether all of `other` is in it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Both in one, if they share an address.
    fn union(self, other: Self) -> Option<Self> {
        let meet = self.first <= other.last && other.first <= self.last;
        meet.then(|| Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        })
    }
}

impl PeerRange {
    fn union(self, other: Self) -> Option<Self> {
        let inner = self.inner.union(other.inner)?;
        (self.node == other.node).then_some(Self { inner, ..self })
    }
}

impl GuardSets {
    /// Whether no set has an element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty() && self.pools.is_empty() && self.nat_pools.is_empty()
    }

    /// The elements that `other` has not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            peers: &self.peers - &other.peers,
            pools: &self.pools - &other.pools,
            nat_pools: &self.nat_pools - &other.nat_pools,
        }
    }

    /// What lets in all that either lets in. Ranges that overlap become one, since the kernel refuses
    /// such a pair in a set.
    #[must_use]
    pub fn together(&self, other: &Self) -> Self {
        Self {
            peers: merged(&self.peers | &other.peers, PeerRange::union),
            pools: merged(&self.pools | &other.pools, AddrRange::union),
            nat_pools: merged(&self.nat_pools | &other.nat_pools, AddrRange::union),
        }
    }
}

/// Joins each element with those behind it as long as `union` can.
fn merged<T: Copy + Ord>(sorted: BTreeSet<T>, union: fn(T, T) -> Option<T>) -> BTreeSet<T> {
    let mut merged: Vec<T> = Vec::with_capacity(sorted.len());
    for next in sorted {
        match merged.last_mut() {
            Some(last) => match union(*last, next) {
                Some(both) => *last = both,
                None => merged.push(next),
            },
            None => merged.push(next),
        }
    }
    merged.into_iter().collect()
}

/// What takes back `change`, as far as what was there `before` can be made again.
pub(super) fn inverse(change: &GuardChange) -> Option<GuardChange> {
    match change {
        GuardChange::Create(_) => Some(GuardChange::Delete),
        GuardChange::Update { delete, add } => Some(GuardChange::Update {
            delete: add.clone(),
            add: delete.clone(),
        }),
        // What was replaced was not what we make, and a removal is not taken back.
        GuardChange::Replace(_) | GuardChange::Delete => None,
    }
}
