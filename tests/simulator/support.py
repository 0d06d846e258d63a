"""What the tests of the simulator share: a moment, a number, a message, and dates as the gateway wants them."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

NOON = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
NUMBER, OTHER = "+64211234567", "+64211234568"
MESSAGE = {"destination": NUMBER, "content": "Kia ora"}
FIRST = 9007199254740993
CREDENTIALS = httpx.BasicAuth("application-name", "correct horse")


def at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
