//! The agent of a node is killed and comes again, while its pods send and receive. Where eBPF programs carry the
//! packets none is lost by that; the programs are in the kernel, and each takes the place of the one before at once.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ipip_core::datapath::Choice;
use ipip_core::datastore::{ImportOptions, Sqlite, SqliteOptions, export, import};
use ipip_core::ipam::Ambient;
use ipip_core::name::NodeName;
use ipip_core::node::{Node, NodeConfig, RunEvent, Stop};
use ipip_core::resource::IpipMode;
use ipip_core::sys::netns::Netns;

use crate::cluster::{Host, Pod};
use crate::support::{Needs, Scratch, Test};
use crate::two::Two;

pub(crate) const TESTS: &[Test] = &[(
    "no_packet_is_lost_by_a_killed_agent",
    Needs::NoDriver,
    no_loss,
)];

/// Tells this program to be an agent: the value is the path of its store.
pub(crate) const AGENT: &str = "IPIP_TEST_AGENT_OF";
/// The name of the agent's namespace.
const SPACE: &str = "IPIP_TEST_AGENT_IN";

/// Runs node-a until it is killed; says after each pass who carries the packets.
pub(crate) fn agent(store: &OsStr) -> ExitCode {
    let space = std::env::var(SPACE).unwrap();
    let config = NodeConfig::new(NodeName::try_new("node-a").unwrap())
        .with_netns(Netns::named(&space).unwrap())
        .with_data_path(Choice::Bpf);
    let store = Arc::new(Sqlite::open(store, SqliteOptions::default()).unwrap());
    let node = Node::join(store, config, Ambient::system()).unwrap();
    let tell = |event| match event {
        RunEvent::Synced(synced) => println!("{}", synced.data_path),
        failed => println!("{failed:?}"),
    };
    node.run(&Stop::default(), tell).unwrap();
    ExitCode::SUCCESS
}

/// A process that runs node-a.
struct Agent(Child);

impl Agent {
    /// Returns once it has made its first pass.
    fn start(host: &Host, store: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .env(AGENT, store)
            .env(SPACE, &host.space.name)
            .stdout(Stdio::piped())
            .spawn();
        let mut agent = Self(child.unwrap());
        let mut said = String::new();
        let output = agent.0.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        assert!(said.starts_with("bpf: "), "what the agent says: {said}");
        agent
    }
}

impl Drop for Agent {
    /// SIGKILL.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn no_loss() {
    const KILLS: usize = 5;
    let two = Two::new(IpipMode::Always);
    let scratch = Scratch::new();
    let store = scratch.file("network.db");
    let mut all = vec![];
    export(&*two.cluster.store, &mut all).unwrap();
    let copy = Sqlite::open(&store, SqliteOptions::default()).unwrap();
    import(&copy, all.as_slice(), ImportOptions::default()).unwrap();
    drop(copy);
    let Two {
        cluster: _cluster,
        hosts,
        nodes: [node, _other],
        pods,
        addrs,
    } = two;
    drop(node);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ways = [(0, 1), (1, 0)];
        let streams = ways.map(|(from, to)| {
            let (from, to, addr, stop) = (&pods[from], &pods[to], addrs[to], &stop);
            let datagrams = scope.spawn(move || datagrams(from, to, addr, stop));
            (datagrams, scope.spawn(move || tcp(from, to, addr, stop)))
        });
        for _ in 0..KILLS {
            let agent = Agent::start(&hosts[0], &store);
            thread::sleep(Duration::from_millis(200));
            drop(agent);
            thread::sleep(Duration::from_millis(200));
        }
        stop.store(true, Ordering::Relaxed);
        for ((datagrams, tcp), (from, to)) in streams.into_iter().zip(ways) {
            let (sent, received) = datagrams.join().unwrap();
            assert!(sent > 2000, "only {sent} datagrams from {from} to {to}");
            assert_eq!(received, sent, "datagrams received, from {from} to {to}");
            let (sent, received) = tcp.join().unwrap();
            assert!(sent > 4 << 20, "only {sent} octets from {from} to {to}");
            assert_eq!(received, sent, "octets received, from {from} to {to}");
        }
    });
    for pod in &pods {
        // What was lost would be received all the same, sent again. A segment that only seemed lost, because this
        // machine was busy, is told by the receiver to have come twice (RFC 2883).
        let [twice, again] =
            ["TcpExtTCPDSACKRecv", "TcpRetransSegs"].map(|name| counter(pod, name));
        assert!(
            again <= twice,
            "{again} segments sent again, {twice} of them came twice"
        );
    }
}

/// A counter of the kernel's in the pod's namespace.
fn counter(pod: &Pod, name: &str) -> u64 {
    let line = pod.space.sh(&format!("nstat -asz {name} | grep {name}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends datagrams until told to stop, with few under way, so that no queue is too short for them. How many were
/// sent, and how many came.
fn datagrams(from: &Pod, to: &Pod, addr: Ipv4Addr, stop: &AtomicBool) -> (u32, u32) {
    let bind = |pod: &Pod| pod.space.netns.enter(|| UdpSocket::bind("0.0.0.0:0"));
    let (here, there) = (bind(from).unwrap().unwrap(), bind(to).unwrap().unwrap());
    let port = there.local_addr().unwrap().port();
    let received = AtomicU32::new(0);
    there
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut sent = 0_u32;
    thread::scope(|scope| {
        scope.spawn(|| {
            while there.recv(&mut [0; 100]).is_ok() {
                received.fetch_add(1, Ordering::Relaxed);
            }
        });
        while !stop.load(Ordering::Relaxed) {
            if sent - received.load(Ordering::Relaxed) < 32 {
                here.send_to(&sent.to_be_bytes(), (addr, port)).unwrap();
                sent += 1;
            }
            thread::sleep(Duration::from_micros(100));
        }
    });
    (sent, received.load(Ordering::Relaxed))
}

/// One connection that sends until told to stop, slower than the way carries. Octets sent, and octets that came.
fn tcp(from: &Pod, to: &Pod, addr: Ipv4Addr, stop: &AtomicBool) -> (u64, u64) {
    let listener = to.space.netns.enter(|| TcpListener::bind((addr, 0)));
    let listener = listener.unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = from.space.netns.enter(|| TcpStream::connect((addr, port)));
    let mut sender = sender.unwrap().unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    let time = Some(Duration::from_secs(5));
    sender.set_write_timeout(time).unwrap();
    receiver.set_read_timeout(time).unwrap();
    thread::scope(|scope| {
        let received = scope.spawn(move || -> io::Result<u64> {
            let mut block = vec![0; 1 << 16];
            let mut octets = 0;
            loop {
                let len = receiver.read(&mut block)?;
                if len == 0 {
                    return Ok(octets);
                }
                octets += u64::try_from(len).unwrap();
            }
        });
        let block = vec![7; 1 << 14];
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            sender.write_all(&block).unwrap();
            sent += u64::try_from(block.len()).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        drop(sender);
        (sent, received.join().unwrap().unwrap())
    })
}
