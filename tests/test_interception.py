"""A user's vcrpy, respx, pytest-httpx and mock transports see our clients exactly as they see httpx itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pook
import pytest
import respx
import vcr
import wrapt
from pytest_httpx import HTTPXMock
from vcr.errors import CannotOverwriteExistingCassetteException

from modica_facade import AuthenticationError, NotSentError, OutcomeUnknownError, RetryPolicy

from .conftest import Flavour
from .misbehaving import ID, Misbehaving, answering, response

URL = "https://gateway.invalid/rest/gateway"
NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name can be looked up: what is not intercepted fails."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network was asked")

    monkeypatch.setattr("socket.getaddrinfo", refuse)


def plain_httpx(sync_or_async: Flavour, method: str, url: str, body: Any = None) -> Any:
    """The request a user's own httpx would make, for comparison."""
    if sync_or_async.is_async:

        async def ask() -> Any:
            async with httpx.AsyncClient() as client:
                return await client.request(method, url, json=body)

        return asyncio.run(ask())
    return httpx.request(method, url, json=body)


@pytest.mark.usefixtures("offline")
def test_respx_answers(sync_or_async: Flavour) -> None:
    with respx.mock(base_url=URL) as router:
        sent = router.post("/messages").respond(201, json=[ID], headers={"Location": f"{URL}/messages/{ID}"})
        found = router.get(f"/messages/{ID}").respond(
            200, json={"id": ID, "source": "2000", "destination": NUMBER, "content": "Kia ora"}
        )
        with sync_or_async.client("name", "password", base_url=URL) as modica:
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
            assert modica.get(ID).content == "Kia ora"
            for _ in range(3):
                modica.send(NUMBER, "Kia ora")
    assert sent.call_count == 4
    assert found.call_count == 1
    request = sent.calls[0].request
    assert json.loads(request.content) == {"destination": NUMBER, "content": "Kia ora"}
    assert request.headers["Authorization"].startswith("Basic ")
    assert str(request.url) == f"{URL}/messages"


@pytest.mark.usefixtures("offline")
def test_respx_provokes_errors(sync_or_async: Flavour) -> None:
    with (
        respx.mock(base_url=URL) as router,
        sync_or_async.client("name", "password", base_url=URL, retry=ONCE) as modica,
    ):
        for effect, error in (
            (httpx.ConnectError, NotSentError),
            (httpx.ReadTimeout, OutcomeUnknownError),
            (httpx.Response(401), AuthenticationError),
        ):
            router.post("/messages").mock(side_effect=[effect])
            with pytest.raises(error):
                modica.send(NUMBER, "Kia ora", reference="order-42")


