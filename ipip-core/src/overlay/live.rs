//! The whole of a node, kept up to date record by record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use super::local::ownership;
use super::next_hops::go_by_objects;
use super::piece::{Claim, Piece, pool_for, routes_of_block, routes_of_node};
use super::routes::entrance;
use super::tunnel::tunnel_link;
use super::{LocalNode, Policy, Withheld, WorkloadEndpoint};
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::cluster::{Changed, View};
use crate::name::{InterfaceName, NodeName};
use crate::plan::{Desired, Link, LinkKind, Ownership, Route, Target};
use crate::resource::IpipMode;

/// What a node should hold, and what each record of the cluster adds to it: one changed record costs what
/// it touches, and not what there is.
#[derive(Debug, Clone)]
pub struct LiveOverlay {
    local: LocalNode,
    policy: Policy,
    pieces: HashMap<Record, Piece>,
    /// By prefix, all who ask for a route to it.
    claims: BTreeMap<Ipv4Prefix, Vec<Claim>>,
    /// By host end, the workloads behind it: one, or a pod's several addresses.
    workloads: BTreeMap<InterfaceName, BTreeMap<Ipv4Addr, WorkloadEndpoint>>,
    /// How many routes lead directly through the underlay.
    direct: usize,
    /// Whether a pool is reached through the tunnel.
    tunnels: bool,
    /// Pools whose packets take the node's address where they leave the cluster.
    nat_outgoing: Vec<Ipv4Prefix>,
    /// Every node's address, and those that nodes had before.
    nodes: HashSet<NodeAddr>,
}

/// What one node should hold, and what it should not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Links with their settings, and routes, in the order of their prefixes.
    pub desired: Desired,
    /// What the cluster speaks of and nothing is done for.
    pub withheld: Vec<Withheld>,
    /// The workloads of this node, by the names of their host ends.
    pub workloads: Vec<WorkloadEndpoint>,
    /// Pools whose packets are to take the node's address where they leave the cluster (`natOutgoing`).
    /// Nothing is done for them here.
    pub nat_outgoing: Vec<Ipv4Prefix>,
}

/// A route that differs from what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange {
    /// What was desired; `None` for a new one.
    pub before: Option<Route>,
    /// What is now; `None` if nothing is.
    pub after: Option<Route>,
}

/// What an update changed of what is desired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The routes, in the order of their prefixes.
    pub routes: Vec<RouteChange>,
    /// Whether links, their addresses or their settings are different:
    /// [`LiveOverlay::links`] has them.
    pub links: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Record {
    Block(Ipv4Prefix),
    Node(NodeName),
}

/// What `local` should hold, by all of `view`.
#[must_use]
pub fn desired(view: &View, local: &LocalNode, policy: &Policy) -> Overlay {
    LiveOverlay::new(view, local.clone(), policy.clone()).overlay()
}

impl LiveOverlay {
    /// What `local` should hold, by all of `view`.
    #[must_use]
    pub fn new(view: &View, local: LocalNode, policy: Policy) -> Self {
        let mut live = Self {
            local,
            policy,
            pieces: HashMap::new(),
            claims: BTreeMap::new(),
            workloads: BTreeMap::new(),
            direct: 0,
            tunnels: false,
            nat_outgoing: vec![],
            nodes: HashSet::new(),
        };
        let blocks = view.blocks().map(|block| block.prefix().into());
        let everything = Changed {
            nodes: view.nodes().map(|node| node.name().clone()).collect(),
            pools: view.pools().map(|pool| pool.cidr()).collect(),
            blocks: blocks.collect(),
            relisted: true,
        };
        live.update(view, &everything);
        live
    }

    /// Takes over what [`View::update`] said has changed in `view`. Anything else in it that differs from
    /// the view of the last call is not noticed.
    pub fn update(&mut self, view: &View, changed: &Changed) -> Difference {
        let entrances = |live: &Self| (live.tunnels, live.direct > 0);
        let entrances_before = entrances(self);
        let mut workloads = false;
        let mut before = BTreeMap::new();
        for record in touched(view, changed) {
            let (local, policy) = (&self.local, &self.policy);
            let piece = match &record {
                Record::Block(prefix) => routes_of_block(view, local, policy, *prefix),
                Record::Node(name) => routes_of_node(view, local, policy, name),
            };
            workloads |= self.put(record, piece, &mut before);
        }
        if !changed.pools.is_empty() {
            self.read_pools(view);
        }
        for name in &changed.nodes {
            self.nodes
                .extend(view.node(name).and_then(|node| node.addr()));
        }
        let routes = self.differences(before);
        Difference {
            routes,
            links: workloads || entrances(self) != entrances_before,
        }
    }

