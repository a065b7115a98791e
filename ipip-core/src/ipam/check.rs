//! Checking a store: every invariant of its blocks, claims and handles.
//!
//! Blocks, claims and handles are listed at one instant, so that what other allocators are doing does
//! not look like damage. A damaged value is a problem in the report, and ends nothing.

mod handles;
mod problem;
mod report;
mod survey;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

pub use problem::Problem;
pub use report::{Checked, Found, Report, Seen};

use super::tunnel_address::is_tunnel_of;
use super::{Ipam, IpamError};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Record, Revision, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{
    AffinityState, Attribute, Block, BlockAffinity, BlockPrefix, Pool, ResourceError,
};
use handles::Handles;
use survey::Around;
pub(super) use survey::Survey;

/// A check under way.
#[derive(Debug)]
struct Check<'a> {
    around: Around,
    live: Option<&'a HashSet<HandleId>>,
    problems: Vec<Found>,
    checked: Checked,
    /// The blocks that there are, damaged ones too.
    blocks: BTreeMap<Ipv4Prefix, BlockSeen>,
    /// Those that share addresses with another one, as far as they can be read.
    overlapping: HashMap<Ipv4Prefix, Block>,
    /// The tunnel addresses that the records of nodes name and no block gave to them yet.
    tunnels: HashMap<Ipv4Addr, Vec<NodeName>>,
}

/// What must be remembered of a block.
#[derive(Debug)]
struct BlockSeen {
    revision: Revision,
    /// `None`: it is damaged.
    owner: Option<Owner>,
}

#[derive(Debug)]
enum Owner {
    Node(NodeName),
    Other(String),
    Nobody,
}

impl Ipam {
    /// Everything that is wrong in the store at one instant: blocks that break a rule, lie in no pool or
    /// overlap, claims that are not what their blocks say, handles that are missing, leaked or count
    /// wrong, addresses assigned twice, tunnel addresses that are nobody's, pools that overlap or cannot
    /// be used. Nothing is changed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::{Commit, Memory, Store, key};
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # let store = Arc::new(Memory::new());
    /// # let ipam = Ipam::new(Arc::clone(&store) as Arc<dyn Store>, Ambient::system());
    /// let mut damage = Commit::new();
    /// damage.put(&key::block("10.65.0.0/26".parse()?), b"{".to_vec());
    /// store.commit(damage)?;
    /// let report = ipam.check()?;
    /// assert!(!report.is_clean());
    /// assert_eq!(report.problems[0].problem.kind(), "blockFault");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read; [`IpamError::Busy`] if pools or nodes change all the
    /// time.
    pub fn check(&self) -> Result<Report, IpamError> {
        self.check_with(None)
    }

    /// The same, and every address whose handle is not in `live` is a problem too. Addresses of tunnel
    /// devices count as alive.
    ///
    /// An address that is being assigned while `live` is gathered looks leaked: look twice, as
    /// [`Ipam::collect`] does, before releasing one.
    ///
    /// # Errors
    /// As [`Ipam::check`].
    pub fn check_live(&self, live: &HashSet<HandleId>) -> Result<Report, IpamError> {
        self.check_with(Some(live))
    }

    fn check_with(&self, live: Option<&HashSet<HandleId>>) -> Result<Report, IpamError> {
        let taken = self.ambient.now();
        let (around, survey) = self.survey()?;
        let revision = survey.revision;
        let mut check = Check::new(around, live);
        check.checked.handles = u64::try_from(survey.handles.len()).unwrap_or(u64::MAX);
        check.all(survey);
        Ok(Report {
            problems: check.problems,
            checked: check.checked,
            revision,
            taken,
        })
    }
}

impl<'a> Check<'a> {
    fn new(around: Around, live: Option<&'a HashSet<HandleId>>) -> Self {
        let mut tunnels: HashMap<_, Vec<_>> = HashMap::new();
        for (node, _) in &around.nodes {
            if let Some(addr) = node.tunnel_addr() {
                tunnels.entry(addr.0).or_default().push(node.name().clone());
            }
        }
        Self {
            around,
            live,
            problems: Vec::new(),
            checked: Checked::default(),
            blocks: BTreeMap::new(),
            overlapping: HashMap::new(),
            tunnels,
        }
    }

    fn all(&mut self, survey: Survey) {
        self.of_around();
        let Survey {
            blocks,
            handles,
            claims,
            ..
        } = survey;
        let mut handles = Handles::new(&handles);
        self.name_overlapping(&blocks);
        for record in blocks {
            self.of_block(record, &mut handles);
        }
        self.of_overlaps();
        let claimed = self.of_claims(claims);
        self.of_owners(&claimed);
        handles.judge(self);
        self.of_tunnels();
    }

    fn note(&mut self, problem: Problem, records: Vec<Seen>) {
        self.problems.push(Found { problem, records });
    }

    /// The record of the block `prefix` as it was seen, or that there is none.
    fn seen_block(&self, prefix: Ipv4Prefix) -> Seen {
        Seen {
            key: key::block(prefix),
            revision: self.blocks.get(&prefix).map(|seen| seen.revision),
        }
    }

    /// Pools, reservations and nodes.
    fn of_around(&mut self) {
        let problems = std::mem::take(&mut self.around.problems);
        self.problems.extend(problems);
        let pools = std::mem::take(&mut self.around.pools);
        self.checked.pools = u64::try_from(pools.len()).unwrap_or(u64::MAX);
        for (number, (pool, revision)) in pools.iter().enumerate() {
            let seen = |pool: &Pool, revision| Seen {
                key: key::pool(pool.name()),
                revision: Some(revision),
            };
            let name = || pool.name().to_owned();
            let selectors = [pool.node_selector(), pool.namespace_selector()];
            for fault in selectors.into_iter().filter_map(Result::err) {
                let (pool_name, fault) = (name(), fault.to_string());
                let problem = Problem::PoolSelector {
                    pool: pool_name,
                    fault,
                };
                self.note(problem, vec![seen(pool, *revision)]);
            }
            let before = pools.iter().take(number);
            for (other, other_revision) in before.filter(|(o, _)| o.cidr().overlaps(pool.cidr())) {
                let problem = Problem::PoolsOverlap {
                    pool: name(),
                    other: other.name().to_owned(),
                };
                let records = vec![seen(pool, *revision), seen(other, *other_revision)];
                self.note(problem, records);
            }
        }
        self.around.pools = pools;
    }

