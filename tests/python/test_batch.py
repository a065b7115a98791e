"""Many packets by one call, against the single calls and a naive model of the span rules."""

from __future__ import annotations

import array
import gc
import itertools
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from vectors import load

import ipip

OUTER = ipip.Outer(local="172.18.0.3", remote="172.18.0.2", identification=65_534)
TUNNEL = ipip.Encapsulator(OUTER)
COLUMNS = (
    "header_len total_len dscp ecn identification dont_fragment more_fragments fragment_offset ttl protocol checksum "
    "source destination"
).split()
VECTORS = [vector.octets for good in (True, False) for vector in load("parse", good=good)]
VECTORS += [vector.octets for vector in load("decapsulate", good=False)]
# Every bit of every small field, alone.
VECTORS += [
    ipip.encapsulate(ipip.ipv4_packet(b"", source="128.0.0.1", destination="1.0.0.128", protocol=1, **{name: 1 << bit}), OUTER)  # type: ignore[arg-type]
    for name, bits in {"dscp": 6, "ecn": 2, "fragment_offset": 13, "ttl": 8, "identification": 16}.items()
    for bit in range(bits)
]
VECTORS += [
    ipip.encapsulate(ipip.ipv4_packet(b"", source="1.2.3.4", destination="5.6.7.8", protocol=1, **{name: True}), OUTER)
    for name in ("dont_fragment", "more_fragments")
]

Spans = list[tuple[int, int]]


def layout(packets: list[bytes], gap: int = 0) -> tuple[bytes, Spans]:
    """All packets in one buffer, and where."""
    buffer, spans = b"", []
    for packet in packets:
        spans.append((len(buffer) + gap, len(packet)))
        buffer += b"\xa5" * gap + packet
    return buffer, spans


def inner(data: bytes, ttl: int = 64) -> bytes:
    return ipip.ipv4_packet(data, source="10.244.79.20", destination="10.244.244.73", protocol=17, ttl=ttl, dont_fragment=True)


def status_of(call: Callable[[], object]) -> int:
    """What a batch should say of a packet for which the single call is this one."""
    try:
        call()
    except ipip.PacketError as error:
        assert error.status >= 200
        return error.status
    return 0


BUFFERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": lambda octets: memoryview(octets),
    "numpy": lambda octets: numpy.frombuffer(octets, numpy.uint8),
}
PACKETS: dict[str, Callable[[Spans], Any]] = {
    "list of tuples": lambda spans: spans,
    "list of lists": lambda spans: [list(span) for span in spans],
    "generator": lambda spans: (span for span in spans),
    "array": lambda spans: array.array("Q", [number for span in spans for number in span]),
    "numpy": lambda spans: numpy.array(spans, numpy.uint64).reshape(-1, 2),
    "numpy of signed": lambda spans: numpy.array(spans, numpy.int64).reshape(-1, 2),
    "numpy by column": lambda spans: numpy.asfortranarray(numpy.array(spans, numpy.uint64).reshape(-1, 2)),
    "numpy with gaps": lambda spans: numpy.repeat(numpy.array(spans, numpy.uint64).reshape(-1, 2), 2, axis=0)[::2],
}


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("pairs", PACKETS)
def test_a_batch_reads_what_the_single_calls_read(kind: str, pairs: str) -> None:
    buffer, spans = layout(VECTORS)
    packets = PACKETS[pairs]
    batch = ipip.parse_batch(BUFFERS[kind](buffer), packets(spans))
    where = ipip.decapsulate_batch(BUFFERS[kind](buffer), packets(spans))
    assert len(batch) == len(batch.outer) == len(batch.inner) == len(where) == len(VECTORS)
    assert list(batch.status) == [status_of(lambda: ipip.parse(octets)) for octets in VECTORS]
    assert list(where.status) == [status_of(lambda: ipip.decapsulate(octets)) for octets in VECTORS]
    assert batch.good == list(batch.status).count(0) and where.good == list(where.status).count(0)
    assert 3 < batch.good < len(VECTORS) and len(set(batch.status)) > 6
    for place, octets in enumerate(VECTORS):
        for side in ("outer", "inner"):
            columns = {name: getattr(getattr(batch, side), name)[place] for name in COLUMNS}
            if batch.status[place]:
                assert set(columns.values()) == {0}
            else:
                header = getattr(ipip.parse(octets), side)
                addresses = {"source": int(header.source), "destination": int(header.destination)}
                assert columns == {name: getattr(header, name) for name in COLUMNS} | addresses
        offset, length = where.offset[place], where.len[place]
        if where.status[place]:
            assert (offset, length) == (0, 0)
        else:
            assert buffer[offset : offset + length] == ipip.decapsulate(octets)


