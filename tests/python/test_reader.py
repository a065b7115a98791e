"""Capture files: read beside dpkt, damaged everywhere, written for dpkt and scapy."""

from __future__ import annotations

import errno
import gzip
import io
import os
import resource
import signal
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dpkt
import pytest
from captures import by_scapy, records, write
from scapy.layers.inet import IP
from scapy.utils import rdpcap

import ipip
from ipip import capture

PACKET = bytes(IP(src="10.244.79.20", dst="10.244.244.73", id=7))
SECOND = 10**9


def echoes(count: int = 3) -> list[ipip.Frame]:
    return [ipip.Frame(PACKET, link_type="raw_ip", time_ns=1_700_000_000 * SECOND + number) for number in range(count)]


def of(octets: bytes) -> ipip.Reader:
    return ipip.Reader(io.BytesIO(octets))


def test_frames_are_those_that_dpkt_reads(tmp_path: Path) -> None:
    path = by_scapy(tmp_path / "scapy.pcap", 5, 500)
    with path.open("rb") as stream:
        # dpkt keeps the time as a decimal, exact to the nanosecond.
        expected = [(int(time * SECOND), octets) for time, octets in dpkt.pcap.Reader(stream)]
    with ipip.Reader(path) as reader:
        frames = list(reader)
        assert reader.interfaces == (capture.Interface(name=None, link_type="ethernet"),) and reader.interface == 0
    assert [(frame.time_ns, frame.data) for frame in frames] == expected
    assert any(frame.original_len > len(frame.data) for frame in frames)
    assert {frame.direction for frame in frames} == {"unknown"}


@pytest.mark.parametrize("read", [str, Path, os.fsencode, lambda path: path.open("rb"), lambda path: path.open("rb", buffering=0)])
def test_any_path_and_any_binary_file_is_read(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    path = write(tmp_path / "a.pcap", echoes())
    source = read(path)
    if isinstance(source, bytes):
        with pytest.raises(TypeError, match="argument 'source' must be str, os.PathLike or a binary file, not bytes"):
            ipip.Reader(source)  # type: ignore[arg-type]
        return
    with ipip.Reader(source) as reader:
        assert list(reader) == echoes()
    if isinstance(source, io.IOBase):
        source.close()


def test_a_compressed_capture_is_read(tmp_path: Path) -> None:
    octets = write(tmp_path / "a.pcap", echoes()).read_bytes()
    with gzip.open(tmp_path / "a.pcap.gz", "wb") as packed:
        packed.write(octets)
    with gzip.open(tmp_path / "a.pcap.gz", "rb") as unpacked:
        assert list(ipip.Reader(unpacked)) == echoes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_every_byte_order_and_unit_is_read(order: str, magic: int, unit: int) -> None:
    octets = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, 101) + struct.pack(f"{order}IIII", 5, 6, 20, 1500) + PACKET
    (frame,) = of(octets)
    assert (frame.time_ns, frame.original_len, frame.data, frame.link_type) == (5 * SECOND + 6 * unit, 1500, PACKET, "raw_ip")


def test_interfaces_of_pcapng_have_names_and_become_points() -> None:
    def block(kind: int, inside: bytes) -> bytes:
        inside += bytes(-len(inside) % 4)
        return struct.pack("<II", kind, len(inside) + 12) + inside + struct.pack("<I", len(inside) + 12)

    def interface(link_type: int, name: bytes) -> bytes:
        return block(1, struct.pack("<HHIHH", link_type, 0, 0, 2, len(name)) + name + bytes(-len(name) % 4 + 4))

    def packet(interface: int, micros: int, flags: int) -> bytes:
        octets = PACKET + struct.pack("<HHIHH", 2, 4, flags, 0, 0)
        return block(6, struct.pack("<IIIII", interface, 0, micros, len(PACKET), len(PACKET)) + octets)

    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    octets = section + interface(101, b"tunl0") + interface(228, b"pod") + packet(1, 5, 1) + packet(0, 6, 2)
    reader = of(octets)
    first, place, second = next(reader), reader.interface, next(reader)
    assert (first.time_ns, first.direction, place) == (5000, "in", 1)
    assert (second.time_ns, second.direction, reader.interface) == (6000, "out", 0)
    assert reader.interfaces == (capture.Interface("tunl0", "raw_ip"), capture.Interface("pod", "raw_ip"))
    points, fault = of(octets).points("node-a")
    assert fault is None
    assert points == [ipip.Point("node-a pod", (first,)), ipip.Point("node-a tunl0", (second,))]


