//! What is ours among the things a node holds.

use std::collections::HashSet;

use super::model::{InterfaceAddr, ObservedLink};
use super::place::Place;
use super::route::{NextHop, NextHopObject, Route, RouteProtocol, Target};
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::InterfaceName;

/// Which routes, links and addresses of the node's namespace are ours: to be replaced, and to be taken
/// away once they are not desired. Everything else is left as it is.
///
/// A route is ours if it bears our protocol number, its prefix lies in a known pool, and it is on the
/// tunnel device, on the underlay via a node's address or onlink, or a blackhole. BIRD writes such routes
/// too, and an earlier run did: they are adopted. On the underlay onlink is our own word, as BIRD says it
/// for the tunnel device alone: so a node that was renumbered while nobody ran here leaves no route that
/// nobody owns. A direct route through a workload's link is ours if the link is.
/// A link is ours if we named it and its alias says so; an address, if it is on the tunnel device, a /32
/// and in a known pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// What our routes bear, usually [`RouteProtocol::BIRD`].
    pub protocol: RouteProtocol,
    /// Whether Felix's routes (protocol 80) count as ours, to take a node over from it.
    pub adopt_felix: bool,
    /// Whether the tunnel device is ours alone, as it is Calico's: then every address on it that is not
    /// desired goes.
    pub exclusive: bool,
    /// The tunnel device, usually `tunl0`.
    pub tunnel: InterfaceName,
    /// The underlay's interface.
    pub underlay: InterfaceName,
    /// What the names of workloads' host ends begin with, `cali`.
    pub host_veth_prefix: String,
    /// The addresses of all nodes, and those that nodes had before, as far as known: a direct route by a
    /// forgotten one is ours only if it is onlink.
    pub nodes: HashSet<NodeAddr>,
    /// What may hold something that cannot be read now: nothing in it is taken away.
    pub spared: Vec<Ipv4Prefix>,
    /// The known pools.
    pub pools: PoolSet,
}

/// The prefixes of pools, searched by halves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolSet {
    /// In order, none inside another.
    prefixes: Vec<Ipv4Prefix>,
}

impl PoolSet {
    /// Whether all of `prefix` lies in one of them.
    #[must_use]
    pub fn covers(&self, prefix: Ipv4Prefix) -> bool {
        let pools = &self.prefixes;
        let behind = pools.partition_point(|pool| pool.network() <= prefix.network());
        let around = behind.checked_sub(1).and_then(|at| pools.get(at));
        around.is_some_and(|pool| pool.covers(prefix))
    }
}

impl FromIterator<Ipv4Prefix> for PoolSet {
    fn from_iter<I: IntoIterator<Item = Ipv4Prefix>>(pools: I) -> Self {
        let mut sorted: Vec<_> = pools.into_iter().collect();
        // Of one network the shorter prefix comes first, so what lies in another is behind it.
        sorted.sort_unstable();
        let mut prefixes: Vec<Ipv4Prefix> = Vec::with_capacity(sorted.len());
        for pool in sorted {
            if !prefixes.last().is_some_and(|last| last.covers(pool)) {
                prefixes.push(pool);
            }
        }
        Self { prefixes }
    }
}

/// What our links' aliases begin with.
const MARK: &str = "ipip";

impl Ownership {
    /// Ours is what lies in `pools`, is on `tunnel`, or on `underlay` via a node's address; no node is
    /// known yet. Protocol bird, and Felix's routes are its own.
    #[must_use]
    pub fn new(
        tunnel: InterfaceName,
        underlay: InterfaceName,
        pools: impl IntoIterator<Item = Ipv4Prefix>,
    ) -> Self {
        Self {
            protocol: RouteProtocol::BIRD,
            adopt_felix: false,
            exclusive: false,
            tunnel,
            underlay,
            host_veth_prefix: "cali".to_owned(),
            nodes: HashSet::new(),
            spared: vec![],
            pools: pools.into_iter().collect(),
        }
    }

    /// Whether `route` is ours; a direct one through a workload's link is where that link is, of which this
    /// knows nothing.
    #[must_use]
    pub fn owns_route(&self, route: &Route) -> bool {
        let felix = self.adopt_felix && route.protocol == RouteProtocol::FELIX;
        let is_ours = route.place == Place::Node && (route.protocol == self.protocol || felix);
        is_ours && self.is_way_ours(route) && self.pools.covers(route.prefix)
    }

    fn is_way_ours(&self, route: &Route) -> bool {
        match &route.target {
            Target::Blackhole => true,
            Target::Device { device, .. } if *device == self.tunnel => true,
            Target::Device { device, next_hop } if *device == self.underlay => {
                let is_our_word = route.protocol == self.protocol;
                match *next_hop {
                    NextHop::Direct => false,
                    NextHop::Onlink(_) | NextHop::Object(_) if is_our_word => true,
                    NextHop::Object(_) => false,
                    NextHop::Onlink(node) => self.nodes.contains(&node),
                    NextHop::Gateway(gateway) => self.nodes.contains(&NodeAddr(gateway)),
                }
            }
            Target::Device { .. } | Target::Other(_) => false,
        }
    }

    /// Whether `link` is the host end of a workload's pair that we made.
    #[must_use]
    pub fn owns_link(&self, link: &ObservedLink) -> bool {
        let named = link.name.as_str().starts_with(&self.host_veth_prefix);
        let alias = link
            .alias
            .as_deref()
            .and_then(|alias| alias.strip_prefix(MARK));
        let marked = alias.is_some_and(|rest| rest.starts_with(' '));
        link.place == Place::Node && link.kind == "veth" && named && marked
    }

