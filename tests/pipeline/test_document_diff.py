"""Every change is seen, named and rated, and what is no change is none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.pipeline import (
    document_diff,
    prose,
    report,
    update_spec,
)
from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import SpecError, below, is_annotation, parse, resolve, validate
from scripts.pipeline.schema_diff import Rating

from .comparing import (
    BOTH,
    LIVE,
    NEEDS_VENDOR,
    SINGLE,
    STORED,
    VENDOR,
    compare,
    examined,
    ids,
    mutated,
    shuffled,
    written,
)
from .mutations import (
    MUTATIONS,
    OPENAPI,
    REFUSED,
    V1,
    V2,
    Document,
    Edit,
    Mutation,
    add,
    drop,
    published,
    put,
    rename,
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=ids)
def test_a_change_gets_its_rating_and_is_named_with_what_it_touches(mutation: Mutation, tmp_path: Path) -> None:
    found = update_spec.examine(written(mutation.document(), tmp_path), OPENAPI).report
    text = report.markdown(found, "today")
    assert str(max(change.rating for change in found.changes)) == mutation.rating, text
    assert found.breaking == (mutation.rating == "breaking")
    assert mutation.says in text
    assert mutation.touches in text
    for change in found.changes:
        assert report.advice(found.api, change), "every change comes with what to do about it"
        assert json.loads(json.dumps(report.as_json(found)))["changes"]


@pytest.mark.parametrize("mutation", REFUSED, ids=ids)
def test_what_cannot_be_carried_over_is_refused_with_its_place(mutation: Mutation, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        update_spec.examine(written(mutation.document(), tmp_path), OPENAPI)
    assert mutation.says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_table_has_every_rating_and_no_name_twice() -> None:
    names = [mutation.name for mutation in [*MUTATIONS, *REFUSED]]
    assert len(names) == len(set(names)) > 30
    assert {mutation.rating for mutation in MUTATIONS} == {"breaking", "compatible", "text"}


def test_several_changes_at_once_are_all_there_the_worst_first() -> None:
    [busy] = [mutation for mutation in MUTATIONS if mutation.name == "a busy release"]
    assert [(str(change.rating), change.what) for change in compare(V1, busy.document())] == [
        ("breaking", "maxLength tightened, 20 is now 11"),
        ("compatible", "'expires' is new"),
        ("compatible", "'priority' is new"),
        ("compatible", "operation GET /status is new"),
        ("text", "reworded"),
        ("text", "version 1.0.0 is now 1.1.0"),
    ]
    written_out = parse((Path(__file__).parent / "specs" / "gateway-v1-busy-release.yaml").read_bytes(), "busy")
    assert written_out == busy.document(), "the document that docs/spec-changes.md tries out is this one"


KINDS = {"name": "kind", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
PARAMETERS = "paths > /messages > get > parameters"
DETAILS = "components > schemas > MessageDetails"
ANSWER = "components > responses > ResponseMessageGet"
CALLBACK = "paths > /messages > post > callbacks > reply > {$url} > post"
NUMBER, WORD = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([add(PARAMETERS, KINDS)], [add(PARAMETERS, {**KINDS, "explode": False})],
         ["breaking: how the items of 'kind' are written in the address changed"]),
        ([add(PARAMETERS, KINDS)], [add(PARAMETERS, {**KINDS, "explode": True, "style": "form"})], []),
        ([add(PARAMETERS, KINDS)], [add(PARAMETERS, {**KINDS, "deprecated": True})],
         ["compatible: deprecated none is now true"]),
        ([add(PARAMETERS, KINDS)], [add(PARAMETERS, {**KINDS, "required": True})],
         ["breaking: query parameter 'kind' is now required"]),
        ([add(PARAMETERS, {**KINDS, "schema": {"type": "array"}})], [add(PARAMETERS, KINDS)],
         ["breaking: what is in the list is now described"]),
        ([], [put("tags", [{"name": "messages"}])], ["text: the list of tags changed"]),
        ([], [drop(f"{CALLBACK} > requestBody")], ["breaking: the body is gone"]),
        ([drop(f"{CALLBACK} > requestBody")], [], ["compatible: there is a body now"]),
        ([], [drop(f"{CALLBACK} > responses > 200"), put(f"{CALLBACK} > responses > 204", {"description": "Taken"})],
         ["breaking: response 200 is gone", "compatible: response 204 is new"]),
        ([], [drop(f"{ANSWER} > content")], ["breaking: the body is gone"]),
        ([drop(f"{ANSWER} > content")], [], ["compatible: there is a body now"]),
        ([], [drop(f"{ANSWER} > content > application/json > schema")],
         ["breaking: what application/json holds is no longer described"]),
        ([put(f"{ANSWER} > headers", {"Age": {"schema": NUMBER}})], [], ["breaking: header 'age' is gone"]),
        ([put(f"{ANSWER} > headers", {"Age": {"schema": NUMBER}})],
         [put(f"{ANSWER} > headers", {"AGE": {"schema": WORD, "required": True}})],
         ["breaking: type integer is now string", "compatible: header 'age' is now required"]),
        ([put(f"{STORED} > id", {"oneOf": [NUMBER, WORD]})], [put(f"{STORED} > id", {"oneOf": [WORD]})],
         ['compatible: alternative {"type": "integer"} is gone']),
        ([put(f"{SINGLE} > properties > source", {"anyOf": [NUMBER, WORD]})],
         [put(f"{SINGLE} > properties > source", {"anyOf": [WORD, {"type": "boolean"}]})],
         ['breaking: alternative {"type": "integer"} is gone', 'compatible: alternative {"type": "boolean"} is new']),
        ([put(f"{DETAILS} > additionalProperties", NUMBER)], [put(f"{DETAILS} > additionalProperties", WORD)],
         ["breaking: type integer is now string"]),
        ([put(f"{SINGLE} > properties > sms_class", {**NUMBER, "maximum": 3, "exclusiveMaximum": True})],
         [put(f"{SINGLE} > properties > sms_class", {**NUMBER, "maximum": 3})],
         ["compatible: maximum loosened, 3 (excluded) is now 3"]),
        ([put(f"{STORED} > parent", {"$ref": "#/components/schemas/MessageDetails"})],
         [put(f"{STORED} > parent", {"$ref": "#/components/schemas/MessageDetails"}), put(f"{STORED} > cost", NUMBER)],
         ["compatible: 'cost' is new"]),
        ([], [rename(DETAILS, "Stored"), put("components > schemas > Stored > properties > parent",
                                             {"$ref": "#/components/schemas/Stored"}),
              put(f"{ANSWER} > content > application/json > schema", {"$ref": "#/components/schemas/Stored"})],
         ["compatible: 'parent' is new", "compatible: the name 'MessageDetails' is gone"]),
        ([], [put(DETAILS, {"allOf": [{"type": "object", "properties": published(V2)["components"]["schemas"]
                                                                             ["MessageDetails"]["properties"]},
                                      {"properties": {"content": {"type": "string", "nullable": True}}}]})],
         ["breaking: null is now possible"]),
        ([], [put(f"{STORED} > $ref", WORD), put(f"{STORED} > description", WORD), put(f"{STORED} > x-name", WORD)],
         ["compatible: '$ref' is new", "compatible: 'description' is new", "compatible: 'x-name' is new"]),
        ([put(f"{STORED} > description", WORD)], [put(f"{STORED} > description", NUMBER)],
         ["breaking: type string is now integer"]),
        ([], [put("components > x-words", {"a": 1})], []),
        ([], [put("security", [])], ["breaking: credentials apiKey header authorization are now not needed"] * 2),
    ],
)  # fmt: skip
def test_what_the_documents_of_today_do_not_say_is_compared_too(
    before: list[Edit], after: list[Edit], expected: list[str]
) -> None:
    old, new = mutated(V2, *before), mutated(V2, *after)
    for document in (old, new):
        validate(document, "#")
    changes = document_diff.compare(to_openapi3(old, "#"), to_openapi3(new, "#"), {})
    found = [f"{change.rating}: {change.what}" for change in changes if "words are" not in change.what]
    assert sorted(set(found)) == sorted(set(expected))


@pytest.mark.parametrize(
    ("schemas", "message"),
    [
        ({"Uuid": {"allOf": [{"$ref": "#/components/schemas/Uuid"}]}}, "#/components/schemas/Uuid: is part of itself"),
        ({"Uuid": {"$ref": "#/components/schemas/Uuid"}}, "refers to itself in a circle"),
        (
            {"Uuid": {"allOf": [{"type": "string"}, {"type": "integer"}]}},
            "#/components/schemas/Uuid/allOf/1/type: contradicts another part of its allOf: say it once",
        ),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(schemas: dict[str, Any], message: str, tmp_path: Path) -> None:
    document = published(V2)
    document["components"]["schemas"] |= schemas
    with pytest.raises(SpecError, match=message):
        compare(V2, document)
    with pytest.raises(SpecError, match=f"{message}|nested too deeply, or a .ref that leads back to itself"):
        update_spec.examine(written(document, tmp_path), OPENAPI)


def test_other_credentials_in_a_callback_are_the_receivers_to_check(tmp_path: Path) -> None:
    found = examined(tmp_path, V2, put(f"{CALLBACK} > security", [{"GatewayAuthorizer": []}]))
    [todo] = [report.advice("sms-v2", change) for change in found.changes if "credentials" in change.what]
    assert todo.startswith("the receiver checks HTTP Basic credentials")
    found = examined(tmp_path, V2, put("security", []))
    assert {report.advice("sms-v2", change) for change in found.changes if "credentials" in change.what} == {
        report.ADVICE["security"][0]
    }


def test_a_field_that_goes_and_was_never_offered_needs_nothing(tmp_path: Path) -> None:
    found = examined(tmp_path, V2, drop("paths > /openapi.yaml"))
    assert [report.advice("sms-v2", change) for change in found.changes] == [report.ADVICE["operation-gone"][0]]
    [change] = document_diff.compare(
        to_openapi3(mutated(V2, put(f"{STORED} > cost", NUMBER)), "#"), to_openapi3(published(V2), "#"), {}
    )
    assert report.advice("sms-v2", change) == "nothing: the facade does not use it"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "string", "object", "path", "#/info", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "$ref", "allOf", "items", "properties", "x"]), inner, max_size=2)
    ),
    max_leaves=3,
)


@pytest.mark.slow
@BOTH
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_anywhere_it_ends_in_a_report_or_in_one_kind_of_error(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    document = published(name)
    for _ in range(data.draw(st.integers(1, 2))):
        *above, last = data.draw(st.sampled_from(list(facts(document))))
        node: Any = document
        for key in above:
            node = node[key]
        node[last] = data.draw(values)
    try:
        report.markdown(update_spec.examine(written(document, tmp_path), OPENAPI).report, "today")
    except SpecError as error:
        assert "\n" not in str(error)


def facts(node: Any, place: tuple[str | int, ...] = (), names: bool = False) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of a document that is not words."""
    if isinstance(node, dict):
        for key, value in node.items():
            if names or not is_annotation(key):
                yield (*place, key)
                yield from facts(value, (*place, key), below(node, key, names=names))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield (*place, index)
            yield from facts(value, (*place, index))


