//! A plan carried out: what can be is done, and what the kernel refuses is named.

use std::collections::BTreeMap;

use super::guard::cannot_be_had;
use super::synced::FailedStep;
use crate::netlink::{Applied, Course, Kernel};
use crate::plan::{Change, Conflict, Plan, Route, Step};

/// Carries out `plan` as far as the time lasts; what fails is told and the rest is done.
pub(super) fn apply(kernel: &mut Kernel, plan: Plan, course: &mut Course) -> Round {
    let mut round = Round {
        conflicts: plan.conflicts,
        adopted: plan.adopted,
        ..Round::default()
    };
    course.expect(plan.steps.len());
    // The guard's own steps are transactions of another kind, before and after all others.
    for part in plan
        .steps
        .chunk_by(|one, next| is_guard(one) == is_guard(next))
    {
        if part.iter().any(is_guard) {
            apply_guard(kernel, part, course, &mut round);
        } else {
            apply_part(kernel, part, course, &mut round);
        }
    }
    round
}

fn apply_guard(kernel: &mut Kernel, steps: &[Step], course: &mut Course, round: &mut Round) {
    for step in steps {
        if round.no_guard.is_some() {
            return;
        }
        if course.is_over() {
            round.postponed.push(step.clone());
            continue;
        }
        course.begin();
        let applied = kernel.apply(std::slice::from_ref(step));
        course.count(1);
        match applied {
            Ok(()) => round.done.push(step.clone()),
            Err(error) if cannot_be_had(&error.cause) => {
                round.no_guard = Some(crate::error_chain(&error.cause));
            }
            Err(error) => {
                round.moved |= error.cause.is_stale();
                round.failed.push(FailedStep {
                    reason: crate::error_chain(&error.cause),
                    errno: error.cause.errno(),
                    step: *error.step,
                });
            }
        }
    }
}

/// What one round did.
#[derive(Default)]
pub(super) struct Round {
    pub(super) done: Vec<Step>,
    pub(super) failed: Vec<FailedStep>,
    pub(super) postponed: Vec<Step>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) adopted: Vec<Route>,
    /// Whether the kernel's state moved under the plan.
    pub(super) moved: bool,
    /// Why there can be no guard, where the kernel said so only to the attempt.
    pub(super) no_guard: Option<String>,
}

/// Carries out `steps`, and adds to `round` what became of each.
pub(super) fn apply_part(
    kernel: &mut Kernel,
    steps: &[Step],
    course: &mut Course,
    round: &mut Round,
) {
    let applied = kernel.apply_until(steps, course);
    round.moved |= applied.is_stale();
    tell(steps, applied, round);
}

fn is_guard(step: &Step) -> bool {
    matches!(step.change, Change::Guard(_))
}

fn tell(steps: &[Step], applied: Applied, round: &mut Round) {
    let failed = applied.failed.into_iter().map(|failed| {
        let words = crate::error_chain(&failed.cause);
        (failed.step, (words, failed.cause.errno()))
    });
    let lost = "the kernel's answer was lost, so it may have been carried out";
    let unknown = applied
        .unknown
        .into_iter()
        .map(|step| (step, (lost.to_owned(), None)));
    let mut reasons: BTreeMap<_, _> = failed.chain(unknown).collect();
    let mut left = applied.left.into_iter().peekable();
    round.done.reserve(steps.len());
    for (at, step) in steps.iter().enumerate() {
        if left.next_if_eq(&at).is_some() {
            round.postponed.push(step.clone());
            continue;
        }
        match reasons.remove(&at) {
            None => round.done.push(step.clone()),
            Some((reason, errno)) => round.failed.push(FailedStep {
                step: step.clone(),
                reason,
                errno,
            }),
        }
    }
}
