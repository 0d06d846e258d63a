"""Carrying documents over to OpenAPI 3.0: nothing is lost in silence."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import SpecError, at, validate

from .documents import swagger


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
        refused((*KINDS, "type"), "file", "type 'file' cannot be carried over"),
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
        (
            {"type": "integer", "exclusiveMinimum": 0, "minimum": 0},
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        ),
        ({"type": "integer", "exclusiveMinimum": 0, "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9, "maximum": 8}, {"type": "integer", "maximum": 8}),
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
        "headers": {"Location": {"schema": {"type": "string"}}},
        "responses": {"Gone": {"description": "x", "headers": {"L": {"$ref": "#/components/headers/Location"}}}},
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
