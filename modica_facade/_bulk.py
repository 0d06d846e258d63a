"""The accounting of a bulk send: every destination of the input ends in exactly one place. No I/O.

Submitted or failed (an outcome was yielded), in ``batch`` (tried, no answer that tells), or in ``unsent``. That holds
wherever the send stops: a batch fails, the input does, the consumer leaves, a signal handler raises.

The order of statements matters here. CPython lets a signal handler raise after a call, and not between two plain
assignments or between ``next()`` of an iterator written in C and the ``yield`` of its value. So each step below is one
assignment, and outcomes are yielded straight from an iterator that is kept.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from operator import length_hint
from types import AsyncGeneratorType, TracebackType
from typing import Any, Self, cast

from attrs import define, field

from ._arguments import check_iterable
from ._calls import Call
from .errors import (
    BroadcastInterruptedError,
    InvalidRequestError,
    ModicaError,
    RejectedError,
    UnexpectedResponseError,
)
from .models import BroadcastOutcome, BroadcastResult, SubmittedMessage

_log = logging.getLogger("modica_facade")


@define(eq=False)
class Batch:
    """Destinations that travel in one request.

    Attributes:
        destinations: as pulled from the input.
        call: the request.
        tried: it may have left this machine.
        settled: what became of it is known, and recorded in what follows.
        outcomes: what is known and was not yielded yet.
        submitted: how many of the outcomes are a success.
        unknown: the destinations without an outcome.
        error: why it, or pulling it, failed.
        finished: the thread that has it is done with it, whatever came of it.
        raised: what came of it, if that was an exception that is not ours.
    """

    destinations: list[str] = field(factory=list[str])
    call: Call[Any] | None = None
    tried: bool = False
    settled: bool = False
    outcomes: Iterator[BroadcastOutcome] = field(factory=lambda: iter(()))
    submitted: int = 0
    unknown: tuple[str, ...] = ()
    error: Exception | None = None
    finished: bool = False
    raised: BaseException | None = None

    def settle(
        self, outcomes: Iterable[BroadcastOutcome], unknown: Iterable[str] = (), error: Exception | None = None
    ) -> None:
        """Take down what became of it."""
        known, unknown = tuple(outcomes), tuple(unknown)
        submitted = sum(outcome.ok for outcome in known)
        remaining = iter(known)
        self.submitted = submitted
        self.unknown = unknown
        self.error = error
        self.outcomes = remaining
        self.settled = True


class Bulk:
    """One bulk send: a context, in which it sends, and after that an iterator over what is left to say.

    Args:
        destinations: any iterable; pulled lazily, one batch at a time.
        make_call: the call for a batch of destinations and the index of the first; may raise InvalidRequestError.
        size: how many destinations one request takes.
        refusals_are_outcomes: one destination a request: a refusal concerns that destination and stops nothing.

    Raises:
        InvalidRequestError: destinations are not an iterable of str.
    """

    _started = True  # until it is made whole: one that could not be made has nothing to warn about

    def __init__(
        self,
        destinations: Iterable[str],
        make_call: Callable[[tuple[str, ...], int], Call[Any]],
        size: int,
        *,
        refusals_are_outcomes: bool = False,
    ) -> None:
        check_iterable(destinations)
        self._input = iter(destinations)
        self._make_call = make_call
        self._size = size
        self._refusals_are_outcomes = refusals_are_outcomes
        self._batches: deque[Batch] = deque()
        """From the first that is not wholly yielded, in the order of the input."""
        self._submitted = 0
        """Of the batches before those."""
        self._pulled = 0
        """How many destinations, in the batches before the last."""
        self._pulling = True
        self._ended = False
        self._raised: BaseException | None = None
        self._interruption: BroadcastInterruptedError | None = None
        self._started = False

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        if not self._started:
            warn(
                "nothing was sent: a broadcast_many or send_many sends while it is iterated, and this one was discarded"
                " before that",
                RuntimeWarning,
                stacklevel=2,
            )

    def __enter__(self) -> None:
        self._started = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._raised = error
        self._ended = True
        if error is None:
            return
        in_flight = sum(batch.tried and not batch.settled for batch in self._batches)
        text = (
            f"a bulk send was left early (requests in flight: {in_flight}); its iterator yields what is known of them"
            " next, and then raises BroadcastInterruptedError with the account"
        )
        if not isinstance(error, GeneratorExit):
            error.add_note(f"modica_facade: {text}")
        elif not in_flight:
            return
        _log.warning("%s", text)

    def next_batch(self) -> Batch | None:
        """The next batch, or None: the input is at its end, or something stopped the send."""
        while self._batches and self._is_yielded(first := self._batches[0]):
            self._submitted += first.submitted
            self._batches.popleft()
        if not self._pulling:
            return None
        batch = Batch()
        self._batches.append(batch)
        try:
            batch.destinations.extend(islice(self._input, self._size))
        except Exception as error:  # noqa: BLE001 - the caller's iterable failed: report it with the exact account
            batch.error = error
            self._pulling = False
            return None
        if not batch.destinations:
            self._pulling = False
            return None
        try:
            batch.call = self._make_call(tuple(batch.destinations), self._pulled)
        except InvalidRequestError as error:
            if self._refusals_are_outcomes:
                batch.settle([BroadcastOutcome(batch.destinations[0], None, "failure", str(error))])
                return batch
            # Never tried. Batches that are in flight may yet fail with an outcome that is not known.
            batch.error = error
            self._pulling = False
            return None
        self._pulled += len(batch.destinations)
        return batch

    @staticmethod
    def _is_yielded(batch: Batch) -> bool:
        return batch.settled and batch.error is None and not length_hint(batch.outcomes)

    def start(self, batch: Batch) -> Call[Any] | None:
        """The call to make now; None: there is nothing to do, or the send has ended."""
        if batch.settled:
            return None
        batch.tried = True
        if self._ended:
            # Looked at after `tried` was set: whoever reads the account sees the one or the other.
            batch.tried = False
            return None
        return batch.call

    def record(self, batch: Batch, result: BroadcastResult | SubmittedMessage | ModicaError) -> None:
        """Take down what became of a batch."""
        if isinstance(result, BroadcastResult):
            batch.settle(result)
        elif isinstance(result, SubmittedMessage):
            batch.settle([BroadcastOutcome(result.destination, result.id, "success")])
        elif self._refusals_are_outcomes and isinstance(result, RejectedError):
            batch.settle([BroadcastOutcome(batch.destinations[0], None, "failure", _reason(result))])
        else:
            self._pulling = False
            batch.settle(*_split(batch.destinations, result), result)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BroadcastOutcome:
        """After the end: what is known and was not yielded yet.

        Raises:
            BroadcastInterruptedError: something stopped the send; the same one each time.
        """
        self._started = True
        if self._interruption is None:
            # Who is interrupted a second time, while the first waits for answers, may get here before them. What is
            # settled after this look is left in doubt.
            settled = [batch for batch in self._batches if batch.settled]
            for batch in settled:
                for outcome in batch.outcomes:
                    return outcome
            self._interruption = self._account(settled)
            if self._interruption is None:
                raise StopIteration
        raise self._interruption.with_traceback(None) from self._interruption.cause

    def _account(self, settled: Sequence[Batch]) -> BroadcastInterruptedError | None:
        errors = [batch.error for batch in self._batches if batch.error is not None]
        if self._ended and self._raised is None and not errors:
            return None
        cause = next(iter(errors), None) if isinstance(self._raised, GeneratorExit | None) else self._raised
        unknown: list[str] = []
        untried: list[str] = []
        may_have_been_sent = False
        for batch in self._batches:
            if batch in settled:
                unknown += batch.unknown
                may_have_been_sent |= isinstance(batch.error, ModicaError) and batch.error.may_have_been_sent
            elif batch.tried:
                unknown += batch.destinations
                may_have_been_sent = True
            else:
                untried += batch.destinations
        submitted = self._submitted + sum(batch.submitted for batch in settled)
        again = "may have been sent, do not repeat it" if may_have_been_sent else "was not sent, it can be repeated"
        undecided = f".batch ({len(unknown)} destinations) {again}" if unknown else ".batch is empty"
        if cause is None:
            why = "it was closed early"
        else:
            why = str(cause) if isinstance(cause, ModicaError) else type(cause).__name__
        return BroadcastInterruptedError(
            f"the bulk send stopped after {submitted} submitted: {why}; {undecided}; .unsent was never tried",
            cause=cause,
            batch=tuple(unknown),
            unsent=chain(untried, self._input),
            submitted_count=submitted,
            may_have_been_sent=may_have_been_sent,
        )


def _split(destinations: Iterable[str], error: ModicaError) -> tuple[list[BroadcastOutcome], list[str]]:
    """What is known in spite of an error, and the destinations of which nothing is."""
    told: dict[str, list[BroadcastOutcome]] = {}
    if isinstance(error, UnexpectedResponseError):
        for outcome in reversed(error.outcomes):
            told.setdefault(outcome.destination, []).append(outcome)
    known: list[BroadcastOutcome] = []
    unknown: list[str] = []
    for destination in destinations:
        if told.get(destination):
            known.append(told[destination].pop())
        else:
            unknown.append(destination)
    return known, unknown


def _reason(error: RejectedError) -> str:
    return "; ".join(error.descriptions) or error.code or str(error)


class OutcomeGenerator(chain[BroadcastOutcome], Generator[BroadcastOutcome, None, None]):
    """What a blocking bulk send returns: its generator, and once that has ended, however it did, what `Bulk` still has.

    A generator that has raised is at its end, and who goes on with it would see nothing more. This is an
    `itertools.chain`, which calls no Python of its own for an item.
    """

    _generator: Generator[BroadcastOutcome, None, None]

    def __new__(cls, bulk: Bulk, generator: Generator[BroadcastOutcome, None, None]) -> Self:
        # `map` and `next` are in the way so that no Python runs as the chain moves on to its second part.
        self = super().__new__(cls, generator, map(next, repeat(bulk)))
        self._generator = generator
        return self

    def send(self, _value: None, /) -> BroadcastOutcome:
        return next(self)

    def throw(self, *error: Any) -> BroadcastOutcome:
        return self._generator.throw(*error)

    def close(self) -> None:
        self._generator.close()


class AsyncOutcomeGenerator(AsyncGenerator[BroadcastOutcome, None]):
    """What an async bulk send returns: as `OutcomeGenerator`."""

    def __init__(self, bulk: Bulk, generator: AsyncGenerator[BroadcastOutcome, None]) -> None:
        self._bulk = bulk
        self._generator = cast("AsyncGeneratorType[BroadcastOutcome, None]", generator)

    def __anext__(self) -> Coroutine[Any, Any, BroadcastOutcome]:
        return self._after_the_end() if self._generator.ag_frame is None else self._generator.__anext__()

    async def _after_the_end(self) -> BroadcastOutcome:
        for outcome in self._bulk:
            return outcome
        raise StopAsyncIteration

    def asend(self, _value: None, /) -> Coroutine[Any, Any, BroadcastOutcome]:
        return self.__anext__()

    def athrow(self, *error: Any) -> Coroutine[Any, Any, BroadcastOutcome]:
        return self._generator.athrow(*error)

    async def aclose(self) -> None:
        await self._generator.aclose()


def check_count(name: str, value: object, most: int) -> int:
    """A whole number from 1 to ``most``.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRequestError(f"{name} must be a whole number from 1 to {most}", field=name)
    return value
