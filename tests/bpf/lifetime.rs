//! How it starts and ends, what stays when its process ends, and what is in its way.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ipip_core::datapath::Bpf;
use ipip_core::error_chain;
use ipip_core::sys::netns::Netns;
use ipip_core::wire::Ipv4Header;

use crate::path::start;
use crate::support::{A, B, Pair, name, sh, soon, tcx, tcx_names};
use crate::world::{
    IN_A, IN_B, SOON, Tunnel, configure, echo, header, inject, packet, udp, udp_socket, whole,
};

pub(crate) fn strangers_fragments_are_dropped_at_once() {
    let tunnel = Tunnel::new();
    sh(
        &tunnel.pair.b,
        "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0",
    );
    let stranger = Ipv4Addr::new(172, 18, 0, 9);
    let first = |identification| Ipv4Header {
        identification,
        more_fragments: true,
        ..header(4, stranger, B)
    };
    let inner = udp(IN_A, &[9; 1000], whole);
    let flood: Vec<_> = (0..500)
        .map(|number| packet(first(number), &inner[..800]))
        .collect();
    inject(&tunnel.pair.a, &flood);
    soon("all are counted", || {
        tunnel.path_b.counters().drops.unknown_node == 500
    });
    let held = sh(
        &tunnel.pair.b,
        "sed -n 's/^FRAG: inuse \\([0-9]*\\).*/\\1/p' /proc/net/sockstat",
    );
    assert_eq!(held.trim(), "0", "fragments that the kernel keeps");
}

/// Tells this program to be the process that is killed, in the namespace that the value names.
pub(crate) const CHILD: &str = "IPIP_TEST_BPF_IN";

/// Starts node A's data path, says so, and waits to be killed.
pub(crate) fn child(netns: &OsStr) -> ExitCode {
    let started = Netns::open(netns).map(|netns| start(&netns, A));
    match started {
        Ok(Ok(path)) => {
            println!("ready");
            std::thread::sleep(Duration::from_secs(60));
            drop(path);
        }
        Ok(Err(error)) => println!("{}", error_chain(&error)),
        Err(error) => println!("{}", error_chain(&error)),
    }
    ExitCode::SUCCESS
}

/// A process with node A's data path, killed when it goes.
struct Agent(Child);

impl Agent {
    fn start(netns: &Netns) -> Self {
        // The name of our own descriptor means something else to a child.
        let path = netns
            .path()
            .to_string_lossy()
            .replace("self", &std::process::id().to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "what the process says");
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(crate) fn a_killed_process_is_followed_without_loss() {
    let pair = Pair::new();
    let path_b = start(&pair.b, B).unwrap();
    let first = Agent::start(&pair.a);
    configure(&pair.a, IN_A, "10.244.244.64/26");
    configure(&pair.b, IN_B, "10.244.79.0/26");
    assert!(echo(&pair.a, IN_B, 1, SOON), "no echo");
    let last = lose_nothing(&pair, Duration::from_secs(3), 500, || {
        std::thread::sleep(Duration::from_millis(500));
        first.kill();
        std::thread::sleep(Duration::from_millis(700));
        let second = Agent::start(&pair.a);
        std::thread::sleep(Duration::from_millis(300));
        second.kill();
        Agent::start(&pair.a)
    });
    last.kill();
    drop(path_b);
    assert!(echo(&pair.a, IN_B, 2, SOON), "no echo without any process");
}

/// Sends datagrams both ways for `time`, more than `least` each way, while `deed` is done: all arrive. What the deed
/// answers lives as long as they are under way.
pub(crate) fn lose_nothing<T>(
    pair: &Pair,
    time: Duration,
    least: u32,
    deed: impl FnOnce() -> T,
) -> T {
    let (here, there) = (
        udp_socket(&pair.a, IN_A, 0),
        udp_socket(&pair.b, IN_B, 4000),
    );
    let (to_a, from_b) = (
        udp_socket(&pair.a, IN_A, 4000),
        udp_socket(&pair.b, IN_B, 0),
    );
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| send_for(&here, IN_B, &there, time));
        let back = scope.spawn(|| send_for(&from_b, IN_A, &to_a, time));
        let done = deed();
        for (what, way) in [("from A", sent), ("to A", back)] {
            let (sent, received) = way.join().unwrap();
            assert!(sent > least, "only {sent} datagrams were sent {what}");
            assert_eq!(received, sent, "datagrams received of those sent {what}");
        }
        done
    })
}

/// Sends numbered datagrams a while, each once the one before has arrived or half a second has passed; how many
/// were sent, and how many came.
fn send_for(from: &UdpSocket, to: Ipv4Addr, there: &UdpSocket, time: Duration) -> (u32, u32) {
    there
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let (mut sent, mut received) = (0_u32, 0);
    let start = Instant::now();
    while start.elapsed() < time {
        from.send_to(&sent.to_be_bytes(), (to, 4000)).unwrap();
        let mut number = [0; 4];
        let came = there.recv(&mut number);
        received += u32::from(came.is_ok() && number == sent.to_be_bytes());
        sent += 1;
        std::thread::sleep(Duration::from_micros(500));
    }
    (sent, received)
}

