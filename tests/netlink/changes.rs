//! Each change through the library and, in a second world, its shell line by `ip` and `sysctl`: the
//! two kernels must then be equal.

use std::net::Ipv4Addr;
use std::process::Command;

use ipip_core::addr::{MacAddr, NodeAddr};
use ipip_core::mtu::TunnelMtu;
use ipip_core::overlay::WorkloadEndpoint;
use ipip_core::plan::{
    Change, NextHop, Place, Plan, Route, RouteProtocol, Setting, Step, Target, ensure, removal,
};
use serde_json::Value;

use crate::support::{Named, World, addr, at, name};

/// A name with a dot, which `sysctl` keys write as a slash.
const HOST: &str = "cali.7f94";

fn route(prefix: &str, device: &str, next_hop: NextHop, protocol: RouteProtocol) -> Route {
    let device = name(device);
    Route::new(
        prefix.parse().unwrap(),
        Target::Device { device, next_hop },
        protocol,
    )
}

fn onlink(last: u8) -> NextHop {
    NextHop::Onlink(NodeAddr(Ipv4Addr::new(172, 18, 0, last)))
}

/// Every change there is, in an order that a kernel takes.
pub(crate) fn every_change(inside: &Place) -> Vec<Step> {
    let (host, eth0) = (|| name(HOST), || name("eth0"));
    let node = |change| at(&Place::Node, change);
    let pod = |change| at(inside, change);
    let set = |setting, value| {
        node(Change::Set {
            name: host(),
            setting,
            value,
        })
    };
    let in_pod = |route: Route| Route {
        place: inside.clone(),
        ..route
    };
    let boot = RouteProtocol::BOOT;
    let gateway = Ipv4Addr::new(169, 254, 1, 1);
    let link_route = in_pod(route("169.254.1.1/32", "eth0", NextHop::Direct, boot));
    let default = in_pod(route("0.0.0.0/0", "eth0", NextHop::Gateway(gateway), boot));
    let peer = route("10.244.244.64/26", HOST, onlink(2), RouteProtocol::BIRD);
    let moved = route("10.244.244.64/26", HOST, onlink(9), RouteProtocol::BIRD);
    let block = "10.244.79.0/26".parse().unwrap();
    let blackhole = Route::new(block, Target::Blackhole, RouteProtocol::BIRD);
    let odd = Route {
        metric: 77,
        tos: 0x10,
        source: Some([172, 18, 0, 3].into()),
        mtu: Some(1400),
        ..route("10.9.0.0/16", HOST, onlink(4), RouteProtocol(80))
    };
    let host_route = route("10.244.79.20/32", HOST, NextHop::Direct, boot);
    vec![
        node(Change::CreateVeth {
            name: host(),
            mac: Some(MacAddr::CALICO),
            mtu: Some(1480),
            peer_place: inside.clone(),
            peer_name: eth0(),
        }),
        node(Change::SetAlias {
            name: host(),
            alias: "ipip default.podA's".to_owned(),
        }),
        set(Setting::ProxyArp, 1),
        set(Setting::ProxyDelay, 0),
        set(Setting::Forwarding, 1),
        node(Change::SetUp { name: host() }),
        pod(Change::SetUp { name: eth0() }),
        node(Change::AddAddress {
            name: host(),
            address: addr("172.18.0.3/16"),
        }),
        pod(Change::AddAddress {
            name: eth0(),
            address: addr("10.244.79.20/32"),
        }),
        pod(Change::AddRoute(link_route)),
        pod(Change::AddRoute(default.clone())),
        node(Change::AddRoute(host_route.clone())),
        node(Change::AddRoute(peer)),
        node(Change::ReplaceRoute(moved.clone())),
        node(Change::AddRoute(blackhole.clone())),
        node(Change::AddRoute(odd.clone())),
        node(Change::DeleteRoute(odd)),
        node(Change::DeleteRoute(blackhole)),
        node(Change::DeleteRoute(moved)),
        node(Change::DeleteRoute(host_route)),
        pod(Change::DeleteRoute(default)),
        set(Setting::ProxyArp, 0),
        set(Setting::ProxyDelay, 80),
        set(Setting::Forwarding, 0),
        node(Change::DeleteAddress {
            name: host(),
            address: addr("172.18.0.3/16"),
        }),
        node(Change::SetAlias {
            name: host(),
            alias: String::new(),
        }),
        node(Change::SetDown { name: host() }),
        node(Change::SetMtu {
            name: host(),
            mtu: 1400,
        }),
        node(Change::SetMac {
            name: host(),
            mac: MacAddr([2, 0, 0, 0, 0, 7]),
        }),
        node(Change::DeleteLink { name: host() }),
        node(Change::CreateVeth {
            name: host(),
            mac: None,
            mtu: None,
            peer_place: Place::Node,
            peer_name: name("other"),
        }),
    ]
}

pub(crate) fn every_change_equals_its_shell_line() {
    let mut ours = World::new();
    let theirs = World::new();
    let steps = every_change(&ours.inside);
    let lines = every_change(&theirs.inside);
    let mut before = state(&ours.node, &ours.pod);
    for (step, line) in steps.iter().zip(&lines) {
        ours.kernel.apply(std::slice::from_ref(step)).unwrap();
        theirs.node.sh(&line.to_string());
        let (after, expected) = (
            state(&ours.node, &ours.pod),
            state(&theirs.node, &theirs.pod),
        );
        assert_ne!(before, after, "{step}: changed nothing");
        for (ours, theirs) in after.iter().zip(&expected) {
            assert_eq!(ours, theirs, "{step}");
        }
        assert_eq!(after.len(), expected.len(), "{step}");
        before = after;
    }
}

