//! What is accepted from the underlay, what is repaired and what is refused. The packets are made
//! here, octet by octet.

use std::net::Ipv4Addr;

use ipip_core::capture::{Direction, Live};
use ipip_core::wire::{self, Dscp, Ecn, FragmentOffset, Ipv4Header, Ipv4View, Layer};

use crate::support::{A, B, Needs, Tcpdump, Test, name, same, sh, soon};
use crate::world::{
    BRIEFLY, IN_A, IN_B, SOON, Tunnel, header, inject, packet, pod_behind, udp, udp_socket, whole,
};

/// What any data path of ours must do.
pub(crate) const TESTS: &[Test] = &[
    (
        "outer_fragments_are_put_together",
        Needs::Root,
        outer_fragments_are_put_together,
    ),
    (
        "a_flood_of_fragments_is_bounded",
        Needs::Root,
        a_flood_of_fragments_is_bounded,
    ),
    (
        "spoofed_and_damaged_packets_are_dropped",
        Needs::Root,
        spoofed_and_damaged_packets_are_dropped,
    ),
    (
        "a_congestion_mark_is_handed_on",
        Needs::Root,
        a_congestion_mark_is_handed_on,
    ),
];

fn outer_fragments_are_put_together() {
    let tunnel = Tunnel::new();
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let inner = udp(IN_A, &[9; 1000], whole);
    let (first, last) = inner.split_at(800);
    let outer = Ipv4Header {
        identification: 77,
        ..header(4, A, B)
    };
    let first_header = Ipv4Header {
        more_fragments: true,
        ..outer
    };
    let last_header = Ipv4Header {
        fragment_offset: FragmentOffset::try_new(100).unwrap(),
        ..outer
    };
    let fragments = [packet(first_header, first), packet(last_header, last)];
    inject(&tunnel.pair.a, &fragments);
    assert_eq!(there.recv(&mut [0; 2000]).unwrap(), 1000, "octets received");
    soon("one packet is counted", || {
        tunnel.path_b.counters().received.packets == 1
    })
}

/// The kernel puts fragments together, in as much memory as its own limit says, and counts what it gives up.
fn a_flood_of_fragments_is_bounded() {
    const FLOOD: u16 = 4000;
    let tunnel = Tunnel::new();
    let node = &tunnel.pair.b;
    sh(node, "sysctl -qw net.ipv4.ipfrag_time=1");
    let there = udp_socket(node, IN_B, 4000);
    let inner = udp(IN_A, &[9; 1200], whole);
    let first = |identification| Ipv4Header {
        identification,
        more_fragments: true,
        ..header(4, A, B)
    };
    let flood: Vec<_> = (0..FLOOD)
        .map(|number| packet(first(number), &inner[..1000]))
        .collect();
    inject(&tunnel.pair.a, &flood);
    let limit = sh(node, "cat /proc/sys/net/ipv4/ipfrag_high_thresh");
    let used = sh(node, "sed -n 's/^FRAG: .*memory //p' /proc/net/sockstat");
    let number = |text: &str| text.trim().parse::<u64>().unwrap();
    // One more than the limit is let in, and each processor may be doing so.
    let most = number(&limit) + 65_536;
    assert!(number(&used) <= most, "{used} octets, limit {limit}");
    inject(&tunnel.pair.a, &[packet(header(4, A, B), &inner)]);
    let received = there.recv(&mut [0; 2000]).unwrap();
    assert_eq!(received, 1200, "what comes whole during the flood");
    soon("all are given up and counted", || {
        let failed = "awk '/^Ip: [0-9]/ {print $17}' /proc/net/snmp";
        number(&sh(node, failed)) >= u64::from(FLOOD)
    });
    assert_eq!(tunnel.path_b.counters().received.packets, 1, "received");
}

