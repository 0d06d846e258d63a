"""The day the vendor changes a document: every change is seen and rated, and it is taken over whole or not at all."""

from __future__ import annotations

import copy
import functools
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.pipeline import (
    conformance,
    document_diff,
    download,
    prose,
    regenerate,
    report,
    update_spec,
    upgrade_generator,
)
from scripts.pipeline.apis import APIS, Api
from scripts.pipeline.contract import surface
from scripts.pipeline.convert import to_openapi3
from scripts.pipeline.document import SpecError, below, dump, is_annotation, parse, resolve, validate
from scripts.pipeline.overlay import apply_overlay
from scripts.pipeline.schema_diff import Change, Location, Rating

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
    replace_text,
)

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "openapi"
VENDOR = ROOT.parent / "shared" / "specs"
NEEDS_VENDOR = pytest.mark.skipif(not VENDOR.is_dir(), reason="the vendor's own documents are not part of the project")
BOTH = pytest.mark.parametrize("name", [V1, V2])
KNOWN = {
    V1: json.loads((OPENAPI / update_spec.FINGERPRINTS).read_bytes())["gateway-v1"],
    V2: json.loads((OPENAPI / update_spec.FINGERPRINTS).read_bytes())["sms-v2"],
}


def compare(name: str, document: Document) -> list[Change]:
    """The changes from a published document to another."""
    return document_diff.compare(converted(name), to_openapi3(document, "#"), KNOWN[name])


@functools.cache
def converted(name: str) -> Document:
    return to_openapi3(published(name), "#")


def mutated(name: str, *edits: Callable[[Document], None]) -> Document:
    document = published(name)
    for edit in edits:
        edit(document)
    return document


