//! What counts for one call: the configuration, the pools it may use, what is reserved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::read::Stored;
use super::{Ipam, IpamError, Request};
use crate::addr::Ipv4Prefix;
use crate::datastore::{Revision, key};
use crate::name::NodeName;
use crate::resource::{AllocatorConfig, Block, BlockPrefix, Node, Pool, Reserved, Selector};

/// What counts for one call, as it was when the call read it.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) config: AllocatorConfig,
    /// `None`: nothing is stored.
    pub(super) config_revision: Option<Revision>,
    pub(super) reserved: Reserved,
    /// The pools to assign from, by name; at least one.
    pub(super) pools: Vec<Stored<Arc<Pool>>>,
    /// The prefixes of pools that do not select the node, or not any more.
    pub(super) deselecting: Vec<Ipv4Prefix>,
    /// The most blocks of the node.
    pub(super) limit: u32,
    now: SystemTime,
}

/// An empty block of another node may be taken from it so long after it was claimed: its node may be
/// about to use it. Calico's figure.
const RECLAIM_AGE: Duration = Duration::from_secs(60);

impl Ipam {
    pub(super) fn terms(&self, request: &Request) -> Result<Terms, IpamError> {
        let (config, config_revision) = self.read_config()?;
        let all = self.read_pools()?;
        let labels = self.labels(&request.node, &all)?;
        let named: Vec<_> = named(request, &all)?;
        let chosen = |pool: &Pool| {
            let may = if request.pools.is_empty() {
                pool.selects(&labels)
            } else {
                named.contains(&pool.cidr())
            };
            may && pool.allows(request.purpose)
        };
        let deselecting = all.iter().filter(|pool| !pool.value.selects(&labels));
        let deselecting = deselecting.map(|pool| pool.value.cidr()).collect();
        let pools: Vec<_> = all.into_iter().filter(|pool| chosen(&pool.value)).collect();
        if pools.is_empty() {
            return Err(IpamError::NoPool);
        }
        let limits = [Some(config.max_blocks_per_node), request.max_blocks];
        let limits = limits.into_iter().flatten().filter(|limit| *limit > 0);
        Ok(Terms {
            limit: limits.min().unwrap_or(Request::MAX_BLOCKS),
            config,
            config_revision,
            reserved: self.reserved()?,
            pools,
            deselecting,
            now: self.ambient.now(),
        })
    }

    /// The labels of `node`, read only if a pool asks for one; a node without a record has none.
    pub(super) fn labels(
        &self,
        node: &NodeName,
        pools: &[Stored<Arc<Pool>>],
    ) -> Result<BTreeMap<String, String>, IpamError> {
        let for_all =
            |pool: &Stored<Arc<Pool>>| pool.value.node_selector().is_ok_and(Selector::is_all);
        if pools.iter().all(for_all) {
            return Ok(BTreeMap::new());
        }
        let node = self.read(&key::node(node), Node::from_json)?;
        Ok(node
            .map(|node| node.value.labels().clone())
            .unwrap_or_default())
    }
}

/// The pools that `request` names, each of which must be there.
fn named(request: &Request, all: &[Stored<Arc<Pool>>]) -> Result<Vec<Ipv4Prefix>, IpamError> {
    let named = request.pools.iter().map(|cidr| {
        let prefix = Ipv4Prefix::try_from(*cidr);
        let found = all.iter().find(|pool| Ok(pool.value.cidr()) == prefix);
        let pool = found.ok_or(IpamError::PoolUnknown { cidr: *cidr })?;
        if !pool.value.is_enabled() {
            let pool = pool.value.name().to_owned();
            return Err(IpamError::PoolDisabled { pool });
        }
        Ok(pool.value.cidr())
    });
    named.collect()
}

impl Terms {
    /// The pool to assign from that holds `block`.
    pub(super) fn pool_of(&self, block: BlockPrefix) -> Option<&Stored<Arc<Pool>>> {
        let mut pools = self.pools.iter();
        pools.find(|pool| pool.value.cidr().covers(block.prefix()))
    }

    pub(super) fn pool_names(&self) -> Vec<String> {
        let names = self.pools.iter().map(|pool| pool.value.name().to_owned());
        names.collect()
    }

    /// The block with those addresses free that have cooled down.
    pub(super) fn collected(&self, block: Arc<Block>) -> Arc<Block> {
        collected(block, self.now, &self.config)
    }

    /// How many addresses `block` has for somebody who asks for any.
    pub(super) fn room(&self, block: &Block) -> usize {
        self.reserved.leaves_free(block)
    }

    /// Whether no address of `block` may be assigned to somebody who asks for any.
    pub(super) fn is_reserved(&self, block: BlockPrefix) -> bool {
        self.reserved.covers(block.prefix())
    }

    /// How many addresses `block` has for a node that takes it from the one that owns it; 0 if it
    /// must not.
    pub(super) fn room_if_taken(&self, block: &Arc<Block>) -> usize {
        let block = self.collected(Arc::clone(block));
        let of_node = block.affinity().is_some_and(|owner| owner.node().is_some());
        let before = self.now.checked_sub(RECLAIM_AGE);
        let is_old = before.is_some_and(|before| block.is_claimed_before(before));
        if of_node && is_old && block.is_empty() {
            self.room(&block)
        } else {
            0
        }
    }
}

/// `block` with those addresses free that have cooled down at `now`.
pub(super) fn collected(
    mut block: Arc<Block>,
    now: SystemTime,
    config: &AllocatorConfig,
) -> Arc<Block> {
    if block.has_cooling() {
        Arc::make_mut(&mut block).collect(now, config.cooldown);
    }
    block
}
