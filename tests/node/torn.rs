//! A program that is killed when the kernel has taken some messages of a batch and before it reads an answer: after each
//! message of what it really sends, in the order in which it sends it. `torn.c` does the killing.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use ipip_core::datastore::{ImportOptions, Sqlite, SqliteOptions, Store, export, import};
use ipip_core::ipam::Ambient;
use ipip_core::name::NodeName;
use ipip_core::node::{LeaveOptions, Node, NodeConfig, Workload, WorkloadId};
use ipip_core::resource::IpipMode;
use ipip_core::sys::netns::Netns;

use crate::cluster::{Cluster, Host, Pod};
use crate::crash::{open, rebooted, stage};
use crate::support::{Needs, Scratch, Test};
use crate::two::settle;

pub(crate) const TESTS: &[Test] = &[
    ("sync_goes_on_after_each_message", Needs::Root, || {
        sync_torn(IpipMode::Never)
    }),
    (
        "drivers_sync_goes_on_after_each_message",
        Needs::Driver,
        || sync_torn(IpipMode::CrossSubnet),
    ),
    ("leave_goes_on_after_each_message", Needs::Root, || {
        leave_torn(IpipMode::Never)
    }),
    (
        "drivers_leave_goes_on_after_each_message",
        Needs::Driver,
        || leave_torn(IpipMode::CrossSubnet),
    ),
    (
        "attach_and_detach_go_on_after_each_message",
        Needs::Root,
        attach_torn,
    ),
];

/// Tells this program to be one that is killed: the value is the path of its store.
pub(crate) const DOOMED: &str = "IPIP_TEST_DOOMED_ON";
/// The name of its namespace, that of its node, the path of its pod's namespace, and its work.
const SPACE: &str = "IPIP_TEST_DOOMED_IN";
const NODE: &str = "IPIP_TEST_DOOMED_NODE";
const POD: &str = "IPIP_TEST_DOOMED_POD";
const WORK: &str = "IPIP_TEST_DOOMED_WORK";

/// What its pod asks for, so that it has the same each time.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 61, 200);

fn id() -> WorkloadId {
    WorkloadId::new("default", "podA", "c1")
}

/// Does its work, unless it is killed before.
pub(crate) fn doomed(store: &OsStr) -> ExitCode {
    let told = |name| std::env::var(name).unwrap();
    let config = NodeConfig::new(NodeName::try_new(&told(NODE)).unwrap())
        .with_netns(Netns::named(&told(SPACE)).unwrap())
        .with_guard(false);
    let node = Node::open(opened(Path::new(store)), config, Ambient::system()).unwrap();
    match told(WORK).as_str() {
        "sync" => drop(node.sync().unwrap()),
        "leave" => drop(node.leave(&LeaveOptions::default()).unwrap()),
        "attach" => {
            let mut workload = Workload::new(id(), told(POD));
            workload.address = Some(ADDRESS);
            drop(node.attach(&workload).unwrap());
        }
        work => {
            assert_eq!(work, "detach");
            drop(node.detach(&id()).unwrap());
        }
    }
    ExitCode::SUCCESS
}

fn opened(path: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(path, SqliteOptions::default()).unwrap())
}

/// What kills, and the store that it is done on.
struct Killer {
    _scratch: Scratch,
    library: PathBuf,
    store: PathBuf,
}

impl Killer {
    fn new(cluster: &Cluster) -> Self {
        let scratch = Scratch::new();
        let (library, store) = (scratch.file("torn.so"), scratch.file("network.db"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/node/torn.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        assert!(
            compiler
                .arg(&library)
                .arg(source)
                .status()
                .unwrap()
                .success()
        );
        let mut all = vec![];
        export(&*cluster.store, &mut all).unwrap();
        import(&*opened(&store), all.as_slice(), ImportOptions::default()).unwrap();
        Self {
            _scratch: scratch,
            library,
            store,
        }
    }

    /// The node of `host` on the store.
    fn node(&self, host: &Host) -> Node {
        let config = host.config().with_guard(false);
        Node::open(opened(&self.store), config, Ambient::system()).unwrap()
    }

    /// Whether the work came to its end before it was to be killed, after `count` messages.
    fn lets(&self, host: &Host, pod: Option<&Pod>, work: &str, count: usize) -> bool {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.env(DOOMED, &self.store).env(WORK, work);
        program
            .env(SPACE, &host.space.name)
            .env(NODE, host.name.as_str());
        program.env("LD_PRELOAD", &self.library);
        program.env("IPIP_TORN_AFTER", count.to_string());
        if let Some(pod) = pod {
            program.env(POD, pod.space.netns.path());
        }
        let status = program.status().unwrap();
        let was_killed = status.signal() == Some(libc::SIGKILL);
        assert!(was_killed || status.success(), "{work}: {status}");
        !was_killed
    }
}

fn sync_torn(mode: IpipMode) {
    let (cluster, name) = stage(mode);
    let killer = Killer::new(&cluster);
    let right = {
        let host = rebooted(&cluster, &name);
        settle(&open(&host));
        host.state()
    };
    for count in 0.. {
        let host = rebooted(&cluster, &name);
        let ended = killer.lets(&host, None, "sync", count);
        settle(&open(&host));
        assert_eq!(host.state(), right, "after {count} messages");
        if ended {
            assert!(count > 5, "{count} messages in all");
            break;
        }
    }
}

fn leave_torn(mode: IpipMode) {
    let (cluster, name) = stage(mode);
    let killer = Killer::new(&cluster);
    let joined = || {
        let host = rebooted(&cluster, &name);
        settle(&killer.node(&host));
        host
    };
    let left = |host: &Host| {
        let left = killer.node(host).leave(&LeaveOptions::default()).unwrap();
        assert!(left.is_complete(), "{}", left.to_json());
        host.state()
    };
    let right = left(&joined());
    for count in 0.. {
        let host = joined();
        let ended = killer.lets(&host, None, "leave", count);
        assert_eq!(left(&host), right, "after {count} messages");
        if ended {
            assert!(count > 2, "{count} messages in all");
            break;
        }
    }
}

fn attach_torn() {
    let cluster = Cluster::new(IpipMode::Never);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let mut pod = Pod::new("podA", "c1");
    pod.workload.address = Some(ADDRESS);
    host.join();
    let killer = Killer::new(&cluster);
    let node = || killer.node(&host);
    let state = || (host.state(), pod.state());
    // The block stays the node's.
    node().attach(&pod.workload).unwrap();
    settle(&node());
    let right = state();
    node().detach(pod.id()).unwrap();
    settle(&node());
    let detached = state();
    for (work, goes_on) in [("attach", true), ("attach", false), ("detach", false)] {
        for count in 0.. {
            if work == "detach" {
                node().attach(&pod.workload).unwrap();
            }
            let ended = killer.lets(&host, Some(&pod), work, count);
            // What runs beside it must not make things worse.
            let synced = node().sync().unwrap();
            assert!(synced.failed.is_empty(), "{synced}");
            let what = format!("{work}, after {count} messages");
            if goes_on {
                node().attach(&pod.workload).unwrap();
                settle(&node());
                assert_eq!(state(), right, "{what}");
            }
            node().detach(pod.id()).unwrap();
            settle(&node());
            assert_eq!(state(), detached, "{what}");
            if ended {
                assert!(count > 0, "{what} in all");
                break;
            }
        }
    }
}
