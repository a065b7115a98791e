"""``python -m ipip reservation``: the addresses that nobody is assigned unasked."""

from __future__ import annotations

import argparse
import json
import sys

from . import Reservation
from ._store_command import add_command, open_ipam, parser_of, prefixes_json, print_json, print_table, run


def main(arguments: list[str]) -> int:
    """Runs ``python -m ipip reservation``; the exit status."""
    parser = parser_of("reservation", "Addresses set aside: nobody who asks for any gets one of them.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_command(commands, "list", _list, "list the reservations")
    create = add_command(commands, "create", _create, "set addresses aside; those that are assigned stay so")
    create.add_argument("name", metavar="NAME", help="its name")
    create.add_argument("cidrs", metavar="CIDR", nargs="+", help="prefixes, such as 10.244.0.0/28, or addresses")
    delete = add_command(commands, "delete", _delete, "let the addresses of a reservation be assigned again")
    delete.add_argument("name", metavar="NAME", help="the reservation")
    return run(parser, arguments)


def _list(options: argparse.Namespace) -> int:
    reservations = open_ipam(options).reservations()
    if options.json:
        print_json([json.loads(reservation.to_json()) for reservation in reservations])
        return 0
    print_table(["NAME", "CIDRS"], [[one.name, ",".join(prefixes_json(one.cidrs)) or "-"] for one in reservations])
    for reservation in reservations:
        for entry in reservation.malformed:
            print(f"reservation {reservation.name}: {entry!r} is no prefix, and reserves nothing", file=sys.stderr)
    return 0


def _create(options: argparse.Namespace) -> int:
    reservation = Reservation(options.name, [cidr if "/" in cidr else f"{cidr}/32" for cidr in options.cidrs])
    ipam = open_ipam(options, create=True)
    ipam.create_reservation(reservation)
    if options.json:
        print_json(json.loads(reservation.to_json()))
        return 0
    print(f"created reservation {reservation.name} {','.join(prefixes_json(reservation.cidrs))}")
    return 0


def _delete(options: argparse.Namespace) -> int:
    open_ipam(options).delete_reservation(options.name)
    if options.json:
        print_json({"reservation": options.name})
    else:
        print(f"deleted reservation {options.name}")
    return 0
