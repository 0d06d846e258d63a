"""What separates two OpenAPI 3.0 documents on the wire, each difference rated for code that sends or receives. Pure.

Documents are compared as they act: operation by operation, references followed, in whatever order things stand. Values
are compared by schema_diff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve

from .apis import canonical_address
from .document import METHODS, Document, at, is_annotation, operation_name, reached, wire_path
from .prose import reworded
from .schema_diff import (
    Change,
    Direction,
    Location,
    Node,
    Rating,
    SchemaComparison,
    added_change,
    required_change,
    root,
    show,
)

_Schemas = Callable[[Node, Node, Location, Direction], Iterator[Change]]
_Way = frozenset[tuple[str, str, str]]
_BASIC: _Way = frozenset({("http", "basic", "")})


def compare(old: Document, new: Document, known_prose: Mapping[str, str]) -> list[Change]:
    """Every change from one document to another, the worst first.

    Args:
        old: The published document as it was, in OpenAPI 3.0.
        new: The published document as it is now, in OpenAPI 3.0.
        known_prose: Fingerprints of the vendor's texts as last seen (see prose.py).
    """
    schemas = SchemaComparison(old, new)
    found = [*_service(old, new), *_operations(old, new, schemas.compare), *_names(old, new, schemas)]
    found += [
        Change(Rating.TEXT, path, "words", what, text=None if text is None else str(text))
        for path, what, text in reworded(old, new, known_prose)
    ]
    grouped: dict[tuple[str, str, str], list[Change]] = {}
    for change in found:
        grouped.setdefault((change.path, change.kind, change.what), []).append(change)
    changes = [
        evolve(
            same[0],
            rating=max(change.rating for change in same),
            locations=tuple(sorted({location for change in same for location in change.locations})),
        )
        for same in grouped.values()
    ]
    # What lies idle in one direction may be used in the other, which says more.
    used = {change.path for change in changes if change.kind != "idle"}
    used |= {path[:end] for path in used for end, letter in enumerate(path) if letter == "/"}
    told = (change for change in changes if change.kind != "idle" or change.path not in used)
    return sorted(told, key=lambda change: (-change.rating, change.path, change.kind, change.what))


# The service -------------------------------------------------------------------------------------------------------


def _service(old: Document, new: Document) -> Iterator[Change]:
    before, after = ({canonical_address(node["url"]) for node in document["servers"]} for document in (old, new))
    if before != after:
        # One more address is an offer; one less, or another, is a move.
        rating = Rating.COMPATIBLE if before < after else Rating.BREAKING
        what = f"server address {_list(before)} is now {_list(after)}"
        yield Change(rating, "#/servers", "server", what, (Location(),))
    if old["info"]["version"] != new["info"]["version"]:
        what = f"version {old['info']['version']} is now {new['info']['version']}"
        yield Change(Rating.TEXT, "#/info/version", "restated", what)
    tags = [sorted(tag["name"] for tag in document.get("tags", [])) for document in (old, new)]
    if tags[0] != tags[1]:
        yield Change(Rating.TEXT, "#/tags", "words", "the list of tags changed")


def _list(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"


def _names(old: Document, new: Document, schemas: SchemaComparison) -> Iterator[Change]:
    """Named parts that are gone or lie idle: nothing on the wire, but overlays and generated classes use the names."""
    used = reached(old) | reached(new)
    for kind in sorted({*old.get("components", {}), *new.get("components", {})}):
        if is_annotation(kind):
            continue
        before, after = (document.get("components", {}).get(kind, {}) for document in (old, new))
        added = sorted(after.keys() - before.keys())
        shapes = {schemas.new_shapes.of(after[name]): name for name in reversed(added)}
        for name in sorted(before.keys() - after.keys()):
            shape = schemas.old_shapes.of(before[name])
            same = f": {shapes[shape]!r} has its shape" if shape in shapes and shape is not None else ""
            yield Change(Rating.COMPATIBLE, at("#/components", kind, name), "name", f"the name {name!r} is gone{same}")
        for name in sorted(before.keys() & after.keys()):
            path = at("#/components", kind, name)
            idle = path not in used and kind != "securitySchemes"
            if idle and not _equal(before[name], after[name], schemas, is_schema=kind == "schemas", path=path):
                yield Change(Rating.COMPATIBLE, path, "idle", f"{name!r}, which no operation uses, changed")
        for name in added:
            path = at("#/components", kind, name)
            if kind == "securitySchemes" or path not in used:
                yield Change(Rating.COMPATIBLE, path, "idle", f"{name!r} is new")


def _equal(one: Any, other: Any, schemas: SchemaComparison, *, is_schema: bool, path: str) -> bool:
    if schemas.old_shapes.own(one) == schemas.new_shapes.own(other):
        return True
    shape = schemas.old_shapes.of(one)
    if shape is not None or not is_schema:
        return shape == schemas.new_shapes.of(other) and (shape is not None or one == other)
    before, after = (
        Node(shapes.document, path, node) for shapes, node in ((schemas.old_shapes, one), (schemas.new_shapes, other))
    )
    return not schemas.differ(before, after)


# Operations --------------------------------------------------------------------------------------------------------


def _operations(old: Document, new: Document, schemas: _Schemas) -> Iterator[Change]:
    before, after = ({wire_path(path): path for path in document["paths"]} for document in (old, new))
    for wire in [*before, *(path for path in after if path not in before)]:
        old_item, new_item = (
            root(document) / "paths" / paths[wire] if wire in paths else Node(document, "#", None)
            for document, paths in ((old, before), (new, after))
        )
        if wire in before and wire in after and before[wire] != after[wire]:
            what = f"path {before[wire]} is now written {after[wire]}"
            yield Change(Rating.COMPATIBLE, new_item.path, "name", what)
        for method in METHODS:
            name = operation_name(method, after.get(wire) or before[wire])
            if method in old_item.names and method in new_item.names:
                yield from _operation(old_item, new_item, method, Location(name), "request", schemas)
            elif method in old_item.names:
                what = f"operation {name} is gone"
                yield Change(Rating.BREAKING, at(old_item.path, method), "operation-gone", what, (Location(name),))
            elif method in new_item.names:
                what = f"operation {name} is new"
                yield Change(Rating.COMPATIBLE, at(new_item.path, method), "new", what, (Location(name),))


def _operation(
    old_item: Node, new_item: Node, method: str, location: Location, direction: Direction, schemas: _Schemas
) -> Iterator[Change]:
    """`direction` says who makes the request: of a callback, whose location has a part, it is the gateway."""
    old, new = old_item / method, new_item / method
    answers: Direction = "response" if direction == "request" else "request"
    for key in ("operationId", "tags", "deprecated"):
        if ((old / key).value or None) != ((new / key).value or None):
            kind = "deprecated" if key == "deprecated" else "name"
            yield Change(Rating.COMPATIBLE, at(new.path, key), kind, _was(key, old / key, new / key), (location,))
    yield from _security(old, new, location)
    yield from _parameters(old_item, new_item, method, location, direction, schemas)
    body = location if location.part else evolve(location, part="request")
    yield from _body(old / "requestBody", new / "requestBody", body, direction, schemas)
    yield from _responses(old / "responses", new / "responses", location, answers, schemas)
    before, after = (dict(_callbacks(operation / "callbacks")) for operation in (old, new))
    for post in [*before, *(post for post in after if post not in before)]:
        here = evolve(location, part=f"{location.part} callback {post[0]}".strip())
        if post not in after:
            what = f"callback {' '.join(post)} is gone"
            yield Change(Rating.BREAKING, before[post].path, "callback-gone", what, (here,))
        elif post not in before:
            what = f"callback {' '.join(post)} is new"
            yield Change(Rating.COMPATIBLE, after[post].path, "new", what, (here,))
        else:
            items = [callbacks[post] for callbacks in (before, after)]
            yield from _operation(items[0], items[1], post[1].lower(), here, answers, schemas)


def _was(key: str, old: Node, new: Node) -> str:
    return f"{key} {show(old.value)} is now {show(new.value)}"


def _callbacks(node: Node) -> Iterator[tuple[tuple[str, str, str], Node]]:
    """The path item of each request that a callback makes, by name, method and address."""
    for name in node.names:
        for address in (node / name).names:
            for method in METHODS:
                if method in (node / name / address).names:
                    yield (name, method.upper(), address), node / name / address


def _security(old: Node, new: Node, location: Location) -> Iterator[Change]:
    if location.part and not ("security" in old.names or "security" in new.names):
        return  # what the whole document asks of us says nothing of what the gateway shows
    before, after = _ways(old, own_only=bool(location.part)), _ways(new, own_only=bool(location.part))
    if before == after:
        return
    # An apiKey in Authorization may be anything; HTTP Basic is the one thing it was said to be in prose.
    vague = {("apiKey", "header", "authorization"): ("http", "basic", "")}
    known, offered = (
        {frozenset(vague.get(scheme, scheme) for scheme in way) for way in ways} for ways in (before, after)
    )
    used = {_BASIC} if _BASIC in known else known
    rating = Rating.COMPATIBLE if used <= offered else Rating.BREAKING
    what = f"credentials {_list(map(_way, before))} are now {_list(map(_way, after))}"
    path = at(new.path, "security") if "security" in new.names else "#/security"
    # Whose credentials: in a callback the gateway shows them, and the receiver checks.
    yield Change(rating, path, "callback-security" if location.part else "security", what, (location,))


def _ways(operation: Node, *, own_only: bool) -> set[_Way]:
    """The ways to show credentials to an operation, each the set of schemes it takes; the empty one is to show none."""
    document = root(operation.document)
    ways = operation / "security"
    if not ways and not own_only:
        ways = document / "security"
    schemes = document / "components" / "securitySchemes"
    return {
        frozenset(
            (scheme["type"], scheme.get("in") or scheme["scheme"].lower(), scheme.get("name", "").lower())
            for scheme in ((schemes / name).value for name in way)
        )
        for way in ways.value or [{}]
    }


def _way(way: _Way) -> str:
    return " and ".join(" ".join(filter(None, scheme)) for scheme in sorted(way)) or "not needed"


# Parameters, bodies, responses -------------------------------------------------------------------------------------


def _parameters(
    old_item: Node, new_item: Node, method: str, location: Location, direction: Direction, schemas: _Schemas
) -> Iterator[Change]:
    before, after = (_all_parameters(item, method) for item in (old_item, new_item))
    for key in [*before, *(key for key in after if key not in before)]:
        name = (after.get(key) or before[key]).value["name"]
        here = evolve(location, part=f"{location.part} {key[0]}".strip(), field=name)
        title = f"{key[0]} parameter {name!r}"
        if key not in after:
            yield Change(Rating.BREAKING, before[key].path, "field-gone", f"{title} is gone", (here,))
        elif key not in before:
            must = direction == "request" and bool((after[key] / "required").value)
            yield evolve(added_change(title, after[key].path, required=must), locations=(here,))
        else:
            yield from _parameter(before[key], after[key], title, here, direction, schemas)


def _parameter(
    old: Node, new: Node, title: str, here: Location, direction: Direction, schemas: _Schemas
) -> Iterator[Change]:
    was, now = ((node / "required").value for node in (old, new))
    yield from _located(required_change(was, now, title, new.path, direction), here)
    if (old / "name").value != (new / "name").value and new.value["in"] == "path":
        yield Change(Rating.COMPATIBLE, at(new.path, "name"), "name", _was("name", old / "name", new / "name"))
    if _exploded(old) != _exploded(new):
        what = f"how the items of {here.field!r} are written in the address changed"
        yield Change(Rating.BREAKING, at(new.path, "explode"), "type", what, (here,))
    if bool((old / "deprecated").value) != bool((new / "deprecated").value):
        what = _was("deprecated", old / "deprecated", new / "deprecated")
        yield Change(Rating.COMPATIBLE, at(new.path, "deprecated"), "deprecated", what, (here,))
    yield from schemas(old / "schema", new / "schema", here, direction)


def _located(changes: Iterable[Change], location: Location) -> Iterator[Change]:
    return (evolve(change, locations=(location,)) for change in changes)


def _all_parameters(item: Node, method: str) -> dict[tuple[str, str], Node]:
    """By kind and name; those of the path by their position in it, since the wire does not show their name."""
    result = {}
    path = item.path.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    inside = [part[1:-1] for part in path.split("/") if part.startswith("{") and part.endswith("}")]
    for node in [*(item / "parameters").parts, *(item / method / "parameters").parts]:
        kind, name = node.value["in"], node.value["name"]
        key = str(inside.index(name)) if kind == "path" and name in inside else name
        result[kind, key.lower() if kind == "header" else key] = node
    return result


def _exploded(parameter: Node) -> bool | None:
    if (parameter / "schema" / "type").value not in ("array", "object"):
        return None
    explode = (parameter / "explode").value
    return parameter.value["in"] == "query" if explode is None else bool(explode)


def _body(old: Node, new: Node, location: Location, direction: Direction, schemas: _Schemas) -> Iterator[Change]:
    if old and not new:
        yield Change(Rating.BREAKING, old.path, "field-gone", "the body is gone", (location,))
    elif new and not old:
        must = bool((new / "required").value)
        change = added_change("the body", new.path, required=must) if direction == "request" else _new_body(new.path)
        yield evolve(change, locations=(location,))
    elif old:
        was, now = ((body / "required").value for body in (old, new))
        yield from _located(required_change(was, now, "the body", new.path, direction), location)
        yield from _content(old / "content", new / "content", location, direction, new.path, schemas)


def _new_body(path: str) -> Change:
    return Change(Rating.COMPATIBLE, path, "new", "there is a body now")


def _media_type(text: str) -> str:
    """A media type as all its spellings have it; that JSON is in UTF-8 goes without saying."""
    kind, *parameters = (part.strip() for part in text.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters if parameter)
    known = sorted((name.strip().lower(), value.strip().strip('"')) for name, _, value in pairs)
    return "; ".join([kind.lower(), *(f"{name}={value}" for name, value in known if not _is_utf8(name, value))])


def _is_utf8(name: str, value: str) -> bool:
    return (name, value.lower()) == ("charset", "utf-8")


def _content(
    old: Node, new: Node, location: Location, direction: Direction, path: str, schemas: _Schemas
) -> Iterator[Change]:
    before, after = ({_media_type(name): name for name in content.names} for content in (old, new))
    here = at(path, "content")
    for key, name in before.items():
        if key not in after:
            # We send application/json and nothing else; what we may be sent, we may not be able to read.
            fits = direction == "request" and _takes_json(after)
            rating = Rating.COMPATIBLE if fits else Rating.BREAKING
            yield Change(rating, here, "media-type", f"media type {name} is gone", (location,))
        elif after[key] != name:
            what = f"media type {name} is now written {after[key]}"
            yield Change(Rating.COMPATIBLE, here, "name", what, (location,))
    for key, name in after.items():
        if key not in before:
            yield Change(Rating.COMPATIBLE, here, "media-type", f"media type {name} is new", (location,))
    common = [(name, after[key]) for key, name in before.items() if key in after]
    for one, other in common or list(zip(list(before.values())[:1], list(after.values())[:1], strict=False)):
        old_schema, new_schema = old / one / "schema", new / other / "schema"
        if old_schema and new_schema:
            yield from schemas(old_schema, new_schema, location, direction)
        elif old_schema or new_schema:
            there = old_schema or new_schema
            rating = Rating.BREAKING if bool(old_schema) == (direction == "response") else Rating.COMPATIBLE
            what = f"what {other} holds is {'now' if new_schema else 'no longer'} described"
            yield Change(rating, there.path, "type", what, (location,))


def _takes_json(media_types: Iterable[str]) -> bool:
    return any(media_type in ("application/json", "application/*", "*/*") for media_type in media_types)


def _responses(old: Node, new: Node, location: Location, direction: Direction, schemas: _Schemas) -> Iterator[Change]:
    """`direction` says who answers: to an operation the gateway, to a callback we do."""
    before, after = list(old.names), list(new.names)
    for status in [*before, *(status for status in after if status not in before)]:
        part = f"{location.part} response {status}".strip()
        here = evolve(location, part=part)
        one, other = old / status, new / status
        success = status.upper().startswith("2")
        if not (one and other):
            there = one or other
            # Code that sends looks out for one status of success; errors have one shape whatever their number.
            matters = success if direction == "response" else bool(one)
            rating = Rating.BREAKING if matters else Rating.COMPATIBLE
            what = f"response {status} is {'new' if other else 'gone'}"
            yield Change(rating, there.path, "status", what, (here,))
            if direction == "request" or success:
                continue
            one, other = one or old / "default", other or new / "default"
        if one and other:
            yield from _response(one, other, here, direction, schemas)


def _response(old: Node, new: Node, location: Location, direction: Direction, schemas: _Schemas) -> Iterator[Change]:
    before, after = (
        {name.lower(): node / "headers" / name for name in (node / "headers").names} for node in (old, new)
    )
    for name in sorted({*before, *after}):
        here, title = evolve(location, field=f"header {name}"), f"header {name!r}"
        if name not in after:
            yield Change(Rating.BREAKING, before[name].path, "field-gone", f"{title} is gone", (here,))
        elif name not in before:
            must = direction == "request" and bool((after[name] / "required").value)
            yield evolve(added_change(title, after[name].path, required=must), locations=(here,))
        else:
            was, now = ((header / "required").value for header in (before[name], after[name]))
            yield from _located(required_change(was, now, title, after[name].path, direction), here)
            yield from schemas(before[name] / "schema", after[name] / "schema", here, direction)
    if old / "content" and not new / "content":
        yield Change(Rating.BREAKING, at(old.path, "content"), "field-gone", "the body is gone", (location,))
    elif new / "content" and not old / "content":
        # We answer a callback with a status alone.
        wanted = Change(Rating.BREAKING, at(new.path, "content"), "required", "a body is now expected", (location,))
        given = evolve(_new_body(at(new.path, "content")), locations=(location,))
        yield wanted if direction == "request" else given
    else:
        yield from _content(old / "content", new / "content", location, direction, new.path, schemas)
