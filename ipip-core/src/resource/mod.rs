//! Calico's values and their JSON: what stands under each key of the datastore.
//!
//! | value | key | here |
//! |---|---|---|
//! | [`Block`] with its [`Attribute`]s | `…/assignment/ipv4/block/<prefix>` | which address is assigned to whom |
//! | [`BlockAffinity`] | `…/host/<node>/ipv4/block/<prefix>` | which node claims a block |
//! | [`Handle`] | `…/handle/<id>` | in which blocks a handle has addresses |
//! | [`AllocatorConfig`] | `/calico/ipam/v2/config` | how the allocator behaves |
//! | [`Pool`] | `/calico/resources/v3/projectcalico.org/ippools/<name>` | what blocks are cut from |
//! | [`Reservation`] | `…/ipreservations/<name>` | addresses that nobody is assigned unasked |
//! | [`Node`] | `…/nodes/<name>` | a node's labels and addresses |
//!
//! Values know no store and no allocator; [`Block`] guards its own invariants, so what may happen
//! to one block stands on `Block`, and which block to take stands in [`ipam`](crate::ipam).
//!
//! What we write is what Go's `encoding/json` makes of Calico's structs: fields in Calico's order,
//! maps sorted by key, no white space. What we read may be written by any Calico since 3.0, or by
//! hand: fields in any order and letter case, missing or null, and fields that we do not know are
//! kept and written back after the known ones. Sequence numbers are exact 64-bit integers.

mod affinity;
mod attribute;
mod block;
mod config;
mod error;
mod handle;
mod json;
mod metadata;
mod node;
mod pool;
mod prefix;
mod reservation;
mod selector;
mod texts;
mod time;

pub use affinity::{Affinity, AffinityState, BlockAffinity};
pub use attribute::Attribute;
pub use block::{Assignment, Block, Release, Released, ReleasedGroup, Sequence};
pub use config::AllocatorConfig;
pub use error::{
    BlockError, ConfigError, PoolError, PoolUpdateError, ReservationError, ResourceError,
};
pub use handle::Handle;
pub(crate) use json::{ObjectWriter, write_list};
pub use node::Node;
pub use pool::{AssignmentMode, IpipMode, IpipModeError, Pool, Use};
pub use prefix::{
    BlockPrefix, BlockPrefixError, DEFAULT_BLOCK_LEN, MAX_BLOCK_LEN, MIN_BLOCK_LEN, Ordinal,
};
pub use reservation::{Reservation, Reserved};
pub use selector::{Selector, SelectorError};
pub(crate) use time::{go_time, parse_rfc3339, rfc3339};