fn spoofed_and_damaged_packets_are_dropped() {
    let tunnel = Tunnel::new();
    // The kernel's own source check would hide ours.
    let no_check = "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth0.accept_local=1";
    sh(&tunnel.pair.b, &format!("sysctl -qw {no_check}"));
    let mut live = Live::open(&tunnel.pair.b, &name("tunl0")).unwrap();
    let filter = format!("ip proto 4 and dst {B}");
    let oracle = Tcpdump::start(&tunnel.pair.b, "eth0", &filter);
    let stranger = Ipv4Addr::new(172, 18, 0, 9);
    let nobody = Ipv4Addr::new(10, 244, 9, 9);
    let good = udp(IN_A, b"good", whole);
    let mut damaged = good.clone();
    damaged[11] ^= 1;
    inject(
        &tunnel.pair.a,
        &[
            packet(header(4, stranger, B), &good),
            // B itself; the kernel's own check would hide ours here as well, but for `accept_local`.
            packet(header(4, B, B), &udp(IN_B, b"own", whole)),
            // B's own prefix, and one that nobody has.
            packet(header(4, A, B), &udp(IN_B, b"own", whole)),
            packet(header(4, A, B), &udp(nobody, b"none", whole)),
            packet(header(4, A, B), &damaged),
            packet(header(4, A, B), &good[..27]),
            // Encapsulated twice, as by a route that leads back into the tunnel.
            packet(header(4, A, B), &packet(header(4, A, B), &good)),
            packet(header(4, A, B), &good),
        ],
    );
    soon("the good one arrives", || {
        tunnel.path_b.counters().received.packets == 1
    });
    let drops = tunnel.path_b.counters().drops;
    assert_eq!(drops.unknown_node, 2, "unknown node");
    assert_eq!(drops.foreign_source, 3, "foreign source");
    assert_eq!(drops.malformed, 2, "malformed");
    assert_eq!(drops.total(), 7, "all drops");
    assert_eq!(oracle.stop_at(8).len(), 8, "packets on the underlay");
    let frame = live.next_frame(SOON).unwrap().expect("a frame");
    same(&frame.octets, &good, "the packet that passed");
    // Whatever else is there is the kernel's answer that nobody listens on port 4000.
    while let Some(frame) = live.next_frame(BRIEFLY).unwrap() {
        let packet = Ipv4View::parse(&frame.octets, Layer::Inner).unwrap();
        assert_eq!(packet.source(), IN_B, "source of any other packet");
    }
}

pub(crate) fn a_partial_checksum_arrives_finished() {
    let tunnel = Tunnel::new();
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let finished = || tunnel.path_b.counters().checksums_finished;
    let partial = udp(IN_A, b"partial", |_, pseudo| pseudo);
    inject(&tunnel.pair.a, &[packet(header(4, A, B), &partial)]);
    let mut buffer = [0; 100];
    assert_eq!(there.recv(&mut buffer).unwrap(), 7, "octets received");
    soon("it is counted", || finished() == 1);
    // A checksum that is wrong in another way stays wrong, and the kernel drops the datagram.
    let wrong = udp(IN_A, b"wrong", |datagram, pseudo| {
        whole(datagram, pseudo) ^ 0x100
    });
    inject(&tunnel.pair.a, &[packet(header(4, A, B), &wrong)]);
    soon("it arrives", || {
        tunnel.path_b.counters().received.packets == 2
    });
    there.set_read_timeout(Some(BRIEFLY)).unwrap();
    let refused = there.recv(&mut buffer).is_err();
    assert!(refused, "a wrong checksum was accepted");
    assert_eq!(finished(), 1, "finished");
}

