"""Applying an OpenAPI Overlay 1.0, strictly: an action that matches nothing or changes nothing is an error. Pure."""

from __future__ import annotations

import copy
from typing import Any

import jsonpath

from .document import Document, SpecError, is_annotation, known, resolve


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
    facts = {key: _facts(value) for key, value in update.items() if not is_annotation(key)}
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
