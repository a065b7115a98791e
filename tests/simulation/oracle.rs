//! The judge: what a commit may do, by who made it and what is stored.
//!
//! It shares nothing with the allocator but the keys: the rules are those of Calico's data model,
//! and what the operations promise, said once more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::addresses::{check_queue, judge_addresses};
use crate::operation::{Collection, Operation, tunnel_handle};
use crate::record::{Block, Handle, Verdict, check, kept};
use crate::state::{Key, Old, State};
use crate::truth::Committed;

/// What the operation that made a commit may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit<'a> {
    pub(crate) node: &'a str,
    pub(crate) operation: &'a Operation,
    /// The oldest revision that it may have seen.
    pub(crate) since: u64,
    /// When it began, and the present time, in seconds.
    pub(crate) began: u64,
    pub(crate) now: u64,
}

/// What a commit did.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) gained: Vec<(Ipv4Addr, u64)>,
    pub(crate) lost: Vec<(Ipv4Addr, u64)>,
    /// Pools and reservations that it deleted.
    pub(crate) deleted: usize,
}

/// The state after all commits that were judged.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) state: State,
    /// When Calico last counted less for a handle.
    taken_back: BTreeMap<String, u64>,
    /// Handles whose records were lost.
    lost: BTreeMap<String, Loss>,
    /// All assignments that ever were.
    stamps: BTreeMap<(Ipv4Addr, u64), Given>,
    /// Whether Calico's commits, of single keys, are among them.
    pub(crate) with_calico: bool,
    /// Whether nobody reads what is older than what it read before.
    pub(crate) ordered: bool,
}

/// What became of a handle whose record was lost.
#[derive(Debug, Default)]
struct Loss {
    /// By the commit of this revision.
    at: u64,
    is_repaired: bool,
}

/// An assignment as it was made.
#[derive(Debug)]
struct Given {
    handle: String,
    node: String,
    revision: u64,
    /// In seconds.
    at: u64,
}

/// An empty block is taken from its node at this age, in seconds.
const RECLAIM_AGE: u64 = 60;

impl Oracle {
    pub(crate) fn new(with_calico: bool, ordered: bool) -> Self {
        Self {
            with_calico,
            ordered,
            ..Self::default()
        }
    }

    /// Judges one commit by what its maker may do.
    pub(crate) fn judge(&mut self, committed: &Committed, permit: &Permit<'_>) -> Verdict<Effect> {
        let mut effect = Effect::default();
        let mut handles = BTreeSet::new();
        let is_ours = !matches!(permit.operation, Operation::Calico(_));
        for (key, _, after) in &committed.changes {
            let old = self
                .state
                .apply(committed.revision, key, after.as_deref())?;
            if let Old::Block(old) = &old {
                let name = key.rsplit('/').next().unwrap_or_default();
                let new = self.state.blocks.get(name);
                let of = |block: &Block| block.handles().map(str::to_owned).collect::<Vec<_>>();
                handles.extend(old.iter().chain(new).flat_map(of));
                if let Some(new) = new {
                    new.check(name)?;
                }
            } else if let Key::Handle(id) = Key::of(key)? {
                handles.insert(id.to_owned());
            }
            if is_ours {
                self.judge_change(key, &old, permit, &mut effect)?;
            }
        }
        self.check_claims(committed, is_ours, permit, &effect)?;
        self.lose(committed, permit);
        for handle in handles {
            self.check_handle(&handle)?;
        }
        self.check_tunnel(permit)?;
        self.check_grace(&effect.lost, permit)?;
        for stamp in &effect.gained {
            let given = Given {
                handle: self.state.handle_of(stamp.0).unwrap_or_default(),
                node: permit.node.to_owned(),
                revision: committed.revision,
                at: permit.now,
            };
            let before = self.stamps.insert(*stamp, given);
            check(before.is_none(), || {
                format!("{stamp:?} was given before, to {before:?}")
            })?;
        }
        Ok(effect)
    }

    /// Whether the record of `handle` was lost once.
    pub(crate) fn was_lost(&self, handle: &str) -> bool {
        self.lost.contains_key(handle)
    }

    /// Whether this assignment was made for `handle` once, on `node` if one is said, or by Calico.
    pub(crate) fn was_given(
        &self,
        stamp: (Ipv4Addr, u64),
        handle: &str,
        node: Option<&str>,
    ) -> bool {
        let given = self.stamps.get(&stamp);
        let by_calico = self.with_calico && self.state.holds(stamp.0, handle);
        let on = |given: &Given| node.is_none_or(|node| given.node == node);
        by_calico || given.is_some_and(|given| given.handle == handle && on(given))
    }

