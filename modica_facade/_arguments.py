"""The options of a send, and the checks before a request: only what is certainly wrong is refused here. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict, Unpack, cast
from uuid import UUID

from . import _rfc3339
from ._ids import parse_v2_id
from .errors import ConfigurationError, InvalidRequestError

MAX_MASK: Final = 20
"""Characters (published specification)."""
_MAX_SCHEDULE: Final = timedelta(days=60)  # prose documentation
_CLOCK_SKEW: Final = timedelta(minutes=5)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class SendOptions(TypedDict, total=False):
    """The options of ``send`` that REST v1 and v2 have in common, for functions that pass them on.

    Each is described by `Modica.send`.

    >>> def send_alert(modica: Modica | ModicaV2, number: str, **options: Unpack[SendOptions]) -> None:
    ...     modica.send(number, "Kia ora", **options)
    """

    scheduled: datetime | str | None
    source: str | None
    reference: str | None
    class_: str | None
    mask: str | None
    sms_class: int | None


class SendOptionsV1(SendOptions, total=False):
    """The options of ``Modica.send``."""

    expires: datetime | str | None


class SendOptionsV2(SendOptions, total=False):
    """The options of ``ModicaV2.send``."""

    integration_id: str | UUID | None


class _AnySendOptions(SendOptionsV1, SendOptionsV2, total=False):
    pass


def check_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """A finite, positive number of seconds (0 too, with ``zero``).

    Raises:
        ConfigurationError: it is not.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 86400 and (zero or value > 0)
    if not good:
        raise ConfigurationError(f"{name} must be seconds, {'0 or more' if zero else 'more than 0'}, below a day")
    return float(value)  # type: ignore[arg-type]  # checked in the line above, which mypy cannot follow


def check_text(name: str, value: object, *, max_length: int | None = None) -> str:
    """A non-empty str that UTF-8 can carry.

    Raises:
        InvalidRequestError: it is not.
    """
    problem = _text_problem(value)
    if problem is not None:
        raise InvalidRequestError(f"{name} {problem}", field=name)
    text = cast("str", value)
    if max_length is not None and len(text) > max_length:
        raise InvalidRequestError(f"{name} has {len(text)} characters; shorten it to {max_length}", field=name)
    return text


def check_iterable(destinations: object) -> None:
    """Something to iterate over, whose elements are checked as they come.

    Raises:
        InvalidRequestError: it is not.
    """
    if isinstance(destinations, Iterable) and not isinstance(destinations, str | bytes):
        return
    what = f"not {type(destinations).__name__}"
    if isinstance(destinations, str | bytes):
        what = "not one text"
    elif isinstance(destinations, AsyncIterable):
        what = "not an asynchronous one: collect it first"
    raise InvalidRequestError(f"destinations must be an iterable of str, {what}", field="destinations")


def check_texts(name: str, values: Sequence[object], first: int) -> None:
    """Non-empty texts that UTF-8 can carry; ``first`` is the index of the first of them.

    Raises:
        InvalidRequestError: one of them is not; the message says which.
    """
    with suppress(TypeError):  # not all are texts
        if "".join(cast("Sequence[str]", values)).isascii() and all(map(str.strip, cast("Sequence[str]", values))):
            return
    for index, value in enumerate(values, first):
        problem = _text_problem(value)
        if problem is not None:
            raise InvalidRequestError(f"{name}[{index}] {problem}", field=name)


def _text_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a str, not {type(value).__name__}"
    if not value or value.isspace():
        return "is empty; give a text that is not blank"
    if not value.isascii() and _SURROGATE.search(value):
        return "holds half of a character (a lone surrogate), which no SMS can carry: remove it"
    return None


def check_options(**options: Unpack[_AnySendOptions]) -> dict[str, Any]:
    """The options that were given, checked, with dates as aware datetimes and the keys of the generated models.

    Raises:
        InvalidRequestError: one of them is certainly wrong.
    """
    checked: dict[str, Any] = {}
    texts: tuple[tuple[str, str | None, int | None], ...] = (
        ("source", options.get("source"), None),
        ("reference", options.get("reference"), None),
        ("class_", options.get("class_"), None),
        ("mask", options.get("mask"), MAX_MASK),
    )
    for name, value, max_length in texts:
        if value is not None:
            checked[name] = check_text(name, value, max_length=max_length)
    if "source" in checked and "class_" in checked:
        raise InvalidRequestError("give source or class_, not both: the gateway takes one of them", field="class_")
    sms_class = options.get("sms_class")
    if sms_class is not None:
        if isinstance(sms_class, bool) or not isinstance(sms_class, int) or not 0 <= sms_class <= 3:
            raise InvalidRequestError("sms_class must be 0, 1, 2 or 3", field="sms_class")
        checked["sms_class"] = sms_class
    scheduled, expires = options.get("scheduled"), options.get("expires")
    if scheduled is not None or expires is not None:
        checked |= _check_dates(scheduled, expires, utc_now())
    if (integration_id := options.get("integration_id")) is not None:
        canonical = parse_v2_id(integration_id)
        if canonical is None:
            raise InvalidRequestError("integration_id must be a UUID or its text", field="integration_id")
        checked["integration_id"] = UUID(canonical)
    return checked


def utc_now() -> datetime:
    """The time against which ``scheduled`` and ``expires`` are checked: the one place a test has to replace."""
    return datetime.now(UTC)


def _check_dates(
    scheduled: datetime | str | None, expires: datetime | str | None, now: datetime
) -> dict[str, datetime]:
    dates: dict[str, datetime] = {}
    for name, value in (("scheduled", scheduled), ("expires", expires)):
        if value is None:
            continue
        try:
            at = _rfc3339.parse_datetime(value)
            past = at < now - _CLOCK_SKEW
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidRequestError(f"{name} cannot be sent: {error}", field=name) from error
        if past:
            raise InvalidRequestError(f"{name} is in the past; give a later moment", field=name)
        dates[name] = at
    if scheduled is not None and dates["scheduled"] > now + _MAX_SCHEDULE + _CLOCK_SKEW:
        raise InvalidRequestError("scheduled is more than 60 days ahead; the gateway takes no more", field="scheduled")
    if len(dates) == 2 and dates["expires"] <= dates["scheduled"]:
        raise InvalidRequestError("expires must be later than scheduled", field="expires")
    return dates


def encode(body: Mapping[str, Any]) -> bytes:
    """A JSON body of checked texts, byte for byte as httpx, and so the generated client, writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
