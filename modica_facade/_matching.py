"""Which outcome of a broadcast answer is about which destination. Pure.

The gateway promises no order and may write a number in its own way, so outcomes are matched by the exact text first
and then by digits, never by their position.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import attrs

from .models import BroadcastOutcome

_SEPARATORS = re.compile(r"[\s()./-]+")
_NUMBER = re.compile(r"(\+|00|0|)([1-9][0-9]*)", re.ASCII)
_MAX_COUNTRY_CODE: Final = 3
"""Digits (ITU-T E.164)."""
_MIN_NATIONAL: Final = 6
"""Digits, without the leading 0: anything shorter is a short code, which is not the end of a number."""


def match(outcomes: Sequence[BroadcastOutcome], destinations: Sequence[str]) -> list[BroadcastOutcome]:
    """The outcomes that are certainly about one of the destinations, in the order of these and under their names.

    By the exact text first. Outcomes that are left over are matched by digits, but only if each destination that is
    left over then has its outcome: an answer that is wrong somewhere is not read generously elsewhere.
    """
    found = _by_destination(outcomes, destinations)
    missing = [place for place, outcome in enumerate(found) if outcome is None]
    if missing and len(outcomes) == len(destinations):
        used = {id(outcome) for outcome in found}
        left = [outcome for outcome in outcomes if id(outcome) not in used]
        names = _same_numbers([destinations[place] for place in missing], {outcome.destination for outcome in left})
        by_digits = [outcome for outcome in _by_destination(left, names) if outcome is not None]
        if len(by_digits) == len(missing):
            for place, outcome in zip(missing, by_digits, strict=True):
                found[place] = attrs.evolve(outcome, destination=destinations[place])
    return [outcome for outcome in found if outcome is not None]


def is_same_number(one: str, other: str) -> bool:
    """Are these two ways to write one telephone number, perhaps once in national and once in international form?"""
    first, second = _parse(one), _parse(other)
    return one == other or (first is not None and second is not None and _is_same(first, second))


def _by_destination(outcomes: Sequence[BroadcastOutcome], names: Sequence[str | None]) -> list[BroadcastOutcome | None]:
    """For each name an outcome about it, or None: there is none, or there are more of them than names to give them."""
    counts = Counter(names)
    waiting: dict[str | None, list[BroadcastOutcome]] = {}
    for outcome in reversed(outcomes):
        waiting.setdefault(outcome.destination, []).append(outcome)
    certain = {name: several for name, several in waiting.items() if len(several) <= counts[name]}
    return [certain[name].pop() if certain.get(name) else None for name in names]


class _Number(NamedTuple):
    prefix: str
    digits: str


def _parse(text: str) -> _Number | None:
    """A telephone number without its separators; ``+``, ``0`` or nothing before its digits."""
    parts = _NUMBER.fullmatch(_SEPARATORS.sub("", text))
    return None if parts is None else _Number("+" if parts[1] == "00" else parts[1], parts[2])


def _is_same(one: _Number, other: _Number) -> bool:
    """Is it one number, perhaps once in national and once in international form?"""
    national, international = sorted((one, other), key=lambda number: len(number.digits))
    country_code = len(international.digits) - len(national.digits)
    if country_code == 0:
        return one.digits == other.digits and {one.prefix, other.prefix} != {"+", "0"}
    return (
        country_code <= _MAX_COUNTRY_CODE
        and national.prefix != "+"
        and international.prefix != "0"
        and international.digits.endswith(national.digits)
    )


def _same_numbers(destinations: Iterable[str], names: Iterable[str]) -> list[str | None]:
    """For each destination the one name that is the same number; None if there is none, or several are."""
    by_end: dict[str, list[tuple[str, _Number]]] = {}
    for name in names:
        if number := _parse(name):
            by_end.setdefault(number.digits[-_MIN_NATIONAL:], []).append((name, number))
    found: list[str | None] = []
    for destination in destinations:
        number = _parse(destination)
        candidates = by_end.get(number.digits[-_MIN_NATIONAL:], []) if number else []
        same = [name for name, other in candidates if number and _is_same(number, other)]
        found.append(same[0] if len(same) == 1 else None)
    return found
