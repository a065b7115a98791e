//! Many steps at once: the same kernel as by one step after the other, and every failure by name.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::mtu::TunnelMtu;
use ipip_core::netlink::{Applied, Kernel, NetlinkError};
use ipip_core::overlay::WorkloadEndpoint;
use ipip_core::plan::{
    Change, NextHop, Place, Route, RouteProtocol, Setting, Step, Target, ensure,
};

use crate::changes::{every_change, state};
use crate::support::{Named, World, addr, at, name};

const ENODEV: i32 = 19;
const ENETUNREACH: i32 = 101;

fn node(change: Change) -> Step {
    at(&Place::Node, change)
}

/// The `number`th /26 of 10.0.0.0/8, through `device`.
pub(crate) fn peer_route(number: u32, device: &str) -> Route {
    let network = (0x0a00_0000 + number * 64).into();
    let target = Target::Device {
        device: name(device),
        next_hop: NextHop::Onlink(NodeAddr([172, 18, 0, 2].into())),
    };
    let prefix = Ipv4Prefix::try_new(network, 26).unwrap();
    Route::new(prefix, target, RouteProtocol::BIRD)
}

fn failures(applied: &Applied) -> Vec<(usize, Option<i32>)> {
    let failures = applied.failed.iter();
    failures.map(|f| (f.step, f.cause.errno())).collect()
}

/// Every change there is, each prefix of the list in one call, in twin worlds.
pub(crate) fn many_at_once_equal_one_by_one() {
    let lengths = every_change(&Place::Node).len();
    for len in [12, 13, 20, 24, lengths] {
        let (mut ours, mut theirs) = (World::new(), World::new());
        let steps = every_change(&ours.inside);
        let applied = ours.kernel.apply_all(&steps[..len]);
        assert!(applied.is_complete(), "{len}: {applied:?}");
        assert_eq!(applied.done, len);
        let steps = every_change(&theirs.inside);
        theirs.kernel.apply(&steps[..len]).unwrap();
        let (found, expected) = (
            state(&ours.node, &ours.pod),
            state(&theirs.node, &theirs.pod),
        );
        for (ours, theirs) in found.iter().zip(&expected) {
            assert_eq!(ours, theirs, "{len} steps");
        }
        assert_eq!(found.len(), expected.len());
    }
}

/// A node, its pods, and the steps that wire them all.
pub(crate) struct Wiring {
    pub(crate) node: Named,
    pods: Vec<Named>,
    pub(crate) kernel: Kernel,
    pub(crate) steps: Vec<Step>,
}

impl Wiring {
    pub(crate) fn new(count: u8) -> Self {
        let node = Named::new("node");
        let mut kernel = Kernel::open(&node.netns).unwrap();
        let observed = kernel.observe().unwrap();
        let mtu = TunnelMtu::try_new(1480).unwrap();
        let (mut pods, mut steps) = (vec![], vec![]);
        for last in 1..=count {
            let pod = Named::new("pod");
            kernel.add_workload(&pod.netns).unwrap();
            let endpoint = WorkloadEndpoint::new(
                "default",
                &format!("pod-{last}"),
                [10, 244, 79, last].into(),
                mtu,
            );
            let plan = ensure(&endpoint.desired(pod.netns.path()), &observed);
            steps.extend(plan.steps);
            pods.push(pod);
        }
        Self {
            node,
            pods,
            kernel,
            steps,
        }
    }
}

/// The pods' steps stand one pod after the other, as they were planned.
pub(crate) fn many_pods_are_wired_as_one_by_one() {
    let (mut ours, mut theirs) = (Wiring::new(40), Wiring::new(40));
    let applied = ours.kernel.apply_all(&ours.steps);
    assert!(applied.is_complete(), "{applied:?}");
    theirs.kernel.apply(&theirs.steps).unwrap();
    for (ours_pod, theirs_pod) in ours.pods.iter().zip(&theirs.pods) {
        assert_eq!(
            state(&ours.node, ours_pod).len(),
            state(&theirs.node, theirs_pod).len()
        );
    }
    let (last, twin) = (ours.pods.last().unwrap(), theirs.pods.last().unwrap());
    for (ours, theirs) in state(&ours.node, last)
        .iter()
        .zip(&state(&theirs.node, twin))
    {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.node.sh("ip route show").lines().count(), 40);
}

