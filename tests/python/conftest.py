"""Fixtures: fresh namespaces, gone after each test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import ipip

# A shell ignores SIGINT for what it runs in the background, and the tests interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _fresh() -> ipip.Netns:
    try:
        return ipip.Netns.create_unnamed()
    except ipip.NoPrivilege:
        pytest.skip("network namespaces need CAP_SYS_ADMIN: run as root, or under `unshare -Ur`")


@pytest.fixture
def node() -> Iterator[ipip.Netns]:
    """A node's namespace, empty but for a loopback that is down."""
    with _fresh() as netns:
        yield netns


@pytest.fixture
def pod() -> Iterator[ipip.Netns]:
    """A workload's namespace, as empty."""
    with _fresh() as netns:
        yield netns
