"""The simulated platform: a clock one can move, ids, and the messages it holds. No I/O, no HTTP."""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from modica_facade.simulator._records import StoredMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

# Just above 2**53: a client that reads ids as floating point numbers hands out wrong ones, and is found out.
FIRST_ID = 2**53 + 1
SHORT_CODE = "202"


class Clock:
    """The platform's time: stands still and moves when told, or runs with real time as well."""

    def __init__(self, now: datetime | None, *, real_time: bool) -> None:
        self._origin = now or datetime.now(UTC)
        self._running_since = time.monotonic() if real_time else None

    def now(self) -> datetime:
        if self._running_since is None:
            return self._origin
        return self._origin + timedelta(seconds=time.monotonic() - self._running_since)

    def advance(self, seconds: float) -> None:
        self._origin += timedelta(seconds=seconds)


class Gateway:
    """What the platform knows. Not thread-safe: the simulator holds a lock around it."""

    def __init__(self, clock: Clock, *, seed: int, keep: int | None) -> None:
        self.clock = clock
        self._keep = keep
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
        self._next_id = FIRST_ID
        self._messages: dict[str, StoredMessage] = {}

    def __iter__(self) -> Iterator[StoredMessage]:
        return iter(self._messages.values())

    def get(self, message_id: str) -> StoredMessage | None:
        return self._messages.get(message_id)

    def accept(self, *, version: int, destination: str, content: str, source: str | None, **rest: Any) -> StoredMessage:
        """Take one MT message in; from here on it exists and would be billed."""
        now = self.clock.now()
        scheduled: datetime | None = rest.get("scheduled")
        return self._store(
            StoredMessage(
                id=self._new_id(version),
                version=version,
                direction="MT",
                source=source or SHORT_CODE,
                destination=destination,
                content=content,
                status="queued" if scheduled and scheduled > now else "accepted",
                accepted_at=now,
                **rest,
            )
        )

    def _store(self, message: StoredMessage) -> StoredMessage:
        self._messages[message.id] = message
        if self._keep is not None and len(self._messages) > self._keep:
            del self._messages[next(iter(self._messages))]
        return message

    def _new_id(self, version: int) -> str:
        if version == 1:
            self._next_id += 1
            return str(self._next_id - 1)
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
