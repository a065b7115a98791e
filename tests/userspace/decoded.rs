//! What goes over the underlay, and what a pod hears from there, as tshark reads it.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;

use crate::path::{CUTS, start};
use crate::support::{A, Needs, Tcpdump, Test, sh};
use crate::traffic::{TOLD, transfer};
use crate::underlay::{Routed, heard};
use crate::world::{IN_A, IN_B, SOON, Tunnel, echo, pod_behind, udp, udp_socket, whole};

/// What any data path of ours must do; a guest takes minutes for tshark.
pub(crate) const TESTS: &[Test] = &[
    (
        "tshark_finds_no_fault",
        Needs::NoDriver,
        tshark_finds_no_fault,
    ),
    (
        "tshark_reads_relayed_errors",
        Needs::NoDriver,
        tshark_reads_relayed_errors,
    ),
];

/// A row of `fields` for each frame but ARP's, checksums verified. None is malformed.
pub(crate) fn read<const N: usize>(
    netns: &Netns,
    oracle: &mut Tcpdump,
    fields: [&str; N],
) -> Vec<[String; N]> {
    // tcpdump keeps frames back for a second.
    std::thread::sleep(Duration::from_millis(1500));
    let file = oracle.settle().display();
    let verify = ["ip", "tcp", "udp"].map(|of| format!("-o {of}.check_checksum:TRUE"));
    let verify = verify.join(" ");
    let asked = fields.map(|field| format!("-e {field}")).join(" ");
    // Once, since a guest takes seconds to start it.
    let told = sh(
        netns,
        &format!("tshark -r {file} {verify} -Y 'not arp' -T fields -e _ws.malformed {asked}"),
    );
    let row = |line: &str| {
        let (malformed, line) = line.split_once('\t').unwrap();
        assert_eq!(malformed, "", "malformed: {line}");
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let row = columns.try_into();
        row.unwrap_or_else(|_| panic!("{line}"))
    };
    told.lines().map(row).collect()
}

/// Every frame on the underlay: two IPv4 headers with right checksums, and an identification of its own for each packet
/// that may be cut; of others it means nothing (RFC 6864, 4.1), and of user space's the kernel makes it 0. Where user
/// space cuts segments, they are no longer than the underlay's MTU and their checksums are finished.
fn tshark_finds_no_fault() {
    let world = Tunnel::new();
    let pair = &world.pair;
    let mut oracle = Tcpdump::in_bulk(&pair.b, "eth0", 65_535);
    let _listens = udp_socket(&pair.b, IN_B, 4000);
    let socket = pair.a.enter(RawSocket::ipip).unwrap().unwrap();
    for sequence in 1..=20 {
        assert!(echo(&pair.a, IN_B, sequence, SOON), "no echo {sequence}");
        let datagram = udp(IN_A, b"may be cut", whole);
        assert!(socket.send(&datagram, IN_B).unwrap(), "sent");
    }
    transfer(&pair.a, &pair.b, IN_B, 1 << 20);
    let fields = [
        "ip.proto",
        "ip.checksum.status",
        "tcp.checksum.status",
        "ip.id",
        "ip.src",
        "ip.flags.df",
        "ip.len",
    ];
    let rows = read(&pair.b, &mut oracle, fields);
    let (mut identifications, mut segments) = (Vec::new(), 0);
    for row in &rows {
        let [protocols, checksums, tcp, id, sources, df, lens] = row.each_ref();
        assert!(
            matches!(&**protocols, "4,1" | "4,6" | "4,17"),
            "protocols: {row:?}"
        );
        assert_eq!(checksums, "1,1", "header checksums, 1 is good: {row:?}");
        let lens: Vec<u32> = lens.split(',').map(|len| len.parse().unwrap()).collect();
        assert_eq!(lens[0], lens[1] + 20, "lengths: {row:?}");
        if CUTS && protocols == "4,6" {
            assert_eq!(tcp, "1", "TCP checksum: {row:?}");
            assert!(lens[0] <= 1500, "length: {row:?}");
            segments += usize::from(lens[1] > 1400);
        }
        if sources.starts_with(&format!("{A},")) && df.starts_with('0') {
            identifications.extend(id.split(',').next().map(str::to_owned));
        }
    }
    // A MiB in segments of 1428 octets, but for the last of each that was cut.
    assert!(!CUTS || segments > 500, "{segments} segments");
    assert_eq!(identifications.len(), 20, "without DF: {rows:.400?}");
    identifications.sort_unstable();
    identifications.dedup();
    assert_eq!(identifications.len(), 20, "different identifications");
}

/// What a pod hears of a router that carries less, that a packet passes last, and that knows no way: type, code, MTU
/// and the packet that it sent itself, for which tshark finds all checksums right.
fn tshark_reads_relayed_errors() {
    const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 79, 20);
    let routed = Routed::of(start);
    let pod = pod_behind(&routed.a, POD);
    let _listens = udp_socket(&routed.b, IN_B, 4000);
    let mut oracle = Tcpdump::in_bulk(&pod, "eth0", 65_535);
    sh(&routed.router, "ip link set to_b mtu 1400");
    sh(&pod, &format!("python3 -c \"{TOLD}\""));
    heard(&pod, (IN_B, 2), 20);
    sh(&routed.router, "ip route replace unreachable 172.18.0.2");
    heard(&pod, (IN_B, 64), 20);
    sh(&routed.router, "ip route del 172.18.0.2");
    heard(&pod, (IN_B, 64), 20);
    let fields = [
        "icmp.type",
        "icmp.code",
        "icmp.mtu",
        "icmp.checksum.status",
        "ip.checksum.status",
        "ip.src",
        "ip.dst",
        "udp.dstport",
    ];
    let rows = read(&pod, &mut oracle, fields);
    let errors: Vec<_> = rows.iter().filter(|row| row[0] == "3").collect();
    for row in &errors {
        let [_, _, _, icmp, headers, source, destination, port] = row.each_ref();
        assert_eq!((&**icmp, &**headers), ("1", "1,1"), "checksums: {row:?}");
        assert_eq!(*source, format!("{A},{POD}"), "sources: {row:?}");
        assert_eq!(*destination, format!("{POD},{IN_B}"), "{row:?}");
        assert_eq!(port, "4000", "{row:?}");
    }
    let mut told: Vec<_> = errors.iter().map(|row| (&*row[1], &*row[2])).collect();
    told.dedup();
    assert_eq!(told, [("4", "1380"), ("1", ""), ("0", "")], "{rows:?}");
}
