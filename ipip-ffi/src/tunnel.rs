//! The tunnel device.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::addr::TunnelAddr;
use ipip_core::mtu::TunnelMtu;
use ipip_core::name::InterfaceName;
use ipip_core::node;
use ipip_core::overlay::Tunnel;

use crate::addr::ipip_ipv4;
use crate::boundary::{guard, optional_text, required};
use crate::changes::{ipip_changes, report};
use crate::error::Failure;
use crate::netns::ipip_netns;
use crate::status::ipip_status;

/// A node's tunnel device and the address that it holds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_tunnel {
    /// The device; NULL for "tunl0".
    pub device: *const c_char,
    /// Its overlay address, set as a /32.
    pub address: ipip_ipv4,
    /// Its MTU in octets, 68 to 65,515: the underlay's less 20.
    pub mtu: u32,
}

/// Brings the tunnel device to be in `netns`: the kernel's own tunl0 if it is there, one equal to it if
/// not; its MTU, its address as a /32, forwarding of what arrives, up. `changes_out` may be NULL.
///
/// IPIP_STATUS_NO_DRIVER on a kernel without the ipip driver, IPIP_STATUS_IN_THE_WAY if the name belongs
/// to another kind of device, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN,
/// IPIP_STATUS_INVALID_ARGUMENT for an MTU or name out of range.
///
/// # Safety
/// `tunnel` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ensure_tunnel(
    netns: Option<&ipip_netns>,
    tunnel: Option<&ipip_tunnel>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        // SAFETY: the caller's duty, as documented.
        let tunnel = unsafe { required(tunnel, "tunnel")?.checked() }?;
        report(&node::ensure_tunnel(&netns.0, &tunnel)?, changes_out)
    })
}

/// Takes the address off the tunnel device, takes the device down if it is bare then, and deletes it if
/// we made it. The kernel's own device stays. `changes_out` may be NULL.
///
/// Fails as `ipip_ensure_tunnel`.
///
/// # Safety
/// `tunnel` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_remove_tunnel(
    netns: Option<&ipip_netns>,
    tunnel: Option<&ipip_tunnel>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        // SAFETY: the caller's duty, as documented.
        let tunnel = unsafe { required(tunnel, "tunnel")?.checked() }?;
        report(&node::remove_tunnel(&netns.0, &tunnel)?, changes_out)
    })
}

impl ipip_tunnel {
    /// # Safety
    /// Its strings are NULL or end in a zero.
    unsafe fn checked(&self) -> Result<Tunnel, Failure> {
        let mut tunnel = Tunnel::new(
            TunnelAddr(self.address.into()),
            TunnelMtu::try_new(self.mtu)?,
        );
        // SAFETY: the caller's duty.
        if let Some(device) = unsafe { optional_text(self.device, "device") }? {
            tunnel.device = InterfaceName::try_new(device)?;
        }
        Ok(tunnel)
    }
}
