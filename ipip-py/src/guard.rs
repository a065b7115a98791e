//! `Guard`, `GuardPool`: who may send IPIP packets to a node.

use std::net::Ipv4Addr;

use ipip_core::addr::TunnelAddr;
use ipip_core::overlay;
use pyo3::prelude::*;

use crate::args::{self, Given};
use crate::peers::Peers;

/// A pool, as far as a guard is concerned.
///
/// With nat_outgoing, packets of its workloads take the node's address where they leave the cluster.
#[pyclass(frozen, eq, module = "ipip")]
#[derive(PartialEq)]
pub(crate) struct GuardPool(overlay::GuardPool);

#[pymethods]
impl GuardPool {
    #[new]
    #[pyo3(
        signature = (*, prefix, nat_outgoing=Given::Default),
        text_signature = "(*, prefix, nat_outgoing=False)"
    )]
    fn new<'py>(prefix: &Bound<'py, PyAny>, nat_outgoing: Given<'py>) -> PyResult<Self> {
        Ok(Self(overlay::GuardPool {
            prefix: args::prefix("prefix", prefix)?,
            nat_outgoing: nat_outgoing.or(false, |flag| args::flag("nat_outgoing", flag))?,
        }))
    }

    /// Its addresses.
    #[getter]
    fn prefix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        args::network(py, self.0.prefix)
    }

    /// Whether packets take the node's address where they leave the cluster.
    #[getter]
    fn nat_outgoing(&self) -> bool {
        self.0.nat_outgoing
    }

    fn __repr__(&self) -> String {
        format!(
            "GuardPool(prefix='{}', nat_outgoing={})",
            self.0.prefix,
            args::boolean(self.0.nat_outgoing)
        )
    }

    fn __hash__(&self) -> u64 {
        args::hash_of(&self.__repr__())
    }
}

/// A node's guard: it drops IPIP packets with an inner address in a pool, unless peers has the inner
/// source behind the outer one or both are the same, and those that come from workloads; and it
/// translates sources as Calico does.
///
/// peers is taken as it is now. address is the tunnel device's, which the node's own packets to pods
/// take; None leaves them as they are.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Guard(pub(crate) overlay::Guard);

#[pymethods]
impl Guard {
    #[new]
    #[pyo3(
        signature = (*, peers, pools, address, device=Given::Default),
        text_signature = "(*, peers, pools, address, device='tunl0')"
    )]
    fn new<'py>(
        peers: &Bound<'py, PyAny>,
        pools: &Bound<'py, PyAny>,
        address: Option<&Bound<'py, PyAny>>,
        device: Given<'py>,
    ) -> PyResult<Self> {
        let pool = |name: &str, pool: &Bound<'py, PyAny>| {
            Ok(args::object::<GuardPool>(name, pool)?.get().0)
        };
        let peers = args::object::<Peers>("peers", peers)?.get().read().clone();
        let pools = args::each("pools", pools, pool)?;
        // Its address is replaced below.
        let guard = overlay::Guard::new(peers, pools, TunnelAddr(Ipv4Addr::UNSPECIFIED));
        let address = address.map(|address| args::address("address", address));
        let device = device.or(guard.device.clone(), |name| args::interface("device", name))?;
        Ok(Self(overlay::Guard {
            device,
            address: address.transpose()?.map(TunnelAddr),
            ..guard
        }))
    }

    /// Its pools.
    #[getter]
    fn pools(&self) -> Vec<GuardPool> {
        self.0.pools.iter().copied().map(GuardPool).collect()
    }

    /// The tunnel device's address, or None.
    #[getter]
    fn address(&self) -> Option<Ipv4Addr> {
        self.0.address.map(|address| address.0)
    }

    /// The tunnel device's name.
    #[getter]
    fn device(&self) -> &str {
        self.0.device.as_str()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Guard of {} pools, {} prefixes of peers>",
            self.0.pools.len(),
            self.0.peers.len()
        )
    }
}
