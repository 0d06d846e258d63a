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
from jsonschema.exceptions import best_match
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


# Reading and writing ----------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML read as JSON would be: no dates, no sexagesimals, no yes or no, no aliases, no tags, no key twice."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own class attribute, filled below
    yaml_constructors = {}  # noqa: RUF012 - PyYAML's own class attribute, filled below

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias: write the value out", problem_mark=mark)
        return super().compose_node(parent, index)

    def mapping(self, node: yaml.MappingNode) -> Document:
        result: Document = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in result:
                raise yaml.MarkedYAMLError(problem="a key that is not text, or is there twice", problem_mark=key.start_mark)
            result[key.value] = self.construct_object(value, deep=True)
        return result

    def sequence(self, node: yaml.SequenceNode) -> list[Any]:
        return [self.construct_object(item, deep=True) for item in node.value]


_SCALARS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "null": (r"(?:null|~|)$", "n~\0", lambda _: None),
    "bool": (r"(?:true|false)$", "tf", lambda text: text == "true"),
    "int": (r"-?(?:0|[1-9][0-9]*)$", "-0123456789", int),
    "float": (r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-0123456789", float),
}
for _name, (_pattern, _first, _make) in _SCALARS.items():
    _tag = f"tag:yaml.org,2002:{_name}"
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first])
    _Loader.add_constructor(_tag, lambda _, node, make=_make: make(node.value))
_Loader.add_constructor("tag:yaml.org,2002:str", lambda _, node: node.value)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.sequence)
_Loader.add_constructor(None, yaml.SafeLoader.construct_undefined)


class _Dumper(yaml.SafeDumper):
    """Block style, lists indented under their key, nothing shared."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT - PyYAML's own signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True


def parse(data: bytes, name: str) -> Document:
    """Read JSON or YAML, whatever the ending of the file said."""

    def once(pairs: list[tuple[str, Any]]) -> Document:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("an object has a key twice")
        return result

    def constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is not JSON")

    try:
        text = data.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            document = json.loads(text, object_pairs_hook=once, parse_constant=constant)
        else:
            document = yaml.load(text, _Loader)  # noqa: S506 - _Loader is stricter than SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{name}{line}", f"not YAML we read: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(name, f"neither JSON nor YAML: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(name, "not a document: the top level must be an object")
    return document


def dump(document: Document) -> str:
    """Write YAML with the keys in their own order, the same bytes on every machine."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


# Swagger 2.0 -> OpenAPI 3.0 ---------------------------------------------------------------------------------------------

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_LIMITS = (
    "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
    "maxItems", "minItems", "uniqueItems", "enum", "default",
)  # fmt: skip
_STYLES = {
    "csv": {},
    "multi": {"explode": True},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
}


def to_openapi3(document: Document, where: str) -> Document:
    """Carry a Swagger 2.0 document over to OpenAPI 3.0.3; an OpenAPI 3.0 document is that already."""
    version = document.get("openapi", document.get("swagger"))
    if "openapi" in document and re.fullmatch(r"3\.0\.\d", str(version)):
        return copy.deepcopy(document)
    if version != "2.0":
        raise SpecError(where, f"version {version!r} is not one we read: Swagger 2.0 or OpenAPI 3.0")
    root = _known(
        document, where, "swagger", "info", "host", "basePath", "schemes", "consumes", "produces", "paths", "definitions",
        "securityDefinitions", "security", "tags", "externalDocs",
    )  # fmt: skip
    if not root.get("host") or not root.get("schemes"):
        raise SpecError(where, "host and schemes are needed: without them there is no server address")
    result: Document = {
        "openapi": "3.0.3",
        "info": root["info"],
        "servers": [{"url": f"{scheme}://{root['host']}{root.get('basePath', '')}"} for scheme in root["schemes"]],
        **{key: value for key, value in root.items() if key in ("security", "tags", "externalDocs") or key[:2] == "x-"},
        "paths": {},
        "components": {},
    }
    for path, item in root["paths"].items():
        here = at(where, "paths", path)
        _known(item, here, "parameters", *_METHODS)
        result["paths"][path] = {
            method: _operation(item[method], root, item.get("parameters", []), at(here, method)) for method in item if method in _METHODS
        }
    if "definitions" in root:
        here = at(where, "definitions")
        result["components"]["schemas"] = {name: _schema(node, at(here, name)) for name, node in root["definitions"].items()}
    if "securityDefinitions" in root:
        here = at(where, "securityDefinitions")
        result["components"]["securitySchemes"] = {
            name: _security(node, at(here, name)) for name, node in root["securityDefinitions"].items()
        }
    return copy.deepcopy(result)


