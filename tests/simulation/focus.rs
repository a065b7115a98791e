//! What happens more often than elsewhere in some histories beside Calico: what must meet by a rare
//! chance, so that a compare matters.

use crate::calico::Calico;
use crate::chance::Chance;
use crate::scene::{KINDS, PROCESSES, Scene};
use crate::state::State;

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Focus {
    Anything,
    /// Blocks that go from node to node, and claims that Calico began on them, or on no block.
    Claims,
    /// Handles that Calico counted and assigned nothing to, which are collected when it assigns.
    Handles,
}

impl Focus {
    pub(crate) fn draw(chance: &mut Chance, with_calico: bool) -> Self {
        match chance.below(4) {
            0 if with_calico => Self::Claims,
            1 if with_calico => Self::Handles,
            _ => Self::Anything,
        }
    }

    /// Makes frequent what this is about, in the order of the scene.
    pub(crate) fn weigh(self, weights: &mut [usize; KINDS]) {
        let frequent: &[(usize, usize)] = match self {
            Self::Anything => &[],
            // To assign many, claim, release a block, remove a node.
            Self::Claims => &[(1, 12), (6, 16), (8, 16), (18, 8)],
            Self::Handles => &[(23, 40)],
        };
        for (kind, weight) in frequent {
            weights[*kind] = weights[*kind].max(*weight);
        }
    }

    /// What Calico does next, if it is about this.
    pub(crate) fn draw_calico(self, chance: &mut Chance, state: &State) -> Option<Calico> {
        if self == Self::Anything || chance.one_in(3) {
            return None;
        }
        let (claimant, block) = chance.any(state.claims.keys())?;
        if self == Self::Handles {
            let node = claimant.clone();
            let has_none = |handle: &&String| {
                let held = state.held.get(*handle);
                held.is_none_or(|held| held.is_empty())
            };
            let leaked = state.handles.keys().filter(has_none);
            return Some(match chance.any(leaked) {
                Some(handle) if chance.one_in(2) => Calico::Assign {
                    node,
                    handle: handle.clone(),
                },
                _ => {
                    let handle = format!("c{}", chance.below(4));
                    Calico::Dying(Box::new(Calico::Assign { node, handle }), 1)
                }
            });
        }
        let node = Scene::node(chance.below(PROCESSES)).to_string();
        let block = block.replace('-', "/").parse().expect("a block");
        Some(Calico::Dying(Box::new(Calico::Claim { node, block }), 1))
    }
}
