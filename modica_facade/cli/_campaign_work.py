"""A worker for campaigns: the unit of work, and the loop over it where no engine is needed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from ..client import Modica, ModicaV2
from ..errors import InvalidRequestError, RejectedError
from ..ledger import Ledger
from ._errors import FailedError, exit_code, in_terms_of_options
from ._output import note

Stop = threading.Event
Tell = Callable[[str, int], None]

_TICK: Final = 1.0  # seconds between two looks at which campaigns are running

# A unit is so many destinations at most, and lasts so long: then other campaigns have their turn.
_UNIT: Final = 1000
_UNIT_SECONDS: Final = 5.0


def work_unit(ledger: Ledger, modica: Modica | ModicaV2, name: str, stop: Stop, tell: Tell) -> int:
    """Send for one campaign, for a while, and return how many destinations were tried.

    Raises:
        FailedError: what went wrong concerns this campaign alone, which is paused: with each further try the gateway
            would refuse the destinations of another request.
        ModicaError: what ends a worker.
    """
    end = time.monotonic() + _UNIT_SECONDS
    try:
        tried = ledger.work(modica, campaign=name, limit=_UNIT, stop=lambda: stop.is_set() or time.monotonic() >= end)
    except (RejectedError, InvalidRequestError) as error:
        with contextlib.suppress(InvalidRequestError):  # somebody else has paused or cancelled it
            ledger.campaign(name).pause()
        message = f"campaign {name} is paused: {in_terms_of_options(str(error))}"
        note(message)
        raise FailedError(exit_code(error), message) from error
    if tried:
        tell(name, tried)
    return tried


def running(ledger: Ledger, names: Collection[str] = ()) -> list[str]:
    """The campaigns that can send now; only of these names, if any are given."""
    return [name for name, state in ledger.campaigns().items() if state == "running" and (not names or name in names)]


def work_alone(
    ledger: Ledger, modica: Modica | ModicaV2, names: Collection[str], stop: Stop, tell: Tell, *, once: bool
) -> None:
    """Work in this process, in a thread for each running campaign, until stopped.

    Raises:
        FailedError: it was to work once, and a campaign is paused.
        ModicaError: what ended it.
    """
    threads: dict[str, threading.Thread] = {}
    paused: list[FailedError] = []
    failures: list[Exception] = []

    def work(name: str) -> None:
        try:
            while not stop.is_set() and work_unit(ledger, modica, name, stop, tell):
                pass
        except FailedError as error:
            paused.append(error)
        except Exception as error:  # noqa: BLE001 - raised where the command can report it
            failures.append(error)
            stop.set()

    try:
        while not stop.is_set():
            for name in running(ledger, names):
                if name not in threads or not threads[name].is_alive():
                    threads[name] = threading.Thread(target=work, args=(name,), daemon=True)
                    threads[name].start()
            if once:
                break
            _pause(stop)
    except BaseException:
        stop.set()
        raise
    finally:
        for thread in threads.values():
            thread.join()
    for error in (*failures, *(paused if once else ())):
        raise error


def _pause(stop: Stop) -> None:
    """Wait for the next tick, or until stopped."""
    end = time.monotonic() + _TICK
    # Not stop.wait: a signal handler that sets the event while this thread holds its lock would never return.
    while not stop.is_set() and time.monotonic() < end:
        time.sleep(0.05)
