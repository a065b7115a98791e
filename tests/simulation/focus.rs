//! What happens more often than elsewhere in some histories: what must meet by a rare chance, so
//! that a compare matters.

use ipip_core::name::HandleId;
use ipnetwork::Ipv4Network;

use crate::calico::Calico;
use crate::chance::Chance;
use crate::operation::{Operation, PoolPlan};
use crate::record::{Block, Range};
use crate::scene::{HANDLES, KINDS, PROCESSES, Present, Scene};
use crate::state::State;

/// What a history is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Focus {
    Anything,
    /// Blocks that go from node to node, and claims that Calico, if it is there, began on them, or on
    /// no block.
    Claims,
    /// Handles that Calico counted and assigned nothing to, which are collected when it assigns.
    Handles,
    /// Pools that select nodes, and then do not.
    Selection,
    /// Pools that come and go.
    Pools,
    /// The configuration, changed by several at once.
    Config,
    /// One address for each of several owners.
    Each,
    /// Records of nodes, and the addresses of tunnel devices.
    Tunnels,
}

impl Focus {
    pub(crate) fn draw(chance: &mut Chance, with_calico: bool) -> Self {
        let others = [
            Self::Selection,
            Self::Pools,
            Self::Config,
            Self::Each,
            Self::Tunnels,
        ];
        match chance.below(6) {
            0 => Self::Claims,
            1 if with_calico => Self::Claims,
            2 if with_calico => Self::Handles,
            1..=4 => *chance.pick(&others),
            _ => Self::Anything,
        }
    }

    /// Makes frequent what this is about, in the order of the scene.
    pub(crate) fn weigh(self, weights: &mut [usize; KINDS]) {
        let frequent: &[(usize, usize)] = match self {
            Self::Anything => &[],
            // To assign many, claim, release a block, remove a node.
            Self::Claims => &[(1, 32), (6, 16), (8, 24), (19, 8)],
            // To collect.
            Self::Handles => &[(24, 40)],
            // To assign any, many and by name, release a handle, claim, update a pool.
            Self::Selection => &[(0, 16), (1, 12), (2, 24), (5, 12), (6, 16), (11, 12)],
            // To claim, create, enable and delete a pool.
            Self::Pools => &[(6, 12), (10, 16), (13, 8), (14, 16)],
            // To set and to change it.
            Self::Config => &[(15, 16), (25, 24)],
            // To release a handle, to assign one for each.
            Self::Each => &[(5, 12), (9, 40)],
            // To put a node, remove it, ensure and release its tunnel's address.
            Self::Tunnels => &[(18, 24), (19, 8), (20, 24), (21, 24)],
        };
        for (kind, weight) in frequent {
            weights[*kind] = weights[*kind].max(*weight);
        }
    }

    /// Whether it is about who is served by one pool, and not by another.
    pub(crate) fn needs_two_pools(self) -> bool {
        self == Self::Selection
    }

    /// What a process does next, if it is about this; `block` is any of the first pool, `pool`.
    pub(crate) fn draw_own(
        self,
        chance: &mut Chance,
        present: Present<'_>,
        (pool, block): (PoolPlan, Ipv4Network),
    ) -> Option<Operation> {
        if chance.one_in(3) {
            return None;
        }
        let handle = Scene::handle(chance.below(HANDLES));
        match self {
            Self::Claims => Self::draw_claimant(chance, present, (handle, block)),
            Self::Selection => {
                let stored = present.state.pools.get(pool.name)?;
                if stored.selects(None) {
                    return Some(Operation::UpdatePool(pool, false, &[]));
                }
                let cidr = Range::of(&stored.spec.cidr);
                let blocks = present.state.blocks.values();
                let empty = blocks.filter(|block| cidr.covers(block.range()) && !block.is_held());
                Some(match chance.any(empty) {
                    // It is given up, because the pool does not select the node.
                    Some(block) if block.node() == Some(present.node) => {
                        Operation::AssignAny { handle }
                    }
                    Some(block) => Operation::Assign {
                        handle,
                        addr: block.range().addr(chance.below(block.range().size())),
                    },
                    None => Operation::Claim(block),
                })
            }
            _ => None,
        }
    }

