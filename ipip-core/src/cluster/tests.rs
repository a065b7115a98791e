use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::addr::{Ipv4Prefix, NodeAddr, TunnelAddr};
use crate::datastore::{Commit, Memory, Outcome, Store, key};
use crate::name::{HandleId, NodeName};
use crate::resource::{Affinity, Attribute, Block, IpipMode, Node, Pool, Sequence};

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

fn name(number: u8) -> NodeName {
    NodeName::try_new(&format!("node-{number}")).unwrap()
}

fn node(number: u8, last: u8) -> Node {
    Node::new(name(number))
        .with_addr(NodeAddr([172, 18, 0, last].into()), 16)
        .unwrap()
        .with_tunnel_addr(Some(TunnelAddr([10, 0, last, 1].into())))
}

fn pool(number: u8, third: u8) -> Pool {
    let cidr = format!("10.0.{third}.0/24").parse().unwrap();
    let pool = Pool::try_new(&format!("pool-{number}"), cidr, 26).unwrap();
    pool.with_ipip_mode(IpipMode::Always)
}

/// A block of `owner` with one address for each of `users`.
fn block(third: u8, owner: Option<u8>, users: &[u8]) -> Block {
    let prefix = format!("10.0.{third}.0/26").parse().unwrap();
    let mut block = Block::new(prefix, Sequence(1));
    if let Some(owner) = owner {
        block = block.claimed_by(Affinity::Host(name(owner)), std::time::UNIX_EPOCH);
    }
    for user in users {
        let who = Attribute::new(HandleId::try_new("h").ok());
        let who = who.with("node", name(*user).as_str());
        block.assign_any(who).unwrap();
    }
    block
}

fn put(store: &Memory, key: &str, value: Option<Vec<u8>>) {
    let mut commit = Commit::new();
    match value {
        Some(value) => commit.put(key, value),
        None => commit.delete(key),
    };
    assert!(matches!(store.commit(commit), Ok(Outcome::Committed(_))));
}

fn stock() -> Memory {
    let store = Memory::new();
    put(&store, &key::node(&name(1)), Some(node(1, 1).to_json()));
    put(&store, &key::pool("pool-1"), Some(pool(1, 1).to_json()));
    let one = block(1, Some(1), &[2]);
    put(
        &store,
        &key::block(prefix("10.0.1.0/26")),
        Some(one.to_json()),
    );
    store
}

/// Everything that can be asked of a view, over the few names and prefixes of these tests.
fn answers(view: &View) -> impl PartialEq {
    let named: Vec<_> = (0..4)
        .map(|n| view.blocks_naming(&name(n)).collect::<Vec<_>>())
        .collect();
    let around: Vec<_> = (0..4)
        .map(|third| {
            let inside = Ipv4Prefix::containing([10, 0, third, 0].into(), 24).unwrap();
            let pool = view.pool_around(inside).cloned();
            let nodes: Vec<_> = view.tunnel_nodes_in(inside).cloned().collect();
            let block = view.block_of([10, 0, third, 1].into()).cloned();
            let blocks: Vec<_> = view.blocks_in(inside).collect();
            (pool, nodes, block, blocks)
        })
        .collect();
    let nodes: Vec<_> = view.nodes().cloned().collect();
    let pools: Vec<_> = view.pools().cloned().collect();
    let blocks: Vec<_> = view.blocks().cloned().collect();
    let faults: Vec<_> = view.faults().cloned().collect();
    (nodes, pools, blocks, faults, named, around)
}

#[test]
fn a_change_names_its_record_and_nothing_else() {
    let store = stock();
    let mut view = View::load(&store).unwrap();
    let update = |view: &mut View| view.update(&store, Duration::ZERO).unwrap();
    assert_eq!(update(&mut view), Changed::default());
    let at = key::block(prefix("10.0.1.0/26"));
    put(&store, &at, Some(block(1, Some(1), &[2, 3]).to_json()));
    put(&store, "/calico/ipam/v2/handle/h", Some(b"{}".to_vec()));
    let blocks: BTreeSet<_> = [prefix("10.0.1.0/26")].into();
    let changed = update(&mut view);
    assert_eq!(
        changed,
        Changed {
            blocks,
            ..Changed::default()
        }
    );
    assert_eq!(view.blocks_naming(&name(3)).count(), 1);
    // Written again as it was.
    put(&store, &at, Some(block(1, Some(1), &[2, 3]).to_json()));
    assert_eq!(update(&mut view), Changed::default());
}

#[test]
fn a_moved_pool_is_named_by_both_its_prefixes() {
    let store = stock();
    let mut view = View::load(&store).unwrap();
    put(&store, &key::pool("pool-1"), Some(pool(1, 2).to_json()));
    let changed = view.update(&store, Duration::ZERO).unwrap();
    let pools: BTreeSet<_> = [prefix("10.0.1.0/24"), prefix("10.0.2.0/24")].into();
    assert_eq!(changed.pools, pools);
    assert!(view.pool_of([10, 0, 1, 1].into()).is_none());
}

#[test]
fn a_disabled_pool_still_holds_its_addresses() {
    let view = View::from_parts([], [pool(1, 1).with_disabled(true)], []);
    assert!(view.pool_of([10, 0, 1, 1].into()).is_some());
}

