//! libipip: the pod network that Calico builds in IPIP mode, for C and C++.
//!
//! Conventions, the same for every function:
//!
//! - A function that can fail returns `enum ipip_status`: 0 is success, every other number is one kind
//!   of failure and means the same for good. `ipip_last_error` then has the text and
//!   `ipip_last_errno` the kernel's number, each per thread.
//! - Names are `ipip_<object>_<verb>`. The object comes first; inputs are const and not changed;
//!   results come last, in parameters named `_out`, written on success only and left alone otherwise
//!   (but `needed_out` is also written with IPIP_STATUS_BUFFER_TOO_SMALL). No parameter is both. An
//!   `_out` may be NULL only where its function says so. Pointers given to one call must not overlap.
//! - A failed call leaves its objects, and the kernel, as they were, unless its status says otherwise
//!   (IPIP_STATUS_HALF_APPLIED, IPIP_STATUS_PANIC).
//! - NULL where an object, a string or a result is needed is an error, not a crash. Enums arrive as
//!   uint32_t and flags as uint8_t (0 or 1), and both are checked.
//! - A buffer is a pointer and its `_len` in octets; it may be NULL if `_len` is 0. Strings are UTF-8
//!   and end in a zero. A string that is returned is static, or written into the caller's buffer:
//!   `needed_out` says how long that must be, the final zero included, so a first call with NULL and 0
//!   asks for the length.
//! - Objects come from `_new`, `_open`, `_create` or an `_out` parameter, and the caller gives each
//!   back once, with its `_free` function, which takes NULL too. Structs whose fields are visible are
//!   plain values; the library keeps no pointer into them after a call.
//! - Threads: the doc of each object says whether threads may share it. Different objects may always be
//!   used at once. The library starts threads only inside a call, and they end with it.
//! - A blocking call has a timeout and returns within it, but for `ipip_node_run`.
//! - No fault inside the library unwinds into C: it becomes IPIP_STATUS_PANIC. A callback must return;
//!   it may neither longjmp nor throw.
//! - Structs may grow with a minor version before 1.0 (compile again), and do not afterwards.
//!
//! One C object per file: `status`, `error` and `boundary` are what the others share.
#![allow(
    non_camel_case_types,
    reason = "one name for a type, here and in the header"
)]
#![allow(
    unreachable_pub,
    reason = "exported by symbol, not by path; cbindgen reads what is pub"
)]

mod addr;
mod admin;
mod assignment;
mod batch;
mod block;
mod boundary;
mod capture;
mod changes;
mod config;
mod echo;
mod encapsulator;
mod error;
mod exit;
mod filter;
mod finding;
mod fragment;
mod frame;
#[cfg(feature = "test-hooks")]
mod hooks;
mod icmp_error;
mod ipam;
mod ipip;
mod ipv4;
mod journey;
mod log;
mod loops;
mod many;
mod netns;
mod node;
mod node_attach;
mod node_config;
mod node_guard;
mod node_progress;
mod node_record;
mod node_report;
mod node_run;
mod node_traffic;
mod nodes;
mod outcome;
mod pcap;
mod peers;
mod pool;
mod reader;
mod records;
mod report;
mod reservation;
mod route;
mod status;
mod store;
mod tunnel;
mod tunnel_error;
mod tunnel_state;
mod usage;
mod version;
mod wire;
mod workload;
