"""A vendor's document: reading and writing it, validating it, pointing into it. Pure: no files, no network.

What is not understood is refused in one way: SpecError, which names every location and the cause.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import yaml
from jsonschema.exceptions import SchemaError
from openapi_schema_validator import OAS30Validator, OAS31Validator
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

Document = dict[str, Any]
_ANNOTATIONS = frozenset(
    {"description", "title", "summary", "example", "examples", "externalDocs", "termsOfService", "contact", "license"}
)
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
# The keys below which names stand instead of keywords: a property may be called "description".
_NAMES = frozenset(
    {"paths", "definitions", "properties", "responses", "parameters", "headers", "securityDefinitions", "schemas",
     "requestBodies", "securitySchemes", "content", "callbacks"}
)  # fmt: skip


class SpecError(Exception):
    """A document, or an overlay, that cannot be used as it is.

    Attributes:
        where: The location: a file with a JSON pointer, a line, or the number and target of an overlay action.
        why: The cause, and what to do about it.
        problems: Everything that must be corrected, one line each; the first is that of `where` and `why`.
    """

    def __init__(self, where: str, why: str, more: tuple[str, ...] = ()) -> None:
        self.where = where
        self.why = " ".join(why.split())
        self.problems = (f"{where}: {self.why}", *more)
        super().__init__(where, why, more)

    def __str__(self) -> str:
        return self.problems[0] + (f" (the first of {len(self.problems)} problems)" if self.problems[1:] else "")


@contextmanager
def collecting(errors: list[SpecError]) -> Iterator[None]:
    """Note a SpecError and go on, to report it together with what else is wrong."""
    try:
        yield
    except SpecError as error:
        errors.append(error)


def raise_all(errors: list[SpecError]) -> None:
    """Raise what was collected, if anything, as one error."""
    if errors:
        problems = dict.fromkeys(problem for error in errors for problem in error.problems)
        raise SpecError(errors[0].where, errors[0].why, tuple(problems)[1:])


# Pointing into a document ------------------------------------------------------------------------------------------


def at(where: str, *keys: str | int) -> str:
    """Extend the location `where` ("file#/a/b") by keys, escaped as a JSON pointer."""
    return "/".join([where, *(str(key).replace("~", "~0").replace("/", "~1") for key in keys)])


def resolve(reference: str, document: Document) -> Any:
    """The value at a JSON pointer ("#/a/b") of a document; None if there is none."""
    node: Any = document
    for token in reference[2:].split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def reached(document: Document) -> set[str]:
    """The components that operations use, directly or not."""
    found: set[str] = set()
    waiting: list[Any] = [document.get("paths", {})]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
            if reference not in found:
                found.add(reference)
                waiting.append(resolve(reference, document))
        elif isinstance(node, (dict, list)):
            waiting += node.values() if isinstance(node, dict) else node
    return found


def is_annotation(key: str) -> bool:
    """Is this keyword for people, not for validation? Of the extensions, x-nullable alone says something of values."""
    return key in _ANNOTATIONS or (key.startswith("x-") and key != "x-nullable")


def below(node: Document, key: str, *, names: bool) -> bool:
    """Are the keys of `node[key]` names? `names` says whether those of `node` are."""
    if names:
        # callbacks: a name, then an address, then what a path is; both of these are names.
        return isinstance(node[key], dict) and any("{$" in inner or "://" in inner for inner in node[key])
    return key in _NAMES


def operation_name(method: str, path: str) -> str:
    """What an operation is called here: "GET /messages/{messageid}"."""
    return f"{method.upper()} {path}"


def wire_path(path: str) -> str:
    """A path as it is on the wire: the names of its parameters do not matter."""
    return re.sub(r"\{[^/{}]*\}", "{}", path)


def known(node: Any, where: str, *keys: str) -> None:
    """Refuse a node that says anything but `keys` and extensions: what is not understood must not get lost."""
    if not isinstance(node, dict):
        raise SpecError(where, f"must be an object, and it is {_shown(node)}")
    unknown = [key for key in node if key not in keys and not key.startswith("x-")]
    raise_all([SpecError(at(where, key), UNKNOWN) for key in unknown])


UNKNOWN = "unknown here: teach scripts/pipeline/ to carry it over, or take it out"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:97]}..."


def as_text(value: Any) -> str:
    """A JSON value as text: equal for what is equal in JSON, where 1 is 1.0 and neither is true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