    /// To use a claim on another's block, which is forgotten, or to give up a block that another claims;
    /// else to claim `block`, to give an empty one up, or to look at all that the node has.
    fn draw_claimant(
        chance: &mut Chance,
        present: Present<'_>,
        (handle, any): (HandleId, Ipv4Network),
    ) -> Option<Operation> {
        let Present { node, state, .. } = present;
        let owner = |block: &String| state.blocks.get(block).and_then(Block::node);
        let stale = state.claims.keys().filter(|(claimant, block)| {
            let owner = owner(block);
            owner != Some(claimant) && (claimant == node || owner == Some(node))
        });
        let all = Operation::AssignMany {
            handle,
            count: 9,
            pools: Vec::new(),
            max_blocks: None,
        };
        let blocks = state.blocks.values();
        let empty = blocks.filter(|block| block.node() == Some(node) && !block.is_held());
        match chance.any(stale) {
            Some((claimant, _)) if claimant == node => Some(all),
            Some((_, block)) => Some(Operation::ReleaseBlock(
                block.replace('-', "/").parse().ok()?,
            )),
            None => match (chance.below(3), chance.any(empty)) {
                (0, _) => Some(Operation::Claim(any)),
                (1, Some(block)) => Some(Operation::ReleaseBlock(block.cidr.parse().ok()?)),
                _ => Some(all),
            },
        }
    }

    /// What Calico does next, if it is about this; `block` is any.
    pub(crate) fn draw_calico(
        self,
        chance: &mut Chance,
        state: &State,
        block: Ipv4Network,
    ) -> Option<Calico> {
        match self {
            Self::Claims if !chance.one_in(4) => Some(Self::begin_claim(chance, state, block)),
            Self::Handles if !chance.one_in(3) => Self::count(chance, state),
            _ => None,
        }
    }

    /// A claim that is as a rule left pending, on somebody's block or on `block`; or that such a one
    /// is completed, once the block is given up.
    fn begin_claim(chance: &mut Chance, state: &State, block: Ipv4Network) -> Calico {
        let owner = |block: &String| state.blocks.get(block).map(Block::node);
        let is_empty = |block| state.blocks.get(block).is_none_or(|block| !block.is_held());
        let stale = state.claims.keys().filter(|(claimant, block)| {
            owner(block) != Some(Some(claimant.as_str())) && is_empty(block)
        });
        if let Some((claimant, name)) = chance.any(stale)
            && !chance.one_in(3)
            && let Ok(block) = name.replace('-', "/").parse()
        {
            let claimant = claimant.clone();
            return match owner(name).flatten().map(str::to_owned) {
                Some(node) => Calico::ReleaseBlock { node, block },
                None => Calico::Claim {
                    node: claimant,
                    block,
                },
            };
        }
        let node = Scene::node(chance.below(PROCESSES)).to_string();
        let claimed = match chance.one_in(2) {
            true => chance.any(state.claims.keys()),
            false => None,
        };
        let known = claimed.and_then(|(_, block)| block.replace('-', "/").parse().ok());
        let block = known.unwrap_or(block);
        match chance.below(3) {
            0 => Calico::Claim { node, block },
            1 => Calico::Dying(Box::new(Calico::Claim { node, block }), 1),
            // Marked, and used before it is given up.
            _ => {
                let node = claimed.map_or(node, |(owner, _)| owner.clone());
                Calico::Dying(Box::new(Calico::ReleaseBlock { node, block }), 1)
            }
        }
    }

    /// A handle that is counted and has nothing, or an assignment to one.
    fn count(chance: &mut Chance, state: &State) -> Option<Calico> {
        let (claimant, _) = chance.any(state.claims.keys())?;
        let node = claimant.clone();
        let has_none = |handle: &&String| {
            let held = state.held.get(*handle);
            held.is_none_or(|held| held.is_empty())
        };
        let leaked = state.handles.keys().filter(has_none);
        Some(match chance.any(leaked) {
            Some(handle) if chance.one_in(2) => Calico::Assign {
                node,
                handle: handle.clone(),
            },
            _ => {
                let handle = format!("c{}", chance.below(4));
                Calico::Dying(Box::new(Calico::Assign { node, handle }), 1)
            }
        })
    }
}
