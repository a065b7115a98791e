//! The judge: what the store may hold, and how it may change, read from the JSON by itself.
//!
//! It shares nothing with the allocator but the keys: the values are parsed here, and the rules are
//! those of Calico's data model, said once more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::operation::Operation;
use crate::truth::Committed;

const BLOCK: &str = "/calico/ipam/v2/assignment/ipv4/block/";
const HOST: &str = "/calico/ipam/v2/host/";
const HANDLE: &str = "/calico/ipam/v2/handle/";

#[derive(Debug, Clone, Deserialize, PartialEq)]
struct Block {
    cidr: String,
    affinity: Option<String>,
    allocations: Vec<Option<usize>>,
    unallocated: Vec<usize>,
    attributes: Option<Vec<Attribute>>,
    #[serde(rename = "sequenceNumber")]
    sequence: u64,
    #[serde(rename = "sequenceNumberForAllocation")]
    sequences: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
struct Attribute {
    handle_id: Option<String>,
    #[serde(default)]
    secondary: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Affinity {
    state: String,
}

#[derive(Debug, Deserialize)]
struct Handle {
    block: BTreeMap<String, i64>,
}

/// What the operation that made a commit may do.
#[derive(Debug, Clone, Copy)]
pub struct Permit<'a> {
    pub node: &'a str,
    pub operation: &'a Operation,
}

/// What a commit did with addresses.
#[derive(Debug, Default)]
pub struct Effect {
    pub gained: Vec<(Ipv4Addr, u64)>,
    pub lost: Vec<Ipv4Addr>,
}

/// The state after all commits that were judged.
#[derive(Debug, Default)]
pub struct Oracle {
    blocks: BTreeMap<String, Block>,
    handles: BTreeMap<String, BTreeMap<String, i64>>,
    /// Node and block to state.
    affinities: BTreeMap<(String, String), String>,
}

type Verdict<T> = Result<T, String>;

fn parse<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Verdict<T> {
    serde_json::from_slice(value).map_err(|error| format!("{key}: {error}"))
}

fn check(holds: bool, rule: impl FnOnce() -> String) -> Verdict<()> {
    if holds { Ok(()) } else { Err(rule()) }
}

impl Block {
    fn addr(&self, ordinal: usize) -> Ipv4Addr {
        let network: Ipv4Addr = self
            .cidr
            .split('/')
            .next()
            .and_then(|a| a.parse().ok())
            .expect("an address");
        Ipv4Addr::from(u32::from(network) + ordinal as u32)
    }

    fn owner(&self, ordinal: usize) -> Option<&Attribute> {
        self.attributes.as_ref()?.get(self.allocations[ordinal]?)
    }

    fn is_empty(&self) -> bool {
        self.allocations.iter().all(Option::is_none)
    }

    fn node(&self) -> Option<&str> {
        self.affinity.as_deref()?.strip_prefix("host:")
    }

