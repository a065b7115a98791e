"""Who may send us what, against a list that is walked in full."""

from __future__ import annotations

import pickle
import random
from ipaddress import IPv4Address, IPv4Network

import pytest

import ipip

A, B = IPv4Address("172.18.0.3"), IPv4Address("172.18.0.2")
POD = IPv4Address("10.244.244.73")


def verdict(peers: ipip.Peers, outer: IPv4Address, inner: IPv4Address) -> str:
    try:
        peers.check(outer_source=outer, inner_source=inner)
    except ipip.PacketError as error:
        told = {"UnknownNode": (229, outer, None), "ForeignSource": (230, outer, inner), "NoHost": (231, outer, inner)}
        assert (error.status, error.outer_source, error.inner_source) == told[error.kind]
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
        return error.kind
    return "accepted"


def test_a_borrowed_address_beats_the_block() -> None:
    peers = ipip.Peers()
    assert verdict(peers, B, POD) == "UnknownNode"
    assert peers.insert("10.244.244.64/26", B) is None
    assert peers.insert(IPv4Network("10.244.244.73/32"), str(A)) is None
    assert (verdict(peers, A, POD), verdict(peers, B, POD), verdict(peers, B, POD + 1)) == ("accepted", "ForeignSource", "accepted")
    assert (peers.node_of(POD), peers.node_of("10.244.244.74"), peers.node_of("10.0.0.1")) == (A, B, None)
    assert peers.items() == [(IPv4Network("10.244.244.64/26"), B), (IPv4Network("10.244.244.73/32"), A)]
    assert peers.insert("10.244.244.73/32", B) == A and verdict(peers, A, POD) == "UnknownNode"
    assert (peers.remove("10.244.244.73/32"), peers.remove("10.244.244.73/32"), len(peers)) == (B, None, 1)


def test_equal_if_they_hold_the_same() -> None:
    one, two = ipip.Peers(), ipip.Peers()
    one.insert("10.0.0.0/26", A)
    one.insert("10.0.0.64/26", A)
    assert one != two and one != "something else" and one == one
    two.insert("10.0.0.64/26", A)
    two.insert("10.0.0.0/26", A)
    assert one == two
    with pytest.raises(TypeError):
        hash(one)


def test_any_changes_leave_what_a_list_says() -> None:
    chance = random.Random(3)
    peers, model = ipip.Peers(), dict[IPv4Network, IPv4Address]()

    def address() -> IPv4Address:
        return IPv4Address(chance.getrandbits(32) & 0xC0000701)  # few distinct bits, so that prefixes nest and repeat

    nodes = [IPv4Address(number) for number in range(4)]
    for _ in range(1500):
        prefix = IPv4Network((address(), chance.randrange(33)), strict=False)
        if chance.random() < 0.6:
            node = chance.choice(nodes)
            assert peers.insert(prefix, node) == model.get(prefix)
            model[prefix] = node
        else:
            assert peers.remove(prefix) == model.pop(prefix, None)
        probe = address()
        containing = [prefix for prefix in model if probe in prefix]
        holder = model[max(containing, key=lambda prefix: prefix.prefixlen)] if containing else None
        assert peers.node_of(probe) == holder
        for node in nodes:
            known = "ForeignSource" if int(probe) else "NoHost"
            refused = known if node in model.values() else "UnknownNode"
            assert verdict(peers, node, probe) == ("accepted" if node == holder and int(probe) else refused)
    assert peers.items() == sorted(model.items(), key=lambda item: (item[0].network_address, item[0].prefixlen))
