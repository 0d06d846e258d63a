"""The simulator for Python code: start it, say what becomes of messages, look at what was received."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import hmac
import logging
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, ParamSpec, Self, TypeVar, get_args

import attrs

from . import _v1, _v2
from ._answers import error_answer, true_answer
from ._callbacks import CallbackUrl, post, receiver_of
from ._checks import MAX_SECONDS, check_bool, check_choice, check_integer, check_number, check_optional_text, check_text
from ._control import Control, is_loopback
from ._events import EventLog
from ._faults import make_fault
from ._gateway import FIRST_ID, FIRST_SMALL_ID, LAST_MOMENT, SHORT_CODE, CallbackFaults, Clock, Gateway
from ._records import Answer, Callback, Cut, Delivery, Fault, ReceivedRequest, StoredMessage
from ._server import serve
from ._wire import cut, read_body, received, write

_log = logging.getLogger("modica_facade.simulator")

_MAX_PARALLEL = 100

_P = ParamSpec("_P")
_T = TypeVar("_T")

# The simulators that post the callback in which this code runs.
_posted_by: contextvars.ContextVar[tuple[BaseSimulator, ...]] = contextvars.ContextVar("posted_by", default=())


def _check_url(_instance: object, _attribute: object, value: CallbackUrl | None) -> None:
    if value is not None:
        receiver_of(value)


@attrs.define
class Application:
    """An application of `Simulator(applications=...)`, which alone sees what it sends.

    Attributes:
        password: of its Basic credentials.
        dlr_url: where its delivery receipts are posted, if not to the simulator's ``dlr_url``.
        mo_url: where inbound messages that answer it are posted, if not to the simulator's ``mo_url``.
    """

    password: str = attrs.field(repr=False)
    dlr_url: CallbackUrl | None = attrs.field(default=None, repr=False, validator=_check_url)
    mo_url: CallbackUrl | None = attrs.field(default=None, repr=False, validator=_check_url)


class BaseSimulator:
    """What both simulators share: everything but waiting for callbacks."""

    _dlr_url: CallbackUrl | None
    _mo_url: CallbackUrl | None
    _v2_receipts: _v2.Shape
    _v2_errors: _v2.Shape
    _parallel_callbacks: int

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        applications: Mapping[str, Application] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        now: datetime | None = None,
        real_time: bool = False,
        dlr_url: CallbackUrl | None = None,
        mo_url: CallbackUrl | None = None,
        v2_receipts: _v2.Shape = "prose",
        v2_errors: _v2.Shape = "specification",
        parallel_callbacks: int = 1,
        small_ids: bool = False,
        keep: int | None = None,
        seed: int = 0,
        control: bool = False,
    ) -> None:
        if now is not None and (not isinstance(now, datetime) or now.utcoffset() is None or now > LAST_MOMENT):
            raise ValueError("now needs an offset: use an aware datetime, before the year 9000")
        if applications is not None and (username is not None or password is not None):
            raise ValueError("applications have passwords of their own: give no username and password with them")
        self._username = check_optional_text("username", username)
        for name, usernames in {"username": [username] if username else [], "applications": applications or []}.items():
            if any(":" in check_text(name, each) for each in usernames):
                raise ValueError(f"{name} must not have a colon in a username: HTTP Basic cannot carry it")
        self._password = check_optional_text("password", password)
        self.applications = dict(applications or {})
        self._host, self._port, self._tls = check_text("host", host), check_integer("port", port, 0, 65535), tls
        self._now = now
        self._real_time = check_bool("real_time", real_time)
        self._keep = None if keep is None else check_integer("keep", keep, 1, 10**9)
        self._seed, self._first_id = seed, FIRST_SMALL_ID if check_bool("small_ids", small_ids) else FIRST_ID
        self._settings: dict[str, Any] = {
            "dlr_url": dlr_url,
            "mo_url": mo_url,
            "v2_receipts": v2_receipts,
            "v2_errors": v2_errors,
            "parallel_callbacks": parallel_callbacks,
        }
        self._events = EventLog()
        self._control = (
            Control(
                self,
                advance=self._advance,
                resend=self._resend,
                send_receipt=self._send_receipt,
                loopback_only=is_loopback(host),
            )
            if check_bool("control", control)
            else None
        )
        self._loop: asyncio.AbstractEventLoop | None = None  # of asynchronous code that waits for callbacks
        self._lock = threading.RLock()
        self._delivering = threading.Lock()
        self._running: contextlib.ExitStack | None = None
        self._url = ""
        self._counts: collections.Counter[str] = collections.Counter()
        self._start_as_new()

    def reset(self) -> None:
        """Begin again at the same address: the settings as first given, nothing received, the same ids again."""
        with self._lock:
            self._start_as_new()
            self._events.append("reset")

    def _start_as_new(self) -> None:
        self._forgetting: set[str] = set()
        self._gateway = Gateway(
            Clock(self._now, running=self._real_time),
            self._events,
            seed=self._seed,
            first_id=self._first_id,
            keep=self._keep,
            forgot=self._forgot,
        )
        self._requests: collections.deque[ReceivedRequest] = collections.deque()
        self._deliveries: collections.deque[Delivery] = collections.deque()
        self._faults: list[Fault] = []
        self.configure(**self._settings)

    def _remember(self, kind: str, journal: collections.deque[Any], record: Any) -> None:
        journal.append(record)
        if self._keep is not None and len(journal) > self._keep:
            journal.popleft()
            self._forgot(kind)

    def _forgot(self, kind: str) -> None:
        if kind not in self._forgetting:
            self._forgetting.add(kind)
            _log.warning("more than %d %s: the oldest are forgotten from here on (keep)", self._keep, kind)

    # Running it

    def start(self) -> Self:
        """Serve until `stop`; ``with`` does both."""
        if self._running is not None:
            raise RuntimeError("this simulator is running already: make another one, or stop it first")
        with contextlib.ExitStack() as stack:
            self._url = stack.enter_context(serve(self._app, host=self._host, port=self._port, tls=self._tls))
            if self._real_time or self._control is not None:
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

    # Settings, checked when they are set

    def configure(self, /, **settings: Any) -> None:
        """Change several of the settings below, all of them or, if one is refused, none."""
        for name, value in settings.items():
            if name in ("dlr_url", "mo_url"):
                _check_url(None, None, value)
            elif name in ("v2_receipts", "v2_errors"):
                check_choice(name, value, get_args(_v2.Shape))
            elif name == "parallel_callbacks":
                check_integer(name, value, 1, _MAX_PARALLEL)
            else:
                raise ValueError(f"{name} is no setting; these are: {', '.join(self._settings)}")
        with self._lock:
            for name, value in settings.items():
                setattr(self, f"_{name}", value)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as JSON can show them, URLs without credentials."""
        urls = {"dlr_url": self._dlr_url, "mo_url": self._mo_url}
        return {name: None if url is None else receiver_of(url).url for name, url in urls.items()} | {
            "v2_receipts": self._v2_receipts,
            "v2_errors": self._v2_errors,
            "parallel_callbacks": self._parallel_callbacks,
        }

    @property
    def dlr_url(self) -> CallbackUrl | None:
        """Where delivery receipts are posted."""
        return self._dlr_url

    @dlr_url.setter
    def dlr_url(self, url: CallbackUrl | None) -> None:
        self.configure(dlr_url=url)

    @property
    def mo_url(self) -> CallbackUrl | None:
        """Where inbound messages are posted."""
        return self._mo_url

    @mo_url.setter
    def mo_url(self, url: CallbackUrl | None) -> None:
        self.configure(mo_url=url)

    @property
    def v2_receipts(self) -> _v2.Shape:
        """Which of v2's documents its receipts follow."""
        return self._v2_receipts

    @v2_receipts.setter
    def v2_receipts(self, shape: _v2.Shape) -> None:
        self.configure(v2_receipts=shape)

    @property
    def v2_errors(self) -> _v2.Shape:
        """Which of v2's documents its errors follow."""
        return self._v2_errors

    @v2_errors.setter
    def v2_errors(self, shape: _v2.Shape) -> None:
        self.configure(v2_errors=shape)

    @property
    def parallel_callbacks(self) -> int:
        """How many callbacks may be under way at once."""
        return self._parallel_callbacks

    @parallel_callbacks.setter
    def parallel_callbacks(self, number: int) -> None:
        self.configure(parallel_callbacks=number)

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
    def url(self) -> str:
        """Where it is served; with ``control=True`` the page is here, and the control API below ``/_modica/v1``."""
        return self._url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What was received, oldest first, requests that a rule made fail included."""
        with self._lock:
            return list(self._requests)

    @property
    def messages(self) -> list[StoredMessage]:
        """The messages accepted for handsets (MT), oldest first: what would have been sent and billed."""
        return self.find_messages(direction="MT")

    @property
    def deliveries(self) -> list[Delivery]:
        """The callbacks posted, oldest first, every attempt."""
        with self._lock:
            return list(self._deliveries)

    @property
    def faults(self) -> list[Fault]:
        """The rules made by `fail`, oldest first, used up or not."""
        with self._lock:
            return list(self._faults)

    @property
    def events(self) -> EventLog:
        """Everything that happens, numbered."""
        return self._events

    @property
    def now(self) -> datetime:
        """What the simulator's clock says."""
        with self._lock:
            return self._gateway.clock.now()

    @property
    def next_due(self) -> datetime | None:
        """When the next status or callback is due of its own accord; None if nothing is."""
        with self._lock:
            return self._gateway.next_due

    @property
    def callback_faults(self) -> dict[str, float]:
        """What `disturb_callbacks` has set."""
        with self._lock:
            return attrs.asdict(self._gateway.callback_faults)

    @property
    def running(self) -> bool:
        """The clock runs by itself; otherwise it stands still until `advance` or `deliver`."""
        return self._gateway.clock.running

    @running.setter
    def running(self, running: bool) -> None:
        if (
            check_bool("running", running)
            and self._running is not None
            and self._control is None
            and not self._real_time
        ):
            raise ValueError("nothing would post callbacks: make the simulator with real_time=True or control=True")
        with self._lock:
            self._gateway.clock.running = running
            self._events.append("clock")

    # Looking at messages

    def find_messages(
        self,
        *,
        to: str | None = None,
        source: str | None = None,
        containing: str | None = None,
        reference: str | None = None,
        application: str | None = None,
        status: str | None = None,
        direction: Literal["MT", "MO"] | None = None,
    ) -> list[StoredMessage]:
        """The messages of both directions for which everything given is true, oldest first.

        Args:
            to: the number or short code it goes to.
            source: the number or short code it comes from.
            containing: a piece of its content.
            reference: the caller's label.
            application: the username it was submitted with.
            status: where it stands.
            direction: ``MT`` to handsets, ``MO`` from them.
        """
        check_optional_text("to", to)
        wanted = {
            "source": check_optional_text("source", source),
            "reference": check_optional_text("reference", reference),
            "application": check_optional_text("application", application),
            "status": check_optional_text("status", status),
            "direction": None if direction is None else check_choice("direction", direction, ("MT", "MO")),
        }
        given = {name: value for name, value in {"destination": to, **wanted}.items() if value is not None}
        piece = check_optional_text("containing", containing) or ""
        with self._lock:
            return [
                message
                for message in self._gateway
                if piece in message.content and all(getattr(message, name) == given[name] for name in given)
            ]

    def sent_to(self, number: str) -> list[StoredMessage]:
        """The messages accepted for one handset, oldest first."""
        return self.find_messages(to=number, direction="MT")

    def assert_sent(
        self,
        *,
        to: str | None = None,
        containing: str | None = None,
        reference: str | None = None,
        times: int | None = None,
    ) -> list[StoredMessage]:
        """Fail the test unless such a message was accepted for a handset.

        Args:
            to: its number.
            containing: a piece of the content.
            reference: the caller's label.
            times: exactly how many there are, 0 for none; None for at least one.

        Returns:
            The messages, oldest first.

        Raises:
            AssertionError: there were none, or not that many; it lists what was sent.
        """
        __tracebackhide__ = True  # pytest shows the test's own line
        if times is not None:
            check_integer("times", times, 0, 10**9)
        wanted = {"to": to, "containing": containing, "reference": reference}
        found = self.find_messages(direction="MT", to=to, containing=containing, reference=reference)
        if len(found) == times or (times is None and found):
            return found
        description = ", ".join(f"{name}={value!r}" for name, value in wanted.items() if value is not None)
        many = "at least one message" if times is None else f"{times} message{'s' if times != 1 else ''}"
        sent = self.messages
        listed = "".join(f"\n  {message!r}" for message in sent) or " none"
        raise AssertionError(
            f"expected {many}{f' with {description}' if description else ''}, found {len(found)}; sent were:{listed}"
        )

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
        for status in statuses:
            check_text("status", status)
        check_number("interval", interval, 0, MAX_SECONDS)
        check_optional_text("destination", destination)
        with self._lock:
            self._gateway.plans[destination] = (statuses, interval)

    def disturb_callbacks(
        self, *, duplicate: float = 0.0, drop: float = 0.0, reorder: float = 0.0, overtake: float = 0.0
    ) -> None:
        """Disturb the callbacks of messages accepted from now on; each number is a probability, 1.0 for every one.

        Args:
            duplicate: a callback is posted twice.
            drop: a callback is never posted.
            reorder: all receipts of a message come when the last one is due, in reverse order.
            overtake: the first receipt of a message is posted before the answer to the request that sent it.
        """
        likely = {"duplicate": duplicate, "drop": drop, "reorder": reorder, "overtake": overtake}
        for name, probability in likely.items():
            check_number(name, probability, 0, 1)
        with self._lock:
            self._gateway.callback_faults = CallbackFaults(**likely)
            self._events.append("fault")

    def reply(self, source: str, content: str | bytes, *, reply_to: str | None = "newest") -> StoredMessage:
        """Let a handset answer a message; posted to ``mo_url`` like any callback.

        Only what has left for the handset can be answered: not what is scheduled for later, was rejected or expired.

        Args:
            source: the number of the handset.
            content: text, or bytes for a binary message.
            reply_to: id of the message it answers, the one that left last if not given. None for an application
                without a number sequence: the platform cannot tell then what is answered.

        Returns:
            The inbound message, with ``reply_to`` and the ``reference`` of the message it answers, if it answers one.

        Raises:
            LookupError: there is no such message; `receive` makes an inbound message that answers none.
        """
        check_text("source", source)
        check_optional_text("reply_to", reply_to)
        with self._lock:
            newest = self._gateway.newest_at(source)
            if reply_to is None:
                return self._gateway.take_inbound(
                    version=newest.version if newest else 1,
                    source=source,
                    destination=newest.source if newest else SHORT_CODE,
                    content=content,
                    application=newest.application if newest else None,
                )
            answers = newest if reply_to == "newest" else self._gateway.get(reply_to)
            if answers is None or answers.destination != source or not self._gateway.has_left(answers):
                which = "no message" if reply_to == "newest" else f"no message {reply_to}"
                raise LookupError(f"{which} has left for {source}, so there is none to reply to; see receive()")
            return self._gateway.take_inbound(
                version=answers.version,
                source=source,
                destination=answers.source,
                content=content,
                answers=answers,
                application=answers.application,
            )

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
        check_text("source", source)
        check_text("destination", destination)
        check_choice("version", version, (1, 2))
        with self._lock:
            return self._gateway.take_inbound(version=version, source=source, destination=destination, content=content)

    # Posting callbacks

    def _advance(self, how_far: float | timedelta | datetime) -> list[Delivery]:
        return self._move_clock(self._moment(how_far))

    def _moment(self, how_far: float | timedelta | datetime) -> datetime:
        now = self.now
        if isinstance(how_far, datetime):
            if how_far.utcoffset() is None:
                raise ValueError("the clock needs a moment with an offset: use an aware datetime")
            moment = how_far.astimezone(UTC)
        else:
            seconds = how_far.total_seconds() if isinstance(how_far, timedelta) else how_far
            check_number("seconds", seconds, -MAX_SECONDS, MAX_SECONDS)
            moment = now + timedelta(seconds=seconds)
        if not now <= moment <= LAST_MOMENT:
            raise ValueError("the clock moves forward only, and not beyond the year 9000")
        return moment

    def _move_clock(self, until: datetime | None) -> list[Delivery]:
        posted = self._post_until(until)
        with self._lock:
            self._events.append("clock")
        return posted

    def _post_until(self, until: datetime | None) -> list[Delivery]:
        if self in _posted_by.get():  # the lock would make it wait for itself
            raise RuntimeError("the clock cannot be moved from within a callback: do it once advance() has returned")
        with self._delivering:
            return [delivery for delivery in self._post_due(self._gateway, until) if delivery is not None]

    def _post_due(self, gateway: Gateway, until: datetime | None) -> Iterator[Delivery | None]:
        def next_callback() -> Callback | None:
            with self._lock:
                return gateway.next_callback(until) if gateway is self._gateway else None  # no more after a reset

        at_once = self._parallel_callbacks
        if at_once == 1:  # in this thread, whose database transaction or context a receiver here may need
            while callback := next_callback():
                yield self._post(gateway, callback)
            return
        with concurrent.futures.ThreadPoolExecutor(at_once, "modica-simulator-callback") as pool:
            pending: set[concurrent.futures.Future[Delivery | None]] = set()
            while True:
                while len(pending) < at_once and (callback := next_callback()):
                    pending.add(pool.submit(self._post, gateway, callback))
                if not pending:
                    return
                done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    yield future.result()

    def _post(self, gateway: Gateway, callback: Callback) -> Delivery | None:
        message = callback.message
        url = self._callback_url(callback.kind, message)
        delivery = None
        if url is not None:
            payload, headers = (
                _v1.callback(callback, self.base_url)
                if message.version == 1
                else _v2.callback(callback, self._v2_receipts)
            )
            delivery = self._hand_over(callback.kind, message.id, url, payload, headers, callback.attempt)
        with self._lock:
            if delivery is not None and (delivery.status_code is None or delivery.status_code >= 500):
                gateway.retry(callback, delivery.at)
            gateway.settle(callback)
        return delivery

    def _hand_over(
        self,
        kind: Literal["receipt", "inbound"],
        message_id: str,
        url: CallbackUrl,
        payload: Mapping[str, Any],
        headers: Mapping[str, str],
        attempt: int,
    ) -> Delivery:
        loop = self._loop if self._loop is not None and self._loop.is_running() else None
        at = self.now
        token = _posted_by.set((*_posted_by.get(), self))
        try:
            status_code, problem = post(url, payload, headers, loop)
        finally:
            _posted_by.reset(token)
        with self._lock:
            self._counts["deliveries"] += 1
            delivery = Delivery(
                kind=kind,
                message_id=message_id,
                url=receiver_of(url).url,
                headers=headers,
                payload=payload,
                at=at,
                attempt=attempt,
                status_code=status_code,
                problem=problem,
                number=self._counts["deliveries"],
            )
            self._remember("deliveries", self._deliveries, delivery)
            self._events.append("delivery", delivery)
        return delivery

    def _callback_url(self, kind: Literal["receipt", "inbound"], message: StoredMessage) -> CallbackUrl | None:
        application = self.applications.get(message.application or "")
        if kind == "receipt":
            return (application and application.dlr_url) or self._dlr_url
        return (application and application.mo_url) or self._mo_url

    def _send_receipt(self, message_id: str, status: str, detail: str | None = None) -> Delivery | None:
        check_text("status", status)
        check_optional_text("detail", detail)
        with self._lock:
            gateway, message = self._gateway, self._gateway.get(check_text("message_id", message_id))
            if message is None or message.direction != "MT":
                raise LookupError(f"there is no message {message_id} to a handset, so it has no receipts")
            callback = gateway.receipt_now(message, status, detail)
        return self._post(gateway, callback)

    def _resend(self, number: int) -> Delivery:
        check_integer("number", number, 1, 10**18)
        with self._lock:
            before = next((each for each in self._deliveries if each.number == number), None)
            message = None if before is None else self._gateway.get(before.message_id)
            if before is None or message is None:
                raise LookupError(f"there is no delivery {number}, or its message is forgotten")
            url = self._callback_url(before.kind, message)
        if url is None:
            raise LookupError(f"there is no URL for this {before.kind}: set dlr_url or mo_url first")
        return self._hand_over(before.kind, message.id, url, before.payload, before.headers, before.attempt + 1)

    @contextlib.contextmanager
    def _posting(self) -> Generator[None]:
        """While the clock runs by itself, post what falls due."""
        ended = threading.Event()

        def post() -> None:
            while not ended.wait(0.05):
                if self._gateway.clock.running:
                    self._post_until(self.now)

        thread = threading.Thread(target=post, name="modica-simulator-callbacks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    # Rules that make requests fail

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
        match: Callable[[ReceivedRequest], bool] | Mapping[str, str | None] | None = None,
    ) -> Fault:
        """Make the next matching requests fail; rules apply in the order they were made, credentials good or bad.

        Args:
            error: a documented error code such as ``send_failed``: answered with status 400 (or ``status``) in the
                envelope of the version that was asked.
            status: answer this instead of the true answer, 200 to 599.
            body: its body; a mapping is sent as JSON.
            headers: its headers, added to Content-Type and Content-Length.
            acted: with ``error`` or ``status``: the request is carried out all the same, as a gateway behind a
                failing proxy would.
            cut: close the connection ``before`` acting, ``after`` acting but before the answer, in the middle of the
                answer's ``head``, or in the middle of its ``body``. The last two act, unless there is a ``status``
                without ``acted``.
            delay: seconds of real time before the answer or the cut, at most an hour; the request is acted on first.
            times: how many requests it is for; None for all of them until `reset`.
            match: only requests for which this is true: a function, or a mapping of some of ``method``, ``path`` (or
                the end of it), ``destination`` and ``application``.

        Returns:
            The rule; its ``hits`` counts the requests it was applied to.

        Raises:
            ValueError: an argument, or several together, make no rule.
        """
        fault = make_fault(
            error=error,
            status=status,
            body=body,
            headers=headers,
            acted=acted,
            cut=cut,
            delay=delay,
            times=times,
            match=match,
        )
        with self._lock:
            self._counts["faults"] += 1
            fault.id = str(self._counts["faults"])
            self._faults.append(fault)
            self._events.append("fault", fault)
        return fault

    def remove_fault(self, fault: Fault | str) -> None:
        """Take back a rule, given the rule itself or its ``id``.

        Raises:
            LookupError: there is no such rule.
        """
        fault_id = fault.id if isinstance(fault, Fault) else fault
        with self._lock:
            for each in self._faults:
                if each.id == fault_id:
                    self._faults.remove(each)
                    each.times = each.hits
                    self._events.append("fault", each)
                    return
        raise LookupError(f"there is no rule {fault_id}")

    def assert_faults_used(self) -> None:
        """Fail the test if a rule made by `fail` was applied to no request. The pytest fixtures call this themselves.

        Raises:
            AssertionError: it names the rules.
        """
        __tracebackhide__ = True
        unused = [fault for fault in self.faults if not fault.hits and not fault.does_nothing]
        if unused:
            rules = "".join(f"\n  {fault!r}" for fault in unused)
            raise AssertionError(f"no request matched these rules, so nothing they stand for was tested:{rules}")

    def _fault_for(self, request: ReceivedRequest) -> Fault | None:
        for fault in self._faults:
            if fault.times_left != 0 and (fault.match is None or fault.match(request)):
                fault.hits += 1
                self._events.append("fault", fault)
                return fault
        return None

    # The ASGI application, in the server's thread

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # uvicorn asks for a lifespan; there is none
            return
        if self._control is not None and self._control.serves(scope["path"]):
            await self._control(scope, receive, send)
            return
        body = await read_body(receive)
        if body is None:
            await write(send, Answer(413, headers={"Connection": "close"}))
            return
        request, credentials = received(scope, body)
        with self._lock:
            gateway = self._gateway
            self._counts["requests"] += 1
            request.number, request.at = self._counts["requests"], gateway.clock.now()
            request.authenticated = self._allowed(credentials)
            self._remember("requests", self._requests, request)
            fault = self._fault_for(request)
            request.answer = answer = self._answer(request, fault)
            request.status_code = answer.status_code if fault is None or fault.cut is None else None
            self._events.append("request", request)
            overtaking, gateway.overtaking = gateway.overtaking, []
        for callback in overtaking:
            await asyncio.to_thread(self._post, gateway, callback)
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
        """The true answer, or the one a rule puts in its place."""
        if fault is None:
            return self._act(request)
        if fault.cut == "before":
            return Answer(0)  # never written
        if fault.answer is None:
            return self._act(request)
        if fault.acted:
            self._act(request)
        if fault.error is None:
            return fault.answer
        return error_answer(request, fault.error, fault.answer.status_code, fault.answer.headers, self._v2_errors)

    def _act(self, request: ReceivedRequest) -> Answer:
        # In another container this machine has another name than here.
        scheme, _, here = self._url.partition("://")
        url = f"{scheme}://{request.headers.get('host') or here}"
        return true_answer(self._gateway, request, url, self._v2_errors)

    def _allowed(self, credentials: tuple[bytes, bytes] | None) -> bool:
        if credentials is None:
            return False
        username, password = self._username, self._password
        if self.applications:
            username = credentials[0].decode("utf-8", "replace")
            if username not in self.applications:
                return False
            password = self.applications[username].password
        return all(
            bool(given) if wanted is None else hmac.compare_digest(given, wanted.encode())
            for given, wanted in zip(credentials, (username, password), strict=True)
        )


