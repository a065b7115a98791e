//! How it starts, how it ends, and what stands in its way.

use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};

use ipip_core::addr::NodeAddr;
use ipip_core::datapath::{DatapathError, Userspace};
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;

use crate::path::start;
use crate::support::{A, B, Pair, name, sh, soon};
use crate::world::{BRIEFLY, IN_B, SOON, Tunnel, echo, open_raw_sockets};

pub(crate) fn a_stop_leaves_nothing() {
    let Tunnel {
        path_a,
        path_b,
        pair,
    } = Tunnel::new();
    // One for protocol 4 and one for ICMP.
    assert_eq!(open_raw_sockets(&pair.a), 2, "raw sockets while it runs");
    let came = echo(&pair.a, IN_B, 1, SOON);
    assert!(came, "no echo");
    let counters = path_a.stop();
    assert_eq!(counters.sent.packets, 1, "packets in the last counters");
    drop(path_b);
    for netns in [&pair.a, &pair.b] {
        assert_eq!(open_raw_sockets(netns), 0, "raw sockets");
        let links = sh(netns, "ip -o link");
        assert_eq!(links.lines().count(), 2, "links: lo and eth0");
        let routes = sh(netns, "ip route");
        assert!(!routes.contains("tunl0"), "{routes}");
    }
    // And the name is free again.
    drop(start(&pair.a, A).unwrap());
}

pub(crate) fn it_survives_down_and_reports_removal() {
    let tunnel = Tunnel::new();
    let (pair, path_b) = (&tunnel.pair, &tunnel.path_b);
    let came = echo(&pair.a, IN_B, 1, SOON);
    assert!(came, "no echo");
    sh(&pair.b, "ip link set tunl0 down");
    let came = echo(&pair.a, IN_B, 2, BRIEFLY);
    assert!(!came, "an echo while down");
    assert_eq!(path_b.counters().drops.device_refused, 1, "refused");
    assert!(path_b.failure().is_none(), "down is no failure");
    let again = "ip link set tunl0 up; ip route add 10.244.79.0/26 dev tunl0";
    sh(&pair.b, again);
    let came = echo(&pair.a, IN_B, 3, SOON);
    assert!(came, "no echo after up");
    sh(&pair.b, "ip link del tunl0");
    soon("the removal is told", || path_b.failure().is_some());
    let text = path_b.failure().map(ToString::to_string);
    let expected = format!(
        "cannot read from the TUN device for tunl0 in network namespace {}",
        pair.b
    );
    assert_eq!(text, Some(expected), "failure");
    // Both directions have ended: nothing is taken from the underlay any more.
    let came = echo(&pair.a, IN_B, 4, BRIEFLY);
    assert!(!came, "an echo without a device");
    assert_eq!(path_b.counters().drops.total(), 1, "drops");
    // Stopping it is still in order.
    assert_eq!(tunnel.path_b.stop().received.packets, 2, "packets");
}

/// The message of a start that has to fail.
fn refusal(started: Result<Userspace, DatapathError>) -> String {
    started.expect_err("it started").to_string()
}

pub(crate) fn faults_name_their_object() {
    let pair = Pair::new();
    let taken = format!(
        "interface name tunl0 is taken in network namespace {}",
        pair.a
    );
    // A TUN device that nobody holds could be attached to; it is somebody's all the same.
    sh(&pair.a, "ip tuntap add dev tunl0 mode tun");
    assert_eq!(refusal(start(&pair.a, A)), taken, "a TUN device");
    sh(&pair.a, "ip link del tunl0");
    sh(&pair.a, "ip link add tunl0 type veth peer name other");
    assert_eq!(refusal(start(&pair.a, A)), taken, "a veth");
    sh(&pair.a, "ip link del tunl0");
    let nowhere = format!(
        "no interface of network namespace {} has the node address {B}",
        pair.a
    );
    assert_eq!(refusal(start(&pair.a, B)), nowhere, "node address");
    // A raw socket would be bound to these, and receive what is sent to other addresses.
    for addr in [[0; 4], [224, 0, 0, 1], [255; 4]].map(Ipv4Addr::from) {
        let nowhere = nowhere.replace(&B.to_string(), &addr.to_string());
        assert_eq!(refusal(start(&pair.a, addr)), nowhere, "no node address");
    }
    // To the kernel this name is a pattern, and it would make tun0.
    let pattern = Userspace::start(&pair.a, &name("tun%d"), NodeAddr(A), Peers::new());
    assert!(pattern.is_err(), "a pattern was taken as a name");
    let links = sh(&pair.a, "ip -o link");
    assert_eq!(links.lines().count(), 2, "links after the faults");
    assert_eq!(open_raw_sockets(&pair.a), 0, "raw sockets after them");
}

/// Tells this program to be the child of `missing_privilege_is_named`.
pub(crate) const CHILD: &str = "IPIP_TEST_WITHOUT_CAPABILITY";

pub(crate) fn missing_privilege_is_named() {
    for (capability, action) in [
        ("net_raw", "open a raw socket"),
        ("net_admin", "make the TUN device"),
    ] {
        // In a namespace of its own, so that nothing could be made elsewhere if it did start.
        let script =
            "ip link set lo up && exec setpriv \"--bounding-set=$1\" \"--inh-caps=$1\" \"$2\"";
        let output = Command::new("unshare")
            .args(["--net", "sh", "-c", script, "sh", &format!("-{capability}")])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .output()
            .unwrap();
        let expected = format!(
            "cannot {action} for tunl0: it needs CAP_NET_ADMIN and CAP_NET_RAW in the user namespace \
             that owns network namespace /proc/thread-self/ns/net Some(1)\n"
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, expected, "{capability}");
    }
}

pub(crate) fn unprivileged_child() -> ExitCode {
    let (device, local) = (name("tunl0"), NodeAddr(Ipv4Addr::LOCALHOST));
    let started =
        Netns::current().map(|netns| Userspace::start(&netns, &device, local, Peers::new()));
    match started {
        Ok(Err(error)) => println!("{error} {:?}", error.errno()),
        other => println!("{other:?}"),
    }
    ExitCode::SUCCESS
}
