"""Carry a vendor's document over to OpenAPI 3.0: from Swagger 2.0, OpenAPI 3.0 or OpenAPI 3.1. Pure.

What is not known to mean the same afterwards, to us and to the generator, is refused: SpecError, with its place.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from .document import METHODS, Document, SpecError, at, known, version_of

# What all three say of a value beside its type and format, in the same words.
_CONSTRAINTS = (
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "enum", "default",
)  # fmt: skip
_VALUE = ("type", "format", "items", *_CONSTRAINTS)
_SCHEMA = (
    "title", "description", "required", "properties", "additionalProperties", "allOf", "maxProperties",
    "minProperties", "readOnly", "example", "externalDocs", *_VALUE,
)  # fmt: skip
_SCHEMA_3 = (*_SCHEMA, "oneOf", "anyOf", "writeOnly", "deprecated", "nullable")
_TYPES = ("object", "string", "number", "integer", "boolean", "array")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def to_openapi3(document: Document, where: str) -> Document:
    """Carry a document over to OpenAPI 3.0; one that is OpenAPI 3.0 already is held to the same rules and copied.

    Args:
        document: The document; valid, and left as it is.
        where: Its root, for errors: "gateway-v1.swagger.yaml#".

    Raises:
        SpecError: something in it cannot be carried over.
    """
    carry_over = _swagger if version_of(document, where) == "2.0" else _openapi
    return copy.deepcopy(carry_over(document, where))


def _without(node: Document, *keys: str) -> Document:
    return {key: value for key, value in node.items() if key not in keys}


def _each(node: Document, key: str, convert: Callable[[Any, str], Any], where: str) -> Document:
    """Convert every value of the object at `key`."""
    here = at(where, key)
    return {name: convert(value, at(here, name)) for name, value in node.get(key, {}).items()}


def _list(node: Document, key: str, convert: Callable[[Any, str], Any], where: str) -> list[Any]:
    """Convert every item of the list at `key`."""
    return [convert(item, at(where, key, index)) for index, item in enumerate(node[key])]


def _schema(node: Any, where: str, keys: tuple[str, ...], references: str = "#/components/schemas/") -> Document:
    """Carry over a schema that may say `keys` and refer to what begins with `references`."""
    if isinstance(node, dict) and keys is _SCHEMA_3:
        node = _lowered(node, where)
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, references, "#/components/schemas/")
    known(node, where, *keys)
    if node.get("type", "object") not in _TYPES:
        raise SpecError(at(where, "type"), f"type {node['type']!r} cannot be carried over")

    def inner(value: Any, here: str) -> Document:
        return _schema(value, here, keys, references)

    result = dict(node)
    if "properties" in node:
        result["properties"] = _each(node, "properties", inner, where)
    for key in {"allOf", "oneOf", "anyOf"} & node.keys():
        result[key] = _list(node, key, inner, where)
    for key in {"items", "additionalProperties"} & node.keys():
        if key == "items" or not isinstance(node[key], bool):
            result[key] = inner(node[key], at(where, key))
    return result


def _reference(node: Document, where: str, prefix: str, moved: str) -> Document:
    reference = str(node["$ref"])
    if len(node) > 1:
        raise SpecError(where, "says more than its $ref, which every reader would ignore: leave one of them out")
    if not reference.startswith(prefix):
        raise SpecError(at(where, "$ref"), f"{reference!r} does not lead to {prefix}... in this document")
    return {"$ref": moved + reference.removeprefix(prefix)}


def _media_types(media_types: list[str], where: str) -> None:
    for media_type in media_types:
        if media_type.partition(";")[0].strip().lower() in _FORMS:
            raise SpecError(where, f"a request body in {media_type!r} (formData) cannot be carried over")


# Swagger 2.0 -------------------------------------------------------------------------------------------------------


def _swagger(document: Document, where: str) -> Document:
    moved = ("host", "basePath", "schemes", "consumes", "produces", "paths", "definitions", "securityDefinitions")
    known(document, where, "swagger", "info", "security", "tags", "externalDocs", *moved)
    if "host" not in document or not document.get("schemes"):
        raise SpecError(where, "host and schemes are needed: without them there is no server address")
    address = document["host"] + document.get("basePath", "")
    return {
        "openapi": "3.0.3",
        "info": document["info"],
        "servers": [{"url": f"{scheme}://{address}"} for scheme in document["schemes"]],
        **_without(document, "swagger", "info", *moved),
        "paths": _each(document, "paths", lambda item, here: _swagger_path(item, document, here), where),
        "components": {
            "schemas": _each(document, "definitions", _swagger_schema, where),
            "securitySchemes": _each(document, "securityDefinitions", _swagger_security, where),
        },
    }


def _swagger_schema(node: Any, where: str) -> Document:
    return _schema(node, where, _SCHEMA, "#/definitions/")


def _swagger_path(node: Any, root: Document, where: str) -> Document:
    known(node, where, "parameters", *METHODS)
    result = _without(node, "parameters", *METHODS)
    if "parameters" in node:
        result["parameters"] = _list(node, "parameters", _swagger_parameter, where)
    return {
        **result,
        **{key: _swagger_operation(node[key], root, at(where, key)) for key in node if key in METHODS},
    }


def _swagger_operation(node: Any, root: Document, where: str) -> Document:
    moved = ("consumes", "produces", "parameters", "responses")
    known(
        node, where, "tags", "summary", "description", "externalDocs", "operationId", "deprecated", "security", *moved
    )
    consumes = node.get("consumes", root.get("consumes", []))
    produces = node.get("produces", root.get("produces", []))
    result = _without(node, *moved)
    for index, parameter in enumerate(node.get("parameters", [])):
        here = at(where, "parameters", index)
        if parameter.get("in") == "body":
            known(parameter, here, "name", "in", "description", "required", "schema")
            _media_types(consumes, here)
            result["requestBody"] = {
                **_without(parameter, "name", "in", "schema"),
                "content": _swagger_content(parameter["schema"], consumes, at(here, "schema")),
            }
        else:
            result.setdefault("parameters", []).append(_swagger_parameter(parameter, here))
    result["responses"] = _each(node, "responses", lambda value, here: _swagger_response(value, produces, here), where)
    return result


def _swagger_content(schema: Any, media_types: list[str], where: str) -> Document:
    if not media_types:
        raise SpecError(where, "has no media type: consumes or produces is missing, here and at the top")
    return {media_type: {"schema": _swagger_schema(schema, where)} for media_type in media_types}


def _swagger_parameter(node: Document, where: str) -> Document:
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in', '$ref')!r} cannot be carried over")
    known(node, where, "name", "in", "description", "required", "collectionFormat", *_VALUE)
    result = _without(node, "collectionFormat", *_VALUE)
    if node.get("type") == "array":
        style = node.get("collectionFormat", "csv")
        if style not in ("csv", "multi"):
            raise SpecError(at(where, "collectionFormat"), f"{style!r} cannot be carried over")
        result["explode"] = style == "multi"
    return {**result, "schema": _swagger_value(node, where)}


def _swagger_value(node: Document, where: str) -> Document:
    """Carry over what a parameter, a header or their items says of its value."""
    if node.get("type") not in ("string", "number", "integer", "boolean", "array"):
        raise SpecError(where, f"type {node.get('type')!r} cannot be carried over")
    result = {key: node[key] for key in node if key in _VALUE}
    if "items" in node:
        known(node["items"], at(where, "items"), *_VALUE)
        result["items"] = _swagger_value(node["items"], at(where, "items"))
    return result


def _swagger_response(node: Any, produces: list[str], where: str) -> Document:
    known(node, where, "description", "schema", "headers", "examples")
    result = _without(node, "schema", "headers", "examples")
    if "headers" in node:
        result["headers"] = _each(node, "headers", _swagger_header, where)
    if "schema" in node:
        result["content"] = _swagger_content(node["schema"], produces, at(where, "schema"))
    for media_type, example in node.get("examples", {}).items():
        if media_type not in result.get("content", {}):
            raise SpecError(at(where, "examples", media_type), "an example of a media type that is not produced")
        result["content"][media_type]["example"] = example
    return result


def _swagger_header(node: Any, where: str) -> Document:
    known(node, where, "description", *_VALUE)
    return {**_without(node, *_VALUE), "schema": _swagger_value(node, where)}


def _swagger_security(node: Any, where: str) -> Document:
    if node.get("type") not in ("basic", "apiKey"):
        raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")
    known(node, where, "type", "description", "name", "in")
    return {**node, "type": "http", "scheme": "basic"} if node["type"] == "basic" else dict(node)


# OpenAPI 3.0, and 3.1 lowered to it --------------------------------------------------------------------------------


def _openapi(document: Document, where: str) -> Document:
    known(document, where, "openapi", "info", "servers", "security", "tags", "externalDocs", "paths", "components")
    if not document.get("servers"):
        raise SpecError(where, "servers are needed: without them there is no server address")
    for index, server in enumerate(document["servers"]):
        known(server, at(where, "servers", index), "url", "description")
        if not re.match(r"https?://[^/]", str(server["url"])):
            raise SpecError(at(where, "servers", index, "url"), f"{server['url']!r} is not a whole address")
    kinds = {
        "schemas": _openapi_schema,
        "responses": _openapi_response,
        "parameters": _openapi_parameter,
        "requestBodies": _openapi_body,
        "headers": _openapi_header,
        "securitySchemes": _openapi_security,
    }
    result = {**document, "paths": _each(document, "paths", _openapi_path, where)}
    if "components" in document:
        components, here = document["components"], at(where, "components")
        known(components, here, *kinds)
        result["components"] = {
            kind: _each(components, kind, kinds[kind], here) if kind in kinds else value
            for kind, value in components.items()
        }
    if str(document["openapi"]).startswith("3.1."):
        result.update(openapi="3.0.3", info=_without(document["info"], "summary"))
    return result


def _openapi_path(node: Any, where: str) -> Document:
    known(node, where, "summary", "description", "parameters", *METHODS)
    result = dict(node)
    if "parameters" in node:
        result["parameters"] = _list(node, "parameters", _openapi_parameter, where)
    return {**result, **{key: _openapi_operation(node[key], at(where, key)) for key in METHODS if key in node}}


def _openapi_operation(node: Any, where: str) -> Document:
    known(
        node, where, "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody",
        "responses", "callbacks", "deprecated", "security",
    )  # fmt: skip
    result = dict(node)
    if "parameters" in node:
        result["parameters"] = _list(node, "parameters", _openapi_parameter, where)
    if "requestBody" in node:
        result["requestBody"] = _openapi_body(node["requestBody"], at(where, "requestBody"))
    result["responses"] = _each(node, "responses", _openapi_response, where)
    if "callbacks" in node:
        result["callbacks"] = _each(node, "callbacks", _openapi_callback, where)
    return result


def _openapi_callback(node: Any, where: str) -> Document:
    return {address: _openapi_path(item, at(where, address)) for address, item in node.items()}


def _openapi_parameter(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, "#/components/parameters/", "#/components/parameters/")
    known(
        node, where, "name", "in", "description", "required", "deprecated", "style", "explode", "schema", "example",
        "examples",
    )  # fmt: skip
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in')!r} cannot be carried over")
    style = "form" if node["in"] == "query" else "simple"
    if node.get("style", style) != style:
        raise SpecError(at(where, "style"), f"{node['style']!r} cannot be carried over")
    return {**node, "schema": _openapi_schema(node.get("schema"), at(where, "schema"))}


def _openapi_body(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, "#/components/requestBodies/", "#/components/requestBodies/")
    known(node, where, "description", "required", "content")
    _media_types(list(node["content"]), at(where, "content"))
    return {**node, "content": _each(node, "content", _openapi_content, where)}


def _openapi_content(node: Any, where: str) -> Document:
    known(node, where, "schema", "example", "examples")
    return {**node, "schema": _openapi_schema(node["schema"], at(where, "schema"))} if "schema" in node else dict(node)


def _openapi_response(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, "#/components/responses/", "#/components/responses/")
    known(node, where, "description", "headers", "content")
    result = dict(node)
    if "headers" in node:
        result["headers"] = _each(node, "headers", _openapi_header, where)
    if "content" in node:
        result["content"] = _each(node, "content", _openapi_content, where)
    return result


def _openapi_header(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, "#/components/headers/", "#/components/headers/")
    known(node, where, "description", "required", "deprecated", "schema", "example", "examples")
    return {**node, "schema": _openapi_schema(node.get("schema"), at(where, "schema"))}


def _openapi_security(node: Any, where: str) -> Document:
    if node.get("type") not in ("apiKey", "http") or node.get("in") == "cookie":
        raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")
    known(node, where, "type", "description", *(("name", "in") if node["type"] == "apiKey" else ("scheme",)))
    return dict(node)


def _openapi_schema(node: Any, where: str) -> Document:
    return _schema(node, where, _SCHEMA_3)


def _lowered(node: Document, where: str) -> Document:
    """Say what 3.1 says of a value as 3.0 does; a schema of 3.0 stays as it is.

    Which of the two ways a document may use is not decided here: it was validated against its own version before.
    """
    if "$ref" in node:
        return _without(node, "description", "summary")  # allowed beside it in 3.1, and without effect on values
    result = _without(node, "const", "examples")
    if "const" in node:
        result["enum"] = [node["const"]]
    if node.get("examples"):
        result["example"] = node["examples"][0]
    _lower_limits(result, where)
    _lower_alternatives(result, where)
    if isinstance(node.get("type"), list):
        kinds = [kind for kind in node["type"] if kind != "null"]
        if len(kinds) != 1:
            raise SpecError(at(where, "type"), f"type {node['type']!r} cannot be carried over: use oneOf")
        result["type"] = kinds[0]
        if len(kinds) < len(node["type"]):
            result["nullable"] = True
    return result


def _lower_limits(node: Document, where: str) -> None:
    for key in ("minimum", "maximum"):
        exclusive = "exclusive" + key.capitalize()
        if type(node.get(exclusive)) in (int, float):
            if key in node:
                raise SpecError(at(where, exclusive), f"beside {key}: leave out the weaker of the two")
            node.update({key: node[exclusive], exclusive: True})


def _lower_alternatives(node: Document, where: str) -> None:
    for key in filter(node.keys().__contains__, ("oneOf", "anyOf")):
        kept = [part for part in node[key] if part != {"type": "null"}]
        if len(kept) < len(node[key]):
            node.update({key: kept, "nullable": True})
            if len(kept) == 1:
                del node[key]
                # 3.0 ignores what stands beside a $ref; in an allOf it counts.
                node.update({"allOf": kept} if "$ref" in kept[0] else _lowered(kept[0], where))
