//! `Node::sync`: from every state of the kernel and the store to the one that should be, once; and what
//! is others' stays.

use ipip_core::datapath::Choice;
use ipip_core::node::DataPathState;
use ipip_core::overlay::Policy;
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Test};
use crate::two::{Two, settle};

pub(crate) const TESTS: &[Test] = &[
    ("nodes_reach_each_other", Needs::NoDriver, reach),
    ("drivers_nodes_reach_each_other", Needs::Driver, reach),
    ("drivers_traffic_is_counted", Needs::Driver, counted),
    (
        "subnets_are_crossed_by_the_tunnel_alone",
        Needs::NoDriver,
        cross_subnet,
    ),
    (
        "drivers_subnets_are_crossed_by_the_tunnel_alone",
        Needs::Driver,
        cross_subnet,
    ),
    (
        "a_mode_is_switched_under_traffic",
        Needs::NoDriver,
        mode_switch,
    ),
    (
        "drivers_a_mode_is_switched_under_traffic",
        Needs::Driver,
        mode_switch,
    ),
    ("a_damaged_look_alike_is_mended", Needs::NoDriver, damage),
    ("leftovers_go_or_are_adopted", Needs::Root, leftovers),
    ("strangers_are_reported_and_stay", Needs::Root, strangers),
    (
        "a_workload_that_is_gone_loses_its_wire",
        Needs::Root,
        gone_workload,
    ),
    (
        "a_renumbered_node_is_found_again",
        Needs::NoDriver,
        renumbered,
    ),
    (
        "drivers_a_renumbered_node_is_found_again",
        Needs::Driver,
        renumbered,
    ),
    (
        "a_tunnel_whose_name_is_taken_is_named",
        Needs::NoDriver,
        tunnel_taken,
    ),
    ("a_renamed_underlay_is_followed", Needs::Root, renamed),
    ("a_missing_driver_is_named_once", Needs::NoDriver, no_driver),
    (
        "a_pool_that_comes_later_is_noticed",
        Needs::Root,
        later_pool,
    ),
];

fn reach() {
    let two = Two::new(IpipMode::Always);
    two.assert_reach();
    let remote = format!(
        "{} via 172.18.0.2 dev tunl0 proto bird onlink",
        two.block(1)
    );
    assert!(
        two.hosts[0].routes().contains(&remote),
        "{:?}",
        two.hosts[0].routes()
    );
    let own = format!("blackhole {} proto bird", two.block(0));
    assert!(
        two.hosts[0].routes().contains(&own),
        "{:?}",
        two.hosts[0].routes()
    );
    let synced = two.nodes[0].sync().unwrap();
    assert!(
        matches!(synced.data_path, DataPathState::Running { .. }),
        "{}",
        synced.data_path
    );
    let json: serde_json::Value = serde_json::from_str(&synced.to_json()).unwrap();
    assert_eq!(json["done"], serde_json::json!([]));
}

fn cross_subnet() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let hosts = [
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
        cluster.host("node-c", "172.19.0.4/16"),
    ];
    let nodes = hosts.each_ref().map(Host::join);
    let pods = [
        Pod::new("podA", "c1"),
        Pod::new("podB", "c2"),
        Pod::new("podC", "c3"),
    ];
    let mut addrs = vec![];
    for (node, pod) in nodes.iter().zip(&pods) {
        addrs.push(node.attach(&pod.workload).unwrap().address);
    }
    nodes.iter().for_each(|node| drop(settle(node)));
    let ways = |host: &Host| -> Vec<String> {
        let ways = host.routes();
        let mut ways: Vec<_> = ways
            .iter()
            .filter_map(|line| {
                line.split_once(" via ")?
                    .1
                    .strip_suffix(" proto bird onlink")
            })
            .map(str::to_owned)
            .collect();
        ways.sort();
        ways
    };
    assert_eq!(
        ways(&hosts[0]),
        ["172.18.0.2 dev eth0", "172.19.0.4 dev tunl0"]
    );
    assert_eq!(
        ways(&hosts[2]),
        ["172.18.0.2 dev tunl0", "172.18.0.3 dev tunl0"]
    );
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (2, 1)] {
        assert!(pods[from].reaches(addrs[to]), "{from} to {to}");
    }
}

