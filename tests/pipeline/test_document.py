"""Reading, validating and naming: a document is understood or refused with its place, on one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import SpecError, dump, parse, validate

from .documents import swagger

# Reading ----------------------------------------------------------------------------------------------------------


def test_json_and_yaml_read_the_same() -> None:
    document = {"swagger": "2.0", "a": [1, 2.5, True, None, "text", "2017-05-05", {"b": {}}]}
    assert parse(json.dumps(document).encode(), "x") == document
    assert parse(json.dumps(document, indent="\t").encode(), "x") == document
    assert parse(dump(document).encode(), "x") == document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2017-05-05", "2017-05-05"),
        ("12:30:45", "12:30:45"),
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("017", "017"),
        ("1_000", "1_000"),
        ("3.0.3", "3.0.3"),
        ("'1'", "1"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("=", "="),
        ("1", 1),
        ("-2.5e3", -2500.0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_a_plain_yaml_value_means_what_it_means_in_json_or_is_text(text: str, value: object) -> None:
    assert parse(f"key: {text}".encode(), "x") == {"key": value}


def test_yaml_keys_are_text_whatever_they_look_like() -> None:
    assert parse(b"200: ok\non: yes\n", "x") == {"200": "ok", "on": "yes"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: not a document: the top level must be an object"),
        (b"- 1", "x: not a document: the top level must be an object"),
        (b"\xff\xfe", "x: neither JSON nor YAML: 'utf-8' codec"),
        (b'{"a": 1, "a": 2}', "x: neither JSON nor YAML: an object has a key twice"),
        (b'{"a": NaN}', "x: neither JSON nor YAML: NaN is not JSON"),
        (b'{"a": 1', "x: neither JSON nor YAML: Expecting ',' delimiter"),
        (b"a: 1\na: 2", "x line 2: not YAML that is read here: a key is not text, or is there twice"),
        (b"a: 1\n[b]: 2", "x line 2: not YAML that is read here: a key is not text, or is there twice"),
        (b"a: &b [1]\nc: *b", "x line 2: not YAML that is read here: an alias or a tag"),
        (b"a: !!python/object:os.system {}", "x line 1: not YAML that is read here: an alias or a tag"),
        (b"a: [1", "x line "),
        (b"a: 1\n---\nb: 2", "x line 2: not YAML that is read here: another document follows"),
        (b"<html><body>Not here</body></html>", "x: not a document: the top level must be an object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "x: neither JSON nor YAML: Exceeds the limit"),
        (b'{"a": ' + b"[" * 100_000, "x: neither JSON nor YAML: maximum recursion depth exceeded"),
        (b"a: " + b"[" * 5_000, "x: neither JSON nor YAML: maximum recursion depth exceeded"),
    ],
)
def test_what_is_not_a_document_is_refused_on_one_line(data: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(data, "x")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_reading_fails_in_one_way_only(data: bytes) -> None:
    try:
        document = parse(data, "x")
    except SpecError:
        return
    assert isinstance(document, dict)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text()
    | st.sampled_from(["1", "1E5", "-0e0", "1.5e+3", "no", "", "2017-05-05"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=9), values, min_size=1, max_size=3))
def test_what_is_written_reads_back_the_same(document: dict[str, Any]) -> None:
    assert parse(dump(document).encode(), "x") == document


# Validation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["other.yaml#/x", "https://example.com/x", "#/components/schemas/None", "#/info/title/x"]
)
def test_a_reference_that_leads_out_of_the_document_or_nowhere_is_refused(reference: str) -> None:
    document = to_openapi3(swagger(), "#")
    document["components"]["schemas"]["Base"]["properties"]["id"] = {"$ref": reference}
    with pytest.raises(
        SpecError, match=r"^things#/components/schemas/Base/properties/id/\$ref: .* is not in this document"
    ):
        validate(document, "things#")


def test_an_invalid_document_is_refused_with_the_place_that_is_wrong() -> None:
    document = to_openapi3(swagger(), "#")
    document["components"]["schemas"]["Base"]["type"] = "object2"
    with pytest.raises(
        SpecError, match=r"^things#/components/schemas/Base/type: not a valid document: 'object2' is not"
    ):
        validate(document, "things#")
