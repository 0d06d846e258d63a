"""The simulated platform: a clock one can move, ids, messages, and what becomes of them. No I/O, no HTTP."""

from __future__ import annotations

import base64
import heapq
import itertools
import random
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from ._records import Callback, StatusChange, StoredMessage
from ._submission import ALWAYS_EXPIRED, ALWAYS_REJECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._events import EventLog
    from ._submission import Submission

# Just above 2**53: a client that reads ids as floating point numbers hands out wrong ones, and is found out.
FIRST_ID = 2**53 + 1
# For programs that have no other numbers, JavaScript in the first place.
FIRST_SMALL_ID = 1001
SHORT_CODE = "202"
OPERATOR = "Simulated Mobile"

# Our assumption: the documents do not say how, or whether, a callback is repeated.
ATTEMPTS = 5
FIRST_RETRY = timedelta(seconds=30)


# Statuses of messages that are on their way or there, and of those that a handset never got.
_ON_NETWORK = frozenset({"sent", "received"})
_UNDELIVERED = frozenset({"blocked", "dead", "deficient", "expired", "failed", "frozen", "rejected"})

LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)  # leaves room for everything that is added to it


class Clock:
    """The platform's time: stands still and moves when told, or runs with real time as well.

    Without a start it starts when it is first looked at: a test that freezes or moves the system's time may do so after
    the simulator was made.
    """

    def __init__(self, start: datetime | None, *, running: bool) -> None:
        self._origin = start
        self._running_since = time.monotonic() if running else None

    def now(self) -> datetime:
        if self._origin is None:
            self._origin = datetime.now(UTC)
            if self._running_since is not None:
                self._running_since = time.monotonic()
        if self._running_since is None:
            return self._origin
        return self._origin + timedelta(seconds=time.monotonic() - self._running_since)

    @property
    def running(self) -> bool:
        return self._running_since is not None

    @running.setter
    def running(self, running: bool) -> None:
        if self._origin is not None:
            self._origin = self.now()
        self._running_since = time.monotonic() if running else None

    def move_to(self, moment: datetime) -> None:
        """Forward only."""
        now = self.now()
        assert self._origin is not None
        self._origin += max(moment - now, timedelta())


def encoded(content: str | bytes) -> tuple[str, str | None]:
    """Inbound content as it is posted, and its encoding: bytes as base64."""
    if isinstance(content, str):
        return content, None
    if isinstance(content, bytes):
        return base64.b64encode(content).decode(), "base64"
    raise ValueError(f"content must be text, or bytes for a binary message, not {content!r}")


@attrs.frozen
class CallbackFaults:
    """How likely each callback is to be posted twice, never, or out of order."""

    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    overtake: float = 0.0


@attrs.frozen
class _Step:
    """At a moment a message gets a status, or a callback is posted, or both."""

    due: datetime
    status: str | None
    callback: Callback | None


