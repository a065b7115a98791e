//! A device with settings of its own is an `Outer` with other policies.

use std::net::Ipv4Addr;
use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{self, DontFragment, DscpPolicy, Endpoints, Outer, Ttl};

use crate::entry::same_as_ours;
use crate::inner::every_tos;
use crate::support::{Needs, Test, sh};
use crate::world::{NODE, Node, TUNNEL};

pub(crate) const TESTS: &[Test] = &[(
    "every_setting_of_a_device_is_a_policy",
    Needs::Driver,
    every_setting_of_a_device_is_a_policy,
)];

/// What `ip link add … type ipip` is told, and which policies that is. The device's ECN is always the one
/// that tunl0 has: the two lower bits of its TOS say nothing but `inherit`.
const SETTINGS: [(&str, Ttl, DscpPolicy, DontFragment); 8] = {
    use DontFragment::{Always, Inherit as IfInner};
    use DscpPolicy::{Fixed as Dscp, Inherit as InnerDscp};
    use Ttl::{Fixed as Hops, Inherit as InnerTtl};
    const fn dscp(tos: u8) -> DscpPolicy {
        Dscp(wire::Dscp::of_tos(tos))
    }
    let sixty_four = NonZeroU8::new(64).unwrap();
    [
        ("ttl inherit", InnerTtl, dscp(0), Always),
        ("nopmtudisc", InnerTtl, dscp(0), IfInner),
        ("ttl 1", Hops(NonZeroU8::MIN), dscp(0), Always),
        ("ttl 255", Hops(NonZeroU8::MAX), dscp(0), Always),
        ("tos 0xb8", InnerTtl, dscp(0xb8), Always),
        ("tos inherit", InnerTtl, InnerDscp, Always),
        ("tos 0xfe ttl 64", Hops(sixty_four), dscp(0xfc), Always),
        ("tos inherit nopmtudisc", InnerTtl, InnerDscp, IfInner),
    ]
};

fn every_setting_of_a_device_is_a_policy() {
    let node = Node::new();
    let mut lines = String::from("ip -batch - <<LINES\n");
    for (number, (words, ..)) in (0..).zip(SETTINGS) {
        let remote = remote(number);
        lines += &format!(
            "link add ipip{number} type ipip local {NODE} remote {remote} {words}\n\
             link set ipip{number} mtu 1480 up\n\
             route add 10.245.{number}.0/24 dev ipip{number} src {TUNNEL}\n"
        );
    }
    sh(&node.netns, &(lines + "LINES"));
    for (number, (_, ttl, dscp, dont_fragment)) in (0..).zip(SETTINGS) {
        let outer = Outer {
            ttl,
            dscp,
            dont_fragment,
            ..Outer::tunl0(Endpoints {
                local: NodeAddr(NODE),
                remote: NodeAddr(remote(number)),
            })
        };
        let destination = Ipv4Addr::new(10, 245, number, 1);
        let packets = every_tos().into_iter();
        let packets: Vec<_> = packets.map(|p| p.octets(TUNNEL, destination)).collect();
        let sent = node.carries(&node.netns, &packets);
        same_as_ours(&outer, packets, sent);
    }
}

/// The other end of each device.
fn remote(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 18, 1, number)
}
