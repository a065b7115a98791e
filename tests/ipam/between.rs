//! Somebody else does a deed before any one call of the store: between reading and reading, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};
use std::{fmt, iter};

use ipip_core::datastore::{Commit, Listing, Memory, Outcome, Record, Store, StoreError};
use ipip_core::ipam::{Ambient, Collector, Ipam};
use ipip_core::resource::{AllocatorConfig, IpipMode, Node, Pool};

use crate::pass_on::pass_on;
use crate::support::{addr, handle, node, owner};

struct Between {
    store: Arc<Memory>,
    calls: AtomicU64,
    at: u64,
    deed: fn(&Ipam),
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Between {
    fn step(&self) {
        if self.calls.fetch_add(1, Relaxed) == self.at {
            (self.deed)(&allocator(Arc::<Memory>::clone(&self.store)));
        }
    }
}

impl Store for Between {
    pass_on!([.store] watch);

    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.step();
        self.store.get(key)
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        self.step();
        self.store.list(prefix)
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        self.step();
        self.store.list_keys(prefix)
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.step();
        self.store.commit(commit)
    }
}

fn allocator(store: Arc<dyn Store>) -> Ipam {
    let ambient = Ambient::system()
        .with_clock(|| UNIX_EPOCH + Duration::from_secs(1_787_405_600))
        .with_pause(|_| ());
    Ipam::new(store, ambient)
}

/// A pool of four blocks for tunnels and others; `a` and `b` have one each, with addresses of `x`, and
/// `b` has a tunnel address.
fn network() -> Arc<Memory> {
    let store = Arc::new(Memory::new());
    let ipam = allocator(Arc::<Memory>::clone(&store));
    let pool = Pool::try_new("p", "10.0.0.0/28".parse().unwrap(), 30).unwrap();
    ipam.create_pool(&pool.with_ipip_mode(IpipMode::Always))
        .unwrap();
    for (name, at, who) in [
        ("a", "10.0.0.0", "x"),
        ("b", "10.0.0.4", "x"),
        ("b", "10.0.0.5", "y"),
    ] {
        ipam.put_node(&Node::new(node(name))).unwrap();
        ipam.assign(&node(name), addr(at), &owner(who)).unwrap();
    }
    ipam.ensure_tunnel_address(&node("b")).unwrap();
    store
}

/// The network, and a store on it in which `deed` comes before the call `at`.
fn between(at: u64, deed: fn(&Ipam)) -> (Arc<Memory>, Arc<Between>) {
    let store = network();
    let between = Between {
        store: Arc::clone(&store),
        calls: AtomicU64::new(0),
        at,
        deed,
    };
    (store, Arc::new(between))
}

/// Does `call` with `deed` before each of its calls of the store in turn, and lets `judge` see the end.
fn at_every_call(deed: fn(&Ipam), call: impl Fn(&Ipam), judge: impl Fn(&Ipam)) {
    for at in iter::successors(Some(0), |at| Some(at + 1)) {
        let (store, between) = between(at, deed);
        call(&allocator(Arc::<Between>::clone(&between)));
        if between.calls.load(Relaxed) <= at {
            assert!(at > 1, "the store was not called");
            return;
        }
        let quiet = allocator(store);
        let report = quiet.check().unwrap();
        // A pool that is deleted while addresses are in use leaves blocks in no pool.
        let expected = |kind: &str| kind == "blockOutsidePools";
        let mut problems = report.problems.iter();
        assert!(
            problems.all(|found| expected(found.problem.kind())),
            "before call {at}: {report}"
        );
        judge(&quiet);
    }
}

#[test]
fn two_who_ensure_a_tunnel_address_agree() {
    at_every_call(
        |ipam| {
            ipam.ensure_tunnel_address(&node("a")).unwrap();
        },
        |ipam| assert!(ipam.ensure_tunnel_address(&node("a")).unwrap().is_some()),
        |ipam| {
            let held = ipam.addresses_of(&handle("ipip-tunnel-addr-a")).unwrap();
            assert_eq!(held.len(), 1);
        },
    );
    at_every_call(
        |ipam| {
            ipam.release_tunnel_address(&node("a")).unwrap();
        },
        |ipam| {
            ipam.ensure_tunnel_address(&node("a")).unwrap();
        },
        |ipam| {
            assert!(
                ipam.addresses_of(&handle("ipip-tunnel-addr-a"))
                    .unwrap()
                    .len()
                    < 2
            )
        },
    );
}

#[test]
fn a_node_that_is_removed_gets_no_record_again() {
    at_every_call(
        |ipam| drop(ipam.remove_node(&node("b")).unwrap()),
        |ipam| drop(ipam.release_tunnel_address(&node("b")).unwrap()),
        |ipam| assert_eq!(ipam.node(&node("b")).unwrap(), None),
    );
}

