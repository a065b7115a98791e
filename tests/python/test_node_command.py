"""`python -m ipip node …` and the Ansible module on it: the real commands, on a host and a store of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from world import link, routes, run_ip, state

import ipip

MODULE = Path(__file__).resolve().parents[2] / "examples/python/ansible_module.py"
WOULD_CHANGE = 3
VETH = "cali7f94ce7c295"
POD = ["default", "podA", "c-podA"]


def execute(command: list[str], text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **environment}
    return subprocess.run(command, input=text, env=whole, check=False, capture_output=True, text=True, timeout=60)


class Host:
    """A host with an underlay, and the commands on it."""

    def __init__(self, netns: ipip.Netns, path: Path) -> None:
        self.netns, self.path = netns, path

    def command(self, command: str, *arguments: str) -> list[str]:
        options = [f"--store={self.path}", f"--netns={self.netns.path}", "--no-guard"]
        return [sys.executable, "-m", "ipip", "node", command, "node-a", *options, *arguments]

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        ended = execute(self.command(command, *arguments))
        assert ended.returncode == code and "Traceback" not in ended.stderr, ended
        return ended.stdout if code != 1 else ended.stderr

    def json(self, command: str, *arguments: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(command, *arguments, "--json", code=code))
        return found

    def check(self, command: str, *arguments: str) -> bool:
        """Whether `--check` says that there is something to do; it changes nothing."""
        before = state(self.netns), self.records()
        found = execute(self.command(command, *arguments, "--check", "--json"))
        assert (state(self.netns), self.records()) == before
        changed: bool = json.loads(found.stdout)["changed"]
        assert found.returncode == (WOULD_CHANGE if changed else 0), found
        return changed

    def records(self) -> object:
        return ipip.SqliteStore(self.path).list("/calico/")[0]

    @property
    def ipam(self) -> ipip.Ipam:
        return ipip.Ipam(ipip.SqliteStore(self.path))


@pytest.fixture
def host(node: ipip.Netns, tmp_path: Path) -> Host:
    run_ip(node, "link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    for line in ("link set lo up", "link set far0 up", "addr add 172.18.0.3/16 dev eth0", "link set eth0 up"):
        run_ip(node, *line.split())
    run_ip(node, "route", "add", "default", "via", "172.18.0.2")
    path = tmp_path / "ipip.db"
    ipam = ipip.Ipam(ipip.SqliteStore(path, create=True))
    ipam.create_pool(ipip.Pool("pods", "10.244.0.0/16", ipip_mode="Never"))
    return Host(node, path)


@pytest.fixture
def named(node: ipip.Netns) -> Iterator[ipip.Netns]:
    """A container's namespace that other processes can name."""
    name = f"ipip-py-{uuid.uuid4().hex[:8]}"
    try:
        with ipip.Netns.create(name) as made:
            yield made
    finally:
        ipip.Netns.remove(name)


def test_long_work_is_shown_on_a_terminal(host: Host) -> None:
    host.run("join")
    host.ipam.create_pool(ipip.Pool("large", "10.0.0.0/11", ipip_mode="Never"))
    host.ipam.put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    for block in range(1200):
        host.ipam.claim("node-b", f"10.{block // 1024}.{block // 4 % 256}.{block % 4 * 64}/26")
    terminal, other = os.openpty()
    try:
        ended = subprocess.run(host.command("sync"), check=True, stdout=subprocess.PIPE, stderr=other, timeout=60)
        shown = os.read(terminal, 4096).decode()
        subprocess.run(host.command("sync"), check=True, stdout=subprocess.PIPE, stderr=other, timeout=60)
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):  # nothing to do, nothing to show
            os.read(terminal, 1)
    finally:
        os.close(terminal)
        os.close(other)
    steps = len([line for line in ended.stdout.decode().splitlines() if not line.startswith("#")])
    last = f"\rsync: {steps} of {steps}\r\n"
    assert shown.startswith("\rsync: ") and shown.endswith(last) and shown.count("\r") > 2, shown


def test_a_node_joins_once(host: Host) -> None:
    assert "has not joined" in host.run("sync", code=1)
    assert host.check("join")
    joined = host.json("join", "--label", "zone=west")
    assert (joined["changed"], joined["address"], joined["settled"]) == (True, "172.18.0.3/16", True)
    record = host.ipam.node("node-a")
    assert record and record.labels == {"zone": "west"}
    assert not host.check("join", "--label", "zone=west") and host.check("join", "--label", "zone=east")
    assert not host.json("join")["changed"]


