"""Carry a vendor's document over to OpenAPI 3.0: from Swagger 2.0, OpenAPI 3.0 or OpenAPI 3.1. Pure.

What is not known to mean the same afterwards, to us and to the generator, is refused: SpecError, with every location.
Each kind of object has a table: the keywords that are understood, and how the value of each is carried over.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from .apis import canonical_address
from .document import METHODS, UNKNOWN, Document, SpecError, at, collecting, known, raise_all, version_of

_Convert = Callable[[Any, str], Any]
_Fields = Mapping[str, _Convert]
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


def _keep(node: Any, where: str) -> Any:  # noqa: ARG001 - every _Convert is told where it is
    return node


def _object(node: Any, where: str, fields: _Fields) -> Document:
    """Carry over each value of an object as its keyword says; extensions are kept, other keywords are refused."""
    if not isinstance(node, dict):
        known(node, where)
    result: Document = {}
    errors: list[SpecError] = []
    for key, value in node.items():
        if key in fields:
            with collecting(errors):
                result[key] = fields[key](value, at(where, key))
        elif key.startswith("x-"):
            result[key] = value
        else:
            errors.append(SpecError(at(where, key), UNKNOWN))
    raise_all(errors)
    return result


def _each(convert: _Convert) -> _Convert:
    """Carry over every value of an object whose keys are names, or every item of a list."""

    def each(node: Any, where: str) -> Any:
        errors: list[SpecError] = []
        result: Any = {} if isinstance(node, dict) else []
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            with collecting(errors):
                converted = convert(value, at(where, key))
                result.append(converted) if isinstance(result, list) else result.update({key: converted})
        raise_all(errors)
        return result

    return each


def _kept(*keys: str) -> dict[str, _Convert]:
    return dict.fromkeys(keys, _keep)


def _without(node: Document, *keys: str) -> Document:
    return {key: value for key, value in node.items() if key not in keys}


def _reference(node: Document, where: str, prefix: str, moved: str) -> Document:
    reference = str(node["$ref"])
    if len(node) > 1:
        raise SpecError(where, "says more than its $ref, which every reader would ignore: leave one of them out")
    if not reference.startswith(prefix):
        raise SpecError(at(where, "$ref"), f"{reference!r} does not lead to {prefix}... in this document")
    return {"$ref": moved + reference.removeprefix(prefix)}


def _or_reference(kind: str, convert: _Convert) -> _Convert:
    """An object of OpenAPI 3, or a reference to a component of its kind."""
    prefix = f"#/components/{kind}/"

    def referring(node: Any, where: str) -> Any:
        refers = isinstance(node, dict) and "$ref" in node
        return _reference(node, where, prefix, prefix) if refers else convert(node, where)

    return referring


def _not_forms(media_types: list[str], where: str) -> None:
    for media_type in media_types:
        if media_type.partition(";")[0].strip().lower() in _FORMS:
            raise SpecError(where, f"a request body in {media_type!r} (formData) cannot be carried over")


def _whole(address: str, where: str) -> None:
    try:
        canonical_address(address)
    except ValueError as error:
        raise SpecError(where, f"{address!r} is not a whole address") from error


# Schemas -----------------------------------------------------------------------------------------------------------

# What all three formats say of a value beside its type and format, in the same words.
_CONSTRAINTS = _kept(
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "enum", "default",
)  # fmt: skip


def _type(node: Any, where: str) -> Any:
    if node not in _TYPES:
        raise SpecError(where, f"type {node!r} cannot be carried over")
    return node


def _nullable(node: Document, where: str) -> Document:
    """x-nullable is how Swagger 2.0, which has no nullable, says that null is possible."""
    if "x-nullable" not in node:
        return node
    if not isinstance(node["x-nullable"], bool):
        raise SpecError(at(where, "x-nullable"), f"must be true or false, and it is {node['x-nullable']!r}")
    return {**_without(node, "x-nullable"), **({"nullable": True} if node["x-nullable"] else {})}


def _schema_fields(schema: _Convert) -> dict[str, _Convert]:
    return {
        **_CONSTRAINTS,
        **_kept("title", "description", "format", "required", "maxProperties", "minProperties", "readOnly"),
        **_kept("example", "externalDocs"),
        "type": _type,
        "properties": _each(schema),
        "additionalProperties": lambda node, where: node if isinstance(node, bool) else schema(node, where),
        "items": schema,
        "allOf": _each(schema),
    }


def _swagger_schema(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        return _reference(node, where, "#/definitions/", "#/components/schemas/")
    return _nullable(_object(node, where, _SWAGGER_SCHEMA), where)


def _schema(node: Any, where: str) -> Document:
    if isinstance(node, dict):
        node = _lowered(node, where)
        if "$ref" in node:
            return _reference(node, where, "#/components/schemas/", "#/components/schemas/")
    return _nullable(_object(node, where, _SCHEMA), where)


_SWAGGER_SCHEMA = _schema_fields(_swagger_schema)
_SCHEMA = {
    **_schema_fields(_schema),
    **_kept("writeOnly", "deprecated", "nullable"),
    "oneOf": _each(_schema),
    "anyOf": _each(_schema),
}


# Swagger 2.0 -------------------------------------------------------------------------------------------------------


def _swagger(document: Document, where: str) -> Document:
    if "host" not in document or not document.get("schemes"):
        raise SpecError(where, "host and schemes are needed: without them there is no server address")
    moved = ("host", "basePath", "schemes", "consumes", "produces", "paths", "definitions", "securityDefinitions")
    converted = _object(
        document,
        where,
        {
            **_kept("swagger", "info", "security", "tags", "externalDocs", *moved),
            "paths": _each(lambda item, here: _swagger_path(item, document, here)),
            "definitions": _each(_swagger_schema),
            "securityDefinitions": _each(_swagger_security),
        },
    )
    address = document["host"] + document.get("basePath", "")
    _whole(f"{document['schemes'][0]}://{document['host']}", at(where, "host"))
    return {
        "openapi": "3.0.3",
        "info": document["info"],
        "servers": [{"url": f"{scheme}://{address}"} for scheme in document["schemes"]],
        **_without(converted, "swagger", "info", *moved),
        "paths": converted.get("paths", {}),
        "components": {
            "schemas": converted.get("definitions", {}),
            "securitySchemes": converted.get("securityDefinitions", {}),
        },
    }


def _swagger_path(node: Any, root: Document, where: str) -> Document:
    def operation(value: Any, here: str) -> Document:
        return _swagger_operation(value, root, here)

    return _object(node, where, {"parameters": _each(_swagger_parameter), **dict.fromkeys(METHODS, operation)})


def _swagger_operation(node: Any, root: Document, where: str) -> Document:
    consumes = node.get("consumes", root.get("consumes", []))
    produces = node.get("produces", root.get("produces", []))

    def parameter(value: Any, here: str) -> Document:
        return _swagger_body(value, consumes, here) if value.get("in") == "body" else _swagger_parameter(value, here)

    fields = {
        **_kept("tags", "summary", "description", "externalDocs", "operationId", "deprecated", "security"),
        **_kept("consumes", "produces"),
        "parameters": _each(parameter),
        "responses": _each(lambda value, here: _swagger_response(value, produces, here)),
    }
    result = _without(_object(node, where, fields), "consumes", "produces")
    responses = result.pop("responses")
    for value in result.pop("parameters", []):
        if "content" in value:
            result["requestBody"] = value
        else:
            result.setdefault("parameters", []).append(value)
    return {**result, "responses": responses}


def _swagger_body(node: Document, consumes: list[str], where: str) -> Document:
    _not_forms(consumes, where)
    schema = _swagger_content(consumes)
    converted = _object(node, where, {**_kept("name", "in", "description", "required"), "schema": schema})
    return {**_without(converted, "name", "in", "schema"), "content": converted["schema"]}


def _swagger_content(media_types: list[str]) -> _Convert:
    def content(node: Any, where: str) -> Document:
        if not media_types:
            raise SpecError(where, "has no media type: consumes or produces is missing, here and at the top")
        return {media_type: {"schema": _swagger_schema(node, where)} for media_type in media_types}

    return content


def _swagger_items(node: Any, where: str) -> Document:
    return _nullable(_object(node, where, _SWAGGER_VALUE), where)


def _simple_type(node: Any, where: str) -> Any:
    if node not in _TYPES or node == "object":
        raise SpecError(where, f"type {node!r} cannot be carried over")
    return node


# What a parameter, a header or their items say of a value.
_SWAGGER_VALUE: dict[str, _Convert] = {
    **_CONSTRAINTS,
    **_kept("format"),
    "type": _simple_type,
    "items": lambda node, where: _swagger_items(node, where),
}


def _swagger_value(node: Any, where: str, *keys: str) -> Document:
    """Move what `node` says of a value, beside its own `keys`, into a schema."""
    converted = _object(node, where, {**_kept(*keys), **_SWAGGER_VALUE})
    if "type" not in converted:
        raise SpecError(where, "has no type")
    schema = _nullable(
        {key: converted[key] for key in converted if key in {**_SWAGGER_VALUE, "x-nullable": None}}, where
    )
    return {**_without(converted, *_SWAGGER_VALUE, "x-nullable"), "schema": schema}


def _swagger_parameter(node: Document, where: str) -> Document:
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in', '$ref')!r} cannot be carried over")
    result = _swagger_value(node, where, "name", "in", "description", "required", "collectionFormat")
    style = result.pop("collectionFormat", "csv")
    if node["type"] == "array":
        if style not in ("csv", "multi"):
            raise SpecError(at(where, "collectionFormat"), f"{style!r} cannot be carried over")
        result["explode"] = style == "multi"
    return result


def _swagger_response(node: Any, produces: list[str], where: str) -> Document:
    fields: _Fields = {
        **_kept("description", "examples"),
        "headers": _each(lambda value, here: _swagger_value(value, here, "description")),
        "schema": _swagger_content(produces),
    }
    converted = _object(node, where, fields)
    result = _without(converted, "schema", "examples")
    if "schema" in converted:
        result["content"] = converted["schema"]
    for media_type, example in converted.get("examples", {}).items():
        if media_type not in result.get("content", {}):
            raise SpecError(at(where, "examples", media_type), "an example of a media type that is not produced")
        result["content"][media_type]["example"] = example
    return result


def _swagger_security(node: Any, where: str) -> Document:
    if node.get("type") not in ("basic", "apiKey"):
        raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")
    result = _object(node, where, _kept("type", "description", "name", "in"))
    return {**result, "type": "http", "scheme": "basic"} if node["type"] == "basic" else result


# OpenAPI 3.0, and 3.1 lowered to it --------------------------------------------------------------------------------


def _openapi(document: Document, where: str) -> Document:
    if not document.get("servers"):
        raise SpecError(where, "servers are needed: without them there is no server address")
    result = _object(document, where, _DOCUMENT)
    if str(document["openapi"]).startswith("3.1."):
        result.update(openapi="3.0.3", info=_without(document["info"], "summary"))
    return result


def _server(node: Any, where: str) -> Document:
    result = _object(node, where, _kept("url", "description"))
    _whole(str(node["url"]), at(where, "url"))
    return result


def _operation(node: Any, where: str) -> Document:
    return _object(node, where, _OPERATION)


def _path(node: Any, where: str) -> Document:
    return _object(node, where, _PATH)


def _parameter(node: Any, where: str) -> Document:
    result = _object(node, where, _PARAMETER)
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in')!r} cannot be carried over")
    style = "form" if node["in"] == "query" else "simple"
    if node.get("style", style) != style:
        raise SpecError(at(where, "style"), f"{node['style']!r} cannot be carried over")
    return _described(result, where)


def _described(node: Document, where: str) -> Document:
    if "schema" not in node:
        raise SpecError(where, "has no schema")
    return node


def _content(node: Any, where: str) -> Document:
    return _object(node, where, {**_kept("example", "examples"), "schema": _schema})


def _body(node: Any, where: str) -> Document:
    _not_forms(list(node["content"]), at(where, "content"))
    return _object(node, where, {**_kept("description", "required"), "content": _each(_content)})


def _header(node: Any, where: str) -> Document:
    fields = {**_kept("description", "required", "deprecated", "example", "examples"), "schema": _schema}
    return _described(_object(node, where, fields), where)


def _response(node: Any, where: str) -> Document:
    headers = _each(_or_reference("headers", _header))
    return _object(node, where, {**_kept("description"), "headers": headers, "content": _each(_content)})


def _security(node: Any, where: str) -> Document:
    if node.get("type") not in ("apiKey", "http") or node.get("in") == "cookie":
        raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")
    return _object(
        node, where, _kept("type", "description", *(("name", "in") if node["type"] == "apiKey" else ("scheme",)))
    )


_PARAMETER = {
    **_kept("name", "in", "description", "required", "deprecated", "style", "explode", "example", "examples"),
    "schema": _schema,
}
_OPERATION = {
    **_kept("tags", "summary", "description", "externalDocs", "operationId", "deprecated", "security"),
    "parameters": _each(_or_reference("parameters", _parameter)),
    "requestBody": _or_reference("requestBodies", _body),
    "responses": _each(_or_reference("responses", _response)),
    "callbacks": _each(_each(_path)),
}
_PATH = {
    **_kept("summary", "description"),
    "parameters": _OPERATION["parameters"],
    **dict.fromkeys(METHODS, _operation),
}
_COMPONENTS = {
    "schemas": _each(_schema),
    "responses": _each(_or_reference("responses", _response)),
    "parameters": _each(_or_reference("parameters", _parameter)),
    "requestBodies": _each(_or_reference("requestBodies", _body)),
    "headers": _each(_or_reference("headers", _header)),
    "securitySchemes": _each(_security),
}
_DOCUMENT = {
    **_kept("openapi", "info", "security", "tags", "externalDocs"),
    "servers": _each(_server),
    "paths": _each(_path),
    "components": lambda node, where: _object(node, where, _COMPONENTS),
}


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
    for key in ("minimum", "maximum"):
        _lower_exclusive(result, key)
    _lower_alternatives(result, where)
    if isinstance(node.get("type"), list):
        kinds = [kind for kind in node["type"] if kind != "null"]
        if len(kinds) != 1:
            raise SpecError(at(where, "type"), f"type {node['type']!r} cannot be carried over: use oneOf")
        result["type"] = kinds[0]
        if len(kinds) < len(node["type"]):
            result["nullable"] = True
    return result


def _lower_exclusive(node: Document, key: str) -> None:
    """A limit that is itself excluded: a number of its own in 3.1, a mark on the limit in 3.0."""
    exclusive = "exclusive" + key.capitalize()
    limit = node.get(exclusive)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)):
        return
    del node[exclusive]
    # Both may be there in 3.1; the tighter one counts.
    if key not in node or (limit >= node[key] if key == "minimum" else limit <= node[key]):
        node.update({key: limit, exclusive: True})


def _lower_alternatives(node: Document, where: str) -> None:
    for key in filter(node.keys().__contains__, ("oneOf", "anyOf")):
        kept = [part for part in node[key] if part != {"type": "null"}]
        if len(kept) < len(node[key]):
            node.update({key: kept, "nullable": True})
            if len(kept) == 1:
                del node[key]
                # 3.0 ignores what stands beside a $ref; in an allOf it counts.
                node.update({"allOf": kept} if "$ref" in kept[0] else _lowered(kept[0], where))
