//! What cannot be followed, and what cannot be read.

use std::fmt;

use crate::addr::Ipv4Prefix;
use crate::datastore::{StoreError, key};
use crate::name::NodeName;
use crate::resource::ResourceError;

/// Why the cluster could not be read. The view is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The store failed.
    #[error("the cluster's records cannot be {operation}")]
    Store {
        /// What was tried: "listed" or "watched".
        operation: &'static str,
        /// The store's words.
        #[source]
        source: StoreError,
    },
}

/// A record that is kept out of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub key: String,
    /// What is wrong with it.
    pub reason: FaultReason,
}

/// Why a record is kept out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultReason {
    /// The key names nothing of its kind.
    #[error("the key names no {kind}")]
    Key {
        /// What it should name: "node", "pool" or "block".
        kind: &'static str,
    },
    /// The value is damaged.
    #[error(transparent)]
    Value(#[from] ResourceError),
    /// The value is that of another key.
    #[error("it holds {found}")]
    Misplaced {
        /// What stands there.
        found: String,
    },
}

impl Fault {
    /// The block whose record it is, where it is one: its addresses may be in use.
    #[must_use]
    pub fn block(&self) -> Option<Ipv4Prefix> {
        key::parse_block(&self.key)
    }

    /// The node whose record it is, where it is one.
    #[must_use]
    pub fn node(&self) -> Option<NodeName> {
        let name = self.key.strip_prefix(key::node_prefix())?;
        NodeName::try_new(name).ok()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}
