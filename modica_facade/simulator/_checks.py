"""Arguments of the simulator, refused at the call: a test that sets up nonsense must fail there, not pass by accident.

Every refusal is a ValueError that names the argument.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

MAX_SECONDS = timedelta(days=3660).total_seconds()
"""Ten years: more than any date of a message needs, and far from what `datetime` cannot hold."""


def check_text(name: str, value: object) -> str:
    """A str that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a str that is not empty, not {value!r}")
    return value


def check_optional_text(name: str, value: object) -> str | None:
    """None, or a str that is not empty."""
    return None if value is None else check_text(name, value)


def check_number(name: str, value: Any, least: float, most: float) -> float:
    """A number between two others, both included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, not {value!r}")
    return value


def check_integer(name: str, value: Any, least: int, most: int) -> int:
    """An int between two others, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be an int, not {value!r}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")
    return value


def check_bool(name: str, value: object) -> bool:
    """True or False, and nothing that only counts as one of them."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, not {value!r}")
    return value


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """One of a few values."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return value
