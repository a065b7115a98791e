"""What ipip raises: one tree under :class:`Error`, with the built-in exceptions that fit.

=========================  ==============================  ==============================================
exception                  is also                         means
=========================  ==============================  ==============================================
``Error``                  ``Exception``                   anything below
``InvalidArgument``        ``ValueError``                  a value that no call of this kind takes
``PacketError``            ``ValueError``                  octets that are not the packet they should be
``NotFound``               ``LookupError``                 what was named does not exist
``Exhausted``                                              no address or block is left
``Taken``                                                  what was named belongs to somebody else
``InTheWay``               ``Taken``                       kernel objects of others stand where ours should
``Busy``                                                   others were faster each time: try later
``StoreError``                                             the datastore failed
``Damaged``                ``StoreError``                  a record cannot be read: a person must look
``KernelError``            ``OSError``                     the kernel refused; has ``errno``
``NoPrivilege``            ``PermissionError``             … for want of a privilege
``NoSuchObject``           ``FileNotFoundError``,          … because a namespace, file or interface is not
                           ``NotFound``                    there
``AlreadyExists``          ``FileExistsError``             … because the name is taken
``NoDriver``               ``KernelError``                 … because it has no ipip driver
=========================  ==============================  ==============================================

A wrong type is Python's own :class:`TypeError`. Every message names the object, what was found and
what is allowed.
"""

from __future__ import annotations

import errno as _errno
import os as _os

__all__ = [
    "AlreadyExists",
    "Busy",
    "Damaged",
    "Error",
    "Exhausted",
    "InTheWay",
    "InvalidArgument",
    "KernelError",
    "NoDriver",
    "NoPrivilege",
    "NoSuchObject",
    "NotFound",
    "PacketError",
    "StoreError",
    "Taken",
]


class Error(Exception):
    """The root of everything that ipip raises on its own account."""


class InvalidArgument(Error, ValueError):
    """A value that no call of this kind takes, or a call on something that was closed."""


class PacketError(Error, ValueError):
    """Octets are not the packet that they should be, or a packet cannot be written.

    ``kind`` is the fault, ``status`` its number, which batches state for each packet; which of the other
    numbers are set depends on it, the rest are ``None``:

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
    ==================  =============================================================
    """

    kind: str = ""
    #: 200 ``Truncated``, 201 ``Version`` … in the order of the table; the same in every version and in C.
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
    """Others changed the same records faster, each time: try later."""


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
