"""How the values that two documents describe differ, each difference rated for who sends and reads today. Pure.

What we send and what the gateway sends are rated by opposite rules: a limit that is tightened breaks a request and no
answer, a field that vanishes may break both, a new required field breaks a request only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from .document import Document, SpecError, at, is_annotation
from .prose import below


class Rating(IntEnum):
    """How much a change matters to who uses the facade today."""

    TEXT = 0  # words only
    COMPATIBLE = 1  # what works today goes on working; or only a name inside the document changed
    BREAKING = 2  # what is sent today may be refused or mean something else, what is read may look different

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, order=True)
class Location:
    """Where a change is felt.

    Attributes:
        operation: "POST /messages"; "" is the whole service.
        part: "request", "query", "answer 201", "callback status" and the like; "" is all of it.
        field: "mask", or "[].status" in a list; "" is all of it.
    """

    operation: str = ""
    part: str = ""
    field: str = ""


@dataclass(frozen=True)
class Change:
    """One difference. The kind says what to do about it (report.ADVICE); `words` is the vendor's new text, if any."""

    rating: Rating
    path: str
    kind: str
    what: str
    places: tuple[Location, ...] = ()
    words: str | None = None


# Walking a document ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A value in a document, references followed, and its JSON pointer."""

    document: Document
    path: str
    value: Any

    def __truediv__(self, key: str | int) -> Node:
        """The value at `key`; None if there is none."""
        value = self.value[int(key)] if isinstance(self.value, list) else {**(self.value or {})}.get(str(key))
        return _follow(Node(self.document, at(self.path, key), value))

    def __bool__(self) -> bool:
        return self.value is not None

    @property
    def names(self) -> Collection[str]:
        """The keys of an object; none of anything else."""
        return self.value if isinstance(self.value, dict) else ()

    @property
    def parts(self) -> list[Node]:
        """The items of a list; none of anything else."""
        return [self / index for index in range(len(self.value))] if isinstance(self.value, list) else []


def _follow(node: Node) -> Node:
    for _ in range(100):
        if not (isinstance(node.value, dict) and isinstance(node.value.get("$ref"), str)):
            return node
        path = node.value["$ref"]
        value: Any = node.document
        for key in path[2:].split("/"):
            value = value[key.replace("~1", "/").replace("~0", "~")]
        node = Node(node.document, path, value)
    raise SpecError(node.path, "refers to itself in a circle")


def root(document: Document) -> Node:
    """A whole document."""
    return Node(document, "#", document)


def canonical(node: Any, document: Document, trail: tuple[str, ...] = (), names: bool = False) -> Any:
    """A part of a document without its words, references written out, in one order: equal when it means the same."""
    if isinstance(node, list):
        return sorted((canonical(item, document, trail) for item in node), key=lambda item: json.dumps(item))
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        if node["$ref"] in trail:
            return node["$ref"]
        return canonical(_follow(Node(document, "#", node)).value, document, (*trail, node["$ref"]))
    return {
        key: canonical(node[key], document, trail, below(node, key, names))
        for key in sorted(node)
        if names or not is_annotation(key)
    }


