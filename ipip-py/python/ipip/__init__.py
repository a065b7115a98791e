"""The pod network that Calico builds in IPIP mode.

==================  ==============================================================================
packets             ``encapsulate``, ``encapsulate_into``, ``decapsulate``, ``parse``, ``parse_ipv4``,
                    ``Outer``, ``checksum``, ``finish_partial_checksum``, ``ipv4_packet``,
                    ``echo_request``, ``echo_reply``, ``parse_echo``
a tunnel's ends     ``decapsulate_in_place``, ``ecn_at_exit``, ``lower_ttl``, ``update_checksum``,
                    ``fragments``, ``clamp_mss``, ``LoopPolicy``, ``Peers``
errors in between   ``parse_icmp_error``, ``parse_quoted``, ``IcmpError``; ``parse_tunnel_error``,
                    ``Relay``, ``TunnelState``
many packets        ``Encapsulator``, ``parse_batch``, ``decapsulate_batch``; ``IpipBatch``,
                    ``HeaderBatch``, ``SpanBatch``
addresses           ``Block``, ``Pool``, ``Ipam`` on a ``MemoryStore`` or ``SqliteStore``;
                    ``AllocatorConfig``, ``Reservation``, ``NodeRecord``, ``selector_matches``;
                    ``Usage``, ``Report``, ``Collector``
the kernel          ``Netns``; ``ensure_…`` and ``remove_…`` for a ``Tunnel``, a ``WorkloadEndpoint``, a
                    ``PeerRoute`` and a ``Blackhole``
captures            ``LiveCapture``, ``Reader``, ``PcapWriter``; ``Frame``, whose layers are the dataclasses of
                    :mod:`ipip.capture`; ``Filter``, ``findings``, ``Point``, ``journeys``
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
    Ends a call that waits (``LiveCapture``, ``Netns.run``, a ``Reader`` of a file object) within 100 ms.
Resources
    ``Netns``, ``LiveCapture``, ``Reader`` and ``PcapWriter`` are context managers, which close their handle
    and nothing else: what was made in the kernel stays until it is removed by name.

``ensure_…`` bring one object to be and return :class:`Changes`, which is false if there was nothing to
do; ``remove_…`` take it away again.
"""

from __future__ import annotations

from ._ipip import (
    AddressUsage,
    AllocatorConfig,
    Assignment,
    Assignments,
    Blackhole,
    Block,
    BlockUsage,
    Borrowed,
    Changes,
    Claimed,
    Collected,
    Collector,
    Decapsulated,
    Echo,
    EcnAlarm,
    EcnExit,
    Encapsulator,
    Filter,
    FragmentKey,
    FragmentPart,
    Frame,
    Guard,
    GuardPool,
    HeaderBatch,
    IcmpError,
    IcmpErrorView,
    Imported,
    Ipam,
    IpipBatch,
    IpipPacket,
    Ipv4Header,
    LiveCapture,
    LoopPolicy,
    MemoryStore,
    Netns,
    NodeRecord,
    NodeRemoval,
    Outer,
    PcapWriter,
    PeerRoute,
    Peers,
    Pool,
    PoolDeletion,
    PoolUsage,
    Problem,
    Quoted,
    Reader,
    Relay,
    Release,
    Released,
    ReleasedMany,
    Repaired,
    Report,
    Reservation,
    SpanBatch,
    SqliteStore,
    Store,
    Tunnel,
    TunnelError,
    TunnelState,
    Usage,
    WorkloadEndpoint,
    __version__,
    checksum,
    clamp_mss,
    decapsulate,
    decapsulate_batch,
    decapsulate_in_place,
    echo_reply,
    echo_request,
    ecn_at_exit,
    encapsulate,
    encapsulate_into,
    ensure_blackhole,
    ensure_guard,
    ensure_peer_route,
    ensure_tunnel,
    ensure_workload,
    features,
    findings,
    finish_partial_checksum,
    fragments,
    host_veth_name,
    ipv4_packet,
    journeys,
    lower_ttl,
    parse,
    parse_batch,
    parse_echo,
    parse_icmp_error,
    parse_ipv4,
    parse_quoted,
    parse_tunnel_error,
    remove_blackhole,
    remove_guard,
    remove_peer_route,
    remove_tunnel,
    remove_workload,
    selector_matches,
    update_checksum,
)
from .capture import Point
from .errors import (
    AlreadyExists,
    Busy,
    CommitUnknown,
    Compacted,
    Damaged,
    DamagedCapture,
    Error,
    Exhausted,
    InTheWay,
    InvalidArgument,
    KernelError,
    NoDriver,
    NoGuard,
    NoPrivilege,
    NoSuchObject,
    NotFound,
    PacketError,
    PartWritten,
    StoreError,
    Taken,
)

__all__ = [
    "AddressUsage",
    "AllocatorConfig",
    "AlreadyExists",
    "Assignment",
    "Assignments",
    "Blackhole",
    "Block",
    "BlockUsage",
    "Borrowed",
    "Busy",
    "Changes",
    "Claimed",
    "Collected",
    "Collector",
    "CommitUnknown",
    "Compacted",
    "Damaged",
    "DamagedCapture",
    "Decapsulated",
    "Echo",
    "EcnAlarm",
    "EcnExit",
    "Encapsulator",
    "Error",
    "Exhausted",
    "Filter",
    "FragmentKey",
    "FragmentPart",
    "Frame",
    "Guard",
    "GuardPool",
    "HeaderBatch",
    "IcmpError",
    "IcmpErrorView",
    "Imported",
    "InTheWay",
    "InvalidArgument",
    "Ipam",
    "IpipBatch",
    "IpipPacket",
    "Ipv4Header",
    "KernelError",
    "LiveCapture",
    "LoopPolicy",
    "MemoryStore",
    "Netns",
    "NoDriver",
    "NoGuard",
    "NoPrivilege",
    "NoSuchObject",
    "NodeRecord",
    "NodeRemoval",
    "NotFound",
    "Outer",
    "PacketError",
    "PartWritten",
    "PcapWriter",
    "PeerRoute",
    "Peers",
    "Point",
    "Pool",
    "PoolDeletion",
    "PoolUsage",
    "Problem",
    "Quoted",
    "Reader",
    "Relay",
    "Release",
    "Released",
    "ReleasedMany",
    "Repaired",
    "Report",
    "Reservation",
    "SpanBatch",
    "SqliteStore",
    "Store",
    "StoreError",
    "Taken",
    "Tunnel",
    "TunnelError",
    "TunnelState",
    "Usage",
    "WorkloadEndpoint",
    "__version__",
    "checksum",
    "clamp_mss",
    "decapsulate",
    "decapsulate_batch",
    "decapsulate_in_place",
    "echo_reply",
    "echo_request",
    "ecn_at_exit",
    "encapsulate",
    "encapsulate_into",
    "ensure_blackhole",
    "ensure_guard",
    "ensure_peer_route",
    "ensure_tunnel",
    "ensure_workload",
    "features",
    "findings",
    "finish_partial_checksum",
    "fragments",
    "host_veth_name",
    "ipv4_packet",
    "journeys",
    "lower_ttl",
    "parse",
    "parse_batch",
    "parse_echo",
    "parse_icmp_error",
    "parse_ipv4",
    "parse_quoted",
    "parse_tunnel_error",
    "remove_blackhole",
    "remove_guard",
    "remove_peer_route",
    "remove_tunnel",
    "remove_workload",
    "selector_matches",
    "update_checksum",
]
