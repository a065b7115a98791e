//! Collecting what nobody needs any more: addresses and handles of workloads that are gone, empty
//! blocks, addresses that have cooled down.

mod judge;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use ipnetwork::Ipv4Network;

use super::check::{Numbers, Survey};
use super::read::Stored;
use super::release::put_released;
use super::retry::Written;
use super::{Ipam, IpamError, RefusedBlock, decide};
use crate::datastore::{Commit, Record, Revision, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Block, BlockPrefix, Handle, Node, Released, Sequence};
use judge::{Judge, Look};

/// What one who collects remembers from call to call: what looked useless, and since when.
///
/// Nothing is collected at its first sight. Whoever loses the value only begins anew.
#[derive(Debug, Clone)]
pub struct Collector {
    grace: Duration,
    /// Addresses whose handle is not alive.
    addresses: HashMap<(Ipv4Addr, Sequence), SystemTime>,
    /// Handles with a record and without an address.
    handles: HashMap<String, (Revision, SystemTime)>,
    /// Empty blocks; whoever uses one changes its sequence number.
    blocks: HashMap<BlockPrefix, (Sequence, SystemTime)>,
    /// Nodes that had a record.
    nodes: HashSet<NodeName>,
}

/// What one call collected, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// The addresses that were released.
    pub released: Vec<Released>,
    /// Blocks of which nothing was released, and why.
    pub refused: Vec<RefusedBlock>,
    /// The handles that had a record and no address, and have none now.
    pub handles: Vec<String>,
    /// The blocks that were empty and are gone, in order.
    pub blocks: Vec<Ipv4Network>,
    /// How many addresses have cooled down and are free.
    pub cooled: u64,
    /// How many addresses, handles and blocks look useless, and have not done so for long enough.
    pub waiting: u64,
    /// How many addresses have no handle, so that nobody can tell whether they are needed.
    pub without_handle: u64,
    /// The keys of blocks that are damaged: [`Ipam::check`] says what is wrong.
    pub unreadable: Vec<String>,
}

impl Collector {
    /// How long Calico waits.
    pub const GRACE: Duration = Duration::from_secs(15 * 60);

    /// A collector that lets everything be for `grace` after it saw first that it is useless; usually
    /// [`Collector::GRACE`]. It should be longer than a workload takes from asking for its address to
    /// being alive.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            grace,
            addresses: HashMap::new(),
            handles: HashMap::new(),
            blocks: HashMap::new(),
            nodes: HashSet::new(),
        }
    }

    fn is_over(&self, since: SystemTime, now: SystemTime) -> bool {
        // A clock that was set back counts as standing still.
        now.duration_since(since).unwrap_or_default() >= self.grace
    }
}

/// So many addresses are released in one call.
const BATCH: usize = 10_000;

