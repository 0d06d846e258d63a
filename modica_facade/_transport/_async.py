"""The transport that the tasks of an event loop share: slots, connections taken and given back, single attempts."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._calls import MAX_IN_FLIGHT, Call, NoResponse, Response
from ..errors import ConfigurationError
from ._async_connection import AsyncConnection, connect
from ._endpoint import Endpoint
from ._exchange import CLOSED, DEADLINE_PASSED, NOT_QUIET, POOL_EXHAUSTED, POOL_TIMEOUT, Attempt, Exchange
from ._pool import ConnectionPool

if TYPE_CHECKING:
    import httpx

    from ._httpx import HttpxAttempt


class _LoopPool(ConnectionPool[AsyncConnection]):
    """The connections of one event loop, and the tasks that wait for a slot."""

    def __init__(self, keepalive: float, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(keepalive)
        self.loop = loop
        self.threads: Executor | None = None
        self._waiting: deque[tuple[asyncio.Future[bool], Attempt]] = deque()

    async def wait_and_enter(self, attempt: Attempt) -> bool:
        """Take a slot; False: none became free in time."""
        entered: asyncio.Future[bool] = self.loop.create_future()
        self._waiting.append((entered, attempt))
        timer = self.loop.call_later(attempt.remaining(POOL_TIMEOUT), _refuse, entered)
        try:
            if await entered:
                return True
        finally:
            timer.cancel()
        attempt.fail(POOL_EXHAUSTED, timed_out=True, retryable=False)
        return False

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
        # The threads of the event loop stayed in the parent.
        self.threads = ThreadPoolExecutor(1)


def _refuse(entered: asyncio.Future[bool]) -> None:
    if not entered.done():
        entered.set_result(False)


class AsyncTransport:
    """Attempts on asyncio; safe to share between tasks. Another event loop starts without connections."""

    def __init__(self, endpoint: Endpoint, client: httpx.AsyncClient | None = None) -> None:
        endpoint.prepare(client, is_async=True)
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
                if pool.enter(attempt) or await pool.wait_and_enter(attempt):
                    await perform()
                return attempt.outcome()
            finally:
                pool.in_flight.discard(attempt)
                pool.hand_on()
        except BaseException as error:
            attempt.interrupt(error)
            raise

    async def _perform(self, pool: _LoopPool, exchange: Exchange) -> None:
        connection: AsyncConnection | None = None
        keep = False
        try:
            while not exchange.over:
                connection = pool.acquire()
                is_new = connection is None
                if connection is None:
                    connection = await connect(pool.loop, pool.threads, exchange)
                if exchange.remaining(1.0) == 0.0:
                    exchange.fail(DEADLINE_PASSED, timed_out=True)
                elif connection is not None and not await connection.send_request(exchange):
                    connection.close()
                    if is_new:
                        exchange.fail(NOT_QUIET)
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
        # The event loop closes the sockets in its next turn, and might otherwise end before that.
        await asyncio.sleep(0)