    /// What is collected was assigned for longer than the time of grace, or on a node that had no record
    /// since.
    fn check_grace(&self, lost: &[(Ipv4Addr, u64)], permit: &Permit<'_>) -> Verdict<()> {
        let Operation::Collect(Collection { grace, .. }) = permit.operation else {
            return Ok(());
        };
        for stamp in lost {
            let given = self.stamps.get(stamp);
            let is_over = given.is_none_or(|given| {
                let mut nodes = self.state.zones.since(given.revision.max(permit.since));
                let had_none = nodes.any(|nodes| !nodes.contains_key(&given.node));
                had_none || given.at + grace <= permit.now
            });
            check(is_over, || format!("{stamp:?} of {given:?} was collected"))?;
        }
        Ok(())
    }

    fn judge_change(
        &self,
        key: &str,
        old: &Old,
        permit: &Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        match (old, Key::of(key)?) {
            (Old::Block(old), Key::Block(name)) => {
                let new = self.state.blocks.get(name);
                match (old, new) {
                    (_, None) => self.judge_deletion(name, old.as_ref(), permit, effect),
                    (None, Some(new)) => self.judge_new(name, new, permit, effect),
                    (Some(old), Some(new)) => self.judge_block(name, old, new, permit, effect),
                }
            }
            (Old::Claim(Some(old)), Key::Claim(node, block)) => {
                let new = self.state.claims.get(&(node.to_owned(), block.to_owned()));
                kept(key, old.x, new.map(|new| new.x))
            }
            (Old::Handle(old), Key::Handle(id)) => {
                self.check_repaired(id, old.as_ref(), permit)?;
                let new = self.state.handles.get(id).map(|new| new.x);
                old.as_ref().map_or(Ok(()), |old| kept(key, old.x, new))
            }
            (Old::Pool(old), Key::Pool(name)) => {
                let new = self.state.pools.get(name);
                effect.deleted += usize::from(new.is_none());
                self.judge_pool(name, old.as_ref(), new, permit)
            }
            (Old::Config(old), Key::Config) => self.judge_config(old, permit),
            (Old::Node(old), Key::Node(name)) => {
                let new = self.state.nodes.get(name);
                self.judge_node(name, old.as_ref(), new, permit)
            }
            (Old::Reservation(was), Key::Reservation(name)) => {
                let may = match permit.operation {
                    Operation::Reserve(made, _) => !was && *made == name,
                    Operation::Unreserve(deleted) => *was && *deleted == name,
                    _ => false,
                };
                effect.deleted += usize::from(*was);
                check(may, || format!("reservation {name} was {was}"))
            }
            _ => Ok(()),
        }
    }

    /// A block that is gone had nobody's address, or lost its last one, having no owner.
    fn judge_deletion(
        &self,
        name: &str,
        old: Option<&Block>,
        permit: &Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        let Some(old) = old else { return Ok(()) };
        if old.affinity.is_some() {
            check(!old.is_held(), || {
                format!("{name} was deleted with addresses in it")
            })?;
            self.check_given_up(name, old, permit)?;
        }
        judge_addresses(&self.state, old, &old.empty_twin(), permit, effect).map(drop)
    }

    fn check_given_up(&self, name: &str, block: &Block, permit: &Permit<'_>) -> Verdict<()> {
        let pool = self.state.pool_of(block.range());
        let owner = block.node().unwrap_or_default();
        let may = permit.operation.gives_up(permit.node, owner, block, pool);
        check(may, || format!("{name} was taken from {owner}"))?;
        self.check_deselected(block, permit)
    }

    /// A block that was made, or taken over: of the node, of its pool, within limits.
    fn judge_new(
        &self,
        name: &str,
        new: &Block,
        permit: &Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        let may = new.node() == Some(permit.node) && permit.operation.claims();
        check(may, || format!("{name} made for {:?}", new.affinity))?;
        let range = new.range();
        let pool = self.state.pool_of(range);
        let fits = pool.is_some_and(|pool| {
            !pool.spec.disabled && new.cidr.ends_with(&format!("/{}", pool.spec.block_len))
        });
        check(fits, || format!("{name} made in {pool:?}"))?;
        let mut blocks = self.state.blocks.values();
        let other = blocks.find(|other| other.cidr != new.cidr && other.range().overlaps(range));
        check(other.is_none(), || format!("{name} overlaps {other:?}"))?;
        // A claim that Calico began is completed beyond the limit, as Calico does.
        if permit.operation.wants_any() && self.ordered && !self.with_calico {
            self.check_limit(name, permit)?;
        }
        let mut empty = new.empty_twin();
        // To assign in it counts as a change.
        empty.sequence -= u64::from(new.is_held());
        let taken = judge_addresses(&self.state, &empty, new, permit, effect)?;
        self.check_pool(new, permit)?;
        check_queue(&self.state, &empty, new, &taken, permit)
    }

