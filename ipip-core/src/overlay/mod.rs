//! What Calico's IPIP mode means, as pure functions: from a tunnel, a workload or a peer to what the
//! kernel should hold.
//!
//! Every rule of the overlay stands here and nowhere else; the rooms below carry out, the rooms above
//! ask. One object at a time for now: each function answers a [`crate::plan::Desired`] of its own.
//!
//! Each of these values has a `check`, which the front desk asks first: [`OverlayError`].
//!
//! | file | holds | rule |
//! |---|---|---|
//! | `mode` | [`IpipMode::tunnels`](crate::resource::IpipMode::tunnels): when a peer is reached through the tunnel | Calico's `ipipMode` |
//! | `tunnel` | [`Tunnel`]: the tunnel device and its address | the kernel's fallback device, adopted |
//! | `workload` | [`WorkloadEndpoint`]: the veth pair, its names, addresses and routes | Calico's CNI plugin |
//! | `guard` | [`Guard`]: who may send tunnel packets, whose addresses are translated | Felix's rules for IPIP |
//! | `routes` | [`PeerRoute`], [`Blackhole`]: one route per block | what BIRD writes for an IPIP pool |

mod error;
mod guard;
mod mode;
mod routes;
mod tunnel;
mod workload;

pub use error::OverlayError;
pub(crate) use error::check_workload_name;
pub use guard::{Guard, GuardPool};
pub use routes::{Blackhole, PeerRoute};
pub use tunnel::{TUNNEL_DEVICE, Tunnel};
pub use workload::{HOST_VETH_PREFIX, LINK_LOCAL_GATEWAY, WorkloadEndpoint, host_veth_name};

/// The interface names of the reference picture, parsed once.
pub(crate) fn well_known(name: &'static str) -> crate::name::InterfaceName {
    crate::name::InterfaceName::try_new(name)
        .expect("a constant of this crate is a valid interface name")
}
