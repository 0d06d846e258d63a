"""Connections we account for: each attempt of a call ends as an `Answer`, or as a `Lost` that says what was sent.

A line is one ``httpx.HTTPTransport`` that holds at most one connection. Lines wait on a last-in-first-out free list, so
the cost of a send does not grow with the number in flight, a doubtful connection is thrown away with everything that
belongs to it, and a forked child or another event loop starts with none. Nothing here raises but for cancellation.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import ipaddress
import logging
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

import httpx

from ._calls import USER_AGENT, Answer, Call, Lost
from .errors import ConfigurationError

_log = logging.getLogger("modica_facade")

CONNECT_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 10.0
PLACE_SECONDS: Final = 5.0
MOST_IN_FLIGHT: Final = 100
# A broadcast of 1000 answers with about 150 KB; ten times that is not an answer of the gateway.
LARGEST_BODY: Final = 2 * 1024 * 1024


# Where to, and as whom


class Site:
    """One gateway as one application: base URL, headers with the credentials, time-outs, the rules for its connections.

    Raises:
        ConfigurationError: the base URL or a number cannot be used. The message does not repeat the URL, which may hold
            a password.
    """

    __slots__ = ("_secrets", "_urls", "base_url", "body_headers", "headers", "host", "keepalive", "limits", "proxy")

    def __init__(self, base_url: str, username: str, password: str, accept: str, keepalive: float) -> None:
        self.base_url, self.host = check_base_url(base_url)
        self.keepalive = check_seconds("keepalive", keepalive, zero=True)
        token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        self.headers = httpx.Headers(
            {
                "Accept": accept,
                "Accept-Encoding": "identity",
                "Authorization": f"Basic {token}",
                "User-Agent": USER_AGENT,
            }
        )
        self.body_headers = httpx.Headers([*self.headers.raw, (b"Content-Type", b"application/json")])
        # A closure, not an attribute: what dumps objects by their attributes does not find it.
        secrets = [token.encode(), *([password.encode()] if len(password) >= 6 else [])]
        self._secrets: Callable[[], list[bytes]] = lambda: secrets
        self._urls: dict[str, httpx.URL] = {}
        kept = 1 if self.keepalive else 0
        self.limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=kept, keepalive_expiry=self.keepalive or None
        )
        self.proxy = None if _is_loopback(self.host) else _environment_proxy(self.host)

    def url(self, path: str) -> httpx.URL:
        """The full URL of a path; those of sends are few and kept, parsing one costs a tenth of a send."""
        url = self._urls.get(path)
        if url is None:
            url = httpx.URL(self.base_url + path)
            if path.count("/") < 3 and "?" not in path and not path[-1].isdigit():
                self._urls[path] = url
        return url

    def redact(self, text: bytes) -> bytes:
        """What a stranger wrote, without our credentials: a debugging proxy echoes request headers into error pages."""
        for secret in self._secrets():
            text = text.replace(secret, b"[redacted]")
        return text

    def tls(self) -> ssl.SSLContext | bool:
        """The shared TLS settings; plain http, allowed for loopback only, needs none."""
        return False if self.base_url.startswith("http:") else _tls(*_ca_settings())


def check_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """A finite, positive number of seconds (0 too, with ``zero``)."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 86400 and (zero or value > 0)
    if not good:
        raise ConfigurationError(f"{name} must be seconds, {'0 or more' if zero else 'more than 0'}, below a day")
    return float(value)  # type: ignore[arg-type]  # checked in the line above, which mypy cannot follow


_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])", re.ASCII)
_URL = re.compile(r"(https?)://([^/]*)(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?", re.ASCII)


