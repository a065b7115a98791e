//! What a node answers: `Attached`, `Detached`, `Synced`, `Planned`, `Left`.

use std::net::Ipv4Addr;

use ipip_core::node::{self, DataPathState, GuardState};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::args;
use crate::ensure::Changes;
use crate::outcome::NodeRemoval;

/// A container on the pod network.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Attached(pub(crate) node::Attached);

#[pymethods]
impl Attached {
    /// Its address, a /32 inside.
    #[getter]
    fn address(&self) -> Ipv4Addr {
        self.0.address
    }

    /// The end of its wire in the node's namespace.
    #[getter]
    fn host_veth(&self) -> &str {
        self.0.host_veth.as_str()
    }

    /// The hardware address of its interface, as text, or None.
    #[getter]
    fn mac(&self) -> Option<String> {
        self.0.mac.map(|mac| mac.to_string())
    }

    /// Its MTU in octets.
    #[getter]
    fn mtu(&self) -> u32 {
        self.0.mtu.octets()
    }

    /// What the call changed in the kernel; false if the container was attached already.
    #[getter]
    fn changes(&self) -> Changes {
        self.0.changes.clone().into()
    }

    fn __repr__(&self) -> String {
        format!("<Attached {} {}>", self.0.address, self.0.host_veth)
    }
}

/// What became of a container that was taken off the pod network.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Detached(pub(crate) node::Detached);

#[pymethods]
impl Detached {
    /// The addresses that it had, which are free now.
    #[getter]
    fn released(&self) -> Vec<Ipv4Addr> {
        self.0.released.clone()
    }

    /// What the call changed in the kernel; false if the wire was gone, or is a newer container's.
    #[getter]
    fn changes(&self) -> Changes {
        self.0.changes.clone().into()
    }

    fn __repr__(&self) -> String {
        let (released, changes) = (self.0.released.len(), self.0.changes.steps.len());
        format!("<Detached released={released} changes={changes}>")
    }
}

/// A step that was not carried out. str() is the step and the reason.
#[pyclass(frozen, eq, hash, get_all, module = "ipip")]
#[derive(PartialEq, Hash)]
pub(crate) struct FailedStep {
    /// The step as its shell line.
    step: String,
    /// The kernel's own words, with its object.
    reason: String,
    /// The kernel's error number, or None.
    errno: Option<i32>,
}

impl From<&node::FailedStep> for FailedStep {
    fn from(failed: &node::FailedStep) -> Self {
        Self {
            step: failed.step.to_string(),
            reason: failed.reason.clone(),
            errno: failed.errno,
        }
    }
}

#[pymethods]
impl FailedStep {
    fn __str__(&self) -> String {
        format!("{}: {}", self.step, self.reason)
    }

    fn __repr__(&self) -> String {
        format!("<FailedStep {}>", self.__str__())
    }
}

fn texts<'py, T: ToString>(py: Python<'py>, values: &[T]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, values.iter().map(T::to_string))
}

/// What a sync did. str() is the shell script that does the same, with what could not be done as comments
/// between its lines.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Synced(pub(crate) node::Synced);

#[pymethods]
impl Synced {
    /// The steps that were carried out, as shell lines; none if everything was as it should be.
    #[getter]
    fn done<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.done)
    }

    /// The steps that were not; the next sync tries them again.
    #[getter]
    fn failed(&self) -> Vec<FailedStep> {
        self.0.failed.iter().map(FailedStep::from).collect()
    }

    /// The steps that were not begun, as the time of a pass of run was over; the next one goes on with them.
    #[getter]
    fn postponed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.postponed)
    }

    /// Objects of others where ours should be, or that must be there and are not, a sentence each. They
    /// are not touched.
    #[getter]
    fn conflicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.conflicts)
    }

    /// Routes that were there before, and are ours from now on.
    #[getter]
    fn adopted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.adopted)
    }

    /// Blocks and addresses for which nothing is done, a sentence each.
    #[getter]
    fn withheld<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.withheld)
    }

    /// Who carries the packets: "kernel" (its driver), "bpf", "userspace" (this process), "elsewhere" (another process, in user
    /// space), "idle" (nobody need) or "unavailable".
    #[getter]
    fn data_path(&self) -> String {
        match &self.0.data_path {
            DataPathState::Idle => "idle".to_owned(),
            DataPathState::Running { kind, .. } => kind.to_string(),
            DataPathState::Elsewhere => "elsewhere".to_owned(),
            _ => "unavailable".to_owned(),
        }
    }

    /// The same as a sentence, with the reason.
    #[getter]
    fn data_path_text(&self) -> String {
        self.0.data_path.to_string()
    }

    /// Whether forged tunnel packets are dropped: "active", "declined" or "unavailable".
    #[getter]
    fn guard(&self) -> &'static str {
        match self.0.guard {
            GuardState::Active => "active",
            GuardState::Declined => "declined",
            GuardState::Unavailable { .. } => "unavailable",
        }
    }

    /// The same with the reason.
    #[getter]
    fn guard_text(&self) -> String {
        self.0.guard.to_string()
    }

    /// Why the store could not be read, or None; what was read last counted then, and nothing was taken
    /// away.
    #[getter]
    fn stale(&self) -> Option<&str> {
        self.0.stale.as_deref()
    }

    /// Whether the node holds all that it should.
    #[getter]
    fn settled(&self) -> bool {
        self.0.is_settled()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let settled = args::boolean(self.0.is_settled());
        format!("<Synced {} steps, settled={settled}>", self.0.done.len())
    }
}

/// What a sync would do in the kernel; false if there is nothing to do, and nothing in the way. str() is a
/// shell script that does it.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Planned(pub(crate) node::Planned);

#[pymethods]
impl Planned {
    /// The steps as shell lines, in order.
    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.steps)
    }

    /// As those of Synced.
    #[getter]
    fn conflicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.conflicts)
    }

    /// As those of Synced.
    #[getter]
    fn adopted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.adopted)
    }

    /// As those of Synced.
    #[getter]
    fn withheld<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.withheld)
    }

    /// As that of Synced.
    #[getter]
    fn stale(&self) -> Option<&str> {
        self.0.stale.as_deref()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let (steps, conflicts) = (self.0.steps.len(), self.0.conflicts.len());
        format!("<Planned steps={steps} conflicts={conflicts}>")
    }
}

/// What a node that left has taken down, and what it could not.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Left(pub(crate) node::Left);

#[pymethods]
impl Left {
    /// The steps that were carried out in the kernel, as shell lines.
    #[getter]
    fn done<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        texts(py, &self.0.done)
    }

    /// Those that were not; the next call tries them again.
    #[getter]
    fn failed(&self) -> Vec<FailedStep> {
        self.0.failed.iter().map(FailedStep::from).collect()
    }

    /// Its tunnel address, which is free now.
    #[getter]
    fn released(&self) -> Vec<Ipv4Addr> {
        self.0.released.clone()
    }

    /// What the store forgot, where that was asked for; else None.
    #[getter]
    fn removal(&self) -> Option<NodeRemoval> {
        self.0.removal.clone().map(NodeRemoval::from)
    }

    /// What else could not be done: the store's words.
    #[getter]
    fn faults(&self) -> Vec<String> {
        self.0.faults.clone()
    }

    /// Whether nothing is left to be done.
    #[getter]
    fn complete(&self) -> bool {
        self.0.is_complete()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __repr__(&self) -> String {
        let complete = args::boolean(self.0.is_complete());
        format!("<Left {} steps, complete={complete}>", self.0.done.len())
    }
}
