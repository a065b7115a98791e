"""Pools and the allocator on the memory store."""

from __future__ import annotations

import ipaddress
import json
import threading
from collections.abc import Callable
from itertools import islice

import pytest

import ipip


@pytest.fixture
def store() -> ipip.MemoryStore:
    return ipip.MemoryStore()


@pytest.fixture
def ipam(store: ipip.MemoryStore) -> ipip.Ipam:
    ipam = ipip.Ipam(store)
    ipam.create_pool(ipip.Pool("pods", "10.244.0.0/16"))
    return ipam


def test_a_pool_is_cut_into_blocks() -> None:
    pool = ipip.Pool("pods", "10.244.0.0/16", ipip_mode="CrossSubnet", nat_outgoing=True)
    network = ipaddress.IPv4Network("10.244.0.0/16")
    assert (pool.name, pool.cidr, pool.block_len, pool.ipip_mode) == ("pods", network, 26, "CrossSubnet")
    assert ipip.Pool("pods", network).ipip_mode == "Never"  # as Calico, and as the other two languages
    assert pool.nat_outgoing and pool.enabled and not ipip.Pool("p", network, disabled=True).enabled
    assert list(pool.blocks()) == list(network.subnets(new_prefix=26))
    assert pool.block_count == 1024 and pool.block(1024) is None
    assert pool.block(1023) == pool.block_of("10.244.255.255") == list(network.subnets(new_prefix=26))[-1]
    assert pool.block_of("10.245.0.0") is None
    big = ipip.Pool("big", "10.0.0.0/8", 32)
    assert list(islice(big.blocks(), 2)) == [ipaddress.IPv4Network("10.0.0.0/32"), ipaddress.IPv4Network("10.0.0.1/32")]
    spec = json.loads(pool.to_json())["spec"]
    assert (spec["cidr"], spec["blockSize"], spec["ipipMode"]) == ("10.244.0.0/16", 26, "CrossSubnet")


@pytest.mark.parametrize(
    ("name", "cidr", "length"),
    [("Pods", "10.0.0.0/16", 26), ("", "10.0.0.0/16", 26), ("p", "10.0.0.0/27", 26), ("p", "169.254.0.0/24", 26)],
)
def test_impossible_pools_are_refused(name: str, cidr: str, length: int) -> None:
    with pytest.raises(ipip.InvalidArgument, match="pool"):
        ipip.Pool(name, cidr, length)


def test_the_reference_picture(ipam: ipip.Ipam, store: ipip.MemoryStore) -> None:
    claimed = ipam.claim("node-a", "10.244.79.0/26")
    assert claimed.newly and claimed.block == ipaddress.IPv4Network("10.244.79.0/26")
    assert not ipam.claim("node-a", "10.244.79.0/26").newly
    pod = ipam.assign("node-a", "10.244.79.20", "pod-a", {"pod": "pod-a", "namespace": "default"})
    assert pod.address == ipaddress.IPv4Address("10.244.79.20")
    (block,) = ipam.blocks_of("node-a")
    assert block.affinity == "host:node-a" and block.addresses_of("pod-a") == [pod.address]
    assert block.attributes_of(pod.address) == {"pod": "pod-a", "namespace": "default", "node": "node-a"}
    assert ipam.block_of(pod.address) == block and ipam.blocks() == [block] and ipam.block_of("10.244.0.1") is None
    assert [pool.name for pool in ipam.pools()] == ["pods"]
    # Calico's own keys and values.
    (key,) = store.keys("/calico/ipam/v2/assignment/ipv4/block/")
    assert key.endswith("/10.244.79.0-26") and store.get(key) == block.to_json()
    assert store.keys("/calico/ipam/v2/handle/") == ["/calico/ipam/v2/handle/pod-a"]
    assert ipam.release(pod.address, handle_id="pod-a", sequence=pod.sequence).handle_id == "pod-a"
    assert store.keys("/calico/ipam/v2/handle/") == []
    assert ipam.release_block("node-a", "10.244.79.0/26") == "deleted" and ipam.blocks() == []


