"""Wrong types, wrong values, every kind of buffer: one clear error each, and never a panic."""

from __future__ import annotations

import array
import ctypes
import gc
import inspect
import ipaddress
import random
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import ipip

OUTER = ipip.Outer(local="172.18.0.3", remote="172.18.0.2")
INNER = ipip.ipv4_packet(ipip.echo_request(7, 1, bytes(56)), source="10.244.79.20", destination="10.244.244.73", protocol=1)
PACKET = ipip.encapsulate(INNER, OUTER)

BUFFERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": lambda octets: memoryview(bytearray(octets)),
    "slice": lambda octets: memoryview(b"xx" + octets + b"xx")[2:-2],
    "array": lambda octets: array.array("B", octets),
    "array of signed": lambda octets: array.array("b", octets),
    "array of words": lambda octets: array.array("H", octets),
    "ctypes": lambda octets: (ctypes.c_ubyte * len(octets)).from_buffer_copy(octets),
    "numpy": lambda octets: numpy.frombuffer(octets, numpy.uint8),
    "numpy of big-endian words": lambda octets: numpy.frombuffer(octets, ">u2"),
    "numpy in two dimensions": lambda octets: numpy.frombuffer(octets, numpy.uint8).reshape(2, -1),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_any_buffer_is_a_packet(kind: str) -> None:
    make = BUFFERS[kind]
    assert ipip.encapsulate(make(INNER), OUTER) == PACKET
    assert bytes(ipip.decapsulate(make(PACKET))) == INNER
    assert ipip.parse(make(PACKET)) == ipip.parse(PACKET)
    assert ipip.checksum(make(PACKET)) == ipip.checksum(PACKET)


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "array", "array of signed", "array of words", "ctypes"])
def test_any_writable_buffer_is_written_in_place(kind: str) -> None:
    buffer = BUFFERS[kind](bytes(20) + INNER)
    view = ipip.encapsulate_into(buffer, 20, OUTER)
    assert view == PACKET and memoryview(buffer).cast("B") == PACKET
    assert not view.readonly


def test_decapsulate_makes_no_copy() -> None:
    buffer = bytearray(PACKET)
    inner = ipip.decapsulate(buffer)
    assert isinstance(inner, memoryview) and inner.obj is buffer and not inner.readonly
    inner[20] = 0xFF
    assert buffer[40] == 0xFF
    assert ipip.decapsulate(PACKET).readonly


def test_no_buffer_stays_locked_after_an_error() -> None:
    buffer = bytearray(b"\x45")
    for call in (ipip.parse, ipip.decapsulate, lambda b: ipip.encapsulate(b, OUTER), lambda b: ipip.encapsulate_into(b, 20, OUTER)):
        with pytest.raises(ipip.PacketError):
            call(buffer)
    gc.collect()
    buffer.extend(b"resized")  # BufferError while a view is open


@pytest.mark.parametrize("bad", ["text", None, 5, [1, 2], object(), 1.5])
def test_what_is_no_buffer_is_a_type_error(bad: Any) -> None:
    for name, call in {
        "packet": ipip.parse,
        "inner": lambda b: ipip.encapsulate(b, OUTER),
        "buffer": lambda b: ipip.encapsulate_into(b, 20, OUTER),
        "octets": ipip.checksum,
        "message": ipip.parse_echo,
    }.items():
        with pytest.raises(TypeError, match=f"argument '{name}' must be a (writable )?bytes-like object, not {type(bad).__name__}"):
            call(bad)


@pytest.mark.parametrize("bad", [memoryview(PACKET)[::2], memoryview(PACKET)[::-1], numpy.zeros((4, 4), numpy.uint8)[:, 1]])
def test_views_with_gaps_are_refused(bad: Any) -> None:
    for call in (ipip.parse, ipip.decapsulate, ipip.checksum):
        with pytest.raises(ipip.InvalidArgument, match="has gaps"):
            call(bad)


@pytest.mark.parametrize("bad", [b"x" * 100, memoryview(b"x" * 100), memoryview(bytearray(100)).toreadonly()])
def test_read_only_buffers_are_not_written(bad: Any) -> None:
    for call in (lambda: ipip.encapsulate_into(bad, 20, OUTER), lambda: ipip.finish_partial_checksum(bad)):
        with pytest.raises(TypeError, match="writable"):
            call()