def check_base_url(base_url: object) -> tuple[str, str]:
    """The base URL without a closing slash, and its host.

    Raises:
        ConfigurationError: not https (http for a loopback host), or more in it than host, port and path.
    """
    match = _URL.fullmatch(base_url) if isinstance(base_url, str) else None
    if match is None:
        raise ConfigurationError("base_url must be like https://host/path: no user, query, fragment or odd characters")
    scheme, authority, path = match[1], match[2], (match[3] or "").rstrip("/")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, ""
    if "@" in authority:
        raise ConfigurationError("base_url must not hold credentials; pass username and password instead")
    if not _HOST.fullmatch(host):
        raise ConfigurationError("base_url has no usable host; write it like https://host/path")
    if (colon and not authority.endswith("]")) and not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise ConfigurationError("base_url has a port outside 1 to 65535")
    if any(part in {".", ".."} for part in path.split("/")):
        raise ConfigurationError("base_url has . or .. in its path; write the path in full")
    if scheme == "http" and not _is_loopback(host):
        raise ConfigurationError("base_url must begin with https://: http would show password and text to everyone")
    return f"{scheme}://{authority}{path}", host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _environment_proxy(host: str) -> httpx.Proxy | None:
    proxies = urllib.request.getproxies()
    url = proxies.get("https") or proxies.get("all")
    if not url or urllib.request.proxy_bypass(host):
        return None
    try:
        return httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        # Without its cause: that repeats the URL, which may hold the proxy's password.
        raise ConfigurationError("the proxy in HTTPS_PROXY or ALL_PROXY is not a usable URL; correct it") from None


def _ca_settings() -> tuple[str | None, str | None]:
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.cache
def _tls(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    # One for all clients: building it takes 30 ms. Cached by the settings that httpx reads while building it.
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # SSLKEYLOGFILE would write the keys to every credential and message of this process.
    context.keylog_filename = None  # type: ignore[assignment]  # documented as None by default, typeshed has str
    return context


# What an attempt proved

# httpcore's public trace events after which the body of a request may still be wholly on this machine. Any event that
# is not listed, one of a future httpcore too, counts as "the request was written".
_STATES: Final = ("started", "complete", "failed")
_CONNECTING: Final = frozenset(
    f"{step}.{state}"
    for state in _STATES
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
    )
)
_SILENT: Final = frozenset(
    f"{protocol}.{step}.{state}"
    for protocol in ("http11", "http2")
    for state in _STATES
    for step in (
        "send_connection_init",
        "receive_remote_settings",
        "send_request_headers",
        "send_request_body",
        "receive_response_headers",
        "receive_response_body",
        "response_closed",
    )
) - {"http11.send_request_body.started", "http2.send_request_body.started", "http11.receive_response_headers.complete"}
_HEAD: Final = "http11.receive_response_headers.complete"
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)


class Evidence:
    """Listens to one attempt through the ``trace`` extension: was the body begun, what head came, on which socket."""

    __slots__ = ("head", "late", "seen", "stream", "wrote")

    def __init__(self) -> None:
        self.wrote = False
        self.seen = False
        self.late = False
        self.head: tuple[int, httpx.Headers] | None = None
        self.stream: Any = None

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.seen = True
        if event in _SILENT:
            return
        if event in _CONNECTING:
            self.stream = info.get("return_value") or self.stream
        elif event == _HEAD:
            # Before the body was begun, this is a proxy's answer to CONNECT.
            if self.wrote:
                _, status, _, headers = info["return_value"]
                self.head = status, httpx.Headers(headers)
        else:
            request = info.get("request")
            self.wrote = self.wrote or request is None or request.method != b"CONNECT"

    async def listen(self, event: str, info: Mapping[str, Any]) -> None:
        """The same for httpcore's asynchronous half, which wants a coroutine function."""
        self(event, info)

    def sent(self, error: BaseException) -> bool:
        """Could the gateway have seen the whole request? Without any event the type of the error decides."""
        return self.wrote or not (self.seen or isinstance(error, _NEVER_SENT))

    def cut_off(self) -> None:
        """End the attempt from another thread: its deadline has passed."""
        self.late = True
        line = self.stream.get_extra_info("socket") if self.stream is not None else None
        if isinstance(line, socket.socket):
            # Not SSLSocket.shutdown: that would take the TLS object from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)


