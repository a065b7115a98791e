//! `Node::detach`: a container gives back what is its own, and nothing else.

use ipip_core::datastore::Store;
use ipip_core::node::{Node, WorkloadId};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    ("detach_leaves_nothing", Needs::Root, nothing_left),
    ("detach_without_attach", Needs::Root, never_attached),
    (
        "detach_whose_namespace_is_gone",
        Needs::Root,
        namespace_gone,
    ),
    ("detach_of_an_old_container", Needs::Root, old_container),
    ("detach_leaves_a_strangers_interface", Needs::Root, stranger),
    ("detach_many_is_a_commit_for_each_block", Needs::Root, many),
];

fn alone() -> (Cluster, Host, Node) {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let node = host.join();
    (cluster, host, node)
}

fn nothing_left() {
    let (cluster, host, node) = alone();
    let keys = || cluster.store.list_keys("/").unwrap().entries;
    let before = (host.state(), keys());
    let pod = Pod::new("podA", "c1");
    let attached = node.attach(&pod.workload).unwrap();
    let detached = node.detach(pod.id()).unwrap();
    assert_eq!(detached.released, [attached.address]);
    assert_eq!(
        detached.changes.to_string(),
        "ip link delete cali7f94ce7c295\n"
    );
    assert_eq!((host.state(), keys()), before);
    assert!(pod.space.try_sh("ip link show eth0").is_err());
    assert_eq!(
        node.detach(pod.id()).unwrap(),
        Default::default(),
        "a second time finds nothing"
    );
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn never_attached() {
    let (cluster, host, node) = alone();
    let before = (host.state(), cluster.store.list("/").unwrap());
    let detached = node
        .detach(&WorkloadId::new("default", "podA", "c1"))
        .unwrap();
    assert_eq!(detached, Default::default());
    assert_eq!((host.state(), cluster.store.list("/").unwrap()), before);
    let error = node
        .detach(&WorkloadId::new("default", "podA", ""))
        .unwrap_err();
    assert!(error.to_string().contains("neither empty"), "{error}");
}

fn namespace_gone() {
    let (cluster, host, node) = alone();
    let pod = Pod::new("podA", "c1");
    let attached = node.attach(&pod.workload).unwrap();
    let id = pod.id().clone();
    drop(pod);
    assert_eq!(node.detach(&id).unwrap().released, [attached.address]);
    assert!(host.space.try_sh("ip link show cali7f94ce7c295").is_err());
    assert!(cluster.ipam.check().unwrap().is_clean());
}

/// calico.md 4.3: a late DEL of an old container, after the pod was made anew under its name.
fn old_container() {
    let (cluster, host, node) = alone();
    let (old, new) = (Pod::new("podA", "c1"), Pod::new("podA", "c2"));
    let before = node.attach(&old.workload).unwrap();
    let after = node.attach(&new.workload).unwrap();
    let kernel = host.state();
    let detached = node.detach(old.id()).unwrap();
    assert_eq!(detached.released, [before.address]);
    assert!(detached.changes.is_empty(), "{}", detached.changes);
    assert_eq!(host.state(), kernel);
    assert!(new.reaches([172, 18, 0, 3].into()));
    assert_eq!(node.attach(&new.workload).unwrap().address, after.address);
    // Once it is the last, the wire goes too.
    assert_eq!(node.detach(new.id()).unwrap().changes.steps.len(), 1);
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn stranger() {
    let (_cluster, host, node) = alone();
    host.space
        .sh("ip link add cali7f94ce7c295 type veth peer name other");
    let before = host.state();
    node.detach(&WorkloadId::new("default", "podA", "c1"))
        .unwrap();
    assert_eq!(host.state(), before);
}

fn many() {
    let (cluster, host, node) = alone();
    let before = host.state();
    let pods: Vec<_> = (0..20)
        .map(|n| Pod::new(&format!("pod-{n}"), &format!("c{n}")))
        .collect();
    let workloads: Vec<_> = pods.iter().map(|pod| pod.workload.clone()).collect();
    let attached = node.attach_many(&workloads).unwrap();
    let mut ids: Vec<_> = pods.iter().map(|pod| pod.id().clone()).collect();
    ids.push(WorkloadId::new("default", "nobody", "c99"));
    let revision = || cluster.store.list("/").unwrap().revision.0;
    let start = revision();
    let detached = node.detach_many(&ids).unwrap();
    assert_eq!(revision() - start, 1, "all are of one block");
    for (one, other) in attached.iter().zip(&detached) {
        assert_eq!(
            other.as_ref().unwrap().released,
            [one.as_ref().unwrap().address]
        );
    }
    assert_eq!(
        detached[20].as_ref().unwrap().released,
        [std::net::Ipv4Addr::UNSPECIFIED; 0]
    );
    assert_eq!(host.state(), before);
    assert!(cluster.ipam.check().unwrap().is_clean());
}
