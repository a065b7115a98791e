//! One node with the driver and a pod; its underlay is in the test's hands.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipip_core::capture::{Direction, LinkType, Live};
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::sys::tun::{NOTE_LEN, Note, Tun};

use crate::support::{name, sh};

/// The node under test, and one that is not there at all.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 3);
pub(crate) const REMOTE: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
/// The node's tunnel address, its pod, and an address of its block that nobody has.
pub(crate) const TUNNEL: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 1);
pub(crate) const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 21);
/// A pod of the other node.
pub(crate) const REMOTE_POD: Ipv4Addr = Ipv4Addr::new(10, 244, 244, 73);

/// How many packets are under way at once: fewer than the TUN device's queue takes (500).
const BATCH: usize = 100;
/// How long anything may take; a guest is slow, and only a fault takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long to look for what should not come.
const A_WHILE: Duration = Duration::from_millis(20);

pub(crate) struct Node {
    pub(crate) netns: Netns,
    pub(crate) pod: Netns,
    underlay: Tun,
}

/// As Calico sets both sides up; no reverse path filter, which would hide what the driver does.
const NODE_LINES: &str = "
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.ip_forward=1
ip link show tunl0 >/dev/null 2>&1 || ip link add tunl0 type ipip
ip link add cali0 type veth peer name eth0 netns POD_NETNS
sysctl -qw net.ipv4.conf.cali0.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
sysctl -qw net.ipv4.conf.cali0.proxy_arp=1 net.ipv4.neigh.cali0.proxy_delay=0
ip -batch - <<LINES
link set lo up
address add 172.18.0.3/16 dev eth0
link set eth0 up
route add default dev eth0
address add 10.244.79.1/32 dev tunl0
link set tunl0 mtu 1480 up
link set cali0 up
route add 10.244.244.64/26 via 172.18.0.2 dev tunl0 onlink
route add blackhole 10.244.79.0/26
route add 10.244.79.20/32 dev cali0
LINES";
const POD_LINES: &str = "
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip -batch - <<LINES
link set lo up
link set eth0 up
address add 10.244.79.20/32 dev eth0
route add 169.254.1.1/32 dev eth0 scope link
route add default via 169.254.1.1
LINES";

impl Node {
    pub(crate) fn new() -> Self {
        let netns = Netns::create_unnamed().unwrap();
        let pod = Netns::create_unnamed().unwrap();
        let underlay = netns.enter(|| Tun::create(&name("eth0"))).unwrap().unwrap();
        sh(&netns, &NODE_LINES.replace("POD_NETNS", &pod.to_string()));
        sh(&pod, POD_LINES);
        let node = Self {
            netns,
            pod,
            underlay,
        };
        node.until_the_pod_sends();
        node
    }

    /// The first packets of a veth are lost until its carrier is noticed.
    fn until_the_pod_sends(&self) {
        let packet = crate::inner::Inner::default().octets(POD, REMOTE_POD);
        let socket = socket(&self.pod);
        let deadline = Instant::now() + PATIENCE;
        while self.next().is_none() {
            assert!(Instant::now() < deadline, "nothing comes from the pod");
            socket.send(&packet, REMOTE_POD).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(50));
        while self.next().is_some() {}
    }

    /// What the node has sent to the underlay, if anything.
    pub(crate) fn next(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; NOTE_LEN + 65_535];
        let len = self.underlay.read(&mut buffer).unwrap()?.len;
        Some(buffer[NOTE_LEN..NOTE_LEN + len].to_vec())
    }

    /// What the node sends next to the underlay.
    #[track_caller]
    pub(crate) fn sent(&self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(packet) = self.next() {
                return packet;
            }
            assert!(Instant::now() < deadline, "nothing on the underlay");
            std::thread::yield_now();
        }
    }

    /// Sends packets with their own headers from `from`, the node itself or its pod, and returns as many
    /// from the underlay: more would be a fault.
    #[track_caller]
    pub(crate) fn carries(&self, from: &Netns, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let socket = socket(from);
        let mut outer = Vec::with_capacity(packets.len());
        for batch in packets.chunks(BATCH) {
            for packet in batch {
                let to = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[16..20]).unwrap());
                while !socket.send(packet, to).unwrap() {}
            }
            outer.extend(batch.iter().map(|_| self.sent()));
        }
        assert_eq!(self.next(), None, "one packet too many");
        outer
    }

    /// Puts a packet before the node, as received from the underlay.
    pub(crate) fn receives(&self, packet: &[u8]) {
        assert!(self.underlay.write(&[packet], Note::Plain).unwrap(), "full");
    }

    /// Does so with many, and returns what comes to the device at `at`, `expected` packets; more would be a
    /// fault. They are sorted: with two CPUs a packet may overtake another.
    #[track_caller]
    pub(crate) fn delivers(
        &self,
        at: &mut Live,
        packets: &[Vec<u8>],
        expected: usize,
    ) -> Vec<Vec<u8>> {
        let mut inner = Vec::new();
        for batch in packets.chunks(BATCH) {
            batch.iter().for_each(|packet| self.receives(packet));
            while let Some(packet) = incoming(at, Duration::ZERO) {
                inner.push(packet);
            }
        }
        while inner.len() < expected {
            let packet = incoming(at, PATIENCE);
            inner.push(packet.expect("as many packets"));
        }
        let more = incoming(at, A_WHILE);
        assert_eq!(more, None, "one packet too many");
        inner.sort();
        inner
    }

    /// Packets and errors that tunl0 has received, and how many of these were of the frame: the ECN drop.
    pub(crate) fn counted(&self) -> [u64; 3] {
        let text = sh(&self.netns, "ip -j -s -s link show tunl0");
        let links: serde_json::Value = serde_json::from_str(&text).unwrap();
        ["packets", "errors", "frame_errors"].map(|key| {
            let value = &links[0]["stats64"]["rx"][key];
            value.as_u64().unwrap_or_else(|| panic!("{key} in {text}"))
        })
    }
}

/// The next IPv4 packet that a device has received, not one that it sends.
pub(crate) fn incoming(live: &mut Live, timeout: Duration) -> Option<Vec<u8>> {
    while let Some(frame) = live.next_frame(timeout).unwrap() {
        let packet = match live.link_type() {
            LinkType::Ethernet if frame.octets[12..14] == [8, 0] => &frame.octets[14..],
            LinkType::RawIp => &frame.octets,
            _ => continue,
        };
        if frame.direction == Direction::Incoming {
            return Some(packet.to_vec());
        }
    }
    None
}

/// A raw socket for packets with their own header.
pub(crate) fn socket(netns: &Netns) -> RawSocket {
    netns.enter(RawSocket::ipip).unwrap().unwrap()
}
