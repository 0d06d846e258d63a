"""The documented gateway as a local server, for tests and demonstrations (extra ``simulator``).

::

    with Simulator() as sim:
        modica = Modica("application-name", "password", base_url=sim.base_url)
        modica.send("+64211234567", "Kia ora")
    assert [message.content for message in sim.messages] == ["Kia ora"]

A real HTTP server on loopback. It answers as the published documentation says and as far as that goes; it was not
compared with the live service, and knows nothing of the client half of this package. `_dialects` reads the documents,
`_gateway` is the platform behind them, `_server` the HTTP server around it; here is the door.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import collections
import contextlib
import hmac
import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from modica_facade.simulator._dialects import ERRORS, V1_PATH, answer_v1, error_body, not_found_page, unauthorized_v1
from modica_facade.simulator._gateway import Clock, Gateway
from modica_facade.simulator._records import Answer, Cut, Fault, ReceivedRequest, StoredMessage
from modica_facade.simulator._server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

__all__ = ["Fault", "ReceivedRequest", "Simulator", "StoredMessage", "serve"]

_LARGEST_BODY = 1 << 20


class Simulator:
    """The gateway of the documents, served on 127.0.0.1 while the ``with`` (or ``async with``) block lasts.

    The same requests in the same order get the same answers, ids included, every time. Its records stay readable
    after it has stopped. Everything here may be used from any thread.

    Args:
        username: the only accepted one; None accepts any that is not empty.
        password: the only accepted one; None accepts any that is not empty.
        port: 0 for a free one.
        now: where the clock starts (aware); None for the real time at the start. It then stands still until `advance`.
        real_time: let the clock run by itself as well.
        keep: how many requests and how many messages are remembered; None for all of them.
        seed: of everything that looks random.
    """

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        port: int = 0,
        now: datetime | None = None,
        real_time: bool = False,
        keep: int | None = None,
        seed: int = 0,
    ) -> None:
        if now is not None and now.utcoffset() is None:
            raise ValueError("now needs an offset: use an aware datetime")
        self._username, self._password = username, password
        self._port, self._now, self._real_time, self._keep, self._seed = port, now, real_time, keep, seed
        self._lock = threading.RLock()
        self._running: contextlib.ExitStack | None = None
        self._url = ""
        self.reset()

    def reset(self) -> None:
        """Forget everything and start as new: records, messages, faults, ids and clock; the address stays."""
        with self._lock:
            self._gateway = Gateway(Clock(self._now, real_time=self._real_time), seed=self._seed, keep=self._keep)
            self._requests: collections.deque[ReceivedRequest] = collections.deque(maxlen=self._keep)
            self._faults: list[Fault] = []

    # Running it

    def start(self) -> Self:
        """Serve until `stop`; ``with`` does both."""
        if self._running is not None:
            raise RuntimeError("this simulator is running already: make another one, or stop it first")
        with contextlib.ExitStack() as stack:
            self._url = stack.enter_context(serve(self._app, port=self._port))
            self._running = stack.pop_all()
        return self

    def stop(self) -> None:
        """Stop serving, cutting whatever is still connected; a second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    # What it says of itself

    @property
    def base_url(self) -> str:
        """Base URL of REST v1, to be given to a client; the port is known once it was started."""
        return self._url + V1_PATH

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What was received, oldest first, faulty requests and spoilt answers included."""
        with self._lock:
            return list(self._requests)

    @property
    def messages(self) -> list[StoredMessage]:
        """The messages accepted for handsets (MT), oldest first: what would have been sent and billed."""
        with self._lock:
            return [message for message in self._gateway if message.direction == "MT"]

    @property
    def now(self) -> datetime:
        """What the simulator's clock says."""
        return self._gateway.clock.now()

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._gateway.clock.advance(seconds)

    # Misbehaving on demand

    def fail(
        self,
        *,
        error: str | None = None,
        status: int | None = None,
        body: bytes | str | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        acted: bool = False,
        cut: Cut | None = None,
        delay: float = 0.0,
        times: int | None = 1,
        match: Callable[[ReceivedRequest], bool] | None = None,
    ) -> Fault:
        """Spoil the next matching requests; rules apply in the order they were made, before credentials are looked at.

        Args:
            error: a documented v1 error code such as ``send_failed``: answered with status 400 and its envelope.
            status: answer this instead of the true answer.
            body: its body; a mapping is sent as JSON.
            headers: its headers, added to Content-Type and Content-Length.
            acted: with ``error`` or ``status``: the request is carried out all the same, as a gateway behind a
                failing proxy would.
            cut: close the connection ``before`` acting, ``after`` acting but before the answer, in the middle of the
                answer's ``head``, or in the middle of its ``body``. The last two act, unless there is a ``status``
                without ``acted``.
            delay: seconds of real time before the answer or the cut; the request is acted on first.
            times: how many requests it spoils; None for all of them until `reset`.
            match: only requests for which this is true.

        Returns:
            The rule; its ``hits`` counts the requests it has spoilt.
        """
        if error is not None:
            if error not in ERRORS:
                raise ValueError(f"{error!r} is no documented error code; these are: {', '.join(ERRORS)}")
            status, body = status or 400, error_body(error) if body is None else body
        headers = dict(headers or {})
        if isinstance(body, str):
            body = body.encode()
        elif body is not None and not isinstance(body, bytes):
            body = json.dumps(dict(body)).encode()
            headers.setdefault("Content-Type", "application/json")
        fault = Fault(status, body, headers, acted, cut, delay, times, match)
        with self._lock:
            self._faults.append(fault)
        return fault

    def _fault_for(self, request: ReceivedRequest) -> Fault | None:
        for fault in self._faults:
            if (fault.times is None or fault.hits < fault.times) and (fault.match is None or fault.match(request)):
                fault.hits += 1
                return fault
        return None

    # The ASGI application, in the server's thread

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # uvicorn asks for a lifespan; there is none
            return
        body = await _read(receive)
        if body is None:
            await _write(send, Answer(413, b"", (("Connection", "close"),)))
            return
        request, credentials = _received(scope, body)
        with self._lock:
            request.authenticated = self._allowed(credentials)
            self._requests.append(request)
            fault = self._fault_for(request)
            answer = self._answer(request, fault)
            cut = fault.cut if fault is not None else None
            request.status = answer.status if cut is None else None
        if fault is not None and fault.delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), fault.delay)
                return  # the client left, or the simulator stops
        if cut is None:
            await _write(send, answer)
        else:
            await _cut(scope, receive, _part(answer, cut))

    def _answer(self, request: ReceivedRequest, fault: Fault | None) -> Answer:
        """The true answer, or the one a fault puts in its place."""
        if fault is None:
            return self._act(request)
        if fault.status is None:
            return self._act(request) if fault.cut != "before" else Answer(0, b"")
        if fault.acted:
            self._act(request)
        return Answer(fault.status, fault.body or b"", tuple(fault.headers.items()))

    def _act(self, request: ReceivedRequest) -> Answer:
        route = request.path.removeprefix(V1_PATH)
        if route == request.path or not route.startswith("/"):
            return not_found_page()
        if not request.authenticated:
            return unauthorized_v1()
        return answer_v1(self._gateway, request, route, self.base_url)

    def _allowed(self, credentials: tuple[bytes, bytes] | None) -> bool:
        if credentials is None:
            return False
        wanted = (self._username, self._password)
        return all(
            bool(given) if want is None else hmac.compare_digest(given, want.encode())
            for given, want in zip(credentials, wanted, strict=True)
        )


