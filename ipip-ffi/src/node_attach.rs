//! Containers on the pod network, and off it.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::ipam::ReleasedMany;
use ipip_core::name::InterfaceName;
use ipip_core::node::{Attached, Detached, NodeError, Workload, WorkloadId};
use ipip_core::resource::Released;

use crate::addr::ipip_ipv4;
use crate::boundary::{array, at, give, guard, optional_text, or, required, text};
use crate::changes::{ipip_changes, report};
use crate::error::Failure;
use crate::node::ipip_node;
use crate::outcome::ipip_outcome;
use crate::status::ipip_status;

/// Which container of which pod: what a runtime repeats when it asks again, and when it takes the
/// container away. A pod that is made anew has the same names and another container.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_workload_id {
    /// The Kubernetes namespace, such as "default".
    pub pod_namespace: *const c_char,
    /// The pod's name.
    pub pod: *const c_char,
    /// The container's id, 64 hexadecimal digits as a rule.
    pub container_id: *const c_char,
}

/// A container to be attached to the pod network.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_node_workload {
    /// Which it is.
    pub id: ipip_workload_id,
    /// A path to its network namespace, such as "/run/netns/NAME" or "/proc/PID/ns/net".
    pub netns: *const c_char,
    /// The interface that it gets; NULL for "eth0".
    pub interface: *const c_char,
    /// The address that it must have; NULL takes any.
    pub address: *const ipip_ipv4,
}

/// A container on the pod network: what a CNI plugin answers its runtime.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ipip_attached {
    /// Its address, a /32 inside.
    pub address: ipip_ipv4,
    /// The end of its wire in the node's namespace, with a final zero.
    pub host_veth: [c_char; 16],
    /// The hardware address of its interface, which the kernel chose; all zero unless `has_mac`.
    pub mac: [u8; 6],
    /// Whether the kernel told that address, 0 or 1.
    pub has_mac: u8,
    /// Its MTU in octets.
    pub mtu: u32,
}

/// What became of each container of an `ipip_node_attach_many`, in the order of the call.
///
/// Ownership: whoever got it frees it, which detaches nothing. Threads: it never changes, so threads may
/// share it without a lock.
#[derive(Debug)]
pub struct ipip_attachments(Vec<Result<Attached, Failure>>);

/// What became of each container of an `ipip_node_detach_many`, in the order of the call.
///
/// Ownership: whoever got it frees it. Threads: it never changes, so threads may share it without a lock.
#[derive(Debug)]
pub struct ipip_detachments(Vec<Result<Detached, Failure>>);

/// Attaches a container: assigns it an address and wires it, a pair of veth ends with Calico's names,
/// addresses and routes. `attached_out` and `changes_out`, what the call changed in the kernel, may be NULL.
///
/// The call may be repeated, and asked by whoever comes next: the address belongs to the container's
/// handle NETWORK.CONTAINER, so it is the same each time, and what is broken of the wire is mended, inside
/// too. A call that fails gives back the address that it assigned and takes back what it changed.
///
/// IPIP_STATUS_NOT_FOUND if there is no namespace at the path, IPIP_STATUS_NOT_NETNS if it is another kind
/// of file, IPIP_STATUS_SAME_NETNS if it is the node's own; IPIP_STATUS_INVALID_ARGUMENT for names that are
/// none; IPIP_STATUS_IN_THE_WAY if the container has another default route or another interface of the
/// name; IPIP_STATUS_OTHER_ADDRESS if it has another address than the one that is wanted;
/// IPIP_STATUS_ALREADY_ASSIGNED if that is another's; IPIP_STATUS_POOL_EXHAUSTED if there is none;
/// IPIP_STATUS_NOT_JOINED; IPIP_STATUS_NO_UNDERLAY; IPIP_STATUS_HALF_APPLIED if the address could not be
/// given back, which `ipip_node_detach` does then; those of the store.
///
/// # Safety
/// The strings of `workload` are NULL or end in a zero; its `address` is NULL or points to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_attach(
    node: Option<&ipip_node>,
    workload: Option<&ipip_node_workload>,
    attached_out: Option<&mut MaybeUninit<ipip_attached>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        // SAFETY: the caller's duty, as documented.
        let workload = unsafe { required(workload, "workload")?.checked() }?;
        tell_attached(&node.node.attach(&workload)?, attached_out, changes_out)
    })
}

