"""Connections we account for: each attempt of a call ends as a `Response` or as a `NoResponse`.

A line is one connection: httpcore's own, the engine under httpx, reached through its public classes. Lines wait on a
last-in-first-out free list, so the cost of a send does not grow with the number in flight, a doubtful connection is
thrown away with everything that belongs to it, and a forked child or another event loop starts with none. A line looks
at what passes: it ends at the deadline of the call whatever the pace of the bytes, and refuses an answer that was there
before the question. When a test library has replaced a method of httpx or httpcore, a line is an httpx transport, so
that the library sees what passes; with the caller's own client it is that client. Nothing here raises but for
cancellation.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import logging
import os
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import httpcore
import httpx

from ._arguments import check_seconds
from ._calls import MAX_IN_FLIGHT, Call, NoResponse, Response
from ._version import USER_AGENT
from .errors import ConfigurationError

if TYPE_CHECKING:
    # The asynchronous half imports it where it runs: half of what the first blocking client would cost beyond httpx.
    import asyncio

_log = logging.getLogger("modica_facade")

CONNECT_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 10.0
PLACE_SECONDS: Final = 5.0
# A broadcast of 1000 answers with about 150 KB; ten times that is not an answer of the gateway.
LARGEST_BODY: Final = 2 * 1024 * 1024


# Where to, and as whom


def _secrets(username: bytes, password: bytes) -> tuple[bytes, list[bytes]]:
    """The credentials as Basic spells them, and the password if it is long enough to be told from other text."""
    return base64.b64encode(username + b":" + password), [password] if len(password) >= 6 else []


class _Hidden(NamedTuple):
    headers: httpx.Headers
    body_headers: httpx.Headers
    proxy: httpx.Proxy | None
    tokens: list[bytes]
    passwords: list[bytes]


class Endpoint:
    """One gateway as one application: base URL, headers with the credentials, time-outs, the rules for its connections.

    Raises:
        ConfigurationError: the base URL or a number cannot be used. The message does not repeat the URL, which may hold
            a password.
    """

    __slots__ = ("_hidden", "_prefix", "base_url", "host", "keepalive", "origin")

    def __init__(self, base_url: str, username: str, password: str, accept: str, keepalive: float) -> None:
        scheme, authority, self.host, port, path = check_base_url(base_url)
        self.base_url = f"{scheme}://{authority}{path}"
        self.origin = httpcore.Origin(scheme.encode(), self.host.encode(), port)
        self.keepalive = check_seconds("keepalive", keepalive, zero=True)
        token, secrets = _secrets(username.encode(), password.encode())
        # An httpx.Headers does not show an Authorization value in its repr.
        headers = httpx.Headers(
            {
                "Host": authority,
                "Accept": accept,
                "Accept-Encoding": "identity",
                "Authorization": f"Basic {token.decode('ascii')}",
                "User-Agent": USER_AGENT,
            }
        )
        body_headers = httpx.Headers([*headers.raw, (b"Content-Type", b"application/json")])
        self._prefix = path
        # A closure, not an attribute: what dumps objects by their attributes does not find it.
        hidden = _Hidden(headers, body_headers, None, [token], secrets)
        self._hidden: Callable[[], _Hidden] = lambda: hidden

    def prepare(self) -> None:
        """Read from the environment what connections of ours need: proxy and certificates.

        Raises:
            ConfigurationError: with these none can be made.
        """
        self.tls()
        proxy = None if _is_loopback(self.host) else _environment_proxy(self.host)
        hidden = self._hidden()._replace(proxy=proxy)
        if proxy is not None and proxy.raw_auth is not None:
            token, secrets = _secrets(*proxy.raw_auth)
            hidden = hidden._replace(tokens=[*hidden.tokens, token], passwords=[*hidden.passwords, *secrets])
        self._hidden = lambda: hidden

    def headers(self, *, body: bool) -> httpx.Headers:
        """The headers of a request with a body, or without one."""
        return self._hidden().body_headers if body else self._hidden().headers

    @property
    def proxy(self) -> httpx.Proxy | None:
        """The proxy that the environment names for this host."""
        return self._hidden().proxy

    def url(self, path: str) -> httpcore.URL:
        """The full URL of a path, as httpcore wants it."""
        scheme, host, port = self.origin.scheme, self.origin.host, self.origin.port
        return httpcore.URL(scheme=scheme, host=host, port=port, target=f"{self._prefix}{path}".encode("ascii"))

    def redact(self, text: bytes, *, message: bool = False) -> bytes:
        """What a stranger wrote, without our credentials: a debugging proxy echoes request headers into its pages.

        ``message``: it may be a message of somebody's, whose text is left alone whatever our password is.
        """
        hidden = self._hidden()
        for secret in hidden.tokens if message else hidden.tokens + hidden.passwords:
            text = text.replace(secret, b"[redacted]")
        return text

    def tls(self) -> ssl.SSLContext | None:
        """The shared TLS settings; plain http, allowed for loopback only, needs none."""
        return None if self.origin.scheme == b"http" else _tls(*_ca_settings())

    def through_proxy(self) -> dict[str, Any]:
        """How an httpcore proxy is made that holds at most one connection."""
        assert self.proxy is not None
        return {
            "proxy_url": str(self.proxy.url),
            "proxy_auth": self.proxy.raw_auth,
            "proxy_headers": self.proxy.headers.raw,
            "proxy_ssl_context": self.tls() if self.proxy.url.scheme == "https" else None,
            "ssl_context": self.tls(),
            "max_connections": 1,
            "max_keepalive_connections": 1 if self.keepalive else 0,
            "keepalive_expiry": self.keepalive,
        }

    def through_httpx(self) -> dict[str, Any]:
        """How an httpx transport is made that holds at most one connection."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=self.keepalive)
        return {"verify": self.tls() or False, "proxy": self.proxy, "limits": limits}

    def direct(self) -> dict[str, Any]:
        """How an httpcore connection is made."""
        return {"origin": self.origin, "ssl_context": self.tls(), "keepalive_expiry": self.keepalive}


