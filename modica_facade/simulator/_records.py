"""What the simulator remembers: requests received, messages held, callbacks posted, rules for faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, cast

import attrs

Cut = Literal["before", "after", "head", "body"]


@attrs.frozen
class Answer:
    """An HTTP answer before it is written."""

    status_code: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @classmethod
    def json(cls, status_code: int, payload: Any, **headers: str) -> Answer:
        return cls(status_code, json.dumps(payload).encode(), {"Content-Type": "application/json", **headers})


@attrs.define
class ReceivedRequest:
    """One request as it arrived, and what became of it.

    Attributes:
        method: HTTP method.
        path: decoded path, without the query.
        query: raw query string, without the question mark.
        headers: by lower-case name; the value of ``authorization`` is withheld, only its scheme is kept.
        body: as received.
        username: of well-formed Basic credentials, otherwise None.
        authenticated: the credentials were accepted.
        status_code: of the answer; None if the connection was cut instead, or no answer was made yet.
        accepted: ids of the messages this request made. Not empty means that the simulator acted on it, whatever the
            client was told.
        number: 1 for the first request; does not restart on `Simulator.reset`.
        at: moment on the simulator's clock.
        answer: what was to be answered, with ``status_code``, ``headers`` and ``body``; a rule may have cut it short.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    username: str | None = None
    authenticated: bool = False
    status_code: int | None = None
    accepted: tuple[str, ...] = ()
    number: int = 0
    at: datetime | None = None
    answer: Answer | None = attrs.field(default=None, repr=False)

    @property
    def json(self) -> Any:
        """The body read as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@attrs.frozen
class StatusChange:
    """A message got a status at a moment on the simulator's clock."""

    message_id: str
    status: str
    at: datetime


@attrs.define(repr=False)
class StoredMessage:
    """One message of either direction, as the simulated platform holds it.

    Attributes:
        id: decimal digits for v1, a lower-case UUID for v2.
        version: REST version it came in by, 1 or 2; for an inbound message the version of the message it answers.
        direction: ``MT`` (to the handset) or ``MO`` (from it).
        source: short code or number it comes from.
        destination: number or short code it goes to.
        content: text; base64 if ``encoding`` says so.
        status: where it stands: ``accepted`` or ``queued`` (scheduled for later), then whatever its receipts say.
        accepted_at: moment on the simulator's clock.
        reference: the caller's label.
        class_: the ``class`` attribute.
        mask: the source mask.
        sms_class: 0 to 3.
        scheduled: when the handset is to get it.
        expires: when delivery is to be given up.
        integration_id: v2 only, a UUID.
        operator: network of the handset, known once the message was sent to it or came from it.
        reply_to: id of the message an inbound one answers.
        encoding: ``base64`` for binary inbound content, otherwise None.
        application: the username it was submitted with; for an inbound message that of the message it answers, None if
            it answers none.
        history: every status it had, oldest first.
    """

    id: str
    version: int
    direction: Literal["MT", "MO"]
    source: str
    destination: str
    content: str
    status: str
    accepted_at: datetime
    reference: str | None = None
    class_: str | None = None
    mask: str | None = None
    sms_class: int | None = None
    scheduled: datetime | None = None
    expires: datetime | None = None
    integration_id: str | None = None
    operator: str | None = None
    reply_to: str | None = None
    encoding: str | None = None
    application: str | None = None
    history: list[StatusChange] = attrs.field(factory=list["StatusChange"])

    def __repr__(self) -> str:
        """One line for a failing test: ``<MT 9007199254740993 to +64211234567 'Kia ora' sent reference='order-1'>``."""
        whom = f"to {self.destination}" if self.direction == "MT" else f"from {self.source}"
        optional = {"reference": self.reference, "reply_to": self.reply_to, "encoding": self.encoding}
        rest = "".join(f" {name}={value!r}" for name, value in optional.items() if value is not None)
        scheduled = f" scheduled={self.scheduled.isoformat()}" if self.scheduled is not None else ""
        return f"<{self.direction} {self.id} {whom} {self.content!r} {self.status}{rest}{scheduled}>"