def test_a_released_view_and_empty_buffers() -> None:
    view = memoryview(bytearray(10))
    view.release()
    with pytest.raises(ipip.InvalidArgument, match="released"):
        ipip.checksum(view)
    empties: list[Any] = [b"", bytearray(), numpy.zeros((0, 3), numpy.uint8)]
    for empty in empties:
        assert ipip.checksum(empty) == 0xFFFF
        with pytest.raises(ipip.PacketError) as caught:
            ipip.decapsulate(empty)
        assert (caught.value.kind, caught.value.layer, caught.value.found, caught.value.needed) == ("Truncated", "outer", 0, 20)


def outer(**fields: Any) -> object:
    return ipip.Outer(**({"local": "1.2.3.4", "remote": "5.6.7.8"} | fields))


NUMBERS: dict[str, tuple[Callable[[Any], object], int, int]] = {
    "ttl": (lambda n: outer(ttl=n), 1, 255),
    "dscp": (lambda n: outer(dscp=n), 0, 63),
    "identification": (lambda n: outer(identification=n), 0, 65535),
    "identifier": (lambda n: ipip.echo_request(n, 0), 0, 65535),
    "sequence": (lambda n: ipip.echo_reply(0, n), 0, 65535),
    "protocol": (lambda n: ipip.Blackhole(block="10.0.0.0/26", protocol=n), 0, 255),
    "mtu": (lambda n: ipip.Tunnel(address="10.0.0.1", mtu=n), 68, 65515),
    "block_len": (lambda n: ipip.Pool("pods", "10.0.0.0/16", n), 20, 32),
    "fragment_offset": (lambda n: ipip.ipv4_packet(b"", source="1.2.3.4", destination="1.2.3.4", protocol=0, fragment_offset=n), 0, 8191),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_checked_at_both_ends(name: str) -> None:
    call, least, most = NUMBERS[name]
    for good in (least, most, numpy.int64(least)):
        call(good)
    for bad in (least - 1, most + 1, -(2**63), 2**64, 10**5000):
        with pytest.raises(ipip.InvalidArgument) as caught:
            call(bad)
        assert len(str(caught.value)) < 200
    for wrong in (1.0, "1", None if name not in ("ttl", "dscp") else b"1", [1]):
        with pytest.raises(TypeError, match=f"argument '{name}' must be int, not "):
            call(wrong)


def test_addresses_and_prefixes_of_both_kinds() -> None:
    by_object = ipip.PeerRoute(block=ipaddress.IPv4Network("10.0.0.0/26"), node_addr=ipaddress.IPv4Address("1.2.3.4"))
    assert by_object == ipip.PeerRoute(block="10.0.0.0/26", node_addr="1.2.3.4")
    assert (by_object.block, by_object.node_addr) == (ipaddress.IPv4Network("10.0.0.0/26"), ipaddress.IPv4Address("1.2.3.4"))
    for bad in ("", "1.2.3", "1.2.3.4 ", "01.2.3.4", "::1", "1.2.3.4/32", "256.0.0.1", "\ud800", "1.2.3.4\0"):
        with pytest.raises(ipip.InvalidArgument, match="argument 'local'"):
            outer(local=bad)
    for wrong in (1, b"1.2.3.4", None, ipaddress.IPv6Address("::1"), ipaddress.ip_interface("1.2.3.4/24")):
        with pytest.raises(TypeError, match="argument 'local' must be str or ipaddress.IPv4Address"):
            outer(local=wrong)
    for text in ("10.0.0.1/26", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "::/64", ""):
        with pytest.raises(ipip.InvalidArgument, match="argument 'block'"):
            ipip.Blackhole(block=text)
    for other in (ipaddress.IPv6Network("fd00::/64"), 5, ("10.0.0.0", 26)):
        with pytest.raises(TypeError, match="argument 'block' must be str or ipaddress.IPv4Network"):
            ipip.Blackhole(block=other)  # type: ignore[arg-type]


def test_words_are_chosen_from_a_list() -> None:
    with pytest.raises(ipip.InvalidArgument, match='"kernel", "normal", "compatibility"'):
        outer(ecn="Kernel")
    with pytest.raises(ipip.InvalidArgument, match='"Never", "Always", "CrossSubnet"'):
        ipip.Pool("pods", "10.0.0.0/16", ipip_mode="always")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="argument 'dont_fragment' must be bool, not int"):
        outer(dont_fragment=1)


