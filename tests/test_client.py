"""The clients from the outside, sync and async, both versions: on the simulator, or on a caller's own httpx client."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import logging
import pickle
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest

import modica_facade
from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    BroadcastOutcome,
    Message,
    Modica,
    ModicaV2,
    RetryPolicy,
    SendOptions,
    SendOptionsV1,
    SendOptionsV2,
    SubmittedMessage,
    errors,
)
from modica_facade.simulator import Simulator

from .conftest import NOW, Flavour
from .misbehaving import fail_to_connect

V1 = (Modica, AsyncModica)
V2 = (ModicaV2, AsyncModicaV2)
EVERY_CLIENT = [Modica, AsyncModica, ModicaV2, AsyncModicaV2]
NO_PAUSE = RetryPolicy(backoff=0)
NUMBER = "+64211234567"


def answering(sync_or_async: Flavour, answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    """A caller's own httpx client, sync or async, whose server is a function."""
    transport = httpx.MockTransport(answer)
    return httpx.AsyncClient(transport=transport) if sync_or_async.is_async else httpx.Client(transport=transport)


class TestRestV1:
    def test_send_get_and_broadcast(self, sync_or_async: Flavour, simulator: Simulator) -> None:
        with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
            sent = modica.send(NUMBER, "Tēnā koe", reference="order-42")
            assert isinstance(sent, SubmittedMessage)
            assert sent.location == f"{simulator.base_url}/messages/{sent.id}"
            found = modica.get(sent.id)
            assert isinstance(found, Message)
            assert (found.id, found.content, found.reference) == (sent.id, "Tēnā koe", "order-42")
            assert modica.get(int(sent.id)) == found
            result = modica.broadcast([NUMBER, "X"], "Kia ora")
            assert [outcome.ok for outcome in result] == [True, False]
            assert result.failed == (BroadcastOutcome("X", None, "failure", "Invalid destination (X)"),)
            with pytest.raises(errors.NotFoundError):
                modica.get(1)
            with pytest.raises(errors.InvalidAttributeError, match=r"Invalid destination \(X\).*like \+64211234567"):
                modica.send("X", "Kia ora")

    def test_every_option_reaches_the_gateway(self, sync_or_async: Flavour, simulator_at_now: Simulator) -> None:
        simulator = simulator_at_now
        scheduled = NOW + timedelta(hours=1)
        expires = scheduled + timedelta(hours=1)
        plain = {"reference": "r", "mask": "ACME", "sms_class": 1}
        options: dict[str, Any] = plain | {"scheduled": scheduled, "expires": expires, "class_": "alerts"}
        with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
            sent = modica.send(NUMBER, "Kia ora", **options)
            assert sent.scheduled == scheduled.isoformat(timespec="seconds")
            modica.broadcast([NUMBER], "Kia ora", **options)
            modica.send(NUMBER, "Kia ora", source="202")
        one, many, short = (json.loads(request.body) for request in simulator.requests)
        dates = {"scheduled": sent.scheduled, "expires": expires.isoformat(timespec="seconds")}
        wire = plain | dates | {"class": "alerts", "content": "Kia ora"}
        assert one == wire | {"destination": NUMBER}
        assert many == wire | {"destination": [NUMBER]}
        assert short == {"destination": NUMBER, "content": "Kia ora", "source": "202"}

    def test_every_request_carries_the_version_and_who_we_are(
        self, sync_or_async: Flavour, simulator: Simulator
    ) -> None:
        with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
            sent = modica.send(NUMBER, "Kia ora")
            modica.broadcast([NUMBER], "Kia ora")
            modica.get(sent.id)
        for request in simulator.requests:
            headers = {name.lower(): value for name, value in dict(request.headers).items()}
            assert headers["accept"] == "application/vnd.modica.gateway.v1+json"
            assert headers["accept-encoding"] == "identity"
            assert headers["user-agent"] == f"modica-facade/{modica_facade.__version__}"
            assert headers.get("content-type") == (None if request.method == "GET" else "application/json")

    def test_broadcast_many_sends_everything_in_batches(self, sync_or_async: Flavour, simulator: Simulator) -> None:
        numbers = [f"+6421{n:07}" for n in range(2500)]
        with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
            outcomes = list(modica.broadcast_many(iter(numbers), "Kia ora", reference="r"))
            assert [outcome.destination for outcome in outcomes] == numbers
            assert all(outcome.ok for outcome in outcomes)
            # Several are in flight at once: which arrives first is not said.
            sizes = sorted(len(json.loads(request.body)["destination"]) for request in simulator.requests)
            assert sizes == [500, 1000, 1000]
            with pytest.raises(errors.InvalidRequestError, match="batch_size"):
                modica.broadcast_many(numbers, "Kia ora", batch_size=1001)
            with pytest.raises(errors.InvalidRequestError, match="content"):
                modica.broadcast_many(numbers, "")


