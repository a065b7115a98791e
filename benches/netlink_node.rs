//! A whole node: containers get addresses and wires, by one call for all of them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::datastore::{Memory, Sqlite, SqliteOptions, Store};
use ipip_core::ipam::{Ambient, Ipam};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::node::{Node, NodeConfig, Stop, Workload, WorkloadId};
use ipip_core::plan::ensure;
use ipip_core::resource::{Attribute, IpipMode, Node as NodeRecord, Pool};
use ipip_core::sys::netns::Netns;

use super::netlink_floor::Floor;
use super::netlink_pods::{Pods, endpoint, stalls, wire_barely};
use super::timing::median;
use super::{ROUTES, World, prefix, row, seconds, target};
use ipip_core::netlink::Kernel;

const PODS: usize = 100;
/// `ip` takes so long that it gets a tenth.
const BY_IP: usize = 10;
const ROUNDS: usize = 8;

/// A file of SQLite's, gone at the end.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        let name = format!("ipip-bench-netlink-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    fn store(&self, number: usize) -> Arc<dyn Store> {
        let file = self.0.join(number.to_string());
        Arc::new(Sqlite::open(file, SqliteOptions::default()).unwrap())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> NodeName {
    NodeName::try_new(text).unwrap()
}

fn ipam_of(store: &Arc<dyn Store>) -> Ipam {
    Ipam::new(Arc::clone(store), Ambient::system())
}

fn by_shell(netns: &Netns, script: &str) {
    let inside = format!("--net={}", netns.path().display());
    let mut shell = std::process::Command::new("nsenter");
    let status = shell.arg(inside).args(["sh", "-ec", script]).status();
    assert!(status.unwrap().success());
}

fn ipam(store: &Arc<dyn Store>) -> Ipam {
    let ipam = ipam_of(store);
    let pool = Pool::try_new("pods", "10.244.0.0/16".parse().unwrap(), 26).unwrap();
    let pool = pool.with_ipip_mode(IpipMode::Never);
    ipam.create_pool(&pool).unwrap();
    ipam
}

/// A node in the namespace, with an underlay and a default route.
fn join(store: &Arc<dyn Store>, netns: &Netns) -> Node {
    ipam(store);
    let script =
        "ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
                  ip addr add 172.18.0.3/16 dev eth0; ip route add default via 172.18.0.1";
    by_shell(netns, script);
    let config = NodeConfig::new(name("node-a"));
    let config = config
        .with_netns(netns.try_clone().unwrap())
        .with_guard(false);
    Node::join(Arc::clone(store), config, Ambient::system()).unwrap()
}

fn workloads(pods: &Pods) -> Vec<Workload> {
    let named = |(number, netns): (usize, &Netns)| {
        let pod = format!("pod-{number}");
        Workload::new(WorkloadId::new("default", &pod, &pod), netns.path())
    };
    pods.pods.iter().enumerate().map(named).collect()
}

fn attach_all(node: &Node, workloads: &[Workload]) {
    let attached = node.attach_many(workloads).unwrap();
    assert!(attached.iter().all(Result::is_ok), "{attached:?}");
}

/// Sockets in all namespaces, and the octets.
fn barely() -> f64 {
    let pods = Pods::new(PODS);
    let took = seconds(|| {
        let mut node = Floor::open(&pods.node);
        let opened = pods.pods.iter().map(|pod| Netns::open(pod.path()).unwrap());
        let mut inside = Floor::open_each(&opened.collect::<Vec<_>>());
        wire_barely(&pods, &mut node, &mut inside, true);
    });
    let mut kernel = Kernel::open(&pods.node).unwrap();
    pods.pods
        .iter()
        .for_each(|pod| drop(kernel.add_workload(pod).unwrap()));
    let observed = kernel.observe().unwrap();
    for (number, pod) in pods.pods.iter().enumerate() {
        let plan = ensure(&endpoint(number).desired(pod.path()), &observed);
        assert!(plan.steps.is_empty(), "the least is too little: {plan:?}");
    }
    took
}

