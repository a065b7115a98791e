"""One store, three languages: what one writes the others read and write, to the octet."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
from typing import Protocol

import pytest

import ipip

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Tool(Protocol):
    """One step on a store in a file."""

    def __call__(self, file: pathlib.Path, *step: str) -> str: ...


def python(file: pathlib.Path, *step: str) -> str:
    store = ipip.SqliteStore(file)
    ipam = ipip.Ipam(store)
    match step:
        case ("pool",):
            ipam.create_pool(ipip.Pool("pods", "10.244.0.0/24", 26))
        case ("assign", node, handle):
            return f"{ipam.assign_any(node, handle, {'pod': handle}).address}\n"
        case ("release", handle):
            ipam.release_handle(handle)
        case ("export", lines):
            with open(lines, "wb") as to:
                store.export(to)
        case ("import", lines):
            with open(lines, "rb") as source:
                store.import_(source)
        case _:
            raise ValueError(step)
    return ""


def program(path: pathlib.Path) -> Tool:
    def run(file: pathlib.Path, *step: str) -> str:
        return subprocess.run([path, file, *step], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    return run


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    """The languages by name; `tests/python/run` builds the library and the program in Rust."""
    c = tmp_path_factory.mktemp("c") / "store_tool"
    library = TARGET / "debug"
    source = ROOT / "tests/languages/store_tool.c"
    flags = ["-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    link = [f"-L{library}", f"-Wl,-rpath,{library}", "-lipip"]
    subprocess.run(["cc", *flags, source, *link, "-o", c], check=True)
    return {"rust": program(library / "examples/store_tool"), "c": program(c), "python": python}


ORDERS = list(itertools.permutations(["rust", "c", "python"]))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_what_one_writes_the_others_read(
    tools: dict[str, Tool], order: tuple[str, ...], tmp_path: pathlib.Path
) -> None:
    first, second, third = order
    file = tmp_path / "store"
    tools[first](file, "pool")
    given = {name: tools[name](file, "assign", "node-a", f"of-{name}") for name in order}
    assert len(set(given.values())) == 3
    # Each releases what the one before it was given, and is given one more.
    for name, before in ((second, first), (third, second), (first, third)):
        tools[name](file, "release", f"of-{before}")
        given[name] = tools[name](file, "assign", "node-b", f"of-{name}-again")
    ipam = ipip.Ipam(ipip.SqliteStore(file))
    assert ipam.check().clean
    held = {name: [str(address) for address in ipam.addresses_of(f"of-{name}-again")] for name in order}
    assert held == {name: [address.strip()] for name, address in given.items()}
    assert ipam.usage().pools[0].in_use == 3

    lines = {name: tmp_path / f"{name}.jsonl" for name in order}
    for name in order:
        tools[name](file, "export", str(lines[name]))
    octets = lines[first].read_bytes()
    assert octets.count(b"\n") > 6 and all(lines[name].read_bytes() == octets for name in order)
    # Into a new file by one, out of it by the next.
    for name, other in ((first, second), (second, third), (third, first)):
        copy = tmp_path / f"copy-by-{name}"
        tools[name](copy, "import", str(lines[other]))
        tools[other](copy, "export", str(tmp_path / "again.jsonl"))
        assert (tmp_path / "again.jsonl").read_bytes() == octets
