"""A vendor's document: reading and writing it, holding it to its rules, laying an overlay over it.

parse -> validate -> convert.to_openapi3 -> apply_overlay -> validate -> check_names. Pure: no files, no network. What
is not understood is refused, in one way: SpecError, which names the place and the cause.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import yaml
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

Document = dict[str, Any]
_ANNOTATIONS = frozenset(
    {"description", "title", "summary", "example", "examples", "externalDocs", "termsOfService", "contact", "license"}
)
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


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


def is_annotation(key: str) -> bool:
    """Is what stands under this keyword there for people, without a meaning for programs known here?"""
    return key in _ANNOTATIONS or key.startswith("x-")


def known(node: Any, where: str, *keys: str) -> None:
    """Refuse a node that says anything but `keys` and extensions: what is not understood must not get lost."""
    if not isinstance(node, dict):
        raise SpecError(where, "must be an object")
    for key in node:
        if key not in keys and not key.startswith("x-"):
            raise SpecError(
                at(where, key), "unknown here: teach scripts/pipeline/convert.py to carry it over, or take it out"
            )


def operation_name(method: str, path: str) -> str:
    """What an operation is called here: "GET /messages/{messageid}"."""
    return f"{method.upper()} {path}"


def wire_path(path: str) -> str:
    """A path as the wire knows it: what its parameters are called is no matter."""
    return "/".join("{}" if part.startswith("{") and part.endswith("}") else part for part in path.split("/"))


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


# Validation --------------------------------------------------------------------------------------------------------


_VALIDATORS: dict[str, Any] = {
    "2.0": OpenAPIV2SpecValidator,
    "3.0": OpenAPIV30SpecValidator,
    "3.1": OpenAPIV31SpecValidator,
}


def version_of(document: Document, where: str) -> str:
    """2.0 (Swagger), 3.0 or 3.1 (OpenAPI); any other is refused."""
    version = str(document.get("openapi", document.get("swagger")))
    found = re.fullmatch(r"(3\.[01])\.\d+", version) if "openapi" in document else re.fullmatch(r"(2\.0)", version)
    if found is None:
        raise SpecError(where, f"version {version!r} cannot be read: Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1 can")
    return found[1]


def validate(document: Document, where: str) -> None:
    """Refuse a document that does not follow its version of Swagger or OpenAPI, or refers to what is not in it."""
    validator = _VALIDATORS[version_of(document, where)]
    _check_references(document, document, where)
    try:
        error = next(iter(validator(document).iter_errors()), None)
    except RecursionError:
        raise
    except Exception as stumble:
        # The validator goes on after what it has found wrong, and falls over it.
        raise SpecError(where, f"not a valid document: {type(stumble).__name__} {stumble}") from stumble
    if error is not None:
        while error.context:  # "not valid under any of ...": the branch that got furthest says what is wrong
            error = max(error.context, key=lambda branch: (len(branch.absolute_path), "$ref" not in branch.message))
        raise SpecError(at(where, *error.absolute_path), f"not a valid document: {error.message[:300]}")
    _check_security(document, where)


def _check_security(document: Document, where: str) -> None:
    schemes = document.get("securityDefinitions", document.get("components", {}).get("securitySchemes", {}))
    places = [(where, document)]
    for path, item in document.get("paths", {}).items():
        places += [(at(where, "paths", path, method), item[method]) for method in METHODS if method in item]
    for here, node in places:
        for requirement in node.get("security", []):
            for name in requirement:
                if name not in schemes:
                    raise SpecError(at(here, "security"), f"{name!r} is not one of the document's security schemes")


def _check_references(node: Any, document: Document, where: str) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not (reference.startswith("#/") and resolve(reference, document) is not None):
            raise SpecError(at(where, "$ref"), f"{reference!r} is not in this document")
        for key, value in node.items():
            _check_references(value, document, at(where, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_references(value, document, at(where, index))


def resolve(reference: str, document: Document) -> Any:
    """What stands at a JSON pointer ("#/a/b") of a document; None if nothing does."""
    node: Any = document
    for token in reference[2:].split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def check_names(document: Document, where: str) -> None:
    """Refuse an OpenAPI document in which the generator would have to invent a name."""
    for path, item in document["paths"].items():
        for method in filter(item.__contains__, METHODS):
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
