"""Attempts through httpx: a caller's ``http_client``, a proxy, or an httpx that something has patched.

What was written is known from httpcore's trace events alone. Without any (mock transports, other engines) nothing
proves that a request was not sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any, Final

import h11
import httpcore
import httpx

from .._calls import AMBIGUOUS_STATUSES, Call, NoResponse, Response
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._exchange import CONNECT_TIMEOUT, DEADLINE_PASSED, POOL_TIMEOUT, WRITE_TIMEOUT, Attempt, Head, is_io_error

# The steps of httpcore after which the body of a request may still be wholly on this machine. Any other event, one of a
# future httpcore too, counts as "the body was begun".
_STEPS_BEFORE_BODY: Final = frozenset(
    {
        "connection.connect_tcp",
        "connection.connect_unix_socket",
        "connection.start_tls",
        "connection.retry",
        "connection.close",
        "proxy.start_tls",
        "socks.connect_tcp",
        "socks.setup_socks5_connection",
        "socks.start_tls",
        *(
            f"{protocol}.{step}"
            for protocol in ("http11", "http2")
            for step in (
                "send_connection_init",
                "receive_remote_settings",
                "send_request_headers",
                "send_request_body",
                "receive_response_headers",
                "receive_response_body",
                "response_closed",
            )
        ),
    }
)
_BODY_STARTED: Final = frozenset({"http11.send_request_body.started", "http2.send_request_body.started"})
_SOCKET_EVENTS: Final = frozenset(
    {"connection.connect_tcp.complete", "connection.start_tls.complete", "proxy.start_tls.complete"}
)
# Raised by httpx, by what is under it, or by the system on their behalf. Anything else interrupts and passes.
_ERRORS: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    h11.ProtocolError,
    OSError,
)
_LASTING: Final = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpcore.LocalProtocolError)
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RepeatedRequestError(httpx.TransportError):
    """A transport was about to write a send a second time."""


class HTTPClientError(Exception):
    """Stands in for an exception of an HTTP client, whose attributes and frames hold the request."""


class RequestTrace:
    """Listens to one attempt through the ``trace`` extension of httpcore.

    Attributes:
        events_seen: whether httpcore is underneath at all.
        body_started: whether the body of the request was begun, in a try that was not refused since.
        head: of the response to the latest try.
        sockets: those of the connections made.
    """

    def __init__(self, *, is_send: bool) -> None:
        self.events_seen = False
        self.body_started = False
        self.head: Head | None = None
        self.sockets: list[socket.socket] = []
        self._is_send = is_send

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Take an event."""
        self.events_seen = True
        if event in _SOCKET_EVENTS:
            self.sockets.append(info["return_value"].get_extra_info("socket"))
            return
        step, _, state = event.rpartition(".")
        request = info.get("request")
        if request is not None and request.method == b"CONNECT":
            return
        if event in _BODY_STARTED or step not in _STEPS_BEFORE_BODY or state not in ("started", "complete", "failed"):
            self.body_started = True
        elif event == "http11.receive_response_headers.complete":
            # Events of a response have no request. Before the body was begun this is a proxy's answer to CONNECT.
            self.head = (info["return_value"][1], info["return_value"][3]) if self.body_started else None
        elif event == "http2.receive_response_headers.complete":
            self.head = info["return_value"]
        elif step.endswith(".send_request_headers") and state == "started":
            self._next_try()

    async def listen(self, event: str, info: Mapping[str, Any]) -> None:
        """The same for the asynchronous half of httpcore, which wants a coroutine function."""
        self(event, info)

    def _next_try(self) -> None:
        if self.body_started:
            status = self.head[0] if self.head is not None else 0
            refused = 400 <= status < 500 and status not in AMBIGUOUS_STATUSES
            if self._is_send and not refused:
                raise RepeatedRequestError("a send was about to be repeated below the client")
            self.body_started = False
        self.head = None


