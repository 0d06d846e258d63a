"""How the values that two documents describe differ, each difference rated for code that sends or receives them. Pure.

Requests and responses are rated by opposite rules: a limit that is tightened breaks a request and no response, a field
that is gone may break both, a new required field breaks a request only.

What counts of a schema is what all its parts say together: references followed, allOf merged, oneOf and anyOf as the
list of alternatives they are, each with what stands beside them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, Literal, get_args

from attrs import evolve, field, frozen

from .document import Document, SpecError, as_text, at, below, is_annotation, resolve

Direction = Literal["request", "response"]  # who sends the value: we do, or the gateway does
_MAX_ALTERNATIVES = 200
_MAX_REFERENCES = 100  # from one to the next


class Rating(IntEnum):
    """How much a change matters to code that uses the facade today."""

    TEXT = 0  # annotations only
    COMPATIBLE = 1  # what works today goes on working; or only a name inside the document changed
    BREAKING = 2  # what is sent today may be refused or mean something else, what is received may look different

    def __str__(self) -> str:
        return self.name.lower()


@frozen(order=True)
class Location:
    """Where a change is felt.

    Attributes:
        operation: "POST /messages"; "" is the whole service.
        part: "request", "query", "response 201", "callback status" and the like; "" is all of it.
        field: "mask", or "[].status" in a list; "" is all of it.
    """

    operation: str = ""
    part: str = ""
    field: str = ""


@frozen
class Change:
    """One difference. The kind says what to do about it (report.ADVICE); `text` is the vendor's new text, if any."""

    rating: Rating
    path: str
    kind: str
    what: str
    locations: tuple[Location, ...] = ()
    text: str | None = None


# Walking a document ------------------------------------------------------------------------------------------------


@frozen
class Node:
    """A value in a document, references followed, and its JSON pointer."""

    document: Document = field(repr=False)
    path: str
    value: Any

    def __truediv__(self, key: str | int) -> Node:
        """The value at `key`; None if there is none."""
        value = self.value[int(key)] if isinstance(self.value, list) else {**(self.value or {})}.get(str(key))
        return follow(Node(self.document, at(self.path, key), value))

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


Nodes = tuple[Node, ...]  # schemas that must all hold


def follow(node: Node) -> Node:
    """The node that a reference leads to; any other node as it is."""
    start = node
    for _ in range(_MAX_REFERENCES):
        if not (isinstance(node.value, dict) and isinstance(node.value.get("$ref"), str)):
            return node
        node = Node(node.document, node.value["$ref"], resolve(node.value["$ref"], node.document))
    raise SpecError(start.path, "refers to itself in a circle")


def root(document: Document) -> Node:
    """A whole document."""
    return Node(document, "#", document)


def show(value: Any) -> str:
    """A value in a sentence."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


class Shapes:
    """What each part of a document means, as a hash: annotations left out, references followed, in whatever order.

    None stands for what leads back to itself, which has no such hash.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._known: dict[str, str | None] = {}

    def of(self, value: Any, *, names: bool = False) -> str | None:
        """The hash of a value in the document."""
        waiting: list[str] = []
        while True:
            try:
                if not waiting:
                    return self._hash(value, names=names)
                self._known[waiting[-1]] = self._hash(resolve(waiting[-1], self.document), names=False)
                waiting.pop()
            except KeyError as missing:
                # A reference that is not known yet comes first; without recursion, however long the chain.
                reference = missing.args[0]
                if reference in waiting:
                    self._known[reference] = None
                else:
                    waiting.append(reference)

    def own(self, value: Any) -> str | None:
        """The hash of a value with its references as they stand: what leads back to itself has one too."""
        return self._hash(value, names=False, following=False)

    def _hash(self, node: Any, *, names: bool, following: bool = True) -> str | None:
        if isinstance(node, dict) and isinstance(node.get("$ref"), str) and not names:
            return self._known[node["$ref"]] if following else node["$ref"]
        if isinstance(node, list):
            parts: list[Any] = [self._hash(item, names=False, following=following) for item in node]
        elif isinstance(node, dict):
            parts = [
                None
                if (inner := self._hash(node[key], names=below(node, key, names=names), following=following)) is None
                else f"{key}:{inner}"
                for key in node
                if names or not is_annotation(key)
            ]
        else:
            parts = [as_text(node)]
        if None in parts:
            return None
        return hashlib.sha256(
            f"{type(node).__name__ if parts else ''}{sorted(parts)}".encode(errors="replace")
        ).hexdigest()