fn by_node(store: &Arc<dyn Store>) -> f64 {
    let pods = Pods::new(PODS);
    let (node, workloads) = (join(store, &pods.node), workloads(&pods));
    seconds(|| attach_all(&node, &workloads))
}

/// The addresses alone, of a node of its own, with their commits.
fn commits(store: &Arc<dyn Store>) -> f64 {
    let ipam = ipam_of(store);
    let owner = |number| {
        let handle = HandleId::try_new(&format!("other.{number}")).unwrap();
        Attribute::new(Some(handle)).with("node", "node-z")
    };
    let owners: Vec<_> = (0..PODS).map(owner).collect();
    seconds(|| {
        let given = ipam.assign_each(&name("node-z"), &owners);
        assert!(given.iter().all(Result::is_ok), "{given:?}");
    })
}

fn by_ip() -> f64 {
    let pods = Pods::new(BY_IP);
    let lines = pods.steps(|_| true);
    let lines: Vec<_> = lines.iter().map(|step| format!("{step}\n")).collect();
    let mut shell = std::process::Command::new("nsenter");
    shell.arg(format!("--net={}", pods.node.path().display()));
    shell.args(["sh", "-ec", &lines.concat()]);
    shell.stdout(std::process::Stdio::null());
    let took = seconds(|| assert!(shell.status().unwrap().success()));
    took * PODS as f64 / BY_IP as f64
}

pub(crate) fn attach() {
    println!(
        "  {PODS} pods attached: addresses, whole wires {:>12} {:>9}",
        "ms", "x ipip"
    );
    let file = File::new();
    let mut series: [Vec<f64>; 5] = Default::default();
    for round in 0..ROUNDS {
        for contestant in [round % 2, (round + 1) % 2] {
            let memory: Arc<dyn Store> = Arc::new(Memory::new());
            series[contestant].push(match contestant {
                0 => barely(),
                _ => by_node(&memory),
            });
        }
        let sqlite = file.store(round);
        series[2].push(by_node(&sqlite));
        series[3].push(commits(&sqlite));
        series[4].push(by_ip());
    }
    let [least, memory, sqlite, commits, ip] = &series;
    row(
        "least work: sockets, octets, two look-ups",
        least,
        memory,
        |_| String::new(),
    );
    row(
        "ipip, Node::attach_many, store in memory",
        memory,
        memory,
        |_| {
            let ratio = super::ratio(memory, least);
            target(ratio <= 1.2, &format!("{ratio:.2} of the least, <= 1.2"))
        },
    );
    row("ipip, Node::attach_many, SQLite", sqlite, memory, |_| {
        String::new()
    });
    row(
        "  of that, addresses and their commits",
        commits,
        memory,
        |_| String::new(),
    );
    row(
        &format!("ip, one command a step (of {BY_IP}, scaled)"),
        ip,
        memory,
        |ratio| target(ratio >= 20.0, ">= 20"),
    );
}

/// A thousand, while a neighbour adds and deletes a route of its own.
pub(crate) fn attach_and_detach() {
    const MANY: usize = 1000;
    let pods = Pods::new(MANY);
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let (node, workloads) = (join(&store, &pods.node), workloads(&pods));
    let ids: Vec<_> = workloads
        .iter()
        .map(|workload| workload.id.clone())
        .collect();
    let neighbour = World::new();
    println!(
        "  {MANY} pods, store in memory, and the longest that a neighbour waits for one route meanwhile"
    );
    let detach_all = || {
        let detached = node.detach_many(&ids).unwrap();
        assert!(detached.iter().all(Result::is_ok), "{detached:?}");
    };
    let works: [(&str, &dyn Fn()); 2] = [
        ("attached", &|| attach_all(&node, &workloads)),
        ("detached", &detach_all),
    ];
    for (what, work) in works {
        let mut took = 0.0;
        let stalls = stalls(&neighbour, || took = seconds(work));
        let longest = stalls.last().unwrap().as_secs_f64() * 1e3;
        let p99 = stalls[stalls.len() * 99 / 100].as_secs_f64() * 1e3;
        println!(
            "    {what} in {took:.2} s, {:.0} us a pod; longest stall {longest:.1} ms, 99 of 100 below {p99:.2} ms; {}",
            took * 1e6 / MANY as f64,
            target(longest <= 50.0, "<= 50 ms")
        );
    }
}

