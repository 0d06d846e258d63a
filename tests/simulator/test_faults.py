"""Rules that make requests fail: what they do, what they are for, and which are refused."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ..support.documents import Document
from .support import FIRST, MESSAGE, NUMBER, OTHER

if TYPE_CHECKING:
    from modica_facade.simulator import Simulator

V1 = Document("gateway-v1.openapi.yaml")
V2 = Document("sms-v2.openapi.yaml")


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
    sim.fail(status=500, match=lambda request: request.json["destination"] == OTHER)
    assert v1.post("/messages", json=MESSAGE).status_code == 201
    assert v1.post("/messages", json={**MESSAGE, "destination": OTHER}).status_code == 500


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


# In the dialect of the version


def test_an_error_code_is_answered_in_the_envelope_of_the_version(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client
) -> None:
    sim.fail(error="broadcast_limit", times=3, headers={"X-Request": "7"})
    text = "Broadcast limit has been exceeded"
    answer = v1.post("/messages", json=MESSAGE)
    assert answer.json() == {"error": "broadcast_limit", "error-desc": [text]}
    assert answer.headers["x-request"] == "7"
    answer = v2.post("/messages", json=MESSAGE)
    assert answer.json() == {"message": text, "statusCode": 400, "error": text}
    V2.check("send_message", answer)
    sim.v2_errors = "prose"
    assert v2.post("/messages", json=MESSAGE).json() == {"error": "broadcast_limit", "error-desc": [text]}


def test_a_schedule_in_the_past_is_422_as_a_status_on_request(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client
) -> None:
    sim.fail(error="422", status=422, times=2)
    answer = v1.post("/messages", json=MESSAGE)
    assert (answer.status_code, answer.json()["error"]) == (422, "422")
    answer = v2.post("/messages", json=MESSAGE)
    assert (answer.status_code, answer.json()["statusCode"]) == (422, 422)


def test_statuses_nobody_registered_are_answered_and_cut_like_any_other(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=520)
    assert v1.get("/messages/1").status_code == 520
    sim.fail(status=520, cut="body")
    with pytest.raises(httpx.RemoteProtocolError):
        v1.get("/messages/1")


# Which requests


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, [0, 1, 2, 3]),
        ({"method": "GET"}, [3]),
        ({"path": "/messages"}, [0, 2]),
        ({"path": "/messages/broadcast"}, [1]),
        ({"path": "/rest/sms/v2/messages", "method": "POST"}, [2]),
        ({"destination": NUMBER}, [0, 1]),
        ({"destination": OTHER}, [1, 2]),
        ({"application": "alerts"}, [2]),
        ({"application": "alerts", "destination": NUMBER}, []),
    ],
    ids=str,
)
def test_a_rule_is_for_the_requests_that_match_all_of_it(
    sim: Simulator, v1: httpx.Client, v2: httpx.Client, match: dict[str, str | None], hits: list[int]
) -> None:
    fault = sim.fail(status=503, times=None, match=match)
    answers = [
        v1.post("/messages", json=MESSAGE),
        v1.post("/messages/broadcast", json={"destination": [NUMBER, OTHER], "content": "x"}),
        v2.post("/messages", json={**MESSAGE, "destination": OTHER}, auth=("alerts", "secret")),
        v1.get("/messages/1"),
    ]
    assert [number for number, answer in enumerate(answers) if answer.status_code == 503] == hits
    assert fault.hits == len(hits)


def test_rules_are_listed_and_taken_back(sim: Simulator, v1: httpx.Client) -> None:
    first, second = sim.fail(status=500, times=None), sim.fail(status=503)
    assert sim.faults == [first, second]
    v1.get("/messages/1")
    sim.remove_fault(first)
    assert v1.get("/messages/1").status_code == 503
    sim.remove_fault(second.id)
    assert v1.get("/messages/1").status_code == 404
    assert sim.faults == []
    assert [(fault.hits, fault.times_left) for fault in (first, second)] == [(1, 0), (1, 0)]
    with pytest.raises(LookupError, match="no rule 1"):
        sim.remove_fault(first)


def test_a_rule_that_no_request_matched_is_told(sim: Simulator, v1: httpx.Client) -> None:
    sim.fail(status=500)
    sim.fail(status=503, match={"destination": OTHER})
    v1.get("/messages/1")
    with pytest.raises(AssertionError, match="no request matched these rules") as caught:
        sim.assert_faults_used()
    [_, rule] = str(caught.value).splitlines()
    assert rule == f"  <fail(status=503, times=1, match={{'destination': '{OTHER}'}}), 0 hits>"
    v1.post("/messages", json={**MESSAGE, "destination": OTHER})
    sim.assert_faults_used()


# Nonsense


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "nothing to do"),
        ({"times": 3}, "nothing to do"),
        ({"match": {"method": "GET"}}, "nothing to do"),
        ({"status": 503, "times": 0}, "times"),
        ({"status": 503, "times": -1}, "times"),
        ({"status": 503, "times": True}, "times"),
        ({"status": 503, "times": 1.5}, "times"),
        ({"status": "503"}, "status"),
        ({"status": 99}, "status"),
        ({"status": 101}, "status"),
        ({"status": 600}, "status"),
        ({"status": True}, "status"),
        ({"error": "sendfailed"}, "send_failed"),
        ({"error": ["send_failed"]}, "send_failed"),
        ({"error": "send_failed", "body": "x"}, "body"),
        ({"headers": {"X-A": "b"}, "cut": "after"}, "status"),
        ({"body": b"", "delay": 1}, "status"),
        ({"acted": True, "cut": "head"}, "status"),
        ({"status": 503, "acted": 1}, "acted"),
        ({"cut": "sideways"}, "cut"),
        ({"cut": ["head"]}, "cut"),
        ({"status": 503, "cut": "before"}, "before any answer"),
        ({"error": "send_failed", "cut": "after"}, "before any answer"),
        ({"delay": -1}, "delay"),
        ({"delay": float("nan")}, "delay"),
        ({"delay": float("inf")}, "delay"),
        ({"delay": "1"}, "delay"),
        ({"status": 503, "body": 7}, "body"),
        ({"status": 503, "body": ["a"]}, "body"),
        ({"status": 204, "body": "x"}, "no body"),
        ({"status": 503, "headers": [("X-A", "b")]}, "headers"),
        ({"status": 503, "headers": {"X A": "b"}}, "X A"),
        ({"status": 503, "headers": {"X-A": "b\r\nX-B: c"}}, "X-A"),
        ({"status": 503, "headers": {"X-A": "ā"}}, "X-A"),
        ({"status": 503, "headers": {"Retry-After": 5}}, "Retry-After"),
        ({"status": 503, "headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
        ({"status": 503, "body": "abc", "headers": {"Content-Length": "5"}}, "cut='body'"),
        ({"status": 503, "match": "POST"}, "match"),
        ({"status": 503, "match": {"number": NUMBER}}, "match"),
        ({"status": 503, "match": {"method": ""}}, "method"),
        ({"status": 503, "match": {"destination": [NUMBER]}}, "destination"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused_at_the_call(
    sim: Simulator, arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        sim.fail(**arguments)
    assert word in str(caught.value)
    assert sim.faults == []
