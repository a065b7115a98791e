//! Desired, observed, the difference between them, and the steps that close it.
//!
//! Values only: nothing here opens a socket or reads a clock. [`Desired`] is what should be,
//! [`Observed`] what the kernel reported, [`ensure`] and [`removal`] compare the two and answer a
//! [`Plan`]. A [`Step`] displays as the one shell line that does the same, so a plan prints as a
//! script a person can read and run.
//!
//! | file | holds |
//! |---|---|
//! | `model` | links, addresses, settings, routes, and where they are: [`Place`] |
//! | `diff` | [`ensure`], [`removal`], and what is in the way: [`Conflict`] |
//! | `guard` | the nf_tables table that guards a node: [`GuardTable`] |
//! | `step` | one change and its shell line, and how to take it back |
//!
//! The order of the steps matters to the kernel, which refuses a route through a device that is down:
//! device, settings, up, address, routes. Removal goes the other way. The guard is widened before all of
//! them and narrowed behind them.

mod diff;
mod guard;
mod model;
#[cfg(test)]
mod naive_kernel;
mod step;

pub use diff::{Conflict, Plan, ensure, removal};
pub use guard::{
    AddrRange, GUARD_MARK, GUARD_TABLE, GuardChain, GuardChange, GuardRule, GuardSets, GuardTable,
    ObservedGuard, PeerRange,
};
pub use model::{
    Desired, InterfaceAddr, Link, LinkKind, NextHop, Observed, ObservedLink, Place, Route,
    RouteKey, RouteProtocol, Setting, Target, TunnelEnds,
};
pub use step::{Change, Step, undo};
