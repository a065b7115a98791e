//! The cluster as one value: nodes, pools and blocks, from a list and a watch of a store.
//!
//! [`View::load`] reads everything once, [`View::update`] follows what changes and answers which
//! records it was: [`Changed`]. Whoever computes from a view then recomputes what those touch and no
//! more; the indexes for that are here too ([`View::blocks_naming`], [`View::blocks_in`],
//! [`View::tunnel_nodes_in`]). A view is a value: it can be made from parts, cloned, and asked without a store.
//!
//! A record that cannot be read is kept out, as Calico's agents do, and listed in [`View::faults`] until
//! it is mended or gone.
//!
//! | file | holds |
//! |---|---|
//! | `view` | [`View`]: the records and the questions about them |
//! | `record` | which kind of record a key is, and its value |
//! | `follow` | [`View::load`], [`View::update`]: the only calls of a store |
//! | `prefixes` | a map by prefix, searched by the longest |
//! | `error` | [`ClusterError`], [`Fault`] |

mod error;
mod follow;
mod prefixes;
mod record;
#[cfg(test)]
mod tests;
mod view;

pub use error::{ClusterError, Fault, FaultReason};
pub use view::{Changed, View};
