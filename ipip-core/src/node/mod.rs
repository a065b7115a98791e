//! The front desk: a whole node, or one object at a time, from the rule to the kernel.
//!
//! [`Node`] takes a host through its life on the pod network, and owns no rule of its own: the allocator
//! decides the addresses, [`crate::cluster`] follows the store, [`crate::overlay`] says what should be,
//! [`crate::netlink`] what is, [`crate::plan`] the difference.
//!
//! | call | store | kernel |
//! |---|---|---|
//! | [`Node::join`] | its record, its tunnel address | as `sync` |
//! | [`Node::attach`] | an address for the container's handle | the wire, both ends |
//! | [`Node::detach`] | releases what the handle has | the wire goes, unless it is a newer container's |
//! | [`Node::sync`] | record and tunnel address, where the node moved or pools changed | tunnel, routes, host side of the wires, guard; what is ours and not wanted goes |
//! | [`Node::plan`] | – | what `sync` would do |
//! | [`Node::run`] | as `sync` | as `sync` after each change, until it is stopped; a deleted route alone is put back alone |
//! | [`Node::leave`] | the tunnel address; all of it, if asked | what is ours goes |
//!
//! Each call may end at any instant, by a signal too; the next one goes on from what it finds. Two orders
//! carry that: an address is committed before its wire is made, and released after it is gone; and a sync
//! looks at the kernel before it reads the store, so that it never takes the wire of a container that is
//! just being attached for one of nobody.
//!
//! | file | holds |
//! |---|---|
//! | `agent` | [`Node`] and what it remembers between calls |
//! | `config`, `underlay`, `workload` | what a node is told, where the others reach it, what it wires |
//! | `join`, `attach`, `wiring`, `detach`, `leave` | the calls |
//! | `sync`, `live`, `apply`, `synced` | a pass: what it knows, what it does, what it answers |
//! | `progress` | the turns of the calls, and how far each has come, for whoever wants to hear |
//! | `trial` | which data path it would start |
//! | `run`, `mend`, `in_time`, `counters` | passes whenever something changed, each with its deadline |
//! | `ensure`, `data_path`, `guard` | one object at a time |
//!
//! # One object at a time
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
mod apply;
mod attach;
mod config;
mod counters;
mod data_path;
mod detach;
mod ensure;
mod error;
mod guard;
mod in_time;
mod join;
mod leave;
mod live;
mod mend;
mod progress;
mod run;
mod sync;
mod synced;
mod trial;
mod underlay;
mod wiring;
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
pub use progress::{Progress, Task};
pub use run::{RunEvent, Stop};
pub use synced::{DataPathState, FailedStep, Planned, Synced};
pub use underlay::{Underlay, UnderlayError};
pub use workload::{Workload, WorkloadId};
