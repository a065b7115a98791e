mod reference;

use reference::{everything, fresh, inside, netns, peer_route, tunnel, workload};

use super::*;
use crate::addr::{Ipv4Prefix, MacAddr};
use crate::mtu::TunnelMtu;
use crate::name::InterfaceName;
use crate::overlay::WorkloadEndpoint;
use crate::plan::naive_kernel::{ANY, carry_out, link};
use crate::plan::{Place, Setting, Step, undo};

fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

fn run(plan: &Plan, state: &mut Observed) {
    assert_eq!(plan.conflicts, []);
    for step in &plan.steps {
        carry_out(state, step).unwrap_or_else(|refused| panic!("{step}: {refused}"));
    }
}

fn built() -> Observed {
    let mut state = fresh();
    run(&ensure(&everything(), &state), &mut state);
    state
}

#[test]
fn a_fresh_node_gets_everything_and_a_second_call_nothing() {
    let state = built();
    assert_eq!(ensure(&everything(), &state), Plan::default());
    assert_eq!(state.links.len(), 4);
    assert_eq!(state.routes.len(), 5);
}

#[test]
fn the_script_is_what_a_person_would_type() {
    let script = |desired: &Desired| -> Vec<String> {
        ensure(desired, &fresh())
            .steps
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        script(&tunnel()),
        [
            "ip link add tunl0 type ipip local any remote any ttl inherit nopmtudisc mode any",
            "ip link set tunl0 alias ipip",
            "ip link set tunl0 mtu 1480",
            "sysctl -w net.ipv4.conf.tunl0.forwarding=1",
            "ip link set tunl0 up",
            "ip addr add 10.244.79.0/32 dev tunl0",
        ]
    );
    assert_eq!(
        script(&workload()),
        [
            "ip link add cali7f94ce7c295 mtu 1480 address ee:ee:ee:ee:ee:ee numtxqueues 1 numrxqueues 1 type veth peer \
             name eth0 mtu 1480 numtxqueues 1 numrxqueues 1 netns pod",
            "ip link set cali7f94ce7c295 alias 'ipip default.podA'",
            "sysctl -w net.ipv4.conf.cali7f94ce7c295.proxy_arp=1",
            "sysctl -w net.ipv4.neigh.cali7f94ce7c295.proxy_delay=0",
            "sysctl -w net.ipv4.conf.cali7f94ce7c295.forwarding=1",
            "ip link set cali7f94ce7c295 up",
            "ip netns exec pod sysctl -w net.ipv4.conf.eth0.forwarding=0",
            "ip -n pod link set eth0 up",
            "ip -n pod addr add 10.244.79.20/32 dev eth0",
            "ip -n pod route add 169.254.1.1 dev eth0 scope link",
            "ip -n pod route add default via 169.254.1.1 dev eth0",
            "ip route add 10.244.79.20 dev cali7f94ce7c295 scope link",
        ]
    );
}

/// Each kind of damage to something of ours, and the only steps that may mend it.
#[test]
fn damage_is_mended_by_the_least_steps() {
    type Damage = fn(&mut Observed);
    fn at<'a>(state: &'a mut Observed, text: &str) -> &'a mut ObservedLink {
        let wanted = name(text);
        let all = state.links.iter_mut();
        all.rev()
            .find(|l| l.name == wanted && !(text == "eth0" && l.place == Place::Node))
            .unwrap()
    }
    let cases: [(&str, Damage, &[&str]); 9] = [
        (
            "tunnel mtu",
            |s| at(s, "tunl0").mtu = 1500,
            &["ip link set tunl0 mtu 1480"],
        ),
        (
            "tunnel address",
            |s| at(s, "tunl0").addresses.clear(),
            &["ip addr add 10.244.79.0/32 dev tunl0"],
        ),
        (
            "tunnel taken down, and its routes with it",
            |s| {
                carry_out(
                    s,
                    &Step {
                        place: Place::Node,
                        change: Change::SetDown {
                            name: name("tunl0"),
                        },
                    },
                )
                .unwrap()
            },
            &[
                "ip link set tunl0 up",
                "ip route add 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink",
            ],
        ),
        (
            "host mac",
            |s| at(s, "cali7f94ce7c295").mac = Some(MacAddr([2; 6])),
            &["ip link set cali7f94ce7c295 address ee:ee:ee:ee:ee:ee"],
        ),
        (
            "proxy arp",
            |s| {
                *at(s, "cali7f94ce7c295")
                    .settings
                    .entry(Setting::ProxyArp)
                    .or_default() = 0
            },
            &["sysctl -w net.ipv4.conf.cali7f94ce7c295.proxy_arp=1"],
        ),
        (
            "pod address",
            |s| at(s, "eth0").addresses.clear(),
            &["ip -n pod addr add 10.244.79.20/32 dev eth0"],
        ),
        (
            "blackhole gone",
            |s| s.routes.retain(|r| r.prefix != prefix("10.244.79.0/26")),
            &["ip route add blackhole 10.244.79.0/26 proto bird"],
        ),
        (
            "pair left unmarked by a call that was interrupted",
            |s| at(s, "cali7f94ce7c295").alias = None,
            &["ip link set cali7f94ce7c295 alias 'ipip default.podA'"],
        ),
        (
            "a stranger's address on the tunnel device stays",
            |s| {
                at(s, "tunl0").addresses.push(InterfaceAddr {
                    addr: [192, 0, 2, 1].into(),
                    prefix_len: 32,
                })
            },
            &[],
        ),
    ];
    for (what, damage, expected) in cases {
        let mut state = built();
        damage(&mut state);
        let plan = ensure(&everything(), &state);
        let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
        assert_eq!(steps, expected, "{what}");
        run(&plan, &mut state);
        assert_eq!(ensure(&everything(), &state), Plan::default(), "{what}");
    }
}

