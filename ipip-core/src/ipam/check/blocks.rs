//! Blocks: their values, their places, and the addresses that two of them share.

use std::collections::BTreeMap;

use super::handles::Handles;
use super::{BlockSeen, Check, Owner, Problem, Seen, is_tunnel, is_tunnel_of};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, key};
use crate::name::HandleId;
use crate::resource::{Attribute, Block, BlockPrefix, MIN_BLOCK_LEN};

impl Check<'_> {
    /// Remembers which blocks share addresses, before they are read.
    pub(super) fn name_overlapping(&mut self, records: &[Record]) {
        for record in records {
            if let Some(prefix) = block_of_key(&record.key) {
                let seen = BlockSeen {
                    revision: record.revision,
                    owner: None,
                };
                self.blocks.insert(prefix.into(), seen);
            }
        }
    }

    /// Each pair of blocks that share addresses: the smaller one, the larger one.
    fn overlaps(&self) -> Vec<(Ipv4Prefix, Ipv4Prefix)> {
        let mut open: Vec<Ipv4Prefix> = Vec::new();
        let mut pairs = Vec::new();
        // In their order a prefix comes after those that contain it.
        for prefix in self.blocks.keys() {
            open.retain(|around| around.covers(*prefix));
            pairs.extend(open.iter().map(|around| (*prefix, *around)));
            open.push(*prefix);
        }
        pairs
    }

    pub(super) fn of_block(&mut self, record: Record, handles: &mut Handles<'_>) {
        self.checked.blocks += 1;
        let Some(prefix) = block_of_key(&record.key) else {
            let found = "this names no block".to_owned();
            return self.misplaced(record, found);
        };
        let records = || {
            vec![Seen {
                key: record.key.clone(),
                revision: Some(record.revision),
            }]
        };
        self.of_place(prefix, records());
        let examined = Block::examine(&record.value);
        for fault in examined.faults {
            let block = prefix;
            self.note(Problem::BlockFault { block, fault }, records());
        }
        let Some(block) = examined.block else {
            handles.unreadable(prefix);
            return;
        };
        if block.prefix() != prefix {
            handles.unreadable(prefix);
            let found = format!("this is the value of block {}", block.prefix());
            return self.misplaced(record, found);
        }
        self.of_addresses(&block, &records(), handles);
        let owner = match block.affinity() {
            None => Owner::Nobody,
            Some(owner) => match owner.node() {
                Some(node) => Owner::Node(node.clone()),
                None => Owner::Other(owner.to_string()),
            },
        };
        if matches!(owner, Owner::Nobody) && block.is_empty() {
            self.note(Problem::BlockOrphaned { block: prefix }, records());
        }
        if let Some(seen) = self.blocks.get_mut(&prefix.prefix()) {
            seen.owner = Some(owner);
        }
        if self.shares_addresses(prefix.prefix()) {
            self.overlapping.insert(prefix.prefix(), block);
        }
    }

    fn shares_addresses(&self, prefix: Ipv4Prefix) -> bool {
        let last = Ipv4Prefix::host(prefix.last());
        let inside = self
            .blocks
            .range(prefix..=last)
            .any(|(other, _)| *other != prefix && prefix.covers(*other));
        let around = (MIN_BLOCK_LEN..prefix.len())
            .filter_map(|len| Ipv4Prefix::containing(prefix.network(), len).ok());
        inside
            || around
                .into_iter()
                .any(|around| self.blocks.contains_key(&around))
    }

    /// Whether the block is where it should be, and of the right size.
    fn of_place(&mut self, block: BlockPrefix, records: Vec<Seen>) {
        let mut pools = self.around.pools.iter();
        match pools.find(|(pool, _)| pool.cidr().overlaps(block.prefix())) {
            // It may be in one that cannot be read, which is told.
            None if self.around.has_unreadable_pool() => {}
            None => self.note(Problem::BlockOutsidePools { block }, records),
            Some((pool, _)) if pool.block_len() != block.len() => {
                let problem = Problem::BlockLen {
                    block,
                    pool: pool.name().to_owned(),
                    block_len: pool.block_len(),
                };
                self.note(problem, records);
            }
            Some(_) => {}
        }
    }

    fn of_addresses(&mut self, block: &Block, records: &[Seen], handles: &mut Handles<'_>) {
        let mut of_handle: BTreeMap<&str, u32> = BTreeMap::new();
        for (addr, who) in block.assigned() {
            self.checked.addresses += 1;
            if let Some(nodes) = self.tunnels.get_mut(&addr) {
                nodes.retain(|node| !is_tunnel_of(who, node));
            }
            let Some(handle) = who.handle().filter(|_| !who.is_windows_reserved()) else {
                continue;
            };
            *of_handle.entry(handle).or_default() += 1;
            if self.is_leaked(handle, who) {
                let problem = Problem::Leaked {
                    addr,
                    handle: handle.to_owned(),
                    sequence: block.sequence_of(addr).unwrap_or_default(),
                };
                self.note(problem, records.to_vec());
            }
        }
        for (handle, count) in of_handle {
            handles.add(handle, block.prefix(), count);
        }
    }

    fn is_leaked(&self, handle: &str, who: &Attribute) -> bool {
        let Some(live) = self.live else {
            return false;
        };
        let id = HandleId::try_new(handle);
        !is_tunnel(who) && !id.is_ok_and(|id| live.contains(&id))
    }

    /// Blocks that share addresses, and the addresses that are assigned in two.
    pub(super) fn of_overlaps(&mut self) {
        for (inner, outer) in self.overlaps() {
            let (Ok(block), Ok(around)) =
                (BlockPrefix::try_from(inner), BlockPrefix::try_from(outer))
            else {
                continue;
            };
            let records = vec![self.seen_block(inner), self.seen_block(outer)];
            self.note(Problem::BlocksOverlap { block, around }, records.clone());
            let (Some(small), Some(large)) =
                (self.overlapping.get(&inner), self.overlapping.get(&outer))
            else {
                continue;
            };
            let assigned = small.assigned().map(|(addr, _)| addr);
            let twice: Vec<_> = assigned
                .filter(|addr| large.attribute_of(*addr).is_some())
                .collect();
            for addr in twice {
                let problem = Problem::Duplicated {
                    addr,
                    block,
                    around,
                };
                self.note(problem, records.clone());
            }
        }
    }
}

fn block_of_key(key: &str) -> Option<BlockPrefix> {
    let prefix = key::parse_block(key)?;
    BlockPrefix::try_from(prefix).ok()
}
