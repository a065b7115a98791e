//! The small pass of a run: routes that somebody deleted, put back without a look at everything.

use std::collections::BTreeMap;

use super::agent::State;
use super::apply::{Round, apply_part};
use super::counters::add;
use super::{Node, Synced};
use crate::addr::Ipv4Prefix;
use crate::cluster::View;
use crate::netlink::{Course, Event};
use crate::plan::{Change, Place, Route, Step};

impl Node {
    /// What is left to be done after `events`, where the pass before `left` everything as it should be: to
    /// add the routes that somebody deleted since. It costs what they are, and not what the node holds.
    ///
    /// `None` if only a whole pass can tell: anything but routes changed, or one that stays where ours
    /// should be, or they go by next hop objects. Without steps in the answer nothing was to be done.
    pub(super) fn mend(&self, events: &[Event], left: &Synced) -> Option<Synced> {
        if self.config.policy.next_hop_objects {
            return None;
        }
        let mut turn = self.turn().ok()?;
        let lost = lost(turn.view.as_ref()?, &turn, events)?;
        let mut synced = Synced {
            done: vec![],
            adopted: vec![],
            ..left.clone()
        };
        if lost.is_empty() {
            return Some(synced);
        }
        let steps: Vec<Step> = lost.into_values().map(addition).collect();
        let mut round = Round::default();
        let mut kernel = self.kernel().ok()?;
        apply_part(&mut kernel, &steps, &mut Course::default(), &mut round);
        // Somebody was faster: what is there now is for a whole pass to see.
        if round.moved && round.done.is_empty() {
            return None;
        }
        add(&self.tally.passes, 1);
        add(&self.tally.applied, round.done.len());
        add(&self.tally.failed, round.failed.len());
        turn.notice(&mut vec![], &round.done);
        self.log(&round);
        (synced.done, synced.failed) = (round.done, round.failed);
        Some(synced)
    }
}

fn addition(route: &Route) -> Step {
    Step {
        place: Place::Node,
        change: Change::AddRoute(route.clone()),
    }
}

/// The routes of the node that are gone after `events`; `None` if these tell of more than that.
fn lost<'a>(
    view: &View,
    state: &'a State,
    events: &[Event],
) -> Option<BTreeMap<Ipv4Prefix, &'a Route>> {
    let live = state.live.as_ref()?;
    let mut lost = BTreeMap::new();
    for event in events {
        let (route, is_gone) = match event {
            Event::Route(route) => (route, false),
            Event::RouteGone(route) => (route, true),
            _ => return None,
        };
        let prefix = route.prefix;
        match live.route(prefix) {
            Some(wanted) if wanted == route && is_gone => drop(lost.insert(prefix, wanted)),
            Some(wanted) if wanted == route => drop(lost.remove(&prefix)),
            // The underlay may be known by its default route.
            None if prefix == Ipv4Prefix::ALL => return None,
            None if is_gone || !is_of_a_pool(view, prefix) => {}
            _ => return None,
        }
    }
    Some(lost)
}

/// Whether a route to it may be ours, or of a workload's link that is.
fn is_of_a_pool(view: &View, prefix: Ipv4Prefix) -> bool {
    view.pools().any(|pool| pool.cidr().covers(prefix))
}
