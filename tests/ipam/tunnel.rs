//! The address of a node's tunnel device.

use ipip_core::addr::TunnelAddr;
use ipip_core::datastore::{Store, key};
use ipip_core::ipam::{Ipam, IpamErrorKind};
use ipip_core::resource::{IpipMode, Node, Pool, Release, Selector, Use};

use crate::lost::same_however_lost;
use crate::race::raced;
use crate::support::{Network, handle, network, node, owner};

const HANDLE: &str = "ipip-tunnel-addr-a";

fn ipip(name: &str, cidr: &str) -> Pool {
    let pool = Pool::try_new(name, cidr.parse().unwrap(), 29).unwrap();
    pool.with_ipip_mode(IpipMode::Always)
}

fn net() -> Network {
    let net = network(&[], 29);
    net.ipam.create_pool(&ipip("p", "10.0.0.0/28")).unwrap();
    net
}

fn ensured(ipam: &Ipam) -> Option<TunnelAddr> {
    let found = ipam.ensure_tunnel_address(&node("a")).unwrap();
    let recorded = ipam.node(&node("a")).unwrap();
    assert_eq!(
        recorded.and_then(|node| node.tunnel_addr()),
        found,
        "the record says the same"
    );
    let held = ipam.addresses_of(&handle(HANDLE)).unwrap();
    let held: Vec<_> = held.iter().map(|(addr, _)| TunnelAddr(*addr)).collect();
    assert_eq!(
        held,
        found.into_iter().collect::<Vec<_>>(),
        "and so do the blocks"
    );
    found
}

#[test]
fn it_is_assigned_as_calico_does_and_kept() {
    let net = net();
    net.ipam
        .put_node(&Node::new(node("a")).with_label("k", "v"))
        .unwrap();
    let before = net.store.list("/").unwrap().revision.0;
    let first = ensured(&net.ipam).unwrap();
    assert_eq!(
        net.store.list("/").unwrap().revision.0,
        before + 1,
        "one commit with the record"
    );
    let block = net.ipam.block_of(first.0).unwrap().unwrap();
    let who = block.attribute_of(first.0).unwrap();
    assert_eq!(who.handle(), Some(HANDLE));
    let known: Vec<_> = who
        .secondary()
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(known, [("node", "a"), ("type", "ipipTunnelAddress")]);
    let revision = net.store.list("/").unwrap().revision;
    assert_eq!(ensured(&net.ipam), Some(first));
    assert_eq!(
        net.store.list("/").unwrap().revision,
        revision,
        "nothing is written again"
    );
    assert_eq!(
        net.ipam.node(&node("a")).unwrap().unwrap().labels()["k"],
        "v"
    );
    assert!(net.ipam.check().unwrap().is_clean());
}

#[test]
fn what_is_wrong_is_released_and_replaced() {
    let net = net();
    let first = ensured(&net.ipam).unwrap();
    // Recorded is somebody else's: the one that is assigned to the device is recorded again.
    let pod = net.ipam.assign_any(&node("a"), &owner("pod")).unwrap().addr;
    let record = Node::new(node("a")).with_tunnel_addr(Some(TunnelAddr(pod)));
    net.ipam.put_node(&record).unwrap();
    assert_eq!(ensured(&net.ipam), Some(first));
    // Assigned to the handle, but not as that of a tunnel of this node.
    net.ipam.release_handle(&handle(HANDLE)).unwrap();
    net.ipam
        .assign(&node("a"), first.0, &owner(HANDLE))
        .unwrap();
    assert!(ensured(&net.ipam).is_some());
    // Two, which a node left that died in the middle.
    let attribute = owner(HANDLE)
        .with("type", "ipipTunnelAddress")
        .with("node", "a");
    net.ipam.assign_any(&node("a"), &attribute).unwrap();
    assert!(ensured(&net.ipam).is_some());
    // The address was released by hand.
    let last = ensured(&net.ipam).unwrap();
    net.ipam.release(&Release::of(last.0)).unwrap();
    assert!(ensured(&net.ipam).is_some());
    assert!(
        net.ipam
            .block_of(pod)
            .unwrap()
            .unwrap()
            .attribute_of(pod)
            .is_some()
    );
}