#[test]
fn a_renumbered_node_has_its_route_replaced() {
    let mut state = built();
    let plan = ensure(&peer_route([172, 18, 0, 9]), &state);
    assert_eq!(plan.steps.len(), 1);
    assert!(matches!(plan.steps[0].change, Change::ReplaceRoute(_)));
    run(&plan, &mut state);
    assert_eq!(
        ensure(&peer_route([172, 18, 0, 9]), &state),
        Plan::default()
    );
}

#[test]
fn a_workload_with_another_address_loses_the_old_one() {
    let mut state = built();
    let mtu = TunnelMtu::try_new(1480).unwrap();
    let moved = WorkloadEndpoint::new("default", "podA", [10, 244, 79, 21].into(), mtu);
    let plan = ensure(&moved.desired(netns()), &state);
    let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "ip -n pod addr add 10.244.79.21/32 dev eth0",
            "ip route add 10.244.79.21 dev cali7f94ce7c295 scope link",
            "ip route del 10.244.79.20 dev cali7f94ce7c295 scope link",
            "ip -n pod addr del 10.244.79.20/32 dev eth0",
        ]
    );
    run(&plan, &mut state);
    assert_eq!(ensure(&moved.desired(netns()), &state), Plan::default());
}

#[test]
fn a_pair_whose_other_end_is_elsewhere_is_made_anew_with_its_route() {
    let mut state = built();
    // The pod's namespace was replaced: the old one lingers with the other end in it.
    state.links.retain(|l| l.place == Place::Node);
    state.routes.retain(|r| r.place == Place::Node);
    let plan = ensure(&workload(), &state);
    assert_eq!(plan.steps[0].to_string(), "ip link delete cali7f94ce7c295");
    run(&plan, &mut state);
    assert_eq!(ensure(&workload(), &state), Plan::default());
}

#[test]
fn what_is_not_ours_is_a_conflict_and_no_step() {
    let foreign_route = |text: &str, protocol| {
        let target = Target::Device {
            device: name("eth0"),
            next_hop: NextHop::Direct,
        };
        Route::new(prefix(text), target, protocol)
    };
    let pod_default = Route {
        place: inside(),
        ..foreign_route("0.0.0.0/0", RouteProtocol::BOOT)
    };
    let cases: [(&str, Desired, Observed, &str); 6] = [
        (
            "another kind of tunl0",
            tunnel(),
            Observed {
                links: vec![link(&Place::Node, "tunl0", "dummy", 7)],
                ..Observed::default()
            },
            "link tunl0 is taken: kind dummy, expected an ipip device with any local and any remote end",
        ),
        (
            "a tunl0 with a fixed remote end",
            tunnel(),
            Observed {
                links: vec![ObservedLink {
                    tunnel: Some(TunnelEnds {
                        remote: [192, 0, 2, 9].into(),
                        ..ANY
                    }),
                    ..link(&Place::Node, "tunl0", "ipip", 7)
                }],
                ..Observed::default()
            },
            "link tunl0 is taken: kind ipip local 0.0.0.0 remote 192.0.2.9, expected an ipip device with any local and \
             any remote end",
        ),
        (
            "the host name is a dummy's",
            workload(),
            Observed {
                links: vec![link(&Place::Node, "cali7f94ce7c295", "dummy", 7)],
                ..Observed::default()
            },
            "link cali7f94ce7c295 is taken: kind dummy, expected our veth end with peer eth0",
        ),
        (
            "the pod has an eth0 of another network",
            workload(),
            Observed {
                links: vec![link(&inside(), "eth0", "veth", 7)],
                ..Observed::default()
            },
            "link eth0 is taken: kind veth, expected our veth end with peer cali7f94ce7c295",
        ),
        (
            "the pod has a default route",
            workload(),
            Observed {
                routes: vec![pod_default],
                ..Observed::default()
            },
            "route default via 169.254.1.1 dev eth0: the prefix is taken by route default dev eth0 scope link",
        ),
        (
            "the block is an administrator's",
            Desired {
                links: vec![],
                ..peer_route([172, 18, 0, 2])
            },
            Observed {
                routes: vec![foreign_route("10.244.244.64/26", RouteProtocol::STATIC)],
                ..Observed::default()
            },
            "route 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink: the prefix is taken by route \
             10.244.244.64/26 dev eth0 proto static scope link",
        ),
    ];
    for (what, desired, observed, expected) in cases {
        let conflicts: Vec<_> = ensure(&desired, &observed)
            .conflicts
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            conflicts.iter().any(|c| c == expected),
            "{what}: {conflicts:#?}"
        );
        assert!(
            removal(&desired, &observed).steps.is_empty(),
            "{what}: removal leaves it alone"
        );
    }
}

