"""`Node`: two hosts on one wire and one store, a namespace each; what is there is asked of `ip`, sockets, the store."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from world import inside, link, routes, run_ip, state

import ipip

Hosts = tuple[ipip.Netns, ipip.Netns]


@pytest.fixture
def hosts(node: ipip.Netns) -> Iterator[Hosts]:
    """Two hosts on one underlay, each the other's router."""
    with ipip.Netns.create_unnamed() as other:
        run_ip(node, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", other.path)
        for host, own, router in ((node, 3, 2), (other, 2, 3)):
            for line in ("link set lo up", f"addr add 172.18.0.{own}/16 dev eth0", "link set eth0 up"):
                run_ip(host, *line.split())
            run_ip(host, "route", "add", "default", "via", f"172.18.0.{router}")
        yield node, other


def store_of(mode: str, cidr: str = "10.244.0.0/16") -> ipip.Store:
    store = ipip.MemoryStore()
    ipip.Ipam(store).create_pool(ipip.Pool("pods", cidr, 26, ipip_mode=mode))  # type: ignore[arg-type]
    return store


def config(name: str, netns: ipip.Netns, **more: Any) -> ipip.NodeConfig:
    return ipip.NodeConfig(name, netns=netns, **{"guard": False, **more})


def container(pod: ipip.Netns, name: str = "podA", **more: Any) -> ipip.Workload:
    return ipip.Workload(id=ipip.WorkloadId("default", name, f"c-{name}"), netns=pod.path, **more)


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return true()


def bound(pod: ipip.Netns, address: object) -> socket.socket:
    """A UDP socket of a pod."""
    made = pod.run(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((str(address), 4000))
    made.settimeout(0.1)
    return made


def reaches(near: socket.socket, far: socket.socket) -> bool:
    """Whether a datagram arrives, whose source is the sender's own."""
    near.sendto(b"hello", far.getsockname())
    try:
        return far.recvfrom(64) == (b"hello", near.getsockname())
    except TimeoutError:
        return False


def has_carried(node: ipip.Node) -> bool:
    """Whether its data path had a datagram of `reaches`, 20 + 8 + 5 octets, to carry, in and out."""
    told = node.traffic()
    if told is None:
        return False
    assert told["unknown_node"] == told["foreign_source"] == 0
    return (told["sent_packets"] or 0) > 0 and (told["received_octets"] or 0) >= 33


@pytest.mark.parametrize(("mode", "data_path"), [("Never", "idle"), ("Always", "userspace"), ("Always", "bpf")])
def test_pods_of_two_nodes_reach_each_other(hosts: Hosts, pod: ipip.Netns, mode: str, data_path: str) -> None:
    store = store_of(mode)
    chosen = "userspace" if data_path == "idle" else data_path
    first, second = (
        ipip.Node.join(store, config(name, host, data_path=chosen))
        for name, host in zip(("node-a", "node-b"), hosts, strict=True)
    )
    with ipip.Netns.create_unnamed() as far:
        near = first.attach(container(pod))
        there = second.attach(container(far, "podB"))
        synced = [node.sync() for node in (first, second)]
        assert [one.data_path for one in synced] == [data_path] * 2 and all(one.settled for one in synced)
        assert not any(node.plan() for node in (first, second))
        with bound(pod, near.address) as one, bound(far, there.address) as other:
            assert eventually(lambda: reaches(one, other)) and eventually(lambda: reaches(other, one))
        for node in (first, second):
            assert node.traffic() is None if data_path == "idle" else eventually(partial(has_carried, node))
        assert (near.host_veth, near.mtu) == ("cali7f94ce7c295", 1480)
        assert near.changes and near.mac and near.mac in inside(pod, "ip", "link", "show", "eth0")
        device = "tunl0" if mode == "Always" else "eth0"
        block = ipip.Ipam(store).block_of(there.address)
        assert block and any(f"{block.prefix} via 172.18.0.2 dev {device}" in route for route in routes(hosts[0]))


def test_a_repeated_attach_changes_nothing_and_mends(hosts: Hosts, pod: ipip.Netns) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    first = node.attach(container(pod))
    again = ipip.Node.open(store, config("node-a", hosts[0])).attach(container(pod))
    assert not again.changes and again.address == first.address
    run_ip(pod, "addr", "flush", "dev", "eth0")
    mended = node.attach(container(pod))
    assert mended.changes and mended.address == first.address
    assert ipip.Ipam(store).addresses_of("k8s-pod-network.c-podA") == {
        first.address: ipip.Ipam(store).addresses_of("k8s-pod-network.c-podA")[first.address]
    }
    with pytest.raises(ipip.Taken, match="asks for 10.244.9.9"):
        node.attach(container(pod, address="10.244.9.9"))


def test_many_at_once_and_one_that_fails(hosts: Hosts, pod: ipip.Netns) -> None:
    node = ipip.Node.join(store_of("Never"), config("node-a", hosts[0]))
    gone = ipip.Workload(id=ipip.WorkloadId("default", "podB", "c-podB"), netns="/run/netns/ipip-py-nobody")
    good, bad = node.attach_many([container(pod), gone])
    assert isinstance(good, ipip.Attached) and link(hosts[0], good.host_veth)
    assert isinstance(bad, ipip.NoSuchObject) and "ipip-py-nobody" in str(bad)
    ids = [ipip.WorkloadId("default", "podA", "c-podA"), ipip.WorkloadId("default", "no/pod", "c")]
    done, wrong = node.detach_many(ids)
    assert isinstance(done, ipip.Detached) and done.released == [good.address] and len(done.changes) == 1
    assert isinstance(wrong, ipip.InvalidArgument)
    assert link(hosts[0], good.host_veth) is None
    nothing = node.detach(ids[0])
    assert not nothing.released and not nothing.changes


def test_what_is_planned_is_what_is_done(hosts: Hosts, pod: ipip.Netns) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    address = node.attach(container(pod)).address
    node.sync()
    good = state(hosts[0])
    run_ip(hosts[0], "route", "del", str(address))
    ipip.Node.join(store, config("node-b", hosts[1]))
    ipip.Ipam(store).claim("node-b", "10.244.244.64/26")
    broken = state(hosts[0])
    planned = node.plan()
    assert planned and state(hosts[0]) == broken
    assert any(step.startswith(f"ip route add {address} ") for step in planned.steps)
    lines = [line for line in str(planned).splitlines() if not line.startswith("#")]
    assert json.loads(planned.to_json())["steps"] == list(planned.steps) == lines
    synced = node.sync()
    assert synced.done == planned.steps and synced.settled and not synced.failed
    assert json.loads(synced.to_json())["done"] == list(synced.done)
    assert not node.plan() and not node.sync().done
    run_ip(hosts[0], "route", "del", "10.244.244.64/26")
    assert state(hosts[0]) == good


def test_what_is_in_the_way_is_told_and_left(hosts: Hosts) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    ipip.Node.join(store, config("node-b", hosts[1]))
    ipip.Ipam(store).claim("node-b", "10.244.244.64/26")
    run_ip(hosts[0], "route", "add", "10.244.244.64/26", "dev", "eth0", "proto", "static")
    synced = node.sync()
    assert len(synced.conflicts) == 1 and "10.244.244.64/26" in synced.conflicts[0] and not synced.settled
    assert "# in the way: " in str(synced) and node.plan()
    assert any("10.244.244.64/26" in route and "static" in route for route in routes(hosts[0]))


def test_routes_go_by_a_next_hop_object_on_request(hosts: Hosts) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0], next_hop_objects=True))
    ipip.Node.join(store, config("node-b", hosts[1]))
    ipip.Ipam(store).claim("node-b", "10.244.244.64/26")
    node.sync()
    assert any("10.244.244.64/26 nhid " in route for route in routes(hosts[0]))
    assert "via 172.18.0.2 dev eth0" in inside(hosts[0], "ip", "nexthop") and not node.plan()
    plain = ipip.Node.join(store, config("node-a", hosts[0]))
    assert plain.sync().settled and inside(hosts[0], "ip", "nexthop") == ""
    assert "10.244.244.64/26 via 172.18.0.2 dev eth0 proto bird onlink" in routes(hosts[0])


