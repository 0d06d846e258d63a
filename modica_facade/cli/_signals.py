"""Signals: a broadcast and a worker stop in order, everything else ends as with Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator

# SIGHUP (a closed terminal) and SIGTERM end a program without a word unless it says otherwise.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _say_what_is_awaited() -> None:
    # Not print: the signal may have come in the middle of one. A terminal that hung up cannot be written to.
    with contextlib.suppress(OSError):
        os.write(2, b"\nmodica: stopping when the requests in flight are answered; once more to stop at once\n")


@contextlib.contextmanager
def stop_requested(then: Callable[[], object] = _say_what_is_awaited) -> Generator[threading.Event]:
    """The first signal sets the event and calls ``then`` in the handler, the next one is a KeyboardInterrupt."""

    def interrupt(_signal: int) -> None:
        raise KeyboardInterrupt

    with _stop_event(then, interrupt) as stop:
        yield stop


@contextlib.contextmanager
def stop_in_order() -> Generator[threading.Event]:
    """The first signal sets the event, the next one ends the process as if unhandled, whatever its threads do.

    For what keeps its account in a database all the time.
    """

    def end(number: int) -> None:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    with _stop_event(_say_what_is_awaited, end) as stop:
        yield stop


@contextlib.contextmanager
def _stop_event(first: Callable[[], object], again: Callable[[int], None]) -> Generator[threading.Event]:
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            again(number)
        stop.set()
        first()

    with _handled_by(handle):
        yield stop


@contextlib.contextmanager
def terminations_interrupt() -> Generator[None]:
    """SIGTERM and SIGHUP are a KeyboardInterrupt, as SIGINT is."""

    def handle(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    with _handled_by(handle):
        yield


@contextlib.contextmanager
def _handled_by(handle: Callable[[int, object], None]) -> Generator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in before.items():
            # A background job ignores SIGINT, one under nohup SIGHUP, and must go on doing so.
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
