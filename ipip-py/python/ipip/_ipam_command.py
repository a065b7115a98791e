"""``python -m ipip ipam``: what is in use, what is wrong, and what is to be released."""

from __future__ import annotations

import argparse
import json
import sys
from time import sleep
from typing import Any

from . import AllocatorConfig, Error, Ipam, Release, Released, ReleasedMany
from ._store_command import (
    Failed,
    add_command,
    open_ipam,
    open_store,
    parser_of,
    prefixes_json,
    print_json,
    print_remaining,
    refused_json,
    released_json,
    remaining_json,
    run,
)


def main(arguments: list[str]) -> int:
    """Runs ``python -m ipip ipam``; the exit status."""
    parser = parser_of("ipam", "Who has which address.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_show(commands)
    _add_check(commands)
    _add_release(commands)
    _add_configure(commands)
    _add_transfer(commands)
    return run(parser, arguments)


def _add_show(commands: Any) -> None:
    show = add_command(commands, "show", _show, "show how much of each pool is in use")
    show.add_argument("--show-blocks", action="store_true", help="the blocks below their pools")
    show.add_argument("--show-borrowed", action="store_true", help="addresses on another node than their block's")
    show.add_argument("--show-configuration", action="store_true", help="the configuration")
    show.add_argument("--ip", metavar="ADDRESS", help="who has this address")


def _show(options: argparse.Namespace) -> int:
    ipam = open_ipam(options)
    if options.ip is not None:
        address = ipam.address_usage(options.ip)
        print(address.to_json() if options.json else str(address), end="\n" if options.json else "")
        return 0
    usage = ipam.usage()
    if options.json:
        print(usage.to_json())
    else:
        others = options.show_borrowed or options.show_configuration
        if options.show_blocks or not others:
            print(usage.table(blocks=options.show_blocks), end="")
        if options.show_borrowed:
            print(usage.borrowed_table(), end="")
        if options.show_configuration:
            print(usage.configuration_table(), end="")
    for key in usage.unreadable:
        print(f"damaged and not counted: {key}", file=sys.stderr)
    return 1 if usage.unreadable else 0


def _add_check(commands: Any) -> None:
    check = add_command(commands, "check", _check, "check everything that is stored; exits with 1 if something is wrong")
    text = "handles that are alive, one a line, - is standard input: addresses of others are leaked"
    check.add_argument("--live", metavar="FILE", help=text)
    check.add_argument("--repair", action="store_true", help="repair what the store proves; no address is released")
    text = "with --repair: repair 90 s after the check, when what may be an assignment of Calico under way is none"
    check.add_argument("--wait", action="store_true", help=text)
    check.add_argument("-o", "--output", metavar="FILE", help="write the report here, for `ipam release --from-report`")


#: What an assignment of Calico, which writes the handle first, looks like for a moment.
_MAY_BE_UNDER_WAY = {"handleLeaked", "handleCount"}
#: Seconds, after which `Ipam.repair` takes it for damage.
_SETTLED = 90


def _check(options: argparse.Namespace) -> int:
    ipam = open_ipam(options)
    live = None if options.live is None else _lines(options.live)
    report = ipam.check(live)
    if options.output is not None:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(report.to_json() + "\n")
    if not options.repair:
        print(report.to_json() if options.json else str(report), end="\n" if options.json else "")
        return 0 if report.clean else 1
    if options.wait and any(problem.kind in _MAY_BE_UNDER_WAY for problem in report.problems):
        sleep(_SETTLED)
    repaired = ipam.repair(report)
    if options.json:
        print_json({"report": json.loads(report.to_json()), **json.loads(repaired.to_json())})
    else:
        print(str(report) + str(repaired), end="")
    return 1 if repaired.left else 0


def _lines(path: str) -> list[str]:
    if path == "-":
        return sys.stdin.read().split()
    with open(path, encoding="utf-8") as file:
        return file.read().split()


def _add_release(commands: Any) -> None:
    release = add_command(commands, "release", _release, "release addresses")
    what = release.add_mutually_exclusive_group(required=True)
    what.add_argument("--ip", metavar="ADDRESS", action="append", help="this address; may be repeated")
    what.add_argument("--handle", metavar="HANDLE", help="all addresses of a handle")
    what.add_argument("--node", metavar="NODE", help="all that a node has, its blocks and its record too: it is gone")
    text = "the leaked addresses of a report, unless they were assigned again"
    what.add_argument("--from-report", metavar="FILE", help=text)


def _release(options: argparse.Namespace) -> int:
    ipam = open_ipam(options)
    if options.node is not None:
        return _remove_node(ipam, options)
    if options.handle is not None:
        return _print_released(options, ipam.release_handle(options.handle))
    releases = [Release(ip) for ip in options.ip] if options.ip else _leaked(options.from_report)
    return _print_many(options, ipam.release_many(releases))


def _leaked(path: str) -> list[Release]:
    """What a report says is leaked, each with the handle and the sequence number that it saw."""
    try:
        with open(path, encoding="utf-8") as file:
            problems = json.load(file)["problems"]
        found = [problem for problem in problems if problem["kind"] == "leaked"]
        return [Release(one["address"], handle_id=one["handle"], sequence=one["sequence"]) for one in found]
    except (ValueError, KeyError, TypeError) as fault:
        if isinstance(fault, Error):
            raise
        raise Failed(f"{path} is no report of `ipam check`: {type(fault).__name__}: {fault}") from fault


def _print_many(options: argparse.Namespace, many: ReleasedMany) -> int:
    whole = not (many.not_assigned or many.refused)
    if options.json:
        print_json(
            {
                "released": released_json(many.released),
                "notAssigned": prefixes_json(many.not_assigned),
                "refused": refused_json(many.refused),
            }
        )
        return 0 if whole else 1
    _print_lines(many.released)
    for address in many.not_assigned:
        print(f"not assigned: {address}", file=sys.stderr)
    _print_refused(many.refused)
    return 0 if whole else 1


def _print_released(options: argparse.Namespace, released: list[Released]) -> int:
    if options.json:
        print_json({"released": released_json(released), "notAssigned": [], "refused": []})
    else:
        _print_lines(released)
    return 0


def _print_lines(released: list[Released]) -> None:
    for one in released:
        print(f"released {one.address}, handle {one.handle_id or '<none>'}")


def _print_refused(refused: list[tuple[Any, str]]) -> None:
    for block, reason in refused:
        print(f"nothing released in {block}: {reason}", file=sys.stderr)


def _remove_node(ipam: Ipam, options: argparse.Namespace) -> int:
    removal = ipam.remove_node(options.node)
    whole = not (removal.refused or removal.unreadable)
    if options.json:
        print_json(
            {
                "node": options.node,
                "hadRecord": removal.had_record,
                "released": released_json(removal.released),
                "deleted": prefixes_json(removal.deleted),
                "orphaned": prefixes_json(removal.orphaned),
                "remaining": remaining_json(removal.remaining),
                "refused": refused_json(removal.refused),
                "unreadable": removal.unreadable,
            }
        )
        return 0 if whole else 1
    _print_lines(removal.released)
    for block in removal.deleted:
        print(f"deleted block {block}")
    print_remaining(removal.remaining)
    _print_refused(removal.refused)
    for key in removal.unreadable:
        print(f"damaged, not looked into: {key}", file=sys.stderr)
    print(f"removed node {options.node}{'' if removal.had_record else ', which had no record'}")
    return 0 if whole else 1


def _add_configure(commands: Any) -> None:
    configure = add_command(commands, "configure", _configure, "change the configuration, and print it")
    add = configure.add_argument
    text = "whether a node assigns addresses of its own blocks only"
    add("--strict-affinity", "--strictaffinity", metavar="BOOL", type=_flag, help=text)
    add("--auto-allocate-blocks", metavar="BOOL", type=_flag, help="whether a node that needs a block claims one")
    text = "the most blocks of a node, with strict affinity; 0: Calico's 20"
    add("--max-blocks-per-node", "--max-blocks-per-host", metavar="NUMBER", type=int, help=text)
    text = "how long a released address is given to nobody, at most 1200"
    add("--cooldown", "--ip-cooldown-seconds", metavar="SECONDS", type=int, help=text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _configure(options: argparse.Namespace) -> int:
    fields = ["strict_affinity", "auto_allocate_blocks", "max_blocks_per_node", "cooldown"]
    given = {name: getattr(options, name) for name in fields if getattr(options, name) is not None}
    ipam = open_ipam(options)
    config: AllocatorConfig = ipam.config()
    if given:
        config = ipam.change_config(config, config.replace(**given))
    if options.json:
        print_json(json.loads(config.to_json()))
    else:
        print(ipam.usage().configuration_table(), end="")
    return 0


def _add_transfer(commands: Any) -> None:
    export = add_command(commands, "export", _export, "write every record, a line of JSON each")
    export.add_argument("file", metavar="FILE", nargs="?", default="-", help="where to; default: standard output")
    import_ = add_command(commands, "import", _import, "put what export wrote into the store, by one commit")
    import_.add_argument("file", metavar="FILE", nargs="?", default="-", help="where from; default: standard input")
    import_.add_argument("--dry-run", action="store_true", help="only tell what would change")
    import_.add_argument("--remove-others", action="store_true", help="delete the keys that no line has")


def _export(options: argparse.Namespace) -> int:
    store = open_store(options)
    if options.file == "-":
        store.export(sys.stdout.buffer)
        return 0
    with open(options.file, "wb") as file:
        records = store.export(file)
    if options.json:
        print_json({"records": records})
    else:
        print(f"exported {records} records")
    return 0


def _import(options: argparse.Namespace) -> int:
    store = open_store(options, create=True, dry_run=options.dry_run)
    wanted = {"dry_run": options.dry_run, "remove_others": options.remove_others}
    if options.file == "-":
        imported = store.import_(sys.stdin.buffer, **wanted)
    else:
        with open(options.file, "rb") as file:
            imported = store.import_(file, **wanted)
    changes = {"added": imported.added, "replaced": imported.replaced, "removed": imported.removed}
    if options.json:
        print_json({"dryRun": options.dry_run, **changes, "unchanged": imported.unchanged})
        return 0
    would = "would be " if options.dry_run else ""
    for what, keys in changes.items():
        for key in keys:
            print(f"{would}{what}: {key}")
    print(f"unchanged: {imported.unchanged} records")
    return 0
