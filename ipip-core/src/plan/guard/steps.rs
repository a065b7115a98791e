//! The transactions that lead from one table to another, before the routes and behind them.

use super::{GuardChange, GuardSets, GuardTable, ObservedGuard};
use crate::plan::model::{Desired, Observed};
use crate::plan::outcome::{Conflict, Plan};
use crate::plan::place::Place;
use crate::plan::step::Change;

impl GuardTable {
    fn with(&self, sets: GuardSets) -> Box<Self> {
        Box::new(Self {
            sets,
            ..self.clone()
        })
    }
}

/// The sets between the two transactions.
fn between(desired: &GuardTable, observed: &ObservedGuard) -> GuardSets {
    match observed {
        ObservedGuard::Ours {
            sets: Some(found), ..
        } => found.together(&desired.sets),
        _ => desired.sets.clone(),
    }
}

/// Before the routes: lets in what is desired beside what was let in so far.
pub(in crate::plan) fn widen(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let Some(table) = &desired.guard else {
        return;
    };
    let wide = between(table, &observed.guard);
    match &observed.guard {
        ObservedGuard::Absent => push(plan, GuardChange::Create(table.with(wide))),
        ObservedGuard::Foreign => plan.conflicts.push(Conflict::GuardTaken),
        ObservedGuard::Ours {
            sets: Some(found),
            chains,
        } if *chains == table.chains() => push_update(found, &wide, plan),
        ObservedGuard::Ours { .. } => push(plan, GuardChange::Replace(table.with(wide))),
    }
}

/// After the routes: takes away what is not desired any more.
pub(in crate::plan) fn narrow(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    if let Some(table) = &desired.guard {
        push_update(&between(table, &observed.guard), &table.sets, plan);
    }
}

/// Takes the table away, if it is ours.
pub(in crate::plan) fn remove(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    if desired.guard.is_some() && matches!(observed.guard, ObservedGuard::Ours { .. }) {
        push(plan, GuardChange::Delete);
    }
}

fn push_update(from: &GuardSets, to: &GuardSets, plan: &mut Plan) {
    let (delete, add) = (Box::new(from.without(to)), Box::new(to.without(from)));
    if !(delete.is_empty() && add.is_empty()) {
        push(plan, GuardChange::Update { delete, add });
    }
}

fn push(plan: &mut Plan, change: GuardChange) {
    plan.push(&Place::Node, Change::Guard(change));
}
