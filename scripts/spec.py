"""A vendor's document, from bytes to the OpenAPI 3.0 our client is generated from.

parse -> to_openapi3 -> apply_overlay -> validate. Pure: no files, no network. Whatever is not known to be carried over
faithfully is refused, in one way: SpecError, which names the place and the cause.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import jsonpath
import yaml
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]


class SpecError(Exception):
    """A document, or an overlay, that cannot be used as it is.

    Attributes:
        where: The place: a file with a JSON pointer, a line, or the number and target of an overlay action.
        why: The cause, and what to do about it.
    """

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = " ".join(why.split())
        super().__init__(f"{where}: {self.why}")


def at(where: str, *keys: str | int) -> str:
    """Extend the place `where` ("file#/a/b") by keys, escaped as a JSON pointer."""
    return "/".join([where, *(str(key).replace("~", "~0").replace("/", "~1") for key in keys)])


# Reading and writing -----------------------------------------------------------------------------------------------

# What a plain YAML scalar means is what it means in JSON: no dates, no sexagesimals, no yes and no.
_JSON_SCALAR = re.compile(r"null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)


class _Dumper(yaml.SafeDumper):
    """Block style, lists indented under their key, nothing shared."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's own signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True


def parse(data: bytes, name: str) -> Document:
    """Read JSON or YAML, whatever the ending of the file said; `name` is what errors call it."""
    try:
        text = data.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        else:
            document = _plain(yaml.compose(text, Loader=yaml.BaseLoader), set())
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{name}{line}", f"not YAML that is read here: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(name, f"neither JSON nor YAML: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(name, "not a document: the top level must be an object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> Document:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("an object has a key twice")
    return result


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _plain(node: yaml.Node | None, seen: set[int]) -> Any:
    """Turn a YAML node into what JSON could say, and refuse what it could not: tags, aliases, a key twice."""
    if node is None:
        return None
    if id(node) in seen or node.tag not in _PLAIN_TAGS:
        raise yaml.MarkedYAMLError(problem="an alias or a tag: write the value out", problem_mark=node.start_mark)
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        result: Document = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in result:
                raise yaml.MarkedYAMLError(problem="a key is not text, or is there twice", problem_mark=key.start_mark)
            result[key.value] = _plain(value, seen)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    if plain and node.value in ("", "~"):
        return None
    return json.loads(node.value) if plain and _JSON_SCALAR.fullmatch(node.value) else node.value


_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def dump(document: Document) -> str:
    """Write YAML in ASCII with the keys in their own order: the same bytes on every machine."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120)


# Swagger 2.0 -> OpenAPI 3.0 ----------------------------------------------------------------------------------------

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
# What Swagger 2.0 says of a value beside its type and format; the same words in OpenAPI 3.0.
_CONSTRAINTS = (
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "enum", "default",
)  # fmt: skip
_VALUE = ("type", "format", "items", *_CONSTRAINTS)


def to_openapi3(document: Document, where: str) -> Document:
    """Carry a Swagger 2.0 document over to OpenAPI 3.0.3; an OpenAPI 3.0 document is that already.

    Args:
        document: The document; valid, and left as it is.
        where: Its root, for errors: "gateway-v1.swagger.yaml#".
    """
    version = document.get("openapi", document.get("swagger"))
    if "openapi" in document and re.fullmatch(r"3\.0\.\d", str(version)):
        return copy.deepcopy(document)
    if version != "2.0":
        raise SpecError(where, f"version {version!r} cannot be read: Swagger 2.0 and OpenAPI 3.0 can")
    moved = ("host", "basePath", "schemes", "consumes", "produces", "paths", "definitions", "securityDefinitions")
    _known(document, where, "swagger", "info", "security", "tags", "externalDocs", *moved)
    if "host" not in document or not document.get("schemes"):
        raise SpecError(where, "host and schemes are needed: without them there is no server address")
    address = document["host"] + document.get("basePath", "")
    result = {
        "openapi": "3.0.3",
        "info": document["info"],
        "servers": [{"url": f"{scheme}://{address}"} for scheme in document["schemes"]],
        **_without(document, "swagger", "info", *moved),
        "paths": _each(document, "paths", lambda item, here: _path_item(item, document, here), where),
        "components": {
            "schemas": _each(document, "definitions", _schema, where),
            "securitySchemes": _each(document, "securityDefinitions", _security, where),
        },
    }
    return copy.deepcopy(result)


def _known(node: Any, where: str, *keys: str) -> None:
    """Refuse a node that says anything but `keys` and extensions: what is not understood must not get lost."""
    if not isinstance(node, dict):
        raise SpecError(where, "must be an object")
    for key in node:
        if key not in keys and not key.startswith("x-"):
            raise SpecError(at(where, key), "unknown here: teach scripts/spec.py to carry it over, or take it out")


def _without(node: Document, *keys: str) -> Document:
    return {key: value for key, value in node.items() if key not in keys}


def _each(node: Document, key: str, convert: Callable[[Any, str], Any], where: str) -> Document:
    """Convert every value of the object at `key`."""
    here = at(where, key)
    return {name: convert(value, at(here, name)) for name, value in node.get(key, {}).items()}


def _path_item(node: Any, root: Document, where: str) -> Document:
    _known(node, where, "parameters", *_METHODS)
    result = _without(node, "parameters", *_METHODS)
    if "parameters" in node:
        result["parameters"] = [
            _parameter(value, at(where, "parameters", index)) for index, value in enumerate(node["parameters"])
        ]
    return {**result, **{key: _operation(node[key], root, at(where, key)) for key in node if key in _METHODS}}


def _operation(node: Any, root: Document, where: str) -> Document:
    moved = ("consumes", "produces", "parameters", "responses")
    _known(
        node, where, "tags", "summary", "description", "externalDocs", "operationId", "deprecated", "security", *moved
    )
    consumes = node.get("consumes", root.get("consumes", []))
    produces = node.get("produces", root.get("produces", []))
    result = _without(node, *moved)
    for index, parameter in enumerate(node.get("parameters", [])):
        here = at(where, "parameters", index)
        if parameter.get("in") == "body":
            _known(parameter, here, "name", "in", "description", "required", "schema")
            result["requestBody"] = {
                **_without(parameter, "name", "in", "schema"),
                "content": _content(parameter["schema"], consumes, at(here, "schema")),
            }
        else:
            result.setdefault("parameters", []).append(_parameter(parameter, here))
    result["responses"] = _each(node, "responses", lambda value, here: _response(value, produces, here), where)
    return result


def _content(schema: Any, media_types: list[str], where: str) -> Document:
    if not media_types:
        raise SpecError(where, "has no media type: consumes or produces is missing, here and at the top")
    return {media_type: {"schema": _schema(schema, where)} for media_type in media_types}


def _parameter(node: Document, where: str) -> Document:
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in', '$ref')!r} cannot be carried over")
    _known(node, where, "name", "in", "description", "required", "collectionFormat", *_VALUE)
    result = _without(node, "collectionFormat", *_VALUE)
    if node.get("type") == "array":
        style = node.get("collectionFormat", "csv")
        if style not in ("csv", "multi"):
            raise SpecError(at(where, "collectionFormat"), f"{style!r} cannot be carried over")
        result["explode"] = style == "multi"
    return {**result, "schema": _value(node, where)}


def _value(node: Document, where: str) -> Document:
    """Carry over what a parameter, a header or their items says of its value."""
    if node.get("type") not in ("string", "number", "integer", "boolean", "array"):
        raise SpecError(where, f"type {node.get('type')!r} cannot be carried over")
    result = {key: node[key] for key in node if key in _VALUE}
    if "items" in node:
        _known(node["items"], at(where, "items"), *_VALUE)
        result["items"] = _value(node["items"], at(where, "items"))
    return result


def _response(node: Any, produces: list[str], where: str) -> Document:
    _known(node, where, "description", "schema", "headers", "examples")
    result = _without(node, "schema", "headers", "examples")
    if "headers" in node:
        result["headers"] = _each(node, "headers", _header, where)
    if "schema" in node:
        result["content"] = _content(node["schema"], produces, at(where, "schema"))
    for media_type, example in node.get("examples", {}).items():
        if media_type not in result.get("content", {}):
            raise SpecError(at(where, "examples", media_type), "an example of a media type that is not produced")
        result["content"][media_type]["example"] = example
    return result


def _header(node: Any, where: str) -> Document:
    _known(node, where, "description", *_VALUE)
    return {**_without(node, *_VALUE), "schema": _value(node, where)}


def _schema(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        reference = node["$ref"]
        if len(node) > 1:
            raise SpecError(where, "says more than its $ref, which every reader would ignore: leave one of them out")
        if not reference.startswith("#/definitions/"):
            raise SpecError(at(where, "$ref"), f"{reference!r} is not one of the definitions of this document")
        return {"$ref": reference.replace("#/definitions/", "#/components/schemas/", 1)}
    _known(
        node, where, "title", "description", "required", "properties", "additionalProperties", "allOf", "maxProperties",
        "minProperties", "readOnly", "example", "externalDocs", *_VALUE,
    )  # fmt: skip
    if node.get("type", "object") not in ("object", "string", "number", "integer", "boolean", "array"):
        raise SpecError(at(where, "type"), f"type {node['type']!r} cannot be carried over")
    result = dict(node)
    if "properties" in node:
        result["properties"] = _each(node, "properties", _schema, where)
    if "allOf" in node:
        result["allOf"] = [_schema(part, at(where, "allOf", index)) for index, part in enumerate(node["allOf"])]
    for key in ("items", "additionalProperties"):
        if key in node and not isinstance(node[key], bool):
            result[key] = _schema(node[key], at(where, key))
    return result


def _security(node: Any, where: str) -> Document:
    if node.get("type") not in ("basic", "apiKey"):
        raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")
    _known(node, where, "type", "description", "name", "in")
    return {**node, "type": "http", "scheme": "basic"} if node["type"] == "basic" else dict(node)


# Overlay -----------------------------------------------------------------------------------------------------------


def apply_overlay(document: Document, overlay: Document, name: str) -> Document:
    """Apply an OpenAPI Overlay 1.0, in which every action must match something and change something.

    Args:
        document: The OpenAPI document; left as it is.
        overlay: The overlay, parsed.
        name: What to call the overlay in errors.
    """
    if overlay.get("overlay") != "1.0.0" or not isinstance(overlay.get("actions"), list) or not overlay["actions"]:
        raise SpecError(name, "not an OpenAPI Overlay 1.0.0 with actions")
    result = copy.deepcopy(document)
    for number, action in enumerate(overlay["actions"], 1):
        _apply(result, action, f"{name} action {number}")
    return result


def _apply(document: Document, action: Any, where: str) -> None:
    _known(action, where, "target", "description", "update", "remove")
    where = f"{where} ({action.get('target')})"
    if not action.get("description"):
        raise SpecError(where, "has no description: say why the document needs it")
    if ("update" in action) == ("remove" in action) or action.get("remove", True) is not True:
        raise SpecError(where, "must have either update or remove: true")
    try:
        matches = list(jsonpath.finditer(str(action.get("target")), document, strict=True))
    except jsonpath.JSONPathError as error:
        raise SpecError(where, f"the target is not a JSONPath: {error}") from error
    if not matches:
        raise SpecError(where, "matches nothing: the document changed, or the target is misspelt")
    if "update" in action:
        changes = [_merge(match.obj, action["update"], where) for match in matches]
        if not any(changes):
            raise SpecError(where, "changes nothing: the document says this itself, drop the action")
        return
    for match in reversed(matches):
        if match.parent is None:
            raise SpecError(where, "would remove the whole document")
        parent: Any = match.parent.obj
        del parent[match.parts[-1]]


def _merge(target: Any, update: Any, where: str) -> bool:
    """Merge as Overlay 1.0 does: objects by key, lists by appending, the rest by replacing. Was anything changed?"""
    if isinstance(target, list):
        if update in target:
            return False
        target.append(copy.deepcopy(update))
        return True
    if not isinstance(target, dict) or not isinstance(update, dict):
        raise SpecError(where, "an update needs an object or a list as its target, and an object for an object")
    changed = False
    for key, value in update.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            changed |= _merge(old, value, where)
        elif isinstance(old, list) and isinstance(value, list):
            for item in value:
                changed |= _merge(old, item, where)
        elif key in target and (isinstance(old, (dict, list)) or isinstance(value, (dict, list))):
            raise SpecError(where, f"cannot merge {key!r}: remove the old value first")
        elif key not in target or old != value or type(old) is not type(value):
            target[key] = copy.deepcopy(value)
            changed = True
    return changed


# Validation --------------------------------------------------------------------------------------------------------


def validate(document: Document, where: str) -> None:
    """Refuse a document that does not follow Swagger 2.0 or OpenAPI 3.0, or refers to what is not in it."""
    _check_references(document, document, where)
    validator = OpenAPIV2SpecValidator if "swagger" in document else OpenAPIV30SpecValidator
    error = next(iter(validator(document).iter_errors()), None)
    if error is None:
        return
    while error.context:  # "not valid under any of ...": the branch that got furthest says what is wrong
        error = max(error.context, key=lambda branch: (len(branch.absolute_path), "$ref" not in branch.message))
    raise SpecError(at(where, *error.absolute_path), f"not a valid document: {error.message[:300]}")


def _check_references(node: Any, document: Document, where: str) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not (reference.startswith("#/") and _resolves(reference, document)):
            raise SpecError(at(where, "$ref"), f"{reference!r} is not in this document")
        for key, value in node.items():
            _check_references(value, document, at(where, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_references(value, document, at(where, index))


def _resolves(reference: str, document: Document) -> bool:
    node: Any = document
    for key in reference[2:].split("/"):
        node = node.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node is not None


def check_names(document: Document, where: str) -> None:
    """Refuse an OpenAPI document in which the generator would have to invent a name."""
    for path, item in document["paths"].items():
        for method in filter(item.__contains__, _METHODS):
            operation, here = item[method], at(where, "paths", path, method)
            if not operation.get("operationId") or len(operation.get("tags", [])) != 1:
                raise SpecError(here, "needs an operationId and one tag: add them in the overlay")
            for place in ("parameters", "requestBody", "responses"):
                _check_titles(operation.get(place), at(here, place))
    for kind, components in document.get("components", {}).items():
        for name, component in components.items():
            inner = {**component, "title": name} if kind == "schemas" else component
            _check_titles(inner, at(where, "components", kind, name))


def _check_titles(node: Any, where: str, inside_all_of: bool = False) -> None:
    if isinstance(node, list):
        for index, value in enumerate(node):
            _check_titles(value, at(where, index), inside_all_of)
    elif isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            if not (inside_all_of or node.get("title")):
                raise SpecError(where, "an object without a name: give it a title in the overlay")
            for name, value in node["properties"].items():
                _check_titles(value, at(where, "properties", name))
        for key, value in node.items():
            if key not in ("properties", "example", "examples", "default", "enum"):
                _check_titles(value, at(where, key), key == "allOf")
