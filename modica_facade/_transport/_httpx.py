"""Attempts through httpx: a caller's ``http_client``, a proxy, or an httpx that something has patched.

What was written is known from httpcore's trace events alone. Without any (mock transports, other engines) nothing
proves that a request was not sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final

import h11
import httpcore
import httpx

from .._calls import Call, NoResponse, Response
from ._endpoint import Endpoint
from ._exchange import CONNECT_TIMEOUT, DEADLINE_PASSED, POOL_TIMEOUT, WRITE_TIMEOUT, Attempt, is_io_error
from ._trace import RequestTrace

# Raised by httpx, by what is under it, or by the system on their behalf. Anything else interrupts and passes.
_IO_ERRORS: Final = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.TimeoutException,
    h11.ProtocolError, OSError,
)  # fmt: skip
_ERRORS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, *_IO_ERRORS)
# Their text may repeat a header, and trying again does not help.
_LOCAL_ERRORS: Final = (httpx.LocalProtocolError, httpcore.LocalProtocolError, h11.LocalProtocolError)
_LASTING: Final = (*_LOCAL_ERRORS, httpx.InvalidURL, httpx.UnsupportedProtocol, ssl.SSLCertVerificationError)
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# What the request passes through: the locals of its frames hold the request, and with it the credentials.
_HTTP_STACK: Final = frozenset(
    {"modica_facade", "httpx", "httpcore", "h11", "h2", "hpack", "socksio", "anyio", "asyncio", "socket", "ssl"}
)


class HTTPClientError(Exception):
    """Stands in for an exception of an HTTP client, whose attributes and frames hold the request."""


class HttpxAttempt(Attempt):
    """An attempt through httpx."""

    __slots__ = ("_handed_over", "_proven", "trace")

    def __init__(self, endpoint: Endpoint, call: Call[Any], timeout: float, deadline: float) -> None:
        super().__init__(endpoint, call, timeout, deadline)
        self.trace = RequestTrace(is_send=call.is_send, deadline=deadline)
        self._handed_over = False
        self._proven = False

    @property
    def may_have_been_sent(self) -> bool:
        """Unless httpcore says that the body was not begun: no events, no proof."""
        if self._proven or not self._handed_over:
            return False
        return self.trace.body_started or not self.trace.events_seen

    def outcome(self) -> Response | NoResponse:
        """What the attempt came to; httpcore may have told of a head that was not handed on."""
        self.head = self.head or self.trace.head
        return super().outcome()

    def interrupt(self, error: BaseException) -> None:
        """The same, and cut the frames of the HTTP client out of its traceback; those of whatever raised it stay."""
        self._weigh(error)
        super().interrupt(error)
        if (here := error.__traceback__) is not None:
            entry = rest = here.tb_next
            while entry is not None:
                if entry.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _HTTP_STACK:
                    rest = entry.tb_next
                entry = entry.tb_next
            here.tb_next = rest

    def request(self, build: Callable[..., httpx.Request], *, is_async: bool) -> httpx.Request:
        """The request; a caller's client adds the headers and cookies it was given."""
        timeouts = {"connect": CONNECT_TIMEOUT, "write": WRITE_TIMEOUT, "read": self.timeout, "pool": POOL_TIMEOUT}
        # A client of the caller's keeps its connections by its own rules, but not one that the request asks to close.
        no_keepalive = [] if self.endpoint.keepalive else [(b"Connection", b"close")]
        request = build(
            self.call.method,
            self.endpoint.base_url + self.call.path,
            headers=[*self.endpoint.headers(self.call), *no_keepalive],
            content=self.call.body,
            extensions={
                "timeout": {name: self.remaining(limit) or 0.001 for name, limit in timeouts.items()},
                "trace": self.trace.listen if is_async else self.trace,
            },
        )
        # Whatever failed before this line failed on this machine.
        self._handed_over = True
        return request

    @property
    def over_or_late(self) -> bool:
        """Reading on is of no use."""
        if not self.remaining(1.0):
            self.fail(DEADLINE_PASSED)
        return self.over

    def take(self, response: httpx.Response) -> bool:
        """Take the head, and the body if something has read it; False: it is yet to be read."""
        self.head = response.status_code, response.headers.raw
        try:
            self.add_body(response.content)
        except httpx.ResponseNotRead:
            return False
        self.complete = not self.over
        return True

    @contextmanager
    def recording(self, *, ours: bool) -> Generator[None]:
        """Errors of httpx within are the outcome of the attempt; anything else passes."""
        try:
            yield
        except _ERRORS as error:
            if isinstance(error, OSError) and not is_io_error(error):
                raise
            self._record(error, ours=ours)

    def pass_deadline(self, error: TimeoutError) -> None:
        """Record that the deadline passed, wherever the attempt was."""
        self._weigh(error)
        self.fail(DEADLINE_PASSED, timed_out=True)

    def _weigh(self, error: BaseException) -> None:
        """Drop what the trace says if httpcore did not tell of this failure.

        Then it may be that of a request which a transport has made by itself, without the trace: to another host once
        this one could not be reached, or again after a 429. What came of the first request proves nothing.
        """
        trace, failure = self.trace, self.trace.failure
        trace.failure = None  # its frames hold the request
        causes = [error]
        while (cause := causes[-1].__cause__) is not None and cause not in causes:
            causes.append(cause)
        if failure in causes or any(isinstance(each, httpcore.ProxyError) for each in causes):
            return
        trace.events_seen = False
        if any(isinstance(each, (*_IO_ERRORS, asyncio.CancelledError)) for each in causes):
            trace.head = None

    def _record(self, error: Exception, *, ours: bool) -> None:
        trace = self.trace
        if isinstance(error, httpx.HTTPStatusError) and _asked(error.response) in (trace, trace.listen):
            # A hook has looked at the status: the response is the outcome, as far as it was read.
            if not self.take(error.response):
                self.fail("its body was not read")
            return
        chain = _chain(error)
        # This is how a test library raises it, with nothing underneath: a real one has an I/O error as its cause.
        mocked = all(type(each).__module__.startswith("respx.") for each in chain[1:])
        self._proven = ours and mocked and not trace.events_seen and isinstance(error, _BEFORE_SENDING)
        self._weigh(error)
        try:
            text = "" if isinstance(error, _LOCAL_ERRORS) else self.redact(str(error))
        except Exception:  # noqa: BLE001 - it is of a class that we do not know
            text = ""
        problem = f"{type(error).__name__}: {text}" if text else type(error).__name__
        self.fail(
            problem,
            cause=HTTPClientError(problem),
            timed_out=isinstance(error, httpx.TimeoutException | httpcore.TimeoutException | TimeoutError),
            retryable=not any(isinstance(each, _LASTING) for each in chain),
        )


