"""Request -> credentials -> parse -> your handler -> status code: what the gateway's callback URLs lead to."""

from __future__ import annotations

import binascii
import hmac
import logging
import secrets
import traceback
from collections.abc import Callable
from http import HTTPStatus

from ._http_apps import AsgiApp, Request, Response, WsgiApp
from .callbacks import LARGEST_BODY, parse_callback
from .errors import ConfigurationError, InvalidCallbackError
from .models import DeliveryReceipt, InboundMessage

__all__ = ["CallbackReceiver"]

_log = logging.getLogger(__name__)

_OK = Response(HTTPStatus.OK)
_UNREADABLE = Response(HTTPStatus.BAD_REQUEST)
_UNAUTHORIZED = Response(HTTPStatus.UNAUTHORIZED, (("WWW-Authenticate", 'Basic realm="callbacks", charset="UTF-8"'),))
_POST_ONLY = Response(HTTPStatus.METHOD_NOT_ALLOWED, (("Allow", "POST"),))
_HANDLER_FAILED = Response(HTTPStatus.INTERNAL_SERVER_ERROR)

_INNERMOST_FRAMES = 10


class CallbackReceiver:
    """An endpoint for delivery receipts and inbound messages, to mount in FastAPI, Starlette, Django, Flask, anything.

    It takes both kinds at one URL or at two, REST v1 and v2 alike, whatever the path. The gateway may deliver a
    callback more than once and in any order (nothing else is documented): handlers must bear that, `DeliveryTracker`
    helps.

    Answers: 200 after the handler has returned (also for a kind without a handler: asking for it again would help
    nobody); 400 unreadable; 401 wrong credentials; 405 not a POST; 408 the body took longer than 30 s (ASGI; under WSGI
    the server has a time-out); 413 larger than ``max_body``; 500 the handler raised, which is logged without the
    exception's message, since that may hold a number or a text.

    Args:
        on_receipt: called with each `DeliveryReceipt`. Handlers may be blocking or async. Under ASGI a blocking one
            runs in a thread; under WSGI an async one runs in an event loop of its own each time, so it cannot keep a
            connection pool across calls.
        on_inbound: called with each `InboundMessage`.
        username: user name that the callback URL must carry, without a colon; None to let anyone in who knows the URL.
        password: password that the callback URL must carry.
        max_body: bytes of a body, at most 1 MiB; the longest legal message needs 60,000.
        on_unreadable: called with the body and the `InvalidCallbackError` of a callback that cannot be read, which is
            answered 200 if it returns: store it, since nobody documents what the gateway does about a 400. Without it
            the reason is logged, not the body, and the answer is 400.

    Attributes:
        asgi: the ASGI application.
        wsgi: the WSGI application.

    Raises:
        ConfigurationError: only one of ``username`` and ``password``, an empty one, or an impossible ``max_body``.
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
    ) -> None:
        if (username is None) is not (password is None):
            raise ConfigurationError("give both username and password, or neither to let anyone in")
        if not all(value is None or (isinstance(value, str) and value) for value in (username, password)):
            raise ConfigurationError("username and password must be non-empty str")
        if username is not None and ":" in username:
            raise ConfigurationError("the username must not have a colon: HTTP Basic cannot carry it")
        if not isinstance(max_body, int) or not 0 < max_body <= LARGEST_BODY:
            raise ConfigurationError(f"max_body must be an int from 1 to {LARGEST_BODY} (bytes)")
        self._on_receipt = on_receipt
        self._on_inbound = on_inbound
        self._on_unreadable = on_unreadable
        self._username = username
        self._max_body = max_body
        # A keyed digest of both: the password is not kept, and lengths do not show in how long a comparison takes.
        self._key = secrets.token_bytes(32)
        self._credentials = None if username is None else self._digest(f"{username}:{password}".encode())
        self.asgi = AsgiApp(self._respond)
        self.wsgi = WsgiApp(self._respond)

    def __repr__(self) -> str:
        return f"CallbackReceiver(username={self._username!r}, max_body={self._max_body})"

    async def _respond(self, request: Request) -> Response:
        if request.method != "POST":
            return _POST_ONLY
        if self._credentials is not None and not self._authentic(request.authorization, self._credentials):
            return _UNAUTHORIZED
        body = await request.body(self._max_body)
        try:
            callback = parse_callback(body)
        except InvalidCallbackError as error:
            if self._on_unreadable is None:
                _log.warning("unreadable callback (%d bytes) answered 400: %s", len(body), error)
                return _UNREADABLE
            return await _handled(request, "on_unreadable", self._on_unreadable, body, error)
        if isinstance(callback, DeliveryReceipt):
            return await _handled(request, "on_receipt", self._on_receipt, callback)
        return await _handled(request, "on_inbound", self._on_inbound, callback)

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


async def _handled(request: Request, name: str, handler: Callable[..., object] | None, *arguments: object) -> Response:
    if handler is None:
        _log.info("a callback was acknowledged and dropped: the receiver has no %s", name)
        return _OK
    try:
        await request.call(handler, *arguments)
    except Exception as error:  # noqa: BLE001 - whatever a handler raises, the gateway gets an answer
        frames = [
            f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(error.__traceback__)
        ]
        where = ", ".join(frames[-_INNERMOST_FRAMES:])
        _log.error(
            "%s raised %s (its message is left out: it may be personal); answered 500; %s",
            name,
            type(error).__qualname__,
            where,
        )
        return _HANDLER_FAILED
    return _OK
