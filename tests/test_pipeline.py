"""From a published document to a generated client: nothing is lost in silence, and it is all or nothing."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import regenerate
from convert import to_openapi3
from hypothesis import given, settings
from hypothesis import strategies as st
from spec import SpecError, apply_overlay, at, check_names, dump, parse, validate

ROOT = Path(__file__).parents[1]


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
        (b"a: &b [1]\nc: *b", "x line 1: not YAML that is read here: an alias or a tag"),
        (b"a: !!python/object:os.system {}", "x line 1: not YAML that is read here: an alias or a tag"),
        (b"a: [1", "x line 1: not YAML that is read here: expected ',' or ']'"),
        (b"a: 1\n---\nb: 2", "x line 2: not YAML that is read here: but found another document"),
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
    | st.sampled_from(["1", "no", "", "2017-05-05"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=9), values, min_size=1, max_size=3))
def test_what_is_written_reads_back_the_same(document: dict[str, Any]) -> None:
    assert parse(dump(document).encode(), "x") == document


# Swagger 2.0 -> OpenAPI 3.0 ---------------------------------------------------------------------------------------


THING = {"$ref": "#/definitions/Thing"}


def swagger() -> dict[str, Any]:
    """A small document with a bit of everything that can be carried over."""
    return {
        "swagger": "2.0",
        "info": {"title": "Things", "version": "1", "x-kind": "test"},
        "host": "example.com",
        "basePath": "/rest",
        "schemes": ["https", "http"],
        "consumes": ["application/json"],
        "produces": ["application/json", "text/plain"],
        "x-origin": "here",
        "tags": [{"name": "things"}],
        "security": [{"Basic": []}],
        "securityDefinitions": {
            "Basic": {"type": "basic", "description": "the usual"},
            "Key": {"type": "apiKey", "name": "X-Key", "in": "header"},
        },
        "paths": {
            "/things/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "type": "string", "pattern": "^[a-z]+$"}],
                "post": {
                    "operationId": "make_thing",
                    "tags": ["things"],
                    "summary": "Make one",
                    "consumes": ["application/vnd.thing+json"],
                    "parameters": [
                        {"name": "thing", "in": "body", "description": "It", "required": True, "schema": dict(THING)},
                        {"name": "kinds", "in": "query", "type": "array", "items": {"type": "string"}, "maxItems": 3},
                        {
                            "name": "sizes",
                            "in": "query",
                            "type": "array",
                            "items": {"type": "integer", "enum": [1]},
                            "collectionFormat": "multi",
                        },
                        {"name": "X-Trace", "in": "header", "type": "integer", "format": "int64", "default": 1},
                    ],
                    "responses": {
                        "201": {
                            "description": "Made",
                            "schema": {"type": "array", "items": dict(THING)},
                            "headers": {"Location": {"type": "string", "description": "Where"}},
                            "examples": {"application/json": []},
                        },
                        "default": {"description": "Not made"},
                    },
                },
            }
        },
        "definitions": {
            "Base": {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}},
            "Thing": {
                "allOf": [{"$ref": "#/definitions/Base"}, {"properties": {"name": {"type": "string", "maxLength": 5}}}],
                "additionalProperties": {"type": "string"},
                "x-note": "kept",
            },
        },
    }  # fmt: skip


def test_everything_a_swagger_document_says_is_said_in_openapi() -> None:
    document = swagger()
    validate(document, "things#")
    before = copy.deepcopy(document)
    converted = to_openapi3(document, "things#")
    assert document == before
    validate(converted, "things#")
    thing = {"$ref": "#/components/schemas/Thing"}
    answer = {"schema": {"type": "array", "items": thing}}
    assert converted == {
        "openapi": "3.0.3",
        "info": {"title": "Things", "version": "1", "x-kind": "test"},
        "servers": [{"url": "https://example.com/rest"}, {"url": "http://example.com/rest"}],
        "x-origin": "here",
        "tags": [{"name": "things"}],
        "security": [{"Basic": []}],
        "paths": {
            "/things/{id}": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-z]+$"}}
                ],
                "post": {
                    "operationId": "make_thing",
                    "tags": ["things"],
                    "summary": "Make one",
                    "requestBody": {
                        "description": "It",
                        "required": True,
                        "content": {"application/vnd.thing+json": {"schema": thing}},
                    },
                    "parameters": [
                        {
                            "name": "kinds",
                            "in": "query",
                            "explode": False,
                            "schema": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                        },
                        {
                            "name": "sizes",
                            "in": "query",
                            "explode": True,
                            "schema": {"type": "array", "items": {"type": "integer", "enum": [1]}},
                        },
                        {
                            "name": "X-Trace",
                            "in": "header",
                            "schema": {"type": "integer", "format": "int64", "default": 1},
                        },
                    ],
                    "responses": {
                        "201": {
                            "description": "Made",
                            "headers": {"Location": {"description": "Where", "schema": {"type": "string"}}},
                            "content": {"application/json": {**answer, "example": []}, "text/plain": answer},
                        },
                        "default": {"description": "Not made"},
                    },
                },
            }
        },
        "components": {
            "schemas": {
                "Base": {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}},
                "Thing": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Base"},
                        {"properties": {"name": {"type": "string", "maxLength": 5}}},
                    ],
                    "additionalProperties": {"type": "string"},
                    "x-note": "kept",
                },
            },
            "securitySchemes": {
                "Basic": {"type": "http", "description": "the usual", "scheme": "basic"},
                "Key": {"type": "apiKey", "name": "X-Key", "in": "header"},
            },
        },
    }


def test_an_openapi_3_0_document_is_left_as_it_is() -> None:
    document = to_openapi3(swagger(), "things#")
    again = to_openapi3(document, "things#")
    assert again == document
    assert again["paths"] is not document["paths"]


OP = ("paths", "/things/{id}", "post")
BODY, KINDS, CREATED = (*OP, "parameters", 0), (*OP, "parameters", 1), (*OP, "responses", "201")


def refused(keys: tuple[str | int, ...], value: object, why: str, place: tuple[str | int, ...] | None = None) -> Any:
    """One row of the table: `value` put at `keys` is refused at `place`, usually the same, for the reason `why`."""
    return pytest.param(keys, value, at("#", *(keys if place is None else place)) + ": " + why)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        refused(("swagger",), "1.2", "version '1.2' cannot be read", place=()),
        refused(("openapi",), "3.2.0", "version '3.2.0' cannot be read", place=()),
        refused(("openapi",), "2.0", "version '2.0' cannot be read", place=()),
        refused(("schemes",), [], "host and schemes are needed", place=()),
        refused(("parameters",), {}, "unknown here"),
        refused(("responses",), {}, "unknown here"),
        refused(("paths", "/things/{id}", "$ref"), "x", "unknown here"),
        refused(("paths", "/things/{id}", "trace"), {}, "unknown here"),
        refused((*OP, "schemes"), ["wss"], "unknown here"),
        refused((*OP, "consumes"), [], "has no media type", place=(*BODY, "schema")),
        refused((*OP, "produces"), [], "has no media type", place=(*CREATED, "schema")),
        refused((*BODY, "in"), "formData", "a parameter in 'formData' cannot", place=BODY),
        refused((*BODY, "format"), "int64", "unknown here"),
        refused(KINDS, {"$ref": "#/parameters/Kinds"}, "a parameter in '$ref' cannot"),
        refused((*KINDS, "collectionFormat"), "tsv", "'tsv' cannot be carried over"),
        refused((*KINDS, "allowEmptyValue"), True, "unknown here"),
        refused((*KINDS, "items", "collectionFormat"), "csv", "unknown here"),
        refused((*KINDS, "type"), "file", "type 'file' cannot be carried over", place=KINDS),
        refused((*CREATED, "schema"), {"type": "file"}, "type 'file' cannot", place=(*CREATED, "schema", "type")),
        refused((*CREATED, "content"), {}, "unknown here"),
        refused((*CREATED, "examples"), {"a/b": 1}, "an example of a media", place=(*CREATED, "examples", "a/b")),
        refused((*CREATED, "headers", "Location", "schema"), {}, "unknown here"),
        refused((*CREATED, "schema", "items", "$ref"), "other.json#/Thing", "'other.json#/Thing' does not lead"),
        refused((*CREATED, "schema", "items", "$ref"), "https://example.com/x", "'https://example.com/x' does not"),
        refused((*CREATED, "schema", "items", "type"), "object", "says more", place=(*CREATED, "schema", "items")),
        refused(("definitions", "Thing", "oneOf"), [], "unknown here"),
        refused(("definitions", "Thing", "allOf", 1, "discriminator"), "kind", "unknown here"),
        refused(("definitions", "Thing", "additionalProperties", "xml"), {}, "unknown here"),
        refused(("definitions", "Base", "type"), ["object", "null"], "type ['object', 'null'] cannot be carried over"),
        refused(("definitions", "Base"), [], "must be an object"),
        refused(
            ("securityDefinitions", "Basic", "type"), "oauth2", "security of type", ("securityDefinitions", "Basic")
        ),
        refused(("securityDefinitions", "Key", "flow"), "implicit", "unknown here"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_with_its_place(
    keys: tuple[str | int, ...], value: object, message: str
) -> None:
    document: Any = swagger()
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    with pytest.raises(SpecError) as caught:
        to_openapi3(document, "#")
    assert str(caught.value).startswith(message)


def test_a_document_without_a_host_is_refused() -> None:
    document = swagger()
    del document["host"]
    with pytest.raises(SpecError, match=r"^#: host and schemes are needed"):
        to_openapi3(document, "#")


REF = {"$ref": "#/components/schemas/Base"}


def things(schema: Any = None, **changes: Any) -> dict[str, Any]:
    """The same document as OpenAPI, with a schema in it."""
    document = {**to_openapi3(swagger(), "#"), **changes}
    document["components"]["schemas"]["It"] = {} if schema is None else schema
    return document


@pytest.mark.parametrize(
    ("said", "lowered"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string"]}, {"type": "string"}),
        ({"const": 1}, {"enum": [1]}),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}),
        ({"type": "number", "exclusiveMaximum": 1.5}, {"type": "number", "maximum": 1.5, "exclusiveMaximum": True}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"oneOf": [REF, {"type": "null"}]}, {"allOf": [REF], "nullable": True}),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
            {"oneOf": [{"type": "integer"}, {"type": "string"}], "nullable": True},
        ),
        ({"properties": {"a": {"const": 1}, "const": REF}}, {"properties": {"a": {"enum": [1]}, "const": REF}}),
        ({"items": {**REF, "description": "one"}, "type": "array"}, {"items": REF, "type": "array"}),
    ],
)
def test_what_openapi_3_1_says_of_a_value_is_said_as_in_3_0(said: dict[str, Any], lowered: dict[str, Any]) -> None:
    document = things(said, openapi="3.1.0")
    validate(document, "#")
    result = to_openapi3(document, "#")
    assert result["openapi"] == "3.0.3"
    assert result["components"]["schemas"]["It"] == lowered
    validate(result, "#")


def test_a_summary_of_the_document_is_left_behind_with_3_1() -> None:
    document = things(openapi="3.1.0")
    document["info"]["summary"] = "Things, in short"
    assert "summary" not in to_openapi3(document, "#")["info"]


def test_references_to_components_of_every_kind_are_carried_over() -> None:
    document = things()
    document["components"] |= {
        "parameters": {"Size": {"name": "size", "in": "query", "schema": {"type": "integer"}}},
        "headers": {"Place": {"schema": {"type": "string"}}},
        "responses": {"Gone": {"description": "x", "headers": {"L": {"$ref": "#/components/headers/Place"}}}},
        "requestBodies": {"One": {"content": {"application/json": {}}}},
    }
    operation = document["paths"]["/things/{id}"]["post"]
    operation["parameters"].append({"$ref": "#/components/parameters/Size"})
    operation["responses"]["404"] = {"$ref": "#/components/responses/Gone"}
    operation["requestBody"] = {"$ref": "#/components/requestBodies/One"}
    validate(document, "#")
    assert to_openapi3(document, "#") == document


POST = ("paths", "/things/{id}", "post")
QUERY = (*POST, "parameters", 0)
MEDIA = (*POST, "responses", "201", "content", "application/json")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        refused(("servers",), [], "servers are needed", place=()),
        refused(("servers", 0, "url"), "/rest", "'/rest' is not a whole address"),
        refused(("servers", 0, "variables"), {}, "unknown here"),
        refused(("webhooks",), {}, "unknown here"),
        refused(("components", "links"), {}, "unknown here"),
        refused(("components", "schemas", "It", "type"), ["string", "integer"], "type ['string', 'integer'] cannot"),
        refused(("components", "schemas", "It", "type"), ["null"], "type ['null'] cannot"),
        refused(("components", "schemas", "It", "type"), "file", "type 'file' cannot be carried over"),
        refused(("components", "schemas", "It", "not"), {}, "unknown here"),
        refused(("components", "schemas", "It", "patternProperties"), {}, "unknown here"),
        refused(("components", "schemas", "It"), {**REF, "nullable": True}, "says more than its $ref"),
        refused(("components", "schemas", "It"), {"$ref": "#/components/headers/X"}, "'#/components/headers/X' does",
                place=("components", "schemas", "It", "$ref")),
        refused(("components", "schemas", "It"), {"exclusiveMinimum": 0, "minimum": 1}, "beside minimum",
                place=("components", "schemas", "It", "exclusiveMinimum")),
        refused(("components", "securitySchemes", "Key", "in"), "cookie", "security of type 'apiKey'",
                place=("components", "securitySchemes", "Key")),
        refused(("components", "securitySchemes", "Key", "type"), "openIdConnect", "security of type 'openIdConnect'",
                place=("components", "securitySchemes", "Key")),
        refused(("paths", "/things/{id}", "$ref"), "x", "unknown here"),
        refused(("paths", "/things/{id}", "servers"), [], "unknown here"),
        refused((*POST, "servers"), [], "unknown here"),
        refused((*POST, "callbacks"), {"it": {"{$url}": {"trace": {}}}}, "unknown here",
                place=(*POST, "callbacks", "it", "{$url}", "trace")),
        refused((*QUERY, "style"), "deepObject", "'deepObject' cannot be carried over"),
        refused((*QUERY, "in"), "cookie", "a parameter in 'cookie'", place=QUERY),
        refused((*QUERY, "content"), {}, "unknown here"),
        refused((*QUERY, "schema"), None, "must be an object"),
        refused((*MEDIA, "encoding"), {}, "unknown here"),
        refused((*POST, "responses", "201", "links"), {}, "unknown here"),
        refused((*POST, "requestBody", "content"), {"Multipart/Form-Data; boundary=x": {}}, "a request body in 'Multi"),
    ],
)  # fmt: skip
def test_what_of_openapi_3_cannot_be_carried_over_is_refused_with_its_place(
    keys: tuple[str | int, ...], value: object, message: str
) -> None:
    document: Any = things()
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    with pytest.raises(SpecError) as caught:
        to_openapi3(document, "#")
    assert str(caught.value).startswith(message)


# Validation and names ---------------------------------------------------------------------------------------------


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


def named() -> dict[str, Any]:
    return to_openapi3(swagger(), "#")


def test_a_document_with_all_its_names_passes() -> None:
    document = named()
    document["components"]["schemas"]["Base"]["properties"]["title"] = {"type": "string"}
    document["components"]["schemas"]["Base"]["example"] = {"properties": {}}
    check_names(document, "#")


@pytest.mark.parametrize(("key", "value"), [("operationId", ""), ("tags", []), ("tags", ["a", "b"])])
def test_an_operation_without_a_name_or_with_two_homes_is_refused(key: str, value: object) -> None:
    document = named()
    document["paths"]["/things/{id}"]["post"][key] = value
    with pytest.raises(SpecError, match=r"^#/paths/~1things~1\{id\}/post: needs an operationId and one tag"):
        check_names(document, "#")


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        (("paths", "/things/{id}", "post", "responses", "201", "content", "text/plain", "schema", "items"), "/items"),
        (("components", "schemas", "Base", "properties", "id"), "/properties/id"),
        (("components", "schemas", "Thing", "allOf", 1, "properties", "name"), "/allOf/1/properties/name"),
        (("components", "schemas", "Thing", "additionalProperties"), "/additionalProperties"),
    ],
)
def test_an_inline_object_without_a_title_is_refused(keys: tuple[str | int, ...], where: str) -> None:
    document: Any = named()
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = {"type": "object", "properties": {}}
    with pytest.raises(SpecError, match="an object without a name") as caught:
        check_names(document, "#")
    assert caught.value.where.endswith(where)
    node[keys[-1]]["title"] = "Inner"
    check_names(document, "#")


# Overlays ---------------------------------------------------------------------------------------------------------


def overlaid(document: dict[str, Any], **action: Any) -> dict[str, Any]:
    action = {"description": "a reason", **action}
    return apply_overlay(document, {"overlay": "1.0.0", "info": {}, "actions": [action]}, "o.yaml")


def test_an_update_merges_objects_appends_to_lists_and_replaces_the_rest() -> None:
    document = {"a": {"b": 1, "c": [1], "d": {"e": 2}}, "f": 3}
    update = {"b": 2, "c": [2], "d": {"g": [4]}, "h": {}}
    assert overlaid(document, target="$.a", update=update) == {
        "a": {"b": 2, "c": [1, 2], "d": {"e": 2, "g": [4]}, "h": {}},
        "f": 3,
    }
    assert document == {"a": {"b": 1, "c": [1], "d": {"e": 2}}, "f": 3}
    assert overlaid({"a": [1]}, target="$.a", update={"b": 1}) == {"a": [1, {"b": 1}]}


def test_an_action_applies_to_everything_its_target_selects() -> None:
    document = {"a": {"x": {"k": 1}, "y": {"k": 2}}, "b": [{"k": 3}, {"k": 4}, {"l": 5}]}
    assert overlaid(document, target="$.a.*", update={"z": 0}) == {
        "a": {"x": {"k": 1, "z": 0}, "y": {"k": 2, "z": 0}},
        "b": document["b"],
    }
    assert overlaid(document, target="$.b[?@.k]", remove=True) == {"a": document["a"], "b": [{"l": 5}]}
    assert overlaid(document, target="$..k", remove=True) == {"a": {"x": {}, "y": {}}, "b": [{}, {}, {"l": 5}]}


def test_what_an_update_adds_is_not_shared_between_its_places() -> None:
    result = overlaid({"a": {}, "b": {}}, target="$.*", update={"c": {"d": 1}})
    result["a"]["c"]["d"] = 2
    assert result["b"] == {"c": {"d": 1}}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"target": "$.nope", "remove": True}, "o.yaml action 1 ($.nope): matches nothing"),
        ({"target": "$.nope", "update": {"a": 1}}, "o.yaml action 1 ($.nope): matches nothing"),
        ({"target": "$.a", "update": {}}, "o.yaml action 1 ($.a): changes nothing"),
        ({"target": "$.a", "update": {"b": 1, "c": [1]}}, "o.yaml action 1 ($.a): changes nothing"),
        ({"target": "$.a.c", "update": 1}, "o.yaml action 1 ($.a.c): changes nothing"),
        ({"target": "$.a.b", "update": {"c": 1}}, "o.yaml action 1 ($.a.b): an update needs an object or a list"),
        ({"target": "$.a", "update": 1}, "o.yaml action 1 ($.a): an update needs an object or a list"),
        ({"target": "$.a", "update": {"b": {}}}, "o.yaml action 1 ($.a): cannot merge 'b'"),
        ({"target": "$.a", "update": {"c": 1}}, "o.yaml action 1 ($.a): cannot merge 'c'"),
        ({"target": "$", "remove": True}, "o.yaml action 1 ($): would remove the whole document"),
        ({"target": "$.a[", "remove": True}, "o.yaml action 1 ($.a[): the target is not a JSONPath"),
        ({"target": "a", "remove": True}, "o.yaml action 1 (a): the target is not a JSONPath"),
        ({"remove": True}, "o.yaml action 1 (None): the target is not a JSONPath"),
        ({"target": "$.a"}, "o.yaml action 1 ($.a): must have either update or remove: true"),
        ({"target": "$.a", "remove": False}, "o.yaml action 1 ($.a): must have either update or remove: true"),
        ({"target": "$.a", "remove": True, "update": {}}, "o.yaml action 1 ($.a): must have either update or remove"),
        ({"target": "$.a", "remove": True, "description": ""}, "o.yaml action 1 ($.a): has no description"),
        ({"target": "$.a", "copy": "$.b"}, "o.yaml action 1/copy: unknown here"),
    ],
)
def test_an_action_that_does_nothing_or_cannot_be_done_is_an_error(action: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        overlaid({"a": {"b": 1, "c": [1]}}, **action)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_number_does_not_pass_for_a_boolean() -> None:
    assert overlaid({"a": {"b": True}}, target="$.a", update={"b": 1})["a"]["b"] is not True


@pytest.mark.parametrize(
    "overlay", [{}, {"overlay": "1.1.0", "actions": [{}]}, {"overlay": "1.0.0"}, {"overlay": "1.0.0", "actions": []}]
)
def test_what_is_not_an_overlay_is_refused(overlay: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^o\.yaml: not an OpenAPI Overlay 1\.0\.0 with actions"):
        apply_overlay({}, overlay, "o.yaml")


# The whole pipeline -----------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A copy of everything the pipeline reads and writes."""
    for name in ("openapi", "generated", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(desk: Path, *arguments: str, seed: str = "random") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "scripts/regenerate.py", *arguments],
        cwd=desk,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(desk: Path, *arguments: str) -> tuple[int, str, str]:
    with start(desk, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_two_runs_under_different_hash_seeds_make_the_bytes_that_are_committed(tmp_path: Path) -> None:
    desks = [tmp_path / "one", tmp_path / "two"]
    for desk in desks:
        shutil.copytree(ROOT / "scripts", desk / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("published", "overlays"):
            shutil.copytree(ROOT / "openapi" / name, desk / "openapi" / name)
    runs = [start(desk, seed=seed) for desk, seed in zip(desks, ("1", "2"), strict=True)]
    for process in runs:
        with process:
            assert process.communicate(timeout=120)[1] == ""
        assert process.returncode == 0
    committed = regenerate.outputs(ROOT)
    for desk in desks:
        assert regenerate.outputs(desk) == committed
        assert sorted(path.name for path in desk.iterdir()) == ["generated", "openapi", "scripts"]


def test_the_check_names_every_hand_edit_and_every_extra_or_missing_file(desk: Path) -> None:
    package = desk / "generated" / "modica_gateway_v1"
    with (package / "client.py").open("a", encoding="utf-8") as file:
        file.write("\n")
    (package / "models" / "extra.py").touch()
    (package / "types.py").unlink()
    (desk / "generated" / "__init__.py").touch()
    (desk / "openapi" / "sms-v2.openapi.yaml").write_text("{}", encoding="utf-8")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "client.cpython-311.pyc").touch()
    before = regenerate.outputs(desk)
    code, out, err = run(desk, "--check")
    assert code == 1
    assert out.splitlines() == [
        "extra: generated/__init__.py",
        "differs: generated/modica_gateway_v1/client.py",
        "extra: generated/modica_gateway_v1/models/extra.py",
        "missing: generated/modica_gateway_v1/types.py",
        "differs: openapi/sms-v2.openapi.yaml",
    ]
    assert err == "check-generated: run `make regenerate`, and never edit what it makes\n"
    assert regenerate.outputs(desk) == before


def test_a_run_says_what_it_added_removed_and_changed_and_then_that_all_is_well(desk: Path) -> None:
    package = desk / "generated" / "modica_sms_v2"
    (package / "client.py").write_text("", encoding="utf-8")
    (package / "extra.py").touch()
    (package / "types.py").unlink()
    code, out, err = run(desk)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "changed: generated/modica_sms_v2/client.py",
        "removed: generated/modica_sms_v2/extra.py",
        "added: generated/modica_sms_v2/types.py",
    ]
    assert regenerate.outputs(desk) == regenerate.outputs(ROOT)
    assert run(desk, "--check") == (0, "openapi/ and generated/ are what the pipeline makes\n", "")


