"""One block in memory, beside a model that is a list and a dict."""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Callable

import pytest

import ipip

PREFIX = ipaddress.IPv4Network("10.244.79.0/26")


@pytest.mark.parametrize("length", range(20, 33))
def test_every_size_hands_out_each_address_once(length: int) -> None:
    prefix = ipaddress.IPv4Network(f"10.244.0.0/{length}")
    block = ipip.Block(prefix)
    assert (len(block), block.free_count, block.used_count) == (prefix.num_addresses, prefix.num_addresses, 0)
    assert [block.assign_any().address for _ in range(len(block))] == list(prefix)
    with pytest.raises(ipip.Exhausted, match=f"block {prefix} is full"):
        block.assign_any()
    assert block.free() == []


@pytest.mark.parametrize("bad", ["10.0.0.0/19", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/26"])
def test_other_sizes_are_refused(bad: str) -> None:
    with pytest.raises(ipip.InvalidArgument, match="argument 'prefix'"):
        ipip.Block(bad)


def test_a_released_address_comes_back_last() -> None:
    block = ipip.Block(PREFIX)
    first = block.assign_any("pod-a")
    assert (first.address, first.block) == (PREFIX[0], PREFIX)
    released = block.release(first.address, handle_id="pod-a", sequence=first.sequence)
    assert (released.address, released.handle_id) == (PREFIX[0], "pod-a")
    assert block.free()[0] == PREFIX[1] and block.free()[-1] == PREFIX[0]


def test_refusals_each_have_their_error_and_change_nothing() -> None:
    block = ipip.Block(PREFIX)
    old = block.assign(PREFIX[20], "pod-a", {"pod": "pod-a", "node": "node-a"})
    block.release(PREFIX[20])
    block.assign(PREFIX[20], "pod-a", {"pod": "pod-a"})
    before = block.to_json()
    refusals: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (ipip.Taken, "already assigned", lambda: block.assign(PREFIX[20])),
        (ipip.Taken, "not with handle", lambda: block.release(PREFIX[20], handle_id="pod-b")),
        (ipip.Taken, "sequence number", lambda: block.release(PREFIX[20], sequence=old.sequence)),
        (ipip.NotFound, "not assigned", lambda: block.release(PREFIX[21])),
        (LookupError, "not assigned", lambda: block.release(PREFIX[21])),
        (ValueError, "outside block", lambda: block.assign("10.0.0.1")),
        (ipip.InvalidArgument, "outside block", lambda: block.release("10.0.0.1")),
        (ipip.InvalidArgument, "outside block", lambda: block.ordinal_of("10.244.79.64")),
        (TypeError, "argument 'attributes' must be a mapping", lambda: block.assign_any("h", [("a", "b")])),  # type: ignore[arg-type]
        (TypeError, "argument 'attributes' must be str", lambda: block.assign_any("h", {"a": 1})),  # type: ignore[dict-item]
    ]
    for expected, pattern, call in refusals:
        with pytest.raises(expected, match=pattern):
            call()
    assert block.to_json() == before


def test_questions() -> None:
    block = ipip.Block("10.244.79.0/26", sequence=5)
    block.assign("10.244.79.20", "pod-a", {"pod": "pod-a", "namespace": "default"})
    block.assign("10.244.79.4", "pod-a")
    block.assign("10.244.79.5")
    assert block.addresses_of("pod-a") == [PREFIX[4], PREFIX[20]] and block.addresses_of("nobody") == []
    assert block.attributes_of(PREFIX[20]) == {"pod": "pod-a", "namespace": "default"}
    assert block.attributes_of(PREFIX[5]) == {} and block.attributes_of(PREFIX[6]) is None
    assert block.assigned() == {PREFIX[4]: "pod-a", PREFIX[5]: None, PREFIX[20]: "pod-a"}
    assert (block.sequence_of(PREFIX[20]), block.sequence_of(PREFIX[6]), block.sequence) == (5, None, 8)
    assert (block.ordinal_of(PREFIX[20]), block.affinity) == (20, None)
    assert PREFIX[63] in block and "10.244.79.64" not in block
    assert [released.address for released in block.release_handle("pod-a")] == [PREFIX[4], PREFIX[20]]
    assert repr(block) == "<Block 10.244.79.0/26, 63 of 64 free>"


def test_json_survives_a_round_trip_with_fields_we_do_not_know() -> None:
    block = ipip.Block(PREFIX)
    block.assign("10.244.79.20", "pod-a", {"pod": "pod-a"})
    again = ipip.Block.from_json(block.to_json())
    assert again == block and again is not block
    value = json.loads(block.to_json())
    assert value["cidr"] == str(PREFIX) and value["attributes"][0]["handle_id"] == "pod-a"
    value["futureField"] = {"deep": [1]}
    kept = json.loads(ipip.Block.from_json(json.dumps(value).encode()).to_json())
    assert kept["futureField"] == {"deep": [1]}
    value["allocations"].pop()
    for bad in (b"", b"{}", b"\xff", json.dumps(value).encode()):
        with pytest.raises(ipip.InvalidArgument, match="argument 'json'"):
            ipip.Block.from_json(bad)


def test_blocks_are_mutable_and_so_have_no_hash() -> None:
    one, two = ipip.Block(PREFIX), ipip.Block(PREFIX)
    assert one == two and one == one
    one.assign_any()
    assert one != two
    with pytest.raises(TypeError):
        hash(one)


def test_any_sequence_of_calls_agrees_with_the_model() -> None:
    chance = random.Random(9)
    block = ipip.Block("10.0.0.0/28")
    free = list(ipaddress.IPv4Network("10.0.0.0/28"))
    owners: dict[ipaddress.IPv4Address, str] = {}
    for _ in range(3000):
        handle = chance.choice("abc")
        address = ipaddress.IPv4Address("10.0.0.0") + chance.randrange(16)
        match chance.randrange(4):
            case 0 if free:
                owners[free[0]] = handle
                assert block.assign_any(handle).address == free.pop(0)
            case 1 if address in free:
                block.assign(address, handle)
                free.remove(address)
                owners[address] = handle
            case 2 if owners.get(address) == handle:
                block.release(address, handle_id=handle)
                free.append(address)
                del owners[address]
            case 3 if chance.random() < 0.1:
                gone = sorted(a for a, owner in owners.items() if owner == handle)
                assert [released.address for released in block.release_handle(handle)] == gone
                free += gone
                owners = {a: owner for a, owner in owners.items() if owner != handle}
        assert block.free() == free and block.assigned() == dict(sorted(owners.items()))
