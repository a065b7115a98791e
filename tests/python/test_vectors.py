"""Every field and every error of the packet vectors, which scapy built."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vectors import Vector, expected, load, octets_text

import ipip


def names(vectors: list[Vector]) -> list[str]:
    return [vector.name for vector in vectors]


def fields(name: str, header: ipip.Ipv4Header) -> dict[str, str]:
    hexadecimal = {"identification", "checksum"}
    flags = {"dont_fragment", "more_fragments"}
    found = {}
    for field in (
        "header_len total_len dscp ecn identification dont_fragment more_fragments fragment_offset ttl protocol "
        "checksum source destination"
    ).split():
        value = getattr(header, field)
        text = f"{value:#06x}" if field in hexadecimal else str(value)
        found[f"{name}.{field}"] = text.lower() if field in flags else text
    found[f"{name}.options"] = octets_text(header.options)
    return found


GOOD = load("parse", good=True)


@pytest.mark.parametrize("vector", GOOD, ids=names(GOOD))
def test_good_packets_read_as_scapy_reads_them(vector: Vector) -> None:
    packet = ipip.parse(vector.octets)
    inner = ipip.decapsulate(vector.octets)
    payload = bytes(inner[packet.inner.header_len :])
    found = fields("outer", packet.outer) | fields("inner", packet.inner)
    assert found | {"inner.payload": octets_text(payload)} == expected(vector)
    assert inner == vector.octets[packet.inner_slice]
    assert ipip.parse_ipv4(inner) == packet.inner


BAD = [(call, vector) for call in ("parse", "decapsulate", "echo") for vector in load(call, good=False)]
CALLS: dict[str, Callable[[bytes], object]] = {
    "parse": ipip.parse,
    "decapsulate": ipip.decapsulate,
    "echo": ipip.parse_echo,
}


@pytest.mark.parametrize(("call", "vector"), BAD, ids=[vector.name for _, vector in BAD])
def test_bad_packets_are_refused_with_their_own_error(call: str, vector: Vector) -> None:
    with pytest.raises(ipip.PacketError) as caught:
        CALLS[call](vector.octets)
    assert (caught.value.kind, str(caught.value)) == (vector.table["expect"], vector.table["message"])
    # Each number of the message is an attribute too.
    numbers = {value for name, value in vars(caught.value).items() if type(value) is int and name != "status"}
    for number in numbers:
        assert str(number) in str(caught.value) or f"{number:#06x}" in str(caught.value)


ECHOES = load("echo", good=True)


@pytest.mark.parametrize("vector", ECHOES, ids=names(ECHOES))
def test_echo_messages_read_and_build_as_scapy_does(vector: Vector) -> None:
    echo = ipip.parse_echo(vector.octets)
    found = {
        "kind": echo.kind,
        "identifier": f"{echo.identifier:#06x}",
        "sequence": str(echo.sequence),
        "checksum": f"{echo.checksum:#06x}",
        "data": octets_text(echo.data),
    }
    assert found == expected(vector)
    build = ipip.echo_request if echo.kind == "request" else ipip.echo_reply
    assert build(echo.identifier, echo.sequence, echo.data) == vector.octets


PARTIAL = load("finish_partial_checksum", good=True)


@pytest.mark.parametrize("vector", PARTIAL, ids=names(PARTIAL))
def test_partial_checksums_are_finished_as_scapy_computes_them(vector: Vector) -> None:
    packet = bytearray(vector.octets)
    assert ipip.finish_partial_checksum(packet) == vector.table["result"]
    header = ipip.parse_ipv4(packet)
    at = header.header_len + (16 if header.protocol == 6 else 6)
    by_hand = bytearray(vector.octets)
    by_hand[at : at + 2] = int(vector.table["checksum"], 16).to_bytes(2, "big")
    assert packet == by_hand
    assert ipip.finish_partial_checksum(packet) == "not_partial"
