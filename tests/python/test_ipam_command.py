"""`python -m ipip pool`, `reservation`, `node` and `ipam`: the real commands on a store in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ipip
from ipip import _ipam_command


class Shell:
    """Runs commands with a store, as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ipip.db"

    def run(self, line: str, code: int = 0, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "IPIP_STORE": str(self.path), **environment}
        command = [sys.executable, "-m", "ipip", *line.split()]
        ended = subprocess.run(
            command, cwd=self.folder, env=environment, input=stdin, text=True, capture_output=True, check=False, timeout=60
        )
        assert ended.returncode == code, ended
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def text(self, line: str, code: int = 0, stdin: str = "") -> str:
        return self.run(line, code, stdin).stdout

    def fails(self, line: str, code: int = 1) -> str:
        ended = self.run(line, code)
        assert ended.stdout == ""
        return ended.stderr

    def json(self, line: str, code: int = 0, stdin: str = "") -> Any:
        return json.loads(self.text(f"{line} --json", code, stdin))

    @property
    def ipam(self) -> ipip.Ipam:
        return ipip.Ipam(ipip.SqliteStore(self.path))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.text("pool create pods 10.244.0.0/24 --ipip-mode Always --nat-outgoing")
    return shell


def test_pools_are_created_listed_changed_and_deleted(shell: Shell) -> None:
    assert shell.text("pool list") == (
        "NAME   CIDR            BLOCKS   NAT    IPIPMODE   DISABLED   SELECTOR\n"
        "pods   10.244.0.0/24   /26      true   Always     false      all()\n"
    )
    assert "pool pods exists already" in shell.fails("pool create pods 10.9.0.0/24")
    assert "overlaps pool pods" in shell.fails("pool create more 10.244.0.0/16")
    assert "argument 'cidr'" in shell.fails("pool create more 10.244.0.1/16")
    shell.text("pool create west 10.9.0.0/24 --block-size 28 --node-selector has(west) --allowed-use Workload")
    (_, west) = shell.json("pool list")
    assert west["spec"]["blockSize"] == 28 and west["spec"]["nodeSelector"] == "has(west)"
    assert shell.text("pool update west --ipip-mode CrossSubnet") == "updated pool west 10.9.0.0/24\n"
    (_, changed) = shell.json("pool list")
    assert changed["spec"].pop("ipipMode") == "CrossSubnet" and west["spec"].pop("ipipMode", "Never") == "Never"
    assert changed["spec"] == west["spec"]
    assert shell.text("pool disable west") == "disabled pool west\n"
    assert shell.json("pool enable west") == {"pool": "west", "disabled": False}
    pod = shell.ipam.assign_any("node-a", "pod-a")
    assert shell.text("pool delete pods") == (
        f"deleted pool pods and 0 empty blocks\nstill assigned: {pod.address}, handle pod-a\n"
    )
    assert "there is no pool named pods" in shell.fails("pool delete pods")
    assert "there is no pool named pods" in shell.fails("pool update pods --ipip-mode Never")


def test_reservations_are_created_listed_and_deleted(shell: Shell) -> None:
    assert shell.text("reservation list") == "NAME   CIDRS\n"
    created = shell.text("reservation create routers 10.244.0.0/25 10.244.0.128")
    assert created == "created reservation routers 10.244.0.0/25,10.244.0.128/32\n"
    assert "reservation routers exists already" in shell.fails("reservation create routers 10.244.0.0/25")
    assert "10.244.0.1/25" in shell.fails("reservation create more 10.244.0.1/25")
    assert shell.text("reservation list") == (
        "NAME      CIDRS\n"
        "routers   10.244.0.0/25,10.244.0.128/32\n"
    )  # fmt: skip
    assert len(shell.ipam.assign_many("node-a", 256).assigned) == 127
    more = shell.json("reservation create more 10.244.0.200")
    assert more["spec"]["reservedCIDRs"] == ["10.244.0.200/32"]
    assert [one["metadata"]["name"] for one in shell.json("reservation list")] == ["more", "routers"]
    assert shell.text("reservation delete routers") == "deleted reservation routers\n"
    assert shell.json("reservation delete more") == {"reservation": "more"}
    assert "there is no reservation named routers" in shell.fails("reservation delete routers")
    assert len(shell.ipam.assign_many("node-a", 256).assigned) == 129
    assert "CIDR" in shell.fails("reservation create empty", 2)


