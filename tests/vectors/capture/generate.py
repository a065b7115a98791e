"""Makes frames.txt: frames built by scapy, and what tcpdump says of them.

Run it in this directory with scapy 2.8.0 and tcpdump 4.99.3 installed.
"""

import subprocess
import tempfile

from scapy.all import *  # noqa: F403

M = dict(src="ee:ee:ee:ee:ee:ee", dst="0a:00:00:00:00:01")
e = lambda p: Ether(**M) / p
i = IP(src="10.244.79.20", dst="10.244.244.73", id=7)
o = IP(src="172.18.0.3", dst="172.18.0.2", flags="DF", id=0)
big = fragment(i / ICMP(id=1, seq=3) / (b"x" * 64), fragsize=40)
inn = IP(bytes(i / UDP(sport=4000, dport=5000) / b"hello"))
intcp = IP(bytes(i / TCP(sport=4000, dport=5000)))
echo = i / ICMP(id=1, seq=1) / (b"a" * 56)
V = [
    ("encapsulated echo request", 1, e(o / echo)),
    ("echo request", 1, e(echo)),
    ("echo reply", 1, e(i / ICMP(type=0, id=1, seq=1) / (b"a" * 56))),
    ("echo request on tunl0", 101, echo),
    ("encapsulated echo on a raw link", 101, o / echo),
    ("two tunnels", 1, e(o / o / i / ICMP(id=1, seq=1))),
    ("udp", 1, e(i / UDP(sport=4000, dport=5000) / b"hello")),
    ("udp on tunl0", 101, i / UDP(sport=4000, dport=5000) / b"hello"),
    (
        "udp without checksum",
        1,
        e(i / UDP(sport=4000, dport=5000, chksum=0) / b"hello"),
    ),
    (
        "udp with a wrong checksum",
        1,
        e(i / UDP(sport=4000, dport=5000, chksum=0x1234) / b"hello"),
    ),
    ("tcp with a wrong checksum", 1, e(i / TCP(sport=4000, dport=5000, chksum=0x1234))),
    (
        "encapsulated tcp syn",
        1,
        e(
            o
            / i
            / TCP(
                sport=4000,
                dport=5000,
                flags="S",
                seq=100,
                window=64240,
                options=[
                    ("MSS", 1460),
                    ("SAckOK", b""),
                    ("Timestamp", (5, 0)),
                    ("NOP", None),
                    ("WScale", 7),
                ],
            )
        ),
    ),
    (
        "tcp data",
        101,
        i
        / TCP(sport=4000, dport=5000, flags="PA", seq=0xFFFFFFFE, ack=50, window=502)
        / b"hello",
    ),
    (
        "tcp sack",
        1,
        e(
            i
            / TCP(
                sport=4000,
                dport=5000,
                flags="A",
                seq=100,
                ack=50,
                window=502,
                options=[("NOP", None), ("NOP", None), ("SAck", (1, 2, 5, 9))],
            )
        ),
    ),
    (
        "tcp all flags",
        1,
        e(
            i
            / TCP(
                sport=4000,
                dport=5000,
                flags="FSRPAUEC",
                seq=100,
                ack=50,
                window=502,
                urgptr=7,
            )
        ),
    ),
    (
        "tcp no flags",
        1,
        e(i / TCP(sport=4000, dport=5000, flags=0, seq=100, ack=50, window=502)),
    ),
    (
        "tcp reset",
        1,
        e(i / TCP(sport=4000, dport=5000, flags="RA", seq=100, ack=9, window=0)),
    ),
    (
        "tcp unknown option and end",
        1,
        e(
            i
            / TCP(
                sport=4000,
                dport=5000,
                flags="S",
                seq=100,
                options=[(200, b"ab"), ("EOL", None)],
            )
        ),
    ),
    ("first fragment", 1, e(big[0])),
    ("later fragment", 1, e(big[1])),
    ("port unreachable udp", 1, e(i / ICMP(type=3, code=3) / inn)),
    ("port unreachable tcp", 1, e(i / ICMP(type=3, code=3) / intcp)),
    ("fragmentation needed", 1, e(i / ICMP(type=3, code=4, nexthopmtu=1480) / inn)),
    ("fragmentation needed without mtu", 1, e(i / ICMP(type=3, code=4) / inn)),
    ("net unreachable", 1, e(i / ICMP(type=3, code=0) / inn)),
    ("host unreachable", 1, e(i / ICMP(type=3, code=1) / inn)),
    ("protocol unreachable", 1, e(i / ICMP(type=3, code=2) / inn)),
    ("admin prohibited", 1, e(i / ICMP(type=3, code=13) / inn)),
    ("time exceeded", 1, e(i / ICMP(type=11, code=0) / inn)),
    ("reassembly time exceeded", 1, e(i / ICMP(type=11, code=1) / inn)),
    ("icmp of unknown type", 1, e(i / ICMP(type=99))),
    ("unknown protocol", 1, e(IP(src="1.1.1.1", dst="2.2.2.2", proto=200) / b"zzz")),
    (
        "header options",
        1,
        e(
            IP(src="10.244.79.20", dst="10.244.244.73", options=[IPOption_RR()])
            / ICMP(id=1, seq=1)
        ),
    ),
    (
        "arp request",
        1,
        e(ARP(op=1, psrc="10.244.79.20", hwsrc=M["src"], pdst="169.254.1.1")),
    ),
    (
        "arp reply",
        1,
        e(
            ARP(
                op=2,
                psrc="169.254.1.1",
                hwsrc=M["src"],
                pdst="10.244.79.20",
                hwdst=M["dst"],
            )
        ),
    ),
    (
        "arp unicast request",
        1,
        e(
            ARP(
                op=1,
                psrc="1.1.1.2",
                hwsrc=M["src"],
                pdst="1.1.1.1",
                hwdst="00:00:00:00:00:01",
            )
        ),
    ),
    (
        "arp for oneself",
        1,
        e(ARP(op=1, psrc="1.1.1.1", hwsrc=M["src"], pdst="1.1.1.1")),
    ),
    (
        "arp without sender",
        1,
        e(ARP(op=1, psrc="0.0.0.0", hwsrc=M["src"], pdst="1.1.1.1")),
    ),
    ("vlan", 1, e(Dot1Q(vlan=5, prio=3) / o / echo)),
    ("padded to sixty octets", 1, Ether(bytes(e(i / ICMP(id=1, seq=1))) + b"\0" * 18)),
]
i6 = IPv6(src="fd00::1", dst="fd00::2")
U = UDP(sport=4000, dport=5000)
T = TCP(sport=4000, dport=5000, seq=5, ack=6, flags="PA")
A = ARP(op=1, psrc="10.244.79.20", hwsrc=M["src"], pdst="169.254.1.1")
pay = b"x" * 60


