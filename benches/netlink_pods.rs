//! Pods: pairs of devices with their addresses and routes.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipip_core::mtu::TunnelMtu;
use ipip_core::netlink::Kernel;
use ipip_core::overlay::WorkloadEndpoint;
use ipip_core::plan::{Change, Place, Step, ensure};
use ipip_core::sys::netns::Netns;

use super::netlink_floor::{
    Floor, add_address, add_route, create_veth, datagrams, set_up, settings,
};
use super::timing::median;
use super::{World, add, ratio, route, seconds, target};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// A node and namespaces for pods, still empty.
pub(crate) struct Pods {
    pub(crate) node: Netns,
    pub(crate) pods: Vec<Netns>,
}

pub(crate) fn endpoint(number: usize) -> WorkloadEndpoint {
    let address = Ipv4Addr::from_bits(0x0af4_0000 + u32::try_from(number).unwrap());
    let mtu = TunnelMtu::try_new(1480).unwrap();
    WorkloadEndpoint::new("default", &format!("pod-{number}"), address, mtu)
}

impl Pods {
    pub(crate) fn new(count: usize) -> Self {
        let fresh = || Netns::create_unnamed().unwrap();
        let pods = (0..count).map(|_| fresh()).collect();
        Self {
            node: fresh(),
            pods,
        }
    }

    fn kernel(&self) -> Kernel {
        let mut kernel = Kernel::open(&self.node).unwrap();
        for pod in &self.pods {
            kernel.add_workload(pod).unwrap();
        }
        kernel
    }

    /// What wires all of them, planned for an empty node.
    pub(crate) fn steps(&self, wanted: impl Fn(&Step) -> bool) -> Vec<Step> {
        let observed = Kernel::open(&self.node).unwrap().observe().unwrap();
        let steps = self.pods.iter().enumerate().flat_map(|(number, pod)| {
            ensure(&endpoint(number).desired(pod.path()), &observed).steps
        });
        steps.filter(wanted).collect()
    }
}

/// Devices, addresses and routes; the marks and settings are left out, which the floor does not know.
fn is_plain(step: &Step) -> bool {
    !matches!(step.change, Change::Set { .. } | Change::SetAlias { .. })
}

/// The least for the same: one reading tells the indexes outside, one the index inside. With marks and
/// settings if `whole`.
pub(crate) fn wire_barely(pods: &Pods, node: &mut Floor, inside: &mut [Floor], whole: bool) {
    let names: Vec<String> = (0..pods.pods.len())
        .map(|n| endpoint(n).host_veth().to_string())
        .collect();
    let pairs = names.iter().zip(&pods.pods);
    node.change(&datagrams(
        pairs.map(|(name, pod)| create_veth(name, pod.as_fd().as_raw_fd())),
    ));
    let indexes = node.links();
    // Fresh namespaces count alike.
    let eth0 = inside[0].links()["eth0"];
    for (number, socket) in inside.iter_mut().enumerate() {
        socket.change(&datagrams(
            [
                set_up(eth0),
                add_address(eth0, endpoint(number).address),
                add_route((GATEWAY, 32), None, eth0),
                add_route_via(eth0),
            ]
            .into_iter(),
        ));
    }
    node.change(&datagrams(names.iter().enumerate().flat_map(
        |(number, name)| {
            let index = indexes[name];
            let mut messages = vec![
                set_up(index),
                add_route((endpoint(number).address, 32), None, index),
            ];
            if whole {
                messages.extend(settings(index, &format!("ipip default.pod-{number}")));
            }
            messages
        },
    )));
}

fn add_route_via(device: u32) -> Vec<u8> {
    let mut message = add_route((Ipv4Addr::UNSPECIFIED, 0), Some(GATEWAY), device);
    // Protocol boot, and not onlink.
    message[16 + 5] = 3;
    message[16 + 8] = 0;
    message
}

pub(crate) fn wire() {
    const PODS: usize = 100;
    const BY_IP: usize = 10;
    println!(
        "  {PODS} pods: pairs, addresses, routes {:>17} {:>9}",
        "us a pod", "x ipip"
    );
    let mut series: [Vec<f64>; 3] = Default::default();
    for round in 0..8 {
        for contestant in [round % 2, (round + 1) % 2] {
            let pods = Pods::new(PODS);
            let took = if contestant == 0 {
                let mut node = Floor::open(&pods.node);
                let mut inside: Vec<Floor> = pods.pods.iter().map(Floor::open).collect();
                seconds(|| wire_barely(&pods, &mut node, &mut inside, false))
            } else {
                let (mut kernel, steps) = (pods.kernel(), pods.steps(is_plain));
                seconds(|| assert!(kernel.apply_all(&steps).is_complete()))
            };
            series[contestant].push(took / 100.0);
        }

        let pods = Pods::new(BY_IP);
        let lines: Vec<String> = pods
            .steps(is_plain)
            .iter()
            .map(|step| format!("{step}\n"))
            .collect();
        let mut shell = Command::new("nsenter");
        shell
            .arg(format!("--net={}", pods.node.path().display()))
            .args(["sh", "-ec", &lines.concat()]);
        series[2].push(seconds(|| assert!(shell.status().unwrap().success())) / 10.0);
    }
    let names = [
        "least work: octets, two look-ups in all",
        "ipip, Kernel::apply_all",
        "ip, one command a step",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let ratio = |base: usize| ratio(&series[at], &series[base]);
        let verdict = match at {
            1 => target(
                ratio(0) <= 1.2,
                &format!("{:.2} of the least, <= 1.2", ratio(0)),
            ),
            2 => target(ratio(1) >= 20.0, ">= 20"),
            _ => String::new(),
        };
        println!(
            "    {name:<44} {:>10.1} {:>9.2}  {verdict}",
            median(series[at].clone()) * 1e6,
            ratio(1)
        );
    }
}

/// How long each change of a neighbour takes while `work` runs, sorted.
pub(crate) fn stalls(neighbour: &World, work: impl FnOnce()) -> Vec<Duration> {
    let over = AtomicBool::new(false);
    let mut kernel = Kernel::open(&neighbour.netns).unwrap();
    std::thread::scope(|scope| {
        let measured = scope.spawn(|| {
            let route = route(0, 1);
            let steps = [
                add(route.clone()),
                Step {
                    place: Place::Node,
                    change: Change::DeleteRoute(route),
                },
            ];
            let mut stalls = vec![];
            while !over.load(Ordering::Relaxed) {
                for step in &steps {
                    let start = Instant::now();
                    kernel.apply(std::slice::from_ref(step)).unwrap();
                    stalls.push(start.elapsed());
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            stalls
        });
        work();
        over.store(true, Ordering::Relaxed);
        let mut stalls = measured.join().unwrap();
        stalls.sort();
        stalls
    })
}
