//! Records of nodes, and what removing one does.

use ipip_core::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use ipip_core::datastore::{Store, key};
use ipip_core::ipam::Request;
use ipip_core::resource::{AllocatorConfig, Attribute, IpipMode, Node, Pool};

use crate::lost::same_however_lost;
use crate::race::raced;
use crate::support::{addr, handle, network, node, owner};

#[test]
fn a_record_is_made_and_changed_and_keeps_what_others_wrote() {
    let net = network(&[], 26);
    let wanted = Node::new(node("a")).with_label("zone", "west");
    let wanted = wanted.with_addr(NodeAddr(addr("172.18.0.3")), 16).unwrap();
    net.ipam.put_node(&wanted).unwrap();
    let key = key::node(&node("a"));
    let stored = net.value(&key).unwrap();
    assert_eq!(
        stored,
        concat!(
            r#"{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"a","#,
            r#""uid":"00000000-0000-4000-8000-000000000000","creationTimestamp":"2026-08-22T13:33:20Z","#,
            r#""labels":{"zone":"west"}},"spec":{"bgp":{"ipv4Address":"172.18.0.3/16"}},"status":{}}"#
        )
    );
    net.put(
        &key,
        &stored.replace(
            r#""ipv4Address""#,
            r#""asNumber":64512,"ipv4IPIPTunnelAddr":"10.0.0.7","ipv4Address""#,
        ),
    );
    let moved = Node::new(node("a"))
        .with_addr(NodeAddr(addr("172.18.0.9")), 24)
        .unwrap();
    net.ipam.put_node(&moved).unwrap();
    let found = net.ipam.node(&node("a")).unwrap().unwrap();
    assert_eq!(found.addr(), Some(NodeAddr(addr("172.18.0.9"))));
    assert_eq!(
        found.tunnel_addr(),
        Some(TunnelAddr(addr("10.0.0.7"))),
        "not the caller's to take away"
    );
    assert!(net.value(&key).unwrap().contains(r#""asNumber":64512"#));
    let revision = net.store.get(&key).unwrap().unwrap().revision;
    net.ipam.put_node(&moved).unwrap();
    assert_eq!(net.store.get(&key).unwrap().unwrap().revision, revision);
    assert_eq!(net.ipam.nodes().unwrap(), [found]);
    assert_eq!(net.ipam.node(&node("b")).unwrap(), None);
}

#[test]
fn removing_a_node_releases_all_that_is_its() {
    let net = network(&[], 26);
    let pool = Pool::try_new("p", "10.0.0.0/24".parse().unwrap(), 26).unwrap();
    net.ipam
        .create_pool(&pool.with_ipip_mode(IpipMode::Always))
        .unwrap();
    let (gone, stays) = (node("gone"), node("stays"));
    for name in [&gone, &stays] {
        net.ipam.put_node(&Node::new(name.clone())).unwrap();
    }
    let block = |text: &str| text.parse::<ipnetwork::Ipv4Network>().unwrap();
    for number in [0, 64] {
        net.ipam
            .claim(&gone, block(&format!("10.0.0.{number}/26")))
            .unwrap();
    }
    net.ipam.claim(&stays, block("10.0.0.128/26")).unwrap();
    net.ipam.ensure_tunnel_address(&gone).unwrap();
    let at = |on: &_, at: &str, who: &Attribute| net.ipam.assign(on, addr(at), who).unwrap();
    at(&gone, "10.0.0.5", &owner("pod-1"));
    at(&gone, "10.0.0.130", &owner("pod-1"));
    at(&gone, "10.0.0.131", &Attribute::default());
    at(&stays, "10.0.0.70", &owner("guest"));
    at(&stays, "10.0.0.133", &owner("own"));

    let removal = net.ipam.remove_node(&gone).unwrap();
    let released: Vec<_> = removal
        .released
        .iter()
        .map(|one| one.addr.to_string())
        .collect();
    assert_eq!(released.len(), 4, "{released:?}");
    for at in ["10.0.0.5", "10.0.0.130", "10.0.0.131"] {
        assert!(released.contains(&at.to_owned()), "{released:?}");
    }
    assert_eq!(removal.deleted, [block("10.0.0.0/26")]);
    assert_eq!(removal.orphaned, [block("10.0.0.64/26")]);
    assert_eq!(removal.remaining[0].addr, addr("10.0.0.70"));
    assert_eq!(removal.remaining[0].handle.as_deref(), Some("guest"));
    assert!(removal.had_record && removal.refused.is_empty() && removal.unreadable.is_empty());
    assert_eq!(net.ipam.nodes().unwrap().len(), 1);
    let keys = net.store.list_keys("/calico/ipam/v2/").unwrap().entries;
    assert!(!keys.iter().any(|key| key.contains("gone")), "{keys:?}");
    assert!(net.ipam.addresses_of(&handle("pod-1")).unwrap().is_empty());
    assert!(
        net.ipam.check().unwrap().is_clean(),
        "{}",
        net.ipam.check().unwrap()
    );

    let again = net.ipam.remove_node(&gone).unwrap();
    assert!(again.released.is_empty() && again.deleted.is_empty() && !again.had_record);
}

#[test]
fn a_removal_that_was_stopped_is_completed() {
    let net = network(&["10.0.0.0/24"], 26);
    let gone = node("gone");
    net.ipam.put_node(&Node::new(gone.clone())).unwrap();
    let assigned = net.ipam.assign_any(&gone, &owner("h")).unwrap();
    // Stopped after the addresses: an empty block, a claim, and one that Calico left without a block.
    net.ipam.release_handle(&handle("h")).unwrap();
    net.put(
        "/calico/ipam/v2/host/gone/ipv4/block/10.0.0.192-26",
        r#"{"state":"pending"}"#,
    );
    let removal = net.ipam.remove_node(&gone).unwrap();
    assert_eq!(removal.deleted, [assigned.block]);
    assert_eq!(
        net.store.list_keys("/calico/ipam/").unwrap().entries,
        [""; 0]
    );
    assert_eq!(net.ipam.nodes().unwrap(), []);
}

#[test]
fn a_damaged_block_stops_no_removal() {
    let net = network(&["10.0.0.0/24"], 26);
    let gone = node("gone");
    let assigned = net.ipam.assign_any(&gone, &owner("h")).unwrap();
    let mut blocks = ["10.0.0.0/26", "10.0.0.64/26"].into_iter();
    let damaged = blocks.find(|block| *block != assigned.block.to_string());
    let damaged: Ipv4Prefix = damaged.unwrap().parse().unwrap();
    let key = key::block(damaged);
    net.put(&key, "{");
    net.put(&key::affinity(&gone, damaged), "");
    let removal = net.ipam.remove_node(&gone).unwrap();
    assert_eq!(removal.released[0].addr, assigned.addr);
    assert_eq!(removal.deleted, [assigned.block]);
    assert_eq!(removal.unreadable, [key]);
}

#[test]
fn released_addresses_cool_down_and_keep_their_block_until_then() {
    let (net, clock) = crate::support::timed(&["10.0.0.0/24"], 26);
    let cooldown = std::time::Duration::from_secs(60);
    let mut config = AllocatorConfig::default();
    config.cooldown = cooldown;
    net.ipam.set_config(&config).unwrap();
    net.ipam.assign_any(&node("gone"), &owner("h")).unwrap();
    let removal = net.ipam.remove_node(&node("gone")).unwrap();
    assert_eq!((removal.orphaned.len(), removal.remaining.len()), (1, 0));
    clock.wait(61);
    let mut collector = ipip_core::ipam::Collector::new(cooldown);
    let collected = net
        .ipam
        .collect(&mut collector, &Default::default())
        .unwrap();
    assert_eq!(collected.cooled, 1);
    assert_eq!(net.ipam.blocks().unwrap(), []);
}

#[test]
fn a_node_that_claims_meanwhile_is_removed_with_its_new_block() {
    let (ipam, store) = raced(
        |ipam, _| {
            ipam.put_node(&Node::new(node("gone"))).unwrap();
        },
        |ipam, _| {
            ipam.assign_any(&node("gone"), &owner("late")).unwrap();
        },
    );
    let removal = ipam.remove_node(&node("gone")).unwrap();
    assert_eq!((removal.released.len(), removal.deleted.len()), (1, 1));
    assert_eq!(store.list_keys("/calico/ipam/").unwrap().entries, [""; 0]);
}

#[test]
fn a_node_is_removed_once_however_replies_are_lost() {
    for name in ["a", "b"] {
        same_however_lost(|ipam| {
            ipam.put_node(&Node::new(node(name)))?;
            let _ = ipam.assign_many(&Request::new(node(name), 9, owner("many")))?;
            let mut removal = ipam.remove_node(&node(name))?;
            removal.released.sort_by_key(|one| one.addr);
            Ok(removal)
        });
    }
}