/// A node that runs beside a hundred thousand routes: what a pass over everything costs, and one deleted route.
pub(crate) fn run() {
    const REPEATS: u32 = 30;
    let netns = Netns::create_unnamed().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let node = join(&store, &netns);
    let pool = Pool::try_new("large", "10.0.0.0/9".parse().unwrap(), 26).unwrap();
    let (ipam, other) = (ipam_of(&store), name("node-b"));
    ipam.create_pool(&pool.with_ipip_mode(IpipMode::Never))
        .unwrap();
    let addr = "172.18.0.2".parse().unwrap();
    let record = NodeRecord::new(other.clone()).with_addr(NodeAddr(addr), 16);
    ipam.put_node(&record.unwrap()).unwrap();
    for number in 0..ROUTES {
        let block = Ipv4Prefix::try_new(prefix(number), 26).unwrap();
        ipam.claim(&other, block.into()).unwrap();
    }
    println!(
        "  a node with {ROUTES} routes, store in memory {:>10} {:>9}",
        "ms", "x ipip"
    );
    let synced = node.sync().unwrap();
    assert!(synced.done.len() >= ROUTES as usize && synced.failed.is_empty());
    nothing_to_do(&node, &netns);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let runs = scope.spawn(|| node.run(&stop, drop));
        settled(&node);
        let (mut processor, mut took) = (0.0, vec![]);
        for number in 0..REPEATS {
            let (before, applied) = (others_time(), node.counters().applied);
            let script = format!("ip route del {}/26", prefix(number * 499));
            by_shell(&netns, &script);
            let wait = seconds(|| {
                while node.counters().applied == applied {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            took.push(wait);
            // What it hears of itself is part of it.
            std::thread::sleep(Duration::from_millis(150));
            processor += others_time() - before;
        }
        stop.stop();
        runs.join().unwrap().unwrap();
        let (processor, took) = (processor * 1e3 / f64::from(REPEATS), median(took) * 1e3);
        println!(
            "    Node::run, one of them deleted by somebody else and put back\n    \
             {processor:.3} ms of the processor, {took:.1} ms by the clock, 50 of them in wait for more; {}",
            target(processor <= 1.0, "<= 1 ms of the processor")
        );
    });
}

/// All of a sync: what is read, what should be by the store, and the comparison.
fn nothing_to_do(node: &Node, netns: &Netns) {
    let mut floor = Floor::open(netns);
    let mut wanted = HashMap::new();
    floor.routes(|prefix, seen| {
        wanted.insert(prefix, seen);
    });
    let (mut least, mut ours) = (vec![], vec![]);
    for _ in 0..15 {
        let mut right = 0;
        least.push(seconds(|| {
            floor.routes(|prefix, seen| right += usize::from(wanted.get(&prefix) == Some(&seen)));
        }));
        assert_eq!(right, wanted.len());
        ours.push(seconds(|| {
            assert!(node.sync().unwrap().done.is_empty());
        }));
    }
    let floor = "least work: strict dump and hash look-ups";
    row(floor, &least, &ours, |_| String::new());
    row("ipip, Node::sync, nothing to do", &ours, &ours, |_| {
        let ratio = super::ratio(&ours, &least);
        target(ratio <= 1.5, &format!("{ratio:.2} of the least, <= 1.5"))
    });
}

/// Waits until a run has nothing more to do.
fn settled(node: &Node) {
    let mut passes = u64::MAX;
    while passes != node.counters().passes || passes == 0 {
        passes = node.counters().passes;
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Seconds that the other threads of this process have had of a processor.
fn others_time() -> f64 {
    let own = std::fs::read_link("/proc/thread-self").unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let others =
        tasks.filter(|task| task.as_ref().unwrap().file_name() != own.file_name().unwrap());
    let nanoseconds = others.map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanoseconds.sum::<f64>() / 1e9
}