    fn judge_block(
        &self,
        name: &str,
        old: &Block,
        new: &Block,
        permit: &Permit<'_>,
        effect: &mut Effect,
    ) -> Verdict<()> {
        if new.affinity != old.affinity && new.affinity.is_some() {
            let is_old = old.claimed() + RECLAIM_AGE <= permit.now && old.affinity.is_some();
            let may = is_old && !old.is_held() && permit.operation.wants_any();
            check(may, || {
                format!("{name} was taken over from {:?}", old.affinity)
            })?;
            check(new.sequence > old.sequence, || {
                format!("{name} begins again")
            })?;
            // What cooled down in it did so long enough.
            let empty = old.empty_twin();
            judge_addresses(&self.state, old, &empty, permit, effect)?;
            return self.judge_new(name, new, permit, effect);
        }
        if new.affinity != old.affinity {
            self.check_given_up(name, old, permit)?;
        }
        kept(name, old.x, Some(new.x))?;
        let taken = judge_addresses(&self.state, old, new, permit, effect)?;
        let changes = match permit.operation {
            Operation::AssignEach(_) => taken.taken.len().max(1) as u64,
            _ => 1,
        };
        let counted = new.sequence == old.sequence.wrapping_add(changes) || new == old;
        check(counted, || {
            format!("{name}: {} after {}", new.sequence, old.sequence)
        })?;
        if !taken.is_empty() {
            let pool = self.state.pool_of(new.range());
            let enabled = pool.is_some_and(|pool| !pool.spec.disabled);
            check(enabled, || format!("{name} gives addresses of {pool:?}"))?;
            let strict = self.state.config.now().strict;
            let borrowed = new.node() != Some(permit.node);
            check(!borrowed || !strict, || {
                format!("{name} lends to {}", permit.node)
            })?;
            self.check_pool(new, permit)?;
            if borrowed {
                self.check_auto(name, permit)?;
            }
        }
        check_queue(&self.state, old, new, &taken, permit)
    }

    /// Our commits leave no claim without its block, and no claim on somebody else's, unless it is
    /// written again as it was, so that a commit on its way does not take effect; nobody's
    /// commit leaves a confirmed claim on what the node has not.
    fn check_claims(
        &self,
        committed: &Committed,
        is_ours: bool,
        permit: &Permit<'_>,
        effect: &Effect,
    ) -> Verdict<()> {
        for (key, before, after) in &committed.changes {
            let block = match Key::of(key)? {
                Key::Claim(node, block) => {
                    let owner = self.state.blocks.get(block).and_then(Block::node);
                    let right = after.is_none() == (owner != Some(node));
                    check(right || !is_ours || before == after, || {
                        format!("{key} is {after:?}, block of {owner:?}")
                    })?;
                    block
                }
                Key::Block(block) => block,
                _ => continue,
            };
            let owner = self.state.blocks.get(block).and_then(Block::node);
            let mut owners_claim = None;
            for ((node, _), claim) in self.state.claims.iter().filter(|((_, b), _)| b == block) {
                if owner == Some(node) {
                    owners_claim = Some(claim.state.as_str());
                }
                check(claim.state != "confirmed" || owner == Some(node), || {
                    format!("{node} has a confirmed claim on {block}, which is of {owner:?}")
                })?;
            }
            // Calico's claims may be under way, and a late read may make it delete one; nobody takes
            // addresses by one that is not there.
            let used = is_ours && !effect.gained.is_empty() && owner == Some(permit.node);
            let must = owner.is_some() && (used && self.ordered || !self.with_calico);
            // Calico may begin to give the block up meanwhile, and fails when it comes to it.
            let place = (owner.unwrap_or_default().to_owned(), block.to_owned());
            let changed = self.state.claims_changed.get(&place);
            let meanwhile = !used || changed.is_some_and(|changed| *changed > permit.since);
            let right = owners_claim == Some("confirmed") || (self.with_calico && meanwhile);
            check(!must || right, || {
                format!("{block} of {owner:?}: its claim is {owners_claim:?}")
            })?;
        }
        Ok(())
    }