/// Everything of both namespaces that is not an index, a random MAC, or the carrier's state of the
/// moment.
pub(crate) fn state(node: &Named, pod: &Named) -> Vec<Value> {
    // In one process each: in user-mode-linux a process takes a tenth of a second.
    let script = "ip -j -d link show; ip -j -4 addr show; ip -j -4 route show table all
        cd /proc/sys/net/ipv4; grep . conf/*/forwarding conf/*/proxy_arp neigh/*/proxy_delay";
    let mut state = vec![];
    for netns in [node, pod] {
        for line in netns.sh(script).lines() {
            match serde_json::from_str(line) {
                Ok(Value::Array(values)) => state.extend(values),
                _ => state.push(line.into()),
            }
        }
    }
    state.iter_mut().for_each(forget_chance);
    state
}

fn forget_chance(value: &mut Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for key in [
        "ifindex",
        "link_index",
        "link_netnsid",
        "operstate",
        "broadcast",
    ] {
        object.remove(key);
    }
    // The kernel's own choice of a MAC; bit 1 of the first octet says so, and ours are known.
    let random = |mac: &str| {
        mac.len() == 17
            && ![
                "ee:ee:ee:ee:ee:ee",
                "02:00:00:00:00:07",
                "00:00:00:00:00:00",
            ]
            .contains(&mac)
    };
    if object
        .get("address")
        .and_then(Value::as_str)
        .is_some_and(random)
    {
        object.remove("address");
    }
    if let Some(flags) = object.get_mut("flags").and_then(Value::as_array_mut) {
        flags.retain(|flag| {
            !["LOWER_UP", "NO-CARRIER", "M-DOWN", "linkdown"].contains(&flag.as_str().unwrap())
        });
    }
}

/// What is set is what `/proc/sys` shows, and what is observed is what `/proc/sys` shows.
pub(crate) fn settings_read_as_sysctl_shows_them() {
    let mut world = World::new();
    world.node.sh("ip link add cali1 type veth peer name other");
    for (setting, key, values) in [
        (Setting::Forwarding, "conf/cali1/forwarding", [1, 0]),
        (Setting::ProxyArp, "conf/cali1/proxy_arp", [1, 0]),
        (Setting::ProxyDelay, "neigh/cali1/proxy_delay", [0, 160]),
    ] {
        for value in values {
            let observed = |world: &mut World| {
                let observed = world.kernel.observe().unwrap();
                observed
                    .link(&Place::Node, &name("cali1"))
                    .unwrap()
                    .settings[&setting]
            };
            // Another value first, by the other way, so that doing nothing would show.
            world.node.sh(&format!(
                "echo {} > /proc/sys/net/ipv4/{key}",
                if value == 0 { 1_u32 } else { 0 } * 100
            ));
            assert_ne!(observed(&mut world), value, "{key}");
            world.apply(Change::Set {
                name: name("cali1"),
                setting,
                value,
            });
            assert_eq!(world.node.sysctl(key), value.to_string());
            assert_eq!(observed(&mut world), value, "{key}");
        }
    }
}

/// Planned from an observation, applied, observed: nothing is left to do; and the way back.
pub(crate) fn a_workload_is_wired_by_its_plan() {
    let mut world = World::new();
    let mtu = TunnelMtu::try_new(1480).unwrap();
    let workload = WorkloadEndpoint::new("default", "podA", [10, 244, 79, 20].into(), mtu);
    let desired = workload.desired(world.pod.netns.path());
    let before = state(&world.node, &world.pod);

    let plan = ensure(&desired, &world.kernel.observe().unwrap());
    assert_eq!(plan.conflicts, []);
    world.kernel.apply(&plan.steps).unwrap();
    assert_eq!(
        ensure(&desired, &world.kernel.observe().unwrap()),
        Plan::default()
    );
    let routes = world.pod.sh("ip route show");
    assert_eq!(
        routes.lines().map(str::trim_end).collect::<Vec<_>>(),
        [
            "default via 169.254.1.1 dev eth0",
            "169.254.1.1 dev eth0 scope link"
        ]
    );
    // The pod's end was never in the node's namespace: its index there would be another.
    assert_eq!(world.pod.ip("link show eth0")[0]["mtu"], 1480);

    let plan = removal(&desired, &world.kernel.observe().unwrap());
    world.kernel.apply(&plan.steps).unwrap();
    assert_eq!(state(&world.node, &world.pod), before);
    let plan = removal(&desired, &world.kernel.observe().unwrap());
    assert_eq!(plan, Plan::default());
}

/// As in many containers: forwarding is then set by netlink. Runs a test once more where it is so.
pub(crate) fn a_read_only_proc_is_no_obstacle() {
    let script = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys || exit 1
        echo 0 2>/dev/null >/proc/sys/net/ipv4/ip_forward && exit 2
        exec \"$0\" --exact a_workload_is_wired_by_its_plan";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {text}", output.status);
    assert!(text.contains("1 passed"), "{text}");
}

/// The kernel's limit is 255 octets, without a final zero.
pub(crate) fn a_full_alias_is_kept() {
    let mut world = World::new();
    world.node.sh("ip link add cali1 type veth peer name other");
    let alias = "a".repeat(255);
    world.apply(Change::SetAlias {
        name: name("cali1"),
        alias: alias.clone(),
    });
    assert_eq!(
        world.node.ip("link show cali1")[0]["ifalias"],
        alias.as_str()
    );
    let observed = world.kernel.observe().unwrap();
    let link = observed.link(&Place::Node, &name("cali1")).unwrap();
    assert_eq!(link.alias.as_deref(), Some(alias.as_str()));
}