class TestRestV2:
    def test_send_and_get(self, sync_or_async: Flavour, simulator: Simulator) -> None:
        with sync_or_async.client("app", "password", base_url=simulator.v2_base_url, kind=V2) as modica:
            sent = modica.send(
                NUMBER, "Tēnā koe", reference="order-42", integration_id="3FA85F64-5717-4562-b3fc-2c963f66afa6"
            )
            assert sent.status == "accepted"
            found = modica.get(sent.id)
            assert (found.id, found.direction, found.content) == (sent.id, "MT", "Tēnā koe")
            with pytest.raises(errors.NotFoundError):
                modica.get("3fa85f64-5717-4562-b3fc-2c963f66afa6")
        assert json.loads(simulator.requests[0].body)["integration_id"] == "3fa85f64-5717-4562-b3fc-2c963f66afa6"
        assert {dict(request.headers).get("accept") for request in simulator.requests} == {"application/json"}

    def test_send_many_is_one_request_each_and_a_refusal_is_an_outcome(
        self, sync_or_async: Flavour, simulator: Simulator
    ) -> None:
        numbers = [NUMBER, "X", *(f"+6421{n:07}" for n in range(100))]
        with sync_or_async.client("app", "password", base_url=simulator.v2_base_url, kind=V2) as modica:
            outcomes = list(modica.send_many(numbers, "Kia ora", reference="r", concurrency=7))
            with pytest.raises(errors.InvalidRequestError, match="concurrency"):
                modica.send_many(numbers, "Kia ora", concurrency=0)
            with pytest.raises(errors.InvalidRequestError, match="destinations"):
                modica.send_many(NUMBER, "Kia ora")
        assert [outcome.destination for outcome in outcomes] == numbers
        assert [outcome.destination for outcome in outcomes if not outcome.ok] == ["X"]
        assert outcomes[1].reason
        assert len(simulator.requests) == len(numbers)

    def test_it_has_no_broadcast_and_no_expires(self) -> None:
        for client in V2:
            assert not hasattr(client, "broadcast")
            assert not hasattr(client, "broadcast_many")
            assert "expires" not in inspect.signature(client.send).parameters