/// calico#1325, #1584: every route follows the mode, on both sides, and packets pass meanwhile.
fn mode_switch() {
    let two = Two::new(IpipMode::Always);
    let mut before = IpipMode::Always;
    for (mode, device) in [
        (IpipMode::CrossSubnet, "eth0"),
        (IpipMode::Always, "tunl0"),
        (IpipMode::Never, "eth0"),
        (IpipMode::Always, "tunl0"),
    ] {
        two.cluster.set_mode(mode);
        settle(&two.nodes[0]);
        if (before, mode) == (IpipMode::CrossSubnet, IpipMode::Always) {
            // One side has switched and the other has not. The other way round it would have to forward
            // from its underlay before it knows why.
            two.assert_reach();
        }
        before = mode;
        settle(&two.nodes[1]);
        two.assert_reach();
        let way = format!(
            "{} via 172.18.0.2 dev {device} proto bird onlink",
            two.block(1)
        );
        assert!(
            two.hosts[0].routes().contains(&way),
            "{mode:?}: {:?}",
            two.hosts[0].routes()
        );
    }
}

/// What another data path made in the driver's place; `states.rs` has the driver's and all else.
fn damage() {
    let two = Two::new(IpipMode::Always);
    let (host, node) = (&two.hosts[0], &two.nodes[0]);
    let right = host.state();
    let other = two.block(1);
    for damage in [
        "ip link set tunl0 mtu 1400".to_owned(),
        "ip addr flush dev tunl0".to_owned(),
        "ip link set tunl0 down".to_owned(),
        "echo 0 > /proc/sys/net/ipv4/conf/tunl0/forwarding".to_owned(),
        "ip addr add 10.244.200.1/32 dev tunl0".to_owned(),
        format!("ip route replace {other} via 172.18.0.9 dev tunl0 onlink proto bird"),
        "ip route add 10.244.200.0/26 via 172.18.0.7 dev tunl0 onlink proto bird".to_owned(),
    ] {
        host.space.sh(&damage);
        assert_ne!(host.state(), right, "{damage}: it is damage");
        let plan = node.plan().unwrap();
        let synced = settle(node);
        assert_eq!(
            synced.done, plan.steps,
            "{damage}: what was planned is what was done"
        );
        assert_eq!(host.state(), right, "{damage}");
    }
    two.assert_reach();
}

fn leftovers() {
    let two = Two::new(IpipMode::CrossSubnet);
    let (host, node) = (&two.hosts[0], &two.nodes[0]);
    let other = two.block(1);
    // BIRD's own form of the direct route: not onlink.
    host.space.sh(&format!(
        "ip route replace {other} via 172.18.0.2 dev eth0 proto bird"
    ));
    settle(node);
    // Felix's are its own, until somebody says otherwise.
    host.space.sh(&format!(
        "ip route del {other}; ip route add {other} via 172.18.0.2 dev eth0 onlink proto 80"
    ));
    let before = host.routes();
    let synced = node.sync().unwrap();
    assert_eq!(synced.conflicts.len(), 1, "{before:?} {synced}");
    assert_eq!(host.routes(), before);
    let policy = Policy {
        adopt_felix: true,
        ..Policy::default()
    };
    let taken_over = host.open_as(host.config().with_policy(policy));
    let synced = settle(&taken_over);
    let felix = format!("{other} via 172.18.0.2 dev eth0 proto 80 onlink");
    assert!(
        synced
            .adopted
            .iter()
            .any(|route| route.to_string() == felix),
        "{synced}"
    );
    assert_eq!(taken_over.sync().unwrap().adopted, [], "told once");
    assert!(host.routes().contains(&format!(
        "{other} via 172.18.0.2 dev eth0 proto bird onlink"
    )));
}

