//! What the store holds, parsed, and what was in force before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::record::{
    Attribute, Block, Claim, Config, Handle, Node, Pool, Range, Reservation, Standing, Verdict,
    check, parse,
};

const IPAM: &str = "/calico/ipam/v2/";
const RESOURCES: &str = "/calico/resources/v3/projectcalico.org/";

/// What every creation of a pool writes.
const POOL_CREATION: &str = "/calico/resources/v3/projectcalico.org/ippools";

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Key<'a> {
    Block(&'a str),
    /// Of a node, on a block.
    Claim(&'a str, &'a str),
    Handle(&'a str),
    Config,
    Pool(&'a str),
    Reservation(&'a str),
    Node(&'a str),
    /// A record whose revision alone matters.
    Empty,
}

impl<'a> Key<'a> {
    pub(crate) fn of(key: &'a str) -> Verdict<Self> {
        if let Some(rest) = key.strip_prefix(IPAM) {
            if let Some(block) = rest.strip_prefix("assignment/ipv4/block/") {
                return Ok(Self::Block(block));
            }
            if let Some(handle) = rest.strip_prefix("handle/") {
                return Ok(Self::Handle(handle));
            }
            if let Some(host) = rest.strip_prefix("host/") {
                let claim = host.split_once("/ipv4/block/");
                return Ok(claim.map_or(Self::Empty, |(node, block)| Self::Claim(node, block)));
            }
            if rest == "config" {
                return Ok(Self::Config);
            }
        }
        if key == POOL_CREATION {
            return Ok(Self::Empty);
        }
        let kind = key.strip_prefix(RESOURCES).and_then(|k| k.split_once('/'));
        match kind {
            Some(("ippools", name)) => Ok(Self::Pool(name)),
            Some(("ipreservations", name)) => Ok(Self::Reservation(name)),
            Some(("nodes", name)) => Ok(Self::Node(name)),
            _ => Err(format!("{key} is no key of Calico's")),
        }
    }
}

/// What stood under a key before.
#[derive(Debug)]
pub(crate) enum Old {
    Block(Option<Block>),
    Claim(Option<Claim>),
    Handle(Option<Handle>),
    Pool(Option<Pool>),
    Node(Option<Node>),
    Config(Config),
    /// Whether there was one.
    Reservation(bool),
    Other,
}

/// Values, with the revisions from which on they were in force.
#[derive(Debug)]
pub(crate) struct Past<T>(Vec<(u64, T)>);

impl<T: Default> Default for Past<T> {
    fn default() -> Self {
        Self(vec![(0, T::default())])
    }
}

impl<T> Past<T> {
    pub(crate) fn now(&self) -> &T {
        &self.0.last().expect("begins with one").1
    }

    pub(crate) fn set(&mut self, revision: u64, value: T) {
        self.0.push((revision, value));
    }

    /// Those that were in force at `revision` or later.
    pub(crate) fn since(&self, revision: u64) -> impl Iterator<Item = &T> {
        let later = self
            .0
            .iter()
            .skip(1)
            .take_while(move |(from, _)| *from <= revision);
        let first = later.count();
        self.0[first..].iter().map(|(_, value)| value)
    }
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By the last part of their keys, as all here are.
    pub(crate) blocks: BTreeMap<String, Block>,
    /// By node and block.
    pub(crate) claims: BTreeMap<(String, String), Claim>,
    /// When each was written or deleted last.
    pub(crate) claims_changed: BTreeMap<(String, String), u64>,
    pub(crate) handles: BTreeMap<String, Handle>,
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) nodes: BTreeMap<String, Node>,
    reservations: BTreeMap<String, Reservation>,
    pub(crate) config: Past<Config>,
    pub(crate) reserved: Past<Vec<Range>>,
    /// By name.
    pub(crate) past_pools: Past<BTreeMap<String, Pool>>,
    /// The zones of nodes, by name.
    pub(crate) zones: Past<BTreeMap<String, Option<String>>>,
    /// By handle and block: how many addresses there are.
    pub(crate) held: BTreeMap<String, BTreeMap<String, i64>>,
}

impl State {
    pub(crate) fn pool_of(&self, block: Range) -> Option<&Pool> {
        let mut pools = self.pools.values();
        pools.find(|pool| Range::of(&pool.spec.cidr).covers(block))
    }

    pub(crate) fn blocks_of<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Block> {
        let blocks = self.blocks.values();
        blocks.filter(move |block| block.node() == Some(node))
    }

    /// Nodes with blocks that they claim, or that name them.
    pub(crate) fn owners(&self) -> BTreeSet<(String, String)> {
        let named = self.blocks.iter().filter_map(|(name, block)| {
            let node = block.node()?;
            Some((node.to_owned(), name.clone()))
        });
        named.chain(self.claims.keys().cloned()).collect()
    }

    /// Takes over the new value of `key`, and gives the old one.
    pub(crate) fn apply(&mut self, revision: u64, key: &str, value: Option<&[u8]>) -> Verdict<Old> {
        let mut old = Old::Other;
        match Key::of(key)? {
            Key::Block(name) => {
                let block = value.map(|value| parse(key, value)).transpose()?;
                old = Old::Block(self.put_block(name, block));
            }
            Key::Claim(node, block) => {
                let place = (node.to_owned(), block.to_owned());
                self.claims_changed.insert(place.clone(), revision);
                old = Old::Claim(put(&mut self.claims, key, place, value)?);
            }
            Key::Handle(id) => {
                old = Old::Handle(put(&mut self.handles, key, id.to_owned(), value)?);
            }
            Key::Pool(name) => {
                old = Old::Pool(put(&mut self.pools, key, name.to_owned(), value)?);
                self.past_pools.set(revision, self.pools.clone());
            }
            Key::Node(name) => {
                old = Old::Node(put(&mut self.nodes, key, name.to_owned(), value)?);
                let zone = |(name, node): (&String, &Node)| (name.clone(), node.zone());
                self.zones
                    .set(revision, self.nodes.iter().map(zone).collect());
            }
            Key::Reservation(name) => {
                let was = put(&mut self.reservations, key, name.to_owned(), value)?;
                old = Old::Reservation(was.is_some());
                let cidrs = self.reservations.values().flat_map(|r| &r.spec.cidrs);
                let ranges = cidrs.map(|cidr| Range::of(cidr)).collect();
                self.reserved.set(revision, ranges);
            }
            Key::Config => {
                let config = value.map(|value| parse(key, value)).transpose()?;
                old = Old::Config(self.config.now().clone());
                self.config.set(revision, config.unwrap_or_default());
            }
            Key::Empty => check(value.is_none_or(|value| value == b"{}"), || {
                format!("{key} is {value:?}")
            })?,
        }
        Ok(old)
    }

    fn put_block(&mut self, name: &str, block: Option<Block>) -> Option<Block> {
        let old = self.blocks.remove(name);
        if let Some(old) = &old {
            for handle in old.handles() {
                let counts = self.held.get_mut(handle).expect("was counted");
                let count = counts.get_mut(&old.cidr).expect("was counted");
                *count -= 1;
                if *count == 0 {
                    counts.remove(&old.cidr);
                }
            }
        }
        let Some(block) = block else { return old };
        for handle in block.handles() {
            let counts = self.held.entry(handle.to_owned()).or_default();
            *counts.entry(block.cidr.clone()).or_default() += 1;
        }
        self.blocks.insert(name.to_owned(), block);
        old
    }

    /// Whether `addr` is assigned to `handle`.
    pub(crate) fn holds(&self, addr: Ipv4Addr, handle: &str) -> bool {
        self.handle_of(addr).as_deref() == Some(handle)
    }

    /// The handle that `addr` is assigned to.
    pub(crate) fn handle_of(&self, addr: Ipv4Addr) -> Option<String> {
        self.assignment(addr)
            .and_then(|(who, _)| who.handle_id.clone())
    }

    /// Whether this assignment stands.
    pub(crate) fn stands(&self, (addr, sequence): (Ipv4Addr, u64)) -> bool {
        self.assignment(addr)
            .is_some_and(|(_, stamp)| stamp == sequence)
    }

    fn assignment(&self, addr: Ipv4Addr) -> Option<(&Attribute, u64)> {
        let mut blocks = self.blocks.values();
        let block = blocks.find(|block| block.range().contains(addr))?;
        match block.standing(block.range().ordinal(addr)) {
            Standing::Held(who, stamp) => Some((who, stamp)),
            _ => None,
        }
    }
}

fn put<K: Ord, V: for<'a> serde::Deserialize<'a>>(
    values: &mut BTreeMap<K, V>,
    key: &str,
    place: K,
    value: Option<&[u8]>,
) -> Verdict<Option<V>> {
    Ok(match value {
        Some(value) => values.insert(place, parse(key, value)?),
        None => values.remove(&place),
    })
}
