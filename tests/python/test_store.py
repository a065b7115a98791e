"""Stores: files that processes share, what changes in them, and all of it as lines."""

from __future__ import annotations

import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import ipip


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> ipip.Store:
    return ipip.MemoryStore() if request.param == "memory" else ipip.SqliteStore(tmp_path / "store")


def network(store: ipip.Store) -> ipip.Ipam:
    ipam = ipip.Ipam(store)
    ipam.create_pool(ipip.Pool("pods", "10.244.0.0/16"))
    return ipam


def test_addresses_outlive_the_handle(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    first = network(ipip.SqliteStore(path, durability="process")).assign_any("node-a", "pod-a")
    again = ipip.Ipam(ipip.SqliteStore(str(path), create=False))
    assert again.assign_any("node-a", "pod-b").address != first.address
    assert [released.address for released in again.release_handle("pod-a")] == [first.address]
    ipip.SqliteStore(path).verify()


def test_a_watch_follows_a_list(store: ipip.Store) -> None:
    ipam = network(store)
    found, revision = store.list("/calico/")
    assert list(found) == store.keys("/calico/") and all(store.get(key) == value for key, value in found.items())
    assert store.watch("/calico/", revision, 0.01) == ({}, revision)
    ipam.claim("node-a", "10.244.3.0/26")
    told, later = store.watch("/calico/ipam/v2/assignment/ipv4/block/10.244.3.", revision)
    assert list(told) == ["/calico/ipam/v2/assignment/ipv4/block/10.244.3.0-26"] and later > revision
    ipam.release_block("node-a", "10.244.3.0/26")
    told, _ = store.watch("/calico/ipam/v2/host/", later)
    assert told == {"/calico/ipam/v2/host/node-a/ipv4/block/10.244.3.0-26": None}
    with pytest.raises(ipip.Compacted, match="list again"):
        store.watch("/", 2**64 - 1, 0)


def test_another_thread_ends_the_wait(store: ipip.Store) -> None:
    ipam = network(store)
    _, revision = store.list("/")
    threading.Timer(0.1, lambda: ipam.claim_any("node-a")).start()
    started = time.monotonic()
    told, _ = store.watch("/calico/ipam/", revision, 10)
    assert told and 0.05 < time.monotonic() - started < 5


def test_ctrl_c_ends_a_watch(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys, time, ipip\nstore = ipip.SqliteStore(sys.argv[1])\nprint('ready', flush=True)\n"
        "try: store.watch('/', 0)\nexcept KeyboardInterrupt: print(time.monotonic())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert float(process.stdout.readline()) - sent < 0.2
        assert process.wait(5) == 0


def test_a_forked_child_is_told_so(tmp_path: pathlib.Path) -> None:
    store = ipip.SqliteStore(tmp_path / "store")
    ipam = network(store)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        for call in (lambda: store.keys("/"), lambda: ipam.claim_any("node-a"), lambda: store.watch("/", 0, 0)):
            try:
                call()
            except ipip.StoreError as error:
                said += f"{error}\n"
        own = ipip.SqliteStore(tmp_path / "store")
        ipip.Ipam(own).claim_any("child")
        del store, ipam, own
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    said = os.fdopen(read).read()
    assert os.waitpid(child, 0)[1] == 0
    assert said.count(f"was opened by process {os.getpid()} and cannot be used by its child {child}") == 3
    ipam.claim_any("parent")
    assert len(ipam.blocks()) == 2
    store.verify()


def test_records_move_as_lines(store: ipip.Store) -> None:
    network(store).assign_any("node-a", "pod-a")
    file = io.BytesIO()
    assert store.export(file) == len(store.keys("/"))
    lines = file.getvalue().splitlines()
    assert [json.loads(line)["key"] for line in lines] == store.keys("/")
    other = ipip.MemoryStore()
    dry = other.import_(io.BytesIO(file.getvalue()), dry_run=True)
    assert dry.added == store.keys("/") and other.keys("/") == []
    assert repr(other.import_(io.BytesIO(file.getvalue()))) == repr(dry)
    assert other.list("/")[0] == store.list("/")[0]
    done = other.import_(io.BytesIO(lines[0]), remove_others=True)
    assert (done.added, done.replaced, done.unchanged, len(done.removed)) == ([], [], 1, len(lines) - 1)
    with pytest.raises(ipip.InvalidArgument, match="line 2 is not a record"):
        other.import_(io.BytesIO(lines[0] + b"\n{}"))
    with pytest.raises(TypeError, match="argument 'file' must be a binary file"):
        other.import_(io.StringIO("x"))  # type: ignore[arg-type]


def test_files_that_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text").write_text("hello")
    refusals = [
        (ipip.StoreError, "is not a database", lambda: ipip.SqliteStore(tmp_path / "text")),
        (ipip.StoreError, "cannot be opened", lambda: ipip.SqliteStore(tmp_path / "none" / "store")),
        (ipip.StoreError, "cannot be opened", lambda: ipip.SqliteStore(tmp_path / "none", create=False)),
        (ipip.InvalidArgument, "'durability'", lambda: ipip.SqliteStore(tmp_path / "s", durability="no")),  # type: ignore[arg-type]
        (ipip.InvalidArgument, "'deadline'", lambda: ipip.SqliteStore(tmp_path / "s", deadline=-1)),
        (ipip.InvalidArgument, "'history'", lambda: ipip.SqliteStore(tmp_path / "s", history=0)),
        (TypeError, "PathLike|path", lambda: ipip.SqliteStore(7)),  # type: ignore[arg-type]
    ]
    for expected, pattern, call in refusals:
        with pytest.raises(expected, match=pattern):
            call()
    assert "sqlite" in ipip.features()