fn strangers() {
    let two = Two::new(IpipMode::CrossSubnet);
    let (host, node) = (&two.hosts[0], &two.nodes[0]);
    let (mine, other) = (two.block(0), two.block(1));
    host.space.sh(
        "ip link add other0 type veth peer name other9; ip link set other0 up; ip addr add 10.99.0.1/24 dev other0",
    );
    for line in [
        "10.244.99.0/26 via 172.18.0.1 dev eth0 proto static",
        "10.244.98.0/26 via 172.18.0.2 dev eth0 proto 80",
        "10.55.0.0/16 via 172.18.0.2 dev eth0 proto bird",
        "10.244.97.0/26 dev other0 proto bird scope link",
        "10.244.96.0/26 via 172.18.0.1 dev eth0 proto bird",
        "192.0.2.0/24 via 172.18.0.1 dev eth0 metric 7",
    ] {
        host.space.sh(&format!("ip route add {line}"));
        let before = host.state();
        let synced = settle(node);
        assert!(synced.done.is_empty(), "{line}: {synced}");
        assert_eq!(host.state(), before, "{line}");
    }
    // Where ours should be, a stranger's is a conflict; the rest is done.
    host.space.sh(&format!(
        "ip route replace {other} via 172.18.0.9 dev eth0 proto static"
    ));
    host.space.sh(&format!("ip route del blackhole {mine}"));
    let synced = node.sync().unwrap();
    assert_eq!(
        synced.conflicts[0].to_string(),
        format!(
            "route {other} via 172.18.0.2 dev eth0 proto bird onlink: the prefix is taken by route \
             {other} via 172.18.0.9 dev eth0 proto static"
        )
    );
    assert_eq!(synced.done.len(), 1, "{synced}");
    assert!(!synced.is_settled());
    assert!(
        host.routes()
            .contains(&format!("{other} via 172.18.0.9 dev eth0 proto static"))
    );
}

fn gone_workload() {
    let two = Two::new(IpipMode::Always);
    let (host, node) = (&two.hosts[0], &two.nodes[0]);
    let stranger = "ip link add cali00000000001 type veth peer name other1";
    host.space.sh(stranger);
    // Its container died while no node ran, and a collector released its address.
    let handle = ipip_core::name::HandleId::try_new("k8s-pod-network.c1").unwrap();
    two.cluster.ipam.release_handle(&handle).unwrap();
    let synced = settle(node);
    let lines: Vec<_> = synced.done.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["ip link delete cali7f94ce7c295"]);
    host.space.sh("ip link show cali00000000001");
    // A wire that is gone cannot be mended from outside; the call of its runtime can.
    let pod = &two.pods[0];
    let address = node.attach(&pod.workload).unwrap().address;
    host.space.sh("ip link del cali7f94ce7c295");
    let synced = node.sync().unwrap();
    assert_eq!(
        synced.conflicts[0].to_string(),
        "link cali7f94ce7c295 does not exist"
    );
    assert_eq!(node.attach(&pod.workload).unwrap().address, address);
    settle(node);
}

fn renumbered() {
    let two = Two::new(IpipMode::Always);
    two.hosts[1].space.sh(
        "ip addr flush dev eth0; ip addr add 172.19.0.8/16 dev eth0; ip route add default via 172.19.0.1",
    );
    settle(&two.nodes[1]);
    settle(&two.nodes[0]);
    let record = two.cluster.ipam.node(&two.hosts[1].name).unwrap().unwrap();
    assert_eq!(record.subnet(), Some("172.19.0.0/16".parse().unwrap()));
    let way = format!(
        "{} via 172.19.0.8 dev tunl0 proto bird onlink",
        two.block(1)
    );
    assert!(
        two.hosts[0].routes().contains(&way),
        "{:?}",
        two.hosts[0].routes()
    );
    two.assert_reach();
}

/// The store knows nothing of it, nor need the node be opened anew.
fn renamed() {
    let cluster = Cluster::new(IpipMode::Never);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let other = cluster.host("node-b", "172.18.0.2/16");
    let (node, _other) = (host.join(), other.join());
    cluster
        .ipam
        .claim(&other.name, "10.244.3.0/26".parse().unwrap())
        .unwrap();
    settle(&node);
    let way = |device| format!("10.244.3.0/26 via 172.18.0.2 dev {device} proto bird onlink");
    assert!(host.routes().contains(&way("eth0")), "{:?}", host.routes());
    host.space.sh(
        "ip link set eth0 down; ip link set eth0 name wan0; ip link set wan0 up; ip route add default via 172.18.0.1",
    );
    settle(&node);
    assert!(host.routes().contains(&way("wan0")), "{:?}", host.routes());
}

