//! Many threads on one store: an address is never two callers' at once.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use ipip_core::datastore::{Memory, Store};
use ipip_core::ipam::{Ambient, Ipam, IpamErrorKind};
use ipip_core::name::NodeName;
use ipip_core::resource::{Attribute, Pool, Release};

use crate::support::{handle, node, owner};

const THREADS: usize = 8;
const ROUNDS: usize = 75;

/// Addresses in use, as the callers believe: the oracle.
#[derive(Default)]
struct InUse(Mutex<HashSet<Ipv4Addr>>);

impl InUse {
    fn add(&self, addr: Ipv4Addr) {
        assert!(self.0.lock().unwrap().insert(addr), "{addr} assigned twice");
    }

    fn remove(&self, addr: Ipv4Addr) {
        assert!(
            self.0.lock().unwrap().remove(&addr),
            "{addr} released twice"
        );
    }
}

fn work(ipam: &Ipam, node: &NodeName, attribute: &Attribute, in_use: &InUse) -> Vec<Ipv4Addr> {
    let mut mine = Vec::new();
    for round in 0..ROUNDS {
        if round % 3 == 2 {
            let addr: Ipv4Addr = mine.swap_remove(round % mine.len());
            // Before the release: after it the address may be another's at once.
            in_use.remove(addr);
            ipam.release(&Release::of(addr)).unwrap();
            continue;
        }
        match ipam.assign_any(node, attribute) {
            Ok(assigned) => {
                in_use.add(assigned.addr);
                mine.push(assigned.addr);
            }
            Err(error) => panic!("{error}"),
        }
    }
    mine
}

/// Eight threads on `nodes` nodes and one handle each, or one for all.
fn race(nodes: usize, one_handle: bool) {
    let store = Arc::new(Memory::new());
    let ipam = Ipam::new(Arc::<Memory>::clone(&store), Ambient::system());
    let pool = Pool::try_new("p", "10.0.0.0/22".parse().unwrap(), 28).unwrap();
    ipam.create_pool(&pool).unwrap();
    let in_use = InUse::default();
    let results: Vec<Vec<Ipv4Addr>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (ipam, in_use) = (&ipam, &in_use);
                let name = if one_handle { 0 } else { thread };
                let node = node(&format!("node-{}", thread % nodes));
                scope.spawn(move || work(ipam, &node, &owner(&format!("h{name}")), in_use))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    let mut expected: Vec<_> = results.concat();
    expected.sort_unstable();
    let mut stored: Vec<_> = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for block in ipam.blocks().unwrap() {
        for (addr, attribute) in block.assigned() {
            stored.push(addr);
            *counts
                .entry(attribute.handle().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    stored.sort_unstable();
    assert_eq!(stored, expected, "the blocks hold what the callers hold");
    for (name, count) in counts {
        let released = ipam.release_handle(&handle(&name)).unwrap();
        assert_eq!(
            released.len(),
            count,
            "the record of {name} knows all its blocks"
        );
    }
    assert!(
        store
            .list("/calico/ipam/v2/handle/")
            .unwrap()
            .entries
            .is_empty()
    );
    let keys = store.list_keys("/calico/ipam/v2/host/").unwrap().entries;
    let claims = keys.iter().filter(|key| key.contains("/block/")).count();
    assert_eq!(
        claims,
        ipam.blocks().unwrap().len(),
        "a claim for each block"
    );
}

#[test]
fn eight_nodes_never_share_an_address() {
    race(8, false);
}

#[test]
fn eight_threads_of_one_node_never_share_an_address() {
    race(1, false);
}

#[test]
fn eight_threads_with_one_handle_never_share_an_address() {
    race(4, true);
}

#[test]
fn the_last_addresses_go_to_exactly_as_many_callers() {
    let ipam = Ipam::new(Arc::new(Memory::new()), Ambient::system());
    let pool = Pool::try_new("p", "10.0.0.0/29".parse().unwrap(), 30).unwrap();
    ipam.create_pool(&pool).unwrap();
    let in_use = InUse::default();
    let (mut got, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let call = || match ipam.assign_any(&node("a"), &owner("h")) {
            Ok(assigned) => {
                in_use.add(assigned.addr);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), IpamErrorKind::Exhausted, "{error}");
                false
            }
        };
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(call)).collect();
        for thread in threads {
            *if thread.join().unwrap() {
                &mut got
            } else {
                &mut refused
            } += 1;
        }
    });
    assert_eq!((got, refused), (8, 4));
}
