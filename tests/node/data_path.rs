//! Who carries a node's packets where the kernel has no driver: eBPF programs, which go on when the node's process ends;
//! or user space, if that is asked for.

use ipip_core::datapath::{Choice, DataPathKind};
use ipip_core::node::{DataPathState, LeaveOptions, Node, Synced};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Scratch, Test, soon, tcx, tcx_names};
use crate::two::{Two, settle};

pub(crate) const TESTS: &[Test] = &[
    ("programs_outlive_their_node", Needs::NoDriver, outlive),
    (
        "a_second_process_leaves_the_programs_to_the_first",
        Needs::NoDriver,
        second,
    ),
    (
        "a_lost_device_of_the_programs_is_made_anew",
        Needs::NoDriver,
        lost_device,
    ),
    (
        "programs_that_somebody_took_away_are_put_back",
        Needs::NoDriver,
        lost_programs,
    ),
    (
        "a_device_without_its_program_is_known_again",
        Needs::NoDriver,
        lost_while_away,
    ),
    (
        "programs_go_when_no_pool_asks_for_a_tunnel",
        Needs::NoDriver,
        no_tunnel,
    ),
    (
        "a_path_goes_behind_the_routes_through_it",
        Needs::NoDriver,
        routes_first,
    ),
    ("leave_takes_the_programs", Needs::NoDriver, leave),
    (
        "nodes_of_different_paths_reach_each_other",
        Needs::NoDriver,
        different,
    ),
];

#[track_caller]
fn assert_carried_by(synced: &Synced, expected: DataPathKind) {
    let DataPathState::Running { kind, .. } = synced.data_path else {
        panic!("{synced}")
    };
    assert_eq!(kind, expected, "{synced}");
}

fn open(host: &Host) -> Node {
    host.open_as(host.config())
}

/// Where the programs are attached.
const HOOKS: [&str; 2] = ["eth0 ingress", "tunl0 egress"];

/// How many programs are attached at the interfaces of a host: by TCX, or as the filters that `tc` tells of.
fn count(host: &Host) -> usize {
    let at = |at: &str| {
        let names = tcx_names(&host.space.netns, at).unwrap_or_default();
        let filters = host.space.sh(&format!("tc filter show dev {at}"));
        let ours = names.iter().filter(|name| *name == "ipip_tunl0").count();
        ours + filters.matches("ipip:tunl0").count()
    };
    HOOKS.into_iter().map(at).sum()
}

/// What is left at the underlay's hook of TCX.
fn programs(host: &Host) -> Vec<String> {
    tcx_names(&host.space.netns, HOOKS[0]).unwrap_or_default()
}

/// As anybody can who may.
fn take_away(host: &Host, at: &str) {
    let netns = &host.space.netns;
    if tcx_names(netns, at).is_some() {
        tcx(netns, &format!("detach {at} ipip_tunl0"));
    } else {
        let device = at.split(' ').next().unwrap();
        host.space.sh(&format!("tc qdisc del dev {device} clsact"));
    }
}

fn outlive() {
    let two = Two::new(IpipMode::Always);
    assert_carried_by(&two.nodes[0].sync().unwrap(), DataPathKind::Bpf);
    assert_eq!(count(&two.hosts[0]), 2);
    two.assert_reach();
    for node in &two.nodes {
        let carried = node.traffic().unwrap().unwrap();
        // An echo and a reply at least, and none refused.
        assert!(
            carried.sent.packets >= 2 && carried.received.packets >= 2,
            "{carried:?}"
        );
        assert_eq!(carried.drops.unknown_node + carried.drops.foreign_source, 0);
    }
    let Two {
        cluster: _cluster,
        hosts,
        nodes,
        pods,
        addrs,
    } = two;
    drop(nodes);
    assert!(pods[0].reaches(addrs[1]) && pods[1].reaches(addrs[0]));
    for host in &hosts {
        let node = open(host);
        let plan = node.plan().unwrap();
        assert!(plan.is_empty() && plan.conflicts.is_empty(), "{plan}");
        let synced = settle(&node);
        assert!(synced.done.is_empty(), "{synced}");
        assert_carried_by(&synced, DataPathKind::Bpf);
    }
    assert!(pods[0].reaches(addrs[1]) && pods[1].reaches(addrs[0]));
}

fn second() {
    let two = Two::new(IpipMode::Always);
    let other = open(&two.hosts[0]);
    let synced = settle(&other);
    assert_eq!(synced.data_path, DataPathState::Elsewhere);
    drop(other);
    two.settle();
    assert_carried_by(&two.nodes[0].sync().unwrap(), DataPathKind::Bpf);
    two.assert_reach();
}

fn lost_device() {
    let two = Two::new(IpipMode::Always);
    two.hosts[0].space.sh("ip link del tunl0");
    assert!(!two.pods[0].reaches(two.addrs[1]));
    two.settle();
    assert_carried_by(&two.nodes[0].sync().unwrap(), DataPathKind::Bpf);
    two.assert_reach();
}

/// At either end, or both.
const LOSSES: [&[&str]; 3] = [&["eth0 ingress"], &["tunl0 egress"], &HOOKS];

/// Meanwhile the process carries the packets itself, as it does the odd ones.
fn lost_programs() {
    let two = Two::new(IpipMode::Always);
    let host = &two.hosts[0];
    for loss in LOSSES {
        assert_eq!(count(host), 2, "before {loss:?}");
        loss.iter().for_each(|at| take_away(host, at));
        assert_eq!(count(host), 2 - loss.len(), "after {loss:?}");
        two.assert_reach();
        two.settle();
        assert_carried_by(&two.nodes[0].sync().unwrap(), DataPathKind::Bpf);
    }
    two.cluster.renew_underlay(host, "172.18.0.3/16");
    assert_eq!(count(host), 1, "with a new interface");
    two.settle();
    assert_eq!(count(host), 2, "of a new interface");
    two.assert_reach();
}

