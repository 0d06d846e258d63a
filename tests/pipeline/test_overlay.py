"""Overlays: every action matches something and changes something, or is an error."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.pipeline.document import SpecError
from scripts.pipeline.overlay import apply_overlay


def overlaid(document: dict[str, Any], **action: Any) -> dict[str, Any]:
    action = {"description": "a reason", **action}
    return apply_overlay(document, {"overlay": "1.0.0", "info": {}, "actions": [action]}, "o.yaml")


def test_an_update_merges_objects_appends_to_lists_and_replaces_the_rest() -> None:
    document = {"a": {"b": 1, "c": [1], "d": {"e": 2}}, "f": 3}
    update = {"b": 2, "c": [2], "d": {"g": [4]}, "h": {}}
    assert overlaid(document, target="$.a", update=update) == {
        "a": {"b": 2, "c": [1, 2], "d": {"e": 2, "g": [4]}, "h": {}},
        "f": 3,
    }
    assert document == {"a": {"b": 1, "c": [1], "d": {"e": 2}}, "f": 3}
    assert overlaid({"a": [1]}, target="$.a", update={"b": 1}) == {"a": [1, {"b": 1}]}


def test_an_action_applies_to_everything_its_target_selects() -> None:
    document = {"a": {"x": {"k": 1}, "y": {"k": 2}}, "b": [{"k": 3}, {"k": 4}, {"l": 5}]}
    assert overlaid(document, target="$.a.*", update={"z": 0}) == {
        "a": {"x": {"k": 1, "z": 0}, "y": {"k": 2, "z": 0}},
        "b": document["b"],
    }
    assert overlaid(document, target="$.b[?@.k]", remove=True) == {"a": document["a"], "b": [{"l": 5}]}
    assert overlaid(document, target="$..k", remove=True) == {"a": {"x": {}, "y": {}}, "b": [{}, {}, {"l": 5}]}


def test_what_an_update_adds_is_not_shared_between_its_places() -> None:
    result = overlaid({"a": {}, "b": {}}, target="$.*", update={"c": {"d": 1}})
    result["a"]["c"]["d"] = 2
    assert result["b"] == {"c": {"d": 1}}


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"target": "$.nope", "remove": True}, "o.yaml action 1 ($.nope): matches nothing"),
        ({"target": "$.nope", "update": {"a": 1}}, "o.yaml action 1 ($.nope): matches nothing"),
        ({"target": "$.a", "update": {}}, "o.yaml action 1 ($.a): changes nothing"),
        ({"target": "$.a", "update": {"b": 1, "c": [1]}}, "o.yaml action 1 ($.a): changes nothing"),
        ({"target": "$.a.c", "update": 1}, "o.yaml action 1 ($.a.c): changes nothing"),
        ({"target": "$.a.b", "update": {"c": 1}}, "o.yaml action 1 ($.a.b): an update needs an object or a list"),
        ({"target": "$.a", "update": 1}, "o.yaml action 1 ($.a): an update needs an object or a list"),
        ({"target": "$.a", "update": {"b": {}}}, "o.yaml action 1 ($.a): cannot merge 'b'"),
        ({"target": "$.a", "update": {"c": 1}}, "o.yaml action 1 ($.a): cannot merge 'c'"),
        ({"target": "$", "remove": True}, "o.yaml action 1 ($): would remove the whole document"),
        ({"target": "$.a[", "remove": True}, "o.yaml action 1 ($.a[): the target is not a JSONPath"),
        ({"target": "a", "remove": True}, "o.yaml action 1 (a): the target is not a JSONPath"),
        ({"remove": True}, "o.yaml action 1 (None): the target is not a JSONPath"),
        ({"target": "$.a"}, "o.yaml action 1 ($.a): must have either update or remove: true"),
        ({"target": "$.a", "remove": False}, "o.yaml action 1 ($.a): must have either update or remove: true"),
        ({"target": "$.a", "remove": True, "update": {}}, "o.yaml action 1 ($.a): must have either update or remove"),
        ({"target": "$.a", "remove": True, "description": ""}, "o.yaml action 1 ($.a): has no description"),
        ({"target": "$.a", "copy": "$.b"}, "o.yaml action 1/copy: unknown here"),
    ],
)
def test_an_action_that_does_nothing_or_cannot_be_done_is_an_error(action: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        overlaid({"a": {"b": 1, "c": [1]}}, **action)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_number_does_not_pass_for_a_boolean() -> None:
    assert overlaid({"a": {"b": True}}, target="$.a", update={"b": 1})["a"]["b"] is not True


@pytest.mark.parametrize(
    "overlay", [{}, {"overlay": "1.1.0", "actions": [{}]}, {"overlay": "1.0.0"}, {"overlay": "1.0.0", "actions": []}]
)
def test_what_is_not_an_overlay_is_refused(overlay: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^o\.yaml: not an OpenAPI Overlay 1\.0\.0 with actions"):
        apply_overlay({}, overlay, "o.yaml")
