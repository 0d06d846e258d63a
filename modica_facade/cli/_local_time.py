"""Times as people write them, such as "tomorrow 9:00 Pacific/Auckland", to RFC 3339. Pure except for the clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCAL = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d|today|tomorrow)[ T](?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    r"(?: (?P<zone>[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*))?",
    re.ASCII,
)
_RFC3339_LIKE = re.compile(r"\d{4}-\d\d-\d\dT\d", re.ASCII | re.IGNORECASE)
_DAYS = {"today": timedelta(0), "tomorrow": timedelta(days=1)}
_EXAMPLE = "2030-05-05 10:00 Pacific/Auckland"


def to_rfc3339(text: str) -> str:
    """A local time with its zone as RFC 3339 text. What already looks like that comes back for the library to judge.

    Args:
        text: a date, ``today`` or ``tomorrow`` (there), a time, a zone of the IANA database.

    Raises:
        ValueError: neither, no zone, no such zone, no such time there, or two of them.
    """
    local = _LOCAL.fullmatch(text.strip())
    if local is None:
        if _RFC3339_LIKE.match(text):
            return text
        raise ValueError(f"write it like '{_EXAMPLE}', 'tomorrow 9:00 Pacific/Auckland' or 2030-05-05T10:00:00+12:00")
    if local["zone"] is None:
        raise ValueError(f"a time needs its zone: write it like '{_EXAMPLE}'")
    try:
        zone = ZoneInfo(local["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {local['zone']}; write one like Pacific/Auckland") from None
    try:
        ahead = _DAYS.get(local["day"])
        day = date.fromisoformat(local["day"]) if ahead is None else _now().astimezone(zone).date() + ahead
        hour, minute, second = int(local["hour"]), int(local["minute"]), int(local["second"] or 0)
        moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
    except ValueError:
        raise ValueError("there is no such date or time") from None
    second_time = moment.replace(fold=1)
    if moment.utcoffset() != second_time.utcoffset():
        # Clocks were changed: a time that was skipped does not survive the way to UTC and back.
        if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
            raise ValueError("the clocks go forward then, there is no such time; choose one before or after")
        raise ValueError(
            f"the clocks go back then, it comes twice: write {moment.isoformat()} or {second_time.isoformat()}"
        )
    return moment.isoformat()


def _now() -> datetime:
    return datetime.now(UTC)
