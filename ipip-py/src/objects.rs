//! What a node holds, as values: `Tunnel`, `WorkloadEndpoint`, `PeerRoute`, `Blackhole`.

use std::net::Ipv4Addr;

use ipip_core::addr::{NodeAddr, TunnelAddr};
use ipip_core::overlay::{self, host_veth_name};
use ipip_core::plan::RouteProtocol;
use pyo3::prelude::*;

use crate::args::{self, Given};

/// A node's tunnel device and the overlay address that it holds as a /32.
///
/// mtu is the tunnel's: the underlay's less 20 octets, 68 to 65515.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Tunnel(pub(crate) overlay::Tunnel);

#[pymethods]
impl Tunnel {
    #[new]
    #[pyo3(
        signature = (*, address, mtu, device=Given::Default),
        text_signature = "(*, address, mtu, device='tunl0')"
    )]
    fn new<'py>(
        address: &Bound<'py, PyAny>,
        mtu: &Bound<'py, PyAny>,
        device: Given<'py>,
    ) -> PyResult<Self> {
        let address = TunnelAddr(args::address("address", address)?);
        let tunnel = overlay::Tunnel::new(address, args::tunnel_mtu("mtu", mtu)?);
        let device = device.or(tunnel.device.clone(), |name| {
            args::interface("device", name)
        })?;
        Ok(Self(overlay::Tunnel { device, ..tunnel }))
    }

    /// Its overlay address.
    #[getter]
    fn address(&self) -> Ipv4Addr {
        self.0.address.0
    }

    /// Its MTU in octets.
    #[getter]
    fn mtu(&self) -> u32 {
        self.0.mtu.octets()
    }

    /// The device's name.
    #[getter]
    fn device(&self) -> &str {
        self.0.device.as_str()
    }

    fn __repr__(&self) -> String {
        format!(
            "Tunnel(address='{}', mtu={}, device='{}')",
            self.address(),
            self.mtu(),
            self.device()
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

/// A workload and its one interface.
///
/// namespace and pod are its names, as in Kubernetes; address is set as a /32; mtu is the tunnel's.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct WorkloadEndpoint(pub(crate) overlay::WorkloadEndpoint);

#[pymethods]
impl WorkloadEndpoint {
    #[new]
    #[pyo3(
        signature = (*, namespace, pod, address, mtu, interface=Given::Default),
        text_signature = "(*, namespace, pod, address, mtu, interface='eth0')"
    )]
    fn new<'py>(
        namespace: &Bound<'py, PyAny>,
        pod: &Bound<'py, PyAny>,
        address: &Bound<'py, PyAny>,
        mtu: &Bound<'py, PyAny>,
        interface: Given<'py>,
    ) -> PyResult<Self> {
        let workload = overlay::WorkloadEndpoint::new(
            &args::text("namespace", namespace)?,
            &args::text("pod", pod)?,
            args::address("address", address)?,
            args::tunnel_mtu("mtu", mtu)?,
        );
        let interface = interface.or(workload.interface.clone(), |name| {
            args::interface("interface", name)
        })?;
        Ok(Self(overlay::WorkloadEndpoint {
            interface,
            ..workload
        }))
    }

    /// The Kubernetes namespace.
    #[getter]
    fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The pod's name.
    #[getter]
    fn pod(&self) -> &str {
        &self.0.pod
    }

    /// Its address.
    #[getter]
    fn address(&self) -> Ipv4Addr {
        self.0.address
    }

    /// Its MTU in octets.
    #[getter]
    fn mtu(&self) -> u32 {
        self.0.mtu.octets()
    }

    /// The name of the interface inside.
    #[getter]
    fn interface(&self) -> &str {
        self.0.interface.as_str()
    }

    /// The name of the host end: cali and 11 hexadecimal digits.
    #[getter]
    fn host_veth(&self) -> String {
        self.0.host_veth().to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "WorkloadEndpoint(namespace={:?}, pod={:?}, address='{}', mtu={}, interface='{}')",
            self.namespace(),
            self.pod(),
            self.address(),
            self.mtu(),
            self.interface()
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

/// The name of a workload's host-side veth: cali and 11 hexadecimal digits.
#[pyfunction(name = "host_veth_name")]
pub(crate) fn py_host_veth_name(
    namespace: &Bound<'_, PyAny>,
    pod: &Bound<'_, PyAny>,
) -> PyResult<String> {
    let (namespace, pod) = (args::text("namespace", namespace)?, args::text("pod", pod)?);
    Ok(host_veth_name(&namespace, &pod).to_string())
}

/// The way to another node's block: BLOCK via NODE dev tunl0 proto bird onlink.
///
/// device is tunl0, or the underlay's interface where the peer is reached directly; protocol is the
/// number of the route's mark, 12 (bird) unless there is a reason.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct PeerRoute(pub(crate) overlay::PeerRoute);

#[pymethods]
impl PeerRoute {
    #[new]
    #[pyo3(
        signature = (*, block, node_addr, device=Given::Default, protocol=Given::Default),
        text_signature = "(*, block, node_addr, device='tunl0', protocol=12)"
    )]
    fn new<'py>(
        block: &Bound<'py, PyAny>,
        node_addr: &Bound<'py, PyAny>,
        device: Given<'py>,
        protocol: Given<'py>,
    ) -> PyResult<Self> {
        let block = args::prefix("block", block)?;
        let route =
            overlay::PeerRoute::tunnelled(block, NodeAddr(args::address("node_addr", node_addr)?));
        let device = device.or(route.device.clone(), |name| args::interface("device", name))?;
        let protocol = protocol.or(RouteProtocol::BIRD, route_protocol)?;
        Ok(Self(overlay::PeerRoute {
            device,
            protocol,
            ..route
        }))
    }

    /// The block.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.0.block)
    }

    /// The underlay address of the node that holds it.
    #[getter]
    fn node_addr(&self) -> Ipv4Addr {
        self.0.node_addr.0
    }

    /// The device that it goes through.
    #[getter]
    fn device(&self) -> &str {
        self.0.device.as_str()
    }

    /// The number of the route's mark.
    #[getter]
    fn protocol(&self) -> u8 {
        self.0.protocol.0
    }

    fn __repr__(&self) -> String {
        format!(
            "PeerRoute(block='{}', node_addr='{}', device='{}', protocol={})",
            self.0.block,
            self.0.node_addr,
            self.device(),
            self.protocol()
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

/// The guard of a node's own block: blackhole BLOCK proto bird. For a /32 there is none.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct Blackhole(pub(crate) overlay::Blackhole);

#[pymethods]
impl Blackhole {
    #[new]
    #[pyo3(signature = (*, block, protocol=Given::Default), text_signature = "(*, block, protocol=12)")]
    fn new<'py>(block: &Bound<'py, PyAny>, protocol: Given<'py>) -> PyResult<Self> {
        let block = args::prefix("block", block)?;
        let protocol = protocol.or(RouteProtocol::BIRD, route_protocol)?;
        Ok(Self(overlay::Blackhole { block, protocol }))
    }

    /// The node's own block.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.0.block)
    }

    /// The number of the route's mark.
    #[getter]
    fn protocol(&self) -> u8 {
        self.0.protocol.0
    }

    fn __repr__(&self) -> String {
        format!(
            "Blackhole(block='{}', protocol={})",
            self.0.block,
            self.protocol()
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

fn route_protocol(value: &Bound<'_, PyAny>) -> PyResult<RouteProtocol> {
    args::octet("protocol", value).map(RouteProtocol)
}
