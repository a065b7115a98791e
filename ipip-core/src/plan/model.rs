//! The values of a plan: what a namespace holds, as we want it and as the kernel reports it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use super::guard::{GuardTable, ObservedGuard};
use super::place::Place;
use super::route::{NextHopObject, Route};
use crate::addr::{Ipv4Prefix, MacAddr};
use crate::name::InterfaceName;

/// What should be, over one or more namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Interfaces with their addresses and settings.
    pub links: Vec<Link>,
    /// Routes of the main table.
    pub routes: Vec<Route>,
    /// What routes go by whose next hop is an object ([`NextHop::Object`](super::NextHop::Object)), in the node's namespace; only
    /// [`sync`](super::sync) looks at them.
    pub next_hops: Vec<NextHopObject>,
    /// The guard of the node; `None` leaves what is there.
    pub guard: Option<GuardTable>,
}

/// What the kernel reported, over one or more namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Every interface.
    pub links: Vec<ObservedLink>,
    /// Every IPv4 route of the main table.
    pub routes: Vec<Route>,
    /// Every next hop object of the node's namespace.
    pub next_hops: Vec<NextHopObject>,
    /// The guard of the node, where it was looked for.
    pub guard: ObservedGuard,
    /// Something changed during each of several readings: of what is here, a part may be missing or be
    /// there twice. Observe again before deleting anything on the strength of it.
    pub interrupted: bool,
}

/// An interface as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub place: Place,
    /// Its name.
    pub name: InterfaceName,
    /// What it is, and whether we may create it.
    pub kind: LinkKind,
    /// MTU in octets; `None` leaves it as it is.
    pub mtu: Option<u32>,
    /// Hardware address; `None` leaves it as it is.
    pub mac: Option<MacAddr>,
    /// The alias that marks a link as ours. It is set on a link that we create.
    pub mark: Option<String>,
    /// Addresses it should hold. Others on it are not touched.
    pub addresses: Vec<InterfaceAddr>,
    /// Per-interface kernel settings.
    pub settings: Vec<(Setting, u32)>,
    /// Whether it should be up; `false` leaves it as it is.
    pub up: bool,
}

/// What kind of link is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// An ipip device with `local any remote any`: the kernel's fallback device or its equal.
    Tunnel,
    /// The end of a veth pair that is created first; `peer` is born in its own namespace.
    VethWithPeer {
        /// Where the other end is.
        peer_place: Place,
        /// The other end's name.
        peer_name: InterfaceName,
    },
    /// The end that is born with the other one.
    VethPeerOf {
        /// Where the other end is.
        peer_place: Place,
        /// The other end's name.
        peer_name: InterfaceName,
    },
    /// The host end of a workload's pair, where the workload's namespace is not in sight: it is
    /// configured where it is there and bears our mark, and never created.
    HostVeth,
    /// Somebody else's device: it must exist, is never created and never deleted.
    Existing,
}

/// An interface as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLink {
    /// Where it is.
    pub place: Place,
    /// The kernel's number for it, unique in its namespace.
    pub index: u32,
    /// Its name.
    pub name: InterfaceName,
    /// `IFLA_INFO_KIND`: "ipip", "veth", "tun"; empty for hardware and loopback.
    pub kind: String,
    /// MTU in octets.
    pub mtu: u32,
    /// Hardware address, where it has one of six octets.
    pub mac: Option<MacAddr>,
    /// The alias, where one is set.
    pub alias: Option<String>,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// For a veth, the index of the other end *in its namespace* (`IFLA_LINK`).
    pub peer_index: Option<u32>,
    /// For a veth, where its other end is; `None` if that namespace was not observed.
    pub peer_place: Option<Place>,
    /// For an ipip device, its ends.
    pub tunnel: Option<TunnelEnds>,
    /// IPv4 addresses on it.
    pub addresses: Vec<InterfaceAddr>,
    /// The values of the settings that this crate knows.
    pub settings: BTreeMap<Setting, u32>,
}

/// What an ipip device was configured with; 0.0.0.0 means "any".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEnds {
    /// Outer source, or any.
    pub local: Ipv4Addr,
    /// Outer destination, or any.
    pub remote: Ipv4Addr,
    /// Outer TTL; 0 means that of the inner packet.
    pub ttl: u8,
    /// Outer TOS; 0 means 0 with the inner ECN.
    pub tos: u8,
    /// Whether the outer DF bit is always set (`pmtudisc`); otherwise it is the inner one.
    pub pmtudisc: bool,
}

/// An address on an interface with the length of its subnet, such as 172.18.0.3/16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddr {
    /// The address.
    pub addr: Ipv4Addr,
    /// Length of the subnet's prefix in bits, 0 to 32.
    pub prefix_len: u8,
}

/// A per-interface setting of the kernel's IPv4 stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// `net.ipv4.conf.IF.forwarding`: packets that enter here may leave elsewhere.
    Forwarding,
    /// `net.ipv4.conf.IF.proxy_arp`: answer ARP for what is reachable through another interface.
    ProxyArp,
    /// `net.ipv4.neigh.IF.proxy_delay`, in hundredths of a second: the longest wait before such an answer.
    ProxyDelay,
}

impl Setting {
    /// The `sysctl` key for interface `name`. A dot in the name is written as a slash there.
    #[must_use]
    pub fn sysctl_key(self, name: &InterfaceName) -> String {
        let name = name.as_str().replace('.', "/");
        match self {
            Self::Forwarding => format!("net.ipv4.conf.{name}.forwarding"),
            Self::ProxyArp => format!("net.ipv4.conf.{name}.proxy_arp"),
            Self::ProxyDelay => format!("net.ipv4.neigh.{name}.proxy_delay"),
        }
    }
}

impl InterfaceAddr {
    /// The subnet; `None` if the prefix length is above 32.
    #[must_use]
    pub fn subnet(self) -> Option<Ipv4Prefix> {
        Ipv4Prefix::containing(self.addr, self.prefix_len).ok()
    }
}

impl TunnelEnds {
    /// Whether it takes packets from anywhere and asks the route where to send them.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.local.is_unspecified() && self.remote.is_unspecified()
    }
}

impl Observed {
    /// The link of that name at that place.
    #[must_use]
    pub fn link(&self, place: &Place, name: &InterfaceName) -> Option<&ObservedLink> {
        self.links
            .iter()
            .find(|l| l.place == *place && l.name == *name)
    }
}

impl fmt::Display for InterfaceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_len)
    }
}
