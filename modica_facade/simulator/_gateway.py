"""The simulated platform: a clock one can move, ids, messages, and what becomes of them. No I/O, no HTTP."""

from __future__ import annotations

import base64
import heapq
import itertools
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from modica_facade.simulator._records import Callback, StoredMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modica_facade.simulator._submission import Submission

# Just above 2**53: a client that reads ids as floating point numbers hands out wrong ones, and is found out.
FIRST_ID = 2**53 + 1
SHORT_CODE = "202"
OPERATOR = "Simulated Mobile"

# Our assumption: the documents do not say how, or whether, a callback is repeated.
ATTEMPTS = 5
FIRST_RETRY = timedelta(seconds=30)


class Clock:
    """The platform's time: stands still and moves when told, or runs with real time as well."""

    def __init__(self, now: datetime | None, *, real_time: bool) -> None:
        self._origin = now or datetime.now(UTC)
        self._running_since = time.monotonic() if real_time else None

    def now(self) -> datetime:
        if self._running_since is None:
            return self._origin
        return self._origin + timedelta(seconds=time.monotonic() - self._running_since)

    def move_to(self, moment: datetime) -> None:
        """Forward only."""
        self._origin += max(moment - self.now(), timedelta())


@attrs.frozen
class Disturbance:
    """How likely each callback is to be posted twice, never, or (all receipts of a message) in reverse order."""

    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0


@attrs.frozen
class _Step:
    """At a moment a message gets a status, or a callback is posted, or both."""

    due: datetime
    status: str | None
    callback: Callback | None


class Gateway:
    """What the platform knows. Not thread-safe: the simulator holds a lock around it."""

    def __init__(self, clock: Clock, *, seed: int, keep: int | None) -> None:
        self.clock = clock
        self.disturbance = Disturbance()
        self.plans: dict[str | None, tuple[Sequence[str], float]] = {None: (("sent", "received"), 1.0)}
        self._keep = keep
        # Two streams, so that ids do not depend on what happens to callbacks.
        self._ids = random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
        self._chance = random.Random(seed)  # noqa: S311 - the same
        self._next_id = FIRST_ID
        self._messages: dict[str, StoredMessage] = {}
        # One entry a message, however many steps lie before it: (when, order of entry, message, its next steps).
        self._agenda: list[tuple[datetime, int, StoredMessage, Sequence[_Step]]] = []
        self._order = itertools.count()

    def __iter__(self) -> Iterator[StoredMessage]:
        return iter(self._messages.values())

    def get(self, version: int, message_id: str) -> StoredMessage | None:
        """A message of this version; neither version resolves ids of the other."""
        message = self._messages.get(message_id)
        return message if message is not None and message.version == version else None

    def accept(self, version: int, destination: str, submission: Submission) -> StoredMessage:
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
            status="queued" if later else "accepted",
            accepted_at=now,
            scheduled=submission.scheduled,
            **submission.rest,
        )
        self._store(message, self._fate(message))
        return message

    def take_inbound(
        self, *, version: int, source: str, destination: str, content: str | bytes, answers: StoredMessage | None
    ) -> StoredMessage:
        """Take one message from a handset in."""
        now = self.clock.now()
        binary = isinstance(content, bytes)
        message = StoredMessage(
            id=self._new_id(version),
            version=version,
            direction="MO",
            source=source,
            destination=destination,
            content=base64.b64encode(content).decode() if isinstance(content, bytes) else content,
            status="received",
            accepted_at=now,
            operator=OPERATOR,
            reply_to=answers.id if answers else None,
            reference=answers.reference if answers else None,
            encoding="base64" if binary else None,
        )
        self._store(message, self._disturbed([_Step(now, None, Callback("inbound", message))]))
        return message

    def next_callback(self, until: datetime | None) -> Callback | None:
        """Live on to the next callback that is due at ``until`` (None: however late) and return it."""
        while self._agenda and (until is None or self._agenda[0][0] <= until):
            due, _, message, (step, *later) = heapq.heappop(self._agenda)
            self.clock.move_to(due)
            self._enter(message, later)
            if step.status is not None:
                message.status = step.status
                message.operator = OPERATOR if step.status in ("sent", "received") else message.operator
            if step.callback is not None:
                return step.callback
        if until is not None:
            self.clock.move_to(until)
        return None

    def retry(self, callback: Callback) -> None:
        """The receiver could not be reached or had a failure of its own: try again later, a few times."""
        if callback.attempt < ATTEMPTS:
            due = self.clock.now() + FIRST_RETRY * 2 ** (callback.attempt - 1)
            again = attrs.evolve(callback, attempt=callback.attempt + 1)
            self._enter(callback.message, [_Step(due, None, again)])

    def _fate(self, message: StoredMessage) -> list[_Step]:
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
        return self._disturbed(steps)

    def _disturbed(self, steps: list[_Step]) -> list[_Step]:
        likely = self.disturbance
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

    def _store(self, message: StoredMessage, steps: Sequence[_Step]) -> None:
        self._messages[message.id] = message
        self._enter(message, steps)
        if self._keep is None:
            return
        if len(self._messages) > self._keep:
            del self._messages[next(iter(self._messages))]
        if len(self._agenda) > 2 * self._keep:
            self._agenda = [entry for entry in self._agenda if entry[2].id in self._messages]
            heapq.heapify(self._agenda)

    def _enter(self, message: StoredMessage, steps: Sequence[_Step]) -> None:
        if steps:
            heapq.heappush(self._agenda, (steps[0].due, next(self._order), message, steps))

    def _new_id(self, version: int) -> str:
        if version == 1:
            self._next_id += 1
            return str(self._next_id - 1)
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
