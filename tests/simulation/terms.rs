//! The rules for who asks for any address: which pools serve, and how many blocks a node has.

use std::collections::BTreeMap;

use crate::operation::Operation;
use crate::oracle::{Oracle, Permit};
use crate::record::{Block, Config, Pool, Range, Verdict, check};

/// The limit of blocks of a node where none is said.
const LIMIT: usize = 20;

impl Oracle {
    /// The pool of `block` serves who took addresses of it, unless these were asked for by themselves.
    pub(crate) fn check_pool(&self, block: &Block, permit: &Permit<'_>) -> Verdict<()> {
        let operation = permit.operation;
        if !operation.wants_any() {
            return Ok(());
        }
        let named = operation.named();
        let serves = |pool: &Pool| {
            let cidr = Range::of(&pool.spec.cidr);
            let mut all = named.iter().map(|cidr| Range::of(&cidr.to_string()));
            let may = match named.is_empty() {
                true => self.may_select(pool, permit),
                false => all.any(|named| named == cidr),
            };
            may && pool.allows(operation.purpose()) && cidr.covers(block.range())
        };
        let right = if matches!(operation, Operation::EnsureTunnel) {
            // It chooses the pools first, and then names them.
            let mut past = self.state.past_pools.since(permit.since);
            past.any(|pools| pools.values().any(serves))
        } else {
            self.state.pools.values().any(serves)
        };
        check(right, || {
            let pool = self.state.pool_of(block.range());
            format!("{} serves {operation:?} by {pool:?}", block.cidr)
        })
    }

    /// Whether `pool` selects the node, by labels that it has or had.
    fn may_select(&self, pool: &Pool, permit: &Permit<'_>) -> bool {
        let mut zones = self.state.zones.since(permit.since);
        zones.any(|zones| pool.selects(zones.get(permit.node).and_then(Option::as_deref)))
    }

    /// A search gives up a block of its node only where the pool does not select the node any more.
    pub(crate) fn check_deselected(&self, block: &Block, permit: &Permit<'_>) -> Verdict<()> {
        if !permit.operation.wants_any() {
            return Ok(());
        }
        let is_deselected = |pool: &Pool| {
            let mut zones = self.state.zones.since(permit.since);
            let of_node = |all: &BTreeMap<String, Option<String>>| {
                pool.selects(all.get(permit.node).and_then(Option::as_deref))
            };
            Range::of(&pool.spec.cidr).covers(block.range()) && zones.any(|all| !of_node(all))
        };
        let mut past = self.state.past_pools.since(permit.since);
        let right = past.any(|pools| pools.values().any(is_deselected));
        check(right, || {
            format!("{} was given up by {}", block.cidr, permit.node)
        })
    }

    /// The node has no more blocks than it may, and may claim without being told.
    pub(crate) fn check_limit(&self, name: &str, permit: &Permit<'_>) -> Verdict<()> {
        let limit = |config: &Config| {
            let limits = [Some(config.limit), permit.operation.max_blocks()];
            let limits = limits.into_iter().flatten().filter(|limit| *limit > 0);
            limits.min().unwrap_or(LIMIT)
        };
        let configs = self.state.config.since(permit.since);
        let limit = configs.map(limit).max().expect("one at least");
        let count = self.state.blocks_of(permit.node).count();
        check(count <= limit, || {
            let node = permit.node;
            format!("{name} is block {count} of {node}, over the limit {limit}")
        })?;
        self.check_auto(name, permit)
    }

    /// Blocks of others, and new ones, serve who asks for any address only where that is allowed.
    pub(crate) fn check_auto(&self, name: &str, permit: &Permit<'_>) -> Verdict<()> {
        let mut configs = self.state.config.since(permit.since);
        let right = !permit.operation.wants_any() || configs.any(|config| config.auto);
        check(right, || format!("{name} is made for any address"))
    }
}
