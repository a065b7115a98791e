"""Workloads and routes on this kernel, without the ipip driver: a veth stands for the underlay."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from world import (
    BLACKHOLE,
    BLOCK,
    HOST_VETH,
    MTU,
    PEER,
    PEER_BLOCK,
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

LOOPBACK = ipip.WorkloadEndpoint(namespace="default", pod="podA", address="127.0.0.1", mtu=MTU)
DIRECT = ipip.PeerRoute(block=PEER_BLOCK, node_addr=PEER, device="eth9")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda node, pod: ipip.ensure_workload(node, pod, LOOPBACK), "workload address 127.0.0.1"),
        (lambda node, _: ipip.ensure_blackhole(node, ipip.Blackhole(block="0.0.0.0/0")), "block 0.0.0.0/0"),
        (lambda node, _: ipip.ensure_blackhole(node, ipip.Blackhole(block=BLOCK, protocol=0)), "protocol is 0"),
        (lambda node, _: ipip.ensure_peer_route(node, ipip.PeerRoute(block="0.0.0.0/0", node_addr=PEER)), "block 0"),
    ],
)
def test_what_no_object_may_hold_is_refused(
    node: ipip.Netns, pod: ipip.Netns, call: Callable[[ipip.Netns, ipip.Netns], object], words: str
) -> None:
    with pytest.raises(ipip.InvalidArgument, match=words):
        call(node, pod)
    assert routes(node) == set() and link(node, HOST_VETH) is None


def add_underlay(node: ipip.Netns) -> None:
    """A device that routes to other nodes may use."""
    add_device(node, "eth9")
    run_ip(node, "addr", "add", "172.18.0.3/16", "dev", "eth9")


def test_a_fresh_workload_is_wired_as_calico_wires_it(node: ipip.Netns, pod: ipip.Netns) -> None:
    changes = ipip.ensure_workload(node, pod, WORKLOAD)
    assert changes and len(changes) == len(changes.steps) > 5
    assert changes.steps[0].startswith(f"ip link add {HOST_VETH} ") and str(changes).splitlines() == list(changes.steps)
    host, eth0 = link(node, HOST_VETH), link(pod, "eth0")
    assert host and eth0
    assert (host["address"], host["mtu"], host["operstate"]) == ("ee:ee:ee:ee:ee:ee", MTU, "UP")
    assert (host["linkinfo"]["info_kind"], host["ifalias"]) == ("veth", "ipip default.podA")
    assert (eth0["mtu"], eth0["operstate"]) == (MTU, "UP")
    for key, value in {"conf/{}/proxy_arp": "1", "conf/{}/forwarding": "1", "neigh/{}/proxy_delay": "0"}.items():
        assert setting(node, key.format(HOST_VETH)) == value
    (addresses,) = ask_ip(pod, "-4", "addr", "show", "dev", "eth0")
    assert [(a["local"], a["prefixlen"]) for a in addresses["addr_info"]] == [(POD, 32)]
    assert routes(pod) == {"default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"}
    assert routes(node) == {f"{POD} dev {HOST_VETH} scope link"}


def test_a_second_call_changes_nothing(node: ipip.Netns, pod: ipip.Netns) -> None:
    add_underlay(node)
    calls: list[Callable[[], ipip.Changes]] = [
        lambda: ipip.ensure_workload(node, pod, WORKLOAD),
        lambda: ipip.ensure_blackhole(node, BLACKHOLE),
        lambda: ipip.ensure_peer_route(node, DIRECT),
    ]
    for call in calls:
        assert call()
    before = state(node), state(pod)
    for call in calls:
        changes = call()
        assert not changes and changes.steps == () and str(changes) == ""
    assert (state(node), state(pod)) == before


def test_damage_is_repaired(node: ipip.Netns, pod: ipip.Netns) -> None:
    ipip.ensure_workload(node, pod, WORKLOAD)
    good = state(node), state(pod)
    run_ip(node, "route", "del", POD)
    run_ip(node, "link", "set", HOST_VETH, "mtu", "1400")
    run_ip(pod, "addr", "del", f"{POD}/32", "dev", "eth0")
    inside(node, "sysctl", "-qw", f"net.ipv4.conf.{HOST_VETH}.proxy_arp=0")
    changes = ipip.ensure_workload(node, pod, WORKLOAD)
    assert f"ip route add {POD} dev {HOST_VETH} scope link" in changes.steps
    assert (state(node), state(pod)) == good and setting(node, f"conf/{HOST_VETH}/proxy_arp") == "1"


def test_a_foreign_device_is_in_the_way(node: ipip.Netns, pod: ipip.Netns) -> None:
    add_device(node, HOST_VETH)
    before = state(node), state(pod)
    with pytest.raises(ipip.InTheWay, match=HOST_VETH) as caught:
        ipip.ensure_workload(node, pod, WORKLOAD)
    assert isinstance(caught.value, ipip.Taken)
    assert len(caught.value.conflicts) == 1 and caught.value.conflicts[0] in str(caught.value)
    assert (state(node), state(pod)) == before


def test_a_foreign_route_is_in_the_way(node: ipip.Netns) -> None:
    add_device(node, "eth9")
    run_ip(node, "route", "add", PEER_BLOCK, "dev", "eth9", "proto", "static")
    run_ip(node, "route", "add", BLOCK, "dev", "eth9", "proto", "static")
    before = state(node)
    with pytest.raises(ipip.InTheWay, match=PEER_BLOCK):
        ipip.ensure_peer_route(node, DIRECT)
    with pytest.raises(ipip.InTheWay, match=BLOCK):
        ipip.ensure_blackhole(node, BLACKHOLE)
    assert state(node) == before
    assert not ipip.remove_blackhole(node, BLACKHOLE) and not ipip.remove_peer_route(node, DIRECT)
    assert state(node) == before, "what is not ours is not removed"


def test_what_was_removed_is_gone(node: ipip.Netns, pod: ipip.Netns) -> None:
    add_underlay(node)
    before = state(node), state(pod)
    ipip.ensure_workload(node, pod, WORKLOAD)
    ipip.ensure_blackhole(node, BLACKHOLE)
    ipip.ensure_peer_route(node, DIRECT)
    assert {f"blackhole {BLOCK} proto bird", f"{PEER_BLOCK} via {PEER} dev eth9 proto bird onlink"} < routes(node)
    removals: list[Callable[[], ipip.Changes]] = [
        lambda: ipip.remove_workload(node, WORKLOAD),
        lambda: ipip.remove_blackhole(node, BLACKHOLE),
        lambda: ipip.remove_peer_route(node, DIRECT),
    ]
    assert [len(call()) for call in removals] == [1, 1, 1]
    assert (state(node), state(pod)) == before
    assert not any(call() for call in removals)


def test_a_workload_goes_after_its_namespace(node: ipip.Netns, pod: ipip.Netns) -> None:
    ipip.ensure_workload(node, pod, WORKLOAD)
    pod.close()
    assert len(ipip.remove_workload(node, WORKLOAD)) <= 1
    assert link(node, HOST_VETH) is None


def test_a_missing_device_is_not_found(node: ipip.Netns) -> None:
    with pytest.raises(ipip.NotFound, match="link tunl0 does not exist"):
        ipip.ensure_peer_route(node, ipip.PeerRoute(block=PEER_BLOCK, node_addr=PEER))


def test_the_kernels_no_names_the_route(node: ipip.Netns) -> None:
    add_device(node, "eth9", up=False)
    before = routes(node)
    with pytest.raises(OSError, match=f"route {PEER_BLOCK} via {PEER} dev eth9") as caught:
        ipip.ensure_peer_route(node, DIRECT)
    assert isinstance(caught.value, ipip.KernelError) and caught.value.errno == errno.ENETDOWN
    assert routes(node) == before


def test_one_namespace_cannot_be_both(node: ipip.Netns) -> None:
    with pytest.raises(ipip.InvalidArgument, match="node's own"):
        ipip.ensure_workload(node, node, WORKLOAD)
    assert link(node, HOST_VETH) is None


def test_a_single_address_has_no_blackhole(node: ipip.Netns) -> None:
    assert not ipip.ensure_blackhole(node, ipip.Blackhole(block="10.244.79.20/32"))
    assert routes(node) == set()


def test_without_the_driver_the_error_says_so(node: ipip.Netns) -> None:
    if link(node, "tunl0"):
        pytest.skip("this kernel has the ipip driver")
    with pytest.raises(ipip.NoDriver, match="ipip") as caught:
        ipip.ensure_tunnel(node, TUNNEL)
    assert caught.value.errno == errno.EOPNOTSUPP and isinstance(caught.value, OSError)
    assert {found["ifname"] for found in ask_ip(node, "link")} == {"lo"}