/// In the middle of ten thousand, of which some are wrong in several ways.
pub(crate) fn failures_in_the_middle_are_named() {
    let mut world = World::new();
    world.node.sh(
        "ip link add eth0 type veth peer name other; ip link set eth0 up; ip addr add 172.18.0.3/32 dev eth0",
    );
    let far = Target::Device {
        device: name("eth0"),
        next_hop: NextHop::Gateway([192, 0, 2, 1].into()),
    };
    let mut wrong = BTreeSet::new();
    let steps: Vec<Step> = (0..10_000)
        .map(|number| {
            let mut route = peer_route(number, "eth0");
            if number % 1000 == 7 {
                wrong.insert((usize::try_from(number).unwrap(), Some(ENETUNREACH)));
                route.target = far.clone();
            } else if number % 1000 == 500 {
                wrong.insert((usize::try_from(number).unwrap(), Some(ENODEV)));
                route = peer_route(number, "nosuch");
            }
            node(Change::AddRoute(route))
        })
        .collect();
    let applied = world.kernel.apply_all(&steps);
    assert_eq!(failures(&applied), wrong.into_iter().collect::<Vec<_>>());
    assert_eq!((applied.done, applied.unknown.len()), (9_980, 0));
    let text = applied.failed[0].cause.to_string();
    assert!(
        text.starts_with("route 10.0.1.192/26 via 192.0.2.1 dev eth0 proto bird: "),
        "{text}"
    );
    assert_eq!(world.node.sh("ip route show").lines().count(), 9_980);
}

/// Each is answered, whether that was asked for or not: far more answers than a buffer holds.
pub(crate) fn ten_thousand_failures_are_all_told() {
    let mut world = World::new();
    world.node.sh("ip link add eth0 type veth peer name other");
    let routes = (0..10_000).map(|number| node(Change::AddRoute(peer_route(number, "eth0"))));
    let steps: Vec<Step> = routes.collect();
    let start = Instant::now();
    let applied = world.kernel.apply_all(&steps);
    assert_eq!((applied.done, applied.failed.len()), (0, 10_000));
    assert!(applied.unknown.is_empty());
    assert!(start.elapsed() < Duration::from_secs(5));
    // And the socket is as good as before.
    assert!(world.kernel.observe().is_ok());
}

/// What stands on a link that could not be created is not tried, in either namespace.
pub(crate) fn a_failed_creation_takes_its_steps_along() {
    let mut world = World::new();
    world.node.sh(
        "ip link add taken type veth peer name other; ip link add cali2 type veth peer name free",
    );
    let create = |host: &str, inside: &str| {
        node(Change::CreateVeth {
            name: name(host),
            mac: None,
            mtu: None,
            peer_place: world.inside.clone(),
            peer_name: name(inside),
        })
    };
    let up = |place: &Place, device: &str| at(place, Change::SetUp { name: name(device) });
    let steps = [
        create("taken", "eth0"),
        up(&Place::Node, "taken"),
        up(&world.inside, "eth0"),
        create("cali1", "eth1"),
        up(&Place::Node, "cali1"),
        up(&world.inside, "eth1"),
        at(
            &Place::Workload(std::path::Path::new("/run/netns/never").into()),
            Change::SetUp { name: name("lo") },
        ),
        node(Change::SetAlias {
            name: name("cali1"),
            alias: "a".repeat(70_000),
        }),
    ];
    let applied = world.kernel.apply_all(&steps);
    let failed: Vec<_> = applied.failed.iter().map(|f| f.step).collect();
    assert_eq!((failed, applied.done), (vec![0, 1, 2, 6, 7], 3));
    assert!(applied.failed[0].cause.is_already_there() && applied.is_stale());
    for after in &applied.failed[1..3] {
        let NetlinkError::NotTried { creation: 0, .. } = after.cause else {
            panic!("{after:?}")
        };
    }
    assert_eq!(
        applied.failed[1].cause.to_string(),
        "link taken: not tried, the link was not created by step 1"
    );
    let taken = &world.node.ip("link show taken")[0];
    assert!(!taken["flags"].as_array().unwrap().contains(&"UP".into()));
}

