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
//!
//! Conventions, which the package's docstring promises: the GIL is not held during a system call;
//! a blocking call looks for Ctrl-C ten times a second or more; objects are frozen, so two threads
//! may share any of them; nothing panics, whatever Python passes.
#![forbid(unsafe_code)]

mod args;
mod buffer;
mod echo;
mod errors;
mod header;
mod log;
mod outer;
mod wire;

/// The compiled part of the package `ipip`, which re-exports all of it.
#[pyo3::pymodule]
mod _ipip {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::echo::{Echo, echo_reply, echo_request, parse_echo};
    #[pymodule_export]
    use crate::header::{IpipPacket, Ipv4Header};
    #[pymodule_export]
    use crate::outer::Outer;
    #[pymodule_export]
    use crate::wire::{
        checksum, decapsulate, encapsulate, encapsulate_into, finish_partial_checksum, ipv4_packet,
        parse, parse_ipv4,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::log::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