fn tunnel_taken() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let hosts = [
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
        cluster.host("node-c", "172.19.0.4/16"),
    ];
    hosts[0]
        .space
        .sh("ip link add tunl0 type veth peer name other9");
    let nodes = hosts.each_ref().map(Host::join);
    let pods = ["a", "b", "c"].map(|name| Pod::new(name, name));
    for (node, pod) in nodes.iter().zip(&pods) {
        node.attach(&pod.workload).unwrap();
    }
    let synced = nodes[0].sync().unwrap();
    let DataPathState::Unavailable { reason } = &synced.data_path else {
        panic!("{synced}")
    };
    assert!(
        reason.contains("an interface of kind veth has it"),
        "{reason}"
    );
    assert!(!synced.is_settled());
    // What needs no tunnel is done.
    let routes = hosts[0].routes();
    assert!(
        routes
            .iter()
            .any(|line| line.ends_with("via 172.18.0.2 dev eth0 proto bird onlink"))
    );
    assert!(
        !routes.iter().any(|line| line.contains("dev tunl0")),
        "{routes:?}"
    );
    hosts[0].space.sh("ip link del tunl0");
    settle(&nodes[0]);
    assert!(
        hosts[0]
            .routes()
            .iter()
            .any(|line| line.contains("dev tunl0"))
    );
}

/// The kernel's driver or nothing, and it is nothing: no route is tried that could not be.
fn no_driver() {
    let cluster = Cluster::new(IpipMode::Always);
    let (host, other) = (
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
    );
    let pod = Pod::new("podB", "c2");
    other.join().attach(&pod.workload).unwrap();
    let node = host
        .join_as(host.config().with_data_path(Choice::Kernel))
        .unwrap();
    let synced = node.sync().unwrap();
    assert_eq!((synced.done.len(), synced.failed.len()), (0, 0), "{synced}");
    let DataPathState::Unavailable { reason } = &synced.data_path else {
        panic!("{synced}")
    };
    assert!(
        reason.contains("this kernel has no ipip driver"),
        "{reason}"
    );
}

/// calicoctl#772, #880: no pool asks for a tunnel at first.
fn later_pool() {
    let cluster = Cluster::new(IpipMode::Never);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let node = host.join();
    assert_eq!(node.sync().unwrap().data_path, DataPathState::Idle);
    assert_eq!(
        cluster
            .ipam
            .node(&host.name)
            .unwrap()
            .unwrap()
            .tunnel_addr(),
        None
    );
    cluster.set_mode(IpipMode::Always);
    let synced = settle(&node);
    assert!(
        matches!(synced.data_path, DataPathState::Running { .. }),
        "{synced}"
    );
    let tunnel = cluster
        .ipam
        .node(&host.name)
        .unwrap()
        .unwrap()
        .tunnel_addr()
        .unwrap();
    let inside = host.space.sh("ip -4 -br addr show dev tunl0");
    assert!(inside.contains(&format!(" {}/32", tunnel.0)), "{inside}");
}

/// By its device, as `ip -s` prints it.
fn counted() {
    let two = Two::new(IpipMode::Always);
    two.assert_reach();
    for (node, host) in two.nodes.iter().zip(&two.hosts) {
        let counters = node.traffic().unwrap().unwrap();
        let printed = host.space.sh("ip -s link show tunl0");
        let words: Vec<_> = printed.split_whitespace().collect();
        let behind = |word: &str| words.iter().position(|found| *found == word).unwrap();
        // Headings and numbers below them: octets, packets, …, six of each.
        let row = |direction: &str, at: usize| -> u64 {
            words[behind(direction) + 7 + at].parse().unwrap()
        };
        let (sent, received) = (counters.sent, counters.received);
        assert!(counters.of_driver && sent.packets >= 2, "{counters:?}");
        assert_eq!([sent.octets, sent.packets], [0, 1].map(|at| row("TX:", at)));
        let wanted = [0, 1].map(|at| row("RX:", at));
        assert_eq!([received.octets, received.packets], wanted, "{printed}");
        let untold: Vec<_> = counters
            .by_name()
            .into_iter()
            .filter(|(_, told)| told.is_none())
            .collect();
        assert_eq!(untold.len(), 9, "{untold:?}");
    }
}
