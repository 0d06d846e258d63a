"""Message ids: the form and the limit that each API version has, in one place.

REST v1: a 64-bit signed integer, as a JSON number or as digits, depending on the endpoint (prose documentation).
REST v2: a UUID (published specification). Both are ``str`` in this package, in the one form that compares equal.
"""

from __future__ import annotations

import re
from uuid import UUID

MAX_V1_ID = 2**63 - 1

_V1 = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_V2 = re.compile(_UUID, re.ASCII)
_V1_LOCATION = re.compile(r".*/messages/([1-9][0-9]{0,18})/?", re.ASCII)
_V2_LOCATION = re.compile(rf".*/messages(?:/|\?id=)({_UUID})/?", re.ASCII | re.IGNORECASE)


def parse_v1_id(value: object) -> str | None:
    """A v1 id, an int or a str of digits, as digits; None if it is not one."""
    if type(value) is int:
        return str(value) if 1 <= value <= MAX_V1_ID else None
    if isinstance(value, str) and _V1.fullmatch(value) and int(value) <= MAX_V1_ID:
        return value
    return None


def parse_v2_id(value: object) -> str | None:
    """A v2 id, a UUID or its text, as lower-case text; None if it is not one."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _V2.fullmatch(lowered := value.lower()):
        return lowered
    return None


def v1_id_from_location(location: str | None) -> str | None:
    """The id at the end of a v1 Location header, or None."""
    found = _V1_LOCATION.fullmatch(location) if location is not None else None
    return None if found is None else parse_v1_id(found[1])


def v2_id_from_location(location: str | None) -> str | None:
    """The id at the end of a v2 Location header, or None. The published document does not promise that header."""
    found = _V2_LOCATION.fullmatch(location) if location is not None else None
    return None if found is None else parse_v2_id(found[1])