    /// Takes over which records of handles are lost, and which repaired.
    fn lose(&mut self, committed: &Committed, permit: &Permit<'_>) {
        self.lose_before(committed, permit);
        for (key, before, after) in &committed.changes {
            let Ok(Key::Handle(id)) = Key::of(key) else {
                continue;
            };
            match permit.operation {
                // Written again, so that a commit on its way does not take effect.
                _ if before == after => {}
                // What it counted and takes back may have been released and counted anew meanwhile,
                // where a handle is used again.
                Operation::Calico(calico) if calico.forgets() || !self.counts_all(id) => {
                    let loss = self.lost.entry(id.to_owned()).or_default();
                    (loss.at, loss.is_repaired) = (committed.revision, false);
                }
                Operation::Repair(_) => {
                    let counts_all = self.counts_all(id);
                    if let Some(loss) = self.lost.get_mut(id) {
                        // Who repairs what he saw of a loss before this one sees no difference.
                        loss.is_repaired = loss.at <= permit.since || counts_all;
                    }
                }
                _ => {}
            }
        }
    }

    /// The same in the other order: what one of Calico's counted, another took back before the first
    /// wrote its block.
    fn lose_before(&mut self, committed: &Committed, permit: &Permit<'_>) {
        if !matches!(permit.operation, Operation::Calico(_)) {
            return;
        }
        for (key, before, after) in &committed.changes {
            match Key::of(key) {
                Ok(Key::Handle(id)) if counted(before) > counted(after) => {
                    self.taken_back.insert(id.to_owned(), committed.revision);
                }
                Ok(Key::Block(_)) => {
                    let taken = self.taken_back.iter();
                    let lost = |id: &str, at| at > permit.since && !self.counts_all(id);
                    let ids = taken.filter(|(id, at)| lost(id, **at));
                    let ids: Vec<_> = ids.map(|(id, _)| id.clone()).collect();
                    for id in ids {
                        let loss = self.lost.entry(id).or_default();
                        (loss.at, loss.is_repaired) = (committed.revision, false);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the record of a handle counts what the blocks hold, or more.
    fn counts_all(&self, handle: &str) -> bool {
        let counted = self.state.handles.get(handle).map(|handle| &handle.block);
        let count = |cidr: &str| counted.and_then(|all| all.get(cidr)).unwrap_or(&0);
        let mut held = self.state.held.get(handle).into_iter().flatten();
        held.all(|(cidr, addrs)| addrs <= count(cidr))
    }

    /// A repair keeps what a handle counts, or makes it what the handle has.
    fn check_repaired(&self, id: &str, old: Option<&Handle>, permit: &Permit<'_>) -> Verdict<()> {
        let Some(new) = self.state.handles.get(id) else {
            return Ok(());
        };
        let held = |cidr: &String| self.state.held.get(id).and_then(|held| held.get(cidr));
        let before = |cidr: &String| old.and_then(|old| old.block.get(cidr));
        let is_right = |(cidr, count): (&String, &i64)| {
            Some(count) == held(cidr) || Some(count) == before(cidr)
        };
        let right = !matches!(permit.operation, Operation::Repair(_));
        check(right || new.block.iter().all(is_right), || {
            format!("handle {id} was repaired from {old:?} to {new:?}")
        })
    }

    /// The tunnel device of a node has one address at most.
    fn check_tunnel(&self, permit: &Permit<'_>) -> Verdict<()> {
        if !matches!(permit.operation, Operation::EnsureTunnel) || !self.ordered || self.with_calico
        {
            return Ok(());
        }
        let held = self.state.held.get(tunnel_handle(permit.node).as_str());
        let count: i64 = held.map_or(0, |held| held.values().sum());
        check(count < 2, || {
            format!("the tunnel device of {} has {held:?}", permit.node)
        })
    }

    /// The record of a handle counts what the blocks hold; beside Calico it may count more.
    fn check_handle(&self, handle: &str) -> Verdict<()> {
        if self.lost.get(handle).is_some_and(|loss| !loss.is_repaired) {
            return Ok(());
        }
        let held = self.state.held.get(handle).filter(|held| !held.is_empty());
        let counted = self.state.handles.get(handle).map(|handle| &handle.block);
        let right = if self.with_calico {
            self.counts_all(handle)
        } else {
            held == counted
        };
        check(right, || {
            format!("handle {handle} has {held:?}, and counts {counted:?}")
        })
    }

    /// What is left at the end, when everything was given back.
    pub(crate) fn check_nothing_left(&self) -> Verdict<()> {
        let in_use = |block: &&Block| block.affinity.is_some() || block.is_held();
        let block = self.state.blocks.values().find(in_use);
        let claim = self.state.claims.iter().next();
        let handle = self.state.handles.iter().next();
        check(
            block.is_none() && claim.is_none() && handle.is_none(),
            || format!("left at the end: {block:?}, {claim:?}, {handle:?}"),
        )
    }
}

/// How many addresses the record of a handle counts.
fn counted(record: &Option<Arc<[u8]>>) -> i64 {
    let record = record.as_deref().map(serde_json::from_slice::<Handle>);
    let handle = record.and_then(Result::ok);
    handle.map_or(0, |handle| handle.block.values().sum())
}
