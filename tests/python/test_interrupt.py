"""A real SIGINT while a call waits: KeyboardInterrupt within 100 ms, from a node's run within a second or so."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

import ipip

PROGRAM = """
import os, sys, time, ipip
pipe = os.pipe()
os.write(pipe[1], bytes.fromhex("d4c3b2a1 02000400") + bytes(8) + bytes.fromhex("00000400 65000000"))
reader = ipip.Reader(os.fdopen(pipe[0], "rb"))
netns = ipip.Netns.create_unnamed()
capture = ipip.LiveCapture(netns, "lo")
if sys.argv[1] == "node":
    netns.run(os.system, "ip link add eth0 type veth peer name far0; ip addr add 172.18.0.3/16 dev eth0; ip link set eth0 up")
    config = ipip.NodeConfig("node-a", netns=netns, guard=False, underlay="eth0")
    node = ipip.Node.join(ipip.MemoryStore(), config)
calls = {
    "node": lambda: node.run(ipip.Stop()),
    "next_frame": lambda: capture.next_frame(),
    "iterate": lambda: list(capture),
    "read": lambda: list(reader),
    "points": lambda: reader.points("pipe"),
    "run": lambda: netns.run(time.sleep, 1.5),
}
print("ready", flush=True)
try:
    calls[sys.argv[1]]()
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""


@pytest.mark.parametrize("call", ["next_frame", "iterate", "read", "points", "run", "node"])
def test_ctrl_c_ends_the_wait(node: ipip.Netns, call: str) -> None:
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, call], stdout=subprocess.PIPE, text=True) as process:
        # Else a wait that nothing ends would end no test.
        watchdog = threading.Timer(10, process.kill)
        watchdog.start()
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        line = process.stdout.readline()
        assert line, "Ctrl-C did not end the wait"
        # A node's run first waits for its watcher of the store, which looks up each second.
        assert float(line) - sent < (3 if call == "node" else 0.1)
        assert process.wait(5) == 0, "nothing hangs or crashes at exit"
        watchdog.cancel()
    assert time.monotonic() - started < 5


def test_a_handler_that_returns_lets_the_wait_go_on(node: ipip.Netns) -> None:
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with ipip.LiveCapture(node, "lo") as capture:
            started = time.monotonic()
            assert capture.next_frame(0.4) is None
            assert time.monotonic() - started >= 0.4
        assert len(calls) == 1 and calls[0] - started < 0.25
    finally:
        signal.signal(signal.SIGALRM, before)