class _Attempt:
    """One attempt of one call, the part that both colours share: what to send, what came, what it means."""

    __slots__ = ("_chunks", "_size", "_timeout", "call", "cut", "evidence", "head", "left", "site", "until")

    def __init__(self, site: Site, call: Call[Any], timeout: float, until: float) -> None:
        self.site = site
        self.call = call
        self.until = until
        self.left = max(0.001, until - time.monotonic())
        self.evidence = Evidence()
        self.head: tuple[int, httpx.Headers] | None = None
        self.cut: str | None = None
        self._timeout = timeout
        self._chunks: list[bytes] = []
        self._size = 0

    def request(self, trace: Callable[..., Any], build: Callable[..., httpx.Request] = httpx.Request) -> httpx.Request:
        """The request; ``build`` may be the caller's own client's, which adds the headers and cookies it was given."""
        call, left = self.call, self.left
        timeout = {
            "connect": min(CONNECT_SECONDS, left),
            "write": min(WRITE_SECONDS, left),
            "read": min(self._timeout, left),
            "pool": min(PLACE_SECONDS, left),
        }
        headers = self.site.headers if call.body is None else self.site.body_headers
        extensions = {"timeout": timeout, "trace": trace}
        return build(call.method, self.site.url(call.path), headers=headers, content=call.body, extensions=extensions)

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the body; False: enough, stop reading."""
        self._size += len(chunk)
        if self._size > LARGEST_BODY:
            self.cut = f"longer than {LARGEST_BODY} bytes"
        elif time.monotonic() > self.until:
            self.evidence.late = True
            self.cut = _LATE
        else:
            self._chunks.append(chunk)
            return True
        return False

    def answer(self, *, timed_out: bool = False) -> Answer:
        assert self.head is not None
        status, headers = self.head
        body = b"".join(self._chunks)
        if not 200 <= status < 300:
            body = self.site.redact(body)
        timed_out = timed_out or self.evidence.late
        return Answer(status, body, headers.get("location"), headers.get("retry-after"), self.cut, timed_out)

    def failed(self, error: Exception) -> Answer | Lost:
        """The attempt ended with an error: after a head that is an answer cut short, before it the request is lost."""
        site, evidence = self.site, self.evidence
        evidence.late = evidence.late or time.monotonic() > self.until
        # The text of a LocalProtocolError can repeat a header.
        text = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
        text = site.redact(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        reason = _LATE if evidence.late else f"{type(error).__name__}: {text}" if text else type(error).__name__
        timed_out = evidence.late or isinstance(error, httpx.TimeoutException | TimeoutError)
        self.head = self.head or evidence.head
        if self.head is not None:
            self.cut = reason
            return self.answer(timed_out=timed_out)
        certificate = _chain_has(error, ssl.SSLCertVerificationError)
        return Lost(
            sent=evidence.sent(error),
            reason=f"{reason} ({site.host})",
            timed_out=timed_out,
            # The same certificate would fail again, and a deadline is over.
            repeatable=not (certificate or evidence.late),
            cause=_bare(error),
        )

    def interrupted(self, error: BaseException) -> BaseException:
        """A cancelled or interrupted attempt cannot report; what it knows goes onto the exception and into the log."""
        if self.call.creates and self.evidence.wrote:
            known = f"a send that was cut off may have gone out (reference {self.call.reference!r}); do not repeat it"
            error.add_note(f"modica_facade: {known}")
            _log.warning("%s: %s", type(error).__name__, known)
        return _bare(error)

    @contextmanager
    def closing(self) -> Generator[None]:
        """A connection that fails while it is being closed is gone, which was the wish; it is only not used again."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the outcome of the call is known; this must not replace it
            self.cut = type(error).__name__

    @property
    def reusable(self) -> bool:
        """May the connection serve another call? Not after anything odd: the next answer on it could be somebody's."""
        return self.cut is None and self.head is not None and 200 <= self.head[0] < 500 and self.site.keepalive > 0


_CLOSED: Final = "this client was closed; make a new one"
_LATE: Final = "the deadline of the call passed"
_NO_PLACE: Final = Lost(
    sent=False,
    reason=f"{MOST_IN_FLIGHT} calls are in flight and none ended in {PLACE_SECONDS:g} s",
    timed_out=True,
    repeatable=False,
)