# What a schema says, all in all ------------------------------------------------------------------------------------


@frozen
class Schema:
    """What schemas that must all hold say together: keywords, properties and required list.

    Attributes:
        path: The location of the first of them.
        alternative: The location of the oneOf or anyOf item among them that tells it from the others.
        keywords: What each keyword says, and where: a limit is the tightest of all, an enum what all lists have.
        properties: By name, the schemas that a property must meet.
        required: The names that must be there.
        inside: The schemas of list items ("items") and of properties without a name ("additionalProperties").
    """

    path: str
    alternative: str
    keywords: Mapping[str, Node]
    properties: Mapping[str, Nodes]
    required: frozenset[str]
    inside: Mapping[str, Nodes]

    def get(self, key: str) -> Any:
        """The value of a keyword; None if it is not there."""
        return self.keywords[key].value if key in self.keywords else None

    def at(self, key: str) -> str:
        """Where it says that, or would."""
        return self.keywords[key].path if key in self.keywords else at(self.path, key)

    @property
    def type(self) -> str | None:
        """The type it says or implies; a number that is said to have 64 bits is an integer."""
        if self.get("type") == "number" and self.get("format") in ("int32", "int64"):
            return "integer"
        implied = "object" if self.properties else "array" if "items" in self.inside else None
        return self.get("type") or implied

    @property
    def format(self) -> str | None:
        """The format it says; "none" and "" say nothing."""
        return None if self.get("format") in ("none", "") else self.get("format")


class _NoValueError(SpecError):
    """Schemas of different types, which no value can meet together."""


def flat(node: Node) -> Schema:
    """A schema with its allOf merged, alternatives left out."""
    return _merge(next(_compositions((), (node,), with_choices=False)))


def alternatives(nodes: Nodes) -> list[Schema]:
    """Each of the ways in which a value can meet all of some schemas: one, unless there is a oneOf or an anyOf.

    Raises:
        SpecError: a schema contradicts itself or is part of itself, or the ways are too many to compare.
    """
    found: list[Schema] = []
    contradiction: SpecError | None = None
    for composition in _compositions((), nodes):
        try:
            found.append(_merge(composition))
        except _NoValueError as error:
            contradiction = error  # this combination of alternatives does not exist
        if len(found) > _MAX_ALTERNATIVES:
            raise SpecError(nodes[0].path, f"has more than {_MAX_ALTERNATIVES} alternatives: too many to compare")
    if contradiction and not found:
        raise SpecError(contradiction.where, contradiction.why)
    return found


def _compositions(
    done: Nodes, waiting: Nodes, *, with_choices: bool = True, trail: tuple[str, ...] = ()
) -> Iterator[Nodes]:
    """The schemas that `waiting` is composed of, once for each combination of alternatives."""
    if not waiting:
        yield done
        return
    node, *rest = waiting
    if node.path in trail:
        raise SpecError(node.path, "is part of itself")
    choices = [(node / key).parts for key in ("oneOf", "anyOf") if with_choices and key in node.names]
    parts = (node / "allOf").parts
    for chosen in itertools.product(*choices):
        # What this node is composed of comes before the rest, which is not inside it.
        inner = _compositions((*done, node), (*parts, *chosen), with_choices=with_choices, trail=(*trail, node.path))
        for composition in inner:
            yield from _compositions(composition, tuple(rest), with_choices=with_choices, trail=trail)


_LIMITS = {
    "maxLength": 1, "minLength": -1, "maxItems": 1, "minItems": -1, "maxProperties": 1, "minProperties": -1,
    "maximum": 1, "minimum": -1,
}  # fmt: skip
_NOT_KEYWORDS = frozenset(
    {"allOf", "oneOf", "anyOf", "properties", "required", "items", "additionalProperties"}
)  # fmt: skip


