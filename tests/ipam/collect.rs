//! What is collected, when, and what never is.

use std::collections::HashSet;
use std::time::Duration;

use ipip_core::datastore::{Store, key};
use ipip_core::ipam::{Collected, Collector, Ipam, Request};
use ipip_core::name::HandleId;
use ipip_core::resource::{AllocatorConfig, Attribute, IpipMode, Node, Pool, Release};
use proptest::prelude::*;

use crate::lost::same_however_lost;
use crate::race::{put, raced};
use crate::support::{Clock, Network, addr, handle, network, node, owner, timed};

const GRACE: u64 = 15 * 60;

fn live(handles: &[&str]) -> HashSet<HandleId> {
    handles.iter().map(|text| handle(text)).collect()
}

fn net() -> (Network, Clock, Collector) {
    let (net, clock) = timed(&["10.0.0.0/24"], 26);
    (net, clock, Collector::new(Collector::GRACE))
}

fn addrs(collected: &Collected) -> Vec<String> {
    collected
        .released
        .iter()
        .map(|one| one.addr.to_string())
        .collect()
}

fn used(ipam: &Ipam) -> usize {
    ipam.blocks()
        .unwrap()
        .iter()
        .map(|block| block.used_count())
        .sum()
}

#[test]
fn an_address_is_released_after_the_grace_and_not_before() {
    let (net, clock, mut collector) = net();
    let dead = net.ipam.assign_any(&node("a"), &owner("dead")).unwrap();
    let alive = net.ipam.assign_any(&node("a"), &owner("alive")).unwrap();
    let live = live(&["alive"]);
    let first = net.ipam.collect(&mut collector, &live).unwrap();
    assert_eq!((first.released.len(), first.waiting), (0, 1));
    clock.wait(GRACE - 1);
    assert!(
        net.ipam
            .collect(&mut collector, &live)
            .unwrap()
            .released
            .is_empty()
    );
    clock.wait(1);
    let last = net.ipam.collect(&mut collector, &live).unwrap();
    assert_eq!(addrs(&last), [dead.addr.to_string()]);
    assert_eq!(last.waiting, 0);
    let block = net.ipam.block_of(alive.addr).unwrap().unwrap();
    assert!(block.attribute_of(alive.addr).is_some());
    assert!(net.ipam.check_live(&live).unwrap().is_clean());
}

#[test]
fn what_comes_back_to_life_begins_anew() {
    let (net, clock, mut collector) = net();
    net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let none = live(&[]);
    net.ipam.collect(&mut collector, &none).unwrap();
    clock.wait(GRACE);
    // Seen alive once in between: no leak.
    net.ipam.collect(&mut collector, &live(&["h"])).unwrap();
    assert!(
        net.ipam
            .collect(&mut collector, &none)
            .unwrap()
            .released
            .is_empty()
    );
    // A clock that was set back lets nothing be older.
    let mut young = collector.clone();
    clock.wait(GRACE);
    assert_eq!(
        net.ipam.collect(&mut young, &none).unwrap().released.len(),
        1
    );
}

#[test]
fn an_address_that_was_assigned_again_is_another_one() {
    let (net, clock) = timed(&["10.0.0.0/32"], 32);
    let mut collector = Collector::new(Collector::GRACE);
    net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    net.ipam.collect(&mut collector, &live(&[])).unwrap();
    clock.wait(GRACE);
    // The same handle, the same address, another assignment.
    net.ipam.release_handle(&handle("h")).unwrap();
    net.ipam.assign_any(&node("a"), &owner("h")).unwrap();
    let again = net.ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!((again.released.len(), again.waiting), (0, 1));
}

#[test]
fn only_whole_handles_are_collected() {
    let (net, clock, mut collector) = net();
    net.ipam
        .assign(&node("a"), addr("10.0.0.1"), &owner("h"))
        .unwrap();
    net.ipam.collect(&mut collector, &live(&[])).unwrap();
    clock.wait(GRACE - 60);
    net.ipam
        .assign(&node("a"), addr("10.0.0.65"), &owner("h"))
        .unwrap();
    net.ipam.collect(&mut collector, &live(&[])).unwrap();
    clock.wait(60);
    assert_eq!(
        addrs(&net.ipam.collect(&mut collector, &live(&[])).unwrap()),
        [""; 0]
    );
    clock.wait(GRACE - 60);
    let all = net.ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!(addrs(&all), ["10.0.0.1", "10.0.0.65"]);
}

