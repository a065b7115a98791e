"""What ``python -m ipip node … --check`` asks: whether a call would change anything. Nothing is changed."""

from __future__ import annotations

import io
import socket

from . import Ipam, MemoryStore, Netns, Node, NodeConfig, NodeRecord, Store, Workload, WorkloadId, host_veth_name


def would_join(
    store: Store, config: NodeConfig, netns: Netns, labels: dict[str, str], underlay_address: str | None
) -> bool:
    """Whether ``Node.join`` would write the node's record, its tunnel address, or anything in the kernel."""
    record = Ipam(store).node(config.name)
    if record is None or record.address is None:
        return True
    if any(record.labels.get(key) != value for key, value in labels.items()):
        return True
    address = str(record.address.ip)
    if underlay_address not in (None, address) or not netns.run(_is_local, address):
        return True
    return _needs_tunnel_address(store, record) or bool(Node.open(store, config).plan())


def would_attach(node: Node, netns: Netns, workload: Workload) -> bool:
    """Whether ``Node.attach`` of a container that has its address would mend its wire: by its host side, and
    by whether its interface is there inside. What is set inside is not looked at."""
    host_veth = host_veth_name(workload.id.namespace, workload.id.pod)
    with Netns.open(workload.netns) as inside:
        whole = host_veth in _links(netns) and workload.interface in _links(inside)
    return not whole or _names(node, host_veth)


def would_detach(node: Node, identity: WorkloadId) -> bool:
    """Whether ``Node.detach`` of a container without an address would take a wire away: one of nobody, which
    ``sync`` would take too."""
    return _names(node, host_veth_name(identity.namespace, identity.pod))


def would_leave(store: Store, record: NodeRecord, netns: Netns, *, forget: bool) -> bool:
    """Whether ``Node.leave`` would change anything: by the store, and by the wires that are there. Routes
    and the guard alone are not looked at."""
    if forget or record.tunnel_address is not None:
        return True
    names = _links(netns)
    return any(name.startswith("cali") for name in names)


def _needs_tunnel_address(store: Store, record: NodeRecord) -> bool:
    """Whether the allocator would give the node another tunnel address; asked of a copy."""
    lines, copy = io.BytesIO(), MemoryStore()
    store.export(lines)
    lines.seek(0)
    copy.import_(lines)
    return Ipam(copy).ensure_tunnel_address(record.name) != record.tunnel_address


def _names(node: Node, host_veth: str) -> bool:
    return any(host_veth in step for step in node.plan().steps)


def _links(netns: Netns) -> set[str]:
    return {name for _, name in netns.run(socket.if_nameindex)}


def _is_local(address: str) -> bool:
    """Whether an interface of the calling thread's namespace has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True
