"""RFC 3339: the one module that reads and writes dates in the form that the gateway takes.

The gateway wants seconds and an offset (``2017-05-05T10:00:00+12:00``). ``dateutil.parser.isoparse`` accepts far more
(week dates, a missing offset, 24:00), so one pattern stands before it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_RFC3339 = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_MINUTE = timedelta(minutes=1)


def parse_datetime(value: datetime | str) -> datetime:
    """Parse a date, cut to whole seconds. Its offset is kept, without the rest of the time zone.

    Two datetimes with one time zone object are compared by their wall clocks, which is wrong in the night when the
    clocks are set back. With a fixed offset each they are compared as instants.

    Args:
        value: an aware datetime (subclasses too, such as those of pandas), or RFC 3339 text with seconds and an offset.

    Raises:
        ValueError: it is neither; a naive datetime is refused, never guessed, and so is one with an offset that its
            time zone does not have at that time (pytz, given as ``tzinfo=``).
        TypeError: it is neither a datetime nor a str.
    """
    if isinstance(value, str):
        value = _parse(value)
    elif not isinstance(value, datetime):
        raise TypeError("give an aware datetime or RFC 3339 text")
    offset = value.utcoffset()
    if offset is None:
        raise ValueError("a datetime without a time zone is ambiguous; give it a tzinfo")
    if offset % _MINUTE:
        raise ValueError(f"its UTC offset {offset} has seconds, which RFC 3339 cannot say; use zoneinfo time zones")
    normalize = getattr(value.tzinfo, "normalize", None)
    if normalize is not None and normalize(value).utcoffset() != offset:
        raise ValueError(
            f"its UTC offset {offset} ({value.tzname()}) is not the one of {value.tzinfo} at that time; use zoneinfo, "
            "or localize() and normalize() of the pytz time zone"
        )
    # Not replace: a subclass keeps more than a datetime has, such as the nanoseconds of pandas.
    return datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, tzinfo=timezone(offset))


def _parse(text: str) -> datetime:
    if not _RFC3339.fullmatch(text):
        raise ValueError("write it as RFC 3339 with seconds and an offset, e.g. 2030-05-05T10:00:00+12:00")
    # Imported late: dateutil's parser is slow to import, and few messages are scheduled.
    from dateutil.parser import isoparse

    try:
        return isoparse(text.upper())
    except ValueError as error:
        raise ValueError("there is no such date") from error


def format_rfc3339(value: datetime) -> str:
    """Format an aware datetime for the gateway: whole seconds, numeric offset, UTC as ``+00:00``."""
    return value.isoformat(timespec="seconds")