def test_a_broken_overlay_leaves_every_byte_where_it_was_and_says_so_on_one_line(desk: Path) -> None:
    overlay = desk / "openapi" / "overlays" / "sms-v2.overlay.yaml"
    overlay.write_text(overlay.read_text(encoding="utf-8").replace("paths['/openapi.yaml']", "paths['/docs']"), "utf-8")
    before = regenerate.read_tree(desk)
    code, out, err = run(desk)
    assert (code, out) == (1, "")
    assert err == (
        "regenerate: overlays/sms-v2.overlay.yaml action 1 ($.paths['/docs']): matches nothing: the document changed, "
        "or the target is misspelt; nothing was changed\n"
    )
    assert regenerate.read_tree(desk) == before


def test_an_endpoint_the_generator_would_drop_is_an_error(desk: Path) -> None:
    published = desk / "openapi" / "published" / "gateway-v1.swagger.yaml"
    published.write_text(
        published.read_text(encoding="utf-8").replace(
            "produces:\n  - application/json", "produces:\n  - application/xml"
        ),
        "utf-8",
    )
    overlay = desk / "openapi" / "overlays" / "gateway-v1.overlay.yaml"
    text = overlay.read_text(encoding="utf-8").replace(
        "application/vnd.modica.gateway.v1+json:\n        schema", "application/pdf:\n        schema"
    )
    overlay.write_text(text, "utf-8")
    before = regenerate.read_tree(desk)
    code, out, err = run(desk)
    assert (code, out) == (1, "")
    assert err.startswith("regenerate: gateway-v1.openapi.yaml: openapi_python_client failed: Warning(s) encountered")
    assert "/messages" in err
    assert err.count("\n") == 1
    assert regenerate.read_tree(desk) == before


