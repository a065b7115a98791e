"""Packets against scapy and dpkt, which share no code with ipip."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import dpkt
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw
from scapy.utils import checksum as scapy_checksum

import ipip

LOCAL, REMOTE = "172.18.0.3", "172.18.0.2"
OUTER = ipip.Outer(local=LOCAL, remote=REMOTE)


def inner_packets(seed: int, count: int) -> list[bytes]:
    """Packets of all kinds, built by scapy."""
    chance = random.Random(seed)
    packets = []
    for _ in range(count):
        header = IP(
            src=f"10.244.79.{chance.randrange(256)}",
            dst=f"10.244.244.{chance.randrange(256)}",
            ttl=chance.randrange(1, 256),
            tos=chance.randrange(256),
            id=chance.randrange(65536),
            flags=chance.choice(["", "DF", "MF"]),
        )
        data = chance.randbytes(chance.choice([0, 1, 7, 56, 1400]))
        transport = chance.choice([ICMP(), UDP(sport=5, dport=6), TCP(sport=7, dport=8)])
        packets.append(bytes(header / transport / Raw(data)))
    return packets


def kernel_tos(inner: int) -> int:
    """What Linux makes of an inner TOS: DSCP 0, ECN kept, congestion as ECT(0)."""
    ecn = inner & 3
    return 2 if ecn == 3 else ecn


def test_encapsulated_packets_decode_in_scapy_and_dpkt() -> None:
    for inner in inner_packets(1, 200):
        packet = ipip.encapsulate(inner, OUTER)
        assert packet[20:] == inner
        seen, read = IP(packet), IP(inner)
        assert (seen.src, seen.dst, seen.proto, seen.ihl, seen.len) == (LOCAL, REMOTE, 4, 5, len(packet))
        assert (seen.ttl, seen.tos, seen.id, seen.frag) == (read.ttl, kernel_tos(read.tos), 0, 0)
        assert seen.flags.DF == read.flags.DF and not seen.flags.MF
        del seen.chksum  # scapy computes it again
        assert bytes(seen)[:20] == packet[:20]
        again = dpkt.ip.IP(packet)
        assert (again.p, again.len, dpkt.in_cksum(packet[:20])) == (4, len(packet), 0)
        assert ipip.decapsulate(packet) == inner


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ({"ttl": 64}, {"ttl": 64, "tos": 2, "df": False}),
        ({"dscp": None, "ecn": "normal"}, {"ttl": 9, "tos": 0xBB, "df": False}),
        ({"dscp": 63, "ecn": "compatibility"}, {"ttl": 9, "tos": 0xFC, "df": False}),
        ({"dont_fragment": True, "identification": 0xBEEF}, {"ttl": 9, "tos": 2, "df": True}),
    ],
)
def test_policies_reach_the_wire(policies: dict[str, object], expected: dict[str, object]) -> None:
    inner = bytes(IP(src="10.0.0.1", dst="10.0.0.2", ttl=9, tos=0xBB) / UDP())
    outer = ipip.Outer(local=LOCAL, remote=REMOTE, **policies)  # type: ignore[arg-type]
    seen = IP(ipip.encapsulate(inner, outer))
    assert {"ttl": seen.ttl, "tos": seen.tos, "df": bool(seen.flags.DF)} == expected
    assert seen.id == policies.get("identification", 0)


def test_parse_agrees_with_dpkt() -> None:
    for inner in inner_packets(2, 100):
        packet = ipip.encapsulate(inner, OUTER)
        header, read = ipip.parse(packet).inner, dpkt.ip.IP(inner)
        assert header.source.packed == read.src and header.destination.packed == read.dst
        assert (header.ttl, header.protocol, header.identification) == (read.ttl, read.p, read.id)
        assert (header.total_len, header.checksum) == (read.len, read.sum)
        assert (header.dscp << 2 | header.ecn) == read.tos
        assert (header.dont_fragment, header.more_fragments) == (bool(read.df), bool(read.mf))
        assert header.is_fragment == header.more_fragments


def test_padding_stays_out() -> None:
    inner = inner_packets(3, 1)[0]
    packet = ipip.encapsulate(inner + b"padding", OUTER)
    assert packet[20:] == inner
    assert ipip.decapsulate(packet + b"more") == inner


def test_checksum_agrees_with_scapy_and_dpkt() -> None:
    chance = random.Random(4)
    for length in [0, 1, 2, 3, 19, 20, 63, 64, 65, 1499, 1500, 65535]:
        octets = chance.randbytes(length)
        assert ipip.checksum(octets) == scapy_checksum(octets) == dpkt.in_cksum(octets)
    assert ipip.checksum(b"\xff" * 65535) == scapy_checksum(b"\xff" * 65535)


def test_built_packets_decode_in_scapy() -> None:
    packet = ipip.ipv4_packet(
        ipip.echo_request(7, 1, b"data"),
        source="10.244.79.20",
        destination="10.244.244.73",
        protocol=1,
        ttl=63,
        dscp=46,
        ecn=1,
        identification=0x1234,
        dont_fragment=True,
    )
    by_scapy = IP(src="10.244.79.20", dst="10.244.244.73", ttl=63, tos=46 << 2 | 1, id=0x1234, flags="DF")
    assert packet == bytes(by_scapy / ICMP(id=7, seq=1) / Raw(b"data"))
    piece = ipip.ipv4_packet(b"8 octets", source="1.2.3.4", destination="5.6.7.8", protocol=17, more_fragments=True,
                             fragment_offset=8191)  # fmt: skip
    seen = IP(piece)
    assert (seen.frag, bool(seen.flags.MF), seen.proto) == (8191, True, 17)


def test_in_place_touches_the_headroom_alone() -> None:
    inner = inner_packets(5, 1)[0]
    buffer = bytearray(b"\xa5" * 27 + inner + b"\xa5" * 9)
    packet = ipip.encapsulate_into(buffer, 27, OUTER)
    assert packet == ipip.encapsulate(inner, OUTER)
    assert packet.obj is buffer
    assert buffer[:7] == b"\xa5" * 7 and buffer[-9:] == b"\xa5" * 9


@pytest.mark.parametrize(
    ("headroom", "kind"),
    [(0, "Headroom"), (19, "Headroom"), (27, "Version"), (10_000, "Truncated"), (2**62, "Truncated")],
)
def test_a_refused_packet_leaves_the_buffer(headroom: int, kind: str) -> None:
    buffer = bytearray(b"\xa5" * 100)
    with pytest.raises(ipip.PacketError) as caught:
        ipip.encapsulate_into(buffer, headroom, OUTER)
    assert caught.value.kind == kind
    assert buffer == b"\xa5" * 100


def test_limits_of_what_can_be_written() -> None:
    largest = ipip.ipv4_packet(bytes(65_515 - 20), source="1.2.3.4", destination="5.6.7.8", protocol=0)
    assert len(ipip.encapsulate(largest, OUTER)) == 65_535
    builds: list[Callable[[], bytes]] = [
        lambda: ipip.encapsulate(ipip.ipv4_packet(bytes(65_496), source="1.2.3.4", destination="5.6.7.8", protocol=0), OUTER),
        lambda: ipip.ipv4_packet(bytes(65_516), source="1.2.3.4", destination="5.6.7.8", protocol=0),
        lambda: ipip.echo_request(0, 0, bytes(65_508)),
    ]
    for build in builds:
        with pytest.raises(ipip.PacketError) as caught:
            build()
        assert caught.value.kind == "PacketTooLong"
        assert caught.value.found == (caught.value.max or 0) + 1
    with pytest.raises(ipip.PacketError) as caught:
        ipip.encapsulate(ipip.ipv4_packet(b"", source="1.2.3.4", destination="5.6.7.8", protocol=0, ttl=0), OUTER)
    assert (caught.value.kind, caught.value.layer) == ("TtlZero", "inner")


def test_whatever_comes_is_a_packet_or_a_packet_error() -> None:
    chance = random.Random(6)
    good = ipip.encapsulate(inner_packets(7, 1)[0], OUTER)
    accepted = 0
    for _ in range(3000):
        octets = bytearray(good[: chance.randrange(len(good) + 1)])
        for _ in range(chance.randrange(4)):
            if octets:
                octets[chance.randrange(len(octets))] = chance.randrange(256)
        try:
            ipip.decapsulate(octets)
            accepted += 1
        except ipip.PacketError as error:
            assert error.kind and str(error)
    assert 0 < accepted < 3000


def test_partial_checksums_of_odd_packets() -> None:
    udp = bytearray(bytes(IP(src="1.2.3.4", dst="5.6.7.8") / UDP() / Raw(b"odd")))
    assert ipip.finish_partial_checksum(udp) == "not_partial"
    assert ipip.finish_partial_checksum(bytearray(bytes(IP() / ICMP()))) == "not_applicable"
    pseudo = struct.pack("!4s4sBBH", bytes([1, 2, 3, 4]), bytes([5, 6, 7, 8]), 0, 17, 11)
    udp[26:28] = (0xFFFF - scapy_checksum(pseudo)).to_bytes(2, "big")
    assert ipip.finish_partial_checksum(udp) == "finished"
    finished = IP(bytes(udp))
    found = finished[UDP].chksum
    del finished[UDP].chksum
    assert IP(bytes(finished))[UDP].chksum == found