@pytest.mark.parametrize("kind", ["path", "file"])
def test_a_cut_file_is_read_up_to_the_damage(tmp_path: Path, kind: str) -> None:
    whole = write(tmp_path / "a.pcap", echoes()).read_bytes()
    cut = tmp_path / "cut.pcap"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])

        def source() -> Any:
            return cut if kind == "path" else io.BytesIO(whole[:length])

        if length < 24:
            fault = ipip.InvalidArgument if length < 4 else ipip.DamagedCapture
            with pytest.raises(fault, match="not a capture" if length < 4 else "damaged at offset 0: it is cut off"):
                ipip.Reader(source())
            continue
        frames, reader = [], ipip.Reader(source())
        damage = 24 + (length - 24) // 36 * 36
        if damage == length:
            frames = list(reader)
        else:
            with pytest.raises(ipip.DamagedCapture, match=f"damaged at offset {damage}: it is cut off") as caught:
                for frame in reader:
                    frames.append(frame)
            assert caught.value.offset == damage
            assert list(reader) == [], "after the damage comes the end"
        assert [frame.data for frame in frames] == records(whole[:length])
        points, error = ipip.Reader(source()).points("a")
        assert [frame for point in points for frame in point.frames] == frames
        assert (error is None) == (damage == length)
        assert error is None or isinstance(error, ipip.DamagedCapture) and error.offset == damage


