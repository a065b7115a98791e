//! One object at a time: rule, observation, plan, application.

use std::fmt;

use super::NodeError;
use crate::netlink::Kernel;
use crate::overlay::{Blackhole, LINK_LOCAL_GATEWAY, PeerRoute, Tunnel, WorkloadEndpoint};
use crate::plan::{self, Desired, Observed, Place, Plan, Step};
use crate::sys::netns::Netns;

/// What a call changed. Displays as the shell script that does the same, one step a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order in which they were applied.
    pub steps: Vec<Step>,
}

impl Changes {
    /// Whether everything was as it should be already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Brings the tunnel device to be in `netns`: the kernel's own `tunl0` if it is there, one equal to
/// it if not; its MTU, its address as a /32, forwarding of what arrives, up.
///
/// # Errors
/// [`NodeError::NoDriver`] on a kernel without the ipip driver, [`NodeError::InTheWay`] if the name
/// belongs to another kind of device, [`NodeError::Kernel`] without `CAP_NET_ADMIN`.
pub fn ensure_tunnel(netns: &Netns, tunnel: &Tunnel) -> Result<Changes, NodeError> {
    let changes = converge(Kernel::open(netns)?, &tunnel.desired(), plan::ensure);
    changes.map_err(|error| match error {
        NodeError::Kernel(source) if source.is_unknown_link_kind() => NodeError::NoDriver {
            device: tunnel.device.clone(),
            source,
        },
        other => other,
    })
}

/// Takes the address off the tunnel device, takes the device down if it is bare then, and deletes it
/// if we made it. The kernel's own fallback device stays.
///
/// # Errors
/// [`NodeError::Kernel`] if the kernel refuses a step.
pub fn remove_tunnel(netns: &Netns, tunnel: &Tunnel) -> Result<Changes, NodeError> {
    converge(Kernel::open(netns)?, &tunnel.desired(), plan::removal)
}

/// Wires a workload: a veth pair born with one end in `netns` and one in `workload_netns`, and what
/// Calico's CNI plugin sets on both (see [`WorkloadEndpoint::desired`]).
///
/// A warning is logged if the node has no route that covers 169.254.1.1: the kernel answers the
/// workload's ARP for its gateway only where it could forward to it, so such a node needs a default route.
///
/// # Errors
/// [`NodeError::InTheWay`] if the host name, the inner name or a route is somebody else's,
/// [`NodeError::Address`] if no interface can hold the address,
/// [`NodeError::Kernel`] if both namespaces are one or the kernel refuses a step.
pub fn ensure_workload(
    netns: &Netns,
    workload_netns: &Netns,
    workload: &WorkloadEndpoint,
) -> Result<Changes, NodeError> {
    if !workload.has_usable_address() {
        return Err(NodeError::Address {
            addr: workload.address,
        });
    }
    let mut kernel = Kernel::open(netns)?;
    kernel.add_workload(workload_netns)?;
    if let Err(error) = kernel.route_to(&Place::Node, LINK_LOCAL_GATEWAY) {
        log::warn!(
            "workload {}.{}: no answer to its ARP, {error}",
            workload.namespace,
            workload.pod
        );
    }
    converge(
        kernel,
        &workload.desired(workload_netns.path()),
        plan::ensure,
    )
}

/// Deletes the veth pair of `workload`, and with it its addresses and routes. Its namespace may be
/// gone already: only the node's is needed.
///
/// # Errors
/// [`NodeError::Kernel`] if the kernel refuses.
pub fn remove_workload(netns: &Netns, workload: &WorkloadEndpoint) -> Result<Changes, NodeError> {
    let gone = std::path::Path::new("");
    let mut desired = workload.desired(gone);
    desired.links.retain(|link| link.place == Place::Node);
    desired.routes.retain(|route| route.place == Place::Node);
    converge(Kernel::open(netns)?, &desired, plan::removal)
}

/// Brings the route to another node's block to be, and forwarding where its packets enter.
///
/// # Errors
/// [`NodeError::InTheWay`] if another protocol's route has the prefix or the device is missing,
/// [`NodeError::Kernel`] if the kernel refuses (device down, the node's address is our own),
/// [`NodeError::Route`] as [`PeerRoute::check`] has it.
pub fn ensure_peer_route(netns: &Netns, route: &PeerRoute) -> Result<Changes, NodeError> {
    route.check()?;
    converge(Kernel::open(netns)?, &route.desired(), plan::ensure)
}

/// Deletes exactly this route: the same block via another node stays.
///
/// # Errors
/// [`NodeError::Kernel`] if the kernel refuses, [`NodeError::Route`] as [`PeerRoute::check`] has it.
pub fn remove_peer_route(netns: &Netns, route: &PeerRoute) -> Result<Changes, NodeError> {
    route.check()?;
    converge(Kernel::open(netns)?, &route.desired(), plan::removal)
}

/// Brings the blackhole of the node's own block to be; for a /32 there is none.
///
/// # Errors
/// [`NodeError::InTheWay`] if another route has the prefix, [`NodeError::Kernel`] if the kernel refuses,
/// [`NodeError::Route`] as [`Blackhole::check`] has it.
pub fn ensure_blackhole(netns: &Netns, blackhole: &Blackhole) -> Result<Changes, NodeError> {
    blackhole.check()?;
    converge(Kernel::open(netns)?, &blackhole.desired(), plan::ensure)
}

/// Deletes the blackhole.
///
/// # Errors
/// [`NodeError::Kernel`] if the kernel refuses, [`NodeError::Route`] as [`Blackhole::check`] has it.
pub fn remove_blackhole(netns: &Netns, blackhole: &Blackhole) -> Result<Changes, NodeError> {
    blackhole.check()?;
    converge(Kernel::open(netns)?, &blackhole.desired(), plan::removal)
}

/// How often a plan is made anew because what it was made from no longer held.
const ATTEMPTS: usize = 3;

/// Observes, plans, applies. Conflicts end it before the first step. A refused step takes back those
/// before it; if the refusal means that the kernel's state moved under the plan, it starts again.
pub(super) fn converge(
    mut kernel: Kernel,
    desired: &Desired,
    compare: fn(&Desired, &Observed) -> Plan,
) -> Result<Changes, NodeError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let observed = kernel.observe()?;
        let Plan { steps, conflicts } = compare(desired, &observed);
        if !conflicts.is_empty() {
            return Err(NodeError::InTheWay(conflicts));
        }
        let Err(failure) = kernel.apply(&steps) else {
            return Ok(Changes { steps });
        };
        for step in plan::undo(&steps[..failure.applied], &observed) {
            // What is gone by itself needs no taking back.
            if let Err(undo) = kernel.apply(&[step])
                && !undo.cause.is_stale()
            {
                let (refused, undo) = (Box::new(failure.cause), Box::new(undo.cause));
                return Err(NodeError::HalfApplied { refused, undo });
            }
        }
        if attempt == ATTEMPTS || !failure.cause.is_stale() {
            return Err(NodeError::Kernel(failure.cause));
        }
        log::debug!("planning anew: {}", failure.cause);
    }
}
