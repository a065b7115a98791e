//! Next hops that are objects of their own: what many routes have in common, known to the kernel by a number.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::diff::{Conflict, Plan};
use super::model::{Desired, NextHop, Observed, Place, Route, RouteProtocol, Target};
use super::ownership::Ownership;
use super::step::Change;
use crate::addr::NodeAddr;
use crate::name::InterfaceName;

/// A next hop with a number of its own (`ip nexthop`, Linux 5.3), which routes go by: `PREFIX nhid NUMBER`.
///
/// Where each route has a next hop of its own, the kernel compares the next hop of each new route with
/// all others of its device, so that many nodes cost the square of their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHopObject {
    /// Its number, which is not 0.
    pub id: u32,
    /// Where packets go: a device and an onlink node; [`Target::Other`] is only read.
    pub target: Target,
    /// Who made it.
    pub protocol: RouteProtocol,
}

impl NextHopObject {
    /// The way to `node` on `device`, with the number that says so: the address itself for the tunnel
    /// device, its complement for any other. So every process finds the same numbers, and one that is
    /// ours tells by itself what it should be.
    ///
    /// `None` if its number would be 0, which no node's is.
    #[must_use]
    pub fn to_node(
        device: &InterfaceName,
        node: NodeAddr,
        is_tunnel: bool,
        protocol: RouteProtocol,
    ) -> Option<Self> {
        let bits = node.0.to_bits();
        let id = if is_tunnel { bits } else { !bits };
        let target = Target::Device {
            device: device.clone(),
            next_hop: NextHop::Onlink(node),
        };
        (id != 0).then_some(Self {
            id,
            target,
            protocol,
        })
    }
}

/// The text of `ip nexthop`.
impl fmt::Display for NextHopObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {}", self.id)?;
        let mut onlink = "";
        match &self.target {
            Target::Device { device, next_hop } => {
                match next_hop {
                    NextHop::Onlink(NodeAddr(gateway)) => {
                        onlink = " onlink";
                        write!(f, " via {gateway}")?;
                    }
                    NextHop::Gateway(gateway) => write!(f, " via {gateway}")?,
                    NextHop::Direct | NextHop::Object(_) => {}
                }
                write!(f, " dev {device}")?;
            }
            Target::Blackhole => f.write_str(" blackhole")?,
            Target::Other(words) => write!(f, " {words}")?,
        }
        write!(f, " proto {}{onlink}", self.protocol)
    }
}

impl Ownership {
    /// Whether `found` is ours: it bears our protocol number, leads to a node on the tunnel device or the
    /// underlay, and has the number that we would give it.
    #[must_use]
    pub fn owns_next_hop(&self, found: &NextHopObject) -> bool {
        let Target::Device {
            device,
            next_hop: NextHop::Onlink(node),
        } = &found.target
        else {
            return false;
        };
        let is_tunnel = *device == self.tunnel;
        let ours = NextHopObject::to_node(device, *node, is_tunnel, self.protocol);
        (is_tunnel || *device == self.underlay) && ours.as_ref() == Some(found)
    }
}

impl Route {
    /// The number of the next hop object that it goes by.
    #[must_use]
    pub fn object(&self) -> Option<u32> {
        match self.target {
            Target::Device {
                next_hop: NextHop::Object(id),
                ..
            } => Some(id),
            _ => None,
        }
    }
}

/// Adds what must be done before the routes, and answers the numbers that somebody else has.
pub(super) fn put(
    desired: &Desired,
    observed: &Observed,
    ownership: &Ownership,
    usable: impl Fn(&InterfaceName) -> bool,
    plan: &mut Plan,
) -> HashSet<u32> {
    let mut taken = HashSet::new();
    if desired.next_hops.is_empty() {
        return taken;
    }
    let found: HashMap<u32, &NextHopObject> =
        observed.next_hops.iter().map(|one| (one.id, one)).collect();
    for wanted in &desired.next_hops {
        let is_usable = match &wanted.target {
            Target::Device { device, .. } => usable(device),
            Target::Blackhole | Target::Other(_) => false,
        };
        match found.get(&wanted.id) {
            Some(found) if *found == wanted => {}
            Some(found) if found.protocol != ownership.protocol => {
                taken.insert(wanted.id);
                plan.conflicts.push(Conflict::NextHopTaken {
                    desired: Box::new(wanted.clone()),
                    found: Box::new((*found).clone()),
                });
            }
            // The routes through such a device wait too.
            _ if !is_usable => {}
            Some(_) => plan.push(&Place::Node, Change::ReplaceNextHop(wanted.clone())),
            None => plan.push(&Place::Node, Change::AddNextHop(wanted.clone())),
        }
    }
    taken
}

/// Adds what must be done behind the routes: ours that are not desired go, but for those that a route of
/// somebody else's goes by, which the kernel would delete with it, and those that go with a device.
pub(super) fn take_away(
    desired: &[NextHopObject],
    observed: &Observed,
    ownership: &Ownership,
    plan: &mut Plan,
) {
    let gone = plan.deleted_links();
    let wanted: HashSet<u32> = desired.iter().map(|one| one.id).collect();
    let goes_with_its_device = |one: &NextHopObject| match &one.target {
        Target::Device { device, .. } => gone.contains(&(Place::Node, device.clone())),
        Target::Blackhole | Target::Other(_) => false,
    };
    let is_stale = |one: &&NextHopObject| {
        !wanted.contains(&one.id) && ownership.owns_next_hop(one) && !goes_with_its_device(one)
    };
    let mut stale: Vec<_> = observed.next_hops.iter().filter(is_stale).collect();
    if !stale.is_empty() {
        let stays = |route: &&Route| {
            let is_ours = ownership.owns_route(route) && !ownership.spares(route.prefix);
            route.place == Place::Node && !is_ours
        };
        let staying = observed.routes.iter().filter(stays);
        let used: HashSet<u32> = staying.filter_map(Route::object).collect();
        stale.retain(|one| !used.contains(&one.id));
    }
    for one in stale {
        plan.push(&Place::Node, Change::DeleteNextHop(one.clone()));
    }
}

#[cfg(test)]
mod tests;