class Simulator(BaseSimulator):
    """The gateway of the documents, served while the ``with`` (or ``async with``) block lasts.

    The same requests in the same order get the same answers, ids included, every time. Its records stay readable
    after it has stopped. Everything here may be used from any thread; in asynchronous code that also answers the
    callbacks, use `AsyncSimulator`.

    Three numbers have a fixed outcome: `ALWAYS_REJECTED`, `ALWAYS_EXPIRED` (receipts ``sent``, ``expired``) and
    `ALWAYS_REFUSED`, which no submission and no row of a broadcast gets through.

    Args:
        username: the only accepted one; None accepts any that is not empty.
        password: the only accepted one; None accepts any that is not empty.
        applications: instead of these two, all accepted usernames, each with an `Application`.
        host: the address to listen on. On others than loopback the control API answers to any name.
        port: 0 for a free one.
        tls: serve https with the certificate of this context.
        now: where the clock starts (aware); None for the real time when it is first looked at. It then stands still
            until `advance` or `deliver`.
        real_time: let the clock run by itself as well, and post callbacks as they fall due.
        dlr_url: where to post delivery receipts: ``https://name:password@host/path``; or an ASGI or WSGI application in
            this process, alone or as ``(application, url)``; or a function of the payload. May be changed at any time.
        mo_url: where to post inbound messages; the same applies.
        v2_receipts: v2's documents give receipts two shapes: ``prose`` posts message_id, status and reference,
            ``specification`` posts id, status and detail.
        v2_errors: and errors two: ``specification`` answers message, statusCode and error, ``prose`` error and
            error-desc as on v1.
        parallel_callbacks: how many callbacks may be under way at once, up to 100.
        small_ids: v1 ids from 1001, for programs that read numbers as JavaScript does. Otherwise they lie just above
            2**53, where such programs are found out.
        keep: how many requests, deliveries and messages are remembered; a message that waits for its time or for a
            receipt is not counted and never forgotten. None for all of them. Says in the log when it forgets.
        seed: of everything that looks random.
        control: serve the control API and the page as well.

    Raises:
        ValueError: an argument is not what is described here.
    """

    def advance(self, how_far: float | timedelta | datetime) -> list[Delivery]:
        """Move the clock forward and post the callbacks that fall due, in order.

        A callback that the receiver does not answer, or answers 5xx, is repeated after 30, 60, 120 and 240 seconds on
        the clock (our assumption: the documents do not say); any other answer settles it. Redirects are not followed.

        Args:
            how_far: seconds or a timedelta, or the moment to move to (an aware datetime).

        Returns:
            What was posted and how it was answered; callbacks without a URL are not in it.
        """
        return self._advance(how_far)

    def deliver(self) -> list[Delivery]:
        """Post every callback that is planned, repetitions included, moving the clock as far as that takes."""
        return self._move_clock(None)

    def send_receipt(self, message_id: str, status: str, detail: str | None = None) -> Delivery | None:
        """Give a message a status now, outside its plan, and post the receipt; the plan goes on.

        Args:
            message_id: of a message to a handset.
            status: any word, documented or not.
            detail: for v2 receipts in the shape of the specification; its destination if not given.

        Returns:
            How it was answered; None without a URL to post it to.

        Raises:
            LookupError: there is no such message.
        """
        return self._send_receipt(message_id, status, detail)

    def resend(self, number: int) -> Delivery:
        """Post a callback again, the same payload, to where such callbacks go now.

        Args:
            number: of the delivery.

        Raises:
            LookupError: there is no such delivery, or no URL.
        """
        return self._resend(number)


class AsyncSimulator(BaseSimulator):
    """`Simulator` for asynchronous code: what posts callbacks is awaited, so that the loop can answer them."""

    async def advance(self, how_far: float | timedelta | datetime) -> list[Delivery]:
        """As `Simulator.advance`."""
        return await self._in_thread(self._advance, how_far)

    async def deliver(self) -> list[Delivery]:
        """As `Simulator.deliver`."""
        return await self._in_thread(self._move_clock, None)

    async def send_receipt(self, message_id: str, status: str, detail: str | None = None) -> Delivery | None:
        """As `Simulator.send_receipt`."""
        return await self._in_thread(self._send_receipt, message_id, status, detail)

    async def resend(self, number: int) -> Delivery:
        """As `Simulator.resend`."""
        return await self._in_thread(self._resend, number)

    async def _in_thread(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._loop = asyncio.get_running_loop()
        return await asyncio.to_thread(function, *args, **kwargs)
