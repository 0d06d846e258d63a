from __future__ import annotations

import pytest

from modica_facade.cli._plan import Plan, describe_character, suggest_gsm7
from modica_facade.text import count_parts

from .support import ELSEWHERE, HERE, THERE

FOUR = [HERE, THERE, ELSEWHERE, "+64211234570"]


def test_a_plan_says_how_many_what_where_and_when() -> None:
    plan = Plan(
        FOUR, "“Kia ora”" + "a" * 100, "Modica(...)", {"scheduled": "2030-05-05T10:00:00+12:00", "class_": "x"}, 7
    )
    assert list(plan.lines()) == [
        f"to         4 destinations: {HERE}, {THERE}, {ELSEWHERE}, ...",
        "           7 more have an outcome from an earlier run and are left alone",
        "text       109 characters, UCS-2, 2 SMS each, 8 in all",
        '           not in GSM-7: “ (U+201C LEFT DOUBLE QUOTATION MARK): could be "',
        '           not in GSM-7: ” (U+201D RIGHT DOUBLE QUOTATION MARK): could be "',
        "           with those it would be GSM-7, 1 SMS each, 4 in all",
        "gateway    Modica(...)",
        "when       2030-05-05T10:00:00+12:00",
        "class      x",
    ]


def test_a_program_gets_the_same() -> None:
    assert Plan(FOUR[:2], "Kia ora – Ngāti", "Modica(...)", {}, 0).to_json_dict() == {
        "destinations": 2,
        "first": [HERE, THERE],
        "earlier": 0,
        "encoding": "UCS-2",
        "parts": 1,
        "parts_in_all": 2,
        "non_gsm7": ["–", "ā"],
        "parts_if_gsm7": None,
        "gateway": "Modica(...)",
        "options": {},
    }


def test_a_replacement_is_suggested_for_typography_and_never_for_a_letter() -> None:
    assert describe_character("’").endswith(": could be '")
    assert describe_character("\u00a0").endswith(": could be a space")
    assert describe_character("\u200b").endswith(": could be left out")
    assert describe_character("ā") == "ā (U+0101 LATIN SMALL LETTER A WITH MACRON)"
    assert suggest_gsm7("Ngāti – “hi”") is None


@pytest.mark.parametrize("typographic", ["“hi” – it’s…", "a\u00a0b\u202fc", "•\u00ad\u200bx", "‐‑‒–—―−"])
def test_with_the_suggestions_a_text_is_gsm_7(typographic: str) -> None:
    suggestion = suggest_gsm7(typographic)
    assert suggestion is not None
    assert (count_parts(typographic).encoding, suggestion.encoding) == ("UCS-2", "GSM-7")


def test_a_text_that_is_gsm_7_needs_no_suggestion() -> None:
    assert suggest_gsm7("Kia ora") is None
