//! What a node tells while it works on many routes, against what the kernel holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use ipip_core::node::{LeaveOptions, Node, NodeError, Progress, Task};
use ipip_core::resource::{IpipMode, Pool};
use serde_json::Value;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Test, sh};

pub(crate) const TESTS: &[Test] = &[
    ("work_tells_how_far_it_is", Needs::Root, tells_how_far_it_is),
    ("containers_are_told_of", Needs::Root, containers),
    ("a_refused_step_is_told_of", Needs::Root, refused),
    ("a_listener_cannot_call_its_node", Needs::Root, reentered),
    ("a_listener_may_panic", Needs::Root, panicked),
];

/// More than go by one batch.
const BLOCKS: u32 = 2000;

/// Gives the node more blocks than go by one batch.
fn claim(cluster: &Cluster, to: &Host) {
    let pool = Pool::try_new("large", "10.0.0.0/11".parse().unwrap(), 26).unwrap();
    let pool = pool.with_ipip_mode(IpipMode::Never);
    cluster.ipam.create_pool(&pool).unwrap();
    for number in 0..BLOCKS {
        let block = pool.block(number.into()).unwrap();
        cluster.ipam.claim(&to.name, block.into()).unwrap();
    }
}

fn tells_how_far_it_is() {
    let cluster = Cluster::new(IpipMode::Never);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let b = cluster.host("node-b", "172.18.0.2/16");
    a.join();
    b.join();
    claim(&cluster, &b);
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
    check(&told, Task::Sync, synced.done.len());
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
    check(&told, Task::Leave, told.last().unwrap().0.total);
    assert!(told.last().unwrap().0.total >= usize::try_from(BLOCKS).unwrap());
    assert_eq!(routes(), 0);
}

/// More than are wired at once, and more than are deleted at once.
fn containers() {
    let cluster = Cluster::new(IpipMode::CrossSubnet);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let heard: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let list = Arc::clone(&heard);
    let tell = move |progress| list.lock().unwrap().push(progress);
    let node = a.join_as(a.config().with_progress(tell)).unwrap();
    let take = || std::mem::take(&mut *heard.lock().unwrap());
    take();
    let names = (0..130).map(|number| format!("pod-{number}"));
    let pods: Vec<_> = names.map(|name| Pod::new(&name, &name)).collect();
    let workloads: Vec<_> = pods.iter().map(|pod| pod.workload.clone()).collect();
    let attached = node.attach_many(&workloads).unwrap();
    assert!(attached.iter().all(Result::is_ok), "{attached:?}");
    let told = take();
    assert_eq!(numbers(&told, Task::Attach), [(128, 130), (130, 130)]);

    let ids: Vec<_> = pods.iter().map(|pod| pod.id().clone()).collect();
    let answers = node.detach_many(&ids).unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let told = take();
    let groups = [24, 48, 72, 96, 120, 130].map(|done| (done, 130));
    assert_eq!(numbers(&told, Task::Detach), groups);
    // There is no wire any more.
    node.detach_many(&ids).unwrap();
    assert_eq!(take(), []);
}

/// What the kernel refuses was answered like all else.
fn refused() {
    let cluster = Cluster::new(IpipMode::Never);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let b = cluster.host("node-b", "172.18.0.2/16");
    let heard: Arc<Mutex<Vec<(Progress, usize)>>> = Arc::default();
    let list = Arc::clone(&heard);
    let tell = move |progress| list.lock().unwrap().push((progress, 0));
    let node = a.join_as(a.config().with_progress(tell)).unwrap();
    b.join();
    claim(&cluster, &b);
    // No route can lead to an address of one's own.
    a.space.sh("ip addr add 172.18.0.2/32 dev lo");
    heard.lock().unwrap().clear();
    let synced = node.sync().unwrap();
    assert_eq!(synced.failed.len(), usize::try_from(BLOCKS).unwrap());
    let steps = synced.done.len() + synced.failed.len();
    check(&heard.lock().unwrap(), Task::Sync, steps);
}

/// The node of the call would wait for itself for ever.
fn reentered() {
    let cluster = Cluster::new(IpipMode::Never);
    let a = cluster.host("node-a", "172.18.0.3/16");
    a.join();
    let slot: Arc<OnceLock<Weak<Node>>> = Arc::default();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (node, list) = (Arc::clone(&slot), Arc::clone(&heard));
    let config = a.config().with_progress(move |_| {
        let node = node.get().unwrap().upgrade().unwrap();
        // What changes nothing is answered.
        assert_eq!(node.name().as_str(), "node-a");
        let id = Pod::new("other", "other").workload;
        let errors = [
            node.sync().unwrap_err(),
            node.plan().unwrap_err(),
            node.attach(&id).unwrap_err(),
            node.detach(&id.id).unwrap_err(),
            node.leave(&LeaveOptions::default()).unwrap_err(),
            node.traffic().unwrap_err(),
        ];
        let told = |error: &NodeError| matches!(error, NodeError::InProgress { .. });
        assert!(errors.iter().all(told), "{errors:?}");
        list.lock().unwrap().push(errors[0].to_string());
    });
    let node = Arc::new(a.open_as(config));
    slot.set(Arc::downgrade(&node)).unwrap();
    let pod = Pod::new("a", "a");
    node.attach(&pod.workload).unwrap();
    let words = "node node-a is at work, and tells of it: its progress callback must not call it";
    assert_eq!(*heard.lock().unwrap(), [words]);
    assert!(node.sync().unwrap().is_settled());
}

/// The call ends where it was, and the next one goes on.
fn panicked() {
    let cluster = Cluster::new(IpipMode::Never);
    let a = cluster.host("node-a", "172.18.0.3/16");
    let b = cluster.host("node-b", "172.18.0.2/16");
    a.join();
    b.join();
    claim(&cluster, &b);
    let panics = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&panics);
    let config = a.config().with_progress(move |progress| {
        assert!(
            progress.done < 1000 || !still.load(Ordering::Relaxed),
            "enough"
        );
    });
    let node = a.open_as(config);
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let ended = catch_unwind(AssertUnwindSafe(|| node.sync()));
    std::panic::set_hook(silent);
    assert!(ended.is_err());
    let put = a
        .routes()
        .iter()
        .filter(|line| line.contains("bird"))
        .count();
    assert!(
        (500..usize::try_from(BLOCKS).unwrap()).contains(&put),
        "{put}"
    );
    panics.store(false, Ordering::Relaxed);
    assert!(node.sync().unwrap().is_settled());
    assert_eq!(node.sync().unwrap().done, []);
}

fn numbers(told: &[Progress], task: Task) -> Vec<(usize, usize)> {
    assert!(
        told.iter().all(|progress| progress.task == task),
        "{told:?}"
    );
    told.iter()
        .map(|progress| (progress.done, progress.total))
        .collect()
}

/// It rises from batch to batch, and ends with everything.
fn check(told: &[(Progress, usize)], task: Task, total: usize) {
    assert!(told.len() > 1, "{told:?}");
    assert!(told.windows(2).all(|two| two[0].0.done < two[1].0.done));
    for (progress, _) in told {
        assert_eq!((progress.task, progress.total), (task, total));
    }
    assert_eq!(told.last().unwrap().0.done, total);
}
