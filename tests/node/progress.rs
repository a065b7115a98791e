//! What a node tells while it works on many routes, against what the kernel holds.

use std::sync::{Arc, Mutex};

use ipip_core::node::{LeaveOptions, Progress, Work};
use ipip_core::resource::{IpipMode, Pool};
use serde_json::Value;

use crate::cluster::{Cluster, Pod};
use crate::support::{Needs, Test, sh};

pub(crate) const TESTS: &[Test] = &[
    ("work_tells_how_far_it_is", Needs::Root, tells_how_far_it_is),
    (
        "detaching_tells_how_far_it_is",
        Needs::Root,
        detaching_tells,
    ),
];

/// More than go by one batch.
const BLOCKS: u32 = 2000;

fn tells_how_far_it_is() {
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
    // Beside each telling, how many routes the kernel holds by then.
    let heard: Arc<Mutex<Vec<(Progress, usize)>>> = Arc::default();
    let (list, netns) = (Arc::clone(&heard), a.space.netns.try_clone().unwrap());
    let routes = Arc::new(move || {
        let text = sh(&netns, "ip -j route show proto bird");
        let routes: Vec<Value> = serde_json::from_str(&text).unwrap();
        routes.len()
    });
    let config = a.config().with_progress({
        let routes = Arc::clone(&routes);
        move |progress| list.lock().unwrap().push((progress, routes()))
    });
    let node = a.open_as(config);
    let take = || std::mem::take(&mut *heard.lock().unwrap());

    let synced = node.sync().unwrap();
    let told = take();
    assert!(synced.is_settled(), "{synced}");
    check(&told, Work::Sync, synced.done.len());
    // The guard, and two batches at least.
    assert!(told.len() > 3, "{told:?}");
    let is_route = |line: &String| line.starts_with("ip route add ");
    let lines = synced.done.iter().map(ToString::to_string);
    let others = lines.filter(|line| !is_route(line)).count();
    assert!(others < 5, "{synced}");
    for (progress, held) in &told {
        let known = *held..=held + others;
        assert!(known.contains(&progress.done), "{progress:?} with {held}");
    }
    assert_eq!(told.last().unwrap().1, usize::try_from(BLOCKS).unwrap());

    // Nothing to do, nothing to tell.
    assert!(node.sync().unwrap().done.is_empty());
    assert_eq!(take(), []);

    let left = node.leave(&LeaveOptions::default()).unwrap();
    let told = take();
    assert!(left.is_complete(), "{left:?}");
    check(&told, Work::Leave, told.last().unwrap().0.total);
    assert!(told.last().unwrap().0.total >= usize::try_from(BLOCKS).unwrap());
    assert_eq!(routes(), 0);
}

fn detaching_tells() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let heard: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let list = Arc::clone(&heard);
    let config = a
        .config()
        .with_progress(move |progress| list.lock().unwrap().push(progress));
    let node = a.join_as(config).unwrap();
    let pods = ["one", "two", "three"].map(|name| Pod::new(name, name));
    for pod in &pods {
        node.attach(&pod.workload).unwrap();
    }
    heard.lock().unwrap().clear();
    let ids: Vec<_> = pods.iter().map(|pod| pod.id().clone()).collect();
    let answers = node.detach_many(&ids).unwrap();
    let steps = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().changes.steps.len());
    let steps: usize = steps.sum();
    let told = heard.lock().unwrap();
    let last = told.last().unwrap();
    assert_eq!(
        (last.work, last.done, last.total),
        (Work::Detach, steps, steps)
    );
    assert_eq!(steps, pods.len());
}

/// It rises from batch to batch, and ends with everything.
fn check(told: &[(Progress, usize)], work: Work, total: usize) {
    assert!(told.len() > 1, "{told:?}");
    assert!(told.windows(2).all(|two| two[0].0.done < two[1].0.done));
    for (progress, _) in told {
        assert_eq!((progress.work, progress.total), (work, total));
    }
    assert_eq!(told.last().unwrap().0.done, total);
}