def test_a_node_that_leaves_takes_its_own_and_no_more(hosts: Hosts, pod: ipip.Netns) -> None:
    store, before = store_of("Always"), state(hosts[0])
    node = ipip.Node.join(store, config("node-a", hosts[0], data_path="userspace"))
    tunnel = ipip.Ipam(store).ensure_tunnel_address("node-a")
    node.attach(container(pod))
    left = node.leave()
    assert left.complete and left.released == [tunnel] and left.removal is None and left.done
    assert state(hosts[0]) == before
    forgotten = node.leave(forget=True)
    assert forgotten.removal and forgotten.removal.had_record and len(forgotten.removal.released) == 1
    assert json.loads(forgotten.to_json())["forgotten"] is True
    assert ipip.Ipam(store).nodes() == [] and ipip.Ipam(store).check().clean
    with pytest.raises(ipip.NotFound, match="node node-a has not joined"):
        node.sync()


def test_who_may_not_join(hosts: Hosts) -> None:
    store = store_of("Never")
    before = state(hosts[0])
    wrong: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ipip.NotFound, "underlay eth7 does not exist", {"underlay": "eth7"}),
        (ipip.NotFound, "192.0.2.1", {"underlay_address": "192.0.2.1"}),
        (ipip.InvalidArgument, "exclude each other", {"underlay": "eth0", "underlay_address": "172.18.0.3"}),
        (ipip.InvalidArgument, "argument 'mtu'", {"mtu": 20}),
        (ipip.InvalidArgument, "argument 'data_path'", {"data_path": "magic"}),
        (TypeError, "argument 'guard'", {"guard": 1}),
    ]
    for exception, words, more in wrong:
        with pytest.raises(exception, match=words):
            ipip.Node.join(store, config("node-a", hosts[0], **more))
    with pytest.raises(ipip.NotFound, match="has not joined"):
        ipip.Node.open(store, config("node-a", hosts[0]))
    run_ip(hosts[0], "link", "set", "eth0", "down")
    with pytest.raises(ipip.InvalidArgument, match="is down"):
        ipip.Node.join(store, config("node-a", hosts[0], underlay="eth0"))
    run_ip(hosts[0], "link", "set", "eth0", "up")
    run_ip(hosts[0], "route", "add", "default", "via", "172.18.0.2")
    assert state(hosts[0]) == before and ipip.Ipam(store).nodes() == []
    ipip.Ipam(store).put_node(ipip.NodeRecord("node-b", address="172.18.0.3/16"))
    with pytest.raises(ipip.Taken, match="node-b"):
        ipip.Node.join(store, config("node-a", hosts[0]))


