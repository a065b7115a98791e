//! A call that ends between any two steps is completed by the next; and what a plan prints is what it
//! does.

use ipip_core::datastore::Store;
use ipip_core::name::NodeName;
use ipip_core::netlink::Kernel;
use ipip_core::node::{LeaveOptions, Node};
use ipip_core::overlay::host_veth_name;
use ipip_core::plan::{Change, Place, Step};
use ipip_core::resource::IpipMode;

use crate::cluster::{Cluster, Host, Pod};
use crate::support::{Needs, Test};
use crate::two::settle;

pub(crate) const TESTS: &[Test] = &[
    ("sync_goes_on_after_each_step", Needs::Root, || {
        sync_each(IpipMode::Never)
    }),
    (
        "drivers_sync_goes_on_after_each_step",
        Needs::Driver,
        || sync_each(IpipMode::CrossSubnet),
    ),
    ("leave_goes_on_after_each_step", Needs::Root, leave_each),
    ("attach_goes_on_after_each_step", Needs::Root, attach_each),
    ("a_printed_plan_does_the_same", Needs::Root, || {
        printed(IpipMode::Never)
    }),
    (
        "drivers_a_printed_plan_does_the_same",
        Needs::Driver,
        || printed(IpipMode::CrossSubnet),
    ),
];

/// A cluster of three nodes, near and far, with pods; and the first of them, which has gone.
pub(crate) fn stage(mode: IpipMode) -> (Cluster, NodeName) {
    let cluster = Cluster::new(mode);
    let hosts = [
        cluster.host("node-a", "172.18.0.3/16"),
        cluster.host("node-b", "172.18.0.2/16"),
        cluster.host("node-c", "172.19.0.4/16"),
    ];
    for (host, name) in hosts.iter().zip(["a", "b", "c"]) {
        let node = host.join();
        node.attach(&Pod::new(name, name).workload).unwrap();
    }
    let [host, ..] = hosts;
    (cluster, host.name)
}

/// The node in a namespace that nobody has touched, as after a reboot; its workload's wire is there, made
/// by `ip`, so that the host side of it is to be mended.
pub(crate) fn rebooted(cluster: &Cluster, node: &NodeName) -> Host {
    let mut host = cluster.host("twin", "172.18.0.3/16");
    host.name = node.clone();
    let name = host_veth_name("default", "a");
    host.space.sh(&format!(
        "ip link add {name} type veth peer name inside && ip link set {name} alias 'ipip default.a'"
    ));
    host
}

pub(crate) fn open(host: &Host) -> Node {
    host.open_as(host.config().with_guard(false))
}

fn sync_each(mode: IpipMode) {
    let (cluster, name) = stage(mode);
    let right = {
        let host = rebooted(&cluster, &name);
        settle(&open(&host));
        host.state()
    };
    let mut count = 0;
    loop {
        let host = rebooted(&cluster, &name);
        let steps = open(&host).plan().unwrap().steps;
        assert!(steps.len() > 8, "{steps:?}");
        let mut kernel = Kernel::open(&host.space.netns).unwrap();
        kernel.apply(&steps[..count]).unwrap();
        settle(&open(&host));
        assert_eq!(
            host.state(),
            right,
            "after {count} of {} steps",
            steps.len()
        );
        if count == steps.len() {
            break;
        }
        count += 1;
    }
}

fn leave_each() {
    let (cluster, name) = stage(IpipMode::Never);
    let ended = |count: usize| {
        let host = rebooted(&cluster, &name);
        settle(&open(&host));
        // What leaving does in the kernel, as far as it came.
        let twin = rebooted(&cluster, &name);
        settle(&open(&twin));
        let steps = open(&twin).leave(&LeaveOptions::default()).unwrap().done;
        cluster.ipam.ensure_tunnel_address(&name).unwrap();
        let mut kernel = Kernel::open(&host.space.netns).unwrap();
        kernel.apply(&steps[..count.min(steps.len())]).unwrap();
        let left = open(&host).leave(&LeaveOptions::default()).unwrap();
        assert!(left.is_complete(), "{}", left.to_json());
        cluster.ipam.ensure_tunnel_address(&name).unwrap();
        (host.state(), steps.len())
    };
    let (right, steps) = ended(0);
    assert!(steps >= 3, "{steps}");
    for count in 1..=steps {
        assert_eq!(ended(count).0, right, "after {count} of {steps} steps");
    }
}

/// The steps of an attach in the order in which its messages are sent: links are created first, then what
/// is inside is done, then what is outside.
fn as_sent(steps: &[Step]) -> Vec<Step> {
    let mut sent = steps.to_vec();
    sent.sort_by_key(|step| match step.change {
        Change::CreateVeth { .. } => 0,
        _ if step.place != Place::Node => 1,
        _ => 2,
    });
    sent
}

/// A program is killed after any message of an attach. The next one takes the container as it finds it:
/// attaches it, or detaches it.
fn attach_each() {
    let cluster = Cluster::new(IpipMode::Never);
    let host = cluster.host("node-a", "172.18.0.3/16");
    let pod = Pod::new("podA", "c1");
    host.join();
    let keys = || cluster.store.list_keys("/").unwrap().entries;
    let state = || (host.state(), pod.state());
    // The block stays the node's.
    open(&host).attach(&pod.workload).unwrap();
    open(&host).detach(pod.id()).unwrap();
    settle(&open(&host));
    let (before, keys_before) = (state(), keys());
    let attached = open(&host).attach(&pod.workload).unwrap();
    settle(&open(&host));
    let right = state();
    let planned = attached.changes.steps;
    let mut workload = pod.workload.clone();
    workload.address = Some(attached.address);
    assert!(planned.len() > 8, "{planned:?}");
    for steps in [&planned, &as_sent(&planned)] {
        for count in 0..=steps.len() {
            for goes_on in [true, false] {
                let node = open(&host);
                node.attach(&workload).unwrap();
                host.space
                    .sh(&format!("ip link del {}", attached.host_veth));
                let mut kernel = Kernel::open(&host.space.netns).unwrap();
                kernel.add_workload(&pod.space.netns).unwrap();
                kernel.apply(&steps[..count]).unwrap();
                let node = open(&host);
                // What runs beside it must not make things worse.
                let synced = node.sync().unwrap();
                assert!(synced.failed.is_empty(), "{synced}");
                let what = format!("after {count} of {} steps", steps.len());
                if goes_on {
                    node.attach(&workload).unwrap();
                    settle(&node);
                    assert_eq!(state(), right, "{what}");
                } else {
                    let detached = node.detach(pod.id()).unwrap();
                    assert_eq!(detached.released, [attached.address], "{what}");
                    settle(&node);
                    assert_eq!(
                        (state(), keys()),
                        (before.clone(), keys_before.clone()),
                        "{what}"
                    );
                }
            }
        }
    }
    assert!(cluster.ipam.check().unwrap().is_clean());
}

fn printed(mode: IpipMode) {
    let (cluster, name) = stage(mode);
    let script = open(&rebooted(&cluster, &name)).plan().unwrap().to_string();
    let by_tools = rebooted(&cluster, &name);
    by_tools.space.sh(&format!("set -e\n{script}"));
    let by_us = rebooted(&cluster, &name);
    settle(&open(&by_us));
    assert_eq!(by_tools.state(), by_us.state(), "{script}");
    let plan = open(&by_tools).plan().unwrap();
    assert!(plan.is_empty(), "{plan}");
}
