//! Routes that go by next hop objects: switched on and off on a node that lives, mended whatever becomes of them, and
//! taken away with the node. `ip` says what there is.

use std::thread;
use std::time::Duration;

use ipip_core::node::{LeaveOptions, Node};
use ipip_core::overlay::Policy;
use ipip_core::resource::IpipMode;

use crate::cluster::Host;
use crate::crash::{open, rebooted, stage};
use crate::run::while_running;
use crate::support::{Needs, Test, soon};
use crate::two::settle;

pub(crate) const TESTS: &[Test] = &[
    ("next_hop_objects_are_converged", Needs::Root, || {
        converged(IpipMode::Never, 1)
    }),
    (
        "drivers_next_hop_objects_are_converged",
        Needs::Driver,
        || converged(IpipMode::CrossSubnet, 2),
    ),
    (
        "run_puts_next_hop_objects_back",
        Needs::Root,
        run_puts_them_back,
    ),
];

/// Objects of somebody else's: of another protocol, and of ours under a number that we would not give.
const FOREIGN: &str = "ip nexthop add id 77 via 172.18.0.1 dev eth0 proto static
    ip nexthop add id 78 via 172.18.0.2 dev eth0 onlink proto bird
    ip nexthop add id 79 blackhole proto bird; ip nexthop add id 80 group 77/78 proto bird";

/// What becomes of ours; each is mended. `{near}` is the number of the one to the node in the same subnet.
const STATES: &[&str] = &[
    "ip nexthop del id {near}",
    "ip nexthop replace id {near} via 172.18.0.9 dev eth0 onlink proto bird",
    "ip route del {block}",
    "ip route replace {block} via 172.18.0.2 dev eth0 onlink proto bird",
    "ip route replace {block} nhid 77 proto bird",
    // The complement of 172.18.0.55.
    "ip nexthop add id 1408106440 via 172.18.0.55 dev eth0 onlink proto bird",
    "ip link set eth0 down; ip link set eth0 up; ip route add default via 172.18.0.1; ip nexthop flush; {foreign}",
];

fn by_objects(host: &Host) -> Node {
    let policy = Policy {
        next_hop_objects: true,
        ..Policy::default()
    };
    host.open_as(host.config().with_guard(false).with_policy(policy))
}

/// All that `ip` tells of routes and next hops.
fn lines(host: &Host) -> Vec<String> {
    let mut lines = host.state();
    let objects = host.space.sh("ip nexthop");
    lines.extend(objects.lines().map(|line| line.trim().to_owned()));
    lines
}

fn objects(host: &Host) -> usize {
    let lines = host.space.sh("ip nexthop show proto 12");
    lines
        .lines()
        .filter(|line| line.contains(" onlink"))
        .count()
        - 1
}

/// `count`: how many nodes have routes to them.
fn converged(mode: IpipMode, count: usize) {
    let (cluster, name) = stage(mode);
    let host = rebooted(&cluster, &name);
    settle(&open(&host));
    host.space.sh(FOREIGN);
    let off = lines(&host);
    // On: by us, and by the tools with what a plan prints.
    let twin = rebooted(&cluster, &name);
    settle(&open(&twin));
    twin.space.sh(FOREIGN);
    let script = by_objects(&twin).plan().unwrap().to_string();
    assert!(script.contains("ip nexthop add id "), "{script}");
    twin.space.sh(&format!("set -e\n{script}"));
    let node = by_objects(&host);
    settle(&node);
    let on = lines(&host);
    assert_eq!(on, lines(&twin), "{script}");
    assert_eq!(objects(&host), count, "{on:?}");
    let by_number = on.iter().find(|line| line.contains(" nhid 1408106493 "));
    let by_number = by_number.unwrap_or_else(|| panic!("{on:?}"));
    let block = by_number.split(' ').next().unwrap();
    for state in STATES {
        let line = state
            .replace("{near}", "1408106493")
            .replace("{block}", block)
            .replace("{foreign}", FOREIGN);
        host.space.sh(&line);
        settle(&node);
        assert_eq!(lines(&host), on, "{line}");
    }
    // Off again.
    let script = open(&twin).plan().unwrap().to_string();
    twin.space.sh(&format!("set -e\n{script}"));
    assert_eq!(lines(&twin), off, "{script}");
    settle(&open(&host));
    assert_eq!(lines(&host), off);
    // And left while on.
    settle(&node);
    assert_eq!(lines(&host), on);
    let left = node.leave(&LeaveOptions::default()).unwrap();
    assert!(left.is_complete(), "{}", left.to_json());
    assert_eq!(objects(&host), 0);
    let remain = host.space.sh("ip nexthop");
    for id in 77..=80 {
        assert!(remain.contains(&format!("id {id} ")), "{remain}");
    }
}

fn run_puts_them_back() {
    let (cluster, name) = stage(IpipMode::Never);
    let host = rebooted(&cluster, &name);
    host.space.sh(FOREIGN);
    let node = by_objects(&host);
    let routes = || {
        let found = host.routes();
        found.iter().filter(|line| line.contains(" nhid ")).count()
    };
    while_running(&node, |_| {
        soon("the route is there", || routes() == 1);
        // Else what was done would be looked at once more for its own sake.
        soon("nothing moves any more", || {
            let before = node.counters();
            thread::sleep(Duration::from_millis(500));
            node.counters() == before
        });
        // The kernel tells of the object, and not of its routes.
        host.space.sh("ip nexthop del id 1408106493");
        soon("the object is back with its route", || routes() == 1);
    });
}
