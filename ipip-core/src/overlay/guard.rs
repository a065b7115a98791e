//! Who may send IPIP packets to a node, and from whom: IPIP itself has no authentication.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::error::{OverlayError, check_address};
use super::{HOST_VETH_PREFIX, TUNNEL_DEVICE, well_known};
use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use crate::name::InterfaceName;
use crate::peers::Peers;
use crate::plan::{AddrRange, Desired, GuardSets, GuardTable, PeerRange};

/// A node's guard: an nf_tables table that drops forged tunnel packets before the tunnel takes them, and
/// translates addresses as Calico does (see [`Guard::desired`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The other nodes, and which prefixes are behind each.
    pub peers: Peers,
    /// The cluster's pools. Packets of other tunnels, whose inner addresses lie in none, are not touched.
    pub pools: Vec<GuardPool>,
    /// The tunnel device; `tunl0` unless there is a reason.
    pub device: InterfaceName,
    /// The tunnel device's address, which the node's own packets to pods take; `None` leaves them as they
    /// are, as Calico does without one.
    pub address: Option<TunnelAddr>,
}

/// A pool, as far as the guard is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardPool {
    /// Its addresses.
    pub prefix: Ipv4Prefix,
    /// Whether packets of its workloads take the node's address where they leave the cluster.
    pub nat_outgoing: bool,
}

impl Guard {
    /// On `tunl0`, which holds `address`.
    #[must_use]
    pub fn new(peers: Peers, pools: Vec<GuardPool>, address: TunnelAddr) -> Self {
        Self {
            peers,
            pools,
            device: well_known(TUNNEL_DEVICE),
            address: Some(address),
        }
    }

    /// Whether there can be such a guard.
    ///
    /// # Errors
    /// [`OverlayError`] for a pool of every address and for a tunnel address that no interface can hold.
    pub fn check(&self) -> Result<(), OverlayError> {
        if self.pools.iter().any(|pool| pool.prefix.len() == 0) {
            return Err(OverlayError::PoolOfEveryAddress);
        }
        match self.address {
            Some(address) => check_address("tunnel", address.0),
            None => Ok(()),
        }
    }

    /// What the node should hold: a table that
    ///
    /// - drops a packet of protocol 4 with an inner address in a pool, unless its outer source is a peer
    ///   and its inner source is behind that peer (as [`Peers::check`] has it) or is the peer itself,
    /// - drops what such a peer has encapsulated twice,
    /// - drops every packet of protocol 4 that comes from a workload (Calico's default),
    /// - gives packets from a pool with `nat_outgoing` to an address in no pool the node's address; a
    ///   node counts as outside, as with Calico's `natOutgoingExclusions: IPPoolsOnly`,
    /// - gives the node's own packets that enter the tunnel the tunnel device's address.
    ///
    /// A peer itself is an inner source where it answers a pod that asked its node address: the question
    /// went past the tunnel, the answer takes the route of the pod's block.
    #[must_use]
    pub fn desired(&self) -> Desired {
        let prefixes = |keep: fn(&GuardPool) -> bool| {
            let kept = self.pools.iter().filter(|pool| keep(pool));
            outermost(kept.map(|pool| pool.prefix).collect())
        };
        let nat_pools = prefixes(|pool| pool.nat_outgoing);
        Desired {
            guard: Some(GuardTable {
                sets: GuardSets {
                    peers: ranges(&self.peers),
                    pools: prefixes(|_| true),
                    nat_pools: nat_pools.clone(),
                },
                workloads: HOST_VETH_PREFIX.to_owned(),
                nat_outgoing: !nat_pools.is_empty(),
                tunnel: self.address.map(|address| (self.device.clone(), address.0)),
            }),
            ..Desired::default()
        }
    }
}

/// Those that are in no other, as ranges: two prefixes are nested or have nothing in common.
fn outermost(mut prefixes: Vec<Ipv4Prefix>) -> BTreeSet<AddrRange> {
    prefixes.sort_by_key(|prefix| (prefix.network(), prefix.len()));
    prefixes.dedup_by(|next, kept| kept.covers(*next));
    prefixes.into_iter().map(AddrRange::from).collect()
}

/// Whose every address is. A set knows no longest prefix, so a prefix is cut where a part of it is
/// another node's: a borrowed address leaves a hole in the block that it is from.
fn ranges(peers: &Peers) -> BTreeSet<PeerRange> {
    let mut prefixes: Vec<(Ipv4Prefix, NodeAddr)> = peers.iter().collect();
    prefixes.sort_unstable_by_key(|(prefix, _)| (prefix.network(), prefix.len()));
    let mut sweep = Sweep::default();
    for (prefix, node) in prefixes {
        sweep.enter(prefix.into(), node);
    }
    sweep.leave_before(None);
    let mut found = sweep.found;
    let nodes: BTreeSet<NodeAddr> = found.iter().map(|range| range.node).collect();
    // A peer behind whose own prefix its address is needs no second range.
    let uncovered = nodes
        .into_iter()
        .filter(|node| peers.node_of(node.0) != Some(*node));
    found.extend(uncovered.map(|node| PeerRange {
        node,
        inner: Ipv4Prefix::host(node.0).into(),
    }));
    found
}

