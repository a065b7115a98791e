mod random;
pub(in crate::plan) mod world;

use world::*;

use super::*;
use crate::addr::Ipv4Prefix;
use crate::plan::naive_kernel::link;
use crate::plan::{InterfaceAddr, Setting};

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn with_routes(routes: &[Route]) -> Observed {
    Observed {
        routes: routes.to_vec(),
        ..node()
    }
}

/// With the links of the workloads that are there.
fn wanted(routes: &[Route]) -> Desired {
    let mut desired = Desired::default();
    desired.routes.extend_from_slice(routes);
    desired
        .links
        .extend([host_veth("cali1"), host_veth("cali3")]);
    desired
}

#[test]
fn a_mode_switch_replaces_each_route_in_one_step() {
    let before = [tunnelled("10.1.0.0/26", 2), tunnelled("10.1.0.64/26", 3)];
    let after = [direct("10.1.0.0/26", 2), direct("10.1.0.64/26", 3)];
    let plan = sync(&wanted(&after), &with_routes(&before), &ownership());
    assert_eq!(
        texts(&plan),
        [
            "ip route replace 10.1.0.0/26 via 172.18.0.2 dev eth0 proto bird onlink",
            "ip route replace 10.1.0.64/26 via 172.18.0.3 dev eth0 proto bird onlink",
        ]
    );
    assert_eq!(plan.adopted, before);
}

/// As BIRD writes it between neighbours, without `onlink`.
#[test]
fn a_route_of_birds_is_adopted() {
    let by_bird = Target::Device {
        device: name("eth0"),
        next_hop: NextHop::Gateway([172, 18, 0, 2].into()),
    };
    let by_bird = Route::new(prefix("10.1.0.0/26"), by_bird, RouteProtocol::BIRD);
    let same = tunnelled("10.1.0.64/26", 3);
    let observed = with_routes(&[by_bird.clone(), same.clone()]);
    let plan = sync(
        &wanted(&[direct("10.1.0.0/26", 2), same.clone()]),
        &observed,
        &ownership(),
    );
    let replace = "ip route replace 10.1.0.0/26 via 172.18.0.2 dev eth0 proto bird onlink";
    assert_eq!(texts(&plan), [replace]);
    assert_eq!(plan.adopted, [by_bird, same]);
}

#[test]
fn felixs_routes_are_adopted_on_request_only() {
    let felix = Route {
        protocol: RouteProtocol::FELIX,
        mtu: Some(1480),
        ..tunnelled("10.1.0.0/26", 2)
    };
    let observed = with_routes(std::slice::from_ref(&felix));
    let desired = wanted(&[tunnelled("10.1.0.0/26", 2)]);
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!((texts(&plan).len(), plan.conflicts.len()), (0, 1));
    let asked = Ownership {
        adopt_felix: true,
        ..ownership()
    };
    let plan = sync(&desired, &observed, &asked);
    let replace = "ip route replace 10.1.0.0/26 via 172.18.0.2 dev tunl0 proto bird onlink";
    assert_eq!(texts(&plan), [replace]);
    assert_eq!(plan.adopted, [felix]);
}

#[test]
fn a_conflict_stops_its_own_route_and_no_other() {
    let foreign = Route {
        protocol: RouteProtocol::STATIC,
        ..tunnelled("10.1.0.0/26", 9)
    };
    let desired = [tunnelled("10.1.0.0/26", 2), tunnelled("10.1.0.64/26", 3)];
    let plan = sync(&wanted(&desired), &with_routes(&[foreign]), &ownership());
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(
        plan.conflicts[0].to_string(),
        "route 10.1.0.0/26 via 172.18.0.2 dev tunl0 proto bird onlink: the prefix is taken by route \
         10.1.0.0/26 via 172.18.0.9 dev tunl0 proto static onlink"
    );
}

