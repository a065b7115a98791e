"""The pod network that Calico builds in IPIP mode.

==================  ==============================================================================
packets             ``encapsulate``, ``encapsulate_into``, ``decapsulate``, ``parse``, ``parse_ipv4``,
                    ``Outer``, ``checksum``, ``finish_partial_checksum``, ``ipv4_packet``,
                    ``echo_request``, ``echo_reply``, ``parse_echo``
many packets        ``Encapsulator``, ``parse_batch``, ``decapsulate_batch``; ``IpipBatch``,
                    ``HeaderBatch``, ``SpanBatch``
addresses           ``Block``, ``Pool``, ``Ipam`` on a ``MemoryStore``; ``AllocatorConfig``,
                    ``Reservation``, ``NodeRecord``
the kernel          ``Netns``; ``ensure_…`` and ``remove_…`` for a ``Tunnel``, a ``WorkloadEndpoint``, a
                    ``PeerRoute`` and a ``Blackhole``
live capture        ``LiveCapture``, ``Frame``
==================  ==============================================================================

Conventions:

Values
    Addresses and prefixes come out as :mod:`ipaddress` objects; such objects or their text go in.
    Packets go in as any contiguous buffer (bytes, bytearray, memoryview, array, NumPy). Lengths are
    in octets, times in seconds. Objects are frozen; values compare and hash by what they hold.
Batches
    One buffer and where the packets lie in it go in; columns come out, one number a packet, as
    memoryviews that :func:`numpy.asarray` takes without a copy. NumPy is not needed. Each packet has a
    status of its own, so one bad packet spoils no other::

        batch = ipip.parse_batch(buffer, [(0, 84), (84, 84)])
        sources = numpy.asarray(batch.inner.source)[numpy.asarray(batch.status) == 0]
Errors
    Everything raised on purpose is an :class:`ipip.Error`, most of them also what Python people expect:
    ``OSError`` with its ``errno`` from the kernel, ``ValueError``, ``LookupError``; the tree is in
    :mod:`ipip.errors`. A wrong type is ``TypeError``, naming the argument. A call that fails has
    changed nothing.
Logging
    Everything goes to the logger ``ipip``, each part of the library to a child such as
    ``ipip.node.ensure``: each change as its shell line at DEBUG, what a person should know at
    WARNING. Set the level on ``ipip`` itself; it is read when a call begins. While it is not
    enabled, logging costs nothing.
Threads
    Any object may be used from any thread. The GIL is not held during system calls. One interpreter
    of a process may import the module; a second one gets ``ImportError``.
Ctrl-C
    Ends a call that waits (``LiveCapture``, ``Netns.run``) within 100 ms.
Resources
    ``Netns`` and ``LiveCapture`` are context managers, which close their handle and nothing else:
    what was made in the kernel stays until it is removed by name.

``ensure_…`` bring one object to be and return :class:`Changes`, which is false if there was nothing to
do; ``remove_…`` take it away again.
"""

from __future__ import annotations

from ._ipip import (
    AllocatorConfig,
    Assignment,
    Blackhole,
    Block,
    Changes,
    Claimed,
    Echo,
    Encapsulator,
    Frame,
    HeaderBatch,
    Ipam,
    IpipBatch,
    IpipPacket,
    Ipv4Header,
    LiveCapture,
    MemoryStore,
    Netns,
    NodeRecord,
    Outer,
    PeerRoute,
    Pool,
    Released,
    Reservation,
    SpanBatch,
    Tunnel,
    WorkloadEndpoint,
    __version__,
    checksum,
    decapsulate,
    decapsulate_batch,
    echo_reply,
    echo_request,
    encapsulate,
    encapsulate_into,
    ensure_blackhole,
    ensure_peer_route,
    ensure_tunnel,
    ensure_workload,
    features,
    finish_partial_checksum,
    host_veth_name,
    ipv4_packet,
    parse,
    parse_batch,
    parse_echo,
    parse_ipv4,
    remove_blackhole,
    remove_peer_route,
    remove_tunnel,
    remove_workload,
)
from .errors import (
    AlreadyExists,
    Busy,
    Damaged,
    Error,
    Exhausted,
    InTheWay,
    InvalidArgument,
    KernelError,
    NoDriver,
    NoPrivilege,
    NoSuchObject,
    NotFound,
    PacketError,
    StoreError,
    Taken,
)

__all__ = [
    "AllocatorConfig",
    "AlreadyExists",
    "Assignment",
    "Blackhole",
    "Block",
    "Busy",
    "Changes",
    "Claimed",
    "Damaged",
    "Echo",
    "Encapsulator",
    "Error",
    "Exhausted",
    "Frame",
    "HeaderBatch",
    "InTheWay",
    "InvalidArgument",
    "Ipam",
    "IpipBatch",
    "IpipPacket",
    "Ipv4Header",
    "KernelError",
    "LiveCapture",
    "MemoryStore",
    "Netns",
    "NoDriver",
    "NoPrivilege",
    "NoSuchObject",
    "NodeRecord",
    "NotFound",
    "Outer",
    "PacketError",
    "PeerRoute",
    "Pool",
    "Released",
    "Reservation",
    "SpanBatch",
    "StoreError",
    "Taken",
    "Tunnel",
    "WorkloadEndpoint",
    "__version__",
    "checksum",
    "decapsulate",
    "decapsulate_batch",
    "echo_reply",
    "echo_request",
    "encapsulate",
    "encapsulate_into",
    "ensure_blackhole",
    "ensure_peer_route",
    "ensure_tunnel",
    "ensure_workload",
    "features",
    "finish_partial_checksum",
    "host_veth_name",
    "ipv4_packet",
    "parse",
    "parse_batch",
    "parse_echo",
    "parse_ipv4",
    "remove_blackhole",
    "remove_peer_route",
    "remove_tunnel",
    "remove_workload",
]
