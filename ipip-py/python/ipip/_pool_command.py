"""``python -m ipip pool``: the pools."""

from __future__ import annotations

import argparse
import json

from . import InvalidArgument, NotFound, Pool
from ._store_command import (
    add_command,
    open_ipam,
    parser_of,
    prefixes_json,
    print_json,
    print_remaining,
    print_table,
    remaining_json,
    run,
)

_MODES = ["Always", "CrossSubnet", "Never"]
_USES = ["Workload", "Tunnel", "LoadBalancer"]


def main(arguments: list[str]) -> int:
    """``python -m ipip pool``; the exit status."""
    parser = parser_of("pool", "The prefixes that blocks are cut from.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_command(commands, "list", _list_pools, "list the pools")
    create = add_command(commands, "create", _create, "create a pool, and the store's file if it is not there")
    create.add_argument("name", metavar="NAME", help="its name")
    create.add_argument("cidr", metavar="CIDR", help="its prefix, such as 10.244.0.0/16")
    create.add_argument("--block-size", metavar="LEN", type=int, default=26, help="20 to 32; default: 26")
    create.add_argument("--disabled", action="store_true", help="nothing is assigned from it yet")
    _add_settings(create)
    update = add_command(commands, "update", _update, "change what is given, and nothing else")
    update.add_argument("name", metavar="NAME", help="the pool")
    _add_settings(update)
    for name, command, text in [
        ("disable", _disable, "let nothing be assigned or claimed from a pool; what is in use stays so"),
        ("enable", _enable, "end what disable began"),
        ("delete", _delete, "delete a pool and its empty blocks; addresses in use stay so, and are told"),
    ]:
        add_command(commands, name, command, text).add_argument("name", metavar="NAME", help="the pool")
    return run(parser, arguments)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ipip-mode", choices=_MODES, help="when packets between nodes are encapsulated; of a new pool: Never")
    text = "whether packets that leave the cluster take the node's address; of a new pool: no"
    add("--nat-outgoing", action=argparse.BooleanOptionalAction, default=None, help=text)
    add("--node-selector", metavar="TEXT", help="which nodes may use it unasked; of a new pool: all()")
    text = "what its addresses are for, once for each use; of a new pool: Workload and Tunnel"
    add("--allowed-use", choices=_USES, action="append", help=text)
    text = "Manual: it must be named to be used; of a new pool: Automatic"
    add("--assignment-mode", choices=["Automatic", "Manual"], help=text)


def _list_pools(options: argparse.Namespace) -> int:
    pools = open_ipam(options).pools()
    if options.json:
        print_json([json.loads(pool.to_json()) for pool in pools])
        return 0
    names = ["NAME", "CIDR", "BLOCKS", "NAT", "IPIPMODE", "DISABLED", "SELECTOR"]
    print_table(names, [_row(pool) for pool in pools])
    return 0


def _row(pool: Pool) -> list[str]:
    def flag(value: bool) -> str:
        return str(value).lower()

    size = f"/{pool.block_len}"
    row = [pool.name, str(pool.cidr), size, flag(pool.nat_outgoing), pool.ipip_mode, flag(pool.disabled)]
    return [*row, _selector(pool)]


def _selector(pool: Pool) -> str:
    try:
        return pool.node_selector
    except InvalidArgument:
        return "<malformed>"


def _create(options: argparse.Namespace) -> int:
    pool = Pool(
        options.name,
        options.cidr,
        options.block_size,
        ipip_mode=options.ipip_mode or "Never",
        nat_outgoing=bool(options.nat_outgoing),
        disabled=options.disabled,
        node_selector=options.node_selector or "all()",
        allowed_uses=options.allowed_use or ("Workload", "Tunnel"),
        assignment_mode=options.assignment_mode or "Automatic",
    )
    open_ipam(options, create=True).create_pool(pool)
    return _print_pool(options, pool, "created")


def _update(options: argparse.Namespace) -> int:
    ipam = open_ipam(options)
    stored = next((pool for pool in ipam.pools() if pool.name == options.name), None)
    if stored is None:
        raise NotFound(f"there is no pool named {options.name}")
    nat_outgoing = stored.nat_outgoing if options.nat_outgoing is None else options.nat_outgoing
    pool = Pool(
        stored.name,
        stored.cidr,
        stored.block_len,
        ipip_mode=options.ipip_mode or stored.ipip_mode,
        nat_outgoing=nat_outgoing,
        disabled=stored.disabled,
        node_selector=options.node_selector or stored.node_selector,
        allowed_uses=options.allowed_use or stored.allowed_uses,
        assignment_mode=options.assignment_mode or stored.assignment_mode,
    )
    return _print_pool(options, ipam.update_pool(pool), "updated")


def _print_pool(options: argparse.Namespace, pool: Pool, done: str) -> int:
    if options.json:
        print_json(json.loads(pool.to_json()))
    else:
        print(f"{done} pool {pool.name} {pool.cidr}")
    return 0


def _disable(options: argparse.Namespace) -> int:
    open_ipam(options).disable_pool(options.name)
    return _print_done(options, "disabled")


def _enable(options: argparse.Namespace) -> int:
    open_ipam(options).enable_pool(options.name)
    return _print_done(options, "enabled")


def _print_done(options: argparse.Namespace, done: str) -> int:
    if options.json:
        print_json({"pool": options.name, "disabled": done == "disabled"})
    else:
        print(f"{done} pool {options.name}")
    return 0


def _delete(options: argparse.Namespace) -> int:
    deletion = open_ipam(options).delete_pool(options.name)
    if options.json:
        print_json(
            {
                "pool": options.name,
                "deleted": prefixes_json(deletion.deleted),
                "orphaned": prefixes_json(deletion.orphaned),
                "remaining": remaining_json(deletion.remaining),
            }
        )
        return 0
    print(f"deleted pool {options.name} and {len(deletion.deleted)} empty blocks")
    print_remaining(deletion.remaining)
    return 0
