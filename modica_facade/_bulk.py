"""The accounting of a bulk send: every destination of the input ends in exactly one place. Pure, without I/O.

Submitted or failed (an outcome was yielded), in ``batch`` (tried, no answer that tells), or in ``unsent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any

from attrs import frozen

from ._calls import Call
from .errors import (
    BroadcastInterruptedError,
    InvalidRequestError,
    ModicaError,
    RejectedError,
    UnexpectedResponseError,
)
from .models import BroadcastOutcome, BroadcastResult, SubmittedMessage


@frozen
class Batch:
    """Destinations that travel in one request, and that request."""

    destinations: tuple[str, ...]
    call: Call[Any]


class Bulk:
    """One bulk send.

    Args:
        destinations: any iterable; pulled lazily, one batch at a time.
        make_call: the call for a batch of destinations; may raise InvalidRequestError.
        size: how many destinations one request takes.
        refusals_are_outcomes: one destination a request: a refusal concerns that destination and stops nothing.

    Raises:
        InvalidRequestError: destinations are not an iterable of str.
    """

    def __init__(
        self,
        destinations: Iterable[str],
        make_call: Callable[[tuple[str, ...]], Call[Any]],
        size: int,
        *,
        refusals_are_outcomes: bool = False,
    ) -> None:
        if isinstance(destinations, str | bytes) or not isinstance(destinations, Iterable):
            raise InvalidRequestError("destinations must be an iterable of str, not one text", field="destinations")
        self._input = iter(destinations)
        self._make_call = make_call
        self._size = size
        self._refusals_are_outcomes = refusals_are_outcomes
        self._submitted = 0
        self._cause: Exception | None = None
        self._may_have_been_sent = False
        self._unknown: list[str] = []
        self._untried: list[str] = []

    def next_batch(self) -> Batch | None:
        """The next batch, or None: the input is at its end, or something stopped the send."""
        if self._cause is not None:
            return None
        taken: list[str] = []
        try:
            taken.extend(islice(self._input, self._size))
        except Exception as error:  # noqa: BLE001 - the caller's iterable failed: report it with the exact account
            self._stop(error)
            self._untried = taken
            return None
        if not taken:
            return None
        destinations = tuple(taken)
        try:
            return Batch(destinations, self._make_call(destinations))
        except InvalidRequestError as error:
            # Never tried. Batches that are in flight may yet fail with an outcome that is not known.
            self._stop(error)
            self._untried = taken
            return None

    def record(
        self, batch: Batch, result: BroadcastResult | SubmittedMessage | ModicaError
    ) -> Sequence[BroadcastOutcome]:
        """The outcomes that a batch brought; batches are settled in the order they were pulled."""
        outcomes: Sequence[BroadcastOutcome]
        if isinstance(result, BroadcastResult):
            # Made once: the result makes an outcome each time one is looked at.
            outcomes = tuple(result)
        elif isinstance(result, SubmittedMessage):
            outcomes = (BroadcastOutcome(result.destination, result.id, "success"),)
        elif self._refusals_are_outcomes and isinstance(result, RejectedError):
            outcomes = (BroadcastOutcome(batch.destinations[0], None, "failure", _reason(result)),)
        else:
            outcomes = self._fail(batch, result)
        self._submitted += sum(outcome.ok for outcome in outcomes)
        return outcomes

    def raise_if_interrupted(self) -> None:
        """The end of the send.

        Raises:
            BroadcastInterruptedError: something stopped it.
        """
        if self._cause is None:
            return
        again = (
            "may have been sent, do not repeat it" if self._may_have_been_sent else "was not sent, it can be repeated"
        )
        raise BroadcastInterruptedError(
            f"the bulk send stopped after {self._submitted} submitted: {self._cause}; "
            f".batch ({len(self._unknown)} destinations) {again}; .unsent was never tried",
            cause=self._cause,
            batch=tuple(self._unknown),
            unsent=chain(self._untried, self._input),
            submitted_count=self._submitted,
            may_have_been_sent=self._may_have_been_sent,
        ) from self._cause

    def _stop(self, cause: Exception) -> None:
        self._cause = self._cause or cause

    def _fail(self, batch: Batch, error: ModicaError) -> Sequence[BroadcastOutcome]:
        self._stop(error)
        self._may_have_been_sent = self._may_have_been_sent or error.may_have_been_sent
        told: dict[str, list[BroadcastOutcome]] = {}
        if isinstance(error, UnexpectedResponseError):
            for outcome in reversed(error.outcomes):
                told.setdefault(outcome.destination, []).append(outcome)
        known: list[BroadcastOutcome] = []
        for destination in batch.destinations:
            if told.get(destination):
                known.append(told[destination].pop())
            else:
                self._unknown.append(destination)
        return known


def _reason(error: RejectedError) -> str:
    return "; ".join(error.descriptions) or error.code or str(error)


def check_count(name: str, value: object, most: int) -> int:
    """A whole number from 1 to ``most``.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRequestError(f"{name} must be a whole number from 1 to {most}", field=name)
    return value