#[test]
fn a_pool_is_deleted_whatever_others_do_in_it() {
    let gone = |ipam: &Ipam| {
        assert_eq!(ipam.pools().unwrap(), []);
        let owned = |block: &ipip_core::resource::Block| block.affinity().is_some();
        assert!(!ipam.blocks().unwrap().iter().any(owned));
    };
    // Calls that come too late are refused, which is right too.
    let deeds: [fn(&Ipam); 5] = [
        |ipam| drop(ipam.assign_any(&node("c"), &owner("z"))),
        |ipam| drop(ipam.claim_any(&node("a"))),
        |ipam| drop(ipam.release_handle(&handle("x"))),
        |ipam| drop(ipam.remove_node(&node("b"))),
        |ipam| drop(ipam.ensure_tunnel_address(&node("a"))),
    ];
    for deed in deeds {
        let delete = |ipam: &Ipam| {
            ipam.delete_pool("p").unwrap();
        };
        at_every_call(deed, delete, gone);
    }
}

#[test]
fn a_deletion_leaves_alone_the_pool_that_came_after() {
    let begin_again = |ipam: &Ipam| {
        for who in ["x", "y"] {
            let _ = ipam.release_handle(&handle(who));
        }
        ipam.remove_node(&node("b")).unwrap();
        // It may be gone.
        let _ = ipam.delete_pool("p");
        let later = Pool::try_new("q", "10.0.0.0/27".parse().unwrap(), 30).unwrap();
        ipam.create_pool(&later).unwrap();
        for at in ["10.0.0.0", "10.0.0.4"] {
            ipam.claim(&node("c"), format!("{at}/30").parse().unwrap())
                .unwrap();
        }
        ipam.assign(&node("c"), addr("10.0.0.0"), &owner("z"))
            .unwrap();
    };
    at_every_call(
        begin_again,
        // Refused where the other has deleted it, which is right too.
        |ipam| drop(ipam.delete_pool("p")),
        |ipam| {
            // Or nobody came before it.
            let blocks = ipam.blocks_of(&node("c")).unwrap().len();
            assert!(blocks == 2 * ipam.pools().unwrap().len());
        },
    );
}

#[test]
fn a_deletion_leaves_alone_the_pool_that_came_after_under_the_same_name() {
    let begin_again = |ipam: &Ipam| {
        // It may be gone.
        let _ = ipam.delete_pool("p");
        let later = Pool::try_new("p", "10.1.0.0/28".parse().unwrap(), 30).unwrap();
        ipam.create_pool(&later).unwrap();
        ipam.assign(&node("c"), addr("10.1.0.0"), &owner("z"))
            .unwrap();
    };
    let delete = |ipam: &Ipam| drop(ipam.delete_pool("p"));
    let is_untouched = |ipam: &Ipam| {
        let pools = ipam.pools().unwrap();
        assert!(pools.iter().all(Pool::is_enabled), "{pools:?}");
        let blocks = ipam.blocks_of(&node("c")).unwrap().len();
        assert_eq!(blocks, pools.len());
    };
    for at in 1..30 {
        let (store, between) = between(at, begin_again);
        delete(&allocator(Arc::<Between>::clone(&between)));
        // Before the first read it is the later one that is asked for.
        let was_there = between.calls.load(Relaxed) > at;
        assert!(was_there || at > 3, "the store was not called");
        if was_there {
            let quiet = allocator(store);
            is_untouched(&quiet);
            assert_eq!(quiet.pools().unwrap().len(), 1, "before call {at}");
        }
    }
}

#[test]
fn a_node_is_removed_whatever_others_do_with_its_blocks() {
    let deeds: [fn(&Ipam); 5] = [
        |ipam| drop(ipam.assign(&node("a"), addr("10.0.0.7"), &owner("guest"))),
        |ipam| drop(ipam.release_handle(&handle("x"))),
        |ipam| drop(ipam.release_block(&node("b"), "10.0.0.4/30".parse().unwrap())),
        |ipam| drop(ipam.delete_pool("p")),
        |ipam| drop(ipam.remove_node(&node("b"))),
    ];
    for deed in deeds {
        at_every_call(
            deed,
            |ipam| {
                ipam.remove_node(&node("b")).unwrap();
            },
            |ipam| {
                assert_eq!(ipam.node(&node("b")).unwrap(), None);
                assert_eq!(ipam.blocks_of(&node("b")).unwrap(), []);
                assert_eq!(ipam.addresses_of(&handle("y")).unwrap(), []);
            },
        );
    }
}

