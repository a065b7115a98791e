//! From the errors of ipip-core to the exceptions of `ipip.errors`, which Python defines.
//!
//! One function per error of the core; each caller says which one it expects. Messages are the
//! core's own, with the chain of causes joined by colons.

use std::error::Error;
use std::fmt::Debug;
use std::io::ErrorKind;
use std::net::Ipv4Addr;

use ipip_core::capture::{CaptureError, PcapError, ReadError};
use ipip_core::cluster::ClusterError;
use ipip_core::datapath::ChooseError;
use ipip_core::datastore::StoreError;
use ipip_core::error_chain;
use ipip_core::ipam::{IpamError, IpamErrorKind};
use ipip_core::netlink::NetlinkError;
use ipip_core::node::{NodeError, UnderlayError};
use ipip_core::peers::PeerError;
use ipip_core::resource::BlockError;
use ipip_core::sys::netns::NetnsError;
use ipip_core::wire::{BatchError, FragmentError, Layer, LoopError, RelayError, WireError};
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

/// The same with a number in one of its attributes.
fn with_number(py: Python<'_>, class: &str, message: &str, (name, number): (&str, u64)) -> PyErr {
    let build = || {
        let error = build(py, class, message)?;
        error.setattr(name, number)?;
        Ok(error)
    };
    build().map_or_else(|broken| broken, PyErr::from_value)
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

/// `ipip.PacketError`, its kind and number set.
fn packet_error<'py, E: Error + Debug + 'static>(
    py: Python<'py>,
    fault: &E,
    code: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let error = build(py, "PacketError", &error_chain(fault))?;
    let debug = format!("{fault:?}");
    let kind = debug.split(|c: char| !c.is_alphanumeric()).next();
    error.setattr("kind", kind)?;
    error.setattr("status", code)?;
    Ok(error)
}

fn packet<'py>(py: Python<'py>, fault: &WireError) -> PyResult<Bound<'py, PyAny>> {
    let error = packet_error(py, fault, fault.code())?;
    let set = |name: &str, number: usize| error.setattr(name, number);
    match *fault {
        WireError::Truncated { needed, found, .. }
        | WireError::Headroom { needed, found }
        | WireError::Buffer { needed, found } => {
            set("needed", needed)?;
            set("found", found)?;
        }
        WireError::Version { found, .. }
        | WireError::Protocol { found }
        | WireError::TtlExpired { found }
        | WireError::IcmpNotError { found } => set("found", found.into())?,
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
        WireError::Protocol { .. } | WireError::OuterFragment { .. } | WireError::EcnDrop => {
            &Layer::Outer
        }
        WireError::TtlZero | WireError::TtlExpired { .. } => &Layer::Inner,
        WireError::IcmpType { .. } | WireError::IcmpNotError { .. } => &Layer::Icmp,
        _ => return None,
    };
    Some(match layer {
        Layer::Outer => "outer",
        Layer::Inner => "inner",
        Layer::Icmp => "icmp",
    })
}

/// What cannot be cut is `ipip.PacketError`.
pub(crate) fn fragment(py: Python<'_>) -> impl Fn(FragmentError) -> PyErr {
    move |fault| {
        let build = || {
            let error = packet_error(py, &fault, fault.code())?;
            match fault {
                FragmentError::DontFragment { found, mtu } => {
                    error.setattr("found", found)?;
                    error.setattr("mtu", mtu)?;
                }
                FragmentError::FragmentEnd { found } => error.setattr("found", found)?,
                FragmentError::Options { at } => error.setattr("at", at)?,
                _ => {}
            }
            Ok(error)
        };
        build().map_or_else(|broken: PyErr| broken, PyErr::from_value)
    }
}

/// What must not be carried is `ipip.PacketError`.
pub(crate) fn loops(py: Python<'_>) -> impl Fn(LoopError) -> PyErr {
    move |fault| {
        let build = || {
            let error = packet_error(py, &fault, fault.code())?;
            match fault {
                LoopError::SameEndpoints { found }
                | LoopError::ExitSource { found }
                | LoopError::ExitDestination { found } => error.setattr("address", found.0)?,
                LoopError::OwnSource { found } => error.setattr("address", found)?,
                LoopError::TunnelDepth { max } => error.setattr("max", max)?,
                _ => {}
            }
            Ok(error)
        };
        build().map_or_else(|broken: PyErr| broken, PyErr::from_value)
    }
}

/// What is not about a tunnel is `ipip.PacketError`.
pub(crate) fn relay(py: Python<'_>) -> impl Fn(RelayError) -> PyErr {
    move |fault| {
        let build = || {
            let error = packet_error(py, &fault, fault.code())?;
            match fault {
                RelayError::QuotedProtocol { found } => error.setattr("found", found)?,
                RelayError::QuotedEndpoints { from, to } => {
                    error.setattr("source", from)?;
                    error.setattr("destination", to)?;
                }
                RelayError::QuotedFragment { offset } => error.setattr("offset", offset)?,
                _ => {}
            }
            Ok(error)
        };
        build().map_or_else(|broken: PyErr| broken, PyErr::from_value)
    }
}

