//! The allocator on the memory store, looked at from outside: what it answers, and what stands in
//! the store afterwards.

mod calico;
mod foreign;
mod lessons;
mod lost;
mod model;
mod pools;
mod race;
mod store;
mod support;
mod threads;
