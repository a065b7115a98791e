//! What a node is told about itself.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use ipip_core::datapath::Choice;
use ipip_core::mtu::TunnelMtu;
use ipip_core::name::{InterfaceName, NodeName};
use ipip_core::node::NodeConfig;
use ipip_core::overlay::Policy;
use ipip_core::plan::RouteProtocol;

use crate::addr::ipip_ipv4;
use crate::assignment::{ipip_pair, pairs};
use crate::boundary::{choose, flag, optional_text, text};
use crate::error::Failure;
use crate::netns::ipip_netns;
use crate::node_progress::{Listener, ipip_progress_callback};
use crate::status::ipip_status;

/// What is to carry a node's packets.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_data_path {
    /// The best that this kernel can do.
    Auto = 0,
    /// The kernel's ipip driver or nothing.
    Kernel = 1,
    /// This process, even where the kernel has the driver: between a TUN device and a raw socket.
    Userspace = 2,
    /// eBPF programs on a device like tunl0, even where the kernel has the driver; in a library with the feature "bpf".
    Bpf = 3,
}

/// How a node takes part: who it is, where, and what it may do. All zero but for its name is a node in
/// the caller's namespace, with everything else as a rule.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_node_config {
    /// Its name: lower-case letters, digits, '-' and '.', at most 253 octets.
    pub name: *const c_char,
    /// Its network namespace, of which the node keeps what it needs; NULL for that of the calling thread.
    pub netns: *const ipip_netns,
    /// The interface through which the others reach it, which must have one IPv4 address; NULL finds it: the
    /// interface of the default route, else the only one that is up and has a global IPv4 address.
    pub underlay: *const c_char,
    /// The address at which the others reach it, whatever interface holds it; NULL says nothing. Only one
    /// of `underlay` and this may be given.
    pub underlay_address: *const ipip_ipv4,
    /// The MTU inside the tunnel and of the workloads in octets, 68 to 65,515: where the path between the
    /// nodes carries less than the interface says; 0 for the underlay's less 20.
    pub mtu: u32,
    /// Its labels, by which pools select nodes, no key twice; labels that others stored stay. NULL if
    /// `labels_len` is 0.
    pub labels: *const ipip_pair,
    /// How many labels there are.
    pub labels_len: usize,
    /// An enum ipip_data_path.
    pub data_path: u32,
    /// 1 for a node without the guard against forged tunnel packets; 0 for one with it.
    pub without_guard: u8,
    /// The network in its handles, which are NETWORK.CONTAINER; NULL for "k8s-pod-network", which is that
    /// of Calico's CNI configuration.
    pub network: *const c_char,
    /// The tunnel device; NULL for "tunl0".
    pub device: *const c_char,
    /// Whose mark its routes bear, as in /etc/iproute2/rt_protos; 0 is IPIP_ROUTE_PROTOCOL_BIRD.
    pub protocol: u8,
    /// The metric of the routes to other nodes and of the blackholes. A workload's own route has 0 always.
    pub metric: u32,
    /// 1 if routes through the tunnel bear its MTU, as Felix's do and BIRD's do not; else 0.
    pub route_mtu: u8,
    /// 1 if Felix's routes are taken over; else 0.
    pub adopt_felix: u8,
    /// 1 if the tunnel device is ours alone, so that foreign addresses on it go; else 0.
    pub exclusive: u8,
    /// 1 if the routes to a node go by one next hop object (`ip nexthop`), for very many nodes; it needs Linux
    /// 5.3 and the kernel's default `net.ipv4.nexthop_compat_mode` 1; else 0.
    pub next_hop_objects: u8,
    /// How long a pass of `ipip_node_run` takes at most, in milliseconds; 0 for 30,000. A pass whose time is
    /// over ends between two batches of changes in the kernel, but never before the first, and the next one
    /// goes on where it ended; a store that has not answered by then, or for 5 s if that is longer, counts
    /// as one that cannot be read. Other calls take the time that they need.
    pub deadline_ms: u32,
    /// Hears how far long work is; NULL for nobody.
    pub progress: ipip_progress_callback,
    /// What `progress` is given. It must be good on every thread that calls the node, until `ipip_node_free`.
    pub progress_user_data: *mut c_void,
}

