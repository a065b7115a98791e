"""What the commands on a store share: where the store is, how they answer, and what their exit status means."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from . import Error, Ipam, MemoryStore, Released, SqliteStore, Store

#: Runs a command and gives its exit status.
Command: TypeAlias = Callable[[argparse.Namespace], int]

EPILOG = """\
The store is the SQLite file of --store, or else of the environment variable IPIP_STORE.

exit status: 0 if it was done; 1 if it was refused, failed, left something undone, or a check found problems;
2 for wrong arguments. --json prints one JSON document."""


class Failed(Exception):
    """What a command cannot do; printed, and the exit status is 1."""


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    """The parser of ``python -m ipip NAME``."""
    return argparse.ArgumentParser(
        prog=f"python -m ipip {name}",
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_command(commands: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    """One more command with the options that all of them have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    default = os.environ.get("IPIP_STORE") or None
    parser.add_argument("--store", metavar="PATH", default=default, help="the store's file; default: $IPIP_STORE")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, parser=parser)
    return parser


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the command that ``arguments`` name; the exit status."""
    options = parser.parse_args(arguments)
    if options.store is None:
        options.parser.error("no store: give --store PATH, or set IPIP_STORE")
    command: Command = options.run
    try:
        status = command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # `… | head` is no failure; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Error, Failed, OSError) as error:
        print(f"{options.parser.prog}: {error}", file=sys.stderr)
        return 1


def open_store(options: argparse.Namespace, *, create: bool = False, dry_run: bool = False) -> Store:
    """The store; a file that is not there is made only by ``create``, and a dry run takes it for an empty one."""
    if dry_run and not os.path.exists(options.store):
        return MemoryStore()
    return SqliteStore(options.store, create=create and not dry_run)


def open_ipam(options: argparse.Namespace, *, create: bool = False) -> Ipam:
    """The allocator on the store."""
    return Ipam(open_store(options, create=create))


def print_json(value: object) -> None:
    """Prints one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints columns, as ``calicoctl get`` does."""
    table = [names, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def released_json(released: Iterable[Released]) -> list[dict[str, str | None]]:
    """Addresses that were released."""
    return [{"address": str(one.address), "handle": one.handle_id} for one in released]


def prefixes_json(prefixes: Iterable[object]) -> list[str]:
    """Prefixes or addresses as text."""
    return [str(prefix) for prefix in prefixes]


def remaining_json(remaining: Iterable[tuple[object, str | None]]) -> list[dict[str, str | None]]:
    """Addresses that somebody may be using."""
    return [{"address": str(address), "handle": handle} for address, handle in remaining]


def refused_json(refused: Iterable[tuple[object, str]]) -> list[dict[str, str]]:
    """Blocks of which nothing was released."""
    return [{"block": str(block), "reason": reason} for block, reason in refused]


def print_remaining(remaining: Iterable[tuple[object, str | None]]) -> None:
    """A line for each address that somebody may be using."""
    for address, handle in remaining:
        print(f"still assigned: {address}, handle {handle or '<none>'}")