class Gateway:
    """What the platform knows. Not thread-safe: the simulator holds a lock around it."""

    def __init__(
        self,
        clock: Clock,
        events: EventLog,
        *,
        seed: int,
        first_id: int,
        keep: int | None,
        forgot: Callable[[str], object],
    ) -> None:
        self.clock = clock
        self.callback_faults = CallbackFaults()
        self.plans: dict[str | None, tuple[Sequence[str], float]] = {
            None: (("sent", "received"), 1.0),
            ALWAYS_REJECTED: (("rejected",), 1.0),
            ALWAYS_EXPIRED: (("sent", "expired"), 1.0),
        }
        self.overtaking: list[Callback] = []  # to be posted before the answer to the request that caused them
        self._events = events
        self._keep = keep
        self._forgot = forgot
        # Two streams, so that ids do not depend on what happens to callbacks.
        self._ids = random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
        self._chance = random.Random(seed)  # noqa: S311 - the same
        self._next_id = first_id
        self._messages: dict[str, StoredMessage] = {}
        self._stopped: set[str] = set()  # ids of messages that by their plan never leave for the handset
        # One entry a message, however many steps lie before it: (when, order of entry, message, its next steps).
        self._agenda: list[tuple[datetime, int, StoredMessage, Sequence[_Step]]] = []
        self._order = itertools.count()
        # What may be forgotten, oldest first, and how many entries and callbacks keep the others from it.
        self._finished: dict[str, None] = {}
        self._open: Counter[str] = Counter()

    def __iter__(self) -> Iterator[StoredMessage]:
        return iter(self._messages.values())

    @property
    def next_due(self) -> datetime | None:
        """When the next thing happens of its own accord; None if nothing will."""
        return self._agenda[0][0] if self._agenda else None

    def get(self, message_id: str) -> StoredMessage | None:
        """A message of any version and application."""
        return self._messages.get(message_id)

    def visible(self, version: int, message_id: str, application: str | None) -> StoredMessage | None:
        """A message as an application sees it: neither those of the other version nor those of other applications."""
        message = self._messages.get(message_id)
        if message is None or message.version != version or message.application not in (None, application):
            return None
        return message

    def accept(self, version: int, destination: str, submission: Submission, application: str | None) -> StoredMessage:
        """Take one message to a handset in; from here on it exists and would be billed."""
        now = self.clock.now()
        later = submission.scheduled is not None and submission.scheduled > now
        message = StoredMessage(
            id=self._new_id(version),
            version=version,
            direction="MT",
            source=submission.source or SHORT_CODE,
            destination=destination,
            content=submission.content,
            status="",
            accepted_at=now,
            scheduled=submission.scheduled,
            application=application,
            **submission.rest,
        )
        self._store(message, "queued" if later else "accepted", self._planned(message))
        return message

    def take_inbound(
        self,
        *,
        version: int,
        source: str,
        destination: str,
        content: str | bytes,
        answers: StoredMessage | None = None,
        application: str | None = None,
    ) -> StoredMessage:
        """Take one message from a handset in."""
        now = self.clock.now()
        text, encoding = encoded(content)
        message = StoredMessage(
            id=self._new_id(version),
            version=version,
            direction="MO",
            source=source,
            destination=destination,
            content=text,
            status="",
            accepted_at=now,
            operator=OPERATOR,
            reply_to=answers.id if answers else None,
            reference=answers.reference if answers else None,
            encoding=encoding,
            application=application,
        )
        self._store(message, "received", self._with_faults([_Step(now, None, Callback("inbound", message))]))
        return message

    def newest_at(self, number: str) -> StoredMessage | None:
        """The message that left for this handset last."""
        there = [message for message in self if message.destination == number and self.has_left(message)]
        newest_first = reversed(there)  # of several at one moment the last one counts
        return max(newest_first, key=lambda message: message.scheduled or message.accepted_at, default=None)

    def has_left(self, message: StoredMessage) -> bool:
        """Did this message leave for a handset, so that it can be answered?"""
        if message.direction == "MO" or message.status in _UNDELIVERED:
            return False
        due = (message.scheduled or message.accepted_at) <= self.clock.now()
        return message.status in _ON_NETWORK or (due and message.id not in self._stopped)

    def change_status(self, message: StoredMessage, status: str) -> None:
        """Give a message a status, now."""
        message.status = status
        message.operator = OPERATOR if status in _ON_NETWORK else message.operator
        change = StatusChange(message.id, status, self.clock.now())
        message.history.append(change)
        self._events.append("status", change)

    def receipt_now(self, message: StoredMessage, status: str, detail: str | None) -> Callback:
        """Make a receipt outside the plan, which the caller posts like those of `next_callback`."""
        self.change_status(message, status)
        self._reopen(message)
        return Callback("receipt", message, status, detail=detail)

    def next_callback(self, until: datetime | None) -> Callback | None:
        """Live on to the next callback that is due at ``until`` (None: however late) and return it.

        The caller posts it, and says then whether it is to be posted again: `retry` or `settle`.
        """
        while self._agenda and (until is None or self._agenda[0][0] <= until):
            due, _, message, (step, *later) = heapq.heappop(self._agenda)
            self.clock.move_to(due)
            self._enter(message, later)
            if step.status is not None:
                self.change_status(message, step.status)
            if step.callback is not None:
                return step.callback
            self._close(message)
        if until is not None:
            self.clock.move_to(until)
        return None

    def retry(self, callback: Callback, posted_at: datetime) -> None:
        """The receiver could not be reached or had a failure of its own: try again later, a few times."""
        if callback.attempt < ATTEMPTS:
            due = posted_at + FIRST_RETRY * 2 ** (callback.attempt - 1)
            again = attrs.evolve(callback, attempt=callback.attempt + 1)
            self._enter(callback.message, [_Step(due, None, again)])

    def settle(self, callback: Callback) -> None:
        """A callback that `next_callback` returned was posted."""
        self._close(callback.message)

    def _planned(self, message: StoredMessage) -> list[_Step]:
        """The receipts that lie before a message, as planned, cut short when it expires."""
        statuses, interval = self.plans.get(message.destination, self.plans[None])
        due = message.scheduled or message.accepted_at
        steps: list[_Step] = []
        for status in statuses:
            due += timedelta(seconds=interval)
            if message.expires is not None and due > message.expires:
                steps.append(_Step(message.expires, "expired", Callback("receipt", message, "expired")))
                break
            steps.append(_Step(due, status, Callback("receipt", message, status)))
        if steps and steps[0].status in _UNDELIVERED:
            self._stopped.add(message.id)
        return self._with_faults(steps)

    def _with_faults(self, steps: list[_Step]) -> list[_Step]:
        likely = self.callback_faults
        if steps and self._chance.random() < likely.reorder:
            last = steps[-1].due
            changes = [attrs.evolve(step, callback=None) for step in steps]
            steps = [*changes, *(_Step(last, None, step.callback) for step in reversed(steps))]
        result: list[_Step] = []
        for step in steps:
            dropped = self._chance.random() < likely.drop
            doubled = self._chance.random() < likely.duplicate
            result.append(attrs.evolve(step, callback=None) if dropped else step)
            if doubled and not dropped and step.callback is not None:
                result.append(_Step(step.due, None, step.callback))
        return result

    def _store(self, message: StoredMessage, status: str, steps: list[_Step]) -> None:
        self._messages[message.id] = message
        message.status = status
        message.history.append(StatusChange(message.id, status, message.accepted_at))
        self._events.append("message", message)
        if likely := self.callback_faults.overtake:
            steps = self._overtake(message, steps, likely)
        self._enter(message, steps)
        if not self._open[message.id]:
            self._finish(message)

    def _overtake(self, message: StoredMessage, steps: list[_Step], likely: float) -> list[_Step]:
        first = steps[0] if steps else None
        if (
            first is None
            or first.callback is None
            or first.callback.kind == "inbound"
            or self._chance.random() >= likely
        ):
            return steps
        if first.status is not None:
            self.change_status(message, first.status)
        self._reopen(message)
        self.overtaking.append(first.callback)
        return steps[1:]

    def _enter(self, message: StoredMessage, steps: Sequence[_Step]) -> None:
        if steps:
            self._reopen(message)
            heapq.heappush(self._agenda, (steps[0].due, next(self._order), message, steps))

    def _reopen(self, message: StoredMessage) -> None:
        self._open[message.id] += 1
        self._finished.pop(message.id, None)

    def _close(self, message: StoredMessage) -> None:
        self._open[message.id] -= 1
        if self._open[message.id] <= 0:
            self._finish(message)

    def _finish(self, message: StoredMessage) -> None:
        """Nothing lies before this message: it may be forgotten."""
        del self._open[message.id]
        self._finished[message.id] = None
        if self._keep is not None and len(self._finished) > self._keep:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            self._stopped.discard(oldest)
            self._messages.pop(oldest, None)
            self._forgot("messages")

    def _new_id(self, version: int) -> str:
        if version == 1:
            self._next_id += 1
            return str(self._next_id - 1)
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