_HOST_AND_PORT = re.compile(r"([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/]*)(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?", re.ASCII)


def check_base_url(base_url: object) -> tuple[str, str, str, int, str]:
    """Scheme, authority as the Host header has it, host, port, and path without a closing slash.

    Raises:
        ConfigurationError: not https (http for a loopback host), or more in it than host, port and path.
    """
    match = _URL.fullmatch(base_url) if isinstance(base_url, str) else None
    if match is None:
        raise ConfigurationError("base_url must be like https://host/path: no user, query, fragment or odd characters")
    scheme, authority, path = match[1], match[2].lower(), (match[3] or "").rstrip("/")
    if "@" in authority:
        raise ConfigurationError("base_url must not hold credentials; pass username and password instead")
    parts = _HOST_AND_PORT.fullmatch(authority)
    if parts is None:
        raise ConfigurationError("base_url has no usable host and port; write it like https://host/path")
    host, standard = parts[1], 443 if scheme == "https" else 80
    port = int(parts[2] or standard)
    if not 1 <= port <= 65535:
        raise ConfigurationError("base_url has a port outside 1 to 65535")
    if any(part in {".", ".."} for part in path.split("/")):
        raise ConfigurationError("base_url has . or .. in its path; write the path in full")
    try:
        httpx.URL(f"{scheme}://{authority}")
    except httpx.InvalidURL:
        raise ConfigurationError("base_url has no usable host; write it like https://host/path") from None
    bare = host.strip("[]")
    if scheme == "http" and not _is_loopback(bare):
        raise ConfigurationError("base_url must begin with https://: http would show password and text to everyone")
    return scheme, host if port == standard else f"{host}:{port}", bare, port, path


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _environment_proxy(host: str) -> httpx.Proxy | None:
    proxies = urllib.request.getproxies()
    url = proxies.get("https") or proxies.get("all")
    if not url or urllib.request.proxy_bypass(host):
        return None
    try:
        proxy = httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        # Without its cause: that repeats the URL, which may hold the proxy's password.
        raise ConfigurationError("the proxy in HTTPS_PROXY or ALL_PROXY is not a usable URL; correct it") from None
    if proxy.url.scheme not in ("http", "https"):
        raise ConfigurationError(
            "a SOCKS proxy is in the environment; pass http_client=httpx.Client(proxy=...) to use it"
        )
    return proxy


