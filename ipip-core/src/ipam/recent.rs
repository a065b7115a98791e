//! Addresses of the block that served a node last, from what is remembered of it: the reservations are
//! read, and the handle where it must be, the rest is left to one commit.
//!
//! As a rule a node has room in that block, and nothing changed that its search would read: the block,
//! its pool, and the node's claim. The commit compares each of them, so it fails where something did,
//! and the search begins. What it would read besides counts for nothing here: the configuration for
//! blocks that are new, borrowed, or have addresses that cool down, and the node's record for pools
//! that do not select every node.
//!
//! The handle must be new, which the commit compares too. If it was not, and the reply of the commit were
//! lost, addresses that the handle got from the same state of the block before this call could be taken for
//! the work of it; so it is read first where a reply can be lost ([`Store::is_local`]).
//!
//! [`Store::is_local`]: crate::datastore::Store::is_local

use std::sync::Arc;

use super::cache::Latest;
use super::put::{Right, Source, change};
use super::read::Stored;
use super::search::{Search, Step};
use super::{Ipam, IpamError, Request, decide};
use crate::datastore::key;
use crate::resource::Block;

impl Search<'_> {
    /// Addresses of the block that served the node last, if what is remembered of it still holds.
    pub(super) fn recent(&mut self) -> Result<Step, IpamError> {
        let Some((latest, block)) = self.ipam.remembered(self.request) else {
            return Ok(Step::Nothing);
        };
        if let Some(handle) = &self.wanted.handle
            && !self.ipam.store.is_local()
            && self.ipam.store.get(&key::handle(handle))?.is_some()
        {
            return Ok(Step::Nothing);
        }
        let reserved = self.ipam.reserved()?;
        let mut commit = change(&block, &latest.pool);
        let claim = key::affinity(self.wanted.node, latest.block.into());
        commit.expect(&claim, Some(latest.claim));
        let block = self.ipam.to_change(block.value);
        let source = Source::new(&latest.pool, Right::Remembered(latest.claim));
        self.fill_owned(&reserved, block, commit, source)
    }
}

impl Ipam {
    /// The block that served the node of `request` last, if the request may be served from it without
    /// reading more.
    fn remembered(&self, request: &Request) -> Option<(Latest, Stored<Arc<Block>>)> {
        let latest = self.cache.latest(&request.node)?;
        let block = self.known_block(latest.block)?;
        let serves = request.pools.is_empty()
            && latest.pool.value.allows(request.purpose)
            && latest.pool.value.is_for_every_node()
            && decide::is_owned_by(&block.value, &request.node)
            && block.value.free_count() > 0
            && !block.value.has_cooling();
        serves.then_some((latest, block))
    }
}
