"""RFC 3339 in and out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import _rfc3339


@pytest.mark.parametrize(
    ("given_text", "sent"),
    [
        ("2030-05-05T10:00:00+12:00", "2030-05-05T10:00:00+12:00"),
        ("2030-05-05T10:00:00Z", "2030-05-05T10:00:00+00:00"),
        ("2030-05-05t10:00:00z", "2030-05-05T10:00:00+00:00"),
        ("2030-05-05T10:00:00-00:00", "2030-05-05T10:00:00+00:00"),
        ("2030-05-05T10:00:00.987654+05:45", "2030-05-05T10:00:00+05:45"),
    ],
)
def test_rfc3339_text_keeps_its_offset_and_loses_its_fraction(given_text: str, sent: str) -> None:
    assert _rfc3339.format_rfc3339(_rfc3339.parse_datetime(given_text)) == sent


@pytest.mark.parametrize(
    "text",
    [
        "2030-05-05T10:00:00",  # no offset: isoparse would return a naive datetime
        "2030-W05",
        "2030-05-05",
        "2030-05-05T24:00:00Z",
        "2030-05-05T10:00:60Z",
        "2030-05-05 10:00:00Z",
        "2030-05-05T10:00Z",
        "2030-05-05T10:00:00+1200",
        "2030-05-05T10:00:00+12",
        "2030-05-05T10:00:00+12:00\n",
        "٢030-05-05T10:00:00Z",
        "2030-02-30T10:00:00Z",
        "",
        "tomorrow",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|no such date"):
        _rfc3339.parse_datetime(text)


def test_a_naive_datetime_is_refused_never_guessed() -> None:
    with pytest.raises(ValueError, match="tzinfo"):
        _rfc3339.parse_datetime(datetime(2030, 5, 5, 10))  # noqa: DTZ001 - the point of the test


def test_an_offset_with_seconds_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="zoneinfo"):
        _rfc3339.parse_datetime(datetime(2030, 5, 5, 10, tzinfo=timezone(timedelta(hours=11, minutes=39, seconds=4))))


AUCKLAND = pytz.timezone("Pacific/Auckland")


def test_a_time_zone_of_pytz_given_as_tzinfo_is_refused() -> None:
    """Its offset is then the local mean time of 1868, in whole minutes: 81 minutes off in summer."""
    for zone in ("Pacific/Auckland", "Australia/Perth", "Europe/Paris"):
        with pytest.raises(ValueError, match=rf"\(LMT\) is not the one of {zone}.* use zoneinfo, or localize"):
            _rfc3339.parse_datetime(datetime(2030, 5, 5, 10, tzinfo=pytz.timezone(zone)))


def test_a_time_zone_of_pytz_that_was_not_normalized_is_refused() -> None:
    winter = AUCKLAND.localize(datetime(2030, 4, 1, 9)) + timedelta(days=30)  # noqa: DTZ001 - localize makes it aware
    with pytest.raises(ValueError, match=r"13:00:00 \(NZDT\) is not the one of Pacific/Auckland"):
        _rfc3339.parse_datetime(winter)
    assert _rfc3339.parse_datetime(AUCKLAND.normalize(winter)).isoformat() == "2030-05-01T08:00:00+12:00"


@pytest.mark.parametrize("zone", [pytz.UTC, pytz.FixedOffset(720)])
def test_other_time_zones_of_pytz_are_as_any_other(zone: Any) -> None:
    value = datetime(2030, 5, 5, 10, tzinfo=zone)
    assert _rfc3339.parse_datetime(value) == value


def test_what_a_subclass_has_beyond_a_datetime_is_not_sent() -> None:
    """A pandas Timestamp has nanoseconds, and writes them."""

    class Timestamp(datetime):
        nanosecond = 789

        def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
            return f"{super().isoformat(sep, 'microseconds')}{self.nanosecond}"

        def replace(self, *args: Any, **kwargs: Any) -> Timestamp:
            return self

    parsed = _rfc3339.parse_datetime(Timestamp(2030, 5, 5, 10, 0, 0, 123456, tzinfo=UTC))
    assert type(parsed) is datetime
    assert parsed.isoformat() == "2030-05-05T10:00:00+00:00"


def test_two_dates_of_one_time_zone_are_compared_as_instants() -> None:
    auckland = ZoneInfo("Pacific/Auckland")  # 2030-04-07, 03:00 NZDT becomes 02:00 NZST
    earlier = datetime(2030, 4, 7, 2, 45, tzinfo=auckland)
    later = datetime(2030, 4, 7, 2, 15, tzinfo=auckland, fold=1)
    assert later < earlier  # what Python makes of them
    assert _rfc3339.parse_datetime(earlier) < _rfc3339.parse_datetime(later)
    assert _rfc3339.format_rfc3339(_rfc3339.parse_datetime(later)) == "2030-04-07T02:15:00+12:00"


@pytest.mark.parametrize("value", [None, 1893456000, b"2030-05-05T10:00:00Z", object()])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="datetime"):
        _rfc3339.parse_datetime(value)  # type: ignore[arg-type]


def test_a_time_zone_with_daylight_saving_is_sent_with_the_offset_of_that_day() -> None:
    auckland = ZoneInfo("Pacific/Auckland")
    assert (
        _rfc3339.format_rfc3339(_rfc3339.parse_datetime(datetime(2030, 1, 1, 9, tzinfo=auckland)))
        == "2030-01-01T09:00:00+13:00"
    )
    assert (
        _rfc3339.format_rfc3339(_rfc3339.parse_datetime(datetime(2030, 7, 1, 9, tzinfo=auckland)))
        == "2030-07-01T09:00:00+12:00"
    )
    assert (
        _rfc3339.format_rfc3339(_rfc3339.parse_datetime(datetime(2030, 7, 1, 9, tzinfo=UTC)))
        == "2030-07-01T09:00:00+00:00"
    )


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the time zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_what_is_sent_reads_back_as_the_same_second_and_offset(value: datetime) -> None:
    sent = _rfc3339.format_rfc3339(_rfc3339.parse_datetime(value))
    back = _rfc3339.parse_datetime(sent)
    assert back == value.replace(microsecond=0)
    assert back.utcoffset() == value.utcoffset()