def changed(name: str, place: tuple[str | int, ...], edit: Callable[[Any, Any], None]) -> Document:
    document = published(name)
    node: Any = document
    for key in place[:-1]:
        node = node[key]
    edit(node, place[-1])
    return document


def other(node: Any, key: Any) -> None:
    value = node[key]
    node[key] = not value if isinstance(value, bool) else value + (1 if isinstance(value, int) else "x")


def seen(name: str, document: Document) -> bool:
    try:
        return bool(compare(name, document))
    except (
        SpecError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ):  # no longer a document at all: validation says so first
        return refused(document)


def refused(document: Document) -> bool:
    try:
        validate(document, "#")
        to_openapi3(document, "#")
    except SpecError:
        return True
    return False


@pytest.mark.slow
@BOTH
def test_there_is_no_fact_whose_removal_or_change_goes_unseen(name: str) -> None:
    document = published(name)
    missed = []
    for place in facts(document):
        if not seen(name, changed(name, place, lambda node, key: node.__delitem__(key))):
            missed.append(("without", place))
        value: Any = document
        for key in place:
            value = value[key]
        if isinstance(value, (str, int)) and not seen(name, changed(name, place, other)):
            missed.append(("changed", place))
    assert {place[-3:] for _, place in missed} <= {
        # What a body parameter is called in Swagger 2.0 is said to readers and not to the wire.
        ("parameters", 0, "name"),
        # Said of the whole as well as of its parts.
        ("definitions", "Message", "type"),
        ("definitions", "MessageBroadcast", "type"),
        ("definitions", "MessageCommon", "type"),
    }
    assert len([*facts(document)]) > 100


