//! What passes, in both directions.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::wire::{Ipv4View, Layer};

use crate::support::{Needs, Tcpdump, Test, sh, soon};
use crate::world::{
    BRIEFLY, IN_A, IN_B, SOON, Tunnel, echo, peers, pod_behind, udp, udp_socket, whole,
};

/// What any data path of ours must do.
pub(crate) const TESTS: &[Test] = &[
    (
        "echoes_come_back_and_are_counted",
        Needs::Root,
        echoes_come_back_and_are_counted,
    ),
    (
        "tcp_and_udp_pass_both_ways",
        Needs::Root,
        tcp_and_udp_pass_both_ways,
    ),
    (
        "the_mtu_is_used_to_the_last_octet",
        Needs::Root,
        the_mtu_is_used_to_the_last_octet,
    ),
    (
        "a_packet_too_long_for_the_underlay_is_answered",
        Needs::Root,
        a_packet_too_long_for_the_underlay_is_answered,
    ),
    (
        "a_packet_too_long_for_the_underlay_is_cut",
        Needs::Root,
        a_packet_too_long_for_the_underlay_is_cut,
    ),
    (
        "peers_change_at_run_time",
        Needs::Root,
        peers_change_at_run_time,
    ),
];

fn echoes_come_back_and_are_counted() {
    let tunnel = Tunnel::new();
    let oracle = Tcpdump::start(&tunnel.pair.a, "eth0", "ip proto 4");
    for sequence in 1..=10 {
        let came = echo(&tunnel.pair.a, IN_B, sequence, SOON);
        assert!(came, "no echo {sequence}");
    }
    let frames = oracle.stop_at(20);
    assert_eq!(frames.len(), 20, "frames with protocol 4");
    for frame in &frames {
        // Ethernet 14, outer 20, inner 20, ICMP 64.
        assert_eq!(frame.len(), 118, "frame length");
        let outer = Ipv4View::parse(&frame[14..], Layer::Outer).unwrap();
        let inner = Ipv4View::parse(outer.payload(), Layer::Inner).unwrap();
        assert_eq!(outer.protocol(), 4, "outer protocol");
        assert_eq!(outer.dont_fragment(), inner.dont_fragment(), "DF");
        assert_eq!(outer.ttl(), inner.ttl(), "TTL");
    }
    // A packet is counted once it is delivered, so the reply may be here before.
    soon("the last packet is counted", || {
        tunnel.path_a.counters().received.packets == 10
    });
    let (a, b) = tunnel.counters();
    for counters in [a, b] {
        let (sent, received) = (counters.sent, counters.received);
        assert_eq!((sent.packets, sent.octets), (10, 840), "sent");
        assert_eq!((received.packets, received.octets), (10, 840), "received");
        assert_eq!(counters.drops.total(), 0, "drops");
    }
}

/// Sends `len` octets over TCP and checks that they are the ones that arrive.
pub(crate) fn transfer(from: &Netns, to: &Netns, addr: Ipv4Addr, len: usize) {
    let listener = to.enter(|| TcpListener::bind((addr, 0))).unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent: Vec<u8> = (0..len).map(|at| (at % 251).to_le_bytes()[0]).collect();
    // Connected before it is accepted: a tunnel that does not carry fails here, and nobody waits.
    let stream = from
        .enter(|| TcpStream::connect_timeout(&(addr, port).into(), SOON))
        .unwrap()
        .unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    receiver.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    let received = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut stream = stream;
            stream.write_all(&sent)
        });
        let mut all = Vec::new();
        receiver.read_to_end(&mut all).unwrap();
        sending.join().unwrap().unwrap();
        all
    });
    assert!(received == sent, "{} of {len} octets", received.len());
}

fn tcp_and_udp_pass_both_ways() {
    let tunnel = Tunnel::new();
    let pair = &tunnel.pair;
    transfer(&pair.a, &pair.b, IN_B, 4 << 20);
    transfer(&pair.b, &pair.a, IN_A, 4 << 20);
    let here = udp_socket(&pair.a, IN_A, 0);
    let there = udp_socket(&pair.b, IN_B, 0);
    let mut buffer = [0; 9000];
    // The second does not fit one packet: its fragments pass one by one.
    for len in [1, 4000] {
        here.send_to(&vec![7; len], there.local_addr().unwrap())
            .unwrap();
        let (found, from) = there.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (found, from),
            (len, here.local_addr().unwrap()),
            "datagram there"
        );
        there.send_to(&buffer[..len], from).unwrap();
        assert_eq!(here.recv(&mut buffer).unwrap(), len, "datagram back");
    }
    let (a, b) = tunnel.counters();
    assert_eq!(a.drops.total(), 0, "drops");
    assert_eq!(b.drops.total(), 0, "drops");
    // The kernel finishes what it gives to a TUN reader. One packet in 65,536 has a checksum that
    // looks partial by chance; finishing changes nothing there, but it counts.
    assert!(a.checksums_finished < 5, "{a:?}");
}

