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
//! | `exit`, `fragment`, `loops` | what leaves a tunnel, what is cut before it enters, what must not enter |
//! | `icmp_error`, `tunnel_error` | ICMP errors, and those from inside a tunnel |
//! | `peers` | which node is behind which prefix |
//! | `encapsulator`, `batch`, `spans` | one tunnel's outer headers; many packets by one call |
//! | `block`, `pool`, `ipam`, `attributes` | one block in memory; the allocator on a store |
//! | `outcome`, `usage`, `check` | what the allocator answers |
//! | `resources` | what the allocator reads beside them |
//! | `netns` | network namespaces |
//! | `objects`, `ensure` | tunl0, workloads, routes: as values, and brought to be |
//! | `node`, `node_config`, `node_outcome`, `run` | a whole node: what it does, is told, answers; kept as it should be |
//! | `frame`, `capture`, `reader`, `pcap` | one frame explained; frames of a live interface, of a file, to a file |
//! | `filter`, `finding`, `journey` | which frames, what is wrong with them, one packet at several points |
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
mod check;
mod echo;
mod encapsulator;
mod ensure;
mod errors;
mod exit;
mod filter;
mod finding;
mod fragment;
mod frame;
mod guard;
mod header;
mod icmp_error;
mod ipam;
mod journey;
mod log;
mod loops;
mod netns;
mod node;
mod node_config;
mod node_outcome;
mod objects;
mod outcome;
mod outer;
mod pcap;
mod peers;
mod pool;
mod progress;
mod reader;
mod resources;
mod run;
mod spans;
mod store;
mod tunnel_error;
mod usage;
mod wire;

/// The compiled part of the package `ipip`, which re-exports all of it.
#[pyo3::pymodule]
mod _ipip {
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;
    use pyo3::types::PyFrozenSet;

    #[pymodule_export]
    use crate::attributes::{Release, Released};
    #[pymodule_export]
    use crate::batch::{HeaderBatch, IpipBatch, decapsulate_batch, parse_batch};
    #[pymodule_export]
    use crate::block::{Assignment, Block};
    #[pymodule_export]
    use crate::capture::LiveCapture;
    #[pymodule_export]
    use crate::check::{Problem, Repaired, Report};
    #[pymodule_export]
    use crate::echo::{Echo, echo_reply, echo_request, parse_echo};
    #[pymodule_export]
    use crate::encapsulator::Encapsulator;
    #[pymodule_export]
    use crate::ensure::{
        Changes, ensure_blackhole, ensure_guard, ensure_peer_route, ensure_tunnel, ensure_workload,
        remove_blackhole, remove_guard, remove_peer_route, remove_tunnel, remove_workload,
    };
    #[pymodule_export]
    use crate::exit::{
        Decapsulated, EcnAlarm, EcnExit, decapsulate_in_place, ecn_at_exit, lower_ttl,
        update_checksum,
    };
    #[pymodule_export]
    use crate::filter::Filter;
    #[pymodule_export]
    use crate::finding::findings;
    #[pymodule_export]
    use crate::fragment::{FragmentKey, FragmentPart, clamp_mss, fragments};
    #[pymodule_export]
    use crate::frame::Frame;
    #[pymodule_export]
    use crate::guard::{Guard, GuardPool};
    #[pymodule_export]
    use crate::header::{IpipPacket, Ipv4Header};
    #[pymodule_export]
    use crate::icmp_error::{IcmpError, IcmpErrorView, Quoted, parse_icmp_error, parse_quoted};
    #[pymodule_export]
    use crate::ipam::Ipam;
    #[pymodule_export]
    use crate::journey::journeys;
    #[pymodule_export]
    use crate::loops::LoopPolicy;
    #[pymodule_export]
    use crate::netns::Netns;
    #[pymodule_export]
    use crate::node::Node;
    #[pymodule_export]
    use crate::node_config::{NodeConfig, Workload, WorkloadId};
    #[pymodule_export]
    use crate::node_outcome::{Attached, Detached, FailedStep, Left, Planned, Synced};
    #[pymodule_export]
    use crate::objects::{Blackhole, PeerRoute, Tunnel, WorkloadEndpoint, py_host_veth_name};
    #[pymodule_export]
    use crate::outcome::{
        Assignments, Claimed, Collected, Collector, NodeRemoval, PoolDeletion, ReleasedMany,
    };
    #[pymodule_export]
    use crate::outer::Outer;
    #[pymodule_export]
    use crate::pcap::PcapWriter;
    #[pymodule_export]
    use crate::peers::Peers;
    #[pymodule_export]
    use crate::pool::{Pool, selector_matches};
    #[pymodule_export]
    use crate::progress::Progress;
    #[pymodule_export]
    use crate::reader::Reader;
    #[pymodule_export]
    use crate::resources::{AllocatorConfig, NodeRecord, Reservation};
    #[pymodule_export]
    use crate::run::{RunEvent, Stop};
    #[pymodule_export]
    use crate::spans::SpanBatch;
    #[pymodule_export]
    use crate::store::{Imported, MemoryStore, SqliteStore, Store};
    #[pymodule_export]
    use crate::tunnel_error::{Relay, TunnelError, TunnelState, parse_tunnel_error};
    #[pymodule_export]
    use crate::usage::{AddressUsage, BlockUsage, Borrowed, PoolUsage, Usage};
    #[pymodule_export]
    use crate::wire::{
        checksum, decapsulate, encapsulate, encapsulate_into, finish_partial_checksum, ipv4_packet,
        parse, parse_ipv4,
    };

    /// The optional parts that this build carries, such as "sqlite".
    #[pyfunction]
    fn features(py: Python<'_>) -> PyResult<Bound<'_, PyFrozenSet>> {
        PyFrozenSet::new(py, ["sqlite", "bpf"])
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
