"""A vendor's document: reading and writing it, holding it to its rules, laying an overlay over it.

parse -> validate -> convert.to_openapi3 -> apply_overlay -> validate -> check_names. Pure: no files, no network. What
is not understood is refused, in one way: SpecError, which names the place and the cause.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any, NoReturn

import jsonpath
import yaml
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

Document = dict[str, Any]
_WORDS = frozenset(
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


def is_word(key: str) -> bool:
    """Is what stands under this keyword there for people, without a meaning for programs known here?"""
    return key in _WORDS or key.startswith("x-")


def known(node: Any, where: str, *keys: str) -> None:
    """Refuse a node that says anything but `keys` and extensions: what is not understood must not get lost."""
    if not isinstance(node, dict):
        raise SpecError(where, "must be an object")
    for key in node:
        if key not in keys and not key.startswith("x-"):
            raise SpecError(at(where, key), "unknown here: teach scripts/ to carry it over, or take it out")


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


# Overlay -----------------------------------------------------------------------------------------------------------


def apply_overlay(document: Document, overlay: Document, name: str, redundant: list[str] | None = None) -> Document:
    """Apply an OpenAPI Overlay 1.0, in which every action must match something and change something.

    Args:
        document: The OpenAPI document; left as it is.
        overlay: The overlay, parsed.
        name: What to call the overlay in errors.
        redundant: Where to note an action for which there is nothing left to do; without it such an action is an error.
    """
    if overlay.get("overlay") != "1.0.0" or not isinstance(overlay.get("actions"), list) or not overlay["actions"]:
        raise SpecError(name, "not an OpenAPI Overlay 1.0.0 with actions")
    result = copy.deepcopy(document)
    for number, action in enumerate(overlay["actions"], 1):
        _apply(result, action, f"{name} action {number}", redundant)
    return result


def actions_on(document: Document, overlay: Document, name: str, place: str) -> list[str]:
    """The overlay actions that change what stands at a JSON pointer, when the overlay is applied to a document."""
    result = copy.deepcopy(document)
    found = []
    for number, action in enumerate(overlay["actions"], 1):
        before = copy.deepcopy(resolve(place, result))
        _apply(result, action, name, redundant=[])
        if resolve(place, result) != before:
            found.append(f"{name} action {number} ({action['target']})")
    return found


def _apply(document: Document, action: Any, where: str, redundant: list[str] | None) -> None:
    known(action, where, "target", "description", "update", "remove")
    where = f"{where} ({action.get('target')})"
    if not action.get("description"):
        raise SpecError(where, "has no description: say why the document needs it")
    if ("update" in action) == ("remove" in action) or action.get("remove", True) is not True:
        raise SpecError(where, "must have either update or remove: true")
    try:
        path = jsonpath.compile(str(action.get("target")), strict=True)
    except jsonpath.JSONPathError as error:
        raise SpecError(where, f"the target is not a JSONPath: {error}") from error
    assert isinstance(path, jsonpath.JSONPath)  # compound paths do not exist in strict JSONPath
    matches = list(path.finditer(document))
    if not matches:
        # What is to be removed is gone, but not the place where it stood.
        if redundant is not None and "remove" in action and any(path.env.finditer(_parent(path), document)):
            redundant.append(f"{where}: the document no longer has what this removes")
            return
        raise SpecError(where, "matches nothing: the document changed, or the target is misspelt")
    if "update" in action:
        # Our words beside a fact are no reason to keep an action; an action of words alone is held to its words.
        wanted = _facts(action["update"]) or action["update"]
        idle = not any(_merge(copy.deepcopy(match.obj), wanted, where) for match in matches)
        changes = [_merge(match.obj, action["update"], where) for match in matches]
        if redundant is not None and idle:
            redundant.append(f"{where}: the document says this itself")
        elif not any(changes):
            raise SpecError(where, "changes nothing: the document says this itself, drop the action")
        return
    for match in reversed(matches):
        if match.parent is None:
            raise SpecError(where, "would remove the whole document")
        parent: Any = match.parent.obj
        del parent[match.parts[-1]]


def _facts(update: Any) -> Any:
    """An update without its words, and without what held nothing else."""
    if not isinstance(update, dict):
        return update
    facts = {key: _facts(value) for key, value in update.items() if not is_word(key)}
    return {key: value for key, value in facts.items() if value != {} or update[key] == {}}


def _parent(path: jsonpath.JSONPath) -> str:
    return str(jsonpath.JSONPath(env=path.env, segments=path.segments[:-1]))


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
