"""Connections of an event loop, an asyncio protocol each, and the transport that its tasks share."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar, cast

from .._calls import MAX_IN_FLIGHT, Call, NoResponse, Response
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
from ._sync import READ, wait

if TYPE_CHECKING:
    import httpx

    from ._httpx import HttpxAttempt

T = TypeVar("T")

# Turns of the event loop within which it has read what is there: two of asyncio, one more of uvloop, and some.
_TURNS: Final = 5


async def _within(seconds: float, awaitable: Awaitable[T]) -> T:
    """Await it for so long; raises OSError (ETIMEDOUT) then."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if not limit.expired():
            raise
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None


def _is_io_error(error: BaseException | None) -> TypeGuard[OSError]:
    """As `is_io_error`; asyncio raises some of the system's exceptions itself, without a number."""
    return isinstance(error, OSError) and (is_io_error(error) or isinstance(error, ConnectionError))


class _Connection(asyncio.Protocol):
    """A connection; TLS is asyncio's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self.dead = False
        self.idle_since = 0.0
        self._loop = loop
        self._sock = sock
        self._transport: asyncio.Transport | None = None
        self._parser = new_parser()
        self._exchange: Exchange | None = None
        register(self)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self.dead = True
        if self._transport is None:
            self._sock.close()
        else:
            # Not close(), which goes on writing after the call has ended.
            self._transport.abort()

    def forget(self) -> None:
        self.dead = True

    async def connect(self, address: Any) -> None:
        """Connect; raises OSError."""
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_connect(self._sock, address)

    async def attach(self, tls: ssl.SSLContext | None, host: str) -> None:
        """Hand the socket to the event loop, with a TLS handshake if that is wanted; raises OSError."""
        await self._loop.create_connection(
            lambda: self, sock=self._sock, ssl=tls, server_hostname=None if tls is None else host
        )

    async def send_request(self, exchange: Exchange) -> bool:
        """Write the request and read the response; False: nothing was written, the connection is of no use."""
        exchange.start(self._parser)
        if not await self._is_quiet():
            return False
        # Nothing is awaited between the look and the write.
        assert self._transport is not None
        self._over = self._loop.create_future()
        self._exchange = exchange
        exchange.pending = True
        self._transport.write(exchange.unsent)
        self._writing = True
        self._active_at = time.monotonic()
        self._check_progress()
        try:
            await self._over
        finally:
            self._exchange = None
            self._timer.cancel()
        return True

    async def _is_quiet(self) -> bool:
        """Is the connection alive, with nothing to read? The event loop may not have looked for some time."""
        for _ in range(_TURNS):
            if self.dead or not wait(self._sock, READ, 0.0):
                break
            if self._transport is None or self._transport.get_extra_info("ssl_object") is None:
                return False
            # Session tickets, perhaps: let TLS take them. Anything else reaches `data_received`.
            await asyncio.sleep(0)
        else:
            return False
        return not self.dead

    def _check_progress(self, turns: int = _TURNS) -> None:
        """Look at the clock, now and whenever a time-out could be due."""
        exchange = self._exchange
        if exchange is None:
            return
        assert self._transport is not None
        try:
            if self._writing and not self._transport.get_write_buffer_size():
                self._writing = False
                self._active_at = time.monotonic()
            limit = WRITE_TIMEOUT if self._writing else exchange.timeout
            left = exchange.remaining(self._active_at + limit - time.monotonic())
            if left > 0:
                self._timer = self._loop.call_later(left, self._check_progress)
            elif turns and wait(self._sock, READ, 0.0):
                # What has arrived is read, however late it is.
                self._timer = self._loop.call_later(0, self._check_progress, turns - 1)
            else:
                what = "the request could not be written" if self._writing else "no response"
                exchange.fail(f"{what} within {limit:g} s", timed_out=True)
                self._settle()
        except BaseException as error:  # noqa: BLE001 - passed on to the task
            # A signal handler's: the event loop would log it, and the task wait for ever.
            self._settle(error)

    def _settle(self, error: BaseException | None = None) -> None:
        self._exchange = None
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of uvloop's it is none in name.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nobody asked for it.
            self.close()
            return
        if self._transport is not None and not self._transport.get_write_buffer_size():
            exchange.unsent = exchange.unsent[:0]
        exchange.receive(data)
        if exchange.over:
            self._settle()
        else:
            self._active_at = time.monotonic()

    def eof_received(self) -> None:
        self.dead = True
        if self._exchange is not None:
            self._exchange.receive(b"")
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.dead = True
        exchange = self._exchange
        if exchange is None:
            return
        if exc is not None and not _is_io_error(exc):
            # A signal handler's, raised while the event loop called us.
            self._settle(exc)
            return
        if exc is None:
            exchange.fail("the connection was closed before the whole response came")
        else:
            exchange.fail_with(exc)
        self._settle()


async def _connect(pool: _LoopPool, exchange: Exchange) -> _Connection | None:
    """A new connection, or None: the exchange has failed."""
    loop, endpoint = pool.loop, exchange.endpoint
    deadline = loop.time() + exchange.remaining(CONNECT_TIMEOUT)
    try:
        look_up = functools.partial(socket.getaddrinfo, endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        addresses = await _within(deadline - loop.time(), loop.run_in_executor(pool.threads, look_up))
        while True:
            share = (deadline - loop.time()) / len(addresses)
            family, kind, protocol, _, address = addresses.pop(0)
            connection = _Connection(loop, socket.socket(family, kind, protocol))
            try:
                await _within(share, connection.connect(address))
                break
            except BaseException as error:
                connection.close()
                if not addresses or not _is_io_error(error):
                    raise
        try:
            await _within(deadline - loop.time(), connection.attach(endpoint.tls, endpoint.host))
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        if not _is_io_error(error):
            raise
        exchange.fail_with(error)
        return None
    return connection


class _LoopPool(ConnectionPool[_Connection]):
    """The connections of one event loop, and the tasks that wait for a slot."""

    def __init__(self, keepalive: float, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(keepalive)
        self.loop = loop
        self.threads: Executor | None = None
        self._waiting: deque[tuple[asyncio.Future[bool], Attempt]] = deque()

    async def wait_and_enter(self, attempt: Attempt) -> bool:
        """Take a slot; False: none became free in time."""
        if self.enter(attempt):
            return True
        entered: asyncio.Future[bool] = self.loop.create_future()
        self._waiting.append((entered, attempt))
        timer = self.loop.call_later(attempt.remaining(POOL_TIMEOUT), _refuse, entered)
        try:
            return await entered
        finally:
            timer.cancel()

    def hand_on(self) -> None:
        """Give what slots are free to those who wait, the first one first."""
        while self._waiting and len(self.in_flight) < MAX_IN_FLIGHT:
            entered, attempt = self._waiting.popleft()
            if not entered.done():
                self.in_flight.add(attempt)
                entered.set_result(True)

    def retire(self) -> None:
        """Close the connections from another event loop, if theirs runs; otherwise the garbage collector does."""
        with suppress(RuntimeError):
            if self.loop.is_running():
                self.loop.call_soon_threadsafe(self.close)

    def forget(self) -> None:
        super().forget()
        self._waiting.clear()
        # Those of the event loop stayed in the parent.
        self.threads = ThreadPoolExecutor(1)


def _refuse(entered: asyncio.Future[bool]) -> None:
    if not entered.done():
        entered.set_result(False)


class AsyncTransport:
    """Attempts on asyncio; safe to share between tasks. Another event loop starts without connections."""

    def __init__(self, endpoint: Endpoint, client: httpx.AsyncClient | None = None) -> None:
        if client is None:
            endpoint.prepare()
        else:
            from ._httpx import check_client

            check_client(client, is_async=True)
        self._closed = False
        self._endpoint = endpoint
        self._client = client
        self._pool: _LoopPool | None = None

    async def send_request(self, call: Call[Any], timeout: float, deadline: float) -> Response | NoResponse:  # noqa: ASYNC109 - per read
        """Try once; see `Transport.send_request`."""
        pool, client = self._own_pool(), self._client
        if self._closed or (client is not None and client.is_closed):
            raise ConfigurationError(CLOSED)
        attempt: Exchange | HttpxAttempt
        if client is None and not self._endpoint.goes_through_httpx(is_async=True):
            attempt = Exchange(self._endpoint, call, timeout, deadline)
            perform = functools.partial(self._perform, pool, attempt)
        else:
            from . import _httpx

            attempt = _httpx.HttpxAttempt(self._endpoint, call, timeout, deadline)
            perform = functools.partial(_httpx.perform_async, attempt, client)
        try:
            try:
                if not await pool.wait_and_enter(attempt):
                    return pool_exhausted(attempt)
                await perform()
                return attempt.outcome()
            finally:
                pool.in_flight.discard(attempt)
                pool.hand_on()
        except BaseException as error:
            attempt.annotate(error)
            raise

    async def _perform(self, pool: _LoopPool, exchange: Exchange) -> None:
        connection: _Connection | None = None
        keep = False
        try:
            while not exchange.over:
                connection = pool.acquire()
                is_new = connection is None
                if connection is None:
                    connection = await _connect(pool, exchange)
                if exchange.remaining(1.0) == 0.0:
                    exchange.fail(DEADLINE_PASSED, timed_out=True)
                elif connection is not None and not await connection.send_request(exchange):
                    connection.close()
                    if is_new:
                        exchange.fail(UNASKED)
            keep = connection is not None and exchange.connection_is_reusable and not connection.dead
        finally:
            if connection is not None:
                if keep:
                    pool.release(connection)
                else:
                    connection.close()

    def _own_pool(self) -> _LoopPool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "the asynchronous clients run on asyncio (or uvloop); elsewhere use the blocking ones in threads"
            ) from None
        pool = self._pool
        if pool is None or pool.loop is not loop:
            self._pool = _LoopPool(self._endpoint.keepalive, loop)
            if pool is not None:
                pool.retire()
            pool = self._pool
        return pool

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        self._closed = True
        self._own_pool().close()
        # The event loop closes the sockets in its next turn, which could otherwise be after its end.
        await asyncio.sleep(0)
