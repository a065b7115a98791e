"""What a captured frame says, as values: its layers, what is wrong with it, and the way of its packet.

``Frame.layers`` gives the layers, outermost first; an encapsulated frame has two :class:`Ipv4`::

    for frame in ipip.Reader("node-a.pcap"):
        match frame.layers:
            case [capture.Ethernet(), capture.Ipv4(protocol=4) as outer, capture.Ipv4() as inner, *_]:
                print(outer.destination, inner.destination)

:func:`ipip.findings` gives :class:`Finding` objects, :func:`ipip.journeys` :class:`Journey` objects. All are
frozen dataclasses, which compare and hash by what they hold. Lengths are in octets; numbers are as in the header.
"""

from __future__ import annotations

import functools as _functools
import json as _json
from collections.abc import Callable as _Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from ._ipip import Frame

__all__ = [
    "Arp",
    "Cooked",
    "Ecn",
    "EncapsulatedTwice",
    "Ethernet",
    "Finding",
    "HeaderChecksum",
    "Icmp",
    "Interface",
    "Ipv4",
    "Ipv6",
    "Ipv6Extension",
    "Journey",
    "Layer",
    "LinkType",
    "Malformed",
    "Opaque",
    "PacketKey",
    "Point",
    "Sighting",
    "Spoofed",
    "Tcp",
    "TooBig",
    "TransportChecksum",
    "Ttl",
    "Udp",
    "Verdict",
    "Vlan",
]

#: The names of the link types that are read, or another one's number in a capture file.
LinkType: TypeAlias = Literal["ethernet", "raw_ip", "linux_sll", "linux_sll2"] | int

#: What a checksum is worth. ``partial``: it holds the sum of the pseudo header only, hardware was to finish it.
#: ``absent``: UDP's 0. ``unverified``: not all that it covers was captured, or the packet is a fragment.
Verdict: TypeAlias = Literal["correct", "incorrect", "partial"] | Literal["absent", "unverified"]


# Layers


@dataclass(frozen=True)
class Ethernet:
    """An Ethernet header."""

    source: str
    destination: str
    #: What follows; below 0x0600 a length.
    ether_type: int


@dataclass(frozen=True)
class Vlan:
    """An 802.1Q tag, or the outer one of two (QinQ)."""

    id: int
    #: 0 to 7.
    priority: int
    drop_eligible: bool
    ether_type: int


@dataclass(frozen=True)
class Cooked:
    """A Linux cooked header: what a capture on the interface ``any`` has instead of the real one."""

    #: 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 from this host.
    packet_type: int
    #: The interface's ARPHRD number.
    hardware_type: int
    #: The interface's index on the capturing host; only in the second version.
    interface: int | None
    #: 8 octets, of which ``address_len`` count.
    address: bytes
    address_len: int
    ether_type: int


@dataclass(frozen=True)
class Arp:
    """An ARP message for IPv4 over Ethernet."""

    #: 1 is a request, 2 a reply.
    operation: int
    sender_mac: str
    sender: IPv4Address
    target_mac: str
    target: IPv4Address


@dataclass(frozen=True)
class Ipv4:
    """An IPv4 header (RFC 791)."""

    header_len: int
    dscp: int
    #: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    ecn: int
    total_len: int
    identification: int
    reserved_flag: bool
    dont_fragment: bool
    more_fragments: bool
    #: In octets.
    fragment_offset: int
    ttl: int
    protocol: int
    checksum: int
    verdict: Verdict
    source: IPv4Address
    destination: IPv4Address
    options: bytes
    #: Octets of the packet that were not captured, or that a first fragment leaves to later ones.
    missing: int
    #: What the checksum should be, if the verdict is ``incorrect``.
    computed: int | None = None


@dataclass(frozen=True)
class Ipv6:
    """An IPv6 header (RFC 8200)."""

    dscp: int
    ecn: int
    flow_label: int
    payload_len: int
    next_header: int
    hop_limit: int
    source: IPv6Address
    destination: IPv6Address
    #: Octets of the payload that were not captured.
    missing: int


@dataclass(frozen=True)
class Ipv6Extension:
    """An IPv6 extension header."""

    #: 0 hop-by-hop options, 43 routing, 44 fragment, 60 destination options.
    kind: int
    next_header: int
    #: The whole header.
    octets: bytes


@dataclass(frozen=True)
class Icmp:
    """An ICMP message (RFC 792), or one of ICMPv6, whose types have other meanings."""

    #: 4, or 6 for ICMPv6.
    version: int
    type: int
    code: int
    checksum: int
    verdict: Verdict
    #: Octets 4 to 7, whose meaning depends on the type: identifier and sequence number of an echo.
    rest: bytes
    #: Octets of the message in the packet, captured or not.
    message_len: int
    #: What the checksum should be, if the verdict is ``incorrect`` or ``partial``.
    computed: int | None = None


@dataclass(frozen=True)
class Udp:
    """A UDP header (RFC 768)."""

    source_port: int
    destination_port: int
    #: Octets of header and data, as the header says.
    len: int
    checksum: int
    verdict: Verdict
    #: What the checksum should be, if the verdict is ``incorrect`` or ``partial``.
    computed: int | None = None