#[test]
fn a_device_that_is_taken_stops_the_routes_through_it() {
    let mut observed = node();
    observed.links.retain(|link| link.name != name("tunl0"));
    observed.links.push(link(&Place::Node, "tunl0", "dummy", 9));
    let mut desired = wanted(&[tunnelled("10.1.0.0/26", 2), direct("10.1.0.64/26", 3)]);
    desired.links.push(tunnel(&[]));
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!(
        texts(&plan),
        ["ip route add 10.1.0.64/26 via 172.18.0.3 dev eth0 proto bird onlink"]
    );
    assert_eq!(plan.conflicts.len(), 1, "said once: {:?}", plan.conflicts);
}

#[test]
fn a_device_that_is_down_is_named_once() {
    let mut observed = node();
    observed.links[0].up = false;
    let desired = wanted(&[direct("10.1.0.0/26", 2), direct("10.1.0.64/26", 3)]);
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!((plan.steps.len(), plan.conflicts.len()), (0, 1));
    assert_eq!(plan.conflicts[0].to_string(), "link eth0 is down");
}

#[test]
fn a_workload_that_is_gone_loses_its_link_and_a_foreign_one_stays() {
    let routes = [workload("10.1.0.4", "cali1"), workload("10.1.0.5", "cali2")];
    let plan = sync(&Desired::default(), &with_routes(&routes), &ownership());
    assert_eq!(
        texts(&plan),
        ["ip link delete cali1", "ip link delete cali3"]
    );
}

#[test]
fn a_workload_loses_an_address_that_it_had() {
    let routes = [workload("10.1.0.4", "cali1"), workload("10.1.0.5", "cali1")];
    let desired = wanted(&routes[..1]);
    let plan = sync(&desired, &with_routes(&routes), &ownership());
    assert_eq!(texts(&plan), ["ip route del 10.1.0.5 dev cali1 scope link"]);
}

/// Of a virtual machine's own network, say.
#[test]
fn another_route_through_a_workloads_link_stays() {
    let behind = Route {
        prefix: prefix("192.0.2.0/24"),
        ..workload("10.1.0.4", "cali1")
    };
    let desired = wanted(&[]);
    let plan = sync(&desired, &with_routes(&[behind]), &ownership());
    assert_eq!(texts(&plan), [""; 0]);
}

#[test]
fn what_a_damaged_record_may_hold_is_spared() {
    let routes = [
        workload("10.1.0.4", "cali1"),
        tunnelled("10.1.0.64/26", 3),
        tunnelled("10.1.0.128/26", 3),
    ];
    let spared = ["10.1.0.0/26", "10.1.0.64/26"].map(prefix).to_vec();
    let ownership = Ownership {
        spared,
        ..ownership()
    };
    let plan = sync(&Desired::default(), &with_routes(&routes), &ownership);
    assert_eq!(
        texts(&plan),
        [
            "ip route del 10.1.0.128/26 via 172.18.0.3 dev tunl0 proto bird onlink",
            "ip link delete cali3",
        ]
    );
}

#[test]
fn a_workloads_link_is_restored_but_never_made() {
    let mut desired = wanted(&[workload("10.1.0.4", "cali1"), workload("10.1.0.6", "cali6")]);
    desired.links.push(host_veth("cali6"));
    let mut observed = node();
    observed.links[2].settings.insert(Setting::ProxyArp, 0);
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!(
        texts(&plan),
        [
            "sysctl -w net.ipv4.conf.cali1.proxy_arp=1",
            "ip route add 10.1.0.4 dev cali1 scope link",
        ]
    );
    assert_eq!(plan.conflicts.len(), 1);
    assert_eq!(plan.conflicts[0].to_string(), "link cali6 does not exist");
    desired.links.push(host_veth("cali2"));
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!(
        plan.conflicts[1].to_string(),
        "link cali2 is taken: kind veth, expected our veth end"
    );
}

