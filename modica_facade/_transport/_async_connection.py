"""A connection of an event loop, as an asyncio protocol: connect, look, write, read."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import time
from collections.abc import Awaitable
from concurrent.futures import Executor
from typing import Any, Final, TypeGuard, TypeVar, cast

from ._exchange import CONNECT_TIMEOUT, WRITE_TIMEOUT, Exchange, is_io_error
from ._pool import Connection
from ._sync_connection import READ, WRITE, timed_out, wait

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
        raise timed_out() from None


def _is_io_error(error: BaseException) -> TypeGuard[OSError]:
    """As `is_io_error`; asyncio raises some of the system's exceptions itself, without a number."""
    return isinstance(error, OSError) and (is_io_error(error) or isinstance(error, ConnectionError))


class AsyncConnection(Connection, asyncio.Protocol):
    """A connection; TLS is asyncio's."""

    _active_at: float
    _over: asyncio.Future[None]
    _timer: asyncio.Handle

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        super().__init__(sock)
        self._exchange: Exchange | None = None
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._attached = False
        self._writing = False

    def close(self) -> None:
        self.dead = True
        if self._transport is not None:
            # Not close(), which goes on writing after the call has ended.
            self._transport.abort()
        elif not self._attached:
            # Afterwards the socket is the event loop's, which closes it when it fails.
            self.sock.close()

    async def connect(self, address: Any) -> None:
        """Connect; raises OSError."""
        self.sock.settimeout(0)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_connect(self.sock, address)

    async def attach(self, tls: ssl.SSLContext | None, host: str) -> None:
        """Hand the socket to the event loop, with a TLS handshake if that is wanted; raises OSError."""
        self._attached = True
        name = None if tls is None else host
        made, _ = await self._loop.create_connection(lambda: self, sock=self.sock, ssl=tls, server_hostname=name)
        self.connection_made(made)

    async def send_request(self, exchange: Exchange) -> bool:
        """Write the request and read the response; False: nothing was written, the connection is of no use."""
        exchange.start(self.parser)
        if self._transport is None or not await self._is_quiet():
            return False
        # Nothing is awaited between this look and the write.
        self._over = self._loop.create_future()
        self._exchange = exchange
        exchange.pending = True
        self._transport.write(exchange.unsent)
        self._writing = True
        self._active_at = time.monotonic()
        # In the next turn of the loop: only then has uvloop written.
        self._timer = self._loop.call_soon(self._check_progress)
        try:
            await self._over
        finally:
            self._exchange = None
            self._timer.cancel()
        return True

    async def _is_quiet(self) -> bool:
        """Is the connection alive, with nothing to read? The event loop may not have looked for some time."""
        for _ in range(_TURNS):
            if self.dead or not wait(self.sock, READ, 0.0):
                break
            if self._transport is None or self._transport.get_extra_info("ssl_object") is None:
                return False
            # Session tickets, perhaps: let TLS take them. Anything else reaches `data_received`.
            await asyncio.sleep(0)
        else:
            return False
        return not self.dead

    def _check_progress(self, turns: int = _TURNS) -> None:
        """Look at the clock, whenever a time-out could be due."""
        exchange = self._exchange
        if exchange is None:
            return
        try:
            if self._writing and not self._has_unsent():
                self._writing = False
                self._active_at = time.monotonic()
            limit = WRITE_TIMEOUT if self._writing else exchange.timeout
            left = exchange.remaining(self._active_at + limit - time.monotonic())
            if left > 0:
                self._timer = self._loop.call_later(left, self._check_progress)
            elif turns and wait(self.sock, READ, 0.0):
                # What has arrived is read, however late it is.
                self._timer = self._loop.call_later(0, self._check_progress, turns - 1)
            else:
                what = "the request could not be written" if self._writing else "no response"
                exchange.fail(f"{what} within {limit:g} s", timed_out=True)
                self._settle()
        except BaseException as error:  # noqa: BLE001 - passed on to the task
            # From a signal handler. The event loop would only log it, and the task would never wake.
            self._settle(error)

    def _has_unsent(self) -> bool:
        """Is part of the request still here? asyncio does not say how much TLS has put into the buffer below."""
        assert self._transport is not None
        return self._transport.get_write_buffer_size() > 0 or not wait(self.sock, WRITE, 0.0)

    def _settle(self, error: BaseException | None = None) -> None:
        if not self._over.done():
            if error is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(error)
        # Last: if this is interrupted, the end of the connection follows and settles it.
        self._exchange = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Unsolicited: close rather than keep it for the next call.
            self.close()
            return
        if not self._has_unsent():
            exchange.unsent = exchange.unsent[:0]
        exchange.receive(data)
        if exchange.over:
            self._settle()
        else:
            self._active_at = time.monotonic()

    def eof_received(self) -> None:
        self.dead = True
        if self._exchange is not None:
            if self._was_announced():
                self._exchange.receive(b"")
            else:
                self._exchange.fail("the connection was cut without the end that TLS has for it")
            self._settle()

    def _was_announced(self) -> bool:
        """Did the peer end it, for TLS by close_notify? asyncio reports any other end of TLS the same way."""
        assert self._transport is not None
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        try:
            return tls is None or not tls.read(1)
        except ssl.SSLError:
            return False

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


async def connect(
    loop: asyncio.AbstractEventLoop, threads: Executor | None, exchange: Exchange
) -> AsyncConnection | None:
    """A new connection, or None: the exchange has failed."""
    endpoint = exchange.endpoint
    deadline = loop.time() + exchange.remaining(CONNECT_TIMEOUT)
    try:
        look_up = functools.partial(socket.getaddrinfo, endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        addresses = await _within(deadline - loop.time(), loop.run_in_executor(threads, look_up))
        while True:
            share = (deadline - loop.time()) / len(addresses)
            family, kind, protocol, _, address = addresses.pop(0)
            connection = AsyncConnection(loop, socket.socket(family, kind, protocol))
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
