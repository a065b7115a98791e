//! The difference: which steps lead from what was observed to what is desired.

use std::collections::HashMap;

use super::model::{
    Desired, InterfaceAddr, Link, LinkKind, NextHop, Observed, ObservedLink, Place, Route, Target,
};
use super::step::{Change, Step};
use crate::name::InterfaceName;

/// The steps that close a difference, and what stands in their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which the kernel takes them.
    pub steps: Vec<Step>,
    /// Objects of somebody else where ours should be. While there is one, no step should be applied.
    pub conflicts: Vec<Conflict>,
}

/// An object that is not ours where ours should be, or one that must exist and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// The name belongs to a device that is not ours.
    #[error("link {name} is taken: {found}, expected {expected}")]
    LinkTaken {
        /// The name.
        name: InterfaceName,
        /// What has it.
        found: String,
        /// What should have it.
        expected: String,
    },
    /// A device that we configure but never create does not exist.
    #[error("link {name} does not exist")]
    LinkMissing {
        /// The name.
        name: InterfaceName,
    },
    /// A route of somebody else has the key that ours needs.
    #[error("route {desired}: the prefix is taken by route {found}")]
    RouteTaken {
        /// The route that should be there.
        desired: Box<Route>,
        /// The route that is.
        found: Box<Route>,
    },
}

/// What must change for everything desired to be there. Objects that are not desired are not touched.
#[must_use]
pub fn ensure(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for link in &desired.links {
        ensure_link(link, observed, &mut plan);
    }
    // The kernel drops a device's routes with the device.
    let remain: Vec<&Route> = observed
        .routes
        .iter()
        .filter(|route| !plan.deletes_device_of(route))
        .collect();
    // The kernel's first of a key is the one that it uses.
    let mut by_key = HashMap::with_capacity(remain.len());
    for route in &remain {
        by_key.entry(route.key()).or_insert(*route);
    }
    for route in &desired.routes {
        ensure_route(route, by_key.get(&route.key()).copied(), &mut plan);
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
    let ours = route.protocol == super::RouteProtocol::BOOT && route.prefix.len() == 32;
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
        let device = device_of(route);
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
    plan
}

impl Plan {
    fn deletes_device_of(&self, route: &Route) -> bool {
        self.steps.iter().any(|step| {
            step.place == route.place
                && matches!(&step.change, Change::DeleteLink { name } if Some(name) == device_of(route))
        })
    }

    fn push(&mut self, place: &Place, change: Change) {
        self.steps.push(Step {
            place: place.clone(),
            change,
        });
    }
}

fn ensure_link(link: &Link, observed: &Observed, plan: &mut Plan) {
    let found = observed.link(&link.place, &link.name);
    let found = match (&link.kind, found) {
        (LinkKind::Existing, None) => {
            return plan.conflicts.push(Conflict::LinkMissing {
                name: link.name.clone(),
            });
        }
        (LinkKind::Existing, Some(found)) => Some(found),
        (LinkKind::Tunnel, None) => {
            plan.push(
                &link.place,
                Change::CreateTunnel {
                    name: link.name.clone(),
                },
            );
            None
        }
        (LinkKind::Tunnel, Some(found)) if found.tunnel.is_some_and(super::TunnelEnds::is_any) => {
            Some(found)
        }
        (
            LinkKind::VethWithPeer {
                peer_place,
                peer_name,
            },
            found,
        ) => match veth_state(link, found, observed.link(peer_place, peer_name)) {
            VethState::Right(found) => Some(found),
            VethState::Foreign(found) => return plan.conflicts.push(taken(link, found)),
            VethState::Absent { stale } => {
                if stale {
                    plan.push(
                        &link.place,
                        Change::DeleteLink {
                            name: link.name.clone(),
                        },
                    );
                }
                plan.push(&link.place, create_veth(link, peer_place, peer_name));
                None
            }
        },
        (
            LinkKind::VethPeerOf {
                peer_place,
                peer_name,
            },
            found,
        ) => match (found, observed.link(peer_place, peer_name)) {
            (Some(found), Some(other)) if are_peers(found, other) => Some(found),
            (Some(found), _) => return plan.conflicts.push(taken(link, found)),
            // It will be born with its peer.
            (None, _) => None,
        },
        (LinkKind::Tunnel, Some(found)) => return plan.conflicts.push(taken(link, found)),
    };
    configure(link, found, plan);
}

/// Mark, MAC, MTU, settings, up, addresses: in this order, and only where they differ. A link that
/// is still to be created has its MAC and MTU from its creation.
fn configure(link: &Link, found: Option<&ObservedLink>, plan: &mut Plan) {
    let name = &link.name;
    let is_tunnel = link.kind == LinkKind::Tunnel;
    if let Some(mark) = &link.mark {
        // An adopted tunnel device bears no mark of ours: it is not ours to delete.
        if found.is_none() || (!is_tunnel && found.is_some_and(|f| f.alias.as_ref() != Some(mark)))
        {
            plan.push(
                &link.place,
                Change::SetAlias {
                    name: name.clone(),
                    alias: mark.clone(),
                },
            );
        }
    }
    if let (Some(mac), Some(found)) = (link.mac, found)
        && found.mac != Some(mac)
    {
        plan.push(
            &link.place,
            Change::SetMac {
                name: name.clone(),
                mac,
            },
        );
    }
    if let Some(mtu) = link.mtu
        && found.map_or(is_tunnel, |f| f.mtu != mtu)
    {
        plan.push(
            &link.place,
            Change::SetMtu {
                name: name.clone(),
                mtu,
            },
        );
    }
    for (setting, value) in &link.settings {
        if found.and_then(|f| f.settings.get(setting)) != Some(value) {
            plan.push(
                &link.place,
                Change::Set {
                    name: name.clone(),
                    setting: *setting,
                    value: *value,
                },
            );
        }
    }
    if link.up && !found.is_some_and(|f| f.up) {
        plan.push(&link.place, Change::SetUp { name: name.clone() });
    }
    for address in &link.addresses {
        if !found.is_some_and(|f| f.addresses.contains(address)) {
            plan.push(
                &link.place,
                Change::AddAddress {
                    name: name.clone(),
                    address: *address,
                },
            );
        }
    }
}

enum VethState<'a> {
    /// Ours, and its other end is where it should be.
    Right(&'a ObservedLink),
    /// Somebody else's.
    Foreign(&'a ObservedLink),
    /// Not there; `stale` if ours is there but its other end is not where it should be.
    Absent { stale: bool },
}

/// Ours is what bears our mark. A pair without one, but joined to the right end and with the right
/// MAC, was left by a call that was interrupted between creating and marking it.
fn veth_state<'a>(
    link: &Link,
    found: Option<&'a ObservedLink>,
    peer: Option<&ObservedLink>,
) -> VethState<'a> {
    let Some(found) = found else {
        return VethState::Absent { stale: false };
    };
    let joined = peer.is_some_and(|peer| are_peers(found, peer));
    let marked = found.kind == "veth" && found.alias == link.mark;
    let unmarked_ours = found.alias.is_none() && found.mac == link.mac;
    match (marked, joined) {
        (true, true) => VethState::Right(found),
        (false, true) if unmarked_ours => VethState::Right(found),
        (true, false) => VethState::Absent { stale: true },
        _ => VethState::Foreign(found),
    }
}

