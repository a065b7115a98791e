//! Assigning an address, from the node's own blocks.

use std::net::Ipv4Addr;

use super::claim::confirm;
use super::decide::{self, Standing};
use super::{Assigned, Assignments, Claim, Ipam, IpamError, Request, Shortfall, Stored};
use crate::datastore::{Commit, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Attribute, Block, BlockAffinity, Pool};

/// A block of the node to assign from, and its claim if that must be confirmed.
struct Own {
    block: Stored<Block>,
    unconfirmed: Option<Option<Stored<BlockAffinity>>>,
}

/// What is to be assigned.
struct Wanted<'a> {
    node: &'a NodeName,
    /// `None` takes the address that has been free longest.
    addr: Option<Ipv4Addr>,
    attribute: Attribute,
    handle: Option<HandleId>,
}

impl<'a> Wanted<'a> {
    fn new(
        node: &'a NodeName,
        addr: Option<Ipv4Addr>,
        attribute: &Attribute,
    ) -> Result<Self, IpamError> {
        let handle = attribute.handle().map(HandleId::try_new).transpose()?;
        let mut attribute = attribute.clone();
        if !attribute.secondary().contains_key("node") {
            attribute = attribute.with("node", node.as_str());
        }
        Ok(Self {
            node,
            addr,
            attribute,
            handle,
        })
    }
}

impl Ipam {
    /// Assigns an address to `attribute` on `node`: from the first of its blocks that has a free one,
    /// the one free longest; if all are full, from one more block that it claims.
    ///
    /// `attribute` is stored with its key `node` set to the node's name, unless it has that key:
    /// Calico finds the node of an address by it.
    ///
    /// # Errors
    /// [`IpamError::NoPool`], [`IpamError::PoolsExhausted`] naming the pools, [`IpamError::Busy`].
    pub fn assign_any(
        &self,
        node: &NodeName,
        attribute: &Attribute,
    ) -> Result<Assigned, IpamError> {
        let wanted = Wanted::new(node, None, attribute)?;
        self.retry(&format_args!("node {node}"), || {
            let pools = self.automatic_pools()?;
            for claim in self.claims_of(node)? {
                let mut pools = pools.iter();
                let Some(pool) = pools.find(|p| p.value.cidr().covers(claim.block.prefix())) else {
                    continue;
                };
                match self.own_block(node, pool, claim)? {
                    Found::Block(own) => return self.try_assign(&wanted, *own),
                    Found::Changed => return Ok(None),
                    Found::Nothing => {}
                }
            }
            let block = self.try_claim_any(node, &pools)?;
            block.map_or(Ok(None), |block| {
                self.try_assign(&wanted, Own::confirmed(block))
            })
        })
    }