def show(value: Any) -> str:
    """A value in a sentence."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


# Schemas -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schema:
    """A schema with its allOf merged: keywords, properties and required list, each with where it stands."""

    path: str
    keys: Mapping[str, Node]
    properties: Mapping[str, Node]
    required: frozenset[str]

    def get(self, key: str) -> Any:
        """What it says under a keyword; None if nothing."""
        return self.keys[key].value if key in self.keys else None

    def at(self, key: str) -> str:
        """Where it says that, or would."""
        return self.keys[key].path if key in self.keys else at(self.path, key)

    @property
    def type(self) -> str | None:
        """The type it says or implies; a number that is said to have 64 bits is an integer."""
        if self.get("type") == "number" and self.get("format") in ("int32", "int64"):
            return "integer"
        implied = "object" if self.properties else "array" if "items" in self.keys else None
        return self.get("type") or implied

    @property
    def format(self) -> str | None:
        """The format it says; "none" says nothing."""
        return None if self.get("format") == "none" else self.get("format")


def flat(node: Node, trail: tuple[str, ...] = ()) -> Schema:
    """A schema with its allOf merged."""
    if node.path in trail:
        raise SpecError(node.path, "is part of itself")
    keys: dict[str, Node] = {}
    properties: dict[str, Node] = {}
    required: set[str] = set()
    for part in (node / "allOf").parts:
        inner = flat(part, (*trail, node.path))
        for key, value in inner.keys.items():
            if keys.setdefault(key, value).value != value.value:
                raise SpecError(value.path, "contradicts another part of its allOf: say it once")
        for name, value in inner.properties.items():
            properties[name] = _both(properties[name], value) if name in properties else value
        required |= inner.required
    for key in node.names:
        if key not in ("allOf", "properties", "required", "externalDocs") and not is_annotation(key):
            keys[key] = node / key
    for name in (node / "properties").names:
        value = node / "properties" / name
        properties[name] = _both(properties[name], value) if name in properties else value
    return Schema(node.path, keys, properties, frozenset(required | set((node / "required").value or [])))


def _both(one: Node, other: Node) -> Node:
    """A property that two parts of an allOf define: both hold."""
    return Node(other.document, other.path, {"allOf": [one.value, other.value]})


def compare_schemas(
    old_node: Node, new_node: Node, place: Location, reads: bool, trail: frozenset[tuple[str, str]] = frozenset()
) -> Iterator[Change]:
    """What separates two schemas, felt at `place`. `reads`: does the gateway send such values, for us to read?"""
    if (old_node.path, new_node.path) in trail:
        return
    trail = trail | {(old_node.path, new_node.path)}
    old, new = flat(old_node), flat(new_node)
    alternatives = [bool({"oneOf", "anyOf"} & schema.keys.keys()) for schema in (old, new)]
    if any(alternatives):
        yield from _alternatives(old, new, place, reads)
        if not all(alternatives):
            return
    yield from _type(old, new, place, reads)
    if old.type == new.type:
        yield from _values(old, new, place, reads)
        yield from _limits(old, new, place, reads)
        yield from _properties(old, new, place, reads, trail)
        yield from _items(old, new, place, reads, trail)
    for key in ("deprecated", "readOnly", "writeOnly"):
        if bool(old.get(key)) != bool(new.get(key)):
            kind = "deprecated" if key == "deprecated" else "restated"
            what = f"{key} is {'now' if new.get(key) else 'no longer'} said"
            yield Change(Rating.COMPATIBLE, new.at(key), kind, what, (place,))


def _alternatives(old: Schema, new: Schema, place: Location, reads: bool) -> Iterator[Change]:
    before, after = _choices(old), _choices(new)
    for text, node in [*before.items(), *after.items()]:
        if text in before and text in after:
            continue
        fewer = text in before
        rating = Rating.BREAKING if fewer != reads else Rating.COMPATIBLE
        what = f"alternative {show(canonical(node.value, node.document))} is {'gone' if fewer else 'new'}"
        yield Change(rating, node.path, "type", what, (place,))


def _choices(schema: Schema) -> dict[str, Node]:
    found = [part for key in ("oneOf", "anyOf") if key in schema.keys for part in schema.keys[key].parts]
    if not found:
        said = {key: node.value for key, node in schema.keys.items()}
        found = [Node(next(iter(schema.keys.values())).document, schema.path, said)] if said else []
    return {json.dumps(canonical(node.value, node.document)): node for node in found}


def _type(old: Schema, new: Schema, place: Location, reads: bool) -> Iterator[Change]:
    if old.type != new.type:
        # Who sends integers may go on where numbers are taken; who read numbers can read integers.
        wider = {(True, "number", "integer"), (False, "integer", "number")}
        fits = (reads, old.type, new.type) in wider or (not reads and new.type is None)
        rating = Rating.COMPATIBLE if fits else Rating.BREAKING
        what = f"type {show(old.type)} is now {show(new.type)}"
        yield Change(rating, new.at("type"), "type", what, (place,))
    elif old.get("type") != new.get("type"):
        what = f"type {show(old.get('type'))} is now {show(new.get('type'))}: the same values"
        yield Change(Rating.COMPATIBLE, new.at("type"), "restated", what, (place,))
    if old.format != new.format:
        # A format holds back who sends, and promises something to who reads.
        more, less = old.format is None, new.format is None
        rating = Rating.COMPATIBLE if (reads and more) or (not reads and less) else Rating.BREAKING
        what = f"format {show(old.format)} is now {show(new.format)}"
        yield Change(rating, new.at("format"), "type", what, (place,))
    elif old.get("format") != new.get("format"):
        what = f"format {show(old.get('format'))} is now {show(new.get('format'))}: the same values"
        yield Change(Rating.COMPATIBLE, new.at("format"), "restated", what, (place,))


def _values(old: Schema, new: Schema, place: Location, reads: bool) -> Iterator[Change]:
    if bool(old.get("nullable")) != bool(new.get("nullable")):
        rating = Rating.COMPATIBLE if bool(old.get("nullable")) == reads else Rating.BREAKING
        what = f"null is {'now' if new.get('nullable') else 'no longer'} possible"
        yield Change(rating, new.at("nullable"), "type", what, (place,))
    if old.get("default") != new.get("default"):
        # Only a request leaves it to the gateway what a field means that is not there.
        silent = reads or None in (old.get("default"), new.get("default"))
        rating = Rating.COMPATIBLE if silent else Rating.BREAKING
        what = f"default {show(old.get('default'))} is now {show(new.get('default'))}"
        yield Change(rating, new.at("default"), "default", what, (place,))
    before, after = old.get("enum"), new.get("enum")
    if (before is None) != (after is None):
        rating = Rating.BREAKING if before is None and not reads else Rating.COMPATIBLE
        what = "any value is now possible" if after is None else f"only these are possible now: {_all(after)}"
        yield Change(rating, new.at("enum"), "enum", what, (place,))
    elif before is not None:
        if gone := [value for value in before if value not in after]:
            # In a request it is refused; in an answer whoever waits for it waits for ever.
            what = f"no longer possible: {_all(gone)}"
            yield Change(Rating.BREAKING, new.at("enum"), "enum", what, (place,))
        if more := [value for value in after if value not in before]:
            yield Change(Rating.COMPATIBLE, new.at("enum"), "enum", f"now possible: {_all(more)}", (place,))


def _all(values: Sequence[Any]) -> str:
    return ", ".join(map(show, values))


_LIMITS = {
    "maxLength": 1, "minLength": -1, "maxItems": 1, "minItems": -1, "maxProperties": 1, "minProperties": -1,
    "maximum": 1, "minimum": -1,
}  # fmt: skip


def _limits(old: Schema, new: Schema, place: Location, reads: bool) -> Iterator[Change]:
    for key in (*_LIMITS, "multipleOf", "pattern", "uniqueItems"):
        before, after = _limit(old, key), _limit(new, key)
        if before != after:
            looser = _looser(key, before, after)
            rating = Rating.COMPATIBLE if reads or looser else Rating.BREAKING
            how = "loosened" if looser else "tightened" if looser is False else "changed"
            what = f"{key} {how}, {_bound(before)} is now {_bound(after)}"
            yield Change(rating, new.at(key), "limit", what, (place,))


def _limit(schema: Schema, key: str) -> tuple[Any, bool] | None:
    """A limit, and whether it is itself excluded; None if there is none."""
    value = schema.get(key)
    excluded = bool(schema.get(f"exclusive{key.capitalize()}")) if key in ("minimum", "maximum") else False
    return None if value in (None, False) else (value, excluded)


def _looser(key: str, before: tuple[Any, bool] | None, after: tuple[Any, bool] | None) -> bool | None:
    """Does the new limit allow more? None if that cannot be told."""
    if before is None or after is None:
        return after is None
    if key not in _LIMITS:
        return None
    if before[0] == after[0]:
        return before[1]
    return bool((after[0] > before[0]) == (_LIMITS[key] > 0))


def _bound(limit: tuple[Any, bool] | None) -> str:
    return "none" if limit is None else f"{show(limit[0])}{' (excluded)' if limit[1] else ''}"


def _properties(
    old: Schema, new: Schema, place: Location, reads: bool, trail: frozenset[tuple[str, str]]
) -> Iterator[Change]:
    before, after = _visible(old, reads), _visible(new, reads)
    gone = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    for name in gone:
        node = before[name]
        shape = canonical(node.value, node.document)
        maybe = [other for other in added if canonical(after[other].value, after[other].document) == shape]
        what = f"{name!r} is gone" + (f" (renamed to {' or '.join(map(repr, maybe))}?)" if maybe else "")
        yield Change(Rating.BREAKING, node.path, "field-gone", what, (_inside(place, name),))
    for name in added:
        here, required = _inside(place, name), name in new.required
        if reads:
            yield Change(Rating.COMPATIBLE, after[name].path, "new", f"{name!r} is new", (here,))
        else:
            yield added_change(repr(name), after[name], required, here)
    for name in [name for name in before if name in after]:
        here = _inside(place, name)
        path = after[name].path
        yield from required_change(name in old.required, name in new.required, repr(name), path, here, reads)
        yield from compare_schemas(before[name], after[name], here, reads, trail)
    for name in sorted((old.required ^ new.required) - before.keys() - after.keys() - old.properties.keys()):
        what = f"{name!r}, which is not defined here, is {'now' if name in new.required else 'no longer'} required"
        yield Change(Rating.COMPATIBLE, at(new.path, "required"), "restated", what, (place,))
    for name in sorted((old.properties.keys() | new.properties.keys()) - before.keys() - after.keys()):
        one, other = old.properties.get(name), new.properties.get(name)
        if not (one and other and canonical(one.value, one.document) == canonical(other.value, other.document)):
            how = "is gone" if other is None else "is new" if one is None else "changed"
            what = f"{name!r}, which is {'write' if reads else 'read'}-only and not used here, {how}"
            yield Change(Rating.COMPATIBLE, (other or one or old).path, "idle", what, (place,))
    yield from _additional(old, new, place, reads, trail)


def _inside(place: Location, name: str) -> Location:
    return replace(place, field=f"{place.field}.{name}" if place.field else name)


def _visible(schema: Schema, reads: bool) -> dict[str, Node]:
    """The properties that this direction has: a request has none that are read-only, an answer none write-only."""
    hidden = "writeOnly" if reads else "readOnly"
    return {name: node for name, node in schema.properties.items() if not flat(node).get(hidden)}


def _additional(
    old: Schema, new: Schema, place: Location, reads: bool, trail: frozenset[tuple[str, str]]
) -> Iterator[Change]:
    key = "additionalProperties"
    before, after = (True if schema.get(key) in (None, {}) else schema.get(key) for schema in (old, new))
    if isinstance(before, dict) and isinstance(after, dict):
        yield from compare_schemas(old.keys[key], new.keys[key], _inside(place, "*"), reads, trail)
    elif before != after:
        rating = Rating.COMPATIBLE if reads or after is True else Rating.BREAKING
        what = f"fields that are not named are now {'possible' if after is True else 'limited' if after else 'refused'}"
        yield Change(rating, new.at(key), "limit", what, (place,))


def _items(
    old: Schema, new: Schema, place: Location, reads: bool, trail: frozenset[tuple[str, str]]
) -> Iterator[Change]:
    here = replace(place, field=f"{place.field}[]")
    if "items" in old.keys and "items" in new.keys:
        yield from compare_schemas(old.keys["items"], new.keys["items"], here, reads, trail)
    elif "items" in old.keys or "items" in new.keys:
        rating = Rating.COMPATIBLE if not reads and "items" in old.keys else Rating.BREAKING
        what = f"what is in the list is {'now' if 'items' in new.keys else 'no longer'} described"
        yield Change(rating, new.at("items"), "type", what, (here,))


def added_change(title: str, node: Node, required: bool, place: Location) -> Change:
    """Something new that we may, or must, send."""
    if required:
        return Change(Rating.BREAKING, node.path, "required", f"{title} is new, and required", (place,))
    return Change(Rating.COMPATIBLE, node.path, "new", f"{title} is new", (place,))


def required_change(
    old: Any, new: Any, title: str, path: str, place: Location, reads: bool = False
) -> Iterator[Change]:
    """Something in both that must be there in one of them only."""
    if bool(old) != bool(new):
        rating = Rating.COMPATIBLE if bool(new) == reads else Rating.BREAKING
        yield Change(rating, path, "required", f"{title} is {'now' if new else 'no longer'} required", (place,))