/// Two veth ends that name each other's index and place. Indexes alone prove nothing: every fresh
/// namespace counts from the same number.
fn are_peers(one: &ObservedLink, other: &ObservedLink) -> bool {
    let names = |one: &ObservedLink, other: &ObservedLink| {
        one.peer_index == Some(other.index) && one.peer_place.as_ref() == Some(&other.place)
    };
    one.kind == "veth" && names(one, other) && names(other, one)
}

fn create_veth(link: &Link, peer_place: &Place, peer_name: &InterfaceName) -> Change {
    Change::CreateVeth {
        name: link.name.clone(),
        mac: link.mac,
        mtu: link.mtu,
        peer_place: peer_place.clone(),
        peer_name: peer_name.clone(),
    }
}

fn taken(link: &Link, found: &ObservedLink) -> Conflict {
    let kind = if found.kind.is_empty() {
        "a device without a kind".to_owned()
    } else {
        format!("kind {}", found.kind)
    };
    let ends = found
        .tunnel
        .map(|t| format!(" local {} remote {}", t.local, t.remote))
        .unwrap_or_default();
    let alias = found
        .alias
        .as_ref()
        .map(|alias| format!(" alias {alias:?}"))
        .unwrap_or_default();
    let expected = match &link.kind {
        LinkKind::Tunnel => "an ipip device with any local and any remote end".to_owned(),
        LinkKind::VethWithPeer { peer_name, .. } | LinkKind::VethPeerOf { peer_name, .. } => {
            format!("our veth end with peer {peer_name}")
        }
        LinkKind::Existing => "any device".to_owned(),
    };
    Conflict::LinkTaken {
        name: link.name.clone(),
        found: format!("{kind}{ends}{alias}"),
        expected,
    }
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
/// CNI plugin race for it too. Any other must also be ours.
fn satisfies(found: &Route, desired: &Route) -> bool {
    let direct = matches!(
        desired.target,
        Target::Device {
            next_hop: NextHop::Direct,
            ..
        }
    );
    let ours = found.protocol == desired.protocol && found.mtu == desired.mtu;
    found.target == desired.target && (direct || ours)
}

/// Protocol `boot` is what everybody gets who names none, so it proves nothing. Nor does ours on a
/// direct route: those lead to workloads, and Calico's may be told to bear any protocol.
fn is_replaceable(found: &Route, desired: &Route) -> bool {
    let by_a_node = match found.target {
        Target::Device { next_hop, .. } => next_hop != NextHop::Direct,
        Target::Blackhole => true,
        Target::Other(_) => false,
    };
    desired.protocol != super::RouteProtocol::BOOT && by_a_node
}

fn device_of(route: &Route) -> Option<&InterfaceName> {
    match &route.target {
        Target::Device { device, .. } => Some(device),
        Target::Blackhole | Target::Other(_) => None,
    }
}

/// Whether removal deletes the link itself: it bears our mark, and is not a veth end whose peer is deleted.
fn deletes(link: &Link, found: &ObservedLink) -> bool {
    let can = matches!(link.kind, LinkKind::Tunnel | LinkKind::VethWithPeer { .. });
    can && link.mark.is_some() && found.alias == link.mark
}

fn is_veth(link: &Link) -> bool {
    matches!(
        link.kind,
        LinkKind::VethWithPeer { .. } | LinkKind::VethPeerOf { .. }
    )
}

fn remove_link(link: &Link, found: &ObservedLink, plan: &mut Plan) {
    if deletes(link, found) {
        return plan.push(
            &link.place,
            Change::DeleteLink {
                name: link.name.clone(),
            },
        );
    }
    // The kernel's own tunnel device stays; what we put on it goes, and if it is bare then, so does "up".
    if link.kind != LinkKind::Tunnel || !found.tunnel.is_some_and(super::TunnelEnds::is_any) {
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