    /// Assigns as many addresses as `request` asks for, or as there are.
    ///
    /// # Errors
    /// [`IpamError::Count`], and what [`Ipam::assign_any`] refuses for the first address.
    pub fn assign_many(&self, request: &Request) -> Result<Assignments, IpamError> {
        if !(1..=Request::COUNT_MAX).contains(&request.count) {
            let count = request.count;
            return Err(IpamError::Count { count });
        }
        let mut found = Assignments::default();
        for _ in 0..request.count {
            match self.assign_any(&request.node, &request.attribute) {
                Ok(assigned) => found.assigned.push(assigned),
                Err(IpamError::PoolsExhausted { pools, .. }) => {
                    found.shortfall = Some(Shortfall::PoolsExhausted { pools });
                    break;
                }
                Err(error) if found.assigned.is_empty() => return Err(error),
                Err(error) => {
                    let error = Box::new(error);
                    found.shortfall = Some(Shortfall::Failed { error });
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Assigns `addr` to `attribute` on `node`, and claims its block if nobody has.
    ///
    /// # Errors
    /// [`IpamError::OutsidePools`], [`IpamError::PoolDisabled`], [`IpamError::BlockOwned`] naming
    /// the owner, [`IpamError::BlockOverlaps`], and
    /// [`BlockError::AlreadyAssigned`](crate::resource::BlockError::AlreadyAssigned).
    pub fn assign(
        &self,
        node: &NodeName,
        addr: Ipv4Addr,
        attribute: &Attribute,
    ) -> Result<Assigned, IpamError> {
        let wanted = Wanted::new(node, Some(addr), attribute)?;
        self.retry(&format_args!("address {addr}"), || {
            let (pool, prefix) = self.pool_of(addr)?;
            let Some(block) = self.read_block(prefix)? else {
                let made = self.try_claim(node, &pool, prefix)?;
                return made.map_or(Ok(None), |block| {
                    self.try_assign(&wanted, Own::confirmed(block))
                });
            };
            let affinity = self.read_affinity(node, prefix)?;
            let state = affinity.as_ref().map(|affinity| affinity.value.state);
            let unconfirmed = match decide::standing(node, state, Some(&block.value)) {
                Standing::Ours => None,
                Standing::Unconfirmed => Some(affinity),
                Standing::NoBlock | Standing::Stale => {
                    return Err(decide::owned_by_other(&block.value));
                }
            };
            self.try_assign(&wanted, Own { block, unconfirmed })
        })
    }

    /// The block of `claim`, if it is the node's and has a free address; made if it is missing.
    fn own_block(
        &self,
        node: &NodeName,
        pool: &Stored<Pool>,
        claim: Claim,
    ) -> Result<Found, IpamError> {
        let block = self.read_block(claim.block)?;
        let state = Some(claim.affinity.value.state);
        let standing = decide::standing(node, state, block.as_ref().map(|b| &b.value));
        let own = match (standing, block) {
            (Standing::Ours, Some(block)) => Own::confirmed(block),
            (Standing::Unconfirmed, Some(block)) => Own {
                block,
                unconfirmed: Some(Some(claim.affinity)),
            },
            (Standing::Stale, Some(block)) => {
                self.forget_claim(node, &block)?;
                return Ok(Found::Nothing);
            }
            _ if claim.block.len() != pool.value.block_len() => return Ok(Found::Nothing),
            _ => match self.try_claim(node, pool, claim.block) {
                Ok(Some(block)) => Own::confirmed(block),
                Ok(None) => return Ok(Found::Changed),
                Err(IpamError::BlockOverlaps { .. }) => return Ok(Found::Nothing),
                Err(error) => return Err(error),
            },
        };
        let full = own.block.value.free_count() == 0;
        Ok(if full {
            Found::Nothing
        } else {
            Found::Block(Box::new(own))
        })
    }

    /// Removes a claim whose block belongs to somebody else, if it still does.
    fn forget_claim(&self, node: &NodeName, block: &Stored<Block>) -> Result<(), IpamError> {
        let prefix = block.value.prefix();
        let key = key::affinity(node, prefix.into());
        let mut commit = Commit::new();
        // While the block is another's, the claim is stale, whatever it says by now.
        commit.expect(&key::block(prefix.into()), Some(block.revision));
        commit.delete(&key);
        if self.commit(commit)?.is_some() {
            log::warn!("removed the stale claim of node {node} on block {prefix}");
        }
        Ok(())
    }

    /// Block, handle and, where needed, the claim in one commit; `None` if somebody was faster.
    fn try_assign(&self, wanted: &Wanted<'_>, own: Own) -> Result<Option<Assigned>, IpamError> {
        let Stored {
            mut value,
            revision,
        } = own.block;
        let prefix = value.prefix();
        let attribute = wanted.attribute.clone();
        let assignment = match wanted.addr {
            Some(addr) => value.assign(addr, attribute)?,
            None => value.assign_any(attribute)?,
        };
        let mut commit = Commit::new();
        let key = key::block(prefix.into());
        commit
            .expect(&key, Some(revision))
            .put(&key, value.to_json());
        if let Some(handle) = &wanted.handle {
            let key = key::handle(handle);
            let stored = self.read_handle(handle)?;
            commit.expect(&key, stored.as_ref().map(|stored| stored.revision));
            let mut counts = stored.map(|stored| stored.value).unwrap_or_default();
            counts.add(prefix, 1);
            commit.put(&key, counts.to_json());
        }
        if let Some(affinity) = own.unconfirmed {
            confirm(&mut commit, wanted.node, prefix, affinity);
        }
        if self.commit(commit)?.is_none() {
            return Ok(None);
        }
        log::debug!(
            "address {} assigned on node {}",
            assignment.addr,
            wanted.node
        );
        Ok(Some(Assigned {
            addr: assignment.addr,
            block: prefix.into(),
            sequence: assignment.sequence,
            borrowed: false,
        }))
    }
}

/// What a claim led to.
enum Found {
    /// A block with a free address.
    Block(Box<Own>),
    /// Nothing to assign from; look at the next claim.
    Nothing,
    /// Somebody else changed it: read again.
    Changed,
}

impl Own {
    fn confirmed(block: Stored<Block>) -> Self {
        Self {
            block,
            unconfirmed: None,
        }
    }
}
