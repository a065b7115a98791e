//! The routes of a node, remembered: what is desired, what was observed, and where the two may differ.

use std::collections::{HashMap, HashSet};

use super::index::Mixed;
use super::model::ObservedLink;
use super::outcome::{Conflict, Plan};
use super::ownership::Ownership;
use super::place::Place;
use super::route::{Route, RouteKey};
use super::settle::{RouteSteps, Rules};
use super::step::{Change, Step};
use super::sync::workload_device;
use crate::name::InterfaceName;

/// Desired and observed routes by key, and the keys that may differ. What it costs to plan grows with those
/// alone: one changed route among a hundred thousand costs microseconds.
///
/// Whoever applied a step tells it with [`applied`](Self::applied), whoever hears of a change with
/// [`observe`](Self::observe) and [`forget`](Self::forget). The kernel drops the routes of a device that
/// goes down and tells nobody, so after each event of a link there should be a
/// [dump](Self::replace_observed).
///
/// ```
/// use ipip_core::{name::InterfaceName, plan::*};
/// let name = |text| InterfaceName::try_new(text).unwrap();
/// let ownership = Ownership::new(name("tunl0"), name("eth0"), ["10.244.0.0/16".parse().unwrap()]);
/// let mut table = RouteTable::new(ownership);
/// table.want(Route::new("10.244.9.0/26".parse().unwrap(), Target::Blackhole, RouteProtocol::BIRD));
/// let plan = table.plan();
/// assert_eq!(plan.steps[0].to_string(), "ip route add blackhole 10.244.9.0/26 proto bird");
/// table.applied(&plan.steps[0]);
/// assert!(table.plan().steps.is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct RouteTable {
    slots: HashMap<RouteKey, Slot, Mixed>,
    /// Keys that may differ: those that something was told of, and those that a plan had to name.
    unsettled: HashSet<RouteKey, Mixed>,
    ownership: Ownership,
    devices: HashMap<InterfaceName, Device, Mixed>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    desired: Option<Route>,
    /// In the kernel's order.
    observed: Vec<Route>,
    /// Whether what is observed is known to be our work, or was reported as adopted.
    known: bool,
    /// How many were read of the dump that is being taken in, and whether one differed.
    read: usize,
    differs: bool,
}

impl Slot {
    /// Takes in the next route of a dump. Most are what they were, and nothing is moved or allocated.
    fn read(&mut self, route: Route) {
        match self.observed.get_mut(self.read) {
            Some(before) if *before == route => {}
            Some(before) => {
                *before = route;
                self.differs = true;
            }
            None => {
                // A push would make room for four.
                self.observed.reserve_exact(1);
                self.observed.push(route);
                self.differs = true;
            }
        }
        self.read += 1;
    }

    /// The dump is over; whether it brought something else than was there before.
    fn end_reading(&mut self) -> bool {
        let read = std::mem::take(&mut self.read);
        self.differs |= read < self.observed.len();
        self.observed.truncate(read);
        std::mem::take(&mut self.differs)
    }

