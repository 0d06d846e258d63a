"""What separates two OpenAPI 3.0 documents on the wire, each difference rated for who sends and reads today. Pure.

Documents are compared as they act: operation by operation, references followed, allOf merged, in whatever order things
stand. Values are compared by schema_diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from .apis import OWN_HOST, WHITE_LABELS
from .document import METHODS, Document, at, is_annotation, operation_name, wire_path
from .prose import reworded
from .schema_diff import (
    Change,
    Location,
    Node,
    Rating,
    added_change,
    canonical,
    compare_schemas,
    required_change,
    root,
    show,
)


def compare(old: Document, new: Document, known_words: Mapping[str, str]) -> list[Change]:
    """Every change from one document to another, the worst first.

    Args:
        old: The published document as it was, in OpenAPI 3.0.
        new: The published document as it is now, in OpenAPI 3.0.
        known_words: Fingerprints of the vendor's words as last seen (see words.py).
    """
    found = [*_service(old, new), *_operations(old, new), *_names(old, new)]
    found += [
        Change(Rating.TEXT, path, "words", what, words=None if text is None else str(text))
        for path, what, text in reworded(old, new, known_words)
    ]
    grouped: dict[tuple[str, str, str], Change] = {}
    for change in found:
        key = (change.path, change.kind, change.what)
        before = grouped.get(key, change)
        places = tuple(sorted({*before.places, *change.places}))
        grouped[key] = replace(change, rating=max(before.rating, change.rating), places=places)
    # What lies idle in one direction may be used in the other, which says more.
    felt = [change.path for change in grouped.values() if change.kind != "idle"]
    told = (
        change
        for change in grouped.values()
        if change.kind != "idle" or not any(f"{path}/".startswith(f"{change.path}/") for path in felt)
    )
    return sorted(told, key=lambda change: (-change.rating, change.path, change.kind, change.what))


# The service -------------------------------------------------------------------------------------------------------


def _service(old: Document, new: Document) -> Iterator[Change]:
    before, after = ({_server(node["url"]) for node in document["servers"]} for document in (old, new))
    if before != after:
        # One more address is an offer; one less, or another, is a move.
        rating = Rating.COMPATIBLE if before < after else Rating.BREAKING
        what = f"server address {_list(before)} is now {_list(after)}"
        yield Change(rating, "#/servers", "server", what, (Location(),))
    if old["info"]["version"] != new["info"]["version"]:
        what = f"version {old['info']['version']} is now {new['info']['version']}"
        yield Change(Rating.TEXT, "#/info/version", "restated", what)
    if canonical(old.get("tags", []), old) != canonical(new.get("tags", []), new):
        yield Change(Rating.TEXT, "#/tags", "words", "the list of tags changed")


def _server(url: str) -> str:
    """An address that is equal for all names of the same service."""
    address = urlsplit(url)
    host = OWN_HOST if address.netloc.lower() in WHITE_LABELS else address.netloc.lower()
    return f"{address.scheme.lower()}://{host}{address.path.rstrip('/')}"


def _list(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"


def _names(old: Document, new: Document) -> Iterator[Change]:
    """Named parts that are gone or lie idle: nothing on the wire, but overlays and generated classes use the names."""
    for kind in sorted({*old.get("components", {}), *new.get("components", {})}):
        if is_annotation(kind):
            continue
        before, after = (document.get("components", {}).get(kind, {}) for document in (old, new))
        added = sorted(after.keys() - before.keys())
        for name in sorted(before.keys() - after.keys()):
            shape = canonical(before[name], old)
            same = [other for other in added if canonical(after[other], new) == shape]
            what = f"the name {name!r} is gone" + (f": {same[0]!r} has its shape" if same else "")
            yield Change(Rating.COMPATIBLE, f"#/components/{kind}/{name}", "name", what)
        for name in sorted(before.keys() & after.keys()):
            path = f"#/components/{kind}/{name}"
            idle = not any(_refers(document, path) for document in (old, new)) and kind != "securitySchemes"
            if idle and canonical(before[name], old) != canonical(after[name], new):
                yield Change(Rating.COMPATIBLE, path, "idle", f"{name!r}, which nothing refers to, changed")
        for name in added:
            path = f"#/components/{kind}/{name}"
            if kind == "securitySchemes" or not _refers(new, path):
                yield Change(Rating.COMPATIBLE, path, "idle", f"{name!r} is new")


def _refers(node: Any, path: str) -> bool:
    if isinstance(node, dict):
        return node.get("$ref") == path or any(_refers(value, path) for value in node.values())
    return isinstance(node, list) and any(_refers(value, path) for value in node)


# Operations --------------------------------------------------------------------------------------------------------


def _operations(old: Document, new: Document) -> Iterator[Change]:
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
                yield from _operation(old_item, new_item, method, name)
            elif method in old_item.names:
                what = f"operation {name} is gone"
                yield Change(Rating.BREAKING, at(old_item.path, method), "operation-gone", what, (Location(name),))
            elif method in new_item.names:
                what = f"operation {name} is new"
                yield Change(Rating.COMPATIBLE, at(new_item.path, method), "new", what, (Location(name),))


def _operation(old_item: Node, new_item: Node, method: str, name: str) -> Iterator[Change]:
    old, new = old_item / method, new_item / method
    place = Location(name)
    for key in ("operationId", "tags", "deprecated"):
        if ((old / key).value or None) != ((new / key).value or None):
            kind = "deprecated" if key == "deprecated" else "name"
            yield Change(Rating.COMPATIBLE, at(new.path, key), kind, _was(key, old / key, new / key), (place,))
    yield from _security(old, new, place)
    yield from _parameters(old_item, new_item, method, place)
    yield from _body(old / "requestBody", new / "requestBody", replace(place, part="request"), reads=False)
    yield from _responses(old / "responses", new / "responses", place, reads=True)
    before, after = (dict(_callbacks(operation / "callbacks")) for operation in (old, new))
    for post in [*before, *(post for post in after if post not in before)]:
        callback = replace(place, part=f"callback {post[0]}")
        if post not in after:
            what = f"callback {' '.join(post)} is gone"
            yield Change(Rating.BREAKING, before[post].path, "callback-gone", what, (callback,))
        elif post not in before:
            what = f"callback {' '.join(post)} is new"
            yield Change(Rating.COMPATIBLE, after[post].path, "new", what, (callback,))
        else:
            yield from _body(before[post] / "requestBody", after[post] / "requestBody", callback, reads=True)
            yield from _responses(before[post] / "responses", after[post] / "responses", callback, reads=False)


def _was(key: str, old: Node, new: Node) -> str:
    return f"{key} {show(old.value)} is now {show(new.value)}"


def _callbacks(node: Node) -> Iterator[tuple[tuple[str, str, str], Node]]:
    for name in node.names:
        for address in (node / name).names:
            for method in METHODS:
                if method in (node / name / address).names:
                    yield (name, method.upper(), address), node / name / address / method


def _security(old: Node, new: Node, place: Location) -> Iterator[Change]:
    before, after = _schemes(old), _schemes(new)
    if before == after:
        return
    # An apiKey in Authorization may be anything; HTTP Basic is the one thing it was said to be in words.
    vague = {("apiKey", "header", "authorization"): ("http", "basic", "")}
    served = {frozenset(vague.get(scheme, scheme) for scheme in way) for way in before}
    offered = {frozenset(vague.get(scheme, scheme) for scheme in way) for way in after}
    rating = Rating.COMPATIBLE if served <= offered or frozenset() in after else Rating.BREAKING
    what = f"credentials {_list(map(_way, before))} are now {_list(map(_way, after))}"
    path = at(new.path, "security") if "security" in new.names else "#/security"
    yield Change(rating, path, "security", what, (place,))


def _schemes(operation: Node) -> set[frozenset[tuple[str, str, str]]]:
    """The ways to show credentials to an operation, each the set of schemes it takes; the empty one is to show none."""
    document = root(operation.document)
    ways = operation / "security" or document / "security"
    schemes = document / "components" / "securitySchemes"
    return {
        frozenset(
            (scheme["type"], scheme.get("in") or scheme["scheme"].lower(), scheme.get("name", "").lower())
            for scheme in ((schemes / name).value for name in way)
        )
        for way in ways.value or [{}]
    }


def _way(way: frozenset[tuple[str, str, str]]) -> str:
    return " and ".join(" ".join(filter(None, scheme)) for scheme in sorted(way)) or "not needed"


# Parameters, bodies, answers ---------------------------------------------------------------------------------------


def _parameters(old_item: Node, new_item: Node, method: str, place: Location) -> Iterator[Change]:
    before, after = (_all_parameters(item, method) for item in (old_item, new_item))
    for key in [*before, *(key for key in after if key not in before)]:
        here = replace(place, part=key[0], field=(after.get(key) or before[key]).value["name"])
        title = f"{key[0]} parameter {here.field!r}"
        if key not in after:
            yield Change(Rating.BREAKING, before[key].path, "field-gone", f"{title} is gone", (here,))
        elif key not in before:
            yield added_change(title, after[key], bool((after[key] / "required").value), here)
        else:
            old, new = before[key], after[key]
            yield from required_change((old / "required").value, (new / "required").value, title, new.path, here)
            if (old / "name").value != (new / "name").value and key[0] == "path":
                yield Change(Rating.COMPATIBLE, at(new.path, "name"), "name", _was("name", old / "name", new / "name"))
            if _exploded(old) != _exploded(new):
                what = f"how the items of {here.field!r} are written in the address changed"
                yield Change(Rating.BREAKING, at(new.path, "explode"), "type", what, (here,))
            if (old / "deprecated").value != (new / "deprecated").value:
                what = _was("deprecated", old / "deprecated", new / "deprecated")
                yield Change(Rating.COMPATIBLE, at(new.path, "deprecated"), "deprecated", what, (here,))
            yield from compare_schemas(old / "schema", new / "schema", here, reads=False)


def _all_parameters(item: Node, method: str) -> dict[tuple[str, str], Node]:
    """By kind and name; those of the path by their place in it, since the wire does not see their name."""
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


def _body(old: Node, new: Node, place: Location, reads: bool) -> Iterator[Change]:
    if old and not new:
        yield Change(Rating.BREAKING, old.path, "field-gone", "the body is gone", (place,))
    elif new and not old:
        if reads:
            yield Change(Rating.COMPATIBLE, new.path, "new", "there is a body now", (place,))
        else:
            yield added_change("the body", new, bool((new / "required").value), place)
    elif old:
        yield from required_change(
            (old / "required").value, (new / "required").value, "the body", new.path, place, reads
        )
        yield from _content(old / "content", new / "content", place, reads, new.path)


def _content(old: Node, new: Node, place: Location, reads: bool, path: str) -> Iterator[Change]:
    before, after = list(old.names), list(new.names)
    for media_type in before:
        if media_type not in after:
            # We send application/json and nothing else; what we may be sent, we may not be able to read.
            dropped = not reads and media_type != "application/json" and "application/json" in after
            rating = Rating.COMPATIBLE if dropped else Rating.BREAKING
            yield Change(rating, at(path, "content"), "media-type", f"media type {media_type} is gone", (place,))
    for media_type in after:
        if media_type not in before:
            what = f"media type {media_type} is new"
            yield Change(Rating.COMPATIBLE, at(path, "content"), "media-type", what, (place,))
    common = [media_type for media_type in before if media_type in after]
    pairs = [(media_type, media_type) for media_type in common] or list(zip(before[:1], after[:1], strict=False))
    for one, other in pairs:
        old_schema, new_schema = old / one / "schema", new / other / "schema"
        if old_schema and new_schema:
            yield from compare_schemas(old_schema, new_schema, place, reads)
        elif old_schema or new_schema:
            there = old_schema or new_schema
            rating = Rating.BREAKING if bool(old_schema) == reads else Rating.COMPATIBLE
            what = f"what {other} holds is {'now' if new_schema else 'no longer'} described"
            yield Change(rating, there.path, "type", what, (place,))


def _responses(old: Node, new: Node, place: Location, reads: bool) -> Iterator[Change]:
    before, after = list(old.names), list(new.names)
    for status in [*before, *(status for status in after if status not in before)]:
        part = f"{place.part} answered {status}" if place.part else f"answer {status}"
        here = replace(place, part=part)
        one, other = old / status, new / status
        if not (one and other):
            there = one or other
            # Who sends looks out for one status of success; errors have one shape whatever their number.
            matters = status.startswith("2") if reads else bool(one)
            rating = Rating.BREAKING if matters else Rating.COMPATIBLE
            what = f"answer {status} is {'new' if other else 'gone'}"
            yield Change(rating, there.path, "status", what, (here,))
            if not reads or status.startswith("2"):
                continue
            one, other = one or old / "default", other or new / "default"
        if one and other and reads:
            yield from _answer(one, other, here)


def _answer(old: Node, new: Node, place: Location) -> Iterator[Change]:
    before, after = (
        {name.lower(): node / "headers" / name for name in (node / "headers").names} for node in (old, new)
    )
    for name in sorted({*before, *after}):
        here = replace(place, field=f"header {name}")
        if name not in after:
            yield Change(Rating.BREAKING, before[name].path, "field-gone", f"header {name!r} is gone", (here,))
        elif name not in before:
            yield Change(Rating.COMPATIBLE, after[name].path, "new", f"header {name!r} is new", (here,))
        else:
            was, now = ((header / "required").value for header in (before[name], after[name]))
            yield from required_change(was, now, f"header {name!r}", after[name].path, here, reads=True)
            yield from compare_schemas(before[name] / "schema", after[name] / "schema", here, reads=True)
    if old / "content" and not new / "content":
        yield Change(Rating.BREAKING, at(old.path, "content"), "field-gone", "the body is gone", (place,))
    elif new / "content" and not old / "content":
        yield Change(Rating.COMPATIBLE, at(new.path, "content"), "new", "there is a body now", (place,))
    else:
        yield from _content(old / "content", new / "content", place, True, new.path)
