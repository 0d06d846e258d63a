"""Idle connections, last in first out, and the attempts in flight; a forked child starts with neither.

Nothing here takes a lock: a signal handler may raise between any two instructions, and a fork copies locks as they are.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import h11

from .._calls import MAX_IN_FLIGHT

_MAX_HEAD_BYTES: Final = 100 * 1024


class Connection:
    """One connection, which at most one attempt uses at a time.

    Attributes:
        dead: it must not be used again.
        idle_since: ``time.monotonic()`` of its release.
        parser: its state of HTTP/1.1.
        sock: its socket, which never blocks.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.dead = False
        self.idle_since = 0.0
        self.parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self.sock = sock
        _connections.add(self)

    def close(self) -> None:
        """Close it at once, whatever is not written yet."""
        raise NotImplementedError

    def forget(self) -> None:
        """Let it lead nowhere, in a forked child.

        Two processes on one connection read each other's responses. Closing the socket object would take the parent's
        descriptor out of the epoll instance that an event loop shares with its copy.
        """
        self.dead = True
        descriptor = self.sock.fileno()
        if descriptor >= 0:
            # Closed first: a process at its limit of file descriptors could open nothing.
            os.close(descriptor)
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor, inheritable=False)
                os.close(null)


C = TypeVar("C", bound=Connection)


class ConnectionPool(Generic[C]):
    """The connections of one client (of one event loop of it).

    Attributes:
        closed: nothing is kept any more.
        in_flight: the attempts that have a slot; whoever leaves discards itself.
    """

    def __init__(self, keepalive: float) -> None:
        self.closed = False
        self.in_flight: set[object] = set()
        self._idle: list[C] = []
        self._keepalive = keepalive
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
        """Keep a connection for another attempt."""
        connection.idle_since = now = time.monotonic()
        # The oldest idle connections are no longer needed. Another thread may be here too, so the list may be empty.
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
        """Start again, in a forked child."""
        self._idle = []
        self.in_flight = set()


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
_pools: weakref.WeakSet[ConnectionPool[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for connection in list(_connections):
        with suppress(OSError):
            connection.forget()
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