# Reading and writing -----------------------------------------------------------------------------------------------

# What a plain YAML scalar means is what it means in JSON: no dates, no sexagesimals, no yes and no.
_JSON_SCALAR = re.compile(r"null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)


# libyaml's where PyYAML was built with it: a large document takes a tenth of the time.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Dumper(yaml.SafeDumper):
    """Block style, lists indented under their key, nothing shared."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's own signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own signature
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """In quotes if it would be read as something else here: to PyYAML 1E5 is a word."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, "'" if _JSON_SCALAR.fullmatch(data) else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def parse(data: bytes, name: str) -> Document:
    """Read JSON or YAML, whatever the ending of the file said; `name` is what errors call it."""
    try:
        text = data.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        else:
            document = _read_yaml(text)
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


def _read_yaml(text: str) -> Any:
    # Events, not nodes: PyYAML's fast composer recurses in C, where a deep enough document ends the process.
    events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
    next(events)  # the stream begins
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    value = _plain(next(events), events)
    next(events)  # the document ends
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        raise yaml.MarkedYAMLError(problem="another document follows", problem_mark=after.start_mark)
    return value


def _plain(event: Any, events: Iterator[Any]) -> Any:
    """Turn the events of a YAML node into what JSON could say, and refuse the rest: tags, aliases, a key twice."""
    if isinstance(event, yaml.AliasEvent) or event.tag not in _PLAIN_TAGS:
        raise yaml.MarkedYAMLError(problem="an alias or a tag: write the value out", problem_mark=event.start_mark)
    if isinstance(event, yaml.MappingStartEvent):
        result: Document = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.value in result:
                raise yaml.MarkedYAMLError(problem="a key is not text, or is there twice", problem_mark=key.start_mark)
            result[key.value] = _plain(next(events), events)
        return result
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_plain(item, events))
        return items
    plain = event.tag is None and not event.style
    if plain and event.value in ("", "~"):
        return None
    return json.loads(event.value) if plain and _JSON_SCALAR.fullmatch(event.value) else event.value


# What is written out anyway; "!" is text whatever it looks like.
_PLAIN_TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))}


