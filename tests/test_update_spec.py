"""The day the vendor changes a document: every change is seen and rated, and it is taken over whole or not at all."""

from __future__ import annotations

import copy
import http.server
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import regenerate
import report
import source
import spec_diff
import update_spec
import words
from contract import surface
from convert import to_openapi3
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_diff import Change, Place, Rating
from spec import SpecError, dump, parse, resolve, validate

from .mutations import MUTATIONS, REFUSED, V1, V2, Document, Mutation, published, put

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT / "openapi"
VENDOR = Path(__file__).parents[2] / "shared" / "specs"
NEEDS_VENDOR = pytest.mark.skipif(not VENDOR.is_dir(), reason="the vendor's own documents are not part of the project")
BOTH = pytest.mark.parametrize("name", [V1, V2])
KNOWN = {
    V1: json.loads((OPENAPI / update_spec.WORDS).read_bytes())["gateway-v1"],
    V2: json.loads((OPENAPI / update_spec.WORDS).read_bytes())["sms-v2"],
}


def compare(name: str, document: Document) -> list[Change]:
    """The changes from a published document to another."""
    return spec_diff.compare(to_openapi3(published(name), "#"), to_openapi3(document, "#"), KNOWN[name])


def written(document: Document, folder: Path, name: str = "new.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def ids(mutation: Mutation) -> str:
    return mutation.name


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
        ("compatible", "'priority' is new"),
        ("compatible", "operation GET /status is new"),
        ("text", "reworded"),
        ("text", "version 1.0.0 is now 2.0.0"),
    ]