@pytest.mark.usefixtures("offline")
def test_pytest_httpx_answers_and_provokes_errors(sync_or_async: Flavour, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{URL}/messages", status_code=201, json=[ID], is_reusable=True)
    with sync_or_async.client("name", "password", base_url=URL, retry=ONCE) as modica:
        for _ in range(3):
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
        httpx_mock.add_exception(httpx.ReadTimeout("too late"), method="GET", url=f"{URL}/messages/7")
        with pytest.raises(Exception, match="no answer"):
            modica.get(7)
    assert len(httpx_mock.get_requests()) == 4
    assert json.loads(httpx_mock.get_requests()[0].content)["content"] == "Kia ora"


def test_vcrpy_records_and_replays_us_as_it_does_httpx(sync_or_async: Flavour, tmp_path: Path) -> None:
    def record(name: str, act: Callable[[str], object]) -> list[Any]:
        with Misbehaving() as server, vcr.use_cassette(str(tmp_path / name), record_mode="once") as cassette:
            act(server.base_url)
        assert server.acted == 1
        # Nobody listens any more: only the recording can answer.
        with vcr.use_cassette(
            str(tmp_path / name),
            record_mode="none",
            match_on=["method", "scheme", "host", "port", "path", "query", "body"],
            allow_playback_repeats=False,
        ) as replayed:
            act(server.base_url)
            assert replayed.all_played
        return [(request.method, request.path, request.body) for request in cassette.requests]

    def ours(url: str) -> None:
        with sync_or_async.client("name", "password", base_url=url, retry=ONCE) as modica:
            assert modica.send(NUMBER, "Kia ora").id == str(ID)

    def theirs(url: str) -> None:
        answer = plain_httpx(sync_or_async, "POST", f"{url}/messages", {"content": "Kia ora", "destination": NUMBER})
        assert answer.json() == [ID]

    assert record("ours.yaml", ours) == record("theirs.yaml", theirs)


def test_vcrpy_takes_over_and_lets_go_of_a_client_in_use(sync_or_async: Flavour, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    with (
        Misbehaving() as server,
        sync_or_async.client("name", "password", base_url=server.base_url, retry=ONCE) as modica,
    ):
        modica.send(NUMBER, "Kia ora")
        for mode in "once", "none":
            with vcr.use_cassette(cassette, record_mode=mode, allow_playback_repeats=False):
                assert modica.send(NUMBER, "Kia ora").id == str(ID)
        modica.send(NUMBER, "Kia ora")
    assert server.acted == 3


def test_a_miss_in_a_cassette_comes_up_as_it_is(sync_or_async: Flavour, tmp_path: Path) -> None:
    with (
        vcr.use_cassette(str(tmp_path / "empty.yaml"), record_mode="none"),
        sync_or_async.client("name", "password", base_url=URL, retry=ONCE) as modica,
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        modica.send(NUMBER, "Kia ora")


def test_a_mock_transport_comes_in_through_http_client(sync_or_async: Flavour) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json=[ID])

    mock = httpx.MockTransport(handle)
    kwargs: Any = {
        "transport": mock,
        "headers": {"X-Team": "alerts"},
        "cookies": {"route": "7"},
        "auth": ("them", "theirs"),
    }
    http_client = httpx.AsyncClient(**kwargs) if sync_or_async.is_async else httpx.Client(**kwargs)
    with sync_or_async.client("name", "password", base_url=URL, http_client=http_client) as modica:
        assert modica.send(NUMBER, "Kia ora").id == str(ID)
    # What the caller set up stays, except what makes it a request of ours.
    assert seen[0].headers["X-Team"] == "alerts"
    assert seen[0].headers["Cookie"] == "route=7"
    assert (
        seen[0].headers["Authorization"]
        == httpx.Request("GET", URL, headers=basic("name", "password")).headers["Authorization"]
    )
    assert not http_client.is_closed


def basic(username: str, password: str) -> dict[str, str]:
    request = next(httpx.BasicAuth(username, password).auth_flow(httpx.Request("GET", URL)))
    return {"Authorization": request.headers["Authorization"]}


def test_hooks_of_the_callers_client_are_called_and_may_raise(sync_or_async: Flavour) -> None:
    called: list[str] = []

    def note(request: httpx.Request) -> None:
        called.append(request.method)

    def strict(response: httpx.Response) -> None:
        response.raise_for_status()

    async def async_note(request: httpx.Request) -> None:
        note(request)

    async def async_strict(response: httpx.Response) -> None:
        strict(response)

    with Misbehaving(answering(response(401))) as server:
        if sync_or_async.is_async:
            hooks: Any = {"request": [async_note], "response": [async_strict]}
            http_client: Any = httpx.AsyncClient(event_hooks=hooks)
        else:
            http_client = httpx.Client(event_hooks={"request": [note], "response": [strict]})
        with (
            sync_or_async.client("name", "password", base_url=server.base_url, http_client=http_client) as modica,
            # The status came through the trace: what the hook raised does not hide it.
            pytest.raises(AuthenticationError),
        ):
            modica.send(NUMBER, "Kia ora")
        if not sync_or_async.is_async:
            http_client.close()
    assert called == ["POST"]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("using", ["httpx", "httpcore"])
def test_respx_answers_wherever_it_intervenes(sync_or_async: Flavour, using: str) -> None:
    with respx.mock(base_url=URL, using=using) as router:
        sent = router.post("/messages").respond(201, json=[ID])
        with sync_or_async.client("name", "password", base_url=URL) as modica:
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
    assert sent.call_count == 1


@pytest.mark.usefixtures("offline")
def test_pook_answers(sync_or_async: Flavour) -> None:
    with pook.use():
        pook.post(f"{URL}/messages").reply(201).json([ID])
        with sync_or_async.client("name", "password", base_url=URL) as modica:
            assert modica.send(NUMBER, "Kia ora").id == str(ID)


@pytest.mark.usefixtures("offline")
def test_a_patched_send_of_the_httpx_client_answers(sync_or_async: Flavour) -> None:
    target = "httpx.AsyncClient.send" if sync_or_async.is_async else "httpx.Client.send"
    answer = httpx.Response(201, json=[ID], request=httpx.Request("POST", URL))
    with (
        mock.patch(target, return_value=answer) as send,
        sync_or_async.client("name", "password", base_url=URL) as modica,
    ):
        assert modica.send(NUMBER, "Kia ora").id == str(ID)
    assert send.call_count == 1


def test_an_instrumentation_by_wrapt_sees_every_request_and_may_add_to_it(sync_or_async: Flavour) -> None:
    def wrapper(wrapped: Any, _: object, args: Any, kwargs: Any) -> Any:
        args[0].headers["traceparent"] = "00-1-2-01"
        return wrapped(*args, **kwargs)

    kind: Any = httpx.AsyncHTTPTransport if sync_or_async.is_async else httpx.HTTPTransport
    method = "handle_async_request" if sync_or_async.is_async else "handle_request"
    with (
        Misbehaving() as server,
        sync_or_async.client("name", "password", base_url=server.base_url) as modica,
        mock.patch.object(kind, method, wrapt.FunctionWrapper(getattr(kind, method), wrapper)),
    ):
        for _ in range(3):
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
    assert [request.headers["traceparent"] for request in server.requests] == ["00-1-2-01"] * 3
    # What is instrumented has no surplus answer to fear: a connection serves one request.
    assert server.connections == 3