def dump(document: Document) -> str:
    """Write YAML in ASCII with the keys in their own order: the same bytes on every machine."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120)


# Validation --------------------------------------------------------------------------------------------------------

_VALIDATORS: dict[str, Any] = {
    "2.0": OpenAPIV2SpecValidator,
    "3.0": OpenAPIV30SpecValidator,
    "3.1": OpenAPIV31SpecValidator,
}
# What a default value is held to: the keywords of its own schema that need no other.
_OF_A_VALUE = frozenset(
    {"type", "enum", "nullable", "format", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
     "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems"}
)  # fmt: skip


def version_of(document: Document, where: str) -> str:
    """2.0 (Swagger), 3.0 or 3.1 (OpenAPI); any other is refused."""
    version = str(document.get("openapi", document.get("swagger")))
    found = re.fullmatch(r"(3\.[01])\.\d+", version) if "openapi" in document else re.fullmatch(r"(2\.0)", version)
    if found is None:
        raise SpecError(where, f"version {version!r} cannot be read: Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1 can")
    return found[1]


def validate(document: Document, where: str) -> None:
    """Refuse a document that does not follow its version of Swagger or OpenAPI, with everything that is wrong in it.

    The structure is openapi-spec-validator's to judge. The rules that a structure cannot express are checked here: that
    package names no location for them, and follows every reference to its end.
    """
    version = version_of(document, where)
    objects = list(_walk(document, where))
    raise_all([*_structure(document, where, version), *_references(objects, document), *_text(objects)])
    raise_all([*_schemas(objects, version), *_defaults(objects, version), *_operations(document, where)])


def _walk(node: Any, where: str, *, names: bool = False) -> Iterator[tuple[Document, str, bool]]:
    """Every object of a document outside its annotations: the object, its location, and whether its keys are names."""
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, at(where, index))
    elif isinstance(node, dict):
        yield node, where, names
        for key, value in node.items():
            if names or not (is_annotation(key) or key in ("default", "enum", "const")):
                yield from _walk(value, at(where, key), names=below(node, key, names=names))


_Objects = list[tuple[Document, str, bool]]


def _structure(document: Document, where: str, version: str) -> Iterator[SpecError]:
    for error in _VALIDATORS[version].schema_validator.iter_errors(document):
        yield _invalid(where, error)


def _invalid(where: str, error: Any) -> SpecError:
    while error.context:  # "not valid under any of ...": the branch that got furthest says what is wrong
        error = max(error.context, key=lambda branch: (len(branch.absolute_path), "$ref" not in branch.message))
    found = "" if repr(error.instance) in error.message else f" (found {_shown(error.instance)})"
    return SpecError(at(where, *error.absolute_path), f"not a valid document: {error.message[:300]}{found}")


def _references(objects: _Objects, document: Document) -> Iterator[SpecError]:
    for node, where, names in objects:
        if names or not isinstance(node.get("$ref"), str):
            continue
        seen: list[Any] = []
        target: Any = node
        while isinstance(target, dict) and isinstance(reference := target.get("$ref"), str):
            seen.append(target)
            target = resolve(reference, document) if reference.startswith("#/") else None
            if target is None:
                yield SpecError(at(where, "$ref"), f"{reference!r} is not in this document")
            elif any(target is other for other in seen):
                yield SpecError(at(where, "$ref"), f"{reference!r} refers to itself in a circle")
                break


def _text(objects: _Objects) -> Iterator[SpecError]:
    """Half a surrogate pair, which no file can hold; in annotations it does no harm."""
    for node, where, names in objects:
        for key, value in node.items():
            if not names and is_annotation(key):
                continue
            if any(isinstance(text, str) and not text.isascii() and not _encodes(text) for text in (key, value)):
                yield SpecError(at(where, key), f"not a valid document: {_shown(value)} has half a surrogate pair")


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _schemas(objects: _Objects, version: str) -> Iterator[SpecError]:
    """What OpenAPI 3.1 leaves to JSON Schema."""
    if version != "3.1":
        return
    for node, where, names in objects:
        schemas = node if where.endswith("#/components/schemas") else {} if names else {"schema": node.get("schema")}
        for name, schema in schemas.items():
            try:
                OAS31Validator.check_schema(schema if schema is not None else {})
            except SchemaError as error:
                yield _invalid(at(where, name), error)


def _defaults(objects: _Objects, version: str) -> Iterator[SpecError]:
    validator = OAS31Validator if version == "3.1" else OAS30Validator
    for node, where, names in objects:
        if names or "default" not in node:
            continue
        schema = {key: node[key] for key in _OF_A_VALUE & node.keys()}
        for error in validator(schema, format_checker=validator.FORMAT_CHECKER).iter_errors(node["default"]):
            yield _invalid(at(where, "default"), error)


def _operations(document: Document, where: str) -> Iterator[SpecError]:
    """Rules across an operation: names that must be unique, parameters of the path, security schemes."""
    schemes = document.get("securityDefinitions", document.get("components", {}).get("securitySchemes", {}))
    yield from _requirements(document, where, schemes)
    names: set[str] = set()
    for path, item in document.get("paths", {}).items():
        for method in filter(item.__contains__, METHODS):
            operation, here = item[method], at(where, "paths", path, method)
            yield from _requirements(operation, here, schemes)
            if (name := operation.get("operationId")) in names:
                yield SpecError(at(here, "operationId"), f"not a valid document: {name!r} is not unique")
            names |= {name} if name else set()
            yield from _parameters([item, operation], document, path, here)


def _requirements(node: Document, where: str, schemes: Document) -> Iterator[SpecError]:
    for requirement in node.get("security", []):
        for name in requirement:
            if name not in schemes:
                yield SpecError(at(where, "security"), f"{name!r} is not one of the document's security schemes")


def _parameters(owners: list[Document], document: Document, path: str, where: str) -> Iterator[SpecError]:
    inside = set(re.findall(r"\{([^/{}]*)\}", path))
    declared: set[str] = set()
    for owner in owners:
        seen = set()
        for node in owner.get("parameters", []):
            parameter = resolve(node["$ref"], document) if "$ref" in node else node
            key = (parameter.get("in"), parameter.get("name"))
            if key in seen:
                yield SpecError(at(where, "parameters"), f"not a valid document: {key[0]} {key[1]!r} is there twice")
            seen.add(key)
        declared |= {name for kind, name in seen if kind == "path"}
    for name in sorted(inside ^ declared):
        why = "has no parameter that describes it" if name in inside else "is not in the path"
        yield SpecError(where, f"not a valid document: path parameter {name!r} {why}")
