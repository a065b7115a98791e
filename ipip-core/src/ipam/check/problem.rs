//! What can be wrong in a store.

use std::net::Ipv4Addr;

use crate::addr::Ipv4Prefix;
use crate::name::NodeName;
use crate::resource::{AffinityState, BlockPrefix, ObjectWriter, ResourceError, Sequence};

/// One thing that is wrong in a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A value cannot be read at all.
    #[error("the value of key {key} cannot be read: {fault}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with the value; part of the message, so not chained.
        fault: ResourceError,
    },
    /// A key is none of its kind, or its value belongs under another one.
    #[error("key {key}: {found}")]
    Misplaced {
        /// The key.
        key: String,
        /// What is there.
        found: String,
    },
    /// A block breaks a rule; each rule that it breaks is a problem of its own.
    #[error("block {block}: {fault}")]
    BlockFault {
        /// The block, as the key names it.
        block: BlockPrefix,
        /// The rule and what was found; part of the message, so not chained.
        fault: ResourceError,
    },
    /// A block lies in no pool.
    #[error("block {block} is in no pool")]
    BlockOutsidePools {
        /// The block.
        block: BlockPrefix,
    },
    /// A block has another size than those of its pool.
    #[error("block {block} is not a /{block_len}, the size of the blocks of pool {pool}")]
    BlockLen {
        /// The block.
        block: BlockPrefix,
        /// The pool.
        pool: String,
        /// The prefix length of its blocks in bits.
        block_len: u8,
    },
    /// Two blocks share addresses.
    #[error("block {block} lies in block {around}")]
    BlocksOverlap {
        /// The smaller block.
        block: BlockPrefix,
        /// The larger one.
        around: BlockPrefix,
    },
    /// A block names a node as its owner, which has no claim on it.
    #[error("block {block} is owned by node {node}, which has no claim on it")]
    BlockUnclaimed {
        /// The block.
        block: BlockPrefix,
        /// The node.
        node: NodeName,
    },
    /// Nobody owns a block, and no address of it is assigned.
    #[error("block {block} is empty and owned by nobody")]
    BlockOrphaned {
        /// The block.
        block: BlockPrefix,
    },
    /// A node's claim on its block is not confirmed.
    #[error("the claim of node {node} on its block {block} is {state}")]
    ClaimUnconfirmed {
        /// The node.
        node: NodeName,
        /// The block.
        block: BlockPrefix,
        /// What it is instead.
        state: AffinityState,
    },
    /// A node claims a block that is not there.
    #[error("node {node} claims block {block}, which is not there")]
    ClaimWithoutBlock {
        /// The node.
        node: NodeName,
        /// The block.
        block: BlockPrefix,
    },
    /// A node claims a block that is somebody else's.
    #[error("node {node} claims block {block}, which is owned by {}", owner.as_deref().unwrap_or("nobody"))]
    ClaimOfOther {
        /// The node.
        node: NodeName,
        /// The block.
        block: BlockPrefix,
        /// The owner as the block names it, `host:node-a`; `None` after its owner gave it up.
        owner: Option<String>,
    },
    /// A handle has addresses and no record, so that they cannot be released by it.
    #[error("handle {handle:?} has {addresses} addresses and no record")]
    HandleMissing {
        /// The handle.
        handle: String,
        /// How many addresses it has.
        addresses: u32,
    },
    /// A handle has a record and no address.
    #[error("handle {handle:?} has a record and no address")]
    HandleLeaked {
        /// The handle.
        handle: String,
    },
    /// A handle's record counts another number of addresses than it has.
    #[error("handle {handle:?} counts {counted} addresses in block {block}, and has {found}")]
    HandleCount {
        /// The handle.
        handle: String,
        /// The block.
        block: BlockPrefix,
        /// How many the record counts.
        counted: u64,
        /// How many there are.
        found: u32,
    },
    /// An address is assigned in two blocks that overlap.
    #[error("address {addr} is assigned in block {block} and in block {around}")]
    Duplicated {
        /// The address.
        addr: Ipv4Addr,
        /// The smaller block.
        block: BlockPrefix,
        /// The larger one.
        around: BlockPrefix,
    },
    /// An address is assigned to a handle that the caller says is not alive.
    #[error("address {addr} is assigned to handle {handle:?}, which is not alive")]
    Leaked {
        /// The address.
        addr: Ipv4Addr,
        /// The handle.
        handle: String,
        /// The sequence number of the assignment.
        sequence: Sequence,
    },
    /// The record of a node names a tunnel address that is not assigned to its tunnel device.
    #[error("node {node} has the tunnel address {addr}, which is not assigned to it")]
    TunnelAddress {
        /// The node.
        node: NodeName,
        /// The address.
        addr: Ipv4Addr,
    },
    /// Two pools share addresses.
    #[error("pool {pool} overlaps pool {other}")]
    PoolsOverlap {
        /// The one.
        pool: String,
        /// The other.
        other: String,
    },
    /// A selector of a pool is malformed, so that the pool serves nobody who does not name it.
    #[error("pool {pool}: {fault}")]
    PoolSelector {
        /// The pool.
        pool: String,
        /// What is wrong with it.
        fault: String,
    },
    /// An entry of a reservation is neither an address nor a prefix, so that it reserves nothing.
    #[error("reservation {reservation}: {entry:?} is neither an address nor a prefix")]
    ReservationEntry {
        /// The reservation.
        reservation: String,
        /// The entry.
        entry: String,
    },
}

