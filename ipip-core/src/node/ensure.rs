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
/// belongs to another kind of device, [`NodeError::Overlay`] as [`Tunnel::check`] has it,
/// [`NodeError::Refused`] without `CAP_NET_ADMIN`.
pub fn ensure_tunnel(netns: &Netns, tunnel: &Tunnel) -> Result<Changes, NodeError> {
    tunnel.check()?;
    let changes = converge(Kernel::open(netns)?, &tunnel.desired(), plan::ensure);
    changes.map_err(|error| match error {
        NodeError::Refused { cause, .. } if cause.is_unknown_link_kind() => NodeError::NoDriver {
            device: tunnel.device.clone(),
            source: *cause,
        },
        other => other,
    })
}

/// Takes the address off the tunnel device, takes the device down if it is bare then, and deletes it
/// if we made it. The kernel's own fallback device stays.
///
/// # Errors
/// [`NodeError::Refused`] if the kernel refuses a step.
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
/// [`NodeError::Overlay`] as [`WorkloadEndpoint::check`] has it,
/// [`NodeError::Kernel`] if both namespaces are one, [`NodeError::Refused`] if the kernel refuses a step.
pub fn ensure_workload(
    netns: &Netns,
    workload_netns: &Netns,
    workload: &WorkloadEndpoint,
) -> Result<Changes, NodeError> {
    workload.check()?;
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
/// [`NodeError::Refused`] if the kernel refuses.
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
/// [`NodeError::Refused`] if the kernel refuses (device down, the node's address is our own),
/// [`NodeError::Overlay`] as [`PeerRoute::check`] has it.
pub fn ensure_peer_route(netns: &Netns, route: &PeerRoute) -> Result<Changes, NodeError> {
    route.check()?;
    converge(Kernel::open(netns)?, &route.desired(), plan::ensure)
}

/// Deletes exactly this route: the same block via another node stays.
///
/// # Errors
/// [`NodeError::Refused`] if the kernel refuses, [`NodeError::Overlay`] as [`PeerRoute::check`] has it.
pub fn remove_peer_route(netns: &Netns, route: &PeerRoute) -> Result<Changes, NodeError> {
    route.check()?;
    converge(Kernel::open(netns)?, &route.desired(), plan::removal)
}

/// Brings the blackhole of the node's own block to be; for a /32 there is none.
///
/// # Errors
/// [`NodeError::InTheWay`] if another route has the prefix, [`NodeError::Refused`] if the kernel refuses,
/// [`NodeError::Overlay`] as [`Blackhole::check`] has it.
pub fn ensure_blackhole(netns: &Netns, blackhole: &Blackhole) -> Result<Changes, NodeError> {
    blackhole.check()?;
    converge(Kernel::open(netns)?, &blackhole.desired(), plan::ensure)
}

/// Deletes the blackhole.
///
/// # Errors
/// [`NodeError::Refused`] if the kernel refuses, [`NodeError::Overlay`] as [`Blackhole::check`] has it.
pub fn remove_blackhole(netns: &Netns, blackhole: &Blackhole) -> Result<Changes, NodeError> {
    blackhole.check()?;
    converge(Kernel::open(netns)?, &blackhole.desired(), plan::removal)
}

/// How often it is observed and planned in all. Another caller who brings the same to be can be met
/// at each object that is made, and a workload has five: the pair, the address, three routes.
const ATTEMPTS: usize = 8;

/// Observes, plans, applies. If a refusal means that the kernel's state moved under the plan, it
/// observes once more and goes on from there: what is done already is part of what is wanted, and
/// another caller may have built upon it. Whatever ends it takes back every step that it made.
pub(super) fn converge(
    mut kernel: Kernel,
    desired: &Desired,
    compare: fn(&Desired, &Observed) -> Plan,
) -> Result<Changes, NodeError> {
    let mut work = Work::default();
    match work.carry_out(&mut kernel, desired, compare) {
        Ok(()) => Ok(Changes { steps: work.done }),
        Err(refused) => Err(work.take_back(&mut kernel, refused)),
    }
}

/// What one call has done so far.
#[derive(Default)]
struct Work {
    done: Vec<Step>,
    /// The steps that take it back, the next one first.
    way_back: Vec<Step>,
}

impl Work {
    fn carry_out(
        &mut self,
        kernel: &mut Kernel,
        desired: &Desired,
        compare: fn(&Desired, &Observed) -> Plan,
    ) -> Result<(), NodeError> {
        let mut doubted = vec![];
        for attempt in 1.. {
            let mut observed = kernel.observe()?;
            if desired.guard.is_some() {
                observed.guard = kernel.observe_guard()?;
            }
            let Plan {
                steps, conflicts, ..
            } = compare(desired, &observed);
            if !conflicts.is_empty() {
                // Namespaces and kinds of objects are read one after the other, so half of what
                // another caller just made looks like a stranger's. A real one is there twice.
                if attempt == ATTEMPTS || conflicts == doubted {
                    return Err(NodeError::InTheWay(conflicts));
                }
                doubted = conflicts;
                continue;
            }
            let Err(failure) = kernel.apply(&steps) else {
                self.done.extend(steps);
                break;
            };
            let done = steps.get(..failure.applied).unwrap_or(&steps);
            self.way_back.splice(..0, plan::undo(done, &observed));
            self.done.extend_from_slice(done);
            if attempt == ATTEMPTS || !failure.cause.is_stale() {
                return Err(failure.into());
            }
            log::debug!("planning anew: {}", failure.cause);
        }
        Ok(())
    }

    /// Takes back all that can be; the error to be returned.
    fn take_back(self, kernel: &mut Kernel, refused: NodeError) -> NodeError {
        let mut failures = self.way_back.into_iter().filter_map(|step| {
            let failure = kernel.apply(&[step]).err()?;
            // What is gone by itself needs no taking back.
            (!failure.cause.is_stale()).then_some(failure.cause)
        });
        let first = failures.next();
        failures.for_each(|undo| log::warn!("not taken back: {undo}"));
        match first {
            None => refused,
            Some(undo) => NodeError::HalfApplied {
                refused: Box::new(refused),
                undo: Box::new(undo),
            },
        }
    }
}
