"""Apply an OpenAPI Overlay 1.0, strictly: an action that matches nothing or changes nothing is an error. Pure."""

from __future__ import annotations

import copy
from typing import Any

import jsonpath

from .document import Document, SpecError, as_text, collecting, is_annotation, known, raise_all, resolve


def apply_overlay(document: Document, overlay: Document, name: str, redundant: list[str] | None = None) -> Document:
    """Apply an overlay to a copy of a document; what is wrong with several actions is reported at once.

    Args:
        document: The OpenAPI document; left as it is.
        overlay: The overlay, parsed.
        name: What to call the overlay in errors.
        redundant: Where to note an action for which there is nothing left to do; without it such an action is an error.

    Raises:
        SpecError: it is not an Overlay 1.0, or actions cannot be applied; names number, target and reason of each.
    """
    actions = _actions(overlay, name)
    result = copy.deepcopy(document)
    errors: list[SpecError] = []
    for number, action in enumerate(actions, 1):
        with collecting(errors):
            _apply(result, action, f"{name} action {number}", redundant)
    raise_all(errors)
    return result


def actions_on(document: Document, overlay: Document, name: str, pointer: str) -> list[str]:
    """The overlay actions that change the value at a JSON pointer, when the overlay is applied to a document."""
    result = copy.deepcopy(document)
    found = []
    for number, action in enumerate(overlay["actions"], 1):
        before = copy.deepcopy(resolve(pointer, result))
        _apply(result, action, name, redundant=[])
        if resolve(pointer, result) != before:
            found.append(f"{name} action {number} ({action['target']})")
    return found


def _actions(overlay: Document, name: str) -> list[Any]:
    if str(overlay.get("overlay", "")).startswith("1.1"):
        raise SpecError(name, "Overlay 1.1 is not supported: write it as 1.0.0")
    if overlay.get("overlay") != "1.0.0":
        raise SpecError(name, "not an OpenAPI Overlay 1.0.0")
    if "extends" in overlay:
        raise SpecError(f"{name}#/extends", "is not supported: which document an overlay is for is known by its name")
    known(overlay, f"{name}#", "overlay", "info", "actions")
    info = overlay.get("info")
    if not isinstance(info, dict) or not all(isinstance(info.get(key), str) for key in ("title", "version")):
        raise SpecError(f"{name}#/info", "must have a title and a version")
    known(info, f"{name}#/info", "title", "version")
    actions = overlay.get("actions")
    if not isinstance(actions, list) or not actions:
        raise SpecError(f"{name}#/actions", "must be a list of at least one action")
    return actions


def _apply(document: Document, action: Any, where: str, redundant: list[str] | None) -> None:
    if not isinstance(action, dict):
        raise SpecError(where, "must be an object")
    where = f"{where} ({action.get('target')})"
    known(action, where, "target", "description", "update", "remove")
    if not action.get("description"):
        raise SpecError(where, "has no description: say why the document needs it")
    if ("update" in action) == ("remove" in action) or action.get("remove", True) is not True:
        raise SpecError(where, "must have either update or remove: true")
    try:
        path = jsonpath.compile(str(action.get("target")), strict=True)
    except jsonpath.JSONPathError as error:
        raise SpecError(where, f"the target is not a JSONPath: {error}") from error
    assert isinstance(path, jsonpath.JSONPath)  # compound paths do not exist in strict JSONPath
    # A path may select a node more than once, and in any order.
    matches = list({match.parts: match for match in path.finditer(document)}.values())
    if not matches:
        # What is to be removed is gone, but not the place where it stood.
        if redundant is not None and "remove" in action and any(path.env.finditer(_parent(path), document)):
            redundant.append(f"{where}: the document no longer has what this removes")
            return
        raise SpecError(where, "matches nothing: the document changed, or the target is misspelt")
    if "remove" in action:
        _remove(matches, where)
    else:
        _update(matches, action["update"], where, redundant)


def _remove(matches: list[jsonpath.JSONPathMatch], where: str) -> None:
    lists: dict[int, tuple[list[Any], set[int]]] = {}
    for match in matches:
        if match.parent is None:
            raise SpecError(where, "would remove the whole document")
        parent: Any = match.parent.obj
        if isinstance(parent, list):
            lists.setdefault(id(parent), (parent, set()))[1].add(int(match.parts[-1]))
        else:
            del parent[match.parts[-1]]
    for items, gone in lists.values():
        items[:] = [item for index, item in enumerate(items) if index not in gone]


def _update(matches: list[jsonpath.JSONPathMatch], update: Any, where: str, redundant: list[str] | None) -> None:
    # Annotations beside a fact are no reason to keep an action; an action of annotations alone is held to them.
    wanted = _facts(update) or update
    idle = not any(_merge(copy.deepcopy(match.obj), wanted, where) for match in matches)
    changes = [_merge(match.obj, update, where) for match in matches]
    if redundant is not None and idle:
        redundant.append(f"{where}: the document says this itself")
    elif not any(changes):
        raise SpecError(where, "changes nothing: the document says this itself, drop the action")


def _facts(update: Any) -> Any:
    """An update without its annotations, and without what held nothing else."""
    if not isinstance(update, dict):
        return update
    facts = {key: _facts(value) for key, value in update.items() if not is_annotation(key)}
    return {key: value for key, value in facts.items() if value != {} or update[key] == {}}


def _parent(path: jsonpath.JSONPath) -> str:
    return str(jsonpath.JSONPath(env=path.env, segments=path.segments[:-1]))


def _merge(target: Any, update: Any, where: str) -> bool:
    """Merge as Overlay 1.0 does: objects by key, lists by appending, the rest by replacing. Was anything changed?"""
    if isinstance(target, list):
        if as_text(update) in map(as_text, target):
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
        elif key not in target or as_text(old) != as_text(value):
            target[key] = copy.deepcopy(value)
            changed = True
    return changed
