//! When a peer is reached through the tunnel.

use crate::addr::NodeAddr;
use crate::plan::InterfaceAddr;
use crate::resource::IpipMode;

impl IpipMode {
    /// Whether packets for `peer` go through the tunnel. `local` is this node's underlay address with
    /// the length of its subnet: the *local* node's subnet decides, so a /32 makes every peer foreign.
    ///
    /// ```
    /// use ipip_core::{addr::NodeAddr, plan::InterfaceAddr, resource::IpipMode};
    /// let local = InterfaceAddr { addr: [172, 18, 0, 3].into(), prefix_len: 16 };
    /// assert!(!IpipMode::CrossSubnet.tunnels(local, NodeAddr([172, 18, 0, 2].into())));
    /// assert!(IpipMode::CrossSubnet.tunnels(local, NodeAddr([172, 19, 0, 2].into())));
    /// ```
    #[must_use]
    pub fn tunnels(self, local: InterfaceAddr, peer: NodeAddr) -> bool {
        match self {
            Self::Always => true,
            Self::CrossSubnet => !local.subnet().is_some_and(|subnet| subnet.contains(peer.0)),
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_subnet_decides() {
        let local = |prefix_len| InterfaceAddr {
            addr: [172, 18, 0, 3].into(),
            prefix_len,
        };
        let near = NodeAddr([172, 18, 0, 2].into());
        for (mode, prefix_len, tunnels) in [
            (IpipMode::Always, 16, true),
            (IpipMode::Never, 16, false),
            (IpipMode::CrossSubnet, 16, false),
            (IpipMode::CrossSubnet, 32, true),
            (IpipMode::CrossSubnet, 0, false),
        ] {
            assert_eq!(
                mode.tunnels(local(prefix_len), near),
                tunnels,
                "{mode:?} /{prefix_len}"
            );
        }
    }
}