def _ca_settings() -> tuple[str | None, str | None]:
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.cache
def _tls(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    # One for all clients: building it takes 30 ms. Cached by the settings that httpx reads while building it.
    try:
        context = httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no usable certificates ({type(error).__name__}); correct it"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # SSLKEYLOGFILE would write the keys to every credential and message of this process.
    context.keylog_filename = None  # type: ignore[assignment]  # documented as None by default, typeshed has str
    return context


# What an attempt proved

Head = tuple[int, Sequence[tuple[bytes, bytes]]]
Trace = Callable[[str, Mapping[str, Any]], object]

# httpcore's public trace events after which the body of a request may still be wholly on this machine. Any event that
# is not listed, one of a future httpcore too, counts as "the request was written".
_HEAD: Final = "http11.receive_response_headers.complete"
_SILENT: Final = frozenset(
    f"{step}.{state}"
    for state in ("started", "complete", "failed")
    for step in (
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
    )
) - {"http11.send_request_body.started", "http2.send_request_body.started", _HEAD}
_NEVER_SENT: Final = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)
# What may be better at the next attempt. Not: what a signal handler or a hook of the caller's raises in the middle.
_PASSING: Final = (
    httpcore.NetworkError,
    httpcore.ProxyError,
    httpcore.RemoteProtocolError,
    httpcore.TimeoutException,
    httpx.TransportError,
    OSError,
)


class Evidence:
    """Listens to one attempt through the ``trace`` extension: was the body begun, what head came."""

    __slots__ = ("head", "seen", "wrote")

    def __init__(self) -> None:
        self.wrote = False
        self.seen = False
        self.head: Head | None = None

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.seen = True
        if event in _SILENT:
            return
        if event == _HEAD:
            # Before the body was begun, this is a proxy's answer to CONNECT.
            if self.wrote:
                _, status, _, headers = info["return_value"]
                self.head = status, headers
        else:
            request = info.get("request")
            self.wrote = self.wrote or request is None or request.method != b"CONNECT"

    async def listen(self, event: str, info: Mapping[str, Any]) -> None:
        """The same for httpcore's asynchronous half, which wants a coroutine function."""
        self(event, info)

    def sent(self, error: BaseException) -> bool:
        """Could the gateway have seen the whole request? Without any event the type of the error decides."""
        return self.wrote or not (self.seen or isinstance(error, _NEVER_SENT))