fn a_congestion_mark_is_handed_on() {
    let tunnel = Tunnel::new();
    let mut live = Live::open(&tunnel.pair.b, &name("tunl0")).unwrap();
    let with_ecn = |protocol, source, destination, ecn| Ipv4Header {
        dscp: Dscp::of_tos(0x28),
        ecn,
        ..header(protocol, source, destination)
    };
    let marked = |ecn| {
        let inner = packet(with_ecn(253, IN_A, IN_B, ecn), b"inner");
        packet(with_ecn(4, A, B, Ecn::Ce), &inner)
    };
    // The first can tell of congestion only by being dropped.
    let packets = [marked(Ecn::NotEct), marked(Ecn::Ect0), marked(Ecn::Ect1)];
    inject(&tunnel.pair.a, &packets);
    let congested = packet(with_ecn(253, IN_A, IN_B, Ecn::Ce), b"inner");
    let mut delivered = Vec::new();
    while delivered.len() < 2 {
        let frame = live.next_frame(SOON).unwrap().expect("a frame");
        // The others are the kernel's answer that nobody takes this protocol.
        if frame.direction == Direction::Incoming {
            delivered.push(frame.octets);
        }
    }
    same(&delivered, &vec![congested; 2], "what is delivered");
    soon("both are counted", || {
        tunnel.path_b.counters().received.packets == 2
    });
    let counters = tunnel.path_b.counters();
    assert_eq!(counters.drops.congestion, 1, "drops of congestion");
    assert_eq!(counters.drops.total(), 1, "all drops");
    assert_eq!(counters.ecn_alarms, 0, "alarms");
    // ECT(0) around a packet without ECN: a rule is broken, the packet is not.
    let inner = packet(with_ecn(253, IN_A, IN_B, Ecn::NotEct), b"inner");
    let odd = packet(with_ecn(4, A, B, Ecn::Ect0), &inner);
    inject(&tunnel.pair.a, &[odd]);
    soon("the alarm is counted", || {
        tunnel.path_b.counters().ecn_alarms == 1
    });
}

/// A packet as receive offload joins several: long, its checksum the sum of the pseudo header.
pub(crate) fn joined_segments(from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let mut tcp = vec![0x2a; 20 + payload];
    tcp[12..18].copy_from_slice(&[0x50, 0x10, 1, 1, 0, 0]);
    let len = u16::try_from(tcp.len()).unwrap();
    let pseudo = wire::pseudo_header_sum(from, to, 6, len);
    tcp[16..18].copy_from_slice(&pseudo.to_be_bytes());
    let inner = Ipv4Header {
        dont_fragment: true,
        ..header(6, from, to)
    };
    packet(inner, &tcp)
}

pub(crate) fn joined_segments_pass_a_smaller_mtu() {
    const PAYLOAD: usize = 20_000;
    let tunnel = Tunnel::new();
    // What receive offload does on a real interface, a long underlay MTU does here: one long packet.
    for netns in [&tunnel.pair.a, &tunnel.pair.b] {
        sh(netns, "ip link set eth0 mtu 65535");
    }
    let pod_addr = Ipv4Addr::new(10, 244, 244, 73);
    let pod = pod_behind(&tunnel.pair.b, pod_addr);
    let joined = joined_segments(IN_A, pod_addr, PAYLOAD);
    let mut live = Live::open(&pod, &name("eth0")).unwrap();
    let mut back = Live::open(&tunnel.pair.b, &name("tunl0")).unwrap();
    inject(&tunnel.pair.a, &[packet(header(4, A, B), &joined)]);
    let mut arrived = 0;
    while arrived < PAYLOAD {
        let frame = live.next_frame(SOON).unwrap();
        let frame = frame.expect("the segment at the pod");
        // ARP comes first.
        if let Ok(packet) = Ipv4View::parse(&frame.octets[14..], Layer::Inner)
            && packet.source() == IN_A
        {
            arrived += packet.payload().len() - 20;
        }
    }
    assert_eq!(arrived, PAYLOAD, "octets of payload");
    while let Some(frame) = back.next_frame(BRIEFLY).unwrap() {
        let packet = Ipv4View::parse(&frame.octets, Layer::Inner).unwrap();
        assert!(packet.protocol() != 1, "an ICMP error went back");
    }
}