def test_a_full_node_claims_one_more_block(store: ipip.MemoryStore) -> None:
    ipam = ipip.Ipam(store)
    ipam.create_pool(ipip.Pool("small", "10.0.0.0/29", 30))
    addresses = [ipam.assign_any("node-a", f"pod-{n}").address for n in range(8)]
    assert sorted(addresses) == list(ipaddress.IPv4Network("10.0.0.0/29"))
    assert len(ipam.blocks_of("node-a")) == 2
    with pytest.raises(ipip.Exhausted, match="small"):
        ipam.assign_any("node-a", "pod-8")
    with pytest.raises(ipip.Exhausted, match="small"):
        ipam.claim_any("node-b")
    assert [released.address for released in ipam.release_handle("pod-3")] == [addresses[3]]
    assert ipam.assign_any("node-a", "pod-8").address == addresses[3]
    ipam.release_handle("pod-5")
    borrowed = ipam.assign("node-b", addresses[5], "pod-9")
    assert borrowed.address == addresses[5] and ipam.blocks_of("node-b") == []


def test_refusals_each_have_their_error_and_write_nothing(ipam: ipip.Ipam, store: ipip.MemoryStore) -> None:
    ipam.claim("node-a", "10.244.79.0/26")
    ipam.assign("node-a", "10.244.79.20", "pod-a")
    before = {key: store.get(key) for key in store.keys("/calico/")}
    refusals: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (ipip.Taken, "host:node-a", lambda: ipam.claim("node-b", "10.244.79.0/26")),
        (ipip.Taken, "already assigned", lambda: ipam.assign("node-a", "10.244.79.20")),
        (ipip.Taken, "not with handle", lambda: ipam.release("10.244.79.20", handle_id="pod-b")),
        (ipip.Taken, "exists already", lambda: ipam.create_pool(ipip.Pool("pods", "10.0.0.0/16"))),
        (ipip.Taken, "overlaps", lambda: ipam.create_pool(ipip.Pool("more", "10.244.1.0/24"))),
        (ipip.NotFound, "not assigned", lambda: ipam.release("10.244.79.21")),
        (LookupError, "no addresses", lambda: ipam.release_handle("nobody")),
        (ipip.NotFound, "has no block", lambda: ipam.release_block("node-a", "10.244.80.0/26")),
        (ipip.InvalidArgument, "outside every pool", lambda: ipam.assign("node-a", "10.0.0.1")),
        (ValueError, "outside every pool", lambda: ipam.claim("node-a", "10.0.0.0/26")),
        (ipip.InvalidArgument, "not a /26", lambda: ipam.claim("node-a", "10.244.80.0/27")),
        (ipip.InvalidArgument, "argument 'node'", lambda: ipam.claim_any("node/a")),
        (TypeError, "argument 'pool' must be ipip.Pool, not str", lambda: ipam.create_pool("pods")),  # type: ignore[arg-type]
        (TypeError, "argument 'store' must be ipip.Store, not NoneType", lambda: ipip.Ipam(None)),  # type: ignore[arg-type]
        (ipip.InvalidArgument, "must begin with", lambda: store.keys("/calico")),
    ]
    for expected, pattern, call in refusals:
        with pytest.raises(expected, match=pattern):
            call()
    assert {key: store.get(key) for key in store.keys("/calico/")} == before
    with pytest.raises(ipip.Exhausted, match="no enabled pool"):
        ipip.Ipam(ipip.MemoryStore()).assign_any("node-a")


def test_threads_never_get_the_same_address(ipam: ipip.Ipam, store: ipip.MemoryStore) -> None:
    taken: list[ipaddress.IPv4Address] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        mine = ipip.Ipam(store)
        try:
            for round_ in range(20):
                assigned = mine.assign_any(f"node-{number % 2}", f"pod-{number}-{round_}")
                taken.append(assigned.address)
                if round_ % 4 == 0:
                    mine.release(assigned.address, sequence=assigned.sequence)
                    taken.remove(assigned.address)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    assert len(taken) == len(set(taken)) == 8 * 15
    assert sorted(taken) == sorted(address for block in ipam.blocks() for address in block.assigned())
