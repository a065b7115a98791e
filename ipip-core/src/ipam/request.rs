//! What is asked of the allocator for many addresses at once, and what it answers.

use std::fmt;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::IpamError;
use crate::name::NodeName;
use crate::resource::{Attribute, Released, Sequence, Use};

/// An address that was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The address.
    pub addr: Ipv4Addr,
    /// The block that it is from.
    pub block: Ipv4Network,
    /// The sequence number of the assignment, for [`Release::at`](crate::resource::Release::at).
    pub sequence: Sequence,
    /// Whether the block belongs to another node, or to nobody: every node must route this address
    /// by itself then, not with its block.
    pub borrowed: bool,
}

/// Any addresses for one owner on one node.
///
/// ```
/// use ipip_core::ipam::Request;
/// use ipip_core::name::NodeName;
/// use ipip_core::resource::Attribute;
/// let request = Request {
///     max_blocks: Some(2),
///     ..Request::new(NodeName::try_new("node-a")?, 64, Attribute::default())
/// };
/// assert!(request.pools.is_empty(), "any pool that selects the node");
/// # Ok::<(), ipip_core::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The node on which they will be.
    pub node: NodeName,
    /// How many, 1 to [`Request::COUNT_MAX`].
    pub count: u32,
    /// To whom. It is stored with its key `node` set to the node's name, unless it has that key:
    /// Calico finds the node of an address by it.
    pub attribute: Attribute,
    /// The pools to take them from, by their prefixes, whatever they select; none: the pools that
    /// select the node.
    pub pools: Vec<Ipv4Network>,
    /// What for; only pools that allow it are used.
    pub purpose: Use,
    /// The most blocks that the node may have to claim one more; a limit of the whole cluster counts
    /// too, and without either it is [`Request::MAX_BLOCKS`].
    pub max_blocks: Option<u32>,
}

impl Request {
    /// The most addresses of one request: 2²⁰, those of a /12.
    pub const COUNT_MAX: u32 = 1 << 20;
    /// The most blocks of a node where nobody says otherwise; Calico's default.
    pub const MAX_BLOCKS: u32 = 20;

    /// `count` addresses for a workload, from any pool that selects the node.
    #[must_use]
    pub fn new(node: NodeName, count: u32, attribute: Attribute) -> Self {
        Self {
            node,
            count,
            attribute,
            pools: Vec::new(),
            purpose: Use::Workload,
            max_blocks: None,
        }
    }
}

/// What was assigned, and why it is less than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Assignments {
    /// The addresses; those of one block have the same sequence number.
    pub assigned: Vec<Assigned>,
    /// Why they are fewer; `None` if they are all.
    pub shortfall: Option<Shortfall>,
}

/// Why fewer addresses were assigned than were asked for. Those that were are the caller's, to use
/// or to release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortfall {
    /// No address is left in these pools.
    PoolsExhausted {
        /// Their names.
        pools: Vec<String>,
    },
    /// No block is left in these pools, and strict affinity forbids to borrow.
    StrictAffinity {
        /// Their names.
        pools: Vec<String>,
    },
    /// The node's blocks are full, and it may not have more.
    BlockLimit {
        /// The most blocks that it may have.
        limit: u32,
    },
    /// The node's blocks are full, and the configuration forbids to claim one.
    AutoAllocationOff,
    /// Something failed after the first block; whoever asks for the rest may learn it again.
    Failed {
        /// What failed.
        error: Box<IpamError>,
    },
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoolsExhausted { pools } => {
                write!(f, "no address is left in pools: {}", pools.join(", "))
            }
            Self::StrictAffinity { pools } => write!(
                f,
                "no block is left in pools: {}, and strict affinity forbids to borrow",
                pools.join(", ")
            ),
            Self::BlockLimit { limit } => write!(
                f,
                "its blocks are full, and it may have no more than {limit} of them"
            ),
            Self::AutoAllocationOff => {
                f.write_str("its blocks are full, and the configuration forbids to claim one")
            }
            Self::Failed { error } => write!(f, "interrupted: {error}"),
        }
    }
}

/// What became of several releases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct ReleasedMany {
    /// What was released.
    pub released: Vec<Released>,
    /// The addresses that nobody had, in order.
    pub not_assigned: Vec<Ipv4Addr>,
    /// The blocks of which nothing was released, and why.
    pub refused: Vec<RefusedBlock>,
}

/// A block of which nothing was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedBlock {
    /// The block's prefix.
    pub block: Ipv4Network,
    /// Why: an assignment was not the one that the caller knows, or the store failed.
    pub error: IpamError,
}
