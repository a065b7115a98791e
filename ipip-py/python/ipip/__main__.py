"""``python -m ipip``: which ipip this is."""

from __future__ import annotations

import argparse
import platform

from . import __version__, features


def main(arguments: list[str] | None = None) -> int:
    """Prints version and features; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ipip", description="The pod network that Calico builds in IPIP mode.")
    parser.add_argument("--version", action="version", version=f"ipip {__version__}")
    parser.parse_args(arguments)
    print(f"ipip {__version__}")
    print(f"features: {', '.join(sorted(features())) or 'none'}")
    print(f"python {platform.python_version()}, kernel {platform.release()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
