//! The allocator on the memory store, looked at from outside: what it answers, and what stands in
//! the store afterwards.

mod behind;
mod between;
mod calico;
mod check;
mod collect;
mod config;
mod each;
mod foreign;
mod lessons;
mod lost;
mod model;
mod nodes;
#[path = "../support/pass_on.rs"]
mod pass_on;
mod pool_life;
mod pools;
mod race;
mod remembered;
mod repair;
mod store;
mod support;
mod threads;
mod tunnel;
mod usage;