/// Who may not send a packet makes it `ipip.PacketError`.
pub(crate) fn peer(py: Python<'_>) -> impl Fn(PeerError) -> PyErr {
    move |fault| {
        let build = || {
            let error = packet_error(py, &fault, fault.code())?;
            let (outer, inner) = sources(&fault);
            error.setattr("outer_source", outer)?;
            error.setattr("inner_source", inner)?;
            Ok(error)
        };
        build().map_or_else(|broken: PyErr| broken, PyErr::from_value)
    }
}

/// Outer and inner source of a packet that is refused; an unknown outer one is enough.
pub(crate) fn sources(fault: &PeerError) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
    match *fault {
        PeerError::UnknownNode { outer_source } => (Some(outer_source.0), None),
        PeerError::ForeignSource {
            outer_source,
            inner_source,
        }
        | PeerError::NoHost {
            outer_source,
            inner_source,
        } => (Some(outer_source.0), Some(inner_source)),
        _ => (None, None),
    }
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

/// Files that are no captures are `ipip.InvalidArgument`, damaged ones `ipip.DamagedCapture`; what a
/// file object raised is raised again, the rest is the kernel's word.
pub(crate) fn read(py: Python<'_>) -> impl Fn(ReadError) -> PyErr {
    move |error| {
        let text = error_chain(&error);
        let source = match error {
            ReadError::Damaged { offset, .. } => {
                return with_number(py, "DamagedCapture", &text, ("offset", offset));
            }
            ReadError::Open { source, .. } | ReadError::Read { source, .. } => source,
            _ => return invalid_argument(py, text),
        };
        let errno = source.raw_os_error();
        let raised = source.into_inner().map(|inner| inner.downcast::<PyErr>());
        match raised {
            Some(Ok(raised)) => *raised,
            _ => kernel(py, errno, &text),
        }
    }
}

/// Frames that a file cannot hold are `ipip.InvalidArgument`, the rest is the kernel's word.
pub(crate) fn pcap(py: Python<'_>) -> impl Fn(PcapError) -> PyErr {
    move |error| {
        let text = error_chain(&error);
        match error {
            PcapError::Create { source, .. } | PcapError::Write(source) => {
                kernel(py, source.raw_os_error(), &text)
            }
            PcapError::Rest { left, source } => {
                let error = kernel_as(py, source.raw_os_error(), &text, Some("PartWritten"));
                let set = error.value(py).setattr("left", left);
                set.map_or_else(|broken| broken, |()| error)
            }
            _ => invalid_argument(py, text),
        }
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
    raise(py, class_of_store(error), &error_chain(error))
}

fn class_of_store(error: &StoreError) -> &'static str {
    match error {
        StoreError::EmptyKey | StoreError::RelativeKey { .. } | StoreError::Prefix { .. } => {
            "InvalidArgument"
        }
        StoreError::Deadline { .. } => "Busy",
        StoreError::Compacted { .. } => "Compacted",
        StoreError::Unknown { .. } => "CommitUnknown",
        StoreError::Damaged { .. } => "Damaged",
        _ => "StoreError",
    }
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

/// Objects of others are `ipip.InTheWay`, a missing device, node or underlay is `ipip.NotFound`, a missing driver is `ipip.NoDriver`, an
/// address that somebody else or another container has is `ipip.Taken`; the allocator and the store speak for themselves, the kernel too;
/// what no node or workload can be told is `ipip.InvalidArgument`.
pub(crate) fn node(py: Python<'_>) -> impl Fn(NodeError) -> PyErr {
    move |error| match error {
        NodeError::Netns(error) => netns(py)(error),
        NodeError::Ipam(error) => ipam(py)(error),
        NodeError::Cluster(ClusterError::Store { ref source, .. }) => {
            raise(py, class_of_store(source), &error_chain(&error))
        }
        NodeError::InTheWay(ref conflicts) if !error.is_link_missing() => {
            let texts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
            in_the_way(py, &error.to_string(), texts)
                .map_or_else(|broken| broken, PyErr::from_value)
        }
        NodeError::Kernel(NetlinkError::NodeNamespace { .. }) => invalid(py)(&error),
        NodeError::NoDriver { .. } | NodeError::Choice(ChooseError::NoDriver) => {
            kernel_as(py, error.errno(), &error_chain(&error), Some("NoDriver"))
        }
        NodeError::Kernel(_)
        | NodeError::Refused { .. }
        | NodeError::DataPath(_)
        | NodeError::HalfApplied { .. } => kernel(py, error.errno(), &error_chain(&error)),
        _ => raise(py, class_of_node(&error), &error_chain(&error)),
    }
}

fn class_of_node(error: &NodeError) -> &'static str {
    match error {
        NodeError::NoGuard(_) => "NoGuard",
        NodeError::InTheWay(_) | NodeError::NotJoined { .. } => "NotFound",
        NodeError::Underlay(
            UnderlayError::Missing { .. }
            | UnderlayError::AddressMissing { .. }
            | UnderlayError::NoCandidate,
        ) => "NotFound",
        NodeError::AddressTaken { .. }
        | NodeError::OtherAddress { .. }
        | NodeError::Choice(ChooseError::NameTaken { .. }) => "Taken",
        NodeError::NotGivenBack { .. } | NodeError::Cluster(_) => "StoreError",
        NodeError::InProgress { .. } => "Busy",
        _ => "InvalidArgument",
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
