//! Who has which address: nodes claim blocks, and assign addresses from them.
//!
//! [`Ipam`] works on any [`Store`], with Calico's keys and values, so several of them on one store,
//! and Calico beside them, share one network. What may happen to one block is guarded by
//! [`Block`]; `decide` chooses between blocks, as pure functions; `pools`, `claim`,
//! `assign` and `release` read, let decide, and commit.
//!
//! Three things are one commit each: claiming a block (the node's claim and the block), assigning
//! an address (the block and the handle), releasing one (the same two). So a crash leaves no claim
//! without a block and no address without a handle. A commit holds the revisions of what was read;
//! if somebody else was faster, everything is read again, a bounded number of times. States that
//! Calico's staged protocol leaves behind are completed on the way: a claim that is pending, or has
//! no block, is confirmed in the commit that uses it, and one whose block belongs to another node is
//! removed. The owner of a block is the one that the block names.
//!
//! ```
//! use std::sync::Arc;
//! use ipip_core::datastore::Memory;
//! use ipip_core::ipam::{Ambient, Ipam};
//! use ipip_core::name::{HandleId, NodeName};
//! use ipip_core::resource::{Attribute, Pool, Release};
//!
//! let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
//! ipam.create_pool(&Pool::try_new("pods", "10.244.0.0/16".parse()?, 26)?)?;
//! let node = NodeName::try_new("node-a")?;
//! ipam.claim(&node, "10.244.79.0/26".parse()?)?;
//! let pod = Attribute::new(Some(HandleId::try_new("pod-a")?)).with("pod", "pod-a");
//! let any = ipam.assign_any(&node, &pod)?;
//! assert_eq!(any.addr.to_string(), "10.244.79.0");
//! ipam.assign(&node, "10.244.79.20".parse()?, &pod)?;
//! ipam.release(&Release::of(any.addr))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ambient;
mod assign;
mod claim;
mod config;
mod decide;
mod error;
mod pools;
mod release;
mod request;

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::sync::Arc;

pub use ambient::Ambient;
pub use claim::{BlockRelease, Claimed};
pub use error::{IpamError, IpamErrorKind};
pub use request::{Assigned, Assignments, RefusedBlock, ReleasedMany, Request, Shortfall};