#[test]
fn an_address_of_the_past_goes_and_a_strangers_stays_unless_the_device_is_ours_alone() {
    let host = |last| InterfaceAddr {
        addr: [10, 1, 0, last].into(),
        prefix_len: 32,
    };
    let stranger = InterfaceAddr {
        addr: [192, 0, 2, 1].into(),
        prefix_len: 32,
    };
    let mut observed = node();
    observed.links[1].addresses = vec![host(1), stranger];
    let mut desired = Desired::default();
    desired
        .links
        .extend([tunnel(&[host(2)]), host_veth("cali1"), host_veth("cali3")]);
    let (add, del) = (
        "ip addr add 10.1.0.2/32 dev tunl0",
        "ip addr del 10.1.0.1/32 dev tunl0",
    );
    let plan = sync(&desired, &observed, &ownership());
    assert_eq!(texts(&plan), [add, del]);
    let exclusive = Ownership {
        exclusive: true,
        ..ownership()
    };
    let plan = sync(&desired, &observed, &exclusive);
    assert_eq!(
        texts(&plan),
        [add, del, "ip addr del 192.0.2.1/32 dev tunl0"]
    );
}

/// `ip route append` makes a second route with the same key behind the first.
#[test]
fn of_several_routes_with_one_key_the_right_one_is_left() {
    let (right, wrong) = (tunnelled("10.1.0.0/26", 2), tunnelled("10.1.0.0/26", 3));
    let (replace, del) = (
        format!("ip route replace {right}"),
        format!("ip route del {wrong}"),
    );
    let other = tunnelled("10.1.0.0/26", 9);
    for (found, expected) in [
        (vec![right.clone(), wrong.clone()], vec![del.clone()]),
        (vec![wrong.clone(), right.clone()], vec![del.clone()]),
        (vec![other, wrong.clone()], vec![replace, del]),
    ] {
        let plan = sync(
            &wanted(std::slice::from_ref(&right)),
            &with_routes(&found),
            &ownership(),
        );
        let routes = texts(&plan)
            .into_iter()
            .filter(|text| text.starts_with("ip route"));
        assert_eq!(routes.collect::<Vec<_>>(), expected);
    }
    let foreign = Route {
        protocol: RouteProtocol::STATIC,
        ..wrong
    };
    let plan = sync(
        &wanted(std::slice::from_ref(&right)),
        &with_routes(&[right, foreign]),
        &ownership(),
    );
    assert_eq!(plan.conflicts.len(), 1);
}

#[test]
fn the_mtu_of_our_routes_is_compared_and_the_source_only_where_one_is_desired() {
    let plain = tunnelled("10.1.0.0/26", 2);
    let with_mtu = Route {
        mtu: Some(1480),
        ..plain.clone()
    };
    let with_source = Route {
        source: Some([10, 1, 0, 1].into()),
        ..plain.clone()
    };
    for (desired, found, steps) in [
        (&plain, &with_mtu, 1),
        (&with_mtu, &plain, 1),
        (&plain, &with_source, 0),
        (&with_source, &plain, 1),
    ] {
        let observed = with_routes(std::slice::from_ref(found));
        let desired = wanted(std::slice::from_ref(desired));
        assert_eq!(sync(&desired, &observed, &ownership()).steps.len(), steps);
    }
}

/// `cargo test --release -p ipip-core --lib long_ -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn long_a_hundred_thousand_routes_are_compared() {
    use crate::plan::ensure;
    let route = |n: u32| {
        let block = Ipv4Prefix::containing((0x0a00_0000 + (n << 6)).into(), 26).unwrap();
        let [.., c, d] = n.to_be_bytes();
        Route {
            prefix: block,
            ..tunnelled_via("10.0.0.0/26", [172, 18, c, d])
        }
    };
    let routes: Vec<_> = (0..100_000).map(route).collect();
    let mut observed = with_routes(&routes);
    observed.routes.reverse();
    observed.routes.swap(1, 77_777);
    let all = Ownership::new(name("tunl0"), name("eth0"), [prefix("10.0.0.0/8")]);
    let desired = wanted(&routes);
    for _ in 0..9 {
        let started = std::time::Instant::now();
        let plan = sync(&desired, &observed, &all);
        let synced = started.elapsed();
        assert_eq!((plan.steps.len(), plan.adopted.len()), (0, 100_000));
        drop(plan);
        let started = std::time::Instant::now();
        assert_eq!(ensure(&desired, &observed).steps.len(), 0);
        println!("sync {synced:?}, ensure {:?}", started.elapsed());
    }
}
