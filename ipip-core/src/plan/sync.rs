//! The whole node: what is desired comes, what is ours and not desired goes.

use std::collections::{HashMap, HashSet};

use super::guard::steps as guard;
use super::index::{LinkIndex, Mixed, RouteIndex};
use super::links::ensure_link;
use super::model::{Desired, Link, LinkKind, Observed, ObservedLink, TunnelEnds};
use super::next_hop;
use super::outcome::{Conflict, Plan};
use super::ownership::Ownership;
use super::place::Place;
use super::route::{NextHop, Route, RouteProtocol, Target};
use super::settle::{RouteSteps, Rules};
use super::step::Change;
use crate::name::InterfaceName;

/// What must change for everything desired to be there, and nothing else of ours.
///
/// Unlike those of [`ensure`](super::ensure), the steps stand beside conflicts: an object that somebody
/// else's is in the way of is passed by, with the routes through it, and the rest is done. A route whose
/// device is down is left for later.
///
/// # Order
///
/// What the guard lets in is widened before all else and narrowed behind it.
///
/// Devices, their settings and addresses come first, then routes are added and replaced, the longest
/// prefix first; then what is not desired is deleted, the longest prefix last, then addresses, then
/// links. So an address that was routed before and is desired after is routed after each step, by its old
/// way or its new one: what covers it more closely is there before anything above it changes, and goes
/// when everything above it is right. Next hop objects are there before the routes that go by them, and go
/// behind those that went by them.
///
/// A delete goes first only where it frees what an add needs: a pair of ours whose other end is
/// elsewhere is deleted before it is made anew under the same name. A route never needs that, as the
/// kernel replaces one of the same key in one step, whatever its kind was.
///
/// # Races
///
/// A workload that is attached while this is computed must not be taken for one that is gone. Whoever
/// attaches commits its address before its link is made; so the caller observes first, and then reads
/// what is desired.
///
/// ```
/// use ipip_core::{name::InterfaceName, plan::*};
/// let name = |text| InterfaceName::try_new(text).unwrap();
/// let ownership = Ownership::new(name("tunl0"), name("eth0"), ["10.244.0.0/16".parse().unwrap()]);
/// let stale = Route::new("10.244.9.0/26".parse().unwrap(), Target::Blackhole, RouteProtocol::BIRD);
/// let mut observed = Observed::default();
/// observed.routes.push(stale);
/// let plan = sync(&Desired::default(), &observed, &ownership);
/// assert_eq!(plan.steps[0].to_string(), "ip route del blackhole 10.244.9.0/26 proto bird");
/// ```
#[must_use]
pub fn sync(desired: &Desired, observed: &Observed, ownership: &Ownership) -> Plan {
    let mut plan = Plan::default();
    guard::widen(desired, observed, &mut plan);
    let index = LinkIndex::new(observed);
    let doomed = doomed_links(desired, observed, ownership);
    let mut rules = NodeRules::new(observed, ownership, &doomed);
    for link in &desired.links {
        sync_link(link, &index, &mut rules, &mut plan);
    }
    let usable = |device: &InterfaceName| {
        rules.devices.get(&(&Place::Node, device)) == Some(&DeviceState::Up)
    };
    rules.taken = next_hop::put(desired, observed, ownership, usable, &mut plan);
    sync_routes(desired, observed, &mut rules, &mut plan);
    next_hop::take_away(&desired.next_hops, observed, ownership, &mut plan);
    delete_addresses(desired, &index, ownership, &mut plan);
    for link in doomed {
        let name = link.name.clone();
        plan.push(&link.place, Change::DeleteLink { name });
    }
    guard::narrow(desired, observed, &mut plan);
    plan
}

/// Whether the kernel takes a route through a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceState {
    Up,
    Down,
    /// What stands in its place was reported already.
    Taken,
}

/// What a sync knows about routes: whose links and devices are whose.
struct NodeRules<'a> {
    ownership: &'a Ownership,
    our_links: HashSet<&'a InterfaceName, Mixed>,
    /// Those of them that go, and every route through them with them.
    doomed: HashSet<&'a InterfaceName, Mixed>,
    devices: HashMap<(&'a Place, &'a InterfaceName), DeviceState, Mixed>,
    /// Devices of routes that cannot be there now, to be reported once.
    unusable: Vec<Conflict>,
    /// Numbers of next hop objects that somebody else has.
    taken: HashSet<u32>,
}

impl<'a> NodeRules<'a> {
    fn new(observed: &'a Observed, ownership: &'a Ownership, doomed: &[&'a ObservedLink]) -> Self {
        let links = observed.links.iter();
        let ours = links.clone().filter(|link| ownership.owns_link(link));
        let state = |link: &ObservedLink| match link.up {
            true => DeviceState::Up,
            false => DeviceState::Down,
        };
        Self {
            ownership,
            our_links: ours.map(|link| &link.name).collect(),
            doomed: doomed.iter().map(|link| &link.name).collect(),
            devices: links
                .map(|link| ((&link.place, &link.name), state(link)))
                .collect(),
            unusable: vec![],
            taken: HashSet::new(),
        }
    }
}

impl NodeRules<'_> {
    fn goes_with_its_link(&self, route: &Route) -> bool {
        let device = route.target.device().filter(|_| route.place == Place::Node);
        device.is_some_and(|device| self.doomed.contains(device))
    }
}

