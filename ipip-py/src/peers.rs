//! `Peers`: who may send us what.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ipip_core::addr::NodeAddr;
use ipip_core::peers;
use pyo3::prelude::*;

use crate::args;

/// Which node holds which prefix, longest prefix first: its blocks, and the addresses it borrowed as
/// prefixes of 32 bits.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Peers(RwLock<peers::Peers>);

impl Peers {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, peers::Peers> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Peers {
    #[new]
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// Records that prefix is behind the node at node_addr, whoever held it before.
    fn insert(&self, prefix: &Bound<'_, PyAny>, node_addr: &Bound<'_, PyAny>) -> PyResult<()> {
        let prefix = args::prefix("prefix", prefix)?;
        let node_addr = NodeAddr(args::address("node_addr", node_addr)?);
        let mut peers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        peers.insert(prefix, node_addr);
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.read().len()
    }
}
