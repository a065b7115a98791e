//! The stage: namespaces, the underlay between them, addresses, and both nodes joined.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipip_core::addr::{Ipv4Prefix, NodeAddr};
use ipip_core::datapath::DataPathKind;
use ipip_core::mtu::UnderlayMtu;
use ipip_core::name::{InterfaceName, NETNS_DIR};
use ipip_core::netlink::Kernel;
use ipip_core::node::{self, DataPath, DataPathConfig};
use ipip_core::overlay::{Blackhole, PeerRoute, Tunnel, WorkloadEndpoint};
use ipip_core::peers::Peers;
use ipip_core::plan::{
    self, Desired, InterfaceAddr, Link, LinkKind, NextHop, Place, Route, RouteProtocol, Target,
};
use ipip_core::resource::IpipMode;
use ipip_core::sys::netns::Netns;

use crate::addresses::{self, NodePlan};
use crate::options::Options;

/// Every namespace we make begins with it, so that a later run knows what an earlier one left.
const PREFIX: &str = "ipip-";
const LOCK: &str = "/run/ipip-two_nodes.lock";
const SUBNET_LEN: u8 = 16;
/// Nobody holds it. A node needs a default route all the same: the kernel answers a pod's ARP for
/// 169.254.1.1 only where it could forward to it.
const UNDERLAY_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);

/// One node, joined.
pub(crate) struct StageNode {
    pub(crate) name: &'static str,
    pub(crate) addr: NodeAddr,
    pub(crate) block: Ipv4Prefix,
    pub(crate) tunnel: Tunnel,
    pub(crate) netns: Netns,
    pub(crate) pods: Vec<Pod>,
    /// Who carries its packets; `None` where no peer is reached through the tunnel.
    pub(crate) data_path: Option<DataPath>,
}

/// One workload in its namespace.
pub(crate) struct Pod {
    pub(crate) endpoint: WorkloadEndpoint,
    pub(crate) netns: Netns,
}

/// A pod of the first node and its partner on the second.
pub(crate) struct Pair {
    pub(crate) identifier: u16,
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    netns: Netns,
}

/// Everything, until it is struck.
pub(crate) struct Stage {
    pub(crate) nodes: [StageNode; 2],
    pub(crate) pairs: Vec<Pair>,
    pub(crate) mode: IpipMode,
    /// Whether the two nodes reach each other through the tunnel.
    pub(crate) tunnelled: bool,
    namespaces: Namespaces,
    _lock: File,
}

/// The namespaces of this run, by name; removed when this goes out of scope.
struct Namespaces {
    names: Vec<String>,
    kept: bool,
}