def _merge(nodes: Nodes) -> Schema:
    keywords: dict[str, Node] = {}
    properties: dict[str, Nodes] = {}
    inside: dict[str, Nodes] = {}
    required: set[str] = set()
    for node in nodes:
        for key in node.names:
            if key not in _NOT_KEYWORDS and not is_annotation(key):
                said = _said(node, key)
                keywords[key] = _both(key, keywords[key], said) if key in keywords else said
        for name in (node / "properties").names:
            properties[name] = (*properties.get(name, ()), node / "properties" / name)
        for key in ("items", "additionalProperties"):
            # false refuses them whatever else is said; true and {} say nothing.
            if (inner := (node / key).value) is False:
                keywords[key] = node / key
            elif inner not in (None, True) and inner != {}:
                inside[key] = (*inside.get(key, ()), node / key)
        required |= set((node / "required").value or ())
    named = (node.path for node in nodes[1:] if _is_component(node.path))
    return Schema(nodes[0].path, next(named, nodes[-1].path), keywords, properties, frozenset(required), inside)


def _said(node: Node, key: str) -> Node:
    """A keyword; of a limit, the number and whether it is itself excluded, of what adds up, a set."""
    said = node / key
    if key in ("minimum", "maximum"):
        return evolve(said, value=(said.value, node.value.get(f"exclusive{key.capitalize()}") is True))
    if key in _LIMITS:
        return evolve(said, value=(said.value, False))
    return evolve(said, value=frozenset({said.value})) if key in ("pattern", "multipleOf") else said


def _both(key: str, one: Node, other: Node) -> Node:
    """What a keyword says when two schemas that must both hold say it."""
    if key in _LIMITS:
        return other if _looser(key, other.value, one.value) else one
    if key in ("pattern", "multipleOf"):
        return evolve(one, value=one.value | other.value)
    if key == "enum":
        texts = {as_text(value) for value in other.value}
        return evolve(one, value=[value for value in one.value if as_text(value) in texts])
    if key in ("nullable", "readOnly", "writeOnly", "deprecated", "uniqueItems"):
        return one if one.value else other
    if key == "type" and {one.value, other.value} == {"number", "integer"}:
        return one if one.value == "integer" else other
    if key != "default" and one.value != other.value:
        error = _NoValueError if key == "type" else SpecError
        raise error(other.path, "contradicts another part of its allOf: say it once")
    return one


# Comparing ---------------------------------------------------------------------------------------------------------

_Key = tuple[tuple[str, ...], tuple[str, ...], Direction]


def _same_component(key: _Key) -> bool:
    """Are these two schemas what both documents call by one name?"""
    old, new, _ = key
    return old == new and len(old) == 1 and old[0].startswith("#/components/schemas/") and old[0].count("/") == 3


@frozen
class _Pair:
    """Two schemas compared: what separates them, and the pairs inside them, each with the field it is in."""

    changes: tuple[tuple[str, Change], ...] = ()
    inside: tuple[tuple[str, _Key], ...] = ()