def test_no_address_is_left(hosts: Hosts, pod: ipip.Netns) -> None:
    store = store_of("Never", "10.244.0.0/26")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    assert len(ipip.Ipam(store).assign_many("node-a", 64).assigned) == 64
    before = state(hosts[0]), state(pod)
    with pytest.raises(ipip.Exhausted):
        node.attach(container(pod))
    assert (state(hosts[0]), state(pod)) == before


def test_a_run_follows_the_store_and_the_kernel(hosts: Hosts, pod: ipip.Netns) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    stop, events, callers = ipip.Stop(), [], set()

    def tell(event: ipip.RunEvent) -> None:
        events.append(event)
        callers.add(threading.current_thread())

    runner = threading.Thread(target=node.run, args=(stop, tell))
    runner.start()
    try:
        assert eventually(lambda: bool(events))
        ipip.Ipam(store).put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
        ipip.Ipam(store).claim("node-b", "10.244.244.64/26")
        route = "10.244.244.64/26 via 172.18.0.2 dev eth0"
        assert eventually(lambda: any(found.startswith(route) for found in routes(hosts[0])))
        run_ip(hosts[0], "route", "del", "10.244.244.64/26")
        assert eventually(lambda: any(found.startswith(route) for found in routes(hosts[0])))
        # Other calls take turns with it.
        assert node.attach(container(pod)).changes
    finally:
        stop.stop()
        runner.join(10)
    assert not runner.is_alive() and stop.stopped and callers == {runner}
    assert all(event.synced and event.error is None and event.retry_in is None for event in events)
    counters = node.counters()
    assert counters["passes"] >= 3 and counters["applied"] >= 2 and counters["changes"] and counters["events"]


def test_a_callback_that_raises_ends_the_run(hosts: Hosts) -> None:
    node = ipip.Node.join(store_of("Never"), config("node-a", hosts[0]))
    stop = ipip.Stop()

    def tell(event: ipip.RunEvent) -> None:
        raise RuntimeError(repr(event))

    with pytest.raises(RuntimeError, match="<RunEvent <Synced 0 steps, settled=True>>"):
        node.run(stop, tell)
    assert not stop.stopped
    with pytest.raises(TypeError, match="argument 'callback'"):
        node.run(stop, 7)  # type: ignore[arg-type]
    stop.stop()
    node.run(stop)


def test_a_run_tells_what_failed(hosts: Hosts) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0]))
    ipip.Ipam(store).remove_node("node-a")
    stop, events = ipip.Stop(), []

    def tell(event: ipip.RunEvent) -> None:
        events.append(event)
        stop.stop()

    node.run(stop, tell)
    (event,) = events
    assert isinstance(event.error, ipip.NotFound) and "has not joined" in str(event.error)
    assert event.synced is None and event.retry_in and event.retry_in < 31


