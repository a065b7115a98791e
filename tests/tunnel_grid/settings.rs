//! A device with settings of its own is an `Outer` with other policies.

use std::net::Ipv4Addr;
use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::wire::{DontFragment, Dscp, DscpPolicy, Endpoints, Outer, Ttl};

use crate::entry::same_as_ours;
use crate::inner::every_tos;
use crate::support::{Needs, Test, sh};
use crate::world::{NODE, Node, TUNNEL};

pub(crate) const TESTS: &[Test] = &[(
    "every_setting_of_a_device_is_a_policy",
    Needs::Driver,
    every_setting_of_a_device_is_a_policy,
)];

/// What `ip link add … type ipip` is told, and what ours is.
fn settings(endpoints: Endpoints) -> [(&'static str, Outer); 8] {
    let base = Outer {
        dont_fragment: DontFragment::Always,
        ..Outer::tunl0(endpoints)
    };
    let ttl = |hops| Ttl::Fixed(NonZeroU8::new(hops).unwrap());
    let dscp = |value| DscpPolicy::Fixed(Dscp::try_new(value).unwrap());
    let inherit = DscpPolicy::Inherit;
    [
        ("ttl inherit", base),
        ("nopmtudisc", Outer::tunl0(endpoints)),
        (
            "ttl 1",
            Outer {
                ttl: ttl(1),
                ..base
            },
        ),
        (
            "ttl 255",
            Outer {
                ttl: ttl(255),
                ..base
            },
        ),
        (
            "tos 0xb8",
            Outer {
                dscp: dscp(46),
                ..base
            },
        ),
        (
            "tos inherit",
            Outer {
                dscp: inherit,
                ..base
            },
        ),
        (
            "tos 0xfe ttl 64",
            Outer {
                // The two lower bits are ECN's, which is not to be set: the driver takes the inner one.
                dscp: dscp(63),
                ttl: ttl(64),
                ..base
            },
        ),
        (
            "tos inherit nopmtudisc",
            Outer {
                dscp: inherit,
                ..Outer::tunl0(endpoints)
            },
        ),
    ]
}

fn every_setting_of_a_device_is_a_policy() {
    let node = Node::new();
    let ends = |number| Endpoints {
        local: NodeAddr(NODE),
        remote: NodeAddr(Ipv4Addr::new(172, 18, 1, number)),
    };
    let words = settings(ends(0)).map(|(words, _)| words);
    let mut lines = String::from("ip -batch - <<LINES\n");
    for (number, words) in (0u8..).zip(words) {
        let remote = ends(number).remote.0;
        lines += &format!(
            "link add ipip{number} type ipip local {NODE} remote {remote} {words}\n\
             link set ipip{number} mtu 1480 up\n\
             route add 10.245.{number}.0/24 dev ipip{number} src {TUNNEL}\n"
        );
    }
    sh(&node.netns, &(lines + "LINES"));
    for number in (0u8..).take(words.len()) {
        let (_, outer) = settings(ends(number))[usize::from(number)];
        let destination = Ipv4Addr::new(10, 245, number, 1);
        let packets = every_tos().into_iter();
        let packets: Vec<_> = packets.map(|p| p.octets(TUNNEL, destination)).collect();
        let sent = node.carries(&node.netns, &packets);
        same_as_ours(&outer, packets, sent);
    }
}