#[test]
fn an_assignment_during_the_collection_is_left_alone() {
    let (ipam, _) = raced(
        |ipam, _| {
            ipam.assign(&node("a"), addr("10.0.0.0"), &owner("h"))
                .unwrap();
        },
        |ipam, _| {
            ipam.release_handle(&handle("h")).unwrap();
            ipam.assign(&node("a"), addr("10.0.0.0"), &owner("h"))
                .unwrap();
        },
    );
    let mut collector = Collector::new(Duration::ZERO);
    let collected = ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!((collected.released.len(), collected.refused.len()), (0, 1));
    assert_eq!(used(&ipam), 1);
}

#[test]
fn tunnel_addresses_stay_while_their_node_has_a_record() {
    let (net, clock) = timed(&[], 26);
    let pool = Pool::try_new("p", "10.0.0.0/24".parse().unwrap(), 26).unwrap();
    net.ipam
        .create_pool(&pool.with_ipip_mode(IpipMode::Always))
        .unwrap();
    let mut collector = Collector::new(Collector::GRACE);
    for name in ["a", "b"] {
        net.ipam.put_node(&Node::new(node(name))).unwrap();
        net.ipam.ensure_tunnel_address(&node(name)).unwrap();
    }
    let mut collect = || net.ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!(collect().released, []);
    clock.wait(GRACE);
    assert_eq!(collect().released, []);
    net.delete(&key::node(&node("a")));
    let gone = collect().released;
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].handle.as_deref(), Some("ipip-tunnel-addr-a"));
    assert_eq!(
        collect().blocks.len(),
        1,
        "the last block of a node that is gone goes too"
    );
}

/// Calico's controller confirms a leak at once if the node is gone too.
#[test]
fn what_a_node_had_that_is_gone_waits_for_no_grace() {
    let (net, _, mut collector) = net();
    let collect = |collector: &mut Collector| net.ipam.collect(collector, &live(&[])).unwrap();
    for name in ["a", "b"] {
        net.ipam.put_node(&Node::new(node(name))).unwrap();
        net.ipam.assign_any(&node(name), &owner(name)).unwrap();
    }
    // Never recorded: it may be starting.
    net.ipam.assign_any(&node("new"), &owner("new")).unwrap();
    // Partly on a node that is there.
    for name in ["a", "b"] {
        net.ipam.assign_any(&node(name), &owner("both")).unwrap();
    }
    assert_eq!(collect(&mut collector).released, []);
    net.delete(&key::node(&node("a")));
    let mut blank = Collector::new(Collector::GRACE);
    assert_eq!(collect(&mut blank).released, [], "who never saw it waits");
    let gone = collect(&mut collector);
    let handles: Vec<_> = gone
        .released
        .iter()
        .map(|one| one.handle.as_deref())
        .collect();
    assert_eq!(handles, [Some("a")]);
    net.ipam.release_handle(&handle("both")).unwrap();
    assert_eq!(
        collect(&mut collector).blocks.len(),
        1,
        "its last block too"
    );
    assert!(net.ipam.blocks_of(&node("a")).unwrap().is_empty());
    // Back again, it is a node like all others.
    net.ipam.put_node(&Node::new(node("a"))).unwrap();
    net.ipam.assign_any(&node("a"), &owner("again")).unwrap();
    assert_eq!(collect(&mut collector).released, []);
    assert!(net.ipam.check().unwrap().is_clean());
}