def test_a_pass_without_time_leaves_the_rest_to_the_next(hosts: Hosts) -> None:
    store = store_of("Never")
    node = ipip.Node.join(store, config("node-a", hosts[0], deadline=0.0))
    ipip.Ipam(store).put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    ipip.Ipam(store).claim("node-b", "10.244.244.64/26")
    # Links are deleted by a batch of their own.
    run_ip(hosts[0], "link", "add", "cali00000000001", "type", "veth", "peer", "name", "other")
    run_ip(hosts[0], "link", "set", "cali00000000001", "alias", "ipip default.gone")
    stop, passes = ipip.Stop(), []

    def tell(event: ipip.RunEvent) -> None:
        assert event.synced, event.error
        passes.append(event.synced)
        if event.synced.settled:
            stop.stop()

    node.run(stop, tell)
    assert passes[0].postponed == ("ip link delete cali00000000001",) and not passes[0].settled
    assert "# postponed: ip link delete cali00000000001" in str(passes[0])
    assert json.loads(passes[0].to_json())["postponed"] == list(passes[0].postponed)
    assert passes[0].postponed[0] in passes[-1].done and passes[-1].postponed == ()
    assert node.counters()["cut_short"] == 1
    with pytest.raises(ValueError, match="'deadline': -1 is not a number of seconds"):
        ipip.NodeConfig("node-a", deadline=-1)


def test_long_work_tells_how_far_it_is(hosts: Hosts, pod: ipip.Netns) -> None:
    store, told, again = store_of("Never", "10.0.0.0/11"), [], []

    def tell(progress: ipip.Progress) -> None:
        told.append((progress.task, progress.done, progress.total))
        if told_of:
            with pytest.raises(ipip.Busy, match="node node-a is at work"):
                told_of[0].sync()
            again.append(repr(progress))

    told_of: list[ipip.Node] = []
    node = ipip.Node.join(store, config("node-a", hosts[0], progress=tell))
    told_of.append(node)
    told.clear()
    ipip.Ipam(store).put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    for block in range(2000):
        ipip.Ipam(store).claim("node-b", f"10.{block // 1024}.{block // 4 % 256}.{block % 4 * 64}/26")
    synced = node.sync()
    assert synced.settled and len(told) > 2 and told[-1] == ("sync", len(synced.done), len(synced.done))
    assert told == sorted(set(told)) and {(task, total) for task, _, total in told} == {("sync", len(synced.done))}
    told.clear()
    assert not node.sync().done and told == []
    node.attach(container(pod))
    node.detach(container(pod).id)
    assert told == [("attach", 1, 1), ("detach", 1, 1)] and again[-1] == "<Progress detach 1 of 1>"
    node.leave()
    assert told[-1][0] == "leave" and told[-1][1] == told[-1][2] >= 2000


def test_a_progress_callback_that_raises_hears_no_more(hosts: Hosts) -> None:
    store, calls = store_of("Never", "10.0.0.0/11"), []

    def tell(progress: ipip.Progress) -> None:
        calls.append(progress)
        raise RuntimeError("enough")

    ipip.Node.join(store, config("node-a", hosts[0]))
    node = ipip.Node.open(store, config("node-a", hosts[0], progress=tell))
    ipip.Ipam(store).put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    for block in range(2000):
        ipip.Ipam(store).claim("node-b", f"10.{block // 1024}.{block // 4 % 256}.{block % 4 * 64}/26")
    with pytest.raises(RuntimeError, match="enough"):
        node.sync()
    # The work went on to its end.
    assert len(calls) == 1 and sum("proto bird" in route for route in routes(hosts[0])) == 2000
    assert not node.sync().done
    # A run ends by it.
    run_ip(hosts[0], "route", "flush", "proto", "bird")
    with pytest.raises(RuntimeError, match="enough"):
        node.run(ipip.Stop())
    assert len(calls) == 2
    with pytest.raises(TypeError, match="argument 'progress' must be callable or None"):
        ipip.NodeConfig("node-a", progress=7)  # type: ignore[arg-type]


def test_values_compare_and_print(tmp_path: Path) -> None:
    one = ipip.WorkloadId("default", "podA", "c")
    assert one == ipip.WorkloadId("default", "podA", "c") != ipip.WorkloadId("default", "podA", "d")
    workload = ipip.Workload(id=one, netns=tmp_path, address="10.0.0.1")
    assert workload == eval(repr(workload), vars(ipip)) and hash(workload) == hash(eval(repr(workload), vars(ipip)))
    assert (workload.id, workload.netns, workload.interface) == (one, str(tmp_path), "eth0")
    assert repr(ipip.NodeConfig("node-a", labels={"zone": "west"})) == "<NodeConfig node-a>"
    with pytest.raises(TypeError):
        ipip.Node()
