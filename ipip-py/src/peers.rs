//! `Peers`: which node is behind which prefix.

use std::net::Ipv4Addr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ipip_core::addr::NodeAddr;
use ipip_core::peers;
use pyo3::prelude::*;

use crate::{args, errors};

/// A prefix, as `ipaddress` has it, with the node behind it.
type Item<'py> = (Bound<'py, PyAny>, Ipv4Addr);

/// The prefixes of every other node, its blocks, and as /32s the addresses it borrowed: who may send us
/// what, and who gets what. The longest prefix wins.
///
/// Nodes are named by their underlay addresses. A change costs the same whatever the number of prefixes.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Peers(RwLock<peers::Peers>);

impl Peers {
    /// Held for a few microseconds, and never while Python runs; so is the other one.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, peers::Peers> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, peers::Peers> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Peers {
    #[new]
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// Records that prefix is behind the node with this underlay address; returns the one that held it
    /// before, or None.
    fn insert(
        &self,
        prefix: &Bound<'_, PyAny>,
        node_addr: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Ipv4Addr>> {
        let prefix = args::prefix("prefix", prefix)?;
        let node = NodeAddr(args::address("node_addr", node_addr)?);
        Ok(self.write().insert(prefix, node).map(|before| before.0))
    }

    /// Forgets prefix; returns the node that held it, or None.
    fn remove(&self, prefix: &Bound<'_, PyAny>) -> PyResult<Option<Ipv4Addr>> {
        let prefix = args::prefix("prefix", prefix)?;
        Ok(self.write().remove(prefix).map(|before| before.0))
    }

    /// The node behind an address, the one with the longest prefix that contains it; None if there is none.
    fn node_of(&self, address: &Bound<'_, PyAny>) -> PyResult<Option<Ipv4Addr>> {
        let address = args::address("address", address)?;
        Ok(self.read().node_of(address).map(|node| node.0))
    }

    /// Returns if a packet with these sources is to be accepted.
    ///
    /// Raises PacketError: UnknownNode if the outer source has no prefix, NoHost if the inner source is no
    /// single host's address, ForeignSource if it is not behind that node.
    #[pyo3(signature = (*, outer_source, inner_source))]
    fn check(
        &self,
        outer_source: &Bound<'_, PyAny>,
        inner_source: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let outer = NodeAddr(args::address("outer_source", outer_source)?);
        let inner = args::address("inner_source", inner_source)?;
        let check = self.read().check(outer, inner);
        check.map_err(errors::peer(outer_source.py()))
    }

    /// Each prefix with the node behind it, in the order of the prefixes.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Vec<Item<'py>>> {
        let mut items: Vec<_> = self.read().iter().collect();
        items.sort_unstable();
        let items = items.into_iter();
        items
            .map(|(prefix, node)| Ok((args::network(py, prefix)?, node.0)))
            .collect()
    }

    /// How many prefixes are recorded.
    fn __len__(&self) -> usize {
        self.read().len()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Option<bool> {
        let other = other.cast::<Self>().ok()?;
        // One after the other: a lock may not be taken twice by one thread.
        let other = other.get().read().clone();
        Some(*self.read() == other)
    }

    fn __repr__(&self) -> String {
        format!("<Peers with {} prefixes>", self.read().len())
    }
}