impl Ipam {
    /// Collects what nobody needs any more, where `live` are the handles of all workloads that are
    /// alive, gathered before the call:
    ///
    /// - every address of a handle that is not alive, once all of them have been so for the time of
    ///   grace. An address that was released and assigned again meanwhile is another one, and begins
    ///   anew. Addresses of tunnel devices are kept as long as their node has a record;
    /// - records of handles without addresses;
    /// - empty blocks, if their node has others or has no record while other nodes have;
    /// - addresses that have cooled down, in blocks that nobody touches.
    ///
    /// What a node had that is gone waits for no grace, as with Calico: its record was there at an earlier
    /// call with this `collector`, and is not any more. A node that never had one may be running.
    ///
    /// Call it every few minutes with the same `collector`. It must be the only judge of what is alive:
    /// Calico's own controller, where it runs, collects too, by what Kubernetes knows.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::collections::HashSet;
    /// # use std::time::Duration;
    /// # use ipip_core::datastore::Memory;
    /// # use ipip_core::ipam::{Ambient, Collector, Ipam};
    /// # use ipip_core::name::{HandleId, NodeName};
    /// # use ipip_core::resource::{Attribute, Pool};
    /// # let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// # ipam.create_pool(&Pool::try_new("pods", "10.65.0.0/24".parse()?, 26)?)?;
    /// let pod = Attribute::new(Some(HandleId::try_new("pod-a")?));
    /// let assigned = ipam.assign_any(&NodeName::try_new("node-a")?, &pod)?;
    /// let mut collector = Collector::new(Duration::ZERO);
    /// let live = HashSet::from([HandleId::try_new("pod-a")?]);
    /// assert!(ipam.collect(&mut collector, &live)?.released.is_empty());
    /// let collected = ipam.collect(&mut collector, &HashSet::new())?;
    /// assert_eq!(collected.released[0].addr, assigned.addr);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError`] if the store fails; what was collected before then stays so.
    pub fn collect(
        &self,
        collector: &mut Collector,
        live: &HashSet<HandleId>,
    ) -> Result<Collected, IpamError> {
        let Survey {
            blocks,
            handles,
            revision,
            ..
        } = self.survey_records()?;
        // Right after reading: the time of grace begins when the records were there, not before, and
        // ends when they still are.
        let now = self.ambient.now();
        let nodes = self.nodes_since(revision)?;
        collector.nodes.extend(nodes.iter().cloned());
        let mut collected = Collected::default();
        let judge = Judge {
            now,
            cooldown: self.config()?.cooldown,
            live,
            nodes,
            numbers: Numbers::of(&handles),
        };
        let mut look = Look::of(handles.len());
        judge.look(blocks, collector, &mut look, &mut collected);
        self.collect_handles(&look, &handles, (collector, now), &mut collected)?;
        self.collect_addresses(&look, &mut collected)?;
        self.collect_cooled(&look, &mut collected)?;
        self.collect_blocks(&look, &judge, collector, &mut collected)?;
        collector.addresses = look.addresses;
        let released: HashSet<_> = collected.released.iter().map(|one| one.addr).collect();
        collector
            .addresses
            .retain(|(addr, _), _| !released.contains(addr));
        collected.blocks.sort_unstable();
        let waiting = collector.addresses.len() + collector.handles.len() + collector.blocks.len();
        collected.waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        Ok(collected)
    }

    /// The nodes that have a record at `revision` or later. A node that comes back gets its record
    /// before its addresses or with them, so it was there if they were.
    fn nodes_since(&self, revision: Revision) -> Result<HashSet<NodeName>, IpamError> {
        self.retry(&"nodes", || {
            let listing = self.read_listing(key::node_prefix(), Node::from_json)?;
            let names = listing.entries.iter().map(|node| node.name().clone());
            Ok((listing.revision >= revision).then(|| names.collect()))
        })
    }

    /// Deletes the records of handles that have had no address for the time of grace.
    fn collect_handles(
        &self,
        look: &Look,
        records: &[Record],
        (collector, now): (&mut Collector, SystemTime),
        collected: &mut Collected,
    ) -> Result<(), IpamError> {
        let mut waiting = HashMap::new();
        let unused = records.iter().zip(&look.used).filter(|(_, used)| !**used);
        for (record, _) in unused {
            let Some(handle) = key::parse_handle(&record.key) else {
                continue;
            };
            let Ok(counts) = Handle::from_json(&record.value) else {
                continue;
            };
            // A block that cannot be read may hold its addresses.
            let damaged = |block: BlockPrefix| {
                let key = key::block(block.prefix());
                collected.unreadable.contains(&key)
            };
            if counts.has_foreign() || counts.blocks().any(damaged) {
                continue;
            }
            let known = collector.handles.get(handle);
            let since = match known {
                // The same record, so that no assignment was under way all the time.
                Some((revision, since)) if *revision == record.revision => *since,
                _ => now,
            };
            if !collector.is_over(since, now) {
                waiting.insert(handle.to_owned(), (record.revision, since));
                continue;
            }
            let counted = Stored {
                value: counts,
                revision: record.revision,
            };
            if self.collect_handle(handle, counted)? {
                collected.handles.push(handle.to_owned());
            }
        }
        collector.handles = waiting;
        Ok(())
    }