#[test]
fn it_follows_its_pools() {
    let net = net();
    let first = ensured(&net.ipam).unwrap();
    let selector = |text: &str| Selector::parse(text).unwrap();
    for (pool, keeps) in [
        (
            ipip("p", "10.0.0.0/28").with_ipip_mode(IpipMode::CrossSubnet),
            true,
        ),
        (
            ipip("p", "10.0.0.0/28").with_ipip_mode(IpipMode::Never),
            false,
        ),
        (ipip("p", "10.0.0.0/28"), true),
        (
            ipip("p", "10.0.0.0/28").with_allowed_uses(&[Use::Workload]),
            false,
        ),
        (ipip("p", "10.0.0.0/28"), true),
        (
            ipip("p", "10.0.0.0/28").with_node_selector(selector("has(zone)")),
            false,
        ),
        (ipip("p", "10.0.0.0/28"), true),
        (ipip("p", "10.0.0.0/28").with_disabled(true), false),
    ] {
        net.ipam.update_pool(&pool).unwrap();
        assert_eq!(ensured(&net.ipam).is_some(), keeps, "{pool:?}");
    }
    net.ipam.create_pool(&ipip("q", "10.1.0.0/28")).unwrap();
    let moved = ensured(&net.ipam).unwrap();
    assert!(moved != first && moved.0.octets()[1] == 1);
}

#[test]
fn it_is_given_back() {
    let net = net();
    let first = ensured(&net.ipam).unwrap();
    assert_eq!(
        net.ipam.release_tunnel_address(&node("a")).unwrap(),
        [first.0]
    );
    assert_eq!(
        net.ipam.node(&node("a")).unwrap().unwrap().tunnel_addr(),
        None
    );
    assert!(
        net.ipam
            .release_tunnel_address(&node("a"))
            .unwrap()
            .is_empty()
    );
    assert!(
        net.ipam
            .release_tunnel_address(&node("b"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        net.ipam.node(&node("b")).unwrap(),
        None,
        "no record is made for it"
    );
}

#[test]
fn without_room_there_is_an_error_and_no_record() {
    let net = network(&[], 32);
    let pool = Pool::try_new("p", "10.0.0.0/32".parse().unwrap(), 32).unwrap();
    net.ipam
        .create_pool(&pool.with_ipip_mode(IpipMode::Always))
        .unwrap();
    net.ipam.assign_any(&node("b"), &owner("h")).unwrap();
    net.refuses(
        |ipam| ipam.ensure_tunnel_address(&node("a")),
        IpamErrorKind::Exhausted,
        "nothing is left for node a in pools: p",
    );
}

#[test]
fn one_address_whoever_else_changes_the_record() {
    let (ipam, store) = raced(
        |ipam, _| {
            ipam.update_pool(&ipip("p", "10.0.0.0/28")).unwrap();
            ipam.put_node(&Node::new(node("a"))).unwrap();
        },
        |ipam, _| {
            ipam.put_node(&Node::new(node("a")).with_label("late", "yes"))
                .unwrap();
        },
    );
    assert!(ensured(&ipam).is_some());
    let record = store.get(&key::node(&node("a"))).unwrap().unwrap();
    assert!(
        String::from_utf8(record.value.to_vec())
            .unwrap()
            .contains(r#""late":"yes""#)
    );
    let (ipam, _) = raced(
        |ipam, _| {
            ipam.update_pool(&ipip("p", "10.0.0.0/28")).unwrap();
        },
        |ipam, _| {
            ipam.ensure_tunnel_address(&node("a")).unwrap();
        },
    );
    assert!(ensured(&ipam).is_some());
}

#[test]
fn it_is_assigned_and_released_once_however_replies_are_lost() {
    same_however_lost(|ipam| {
        let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
        ipam.update_pool(&pool.with_ipip_mode(IpipMode::Always))?;
        let addr = ipam.ensure_tunnel_address(&node("a"))?;
        Ok((addr, ipam.ensure_tunnel_address(&node("a"))?))
    });
    same_however_lost(|ipam| {
        let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
        ipam.update_pool(&pool.with_ipip_mode(IpipMode::Always))?;
        ipam.ensure_tunnel_address(&node("new"))?;
        ipam.release_tunnel_address(&node("new"))
    });
}
