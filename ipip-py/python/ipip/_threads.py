"""Waiting for another thread where Ctrl-C can end the wait."""

from __future__ import annotations

import threading
from typing import Callable, TypeVar

_T = TypeVar("_T")


def call_on_thread(function: Callable[[], _T]) -> _T:
    """Calls ``function`` on a thread of its own and waits for what it returns or raises."""
    returned: list[_T] = []
    raised: list[BaseException] = []

    def body() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # it is the caller's, whatever it is
            raised.append(error)

    thread = threading.Thread(target=body, name="ipip")
    thread.start()
    thread.join()
    if raised:
        try:
            raise raised.pop()
        finally:
            del returned, raised  # no cycle of exception, traceback and frame
    return returned.pop()
