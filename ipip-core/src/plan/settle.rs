//! The routes of one key: what must be done about them, and in which order with those of other keys.

use std::cmp::Reverse;

use super::diff::satisfies;
use super::outcome::{Conflict, Plan};
use super::route::Route;
use super::step::{Change, Step};

/// What is to be done about routes, collected key by key.
#[derive(Debug, Default)]
pub(super) struct RouteSteps<'a> {
    /// To be added or put in the place of another.
    puts: Vec<(&'a Route, Put)>,
    deletes: Vec<&'a Route>,
    conflicts: Vec<Conflict>,
    adopted: Vec<&'a Route>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Add,
    Replace,
}

/// What is known about the routes that are there.
pub(super) trait Rules {
    /// Whether the route is ours.
    fn owns(&self, route: &Route) -> bool;
    /// Whether the route may be taken away.
    fn spares(&self, route: &Route) -> bool;
    /// Whether the kernel would take this route: its device is there and up.
    fn takes(&mut self, route: &Route) -> bool;
}

impl<'a> RouteSteps<'a> {
    /// Nothing but the deletion of `routes`.
    pub(super) fn deleting(routes: impl Iterator<Item = &'a Route>) -> Self {
        Self {
            deletes: routes.collect(),
            ..Self::default()
        }
    }

    /// Adds what must be done for `desired` to be there and nothing else of ours with its key, of which
    /// `found` are all that there are, in the kernel's order; whether that is nothing.
    ///
    /// A route of somebody else stops it: which of the two the kernel would use, and which one it would
    /// replace, depends on their order, and none of that is ours to change.
    pub(super) fn settle(
        &mut self,
        desired: Option<&'a Route>,
        found: impl Iterator<Item = &'a Route> + Clone,
        rules: &mut impl Rules,
    ) -> bool {
        let Some(desired) = desired else {
            return self.delete(found, rules);
        };
        let Some(first) = found.clone().next() else {
            return self.put(desired, Put::Add, rules);
        };
        let is_right = |route: &Route| satisfies(route, desired);
        // Almost all keys have one route, which is right.
        if is_right(first) && found.clone().nth(1).is_none() {
            if rules.owns(first) {
                self.adopted.push(first);
            }
            return true;
        }
        let foreign = found
            .clone()
            .find(|route| !is_right(route) && !rules.owns(route));
        if let Some(foreign) = foreign {
            self.conflicts.push(Conflict::RouteTaken {
                desired: Box::new(desired.clone()),
                found: Box::new(foreign.clone()),
            });
            return false;
        }
        if rules.owns(first) {
            self.adopted.push(first);
        }
        // The kernel replaces the first of a key. Where the right one is behind it, the first goes.
        let settled = found.clone().any(is_right) || self.put(desired, Put::Replace, rules);
        let is_kept = |route: &Route| {
            if settled {
                is_right(route)
            } else {
                route == first
            }
        };
        let odd = found.filter(|route| !is_kept(route));
        self.delete(odd, rules) && settled
    }

    fn put(&mut self, route: &'a Route, put: Put, rules: &mut impl Rules) -> bool {
        if rules.takes(route) {
            self.puts.push((route, put));
        }
        false
    }

    fn delete(&mut self, found: impl Iterator<Item = &'a Route>, rules: &impl Rules) -> bool {
        let before = self.deletes.len();
        let ours = found.filter(|route| rules.owns(route) && !rules.spares(route));
        self.deletes.extend(ours);
        self.deletes.len() == before
    }

    /// The steps, the more specific route put first and deleted last; see [`sync`](super::sync).
    pub(super) fn into_plan(mut self, plan: &mut Plan) {
        self.puts
            .sort_by_key(|(route, _)| Reverse(specificity(route)));
        self.deletes.sort_by_key(|route| specificity(route));
        let puts = self.puts.into_iter().map(|(route, put)| match put {
            Put::Add => step(route, Change::AddRoute),
            Put::Replace => step(route, Change::ReplaceRoute),
        });
        plan.steps.extend(puts);
        let deletes = self.deletes.into_iter();
        plan.steps
            .extend(deletes.map(|route| step(route, Change::DeleteRoute)));
        plan.conflicts.extend(self.conflicts);
        plan.adopted.extend(self.adopted.into_iter().cloned());
    }
}

fn step(route: &Route, change: fn(Route) -> Change) -> Step {
    Step {
        place: route.place.clone(),
        change: change(route.clone()),
    }
}

/// The greater wins where several routes match: longer prefix, type of service told, lower metric.
fn specificity(route: &Route) -> (u8, u8, Reverse<u32>) {
    (route.prefix.len(), route.tos, Reverse(route.metric))
}
