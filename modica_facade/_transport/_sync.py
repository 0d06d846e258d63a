"""The transport that threads share: slots, connections taken and given back, one attempt at a time."""

from __future__ import annotations

import functools
import queue
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .._calls import Call, NoResponse, Response
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._exchange import CLOSED, DEADLINE_PASSED, NOT_QUIET, POOL_EXHAUSTED, POOL_TIMEOUT, Attempt, Exchange
from ._pool import ConnectionPool
from ._sync_connection import SyncConnection, connect

if TYPE_CHECKING:
    import httpx

    from ._httpx import HttpxAttempt

# Seconds after which a thread that waits for a slot looks for one, woken or not.
_LOOK_AGAIN: Final = 0.05


class Transport:
    """Blocking attempts; safe to share between threads, and in a forked child, which starts without connections."""

    def __init__(self, endpoint: Endpoint, client: httpx.Client | None = None) -> None:
        endpoint.prepare(client, is_async=False)
        self._endpoint = endpoint
        self._client = client
        self._pool: ConnectionPool[SyncConnection] = ConnectionPool(endpoint.keepalive)
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
                if pool.enter(attempt) or self._wait_and_enter(attempt):
                    perform()
                return attempt.outcome()
            finally:
                # Not in a function of ours: a signal handler could raise as that begins.
                pool.in_flight.discard(attempt)
                if self._waiting:
                    self._wake_ups.put(None)
        except BaseException as error:
            attempt.interrupt(error)
            raise

    def _wait_and_enter(self, attempt: Attempt) -> bool:
        """Take a slot; False: none became free in time."""
        deadline = time.monotonic() + attempt.remaining(POOL_TIMEOUT)
        self._waiting.add(attempt)
        try:
            while (left := deadline - time.monotonic()) > 0:
                # A hint that a slot is free. A signal handler may lose it, so nobody relies on it for long.
                with suppress(queue.Empty):
                    self._wake_ups.get(timeout=min(_LOOK_AGAIN, left))
                if self._pool.enter(attempt):
                    return True
            attempt.fail(POOL_EXHAUSTED, timed_out=True, retryable=False)
            return False
        finally:
            self._waiting.discard(attempt)

    def _perform(self, exchange: Exchange) -> None:
        connection: SyncConnection | None = None
        reusable = False
        try:
            while not exchange.over:
                connection = self._pool.acquire()
                is_new = connection is None
                if connection is None:
                    connection = connect(exchange)
                if exchange.remaining(1.0) == 0.0:
                    exchange.fail(DEADLINE_PASSED, timed_out=True)
                elif connection is not None and not connection.send_request(exchange):
                    connection.close()
                    if is_new:
                        exchange.fail(NOT_QUIET)
            reusable = connection is not None and exchange.connection_is_reusable
        finally:
            if connection is not None:
                if reusable:
                    self._pool.release(connection)
                else:
                    connection.close()

    def close(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        self._pool.close()
