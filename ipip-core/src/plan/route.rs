//! Routes and the next hops that they go by, as `ip` tells of them.

use std::fmt;
use std::net::Ipv4Addr;

use super::place::Place;
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::name::InterfaceName;

/// An IPv4 route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it is.
    pub place: Place,
    /// The destinations it is for.
    pub prefix: Ipv4Prefix,
    /// What happens to packets for them.
    pub target: Target,
    /// Who installed it.
    pub protocol: RouteProtocol,
    /// Priority; the lower wins among routes of one prefix.
    pub metric: u32,
    /// Type of service it is for; 0 is any.
    pub tos: u8,
    /// Preferred source address, where one is set.
    pub source: Option<Ipv4Addr>,
    /// The MTU of its packets in octets, where one is set (`RTAX_MTU`); else that of the device.
    pub mtu: Option<u32>,
}

/// What happens to a packet that a route matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It leaves through a device.
    Device {
        /// The device.
        device: InterfaceName,
        /// To whom.
        next_hop: NextHop,
    },
    /// It is dropped without an answer.
    Blackhole,
    /// Something that this crate never installs (multipath, unreachable), in words.
    Other(String),
}

/// To whom a packet is handed on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHop {
    /// The destination itself (scope link).
    Direct,
    /// A router that some other route of this device reaches.
    Gateway(Ipv4Addr),
    /// A node taken as reachable on the device, unchecked. On an ipip device it is the outer destination.
    Onlink(NodeAddr),
    /// What the object of this number says, which is on the device.
    Object(u32),
}

/// Who installed a route, as in `/etc/iproute2/rt_protos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteProtocol(pub u8);

/// What the kernel calls one route: at most one per prefix, TOS and metric.
pub type RouteKey = (Place, Ipv4Prefix, u8, u32);

impl RouteProtocol {
    /// The kernel itself, for the subnet of an address.
    pub const KERNEL: Self = Self(2);
    /// `ip route add` without a protocol, and what Calico's CNI plugin uses.
    pub const BOOT: Self = Self(3);
    /// An administrator.
    pub const STATIC: Self = Self(4);
    /// BIRD, and by default this crate: Calico's routes between nodes have always borne it.
    pub const BIRD: Self = Self(12);
    /// Felix, Calico's node agent.
    pub const FELIX: Self = Self(80);
}

/// A next hop with a number of its own (`ip nexthop`, Linux 5.3), which routes go by: `PREFIX nhid NUMBER`.
///
/// Where each route has a next hop of its own, the kernel compares the next hop of each new route with
/// all others of its device, so that many nodes cost the square of their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHopObject {
    /// Its number, which is not 0.
    pub id: u32,
    /// Where packets go: a device and an onlink node; [`Target::Other`] is only read.
    pub target: Target,
    /// Who made it.
    pub protocol: RouteProtocol,
}

impl NextHopObject {
    /// The way to `node` on `device`, with the number that says so: the address itself for the tunnel
    /// device, its complement for any other. So every process finds the same numbers, and one that is
    /// ours tells by itself what it should be.
    ///
    /// `None` if its number would be 0, which no node's is.
    #[must_use]
    pub fn to_node(
        device: &InterfaceName,
        node: NodeAddr,
        is_tunnel: bool,
        protocol: RouteProtocol,
    ) -> Option<Self> {
        let bits = node.0.to_bits();
        let id = if is_tunnel { bits } else { !bits };
        let target = Target::Device {
            device: device.clone(),
            next_hop: NextHop::Onlink(node),
        };
        (id != 0).then_some(Self {
            id,
            target,
            protocol,
        })
    }
}

impl Target {
    /// The device that it leads through.
    pub(crate) fn device(&self) -> Option<&InterfaceName> {
        match self {
            Self::Device { device, .. } => Some(device),
            Self::Blackhole | Self::Other(_) => None,
        }
    }
}

impl Route {
    /// A route to `prefix` in the node's namespace: metric 0, any TOS, no preferred source, no MTU.
    #[must_use]
    pub fn new(prefix: Ipv4Prefix, target: Target, protocol: RouteProtocol) -> Self {
        Self {
            place: Place::Node,
            prefix,
            target,
            protocol,
            metric: 0,
            tos: 0,
            source: None,
            mtu: None,
        }
    }

    /// What the kernel calls one route.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        (self.place.clone(), self.prefix, self.tos, self.metric)
    }

    /// The number of the next hop object that it goes by.
    #[must_use]
    pub fn object(&self) -> Option<u32> {
        match self.target {
            Target::Device {
                next_hop: NextHop::Object(id),
                ..
            } => Some(id),
            _ => None,
        }
    }
}

/// The name that `ip` prints.
impl fmt::Display for RouteProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::KERNEL => f.write_str("kernel"),
            Self::BOOT => f.write_str("boot"),
            Self::STATIC => f.write_str("static"),
            Self::BIRD => f.write_str("bird"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// The text of `ip route`: a /32 without its length, `default` for /0, protocol boot unsaid.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.target == Target::Blackhole {
            f.write_str("blackhole ")?;
        }
        match self.prefix {
            Ipv4Prefix::ALL => f.write_str("default")?,
            host if host.len() == 32 => write!(f, "{}", host.network())?,
            prefix => write!(f, "{prefix}")?,
        }
        let (scope, onlink) = match &self.target {
            Target::Device {
                device,
                next_hop: NextHop::Direct,
            } => {
                write!(f, " dev {device}")?;
                (" scope link", "")
            }
            Target::Device {
                device,
                next_hop: NextHop::Gateway(gateway),
            } => {
                write!(f, " via {gateway} dev {device}")?;
                ("", "")
            }
            Target::Device {
                next_hop: NextHop::Object(id),
                ..
            } => {
                write!(f, " nhid {id}")?;
                ("", "")
            }
            Target::Device {
                device,
                next_hop: NextHop::Onlink(node),
            } => {
                write!(f, " via {node} dev {device}")?;
                ("", " onlink")
            }
            Target::Blackhole => ("", ""),
            Target::Other(words) => {
                write!(f, " {words}")?;
                ("", "")
            }
        };
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        if self.protocol != RouteProtocol::BOOT {
            write!(f, " proto {}", self.protocol)?;
        }
        f.write_str(scope)?;
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        f.write_str(onlink)?;
        match self.mtu {
            Some(mtu) => write!(f, " mtu {mtu}"),
            None => Ok(()),
        }
    }
}

/// The text of `ip nexthop`.
impl fmt::Display for NextHopObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {}", self.id)?;
        let mut onlink = "";
        match &self.target {
            Target::Device { device, next_hop } => {
                match next_hop {
                    NextHop::Onlink(NodeAddr(gateway)) => {
                        onlink = " onlink";
                        write!(f, " via {gateway}")?;
                    }
                    NextHop::Gateway(gateway) => write!(f, " via {gateway}")?,
                    NextHop::Direct | NextHop::Object(_) => {}
                }
                write!(f, " dev {device}")?;
            }
            Target::Blackhole => f.write_str(" blackhole")?,
            Target::Other(words) => write!(f, " {words}")?,
        }
        write!(f, " proto {}{onlink}", self.protocol)
    }
}
