//! Who carries the packets between nodes: the kernel's ipip driver, or this process.
//!
//! [`choose()`] decides from what was asked and what the kernel can do; it is pure. [`Userspace`] is
//! the path for kernels without the driver: a TUN device in place of `tunl0`, a raw socket on the
//! underlay, and two threads between them. Each packet's fate is decided by `forward`, a pure
//! function over the packet and the [`Peers`](crate::peers::Peers); [`Counters`] keep what became
//! of them.
//!
//! Whatever the path, the octets on the wire are the same (RFC 2003). In user space only a known node
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
mod userspace;

#[cfg(feature = "bpf")]
pub use bpf::Bpf;
pub use choose::{Choice, ChoiceError, ChooseError, DataPathKind, Decision, DriverState, choose};
pub use counters::{Counters, Drops, Traffic};
pub use error::DatapathError;
pub use userspace::Userspace;