pub(crate) fn removal_leaves_nothing_of_ours() {
    let Tunnel {
        path_a,
        path_b,
        pair,
    } = Tunnel::new();
    let device = name("tunl0");
    assert!(Bpf::is_there(&pair.a, &device).unwrap(), "it is there");
    drop(path_a);
    assert!(
        echo(&pair.a, IN_B, 1, SOON),
        "no echo once its value is dropped"
    );
    for _ in 0..2 {
        // The second time there is nothing, which is no error.
        Bpf::remove(&pair.a, &device).unwrap();
        assert_eq!(
            sh(&pair.a, "ip -o link").lines().count(),
            2,
            "links: lo and eth0"
        );
        let left = sh(
            &pair.a,
            "tc qdisc show clsact; tc filter show dev eth0 ingress",
        );
        assert!(!left.contains("clsact") && !left.contains("ipip"), "{left}");
        let names = tcx_names(&pair.a, "eth0 ingress").unwrap_or_default();
        assert!(names.is_empty(), "{names:?}");
        assert!(
            !Bpf::is_there(&pair.a, &device).unwrap(),
            "it is there no more"
        );
    }
    drop(path_b);
    drop(start(&pair.a, A).unwrap());
}

pub(crate) fn others_filters_and_devices_stay() {
    let pair = Pair::new();
    let device = name("tunl0");
    sh(&pair.a, "tc qdisc add dev eth0 clsact");
    drop(start(&pair.a, A).unwrap());
    Bpf::remove(&pair.a, &device).unwrap();
    let left = sh(&pair.a, "tc qdisc show dev eth0");
    assert!(
        left.contains("clsact"),
        "hooks that were there before: {left}"
    );
    sh(&pair.a, "tc qdisc del dev eth0 clsact");
    drop(start(&pair.a, A).unwrap());
    sh(
        &pair.a,
        // Without TCX our own clsact is there.
        "tc qdisc add dev eth0 clsact 2>&-; tc filter add dev eth0 egress bpf bytecode '1,6 0 0 0'",
    );
    Bpf::remove(&pair.a, &device).unwrap();
    let left = sh(
        &pair.a,
        "tc filter show dev eth0 egress; tc filter show dev eth0 ingress",
    );
    assert!(
        left.contains("bytecode") && !left.contains("ipip"),
        "{left}"
    );
    // Devices of others are refused, and not removed.
    let taken = format!(
        "interface name tunl0 is taken in network namespace {}",
        pair.a
    );
    for made in [
        "ip tuntap add dev tunl0 mode tun",
        "ip link add tunl0 type veth peer name other",
    ] {
        sh(&pair.a, made);
        let refused = start(&pair.a, A).map(drop).unwrap_err().to_string();
        assert_eq!(refused, taken, "{made}");
        Bpf::remove(&pair.a, &device).unwrap();
        sh(&pair.a, "ip link del tunl0");
    }
}

pub(crate) fn a_failed_start_leaves_nothing() {
    let pair = Pair::new();
    let nowhere = start(&pair.a, B).map(drop).unwrap_err().to_string();
    let wanted = format!(
        "no interface of network namespace {} has the node address {B}",
        pair.a
    );
    assert_eq!(nowhere, wanted, "node address");
    if tcx_names(&pair.a, "eth0 ingress").is_some() {
        tcx(&pair.a, "attach eth0 ingress other -1 63");
    }
    // For another protocol at our place in the order, so that the second program cannot be attached.
    let filter = "protocol ip pref 4 bpf bytecode '1,6 0 0 0'";
    sh(
        &pair.a,
        &format!("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress {filter}"),
    );
    let refused = start(&pair.a, A).map(drop).unwrap_err();
    assert!(
        error_chain(&refused).contains("clsact of eth0"),
        "{}",
        error_chain(&refused)
    );
    assert_eq!(
        sh(&pair.a, "ip -o link").lines().count(),
        2,
        "links: lo and eth0"
    );
    let left = sh(&pair.a, "tc filter show dev eth0 ingress");
    assert!(left.contains("bytecode"), "{left}");
}

pub(crate) fn missing_privilege_is_named() {
    for (capabilities, missing) in [
        ("-bpf,-sys_admin", "make the maps, bpf(BPF_MAP_CREATE)"),
        (
            "-net_admin,-sys_admin",
            "load program out, bpf(BPF_PROG_LOAD)",
        ),
    ] {
        let script = "exec setpriv \"--bounding-set=$1\" \"--inh-caps=$1\" \"$2\"";
        let output = Command::new("unshare")
            .args(["--net", "sh", "-c", script, "sh", capabilities])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, "/proc/thread-self/ns/net")
            .output()
            .unwrap();
        let expected = format!(
            "cannot {missing} for tunl0: it needs CAP_BPF and CAP_NET_ADMIN in the first user namespace: \
             Operation not permitted (os error 1)\n"
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, expected, "{capabilities}");
    }
}
