"""The threads of a blocking bulk send: several batches are tried at a time, and their ends awaited in order.

A signal handler may raise anywhere in the thread that iterates over the send. So that thread touches no lock written in
Python, as it would with `concurrent.futures` or even `threading.Thread.start`: one that is left locked hangs the
program. What it does touch, `queue.SimpleQueue` and `_thread`, is written in C.
"""

from __future__ import annotations

import _thread
import atexit
import queue
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Self

from .._bulk import Batch


class Threads:
    """Threads that try batches, started as they are needed. Leaving waits for them: no send is cut off in the middle.

    Args:
        try_batch: does it.
        most: how many threads; as many batches are in flight at a time.

    Attributes:
        in_flight: the batches that were given to `start` and not returned by `next`.
    """

    def __init__(self, try_batch: Callable[[Batch], None], most: int) -> None:
        self.in_flight: deque[Batch] = deque()
        self._try_batch = try_batch
        self._most = most
        self._threads = 0
        self._waiting: queue.SimpleQueue[tuple[Context, Batch] | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Wakes the waiting thread; what counts is `Batch.finished`."""

    def __enter__(self) -> Self:
        # A program may end while it still holds the iterator.
        atexit.register(self._wait_for_all)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        atexit.unregister(self._wait_for_all)
        self._wait_for_all()

    def start(self, batch: Batch) -> None:
        """Have a batch tried, in a copy of the present context (`contextvars`)."""
        self.in_flight.append(batch)
        self._waiting.put((copy_context(), batch))
        if self._threads == self._most:
            return
        try:
            _thread.start_new_thread(self._work, ())
            self._threads += 1
        except RuntimeError:
            # None can be started. Those that there are will do, or else this one.
            if self._threads == 0:
                self._run(self._waiting.get())

    def next(self) -> Batch:
        """The first batch in flight, when it was tried.

        Raises:
            BaseException: what trying it raised.
        """
        batch = self.in_flight[0]
        self._wait(batch)
        if batch.raised is not None:
            raise batch.raised
        return self.in_flight.popleft()

    def _work(self) -> None:
        while self._run(self._waiting.get()):
            pass
        self._waiting.put(None)  # for the next thread

    def _run(self, item: tuple[Context, Batch] | None) -> bool:
        if item is None:
            return False
        context, batch = item
        try:
            context.run(self._try_batch, batch)
        except BaseException as error:  # noqa: BLE001 - raised again by `next`
            batch.raised = error
        batch.finished = True
        self._finished.put(None)
        return True

    def _wait(self, batch: Batch) -> None:
        # When the interpreter is gone, so are the threads.
        while not batch.finished and not sys.is_finalizing():
            with suppress(queue.Empty):
                self._finished.get(timeout=0.05)

    def _wait_for_all(self) -> None:
        for batch in tuple(self.in_flight):
            if batch.tried:
                self._wait(batch)