    /// The invariants of one block.
    fn check(&self, key: &str) -> Verdict<()> {
        let size = 1
            << (32
                - self
                    .cidr
                    .rsplit('/')
                    .next()
                    .and_then(|l| l.parse::<u32>().ok())
                    .unwrap_or(32));
        check(
            format!("{BLOCK}{}", self.cidr.replace('/', "-")) == key,
            || format!("{key} holds {}", self.cidr),
        )?;
        check(self.allocations.len() == size, || {
            format!("{key}: {} allocations", self.allocations.len())
        })?;
        let queue: BTreeSet<usize> = self.unallocated.iter().copied().collect();
        check(queue.len() == self.unallocated.len(), || {
            format!("{key}: an ordinal queues twice")
        })?;
        let free = (0..size)
            .filter(|o| self.allocations[*o].is_none())
            .collect();
        check(queue == free, || {
            format!("{key}: the queue is not what is free")
        })?;
        let count = self.attributes.as_ref().map_or(0, Vec::len);
        let used: BTreeSet<usize> = self.allocations.iter().flatten().copied().collect();
        check(used == (0..count).collect(), || {
            format!("{key}: attributes and allocations differ")
        })?;
        let stamped: BTreeSet<usize> = self
            .sequences
            .keys()
            .filter_map(|o| o.parse().ok())
            .collect();
        let assigned = (0..size)
            .filter(|o| self.allocations[*o].is_some())
            .collect();
        check(stamped == assigned, || {
            format!("{key}: sequence numbers of other addresses")
        })
    }
}

impl Oracle {
    /// Judges one commit by what its maker may do.
    pub fn judge(&mut self, committed: &Committed, permit: Permit<'_>) -> Verdict<Effect> {
        let mut effect = Effect::default();
        for (key, before, after) in &committed.changes {
            if key.starts_with(BLOCK) {
                let before = before
                    .as_deref()
                    .map(|value| parse(key, value))
                    .transpose()?;
                let after: Option<Block> = after
                    .as_deref()
                    .map(|value| parse(key, value))
                    .transpose()?;
                self.judge_block(key, before.as_ref(), after.as_ref(), permit, &mut effect)?;
                match after {
                    Some(block) => self.blocks.insert(key.clone(), block),
                    None => self.blocks.remove(key),
                };
            } else if let Some(id) = key.strip_prefix(HANDLE) {
                match after {
                    Some(value) => {
                        let handle: Handle = parse(key, value)?;
                        self.handles.insert(id.to_owned(), handle.block);
                    }
                    None => drop(self.handles.remove(id)),
                }
            } else if let Some((node, block)) = key
                .strip_prefix(HOST)
                .and_then(|k| k.split_once("/ipv4/block/"))
            {
                let place = (node.to_owned(), block.to_owned());
                match after {
                    Some(value) => {
                        let affinity: Affinity = parse(key, value)?;
                        self.affinities.insert(place, affinity.state);
                    }
                    None => drop(self.affinities.remove(&place)),
                }
            }
        }
        self.check_claims(committed)?;
        self.check_handles()?;
        Ok(effect)
    }

    fn judge_block(
        &self,
        key: &str,
        before: Option<&Block>,
        after: Option<&Block>,
        permit: Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        let Some(after) = after else {
            let before = before.expect("a change");
            return check(before.is_empty(), || {
                format!("{key} was deleted with addresses in it")
            });
        };
        after.check(key)?;
        let Some(before) = before else {
            self.check_new(key, after, permit)?;
            return self.judge_addresses(key, &empty_twin(after), after, permit, effect);
        };
        check(
            after.sequence == before.sequence.wrapping_add(1) || after == before,
            || {
                format!(
                    "{key}: sequence {} after {}",
                    after.sequence, before.sequence
                )
            },
        )?;
        if after.affinity != before.affinity {
            let gave_up = matches!(permit.operation, Operation::ReleaseBlock(_));
            check(
                after.affinity.is_none() && gave_up && before.node() == Some(permit.node),
                || {
                    format!(
                        "{key}: owner {:?} became {:?}",
                        before.affinity, after.affinity
                    )
                },
            )?;
        }
        self.judge_addresses(key, before, after, permit, effect)
    }

    fn check_new(&self, key: &str, block: &Block, permit: Permit<'_>) -> Verdict<()> {
        check(block.node() == Some(permit.node), || {
            format!("{key} made for {:?}", block.affinity)
        })?;
        let range = |cidr: &str| {
            let (network, len) = cidr.split_once('/').expect("a prefix");
            let network = u32::from(network.parse::<Ipv4Addr>().expect("an address"));
            let size = 1_u64 << (32 - len.parse::<u32>().expect("a length"));
            (u64::from(network), u64::from(network) + size)
        };
        let (from, to) = range(&block.cidr);
        for other in self.blocks.values() {
            let (start, end) = range(&other.cidr);
            check(end <= from || to <= start, || {
                format!("{key} overlaps {}", other.cidr)
            })?;
        }
        Ok(())
    }

