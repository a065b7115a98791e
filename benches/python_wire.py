"""`benches/run wire`: reading 1,024 IPIP packets from Python, by a batch and by what else there is.

Every contestant yields the same fields of both headers, and those that check fewer faults than ipip are named so.
All take turns within a round, so that a busy machine slows all of them alike; each figure is the median
over rounds, each ratio the median of the rounds' own ratios.
"""

from __future__ import annotations

import random
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

import dpkt
import numpy
from scapy.layers.inet import IP

import ipip

PACKETS = 1024
ROUNDS = 15
TARGET = 20
TUNNEL = ipip.Encapsulator(ipip.Outer(local="172.18.0.3", remote="172.18.0.2"))
#: Of each header, in the order of `struct` below; then outer and inner follow each other.
COLUMNS = ("dscp", "ecn", "total_len", "identification", "dont_fragment", "ttl", "protocol", "checksum", "source", "destination")

Fields = tuple[int, ...]
HEADER = struct.Struct("!BBHHHBBHII")
WORDS = struct.Struct("!10H")


def corpus(payload: int) -> tuple[bytes, numpy.ndarray]:
    """The packets in one buffer, and where they lie."""
    chance = random.Random(payload)
    buffer, spans = bytearray(), []
    for number in range(PACKETS):
        inner = ipip.ipv4_packet(
            chance.randbytes(payload),
            source=IPv4Address(0x0AF44F00 + chance.randrange(256)),
            destination=IPv4Address(0x0AF4F400 + chance.randrange(256)),
            protocol=17,
            ttl=chance.randrange(1, 256),
            dscp=chance.randrange(64),
            identification=number,
            dont_fragment=chance.random() < 0.5,
        )
        packet = TUNNEL.encapsulate(inner, identification=chance.randrange(65536))
        spans.append((len(buffer), len(packet)))
        buffer += packet
    return bytes(buffer), numpy.array(spans, numpy.uint64)


def batch(buffer: bytes | bytearray, spans: numpy.ndarray) -> list[numpy.ndarray]:
    """Every column of both headers, as NumPy has it."""
    read = ipip.parse_batch(buffer, spans)
    assert read.good == PACKETS
    return [numpy.asarray(getattr(header, name)) for header in (read.outer, read.inner) for name in COLUMNS]


def single(buffer: bytes, slices: list[slice]) -> list[Fields]:
    """One call a packet, on a slice of the buffer."""
    result: list[Fields] = []
    for part in slices:
        packet = ipip.parse(buffer[part])
        outer, inner = packet.outer, packet.inner
        result.append((
            outer.dscp, outer.ecn, outer.total_len, outer.identification, outer.dont_fragment, outer.ttl, outer.protocol,
            outer.checksum, int(outer.source), int(outer.destination),
            inner.dscp, inner.ecn, inner.total_len, inner.identification, inner.dont_fragment, inner.ttl, inner.protocol,
            inner.checksum, int(inner.source), int(inner.destination),
        ))  # fmt: skip
    return result


def by_hand(buffer: bytes, slices: list[slice], *, checked: bool) -> list[Fields]:
    """What a careful Python programmer writes with `struct`; `checked` sums both headers too."""
    unpack, words = HEADER.unpack_from, WORDS.unpack_from
    result: list[Fields] = []
    for part in slices:
        at, end = part.start, part.stop
        first, tos, length, ident, frag, ttl, protocol, check, source, destination = unpack(buffer, at)
        if first != 0x45 or length > end - at or length < 40 or protocol != 4 or frag & 0x3FFF:
            raise ValueError("outer")
        if checked:
            total = sum(words(buffer, at))
            if ((total >> 16) + (total & 0xFFFF)) % 0xFFFF:
                raise ValueError("outer checksum")
        at += 20
        first, tos2, length2, ident2, frag2, ttl2, protocol2, check2, source2, destination2 = unpack(buffer, at)
        if first != 0x45 or length2 > length - 20:
            raise ValueError("inner")
        if checked:
            total = sum(words(buffer, at))
            if ((total >> 16) + (total & 0xFFFF)) % 0xFFFF:
                raise ValueError("inner checksum")
        result.append((
            tos >> 2, tos & 3, length, ident, frag & 0x4000 != 0, ttl, protocol, check, source, destination,
            tos2 >> 2, tos2 & 3, length2, ident2, frag2 & 0x4000 != 0, ttl2, protocol2, check2, source2, destination2,
        ))  # fmt: skip
    return result