#[test]
fn what_nobody_can_judge_is_left_and_counted() {
    let (net, clock, mut collector) = net();
    net.ipam
        .assign_any(&node("a"), &Attribute::default())
        .unwrap();
    let windows = owner("windows-reserved-ipam-handle");
    net.ipam
        .assign(&node("a"), addr("10.0.0.200"), &windows)
        .unwrap();
    let damaged = key::block("10.0.0.0/26".parse().unwrap());
    let text = net.value(&damaged);
    let damaged = if text.is_some() {
        key::block("10.0.0.64/26".parse().unwrap())
    } else {
        damaged
    };
    net.put(&damaged, "{");
    // Its addresses may be in the damaged block.
    let cidr = damaged.rsplit_once('/').unwrap().1.replace('-', "/");
    net.put(
        "/calico/ipam/v2/handle/lost",
        &format!(r#"{{"block":{{"{cidr}":1}}}}"#),
    );
    for _ in 0..2 {
        let collected = net.ipam.collect(&mut collector, &live(&[])).unwrap();
        assert_eq!((collected.released.len(), collected.without_handle), (0, 1));
        assert_eq!(collected.unreadable, std::slice::from_ref(&damaged));
        assert_eq!(collected.handles, [""; 0]);
        clock.wait(GRACE);
    }
}

#[test]
fn handles_without_addresses_are_forgotten() {
    let (net, clock, mut collector) = net();
    let [quiet, busy] = ["quiet", "busy"].map(|name| format!("/calico/ipam/v2/handle/{name}"));
    let record = r#"{"block":{"10.0.0.0/26":1},"deleted":false}"#;
    net.put(&quiet, record);
    net.put(&busy, record);
    net.ipam.collect(&mut collector, &live(&[])).unwrap();
    clock.wait(GRACE);
    // Written meanwhile, as Calico does before it assigns.
    net.put(&busy, record);
    let collected = net.ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!(collected.handles, ["quiet"]);
    assert_eq!(
        (net.value(&quiet), net.value(&busy).is_some()),
        (None, true)
    );
}

#[test]
fn a_handle_is_forgotten_only_so_that_calico_reads_its_blocks_again() {
    let counted = r#"{"block":{"10.0.0.0/29":1},"deleted":false}"#;
    let collect = |ipam: &Ipam| {
        let mut collector = Collector::new(Duration::ZERO);
        ipam.collect(&mut collector, &live(&[])).unwrap().handles
    };
    // Counted before, and assigned when everything is read.
    let (ipam, _) = raced(
        |ipam, store| {
            let block = "10.0.0.0/29".parse().unwrap();
            ipam.claim(&node("a"), block).unwrap();
            put(store, "/calico/ipam/v2/handle/h", counted);
        },
        |ipam, store| {
            let mut block = ipam.blocks().unwrap().remove(0);
            block.assign(addr("10.0.0.1"), owner("h")).unwrap();
            let key = key::block(block.prefix().into());
            put(store, &key, &String::from_utf8(block.to_json()).unwrap());
        },
    );
    assert_eq!(collect(&ipam), [""; 0]);
    assert!(ipam.check().unwrap().is_clean());
    // Counted before, and about to be assigned afterwards.
    let (net, _, _) = net();
    let block = key::block("10.0.0.0/26".parse().unwrap());
    net.ipam
        .claim(&node("a"), "10.0.0.0/26".parse().unwrap())
        .unwrap();
    net.put("/calico/ipam/v2/handle/h", &counted.replace("/29", "/26"));
    let read = net.store.get(&block).unwrap().unwrap();
    assert_eq!(collect(&net.ipam), ["h"]);
    let now = net.store.get(&block).unwrap().unwrap();
    assert_ne!(now.revision, read.revision, "Calico writes what it read");
}

#[test]
fn empty_blocks_are_given_up_but_the_last() {
    let (net, clock, mut collector) = net();
    for block in ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/26"] {
        net.ipam.claim(&node("a"), block.parse().unwrap()).unwrap();
    }
    net.ipam
        .claim(&node("b"), "10.0.0.192/26".parse().unwrap())
        .unwrap();
    let none = live(&[]);
    assert_eq!(net.ipam.collect(&mut collector, &none).unwrap().blocks, []);
    clock.wait(GRACE);
    // Used and empty again: since a moment only.
    let used = net
        .ipam
        .assign(&node("a"), addr("10.0.0.64"), &owner("h"))
        .unwrap();
    net.ipam.release(&Release::of(used.addr)).unwrap();
    let collected = net.ipam.collect(&mut collector, &none).unwrap();
    let blocks: Vec<_> = collected.blocks.iter().map(ToString::to_string).collect();
    assert_eq!(blocks, ["10.0.0.0/26", "10.0.0.128/26"]);
    clock.wait(2 * GRACE);
    assert_eq!(net.ipam.collect(&mut collector, &none).unwrap().blocks, []);
    assert_eq!(net.ipam.blocks().unwrap().len(), 2, "one of each node");
    assert!(net.ipam.check().unwrap().is_clean());
}

