//! The extension module `ipip._ipip` behind the Python package `ipip`.
//!
//! Each file is one object or one group of functions of the Python API; none holds a rule of its
//! own, all ask `ipip-core`. The package around it is in `python/ipip`: it re-exports what is here,
//! defines the exceptions (`errors.py`) and carries the type stubs (`_ipip.pyi`).
//!
//! | file | offers |
//! |---|---|
//! | `args`, `buffer` | reading arguments; packets in any buffer |
//! | `errors` | core errors as Python exceptions |
//! | `log` | the logger `ipip`; calls without the GIL |
//! | `wire`, `header`, `outer`, `echo` | encapsulate, decapsulate, parse |
//! | `encapsulator`, `batch`, `spans` | one tunnel's outer headers; many packets by one call |
//! | `block`, `pool`, `ipam`, `attributes` | one block in memory; the allocator on a store |
//! | `resources` | what the allocator reads beside them |
//! | `netns` | network namespaces |
//! | `objects`, `ensure` | tunl0, workloads, routes: as values, and brought to be |
//! | `capture` | frames of a live interface |
//!
//! Conventions, which the package's docstring promises: the GIL is not held during a system call;
//! a blocking call looks for Ctrl-C ten times a second or more; objects are frozen, so two threads
//! may share any of them; nothing panics, whatever Python passes.
#![forbid(unsafe_code)]

mod args;
mod attributes;
mod batch;
mod block;
mod buffer;
mod capture;
mod echo;
mod encapsulator;
mod ensure;
mod errors;
mod header;
mod ipam;
mod log;
mod netns;
mod objects;
mod outer;
mod pool;
mod resources;
mod spans;
mod wire;

/// The compiled part of the package `ipip`, which re-exports all of it.
#[pyo3::pymodule]
mod _ipip {
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;
    use pyo3::types::PyFrozenSet;

    #[pymodule_export]
    use crate::attributes::Released;
    #[pymodule_export]
    use crate::batch::{HeaderBatch, IpipBatch, decapsulate_batch, parse_batch};
    #[pymodule_export]
    use crate::block::{Assignment, Block};
    #[pymodule_export]
    use crate::capture::{Frame, LiveCapture};
    #[pymodule_export]
    use crate::echo::{Echo, echo_reply, echo_request, parse_echo};
    #[pymodule_export]
    use crate::encapsulator::Encapsulator;
    #[pymodule_export]
    use crate::ensure::{
        Changes, ensure_blackhole, ensure_peer_route, ensure_tunnel, ensure_workload,
        remove_blackhole, remove_peer_route, remove_tunnel, remove_workload,
    };
    #[pymodule_export]
    use crate::header::{IpipPacket, Ipv4Header};
    #[pymodule_export]
    use crate::ipam::{Claimed, Ipam, MemoryStore};
    #[pymodule_export]
    use crate::netns::Netns;
    #[pymodule_export]
    use crate::objects::{Blackhole, PeerRoute, Tunnel, WorkloadEndpoint, py_host_veth_name};
    #[pymodule_export]
    use crate::outer::Outer;
    #[pymodule_export]
    use crate::pool::Pool;
    #[pymodule_export]
    use crate::resources::{AllocatorConfig, NodeRecord, Reservation};
    #[pymodule_export]
    use crate::spans::SpanBatch;
    #[pymodule_export]
    use crate::wire::{
        checksum, decapsulate, encapsulate, encapsulate_into, finish_partial_checksum, ipv4_packet,
        parse, parse_ipv4,
    };

    /// The optional parts that this build carries, such as "sqlite"; none so far.
    #[pyfunction]
    fn features(py: Python<'_>) -> PyResult<Bound<'_, PyFrozenSet>> {
        PyFrozenSet::empty(py)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        first_interpreter_only(module.py())?;
        crate::log::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// Python 3.12 and later see to it themselves. Before, a second interpreter would share this
    /// one's classes, and with them what they remember of `ipaddress` and `logging`.
    fn first_interpreter_only(py: Python<'_>) -> PyResult<()> {
        static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
        let sys = py.import("sys")?;
        let first = SYS.get_or_init(py, || sys.clone().unbind());
        if first.is(&sys) {
            return Ok(());
        }
        Err(PyImportError::new_err(
            "module ipip._ipip does not support loading in subinterpreters",
        ))
    }
}
