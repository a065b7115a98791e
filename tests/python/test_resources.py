"""What the allocator reads beside blocks: pools' selectors and uses, its configuration, reservations, nodes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable

import pytest

import ipip

NETWORK = ipaddress.IPv4Network("10.244.0.0/16")


def test_a_pool_says_for_whom_it_is() -> None:
    plain = ipip.Pool("pods", NETWORK)
    assert (plain.node_selector, plain.allowed_uses, plain.assignment_mode) == ("all()", ("Workload", "Tunnel"), "Automatic")
    assert plain.selects({}) and plain.enabled and not plain.disabled
    pool = ipip.Pool("pods", NETWORK, node_selector="zone == 'west'", allowed_uses=["LoadBalancer"], assignment_mode="Automatic")
    assert (pool.node_selector, pool.allowed_uses) == ("zone == 'west'", ("LoadBalancer",))
    assert pool.selects({"zone": "west"}) and not pool.selects({"zone": "east"}) and not pool.selects({})
    assert not ipip.Pool("pods", NETWORK, assignment_mode="Manual").selects({})
    assert ipip.selector_matches("has(rack) && zone != 'east'", {"rack": "7"})
    assert not ipip.selector_matches("has(rack)", {})
    with pytest.raises(ipip.InvalidArgument, match="argument 'selector': at octet 8"):
        ipip.selector_matches("has(rack", {})
    assert not ipip.Pool("pods", NETWORK, disabled=True).selects({})
    spec = json.loads(pool.to_json())["spec"]
    assert (spec["nodeSelector"], spec["allowedUses"], spec["assignmentMode"]) == ("zone == 'west'", ["LoadBalancer"], "Automatic")
    assert ipip.Pool.from_json(pool.to_json()) == pool and plain != pool


def test_a_stored_pool_is_read_as_calico_reads_it() -> None:
    def stored(**spec: object) -> ipip.Pool | None:
        return ipip.Pool.from_json(json.dumps({"metadata": {"name": "p"}, "spec": spec}).encode())

    assert stored(cidr="fd80::/120") is None
    pool = stored(cidr="10.0.0.0/24", nodeSelector="", allowedUses=None)
    assert pool is not None and (pool.node_selector, pool.block_len) == ("all()", 26)
    broken = stored(cidr="10.0.0.0/24", nodeSelector="zone =")
    assert broken is not None and not broken.selects({"zone": "west"})
    with pytest.raises(ipip.InvalidArgument, match="'node_selector': at octet 5"):
        _ = broken.node_selector


@pytest.mark.parametrize("json_text", [b"{}", b"[]", b'{"metadata":{"name":"p"},"spec":{}}', b"\xff"])
def test_what_is_no_pool_is_refused(json_text: bytes) -> None:
    with pytest.raises(ipip.InvalidArgument, match="argument 'json'"):
        ipip.Pool.from_json(json_text)


def test_the_configuration_has_calicos_defaults_and_forms() -> None:
    config = ipip.AllocatorConfig()
    assert config.to_json() == b'{"auto_allocate_blocks":true}'
    assert (config.strict_affinity, config.auto_allocate_blocks, config.max_blocks_per_node, config.cooldown) == (False, True, 0, 0)
    strict = ipip.AllocatorConfig(strict_affinity=True, max_blocks_per_node=4, cooldown=30)
    assert strict.to_json() == b'{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4,"ipCooldownSeconds":30}'
    assert ipip.AllocatorConfig.from_json(strict.to_json()) == strict
    kept = b'{"auto_allocate_blocks":true,"later":18446744073709551615}'
    assert ipip.AllocatorConfig.from_json(kept).to_json() == kept
    assert not ipip.AllocatorConfig.from_json(b"{}").auto_allocate_blocks
    assert eval(repr(strict), vars(ipip)) == strict  # noqa: S307


def test_a_reservation_is_written_and_read() -> None:
    reservation = ipip.Reservation("routers", ["10.244.0.0/30", ipaddress.IPv4Network("10.244.0.9/32")])
    spec = json.loads(reservation.to_json())["spec"]
    assert spec == {"reservedCIDRs": ["10.244.0.0/30", "10.244.0.9/32"]}
    assert (reservation.name, reservation.malformed) == ("routers", [])
    assert ipip.Reservation.from_json(reservation.to_json()) == reservation
    foreign = ipip.Reservation.from_json(b'{"metadata":{"name":"r"},"spec":{"reservedCIDRs":[" 10.0.0.9 ","10.0.0","fd80::/64"]}}')
    assert foreign.cidrs == [ipaddress.IPv4Network("10.0.0.9/32")] and foreign.malformed == ["10.0.0"]


def test_a_node_is_written_and_read() -> None:
    node = ipip.NodeRecord("node-a", labels={"zone": "west"}, address="172.18.0.3/16", tunnel_address="10.244.79.0")
    assert json.loads(node.to_json())["spec"] == {"bgp": {"ipv4Address": "172.18.0.3/16", "ipv4IPIPTunnelAddr": "10.244.79.0"}}
    address = ipaddress.IPv4Interface("172.18.0.3/16")
    assert (node.name, node.labels, node.address) == ("node-a", {"zone": "west"}, address)
    assert node.tunnel_address == ipaddress.IPv4Address("10.244.79.0")
    assert ipip.NodeRecord("node-a", labels={"zone": "west"}, address=address, tunnel_address=node.tunnel_address) == node
    assert ipip.NodeRecord.from_json(node.to_json()) == node
    bare = ipip.NodeRecord("node-a")
    assert (bare.labels, bare.address, bare.tunnel_address) == ({}, None, None)


REFUSALS: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (ipip.InvalidArgument, "'node_selector': at octet 4: found the end", lambda: ipip.Pool("p", NETWORK, node_selector="zone")),
    (ipip.InvalidArgument, '"Workload", "Tunnel", "LoadBalancer"', lambda: ipip.Pool("p", NETWORK, allowed_uses=["Pod"])),  # type: ignore[list-item]
    (TypeError, "'allowed_uses' must be an iterable, not str", lambda: ipip.Pool("p", NETWORK, allowed_uses="Tunnel")),  # type: ignore[arg-type]
    (ipip.InvalidArgument, '"Automatic", "Manual"', lambda: ipip.Pool("p", NETWORK, assignment_mode="manual")),  # type: ignore[arg-type]
    (TypeError, "'labels' must be a mapping", lambda: ipip.Pool("p", NETWORK).selects(["zone"])),  # type: ignore[arg-type]
    (ipip.InvalidArgument, "max_blocks_per_node 4 needs strict_affinity", lambda: ipip.AllocatorConfig(max_blocks_per_node=4)),
    (ipip.InvalidArgument, "auto_allocate_blocks false needs", lambda: ipip.AllocatorConfig(auto_allocate_blocks=False)),
    (ipip.InvalidArgument, "cooldown 1201s", lambda: ipip.AllocatorConfig(cooldown=1201)),
    (ipip.InvalidArgument, "'cooldown': -1 is outside", lambda: ipip.AllocatorConfig(cooldown=-1)),
    (ipip.InvalidArgument, "reservation name", lambda: ipip.Reservation("a/b", [])),
    (ipip.InvalidArgument, "host bits", lambda: ipip.Reservation("r", ["10.0.0.1/24"])),
    (TypeError, "'cidrs' must be an iterable", lambda: ipip.Reservation("r", "10.0.0.0/24")),
    (ipip.InvalidArgument, "'name': node name", lambda: ipip.NodeRecord("a/b")),
    (ipip.InvalidArgument, "'address': \"10.0.0.1\" is not an address with its subnet", lambda: ipip.NodeRecord("n", address="10.0.0.1")),
    (ipip.InvalidArgument, "'address'", lambda: ipip.NodeRecord("n", address="10.0.0.1/33")),
    (TypeError, "'address' must be str or ipaddress.IPv4Interface", lambda: ipip.NodeRecord("n", address=ipaddress.IPv4Address(1))),  # type: ignore[arg-type]
    (ipip.InvalidArgument, "field name is missing", lambda: ipip.NodeRecord.from_json(b'{"metadata":{}}')),
    (ipip.InvalidArgument, "field reservedCIDRs", lambda: ipip.Reservation.from_json(b'{"metadata":{"name":"r"},"spec":{"reservedCIDRs":1}}')),
]


@pytest.mark.parametrize(("kind", "part", "call"), REFUSALS, ids=[part for _, part, _ in REFUSALS])
def test_each_refusal_names_what_is_wrong(kind: type[Exception], part: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert part in str(caught.value)
