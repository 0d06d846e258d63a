"""What a submission may say, in either version: read a request body, or refuse it with the vendor's error codes.

An independent second reading of the documents, sharing nothing with the client. Where they are silent the choice made
here is marked "our choice"; nothing here was seen on the live service.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# The error codes of the prose documentation, with its words.
ERRORS = {
    "send_failed": "Could not queue message due to an unknown error",
    "invalid_json": "Invalid JSON data in the request body",
    "missing_attrib": "Missing a required attribute",
    "invalid_attrib": "Invalid attribute value",
    "broadcast_limit": "Broadcast limit has been exceeded",
    "400": "Invalid scheduled timestamp (must be RFC3339)",
    "422": "Invalid scheduled timestamp (must not be in the past)",
}
BROADCAST_LIMIT = 1000  # published specification of v1
MASK_LENGTH = 20  # published specifications
SCHEDULE_LIMIT = timedelta(days=60)  # prose documentation: "less than"

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")  # published specification of v2

# Numbers with a fixed outcome, under a country code that is not assigned.
ALWAYS_REJECTED = "+99900000001"
"""A message to this number is accepted, and then ``rejected``."""
ALWAYS_EXPIRED = "+99900000002"
"""A message to this number is accepted, ``sent``, and then ``expired``."""
ALWAYS_REFUSED = "+99900000003"
"""This number is accepted by no submission, and is a failed row in a broadcast."""

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # international format, E.164's length
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:(?P<second>[0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)


class Refused(Exception):  # noqa: N818 - an outcome, not an error of the simulator
    """A request the documents do not allow.

    Attributes:
        code: one of `ERRORS`, in v1's words.
        descriptions: a list, or one text for the schedule errors, as the prose documentation prints them.
    """

    def __init__(self, code: str, descriptions: list[str] | str) -> None:
        super().__init__(code)
        self.code = code
        self.descriptions = descriptions


@attrs.frozen
class Submission:
    """What is to be sent, to whom, and the other attributes by their names in `StoredMessage`."""

    destinations: Sequence[str]
    content: str
    source: str | None
    scheduled: datetime | None
    rest: dict[str, Any]

    def only_destination(self) -> str:
        """The destination of a single message; a bad one is `Refused`, where a broadcast reports it in its row."""
        [destination] = self.destinations
        if not is_accepted(destination):
            raise Refused("invalid_attrib", [f"Invalid destination ({destination})"])
        return destination


def is_accepted(destination: str) -> bool:
    """A number in international format, and not the one that is always refused."""
    return _NUMBER.fullmatch(destination) is not None and destination != ALWAYS_REFUSED


def error_body(code: str, descriptions: list[str] | str | None = None) -> dict[str, Any]:
    """The error envelope of the prose documentation."""
    return {"error": code, "error-desc": [ERRORS[code]] if descriptions is None else descriptions}


def read(
    body: bytes, allowed: frozenset[str], now: datetime, *, many: bool = False, lengths: Mapping[str, int] | None = None
) -> Submission:
    """What a request asks for; `Refused` with the first kind of error in it, everything of that kind listed.

    Args:
        body: of the request.
        allowed: the attributes there are.
        now: what the platform's clock says.
        many: the destination is a list.
        lengths: how many characters some attributes may have.
    """
    data = _json_object(body)
    missing = [name for name in ("destination", "content") if name not in data]
    if missing:
        raise Refused("missing_attrib", [f"{ERRORS['missing_attrib']} ({name})" for name in missing])
    destinations: Any = data["destination"] if many else [data["destination"]]
    if not _are_texts(destinations):
        wanted = "a list of strings" if many else "a string"
        raise Refused("invalid_attrib", [f"Invalid destination (must be {wanted})"])
    if len(destinations) > BROADCAST_LIMIT:
        text = f"{ERRORS['broadcast_limit']} ({len(destinations)} destinations, at most {BROADCAST_LIMIT})"
        raise Refused("broadcast_limit", [text])
    # Our choice: an attribute nobody documented is refused, so that a misspelt one fails in a test.
    problems = [f"Unknown attribute ({name})" for name in sorted(data.keys() - allowed)]
    problems += [
        problem for name in sorted(data.keys() & _CHECKS.keys()) for problem in _CHECKS[name](name, data[name])
    ]
    problems += [
        f"Invalid {name} (at most {length} characters)"
        for name, length in sorted((lengths or {}).items())
        if isinstance(value := data.get(name), str) and len(value) > length
    ]
    if "class" in data and "source" in data:
        problems.append("Invalid class (must not be used together with source)")
    scheduled, expires = _timestamp(data.get("scheduled")), _timestamp(data.get("expires"))
    if expires is not None and expires <= (scheduled or now):
        problems.append("Invalid expires timestamp (must be after the message is sent)")
    if problems:
        raise Refused("invalid_attrib", problems)
    if "scheduled" in data:
        _check_schedule(scheduled, now)
    rest = {name: data.get(name) for name in ("reference", "mask", "sms_class", "integration_id")}
    rest |= {"class_": data.get("class"), "expires": expires}
    return Submission(destinations, data["content"], data.get("source"), scheduled, rest)


def _check_text(name: str, value: Any) -> list[str]:
    return [] if isinstance(value, str) else [f"Invalid {name} (must be a string)"]


def _check_content(name: str, value: Any) -> list[str]:
    return _check_text(name, value) or ([] if value else [f"Invalid {name} (must not be empty)"])


def _check_mask(name: str, value: Any) -> list[str]:
    too_long = [f"Invalid {name} (at most {MASK_LENGTH} characters)"]
    return _check_text(name, value) or (too_long if len(value) > MASK_LENGTH else [])


def _check_sms_class(name: str, value: Any) -> list[str]:
    # JSON true is an int to Python, and to Python only.
    return [] if type(value) is int and 0 <= value <= 3 else [f"Invalid {name} (must be an integer from 0 to 3)"]


def _check_expires(name: str, value: Any) -> list[str]:
    return [f"Invalid {name} timestamp (must be RFC3339)"] if _timestamp(value) is None else []


def _check_uuid(name: str, value: Any) -> list[str]:
    return [] if isinstance(value, str) and UUID.fullmatch(value) else [f"Invalid {name} (must be a UUID)"]


_CHECKS: dict[str, Callable[[str, Any], list[str]]] = {
    "content": _check_content,
    "source": _check_text,
    "reference": _check_text,
    "class": _check_text,
    "mask": _check_mask,
    "sms_class": _check_sms_class,
    "expires": _check_expires,
    "integration_id": _check_uuid,
}


def _check_schedule(scheduled: datetime | None, now: datetime) -> None:
    if scheduled is None:
        raise Refused("400", ERRORS["400"])
    # Timestamps name whole seconds, so the second that is running is not yet past.
    if scheduled < now.replace(microsecond=0):
        raise Refused("422", ERRORS["422"])
    if scheduled - now >= SCHEDULE_LIMIT:
        raise Refused("invalid_attrib", "Invalid scheduled timestamp (must be less than 60 days)")


def _timestamp(value: Any) -> datetime | None:
    """An RFC 3339 timestamp with seconds and an offset, in UTC; None for anything else."""
    if not isinstance(value, str) or not (found := _TIMESTAMP.fullmatch(value)):
        return None
    try:
        if found["second"] != "60":
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        # A leap second, which datetime does not know: the last one of a day of UTC (RFC 3339, 5.7).
        before = datetime.fromisoformat(value[:17] + "59" + value[19:].upper()).astimezone(UTC)
        return before + timedelta(seconds=1) if (before.hour, before.minute) == (23, 59) else None
    except (ValueError, OverflowError):
        return None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Refused("invalid_json", [ERRORS["invalid_json"]])
    return cast("dict[str, Any]", data)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    """A list of at least one string."""
    if not isinstance(value, list):
        return False
    items = cast("list[object]", value)
    return bool(items) and all(isinstance(item, str) for item in items)