    /// Whether `address`, found on the tunnel device, is ours.
    #[must_use]
    pub fn owns_address(&self, address: InterfaceAddr) -> bool {
        let host = Ipv4Prefix::host(address.addr);
        self.exclusive || (address.prefix_len == 32 && self.pools.covers(host))
    }

    /// Whether nothing in `prefix` is to be taken away.
    #[must_use]
    pub fn spares(&self, prefix: Ipv4Prefix) -> bool {
        self.spared.iter().any(|spared| spared.covers(prefix))
    }

    /// Whether `found` is ours: it bears our protocol number, leads to a node on the tunnel device or the
    /// underlay, and has the number that we would give it.
    #[must_use]
    pub fn owns_next_hop(&self, found: &NextHopObject) -> bool {
        let Target::Device {
            device,
            next_hop: NextHop::Onlink(node),
        } = &found.target
        else {
            return false;
        };
        let is_tunnel = *device == self.tunnel;
        let ours = NextHopObject::to_node(device, *node, is_tunnel, self.protocol);
        (is_tunnel || *device == self.underlay) && ours.as_ref() == Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        InterfaceName::try_new(text).unwrap()
    }

    fn ownership() -> Ownership {
        let pools = ["10.2.0.0/16", "10.1.4.0/24", "10.1.0.0/16"].map(|pool| pool.parse().unwrap());
        let mut ownership = Ownership::new(name("tunl0"), name("eth0"), pools);
        ownership.nodes.insert(NodeAddr([172, 18, 0, 2].into()));
        ownership
    }

    #[test]
    fn a_pool_inside_another_is_found_by_the_outer_one() {
        let ownership = ownership();
        for (prefix, is_in) in [
            ("10.1.0.0/26", true),
            ("10.1.4.0/26", true),
            ("10.1.200.0/26", true),
            ("10.2.255.255/32", true),
            ("10.3.0.0/26", false),
            ("10.0.255.0/24", false),
            ("10.0.0.0/8", false),
        ] {
            assert_eq!(
                ownership.pools.covers(prefix.parse().unwrap()),
                is_in,
                "{prefix}"
            );
        }
    }

    #[test]
    fn a_route_is_ours_by_protocol_prefix_and_way_together() {
        let on = |device, next_hop| Target::Device {
            device: name(device),
            next_hop,
        };
        let node = NextHop::Onlink(NodeAddr([172, 18, 0, 2].into()));
        let forgotten = NextHop::Onlink(NodeAddr([172, 18, 0, 7].into()));
        let router = NextHop::Gateway([172, 18, 0, 1].into());
        let by_a_node = NextHop::Gateway([172, 18, 0, 2].into());
        let (bird, felix) = (RouteProtocol::BIRD, RouteProtocol::FELIX);
        for (what, prefix, target, protocol, is_ours, with_felix) in [
            ("tunnel", "10.1.0.0/26", on("tunl0", node), bird, true, true),
            (
                "no pool's",
                "10.9.0.0/26",
                on("tunl0", node),
                bird,
                false,
                false,
            ),
            (
                "more than a pool",
                "10.0.0.0/8",
                on("tunl0", node),
                bird,
                false,
                false,
            ),
            (
                "blackhole",
                "10.1.0.0/26",
                Target::Blackhole,
                bird,
                true,
                true,
            ),
            (
                "underlay",
                "10.1.0.0/26",
                on("eth0", node),
                bird,
                true,
                true,
            ),
            (
                "BIRD's own form",
                "10.1.0.0/26",
                on("eth0", by_a_node),
                bird,
                true,
                true,
            ),
            (
                "a router's",
                "10.1.0.0/26",
                on("eth0", router),
                bird,
                false,
                false,
            ),
            (
                "a node's that was renumbered",
                "10.1.0.0/26",
                on("eth0", forgotten),
                bird,
                true,
                true,
            ),
            (
                "the same of Felix's",
                "10.1.0.0/26",
                on("eth0", forgotten),
                felix,
                false,
                false,
            ),
            (
                "another device",
                "10.1.0.0/26",
                on("eth1", node),
                bird,
                false,
                false,
            ),
            (
                "direct",
                "10.1.0.1/32",
                on("cali1", NextHop::Direct),
                bird,
                false,
                false,
            ),
            (
                "Felix's",
                "10.1.0.0/26",
                on("tunl0", node),
                felix,
                false,
                true,
            ),
            (
                "static",
                "10.1.0.0/26",
                on("tunl0", node),
                RouteProtocol::STATIC,
                false,
                false,
            ),
            (
                "multipath",
                "10.1.0.0/26",
                Target::Other("x".into()),
                bird,
                false,
                false,
            ),
        ] {
            let mut ownership = ownership();
            let route = Route::new(prefix.parse().unwrap(), target, protocol);
            assert_eq!(ownership.owns_route(&route), is_ours, "{what}");
            ownership.adopt_felix = true;
            assert_eq!(ownership.owns_route(&route), with_felix, "{what}");
            let inside = Place::Workload(std::path::Path::new("/run/netns/pod").into());
            let route = Route {
                place: inside,
                ..route
            };
            assert!(
                !ownership.owns_route(&route),
                "{what} in a workload's namespace"
            );
        }
    }
}
