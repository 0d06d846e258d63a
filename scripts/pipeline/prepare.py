"""Prepare a corrected document for the generator: names for all, no defaults in requests, nothing idle. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .document import METHODS, Document, at, operation_name, reached, resolve


def prepare(document: Document) -> list[str]:
    """Complete an OpenAPI 3.0 document in place; returns what was named by rule, one line each.

    A default in a request would be sent with every one, although it is the gateway's to apply: it is taken out, unless
    the field is required.
    """
    derived = [*_name_operations(document), *_name_objects(document)]
    for _, operation in _operations(document):
        for parameter in operation.get("parameters", []):
            parameter = resolve(parameter["$ref"], document) if "$ref" in parameter else parameter
            if not parameter.get("required"):
                parameter["schema"].pop("default", None)
            # The generator reads what a parameter is from its schema.
            if "description" in parameter and "$ref" not in parameter["schema"]:
                parameter["schema"].setdefault("description", parameter["description"])
        seen: set[int] = set()
        for media in _followed(operation.get("requestBody", {}), document).get("content", {}).values():
            _drop_defaults(media.get("schema", {}), document, seen)
    return derived


def without_idle(document: Document) -> Document:
    """A document without the components that no operation uses, of which the generator would make classes."""
    used = reached(document)
    components = {
        kind: {name: value for name, value in named.items() if at("#/components", kind, name) in used}
        for kind, named in document["components"].items()
        if kind != "securitySchemes"
    }
    return {**document, "components": {**document["components"], **components}}


def _operations(document: Document) -> Iterator[tuple[tuple[str, str], Document]]:
    for path, item in document["paths"].items():
        for method in filter(item.__contains__, METHODS):
            yield (path, method), item[method]


def _followed(node: Document, document: Document) -> Document:
    while "$ref" in node:
        node = resolve(node["$ref"], document)
    return node


def _drop_defaults(schema: Document, document: Document, seen: set[int]) -> None:
    schema = _followed(schema, document)
    if id(schema) in seen:
        return
    seen.add(id(schema))
    required = set(_required(schema, document))
    for part in _parts(schema, document):
        for name, value in part.get("properties", {}).items():
            if name not in required:
                _followed(value, document).pop("default", None)
            _drop_defaults(value, document, seen)
        for key in ("items", "additionalProperties"):
            if isinstance(part.get(key), dict):
                _drop_defaults(part[key], document, seen)


def _parts(schema: Document, document: Document) -> Iterator[Document]:
    """A schema and those it is composed of."""
    waiting, seen = [schema], set()
    while waiting:
        part = _followed(waiting.pop(), document)
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += [inner for key in ("allOf", "oneOf", "anyOf") for inner in part.get(key, [])]


def _required(schema: Document, document: Document) -> Iterator[str]:
    for part in _parts(schema, document):
        yield from part.get("required", [])


# Names -------------------------------------------------------------------------------------------------------------


def _name_operations(document: Document) -> Iterator[str]:
    taken = {operation.get("operationId") for _, operation in _operations(document)}
    for (path, method), operation in _operations(document):
        name = operation_name(method, path)
        if not operation.get("operationId"):
            operation["operationId"] = _free("_".join(re.findall(r"\w+", f"{method} {path}", re.ASCII)).lower(), taken)
            yield f"{name} is called {operation['operationId']!r}: give it an operationId"
        tags = operation.get("tags") or []
        if len(tags) != 1:
            segments = [part for part in path.split("/") if part and "{" not in part]
            operation["tags"] = (tags or segments or ["default"])[:1]
            yield f"{name} goes to api/{operation['tags'][0]}: give it one tag"


def _free(name: str, taken: set[Any]) -> str:
    """The name, or with a number behind it if it is taken; taken from now on."""
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    taken.add(free)
    return free


def _name_objects(document: Document) -> Iterator[str]:
    """Give every inline object a title: the generator names classes by them."""
    taken = set(document.get("components", {}).get("schemas", {}))
    for (path, method), operation in _operations(document):
        here = at("#/paths", path, method)
        for key in ("parameters", "requestBody", "responses"):
            yield from _name_inside(operation.get(key), at(here, key), f"{operation['operationId']} {key}", taken)
    for kind, components in document.get("components", {}).items():
        for name, component in components.items() if isinstance(components, dict) else ():
            owned = kind == "schemas"
            yield from _name_inside(component, at("#/components", kind, name), name, taken, named=owned)


def _name_inside(node: Any, where: str, owner: str, taken: set[Any], *, named: bool = False) -> Iterator[str]:
    """Name the objects in `node` after what they are in; `named`: it has its name already, or is part of an allOf."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            inside = owner if named else f"{owner} {index}"
            yield from _name_inside(value, at(where, index), inside, taken, named=named)
    elif isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            if not (named or node.get("title")):
                words = re.findall(r"[^\W_]+", owner, re.ASCII)
                node["title"] = _free("".join(word[:1].upper() + word[1:] for word in words), taken)
                yield f"{where} is called {node['title']!r}: give it a title"
            for name, value in node["properties"].items():
                inside = f"{node.get('title') or owner} {name}"
                yield from _name_inside(value, at(where, "properties", name), inside, taken)
        for key, value in node.items():
            if key in ("content", "schema", "items", "allOf", "application/json"):
                yield from _name_inside(value, at(where, key), owner, taken, named=key == "allOf")
            elif key not in ("properties", "example", "examples", "default", "enum", "required", "callbacks"):
                yield from _name_inside(value, at(where, key), f"{owner} {key}", taken)
