//! The allocator against plain sets: several nodes, any order of operations, no store in the model.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipip_core::ipam::{Ipam, IpamErrorKind};
use ipip_core::resource::{Attribute, Block, Pool, Release};
use proptest::prelude::*;

use crate::support::{Network, handle, network, node, owner};

/// Four blocks of four addresses: 10.0.0.0/28 cut into /30s.
const BLOCKS: u8 = 4;
const SIZE: u8 = 4;

#[derive(Debug, Clone)]
enum Op {
    Claim(u8, u8),
    ClaimAny(u8),
    Assign(u8, u8, u8),
    AssignAny(u8, u8),
    Release(u8, Option<u8>),
    ReleaseHandle(u8),
    ReleaseBlock(u8, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let (node, handle, block) = (0u8..3, 0u8..4, 0..BLOCKS);
    // Places 16 and 17 are outside the pool.
    let place = 0..BLOCKS * SIZE + 2;
    prop_oneof![
        1 => (node.clone(), block.clone()).prop_map(|(n, b)| Op::Claim(n, b)),
        1 => node.clone().prop_map(Op::ClaimAny),
        2 => (node.clone(), place.clone(), handle.clone()).prop_map(|(n, p, h)| Op::Assign(n, p, h)),
        6 => (node.clone(), handle.clone()).prop_map(|(n, h)| Op::AssignAny(n, h)),
        4 => (place, prop::option::of(handle.clone())).prop_map(|(p, h)| Op::Release(p, h)),
        1 => handle.prop_map(Op::ReleaseHandle),
        1 => (node, block).prop_map(|(n, b)| Op::ReleaseBlock(n, b)),
    ]
}

/// Who owns each block that is there (`None`: nobody any more), and who has each address.
#[derive(Debug, Default)]
struct Model {
    blocks: BTreeMap<u8, Option<u8>>,
    owners: BTreeMap<u8, u8>,
}

/// What the model allows as an answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Refused(IpamErrorKind),
    /// Done with these places.
    Places(BTreeSet<u8>),
    /// Done with one of these.
    OneOf(BTreeSet<u8>),
}

use Answer::{OneOf, Places, Refused};
use IpamErrorKind::{Exhausted, Invalid, NotFound, Taken};

impl Model {
    fn free_in(&self, block: u8) -> impl Iterator<Item = u8> {
        let places = block * SIZE..(block + 1) * SIZE;
        places.filter(|place| !self.owners.contains_key(place))
    }

    fn free_blocks(&self) -> impl Iterator<Item = u8> {
        (0..BLOCKS).filter(|block| !self.blocks.contains_key(block))
    }

    fn owned(&self, node: u8) -> impl Iterator<Item = u8> {
        let mine = move |(_, owner): &(&u8, &Option<u8>)| **owner == Some(node);
        self.blocks.iter().filter(mine).map(|(block, _)| *block)
    }

    /// What may be answered; `record` then takes over what was.
    fn answer(&self, op: &Op) -> Answer {
        match *op {
            Op::Claim(node, block) => match self.blocks.get(&block) {
                Some(owner) if *owner != Some(node) => Refused(Taken),
                _ => Places([block].into()),
            },
            Op::ClaimAny(_) => match self.free_blocks().collect::<BTreeSet<_>>() {
                free if free.is_empty() => Refused(Exhausted),
                free => OneOf(free),
            },
            Op::Assign(_, place, _) if place >= BLOCKS * SIZE => Refused(Invalid),
            Op::Assign(node, place, _) => match self.blocks.get(&(place / SIZE)) {
                Some(owner) if *owner != Some(node) => Refused(Taken),
                _ if self.owners.contains_key(&place) => Refused(Taken),
                _ => Places([place].into()),
            },
            Op::AssignAny(node, _) => {
                let own: BTreeSet<u8> = self.owned(node).flat_map(|b| self.free_in(b)).collect();
                let new: BTreeSet<u8> = self.free_blocks().map(|b| b * SIZE).collect();
                match (own.is_empty(), new.is_empty()) {
                    (false, _) => OneOf(own),
                    (true, false) => OneOf(new),
                    (true, true) => Refused(Exhausted),
                }
            }
            Op::Release(place, expected) => match self.owners.get(&place) {
                None => Refused(NotFound),
                Some(owner) if expected.is_some_and(|e| e != *owner) => Refused(Taken),
                Some(_) => Places([place].into()),
            },
            Op::ReleaseHandle(owner) => {
                let has = |(_, o): &(&u8, &u8)| **o == owner;
                let places: BTreeSet<u8> = self.owners.iter().filter(has).map(|e| *e.0).collect();
                if places.is_empty() {
                    Refused(NotFound)
                } else {
                    Places(places)
                }
            }
            Op::ReleaseBlock(node, block) => match self.blocks.get(&block) {
                None => Refused(NotFound),
                Some(owner) if *owner != Some(node) => Refused(Taken),
                Some(_) => Places([block].into()),
            },
        }
    }

