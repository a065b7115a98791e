//! Who may send us what: which node holds which prefix, longest prefix first.
//!
//! One value serves both directions of a data path. Outbound, the inner destination chooses the
//! node ([`Peers::node_of`]). Inbound, a packet is accepted only if its outer source is a known node
//! and its inner source lies in that node's prefixes ([`Peers::check`]).

use std::collections::HashMap;
use std::iter;
use std::net::Ipv4Addr;

use crate::addr::{Ipv4Prefix, NodeAddr, is_host};

/// The prefixes of every other node: its blocks, and as /32s the addresses it borrowed.
///
/// A change costs the same whatever the number of prefixes, and a search one look for each length that
/// is present: two, where there are blocks and borrowed addresses.
///
/// ```
/// use ipip_core::{addr::NodeAddr, peers::Peers};
/// let (a, b) = (NodeAddr([172, 18, 0, 3].into()), NodeAddr([172, 18, 0, 2].into()));
/// let mut peers = Peers::from_iter([("10.244.244.64/26".parse()?, b)]);
/// assert!(peers.check(b, [10, 244, 244, 73].into()).is_ok());
/// peers.insert("10.244.244.73/32".parse()?, a); // borrowed from that block
/// assert!(peers.check(b, [10, 244, 244, 73].into()).is_err());
/// # Ok::<(), ipip_core::addr::PrefixError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    prefixes: HashMap<Ipv4Prefix, NodeAddr>,
    /// How many prefixes each node has; a node with none is not known.
    nodes: HashMap<NodeAddr, usize>,
    /// How many prefixes there are of each length, 0 to 32 bits.
    counts: [usize; 33],
    /// Bit `len` is set while a prefix of that length is present, so a search skips the others.
    lengths: u64,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            prefixes: HashMap::new(),
            nodes: HashMap::new(),
            counts: [0; 33],
            lengths: 0,
        }
    }
}

/// Why a packet from the underlay is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No prefix belongs to the outer source.
    #[error("outer source {outer_source} is not a known node")]
    UnknownNode {
        /// The outer source address.
        outer_source: NodeAddr,
    },
    /// No host can have the inner source, whatever the prefixes are.
    #[error("inner source {inner_source} is no host's address, allowed are unicast addresses")]
    NoHost {
        /// The outer source address.
        outer_source: NodeAddr,
        /// The inner source address.
        inner_source: Ipv4Addr,
    },
    /// The inner source belongs to another node, or to none.
    #[error("inner source {inner_source} is not in a prefix of node {outer_source}")]
    ForeignSource {
        /// The outer source address.
        outer_source: NodeAddr,
        /// The inner source address.
        inner_source: Ipv4Addr,
    },
}

impl PeerError {
    /// The error's number, the same in every version and language.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::UnknownNode { .. } => 229,
            Self::ForeignSource { .. } => 230,
            Self::NoHost { .. } => 231,
        }
    }
}

impl Peers {
    /// No peers: every packet is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `prefix` is behind `node`; returns the node that held it before.
    pub fn insert(&mut self, prefix: Ipv4Prefix, node: NodeAddr) -> Option<NodeAddr> {
        let before = self.prefixes.insert(prefix, node);
        match before {
            Some(before) => self.forget(before),
            None => {
                self.counts[usize::from(prefix.len())] += 1;
                self.lengths |= 1 << prefix.len();
            }
        }
        *self.nodes.entry(node).or_default() += 1;
        before
    }

    /// Forgets `prefix`; returns the node that held it.
    pub fn remove(&mut self, prefix: Ipv4Prefix) -> Option<NodeAddr> {
        let node = self.prefixes.remove(&prefix)?;
        self.forget(node);
        let count = &mut self.counts[usize::from(prefix.len())];
        *count -= 1;
        if *count == 0 {
            self.lengths &= !(1 << prefix.len());
        }
        Some(node)
    }

    /// The node behind `addr`: the one with the longest prefix that contains it.
    #[must_use]
    pub fn node_of(&self, addr: Ipv4Addr) -> Option<NodeAddr> {
        let mut left = self.lengths;
        let mut longest_first = iter::from_fn(|| {
            let len = left.checked_ilog2()?;
            left &= !(1 << len);
            u8::try_from(len).ok()
        });
        longest_first.find_map(|len| {
            let prefix = Ipv4Prefix::containing(addr, len).ok()?;
            self.prefixes.get(&prefix).copied()
        })
    }

    /// Each prefix with the node behind it, in no order: what a data path that looks for itself is
    /// filled with.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Prefix, NodeAddr)> {
        self.prefixes.iter().map(|(prefix, node)| (*prefix, *node))
    }

    /// Accepts a packet by its outer and inner source.
    ///
    /// # Errors
    /// [`PeerError::UnknownNode`] if the outer source has no prefix, [`PeerError::NoHost`] if the inner
    /// source is [no host's address](is_host), [`PeerError::ForeignSource`] if it is not behind that node.
    pub fn check(&self, outer_source: NodeAddr, inner_source: Ipv4Addr) -> Result<(), PeerError> {
        if !self.knows(outer_source) {
            return Err(PeerError::UnknownNode { outer_source });
        }
        if !is_host(inner_source) {
            return Err(PeerError::NoHost {
                outer_source,
                inner_source,
            });
        }
        if self.node_of(inner_source) != Some(outer_source) {
            return Err(PeerError::ForeignSource {
                outer_source,
                inner_source,
            });
        }
        Ok(())
    }

    /// Whether any prefix is behind `node`.
    pub(crate) fn knows(&self, node: NodeAddr) -> bool {
        self.nodes.contains_key(&node)
    }

    /// How many prefixes are recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether no prefix is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    fn forget(&mut self, node: NodeAddr) {
        if let Some(count) = self.nodes.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.nodes.remove(&node);
            }
        }
    }
}

