"""The event log: everything that happens in the simulator, numbered, so that a reader can resume where it stopped."""

from __future__ import annotations

import collections
import contextlib
import itertools
import re
import secrets
import threading
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ._records import Delivery, Fault, ReceivedRequest, StatusChange, StoredMessage

EventKind = Literal["message", "status", "delivery", "request", "clock", "fault", "reset"]

_MAX_EVENTS = 10_000


@attrs.frozen
class Event:
    """One thing that happened.

    Attributes:
        number: 1 for the first of the process; never restarts.
        kind: what it was.
        subject: the record it is about, as it is now and not as it was then; None for ``clock`` and ``reset``.
    """

    number: int
    kind: EventKind
    subject: StoredMessage | StatusChange | Delivery | ReceivedRequest | Fault | None


class EventLog:
    """The last events, for any number of readers in any thread."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)  # of this process: numbers of another one mean nothing here
        self._lock = threading.Lock()
        self._events: collections.deque[Event] = collections.deque(maxlen=_MAX_EVENTS)
        self._last = 0
        self._listeners: set[Callable[[], object]] = set()

    @property
    def last(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._last

    def append(
        self, kind: EventKind, subject: StoredMessage | StatusChange | Delivery | ReceivedRequest | Fault | None = None
    ) -> None:
        """Add an event and tell the listeners."""
        with self._lock:
            self._last += 1
            self._events.append(Event(self._last, kind, subject))
            for listener in self._listeners:
                listener()

    def since(self, number: int) -> list[Event] | None:
        """The events after this number; None if some of them are no longer kept, or the number was never reached."""
        with self._lock:
            kept = len(self._events)
            if not self._last - kept <= number <= self._last:
                return None
            return list(itertools.islice(self._events, kept - (self._last - number), None))

    @contextlib.contextmanager
    def listening(self, listener: Callable[[], object]) -> Generator[None]:
        """Call ``listener`` after each event, in the thread that caused it; it must be quick and append nothing."""
        with self._lock:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def event_id(self, number: int) -> str:
        """The id of an event in a stream: this process's epoch and the number."""
        return f"{self._epoch}-{number}"

    def number_of(self, event_id: str) -> int | None:
        """The number in an id, with or without the epoch; None for anything else, another process's id included."""
        epoch, _, number = event_id.rpartition("-")
        return int(number) if epoch in ("", self._epoch) and re.fullmatch("[0-9]{1,18}", number) else None
