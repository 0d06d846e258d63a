from __future__ import annotations

import pytest

from .support import modica, rows


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Kia ora", "GSM-7, 1 SMS, 7 septets, 153 free in the last SMS"),
        ("Ngāti", "UCS-2, 1 SMS, 5 UTF-16 units, 65 free in the last SMS"),
    ],
)
def test_parts_says_how_many_sms_a_text_makes(text: str, first: str) -> None:
    assert modica("parts", text).stdout.splitlines()[0] == first


def test_parts_names_what_forces_the_costlier_encoding() -> None:
    assert modica("parts", "Ngā\u200b").stdout.splitlines()[1:] == [
        "not in GSM-7: ā (U+0101 LATIN SMALL LETTER A WITH MACRON)",
        r"not in GSM-7: \u200b (U+200B ZERO WIDTH SPACE): could be left out",
    ]
    [counted] = rows(modica("parts", "Ngā", "--json"))
    assert counted == {"encoding": "UCS-2", "count": 1, "units": 3, "free": 67, "non_gsm7": ["ā"]}


def test_parts_counts_standard_input() -> None:
    assert modica("parts", "-", stdin=b"Kia ora\n").stdout.splitlines() == [
        "GSM-7, 1 SMS, 7 septets, 153 free in the last SMS"
    ]
