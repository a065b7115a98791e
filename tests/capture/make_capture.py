"""Writes a capture of many different packets, most of them in a tunnel: make_capture.py FILE SEED COUNT.

The frames come from scapy, which shares no code with ipip: UDP, TCP and ICMP echo in IPv4 and IPv6, with IPv4 and TCP
options, VLAN tags, wrong checksums, as fragments of the inner and of the outer packet, and cut by the capture.
"""

import random
import sys

from scapy.all import *  # noqa: F403

MACS = ["ee:ee:ee:ee:ee:ee", "0a:00:00:00:00:01", "0a:00:00:00:00:02"]
OPTIONS = [[], [], [], [IPOption_RR()], [IPOption_NOP(), IPOption_Timestamp()], [IPOption_Router_Alert()]]
TCP_OPTIONS = [
    [],
    [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 0)), ("NOP", None), ("WScale", 7)],
    [("NOP", None), ("NOP", None), ("Timestamp", (70000, 4294967295))],
    [("NOP", None), ("NOP", None), ("SAck", (1, 2, 5, 9))],
]


def payload(r):
    return Raw(r.randbytes(r.choice([0, 1, 2, 19, 64, 65, 333, 1200])))


def transport(r, v6):
    kind = r.randrange(5)
    wrong = {"chksum": r.randrange(1, 65535)} if r.random() < 0.1 else {}
    ports = {"sport": r.randrange(61000, 61999), "dport": r.randrange(61000, 61999)}
    if kind <= 1:
        return UDP(**ports, **wrong) / payload(r)
    if kind <= 3:
        return TCP(
            **ports,
            **wrong,
            seq=r.getrandbits(32),
            ack=r.getrandbits(32),
            flags=r.choice(["S", "SA", "A", "PA", "FA", "RA", "PAU", "AEC"]),
            window=r.getrandbits(16),
            urgptr=r.choice([0, 7]),
            options=r.choice(TCP_OPTIONS),
        ) / payload(r)
    if v6:
        return r.choice([ICMPv6EchoRequest, ICMPv6EchoReply])(id=r.getrandbits(16), seq=r.getrandbits(16)) / payload(r)
    return ICMP(type=r.choice([0, 8]), id=r.getrandbits(16), seq=r.getrandbits(16), **wrong) / payload(r)


def ipv4(r, src, dst, **fields):
    if r.random() < 0.03:
        fields["chksum"] = r.getrandbits(16)
    return IP(
        src=src,
        dst=dst,
        id=r.getrandbits(16),
        tos=r.choice([0, 0, 0, r.getrandbits(8)]),
        ttl=r.choice([1, 62, 63, 64, 255]),
        options=r.choice(OPTIONS),
        **{"flags": r.choice(["", "DF"]), **fields},
    )


def bytes_of_fragments(r, packet):
    """The packet, or one of its fragments."""
    whole = IP(bytes(packet))
    if r.random() < 0.1 and len(whole.payload) > 80:
        whole.flags = 0
        del whole.chksum
        return bytes(r.choice(fragment(IP(bytes(whole)), 64)))
    return bytes(packet)


def packet(r):
    """An EtherType and the packet."""
    inner4 = lambda: bytes_of_fragments(r, ipv4(r, f"10.244.79.{r.randrange(64)}", "10.244.244.73") / transport(r, False))
    v6 = lambda: IPv6(
        src="fd00::1", dst=f"fd00::{r.getrandbits(16):x}", tc=r.getrandbits(8), fl=r.getrandbits(20), hlim=r.choice([1, 64])
    )
    kind = r.randrange(10)
    outer = lambda proto: ipv4(r, "172.18.0.3", f"172.18.0.{r.randrange(2, 9)}", proto=proto)
    if kind <= 5:
        return 0x0800, bytes_of_fragments(r, outer(4) / Raw(inner4()))
    if kind <= 7:
        return 0x0800, inner4()
    if kind == 8:
        return 0x86DD, bytes(v6() / transport(r, True))
    if r.random() < 0.5:
        return 0x0800, bytes(outer(41) / Raw(bytes(v6() / transport(r, True))))
    whole = v6()
    whole.nh = 4
    return 0x86DD, bytes(whole / Raw(inner4()))


def frame(r):
    kind, octets = packet(r)
    tags = b""
    for tpid in r.choice([[], [], [], [0x8100], [0x88A8, 0x8100]]):
        tags += struct.pack("!HH", tpid, r.getrandbits(16))
    ends = b"".join(bytes.fromhex(mac.replace(":", "")) for mac in r.sample(MACS, 2))
    return ends + tags + struct.pack("!H", kind) + octets


def main(file, seed, count):
    r = random.Random(int(seed))
    writer = RawPcapWriter(file, linktype=1, nano=True)
    writer.write_header(None)
    for number in range(int(count)):
        octets = frame(r)
        kept = octets[: r.randrange(14, 200)] if r.random() < 0.15 else octets
        writer.write_packet(kept, sec=1_700_000_000 + number, usec=r.randrange(10**9), wirelen=len(octets))
    writer.close()


main(*sys.argv[1:])
