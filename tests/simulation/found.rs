//! What the simulation found, each made small: one operation, and what happens between two of its calls.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use ipip_core::datastore::{Commit, Memory, Outcome, Store, StoreError, Write, key};
use ipip_core::ipam::{Ambient, Collector, Ipam};
use ipip_core::resource::{Attribute, Pool};

use crate::operation::{PoolPlan, tunnel_handle};
use crate::pass_on::pass_on;
use crate::scene::Scene;

type Deed = Box<dyn FnOnce(&Memory) + Send>;

/// A store in which somebody does a deed before the call with this number, counted down to 0.
struct Between {
    memory: Arc<Memory>,
    deed: Mutex<(usize, Option<Deed>)>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory.fmt(f)
    }
}

impl Between {
    fn call(&self) -> &Memory {
        let mut deed = self.deed.lock().unwrap();
        if deed.0 == 0
            && let Some(deed) = deed.1.take()
        {
            deed(&self.memory);
        }
        deed.0 = deed.0.saturating_sub(1);
        &self.memory
    }
}

impl Store for Between {
    pass_on!([.call()] get list list_keys);
    pass_on!([.memory] watch);

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let memory = self.call();
        let is_pool = |key: &str| key.starts_with(key::pool_prefix());
        let deleted = commit.writes.iter().find_map(|write| match write {
            Write::Delete(key) if is_pool(key) => memory.get(key).ok().flatten(),
            _ => None,
        });
        let outcome = memory.commit(commit)?;
        if let (Some(pool), Outcome::Committed(_)) = (deleted, outcome) {
            let pool = String::from_utf8(pool.value.to_vec()).unwrap();
            assert!(pool.contains(r#""disabled":true"#), "deleted {pool}");
        }
        Ok(outcome)
    }
}

fn allocator(store: Arc<dyn Store>, clock: &Arc<AtomicU64>) -> Ipam {
    let clock = Arc::clone(clock);
    let now = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
    Ipam::new(store, Ambient::system().with_clock(now).with_pause(|_| ()))
}

fn pool() -> Pool {
    let cidr = "10.0.0.0/26".parse().unwrap();
    PoolPlan {
        name: "pods",
        cidr,
        block_len: 28,
    }
    .pool()
}

/// A memory with a pool, and an allocator on it; the clock stands at 1,000 s.
fn world() -> (Arc<Memory>, Ipam, Arc<AtomicU64>) {
    let (memory, clock) = (Arc::new(Memory::new()), Arc::new(AtomicU64::new(1000)));
    let ipam = allocator(memory.clone(), &clock);
    ipam.create_pool(&pool()).unwrap();
    (memory, ipam, clock)
}

/// Calls `operation` once for each number of calls before `deed`, each time in a world of its own
/// that `prepare` makes ready; `judge` looks at it afterwards.
fn at_each_call(
    prepare: impl Fn(&Ipam),
    deed: impl Fn(&Ipam, &AtomicU64) + Clone + Send + 'static,
    operation: impl Fn(&Ipam),
    judge: impl Fn(&Ipam),
) {
    for number in 0..40 {
        let (memory, ipam, clock) = world();
        prepare(&ipam);
        let (deed, at) = (deed.clone(), Arc::clone(&clock));
        let other = ipam.clone();
        let deed: Deed = Box::new(move |_| deed(&other, &at));
        let deed = Mutex::new((number, Some(deed)));
        operation(&allocator(Arc::new(Between { memory, deed }), &clock));
        judge(&ipam);
    }
}

#[test]
fn a_handle_that_calico_counts_already_is_released_only_so_that_calico_reads_again() {
    let (memory, ipam, _) = world();
    let claimed = ipam
        .claim(&Scene::node(1), "10.0.0.0/28".parse().unwrap())
        .unwrap();
    let block = key::block(claimed.block.try_into().unwrap());
    let read = memory.get(&block).unwrap().unwrap();
    let handle = Scene::handle(0);
    let mut count = Commit::new();
    count.put(
        &key::handle(&handle),
        br#"{"block":{"10.0.0.0/28":1},"deleted":false}"#.to_vec(),
    );
    let _ = memory.commit(count).unwrap();
    assert_eq!(ipam.release_handle(&handle).unwrap(), []);
    let mut write = Commit::new();
    write
        .expect(&block, Some(read.revision))
        .put(&block, read.value.to_vec());
    assert_eq!(memory.commit(write).unwrap(), Outcome::Conflict);
}

#[test]
fn a_pool_that_is_enabled_while_it_is_deleted_is_disabled_again() {
    let enable = |ipam: &Ipam, _: &AtomicU64| {
        // It may be gone.
        let _ = ipam.enable_pool("pods");
    };
    let delete = |ipam: &Ipam| drop(ipam.delete_pool("pods").unwrap());
    let judge = |ipam: &Ipam| assert_eq!(ipam.pools().unwrap(), []);
    at_each_call(
        |ipam| {
            ipam.claim_any(&Scene::node(1)).unwrap();
        },
        enable,
        delete,
        judge,
    );
}

#[test]
fn a_node_that_is_removed_leaves_no_tunnel_address_without_a_record() {
    let node = Scene::node(1);
    let prepare = |ipam: &Ipam| {
        ipam.ensure_tunnel_address(&Scene::node(1)).unwrap();
    };
    let ensure = |ipam: &Ipam, _: &AtomicU64| {
        ipam.ensure_tunnel_address(&Scene::node(1)).unwrap();
    };
    let remove = |ipam: &Ipam| drop(ipam.remove_node(&node).unwrap());
    let judge = |ipam: &Ipam| {
        let held = ipam.addresses_of(&tunnel_handle(node.as_str())).unwrap();
        assert_eq!(
            held.is_empty(),
            ipam.node(&node).unwrap().is_none(),
            "{held:?}"
        );
    };
    at_each_call(prepare, ensure, remove, judge);
}

#[test]
fn the_time_of_a_check_and_of_grace_is_that_after_reading() {
    let assign = |ipam: &Ipam, clock: &AtomicU64| {
        clock.fetch_add(100, Ordering::Relaxed);
        let pod = Attribute::new(Some(Scene::handle(0)));
        ipam.assign_any(&Scene::node(1), &pod).unwrap();
    };
    let check = |ipam: &Ipam| {
        let report = ipam.check().unwrap();
        let late = report.taken >= UNIX_EPOCH + Duration::from_secs(1100);
        assert!(report.checked.addresses == 0 || late, "{report:?}");
    };
    at_each_call(|_| (), assign, check, |_| ());
    let collect = |ipam: &Ipam| {
        let mut collector = Collector::new(Duration::from_secs(30));
        for _ in 0..2 {
            let collected = ipam.collect(&mut collector, &HashSet::new()).unwrap();
            assert_eq!(collected.released, [], "it was assigned at this instant");
        }
    };
    at_each_call(|_| (), assign, collect, |_| ());
}
