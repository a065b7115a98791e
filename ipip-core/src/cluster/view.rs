//! The records of a cluster, and the questions about them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hasher;
use std::net::Ipv4Addr;

use super::prefixes::Prefixes;
use super::record::{Place, Record};
use super::{Fault, FaultReason};
use crate::addr::{Ipv4Prefix, TunnelAddr};
use crate::datastore::{Revision, key};
use crate::name::NodeName;
use crate::resource::{Block, Node, Pool};

/// The nodes, pools and blocks of a cluster.
///
/// ```
/// use ipip_core::cluster::View;
/// use ipip_core::resource::{IpipMode, Pool};
/// let pool = Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?.with_ipip_mode(IpipMode::Always);
/// let view = View::from_parts([], [pool], []);
/// assert_eq!(view.pool_of("10.244.79.20".parse()?).unwrap().name(), "pods");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct View {
    nodes: BTreeMap<NodeName, Node>,
    pools: BTreeMap<String, Pool>,
    blocks: Prefixes<Block>,
    faults: BTreeMap<String, Fault>,
    /// What each key's value hashes to, so that one that was written again unchanged is no change.
    pub(super) values: HashMap<String, u64>,
    pub(super) revision: Revision,
    /// The names of the pools of each prefix: one, in a sound cluster.
    pools_by_prefix: Prefixes<BTreeSet<String>>,
    /// The blocks that name a node, as their owner or as that of an address.
    blocks_by_node: HashMap<String, BTreeSet<Ipv4Prefix>>,
    nodes_by_tunnel_addr: BTreeMap<Ipv4Addr, BTreeSet<NodeName>>,
}

/// Which records a view's update changed, removed ones and those that became unreadable too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// The nodes.
    pub nodes: BTreeSet<NodeName>,
    /// The prefixes of the pools, both where a pool's changed.
    pub pools: BTreeSet<Ipv4Prefix>,
    /// The blocks.
    pub blocks: BTreeSet<Ipv4Prefix>,
    /// Whether the store had forgotten what changed, so that everything was read again. What is named
    /// above is the difference all the same.
    pub relisted: bool,
}

impl Changed {
    /// Whether no record changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.pools.is_empty() && self.blocks.is_empty()
    }
}

impl View {
    /// A view of these records. Of two with one name, or one prefix, the last counts.
    #[must_use]
    pub fn from_parts(
        nodes: impl IntoIterator<Item = Node>,
        pools: impl IntoIterator<Item = Pool>,
        blocks: impl IntoIterator<Item = Block>,
    ) -> Self {
        let mut view = Self::default();
        for node in nodes {
            view.remove_node(&node.name().clone());
            view.insert(Record::Node(node), &mut Changed::default());
        }
        for pool in pools {
            view.remove_pool(pool.name());
            view.insert(Record::Pool(pool), &mut Changed::default());
        }
        for block in blocks {
            view.remove_block(block.prefix().into());
            view.insert(Record::Block(block), &mut Changed::default());
        }
        view
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.values()
    }

    /// The node `name`.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The pools, by name, disabled ones too: what they hold is routed as before.
    pub fn pools(&self) -> impl ExactSizeIterator<Item = &Pool> {
        self.pools.values()
    }

    /// The pool that holds `addr`: the one with the longest prefix, disabled or not.
    #[must_use]
    pub fn pool_of(&self, addr: Ipv4Addr) -> Option<&Pool> {
        self.pool_around(Ipv4Prefix::host(addr))
    }

    /// The pool that holds all of `prefix`: the one with the longest prefix, disabled or not.
    #[must_use]
    pub fn pool_around(&self, prefix: Ipv4Prefix) -> Option<&Pool> {
        let names = self.pools_by_prefix.covering(prefix)?;
        self.pools.get(names.first()?)
    }

