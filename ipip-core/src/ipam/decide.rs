//! Which block: pure functions from what was read to what to do.

use std::collections::BTreeSet;

use super::error::IpamError;
use crate::addr::Ipv4Prefix;
use crate::name::NodeName;
use crate::resource::{AffinityState, Block, BlockPrefix, MAX_BLOCK_LEN, MIN_BLOCK_LEN, Pool};

/// What a node's claim on a block is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The block is the node's.
    Ours,
    /// The block is the node's, and the claim does not say so yet: confirm it with the next commit.
    Unconfirmed,
    /// There is no block: make it.
    NoBlock,
    /// The block is somebody else's: the claim is to be removed.
    Stale,
}

/// What the claim of `node` in `state` is worth, where `block` is what stands there; a missing
/// claim has no state.
pub(super) fn standing(
    node: &NodeName,
    state: Option<AffinityState>,
    block: Option<&Block>,
) -> Standing {
    match block {
        None => Standing::NoBlock,
        Some(block) if !is_owned_by(block, node) => Standing::Stale,
        Some(_) if state == Some(AffinityState::Confirmed) => Standing::Ours,
        Some(_) => Standing::Unconfirmed,
    }
}

/// Whether the block names `node` as its owner.
pub(super) fn is_owned_by(block: &Block, node: &NodeName) -> bool {
    block.affinity().and_then(|affinity| affinity.node()) == Some(node)
}

/// The error for a block that is not the node's.
pub(super) fn owned_by_other(block: &Block) -> IpamError {
    IpamError::BlockOwned {
        block: block.prefix(),
        owner: block.affinity().map(ToString::to_string),
    }
}

/// The prefixes of all blocks there are.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeSet<Ipv4Prefix>);

impl FromIterator<Ipv4Prefix> for Taken {
    fn from_iter<I: IntoIterator<Item = Ipv4Prefix>>(prefixes: I) -> Self {
        Self(prefixes.into_iter().collect())
    }
}

impl Taken {
    /// A block that shares addresses with `prefix`, which is equal to it only if none else does.
    ///
    /// Equality is not enough: a pool that was made anew with another block size would find its
    /// old blocks free, and give their addresses a second time (libcalico-go issue 1377).
    pub(super) fn overlapping(&self, prefix: Ipv4Prefix) -> Option<Ipv4Prefix> {
        // No block is larger than MIN_BLOCK_LEN says, so few prefixes can contain this one.
        let around = (MIN_BLOCK_LEN..prefix.len())
            .filter_map(|len| Ipv4Prefix::containing(prefix.network(), len).ok())
            .find(|around| self.0.contains(around));
        around.or_else(|| self.within(prefix).next_back())
    }

    /// The blocks inside `prefix`, in order.
    pub(super) fn within(&self, prefix: Ipv4Prefix) -> impl DoubleEndedIterator<Item = Ipv4Prefix> {
        let last = Ipv4Prefix::host(prefix.last());
        let found = self.0.range(prefix..=last).copied();
        found.filter(move |block| prefix.covers(*block))
    }
}

/// The first free block of `pool` from the index `start` on, around its end to its beginning.
pub(super) fn free_block(pool: &Pool, taken: &Taken, start: u64) -> Option<BlockPrefix> {
    let count = pool.block_count();
    let free = |block: &BlockPrefix| taken.overlapping(block.prefix()).is_none();
    (0..count)
        .filter_map(|step| pool.block((start % count + step) % count))
        .find(free)
}

/// Where `node` begins to look for a free block, so that nodes rarely meet: the FNV-1 hash of its
/// name. Calico seeds a generator with the same hash; any order is right, so we take it as it is.
/// In a pool of single addresses it is `random`, as Calico's is the time: a node takes many of those.
pub(super) fn start_index(node: &NodeName, pool: &Pool, random: u64) -> u64 {
    if pool.block_len() == MAX_BLOCK_LEN {
        return random % pool.block_count();
    }
    u64::from(fnv1(node.as_str())) % pool.block_count()
}

