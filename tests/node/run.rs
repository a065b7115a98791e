//! `Node::run`: a node that keeps itself as it should be.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ipip_core::datastore::Store;
use ipip_core::ipam::Ambient;
use ipip_core::node::{Node, RunEvent, Stop};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Pod};
use crate::crash::{open, rebooted, stage};
use crate::states::Words;
use crate::support::{Needs, Test, soon};
use crate::two::Two;
use crate::unsteady::Unsteady;

pub(crate) const TESTS: &[Test] = &[
    ("run_follows_the_store_and_the_kernel", Needs::Root, follows),
    ("run_puts_a_lost_route_back_alone", Needs::Root, mends),
    ("run_survives_a_store_out_of_reach", Needs::Root, survives),
    ("run_takes_turns_with_attach", Needs::Root, turns),
    ("run_stops_and_takes_nothing_down", Needs::NoDriver, stops),
    (
        "drivers_run_stops_and_takes_nothing_down",
        Needs::Driver,
        stops,
    ),
];

/// Runs `node` while `work` is done.
pub(crate) fn while_running(node: &Node, work: impl FnOnce(&Receiver<RunEvent>)) {
    let stop = Stop::default();
    let (sender, told) = channel();
    thread::scope(|scope| {
        let ended = stop.clone();
        let run = scope.spawn(move || node.run(&ended, |event| drop(sender.send(event))));
        // A test that fails ends it too.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&told)));
        stop.stop();
        let stopped = Instant::now();
        run.join().unwrap().unwrap();
        assert!(stopped.elapsed() < Duration::from_secs(20), "it stops soon");
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

fn follows() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let (a, b) = (
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
    );
    let node = a.join();
    while_running(&node, |_| {
        let other = b.join();
        let pod = Pod::new("podB", "c2");
        let address = other.attach(&pod.workload).unwrap().address;
        let block = cluster.ipam.block_of(address).unwrap().unwrap().prefix();
        let way = format!("{block} via 172.18.0.2 dev eth0 proto bird onlink");
        soon("a new node's block is routed", || a.routes().contains(&way));
        a.space.sh(&format!("ip route del {block}"));
        soon("a route that somebody deleted is back", || {
            a.routes().contains(&way)
        });
        // netlink.md 0.6: no event tells of the routes that go with a device.
        a.space
            .sh("ip link set eth0 down; ip link set eth0 up; ip route add default via 172.18.0.1");
        soon("the routes are back after the device was down", || {
            a.routes().contains(&way)
        });
    });
    let counters = node.counters();
    assert!(
        counters.changes > 0 && counters.events > 0 && counters.passes > 2,
        "{counters:?}"
    );
    assert!(counters.applied > 2, "{counters:?}");
}

/// What happens to routes, and whether everything must be compared for it.
const EVENTS: &[(&str, bool)] = &[
    ("ip route del {block}", false),
    ("ip route del {pod}", false),
    ("ip route del blackhole {own}; ip route del {block}", false),
    ("ip route add 192.0.2.0/24 via 172.18.0.2", false),
    ("ip route del 192.0.2.0/24", false),
    (
        "ip route replace {block} via 172.18.0.9 dev eth0 onlink proto bird",
        true,
    ),
    (
        "ip route del {block}; ip route add {block} via 172.18.0.9 dev eth0 onlink proto bird metric 7",
        true,
    ),
    (
        "ip route add blackhole 10.244.200.0/26 proto bird; ip route del {block}",
        true,
    ),
    (
        "ip route del default; ip route add default via 172.18.0.1",
        true,
    ),
    (
        "ip addr add 192.0.2.7/32 dev eth0; ip route del {block}",
        true,
    ),
    (
        "ip link add other type veth peer name another; ip route del {block}",
        true,
    ),
];

/// A setting, of which no event tells, says whether everything was looked at.
fn mends() {
    let (cluster, name) = stage(IpipMode::Never);
    let host = rebooted(&cluster, &name);
    let words = Words::of(&cluster);
    let node = open(&host);
    while_running(&node, |told| {
        while told.recv_timeout(Duration::from_secs(2)).is_ok() {}
        let right = host.routes();
        for (line, is_whole) in EVENTS {
            let line = words.fill(&line.replace("{block}", "{near}"));
            let setting = "/proc/sys/net/ipv4/conf/eth0/forwarding";
            host.space.sh(&format!("echo 0 >{setting}"));
            let before = node.counters().events;
            host.space.sh(&line);
            let is_seen = || host.space.sh(&format!("cat {setting}")) == "1\n";
            soon(&line, || node.counters().events > before);
            if *is_whole {
                soon(&line, is_seen);
            }
            let is_right = || {
                let routes = host.routes();
                right.iter().all(|route| routes.contains(route))
            };
            soon(&line, is_right);
            // Longer than a run waits for more.
            thread::sleep(Duration::from_millis(300));
            assert_eq!(is_seen(), *is_whole, "{line}");
            assert!(is_right(), "{line}");
            while told.try_recv().is_ok() {}
        }
    });
    let plan = node.plan().unwrap();
    let lines: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(lines, Vec::<String>::new());
}

fn survives() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let (a, b) = (
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
    );
    a.join();
    let unsteady = Unsteady::before(&cluster.store);
    let store = Arc::clone(&unsteady) as Arc<dyn Store>;
    let node = Node::open(store, a.config(), Ambient::system()).unwrap();
    while_running(&node, |told| {
        soon("a first pass", || node.counters().passes > 0);
        unsteady.fail(true);
        let is_failure = |event: RunEvent| match event {
            RunEvent::Failed { error, .. } => error.to_string().contains("out of reach"),
            RunEvent::Synced(synced) => synced.stale.is_some(),
            _ => false,
        };
        let deadline = Duration::from_secs(30);
        while !is_failure(told.recv_timeout(deadline).unwrap()) {}
        let other = b.join();
        let pod = Pod::new("podB", "c2");
        other.attach(&pod.workload).unwrap();
        unsteady.fail(false);
        let deadline = Instant::now() + Duration::from_secs(60);
        let there = || {
            a.routes()
                .iter()
                .any(|line| line.contains(" via 172.18.0.2 dev eth0 "))
        };
        while !there() {
            assert!(Instant::now() < deadline, "{:?}", a.routes());
            thread::sleep(Duration::from_millis(50));
        }
    });
}

/// A pass that read the store before an attach must not take its wire for one of nobody.
fn turns() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let (node, other) = (host.join(), host.join());
    while_running(&node, |_| {
        for round in 0..16 {
            let pod = Pod::new(&format!("pod{round}"), &format!("c{round}"));
            // By the value that runs, and by another process's; at any instant of a pass.
            let by = [&node, &other][round % 2];
            host.space
                .sh("ip route add blackhole 10.244.200.0/26 proto bird");
            thread::sleep(Duration::from_millis(
                40 + 5 * u64::try_from(round).unwrap(),
            ));
            let attached = by.attach(&pod.workload).unwrap();
            thread::sleep(Duration::from_millis(150));
            host.space
                .sh(&format!("ip link show {}", attached.host_veth));
            by.detach(pod.id()).unwrap();
            let gone = || !host.space.sh("ip route").contains("10.244.200.0/26");
            soon("the stale route is gone", gone);
        }
    });
    assert!(node.counters().passes > 2);
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn stops() {
    let two = Two::new(IpipMode::Always);
    let before = two.hosts[0].state();
    let passes = || two.nodes[0].counters().passes;
    let start = passes();
    while_running(&two.nodes[0], |_| {
        soon("a pass", || passes() > start);
    });
    assert_eq!(two.hosts[0].state(), before);
    two.assert_reach();
}