def test_what_a_reservation_does_not_reserve_is_said(shell: Shell) -> None:
    stored = json.loads(ipip.Reservation("r", ["10.244.0.0/28"]).to_json())
    stored["spec"]["reservedCIDRs"].append("10.244.0.300")
    line = json.dumps({"key": "/calico/resources/v3/projectcalico.org/ipreservations/r", "value": stored})
    shell.text("ipam import", stdin=line + "\n")
    listed = shell.run("reservation list")
    assert listed.stdout.splitlines()[1].split() == ["r", "10.244.0.0/28"]
    assert "reservation r: '10.244.0.300' is no prefix" in listed.stderr


def test_nodes_are_listed_with_what_they_have(shell: Shell) -> None:
    shell.ipam.put_node(ipip.NodeRecord("node-a", address="172.18.0.3/16"))
    address = shell.ipam.ensure_tunnel_address("node-a")
    shell.ipam.claim_any("node-b")
    (a, b) = shell.json("node list")
    assert a == {
        "name": "node-a", "address": "172.18.0.3/16", "tunnelAddress": str(address), "labels": {}, "blocks": 1,
        "pools": ["pods"], "recorded": True,
    }  # fmt: skip
    assert (b["name"], b["address"], b["blocks"], b["recorded"]) == ("node-b", None, 1, False)
    lines = shell.text("node list").splitlines()
    assert lines[0].split() == ["NAME", "IPV4", "TUNNEL", "ADDRESS", "BLOCKS", "POOLS"]
    assert lines[2].split() == ["node-b", "-", "-", "1", "pods"]


def test_usage_is_shown(shell: Shell) -> None:
    pod = shell.ipam.assign("node-a", "10.244.0.7", "pod-a", {"pod": "a"})
    shell.ipam.assign("node-b", "10.244.0.8", "pod-b")
    assert shell.text("ipam show") == str(shell.ipam.usage())
    assert "| Block    | 10.244.0.0/26" in shell.text("ipam show --show-blocks")
    borrowed = shell.text("ipam show --show-borrowed")
    assert "10.244.0.8" in borrowed and "node-b" in borrowed and "GROUPING" not in borrowed
    assert "StrictAffinity" in shell.text("ipam show --show-configuration")
    assert shell.json("ipam show")["pools"][0]["inUse"] == 2
    assert shell.text("ipam show --ip 10.244.0.7").splitlines() == [
        "IP 10.244.0.7 is in use", "Handle ID: pod-a", "Attributes:", "  node: node-a", "  pod: a",
    ]  # fmt: skip
    assert shell.json(f"ipam show --ip {pod.address}")["handle"] == "pod-a"
    assert shell.text("ipam show --ip 10.244.0.9") == "10.244.0.9 is not assigned\n"
    assert "argument 'address'" in shell.fails("ipam show --ip 10.244.0")


def test_a_check_exits_with_1_if_something_is_wrong(shell: Shell) -> None:
    for pod in ("dead", "alive"):
        shell.ipam.assign_any("node-a", pod)
    assert shell.text("ipam check").endswith("no problem found\n")
    assert shell.json("ipam check")["problems"] == []
    text = shell.text("ipam check --live - -o report.json", 1, "alive\n")
    assert "handle \"dead\", which is not alive" in text and text.endswith("1 problem found\n")
    (leaked,) = json.loads((shell.folder / "report.json").read_text())["problems"]
    assert (leaked["kind"], leaked["handle"]) == ("leaked", "dead")
    assert "collection" in shell.text("ipam check --live - --repair", 1, "alive")
    released = shell.text("ipam release --from-report report.json")
    assert released == f"released {leaked['address']}, handle dead\n"
    # Assigned again meanwhile, it is another assignment, which the report does not speak of.
    shell.ipam.assign("node-a", leaked["address"], "dead")
    again = shell.run("ipam release --from-report report.json", 1)
    assert again.stdout == "" and "nothing released in" in again.stderr
    assert "nowhere" in shell.fails("ipam release --from-report nowhere")
    (shell.folder / "other").write_text('{"problems": [{"kind": "leaked"}]}')
    assert "is no report" in shell.fails("ipam release --from-report other")


def test_repair_waits_until_nothing_can_be_under_way(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_ipam_command, "sleep", slept.append)
    arguments = ["check", "--repair", "--wait", "--store", str(shell.path)]
    assert _ipam_command.main(arguments) == 0 and slept == []
    leaked = {"key": "/calico/ipam/v2/handle/leaked", "value": {"block": {"10.244.0.0/26": 1}}}
    shell.text("ipam import", stdin=json.dumps(leaked) + "\n")
    # No time passed, so it is left; and without --wait nobody sleeps.
    assert _ipam_command.main(arguments) == 1 and slept == [90]
    assert "an assignment may be under way" in capsys.readouterr().out
    assert _ipam_command.main([word for word in arguments if word != "--wait"]) == 1 and slept == [90]


