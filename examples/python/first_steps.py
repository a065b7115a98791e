"""Packets, addresses and, as root, one wired workload: `python examples/python/first_steps.py`."""

from __future__ import annotations

import ipip


def main() -> None:
    """One node's side of the reference picture."""
    # An address for the pod, from a block that the node claims.
    ipam = ipip.Ipam(ipip.MemoryStore())
    ipam.create_pool(ipip.Pool("pods", "10.244.0.0/16", ipip_mode="Always"))
    block = ipam.claim("node-a", "10.244.79.0/26").block
    pod = ipam.assign("node-a", "10.244.79.20", handle_id="default.pod-a", attributes={"pod": "pod-a"})
    print(f"{pod.address} from block {block}, {ipam.blocks_of('node-a')[0].free_count} left")

    # A packet of the pod, as it travels between the nodes.
    message = ipip.echo_request(identifier=7, sequence=1, data=b"hello")
    packet = ipip.ipv4_packet(message, source=pod.address, destination="10.244.244.73", protocol=1)
    encapsulated = ipip.encapsulate(packet, ipip.Outer(local="172.18.0.3", remote="172.18.0.2"))
    headers = ipip.parse(encapsulated)
    print(f"{headers.outer.source} > {headers.outer.destination}: {headers.inner.source} > {headers.inner.destination}")
    assert ipip.decapsulate(encapsulated) == packet

    # The pod's interface, in namespaces that end with this program.
    try:
        with ipip.Netns.create_unnamed() as node, ipip.Netns.create_unnamed() as inside:
            endpoint = ipip.WorkloadEndpoint(namespace="default", pod="pod-a", address=pod.address, mtu=1480)
            print(ipip.ensure_workload(node, inside, endpoint))
            print(f"a second call: {len(ipip.ensure_workload(node, inside, endpoint))} changes")
    except ipip.NoPrivilege as error:
        print(f"not wired: {error}")


if __name__ == "__main__":
    main()