class TestSetUp:
    @pytest.mark.parametrize("client", EVERY_CLIENT)
    def test_credentials_and_base_url_come_from_the_environment(
        self, client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(errors.ConfigurationError, match="MODICA_USERNAME and MODICA_PASSWORD"):
            client()
        monkeypatch.setenv("MODICA_USERNAME", "app")
        with pytest.raises(errors.ConfigurationError, match="password is missing"):
            client()
        monkeypatch.setenv("MODICA_PASSWORD", "secret")
        version = "rest/sms/v2" if "V2" in client.__name__ else "rest/gateway"
        assert repr(client()) == f"{client.__name__}(username='app', base_url='https://api.modicagroup.com/{version}')"
        variable = "MODICA_V2_BASE_URL" if "V2" in client.__name__ else "MODICA_BASE_URL"
        monkeypatch.setenv(variable, "https://sms.example/gateway/")
        assert "base_url='https://sms.example/gateway')" in repr(client())
        assert "'other'" in repr(client("other"))
        assert "https://own.example/x" in repr(client(base_url="https://own.example/x"))
        with pytest.raises(errors.ConfigurationError, match="base_url is empty"):
            client(base_url="")
        monkeypatch.setenv(variable, "")
        with pytest.raises(errors.ConfigurationError, match=f"base_url is empty; give one, or unset {variable}"):
            client()

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"username": ""}, "username"),
            ({"username": "a:b"}, "colon"),
            ({"username": 5}, "username"),
            ({"password": "a\nb"}, "password"),
            ({"timeout": 0}, "timeout"),
            ({"timeout": None}, "timeout"),
            ({"timeout": float("inf")}, "timeout"),
            ({"keepalive": -1}, "keepalive"),
            ({"keepalive": True}, "keepalive"),
            ({"retry": 3}, "RetryPolicy"),
            ({"http_client": object()}, "http_client"),
            ({"base_url": "http://sms.example"}, "https"),
        ],
    )
    @pytest.mark.parametrize("client", EVERY_CLIENT)
    def test_what_cannot_work_is_refused_at_once(self, client: Any, arguments: dict[str, Any], named: str) -> None:
        with pytest.raises(errors.ConfigurationError, match=named):
            client(**{"username": "app", "password": "canary-password"} | arguments)

    @pytest.mark.parametrize("client", EVERY_CLIENT)
    def test_the_base_url_of_the_other_version_is_refused(self, client: Any) -> None:
        other = "rest/gateway" if "V2" in client.__name__ else "rest/sms/v2"
        for base_url in (f"https://api.modicagroup.com/{other}", f"https://sms.example/{other}/"):
            with pytest.raises(errors.ConfigurationError, match=client.__name__):
                client("app", "password", base_url=base_url)

    def test_a_client_of_the_other_flavour_is_refused(self) -> None:
        with pytest.raises(errors.ConfigurationError, match=r"httpx\.Client"):
            Modica("app", "password", http_client=httpx.AsyncClient())  # type: ignore[arg-type]
        with httpx.Client() as blocking, pytest.raises(errors.ConfigurationError, match=r"httpx\.AsyncClient"):
            AsyncModica("app", "password", http_client=blocking)  # type: ignore[arg-type]

    @pytest.mark.parametrize("client", EVERY_CLIENT)
    def test_a_client_does_not_pickle_or_copy_its_password(self, client: Any) -> None:
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="password"):
                copied(client("app", "password"))

    def test_v2_reads_as_v1_but_for_what_v2_does_not_have(self) -> None:
        one, two = (set(inspect.signature(client.send).parameters) for client in (Modica, ModicaV2))
        assert one - two == {"expires"}
        assert two - one == {"integration_id"}


class TestLifetime:
    def test_a_closed_client_says_so(self, sync_or_async: Flavour, simulator: Simulator) -> None:
        with sync_or_async.client("app", "password", base_url=simulator.base_url) as modica:
            modica.send(NUMBER, "Kia ora")
            sibling = modica.with_options(timeout=5)
            (modica.aclose if sync_or_async.is_async else modica.close)()
            for client in (modica, sibling):
                with pytest.raises(errors.ConfigurationError, match="closed"):
                    client.send(NUMBER, "Kia ora")
        assert len(simulator.requests) == 1

    def test_a_sibling_shares_connections_and_differs_in_patience(self, sync_or_async: Flavour) -> None:
        calls: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            calls.append(str(request.extensions["timeout"]["read"]))
            return httpx.Response(429)

        with sync_or_async.client(
            "app", "password", http_client=answering(sync_or_async, answer), retry=NO_PAUSE
        ) as modica:
            one_try = modica.with_options(retry=RetryPolicy(attempts=1), timeout=3)
            assert type(one_try.client) is type(modica.client)
            with pytest.raises(errors.RateLimitError):
                modica.send(NUMBER, "Kia ora")
            assert calls == ["30.0"] * 4
            with pytest.raises(errors.RateLimitError):
                one_try.send(NUMBER, "Kia ora")
            assert calls[4:] == ["3.0"]
            with pytest.raises(errors.ConfigurationError):
                modica.with_options(timeout=-1)

    @pytest.mark.parametrize("client", [Modica, ModicaV2])
    def test_a_client_that_was_given_stays_open_and_as_it_was(self, client: Any) -> None:
        own = httpx.Client(
            transport=httpx.MockTransport(lambda request: httpx.Response(404)),
            headers={"X-Trace": "1"},
            follow_redirects=True,
            timeout=7,
            auth=("own", "own"),
        )
        before = (dict(own.headers), own.timeout, own.follow_redirects, own.auth, own.event_hooks)
        with client("app", "password", http_client=own) as modica, pytest.raises(errors.NotFoundError):
            modica.get("1" if client is Modica else "3fa85f64-5717-4562-b3fc-2c963f66afa6")
        assert not own.is_closed
        assert (dict(own.headers), own.timeout, own.follow_redirects, own.auth, own.event_hooks) == before
        own.close()