    fn record(&mut self, op: &Op, places: &BTreeSet<u8>) {
        for place in places {
            match *op {
                Op::Claim(node, _) | Op::ClaimAny(node) => {
                    self.blocks.insert(*place, Some(node));
                }
                Op::Assign(node, _, owner) | Op::AssignAny(node, owner) => {
                    self.blocks.insert(place / SIZE, Some(node));
                    self.owners.insert(*place, owner);
                }
                Op::Release(..) | Op::ReleaseHandle(_) => {
                    self.owners.remove(place);
                }
                Op::ReleaseBlock(_, block) => {
                    self.blocks.insert(block, None);
                }
            }
        }
        let used: BTreeSet<u8> = self.owners.keys().map(|place| place / SIZE).collect();
        self.blocks
            .retain(|block, owner| owner.is_some() || used.contains(block));
    }
}

fn addr(place: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, place)
}

fn apply(ipam: &Ipam, op: &Op) -> Result<BTreeSet<u8>, IpamErrorKind> {
    let n = |number: u8| node(&format!("node-{number}"));
    let id = |number: u8| format!("h{number}");
    let block = |number: u8| ipnetwork::Ipv4Network::new(addr(number * SIZE), 30).unwrap();
    let one = |addr: Ipv4Addr| BTreeSet::from([addr.octets()[3]]);
    let number = |block: ipnetwork::Ipv4Network| BTreeSet::from([block.ip().octets()[3] / SIZE]);
    match *op {
        Op::Claim(node, b) => ipam.claim(&n(node), block(b)).map(|c| number(c.block)),
        Op::ClaimAny(node) => ipam.claim_any(&n(node)).map(|c| number(c.block)),
        Op::Assign(node, p, h) => ipam
            .assign(&n(node), addr(p), &owner(&id(h)))
            .map(|a| one(a.addr)),
        Op::AssignAny(node, h) => ipam
            .assign_any(&n(node), &owner(&id(h)))
            .map(|a| one(a.addr)),
        Op::Release(p, h) => {
            let handle = h.map(|h| handle(&id(h)));
            ipam.release(&Release {
                handle,
                ..Release::of(addr(p))
            })
            .map(|r| one(r.addr))
        }
        Op::ReleaseHandle(h) => ipam
            .release_handle(&handle(&id(h)))
            .map(|all| all.iter().map(|r| r.addr.octets()[3]).collect()),
        Op::ReleaseBlock(node, b) => ipam.release_block(&n(node), block(b)).map(|_| [b].into()),
    }
    .map_err(|error| error.kind())
}

/// Blocks, claims and handles say the same, and what the model says.
fn compare(net: &Network, model: &Model) {
    let blocks = net.ipam.blocks().unwrap();
    let numbers = |blocks: &[Block]| -> BTreeSet<u8> {
        let first = |block: &Block| block.prefix().prefix().network().octets()[3] / SIZE;
        blocks.iter().map(first).collect()
    };
    assert_eq!(numbers(&blocks), model.blocks.keys().copied().collect());
    let assigned = blocks.iter().flat_map(Block::assigned);
    let place = |(addr, attribute): (Ipv4Addr, &Attribute)| {
        (
            addr.octets()[3],
            attribute.handle().unwrap()[1..].parse().unwrap(),
        )
    };
    assert_eq!(
        assigned.map(place).collect::<BTreeMap<u8, u8>>(),
        model.owners
    );
    let mut records = blocks.len();
    for number in 0..3 {
        let own = net
            .ipam
            .blocks_of(&node(&format!("node-{number}")))
            .unwrap();
        assert_eq!(numbers(&own), model.owned(number).collect());
        records += own.len();
    }
    let mut counts: BTreeMap<(u8, u8), u64> = BTreeMap::new();
    for (place, owner) in &model.owners {
        *counts.entry((*owner, place / SIZE)).or_default() += 1;
    }
    let owners: BTreeSet<u8> = model.owners.values().copied().collect();
    for owner in &owners {
        let text = net
            .value(&format!("/calico/ipam/v2/handle/h{owner}"))
            .unwrap();
        let blocks = (0..BLOCKS).filter_map(|b| Some((b, counts.get(&(*owner, b))?)));
        let mut blocks: Vec<_> = blocks
            .map(|(b, n)| format!("\"10.0.0.{}/30\":{n}", b * SIZE))
            .collect();
        blocks.sort_unstable();
        assert_eq!(
            text,
            format!(r#"{{"block":{{{}}},"deleted":false}}"#, blocks.join(","))
        );
    }
    assert_eq!(
        net.records().len(),
        records + owners.len(),
        "and nothing else is stored"
    );
}

proptest! {
    #[test]
    fn several_nodes_do_what_plain_sets_do(ops in prop::collection::vec(op(), 1..40)) {
        let net = network(&[], 30);
        let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
        net.ipam.create_pool(&pool).unwrap();
        let mut model = Model::default();
        for op in &ops {
            let before = net.records();
            let (allowed, answer) = (model.answer(op), apply(&net.ipam, op));
            match (&allowed, &answer) {
                (Refused(kind), Err(found)) => {
                    prop_assert_eq!(kind, found, "{:?}", op);
                    prop_assert_eq!(net.records(), before, "a refused call changes nothing");
                }
                (Places(places), Ok(found)) => prop_assert_eq!(places, found, "{:?}", op),
                (OneOf(places), Ok(found)) => {
                    prop_assert!(found.len() == 1 && found.is_subset(places), "{:?}: {:?}", op, found);
                }
                _ => prop_assert!(false, "{:?}: {:?} instead of {:?}", op, answer, allowed),
            }
            if let Ok(places) = &answer {
                model.record(op, places);
            }
            compare(&net, &model);
        }
    }
}
