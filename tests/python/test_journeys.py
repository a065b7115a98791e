"""Frames chosen, judged, and found again at the points of their way; scapy builds the packets."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

import ipip
from ipip import capture

NODE_A, NODE_B = "172.18.0.3", "172.18.0.2"
POD_A, POD_B = "10.244.79.20", "10.244.244.73"


def inner(**fields: Any) -> Packet:
    return IP(**{"src": POD_A, "dst": POD_B, "id": 7, "flags": "DF", **fields}) / UDP(sport=4000, dport=5000) / Raw(b"all is well")


def tunnel(packet: Packet, **fields: Any) -> Packet:
    return IP(**{"src": NODE_A, "dst": NODE_B, "flags": "DF", "id": 0, **fields}) / packet


def frame(packet: Packet, time_ns: int = 0, **fields: Any) -> ipip.Frame:
    link_type = fields.pop("link_type", "raw_ip")
    return ipip.Frame(bytes(packet), link_type=link_type, time_ns=time_ns, **fields)


def test_a_filter_wants_one_header_that_fits() -> None:
    pod, wire = frame(inner()), frame(tunnel(inner()))
    arp = frame(Ether() / ARP(), link_type="ethernet")
    pods = ["10.244.79.0/26", "10.244.244.64/26"]
    for chosen, expected in (
        (ipip.Filter(), (True, True, True)),
        (ipip.Filter.tunnel([NODE_A, IPv4Address(NODE_B)]), (False, True, False)),
        (ipip.Filter.tunnel([NODE_A]), (False, False, False)),
        (ipip.Filter(protocol=4), (False, True, False)),
        (ipip.Filter(protocol=17), (True, True, False)),
        (ipip.Filter(between=pods), (True, True, False)),
        (ipip.Filter(between=pods[:1]), (False, False, False)),
        (ipip.Filter(protocol=4, between=pods), (False, False, False)),
    ):
        assert tuple(map(chosen.matches, (pod, wire, arp))) == expected, chosen
    chosen = ipip.Filter.tunnel([NODE_A])
    assert (chosen.protocol, [str(prefix) for prefix in chosen.between]) == (4, [f"{NODE_A}/32"])
    assert chosen == ipip.Filter(protocol=4, between=[f"{NODE_A}/32"]) and len({chosen, ipip.Filter()}) == 2
    assert repr(chosen) == f"<Filter protocol=4 between={NODE_A}/32>"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"protocol": 256}, ipip.InvalidArgument),
        ({"protocol": "4"}, TypeError),
        ({"between": ["10.244.79.1/26"]}, ipip.InvalidArgument),
        ({"between": "10.244.79.0/26"}, TypeError),
        ({"between": 7}, TypeError),
    ],
)
def test_impossible_filters_are_refused(arguments: dict[str, Any], fault: type[Exception]) -> None:
    with pytest.raises(fault, match=next(iter(arguments))):
        ipip.Filter(**arguments)


def told(packet: Packet, expected: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    return [str(finding) for finding in ipip.findings(frame(packet, **fields), **(expected or {}))]


def test_nothing_is_wrong_with_a_good_packet() -> None:
    assert told(tunnel(inner()), {"mtu": 79}) == []


def test_a_packet_beyond_the_mtu_is_found() -> None:
    big = tunnel(inner())
    (finding,) = ipip.findings(frame(big), mtu=58)
    assert finding == capture.TooBig(
        "packet of 59 octets exceeds the MTU of 58: DF forbids to fragment it, it is lost",
        len=59, mtu=58, dont_fragment=True, segmented_later=False,
    )  # fmt: skip
    assert told(tunnel(inner(), flags=0), {"mtu": 58}) == ["packet of 59 octets exceeds the MTU of 58: it is fragmented"]
    (later,) = ipip.findings(frame(big, checksum_pending=True), mtu=58)
    assert isinstance(later, capture.TooBig) and later.segmented_later
    assert told(big, {"mtu": 59}) == []


def test_wrong_checksums_are_found() -> None:
    packet = tunnel(inner(chksum=0x1234))
    packet[UDP].chksum = 0x4321
    header, transport = ipip.findings(frame(packet))
    whole = IP(bytes(inner()))
    assert isinstance(header, capture.HeaderChecksum) and isinstance(transport, capture.TransportChecksum)
    assert (header.depth, header.found, header.computed) == (1, 0x1234, whole.chksum)
    assert (transport.found, transport.computed, transport.offloaded) == (0x4321, whole[UDP].chksum, False)
    _, pending = ipip.findings(frame(packet, checksum_pending=True))
    assert isinstance(pending, capture.TransportChecksum) and pending.offloaded
    assert "hardware does it" in str(pending)


def test_ttl_ecn_and_nesting_are_found() -> None:
    assert ipip.findings(frame(inner(ttl=1))) == [
        capture.Ttl("outermost IPv4 header has TTL 1, no router forwards it", depth=0, ttl=1)
    ]
    assert ipip.findings(frame(tunnel(inner(), tos=3))) == [
        capture.Ecn("ECN Ce around NotEct: the end of the tunnel drops it", outer=3, inner=0)
    ]
    assert ipip.findings(frame(tunnel(tunnel(inner())))) == [
        capture.EncapsulatedTwice("encapsulated twice: 3 IPv4 headers", headers=3)
    ]


def test_a_packet_of_the_wrong_sender_is_found() -> None:
    peers = ipip.Peers()
    wire = frame(tunnel(inner()))
    (unknown,) = ipip.findings(wire, peers=peers)
    assert unknown == capture.Spoofed(
        f"spoofed: outer source {NODE_A} is not a known node", outer_source=IPv4Address(NODE_A), inner_source=None
    )
    peers.insert("10.244.79.64/26", NODE_A)
    (foreign,) = ipip.findings(wire, peers=peers)
    assert isinstance(foreign, capture.Spoofed) and foreign.inner_source == IPv4Address(POD_A)
    peers.insert("10.244.79.0/26", NODE_A)
    assert len(peers) == 2 and ipip.findings(wire, peers=peers) == []


def test_findings_are_values_and_arguments_are_checked() -> None:
    (finding,) = ipip.findings(frame(inner(ttl=0)))
    assert isinstance(finding, capture.Finding) and hash(finding) == hash(dataclasses.replace(finding))
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.text = ""  # type: ignore[misc]
    with pytest.raises(TypeError, match="argument 'frame' must be ipip.Frame, not bytes"):
        ipip.findings(b"")  # type: ignore[arg-type]
    with pytest.raises(ipip.InvalidArgument, match="mtu"):
        ipip.findings(frame(inner()), mtu=-1)
    with pytest.raises(TypeError, match="argument 'peers' must be ipip.Peers, not dict"):
        ipip.findings(frame(inner()), peers={})  # type: ignore[arg-type]


def test_one_packet_is_found_at_every_point() -> None:
    """From the pod to the other pod: each router takes one from the TTL, offload finishes the checksum on the wire."""
    pending = inner(ttl=64)
    pending[UDP].chksum = 0x1111
    points = [
        ipip.Point("wire", (frame(Ether() / tunnel(inner(ttl=63)), 30, link_type="ethernet"),)),
        ipip.Point("node-a cali", (frame(Ether() / pending, 10, link_type="ethernet", checksum_pending=True),)),
        ipip.Point("node-a tunl0", (frame(inner(ttl=63), 20),)),
        ipip.Point("node-b cali", (frame(Ether() / ARP(), 5, link_type="ethernet"), frame(Ether() / inner(ttl=62), 40, link_type="ethernet"))),
    ]
    (journey,) = ipip.journeys(points)
    packet = journey.packet
    assert (packet.source, packet.destination) == (IPv4Address(POD_A), IPv4Address(POD_B))
    assert (packet.protocol, packet.identification, packet.fragment_offset, packet.payload_len) == (17, 7, 0, 19)
    assert journey.sightings == (
        capture.Sighting(point=1, frame=0, depth=0, ttl=64),
        capture.Sighting(point=2, frame=0, depth=0, ttl=63),
        capture.Sighting(point=0, frame=0, depth=1, ttl=63),
        capture.Sighting(point=3, frame=1, depth=0, ttl=62),
    )
    assert all(points[s.point].frames[s.frame].packet_key == packet for s in journey.sightings)
    assert points[3].frames[0].packet_key is None
    assert ipip.journeys(reversed(points))[0].packet == packet and ipip.journeys([]) == []


def test_other_packets_make_other_journeys() -> None:
    """A plain model: packets are the same if scapy sees the same of them."""
    packets = [
        inner(),
        inner(id=8),
        inner(src="10.244.79.21"),
        inner(dst="10.244.244.74"),
        inner(frag=1),
        IP(src=POD_A, dst=POD_B, id=7) / ICMP(id=1, seq=1),
        IP(src=POD_A, dst=POD_B, id=7) / ICMP(id=1, seq=2),
        inner() / Raw(b"!"),
    ]
    pods = ipip.Point("pod", tuple(frame(packet, time) for time, packet in enumerate(packets)))
    wire = ipip.Point("wire", tuple(frame(tunnel(packet), 100 + time) for time, packet in enumerate(packets)))
    journeys = ipip.journeys([pods, wire])
    assert [[(s.point, s.frame) for s in journey.sightings] for journey in journeys] == [
        [(0, place), (1, place)] for place in range(len(packets))
    ]


def test_points_are_checked() -> None:
    with pytest.raises(TypeError, match="argument 'points' must be ipip.Point, not str"):
        ipip.journeys(["a"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="argument 'points' must be ipip.Frame, not bytes"):
        ipip.journeys([ipip.Point("a", (b"",))])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="argument 'points' must be an iterable, not int"):
        ipip.journeys(7)  # type: ignore[arg-type]
