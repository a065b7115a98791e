//! When a peer is reached through the tunnel.

use std::fmt;
use std::str::FromStr;

use crate::addr::NodeAddr;
use crate::plan::InterfaceAddr;

/// A pool's `ipipMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every peer through the tunnel.
    #[default]
    Always,
    /// Only peers outside the local node's own subnet; the others directly on the underlay.
    CrossSubnet,
    /// No peer through the tunnel.
    Never,
}

/// The text is none of the three modes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mode {0:?} is none of Always, CrossSubnet, Never")]
pub struct UnknownMode(pub String);

impl Mode {
    /// Whether packets for `peer` go through the tunnel. `local` is this node's underlay address with
    /// the length of its subnet: the *local* node's subnet decides, so a /32 makes every peer foreign.
    ///
    /// ```
    /// use ipip_core::{addr::NodeAddr, overlay::Mode, plan::InterfaceAddr};
    /// let local = InterfaceAddr { addr: [172, 18, 0, 3].into(), prefix_len: 16 };
    /// assert!(!Mode::CrossSubnet.tunnels(local, NodeAddr([172, 18, 0, 2].into())));
    /// assert!(Mode::CrossSubnet.tunnels(local, NodeAddr([172, 19, 0, 2].into())));
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

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "Always",
            Self::CrossSubnet => "CrossSubnet",
            Self::Never => "Never",
        })
    }
}

/// Accepts Calico's spelling in any case.
impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        let modes = [Self::Always, Self::CrossSubnet, Self::Never];
        let found = modes
            .into_iter()
            .find(|mode| mode.to_string().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownMode(text.to_owned()))
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
            (Mode::Always, 16, true),
            (Mode::Never, 16, false),
            (Mode::CrossSubnet, 16, false),
            (Mode::CrossSubnet, 32, true),
            (Mode::CrossSubnet, 0, false),
        ] {
            assert_eq!(
                mode.tunnels(local(prefix_len), near),
                tunnels,
                "{mode} /{prefix_len}"
            );
        }
    }

    #[test]
    fn modes_are_read_in_any_case() {
        assert_eq!("crosssubnet".parse(), Ok(Mode::CrossSubnet));
        assert_eq!("Always".parse(), Ok(Mode::Always));
        let error = "sometimes".parse::<Mode>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "mode \"sometimes\" is none of Always, CrossSubnet, Never"
        );
    }
}