class _Attempt:
    """One attempt of one call, the part that sync and async share: what to send, what came, what it means."""

    __slots__ = ("_chunks", "_size", "_timeout", "begun", "call", "cut", "evidence", "head", "late", "site", "until")

    def __init__(self, site: Endpoint, call: Call[Any], timeout: float, until: float) -> None:
        self.site = site
        self.call = call
        self.until = until
        self.begun = False
        self.evidence = Evidence()
        self.head: Head | None = None
        self.cut: str | None = None
        self.late = False
        self._timeout = timeout
        self._chunks: list[bytes] = []
        self._size = 0

    @property
    def left(self) -> float:
        """Seconds until the deadline of the call, never quite 0."""
        return max(0.001, self.until - time.monotonic())

    def _extensions(self, trace: Trace) -> dict[str, Any]:
        left = self.left
        timeout = {
            "connect": min(CONNECT_SECONDS, left),
            "write": min(WRITE_SECONDS, left),
            "read": min(self._timeout, left),
            "pool": min(PLACE_SECONDS, left),
        }
        return {"timeout": timeout, "trace": trace}

    def request(self, trace: Trace) -> httpcore.Request:
        """The request for a connection of ours."""
        site, call = self.site, self.call
        url, extensions = site.url(call.path), self._extensions(trace)
        if call.body is None:
            request = httpcore.Request(call.method, url, headers=site.headers(body=False).raw, extensions=extensions)
        else:
            length = (b"Content-Length", b"%d" % len(call.body))
            headers = [*site.headers(body=True).raw, length]
            request = httpcore.Request(call.method, url, headers=headers, content=call.body, extensions=extensions)
        # Whatever failed until here failed on this machine.
        self.begun = True
        return request

    def httpx_request(self, trace: Trace, build: Callable[..., httpx.Request] = httpx.Request) -> httpx.Request:
        """The same for httpx; ``build`` may be the caller's own client's, with the headers and cookies it was given."""
        site, call = self.site, self.call
        headers = site.headers(body=call.body is not None)
        url, extensions = site.base_url + call.path, self._extensions(trace)
        request = build(call.method, url, headers=headers, content=call.body, extensions=extensions)
        self.begun = True
        return request

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the body; False: enough, stop reading."""
        self._size += len(chunk)
        if self._size > LARGEST_BODY:
            self.cut = f"longer than {LARGEST_BODY} bytes"
        elif time.monotonic() > self.until:
            self.late = True
            self.cut = _LATE
        else:
            self._chunks.append(chunk)
            return True
        return False

    def answer(self, *, timed_out: bool = False) -> Response:
        """What came, whole or cut."""
        assert self.head is not None
        status, headers = self.head
        as_documented = 200 <= status < 300 and "json" in (_header(headers, b"content-type") or "")
        body = self.site.redact(b"".join(self._chunks), message=as_documented)
        location, retry_after = _header(headers, b"location"), _header(headers, b"retry-after")
        return Response(status, body, location, retry_after, self.cut, timed_out or self.late)

    def failed(self, error: Exception) -> Response | NoResponse:
        """The attempt ended with an error: after a head that is an answer cut short, before it the request is lost."""
        site, evidence = self.site, self.evidence
        self.late = self.late or time.monotonic() > self.until
        timed_out = self.late or isinstance(error, httpx.TimeoutException | httpcore.TimeoutException | TimeoutError)
        # The text of a LocalProtocolError can repeat a header.
        text = "" if isinstance(error, httpx.LocalProtocolError | httpcore.LocalProtocolError) else str(error)
        text = site.redact(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        reason = _LATE if self.late else f"{type(error).__name__}: {text}" if text else type(error).__name__
        self.head = self.head or evidence.head
        if self.head is not None:
            self.cut = reason
            return self.answer(timed_out=timed_out)
        certificate = _chain_has(error, ssl.SSLCertVerificationError)
        return NoResponse(
            may_have_been_sent=self.begun and evidence.sent(error),
            reason=f"{reason} ({site.host})",
            timed_out=timed_out,
            # The same certificate would fail again, and a deadline is over.
            retryable=isinstance(error, _PASSING) and not (certificate or self.late),
            cause=_bare(error, text),
        )

    def interrupted(self, error: BaseException) -> BaseException:
        """A cancelled or interrupted attempt cannot report; what it knows goes onto the exception and into the log."""
        if self.call.is_send and self.evidence.wrote:
            known = f"a send that was cut off may have gone out (reference {self.call.reference!r}); do not repeat it"
            error.add_note(f"modica_facade: {known}")
            _log.warning("%s: %s", type(error).__name__, known)
        return _bare(error, str(error))

    @contextmanager
    def closing(self) -> Generator[None]:
        """A connection that fails while it is being closed is gone, which was the wish; it is only not used again."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the outcome of the call is known; this must not replace it
            self.cut = type(error).__name__
        except BaseException as error:  # noqa: BLE001 - says what is known, and passes on
            self.cut = type(error).__name__
            raise self.interrupted(error)  # noqa: B904 - the same exception

    @property
    def reusable(self) -> bool:
        """May the connection serve another call? Not after anything odd: the next answer on it could be somebody's."""
        if self.cut is not None or self.head is None or self.site.keepalive == 0:
            return False
        # Whoever says "too early" or "too many" may well hang up, and the repeat would be lost in that.
        return 200 <= self.head[0] < 500 and self.head[0] not in {408, 425, 429}


