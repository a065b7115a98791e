//! A workload's veth pair.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::mtu::TunnelMtu;
use ipip_core::name::InterfaceName;
use ipip_core::node;
use ipip_core::overlay::{self, WorkloadEndpoint};

use crate::addr::ipip_ipv4;
use crate::boundary::{TextBuffer, guard, optional_text, required, text};
use crate::changes::{ipip_changes, report};
use crate::error::Failure;
use crate::netns::ipip_netns;
use crate::status::ipip_status;

/// A workload and its one interface.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_workload {
    /// The Kubernetes namespace, such as "default".
    pub pod_namespace: *const c_char,
    /// The pod's name.
    pub pod: *const c_char,
    /// The interface inside; NULL for "eth0".
    pub interface: *const c_char,
    /// Its address, set as a /32.
    pub address: ipip_ipv4,
    /// Its MTU in octets, 68 to 65,515: the tunnel's.
    pub mtu: u32,
}

/// The name of the host end of a workload's veth pair: "cali" and the first 11 hexadecimal digits of
/// SHA-1 over "POD_NAMESPACE.POD"; 16 octets with the final zero. `needed_out` may be NULL.
///
/// IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.
///
/// # Safety
/// `pod_namespace` and `pod` are NULL or strings that end in a zero; `text` is NULL or points to
/// `text_len` octets that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_host_veth_name(
    pod_namespace: *const c_char,
    pod: *const c_char,
    text: *mut c_char,
    text_len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pod_namespace = unsafe { self::text(pod_namespace, "pod_namespace") }?;
        // SAFETY: the caller's duty, as documented.
        let pod = unsafe { self::text(pod, "pod") }?;
        // SAFETY: the caller's duty, as documented.
        let text = unsafe { TextBuffer::new(text, text_len, needed_out) }?;
        text.fill(overlay::host_veth_name(pod_namespace, pod).as_str())
    })
}

/// Wires a workload as Calico's CNI plugin does: a veth pair born with one end in `netns` and one in
/// `workload_netns`; on the host proxy ARP, forwarding and the /32 route; inside the /32, the link route
/// of 169.254.1.1 and the default route through it. `changes_out` may be NULL.
///
/// The node needs a route that covers 169.254.1.1, such as a default route: the kernel answers the
/// workload's ARP only then. Where there is none, a warning is logged.
///
/// IPIP_STATUS_IN_THE_WAY if a name or a route is somebody else's, IPIP_STATUS_SAME_NETNS if both
/// namespaces are one, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, IPIP_STATUS_INVALID_ARGUMENT for
/// an MTU or name out of range.
///
/// # Safety
/// `workload` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_ensure_workload(
    netns: Option<&ipip_netns>,
    workload_netns: Option<&ipip_netns>,
    workload: Option<&ipip_workload>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        let inside = required(workload_netns, "workload_netns")?;
        // SAFETY: the caller's duty, as documented.
        let workload = unsafe { required(workload, "workload")?.checked() }?;
        let changes = node::ensure_workload(&netns.0, &inside.0, &workload)?;
        report(&changes, changes_out)
    })
}

/// Deletes the veth pair of a workload, and with it its addresses and routes. The workload's namespace
/// may be gone already. `changes_out` may be NULL.
///
/// Fails as `ipip_ensure_workload`; a link of that name that is not ours stays and is no failure.
///
/// # Safety
/// `workload` is NULL or its strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_remove_workload(
    netns: Option<&ipip_netns>,
    workload: Option<&ipip_workload>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let netns = required(netns, "netns")?;
        // SAFETY: the caller's duty, as documented.
        let workload = unsafe { required(workload, "workload")?.checked() }?;
        report(&node::remove_workload(&netns.0, &workload)?, changes_out)
    })
}

impl ipip_workload {
    /// # Safety
    /// Its strings are NULL or end in a zero.
    unsafe fn checked(&self) -> Result<WorkloadEndpoint, Failure> {
        // SAFETY: the caller's duty.
        let namespace = unsafe { text(self.pod_namespace, "pod_namespace") }?;
        // SAFETY: the caller's duty.
        let pod = unsafe { text(self.pod, "pod") }?;
        let mtu = TunnelMtu::try_new(self.mtu)?;
        let mut workload = WorkloadEndpoint::new(namespace, pod, self.address.into(), mtu);
        // SAFETY: the caller's duty.
        if let Some(interface) = unsafe { optional_text(self.interface, "interface") }? {
            workload.interface = InterfaceName::try_new(interface)?;
        }
        Ok(workload)
    }
}
