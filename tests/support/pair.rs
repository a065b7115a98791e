//! Two nodes joined by a veth pair. The `ip` binary sets them up, so that the library is not its own
//! oracle.

use std::net::Ipv4Addr;

use ipip_core::sys::netns::Netns;

use super::shell::{sh, soon, try_sh};

/// The nodes' underlay addresses, as in the reference picture.
pub(crate) const A: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 3);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);

/// Node namespaces `a` (172.18.0.3) and `b` (172.18.0.2), joined by their `eth0`, which are up.
pub(crate) struct Pair {
    pub(crate) a: Netns,
    pub(crate) b: Netns,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let pair = Self {
            a: Netns::create_unnamed().unwrap(),
            b: Netns::create_unnamed().unwrap(),
        };
        let peer = format!("ip link add eth0 type veth peer name eth0 netns {}", pair.b);
        sh(&pair.a, &peer);
        for (netns, addr) in [(&pair.a, A), (&pair.b, B)] {
            // No IPv6: its neighbour discovery would mix into what is counted. Not every kernel has it.
            let _ = try_sh(netns, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
            sh(netns, &format!("ip addr add {addr}/16 dev eth0"));
            sh(netns, "ip link set lo up");
        }
        for netns in [&pair.a, &pair.b] {
            sh(netns, "ip link set eth0 up");
        }
        pair.wait_until_up();
        pair
    }

    /// Waits for both ends of the veth: the kernel drops what is sent before its delayed work
    /// (linkwatch) has noticed the carrier, up to a second after `ip link set up`.
    pub(crate) fn wait_until_up(&self) {
        for netns in [&self.a, &self.b] {
            soon("eth0 is up", || {
                try_sh(netns, "ip -o link show eth0").is_ok_and(|text| text.contains("state UP"))
            });
        }
    }
}