@attrs.frozen
class Callback:
    """A receipt or an inbound message that is to be posted, for the ``attempt``-th time."""

    kind: Literal["receipt", "inbound"]
    message: StoredMessage
    status: str | None = None
    attempt: int = 1
    detail: str | None = None


@attrs.frozen
class Delivery:
    """One callback as it was posted, and what the receiver made of it.

    Attributes:
        kind: ``receipt`` or ``inbound``.
        message_id: the message it is about.
        url: where it was posted, without the credentials.
        headers: what was sent with it, without the credentials.
        payload: the JSON that was posted.
        at: moment on the simulator's clock.
        attempt: 1, or more when earlier ones failed.
        status_code: the receiver's answer; None if there was none.
        problem: why there was none.
        number: 1 for the first delivery; does not restart on `Simulator.reset`.
    """

    kind: Literal["receipt", "inbound"]
    message_id: str
    url: str
    headers: Mapping[str, str]
    payload: Mapping[str, Any]
    at: datetime
    attempt: int
    status_code: int | None
    problem: str | None
    number: int = 0

    @property
    def ok(self) -> bool:
        """The receiver answered 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


@attrs.frozen(repr=False)
class RequestMatch:
    """The requests a rule is for: those for which everything given here is true.

    Attributes:
        method: HTTP method.
        path: the path, or its end: ``/messages`` is that of both versions.
        destination: a number the request wants to send to, alone or among others.
        application: the username of its credentials, good or not.
    """

    method: str | None = None
    path: str | None = None
    destination: str | None = None
    application: str | None = None

    def __repr__(self) -> str:
        """As it was given."""
        return repr(attrs.asdict(self, filter=lambda _, value: value is not None))

    def __call__(self, request: ReceivedRequest) -> bool:
        """Is the rule for this request?"""
        return (
            self.method in (None, request.method)
            and (self.path is None or request.path.endswith(self.path))
            and self.application in (None, request.username)
            and (self.destination is None or self.destination in _destinations(request.json))
        )


@attrs.define(repr=False)
class Fault:
    """A rule made by `Simulator.fail`.

    Attributes:
        error: the documented error code to answer with, in the envelope of the version that was asked.
        answer: the answer to give instead of the true one.
        acted: the request is carried out all the same.
        cut: where the connection is closed.
        delay: seconds of real time before the answer or the cut.
        times: how many requests it is for; None for all of them.
        match: which requests it is for; None for all of them.
        hits: how many requests it was applied to.
        id: of this rule, for `Simulator.remove_fault`.
    """

    error: str | None
    answer: Answer | None
    acted: bool
    cut: Cut | None
    delay: float
    times: int | None
    match: Callable[[ReceivedRequest], bool] | RequestMatch | None
    hits: int = 0
    id: str = ""

    def __repr__(self) -> str:
        """One line for a failing test: ``<fail(status=503, times=1, match=...), 0 hits>``."""
        given = {
            "error": self.error,
            "status": None if self.answer is None else self.answer.status_code,
            "acted": self.acted or None,
            "cut": self.cut,
            "delay": self.delay or None,
        }
        arguments = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"<fail({', '.join([*arguments, f'times={self.times}', f'match={self.match!r}'])}), {self.hits} hits>"

    @property
    def does_nothing(self) -> bool:
        """It is there for its ``match`` function alone, which sees every request."""
        return self.answer is None and self.cut is None and not self.delay

    @property
    def times_left(self) -> int | None:
        """How many more requests it applies to; None: any number."""
        return None if self.times is None else self.times - self.hits


def _destinations(body: Any) -> list[Any]:
    destination = cast("dict[str, Any]", body).get("destination") if isinstance(body, dict) else None
    return destination if isinstance(destination, list) else [destination]  # pyright: ignore[reportUnknownVariableType]


def without_none(payload: Mapping[str, Any]) -> dict[str, Any]:
    """An attribute that has no value is left out, never null."""
    return {name: value for name, value in payload.items() if value is not None}
