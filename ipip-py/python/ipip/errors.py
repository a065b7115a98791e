"""What ipip raises: one tree under :class:`Error`, with the built-in exceptions that fit.

=========================  ==============================  ==============================================
exception                  is also                         means
=========================  ==============================  ==============================================
``Error``                  ``Exception``                   anything below
``InvalidArgument``        ``ValueError``                  a value that no call of this kind takes
``PacketError``            ``ValueError``                  octets that are not the packet they should be, or
                                                           a packet that a tunnel must not carry or accept
``DamagedCapture``         ``ValueError``                  a capture file that cannot be read further
``NotFound``               ``LookupError``                 what was named does not exist
``Exhausted``                                              no address or block is left
``Taken``                                                  what was named belongs to somebody else
``InTheWay``               ``Taken``                       kernel objects of others stand where ours should
``Busy``                                                   others were faster each time: try later; or a
                                                           node's progress callback called the node
``StoreError``                                             the datastore failed
``Damaged``                ``StoreError``                  a record cannot be read: a person must look
``NoGuard``                                                nf_tables, or the program nft, is missing
``KernelError``            ``OSError``                     the kernel refused; has ``errno``
``NoPrivilege``            ``PermissionError``             … for want of a privilege
``NoSuchObject``           ``FileNotFoundError``,          … because a namespace, file or interface is not
                           ``NotFound``                    there
``AlreadyExists``          ``FileExistsError``             … because the name is taken
``NoDriver``               ``KernelError``                 … because it has no ipip driver
``PartWritten``            ``KernelError``                 … to take more than a part of a frame
=========================  ==============================  ==============================================

A wrong type is Python's own :class:`TypeError`. Every message names the object, what was found and
what is allowed.
"""

from __future__ import annotations

import errno as _errno
import os as _os
from ipaddress import IPv4Address as _IPv4Address

__all__ = [
    "AlreadyExists",
    "Busy",
    "Damaged",
    "DamagedCapture",
    "Error",
    "Exhausted",
    "InTheWay",
    "InvalidArgument",
    "KernelError",
    "NoDriver",
    "NoGuard",
    "NoPrivilege",
    "NoSuchObject",
    "NotFound",
    "PacketError",
    "PartWritten",
    "StoreError",
    "Taken",
]


class Error(Exception):
    """The root of everything that ipip raises on its own account."""


class InvalidArgument(Error, ValueError):
    """A value that no call of this kind takes, or a call on something that was closed."""


class PacketError(Error, ValueError):
    """Octets are not the packet that they should be, or a packet cannot be written, carried or accepted.

    ``kind`` is the fault, ``status`` its number, which batches state for each packet; which of the others
    are set depends on it, the rest are ``None``:

    ==================  =============================================================
    ``Truncated``       ``layer``, ``needed``, ``found``: octets
    ``Version``         ``layer``, ``found``
    ``HeaderLen``       ``layer``, ``words``: words of 4 octets
    ``TotalLen``        ``layer``, ``found``, ``header_len``: octets
    ``Checksum``        ``layer``, ``found``, ``computed``
    ``Protocol``        ``found``
    ``OuterFragment``   ``offset``: octets; ``more_fragments``
    ``TtlZero``
    ``Headroom``        ``needed``, ``found``: octets
    ``Buffer``          ``needed``, ``found``: octets
    ``PacketTooLong``   ``found``, ``max``: octets
    ``IcmpType``        ``found``, ``code``
    ``TtlExpired``      ``found``
    ``EcnDrop``         by ``decapsulate_in_place``: congestion that only a drop tells
    ``IcmpNotError``    ``found``
    ``DontFragment``    by ``fragments``: ``found``, ``mtu``: octets
    ``FragmentEnd``     ``found``: octets
    ``Options``         ``at``: octets
    ``SameEndpoints``   by ``LoopPolicy``: ``address``
    ``OwnSource``       ``address``
    ``ExitSource``      ``address``
    ``ExitDestination`` ``address``
    ``TunnelDepth``     ``max``: tunnels
    ``Quoted``          by ``parse_tunnel_error``
    ``QuotedProtocol``  ``found``
    ``QuotedEndpoints`` ``source``, ``destination``
    ``QuotedFragment``  ``offset``: octets
    ``UnknownNode``     by ``Peers``: ``outer_source``
    ``ForeignSource``   ``outer_source``, ``inner_source``
    ``NoHost``          ``outer_source``, ``inner_source``
    ==================  =============================================================
    """

    kind: str = ""
    #: 200 ``Truncated``, 201 ``Version`` …; the same in every version and in C, whose header has the list.
    status: int = 0
    #: ``"outer"``, ``"inner"`` or ``"icmp"``.
    layer: str | None = None
    needed: int | None = None
    found: int | None = None
    words: int | None = None
    header_len: int | None = None
    computed: int | None = None
    offset: int | None = None
    more_fragments: bool | None = None
    max: int | None = None
    code: int | None = None
    mtu: int | None = None
    at: int | None = None
    address: _IPv4Address | None = None
    source: _IPv4Address | None = None
    destination: _IPv4Address | None = None
    outer_source: _IPv4Address | None = None
    inner_source: _IPv4Address | None = None


