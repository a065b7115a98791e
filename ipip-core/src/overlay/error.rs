//! What no node, tunnel or workload can be like.

use std::net::Ipv4Addr;

use crate::addr::Ipv4Prefix;
use crate::plan::RouteProtocol;

/// Why nothing of the overlay can be like this. Most are what a field holds that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// The block is 0.0.0.0/0: its route would be the node's default route.
    #[error("block 0.0.0.0/0 is every address, its route would be the node's default route")]
    EveryAddress,
    /// The pool is 0.0.0.0/0: its guard would drop every other tunnel's packets.
    #[error("pool 0.0.0.0/0 is every address, its guard would drop the packets of other tunnels")]
    PoolOfEveryAddress,
    /// The protocol is the kernel's "unspecified", which marks nobody's routes.
    #[error("protocol is 0, allowed are 1 to 255; {} is bird", RouteProtocol::BIRD.0)]
    Unmarked,
    /// No interface can hold the address.
    #[error(
        "{object} address {addr} must be from 1.0.0.0 to 223.255.255.255, and neither loopback nor 169.254.1.1"
    )]
    Address {
        /// Whose it is: "tunnel" or "workload".
        object: &'static str,
        /// The address.
        addr: Ipv4Addr,
    },
    /// The text names no workload.
    #[error("workload {field} {text:?} must be 1 to 253 octets without '/' and control characters")]
    WorkloadName {
        /// Which of its names: "namespace" or "pod".
        field: &'static str,
        /// The text.
        text: String,
    },
}

pub(super) fn check_route(block: Ipv4Prefix, protocol: RouteProtocol) -> Result<(), OverlayError> {
    if block.len() == 0 {
        return Err(OverlayError::EveryAddress);
    }
    if protocol.0 == 0 {
        return Err(OverlayError::Unmarked);
    }
    Ok(())
}

/// An address that an interface can hold and a packet can be sent to: neither unspecified, loopback,
/// multicast nor reserved, and not the workloads' gateway.
pub(super) fn check_address(object: &'static str, addr: Ipv4Addr) -> Result<(), OverlayError> {
    let first = addr.octets()[0];
    if (1..=223).contains(&first) && first != 127 && addr != super::LINK_LOCAL_GATEWAY {
        return Ok(());
    }
    Err(OverlayError::Address { object, addr })
}

/// Kubernetes' names are shorter and plainer; 253 octets is the longest of them.
pub(crate) fn check_workload_name(field: &'static str, text: &str) -> Result<(), OverlayError> {
    let fits = (1..=253).contains(&text.len());
    if fits && !text.contains(|c: char| c == '/' || c.is_control()) {
        return Ok(());
    }
    Err(OverlayError::WorkloadName {
        field,
        text: text.to_owned(),
    })
}
