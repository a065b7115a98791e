//! From the errors of ipip-core to the exceptions of `ipip.errors`, which Python defines.
//!
//! One function per error of the core; each caller says which one it expects. Messages are the
//! core's own, with the chain of causes joined by colons.

use std::error::Error;
use std::io::ErrorKind;

use ipip_core::capture::CaptureError;
use ipip_core::datastore::StoreError;
use ipip_core::error_chain;
use ipip_core::ipam::{IpamError, IpamErrorKind};
use ipip_core::netlink::NetlinkError;
use ipip_core::node::NodeError;
use ipip_core::resource::BlockError;
use ipip_core::sys::netns::NetnsError;
use ipip_core::wire::{BatchError, Layer, WireError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// An exception of `ipip.errors` with this message; should that module be broken, what Python says
/// about it.
pub(crate) fn raise(py: Python<'_>, class: &str, message: &str) -> PyErr {
    build(py, class, message).map_or_else(|broken| broken, PyErr::from_value)
}

fn build<'py>(py: Python<'py>, class: &str, message: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("ipip.errors")?.getattr(class)?.call1((message,))
}

/// `ipip.InvalidArgument`.
pub(crate) fn invalid_argument(py: Python<'_>, message: impl AsRef<str>) -> PyErr {
    raise(py, "InvalidArgument", message.as_ref())
}

/// A wrong value of a type that checks itself.
pub(crate) fn invalid(py: Python<'_>) -> impl Fn(&dyn Error) -> PyErr {
    move |fault| invalid_argument(py, error_chain(fault))
}

/// `ipip.KernelError`, or the subclass that its number asks for.
pub(crate) fn kernel(py: Python<'_>, errno: Option<i32>, message: &str) -> PyErr {
    kernel_as(py, errno, message, None)
}

/// `class`, a subclass of `ipip.KernelError`.
pub(crate) fn kernel_as(
    py: Python<'_>,
    errno: Option<i32>,
    message: &str,
    class: Option<&str>,
) -> PyErr {
    let build = || {
        let module = py.import("ipip.errors")?;
        let class = class.map(|class| module.getattr(class)).transpose()?;
        module
            .getattr("_kernel_error")?
            .call1((errno, message, class))
    };
    build().map_or_else(|broken| broken, PyErr::from_value)
}

/// Faults of a packet are `ipip.PacketError`; faults of a number to be written,
/// `ipip.InvalidArgument`.
pub(crate) fn wire(py: Python<'_>) -> impl Fn(WireError) -> PyErr {
    move |fault| match fault {
        WireError::Dscp { .. } | WireError::FragmentOffset { .. } => invalid(py)(&fault),
        _ => packet(py, &fault).map_or_else(|broken| broken, PyErr::from_value),
    }
}

fn packet<'py>(py: Python<'py>, fault: &WireError) -> PyResult<Bound<'py, PyAny>> {
    let error = build(py, "PacketError", &fault.to_string())?;
    let debug = format!("{fault:?}");
    let kind = debug.split(|c: char| !c.is_alphanumeric()).next();
    error.setattr("kind", kind)?;
    error.setattr("status", fault.code())?;
    let set = |name: &str, number: usize| error.setattr(name, number);
    match *fault {
        WireError::Truncated { needed, found, .. }
        | WireError::Headroom { needed, found }
        | WireError::Buffer { needed, found } => {
            set("needed", needed)?;
            set("found", found)?;
        }
        WireError::Version { found, .. } | WireError::Protocol { found } => {
            set("found", found.into())?
        }
        WireError::HeaderLen { words, .. } => set("words", words.into())?,
        WireError::TotalLen {
            found, header_len, ..
        } => {
            set("found", found.into())?;
            set("header_len", header_len.into())?;
        }
        WireError::Checksum {
            found, computed, ..
        } => {
            set("found", found.into())?;
            set("computed", computed.into())?;
        }
        WireError::OuterFragment {
            offset,
            more_fragments,
        } => {
            set("offset", offset.into())?;
            error.setattr("more_fragments", more_fragments)?;
        }
        WireError::PacketTooLong { found, max } => {
            set("found", found)?;
            set("max", max)?;
        }
        WireError::IcmpType { found, code } => {
            set("found", found.into())?;
            set("code", code.into())?;
        }
        _ => {}
    }
    error.setattr("layer", layer(fault))?;
    Ok(error)
}

fn layer(fault: &WireError) -> Option<&'static str> {
    let layer = match fault {
        WireError::Truncated { layer, .. }
        | WireError::Version { layer, .. }
        | WireError::HeaderLen { layer, .. }
        | WireError::TotalLen { layer, .. }
        | WireError::Checksum { layer, .. } => layer,
        WireError::Protocol { .. } | WireError::OuterFragment { .. } => &Layer::Outer,
        WireError::TtlZero => &Layer::Inner,
        WireError::IcmpType { .. } => &Layer::Icmp,
        _ => return None,
    };
    Some(match layer {
        Layer::Outer => "outer",
        Layer::Inner => "inner",
        Layer::Icmp => "icmp",
    })
}