#[test]
fn a_claim_that_is_given_up_meanwhile_is_not_made_again() {
    let give_up = |ipam: &Ipam| {
        let _ = ipam.release_handle(&handle("x"));
        ipam.release_block(&node("a"), "10.0.0.0/30".parse().unwrap())
            .unwrap();
    };
    let assign = |ipam: &Ipam| {
        let mut config = AllocatorConfig::default();
        (config.strict_affinity, config.auto_allocate_blocks) = (true, false);
        ipam.set_config(&config).unwrap();
        // Refused where it comes too late, which is right too.
        let _ = ipam.assign_any(&node("a"), &owner("z"));
    };
    at_every_call(give_up, assign, |ipam| {
        assert_eq!(ipam.blocks_of(&node("a")).unwrap(), []);
    });
}

#[test]
fn a_collection_takes_nothing_that_is_assigned_meanwhile() {
    at_every_call(
        |ipam| {
            let _ = ipam.release_handle(&handle("x"));
            ipam.assign(&node("a"), addr("10.0.0.0"), &owner("new"))
                .unwrap();
        },
        |ipam| {
            let mut collector = Collector::new(Duration::ZERO);
            let live = [handle("y"), handle("new")].into();
            ipam.collect(&mut collector, &live).unwrap();
        },
        |ipam| {
            assert_eq!(ipam.addresses_of(&handle("new")).unwrap().len(), 1);
            assert_eq!(ipam.addresses_of(&handle("y")).unwrap().len(), 1);
        },
    );
}

#[test]
fn what_an_owner_had_is_not_answered_once_it_is_anothers() {
    at_every_call(
        |ipam| {
            let _ = ipam.release_handle(&handle("x"));
            ipam.assign(&node("a"), addr("10.0.0.0"), &owner("new"))
                .unwrap();
        },
        |ipam| {
            let given = ipam.assign_each(&node("a"), &[owner("x")]).remove(0);
            let given = given.unwrap().assigned;
            let block = ipam.block_of(given.addr).unwrap().unwrap();
            if block.sequence_of(given.addr) == Some(given.sequence) {
                let who = block.attribute_of(given.addr).unwrap();
                assert_eq!(who.handle(), Some("x"), "{given:?}");
            }
        },
        |ipam| assert_eq!(ipam.addresses_of(&handle("new")).unwrap().len(), 1),
    );
}

#[test]
fn a_node_that_comes_back_during_a_collection_keeps_its_tunnel_address() {
    let come_back = |ipam: &Ipam| {
        ipam.ensure_tunnel_address(&node("b")).unwrap();
    };
    let collect_twice = |ipam: &Ipam| {
        let mut collector = Collector::new(Collector::GRACE);
        ipam.collect(&mut collector, &[].into()).unwrap();
        ipam.remove_node(&node("b")).unwrap();
        ipam.collect(&mut collector, &[].into()).unwrap();
    };
    at_every_call(come_back, collect_twice, |ipam| {
        let held = ipam.addresses_of(&handle("ipip-tunnel-addr-b")).unwrap();
        assert_eq!(held.len(), ipam.node(&node("b")).unwrap().iter().count());
    });
}

#[test]
fn a_check_sees_one_instant() {
    let deeds: [fn(&Ipam); 6] = [
        |ipam| {
            ipam.assign_any(&node("c"), &owner("z")).unwrap();
        },
        |ipam| drop(ipam.release_handle(&handle("x")).unwrap()),
        |ipam| drop(ipam.delete_pool("p").unwrap()),
        |ipam| drop(ipam.remove_node(&node("b")).unwrap()),
        |ipam| {
            ipam.ensure_tunnel_address(&node("a")).unwrap();
        },
        |ipam| {
            ipam.create_pool(&Pool::try_new("q", "10.1.0.0/28".parse().unwrap(), 30).unwrap())
                .unwrap();
            ipam.assign(&node("c"), addr("10.1.0.1"), &owner("z"))
                .unwrap();
        },
    ];
    for (number, deed) in deeds.into_iter().enumerate() {
        let check = |ipam: &Ipam| {
            let problems = ipam.check().unwrap().problems;
            // A pool that is being deleted with addresses in use leaves blocks in no pool, and says so.
            let expected = |kind: &str| number == 2 && kind == "blockOutsidePools";
            assert!(
                problems.iter().all(|found| expected(found.problem.kind())),
                "{problems:?}"
            );
        };
        for at in 0..12 {
            let store = network();
            let between = Between {
                store,
                calls: AtomicU64::new(0),
                at,
                deed,
            };
            check(&allocator(Arc::new(between)));
        }
    }
}
