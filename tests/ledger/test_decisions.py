"""The pure decisions: hours across midnight and changes of clocks, and which row a receipt is about."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import DeliveryReceipt, errors
from modica_facade.ledger._decisions import Entry, Row, Schedule, match, state_after, time_left

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


@pytest.mark.parametrize("kind", NOT_SENT)
def test_what_was_not_sent_is_given_up_by_nobody(kind: type[errors.ModicaError]) -> None:
    assert state_after(kind(), queued=False) == "not_sent"
    assert state_after(kind(), queued=True) == "queued"


@pytest.mark.parametrize("kind", IN_DOUBT)
@pytest.mark.parametrize("queued", [True, False])
def test_what_may_have_been_sent_stays_in_doubt(kind: type[errors.ModicaError], queued: bool) -> None:
    assert state_after(kind(may_have_been_sent=True), queued=queued) == "in_doubt"


def test_only_what_would_be_refused_again_is_refused() -> None:
    for kind in errors.RejectedError, errors.InvalidAttributeError, errors.InvalidScheduleError:
        assert state_after(kind(), queued=False) == state_after(kind(), queued=True) == "refused"
    # A caller can put it right and call again; what is queued is as it is.
    assert state_after(errors.InvalidRequestError(), queued=False) == "not_sent"
    assert state_after(errors.InvalidRequestError(), queued=True) == "refused"


def test_every_exception_of_a_send_has_been_decided_on() -> None:
    decided = {*NOT_SENT, *IN_DOUBT, errors.RejectedError, errors.InvalidRequestError}
    kinds = {getattr(errors, name) for name in errors.__all__}
    assert {kind for kind in kinds if not issubclass(kind, tuple(decided - {errors.ModicaError}))} == {
        errors.ModicaError,
        errors.TransportError,
        errors.BroadcastInterruptedError,
        errors.InvalidCallbackError,
    }
