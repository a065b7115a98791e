//! `Node::join`: the record, the tunnel address, and who may not join.

use std::sync::Arc;

use ipip_core::addr::NodeAddr;
use ipip_core::datastore::Store;
use ipip_core::ipam::Ambient;
use ipip_core::mtu::TunnelMtu;
use ipip_core::node::{Node, NodeError};
use ipip_core::resource::{IpipMode, Node as NodeRecord};

use crate::cluster::{Cluster, POOL, Pod};
use crate::support::{Needs, Test, name};

pub(crate) const TESTS: &[Test] = &[
    ("join_writes_the_record", Needs::Root, record),
    ("join_keeps_what_others_wrote", Needs::Root, labels),
    ("join_twice_changes_nothing", Needs::Root, twice),
    (
        "join_with_another_nodes_address",
        Needs::Root,
        address_taken,
    ),
    ("join_renumbered", Needs::Root, renumbered),
    (
        "join_takes_a_tunnel_address_that_is_its_own",
        Needs::Root,
        foreign_tunnel_address,
    ),
    (
        "join_names_what_is_wrong_with_the_underlay",
        Needs::Root,
        underlay,
    ),
    ("open_needs_a_node_that_joined", Needs::Root, open),
];

fn record() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    host.join_as(host.config().with_label("zone", "west"))
        .unwrap();
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert_eq!(record.addr(), Some(NodeAddr([172, 18, 0, 3].into())));
    assert_eq!(record.subnet(), Some("172.18.0.0/16".parse().unwrap()));
    assert_eq!(record.labels()["zone"], "west");
    let tunnel = record.tunnel_addr().unwrap().0;
    let block = cluster.ipam.block_of(tunnel).unwrap().unwrap();
    let who = block.attribute_of(tunnel).unwrap();
    assert_eq!(who.handle(), Some("ipip-tunnel-addr-node-a"));
    assert!(
        POOL.parse::<ipip_core::addr::Ipv4Prefix>()
            .unwrap()
            .contains(tunnel)
    );
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn labels() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let before = NodeRecord::new(host.name.clone())
        .with_label("rack", "7")
        .with_label("zone", "east");
    cluster.ipam.put_node(&before).unwrap();
    host.join_as(host.config().with_label("zone", "west"))
        .unwrap();
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert_eq!(
        (
            record.labels()["rack"].as_str(),
            record.labels()["zone"].as_str()
        ),
        ("7", "west")
    );
}

fn twice() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    host.join();
    let (kernel, store) = (host.state(), cluster.store.list("/").unwrap());
    host.join();
    assert_eq!(host.state(), kernel);
    assert_eq!(
        cluster.store.list("/").unwrap(),
        store,
        "not a record is written"
    );
}

fn address_taken() {
    let cluster = Cluster::new(IpipMode::Always);
    let (one, other) = (
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
    );
    one.join();
    other.space.sh("ip addr flush dev eth0; ip addr add 172.18.0.3/16 dev eth0; ip route add default via 172.18.0.1");
    let (kernel, store) = (other.state(), cluster.store.list("/").unwrap());
    let error = other.try_join().unwrap_err();
    assert_eq!(
        error.to_string(),
        "address 172.18.0.3 of node node-b is that of node node-a already; one of them must change or be removed"
    );
    assert_eq!(
        (other.state(), cluster.store.list("/").unwrap()),
        (kernel, store)
    );
}

fn renumbered() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    host.join();
    let tunnel = cluster
        .ipam
        .node(&host.name)
        .unwrap()
        .unwrap()
        .tunnel_addr();
    host.space.sh("ip addr flush dev eth0; ip addr add 172.19.0.7/24 dev eth0; ip route add default via 172.19.0.1");
    host.join();
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert_eq!(record.addr(), Some(NodeAddr([172, 19, 0, 7].into())));
    assert_eq!(record.subnet(), Some("172.19.0.0/24".parse().unwrap()));
    assert_eq!(record.tunnel_addr(), tunnel, "that of the overlay stays");
}

