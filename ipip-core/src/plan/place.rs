//! Where something is.

use std::path::Path;
use std::sync::Arc;

/// The network namespace that something is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The node's own namespace.
    Node,
    /// A workload's namespace, by the path it is opened with.
    Workload(Arc<Path>),
}
