"""The endpoint for callbacks: request -> credentials -> parse -> your handler -> status code."""

from __future__ import annotations

import binascii
import hmac
import inspect
import logging
import secrets
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

from ._http_apps import AsgiApp, DjangoView, Request, Response, WsgiApp
from .callbacks import MAX_CALLBACK_BYTES, parse_callback
from .errors import ConfigurationError, InvalidCallbackError
from .models import DeliveryReceipt, InboundMessage

__all__ = ["CallbackReceiver"]

_log = logging.getLogger(__name__)

_OK = Response(HTTPStatus.OK)
_UNREADABLE = Response(HTTPStatus.BAD_REQUEST)
_UNAUTHORIZED = Response(HTTPStatus.UNAUTHORIZED, (("WWW-Authenticate", 'Basic realm="callbacks", charset="UTF-8"'),))
_POST_ONLY = Response(HTTPStatus.METHOD_NOT_ALLOWED, (("Allow", "POST"),))
_HANDLER_FAILED = Response(HTTPStatus.INTERNAL_SERVER_ERROR)

_MAX_FRAMES: Final = 20
"""Of each exception in the log, the innermost; a recursion has a thousand."""
_MAX_EXCEPTIONS: Final = 10
"""Of a chain or a group, in the log."""


class CallbackReceiver:
    """An endpoint for delivery receipts and inbound messages, to mount in FastAPI, Starlette, Django, Flask and others.

    Example:
        >>> receiver = CallbackReceiver(on_receipt=print, on_inbound=print, username="gateway", password="secret")
        >>> application = receiver.asgi

    It takes both kinds at one URL or at two, REST v1 and v2 alike, whatever the path. The gateway may deliver a
    callback more than once and in any order (nothing else is documented): handlers must cope with that,
    `DeliveryTracker` helps.

    Answers: 200 after the handler has returned (also for a kind without a handler: receiving it again would help
    nobody); 400 unreadable or truncated; 401 wrong credentials; 405 not a POST; 408 the body took longer than 30 s
    (ASGI; under WSGI the server has a time-out); 411 chunked, and the WSGI server does not hand that over; 413 larger
    than ``max_body``; 500 the handler raised an exception or SystemExit. That is logged with its traceback, but without
    the exception's message, which may hold a number or a text. No answer at all if the handler was interrupted
    (CancelledError, KeyboardInterrupt): the exception goes on to the server.

    Args:
        on_receipt: called with each `DeliveryReceipt`. Handlers are functions, blocking or async (asyncio). Under ASGI
            a blocking one runs in a thread; under WSGI an async one runs in an event loop of its own each time, so it
            cannot keep a connection pool across calls.
        on_inbound: called with each `InboundMessage`.
        username: user name that the callback URL must carry, without a colon; None to let anyone in who knows the URL.
        password: password that the callback URL must carry.
        max_body: bytes of a body, at most 1 MiB; the longest legal message needs 60,000.
        on_unreadable: called with the body and the `InvalidCallbackError` of a callback that cannot be read, which is
            answered 200 if it returns: store it, since nobody documents what the gateway does about a 400. Without it
            the reason is logged, not the body, and the answer is 400.
        on_error: called with the exception of a handler that raised, message and all: report it to where personal data
            may go. The answer is 500 all the same.
        debug: log the exception of a handler with its message. For development: it may hold numbers and texts.

    Attributes:
        asgi: the ASGI application.
        wsgi: the WSGI application.
        django: the view for ``urls.py``: ``path("modica/", receiver.django)``.

    Raises:
        ConfigurationError: only one of ``username`` and ``password``, an empty one, an impossible ``max_body``, or a
            handler that cannot be called or is a generator.
    """

    def __init__(
        self,
        *,
        on_receipt: Callable[[DeliveryReceipt], object] | None = None,
        on_inbound: Callable[[InboundMessage], object] | None = None,
        username: str | None = None,
        password: str | None = None,
        max_body: int = 262_144,
        on_unreadable: Callable[[bytes, InvalidCallbackError], object] | None = None,
        on_error: Callable[[BaseException], object] | None = None,
        debug: bool = False,
    ) -> None:
        if (username is None) is not (password is None):
            raise ConfigurationError("give both username and password, or neither to let anyone in")
        if not all(value is None or (isinstance(value, str) and value) for value in (username, password)):
            raise ConfigurationError("username and password must be non-empty str")
        if username is not None and ":" in username:
            raise ConfigurationError("the username must not have a colon: HTTP Basic cannot carry it")
        if isinstance(max_body, bool) or not isinstance(max_body, int) or not 0 < max_body <= MAX_CALLBACK_BYTES:
            raise ConfigurationError(f"max_body must be an int from 1 to {MAX_CALLBACK_BYTES} (bytes)")
        handlers = {"on_receipt": on_receipt, "on_inbound": on_inbound, "on_unreadable": on_unreadable}
        for name, handler in (handlers | {"on_error": on_error}).items():
            _check_handler(name, handler)
        self._on_receipt = on_receipt
        self._on_inbound = on_inbound
        self._on_unreadable = on_unreadable
        self._on_error = on_error
        self._debug = debug
        self._username = username
        self._max_body = max_body
        # A keyed digest of both: the password is not kept, and lengths do not show in how long a comparison takes.
        self._key = secrets.token_bytes(32)
        self._credentials = None if username is None else self._digest(f"{username}:{password}".encode())
        self.asgi = AsgiApp(self._respond)
        self.wsgi = WsgiApp(self._respond)
        self.django = DjangoView(self._respond)

    def __repr__(self) -> str:
        return f"CallbackReceiver(username={self._username!r}, max_body={self._max_body})"

    async def _respond(self, request: Request) -> Response:
        if request.method != "POST":
            return _POST_ONLY
        if self._credentials is not None and not self._authentic(request.authorization, self._credentials):
            return _UNAUTHORIZED
        body = await request.body(self._max_body)
        callback: DeliveryReceipt | InboundMessage | InvalidCallbackError
        try:
            callback = parse_callback(body)
        except InvalidCallbackError as error:
            callback = error  # handled below: in here it would become the context of what a handler raises
        if isinstance(callback, InvalidCallbackError):
            if self._on_unreadable is None:
                _log.warning("unreadable callback (%d bytes) answered 400: %s", len(body), callback)
                return _UNREADABLE
            return await self._handle(request, "on_unreadable", self._on_unreadable, body, callback)
        if isinstance(callback, DeliveryReceipt):
            return await self._handle(request, "on_receipt", self._on_receipt, callback)
        return await self._handle(request, "on_inbound", self._on_inbound, callback)

    async def _handle(
        self, request: Request, name: str, handler: Callable[..., object] | None, *arguments: object
    ) -> Response:
        if handler is None:
            _log.info("a callback was acknowledged and dropped: the receiver has no %s", name)
            return _OK
        try:
            await request.call(handler, *arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises, the gateway gets an answer
            self._log_error(name, error)
            if self._on_error is not None:
                try:
                    await request.call(self._on_error, error)
                except (Exception, SystemExit) as second:  # noqa: BLE001 - as above
                    self._log_error("on_error", second)
            return _HANDLER_FAILED
        return _OK

    def _log_error(self, name: str, error: BaseException) -> None:
        kind = type(error).__qualname__
        if self._debug:
            _log.error("%s raised %s; answered 500", name, kind, exc_info=error)
        else:
            _log.error(
                "%s raised %s; answered 500. Messages are left out, they may be personal (debug=True shows them):\n%s",
                name,
                kind,
                _traceback_without_messages(error),
            )

    def _authentic(self, authorization: bytes | None, expected: bytes) -> bool:
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            given = binascii.a2b_base64(token.strip(b" "), strict_mode=True)
        except ValueError:
            return False
        # The expected username has no colon, so equal bytes are equal usernames and equal passwords.
        return hmac.compare_digest(self._digest(given), expected)

    def _digest(self, credentials: bytes) -> bytes:
        return hmac.digest(self._key, credentials, "sha256")


def _check_handler(name: str, handler: Callable[..., object] | None) -> None:
    if handler is None:
        return
    if not callable(handler):
        raise ConfigurationError(f"{name} must be a function or an async function")
    for function in (handler, type(handler).__call__):
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            # Calling it would run none of it, and what it was meant to store would be acknowledged all the same.
            raise ConfigurationError(f"{name} has a yield, so calling it would not run it: take that out")


def _traceback_without_messages(error: BaseException) -> str:
    """The traceback of an exception, then of its causes and of the members of a group; classes, not messages."""
    lines: list[str] = []
    waiting: list[BaseException] = [error]
    seen = set[int]()
    while waiting and len(seen) < _MAX_EXCEPTIONS:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        frames = traceback.StackSummary.extract(traceback.walk_tb(current.__traceback__), limit=-_MAX_FRAMES)
        lines += [*frames.format(), f"{type(current).__module__}.{type(current).__qualname__}\n"]
        if current.__cause__ is not None:
            waiting.append(current.__cause__)
        elif current.__context__ is not None and not current.__suppress_context__:
            waiting.append(current.__context__)
        if isinstance(current, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", current).exceptions
    return "".join(lines).rstrip()
