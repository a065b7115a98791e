//! What can be wrong with a stored value, with a call on a block, and with a pool.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{AllocatorConfig, BlockPrefix, BlockPrefixError, IpipMode, Sequence};
use crate::addr::{Ipv4Prefix, PrefixError};

/// Why a text is not the JSON of one of Calico's values.
///
/// The message says which field breaks which rule; the caller adds the key it stood under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The text is not one JSON object.
    #[error("not a JSON object: {detail}")]
    Syntax {
        /// What the JSON parser said, with line and column.
        detail: String,
    },
    /// A field holds a value of another type or range.
    #[error("field {field}: {detail}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What was found and what is allowed.
        detail: String,
    },
    /// A field without which the value means nothing is not there.
    #[error("field {field} is missing")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// The block's `cidr` is not the prefix of a block.
    #[error(transparent)]
    Prefix(#[from] BlockPrefixError),
    /// `allocations` does not have one entry for each address.
    #[error("allocations has {found} entries, block {block} has {} addresses", block.size())]
    AllocationsLen {
        /// The block.
        block: BlockPrefix,
        /// The number of entries found.
        found: usize,
    },
    /// An entry of `allocations` points past `attributes`.
    #[error("allocations[{ordinal}] is {index}, attributes has {attributes} entries")]
    AllocationIndex {
        /// The ordinal, counted from 0.
        ordinal: usize,
        /// The index found.
        index: i64,
        /// How many attributes there are.
        attributes: usize,
    },
    /// An entry of `attributes` to which no allocation points. It is dropped where the block is read.
    #[error("attributes[{index}] is of no address")]
    StrayAttribute {
        /// Its index, counted from 0.
        index: usize,
    },
    /// `unallocated` holds a number that is no ordinal of the block.
    #[error("unallocated holds {found}, block {block} has ordinals 0 to {}", block.size() - 1)]
    UnallocatedRange {
        /// The block.
        block: BlockPrefix,
        /// The number found.
        found: i64,
    },
    /// `unallocated` holds an ordinal twice, or one that `allocations` says is assigned.
    #[error("unallocated holds ordinal {ordinal} {}", if *.assigned { "which is assigned" } else { "twice" })]
    UnallocatedTaken {
        /// The ordinal.
        ordinal: u16,
        /// Whether it is assigned; otherwise it is listed twice.
        assigned: bool,
    },
    /// An ordinal is neither assigned nor in `unallocated`.
    #[error("ordinal {ordinal} is neither assigned nor in unallocated")]
    UnallocatedMissing {
        /// The ordinal.
        ordinal: usize,
    },
    /// `sequenceNumberForAllocation` has a key that is no ordinal of the block.
    #[error("sequenceNumberForAllocation has the key {key:?}, block {block} has ordinals 0 to {}", block.size() - 1)]
    SequenceKey {
        /// The block.
        block: BlockPrefix,
        /// The key found.
        key: String,
    },
    /// The pool breaks a rule.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The reservation breaks a rule.
    #[error(transparent)]
    Reservation(#[from] ReservationError),
}

/// Why a block refuses an assignment or a release; the block is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Every address is assigned or cooling down.
    #[error("block {block} is full, all {} addresses are assigned", block.size())]
    Full {
        /// The block.
        block: BlockPrefix,
    },
    /// The address is in another block.
    #[error("address {addr} is outside block {block}")]
    Outside {
        /// The block.
        block: BlockPrefix,
        /// The address asked for.
        addr: Ipv4Addr,
    },
    /// The ordinal exceeds the block.
    #[error("ordinal {ordinal} is outside 0 to {} of block {block}", block.size() - 1)]
    Ordinal {
        /// The block.
        block: BlockPrefix,
        /// The ordinal asked for.
        ordinal: u32,
    },
    /// The address already belongs to somebody.
    #[error("address {addr} is already assigned{}", with_handle(.handle))]
    AlreadyAssigned {
        /// The address asked for.
        addr: Ipv4Addr,
        /// The handle that has it, if it has one.
        handle: Option<String>,
    },
    /// The address belongs to nobody.
    #[error("address {addr} is not assigned")]
    NotAssigned {
        /// The address to be released.
        addr: Ipv4Addr,
    },
    /// The address belongs to somebody else than the caller expects.
    #[error("address {addr} is assigned{}, not with handle {expected:?}", with_handle(.found))]
    HandleMismatch {
        /// The address to be released.
        addr: Ipv4Addr,
        /// The handle that the caller expects.
        expected: String,
        /// The handle found, if any.
        found: Option<String>,
    },
    /// The address was released and assigned again since the caller looked.
    #[error("address {addr} was assigned at sequence number {found}, not at {expected}")]
    SequenceMismatch {
        /// The address to be released.
        addr: Ipv4Addr,
        /// The sequence number that the caller remembers.
        expected: Sequence,
        /// The sequence number of the present assignment.
        found: Sequence,
    },
}