def test_a_container_is_attached_and_detached(host: Host, named: ipip.Netns) -> None:
    host.run("join")
    attach = [*POD, named.path]
    assert host.check("attach", *attach)
    attached = host.json("attach", *attach)
    assert attached["changed"] and attached["hostVeth"] == VETH and link(host.netns, VETH)
    assert host.ipam.address_usage(attached["address"]).handle_id == "k8s-pod-network.c-podA"
    assert not host.check("attach", *attach)
    assert host.json("attach", *attach) == {**attached, "changed": False, "done": []}
    assert host.run("attach", *attach) == f"attached default.podA {attached['address']} behind {VETH}\n"
    run_ip(named, "link", "set", "eth0", "name", "eth7")
    assert host.check("attach", *attach)
    run_ip(named, "link", "set", "eth7", "name", "eth0")
    assert host.check("detach", *POD)
    detached = host.json("detach", *POD)
    assert detached["changed"] and detached["released"] == [attached["address"]] and not link(host.netns, VETH)
    assert not host.check("detach", *POD) and not host.json("detach", *POD)["changed"]


def test_what_is_planned_is_synced(host: Host, named: ipip.Netns) -> None:
    host.run("join")
    address = host.json("attach", *POD, named.path)["address"]
    assert host.json("sync")["settled"] and not host.check("sync") and not host.json("plan")["steps"]
    run_ip(host.netns, "route", "del", address)
    assert host.check("sync") and host.check("plan") and host.check("attach", *POD, named.path)
    assert f"ip route add {address} dev {VETH} scope link" in host.run("plan").splitlines()
    synced = host.json("sync")
    assert synced["changed"] and len(synced["done"]) == 1 and not host.json("sync")["changed"]


def test_the_routes_bear_what_is_asked_for(host: Host) -> None:
    host.run("join")
    host.ipam.put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    host.ipam.claim("node-b", "10.244.244.64/26")
    asked = ["--protocol", "77", "--metric", "7"]
    route = "ip route add 10.244.244.64/26 via 172.18.0.2 dev eth0 proto 77 metric 7 onlink"
    assert route in host.run("plan", *asked).splitlines()
    host.run("sync", *asked)
    assert "10.244.244.64/26 via 172.18.0.2 dev eth0 proto 77 metric 7 onlink" in routes(host.netns)
    assert not host.check("sync", *asked)
    # The number is the complement of 172.18.0.2.
    steps = host.run("plan", *asked, "--next-hop-objects").splitlines()
    assert "ip nexthop add id 1408106493 via 172.18.0.2 dev eth0 proto 77 onlink" in steps
    assert "ip route replace 10.244.244.64/26 nhid 1408106493 proto 77 metric 7" in steps
    pools = host.ipam.pools()
    host.ipam.update_pool(ipip.Pool(pools[0].name, pools[0].cidr, ipip_mode="Always"))
    plan = host.run("plan", "--device", "mine0", "--route-mtu", "--exclusive")
    assert "dev mine0" in plan and "mtu 1480" in plan and "tunl0" not in plan


def test_a_node_leaves_once(host: Host, named: ipip.Netns) -> None:
    before = state(host.netns)
    host.run("join")
    host.run("attach", *POD, named.path)
    assert host.check("leave")
    left = host.json("leave")
    assert left["changed"] and left["complete"] and not left["forgotten"] and state(host.netns) == before
    assert not host.check("leave") and not host.json("leave")["changed"]
    assert host.check("leave", "--forget")
    assert host.json("leave", "--forget")["forgotten"] and host.ipam.nodes() == []
    assert not host.check("leave", "--forget") and host.json("leave", "--forget") == {"changed": False}


def test_wrong_arguments_are_refused(host: Host) -> None:
    for line, words in [
        ("join --label west", "'west' is not of the form KEY=VALUE"),
        ("attach default podA", "CONTAINER, NETNS"),
        ("run --check", "--check"),
    ]:
        command, *arguments = line.split()
        ended = execute(host.command(command, *arguments))
        assert ended.returncode == 2 and words in ended.stderr, ended
    assert "/run/netns/ipip-py-nobody" in host.run("sync", "--netns=ipip-py-nobody", code=1)


def test_a_moved_node_would_join_anew(host: Host) -> None:
    host.run("join")
    run_ip(host.netns, "addr", "del", "172.18.0.3/16", "dev", "eth0")
    run_ip(host.netns, "addr", "add", "172.18.0.9/16", "dev", "eth0")
    run_ip(host.netns, "route", "add", "default", "via", "172.18.0.2")
    assert host.check("join")
    assert host.json("join")["address"] == "172.18.0.9/16" and not host.check("join")


