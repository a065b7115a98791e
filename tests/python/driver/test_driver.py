"""``ensure_*`` on a kernel with the ipip driver: fresh, repeated, damaged, foreign object in the way, removed.

The oracle is ``ip``. Run by ``tests/python/run driver``, in a guest where the host has no driver.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest
from world import (
    BLACKHOLE,
    BLOCK,
    MTU,
    PEER,
    PEER_BLOCK,
    PEER_ROUTE,
    POD,
    TUNNEL,
    WORKLOAD,
    add_device,
    ask_ip,
    inside,
    link,
    routes,
    run_ip,
    setting,
    state,
)

import ipip

pytestmark = pytest.mark.driver

TUNNEL_ROUTE = f"{PEER_BLOCK} via {PEER} dev tunl0 proto bird onlink"


def addresses(netns: ipip.Netns, name: str) -> list[tuple[str, int]]:
    (found,) = ask_ip(netns, "addr", "show", "dev", name)
    return [(a["local"], a["prefixlen"]) for a in found["addr_info"] if a["family"] == "inet"]


def assert_reference_tunnel(netns: ipip.Netns) -> None:
    tunl0 = link(netns, "tunl0")
    assert tunl0 and tunl0["linkinfo"]["info_kind"] == "ipip"
    data = tunl0["linkinfo"]["info_data"]
    assert (data.get("remote", "any"), data.get("local", "any"), data.get("ttl", 0)) == ("any", "any", 0)
    assert tunl0["mtu"] == MTU and {"NOARP", "UP"} <= set(tunl0["flags"])
    assert addresses(netns, "tunl0") == [("10.244.79.1", 32)]
    assert setting(netns, "conf/tunl0/forwarding") == "1"


def test_tunnel_fresh(node: ipip.Netns) -> None:
    assert ipip.ensure_tunnel(node, TUNNEL)
    assert_reference_tunnel(node)


def test_tunnel_repeated(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    before = state(node)
    assert ipip.ensure_tunnel(node, TUNNEL).steps == ()
    assert state(node) == before


def test_tunnel_damaged(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    run_ip(node, "link", "set", "tunl0", "down", "mtu", "1300")
    run_ip(node, "addr", "flush", "dev", "tunl0")
    inside(node, "sysctl", "-qw", "net.ipv4.conf.tunl0.forwarding=0")
    run_ip(node, "addr", "add", "10.9.9.9/32", "dev", "tunl0")
    assert ipip.ensure_tunnel(node, TUNNEL)
    # Another address on it is not touched.
    assert sorted(addresses(node, "tunl0")) == [("10.244.79.1", 32), ("10.9.9.9", 32)]
    run_ip(node, "addr", "del", "10.9.9.9/32", "dev", "tunl0")
    assert_reference_tunnel(node)


def test_tunnel_with_a_foreign_device_in_the_way(node: ipip.Netns) -> None:
    if link(node, "tunl0"):
        run_ip(node, "link", "set", "tunl0", "name", "fallback")  # it cannot be deleted
    add_device(node, "tunl0")
    before = state(node)
    with pytest.raises(ipip.InTheWay, match="link tunl0 is taken"):
        ipip.ensure_tunnel(node, TUNNEL)
    assert state(node) == before


def test_another_name_with_a_foreign_device_in_the_way(node: ipip.Netns) -> None:
    add_device(node, "ipip7")
    before = state(node)
    with pytest.raises(ipip.InTheWay, match="link ipip7 is taken"):
        ipip.ensure_tunnel(node, ipip.Tunnel(address="10.244.79.1", mtu=MTU, device="ipip7"))
    assert state(node) == before


def test_tunnel_removed(node: ipip.Netns) -> None:
    had_one = link(node, "tunl0") is not None
    ipip.ensure_tunnel(node, TUNNEL)
    assert ipip.remove_tunnel(node, TUNNEL)
    tunl0 = link(node, "tunl0")
    assert (tunl0 is not None) == had_one, "the kernel's own stays, ours goes"
    if tunl0:
        assert "UP" not in tunl0["flags"] and addresses(node, "tunl0") == []
    assert not ipip.remove_tunnel(node, TUNNEL)


def test_peer_route_fresh_and_repeated(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    assert f"ip route add {TUNNEL_ROUTE}" in ipip.ensure_peer_route(node, PEER_ROUTE).steps
    assert TUNNEL_ROUTE in routes(node)
    assert not ipip.ensure_peer_route(node, PEER_ROUTE)


def test_peer_route_damaged(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    run_ip(node, "route", "add", PEER_BLOCK, "via", "172.18.0.9", "dev", "tunl0", "proto", "bird", "onlink")
    assert ipip.ensure_peer_route(node, PEER_ROUTE)
    assert {route for route in routes(node) if PEER_BLOCK in route} == {TUNNEL_ROUTE}


def test_peer_route_with_a_foreign_route_in_the_way(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    run_ip(node, "route", "add", PEER_BLOCK, "via", PEER, "dev", "tunl0", "proto", "static", "onlink")
    before = state(node)
    with pytest.raises(ipip.InTheWay, match=f"route {PEER_BLOCK}.*proto static"):
        ipip.ensure_peer_route(node, PEER_ROUTE)
    assert not ipip.remove_peer_route(node, PEER_ROUTE)
    assert state(node) == before


def test_peer_route_removed(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    ipip.ensure_peer_route(node, PEER_ROUTE)
    other = ipip.PeerRoute(block=PEER_BLOCK, node_addr="172.18.0.9")
    assert not ipip.remove_peer_route(node, other), "the same block via another node is another route"
    assert len(ipip.remove_peer_route(node, PEER_ROUTE)) == 1
    assert not any(PEER_BLOCK in route for route in routes(node))


def test_peer_route_on_a_device_that_is_down(node: ipip.Netns) -> None:
    ipip.ensure_tunnel(node, TUNNEL)
    run_ip(node, "link", "set", "tunl0", "down")
    with pytest.raises(ipip.KernelError, match=f"route {PEER_BLOCK}"):
        ipip.ensure_peer_route(node, PEER_ROUTE)


def test_the_reference_picture(node: ipip.Netns, pod: ipip.Netns) -> None:
    calls: list[Callable[[], ipip.Changes]] = [
        lambda: ipip.ensure_tunnel(node, TUNNEL),
        lambda: ipip.ensure_workload(node, pod, WORKLOAD),
        lambda: ipip.ensure_peer_route(node, PEER_ROUTE),
        lambda: ipip.ensure_blackhole(node, BLACKHOLE),
    ]
    assert all(call() for call in calls)
    assert routes(node) == {
        TUNNEL_ROUTE,
        f"blackhole {BLOCK} proto bird",
        f"{POD} dev {WORKLOAD.host_veth} scope link",
    }
    assert not any(call() for call in calls)


def test_a_packet_leaves_encapsulated(node: ipip.Netns, pod: ipip.Netns) -> None:
    """From a socket in the pod to the underlay; the capture on tunl0 is raw IP, the underlay's has both headers."""
    add_device(node, "eth0")
    run_ip(node, "addr", "add", "172.18.0.3/16", "dev", "eth0")
    run_ip(node, "neigh", "add", PEER, "lladdr", "02:00:00:00:00:02", "dev", "eth0", "nud", "permanent")
    run_ip(node, "route", "add", "default", "via", PEER)
    ipip.ensure_tunnel(node, TUNNEL)
    ipip.ensure_workload(node, pod, WORKLOAD)
    ipip.ensure_peer_route(node, PEER_ROUTE)
    request = ipip.echo_request(7, 1, bytes(56))

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
            sender.sendto(request, ("10.244.244.73", 0))

    with ipip.LiveCapture(node, "tunl0") as tunl0, ipip.LiveCapture(node, "eth0") as eth0:
        sender = threading.Thread(target=pod.run, args=(send,))
        sender.start()
        inner = wait_for(tunl0, lambda data: data[:1] == b"\x45")
        outer = wait_for(eth0, lambda data: data[12:14] == b"\x08\x00" and data[23] == 4)
        sender.join(10)
    assert tunl0.link_type == "raw_ip" and inner[-64:] == request
    headers = ipip.parse(outer[14:])
    assert (str(headers.outer.source), str(headers.outer.destination)) == ("172.18.0.3", PEER)
    assert (str(headers.inner.source), str(headers.inner.destination)) == (POD, "10.244.244.73")
    assert ipip.decapsulate(outer[14:]) == inner
    # What the kernel wrote in front is what we would write.
    ours = ipip.Outer(local="172.18.0.3", remote=PEER, identification=headers.outer.identification)
    assert ipip.encapsulate(inner, ours) == outer[14:]
    assert struct.unpack("!H", outer[16:18]) == (headers.outer.total_len,)


def wait_for(capture: ipip.LiveCapture, wanted: Callable[[bytes], bool]) -> bytes:
    """The first frame that is wanted, within 20 seconds: a guest is slow."""
    until = time.monotonic() + 20
    while (left := until - time.monotonic()) > 0:
        frame = capture.next_frame(left)
        if frame and wanted(frame.octets):
            return frame.octets
    raise AssertionError(f"no such frame on {capture.interface}")
