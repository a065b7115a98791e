//! The stages of a list of steps, carried out; see [`super::many`].

use std::collections::{HashMap, HashSet};

use super::Kernel;
use super::apply::{device_of, request_of};
use super::course::Course;
use super::error::{Fault, in_place};
use super::exchange::Outcome;
use super::forwarding::goes_by_proc;
use super::many::{Applied, Failed, LinkName, Stage};
use super::message::{Request, link, request};
use crate::name::InterfaceName;
use crate::plan::{Change, Place, Setting, Step};

/// Steps that are being carried out.
#[derive(Debug)]
pub(super) struct Work<'a> {
    kernel: &'a mut Kernel,
    steps: &'a [Step],
    failed: Vec<Failed>,
    unknown: Vec<usize>,
    left: Vec<usize>,
    course: &'a mut Course,
    /// How many steps were answered before these.
    before: usize,
    /// The indexes that names have since links were last created or deleted.
    indexes: HashMap<LinkName<'a>, Result<u32, Fault>>,
    /// Links that were not created, and by which step.
    missing: HashMap<LinkName<'a>, usize>,
}

impl<'a> Work<'a> {
    pub(super) fn new(kernel: &'a mut Kernel, steps: &'a [Step], course: &'a mut Course) -> Self {
        Self {
            kernel,
            steps,
            failed: vec![],
            unknown: vec![],
            left: vec![],
            before: course.done(),
            course,
            indexes: HashMap::new(),
            missing: HashMap::new(),
        }
    }

    pub(super) fn position(&self, place: &Place) -> Result<usize, Fault> {
        self.kernel.position(place)
    }

