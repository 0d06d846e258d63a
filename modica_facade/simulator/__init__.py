"""The documented gateway as a local server, for tests and demonstrations (extra ``simulator``).

::

    with Simulator() as sim:
        modica = Modica("application-name", "password", base_url=sim.base_url)
        modica.send("+64211234567", "Kia ora")
    assert [message.content for message in sim.messages] == ["Kia ora"]

A real HTTP server on loopback. It answers as the published documentation says and as far as that goes; it was not
compared with the live service, and knows nothing of the client half of this package.

This room: `_v1`, `_v2` and `_submission` read the documents, `_gateway` is the platform behind them, `_callbacks`
posts, `_wire` and `_server` speak HTTP, `_records` holds the nouns; here is the door.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hmac
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from modica_facade.simulator import _v1, _v2
from modica_facade.simulator._callbacks import Target
from modica_facade.simulator._gateway import SHORT_CODE, Clock, Disturbance, Gateway
from modica_facade.simulator._records import Answer, Callback, Cut, Delivery, Fault, ReceivedRequest, StoredMessage
from modica_facade.simulator._server import serve
from modica_facade.simulator._submission import ERRORS
from modica_facade.simulator._wire import cut, read_body, received, write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime

__all__ = ["AsyncSimulator", "Delivery", "Fault", "ReceivedRequest", "Simulator", "StoredMessage", "serve"]


class _Dialect(Protocol):
    """What the modules `_v1` and `_v2` are."""

    PATH: str

    def answer(self, gateway: Gateway, request: ReceivedRequest, base_url: str, /) -> Answer: ...
    def unauthorized(self) -> Answer: ...


_DIALECTS: tuple[_Dialect, ...] = (_v1, _v2)


class _Simulator:
    """What both simulators share: everything but waiting for callbacks."""

    dlr_url: str | None
    mo_url: str | None
    v2_receipts: _v2.ReceiptShape

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        port: int = 0,
        now: datetime | None = None,
        real_time: bool = False,
        dlr_url: str | None = None,
        mo_url: str | None = None,
        v2_receipts: _v2.ReceiptShape = "prose",
        keep: int | None = None,
        seed: int = 0,
    ) -> None:
        if now is not None and now.utcoffset() is None:
            raise ValueError("now needs an offset: use an aware datetime")
        self._username, self._password = username, password
        self._port, self._now, self._real_time, self._keep, self._seed = port, now, real_time, keep, seed
        self._urls = dlr_url, mo_url
        self._receipts: _v2.ReceiptShape = v2_receipts
        self._lock = threading.RLock()
        self._delivering = threading.Lock()
        self._running: contextlib.ExitStack | None = None
        self._url = ""
        self.reset()

    def reset(self) -> None:
        """Start as new, at the same address: settings as given at first, nothing received, the same ids again."""
        with self._lock:
            self._gateway = Gateway(Clock(self._now, real_time=self._real_time), seed=self._seed, keep=self._keep)
            self._requests: collections.deque[ReceivedRequest] = collections.deque(maxlen=self._keep)
            self._deliveries: collections.deque[Delivery] = collections.deque(maxlen=self._keep)
            self._faults: list[Fault] = []
            self.dlr_url, self.mo_url = self._urls
            self.v2_receipts = self._receipts

    # Running it

    def start(self) -> Self:
        """Serve until `stop`; ``with`` does both."""
        if self._running is not None:
            raise RuntimeError("this simulator is running already: make another one, or stop it first")
        with contextlib.ExitStack() as stack:
            self._url = stack.enter_context(serve(self._app, port=self._port))
            if self._real_time:
                stack.enter_context(self._posting())
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
        return self._url + _v1.PATH

    @property
    def v2_base_url(self) -> str:
        """Base URL of REST v2."""
        return self._url + _v2.PATH

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
    def deliveries(self) -> list[Delivery]:
        """The callbacks posted, oldest first, every attempt."""
        with self._lock:
            return list(self._deliveries)

    @property
    def now(self) -> datetime:
        """What the simulator's clock says."""
        return self._gateway.clock.now()

    # What becomes of messages

    def plan_receipts(self, *statuses: str, interval: float = 1.0, destination: str | None = None) -> None:
        """Say which receipts the messages accepted from now on will have; without a plan: ``sent``, ``received``.

        Receipts are posted to ``dlr_url`` as the clock gets there. A message whose ``expires`` comes first gets
        ``expired`` then, and nothing more.

        Args:
            statuses: in order; any word, documented or not; none for messages that are never heard of again.
            interval: seconds on the clock before the first, counted from ``scheduled`` or acceptance, and between two.
            destination: for this number only; None for all without a plan of their own.
        """
        with self._lock:
            self._gateway.plans[destination] = (statuses, interval)

    def disturb_callbacks(self, *, duplicate: float = 0.0, drop: float = 0.0, reorder: float = 0.0) -> None:
        """Disturb the callbacks of messages accepted from now on; each number is a probability, 1.0 for every one.

        Args:
            duplicate: a callback is posted twice.
            drop: a callback is never posted.
            reorder: all receipts of a message come when the last one is due, in reverse order.
        """
        with self._lock:
            self._gateway.disturbance = Disturbance(duplicate, drop, reorder)

    def reply(self, source: str, content: str | bytes) -> StoredMessage:
        """Let a handset answer the last message it was sent; posted to ``mo_url`` like any callback.

        Args:
            source: the number of the handset.
            content: text, or bytes for a binary message.

        Returns:
            The inbound message, with ``reply_to`` and the ``reference`` of the message it answers.

        Raises:
            LookupError: no message went to this number; `receive` makes an inbound message that answers none.
        """
        with self._lock:
            for message in reversed(self.messages):
                if message.destination == source:
                    return self._gateway.take_inbound(
                        version=message.version,
                        source=source,
                        destination=message.source,
                        content=content,
                        answers=message,
                    )
        raise LookupError(f"no message was sent to {source}, so there is none to reply to; see receive()")

    def receive(
        self, source: str, content: str | bytes, *, destination: str = SHORT_CODE, version: Literal[1, 2] = 1
    ) -> StoredMessage:
        """Let a handset send a message that answers none; posted to ``mo_url`` like any callback.

        Args:
            source: the number of the handset.
            content: text, or bytes for a binary message.
            destination: the short code it was sent to.
            version: the REST version whose callback is to be posted.
        """
        with self._lock:
            return self._gateway.take_inbound(
                version=version, source=source, destination=destination, content=content, answers=None
            )

    def _advance(self, seconds: float) -> list[Delivery]:
        if seconds < 0:
            raise ValueError("the clock moves forward only: give zero or more seconds")
        return self._post_until(self.now + timedelta(seconds=seconds))

    def _post_until(self, until: datetime | None) -> list[Delivery]:
        posted: list[Delivery] = []
        with self._delivering:
            while True:
                with self._lock:
                    callback = self._gateway.next_callback(until)
                if callback is None:
                    return posted
                if delivery := self._post(callback):
                    posted.append(delivery)

    def _post(self, callback: Callback) -> Delivery | None:
        url = self.dlr_url if callback.kind == "receipt" else self.mo_url
        if url is None:
            return None
        target = Target.of(url)
        payload, headers = (
            _v1.callback(callback, self.base_url)
            if callback.message.version == 1
            else _v2.callback(callback, self.v2_receipts)
        )
        at = self.now
        status_code, problem = target.post(payload, headers)
        delivery = Delivery(
            callback.kind, callback.message.id, target.url, headers, payload, at, callback.attempt, status_code, problem
        )
        with self._lock:
            self._deliveries.append(delivery)
            if status_code is None or status_code >= 500:
                self._gateway.retry(callback)
        return delivery

    @contextlib.contextmanager
    def _posting(self) -> Generator[None]:
        """With a clock that runs by itself, post what gets due."""
        ended = threading.Event()

        def post() -> None:
            while not ended.wait(0.05):
                self._post_until(self.now)

        thread = threading.Thread(target=post, name="modica-simulator-callbacks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

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
            status, body = status or 400, _v1.error_body(error)
        answer = None
        if status is not None:
            headers = dict(headers or {})
            if isinstance(body, str):
                body = body.encode()
            elif not isinstance(body, bytes | None):
                body = json.dumps(dict(body)).encode()
                headers.setdefault("Content-Type", "application/json")
            answer = Answer(status, body or b"", headers)
        fault = Fault(answer, acted, cut, delay, times, match)
        with self._lock:
            self._faults.append(fault)
        return fault

    def _fault_for(self, request: ReceivedRequest) -> Fault | None:
        for fault in self._faults:
            if fault.match is None or fault.match(request):
                fault.hits += 1
                if fault.hits == fault.times:
                    self._faults.remove(fault)
                return fault
        return None

    # The ASGI application, in the server's thread

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # uvicorn asks for a lifespan; there is none
            return
        body = await read_body(receive)
        if body is None:
            await write(send, Answer(413, headers={"Connection": "close"}))
            return
        request, credentials = received(scope, body)
        with self._lock:
            request.authenticated = self._allowed(credentials)
            self._requests.append(request)
            fault = self._fault_for(request)
            answer = self._answer(request, fault)
            request.status_code = answer.status_code if fault is None or fault.cut is None else None
        if fault is not None and fault.delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), fault.delay)
                request.status_code = None
                return  # the client left, or the simulator stops
        if fault is not None and fault.cut is not None:
            await cut(scope, receive, answer, fault.cut)
        else:
            await write(send, answer)

    def _answer(self, request: ReceivedRequest, fault: Fault | None) -> Answer:
        """The true answer, or the one a fault puts in its place."""
        if fault is None:
            return self._act(request)
        if fault.cut == "before":
            return Answer(0)  # never written
        if fault.answer is None:
            return self._act(request)
        if fault.acted:
            self._act(request)
        return fault.answer

    def _act(self, request: ReceivedRequest) -> Answer:
        for dialect in _DIALECTS:
            if request.path.startswith(dialect.PATH + "/"):
                if not request.authenticated:
                    return dialect.unauthorized()
                return dialect.answer(self._gateway, request, self._url + dialect.PATH)
        return _v1.not_found_page()

    def _allowed(self, credentials: tuple[bytes, bytes] | None) -> bool:
        if credentials is None:
            return False
        wanted = (self._username, self._password)
        return all(
            bool(given) if want is None else hmac.compare_digest(given, want.encode())
            for given, want in zip(credentials, wanted, strict=True)
        )


