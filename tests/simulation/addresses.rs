//! The rules for the addresses of one block: who may take and release which, and in which order.

use std::collections::BTreeSet;

use crate::operation::Operation;
use crate::oracle::{Effect, Permit};
use crate::record::{Block, Range, Standing, Verdict, check};
use crate::state::State;

/// What became of the ordinals of a block.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    pub(crate) taken: BTreeSet<usize>,
    freed: BTreeSet<usize>,
    /// Those whose cool-down ended, in order; they may have been taken too.
    cooled: Vec<usize>,
}

impl Moves {
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

/// Judges each address by what it was and is.
pub(crate) fn judge_addresses(
    state: &State,
    old: &Block,
    new: &Block,
    permit: &Permit<'_>,
    effect: &mut Effect,
) -> Verdict<Moves> {
    let mut moves = Moves::default();
    let range = old.range();
    let cooldowns = || {
        state
            .config
            .since(permit.since)
            .map(|config| config.cooldown)
    };
    for ordinal in 0..range.size() {
        let addr = range.addr(ordinal);
        let (was, is) = (old.standing(ordinal), new.standing(ordinal));
        if was == is {
            continue;
        }
        match was {
            Standing::Free => {}
            Standing::Cooling(at) => {
                check(
                    cooldowns().any(|cooldown| at + cooldown <= permit.now),
                    || format!("{addr} was released at {at}, now it is {}", permit.now),
                )?;
                moves.cooled.push(ordinal);
            }
            Standing::Held(who, stamp) => {
                let may = permit.operation.releases(permit.node, addr, who, stamp);
                check(may, || format!("{addr} of {who:?} was released"))?;
                effect.lost.push((addr, stamp));
            }
        }
        match (was, is) {
            (Standing::Held(..), Standing::Free) => {
                check(cooldowns().any(|cooldown| cooldown == 0), || {
                    format!("{addr} did not cool down")
                })?;
                moves.freed.insert(ordinal);
            }
            (Standing::Held(..), Standing::Cooling(at)) => {
                let right = at <= permit.now && at + 1 >= permit.began;
                check(right && cooldowns().any(|cooldown| cooldown > 0), || {
                    format!("{addr} cools down since {at}")
                })?;
            }
            (Standing::Free | Standing::Cooling(_), Standing::Held(who, stamp)) => {
                let mut owners = permit.operation.owners(permit.node).into_iter();
                let node = who.secondary.as_ref().and_then(|all| all.get("node"));
                let right = owners.any(|of| who.handle_id.as_deref() == Some(of.as_str()))
                    && node.map(String::as_str) == Some(permit.node);
                check(right, || format!("{addr} was assigned to {who:?}"))?;
                // Each of several owners is one change.
                let is_each = matches!(permit.operation, Operation::AssignEach(_));
                let right = stamp == old.sequence
                    || is_each && (old.sequence..new.sequence).contains(&stamp);
                check(right, || format!("{addr} is stamped {stamp}"))?;
                moves.taken.insert(ordinal);
                effect.gained.push((addr, stamp));
            }
            (Standing::Cooling(_), Standing::Free) => {}
            (was, is) => return Err(format!("{addr} was {was:?} and is {is:?}")),
        }
    }
    Ok(moves)
}

/// First in, first out: what is taken comes from the head, what is released goes to the tail.
pub(crate) fn check_queue(
    state: &State,
    old: &Block,
    new: &Block,
    moves: &Moves,
    permit: &Permit<'_>,
) -> Verdict<()> {
    let mut queue = old.unallocated.clone();
    queue.extend(&moves.cooled);
    if !matches!(permit.operation, Operation::Assign { .. }) {
        let range = old.range();
        let mut heads = state.reserved.since(permit.since).map(|reserved| {
            let may = |ordinal: &&usize| !is_reserved(reserved, range, **ordinal);
            queue
                .iter()
                .filter(may)
                .take(moves.taken.len())
                .copied()
                .collect::<BTreeSet<_>>()
        });
        check(heads.any(|head| head == moves.taken), || {
            format!("{}: {:?} were taken of {queue:?}", old.cidr, moves.taken)
        })?;
    }
    queue.retain(|ordinal| !moves.taken.contains(ordinal));
    let (kept, tail) = new
        .unallocated
        .split_at(queue.len().min(new.unallocated.len()));
    check(kept == queue, || {
        format!(
            "{}: the queue {:?} became {:?}",
            old.cidr, old.unallocated, new.unallocated
        )
    })?;
    let joined: BTreeSet<usize> = tail.iter().copied().collect();
    check(joined == moves.freed, || {
        format!("{}: {tail:?} joined the queue", old.cidr)
    })
}

fn is_reserved(reserved: &[Range], block: Range, ordinal: usize) -> bool {
    let addr = block.addr(ordinal);
    reserved.iter().any(|range| range.contains(addr))
}
