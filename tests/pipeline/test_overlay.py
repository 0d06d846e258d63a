"""Overlays: every action matches something and changes something, or is an error."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.pipeline.document import SpecError
from scripts.pipeline.overlay import apply_overlay

INFO = {"title": "Corrections", "version": "1"}


def overlaid(document: dict[str, Any], **action: Any) -> dict[str, Any]:
    action = {"description": "a reason", **action}
    return apply_overlay(document, {"overlay": "1.0.0", "info": INFO, "actions": [action]}, "o.yaml")


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
        ({"target": "$.a", "copy": "$.b"}, "o.yaml action 1 ($.a)/copy: unknown here"),
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
    ("changes", "message"),
    [
        ({"overlay": None}, "o.yaml: not an OpenAPI Overlay 1.0.0"),
        ({"overlay": "1.1.0"}, "o.yaml: Overlay 1.1 is not supported: write it as 1.0.0"),
        ({"actions": None}, "o.yaml#/actions: must be a list of at least one action"),
        ({"actions": []}, "o.yaml#/actions: must be a list of at least one action"),
        ({"actions": ["$.a"]}, "o.yaml action 1: must be an object"),
        ({"extends": "other.yaml"}, "o.yaml#/extends: is not supported"),
        ({"action": []}, "o.yaml#/action: unknown here"),
        ({"info": None}, "o.yaml#/info: must have a title and a version"),
        ({"info": {"title": "x"}}, "o.yaml#/info: must have a title and a version"),
        ({"info": {**INFO, "author": "x"}}, "o.yaml#/info/author: unknown here"),
    ],
)
def test_what_is_not_an_overlay_is_refused(changes: dict[str, Any], message: str) -> None:
    overlay = {"overlay": "1.0.0", "info": INFO, "actions": [{"target": "$.a", "description": "x", "remove": True}]}
    with pytest.raises(SpecError) as caught:
        apply_overlay({"a": 1}, {**overlay, **changes}, "o.yaml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("$.s[0,0]", ["b", "c"]),
        ("$.s[2,0]", ["b"]),
        ("$.s[::-1]", []),
        ("$.s[0,2,1,0]", []),
        ("$..s[?@ == 'b' || @ == 'a']", ["c"]),
    ],
)
def test_a_node_selected_twice_or_out_of_order_is_removed_once(target: str, left: list[str]) -> None:
    assert overlaid({"s": ["a", "b", "c"]}, target=target, remove=True) == {"s": left}


def test_a_key_selected_twice_is_removed_once_and_updated_once() -> None:
    assert overlaid({"o": {"x": 1, "y": 2}}, target="$.o['x','x']", remove=True) == {"o": {"y": 2}}
    assert overlaid({"o": {"x": []}}, target="$.o['x','x']", update=1) == {"o": {"x": [1]}}


def test_everything_wrong_with_several_actions_is_said_at_once() -> None:
    actions = [
        {"target": "$.nope", "description": "x", "remove": True},
        {"target": "$.a", "description": "x", "update": {"b": 2}},
        {"target": "$.a", "description": "x", "update": {"b": 2}},
    ]
    with pytest.raises(SpecError) as caught:
        apply_overlay({"a": {"b": 1}}, {"overlay": "1.0.0", "info": INFO, "actions": actions}, "o.yaml")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "o.yaml action 1 ($.nope)",
        "o.yaml action 3 ($.a)",
    ]
