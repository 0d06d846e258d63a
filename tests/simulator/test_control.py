"""The control API: every route, every refusal, the guards and the stream, seen through plain HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modica_facade import __version__
from modica_facade.simulator import Simulator, serve

from ..support.callback_receiver import Receiver
from ..support.documents import Document
from .support import NOON, NUMBER, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = "9007199254740993"
DOCUMENT = Document("simulator-control.openapi.yaml")
OPERATIONS = DOCUMENT.operations


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(now=NOON, control=True) as sim:
        yield sim


@pytest.fixture
def http(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.url + "/_modica/v1", trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def gateway(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.base_url, auth=("shop", "secret"), trust_env=False) as client:
        yield client


@pytest.fixture
def receiver(sim: Simulator) -> Iterator[Receiver]:
    receiver = Receiver()
    with serve(receiver) as url:
        sim.dlr_url = sim.mo_url = url
        yield receiver


def call(http: httpx.Client, operation_id: str, body: Any = None, /, **parameters: Any) -> httpx.Response:
    """Call an operation as the document describes it, and hold the answer to the document."""
    method, path, _ = OPERATIONS[operation_id]
    in_path = {name for name in parameters if f"{{{name}}}" in path}
    query = {name.rstrip("_"): value for name, value in parameters.items() if name not in in_path}
    response = http.request(method, path.format(**parameters), params=query, json=body)
    DOCUMENT.check(operation_id, response)
    return response


def send(gateway: httpx.Client, content: str = "Kia ora", destination: str = NUMBER, **options: Any) -> str:
    body = {"destination": destination, "content": content, **options}
    return str(gateway.post("/messages", json=body).raise_for_status().json()[0])


def contents(response: httpx.Response) -> list[str]:
    return [message["content"] for message in response.json()["messages"]]


# The document


def test_every_route_is_described_and_every_described_operation_is_there(sim: Simulator) -> None:
    assert sim._control is not None
    routes = {
        (method, re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", pattern.pattern).removeprefix("/_modica/v1"))
        for pattern, methods in sim._control._routes
        for method in methods
    }
    assert routes - {("GET", "/")} == {(method, path) for method, path, _ in OPERATIONS.values()}


def test_it_is_not_served_unless_asked() -> None:
    with Simulator() as sim:
        for path in ("/", "/_modica/v1/health"):
            response = httpx.get(sim.url + path, trust_env=False)
            assert (response.status_code, "was not found" in response.text) == (404, True)


# Looking


def test_health_says_where_the_gateways_are(sim: Simulator, http: httpx.Client) -> None:
    assert call(http, "get_health").json() == {
        "ready": True,
        "version": __version__,
        "now": NOON.isoformat(),
        "v1": sim.base_url,
        "v2": sim.v2_base_url,
    }


def test_a_message_is_shown_with_its_history_and_the_number_of_sms(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client
) -> None:
    scheduled, expires = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    send(gateway, "ā" * 71, reference="order-1", scheduled=scheduled.isoformat(), expires=expires.isoformat())
    sim.advance(3601)
    [message] = call(http, "get_messages").json()["messages"]
    assert message == {
        "id": FIRST,
        "version": 1,
        "direction": "MT",
        "application": "shop",
        "source": "202",
        "destination": NUMBER,
        "content": "ā" * 71,
        "status": "sent",
        "reference": "order-1",
        "parts": 2,
        "encoding": "UCS-2",
        "accepted_at": NOON.isoformat(),
        "scheduled": scheduled.isoformat(),
        "expires": expires.isoformat(),
        "reply_to": None,
        "history": [
            {"status": "queued", "at": NOON.isoformat()},
            {"status": "sent", "at": (NOON + timedelta(seconds=3601)).isoformat()},
        ],
    }


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["one", "two", "three", "answer"]),
        ({"to": NUMBER}, ["one", "three"]),
        ({"to": "202", "direction": "MO"}, ["answer"]),
        ({"from_": NUMBER}, ["answer"]),
        ({"containing": "t"}, ["two", "three"]),
        ({"reference": "r2"}, ["two"]),
        ({"application": "alerts"}, ["three"]),
        ({"status": "received"}, ["answer"]),
        ({"direction": "MT", "to": OTHER}, ["two"]),
        ({"after": FIRST}, ["two", "three", "answer"]),
        ({"after": FIRST, "to": NUMBER, "limit": "5"}, ["three"]),
        ({"containing": "nothing like it"}, []),
    ],
    ids=str,
)
def test_messages_are_found_by_everything_they_have(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, filters: dict[str, str], expected: list[str]
) -> None:
    send(gateway, "one")
    send(gateway, "two", OTHER, reference="r2")
    gateway.auth = ("alerts", "secret")
    send(gateway, "three")
    sim.receive(NUMBER, "answer")
    assert contents(call(http, "get_messages", **filters)) == expected


def test_many_messages_are_read_in_pages(http: httpx.Client, gateway: httpx.Client) -> None:
    for number in range(5):
        send(gateway, str(number))
    pages, after = [], None
    while True:
        page = call(http, "get_messages", limit=2, **({} if after is None else {"after": after}))
        pages.append(contents(page))
        after = page.json()["next"]
        if after is None:
            break
    assert pages == [["0", "1"], ["2", "3"], ["4"]]


def test_waiting_ends_when_a_message_matches(http: httpx.Client, gateway: httpx.Client) -> None:
    responses: list[httpx.Response] = []
    waiter = threading.Thread(target=lambda: responses.append(call(http, "get_messages", containing="two", wait=60)))
    waiter.start()
    for number in ("one", "two", "three"):
        send(gateway, number)
    waiter.join()
    assert [(response.status_code, contents(response)) for response in responses] == [(200, ["two"])]


def test_waiting_for_what_is_there_does_not_wait(http: httpx.Client, gateway: httpx.Client) -> None:
    send(gateway)
    assert contents(call(http, "get_messages", to=NUMBER, wait=300)) == ["Kia ora"]


def test_waiting_in_vain_is_408_with_what_came_instead(http: httpx.Client, gateway: httpx.Client) -> None:
    first = send(gateway, "one")
    send(gateway, "two")
    response = call(http, "get_messages", containing="three", after=first, wait=0.01)
    assert (response.status_code, contents(response)) == (408, ["two"])
    assert response.json()["error"].startswith("no such message within 0.01 s")


def test_the_journal_of_requests_has_their_answers(sim: Simulator, http: httpx.Client, gateway: httpx.Client) -> None:
    send(gateway)
    sim.fail(cut="after")
    with pytest.raises(httpx.RemoteProtocolError):
        send(gateway)
    first, second = call(http, "get_requests").json()["requests"]
    assert (first["n"], first["method"], first["path"]) == (1, "POST", "/rest/gateway/messages")
    assert (first["application"], first["authenticated"], first["accepted"]) == ("shop", True, [FIRST])
    assert json.loads(first["body"]) == {"destination": NUMBER, "content": "Kia ora"}
    assert (first["status_code"], first["answer"]["body"]) == (201, f"[{FIRST}]")
    assert first["answer"]["headers"]["Location"].endswith(FIRST)
    assert (second["n"], second["status_code"], second["answer"]) == (2, None, None)
    assert "secret" not in json.dumps([first, second])


def test_the_journal_of_deliveries_has_every_attempt(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    sim.plan_receipts("sent")
    send(gateway)
    sim.deliver()
    first, second = call(http, "get_deliveries").json()["deliveries"]
    assert (first["n"], first["attempt"], first["status_code"], first["ok"]) == (1, 1, 500, False)
    assert (second["n"], second["attempt"], second["status_code"], second["ok"]) == (2, 2, 200, True)
    assert second["payload"] == {"message_id": FIRST, "status": "sent"}


# Doing


def test_a_handset_answers(sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver) -> None:
    first = send(gateway, "first?", reference="r1")
    send(gateway, "second?", reference="r2")
    newest = call(http, "post_reply", {"from": NUMBER, "content": "Yes"})
    older = call(http, "post_reply", {"from": NUMBER, "base64": "AP8=", "reply_to": first})
    neither = call(http, "post_reply", {"from": NUMBER, "content": "Hm", "reply_to": None})
    assert {response.status_code for response in (newest, older, neither)} == {201}
    assert (newest.json()["reply_to"], newest.json()["reference"]) == (str(int(first) + 1), "r2")
    assert (older.json()["reply_to"], older.json()["encoding"]) == (first, "base64")
    assert (neither.json()["reply_to"], neither.json()["reference"]) == (None, None)
    sim.advance(0)
    assert [payload["content"] for payload in receiver.payloads] == ["Yes", "AP8=", "Hm"]


def test_a_receipt_is_posted_out_of_plan_and_once_more(
    http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    message_id = send(gateway)
    [posted] = call(http, "post_receipt", {"message_id": message_id, "status": "frozen"}).json()["posted"]
    assert (posted["payload"]["status"], posted["ok"]) == ("frozen", True)
    [again] = call(http, "post_resend", n=posted["n"]).json()["posted"]
    assert (again["n"], again["attempt"]) == (2, 2)
    assert receiver.payloads == [{"message_id": message_id, "status": "frozen"}] * 2
    assert call(http, "get_messages").json()["messages"][0]["status"] == "frozen"


def test_a_receipt_without_a_url_changes_the_status_only(http: httpx.Client, gateway: httpx.Client) -> None:
    message_id = send(gateway)
    assert call(http, "post_receipt", {"message_id": message_id, "status": "dead"}).json() == {"posted": []}


def test_plans_say_which_receipts_come(sim: Simulator, http: httpx.Client, gateway: httpx.Client) -> None:
    plan = call(http, "put_plan", {"destination": OTHER, "statuses": ["rejected"], "interval": 5})
    assert plan.json() == {"destination": OTHER, "statuses": ["rejected"], "interval": 5}
    assert call(http, "put_plan", {"statuses": []}).json() == {"destination": None, "statuses": [], "interval": 1.0}
    send(gateway)
    send(gateway, destination=OTHER)
    sim.deliver()
    assert [message.status for message in sim.messages] == ["accepted", "rejected"]
    assert sim.now == NOON + timedelta(seconds=5)


def test_the_clock_is_moved_and_what_gets_due_is_posted(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    send(gateway)
    due = (NOON + timedelta(seconds=1)).isoformat()
    assert call(http, "get_clock").json() == {"now": NOON.isoformat(), "running": False, "next": due}
    moved = call(http, "patch_clock", {"advance": 1}).json()
    assert (moved["now"], moved["running"]) == ((NOON + timedelta(seconds=1)).isoformat(), False)
    assert [delivery["payload"]["status"] for delivery in moved["posted"]] == ["sent"]
    moved = call(http, "patch_clock", {"to": "2026-11-03T01:00:10+13:00"}).json()
    assert moved["now"] == (NOON + timedelta(seconds=10)).isoformat()
    assert [delivery["payload"]["status"] for delivery in moved["posted"]] == ["received"]
    assert moved["next"] is None


def test_the_clock_can_be_started_and_stopped(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    sim.plan_receipts("sent", interval=0)
    assert call(http, "patch_clock", {"running": True}).json()["running"] is True
    send(gateway)
    assert contents(call(http, "get_messages", status="sent", wait=60)) == ["Kia ora"]
    stopped = call(http, "patch_clock", {"running": False}).json()
    assert stopped["running"] is False
    assert call(http, "get_clock").json() == {"now": stopped["now"], "running": False, "next": None}


def test_requests_can_be_made_to_fail(http: httpx.Client, gateway: httpx.Client) -> None:
    match = {"method": "POST", "path": "/messages", "destination": NUMBER, "application": "shop"}
    rule = {"status": 503, "acted": True, "times": 1, "match": match, "headers": {"Retry-After": "1"}}
    made = call(http, "post_fault", rule)
    assert made.status_code == 201
    fault_id = made.json()["id"]
    assert gateway.get("/messages/1").status_code == 404
    response = gateway.post("/messages", json={"destination": NUMBER, "content": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    [fault] = call(http, "get_faults").json()["faults"]
    assert (fault["id"], fault["hits"], fault["times_left"], fault["match"]) == (fault_id, 1, 0, match)
    assert len(call(http, "get_messages").json()["messages"]) == 1


def test_a_rule_can_be_taken_back(http: httpx.Client, gateway: httpx.Client) -> None:
    fault_id = call(http, "post_fault", {"error": "send_failed", "times": None}).json()["id"]
    assert gateway.get("/messages/1").json()["error"] == "send_failed"
    assert call(http, "delete_fault", id=fault_id).status_code == 204
    assert gateway.get("/messages/1").status_code == 404
    assert call(http, "delete_fault", id=fault_id).status_code == 404


def test_callbacks_can_be_disturbed(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    faults = call(http, "put_callback_faults", {"duplicate": 1}).json()
    assert faults == {"duplicate": 1, "drop": 0.0, "reorder": 0.0, "overtake": 0.0}
    send(gateway)
    sim.deliver()
    assert [payload["status"] for payload in receiver.payloads] == ["sent", "sent", "received", "received"]


def test_settings_are_changed_together_or_not_at_all(sim: Simulator, http: httpx.Client) -> None:
    changed = call(http, "patch_settings", {"dlr_url": "http://n:secret@127.0.0.1:9/dlr", "parallel_callbacks": 4})
    assert changed.json() == {
        "dlr_url": "http://127.0.0.1:9/dlr",
        "mo_url": None,
        "v2_receipts": "prose",
        "v2_errors": "specification",
        "parallel_callbacks": 4,
    }
    refused = call(http, "patch_settings", {"mo_url": "http://127.0.0.1:9/mo", "v2_receipts": "sideways"})
    assert refused.status_code == 400
    assert (sim.mo_url, sim.dlr_url) == (None, "http://n:secret@127.0.0.1:9/dlr")


def test_reset_starts_as_new(sim: Simulator, http: httpx.Client, gateway: httpx.Client) -> None:
    send(gateway)
    sim.fail(status=500)
    sim.advance(60)
    assert call(http, "post_reset").json() == {"now": NOON.isoformat(), "running": False, "next": None}
    assert call(http, "get_messages").json()["messages"] == []
    assert call(http, "get_requests").json() == {"requests": []}
    undisturbed = {"duplicate": 0, "drop": 0, "reorder": 0, "overtake": 0}
    assert call(http, "get_faults").json() == {"faults": [], "callback_faults": undisturbed}
    assert send(gateway) == FIRST


# Refusals


@pytest.mark.parametrize(
    ("operation_id", "body", "word"),
    [
        ("post_reply", {"from": NUMBER}, "content or base64"),
        ("post_reply", {"from": NUMBER, "content": "x", "base64": "AA=="}, "content or base64"),
        ("post_reply", {"content": "x"}, "from"),
        ("post_reply", {"from": 7, "content": "x"}, "source"),
        ("post_reply", {"from": NUMBER, "base64": "!"}, "base64"),
        ("post_reply", {"from": NUMBER, "content": "x", "to": "202"}, "to is unknown"),
        ("post_receipt", {"message_id": FIRST}, "status"),
        ("post_receipt", {"message_id": FIRST, "status": ["sent"]}, "status"),
        ("put_plan", {"statuses": "sent"}, "list"),
        ("put_plan", {"statuses": [1]}, "status"),
        ("put_plan", {"statuses": [], "interval": -1}, "interval"),
        ("put_plan", {"statuses": [], "destination": ""}, "destination"),
        ("patch_clock", {}, "advance"),
        ("patch_clock", {"advance": -1}, "forward"),
        ("patch_clock", {"advance": "1"}, "number"),
        ("patch_clock", {"advance": 1, "to": "2030-01-01T00:00:00Z"}, "advance or to"),
        ("patch_clock", {"to": "2026-11-02T11:59:59Z"}, "forward"),
        ("patch_clock", {"to": "2030-01-01"}, "RFC 3339"),
        ("patch_clock", {"to": "2030-02-30T00:00:00Z"}, "day"),
        ("patch_clock", {"to": "9999-12-31T00:00:00Z"}, "9000"),
        ("patch_clock", {"running": 1}, "running"),
        ("post_fault", {}, "nothing to do"),
        ("post_fault", {"status": "503"}, "status"),
        ("post_fault", {"status": 503, "match": {"number": NUMBER}}, "match"),
        ("post_fault", {"status": 503, "body": 7}, "body"),
        ("post_fault", {"statuses": 503}, "unknown"),
        ("put_callback_faults", {"drop": 2}, "drop"),
        ("put_callback_faults", {"lose": 1}, "unknown"),
        ("patch_settings", {"dlr_url": "ftp://receiver.example"}, "callback URL"),
        ("patch_settings", {"dlr_url": ["http://receiver.example"]}, "callback URL"),
        ("patch_settings", {"parallel_callbacks": 0}, "parallel_callbacks"),
        ("patch_settings", {"port": 1}, "port"),
        ("patch_settings", {"self": 1}, "self is no setting"),
    ],
    ids=str,
)
def test_nonsense_is_400_and_told_in_words(
    http: httpx.Client, sim: Simulator, operation_id: str, body: dict[str, Any], word: str
) -> None:
    response = call(http, operation_id, body)
    assert response.status_code == 400
    assert word in response.json()["error"]
    assert "\n" not in response.json()["error"]
    assert (sim.now, sim.faults) == (NOON, [])


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "0"}, {"limit": "x"}, {"wait": "x"}, {"wait": "301"}, {"wait": "-1"}, {"wait": "nan"}, {"number": "1"}],
    ids=str,
)
def test_a_nonsensical_query_is_400(http: httpx.Client, parameters: dict[str, str]) -> None:
    assert call(http, "get_messages", **parameters).status_code == 400


@pytest.mark.parametrize(
    ("operation_id", "body", "parameters"),
    [
        ("post_reply", {"from": NUMBER, "content": "x"}, {}),
        ("post_reply", {"from": NUMBER, "content": "x", "reply_to": "7"}, {}),
        ("post_receipt", {"message_id": "7", "status": "sent"}, {}),
        ("post_resend", None, {"n": 7}),
        ("delete_fault", None, {"id": "7"}),
        ("get_messages", None, {"after": "7"}),
    ],
    ids=str,
)
def test_what_does_not_exist_is_404(
    http: httpx.Client, operation_id: str, body: Any, parameters: dict[str, Any]
) -> None:
    response = call(http, operation_id, body, **parameters)
    assert response.status_code == 404
    assert "7" in response.json()["error"] or NUMBER in response.json()["error"]


def test_a_delivery_cannot_be_sent_again_to_nowhere(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    message_id = send(gateway)
    call(http, "post_receipt", {"message_id": message_id, "status": "sent"})
    sim.dlr_url = None
    response = call(http, "post_resend", n=1)
    assert (response.status_code, "dlr_url" in response.json()["error"]) == (404, True)


def test_unknown_routes_and_methods_are_told_apart(http: httpx.Client) -> None:
    assert http.get("/message").status_code == 404
    wrong = http.put("/clock", json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, PATCH")
    assert http.post("/events", json={}).status_code == 405


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"{", b"\xff", b'{"advance": NaN}', b"[" * 10_000], ids=repr)
def test_a_body_that_is_no_json_object_is_400(http: httpx.Client, body: bytes) -> None:
    response = http.patch("/clock", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()) == (400, {"error": "send a JSON object"})


_values = (
    st.none()
    | st.booleans()
    | st.integers(-5, 700)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([NUMBER, FIRST, "sent", "send_failed", "before", "http://127.0.0.1:9", "2030-01-01T00:00:00Z"])
)
_bodies = _values | st.lists(_values, max_size=3) | st.dictionaries(st.text(max_size=5), _values, max_size=2)
_CHANGES = {
    operation_id: sorted(DOCUMENT.body_properties(operation_id))
    for operation_id, (method, _, _) in OPERATIONS.items()
    if method in ("POST", "PUT", "PATCH") and "{" not in OPERATIONS[operation_id][1]
}


@pytest.fixture(scope="module")
def shared() -> Iterator[httpx.Client]:
    with (
        Simulator(now=NOON, control=True) as sim,
        httpx.Client(base_url=sim.url + "/_modica/v1", trust_env=False) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("operation_id", _CHANGES)
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_whatever_is_sent_is_done_or_refused_as_described(
    shared: httpx.Client, operation_id: str, data: st.DataObject
) -> None:
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(_CHANGES[operation_id], _bodies))
    body = data.draw(fields)
    method, path, _ = OPERATIONS[operation_id]
    headers = {"Content-Type": "application/json"}
    response = shared.request(method, path, content=json.dumps(body), headers=headers)
    assert response.status_code in (200, 201, 400, 404)
    DOCUMENT.check(operation_id, response)


# Guards


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("LOCALHOST:8024", 200),
        ("[::1]:8024", 200),
        ("127.8.9.1", 200),
        ("rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("192.0.2.1:8024", 421),
        ("", 421),
        ("[", 421),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/../../"])
def test_only_loopback_names_are_answered_to(sim: Simulator, host: str, status: int, path: str) -> None:
    url = sim.url + ("/_modica/v1/health" if path == "/health" else "/")
    assert httpx.get(url, headers={"Host": host}, trust_env=False).status_code == status


def test_other_names_are_answered_to_when_another_address_is_listened_on() -> None:
    with Simulator(host="0.0.0.0", control=True) as sim:
        response = httpx.get(sim.url + "/_modica/v1/health", headers={"Host": "sms.test:8024"}, trust_env=False)
        foreign = httpx.get(
            sim.url + "/_modica/v1/health",
            headers={"Host": "sms.test:8024", "Origin": "http://rebound.example:8024"},
            trust_env=False,
        )
    assert response.json()["v1"] == "http://sms.test:8024/rest/gateway"
    assert foreign.status_code == 403


@pytest.mark.parametrize("origin", ["http://rebound.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_pages_of_another_origin_are_refused_whatever_they_ask(sim: Simulator, http: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin.format(port=http.base_url.port)}
    for method, path in [("GET", "/events"), ("GET", "/messages"), ("POST", "/reset"), ("OPTIONS", "/reset")]:
        response = http.request(method, path, headers=headers)
        assert response.status_code == 403
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_its_own_page_is_not_refused_and_gets_no_cors_headers(sim: Simulator, http: httpx.Client) -> None:
    response = http.post("/reset", json={}, headers={"Origin": sim.url})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_only_json_changes_anything(http: httpx.Client, method: str, media_type: str) -> None:
    path = {"POST": "/replies", "PATCH": "/clock", "PUT": "/plans"}[method]
    headers = {"Content-Type": media_type} if media_type else {}
    assert http.request(method, path, content=b'{"advance": 1}', headers=headers).status_code == 415


def test_json_may_name_its_character_set_and_nothing_at_all_needs_no_type(http: httpx.Client) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert http.patch("/clock", content=b'{"advance": 1}', headers=headers).status_code == 200
    assert http.post("/reset").status_code == 200


def test_a_large_body_is_413(http: httpx.Client) -> None:
    response = http.patch("/clock", content=b" " * ((1 << 16) + 1), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_answers_are_neither_kept_nor_sniffed(http: httpx.Client) -> None:
    headers = http.get("/health").headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


# The page


def test_the_page_may_load_nothing_and_run_nothing_but_its_own(sim: Simulator) -> None:
    first, second = (httpx.get(sim.url, trust_env=False) for _ in range(2))
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    policy = first.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "unsafe" not in policy
    assert "{{nonce}}" not in first.text
    assert policy != second.headers["content-security-policy"]


# Events


class Stream:
    """Reads server-sent events from an open connection, one at a time."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    def next(self) -> tuple[str, Any]:
        """Kind and data of the next event; an id alone is noted and passed over."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                return fields["event"], json.loads(fields["data"])
            fields = {}
        raise AssertionError("the stream ended")


@contextmanager
def stream(http: httpx.Client, since: str | None = None, last_event_id: str | None = None) -> Iterator[Stream]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with http.stream("GET", "/events", params={} if since is None else {"since": since}, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Stream(response.iter_lines())


def test_everything_that_happens_is_told_in_order_as_the_lists_show_it(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client, receiver: Receiver
) -> None:
    sim.plan_receipts("sent")
    sim.fail(status=503, match={"method": "GET"})
    send(gateway)
    sim.advance(1)
    gateway.get("/messages/1")
    sim.reset()
    with stream(http, since="0") as events:
        told = [events.next() for _ in range(9)]
        last_id = events.last_id
    assert [kind for kind, _ in told] == [
        "fault",
        "message",
        "request",
        "status",
        "delivery",
        "clock",
        "fault",
        "request",
        "reset",
    ]
    assert last_id.endswith("-9")
    data = [data for _, data in told]
    for schema, payload in [("Fault", data[0]), ("Message", data[1]), ("Request", data[2]), ("Delivery", data[4])]:
        DOCUMENT.check_schema(DOCUMENT.content["components"]["schemas"][schema], payload)
    assert data[3] == {"id": FIRST, "status": "sent", "at": (NOON + timedelta(seconds=1)).isoformat()}
    assert data[8] == {"now": NOON.isoformat(), "running": False, "next": None}


def test_a_reader_that_comes_back_gets_what_it_missed_and_nothing_twice(
    http: httpx.Client, gateway: httpx.Client
) -> None:
    with stream(http) as events:
        send(gateway, "one")
        assert [events.next()[0] for _ in range(2)] == ["message", "request"]
    send(gateway, "two")
    with stream(http, since="0", last_event_id=events.last_id) as again:
        assert again.next()[1]["content"] == "two"


def test_a_reader_that_saw_no_event_yet_can_come_back_too(http: httpx.Client, gateway: httpx.Client) -> None:
    with http.stream("GET", "/events") as response:
        first = next(response.iter_lines())
    send(gateway, "meanwhile")
    with stream(http, last_event_id=first.removeprefix("id: ")) as events:
        assert events.next()[1]["content"] == "meanwhile"


@pytest.mark.parametrize("since", ["1234abcd-1", "7", "x", "-", "9" * 30])
def test_a_reader_of_another_process_or_from_nowhere_is_told_to_load_afresh(
    http: httpx.Client, gateway: httpx.Client, since: str
) -> None:
    with stream(http, since=since) as events:
        kind, data = events.next()
        assert (kind, data["missed"]) == ("reset", True)
        send(gateway, "afterwards")
        assert events.next()[1]["content"] == "afterwards"


def test_a_reader_that_is_too_far_behind_is_told_to_load_afresh(
    sim: Simulator, http: httpx.Client, gateway: httpx.Client
) -> None:
    numbers = [f"+6421{i:07}" for i in range(1000)]
    for _ in range(11):
        gateway.post("/messages/broadcast", json={"destination": numbers, "content": "x"})
    with stream(http, since="0") as events:
        assert events.next()[0] == "reset"
    with stream(http, since=str(sim.events.last - 1)) as events:
        assert events.next()[0] == "request"


def test_numbers_go_on_after_a_reset(sim: Simulator, http: httpx.Client, gateway: httpx.Client) -> None:
    send(gateway)
    before = sim.events.last
    sim.reset()
    with stream(http, since=str(before)) as events:
        assert events.next()[0] == "reset"
    assert sim.events.last == before + 1


def test_many_readers_follow_at_once_and_none_keeps_the_simulator_from_stopping() -> None:
    before = threading.enumerate()
    told: list[str] = []

    def follow() -> None:
        with httpx.stream("GET", sim.url + "/_modica/v1/events?since=0", trust_env=False) as response:
            lines = response.iter_lines()
            told.append(next(line for line in lines if line.startswith("data: ")))
            seen.release()
            with pytest.raises(httpx.HTTPError):
                for _ in lines:
                    pass

    seen = threading.Semaphore(0)
    with Simulator(control=True) as sim:
        readers = [threading.Thread(target=follow) for _ in range(8)]
        for reader in readers:
            reader.start()
        sim.receive(NUMBER, "Hello")
        for _ in readers:
            assert seen.acquire(timeout=30)
    for reader in readers:
        reader.join()
    assert len(set(told)) == 1
    assert threading.enumerate() == before


def test_a_silent_stream_is_kept_alive(sim: Simulator, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modica_facade.simulator._control._PING_SECONDS", 0.01)
    with http.stream("GET", "/events") as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith(":")) == ": ping"


def test_a_reader_that_leaves_is_forgotten(sim: Simulator, http: httpx.Client) -> None:
    with http.stream("GET", "/events") as response:
        lines = response.iter_lines()
        next(lines)
        assert len(sim.events._listeners) == 1
    deadline = time.monotonic() + 30
    while sim.events._listeners and time.monotonic() < deadline:
        pass
    assert not sim.events._listeners


def test_who_leaves_while_waiting_for_a_message_is_forgotten(sim: Simulator) -> None:
    host, port = sim.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /_modica/v1/messages?wait=300 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        deadline = time.monotonic() + 30
        while not sim.events._listeners and time.monotonic() < deadline:
            pass
    while sim.events._listeners and time.monotonic() < deadline:
        pass
    assert not sim.events._listeners


def test_a_stream_whose_events_never_end_lets_others_have_their_turn(sim: Simulator) -> None:
    sent = 0

    async def send(_: object) -> None:
        nonlocal sent
        sent += 1
        assert sent < 1000, "the client has left, and nobody noticed"
        sim.receive(NUMBER, "One more")

    async def receive() -> dict[str, str]:
        return {"type": "http.request"} if not sent else {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/_modica/v1/events",
        "query_string": b"since=0",
    }
    asyncio.run(sim._app({**scope, "headers": [(b"host", b"localhost")]}, receive, send))
    assert sent > 1