#[test]
fn an_empty_block_that_is_used_meanwhile_stays() {
    let (ipam, _) = raced(
        |ipam, _| {
            for block in ["10.0.0.0/29", "10.0.0.8/29"] {
                ipam.claim(&node("a"), block.parse().unwrap()).unwrap();
            }
        },
        |ipam, _| {
            for at in ["10.0.0.0", "10.0.0.8"] {
                ipam.assign(&node("a"), addr(at), &owner("h")).unwrap();
            }
            ipam.release_handle(&handle("h")).unwrap();
        },
    );
    let mut collector = Collector::new(Duration::ZERO);
    assert_eq!(ipam.collect(&mut collector, &live(&[])).unwrap().blocks, []);
    assert_eq!(
        ipam.collect(&mut collector, &live(&[]))
            .unwrap()
            .blocks
            .len(),
        1
    );
}

#[test]
fn addresses_cool_down_in_blocks_that_nobody_touches() {
    let (net, clock, mut collector) = net();
    let mut config = AllocatorConfig::default();
    config.cooldown = Duration::from_secs(60);
    net.ipam.set_config(&config).unwrap();
    let assigned = net
        .ipam
        .assign_many(&Request::new(node("a"), 3, owner("h")))
        .unwrap();
    net.ipam.release_handle(&handle("h")).unwrap();
    let collect = |collector: &mut Collector| net.ipam.collect(collector, &live(&[])).unwrap();
    clock.wait(60);
    assert_eq!(
        collect(&mut collector).cooled,
        0,
        "not before the time is over"
    );
    assert_eq!(used(&net.ipam), 3);
    let before = net
        .ipam
        .block_of(assigned.assigned[0].addr)
        .unwrap()
        .unwrap()
        .sequence();
    clock.wait(1);
    assert_eq!(collect(&mut collector).cooled, 3);
    assert_eq!(used(&net.ipam), 0);
    let after = net
        .ipam
        .block_of(assigned.assigned[0].addr)
        .unwrap()
        .unwrap()
        .sequence();
    assert_eq!(after.0, before.0 + 1, "a change is counted");
}

#[test]
fn many_leaks_are_collected_in_batches() {
    let (net, clock) = timed(&["10.0.0.0/16"], 20);
    let mut collector = Collector::new(Duration::from_secs(60));
    let request = Request {
        max_blocks: Some(8),
        ..Request::new(node("a"), 20_001, owner("h"))
    };
    assert_eq!(
        net.ipam.assign_many(&request).unwrap().assigned.len(),
        20_001
    );
    net.ipam.collect(&mut collector, &live(&[])).unwrap();
    clock.wait(60);
    let collected = net.ipam.collect(&mut collector, &live(&[])).unwrap();
    assert_eq!(collected.released.len(), 20_001);
    assert_eq!(
        net.store.list_keys(key::handle_prefix()).unwrap().entries,
        [""; 0]
    );
    assert!(net.ipam.check().unwrap().is_clean());
}

#[test]
fn it_is_collected_once_however_replies_are_lost() {
    same_however_lost(|ipam| {
        let mut collector = Collector::new(Duration::ZERO);
        let mut collected = ipam.collect(&mut collector, &live(&["y"]))?;
        collected.released.sort_by_key(|one| one.addr);
        Ok(collected)
    });
}

proptest! {
    /// Whatever is alive when it is judged stays, whatever is not goes in the end, and nothing else.
    #[test]
    fn the_living_stay_and_the_dead_go(steps in prop::collection::vec((0u8..3, 0u8..6), 1..40)) {
        let net = network(&["10.0.0.0/27"], 30);
        let mut collector = Collector::new(Duration::ZERO);
        let mut alive: HashSet<HandleId> = HashSet::new();
        for (kind, number) in steps {
            let id = handle(&format!("h{number}"));
            let at = node(["a", "b"][usize::from(number % 2)]);
            match kind {
                0 => {
                    let _ = net.ipam.assign_many(&Request::new(at, u32::from(number) + 1, Attribute::new(Some(id.clone())))).unwrap();
                    alive.insert(id);
                }
                1 => {
                    alive.remove(&id);
                }
                _ => {
                    let before: Vec<_> = alive.iter().map(|id| (id.clone(), net.ipam.addresses_of(id).unwrap())).collect();
                    net.ipam.collect(&mut collector, &alive).unwrap();
                    for (id, addresses) in before {
                        prop_assert_eq!(net.ipam.addresses_of(&id).unwrap(), addresses);
                    }
                    let report = net.ipam.check_live(&alive).unwrap();
                    prop_assert!(report.is_clean(), "{}", report);
                }
            }
        }
    }
}