    /// The blocks, by prefix.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &Block> {
        self.blocks.values()
    }

    /// The block `prefix`.
    #[must_use]
    pub fn block(&self, prefix: Ipv4Prefix) -> Option<&Block> {
        self.blocks.get(prefix)
    }

    /// The block that holds `addr`: the one with the longest prefix, should blocks overlap.
    #[must_use]
    pub fn block_of(&self, addr: Ipv4Addr) -> Option<&Block> {
        self.blocks.longest(addr)
    }

    /// What could not be read, by key.
    pub fn faults(&self) -> impl ExactSizeIterator<Item = &Fault> {
        self.faults.values()
    }

    /// The store's revision that the view shows; 0 for one made from parts.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The blocks that `node` owns or has an address in: those that a change of its record touches.
    pub fn blocks_naming(&self, node: &NodeName) -> impl Iterator<Item = Ipv4Prefix> {
        let blocks = self.blocks_by_node.get(node.as_str());
        blocks.into_iter().flatten().copied()
    }

    /// The blocks inside `prefix`: those that a change of the pool with this prefix touches.
    pub fn blocks_in(&self, prefix: Ipv4Prefix) -> impl Iterator<Item = Ipv4Prefix> {
        self.blocks.within(prefix)
    }

    /// The nodes whose tunnel address lies inside `prefix`.
    pub fn tunnel_nodes_in(&self, prefix: Ipv4Prefix) -> impl Iterator<Item = &NodeName> {
        let inside = prefix.network()..=prefix.last();
        let inside = self.nodes_by_tunnel_addr.range(inside);
        inside.flat_map(|(_, names)| names)
    }

    /// Takes over what became of `key`: a new value, or that it is gone.
    pub(super) fn apply(&mut self, key: &str, value: Option<&[u8]>, changed: &mut Changed) {
        let Some(place) = Place::of(key) else {
            return;
        };
        let hash = value.map(hash_of);
        if self.values.get(key).copied() == hash {
            return;
        }
        match hash {
            Some(hash) => self.values.insert(key.to_owned(), hash),
            None => self.values.remove(key),
        };
        self.faults.remove(key);
        self.remove(&place, changed);
        match value.map(|value| place.read(value)) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(record))) => self.insert(record, changed),
            Some(Err(reason)) => self.keep_out(key, &place, reason, changed),
        }
    }

    /// The keys that the view has read and that are not in `present`.
    pub(super) fn keys_missing_in(&self, present: &HashSet<&str>) -> Vec<String> {
        let keys = self.values.keys();
        let missing = keys.filter(|key| !present.contains(key.as_str()));
        missing.cloned().collect()
    }

    fn keep_out(&mut self, key: &str, place: &Place, reason: FaultReason, changed: &mut Changed) {
        match place {
            // It is not there, and should be: whoever spares what it may hold must be told.
            Place::Node(name) => drop(changed.nodes.insert(name.clone())),
            Place::Block(prefix) => drop(changed.blocks.insert((*prefix).into())),
            Place::Pool(_) | Place::Nothing(_) => {}
        }
        let key = key.to_owned();
        self.faults.insert(key.clone(), Fault { key, reason });
    }

    fn insert(&mut self, record: Record, changed: &mut Changed) {
        match record {
            Record::Node(node) => {
                changed.nodes.insert(node.name().clone());
                if let Some(TunnelAddr(addr)) = node.tunnel_addr() {
                    let names = self.nodes_by_tunnel_addr.entry(addr).or_default();
                    names.insert(node.name().clone());
                }
                self.nodes.insert(node.name().clone(), node);
            }
            Record::Pool(pool) => {
                changed.pools.insert(pool.cidr());
                let mut names = self.pools_by_prefix.remove(pool.cidr()).unwrap_or_default();
                names.insert(pool.name().to_owned());
                self.pools_by_prefix.insert(pool.cidr(), names);
                self.pools.insert(pool.name().to_owned(), pool);
            }
            Record::Block(block) => {
                let prefix = block.prefix().into();
                changed.blocks.insert(prefix);
                for node in nodes_of(&block) {
                    match self.blocks_by_node.get_mut(node) {
                        Some(blocks) => drop(blocks.insert(prefix)),
                        None => drop(self.blocks_by_node.insert(node.to_owned(), [prefix].into())),
                    }
                }
                self.blocks.insert(prefix, block);
            }
        }
    }

    fn remove(&mut self, place: &Place, changed: &mut Changed) {
        match place {
            Place::Node(name) => {
                let node = self.remove_node(name);
                changed.nodes.extend(node.map(|node| node.name().clone()));
            }
            Place::Pool(name) => {
                let pool = self.remove_pool(name);
                changed.pools.extend(pool.map(|pool| pool.cidr()));
            }
            Place::Block(prefix) => {
                let block = self.remove_block((*prefix).into());
                let prefix = block.map(|block| Ipv4Prefix::from(block.prefix()));
                changed.blocks.extend(prefix);
            }
            Place::Nothing(_) => {}
        }
    }

    fn remove_node(&mut self, name: &NodeName) -> Option<Node> {
        let node = self.nodes.remove(name)?;
        if let Some(TunnelAddr(addr)) = node.tunnel_addr()
            && let Some(names) = self.nodes_by_tunnel_addr.get_mut(&addr)
        {
            names.remove(name);
            if names.is_empty() {
                self.nodes_by_tunnel_addr.remove(&addr);
            }
        }
        Some(node)
    }

    fn remove_pool(&mut self, name: &str) -> Option<Pool> {
        let pool = self.pools.remove(name)?;
        let mut names = self.pools_by_prefix.remove(pool.cidr()).unwrap_or_default();
        names.remove(name);
        if !names.is_empty() {
            self.pools_by_prefix.insert(pool.cidr(), names);
        }
        Some(pool)
    }

    fn remove_block(&mut self, prefix: Ipv4Prefix) -> Option<Block> {
        let block = self.blocks.remove(prefix)?;
        for node in nodes_of(&block) {
            if let Some(blocks) = self.blocks_by_node.get_mut(node) {
                blocks.remove(&prefix);
                if blocks.is_empty() {
                    self.blocks_by_node.remove(node);
                }
            }
        }
        Some(block)
    }
}

/// The nodes that a block names: its owner's, and those of its addresses.
fn nodes_of(block: &Block) -> HashSet<&str> {
    let owner = block.affinity().and_then(|affinity| affinity.node());
    let assigned = block.assigned();
    let assigned = assigned.filter_map(|(_, who)| who.known("node"));
    let nodes: HashSet<&str> = assigned.collect();
    nodes
        .into_iter()
        .chain(owner.map(NodeName::as_str))
        .collect()
}

fn hash_of(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value);
    hasher.finish()
}

/// What is watched: it covers the three lists, so that one revision is that of all of them.
pub(super) const WATCHED: &str = key::cluster_prefix();
