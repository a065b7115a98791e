"""Frames explained: tcpdump's lines, and every field of every dataclass as scapy has it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, get_args

import pytest
from captures import TIME_NS, Vector, by_scapy, vectors
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, _ICMPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import NoPayload, Packet, Padding

import ipip
from ipip import capture

VECTORS = vectors()


def vector(name: str) -> ipip.Frame:
    (frame,) = (vector.frame for vector in VECTORS if vector.name == name)
    return frame


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_line_is_tcpdumps(vector: Vector) -> None:
    assert vector.frame.line() == str(vector.frame) == vector.line


def test_a_tree_is_as_wireshark_shows_it() -> None:
    tree = vector("encapsulated echo request").tree()
    assert [line for line in tree.splitlines() if not line.startswith(" ")] == [
        "Frame: 118 octets on the wire, 118 octets captured",
        "Ethernet II, Src: ee:ee:ee:ee:ee:ee, Dst: 0a:00:00:00:00:01",
        "Internet Protocol Version 4, Src: 172.18.0.3, Dst: 172.18.0.2",
        "Internet Protocol Version 4, Src: 10.244.79.20, Dst: 10.244.244.73",
        "Internet Control Message Protocol",
    ]


# For each dataclass scapy's classes, and for each field what scapy has of it. A checksum's verdict is asked of scapy by
# letting it compute the checksum again.

Fields = dict[str, Callable[[Packet], object]]


def bit(name: str) -> Callable[[Packet], object]:
    return lambda packet: bool(getattr(packet.flags, name))


def again(packet: Packet, field: str) -> int:
    """The checksum as scapy computes it, in the header around it."""
    whole = packet.underlayer.copy() if packet.underlayer is not None and not isinstance(packet, IP) else packet.copy()
    inner = whole.getlayer(type(packet))
    inner.delfieldval(field)
    return int(getattr(type(whole)(bytes(whole)).getlayer(type(packet)), field))


def header(packet: Packet) -> bytes:
    return bytes(packet)[: 4 * (packet.ihl if isinstance(packet, IP) else packet.dataofs)]


FIELDS: dict[type, Fields] = {
    capture.Ethernet: {"source": lambda p: p.src, "destination": lambda p: p.dst, "ether_type": lambda p: p.type},
    capture.Vlan: {
        "id": lambda p: p.vlan,
        "priority": lambda p: p.prio,
        "drop_eligible": lambda p: bool(p.fields.get("dei", p.fields.get("id"))),
        "ether_type": lambda p: p.type,
    },
    capture.Cooked: {
        "packet_type": lambda p: p.pkttype,
        "hardware_type": lambda p: p.lladdrtype,
        "interface": lambda p: p.fields.get("ifindex"),
        "address": lambda p: p.src.ljust(8, b"\0"),
        "address_len": lambda p: p.lladdrlen,
        "ether_type": lambda p: p.proto,
    },
    capture.Arp: {
        "operation": lambda p: p.op,
        "sender_mac": lambda p: p.hwsrc,
        "sender": lambda p: IPv4Address(p.psrc),
        "target_mac": lambda p: p.hwdst,
        "target": lambda p: IPv4Address(p.pdst),
    },
    capture.Ipv4: {
        "header_len": lambda p: p.ihl * 4,
        "dscp": lambda p: p.tos >> 2,
        "ecn": lambda p: p.tos & 3,
        "total_len": lambda p: p.len,
        "identification": lambda p: p.id,
        "reserved_flag": bit("evil"),
        "dont_fragment": bit("DF"),
        "more_fragments": bit("MF"),
        "fragment_offset": lambda p: p.frag * 8,
        "ttl": lambda p: p.ttl,
        "protocol": lambda p: p.proto,
        "checksum": lambda p: p.chksum,
        "source": lambda p: IPv4Address(p.src),
        "destination": lambda p: IPv4Address(p.dst),
        "options": lambda p: header(p)[20:],
        "missing": lambda p: max(0, p.len - len(bytes(p))),
    },
    capture.Ipv6: {
        "dscp": lambda p: p.tc >> 2,
        "ecn": lambda p: p.tc & 3,
        "flow_label": lambda p: p.fl,
        "payload_len": lambda p: p.plen,
        "next_header": lambda p: p.nh,
        "hop_limit": lambda p: p.hlim,
        "source": lambda p: IPv6Address(p.src),
        "destination": lambda p: IPv6Address(p.dst),
        "missing": lambda p: max(0, p.plen + 40 - len(bytes(p))),
    },
    capture.Icmp: {
        "version": lambda p: 4 if isinstance(p, ICMP) else 6,
        "type": lambda p: p.type,
        "code": lambda p: p.code,
        "checksum": lambda p: p.fields.get("chksum", p.fields.get("cksum")),
        "rest": lambda p: bytes(p)[4:8],
        "message_len": lambda p: len(bytes(p)),
    },
    capture.Udp: {
        "source_port": lambda p: p.sport,
        "destination_port": lambda p: p.dport,
        "len": lambda p: p.len,
        "checksum": lambda p: p.chksum,
    },
    capture.Tcp: {
        "source_port": lambda p: p.sport,
        "destination_port": lambda p: p.dport,
        "sequence": lambda p: p.seq,
        "acknowledgement": lambda p: p.ack,
        "header_len": lambda p: p.dataofs * 4,
        "flags": lambda p: int(p.flags),
        "window": lambda p: p.window,
        "checksum": lambda p: p.chksum,
        "urgent": lambda p: p.urgptr,
        "options": lambda p: header(p)[20:],
        "data_len": lambda p: len(bytes(p)) - p.dataofs * 4,
    },
}
CLASSES: list[tuple[type, type]] = [
    (Ether, capture.Ethernet),
    (Dot1AD, capture.Vlan),
    (Dot1Q, capture.Vlan),
    (CookedLinux, capture.Cooked),
    (CookedLinuxV2, capture.Cooked),
    (ARP, capture.Arp),
    (IP, capture.Ipv4),
    (IPv6, capture.Ipv6),
    (ICMP, capture.Icmp),
    (_ICMPv6, capture.Icmp),
    (UDP, capture.Udp),
    (TCP, capture.Tcp),
]
LINKS: dict[object, type[Packet]] = {"ethernet": Ether, "linux_sll": CookedLinux, "linux_sll2": CookedLinuxV2}


def theirs(frame: ipip.Frame) -> list[Packet]:
    """scapy's headers."""
    packet = LINKS.get(frame.link_type, IPv6 if frame.data[0] >> 4 == 6 else IP)(frame.data)
    if Padding in packet:
        packet[Padding].underlayer.remove_payload()
    headers = []
    while not isinstance(packet, NoPayload):
        headers.append(packet)
        packet = packet.payload
    return headers