impl Stage {
    /// Makes the namespaces, joins both nodes and attaches the pods.
    pub(crate) fn set(
        options: &Options,
        interrupted: &Arc<AtomicBool>,
        out: &mut impl Write,
    ) -> Result<Self, Box<dyn Error>> {
        let lock = File::create(LOCK)?;
        lock.try_lock().map_err(|_| "another run is under way")?;
        clear_leftovers(out)?;
        let mut namespaces = Namespaces {
            names: vec![],
            kept: false,
        };
        let netns = [namespaces.create("node-a")?, namespaces.create("node-b")?];
        let plans = addresses::assign(options)?;
        join_underlay(&netns, &plans)?;
        let tunnelled = options
            .mode
            .tunnels(underlay_addr(plans[0].addr), plans[1].addr);
        let mut nodes = Vec::new();
        for ((own, other), netns) in [(0, 1), (1, 0)].into_iter().zip(netns) {
            let (own, other) = (&plans[own], &plans[other]);
            let tunnel = Tunnel::new(own.tunnel_addr, UnderlayMtu::ETHERNET.tunnel());
            let data_path = if tunnelled {
                let peers = Peers::from_iter([(other.block, other.addr)]);
                let (tunnel, local, choice) = (tunnel.clone(), own.addr, options.choice);
                Some(
                    node::ensure_data_path(
                        &netns,
                        &DataPathConfig {
                            tunnel,
                            local,
                            peers,
                            choice,
                        },
                    )?
                    .0,
                )
            } else {
                None
            };
            node::ensure_blackhole(&netns, &Blackhole::new(own.block))?;
            let local = underlay_addr(own.addr);
            let route = PeerRoute::by_mode(options.mode, local, &eth0(), other.block, other.addr);
            node::ensure_peer_route(&netns, &route)?;
            let mut pods = Vec::new();
            for (number, address) in own.pods.iter().enumerate() {
                if interrupted.load(Ordering::Relaxed) {
                    return Err("interrupted".into());
                }
                let name = format!("pod-{}{}", own.letter, number + 1);
                let pod = namespaces.create(&name)?;
                up_loopback(&pod)?;
                let endpoint = WorkloadEndpoint::new(
                    "default",
                    &name,
                    *address,
                    UnderlayMtu::ETHERNET.tunnel(),
                );
                node::ensure_workload(&netns, &pod, &endpoint)?;
                pods.push(Pod {
                    endpoint,
                    netns: pod,
                });
            }
            let (name, addr, block) = (own.name, own.addr, own.block);
            nodes.push(StageNode {
                name,
                addr,
                block,
                tunnel,
                netns,
                pods,
                data_path,
            });
        }
        let nodes: [StageNode; 2] = nodes
            .try_into()
            .map_err(|_| "two nodes")
            .expect("two were made");
        let pairs = pair_up(&nodes)?;
        Ok(Self {
            nodes,
            pairs,
            mode: options.mode,
            tunnelled,
            namespaces,
            _lock: lock,
        })
    }

    /// The points of the journey, in order: title, namespace, interface. They are the sender's, but for the tunnel
    /// device of the eBPF path, which is the receiver's: that path sends past its device, and delivers through it.
    pub(crate) fn points(&self) -> Vec<(String, &Netns, InterfaceName)> {
        let node = &self.nodes[0];
        let pod = &node.pods[0];
        let host_veth = pod.endpoint.host_veth();
        let mut points = vec![
            (
                "pod eth0".to_owned(),
                &pod.netns,
                pod.endpoint.interface.clone(),
            ),
            (format!("host {host_veth}"), &node.netns, host_veth),
        ];
        if self.tunnelled {
            let device = &node.tunnel.device;
            let at = usize::from(self.sends_past_its_device());
            let netns = &self.nodes[at].netns;
            points.push((device.to_string(), netns, device.clone()));
        }
        points.push(("node eth0".to_owned(), &node.netns, eth0()));
        points
    }

    /// Who carries the packets between the nodes.
    pub(crate) fn data_path(&self) -> Option<&DataPath> {
        self.nodes[0].data_path.as_ref()
    }

    /// Whether a capture at the tunnel device shows what is received only.
    pub(crate) fn sends_past_its_device(&self) -> bool {
        let path = self.data_path();
        path.is_some_and(|path| path.kind() == DataPathKind::Bpf)
    }

    /// Leaves the namespaces and says how to enter and remove them.
    pub(crate) fn keep(mut self, out: &mut impl Write) -> io::Result<()> {
        self.namespaces.kept = true;
        writeln!(
            out,
            "\nkept; enter one with `ip netns exec ipip-node-a bash`, remove all with:"
        )?;
        writeln!(
            out,
            "  {}",
            self.namespaces
                .names
                .iter()
                .map(|n| format!("ip netns del {n}"))
                .collect::<Vec<_>>()
                .join("; ")
        )?;
        if self
            .data_path()
            .is_some_and(|path| path.kind() == DataPathKind::Userspace)
        {
            writeln!(
                out,
                "  (tunl0 went with this process, which carried the packets)"
            )?;
        }
        Ok(())
    }
}

impl Namespaces {
    fn create(&mut self, name: &str) -> Result<Netns, Box<dyn Error>> {
        let name = format!("{PREFIX}{name}");
        let netns = Netns::create(&name)?;
        self.names.push(name);
        Ok(netns)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in self.names.iter().filter(|_| !self.kept) {
            if let Err(error) = Netns::remove(name) {
                eprintln!("two_nodes: {error}");
            }
        }
    }
}

