//! One change, the shell line that does the same, and how to take it back.

use std::fmt;

use super::guard::{self, GUARD_TABLE, GuardChange};
use super::model::{InterfaceAddr, Observed, Setting};
use super::place::Place;
use super::route::{NextHopObject, Route};
use crate::addr::MacAddr;
use crate::name::{InterfaceName, NETNS_DIR};

/// One change in one namespace.
///
/// ```
/// use ipip_core::{addr::NodeAddr, name::InterfaceName, plan::*};
/// let target = Target::Device {
///     device: InterfaceName::try_new("tunl0").unwrap(),
///     next_hop: NextHop::Onlink(NodeAddr([172, 18, 0, 2].into())),
/// };
/// let route = Route::new("10.244.244.64/26".parse().unwrap(), target, RouteProtocol::BIRD);
/// let step = Step { place: Place::Node, change: Change::AddRoute(route) };
/// assert_eq!(step.to_string(), "ip route add 10.244.244.64/26 via 172.18.0.2 dev tunl0 proto bird onlink");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// What.
    pub change: Change,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Make an ipip device equal to the kernel's fallback: any/any, ttl inherit, nopmtudisc, any protocol.
    CreateTunnel {
        /// Its name.
        name: InterfaceName,
    },
    /// Make a veth pair, each end in its namespace from the start, one queue per direction.
    CreateVeth {
        /// The end at the step's place.
        name: InterfaceName,
        /// Its hardware address; `None` lets the kernel choose.
        mac: Option<MacAddr>,
        /// MTU of both ends in octets; `None` is the kernel's 1500.
        mtu: Option<u32>,
        /// Where the other end is.
        peer_place: Place,
        /// The other end's name.
        peer_name: InterfaceName,
    },
    /// Delete a device; a veth takes its other end with it.
    DeleteLink {
        /// Its name.
        name: InterfaceName,
    },
    /// Set the alias; an empty one clears it.
    SetAlias {
        /// The device.
        name: InterfaceName,
        /// The text.
        alias: String,
    },
    /// Set the MTU.
    SetMtu {
        /// The device.
        name: InterfaceName,
        /// In octets.
        mtu: u32,
    },
    /// Set the hardware address.
    SetMac {
        /// The device.
        name: InterfaceName,
        /// The address.
        mac: MacAddr,
    },
    /// Set a kernel setting of the device.
    Set {
        /// The device.
        name: InterfaceName,
        /// Which.
        setting: Setting,
        /// To what.
        value: u32,
    },
    /// Take the device up.
    SetUp {
        /// The device.
        name: InterfaceName,
    },
    /// Take the device down; the kernel drops its IPv4 routes.
    SetDown {
        /// The device.
        name: InterfaceName,
    },
    /// Add an address.
    AddAddress {
        /// The device.
        name: InterfaceName,
        /// The address and its subnet.
        address: InterfaceAddr,
    },
    /// Delete an address.
    DeleteAddress {
        /// The device.
        name: InterfaceName,
        /// The address and its subnet.
        address: InterfaceAddr,
    },
    /// Add a route; refused where one of its key is there.
    AddRoute(Route),
    /// Put the route in the place of the one with its key.
    ReplaceRoute(Route),
    /// Delete exactly this route.
    DeleteRoute(Route),
    /// Add a next hop object; refused where one has its number.
    AddNextHop(NextHopObject),
    /// Put the object in the place of the one with its number; all routes that go by it go the new way at
    /// once.
    ReplaceNextHop(NextHopObject),
    /// Delete the object, and all routes that go by it.
    DeleteNextHop(NextHopObject),
    /// Change the guard's table.
    Guard(GuardChange),
}

impl Change {
    /// The object it changes, for messages: "link tunl0", "route 10.244.244.64/26 via 172.18.0.2 …".
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Self::AddRoute(route) | Self::ReplaceRoute(route) | Self::DeleteRoute(route) => {
                format!("route {route}")
            }
            Self::AddAddress { name, address } | Self::DeleteAddress { name, address } => {
                format!("address {address} on {name}")
            }
            Self::Set { name, setting, .. } => format!("setting {}", setting.sysctl_key(name)),
            Self::CreateTunnel { name }
            | Self::CreateVeth { name, .. }
            | Self::DeleteLink { name }
            | Self::SetAlias { name, .. }
            | Self::SetMtu { name, .. }
            | Self::SetMac { name, .. }
            | Self::SetUp { name }
            | Self::SetDown { name } => format!("link {name}"),
            Self::AddNextHop(object)
            | Self::ReplaceNextHop(object)
            | Self::DeleteNextHop(object) => format!("next hop {object}"),
            Self::Guard(_) => format!("table ip {GUARD_TABLE}"),
        }
    }
}

/// What takes back `done`, last first, given what was there before. A deletion is taken back only
/// where it was of an address or a route; a deleted device stays deleted.
#[must_use]
pub fn undo(done: &[Step], before: &Observed) -> Vec<Step> {
    done.iter()
        .rev()
        .filter_map(|step| inverse(step, before))
        .collect()
}

