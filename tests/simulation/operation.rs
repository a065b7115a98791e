//! What nodes do: one call of the allocator, and what it answered.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipip_core::ipam::{Collector, Given, Ipam, IpamError, Report, Request};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{
    AllocatorConfig, Attribute, IpipMode, Node, Pool as Made, Release, Reservation, Selector,
    Sequence, Use,
};
use ipnetwork::Ipv4Network;

use crate::calico::Calico;
use crate::record::{Attribute as Who, Block, Pool, Range};

/// One call of the allocator, or what Calico does in its place.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    AssignAny {
        handle: HandleId,
    },
    AssignMany {
        handle: HandleId,
        count: u32,
        /// The pools that are named; none: any.
        pools: Vec<Ipv4Network>,
        max_blocks: Option<u32>,
    },
    Assign {
        handle: HandleId,
        addr: Ipv4Addr,
    },
    Release(Release),
    ReleaseMany(Vec<Release>),
    ReleaseHandle(HandleId),
    /// One address for each.
    AssignEach(Vec<HandleId>),
    Claim(Ipv4Network),
    ClaimAny,
    ReleaseBlock(Ipv4Network),
    CreatePool(PoolPlan),
    /// Whether it is for all nodes, or for those of zone a, and for what.
    UpdatePool(PoolPlan, bool, &'static [Use]),
    DisablePool(&'static str),
    EnablePool(&'static str),
    DeletePool(&'static str),
    SetConfig(AllocatorConfig),
    /// One field, of what is read first.
    ChangeConfig(Setting),
    Reserve(&'static str, Ipv4Network),
    Unreserve(&'static str),
    /// This one, into this zone.
    PutNode(NodeName, &'static str),
    RemoveNode(NodeName),
    EnsureTunnel,
    ReleaseTunnel,
    /// Keeps what it finds.
    Check(Shelf),
    /// What a check found, if one did; else what it finds now.
    Repair(Shelf),
    Collect(Collection),
    Calico(Calico),
}

/// One field of the configuration, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setting {
    Strict(bool),
    Auto(bool),
    Limit(u32),
    /// In seconds.
    Cooldown(u64),
}

/// The report of a check, for who repairs later.
pub(crate) type Shelf = Arc<Mutex<Option<Report>>>;

/// What collects, and the handles that are alive.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) collector: Arc<Mutex<Collector>>,
    pub(crate) live: HashSet<HandleId>,
    /// The time of grace, in seconds.
    pub(crate) grace: u64,
}

/// A pool as it is created.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolPlan {
    pub(crate) name: &'static str,
    pub(crate) cidr: Ipv4Network,
    pub(crate) block_len: u8,
}

/// What an operation answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) assigned: Vec<(Ipv4Addr, Sequence)>,
    /// What was assigned before, where an owner asks again.
    pub(crate) held: Vec<(Ipv4Addr, Sequence)>,
    pub(crate) released: Vec<Ipv4Addr>,
    pub(crate) error: Option<IpamError>,
    /// Whether it says itself that it did less than was asked.
    pub(crate) short: bool,
}

impl PoolPlan {
    pub(crate) fn pool(self) -> Made {
        let pool = Made::try_new(self.name, self.cidr, self.block_len).expect("a pool");
        pool.with_ipip_mode(IpipMode::Always)
    }
}

/// The handle of the tunnel address of `node`.
pub(crate) fn tunnel_handle(node: &str) -> HandleId {
    HandleId::try_new(&format!("ipip-tunnel-addr-{node}")).expect("a handle")
}

impl Operation {
    /// Calls the allocator.
    pub(crate) fn run(&self, ipam: &Ipam, node: &NodeName) -> Answer {
        match self {
            Self::AssignAny { handle } => {
                let assigned = ipam.assign_any(node, &owner(handle));
                Answer::of(assigned, |answer, a| {
                    answer.assigned.push((a.addr, a.sequence))
                })
            }
            Self::AssignMany {
                handle,
                count,
                pools,
                max_blocks,
            } => {
                let request = Request {
                    pools: pools.clone(),
                    max_blocks: *max_blocks,
                    ..Request::new(node.clone(), *count, owner(handle))
                };
                Answer::of(ipam.assign_many(&request), |answer, many| {
                    let each = many.assigned.iter().map(|a| (a.addr, a.sequence));
                    answer.assigned.extend(each);
                    answer.short = many.shortfall.is_some();
                })
            }
            Self::Assign { handle, addr } => {
                let assigned = ipam.assign(node, *addr, &owner(handle));
                Answer::of(assigned, |answer, a| {
                    answer.assigned.push((a.addr, a.sequence))
                })
            }
            Self::AssignEach(handles) => {
                let owners: Vec<_> = handles.iter().map(owner).collect();
                Answer::of_each(ipam.assign_each(node, &owners))
            }
            Self::Release(_) | Self::ReleaseMany(_) | Self::ReleaseHandle(_) => self.release(ipam),
            Self::Claim(block) => Answer::of(ipam.claim(node, *block), |_, _| ()),
            Self::ClaimAny => Answer::of(ipam.claim_any(node), |_, _| ()),
            Self::ReleaseBlock(block) => Answer::of(ipam.release_block(node, *block), |_, _| ()),
            _ => self.administer(ipam, node),
        }
    }

    fn release(&self, ipam: &Ipam) -> Answer {
        match self {
            Self::Release(release) => Answer::of(ipam.release(release), |answer, released| {
                answer.released.push(released.addr);
            }),
            Self::ReleaseMany(releases) => {
                Answer::of(ipam.release_many(releases), |answer, many| {
                    answer
                        .released
                        .extend(many.released.iter().map(|one| one.addr));
                    answer.short = !many.refused.is_empty();
                })
            }
            Self::ReleaseHandle(handle) => {
                Answer::of(ipam.release_handle(handle), |answer, all| {
                    answer.released.extend(all.iter().map(|one| one.addr));
                })
            }
            _ => unreachable!("no release"),
        }
    }

    fn administer(&self, ipam: &Ipam, node: &NodeName) -> Answer {
        match self {
            Self::CreatePool(plan) => Answer::of(ipam.create_pool(&plan.pool()), |_, ()| ()),
            Self::UpdatePool(plan, for_all, uses) => {
                let selector = if *for_all { "all()" } else { "zone == 'a'" };
                let selector = Selector::parse(selector).expect("a selector");
                let pool = plan.pool().with_node_selector(selector);
                let pool = pool.with_allowed_uses(uses);
                Answer::of(ipam.update_pool(&pool), |_, _| ())
            }
            Self::DisablePool(name) => Answer::of(ipam.disable_pool(name), |_, ()| ()),
            Self::EnablePool(name) => Answer::of(ipam.enable_pool(name), |_, ()| ()),
            Self::DeletePool(name) => Answer::of(ipam.delete_pool(name), |_, _| ()),
            Self::SetConfig(config) => Answer::of(ipam.set_config(config), |_, ()| ()),
            Self::ChangeConfig(setting) => {
                let changed = ipam.config().and_then(|before| {
                    let after = setting.set(before.clone());
                    ipam.change_config(&before, &after)
                });
                Answer::of(changed, |_, _| ())
            }
            Self::Reserve(name, cidr) => {
                let reservation = Reservation::try_new(name, &[*cidr]).expect("a reservation");
                Answer::of(ipam.create_reservation(&reservation), |_, ()| ())
            }
            Self::Unreserve(name) => Answer::of(ipam.delete_reservation(name), |_, ()| ()),
            Self::PutNode(name, zone) => {
                let record = Node::new(name.clone()).with_label("zone", zone);
                Answer::of(ipam.put_node(&record), |_, ()| ())
            }
            Self::RemoveNode(node) => Answer::of(ipam.remove_node(node), |answer, removal| {
                let released = removal.released.iter().map(|one| one.addr);
                answer.released.extend(released);
                answer.short = !removal.refused.is_empty();
            }),
            Self::EnsureTunnel => Answer::of(ipam.ensure_tunnel_address(node), |_, _| ()),
            Self::ReleaseTunnel => Answer::of(ipam.release_tunnel_address(node), |answer, all| {
                answer.released.extend(all);
            }),
            Self::Check(shelf) => Answer::of(ipam.check(), |_, report| {
                *shelf.lock().expect("no panic") = Some(report);
            }),
            Self::Repair(shelf) => {
                let known = shelf.lock().expect("no panic").take();
                let report = known.map_or_else(|| ipam.check(), Ok);
                let repaired = report.and_then(|report| ipam.repair(&report));
                Answer::of(repaired, |_, _| ())
            }
            Self::Collect(collection) => collection.run(ipam),
            _ => unreachable!("not the administrator's"),
        }
    }

    /// To which handles it assigns addresses on `node`.
    pub(crate) fn owners(&self, node: &str) -> Vec<HandleId> {
        match self {
            Self::AssignAny { handle }
            | Self::Assign { handle, .. }
            | Self::AssignMany { handle, .. } => vec![handle.clone()],
            Self::AssignEach(handles) => handles.clone(),
            Self::EnsureTunnel => vec![tunnel_handle(node)],
            _ => Vec::new(),
        }
    }

    /// How many addresses it assigns at most.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::AssignAny { .. } | Self::Assign { .. } | Self::EnsureTunnel => 1,
            Self::AssignMany { count, .. } => *count as usize,
            Self::AssignEach(handles) => handles.len(),
            _ => 0,
        }
    }

    /// Whether it asks for any address, so that limits, reservations and the queue count.
    pub(crate) fn wants_any(&self) -> bool {
        matches!(
            self,
            Self::AssignAny { .. }
                | Self::AssignMany { .. }
                | Self::AssignEach(_)
                | Self::EnsureTunnel
        )
    }

    /// The pools that it names; none: it takes those that select the node.
    pub(crate) fn named(&self) -> &[Ipv4Network] {
        match self {
            Self::AssignMany { pools, .. } => pools,
            _ => &[],
        }
    }

    /// How many blocks it lets its node have, if it says so.
    pub(crate) fn max_blocks(&self) -> Option<usize> {
        match self {
            Self::AssignMany { max_blocks, .. } => max_blocks.map(|most| most as usize),
            _ => None,
        }
    }

    /// What its addresses are for, as Calico writes it.
    pub(crate) fn purpose(&self) -> &'static str {
        match self {
            Self::EnsureTunnel => "Tunnel",
            _ => "Workload",
        }
    }

    /// Whether it may claim a block for its node.
    pub(crate) fn claims(&self) -> bool {
        let named = matches!(self, Self::Assign { .. } | Self::Claim(_) | Self::ClaimAny);
        named || self.wants_any()
    }

    /// Whether it may take `block` of `pool` away from `owner`, called by `node`.
    pub(crate) fn gives_up(
        &self,
        node: &str,
        owner: &str,
        block: &Block,
        pool: Option<&Pool>,
    ) -> bool {
        let range = block.range();
        match self {
            Self::Collect(_) => !block.is_held(),
            Self::ReleaseBlock(block) => owner == node && Range::of(&block.to_string()) == range,
            Self::RemoveNode(removed) => owner == removed.as_str(),
            Self::DeletePool(name) => {
                pool.is_some_and(|pool| pool.metadata.name == *name && pool.spec.disabled)
            }
            // Of a pool that does not select the node any more.
            _ => self.wants_any() && owner == node,
        }
    }

    /// Whether it may release `addr`, which `who` has since `sequence`, called by `node`.
    pub(crate) fn releases(&self, node: &str, addr: Ipv4Addr, who: &Who, sequence: u64) -> bool {
        let has = |handle: &str| who.handle_id.as_deref() == Some(handle);
        let matches = |release: &Release| {
            release.addr == addr
                && release.handle.as_ref().is_none_or(|h| has(h.as_str()))
                && release.sequence.is_none_or(|s| s.0 == sequence)
        };
        match self {
            Self::Release(release) => matches(release),
            Self::ReleaseMany(releases) => releases.iter().any(matches),
            Self::ReleaseHandle(of) => has(of.as_str()),
            // What it got while another one did.
            Self::AssignEach(handles) => handles.iter().any(|of| has(of.as_str())),
            Self::RemoveNode(removed) => {
                let of = who.secondary.as_ref().and_then(|all| all.get("node"));
                has(tunnel_handle(removed.as_str()).as_str())
                    || of.map(String::as_str) == Some(removed.as_str())
            }
            Self::EnsureTunnel | Self::ReleaseTunnel => has(tunnel_handle(node).as_str()),
            Self::Collect(Collection { live, .. }) => {
                let is_live = |handle: &HandleId| has(handle.as_str());
                who.handle_id.is_some() && !live.iter().any(is_live)
            }
            _ => false,
        }
    }
}

