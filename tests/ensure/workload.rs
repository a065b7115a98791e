//! `ensure_workload` and `remove_workload`.

use ipip_core::mtu::TunnelMtu;
use ipip_core::node::{ensure_workload, remove_workload};
use ipip_core::overlay::WorkloadEndpoint;
use ipip_core::sys::netns::Netns;

use crate::support::{Named, Needs, Test};
use crate::{lines, refusal};

pub(crate) const TESTS: &[Test] = &[
    ("workload_fresh", Needs::Root, fresh),
    ("workload_repeated", Needs::Root, repeated),
    ("workload_damaged", Needs::Root, damaged),
    (
        "workload_with_another_address",
        Needs::Root,
        another_address,
    ),
    ("workload_host_name_taken", Needs::Root, host_name_taken),
    ("workload_inner_name_taken", Needs::Root, inner_name_taken),
    (
        "workload_with_a_foreign_default_route",
        Needs::Root,
        foreign_default_route,
    ),
    (
        "workload_address_routed_elsewhere",
        Needs::Root,
        address_routed_elsewhere,
    ),
    ("workload_removed", Needs::Root, removed),
    (
        "workload_whose_namespace_was_replaced",
        Needs::Root,
        namespace_replaced,
    ),
    (
        "workload_in_the_nodes_own_namespace",
        Needs::Root,
        own_namespace,
    ),
    (
        "workload_with_an_address_that_none_can_have",
        Needs::Root,
        not_an_address,
    ),
    (
        "workload_whose_namespace_is_another_nodes",
        Needs::Root,
        another_nodes_pod,
    ),
    ("workload_answered_by_proxy_arp", Needs::Root, proxy_arp),
];

const HOST: &str = "cali7f94ce7c295";

fn pod_a() -> WorkloadEndpoint {
    WorkloadEndpoint::new(
        "default",
        "podA",
        [10, 244, 79, 20].into(),
        TunnelMtu::try_new(1480).unwrap(),
    )
}

fn ensure(node: &Named, pod: &Named) -> Vec<String> {
    lines(&ensure_workload(&node.netns, &pod.netns, &pod_a()).unwrap())
}

/// Everything that the call may touch, read by `ip`, without what the kernel notices only after a
/// while: the carrier and the operational state that follows from it.
fn state(node: &Named, pod: &Named) -> [String; 4] {
    let links = "ip -br link | awk '{ print $1, $3, $4 }' | sed -E 's/NO-CARRIER,|,LOWER_UP|,M-DOWN//g' | sort";
    let addresses = "ip -4 -br addr | awk '{ print $1, $3 }'";
    [
        node.sh(links),
        pod.sh(links),
        node.sh("ip route"),
        pod.sh(&format!("ip route; {addresses}")),
    ]
}

fn fresh() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    assert_eq!(ensure(&node, &pod).len(), 12);
    let host = &node.ip(&format!("-d link show {HOST}"))[0];
    assert_eq!(host["address"], "ee:ee:ee:ee:ee:ee");
    assert_eq!(host["mtu"], 1480);
    assert!(host["flags"].as_array().unwrap().contains(&"UP".into()));
    assert_eq!(host["ifalias"], "ipip default.podA");
    assert_eq!(host["num_tx_queues"], 1);
    for (key, value) in [
        ("conf/X/proxy_arp", "1"),
        ("conf/X/forwarding", "1"),
        ("neigh/X/proxy_delay", "0"),
    ] {
        assert_eq!(node.sysctl(&key.replace('X', HOST)), value, "{key}");
    }
    assert_eq!(
        node.sh("ip route").trim(),
        format!("10.244.79.20 dev {HOST} scope link")
    );
    let eth0 = &pod.ip("-d addr show dev eth0")[0];
    assert_eq!(eth0["mtu"], 1480);
    assert_eq!(
        (
            &eth0["addr_info"][0]["local"],
            &eth0["addr_info"][0]["prefixlen"]
        ),
        (&"10.244.79.20".into(), &32.into())
    );
    assert_eq!(pod.sysctl("conf/eth0/forwarding"), "0");
    let routes: Vec<_> = pod
        .sh("ip route")
        .lines()
        .map(|line| line.trim().to_owned())
        .collect();
    assert_eq!(
        routes,
        [
            "default via 169.254.1.1 dev eth0",
            "169.254.1.1 dev eth0 scope link"
        ]
    );
}

