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

/// The order in which a node looks at the blocks of a pool: each once, from a place that its name
/// says, in strides that its name says too, so that nodes rarely meet and one that is full of blocks
/// does not send all who begin there into the next ones. Calico's order is another; any is right.
///
/// In a pool of single addresses the start is random, as Calico's is the time: a node takes many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    start: u64,
    /// Odd, and the number of blocks is a power of two: so it leads to every block.
    stride: u64,
    count: u64,
}

impl Order {
    pub(super) fn of(node: &NodeName, pool: &Pool, random: impl Fn() -> u64) -> Self {
        let hash = u64::from(fnv1(node.as_str()));
        let single = pool.block_len() == MAX_BLOCK_LEN;
        // 2⁶⁴ divided by the golden ratio, as Fibonacci hashing does: the low bits are in the start.
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Self {
            start: if single { random() } else { hash },
            stride: mixed | 1,
            count: pool.block_count(),
        }
    }

    /// How many blocks there are.
    pub(super) fn count(self) -> u64 {
        self.count
    }

    /// The index in its pool of the block that comes after `number` others.
    pub(super) fn index(self, number: u64) -> u64 {
        let index = number.wrapping_mul(self.stride).wrapping_add(self.start);
        index & (self.count - 1)
    }
}

/// The first free block of `pool` from place `from` of `order` on that is `wanted`, and its place.
pub(super) fn free_block(
    pool: &Pool,
    taken: &Taken,
    order: Order,
    from: u64,
    wanted: impl Fn(BlockPrefix) -> bool,
) -> Option<(u64, BlockPrefix)> {
    (from..order.count()).find_map(|number| {
        let block = pool.block(order.index(number))?;
        let free = taken.overlapping(block.prefix()).is_none() && wanted(block);
        free.then_some((number, block))
    })
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
    fn the_search_finds_every_block_once_and_ends() {
        let node = NodeName::try_new("node-a").unwrap();
        for (cidr, len) in [
            ("10.0.0.0/24", 26),
            ("10.0.0.0/20", 20),
            ("10.0.0.0/18", 32),
        ] {
            let pool = pool(cidr, len);
            let order = Order::of(&node, &pool, || u64::MAX);
            let mut taken = BTreeSet::new();
            let mut from = 0;
            let every = |_| true;
            while let Some((number, block)) =
                free_block(&pool, &Taken(taken.clone()), order, from, every)
            {
                assert!(taken.insert(block.prefix()));
                from = number;
                if taken.len() > 64 {
                    taken = pool.blocks().map(BlockPrefix::prefix).collect();
                }
            }
            assert_eq!(taken.len() as u64, pool.block_count());
        }
        let indexes = |pool: &Pool| -> BTreeSet<u64> {
            let order = Order::of(&node, pool, || 7);
            (0..order.count())
                .map(|number| order.index(number))
                .collect()
        };
        let pool = pool("10.0.0.0/16", 26);
        assert_eq!(indexes(&pool), (0..1024).collect());
    }

    #[test]
    fn nodes_begin_where_their_name_says() {
        let [a, b] = ["node-a", "node-b"].map(|name| NodeName::try_new(name).unwrap());
        let first =
            |node: &NodeName, pool: &Pool, random: u64| Order::of(node, pool, || random).index(0);
        let blocks = pool("10.244.0.0/16", 26);
        assert_eq!(first(&a, &blocks, 1), first(&a, &blocks, 2));
        assert_ne!(first(&a, &blocks, 1), first(&b, &blocks, 1));
        let hosts = pool("10.244.0.0/16", 32);
        assert_eq!(first(&a, &hosts, 65_539), 3);
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
