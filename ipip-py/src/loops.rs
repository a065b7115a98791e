//! `LoopPolicy`: packets that a tunnel must not carry.

use std::net::Ipv4Addr;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{self, Endpoints, Ipv4View, Layer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::args::{self, Given};
use crate::buffer::Octets;
use crate::errors;

/// Which signs of a loop make a tunnel's entry refuse a packet (RFC 2003 section 3.2).
///
/// own_source refuses an inner source that is one of this node's addresses, which the RFC demands of
/// packets that a router forwards; what the node sends itself is exempt. exit_source and exit_destination
/// refuse an inner source or destination that is the tunnel's exit. max_depth (0 to 255) is how many
/// tunnels a packet may be in once it has left this entry; 0 refuses every packet.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct LoopPolicy(wire::LoopPolicy);

#[pymethods]
impl LoopPolicy {
    #[new]
    #[pyo3(
        signature = (*, own_source=Given::Default, exit_source=Given::Default, exit_destination=Given::Default, max_depth=Given::Default),
        text_signature = "(*, own_source=True, exit_source=True, exit_destination=True, max_depth=4)"
    )]
    fn new(
        own_source: Given<'_>,
        exit_source: Given<'_>,
        exit_destination: Given<'_>,
        max_depth: Given<'_>,
    ) -> PyResult<Self> {
        let all = wire::LoopPolicy::default();
        Ok(Self(wire::LoopPolicy {
            own_source: own_source.or(all.own_source, |flag| args::flag("own_source", flag))?,
            exit_source: exit_source.or(all.exit_source, |flag| args::flag("exit_source", flag))?,
            exit_destination: exit_destination.or(all.exit_destination, |flag| {
                args::flag("exit_destination", flag)
            })?,
            max_depth: max_depth.or(all.max_depth, |depth| args::octet("max_depth", depth))?,
        }))
    }

    /// Whether an inner source that is an address of this node is refused.
    #[getter]
    fn own_source(&self) -> bool {
        self.0.own_source
    }

    /// Whether an inner source that is the tunnel's exit is refused.
    #[getter]
    fn exit_source(&self) -> bool {
        self.0.exit_source
    }

    /// Whether an inner destination that is the tunnel's exit is refused.
    #[getter]
    fn exit_destination(&self) -> bool {
        self.0.exit_destination
    }

    /// How many tunnels a packet may be in, this one included.
    #[getter]
    fn max_depth(&self) -> u8 {
        self.0.max_depth
    }

    /// Returns if the tunnel from local to remote may carry the packet at the start of inner; own are this
    /// node's addresses.
    ///
    /// Raises PacketError: as parse_ipv4 does, then in this order SameEndpoints whatever the policy,
    /// OwnSource, ExitSource, ExitDestination, TunnelDepth. The packet is to be discarded.
    #[pyo3(signature = (inner, *, local, remote, own=None), text_signature = "($self, inner, *, local, remote, own=())")]
    fn check(
        &self,
        inner: &Bound<'_, PyAny>,
        local: &Bound<'_, PyAny>,
        remote: &Bound<'_, PyAny>,
        own: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = inner.py();
        let octets = Octets::of("inner", inner)?;
        let endpoints = Endpoints {
            local: NodeAddr(args::address("local", local)?),
            remote: NodeAddr(args::address("remote", remote)?),
        };
        let own = own.map(|own| addresses("own", own)).transpose()?;
        let own = own.unwrap_or_default();
        let octets = octets.read(py)?;
        let view = Ipv4View::parse(&octets, Layer::Inner).map_err(errors::wire(py))?;
        let check = self.0.check(&view, &endpoints, |addr| own.contains(&addr));
        check.map_err(errors::loops(py))
    }

    fn __repr__(&self) -> String {
        format!(
            "LoopPolicy(own_source={}, exit_source={}, exit_destination={}, max_depth={})",
            args::boolean(self.0.own_source),
            args::boolean(self.0.exit_source),
            args::boolean(self.0.exit_destination),
            self.0.max_depth
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.0)
    }
}

/// Any number of addresses.
fn addresses(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Ipv4Addr>> {
    let py = value.py();
    match value.try_iter() {
        Ok(items) if !value.is_instance_of::<PyString>() => {
            items.map(|item| args::address(name, &item?)).collect()
        }
        Err(error) if !error.is_instance_of::<PyTypeError>(py) => Err(error),
        _ => Err(args::wrong_type(name, "an iterable of addresses", value)),
    }
}
