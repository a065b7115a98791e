//! Where a node may find itself, one row for each report of users or property of the kernel that names
//! such a state: `sync` mends it, leaves it alone or tells of it, and what a plan prints does the same with
//! the real tools in a twin.

use std::net::Ipv4Addr;

use ipip_core::datastore::{Commit, Store};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::node::Node;
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host};
use crate::crash::{open, rebooted, stage};
use crate::support::{Needs, Test};
use crate::two::settle;

pub(crate) const TESTS: &[Test] = &[
    ("every_state_is_converged", Needs::Root, || {
        states(IpipMode::Never)
    }),
    ("drivers_every_state_is_converged", Needs::Driver, || {
        states(IpipMode::CrossSubnet)
    }),
    (
        "drivers_a_lost_tunnel_address_is_found",
        Needs::Driver,
        tunnel_addresses,
    ),
];

/// What becomes of a state.
enum Fate {
    /// All is as before.
    Mended,
    /// It is another state that is right now, with this in it; the line leads back.
    Follows(&'static str, &'static str),
    /// Nothing is done; what this command prints stays what it is.
    Stays(&'static str),
    /// A conflict that names this; the line takes the cause away.
    Told(&'static str, &'static str),
}

/// A report or property, the lines that bring the state about, and its fate. `{near}` and `{far}` are the
/// blocks of the node in the same subnet and of the one in another, `{own}` is the node's own; `{pod}` is
/// its workload and `{cali}` the host end of it.
type State = (&'static str, &'static str, Fate);

/// Those with `tunl0` in them need the driver; in its guest, where programs start slowly, no other runs.
const STATES: &[State] = &[
    // Routes that were lost.
    ("felix#2072", "ip route del {near}", Fate::Mended),
    ("calico#1578", "ip route del blackhole {own}", Fate::Mended),
    ("calico#1253", "ip route del {pod}", Fate::Mended),
    ("felix#595", "ip route flush proto bird", Fate::Mended),
    (
        "kernel: a device that goes down loses its IPv4 routes without an event",
        "ip link set eth0 down; ip link set eth0 up; ip route add default via 172.18.0.1",
        Fate::Mended,
    ),
    (
        "calicoctl#1419",
        "ip addr flush dev tunl0; ip link set tunl0 down",
        Fate::Mended,
    ),
    // Routes that are wrong.
    (
        "calico#10041",
        "ip route replace {near} via 172.18.0.9 dev eth0 onlink proto bird",
        Fate::Mended,
    ),
    (
        "calico#1325",
        "ip route replace {near} via 172.18.0.2 dev tunl0 onlink proto bird",
        Fate::Mended,
    ),
    (
        "calico#1584",
        "ip route replace {far} via 172.19.0.4 dev eth0 onlink proto bird; # not tunl0",
        Fate::Mended,
    ),
    (
        "calico#1387",
        "ip route add {pod} via 172.18.0.2 dev tunl0 onlink proto bird metric 5",
        Fate::Mended,
    ),
    (
        "calico#3246",
        "ip route replace blackhole {near} proto bird",
        Fate::Mended,
    ),
    (
        "calico#13856",
        "ip route del {near}; ip route add {near} via 172.18.0.2 dev eth0 onlink proto bird metric 1024",
        Fate::Mended,
    ),
    (
        "calico#13470",
        "ip route add 10.244.200.0/26 via 172.18.0.2 dev eth0 proto bird; \
         ip route add blackhole 10.244.201.0/26 proto bird",
        Fate::Mended,
    ),
    (
        "kernel: an addition without EXCL puts a second route before the first",
        "ip route prepend {near} via 172.18.0.2 dev eth0 proto bird",
        Fate::Mended,
    ),
    // Devices that are wrong.
    ("felix#756", "ip link set tunl0 mtu 1500", Fate::Mended),
    (
        "calico#7146",
        "ip link set eth0 mtu 1400; # tunl0",
        Fate::Follows("mtu 1380", "ip link set eth0 mtu 1500"),
    ),
    (
        "kernel: forwarding is asked for on each device that packets enter by",
        "echo 0 >/proc/sys/net/ipv4/conf/tunl0/forwarding",
        Fate::Mended,
    ),
    (
        "calico#4863",
        "ip addr add 10.244.200.1/32 dev tunl0",
        Fate::Mended,
    ),
    (
        "calico#1709",
        "ip link set {cali} down address 02:00:00:00:00:01",
        Fate::Mended,
    ),
    (
        "architecture: a wire that is half made",
        "ip link set {cali} down; echo 0 >/proc/sys/net/ipv4/conf/{cali}/proxy_arp; \
         echo 0 >/proc/sys/net/ipv4/conf/{cali}/forwarding",
        Fate::Mended,
    ),
    // What is others', and lasts through all that follows.
    (
        "calico#8367",
        "ip addr add 172.18.0.50/16 dev eth0",
        Fate::Stays("ip -4 -br addr show dev eth0"),
    ),
    (
        "felix#2887",
        "ip addr add 192.0.2.7/32 dev tunl0",
        Fate::Stays("ip -4 -br addr show dev tunl0"),
    ),
    (
        "calicoctl#205",
        "ip link add mine type ipip local 172.18.0.3 remote 172.18.0.77; ip link set mine up; # not tunl0",
        Fate::Stays("ip -d link show dev mine"),
    ),
    (
        "calico#3609",
        "ip route add 10.244.99.0/26 via 172.18.0.1 dev eth0 proto static",
        Fate::Stays("ip route show 10.244.99.0/26"),
    ),
    (
        "calico#13536",
        "ip route add 10.244.98.0/26 via 172.18.0.2 dev eth0 proto 80",
        Fate::Stays("ip route show proto 80"),
    ),
    (
        "calico#13533",
        "ip route add 10.55.0.0/16 via 172.18.0.2 dev eth0 proto bird",
        Fate::Stays("ip route show 10.55.0.0/16"),
    ),
    (
        "kernel: another table has the same prefix",
        "ip rule add to 10.244.0.0/16 lookup 77; \
         ip route add {near} via 172.18.0.1 dev eth0 proto bird table 77",
        Fate::Stays("ip rule; ip route show table 77"),
    ),
    (
        "calico#10723",
        "ip link add cali00000000001 address 02:00:00:00:00:02 type veth peer name other1",
        Fate::Stays("ip link show cali00000000001"),
    ),
    (
        "kernel: REPLACE would take over a foreign route",
        "ip route replace {near} via 172.18.0.9 dev eth0 proto static",
        Fate::Told("proto static", "ip route del {near}"),
    ),
    (
        "felix#1495",
        "ip route del blackhole {own}; ip route add {own} dev eth0 proto kernel scope link",
        Fate::Told("proto kernel", "ip route del {own}"),
    ),
];

/// The names in a line of `STATES` and what they stand for on the stage.
pub(crate) struct Words([(&'static str, String); 5]);

impl Words {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let blocks: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|pod| {
                let handle = HandleId::try_new(&format!("k8s-pod-network.{pod}")).unwrap();
                let addr = address_of(cluster, &handle);
                let block = cluster.ipam.block_of(addr).unwrap().unwrap();
                (addr, block.prefix().to_string())
            })
            .collect();
        let cali = ipip_core::overlay::host_veth_name("default", "a");
        Self([
            ("{own}", blocks[0].1.clone()),
            ("{near}", blocks[1].1.clone()),
            ("{far}", blocks[2].1.clone()),
            ("{pod}", blocks[0].0.to_string()),
            ("{cali}", cali.to_string()),
        ])
    }

    pub(crate) fn fill(&self, line: &str) -> String {
        let filled = |line: String, (name, value): &(&str, String)| line.replace(name, value);
        self.0.iter().fold(line.to_owned(), filled)
    }
}

/// The one address that `handle` has.
fn address_of(cluster: &Cluster, handle: &HandleId) -> Ipv4Addr {
    match cluster.ipam.addresses_of(handle).unwrap()[..] {
        [(addr, _)] => addr,
        ref found => panic!("{handle} has {found:?}"),
    }
}

/// A host that we converge, and one that the real tools do by what is printed.
struct Twins {
    ours: Host,
    tools: Host,
    nodes: [Node; 2],
}

impl Twins {
    fn new(cluster: &Cluster, name: &NodeName) -> Self {
        let [ours, tools] = [rebooted(cluster, name), rebooted(cluster, name)];
        let nodes = [open(&ours), open(&tools)];
        nodes.iter().for_each(|node| drop(settle(node)));
        assert_eq!(ours.state(), tools.state());
        Self { ours, tools, nodes }
    }

    fn both(&self, line: &str) {
        self.ours.space.sh(line);
        self.tools.space.sh(line);
    }

    /// One syncs, one runs what its plan prints; they end alike, and with nothing left to do.
    #[track_caller]
    fn converge(&self, state: &str) -> Vec<String> {
        let planned = self.nodes[0].plan().unwrap().steps;
        assert_eq!(settle(&self.nodes[0]).done, planned, "{state}");
        let script = self.nodes[1].plan().unwrap().to_string();
        self.tools.space.sh(&format!("set -e\n{script}"));
        let found = self.ours.state();
        assert_eq!(self.tools.state(), found, "{state}: by\n{script}");
        let plan = self.nodes[1].plan().unwrap();
        assert!(plan.is_empty(), "{state}: {plan}");
        found
    }
}

fn states(mode: IpipMode) {
    let (cluster, name) = stage(mode);
    let words = Words::of(&cluster);
    let twins = Twins::new(&cluster, &name);
    let mut right = twins.ours.state();
    for (report, line, fate) in STATES {
        if line.contains("tunl0") == (mode == IpipMode::Never) {
            continue;
        }
        let state = format!("{report}: {}", words.fill(line));
        twins.both(&words.fill(line));
        match fate {
            Fate::Mended => {
                assert_ne!(twins.ours.state(), right, "{state}: it is damage");
                assert_eq!(twins.converge(&state), right, "{state}");
            }
            Fate::Follows(what, undo) => {
                let found = twins.converge(&state);
                assert!(
                    found.iter().any(|line| line.contains(what)),
                    "{state}: {found:?}"
                );
                twins.both(&words.fill(undo));
                assert_eq!(twins.converge(&state), right, "{state}");
            }
            Fate::Stays(look) => {
                let before = (twins.ours.state(), twins.ours.space.sh(&words.fill(look)));
                let after = (
                    twins.converge(&state),
                    twins.ours.space.sh(&words.fill(look)),
                );
                assert_eq!(after, before, "{state}");
                right = after.0;
            }
            Fate::Told(what, undo) => {
                let before = twins.ours.state();
                for _ in 0..2 {
                    let synced = twins.nodes[0].sync().unwrap();
                    let told: Vec<_> = synced.conflicts.iter().map(ToString::to_string).collect();
                    assert!(
                        told.len() == 1 && told[0].contains(what),
                        "{state}: {synced}"
                    );
                    assert_eq!(twins.ours.state(), before, "{state}");
                }
                twins.both(&words.fill(undo));
                assert_eq!(twins.converge(&state), right, "{state}");
            }
        }
    }
}

/// The node's own tunnel address was given up, or its record names one that is another's
/// (calico#3589, calicoctl#1866): it has one of its own again, and the record and the device tell which.
fn tunnel_addresses() {
    let (cluster, name) = stage(IpipMode::CrossSubnet);
    let twins = Twins::new(&cluster, &name);
    let handle = HandleId::try_new(&format!("ipip-tunnel-addr-{name}")).unwrap();
    let recorded = || {
        cluster
            .ipam
            .node(&name)
            .unwrap()
            .unwrap()
            .tunnel_addr()
            .unwrap()
            .0
    };
    let other = cluster
        .ipam
        .node(&NodeName::try_new("node-b").unwrap())
        .unwrap()
        .unwrap();
    let key = format!("/calico/resources/v3/projectcalico.org/nodes/{name}");
    for lost in ["calico#3589", "calicoctl#1866"] {
        if lost == "calico#3589" {
            cluster.ipam.release_handle(&handle).unwrap();
        } else {
            let text = String::from_utf8(cluster.store.get(&key).unwrap().unwrap().value.to_vec())
                .unwrap();
            let theirs = other.tunnel_addr().unwrap().0.to_string();
            let mut commit = Commit::new();
            commit.put(
                &key,
                text.replace(&recorded().to_string(), &theirs).into_bytes(),
            );
            let _ = cluster.store.commit(commit).unwrap();
        }
        settle(&twins.nodes[0]);
        assert_eq!(address_of(&cluster, &handle), recorded(), "{lost}");
        assert_ne!(
            Some(recorded()),
            other.tunnel_addr().map(|addr| addr.0),
            "{lost}"
        );
        let device = twins.ours.space.sh("ip -4 -br addr show dev tunl0");
        assert!(
            device.ends_with(&format!(" {}/32 \n", recorded())),
            "{lost}: {device:?}"
        );
        twins.converge(lost);
    }
}