    /// The links that a change creates.
    pub(super) fn created_by(&self, space: usize, change: &'a Change) -> Vec<LinkName<'a>> {
        match change {
            Change::CreateTunnel { name } => vec![(space, name)],
            Change::CreateVeth {
                name,
                peer_place,
                peer_name,
                ..
            } => {
                let peer = self.position(peer_place).ok();
                let peer = peer.map(|space| (space, peer_name));
                [(space, name)].into_iter().chain(peer).collect()
            }
            _ => vec![],
        }
    }

    pub(super) fn fail(&mut self, number: usize, fault: Fault) {
        let Some(step) = self.steps.get(number) else {
            return;
        };
        let cause = fault.about(in_place(&step.change.object(), &step.place));
        self.failed.push(Failed {
            step: number,
            cause,
        });
    }

    pub(super) fn carry_out(&mut self, stage: &Stage<'a>) {
        for (space, numbers) in &stage.deletions {
            self.delete(*space, numbers);
        }
        for (space, numbers) in &stage.creations {
            self.create(*space, numbers);
        }
        // The node comes first in the list and last in the work.
        for (space, numbers) in stage.changes.iter().rev() {
            self.change(*space, numbers);
        }
    }

    /// What became of all.
    pub(super) fn finish(mut self) -> Applied {
        self.failed.sort_by_key(|failed| failed.step);
        self.unknown.sort_unstable();
        self.left.sort_unstable();
        // Those too that no batch has carried: written by a file, or never sent as they cannot succeed.
        let answered = self.steps.len() - self.left.len();
        self.course.reach(self.before + answered);
        if log::log_enabled!(log::Level::Debug) {
            let failed = self.failed.iter().map(|failed| failed.step);
            let others = self.unknown.iter().chain(&self.left).copied();
            let not_done: HashSet<usize> = failed.chain(others).collect();
            let numbered = self.steps.iter().enumerate();
            let done = numbered.filter(|(number, _)| !not_done.contains(number));
            done.for_each(|(_, step)| log::debug!("{step}"));
        }
        Applied {
            done: self.steps.len() - self.failed.len() - self.unknown.len() - self.left.len(),
            failed: self.failed,
            unknown: self.unknown,
            left: self.left,
        }
    }

    /// Whether the time is over, so that these are not begun.
    fn leaves(&mut self, numbers: &[usize]) -> bool {
        let is_over = self.course.is_over();
        if is_over {
            self.left.extend(numbers);
        }
        is_over
    }

    fn delete(&mut self, space: usize, numbers: &[usize]) {
        if self.leaves(numbers) {
            return;
        }
        let numbers = self.without_missing(space, numbers);
        // The other ends of what is deleted may be anywhere.
        self.indexes.clear();
        let names: Vec<_> = numbers.iter().filter_map(|n| self.device(*n)).collect();
        let found = self.kernel.spaces.get_mut(space);
        let outcome = found.map(|space| space.delete_links(&names, self.course));
        self.course.begin();
        self.take(&numbers, outcome.unwrap_or_default());
    }

    fn create(&mut self, space: usize, numbers: &[usize]) {
        if self.leaves(numbers) {
            return;
        }
        self.indexes.clear();
        let (mut requests, mut outcome) = (Vec::with_capacity(numbers.len()), Outcome::default());
        for (item, number) in numbers.iter().enumerate() {
            match self.creation(*number) {
                Ok(request) => requests.push(Some(request)),
                Err(fault) => {
                    requests.push(None);
                    outcome.failed.push((item, fault));
                }
            }
        }
        if let Some(found) = self.kernel.spaces.get_mut(space) {
            outcome.extend(found.socket.change_all(requests.into_iter(), self.course));
        }
        for (item, fault) in std::mem::take(&mut outcome.failed) {
            let Some((number, step)) = self.nth(numbers, item) else {
                continue;
            };
            let fault = self.kernel.explain(fault, &step.change);
            outcome.failed.push((item, fault));
            for link in self.created_by(space, &step.change) {
                self.missing.insert(link, number);
            }
        }
        self.take(numbers, outcome);
    }

    fn creation(&mut self, number: usize) -> Result<(Request, u16), Fault> {
        let step = self.steps.get(number).ok_or(Fault::NotWritable)?;
        let peer_netns = self.kernel.peer_netns(&step.change)?;
        request_of(&step.change, None, peer_netns)
    }

    fn change(&mut self, space: usize, numbers: &[usize]) {
        if self.leaves(numbers) {
            return;
        }
        let numbers = self.without_missing(space, numbers);
        self.look_up(space, &numbers);
        let mut outcome = Outcome::default();
        let written = self.write_forwarding(space, &numbers, &mut outcome);
        let Some(found) = self.kernel.spaces.get_mut(space) else {
            return;
        };
        let (steps, indexes) = (self.steps, &self.indexes);
        let mut refused = Vec::new();
        // Routes come in thousands through one device.
        let mut last = None;
        let requests = numbers.iter().enumerate().map(|(item, number)| {
            let step = steps.get(*number).filter(|_| !written.contains(&item))?;
            let name = device_of(&step.change);
            let index = match last {
                Some((named, index)) if named == name => Ok(index),
                _ => index_of(name, space, indexes),
            };
            let request = index.and_then(|index| {
                last = Some((name, index));
                request_of(&step.change, index, None)
            });
            request.map_err(|fault| refused.push((item, fault))).ok()
        });
        outcome.extend(found.socket.change_all(requests, self.course));
        outcome.failed.append(&mut refused);
        self.take(&numbers, outcome);
    }

    /// Finds the indexes of all devices that steps are about.
    fn look_up(&mut self, space: usize, numbers: &[usize]) {
        let (mut names, mut last) = (HashSet::new(), None);
        for name in numbers.iter().filter_map(|number| self.device(*number)) {
            if last != Some(name) && !self.indexes.contains_key(&(space, name)) {
                names.insert(name);
            }
            last = Some(name);
        }
        let names: Vec<_> = names.into_iter().collect();
        let Some(found) = self.kernel.spaces.get_mut(space) else {
            return;
        };
        let questions = names.iter().map(|name| request::get_link(name));
        let answers = found.socket.ask_all(questions, link::link);
        for (name, answer) in names.into_iter().zip(answers) {
            self.indexes
                .insert((space, name), answer.map(|link| link.index));
        }
    }

    /// Writes what goes by `/proc`, and says which that was, or was refused there.
    fn write_forwarding(
        &self,
        space: usize,
        numbers: &[usize],
        outcome: &mut Outcome,
    ) -> HashSet<usize> {
        let settings = numbers.iter().enumerate().filter_map(|(item, number)| {
            let Change::Set {
                name,
                setting: Setting::Forwarding,
                value,
            } = &self.steps.get(*number)?.change
            else {
                return None;
            };
            let is_there = self.indexes.get(&(space, name))?.is_ok();
            (is_there && goes_by_proc(*value)).then_some((item, (name, *value)))
        });
        let (items, settings): (Vec<_>, Vec<_>) = settings.unzip();
        let Some(found) = self.kernel.spaces.get(space).filter(|_| !items.is_empty()) else {
            return HashSet::new();
        };
        let written = found.write_forwarding(&settings);
        let mut handled = HashSet::new();
        for (at, item) in items.into_iter().enumerate() {
            match written.as_ref().map(|written| written.get(at)) {
                Ok(None | Some(Ok(false))) => continue,
                Ok(Some(Ok(true))) => {}
                Ok(Some(Err(fault))) | Err(fault) => outcome.failed.push((item, fault.again())),
            }
            handled.insert(item);
        }
        handled
    }

    /// Leaves out, as failed, what is about links that could not be created.
    fn without_missing(&mut self, space: usize, numbers: &[usize]) -> Vec<usize> {
        if self.missing.is_empty() {
            return numbers.to_vec();
        }
        let (mut rest, mut not_tried) = (Vec::new(), Vec::new());
        for number in numbers {
            let device = self.device(*number).map(|name| (space, name));
            match device.and_then(|link| self.missing.get(&link)) {
                Some(creation) => not_tried.push((*number, *creation)),
                None => rest.push(*number),
            }
        }
        for (number, creation) in not_tried {
            self.fail(number, Fault::NotTried(creation));
        }
        rest
    }

    fn take(&mut self, numbers: &[usize], outcome: Outcome) {
        for (item, fault) in outcome.failed {
            if let Some(number) = numbers.get(item) {
                self.fail(*number, fault);
            }
        }
        let unknown = outcome.unknown.iter();
        self.unknown
            .extend(unknown.filter_map(|(item, _)| numbers.get(*item)));
        let left = outcome.left.iter();
        self.left.extend(left.filter_map(|item| numbers.get(*item)));
    }

    fn nth(&self, numbers: &[usize], item: usize) -> Option<(usize, &'a Step)> {
        let number = *numbers.get(item)?;
        Some((number, self.steps.get(number)?))
    }

    fn device(&self, number: usize) -> Option<&'a InterfaceName> {
        device_of(&self.steps.get(number)?.change)
    }
}

/// The index of the device that a change is about, if it is about one.
fn index_of(
    name: Option<&InterfaceName>,
    space: usize,
    indexes: &HashMap<LinkName<'_>, Result<u32, Fault>>,
) -> Result<Option<u32>, Fault> {
    let Some(name) = name else {
        return Ok(None);
    };
    match indexes.get(&(space, name)) {
        Some(Ok(index)) => Ok(Some(*index)),
        Some(Err(fault)) => Err(fault.again()),
        None => Err(Fault::errno(libc::ENODEV)),
    }
}