class TestRepeats:
    def run(
        self, sync_or_async: Flavour, statuses: list[int | Exception], **policy: Any
    ) -> tuple[list[bytes], Callable[[Callable[[Any], Any]], Any]]:
        bodies: list[bytes] = []
        answers = iter(statuses)

        def answer(request: httpx.Request) -> httpx.Response:
            bodies.append(request.content)
            status = next(answers)
            if isinstance(status, httpx.ConnectError):
                fail_to_connect(request, status)
            if isinstance(status, Exception):
                raise status
            if status == 201:
                return httpx.Response(201, json=[1])
            return httpx.Response(
                status, json={"id": 7, "destination": NUMBER, "content": "Kia ora"}, headers={"Retry-After": "0"}
            )

        def call(use: Callable[[Any], Any]) -> Any:
            retry = RetryPolicy(**{"backoff": 0} | policy)
            with sync_or_async.client(
                "app", "password", http_client=answering(sync_or_async, answer), retry=retry
            ) as modica:
                return use(modica)

        return bodies, call

    def test_a_send_that_was_certainly_not_processed_is_repeated(self, sync_or_async: Flavour) -> None:
        bodies, call = self.run(sync_or_async, [httpx.ConnectError("refused"), 429, 425, 201])
        assert call(lambda modica: modica.send(NUMBER, "Kia ora")).id == "1"
        assert len(bodies) == 4
        assert len(set(bodies)) == 1

    @pytest.mark.parametrize(
        "first",
        [
            500,
            502,
            503,
            504,
            408,
            409,
            307,
            httpx.ReadTimeout("late"),
            httpx.RemoteProtocolError("gone"),
            httpx.ConnectTimeout("says a transport without trace events"),
        ],
    )
    def test_a_send_that_may_have_been_processed_is_never_repeated(self, sync_or_async: Flavour, first: Any) -> None:
        for use in (
            lambda modica: modica.send(NUMBER, "Kia ora"),
            lambda modica: modica.broadcast([NUMBER], "Kia ora"),
        ):
            bodies, call = self.run(sync_or_async, [first, 201])
            with pytest.raises(errors.ModicaError) as error:
                call(use)
            assert error.value.may_have_been_sent is (first != 307)
            assert len(bodies) == 1

    def test_a_get_is_repeated(self, sync_or_async: Flavour, caplog: pytest.LogCaptureFixture) -> None:
        bodies, call = self.run(sync_or_async, [503, httpx.ReadTimeout("late"), 429, 200])
        with caplog.at_level(logging.INFO, "modica_facade"):
            assert call(lambda modica: modica.get(7)).content == "Kia ora"
        assert len(bodies) == 4
        assert [record.getMessage().split(",")[0] for record in caplog.records] == [
            "GET /messages/7 failed (HTTP 503)",
            "GET /messages/7 failed (ReadTimeout: late (api.modicagroup.com))",
            "GET /messages/7 failed (HTTP 429)",
        ]

    def test_attempts_end(self, sync_or_async: Flavour) -> None:
        bodies, call = self.run(sync_or_async, [503] * 9, attempts=3)
        with pytest.raises(errors.ServerError):
            call(lambda modica: modica.get(7))
        assert len(bodies) == 3

    def test_a_gateway_that_is_down_is_not_hammered(self, sync_or_async: Flavour) -> None:
        bodies, call = self.run(sync_or_async, [503] * 1000, attempts=2)

        def use(modica: Any) -> None:
            for _ in range(100):
                with pytest.raises(errors.ServerError):
                    modica.get(7)

        call(use)
        assert len(bodies) == 150

    def test_only_a_clean_success_earns_a_tenth_of_a_repeat(self, sync_or_async: Flavour) -> None:
        statuses = iter([*[429, 201] * 50, 429, *[201] * 9, 429, 201, 429, 201])
        http_client = answering(sync_or_async, lambda _: httpx.Response(next(statuses), json=[1]))
        with sync_or_async.client("app", "password", http_client=http_client, retry=NO_PAUSE) as modica:
            for successes in 50, 9, 2:
                for _ in range(successes):
                    modica.send(NUMBER, "Kia ora")
                if successes > 2:
                    with pytest.raises(errors.RateLimitError):
                        modica.send(NUMBER, "Kia ora")
        assert next(statuses, None) is None


