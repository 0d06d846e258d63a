"""Retries: how often and how long a call may be tried, and the pure decision after each attempt. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from ._calls import Call, NoResponse, Response, parse_retry_after
from .errors import ConfigurationError


def _at_least(least: float, *, whole: bool = False) -> Callable[[RetryPolicy, Attribute[Any], Any], None]:
    def check(_policy: RetryPolicy, attribute: Attribute[Any], value: Any) -> None:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
            kind = "a whole number" if whole else "a number"
            raise ConfigurationError(f"RetryPolicy.{attribute.name} must be {kind}, at least {least}")

    return check


@frozen
class RetryPolicy:
    """How often and how long a call may be tried. Which outcomes may be repeated at all is not an option.

    Example:
        >>> RetryPolicy(attempts=2, deadline=20)
        RetryPolicy(attempts=2, backoff=0.5, backoff_cap=8.0, retry_after_cap=60.0, deadline=20)

    A ``get`` is repeated on transport failures and 408, 425, 429, 500, 502, 503 and 504. A send or broadcast is
    repeated only when it certainly was not processed: the request never left this machine, or the answer is 425 or 429.

    Attributes:
        attempts: tries in all, at least 1.
        backoff: seconds; the n-th pause is drawn evenly from 0 to ``backoff * 2**n`` (twice that after a 429).
        backoff_cap: seconds; no drawn pause is longer.
        retry_after_cap: seconds; an answer that asks for a longer wait is raised at once, with ``retry_after`` set.
        deadline: seconds for the whole call, attempts and pauses together.

    Raises:
        ConfigurationError: a value is not a number or out of range.
    """

    attempts: int = field(default=4, validator=_at_least(1, whole=True))
    backoff: float = field(default=0.5, validator=_at_least(0))
    backoff_cap: float = field(default=8.0, validator=_at_least(0))
    retry_after_cap: float = field(default=60.0, validator=_at_least(0))
    deadline: float = field(default=90.0, validator=_at_least(0.001))


class RetryBudget:
    """Stops a client from hammering a gateway that is down: a retry costs 10 of 500 tokens, a clean success adds 1.

    Plain integers without a lock: a failure update between threads changes nothing that matters.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens = 500

    def withdraw(self) -> bool:
        """Pay for a retry; False if the balance is too low."""
        if self._tokens < 10:
            return False
        self._tokens -= 10
        return True

    def deposit(self) -> None:
        """Add a token after a clean success."""
        if self._tokens < 500:
            self._tokens += 1


_NOT_PROCESSED = frozenset({425, 429})
_RETRYABLE_GET = frozenset({408, 425, 429, 500, 502, 503, 504})


def retry_delay(
    call: Call[Any], policy: RetryPolicy, outcome: Response | NoResponse, attempt: int, elapsed: float, jitter: float
) -> float | None:
    """Seconds to wait before the next attempt, or None to stop.

    Args:
        call: what was tried.
        policy: limits.
        outcome: the response of the attempt, or its failure.
        attempt: how many attempts were made, 1 after the first.
        elapsed: seconds since the call began.
        jitter: a random number from 0 to 1.
    """
    if attempt >= policy.attempts:
        return None
    base = policy.backoff
    wait = 0.0
    if isinstance(outcome, NoResponse):
        if not outcome.retryable or (call.is_send and outcome.may_have_been_sent):
            return None
    elif outcome.status in (_NOT_PROCESSED if call.is_send else _RETRYABLE_GET):
        if outcome.status == 429:
            base *= 2
        wait = parse_retry_after(outcome.retry_after) or 0.0
        if wait > policy.retry_after_cap:
            return None
    elif call.is_send or outcome.truncated is None:
        return None
    # 2.0**1024 overflows; nobody's backoff needs more than 2**60.
    wait = max(wait, jitter * min(policy.backoff_cap, base * 2.0 ** min(attempt - 1, 60)))
    return wait if elapsed + wait < policy.deadline else None
