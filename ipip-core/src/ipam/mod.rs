//! Who has which address: nodes claim blocks, and assign addresses from them.
//!
//! [`Ipam`] works on any [`Store`], with Calico's keys and values, so several of them on one store,
//! and Calico beside them, share one network. What may happen to one block is guarded by
//! [`Block`]; `decide` and `terms` choose between blocks, as pure functions; `claim`,
//! `assign` and `release` read, let decide, and commit. A search for any addresses (`search`) goes
//! through the node's own blocks, free ones (`probe`), and those of others (`borrow`); what it finds
//! in one block is stored in one place (`put`).
//!
//! Each of these is one commit: claiming a block (the node's claim and the block), assigning
//! addresses of one block (the block and the handle, and the claim if the block is new), releasing
//! them (the same). So a crash leaves no claim without a block and no address without a handle. A
//! commit holds the revisions of what was read; if somebody else was faster, everything is read
//! again (`retry`), after a pause by chance, until a deadline, and others wait then if the store can
//! make them ([`Store::in_turn`]). Each claim also writes the record of
//! its node as an owner of blocks, `…/ipam/v2/host/<node>`, which Calico knows and removes with the
//! node: two claims of one node at once therefore count each other.
//!
//! States that Calico's staged protocol leaves behind are completed on the way: a claim that is
//! pending, or has no block, is confirmed in the commit that uses it, and one whose block belongs to
//! another node is removed. The owner of a block is the one that the block names.
//!
//! When a store loses the reply of a commit ([`StoreError::Unknown`](crate::datastore::StoreError)),
//! the allocator first makes sure that the commit cannot take effect any more unless it has, and
//! then looks for its work: an assignment is known by its sequence number and its owner. Only without
//! a handle nobody can tell, and the caller gets the error.
//!
//! Around that stand the works of who looks after a network: `pools`, `pool_deletion`, `reservations`,
//! `nodes` and `tunnel_address` create, change and end what blocks are cut for; [`Ipam::usage`] counts,
//! [`Ipam::check`] finds what is wrong, [`Ipam::repair`] mends what is certain, and [`Ipam::collect`]
//! releases what nobody needs any more. What takes several commits can be stopped after each, and is
//! completed by the next call.
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
mod borrow;
mod cache;
mod check;
mod claim;
mod collect;
mod config;
mod decide;
mod each;
mod error;
mod nodes;
mod pool_deletion;
mod pools;
mod probe;
mod put;
mod read;
mod recent;
mod release;
mod repair;
mod request;
mod reservations;
mod retry;
mod search;
mod terms;
mod tunnel_address;
mod usage;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

pub use ambient::Ambient;
pub use check::{Checked, Found, Problem, Report, Seen};
pub use claim::{BlockRelease, Claimed};
pub use collect::{Collected, Collector};
pub use each::Given;
pub use error::{IpamError, IpamErrorKind};
pub use nodes::NodeRemoval;
pub use pool_deletion::{PoolDeletion, Remaining};
pub use repair::{Left, Repaired, Why};
pub use request::{Assigned, Assignments, RefusedBlock, ReleasedMany, Request, Shortfall};
pub use usage::{AddressUsage, BlockUsage, Borrowed, Counts, PoolUsage, Usage};

use crate::datastore::{Record, Store, key};
use crate::name::NodeName;
use crate::resource::Block;
use cache::Cache;

/// An allocator on a store.
///
/// Any number of them, in threads or processes, may work on one store: what an allocator remembers
/// it believes only at the revision that the store tells. Every method takes `&self` and either does
/// all that it says or leaves the store as it was; those for many addresses say what they did.
#[derive(Debug, Clone)]
pub struct Ipam {
    store: Arc<dyn Store>,
    ambient: Ambient,
    deadline: Duration,
    cache: Arc<Cache>,
}

impl Ipam {
    /// An allocator on `store`, with the time and chance of `ambient`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ambient: Ambient) -> Self {
        Self {
            store,
            ambient,
            deadline: retry::DEADLINE,
            cache: Arc::default(),
        }
    }

    /// The same allocator, which gives up with [`IpamError::Busy`] once others have been faster for
    /// this long, not 10 s. One call that takes addresses of several blocks may wait so long for each.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The blocks that `node` owns, in the order of their keys.
    ///
    /// # Errors
    /// [`IpamError`] if the store cannot be read or holds a damaged value.
    pub fn blocks_of(&self, node: &NodeName) -> Result<Vec<Block>, IpamError> {
        let mut blocks = Vec::new();
        for claim in self.claims_of(node)? {
            let block = self.read_block(claim.block)?.map(|stored| stored.value);
            let own = block.filter(|block| decide::is_owned_by(block, node));
            blocks.extend(own.map(Arc::unwrap_or_clone));
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
            let block = self.parse_block(record)?.value;
            Ok(Arc::unwrap_or_clone(block))
        };
        records.into_iter().map(block).collect()
    }

    /// The block that holds `addr`, whoever owns it; `None` if nobody claimed it yet.
    ///
    /// # Errors
    /// As [`Ipam::blocks_of`].
    pub fn block_of(&self, addr: Ipv4Addr) -> Result<Option<Block>, IpamError> {
        let found = self.find_block(addr, &self.read_pools()?)?;
        Ok(found.map(|stored| Arc::unwrap_or_clone(stored.value)))
    }
}

/// JSON as text, which is what it is.
fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("JSON is UTF-8")
}
