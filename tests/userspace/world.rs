//! Two nodes with the data path between them, and packets made by hand. Which data path, `crate::path` says: the
//! tests of each compile this file and its neighbours.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use ipip_core::addr::NodeAddr;
use ipip_core::datapath::Counters;
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::wire::{self, Ipv4Header};

use crate::path::{Path, start};
pub(crate) use crate::support::echo;
use crate::support::{A, B, Pair, sh, soon, try_sh};

/// The tunnel addresses of the two nodes.
pub(crate) const IN_A: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
pub(crate) const IN_B: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 65);

/// How long something that should come may take.
pub(crate) const SOON: Duration = Duration::from_secs(2);
/// How long to wait for something that should not come.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(150);

/// Two nodes with a running data path and routes through it.
pub(crate) struct Tunnel {
    pub(crate) path_a: Path,
    pub(crate) path_b: Path,
    // After the paths, so that it goes after them.
    pub(crate) pair: Pair,
}

impl Tunnel {
    pub(crate) fn new() -> Self {
        let pair = Pair::new();
        let tunnel = Self {
            path_a: start(&pair.a, A).unwrap(),
            path_b: start(&pair.b, B).unwrap(),
            pair,
        };
        configure(&tunnel.pair.a, IN_A, "10.244.244.64/26");
        configure(&tunnel.pair.b, IN_B, "10.244.79.0/26");
        tunnel
    }

    pub(crate) fn counters(&self) -> (Counters, Counters) {
        (self.path_a.counters(), self.path_b.counters())
    }
}

pub(crate) fn peers() -> Peers {
    Peers::from_iter([
        ("10.244.79.0/26".parse().unwrap(), NodeAddr(A)),
        ("10.244.244.64/26".parse().unwrap(), NodeAddr(B)),
    ])
}

pub(crate) fn configure(netns: &Netns, addr: Ipv4Addr, remote: &str) {
    let up = "ip link set tunl0 mtu 1480 up; sysctl -qw net.ipv4.conf.tunl0.forwarding=1";
    sh(netns, &format!("ip addr replace {addr}/32 dev tunl0; {up}"));
    sh(
        netns,
        &format!("ip route replace {remote} dev tunl0 src {addr}"),
    );
}

/// A pod behind a node, with the MTU of the tunnel.
pub(crate) fn pod_behind(node: &Netns, addr: Ipv4Addr) -> Netns {
    let pod = Netns::create_unnamed().unwrap();
    let veth = format!("ip link add cali0 type veth peer name eth0 netns {pod}");
    sh(node, &veth);
    let up = "ip link set eth0 mtu 1480 up";
    sh(&pod, &format!("ip addr add {addr}/32 dev eth0; {up}"));
    sh(node, "ip link set cali0 mtu 1480 up");
    sh(node, &format!("ip route add {addr} dev cali0"));
    sh(
        node,
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.cali0.proxy_arp=1",
    );
    sh(node, "ip route add default dev eth0");
    let gateway = "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1";
    sh(&pod, gateway);
    soon("the pod's interface is up", || {
        try_sh(&pod, "ip -o link show eth0").is_ok_and(|text| text.contains("state UP"))
    });
    pod
}

/// A UDP socket in `netns` that waits for what should come.
pub(crate) fn udp_socket(netns: &Netns, addr: Ipv4Addr, port: u16) -> UdpSocket {
    let bound = netns.enter(|| UdpSocket::bind((addr, port)));
    let socket = bound.unwrap().unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// How many raw sockets are open in a namespace.
pub(crate) fn open_raw_sockets(netns: &Netns) -> usize {
    let table = netns
        .enter(|| std::fs::read_to_string("/proc/thread-self/net/raw"))
        .unwrap()
        .unwrap();
    table.lines().count() - 1
}

/// An IPv4 packet around `payload`.
pub(crate) fn packet(header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; wire::HEADER_LEN];
    octets.extend_from_slice(payload);
    header.emit(&mut octets).unwrap();
    octets
}

pub(crate) fn header(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr) -> Ipv4Header {
    Ipv4Header {
        protocol,
        source,
        destination,
        ..Ipv4Header::default()
    }
}

/// A UDP datagram from `source` to port 4000 of B's tunnel address. Its checksum is what `checksum`
/// makes of the datagram with a zero in the field and of the pseudo header's sum.
pub(crate) fn udp(source: Ipv4Addr, data: &[u8], checksum: impl Fn(&[u8], u16) -> u16) -> Vec<u8> {
    udp_to(IN_B, source, data, checksum)
}

/// The same to port 4000 of `destination`.
pub(crate) fn udp_to(
    destination: Ipv4Addr,
    source: Ipv4Addr,
    data: &[u8],
    checksum: impl Fn(&[u8], u16) -> u16,
) -> Vec<u8> {
    let len = u16::try_from(8 + data.len()).unwrap();
    let mut datagram = [4001u16, 4000, len, 0].map(u16::to_be_bytes).concat();
    datagram.extend_from_slice(data);
    let pseudo = wire::pseudo_header_sum(source, destination, 17, len);
    let field = checksum(&datagram, pseudo).to_be_bytes();
    datagram[6..8].copy_from_slice(&field);
    packet(header(17, source, destination), &datagram)
}

/// The checksum that belongs in the field.
pub(crate) fn whole(datagram: &[u8], pseudo: u16) -> u16 {
    !wire::combine(wire::sum(datagram), pseudo)
}

/// Sends packets that bring their own header from `netns` to node B.
pub(crate) fn inject(netns: &Netns, packets: &[Vec<u8>]) {
    inject_to(B, netns, packets);
}

/// The same to node `node`.
pub(crate) fn inject_to(node: Ipv4Addr, netns: &Netns, packets: &[Vec<u8>]) {
    let socket = netns.enter(RawSocket::ipip).unwrap().unwrap();
    for packet in packets {
        assert!(socket.send(packet, node).unwrap(), "send buffer full");
    }
}