def test_names_are_checked() -> None:
    for bad in ("", "x" * 16, "a/b", "a b", "..", "a\0"):
        with pytest.raises(ipip.InvalidArgument, match="argument 'device'"):
            ipip.Tunnel(address="10.0.0.1", mtu=1480, device=bad)
    for bad in ("", "a/b", "a b", "x" * 254):
        with pytest.raises(ipip.InvalidArgument, match="argument 'handle_id'"):
            ipip.Block("10.0.0.0/26").assign_any(bad)


VALUES: list[Callable[[], object]] = [
    lambda: ipip.Outer(local="1.2.3.4", remote="5.6.7.8"),
    lambda: ipip.Encapsulator(ipip.Outer(local="1.2.3.4", remote="5.6.7.8")),
    lambda: ipip.parse(PACKET),
    lambda: ipip.parse_ipv4(INNER),
    lambda: ipip.parse_echo(ipip.echo_reply(1, 2, b"x")),
    lambda: ipip.Tunnel(address="1.2.3.4", mtu=1480),
    lambda: ipip.WorkloadEndpoint(namespace="n", pod="p", address="1.2.3.4", mtu=1480),
    lambda: ipip.PeerRoute(block="10.0.0.0/26", node_addr="1.2.3.4"),
    lambda: ipip.Blackhole(block="10.0.0.0/26"),
    lambda: ipip.Pool("pods", "10.0.0.0/16"),
    lambda: ipip.AllocatorConfig(strict_affinity=True),
    lambda: ipip.Reservation("r", ["10.0.0.0/30"]),
    lambda: ipip.NodeRecord("n", address="1.2.3.4/24"),
    lambda: ipip.Block("10.0.0.0/26").assign_any("h"),
]


@pytest.mark.parametrize("make", VALUES, ids=[type(make()).__name__ for make in VALUES])
def test_values_compare_hash_show_and_stay(make: Callable[[], object]) -> None:
    one, two = make(), make()
    assert one == two and hash(one) == hash(two) and not one != two
    assert one != "something else" and one is not None
    assert type(one).__name__ in repr(one)
    name = next(name for name in dir(one) if not name.startswith("_") and not callable(getattr(one, name)))
    with pytest.raises(AttributeError):
        setattr(one, name, 1)


def test_the_repr_of_a_value_makes_it_again() -> None:
    for make in VALUES[5:9] + VALUES[:2]:
        value = make()
        assert eval(repr(value), vars(ipip)) == value  # noqa: S307


def callables() -> list[tuple[str, Callable[..., object]]]:
    """Every function, class and static method of the module, and the methods of what needs no kernel."""
    found: list[tuple[str, Callable[..., object]]] = []
    for name in ipip.__all__:
        if callable(thing := getattr(ipip, name)) and not (inspect.isclass(thing) and issubclass(thing, BaseException)):
            found.append((name, thing))
    objects = [make() for make in VALUES] + [ipip.Block("10.0.0.0/26"), ipip.Ipam(ipip.MemoryStore()), ipip.MemoryStore()]
    for thing in objects:
        for name in dir(thing):
            if not name.startswith("_") and callable(method := getattr(thing, name)):
                found.append((f"{type(thing).__name__}.{name}", method))
    for name in ("open", "named"):
        found.append((f"Netns.{name}", getattr(ipip.Netns, name)))
    return found


def test_no_argument_makes_a_panic() -> None:
    chance = random.Random(8)
    pieces = [None, 0, -1, 5, 2**64, 10**4000, 1.5, float("nan"), "", "x", "10.0.0.0/26", "10.0.0.1", "a" * 300, "\ud800", b"",
              PACKET, INNER, bytearray(INNER), bytearray(PACKET), memoryview(PACKET)[::3], [], {}, {"a": 1}, {1: "a"}, {"a": "b"},
              object(), OUTER, ipip.Outer, ipaddress.IPv4Network("10.0.0.0/26"), ipip.Pool("pods", "10.0.0.0/16")]  # fmt: skip
    calls = 0
    for name, function in callables():
        for _ in range(60):
            arguments = [chance.choice(pieces) for _ in range(chance.randrange(4))]
            keywords: dict[str, Any] = {}
            if parameters := function.__text_signature__ if hasattr(function, "__text_signature__") else None:
                words = [word.strip(" ()$*/,").split("=")[0] for word in parameters.split(",")]
                keywords = {word: chance.choice(pieces) for word in words if word.isidentifier() and chance.random() < 0.4}
            try:
                function(*arguments, **keywords)
            except Exception as error:
                assert isinstance(error, (ipip.Error, TypeError)), f"{name}{arguments}{keywords}: {error!r}"
            calls += 1
    assert calls > 2000
