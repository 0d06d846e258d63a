"""Post a callback to an application, as the gateway does: one request, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen
class Answer:
    """What an application answered.

    Attributes:
        status_code: of its answer, or None.
        problem: why there was none, or None.
    """

    status_code: int | None
    problem: str | None

    @property
    def ok(self) -> bool:
        """Did it take the callback?"""
        return self.status_code is not None and 200 <= self.status_code < 300

    def __str__(self) -> str:
        return str(self.status_code or self.problem)


def post(url: str, payload: Mapping[str, Any]) -> Answer:
    """Post ``payload`` as JSON; credentials in ``url`` are sent as HTTP Basic."""
    # Imported late: the simulator is an extra of its own.
    from ..simulator._callbacks import post as post_callback

    return Answer(*post_callback(url, payload, {}))


def check_url(url: str) -> None:
    """Raises ValueError: it cannot be posted to."""
    # Imported late: the simulator is an extra of its own.
    from ..simulator._callbacks import receiver_of

    receiver_of(url)