/// Why something is not a pool that blocks can be cut from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The name is not one element of a datastore path as Kubernetes writes names.
    #[error(
        "pool name {name:?} must be 1 to 253 of a-z, 0-9, '-' and '.', first and last a letter or digit"
    )]
    Name {
        /// The name found.
        name: String,
    },
    /// The prefix has host bits set.
    #[error("pool {name}: {fault}")]
    Prefix {
        /// The pool's name.
        name: String,
        /// What is wrong with the prefix; part of the message, so not chained.
        fault: PrefixError,
    },
    /// The block size is not one of Calico's.
    #[error("pool {name}: block size /{len} is outside /20 to /32")]
    BlockLen {
        /// The pool's name.
        name: String,
        /// The prefix length of a block, in bits.
        len: u8,
    },
    /// The pool is smaller than one block.
    #[error("pool {name}: {cidr} is smaller than one block of /{block_len}")]
    TooSmall {
        /// The pool's name.
        name: String,
        /// The pool's prefix.
        cidr: Ipv4Prefix,
        /// The prefix length of a block, in bits.
        block_len: u8,
    },
    /// The pool lies in 169.254.0.0/16, which never leaves a link.
    #[error("pool {name}: {cidr} overlaps the link-local range 169.254.0.0/16")]
    LinkLocal {
        /// The pool's name.
        name: String,
        /// The pool's prefix.
        cidr: Ipv4Prefix,
    },
    /// The pool asks for two encapsulations.
    #[error("pool {name}: ipip mode {ipip} and vxlan mode {vxlan} exclude each other")]
    TwoEncapsulations {
        /// The pool's name.
        name: String,
        /// When packets are encapsulated by IPIP.
        ipip: IpipMode,
        /// When packets are encapsulated by VXLAN.
        vxlan: IpipMode,
    },
}

/// Why a pool may not become another one; it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolUpdateError {
    /// A pool's name is its key.
    #[error("pool {name} cannot become {wanted}: a pool is never renamed")]
    Name {
        /// The pool's name.
        name: String,
        /// The name asked for.
        wanted: String,
    },
    /// The prefix of a pool stays.
    #[error(
        "pool {name}: {cidr} cannot become {wanted}: blocks and addresses in use would be in no pool; create another pool and delete this one"
    )]
    Prefix {
        /// The pool's name.
        name: String,
        /// Its prefix.
        cidr: Ipv4Prefix,
        /// The prefix asked for.
        wanted: Ipv4Prefix,
    },
    /// The block size of a pool stays.
    #[error(
        "pool {name}: block size /{block_len} cannot become /{wanted}: new blocks would overlap those in use; create another pool and delete this one"
    )]
    BlockLen {
        /// The pool's name.
        name: String,
        /// The prefix length of its blocks, in bits.
        block_len: u8,
        /// The length asked for.
        wanted: u8,
    },
    /// What is asked for breaks a rule for pools.
    #[error(transparent)]
    Rule(#[from] PoolError),
}

/// Why a configuration of the allocator is not to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither strict affinity nor new blocks.
    #[error("auto_allocate_blocks false needs strict_affinity true")]
    NoBlocks,
    /// A limit would only make nodes borrow.
    #[error("max_blocks_per_node {limit} needs strict_affinity true")]
    LimitWithoutStrict {
        /// The limit, in blocks.
        limit: u32,
    },
    /// The cool-down is too long, or no whole seconds.
    #[error(
        "cooldown {cooldown:?} is not whole seconds of at most {:?}",
        AllocatorConfig::COOLDOWN_MAX
    )]
    Cooldown {
        /// The cool-down found.
        cooldown: Duration,
    },
}

/// Why something is not a reservation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReservationError {
    /// The name is not one element of a datastore path as Kubernetes writes names.
    #[error(
        "reservation name {name:?} must be 1 to 253 of a-z, 0-9, '-' and '.', first and last a letter or digit"
    )]
    Name {
        /// The name found.
        name: String,
    },
    /// A prefix has host bits set.
    #[error("reservation {name}: {fault}")]
    Prefix {
        /// The reservation's name.
        name: String,
        /// What is wrong with the prefix; part of the message, so not chained.
        fault: PrefixError,
    },
}

fn with_handle(handle: &Option<String>) -> String {
    match handle {
        Some(handle) => format!(" with handle {handle:?}"),
        None => " without a handle".to_owned(),
    }
}