    fn is_unused(&self) -> bool {
        self.desired.is_none() && self.observed.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Device {
    up: bool,
    /// Whether it is the link of a workload of ours.
    ours: bool,
}

impl RouteTable {
    /// Nothing desired, nothing observed.
    #[must_use]
    pub fn new(ownership: Ownership) -> Self {
        Self {
            slots: HashMap::default(),
            unsettled: HashSet::default(),
            ownership,
            devices: HashMap::default(),
        }
    }

    /// Says anew what is ours. Where that differs, every key is looked at once more.
    pub fn set_ownership(&mut self, ownership: Ownership) {
        if self.ownership != ownership {
            self.ownership = ownership;
            self.unsettled.extend(self.slots.keys().cloned());
        }
    }

    /// The links of the node's namespace as they are now. Routes through one that is down or missing wait,
    /// as the kernel would refuse them; before the first call every device counts as up.
    pub fn set_links(&mut self, links: &[ObservedLink]) {
        let here = links.iter().filter(|link| link.place == Place::Node);
        let state = |link: &ObservedLink| Device {
            up: link.up,
            ours: self.ownership.owns_link(link),
        };
        let devices: HashMap<_, _, Mixed> =
            here.map(|link| (link.name.clone(), state(link))).collect();
        let before = std::mem::replace(&mut self.devices, devices);
        let devices = &self.devices;
        let differs = |route: &Route| {
            route
                .target
                .device()
                .is_some_and(|name| before.get(name) != devices.get(name))
        };
        for (key, slot) in &self.slots {
            if slot.desired.iter().chain(&slot.observed).any(differs) {
                self.unsettled.insert(key.clone());
            }
        }
    }

    /// `route` should be there, instead of what should be there with its key so far.
    pub fn want(&mut self, route: Route) {
        let slot = self.touch(route.key());
        slot.desired = Some(route);
    }

    /// Nothing should be there with this key.
    pub fn unwant(&mut self, key: &RouteKey) {
        self.touch(key.clone()).desired = None;
        self.tidy(key);
    }

    /// What should be there with this key, or nothing.
    pub fn set_desired(&mut self, key: &RouteKey, route: Option<Route>) {
        self.unwant(key);
        if let Some(route) = route {
            self.want(route);
        }
    }

    /// All that is there, in the kernel's order: a full dump.
    pub fn replace_observed(&mut self, routes: Vec<Route>) {
        let more = routes.len().saturating_sub(self.slots.len());
        self.slots.reserve(more);
        for route in routes {
            self.slots.entry(route.key()).or_default().read(route);
        }
        let unsettled = &mut self.unsettled;
        self.slots.retain(|key, slot| {
            if slot.end_reading() {
                slot.known &= slot.observed.is_empty();
                unsettled.insert(key.clone());
            }
            let is_used = !slot.is_unused();
            if !is_used {
                unsettled.remove(key);
            }
            is_used
        });
    }

    /// The kernel told of a route that is there. It says so of one that was put in the place of another as
    /// of one that was appended; the second, which is rare, becomes plain at the next dump.
    pub fn observe(&mut self, route: Route) {
        self.seen(route, false);
    }

    /// The kernel told of a route that is gone.
    pub fn forget(&mut self, route: &Route) {
        let key = route.key();
        self.touch(key.clone())
            .observed
            .retain(|found| found != route);
        self.tidy(&key);
    }

    /// A step of a plan was applied; steps that are not of routes say nothing to it.
    pub fn applied(&mut self, step: &Step) {
        match &step.change {
            Change::AddRoute(route) => self.seen(route.clone(), true),
            Change::ReplaceRoute(route) => {
                let slot = self.touch(route.key());
                match slot.observed.first_mut() {
                    Some(first) => first.clone_from(route),
                    None => slot.observed.push(route.clone()),
                }
                slot.known = true;
            }
            Change::DeleteRoute(route) => self.forget(route),
            _ => {}
        }
    }

    /// How many keys the next plan looks at.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// What must change for the desired routes to be there and no others of ours, in the order of
    /// [`sync`](super::sync). A route that was there already is named as adopted once; a conflict, as
    /// long as it lasts.
    pub fn plan(&mut self) -> Plan {
        let mut plan = Plan::default();
        let mut steps = RouteSteps::default();
        let mut rules = TableRules {
            ownership: &self.ownership,
            devices: &self.devices,
            unusable: vec![],
        };
        let slots = &self.slots;
        self.unsettled.retain(|key| {
            let slot = slots.get(key);
            slot.is_some_and(|slot| {
                !steps.settle(slot.desired.as_ref(), slot.observed.iter(), &mut rules)
            })
        });
        steps.into_plan(&mut plan);
        plan.conflicts.append(&mut rules.unusable);
        plan.adopted.retain(|route| {
            let slot = self.slots.get_mut(&route.key());
            slot.is_some_and(|slot| !std::mem::replace(&mut slot.known, true))
        });
        plan
    }

    fn seen(&mut self, route: Route, known: bool) {
        let slot = self.touch(route.key());
        slot.known = known || (slot.known && slot.observed.contains(&route));
        slot.observed = vec![route];
    }

    fn touch(&mut self, key: RouteKey) -> &mut Slot {
        self.unsettled.insert(key.clone());
        self.slots.entry(key).or_default()
    }

    /// Forgets a key of which nothing is known.
    fn tidy(&mut self, key: &RouteKey) {
        let slot = self.slots.get(key);
        if slot.is_some_and(Slot::is_unused) {
            self.slots.remove(key);
            self.unsettled.remove(key);
        }
    }
}

struct TableRules<'a> {
    ownership: &'a Ownership,
    devices: &'a HashMap<InterfaceName, Device, Mixed>,
    unusable: Vec<Conflict>,
}

impl Rules for TableRules<'_> {
    fn owns(&self, route: &Route) -> bool {
        let is_ours = |name| self.devices.get(name).is_some_and(|device| device.ours);
        self.ownership.owns_route(route) || workload_device(route).is_some_and(is_ours)
    }

    fn spares(&self, route: &Route) -> bool {
        self.ownership.spares(route.prefix)
    }

    fn takes(&mut self, route: &Route) -> bool {
        let name = match route.target.device() {
            Some(name) if !self.devices.is_empty() => name,
            _ => return true,
        };
        let report = match self.devices.get(name) {
            Some(device) if device.up => return true,
            Some(_) => Conflict::LinkDown { name: name.clone() },
            None => Conflict::LinkMissing { name: name.clone() },
        };
        if !self.unusable.contains(&report) {
            self.unusable.push(report);
        }
        false
    }
}

#[cfg(test)]
mod tests;
