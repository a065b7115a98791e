//! `Node::attach`: one address for a container, however often it is asked for, and nothing left of a
//! call that fails.

use ipip_core::datastore::Store;
use ipip_core::node::{Node, NodeError, Workload, WorkloadId};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Test, name};

pub(crate) const TESTS: &[Test] = &[
    ("attach_fresh", Needs::Root, fresh),
    ("attach_repeated_and_damaged", Needs::Root, repeated),
    (
        "attach_a_new_container_of_the_pod",
        Needs::Root,
        new_container,
    ),
    ("attach_with_a_wanted_address", Needs::Root, wanted),
    (
        "attach_takes_both_ends_to_another_mtu",
        Needs::Root,
        another_mtu,
    ),
    ("attach_that_fails_gives_back", Needs::Root, gives_back),
    ("attach_with_names_that_are_none", Needs::Root, bad_names),
    ("attach_many_is_a_commit_for_each_block", Needs::Root, many),
    ("attach_until_nothing_is_left", Needs::Root, exhausted),
];

fn alone() -> (Cluster, Host, Node) {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let node = host.join();
    (cluster, host, node)
}

fn fresh() {
    let (cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let attached = node.attach(&pod.workload).unwrap();
    assert_eq!(attached.host_veth, name("cali7f94ce7c295"));
    assert_eq!(attached.mtu.octets(), 1480);
    let eth0 = &pod.space.ip("addr show dev eth0")[0];
    assert_eq!(eth0["address"], attached.mac.unwrap().to_string());
    assert_eq!(eth0["addr_info"][0]["local"], attached.address.to_string());
    let route = format!("{} dev cali7f94ce7c295 scope link", attached.address);
    assert!(host.routes().contains(&route), "{:?}", host.routes());
    assert!(pod.reaches([172, 18, 0, 3].into()), "its node answers");
    let block = cluster.ipam.block_of(attached.address).unwrap().unwrap();
    let who = block.attribute_of(attached.address).unwrap();
    assert_eq!(who.handle(), Some("k8s-pod-network.c1"));
    let known: Vec<_> = who
        .secondary()
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let [
        ("namespace", "default"),
        ("node", "node-a"),
        ("pod", "podA"),
        ("timestamp", stamp),
    ] = known[..]
    else {
        panic!("{known:?}")
    };
    assert!(stamp.ends_with(" +0000 UTC"), "{stamp}");
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn repeated() {
    let (cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let first = node.attach(&pod.workload).unwrap();
    let (kernel, inside, store) = (host.state(), pod.state(), cluster.store.list("/").unwrap());
    let again = node.attach(&pod.workload).unwrap();
    assert_eq!((again.address, again.mac), (first.address, first.mac));
    assert!(again.changes.is_empty(), "{}", again.changes);
    for (where_, damage) in [
        (&pod.space, "ip addr flush dev eth0"),
        (&pod.space, "ip route flush table main"),
        (&pod.space, "ip link set eth0 down"),
        (&host.space, "ip link set cali7f94ce7c295 down"),
        (&host.space, "ip link del cali7f94ce7c295"),
        (&host.space, "ip route flush dev cali7f94ce7c295"),
    ] {
        where_.sh(damage);
        let mended = node.attach(&pod.workload).unwrap();
        assert_eq!(mended.address, first.address, "{damage}");
        assert!(!mended.changes.is_empty(), "{damage}");
        assert_eq!(
            (host.state(), pod.state()),
            (kernel.clone(), inside.clone()),
            "{damage}"
        );
    }
    assert_eq!(
        cluster.store.list("/").unwrap(),
        store,
        "the store is as it was"
    );
}

fn new_container() {
    let (cluster, _host, node) = alone();
    let (old, new) = (Pod::new("podA", "c1"), Pod::new("podA", "c2"));
    let before = node.attach(&old.workload).unwrap();
    let after = node.attach(&new.workload).unwrap();
    assert_ne!(
        before.address, after.address,
        "the old one has its address until it is detached"
    );
    assert!(
        old.space.try_sh("ip link show eth0").is_err(),
        "the wire is the pod's"
    );
    assert!(new.reaches([172, 18, 0, 3].into()));
    assert!(cluster.ipam.check().unwrap().is_clean());
}

/// calicoctl#488, calico#3895: of one underlay come the MTU of the tunnel and that of a pod, but a pod that runs keeps its
/// own until it is attached again.
fn another_mtu() {
    let (_cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let first = node.attach(&pod.workload).unwrap();
    let mtus = || {
        let outside = host.space.ip(&format!("link show {}", first.host_veth))[0]["mtu"].clone();
        [outside, pod.space.ip("link show eth0")[0]["mtu"].clone()]
    };
    assert_eq!(mtus(), [1480, 1480]);
    host.space.sh("ip link set eth0 mtu 1400");
    node.sync().unwrap();
    assert_eq!(mtus(), [1480, 1480], "a sync does not look into pods");
    assert_eq!(node.attach(&pod.workload).unwrap().mtu.octets(), 1380);
    assert_eq!(mtus(), [1380, 1380]);
}

fn wanted() {
    let (cluster, _host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let wanting = |pod: &Pod, addr: [u8; 4]| Workload {
        address: Some(addr.into()),
        ..pod.workload.clone()
    };
    let attached = node.attach(&wanting(&pod, [10, 244, 79, 20])).unwrap();
    assert_eq!(attached.address.octets(), [10, 244, 79, 20]);
    let again = node.attach(&wanting(&pod, [10, 244, 79, 20])).unwrap();
    assert!(again.changes.is_empty());
    assert_eq!(
        node.attach(&pod.workload).unwrap().address,
        attached.address
    );
    let error = node.attach(&wanting(&pod, [10, 244, 79, 21])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container c1 has address 10.244.79.20, and asks for 10.244.79.21; detach it first"
    );
    let other = Pod::new("podB", "c2");
    let store = cluster.store.list("/").unwrap();
    let error = node
        .attach(&wanting(&other, [10, 244, 79, 20]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "address 10.244.79.20 is already assigned with handle \"k8s-pod-network.c1\""
    );
    assert_eq!(cluster.store.list("/").unwrap(), store);
}

fn gives_back() {
    let (cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let handles = || {
        cluster
            .store
            .list("/calico/ipam/v2/handle/")
            .unwrap()
            .entries
            .len()
    };
    let before = (host.state(), handles());
    for (damage, mended, expected) in [
        (
            "ip link add eth0 type veth peer name other",
            "ip link del eth0",
            "link eth0 is taken: kind veth, expected our veth end with peer cali7f94ce7c295",
        ),
        (
            "ip link add other type veth peer name another; ip link set other up; ip route add default dev other",
            "ip link del other",
            "the prefix is taken by route default dev other scope link",
        ),
    ] {
        pod.space.sh(damage);
        let inside = pod.state();
        let error = node.attach(&pod.workload).unwrap_err();
        assert!(matches!(error, NodeError::InTheWay(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((host.state(), handles()), before, "{damage}");
        assert_eq!(pod.state(), inside, "{damage}");
        pod.space.sh(mended);
    }
    // What was there before the call is not given back.
    let attached = node.attach(&pod.workload).unwrap();
    pod.space
        .sh("ip link set eth0 name gone; ip link add eth0 type veth peer name other");
    node.attach(&pod.workload).unwrap_err();
    let handle = ipip_core::name::HandleId::try_new("k8s-pod-network.c1").unwrap();
    assert_eq!(
        cluster.ipam.addresses_of(&handle).unwrap()[0].0,
        attached.address
    );
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn bad_names() {
    let (cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let file = std::env::current_exe().unwrap();
    let workload = |namespace: &str, pod_name: &str, container: &str, path: &std::path::Path| {
        Workload::new(WorkloadId::new(namespace, pod_name, container), path)
    };
    let netns = pod.space.netns.path();
    let before = (host.state(), cluster.store.list("/").unwrap());
    for (workload, expected) in [
        (
            workload("", "p", "c", netns),
            "workload namespace \"\" must be 1 to 253 octets",
        ),
        (
            workload("n", "a/b", "c", netns),
            "workload pod \"a/b\" must be 1 to 253 octets",
        ),
        (
            workload("n", "p", "a/b", netns),
            "handle \"k8s-pod-network.a/b\" must not contain '/'",
        ),
        (
            workload("n", "p", "", netns),
            "must be of the form NETWORK.CONTAINER, neither empty",
        ),
        (workload("n", "p", "c", &file), "is not a network namespace"),
        (
            workload("n", "p", "c", "/run/netns/none".as_ref()),
            "cannot open network namespace /run/netns/none",
        ),
        (
            workload("n", "p", "c", host.space.netns.path()),
            "is the node's own, a workload needs another",
        ),
    ] {
        let error = node.attach(&workload).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!((host.state(), cluster.store.list("/").unwrap()), before);
}

fn many() {
    let (cluster, _host, node) = alone();
    let pods: Vec<_> = (0..70)
        .map(|n| Pod::new(&format!("pod-{n}"), &format!("c{n}")))
        .collect();
    let mut workloads: Vec<_> = pods.iter().map(|pod| pod.workload.clone()).collect();
    workloads[3].netns = "/run/netns/none".into();
    let before = cluster.store.list("/").unwrap().revision;
    let answers = node.attach_many(&workloads).unwrap();
    let commits = cluster.store.list("/").unwrap().revision.0 - before.0;
    // 63 addresses of the block that has the tunnel's, one with which the second is claimed, 5 more.
    assert_eq!(commits, 3);
    for (at, (pod, answer)) in pods.iter().zip(&answers).enumerate() {
        match answer {
            Ok(attached) => {
                let inside = pod.space.sh("ip -4 -br addr show dev eth0");
                assert!(
                    inside.contains(&format!(" {}/32", attached.address)),
                    "{inside}"
                );
            }
            Err(error) => assert_eq!((at, error.errno()), (3, Some(2)), "{error}"),
        }
    }
    assert!(
        pods[0].reaches(answers[69].as_ref().unwrap().address),
        "pod to pod"
    );
    let again = node.attach_many(&workloads).unwrap();
    for (one, other) in answers.iter().zip(&again) {
        if let (Ok(one), Ok(other)) = (one, other) {
            assert_eq!(
                (one.address, other.changes.is_empty()),
                (other.address, true)
            );
        }
    }
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn exhausted() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    cluster.ipam.disable_pool("pods").unwrap();
    let small =
        ipip_core::resource::Pool::try_new("small", "10.9.0.0/30".parse().unwrap(), 30).unwrap();
    cluster
        .ipam
        .create_pool(&small.with_ipip_mode(IpipMode::Always))
        .unwrap();
    let node = host.join();
    let pods: Vec<_> = (0..5)
        .map(|n| Pod::new(&format!("pod-{n}"), &format!("c{n}")))
        .collect();
    let workloads: Vec<_> = pods.iter().map(|pod| pod.workload.clone()).collect();
    let answers = node.attach_many(&workloads).unwrap();
    let given = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(given, 3, "four, less the tunnel's own");
    let error = answers[4].as_ref().unwrap_err().to_string();
    assert_eq!(error, "nothing is left for node node-a in pools: small");
}
