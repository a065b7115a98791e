//! Many links deleted together.
//!
//! After each deletion request the kernel waits until nothing can still use what was deleted
//! (`rcu_barrier` in `netdev_run_todo`), which takes 16 to 23 ms, however many links it was about. One
//! request deletes all links of a group (`ip link set … group`), and holds the lock of all network
//! configuration meanwhile, 0.4 ms for each; so links are put into groups of a few dozen, and what
//! else wants the lock is served in between.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::Space;
use super::course::Course;
use super::error::Fault;
use super::exchange::Outcome;
use super::message::link::LinkFacts;
use super::message::request::{self, LinkChange};
use crate::name::InterfaceName;

/// Fewer are deleted one by one.
const MANY: usize = 3;

/// How many go by one request: a quarter of the stall that is tolerable.
const TOGETHER: usize = 24;

/// A link that is to be deleted.
#[derive(Debug, Clone, Copy)]
struct Doomed {
    /// Its place in the list of names.
    item: usize,
    index: u32,
    /// The group that it is in, unless it is deleted.
    was_in: u32,
}

impl Space {
    /// Deletes the links of these names, tells of each group, and says of which it failed.
    pub(super) fn delete_links(
        &mut self,
        names: &[&InterfaceName],
        course: &mut Course,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let each: Vec<usize> = (0..names.len()).collect();
        let left = if names.len() < MANY {
            each
        } else {
            // Where this does not work, what does work says what is wrong.
            self.delete_in_groups(names, course, &mut outcome)
                .unwrap_or(each)
        };
        for item in left {
            let Some(name) = names.get(item) else {
                continue;
            };
            match self.delete_link(name) {
                Ok(()) => {}
                Err(Fault::AnswerLost(reason)) => outcome.unknown.push((item, reason)),
                Err(fault) => outcome.failed.push((item, fault)),
            }
            course.count(1);
        }
        outcome
    }

    /// Deletes what can be deleted in groups; the places of the names that are left.
    fn delete_in_groups(
        &mut self,
        names: &[&InterfaceName],
        course: &mut Course,
        outcome: &mut Outcome,
    ) -> Result<Vec<usize>, Fault> {
        let links = self.socket.link_facts()?.values;
        let (doomed, mut left) = find(names, &links);
        let used: BTreeSet<u32> = links.iter().map(|link| link.group).collect();
        let groups: Vec<(u32, &[Doomed])> = unused(used).zip(doomed.chunks(TOGETHER)).collect();
        let moves = groups.iter().flat_map(|(group, doomed)| {
            let change = LinkChange::Group(*group);
            let request =
                move |one: &Doomed| Some((request::set_link(one.index, &change).into(), 0));
            doomed.iter().map(request)
        });
        drop(self.socket.change_all(moves, &mut Course::default()));
        let members = members(&self.socket.link_facts()?.values);
        let mut asked = Vec::new();
        for (group, doomed) in groups {
            // Nobody else's link may be in it, and each of ours must.
            let ours: BTreeSet<u32> = doomed.iter().map(|one| one.index).collect();
            let deleted = members.get(&group) == Some(&ours)
                && self.socket.change(request::delete_group(group), 0).is_ok();
            if deleted {
                asked.push((group, doomed));
                course.count(doomed.len());
            } else {
                self.put_back(doomed);
                left.extend(doomed.iter().map(|one| one.item));
            }
        }
        self.check_deleted(&asked, outcome)?;
        Ok(left)
    }

    /// An acknowledgement proves nothing, see [`Space::delete_link`].
    fn check_deleted(
        &mut self,
        asked: &[(u32, &[Doomed])],
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let members = members(&self.socket.link_facts()?.values);
        for (group, doomed) in asked {
            let Some(kept) = members.get(group) else {
                continue;
            };
            let kept: Vec<Doomed> = doomed
                .iter()
                .filter(|one| kept.contains(&one.index))
                .copied()
                .collect();
            self.put_back(&kept);
            let failed = kept.iter().map(|one| (one.item, Fault::NotDeleted));
            outcome.failed.extend(failed);
        }
        Ok(())
    }

    /// Puts links back into the groups where they were.
    fn put_back(&mut self, links: &[Doomed]) {
        let request = |one: &Doomed| {
            let change = LinkChange::Group(one.was_in);
            Some((request::set_link(one.index, &change).into(), 0))
        };
        // One that is gone is as good as put back.
        let requests = links.iter().map(request);
        drop(self.socket.change_all(requests, &mut Course::default()));
    }
}

/// The links of these names, and the places of the names that no link has.
fn find(names: &[&InterfaceName], links: &[LinkFacts]) -> (Vec<Doomed>, Vec<usize>) {
    let by_name: BTreeMap<_, _> = links
        .iter()
        .map(|link| (link.name.as_ref(), link))
        .collect();
    let (mut doomed, mut missing) = (Vec::new(), Vec::new());
    for (item, name) in names.iter().enumerate() {
        match by_name.get(&Some(*name)) {
            Some(link) => doomed.push(Doomed {
                item,
                index: link.index,
                was_in: link.group,
            }),
            None => missing.push(item),
        }
    }
    (doomed, missing)
}

/// The indexes of the links in each group.
fn members(links: &[LinkFacts]) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut members = BTreeMap::<_, BTreeSet<u32>>::new();
    for link in links {
        members.entry(link.group).or_default().insert(link.index);
    }
    members
}

/// Groups that no link is in, by chance, so that two who do this at once do not meet. Whether they met
/// is checked.
fn unused(mut used: BTreeSet<u32>) -> impl Iterator<Item = u32> {
    let chance = RandomState::new();
    // People choose small numbers.
    let group =
        move |count: u64| u32::try_from(chance.hash_one(count) >> 32).unwrap_or_default() | 1 << 31;
    (0..).map(group).filter(move |group| used.insert(*group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_a_link_is_in_is_never_chosen() {
        let groups: BTreeSet<u32> = unused(BTreeSet::from([0])).take(1000).collect();
        assert_eq!(groups.len(), 1000, "no group twice");
        assert!(groups.iter().all(|group| *group >= 1 << 31));
    }
}