def facts(node: Any, place: tuple[str | int, ...] = (), names: bool = False) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of a document that is not words."""
    if isinstance(node, dict):
        for key, value in node.items():
            if names or not words.is_word(key):
                yield (*place, key)
                yield from facts(value, (*place, key), words.below(node, key, names))
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
    except (SpecError, KeyError, TypeError, AttributeError):  # no longer a document at all: validation says so first
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
            key: "other words" if not names and words.is_word(key) else reword(value, words.below(node, key, names))
            for key, value in node.items()
        }

    document = published(name)
    changes = compare(name, reword(document))
    assert {change.rating for change in changes} == {Rating.TEXT}
    assert len(changes) == len(words.words(to_openapi3(document, "#")))
    assert {change.words for change in changes} == {"other words"}


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
    assert update_spec.examine(str(VENDOR / name), OPENAPI).report.changes == []


@BOTH
def test_our_own_documents_are_no_change(name: str, tmp_path: Path) -> None:
    assert update_spec.examine(str(OPENAPI / name), OPENAPI).report.changes == []


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
    assert found.unsurfaced == [
        "'operator' is new (GET /messages, answer 200, operator)",
        "'expires' is new (POST /messages, request, expires)",
        "operation GET /balance is new (GET /balance)",
    ]
    assert "### Not offered by the facade\n\n- 'operator' is new" in report.markdown(found, "today")


def test_the_vendors_new_words_are_shown_but_not_written_into_a_file(tmp_path: Path) -> None:
    found = examined(tmp_path, V1, put("info > description", "Now with\n pigeons."))
    assert 'now "Now with pigeons."' in report.markdown(found, "today", words=True)
    assert "pigeons" not in report.markdown(found, "today")
    assert report.as_json(found)["changes"][0]["words"] == "Now with\n pigeons."


@pytest.mark.parametrize(
    ("api", "place", "expected"),
    [
        ("gateway-v1", Place("POST /messages", "request", "class"), "Modica.send(class_)"),
        ("gateway-v1", Place("POST /messages/broadcast", "request", "destination[]"), "Modica.broadcast(destinations)"),
        (
            "gateway-v1", Place("POST /messages/broadcast", "answer 201", "[].message"),
            "Modica.broadcast: BroadcastOutcome.reason",
        ),
        ("gateway-v1", Place("GET /messages/{number}", "path", "number"), "Modica.get(message_id)"),
        (
            "gateway-v1", Place("POST /messages", "answer 201", "header location"),
            "Modica.send: SubmittedMessage.location",
        ),
        ("gateway-v1", Place("POST /messages", "answer default", "code"), "Modica.send: GatewayError"),
        ("gateway-v1", Place("POST /messages", "request"), "Modica.send"),
        ("gateway-v1", Place(), "every call"),
        ("gateway-v1", Place("PUT /messages"), None),
        ("sms-v2", Place("GET /messages", "query", "id"), "ModicaV2.get(message_id)"),
        ("sms-v2", Place("POST /messages", "path", "x"), None),
        ("sms-v2", Place("POST /messages", "callback status answered 200"), "parse_callback"),
        ("sms-v2", Place("POST /messages", "callback status", "id"), "parse_callback: DeliveryReceipt.message_id"),
        ("sms-v2", Place("POST /messages", "callback click"), None),
    ],
)  # fmt: skip
def test_a_place_in_a_document_leads_to_what_the_facade_makes_of_it(
    api: str, place: Place, expected: str | None
) -> None:
    assert surface(api, place) == expected


# The vendor's facts in our words ----------------------------------------------------------------------------------


@NEEDS_VENDOR
@pytest.mark.parametrize(("ours", "theirs"), [(V1, "gateway-v1.swagger.json"), (V2, "sms-v2.openapi.yaml")])
def test_the_vendors_document_restated_is_our_published_file(ours: str, theirs: str) -> None:
    document = parse((VENDOR / theirs).read_bytes(), theirs)
    assert dump(words.restate(document, published(ours))) == dump(published(ours))


@BOTH
def test_a_published_file_is_written_as_the_pipeline_writes_so_that_adopting_a_change_shows_that_change(
    name: str,
) -> None:
    text = (OPENAPI / name).read_text(encoding="utf-8")
    assert "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")) == dump(published(name))


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
    restated = words.restate(shuffled(theirs, random.Random(1)), ours)
    validate(restated, "#")
    assert secret not in json.dumps(restated)
    assert restated["components"]["schemas"]["SingleMessage"]["properties"]["description"] == {
        "type": "string",
        "maxLength": 3,
    }
    assert restated["paths"]["/balance"]["get"]["responses"] == {"200": {"description": "Answer 200."}}
    assert restated["components"]["schemas"]["Uuid"] == ours["components"]["schemas"]["Uuid"]
    assert restated["info"] == ours["info"]
    assert restated["servers"] == ours["servers"]
    del restated["paths"]["/balance"], restated["components"]["schemas"]["SingleMessage"]["properties"]["description"]
    assert dump(restated) == dump(ours), "all else stands where it stood"


def test_an_address_that_is_no_known_white_label_is_a_fact() -> None:
    theirs = {**published(V1), "host": "api.example.com"}
    assert words.restate(theirs, published(V1))["host"] == "api.example.com"


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
    assert source.read(f"{address}/v1.yaml") == b"swagger: '2.0'"
    assert source.read(f"{address}/moved") == b"swagger: '2.0'"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((404, {}, b""), "answered HTTP 404"),
        ((503, {}, b""), "answered HTTP 503"),
        ((200, {"Content-Length": "100"}, b"swagger: '2.0'"), "cannot be read: cut short: 14 of 100 bytes came"),
        ((200, {"Content-Length": "x"}, b""), "cannot be read: "),
        ((200, {}, b"x" * (source.MOST_BYTES + 1)), "is larger than 4 MiB"),
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
        source.read(f"{address}/page")
    assert "\n" not in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_site_that_takes_too_long_is_given_up(site: Any) -> None:
    address, pages = site
    pages["/page"] = (200, {}, b"swagger: '2.0'")
    with pytest.raises(SpecError, match=r"cannot be read: took longer than 1e-09 seconds|timed out"):
        source.read(f"{address}/page", seconds=1e-9)


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
        source.read(address)
    assert "canary" not in str(caught.value)


def test_a_file_is_called_by_its_bare_name_and_bounded_like_a_page(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"x" * (source.MOST_BYTES + 1))
    with pytest.raises(SpecError, match=r"^big\.yaml: is larger"):
        source.read(str(tmp_path / "big.yaml"))
    with pytest.raises(SpecError, match=r"^none\.yaml: cannot be read: .*No such file"):
        source.read(str(tmp_path / "none.yaml"))


def test_the_default_addresses_are_those_of_the_sources() -> None:
    text = (OPENAPI / update_spec.SOURCES).read_text(encoding="utf-8")
    for api in regenerate.APIS:
        assert f"`{Path(api.published).name}` | <{api.source}>" in text