/// Attaches many containers as `ipip_node_attach` attaches one; the addresses that come from one block are
/// one commit. One that failed leaves the others as they are: `ipip_attachments_get` has its status.
///
/// IPIP_STATUS_NOT_JOINED, IPIP_STATUS_NO_UNDERLAY, IPIP_STATUS_PERMISSION without CAP_NET_ADMIN, and
/// IPIP_STATUS_NULL_ARGUMENT, IPIP_STATUS_NOT_UTF8 and IPIP_STATUS_INVALID_ARGUMENT for a string that is
/// missing or no text, and for an interface's name that is none: nothing was done then.
///
/// # Safety
/// - `workloads` is NULL or points to `workloads_len` workloads.
/// - Their strings are NULL or end in a zero; their addresses are NULL or point to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_attach_many(
    node: Option<&ipip_node>,
    workloads: *const ipip_node_workload,
    workloads_len: usize,
    attachments_out: Option<&mut MaybeUninit<*mut ipip_attachments>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let out = required(attachments_out, "attachments_out")?;
        // SAFETY: the caller's duty, as documented.
        let workloads = unsafe { array(workloads, workloads_len, "workloads") }?;
        // SAFETY: the caller's duty, as documented.
        let checked = workloads
            .iter()
            .map(|workload| unsafe { workload.checked() });
        let workloads = named(checked, "workload")?;
        give(
            out,
            ipip_attachments(answers(node.node.attach_many(&workloads)?)),
        );
        Ok(())
    })
}

/// How many containers there were; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_attachments_count(attachments: Option<&ipip_attachments>) -> usize {
    or(0, || attachments.map_or(0, |all| all.0.len()))
}

/// What `ipip_node_attach` would have answered for the container `index`, counted from 0, its failures
/// included; IPIP_STATUS_NULL_ARGUMENT for NULL, IPIP_STATUS_INVALID_ARGUMENT if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_attachments_get(
    attachments: Option<&ipip_attachments>,
    index: usize,
    attached_out: Option<&mut MaybeUninit<ipip_attached>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let all = &required(attachments, "attachments")?.0;
        let attached = at(all, index, "containers")?.as_ref();
        tell_attached(attached.map_err(Clone::clone)?, attached_out, changes_out)
    })
}

/// Frees the list; the containers stay attached. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_attachments_free(attachments: Option<Box<ipip_attachments>>) {
    or((), || drop(attachments));
}

/// Detaches a container: takes its wire away and releases its address. Its namespace may be gone. What was
/// never attached, or is detached already, is no failure. `outcome_out`, with the list Released, and
/// `changes_out`, what the call changed in the kernel, may be NULL.
///
/// The address is released by the container's own handle, and the wire, which bears the pod's name, stays
/// if another container of that pod has an address: a late call for an old container does its successor
/// no harm.
///
/// IPIP_STATUS_INVALID_ARGUMENT for names that are none; IPIP_STATUS_PERMISSION and IPIP_STATUS_KERNEL if
/// the wire cannot be taken away, and its address stays assigned then; those of the store: the next call
/// completes it.
///
/// # Safety
/// The strings of `id` are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_detach(
    node: Option<&ipip_node>,
    id: Option<&ipip_workload_id>,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        // SAFETY: the caller's duty, as documented.
        let id = unsafe { required(id, "id")?.checked() }?;
        tell_detached(&node.node.detach(&id)?, outcome_out, changes_out)
    })
}

/// Detaches many containers as `ipip_node_detach` does one; the addresses of one block are released in one
/// commit. One that failed leaves the others as they are: `ipip_detachments_get` has its status.
///
/// Those of the store if it cannot be read, and IPIP_STATUS_NULL_ARGUMENT and IPIP_STATUS_NOT_UTF8 for a
/// string that is missing or no text: nothing was done then.
///
/// # Safety
/// `ids` is NULL or points to `ids_len` of them, whose strings are NULL or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_node_detach_many(
    node: Option<&ipip_node>,
    ids: *const ipip_workload_id,
    ids_len: usize,
    detachments_out: Option<&mut MaybeUninit<*mut ipip_detachments>>,
) -> ipip_status {
    guard(|| {
        let node = required(node, "node")?;
        let out = required(detachments_out, "detachments_out")?;
        // SAFETY: the caller's duty, as documented.
        let ids = unsafe { array(ids, ids_len, "ids") }?;
        // SAFETY: the caller's duty, as documented.
        let checked = ids.iter().map(|id| unsafe { id.checked() });
        let ids = named(checked, "id")?;
        give(out, ipip_detachments(answers(node.node.detach_many(&ids)?)));
        Ok(())
    })
}

