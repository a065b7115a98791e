//! Passes of a run that have too little time: for their own work, and for a store that does not answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ipip_core::datastore::Store;
use ipip_core::ipam::Ambient;
use ipip_core::node::{Node, RunEvent, Synced};
use ipip_core::resource::{IpipMode, Pool};

use crate::cluster::{Cluster, Pod};
use crate::run::while_running;
use crate::support::{Needs, Test, soon};
use crate::unsteady::Unsteady;

pub(crate) const TESTS: &[Test] = &[
    (
        "run_does_in_many_passes_what_one_has_no_time_for",
        Needs::Root,
        many_passes,
    ),
    ("run_goes_on_beside_a_store_that_hangs", Needs::Root, hangs),
];

/// More than go by three batches.
const BLOCKS: u32 = 5000;

/// The next pass that was made; no machine is so slow that there is none for two minutes.
fn next(told: &Receiver<RunEvent>) -> Synced {
    for _ in 0..20 {
        match told.recv_timeout(Duration::from_secs(120)).unwrap() {
            RunEvent::Synced(synced) => return *synced,
            other => println!("{other:?}"),
        }
    }
    panic!("no pass can be made");
}

fn many_passes() {
    let cluster = Cluster::new(IpipMode::Never);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let b = cluster.host("node-b", "172.18.0.2/16");
    a.join();
    b.join();
    let pool = Pool::try_new("large", "10.0.0.0/11".parse().unwrap(), 26).unwrap();
    let pool = pool.with_ipip_mode(IpipMode::Never);
    cluster.ipam.create_pool(&pool).unwrap();
    for number in 0..BLOCKS {
        let block = pool.block(number.into()).unwrap();
        cluster.ipam.claim(&b.name, block.into()).unwrap();
    }
    let node = a.open_as(a.config().with_deadline(Duration::ZERO));
    while_running(&node, |told| {
        let (mut done, mut passes) = (HashSet::new(), 0);
        let mut left = usize::MAX;
        loop {
            let synced = next(told);
            passes += 1;
            assert!(synced.failed.is_empty(), "{:?}", synced.failed);
            for step in &synced.done {
                assert!(done.insert(step.to_string()), "done again: {step}");
            }
            // What is left is what the next pass begins with, and something is done by each.
            let now = synced.postponed.len();
            assert!(now < left || now == 0, "{now} left after {left}");
            assert_eq!(synced.is_settled(), now == 0);
            left = now;
            if left == 0 {
                break;
            }
        }
        assert!(passes > 3, "{passes} passes");
        let routes = done.iter().filter(|line| line.starts_with("ip route add "));
        assert_eq!(routes.count(), usize::try_from(BLOCKS).unwrap());
    });
    let lines = a.routes();
    let ways = lines
        .iter()
        .filter(|line| line.contains("via 172.18.0.2 dev eth0 proto bird onlink"));
    assert_eq!(ways.count(), usize::try_from(BLOCKS).unwrap());
    assert!(node.counters().cut_short >= 3, "{:?}", node.counters());
    let plan = node.plan().unwrap();
    assert!(plan.is_empty(), "{plan}");
}

fn hangs() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let b = cluster.host("node-b", "172.18.0.2/16");
    let (_, other) = (a.join(), b.join());
    let attach = |name: &str| {
        let pod = Pod::new(name, name);
        let address = other.attach(&pod.workload).unwrap().address;
        let block = cluster.ipam.block_of(address).unwrap().unwrap().prefix();
        (
            pod,
            format!("{block} via 172.18.0.2 dev eth0 proto bird onlink"),
        )
    };
    let (_pod, way) = attach("b1");
    let unsteady = Unsteady::before(&cluster.store);
    let store = Arc::clone(&unsteady) as Arc<dyn Store>;
    let config = a.config().with_deadline(Duration::from_millis(200));
    let node = Node::open(store, config, Ambient::system()).unwrap();
    while_running(&node, |told| {
        soon("a first pass", || a.routes().contains(&way));
        unsteady.hang(true);
        // A new link makes it a matter of more than routes, so the store is asked.
        a.space
            .sh("ip route flush proto bird; ip link add spare type veth peer name other");
        soon("what was read before counts", || a.routes().contains(&way));
        let stale = std::iter::from_fn(|| Some(next(told))).find_map(|synced| synced.stale);
        let stale = stale.unwrap();
        assert!(stale.contains("the store failed: "), "{stale}");
        unsteady.hang(false);
        let block = "10.244.200.0/26".parse().unwrap();
        cluster.ipam.claim(&b.name, block).unwrap();
        let way = format!("{block} via 172.18.0.2 dev eth0 proto bird onlink");
        soon("the store is read again", || a.routes().contains(&way));
        unsteady.hang(true);
    });
    // It has ended although the store hangs.
    unsteady.hang(false);
}