impl Setting {
    fn set(self, mut config: AllocatorConfig) -> AllocatorConfig {
        match self {
            Self::Strict(strict) => config.strict_affinity = strict,
            Self::Auto(auto) => config.auto_allocate_blocks = auto,
            Self::Limit(limit) => config.max_blocks_per_node = limit,
            Self::Cooldown(seconds) => config.cooldown = Duration::from_secs(seconds),
        }
        config
    }
}

impl Collection {
    fn run(&self, ipam: &Ipam) -> Answer {
        // Not locked meanwhile: it stops at store calls, and may end there.
        let known = || self.collector.lock().expect("no panic");
        let mut collector = known().clone();
        let collected = ipam.collect(&mut collector, &self.live);
        *known() = collector;
        Answer::of(collected, |answer, collected| {
            answer
                .released
                .extend(collected.released.iter().map(|one| one.addr));
            answer.short = !collected.refused.is_empty();
        })
    }
}

impl Answer {
    /// Whether others were faster until it gave up, or the store failed.
    pub(crate) fn gave_up(&self) -> bool {
        matches!(
            self.error,
            Some(IpamError::Busy { .. } | IpamError::Store(_))
        )
    }

    fn of_each(each: Vec<Result<Given, IpamError>>) -> Self {
        let mut answer = Self::default();
        for given in each {
            let given = match given {
                Ok(given) => given,
                Err(error) => {
                    if !answer.gave_up() {
                        answer.error = Some(error);
                    }
                    continue;
                }
            };
            let stamp = (given.assigned.addr, given.assigned.sequence);
            match given.newly {
                true => answer.assigned.push(stamp),
                false => answer.held.push(stamp),
            }
        }
        answer
    }

    fn of<T>(result: Result<T, IpamError>, take: impl FnOnce(&mut Self, T)) -> Self {
        let mut answer = Self::default();
        match result {
            Ok(value) => take(&mut answer, value),
            Err(error) => answer.error = Some(error),
        }
        answer
    }
}

fn owner(handle: &HandleId) -> Attribute {
    Attribute::new(Some(handle.clone()))
}