    /// Remembers which blocks share addresses, before they are read.
    fn name_overlapping(&mut self, records: &[Record]) {
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

    fn of_block(&mut self, record: Record, handles: &mut Handles<'_>) {
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

    fn misplaced(&mut self, record: Record, found: String) {
        let (key, revision) = (record.key.clone(), Some(record.revision));
        let problem = Problem::Misplaced {
            key: record.key,
            found,
        };
        self.note(problem, vec![Seen { key, revision }]);
    }

    fn shares_addresses(&self, prefix: Ipv4Prefix) -> bool {
        let last = Ipv4Prefix::host(prefix.last());
        let inside = self
            .blocks
            .range(prefix..=last)
            .any(|(other, _)| *other != prefix && prefix.covers(*other));
        let around = (crate::resource::MIN_BLOCK_LEN..prefix.len())
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
        let is_tunnel = who
            .secondary()
            .get("type")
            .is_some_and(|kind| kind.ends_with("TunnelAddress"));
        !is_tunnel && !id.is_ok_and(|id| live.contains(&id))
    }

    /// Blocks that share addresses, and the addresses that are assigned in two.
    fn of_overlaps(&mut self) {
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

    /// The claims of nodes; those that were found come back.
    fn of_claims(&mut self, records: Vec<Record>) -> HashSet<(NodeName, Ipv4Prefix)> {
        let mut claimed = HashSet::new();
        for record in records {
            self.checked.claims += 1;
            let Some((node, prefix)) = key::parse_affinity(&record.key) else {
                self.misplaced(record, "this names no node or no block".to_owned());
                continue;
            };
            let Ok(block) = BlockPrefix::try_from(prefix) else {
                self.misplaced(record, "this names no block".to_owned());
                continue;
            };
            claimed.insert((node.clone(), prefix));
            let seen = Seen {
                key: record.key.clone(),
                revision: Some(record.revision),
            };
            let records = vec![seen, self.seen_block(prefix)];
            match BlockAffinity::from_json(&record.value) {
                Ok(claim) => self.of_claim(node, block, claim.state, records),
                Err(fault) => {
                    let key = record.key;
                    self.note(Problem::Unreadable { key, fault }, records);
                }
            }
        }
        claimed
    }

    fn of_claim(
        &mut self,
        node: NodeName,
        block: BlockPrefix,
        state: AffinityState,
        records: Vec<Seen>,
    ) {
        let owner = match self.blocks.get(&block.prefix()) {
            None => return self.note(Problem::ClaimWithoutBlock { node, block }, records),
            Some(seen) => &seen.owner,
        };
        let owner = match owner {
            // Damaged, which is told: whose it is nobody knows.
            None => return,
            Some(Owner::Node(owner)) if *owner == node => {
                if state != AffinityState::Confirmed {
                    self.note(Problem::ClaimUnconfirmed { node, block, state }, records);
                }
                return;
            }
            Some(Owner::Node(owner)) => Some(format!("host:{owner}")),
            Some(Owner::Other(owner)) => Some(owner.clone()),
            Some(Owner::Nobody) => None,
        };
        self.note(Problem::ClaimOfOther { node, block, owner }, records);
    }

    /// Blocks whose node does not claim them.
    fn of_owners(&mut self, claimed: &HashSet<(NodeName, Ipv4Prefix)>) {
        let mut unclaimed = Vec::new();
        for (prefix, seen) in &self.blocks {
            let Some(Owner::Node(node)) = &seen.owner else {
                continue;
            };
            if !claimed.contains(&(node.clone(), *prefix)) {
                unclaimed.push((*prefix, node.clone()));
            }
        }
        for (prefix, node) in unclaimed {
            let claim = Seen {
                key: key::affinity(&node, prefix),
                revision: None,
            };
            let records = vec![self.seen_block(prefix), claim];
            if let Ok(block) = BlockPrefix::try_from(prefix) {
                self.note(Problem::BlockUnclaimed { block, node }, records);
            }
        }
    }

    /// Tunnel addresses that no block gave to their node.
    fn of_tunnels(&mut self) {
        let mut wrong: Vec<_> = std::mem::take(&mut self.tunnels).into_iter().collect();
        wrong.sort_unstable();
        for (addr, nodes) in wrong {
            for node in nodes {
                let revisions = self.around.nodes.iter();
                let found = revisions.filter(|(one, _)| *one.name() == node);
                let revision = found.map(|(_, revision)| *revision).next();
                let key = key::node(&node);
                let problem = Problem::TunnelAddress { node, addr };
                self.note(problem, vec![Seen { key, revision }]);
            }
        }
    }
}

fn block_of_key(key: &str) -> Option<BlockPrefix> {
    let prefix = key::parse_block(key)?;
    BlockPrefix::try_from(prefix).ok()
}

/// A value that cannot be read, as a problem.
fn unreadable(record: &Record, fault: ResourceError) -> Found {
    let seen = Seen {
        key: record.key.clone(),
        revision: Some(record.revision),
    };
    let key = record.key.clone();
    Found {
        problem: Problem::Unreadable { key, fault },
        records: vec![seen],
    }
}
