"""The pure decisions: hours across midnight and changes of clocks, and which row a receipt is about."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import DeliveryReceipt, errors
from modica_facade.ledger._decisions import (
    Claim,
    Entry,
    Row,
    Schedule,
    match,
    next_step,
    retry_delay,
    state_after,
    time_left,
)

AUCKLAND = "Pacific/Auckland"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("opens", "closes", "now", "left"),
    [
        # NZST is +12:00, NZDT +13:00
        ("08:00", "20:00", "2026-07-01T07:59:59+12:00", None),
        ("08:00", "20:00", "2026-07-01T08:00:00+12:00", "12:00"),
        ("08:00", "20:00", "2026-07-01T19:59:00+12:00", "00:01"),
        ("08:00", "20:00", "2026-07-01T20:00:00+12:00", None),
        ("20:00", "06:00", "2026-07-01T19:59:00+12:00", None),
        ("20:00", "06:00", "2026-07-01T20:00:00+12:00", "10:00"),
        ("20:00", "06:00", "2026-07-02T05:00:00+12:00", "01:00"),
        ("20:00", "06:00", "2026-07-02T06:00:00+12:00", None),
        # the same instant elsewhere
        ("08:00", "20:00", "2026-06-30T20:30:00+00:00", "11:30"),
        # clocks went forward at 02:00 on 27 September 2026: that night is an hour shorter
        ("20:00", "06:00", "2026-09-26T22:00:00+12:00", "07:00"),
        ("01:00", "02:30", "2026-09-27T01:30:00+12:00", "01:00"),
        ("01:00", "02:30", "2026-09-27T03:00:00+13:00", None),
        # and back at 03:00 on 5 April 2026: it is an hour longer, and 02:30 comes twice
        ("20:00", "06:00", "2026-04-04T22:00:00+13:00", "09:00"),
        ("01:00", "02:30", "2026-04-05T02:15:00+13:00", "00:15"),
        ("01:00", "02:30", "2026-04-05T02:45:00+13:00", None),
        ("01:00", "02:30", "2026-04-05T02:15:00+12:00", "00:15"),
    ],
)
def test_hours(opens: str, closes: str, now: str, left: str | None) -> None:
    schedule = Schedule(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), zone=AUCKLAND)
    expected = None
    if left is not None:
        hours, minutes = map(int, left.split(":"))
        expected = timedelta(hours=hours, minutes=minutes)
    assert time_left(schedule, at(now)) == expected


def test_latest_ends_it_whatever_the_hours() -> None:
    latest = at("2026-07-01T12:00:00+12:00")
    assert time_left(Schedule(latest=latest), latest - timedelta(seconds=1)) == timedelta(seconds=1)
    assert time_left(Schedule(latest=latest), latest) is None
    schedule = Schedule(opens=time(8), closes=time(20), zone=AUCKLAND, latest=latest)
    assert time_left(schedule, at("2026-07-01T09:00:00+12:00")) == timedelta(hours=3)
    assert time_left(Schedule(), latest) == timedelta.max


minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))


moments = st.floats(0, 2e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(opens=minutes, closes=minutes, now=moments)
def test_what_is_left_is_more_than_nothing_and_at_most_a_long_day(opens: time, closes: time, now: datetime) -> None:
    if opens == closes:
        return
    left = time_left(Schedule(opens=opens, closes=closes, zone=AUCKLAND), now)
    assert left is None or timedelta() < left <= timedelta(hours=25)


def row(number: int, *, reference: str | None = None, batch: str | None = None, message_id: str | None = None) -> Row:
    entry = Entry("+64211234567", "submitted", reference, batch, message_id=message_id)
    return Row(id=number, rank=-1, content=None, options=None, entry=entry)


@pytest.mark.parametrize(
    ("receipt", "rows", "found"),
    [
        (DeliveryReceipt("7", "sent"), [], None),
        (DeliveryReceipt("7", "sent"), [row(1, reference="a", message_id="7")], 1),
        (DeliveryReceipt("7", "sent", "a"), [row(1, reference="a", message_id="7")], 1),
        (DeliveryReceipt("7", "sent", "b"), [row(1, reference="a", message_id="7")], None),
        (DeliveryReceipt("7", "sent", "b"), [row(1, reference="a", message_id="7"), row(2, reference="b")], 2),
        (
            DeliveryReceipt("7", "sent"),
            [row(1, reference="a", message_id="7"), row(2, batch="b", message_id="7")],
            None,
        ),
        (DeliveryReceipt("7", "sent", "b"), [row(1, batch="a", message_id="7"), row(2, batch="b", message_id="7")], 2),
        (DeliveryReceipt("7", "sent", "a"), [row(1, reference="a")], 1),
    ],
)
def test_a_receipt_is_about_one_row_or_none(receipt: DeliveryReceipt, rows: list[Row], found: int | None) -> None:
    for order in rows, rows[::-1]:
        matched = match(receipt, order)
        assert (matched and matched.id) == found


NOT_SENT: list[type[errors.ModicaError]] = [
    errors.NotSentError,
    errors.RateLimitError,
    errors.SendFailedError,
    errors.GatewayError,
    errors.ConfigurationError,
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.NotFoundError,
    errors.UnexpectedResponseError,
]
IN_DOUBT: list[type[errors.ModicaError]] = [
    errors.OutcomeUnknownError,
    errors.ServerError,
    errors.SendFailedError,
    errors.UnexpectedResponseError,
    errors.RejectedError,
    errors.ModicaError,
]


def claim(kind: str) -> Claim:
    return Claim(
        ids={"+64211234567": 1},
        label="order-42",
        attempted_at=datetime(2026, 1, 1, tzinfo=UTC),
        content="Kia ora",
        options={},
        queued=kind != "send",
        is_campaign=kind in {"campaign", "campaign on v2"},
        is_broadcast=kind == "campaign",
    )


KINDS = ["send", "enqueue", "campaign", "campaign on v2"]


@pytest.mark.parametrize("kind", NOT_SENT)
def test_what_was_not_sent_is_given_up_by_nobody(kind: type[errors.ModicaError]) -> None:
    assert [state_after(kind(), claim(each)) for each in KINDS] == ["not_sent", "queued", "queued", "queued"]


@pytest.mark.parametrize("kind", IN_DOUBT)
def test_what_may_have_been_sent_stays_in_doubt_and_pauses_the_worker(kind: type[errors.ModicaError]) -> None:
    for each in KINDS:
        assert state_after(kind(may_have_been_sent=True), claim(each)) == "in_doubt"
        assert next_step(kind(may_have_been_sent=True), claim(each)) == "pause"


def test_only_what_would_be_refused_again_is_refused() -> None:
    for kind in errors.RejectedError, errors.InvalidAttributeError, errors.InvalidScheduleError:
        assert {state_after(kind(), claim(each)) for each in KINDS} == {"refused"}
    # A caller can put it right and call again, and a campaign is not burnt by its settings; what is queued is as it is.
    assert [state_after(errors.InvalidRequestError(), claim(each)) for each in KINDS] == [
        "not_sent", "refused", "queued", "queued",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "enqueued", "campaign", "on_v2"),
    [
        (errors.NotSentError(), "pause", "pause", "pause"),
        (errors.RateLimitError(status_code=429), "pause", "pause", "pause"),
        (errors.GatewayError(status_code=425), "pause", "pause", "pause"),
        (errors.SendFailedError(status_code=400), "continue", "pause", "pause"),
        (errors.InvalidAttributeError(status_code=400), "continue", "stop", "continue"),
        (errors.InvalidRequestError(), "continue", "stop", "stop"),
        (errors.AuthenticationError(status_code=401), "stop", "stop", "stop"),
        (errors.PermissionDeniedError(status_code=403), "stop", "stop", "stop"),
        (errors.NotFoundError(status_code=404), "stop", "stop", "stop"),
        (errors.ConfigurationError(), "stop", "stop", "stop"),
        (errors.UnexpectedResponseError(status_code=302), "stop", "stop", "stop"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_a_worker_does_next(error: errors.ModicaError, enqueued: str, campaign: str, on_v2: str) -> None:
    assert [next_step(error, claim(kind)) for kind in KINDS[1:]] == [enqueued, campaign, on_v2]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.NotSentError(), 60),
        (errors.RateLimitError(), 60),
        (errors.RateLimitError(retry_after=5.0), 60),
        (errors.RateLimitError(retry_after=300.0), 300),
        (errors.RateLimitError(retry_after=1e12), 86_400),
    ],
)
def test_the_gateway_says_how_long_to_wait_within_reason(error: errors.ModicaError, seconds: int) -> None:
    assert retry_delay(error, timedelta(seconds=60)) == timedelta(seconds=seconds)


def test_every_exception_of_a_send_has_been_decided_on() -> None:
    decided = {*NOT_SENT, *IN_DOUBT, errors.RejectedError, errors.InvalidRequestError}
    kinds = {getattr(errors, name) for name in errors.__all__}
    assert {kind for kind in kinds if not issubclass(kind, tuple(decided - {errors.ModicaError}))} == {
        errors.ModicaError,
        errors.TransportError,
        errors.BroadcastInterruptedError,
        errors.InvalidCallbackError,
    }