/// Calico's own plugin names a pod's link and route exactly as we do, and marks neither.
#[test]
fn removal_leaves_a_strangers_workload_its_route() {
    let mut state = built();
    for link in &mut state.links {
        link.alias = None;
    }
    let mut desired = workload();
    desired.links.retain(|link| link.place == Place::Node);
    desired.routes.retain(|route| route.place == Place::Node);
    assert_eq!(removal(&desired, &state), Plan::default());
}

/// Marked by whoever else uses our protocol number, such as a workload's device route.
#[test]
fn a_direct_route_is_not_replaced_by_one_through_a_node() {
    let mut state = built();
    let found = state
        .routes
        .iter_mut()
        .find(|r| r.prefix == prefix("10.244.244.64/26"))
        .unwrap();
    found.target = Target::Device {
        device: name("cali0"),
        next_hop: NextHop::Direct,
    };
    let plan = ensure(&peer_route([172, 18, 0, 2]), &state);
    assert_eq!((plan.steps.len(), plan.conflicts.len()), (0, 1));
}

/// Taken down first: if the process ends between the two, the address still says that it was ours.
#[test]
fn removal_of_a_shared_tunnel_device_can_be_interrupted() {
    let mut state = built();
    state.links.iter_mut().for_each(|link| link.alias = None);
    let plan = removal(&tunnel(), &state);
    let texts: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "ip link set tunl0 down",
            "ip addr del 10.244.79.0/32 dev tunl0"
        ]
    );
    carry_out(&mut state, &plan.steps[0]).unwrap();
    let rest = removal(&tunnel(), &state);
    assert_eq!(rest.steps, plan.steps[1..]);
}

#[test]
fn removal_takes_what_is_ours_and_a_second_one_nothing() {
    let mut state = built();
    state
        .links
        .iter_mut()
        .find(|l| l.name == name("tunl0"))
        .unwrap()
        .alias = None;
    let mut desired = everything();
    desired.links.reverse();
    run(&removal(&desired, &state), &mut state);
    let tunl0 = state
        .link(&Place::Node, &name("tunl0"))
        .expect("the kernel's own device stays");
    assert!(!tunl0.up && tunl0.addresses.is_empty());
    assert_eq!(state.links.len(), 2, "the pair is gone at both ends");
    assert_eq!(state.routes, []);
    assert_eq!(removal(&desired, &state), Plan::default());
}

#[test]
fn removal_deletes_a_tunnel_device_that_we_made_and_keeps_a_shared_one_up() {
    let mut made = built();
    assert_eq!(
        removal(&tunnel(), &made).steps[0].to_string(),
        "ip link delete tunl0"
    );
    let tunl0 = made
        .links
        .iter_mut()
        .find(|l| l.name == name("tunl0"))
        .unwrap();
    tunl0.alias = None;
    tunl0.addresses.push(InterfaceAddr {
        addr: [192, 0, 2, 1].into(),
        prefix_len: 32,
    });
    let steps: Vec<_> = removal(&tunnel(), &made)
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(steps, ["ip addr del 10.244.79.0/32 dev tunl0"]);
}

#[test]
fn removing_a_route_via_the_old_node_leaves_the_new_one() {
    let state = built();
    assert_eq!(
        removal(&peer_route([172, 18, 0, 9]), &state),
        Plan::default()
    );
    assert_eq!(removal(&peer_route([172, 18, 0, 2]), &state).steps.len(), 1);
}

/// Whatever prefix of the plan was applied before a refusal, taking it back restores the state.
#[test]
fn undo_restores_the_state_after_any_number_of_steps() {
    let mut damaged = built();
    damaged.routes.retain(|r| r.place == Place::Node);
    for found in &mut damaged.links {
        (found.mtu, found.up) = (1400, found.place == Place::Node);
        found.addresses.clear();
    }
    let mut shuffled = damaged.clone();
    let order = |state: &mut Observed| state.routes.sort_by_key(Route::key);
    for before in [fresh(), damaged] {
        let plan = ensure(&everything(), &before);
        for applied in 0..=plan.steps.len() {
            shuffled.clone_from(&before);
            for step in plan.steps[..applied]
                .iter()
                .chain(&undo(&plan.steps[..applied], &before))
            {
                carry_out(&mut shuffled, step)
                    .unwrap_or_else(|refused| panic!("{step}: {refused}"));
            }
            let mut before = before.clone();
            order(&mut before);
            order(&mut shuffled);
            assert_eq!(shuffled, before, "after {applied} steps");
        }
    }
}
