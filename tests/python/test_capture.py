"""Live capture; the senders are sockets of the kernel, the oracles its clock and scapy."""

from __future__ import annotations

import datetime
import errno
import socket
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from world import WORKLOAD, run_ip

import ipip


def send(netns: ipip.Netns, count: int = 1) -> None:
    """UDP to ourselves over the loopback."""

    def body() -> None:
        # To itself, so that no "port unreachable" comes back.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as both:
            both.bind(("127.0.0.1", 0))
            for number in range(count):
                both.sendto(b"frame %d" % number, both.getsockname())

    netns.run(body)


@pytest.fixture
def loopback(node: ipip.Netns) -> ipip.Netns:
    run_ip(node, "link", "set", "lo", "up")
    return node


def test_a_frame_is_what_was_sent(loopback: ipip.Netns) -> None:
    with ipip.LiveCapture(loopback, "lo") as capture:
        before = time.time_ns()
        send(loopback)
        frame = capture.next_frame(timeout=5)
        after = time.time_ns()
    assert frame and (frame.link_type, capture.link_type, capture.interface) == ("ethernet", "ethernet", "lo")
    seen = Ether(frame.octets)
    assert bytes(seen[UDP].payload) == b"frame 0" and seen[IP].dst == "127.0.0.1"
    assert frame.original_len == len(frame.octets) and frame.direction in ("in", "out")
    assert before <= frame.time_ns <= after
    assert frame.time.tzinfo is datetime.timezone.utc
    assert abs(frame.time.timestamp() - frame.time_ns / 1e9) < 1e-5
    assert "127.0.0.1" in str(frame) and "UDP" in str(frame) and "IPv4" in frame.tree()


def test_raw_ip_has_no_link_header(node: ipip.Netns) -> None:
    run_ip(node, "tuntap", "add", "t0", "mode", "tun")
    with ipip.LiveCapture(node, "t0") as capture:
        assert capture.link_type == "raw_ip"


def test_iteration_ends_when_another_thread_stops_it(loopback: ipip.Netns) -> None:
    with ipip.LiveCapture(loopback, "lo") as capture:
        send(loopback, 5)
        threading.Timer(0.2, capture.stop).start()
        frames = list(capture)
        # Over the loopback each frame goes out and comes in.
        assert [f.octets[-7:] for f in frames if f.direction == "in"] == [b"frame %d" % n for n in range(5)]
        assert capture.next_frame() is None
        assert capture.counts()[0] >= len(frames) and capture.counts()[1] == 0


def test_closing_from_another_thread_ends_an_endless_wait(loopback: ipip.Netns) -> None:
    capture = ipip.LiveCapture(loopback, "lo")
    threading.Timer(0.2, capture.close).start()
    started = time.monotonic()
    assert list(capture) == []
    assert time.monotonic() - started < 2
    capture.close()
    with pytest.raises(ipip.InvalidArgument, match="closed"):
        capture.next_frame(0)
    with pytest.raises(ipip.InvalidArgument, match="closed"):
        capture.counts()


@pytest.mark.parametrize("timeout", [0, 0.0, 0.02, 0.12])
def test_a_wait_lasts_as_long_as_asked(loopback: ipip.Netns, timeout: float) -> None:
    with ipip.LiveCapture(loopback, "lo") as capture:
        started = time.monotonic()
        assert capture.next_frame(timeout) is None
        assert timeout <= time.monotonic() - started < timeout + 0.5


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e300, 10**400])
def test_odd_timeouts_are_refused(loopback: ipip.Netns, timeout: float) -> None:
    with ipip.LiveCapture(loopback, "lo") as capture, pytest.raises(ipip.InvalidArgument, match="timeout"):
        capture.next_frame(timeout)


def test_a_missing_interface_is_not_found(node: ipip.Netns) -> None:
    with pytest.raises(ipip.NoSuchObject, match="no interface eth9") as caught:
        ipip.LiveCapture(node, "eth9")
    assert caught.value.errno == errno.ENODEV


def test_an_interface_that_goes_away_says_so(node: ipip.Netns, pod: ipip.Netns) -> None:
    ipip.ensure_workload(node, pod, WORKLOAD)
    with ipip.LiveCapture(node, WORKLOAD.host_veth) as capture:
        ipip.remove_workload(node, WORKLOAD)
        with pytest.raises(ipip.NoSuchObject, match="was removed"):
            while capture.next_frame(5):
                pass


def test_two_threads_share_one_capture(loopback: ipip.Netns) -> None:
    counts = [0, 0]
    with ipip.LiveCapture(loopback, "lo") as capture:

        def read(reader: int) -> None:
            for _ in capture:
                counts[reader] += 1

        readers = [threading.Thread(target=read, args=(n,)) for n in range(2)]
        for thread in readers:
            thread.start()
        send(loopback, 50)
        time.sleep(0.3)
        capture.stop()
        for thread in readers:
            thread.join(5)
    assert sum(counts) == 100, "each frame once: out and in"
