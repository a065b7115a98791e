//! `ensure_*` and `remove_*`: one object at a time, and `Changes`, what they did.

use ipip_core::node::{self, NodeError};
use ipip_core::sys::netns;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::guard::Guard;
use crate::log::without_gil;
use crate::netns::Netns;
use crate::objects::{Blackhole, PeerRoute, Tunnel, WorkloadEndpoint};
use crate::{args, errors};

/// What a call changed: false if everything was as it should be already. str() is the shell script
/// that does the same.
#[pyclass(frozen, eq, hash, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct Changes(Vec<String>);

#[pymethods]
impl Changes {
    /// Each change as the shell line that does the same, in the order in which they were made.
    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0)
    }

    /// How many changes; 0 makes it false.
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __str__(&self) -> String {
        self.0.join("\n")
    }

    fn __repr__(&self) -> String {
        format!(
            "<Changes {} {}>",
            self.0.len(),
            if self.0.len() == 1 { "step" } else { "steps" }
        )
    }
}

impl From<node::Changes> for Changes {
    fn from(changes: node::Changes) -> Self {
        Self(changes.steps.iter().map(ToString::to_string).collect())
    }
}

fn call(
    netns: &Bound<'_, PyAny>,
    work: impl FnOnce(&netns::Netns) -> Result<node::Changes, NodeError> + Send,
) -> PyResult<Changes> {
    let py = netns.py();
    let netns = args::object::<Netns>("netns", netns)?.get().get(py)?;
    let changes = without_gil(py, || work(&netns));
    changes.map(Changes::from).map_err(errors::node(py))
}

/// Brings the tunnel device to be in netns: the kernel's own tunl0 if it is there, one equal to it
/// if not; its MTU, its address as a /32, forwarding, up.
///
/// Raises NoDriver on a kernel without the ipip driver, InTheWay if the name belongs to another kind
/// of device, NoPrivilege without CAP_NET_ADMIN.
#[pyfunction]
pub(crate) fn ensure_tunnel(
    netns: &Bound<'_, PyAny>,
    tunnel: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let tunnel = &args::object::<Tunnel>("tunnel", tunnel)?.get().0;
    call(netns, |netns| node::ensure_tunnel(netns, tunnel))
}

/// Takes the address off the tunnel device, takes the device down if it is bare then, and deletes it
/// if we made it. The kernel's own fallback device stays.
#[pyfunction]
pub(crate) fn remove_tunnel(
    netns: &Bound<'_, PyAny>,
    tunnel: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let tunnel = &args::object::<Tunnel>("tunnel", tunnel)?.get().0;
    call(netns, |netns| node::remove_tunnel(netns, tunnel))
}

/// Wires a workload as Calico does: a veth pair born with one end in netns and one in
/// workload_netns, with its addresses, settings and routes.
///
/// Raises InTheWay if a name or route is somebody else's, InvalidArgument if both namespaces are one,
/// KernelError if the kernel refuses; nothing is half-applied.
#[pyfunction]
pub(crate) fn ensure_workload(
    netns: &Bound<'_, PyAny>,
    workload_netns: &Bound<'_, PyAny>,
    workload: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let inside = args::object::<Netns>("workload_netns", workload_netns)?
        .get()
        .get(netns.py())?;
    let workload = &args::object::<WorkloadEndpoint>("workload", workload)?
        .get()
        .0;
    call(netns, |netns| {
        node::ensure_workload(netns, &inside, workload)
    })
}

/// Deletes a workload's veth pair, and with it its addresses and routes. The workload's own
/// namespace may be gone already.
#[pyfunction]
pub(crate) fn remove_workload(
    netns: &Bound<'_, PyAny>,
    workload: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let workload = &args::object::<WorkloadEndpoint>("workload", workload)?
        .get()
        .0;
    call(netns, |netns| node::remove_workload(netns, workload))
}

/// Brings the route to another node's block to be, and forwarding where its packets enter.
///
/// Raises InTheWay if another protocol's route has the prefix, NotFound if the device is missing,
/// KernelError if the kernel refuses.
#[pyfunction]
pub(crate) fn ensure_peer_route(
    netns: &Bound<'_, PyAny>,
    route: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let route = &args::object::<PeerRoute>("route", route)?.get().0;
    call(netns, |netns| node::ensure_peer_route(netns, route))
}

/// Deletes exactly this route: the same block via another node stays.
#[pyfunction]
pub(crate) fn remove_peer_route(
    netns: &Bound<'_, PyAny>,
    route: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let route = &args::object::<PeerRoute>("route", route)?.get().0;
    call(netns, |netns| node::remove_peer_route(netns, route))
}

/// Brings the blackhole of the node's own block to be.
///
/// Raises InTheWay if another route has the prefix, KernelError if the kernel refuses.
#[pyfunction]
pub(crate) fn ensure_blackhole(
    netns: &Bound<'_, PyAny>,
    blackhole: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let blackhole = &args::object::<Blackhole>("blackhole", blackhole)?.get().0;
    call(netns, |netns| node::ensure_blackhole(netns, blackhole))
}

/// Deletes the blackhole.
#[pyfunction]
pub(crate) fn remove_blackhole(
    netns: &Bound<'_, PyAny>,
    blackhole: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let blackhole = &args::object::<Blackhole>("blackhole", blackhole)?.get().0;
    call(netns, |netns| node::remove_blackhole(netns, blackhole))
}

/// Brings the guard of a node to be: the nf_tables table "ip ipip". What changed goes in as single
/// elements, first those that let in more.
///
/// Raises NoGuard without the program nft and on a kernel without nf_tables, InTheWay if a table of that
/// name is not ours, NoPrivilege without CAP_NET_ADMIN.
#[pyfunction]
pub(crate) fn ensure_guard(
    netns: &Bound<'_, PyAny>,
    guard: &Bound<'_, PyAny>,
) -> PyResult<Changes> {
    let guard = &args::object::<Guard>("guard", guard)?.get().0;
    call(netns, |netns| node::ensure_guard(netns, guard))
}

/// Deletes the guard's table if it is ours, and nothing else of nf_tables.
#[pyfunction]
pub(crate) fn remove_guard(netns: &Bound<'_, PyAny>) -> PyResult<Changes> {
    call(netns, node::remove_guard)
}