async def _read(receive: Any) -> bytes | None:
    """The whole body, or None if it is larger than any legal request (or the client left meanwhile)."""
    body: bytes = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if event["type"] == "http.disconnect" or len(body) > _LARGEST_BODY:
            return None
        if not event.get("more_body", False):
            return body


def _received(scope: Any, body: bytes) -> tuple[ReceivedRequest, tuple[bytes, bytes] | None]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    credentials = None
    if authorization := headers.get("authorization"):
        credentials = _basic(authorization)
        headers["authorization"] = authorization.partition(" ")[0] + " (withheld)"
    username = credentials[0].decode("utf-8", "replace") if credentials is not None else None
    query = scope["query_string"].decode("latin-1")
    return ReceivedRequest(scope["method"], scope["path"], query, headers, body, username), credentials


def _basic(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(token.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None


async def _write(send: Any, answer: Answer) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if not any(name.lower() == b"content-length" for name, _ in headers):
        headers.append((b"Content-Length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _part(answer: Answer, cut: Cut) -> bytes:
    """As much of an answer as gets out before the connection is cut."""
    if cut in ("before", "after"):
        return b""
    phrase = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers)]
    head = "\r\n".join(lines).encode("latin-1")
    if cut == "head":
        return head[: len(head) // 2]
    # At least one byte is promised that never comes.
    length = max(1, len(answer.body))
    return head + b"\r\nContent-Length: %d\r\n\r\n" % length + answer.body[: length // 2]


async def _cut(scope: Any, receive: Any, data: bytes) -> None:
    """Write these bytes past the HTTP layer and close; then wait until that is done, so that nothing follows them."""
    transport = scope["state"]["transport"]
    transport.write(data)
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
