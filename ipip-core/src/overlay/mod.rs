//! What Calico's IPIP mode means, as pure functions: from a tunnel, a workload or a peer to what the
//! kernel should hold.
//!
//! Every rule of the overlay stands here and nowhere else; the rooms below carry out, the rooms above
//! ask. For one object at a time, [`Tunnel`], [`WorkloadEndpoint`], [`PeerRoute`] and [`Blackhole`] answer a
//! [`crate::plan::Desired`] each; they have a `check`, which the front desk asks first: [`OverlayError`].
//! For a whole node, [`desired`] answers it from a [`View`](crate::cluster::View) of the cluster, and
//! [`LiveOverlay`] keeps it up to date.
//!
//! | file | holds | rule |
//! |---|---|---|
//! | `mode` | [`IpipMode::tunnels`](crate::resource::IpipMode::tunnels): when a peer is reached through the tunnel | Calico's `ipipMode` |
//! | `tunnel` | [`Tunnel`]: the tunnel device and its address | the kernel's fallback device, adopted |
//! | `workload` | [`WorkloadEndpoint`]: the veth pair, its names, addresses and routes | Calico's CNI plugin |
//! | `guard` | [`Guard`]: who may send tunnel packets, whose addresses are translated | Felix's rules for IPIP |
//! | `routes` | [`PeerRoute`], [`Blackhole`]: one route per block | what BIRD writes for an IPIP pool |
//! | `local` | [`LocalNode`], [`Policy`], [`ownership`] | Felix's configuration |
//! | `piece` | [`routes_of_block`], [`routes_of_node`]: what one record adds | Felix's route resolver |
//! | `live` | [`LiveOverlay`], [`desired`]: the pieces put together | Felix's route classes |
//! | `next_hops` | routes to one node by one object | `ip nexthop`, on request |
//! | `withheld` | [`Withheld`]: what nothing is done for, and why | |
//! | `peers` | [`peers`]: who may send through the tunnel | Felix's set of all hosts |

mod error;
mod guard;
mod live;
mod local;
mod mode;
mod next_hops;
mod peers;
mod piece;
mod routes;
mod tunnel;
mod withheld;
mod workload;

pub use error::OverlayError;
pub(crate) use error::check_workload_name;
pub use guard::{Guard, GuardPool};
pub use live::{Difference, LiveOverlay, Overlay, RouteChange, desired};
pub use local::{LocalNode, Policy, ownership};
pub use peers::peers;
pub use piece::{Claim, Piece, RouteSource, routes_of_block, routes_of_node};
pub use routes::{Blackhole, PeerRoute};
pub use tunnel::{TUNNEL_DEVICE, Tunnel};
pub use withheld::{Withheld, WithheldReason};
pub use workload::{HOST_VETH_PREFIX, LINK_LOCAL_GATEWAY, WorkloadEndpoint, host_veth_name};

/// The interface names of the reference picture, parsed once.
pub(crate) fn well_known(name: &'static str) -> crate::name::InterfaceName {
    crate::name::InterfaceName::try_new(name)
        .expect("a constant of this crate is a valid interface name")
}
