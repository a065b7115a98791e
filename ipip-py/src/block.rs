//! `Block`: one block in memory.

use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipip_core::addr::Ipv4Prefix;
use ipip_core::resource::{self, BlockPrefix, Sequence};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::args::{self, Given};
use crate::attributes::{self, Released};
use crate::buffer::Octets;
use crate::errors;

/// One block of addresses: /26 as a rule, /20 to /32 possible.
///
/// Free addresses queue: the next one assigned is the one that has been free longest, so a released
/// address comes back last. A call that fails leaves the block as it was. sequence is where the count
/// of its changes begins.
///
/// Raises InvalidArgument unless prefix is a network of /20 to /32.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Block(Mutex<resource::Block>);

impl Block {
    pub(crate) fn new(block: resource::Block) -> Self {
        Self(Mutex::new(block))
    }

    /// Held for a few microseconds, and never while Python runs.
    fn block(&self) -> MutexGuard<'_, resource::Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prefix of a block.
pub(crate) fn block_prefix(name: &str, value: &Bound<'_, PyAny>) -> PyResult<BlockPrefix> {
    let prefix = args::prefix(name, value)?;
    BlockPrefix::try_from(prefix).map_err(|fault| args::invalid(value.py(), name, fault))
}

#[pymethods]
impl Block {
    #[new]
    #[pyo3(signature = (prefix, *, sequence=Given::Default), text_signature = "(prefix, *, sequence=0)")]
    fn py_new<'py>(prefix: &Bound<'py, PyAny>, sequence: Given<'py>) -> PyResult<Self> {
        let prefix = block_prefix("prefix", prefix)?;
        let sequence = sequence.or(Sequence(0), |value| attributes::sequence("sequence", value))?;
        Ok(Self::new(resource::Block::new(prefix, sequence)))
    }

