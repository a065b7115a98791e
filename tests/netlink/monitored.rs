//! What the monitor tells, beside what `ip monitor` prints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipip_core::netlink::{Event, Kernel, Monitor};
use ipip_core::plan::{Change, Place, RouteProtocol, Step};

use crate::many::peer_route;
use crate::support::{Named, Scratch, at, name};

const SOON: Duration = Duration::from_secs(10);

/// Everything until a link of that name appears.
fn until(monitor: &mut Monitor, last: &str) -> Vec<Event> {
    let (mut events, start) = (vec![], Instant::now());
    let is_last = |event: &Event| matches!(event, Event::Link { name: Some(found), .. } if *found == name(last));
    while !events.iter().any(is_last) {
        assert!(start.elapsed() < SOON, "{events:?}");
        events.extend(monitor.wait(Duration::from_millis(100)).unwrap());
    }
    events
}

pub(crate) fn events_are_those_that_ip_monitor_prints() {
    let (node, scratch) = (Named::new("node"), Scratch::new());
    let mut monitor = Monitor::open(&node.netns).unwrap();
    let file = scratch.file("monitor");
    // The loopback device shows that `ip monitor` listens, the last device that it has heard all.
    let script = "ip -o monitor label link address route nexthop >FILE & monitor=$!
        until grep -q lo: FILE; do ip link set lo up; ip link set lo down; sleep 0.02; done
        ip link add eth0 type veth peer name other; ip link set eth0 up; ip link set other up
        ip addr add 172.18.0.3/16 dev eth0; ip addr add 192.0.2.1/32 dev eth0
        ip route add 10.0.0.0/26 via 172.18.0.2 dev eth0 proto bird onlink
        ip route replace 10.0.0.0/26 via 172.18.0.9 dev eth0 proto bird onlink mtu 1400
        ip route add 10.0.0.0/26 via 172.18.0.9 dev eth0 proto static metric 5 src 192.0.2.1
        ip nexthop add id 5 via 172.18.0.7 dev eth0; ip route add 10.6.0.0/16 nhid 5
        ip route del 10.0.0.0/26; ip route add blackhole 10.9.0.0/26; ip route add 10.8.0.0/16 via 172.18.0.9 table 100
        ip link property add dev eth0 altname another; ip link set eth0 name eth1 || ip link set other mtu 1400
        ip route del 10.6.0.0/16; ip addr del 192.0.2.1/32 dev eth0
        ip link set other down; ip link del other; ip link add last type veth peer name z
        until grep -q last@ FILE; do sleep 0.02; done; kill $monitor";
    node.sh(&script.replace("FILE", &file.display().to_string()));
    let printed = std::fs::read_to_string(&file).unwrap();
    let shown: Vec<String> = printed.lines().filter_map(as_ours).collect();
    let events = until(&mut monitor, "last");
    let found: Vec<String> = events.iter().filter_map(text).collect();
    for (found, shown) in found.iter().zip(&shown) {
        assert_eq!(found, shown);
    }
    assert_eq!(found.len(), shown.len());
    assert!(found.len() > 20, "{found:#?}");
}

fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Link { index: 1, .. }
        | Event::Address { index: 1, .. }
        | Event::AddressGone { index: 1, .. } => return None,
        Event::Link { index, name, up } => format!("link {index} {} {up}", name.as_ref()?),
        Event::LinkGone { index, name } => format!("gone link {index} {}", name.as_ref()?),
        Event::Address { index, address, .. } => format!("address {index} {address}"),
        Event::AddressGone { index, address, .. } => format!("gone address {index} {address}"),
        Event::Route(route) => format!("route {route}"),
        Event::RouteGone(route) => format!("gone route {route}"),
        Event::NextHop(id) => format!("next hop {id}"),
        Event::NextHopGone(id) => format!("gone next hop {id}"),
        other => panic!("{other:?}"),
    })
}