    /// The links that should be there: the tunnel device if a pool is reached through it, the underlay's
    /// interface if a route is direct, the workloads'.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let mut links = vec![];
        if self.tunnels {
            let kind = match self.policy.tunnel_exists {
                true => LinkKind::Existing,
                false => LinkKind::Tunnel,
            };
            let LocalNode {
                tunnel_address,
                mtu,
                ..
            } = self.local;
            let device = &self.policy.tunnel;
            links.push(tunnel_link(device, kind, tunnel_address, mtu));
        }
        if self.direct > 0 {
            links.push(entrance(&self.local.underlay));
        }
        let workloads = self.workloads.values();
        let workloads = workloads.filter_map(|addresses| addresses.values().next());
        links.extend(workloads.map(WorkloadEndpoint::host_link_alone));
        links
    }

    /// The route that should be there for `prefix`, with a next hop of its own whatever the policy says.
    #[must_use]
    pub fn route(&self, prefix: Ipv4Prefix) -> Option<&Route> {
        self.first(self.claims.get(&prefix)?)
    }

    fn first<'a>(&self, claims: &'a [Claim]) -> Option<&'a Route> {
        let first = claims.iter().min_by_key(|claim| claim.rank(&self.policy));
        first.map(|claim| &claim.route)
    }

    /// What is ours: see [`ownership`]. The addresses that nodes had before are known too, so that a
    /// direct route via one of them is replaced.
    #[must_use]
    pub fn ownership(&self, view: &View) -> Ownership {
        let mut ownership = ownership(view, &self.local, &self.policy);
        ownership.nodes.extend(&self.nodes);
        ownership
    }

    /// All of it; the routes go by [next hop objects](Policy::next_hop_objects) if the policy says so.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        let mut desired = Desired::default();
        desired.links.extend(self.links());
        let routes = self.claims.values().filter_map(|claims| self.first(claims));
        desired.routes.extend(routes.cloned());
        if self.policy.next_hop_objects {
            go_by_objects(&mut desired, &self.policy.tunnel);
        }
        let withheld = self.pieces.values().flat_map(|piece| &piece.withheld);
        let mut withheld: Vec<_> = withheld.cloned().collect();
        withheld.sort_by_cached_key(|one| (one.prefix, one.reason.to_string()));
        let workloads = self.workloads.values().flat_map(BTreeMap::values);
        Overlay {
            desired,
            withheld,
            workloads: workloads.cloned().collect(),
            nat_outgoing: self.nat_outgoing.clone(),
        }
    }

    /// Puts `piece` in the place of what `record` added before; notes the routes that were desired for
    /// the prefixes that it touches, and answers whether its workloads are others.
    fn put(
        &mut self,
        record: Record,
        piece: Piece,
        before: &mut BTreeMap<Ipv4Prefix, Option<Route>>,
    ) -> bool {
        let old = match piece == Piece::default() {
            true => self.pieces.remove(&record),
            false => self.pieces.insert(record, piece.clone()),
        };
        let old = old.unwrap_or_default();
        let workloads = old.workloads != piece.workloads;
        for claim in old.claims.iter().chain(&piece.claims) {
            let prefix = claim.route.prefix;
            before
                .entry(prefix)
                .or_insert_with(|| self.route(prefix).cloned());
        }
        for claim in &old.claims {
            self.drop_claim(claim);
        }
        for workload in &old.workloads {
            self.drop_workload(workload);
        }
        for claim in piece.claims {
            let claims = self.claims.entry(claim.route.prefix).or_default();
            claims.push(claim);
        }
        for workload in piece.workloads {
            let addresses = self.workloads.entry(workload.host_veth()).or_default();
            addresses.insert(workload.address, workload);
        }
        workloads
    }

    fn drop_claim(&mut self, claim: &Claim) {
        let prefix = claim.route.prefix;
        let Some(claims) = self.claims.get_mut(&prefix) else {
            return;
        };
        if let Some(at) = claims.iter().position(|found| found == claim) {
            claims.swap_remove(at);
        }
        if claims.is_empty() {
            self.claims.remove(&prefix);
        }
    }

    fn drop_workload(&mut self, workload: &WorkloadEndpoint) {
        let name = workload.host_veth();
        let Some(addresses) = self.workloads.get_mut(&name) else {
            return;
        };
        addresses.remove(&workload.address);
        if addresses.is_empty() {
            self.workloads.remove(&name);
        }
    }

    fn read_pools(&mut self, view: &View) {
        let pools = || {
            view.pools()
                .filter(|pool| pool_for(view, pool.cidr()).is_ok())
        };
        self.tunnels = pools().any(|pool| pool.ipip_mode() != IpipMode::Never);
        let nat = pools().filter(|pool| pool.nat_outgoing());
        self.nat_outgoing = nat.map(|pool| pool.cidr()).collect();
    }

    /// What became of the routes that were desired.
    fn differences(&mut self, before: BTreeMap<Ipv4Prefix, Option<Route>>) -> Vec<RouteChange> {
        let mut changes = vec![];
        for (prefix, before) in before {
            let after = self.route(prefix).cloned();
            if before == after {
                continue;
            }
            self.direct -= usize::from(self.is_direct(before.as_ref()));
            self.direct += usize::from(self.is_direct(after.as_ref()));
            changes.push(RouteChange { before, after });
        }
        changes
    }

    fn is_direct(&self, route: Option<&Route>) -> bool {
        let target = route.map(|route| &route.target);
        matches!(target, Some(Target::Device { device, .. }) if *device == self.local.underlay)
    }
}

/// The records whose pieces a change touches.
fn touched(view: &View, changed: &Changed) -> impl Iterator<Item = Record> + use<> {
    let mut blocks = changed.blocks.clone();
    let mut nodes = changed.nodes.clone();
    for node in &changed.nodes {
        blocks.extend(view.blocks_naming(node));
    }
    for pool in &changed.pools {
        blocks.extend(view.blocks_in(*pool));
    }
    let around: BTreeSet<_> = changed.pools.iter().chain(&changed.blocks).collect();
    for prefix in around {
        nodes.extend(view.tunnel_nodes_in(*prefix).cloned());
    }
    let blocks = blocks.into_iter().map(Record::Block);
    blocks.chain(nodes.into_iter().map(Record::Node))
}

#[cfg(test)]
mod tests;
