//! `Filter`: which frames somebody wants to see.

use std::net::Ipv4Addr;

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::capture;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::args;
use crate::frame::Frame;

/// What one IPv4 header of a frame must be, the outer or an inner one: its protocol number, and prefixes
/// of which its source and its destination must each lie in one. Filter() takes every frame.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Filter {
    protocol: Option<u8>,
    between: Vec<Ipv4Prefix>,
}

#[pymethods]
impl Filter {
    #[new]
    #[pyo3(signature = (*, protocol=None, between=None))]
    fn new(
        protocol: Option<&Bound<'_, PyAny>>,
        between: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            protocol: protocol.map(|v| args::octet("protocol", v)).transpose()?,
            between: match between {
                Some(prefixes) => args::each("between", prefixes, args::prefix)?,
                None => Vec::new(),
            },
        })
    }

    /// IPIP packets between these node addresses: protocol 4, from one of them to one of them.
    #[staticmethod]
    fn tunnel(nodes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let nodes: Vec<Ipv4Addr> = args::each("nodes", nodes, args::address)?;
        let nodes: Vec<_> = nodes.into_iter().map(NodeAddr).collect();
        let filter = capture::Filter::tunnel(&nodes);
        Ok(Self {
            protocol: filter.protocol,
            between: filter.between,
        })
    }

    /// Whether the frame has such a header.
    fn matches(&self, frame: &Bound<'_, PyAny>) -> PyResult<bool> {
        let frame = &args::object::<Frame>("frame", frame)?.get().0;
        let filter = capture::Filter {
            protocol: self.protocol,
            between: self.between.clone(),
        };
        Ok(filter.matches(frame))
    }

    /// The protocol number; None for any.
    #[getter]
    fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// The prefixes; none allow all.
    #[getter]
    fn between<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let networks = self.between.iter().map(|prefix| args::network(py, *prefix));
        PyTuple::new(py, networks.collect::<PyResult<Vec<_>>>()?)
    }

    fn __repr__(&self) -> String {
        let protocol = self.protocol.map_or("any".to_owned(), |p| p.to_string());
        let between: Vec<_> = self.between.iter().map(ToString::to_string).collect();
        format!("<Filter protocol={protocol} between={}>", between.join(","))
    }
}
