//! `Ipam`: the allocator on a store.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipip_core::addr::Ipv4Prefix;
use ipip_core::ipam::{self, Ambient, BlockRelease, IpamError};
use ipip_core::name::NodeName;
use pyo3::prelude::*;

use crate::attributes::{self, Released};
use crate::block::{Assignment, Block};
use crate::log::without_gil;
use crate::pool::Pool;
use crate::store::Store;
use crate::{args, errors};

/// Who has which address: nodes claim blocks, and assign addresses from them.
///
/// It keeps nothing but the store: any number of them, in any threads, may work on one store. Each
/// call either does all that it says or leaves the store as it was.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Ipam(ipam::Ipam);

impl Ipam {
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&ipam::Ipam) -> Result<T, IpamError> + Send,
    ) -> PyResult<T> {
        without_gil(py, || work(&self.0)).map_err(errors::ipam(py))
    }
}

fn node_name(node: &Bound<'_, PyAny>) -> PyResult<NodeName> {
    let text = args::text("node", node)?;
    NodeName::try_new(&text).map_err(|fault| args::invalid(node.py(), "node", fault))
}

#[pymethods]
impl Ipam {
    #[new]
    fn new(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        let store = Arc::clone(&args::object::<Store>("store", store)?.get().0);
        Ok(Self(ipam::Ipam::new(store, Ambient::system())))
    }

    /// Stores a pool.
    ///
    /// Raises Taken if its name or a part of its range is another pool's.
    fn create_pool(&self, py: Python<'_>, pool: &Bound<'_, PyAny>) -> PyResult<()> {
        let pool = &args::object::<Pool>("pool", pool)?.get().0;
        self.call(py, |ipam| ipam.create_pool(pool))
    }

    /// The pools, by name.
    fn pools(&self, py: Python<'_>) -> PyResult<Vec<Pool>> {
        let pools = self.call(py, ipam::Ipam::pools)?;
        Ok(pools.into_iter().map(Pool).collect())
    }

    /// Claims one more block for a node, whatever it has already.
    ///
    /// Raises Exhausted if no pool has a free one.
    fn claim_any(&self, py: Python<'_>, node: &Bound<'_, PyAny>) -> PyResult<Claimed> {
        let node = node_name(node)?;
        Claimed::new(py, self.call(py, |ipam| ipam.claim_any(&node))?)
    }

    /// Claims this block for a node; one that is the node's already stays so.
    ///
    /// Raises Taken if it is another node's, InvalidArgument outside every pool or of another size.
    fn claim(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        block: &Bound<'_, PyAny>,
    ) -> PyResult<Claimed> {
        let (node, block) = (node_name(node)?, args::prefix("block", block)?);
        Claimed::new(py, self.call(py, |ipam| ipam.claim(&node, block.into()))?)
    }

    /// Gives up a node's claim: an empty block is "deleted", one with addresses is "orphaned" and
    /// stays until the last of them is released.
    ///
    /// Raises NotFound if the node has no such block.
    fn release_block(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        block: &Bound<'_, PyAny>,
    ) -> PyResult<&'static str> {
        let (node, block) = (node_name(node)?, args::prefix("block", block)?);
        let released = self.call(py, |ipam| ipam.release_block(&node, block.into()))?;
        Ok(match released {
            BlockRelease::Deleted => "deleted",
            BlockRelease::Orphaned => "orphaned",
        })
    }

    /// Assigns an address on a node: from its blocks the one free longest, or from one more block
    /// that it claims.
    ///
    /// handle_id and attributes are stored with it, see Block.assign_any. Raises Exhausted.
    #[pyo3(signature = (node, handle_id=None, attributes=None))]
    fn assign_any(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Assignment> {
        let node = node_name(node)?;
        let attribute = attributes::attribute(handle_id, attributes)?;
        assignment(
            py,
            &self.call(py, |ipam| ipam.assign_any(&node, &attribute))?,
        )
    }

    /// Assigns this address on a node, and claims its block if nobody has.
    ///
    /// Raises Taken if the address is assigned or its block another node's, InvalidArgument outside
    /// every pool.
    #[pyo3(signature = (node, address, handle_id=None, attributes=None))]
    fn assign(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        address: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Assignment> {
        let (node, addr) = (node_name(node)?, args::address("address", address)?);
        let attribute = attributes::attribute(handle_id, attributes)?;
        assignment(
            py,
            &self.call(py, |ipam| ipam.assign(&node, addr, &attribute))?,
        )
    }

    /// Releases one address, whichever node it was assigned on; with handle_id or sequence only if
    /// its assignment has these.
    ///
    /// Raises NotFound if it is not assigned, Taken if the assignment is another one.
    #[pyo3(signature = (address, *, handle_id=None, sequence=None))]
    fn release(
        &self,
        py: Python<'_>,
        address: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        sequence: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Released> {
        let release = attributes::release(address, handle_id, sequence)?;
        Ok(self.call(py, |ipam| ipam.release(&release))?.into())
    }

    /// Releases every address of a handle, whichever nodes they were assigned on.
    ///
    /// Raises NotFound if there is no such handle.
    fn release_handle(
        &self,
        py: Python<'_>,
        handle_id: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<Released>> {
        let handle = args::handle("handle_id", handle_id)?;
        let released = self.call(py, |ipam| ipam.release_handle(&handle))?;
        Ok(released.into_iter().map(Released::from).collect())
    }

    /// The blocks that a node owns, each as it is now.
    fn blocks_of(&self, py: Python<'_>, node: &Bound<'_, PyAny>) -> PyResult<Vec<Block>> {
        let node = node_name(node)?;
        let blocks = self.call(py, |ipam| ipam.blocks_of(&node))?;
        Ok(blocks.into_iter().map(Block::new).collect())
    }

    /// Every block of every node, each as it is now.
    fn blocks(&self, py: Python<'_>) -> PyResult<Vec<Block>> {
        let blocks = self.call(py, ipam::Ipam::blocks)?;
        Ok(blocks.into_iter().map(Block::new).collect())
    }

    /// The block that holds an address, whoever owns it; None if nobody claimed it yet.
    fn block_of(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<Option<Block>> {
        let addr: Ipv4Addr = args::address("address", address)?;
        Ok(self.call(py, |ipam| ipam.block_of(addr))?.map(Block::new))
    }

    fn __repr__(&self) -> String {
        "<Ipam>".to_owned()
    }
}

/// A block that is a node's.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Claimed {
    block: Ipv4Prefix,
    /// Whether this call claimed it; otherwise it was the node's before.
    #[pyo3(get)]
    newly: bool,
}

impl Claimed {
    fn new(py: Python<'_>, claimed: ipam::Claimed) -> PyResult<Self> {
        let block = Ipv4Prefix::try_from(claimed.block);
        Ok(Self {
            block: block.map_err(|fault| errors::invalid(py)(&fault))?,
            newly: claimed.newly,
        })
    }
}

#[pymethods]
impl Claimed {
    /// The block's prefix.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.block)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Claimed {} newly={}>",
            self.block,
            args::boolean(self.newly)
        )
    }
}

fn assignment(py: Python<'_>, assigned: &ipam::Assigned) -> PyResult<Assignment> {
    let block = Ipv4Prefix::try_from(assigned.block);
    Ok(Assignment {
        address: assigned.addr,
        sequence: assigned.sequence.0,
        block: block.map_err(|fault| errors::invalid(py)(&fault))?,
    })
}
