//! What the library reads, beside what `ip` prints.

use std::sync::atomic::{AtomicBool, Ordering};

use ipip_core::netlink::Kernel;
use ipip_core::plan::{Change, NextHop, ObservedLink, Place, Route, RouteProtocol, Target};
use serde_json::{Value, json};

use crate::support::{Named, World, at, name};

pub(crate) fn links_are_those_that_ip_shows() {
    let mut world = World::new();
    let pod = world.pod.netns.path().display().to_string();
    world.node.sh(&format!(
        "ip link add cali1 mtu 1480 address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns {pod}
         ip link set cali1 alias 'ipip default.podA' up
         ip link add dummy0 type dummy 2>/dev/null || true
         ip link add br0 type bridge 2>/dev/null || true
         ip tuntap add tun7 mode tun
         ip addr add 172.18.0.3/16 dev cali1; ip addr add 172.18.0.4/16 dev cali1; ip addr add 192.0.2.1/32 dev cali1
         nsenter --net={pod} ip addr add 10.244.79.20/32 dev eth0"
    ));
    let observed = world.kernel.observe().unwrap();
    for (place, netns) in [
        (Place::Node, &world.node),
        (world.inside.clone(), &world.pod),
    ] {
        let found: Vec<Value> = observed
            .links
            .iter()
            .filter(|link| link.place == place)
            .map(as_ip_prints)
            .collect();
        let addresses = netns.ip("-4 addr show");
        let shown: Vec<Value> = netns
            .ip("-d link show")
            .iter()
            .map(|link| only_ours(link, &addresses))
            .collect();
        assert!(found.len() >= 2);
        assert_eq!(found, shown);
    }
}

