//! Which frames somebody wants to see.

use super::describe::Layer;
use super::frame::Frame;
use crate::addr::{Ipv4Prefix, NodeAddr};
use crate::wire::protocol;

/// What one IPv4 header of a frame must be, the outer or an inner one. The default takes every
/// frame, even one without such a header.
///
/// ```
/// use ipip_core::capture::Filter;
/// let (a, b) = ("172.18.0.3/32".parse()?, "172.18.0.2/32".parse()?);
/// // UDP between two addresses, inside a tunnel or not.
/// let udp = Filter { protocol: Some(17), between: vec![a, b] };
/// # Ok::<(), ipip_core::addr::PrefixError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its protocol number.
    pub protocol: Option<u8>,
    /// Prefixes of which its source and its destination must each lie in one; none allow all.
    pub between: Vec<Ipv4Prefix>,
}

impl Filter {
    /// IPIP packets between these nodes: protocol 4, from one of them to one of them.
    #[must_use]
    pub fn tunnel(nodes: &[NodeAddr]) -> Self {
        Self {
            protocol: Some(protocol::IPIP),
            between: nodes.iter().map(|node| Ipv4Prefix::host(node.0)).collect(),
        }
    }

    /// Whether the frame has such a header.
    #[must_use]
    pub fn matches(&self, frame: &Frame) -> bool {
        if *self == Self::default() {
            return true;
        }
        let inside = |addr| {
            self.between.is_empty() || self.between.iter().any(|prefix| prefix.contains(addr))
        };
        frame.layers().iter().any(|layer| match layer {
            Layer::Ipv4(packet) => {
                self.protocol.is_none_or(|p| p == packet.protocol())
                    && inside(packet.source())
                    && inside(packet.destination())
            }
            _ => false,
        })
    }
}
