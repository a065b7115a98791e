//! Assigning addresses: any, many, or this one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::claim::{Site, claimant, confirm};
use super::decide::{self, Standing};
use super::put::{Filled, Put, Right, Source, Wanted, change};
use super::read::Stored;
use super::search::Search;
use super::terms::collected;
use super::{Assigned, Assignments, Ipam, IpamError, Request, Shortfall};
use crate::datastore::key;
use crate::name::NodeName;
use crate::resource::{Attribute, Block, BlockPrefix, Pool};

impl Ipam {
    /// Assigns an address to `attribute` on `node`, as [`Ipam::assign_many`] assigns several: from
    /// one of its blocks that has a free one, the one free longest; if all are full, from one more
    /// block that it claims; if there is none, from another node's.
    ///
    /// `attribute` is stored with its key `node` set to the node's name, unless it has that key:
    /// Calico finds the node of an address by it.
    ///
    /// # Errors
    /// [`IpamError::NoPool`], [`IpamError::PoolsExhausted`] naming the pools, [`IpamError::Short`],
    /// [`IpamError::Busy`].
    pub fn assign_any(
        &self,
        node: &NodeName,
        attribute: &Attribute,
    ) -> Result<Assigned, IpamError> {
        let request = Request::new(node.clone(), 1, attribute.clone());
        self.assign_many(&request)?.one(node)
    }

    /// Assigns as many addresses as `request` asks for, or as there are.
    ///
    /// They come from the node's own blocks; when those are full, from free blocks, which the node
    /// claims in the same commit; when there is none, from an empty block of another node, claimed at
    /// least a minute ago, which it takes over; and at last from blocks of others, borrowed, unless
    /// the configuration demands strict affinity. A node that has as many blocks as it may gets
    /// neither a new block nor borrows. Reserved addresses are passed over.
    ///
    /// What comes from one block is one commit. So many addresses may be assigned in part when the
    /// store fails: they are in the answer then, beside [`Shortfall::Failed`].
    ///
    /// # Errors
    /// [`IpamError::Count`], [`IpamError::NoPool`], [`IpamError::PoolUnknown`] and
    /// [`IpamError::PoolDisabled`] for a pool that is named, [`IpamError::Name`] for a handle that
    /// is none; [`IpamError::Busy`] and others of the store, if nothing was assigned.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ipip_core::datastore::Memory;
    /// use ipip_core::ipam::{Ambient, Ipam, Request};
    /// use ipip_core::name::NodeName;
    /// use ipip_core::resource::{Attribute, Pool};
    ///
    /// let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    /// ipam.create_pool(&Pool::try_new("pods", "10.244.0.0/24".parse()?, 26)?)?;
    /// let node = NodeName::try_new("node-a")?;
    /// let many = ipam.assign_many(&Request::new(node, 257, Attribute::default()))?;
    /// assert_eq!(many.assigned.len(), 256);
    /// assert_eq!(many.shortfall.unwrap().to_string(), "no address is left in pools: pods");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn assign_many(&self, request: &Request) -> Result<Assignments, IpamError> {
        if !(1..=Request::COUNT_MAX).contains(&request.count) {
            let count = request.count;
            return Err(IpamError::Count { count });
        }
        Search::new(self, request)?.run()
    }

    /// Assigns `addr` to `attribute` on `node`, and claims its block if nobody has. If it is
    /// another node's, the address is borrowed. Neither reservations nor the limit of blocks count
    /// for who names an address.
    ///
    /// # Errors
    /// [`IpamError::OutsidePools`], [`IpamError::PoolDisabled`], [`IpamError::BlockOwned`] naming
    /// the owner, if the configuration demands strict affinity, [`IpamError::BlockOverlaps`], and
    /// [`BlockError::AlreadyAssigned`](crate::resource::BlockError::AlreadyAssigned).
    pub fn assign(
        &self,
        node: &NodeName,
        addr: Ipv4Addr,
        attribute: &Attribute,
    ) -> Result<Assigned, IpamError> {
        let wanted = Wanted::new(node, attribute)?;
        let mut unsure = Vec::new();
        self.retry_in_turn(&format_args!("address {addr}"), || {
            if self.recognised(&wanted, &unsure)? {
                return Ok(unsure.first().copied());
            }
            let (pool, prefix) = self.pool_of(addr)?;
            let put = match self.read_block(prefix)? {
                Some(block) => self.assign_in(&wanted, &pool, block, addr)?,
                None => self.assign_in_new(&wanted, &pool, prefix, addr)?,
            };
            Ok(match put {
                Put::Done(assigned, _) => assigned.first().copied(),
                Put::Changed => None,
                Put::Perhaps(assigned) => {
                    unsure = assigned;
                    None
                }
            })
        })
    }

    fn assign_in(
        &self,
        wanted: &Wanted<'_>,
        pool: &Stored<Arc<Pool>>,
        block: Stored<Arc<Block>>,
        addr: Ipv4Addr,
    ) -> Result<Put, IpamError> {
        let (config, config_revision) = self.read_config()?;
        let affinity = self.read_affinity(wanted.node, block.value.prefix())?;
        let state = affinity.as_ref().map(|affinity| affinity.value.state);
        let standing = decide::standing(wanted.node, state, Some(&block.value));
        let mut commit = change(&block, pool);
        let claim = affinity.as_ref().map(|affinity| affinity.revision);
        let mut right = claim.map_or(Right::Claiming, Right::Claimed);
        match standing {
            Standing::Ours => {}
            Standing::Unconfirmed => {
                confirm(&mut commit, wanted.node, block.value.prefix(), affinity);
                right = Right::Claiming;
            }
            Standing::NoBlock | Standing::Stale if config.strict_affinity => {
                return Err(decide::owned_by_other(&block.value));
            }
            Standing::NoBlock | Standing::Stale => {
                commit.expect(key::config(), config_revision);
                right = Right::Borrowing;
            }
        }
        let block = collected(block.value, self.ambient.now(), &config);
        let mut block = self.to_change(block);
        let assigned = vec![block.assign(addr, wanted.attribute.clone())?];
        let filled = Filled {
            block,
            assigned,
            source: Source::new(pool, right),
        };
        self.put(commit, wanted, filled)
    }

    fn assign_in_new(
        &self,
        wanted: &Wanted<'_>,
        pool: &Stored<Arc<Pool>>,
        prefix: BlockPrefix,
        addr: Ipv4Addr,
    ) -> Result<Put, IpamError> {
        if !self.is_free(prefix)? {
            return Ok(Put::Changed);
        }
        let owner = self.owner_revision(wanted.node)?;
        let owner = claimant(wanted.node, owner);
        let (mut block, commit) = self.new_block(owner, pool, prefix, Site::Free)?;
        let assigned = vec![block.assign(addr, wanted.attribute.clone())?];
        let filled = Filled {
            block,
            assigned,
            source: Source::new(pool, Right::Claiming),
        };
        self.put(commit, wanted, filled)
    }
}

impl Assignments {
    /// The one address that was asked for on `node`.
    pub(super) fn one(self, node: &NodeName) -> Result<Assigned, IpamError> {
        if let Some(assigned) = self.assigned.into_iter().next() {
            return Ok(assigned);
        }
        let node = node.to_string();
        Err(match self.shortfall {
            Some(Shortfall::PoolsExhausted { pools }) => IpamError::PoolsExhausted { node, pools },
            Some(Shortfall::Failed { error }) => *error,
            Some(shortfall) => IpamError::Short { node, shortfall },
            None => unreachable!("one address was asked for"),
        })
    }
}