def written(document: Document, folder: Path, name: str = "new.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def ids(mutation: Mutation) -> str:
    return mutation.name


COMMON = "definitions > MessageCommon > properties"
STORED = "components > schemas > MessageDetails > properties"
SINGLE = "components > schemas > SingleMessage"


# Every change is seen and rated -----------------------------------------------------------------------------------


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
                yield from facts(value, (*place, key), below(node, key, names))
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


def shuffled(node: Any, order: random.Random) -> Any:
    if isinstance(node, dict):
        items = [(key, shuffled(value, order)) for key, value in node.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(node, list):
        return order.sample([shuffled(value, order) for value in node], len(node))
    return node


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
            key: "other words" if not names and is_annotation(key) else reword(value, below(node, key, names))
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


# What the report says ---------------------------------------------------------------------------------------------


def examined(tmp_path: Path, name: str, *edits: Callable[[Document], None]) -> report.Report:
    document = published(name)
    for edit in edits:
        edit(document)
    return update_spec.examine(written(document, tmp_path), OPENAPI).report


def test_new_operations_and_fields_that_the_facade_does_not_offer_are_listed(tmp_path: Path) -> None:
    found = examined(
        tmp_path,
        V2,
        put("components > schemas > MessageDetails > properties > operator", {"type": "string"}),
        put("components > schemas > SingleMessage > properties > expires", {"type": "string"}),
        put("components > schemas > StatusCallback > properties > reference", {"type": "string"}),
        put("paths > /balance", {"get": {"responses": {"200": {"description": "Left"}}}}),
    )
    assert found.not_offered == [
        "'operator' is new (GET /messages, response 200, operator)",
        "'expires' is new (POST /messages, request, expires)",
        "operation GET /balance is new (GET /balance)",
    ]
    assert "### Not offered by the facade\n\n- 'operator' is new" in report.markdown(found, "today")


def test_the_vendors_new_words_are_shown_but_not_written_into_a_file(tmp_path: Path) -> None:
    found = examined(tmp_path, V1, put("info > description", "Now with\n pigeons."))
    assert 'now "Now with pigeons."' in report.markdown(found, "today", with_text=True)
    assert "pigeons" not in report.markdown(found, "today")
    assert report.as_json(found)["changes"][0]["text"] == "Now with\n pigeons."


@pytest.mark.parametrize(
    ("api", "place", "expected"),
    [
        ("gateway-v1", Location("POST /messages", "request", "class"), "Modica.send(class_)"),
        (
            "gateway-v1", Location("POST /messages/broadcast", "request", "destination[]"),
            "Modica.broadcast(destinations)",
        ),
        (
            "gateway-v1", Location("POST /messages/broadcast", "response 201", "[].message"),
            "Modica.broadcast: BroadcastOutcome.reason",
        ),
        ("gateway-v1", Location("GET /messages/{number}", "path", "number"), "Modica.get(message_id)"),
        (
            "gateway-v1", Location("POST /messages", "response 201", "header location"),
            "Modica.send: SubmittedMessage.location",
        ),
        ("gateway-v1", Location("POST /messages", "response default", "code"), "Modica.send: GatewayError"),
        ("gateway-v1", Location("POST /messages", "request"), "Modica.send"),
        ("gateway-v1", Location(), "every call"),
        ("gateway-v1", Location("PUT /messages"), None),
        ("sms-v2", Location("GET /messages", "query", "id"), "ModicaV2.get(message_id)"),
        ("sms-v2", Location("POST /messages", "path", "x"), None),
        ("sms-v2", Location("POST /messages", "callback status response 200"), "parse_callback"),
        ("sms-v2", Location("POST /messages", "callback status", "id"), "parse_callback: DeliveryReceipt.message_id"),
        ("sms-v2", Location("POST /messages", "callback click"), None),
    ],
)  # fmt: skip
def test_a_place_in_a_document_leads_to_what_the_facade_makes_of_it(
    api: str, place: Location, expected: str | None
) -> None:
    assert surface(api, place) == expected


# The vendor's facts in our words ----------------------------------------------------------------------------------


@NEEDS_VENDOR
@pytest.mark.parametrize(("ours", "theirs"), [(V1, "gateway-v1.swagger.json"), (V2, "sms-v2.openapi.yaml")])
def test_the_vendors_document_restated_is_our_published_file(ours: str, theirs: str) -> None:
    document = parse((VENDOR / theirs).read_bytes(), theirs)
    live = parse((LIVE / ours).read_bytes(), ours)
    assert dump(prose.restate(document, live)) == dump(live)


@BOTH
def test_a_published_file_stands_as_the_pipeline_writes_it_so_that_a_change_shows_alone(name: str) -> None:
    text = (LIVE / name).read_text(encoding="utf-8")
    facts = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert facts == dump(parse(text.encode(), name))


def test_nothing_of_the_vendors_words_is_taken_over_and_every_fact_is() -> None:
    theirs = copy.deepcopy(published(V2))
    secret = "the vendor's very own words"
    new = {
        "type": "string",
        "description": secret,
        "example": secret,
        "maxLength": 3,
        "title": secret,
        "x-note": secret,
    }
    for edit in (
        put("components > schemas > SingleMessage > properties > description", new),
        put("paths > /balance", {"get": {"summary": secret, "responses": {"200": {"description": secret}}}}),
        put("info > contact", {"name": secret}),
        put("info > title", secret),
        put("components > schemas > Uuid > description", secret),
        put("servers", [{"url": "https://api.sms.optus.com.au/rest/sms/v2", "description": secret}]),
    ):
        edit(theirs)
    ours = published(V2)
    restated = prose.restate(shuffled(theirs, random.Random(1)), ours)
    validate(restated, "#")
    assert secret not in json.dumps(restated)
    assert restated["components"]["schemas"]["SingleMessage"]["properties"]["description"] == {
        "type": "string",
        "maxLength": 3,
    }
    assert restated["paths"]["/balance"]["get"]["responses"] == {"200": {"description": "Response 200."}}
    assert restated["components"]["schemas"]["Uuid"] == ours["components"]["schemas"]["Uuid"]
    assert restated["info"] == ours["info"]
    assert restated["servers"] == ours["servers"]
    del restated["paths"]["/balance"], restated["components"]["schemas"]["SingleMessage"]["properties"]["description"]
    assert dump(restated) == dump(ours), "all else stands where it stood"


def test_an_address_that_is_no_known_white_label_is_a_fact() -> None:
    theirs = {**published(V1), "host": "api.example.com"}
    assert prose.restate(theirs, published(V1))["host"] == "api.example.com"


# Where a document is read from ------------------------------------------------------------------------------------


class Pages(http.server.BaseHTTPRequestHandler):
    pages: dict[str, tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        status, headers, body = self.pages.get(self.path, (404, {}, b"no"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class has this signature
        """Say nothing."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, tuple[int, dict[str, str], bytes]]]]:
    """A web site on this machine: its address, and its pages to fill in."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Handler", (Pages,), {"pages": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_document_is_read_from_the_web(site: Any) -> None:
    address, pages = site
    pages["/v1.yaml"] = (200, {}, b"swagger: '2.0'")
    pages["/moved"] = (302, {"Location": "/v1.yaml"}, b"")
    assert download.read(f"{address}/v1.yaml") == b"swagger: '2.0'"
    assert download.read(f"{address}/moved") == b"swagger: '2.0'"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((404, {}, b""), "answered HTTP 404"),
        ((503, {}, b""), "answered HTTP 503"),
        ((200, {"Content-Length": "100"}, b"swagger: '2.0'"), "cannot be read: cut short: 14 of 100 bytes came"),
        ((200, {"Content-Length": "x"}, b""), "cannot be read: "),
        ((200, {}, b"x" * (download.MAX_BYTES + 1)), "is larger than 4 MiB"),
        ((302, {"Location": "http://example.com/v1.yaml"}, b""), "must be an https address"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "answered HTTP 302"),
        ((302, {"Location": "/page"}, b""), "answered HTTP 302"),
        ((302, {"Location": "https://user:canary@127.0.0.1:1/"}, b""), "must not hold credentials"),
    ],
)
def test_what_does_not_come_whole_from_where_it_may_come_is_refused(page: Any, message: str, site: Any) -> None:
    address, pages = site
    pages["/page"] = page
    with pytest.raises(SpecError, match=message) as caught:
        download.read(f"{address}/page")
    assert "\n" not in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_site_that_takes_too_long_is_given_up(site: Any) -> None:
    address, pages = site
    pages["/page"] = (200, {}, b"swagger: '2.0'")
    with pytest.raises(SpecError, match=r"cannot be read: took longer than 1e-09 seconds|timed out"):
        download.read(f"{address}/page", seconds=1e-9)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:canary@example.com/x",
        "http://",
    ],
)
def test_an_address_that_is_not_https_or_holds_credentials_is_refused_unread(address: str) -> None:
    with pytest.raises(SpecError, match="must ") as caught:
        download.read(address)
    assert "canary" not in str(caught.value)


def test_a_file_is_called_by_its_bare_name_and_bounded_like_a_page(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"x" * (download.MAX_BYTES + 1))
    with pytest.raises(SpecError, match=r"^big\.yaml: is larger"):
        download.read(str(tmp_path / "big.yaml"))
    with pytest.raises(SpecError, match=r"^none\.yaml: cannot be read: .*No such file"):
        download.read(str(tmp_path / "none.yaml"))


def test_the_default_addresses_are_those_of_the_sources() -> None:
    text = (LIVE / update_spec.SOURCES).read_text(encoding="utf-8")
    for api in APIS:
        assert f"`{Path(api.published).name}` | <{api.source}>" in text


# Taking a document over -------------------------------------------------------------------------------------------


GENERATED: dict[str, dict[str, bytes]] = {
    json.dumps(parse((LIVE / api.product).read_bytes(), api.product)): regenerate.read_tree(
        ROOT / "generated" / api.package
    )
    for api in APIS
}
generate = regenerate.generate


def generate_once(product: Document, api: Api, package: Path) -> None:
    """The generator, run once for each document: test_regenerate.py shows that it always makes the same of it."""
    key = json.dumps(product)
    if key not in GENERATED:
        generate(product, api, package)
        GENERATED[key] = regenerate.read_tree(package)
    for name, data in GENERATED[key].items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(data)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything the pipeline reads and writes, as the documents of the table make it."""
    monkeypatch.setattr(regenerate, "generate", generate_once)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    regenerate.build(OPENAPI, workspace)
    shutil.copytree(OPENAPI, workspace / "openapi", dirs_exist_ok=True)
    shutil.copytree(ROOT / "scripts", workspace / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return workspace


@pytest.fixture
def update(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs update_spec.py on the workspace: exit status, what it printed, what it complained of."""
    monkeypatch.setattr(update_spec, "ROOT", workspace)

    def update(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["update_spec.py", *arguments])
        code = update_spec.main()
        return (code, *capsys.readouterr())

    return update


def check(workspace: Path) -> tuple[int, str]:
    """Run `make check-generated` on the workspace."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.pipeline.regenerate", "--check"],
        cwd=workspace,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lines_changed(before: str, after: str) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    return [f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old]


def test_a_changed_document_is_taken_over_whole_and_only_what_changed_changes(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    vendors = shuffled(
        mutated(
            V1,
            put("info > version", "1.1.0"),
            put("info > description", "The vendor's own words."),
            put("host", "api.sms.optus.com.au"),
            put(f"{COMMON} > mask > maxLength", 11),
            put(f"{COMMON} > priority", {"type": "integer", "description": "The vendor's own words."}),
        ),
        random.Random(7),
    )
    before = regenerate.read_tree(workspace)
    code, out, err = update(written(vendors, tmp_path))
    assert (code, err) == (0, "")
    after = regenerate.read_tree(workspace)
    assert sorted(name for name in {*before, *after} if before.get(name) != after.get(name)) == [
        "generated/modica_gateway_v1/models/message_common.py",
        "generated/modica_gateway_v1/models/new_broadcast.py",
        "generated/modica_gateway_v1/models/new_message.py",
        "openapi/CHANGES.md",
        "openapi/gateway-v1.openapi.yaml",
        "openapi/lock.json",
        "openapi/published/SOURCES.md",
        "openapi/published/fingerprints.json",
        "openapi/published/gateway-v1.swagger.yaml",
    ]
    old, new = (tree["openapi/published/gateway-v1.swagger.yaml"].decode() for tree in (before, after))
    assert lines_changed(old, new) == [
        "-  version: 1.0.0",
        "-        maxLength: 20",
        "+  version: 1.1.0",
        "+        maxLength: 11",
        "+      priority:",
    ]
    assert b"vendor's own words" not in b"".join(after.values())
    assert 'now "The vendor\'s own words."' in out
    assert "1 breaking, 1 compatible, 2 text." in out
    assert "touches `Modica.send(mask)`, `Modica.broadcast(mask)`" in out
    assert out.splitlines()[-1].startswith("Taken over: ")
    changes = after["openapi/CHANGES.md"].decode()
    assert changes.startswith("# What changed in the published documents\n")
    assert "- **maxLength tightened, 20 is now 11**" in changes
    assert check(workspace) == (0, "openapi/ and generated/ are what the pipeline makes\n")
    assert update(written(vendors, tmp_path)) == (0, "new.json: no change to gateway-v1\n", "")
    assert regenerate.read_tree(workspace) == after


def test_reports_pile_up_newest_first(workspace: Path, tmp_path: Path, update: Any) -> None:
    assert update(written(mutated(V1, put("info > version", "1.1.0")), tmp_path))[0] == 0
    assert update(written(mutated(V2, put("info > version", "1.2.0")), tmp_path))[0] == 0
    changes = (workspace / "openapi" / "CHANGES.md").read_text(encoding="utf-8")
    assert changes.count("# What changed in the published documents") == 1
    assert 0 < changes.index("version 1.0.0 is now 1.2.0") < changes.index("version 1.0.0 is now 1.1.0")


def test_both_documents_can_be_taken_over_at_once_but_not_one_twice(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    first = written(mutated(V1, put("info > version", "1.1.0")), tmp_path, "v1")
    second = written(mutated(V2, put("info > version", "1.2.0")), tmp_path, "v2")
    before = regenerate.read_tree(workspace)
    assert update(first, first) == (
        2,
        "",
        "update-spec: v1, v1: two documents of one service: give one; nothing was changed\n",
    )
    assert regenerate.read_tree(workspace) == before
    assert update(first, second)[0] == 0
    after = regenerate.read_tree(workspace)
    assert b"version: 1.1.0" in after["openapi/gateway-v1.openapi.yaml"]
    assert b"version: 1.2.0" in after["openapi/sms-v2.openapi.yaml"]


def test_v1_as_openapi_3_1_gives_the_same_client(workspace: Path, tmp_path: Path, update: Any) -> None:
    document = {**to_openapi3(published(V1), "#"), "openapi": "3.1.0"}
    document["components"]["schemas"]["MessageCommon"]["properties"]["reference"] = {"type": ["string", "null"]}
    before = regenerate.read_tree(workspace / "generated")
    code, out, err = update(written(document, tmp_path))
    assert (code, err) == (0, "")
    assert "published as OpenAPI 3.1, before as Swagger 2.0" in out
    after = regenerate.read_tree(workspace / "generated")
    assert sorted(name for name in before if before[name] != after[name]) == [
        "modica_gateway_v1/models/message_common.py",
        "modica_gateway_v1/models/new_broadcast.py",
        "modica_gateway_v1/models/new_message.py",
    ]
    assert b"reference: None | str | Unset = UNSET" in after["modica_gateway_v1/models/new_message.py"]
    assert check(workspace)[0] == 0
    stated = (workspace / "openapi" / V1).read_text(encoding="utf-8")
    assert "openapi: 3.1.0" in stated
    assert "description: Submit one message for one destination." in stated, "our words moved along"


def test_other_words_alone_change_no_fact_and_are_reported_once(workspace: Path, tmp_path: Path, update: Any) -> None:
    document = mutated(V2, put("components > schemas > Uuid > description", "Any UUID."))
    before = regenerate.read_tree(workspace)
    code, out, _ = update(written(document, tmp_path))
    assert (code, out.count("reworded")) == (0, 1)
    after = regenerate.read_tree(workspace)
    assert sorted(name for name in after if before.get(name) != after[name]) == [
        "openapi/CHANGES.md",
        "openapi/published/SOURCES.md",
        "openapi/published/fingerprints.json",
    ]
    assert update(written(document, tmp_path))[1] == "new.json: no change to sms-v2\n"


REFERENCE = f"{COMMON} > reference"


@pytest.mark.parametrize(
    ("name", "edits", "cause"),
    [
        pytest.param(
            V1,
            [drop(REFERENCE)],
            "update-spec: Modica.send(reference) needs NewMessage.reference: str | Unset, and there is none; spec path "
            "gateway-v1.openapi.yaml#/components/schemas/MessageCommon/properties/reference, shaped by no action of "
            "overlays/gateway-v1.overlay.yaml (the first of 2 in the way); nothing was changed",
            id="the facade needs a field that is gone",
        ),
        pytest.param(
            V2,
            [drop(f"{STORED} > direction")],
            "update-spec: overlays/sms-v2.overlay.yaml action 16 ($.components.schemas.MessageDetails.properties."
            "direction.enum): matches nothing: the document changed, or the target is misspelt (the first of 2 in the "
            "way); nothing was changed",
            id="an overlay action matches nothing",
        ),
        pytest.param(
            V1,
            [rename("paths > /messages > post > responses > 201", "202")],
            "update-spec: overlays/gateway-v1.overlay.yaml action ",
            id="success has another number",
        ),
        pytest.param(
            V2,
            [
                put("paths > /messages > put", {
                    "operationId": "put", "tags": ["messages"],
                    "requestBody": {"content": {"application/pdf": {"schema": {"type": "string"}}}},
                    "responses": {"200": {"description": "Done"}},
                }),
            ],
            "update-spec: sms-v2.openapi.yaml: openapi_python_client failed: ",
            id="an endpoint the generator would drop",
        ),
        pytest.param(
            V1,
            [put("paths > /messages > post > parameters > 0 > in", "formData")],
            "update-spec: new.json#/paths/~1messages/post/parameters/0: not a valid document: ",
            id="an invalid document",
        ),
        pytest.param(
            V1,
            [put("swagger", "3.0")],
            "update-spec: new.json#: version '3.0' cannot be read: Swagger 2.0, OpenAPI 3.0 and OpenAPI 3.1 can; "
            "nothing was changed",
            id="an unsupported version",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_leaves_every_byte_and_says_why_on_one_line(
    name: str, edits: list[Any], cause: str, workspace: Path, tmp_path: Path, update: Any
) -> None:
    before = regenerate.read_tree(workspace)
    code, out, err = update(written(mutated(name, *edits), tmp_path))
    assert code == 2
    assert err.startswith(cause), err
    assert err.endswith("; nothing was changed\n")
    assert err.count("\n") == 1
    if out:
        assert "### In the way\n\n- " in out, "the report is given all the same"
    assert regenerate.read_tree(workspace) == before
    assert sorted(path.name for path in workspace.iterdir()) == ["generated", "openapi", "scripts"]


@pytest.mark.parametrize(
    "data",
    [b"", b"<html><body>Sign in</body></html>", b"\xff\xfe", b'{"swagger": "2.0"', b"[" * 5000, b'{"swagger": "2.0"}',
     b'{"a":' * 900 + b"1" + b"}" * 900],
    ids=["empty", "HTML", "not text", "cut", "deep", "bare", "deep and whole"],
)  # fmt: skip
def test_what_is_no_document_changes_nothing(data: bytes, workspace: Path, tmp_path: Path, update: Any) -> None:
    (tmp_path / "new.yaml").write_bytes(data)
    before = regenerate.read_tree(workspace)
    code, out, err = update(str(tmp_path / "new.yaml"))
    assert (code, out) == (2, "")
    assert all(line.startswith("update-spec: new.yaml") for line in err.splitlines())
    assert err.endswith("; nothing was changed\n")
    assert regenerate.read_tree(workspace) == before


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_a_document_cut_at_any_line_is_refused(api: Api, tmp_path: Path) -> None:
    lines = (OPENAPI / api.published).read_bytes().splitlines(keepends=True)
    overlay = parse((OPENAPI / api.overlay).read_bytes(), api.overlay)
    for count in range(len(lines)):
        (tmp_path / "cut.yaml").write_bytes(b"".join(lines[:count]))
        with pytest.raises(SpecError):  # noqa: PT012 - which of the two notices is no matter
            candidate = update_spec.examine(str(tmp_path / "cut.yaml"), OPENAPI)
            apply_overlay(candidate.new, overlay, api.overlay, redundant=[])


def test_an_action_the_vendor_made_redundant_is_reported_until_it_is_dropped(
    workspace: Path, tmp_path: Path, update: Any
) -> None:
    document = mutated(
        V2,
        drop(f"{SINGLE} > properties > class > default"),
        put(f"{SINGLE} > properties > sms_class > minimum", 0),
        put(f"{SINGLE} > properties > sms_class > maximum", 3),
        put("components > schemas > StatusCallback > properties > reference", {"type": "string"}),
        put("paths > /messages > get > operationId", "get_message"),
    )
    code, out, err = update(written(document, tmp_path))
    assert (code, err) == (0, "")
    _, _, redundant = out.partition("### The vendor now says this itself: drop it\n\n")
    redundant = redundant.partition("\n\n")[0]
    assert [line.partition(" (")[2].rpartition("): ")[0] for line in redundant.strip().splitlines()] == [
        "$.paths['/messages'].get",
        "$.components.schemas.SingleMessage.properties.class.default",
        "$.components.schemas.SingleMessage.properties.sms_class",
        "$.components.schemas.StatusCallback.properties",
    ]
    code, said = check(workspace)
    assert code == 2
    assert "changes nothing: the document says this itself, drop the action" in said
    overlay = workspace / "openapi" / "overlays" / "sms-v2.overlay.yaml"
    kept = parse(overlay.read_bytes(), "overlay")
    for line in reversed(redundant.strip().splitlines()):
        del kept["actions"][int(line.split(" action ")[1].split()[0]) - 1]
    overlay.write_text(dump(kept), encoding="utf-8")
    assert (
        subprocess.run([sys.executable, "-m", "scripts.pipeline.regenerate"], cwd=workspace, check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("name", "edits", "code"),
    [
        (V1, [], 0),
        (V1, [put("info > version", "1.1.0")], 0),
        (V1, [put(f"{COMMON} > priority", {"type": "integer"})], 0),
        (V1, [put(f"{COMMON} > mask > maxLength", 11)], 1),
        (V1, [put("paths > /status", {"get": {"responses": {"200": {"description": "Well"}}}})], 0),
        (
            V1,
            [
                rename("definitions > Message", "Outbound"),
                replace_text('definitions/Message"', 'definitions/Outbound"'),
            ],
            2,
        ),
        (V1, [put("swagger", "1.2")], 2),
    ],
    ids=["same", "text", "compatible", "breaking", "new operation", "in the way", "unreadable"],
)
def test_diff_spec_touches_nothing_and_tells_by_its_exit_status(
    name: str, edits: list[Any], code: int, workspace: Path, tmp_path: Path, update: Any
) -> None:
    before = regenerate.read_tree(workspace)
    found, out, err = update("--diff", written(mutated(name, *edits), tmp_path))
    assert found == code, out + err
    assert bool(err) == (code == 2)
    assert regenerate.read_tree(workspace) == before
    assert sorted(path.name for path in workspace.iterdir()) == ["generated", "openapi", "scripts"]


def test_the_transcript_in_the_documentation_is_what_the_command_prints(update: Any) -> None:
    page = (ROOT / "docs" / "spec-changes.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- transcript -->\n```console\n")[2].partition("\n```\n")[0]
    command, _, expected = shown.partition("\n")
    code, out, err = update("--diff", str(ROOT / command.partition("SPEC=")[2]))
    assert (code, err) == (1, "")
    day = re.compile(r"\d{4}-\d\d-\d\d")
    assert day.sub("today", out).strip() == day.sub("today", expected).strip()


def test_the_report_can_be_read_by_a_program(workspace: Path, tmp_path: Path, update: Any) -> None:
    code, out, err = update("--diff", "--json", written(mutated(V1, drop(REFERENCE)), tmp_path))
    assert (code, err) == (1, "")
    [found] = json.loads(out)
    assert (found["api"], found["source"], found["breaking"]) == ("gateway-v1", "new.json", True)
    assert found["changes"] == [
        {
            "rating": "breaking",
            "path": "#/components/schemas/MessageCommon/properties/reference",
            "kind": "field-gone",
            "what": "'reference' is gone",
            "locations": [
                {"operation": "GET /messages/{messageid}", "part": "response 200", "field": "reference",
                 "facade": "Modica.get: Message.reference"},
                {"operation": "POST /messages", "part": "request", "field": "reference",
                 "facade": "Modica.send(reference)"},
                {"operation": "POST /messages/broadcast", "part": "request", "field": "reference",
                 "facade": "Modica.broadcast(reference)"},
            ],
            "to_do": report.ADVICE["field-gone"][0],
            "text": None,
        }
    ]  # fmt: skip
    assert [line.partition(" needs ")[0] for line in found["in_the_way"]] == [
        "Modica.send(reference)",
        "Modica.broadcast(reference)",
    ]


def test_a_document_is_taken_over_from_the_web_and_named_by_its_address(
    workspace: Path, site: Any, update: Any
) -> None:
    address, pages = site
    text = dump(mutated(V1, put("info > version", "1.1.0")))
    pages["/v1.yaml"] = (200, {}, text.encode())
    assert update(f"{address}/v1.yaml")[0] == 0
    assert f"From {address}/v1.yaml: " in (workspace / "openapi" / "CHANGES.md").read_text(encoding="utf-8")
    pages["/v1.yaml"] = (200, {"Content-Length": str(len(text))}, text[:-200].encode())
    code, _, err = update(f"{address}/v1.yaml")
    assert (code, "cut short" in err) == (2, True)


def test_without_a_document_both_of_the_vendors_addresses_are_asked(
    monkeypatch: pytest.MonkeyPatch, update: Any
) -> None:
    asked: list[str] = []

    def read(where: str) -> bytes:
        asked.append(where)
        return (OPENAPI / (V1 if "v1" in where else V2)).read_bytes()

    monkeypatch.setattr(download, "read", read)
    code, out, _ = update()
    assert (code, asked) == (0, [api.source for api in APIS])
    assert out.splitlines() == [f"{api.source}: no change to {api.name}" for api in APIS]


def test_a_swap_that_fails_leaves_every_byte(
    workspace: Path, tmp_path: Path, update: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = regenerate.read_tree(workspace)
    rename = Path.rename

    def stumble(path: Path, target: Path) -> Path:
        if path.name == "CHANGES.md":
            raise OSError("the disk is full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    code, _, err = update(written(mutated(V1, put("info > version", "1.1.0")), tmp_path))
    assert (code, err) == (2, "update-spec: the disk is full; nothing was changed\n")
    assert regenerate.read_tree(workspace) == before


# The generator itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def same_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_generator, "environment", lambda folder: Path(sys.executable))


def test_the_newest_generator_is_tried_elsewhere_and_its_difference_is_shown(
    same_tools: None, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upgrade_generator, "ROOT", workspace)
    types = workspace / "generated" / "modica_sms_v2" / "types.py"
    types.write_text(types.read_text(encoding="utf-8") + "\nOLD = 1\n", encoding="utf-8")
    before = regenerate.read_tree(workspace)
    assert upgrade_generator.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("--- a/generated/modica_sms_v2/types.py\n+++ b/generated/modica_sms_v2/types.py\n")
    assert "\n-OLD = 1\n" in out
    versions = json.loads((LIVE / "lock.json").read_bytes())["tools"]
    said = [f"{tool}: {versions[tool]} here, {versions[tool]} is the newest" for tool in upgrade_generator.UPGRADED]
    assert out.splitlines()[-3:] == [*said, "2 lines of generated/ would change"]
    assert regenerate.read_tree(workspace) == before


def test_a_generator_the_facade_cannot_live_with_is_told_apart(
    same_tools: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need = conformance.Unmet("sms-v2", "ModicaV2.send", "#", "", "something else")
    monkeypatch.setattr(conformance, "unmet", lambda generated: [need])

    def run(*command: str | Path) -> None:
        for name in ("openapi", "generated"):
            shutil.copytree(ROOT / name, Path(command[-1]) / name)

    monkeypatch.setattr(upgrade_generator, "_run", run)
    assert upgrade_generator.main() == 1
    out = capsys.readouterr().out
    assert out.endswith("nothing would change\nnot met any more: ModicaV2.send needs something else\n")


def test_an_upgrade_that_cannot_be_had_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def environment(folder: Path) -> Path:
        raise RuntimeError("no such version")

    monkeypatch.setattr(upgrade_generator, "environment", environment)
    assert upgrade_generator.main() == 1
    assert capsys.readouterr().err == "upgrade-generator: no such version\n"
