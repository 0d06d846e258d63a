"""Blocking connections, a socket or an SSLSocket each, and the transport that threads share.

Sockets never block: `wait` waits, and a time-out is its value. So an exception out of a socket is the system's word on
that socket, and any other exception comes from elsewhere (a signal handler, a worker's time limit) and passes.
"""

from __future__ import annotations

import errno
import functools
import os
import queue
import select
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .._calls import Call, NoResponse, Response
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._exchange import (
    CLOSED,
    CONNECT_TIMEOUT,
    DEADLINE_PASSED,
    POOL_TIMEOUT,
    UNASKED,
    WRITE_TIMEOUT,
    Attempt,
    Exchange,
    is_io_error,
    new_parser,
    pool_exhausted,
)
from ._pool import ConnectionPool, register

if TYPE_CHECKING:
    import httpx

    from ._httpx import HttpxAttempt

READ: Final = 1
_WRITE: Final = 4
# With one of these a send proves that it took nothing.
_NOTHING_TAKEN: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError)
_TIMED_OUT: Final = errno.ETIMEDOUT
# Seconds after which a caller that waits for a slot looks for one, told or not.
_LOOK_AGAIN: Final = 0.05


def wait(sock: socket.socket, events: int, timeout: float) -> int:
    """Which of the events came within so many seconds: 0 for none. An error or a hang-up comes unasked."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock.fileno(), events)
        found = poll.poll(timeout * 1000)
        return found[0][1] if found else 0
    # Where a library such as eventlet has replaced the module.
    readable, writable, _ = select.select([sock], [sock] if events & _WRITE else [], [], timeout)
    return (READ if readable else 0) | (_WRITE if writable else 0)


def _until(sock: socket.socket, events: int, deadline: float) -> int:
    return wait(sock, events, max(0.0, deadline - time.monotonic()))


class _Connection:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.dead = False
        self.idle_since = 0.0
        self._sock = sock
        self._parser = new_parser()
        register(self)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self.dead = True
        self._sock.close()

    forget = close

    def connect(self, address: Any, deadline: float) -> None:
        """Connect before the deadline; raises OSError."""
        sock = self._sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address)
        except BlockingIOError:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if _until(sock, _WRITE, deadline) else _TIMED_OUT
            if code:
                raise OSError(code, os.strerror(code)) from None

    def start_tls(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Complete a handshake before the deadline; raises OSError."""
        self._sock = sock = context.wrap_socket(
            self._sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                events = READ
            except ssl.SSLWantWriteError:
                events = _WRITE
            if not _until(sock, events, deadline):
                raise OSError(_TIMED_OUT, os.strerror(_TIMED_OUT))

    def send_request(self, exchange: Exchange) -> bool:
        """Write the request and read the response; False: nothing was written, the connection is of no use."""
        sock = self._sock
        exchange.start(self._parser)
        ready = wait(sock, READ | _WRITE, 0.0)
        if ready & ~_WRITE and not self._is_quiet():
            return False
        ready &= _WRITE
        while exchange.unsent and not (exchange.over or exchange.head):
            if ready & _WRITE:
                self._write(exchange)
            else:
                ready = wait(sock, READ | _WRITE, exchange.remaining(WRITE_TIMEOUT))
                if ready & ~_WRITE:
                    self._read(exchange)
                elif not ready:
                    exchange.fail(f"the request could not be written within {WRITE_TIMEOUT:g} s", timed_out=True)
                continue
            ready = 0
        while not exchange.over:
            waited = wait(sock, READ, exchange.remaining(exchange.timeout))
            # What has arrived is read, however late it is.
            self._read(exchange)
            if not waited:
                exchange.fail(f"no response within {exchange.timeout:g} s", timed_out=True)
        return True

    def _is_quiet(self) -> bool:
        """There is something to read: is it a matter of TLS only (session tickets), or bytes that nobody asked for?"""
        if not isinstance(self._sock, ssl.SSLSocket):
            return False
        try:
            self._sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError as error:
            if not is_io_error(error):
                raise
        return False

    def _write(self, exchange: Exchange) -> None:
        exchange.pending = True
        try:
            taken = self._sock.send(exchange.unsent)
        except ssl.SSLWantWriteError:
            # What TLS keeps back is less than a record, and cannot be read without the rest.
            exchange.pending = False
        except OSError as error:
            if not is_io_error(error):
                raise
            # The system itself raised it, not something that interrupted us after the system had returned.
            raised_here = error.__traceback__ is None or error.__traceback__.tb_next is None
            exchange.pending = not (raised_here and error.errno in _NOTHING_TAKEN)
            # A response may be there all the same, and says more.
            self._read(exchange)
            if exchange.head is None:
                exchange.fail_with(error)
        else:
            exchange.unsent = exchange.unsent[taken:]
            exchange.pending = False

    def _read(self, exchange: Exchange) -> None:
        """Read until nothing is there or the exchange is over."""
        while not exchange.over:
            try:
                data = self._sock.recv(65536)
            except _WOULD_BLOCK:
                return
            except OSError as error:
                if not is_io_error(error):
                    raise
                exchange.fail_with(error)
            else:
                exchange.receive(data)

    @property
    def holds_plaintext(self) -> bool:
        """Has TLS decrypted something that was not read?"""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0


def _connect(exchange: Exchange) -> _Connection | None:
    """A new connection, or None: the exchange has failed."""
    endpoint = exchange.endpoint
    try:
        # How long a name server takes is not limited.
        addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        deadline = time.monotonic() + exchange.remaining(CONNECT_TIMEOUT)
        while True:
            now, share = time.monotonic(), 1 / len(addresses)
            family, kind, protocol, _, address = addresses.pop(0)
            connection = _Connection(socket.socket(family, kind, protocol))
            try:
                connection.connect(address, now + (deadline - now) * share)
                break
            except BaseException as error:
                connection.close()
                if not addresses or not isinstance(error, OSError) or not is_io_error(error):
                    raise
        if endpoint.tls is not None:
            try:
                connection.start_tls(endpoint.tls, endpoint.host, deadline)
            except BaseException:
                connection.close()
                raise
    except OSError as error:
        if not is_io_error(error):
            raise
        exchange.fail_with(error)
        return None
    return connection


class Transport:
    """Blocking attempts; safe to share between threads, and in a forked child, which starts without connections."""

    def __init__(self, endpoint: Endpoint, client: httpx.Client | None = None) -> None:
        if client is None:
            endpoint.prepare()
        else:
            from ._httpx import check_client

            check_client(client, is_async=False)
        self._endpoint = endpoint
        self._client = client
        self._pool: ConnectionPool[_Connection] = ConnectionPool(endpoint.keepalive)
        self._waiting: set[Attempt] = set()
        self._wake_ups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def send_request(self, call: Call[Any], timeout: float, deadline: float) -> Response | NoResponse:
        """Try once.

        Args:
            call: the request.
            timeout: seconds for each read.
            deadline: ``time.monotonic()`` at which the attempt must be over.

        Raises:
            ConfigurationError: the client is closed.
            BaseException: whatever interrupted the attempt (a signal handler, a hook of the caller's), with a note if
                the request may have been sent.
        """
        pool, client = self._pool, self._client
        if pool.closed or (client is not None and client.is_closed):
            raise ConfigurationError(CLOSED)
        attempt: Exchange | HttpxAttempt
        if client is None and not self._endpoint.goes_through_httpx(is_async=False):
            attempt = Exchange(self._endpoint, call, timeout, deadline)
            perform = functools.partial(self._perform, attempt)
        else:
            from . import _httpx

            attempt = _httpx.HttpxAttempt(self._endpoint, call, timeout, deadline)
            perform = functools.partial(_httpx.perform, attempt, client)
        try:
            try:
                if not self._enter(attempt):
                    return pool_exhausted(attempt)
                perform()
                return attempt.outcome()
            finally:
                # Not by a function of ours: a signal handler could raise where that begins.
                pool.in_flight.discard(attempt)
                if self._waiting:
                    self._wake_ups.put(None)
        except BaseException as error:
            attempt.annotate(error)
            raise

    def _enter(self, attempt: Attempt) -> bool:
        """Take a slot; False: none became free in time."""
        enter = self._pool.enter
        if enter(attempt):
            return True
        deadline = time.monotonic() + attempt.remaining(POOL_TIMEOUT)
        self._waiting.add(attempt)
        try:
            while not enter(attempt):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                # A hint that a slot is free: it may be lost in a signal handler, so nobody relies on it for long.
                with suppress(queue.Empty):
                    self._wake_ups.get(timeout=min(_LOOK_AGAIN, left))
            return True
        finally:
            self._waiting.discard(attempt)

    def _perform(self, exchange: Exchange) -> None:
        connection: _Connection | None = None
        keep = False
        try:
            while not exchange.over:
                connection = self._pool.acquire()
                is_new = connection is None
                if connection is None:
                    connection = _connect(exchange)
                if exchange.remaining(1.0) == 0.0:
                    exchange.fail(DEADLINE_PASSED, timed_out=True)
                elif connection is not None and not connection.send_request(exchange):
                    connection.close()
                    if is_new:
                        exchange.fail(UNASKED)
            keep = connection is not None and exchange.connection_is_reusable and not connection.holds_plaintext
        finally:
            if connection is not None:
                if keep:
                    self._pool.release(connection)
                else:
                    connection.close()

    def close(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        self._pool.close()