impl Pair {
    /// The namespace that the echoes leave from.
    pub(crate) fn netns_of_sender(&self) -> &Netns {
        &self.netns
    }
}

/// What a run that was killed, or one that kept its stage, left.
fn clear_leftovers(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = std::fs::read_dir(NETNS_DIR) else {
        return Ok(());
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{PREFIX}node-")) || name.starts_with(&format!("{PREFIX}pod-"))
        {
            Netns::remove(&name)?;
            writeln!(out, "cleared namespace {name} of an earlier run")?;
        }
    }
    Ok(())
}

/// One veth pair named `eth0` at both ends, the addresses of the reference picture, a default route.
fn join_underlay([a, b]: &[Netns; 2], nodes: &[NodePlan; 2]) -> Result<(), Box<dyn Error>> {
    let mut kernel = Kernel::open(a)?;
    let other = kernel.add_workload(b)?;
    let end = |place: &Place, kind, addr| Link {
        place: place.clone(),
        name: eth0(),
        kind,
        mtu: Some(UnderlayMtu::ETHERNET.octets()),
        mac: None,
        mark: None,
        addresses: vec![underlay_addr(addr)],
        settings: vec![],
        up: true,
    };
    let peer = |place: &Place| (place.clone(), eth0());
    let (peer_place, peer_name) = peer(&other);
    let first = end(
        &Place::Node,
        LinkKind::VethWithPeer {
            peer_place,
            peer_name,
        },
        nodes[0].addr,
    );
    let (peer_place, peer_name) = peer(&Place::Node);
    let second = end(
        &other,
        LinkKind::VethPeerOf {
            peer_place,
            peer_name,
        },
        nodes[1].addr,
    );
    let mut desired = Desired {
        links: vec![first, second],
        ..Desired::default()
    };
    for place in [Place::Node, other] {
        desired.links.push(loopback(&place));
        let target = Target::Device {
            device: eth0(),
            next_hop: NextHop::Gateway(UNDERLAY_GATEWAY),
        };
        desired.routes.push(Route {
            place,
            ..Route::new(Ipv4Prefix::ALL, target, RouteProtocol::BOOT)
        });
    }
    bring_about(kernel, &desired)
}

fn up_loopback(netns: &Netns) -> Result<(), Box<dyn Error>> {
    bring_about(
        Kernel::open(netns)?,
        &Desired {
            links: vec![loopback(&Place::Node)],
            ..Desired::default()
        },
    )
}

fn loopback(place: &Place) -> Link {
    let name = InterfaceName::try_new("lo").expect("a valid name");
    let place = place.clone();
    let (addresses, settings) = (vec![], vec![]);
    Link {
        place,
        name,
        kind: LinkKind::Existing,
        mtu: None,
        mac: None,
        mark: None,
        addresses,
        settings,
        up: true,
    }
}

fn bring_about(mut kernel: Kernel, desired: &Desired) -> Result<(), Box<dyn Error>> {
    let plan = plan::ensure(desired, &kernel.observe()?);
    if let Some(conflict) = plan.conflicts.into_iter().next() {
        return Err(conflict.into());
    }
    Ok(kernel.apply(&plan.steps)?)
}

fn pair_up([a, b]: &[StageNode; 2]) -> Result<Vec<Pair>, Box<dyn Error>> {
    let pairs = a.pods.iter().zip(&b.pods).zip(1..);
    let pair = |((from, to), identifier): ((&Pod, &Pod), u16)| {
        let netns = from.netns.try_clone()?;
        Ok(Pair {
            identifier,
            from: from.endpoint.address,
            to: to.endpoint.address,
            netns,
        })
    };
    pairs.map(pair).collect()
}

fn underlay_addr(node: NodeAddr) -> InterfaceAddr {
    InterfaceAddr {
        addr: node.0,
        prefix_len: SUBNET_LEN,
    }
}

fn eth0() -> InterfaceName {
    InterfaceName::try_new("eth0").expect("a valid name")
}