impl ipip_node_config {
    /// # Safety
    /// - Its strings and those of its labels are NULL or end in a zero.
    /// - `netns` and `underlay_address` are NULL or point to their objects.
    /// - `labels` is NULL or points to `labels_len` pairs.
    /// - `progress` is NULL or may be called with `progress_user_data` while there is a node of this.
    pub(crate) unsafe fn checked(&self) -> Result<NodeConfig, Failure> {
        // SAFETY: the caller's duty.
        let name = unsafe { text(self.name, "name") }?;
        // SAFETY: the caller's duty.
        let labels = unsafe { pairs(self.labels, self.labels_len, "labels") }?;
        // SAFETY: the caller's duty.
        let network = unsafe { optional_text(self.network, "network") }?;
        // SAFETY: the caller's duty.
        let netns = unsafe { self.netns.as_ref() };
        // SAFETY: the caller's duty.
        let policy = unsafe { self.policy() }?;
        let config = NodeConfig::new(NodeName::try_new(name)?)
            .with_policy(policy)
            .with_data_path(self.choice()?)
            .with_guard(!flag(self.without_guard, "without_guard")?);
        let mut config = labels
            .into_iter()
            .fold(config, |config, (key, value)| config.with_label(key, value));
        if let Some(network) = network {
            config = config.with_network(network);
        }
        if self.deadline_ms != 0 {
            config = config.with_deadline(Duration::from_millis(self.deadline_ms.into()));
        }
        // SAFETY: the caller's duty.
        if let Some(listener) = unsafe { Listener::new(self.progress, self.progress_user_data) } {
            config = config.with_progress(move |progress| listener.tell(progress));
        }
        if self.mtu != 0 {
            config = config.with_mtu(TunnelMtu::try_new(self.mtu)?);
        }
        if let Some(netns) = netns {
            config = config.with_netns(netns.0.try_clone()?);
        }
        // SAFETY: the same duties.
        unsafe { self.with_underlay(config) }
    }

    /// # Safety
    /// - `underlay` is NULL or a string that ends in a zero.
    /// - `underlay_address` is NULL or points to an address.
    unsafe fn with_underlay(&self, config: NodeConfig) -> Result<NodeConfig, Failure> {
        // SAFETY: the caller's duty.
        let interface = unsafe { optional_text(self.underlay, "underlay") }?;
        // SAFETY: the caller's duty.
        let address = unsafe { self.underlay_address.as_ref() };
        match (interface, address) {
            (None, None) => Ok(config),
            (Some(interface), None) => Ok(config.with_underlay(InterfaceName::try_new(interface)?)),
            (None, Some(address)) => Ok(config.with_underlay_address((*address).into())),
            (Some(_), Some(_)) => Err(Failure::new(
                ipip_status::InvalidArgument,
                "underlay and underlay_address are both given, allowed is one of them",
            )),
        }
    }

    /// # Safety
    /// `device` is NULL or a string that ends in a zero.
    unsafe fn policy(&self) -> Result<Policy, Failure> {
        let mut policy = Policy {
            metric: self.metric,
            route_mtu: flag(self.route_mtu, "route_mtu")?,
            adopt_felix: flag(self.adopt_felix, "adopt_felix")?,
            exclusive: flag(self.exclusive, "exclusive")?,
            next_hop_objects: flag(self.next_hop_objects, "next_hop_objects")?,
            ..Policy::default()
        };
        if self.protocol != 0 {
            policy.protocol = RouteProtocol(self.protocol);
        }
        // SAFETY: the caller's duty.
        if let Some(device) = unsafe { optional_text(self.device, "device") }? {
            policy.tunnel = InterfaceName::try_new(device)?;
        }
        Ok(policy)
    }

    fn choice(&self) -> Result<Choice, Failure> {
        let choices = [
            (ipip_data_path::Auto as u32, Choice::Auto),
            (ipip_data_path::Kernel as u32, Choice::Kernel),
            (ipip_data_path::Userspace as u32, Choice::Userspace),
            (ipip_data_path::Bpf as u32, Choice::Bpf),
        ];
        choose(self.data_path, "data_path", "ipip_data_path", &choices)
    }
}
