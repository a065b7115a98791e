//! The rules for answers: what was answered is what was done, no more, no less.

use std::net::Ipv4Addr;

use crate::operation::{Answer, Operation};
use crate::oracle::{Effect, Oracle};

/// An operation that has ended, and what it did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done<'a> {
    pub(crate) node: &'a str,
    pub(crate) operation: &'a Operation,
    pub(crate) effect: &'a Effect,
    /// Whether a store call of it failed.
    pub(crate) troubled: bool,
}

impl Effect {
    pub(crate) fn add(&mut self, more: Self) {
        self.gained.extend(more.gained);
        self.lost.extend(more.lost);
        self.deleted += more.deleted;
    }
}

/// Judges `answer` by what was done.
pub(crate) fn judge_answer(
    oracle: &Oracle,
    done: &Done<'_>,
    answer: &Answer,
) -> Result<(), String> {
    if matches!(done.operation, Operation::Calico(_)) {
        return Ok(());
    }
    let wrong = |what: &str| Err(format!("{what}: {done:?}, answered {answer:?}"));
    let wanted = done.operation.wants(done.node);
    let most = wanted.as_ref().map_or(0, |(_, count)| *count);
    // What it got first is not recognised once a part of it was released by others; and whoever reads
    // late after a lost reply may not see what it did.
    let gained = &done.effect.gained;
    let stands = |stamp: &&(Ipv4Addr, u64)| {
        let mut together = gained.iter().filter(|one| one.1 == stamp.1);
        together.all(|one| oracle.state.stands(*one))
    };
    let standing = gained.iter().filter(stands).count();
    let taken = if done.troubled {
        standing
    } else {
        done.effect.gained.len()
    };
    // Where the record of the handle was lost, nobody finds what it has.
    let mut owner = wanted.iter().map(|(handle, _)| handle);
    let is_lost = owner.any(|handle| oracle.was_lost(handle.as_str()));
    if taken > most && (oracle.ordered || !done.troubled) && !is_lost {
        return wrong("more was taken than was asked for");
    }
    for (addr, sequence) in &answer.assigned {
        let stamp = (*addr, sequence.0);
        // Two that assign to one handle on one node at once may take the other's for their own.
        let by_other = done.troubled
            && wanted
                .as_ref()
                .is_some_and(|(handle, _)| oracle.was_given(stamp, handle.as_str(), done.node));
        if !done.effect.gained.contains(&stamp) && !by_other {
            return wrong("an address was answered that was not taken");
        }
    }
    if done.troubled {
        return Ok(());
    }
    let has_ended = answer.error.is_none() && !answer.short;
    match done.operation {
        // These do not tell what they assigned or released.
        Operation::EnsureTunnel | Operation::DeletePool(_) => {}
        Operation::RemoveNode(_) | Operation::Collect(_) if !has_ended => {}
        _ => {
            let lost: Vec<_> = done.effect.lost.iter().map(|(addr, _)| *addr).collect();
            let assigned = answer.assigned.iter().map(|(addr, s)| (*addr, s.0));
            let same = same(assigned.collect(), &done.effect.gained)
                && same(answer.released.clone(), &lost);
            if !same {
                return wrong("not what was done was answered");
            }
            if answer.assigned.len() < most && has_ended {
                return wrong("nothing was said of what is missing");
            }
        }
    }
    let deletes = matches!(
        done.operation,
        Operation::DeletePool(_) | Operation::Unreserve(_)
    );
    if deletes && has_ended && done.effect.deleted == 0 {
        return wrong("nothing was deleted");
    }
    Ok(())
}

fn same<T: Ord + Clone>(mut answered: Vec<T>, done: &[T]) -> bool {
    let mut done = done.to_vec();
    answered.sort_unstable();
    done.sort_unstable();
    answered == done
}
