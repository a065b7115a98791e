//! What the kernel refuses to a whole node: the step is named by its shell line with the kernel's own words, as `ip` has
//! them for the same line, and the rest is done.

use ipip_core::datastore::Store;
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Pod};
use crate::crash::{open, rebooted, stage};
use crate::states::Words;
use crate::support::{Needs, Test};
use crate::two::settle;

pub(crate) const TESTS: &[Test] = &[
    ("a_refused_route_leaves_the_others", Needs::Root, route),
    ("a_refused_link_leaves_the_others", Needs::Root, link),
];

/// A node that says to have an address of ours: no route can lead there.
fn route() {
    let (cluster, name) = stage(IpipMode::Never);
    let words = Words::of(&cluster);
    let right = {
        let host = rebooted(&cluster, &name);
        settle(&open(&host));
        host.state()
    };
    let host = rebooted(&cluster, &name);
    host.space.sh("ip addr add 172.18.0.2/32 dev lo");
    let node = open(&host);
    let planned = node.plan().unwrap().steps;
    for pass in 0..2 {
        let synced = node.sync().unwrap();
        let [failed] = &synced.failed[..] else {
            panic!("{synced}");
        };
        let line = words.fill("ip route add {near} via 172.18.0.2 dev eth0 proto bird onlink");
        assert_eq!(failed.step.to_string(), line);
        let said = host.space.try_sh(&line).unwrap_err();
        let said = said
            .trim()
            .trim_end_matches('.')
            .rsplit(": ")
            .next()
            .unwrap();
        assert!(
            said.len() > 10 && failed.reason.contains(said),
            "{failed} is not {said}"
        );
        assert_eq!(failed.errno, Some(libc::EINVAL));
        assert!(synced.to_string().contains(&line), "{synced}");
        let done = if pass == 0 { planned.len() - 1 } else { 0 };
        assert_eq!(synced.done.len(), done, "{synced}");
        assert!(!synced.done.contains(&failed.step) && !synced.is_settled());
    }
    host.space.sh("ip addr del 172.18.0.2/32 dev lo");
    settle(&node);
    assert_eq!(host.state(), right);
}

/// The name of a pod's host end is another link's second name.
fn link() {
    let cluster = Cluster::new(IpipMode::Never);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let node = host.join();
    let pods: Vec<_> = ["a", "b", "c"].map(|pod| Pod::new(pod, pod)).into();
    let workloads: Vec<_> = pods.iter().map(|pod| pod.workload.clone()).collect();
    let taken = ipip_core::overlay::host_veth_name("default", "b");
    host.space.sh(&format!(
        "ip link add other type veth peer name another; ip link property add dev other altname {taken}"
    ));
    let handles = || {
        let listed = cluster.store.list("/calico/ipam/v2/handle/").unwrap();
        listed.entries.len()
    };
    for _ in 0..2 {
        let attached = node.attach_many(&workloads).unwrap();
        let [Ok(_), Err(error), Ok(_)] = &attached[..] else {
            panic!("{attached:?}");
        };
        let words = ipip_core::error_chain(error);
        let (line, reason) = words.split_once(": ").unwrap();
        assert_eq!(reason, format!("link {taken}: File exists (os error 17)"));
        assert!(line.starts_with(&format!("ip link add {taken} ")), "{line}");
        let said = host.space.try_sh(line).unwrap_err();
        assert!(said.contains("File exists"), "{said}");
        assert_eq!(handles(), 2, "what was assigned in vain is given back");
        settle(&node);
    }
    host.space
        .sh(&format!("ip link property del dev other altname {taken}"));
    let attached = node.attach_many(&workloads).unwrap();
    assert!(attached.iter().all(Result::is_ok), "{attached:?}");
    assert!(cluster.ipam.check().unwrap().is_clean());
}
