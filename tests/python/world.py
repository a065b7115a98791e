"""Namespaces for tests, and what the kernel's own tools say about them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ipip

MTU = 1480
POD = "10.244.79.20"
BLOCK = "10.244.79.0/26"
PEER_BLOCK = "10.244.244.64/26"
PEER = "172.18.0.2"
WORKLOAD = ipip.WorkloadEndpoint(namespace="default", pod="podA", address=POD, mtu=MTU)
HOST_VETH = "cali7f94ce7c295"
TUNNEL = ipip.Tunnel(address="10.244.79.1", mtu=MTU)
PEER_ROUTE = ipip.PeerRoute(block=PEER_BLOCK, node_addr=PEER)
BLACKHOLE = ipip.Blackhole(block=BLOCK)


def inside(netns: ipip.Netns, *command: str) -> str:
    """What a command prints inside a namespace."""
    whole = ["nsenter", f"--net={netns.path}", *command]
    done = subprocess.run(whole, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{whole}: {done.stderr}"
    return done.stdout


def run_ip(netns: ipip.Netns, *arguments: str) -> None:
    """`ip` for its effect."""
    inside(netns, "ip", *arguments)


def add_device(netns: ipip.Netns, name: str, *, up: bool = True) -> None:
    """A device of somebody else: one end of a veth pair, which every kernel has."""
    run_ip(netns, "link", "add", name, "type", "veth", "peer", "name", f"{name[:13]}-p")
    if up:
        run_ip(netns, "link", "set", name, "up")
        run_ip(netns, "link", "set", f"{name[:13]}-p", "up")


def ask_ip(netns: ipip.Netns, *arguments: str) -> list[dict[str, Any]]:
    """`ip -j` for its answer."""
    answer: list[dict[str, Any]] = json.loads(inside(netns, "ip", "-j", *arguments) or "[]")
    return answer


def link(netns: ipip.Netns, name: str) -> dict[str, Any] | None:
    """One link with its details, if it is there."""
    found = [link for link in ask_ip(netns, "-d", "link", "show") if link["ifname"] == name]
    return found[0] if found else None


def routes(netns: ipip.Netns) -> set[str]:
    """The main table as `ip route` prints it."""
    return {" ".join(line.split()) for line in inside(netns, "ip", "route", "show").splitlines()}


def setting(netns: ipip.Netns, key: str) -> str:
    """One sysctl."""
    return netns.run(lambda: Path("/proc/sys/net/ipv4", key).read_text().strip())


def state(netns: ipip.Netns) -> object:
    """Everything that a call could change, to compare before and after.

    Not what changes by itself: IPv6, and the carrier, which the kernel reports up to a second late.
    """
    links = ask_ip(netns, "-d", "link", "show")
    for found in links:
        for late in ("operstate", "qdisc"):
            found.pop(late, None)
        found["flags"] = sorted(set(found["flags"]) - {"LOWER_UP", "NO-CARRIER"})
    addresses = [(found["ifname"], found["addr_info"]) for found in ask_ip(netns, "-4", "addr", "show")]
    return links, addresses, sorted(route.removesuffix(" linkdown") for route in routes(netns))


def python(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """A Python of its own, same venv."""
    return subprocess.run(
        [sys.executable, *arguments], input=text, check=False, capture_output=True, text=True, timeout=60
    )
