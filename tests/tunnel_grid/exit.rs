//! What ours builds, the driver takes; and where two ECN fields meet, both decide alike.

use std::num::NonZeroU8;

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Live;
use ipip_core::wire::{
    DontFragment, Dscp, DscpPolicy, EcnPolicy, Encapsulator, Endpoints, HEADER_LEN, Outer, Ttl,
    WireError, decapsulate_in_place,
};

use crate::inner::{Inner, every_tos, fix_checksum};
use crate::support::{Needs, Test, name, same};
use crate::world::{NOBODY, NODE, Node, REMOTE, REMOTE_POD};

pub(crate) const TESTS: &[Test] = &[
    (
        "all_that_ours_builds_the_driver_takes",
        Needs::Driver,
        all_that_ours_builds_the_driver_takes,
    ),
    (
        "every_pair_of_ecn_fields_is_decided_alike",
        Needs::Driver,
        every_pair_of_ecn_fields_is_decided_alike,
    ),
];

/// Towards the node under test.
fn base() -> Outer {
    Outer::tunl0(Endpoints {
        local: NodeAddr(REMOTE),
        remote: NodeAddr(NODE),
    })
}

/// Every combination of the policies.
fn policies() -> Vec<Outer> {
    let mut all = vec![base()];
    let mut vary = |change: &dyn Fn(Outer) -> Vec<Outer>| {
        all = all.iter().flat_map(|outer| change(*outer)).collect();
    };
    let fixed = |hops| Ttl::Fixed(NonZeroU8::new(hops).unwrap());
    let ttls = [Ttl::Inherit, fixed(1)];
    vary(&|outer| ttls.map(|ttl| Outer { ttl, ..outer }).into());
    let dscps = [
        DscpPolicy::Inherit,
        DscpPolicy::Fixed(Dscp::default()),
        DscpPolicy::Fixed(Dscp::of_tos(0xb8)),
    ];
    vary(&|outer| dscps.map(|dscp| Outer { dscp, ..outer }).into());
    let ecns = [
        EcnPolicy::Kernel,
        EcnPolicy::Normal,
        EcnPolicy::Compatibility,
    ];
    vary(&|outer| ecns.map(|ecn| Outer { ecn, ..outer }).into());
    let flags = [DontFragment::Inherit, DontFragment::Always];
    vary(&|outer| {
        let with = |dont_fragment| Outer {
            dont_fragment,
            ..outer
        };
        flags.map(with).into()
    });
    all
}

fn all_that_ours_builds_the_driver_takes() {
    let node = Node::new();
    let packets = every_tos().into_iter();
    let mut packets: Vec<_> = packets.map(|p| p.octets(REMOTE_POD, NOBODY)).collect();
    packets.sort();
    let mut identifications = [0, 1, 0x8000, 0xffff].into_iter().cycle();
    let mut tunl0 = Live::open(&node.netns, &name("tunl0")).unwrap();
    let before = node.counted();
    let mut count = 0;
    for outer in policies() {
        let encapsulator = Encapsulator::new(&outer);
        let built = packets.iter().zip(&mut identifications).map(|(inner, id)| {
            let mut buffer = [&[0xa5; HEADER_LEN], &inner[..]].concat();
            let built = encapsulator.encapsulate_as(&mut buffer, HEADER_LEN, id);
            built.unwrap().to_vec()
        });
        let delivered = node.delivers(&mut tunl0, &built.collect::<Vec<_>>(), packets.len());
        same(&delivered, &packets, &format!("through {outer:?}"));
        count += 512;
    }
    let [received, errors, _] = node.counted();
    let found = [received - before[0], errors - before[1]];
    assert_eq!(found, [count, 0], "packets and errors counted");
    println!("{count} packets");
}

/// A packet of either ECN field, with DSCPs that differ.
fn meeting(inner: u8, outer: u8, dscp: u8) -> Vec<u8> {
    let inside = Inner {
        tos: dscp << 2 | inner,
        identification: u16::from(dscp) + 1,
        ..Inner::default()
    };
    let inside = inside.octets(REMOTE_POD, NOBODY);
    let mut packet = [&[0; HEADER_LEN], &inside[..]].concat();
    let encapsulator = Encapsulator::new(&base());
    encapsulator.encapsulate(&mut packet, HEADER_LEN).unwrap();
    packet[1] = (63 - dscp) << 2 | outer;
    fix_checksum(&mut packet);
    packet
}

fn every_pair_of_ecn_fields_is_decided_alike() {
    let node = Node::new();
    let mut tunl0 = Live::open(&node.netns, &name("tunl0")).unwrap();
    let before = node.counted();
    let mut drops = 0;
    for (inner, outer) in (0..4).flat_map(|inner| (0..4).map(move |outer| (inner, outer))) {
        let packets: Vec<_> = (0..64).map(|dscp| meeting(inner, outer, dscp)).collect();
        let expected = packets.iter().filter_map(|packet| {
            let mut packet = packet.clone();
            match decapsulate_in_place(&mut packet) {
                Ok(exit) => Some(exit.packet.to_vec()),
                Err(WireError::EcnDrop) => None,
                Err(other) => panic!("{other}"),
            }
        });
        let mut expected: Vec<_> = expected.collect();
        expected.sort();
        drops += 64 - expected.len() as u64;
        let delivered = node.delivers(&mut tunl0, &packets, expected.len());
        let what = format!("inner {inner}, outer {outer}");
        same(&delivered, &expected, &what);
    }
    let [_, errors, of_the_frame] = node.counted();
    let found = [errors - before[1], of_the_frame - before[2]];
    assert_eq!(found, [drops; 2], "drops counted");
    assert_eq!(drops, 64, "drops: Not-ECT within CE, and no other");
}