def test_every_column_is_a_numpy_array_without_a_copy() -> None:
    buffer, spans = layout(VECTORS)
    batch, where = ipip.parse_batch(buffer, spans), ipip.decapsulate_batch(buffer, spans)
    views = {f"{side} {name}": getattr(getattr(batch, side), name) for side in ("outer", "inner") for name in COLUMNS}
    views |= {"status": batch.status, "offset": where.offset, "len": where.len, "status of spans": where.status}
    dtypes = {"B": "uint8", "H": "uint16", "I": "uint32", "Q": "uint64", "?": "bool"}
    for name, view in views.items():
        column = numpy.asarray(view)
        assert numpy.shares_memory(column, numpy.frombuffer(view.obj, numpy.uint8)), name
        assert column.dtype == dtypes[view.format] and column.shape == (len(VECTORS),) and column.tolist() == list(view), name
        assert view.readonly and not column.flags.writeable, name
    assert batch.outer.source.obj is batch.outer.source.obj
    batch.outer.source.release()
    assert len(batch.outer.source) == len(VECTORS)
    sources = numpy.asarray(batch.inner.source)
    expected = sources.tolist()
    del batch, views
    gc.collect()
    assert sources.tolist() == expected


def encapsulated(buffer: bytes, spans: Spans, identification: int) -> tuple[bytes, Spans, list[int]]:
    """The rules as the documentation states them, by single calls."""
    result, packets, statuses, taken = bytearray(buffer), [], [], 0
    for place, (offset, length) in enumerate(spans):
        end = offset + length
        if offset - taken < 20:
            status = 208
        elif end > len(buffer):
            status = 200
        else:
            number = (identification + place) % 65_536
            outer = ipip.Outer(local=OUTER.local, remote=OUTER.remote, identification=number)
            octets = buffer[offset:end]
            status = status_of(lambda: ipip.encapsulate(octets, outer))
            if status == 0:
                packet = ipip.encapsulate(octets, outer)
                result[offset - 20 : offset - 20 + len(packet)] = packet
        packets.append((offset - 20, ipip.parse_ipv4(buffer[offset:end]).total_len + 20) if status == 0 else (0, 0))
        statuses.append(status)
        if end <= len(buffer):
            taken = max(taken, end)
    return bytes(result), packets, statuses


def test_encapsulation_keeps_the_rules_of_the_single_call_and_of_spans() -> None:
    chance = random.Random(9)
    seen: set[int] = set()
    for _ in range(300):
        kinds = [inner(chance.randbytes(chance.choice([0, 9, 64]))) for _ in range(3)]
        kinds += [inner(b"", ttl=0), inner(b"padded") + b"\xa5" * 5, b"\x45" * 40, inner(b"cut short")[:-1], b""]
        packets = [chance.choice(kinds) for _ in range(chance.randrange(1, 8))]
        buffer, spans = layout(packets, gap=chance.choice([19, 20, 20, 33]))
        if chance.random() < 0.3:
            place = chance.randrange(len(spans))
            odd = [(0, 5), (len(buffer) - 1, 5), (2**63, 2**63), (2**64 - 1, 2**64 - 1), spans[0]]
            spans[place] = chance.choice(odd)
        identification = chance.choice([0, 65_534])
        expected, where, statuses = encapsulated(buffer, spans, identification)
        written = bytearray(buffer)
        batch = TUNNEL.encapsulate_batch(written, spans, identification=identification)
        assert list(batch.status) == statuses
        assert list(zip(batch.offset, batch.len, strict=True)) == where
        assert written == expected
        assert batch.good == statuses.count(0)
        seen |= set(statuses)
    assert {0, 200, 207, 208} <= seen


