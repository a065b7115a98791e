"""The packet vectors of tests/vectors; its README says what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Vector(NamedTuple):
    """One file: its name, what it says, and the octets."""

    name: str
    table: dict[str, str]
    octets: bytes


def load(call: str, *, good: bool) -> list[Vector]:
    """The vectors for one function: those it accepts, or those it refuses."""
    vectors = []
    for path in sorted((Path(__file__).parent / "../vectors").glob("*.txt")):
        lines = path.read_text().splitlines()
        table = dict(line[2:].split(": ", 1) for line in lines if line.startswith("#"))
        octets = bytes.fromhex(" ".join(line for line in lines if not line.startswith("#")))
        if table["call"] == call and ("expect" in table) != good:
            vectors.append(Vector(path.stem, table, octets))
    assert vectors, f"no vectors for {call}"
    return vectors


def expected(vector: Vector, *without: str) -> dict[str, str]:
    """What the call should find."""
    skipped = {"tool", "version", "command", "call", *without}
    return {key: value for key, value in vector.table.items() if key not in skipped}


def octets_text(octets: bytes) -> str:
    """As the files write octets."""
    return octets.hex() or "none"