def sll(kind, ether_type, p):
    return Raw(struct.pack("!HHH8sH", kind, 1, 6, b"\xee" * 6 + b"\0\0", ether_type) + bytes(p))


def sll2(kind, ether_type, p):
    # An interface index that the machine running this has no name for.
    head = struct.pack("!HHIHBB8s", ether_type, 0, 424242, 1, kind, 6, b"\xee" * 6 + b"\0\0")
    return Raw(head + bytes(p))


outer = fragment(IP(bytes(IP(src="172.18.0.3", dst="172.18.0.2", id=3) / i / U / (b"y" * 100))), 64)
inner = fragment(IP(bytes(i / T / (b"y" * 100))), 64)
bad = bytearray(bytes(o / IP(src="10.244.79.20", dst="10.244.244.73", chksum=0x1234) / U / pay))
bad[10] ^= 0xFF
small = bytes(i / U / b"0123456789")
loose = IP(src="10.244.79.20", dst="10.244.244.73", id=7, proto=17) / Raw(small[20:] + b"z" * 8)
V += [
    ("udp shorter than its packet", 1, e(loose)),
    (
        "ipv6 long destination options",
        1,
        e(i6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)]) / U / pay),
    ),
    ("first outer fragment", 101, outer[0]),
    ("later outer fragment", 101, outer[1]),
    ("first inner fragment", 1, e(o / inner[0])),
    ("later inner fragment", 1, e(o / inner[1])),
    ("both header checksums wrong", 1, Ether(**M, type=0x800) / Raw(bytes(bad))),
    ("packet shorter than it says", 101, Raw(bytes(i / U / pay)[:60])),
    ("tunnel packet shorter than it says", 1, Ether(**M, type=0x800) / Raw(bytes(o / i / T / pay)[:80])),
    ("qinq", 1, e(Dot1AD(vlan=5, prio=1) / Dot1Q(vlan=6, id=1) / o / i / U / pay)),
    ("old qinq", 1, Ether(**M, type=0x9100) / Raw(bytes(Dot1Q(vlan=6) / i / U / pay))),
    ("ipv6 udp", 101, i6 / U / pay),
    ("ipv6 tcp", 1, e(i6 / T / pay)),
    ("ipv6 echo request", 101, i6 / ICMPv6EchoRequest(id=1, seq=2) / pay),
    ("ipv6 echo reply", 1, e(i6 / ICMPv6EchoReply(id=1, seq=2) / pay)),
    ("ipv6 too big", 101, i6 / ICMPv6PacketTooBig(mtu=1280) / i6 / U),
    ("ipv6 hop-by-hop", 1, e(i6 / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / U / pay)),
    ("ipv6 destination options", 101, i6 / IPv6ExtHdrDestOpt(options=[]) / T / pay),
    ("ipv6 without next header", 101, IPv6(src="fd00::1", dst="fd00::2", nh=59)),
    ("ipv6 unknown protocol", 101, IPv6(src="fd00::1", dst="fd00::2", nh=200) / pay),
    ("6in4", 101, o / i6 / U / pay),
    ("6in4 on ethernet", 1, e(o / i6 / T)),
    ("4in6", 101, i6 / i / U / pay),
    ("cooked", 113, sll(0, 0x800, o / i / U / pay)),
    ("cooked arp", 113, sll(1, 0x806, A)),
    ("cooked ipv6", 113, sll(4, 0x86DD, i6 / U)),
    ("tcp cut in its data", 101, i / T / pay, 50),
    ("tcp cut after its header", 1, e(o / i / T / pay), 74),
    ("udp cut in its data", 101, i / U / pay, 35),
    ("udp cut after its header", 1, e(o / i / U / pay), 62),
    ("echo cut in its data", 1, e(o / i / ICMP(id=1, seq=2) / pay), 65),
    ("ipv6 cut in its data", 101, i6 / T / pay, 70),
    *((f"cooked v2 type {t}", 276, sll2(t, 0x800, o / i / U / pay)) for t in range(6)),
    ("cooked v2 arp", 276, sll2(1, 0x806, A)),
]
out = [
    "# Frames and what tcpdump says of them, one entry a paragraph: name, link type, tcpdump's line",
    "# without the time, octets on the wire, octets captured. Made by generate.py with scapy 2.8.0 (python3) and tcpdump 4.99.3:",
    "#   tcpdump -n -S -r FILE        for link types 101 (raw IP), 113 and 276 (Linux cooked)",
    "#   tcpdump -n -S -e -r FILE     for link type 1 (Ethernet)",
]
for name, link, p, *cut in V:
    b = bytes(p)
    wire = len(b)
    b = b[: cut[0]] if cut else b
    f = tempfile.mktemp(suffix=".pcap")
    w = RawPcapWriter(f, linktype=link)
    w.write_header(None)
    w.write_packet(b, sec=1, usec=1, wirelen=wire)
    w.close()
    t = (
        subprocess.run(
            ["tcpdump", "-n", "-S"] + (["-e"] if link == 1 else []) + ["-r", f],
            capture_output=True,
            text=True,
        )
        .stdout.rstrip("\n")
        .split(" ", 1)[1]
    )
    out += ["", f"name: {name}", f"link: {link}", f"tcpdump: {t}", f"wire: {wire}"]
    out += [b[n : n + 16].hex(" ") for n in range(0, len(b), 16)]
open("frames.txt", "w").write("\n".join(out) + "\n")