def compare(frame: ipip.Frame, met: Counter[str]) -> None:
    """Each header that both read, up to the first that one of them does not."""
    for ours, packet in zip(frame.layers, theirs(frame)):
        expected = next((ours_class for theirs_class, ours_class in CLASSES if isinstance(packet, theirs_class)), None)
        if expected is None or not isinstance(ours, expected):
            assert expected is None or isinstance(ours, (capture.Malformed, capture.Opaque)), (ours, packet)
            return
        for name, read in FIELDS[expected].items():
            assert getattr(ours, name) == read(packet), (expected, name, packet)
            met[f"{expected.__name__}.{name}"] += 1
        if getattr(ours, "verdict", "unverified") not in ("unverified", "absent"):
            judge(ours, packet)
            met[f"{expected.__name__}.verdict"] += 1
        if isinstance(ours, capture.Ipv4) and (ours.more_fragments or ours.fragment_offset or ours.missing):
            return


def judge(ours: Any, packet: Packet) -> None:
    field = "chksum" if "chksum" in packet.fields else "cksum"
    computed = again(packet, field)
    right = computed == ours.checksum
    assert (ours.verdict == "correct") == right, (ours, computed)
    assert ours.computed == (None if right else computed), (ours, computed)


def test_every_field_is_scapys(tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    frames = [vector.frame for vector in VECTORS if "than it says" not in vector.name and "shorter" not in vector.name]
    # scapy does not say where a frame was cut.
    for frame in [*frames, *ipip.Reader(by_scapy(tmp_path / "scapy.pcap", 3, 400))]:
        if frame.original_len == len(frame.data):
            compare(frame, met)
    every = {f"{of.__name__}.{name}" for of, names in FIELDS.items() for name in names}
    every |= {f"{of.__name__}.verdict" for of in (capture.Ipv4, capture.Icmp, capture.Udp, capture.Tcp)}
    assert set(met) == every
    assert met["Ipv4.ttl"] > 400 and met["Tcp.verdict"] > 50 and met["Icmp.rest"] > 20, met


def test_the_table_has_every_field() -> None:
    for of, names in FIELDS.items():
        assert {*names, "verdict", "computed"} >= {field.name for field in dataclasses.fields(of)} >= set(names), of
    rest = {capture.Ipv6Extension, capture.Opaque, capture.Malformed}
    assert set(FIELDS) | rest == set(get_args(capture.Layer))


def test_what_scapy_has_no_name_for() -> None:
    *_, hop_by_hop, udp = vector("ipv6 hop-by-hop").layers
    assert isinstance(hop_by_hop, capture.Ipv6Extension) and isinstance(udp, capture.Udp)
    assert (hop_by_hop.kind, hop_by_hop.next_header, len(hop_by_hop.octets)) == (0, 17, 8)
    *_, opaque = vector("unknown protocol").layers
    ip = vector("unknown protocol").layers[-2]
    assert isinstance(opaque, capture.Opaque) and isinstance(ip, capture.Ipv4)
    assert (opaque.kind, opaque.number) == ("protocol", ip.protocol) and opaque.octets in vector("unknown protocol").data
    *_, later = vector("later fragment").layers
    assert isinstance(later, capture.Opaque) and (later.kind, later.number) == ("fragment", 1)
    (link,) = ipip.Frame(b"ab", link_type=105).layers
    assert link == capture.Opaque(kind="link", number=105, octets=b"ab")
    *_, ppp = ipip.Frame(bytes(12) + b"\x88\x63abcd").layers
    assert ppp == capture.Opaque(kind="ether_type", number=0x8863, octets=b"abcd")
    (malformed,) = ipip.Frame(b"\x60\0\0\0", link_type="raw_ip").layers
    assert malformed == capture.Malformed("IPv6 is truncated: found 4 octets, needs 40")
    assert ipip.Frame(b"").layers == ()


def test_checksums_are_judged() -> None:
    verdicts = {
        "udp": "correct",
        "udp without checksum": "absent",
        "udp with a wrong checksum": "incorrect",
        "udp cut in its data": "unverified",
    }
    for name, verdict in verdicts.items():
        udp = vector(name).layers[-1]
        assert isinstance(udp, capture.Udp) and udp.verdict == verdict, udp
        assert (udp.computed is None) == (verdict != "incorrect")
    # Only the pseudo header is summed: addresses, protocol and length.
    packet = IP(src="10.244.79.20", dst="10.244.244.73") / UDP(sport=4000, dport=5000, chksum=1) / b"hello"
    words = [0x0AF4, 0x4F14, 0x0AF4, 0xF449, 17, 13]
    packet[UDP].chksum = sum(words) % 0xFFFF
    udp = ipip.Frame(bytes(packet), link_type="raw_ip").layers[-1]
    assert isinstance(udp, capture.Udp) and udp.verdict == "partial" and udp.computed == again(packet[UDP], "chksum")


def test_the_json_has_what_the_layers_have(tmp_path: Path) -> None:
    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return value.hex()
        return str(value) if isinstance(value, (IPv4Address, IPv6Address)) else value

    for frame in [*(vector.frame for vector in VECTORS), *ipip.Reader(by_scapy(tmp_path / "scapy.pcap", 4, 200))]:
        line = frame.json()
        assert "\n" not in line
        record = json.loads(line)
        assert (record["time_ns"], record["original_len"]) == (frame.time_ns, frame.original_len)
        assert (record["captured_len"], record["direction"]) == (len(frame.data), frame.direction)
        assert record["checksum_pending"] is frame.checksum_pending
        ours = [dataclasses.asdict(layer) for layer in frame.layers]
        for layer, other in zip(ours, record["layers"], strict=True):
            other.pop("layer")
            other.setdefault("computed", None)
            layer.setdefault("computed", None)
            assert {name: plain(value) for name, value in layer.items()} == other


def test_layers_are_values() -> None:
    first, second = vector("udp").layers, vector("udp").layers
    assert first == second and hash(first) == hash(second) and first[-1] != first[-2]
    with pytest.raises(dataclasses.FrozenInstanceError):
        first[-1].checksum = 0  # type: ignore[misc, union-attr]
    match first:
        case [capture.Ethernet(), capture.Ipv4(protocol=17), capture.Udp(source_port=port)]:
            assert port == 4000
        case _:
            raise AssertionError(first)


def test_damaged_frames_are_described_all_the_same() -> None:
    malformed = 0
    for vector in VECTORS:
        frame = vector.frame
        for length in range(len(frame.data)):
            cut = ipip.Frame(frame.data[:length], link_type=frame.link_type, original_len=frame.original_len)
            assert "\n" not in cut.line() and cut.tree() and ipip.findings(cut) is not None
            malformed += any(isinstance(layer, capture.Malformed) for layer in cut.layers)
    assert malformed > 500


def test_a_frame_keeps_what_it_was_made_of() -> None:
    frame = ipip.Frame(
        bytearray(b"abc"), link_type="linux_sll2", time_ns=TIME_NS, direction="out", original_len=9, checksum_pending=True
    )
    assert (frame.data, frame.link_type, frame.time_ns, frame.direction) == (b"abc", "linux_sll2", TIME_NS, "out")
    assert (frame.original_len, frame.checksum_pending) == (9, True)
    plain = ipip.Frame(b"abc")
    assert (plain.link_type, plain.time_ns, plain.direction) == ("ethernet", 0, "unknown")
    assert (plain.original_len, plain.checksum_pending) == (3, False)
    assert ipip.Frame(b"", link_type=113).link_type == "linux_sll" and ipip.Frame(b"", link_type=9).link_type == 9
    assert plain != frame and plain == ipip.Frame(b"abc") and hash(plain) == hash(ipip.Frame(b"abc"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"link_type": "ppp"},
        {"link_type": -1},
        {"link_type": 2**32},
        {"time_ns": -1},
        {"time_ns": 2**64},
        {"direction": "up"},
        {"original_len": 2},
        {"original_len": 2**32},
    ],
)
def test_impossible_frames_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ipip.InvalidArgument, match=next(iter(arguments))):
        ipip.Frame(b"abc", **arguments)