def _header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    values = [value for key, value in headers if key.lower() == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


_CLOSED: Final = "this client, or the http_client it was given, was closed; make a new one"
_LATE: Final = "the deadline of the call passed"
_NO_PLACE: Final = NoResponse(
    may_have_been_sent=False,
    reason=f"{MAX_IN_FLIGHT} calls are in flight and none ended in {PLACE_SECONDS:g} s",
    timed_out=True,
    retryable=False,
)


def _chain_has(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _bare(error: BaseException, text: str) -> BaseException:
    """The error without frames, chain and request, which hold the Authorization header, and with this text."""
    if str(error) != text:
        error.args = (text,)
    if isinstance(error, httpx.RequestError | httpx.HTTPStatusError):
        error.request = httpx.Request("POST", "https://redacted.invalid")
    if isinstance(error, httpx.HTTPStatusError):
        error.response = httpx.Response(error.response.status_code, request=error.request)
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _replaced(kind: type, method: str) -> bool:
    """Has a test library or an instrumentation put something of its own in the place of this method?"""
    function = getattr(kind, method)
    return not (isinstance(function, FunctionType) and function.__globals__ is vars(kind)["__init__"].__globals__)


# What was in the connection before the question was asked is not its answer: it was meant for somebody else.
_STALE: Final = "an answer was there before the request: it belongs to another one"


# Blocking


class _Reply(NamedTuple):
    head: Head
    stream: Iterable[bytes]
    close: Callable[[], None]


class _Stream(httpcore.NetworkStream):
    """httpcore's stream, within the deadline of the call that uses it, and noting whether it was read since written."""

    def __init__(self, inner: httpcore.NetworkStream, line: _Line) -> None:
        self._inner = inner
        self._line = line

    def _within(self, timeout: float | None, late: type[Exception]) -> float:
        left = self._line.until - time.monotonic()
        if left <= 0:
            raise late(_LATE)
        return left if timeout is None else min(timeout, left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._line.fresh = True
        return self._inner.read(max_bytes, self._within(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._line.fresh = False
        self._inner.write(buffer, self._within(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        within = self._within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, within), self._line)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """httpcore's own sockets, each as a `_Stream` of its line."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = httpcore.SyncBackend().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._line)


class _Line:
    """One connection of ours."""

    def __init__(self, site: Endpoint) -> None:
        self.idle_since = self.until = 0.0
        self.fresh = False
        self._connection: httpcore.HTTPConnection | httpcore.HTTPProxy
        if site.proxy is None:
            self._connection = httpcore.HTTPConnection(**site.direct(), network_backend=_Backend(self))
        else:
            self._connection = httpcore.HTTPProxy(**site.through_proxy(), network_backend=_Backend(self))

    def ask(self, attempt: _Attempt) -> _Reply:
        self.until = attempt.until
        response = self._connection.handle_request(attempt.request(attempt.evidence))
        if not self.fresh:
            attempt.evidence.head = None
            raise httpcore.RemoteProtocolError(_STALE)
        return _Reply((response.status, response.headers), cast("Iterable[bytes]", response.stream), response.close)

    def expired(self) -> bool:
        connection = self._connection
        if not isinstance(connection, httpcore.HTTPConnection):
            # The proxy classes are pools, which replace an expired connection themselves.
            return False
        return connection.has_expired() or connection.is_closed()

    def close(self) -> None:
        self._connection.close()


class _HttpxLine:
    """httpx's transport, when something has replaced a method: a test library that wants to see what passes."""

    def __init__(self, site: Endpoint) -> None:
        self.idle_since = 0.0
        self._transport = httpx.HTTPTransport(**site.through_httpx())

    def ask(self, attempt: _Attempt) -> _Reply:
        return _reply(self._transport.handle_request(attempt.httpx_request(attempt.evidence)))

    def expired(self) -> bool:
        return False

    def close(self) -> None:
        self._transport.close()


def _reply(response: httpx.Response) -> _Reply:
    head = response.status_code, response.headers.raw
    return _Reply(head, cast("httpx.SyncByteStream", response.stream), response.close)


class _Lines:
    """What one process has: the free list, and the places that bound the calls in flight."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.places = threading.Semaphore(MAX_IN_FLIGHT)
        self.closed = False
        self._free: list[_Line | _HttpxLine] = []

    def take(self, site: Endpoint) -> _Line | _HttpxLine:
        watched = _replaced(httpx.HTTPTransport, "handle_request") or _replaced(
            httpcore.HTTPConnection, "handle_request"
        )
        kind = _HttpxLine if watched else _Line
        with suppress(IndexError):
            while True:
                line = self._free.pop()
                if isinstance(line, kind) and not line.expired():
                    return line
                line.close()
        return kind(site)

    def give_back(self, line: _Line | _HttpxLine, keepalive: float) -> None:
        line.idle_since = now = time.monotonic()
        self._free.append(line)
        # The bottom of a last-in-first-out list is what nobody needs any more. It ends where another thread emptied it.
        with suppress(IndexError):
            while self.closed or self._free[0].idle_since < now - keepalive:
                self._free.pop(0).close()

    def close(self) -> None:
        """Close what is idle; takes no lock, which a thread of the parent may hold for ever in a forked child."""
        self.closed = True
        with suppress(IndexError):
            while True:
                self._free.pop().close()


class Transport:
    """Blocking attempts; safe to share between threads, and in a forked child, which starts with no connection."""

    def __init__(self, site: Endpoint, client: httpx.Client | None = None) -> None:
        if client is not None and not isinstance(client, httpx.Client):
            raise ConfigurationError("http_client must be an httpx.Client")
        if client is None:
            site.prepare()
        self._site = site
        self._client = client
        self._lines = _Lines()

    def attempt(self, call: Call[Any], timeout: float, until: float) -> Response | NoResponse:
        """Try once.

        Args:
            call: what to ask.
            timeout: seconds for each read.
            until: ``time.monotonic()`` at which the attempt must be over.

        Raises:
            ConfigurationError: the client is closed.
        """
        lines = self._own_lines()
        if lines.closed or (self._client is not None and self._client.is_closed):
            raise ConfigurationError(_CLOSED)
        attempt = _Attempt(self._site, call, timeout, until)
        if not lines.places.acquire(timeout=min(PLACE_SECONDS, attempt.left)):
            return _NO_PLACE
        try:
            return self._perform(attempt, lines)
        finally:
            lines.places.release()

    def _perform(self, attempt: _Attempt, lines: _Lines) -> Response | NoResponse:
        line: _Line | _HttpxLine | None = None
        reply: _Reply | None = None
        try:
            if self._client is None:
                line = lines.take(self._site)
                reply = line.ask(attempt)
            else:
                request = attempt.httpx_request(attempt.evidence, self._client.build_request)
                reply = _reply(self._client.send(request, stream=True, auth=None, follow_redirects=False))
            attempt.head = reply.head
            for chunk in reply.stream:
                if not attempt.feed(chunk):
                    break
            return attempt.answer()
        except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises, the evidence says what it means
            return attempt.failed(error)
        except BaseException as error:  # noqa: BLE001 - says what is known, and passes on
            raise attempt.interrupted(error)  # noqa: B904 - the same exception, without frames that hold credentials
        finally:
            # Each of these can be interrupted as well; then the ones after it still happen.
            try:
                if reply is not None:
                    with attempt.closing():
                        reply.close()
            finally:
                if line is not None:
                    with attempt.closing():
                        if attempt.reusable:
                            lines.give_back(line, self._site.keepalive)
                        else:
                            line.close()

    def _own_lines(self) -> _Lines:
        lines = self._lines
        if lines.pid != os.getpid():
            # A fork copied the parent's connections; two processes on one connection read each other's answers.
            # Closing the copies takes nothing from the parent: only this process's descriptors go.
            self._lines, inherited = _Lines(), lines
            self._lines.closed = inherited.closed
            inherited.close()
            lines = self._lines
        return lines

    def close(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        self._own_lines().close()


# Asynchronous: the same, with await


class _AsyncReply(NamedTuple):
    head: Head
    stream: AsyncIterable[bytes]
    close: Callable[[], Awaitable[None]]


class _AsyncStream(httpcore.AsyncNetworkStream):
    """httpcore's stream, noting whether it was read since written; the deadline is the task's."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, line: _AsyncLine) -> None:
        self._inner = inner
        self._line = line

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        self._line.fresh = True
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's interface
        self._line.fresh = False
        await self._inner.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._line)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own sockets, each as an `_AsyncStream` of its line."""

    def __init__(self, line: _AsyncLine) -> None:
        self._line = line

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        # Type checkers see the stand-in that httpcore has for an environment without anyio, which httpx requires.
        backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        return _AsyncStream(await backend.connect_tcp(host, port, timeout, local_address, socket_options), self._line)


class _AsyncLine:
    """One connection of ours."""

    def __init__(self, site: Endpoint) -> None:
        self.idle_since = 0.0
        self.fresh = False
        self._connection: httpcore.AsyncHTTPConnection | httpcore.AsyncHTTPProxy
        if site.proxy is None:
            self._connection = httpcore.AsyncHTTPConnection(**site.direct(), network_backend=_AsyncBackend(self))
        else:
            self._connection = httpcore.AsyncHTTPProxy(**site.through_proxy(), network_backend=_AsyncBackend(self))

    async def ask(self, attempt: _Attempt) -> _AsyncReply:
        response = await self._connection.handle_async_request(attempt.request(attempt.evidence.listen))
        if not self.fresh:
            attempt.evidence.head = None
            raise httpcore.RemoteProtocolError(_STALE)
        head = response.status, response.headers
        return _AsyncReply(head, cast("AsyncIterable[bytes]", response.stream), response.aclose)

    def expired(self) -> bool:
        connection = self._connection
        if not isinstance(connection, httpcore.AsyncHTTPConnection):
            return False
        return connection.has_expired() or connection.is_closed()

    async def close(self) -> None:
        await self._connection.aclose()


class _AsyncHttpxLine:
    """httpx's transport, when something has replaced a method: a test library that wants to see what passes."""

    def __init__(self, site: Endpoint) -> None:
        self.idle_since = 0.0
        self._transport = httpx.AsyncHTTPTransport(**site.through_httpx())

    async def ask(self, attempt: _Attempt) -> _AsyncReply:
        request = attempt.httpx_request(attempt.evidence.listen)
        return _async_reply(await self._transport.handle_async_request(request))

    def expired(self) -> bool:
        return False

    async def close(self) -> None:
        await self._transport.aclose()


def _async_reply(response: httpx.Response) -> _AsyncReply:
    head = response.status_code, response.headers.raw
    return _AsyncReply(head, cast("httpx.AsyncByteStream", response.stream), response.aclose)


class _AsyncLines:
    """What one event loop has: the free list, and the places that bound the calls in flight."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.loop = loop
        self.places = asyncio.Semaphore(MAX_IN_FLIGHT)
        self.closed = False
        self._free: list[_AsyncLine | _AsyncHttpxLine] = []

    async def take(self, site: Endpoint) -> _AsyncLine | _AsyncHttpxLine:
        method = "handle_async_request"
        watched = _replaced(httpx.AsyncHTTPTransport, method) or _replaced(httpcore.AsyncHTTPConnection, method)
        kind = _AsyncHttpxLine if watched else _AsyncLine
        while self._free:
            line = self._free.pop()
            if isinstance(line, kind) and not line.expired():
                return line
            await line.close()
        return kind(site)

    async def give_back(self, line: _AsyncLine | _AsyncHttpxLine, keepalive: float) -> None:
        line.idle_since = now = time.monotonic()
        self._free.append(line)
        while self._free and (self.closed or self._free[0].idle_since < now - keepalive):
            await self._free.pop(0).close()

    async def close(self) -> None:
        self.closed = True
        while self._free:
            await self._free.pop().close()


class AsyncTransport:
    """Attempts on asyncio; safe to share between tasks. Another event loop starts with no connection."""

    def __init__(self, site: Endpoint, client: httpx.AsyncClient | None = None) -> None:
        if client is not None and not isinstance(client, httpx.AsyncClient):
            raise ConfigurationError("http_client must be an httpx.AsyncClient")
        if client is None:
            site.prepare()
        self._site = site
        self._client = client
        self._lines: _AsyncLines | None = None

    async def attempt(self, call: Call[Any], timeout: float, until: float) -> Response | NoResponse:  # noqa: ASYNC109 - per read
        """Try once; see `Transport.attempt`."""
        lines = self._own_lines()
        if lines.closed or (self._client is not None and self._client.is_closed):
            raise ConfigurationError(_CLOSED)
        attempt = _Attempt(self._site, call, timeout, until)
        if not await _place(lines.places, min(PLACE_SECONDS, attempt.left)):
            return _NO_PLACE
        try:
            return await self._perform(attempt, lines)
        finally:
            lines.places.release()

    async def _perform(self, attempt: _Attempt, lines: _AsyncLines) -> Response | NoResponse:
        import asyncio

        line: _AsyncLine | _AsyncHttpxLine | None = None
        reply: _AsyncReply | None = None
        try:
            async with asyncio.timeout(attempt.left):
                if self._client is None:
                    line = await lines.take(self._site)
                    reply = await line.ask(attempt)
                else:
                    request = attempt.httpx_request(attempt.evidence.listen, self._client.build_request)
                    response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
                    reply = _async_reply(response)
                attempt.head = reply.head
                async for chunk in reply.stream:
                    if not attempt.feed(chunk):
                        break
            return attempt.answer()
        except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises, the evidence says what it means
            return attempt.failed(error)
        except BaseException as error:  # noqa: BLE001 - says what is known, and passes on
            raise attempt.interrupted(error)  # noqa: B904 - the same exception, without frames that hold credentials
        finally:
            # Each of these can be cancelled as well; then the ones after it still happen.
            try:
                if reply is not None:
                    with attempt.closing():
                        await reply.close()
            finally:
                if line is not None:
                    with attempt.closing():
                        if attempt.reusable:
                            await lines.give_back(line, self._site.keepalive)
                        else:
                            await line.close()

    def _own_lines(self) -> _AsyncLines:
        import asyncio

        loop = asyncio.get_running_loop()
        if self._lines is None or self._lines.loop is not loop:
            # Connections of another loop cannot even be closed from here; the garbage collector closes their sockets.
            self._lines = _AsyncLines(loop)
        return self._lines

    async def aclose(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        await self._own_lines().close()


async def _place(places: asyncio.Semaphore, patience: float) -> bool:
    if places.locked():
        import asyncio

        try:
            async with asyncio.timeout(patience):
                return await places.acquire()
        except TimeoutError:
            return False
    return await places.acquire()
