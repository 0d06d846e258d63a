"""Message ids of both versions: what is one, in which form, and what a Location header says."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade._ids import MAX_V1_ID, parse_v1_id, parse_v2_id, v1_id_from_location, v2_id_from_location

TEXT = "0b7e2b3c-6c3c-4f6e-9d5a-2f1f4d7c8a90"


@given(st.integers(1, MAX_V1_ID))
def test_a_v1_id_is_a_number_or_its_digits(number: int) -> None:
    assert parse_v1_id(number) == parse_v1_id(str(number)) == v1_id_from_location(f"/messages/{number}") == str(number)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        True,
        1.0,
        MAX_V1_ID + 1,
        str(MAX_V1_ID + 1),
        "",
        "0",
        "01",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "\u0661",
        b"1",
        None,
    ],
)
def test_anything_else_is_not_a_v1_id(value: object) -> None:
    assert parse_v1_id(value) is None


@given(st.uuids())
def test_a_v2_id_is_a_uuid_or_its_text_in_any_case(value: UUID) -> None:
    assert parse_v2_id(value) == parse_v2_id(str(value).upper()) == str(value)


@pytest.mark.parametrize(
    "value", ["", TEXT[:-1], TEXT + "0", TEXT.replace("-", ""), "{" + TEXT + "}", TEXT + "\n", 1, None]
)
def test_anything_else_is_not_a_v2_id(value: object) -> None:
    assert parse_v2_id(value) is None


@pytest.mark.parametrize(
    "location", [None, "", "/messages/", "/messages/0", "/messages/1/2", "/messages/1?x", f"/messages/{TEXT}"]
)
def test_a_location_that_does_not_end_in_a_v1_id_has_none(location: str | None) -> None:
    assert v1_id_from_location(location) is None


@pytest.mark.parametrize("location", [f"/messages/{TEXT}", f"https://host/rest/sms/v2/messages?id={TEXT.upper()}"])
def test_a_location_may_end_in_a_v2_id(location: str) -> None:
    assert v2_id_from_location(location) == TEXT


@pytest.mark.parametrize("location", [None, "", "/messages/1", f"/messages?id={TEXT}&x=1"])
def test_a_location_that_does_not_end_in_a_v2_id_has_none(location: str | None) -> None:
    assert v2_id_from_location(location) is None
