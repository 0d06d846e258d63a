"""How callbacks are posted: to URLs and to what is in this process, disturbed, again, and several at once."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import ssl
import threading
from typing import TYPE_CHECKING, Any

import fastapi
import flask
import httpx
import pytest
import trustme
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from modica_facade.simulator import AsyncSimulator, Simulator, serve

from ..support.callback_receiver import Receiver
from .support import CREDENTIALS, FIRST, MESSAGE, NOON, NUMBER

if TYPE_CHECKING:
    from pathlib import Path


def statuses(payloads: list[dict[str, Any]]) -> list[str]:
    return [payload["status"] for payload in payloads]


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


@pytest.mark.parametrize(
    "url",
    [
        "ftp://name:secret-word@receiver.example",
        "name:secret-word@receiver.example",
        "http://name:secret-word/@receiver.example",
        "http://name:secret-\nword@receiver.example",
    ],
)
def test_a_refused_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="callback URL") as caught:
        Simulator(dlr_url=url)
    assert "secret" not in str(caught.value)


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


# Receivers in this process


def test_a_function_may_take_the_payloads(sim: Simulator, v1: httpx.Client) -> None:
    receipts: list[dict[str, Any]] = []
    sim.dlr_url, sim.mo_url = receipts.append, lambda payload: 204 if payload["content"] == "Yes" else 422
    v1.post("/messages", json={**MESSAGE, "reference": "order-1"})
    sim.reply(NUMBER, "Yes")
    sim.reply(NUMBER, "No")
    deliveries = sim.deliver()
    assert [delivery.status_code for delivery in deliveries] == [204, 422, 200, 200]
    assert receipts == [
        {"message_id": str(FIRST), "status": status, "reference": "order-1"} for status in ("sent", "received")
    ]
    assert deliveries[2].url == "list.append"


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_receiver_that_moves_the_clock_is_told_so_and_waits_for_nobody(
    sim: Simulator, v1: httpx.Client, at_once: int
) -> None:
    sim.parallel_callbacks = at_once
    sim.dlr_url = lambda _: sim.advance(1)
    v1.post("/messages", json=MESSAGE)
    [delivery] = sim.advance(1)
    assert delivery.problem is not None
    assert delivery.problem.startswith("RuntimeError: the clock cannot be moved from within a callback")
    with Simulator() as other:
        sim.dlr_url = lambda _: other.advance(1) and None
        assert [delivery.ok for delivery in sim.advance(1)] == [True]


def test_an_asynchronous_function_may_take_them_too(sim: Simulator, v1: httpx.Client) -> None:
    seen: list[str] = []

    async def take(payload: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(payload["status"])

    sim.dlr_url = take
    v1.post("/messages", json=MESSAGE)
    assert [delivery.ok for delivery in sim.deliver()] == [True, True]
    assert seen == ["sent", "received"]


def test_a_builtin_that_does_not_tell_its_arguments_takes_a_payload_too(sim: Simulator, v1: httpx.Client) -> None:
    last: dict[str, Any] = {}
    sim.dlr_url = last.update
    v1.post("/messages", json=MESSAGE)
    sim.deliver()
    assert last["status"] == "received"


def flask_application() -> Any:
    app = flask.Flask(__name__)

    @app.post("/modica/dlr")
    def dlr() -> tuple[str, int]:
        authorization = flask.request.authorization
        assert authorization is not None
        assert (authorization.username, authorization.password) == ("gateway", "p:w")
        assert (flask.request.args["a"], flask.request.host) == ("1", "app.example")
        return "", 202 if flask.request.get_json()["status"] == "sent" else 418

    return app


def fastapi_application() -> Any:
    app = fastapi.FastAPI()
    security = fastapi.Depends(HTTPBasic())

    @app.post("/modica/dlr")
    async def dlr(request: fastapi.Request, a: str, credentials: HTTPBasicCredentials = security) -> fastapi.Response:
        assert (credentials.username, credentials.password) == ("gateway", "p:w")
        assert (a, request.headers["host"], request.url.hostname) == ("1", "app.example", "app.example")
        return fastapi.Response(status_code=202 if (await request.json())["status"] == "sent" else 418)

    return app


@pytest.mark.parametrize("application", [flask_application, fastapi_application])
def test_an_application_is_called_without_a_server(sim: Simulator, v1: httpx.Client, application: Any) -> None:
    sim.dlr_url = application(), "http://gateway:p%3Aw@app.example/modica/dlr?a=1"
    v1.post("/messages", json=MESSAGE)
    deliveries = sim.deliver()
    assert [(delivery.status_code, delivery.problem) for delivery in deliveries] == [(202, None), (418, None)]
    assert deliveries[0].url == "http://app.example/modica/dlr?a=1"


@pytest.mark.parametrize("application", [flask_application, fastapi_application])
def test_an_application_alone_is_called_at_its_root(sim: Simulator, v1: httpx.Client, application: Any) -> None:
    sim.dlr_url = application()
    v1.post("/messages", json=MESSAGE)
    assert [delivery.status_code for delivery in sim.advance(1)] == [404]


def test_a_blocking_application_is_called_in_the_thread_that_waits_for_it(sim: Simulator, v1: httpx.Client) -> None:
    threads: set[threading.Thread] = set()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        threads.add(threading.current_thread())
        assert environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])) != b""
        start_response("204 No Content", [])
        return []

    sim.dlr_url = application
    v1.post("/messages", json=MESSAGE)
    assert [delivery.status_code for delivery in sim.deliver()] == [204, 204]
    assert threads == {threading.current_thread()}


def test_an_asynchronous_test_has_its_application_called_in_its_own_loop() -> None:
    async def main() -> tuple[set[Any], list[int | None]]:
        loops: set[Any] = set()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            loops.add(asyncio.get_running_loop())
            assert json.loads((await receive())["body"])["content"] == "Hello"
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        async with AsyncSimulator(mo_url=application) as sim:
            sim.receive(NUMBER, "Hello")
            deliveries = await sim.advance(0)
            deliveries.append(await sim.resend(1))
            loops.discard(asyncio.get_running_loop())
        return loops, [delivery.status_code for delivery in deliveries]

    assert asyncio.run(main()) == (set(), [204, 204])


def test_an_asynchronous_test_may_wait_for_a_receipt_out_of_plan(plain: httpx.Client) -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def take(payload: dict[str, Any]) -> None:
            seen.append(payload["status"])

        async with AsyncSimulator(dlr_url=take) as sim:
            await asyncio.to_thread(plain.post, f"{sim.base_url}/messages", json=MESSAGE, auth=CREDENTIALS)
            delivery = await sim.send_receipt(str(FIRST), "blocked")
            assert delivery is not None
            assert delivery.ok
        return seen

    assert asyncio.run(main()) == ["blocked"]


def test_an_asynchronous_application_cannot_run_in_a_loop_that_is_blocked() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    async def main() -> str | None:
        with Simulator(mo_url=application) as sim:
            sim.receive(NUMBER, "Hello")
            [delivery] = sim.advance(0)  # blocks the loop that the application needs
            return delivery.problem

    assert "use AsyncSimulator" in (asyncio.run(main()) or "")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("broken")


def broken_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("500 Broken", [], (KeyError, KeyError("broken"), None))


def broken_function(payload: Any) -> None:
    raise AssertionError("broken")


@pytest.mark.parametrize(
    ("receiver", "problem"),
    [
        (silent, "RuntimeError: the application returned without an answer"),
        (broken, "RuntimeError: broken"),
        (broken_wsgi, "KeyError: 'broken'"),
        (broken_function, "AssertionError: broken"),
        ("http://receiver.invalid/dlr", "gaierror"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_whatever_goes_wrong_over_there_is_a_delivery_with_its_problem_and_tried_again(
    sim: Simulator, v1: httpx.Client, receiver: Any, problem: str
) -> None:
    sim.dlr_url = receiver
    sim.plan_receipts("sent")
    v1.post("/messages", json=MESSAGE)
    deliveries = sim.deliver()
    assert [delivery.attempt for delivery in deliveries] == [1, 2, 3, 4, 5]
    for delivery in deliveries:
        assert (delivery.status_code, delivery.ok) == (None, False)
        assert delivery.problem is not None
        assert delivery.problem.startswith(problem)


# Several at once, and in other orders


def test_several_callbacks_may_be_under_way_at_once(sim: Simulator, v1: httpx.Client) -> None:
    together = threading.Barrier(4)

    def take(_payload: Any) -> None:
        together.wait(30)  # breaks, and fails the delivery, unless four are here at once

    sim.dlr_url, sim.parallel_callbacks = take, 4
    body = {"destination": [f"+6421{i:07}" for i in range(20)], "content": "x"}
    v1.post("/messages/broadcast", json=body)
    deliveries = sim.advance(60)
    assert [delivery.status_code for delivery in deliveries] == [200] * 40
    assert {delivery.number for delivery in deliveries} == set(range(1, 41))


def test_what_fails_while_others_are_under_way_is_tried_again(sim: Simulator, v1: httpx.Client) -> None:
    seen: set[str] = set()

    def refuse_the_first(payload: Any) -> None:
        known = payload["message_id"] in seen
        seen.add(payload["message_id"])
        assert known

    sim.plan_receipts("sent")
    sim.dlr_url, sim.parallel_callbacks = refuse_the_first, 3
    v1.post("/messages/broadcast", json={"destination": [f"+6421{i:07}" for i in range(10)], "content": "x"})
    deliveries = sim.deliver()
    assert sorted((delivery.attempt, delivery.ok) for delivery in deliveries) == [(1, False)] * 10 + [(2, True)] * 10


def test_a_receipt_can_overtake_the_answer_to_its_send(sim: Simulator, v1: httpx.Client) -> None:
    order: list[str] = []
    sim.dlr_url = lambda payload: order.append(payload["status"])
    sim.disturb_callbacks(overtake=1.0)
    v1.post("/messages", json=MESSAGE)
    order.append("answered")
    sim.deliver()
    assert order == ["sent", "answered", "received"]
    assert [change.status for change in sim.messages[0].history] == ["accepted", "sent", "received"]


def test_only_receipts_overtake_anything(sim: Simulator, v1: httpx.Client) -> None:
    sim.dlr_url = sim.mo_url = lambda payload: 200
    sim.disturb_callbacks(overtake=1.0)
    sim.plan_receipts()
    v1.post("/messages", json=MESSAGE)
    sim.reply(NUMBER, "Yes")
    assert sim.deliveries == []
    assert [delivery.kind for delivery in sim.deliver()] == ["inbound"]


def test_a_reset_ends_the_callbacks_under_way_and_nothing_of_them_is_left(sim: Simulator, v1: httpx.Client) -> None:
    def take(_payload: Any) -> None:
        sim.reset()

    sim.dlr_url = take
    v1.post("/messages", json=MESSAGE)
    assert len(sim.deliver()) == 1
    assert (sim.messages, sim.now) == ([], NOON)
    assert v1.post("/messages", json=MESSAGE).json() == [FIRST]
    assert sim.advance(60) == []


@pytest.mark.parametrize(
    "disturbance", [{"drop": 1.1}, {"duplicate": -0.1}, {"reorder": "1"}, {"overtake": True}, {"drop": float("nan")}]
)
def test_a_probability_lies_between_0_and_1(sim: Simulator, disturbance: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(disturbance))):
        sim.disturb_callbacks(**disturbance)


@pytest.mark.parametrize(
    ("statuses", "options"),
    [
        ((["sent", "received"],), {}),
        (("sent", ""), {}),
        ((None,), {}),
        (("sent",), {"interval": -1}),
        (("sent",), {"interval": "1"}),
        (("sent",), {"interval": 1e12}),
        (("sent",), {"destination": ""}),
        (("sent",), {"destination": [NUMBER]}),
    ],
    ids=str,
)
def test_a_plan_that_makes_no_sense_is_refused(sim: Simulator, statuses: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"status|interval|destination"):
        sim.plan_receipts(*statuses, **options)


# Out of plan


def test_a_receipt_can_be_posted_at_any_time(sim: Simulator, v1: httpx.Client, receiver: Receiver) -> None:
    v1.post("/messages", json=MESSAGE)
    delivery = sim.send_receipt(str(FIRST), "blocked")
    assert delivery is not None
    assert (delivery.ok, receiver.payloads) == (True, [{"message_id": str(FIRST), "status": "blocked"}])
    assert sim.messages[0].status == "blocked"
    sim.deliver()
    assert statuses(receiver.payloads) == ["blocked", "sent", "received"]


def test_the_receipts_of_v2_may_have_a_detail(sim: Simulator, v2: httpx.Client, receiver: Receiver) -> None:
    sim.v2_receipts = "specification"
    message_id = v2.post("/messages", json=MESSAGE).json()["id"]
    sim.send_receipt(message_id, "failed", "no such subscriber")
    assert receiver.payloads == [{"id": message_id, "status": "failed", "detail": "no such subscriber"}]


def test_only_messages_to_handsets_have_receipts(sim: Simulator) -> None:
    inbound = sim.receive(NUMBER, "Hello")
    for message_id in (inbound.id, "7"):
        with pytest.raises(LookupError, match=message_id):
            sim.send_receipt(message_id, "sent")


def test_a_delivery_is_posted_again_to_where_callbacks_go_now(
    sim: Simulator, v1: httpx.Client, receiver: Receiver
) -> None:
    good = sim.dlr_url
    sim.dlr_url = "http://127.0.0.1:9"
    v1.post("/messages", json=MESSAGE)
    [failed] = sim.advance(1)
    sim.dlr_url = good
    again = sim.resend(failed.number)
    assert (again.number, again.attempt, again.ok, again.payload) == (2, 2, True, failed.payload)
    with pytest.raises(LookupError, match="no delivery 7"):
        sim.resend(7)
    sim.dlr_url = None
    with pytest.raises(LookupError, match="dlr_url"):
        sim.resend(failed.number)