use crate::addr::Ipv4Prefix;
use crate::datastore::{Commit, Outcome, Record, Revision, Store, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{
    Block, BlockAffinity, BlockPrefix, Handle, MAX_BLOCK_LEN, MIN_BLOCK_LEN, ResourceError,
};

/// How often an operation reads again because others were faster; Calico's bound.
const ATTEMPTS: u32 = 100;

/// An allocator on a store.
///
/// It keeps nothing but the store: any number of them, in threads or processes, may work on one
/// store. Every method takes `&self` and either does all that it says or leaves the store as it was.
#[derive(Debug, Clone)]
pub struct Ipam {
    store: Arc<dyn Store>,
    ambient: Ambient,
}

/// A value as it was read.
#[derive(Debug)]
struct Stored<T> {
    value: T,
    revision: Revision,
}

/// A node's claim as it was read.
#[derive(Debug)]
struct Claim {
    block: BlockPrefix,
    affinity: Stored<BlockAffinity>,
}

impl Ipam {
    /// An allocator on `store`, with the time and chance of `ambient`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Ambient) -> Self {
        Self { store, ambient }
    }

    /// The blocks that `node` owns, in the order of their keys.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn blocks_of(&self, node: &NodeName) -> Result<Vec<Block>, IpamError> {
        let mut blocks = Vec::new();
        for claim in self.claims_of(node)? {
            let block = self.read_block(claim.block)?.map(|stored| stored.value);
            blocks.extend(block.filter(|block| decide::is_owned_by(block, node)));
        }
        Ok(blocks)
    }

    /// Every block of every node, in the order of their keys.
    ///
    /// # Errors
    /// As [`Ipam::blocks_of`].
    pub fn blocks(&self) -> Result<Vec<Block>, IpamError> {
        let records = self.store.list(key::block_prefix())?.entries;
        let block = |record: Record| {
            let (key, block) = parse(record, Block::from_json)?;
            checked_place(&key, block.value.prefix()).map(|()| block.value)
        };
        records.into_iter().map(block).collect()
    }

    /// The block that holds `addr`, whoever owns it; `None` if nobody claimed it yet.
    ///
    /// # Errors
    /// As [`Ipam::blocks_of`].
    pub fn block_of(&self, addr: Ipv4Addr) -> Result<Option<Block>, IpamError> {
        Ok(self.find_block(addr)?.map(|stored| stored.value))
    }

    /// The block that holds `addr`: of the size that the pool says, or, if it outlived a pool, of
    /// any other.
    fn find_block(&self, addr: Ipv4Addr) -> Result<Option<Stored<Block>>, IpamError> {
        let pools = self.read_pools()?;
        let pool = pools.iter().find(|pool| pool.value.cidr().contains(addr));
        let expected = pool.map(|pool| pool.value.block_len());
        let others = (MIN_BLOCK_LEN..=MAX_BLOCK_LEN).filter(|len| Some(*len) != expected);
        for len in expected.into_iter().chain(others) {
            let prefix = Ipv4Prefix::containing(addr, len).ok();
            let Some(prefix) = prefix.and_then(|prefix| BlockPrefix::try_from(prefix).ok()) else {
                continue;
            };
            if let Some(block) = self.read_block(prefix)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    fn read_block(&self, prefix: BlockPrefix) -> Result<Option<Stored<Block>>, IpamError> {
        let Some(record) = self.store.get(&key::block(prefix.into()))? else {
            return Ok(None);
        };
        let (key, block) = parse(record, Block::from_json)?;
        checked_place(&key, block.value.prefix())?;
        Ok(Some(block))
    }

    fn read_handle(&self, handle: &HandleId) -> Result<Option<Stored<Handle>>, IpamError> {
        let record = self.store.get(&key::handle(handle))?;
        let handle = record
            .map(|record| parse(record, Handle::from_json))
            .transpose()?;
        Ok(handle.map(|(_, handle)| handle))
    }

    fn read_affinity(
        &self,
        node: &NodeName,
        block: BlockPrefix,
    ) -> Result<Option<Stored<BlockAffinity>>, IpamError> {
        let record = self.store.get(&key::affinity(node, block.into()))?;
        let affinity = record
            .map(|record| parse(record, BlockAffinity::from_json))
            .transpose()?;
        Ok(affinity.map(|(_, affinity)| affinity))
    }

    fn claims_of(&self, node: &NodeName) -> Result<Vec<Claim>, IpamError> {
        let mut claims = Vec::new();
        for record in self.store.list(&key::affinity_prefix(node))?.entries {
            let (key, affinity) = parse(record, BlockAffinity::from_json)?;
            let prefix = key::parse_affinity(&key).map(|(_, prefix)| prefix);
            let Some(block) = prefix.and_then(|prefix| BlockPrefix::try_from(prefix).ok()) else {
                log::warn!("key {key} names no block, passed over");
                continue;
            };
            claims.push(Claim { block, affinity });
        }
        Ok(claims)
    }

    /// Makes `commit`; `None` if somebody else was faster.
    fn commit(&self, commit: Commit) -> Result<Option<Revision>, IpamError> {
        Ok(match self.store.commit(commit)? {
            Outcome::Committed(revision) => Some(revision),
            Outcome::Conflict => None,
        })
    }

    /// Calls `attempt` until it gives a value; `None` means that somebody else was faster.
    fn retry<T>(
        &self,
        object: &dyn Display,
        mut attempt: impl FnMut() -> Result<Option<T>, IpamError>,
    ) -> Result<T, IpamError> {
        for number in 0..ATTEMPTS {
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            self.ambient.back_off(number);
        }
        Err(IpamError::Busy {
            object: object.to_string(),
            attempts: ATTEMPTS,
        })
    }
}

fn parse<T>(
    record: Record,
    from_json: impl FnOnce(&[u8]) -> Result<T, ResourceError>,
) -> Result<(String, Stored<T>), IpamError> {
    let (key, revision) = (record.key, record.revision);
    match from_json(&record.value) {
        Ok(value) => Ok((key, Stored { value, revision })),
        Err(fault) => Err(IpamError::Value { key, fault }),
    }
}

/// A block must stand under its own key: written back under another one it would be there twice.
fn checked_place(key: &str, prefix: BlockPrefix) -> Result<(), IpamError> {
    if key == key::block(prefix.into()) {
        return Ok(());
    }
    Err(IpamError::Misplaced {
        key: key.to_owned(),
        found: format!("block {prefix}"),
    })
}
