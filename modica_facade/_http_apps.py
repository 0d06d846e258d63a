"""One ``async (Request) -> Response`` function as an ASGI application, a WSGI application and a Django view.

The function is written once. Reading a body, with a limit, and calling a user's function differ between the three, so
they are methods of the request. Under WSGI and in a Django view nothing that the function awaits ever suspends, so it
needs no event loop there. Paths are not looked at: where the application is mounted is for its host to decide.
"""

from __future__ import annotations

import contextvars
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from http import HTTPStatus
from importlib import import_module  # for frameworks of the user, which this package does not depend on
from typing import Any, Protocol, cast

from attrs import frozen

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

READ_SECONDS = 30.0
"""For the whole of a body under ASGI, where nobody else would end a stalled one; WSGI servers have time-outs."""

_CHUNK = 65_536

_log = logging.getLogger("modica_facade.receiver")


@frozen
class Response:
    """An answer: a status, headers, no body."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...] = ()


class _BodyNotReadError(Exception):
    """The body is too large, too slow, truncated or not available; has the status to answer with."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    def response(self) -> Response:
        """The answer to the caller, who learns no more than a status; the log gets the reason."""
        _log.warning("a callback was answered %d: %s", self.status, self)
        return Response(self.status)


class _ClientLeftError(Exception):
    """There is nobody to answer."""


def _too_large(limit: int) -> _BodyNotReadError:
    return _BodyNotReadError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than max_body ({limit} bytes)")


def _truncated(received: int, declared: int) -> _BodyNotReadError:
    of = f" of {declared}" if declared else ""
    return _BodyNotReadError(
        HTTPStatus.BAD_REQUEST,
        f"the body ended after {received}{of} bytes: the caller hung up, or a middleware had read it before",
    )


Respond = Callable[["Request"], Coroutine[Any, Any, Response]]


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
            Exception: there is no whole body to be had; let it pass, the application answers.
        """
        ...

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a user's function, blocking or async, and wait until it has returned; raise what it raises."""
        ...


class AsgiApp:
    """An ASGI application (http and lifespan); a callable object, which routers take for an application."""

    def __init__(self, respond: Respond) -> None:
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
            response = error.response()
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
        declared = self._declared
        if declared is not None and declared > limit:
            raise _too_large(limit)
        import anyio  # here and below, not above: a WSGI process needs none of it

        # One buffer: a list of a client's one-byte chunks would take forty times the limit.
        body = bytearray()
        with anyio.move_on_after(READ_SECONDS) as reading:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise _ClientLeftError
                body += message.get("body", b"")
                if len(body) > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    break
        if reading.cancelled_caught:
            raise _BodyNotReadError(
                HTTPStatus.REQUEST_TIMEOUT, f"the body was not there after {READ_SECONDS:g} s ({len(body)} bytes were)"
            )
        if declared is not None and len(body) < declared:
            raise _truncated(len(body), declared)
        return bytes(body)

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        import anyio.to_thread

        if not _on_asyncio():
            # On trio: what is asynchronous in this package, and so in its users' handlers, is written for asyncio.
            await anyio.to_thread.run_sync(_call_from_sync, function, *arguments)
            return
        if _is_async(function):
            result = function(*arguments)
        else:
            # A blocking function must not hold up every other request of the process.
            result = await anyio.to_thread.run_sync(function, *arguments)
        if inspect.isawaitable(result):
            await result


def _on_asyncio() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method of an object, looked at


class WsgiApp:
    """A WSGI application (PEP 3333)."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Serve one request."""
        try:
            response = _run(self._respond(_WsgiRequest(environ)))
        except _BodyNotReadError as error:
            response = error.response()
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
        text: str = self._environ.get("CONTENT_LENGTH") or ""
        # A promise of the server: reading ends where the body does, whatever says how long it is.
        terminated = bool(self._environ.get("wsgi.input_terminated", False))
        if not terminated and (coding := self._environ.get("HTTP_TRANSFER_ENCODING")):
            raise _BodyNotReadError(
                HTTPStatus.LENGTH_REQUIRED,
                f"this WSGI server does not hand over a body with Transfer-Encoding ({coding[:20]!r}); let a proxy in "
                "front of it buffer requests, or use a server that sets wsgi.input_terminated (gunicorn, waitress)",
            )
        declared = _length(text or "0")
        if declared is None:
            raise _BodyNotReadError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
        if declared > limit:
            raise _too_large(limit)
        until_end = terminated and not text
        wanted = limit + 1 if until_end else declared
        body = bytearray()
        try:
            while wanted > len(body) and (chunk := self._environ["wsgi.input"].read(min(wanted - len(body), _CHUNK))):
                body += chunk
        except OSError:
            raise _truncated(len(body), declared) from None
        if len(body) > limit:
            raise _too_large(limit)
        if not until_end and len(body) < wanted:
            raise _truncated(len(body), declared)
        return bytes(body)

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        _call_from_sync(function, *arguments)