#[test]
fn a_damaged_record_is_kept_out_until_it_is_mended() {
    let store = stock();
    let mut view = View::load(&store).unwrap();
    let at = key::block(prefix("10.0.1.0/26"));
    let others = block(2, Some(1), &[]).to_json();
    for (value, reason) in [
        (b"{".to_vec(), "EOF"),
        (others, "it holds block 10.0.2.0/26"),
    ] {
        put(&store, &at, Some(value));
        let changed = view.update(&store, Duration::ZERO).unwrap();
        assert_eq!(changed.blocks.len(), 1);
        assert!(view.block(prefix("10.0.1.0/26")).is_none());
        let fault = view.faults().next().unwrap();
        assert!(fault.to_string().contains(reason), "{fault}");
        assert_eq!(fault.block(), Some(prefix("10.0.1.0/26")));
    }
    put(&store, &key::node(&name(9)), Some(b"[]".to_vec()));
    put(
        &store,
        "/calico/ipam/v2/assignment/ipv4/block/x",
        Some(b"{}".to_vec()),
    );
    view.update(&store, Duration::ZERO).unwrap();
    let faults: Vec<_> = view
        .faults()
        .map(|fault| (fault.block(), fault.node()))
        .collect();
    let expected = [
        (Some(prefix("10.0.1.0/26")), None),
        (None, None),
        (None, Some(name(9))),
    ];
    assert_eq!(faults, expected);
    put(&store, &at, Some(block(1, Some(1), &[]).to_json()));
    put(&store, &key::node(&name(9)), None);
    put(&store, "/calico/ipam/v2/assignment/ipv4/block/x", None);
    view.update(&store, Duration::ZERO).unwrap();
    assert_eq!(view.faults().len(), 0);
    assert!(view.block(prefix("10.0.1.0/26")).is_some());
}

#[test]
fn a_pool_of_ipv6_is_nobodys_fault() {
    let store = stock();
    let six = br#"{"metadata":{"name":"six"},"spec":{"cidr":"fd80::/48"}}"#;
    put(&store, &key::pool("six"), Some(six.to_vec()));
    let view = View::load(&store).unwrap();
    assert_eq!((view.pools().len(), view.faults().len()), (1, 0));
}

#[test]
fn an_update_waits_for_the_first_change_that_is_the_views() {
    let store = stock();
    let mut view = View::load(&store).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            put(&store, "/calico/ipam/v2/handle/h", Some(b"{}".to_vec()));
            std::thread::sleep(Duration::from_millis(30));
            put(&store, &key::node(&name(2)), Some(node(2, 2).to_json()));
        });
        let changed = view.update(&store, Duration::from_secs(60)).unwrap();
        assert_eq!(changed.nodes, [name(2)].into());
    });
    let started = Instant::now();
    let wait = Duration::from_millis(20);
    assert!(view.update(&store, wait).unwrap().is_empty());
    assert!(started.elapsed() >= wait);
}

/// One write: which of the few records, and what becomes of it.
fn write() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let value = prop_oneof![3 => Just(0u8), 1 => Just(1), 1 => Just(2)];
    (0u8..4, 0u8..4, 0u8..4, 0u8..4, value).prop_map(|(kind, at, one, two, value)| {
        let (key, good) = match kind {
            0 => (key::node(&name(at)), node(at, one).to_json()),
            1 => (key::pool(&format!("pool-{at}")), pool(at, one).to_json()),
            2 => {
                let block = block(at, (one > 0).then_some(one), &[one, two]);
                (key::block(block.prefix().into()), block.to_json())
            }
            _ => (
                key::node_prefix().to_owned() + "a/b",
                node(one, two).to_json(),
            ),
        };
        let value = match value {
            0 => Some(good),
            1 => Some(b"{".to_vec()),
            _ => None,
        };
        (key, value)
    })
}

proptest! {
    /// The oracle reads everything anew. Few commits are remembered, so that the store forgets now and then.
    #[test]
    fn following_is_the_same_as_reading_anew(
        history in prop::collection::vec(prop::collection::vec(write(), 0..8), 1..12),
    ) {
        let store = Memory::with_history(5);
        let mut view = View::load(&store).unwrap();
        for writes in history {
            let before = view.clone();
            let count = writes.len();
            for (key, value) in writes {
                put(&store, &key, value);
            }
            let changed = view.update(&store, Duration::ZERO).unwrap();
            prop_assert_eq!(changed.relisted, count > 5);
            let anew = View::load(&store).unwrap();
            prop_assert!(answers(&view) == answers(&anew), "{:#?} is not {:#?}", view, anew);
            prop_assert_eq!(view.revision(), anew.revision());
            for number in 0..4 {
                let same = before.node(&name(number)) == view.node(&name(number));
                prop_assert!(same || changed.nodes.contains(&name(number)));
            }
            for third in 0..4 {
                let at = Ipv4Prefix::containing([10, 0, third, 0].into(), 26).unwrap();
                prop_assert!(before.block(at) == view.block(at) || changed.blocks.contains(&at));
                let at = Ipv4Prefix::containing([10, 0, third, 0].into(), 24).unwrap();
                prop_assert!(before.pool_around(at) == view.pool_around(at) || changed.pools.contains(&at));
            }
        }
    }
}
