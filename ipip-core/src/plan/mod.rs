//! Desired, observed, the difference between them, and the steps that close it.
//!
//! Values only: nothing here opens a socket or reads a clock. [`Desired`] is what should be,
//! [`Observed`] what the kernel reported, [`ensure`] and [`removal`] compare the two for single objects and
//! answer a [`Plan`]; [`sync`] and [`leave`] do it for the whole node, where what is ours and not desired
//! goes too. What is ours is said by an [`Ownership`]. A [`Step`] displays as the one shell line that does the same, so a plan prints as a
//! script a person can read and run.
//!
//! | file | holds |
//! |---|---|
//! | `place`, `route`, `model` | where things are: [`Place`]; routes and next hops; links, and all of it: [`Desired`], [`Observed`] |
//! | `step` | one change and its shell line, and how to take it back |
//! | `outcome` | what a comparison answers: [`Plan`], and what is in the way: [`Conflict`] |
//! | `diff` | [`ensure`] and [`removal`]: single objects |
//! | `links` | one link, made and configured |
//! | `ownership` | [`Ownership`]: which routes, links and addresses are ours |
//! | `next_hop` | [`NextHopObject`], which many routes go by: put before them, taken away behind |
//! | `sync` | [`sync`]: the whole node, what is ours and not desired taken away |
//! | `settle` | the routes of one key, settled; and their order |
//! | `table` | [`RouteTable`]: the same for routes, remembered, by what changed alone |
//! | `leave` | [`leave`]: all that is ours taken away |
//! | `index` | what was observed, by name and by key |
//! | `guard` | the nf_tables table that guards a node: [`GuardTable`] |
//!
//! The order of the steps matters to the kernel, which refuses a route through a device that is down:
//! device, settings, up, address, routes. Removal goes the other way. The guard is widened before all of
//! them and narrowed behind them. How [`sync`] keeps packets going meanwhile stands there.

mod diff;
mod guard;
mod index;
mod leave;
mod links;
mod model;
#[cfg(test)]
mod naive_kernel;
mod next_hop;
mod outcome;
mod ownership;
mod place;
mod route;
mod settle;
mod step;
mod sync;
mod table;

pub use diff::{ensure, removal};
pub use guard::{
    AddrRange, GUARD_MARK, GUARD_TABLE, GuardChain, GuardChange, GuardRule, GuardSets, GuardTable,
    ObservedGuard, PeerRange,
};
pub(crate) use leave::TUNNEL_MARK;
pub use leave::{SettingBefore, leave};
pub use model::{
    Desired, InterfaceAddr, Link, LinkKind, Observed, ObservedLink, Setting, TunnelEnds,
};
pub use outcome::{Conflict, Plan};
pub use ownership::{Ownership, PoolSet};
pub use place::Place;
pub use route::{NextHop, NextHopObject, Route, RouteKey, RouteProtocol, Target};
pub use step::{Change, Step, undo};
pub use sync::sync;
pub use table::RouteTable;
