"""Where callbacks go: a URL (one request, no redirects, no proxies), an application in this process, or a function."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import inspect
import io
import json
import re
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, Self, cast
from urllib.parse import unquote, unquote_to_bytes, urlsplit, urlunsplit

import attrs

_TIMEOUT = 10.0
_SHAPE = "a callback URL looks like https://name:password@host/path"
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")

Payload = Mapping[str, Any]
Headers = Mapping[str, str]
Loop = asyncio.AbstractEventLoop | None
CallbackUrl = str | Callable[..., Any] | tuple[Callable[..., Any], str]
"""A URL; or an application or function in this process; or an application and the URL it believes to be called at."""


class Receiver(Protocol):
    """What `receiver_of` makes of a `CallbackUrl`."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        ...

    def post(self, payload: Payload, headers: Headers, loop: Loop, /) -> int:
        """Hand over a callback and return the status code of the answer.

        Asynchronous receivers in this process run in ``loop``, or without one in a loop of their own.

        Raises:
            Exception: there was no answer.
        """
        ...


def post(given: CallbackUrl, payload: Payload, headers: Headers, loop: Loop = None) -> tuple[int | None, str | None]:
    """Hand a callback over, whatever happens over there: the status code of the answer, or None and why there was none.

    Raises:
        ValueError: it is no callback URL.
    """
    receiver = receiver_of(given)
    try:
        return receiver.post(payload, headers, loop), None
    except Exception as error:  # noqa: BLE001 - a receiver may fail in any way, one in this process above all
        return None, f"{type(error).__name__}: {error}"


def receiver_of(given: CallbackUrl) -> Receiver:
    """The receiver that a callback URL means.

    Raises:
        ValueError: it is none, and cannot be posted to.
    """
    if isinstance(given, str):
        return _Url.of(given)
    both = cast("tuple[Any, Any]", given) if isinstance(given, tuple) else (given, "http://localhost/")
    application, url = both
    if not callable(application):
        raise ValueError(f"{_SHAPE}, or is an ASGI or WSGI application, or a function of the payload; not {given!r}")
    target = _Url.of(url)
    match _positional(application):
        case 3:
            return _Asgi(application, target)
        case 2:
            return _Wsgi(application, target)
        case _:
            return _Function(application)


def _positional(function: Callable[..., Any]) -> int:
    """How many arguments it must have: 3 for ASGI, 2 for WSGI."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


@attrs.frozen
class _Url:
    """A URL taken apart."""

    url: str  # without the credentials
    secure: bool
    host: str
    port: int | None
    path: str
    authorization: str | None = attrs.field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Take ``url`` apart.

        Raises:
            ValueError: it is no http or https URL with a host, or has characters or a port that no request can have.
        """
        if not isinstance(url, str) or not re.fullmatch("[!-~]+", url):
            raise ValueError(f"{_SHAPE}, in ASCII, everything else percent-encoded; not {_without_userinfo(url)!r}")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            # Its text may quote what it takes for a port: part of the password.
            raise ValueError(f"{_SHAPE}; not {_without_userinfo(url)!r}") from None
        userinfo, at, address = parts.netloc.rpartition("@")
        well_formed = (address.startswith("[") or _HOST.fullmatch(host)) and not address.endswith(":") and port != 0
        if parts.scheme not in ("http", "https") or not host or not well_formed:
            raise ValueError(f"{_SHAPE}; not {_without_userinfo(url)!r}")
        return cls(
            url=urlunsplit(parts._replace(netloc=address)),
            secure=parts.scheme == "https",
            host=host,
            port=port,
            path=urlunsplit(("", "", parts.path or "/", parts.query, "")),
            authorization=f"Basic {base64.b64encode(unquote_to_bytes(userinfo)).decode()}" if at else None,
        )

    def headers(self, body: bytes, given: Headers) -> dict[str, str]:
        credentials = {} if self.authorization is None else {"Authorization": self.authorization}
        return {"Content-Type": "application/json", "Content-Length": str(len(body)), **given, **credentials}

    def post(self, payload: Payload, headers: Headers, _loop: Loop, /) -> int:
        body = json.dumps(payload).encode()
        with contextlib.closing(self._connection()) as connection:
            connection.request("POST", self.path, body, self.headers(body, headers))
            with connection.getresponse() as response:
                return response.status

    def _connection(self) -> http.client.HTTPConnection:
        if self.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)


def _without_userinfo(url: object) -> str:
    """For an error message: it must not show a password."""
    return re.sub("(?s)^(.*?//)?.*@", r"\1", str(url))


@attrs.frozen
class _Asgi:
    """An ASGI application; there is no lifespan."""

    application: Callable[..., Any]
    target: _Url

    @property
    def url(self) -> str:
        return self.target.url

    def post(self, payload: Payload, headers: Headers, loop: Loop, /) -> int:
        body = json.dumps(payload).encode()
        path, _, query = self.target.path.partition("?")
        fields = {"Host": self.target.host, **self.target.headers(body, headers)}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https" if self.target.secure else "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 0),
            "server": (self.target.host, self.target.port or 80),
        }
        statuses: list[int] = []

        async def call() -> None:
            events = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> dict[str, Any]:
                if events:
                    return events.pop()
                return await asyncio.Future()  # a client that waits for its answer

            async def send(event: Mapping[str, Any]) -> None:
                if event["type"] == "http.response.start":
                    statuses.append(event["status"])

            await self.application(scope, receive, send)

        _run(call(), loop)
        if not statuses:
            raise RuntimeError("the application returned without an answer")
        return statuses[0]


@attrs.frozen
class _Wsgi:
    """A WSGI application."""

    application: Callable[..., Any]
    target: _Url

    @property
    def url(self) -> str:
        return self.target.url

    def post(self, payload: Payload, headers: Headers, _loop: Loop, /) -> int:
        body = json.dumps(payload).encode()
        path, _, query = self.target.path.partition("?")
        fields = self.target.headers(body, headers)
        errors = io.StringIO()
        environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": fields.pop("Content-Type"),
            "CONTENT_LENGTH": fields.pop("Content-Length"),
            "SERVER_NAME": self.target.host,
            "SERVER_PORT": str(self.target.port or 80),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": self.target.host,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self.target.secure else "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": errors,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
        statuses: list[str] = []

        def start_response(status: str, _headers: object, exc_info: Any = None) -> Callable[[bytes], object]:
            if exc_info is not None:
                raise exc_info[1]
            statuses.append(status)
            return lambda _: None

        result = self.application(environ, start_response)
        try:
            for _ in result:
                pass
        finally:
            if hasattr(result, "close"):
                result.close()
        return int(statuses[0].split()[0])


@attrs.frozen
class _Function:
    """A function of the payload; it may return a status code."""

    function: Callable[[dict[str, Any]], Any]

    @property
    def url(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))

    def post(self, payload: Payload, _headers: Headers, loop: Loop, /) -> int:
        result = self.function(dict(payload))
        if inspect.iscoroutine(result):
            result = _run(result, loop)
        return result if isinstance(result, int) and 100 <= result <= 599 else 200


def _run(coroutine: Coroutine[Any, Any, Any], loop: Loop) -> Any:
    """Run it to its end: in a loop that runs in another thread, or in one of its own."""
    if loop is not None:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(_TIMEOUT)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise RuntimeError("an asynchronous receiver needs the event loop that this call blocks: use AsyncSimulator")
