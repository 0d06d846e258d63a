from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import InvalidRequestError
from modica_facade.text import Parts, count_parts, normalise


@pytest.mark.parametrize(
    ("text", "encoding", "count", "free"),
    [
        ("", "GSM-7", 0, 160),
        ("a", "GSM-7", 1, 159),
        ("a" * 160, "GSM-7", 1, 0),
        ("a" * 161, "GSM-7", 2, 145),
        ("a" * 306, "GSM-7", 2, 0),
        ("a" * 307, "GSM-7", 3, 152),
        ("€" * 80, "GSM-7", 1, 0),
        ("€" * 81, "GSM-7", 2, 143),
        ("ā" * 70, "UCS-2", 1, 0),
        ("ā" * 71, "UCS-2", 2, 63),
        ("ā" * 134, "UCS-2", 2, 0),
        ("ā" * 135, "UCS-2", 3, 66),
        ("😀" * 35, "UCS-2", 1, 0),
        ("😀" * 36, "UCS-2", 2, 61),
        ("Kia ora koutou", "GSM-7", 1, 146),
        ("Kia ora Ngāti Whātua", "UCS-2", 1, 50),
    ],
)
def test_an_sms_is_160_septets_or_70_units_alone_and_153_or_67_in_a_chain(
    text: str, encoding: str, count: int, free: int
) -> None:
    counted = count_parts(text)
    assert (counted.encoding, counted.count, counted.free) == (encoding, count, free)


def test_an_escaped_character_does_not_straddle_two_sms() -> None:
    text = "a" * 152 + "€" + "a" * 152
    assert count_parts(text) == Parts("GSM-7", 3, 306, 152, ())


def test_a_surrogate_pair_does_not_straddle_two_sms() -> None:
    text = "ā" * 66 + "😀" + "ā" * 66
    assert count_parts(text) == Parts("UCS-2", 3, 134, 66, ("ā", "😀"))


@pytest.mark.parametrize("macron", "āēīōūĀĒĪŌŪ")
def test_a_macron_of_te_reo_forces_ucs_2(macron: str) -> None:
    counted = count_parts(f"T{macron}n{macron} koe")
    assert (counted.encoding, counted.non_gsm7) == ("UCS-2", (macron,))


def test_what_forces_ucs_2_is_named_once_each_in_the_order_of_the_text() -> None:
    assert count_parts("“Ka pai” – “ā”").non_gsm7 == ("“", "”", "–", "ā")


def test_the_alphabet_has_127_characters_of_one_septet_and_10_of_two() -> None:
    everything = map(chr, range(0xD800))
    septets = [counted.units for c in everything if (counted := count_parts(c)).encoding == "GSM-7"]
    assert (septets.count(1), septets.count(2), len(septets)) == (127, 10, 137)


def test_cedilla_is_there_in_upper_case_only() -> None:
    assert count_parts("Ç").encoding == "GSM-7"
    assert count_parts("ç").encoding == "UCS-2"


_GSM = st.text("aZ @é\n€[]~|", max_size=700)
_ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from("aā😀"), max_size=400)


@given(_GSM | _ANY)
def test_no_text_is_cut_anywhere_but_between_characters(text: str) -> None:
    counted = count_parts(text)
    wide = counted.encoding == "UCS-2"
    alone, chained = (70, 67) if wide else (160, 153)

    def units(part: str) -> int:
        if wide:
            return len(part.encode("utf-16-le", "surrogatepass")) // 2
        return len(part) + sum(part.count(c) for c in "\f^{}\\[~]|€")

    assert counted.units == units(text)
    if counted.units <= alone:
        assert (counted.count, counted.free) == (int(bool(text)), alone - counted.units)
        return
    sms = [""]
    for character in text:
        if units(sms[-1] + character) > chained:
            sms.append("")
        sms[-1] += character
    assert (counted.count, counted.free) == (len(sms), chained - units(sms[-1]))


@given(st.text(st.characters(min_codepoint=0xD800, max_codepoint=sys.maxunicode, exclude_categories=())))
def test_nothing_that_a_str_can_hold_is_beyond_it(text: str) -> None:
    assert set(count_parts(text).non_gsm7) == set(text)


@pytest.mark.parametrize(
    "written",
    [
        *("021 123 4567", "(021) 123-4567", "021-123-4567", "0211234567", "64211234567", "0064 21 123 4567"),
        *("+64 21 123 4567", "+64 (0)21 123 4567", "+64211234567", "021\u00a0123\u00a04567", "０２１１２３４５６７"),
        "\u202a+64211234567\u202c",
        "211234567",  # what a spreadsheet makes of 0211234567
    ],
)
@pytest.mark.parametrize("country", ["NZ", "nz"])
def test_a_number_as_people_write_it_gets_its_international_form(written: str, country: str) -> None:
    assert normalise(written, country) == "+64211234567"


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            " ",
            "+",
            "X",
            "6.4211E+10",
            "call 021 123 4567",
            "0800 FLOWERS",
            "021 123 4567 ext 5",
            "tel:+64211234567",
        ),
        *("021123", "+6421", "02112345678901", "111", "021 123 4567, 021 123 4568", "021 123 4567\n;x"),
        "0412 345 678",  # Australian: +64412345678 would reach somebody else, or nobody
    ],
)
def test_what_is_not_a_number_of_the_country_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        normalise(written, "NZ")
    assert refused.value.field == "destination"
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("written", "complaint"), [(None, "not NoneType"), (float("nan"), "not float"), (64, "not int")]
)
def test_an_empty_cell_of_a_table_is_refused_like_any_other_value(written: Any, complaint: str) -> None:
    with pytest.raises(InvalidRequestError, match=complaint) as raised:
        normalise(written, "NZ")
    assert raised.value.field == "destination"


def test_a_refused_text_is_shown_in_part() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        normalise("021" * 100_000, "NZ")
    assert len(str(raised.value)) < 150


def test_an_international_number_is_kept_whatever_the_country() -> None:
    assert normalise("+61 412 345 678", "NZ") == "+61412345678"


@pytest.mark.parametrize("country", ["", "XX", "New Zealand", "64"])
def test_a_country_that_does_not_exist_is_refused(country: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        normalise("021 123 4567", country)
    assert refused.value.field == "country"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[phonenumbers\]'"):
        normalise("021 123 4567", "NZ")


@given(st.text(st.sampled_from("+0123456789 ()-./xE٣\u200e\uff0b"), max_size=20) | st.text(max_size=20))
def test_whatever_it_returns_is_a_plus_and_digits_and_stays_as_it_is(written: str) -> None:
    try:
        number = normalise(written, "NZ")
    except InvalidRequestError:
        return
    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdigit()
    assert normalise(number, "NZ") == number
