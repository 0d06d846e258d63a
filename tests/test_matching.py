"""Which outcome of a broadcast answer is about which destination: by text, then by digits, never by position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import BroadcastOutcome
from modica_facade._matching import match


def outcomes(*names: str) -> list[BroadcastOutcome]:
    return [BroadcastOutcome(name, str(number), "success") for number, name in enumerate(names, 1)]


def matched(destinations: list[str], names: list[str]) -> list[tuple[str, str | None]]:
    return [(outcome.destination, outcome.id) for outcome in match(outcomes(*names), destinations)]


@pytest.mark.parametrize(
    ("given_as", "answered_as"),
    [
        ("021 123 4567", "+64211234567"),
        ("0211234567", "64211234567"),
        ("(021) 123-4567", "+64 21 123 4567"),
        ("211234567", "+64211234567"),  # as a spreadsheet leaves it
        ("211234567", "0211234567"),
        ("211234567", "64211234567"),
        ("0064211234567", "+64211234567"),
        ("0064 21 123 4567", "021 123 4567"),
        ("64211234567", "+64211234567"),
        ("+64 21 123 4567", "+64211234567"),
        ("+64.21.123/4567", "+64211234567"),
        ("(212) 555-0123", "+12125550123"),
        ("06 12345678", "+390612345678"),  # Italy keeps the 0
        ("021 1234", "+353211234"),
    ],
)
def test_two_ways_to_write_one_number_match(given_as: str, answered_as: str) -> None:
    assert matched([given_as], [answered_as]) == [(given_as, "1")]
    assert matched([answered_as], [given_as]) == [(answered_as, "1")]


@pytest.mark.parametrize(
    ("given_as", "answered_as"),
    [
        ("021 123 4567", "+64211234568"),
        ("+211234567", "+64211234567"),  # two countries
        ("+211234567", "0211234567"),  # an international number is longer than its national form
        ("00211234567", "0211234567"),
        ("0211234567", "01211234567"),  # two national numbers
        ("211234567", "01211234567"),
        ("021 123 4567", "+1234211234567"),  # no country code has four digits
        ("4567", "+64211234567"),  # a short code
        ("12345", "6412345"),
        ("X", "Y"),
        ("", "+64211234567"),
        ("0", "+"),
        ("X211234567", "+64211234567"),
        ("0211234567 ext 5", "+642112345675"),
        ("021١٢٣٤٥٦٧", "+64211234567"),  # digits of another script
        ("000211234567", "+64211234567"),
    ],
)
def test_two_numbers_do_not(given_as: str, answered_as: str) -> None:
    assert matched([given_as], [answered_as]) == []
    assert matched([answered_as], [given_as]) == []


def test_the_exact_text_comes_first() -> None:
    assert matched(["0211234567", "+64211234567"], ["+64211234567", "0211234567"]) == [
        ("0211234567", "2"),
        ("+64211234567", "1"),
    ]
    assert matched(["+211 234 567", "+211234567", "0211234567"], ["+64211234567", "+211234567", "211-234-567"]) == [
        ("+211234567", "2")
    ]
    assert matched(["+211234567", "0211234567"], ["+64211234567", "+211234567"]) == [
        ("+211234567", "2"),
        ("0211234567", "1"),
    ]


def test_several_ways_to_write_one_number_share_the_outcomes_about_it() -> None:
    """They go to one handset: which id belongs to which of the two makes no difference."""
    wanted = ["021 123 4567", "X", "+64 21 123 4567"]
    assert matched(wanted, ["+64211234567", "+64211234567", "X"]) == [(wanted[0], "1"), ("X", "3"), (wanted[2], "2")]
    wanted = ["021 123 4567", "+64211234567"]
    assert matched(wanted, ["+64211234567", "+64211234567"]) == [(wanted[0], "1"), (wanted[1], "2")]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        # the same national number in two countries
        (["X", "0211234567"], ["X", "+61211234567", "+64211234567"]),
        (["X", "0211234567", "021-123-4567"], ["X", "+61211234567", "+64211234567"]),
        # too many, too few, or one of them about nobody
        (["X", "0211234567"], ["X", "+64211234567", "+64211234567"]),
        (["X", "0211234567", "0211234567"], ["X", "+64211234567"]),
        (["X", "0211234567", "0221234567"], ["X", "+64211234567", "+64231234567"]),
        (["X", "0211234567", "Y"], ["X", "+64211234567", "Z"]),
        (["X", "0211234567"], ["X", "+64211234567", "Z"]),
    ],
)
def test_what_is_not_clear_is_left_out_and_the_exact_stays(wanted: list[str], names: list[str]) -> None:
    assert matched(wanted, names) == [("X", "1")]


def test_more_outcomes_than_destinations_of_a_name_decide_nothing() -> None:
    assert matched(["A", "B", "B"], ["A", "A", "B", "B"]) == [("B", "3"), ("B", "4")]
    assert matched(["A", "A"], ["A"]) == [("A", "1")]


NAMES = ["0211234567", "021 123 4567", "+64211234567", "+61211234567", "0221234567", "+64221234567", "X", ""]
SAME = [NAMES[:3], [*NAMES[:2], NAMES[3]], NAMES[4:6], *([name] for name in NAMES)]


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.lists(st.sampled_from(NAMES), max_size=8))
def test_no_outcome_is_used_twice_or_given_to_another_number(wanted: list[str], names: list[str]) -> None:
    found = match(outcomes(*names), wanted)
    assert len({outcome.id for outcome in found}) == len(found)
    remaining = iter(wanted)
    assert all(any(outcome.destination == each for each in remaining) for outcome in found)
    for outcome in found:
        about = names[int(outcome.id or 0) - 1]
        assert any(outcome.destination in group and about in group for group in SAME)


@given(st.permutations(NAMES), st.permutations(NAMES))
def test_the_order_of_the_rows_means_nothing(wanted: list[str], names: list[str]) -> None:
    assert matched(wanted, names) == [(name, str(names.index(name) + 1)) for name in wanted]
    wanted.remove("+64221234567")
    names.remove("0221234567")
    assert [name for name, _ in matched(wanted, names)] == wanted
