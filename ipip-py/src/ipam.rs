//! `Ipam`: the allocator on a store.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipip_core::ipam::{self, Ambient, BlockRelease, IpamError, Request};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::Use;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::args::Given;
use crate::attributes::{self, Released};
use crate::block::{Assignment, Block};
use crate::check::{Repaired, Report};
use crate::log::without_gil;
use crate::outcome::{
    Assignments, Claimed, Collected, Collector, NodeRemoval, PoolDeletion, ReleasedMany,
};
use crate::pool::{Pool, USES};
use crate::resources::{AllocatorConfig, NodeRecord, Reservation};
use crate::store::Store;
use crate::usage::{AddressUsage, Usage};
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
    node_name_in("node", node)
}

fn node_name_in(argument: &str, node: &Bound<'_, PyAny>) -> PyResult<NodeName> {
    let text = args::text(argument, node)?;
    NodeName::try_new(&text).map_err(|fault| args::invalid(node.py(), argument, fault))
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
        Ok(self.call(py, |ipam| ipam.claim_any(&node))?.into())
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
        Ok(self
            .call(py, |ipam| ipam.claim(&node, block.into()))?
            .into())
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

    /// Assigns an address on a node: from its blocks the one free longest, else from one more block
    /// that it claims, else one that it borrows.
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
        Assignment::new(
            py,
            &self.call(py, |ipam| ipam.assign_any(&node, &attribute))?,
        )
    }

    /// Assigns this address on a node, and claims its block if nobody has. One of another node's block is
    /// borrowed.
    ///
    /// Raises Taken if the address is assigned, or with strict affinity if its block is another node's;
    /// InvalidArgument outside every pool.
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
        Assignment::new(
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

    /// Changes the pool of the same name to what pool says, but its prefix and block size; the pool as it
    /// is then.
    ///
    /// Raises NotFound, and InvalidArgument with the reason if one of these two would change.
    fn update_pool(&self, py: Python<'_>, pool: &Bound<'_, PyAny>) -> PyResult<Pool> {
        let pool = &args::object::<Pool>("pool", pool)?.get().0;
        self.call(py, |ipam| ipam.update_pool(pool)).map(Pool)
    }

    /// Lets nothing be assigned or claimed from a pool any more; what is in use stays so.
    ///
    /// Raises NotFound.
    fn disable_pool(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = args::text("name", name)?;
        self.call(py, |ipam| ipam.disable_pool(&name))
    }

    /// Ends what disable_pool began. Raises NotFound.
    fn enable_pool(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = args::text("name", name)?;
        self.call(py, |ipam| ipam.enable_pool(&name))
    }

    /// Deletes a pool: it is disabled, its blocks are given up, the empty ones deleted, then it is
    /// deleted. Addresses in use stay so, and are told; they can be released as before.
    ///
    /// Raises NotFound. A call that ended early is completed by the next.
    fn delete_pool(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<PoolDeletion> {
        let name = args::text("name", name)?;
        Ok(self.call(py, |ipam| ipam.delete_pool(&name))?.into())
    }

    /// The configuration; Calico's default if none is stored.
    fn config(&self, py: Python<'_>) -> PyResult<AllocatorConfig> {
        self.call(py, ipam::Ipam::config).map(AllocatorConfig)
    }

    /// Stores the configuration, whatever its fields were before; what Calico stores beside them stays.
    /// Whoever changes what he has read takes change_config.
    fn set_config(&self, py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let config = &args::object::<AllocatorConfig>("config", config)?.get().0;
        self.call(py, |ipam| ipam.set_config(config))
    }

    /// Changes the fields in which after differs from before, which was read, and leaves the others as
    /// they are by now; returns what is stored then. So of two who change different fields at once none
    /// is undone. Raises InvalidArgument if what would be stored breaks a rule.
    fn change_config(
        &self,
        py: Python<'_>,
        before: &Bound<'_, PyAny>,
        after: &Bound<'_, PyAny>,
    ) -> PyResult<AllocatorConfig> {
        let before = &args::object::<AllocatorConfig>("before", before)?.get().0;
        let after = &args::object::<AllocatorConfig>("after", after)?.get().0;
        let changed = self.call(py, |ipam| ipam.change_config(before, after))?;
        Ok(AllocatorConfig(changed))
    }

    /// Sets addresses aside; those that are assigned stay so. Raises Taken if its name is taken.
    fn create_reservation(&self, py: Python<'_>, reservation: &Bound<'_, PyAny>) -> PyResult<()> {
        let reservation = &args::object::<Reservation>("reservation", reservation)?
            .get()
            .0;
        self.call(py, |ipam| ipam.create_reservation(reservation))
    }

    /// Deletes a reservation. Raises NotFound.
    fn delete_reservation(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = args::text("name", name)?;
        self.call(py, |ipam| ipam.delete_reservation(&name))
    }

    /// The reservations, by name.
    fn reservations(&self, py: Python<'_>) -> PyResult<Vec<Reservation>> {
        let found = self.call(py, ipam::Ipam::reservations)?;
        Ok(found.into_iter().map(Reservation).collect())
    }

    /// The nodes that have a record, by name.
    fn nodes(&self, py: Python<'_>) -> PyResult<Vec<NodeRecord>> {
        let found = self.call(py, ipam::Ipam::nodes)?;
        Ok(found.into_iter().map(NodeRecord).collect())
    }

    /// The record of a node; None if there is none.
    fn node(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Option<NodeRecord>> {
        let name = node_name_in("name", name)?;
        Ok(self.call(py, |ipam| ipam.node(&name))?.map(NodeRecord))
    }

    /// Stores the labels and addresses of a node. The address of its tunnel device, and fields that we do
    /// not know, stay if the record says none.
    fn put_node(&self, py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        let record = &args::object::<NodeRecord>("record", record)?.get().0;
        self.call(py, |ipam| ipam.put_node(record))
    }

    /// Removes a node that is gone: its addresses are released, its blocks given up, the empty ones
    /// deleted, then its record is deleted. A call that ended early is completed by the next.
    fn remove_node(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<NodeRemoval> {
        let name = node_name_in("name", name)?;
        Ok(self.call(py, |ipam| ipam.remove_node(&name))?.into())
    }

    /// The address of a node's tunnel device, assigned and written into the node's record if it has none;
    /// None if no pool that encapsulates by IPIP serves the node. Raises Exhausted.
    fn ensure_tunnel_address(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Ipv4Addr>> {
        let node = node_name(node)?;
        let found = self.call(py, |ipam| ipam.ensure_tunnel_address(&node))?;
        Ok(found.map(|addr| addr.0))
    }

    /// Releases the address of a node's tunnel device and takes it out of its record; the addresses that
    /// were released.
    fn release_tunnel_address(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<Ipv4Addr>> {
        let node = node_name(node)?;
        self.call(py, |ipam| ipam.release_tunnel_address(&node))
    }

    /// Assigns count addresses on a node, 1 to 2**20: from its blocks, then from more that it claims,
    /// then from others' blocks, with one commit for each block. What is missing is no exception, but
    /// said by the answer.
    ///
    /// pools names by prefix the only ones to be used; purpose is "Workload", "Tunnel" or
    /// "LoadBalancer"; the node claims no more blocks once it has max_blocks. Raises Exhausted if no pool
    /// serves the node.
    #[pyo3(
        signature = (node, count, handle_id=None, attributes=None, *, pools=None, purpose=Given::Default, max_blocks=None),
        text_signature = "($self, node, count, handle_id=None, attributes=None, *, pools=None, purpose='Workload', max_blocks=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of its own")]
    fn assign_many<'py>(
        &self,
        py: Python<'py>,
        node: &Bound<'py, PyAny>,
        count: &Bound<'py, PyAny>,
        handle_id: Option<&Bound<'py, PyAny>>,
        attributes: Option<&Bound<'py, PyAny>>,
        pools: Option<&Bound<'py, PyAny>>,
        purpose: Given<'py>,
        max_blocks: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Assignments> {
        let max = Request::COUNT_MAX.into();
        let count = u32::try_from(args::integer("count", count, 1..=max)?)?;
        let attribute = attributes::attribute(handle_id, attributes)?;
        let mut request = Request::new(node_name(node)?, count, attribute);
        if let Some(pools) = pools {
            let prefixes = args::each("pools", pools, args::prefix)?;
            request.pools = prefixes.into_iter().map(Into::into).collect();
        }
        request.purpose =
            purpose.or(Use::Workload, |value| args::choice("purpose", value, &USES))?;
        if let Some(value) = max_blocks {
            let limit = args::integer("max_blocks", value, 0..=u32::MAX.into())?;
            request.max_blocks = Some(u32::try_from(limit)?);
        }
        Assignments::new(py, self.call(py, |ipam| ipam.assign_many(&request))?)
    }

    /// Releases several addresses, those of one block in one commit: an iterable of Release or
    /// addresses. If one of a block is not the assignment that a Release names, nothing of its block is
    /// released, and the answer says so.
    fn release_many(&self, py: Python<'_>, releases: &Bound<'_, PyAny>) -> PyResult<ReleasedMany> {
        let releases = args::each("releases", releases, attributes::release_item)?;
        Ok(self.call(py, |ipam| ipam.release_many(&releases))?.into())
    }

    /// The addresses of a handle with their attributes, in order; none if it has none.
    fn addresses_of<'py>(
        &self,
        py: Python<'py>,
        handle_id: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let handle = args::handle("handle_id", handle_id)?;
        let found = PyDict::new(py);
        for (addr, who) in self.call(py, |ipam| ipam.addresses_of(&handle))? {
            found.set_item(addr, attributes::dict(py, who.secondary())?)?;
        }
        Ok(found)
    }

    /// How much of each pool and block is in use, and what is borrowed.
    fn usage(&self, py: Python<'_>) -> PyResult<Usage> {
        self.call(py, ipam::Ipam::usage).map(Usage)
    }

    /// What is known of one address.
    fn address_usage(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<AddressUsage> {
        let addr = args::address("address", address)?;
        self.call(py, |ipam| ipam.address_usage(addr))
            .map(AddressUsage)
    }

    /// Everything that is wrong in the store at one instant; nothing is changed. With live, an iterable
    /// of handles, every address of another handle is wrong too.
    #[pyo3(signature = (live=None))]
    fn check(&self, py: Python<'_>, live: Option<&Bound<'_, PyAny>>) -> PyResult<Report> {
        let live = live.map(handles).transpose()?;
        let report = self.call(py, |ipam| match &live {
            Some(live) => ipam.check_live(live),
            None => ipam.check(),
        });
        report.map(Report)
    }

    /// Repairs what a report tells and the store proves, each problem in one commit that takes effect only
    /// while it is there. No address is assigned or released.
    fn repair(&self, py: Python<'_>, report: &Bound<'_, PyAny>) -> PyResult<Repaired> {
        let report = &args::object::<Report>("report", report)?.get().0;
        self.call(py, |ipam| ipam.repair(report)).map(Repaired)
    }

    /// Collects what nobody needs any more, where live are the handles of all workloads that are alive,
    /// gathered before the call: their addresses, handles without addresses, empty blocks, addresses
    /// that cooled down; each only after it was useless for the collector's time of grace.
    fn collect(
        &self,
        py: Python<'_>,
        collector: &Bound<'_, PyAny>,
        live: &Bound<'_, PyAny>,
    ) -> PyResult<Collected> {
        let collector = args::object::<Collector>("collector", collector)?.get();
        let live = handles(live)?;
        let collected = self.call(py, |ipam| ipam.collect(&mut collector.lock(), &live))?;
        Ok(collected.into())
    }

    fn __repr__(&self) -> String {
        "<Ipam>".to_owned()
    }
}

/// The handles of an iterable.
fn handles(live: &Bound<'_, PyAny>) -> PyResult<HashSet<HandleId>> {
    let handles = args::each("live", live, args::handle)?;
    Ok(handles.into_iter().collect())
}
