"""The texts of a document: the vendor's are never kept, only recognised. Pure.

The files in openapi/published/ state the vendor's facts in this project's own prose. A fingerprint of each of the
vendor's texts (descriptions, titles, examples, extensions) lets a later document be told "reworded here" without a copy
of the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .apis import canonical_address
from .document import Document, as_text, at, below, is_annotation


def texts(document: Document) -> dict[str, Any]:
    """Every annotation of a document by its JSON pointer; items of lists count by their name, whatever their order."""
    return dict(_texts(document, "#", names=False))


def _texts(node: Any, where: str, *, names: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for token, value in zip(tokens(node), node, strict=True):
            yield from _texts(value, at(where, token), names=False)
    elif isinstance(node, dict):
        for key, value in node.items():
            if not names and is_annotation(key):
                yield at(where, key), value
            else:
                yield from _texts(value, at(where, key), names=below(node, key, names=names))


def tokens(items: list[Any]) -> list[str]:
    """What to call each item of a list, independent of its position; no two have the same name."""
    result: list[str] = []
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            token = f"{item.get('in', '')}:{item['name']}"
        else:
            token = str(item["$ref"]) if isinstance(item, dict) and "$ref" in item else ""
        number = sum(other.rpartition("#")[0] == token or other == token for other in result)
        result.append(token if token and not number else f"{token}#{number}" if token else str(number))
    return result


def fingerprint(text: Any) -> str:
    """A hash that only the author of a text can recognise; how it is wrapped does not matter."""
    plain = " ".join(text.split()) if isinstance(text, str) else json.dumps(text, sort_keys=True)
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()[:16]


def fingerprints(document: Document) -> dict[str, str]:
    """The fingerprint of every text of a document, by its JSON pointer."""
    return {pointer: fingerprint(text) for pointer, text in texts(document).items()}


def reworded(old: Document, new: Document, known: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Where `new` has texts that are neither those of `old` nor those last seen at the vendor (`known`).

    Yields:
        The JSON pointer, what happened there, and the new text (None when it is gone). Objects that are new or gone
        altogether are not in it: those are facts.
    """
    before, after = texts(old), texts(new)
    objects = _objects(old) & _objects(new)
    for pointer in sorted({*before, *after, *known}):
        if pointer.rpartition("/")[0] not in objects:
            continue
        now = fingerprint(after[pointer]) if pointer in after else None
        if now in (known.get(pointer), fingerprint(before[pointer]) if pointer in before else None):
            continue
        what = "words are gone" if now is None else "reworded" if {pointer} & {*known, *before} else "words are new"
        yield pointer, what, after.get(pointer)


def _objects(document: Document) -> set[str]:
    """The JSON pointers of every object of a document, as `texts` has them."""

    def walk(node: Any, where: str) -> Iterator[str]:
        if isinstance(node, list):
            for token, value in zip(tokens(node), node, strict=True):
                yield from walk(value, at(where, token))
        elif isinstance(node, dict):
            yield where
            for key, value in node.items():
                yield from walk(value, at(where, key))

    return set(walk(document, "#"))


def restate(theirs: Document, ours: Document) -> Document:
    """The vendor's facts in our prose: where we have none yet nothing is said, and nothing of theirs is taken over.

    Keys and lists keep the order they have here, so that the difference to what was there is what changed.
    """
    result: Document = _restate(theirs, ours, "", names=False)
    result["info"].setdefault("title", "Modica")
    if "swagger" in result:
        # What ours may say of a path, when it was published as OpenAPI.
        for item in result["paths"].values():
            item.pop("summary", None)
            item.pop("description", None)
    if "host" in result:
        result["host"] = urlsplit(canonical_address(f"{result['schemes'][0]}://{result['host']}")).netloc
    for server in result.get("servers", []):
        server["url"] = canonical_address(server["url"])
    return result


def _restate(theirs: Any, ours: Any, key: str, *, names: bool) -> Any:
    if isinstance(theirs, list):
        return _restate_list(theirs, ours if isinstance(ours, list) else [])
    if not isinstance(theirs, dict):
        return theirs
    if not names and isinstance(theirs.get("$ref"), str):
        return {"$ref": theirs["$ref"]}  # what stands beside it is read by nobody
    ours = ours if isinstance(ours, dict) else {}
    order = [*(name for name in ours if name in theirs or not names), *(name for name in theirs if name not in ours)]
    result: Document = {}
    for name in order:
        if not names and is_annotation(name):
            if name in ours:
                result[name] = ours[name]
        elif name in theirs:
            result[name] = _restate(theirs[name], ours.get(name), name, names=below(theirs, name, names=names))
            if names and key == "responses" and "$ref" not in theirs[name]:
                # The one description that must be there.
                result[name] = {"description": f"Response {name}.", **result[name]}
    return result


def _restate_list(theirs: list[Any], ours: list[Any]) -> list[Any]:
    if not any(isinstance(item, dict) for item in theirs):
        kept, told = ({as_text(item) for item in items} for items in (theirs, ours))
        new = [item for item in theirs if as_text(item) not in told]
        return [*(item for item in ours if as_text(item) in kept), *new]
    before = dict(zip(tokens(ours), ours, strict=True))
    after = dict(zip(tokens(theirs), theirs, strict=True))
    order = [*(token for token in before if token in after), *(token for token in after if token not in before)]
    return [_restate(after[token], before.get(token), "", names=False) for token in order]