/// A deletion frees the name and the routes that what follows needs, and comes after what precedes it.
pub(crate) fn a_deletion_stays_in_its_place() {
    let mut world = World::new();
    world.node.sh(
        "ip link add old type veth peer name other; ip link set old up; ip addr add 172.18.0.3/32 dev old
         ip route add 10.0.0.0/26 via 172.18.0.2 dev old proto bird onlink",
    );
    let create = |host: &str| {
        node(Change::CreateVeth {
            name: name(host),
            mac: None,
            mtu: None,
            peer_place: world.inside.clone(),
            peer_name: name("eth0"),
        })
    };
    let up = |device: &str| node(Change::SetUp { name: name(device) });
    let steps = [
        node(Change::DeleteRoute(peer_route(0, "old"))),
        node(Change::DeleteLink { name: name("old") }),
        create("old"),
        up("old"),
        node(Change::AddAddress {
            name: name("old"),
            address: addr("172.18.0.3/32"),
        }),
        node(Change::AddRoute(peer_route(0, "old"))),
        node(Change::Set {
            name: name("old"),
            setting: Setting::Forwarding,
            value: 1,
        }),
        node(Change::DeleteLink { name: name("old") }),
        create("new"),
        up("new"),
    ];
    let applied = world.kernel.apply_all(&steps);
    assert!(applied.is_complete(), "{applied:?}");
    let links = world.node.ip("link show type veth");
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["ifname"], "new");
    assert_eq!(world.node.sh("ip route show"), "");
}

/// By the group, which nobody else's link is in; and those that were in a group of their own stay.
pub(crate) fn only_ours_are_deleted_together() {
    let mut world = World::new();
    world.node.sh(
        "for i in $(seq 70); do ip link add cali$i type veth peer name peer$i; done
         for i in $(seq 5); do ip link add foreign$i group 77 type veth peer name other$i; done
         ip link set cali3 group 77",
    );
    let delete = |text: &str| node(Change::DeleteLink { name: name(text) });
    let mut steps: Vec<Step> = (1..=70).map(|i| delete(&format!("cali{i}"))).collect();
    steps.insert(35, delete("nosuch"));
    // Acknowledged for no one: the loopback device cannot be deleted.
    steps.push(delete("lo"));
    let start = Instant::now();
    let applied = world.kernel.apply_all(&steps);
    let took = start.elapsed();
    assert_eq!(applied.done, 70, "{applied:?}");
    let failed: Vec<_> = applied
        .failed
        .iter()
        .map(|f| (f.step, f.cause.errno()))
        .collect();
    assert_eq!(failed[0], (35, Some(ENODEV)));
    assert_eq!((failed[1].0, failed.len()), (71, 2));
    let groups = world.node.sh("ip -d link show | grep -c 'group 77'");
    assert_eq!(groups.trim(), "5");
    let left = world.node.ip("link show");
    let mut names: BTreeSet<&str> = left.iter().map(|l| l["ifname"].as_str().unwrap()).collect();
    // A kernel with the ipip driver has its tunl0 in every namespace.
    names.remove("tunl0");
    assert_eq!(names.len(), 11, "{names:?}");
    assert_eq!(left[0]["group"], "default", "of lo");
    // One by one it takes above a second.
    eprintln!("70 links deleted in {took:?}");
}
