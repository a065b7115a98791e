"""Network namespaces; `ip netns` and /proc are the oracles."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import add_device, ask_ip, run_ip

import ipip


@pytest.fixture
def name(node: ipip.Netns) -> Iterator[str]:
    """A name that nobody else uses, removed afterwards."""
    name = f"ipip-py-{os.getpid()}"
    ipip.Netns.remove(name)
    yield name
    ipip.Netns.remove(name)


def listed() -> set[str]:
    output = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in output.splitlines()}


def test_a_named_namespace_is_what_ip_netns_makes(name: str) -> None:
    with ipip.Netns.create(name) as made:
        assert name in listed()
        assert made.path == f"/run/netns/{name}" and not made.closed
        add_device(made, "d0")
        with ipip.Netns.named(name) as again, ipip.Netns.open(Path(f"/run/netns/{name}")) as third:
            assert made.is_same(again) and again.is_same(third)
            assert {link["ifname"] for link in ask_ip(third, "link")} == {"lo", "d0", "d0-p"}
    assert made.closed and name in listed(), "closing a handle removes no name"
    assert ipip.Netns.remove(name) and name not in listed()
    assert not ipip.Netns.remove(name)


def test_a_taken_name_is_refused(name: str) -> None:
    ipip.Netns.create(name).close()
    with pytest.raises(FileExistsError) as caught:
        ipip.Netns.create(name)
    assert isinstance(caught.value, ipip.AlreadyExists)
    assert caught.value.errno == errno.EEXIST and name in str(caught.value)


def test_a_missing_namespace_is_three_errors_in_one() -> None:
    for expected in (FileNotFoundError, LookupError, ipip.KernelError):
        with pytest.raises(expected) as caught:
            ipip.Netns.named("ipip-py-nobody")
    error = caught.value
    assert isinstance(error, ipip.NoSuchObject)
    assert (error.errno, error.strerror) == (errno.ENOENT, os.strerror(errno.ENOENT))
    assert str(error).startswith("cannot open network namespace /run/netns/ipip-py-nobody")


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "x" * 256, "a\0b"])
def test_names_that_no_file_has_are_refused(bad: str) -> None:
    for call in (ipip.Netns.create, ipip.Netns.named, ipip.Netns.remove):
        with pytest.raises(ipip.InvalidArgument):
            call(bad)


def test_another_file_is_no_namespace() -> None:
    for path in ("/etc/passwd", "/proc/self/ns/uts", "with\0zero"):
        with pytest.raises(ipip.InvalidArgument):
            ipip.Netns.open(path)


def test_run_is_inside_and_the_caller_stays_outside(node: ipip.Netns) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino
    within = node.run(lambda: os.stat("/proc/thread-self/ns/net").st_ino)
    assert within == os.fstat(node.fileno()).st_ino != before
    assert os.stat("/proc/thread-self/ns/net").st_ino == before
    assert not ipip.Netns.current().is_same(node)
    assert node.run(lambda: threading.get_ident()) != threading.get_ident()


def test_a_socket_made_inside_stays_inside(node: ipip.Netns) -> None:
    run_ip(node, "link", "set", "lo", "up")
    listener = node.run(socket.create_server, ("127.0.0.1", 0))
    client = node.run(socket.create_connection, listener.getsockname(), timeout=5)
    with listener, client, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), timeout=5)


def test_run_returns_and_raises_what_the_function_does(node: ipip.Netns) -> None:
    assert node.run(lambda *a, **k: (a, k), 1, 2, three=3) == ((1, 2), {"three": 3})
    with pytest.raises(ZeroDivisionError):
        node.run(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        node.run(exit)
    assert node.run(lambda: node.run(lambda: "nested")) == "nested"


def test_a_closed_namespace_says_so(pod: ipip.Netns) -> None:
    pod.close()
    pod.close()
    assert pod.closed and "closed" in repr(pod)
    for call in (lambda: pod.run(print), pod.fileno, pod.__enter__, lambda: ipip.ensure_blackhole(pod, ipip.Blackhole(block="10.0.0.0/26"))):  # fmt: skip
        with pytest.raises(ipip.InvalidArgument, match="is closed"):
            call()


def test_without_privilege_there_is_one_clear_error(node: ipip.Netns) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setuid(65534)
            ipip.Netns.create_unnamed()
        except PermissionError as error:
            status = 0 if isinstance(error, ipip.NoPrivilege) and error.errno == errno.EPERM else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
