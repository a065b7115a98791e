//! The allocator against plain lists: several nodes, any order of operations, no store in the model.
//! Where the allocator may choose, the model does not say what it does but judges what it did.

mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::Memory;
use ipip_core::ipam::{Ambient, Ipam, IpamErrorKind, Request};
use ipip_core::resource::{AllocatorConfig, Attribute, Block, Pool, Release, Reservation};
use proptest::prelude::*;

use crate::support::{Network, handle, node, owner};
use judge::{Holder, Model};

/// Four blocks of four addresses: 10.0.0.0/28 cut into /30s.
const BLOCKS: u8 = 4;
const SIZE: u8 = 4;
const NODES: u8 = 3;
const START: u64 = 1_787_405_600;

#[derive(Debug, Clone)]
enum Op {
    Claim(u8, u8),
    ClaimAny(u8),
    Assign(u8, u8, u8),
    /// Node, handle, how many, the most blocks.
    AssignMany(u8, u8, u32, u32),
    Release(u8, Option<u8>),
    ReleaseMany(Vec<(u8, Option<u8>)>),
    ReleaseHandle(u8),
    ReleaseBlock(u8, u8),
    /// Strict affinity, cool-down in seconds.
    Configure(bool, u64),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let (node, handle, block) = (0u8..NODES, 0u8..4, 0..BLOCKS);
    // Places 16 and 17 are outside the pool.
    let place = 0..BLOCKS * SIZE + 2;
    let expected = prop::option::weighted(0.3, handle.clone());
    let several = prop::collection::vec((place.clone(), expected.clone()), 1..8);
    prop_oneof![
        1 => (node.clone(), block.clone()).prop_map(|(n, b)| Op::Claim(n, b)),
        1 => node.clone().prop_map(Op::ClaimAny),
        2 => (node.clone(), place.clone(), handle.clone()).prop_map(|(n, p, h)| Op::Assign(n, p, h)),
        6 => (node.clone(), handle.clone(), 1u32..9, 1u32..4)
            .prop_map(|(n, h, count, limit)| Op::AssignMany(n, h, count, limit)),
        3 => (place, expected).prop_map(|(p, h)| Op::Release(p, h)),
        3 => several.prop_map(Op::ReleaseMany),
        1 => handle.prop_map(Op::ReleaseHandle),
        1 => (node, block).prop_map(|(n, b)| Op::ReleaseBlock(n, b)),
        1 => (any::<bool>(), prop_oneof![Just(0u64), Just(30)]).prop_map(|(s, c)| Op::Configure(s, c)),
        1 => (1u64..90).prop_map(Op::Wait),
    ]
}

fn addr(place: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, place)
}

fn place(addr: Ipv4Addr) -> u8 {
    addr.octets()[3]
}

fn prefix(block: u8) -> ipnetwork::Ipv4Network {
    ipnetwork::Ipv4Network::new(addr(block * SIZE), 30).unwrap()
}

fn name(node: u8) -> String {
    format!("node-{node}")
}

fn id(handle: u8) -> String {
    format!("h{handle}")
}

fn release(place: u8, expected: Option<u8>) -> Release {
    Release {
        handle: expected.map(|h| handle(&id(h))),
        ..Release::of(addr(place))
    }
}

/// Does `op` with the allocator, and lets the model judge what came of it.
fn step(ipam: &Ipam, model: &mut Model, op: &Op) -> Result<(), IpamErrorKind> {
    let kind = |error: ipip_core::ipam::IpamError| error.kind();
    match op {
        Op::Claim(n, b) => {
            let done = ipam.claim(&node(&name(*n)), prefix(*b)).map_err(kind);
            model.claimed(*n, *b, done.map(|claimed| claimed.newly))
        }
        Op::ClaimAny(n) => {
            let done = ipam.claim_any(&node(&name(*n))).map_err(kind);
            model.claimed_any(*n, done.map(|claimed| place(claimed.block.ip()) / SIZE))
        }
        Op::Assign(n, p, h) => {
            let done = ipam.assign(&node(&name(*n)), addr(*p), &owner(&id(*h)));
            model.assigned(*n, *p, *h, done.map(|one| one.borrowed).map_err(kind))
        }
        Op::AssignMany(n, h, count, limit) => {
            let request = Request {
                max_blocks: Some(*limit),
                ..Request::new(node(&name(*n)), *count, owner(&id(*h)))
            };
            let done = ipam.assign_many(&request).unwrap();
            model.assigned_many(&request, *n, *h, &done);
            Ok(())
        }
        Op::Release(p, h) => {
            let done = ipam.release(&release(*p, *h)).map_err(kind);
            model.released(*p, *h, done.map(|one| place(one.addr)))
        }
        Op::ReleaseMany(several) => {
            let releases: Vec<_> = several.iter().map(|(p, h)| release(*p, *h)).collect();
            model.released_many(several, &ipam.release_many(&releases).unwrap());
            Ok(())
        }
        Op::ReleaseHandle(h) => {
            let done = ipam.release_handle(&handle(&id(*h))).map_err(kind);
            let places = done.map(|all| all.iter().map(|one| place(one.addr)).collect());
            model.released_handle(*h, places)
        }
        Op::ReleaseBlock(n, b) => {
            let done = ipam.release_block(&node(&name(*n)), prefix(*b));
            model.released_block(*n, *b, done.map_err(kind))
        }
        Op::Configure(strict, cooldown) => {
            let mut config = AllocatorConfig::default();
            config.strict_affinity = *strict;
            config.cooldown = Duration::from_secs(*cooldown);
            ipam.set_config(&config).unwrap();
            (model.strict, model.cooldown) = (*strict, *cooldown);
            Ok(())
        }
        Op::Wait(seconds) => {
            model.now += seconds;
            Ok(())
        }
    }
}