/// Walks the addresses upwards through prefixes that are sorted, an enclosing one before what is in it.
#[derive(Default)]
struct Sweep {
    /// The prefixes around the present address, the innermost last: their ends and nodes.
    around: Vec<(Ipv4Addr, NodeAddr)>,
    /// Where the present range begins; `None` past the last address.
    begin: Option<Ipv4Addr>,
    found: BTreeSet<PeerRange>,
}

impl Sweep {
    fn enter(&mut self, prefix: AddrRange, node: NodeAddr) {
        self.leave_before(Some(prefix.first));
        match self.around.last() {
            // Part of what the node has anyway.
            Some((_, owner)) if *owner == node => return,
            Some((_, owner)) => {
                let owner = *owner;
                if let Some(before) = u32::from(prefix.first).checked_sub(1) {
                    self.end(owner, before.into());
                }
            }
            None => {}
        }
        self.begin = Some(prefix.first);
        self.around.push((prefix.last, node));
    }

    /// Leaves every prefix that ends before `addr`; all of them if there is none.
    fn leave_before(&mut self, addr: Option<Ipv4Addr>) {
        while let Some((last, node)) = self.around.pop() {
            if addr.is_some_and(|addr| last >= addr) {
                self.around.push((last, node));
                break;
            }
            self.end(node, last);
            self.begin = u32::from(last).checked_add(1).map(Ipv4Addr::from);
        }
    }

    /// The present range ends with `last`, unless it is empty.
    fn end(&mut self, node: NodeAddr, last: Ipv4Addr) {
        if let Some(first) = self.begin.filter(|first| *first <= last) {
            let inner = AddrRange { first, last };
            self.found.insert(PeerRange { node, inner });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peers(pairs: &[(&str, u8)]) -> Peers {
        let node = |last| NodeAddr([172, 18, 0, last].into());
        let parse = |(prefix, last): &(&str, u8)| (prefix.parse().unwrap(), node(*last));
        pairs.iter().map(parse).collect()
    }

    fn text(peers: &Peers) -> Vec<String> {
        let text = |range: &PeerRange| format!("{} {}", range.node, range.inner);
        ranges(peers).iter().map(text).collect()
    }

    #[test]
    fn a_borrowed_address_leaves_a_hole_in_its_block() {
        let peers = peers(&[
            ("10.244.244.64/26", 2),
            ("10.244.244.73/32", 5),
            ("10.244.244.80/32", 2),
        ]);
        assert_eq!(
            text(&peers),
            [
                "172.18.0.2 10.244.244.64-10.244.244.72",
                "172.18.0.2 10.244.244.74-10.244.244.127",
                "172.18.0.2 172.18.0.2",
                "172.18.0.5 10.244.244.73",
                "172.18.0.5 172.18.0.5",
            ]
        );
    }

    #[test]
    fn the_last_address_of_all_has_an_end() {
        let peers = peers(&[("255.255.255.254/31", 2), ("255.255.255.255/32", 3)]);
        assert_eq!(text(&peers)[0], "172.18.0.2 172.18.0.2");
        assert_eq!(text(&peers)[1], "172.18.0.2 255.255.255.254");
        assert_eq!(text(&peers)[3], "172.18.0.3 255.255.255.255");
    }

    #[test]
    fn a_pool_inside_another_is_no_second_element() {
        let pool = |text: &str, nat_outgoing| GuardPool {
            prefix: text.parse().unwrap(),
            nat_outgoing,
        };
        let pools = vec![
            pool("10.244.1.0/24", true),
            pool("10.245.0.0/16", false),
            pool("10.244.0.0/16", false),
        ];
        let guard = Guard::new(Peers::new(), pools, TunnelAddr([10, 244, 79, 0].into()));
        let sets = guard.desired().guard.unwrap().sets;
        let text = |ranges: &BTreeSet<AddrRange>| {
            ranges.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            text(&sets.pools),
            ["10.244.0.0-10.244.255.255", "10.245.0.0-10.245.255.255"]
        );
        assert_eq!(text(&sets.nat_pools), ["10.244.1.0-10.244.1.255"]);
    }

    #[test]
    fn no_guard_over_every_address() {
        let everything = GuardPool {
            prefix: Ipv4Prefix::ALL,
            nat_outgoing: false,
        };
        let address = TunnelAddr([10, 244, 79, 0].into());
        let guard = Guard::new(Peers::new(), vec![everything], address);
        assert_eq!(guard.check(), Err(OverlayError::PoolOfEveryAddress));
    }

    proptest! {
        /// Against the search for the longest prefix, address by address, in a space of 256.
        #[test]
        fn the_ranges_are_what_peers_accept(
            pairs in prop::collection::vec((0u8..=255, 24u8..=32, 1u8..=3), 0..12)
        ) {
            let prefix = |low, len| Ipv4Prefix::containing([10, 0, 0, low].into(), len).unwrap();
            let node = |last| NodeAddr([172, 18, 0, last].into());
            let peers: Peers = pairs.into_iter().map(|(low, len, n)| (prefix(low, len), node(n))).collect();
            let ranges = ranges(&peers);
            for (node, low) in (1..=3).flat_map(|n| (0..=255).map(move |low| (node(n), low))) {
                let inner = Ipv4Addr::from([10, 0, 0, low]);
                let hits = ranges.iter().filter(|range| {
                    range.node == node && range.inner.covers(Ipv4Prefix::host(inner).into())
                });
                prop_assert_eq!(hits.count(), usize::from(peers.check(node, inner).is_ok()));
            }
        }
    }
}
