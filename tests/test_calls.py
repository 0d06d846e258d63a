"""What may be repeated, for how long, and what the last word is."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _calls, _v1, errors
from modica_facade._calls import Answer, Lost, RetryBudget, RetryPolicy, conclude, pause, read_retry_after

from .conftest import NOW

SEND = _v1.send(
    "+64211234567",
    "Kia ora",
    **dict.fromkeys(("scheduled", "expires", "source", "class_", "mask", "sms_class")),
    reference="order-42",
)
GET = _v1.get(1)
POLICY = RetryPolicy()
NOT_SENT = Lost(sent=False, reason="ConnectError")
UNKNOWN = Lost(sent=True, reason="ReadTimeout", timed_out=True)


def tried(
    call: Any,
    outcome: Answer | Lost,
    *,
    attempt: int = 1,
    elapsed: float = 0.0,
    jitter: float = 1.0,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return pause(call, policy, outcome, attempt, elapsed, jitter)


class TestPause:
    @pytest.mark.parametrize("status", [s for s in range(100, 1000) if s not in (425, 429)])
    def test_a_send_is_repeated_after_no_answer_but_425_and_429(self, status: int) -> None:
        assert tried(SEND, Answer(status, retry_after="1")) is None
        assert tried(SEND, Answer(status, cut="ReadError", retry_after="1")) is None

    @pytest.mark.parametrize("status", [425, 429])
    def test_a_send_that_was_not_processed_is_repeated(self, status: int) -> None:
        assert tried(SEND, Answer(status)) is not None

    def test_a_send_is_repeated_if_it_never_left(self) -> None:
        assert tried(SEND, NOT_SENT) is not None
        assert tried(SEND, UNKNOWN) is None

    def test_a_get_is_repeated_after_any_transport_failure_and_passing_statuses(self) -> None:
        assert tried(GET, NOT_SENT) is not None
        assert tried(GET, UNKNOWN) is not None
        assert tried(GET, Answer(200, cut="ReadError")) is not None
        repeated = {s for s in range(100, 1000) if tried(GET, Answer(s)) is not None}
        assert repeated == {408, 425, 429, 500, 502, 503, 504}

    def test_what_cannot_change_is_not_repeated(self) -> None:
        certificate = Lost(sent=False, reason="certificate verify failed", repeatable=False)
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
        assert tried(SEND, Answer(429)) == 1.0

    def test_retry_after_is_waited_out_up_to_its_cap(self) -> None:
        assert tried(SEND, Answer(429, retry_after="7")) == 7
        assert tried(SEND, Answer(429, retry_after="60")) == 60
        assert tried(SEND, Answer(429, retry_after="61")) is None
        assert tried(GET, Answer(503, retry_after="3600")) is None
        assert tried(SEND, Answer(429, retry_after="soon")) == 1.0

    def test_the_deadline_bounds_the_call(self) -> None:
        assert tried(SEND, Answer(429, retry_after="50"), elapsed=39) == 50
        assert tried(SEND, Answer(429, retry_after="50"), elapsed=41) is None

    @given(
        st.integers(1, 10**6),
        st.floats(0, 1),
        st.floats(0, 1e6),
        st.sampled_from([UNKNOWN, NOT_SENT, Answer(429), Answer(503)]),
    )
    def test_a_pause_is_always_finite_and_inside_the_deadline(
        self, attempt: int, jitter: float, elapsed: float, outcome: Any
    ) -> None:
        wait = tried(GET, outcome, attempt=attempt, jitter=jitter, elapsed=elapsed, policy=RetryPolicy(attempts=10**7))
        assert wait is None or (0 <= wait <= 8 and elapsed + wait < 90)


class TestRetryAfter:
    NOW = datetime(2030, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            ("1" * 500, 9_999_999_999),
            ("Tue, 01 Jan 2030 00:00:30 GMT", 30),
            ("Mon, 31 Dec 2029 00:00:00 GMT", 0),
            *((text, None) for text in [None, "", "-1", "+1", "1.5", "1e3", "inf", "nan", "0x10", " 5", "5 ", "٥"]),
            *((text, None) for text in ["tomorrow", "GMT", "Tue, 99 Jan 2030 00:00:30 GMT"]),
            ("Tue, 01 Jan 99999 00:00:30 GMT", None),
        ],
    )  # fmt: skip
    def test_digits_or_an_http_date_and_nothing_else(self, text: str | None, seconds: float | None) -> None:
        assert read_retry_after(text, self.NOW) == seconds

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        wait = read_retry_after(text)
        assert wait is None or math.isfinite(wait)


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
    assert [budget.take() for _ in range(51)] == [True] * 50 + [False]
    for _ in range(10):
        assert not budget.take()
        budget.earn()
    assert budget.take()
    for _ in range(1000):
        budget.earn()
    assert sum(budget.take() for _ in range(100)) == 50


class TestTheLastWord:
    def test_a_lost_send_says_whether_it_may_have_gone_out_and_how_to_settle_it(self) -> None:
        with pytest.raises(errors.NotSentError, match="calling again is safe") as not_sent:
            conclude(SEND, NOT_SENT)
        assert not not_sent.value.may_have_been_sent
        with pytest.raises(errors.OutcomeUnknownError, match=r"do not send it again.*'order-42'") as unknown:
            conclude(SEND, UNKNOWN)
        assert unknown.value.may_have_been_sent
        assert unknown.value.timed_out
        assert unknown.value.reference == "order-42"

    def test_a_lost_get_is_a_transport_error(self) -> None:
        with pytest.raises(errors.TransportError) as error:
            conclude(GET, UNKNOWN)
        assert type(error.value) is errors.TransportError
        assert not error.value.may_have_been_sent

    def test_the_cause_is_kept(self) -> None:
        cause = OSError("reset")
        with pytest.raises(errors.OutcomeUnknownError) as error:
            conclude(SEND, Lost(sent=True, reason="reset", cause=cause))
        assert error.value.__cause__ is cause

    @pytest.mark.parametrize("status", range(100, 1000))
    def test_every_status_but_the_documented_one_is_one_exception_that_knows_if_it_may_have_been_sent(
        self, status: int
    ) -> None:
        if status == 201:
            return
        with pytest.raises(errors.ModicaError) as error:
            conclude(SEND, Answer(status, b"<html>"))
        refused = (400 <= status < 500 and status not in (408, 409, 423, 499)) or status in (301, 302, 307, 308)
        assert error.value.may_have_been_sent is not refused
        with pytest.raises(errors.ModicaError) as error:
            conclude(GET, Answer(201 if status == 200 else status, b"<html>"))
        assert not error.value.may_have_been_sent

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, errors.AuthenticationError),
            (403, errors.PermissionDeniedError),
            (404, errors.NotFoundError),
            (429, errors.RateLimitError),
            (400, errors.RejectedError),
            (418, errors.RejectedError),
            (408, errors.GatewayError),
            (425, errors.GatewayError),
            (499, errors.GatewayError),
            (500, errors.ServerError),
            (503, errors.ServerError),
            (520, errors.ServerError),
            (599, errors.ServerError),
            (600, errors.UnexpectedResponseError),
            (101, errors.UnexpectedResponseError),
            (200, errors.UnexpectedResponseError),
            (204, errors.UnexpectedResponseError),
            (302, errors.UnexpectedResponseError),
            (307, errors.UnexpectedResponseError),
        ],
    )
    def test_the_class_follows_from_the_status(self, status: int, kind: type[errors.ModicaError]) -> None:
        with pytest.raises(errors.ModicaError) as error:
            conclude(SEND, Answer(status, retry_after="7"))
        assert type(error.value) is kind
        assert getattr(error.value, "status_code", status) == status
        if isinstance(error.value, errors.GatewayError):
            assert error.value.retry_after == 7

    def test_the_body_is_kept_within_bounds(self) -> None:
        with pytest.raises(errors.ServerError) as error:
            conclude(SEND, Answer(502, b"<html>" + b"\xff" * 10**6))
        assert error.value.body.startswith("<html>\N{REPLACEMENT CHARACTER}")
        assert len(error.value.body) <= 16 * 1024


@pytest.mark.usefixtures("fixed_now")
class TestDates:
    NOW = NOW

    def check(self, **dates: Any) -> dict[str, Any]:
        options: dict[str, Any] = dict.fromkeys(("source", "reference", "class_", "mask", "sms_class", "scheduled"))
        return _calls.check_options(**options | dates)

    def test_five_minutes_of_skew_are_allowed_and_no_more(self) -> None:
        self.check(scheduled=self.NOW - timedelta(minutes=4))
        self.check(scheduled=self.NOW + timedelta(days=60, minutes=4))
        with pytest.raises(errors.InvalidRequestError, match="in the past"):
            self.check(scheduled=self.NOW - timedelta(minutes=6))
        with pytest.raises(errors.InvalidRequestError, match="60 days"):
            self.check(scheduled=self.NOW + timedelta(days=60, minutes=6))

    def test_expires_may_be_far_ahead_but_after_scheduled(self) -> None:
        later = self.NOW + timedelta(hours=1)
        assert self.check(expires=self.NOW + timedelta(days=400)).keys() == {"expires"}
        assert self.check(scheduled=later, expires=later + timedelta(seconds=1)).keys() == {"scheduled", "expires"}
        for expires in (later, self.NOW):
            with pytest.raises(errors.InvalidRequestError, match="later than scheduled") as error:
                self.check(scheduled=later, expires=expires)
            assert error.value.field == "expires"

    @pytest.mark.parametrize("bad", ["soon", 5, "0001-01-01T00:00:00+23:59"])
    def test_what_is_no_date_is_refused_by_name(self, bad: Any) -> None:
        with pytest.raises(errors.InvalidRequestError, match="scheduled"):
            self.check(scheduled=bad)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"NaN", b"[Infinity]", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_not_json_is_none(body: bytes) -> None:
    assert _calls.read_json(body) is None
