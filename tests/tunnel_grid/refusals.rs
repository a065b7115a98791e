//! What the driver refuses, ours refuses, and of what it takes, ours makes the same: octet by octet of
//! both headers, looked at where the pod is.

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Live;
use ipip_core::wire::{
    Encapsulator, Endpoints, HEADER_LEN, Outer, WireError, decapsulate_in_place, lower_ttl,
};

use crate::inner::{Inner, fix_checksum};
use crate::support::{Needs, Test, name, same};
use crate::world::{NODE, Node, POD, REMOTE, REMOTE_POD};

pub(crate) const TESTS: &[Test] = &[(
    "damage_is_judged_alike",
    Needs::Driver,
    damage_is_judged_alike,
)];

/// A packet to the pod, through the tunnel. The payload is nothing but ends of option lists, in case that
/// damage makes options of it.
fn carried(inner: Inner) -> Vec<u8> {
    let payload_len = inner.payload_len;
    let mut inner = inner.octets(REMOTE_POD, POD);
    let payload_at = inner.len() - payload_len;
    inner[payload_at..].fill(0);
    let outer = Outer::tunl0(Endpoints {
        local: NodeAddr(REMOTE),
        remote: NodeAddr(NODE),
    });
    let mut packet = [&[0; HEADER_LEN], &inner[..]].concat();
    let encapsulator = Encapsulator::new(&outer);
    encapsulator.encapsulate(&mut packet, HEADER_LEN).unwrap();
    packet
}

/// What comes to the pod through ours: the tunnel's exit, then a hop.
fn ours(packet: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut packet = packet.to_vec();
    let inner = decapsulate_in_place(&mut packet)?.packet;
    lower_ttl(inner)?;
    Ok(inner.to_vec())
}

/// The packet with another octet at `at`, and the checksums right again unless it is one of theirs.
fn with_octet(packet: &[u8], at: usize, octet: u8) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at] = octet;
    if !matches!(at % HEADER_LEN, 10 | 11) {
        fix_checksum(&mut packet[HEADER_LEN..]);
        fix_checksum(&mut packet);
    }
    packet
}

fn damage_is_judged_alike() {
    let node = Node::new();
    let mut pod = Live::open(&node.pod, &name("eth0")).unwrap();
    let good = carried(Inner::default());
    let padded = [&good[..], &[0; 6]].concat();
    let (mut count, mut refused) = (0, 0);
    // All but the addresses, which are for the routing to judge. Of the first octet the length alone: what
    // has another version never comes to the driver.
    for at in (0..12).chain(HEADER_LEN..HEADER_LEN + 12) {
        let octets: Vec<_> = match at {
            0 => (0x40..=0x4f).collect(),
            _ => (0..=255).collect(),
        };
        for packet in [&good, &padded] {
            let packets = octets.iter().map(|octet| with_octet(packet, at, *octet));
            let packets: Vec<_> = packets.collect();
            let mut expected: Vec<_> = packets.iter().filter_map(|p| ours(p).ok()).collect();
            expected.sort();
            count += packets.len();
            refused += packets.len() - expected.len();
            let delivered = node.delivers(&mut pod, &packets, expected.len());
            same(&delivered, &expected, &format!("damage at octet {at}"));
            // What the node says to all this.
            while node.next().is_some() {}
        }
    }
    println!("{count} packets, {refused} of them refused");
    fragments_are_the_kernels_to_put_together(&node, &mut pod);
    options_are_the_kernels_to_judge(&node, &mut pod);
}

/// The kernel puts outer fragments together before the driver sees them; ours says what they are.
fn fragments_are_the_kernels_to_put_together(node: &Node, pod: &mut Live) {
    let good = carried(Inner::default());
    let inner = ours(&good).unwrap();
    let fragment = |payload: &[u8], flags: u8, offset: u8| {
        let mut fragment = [&good[..HEADER_LEN], payload].concat();
        fragment[3] = fragment.len().to_be_bytes()[7];
        // Another identification than that of the fragments which damage has made.
        fragment[4..8].copy_from_slice(&[7, 7, flags, offset]);
        fix_checksum(&mut fragment);
        fragment
    };
    let payload = &good[HEADER_LEN..];
    let fragments = [
        fragment(&payload[..16], 0x20, 0),
        fragment(&payload[16..], 0, 2),
    ];
    for fragment in &fragments {
        let judged = ours(fragment);
        assert!(matches!(judged, Err(WireError::OuterFragment { .. })));
    }
    let delivered = node.delivers(pod, &fragments, 1);
    same(&delivered, &vec![inner], "put together");
}

/// The kernel discards a packet whose options cannot be told apart, on whatever device it comes; ours hands
/// it on, for whoever forwards it to judge.
fn options_are_the_kernels_to_judge(node: &Node, pod: &mut Live) {
    let mut packet = carried(Inner {
        options: true,
        ..Inner::default()
    });
    let delivered = node.delivers(pod, std::slice::from_ref(&packet), 1);
    same(&delivered, &vec![ours(&packet).unwrap()], "good options");
    // Record route, of a length that reaches beyond the header.
    packet[2 * HEADER_LEN..][..4].copy_from_slice(&[7, 39, 4, 0]);
    fix_checksum(&mut packet[HEADER_LEN..]);
    assert!(ours(&packet).is_ok(), "bad options");
    let delivered = node.delivers(pod, &[packet], 0);
    same(&delivered, &Vec::new(), "bad options");
}