impl FromIterator<(Ipv4Prefix, NodeAddr)> for Peers {
    fn from_iter<I: IntoIterator<Item = (Ipv4Prefix, NodeAddr)>>(pairs: I) -> Self {
        let mut peers = Self::new();
        for (prefix, node) in pairs {
            peers.insert(prefix, node);
        }
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: NodeAddr = NodeAddr(Ipv4Addr::new(172, 18, 0, 3));
    const B: NodeAddr = NodeAddr(Ipv4Addr::new(172, 18, 0, 2));

    fn prefix(text: &str) -> Ipv4Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_borrowed_address_beats_the_block() {
        let peers = Peers::from_iter([
            (prefix("10.244.79.0/26"), A),
            (prefix("10.244.79.20/32"), B),
        ]);
        assert_eq!(peers.node_of(Ipv4Addr::new(10, 244, 79, 20)), Some(B));
        assert_eq!(peers.node_of(Ipv4Addr::new(10, 244, 79, 21)), Some(A));
        assert_eq!(peers.node_of(Ipv4Addr::new(10, 244, 80, 1)), None);
        assert!(peers.check(B, Ipv4Addr::new(10, 244, 79, 20)).is_ok());
        assert!(matches!(
            peers.check(A, Ipv4Addr::new(10, 244, 79, 20)),
            Err(PeerError::ForeignSource { .. })
        ));
    }

    #[test]
    fn a_node_is_unknown_once_its_last_prefix_is_gone() {
        let mut peers =
            Peers::from_iter([(prefix("10.244.79.0/26"), A), (prefix("10.244.80.0/26"), A)]);
        assert_eq!(peers.insert(prefix("10.244.79.0/26"), B), Some(A));
        assert_eq!(peers.remove(prefix("10.244.80.0/26")), Some(A));
        let error = peers.check(A, Ipv4Addr::new(10, 244, 79, 1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "outer source 172.18.0.3 is not a known node"
        );
        assert_eq!(peers.remove(prefix("10.244.80.0/26")), None);
    }

    #[test]
    fn nobody_sends_from_an_address_that_no_host_has() {
        let peers = Peers::from_iter([(Ipv4Prefix::ALL, A)]);
        for (source, is_host) in [
            ([0, 0, 0, 0], false),
            ([0, 0, 0, 1], true),
            ([127, 0, 0, 1], false),
            ([128, 0, 0, 1], true),
            ([223, 255, 255, 255], true),
            ([224, 0, 0, 5], false),
            ([240, 0, 0, 1], false),
            ([255; 4], false),
        ] {
            let inner_source = source.into();
            let refused = Err(PeerError::NoHost {
                outer_source: A,
                inner_source,
            });
            let expected = if is_host { Ok(()) } else { refused };
            assert_eq!(peers.check(A, inner_source), expected, "{inner_source}");
        }
    }

    proptest! {
        /// The oracle is a list walked in full.
        #[test]
        fn the_longest_prefix_wins(
            entries in prop::collection::vec((any::<u32>(), 0u8..=32, 0u8..4), 0..24),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            probes in prop::collection::vec(any::<u32>(), 1..16),
        ) {
            let mut model: Vec<(Ipv4Prefix, NodeAddr)> = Vec::new();
            let mut peers = Peers::new();
            // Few distinct bits, so that prefixes nest and repeat.
            let spread = |bits: u32| Ipv4Addr::from_bits(bits & 0xc000_0301);
            for (bits, len, node) in entries {
                let (prefix, node) = (Ipv4Prefix::containing(spread(bits), len).unwrap(), NodeAddr([node; 4].into()));
                model.retain(|(p, _)| *p != prefix);
                model.push((prefix, node));
                peers.insert(prefix, node);
            }
            for index in removed {
                if !model.is_empty() {
                    let (prefix, node) = model.remove(index.index(model.len()));
                    prop_assert_eq!(peers.remove(prefix), Some(node));
                }
            }
            prop_assert_eq!(peers.len(), model.len());
            let mut listed: Vec<_> = peers.iter().collect();
            listed.sort();
            let mut expected = model.clone();
            expected.sort();
            prop_assert_eq!(listed, expected);
            // Nothing of what was removed is left behind.
            prop_assert_eq!(&peers, &model.iter().copied().collect());
            for addr in probes.into_iter().map(spread) {
                let expected = model.iter().filter(|(p, _)| p.contains(addr)).max_by_key(|(p, _)| p.len()).map(|e| e.1);
                prop_assert_eq!(peers.node_of(addr), expected);
                for node in 0u8..4 {
                    let node = NodeAddr([node; 4].into());
                    let refused = if !model.iter().any(|(_, n)| *n == node) {
                        Err(PeerError::UnknownNode { outer_source: node })
                    } else if addr.is_unspecified() {
                        Err(PeerError::NoHost { outer_source: node, inner_source: addr })
                    } else if expected != Some(node) {
                        Err(PeerError::ForeignSource { outer_source: node, inner_source: addr })
                    } else {
                        Ok(())
                    };
                    prop_assert_eq!(peers.check(node, addr), refused);
                }
            }
        }
    }
}
