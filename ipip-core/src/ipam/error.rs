//! Why the allocator refuses.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnetwork::Ipv4Network;

use super::{Request, Shortfall};
use crate::addr::Ipv4Prefix;
use crate::datastore::StoreError;
use crate::name::NameError;
use crate::resource::{
    BlockError, BlockPrefix, BlockPrefixError, ConfigError, PoolError, PoolUpdateError,
    ResourceError,
};

/// Why an operation of the allocator was refused; the store is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IpamError {
    /// No pool contains the address.
    #[error("address {addr} is outside every pool")]
    OutsidePools {
        /// The address.
        addr: Ipv4Addr,
    },
    /// No pool contains the block.
    #[error("block {block} is outside every pool")]
    BlockOutsidePools {
        /// The block.
        block: BlockPrefix,
    },
    /// The pool is disabled or being deleted.
    #[error("pool {pool} is disabled")]
    PoolDisabled {
        /// The pool's name.
        pool: String,
    },
    /// There is no pool from which the node may take any address for this use.
    #[error("there is no enabled pool for this node and use")]
    NoPool,
    /// A pool that is named is not there.
    #[error("there is no pool {cidr}")]
    PoolUnknown {
        /// Its prefix.
        cidr: Ipv4Network,
    },
    /// There is no pool of this name.
    #[error("there is no pool named {pool}")]
    PoolMissing {
        /// The name.
        pool: String,
    },
    /// There is a reservation of this name.
    #[error("reservation {reservation} exists already")]
    ReservationExists {
        /// The name.
        reservation: String,
    },
    /// There is no reservation of this name.
    #[error("there is no reservation named {reservation}")]
    ReservationMissing {
        /// The name.
        reservation: String,
    },
    /// Every address of every pool is assigned; or every block is claimed, where one was asked for.
    #[error("nothing is left for node {node} in pools: {}", pools.join(", "))]
    PoolsExhausted {
        /// The node that asked.
        node: String,
        /// The names of the pools that were searched.
        pools: Vec<String>,
    },
    /// The node gets no address, though the pools may have some.
    #[error("nothing is assigned to node {node}: {shortfall}")]
    Short {
        /// The node that asked.
        node: String,
        /// Why not.
        shortfall: Shortfall,
    },
    /// A block of another size than the pool is cut into.
    #[error("block {block} is not a /{block_len}, the size of the blocks of pool {pool}")]
    WrongBlockSize {
        /// The block asked for.
        block: BlockPrefix,
        /// The pool's name.
        pool: String,
        /// The prefix length of the pool's blocks in bits.
        block_len: u8,
    },
    /// The block belongs to somebody else, or outlived its owner's claim.
    #[error("block {block} is owned by {}", owner.as_deref().unwrap_or("nobody, and still in use"))]
    BlockOwned {
        /// The block.
        block: BlockPrefix,
        /// The owner as the block names it, `host:node-a`; `None` after its owner gave it up.
        owner: Option<String>,
    },
    /// The block would share addresses with one of another size.
    #[error("block {block} overlaps block {existing}")]
    BlockOverlaps {
        /// The block asked for.
        block: BlockPrefix,
        /// The block that is there.
        existing: Ipv4Prefix,
    },
    /// The node has no claim on the block.
    #[error("node {node} has no block {block}")]
    BlockNotClaimed {
        /// The node.
        node: String,
        /// The block.
        block: BlockPrefix,
    },
    /// No address has this handle.
    #[error("handle {handle:?} has no addresses")]
    HandleUnknown {
        /// The handle.
        handle: String,
    },
    /// There is a pool of this name.
    #[error("pool {pool} exists already")]
    PoolExists {
        /// The pool's name.
        pool: String,
    },
    /// The pool would share addresses with another one.
    #[error("pool {pool} {cidr} overlaps pool {other} {other_cidr}")]
    PoolOverlaps {
        /// The new pool's name.
        pool: String,
        /// The new pool's prefix.
        cidr: Ipv4Prefix,
        /// The name of the pool that is there.
        other: String,
        /// Its prefix.
        other_cidr: Ipv4Prefix,
    },
    /// A block of another size, left by an earlier pool, lies in the new one.
    #[error("pool {pool} is cut into blocks of /{block_len}, but there is block {existing} in it")]
    PoolBlockSize {
        /// The new pool's name.
        pool: String,
        /// The prefix length of its blocks in bits.
        block_len: u8,
        /// The block that is there.
        existing: Ipv4Prefix,
    },
    /// The block refuses: full, already assigned, not assigned, not by this handle.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A request for no address, or for too many.
    #[error(
        "{count} addresses were asked for, 1 to {} are allowed at once",
        Request::COUNT_MAX
    )]
    Count {
        /// How many were asked for.
        count: u32,
    },
    /// Not the prefix of a block.
    #[error(transparent)]
    Prefix(#[from] BlockPrefixError),
    /// Not a pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Not what a stored pool may become.
    #[error(transparent)]
    PoolUpdate(#[from] PoolUpdateError),
    /// Not a configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a handle.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored value is damaged, or of a kind that we cannot read.
    #[error("the value of key {key} cannot be read: {fault}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with the value; part of the message, so not chained.
        fault: ResourceError,
    },
    /// A stored value belongs under another key.
    #[error("the value of key {key} is that of {found}")]
    Misplaced {
        /// The key.
        key: String,
        /// What the value says that it is.
        found: String,
    },
    /// Others changed the same records faster, each time.
    #[error("{object} changed during each of {attempts} attempts in {} ms", waited.as_millis())]
    Busy {
        /// What was to be changed.
        object: String,
        /// How often it was tried.
        attempts: u32,
        /// How long it was tried.
        waited: Duration,
    },
}

