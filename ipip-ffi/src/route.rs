//! One route per block.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::addr::NodeAddr;
use ipip_core::name::InterfaceName;
use ipip_core::node;
use ipip_core::overlay::{Blackhole, PeerRoute};
use ipip_core::plan::RouteProtocol;

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{guard, optional_text, required};
use crate::changes::{ipip_changes, report};
use crate::error::Failure;
use crate::netns::ipip_netns;
use crate::status::ipip_status;

/// The mark that Calico's routes between nodes have always borne (`proto bird`).
pub const IPIP_ROUTE_PROTOCOL_BIRD: u8 = 12;

const _: () = assert!(IPIP_ROUTE_PROTOCOL_BIRD == RouteProtocol::BIRD.0);

/// The way to another node's block: `BLOCK via NODE dev tunl0 proto bird onlink`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_peer_route {
    /// The block, or a /32 for a borrowed address; not 0.0.0.0/0.
    pub block: ipip_prefix,
    /// The underlay address of the node that holds it. On an ipip device the kernel takes it as the
    /// outer destination.
    pub node_addr: ipip_ipv4,
    /// NULL for "tunl0"; the underlay's interface where this node is reached directly.
    pub device: *const c_char,
    /// Whose mark the route bears, as in /etc/iproute2/rt_protos: IPIP_ROUTE_PROTOCOL_BIRD as a rule;
    /// not 0.
    pub protocol: u8,
}

/// The guard of a node's own block: `blackhole BLOCK proto bird`, so that a packet for an address that
/// no workload has ends here and does not follow the default route.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_blackhole {
    /// The node's own block; not 0.0.0.0/0.
    pub block: ipip_prefix,
    /// Whose mark the route bears: IPIP_ROUTE_PROTOCOL_BIRD as a rule; not 0.
    pub protocol: u8,
}

/// Brings the route to another node's block to be, and forwarding where its packets enter.
/// `changes_out` may be NULL.
///
/// IPIP_STATUS_IN_THE_WAY if a route of another protocol has the prefix; IPIP_STATUS_NOT_FOUND if there
/// is no such device; IPIP_STATUS_KERNEL if the kernel refuses (the device is down, the node's address is our own);
/// IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
///
/// # Safety
/// `route` is NULL or its device is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ensure_peer_route(
    netns: Option<&ipip_netns>,
    route: Option<&ipip_peer_route>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        // SAFETY: the caller's duty, as documented.
        let route = unsafe { required(route, "route")?.checked() }?;
        report(&node::ensure_peer_route(&netns.0, &route)?, changes_out)
    })
}

/// Deletes exactly this route: the same block via another node stays. `changes_out` may be NULL.
///
/// IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
///
/// # Safety
/// `route` is NULL or its device is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_remove_peer_route(
    netns: Option<&ipip_netns>,
    route: Option<&ipip_peer_route>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        // SAFETY: the caller's duty, as documented.
        let route = unsafe { required(route, "route")?.checked() }?;
        report(&node::remove_peer_route(&netns.0, &route)?, changes_out)
    })
}

/// Brings the blackhole of the node's own block to be; for a /32 there is none. `changes_out` may be
/// NULL.
///
/// IPIP_STATUS_IN_THE_WAY if another route has the prefix, IPIP_STATUS_PERMISSION without
/// CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_ensure_blackhole(
    netns: Option<&ipip_netns>,
    blackhole: Option<&ipip_blackhole>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        let blackhole = required(blackhole, "blackhole")?.checked()?;
        report(&node::ensure_blackhole(&netns.0, &blackhole)?, changes_out)
    })
}

/// Deletes the blackhole. `changes_out` may be NULL.
///
/// IPIP_STATUS_PERMISSION without CAP_NET_ADMIN; IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_remove_blackhole(
    netns: Option<&ipip_netns>,
    blackhole: Option<&ipip_blackhole>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        let blackhole = required(blackhole, "blackhole")?.checked()?;
        report(&node::remove_blackhole(&netns.0, &blackhole)?, changes_out)
    })
}

impl ipip_peer_route {
    /// # Safety
    /// `device` is NULL or a string that ends in a zero.
    unsafe fn checked(&self) -> Result<PeerRoute, Failure> {
        let block = self.block.checked("block")?;
        let mut route = PeerRoute::tunnelled(block, NodeAddr(self.node_addr.into()));
        route.protocol = RouteProtocol(self.protocol);
        // SAFETY: the caller's duty.
        if let Some(device) = unsafe { optional_text(self.device, "device") }? {
            route.device = InterfaceName::try_new(device)?;
        }
        Ok(route)
    }
}

impl ipip_blackhole {
    fn checked(self) -> Result<Blackhole, Failure> {
        let mut blackhole = Blackhole::new(self.block.checked("block")?);
        blackhole.protocol = RouteProtocol(self.protocol);
        Ok(blackhole)
    }
}
