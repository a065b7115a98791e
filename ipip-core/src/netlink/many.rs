//! Many steps at once: in the order of the plan, as far as one step can matter to another, and in as
//! few sends as there are namespaces and stages.
//!
//! A stage deletes links, then creates links, then does the rest: first in the workloads' namespaces,
//! then in the node's, in each by one batch and in the order of the plan. A link that is to be deleted
//! begins a new stage, so what came before it is done before; a link that is to be created moves ahead
//! of what came before it in its stage, unless that was about a link of its name.

use std::collections::{BTreeMap, HashSet};

use super::apply::device_of;
use super::course::Course;
use super::work::Work;
use super::{Kernel, NetlinkError};
use crate::name::InterfaceName;
use crate::plan::{Change, Step};

/// What became of a list of steps.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many were carried out.
    pub done: usize,
    /// Those that failed, in the order of the list. All others were carried out, or are unknown.
    pub failed: Vec<Failed>,
    /// Those of which the kernel's answer was lost, in the order of the list: each may have been
    /// carried out or not, so observe again before anything else.
    pub unknown: Vec<usize>,
    /// Those that were not begun, in the order of the list, as the time was over.
    pub left: Vec<usize>,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failed {
    /// Its place in the list, counted from 0.
    pub step: usize,
    /// Why. [`NetlinkError::NotTried`] if the link that it is about could not be created.
    pub cause: NetlinkError,
}

impl Applied {
    /// Whether every step was carried out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.unknown.is_empty() && self.left.is_empty()
    }

    /// The places of the steps that are not known to be carried out: those that failed, the unknown and
    /// those that were not begun.
    pub(crate) fn undone(&self) -> HashSet<usize> {
        let failed = self.failed.iter().map(|failed| failed.step);
        let unknown = self.unknown.iter().chain(&self.left);
        failed.chain(unknown.copied()).collect()
    }

    /// Whether what was observed before no longer tells what there is, beyond the steps that were
    /// carried out: an answer was lost, or an object had appeared or gone.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.unknown.is_empty() || self.failed.iter().any(|failed| failed.cause.is_stale())
    }
}

/// Places in the list of steps, by the number of the namespace.
pub(super) type BySpace = BTreeMap<usize, Vec<usize>>;

/// A link, by the number of its namespace and its name.
pub(super) type LinkName<'a> = (usize, &'a InterfaceName);

/// Steps of which only those of one namespace and one kind have an order.
#[derive(Debug, Default)]
pub(super) struct Stage<'a> {
    pub(super) deletions: BySpace,
    pub(super) creations: BySpace,
    pub(super) changes: BySpace,
    /// The links that its creations and changes are about.
    touched: HashSet<(usize, &'a InterfaceName)>,
    last: Option<(usize, &'a InterfaceName)>,
}

impl Kernel {
    /// Carries out `steps`, many by one request, and goes on after those that fail. What one step
    /// needs of another is done before it, as if they were carried out one by one in their order;
    /// steps for a link that could not be created are not tried.
    ///
    /// For a hundred pods this takes a fortieth of the time of one `ip` command each. A hundred
    /// thousand routes are written as fast as the kernel takes them (a quarter of a million per second
    /// through one gateway; their number times that of the gateways counts where there are thousands).
    pub fn apply_all(&mut self, steps: &[Step]) -> Applied {
        self.apply_until(steps, &mut Course::default())
    }

    /// As [`Kernel::apply_all`], and ends between two batches once the time is over. What was not begun
    /// then is in [`Applied::left`]: of each namespace the last of its steps, as they are sent.
    pub fn apply_until(&mut self, steps: &[Step], course: &mut Course) -> Applied {
        let mut work = Work::new(self, steps, course);
        for stage in stages(&mut work, steps) {
            work.carry_out(&stage);
        }
        work.finish()
    }
}

impl<'a> Stage<'a> {
    /// Whether a change, which creates these links, must wait for the next stage.
    fn precedes(&self, change: &Change, created: &[LinkName<'a>]) -> bool {
        let deletes = matches!(change, Change::DeleteLink { .. });
        let only_deletes = self.creations.is_empty() && self.changes.is_empty();
        deletes && !only_deletes || created.iter().any(|link| self.touched.contains(link))
    }

    fn add(&mut self, number: usize, space: usize, change: &'a Change, created: &[LinkName<'a>]) {
        let list = match change {
            Change::DeleteLink { .. } => &mut self.deletions,
            Change::CreateTunnel { .. } | Change::CreateVeth { .. } => &mut self.creations,
            _ => &mut self.changes,
        };
        list.entry(space).or_default().push(number);
        if !matches!(change, Change::DeleteLink { .. }) {
            let device = device_of(change).map(|name| (space, name));
            created
                .iter()
                .copied()
                .chain(device)
                .for_each(|link| self.touch(link));
        }
    }

    fn touch(&mut self, link: LinkName<'a>) {
        // Routes come in thousands through one device.
        if self.last != Some(link) {
            self.touched.insert(link);
            self.last = Some(link);
        }
    }
}

/// Cuts the steps into stages; one at a place that was never added fails at once.
fn stages<'a>(work: &mut Work<'a>, steps: &'a [Step]) -> Vec<Stage<'a>> {
    let mut stages = Vec::new();
    let mut stage = Stage::default();
    for (number, step) in steps.iter().enumerate() {
        match work.position(&step.place) {
            Ok(space) => {
                let created = work.created_by(space, &step.change);
                if stage.precedes(&step.change, &created) {
                    stages.push(std::mem::take(&mut stage));
                }
                stage.add(number, space, &step.change, &created);
            }
            Err(fault) => work.fail(number, fault),
        }
    }
    stages.push(stage);
    stages
}
