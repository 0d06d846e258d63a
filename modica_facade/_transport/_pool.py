"""Idle connections, last in first out, and the attempts in flight; a forked child starts with neither.

Nothing here takes a lock: a signal handler may raise between any two instructions, and a fork copies locks as they are.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from .._calls import MAX_IN_FLIGHT


class Connection(Protocol):
    """What a pool needs of a connection.

    Attributes:
        dead: it must not be used again.
        idle_since: ``time.monotonic()`` of its release.
    """

    dead: bool
    idle_since: float

    def fileno(self) -> int:
        """The descriptor of its socket, -1 once that is closed."""
        ...

    def close(self) -> None:
        """Mark it dead and close its socket at once, whatever is not written yet."""

    def forget(self) -> None:
        """Mark it dead in a forked child, where its descriptor leads nowhere."""


C = TypeVar("C", bound=Connection)


class ConnectionPool(Generic[C]):
    """The connections of one client (of one event loop of it).

    Attributes:
        closed: nothing is kept any more.
        in_flight: the attempts that have a slot; whoever leaves discards itself.
    """

    def __init__(self, keepalive: float) -> None:
        self.closed = False
        self._keepalive = keepalive
        self._idle: list[C] = []
        self.in_flight: set[object] = set()
        _pools.add(self)

    def enter(self, attempt: object) -> bool:
        """Take a slot, if one is free."""
        self.in_flight.add(attempt)
        if len(self.in_flight) <= MAX_IN_FLIGHT:
            return True
        self.in_flight.discard(attempt)
        return False

    def acquire(self) -> C | None:
        """The connection that was used last, or None."""
        youngest = time.monotonic() - self._keepalive
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not connection.dead and connection.idle_since > youngest:
                    return connection
                connection.close()
        return None

    def release(self, connection: C) -> None:
        """Keep a connection for another request."""
        connection.idle_since = now = time.monotonic()
        # What lies at the bottom is not needed any more. Another thread may be here too: the list may be empty.
        with suppress(IndexError):
            while self._idle[0].idle_since <= now - self._keepalive:
                self._idle.pop(0).close()
        self._idle.append(connection)
        if self.closed:
            self.close()

    def close(self) -> None:
        """Close what is idle, and from now on what is released."""
        self.closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def forget(self) -> None:
        """Start anew, in a forked child."""
        self._idle = []
        self.in_flight = set()


_pools: weakref.WeakSet[ConnectionPool[Any]] = weakref.WeakSet()
_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def register(connection: Connection) -> None:
    """Count on a connection to be cut off in a forked child."""
    _connections.add(connection)


def _forget_in_child() -> None:
    # Two processes on one connection read each other's responses. Closing it here would take the parent's descriptor
    # out of the epoll instance that an event loop shares with its copy: so it leads nowhere instead.
    null = os.open(os.devnull, os.O_RDWR)
    for connection in list(_connections):
        with suppress(OSError):
            os.dup2(null, connection.fileno(), inheritable=False)
        connection.forget()
    os.close(null)
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