class SchemaComparison:
    """Compares the schemas of two documents, each pair once, wherever and however often it is referred to."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old_shapes = Shapes(old)
        self.new_shapes = Shapes(new)
        self._nodes: dict[_Key, tuple[Nodes, Nodes]] = {}
        self._pairs: dict[_Key, _Pair] = {}

    def compare(self, old: Node, new: Node, location: Location, direction: Direction) -> Iterator[Change]:
        """What separates two schemas at `location`; `direction` says who sends such values."""
        first = self._key((old,), (new,), direction)
        waiting = deque([(location.field, "", first)])
        seen = set()
        while waiting:
            inside, named, key = waiting.popleft()
            # Once for each named field is enough: what it contains is felt there.
            if (named, key) in seen:
                continue
            seen.add((named, key))
            pair = self._pair(key)
            for step, change in pair.changes:
                yield evolve(change, locations=(evolve(location, field=_joined(inside, step)),))
            for step, inner in pair.inside:
                waiting.append((_joined(inside, step), named or step.strip("[]"), inner))

    def differ(self, old: Node, new: Node) -> bool:
        """Does anything separate two schemas, in either direction, other than in components they refer to?"""
        waiting = [self._key((old,), (new,), direction) for direction in get_args(Direction)]
        seen = set()
        while waiting:
            key = waiting.pop()
            if key not in seen:
                seen.add(key)
                pair = self._pair(key)
                if pair.changes:
                    return True
                waiting += (inner for _, inner in pair.inside if not _same_component(inner))
        return False

    def _key(self, old: Nodes, new: Nodes, direction: Direction) -> _Key:
        key: _Key = (tuple(node.path for node in old), tuple(node.path for node in new), direction)
        self._nodes.setdefault(key, (old, new))
        return key

    def _pair(self, key: _Key) -> _Pair:
        if key not in self._pairs:
            self._pairs[key] = _Pair()  # what is being compared already is taken to be equal meanwhile
            self._pairs[key] = self._compared(*self._nodes[key], key[2])
        return self._pairs[key]

    def _compared(self, old: Nodes, new: Nodes, direction: Direction) -> _Pair:
        if self._same(old, new):
            return _Pair()
        before, after = alternatives(old), alternatives(new)
        if len(before) == len(after) == 1:
            return self._flat(before[0], after[0], direction)
        return self._matched(before, after, direction)

    def _same(self, old: Nodes, new: Nodes) -> bool:
        shapes = [self.old_shapes.of(node.value) for node in old]
        return None not in shapes and sorted(map(str, shapes)) == sorted(
            str(self.new_shapes.of(node.value)) for node in new
        )

    # Alternatives --------------------------------------------------------------------------------------------------

    def _matched(self, before: Sequence[Schema], after: Sequence[Schema], direction: Direction) -> _Pair:
        """Compare alternatives: in a request all that was possible must remain, in a response nothing may be added."""
        forward = direction == "request"
        sources, targets = (before, after) if forward else (after, before)
        changes: list[tuple[str, Change]] = []
        inside: list[tuple[str, _Key]] = []
        taken: set[int] = set()
        ranked = [
            sorted((self._unlikeness(one, other, forward=forward), i) for i, other in enumerate(targets))
            for one in sources
        ]
        for source, ranking in sorted(zip(sources, ranked, strict=True), key=lambda pair: pair[1]):
            index, pair = self._match(source, targets, ranking, taken, direction)
            changes += pair.changes
            inside += pair.inside
            if index is None or index in taken:
                # What it allowed is allowed by another alternative as well, or by none.
                rating = Rating.BREAKING if index is None else Rating.COMPATIBLE
                changes.append(("", _alternative(source, rating, "gone" if forward else "new")))
            taken |= set() if index is None else {index}
        for index, target in enumerate(targets):
            if index not in taken:
                changes.append(("", _alternative(target, Rating.COMPATIBLE, "new" if forward else "gone")))
        return _Pair(tuple(changes), tuple(inside))

    def _match(
        self, source: Schema, targets: Sequence[Schema], ranking: list[tuple[Any, int]], taken: set[int],
        direction: Direction,
    ) -> tuple[int | None, _Pair]:  # fmt: skip
        """The alternative that a source is compared with: one that breaks nothing, a free one before a taken one."""
        fallback: tuple[int | None, _Pair] = (None, _Pair())
        fits: tuple[int, _Pair] | None = None
        for (_, alike, *_rest), index in ranking:
            old, new = (source, targets[index]) if direction == "request" else (targets[index], source)
            pair = self._flat(old, new, direction)
            if not self._breaks(pair):
                if index not in taken:
                    return index, pair
                fits = fits or (index, pair)
            elif alike and index not in taken and fallback[0] is None:
                fallback = (index, pair)
        return fits or fallback

    def _unlikeness(self, source: Schema, target: Schema, *, forward: bool) -> tuple[Any, ...]:
        """How unlike two alternatives are, the least first; the second item: may they be one and the same, changed?"""
        one, other = (self.old_shapes, self.new_shapes) if forward else (self.new_shapes, self.old_shapes)
        shared = source.properties.keys() & target.properties.keys()
        equal = [
            name
            for name in shared
            if (shapes := [one.of(node.value) for node in source.properties[name]])
            == [other.of(node.value) for node in target.properties[name]]
            and None not in shapes
        ]
        named = source.alternative == target.alternative
        alike = source.type == target.type and (named or bool(shared) or not (source.properties and target.properties))
        differing = len(source.properties.keys() ^ target.properties.keys())
        return (
            not alike,
            alike,
            -len(equal),
            -len(shared),
            differing,
            not named,
            source.keywords.keys() ^ target.keywords.keys() != set(),
        )

    def _breaks(self, pair: _Pair) -> bool:
        """Does a pair, or any pair inside it, break something?"""
        waiting, seen = [pair], set[_Key]()
        while waiting:
            pair = waiting.pop()
            if any(change.rating is Rating.BREAKING for _, change in pair.changes):
                return True
            fresh = [key for _, key in pair.inside if key not in seen]
            seen.update(fresh)
            waiting += [self._pair(key) for key in fresh]
        return False

    # One schema with one -------------------------------------------------------------------------------------------

    def _flat(self, old: Schema, new: Schema, direction: Direction) -> _Pair:
        changes = [("", change) for change in _type(old, new, direction)]
        inside: list[tuple[str, _Key]] = []
        comparable = not any(change.rating is Rating.BREAKING for _, change in changes)
        changes += [("", change) for change in _format(old, new, direction)]
        if comparable:
            changes += [("", change) for change in (*_values(old, new, direction), *_limits(old, new, direction))]
            changes += self._properties(old, new, direction)
            changes += [("", change) for change in (*_additional(old, new, direction), *_items(old, new, direction))]
            inside += [
                (name, self._key(old.properties[name], new.properties[name], direction))
                for name in _visible(old, direction)
                if name in _visible(new, direction)
            ]
            inside += [
                (step, self._key(old.inside[key], new.inside[key], direction))
                for key, step in (("items", "[]"), ("additionalProperties", "*"))
                if key in old.inside and key in new.inside
            ]
        changes += [("", change) for change in _marks(old, new)]
        return _Pair(tuple(changes), tuple(inside))

    def _properties(self, old: Schema, new: Schema, direction: Direction) -> Iterator[tuple[str, Change]]:
        before, after = _visible(old, direction), _visible(new, direction)
        added = [name for name in after if name not in before]
        for name in (name for name in before if name not in after):
            maybe = [repr(other) for other in added if self._same(before[name], after[other])]
            what = f"{name!r} is gone" + (f" (renamed to {' or '.join(maybe)}?)" if maybe else "")
            yield name, Change(Rating.BREAKING, before[name][-1].path, "field-gone", what)
        for name in added:
            # What had to be sent before it was defined is no new duty.
            must = direction == "request" and name in new.required - old.required
            yield name, added_change(repr(name), after[name][-1].path, required=must)
        for name in (name for name in before if name in after):
            path = after[name][-1].path
            for change in required_change(name in old.required, name in new.required, repr(name), path, direction):
                yield name, change
        for name in sorted((old.required ^ new.required) - old.properties.keys() - new.properties.keys()):
            title = f"{name!r}, which is not defined here,"
            for change in required_change(
                name in old.required, name in new.required, title, new.at("required"), direction
            ):
                yield name, change
        for name in sorted((old.properties.keys() | new.properties.keys()) - before.keys() - after.keys()):
            one, other = old.properties.get(name), new.properties.get(name)
            if not (one and other and self._same(one, other)):
                how = "is gone" if other is None else "is new" if one is None else "changed"
                what = (
                    f"{name!r}, which is {'read' if direction == 'request' else 'write'}-only and not used here, {how}"
                )
                yield "", Change(Rating.COMPATIBLE, (other or one or ())[-1].path, "idle", what)


def _joined(field: str, step: str) -> str:
    return f"{field}{'.' if field and step and step != '[]' else ''}{step}"


def _is_component(path: str) -> bool:
    return path.startswith("#/components/schemas/") and path.count("/") == 3


def _alternative(schema: Schema, rating: Rating, how: str) -> Change:
    """An alternative that is gone or new, by its name or by what it says."""
    name = schema.alternative.rpartition("/")[2]
    if not _is_component(schema.alternative):
        said = {key: node.value for key, node in schema.keywords.items() if key in ("type", "format", "enum")}
        name = json.dumps({**said, **({"properties": list(schema.properties)} if schema.properties else {})})
    return Change(rating, schema.alternative, "type", f"alternative {name} is {how}")


def _type(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    if old.type != new.type:
        # Code that sends integers may go on where numbers are taken; code that receives numbers can take integers.
        wide, narrow = (old.type, new.type) if direction == "response" else (new.type, old.type)
        fits = wide is None or (wide, narrow) == ("number", "integer")
        rating = Rating.COMPATIBLE if fits else Rating.BREAKING
        yield Change(rating, new.at("type"), "type", f"type {show(old.type)} is now {show(new.type)}")
    elif old.get("type") != new.get("type"):
        what = f"type {show(old.get('type'))} is now {show(new.get('type'))}: the same values"
        yield Change(Rating.COMPATIBLE, new.at("type"), "restated", what)


def _format(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    if old.format != new.format:
        # A format holds back who sends, and promises something to who receives.
        more, less = old.format is None, new.format is None
        fits = more if direction == "response" else less
        rating = Rating.COMPATIBLE if fits else Rating.BREAKING
        yield Change(rating, new.at("format"), "type", f"format {show(old.format)} is now {show(new.format)}")
    elif old.get("format") != new.get("format"):
        what = f"format {show(old.get('format'))} is now {show(new.get('format'))}: the same values"
        yield Change(Rating.COMPATIBLE, new.at("format"), "restated", what)


def _values(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    if bool(old.get("nullable")) != bool(new.get("nullable")):
        fits = bool(old.get("nullable")) == (direction == "response")
        rating = Rating.COMPATIBLE if fits else Rating.BREAKING
        what = f"null is {'now' if new.get('nullable') else 'no longer'} possible"
        yield Change(rating, new.at("nullable"), "type", what)
    defaults = [[as_text(schema.get("default"))] if "default" in schema.keywords else [] for schema in (old, new)]
    if defaults[0] != defaults[1]:
        # Only a request leaves it to the gateway what a field means that is not there.
        fits = direction == "response" or not all(defaults)
        said = [show(schema.get("default")) if "default" in schema.keywords else "none" for schema in (old, new)]
        rating = Rating.COMPATIBLE if fits else Rating.BREAKING
        yield Change(rating, new.at("default"), "default", f"default {said[0]} is now {said[1]}")
    yield from _enum(old, new, direction)


def _enum(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    before, after = old.get("enum"), new.get("enum")
    if before is None and after is None:
        return
    if before is None or after is None:
        rating = Rating.BREAKING if before is None and direction == "request" else Rating.COMPATIBLE
        what = "any value is now possible" if after is None else f"only these are possible now: {_all(after)}"
        yield Change(rating, new.at("enum"), "enum", what)
        return
    texts = [{as_text(value) for value in values} for values in (before, after)]
    if gone := [value for value in before if as_text(value) not in texts[1]]:
        # In a request it is refused; in a response, code that waits for it waits in vain.
        yield Change(Rating.BREAKING, new.at("enum"), "enum", f"no longer possible: {_all(gone)}")
    if more := [value for value in after if as_text(value) not in texts[0]]:
        yield Change(Rating.COMPATIBLE, new.at("enum"), "enum", f"now possible: {_all(more)}")


def _all(values: Sequence[Any]) -> str:
    return ", ".join(map(show, values)) or "none at all"


def _limits(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    for key in (*_LIMITS, "multipleOf", "pattern", "uniqueItems"):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if _idle(key, before) and _idle(key, after):
            what = f"{key} {_bound(before)} is now {_bound(after)}: the same values"
            yield Change(Rating.COMPATIBLE, new.at(key), "restated", what)
            continue
        looser = _looser(key, before, after)
        rating = Rating.COMPATIBLE if direction == "response" or looser else Rating.BREAKING
        how = "loosened" if looser else "tightened" if looser is False else "changed"
        yield Change(rating, new.at(key), "limit", f"{key} {how}, {_bound(before)} is now {_bound(after)}")


def _idle(key: str, limit: Any) -> bool:
    """Does a limit hold back nothing? No length is below 0; any other 0 is a limit like others."""
    return (
        limit in (None, False)
        if key == "uniqueItems"
        else limit is None or (key in ("minLength", "minItems", "minProperties") and limit[0] == 0)
    )


def _looser(key: str, before: Any, after: Any) -> bool | None:
    """Does the new limit allow more? None if that cannot be told."""
    if key == "uniqueItems" or before is None or after is None:
        return _idle(key, after)
    if key in _LIMITS:
        if before[0] == after[0]:
            return bool(before[1])
        return bool((after[0] > before[0]) == (_LIMITS[key] > 0))
    if key == "multipleOf" and len(before) == len(after) == 1:
        (one,), (other,) = before, after
        return True if _divides(other, one) else False if _divides(one, other) else None
    return True if after < before else False if before < after else None


def _divides(divisor: float, number: float) -> bool:
    ratio = number / divisor if divisor else math.nan
    return ratio.is_integer()


def _bound(limit: Any) -> str:
    if isinstance(limit, tuple):
        return f"{show(limit[0])}{' (excluded)' if limit[1] else ''}"
    return " and ".join(sorted(map(show, limit))) if isinstance(limit, frozenset) else show(limit)


def _visible(schema: Schema, direction: Direction) -> dict[str, Nodes]:
    """The properties that this direction has: a request has none that are read-only, a response none write-only."""
    hidden = "readOnly" if direction == "request" else "writeOnly"
    return {
        name: nodes
        for name, nodes in schema.properties.items()
        if not any((node / hidden).value is True for node in next(_compositions((), nodes, with_choices=False)))
    }


def _additional(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    key = "additionalProperties"
    # 0: refused, 1: described, 2: anything
    before, after = (0 if key in one.keywords else 1 if key in one.inside else 2 for one in (old, new))
    if before != after:
        # A response that had described ones may now have none, or others.
        fits = before != 1 if direction == "response" else after > before
        what = f"fields that are not named are now {('refused', 'limited', 'possible')[after]}"
        yield Change(Rating.COMPATIBLE if fits else Rating.BREAKING, new.at(key), "limit", what)


def _items(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    if ("items" in old.inside) != ("items" in new.inside):
        fits = ("items" in old.inside) == (direction == "request")
        what = f"what is in the list is {'now' if 'items' in new.inside else 'no longer'} described"
        yield Change(Rating.COMPATIBLE if fits else Rating.BREAKING, new.at("items"), "type", what)


def _marks(old: Schema, new: Schema) -> Iterator[Change]:
    limits = [
        key
        for key in ("exclusiveMinimum", "exclusiveMaximum")
        if not {old.get(key[9:].lower()), new.get(key[9:].lower())} - {None}
    ]
    for key in ("deprecated", "readOnly", "writeOnly", *limits):
        if bool(old.get(key)) != bool(new.get(key)):
            kind = "deprecated" if key == "deprecated" else "restated"
            what = f"{key} is {'now' if new.get(key) else 'no longer'} said"
            yield Change(Rating.COMPATIBLE, new.at(key), kind, what)


def added_change(title: str, path: str, *, required: bool) -> Change:
    """Something new that may, or must, be sent."""
    if required:
        return Change(Rating.BREAKING, path, "required", f"{title} is new, and required")
    return Change(Rating.COMPATIBLE, path, "new", f"{title} is new")


def required_change(old: Any, new: Any, title: str, path: str, direction: Direction) -> Iterator[Change]:
    """Something in both that must be there in one of them only."""
    if bool(old) != bool(new):
        rating = Rating.COMPATIBLE if bool(new) == (direction == "response") else Rating.BREAKING
        yield Change(rating, path, "required", f"{title} is {'now' if new else 'no longer'} required")