def _asked(response: httpx.Response) -> object:
    """The trace of the request that was answered; None: the response was made by hand."""
    try:
        return response.request.extensions.get("trace")
    except RuntimeError:
        return None


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what it came from."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    return chain


def perform(attempt: HttpxAttempt, client: httpx.Client | None) -> None:
    """Perform an attempt, without a client of the caller's on a connection that serves nothing else."""
    with attempt.recording(ours=client is None):
        request = attempt.request(client.build_request if client else httpx.Request, is_async=False)
        if client is not None:
            _send(attempt, client, request)
            return
        transport = httpx.HTTPTransport(**_transport_options(attempt.endpoint))
        with _cut_off_at_deadline(attempt), httpx.Client(transport=transport, trust_env=False) as own:
            _send(attempt, own, request)


def _send(attempt: HttpxAttempt, client: httpx.Client, request: httpx.Request) -> None:
    response = client.send(request, stream=True, auth=None, follow_redirects=False)
    try:
        if not attempt.take(response):
            for chunk in response.iter_raw():
                attempt.add_body(chunk)
                if attempt.over_or_late:
                    return
            attempt.complete = True
    finally:
        response.close()


@contextmanager
def _cut_off_at_deadline(attempt: HttpxAttempt) -> Generator[None]:
    """End the connections of the attempt at its deadline: httpcore's time-outs are for each read."""

    def cut_off() -> None:
        for sock in attempt.trace.sockets:
            if isinstance(sock, socket.socket):
                with suppress(OSError):
                    # Not that of SSLSocket, which would change the object while another thread reads from it.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(attempt.remaining(threading.TIMEOUT_MAX), cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


async def perform_async(attempt: HttpxAttempt, client: httpx.AsyncClient | None) -> None:
    """The same on asyncio, where the deadline holds for a caller's client too."""
    with attempt.recording(ours=client is None):
        request = attempt.request(client.build_request if client else httpx.Request, is_async=True)
        limit = asyncio.timeout(attempt.remaining(threading.TIMEOUT_MAX))
        try:
            async with limit:
                if client is not None:
                    await _send_async(attempt, client, request)
                    return
                transport = httpx.AsyncHTTPTransport(**_transport_options(attempt.endpoint))
                async with httpx.AsyncClient(transport=transport, trust_env=False) as own:
                    await _send_async(attempt, own, request)
        except TimeoutError as error:
            if not limit.expired():
                raise
            attempt.pass_deadline(error)


async def _send_async(attempt: HttpxAttempt, client: httpx.AsyncClient, request: httpx.Request) -> None:
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    try:
        if not attempt.take(response):
            async for chunk in response.aiter_raw():
                attempt.add_body(chunk)
                if attempt.over_or_late:
                    return
            attempt.complete = True
    finally:
        await response.aclose()


def _transport_options(endpoint: Endpoint) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    return {"verify": endpoint.tls or False, "proxy": endpoint.proxy, "limits": limits, "trust_env": False}
