"""One ``async (Request) -> Response`` function as an ASGI and as a WSGI application, the body capped while it is read.

The function is written once, in reading order; what differs between the two worlds, reading a body and calling a
user's code, is the request's business. Under WSGI nothing that it awaits ever suspends, so no event loop is needed.
Paths are not looked at: where the application is mounted is its host's business.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from attrs import frozen

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

READ_SECONDS = 30.0
"""For the whole of a body under ASGI, where nobody else would end a stalled one; WSGI servers have time-outs."""

_CHUNK = 65_536


@frozen
class Response:
    """An answer: a status, headers, no body."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...] = ()


class _BodyNotReadError(Exception):
    """The body is too large, too slow or cut off; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status.phrase)
        self.response = response


class _ClientLeftError(Exception):
    """There is nobody to answer."""


_CUT_OFF = Response(HTTPStatus.BAD_REQUEST)
_TOO_LARGE = Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_TOO_SLOW = Response(HTTPStatus.REQUEST_TIMEOUT)


class Request(Protocol):
    """What the function gets to see of a request.

    Attributes:
        method: as sent, e.g. ``"POST"``.
        authorization: value of the one Authorization header, None if there is none or more than one.
    """

    method: str
    authorization: bytes | None

    async def body(self, limit: int) -> bytes:
        """Read the whole body, at most ``limit`` bytes and never much more of what is sent.

        Raises:
            Exception: it is too large, too slow or cut off; let it pass, the application answers.
        """
        ...

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a user's function, blocking or async, and wait until it has returned; raise what it raises."""
        ...


class AsgiApp:
    """An ASGI application (http and lifespan); a callable object, which routers take for an application."""

    def __init__(self, respond: Callable[[Request], Coroutine[Any, Any, Response]]) -> None:
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of a server that runs nothing else."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        headers = [(b"content-length", b"0")]
        try:
            response = await self._respond(_AsgiRequest(scope, receive))
        except _BodyNotReadError as error:
            response = error.response
            if scope.get("http_version", "1.1") < "2":  # HTTP/2 has no such header
                headers.append((b"connection", b"close"))  # the rest will not be read
        except _ClientLeftError:
            return
        for name, value in response.headers:
            headers.append((name.encode(), value.encode()))
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class _AsgiRequest:
    __slots__ = ("_declared", "_receive", "authorization", "method")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.authorization: bytes | None = None
        self._declared: int | None = None
        self._receive = receive
        credentials: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                credentials.append(value)
            elif name == b"content-length":
                self._declared = _length(value.decode("latin-1"))
        if len(credentials) == 1:
            self.authorization = credentials[0]

    async def body(self, limit: int) -> bytes:
        if self._declared is not None and self._declared > limit:
            raise _BodyNotReadError(_TOO_LARGE)
        import asyncio  # here and below, not above: a third of importing the package, and a WSGI process needs none

        # One buffer: a list of a client's one-byte chunks would take forty times the limit.
        body = bytearray()
        try:
            async with asyncio.timeout(READ_SECONDS):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientLeftError
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _BodyNotReadError(_TOO_LARGE)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise _BodyNotReadError(_TOO_SLOW) from None

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        if _is_async(function):
            result = function(*arguments)
        else:
            import asyncio

            # A blocking function must not hold up every other request of the process.
            result = await asyncio.to_thread(_in_thread, function, *arguments)
        if inspect.isawaitable(result):
            await result


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method of an object, looked at


def _in_thread(function: Callable[..., object], *arguments: object) -> object:
    try:
        return function(*arguments)
    except StopIteration as error:
        # Before Python 3.12 a future that should carry it never ends.
        raise RuntimeError("the function raised StopIteration") from error


class WsgiApp:
    """A WSGI application (PEP 3333)."""

    def __init__(self, respond: Callable[[Request], Coroutine[Any, Any, Response]]) -> None:
        self._respond = respond

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Serve one request."""
        try:
            response = _run(self._respond(_WsgiRequest(environ)))
        except _BodyNotReadError as error:
            response = error.response
        status = f"{response.status.value} {response.status.phrase}"
        start_response(status, [*response.headers, ("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []


def _run(coroutine: Coroutine[Any, Any, Response]) -> Response:
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        response: Response = done.value
        return response
    coroutine.close()
    raise RuntimeError("suspended without an event loop")


class _WsgiRequest:
    __slots__ = ("_environ", "authorization", "method")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        credentials: str | None = environ.get("HTTP_AUTHORIZATION")
        self.authorization = None if credentials is None else credentials.encode("latin-1", "replace")
        self._environ = environ

    async def body(self, limit: int) -> bytes:
        # Without a length there is no body, unless the server promises that reading ends where the body does.
        text: str = self._environ.get("CONTENT_LENGTH") or ""
        declared = _length(text or "0")
        if declared is None:
            raise _BodyNotReadError(_CUT_OFF)
        if declared > limit:
            raise _BodyNotReadError(_TOO_LARGE)
        until_end = not text and self._environ.get("wsgi.input_terminated", False)
        wanted = limit + 1 if until_end else declared
        body = bytearray()
        try:
            while wanted > len(body) and (chunk := self._environ["wsgi.input"].read(min(wanted - len(body), _CHUNK))):
                body += chunk
        except OSError:
            raise _BodyNotReadError(_CUT_OFF) from None
        if len(body) > limit:
            raise _BodyNotReadError(_TOO_LARGE)
        if not until_end and len(body) < wanted:
            raise _BodyNotReadError(_CUT_OFF)
        return bytes(body)

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        result = function(*arguments)
        if inspect.isawaitable(result):
            import asyncio

            asyncio.run(_wait_for(result))


async def _wait_for(result: Awaitable[object]) -> None:
    await result


def _length(text: str) -> int | None:
    """A Content-Length, or None if it is not one."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text[:19])  # of anything longer, the beginning is large enough
