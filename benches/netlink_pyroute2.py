"""`netlink_pyroute2.py COUNT INDEX`: adds COUNT routes through the device of that index, in the namespace that it is run in,
by pyroute2, and prints the seconds. Called by `benches/run netlink`."""

from __future__ import annotations

import sys
import time
from ipaddress import IPv4Address

from pyroute2 import IPRoute


def main() -> None:
    count, device = (int(word) for word in sys.argv[1:])
    with IPRoute() as socket:
        start = time.perf_counter()
        for number in range(count):
            destination = f"{IPv4Address(0x0A000000 + number * 64)}/26"
            socket.route("add", dst=destination, gateway="172.18.0.2", oif=device, proto=12, flags=["onlink"])
        print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