def _chain_has(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _bare(error: BaseException) -> BaseException:
    """The error without frames, chain and request: the HTTP library's frames hold the Authorization header."""
    if isinstance(error, httpx.RequestError | httpx.HTTPStatusError):
        error.request = httpx.Request("POST", "https://redacted.invalid")
    if isinstance(error, httpx.HTTPStatusError):
        error.response = httpx.Response(error.response.status_code, request=error.request)
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


# Blocking


class _Line:
    """A transport that holds at most one connection; ``stream`` is that connection's, as far as it is known."""

    __slots__ = ("idle_since", "stream", "transport")

    def __init__(self, site: Site) -> None:
        self.transport = httpx.HTTPTransport(verify=site.tls(), limits=site.limits, proxy=site.proxy)
        self.stream: Any = None
        self.idle_since = 0.0


class _Watch:
    """Cuts attempts off at their deadline: a time-out per read never fires on a server that drips.

    Its thread starts with the first call, sleeps until the earliest deadline, and ends when it wakes to nothing to do.
    """

    def __init__(self) -> None:
        self._due: dict[Evidence, float] = {}
        self._changed = threading.Condition()
        self._wakes = math.inf
        self._running = False

    def add(self, evidence: Evidence, until: float) -> None:
        with self._changed:
            self._due[evidence] = until
            if until < self._wakes:
                self._wakes = until
                if self._running:
                    self._changed.notify()
                else:
                    self._running = True
                    threading.Thread(target=self._run, name="modica_facade deadlines", daemon=True).start()

    def discard(self, evidence: Evidence) -> None:
        with self._changed:
            self._due.pop(evidence, None)

    def close(self) -> None:
        """Wake the thread, so that it need not sleep out its time when nothing is in flight."""
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._due:
                now = time.monotonic()
                for evidence in [evidence for evidence, until in self._due.items() if until <= now]:
                    del self._due[evidence]
                    evidence.cut_off()
                self._wakes = min(self._due.values(), default=now)
                if self._due:
                    self._changed.wait(self._wakes - now)
            self._wakes = math.inf
            self._running = False


class _Lines:
    """What one process has: the free list, the deadline watch, and the places that bound the calls in flight."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.places = threading.Semaphore(MOST_IN_FLIGHT)
        self.watch = _Watch()
        self.closed = False
        self._free: list[_Line] = []

    def take(self, site: Site) -> _Line:
        try:
            return self._free.pop()
        except IndexError:
            return _Line(site)

    def give_back(self, line: _Line, keepalive: float) -> None:
        line.idle_since = now = time.monotonic()
        self._free.append(line)
        # The bottom of a last-in-first-out list is what nobody needs any more. It ends where another thread emptied it.
        with suppress(IndexError):
            while self.closed or self._free[0].idle_since < now - keepalive:
                self._free.pop(0).transport.close()

    def close(self) -> None:
        self.closed = True
        self.drop()
        self.watch.close()

    def drop(self) -> None:
        """Close what is idle; takes no lock, which a thread of the parent may hold for ever in a forked child."""
        with suppress(IndexError):
            while True:
                self._free.pop().transport.close()


class Transport:
    """Blocking attempts; safe to share between threads, and in a forked child, which starts with no connection."""

    def __init__(self, site: Site, client: httpx.Client | None = None) -> None:
        self._site = site
        self._client = client
        self._lines = _Lines()

    def attempt(self, call: Call[Any], timeout: float, until: float) -> Answer | Lost:
        """Try once.

        Args:
            call: what to ask.
            timeout: seconds for each read.
            until: ``time.monotonic()`` at which the attempt must be over.

        Raises:
            ConfigurationError: the client is closed.
        """
        lines = self._own_lines()
        if lines.closed:
            raise ConfigurationError(_CLOSED)
        attempt = _Attempt(self._site, call, timeout, until)
        if not lines.places.acquire(timeout=min(PLACE_SECONDS, attempt.left)):
            return _NO_PLACE
        evidence = attempt.evidence
        line: _Line | None = None
        response: httpx.Response | None = None
        lines.watch.add(evidence, until)
        try:
            if self._client is None:
                line = lines.take(self._site)
                evidence.stream = line.stream
                response = line.transport.handle_request(attempt.request(evidence))
            else:
                request = attempt.request(evidence, self._client.build_request)
                response = self._client.send(request, stream=True, auth=None, follow_redirects=False)
            attempt.head = response.status_code, response.headers
            for chunk in cast("httpx.SyncByteStream", response.stream):
                if not attempt.feed(chunk):
                    break
            outcome: Answer | Lost = attempt.answer()
        except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises, the evidence says what it means
            outcome = attempt.failed(error)
        except BaseException as error:  # noqa: BLE001 - says what is known, and passes on
            raise attempt.interrupted(error)  # noqa: B904 - the same exception, without frames that hold credentials
        finally:
            lines.watch.discard(evidence)
            if response is not None:
                with attempt.closing():
                    response.close()
            if line is not None and attempt.reusable:
                line.stream = evidence.stream
                lines.give_back(line, self._site.keepalive)
            elif line is not None:
                with attempt.closing():
                    line.transport.close()
            lines.places.release()
        return outcome

    def _own_lines(self) -> _Lines:
        lines = self._lines
        if lines.pid != os.getpid():
            # A fork copied the parent's connections; two processes on one connection read each other's answers.
            # Closing the copies takes nothing from the parent: only this process's descriptors go.
            self._lines, inherited = _Lines(), lines
            self._lines.closed = inherited.closed
            inherited.drop()
            lines = self._lines
        return lines

    def close(self) -> None:
        """Close every idle connection; one in use is closed when its call ends. A client that was given stays open."""
        self._own_lines().close()


# Asynchronous: the same, with await


class _AsyncLine:
    __slots__ = ("idle_since", "transport")

    def __init__(self, site: Site) -> None:
        self.transport = httpx.AsyncHTTPTransport(verify=site.tls(), limits=site.limits, proxy=site.proxy)
        self.idle_since = 0.0


class _AsyncLines:
    """What one event loop has: the free list, and the places that bound the calls in flight."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.places = asyncio.Semaphore(MOST_IN_FLIGHT)
        self.closed = False
        self._free: list[_AsyncLine] = []

    def take(self, site: Site) -> _AsyncLine:
        return self._free.pop() if self._free else _AsyncLine(site)

    async def give_back(self, line: _AsyncLine, keepalive: float) -> None:
        line.idle_since = now = time.monotonic()
        self._free.append(line)
        while self._free and (self.closed or self._free[0].idle_since < now - keepalive):
            await self._free.pop(0).transport.aclose()

    async def close(self) -> None:
        self.closed = True
        while self._free:
            await self._free.pop().transport.aclose()


class AsyncTransport:
    """Attempts on asyncio; safe to share between tasks. Another event loop starts with no connection."""

    def __init__(self, site: Site, client: httpx.AsyncClient | None = None) -> None:
        self._site = site
        self._client = client
        self._lines: _AsyncLines | None = None

    async def attempt(self, call: Call[Any], timeout: float, until: float) -> Answer | Lost:  # noqa: ASYNC109 - per read
        """Try once; see `Transport.attempt`."""
        lines = self._own_lines()
        if lines.closed:
            raise ConfigurationError(_CLOSED)
        attempt = _Attempt(self._site, call, timeout, until)
        if not await _place(lines.places, min(PLACE_SECONDS, attempt.left)):
            return _NO_PLACE
        evidence = attempt.evidence
        line: _AsyncLine | None = None
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(attempt.left):
                if self._client is None:
                    line = lines.take(self._site)
                    response = await line.transport.handle_async_request(attempt.request(evidence.listen))
                else:
                    request = attempt.request(evidence.listen, self._client.build_request)
                    response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
                attempt.head = response.status_code, response.headers
                async for chunk in cast("httpx.AsyncByteStream", response.stream):
                    if not attempt.feed(chunk):
                        break
            outcome: Answer | Lost = attempt.answer()
        except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises, the evidence says what it means
            outcome = attempt.failed(error)
        except BaseException as error:  # noqa: BLE001 - says what is known, and passes on
            raise attempt.interrupted(error)  # noqa: B904 - the same exception, without frames that hold credentials
        finally:
            if response is not None:
                with attempt.closing():
                    await response.aclose()
            if line is not None and attempt.reusable:
                await lines.give_back(line, self._site.keepalive)
            elif line is not None:
                with attempt.closing():
                    await line.transport.aclose()
            lines.places.release()
        return outcome

    def _own_lines(self) -> _AsyncLines:
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
        try:
            async with asyncio.timeout(patience):
                return await places.acquire()
        except TimeoutError:
            return False
    return await places.acquire()
