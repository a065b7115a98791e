//! Who carries the packets between nodes: the kernel's ipip driver, eBPF programs, or this process.
//!
//! [`choose()`] decides from what was asked and what the kernel can do; it is pure. Two paths are for
//! kernels without the driver, with a TUN device in place of `tunl0`. `Bpf` (feature `bpf`) has the kernel
//! carry the packets, at its own speed, and goes on when the process ends. [`Userspace`] is a raw socket on
//! the underlay and two threads, for those who may not load programs; it also carries the few packets that
//! the programs leave. Each packet's fate is decided by `forward`, a pure function over the packet and the
//! [`Peers`](crate::peers::Peers), which the programs follow; [`Counters`] keep what became of them.
//!
//! Whatever the path, the octets on the wire are the same (RFC 2003). In these two only a known node
//! may send to us, and only from its own prefixes; the kernel's driver accepts protocol 4 from anybody.
//!
//! The device is made here without address, MTU or routes. Those come from `overlay`, by way of
//! `netlink`, as they do for the kernel's own device.

#[cfg(feature = "bpf")]
mod bpf;
mod choose;
mod counters;
mod error;
mod forward;
mod join;
mod segment;
mod userspace;

#[cfg(feature = "bpf")]
pub use bpf::Bpf;
pub use choose::{
    BpfState, Choice, ChoiceError, ChooseError, DataPathKind, Decision, DriverState, choose,
};
pub use counters::{Counters, Drops, Traffic};
pub use error::DatapathError;
pub use userspace::Userspace;
