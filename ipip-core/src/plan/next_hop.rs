//! The steps for next hops that are objects of their own: put before the routes that go by them, taken away behind.

use std::collections::{HashMap, HashSet};

use super::model::{Desired, Observed};
use super::outcome::{Conflict, Plan};
use super::ownership::Ownership;
use super::place::Place;
use super::route::{NextHopObject, Route, Target};
use super::step::Change;
use crate::name::InterfaceName;

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