impl Problem {
    /// What kind of problem it is, in one word, as the JSON names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Misplaced { .. } => "misplaced",
            Self::BlockFault { .. } => "blockFault",
            Self::BlockOutsidePools { .. } => "blockOutsidePools",
            Self::BlockLen { .. } => "blockLen",
            Self::BlocksOverlap { .. } => "blocksOverlap",
            Self::BlockUnclaimed { .. } => "blockUnclaimed",
            Self::BlockOrphaned { .. } => "blockOrphaned",
            Self::ClaimUnconfirmed { .. } => "claimUnconfirmed",
            Self::ClaimWithoutBlock { .. } => "claimWithoutBlock",
            Self::ClaimOfOther { .. } => "claimOfOther",
            Self::HandleMissing { .. } => "handleMissing",
            Self::HandleLeaked { .. } => "handleLeaked",
            Self::HandleCount { .. } => "handleCount",
            Self::Duplicated { .. } => "duplicated",
            Self::Leaked { .. } => "leaked",
            Self::TunnelAddress { .. } => "tunnelAddress",
            Self::PoolsOverlap { .. } => "poolsOverlap",
            Self::PoolSelector { .. } => "poolSelector",
            Self::ReservationEntry { .. } => "reservationEntry",
        }
    }

    /// The block that it is about, if it is about one; the smaller of two.
    #[must_use]
    pub fn block(&self) -> Option<Ipv4Prefix> {
        match self {
            Self::BlockFault { block, .. }
            | Self::BlockOutsidePools { block }
            | Self::BlockLen { block, .. }
            | Self::BlocksOverlap { block, .. }
            | Self::BlockUnclaimed { block, .. }
            | Self::BlockOrphaned { block }
            | Self::ClaimUnconfirmed { block, .. }
            | Self::ClaimWithoutBlock { block, .. }
            | Self::ClaimOfOther { block, .. }
            | Self::HandleCount { block, .. }
            | Self::Duplicated { block, .. } => Some(block.prefix()),
            _ => None,
        }
    }

    /// The address that it is about, if it is about one.
    #[must_use]
    pub fn addr(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Duplicated { addr, .. }
            | Self::Leaked { addr, .. }
            | Self::TunnelAddress { addr, .. } => Some(*addr),
            _ => None,
        }
    }

    /// The handle that it is about, if it is about one.
    #[must_use]
    pub fn handle(&self) -> Option<&str> {
        match self {
            Self::HandleMissing { handle, .. }
            | Self::HandleLeaked { handle }
            | Self::HandleCount { handle, .. }
            | Self::Leaked { handle, .. } => Some(handle),
            _ => None,
        }
    }

    /// The node that it is about, if it is about one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::BlockUnclaimed { node, .. }
            | Self::ClaimUnconfirmed { node, .. }
            | Self::ClaimWithoutBlock { node, .. }
            | Self::ClaimOfOther { node, .. }
            | Self::TunnelAddress { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Writes kind, message, and what it is about.
    pub(in crate::ipam) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.field("kind", self.kind());
        object.field("message", &self.to_string());
        if let Some(block) = self.block() {
            object.field("block", &block.to_string());
        }
        if let Some(addr) = self.addr() {
            object.field("address", &addr.to_string());
        }
        if let Some(handle) = self.handle() {
            object.field("handle", handle);
        }
        if let Some(node) = self.node() {
            object.field("node", node.as_str());
        }
        if let Self::Leaked { sequence, .. } = self {
            object.field("sequence", &sequence.0);
        }
    }
}