def test_every_octet_damaged_spoils_nothing_before_it(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pcap", echoes()).read_bytes()
    good = echoes()
    faults = 0
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            octets = bytearray(whole)
            octets[at] ^= flip
            before = max(0, (at - 24) // 36)
            frames = []
            try:
                for frame in of(bytes(octets)):
                    frames.append(frame)
            except ipip.DamagedCapture as fault:
                faults += 1
                assert at < 24 or 24 + 36 * before <= fault.offset < len(whole), at
            except ipip.InvalidArgument:
                assert at < 4
                continue
            # A changed header changes the meaning of all that follows.
            assert at < 24 or frames[:before] == good[:before], at
    assert faults > 20


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ipip.NoSuchObject, match="cannot open capture file .*nothing.pcap: No such file"):
        ipip.Reader(tmp_path / "nothing.pcap")
    with pytest.raises(ipip.KernelError, match="cannot read the capture at offset 0: Is a directory") as caught:
        ipip.Reader(tmp_path)
    assert caught.value.errno == errno.EISDIR
    with pytest.raises(ipip.InvalidArgument, match="not a capture: begins with .7f, 45, 4c, 46., allowed are"):
        of(b"\x7fELF")
    with pytest.raises(ipip.InvalidArgument, match="argument 'source': .*null"):
        ipip.Reader("a\0b")
    with pytest.raises(TypeError, match="argument 'source' must be"):
        ipip.Reader(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="binary mode, not StringIO"):
        ipip.Reader(io.StringIO())  # type: ignore[arg-type]
    reader = ipip.Reader(write(tmp_path / "a.pcap", echoes()))
    reader.close()
    reader.close()
    for call in (lambda: next(reader), lambda: reader.interfaces, lambda: reader.interface, lambda: reader.points("a")):
        with pytest.raises(ipip.InvalidArgument, match="the reader is closed"):
            call()


@pytest.mark.parametrize(
    ("given", "fault"),
    [("text", TypeError), (None, TypeError), (bytes(10**6), ValueError), (KeyError("gone"), KeyError), (7, TypeError)],
)
def test_a_broken_file_object_is_an_ordinary_error(given: Any, fault: type[Exception]) -> None:
    class Broken:
        def read(self, size: int) -> Any:
            if size == 0:
                return b""
            if isinstance(given, Exception):
                raise given
            return given

    with pytest.raises(fault):
        ipip.Reader(Broken())


def test_a_fault_in_the_middle_is_raised_from_points(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pcap", echoes()).read_bytes()

    class Once(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            octets = super().read1(size)
            if not octets:
                raise RuntimeError("unplugged")
            return octets

    with pytest.raises(RuntimeError, match="unplugged"):
        ipip.Reader(Once(whole)).points("a")


@pytest.mark.parametrize("call", [lambda reader: reader.interface, lambda reader: next(reader), lambda reader: reader.close()])
def test_a_file_that_uses_its_own_reader_does_not_wait_for_itself(tmp_path: Path, call: Callable[[ipip.Reader], object]) -> None:
    class Greedy(io.BytesIO):
        reader: ipip.Reader | None = None

        def read1(self, size: int | None = -1, /) -> bytes:
            if self.reader:
                call(self.reader)
            return super().read1(30)  # the file header and a part of the first record

    file = Greedy(write(tmp_path / "a.pcap", echoes()).read_bytes())
    file.reader = ipip.Reader(file)
    with pytest.raises(ipip.InvalidArgument, match="the reader is reading on this very thread"):
        next(file.reader)


def test_files_are_read_by_dpkt_and_scapy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", echoes())
    with path.open("rb") as stream:
        reader = dpkt.pcap.Reader(stream)
        assert (reader.datalink(), reader.snaplen) == (101, 262_144)
        assert [(int(time * SECOND), octets) for time, octets in reader] == [(f.time_ns, f.data) for f in echoes()]
    packets = rdpcap(str(path))
    assert [bytes(packet) for packet in packets] == [PACKET] * 3 and packets[0].time % 1 * SECOND == 0
    assert list(ipip.Reader(path)) == echoes()


def test_what_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    with ipip.PcapWriter(path, "ethernet") as writer:
        with pytest.raises(ipip.InvalidArgument, match="a raw IP frame does not belong in a capture file of Ethernet frames"):
            writer.write(echoes()[0])
        with pytest.raises(ipip.InvalidArgument, match="1970 to 2106"):
            writer.write(ipip.Frame(b"", time_ns=2**32 * SECOND))
        with pytest.raises(TypeError, match="argument 'frame' must be ipip.Frame, not bytes"):
            writer.write(b"")  # type: ignore[arg-type]
        writer.flush()
        assert len(path.read_bytes()) == 24
    writer.close()
    with pytest.raises(ipip.InvalidArgument, match="closed"):
        writer.write(ipip.Frame(b""))
    with pytest.raises(ipip.NoSuchObject, match="cannot make the capture file"):
        ipip.PcapWriter(tmp_path / "none" / "a.pcap")
    with pytest.raises(ipip.InvalidArgument, match="argument 'path': .*null"):
        ipip.PcapWriter("a\0b")
    with pytest.raises(ipip.InvalidArgument, match="link_type"):
        ipip.PcapWriter(path, "ppp")  # type: ignore[arg-type]


def test_a_full_disk_is_told_when_the_file_is_closed() -> None:
    writer = ipip.PcapWriter("/dev/full")
    writer.write(ipip.Frame(b"abc"))
    with pytest.raises(ipip.KernelError, match="cannot write the capture file: No space left") as caught:
        writer.close()
    assert caught.value.errno == errno.ENOSPC
    writer.close()


def test_the_rest_of_a_frame_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    large = ipip.Frame(PACKET + bytes(100_000), link_type="raw_ip")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with ipip.PcapWriter(path, "raw_ip") as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        try:
            with pytest.raises(ipip.PartWritten) as caught:
                writer.write(large)
            with pytest.raises(ipip.KernelError) as again:
                writer.write(large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert caught.value.errno == again.value.errno == errno.EFBIG
        assert not isinstance(again.value, ipip.PartWritten)
        assert caught.value.left == 24 + 16 + len(large.data) - 50_000
        assert str(caught.value.left) in str(caught.value)
        writer.write(echoes()[0])
    assert list(ipip.Reader(path)) == [large, echoes()[0]]


def test_a_reader_may_be_shared(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", echoes(2000))
    reader, counts = ipip.Reader(path), [0, 0]

    def read(place: int) -> None:
        counts[place] = sum(1 for _ in reader)

    threads = [threading.Thread(target=read, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(counts) == 2000