# No false alarm ---------------------------------------------------------------------------------------------------


@BOTH
@settings(max_examples=25, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_the_order_in_which_things_stand_is_no_change(name: str, order: random.Random) -> None:
    assert compare(name, shuffled(published(name), order)) == []


@BOTH
def test_other_words_everywhere_are_rated_text_and_none_is_missed(name: str) -> None:
    def reword(node: Any, names: bool = False) -> Any:
        if isinstance(node, list):
            return [reword(value) for value in node]
        if not isinstance(node, dict):
            return node
        return {
            key: "other words" if not names and is_annotation(key) else reword(value, below(node, key, names=names))
            for key, value in node.items()
        }

    document = published(name)
    changes = compare(name, reword(document))
    assert {change.rating for change in changes} == {Rating.TEXT}
    assert len(changes) == len(prose.texts(to_openapi3(document, "#")))
    assert {change.text for change in changes} == {"other words"}


@BOTH
def test_other_line_breaks_are_no_other_words(name: str) -> None:
    text = json.dumps(published(name))
    assert compare(name, json.loads(text.replace("sent to the", "sent\\n  to  the").replace(" the ", "\\n the "))) == []


@BOTH
def test_schemas_written_out_where_they_are_used_are_no_change_on_the_wire(name: str) -> None:
    document = to_openapi3(published(name), "#")

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(value) for value in node]
        if not isinstance(node, dict):
            return node
        return inline(resolve(node["$ref"], document)) if "$ref" in node else {k: inline(v) for k, v in node.items()}

    everything = inline(document)
    assert {change.kind for change in compare(name, everything)} <= {"words"}
    everything["components"]["schemas"] = {}
    facts_only = [change for change in compare(name, everything) if change.kind != "words"]
    assert {(str(change.rating), change.kind) for change in facts_only} == {("compatible", "name")}


@NEEDS_VENDOR
@pytest.mark.parametrize("name", ["gateway-v1.swagger.json", "sms-v2.openapi.yaml"])
def test_the_vendors_own_documents_are_no_change(name: str) -> None:
    assert update_spec.examine(str(VENDOR / name), LIVE).report.changes == []


@BOTH
def test_our_own_documents_are_no_change(name: str) -> None:
    assert update_spec.examine(str(LIVE / name), LIVE).report.changes == []


@BOTH
def test_the_white_label_a_document_is_published_through_is_no_change(name: str) -> None:
    text = json.dumps(published(name)).replace("api.modicagroup.com", "API.sms.optus.com.au")
    assert compare(name, json.loads(text)) == []
