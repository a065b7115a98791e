"""``python -m ipip node``: the nodes of a store, and this host as one of them."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from typing import Any, TypedDict

from . import (
    Attached,
    Ipam,
    Left,
    Netns,
    Node,
    NodeConfig,
    NodeRecord,
    Pool,
    Progress,
    RunEvent,
    Stop,
    Synced,
    Workload,
    WorkloadId,
)
from ._node_check import would_attach, would_detach, would_join, would_leave
from ._store_command import add_command, open_ipam, open_store, parser_of, prefixes_json, print_json, print_table, run

#: The exit status of ``--check`` where there is something to do.
WOULD_CHANGE = 3

#: Steps of work that shows on a terminal how far it is.
LONG = 1000


def main(arguments: list[str]) -> int:
    """Runs ``python -m ipip node``; the exit status."""
    text = "The nodes of a store, and this host as one. `ipam release --node` removes one that is gone."
    parser = parser_of("node", text)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_command(commands, "list", _list_nodes, "list the nodes that have a record or a block")
    join = add_command(commands, "join", _join, "make this host a node, or complete what an earlier call began")
    _add_node(join)
    text = "a label for the pools' node selectors, once for each"
    join.add_argument("--label", metavar="KEY=VALUE", action="append", default=[], type=_label, help=text)
    text = "give a container its address and its wire, or mend them; --check sees no settings inside"
    attach = add_command(commands, "attach", _attach, text)
    _add_node(attach)
    _add_container(attach)
    attach.add_argument("container_netns", metavar="NETNS", help="path to its network namespace")
    attach.add_argument("--interface", metavar="NAME", default="eth0", help="what it gets; default: eth0")
    attach.add_argument("--address", metavar="ADDRESS", help="the one that it must have; default: any")
    detach = add_command(commands, "detach", _detach, "take a container's wire away and release its address")
    _add_node(detach)
    _add_container(detach)
    text = "bring about what this node should hold, and take away what is too much"
    _add_node(add_command(commands, "sync", _sync, text))
    _add_node(add_command(commands, "plan", _plan, "print what sync would do, as a script"))
    text = "take this host off the pod network; --check sees the store and the wires alone"
    leave = add_command(commands, "leave", _leave, text)
    _add_node(leave)
    text = "let the store forget it too: its record, its workloads' addresses, its blocks"
    leave.add_argument("--forget", action="store_true", help=text)
    text = "join, and keep the node as it should be until SIGTERM or Ctrl-C; --json prints a line for each pass"
    keep = add_command(commands, "run", _run, text)
    _add_node(keep, check=False)
    text = "how long a pass takes at most; the next one goes on with what it postponed; default: 30"
    keep.add_argument("--deadline", metavar="SECONDS", type=float, default=30.0, help=text)
    return run(parser, arguments)


def _add_node(parser: argparse.ArgumentParser, *, check: bool = True) -> None:
    add = parser.add_argument
    add("node", metavar="NODE", help="its name")
    add("--netns", metavar="PATH", help="its network namespace, a path or a name of `ip netns`; default: this one")
    text = "the interface by which the others reach it; default: that of the default route"
    add("--underlay", metavar="NAME", help=text)
    add("--underlay-address", metavar="ADDRESS", help="the address by which they do, whatever interface holds it")
    add("--mtu", metavar="OCTETS", type=int, help="inside the tunnel; default: the underlay's less 20")
    text = "who carries the packets; userspace lasts as long as its process: use run"
    add("--data-path", choices=["auto", "kernel", "bpf", "userspace"], default="auto", help=text)
    add("--no-guard", action="store_true", help="let forged tunnel packets in")
    text = "the first part of the handles NETWORK.CONTAINER; default: k8s-pod-network"
    add("--network", metavar="NAME", default="k8s-pod-network", help=text)
    _add_policy(parser)
    if check:
        text = f"change nothing; the exit status is {WOULD_CHANGE} if there is something to do, 0 if not"
        add("--check", action="store_true", help=text)


def _add_policy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--device", metavar="NAME", default="tunl0", help="the tunnel device; default: tunl0")
    add("--exclusive", action="store_true", help="take foreign addresses off the tunnel device, as Felix does")
    text = "what our routes bear, a number of rtnetlink's; default: 12, bird"
    add("--protocol", metavar="NUMBER", type=int, default=12, help=text)
    add("--metric", metavar="NUMBER", type=int, default=0, help="of the routes to other nodes; default: 0")
    add("--route-mtu", action="store_true", help="let routes through the tunnel bear its MTU")
    add("--adopt-felix", action="store_true", help="take over Felix's routes")
    add("--next-hop-objects", action="store_true", help="let the routes to a node go by one object of `ip nexthop`")


def _add_container(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="NAMESPACE", help="the Kubernetes namespace of the pod")
    parser.add_argument("pod", metavar="POD", help="the pod")
    parser.add_argument("container", metavar="CONTAINER", help="the container's id")


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def _netns(options: argparse.Namespace) -> Netns:
    if options.netns is None:
        return Netns.current()
    return Netns.open(options.netns) if "/" in options.netns else Netns.named(options.netns)


def _config(options: argparse.Namespace, netns: Netns) -> NodeConfig:
    return NodeConfig(
        options.node,
        netns=netns,
        underlay=options.underlay,
        underlay_address=options.underlay_address,
        mtu=options.mtu,
        labels=dict(getattr(options, "label", [])),
        data_path=options.data_path,
        guard=not options.no_guard,
        network=options.network,
        device=options.device,
        protocol=options.protocol,
        metric=options.metric,
        route_mtu=options.route_mtu,
        adopt_felix=options.adopt_felix,
        exclusive=options.exclusive,
        next_hop_objects=options.next_hop_objects,
        deadline=getattr(options, "deadline", 30.0),
        progress=_show if sys.stderr.isatty() and not options.json else None,
    )


def _show(progress: Progress) -> None:
    """Rewrites one line on the terminal; what a batch or two do is over before it could be read."""
    if progress.total >= LONG:
        end = "\n" if progress.done == progress.total else ""
        print(f"\r{progress.task}: {progress.done} of {progress.total}", end=end, file=sys.stderr, flush=True)


def _open(options: argparse.Namespace) -> Node:
    return Node.open(open_store(options), _config(options, _netns(options)))


def _id(options: argparse.Namespace) -> WorkloadId:
    return WorkloadId(options.namespace, options.pod, options.container)


def _handle(options: argparse.Namespace) -> str:
    return f"{options.network}.{options.container}"


def _print(options: argparse.Namespace, answer: dict[str, Any], *lines: str) -> None:
    if options.json:
        print_json(answer)
        return
    for line in lines:
        if line:
            print(line)


def _print_check(options: argparse.Namespace, would: bool) -> int:
    """What ``--check`` found; the exit status."""
    _print(options, {"changed": would}, "something would be changed" if would else "nothing would be changed")
    return WOULD_CHANGE if would else 0


def _stored(ipam: Ipam, node: str) -> bytes | None:
    record = ipam.node(node)
    return None if record is None else record.to_json()


def _join(options: argparse.Namespace) -> int:
    store, netns = open_store(options), _netns(options)
    ipam, config = Ipam(store), _config(options, netns)
    if options.check:
        labels = dict(options.label)
        return _print_check(options, would_join(store, config, netns, labels, options.underlay_address))
    before = _stored(ipam, options.node)
    node = Node.join(store, config)
    # What join found is told by a second pass, which finds nothing to do as a rule.
    synced = node.sync()
    changed = _stored(ipam, options.node) != before or node.counters()["applied"] > 0
    record = ipam.node(options.node) or NodeRecord(options.node)
    answer = {
        "changed": changed,
        "node": record.name,
        "address": None if record.address is None else str(record.address),
        "tunnelAddress": None if record.tunnel_address is None else str(record.tunnel_address),
        **_synced_json(synced),
    }
    text = f"joined node {record.name} {record.address}, tunnel address {record.tunnel_address or '-'}"
    _print(options, answer, text, *_remarks(synced))
    return 0 if synced.settled else 1


def _synced_json(synced: Synced) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(synced.to_json())
    return {**whole, "settled": synced.settled}


def _remarks(synced: Synced) -> list[str]:
    remarks = [f"data path {synced.data_path_text}", f"guard {synced.guard_text}"]
    if synced.data_path == "userspace":
        remarks.append("this process carried the packets, and ends: let `node run` carry them")
    return [*remarks, *(line for line in str(synced).splitlines() if line.startswith("#"))]


def _attach(options: argparse.Namespace) -> int:
    workload = Workload(
        id=_id(options), netns=options.container_netns, interface=options.interface, address=options.address
    )
    node = _open(options)
    held = open_ipam(options).addresses_of(_handle(options))
    if options.check:
        return _print_check(options, not held or would_attach(node, _netns(options), workload))
    attached = node.attach(workload)
    changed = not held or bool(attached.changes)
    text = f"attached {options.namespace}.{options.pod} {attached.address} behind {attached.host_veth}"
    _print(options, {"changed": changed, **_attached_json(attached)}, text, str(attached.changes))
    return 0


def _attached_json(attached: Attached) -> dict[str, Any]:
    return {
        "address": str(attached.address),
        "hostVeth": attached.host_veth,
        "mac": attached.mac,
        "mtu": attached.mtu,
        "done": list(attached.changes.steps),
    }


def _detach(options: argparse.Namespace) -> int:
    node, identity = _open(options), _id(options)
    if options.check:
        held = open_ipam(options).addresses_of(_handle(options))
        return _print_check(options, bool(held) or would_detach(node, identity))
    detached = node.detach(identity)
    released = prefixes_json(detached.released)
    changed = bool(released) or bool(detached.changes)
    answer = {"changed": changed, "released": released, "done": list(detached.changes.steps)}
    text = f"detached {options.namespace}.{options.pod}, released {','.join(released) or 'nothing'}"
    _print(options, answer, text, str(detached.changes))
    return 0


def _sync(options: argparse.Namespace) -> int:
    if options.check:
        return _plan(options)
    node, ipam = _open(options), open_ipam(options)
    before = _stored(ipam, options.node)
    synced = node.sync()
    changed = bool(synced.done) or _stored(ipam, options.node) != before
    _print(options, {"changed": changed, **_synced_json(synced)}, *str(synced).splitlines())
    return 0 if synced.settled else 1


def _plan(options: argparse.Namespace) -> int:
    planned = _open(options).plan()
    _print(options, {"changed": bool(planned.steps), **json.loads(planned.to_json())}, *str(planned).splitlines())
    if not options.check:
        return 0
    if planned.steps:
        return WOULD_CHANGE
    return 1 if planned else 0


def _leave(options: argparse.Namespace) -> int:
    store, netns = open_store(options), _netns(options)
    record = Ipam(store).node(options.node)
    if record is None or record.address is None:
        text = f"node {options.node} takes no part"
        _print(options, {"changed": False}, text)
        return 0
    node = Node.open(store, _config(options, netns))
    if options.check:
        return _print_check(options, would_leave(store, record, netns, forget=options.forget))
    left = node.leave(forget=options.forget)
    answer = {"changed": _has_changed(left), **json.loads(left.to_json()), "complete": left.complete}
    failed = [f"# failed: {failed}" for failed in left.failed]
    faults = [f"# failed: {fault}" for fault in left.faults]
    _print(options, answer, f"node {options.node} left", *left.done, *failed, *faults)
    return 0 if left.complete else 1


def _has_changed(left: Left) -> bool:
    removal = left.removal
    forgotten = removal is not None and (
        removal.had_record or bool(removal.released or removal.deleted or removal.orphaned)
    )
    return bool(left.done or left.released) or forgotten


def _run(options: argparse.Namespace) -> int:
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.stop())
    node = Node.join(open_store(options), _config(options, _netns(options)))

    def tell(event: RunEvent) -> None:
        if event.error is not None:
            print(f"{options.parser.prog}: {event.error}; tried again in {event.retry_in:.1f} s", file=sys.stderr)
        elif event.synced is not None and options.json:
            print(json.dumps(_synced_json(event.synced), ensure_ascii=False), flush=True)
        elif event.synced is not None:
            print(str(event.synced), end="", flush=True)

    node.run(stop, tell)
    return 0


def _list_nodes(options: argparse.Namespace) -> int:
    ipam = open_ipam(options)
    pools = ipam.pools()
    records = {record.name: record for record in ipam.nodes()}
    owners = [block.affinity or "" for block in ipam.blocks()]
    blocks = Counter(owner.removeprefix("host:") for owner in owners if owner.startswith("host:"))
    found = [
        _node(records.get(name) or NodeRecord(name), blocks[name], pools, name in records)
        for name in sorted({*records, *blocks})
    ]
    if options.json:
        print_json(found)
        return 0
    names = ["NAME", "IPV4", "TUNNEL ADDRESS", "BLOCKS", "POOLS"]
    print_table(names, [_columns(node) for node in found])
    return 0


class _Node(TypedDict):
    name: str
    address: str | None
    tunnelAddress: str | None
    labels: dict[str, str]
    blocks: int
    pools: list[str]
    recorded: bool


def _columns(node: _Node) -> list[str]:
    addresses = [node["address"] or "-", node["tunnelAddress"] or "-"]
    return [node["name"], *addresses, str(node["blocks"]), ",".join(node["pools"]) or "-"]


def _node(record: NodeRecord, blocks: int, pools: list[Pool], recorded: bool) -> _Node:
    return {
        "name": record.name,
        "address": None if record.address is None else str(record.address),
        "tunnelAddress": None if record.tunnel_address is None else str(record.tunnel_address),
        "labels": record.labels,
        "blocks": blocks,
        "pools": [pool.name for pool in pools if pool.selects(record.labels)],
        "recorded": recorded,
    }