    fn judge_addresses(
        &self,
        key: &str,
        before: &Block,
        after: &Block,
        permit: Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        let mut freed = BTreeSet::new();
        let mut taken = Vec::new();
        for ordinal in 0..after.allocations.len() {
            let addr = after.addr(ordinal);
            let stamp = |block: &Block| {
                block
                    .sequences
                    .get(&ordinal.to_string())
                    .copied()
                    .unwrap_or(0)
            };
            match (before.owner(ordinal), after.owner(ordinal)) {
                (None, None) => {}
                (Some(old), Some(new)) => {
                    check(old == new && stamp(before) == stamp(after), || {
                        format!("{addr} was given from {old:?} to {new:?}")
                    })?
                }
                (Some(old), None) => {
                    let may =
                        permit
                            .operation
                            .releases(addr, old.handle_id.as_deref(), stamp(before));
                    check(may, || format!("{addr} of {old:?} was released"))?;
                    freed.insert(ordinal);
                    effect.lost.push(addr);
                }
                (None, Some(new)) => {
                    let (handle, _) = permit
                        .operation
                        .wants()
                        .ok_or(format!("{addr} was assigned"))?;
                    let ours = new.handle_id.as_deref() == Some(handle.as_str())
                        && new.secondary.get("node").map(String::as_str) == Some(permit.node);
                    check(ours, || format!("{addr} was assigned to {new:?}"))?;
                    check(stamp(after) == before.sequence, || {
                        format!("{addr} is stamped {}", stamp(after))
                    })?;
                    taken.push(ordinal);
                    effect.gained.push((addr, stamp(after)));
                }
            }
        }
        check_queue(key, before, after, &freed, &taken, permit)
    }

    /// Our commits leave no claim without its block, and no claim on somebody else's.
    fn check_claims(&self, committed: &Committed) -> Verdict<()> {
        for (key, _, after) in &committed.changes {
            let Some((node, block)) = key
                .strip_prefix(HOST)
                .and_then(|k| k.split_once("/ipv4/block/"))
            else {
                continue;
            };
            let owner = self
                .blocks
                .get(&format!("{BLOCK}{block}"))
                .and_then(Block::node);
            check(after.is_none() == (owner != Some(node)), || {
                format!("{key} is {after:?}, and the block is of {owner:?}")
            })?;
        }
        for (key, block) in &self.blocks {
            let Some(node) = block.node() else { continue };
            let place = (node.to_owned(), key[BLOCK.len()..].to_owned());
            let state = self.affinities.get(&place).map(String::as_str);
            check(state == Some("confirmed"), || {
                format!("{key} of {node}: its claim is {state:?}")
            })?;
        }
        Ok(())
    }

    /// The records of handles count what the blocks hold.
    fn check_handles(&self) -> Verdict<()> {
        let mut counted: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for block in self.blocks.values() {
            let owners = (0..block.allocations.len()).filter_map(|ordinal| block.owner(ordinal));
            for handle in owners.filter_map(|owner| owner.handle_id.clone()) {
                *counted
                    .entry(handle)
                    .or_default()
                    .entry(block.cidr.clone())
                    .or_default() += 1;
            }
        }
        check(counted == self.handles, || {
            format!("handles {:?} and not {counted:?}", self.handles)
        })
    }

    /// How many blocks `node` has.
    pub fn blocks_of(&self, node: &str) -> usize {
        self.blocks
            .values()
            .filter(|block| block.node() == Some(node))
            .count()
    }

    /// What is left at the end, when everything was given back.
    pub fn check_nothing_left(&self) -> Verdict<()> {
        let left = self.blocks.len() + self.handles.len() + self.affinities.len();
        check(left == 0, || format!("left at the end: {self:?}"))
    }
}

/// First in, first out: what is taken comes from the head, what is released goes to the tail.
fn check_queue(
    key: &str,
    before: &Block,
    after: &Block,
    freed: &BTreeSet<usize>,
    taken: &[usize],
    permit: Permit<'_>,
) -> Verdict<()> {
    let mut taken: BTreeSet<usize> = taken.iter().copied().collect();
    if !matches!(permit.operation, Operation::Assign { .. }) {
        let head: BTreeSet<usize> = before
            .unallocated
            .iter()
            .take(taken.len())
            .copied()
            .collect();
        check(head == taken, || {
            format!("{key}: {taken:?} were taken before {head:?}")
        })?;
    }
    let mut expected: Vec<usize> = before.unallocated.clone();
    expected.retain(|ordinal| !taken.remove(ordinal));
    let (kept, tail) = after
        .unallocated
        .split_at(expected.len().min(after.unallocated.len()));
    check(kept == expected, || {
        format!(
            "{key}: the queue {:?} became {:?}",
            before.unallocated, after.unallocated
        )
    })?;
    check(
        tail.iter().copied().collect::<BTreeSet<_>>() == *freed,
        || format!("{key}: {tail:?} joined the queue"),
    )
}

fn empty_twin(block: &Block) -> Block {
    let size = block.allocations.len();
    Block {
        allocations: vec![None; size],
        unallocated: (0..size).collect(),
        attributes: None,
        sequences: BTreeMap::new(),
        ..block.clone()
    }
}
