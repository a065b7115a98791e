//! Checking a store: every invariant of its blocks, claims and handles.
//!
//! Blocks, claims and handles are listed at one instant, so that what other allocators are doing does
//! not look like damage. A damaged value is a problem in the report, and ends nothing.

mod blocks;
mod claims;
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
use crate::resource::{Attribute, Block, Pool, ResourceError};
use handles::Handles;
pub(super) use handles::Numbers;
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
    /// One pass over one listing of blocks, claims and handles: about three seconds for a million
    /// addresses with a handle each. It holds the listing and an index of the handles, 600 octets for each
    /// address, and 250 where the store shares its values ([`Memory`](crate::datastore::Memory)).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ipip_core::datastore::{Commit, Memory, Store, key};
    /// # use ipip_core::ipam::{Ambient, Ipam};
    /// # let store = Arc::new(Memory::new());
    /// # let ipam = Ipam::new(Arc::clone(&store) as Arc<dyn Store>, Ambient::system());
    /// # use ipip_core::resource::Pool;
    /// ipam.create_pool(&Pool::try_new("pods", "10.65.0.0/16".parse()?, 26)?)?;
    /// assert!(ipam.check()?.is_clean());
    /// let mut damage = Commit::new();
    /// damage.put(&key::block("10.65.0.0/26".parse()?), b"{".to_vec());
    /// store.commit(damage)?;
    /// assert_eq!(ipam.check()?.problems[0].problem.kind(), "blockFault");
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
        let (around, survey) = self.survey()?;
        // After reading: what was seen is at least as old as that.
        let taken = self.ambient.now();
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

    fn misplaced(&mut self, record: Record, found: String) {
        let (key, revision) = (record.key.clone(), Some(record.revision));
        let problem = Problem::Misplaced {
            key: record.key,
            found,
        };
        self.note(problem, vec![Seen { key, revision }]);
    }

    /// Pools, reservations and nodes.
    fn of_around(&mut self) {
        self.problems.extend(self.around.problems.iter().cloned());
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

/// Whether `who` is a tunnel device of a node, of whatever kind.
pub(super) fn is_tunnel(who: &Attribute) -> bool {
    let kind = who.known("type");
    kind.is_some_and(|kind| kind.ends_with("TunnelAddress"))
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