fn repeated() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    ensure(&node, &pod);
    let before = state(&node, &pod);
    assert_eq!(ensure(&node, &pod), [""; 0]);
    assert_eq!(state(&node, &pod), before);
}

fn damaged() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    ensure(&node, &pod);
    let whole = state(&node, &pod);
    for (at, damage) in [
        (&node, format!("ip link set {HOST} mtu 1400")),
        (&node, format!("ip link set {HOST} down")),
        (&node, format!("ip link set {HOST} alias ''")),
        (
            &node,
            format!("ip link set {HOST} down; ip link set {HOST} address 02:00:00:00:00:01 up"),
        ),
        (
            &node,
            format!("echo 0 > /proc/sys/net/ipv4/conf/{HOST}/proxy_arp"),
        ),
        (
            &node,
            format!("echo 80 > /proc/sys/net/ipv4/neigh/{HOST}/proxy_delay"),
        ),
        (&node, "ip route del 10.244.79.20".to_owned()),
        (&pod, "ip route flush table main".to_owned()),
        (&pod, "ip addr flush dev eth0".to_owned()),
        (&pod, "ip link set eth0 down".to_owned()),
    ] {
        // Whatever was mended, whole again, and nothing left to do.
        at.sh(&damage);
        assert_ne!(ensure(&node, &pod), [""; 0], "{damage}");
        assert_eq!(ensure(&node, &pod), [""; 0], "{damage}");
        assert_eq!(state(&node, &pod), whole, "{damage}");
    }
}

/// The old address goes, from both sides; one that the pod gave itself stays.
fn another_address() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    ensure(&node, &pod);
    pod.sh("ip addr add 192.0.2.7/32 dev eth0");
    let moved = WorkloadEndpoint {
        address: [10, 244, 79, 21].into(),
        ..pod_a()
    };
    ensure_workload(&node.netns, &pod.netns, &moved).unwrap();
    assert!(
        ensure_workload(&node.netns, &pod.netns, &moved)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        node.sh("ip route").trim(),
        format!("10.244.79.21 dev {HOST} scope link")
    );
    let addresses = pod.sh("ip -4 -br addr show dev eth0");
    assert!(!addresses.contains("10.244.79.20/32"), "{addresses}");
    assert!(
        addresses.contains("10.244.79.21/32") && addresses.contains("192.0.2.7/32"),
        "{addresses}"
    );
    let source = pod.sh("ip route get 10.244.244.73");
    assert!(!source.contains("10.244.79.20"), "{source}");
}

fn host_name_taken() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    node.sh(&format!("ip link add {HOST} type veth peer name other"));
    let before = state(&node, &pod);
    let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &pod_a()));
    assert_eq!(
        said,
        format!("link {HOST} is taken: kind veth, expected our veth end with peer eth0")
    );
    assert!(remove_workload(&node.netns, &pod_a()).unwrap().is_empty());
    assert_eq!(state(&node, &pod), before);
}

fn inner_name_taken() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    pod.sh("ip link add eth0 type veth peer name other");
    let before = state(&node, &pod);
    let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &pod_a()));
    assert_eq!(
        said,
        format!("link eth0 is taken: kind veth, expected our veth end with peer {HOST}")
    );
    assert_eq!(state(&node, &pod), before);
}

fn foreign_default_route() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    pod.sh("ip link add net1 type veth peer name net2; ip link set net1 up; ip route add default dev net1");
    let before = state(&node, &pod);
    let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &pod_a()));
    assert!(
        said.contains(
            "route default via 169.254.1.1 dev eth0: the prefix is taken by route default dev net1"
        ),
        "{said}"
    );
    assert_eq!(state(&node, &pod), before);
}

