"""The simulator answers as the published documents say, and remembers what it did; seen through plain HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import time_machine
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modica_facade.simulator import (
    ALWAYS_EXPIRED,
    ALWAYS_REFUSED,
    ALWAYS_REJECTED,
    Application,
    AsyncSimulator,
    Simulator,
    serve,
)

from ..support.callback_receiver import Receiver
from ..support.documents import Document
from .support import CREDENTIALS, FIRST, MESSAGE, NOON, NUMBER, OTHER, at

if TYPE_CHECKING:
    from collections.abc import Iterator

V1 = Document("gateway-v1.openapi.yaml")
V2 = Document("sms-v2.openapi.yaml")


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


# Sending


def test_a_send_is_answered_201_with_an_array_of_one_id_and_its_location(sim: Simulator, v1: httpx.Client) -> None:
    response = v1.post("/messages", json=MESSAGE)
    assert response.status_code == 201
    assert response.json() == [FIRST]
    assert response.headers["location"] == f"{sim.base_url}/messages/{FIRST}"
    V1.check("send_message", response)


def test_a_location_uses_the_name_the_client_uses(sim: Simulator, v1: httpx.Client) -> None:
    response = v1.post("/messages", json=MESSAGE, headers={"Host": "sms.test:8024"})
    assert response.headers["location"] == f"http://sms.test:8024/rest/gateway/messages/{FIRST}"


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


@pytest.mark.parametrize("how_far", [3600, timedelta(hours=1), NOON + timedelta(hours=1)], ids=str)
def test_the_clock_moves_by_seconds_by_a_timedelta_or_to_a_moment(sim: Simulator, how_far: Any) -> None:
    sim.advance(how_far)
    assert sim.now == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    "how_far",
    [
        -1,
        timedelta(seconds=-1),
        NOON - timedelta(seconds=1),
        datetime(9000, 1, 2, tzinfo=UTC),
        datetime(2030, 1, 1),  # noqa: DTZ001 - that is the point
        "60",
        True,
        None,
        float("nan"),
        float("inf"),
        1e18,
        timedelta.max,
    ],
    ids=str,
)
def test_the_clock_does_not_go_back_nor_where_there_are_no_dates(sim: Simulator, how_far: Any) -> None:
    with pytest.raises(ValueError, match=r"forward only|seconds|offset"):
        sim.advance(how_far)
    assert sim.now == NOON


def test_the_clock_starts_when_it_is_first_looked_at() -> None:
    with time_machine.travel(NOON, tick=False) as traveller:
        sim, running = Simulator(), Simulator(real_time=True)
        traveller.shift(timedelta(days=400))
        assert sim.now == NOON + timedelta(days=400)
        assert running.now >= NOON + timedelta(days=400)
        traveller.shift(1)
        assert sim.now == NOON + timedelta(days=400)


def test_a_clock_that_runs_is_not_ahead_by_what_passed_before_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    with time_machine.travel(NOON, tick=False):
        elapsed = iter([100.0, 200.0, 200.0, 207.0])
        monkeypatch.setattr("modica_facade.simulator._gateway.time", SimpleNamespace(monotonic=lambda: next(elapsed)))
        sim = Simulator(real_time=True)
        assert sim.now == NOON
        assert sim.now == NOON + timedelta(seconds=7)


def test_a_clock_is_started_only_where_something_posts_callbacks(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="real_time=True"):
        sim.running = True
    with pytest.raises(ValueError, match="running"):
        sim.running = "yes"  # type: ignore[assignment]
    assert sim.running is False


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Simulator(now=datetime(2026, 11, 2))  # noqa: DTZ001 - that is the point


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
    v1.post("/messages/broadcast", json={"destination": [NUMBER, "X", OTHER], "content": "x"})
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
    sim.plan_receipts("rejected", destination=OTHER)
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


# Inbound messages


def test_a_reply_answers_the_last_message_to_that_number(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    for reference in ("first", "second"):
        v1.post("/messages", json={**MESSAGE, "reference": reference, "source": "2020"})
    v1.post("/messages", json={**MESSAGE, "destination": OTHER})
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


def test_only_what_has_left_for_the_handset_can_be_answered(sim: Simulator, v1: httpx.Client) -> None:
    v1.post("/messages", json={**MESSAGE, "content": "later", "scheduled": at(NOON + timedelta(hours=1))})
    with pytest.raises(LookupError, match="no message has left"):
        sim.reply(NUMBER, "Yes")
    v1.post("/messages", json={**MESSAGE, "content": "now"})
    assert sim.reply(NUMBER, "Yes").reply_to == str(FIRST + 1)
    sim.advance(3600)
    assert sim.reply(NUMBER, "Yes").reply_to == str(FIRST), "it left last"


@pytest.mark.parametrize("plan", [["rejected"], ["expired"], ["blocked"], ["failed", "dead"]], ids=str)
@pytest.mark.parametrize("seconds", [0, 60])
def test_what_never_got_there_cannot_be_answered(
    sim: Simulator, v1: httpx.Client, plan: list[str], seconds: float
) -> None:
    sim.plan_receipts(*plan)
    v1.post("/messages", json=MESSAGE)
    sim.advance(seconds)
    with pytest.raises(LookupError, match="no message has left"):
        sim.reply(NUMBER, "Yes")
    with pytest.raises(LookupError, match=f"no message {FIRST} has left"):
        sim.reply(NUMBER, "Yes", reply_to=str(FIRST))


def test_what_expired_before_it_was_sent_cannot_be_answered(sim: Simulator, v1: httpx.Client) -> None:
    sim.plan_receipts("sent", interval=60)
    v1.post("/messages", json={**MESSAGE, "expires": at(NOON + timedelta(seconds=30))})
    with pytest.raises(LookupError):
        sim.reply(NUMBER, "Yes")


def test_an_older_message_can_be_answered_by_its_id(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    for reference in ("first", "second"):
        v1.post("/messages", json={**MESSAGE, "reference": reference, "source": "2020"})
    sim.reply(NUMBER, "Yes", reply_to=str(FIRST))
    sim.advance(0)
    assert (receiver.payloads[0]["reply_to"], receiver.payloads[0]["reference"]) == (str(FIRST), "first")
    with pytest.raises(LookupError):
        sim.reply(OTHER, "Yes", reply_to=str(FIRST))


def test_without_a_number_sequence_a_reply_does_not_say_what_it_answers(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    v1.post("/messages", json={**MESSAGE, "reference": "order-1", "source": "2020"})
    sim.reply(NUMBER, "Yes", reply_to=None)
    sim.reply(OTHER, "Hello", reply_to=None)
    sim.advance(0)
    assert [(payload["destination"], payload["content"]) for payload in receiver.payloads] == [
        ("2020", "Yes"),
        ("202", "Hello"),
    ]
    for payload in receiver.payloads:
        assert not {"reply_to", "reference"} & payload.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": "", "content": "x"},
        {"source": None, "content": "x"},
        {"source": NUMBER, "content": None},
        {"source": NUMBER, "content": ["x"]},
    ],
    ids=str,
)
def test_an_inbound_message_needs_a_number_and_content(sim: Simulator, arguments: dict[str, Any]) -> None:
    for method in (sim.reply, sim.receive):
        with pytest.raises(ValueError, match=r"source|content"):
            method(**arguments, **({"reply_to": None} if method == sim.reply else {}))
    with pytest.raises(ValueError, match="version"):
        sim.receive(NUMBER, "x", version=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="destination"):
        sim.receive(NUMBER, "x", destination="")


def test_binary_content_arrives_as_base64_and_says_so(sim: Simulator, receiver: Receiver) -> None:
    sim.receive(NUMBER, b"\x00\xff")
    sim.receive(NUMBER, b"\x00", version=2)
    sim.advance(0)
    assert [(payload["content"], payload["encoding"]) for payload in receiver.payloads] == [
        ("AP8=", "base64"),
        ("AA==", "base64"),
    ]
    V1.check_callback("reply", receiver.payloads[0])


# Numbers with a fixed outcome


def test_three_numbers_have_a_fixed_outcome(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client, receiver: Receiver
) -> None:
    numbers = [ALWAYS_REJECTED, ALWAYS_EXPIRED, ALWAYS_REFUSED, NUMBER]
    rows = v1.post("/messages/broadcast", json={"destination": numbers, "content": "x"}).json()
    assert [row["status"] for row in rows] == ["success", "success", "failure", "success"]
    assert rows[2]["message"] == f"Invalid destination ({ALWAYS_REFUSED})"
    for client in (v1, v2):
        assert client.post("/messages", json={**MESSAGE, "destination": ALWAYS_REFUSED}).status_code == 400
    v2.post("/messages", json={**MESSAGE, "destination": ALWAYS_REJECTED})
    sim.deliver()
    assert [message.status for message in sim.messages] == ["rejected", "expired", "received", "rejected"]


def test_a_plan_for_such_a_number_wins(sim: Simulator, v1: httpx.Client) -> None:
    sim.plan_receipts("received", destination=ALWAYS_REJECTED)
    v1.post("/messages", json={**MESSAGE, "destination": ALWAYS_REJECTED})
    sim.deliver()
    assert sim.messages[0].status == "received"


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


# Applications


def test_a_message_is_seen_by_the_application_that_sent_it(sim: Simulator, v1: httpx.Client, v2: httpx.Client) -> None:
    old = v1.post("/messages", json=MESSAGE, auth=("shop", "secret")).json()[0]
    new = v2.post("/messages", json=MESSAGE, auth=("shop", "secret")).json()["id"]
    assert [message.application for message in sim.messages] == ["shop", "shop"]
    for username, status in (("shop", 200), ("alerts", 404)):
        assert v1.get(f"/messages/{old}", auth=(username, "secret")).status_code == status
        assert v2.get("/messages", params={"id": new}, auth=(username, "secret")).status_code == status
    answer = sim.reply(NUMBER, "Yes")
    unasked = sim.receive(NUMBER, "Hello")
    assert (answer.application, unasked.application) == ("shop", None)
    assert v1.get(f"/messages/{unasked.id}", auth=("alerts", "secret")).status_code == 200
    assert [message.application for message in sim.find_messages(application="shop")] == ["shop"] * 3


def test_applications_have_passwords_and_callback_urls_of_their_own(plain: httpx.Client) -> None:
    common: list[str] = []
    own: list[str] = []
    applications = {
        "shop": Application("secret", dlr_url=lambda payload: own.append(payload["status"])),
        "alerts": Application("other"),
    }
    with Simulator(
        applications=applications,
        dlr_url=lambda payload: common.append(payload["status"]),
        mo_url=lambda payload: common.append(payload["content"]),
    ) as sim:
        answers = [
            plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=auth).status_code
            for auth in [("shop", "secret"), ("alerts", "other"), ("shop", "other"), ("nobody", "secret"), ("shop", "")]
        ]
        assert answers == [201, 201, 401, 401, 401]
        sim.plan_receipts("submitted")
        sim.reply(NUMBER, "for alerts")
        sim.deliver()
        sim.applications["alerts"].mo_url = lambda payload: own.append(payload["content"])
        sim.reply(NUMBER, "for alerts alone")
        sim.deliver()
    assert own == ["sent", "received", "for alerts alone"]
    assert common == ["for alerts", "sent", "received"]
    assert "secret" not in repr(sim.applications)


def test_an_application_is_checked_as_the_simulator_is() -> None:
    with pytest.raises(ValueError, match="callback URL"):
        Application("secret", dlr_url="ftp://receiver.example")
    application = Application("secret")
    with pytest.raises(ValueError, match="callback URL"):
        application.mo_url = "http://receiver.example:abc"
    with pytest.raises(ValueError, match="applications"):
        Simulator(username="shop", applications={"shop": application})


# For tests


@pytest.fixture
def sent(sim: Simulator, v1: httpx.Client) -> Simulator:
    v1.post("/messages", json={**MESSAGE, "reference": "order-1"})
    v1.post("/messages", json={**MESSAGE, "content": "Ka pai"})
    v1.post("/messages", json={**MESSAGE, "destination": OTHER, "scheduled": at(NOON + timedelta(days=1))})
    sim.receive(NUMBER, "Kia ora")
    return sim


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        ({}, [0, 1, 2]),
        ({"to": NUMBER}, [0, 1]),
        ({"to": NUMBER, "times": 2}, [0, 1]),
        ({"containing": "ora"}, [0, 2]),
        ({"containing": "ora", "to": OTHER, "times": 1}, [2]),
        ({"reference": "order-1"}, [0]),
        ({"reference": "order-2", "times": 0}, []),
    ],
    ids=str,
)
def test_what_was_sent_can_be_asserted(sent: Simulator, wanted: dict[str, Any], indices: list[int]) -> None:
    assert sent.assert_sent(**wanted) == [sent.messages[index] for index in indices]


@pytest.mark.parametrize(
    ("wanted", "expectation"),
    [
        ({"to": "+64211234569"}, "expected at least one message with to='+64211234569', found 0"),
        ({"containing": "kia ora"}, "expected at least one message with containing='kia ora', found 0"),
        ({"to": NUMBER, "times": 1}, "expected 1 message with to='+64211234567', found 2"),
        ({"times": 0}, "expected 0 messages, found 3"),
        ({"to": OTHER, "reference": "x", "times": 2}, f"expected 2 messages with to='{OTHER}', reference='x', found 0"),
    ],
    ids=str,
)
def test_what_was_not_sent_is_told_with_what_was(sent: Simulator, wanted: dict[str, Any], expectation: str) -> None:
    with pytest.raises(AssertionError) as caught:
        sent.assert_sent(**wanted)
    assert str(caught.value).splitlines() == [
        f"{expectation}; sent were:",
        f"  <MT {FIRST} to {NUMBER} 'Kia ora' accepted reference='order-1'>",
        f"  <MT {FIRST + 1} to {NUMBER} 'Ka pai' accepted>",
        f"  <MT {FIRST + 2} to {OTHER} 'Kia ora' queued scheduled=2026-11-03T12:00:00+00:00>",
    ]


def test_nothing_at_all_is_told_too(sim: Simulator) -> None:
    with pytest.raises(AssertionError, match=r"\Aexpected at least one message, found 0; sent were: none\Z"):
        sim.assert_sent()


@pytest.mark.parametrize("wanted", [{"times": -1}, {"times": True}, {"to": ""}, {"to": [NUMBER]}], ids=str)
def test_an_assertion_that_makes_no_sense_is_refused(sent: Simulator, wanted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"times|to"):
        sent.assert_sent(**wanted)


def test_the_messages_to_one_handset_are_found(sent: Simulator) -> None:
    assert [message.content for message in sent.sent_to(NUMBER)] == ["Kia ora", "Ka pai"]
    assert repr(sent.find_messages(direction="MO")) == f"[<MO {FIRST + 3} from {NUMBER} 'Kia ora' received>]"


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 70000},
        {"port": "8024"},
        {"host": ""},
        {"keep": 0},
        {"keep": True},
        {"username": ""},
        {"username": "sh:op"},
        {"applications": {"sh:op": Application("secret")}},
        {"password": 7},
        {"now": "2026-11-02T12:00:00Z"},
        {"now": datetime(9999, 1, 1, tzinfo=UTC)},
        {"real_time": 1},
        {"small_ids": "yes"},
        {"control": None},
        {"parallel_callbacks": 0},
        {"parallel_callbacks": 101},
        {"v2_receipts": "sideways"},
        {"v2_errors": None},
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    [name] = settings
    with pytest.raises(ValueError, match=name):
        Simulator(**settings)


def test_a_setting_changed_later_is_checked_too_and_reset_takes_it_back(sim: Simulator) -> None:
    sim.v2_errors, sim.v2_receipts, sim.parallel_callbacks = "prose", "specification", 3
    for name in ("v2_errors", "v2_receipts", "parallel_callbacks"):
        with pytest.raises(ValueError, match=name):
            setattr(sim, name, "sideways")
    with pytest.raises(ValueError, match="keep is no setting"):
        sim.configure(keep=5)
    sim.reset()
    assert (sim.v2_errors, sim.v2_receipts, sim.parallel_callbacks) == ("specification", "prose", 1)


def test_ids_can_be_small_enough_for_javascript(plain: httpx.Client) -> None:
    with Simulator(small_ids=True) as sim:
        assert plain.post(f"{sim.base_url}/messages", json=MESSAGE, auth=CREDENTIALS).json() == [1001]


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


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"content": "x" * 5001}, "Invalid content at most 5000 characters"),
        ({"reference": "x" * 256, "source": "2" * 256}, ""),
    ],
    ids=["content", "both"],
)
def test_v2_has_limits_that_v1_does_not_have(
    v1: httpx.Client, v2: httpx.Client, attributes: dict[str, Any], error: str
) -> None:
    error = error or "Invalid reference at most 255 characters Invalid source at most 255 characters"
    response = v2.post("/messages", json={**MESSAGE, **attributes})
    assert (response.status_code, response.json()["error"]) == (400, error)
    V2.check("send_message", response)
    assert v2.post("/messages", json={**MESSAGE, **{k: v[:-1] for k, v in attributes.items()}}).status_code == 202
    assert v1.post("/messages", json={**MESSAGE, **attributes}).status_code == 201


def test_v2_serves_its_document_to_everybody(sim: Simulator, plain: httpx.Client) -> None:
    response = plain.get(f"{sim.v2_base_url}/openapi.yaml")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/yaml")
    assert yaml.safe_load(response.content) == V2.content
    assert plain.post(f"{sim.v2_base_url}/openapi.yaml").status_code == 401


def test_v2_may_err_as_the_prose_says(sim: Simulator, v2: httpx.Client) -> None:
    sim.v2_errors = "prose"
    missing = v2.post("/messages", json={})
    assert (missing.status_code, missing.json()["error"]) == (400, "missing_attrib")
    assert missing.json()["error-desc"][0] == "Missing a required attribute (destination)"
    past = v2.post("/messages", json={**MESSAGE, "scheduled": at(NOON - timedelta(days=1))})
    assert past.json() == {"error": "422", "error-desc": "Invalid scheduled timestamp (must not be in the past)"}
    unknown = v2.get("/messages", params={"id": str(uuid.UUID(int=1))})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "404", "error-desc": "404 Not Found"})
    unauthorized = v2.post("/messages", json=MESSAGE, auth=("name", ""))
    assert (unauthorized.status_code, unauthorized.json()["error"]) == (401, "401")


# What the client asks for


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/vnd.modica.gateway.v1+json", "application/vnd.modica.gateway.v1+json"),
        ("text/html, Application/VND.modica.gateway.v1+json;q=0.9", "application/vnd.modica.gateway.v1+json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_the_vendors_media_type_is_answered_when_it_is_asked_for(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client, accept: str, media_type: str
) -> None:
    sim.fail(error="send_failed", match={"method": "PUT"})
    headers = {"Accept": accept}
    for client in (v1, v2):
        for response in (
            client.post("/messages", json=MESSAGE, headers=headers),
            client.post("/messages", json={}, headers=headers),
            client.get("/messages/1", headers=headers),
            client.put("/messages", headers=headers),
        ):
            assert response.headers["content-type"] == media_type
    assert v1.get("/message", headers=headers).headers["content-type"].startswith("text/html")


# Leap seconds


@pytest.mark.parametrize(
    ("scheduled", "accepted"),
    [
        ("2026-12-31T23:59:60Z", True),
        ("2027-01-01T12:59:60.5+13:00", True),
        ("2026-12-31T23:58:60Z", False),
        ("2026-12-31T23:59:60+01:00", False),
        ("2026-12-31T23:59:61Z", False),
    ],
)
def test_a_leap_second_is_one_at_the_end_of_a_day_of_utc_only(
    sim: Simulator, v1: httpx.Client, scheduled: str, accepted: bool
) -> None:
    response = v1.post("/messages", json={**MESSAGE, "scheduled": scheduled})
    assert response.status_code == (201 if accepted else 400)
    if accepted:
        assert sim.messages[0].scheduled is not None
        assert sim.messages[0].scheduled.replace(microsecond=0) == datetime(2027, 1, 1, tzinfo=UTC)