def _known(node: Any, where: str, *keys: str) -> Document:
    if not isinstance(node, dict):
        raise SpecError(where, "must be an object")
    for key in node:
        if key not in keys and not key.startswith("x-"):
            raise SpecError(at(where, key), "not known to the converter: teach it in scripts/spec.py, or leave it out")
    return node


def _operation(node: Any, root: Document, shared: list[Any], where: str) -> Document:
    _known(
        node, where, "tags", "summary", "description", "externalDocs", "operationId", "consumes", "produces", "parameters",
        "responses", "deprecated", "security",
    )  # fmt: skip
    result = {key: value for key, value in node.items() if key not in ("consumes", "produces", "parameters", "responses")}
    for index, parameter in enumerate([*shared, *node.get("parameters", [])]):
        here = at(where, "parameters", index)
        if parameter.get("in") == "body":
            _known(parameter, here, "name", "in", "description", "required", "schema")
            result["requestBody"] = {
                **{key: parameter[key] for key in ("description", "required") if key in parameter},
                "content": _content(parameter["schema"], node.get("consumes", root.get("consumes")), "consumes", at(here, "schema")),
            }
        else:
            result.setdefault("parameters", []).append(_parameter(parameter, here))
    result["responses"] = {
        status: _response(response, node.get("produces", root.get("produces")), at(where, "responses", status))
        for status, response in node["responses"].items()
    }
    return result


def _content(schema: Any, media_types: list[str] | None, key: str, where: str) -> Document:
    if not media_types:
        raise SpecError(where, f"no media type: {key} is neither in the operation nor at the top")
    return {media_type: {"schema": _schema(schema, where)} for media_type in media_types}


def _parameter(node: Document, where: str) -> Document:
    if node.get("in") not in ("path", "query", "header"):
        raise SpecError(where, f"a parameter in {node.get('in')!r} (or a $ref to one) cannot be carried over")
    _known(node, where, "name", "in", "description", "required", "collectionFormat", "type", "format", "items", *_LIMITS)
    result = {key: node[key] for key in ("name", "in", "description", "required") if key in node}
    if node.get("type") == "array":
        style = node.get("collectionFormat", "csv")
        if style not in _STYLES:
            raise SpecError(at(where, "collectionFormat"), f"{style!r} cannot be said in OpenAPI 3")
        result |= _STYLES[style] or {"explode": False}
    return {**result, "schema": _value(node, where)}


def _value(node: Document, where: str) -> Document:
    """Carry over what a parameter, a header or their items says about its value."""
    if node.get("type") not in ("string", "number", "integer", "boolean", "array"):
        raise SpecError(where, f"type {node.get('type')!r} cannot be carried over")
    result = {key: value for key, value in node.items() if key in ("type", "format", *_LIMITS)}
    if "items" in node:
        here = at(where, "items")
        result["items"] = _value(_known(node["items"], here, "type", "format", "items", *_LIMITS), here)
    return result