    /// The block in Calico's JSON (bytes, or any buffer of UTF-8).
    ///
    /// Raises InvalidArgument naming the field that breaks a rule.
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = json.py();
        let octets = Octets::of("json", json)?;
        let block = resource::Block::from_json(&octets.read(py)?);
        block
            .map(Self::new)
            .map_err(|fault| args::invalid(py, "json", fault))
    }

    /// The block as Calico writes it, field for field.
    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.block().to_json())
    }

    /// Assigns the address that has been free longest.
    ///
    /// handle_id is its owner, by which it can be released; attributes is a mapping of str to str,
    /// of which Calico knows namespace, pod, node, type and timestamp. Raises Exhausted if none is free.
    #[pyo3(signature = (handle_id=None, attributes=None))]
    fn assign_any(
        &self,
        py: Python<'_>,
        handle_id: Option<&Bound<'_, PyAny>>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Assignment> {
        let attribute = attributes::attribute(handle_id, attributes)?;
        let assigned = self
            .block()
            .assign_any(attribute)
            .map_err(errors::block(py))?;
        Ok(self.assignment(assigned))
    }

    /// Assigns this address.
    ///
    /// Raises Taken if it is assigned already, InvalidArgument if it is in another block.
    #[pyo3(signature = (address, handle_id=None, attributes=None))]
    fn assign(
        &self,
        address: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        attributes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Assignment> {
        let addr = args::address("address", address)?;
        let attribute = attributes::attribute(handle_id, attributes)?;
        let assigned = self.block().assign(addr, attribute);
        Ok(self.assignment(assigned.map_err(errors::block(address.py()))?))
    }

    /// Releases one address; with handle_id or sequence only if its assignment has these.
    ///
    /// Raises NotFound if it is not assigned, Taken if the assignment is another one, InvalidArgument
    /// if the address is in another block.
    #[pyo3(signature = (address, *, handle_id=None, sequence=None))]
    fn release(
        &self,
        address: &Bound<'_, PyAny>,
        handle_id: Option<&Bound<'_, PyAny>>,
        sequence: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Released> {
        let release = attributes::release(address, handle_id, sequence)?;
        let released = self.block().release(&release);
        Ok(released.map_err(errors::block(address.py()))?.into())
    }

    /// Releases every address of a handle, in order of address; none if it has none here.
    fn release_handle(&self, handle_id: &Bound<'_, PyAny>) -> PyResult<Vec<Released>> {
        let handle = args::handle("handle_id", handle_id)?;
        let released = self.block().release_handle(&handle);
        Ok(released.into_iter().map(Released::from).collect())
    }

    /// The block's prefix.
    #[getter]
    fn prefix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let prefix = self.block().prefix().prefix();
        args::network(py, prefix)
    }

    /// The owner as Calico writes it, such as "host:node-a"; None for a block without one.
    #[getter]
    fn affinity(&self) -> Option<String> {
        self.block().affinity().map(ToString::to_string)
    }

    /// The count of changes.
    #[getter]
    fn sequence(&self) -> u64 {
        self.block().sequence().0
    }

    /// How many addresses are free.
    #[getter]
    fn free_count(&self) -> usize {
        self.block().free_count()
    }

    /// How many addresses are not free.
    #[getter]
    fn used_count(&self) -> usize {
        self.block().used_count()
    }

    /// The free addresses, the next one to be assigned first.
    fn free(&self) -> Vec<Ipv4Addr> {
        self.block().free().collect()
    }

    /// Every address that is not free, in order, with its handle (or None).
    fn assigned<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let block = self.block();
        let assigned = block
            .assigned()
            .map(|(addr, a)| (addr, a.handle().map(str::to_owned)));
        let assigned: Vec<_> = assigned.collect();
        drop(block);
        let dict = PyDict::new(py);
        for (addr, handle) in assigned {
            dict.set_item(addr, handle)?;
        }
        Ok(dict)
    }

    /// The addresses of a handle, in order.
    fn addresses_of(&self, handle_id: &Bound<'_, PyAny>) -> PyResult<Vec<Ipv4Addr>> {
        let handle = args::handle("handle_id", handle_id)?;
        Ok(self.block().addresses_of(&handle).collect())
    }

    /// The attributes stored with an address; None if it is free or in another block.
    fn attributes_of<'py>(
        &self,
        address: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let addr = args::address("address", address)?;
        let found = self
            .block()
            .attribute_of(addr)
            .map(|a| a.secondary().clone());
        found
            .map(|found| attributes::dict(address.py(), &found))
            .transpose()
    }

    /// The sequence number at which an address was assigned; None if it is free or in another block.
    fn sequence_of(&self, address: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let addr = args::address("address", address)?;
        Ok(self.block().sequence_of(addr).map(|sequence| sequence.0))
    }

    /// The place of an address in the block, counted from 0.
    ///
    /// Raises InvalidArgument if it is in another block.
    fn ordinal_of(&self, address: &Bound<'_, PyAny>) -> PyResult<u16> {
        let addr = args::address("address", address)?;
        let ordinal = self.block().prefix().ordinal_of(addr);
        Ok(ordinal.map_err(errors::block(address.py()))?.get())
    }

    /// How many addresses it has, 1 to 4096.
    fn __len__(&self) -> usize {
        let block = self.block();
        block.free_count() + block.used_count()
    }

    /// Whether an address lies in the block.
    fn __contains__(&self, address: &Bound<'_, PyAny>) -> PyResult<bool> {
        let addr = args::address("address", address)?;
        Ok(self.block().prefix().contains(addr))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Option<bool> {
        let other = other.cast::<Self>().ok()?;
        // One after the other: a block may be compared with itself.
        let other = other.get().block().clone();
        Some(*self.block() == other)
    }

    fn __repr__(&self) -> String {
        let block = self.block();
        format!(
            "<Block {}, {} of {} free>",
            block.prefix(),
            block.free_count(),
            block.prefix().size()
        )
    }
}

impl Block {
    fn assignment(&self, assigned: resource::Assignment) -> Assignment {
        Assignment {
            address: assigned.addr,
            sequence: assigned.sequence.0,
            block: self.block().prefix().prefix(),
            borrowed: false,
        }
    }
}

/// An address that was assigned.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(Clone, PartialEq, Hash)]
pub(crate) struct Assignment {
    /// The address.
    #[pyo3(get)]
    pub(crate) address: Ipv4Addr,
    /// The sequence number of the assignment, for release.
    #[pyo3(get)]
    pub(crate) sequence: u64,
    pub(crate) block: Ipv4Prefix,
    /// Whether the block belongs to another node, or to nobody: every node must route the address by
    /// itself then. A block in memory does not know its node: False.
    #[pyo3(get)]
    pub(crate) borrowed: bool,
}

#[pymethods]
impl Assignment {
    /// The block that it is from.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.block)
    }

    fn __repr__(&self) -> String {
        let Self {
            address,
            sequence,
            block,
            borrowed,
        } = self;
        let borrowed = if *borrowed { ", borrowed" } else { "" };
        format!("<Assignment {address} from {block} at sequence {sequence}{borrowed}>")
    }
}
