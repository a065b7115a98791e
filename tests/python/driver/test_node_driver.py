"""`Node` on a kernel with the ipip driver: two hosts, a pod on each, a datagram there and back through tunl0.

The oracle is ``ip``. Run by ``tests/python/run driver``, in a guest where the host has no driver.
"""

from __future__ import annotations

import pytest
from test_node import bound, config, container, eventually, hosts, reaches, store_of
from world import ask_ip, link, routes

import ipip

__all__ = ["hosts"]

pytestmark = pytest.mark.driver


def test_pods_reach_each_other_through_the_driver(hosts: tuple[ipip.Netns, ipip.Netns], pod: ipip.Netns) -> None:
    store = store_of("Always")
    first, second = (
        ipip.Node.join(store, config(name, host)) for name, host in zip(("node-a", "node-b"), hosts, strict=True)
    )
    with ipip.Netns.create_unnamed() as far:
        near, there = first.attach(container(pod)), second.attach(container(far, "podB"))
        synced = [node.sync() for node in (first, second)]
        assert [one.data_path for one in synced] == ["kernel"] * 2 and all(one.settled for one in synced)
        tunl0 = link(hosts[0], "tunl0")
        assert tunl0 and tunl0["linkinfo"]["info_kind"] == "ipip" and tunl0["mtu"] == near.mtu == 1480
        block = ipip.Ipam(store).block_of(there.address)
        assert block and f"{block.prefix} via 172.18.0.2 dev tunl0 proto bird onlink" in routes(hosts[0])
        with bound(pod, near.address) as one, bound(far, there.address) as other:
            assert eventually(lambda: reaches(one, other)) and eventually(lambda: reaches(other, one))
        # The counters are those of its device.
        before = first.traffic()
        with bound(pod, near.address) as one, bound(far, there.address) as other:
            assert reaches(one, other)
        after = first.traffic()
        assert before and after and before["sent_packets"] is not None and after["sent_packets"] == before["sent_packets"] + 1
        told = ask_ip(hosts[0], "-s", "link", "show", "tunl0")[0]["stats64"]
        assert [after[f"{name}_octets"] for name in ("sent", "received")] == [told[way]["bytes"] for way in ("tx", "rx")]
        assert after["no_peer"] is None
        # What one object did, another one finds.
        assert not ipip.Node.open(store, config("node-a", hosts[0])).plan()
        assert first.leave(forget=True).complete and second.leave(forget=True).complete
        assert not any("proto bird" in route for route in routes(hosts[0]))
    assert ipip.Ipam(store).check().clean and ipip.Ipam(store).usage().pools[0].in_use == 0
