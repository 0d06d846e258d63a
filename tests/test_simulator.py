"""The simulator answers as the published documents say, and remembers what it did; seen through plain HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator

from modica_facade.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
NUMBER = "+64211234567"
MESSAGE = {"destination": NUMBER, "content": "Kia ora"}
DOCUMENTS = Path(__file__).parent.parent / "openapi"
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


class Document:
    """A product of the pipeline, to hold answers against."""

    def __init__(self, name: str) -> None:
        self._content = yaml.safe_load((DOCUMENTS / name).read_text(encoding="utf-8"))

    def check(self, operation_id: str, response: httpx.Response) -> None:
        [operation] = [
            operation
            for path in self._content["paths"].values()
            for operation in path.values()
            if isinstance(operation, dict) and operation.get("operationId") == operation_id
        ]
        self.check_payload(operation["responses"][str(response.status_code)], response.json())
        assert response.headers["content-type"] == "application/json"

    def check_payload(self, holder: dict[str, Any], payload: Any) -> None:
        if "$ref" in holder:
            holder = self._content["components"]["responses"][holder["$ref"].rpartition("/")[2]]
        schema = holder["content"]["application/json"]["schema"]
        OAS30Validator({**schema, "components": self._content["components"]}).validate(payload)


V1 = Document("gateway-v1.openapi.yaml")


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


def test_an_unknown_id_is_404(v1: httpx.Client) -> None:
    response = v1.get("/messages/1")
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
    ["", "/", "/message", "/messages/", "/messages/x", "/messages/-1", "/messages/1/2", "/messages/broadcast/", "x"],
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
    assert (first.status, first.accepted) == (201, (str(FIRST),))
    assert (second.method, second.body, second.json) == ("GET", b"", None)
    assert (second.status, second.accepted) == (404, ())


def test_a_request_knows_all_the_messages_it_made(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages/broadcast", json={"destination": [NUMBER, "X", NUMBER], "content": "x"})
    assert sim.requests[0].accepted == tuple(message.id for message in sim.messages)
    assert len(sim.messages) == 2


def test_only_the_last_ones_are_kept_when_asked(plain: httpx.Client) -> None:
    with Simulator(keep=2) as sim:
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
    assert (sim.messages, sim.requests[0].accepted, sim.requests[0].status) == ([], (), 503)
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
    assert request.status is None
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
    assert exchange("body").endswith(b"Content-Length: 18\r\n\r\n[90071992")


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
