//! `Node::leave`, and what a node does while it cannot read the store.

use std::sync::Arc;

use ipip_core::datastore::Store;
use ipip_core::ipam::Ambient;
use ipip_core::node::{LeaveOptions, Node, NodeError};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Pod};
use crate::support::{Needs, Test};
use crate::two::{Two, settle};
use crate::unsteady::Unsteady;

pub(crate) const TESTS: &[Test] = &[
    ("leave_takes_what_is_ours", Needs::NoDriver, leave),
    ("drivers_leave_takes_what_is_ours", Needs::Driver, leave),
    ("leave_forgets_if_asked", Needs::Root, forget),
    ("leave_leaves_strangers", Needs::Root, strangers),
    (
        "a_store_out_of_reach_takes_nothing_away",
        Needs::NoDriver,
        out_of_reach,
    ),
    (
        "drivers_a_store_out_of_reach_takes_nothing_away",
        Needs::Driver,
        out_of_reach,
    ),
];

fn leave() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let before = host.state();
    let peer = cluster.host("node-b", "172.18.0.2/16");
    peer.join();
    let node = host.join();
    let pod = Pod::new("podA", "c1");
    let address = node.attach(&pod.workload).unwrap().address;
    settle(&node);
    assert_ne!(host.state(), before);
    let tunnel = cluster
        .ipam
        .node(&host.name)
        .unwrap()
        .unwrap()
        .tunnel_addr()
        .unwrap();
    let left = node.leave(&LeaveOptions::default()).unwrap();
    assert!(left.is_complete(), "{}", left.to_json());
    assert_eq!(left.released, [tunnel.0]);
    assert_eq!(host.state(), before);
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert!(record.tunnel_addr().is_none() && record.addr().is_some());
    assert!(
        cluster
            .ipam
            .block_of(address)
            .unwrap()
            .unwrap()
            .attribute_of(address)
            .is_some()
    );
    let again = node.leave(&LeaveOptions::default()).unwrap();
    assert!(again.is_complete() && again.done.is_empty() && again.released.is_empty());
    // It may come back, and finds its containers' addresses.
    let node = host.join();
    assert_eq!(node.attach(&pod.workload).unwrap().address, address);
    settle(&node);
}

fn forget() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let (kernel, keys) = (host.state(), cluster.store.list_keys("/").unwrap().entries);
    let node = host.join();
    let pod = Pod::new("podA", "c1");
    node.attach(&pod.workload).unwrap();
    let left = node.leave(&LeaveOptions { forget: true }).unwrap();
    assert!(
        left.is_complete() && left.removal.is_some(),
        "{}",
        left.to_json()
    );
    assert_eq!(
        (host.state(), cluster.store.list_keys("/").unwrap().entries),
        (kernel, keys)
    );
    assert!(matches!(node.sync(), Err(NodeError::NotJoined { .. })));
    assert!(matches!(
        node.attach(&pod.workload),
        Err(NodeError::NotJoined { .. })
    ));
}

fn strangers() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let host = cluster.host("node-a", "172.18.0.3/16");
    host.space.sh(
        "ip route add 10.244.99.0/26 via 172.18.0.1 dev eth0 proto static; \
         ip route add 10.55.0.0/16 via 172.18.0.2 dev eth0 proto bird; \
         ip link add cali00000000001 type veth peer name other1",
    );
    let before = host.state();
    let node = host.join();
    node.leave(&LeaveOptions::default()).unwrap();
    assert_eq!(host.state(), before);
}

fn out_of_reach() {
    let two = Two::new(IpipMode::Always);
    let unsteady = Unsteady::before(&two.cluster.store);
    let config = || two.hosts[1].config();
    let open = || {
        let store = Arc::clone(&unsteady) as Arc<dyn Store>;
        Node::open(store, config(), Ambient::system())
    };
    // Another value of the same node: that of a process which started anew.
    let node = open().unwrap();
    let pod = Pod::new("podC", "c3");
    node.attach(&pod.workload).unwrap();
    settle(&node);
    let right = two.hosts[1].state();
    unsteady.fail(true);
    // While nobody can read it, a block goes and a route is damaged.
    two.nodes[0].detach(two.pods[0].id()).unwrap();
    two.nodes[0].leave(&LeaveOptions { forget: true }).unwrap();
    two.hosts[1]
        .space
        .sh("ip route flush proto bird; ip link set tunl0 down");
    // Of a block that came meanwhile, for all it knows.
    two.hosts[1]
        .space
        .sh("ip route add blackhole 10.244.201.0/26 proto bird");
    let synced = node.sync().unwrap();
    let words = synced.stale.as_deref().unwrap();
    assert!(
        words.contains("cannot be watched") && words.contains("out of reach"),
        "{words}"
    );
    assert!(
        two.hosts[1]
            .routes()
            .contains(&"blackhole 10.244.201.0/26 proto bird".to_owned()),
        "{synced}"
    );
    two.hosts[1]
        .space
        .sh("ip route del blackhole 10.244.201.0/26");
    assert_eq!(two.hosts[1].state(), right, "mended by what was read last");
    assert!(!synced.is_settled() && synced.failed.is_empty(), "{synced}");
    // Who never could read it does nothing.
    assert!(matches!(open(), Err(NodeError::Ipam(_))));
    unsteady.fail(false);
    let synced = settle(&node);
    assert!(
        synced
            .done
            .iter()
            .any(|step| step.to_string().starts_with("ip route del")),
        "{synced}"
    );
}
