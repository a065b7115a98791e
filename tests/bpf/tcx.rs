//! The programs at the hooks of TCX, where the kernel has them; elsewhere clsact's are asked for by the neighbours.

use std::time::Duration;

use ipip_core::datapath::Bpf;
use ipip_core::netlink::Kernel;
use ipip_core::sys::netns::Netns;

use crate::lifetime::lose_nothing;
use crate::path::start;
use crate::support::{A, B, Pair, name, sh, tcx, tcx_names};
use crate::world::{IN_A, IN_B, SOON, Tunnel, configure, echo};

const HOOKS: [&str; 2] = ["tunl0 egress", "eth0 ingress"];
const OURS: &str = "ipip_tunl0";

/// Whether there are such hooks; says so if not.
fn is_there(netns: &Netns) -> bool {
    let is_there = tcx_names(netns, "lo ingress").is_some();
    if !is_there {
        println!("skipped: the kernel has no TCX (Linux 6.6)");
    }
    is_there
}

fn names(netns: &Netns, at: &str) -> Vec<String> {
    tcx_names(netns, at).unwrap()
}

/// The filters at both hooks, and the queueing disciplines of clsact.
fn filters(netns: &Netns) -> String {
    let filters = HOOKS.map(|at| format!("tc filter show dev {at}; "));
    sh(netns, &(filters.concat() + "tc qdisc show clsact"))
}

pub(crate) fn programs_are_attached_by_tcx() {
    let tunnel = Tunnel::new();
    let (pair, mut path) = (&tunnel.pair, tunnel.path_a);
    if !is_there(&pair.a) {
        return;
    }
    // By which a device without its program is known again.
    sh(&pair.a, "ip link set tunl0 alias ipip");
    let mut kernel = Kernel::open(&pair.a).unwrap();
    let underlay = name("eth0");
    for at in HOOKS {
        assert!(path.0.is_attached(&mut kernel, &underlay));
        assert_eq!(HOOKS.map(|at| names(&pair.a, at)), [[OURS], [OURS]]);
        assert_eq!(filters(&pair.a), "", "filters and their hooks");
        tcx(&pair.a, &format!("detach {at} {OURS}"));
        assert!(!path.0.is_attached(&mut kernel, &underlay), "{at}");
        drop(path);
        path = start(&pair.a, A).unwrap();
    }
    assert!(echo(&pair.a, IN_B, 1, SOON), "no echo");
}

/// One before ours that lets every packet pass ends its way, so ours come first; one behind them sees what is not ours.
pub(crate) fn strangers_stay_and_do_not_matter() {
    let pair = Pair::new();
    if !is_there(&pair.a) {
        return;
    }
    tcx(&pair.a, "attach eth0 ingress early 0 1");
    let _path_b = start(&pair.b, B).unwrap();
    let mut path = start(&pair.a, A).unwrap();
    for at in HOOKS {
        tcx(&pair.a, &format!("attach {at} late 0 1"));
    }
    configure(&pair.a, IN_A, "10.244.244.64/26");
    configure(&pair.b, IN_B, "10.244.79.0/26");
    let all = [OURS, "early", "late"];
    for sequence in [1, 2] {
        assert_eq!(names(&pair.a, "eth0 ingress"), all, "in order");
        assert!(echo(&pair.a, IN_B, sequence, SOON), "no echo");
        drop(path);
        path = start(&pair.a, A).unwrap();
    }
    drop(path);
    Bpf::remove(&pair.a, &name("tunl0")).unwrap();
    assert_eq!(names(&pair.a, "eth0 ingress"), all[1..]);
}

/// As an earlier version attached them, which here is done where TCX has no room; and back.
pub(crate) fn filters_are_taken_over_without_loss() {
    let tunnel = Tunnel::new();
    let (pair, path) = (&tunnel.pair, tunnel.path_a);
    if !is_there(&pair.a) {
        return;
    }
    sh(&pair.a, "ip link set tunl0 alias ipip");
    drop(path);
    for at in HOOKS {
        tcx(&pair.a, &format!("detach {at} {OURS}"));
        tcx(&pair.a, &format!("attach {at} other -1 63"));
    }
    let path = start(&pair.a, A).unwrap();
    let left = filters(&pair.a);
    assert_eq!(left.matches("ipip:tunl0").count(), 2, "{left}");
    let mut kernel = Kernel::open(&pair.a).unwrap();
    let underlay = name("eth0");
    assert!(path.0.is_attached(&mut kernel, &underlay));
    sh(&pair.a, "tc qdisc del dev eth0 clsact");
    assert!(!path.0.is_attached(&mut kernel, &underlay), "one lost");
    drop(path);
    start(&pair.a, A).map(drop).unwrap();
    lose_nothing(pair, Duration::from_secs(1), 100, || {
        for at in HOOKS {
            tcx(&pair.a, &format!("detach {at} other"));
        }
        start(&pair.a, A).map(drop).unwrap();
    });
    for at in HOOKS {
        assert_eq!(names(&pair.a, at), [OURS], "{at}");
    }
    assert_eq!(filters(&pair.a), "", "filters and their hooks");
}
