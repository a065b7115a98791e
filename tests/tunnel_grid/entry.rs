//! What the driver sends, from the node itself and from its pod, is what ours builds.

use std::net::UdpSocket;

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Live;
use ipip_core::mtu::TunnelMtu;
use ipip_core::wire::{
    Encapsulator, Endpoints, Fragments, HEADER_LEN, IcmpError, IcmpErrorView, Ipv4View, Layer,
    Outer, WireError, decapsulate, lower_ttl,
};

use crate::inner::{Inner, LONGEST, grid};
use crate::support::{Needs, Test, name, same};
use crate::world::{NODE, Node, PATIENCE, POD, REMOTE, REMOTE_POD, TUNNEL, incoming, socket};

pub(crate) const TESTS: &[Test] = &[
    (
        "the_nodes_own_packets_leave_as_ours_do",
        Needs::Driver,
        the_nodes_own_packets_leave_as_ours_do,
    ),
    (
        "a_pods_packets_leave_as_ours_do",
        Needs::Driver,
        a_pods_packets_leave_as_ours_do,
    ),
    (
        "what_does_not_fit_is_cut_or_answered_alike",
        Needs::Driver,
        what_does_not_fit_is_cut_or_answered_alike,
    ),
];

/// tunl0 as the module makes it, and what ours does in its place.
fn tunl0() -> Outer {
    Outer::tunl0(Endpoints {
        local: NodeAddr(NODE),
        remote: NodeAddr(REMOTE),
    })
}

/// What ours builds around `inner`. The identification is the driver's: any value will do where DF is
/// set, and where it is not, ours has no business with those that the driver gave away.
pub(crate) fn ours(encapsulator: &Encapsulator, inner: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xa5; HEADER_LEN + inner.len()];
    buffer[HEADER_LEN..].copy_from_slice(inner);
    let identification = u16::from_be_bytes([theirs[4], theirs[5]]);
    let built = encapsulator.encapsulate_as(&mut buffer, HEADER_LEN, identification);
    built.unwrap().to_vec()
}

/// Compares all that the driver has sent with what ours builds around the same packets. With two CPUs a
/// packet may overtake another.
#[track_caller]
pub(crate) fn same_as_ours(outer: &Outer, mut inner: Vec<Vec<u8>>, mut sent: Vec<Vec<u8>>) {
    let encapsulator = Encapsulator::new(outer);
    assert_eq!(sent.len(), inner.len(), "packets sent");
    inner.sort();
    sent.sort_by(|one, other| one[HEADER_LEN..].cmp(&other[HEADER_LEN..]));
    for (inner, sent) in inner.iter().zip(&sent) {
        let ours = ours(&encapsulator, inner, sent);
        if *sent != ours {
            let what = format!("{outer:?} around {:02x?}", &inner[..HEADER_LEN]);
            same(sent, &ours, &what);
        }
    }
}

fn the_nodes_own_packets_leave_as_ours_do() {
    let node = Node::new();
    let packets = grid(1).into_iter();
    let packets: Vec<_> = packets.map(|p| p.octets(TUNNEL, REMOTE_POD)).collect();
    let sent = node.carries(&node.netns, &packets);
    println!("{} packets", sent.len());
    each_fragmentable_one_has_its_own_identification(&sent);
    same_as_ours(&tunl0(), packets, sent);
    only_the_driver_sends_a_ttl_of_zero(&node);
}

/// As <https://www.rfc-editor.org/rfc/rfc6864#section-4.1> asks; with [`Outer`] it is the caller's to keep.
fn each_fragmentable_one_has_its_own_identification(sent: &[Vec<u8>]) {
    let fragmentable = sent.iter().filter(|packet| packet[6] & 0x40 == 0);
    let mut all: Vec<_> = fragmentable.map(|packet| [packet[4], packet[5]]).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "identifications");
}

fn a_pods_packets_leave_as_ours_do() {
    let node = Node::new();
    let packets = grid(2).into_iter();
    let mut packets: Vec<_> = packets.map(|p| p.octets(POD, REMOTE_POD)).collect();
    let sent = node.carries(&node.pod, &packets);
    println!("{} packets", sent.len());
    for packet in &mut packets {
        lower_ttl(packet).unwrap();
    }
    same_as_ours(&tunl0(), packets, sent);
}

