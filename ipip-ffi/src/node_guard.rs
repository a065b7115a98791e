//! The nf_tables guard of a node.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::addr::TunnelAddr;
use ipip_core::name::InterfaceName;
use ipip_core::node;
use ipip_core::overlay::{Guard, GuardPool};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{array, flag, guard as bounded, optional_text, required};
use crate::changes::{ipip_changes, report};
use crate::error::Failure;
use crate::netns::ipip_netns;
use crate::peers::ipip_peers;
use crate::status::ipip_status;

/// A pool, as far as a node's guard is concerned.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_guard_pool {
    /// Its addresses; not 0.0.0.0/0.
    pub prefix: ipip_prefix,
    /// 1 if packets of its workloads take the node's address where they leave the cluster, else 0.
    pub nat_outgoing: u8,
}

/// A node's guard, but for its peers.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_guard {
    /// The cluster's pools. Packets of other tunnels, whose inner addresses lie in none, are not touched.
    pub pools: *const ipip_guard_pool,
    /// How many.
    pub pools_len: usize,
    /// The tunnel device; NULL for "tunl0".
    pub device: *const c_char,
    /// The tunnel device's address, which the node's own packets to pods take; NULL leaves them as they are.
    pub address: *const ipip_ipv4,
}

/// Brings the guard of a node to be: the nf_tables table `ip ipip`. It drops IPIP packets with an inner address
/// in a pool, unless `peers` has the inner source behind the outer one or both are the same; it drops those that come
/// from workloads; and it translates sources as Calico does. What changed goes in as single elements, first
/// those that let in more. `changes_out` may be NULL.
///
/// IPIP_STATUS_UNSUPPORTED without the program nft and on a kernel without nf_tables, named in the text;
/// IPIP_STATUS_IN_THE_WAY if a table of that name is not ours; IPIP_STATUS_PERMISSION without CAP_NET_ADMIN;
/// IPIP_STATUS_INVALID_ARGUMENT for fields out of range.
///
/// # Safety
/// `guard` is NULL or its pointers are as described: `pools_len` pools, a string that ends in a zero or
/// NULL, an address or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ensure_guard(
    netns: Option<&ipip_netns>,
    guard: Option<&ipip_guard>,
    peers: Option<&ipip_peers>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    bounded(|| {
        let netns = required(netns, "netns")?;
        let wanted = required(guard, "guard")?;
        let peers = required(peers, "peers")?;
        // SAFETY: the caller's duty, as documented.
        let wanted = unsafe { wanted.checked(peers) }?;
        report(&node::ensure_guard(&netns.0, &wanted)?, changes_out)
    })
}

/// Deletes the guard's table if it is ours, and nothing else of nf_tables. `changes_out` may be NULL.
///
/// IPIP_STATUS_UNSUPPORTED without the program nft; IPIP_STATUS_PERMISSION without CAP_NET_ADMIN.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_remove_guard(
    netns: Option<&ipip_netns>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    bounded(|| {
        let netns = required(netns, "netns")?;
        report(&node::remove_guard(&netns.0)?, changes_out)
    })
}

impl ipip_guard {
    /// # Safety
    /// `pools`, `device` and `address` are as their docs have it.
    unsafe fn checked(&self, peers: &ipip_peers) -> Result<Guard, Failure> {
        // SAFETY: the caller's duty.
        let pools = unsafe { array(self.pools, self.pools_len, "pools") }?;
        // SAFETY: the caller's duty.
        let device = unsafe { optional_text(self.device, "device") }?;
        // SAFETY: the caller's duty.
        let address = unsafe { self.address.as_ref() };
        let pool = |pool: &ipip_guard_pool| {
            Ok(GuardPool {
                prefix: pool.prefix.checked("pools")?,
                nat_outgoing: flag(pool.nat_outgoing, "nat_outgoing")?,
            })
        };
        Ok(Guard {
            peers: peers.0.clone(),
            pools: pools.iter().map(pool).collect::<Result<_, Failure>>()?,
            device: InterfaceName::try_new(device.unwrap_or(ipip_core::overlay::TUNNEL_DEVICE))?,
            address: address.map(|address| TunnelAddr((*address).into())),
        })
    }
}
