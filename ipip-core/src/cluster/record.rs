//! Which kind of record a key is, and what its value says.

use super::FaultReason;
use crate::datastore::key;
use crate::name::NodeName;
use crate::resource::{Block, BlockPrefix, Node, Pool};

/// What a key of the cluster names. Other keys are none of the view's.
pub(super) enum Place {
    Node(NodeName),
    Pool(String),
    Block(BlockPrefix),
    /// It stands where one of this kind should, and names none.
    Nothing(&'static str),
}

/// A value that a view holds.
pub(super) enum Record {
    Node(Node),
    Pool(Pool),
    Block(Block),
}

impl Place {
    /// What `key` names; `None` for keys of other kinds.
    pub(super) fn of(key: &str) -> Option<Self> {
        if let Some(name) = key.strip_prefix(key::node_prefix()) {
            let node = NodeName::try_new(name).map(Self::Node);
            return Some(node.unwrap_or(Self::Nothing("node")));
        }
        if let Some(name) = key.strip_prefix(key::pool_prefix()) {
            let is_one = !name.is_empty() && !name.contains('/');
            return Some(if is_one {
                Self::Pool(name.to_owned())
            } else {
                Self::Nothing("pool")
            });
        }
        key.starts_with(key::block_prefix()).then(|| {
            let prefix = key::parse_block(key).and_then(|prefix| prefix.try_into().ok());
            prefix.map_or(Self::Nothing("block"), Self::Block)
        })
    }

    /// The value that stands here; `None` for a pool of IPv6, which is nobody's fault.
    pub(super) fn read(&self, value: &[u8]) -> Result<Option<Record>, FaultReason> {
        match self {
            Self::Node(name) => {
                let node = Node::from_json(value)?;
                let found = || format!("node {}", node.name());
                in_place(node.name() == name, found)?;
                Ok(Some(Record::Node(node)))
            }
            Self::Pool(name) => {
                let pool = Pool::from_json(value)?;
                if let Some(pool) = &pool {
                    in_place(pool.name() == name, || format!("pool {}", pool.name()))?;
                }
                Ok(pool.map(Record::Pool))
            }
            Self::Block(prefix) => {
                let block = Block::from_json(value)?;
                let found = || format!("block {}", block.prefix());
                in_place(block.prefix() == *prefix, found)?;
                Ok(Some(Record::Block(block)))
            }
            Self::Nothing(kind) => Err(FaultReason::Key { kind }),
        }
    }
}

fn in_place(is: bool, found: impl FnOnce() -> String) -> Result<(), FaultReason> {
    if is {
        return Ok(());
    }
    Err(FaultReason::Misplaced { found: found() })
}