/// A line of `ip -o monitor label` as [`text`] says it; nothing for what it prints beyond.
fn as_ours(line: &str) -> Option<String> {
    let (label, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (gone, rest) = match rest.strip_prefix("Deleted ") {
        Some(rest) => ("gone ", rest),
        None => ("", rest),
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let index = words[0].trim_end_matches(':');
    match label {
        _ if index == "1" => None,
        "LINK" => {
            let name = words[1].split(['@', ':']).next()?;
            let up = words[2]
                .trim_matches(['<', '>'])
                .split(',')
                .any(|flag| flag == "UP");
            let up = if gone.is_empty() {
                format!(" {up}")
            } else {
                String::new()
            };
            Some(format!("{gone}link {index} {name}{up}"))
        }
        "ADDR" if words[2] == "inet" => Some(format!("{gone}address {index} {}", words[3])),
        "NEXTHOP" => Some(format!("{gone}next hop {}", words[1])),
        "ROUTE" if !rest.contains(" table ") && !rest.contains("::") => {
            let text = rest.replace(" linkdown", "").replace(" dead", "");
            // Beside a next hop that is an object `ip` prints what is inside.
            let text = match text.split_once("nhid 5 ") {
                Some((before, _)) => format!("{before}nhid 5"),
                None => text,
            };
            Some(format!("{gone}route {}", text.trim_end()))
        }
        _ => None,
    }
}

/// Whoever attached a program there hears of it at once.
pub(crate) fn a_filter_that_goes_is_told() {
    let node = Named::new("node");
    node.sh("ip link add eth0 type veth peer name other");
    for take in [
        "tc filter del dev eth0 ingress",
        "tc qdisc del dev eth0 clsact",
    ] {
        node.sh("tc qdisc replace dev eth0 clsact; tc filter add dev eth0 ingress protocol ip bpf bytecode '1,6 0 0 0' flowid 1:1");
        let mut monitor = Monitor::open(&node.netns).unwrap();
        node.sh(take);
        let events = monitor.wait(SOON).unwrap();
        let is_told = |event: &Event| matches!(event, Event::FilterGone { name: Some(found), .. } if *found == name("eth0"));
        assert!(events.iter().any(is_told), "{take}: {events:?}");
    }
}

/// More than its buffer holds: told so once, and from then on every change again.
pub(crate) fn an_overrun_is_reported() {
    let node = Named::new("node");
    node.sh("ip link add eth0 type veth peer name other; ip link set eth0 up; ip addr add 172.18.0.3/32 dev eth0");
    let mut monitor = Monitor::open(&node.netns).unwrap();
    let mut kernel = Kernel::open(&node.netns).unwrap();
    let add = |number| at(&Place::Node, Change::AddRoute(peer_route(number, "eth0")));
    let steps: Vec<Step> = (0..10_000).map(add).collect();
    assert!(kernel.apply_all(&steps).is_complete());
    node.sh("ip link add unseen type veth peer name unseen1; ip link set unseen up");
    let events = monitor.wait(SOON).unwrap();
    assert_eq!(
        events.last(),
        Some(&Event::Overrun),
        "{} events",
        events.len()
    );
    assert_eq!(monitor.wait(Duration::ZERO).unwrap(), []);
    assert!(kernel.apply_all(&[add(10_000)]).is_complete());
    let route = Event::Route(peer_route(10_000, "eth0"));
    assert_eq!(monitor.wait(SOON).unwrap(), [route]);
    // A link that appeared unseen has its name again.
    node.sh("ip route add 10.250.0.0/16 dev unseen proto bird");
    let events = monitor.wait(SOON).unwrap();
    let [Event::Route(route)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        route.to_string(),
        "10.250.0.0/16 dev unseen proto bird scope link"
    );
    assert_eq!(route.protocol, RouteProtocol::BIRD);
}

pub(crate) fn a_workloads_routes_are_told_as_its_own() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    let place = Kernel::open(&node.netns)
        .unwrap()
        .add_workload(&pod.netns)
        .unwrap();
    let mut monitor = Monitor::open_workload(&pod.netns).unwrap();
    pod.sh("ip link set lo up; ip route add blackhole 10.9.0.0/26; ip link add last type veth peer name z");
    let events = until(&mut monitor, "last");
    let routes = events.iter().filter_map(|event| match event {
        Event::Route(route) => Some((&route.place, route.to_string())),
        _ => None,
    });
    assert_eq!(
        routes.collect::<Vec<_>>(),
        [(&place, "blackhole 10.9.0.0/26".to_owned())]
    );
}

pub(crate) fn a_monitor_is_woken() {
    let node = Named::new("node");
    let mut monitor = Monitor::open(&node.netns).unwrap();
    let start = Instant::now();
    assert_eq!(monitor.wait(Duration::from_millis(20)).unwrap(), []);
    assert!(start.elapsed() >= Duration::from_millis(20));
    let wake = Arc::clone(&monitor.wake());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| monitor.wait(Duration::MAX).unwrap());
        std::thread::sleep(Duration::from_millis(5));
        wake.ring();
        assert_eq!(waiting.join().unwrap(), []);
    });
    assert!(wake.is_rung());
}