def test_a_result_can_be_the_next_calls_packets() -> None:
    packets = [inner(bytes(number)) for number in range(50)]
    plain, spans = layout(packets, gap=20)
    buffer = bytearray(plain)
    wrapped = TUNNEL.encapsulate_batch(buffer, numpy.array(spans))
    assert list(ipip.parse_batch(buffer, wrapped).outer.identification) == [(65_534 + n) % 65_536 for n in range(50)]
    again = ipip.decapsulate_batch(buffer, wrapped)
    assert list(zip(again.offset, again.len, strict=True)) == spans
    assert [buffer[o : o + n] for o, n in zip(again.offset, again.len, strict=True)] == packets


@pytest.mark.parametrize("make", [bytearray, lambda octets: numpy.frombuffer(octets, numpy.uint8).copy(), lambda o: array.array("B", o)])
def test_writable_buffers_of_every_kind_are_written_in_place(make: Callable[[bytes], Any]) -> None:
    plain, spans = layout([inner(b"one"), inner(b"two")], gap=20)
    expected, _, _ = encapsulated(plain, spans, 65_534)
    buffer = make(plain)
    assert TUNNEL.encapsulate_batch(buffer, spans).good == 2
    assert bytes(buffer) == expected


def test_an_encapsulator_builds_what_the_functions_build() -> None:
    octets = inner(b"data")
    other = ipip.Outer(local=OUTER.local, remote=OUTER.remote, identification=7)
    assert TUNNEL.encapsulate(octets) == ipip.encapsulate(octets, OUTER)
    assert TUNNEL.encapsulate(octets, identification=7) == ipip.encapsulate(octets, other)
    for identification, outer in ((None, OUTER), (7, other)):
        ours, theirs = bytearray(bytes(25) + octets), bytearray(bytes(25) + octets)
        view = TUNNEL.encapsulate_into(ours, 25, identification=identification)
        assert view == ipip.encapsulate_into(theirs, 25, outer) and ours == theirs and view.obj is ours
    with pytest.raises(ipip.PacketError) as caught:
        TUNNEL.encapsulate_into(bytearray(100), 19)
    assert (caught.value.kind, caught.value.status) == ("Headroom", 208)
    assert TUNNEL.outer == OUTER and eval(repr(TUNNEL), vars(ipip)) == TUNNEL  # noqa: S307
    assert TUNNEL != ipip.Encapsulator(other) and hash(TUNNEL) == hash(ipip.Encapsulator(OUTER))
    with pytest.raises(TypeError, match="argument 'outer' must be ipip.Outer, not str"):
        ipip.Encapsulator("172.18.0.3")  # type: ignore[arg-type]


CALLS: dict[str, Callable[[Any, Any], object]] = {
    "packets of parse": ipip.parse_batch,
    "packets of decapsulate": ipip.decapsulate_batch,
    "inner": TUNNEL.encapsulate_batch,
}
WRONG: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "' must be pairs of offset and length, not NoneType"),
    ("text", TypeError, "' must be pairs of offset and length, not str"),
    (b"1234", TypeError, "' must hold aligned 64-bit integers, .* not items of format 'B'"),
    (array.array("d", [0, 1]), TypeError, "not items of format 'd'"),
    (numpy.zeros((1, 2), numpy.uint32), TypeError, "not items of format 'I'"),
    (numpy.zeros((1, 2), ">u8"), TypeError, "not items of format '>"),
    (numpy.frombuffer(bytes(17), numpy.uint64, 2, 1), TypeError, "must hold aligned"),
    (numpy.zeros((2, 3), numpy.uint64), ipip.InvalidArgument, re.escape("the shape is [2, 3], allowed are [n, 2] and [2n]")),
    (numpy.zeros(3, numpy.uint64), ipip.InvalidArgument, re.escape("the shape is [3]")),
    (numpy.zeros((), numpy.uint64), ipip.InvalidArgument, "shape is null"),
    (numpy.zeros((1, 2, 2), numpy.uint64), ipip.InvalidArgument, re.escape("the shape is [1, 2, 2]")),
    (numpy.array([[0, 1], [0, -1]]), ipip.InvalidArgument, "pair 1 has a negative number"),
    ([5], TypeError, r"\[0\]' must be a pair of offset and length, not int"),
    ([(0, 1), "ab"], TypeError, r"\[1\]' must be a pair of offset and length, not str"),
    ([(0, 1, 2)], ipip.InvalidArgument, r"\[0\]': found 3 numbers, allowed are two"),
    ([(0, 1.5)], TypeError, r"\[0\]' must be int, not float"),
    ([(0, 1), (0, -1)], ipip.InvalidArgument, r"\[1\]': -1 is outside 0 to "),
    ([(2**64, 1)], ipip.InvalidArgument, r"\[0\]': 18446744073709551616 is outside 0 to "),
]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("bad", "error", "message"), WRONG)
def test_what_are_no_pairs_is_refused(name: str, bad: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"argument '{name.split()[0]}.*{message}"):
        CALLS[name](bytearray(100), bad)


