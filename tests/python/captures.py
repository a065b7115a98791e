"""Capture files and frames for tests: the vectors of tests/vectors/capture, and what scapy writes."""

from __future__ import annotations

import runpy
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import ipip

ROOT = Path(__file__).resolve().parents[2]
#: 12:34:56.789012 on the first day, with nanoseconds that tcpdump's line cuts off.
TIME_NS = 45_296_789_012_999


@dataclass(frozen=True)
class Vector:
    name: str
    #: What tcpdump says.
    line: str
    frame: ipip.Frame


def vectors() -> list[Vector]:
    """The frames of frames.txt."""
    found = []
    text = (ROOT / "tests/vectors/capture/frames.txt").read_text()
    for entry in text.split("\n\n")[1:]:
        name, link, tcpdump, wire, *octets = (line.split(": ", 1)[-1] for line in entry.splitlines())
        # tcpdump looks for the interface on its own host; we print the index.
        line = "12:34:56.789012 " + tcpdump.replace("?     ", "if424242 ", 1)
        data = bytes.fromhex(" ".join(octets))
        frame = ipip.Frame(data, link_type=int(link), time_ns=TIME_NS, original_len=int(wire))
        found.append(Vector(name, line, frame))
    assert len(found) > 30
    return found


def write(path: Path, frames: list[ipip.Frame]) -> Path:
    """A capture file of these frames, all of one link type."""
    with ipip.PcapWriter(path, frames[0].link_type) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def by_scapy(path: Path, seed: int, count: int) -> Path:
    """A capture of many different packets, most of them in a tunnel, built and written by scapy."""
    arguments, sys.argv = sys.argv, ["make_capture.py", str(path), str(seed), str(count)]
    try:
        runpy.run_path(str(ROOT / "tests/capture/make_capture.py"))
    finally:
        sys.argv = arguments
    return path


def records(octets: bytes) -> list[bytes]:
    """The frames of a pcap file of this machine's own writing, read the plain way."""
    found, at = [], 24
    while at + 16 <= len(octets):
        (length,) = struct.unpack_from("<I", octets, at + 8)
        if at + 16 + length > len(octets):
            break
        found.append(octets[at + 16 : at + 16 + length])
        at += 16 + length
    return found
