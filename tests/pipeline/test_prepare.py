"""What the generator is given beyond the overlay: names by rule, and requests without defaults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.prepare import prepare, without_idle

from .documents import swagger

TEXT = {"type": "string", "default": "x"}
BARE = {"type": "string"}


def named() -> dict[str, Any]:
    return to_openapi3(swagger(), "#")


def put(document: Any, keys: tuple[str | int, ...], value: Any) -> None:
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


POST = ("paths", "/things/{id}", "post")


def test_a_document_with_all_its_names_is_left_as_it_is() -> None:
    document = named()
    document["components"]["schemas"]["Base"]["properties"]["title"] = {"type": "string"}
    document["components"]["schemas"]["Base"]["example"] = {"properties": {}}
    before = to_openapi3(document, "#")
    assert prepare(document) == []
    # An optional header with a default is the one thing it corrects here.
    before["paths"]["/things/{id}"]["post"]["parameters"][2]["schema"].pop("default")
    assert document == before


@pytest.mark.parametrize(
    ("path", "method", "operation", "name", "tag"),
    [
        ("/status", "get", {}, "get_status", "status"),
        ("/things/{id}/parts", "delete", {}, "delete_things_id_parts", "things"),
        ("/{id}", "get", {}, "get_id", "default"),
        ("/status", "put", {"operationId": "set", "tags": ["a", "b"]}, "set", "a"),
        ("/make/thing", "get", {"operationId": "", "tags": []}, "get_make_thing", "make"),
    ],
)
def test_an_operation_without_a_name_or_with_two_homes_gets_them_by_rule(
    path: str, method: str, operation: dict[str, Any], name: str, tag: str
) -> None:
    document = named()
    document["paths"][path] = {method: {**operation, "responses": {"204": {"description": "Done"}}}}
    told = prepare(document)
    assert (document["paths"][path][method]["operationId"], document["paths"][path][method]["tags"]) == (name, [tag])
    assert told
    assert all(line.startswith(f"{method.upper()} {path} ") for line in told)


def test_names_by_rule_are_not_given_twice() -> None:
    document = named()
    document["paths"]["/make"] = {"get": {"responses": {}}}
    document["paths"]["/make/"] = {"get": {"responses": {}}}
    document["paths"]["/things/{id}"]["post"]["operationId"] = "get_make"
    prepare(document)
    assert [document["paths"][path]["get"]["operationId"] for path in ("/make", "/make/")] == ["get_make2", "get_make3"]


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ((*POST, "responses", "201", "content", "text/plain", "schema", "items"), "MakeThingResponses201TextPlain"),
        (("components", "schemas", "Base", "properties", "id"), "BaseId"),
        (("components", "schemas", "Thing", "allOf", 1, "properties", "name"), "ThingName"),
        (("components", "schemas", "Thing", "additionalProperties"), "ThingAdditionalProperties"),
    ],
)
def test_an_inline_object_gets_its_title_from_what_it_is_in(keys: tuple[str | int, ...], title: str) -> None:
    document = named()
    put(document, keys, {"type": "object", "properties": {}})
    (line,) = prepare(document)
    node: Any = document
    for key in keys:
        node = node[key]
    assert node["title"] == title
    assert line.endswith(f"is called {title!r}: give it a title")


def test_an_inline_object_with_a_title_keeps_it() -> None:
    document = named()
    put(document, ("components", "schemas", "Base", "properties", "id"), {"properties": {}, "title": "Inner"})
    assert prepare(document) == []


def request(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request body, as it is after preparation."""
    document = named()
    document["components"]["schemas"]["Kind"] = dict(TEXT)
    document["paths"]["/things/{id}"]["post"]["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    prepare(document)
    return document


@pytest.mark.parametrize(
    ("schema", "left"),
    [
        ({"title": "T", "properties": {"a": TEXT}}, {"title": "T", "properties": {"a": BARE}}),
        (
            {"title": "T", "properties": {"a": TEXT, "b": TEXT}, "required": ["b"]},
            {"title": "T", "properties": {"a": BARE, "b": TEXT}, "required": ["b"]},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT, "b": TEXT}}, {"required": ["b"]}]},
            {"allOf": [{"properties": {"a": BARE, "b": TEXT}}, {"required": ["b"]}]},
        ),
        (
            {"type": "array", "items": {"title": "T", "properties": {"a": TEXT}}},
            {"type": "array", "items": {"title": "T", "properties": {"a": BARE}}},
        ),
        (
            {"title": "T", "properties": {"a": {"title": "U", "properties": {"b": TEXT}}}},
            {"title": "T", "properties": {"a": {"title": "U", "properties": {"b": BARE}}}},
        ),
    ],
)
def test_an_optional_field_of_a_request_has_no_default(schema: dict[str, Any], left: dict[str, Any]) -> None:
    document = request(json.loads(json.dumps(schema)))
    assert document["paths"]["/things/{id}"]["post"]["requestBody"]["content"]["application/json"]["schema"] == left


def test_a_default_behind_a_reference_is_taken_out_and_one_of_a_response_stays() -> None:
    document = request({"title": "T", "properties": {"kind": {"$ref": "#/components/schemas/Kind"}}})
    assert document["components"]["schemas"]["Kind"] == BARE
    document = named()
    document["components"]["schemas"]["Base"]["properties"]["kind"] = dict(TEXT)
    document["paths"]["/things/{id}"]["post"]["requestBody"] = {"content": {}}
    prepare(document)
    assert document["components"]["schemas"]["Base"]["properties"]["kind"] == TEXT


def test_what_no_operation_uses_is_not_for_the_generator_and_what_it_uses_in_turn_is() -> None:
    document = named()
    schemas = document["components"]["schemas"]
    used = set(schemas)
    schemas["Inner"] = {"type": "string"}
    schemas["Idle"] = {"type": "array", "items": {"$ref": "#/components/schemas/IdleToo"}}
    schemas["IdleToo"] = {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}}
    schemas["Base"]["properties"]["inner"] = {"$ref": "#/components/schemas/Inner"}
    before = json.dumps(document)
    found = without_idle(document)
    assert set(found["components"]["schemas"]) == {*used, "Inner"}
    assert found["components"]["securitySchemes"] == document["components"]["securitySchemes"]
    assert json.dumps(document) == before