def test_what_is_no_buffer_is_refused() -> None:
    for call in CALLS.values():
        for bad in ("text", None, 5):
            with pytest.raises(TypeError, match="argument 'buffer' must be a (writable )?bytes-like object"):
                call(bad, [])
        with pytest.raises(ipip.InvalidArgument, match="argument 'buffer': the buffer has gaps"):
            call(memoryview(bytearray(10))[::2], [])
    read_only: list[Any] = [b"x" * 100, memoryview(bytearray(100)).toreadonly(), numpy.frombuffer(b"x" * 100, numpy.uint8)]
    for buffer in read_only:
        with pytest.raises(TypeError, match="argument 'buffer' must be a writable bytes-like object"):
            TUNNEL.encapsulate_batch(buffer, [(20, 80)])
    for identification in (-1, 65_536):
        with pytest.raises(ipip.InvalidArgument, match="argument 'identification'"):
            TUNNEL.encapsulate_batch(bytearray(), [], identification=identification)


def test_an_iterators_own_error_is_passed_on_and_no_buffer_stays_locked() -> None:
    def broken() -> Any:
        yield (0, 1)
        raise KeyError("mine")

    buffer = bytearray(100)
    for call in CALLS.values():
        with pytest.raises(KeyError, match="mine"):
            call(buffer, broken())
        call(buffer, [(20, 80)])
        buffer.extend(b"resized")  # BufferError while a view is open


def test_empty_batches_and_spans_past_the_end() -> None:
    empties: list[Any] = [[], array.array("Q"), numpy.zeros((0, 2), numpy.uint64), numpy.array([])]
    for empty in empties:
        batch = ipip.parse_batch(b"", empty)
        assert (len(batch), batch.good, list(batch.status), list(batch.outer.source)) == (0, 0, [], [])
        assert list(TUNNEL.encapsulate_batch(bytearray(), empty).offset) == []
    past: Spans = [(0, 21), (21, 0), (2**64 - 1, 2**64 - 1), (2**63, 1)]
    assert list(ipip.parse_batch(bytes(20), past).status) == [200] * 4
    assert list(ipip.decapsulate_batch(bytes(20), past).status) == [200] * 4


def test_other_threads_run_during_a_large_batch() -> None:
    packet = TUNNEL.encapsulate(inner(b"data"))
    packets = numpy.tile(numpy.array([0, len(packet)], numpy.uint64), (500_000, 1))
    done = threading.Event()
    ticks: list[float] = []

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    def longest_silence() -> float:
        """As a part of the whole call."""
        start = time.perf_counter()
        batch = ipip.parse_batch(packet, packets)
        end = time.perf_counter()
        assert batch.good == len(packets) and numpy.all(numpy.asarray(batch.inner.ttl) == 64)
        inside = [start, *(moment for moment in ticks if start < moment < end), end]
        return max(after - before for before, after in itertools.pairwise(inside)) / (end - start)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        # A busy machine may keep the other thread waiting; one time in ten it will not.
        assert min(longest_silence() for _ in range(10)) < 0.7
    finally:
        done.set()
        ticker.join()