def test_code_the_facade_cannot_use_is_not_put_in_place_and_the_need_is_named(desk: Path) -> None:
    overlay = desk / "openapi" / "overlays" / "gateway-v1.overlay.yaml"
    text = overlay.read_text(encoding="utf-8")
    assert text.count("title: NewMessage") == 1
    overlay.write_text(text.replace("title: NewMessage", "title: OutboundMessage"), "utf-8")
    before = regenerate.read_tree(desk)
    code, out, err = run(desk)
    assert (code, out) == (1, "")
    assert err.startswith(
        "regenerate: scripts/contract.py: Modica.send needs a class modica_gateway_v1.models.NewMessage; spec path "
        "gateway-v1.openapi.yaml#/components/schemas/Message, shaped by overlays/gateway-v1.overlay.yaml action "
    )
    assert err.endswith("; nothing was changed\n")
    assert regenerate.read_tree(desk) == before


@pytest.mark.parametrize("failing", range(8))
def test_a_swap_that_fails_at_any_step_puts_everything_back(
    failing: int, tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, attic = tmp_path / "built", tmp_path / "attic"
    for name in ("openapi", "generated"):
        shutil.copytree(desk / name, built / name)
    for name in regenerate.outputs(built):
        (built / name).write_text("new", encoding="utf-8")
    attic.mkdir()
    before = regenerate.outputs(desk)
    rename, steps = Path.rename, iter(range(99))

    def stumble(path: Path, target: Path) -> Path:
        if next(steps) == failing:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    with pytest.raises(KeyboardInterrupt):
        regenerate.swap(built, desk, attic)
    assert regenerate.outputs(desk) == before


def test_a_swap_replaces_everything_and_drops_what_is_no_longer_made(tmp_path: Path, desk: Path) -> None:
    built, attic = tmp_path / "built", tmp_path / "attic"
    for name in ("openapi", "generated"):
        shutil.copytree(desk / name, built / name)
    (built / "generated" / "modica_sms_v2" / "types.py").unlink()
    after = regenerate.outputs(built)
    attic.mkdir()
    regenerate.swap(built, desk, attic)
    assert regenerate.outputs(desk) == after
    assert regenerate.outputs(attic)


def test_the_lock_knows_every_input_and_output_and_the_pinned_tools() -> None:
    lock = json.loads((ROOT / "openapi" / "lock.json").read_text(encoding="utf-8"))
    assert sorted(lock) == ["generated", "inputs", "products", "tools"]
    assert sorted(lock["inputs"]) == [
        "overlays/gateway-v1.overlay.yaml",
        "overlays/sms-v2.overlay.yaml",
        "published/gateway-v1.swagger.yaml",
        "published/sms-v2.openapi.yaml",
    ]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for tool, version in lock["tools"].items():
        assert f'"{tool}=={version}"' in pyproject


def test_every_generated_file_says_where_it_comes_from_and_no_package_is_called_generated() -> None:
    for name, product in (("modica_gateway_v1", "gateway-v1"), ("modica_sms_v2", "sms-v2")):
        package = ROOT / "generated" / name
        assert (package / "py.typed").is_file()
        for path in package.rglob("*.py"):
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            assert first == f"# Generated from openapi/{product}.openapi.yaml: do not edit, run `make regenerate`."
    assert sorted(path.name for path in (ROOT / "generated").iterdir()) == ["modica_gateway_v1", "modica_sms_v2"]
