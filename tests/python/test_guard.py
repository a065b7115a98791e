"""The nf_tables guard of a node; nft looks at it."""

from __future__ import annotations

import ipaddress
import subprocess

import pytest
from world import BLOCK, PEER, PEER_BLOCK

import ipip

POOL = ipip.GuardPool(prefix="10.244.0.0/16", nat_outgoing=True)


def nft(node: ipip.Netns, *words: str) -> str:
    done = node.run(lambda: subprocess.run(["nft", *words], capture_output=True, text=True, check=False))
    if done.returncode != 0:
        pytest.skip(f"no nf_tables here: {done.stderr}")
    return done.stdout


def guard(peers: ipip.Peers, /, **fields: object) -> ipip.Guard:
    return ipip.Guard(**{"peers": peers, "pools": [POOL], "address": "10.244.79.0"} | fields)  # type: ignore[arg-type]


@pytest.fixture
def peers() -> ipip.Peers:
    peers = ipip.Peers()
    peers.insert(PEER_BLOCK, PEER)
    return peers


def test_a_guard_is_made_repeated_changed_and_removed(node: ipip.Netns, peers: ipip.Peers) -> None:
    nft(node, "list", "ruleset")
    changes = ipip.ensure_guard(node, guard(peers))
    assert len(changes) == 1 and str(changes).startswith("nft 'create table ip ipip; ")
    table = nft(node, "list", "table", "ip", "ipip")
    assert f"{PEER} . 0xaf4f440-0xaf4f47f" in table and "masquerade" in table
    assert not ipip.ensure_guard(node, guard(peers))
    peers.insert(BLOCK, "172.18.0.9")
    assert not ipip.ensure_guard(node, ipip.Guard(peers=_without(peers, BLOCK), pools=[POOL], address="10.244.79.0"))
    assert len(ipip.ensure_guard(node, guard(peers))) == 1
    assert len(ipip.ensure_guard(node, guard(peers, address=None))) == 1
    assert "snat" not in nft(node, "list", "table", "ip", "ipip")
    assert ipip.remove_guard(node).steps == ("nft 'delete table ip ipip'",)
    assert nft(node, "list", "ruleset") == "" and not ipip.remove_guard(node)


def _without(peers: ipip.Peers, prefix: str) -> ipip.Peers:
    left = ipip.Peers()
    for kept, node_addr in peers.items():
        if kept != ipaddress.ip_network(prefix):
            left.insert(kept, node_addr)
    return left


def test_a_foreign_table_stays(node: ipip.Netns, peers: ipip.Peers) -> None:
    nft(node, "add table ip ipip")
    with pytest.raises(ipip.InTheWay, match="table ip ipip is taken"):
        ipip.ensure_guard(node, guard(peers))
    assert not ipip.remove_guard(node)
    assert nft(node, "list", "ruleset") == "table ip ipip {\n}\n"


def test_without_nft_it_says_so(node: ipip.Netns, peers: ipip.Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        ipip.ensure_guard(node, guard(peers))
    except ipip.errors.NoGuard as error:
        assert "nf_tables cannot be used" in str(error)


def test_what_no_guard_can_be_like_is_refused(node: ipip.Netns, peers: ipip.Peers) -> None:
    everything = ipip.GuardPool(prefix="0.0.0.0/0")
    with pytest.raises(ipip.InvalidArgument, match="pool 0.0.0.0/0 is every address"):
        ipip.ensure_guard(node, guard(peers, pools=[everything]))
    with pytest.raises(ipip.InvalidArgument, match="tunnel address 127.0.0.1"):
        ipip.ensure_guard(node, guard(peers, address="127.0.0.1"))
    with pytest.raises(ipip.InvalidArgument, match="'device'"):
        guard(peers, device="a b")
    wrong: list[dict[str, object]] = [{"peers": []}, {"pools": "10.244.0.0/16"}, {"pools": [BLOCK]}, {"address": 7}]
    for fields in wrong:
        with pytest.raises(TypeError, match=f"argument .{next(iter(fields))}"):
            guard(peers, **fields)


def test_a_guard_is_shown(peers: ipip.Peers) -> None:
    value = guard(peers)
    assert (value.pools, str(value.address), value.device) == ([POOL], "10.244.79.0", "tunl0")
    assert repr(value) == "<Guard of 1 pools, 1 prefixes of peers>"
    assert repr(POOL) == "GuardPool(prefix='10.244.0.0/16', nat_outgoing=True)"
    assert POOL.prefix == ipaddress.ip_network("10.244.0.0/16") and POOL != ipip.GuardPool(prefix="10.244.0.0/16")
    assert hash(POOL) == hash(ipip.GuardPool(prefix="10.244.0.0/16", nat_outgoing=True))
