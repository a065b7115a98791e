"""``python -m ipip``: which ipip this is, and commands.

``capture`` shows what captures hold; ``pool``, ``reservation``, ``node`` and ``ipam`` work on a store."""

from __future__ import annotations

import argparse
import platform
import sys

from . import __version__, _capture_command, _ipam_command, _node_command, _pool_command, _reservation_command, features

_COMMANDS = {
    "capture": _capture_command.main,
    "ipam": _ipam_command.main,
    "node": _node_command.main,
    "pool": _pool_command.main,
    "reservation": _reservation_command.main,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command named first, or prints version and features; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m ipip",
        description="The pod network that Calico builds in IPIP mode.",
        epilog="Commands, each with --help: capture (capture files); pool, reservation, ipam (addresses in a store); "
        "node (this host on the pod network).",
    )
    parser.add_argument("--version", action="version", version=f"ipip {__version__}")
    parser.parse_args(arguments)
    print(f"ipip {__version__}")
    print(f"features: {', '.join(sorted(features())) or 'none'}")
    print(f"python {platform.python_version()}, kernel {platform.release()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
