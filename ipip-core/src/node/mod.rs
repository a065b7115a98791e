//! The front desk: one call per object, from the rule to the kernel.
//!
//! Each `ensure_*` asks [`crate::overlay`] what should be, [`crate::netlink`] what is,
//! [`crate::plan`] for the difference, and applies it. A second call finds nothing to do and says so:
//! its [`Changes`] are empty. An object of somebody else in the way is an error before anything is
//! changed; a step that the kernel refuses takes back those before it.
//!
//! | call | object | taken away by |
//! |---|---|---|
//! | [`ensure_tunnel`] | `tunl0`: any/any, MTU, /32, up | [`remove_tunnel`] |
//! | [`ensure_data_path`] | the same, or eBPF or user space where the kernel has no driver | [`remove_data_path`] |
//! | [`ensure_workload`] | the veth pair, its addresses and routes | [`remove_workload`] |
//! | [`ensure_peer_route`] | `BLOCK via NODE dev tunl0 proto bird onlink` | [`remove_peer_route`] |
//! | [`ensure_blackhole`] | `blackhole BLOCK proto bird` | [`remove_blackhole`] |
//! | [`ensure_guard`] | the nf_tables table `ip ipip` | [`remove_guard`] |

mod agent;
mod attach;
mod config;
mod counters;
mod data_path;
mod detach;
mod ensure;
mod error;
mod guard;
mod join;
mod leave;
mod run;
mod sync;
mod synced;
mod underlay;
mod workload;

pub use agent::Node;
pub use attach::Attached;
pub use config::{NETWORK, NodeConfig, UnderlaySelector};
pub use counters::NodeCounters;
pub use data_path::{DataPath, DataPathConfig, ensure_data_path, remove_data_path};
pub use detach::Detached;
pub use ensure::{
    Changes, ensure_blackhole, ensure_peer_route, ensure_tunnel, ensure_workload, remove_blackhole,
    remove_peer_route, remove_tunnel, remove_workload,
};
pub use error::NodeError;
pub use guard::{GuardState, ensure_guard, remove_guard, settle_guard};
pub use leave::{LeaveOptions, Left};
pub use run::{RunEvent, Stop};
pub use synced::{DataPathState, FailedStep, Planned, Synced};
pub use underlay::{Underlay, UnderlayError};
pub use workload::{Workload, WorkloadId};
