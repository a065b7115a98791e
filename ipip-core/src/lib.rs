//! The pod network that Calico builds in IPIP mode, as a library.
//!
//! Two journeys shape the rooms. A **packet** is bytes that [`wire`] views, encapsulates and
//! decapsulates; [`capture`] explains them. A **change** is decided by [`ipam`] (which address),
//! turned by [`overlay`] into what a node should hold, compared by [`plan`] with what
//! [`netlink`] observed, and applied. [`node`] is the front desk that runs that journey and owns
//! no rule of its own.
//!
//! | room | holds | knows |
//! |---|---|---|
//! | [`addr`], [`name`], [`mtu`] | prefixes, planes of addresses, names, MTU arithmetic | nothing |
//! | [`peers`] | which node owns which prefix | `addr` |
//! | [`wire`] | IPv4-in-IPv4 headers, checksums | `addr`, `mtu` |
//! | [`resource`] | Calico's values and their JSON | leaves |
//! | [`datastore`] | the `Store` trait and its stores | leaves |
//! | [`ipam`] | blocks, affinities, assignments | `resource`, `datastore` |
//! | [`cluster`] | nodes, pools and blocks as one view that follows a store | `resource`, `datastore` |
//! | [`overlay`] | what Calico's IPIP mode means, as pure functions | leaves, `peers`, `cluster`'s view, `plan`'s values |
//! | [`plan`] | desired, observed, the difference, the steps | leaves |
//! | [`netlink`] | the kernel: observe and apply | `plan`'s values, `sys` |
//! | [`datapath`] | who carries the packets where the kernel has no ipip driver | `wire`, `peers`, `sys` |
//! | [`capture`] | frames from live interfaces and files, explained | `wire`, `peers`, `sys` |
//! | [`node`] | a whole node, from joining to leaving; `ensure_*` and their removal | all of the above |
//! | [`sys`] | system calls, the only unsafe code but for the choice of a checksum loop | nothing |
//!
//! An error says what was found and what is allowed; [`error_chain`] adds the words of its causes.
//!
//! Without the default feature `std` only [`addr`], [`mtu`] and [`wire`] are built, on `core` alone.
// Tests may use the standard library whatever the features.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]

pub mod addr;
#[cfg(feature = "std")]
pub mod capture;
#[cfg(feature = "std")]
pub mod cluster;
#[cfg(feature = "std")]
pub mod datapath;
#[cfg(feature = "std")]
pub mod datastore;
#[cfg(feature = "std")]
mod error_chain;
#[cfg(feature = "std")]
pub mod ipam;
pub mod mtu;
#[cfg(feature = "std")]
pub mod name;
#[cfg(feature = "std")]
pub mod netlink;
#[cfg(feature = "std")]
pub mod node;
#[cfg(feature = "std")]
pub mod overlay;
#[cfg(feature = "std")]
pub mod peers;
#[cfg(feature = "std")]
pub mod plan;
#[cfg(feature = "std")]
pub mod resource;
#[cfg(feature = "std")]
pub mod sys;
pub mod wire;

#[cfg(feature = "std")]
pub use error_chain::error_chain;