fn address_routed_elsewhere() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    node.sh("ip link add cali0 type veth peer name x; ip link set cali0 up; ip route add 10.244.79.20 dev cali0");
    let before = state(&node, &pod);
    let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &pod_a()));
    assert!(
        said.contains("the prefix is taken by route 10.244.79.20 dev cali0 scope link"),
        "{said}"
    );
    assert_eq!(state(&node, &pod), before);
}

fn removed() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    let before = state(&node, &pod);
    ensure(&node, &pod);
    assert_eq!(
        lines(&remove_workload(&node.netns, &pod_a()).unwrap()),
        [format!("ip link delete {HOST}")]
    );
    assert_eq!(state(&node, &pod), before);
    assert!(remove_workload(&node.netns, &pod_a()).unwrap().is_empty());
}

/// The pod was made anew under the same name while its old namespace is still held by somebody.
fn namespace_replaced() {
    let (node, old) = (Named::new("node"), Named::new("old"));
    ensure(&node, &old);
    let new = Named::new("new");
    let steps = ensure(&node, &new);
    assert_eq!(steps[0], format!("ip link delete {HOST}"));
    assert_eq!(ensure(&node, &new), [""; 0]);
    assert!(old.try_sh("ip link show eth0").is_err());
}

/// Both ends have the same names and indexes on both nodes, so only the namespaces tell them apart.
fn another_nodes_pod() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    let (other_node, other_pod) = (Named::new("node"), Named::new("pod"));
    ensure(&node, &pod);
    ensure(&other_node, &other_pod);
    let index = |at: &Named, name| at.ip(&format!("link show {name}"))[0]["ifindex"].clone();
    assert_eq!(index(&node, HOST), index(&other_node, HOST));
    assert_eq!(index(&pod, "eth0"), index(&other_pod, "eth0"));
    let said = refusal(|| ensure_workload(&node.netns, &other_pod.netns, &pod_a()));
    assert!(said.contains("link eth0 is taken: kind veth"), "{said}");
    assert_eq!(ensure(&node, &pod), [""; 0]);
    assert_eq!(ensure(&other_node, &other_pod), [""; 0]);
}

fn own_namespace() {
    let node = Named::new("node");
    let same = Netns::open(node.netns.path()).unwrap();
    let said = refusal(|| ensure_workload(&node.netns, &same, &pod_a()));
    assert!(said.contains("the node's own"), "{said}");
    assert_eq!(
        node.ip("link").len(),
        node.ip("link show group default").len()
    );
    assert!(node.try_sh(&format!("ip link show {HOST}")).is_err());
}

fn not_an_address() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    for octets in [
        [224, 0, 0, 1],
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [255, 255, 255, 255],
        [169, 254, 1, 1],
    ] {
        let workload = WorkloadEndpoint {
            address: octets.into(),
            ..pod_a()
        };
        let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &workload));
        assert!(
            said.contains("must be from 1.0.0.0 to 223.255.255.255"),
            "{said}"
        );
    }
    for namespace in ["", "a/b", "new\nline", &"x".repeat(254)] {
        let workload = WorkloadEndpoint {
            namespace: namespace.to_owned(),
            ..pod_a()
        };
        let said = refusal(|| ensure_workload(&node.netns, &pod.netns, &workload));
        assert!(said.starts_with("workload namespace "), "{said}");
    }
    assert_eq!(node.sh("ip -br link | grep -c cali || true").trim(), "0");
}

/// The pod's ARP for its gateway is answered with the host end's address at once.
fn proxy_arp() {
    let (node, pod) = (Named::new("node"), Named::new("pod"));
    node.sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip addr add 192.0.2.1/24 dev up0");
    node.sh("ip link set up1 up; ip route add default via 192.0.2.2 dev up0");
    ensure(&node, &pod);
    pod.sh("ip neigh flush all; echo -n x > /dev/udp/198.51.100.1/9 2>/dev/null || bash -c 'echo -n x > /dev/udp/198.51.100.1/9'");
    for _ in 0..50 {
        if pod
            .sh("ip neigh show 169.254.1.1")
            .contains("lladdr ee:ee:ee:ee:ee:ee")
        {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no answer within a second: {}", pod.sh("ip neigh"));
}
