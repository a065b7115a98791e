//! `Usage`: how much of the pools is in use.

use std::net::Ipv4Addr;

use ipip_core::ipam::{self, Counts};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::args::{self, Given, Network};
use crate::attributes;
use crate::resources::AllocatorConfig;

/// The use of all pools, at about one instant. str() is the table that `calicoctl ipam show` prints.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Usage(pub(crate) ipam::Usage);

#[pymethods]
impl Usage {
    /// The pools, by name, with their blocks.
    #[getter]
    fn pools(&self) -> Vec<PoolUsage> {
        self.0.pools.iter().map(PoolUsage::from).collect()
    }

    /// The blocks in no pool, left by one that was deleted.
    #[getter]
    fn outside(&self) -> Vec<BlockUsage> {
        self.0.outside.iter().map(BlockUsage::from).collect()
    }

    /// The addresses on another node than their block's.
    #[getter]
    fn borrowed(&self) -> Vec<Borrowed> {
        self.0.borrowed.iter().map(Borrowed::from).collect()
    }

    /// How many addresses do not say on which node they are.
    #[getter]
    fn without_node(&self) -> u64 {
        self.0.without_node
    }

    /// The keys of blocks that are damaged and not counted.
    #[getter]
    fn unreadable(&self) -> Vec<String> {
        self.0.unreadable.clone()
    }

    /// The configuration.
    #[getter]
    fn config(&self) -> AllocatorConfig {
        AllocatorConfig(self.0.config.clone())
    }

    /// The table of the pools; with blocks, each pool's blocks below it.
    #[pyo3(signature = (*, blocks=Given::Default), text_signature = "($self, *, blocks=False)")]
    fn table(&self, blocks: Given<'_>) -> PyResult<String> {
        let blocks = blocks.or(false, |value| args::flag("blocks", value))?;
        Ok(match blocks {
            true => self.0.blocks_table(),
            false => self.0.to_string(),
        })
    }

    /// The table of borrowed addresses.
    fn borrowed_table(&self) -> String {
        self.0.borrowed_table()
    }

    /// The table of the configuration.
    fn configuration_table(&self) -> String {
        self.0.configuration_table()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Usage of {} pools>", self.0.pools.len())
    }
}

/// The use of a pool, in addresses.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct PoolUsage {
    /// Its name.
    name: String,
    /// Its prefix.
    cidr: Network,
    /// All that there are.
    total: u64,
    /// Those that are assigned, or cooling down.
    in_use: u64,
    /// Those that reservations set aside.
    reserved: u64,
    /// Those that whoever asks for any may be assigned.
    free: u64,
    /// Those in use that were released and are cooling down.
    cooling: u64,
    /// Its blocks, in order.
    blocks: Vec<BlockUsage>,
}

impl From<&ipam::PoolUsage> for PoolUsage {
    fn from(pool: &ipam::PoolUsage) -> Self {
        let Counts {
            total,
            in_use,
            reserved,
            free,
            cooling,
        } = pool.counts;
        Self {
            name: pool.name.clone(),
            cidr: pool.cidr.into(),
            total,
            in_use,
            reserved,
            free,
            cooling,
            blocks: pool.blocks.iter().map(BlockUsage::from).collect(),
        }
    }
}

#[pymethods]
impl PoolUsage {
    fn __repr__(&self) -> String {
        let Self {
            name,
            in_use,
            total,
            ..
        } = self;
        format!("<PoolUsage {name} {} {in_use} of {total}>", self.cidr.0)
    }
}

/// The use of a block, in addresses.
#[pyclass(frozen, get_all, module = "ipip")]
#[derive(Clone)]
pub(crate) struct BlockUsage {
    /// Its prefix.
    block: Network,
    /// Its owner, such as "host:node-a"; None if it outlived its owner's claim.
    owner: Option<String>,
    /// All that there are.
    total: u64,
    /// Those that are assigned, or cooling down.
    in_use: u64,
    /// Those that reservations set aside.
    reserved: u64,
    /// Those that whoever asks for any may be assigned.
    free: u64,
    /// Those in use that were released and are cooling down.
    cooling: u64,
}

impl From<&ipam::BlockUsage> for BlockUsage {
    fn from(block: &ipam::BlockUsage) -> Self {
        let Counts {
            total,
            in_use,
            reserved,
            free,
            cooling,
        } = block.counts;
        Self {
            block: block.block.into(),
            owner: block.owner.as_ref().map(ToString::to_string),
            total,
            in_use,
            reserved,
            free,
            cooling,
        }
    }
}

#[pymethods]
impl BlockUsage {
    fn __repr__(&self) -> String {
        let Self { in_use, total, .. } = self;
        format!("<BlockUsage {} {in_use} of {total}>", self.block.0)
    }
}

/// An address on another node than its block's.
#[pyclass(frozen, get_all, module = "ipip")]
pub(crate) struct Borrowed {
    /// The address.
    address: Ipv4Addr,
    /// The node that it is on.
    node: String,
    /// Its block.
    block: Network,
    /// The block's owner, such as "host:node-a"; None if it outlived its owner's claim.
    owner: Option<String>,
    /// The handle that has it.
    handle_id: Option<String>,
}

impl From<&ipam::Borrowed> for Borrowed {
    fn from(borrowed: &ipam::Borrowed) -> Self {
        Self {
            address: borrowed.addr,
            node: borrowed.node.clone(),
            block: borrowed.block.into(),
            owner: borrowed.owner.as_ref().map(ToString::to_string),
            handle_id: borrowed.attribute.handle().map(str::to_owned),
        }
    }
}

#[pymethods]
impl Borrowed {
    fn __repr__(&self) -> String {
        format!("<Borrowed {} on {}>", self.address, self.node)
    }
}

/// What is known of one address. str() is what `calicoctl ipam show --ip` prints.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct AddressUsage(pub(crate) ipam::AddressUsage);

#[pymethods]
impl AddressUsage {
    /// The address.
    #[getter]
    fn address(&self) -> Ipv4Addr {
        self.0.addr
    }

    /// Its block; None if nobody claimed one there.
    #[getter]
    fn block(&self) -> Option<Network> {
        self.0.block.map(Network)
    }

    /// Whether it is assigned, or cooling down.
    #[getter]
    fn in_use(&self) -> bool {
        self.0.attribute.is_some()
    }

    /// The handle that has it.
    #[getter]
    fn handle_id(&self) -> Option<&str> {
        self.0.attribute.as_ref().and_then(|who| who.handle())
    }

    /// What is stored with it; None if it is not in use.
    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let who = self.0.attribute.as_ref();
        who.map(|who| attributes::dict(py, who.secondary()))
            .transpose()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let in_use = args::boolean(self.in_use());
        format!("<AddressUsage {} in_use={in_use}>", self.0.addr)
    }
}
