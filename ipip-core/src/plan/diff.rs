//! The difference: which steps lead from what was observed to what is desired.

use super::guard::steps as guard;
use super::index::{LinkIndex, RouteIndex};
use super::links::ensure_link;
use super::model::{Desired, InterfaceAddr, Link, LinkKind, Observed, ObservedLink, TunnelEnds};
use super::outcome::{Conflict, Plan};
use super::route::{NextHop, Route, RouteProtocol, Target};
use super::step::Change;

/// What must change for everything desired to be there. Objects that are not desired are not touched.
#[must_use]
pub fn ensure(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    guard::widen(desired, observed, &mut plan);
    let index = LinkIndex::new(observed);
    for link in &desired.links {
        ensure_link(link, &index, &mut plan);
    }
    // The kernel drops a device's routes with the device.
    let dropped = plan.deleted_links();
    let is_there = |route: &&Route| {
        let device = route.target.device().filter(|_| !dropped.is_empty());
        device.is_none_or(|device| !dropped.contains(&(route.place.clone(), device.clone())))
    };
    let remain: Vec<&Route> = observed.routes.iter().filter(is_there).collect();
    let mut index = RouteIndex::new(remain.iter().copied());
    for route in &desired.routes {
        ensure_route(route, index.first_like(route), &mut plan);
    }
    for link in &desired.links {
        if let LinkKind::VethWithPeer {
            peer_place,
            peer_name,
        } = &link.kind
        {
            let peer = observed.link(peer_place, peer_name);
            remain
                .iter()
                .filter(|route| is_stale(route, link, desired))
                .for_each(|route| forget(route, peer, &mut plan));
        }
    }
    guard::narrow(desired, observed, &mut plan);
    plan
}

/// Whether `route` is that of an address which the workload behind our veth end had before: direct,
/// through this end, and not desired.
fn is_stale(route: &Route, link: &Link, desired: &Desired) -> bool {
    let direct = Target::Device {
        device: link.name.clone(),
        next_hop: NextHop::Direct,
    };
    let is_desired = |wanted: &Route| wanted.place == route.place && wanted.prefix == route.prefix;
    let ours = route.protocol == RouteProtocol::BOOT && route.prefix.len() == 32;
    ours && route.place == link.place
        && route.target == direct
        && !desired.routes.iter().any(is_desired)
}

/// Takes an earlier address from the workload, and its route. Other addresses inside are its own affair.
fn forget(route: &Route, peer: Option<&ObservedLink>, plan: &mut Plan) {
    plan.push(&route.place, Change::DeleteRoute(route.clone()));
    let address = InterfaceAddr {
        addr: route.prefix.network(),
        prefix_len: 32,
    };
    if let Some(peer) = peer.filter(|peer| peer.addresses.contains(&address)) {
        plan.push(
            &peer.place,
            Change::DeleteAddress {
                name: peer.name.clone(),
                address,
            },
        );
    }
}

/// What must change for nothing desired to be there. What is not ours stays and is no conflict:
/// then ours is not there.
#[must_use]
pub fn removal(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let doomed = |link: &Link| {
        observed
            .link(&link.place, &link.name)
            .is_some_and(|found| deletes(link, found))
    };
    for route in &desired.routes {
        // A route leaves with the device that is about to be deleted. One through a veth end that is
        // not ours to delete is as little ours: whoever made the end made the same route.
        let device = route.target.device();
        let follows_link = |l: &Link| {
            l.place == route.place && Some(&l.name) == device && (is_veth(l) || doomed(l))
        };
        if observed.routes.contains(route) && !desired.links.iter().any(follows_link) {
            plan.push(&route.place, Change::DeleteRoute(route.clone()));
        }
    }
    for link in &desired.links {
        if let Some(found) = observed.link(&link.place, &link.name) {
            remove_link(link, found, &mut plan);
        }
    }
    guard::remove(desired, observed, &mut plan);
    plan
}

fn ensure_route(route: &Route, found: Option<&Route>, plan: &mut Plan) {
    let Some(found) = found else {
        return plan.push(&route.place, Change::AddRoute(route.clone()));
    };
    if satisfies(found, route) {
        return;
    }
    if found.protocol == route.protocol && is_replaceable(found, route) {
        return plan.push(&route.place, Change::ReplaceRoute(route.clone()));
    }
    plan.conflicts.push(Conflict::RouteTaken {
        desired: Box::new(route.clone()),
        found: Box::new(found.clone()),
    });
}

/// A direct route that is already there does the work whoever installed it: Calico's agent and its
/// CNI plugin race for it too. Any other must also be ours, with the MTU that it should have and, where
/// one is asked for, the source.
pub(super) fn satisfies(found: &Route, desired: &Route) -> bool {
    let direct = matches!(
        desired.target,
        Target::Device {
            next_hop: NextHop::Direct,
            ..
        }
    );
    let ours = found.protocol == desired.protocol && found.mtu == desired.mtu;
    let source = desired.source.is_none() || found.source == desired.source;
    found.target == desired.target && (direct || ours) && source
}

/// Protocol `boot` is what everybody gets who names none, so it proves nothing. Nor does ours on a
/// direct route: those lead to workloads, and Calico's may be told to bear any protocol.
fn is_replaceable(found: &Route, desired: &Route) -> bool {
    let by_a_node = match found.target {
        Target::Device { next_hop, .. } => next_hop != NextHop::Direct,
        Target::Blackhole => true,
        Target::Other(_) => false,
    };
    desired.protocol != RouteProtocol::BOOT && by_a_node
}

/// Whether removal deletes the link itself: it bears our mark, and is not a veth end whose peer is deleted.
fn deletes(link: &Link, found: &ObservedLink) -> bool {
    let can = matches!(link.kind, LinkKind::Tunnel | LinkKind::VethWithPeer { .. });
    can && link.mark.is_some() && (found.alias == link.mark || is_half_made(link, found))
}

/// Whether a call of ours was interrupted between creating a pair and marking it, before it was up. Calico's
/// own pairs have the same hardware address and no mark, and are up.
fn is_half_made(link: &Link, found: &ObservedLink) -> bool {
    let is_pair = matches!(link.kind, LinkKind::VethWithPeer { .. }) && found.kind == "veth";
    is_pair && !found.up && found.alias.is_none() && link.mac.is_some() && found.mac == link.mac
}

fn is_veth(link: &Link) -> bool {
    matches!(
        link.kind,
        LinkKind::VethWithPeer { .. } | LinkKind::VethPeerOf { .. }
    )
}

pub(super) fn remove_link(link: &Link, found: &ObservedLink, plan: &mut Plan) {
    if deletes(link, found) {
        return plan.push(
            &link.place,
            Change::DeleteLink {
                name: link.name.clone(),
            },
        );
    }
    // The kernel's own tunnel device stays; what we put on it goes, and if it is bare then, so does "up".
    if link.kind != LinkKind::Tunnel || !found.tunnel.is_some_and(TunnelEnds::is_any) {
        return;
    }
    let (ours, others): (Vec<InterfaceAddr>, Vec<_>) = found
        .addresses
        .iter()
        .partition(|a| link.addresses.contains(a));
    // Down first: if this is interrupted, the address is left to say that the device is ours to mind.
    if !ours.is_empty() && others.is_empty() && found.up {
        plan.push(
            &link.place,
            Change::SetDown {
                name: link.name.clone(),
            },
        );
    }
    for address in ours {
        plan.push(
            &link.place,
            Change::DeleteAddress {
                name: link.name.clone(),
                address,
            },
        );
    }
}

#[cfg(test)]
mod tests;