impl Rules for NodeRules<'_> {
    fn owns(&self, route: &Route) -> bool {
        let is_ours = |device: &InterfaceName| self.our_links.contains(device);
        self.ownership.owns_route(route)
            || workload_device(route).is_some_and(is_ours)
            || self.goes_with_its_link(route)
    }

    fn spares(&self, route: &Route) -> bool {
        self.ownership.spares(route.prefix)
    }

    fn takes(&mut self, route: &Route) -> bool {
        if route.object().is_some_and(|id| self.taken.contains(&id)) {
            return false;
        }
        let Some(name) = route.target.device() else {
            return true;
        };
        let report = match self.devices.get(&(&route.place, name)) {
            Some(DeviceState::Up) => return true,
            Some(DeviceState::Taken) => return false,
            Some(DeviceState::Down) => Conflict::LinkDown { name: name.clone() },
            None => Conflict::LinkMissing { name: name.clone() },
        };
        if !self.unusable.contains(&report) {
            self.unusable.push(report);
        }
        false
    }
}

/// The device of a route as a workload's address has it: to a /32, direct, protocol boot.
pub(super) fn workload_device(route: &Route) -> Option<&InterfaceName> {
    let direct = matches!(
        route.target,
        Target::Device {
            next_hop: NextHop::Direct,
            ..
        }
    );
    let is_a_workloads = direct
        && route.place == Place::Node
        && route.prefix.len() == 32
        && route.protocol == RouteProtocol::BOOT;
    route.target.device().filter(|_| is_a_workloads)
}

/// As [`ensure_link`], and notes whether routes can lead through it then.
fn sync_link<'a>(
    link: &'a Link,
    index: &LinkIndex<'_>,
    rules: &mut NodeRules<'a>,
    plan: &mut Plan,
) {
    let before = plan.conflicts.len();
    ensure_link(link, index, plan);
    let key = (&link.place, &link.name);
    if plan.conflicts.len() > before {
        rules.devices.insert(key, DeviceState::Taken);
    } else if link.up {
        rules.devices.insert(key, DeviceState::Up);
    }
}

/// The links of ours that are of no workload which is desired, but for those with a spared route.
fn doomed_links<'a>(
    desired: &Desired,
    observed: &'a Observed,
    ownership: &Ownership,
) -> Vec<&'a ObservedLink> {
    let wanted = desired.links.iter().map(|link| (&link.place, &link.name));
    let wanted: HashSet<_, Mixed> = wanted.collect();
    let is_left = |link: &&ObservedLink| {
        !wanted.contains(&(&link.place, &link.name)) && ownership.owns_link(link)
    };
    let mut doomed: Vec<_> = observed.links.iter().filter(is_left).collect();
    // All routes are looked at only for a link that would go.
    if !doomed.is_empty() && !ownership.spared.is_empty() {
        let spared = observed.routes.iter();
        let spared = spared.filter(|route| ownership.spares(route.prefix));
        let spared: HashSet<_, Mixed> = spared.filter_map(workload_device).collect();
        doomed.retain(|link| !spared.contains(&link.name));
    }
    doomed
}

fn sync_routes<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    rules: &mut NodeRules<'_>,
    plan: &mut Plan,
) {
    // The kernel drops a device's routes with the device: one that is made anew starts without, and what
    // leads through one that goes needs no step, unless its key is needed.
    let dropped = plan.deleted_links();
    let is_there = |route: &&Route| {
        let device = route.target.device().filter(|_| !dropped.is_empty());
        device.is_none_or(|device| !dropped.contains(&(route.place.clone(), device.clone())))
    };
    let mut index = RouteIndex::new(observed.routes.iter().filter(is_there));
    let mut steps = RouteSteps::default();
    for route in &desired.routes {
        if let Some(found) = index.claim(route) {
            steps.settle(Some(route), found, rules);
        }
    }
    for route in index.unclaimed() {
        if !rules.goes_with_its_link(route) {
            steps.settle(None, std::iter::once(route), rules);
        }
    }
    steps.into_plan(plan);
    plan.conflicts.append(&mut rules.unusable);
}

/// Takes from the tunnel device the addresses of ours that are not desired.
fn delete_addresses(
    desired: &Desired,
    index: &LinkIndex<'_>,
    ownership: &Ownership,
    plan: &mut Plan,
) {
    let Some(found) = index.link(&Place::Node, &ownership.tunnel) else {
        return;
    };
    let is_it = |link: &&Link| link.place == Place::Node && link.name == ownership.tunnel;
    let wanted = desired.links.iter().find(is_it);
    // Of another data path's device nothing but its name is known.
    let made_by_another = wanted.is_some_and(|link| link.kind == LinkKind::Existing);
    if !made_by_another && !found.tunnel.is_some_and(TunnelEnds::is_any) {
        return;
    }
    for address in &found.addresses {
        let is_wanted = wanted.is_some_and(|link| link.addresses.contains(address));
        if !is_wanted && ownership.owns_address(*address) {
            let (name, address) = (found.name.clone(), *address);
            plan.push(&found.place, Change::DeleteAddress { name, address });
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::world;
