//! What a comparison answers: the steps, and what stands in their way.

use std::collections::HashSet;

use super::guard::{GUARD_MARK, GUARD_TABLE};
use super::place::Place;
use super::route::{NextHopObject, Route};
use super::step::{Change, Step};
use crate::name::InterfaceName;

/// The steps that close a difference, and what stands in their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which the kernel takes them.
    pub steps: Vec<Step>,
    /// Objects of somebody else where ours should be. While there is one, no step of [`ensure`](super::ensure) should
    /// be applied; the steps of [`sync`](super::sync) pass it by.
    pub conflicts: Vec<Conflict>,
    /// Routes of ours that were there already: an earlier run left them, or BIRD. [`ensure`](super::ensure) names none.
    pub adopted: Vec<Route>,
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
    /// A device that routes lead through is down, and not ours to take up.
    #[error("link {name} is down")]
    LinkDown {
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
    /// A next hop object of somebody else has the number that ours needs.
    #[error("next hop {desired}: the number is taken by {found}")]
    NextHopTaken {
        /// The object that should be there.
        desired: Box<NextHopObject>,
        /// The object that is.
        found: Box<NextHopObject>,
    },
    /// A table of somebody else has the guard's name.
    #[error(
        "table ip {} is taken: found one without the comment {:?} on its sets",
        GUARD_TABLE,
        GUARD_MARK
    )]
    GuardTaken,
}

impl Plan {
    /// The devices that the steps so far delete.
    pub(super) fn deleted_links(&self) -> HashSet<(Place, InterfaceName)> {
        let deleted = |step: &Step| match &step.change {
            Change::DeleteLink { name } => Some((step.place.clone(), name.clone())),
            _ => None,
        };
        self.steps.iter().filter_map(deleted).collect()
    }

    pub(super) fn push(&mut self, place: &Place, change: Change) {
        self.steps.push(Step {
            place: place.clone(),
            change,
        });
    }
}
