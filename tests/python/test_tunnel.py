"""A tunnel's ends and the errors in between: the vectors, the tables of the RFCs, and scapy."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import ICMP, IP, UDP, defragment, fragment
from scapy.packet import Raw
from vectors import Vector, expected, load, octets_text

import ipip

NOT_ECT, ECT1, ECT0, CE = range(4)
POD, AWAY = "10.244.79.20", "10.244.244.73"
LOCAL, REMOTE = "172.18.0.3", "172.18.0.2"
OUTER = ipip.Outer(local=LOCAL, remote=REMOTE)


def names(vectors: list[Vector]) -> list[str]:
    return [vector.name for vector in vectors]


def inner_packet(*, source: str = POD, destination: str = AWAY, ttl: int = 64, payload: bytes = b"odd", **fields: object) -> bytes:
    return bytes(IP(src=source, dst=destination, ttl=ttl, **fields) / UDP(sport=1, dport=2) / Raw(payload))


def words(error: ipip.IcmpError | None) -> str:
    """What an error says, as the vectors write it."""
    if error is None:
        return "nothing"
    numbers = (error.code, error.mtu, error.gateway, error.pointer)
    return " ".join([error.kind, *(str(number) for number in numbers if number is not None)])


# What leaves a tunnel.

EXIT = load("decapsulate_in_place", good=True)


@pytest.mark.parametrize("vector", EXIT, ids=names(EXIT))
def test_rfc6040_section_4_2_what_leaves_a_tunnel(vector: Vector) -> None:
    buffer = bytearray(b"\xa5" + vector.octets)
    left = ipip.decapsulate_in_place(memoryview(buffer)[1:])
    assert octets_text(bytes(left.packet)) == vector.table["packet"]
    assert left.packet.obj is buffer and buffer[:21] == b"\xa5" + vector.octets[:20]
    met = ipip.ecn_at_exit(int(vector.table["inner"]), int(vector.table["outer"]))
    assert (met.delivered, met.alarm) == (ipip.parse_ipv4(left.packet).ecn, left.alarm)
    assert (left.alarm.urgency if left.alarm else "none") == vector.table["alarm"]
    if left.alarm:
        assert [left.alarm.inner, left.alarm.outer] == [int(vector.table["inner"]), int(vector.table["outer"])]


@pytest.mark.parametrize(
    ("inner", "row"),
    [
        (NOT_ECT, [(NOT_ECT, ""), (NOT_ECT, "!!!"), (NOT_ECT, "!!!"), (None, "!!!")]),
        (ECT0, [(ECT0, ""), (ECT0, ""), (ECT1, ""), (CE, "")]),
        (ECT1, [(ECT1, ""), (ECT1, "!"), (ECT1, ""), (CE, "")]),
        (CE, [(CE, ""), (CE, ""), (CE, "!!!"), (CE, "")]),
    ],
)
def test_rfc6040_section_4_2_the_figure(inner: int, row: list[tuple[int | None, str]]) -> None:
    for outer, (delivered, mark) in zip([NOT_ECT, ECT0, ECT1, CE], row, strict=True):
        met = ipip.ecn_at_exit(inner, outer)
        urgency = {"": None, "!": "may_log", "!!!": "should_log"}[mark]
        assert (met.delivered, met.alarm and met.alarm.urgency) == (delivered, urgency)


def test_rfc2003_section_3_1_the_ttl_is_lowered_with_its_checksum() -> None:
    packet = bytearray(inner_packet(ttl=3))
    assert ipip.lower_ttl(packet) == 2 and packet == inner_packet(ttl=2)
    assert ipip.lower_ttl(memoryview(packet)) == 1 and packet == inner_packet(ttl=1)
    with pytest.raises(ipip.PacketError) as caught:
        ipip.lower_ttl(packet)
    assert (caught.value.kind, caught.value.status, caught.value.found, caught.value.layer) == ("TtlExpired", 214, 1, "inner")
    assert packet == inner_packet(ttl=1)


def test_rfc1624_section_3_an_updated_checksum_is_the_computed_one() -> None:
    assert ipip.update_checksum(0xDD2F, 0x5555, 0x3285) == 0x0000  # the RFC's own example
    chance = random.Random(1)
    for _ in range(200):
        before, after = bytearray(chance.randbytes(20)), bytearray()
        after += before
        at = chance.randrange(10) * 2
        after[at : at + 2] = chance.randbytes(2)
        word = [int.from_bytes(octets[at : at + 2], "big") for octets in (before, after)]
        assert ipip.update_checksum(ipip.checksum(before), *word) == ipip.checksum(after)


# What is cut before it enters.

CUT = load("fragments", good=True)


@pytest.mark.parametrize("vector", CUT, ids=names(CUT))
def test_packets_are_cut_as_scapy_cuts_them(vector: Vector) -> None:
    pieces = ipip.fragments(vector.octets, int(vector.table["mtu"]))
    found = {"count": str(len(pieces))} | {f"fragment.{i}": octets_text(piece) for i, piece in enumerate(pieces)}
    assert found == expected(vector, "mtu")


def test_scapy_puts_together_what_was_cut() -> None:
    chance = random.Random(2)
    for _ in range(60):
        whole = inner_packet(payload=chance.randbytes(chance.randrange(4000)), id=7)
        mtu = chance.randrange(68, 1600)
        pieces = ipip.fragments(whole, mtu)
        assert all(len(piece) <= mtu and ipip.checksum(piece[:20]) == 0 for piece in pieces)
        (again,) = defragment([IP(piece) for piece in pieces])
        assert bytes(again) == whole
        assert len(pieces) <= len(fragment(IP(whole), (mtu - 20) // 8 * 8))
        # Each fits into the tunnel whose MTU that is.
        assert all(len(ipip.encapsulate(piece, OUTER)) <= mtu + 20 for piece in pieces)


CLAMPED = load("clamp_mss", good=True)


@pytest.mark.parametrize("vector", CLAMPED, ids=names(CLAMPED))
def test_segments_are_clamped_as_scapy_builds_them(vector: Vector) -> None:
    packet = bytearray(vector.octets)
    before = ipip.clamp_mss(packet, int(vector.table["mtu"]))
    assert str(before).lower() == vector.table["before"] and octets_text(bytes(packet)) == vector.table["packet"]


def test_what_a_fragment_says_of_itself() -> None:
    whole = inner_packet(payload=bytes(200), id=0xBEEF)
    assert ipip.parse_ipv4(whole).fragment is None
    parts = [ipip.parse_ipv4(piece).fragment for piece in ipip.fragments(whole, 100)]
    found = [(part.offset, part.len, part.more_fragments) for part in parts if part]
    assert found == [(0, 80, True), (80, 80, True), (160, 48, False)]
    keys = {part.key for part in parts if part}
    assert len(keys) == 1
    (key,) = keys
    assert (key.source, key.destination, key.protocol, key.identification) == (IPv4Address(POD), IPv4Address(AWAY), 17, 0xBEEF)


# What must not enter.


@pytest.mark.parametrize(
    ("kind", "packet", "off", "remote"),
    [
        ("SameEndpoints", inner_packet(), None, LOCAL),
        ("OwnSource", inner_packet(source="10.244.79.1"), {"own_source": False}, REMOTE),
        ("ExitSource", inner_packet(source=REMOTE), {"exit_source": False}, REMOTE),
        ("ExitDestination", inner_packet(destination=REMOTE), {"exit_destination": False}, REMOTE),
        ("TunnelDepth", ipip.encapsulate(inner_packet(), ipip.Outer(local="1.1.1.1", remote="2.2.2.2")), {"max_depth": 2}, REMOTE),
    ],
)
def test_rfc2003_section_3_2_loops_are_refused(kind: str, packet: bytes, off: dict[str, bool] | None, remote: str) -> None:
    own = ("10.0.0.9", IPv4Address("10.244.79.1"))
    with pytest.raises(ipip.PacketError) as caught:
        ipip.LoopPolicy(max_depth=1).check(packet, local=LOCAL, remote=remote, own=own)
    assert caught.value.kind == kind and 220 <= caught.value.status <= 224
    if kind == "TunnelDepth":
        assert caught.value.max == 1
    else:
        assert str(caught.value.address) in str(caught.value)
    if off is not None:
        ipip.LoopPolicy(**off).check(packet, local=LOCAL, remote=remote, own=own)
        ipip.LoopPolicy().check(inner_packet(), local=LOCAL, remote=remote)
    assert ipip.LoopPolicy().max_depth == 4


# ICMP errors.

ERRORS = load("icmp_error", good=True)


@pytest.mark.parametrize("vector", ERRORS, ids=names(ERRORS))
def test_icmp_errors_read_and_are_written_as_scapy_does(vector: Vector) -> None:
    view = ipip.parse_icmp_error(vector.octets)
    quoted = ipip.parse_quoted(view.quoted)
    found = {"error": words(view.error), "quoted": octets_text(view.quoted)}
    for field in "source destination protocol dont_fragment fragment_offset total_len header_len may_be_answered".split():
        value = getattr(quoted, field)
        found[f"quoted.{field}"] = str(value).lower() if isinstance(value, bool) else str(value)
    found["quoted.payload"] = octets_text(quoted.payload)
    written = view.error.emit("172.18.0.9", view.quoted)
    found["packet_header"] = octets_text(written[:20])
    assert found == expected(vector)
    assert written[20:] == vector.octets
    again = eval(repr(view.error), vars(ipip))  # noqa: S307
    assert again == view.error and hash(again) == hash(view.error)


def test_rfc1812_section_4_3_2_3_scapy_reads_the_longest_error() -> None:
    original = inner_packet(payload=bytes(1400), flags="DF")
    seen = IP(ipip.IcmpError.fragmentation_needed(1480).emit("10.244.79.1", original))
    assert (seen.len, seen.tos, seen.src, seen.dst) == (576, 0xC0, "10.244.79.1", POD)
    assert (seen[ICMP].type, seen[ICMP].code, seen[ICMP].nexthopmtu) == (3, 4, 1480)
    octets = bytes(seen)
    del seen.chksum, seen[ICMP].chksum
    assert bytes(seen) == octets and octets[28:] == original[:548]


RELAYED = load("tunnel_error", good=True)


@pytest.mark.parametrize("vector", RELAYED, ids=names(RELAYED))
def test_rfc2003_section_4_errors_from_inside_are_relayed(vector: Vector) -> None:
    table = vector.table
    error = ipip.parse_tunnel_error(vector.octets, local=table["local"], remote=table["remote"])
    outer = ipip.Outer(local=table["local"], remote=table["remote"])
    relay = error.relay(outer, mtu=int(table["context_mtu"]), same_network=table["same_network"] == "true")
    assert (relay.action, words(relay.error)) == (table["action"], table["told"])
    assert ("none" if error.mtu is None else str(error.mtu)) == table["mtu"]
    assert octets_text(error.original) == table["original"]
    assert str(error.inner is not None).lower() == table["inner"]
    assert (str(error.outer.source), str(error.outer.destination)) == (LOCAL, REMOTE)
    assert eval(repr(relay), vars(ipip)) == relay  # noqa: S307


BAD_CALLS: dict[str, Callable[[Vector], object]] = {
    "decapsulate_in_place": lambda v: ipip.decapsulate_in_place(bytearray(v.octets)),
    "fragments": lambda v: ipip.fragments(v.octets, int(v.table["mtu"])),
    "icmp_error": lambda v: ipip.parse_icmp_error(v.octets),
    "tunnel_error": lambda v: ipip.parse_tunnel_error(v.octets, local=v.table["local"], remote=v.table["remote"]),
}
BAD = [vector for call in BAD_CALLS for vector in load(call, good=False)]


@pytest.mark.parametrize("vector", BAD, ids=names(BAD))
def test_bad_packets_are_refused_with_their_own_error(vector: Vector) -> None:
    with pytest.raises(ipip.PacketError) as caught:
        BAD_CALLS[vector.table["call"]](vector)
    assert (caught.value.kind, str(caught.value)) == (vector.table["expect"], vector.table["message"])
    assert f"``{caught.value.kind}``" in (ipip.PacketError.__doc__ or "")
    values = {value for name, value in vars(caught.value).items() if name not in ("kind", "status", "layer")}
    for value in values - {None}:
        assert str(value) in str(caught.value) or f"{value:#06x}" in str(caught.value)


# Soft state.


def code_4() -> ipip.TunnelError:
    (vector,) = [vector for vector in RELAYED if vector.name.endswith("4_1_code_4")]
    return ipip.parse_tunnel_error(vector.octets, local=LOCAL, remote=REMOTE)


def test_rfc1191_section_6_3_a_learned_mtu_ages() -> None:
    state = ipip.TunnelState(1480)
    assert state.mtu(0) == 1480
    assert state.learn_mtu(code_4(), 1.5) == 1380
    assert [state.mtu(now) for now in (0, 601.4, 601.5)] == [1380, 1380, 1480]


def test_rfc2003_section_5_1_too_long_with_df_is_told_the_tunnels_mtu() -> None:
    state = ipip.TunnelState(1480)
    for length, df, told in [(1480, "DF", None), (1481, "DF", ipip.IcmpError.fragmentation_needed(1480)), (1481, "", None)]:
        assert state.check(inner_packet(payload=bytes(length - 28), flags=df), 0) == told
    state.learn_mtu(code_4(), 0)
    assert state.check(inner_packet(payload=bytes(1381 - 28), flags="DF"), 0) == ipip.IcmpError.fragmentation_needed(1380)


def test_rfc2003_section_5_what_could_not_be_told_is_told_once_and_not_too_late() -> None:
    state, packet = ipip.TunnelState(1480), inner_packet()
    state.remember(ipip.Relay.keep(), 0)
    state.remember(ipip.Relay.send(ipip.IcmpError.NET_UNREACHABLE), 0)
    assert state.check(packet, 0) is None
    state.remember(ipip.Relay.remember(ipip.IcmpError.HOST_UNREACHABLE), 0)
    assert state.check(packet, 29.9) == ipip.IcmpError.unreachable(1)
    assert state.check(packet, 29.9) is None
    state.remember(ipip.Relay.remember(ipip.IcmpError.HOST_UNREACHABLE), 30)
    assert state.check(packet, 60) is None


@pytest.mark.parametrize("now", [-1, float("nan"), float("inf"), 1e20, 10**400])
def test_times_are_checked(now: float) -> None:
    with pytest.raises(ipip.InvalidArgument, match="argument 'now'.* seconds from 0 to 1e19$"):
        ipip.TunnelState(1480).mtu(now)
    with pytest.raises(TypeError, match="argument 'now' must be float or int, not str"):
        ipip.TunnelState(1480).mtu("1")  # type: ignore[arg-type]