fn inverse(step: &Step, before: &Observed) -> Option<Step> {
    let was = |name: &InterfaceName| before.link(&step.place, name);
    let change = match &step.change {
        Change::CreateTunnel { name } | Change::CreateVeth { name, .. } => {
            Change::DeleteLink { name: name.clone() }
        }
        Change::DeleteLink { .. } => return None,
        Change::SetAlias { name, .. } => Change::SetAlias {
            name: name.clone(),
            alias: was(name)?.alias.clone().unwrap_or_default(),
        },
        Change::SetMtu { name, .. } => Change::SetMtu {
            name: name.clone(),
            mtu: was(name)?.mtu,
        },
        Change::SetMac { name, .. } => Change::SetMac {
            name: name.clone(),
            mac: was(name)?.mac?,
        },
        Change::Set { name, setting, .. } => Change::Set {
            name: name.clone(),
            setting: *setting,
            value: *was(name)?.settings.get(setting)?,
        },
        Change::SetUp { name } => Change::SetDown {
            name: was(name)?.name.clone(),
        },
        Change::SetDown { name } => Change::SetUp {
            name: was(name)?.name.clone(),
        },
        Change::AddAddress { name, address } => Change::DeleteAddress {
            name: was(name)?.name.clone(),
            address: *address,
        },
        Change::DeleteAddress { name, address } => Change::AddAddress {
            name: name.clone(),
            address: *address,
        },
        Change::AddRoute(route) => Change::DeleteRoute(route.clone()),
        Change::ReplaceRoute(route) => Change::ReplaceRoute(
            before
                .routes
                .iter()
                .find(|r| r.key() == route.key())?
                .clone(),
        ),
        Change::DeleteRoute(route) => Change::AddRoute(route.clone()),
        Change::AddNextHop(object) => Change::DeleteNextHop(object.clone()),
        Change::ReplaceNextHop(object) => {
            let mut objects = before.next_hops.iter();
            let was = objects.find(|one| one.id == object.id);
            Change::ReplaceNextHop(was?.clone())
        }
        Change::DeleteNextHop(object) => Change::AddNextHop(object.clone()),
        Change::Guard(change) => Change::Guard(guard::inverse(change)?),
    };
    Some(Step {
        place: step.place.clone(),
        change,
    })
}

/// How the `ip` command names a namespace: by name below `/run/netns`, else by path.
fn netns_text(place: &Place) -> Option<String> {
    let Place::Workload(path) = place else {
        return None;
    };
    let name = path
        .strip_prefix(NETNS_DIR)
        .ok()
        .or_else(|| path.strip_prefix("/var/run/netns").ok());
    Some(match name {
        Some(name) if name.components().count() == 1 => quote(&name.to_string_lossy()),
        _ => quote(&path.to_string_lossy()),
    })
}

/// Quotes a word for the shell where it holds more than plain characters.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Longest word in octets that the kernel takes on a command line, less room for its quotes
/// (`MAX_ARG_STRLEN`, 32 pages).
const ARGUMENT_MAX: usize = 130_000;

/// `nft 'COMMANDS'`; what no command line can hold goes through a pipe.
fn write_nft(f: &mut fmt::Formatter<'_>, place: &Place, commands: &str) -> fmt::Result {
    let enter = match netns_text(place) {
        None => String::new(),
        Some(path) if path.contains('/') => format!("nsenter --net={path} "),
        Some(name) => format!("ip netns exec {name} "),
    };
    if commands.len() > ARGUMENT_MAX {
        write!(f, "echo {} | {enter}nft -f -", quote(commands))
    } else {
        write!(f, "{enter}nft {}", quote(commands))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Change::Guard(change) = &self.change {
            return write_nft(f, &self.place, &change.to_string());
        }
        let is_sysctl = matches!(self.change, Change::Set { .. });
        let command = if is_sysctl { "sysctl -w" } else { "ip" };
        match netns_text(&self.place) {
            None => write!(f, "{command} ")?,
            Some(path) if path.contains('/') => write!(f, "nsenter --net={path} {command} ")?,
            Some(name) if is_sysctl => write!(f, "ip netns exec {name} {command} ")?,
            Some(name) => write!(f, "{command} -n {name} ")?,
        }
        self.change.fmt(f)
    }
}

/// The words after `ip`, `sysctl -w` or `nft`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTunnel { name } => {
                write!(
                    f,
                    "link add {name} type ipip local any remote any ttl inherit nopmtudisc mode any"
                )
            }
            Self::CreateVeth {
                name,
                mac,
                mtu,
                peer_place,
                peer_name,
            } => {
                let mtu = mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
                write!(f, "link add {name}{mtu}")?;
                if let Some(mac) = mac {
                    write!(f, " address {mac}")?;
                }
                write!(
                    f,
                    " numtxqueues 1 numrxqueues 1 type veth peer name {peer_name}{mtu} numtxqueues 1 numrxqueues 1"
                )?;
                match netns_text(peer_place) {
                    Some(netns) => write!(f, " netns {netns}"),
                    None => Ok(()),
                }
            }
            Self::DeleteLink { name } => write!(f, "link delete {name}"),
            Self::SetAlias { name, alias } => write!(f, "link set {name} alias {}", quote(alias)),
            Self::SetMtu { name, mtu } => write!(f, "link set {name} mtu {mtu}"),
            Self::SetMac { name, mac } => write!(f, "link set {name} address {mac}"),
            Self::Set {
                name,
                setting,
                value,
            } => write!(f, "{}={value}", setting.sysctl_key(name)),
            Self::SetUp { name } => write!(f, "link set {name} up"),
            Self::SetDown { name } => write!(f, "link set {name} down"),
            Self::AddAddress { name, address } => write!(f, "addr add {address} dev {name}"),
            Self::DeleteAddress { name, address } => write!(f, "addr del {address} dev {name}"),
            Self::AddRoute(route) => write!(f, "route add {route}"),
            Self::ReplaceRoute(route) => write!(f, "route replace {route}"),
            Self::DeleteRoute(route) => write!(f, "route del {route}"),
            Self::AddNextHop(object) => write!(f, "nexthop add {object}"),
            Self::ReplaceNextHop(object) => write!(f, "nexthop replace {object}"),
            Self::DeleteNextHop(object) => write!(f, "nexthop del id {}", object.id),
            Self::Guard(change) => change.fmt(f),
        }
    }
}