/// FNV-1, 32 bits: https://datatracker.ietf.org/doc/html/draft-eastlake-fnv#section-2
fn fnv1(text: &str) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let step = |hash: u32, octet: u8| hash.wrapping_mul(PRIME) ^ u32::from(octet);
    text.bytes().fold(OFFSET_BASIS, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Affinity, Sequence};
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn pool(cidr: &str, len: u8) -> Pool {
        Pool::try_new("p", cidr.parse().unwrap(), len).unwrap()
    }

    #[test]
    fn fnv1_is_the_published_one() {
        // Vectors of draft-eastlake-fnv, appendix C.
        for (text, hash) in [
            ("", 0x811c_9dc5),
            ("a", 0x050c_5d7e),
            ("foobar", 0x31f0_b262),
        ] {
            assert_eq!(fnv1(text), hash, "{text}");
        }
    }

    #[test]
    fn the_block_says_who_owns_it() {
        let [node, other] = ["node", "other"].map(|name| NodeName::try_new(name).unwrap());
        let owned = |affinity: &str| {
            Block::new("10.0.0.0/26".parse().unwrap(), Sequence(0))
                .claimed_by(Affinity::parse(affinity), UNIX_EPOCH)
        };
        let mut orphan = owned("host:node");
        orphan.orphan();
        let confirmed = Some(AffinityState::Confirmed);
        for (state, block, expected) in [
            (confirmed, Some(owned("host:node")), Standing::Ours),
            (
                Some(AffinityState::Pending),
                Some(owned("host:node")),
                Standing::Unconfirmed,
            ),
            (
                Some(AffinityState::PendingDeletion),
                Some(owned("host:node")),
                Standing::Unconfirmed,
            ),
            (None, Some(owned("host:node")), Standing::Unconfirmed),
            (confirmed, None, Standing::NoBlock),
            (confirmed, Some(owned("host:other")), Standing::Stale),
            (confirmed, Some(owned("virtual:node")), Standing::Stale),
            (confirmed, Some(orphan), Standing::Stale),
        ] {
            assert_eq!(
                standing(&node, state, block.as_ref()),
                expected,
                "{state:?} {block:?}"
            );
        }
        assert_eq!(
            owned_by_other(&owned("host:other")).to_string(),
            "block 10.0.0.0/26 is owned by host:other"
        );
        assert!(!is_owned_by(&owned("host:node"), &other));
    }

    #[test]
    fn the_search_wraps_and_ends() {
        let pool = pool("10.0.0.0/24", 26);
        let mut taken = Vec::new();
        for expected in [
            "10.0.0.192/26",
            "10.0.0.0/26",
            "10.0.0.64/26",
            "10.0.0.128/26",
        ] {
            let free = free_block(&pool, &taken.iter().copied().collect(), 3).unwrap();
            assert_eq!(free.to_string(), expected);
            taken.push(free.prefix());
        }
        assert_eq!(free_block(&pool, &taken.into_iter().collect(), 3), None);
        assert_eq!(
            free_block(&pool, &Taken::default(), u64::MAX)
                .unwrap()
                .to_string(),
            "10.0.0.192/26"
        );
    }

    #[test]
    fn nodes_begin_where_their_name_says() {
        let [a, b] = ["node-a", "node-b"].map(|name| NodeName::try_new(name).unwrap());
        let blocks = pool("10.244.0.0/16", 26);
        assert_eq!(start_index(&a, &blocks, 1), start_index(&a, &blocks, 2));
        assert_ne!(start_index(&a, &blocks, 1), start_index(&b, &blocks, 1));
        let hosts = pool("10.244.0.0/16", 32);
        assert_eq!(start_index(&a, &hosts, 65_539), 3);
    }

    proptest! {
        /// The oracle asks each block whether it overlaps.
        #[test]
        fn overlap_is_found_in_both_directions(
            blocks in prop::collection::vec((0u32..0x4000, 20u8..=32), 0..12),
            probe in (0u32..0x4000, 20u8..=32),
        ) {
            let prefix = |(bits, len): (u32, u8)| Ipv4Prefix::containing((0xffff_c000 | bits).into(), len).unwrap();
            let blocks: Vec<Ipv4Prefix> = blocks.into_iter().map(prefix).collect();
            let probe = prefix(probe);
            let taken: Taken = blocks.iter().copied().collect();
            let found = taken.overlapping(probe);
            prop_assert_eq!(found.is_some(), blocks.iter().any(|block| block.overlaps(probe)));
            prop_assert!(found.is_none_or(|found| found.overlaps(probe) && blocks.contains(&found)));
            let other = blocks.iter().any(|block| block.overlaps(probe) && *block != probe);
            prop_assert!(!other || found != Some(probe), "names the block that is in the way");
            let mut inside: Vec<_> = blocks.iter().copied().filter(|b| probe.covers(*b)).collect();
            inside.sort_unstable();
            inside.dedup();
            prop_assert_eq!(taken.within(probe).collect::<Vec<_>>(), inside);
        }
    }
}