def _response(node: Any, produces: list[str] | None, where: str) -> Document:
    _known(node, where, "description", "schema", "headers", "examples")
    result = {"description": node.get("description", "")}
    if "headers" in node:
        result["headers"] = {
            name: {
                **{key: header[key] for key in ("description",) if key in header},
                "schema": _value(_known(header, at(where, "headers", name), "description", "type", "format", "items", *_LIMITS), at(where, "headers", name)),
            }
            for name, header in node["headers"].items()
        }
    if "schema" in node:
        result["content"] = _content(node["schema"], produces, "produces", at(where, "schema"))
    for media_type, example in node.get("examples", {}).items():
        if media_type not in result.get("content", {}):
            raise SpecError(at(where, "examples", media_type), "an example for a media type that is not produced")
        result["content"][media_type]["example"] = example
    return result


def _schema(node: Any, where: str) -> Document:
    if isinstance(node, dict) and "$ref" in node:
        reference = node["$ref"]
        if len(node) > 1:
            raise SpecError(where, "keys beside $ref are ignored by every reader: leave them out")
        if not isinstance(reference, str) or not reference.startswith("#/definitions/"):
            raise SpecError(at(where, "$ref"), f"{reference!r} is not in the definitions of this document")
        return {"$ref": reference.replace("#/definitions/", "#/components/schemas/", 1)}
    _known(
        node, where, "type", "format", "title", "description", "required", "properties", "additionalProperties", "items",
        "allOf", "maxProperties", "minProperties", "readOnly", "example", "externalDocs", *_LIMITS,
    )  # fmt: skip
    if node.get("type", "object") not in ("object", "string", "number", "integer", "boolean", "array"):
        raise SpecError(at(where, "type"), f"type {node['type']!r} cannot be carried over")
    result = dict(node)
    if "properties" in node:
        result["properties"] = {
            name: _schema(value, at(where, "properties", name)) for name, value in node["properties"].items()
        }
    if "items" in node:
        result["items"] = _schema(node["items"], at(where, "items"))
    if "allOf" in node:
        result["allOf"] = [_schema(part, at(where, "allOf", index)) for index, part in enumerate(node["allOf"])]
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _schema(node["additionalProperties"], at(where, "additionalProperties"))
    return result


def _security(node: Any, where: str) -> Document:
    if node.get("type") == "basic":
        _known(node, where, "type", "description")
        return {**node, "type": "http", "scheme": "basic"}
    if node.get("type") == "apiKey":
        return dict(_known(node, where, "type", "description", "name", "in"))
    raise SpecError(where, f"security of type {node.get('type')!r} cannot be carried over")


# Overlay ----------------------------------------------------------------------------------------------------------------


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
        if not any([_merge(match.obj, action["update"], where) for match in matches]):
            raise SpecError(where, "changes nothing: the document says this itself, drop the action")
        return
    for match in reversed(matches):
        if match.parent is None:
            raise SpecError(where, "would remove the whole document")
        parent: Any = match.parent.obj
        del parent[match.parts[-1]]


def _merge(target: Any, update: Any, where: str) -> bool:
    """Merge as Overlay 1.0 does: objects by key, lists by appending, everything else by replacing. Did it change anything?"""
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


# Validation -------------------------------------------------------------------------------------------------------------


def validate(document: Document, where: str) -> None:
    """Refuse a document that does not follow Swagger 2.0 or OpenAPI 3.0, or refers to what is not in it."""
    _check_references(document, document, where)
    validator = OpenAPIV2SpecValidator if "swagger" in document else OpenAPIV30SpecValidator
    error = best_match(validator(document).iter_errors())
    if error is not None:
        raise SpecError(at(where, *error.absolute_path), f"not a valid document: {error.message[:300]}")


def _check_references(node: Any, document: Document, where: str) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            target: Any = document
            for key in reference.removeprefix("#/").split("/"):
                target = target.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
            if not reference.startswith("#/") or target is None:
                raise SpecError(at(where, "$ref"), f"{reference!r} is not in this document")
        for key, value in node.items():
            _check_references(value, document, at(where, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_references(value, document, at(where, index))
