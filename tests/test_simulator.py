"""The simulator answers as the published documents say, and remembers what it did; seen through plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import socket
import ssl
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from modica_facade.simulator import AsyncSimulator, Simulator, serve
from tests.support.callback_receiver import Receiver
from tests.support.documents import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
NUMBER = "+64211234567"
MESSAGE = {"destination": NUMBER, "content": "Kia ora"}
FIRST = 9007199254740993
CREDENTIALS = httpx.BasicAuth("application-name", "correct horse")


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(now=NOON) as sim:
        yield sim


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture(scope="module")
def plain() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def v1(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.base_url, auth=CREDENTIALS, trust_env=False) as client:
        yield client


@pytest.fixture
def v2(sim: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sim.v2_base_url, auth=CREDENTIALS, trust_env=False) as client:
        yield client


V1 = Document("gateway-v1.openapi.yaml")
V2 = Document("sms-v2.openapi.yaml")


@pytest.fixture
def receiver(sim: Simulator) -> Iterator[Receiver]:
    receiver = Receiver()
    with serve(receiver) as url:
        sim.dlr_url = url + "/dlr"
        sim.mo_url = url + "/mo"
        yield receiver


def at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# Sending


def test_a_send_is_answered_201_with_an_array_of_one_id_and_its_location(sim: Simulator, v1: httpx.Client) -> None:
    response = v1.post("/messages", json=MESSAGE)
    assert response.status_code == 201
    assert response.json() == [FIRST]
    assert response.headers["location"] == f"{sim.base_url}/messages/{FIRST}"
    V1.check("send_message", response)


def test_ids_do_not_survive_being_read_as_floating_point_numbers(v1: httpx.Client) -> None:
    [message_id] = v1.post("/messages", json=MESSAGE).json()
    assert int(float(message_id)) != message_id


def test_an_accepted_message_is_remembered_with_every_attribute(sim: Simulator, v1: httpx.Client) -> None:
    options = {
        "reference": "order-1",
        "class": "mt_message",
        "mask": "KiwiShop",
        "sms_class": 1,
        "scheduled": "2026-11-03T10:00:00+13:00",
        "expires": "2026-11-04T10:00:00Z",
    }
    assert v1.post("/messages", json={**MESSAGE, **options}).status_code == 201
    [message] = sim.messages
    assert (message.id, message.direction, message.version) == (str(FIRST), "MT", 1)
    assert (message.destination, message.content) == (NUMBER, "Kia ora")
    assert (message.reference, message.class_, message.mask, message.sms_class) == (
        "order-1",
        "mt_message",
        "KiwiShop",
        1,
    )
    assert message.scheduled == datetime(2026, 11, 2, 21, tzinfo=UTC)
    assert message.expires == datetime(2026, 11, 4, 10, tzinfo=UTC)
    assert message.accepted_at == NOON
    assert message.status == "queued"


def test_two_equal_sends_are_two_messages(sim: Simulator, v1: httpx.Client) -> None:
    for _ in range(2):
        v1.post("/messages", json={**MESSAGE, "reference": "same"})
    assert [message.id for message in sim.messages] == [str(FIRST), str(FIRST + 1)]


def test_a_content_type_of_a_form_is_accepted_as_in_the_vendors_php_sample(v1: httpx.Client) -> None:
    response = v1.post(
        "/messages", content=json.dumps(MESSAGE), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert response.status_code == 201


# Broadcasting


def test_a_broadcast_is_answered_with_one_row_per_destination_good_or_bad(v1: httpx.Client) -> None:
    response = v1.post("/messages/broadcast", json={"destination": [NUMBER, "X", NUMBER], "content": "Kia ora"})
    assert response.status_code == 201
    assert response.json() == [
        {"status": "success", "message": None, "id": FIRST, "destination": NUMBER},
        {"status": "failure", "message": "Invalid destination (X)", "id": None, "destination": "X"},
        {"status": "success", "message": None, "id": FIRST + 1, "destination": NUMBER},
    ]
    V1.check("broadcast_message", response)


def test_a_broadcast_takes_a_thousand_destinations_and_refuses_one_more(sim: Simulator, v1: httpx.Client) -> None:
    numbers = [f"+6421{i:07}" for i in range(1001)]
    assert len(v1.post("/messages/broadcast", json={"destination": numbers[:1000], "content": "x"}).json()) == 1000
    response = v1.post("/messages/broadcast", json={"destination": numbers, "content": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "broadcast_limit")
    assert len(sim.messages) == 1000
    V1.check("broadcast_message", response)


# Getting


def test_a_message_is_read_back_with_a_string_id_and_only_the_attributes_it_has(
    sim: Simulator, v1: httpx.Client
) -> None:
    v1.post("/messages", json=MESSAGE)
    response = v1.get(f"/messages/{FIRST}")
    assert response.status_code == 200
    assert response.json() == {"id": str(FIRST), "source": "202", "destination": NUMBER, "content": "Kia ora"}
    assert response.headers["location"] == f"{sim.base_url}/messages/{FIRST}"
    V1.check("get_message", response)


def test_source_and_reference_are_read_back_when_they_were_given(v1: httpx.Client) -> None:
    v1.post("/messages", json={**MESSAGE, "source": "2020", "reference": "order-1"})
    got = v1.get(f"/messages/{FIRST}").json()
    assert (got["source"], got["reference"]) == ("2020", "order-1")


@pytest.mark.parametrize("message_id", ["1", "-1", "x", "9" * 100])
def test_an_unknown_id_is_404(v1: httpx.Client, message_id: str) -> None:
    response = v1.get(f"/messages/{message_id}")
    assert (response.status_code, response.json()["error"]) == (404, "404")
    V1.check("get_message", response)


# Refusals


def test_wrong_or_missing_credentials_are_401(v1: httpx.Client, plain: httpx.Client) -> None:
    with Simulator(username="application-name", password="māwhero") as sim:
        sends = [
            plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=auth, headers=headers)
            for auth, headers in [
                (None, {}),
                (("application-name", "wrong"), {}),
                (("other", "māwhero"), {}),
                (None, {"Authorization": "Basic !!!"}),
                (None, {"Authorization": "Basic YQ=="}),
                (None, {"Authorization": "Bearer token"}),
            ]
        ]
        right = plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=("application-name", "māwhero"))
    for response in sends:
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic ")
        V1.check("send_message", response)
    assert right.status_code == 201
    assert len(sim.messages) == 1
    assert [request.authenticated for request in sim.requests] == [False] * 6 + [True]


def test_empty_credentials_are_refused_even_when_any_are_accepted(sim: Simulator, plain: httpx.Client) -> None:
    for auth in [("", "password"), ("name", "")]:
        response = plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=auth)
        assert response.status_code == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b'{"content": NaN}', b"\xff", b"[" * 100_000],
    ids=["empty", "cut", "list", "string", "null", "nan", "not utf-8", "deep"],
)
def test_a_body_that_is_no_json_object_is_invalid_json(v1: httpx.Client, body: bytes) -> None:
    response = v1.post("/messages", content=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_json")
    V1.check("send_message", response)


def test_every_missing_attribute_is_named(v1: httpx.Client) -> None:
    response = v1.post("/messages", json={})
    assert response.status_code == 400
    assert response.json() == {
        "error": "missing_attrib",
        "error-desc": ["Missing a required attribute (destination)", "Missing a required attribute (content)"],
    }
    V1.check("send_message", response)


@pytest.mark.parametrize(
    ("attributes", "description"),
    [
        ({"destination": "X"}, "Invalid destination (X)"),
        ({"destination": "0211234567"}, "Invalid destination (0211234567)"),
        ({"destination": "+64 21 123 4567"}, "Invalid destination (+64 21 123 4567)"),
        ({"destination": "+64211234567\n"}, "Invalid destination (+64211234567\n)"),
        ({"destination": ""}, "Invalid destination ()"),
        ({"destination": 64211234567}, "Invalid destination (must be a string)"),
        ({"destination": None}, "Invalid destination (must be a string)"),
        ({"destination": [NUMBER]}, "Invalid destination (must be a string)"),
        ({"content": ""}, "Invalid content (must not be empty)"),
        ({"content": 1}, "Invalid content (must be a string)"),
        ({"reference": 1}, "Invalid reference (must be a string)"),
        ({"reference": None}, "Invalid reference (must be a string)"),
        ({"source": 202}, "Invalid source (must be a string)"),
        ({"mask": "m" * 21}, "Invalid mask (at most 20 characters)"),
        ({"mask": 1}, "Invalid mask (must be a string)"),
        ({"sms_class": 4}, "Invalid sms_class (must be an integer from 0 to 3)"),
        ({"sms_class": -1}, "Invalid sms_class (must be an integer from 0 to 3)"),
        ({"sms_class": True}, "Invalid sms_class (must be an integer from 0 to 3)"),
        ({"sms_class": "1"}, "Invalid sms_class (must be an integer from 0 to 3)"),
        ({"class": "mt_message", "source": "202"}, "Invalid class (must not be used together with source)"),
        ({"expires": "tomorrow"}, "Invalid expires timestamp (must be RFC3339)"),
        ({"expires": at(NOON)}, "Invalid expires timestamp (must be after the message is sent)"),
        (
            {"scheduled": at(NOON + timedelta(days=1)), "expires": at(NOON + timedelta(days=1))},
            "Invalid expires timestamp (must be after the message is sent)",
        ),
        ({"schedule": at(NOON)}, "Unknown attribute (schedule)"),
    ],
    ids=repr,
)
def test_an_invalid_attribute_is_named(
    sim: Simulator, v1: httpx.Client, attributes: dict[str, Any], description: str
) -> None:
    response = v1.post("/messages", json={**MESSAGE, **attributes})
    assert response.status_code == 400
    assert response.json() == {"error": "invalid_attrib", "error-desc": [description]}
    assert sim.messages == []
    V1.check("send_message", response)


@pytest.mark.parametrize("destination", [[], NUMBER, [1], [NUMBER, None], {}], ids=repr)
def test_a_broadcast_needs_a_list_of_strings(v1: httpx.Client, destination: Any) -> None:
    response = v1.post("/messages/broadcast", json={"destination": destination, "content": "x"})
    assert response.json() == {
        "error": "invalid_attrib",
        "error-desc": ["Invalid destination (must be a list of strings)"],
    }
    V1.check("broadcast_message", response)


def test_several_invalid_attributes_are_listed_together(v1: httpx.Client) -> None:
    response = v1.post("/messages", json={**MESSAGE, "content": 1, "mask": 2, "zzz": 3})
    assert len(response.json()["error-desc"]) == 3


@pytest.mark.parametrize(
    ("scheduled", "code", "description"),
    [
        ("tomorrow", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("2026-11-03", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("2026-11-03T10:00:00", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("2026-11-03T10:00+13:00", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("2026-11-33T10:00:00Z", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("0001-01-01T00:00:00+23:00", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        ("٢٠٢٦-11-03T10:00:00Z", "400", "Invalid scheduled timestamp (must be RFC3339)"),
        (1793620800, "400", "Invalid scheduled timestamp (must be RFC3339)"),
        (None, "400", "Invalid scheduled timestamp (must be RFC3339)"),
        (at(NOON - timedelta(seconds=1)), "422", "Invalid scheduled timestamp (must not be in the past)"),
        (at(NOON + timedelta(days=60)), "invalid_attrib", "Invalid scheduled timestamp (must be less than 60 days)"),
    ],
    ids=repr,
)
def test_a_wrong_schedule_has_its_own_codes_and_a_plain_text(
    v1: httpx.Client, scheduled: Any, code: str, description: str
) -> None:
    response = v1.post("/messages", json={**MESSAGE, "scheduled": scheduled})
    assert response.status_code == 400
    assert response.json() == {"error": code, "error-desc": description}
    V1.check("send_message", response)


@pytest.mark.parametrize(
    "scheduled",
    [at(NOON), at(NOON + timedelta(days=60, seconds=-1)), "2026-11-03T01:00:00.5+13:00", "2026-11-02t12:00:00z"],
)
def test_a_schedule_from_now_to_just_under_sixty_days_is_accepted(v1: httpx.Client, scheduled: str) -> None:
    assert v1.post("/messages", json={**MESSAGE, "scheduled": scheduled}).status_code == 201


def test_the_second_that_is_running_is_not_yet_past(plain: httpx.Client) -> None:
    with Simulator(now=NOON + timedelta(microseconds=999_999)) as sim:
        response = plain.post(f"{sim.base_url}/messages", json={**MESSAGE, "scheduled": at(NOON)}, auth=CREDENTIALS)
    assert response.status_code == 201


@pytest.mark.parametrize(
    "path",
    ["", "/", "/message", "/messages/", "/messages/1/2", "/messages/broadcast/", "x"],
)
def test_a_wrong_or_truncated_url_is_404_in_html(sim: Simulator, path: str, plain: httpx.Client) -> None:
    response = plain.post(sim.base_url + path, json=MESSAGE, auth=CREDENTIALS)
    assert response.status_code == 404
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "was not found on this server" in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/messages", "POST"), ("PUT", "/messages/broadcast", "POST"), ("DELETE", "/messages/1", "GET")],
)
def test_a_wrong_method_is_405_and_names_the_right_one(v1: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = v1.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


def test_a_body_beyond_reason_is_413_and_not_kept(sim: Simulator, v1: httpx.Client) -> None:
    assert v1.post("/messages", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert sim.requests == []


_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(NUMBER) | st.lists(st.text())
_names = [
    "destination",
    "content",
    "scheduled",
    "expires",
    "mask",
    "sms_class",
    "class",
    "source",
    "reference",
    "other",
]


@given(body=st.fixed_dictionaries({}, optional=dict.fromkeys(_names, _values)) | _values)
@settings(deadline=None)
def test_whatever_is_posted_is_answered_as_documented(shared: Simulator, body: Any, plain: httpx.Client) -> None:
    for path, operation in [("/messages", "send_message"), ("/messages/broadcast", "broadcast_message")]:
        response = plain.post(shared.base_url + path, content=json.dumps(body), auth=CREDENTIALS)
        assert response.status_code in (201, 400)
        V1.check(operation, response)


# What it remembers


def test_requests_are_remembered_in_order_without_the_credentials(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages?x=1", json=MESSAGE, headers=[("X-Twice", "a"), ("X-Twice", "b")])
    v1.get("/messages/1")
    first, second = sim.requests
    assert (first.method, first.path, first.query) == ("POST", "/rest/gateway/messages", "x=1")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-twice"] == "a, b"
    assert first.headers["authorization"] == "Basic (withheld)"
    assert (first.username, first.authenticated) == ("application-name", True)
    assert "correct horse" not in repr(first)
    assert first.json == MESSAGE
    assert (first.status_code, first.accepted) == (201, (str(FIRST),))
    assert (second.method, second.body, second.json) == ("GET", b"", None)
    assert (second.status_code, second.accepted) == (404, ())


def test_a_request_knows_all_the_messages_it_made(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages/broadcast", json={"destination": [NUMBER, "X", NUMBER], "content": "x"})
    assert sim.requests[0].accepted == tuple(message.id for message in sim.messages)
    assert len(sim.messages) == 2


def test_only_the_last_ones_are_kept_when_asked(plain: httpx.Client) -> None:
    with Simulator(keep=2) as sim:
        sim.plan_receipts()
        for number in range(4):
            plain.post(f"{sim.base_url}/messages", json={**MESSAGE, "content": str(number)}, auth=CREDENTIALS)
    assert [message.content for message in sim.messages] == ["2", "3"]
    assert [request.json["content"] for request in sim.requests] == ["2", "3"]


def test_the_same_requests_get_the_same_bytes_from_another_simulator() -> None:
    def tell() -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        with (
            Simulator(now=NOON) as sim,
            httpx.Client(base_url=sim.base_url, auth=CREDENTIALS, trust_env=False) as client,
        ):
            answers = [
                client.post("/messages", json=MESSAGE),
                client.post("/messages/broadcast", json={"destination": [NUMBER, "X"], "content": "x"}),
                client.get(f"/messages/{FIRST}"),
                client.get("/messages/1"),
            ]
            return [
                (
                    answer.status_code,
                    answer.content,
                    [(name, value.replace(sim.base_url, "")) for name, value in answer.headers.items()],
                )
                for answer in answers
            ]

    assert tell() == tell()


def test_reset_starts_as_new_at_the_same_address(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages", json=MESSAGE)
    sim.advance(60)
    sim.fail(status=500, times=None)
    sim.reset()
    assert (sim.requests, sim.messages, sim.now) == ([], [], NOON)
    assert v1.post("/messages", json=MESSAGE).json() == [FIRST]


# The clock


def test_the_clock_stands_still_until_it_is_moved(sim: Simulator, v1: httpx.Client) -> None:
    soon = {**MESSAGE, "scheduled": at(NOON + timedelta(seconds=30))}
    assert v1.post("/messages", json=soon).status_code == 201
    assert sim.now == NOON
    sim.advance(31)
    assert sim.now == NOON + timedelta(seconds=31)
    assert v1.post("/messages", json=soon).json()["error"] == "422"


def test_the_clock_starts_at_the_real_time_unless_told() -> None:
    before = datetime.now(UTC)
    assert before <= Simulator().now <= datetime.now(UTC)


def test_the_clock_can_run_by_itself() -> None:
    sim = Simulator(now=NOON, real_time=True)
    first = sim.now
    while sim.now == first:
        pass
    sim.advance(3600)
    assert sim.now - first > timedelta(hours=1)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Simulator(now=datetime(2026, 11, 2))  # noqa: DTZ001 - that is the point


# Faults


def test_a_fault_answers_instead_of_the_gateway_once(sim: Simulator, v1: httpx.Client) -> None:
    fault = sim.fail(status=503, body="<h1>Busy</h1>", headers={"Retry-After": "5", "Content-Type": "text/html"})
    response = v1.post("/messages", json=MESSAGE)
    assert (response.status_code, response.text, response.headers["retry-after"]) == (503, "<h1>Busy</h1>", "5")
    assert (sim.messages, sim.requests[0].accepted, sim.requests[0].status_code) == ([], (), 503)
    assert fault.hits == 1
    assert v1.post("/messages", json=MESSAGE).status_code == 201


def test_a_fault_may_hide_that_the_message_was_accepted(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=503, acted=True)
    assert v1.post("/messages", json=MESSAGE).status_code == 503
    assert sim.requests[0].accepted == (sim.messages[0].id,)


def test_a_documented_error_can_be_asked_for_by_its_code(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(error="send_failed")
    response = v1.post("/messages", json=MESSAGE)
    assert response.status_code == 400
    assert response.json() == {
        "error": "send_failed",
        "error-desc": ["Could not queue message due to an unknown error"],
    }
    V1.check("send_message", response)


def test_an_undocumented_error_code_is_refused_with_the_documented_ones(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="these are: send_failed, invalid_json"):
        sim.fail(error="sendfailed")


def test_a_fault_may_have_any_body_and_last(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=201, body=b"", times=2)
    sim.fail(status=502, body={"message": "Bad", "code": 502}, times=None)
    answers = [v1.post("/messages", json=MESSAGE) for _ in range(4)]
    assert [(answer.status_code, answer.content) for answer in answers[:2]] == [(201, b"")] * 2
    assert [answer.json() for answer in answers[2:]] == [{"message": "Bad", "code": 502}] * 2
    assert answers[3].headers["content-type"] == "application/json"


def test_a_fault_hits_only_what_it_matches(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=500, match=lambda request: request.json["destination"] == "+64211234568")
    assert v1.post("/messages", json=MESSAGE).status_code == 201
    assert v1.post("/messages", json={**MESSAGE, "destination": "+64211234568"}).status_code == 500


def test_a_wrong_content_length_can_be_promised(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=200, body=b"{}", headers={"content-length": "2"})
    assert v1.get("/messages/1").json() == {}


@pytest.mark.parametrize(
    ("cut", "accepted"), [("before", False), ("after", True), ("head", True), ("body", True)], ids=str
)
def test_a_connection_can_be_cut_at_every_stage(sim: Simulator, v1: httpx.Client, cut: Any, accepted: bool) -> None:
    sim.fail(cut=cut)
    with pytest.raises(httpx.RemoteProtocolError):
        v1.post("/messages", json=MESSAGE)
    [request] = sim.requests
    assert request.status_code is None
    assert bool(request.accepted) == bool(sim.messages) == accepted
    assert v1.get(f"/messages/{FIRST}").status_code == (200 if accepted else 404)


def test_what_gets_out_before_a_cut_is_a_true_beginning(sim: Simulator) -> None:
    def exchange(cut: Any) -> bytes:
        sim.reset()
        sim.fail(cut=cut)
        host, port = sim.base_url.split("/")[2].split(":")
        body = json.dumps(MESSAGE).encode()
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /rest/gateway/messages HTTP/1.1\r\nHost: gateway\r\nAuthorization: Basic YTpi\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            return b"".join(iter(lambda: connection.recv(65536), b""))

    assert exchange("before") == exchange("after") == b""
    head = exchange("head")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"\r\n\r\n" not in head
    assert exchange("body").endswith(b"content-length: 18\r\n\r\n[90071992")


def test_a_cut_answer_may_be_any_answer(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=201, headers={"Location": "x"}, cut="body")
    with pytest.raises(httpx.RemoteProtocolError, match="received 0 bytes, expected 1"):
        v1.post("/messages", json=MESSAGE)
    assert sim.messages == []


def test_a_late_answer_comes_after_the_message_was_accepted(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(delay=60)
    with pytest.raises(httpx.ReadTimeout):
        v1.post("/messages", json=MESSAGE, timeout=0.05)
    assert len(sim.messages) == 1


def test_a_delayed_answer_arrives(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(delay=0.001)
    assert v1.post("/messages", json=MESSAGE).status_code == 201


# Starting and stopping


def test_it_stops_at_once_though_an_answer_is_pending_and_leaves_no_thread(
    v1: httpx.Client, plain: httpx.Client
) -> None:
    before = threading.enumerate()
    with Simulator() as sim:
        fault = sim.fail(delay=3600)
        failures: list[Exception] = []

        def send() -> None:
            try:
                plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=CREDENTIALS, timeout=None)
            except httpx.HTTPError as exc:
                failures.append(exc)

        sender = threading.Thread(target=send)
        sender.start()
        while not fault.hits:
            pass
    sender.join()
    assert len(failures) == 1
    assert len(sim.messages) == 1
    assert threading.enumerate() == before


def test_a_client_that_leaves_while_sending_is_forgotten(sim: Simulator, plain: httpx.Client) -> None:
    host, port = sim.base_url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /rest/gateway/messages HTTP/1.1\r\nHost: gateway\r\nContent-Length: 9\r\n\r\n{")
    assert plain.get(f"{sim.base_url}/messages/1", auth=CREDENTIALS).status_code == 404
    assert len(sim.requests) == 1


def test_it_can_be_stopped_twice_and_started_again(plain: httpx.Client) -> None:
    sim = Simulator().start()
    with pytest.raises(RuntimeError, match="running already"):
        sim.start()
    sim.stop()
    sim.stop()
    with sim:
        assert plain.get(f"{sim.base_url}/messages/1", auth=CREDENTIALS).status_code == 404


def test_a_port_can_be_chosen_and_a_taken_one_is_an_error() -> None:
    with Simulator() as first:
        port = int(first.base_url.split("/")[2].partition(":")[2])
        with pytest.raises(OSError, match="in use"):
            Simulator(port=port).start()
    with Simulator(port=port) as second:
        assert second.base_url == first.base_url


def test_it_works_in_async_code() -> None:
    async def main() -> int:
        async with Simulator() as sim, httpx.AsyncClient(auth=CREDENTIALS, trust_env=False) as client:
            return (await client.post(f"{sim.base_url}/messages", json=MESSAGE)).status_code

    assert asyncio.run(main()) == 201


# Delivery receipts


def statuses(payloads: list[dict[str, Any]]) -> list[str]:
    return [payload["status"] for payload in payloads]


def test_receipts_sent_and_received_come_as_the_clock_gets_there(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    v1.post("/messages", json={**MESSAGE, "reference": "order-1"})
    assert sim.advance(0) == []
    [sent] = sim.advance(1)
    assert sent.payload == {"message_id": str(FIRST), "status": "sent", "reference": "order-1"}
    assert (sent.kind, sent.message_id, sent.url) == ("receipt", str(FIRST), sim.dlr_url)
    assert (sent.at, sent.attempt, sent.status_code, sent.ok) == (NOON + timedelta(seconds=1), 1, 200, True)
    [received] = sim.advance(10)
    assert received.payload["status"] == "received"
    assert received.at == NOON + timedelta(seconds=2)
    assert sim.now == NOON + timedelta(seconds=11)
    assert receiver.payloads == [sent.payload, received.payload]
    assert receiver.paths == ["POST /dlr?"] * 2
    assert receiver.headers[0]["content-type"] == "application/json"
    assert "authorization" not in receiver.headers[0]
    assert sim.deliveries == [sent, received]
    for payload in receiver.payloads:
        V1.check_callback("status", payload)


def test_a_receipt_has_no_reference_when_the_message_had_none(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    v1.post("/messages", json=MESSAGE)
    sim.deliver()
    assert receiver.payloads[0] == {"message_id": str(FIRST), "status": "sent"}


def test_the_message_follows_its_receipts_with_or_without_a_receiver(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages", json=MESSAGE)
    [message] = sim.messages
    assert message.status == "accepted"
    assert "operator" not in v1.get(f"/messages/{FIRST}").json()
    assert sim.advance(1) == []
    assert message.status == "sent"
    assert v1.get(f"/messages/{FIRST}").json()["operator"] == "Simulated Mobile"
    assert sim.deliver() == []
    assert message.status == "received"


def test_receipts_of_a_broadcast_come_interleaved_as_they_get_due(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    v1.post("/messages/broadcast", json={"destination": [NUMBER, "X", "+64211234568"], "content": "x"})
    sim.deliver()
    assert [(payload["message_id"], payload["status"]) for payload in receiver.payloads] == [
        (str(FIRST), "sent"),
        (str(FIRST + 1), "sent"),
        (str(FIRST), "received"),
        (str(FIRST + 1), "received"),
    ]


def test_a_scheduled_message_is_sent_when_its_time_has_come(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    v1.post("/messages", json={**MESSAGE, "scheduled": at(NOON + timedelta(hours=1))})
    assert sim.advance(3600) == []
    assert sim.messages[0].status == "queued"
    assert statuses([dict(delivery.payload) for delivery in sim.advance(60)]) == ["sent", "received"]


def test_a_message_expires_when_its_time_is_over_first(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    sim.plan_receipts("sent", "received", interval=60)
    v1.post("/messages", json={**MESSAGE, "expires": at(NOON + timedelta(seconds=90))})
    sim.deliver()
    assert statuses(receiver.payloads) == ["sent", "expired"]
    assert sim.now == NOON + timedelta(seconds=90)


def test_receipts_can_be_planned_for_all_and_for_one_number(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    sim.plan_receipts("rejected", destination="+64211234568")
    sim.plan_receipts()
    sim.plan_receipts("submitted", "frozen", "from the future", destination="+64211234569", interval=5)
    v1.post("/messages/broadcast", json={"destination": [f"+6421123456{i}" for i in (7, 8, 9)], "content": "x"})
    sim.deliver()
    assert [(payload["message_id"], payload["status"]) for payload in receiver.payloads] == [
        (str(FIRST + 1), "rejected"),
        (str(FIRST + 2), "submitted"),
        (str(FIRST + 2), "frozen"),
        (str(FIRST + 2), "from the future"),
    ]
    assert sim.now == NOON + timedelta(seconds=15)


# Disturbed callbacks


def test_callbacks_can_be_duplicated(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    sim.disturb_callbacks(duplicate=1.0)
    v1.post("/messages", json=MESSAGE)
    sim.reply(NUMBER, "Yes")
    sim.deliver()
    assert [payload.get("status") for payload in receiver.payloads] == [None, None, "sent", "sent"] + ["received"] * 2


def test_callbacks_can_be_dropped_though_the_message_goes_on(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    sim.disturb_callbacks(drop=1.0, duplicate=1.0)
    v1.post("/messages", json=MESSAGE)
    sim.reply(NUMBER, "Yes")
    assert sim.deliver() == []
    assert (receiver.payloads, sim.messages[0].status) == ([], "received")


def test_receipts_can_come_in_reverse_order_but_not_before_they_are_true(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    sim.disturb_callbacks(reorder=1.0)
    v1.post("/messages", json=MESSAGE)
    assert sim.advance(1) == []
    assert sim.messages[0].status == "sent"
    sim.advance(1)
    assert statuses(receiver.payloads) == ["received", "sent"]
    assert sim.messages[0].status == "received"


def test_disturbances_are_the_same_every_time_and_differ_by_seed(plain: httpx.Client) -> None:
    def tell(seed: int) -> list[dict[str, Any]]:
        receiver = Receiver()
        with serve(receiver) as url, Simulator(seed=seed, dlr_url=url) as sim:
            sim.disturb_callbacks(duplicate=0.3, drop=0.3, reorder=0.3)
            numbers = [f"+6421{i:07}" for i in range(20)]
            body = {"destination": numbers, "content": "x"}
            plain.post(f"{sim.base_url}/messages/broadcast", json=body, auth=CREDENTIALS)
            sim.deliver()
        return receiver.payloads

    assert tell(1) == tell(1) != tell(2)


# The receiver's side


def test_credentials_of_the_url_arrive_as_basic_and_are_not_remembered(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    assert sim.dlr_url is not None
    sim.dlr_url = sim.dlr_url.replace("http://", "http://app%40shop:p%C4%81ss%3Aword@") + "?from=modica"
    v1.post("/messages", json=MESSAGE)
    [delivery] = sim.advance(1)
    assert (
        base64.b64decode(receiver.headers[0]["authorization"].removeprefix("Basic ")).decode() == "app@shop:pāss:word"
    )
    assert receiver.paths == ["POST /dlr?from=modica"]
    assert "ss" not in delivery.url
    assert "authorization" not in {name.lower() for name in delivery.headers}


def test_a_failing_receiver_gets_the_callback_again_a_few_times(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503]
    sim.plan_receipts("sent")
    v1.post("/messages", json=MESSAGE)
    deliveries = sim.deliver()
    assert [(delivery.attempt, delivery.status_code, delivery.ok) for delivery in deliveries] == [
        (1, 500, False),
        (2, 503, False),
        (3, 200, True),
    ]
    assert [(delivery.at - NOON).seconds for delivery in deliveries] == [1, 31, 91]
    assert receiver.payloads[0] == receiver.payloads[1] == receiver.payloads[2]


def test_a_receiver_that_never_recovers_is_given_up(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    receiver.statuses = [500] * 10
    sim.plan_receipts("sent")
    v1.post("/messages", json=MESSAGE)
    assert [delivery.attempt for delivery in sim.deliver()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_any_other_answer_settles_a_callback_and_no_redirect_is_followed(
    sim: Simulator, v1: httpx.Client, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    sim.plan_receipts("sent")
    v1.post("/messages", json=MESSAGE)
    [delivery] = sim.deliver()
    assert (delivery.status_code, delivery.ok) == (status, False)


def test_an_unreachable_receiver_is_tried_again(sim: Simulator, v1: httpx.Client) -> None:
    with serve(Receiver()) as url:
        pass
    sim.dlr_url = url
    sim.plan_receipts("sent")
    v1.post("/messages", json=MESSAGE)
    deliveries = sim.deliver()
    assert len(deliveries) == 5
    assert deliveries[0].status_code is None
    assert deliveries[0].problem is not None
    assert deliveries[0].problem.startswith("ConnectionRefusedError")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver.example/dlr",
        "ftp://receiver.example",
        "http://",
        "https:///dlr",
        "http://receiver.example:abc/dlr",
        "http://receiver.example:99999/dlr",
        "http://receiver.example:0/dlr",
        "http://receiver.example:/dlr",
        "http://receiver.example/dlr\r\nX-Header: 1",
        "http://receiver.example/kōrero",
        "http://kōrero.example/dlr",
        "http://receiver .example/dlr",
        "http://receiver..example/dlr",
        f"http://{'a' * 64}.example/dlr",
        "http://[::1/dlr",
        7,
        ("http://receiver.example/dlr", "http://receiver.example/dlr"),
        (print, "http://receiver.example:abc"),
    ],
    ids=repr,
)
def test_a_url_that_cannot_be_posted_to_is_refused_when_it_is_set(sim: Simulator, url: Any) -> None:
    sim.dlr_url = sim.mo_url = "http://receiver.example/dlr"
    with pytest.raises(ValueError, match="a callback URL looks like https://"):
        sim.dlr_url = url
    with pytest.raises(ValueError, match="a callback URL looks like https://"):
        sim.mo_url = url
    with pytest.raises(ValueError, match="a callback URL looks like https://"):
        Simulator(dlr_url=url)
    assert sim.dlr_url == sim.mo_url == "http://receiver.example/dlr"


def test_the_refusal_of_a_url_does_not_repeat_its_password() -> None:
    with pytest.raises(ValueError, match="callback URL") as caught:
        Simulator(dlr_url="ftp://name:secret-word@receiver.example")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://receiver_1:8080/dlr", "https://[::1]:8080", "http://n:p%20w@a.example./dlr?x=1", "http://127.0.0.1"]
)
def test_other_urls_are_accepted(url: str) -> None:
    assert Simulator(dlr_url=url).dlr_url == url


def test_an_https_receiver_needs_a_certificate_that_is_trusted(
    sim: Simulator, v1: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # the refused handshake

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        sim.dlr_url = f"https://localhost:{server.server_port}/dlr"
        v1.post("/messages", json=MESSAGE)
        [stranger] = sim.advance(1)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        [trusted] = sim.advance(1)
        server.shutdown()
        thread.join()
    assert stranger.problem is not None
    assert stranger.problem.startswith("SSLCertVerificationError")
    assert trusted.status_code == 204


# Inbound messages


def test_a_reply_answers_the_last_message_to_that_number(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    for reference in ("first", "second"):
        v1.post("/messages", json={**MESSAGE, "reference": reference, "source": "2020"})
    v1.post("/messages", json={**MESSAGE, "destination": "+64211234568"})
    reply = sim.reply(NUMBER, "Āe")
    [delivery] = sim.advance(0)
    assert receiver.payloads == [
        {
            "id": FIRST + 3,
            "source": NUMBER,
            "destination": "2020",
            "content": "Āe",
            "operator": "Simulated Mobile",
            "reply_to": str(FIRST + 1),
            "reference": "second",
        }
    ]
    V1.check_callback("reply", receiver.payloads[0])
    assert receiver.headers[0]["location"] == f"{sim.base_url}/messages/{FIRST + 3}"
    assert (delivery.kind, delivery.message_id, receiver.paths) == ("inbound", reply.id, ["POST /mo?"])
    got = v1.get(f"/messages/{reply.id}").json()
    assert got == {**receiver.payloads[0], "id": str(FIRST + 3)}
    assert reply not in sim.messages


def test_a_reply_to_a_message_without_reference_has_none(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    v1.post("/messages", json=MESSAGE)
    sim.reply(NUMBER, "Yes")
    sim.advance(0)
    assert "reference" not in receiver.payloads[0]


def test_an_inbound_message_may_answer_none(sim: Simulator, receiver: Receiver) -> None:
    sim.receive(NUMBER, "START", destination="2020")
    sim.advance(0)
    assert receiver.payloads == [
        {
            "id": FIRST,
            "source": NUMBER,
            "destination": "2020",
            "content": "START",
            "operator": "Simulated Mobile",
        }
    ]
    V1.check_callback("reply", receiver.payloads[0])


def test_who_was_sent_nothing_cannot_reply(sim: Simulator) -> None:
    with pytest.raises(LookupError, match=r"receive\(\)"):
        sim.reply(NUMBER, "Yes")


def test_binary_content_arrives_as_base64_and_says_so(sim: Simulator, receiver: Receiver) -> None:
    sim.receive(NUMBER, b"\x00\xff")
    sim.receive(NUMBER, b"\x00", version=2)
    sim.advance(0)
    assert [(payload["content"], payload["encoding"]) for payload in receiver.payloads] == [
        ("AP8=", "base64"),
        ("AA==", "base64"),
    ]
    V1.check_callback("reply", receiver.payloads[0])


def test_the_clock_does_not_go_back(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="forward only"):
        sim.advance(-1)


def test_what_waits_for_a_receipt_is_never_forgotten(plain: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    with serve(receiver) as url, Simulator(keep=5, dlr_url=url) as sim:
        body = {"destination": [f"+6421{i:07}" for i in range(100)], "content": "x"}
        first, *_ = plain.post(f"{sim.base_url}/messages/broadcast", json=body, auth=CREDENTIALS).json()
        scheduled = {**MESSAGE, "scheduled": at(sim.now + timedelta(days=1))}
        [last] = plain.post(f"{sim.base_url}/messages", json=scheduled, auth=CREDENTIALS).json()
        assert plain.get(f"{sim.base_url}/messages/{first['id']}", auth=CREDENTIALS).status_code == 200
        assert caplog.messages == []
        sim.advance(60)
        assert len(receiver.payloads) == 200
        assert len(sim.messages) == 6
        assert len(sim.deliveries) == 5
        assert plain.get(f"{sim.base_url}/messages/{first['id']}", auth=CREDENTIALS).status_code == 404
        sim.deliver()
    assert [payload["message_id"] for payload in receiver.payloads[200:]] == [str(last)] * 2
    assert sorted(caplog.messages) == [
        "more than 5 deliveries: the oldest are forgotten from here on (keep)",
        "more than 5 messages: the oldest are forgotten from here on (keep)",
    ]


# With real time, in asynchronous code, from the shell


def test_with_real_time_callbacks_are_posted_by_themselves(plain: httpx.Client) -> None:
    arrived = threading.Event()

    async def receiver(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
            arrived.set()

    before = threading.enumerate()
    with serve(receiver) as url, Simulator(real_time=True, mo_url=url) as sim:
        sim.receive(NUMBER, "START")
        assert arrived.wait(10)
    assert [delivery.status_code for delivery in sim.deliveries] == [200]
    assert threading.enumerate() == before


def test_an_asynchronous_test_may_answer_callbacks_in_its_own_loop() -> None:
    async def main() -> tuple[list[bytes], list[int | None]]:
        bodies: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            bodies.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        async with AsyncSimulator() as sim, await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            sim.mo_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            sim.receive(NUMBER, "one")
            deliveries = await sim.advance(0)
            sim.receive(NUMBER, "two")
            deliveries += await sim.deliver()
        return bodies, [delivery.status_code for delivery in deliveries]

    bodies, answers = asyncio.run(main())
    assert [json.loads(body)["content"] for body in bodies] == ["one", "two"]
    assert answers == [204, 204]


def test_serve_reports_an_application_that_cannot_start() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="start-up failed"), serve(broken):
        pass


# REST v2


def test_v2_answers_202_with_a_uuid_and_reads_the_message_back(sim: Simulator, v2: httpx.Client) -> None:
    response = v2.post("/messages", json={**MESSAGE, "reference": "order-1", "integration_id": str(uuid.UUID(int=1))})
    assert response.status_code == 202
    V2.check("send_message", response)
    [message] = sim.messages
    assert response.json() == {"id": message.id, "status": "accepted", "detail": NUMBER}
    assert str(uuid.UUID(message.id)) == message.id
    assert (message.version, message.integration_id) == (2, str(uuid.UUID(int=1)))
    got = v2.get("/messages", params={"id": message.id})
    V2.check("get_message", got)
    assert got.json() == {
        "id": message.id,
        "source": "202",
        "destination": NUMBER,
        "direction": "MT",
        "reference": "order-1",
        "content": "Kia ora",
        "status": "accepted",
    }
    sim.deliver()
    assert v2.get("/messages", params={"id": message.id}).json()["status"] == "received"


def test_v2_ids_are_the_same_every_time_and_differ_by_seed(plain: httpx.Client) -> None:
    def tell(seed: int) -> list[str]:
        with Simulator(seed=seed) as sim:
            sends = [plain.post(f"{sim.v2_base_url}/messages", json=MESSAGE, auth=CREDENTIALS) for _ in range(3)]
            return [send.json()["id"] for send in sends]

    assert tell(0) == tell(0) != tell(1)


def test_ids_of_one_version_are_unknown_to_the_other(v1: httpx.Client, v2: httpx.Client) -> None:
    old = v1.post("/messages", json=MESSAGE).json()[0]
    new = v2.post("/messages", json=MESSAGE).json()["id"]
    assert v1.get(f"/messages/{new}").status_code == 404
    assert v2.get("/messages", params={"id": old}).status_code == 404


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"expires": at(NOON + timedelta(days=1))}, "Unknown attribute expires"),
        ({"destination": "X"}, "Invalid destination X"),
        ({"destination": [NUMBER]}, "Invalid destination must be a string"),
        ({"integration_id": "1"}, "Invalid integrationid must be a UUID"),
        ({"integration_id": str(uuid.UUID(int=10)).upper()}, "Invalid integration_id must be a UUID"),
        ({"scheduled": "tomorrow"}, "Invalid scheduled timestamp must be RFC3339"),
        ({"mask": 1, "sms_class": 9}, "Invalid mask must be a string Invalid sms_class must be an integer from 0 to 3"),
        ({"content": "x" * 10, "zzz" * 300: 1}, "Unknown attribute " + ("zzz" * 300)[:482]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_v2_refuses_in_its_own_envelope(
    sim: Simulator, v2: httpx.Client, attributes: dict[str, Any], error: str
) -> None:
    response = v2.post("/messages", json={**MESSAGE, **attributes})
    assert response.status_code == 400
    V2.check("send_message", response)
    assert response.json()["statusCode"] == 400
    assert response.json()["error"] == error.replace("integrationid", "integration_id")
    assert sim.messages == []


def test_v2_has_no_broadcast_and_says_so_in_json(v2: httpx.Client) -> None:
    response = v2.post("/messages/broadcast", json={"destination": [NUMBER], "content": "x"})
    assert (response.status_code, response.json()["statusCode"]) == (404, 404)


def test_v2_answers_401_404_and_405_in_its_envelope(sim: Simulator, v2: httpx.Client) -> None:
    unauthorized = v2.post("/messages", json=MESSAGE, auth=("name", ""))
    assert unauthorized.status_code == 401
    assert unauthorized.headers["www-authenticate"].startswith("Basic ")
    V2.check("send_message", unauthorized)
    unknown = v2.get("/messages", params={"id": str(uuid.UUID(int=1))})
    assert unknown.status_code == 404
    V2.check("get_message", unknown)
    wrong_method = v2.put("/messages", json=MESSAGE)
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("query", ["", "?id=", "?id=1", f"?id={uuid.UUID(int=10)}&id={uuid.UUID(int=10)}"])
def test_v2_finds_nothing_without_exactly_one_uuid(v2: httpx.Client, query: str) -> None:
    response = v2.get("/messages" + query)
    assert (response.status_code, response.json()["statusCode"]) == (404, 404)
    V2.check("get_message", response)


def test_v2_posts_receipts_in_the_shape_of_the_prose_or_of_the_specification(
    sim: Simulator, v2: httpx.Client, receiver: Receiver
) -> None:
    message_id = v2.post("/messages", json={**MESSAGE, "reference": "order-1"}).json()["id"]
    sim.advance(1)
    sim.v2_receipts = "specification"
    sim.advance(1)
    assert receiver.payloads == [
        {"message_id": message_id, "status": "sent", "reference": "order-1"},
        {"id": message_id, "status": "received", "detail": NUMBER},
    ]
    for payload in receiver.payloads:
        V2.check_callback("status", payload)


def test_v2_posts_replies_without_reply_to(sim: Simulator, v2: httpx.Client, receiver: Receiver) -> None:
    v2.post("/messages", json={**MESSAGE, "reference": "order-1"})
    reply = sim.reply(NUMBER, "Yes")
    sim.advance(0)
    assert receiver.payloads == [
        {
            "id": reply.id,
            "source": NUMBER,
            "destination": "202",
            "content": "Yes",
            "operator": "Simulated Mobile",
        }
    ]
    V2.check_callback("reply", receiver.payloads[0])
    assert v2.get("/messages", params={"id": reply.id}).json()["direction"] == "MO"