fn what_does_not_fit_is_cut_or_answered_alike() {
    let node = Node::new();
    a_pods_packet_is_cut(&node);
    the_nodes_own_packet_is_cut(&node);
    what_must_not_leave_is_answered(&node);
    assert_eq!(node.next(), None, "one packet too many");
}

/// A pod whose MTU is larger than the tunnel's: the node cuts what may be cut.
fn a_pods_packet_is_cut(node: &Node) {
    for payload_len in LONGEST + 1..=LONGEST + 20 {
        let mut packet = Inner {
            payload_len,
            dont_fragment: false,
            ..Inner::default()
        };
        packet.tos = packet.payload_len.to_be_bytes()[7];
        let mut packet = packet.octets(POD, REMOTE_POD);
        socket(&node.pod).send(&packet, REMOTE_POD).unwrap();
        let sent = vec![node.sent(), node.sent()];
        lower_ttl(&mut packet).unwrap();
        same_as_ours(&tunl0(), cut(&packet), sent);
    }
}

/// What the node's own sockets send is cut before it comes to the tunnel.
fn the_nodes_own_packet_is_cut(node: &Node) {
    let own = node.netns.enter(|| UdpSocket::bind((TUNNEL, 4000)));
    let own = own.unwrap().unwrap();
    own.send_to(&[7; 4000], (REMOTE_POD, 4000)).unwrap();
    let sent = vec![node.sent(), node.sent(), node.sent()];
    let inner = sent.iter().map(|p| decapsulate(p).unwrap().to_vec());
    let inner: Vec<_> = inner.collect();
    let octets: usize = inner.iter().map(|p| p.len() - HEADER_LEN).sum();
    assert_eq!(octets, 8 + 4000, "octets of the datagram");
    same_as_ours(&tunl0(), inner, sent);
}

/// The fragments of a packet for the tunnel.
fn cut(packet: &[u8]) -> Vec<Vec<u8>> {
    let view = Ipv4View::parse(packet, Layer::Inner).unwrap();
    let fragments = Fragments::new(&view, TunnelMtu::try_new(1480).unwrap()).unwrap();
    let fragments = fragments.map(|fragment| {
        let mut buffer = [0; 1480];
        let len = fragment.emit(&mut buffer).unwrap();
        buffer[..len].to_vec()
    });
    fragments.collect()
}

fn what_must_not_leave_is_answered(node: &Node) {
    let too_old = Inner {
        ttl: 1,
        ..Inner::default()
    };
    let too_long = Inner {
        payload_len: LONGEST + 1,
        ..Inner::default()
    };
    let answers = [
        (too_old, IcmpError::TimeExceeded { code: 0 }),
        (too_long, IcmpError::FragmentationNeeded { mtu: 1480 }),
    ];
    for (packet, answer) in answers {
        let mut packet = packet.octets(POD, REMOTE_POD);
        let mut live = Live::open(&node.pod, &name("eth0")).unwrap();
        socket(&node.pod).send(&packet, REMOTE_POD).unwrap();
        let told = incoming(&mut live, PATIENCE).expect("an answer");
        let told = Ipv4View::parse(&told, Layer::Inner).unwrap();
        let told = IcmpErrorView::parse(told.payload()).unwrap();
        assert_eq!(told.error(), answer);
        assert_eq!(node.next(), None, "on the underlay");
        let expired = lower_ttl(&mut packet);
        let is_old = matches!(answer, IcmpError::TimeExceeded { .. });
        assert_eq!(expired == Err(WireError::TtlExpired { found: 1 }), is_old);
    }
}

/// The one packet that the driver sends and ours refuses: "an encapsulator MUST NOT encapsulate a
/// datagram with TTL = 0" (RFC 2003 section 3.1).
fn only_the_driver_sends_a_ttl_of_zero(node: &Node) {
    let packet = Inner {
        ttl: 0,
        ..Inner::default()
    };
    let mut packet = [vec![0; HEADER_LEN], packet.octets(TUNNEL, REMOTE_POD)].concat();
    let sent = node.carries(&node.netns, &[packet[HEADER_LEN..].to_vec()]);
    assert_eq!((sent[0][8], sent[0][28]), (0, 0), "both TTLs");
    let refused = Encapsulator::new(&tunl0()).encapsulate(&mut packet, HEADER_LEN);
    assert_eq!(refused, Err(WireError::TtlZero));
}