/// Nobody was there when it happened.
fn lost_while_away() {
    let Two {
        cluster: _cluster,
        hosts,
        nodes: [node, other],
        pods,
        addrs,
    } = Two::new(IpipMode::Always);
    drop(node);
    for loss in LOSSES {
        loss.iter().for_each(|at| take_away(&hosts[0], at));
        let node = open(&hosts[0]);
        assert_carried_by(&settle(&node), DataPathKind::Bpf);
        assert!(pods[0].reaches(addrs[1]), "after {loss:?}");
    }
    take_away(&hosts[0], HOOKS[1]);
    let left = open(&hosts[0]).leave(&LeaveOptions::default()).unwrap();
    assert!(left.is_complete(), "{}", left.to_json());
    let links = hosts[0].space.sh("ip -o link");
    assert!(!links.contains("tunl0"), "{links}");
    drop(other);
}

fn no_tunnel() {
    let two = Two::new(IpipMode::Always);
    two.cluster.set_mode(IpipMode::Never);
    for (node, host) in two.nodes.iter().zip(&two.hosts) {
        let synced = node.sync().unwrap();
        assert_eq!(synced.data_path, DataPathState::Idle);
        let said = synced.to_string();
        assert!(said.contains("ip link delete tunl0"), "{said}");
        let left = host
            .space
            .sh("ip -o link; tc qdisc; tc filter show dev eth0 ingress");
        assert!(
            !left.contains("tunl0") && !left.contains("clsact"),
            "{left}"
        );
        assert_eq!(programs(host), Vec::<String>::new());
    }
    two.settle();
    two.assert_reach();
    two.cluster.set_mode(IpipMode::Always);
    two.settle();
    assert_carried_by(&two.nodes[0].sync().unwrap(), DataPathKind::Bpf);
    two.assert_reach();
}

/// What `ip monitor` prints of a host's links and routes while `act` acts, up to the first that is deleted.
fn monitored(host: &Host, act: impl FnOnce()) -> String {
    let scratch = Scratch::new();
    let file = scratch.file("monitor");
    let printed = || std::fs::read_to_string(&file).unwrap_or_default();
    let into = file.display();
    let listen = format!("timeout 60 ip -o monitor label link route >{into} 2>&1 & echo $!");
    let monitor = host.space.sh(&listen);
    soon("ip monitor listens", || {
        let change = "ip link set lo mtu 65535; ip link set lo mtu 65536";
        host.space.sh(change);
        printed().contains("lo:")
    });
    act();
    soon("something is deleted", || printed().contains("Deleted"));
    host.space.sh(&format!("kill {monitor}"));
    printed()
}

/// Until its route leads another way, a packet has one through the device.
fn routes_first() {
    for choice in [Choice::Userspace, Choice::Bpf] {
        let cluster = Cluster::new(IpipMode::Always);
        let hosts = [
            cluster.host("node-a", "172.18.0.3/16"),
            cluster.host("node-b", "172.18.0.2/16"),
        ];
        let nodes = hosts
            .each_ref()
            .map(|host| host.join_as(host.config().with_data_path(choice)).unwrap());
        let pod = Pod::new("podB", "c2");
        nodes[1].attach(&pod.workload).unwrap();
        settle(&nodes[0]);
        cluster.set_mode(IpipMode::Never);
        let said = monitored(&hosts[0], || {
            assert_eq!(nodes[0].sync().unwrap().data_path, DataPathState::Idle);
        });
        let place = |what: &str, begin: &str| {
            let is_it = |line: &str| line.contains(what) && line.starts_with(begin);
            let found = said.lines().position(is_it);
            found.unwrap_or_else(|| panic!("no {what}, {choice:?}: {said}"))
        };
        let way = place("/26 via 172.18.0.2 dev eth0", "[ROUTE]10.");
        let gone = place("tunl0", "[LINK]Deleted");
        assert!(way < gone, "{choice:?}: {said}");
    }
}

/// By another process than the one that started them.
fn leave() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let before = (host.state(), host.space.sh("tc qdisc"));
    let node = host.join();
    assert_carried_by(&settle(&node), DataPathKind::Bpf);
    drop(node);
    let left = open(&host).leave(&LeaveOptions::default()).unwrap();
    assert!(left.is_complete(), "{}", left.to_json());
    assert_eq!((host.state(), host.space.sh("tc qdisc")), before);
    assert_eq!(programs(&host), Vec::<String>::new());
}

fn different() {
    let cluster = Cluster::new(IpipMode::Always);
    let kinds = [
        (Choice::Bpf, DataPathKind::Bpf),
        (Choice::Userspace, DataPathKind::Userspace),
    ];
    let hosts = [
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
    ];
    let pods = [Pod::new("podA", "c1"), Pod::new("podB", "c2")];
    let mut joined = vec![];
    for ((host, pod), (choice, _)) in hosts.iter().zip(&pods).zip(kinds) {
        let node = host.join_as(host.config().with_data_path(choice)).unwrap();
        let addr = node.attach(&pod.workload).unwrap().address;
        joined.push((node, addr));
    }
    for ((node, _), (_, kind)) in joined.iter().zip(kinds) {
        assert_carried_by(&settle(node), kind);
    }
    settle(&joined[0].0);
    assert!(pods[0].reaches(joined[1].1) && pods[1].reaches(joined[0].1));
}