/// Blocks, claims and handles say the same, and what the model says.
fn compare(net: &Network, model: &Model) {
    let blocks = net.ipam.blocks().unwrap();
    let number = |block: &Block| place(block.prefix().prefix().network()) / SIZE;
    let numbers = |blocks: &[Block]| -> BTreeSet<u8> { blocks.iter().map(number).collect() };
    assert_eq!(numbers(&blocks), model.blocks.keys().copied().collect());
    for block in &blocks {
        let expected = &model.blocks[&number(block)];
        let free: Vec<u8> = block.free().map(place).collect();
        assert_eq!(free, expected.queue, "free ones and their order");
    }
    let holder = |attribute: &Attribute| match attribute.handle() {
        Some(handle) => Holder::Handle(handle[1..].parse().unwrap()),
        None => Holder::Cooling,
    };
    let assigned = blocks.iter().flat_map(Block::assigned);
    let assigned: BTreeMap<u8, Holder> = assigned
        .map(|(addr, attribute)| (place(addr), holder(attribute)))
        .collect();
    assert_eq!(assigned, model.holders());
    let mut records = blocks.len();
    for n in 0..NODES {
        let own = net.ipam.blocks_of(&node(&name(n))).unwrap();
        assert_eq!(numbers(&own), model.owned(n).collect());
        records += own.len();
    }
    let mut counts: BTreeMap<u8, BTreeMap<String, u64>> = BTreeMap::new();
    for (place, holder) in &assigned {
        if let Holder::Handle(handle) = holder {
            let text = prefix(place / SIZE).to_string();
            *counts.entry(*handle).or_default().entry(text).or_default() += 1;
        }
    }
    for (handle, counts) in &counts {
        let text = net.value(&format!("/calico/ipam/v2/handle/{}", id(*handle)));
        let counts = counts
            .iter()
            .map(|(block, count)| format!("\"{block}\":{count}"));
        let blocks = counts.collect::<Vec<_>>().join(",");
        let expected = format!(r#"{{"block":{{{blocks}}},"deleted":false}}"#);
        assert_eq!(text, Some(expected));
    }
    let stored = net.records();
    let config = stored
        .iter()
        .filter(|(key, _)| key.ends_with("/config"))
        .count();
    assert_eq!(
        stored.len() - config,
        records + counts.len(),
        "and nothing else is stored"
    );
}

/// A network whose clock says what the returned number says.
fn timed(reserved: &BTreeSet<u8>) -> (Network, Arc<AtomicU64>) {
    let store = Arc::new(Memory::new());
    let time = Arc::new(AtomicU64::new(START));
    let clock = Arc::clone(&time);
    let ambient = Ambient::system()
        .with_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Relaxed)))
        .with_random(|| 0)
        .with_pause(|_| ());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), ambient);
    let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    ipam.create_pool(&pool).unwrap();
    let net = Network { store, ipam };
    let cidrs: Vec<_> = reserved.iter().map(|place| addr(*place).into()).collect();
    let reservation = Reservation::try_new("r", &cidrs).unwrap();
    let key = ipip_core::datastore::key::reservation("r");
    net.put(&key, std::str::from_utf8(&reservation.to_json()).unwrap());
    (net, time)
}

proptest! {
    #[test]
    fn several_nodes_do_what_plain_lists_do(
        ops in prop::collection::vec(op(), 1..40),
        reserved in prop_oneof![
            Just(BTreeSet::new()),
            prop::collection::btree_set(0..BLOCKS * SIZE, 0..4),
            (0..BLOCKS).prop_map(|block| (block * SIZE..(block + 1) * SIZE).collect()),
        ],
    ) {
        let (net, time) = timed(&reserved);
        let mut model = Model::new(START, reserved);
        for op in &ops {
            let before = net.records();
            if let Err(refused) = step(&net.ipam, &mut model, op) {
                prop_assert_eq!(net.records(), before, "{:?} refused as {:?} changes nothing", op, refused);
            }
            time.store(model.now, Relaxed);
            compare(&net, &model);
        }
    }
}