    /// Deletes the record of `handle`, and says whether it did. What it counts is written too: an
    /// assignment of Calico's may be under way, which counts first, or done since the survey.
    fn collect_handle(&self, handle: &str, counted: Stored<Handle>) -> Result<bool, IpamError> {
        let Ok(id) = HandleId::try_new(handle) else {
            return Ok(false);
        };
        let (commit, _, held) = self.handle_released(&id, counted)?;
        if !held.is_empty() {
            return Ok(false);
        }
        Ok(match self.commit(commit)? {
            Written::Yes(_) => true,
            Written::No => false,
            Written::Perhaps => self.read_handle(&id)?.is_none(),
        })
    }

    /// Releases the addresses of handles that have been dead for long enough.
    fn collect_addresses(&self, look: &Look, collected: &mut Collected) -> Result<(), IpamError> {
        let dead = look
            .dead
            .iter()
            .filter(|(handle, _)| !look.young.contains(*handle));
        let releases: Vec<_> = dead.flat_map(|(_, releases)| releases).cloned().collect();
        for batch in releases.chunks(BATCH) {
            let many = self.release_many(batch)?;
            collected.released.extend(many.released);
            collected.refused.extend(many.refused);
        }
        Ok(())
    }

    /// Frees addresses that have cooled down.
    fn collect_cooled(&self, look: &Look, collected: &mut Collected) -> Result<(), IpamError> {
        let cooldown = self.config()?.cooldown;
        let now = self.ambient.now();
        for prefix in &look.cooled {
            let mut unsure = 0;
            let cooled = self.retry(&format_args!("block {prefix}"), || {
                let Some(stored) = self.read_block(*prefix)? else {
                    return Ok(Some(unsure));
                };
                let mut block = self.to_change(stored.value);
                let cooled = block.collect(now, cooldown);
                if cooled == 0 {
                    return Ok(Some(unsure));
                }
                let written = self.put_cooled(block, stored.revision)?;
                if written == Written::Perhaps {
                    unsure = cooled;
                }
                Ok(written.revision().map(|_| cooled))
            })?;
            collected.cooled += u64::try_from(cooled).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    /// Stores a block, read at `revision`, of which addresses have cooled down; one that nobody owns ends
    /// with the last of them.
    fn put_cooled(&self, mut block: Block, revision: Revision) -> Result<Written, IpamError> {
        block.touch();
        let mut commit = Commit::new();
        put_released(&mut commit, &block, revision);
        self.commit(commit)
    }

    /// Gives up blocks that have been empty for long enough.
    fn collect_blocks(
        &self,
        look: &Look,
        judge: &Judge<'_>,
        collector: &mut Collector,
        collected: &mut Collected,
    ) -> Result<(), IpamError> {
        let mut waiting = HashMap::new();
        for (node, owned) in &look.owned {
            // The last block of a node that may be alive stays.
            let kept = usize::from(!judge.is_gone(node));
            let mut left = owned.blocks;
            for (prefix, sequence) in &owned.empty {
                let since = match collector.blocks.get(prefix) {
                    Some((known, since)) if known == sequence => *since,
                    _ => judge.now,
                };
                let is_over =
                    judge.has_vanished(node, collector) || collector.is_over(since, judge.now);
                if left > kept && is_over {
                    // As empty as it was, and not used meanwhile.
                    let is_unused = |block: &Block| {
                        let own = decide::is_owned_by(block, node);
                        block.sequence() == *sequence && block.is_empty() && own
                    };
                    if self.give_up(*prefix, is_unused)?.is_some() {
                        collected.blocks.push((*prefix).into());
                        left -= 1;
                    }
                } else {
                    waiting.insert(*prefix, (*sequence, since));
                }
            }
        }
        collector.blocks = waiting;
        for prefix in &look.orphans {
            let is_orphan = |block: &Block| block.is_empty() && block.affinity().is_none();
            if self.give_up(*prefix, is_orphan)?.is_some() {
                collected.blocks.push((*prefix).into());
            }
        }
        Ok(())
    }
}