def test_what_is_in_the_way_is_no_success(host: Host) -> None:
    host.run("join")
    host.ipam.put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
    host.ipam.claim("node-b", "10.244.244.64/26")
    run_ip(host.netns, "route", "add", "10.244.244.64/26", "dev", "eth0", "proto", "static")
    assert len(host.json("plan")["conflicts"]) == 1
    done = execute(host.command("sync", "--json"))
    assert done.returncode == 1 and json.loads(done.stdout)["conflicts"]
    told = ansible(host, {"state": "synced"}, code=1)
    assert told["failed"] and told["conflicts"] and not told["changed"]


def test_run_keeps_the_node_until_it_is_told_to_end(host: Host) -> None:
    command = host.command("run", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and json.loads(process.stdout.readline())["settled"]
        host.ipam.put_node(ipip.NodeRecord("node-b", address="172.18.0.2/16"))
        host.ipam.claim("node-b", "10.244.244.64/26")
        while not json.loads(process.stdout.readline())["done"]:
            pass
        assert any(route.startswith("10.244.244.64/26 via 172.18.0.2") for route in routes(host.netns))
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(20) == 0
    assert any(route.startswith("10.244.244.64/26 via 172.18.0.2") for route in routes(host.netns))


def test_user_space_lasts_as_long_as_its_process(host: Host) -> None:
    host.ipam.update_pool(ipip.Pool("pods", "10.244.0.0/16", ipip_mode="Always"))
    userspace = "--data-path=userspace"
    assert "let `node run` carry them" in host.run("join", userspace)
    assert link(host.netns, "tunl0") is None and host.check("sync", userspace)
    with subprocess.Popen(host.command("run", "--json", userspace), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and json.loads(process.stdout.readline())["settled"]
        tunl0 = link(host.netns, "tunl0")
        assert tunl0 and tunl0["mtu"] == 1480
        synced = host.json("sync", userspace)
        assert synced["settled"] and not synced["done"] and "another process" in synced["dataPath"]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0
    assert link(host.netns, "tunl0") is None


def ansible(host: Host, parameters: dict[str, Any], code: int = 0, *, file: Path | None = None) -> dict[str, Any]:
    whole = {"store": str(host.path), "node": "node-a", "netns": host.netns.path, "no_guard": True, **parameters}
    whole = {**whole, "_ansible_version": "2.17.0"}
    if file:
        file.write_text(json.dumps(whole))
    command = [sys.executable, str(MODULE), *([str(file)] if file else [])]
    text = "" if file else json.dumps(whole)
    ended = execute(command, text)
    assert ended.returncode == code and not ended.stderr, ended
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_ansible_reports_changed_then_ok(host: Host, named: ipip.Netns, tmp_path: Path) -> None:
    assert "WANT_JSON" in MODULE.read_text()
    names = dict(zip(("namespace", "pod", "container"), POD, strict=True))
    steps: list[dict[str, Any]] = [
        {"state": "joined", "labels": {"zone": "west"}},
        {"state": "attached", **names, "container_netns": named.path},
        {"state": "detached", **names},
        {"state": "forgotten"},
    ]
    for step in steps:
        would, first, second, not_again = (
            ansible(host, {**step, **more}, file=tmp_path / "arguments.json")
            for more in ({"_ansible_check_mode": True}, {}, {}, {"_ansible_check_mode": True})
        )
        changed = [told["changed"] for told in (would, first, second, not_again)]
        assert changed == [True, True, False, False], (step, first, second)
        assert not any(told["failed"] for told in (would, first, second, not_again))


def test_ansible_is_told_what_is_wrong(host: Host) -> None:
    for parameters, words in [
        ({"state": "present"}, "state 'present' is none of joined, synced"),
        ({"stat": "joined"}, "takes no stat"),
        ({"state": "attached"}, "needs namespace, pod, container, container_netns"),
        ({"state": "synced"}, "has not joined"),
        ({"underlay": "eth7"}, "underlay eth7 does not exist"),
        ({"mtu": "many"}, "invalid int value"),
    ]:
        told = ansible(host, parameters, code=1)
        assert (told["failed"], told["changed"]) == (True, False) and words in told["msg"]
    for text, words in [("[]", "one JSON object"), ("{", "Expecting")]:
        ended = execute([sys.executable, str(MODULE)], text)
        assert ended.returncode == 1 and words in json.loads(ended.stdout)["msg"]


def test_the_store_may_come_from_the_environment(host: Host) -> None:
    command = [argument for argument in host.command("join", "--check") if not argument.startswith("--store")]
    ended = execute(command, IPIP_STORE=str(host.path))
    assert ended.returncode == WOULD_CHANGE and ended.stdout == "something would be changed\n"