def test_only_the_base_url_differs_at_a_white_label(sync_or_async: Flavour) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return (
            httpx.Response(201, json=[1])
            if "gateway" in request.url.path
            else httpx.Response(202, json={"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6"})
        )

    bases = ["https://api.modicagroup.com/rest/gateway", "https://api.sms.optus.com.au/rest/gateway"]
    for base_url in bases:
        with sync_or_async.client(
            "app", "password", base_url=base_url, http_client=answering(sync_or_async, answer)
        ) as modica:
            modica.send(NUMBER, "Kia ora")
    bases_v2 = [base_url.replace("gateway", "sms/v2") for base_url in bases]
    for base_url in bases_v2:
        with sync_or_async.client(
            "app", "password", base_url=base_url, http_client=answering(sync_or_async, answer), kind=V2
        ) as modica:
            modica.send(NUMBER, "Kia ora")
    assert [str(request.url) for request in seen] == [f"{base}/messages" for base in [*bases, *bases_v2]]
    for ours, theirs in (seen[:2], seen[2:]):
        assert ours.content == theirs.content
        assert [item for item in ours.headers.multi_items() if item[0] != "host"] == [
            item for item in theirs.headers.multi_items() if item[0] != "host"
        ]


# What may differ between `client/_sync.py` and `client/_async.py` once ``await`` is taken out, and why.
DIFFERENT = {
    "import": "each names the library it waits with, and imports it late",
    "_SyncClient._perform": "time.sleep, or asyncio.sleep imported late",
    "_SyncClient._one_by_one": "a blocking broadcast_many has one batch in flight",
    "_SyncClient._many": "threads, or tasks",
    "Modica": "where the deadline is looked at with an http_client",
    "Modica.broadcast_many": "concurrency, which the blocking one does not have",
}


def test_sync_and_async_are_the_same_but_for_await_and_a_short_list() -> None:
    def members(module: str) -> dict[str, str]:
        source = (Path(modica_facade.__file__).parent / "client" / module).read_text("utf-8")
        for old, new in (
            (r"async (def|for|with) ", r"\1 "),
            (r"\bawait ", ""),
            (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
            (r"\bAsync(Modica|Transport|Client|OutcomeGenerator)", r"\1"),
            (r"_Async", "_Sync"),
            (r"_transport\._async", "_transport._sync"),
            (r"\banext\b", "next"),
            (r"__a(enter|exit)__", r"__\1__"),
            (r"\ba(close|closing)\b", r"\1"),
            (
                " on asyncio. One may be shared by all tasks of an event loop",
                ", blocking. One may be shared by all threads",
            ),
        ):
            source = re.sub(old, new, source)
        found: dict[str, str] = {}
        for node in ast.parse(source).body[1:]:
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{each.name}": ast.unparse(each) for each in node.body if hasattr(each, "name")}
                found[node.name] = "\n".join(ast.unparse(each) for each in node.body if not hasattr(each, "name"))
            else:
                found["import"] = found.get("import", "") + ast.unparse(node)
        return found

    sync, asynchronous = members("_sync.py"), members("_async.py")
    assert {name for name in sync | asynchronous if sync.get(name) != asynchronous.get(name)} == set(DIFFERENT)


@pytest.mark.parametrize(("client", "options"), [*((c, SendOptionsV1) for c in V1), *((c, SendOptionsV2) for c in V2)])
def test_the_typed_options_are_those_of_send(client: type, options: type) -> None:
    hints = get_type_hints(options)
    parameters = {
        name: parameter for name, parameter in inspect.signature(client.send).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }  # fmt: skip
    assert parameters.keys() == hints.keys()
    assert all(parameter.default is None for parameter in parameters.values())
    assert get_type_hints(SendOptions).items() <= hints.items()


def test_a_misspelt_option_is_a_type_error(sync_or_async: Flavour) -> None:
    with (
        sync_or_async.client("app", "password", base_url="http://127.0.0.1:9") as modica,
        pytest.raises(TypeError, match="referense"),
    ):
        modica.send(NUMBER, "Kia ora", referense="order-42")