class Simulator(_Simulator):
    """The gateway of the documents, served on 127.0.0.1 while the ``with`` (or ``async with``) block lasts.

    The same requests in the same order get the same answers, ids included, every time. Its records stay readable
    after it has stopped. Everything here may be used from any thread; in asynchronous code that also answers the
    callbacks, use `AsyncSimulator`.

    Args:
        username: the only accepted one; None accepts any that is not empty.
        password: the only accepted one; None accepts any that is not empty.
        port: 0 for a free one.
        now: where the clock starts (aware); None for the real time at the start. It then stands still until `advance`
            or `deliver`.
        real_time: let the clock run by itself as well, and post callbacks as they get due.
        dlr_url: where to post delivery receipts, ``https://name:password@host/path``; may be changed at any time.
        mo_url: where to post inbound messages; may be changed at any time.
        v2_receipts: v2's documents give receipts two shapes: ``prose`` posts message_id, status and reference,
            ``specification`` posts id, status and detail.
        keep: how many requests, messages and deliveries are remembered; None for all of them.
        seed: of everything that looks random.
    """

    def advance(self, seconds: float) -> list[Delivery]:
        """Move the clock forward and post the callbacks that get due, in order.

        A callback that the receiver does not answer, or answers 5xx, is repeated after 30, 60, 120 and 240 seconds on
        the clock (our assumption: the documents do not say); any other answer settles it. Redirects are not followed.

        Returns:
            What was posted and how it was answered; callbacks without a URL are not in it.
        """
        return self._advance(seconds)

    def deliver(self) -> list[Delivery]:
        """Post every callback that is planned, repetitions included, moving the clock as far as that takes."""
        return self._post_until(None)


class AsyncSimulator(_Simulator):
    """`Simulator` for asynchronous code: `advance` and `deliver` are awaited, so that the loop can answer callbacks."""

    async def advance(self, seconds: float) -> list[Delivery]:
        """As `Simulator.advance`."""
        return await asyncio.to_thread(self._advance, seconds)

    async def deliver(self) -> list[Delivery]:
        """As `Simulator.deliver`."""
        return await asyncio.to_thread(self._post_until, None)