/// How many containers there were; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_detachments_count(detachments: Option<&ipip_detachments>) -> usize {
    or(0, || detachments.map_or(0, |all| all.0.len()))
}

/// What `ipip_node_detach` would have answered for the container `index`, counted from 0, its failures
/// included; IPIP_STATUS_NULL_ARGUMENT for NULL, IPIP_STATUS_INVALID_ARGUMENT if there are not so many.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_detachments_get(
    detachments: Option<&ipip_detachments>,
    index: usize,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> ipip_status {
    guard(|| {
        let all = &required(detachments, "detachments")?.0;
        let detached = at(all, index, "containers")?.as_ref();
        tell_detached(detached.map_err(Clone::clone)?, outcome_out, changes_out)
    })
}

/// Frees the list. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn ipip_detachments_free(detachments: Option<Box<ipip_detachments>>) {
    or((), || drop(detachments));
}

/// All of them, or the first failure with its place.
fn named<T>(all: impl Iterator<Item = Result<T, Failure>>, what: &str) -> Result<Vec<T>, Failure> {
    let in_place = |(index, one): (usize, Result<T, Failure>)| {
        one.map_err(|failure| failure.in_field(&format!("{what} {index}")))
    };
    all.enumerate().map(in_place).collect()
}

fn answers<T>(all: Vec<Result<T, NodeError>>) -> Vec<Result<T, Failure>> {
    all.into_iter()
        .map(|one| one.map_err(Failure::from))
        .collect()
}

fn tell_attached(
    attached: &Attached,
    attached_out: Option<&mut MaybeUninit<ipip_attached>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> Result<(), Failure> {
    if let Some(out) = attached_out {
        out.write(attached.into());
    }
    report(&attached.changes, changes_out)
}

fn tell_detached(
    detached: &Detached,
    outcome_out: Option<&mut MaybeUninit<*mut ipip_outcome>>,
    changes_out: Option<&mut MaybeUninit<*mut ipip_changes>>,
) -> Result<(), Failure> {
    if let Some(out) = outcome_out {
        let released = detached.released.iter();
        let released = released.map(|addr| Released {
            addr: *addr,
            handle: None,
        });
        let many = ReleasedMany {
            released: released.collect(),
            ..ReleasedMany::default()
        };
        give(out, many.into());
    }
    report(&detached.changes, changes_out)
}

impl ipip_workload_id {
    /// # Safety
    /// Its strings are NULL or end in a zero.
    unsafe fn checked(&self) -> Result<WorkloadId, Failure> {
        // SAFETY: the caller's duty.
        let namespace = unsafe { text(self.pod_namespace, "pod_namespace") }?;
        // SAFETY: the caller's duty.
        let pod = unsafe { text(self.pod, "pod") }?;
        // SAFETY: the caller's duty.
        let container = unsafe { text(self.container_id, "container_id") }?;
        Ok(WorkloadId::new(namespace, pod, container))
    }
}

impl ipip_node_workload {
    /// # Safety
    /// - Its strings are NULL or end in a zero.
    /// - `address` is NULL or points to an address.
    unsafe fn checked(&self) -> Result<Workload, Failure> {
        // SAFETY: the caller's duty.
        let id = unsafe { self.id.checked() }?;
        // SAFETY: the caller's duty.
        let netns = unsafe { text(self.netns, "netns") }?;
        let mut workload = Workload::new(id, netns);
        // SAFETY: the caller's duty.
        if let Some(interface) = unsafe { optional_text(self.interface, "interface") }? {
            workload.interface = InterfaceName::try_new(interface)?;
        }
        // SAFETY: the caller's duty.
        workload.address = unsafe { self.address.as_ref() }.map(|address| (*address).into());
        Ok(workload)
    }
}

impl From<&Attached> for ipip_attached {
    fn from(attached: &Attached) -> Self {
        let mut host_veth = [0; 16];
        // A name has 15 octets at most.
        for (place, octet) in host_veth
            .iter_mut()
            .zip(attached.host_veth.as_str().bytes().take(15))
        {
            *place = c_char::from_ne_bytes([octet]);
        }
        Self {
            address: attached.address.into(),
            host_veth,
            mac: attached.mac.map_or([0; 6], |mac| mac.0),
            has_mac: attached.mac.is_some().into(),
            mtu: attached.mtu.octets(),
        }
    }
}