class DamagedCapture(Error, ValueError):
    """A capture file is damaged or cut off; the frames before were whole."""

    #: Octets of the file before the record that cannot be read.
    offset: int = 0


class NotFound(Error, LookupError):
    """What was named does not exist: an address nobody has, a pool, an interface."""


class Exhausted(Error):
    """No address, or no block, is left."""


class Taken(Error):
    """What was named belongs to somebody: an address, a block, a pool's name or range.

    Releasing an address that was assigned again in between is refused with it too.
    """


class InTheWay(Taken):
    """Kernel objects of somebody else are where ours should be. Nothing was changed."""

    #: One sentence for each object.
    conflicts: tuple[str, ...] = ()


class Busy(Error):
    """Others changed the same records faster, each time: try later. Or a node is at work, and its callback for progress called it."""


class StoreError(Error):
    """The datastore failed."""


class Damaged(StoreError):
    """The datastore holds a record that cannot be read: a person must look."""


class Compacted(StoreError):
    """The datastore no longer knows every change after the revision: list again."""


class CommitUnknown(StoreError):
    """The datastore did not confirm a commit, which may have taken effect: look before you repeat it."""


class KernelError(Error, OSError):
    """The kernel refused. ``errno`` and ``strerror`` are the kernel's, ``str()`` names the object."""

    #: The whole message.
    message: str = ""

    def __str__(self) -> str:
        return self.message or super().__str__()


class NoPrivilege(KernelError, PermissionError):
    """The kernel refused for want of a privilege (``EPERM``, ``EACCES``)."""


class NoSuchObject(KernelError, FileNotFoundError, NotFound):
    """A namespace, file or interface is not there (``ENOENT``, ``ENODEV``, ``ENXIO``)."""


class AlreadyExists(KernelError, FileExistsError):
    """The name is taken (``EEXIST``)."""


class NoDriver(KernelError):
    """The kernel has no ipip driver, so it cannot make the tunnel device."""


class NoGuard(Error):
    """A guard cannot be had: there is no program ``nft``, or it or the kernel lacks what the guard needs."""


class PartWritten(KernelError):
    """Writing a frame to a capture file failed in its middle.

    The next call writes the rest before anything else, so the frame must not be given again.
    """

    #: Octets of its record that are still to be written.
    left: int = 0


_BY_ERRNO: dict[int, type[KernelError]] = {
    _errno.EPERM: NoPrivilege,
    _errno.EACCES: NoPrivilege,
    _errno.ENOENT: NoSuchObject,
    _errno.ENODEV: NoSuchObject,
    _errno.ENXIO: NoSuchObject,
    _errno.EEXIST: AlreadyExists,
}


def _kernel_error(
    number: int | None, message: str, kind: type[KernelError] | None = None
) -> KernelError:
    """The exception for what the kernel said; ``kind`` overrides the choice by number."""
    if number is None:
        error = (kind or KernelError)(message)
    else:
        kind = kind or _BY_ERRNO.get(number, KernelError)
        error = kind(number, _os.strerror(number))
    error.message = message
    return error
