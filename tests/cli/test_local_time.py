from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modica_facade.cli import _local_time
from modica_facade.cli._local_time import to_rfc3339


@pytest.fixture(autouse=True)
def _evening_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """In New Zealand it is the next morning already, with the clocks of summer."""
    monkeypatch.setattr(_local_time, "_now", lambda: datetime(2030, 1, 31, 20, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2030-12-24 09:00 Pacific/Auckland", "2030-12-24T09:00:00+13:00"),
        ("2030-12-24T09:00:30 Pacific/Auckland", "2030-12-24T09:00:30+13:00"),
        ("2030-06-24 9:00 Pacific/Auckland", "2030-06-24T09:00:00+12:00"),
        ("2030-06-24 09:00 Australia/Adelaide", "2030-06-24T09:00:00+09:30"),
        ("2030-06-24 09:00 UTC", "2030-06-24T09:00:00+00:00"),
        ("today 09:30 Pacific/Auckland", "2030-02-01T09:30:00+13:00"),
        ("tomorrow 09:00 Pacific/Auckland", "2030-02-02T09:00:00+13:00"),
        ("tomorrow 09:00 America/Los_Angeles", "2030-02-01T09:00:00-08:00"),
        (" tomorrow 09:00 UTC ", "2030-02-01T09:00:00+00:00"),
    ],
)
def test_a_local_time_gets_the_offset_of_its_zone_on_that_day(written: str, sent: str) -> None:
    assert to_rfc3339(written) == sent


@pytest.mark.parametrize("text", ["2030-05-05T10:00:00+12:00", "2030-05-05t10:00:00Z", "2030-05-05T10:00Z"])
def test_what_looks_like_rfc_3339_is_left_to_the_library(text: str) -> None:
    assert to_rfc3339(text) == text


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("2030-12-24 09:00", "a time needs its zone: write it like"),
        ("2030-12-24T09:00:00", "a time needs its zone"),
        ("tomorrow", "write it like '2030-05-05 10:00 Pacific/Auckland', 'tomorrow 9:00 Pacific/Auckland'"),
        ("09:00 Pacific/Auckland", "write it like"),
        ("24/12/2030 09:00 Pacific/Auckland", "write it like"),
        ("2030-12-24 09:00 +13:00", "write it like"),
        ("2030-12-24 09:00 ../../etc/passwd", "write it like"),
        ("2030-12-24 09:00 NZDT", "there is no time zone NZDT"),
        ("2030-12-24 09:00 Pacific", "there is no time zone Pacific"),
        ("2030-12-24 24:00 Pacific/Auckland", "there is no such date or time"),
        ("2030-02-29 09:00 Pacific/Auckland", "there is no such date or time"),
        # In 2030 New Zealand sets its clocks back on 7 April and forward on 29 September.
        ("2030-09-29 02:30 Pacific/Auckland", "there is no such time"),
        (
            "2030-04-07 02:30 Pacific/Auckland",
            r"it comes twice: write 2030-04-07T02:30:00\+13:00 or 2030-04-07T02:30:00\+12:00",
        ),
    ],
)
def test_a_time_that_is_not_exactly_one_moment_is_refused(written: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        to_rfc3339(written)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2030-09-29 01:59 Pacific/Auckland", "2030-09-29T01:59:00+12:00"),
        ("2030-09-29 03:00 Pacific/Auckland", "2030-09-29T03:00:00+13:00"),
        ("2030-04-07 01:59 Pacific/Auckland", "2030-04-07T01:59:00+13:00"),
        ("2030-04-07 03:00 Pacific/Auckland", "2030-04-07T03:00:00+12:00"),
    ],
)
def test_the_hours_beside_a_change_of_the_clocks_are_taken(written: str, sent: str) -> None:
    assert to_rfc3339(written) == sent
