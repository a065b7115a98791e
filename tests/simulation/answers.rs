//! The rules for answers: what was answered is what was done, no more, no less.

use std::net::Ipv4Addr;

use ipip_core::name::HandleId;

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
    let owners = done.operation.owners(done.node);
    let most = done.operation.count();
    // What it got first is not recognised once a part of it was released by others; and whoever reads
    // late after a lost reply may not see what it did.
    let gained = &done.effect.gained;
    let stands = |stamp: &&(Ipv4Addr, u64)| {
        let mut together = gained.iter().filter(|one| one.1 == stamp.1);
        together.all(|one| oracle.state.stands(*one))
    };
    let standing = gained.iter().filter(stands).count();
    let is_each = matches!(done.operation, Operation::AssignEach(_));
    // What two got at once for one handle both give back, unless the store fails.
    let taken = if done.troubled || is_each {
        standing
    } else {
        done.effect.gained.len()
    };
    // Where the record of the handle was lost, nobody finds what it has.
    let is_lost = owners.iter().any(|of| oracle.was_lost(of.as_str()));
    let may_more = is_lost || is_each && answer.gave_up();
    if taken > most && (oracle.ordered || !done.troubled && !is_each) && !may_more {
        return wrong("more was taken than was asked for");
    }
    for (addr, sequence) in &answer.assigned {
        let stamp = (*addr, sequence.0);
        // Two that assign to one handle on one node at once may take the other's for their own.
        let given = |of: &HandleId| oracle.was_given(stamp, of.as_str(), Some(done.node));
        let by_other = done.troubled && owners.iter().any(given);
        if !done.effect.gained.contains(&stamp) && !by_other {
            return wrong("an address was answered that was not taken");
        }
    }
    for (addr, sequence) in &answer.held {
        let given = |of: &HandleId| oracle.was_given((*addr, sequence.0), of.as_str(), None);
        if !owners.iter().any(given) {
            return wrong("an address was answered that its owner never had");
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
            let same = if is_each {
                // What it got and others released, it got anew. Who reads late may take what it got
                // for what it had; who gives up may not have given it back.
                let answered: Vec<_> = assigned.collect();
                let is_told = |one: &(Ipv4Addr, u64)| answered.contains(one);
                let mut left = gained.iter().filter(|one| oracle.state.stands(**one));
                left.all(is_told) || !oracle.ordered || answer.gave_up()
            } else {
                same(assigned.collect(), gained) && same(answer.released.clone(), &lost)
            };
            if !same {
                return wrong("not what was done was answered");
            }
            if answer.assigned.len() + answer.held.len() < most && has_ended {
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
