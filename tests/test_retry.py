"""What may be repeated, and for how long."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _v1, errors
from modica_facade._calls import NoResponse, Response
from modica_facade._retry import RetryBudget, RetryPolicy, retry_delay

SEND = _v1.send(
    "+64211234567",
    "Kia ora",
    **dict.fromkeys(("scheduled", "expires", "source", "class_", "mask", "sms_class")),
    reference="order-42",
)
GET = _v1.get(1)
POLICY = RetryPolicy()
NOT_SENT = NoResponse(may_have_been_sent=False, reason="ConnectError")
UNKNOWN = NoResponse(may_have_been_sent=True, reason="ReadTimeout", timed_out=True)


def tried(
    call: Any,
    outcome: Response | NoResponse,
    *,
    attempt: int = 1,
    elapsed: float = 0.0,
    jitter: float = 1.0,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return retry_delay(call, policy, outcome, attempt, elapsed, jitter)


class TestRetryDelay:
    @pytest.mark.parametrize("status", [s for s in range(100, 1000) if s not in (425, 429)])
    def test_a_send_is_repeated_after_no_answer_but_425_and_429(self, status: int) -> None:
        assert tried(SEND, Response(status, retry_after="1")) is None
        assert tried(SEND, Response(status, truncated="ReadError", retry_after="1")) is None

    @pytest.mark.parametrize("status", [425, 429])
    def test_a_send_that_was_not_processed_is_repeated(self, status: int) -> None:
        assert tried(SEND, Response(status)) is not None

    def test_a_send_is_repeated_if_it_never_left(self) -> None:
        assert tried(SEND, NOT_SENT) is not None
        assert tried(SEND, UNKNOWN) is None

    def test_a_get_is_repeated_after_any_transport_failure_and_passing_statuses(self) -> None:
        assert tried(GET, NOT_SENT) is not None
        assert tried(GET, UNKNOWN) is not None
        assert tried(GET, Response(200, truncated="ReadError")) is not None
        repeated = {s for s in range(100, 1000) if tried(GET, Response(s)) is not None}
        assert repeated == {408, 425, 429, 500, 502, 503, 504}

    def test_what_cannot_change_is_not_repeated(self) -> None:
        certificate = NoResponse(may_have_been_sent=False, reason="certificate verify failed", retryable=False)
        assert tried(SEND, certificate) is None
        assert tried(GET, certificate) is None

    def test_attempts_are_counted(self) -> None:
        assert tried(GET, UNKNOWN, attempt=3) is not None
        assert tried(GET, UNKNOWN, attempt=4) is None
        assert tried(GET, UNKNOWN, policy=RetryPolicy(attempts=1)) is None

    def test_pauses_double_up_to_the_cap_and_are_drawn_from_zero(self) -> None:
        policy = RetryPolicy(attempts=100)
        assert [tried(GET, UNKNOWN, attempt=n, policy=policy) for n in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
        assert tried(GET, UNKNOWN, attempt=99, policy=policy) == 8
        assert tried(GET, UNKNOWN, jitter=0.0) == 0
        assert tried(SEND, Response(429)) == 1.0

    def test_retry_after_is_waited_out_up_to_its_cap(self) -> None:
        assert tried(SEND, Response(429, retry_after="7")) == 7
        assert tried(SEND, Response(429, retry_after="60")) == 60
        assert tried(SEND, Response(429, retry_after="61")) is None
        assert tried(GET, Response(503, retry_after="3600")) is None
        assert tried(SEND, Response(429, retry_after="soon")) == 1.0

    def test_the_deadline_bounds_the_call(self) -> None:
        assert tried(SEND, Response(429, retry_after="50"), elapsed=39) == 50
        assert tried(SEND, Response(429, retry_after="50"), elapsed=40) is None
        assert tried(SEND, Response(429, retry_after="50"), elapsed=41) is None

    @given(
        st.integers(1, 10**6),
        st.floats(0, 1),
        st.floats(0, 1e6),
        st.sampled_from([UNKNOWN, NOT_SENT, Response(429), Response(503)]),
    )
    def test_a_pause_is_always_finite_and_inside_the_deadline(
        self, attempt: int, jitter: float, elapsed: float, outcome: Any
    ) -> None:
        wait = tried(GET, outcome, attempt=attempt, jitter=jitter, elapsed=elapsed, policy=RetryPolicy(attempts=10**7))
        assert wait is None or (0 <= wait <= 8 and elapsed + wait < 90)


class TestPolicy:
    @pytest.mark.parametrize(
        "bad",
        [
            {"attempts": 0},
            {"attempts": 1.5},
            {"attempts": True},
            {"backoff": -1},
            {"backoff": math.nan},
            {"deadline": 0},
            {"deadline": math.inf},
            {"retry_after_cap": "5"},
            {"backoff_cap": None},
        ],
    )
    def test_a_value_out_of_range_is_named(self, bad: dict[str, Any]) -> None:
        with pytest.raises(errors.ConfigurationError, match=next(iter(bad))):
            RetryPolicy(**bad)

    def test_the_message_says_what_would_do(self) -> None:
        with pytest.raises(errors.ConfigurationError, match="attempts must be a whole number, at least 1"):
            RetryPolicy(attempts=0)
        with pytest.raises(errors.ConfigurationError, match="backoff must be a number, at least 0"):
            RetryPolicy(backoff=-1)
        assert RetryPolicy(attempts=1, backoff=0, backoff_cap=0, retry_after_cap=0, deadline=0.001).deadline == 0.001

    def test_it_is_frozen_and_has_the_documented_defaults(self) -> None:
        assert (POLICY.attempts, POLICY.backoff, POLICY.backoff_cap, POLICY.retry_after_cap, POLICY.deadline) == (
            4,
            0.5,
            8.0,
            60.0,
            90.0,
        )
        with pytest.raises(AttributeError):
            POLICY.attempts = 5  # type: ignore[misc]


def test_the_budget_lets_fifty_repeats_through_and_then_one_for_ten_successes() -> None:
    budget = RetryBudget()
    assert [budget.withdraw() for _ in range(51)] == [True] * 50 + [False]
    for _ in range(10):
        assert not budget.withdraw()
        budget.deposit()
    assert budget.withdraw()
    for _ in range(1000):
        budget.deposit()
    assert sum(budget.withdraw() for _ in range(100)) == 50
    for _ in range(9):
        budget.deposit()
    assert not budget.withdraw()