/// calico#3589, #4863: the record alone proves nothing; the block says whose address it is.
fn foreign_tunnel_address() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let node = host.join();
    let lost = cluster
        .ipam
        .node(&host.name)
        .unwrap()
        .unwrap()
        .tunnel_addr()
        .unwrap();
    let handle = ipip_core::name::HandleId::try_new("ipip-tunnel-addr-node-a").unwrap();
    cluster.ipam.release_handle(&handle).unwrap();
    let pod = Pod::new("podA", "c1");
    let mut workload = pod.workload.clone();
    workload.address = Some(lost.0);
    assert_eq!(node.attach(&workload).unwrap().address, lost.0);
    host.join();
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert_ne!(record.tunnel_addr(), Some(lost), "a pod has it");
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn underlay() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let said = |config| host.join_as(config).unwrap_err().to_string();
    assert_eq!(
        said(host.config().with_underlay(name("eth9"))),
        "underlay eth9 does not exist; interfaces with an IPv4 address: eth0"
    );
    host.space.sh("ip addr add 172.18.0.9/16 dev eth0");
    assert_eq!(
        said(host.config()),
        "underlay eth0 has 2 IPv4 addresses: 172.18.0.3/16, 172.18.0.9/16; name one of them"
    );
    let second = host.config().with_underlay_address([172, 18, 0, 9].into());
    let wide = second.clone().with_mtu(TunnelMtu::try_new(1481).unwrap());
    assert_eq!(
        said(wide),
        "tunnel MTU 1481 is above 1480, which is the underlay's 1500 less 20 octets of outer header"
    );
    host.join_as(second).unwrap();
    // Known by that address now, it is no question any more.
    host.join();
    let record = cluster.ipam.node(&host.name).unwrap().unwrap();
    assert_eq!(record.addr(), Some(NodeAddr([172, 18, 0, 9].into())));
    host.space.sh("ip link set eth0 down");
    assert_eq!(
        said(host.config().with_underlay(name("eth0"))),
        "underlay eth0 is down; take it up: ip link set eth0 up"
    );
    host.space
        .sh("ip link set eth0 up mtu 87; ip route add default via 172.18.0.1");
    let narrow = "underlay eth0: underlay MTU 87 is outside 88 to 65535 octets";
    assert_eq!(said(host.config()), narrow);
    // A node that lives loses it: nothing is done by half.
    let node = host.open_as(host.config());
    host.space.sh("ip link set eth0 mtu 1500");
    node.sync().unwrap();
    for (damage, words) in [
        ("ip link set eth0 mtu 87", narrow),
        (
            "ip link set eth0 mtu 1500; ip addr flush dev eth0",
            "no interface is up with a global IPv4 address; bring one up, or name the underlay",
        ),
        (
            "ip addr add 172.18.0.7/16 dev eth0; ip addr add 172.18.0.8/16 dev eth0",
            "underlay eth0 has 2 IPv4 addresses: 172.18.0.7/16, 172.18.0.8/16; name one of them",
        ),
    ] {
        host.space.sh(damage);
        let before = host.state();
        assert_eq!(node.sync().unwrap_err().to_string(), words, "{damage}");
        assert_eq!(node.plan().unwrap_err().to_string(), words, "{damage}");
        assert_eq!(host.state(), before, "{damage}");
    }
    host.space.sh("ip addr flush dev eth0");
    assert_eq!(
        said(host.config().with_underlay(name("eth0"))),
        "underlay eth0 has no IPv4 address; give it one, or name another interface"
    );
}

fn open() {
    let cluster = Cluster::new(IpipMode::Always);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let open = || {
        let store = Arc::clone(&cluster.store) as Arc<dyn Store>;
        Node::open(store, host.config(), Ambient::system())
    };
    let error = open().unwrap_err();
    assert!(matches!(error, NodeError::NotJoined { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "node node-a has not joined: the store has no address of it"
    );
    host.join();
    let before = host.state();
    open().unwrap();
    assert_eq!(host.state(), before);
}