fn as_ip_prints(link: &ObservedLink) -> Value {
    json!({
        "index": link.index,
        "name": link.name.as_str(),
        "kind": link.kind,
        "mtu": link.mtu,
        "mac": link.mac.map(|mac| mac.to_string()),
        "alias": link.alias,
        "up": link.up,
        "peer": link.peer_index,
        "addresses": link.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// `ip -4 addr` leaves out links without an address, so both reports are needed. For a veth whose
/// other end is elsewhere `link_index` is its index there.
fn only_ours(link: &Value, addresses: &[Value]) -> Value {
    let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or_default();
    let six = |mac: &&str| mac.len() == 17;
    let own = addresses.iter().find(|a| a["ifindex"] == link["ifindex"]);
    let own = own.and_then(|a| a["addr_info"].as_array());
    let text = |a: &Value| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"]);
    json!({
        "index": link["ifindex"],
        "name": link["ifname"],
        "kind": kind,
        "mtu": link["mtu"],
        "mac": link["address"].as_str().filter(six),
        "alias": link["ifalias"],
        "up": link["flags"].as_array().unwrap().contains(&"UP".into()),
        "peer": if kind == "veth" { &link["link_index"] } else { &Value::Null },
        "addresses": own.map_or(vec![], |own| own.iter().map(text).collect()),
    })
}

/// A route as the library displays it is the line that `ip route` prints.
pub(crate) fn routes_are_those_that_ip_shows() {
    let mut world = World::new();
    world.node.sh(
        "ip link set lo up; ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
         ip addr add 172.18.0.3/16 dev eth0
         ip route add 10.244.244.64/26 via 172.18.0.2 dev eth0 proto bird onlink
         ip route add 10.1.0.0/16 via 172.18.0.9 dev eth0 proto static metric 7
         ip route add blackhole 10.244.79.0/26 proto bird
         ip route add 10.244.79.20 dev eth0 scope link
         ip route add 10.3.0.0/16 via 192.0.2.9 dev eth0 proto 80 src 172.18.0.3 metric 1024 onlink
         ip route add default via 172.18.0.1 dev eth0
         ip route add 10.66.0.0/16 via 172.18.0.9 table 100
         ip route add local 10.67.0.1 dev lo table local",
    );
    let observed = world.kernel.observe().unwrap();
    let mut found: Vec<String> = observed.routes.iter().map(ToString::to_string).collect();
    let printed = world.node.sh("ip route show");
    let mut shown: Vec<&str> = printed.lines().map(str::trim_end).collect();
    found.sort();
    shown.sort_unstable();
    assert_eq!(found, shown);
    assert_eq!(shown.len(), 7);

    // Forms that are only read.
    world.node.sh(
        "ip route flush all proto boot; ip route flush all proto static
         ip route add unreachable 10.4.0.0/16
         ip route add 10.5.0.0/16 nexthop via 172.18.0.8 dev eth0 nexthop via 172.18.0.9 dev eth0
         ip nexthop add id 5 via 172.18.0.7 dev eth0; ip route add 10.6.0.0/16 nhid 5
         ip route add 10.7.0.0/16 via inet6 fe80::1 dev eth0
         ip route add 10.8.0.0/16 dev eth0 scope global",
    );
    let observed = world.kernel.observe().unwrap();
    let words = observed
        .routes
        .iter()
        .filter_map(|route| match &route.target {
            Target::Other(words) => Some((route.prefix.to_string(), words.as_str())),
            _ => None,
        });
    let words: Vec<_> = words.collect();
    assert_eq!(
        words
            .iter()
            .map(|(prefix, words)| (prefix.as_str(), *words))
            .collect::<Vec<_>>(),
        [
            ("10.4.0.0/16", "unreachable"),
            ("10.5.0.0/16", "multipath over 2 next hops"),
            ("10.7.0.0/16", "via another family"),
            ("10.8.0.0/16", "dev eth0 scope universe"),
        ]
    );
    let by_object = Target::Device {
        device: name("eth0"),
        next_hop: NextHop::Object(5),
    };
    let prefix = "10.6.0.0/16".parse().unwrap();
    let found = observed.routes.iter().find(|route| route.prefix == prefix);
    assert_eq!(found.map(|route| &route.target), Some(&by_object));
}

pub(crate) fn an_empty_namespace_has_no_routes() {
    let netns = Named::new("empty");
    let observed = Kernel::open(&netns.netns).unwrap().observe().unwrap();
    assert_eq!(observed.routes, []);
    assert_eq!(observed.links[0].name, name("lo"));
    assert!(!observed.links[0].up);
}

/// Far more than one datagram holds.
pub(crate) fn many_routes_are_read_in_full() {
    let mut world = World::new();
    world.node.sh(
        "ip link add eth0 type veth peer name other; ip link set eth0 up; ip addr add 172.18.0.3/32 dev eth0
         for a in $(seq 0 15); do for b in $(seq 0 255); do echo route add 10.$a.$b.0/26 via 172.18.0.2 dev eth0 proto bird onlink; done; done | ip -batch -",
    );
    let routes = world.kernel.observe().unwrap().routes;
    assert_eq!(routes.len(), 4096);
    assert_eq!(
        routes.last().unwrap().to_string(),
        "10.15.255.0/26 via 172.18.0.2 dev eth0 proto bird onlink"
    );
}

/// A dump that is interrupted is read again; whatever else happens, what is stable is there.
pub(crate) fn a_changing_namespace_is_still_read() {
    let mut world = World::new();
    world
        .node
        .sh("for i in $(seq 40); do ip link add stable$i type veth peer name peer$i; done");
    let mut other = Kernel::open(&world.node.netns).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let create = Change::CreateVeth {
                    name: name("churn"),
                    mac: None,
                    mtu: None,
                    peer_place: Place::Node,
                    peer_name: name("churn1"),
                };
                let delete = Change::DeleteLink {
                    name: name("churn"),
                };
                let steps = [create, delete].map(|change| at(&Place::Node, change));
                other.apply(&steps).unwrap();
            }
        });
        for _ in 0..30 {
            let observed = world.kernel.observe().unwrap();
            let stable = observed
                .links
                .iter()
                .filter(|l| l.name.as_str().starts_with("stable"));
            assert_eq!(stable.count(), 40);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

pub(crate) fn the_kernel_says_which_way() {
    let mut world = World::new();
    world.node.sh(
        "ip link set lo up; ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
         ip addr add 172.18.0.3/16 dev eth0",
    );
    let target = Target::Device {
        device: name("eth0"),
        next_hop: NextHop::Gateway([172, 18, 0, 1].into()),
    };
    let default = Route::new("0.0.0.0/0".parse().unwrap(), target, RouteProtocol::STATIC);
    world.apply(Change::AddRoute(default));
    for destination in ["172.18.0.2", "192.0.2.1", "172.18.0.3"] {
        let answer = world
            .kernel
            .route_to(&Place::Node, destination.parse().unwrap())
            .unwrap();
        let shown = &world.node.ip(&format!("route get {destination}"))[0];
        assert_eq!(shown["dev"], answer.device.as_str(), "{destination}");
        assert_eq!(
            shown["prefsrc"],
            json!(answer.source.map(|a| a.to_string())),
            "{destination}"
        );
        assert_eq!(
            shown.get("gateway"),
            answer.gateway.map(|a| json!(a.to_string())).as_ref(),
            "{destination}"
        );
    }
    let inside = world.inside.clone();
    let error = world
        .kernel
        .route_to(&inside, [192, 0, 2, 1].into())
        .unwrap_err();
    assert_eq!(error.errno(), Some(libc_enetunreach()));
    let expected = format!(
        "route to 192.0.2.1 in {}: Network is unreachable (os error 101)",
        world.pod.netns.path().display()
    );
    assert_eq!(error.to_string(), expected);
}

fn libc_enetunreach() -> i32 {
    101
}