@dataclass(frozen=True)
class Tcp:
    """A TCP header (RFC 9293)."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    header_len: int
    #: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, AE 256.
    flags: int
    #: As on the wire, unscaled.
    window: int
    checksum: int
    verdict: Verdict
    urgent: int
    options: bytes
    #: Octets of data in the packet, captured or not.
    data_len: int
    #: What the checksum should be, if the verdict is ``incorrect`` or ``partial``.
    computed: int | None = None


@dataclass(frozen=True)
class Opaque:
    """Octets that are not read further, named by the number that announces them."""

    #: What the number is: of a link type, an EtherType, an IP protocol, or of one in a later fragment.
    kind: Literal["link", "ether_type", "protocol", "fragment"]
    number: int
    octets: bytes


@dataclass(frozen=True)
class Malformed:
    """Octets that are not what the layer before says they are."""

    reason: str


Layer: TypeAlias = (
    Ethernet | Vlan | Cooked | Arp | Ipv4 | Ipv6 | Ipv6Extension | Icmp | Udp | Tcp | Opaque | Malformed
)

# A capture has few addresses, and reading one costs more than the rest of its header.
_ipv4 = _functools.lru_cache(1024)(IPv4Address)
_ipv6 = _functools.lru_cache(1024)(IPv6Address)

#: The classes by the names that the JSON has, and what makes a value of a field's text.
_CLASSES: dict[str, tuple[_Callable[..., Layer], dict[str, _Callable[[str], object]]]] = {
    "ethernet": (Ethernet, {}),
    "vlan": (Vlan, {}),
    "cooked": (Cooked, {"address": bytes.fromhex}),
    "arp": (Arp, {"sender": _ipv4, "target": _ipv4}),
    "ipv4": (Ipv4, {"source": _ipv4, "destination": _ipv4, "options": bytes.fromhex}),
    "ipv6": (Ipv6, {"source": _ipv6, "destination": _ipv6}),
    "ipv6_extension": (Ipv6Extension, {"octets": bytes.fromhex}),
    "icmp": (Icmp, {"rest": bytes.fromhex}),
    "udp": (Udp, {}),
    "tcp": (Tcp, {"options": bytes.fromhex}),
    "opaque": (Opaque, {"octets": bytes.fromhex}),
    "malformed": (Malformed, {}),
}


def _layers(line: str) -> tuple[Layer, ...]:
    """The layers of a frame's JSON."""
    return tuple(_layer(**record) for record in _json.loads(line)["layers"])


def _layer(layer: str, **fields: Any) -> Layer:
    make, readers = _CLASSES[layer]
    fields.update((name, read(fields[name])) for name, read in readers.items())
    return make(**fields)


# What is wrong with a frame


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a frame; ``str()`` says what, and what it leads to."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class TooBig(Finding):
    """The outermost IPv4 packet exceeds the MTU of the point."""

    len: int
    mtu: int
    #: Routers may not fragment it, so it is lost.
    dont_fragment: bool
    #: It was captured before the sender's hardware cut it into segments.
    segmented_later: bool


@dataclass(frozen=True)
class HeaderChecksum(Finding):
    """An IPv4 header with a wrong checksum, which the next hop discards."""

    #: How many IP headers are around it.
    depth: int
    found: int
    computed: int


@dataclass(frozen=True)
class TransportChecksum(Finding):
    """A wrong ICMP, UDP or TCP checksum, which the receiver discards."""

    found: int
    computed: int
    #: Offload explains it: only the pseudo header is summed, hardware finishes the rest.
    offloaded: bool


@dataclass(frozen=True)
class Ttl(Finding):
    """A TTL that no router will forward, 0 or 1, to an address that is not multicast."""

    #: How many IP headers are around it.
    depth: int
    ttl: int


@dataclass(frozen=True)
class Ecn(Finding):
    """A pair of ECN fields that the end of the tunnel has to report or drop (RFC 6040 section 4.2)."""

    outer: int
    inner: int


@dataclass(frozen=True)
class EncapsulatedTwice(Finding):
    """A tunnel inside a tunnel."""

    #: IPv4 headers directly in each other, at least 3.
    headers: int


@dataclass(frozen=True)
class Spoofed(Finding):
    """A tunnel packet that its sender had no right to send."""

    outer_source: IPv4Address
    #: None if the outer source is no known node.
    inner_source: IPv4Address | None


# The way of a packet


@dataclass(frozen=True)
class Interface:
    """Where a capture was taken."""

    #: pcap never has one.
    name: str | None
    link_type: LinkType


@dataclass(frozen=True)
class Point:
    """Where frames were captured, such as "node-a tunl0", with the frames in the order of their capture."""

    name: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class PacketKey:
    """What tells one inner packet from others at every point: nothing that a router, a tunnel or offload changes."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    #: Senders set it to 0 in packets with DF.
    identification: int
    #: In units of 8 octets.
    fragment_offset: int
    payload_len: int
    #: Of the first 48 octets of the payload, without the transport checksum; the same within one process.
    payload_hash: int


@dataclass(frozen=True)
class Sighting:
    """A packet seen at one point."""

    #: The point's place in the list given.
    point: int
    #: The frame's place at that point.
    frame: int
    #: How many IP headers were around the packet: 1 on the wire of a tunnel.
    depth: int
    ttl: int


@dataclass(frozen=True)
class Journey:
    """One inner packet and where it was seen, by time and at most once at each point."""

    packet: PacketKey
    sightings: tuple[Sighting, ...]
