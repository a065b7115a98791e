//! A cluster: nodes in namespaces of their own, on a bridge with two subnets, with one store.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipip_core::datastore::{Memory, Store};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::NodeName;
use ipip_core::node::{Node, NodeConfig, NodeError, Workload, WorkloadId};
use ipip_core::resource::{IpipMode, Pool};

use crate::support::{Named, echo};

/// The pool of every cluster here.
pub(crate) const POOL: &str = "10.244.0.0/16";

/// What the nodes share.
pub(crate) struct Cluster {
    pub(crate) store: Arc<Memory>,
    pub(crate) ipam: Ipam,
    switch: Named,
}

/// A namespace on the underlay, with what makes it a node.
pub(crate) struct Host {
    pub(crate) name: NodeName,
    pub(crate) space: Named,
    store: Arc<Memory>,
}

impl Cluster {
    /// One pool, a bridge, and the router of 172.18.0.0/16 and 172.19.0.0/16 on it.
    pub(crate) fn new(mode: IpipMode) -> Self {
        let switch = Named::new("switch");
        // No IPv6: its neighbour discovery would only take time. Not every kernel has it.
        let _ = switch.try_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
        switch.sh("ip link add br0 type bridge && ip link set br0 up && ip link set lo up");
        switch.sh("ip addr add 172.18.0.1/16 dev br0; ip addr add 172.19.0.1/16 dev br0");
        switch.sh("sysctl -qw net.ipv4.ip_forward=1");
        let store = Arc::new(Memory::new());
        let ipam = Ipam::new(Arc::clone(&store) as Arc<dyn Store>, Ambient::system());
        let pool = Pool::try_new("pods", POOL.parse().unwrap(), 26).unwrap();
        ipam.create_pool(&pool.with_ipip_mode(mode)).unwrap();
        Self {
            store,
            ipam,
            switch,
        }
    }

    /// A host with `eth0`, its address and a default route.
    pub(crate) fn host(&self, name: &str, address: &str) -> Host {
        let space = Named::new(name);
        let _ = space.try_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
        self.plug(&space, address);
        Host {
            name: NodeName::try_new(name).unwrap(),
            space,
            store: Arc::clone(&self.store),
        }
    }

    /// An underlay interface with that address, and a default route.
    fn plug(&self, space: &Named, address: &str) {
        static PORTS: AtomicU32 = AtomicU32::new(0);
        let port = format!("port{}", PORTS.fetch_add(1, Ordering::Relaxed));
        self.switch.sh(&format!(
            "ip link add {port} type veth peer name eth0 netns {} && ip link set {port} master br0 up",
            space.name
        ));
        let router = address.rsplit_once('.').unwrap().0;
        space.sh(&format!(
            "ip link set lo up; ip addr add {address} dev eth0; ip link set eth0 up; \
             ip route add default via {router}.1"
        ));
    }

    /// Makes the underlay interface of `host` anew, as a driver does that is loaded again.
    pub(crate) fn renew_underlay(&self, host: &Host, address: &str) {
        host.space.sh("ip link del eth0");
        self.plug(&host.space, address);
    }

    /// Has the pool be reached another way.
    pub(crate) fn set_mode(&self, mode: IpipMode) {
        let pools = self.ipam.pools().unwrap();
        let pool = pools[0].clone().with_ipip_mode(mode);
        self.ipam.update_pool(&pool).unwrap();
    }
}

impl Host {
    pub(crate) fn config(&self) -> NodeConfig {
        let netns = self.space.netns.try_clone().unwrap();
        NodeConfig::new(self.name.clone()).with_netns(netns)
    }

    pub(crate) fn join(&self) -> Node {
        self.try_join().unwrap()
    }

    pub(crate) fn try_join(&self) -> Result<Node, NodeError> {
        self.join_as(self.config())
    }

    pub(crate) fn join_as(&self, config: NodeConfig) -> Result<Node, NodeError> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        Node::join(store, config, Ambient::system())
    }

    /// The node of this host, which joined before.
    pub(crate) fn open_as(&self, config: NodeConfig) -> Node {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        Node::open(store, config, Ambient::system()).unwrap()
    }

    /// Everything that a node may touch, as `ip` and `/proc` tell it, in order and without what differs
    /// by itself: numbers, random hardware addresses, whether a carrier was noticed yet.
    pub(crate) fn state(&self) -> Vec<String> {
        let text = self.space.sh(
            "ip -o link; ip -4 -o addr; ip -4 route; cd /proc/sys/net/ipv4/conf; grep . */forwarding */proxy_arp",
        );
        let mut lines: Vec<_> = text.lines().map(stable).collect();
        lines.sort();
        lines
    }

    /// The routes as `ip` prints them.
    pub(crate) fn routes(&self) -> Vec<String> {
        let text = self.space.sh("ip -4 route");
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

/// A container with a namespace of its own.
pub(crate) struct Pod {
    pub(crate) space: Named,
    pub(crate) workload: Workload,
}

impl Pod {
    /// The container `container` of pod `pod` in the namespace "default".
    pub(crate) fn new(pod: &str, container: &str) -> Self {
        let space = Named::new("pod");
        let id = WorkloadId::new("default", pod, container);
        let workload = Workload::new(id, space.netns.path());
        Self { space, workload }
    }

    pub(crate) fn id(&self) -> &WorkloadId {
        &self.workload.id
    }

    /// Whether `to` answers it, within four seconds: the kernel takes up to one to notice that a new pair
    /// has a carrier.
    pub(crate) fn reaches(&self, to: Ipv4Addr) -> bool {
        let wait = Duration::from_millis(200);
        (0..20).any(|sequence| echo(&self.space.netns, to, sequence, wait))
    }

    /// All that is inside, as `ip` tells it.
    pub(crate) fn state(&self) -> Vec<String> {
        let text = self.space.sh("ip -4 -o addr; ip -4 route");
        text.lines().map(stable).collect()
    }
}

/// A line of `ip` or `grep` as far as it is the same each time.
fn stable(line: &str) -> String {
    // "3: eth0@if7: <…>" and "3: eth0    inet …"
    let numbered = line
        .split_once(": ")
        .filter(|(number, _)| number.parse::<u32>().is_ok());
    let line = numbered.map_or(line, |(_, rest)| rest);
    let mut words = vec![];
    let mut name = "";
    let mut given = line.split_whitespace();
    while let Some(word) = given.next() {
        let word = word.split_once("@if").map_or(word, |(name, _)| name);
        match word {
            "linkdown" | "\\" => {}
            // The state follows the carrier after a while.
            "state" => drop(given.next()),
            "link/ether" if !name.starts_with("cali") => drop(given.next()),
            "link-netns" | "link-netnsid" | "qdisc" => drop(given.next()),
            flags if flags.starts_with('<') => {
                let lasting = ["NO-CARRIER,", ",LOWER_UP", ",M-DOWN"];
                let flags = lasting
                    .iter()
                    .fold(flags.to_owned(), |f, gone| f.replace(gone, ""));
                words.push(flags);
            }
            word => words.push(word.to_owned()),
        }
        if name.is_empty() {
            name = word;
        }
    }
    words.join(" ")
}