class DjangoView:
    """A view for ``urls.py``, for Django under WSGI and ASGI alike."""

    # What the decorators csrf_exempt and login_not_required set: the gateway has neither a token nor a session.
    # Attributes of the object, not of the class: decorators copy those of the object.
    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.csrf_exempt = True
        self.login_required = False

    def __call__(self, request: Any, **_captured: object) -> Any:
        """Serve one ``HttpRequest``; what the URL pattern captured is not looked at."""
        try:
            response = _run(self._respond(_DjangoRequest(request)))
        except _BodyNotReadError as error:
            response = error.response()
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _roll_back()
        http = import_module("django.http")
        return http.HttpResponse(status=int(response.status), headers=dict(response.headers), content_type="text/plain")


class _DjangoRequest(_WsgiRequest):
    def __init__(self, request: Any) -> None:
        environ = dict(request.META)
        if "wsgi.input" not in environ:
            # Under ASGI: Django has received the whole body already.
            environ |= {"wsgi.input": request, "wsgi.input_terminated": True}
        elif environ.get("CONTENT_LENGTH"):
            # A middleware may have read the body, which Django then keeps; without a length Django has none.
            environ["wsgi.input"] = request
        super().__init__(environ)

    async def call(self, function: Callable[..., object], *arguments: object) -> None:
        # Not asyncio.run: what the function calls by sync_to_async, the ORM above all, belongs in this thread.
        _call_from_sync(function, *arguments, run=import_module("asgiref.sync").async_to_sync(_wait_for))


def _roll_back() -> None:
    """The handler raised, but Django sees a response: with ATOMIC_REQUESTS it would commit what was half done."""
    for connection in import_module("django.db").connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


# Calling a function, blocking or async, from where nothing can be awaited


def _asyncio_run(awaitable: Awaitable[object]) -> None:
    import asyncio

    asyncio.run(_wait_for(awaitable))


def _call_from_sync(
    function: Callable[..., object], *arguments: object, run: Callable[[Awaitable[object]], None] = _asyncio_run
) -> None:
    result = function(*arguments)
    if not inspect.isawaitable(result):
        return
    in_other_thread = _native_thread()
    if in_other_thread is None:
        run(result)
        return
    context = contextvars.copy_context()

    def work() -> BaseException | None:
        try:
            context.run(_asyncio_run, result)
        except BaseException as error:  # noqa: BLE001 - raised below: not every pool of threads hands over a SystemExit
            return error
        return None

    error = in_other_thread(work)
    if error is not None:
        raise error


_InThread = Callable[[Callable[[], BaseException | None]], BaseException | None]


def _native_thread() -> _InThread | None:
    """How to run a function in a thread of the operating system, or None if this one has room for an event loop.

    A thread has room for one running loop. Under gevent and eventlet all requests share a thread, and so would their
    loops; elsewhere a loop is running if the application was called from inside of one.
    """
    if (gevent := sys.modules.get("gevent.monkey")) and gevent.is_module_patched("threading"):
        return cast("_InThread", import_module("gevent").get_hub().threadpool.apply)
    if (eventlet := sys.modules.get("eventlet.patcher")) and eventlet.is_monkey_patched("thread"):
        return cast("_InThread", import_module("eventlet.tpool").execute)
    return _in_thread if _on_asyncio() else None


def _in_thread(work: Callable[[], BaseException | None]) -> BaseException | None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


async def _wait_for(result: Awaitable[object]) -> None:
    await result


def _length(text: str) -> int | None:
    """A Content-Length, or None if it is not one."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text[:19])  # of anything longer, the beginning is large enough