/// A batch that was not begun is `ipip.InvalidArgument`.
pub(crate) fn batch(py: Python<'_>) -> impl Fn(BatchError) -> PyErr {
    move |fault| invalid(py)(&fault)
}

/// A name or path that no namespace can have is `ipip.InvalidArgument`, so is a file of another kind;
/// the rest is the kernel's word.
pub(crate) fn netns(py: Python<'_>) -> impl Fn(NetnsError) -> PyErr {
    move |error| match &error {
        NetnsError::Name { .. } | NetnsError::NotNetns { .. } => invalid(py)(&error),
        NetnsError::System { source, .. } if source.kind() == ErrorKind::InvalidInput => {
            invalid(py)(&error)
        }
        _ => kernel(py, error.errno(), &error_chain(&error)),
    }
}

/// Interfaces that cannot be read are `ipip.InvalidArgument`, the rest is the kernel's word.
pub(crate) fn capture(py: Python<'_>) -> impl Fn(CaptureError) -> PyErr {
    move |error| match error {
        CaptureError::HardwareType { .. } => invalid(py)(&error),
        _ => kernel(py, error.errno(), &error_chain(&error)),
    }
}

/// The core says what a caller can do about an error of the allocator; that is the exception.
pub(crate) fn ipam(py: Python<'_>) -> impl Fn(IpamError) -> PyErr {
    move |error| match error {
        IpamError::Store(error) => store(py, &error),
        error => raise(py, class_of(error.kind()), &error_chain(&error)),
    }
}

/// A store that others hold is `ipip.Busy`, one that a person must look at `ipip.Damaged`.
pub(crate) fn store(py: Python<'_>, error: &StoreError) -> PyErr {
    let class = match error {
        StoreError::EmptyKey | StoreError::RelativeKey { .. } | StoreError::Prefix { .. } => {
            return invalid(py)(error);
        }
        StoreError::Deadline { .. } => "Busy",
        StoreError::Compacted { .. } => "Compacted",
        StoreError::Unknown { .. } => "CommitUnknown",
        StoreError::Damaged { .. } => "Damaged",
        _ => "StoreError",
    };
    raise(py, class, &error_chain(error))
}

/// The same for a block.
pub(crate) fn block(py: Python<'_>) -> impl Fn(BlockError) -> PyErr {
    move |error| raise(py, class_of(error.kind()), &error_chain(&error))
}

fn class_of(kind: IpamErrorKind) -> &'static str {
    match kind {
        IpamErrorKind::Invalid => "InvalidArgument",
        IpamErrorKind::NotFound => "NotFound",
        IpamErrorKind::Taken => "Taken",
        IpamErrorKind::Exhausted => "Exhausted",
        IpamErrorKind::Busy => "Busy",
        IpamErrorKind::Damaged => "Damaged",
        _ => "StoreError",
    }
}

/// Objects of others are `ipip.InTheWay`, a missing device is `ipip.NotFound`, a missing driver is `ipip.NoDriver`, one namespace for two, an
/// address that no workload and a route that no node can have are `ipip.InvalidArgument`, the rest is the kernel's word.
pub(crate) fn node(py: Python<'_>) -> impl Fn(NodeError) -> PyErr {
    move |error| match error {
        NodeError::Netns(error) => netns(py)(error),
        _ if error.is_link_missing() => raise(py, "NotFound", &error.to_string()),
        NodeError::InTheWay(ref conflicts) => {
            let texts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
            in_the_way(py, &error.to_string(), texts)
                .map_or_else(|broken| broken, PyErr::from_value)
        }
        NodeError::Kernel(NetlinkError::NodeNamespace { .. }) | NodeError::Overlay(_) => {
            invalid(py)(&error)
        }
        NodeError::NoDriver { .. } => {
            kernel_as(py, error.errno(), &error_chain(&error), Some("NoDriver"))
        }
        _ => kernel(py, error.errno(), &error_chain(&error)),
    }
}

fn in_the_way<'py>(
    py: Python<'py>,
    message: &str,
    conflicts: Vec<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let error = build(py, "InTheWay", message)?;
    error.setattr("conflicts", PyTuple::new(py, conflicts)?)?;
    Ok(error)
}

/// `error` again, naming the argument if it is a `TypeError`.
pub(crate) fn named(py: Python<'_>, name: &str, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyTypeError>(py) {
        return PyTypeError::new_err(format!("argument '{name}': {}", error.value(py)));
    }
    crate::args::invalid(py, name, error.value(py))
}