/// Sends a datagram of `len` octets of data with DF set (`IP_MTU_DISCOVER` 2 is `IP_PMTUDISC_DO`),
/// by way of Python, which has the call; what it says, the length or the error number.
pub(crate) fn send_with_df(netns: &Netns, to: Ipv4Addr, len: usize) -> String {
    let script = format!(
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)
try: print(s.sendto(bytes({len}), (\\\"{to}\\\", 4000)))
except OSError as error: print(error.errno)"
    );
    let said = sh(netns, &format!("python3 -c \"{script}\""));
    said.trim_end().to_owned()
}

fn the_mtu_is_used_to_the_last_octet() {
    let tunnel = Tunnel::new();
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let oracle = Tcpdump::start(&tunnel.pair.b, "eth0", "ip proto 4");
    // 1480 less 28 octets of IPv4 and UDP.
    let said = send_with_df(&tunnel.pair.a, IN_B, 1452);
    assert_eq!(said, "1452", "sent");
    assert_eq!(there.recv(&mut [0; 2000]).unwrap(), 1452, "received");
    let said = send_with_df(&tunnel.pair.a, IN_B, 1453);
    assert_eq!(said, libc::EMSGSIZE.to_string(), "one octet more");
    let lengths: Vec<_> = oracle.stop_at(1).iter().map(Vec::len).collect();
    assert_eq!(lengths, vec![1514], "frames on the underlay");
}

/// The underlay carries less than the tunnel device thinks.
fn with_a_narrow_underlay() -> Tunnel {
    let tunnel = Tunnel::new();
    for netns in [&tunnel.pair.a, &tunnel.pair.b] {
        sh(netns, "ip link set eth0 mtu 1400");
    }
    tunnel
}

fn a_packet_too_long_for_the_underlay_is_answered() {
    let tunnel = with_a_narrow_underlay();
    let node = &tunnel.pair.a;
    let pod = pod_behind(node, Ipv4Addr::new(10, 244, 79, 20));
    for (sender, what) in [(&pod, "a pod"), (node, "the node")] {
        let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
        let before = tunnel.path_a.counters();
        // Too long, then what fits to the last octet: 1380 less 28 of IPv4 and UDP.
        let said = sh(sender, &format!("python3 -c \"{TOLD}\""));
        assert_eq!(said, "1380 90\n90\n1352\n", "MTU and sends of {what}");
        let received = there.recv(&mut [0; 2000]).unwrap();
        assert_eq!(received, 1352, "what fits, from {what}");
        let counters = tunnel.path_a.counters();
        let dropped = counters.drops.too_long - before.drops.too_long;
        assert_eq!(dropped, 1, "packets of {what} that were dropped");
    }
}

/// Sends with DF what is too long, says which MTU the socket knows once it has been told (`IP_MTU` is 14) and
/// the error that waits on it (`SO_ERROR` is 4, `EMSGSIZE` 90), and sends one octet too many and one less.
pub(crate) const TOLD: &str = "import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(0, 10, 2)
s.connect(('10.244.244.65', 4000))
before = s.getsockopt(0, 14)
s.send(bytes(1452))
for _ in range(1000):
    if s.getsockopt(0, 14) != before: break
    time.sleep(.01)
print(s.getsockopt(0, 14), s.getsockopt(1, 4))
for len in [1353, 1352]:
    try: print(s.send(bytes(len)))
    except OSError as error:
        print(error.errno)";

fn a_packet_too_long_for_the_underlay_is_cut() {
    let tunnel = with_a_narrow_underlay();
    let there = udp_socket(&tunnel.pair.b, IN_B, 4000);
    let oracle = Tcpdump::start(&tunnel.pair.b, "eth0", "ip proto 4");
    let whole = udp(IN_A, &[9; 1452], whole);
    let socket = tunnel.pair.a.enter(RawSocket::ipip).unwrap().unwrap();
    assert!(socket.send(&whole, IN_B).unwrap(), "sent");
    assert_eq!(there.recv(&mut [0; 2000]).unwrap(), 1452, "received");
    // Two whole outer packets around fragments: 20 and 20 and 1360 octets, and what is left of 1460.
    let lengths: Vec<_> = oracle.stop_at(2).iter().map(Vec::len).collect();
    assert_eq!(lengths, vec![14 + 1400, 14 + 140], "frames on the underlay");
    soon("one packet is counted", || {
        tunnel.path_a.counters().sent.packets == 1
    });
    let drops = tunnel.path_a.counters().drops;
    assert_eq!(drops.total(), 0, "drops");
}

fn peers_change_at_run_time() {
    let tunnel = Tunnel::new();
    let (pair, path_a) = (&tunnel.pair, &tunnel.path_a);
    let came = echo(&pair.a, IN_B, 1, SOON);
    assert!(came, "no echo");
    path_a.set_peers(Peers::new());
    let came = echo(&pair.a, IN_B, 2, BRIEFLY);
    assert!(!came, "an echo without a peer");
    assert_eq!(path_a.counters().drops.no_peer, 1, "no peer");
    let came = echo(&pair.b, IN_A, 3, BRIEFLY);
    assert!(!came, "an echo from a stranger");
    assert_eq!(path_a.counters().drops.unknown_node, 1, "unknown node");
    path_a.set_peers(peers());
    let came = echo(&pair.a, IN_B, 4, SOON);
    assert!(came, "no echo any more");
}
