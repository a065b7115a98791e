"""``python -m ipip capture``: what captures show; options and output are those of the example ``read_capture``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator

from . import DamagedCapture, Error, Filter, Frame, Peers, Point, Reader, findings, journeys

_STDIN = "/dev/stdin"


def main(arguments: list[str]) -> int:
    """Prints what the files show; 0, or 1 if a file could not be read to its end."""
    options = _parse(arguments)
    try:
        points, whole = _read(options)
        for line in _journeys(points, options) if options.journeys else _frames(points, options):
            sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # `… | head` is no failure; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Error as error:
        print(f"python -m ipip capture: {error}", file=sys.stderr)
        return 1
    return 0 if whole else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipip capture", description="What captures show: one line a frame.", allow_abbrev=False
    )
    add = parser.add_argument
    add("files", metavar="FILE", nargs="+", help="pcap or pcapng, - is standard input; several files are several points")
    add("--tree", dest="form", action="store_const", const="tree", default="line", help="layers as a tree")
    add("--json", dest="form", action="store_const", const="json", default="line", help="one JSON object a line")
    add("--findings", action="store_true", help="what is wrong with each frame")
    text = "the longest packet that should pass there, or at all other points, for --findings"
    add("--mtu", metavar="[POINT=]OCTETS", type=_mtu, action="append", default=[], help=text)
    text = "a node and a prefix behind it, any number of them, for --findings"
    add("--peer", metavar="PREFIX=NODE", type=_peer, action="append", default=[], help=text)
    add("--journeys", action="store_true", help="one packet at all points that saw it")
    text = "only frames with an IPv4 header of that protocol (4 is IPIP)"
    add("--protocol", metavar="NUMBER", type=lambda text: _number(text, 255), help=text)
    text = "only those from and to these prefixes or addresses"
    add("--between", metavar="A,B,…", type=_prefixes, action="extend", default=[], help=text)
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    if options.form == "json" and (options.findings or options.journeys):
        parser.error("--json goes with neither --findings nor --journeys")
    options.peers = Peers() if options.peer else None
    try:
        for prefix, node in options.peer:
            options.peers.insert(prefix, node)
        options.filter = Filter(protocol=options.protocol, between=options.between)
    except Error as error:
        parser.error(str(error))
    return options


def _number(text: str, most: int = 2**64 - 1) -> int:
    if not re.fullmatch(r"\+?[0-9]+", text, re.ASCII) or int(text) > most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most}")
    return int(text)


def _mtu(text: str) -> tuple[str | None, int]:
    point, named, octets = text.rpartition("=")
    return (point if named else None, _number(octets))


def _prefix(text: str) -> str:
    return text if "/" in text else f"{text}/32"


def _prefixes(text: str) -> list[str]:
    return [_prefix(part) for part in text.split(",")]


def _peer(text: str) -> tuple[str, str]:
    prefix, named, node = text.partition("=")
    if not named:
        raise argparse.ArgumentTypeError(f"{text!r} is not PREFIX=NODE")
    return (_prefix(prefix), node)


def _read(options: argparse.Namespace) -> tuple[list[Point], bool]:
    """The points of all files, without the frames that nobody wants, and whether all could be read to their end."""
    points: list[Point] = []
    whole = True
    for file in options.files:
        name = _STDIN if file == "-" else file
        with Reader(sys.stdin.buffer if file == "-" else file) as reader:
            found, fault = reader.points(_stem(name))
        points += found
        if fault:
            print(f"{name}: {fault}", file=sys.stderr)
            whole = False
    wanted = options.filter.matches
    return [Point(point.name, tuple(filter(wanted, point.frames))) for point in points], whole


def _stem(path: str) -> str:
    """What the file is called, without its ending."""
    name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")
    return name.rpartition(".")[0] or name


def _frames(points: list[Point], options: argparse.Namespace) -> Iterator[str]:
    for point in points:
        # JSON lines stay JSON lines.
        if len(points) > 1 and options.form != "json":
            yield f"{point.name}:"
        for frame in point.frames:
            yield {"line": Frame.line, "tree": Frame.tree, "json": Frame.json}[options.form](frame)
            yield from _findings(point, frame, options)


def _journeys(points: list[Point], options: argparse.Namespace) -> Iterator[str]:
    """Each packet with the points that saw it, in the order of time."""
    for journey in journeys(points):
        packet = journey.packet
        yield (
            f"{packet.source} > {packet.destination}, protocol {packet.protocol}, id {packet.identification}, "
            f"{packet.payload_len} octets of payload, seen at {len(journey.sightings)} of {len(points)} points"
        )
        for sighting in journey.sightings:
            point = points[sighting.point]
            frame = point.frames[sighting.frame]
            yield f"  {point.name}: ttl {sighting.ttl}: {frame.line()}"
            yield from _findings(point, frame, options)


def _findings(point: Point, frame: Frame, options: argparse.Namespace) -> Iterator[str]:
    if not options.findings:
        return
    mtus = dict(options.mtu)
    mtu = mtus.get(point.name, mtus.get(None))
    for finding in findings(frame, mtu=mtu, peers=options.peers):
        yield f"    ! {finding}"