class HttpxAttempt(Attempt):
    """An attempt through httpx."""

    __slots__ = ("_handed_over", "_proven", "trace")

    def __init__(self, endpoint: Endpoint, call: Call[Any], timeout: float, deadline: float) -> None:
        super().__init__(endpoint, call, timeout, deadline)
        self.trace = RequestTrace(is_send=call.is_send)
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

    def request(self, build: Callable[..., httpx.Request], *, is_async: bool) -> httpx.Request:
        """The request; a caller's client adds the headers and cookies it was given."""
        timeouts = {"connect": CONNECT_TIMEOUT, "write": WRITE_TIMEOUT, "read": self.timeout, "pool": POOL_TIMEOUT}
        request = build(
            self.call.method,
            self.endpoint.base_url + self.call.path,
            headers=self.endpoint.headers(self.call),
            content=self.call.body,
            extensions={
                "timeout": {name: self.remaining(limit) or 0.001 for name, limit in timeouts.items()},
                "trace": self.trace.listen if is_async else self.trace,
            },
        )
        # Whatever failed until here failed on this machine.
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

    def _record(self, error: Exception, *, ours: bool) -> None:
        trace = self.trace
        if isinstance(error, httpx.HTTPStatusError) and error.response.request.extensions.get("trace") in (
            trace,
            trace.listen,
        ):
            # A hook has looked at the status: the response is the outcome, as far as it was read.
            if not self.take(error.response):
                self.fail("its body was not read")
            return
        chain = _chain(error)
        # So a test library raises it, on behalf of nobody: from an I/O error, these come with that as their cause.
        mocked = all(type(each).__module__.startswith("respx.") for each in chain[1:])
        self._proven = ours and mocked and not trace.events_seen and isinstance(error, _BEFORE_SENDING)
        certificate = any(isinstance(each, ssl.SSLCertVerificationError) for each in chain)
        text = _text(error)
        problem = self.endpoint.redact(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        self.fail(
            problem,
            cause=HTTPClientError(problem),
            timed_out=isinstance(error, httpx.TimeoutException | httpcore.TimeoutException | TimeoutError),
            retryable=not (certificate or isinstance(error, _LASTING)),
        )


def _text(error: Exception) -> str:
    """Type and text of an exception of a stranger's; that of a LocalProtocolError can repeat a header."""
    name = type(error).__name__
    if isinstance(error, httpx.LocalProtocolError | httpcore.LocalProtocolError | h11.LocalProtocolError):
        return name
    try:
        return f"{name}: {error}" if str(error) else name
    except Exception:  # noqa: BLE001 - it is of a class that we do not know
        return name


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
        except TimeoutError:
            if not limit.expired():
                raise
            attempt.fail(DEADLINE_PASSED, timed_out=True)


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


def check_client(client: object, *, is_async: bool) -> None:
    """Is this what a caller may give as ``http_client``?

    Raises:
        ConfigurationError: it is not.
    """
    kind = httpx.AsyncClient if is_async else httpx.Client
    if not isinstance(client, kind):
        raise ConfigurationError(f"http_client must be an httpx.{kind.__name__}")


# Where test libraries and instrumentation intervene. Anything that is replaced elsewhere is not seen.
_METHODS: Final = (
    (httpx, "Client", "send"),
    (httpx, "Client", "_transport_for_url"),
    (httpx, "HTTPTransport", "handle_request"),
    (httpcore, "ConnectionPool", "handle_request"),
    (httpcore, "HTTPConnection", "handle_request"),
)
_ASYNC_METHODS: Final = (
    (httpx, "AsyncClient", "send"),
    (httpx, "AsyncClient", "_transport_for_url"),
    (httpx, "AsyncHTTPTransport", "handle_async_request"),
    (httpcore, "AsyncConnectionPool", "handle_async_request"),
    (httpcore, "AsyncHTTPConnection", "handle_async_request"),
)


def is_patched(*, is_async: bool) -> bool:
    """Has something put a function of its own in the place of one of httpx's or httpcore's?"""
    for module, name, method in _ASYNC_METHODS if is_async else _METHODS:
        function = getattr(getattr(module, name), method, None)
        # A wrapt proxy passes for a function in isinstance; a plain wrapper has other globals than what it wraps.
        if function is not None and not (
            type(function) is FunctionType
            and function.__globals__.get("__name__", "").startswith(("httpx.", "httpcore."))
        ):
            return True
    return False
