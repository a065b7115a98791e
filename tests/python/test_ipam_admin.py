"""Address management beyond one address: many at once, pools, nodes, usage, check, collection."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

import ipip

ADDRESS = ipaddress.IPv4Address
NETWORK = ipaddress.IPv4Network


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ipip.Store:
    return ipip.MemoryStore() if request.param == "memory" else ipip.SqliteStore(tmp_path / "ipam.db")


@pytest.fixture
def ipam(store: ipip.Store) -> ipip.Ipam:
    ipam = ipip.Ipam(store)
    ipam.create_pool(ipip.Pool("pods", "10.244.0.0/24", 26, ipip_mode="Always"))
    return ipam


def test_many_addresses_come_and_go_together(ipam: ipip.Ipam) -> None:
    many = ipam.assign_many("node-a", 100, "job", {"pod": "p"})
    assert (len(many.assigned), many.shortfall, many.shortfall_text) == (100, None, None)
    assert {one.block for one in many.assigned} == set(ipam.blocks_of("node-a")[i].prefix for i in range(2))
    assert not any(one.borrowed for one in many.assigned)
    owners = ipam.addresses_of("job")
    assert list(owners) == sorted(one.address for one in many.assigned)
    assert all(known == {"node": "node-a", "pod": "p"} for known in owners.values())
    first = many.assigned[0]
    wrong = ipip.Release(first.address, handle_id="job", sequence=first.sequence + 1)
    others = [one.address for one in many.assigned if one.block != first.block]
    answer = ipam.release_many([wrong, *others, "10.99.0.1"])
    assert [one.address for one in answer.released] == others and answer.released[0].handle_id == "job"
    assert [block for block, _ in answer.refused] == [first.block] and "sequence" in answer.refused[0][1]
    assert answer.not_assigned == [ADDRESS("10.99.0.1")]
    assert len(ipam.addresses_of("job")) == 100 - len(others)


def test_a_shortfall_is_a_value(ipam: ipip.Ipam) -> None:
    ipam.set_config(ipip.AllocatorConfig(strict_affinity=True, max_blocks_per_node=1))
    many = ipam.assign_many("node-a", 65)
    assert (len(many.assigned), many.shortfall) == (64, "block_limit")
    assert many.shortfall_text == "its blocks are full, and it may have no more than 1 of them"
    ipam.set_config(ipip.AllocatorConfig(strict_affinity=True))
    assert ipam.assign_many("node-b", 300).shortfall == "strict_affinity"
    ipam.set_config(ipip.AllocatorConfig())
    assert ipam.assign_many("node-c", 1).shortfall == "pools_exhausted"
    ipam.release("10.244.0.7")
    (borrowed,) = ipam.assign_many("node-c", 1).assigned
    assert borrowed.borrowed and borrowed.address == ADDRESS("10.244.0.7")
    (told,) = ipam.usage().borrowed
    assert (told.address, told.node) == (borrowed.address, "node-c")
    assert "10.244.0.7" in ipam.usage().borrowed_table()


def test_a_named_address_of_another_node_is_borrowed(ipam: ipip.Ipam) -> None:
    ipam.claim("node-a", "10.244.0.0/26")
    assert ipam.assign("node-b", "10.244.0.1").borrowed and not ipam.assign("node-a", "10.244.0.2").borrowed
    ipam.set_config(ipip.AllocatorConfig(strict_affinity=True))
    with pytest.raises(ipip.Taken, match="host:node-a"):
        ipam.assign("node-b", "10.244.0.3")


def test_pools_are_named_and_used_for_what_they_allow(ipam: ipip.Ipam) -> None:
    ipam.create_pool(ipip.Pool("lb", "10.9.0.0/26", 28, allowed_uses=["LoadBalancer"]))
    (one,) = ipam.assign_many("node-a", 1, pools=["10.9.0.0/26"], purpose="LoadBalancer").assigned
    assert one.address in NETWORK("10.9.0.0/26")
    with pytest.raises(ipip.InvalidArgument, match="there is no pool 10.8.0.0/24"):
        ipam.assign_many("node-a", 1, pools=[NETWORK("10.8.0.0/24")])
    for count in (0, 2**20 + 1, 10**30):
        with pytest.raises(ipip.InvalidArgument, match="'count'"):
            ipam.assign_many("node-a", count)
    with pytest.raises(ipip.InvalidArgument, match="'purpose'"):
        ipam.assign_many("node-a", 1, purpose="Service")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'releases' must be an iterable"):
        ipam.release_many("10.9.0.1")


def test_a_pool_is_changed_and_deleted(ipam: ipip.Ipam) -> None:
    changed = ipam.update_pool(ipip.Pool("pods", "10.244.0.0/24", ipip_mode="CrossSubnet", nat_outgoing=True))
    assert changed.ipip_mode == "CrossSubnet" and ipam.pools() == [changed]
    with pytest.raises(ipip.InvalidArgument, match="block"):
        ipam.update_pool(ipip.Pool("pods", "10.244.0.0/24", 27))
    assert ipam.pools() == [changed]
    pod = ipam.assign_any("node-a", "pod-a")
    ipam.claim_any("node-b")
    ipam.disable_pool("pods")
    with pytest.raises(ipip.Exhausted):
        ipam.claim_any("node-b")
    ipam.enable_pool("pods")
    assert ipam.pools() == [changed]
    deletion = ipam.delete_pool("pods")
    assert deletion.orphaned == [pod.block] and deletion.remaining == [(pod.address, "pod-a")]
    assert len(deletion.deleted) == 1 and ipam.pools() == []
    assert [block.block for block in ipam.usage().outside] == [pod.block]
    assert ipam.release_handle("pod-a")[0].address == pod.address
    for missing in (ipam.delete_pool, ipam.disable_pool, ipam.enable_pool):
        with pytest.raises(ipip.NotFound, match="there is no pool named pods"):
            missing("pods")


def test_the_configuration_keeps_what_it_does_not_know(ipam: ipip.Ipam) -> None:
    assert ipam.config() == ipip.AllocatorConfig()
    stored = json.loads(ipam.config().to_json()) | {"unheardOf": 2**64 - 1}
    ipam.set_config(ipip.AllocatorConfig.from_json(json.dumps(stored).encode()))
    before = ipam.config()
    ipam.change_config(before, before.replace(strict_affinity=True))
    config = ipam.change_config(before, before.replace(cooldown=60))
    assert config == ipam.config() and config.strict_affinity
    ipam.set_config(before.replace(cooldown=60))
    config = ipam.config()
    assert config.cooldown == 60 and not config.strict_affinity and json.loads(config.to_json())["unheardOf"] == 2**64 - 1
    with pytest.raises(ipip.InvalidArgument):
        config.replace(cooldown=1201)
    with pytest.raises(ipip.InvalidArgument):
        config.replace(max_blocks_per_node=3)
    ipam.release(ipam.assign_any("node-a").address)
    (pool,) = ipam.usage().pools
    assert (pool.in_use, pool.cooling, pool.free, pool.total) == (1, 1, 255, 256)


def test_reserved_addresses_are_passed_over(ipam: ipip.Ipam) -> None:
    reservation = ipip.Reservation("routers", ["10.244.0.0/25"])
    ipam.create_reservation(reservation)
    with pytest.raises(ipip.Taken):
        ipam.create_reservation(reservation)
    assert [(one.name, one.cidrs) for one in ipam.reservations()] == [("routers", [NETWORK("10.244.0.0/25")])]
    assert len(ipam.assign_many("node-a", 256).assigned) == 128
    assert ipam.assign("node-a", "10.244.0.1").address == ADDRESS("10.244.0.1")
    assert ipam.usage().pools[0].reserved == 128
    ipam.delete_reservation("routers")
    with pytest.raises(ipip.NotFound):
        ipam.delete_reservation("routers")


def test_a_node_has_a_record_and_a_tunnel_address(ipam: ipip.Ipam) -> None:
    assert ipam.node("node-a") is None and ipam.nodes() == []
    ipam.put_node(ipip.NodeRecord("node-a", labels={"zone": "west"}, address="172.18.0.3/16"))
    address = ipam.ensure_tunnel_address("node-a")
    assert address is not None and ipam.ensure_tunnel_address("node-a") == address
    record = ipam.node("node-a")
    assert record is not None and record.tunnel_address == address and record.labels == {"zone": "west"}
    known = ipam.address_usage(address)
    assert known.in_use and known.handle_id == "ipip-tunnel-addr-node-a" and known.block is not None
    assert known.attributes == {"node": "node-a", "type": "ipipTunnelAddress"}
    assert str(known).startswith(f"IP {address} is in use\n")
    assert ipam.release_tunnel_address("node-a") == [address]
    assert not ipam.address_usage(address).in_use and ipam.address_usage(address).attributes is None
    ipam.ensure_tunnel_address("node-a")
    pod = ipam.assign_any("node-a", "pod-a")
    removal = ipam.remove_node("node-a")
    assert removal.had_record and pod.address in [one.address for one in removal.released]
    assert removal.deleted == [pod.block] and not removal.orphaned and not removal.refused
    assert ipam.nodes() == [] and ipam.blocks() == []
    assert not ipam.remove_node("node-a").had_record
    ipam.update_pool(ipip.Pool("pods", "10.244.0.0/24", ipip_mode="Never"))
    assert ipam.ensure_tunnel_address("node-a") is None


def test_damage_is_told_and_repaired(ipam: ipip.Ipam, store: ipip.Store, tmp_path: Path) -> None:
    ipam.assign_any("node-a", "pod-a")
    report = ipam.check()
    assert report.clean and report.problems == [] and report.checked["addresses"] == 1
    assert str(report).endswith("no problem found\n")
    lines = tmp_path / "damage"
    lines.write_text('{"key":"/calico/ipam/v2/handle/ghost","value":{"handleID":"ghost","block":{"10.244.0.0/26":1},"deleted":false}}\n')
    with lines.open("rb") as file:
        store.import_(file)
    report = ipam.check()
    (problem,) = report.problems
    assert not report.clean and problem.handle_id == "ghost" and problem.message == str(problem)
    assert json.loads(report.to_json())["problems"][0]["kind"] == problem.kind
    repaired = ipam.repair(report)
    assert len(repaired.repaired) + len(repaired.left) == 1
    leaked = ipam.check(live=[]).problems
    assert ("leaked", "pod-a") in [(one.kind, one.handle_id) for one in leaked]
    assert "leaked" not in [one.kind for one in ipam.check(live={"pod-a"}).problems]
    with pytest.raises(TypeError, match="'live'"):
        ipam.check(live="pod-a")


def test_collection_releases_what_is_not_alive(ipam: ipip.Ipam) -> None:
    dead, live = ipam.assign_any("node-a", "dead"), ipam.assign_any("node-a", "live")
    patient = ipip.Collector()
    assert ipam.collect(patient, ["live"]).waiting >= 1
    assert ipam.collect(patient, ["live"]).released == []
    collected = ipam.collect(ipip.Collector(0), ["live"])
    assert [(one.address, one.handle_id) for one in collected.released] == [(dead.address, "dead")]
    assert list(ipam.addresses_of("live")) == [live.address] and ipam.check(live=["live"]).clean
    with pytest.raises(ipip.InvalidArgument, match="'grace'"):
        ipip.Collector(-1)


def test_the_same_steps_on_two_stores_give_the_same_addresses(tmp_path: Path) -> None:
    def steps(store: ipip.Store) -> list[str]:
        ipam = ipip.Ipam(store)
        ipam.create_pool(ipip.Pool("pods", "10.65.0.0/24"))
        ipam.claim("node-a", "10.65.0.64/26")
        many = ipam.assign_many("node-a", 3, "h")
        ipam.release_many([many.assigned[0].address])
        more = ipam.assign_many("node-a", 62, "h")
        return [str(one.address) for one in more.assigned]

    assert steps(ipip.MemoryStore()) == steps(ipip.SqliteStore(tmp_path / "a.db"))


def test_usage_is_the_table_that_calicoctl_prints(ipam: ipip.Ipam) -> None:
    ipam.assign_many("node-a", 5)
    usage = ipam.usage()
    assert str(usage) == usage.table() == (
        "+----------+---------------+-----------+------------+-----------+\n"
        "| GROUPING | CIDR          | IPS TOTAL | IPS IN USE |  IPS FREE |\n"
        "+----------+---------------+-----------+------------+-----------+\n"
        "| IP Pool  | 10.244.0.0/24 |       256 |     5 (2%) | 251 (98%) |\n"
        "+----------+---------------+-----------+------------+-----------+\n"
    )
    (block,) = usage.pools[0].blocks
    assert (block.owner, block.in_use, block.total) == ("host:node-a", 5, 64)
    assert f"| Block    | {block.block}" in usage.table(blocks=True)
    assert json.loads(usage.to_json())["pools"][0]["inUse"] == 5
    assert "StrictAffinity" in usage.configuration_table() and usage.config == ipip.AllocatorConfig()
    assert usage.without_node == 0 and usage.unreadable == []
