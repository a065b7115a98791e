//! The rules for pools and nodes: who may write which, and what must not be left when one is deleted.

use crate::operation::{Operation, Setting, tunnel_handle};
use crate::oracle::{Oracle, Permit};
use crate::record::{Config, Node, Pool, Range, Verdict, check, kept};

impl Oracle {
    pub(crate) fn judge_pool(
        &self,
        name: &str,
        old: Option<&Pool>,
        new: Option<&Pool>,
        permit: &Permit<'_>,
    ) -> Verdict<()> {
        if old == new {
            // Written again, so that a commit on its way does not take effect.
            return Ok(());
        }
        let may = match permit.operation {
            Operation::CreatePool(plan) => plan.name == name && old.is_none() && new.is_some(),
            Operation::UpdatePool(plan, ..) => plan.name == name && old.is_some() && new.is_some(),
            Operation::EnablePool(of) | Operation::DisablePool(of) => *of == name && new.is_some(),
            Operation::DeletePool(of) => *of == name,
            _ => false,
        };
        check(may, || format!("pool {name} became {new:?}"))?;
        let range = |pool: &Pool| Range::of(&pool.spec.cidr);
        match (old, new) {
            (Some(old), Some(new)) => {
                kept(name, old.x, Some(new.x))?;
                let shape = |pool: &Pool| (pool.spec.cidr.clone(), pool.spec.block_len);
                check(shape(old) == shape(new), || {
                    format!("{old:?} became {new:?}")
                })
            }
            (None, Some(new)) if self.ordered => {
                let mut others = self.state.pools.values();
                let other = others.find(|other| *other != new && range(other).overlaps(range(new)));
                check(other.is_none(), || format!("{new:?} overlaps {other:?}"))?;
                let mut blocks = self.state.blocks.values();
                let len = format!("/{}", new.spec.block_len);
                let odd =
                    blocks.find(|b| b.range().overlaps(range(new)) && !b.cidr.ends_with(&len));
                check(odd.is_none(), || format!("{new:?} has {odd:?} in it"))
            }
            (Some(old), None) => {
                check(old.spec.disabled, || format!("{old:?} was deleted"))?;
                let mut blocks = self.state.blocks.values();
                let owned = blocks.find(|b| b.affinity.is_some() && range(old).covers(b.range()));
                check(owned.is_none() || self.with_calico || !self.ordered, || {
                    format!("pool {name} was deleted before {owned:?}")
                })
            }
            _ => Ok(()),
        }
    }

    /// What is asked for is stored, and of one field the others stay as they are.
    pub(crate) fn judge_config(&self, old: &Config, permit: &Permit<'_>) -> Verdict<()> {
        let new = self.state.config.now();
        let mut wanted = old.clone();
        match permit.operation {
            // Written again, so that a commit on its way does not take effect.
            _ if old == new => {}
            Operation::SetConfig(config) => {
                wanted.strict = config.strict_affinity;
                wanted.auto = config.auto_allocate_blocks;
                wanted.limit = config.max_blocks_per_node as usize;
                wanted.cooldown = config.cooldown.as_secs();
            }
            Operation::ChangeConfig(Setting::Strict(strict)) => wanted.strict = *strict,
            Operation::ChangeConfig(Setting::Auto(auto)) => wanted.auto = *auto,
            Operation::ChangeConfig(Setting::Limit(limit)) => wanted.limit = *limit as usize,
            Operation::ChangeConfig(Setting::Cooldown(seconds)) => wanted.cooldown = *seconds,
            _ => {}
        }
        check(*new == wanted, || {
            format!("the configuration {old:?} became {new:?}")
        })
    }

    pub(crate) fn judge_node(
        &self,
        name: &str,
        old: Option<&Node>,
        new: Option<&Node>,
        permit: &Permit<'_>,
    ) -> Verdict<()> {
        if old == new {
            // Written again, so that a commit on its way does not take effect.
            return Ok(());
        }
        let its = permit.node == name;
        let tunnel = |node: Option<&Node>| node.and_then(Node::tunnel_addr);
        let rule = || format!("node {name} became {new:?}, was {old:?}");
        match (permit.operation, new) {
            (Operation::PutNode(put, _), Some(new)) => {
                check(
                    put.as_str() == name && tunnel(old) == new.tunnel_addr(),
                    rule,
                )?;
            }
            (operation, Some(new)) => {
                let may = match operation {
                    Operation::EnsureTunnel => its,
                    Operation::ReleaseTunnel => its && old.is_some(),
                    _ => false,
                };
                check(may, rule)?;
                check(old.is_none_or(|old| old.metadata == new.metadata), rule)?;
                let held = |addr| self.state.holds(addr, tunnel_handle(name).as_str());
                check(new.tunnel_addr().is_none_or(held), || {
                    format!("node {name} records an address that it has not: {new:?}")
                })?;
            }
            (Operation::RemoveNode(removed), None) => {
                check(removed.as_str() == name, rule)?;
                let lax = self.with_calico || !self.ordered;
                let owned = self.state.blocks_of(name).next();
                check(owned.is_none() || lax, || format!("{name} left {owned:?}"))?;
                let held = self.state.held.get(tunnel_handle(name).as_str());
                let held = held.filter(|held| !held.is_empty());
                check(held.is_none() || lax, || format!("{name} left {held:?}"))?;
            }
            _ => return check(false, rule),
        }
        old.zip(new)
            .map_or(Ok(()), |(old, new)| kept(name, old.x, Some(new.x)))
    }
}