/// What a caller can do about an [`IpamError`]; the other languages choose status codes and
/// exception types by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpamErrorKind {
    /// The argument can never be right: ask for something else (`ValueError`).
    Invalid,
    /// What is named is not there: an address that is not assigned, a handle without addresses
    /// (`LookupError`).
    NotFound,
    /// What is named belongs to somebody: an address, a block, a pool's name or range.
    Taken,
    /// Nothing is left to be assigned.
    Exhausted,
    /// Others were faster: try later.
    Busy,
    /// The store holds something damaged: a person must look.
    Damaged,
    /// The store failed.
    Store,
}

impl IpamError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> IpamErrorKind {
        use IpamErrorKind::{Busy, Damaged, Exhausted, Invalid, NotFound, Store, Taken};
        match self {
            Self::OutsidePools { .. }
            | Self::BlockOutsidePools { .. }
            | Self::PoolDisabled { .. }
            | Self::PoolUnknown { .. }
            | Self::WrongBlockSize { .. }
            | Self::Count { .. }
            | Self::Prefix(_)
            | Self::Pool(_)
            | Self::PoolUpdate(_)
            | Self::Config(_)
            | Self::Name(_) => Invalid,
            Self::BlockNotClaimed { .. }
            | Self::HandleUnknown { .. }
            | Self::PoolMissing { .. }
            | Self::ReservationMissing { .. } => NotFound,
            Self::BlockOwned { .. }
            | Self::BlockOverlaps { .. }
            | Self::PoolExists { .. }
            | Self::ReservationExists { .. }
            | Self::PoolOverlaps { .. }
            | Self::PoolBlockSize { .. } => Taken,
            Self::NoPool | Self::PoolsExhausted { .. } | Self::Short { .. } => Exhausted,
            Self::Busy { .. } => Busy,
            Self::Value { .. } | Self::Misplaced { .. } => Damaged,
            Self::Store(_) => Store,
            Self::Block(error) => error.kind(),
        }
    }
}

impl BlockError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> IpamErrorKind {
        match self {
            Self::Full { .. } => IpamErrorKind::Exhausted,
            Self::Outside { .. } | Self::Ordinal { .. } => IpamErrorKind::Invalid,
            Self::AlreadyAssigned { .. }
            | Self::HandleMismatch { .. }
            | Self::SequenceMismatch { .. } => IpamErrorKind::Taken,
            Self::NotAssigned { .. } => IpamErrorKind::NotFound,
        }
    }
}
