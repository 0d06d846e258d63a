"""Which parts of a document are words and which are facts; the vendor's words are never kept, only recognised.

The files in openapi/published/ state the vendor's facts in this project's words. A fingerprint of each of the vendor's
own texts lets a later document be told "reworded here" without a copy of the text. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .apis import OWN_HOST, WHITE_LABELS
from .document import Document, at, is_annotation

# The keys below which names stand instead of keywords: a property may be called "description".
_NAMES = frozenset(
    {"paths", "definitions", "properties", "responses", "parameters", "headers", "securityDefinitions", "schemas",
     "requestBodies", "securitySchemes", "content", "callbacks"}
)  # fmt: skip


def texts(document: Document) -> dict[str, Any]:
    """Every word of a document by its JSON pointer; items of lists count by their name, so that order is no matter."""
    return dict(_texts(document, "#", names=False))


def _texts(node: Any, where: str, names: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for token, value in zip(tokens(node), node, strict=True):
            yield from _texts(value, at(where, token), names=False)
    elif isinstance(node, dict):
        for key, value in node.items():
            if not names and is_annotation(key):
                yield at(where, key), value
            else:
                yield from _texts(value, at(where, key), below(node, key, names))


def below(node: Document, key: str, names: bool) -> bool:
    """Are the keys of `node[key]` names? `names` says whether those of `node` are."""
    if names:
        # callbacks: a name, then an address, then what a path is; both of these are names.
        return isinstance(node[key], dict) and any("{$" in inner or "://" in inner for inner in node[key])
    return key in _NAMES


def tokens(items: list[Any]) -> list[str]:
    """What to call each item of a list, whatever its place in it."""
    result = []
    rest = 0
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            result.append(f"{item.get('in', '')}:{item['name']}")
        elif isinstance(item, dict) and "$ref" in item:
            result.append(str(item["$ref"]))
        else:
            result.append(str(rest))
            rest += 1
    return result


def fingerprint(word: Any) -> str:
    """A text that only its author can recognise; how it is wrapped does not matter."""
    text = " ".join(word.split()) if isinstance(word, str) else json.dumps(word, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprints(document: Document) -> dict[str, str]:
    """The fingerprint of every word of a document, by its JSON pointer."""
    return {pointer: fingerprint(word) for pointer, word in texts(document).items()}


def reworded(old: Document, new: Document, known: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Where `new` has words that are neither those of `old` nor those last seen at the vendor (`known`).

    Yields:
        The JSON pointer, what happened there, and the new words (None when they are gone). Places that are new or gone
        altogether are not in it: those are facts.
    """
    before, after = texts(old), texts(new)
    places = _places(old) & _places(new)
    for pointer in sorted({*before, *after, *known}):
        if pointer.rpartition("/")[0] not in places:
            continue
        now = fingerprint(after[pointer]) if pointer in after else None
        if now in (known.get(pointer), fingerprint(before[pointer]) if pointer in before else None):
            continue
        what = "words are gone" if now is None else "reworded" if {pointer} & {*known, *before} else "words are new"
        yield pointer, what, after.get(pointer)


def _places(document: Document) -> set[str]:
    """The JSON pointers of every object of a document, as `words` spells them."""

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
    """The vendor's facts in our words: where we have none yet nothing is said, and nothing of theirs is taken over.

    Keys and lists keep the order they have here, so that the difference to what was there is what changed.
    """
    result: Document = _restate(theirs, ours, "", names=False)
    result["info"].setdefault("title", "Modica")
    if theirs.get("host") in WHITE_LABELS:
        result["host"] = OWN_HOST
    for server in result.get("servers", []):
        address = urlsplit(server["url"])
        if address.hostname in WHITE_LABELS:
            server["url"] = address._replace(netloc=OWN_HOST).geturl()
    return result


def _restate(theirs: Any, ours: Any, key: str, names: bool) -> Any:
    if isinstance(theirs, list):
        return _restate_list(theirs, ours if isinstance(ours, list) else [])
    if not isinstance(theirs, dict):
        return theirs
    ours = ours if isinstance(ours, dict) else {}
    order = [*(name for name in ours if name in theirs or not names), *(name for name in theirs if name not in ours)]
    result: Document = {}
    for name in order:
        if not names and is_annotation(name):
            if name in ours:
                result[name] = ours[name]
        elif name in theirs:
            result[name] = _restate(theirs[name], ours.get(name), name, below(theirs, name, names))
            if names and key == "responses" and "$ref" not in theirs[name]:
                # The one description that must be there.
                result[name] = {"description": f"Answer {name}.", **result[name]}
    return result


def _restate_list(theirs: list[Any], ours: list[Any]) -> list[Any]:
    if not any(isinstance(item, dict) for item in theirs):
        return [*(item for item in ours if item in theirs), *(item for item in theirs if item not in ours)]
    before = dict(zip(tokens(ours), ours, strict=True))
    after = dict(zip(tokens(theirs), theirs, strict=True))
    order = [*(token for token in before if token in after), *(token for token in after if token not in before)]
    return [_restate(after[token], before.get(token), "", names=False) for token in order]