def by_dpkt(buffer: bytes, slices: list[slice]) -> list[Fields]:
    """dpkt's objects; it checks no checksum."""
    number, result = int.from_bytes, []
    for part in slices:
        outer = dpkt.ip.IP(buffer[part])
        fields: list[int] = []
        for ip in (outer, outer.data):
            fields += (ip.tos >> 2, ip.tos & 3, ip.len, ip.id, bool(ip.df), ip.ttl, ip.p, ip.sum,
                       number(ip.src, "big"), number(ip.dst, "big"))  # fmt: skip
        result.append(tuple(fields))
    return result


def by_scapy(buffer: bytes, slices: list[slice]) -> list[Fields]:
    """scapy's layers; it checks no checksum."""
    number, result = int.from_bytes, []
    for part in slices:
        outer = IP(buffer[part])
        fields: list[int] = []
        for ip in (outer, outer.payload):
            source, destination = (number(bytes(map(int, text.split("."))), "big") for text in (ip.src, ip.dst))
            fields += (ip.tos >> 2, ip.tos & 3, ip.len, ip.id, bool(ip.flags.DF), ip.ttl, ip.proto, ip.chksum, source, destination)
        result.append(tuple(fields))
    return result


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(payload: int) -> bool:
    """Prints one table; whether the batch is as fast as it should be."""
    buffer, spans = corpus(payload)
    shared = bytearray(buffer)
    slices = [slice(offset, offset + length) for offset, length in spans.tolist()]
    contestants: dict[str, tuple[Callable[[], Iterable[object]], int]] = {
        "ipip.parse_batch, all columns": (lambda: batch(buffer, spans), 20),
        "ipip.parse_batch of a bytearray": (lambda: batch(shared, spans), 20),
        "struct by hand, checksums checked": (lambda: by_hand(buffer, slices, checked=True), 1),
        "struct by hand, unchecked": (lambda: by_hand(buffer, slices, checked=False), 1),
        "ipip.parse": (lambda: single(buffer, slices), 1),
        "dpkt, unchecked": (lambda: by_dpkt(buffer, slices), 1),
        "scapy, unchecked": (lambda: by_scapy(buffer, slices), 1),
    }
    expected = by_hand(buffer, slices, checked=True)
    for name, (call, _) in contestants.items():
        found = list(call())
        if "batch" in name:
            found = list(zip(*(column.tolist() for column in found), strict=True))  # type: ignore[attr-defined]
        assert found == expected, f"{name} reads other fields"
    reached = False
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, (call, repeats) in contestants.items():
            times[name].append(sum(seconds(call) for _ in range(repeats)) / repeats)
    first = next(iter(contestants))
    print(f"inner packets of {payload + 20} octets: {'':<17}{'ns per packet':>14}{'x the batch':>13}")
    for name, series in times.items():
        ratio = statistics.median(theirs / ours for theirs, ours in zip(series, times[first], strict=True))
        print(f"  {name:<48}{statistics.median(series) / PACKETS * 1e9:>12.1f}{ratio:>13.1f}")
        if name == "struct by hand, checksums checked":
            reached = ratio >= TARGET
    print(f"  target: struct by hand, doing the same checks, takes {TARGET} times as long or more: {'met' if reached else 'MISSED'}")
    return reached


def main() -> int:
    print(f"Python {sys.version.split()[0]}, NumPy {numpy.__version__}, {PACKETS} packets, {ROUNDS} rounds")
    results = [report(payload) for payload in (64, 1440)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
