//! A workload's veth pair, as Calico's CNI plugin wires it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::error::{OverlayError, check_address, check_workload_name};
use super::well_known;
use crate::addr::{Ipv4Prefix, MacAddr};
use crate::mtu::TunnelMtu;
use crate::name::{INTERFACE_NAME_MAX, InterfaceName};
use crate::plan::{
    Desired, InterfaceAddr, Link, LinkKind, NextHop, Place, Route, RouteProtocol, Setting, Target,
};

/// The gateway of every workload. Nobody holds it: the host end answers for it by proxy ARP.
pub const LINK_LOCAL_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// What every host-side veth's name begins with.
pub const HOST_VETH_PREFIX: &str = "cali";

/// Longest interface alias in octets (`IFALIASZ` less its final zero).
const ALIAS_MAX: usize = 255;

/// A workload and its one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadEndpoint {
    /// The Kubernetes namespace, such as "default".
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The interface inside, normally `eth0`.
    pub interface: InterfaceName,
    /// Its address, set as a /32.
    pub address: Ipv4Addr,
    /// Its MTU: the tunnel's.
    pub mtu: TunnelMtu,
}

/// The host end's name: `cali` and the first 11 hexadecimal digits of SHA-1 over `namespace.pod`,
/// 15 octets in all.
///
/// ```
/// let name = ipip_core::overlay::host_veth_name("default", "podA");
/// assert_eq!(name.as_str(), "cali7f94ce7c295");
/// ```
#[must_use]
pub fn host_veth_name(namespace: &str, pod: &str) -> InterfaceName {
    let digest = Sha1::digest(format!("{namespace}.{pod}"));
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let text = format!(
        "{HOST_VETH_PREFIX}{}",
        &hex[..INTERFACE_NAME_MAX - HOST_VETH_PREFIX.len()]
    );
    InterfaceName::try_new(&text).expect("a prefix and hexadecimal digits, 15 octets")
}

impl WorkloadEndpoint {
    /// A pod with `eth0`.
    #[must_use]
    pub fn new(namespace: &str, pod: &str, address: Ipv4Addr, mtu: TunnelMtu) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            interface: well_known("eth0"),
            address,
            mtu,
        }
    }

    /// The host end's name.
    #[must_use]
    pub fn host_veth(&self) -> InterfaceName {
        host_veth_name(&self.namespace, &self.pod)
    }

    /// Whether there can be such a workload.
    ///
    /// # Errors
    /// [`OverlayError`] for an address that no interface can hold, and for names that are empty, longer
    /// than 253 octets, or hold '/' or control characters.
    pub fn check(&self) -> Result<(), OverlayError> {
        check_workload_name("namespace", &self.namespace)?;
        check_workload_name("pod", &self.pod)?;
        check_address("workload", self.address)
    }

    /// What the node and the workload's namespace, opened by `netns`, should hold: the pair, born in
    /// place; on the host proxy ARP without delay, forwarding and the /32 route; inside no forwarding,
    /// the /32, the gateway's link route and the default route through it.
    #[must_use]
    pub fn desired(&self, netns: &Path) -> Desired {
        let inside = Place::Workload(Arc::from(netns));
        Desired {
            links: vec![self.host_link(&inside), self.inner_link(&inside)],
            routes: self.routes(&inside),
            ..Desired::default()
        }
    }

    /// "ipip NAMESPACE.POD", cut to the kernel's limit for an alias.
    fn mark(&self) -> String {
        let mut mark = format!("ipip {}.{}", self.namespace, self.pod);
        mark.truncate(mark.floor_char_boundary(ALIAS_MAX));
        mark
    }

    /// The host end of a pair whose other end is `inside`.
    pub(crate) fn host_link(&self, inside: &Place) -> Link {
        Link {
            place: Place::Node,
            name: self.host_veth(),
            kind: LinkKind::VethWithPeer {
                peer_place: inside.clone(),
                peer_name: self.interface.clone(),
            },
            mtu: Some(self.mtu.octets()),
            mac: Some(MacAddr::CALICO),
            mark: Some(self.mark()),
            addresses: vec![],
            settings: vec![
                (Setting::ProxyArp, 1),
                (Setting::ProxyDelay, 0),
                (Setting::Forwarding, 1),
            ],
            up: true,
        }
    }

    /// The host end, where the workload's namespace is not in sight. Its MTU stays as it is: the kernel
    /// drops what the other end sends if that is larger, and the other end keeps its own.
    pub(super) fn host_link_alone(&self) -> Link {
        Link {
            kind: LinkKind::HostVeth,
            mtu: None,
            ..self.host_link(&Place::Node)
        }
    }

    /// The host's route to it.
    pub(super) fn host_route(&self) -> Route {
        let target = Target::Device {
            device: self.host_veth(),
            next_hop: NextHop::Direct,
        };
        Route::new(Ipv4Prefix::host(self.address), target, RouteProtocol::BOOT)
    }

    fn inner_link(&self, inside: &Place) -> Link {
        Link {
            place: inside.clone(),
            name: self.interface.clone(),
            kind: LinkKind::VethPeerOf {
                peer_place: Place::Node,
                peer_name: self.host_veth(),
            },
            mtu: Some(self.mtu.octets()),
            mac: None,
            mark: None,
            addresses: vec![InterfaceAddr {
                addr: self.address,
                prefix_len: 32,
            }],
            // A new namespace starts with what the first one has, and a workload is no router.
            settings: vec![(Setting::Forwarding, 0)],
            up: true,
        }
    }

    fn routes(&self, inside: &Place) -> Vec<Route> {
        let via = |device: &InterfaceName, next_hop| Target::Device {
            device: device.clone(),
            next_hop,
        };
        let gateway = Route::new(
            Ipv4Prefix::host(LINK_LOCAL_GATEWAY),
            via(&self.interface, NextHop::Direct),
            RouteProtocol::BOOT,
        );
        let default = Route::new(
            Ipv4Prefix::ALL,
            via(&self.interface, NextHop::Gateway(LINK_LOCAL_GATEWAY)),
            RouteProtocol::BOOT,
        );
        vec![
            Route {
                place: inside.clone(),
                ..gateway
            },
            Route {
                place: inside.clone(),
                ..default
            },
            self.host_route(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_calicos() {
        for (namespace, pod, name) in [
            ("default", "podA", "cali7f94ce7c295"),
            ("default", "nginx", "calic440f455693"),
            ("default", "simplePod", "calibd5189385c4"),
            ("kube-system", "coredns-5d78c9869d-abcde", "cali4d5f75c480c"),
        ] {
            assert_eq!(host_veth_name(namespace, pod).as_str(), name);
        }
    }
}
