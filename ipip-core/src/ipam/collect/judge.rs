//! What may be collected: a look at all blocks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use super::{Collected, Collector};
use crate::datastore::{Record, key};
use crate::ipam::check::{Numbers, is_tunnel};
use crate::name::{HandleId, NodeName};
use crate::resource::{Attribute, Block, BlockPrefix, Release, Sequence};

/// What one look at the store found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The addresses of each handle that is not alive; the collector has not seen all of them for long
    /// enough if it is `None`.
    pub(super) dead: BTreeMap<String, Vec<Release>>,
    pub(super) young: HashSet<String>,
    pub(super) addresses: HashMap<(Ipv4Addr, Sequence), SystemTime>,
    /// By the number of its record: whether a handle has addresses.
    pub(super) used: Vec<bool>,
    /// By node: how many blocks it has, and which of them are empty.
    pub(super) owned: BTreeMap<NodeName, Owned>,
    /// Empty blocks that nobody owns.
    pub(super) orphans: Vec<BlockPrefix>,
    /// Blocks in which addresses have cooled down.
    pub(super) cooled: Vec<BlockPrefix>,
}

#[derive(Debug, Default)]
pub(super) struct Owned {
    pub(super) blocks: usize,
    pub(super) empty: Vec<(BlockPrefix, Sequence)>,
}

impl Look {
    /// Nothing found yet, where `handles` handles have a record.
    pub(super) fn of(handles: usize) -> Self {
        Self {
            used: vec![false; handles],
            ..Self::default()
        }
    }
}

/// What decides whether something is needed.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) now: SystemTime,
    pub(super) cooldown: Duration,
    pub(super) live: &'a HashSet<HandleId>,
    /// Those that have a record.
    pub(super) nodes: HashSet<NodeName>,
    /// The handles that have a record.
    pub(super) numbers: Numbers<'a>,
}

impl Judge<'_> {
    /// Whether `node` has no record while others have one.
    pub(super) fn is_gone(&self, node: &NodeName) -> bool {
        !self.nodes.is_empty() && !self.nodes.contains(node)
    }

    /// Whether `node` had a record when `collector` looked, and has none now.
    pub(super) fn has_vanished(&self, node: &NodeName, collector: &Collector) -> bool {
        collector.nodes.contains(node) && self.is_gone(node)
    }

    pub(super) fn look(
        &self,
        records: Vec<Record>,
        collector: &Collector,
        look: &mut Look,
        collected: &mut Collected,
    ) {
        for record in records {
            match Block::from_json(&record.value) {
                Ok(block) if record.key == key::block(block.prefix().into()) => {
                    self.look_at(&block, collector, look, collected);
                }
                _ => collected.unreadable.push(record.key),
            }
        }
    }

    fn look_at(
        &self,
        block: &Block,
        collector: &Collector,
        look: &mut Look,
        collected: &mut Collected,
    ) {
        let prefix = block.prefix();
        for (addr, who) in block.assigned() {
            if who.is_cooling_down() {
                continue;
            }
            let Some(handle) = who.handle() else {
                collected.without_handle += 1;
                continue;
            };
            let number = self.numbers.get(handle);
            if let Some(used) = number.and_then(|number| look.used.get_mut(number)) {
                *used = true;
            }
            if who.is_windows_reserved() {
                continue;
            }
            let sequence = block.sequence_of(addr).unwrap_or_default();
            if let Some(release) = self.dead(addr, handle, who) {
                let known = collector.addresses.get(&(addr, sequence)).copied();
                let since = known.unwrap_or(self.now);
                look.addresses.insert((addr, sequence), since);
                let node = node_of(who);
                let is_over = node.is_some_and(|node| self.has_vanished(&node, collector))
                    || collector.is_over(since, self.now);
                if !is_over {
                    look.young.insert(handle.to_owned());
                }
                let releases = look.dead.entry(handle.to_owned()).or_default();
                releases.push(release.at(sequence));
            }
        }
        match block.affinity() {
            None if block.is_empty() => look.orphans.push(prefix),
            Some(owner) => {
                if let Some(node) = owner.node() {
                    let owned = look.owned.entry(node.clone()).or_default();
                    owned.blocks += 1;
                    if block.is_empty() {
                        owned.empty.push((prefix, block.sequence()));
                    }
                }
            }
            None => {}
        }
        if block.has_cooling() && block.clone().collect(self.now, self.cooldown) > 0 {
            look.cooled.push(prefix);
        }
    }

    /// The release of an address that nobody needs; without its sequence number.
    fn dead(&self, addr: Ipv4Addr, handle: &str, who: &Attribute) -> Option<Release> {
        if is_tunnel(who) && !node_of(who).is_some_and(|node| self.is_gone(&node)) {
            return None;
        }
        // A handle that is none cannot be alive, nor be compared: it is left to a person.
        let id = HandleId::try_new(handle).ok()?;
        (!self.live.contains(&id)).then(|| Release::of(addr).from_handle(id))
    }
}

/// The node on which an address was assigned, if that is known.
fn node_of(who: &Attribute) -> Option<NodeName> {
    let node = who.known("node")?;
    NodeName::try_new(node).ok()
}
