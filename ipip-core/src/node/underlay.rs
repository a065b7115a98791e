//! Which interface the other nodes reach this one through: a choice among what was observed.

use std::net::Ipv4Addr;

use super::UnderlaySelector;
use crate::addr::Ipv4Prefix;
use crate::mtu::{MtuError, UnderlayMtu};
use crate::name::InterfaceName;
use crate::overlay::{HOST_VETH_PREFIX, TUNNEL_DEVICE};
use crate::plan::{InterfaceAddr, Observed, ObservedLink, Place, Route, Target};

/// The interface on the network between the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlay {
    /// Its name.
    pub interface: InterfaceName,
    /// The node's address on it, with its subnet.
    pub address: InterfaceAddr,
    /// What it carries.
    pub mtu: UnderlayMtu,
}

/// Why no interface can be the underlay. Each says what would settle it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnderlayError {
    /// The interface that was named does not exist.
    #[error(
        "underlay {name} does not exist; interfaces with an IPv4 address: {}",
        listed(candidates)
    )]
    Missing {
        /// The name.
        name: InterfaceName,
        /// Those that could be named.
        candidates: Vec<InterfaceName>,
    },
    /// The interface is down.
    #[error("underlay {name} is down; take it up: ip link set {name} up")]
    Down {
        /// The interface.
        name: InterfaceName,
    },
    /// The interface has no address of the underlay.
    #[error("underlay {name} has no IPv4 address; give it one, or name another interface")]
    NoAddress {
        /// The interface.
        name: InterfaceName,
    },
    /// The interface has several, and nothing says which one the others know.
    #[error("underlay {name} has {} IPv4 addresses: {}; name one of them", addresses.len(), listed(addresses))]
    ManyAddresses {
        /// The interface.
        name: InterfaceName,
        /// Its addresses.
        addresses: Vec<InterfaceAddr>,
    },
    /// No interface holds the address that was named.
    #[error(
        "no interface has the underlay address {addr}; interfaces with an IPv4 address: {}",
        listed(candidates)
    )]
    AddressMissing {
        /// The address.
        addr: Ipv4Addr,
        /// Those that could be named.
        candidates: Vec<InterfaceName>,
    },
    /// Nothing could be the underlay.
    #[error("no interface is up with a global IPv4 address; bring one up, or name the underlay")]
    NoCandidate,
    /// There is no default route, and more than one interface could be it.
    #[error(
        "no default route tells the underlay, and it may be any of: {}; name one of them",
        listed(candidates)
    )]
    ManyCandidates {
        /// The interfaces.
        candidates: Vec<InterfaceName>,
    },
    /// Its MTU leaves no room for a tunnel, or is more than IPv4 can use.
    #[error("underlay {name}: {mtu}")]
    Mtu {
        /// The interface.
        name: InterfaceName,
        /// What is wrong with it; part of the message, so not chained.
        mtu: MtuError,
    },
}

fn listed<T: ToString>(many: &[T]) -> String {
    if many.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<_> = many.iter().map(T::to_string).collect();
    texts.join(", ")
}

/// The underlay among what the node's namespace holds. Of several addresses `known` is taken if it is
/// one of them: that is how the others know the node already.
pub(super) fn choose(
    observed: &Observed,
    selector: &UnderlaySelector,
    known: Option<Ipv4Addr>,
) -> Result<Underlay, UnderlayError> {
    let candidates = || candidates(observed).map(|link| link.name.clone()).collect();
    let (link, wanted) = match selector {
        UnderlaySelector::Interface(name) => {
            let link = observed.link(&Place::Node, name);
            let missing = || UnderlayError::Missing {
                name: name.clone(),
                candidates: candidates(),
            };
            (link.ok_or_else(missing)?, known)
        }
        UnderlaySelector::Address(addr) => {
            let holds = |link: &&ObservedLink| {
                link.place == Place::Node && link.addresses.iter().any(|held| held.addr == *addr)
            };
            let missing = || UnderlayError::AddressMissing {
                addr: *addr,
                candidates: candidates(),
            };
            let link = observed.links.iter().find(holds);
            (link.ok_or_else(missing)?, Some(*addr))
        }
        UnderlaySelector::Auto => (by_itself(observed)?, known),
    };
    let name = link.name.clone();
    if !link.up {
        return Err(UnderlayError::Down { name });
    }
    let address = one_address(link, wanted)?;
    match UnderlayMtu::try_new(link.mtu) {
        Ok(mtu) => Ok(Underlay {
            interface: name,
            address,
            mtu,
        }),
        Err(mtu) => Err(UnderlayError::Mtu { name, mtu }),
    }
}

fn one_address(
    link: &ObservedLink,
    wanted: Option<Ipv4Addr>,
) -> Result<InterfaceAddr, UnderlayError> {
    let name = link.name.clone();
    if let Some(address) = link.addresses.iter().find(|held| Some(held.addr) == wanted) {
        return Ok(*address);
    }
    let global: Vec<_> = global(link).collect();
    match global[..] {
        [] => Err(UnderlayError::NoAddress { name }),
        [one] => Ok(one),
        _ => Err(UnderlayError::ManyAddresses {
            name,
            addresses: global,
        }),
    }
}

/// The interface of the default route, of several that of the lowest metric; else the only candidate.
fn by_itself(observed: &Observed) -> Result<&ObservedLink, UnderlayError> {
    let is_default = |route: &&Route| route.place == Place::Node && route.prefix == Ipv4Prefix::ALL;
    let defaults = observed.routes.iter().filter(is_default);
    let device = |route: &Route| match &route.target {
        Target::Device { device, .. } if may_be(device) => observed.link(&Place::Node, device),
        _ => None,
    };
    let mut leading: Vec<_> = defaults
        .filter_map(|route| Some((route.metric, device(route)?)))
        .collect();
    leading.sort_by_key(|(metric, _)| *metric);
    if let Some((_, link)) = leading.first() {
        return Ok(link);
    }
    let found: Vec<_> = candidates(observed).filter(|link| link.up).collect();
    match found[..] {
        [] => Err(UnderlayError::NoCandidate),
        [one] => Ok(one),
        _ => Err(UnderlayError::ManyCandidates {
            candidates: found.iter().map(|link| link.name.clone()).collect(),
        }),
    }
}

fn candidates(observed: &Observed) -> impl Iterator<Item = &ObservedLink> {
    let of_node = observed.links.iter().filter(|l| l.place == Place::Node);
    of_node.filter(|link| may_be(&link.name) && global(link).next().is_some())
}

/// Neither the overlay's own devices nor loopback.
fn may_be(name: &InterfaceName) -> bool {
    let name = name.as_str();
    name != "lo" && name != TUNNEL_DEVICE && !name.starts_with(HOST_VETH_PREFIX)
}

/// The addresses that other hosts can reach.
fn global(link: &ObservedLink) -> impl Iterator<Item = InterfaceAddr> {
    let reachable = |held: &InterfaceAddr| !held.addr.is_loopback() && !held.addr.is_link_local();
    link.addresses.iter().copied().filter(reachable)
}

#[cfg(test)]
mod tests;