def test_repair_mends_what_the_store_proves(shell: Shell) -> None:
    line = '{"key":"/calico/ipam/v2/host/node-x/ipv4/block/10.244.0.0-26","value":{"state":"confirmed"}}'
    shell.text("ipam import", 0, line + "\n")
    assert "node node-x claims block 10.244.0.0/26, which is not there" in shell.text("ipam check", 1)
    both = shell.json("ipam check --repair")
    assert [one["kind"] for one in both["repaired"]] == ["claimWithoutBlock"] and both["left"] == []
    assert shell.text("ipam check").endswith("no problem found\n")


def test_addresses_are_released(shell: Shell) -> None:
    one, two = shell.ipam.assign_any("node-a", "h"), shell.ipam.assign_any("node-a", "h")
    ended = shell.run(f"ipam release --ip {one.address} --ip 10.244.0.200", 1)
    assert ended.stdout == f"released {one.address}, handle h\n" and ended.stderr == "not assigned: 10.244.0.200\n"
    assert shell.json("ipam release --handle h")["released"] == [{"address": str(two.address), "handle": "h"}]
    assert 'handle "h" has no addresses' in shell.fails("ipam release --handle h")
    shell.ipam.assign_any("node-b", "k")
    removed = shell.json("ipam release --node node-b")
    assert [entry["handle"] for entry in removed["released"]] == ["k"] and len(removed["deleted"]) == 1
    assert shell.text("ipam release --node node-b") == "removed node node-b, which had no record\n"
    assert "one of the arguments --ip --handle --node --from-report is required" in shell.fails("ipam release", 2)
    assert "not allowed with" in shell.fails("ipam release --ip 10.244.0.1 --handle h", 2)


def test_the_configuration_is_changed_in_part(shell: Shell) -> None:
    shell.text("ipam configure --strictaffinity=true --max-blocks-per-host=3")
    assert shell.json("ipam configure --cooldown 60")["strict_affinity"] is True
    config = shell.ipam.config()
    assert (config.strict_affinity, config.max_blocks_per_node, config.cooldown) == (True, 3, 60)
    assert "strict" in shell.fails("ipam configure --strict-affinity false")
    assert shell.ipam.config() == config
    assert "neither true nor false" in shell.fails("ipam configure --strict-affinity maybe", 2)
    assert shell.text("ipam configure") == shell.text("ipam show --show-configuration")


def test_a_network_moves_to_another_store(shell: Shell) -> None:
    shell.ipam.assign_many("node-a", 70, "h")
    assert shell.json("ipam export all.jsonl") == {"records": len(shell.text("ipam export").splitlines())}
    other = shell.folder / "other.db"
    dry = shell.run(f"ipam import all.jsonl --dry-run --store {other}").stdout
    assert "would be added: /calico/" in dry and not other.exists()
    assert shell.run(f"ipam import all.jsonl --store {other}").stdout == dry.replace("would be ", "")
    assert shell.run("ipam export", IPIP_STORE=str(other)).stdout == shell.text("ipam export")
    again = shell.json("ipam import all.jsonl")
    assert (again["added"], again["replaced"], again["removed"]) == ([], [], []) and again["unchanged"] > 0
    before = shell.text("ipam export")
    ended = shell.run("ipam import", 1, before + '{"key": 7}\n')
    assert f"line {len(before.splitlines()) + 1}" in ended.stderr and shell.text("ipam export") == before
    assert shell.json("ipam import --remove-others --dry-run", stdin="")["removed"]


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for line in ("pool list", "node list", "ipam show", "ipam check", "ipam export", "ipam configure"):
        assert str(shell.path) in shell.fails(line)
    assert list(tmp_path.iterdir()) == []
    assert "no store: give --store PATH, or set IPIP_STORE" in shell.run("ipam show", 2, IPIP_STORE="").stderr
    shell.path.write_text("not a database" * 100)
    assert str(shell.path) in shell.fails("ipam show")


@pytest.mark.parametrize("line", ["pool", "node", "ipam", "pool create", "node list", "ipam release", "ipam import"])
def test_help_tells_of_store_and_exit_status(tmp_path: Path, line: str) -> None:
    text = Shell(tmp_path).text(f"{line} --help")
    assert "IPIP_STORE" in text and "exit status: 0 if it was done" in text


def test_a_closed_pipe_is_no_failure(shell: Shell) -> None:
    shell.ipam.assign_many("node-a", 256)
    command = f"{sys.executable} -m ipip ipam show --show-blocks --store {shell.path} | head -1"
    ended = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and ended.stderr == "", ended
