"""Attempts through httpx: what its trace events prove, and what a caller's client may do to them."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import math
import pkgutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import h2.config
import h2.connection
import h2.events
import httpcore
import httpx
import pytest
import trustme
import wrapt
from httpx_aiohttp import AiohttpTransport

from modica_facade import (
    AsyncModica,
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    InvalidAttributeError,
    Modica,
    ModicaError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
)
from modica_facade._transport import _httpx, _trace
from modica_facade._transport._patched import is_patched
from modica_facade._transport._trace import RequestTrace

from ..conftest import Flavour
from ..misbehaving import ID, Misbehaving, Peer, Received, answering, response, server_side, tunnel
from .test_pool import run

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)
REFUSED = "http://127.0.0.1:9/rest/gateway"
"""Nothing listens there (port of the discard service)."""


def emitted(source: Path) -> Iterator[str]:
    """The trace events that a module of httpcore can emit, read from its source."""
    tree = ast.parse(source.read_text())
    loggers = [
        str(node.value.args[0].value).rpartition(".")[2]
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "logging.getLogger"
        and isinstance(node.value.args[0], ast.Constant)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Trace":
            assert isinstance(node.args[0], ast.Constant)
            for state in "started", "complete", "failed":
                yield f"{loggers[0]}.{node.args[0].value!s}.{state}"


def test_our_list_of_trace_events_is_the_one_of_the_installed_httpcore() -> None:
    """An event that httpcore adds or renames must be judged by a person: has the body been written by then?"""
    folder = Path(httpcore.__file__).parent
    for half in "_sync", "_async":
        events = {event for source in (folder / half).glob("*.py") for event in emitted(source)}
        assert {event.rpartition(".")[0] for event in events} <= _trace._STEPS_BEFORE_BODY
        assert events >= _trace._BODY_STARTED | _trace._SOCKET_EVENTS


class Recorder(RequestTrace):
    """A trace that keeps the names of the events."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.events: list[str] = []

    def _take(self, event: str, info: Any) -> None:
        self.events.append(event)
        super()._take(event, info)


CONNECTED = ["connection.connect_tcp.started", "connection.connect_tcp.complete"]
HANDSHAKE = ["connection.start_tls.started", "connection.start_tls.complete"]
TUNNEL_HANDSHAKE = ["proxy.start_tls.started", "proxy.start_tls.complete"]
WRITTEN = [f"http11.send_request_{part}.{state}" for part in ("headers", "body") for state in ("started", "complete")]
HEAD = ["http11.receive_response_headers.started", "http11.receive_response_headers.complete"]
BODY = [
    "http11.receive_response_body.started",
    "http11.receive_response_body.complete",
    "http11.response_closed.started",
    "http11.response_closed.complete",
]


@pytest.mark.parametrize("way", ["plain", "tls", "proxy"])
def test_the_events_of_a_real_exchange_are_these(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, trusted: trustme.CA, tmp_path: Path, way: str
) -> None:
    traces: list[Recorder] = []

    def record(**arguments: Any) -> Recorder:
        traces.append(Recorder(**arguments))
        return traces[-1]

    monkeypatch.setattr(_httpx, "RequestTrace", record)
    tls = None
    if way != "plain":
        tls = server_side(trusted, "localhost" if way == "tls" else "gateway.invalid")
    with Misbehaving(tls=tls, host="localhost") as server, Misbehaving(tunnel(server.port)) as proxy:
        options: dict[str, Any] = {"base_url": server.base_url}
        if way == "proxy":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            options = {"base_url": "https://gateway.invalid/rest/gateway"}
        else:
            verify = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            options["http_client"] = (
                httpx.AsyncClient(verify=verify) if sync_or_async.is_async else httpx.Client(verify=verify)
            )
        with sync_or_async.client("name", "password", **options) as modica:
            for _ in range(2):
                assert modica.send(NUMBER, "Kia ora").id == str(ID)
            close(options.get("http_client"), modica.runner)
    # To CONNECT everything happens once without us: only the request inside the tunnel counts.
    tunnelled = CONNECTED + WRITTEN + HEAD + TUNNEL_HANDSHAKE + WRITTEN + HEAD + BODY
    first = {"plain": CONNECTED + WRITTEN + HEAD + BODY, "tls": CONNECTED + HANDSHAKE + WRITTEN + HEAD + BODY}
    # A proxied connection serves one request; the events of its end come after the last that says anything.
    assert traces[0].events[: len(tunnelled)] == first.get(way, tunnelled)
    assert traces[1].events[: len(tunnelled)] == (tunnelled if way == "proxy" else WRITTEN + HEAD + BODY)
    assert all(each.body_started and each.head is not None and each.head[0] == 201 for each in traces)


def close(http_client: httpx.Client | httpx.AsyncClient | None, runner: asyncio.Runner | None) -> None:
    """Close a client of the test's own."""
    if isinstance(http_client, httpx.AsyncClient):
        assert runner is not None
        runner.run(http_client.aclose())
    elif http_client is not None:
        http_client.close()


def traced(*events: str, method: bytes = b"POST") -> RequestTrace:
    trace = RequestTrace(is_send=True, deadline=math.inf)
    for event in events:
        trace(event, {"request": httpcore.Request(method, "https://gateway.invalid")})
    return trace


def test_a_request_was_not_sent_before_its_body_was_begun() -> None:
    assert not traced("connection.connect_tcp.started").body_started
    assert not traced("http11.send_request_headers.complete", "http11.receive_response_headers.failed").body_started
    assert traced("http11.send_request_headers.complete", "http11.send_request_body.started").body_started


def test_what_was_refused_does_not_count_as_written_in_the_next_try() -> None:
    """It may end before its own body was begun, and then was not sent."""
    trace = traced("http11.send_request_headers.started", "http11.send_request_body.started")
    trace("http11.receive_response_headers.complete", {"return_value": (b"HTTP/1.1", 429, b"", [])})
    assert trace.body_started
    trace("http11.send_request_headers.started", {"request": httpcore.Request(b"POST", "https://gateway.invalid")})
    assert (trace.body_started, trace.head) == (False, None)


def test_the_body_of_a_connect_is_not_that_of_a_send() -> None:
    assert not traced("http11.send_request_body.started", method=b"CONNECT").body_started


@pytest.mark.parametrize("event", ["http3.send_everything.started", "http11.send_request_headers.half", "whatever"])
def test_an_unknown_event_counts_as_written(event: str) -> None:
    assert traced(event).body_started


ERRORS = [
    httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout(""), httpx.ProxyError(""),
    httpx.InvalidURL(""), httpx.UnsupportedProtocol(""), httpx.ReadTimeout(""), httpx.ReadError(""),
    httpx.WriteTimeout(""), httpx.WriteError(""), httpx.RemoteProtocolError(""), httpx.LocalProtocolError(""),
    httpcore.ConnectError(), OSError(111, "refused"), ssl.SSLError("broken"),
]  # fmt: skip


def failing(sync_or_async: Flavour, error: BaseException) -> Any:
    """An http_client whose transport fires no events and fails."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    mock = httpx.MockTransport(fail)
    return httpx.AsyncClient(transport=mock) if sync_or_async.is_async else httpx.Client(transport=mock)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_without_any_event_nothing_proves_that_a_request_was_not_sent(sync_or_async: Flavour, error: Exception) -> None:
    with (
        sync_or_async.client("name", "password", http_client=failing(sync_or_async, error), retry=ONCE) as modica,
        pytest.raises(OutcomeUnknownError) as caught,
    ):
        modica.send(NUMBER, "Kia ora", reference="order-42")
    assert caught.value.timed_out is isinstance(error, httpx.TimeoutException)


@pytest.mark.parametrize(
    "error", [RuntimeError("Event loop is closed"), TimeoutError("mine"), OSError("mine"), KeyError(7)]
)
def test_what_is_not_an_error_of_the_http_client_passes_with_a_note(sync_or_async: Flavour, error: Exception) -> None:
    with (
        sync_or_async.client("name", "password", http_client=failing(sync_or_async, error), retry=ONCE) as modica,
        pytest.raises(type(error)) as caught,
    ):
        modica.send(NUMBER, "Kia ora", reference="order-42")
    assert caught.value is error
    assert any("may have gone out" in note for note in error.__notes__)


def test_an_http_client_that_was_closed_is_a_mistake_in_the_set_up(sync_or_async: Flavour) -> None:
    http_client: Any = httpx.AsyncClient() if sync_or_async.is_async else httpx.Client()
    with sync_or_async.client("name", "password", http_client=http_client) as modica:
        close(http_client, modica.runner)
        with pytest.raises(ConfigurationError, match="closed"):
            modica.send(NUMBER, "Kia ora")


# One try of several


class Again(httpx.BaseTransport):
    """A transport that tries again below the client, as httpx-retries does."""

    def __init__(self, statuses: set[int]) -> None:
        self._inner = httpx.HTTPTransport()
        self._statuses = statuses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if answer.status_code not in self._statuses:
            return answer
        answer.close()
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


class AgainAsync(httpx.AsyncBaseTransport):
    def __init__(self, statuses: set[int]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._statuses = statuses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if answer.status_code not in self._statuses:
            return answer
        await answer.aclose()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def client(sync_or_async: Flavour, **options: Any) -> Any:
    return httpx.AsyncClient(**options) if sync_or_async.is_async else httpx.Client(**options)


def end_of_one_send(sync_or_async: Flavour, http_client: Any, base_url: str, **options: Any) -> Any:
    """What a send through this client of the caller's comes to: a value or an exception."""
    options = {"retry": RetryPolicy(attempts=4, backoff=0), **options}
    with sync_or_async.client("name", "password", base_url=base_url, http_client=http_client, **options) as modica:
        try:
            return modica.send(NUMBER, "Kia ora", reference="order-42")
        except Exception as error:
            return error
        finally:
            close(http_client, modica.runner)


@pytest.mark.parametrize("status", [400, 401, 404, 425, 429])
def test_the_head_of_an_earlier_try_is_not_the_outcome_of_the_last(sync_or_async: Flavour, status: int) -> None:
    """The first try is refused, the second is acted on and brings no answer: once is what it must be."""

    def act(peer: Peer) -> None:
        if (request := peer.request()) is not None:
            peer.act(request)

    again = AgainAsync({status}) if sync_or_async.is_async else Again({status})
    with Misbehaving(answering(response(status)), act) as server:
        outcome = end_of_one_send(sync_or_async, client(sync_or_async, transport=again), server.base_url)
    assert type(outcome) is OutcomeUnknownError
    assert server.acted == 1


class Elsewhere(httpx.BaseTransport):
    """A transport that makes a second request of its own, without the extensions of the first."""

    def __init__(self, url: str, statuses: set[int]) -> None:
        self._inner = httpx.HTTPTransport()
        self._url = url
        self._statuses = statuses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._inner.handle_request(request)
            if answer.status_code not in self._statuses:
                return answer
            answer.close()
        except httpx.ConnectError:
            pass
        again = httpx.Request(request.method, self._url, headers=request.headers, content=request.content)
        return self._inner.handle_request(again)

    def close(self) -> None:
        self._inner.close()


class ElsewhereAsync(httpx.AsyncBaseTransport):
    def __init__(self, url: str, statuses: set[int]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._url = url
        self._statuses = statuses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._inner.handle_async_request(request)
            if answer.status_code not in self._statuses:
                return answer
            await answer.aclose()
        except httpx.ConnectError:
            pass
        again = httpx.Request(request.method, self._url, headers=request.headers, content=request.content)
        return await self._inner.handle_async_request(again)

    async def aclose(self) -> None:
        await self._inner.aclose()


def act_only(peer: Peer) -> None:
    if (request := peer.request()) is not None:
        peer.act(request)


@pytest.mark.parametrize("first", ["cannot be reached", "says 429"])
def test_what_became_of_a_request_proves_nothing_of_another_without_a_trace(sync_or_async: Flavour, first: str) -> None:
    """The trace tells of a refused connection or a 429; the request that was acted on has none."""
    kind = ElsewhereAsync if sync_or_async.is_async else Elsewhere
    with Misbehaving(act_only) as server, Misbehaving(answering(response(429))) as limited:
        transport = kind(f"{server.base_url}/messages", {429})
        base_url = limited.base_url if first == "says 429" else REFUSED
        outcome = end_of_one_send(sync_or_async, client(sync_or_async, transport=transport), base_url)
    assert type(outcome) is OutcomeUnknownError
    assert server.acted == 1


@pytest.mark.parametrize("first", ["cannot be reached", "says 429"])
def test_a_deadline_or_a_cancellation_proves_nothing_of_a_request_without_a_trace(first: str) -> None:
    acted = threading.Semaphore(0)

    def act(peer: Peer) -> None:
        act_only(peer)
        acted.release()
        peer.stall()

    async def end_of_send(modica: AsyncModica) -> BaseException | None:
        try:
            await modica.send(NUMBER, "Kia ora", reference="order-42")
        except BaseException as error:
            return error
        return None

    async def interrupted(base_url: str, url: str) -> list[BaseException | None]:
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(transport=ElsewhereAsync(url, {429})) as http_client:
            modica = AsyncModica("name", "password", base_url=base_url, http_client=http_client)
            sends = [asyncio.create_task(end_of_send(modica)) for _ in range(2)]
            for _ in sends:
                await asyncio.to_thread(acted.acquire)
            sends[0].cancel()
            await asyncio.wait(sends[:1])
            # For the other the deadline comes now: the clock of the event loop is put forward.
            with mock.patch.object(loop, "time", return_value=loop.time() + 100):
                return await asyncio.gather(*sends)

    with Misbehaving(act) as server, Misbehaving(answering(response(429))) as limited:
        base_url = limited.base_url if first == "says 429" else REFUSED
        cancelled, late = asyncio.run(interrupted(base_url, f"{server.base_url}/messages"))
    assert isinstance(cancelled, asyncio.CancelledError)
    assert any("may have gone out" in note for note in cancelled.__notes__)
    assert isinstance(late, OutcomeUnknownError)
    assert late.timed_out
    assert server.acted == 2


@pytest.mark.parametrize("status", [500, 503, 408])
def test_a_send_that_may_have_been_processed_is_not_written_again_below_us(sync_or_async: Flavour, status: int) -> None:
    def act_and_fail(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            peer.act(request)
            peer.send(response(status))

    again = AgainAsync({status}) if sync_or_async.is_async else Again({status})
    with Misbehaving(act_and_fail) as server:
        outcome = end_of_one_send(sync_or_async, client(sync_or_async, transport=again), server.base_url)
        assert isinstance(outcome, GatewayError)
        assert (outcome.status_code, outcome.may_have_been_sent) == (status, True)
        assert server.acted == 1


def goaway(peer: Peer) -> None:
    """Speaks HTTP/2; acts on the second request of the first connection, and says that it was never processed."""
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    state.initiate_connection()
    peer.send(state.data_to_send())
    while data := peer.sock.recv(65536):
        for event in state.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                with peer.server.lock:
                    peer.server.acted_on.append(Received("POST", "/", {}, b"{}"))
                if peer.number == 0 and event.stream_id > 1:
                    state.close_connection(last_stream_id=1)
                    peer.send(state.data_to_send())
                    return
                state.send_headers(event.stream_id, [(":status", "201"), ("content-type", "application/json")])
                state.send_data(event.stream_id, f"[{ID}]".encode(), end_stream=True)
        peer.send(state.data_to_send())


def test_http_2_repeats_nothing_behind_our_back(sync_or_async: Flavour, trusted: trustme.CA, tmp_path: Path) -> None:
    context = server_side(trusted, "localhost")
    context.set_alpn_protocols(["h2"])
    verify = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    http_client = client(sync_or_async, http2=True, verify=verify)
    with (
        Misbehaving(goaway, tls=context, host="localhost") as server,
        sync_or_async.client("name", "password", base_url=server.base_url, http_client=http_client) as modica,
    ):
        assert modica.send(NUMBER, "Kia ora").id == str(ID)
        with pytest.raises(OutcomeUnknownError):
            modica.send(NUMBER, "Kia ora")
        close(http_client, modica.runner)
        assert server.acted == 2


@pytest.mark.parametrize(("keepalive", "ids"), [(0, [1, 2]), (2.0, [1, 666])], ids=["closed", "kept"])
def test_without_keepalive_no_answer_of_an_http_client_is_taken_for_another(
    sync_or_async: Flavour, keepalive: float, ids: list[int]
) -> None:
    """The second row is the limit that the docstring of ``http_client`` names."""

    def twice(peer: Peer) -> None:
        while request := peer.request():
            peer.act(request)
            surplus = response(201, [666]) if peer.server.acted == 1 else b""
            peer.send(response(201, [peer.server.acted]) + surplus)

    http_client = client(sync_or_async, limits=httpx.Limits(keepalive_expiry=None))
    with (
        Misbehaving(twice) as server,
        sync_or_async.client(
            "name", "password", base_url=server.base_url, http_client=http_client, keepalive=keepalive
        ) as modica,
    ):
        assert [modica.send(NUMBER, "Kia ora").id for _ in ids] == [str(each) for each in ids]
        close(http_client, modica.runner)


# Another engine underneath


@pytest.mark.parametrize("end", [lambda peer: None, Peer.reset], ids=["closes", "resets"])
def test_the_type_of_an_exception_proves_nothing_with_another_engine(end: Callable[[Peer], object]) -> None:
    """httpx-aiohttp calls it ConnectTimeout when a server hangs up after it has acted."""

    def act_and_end(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.act(request)
        end(peer)

    with Misbehaving(act_and_end) as server:
        http_client = httpx.AsyncClient(transport=AiohttpTransport())
        outcome = end_of_one_send(Flavour("async"), http_client, server.base_url)
    assert type(outcome) is OutcomeUnknownError
    assert server.acted == 1


# Hooks and transports that read the body


def reading(sync_or_async: Flavour, how: str, **options: Any) -> Any:
    """A client with a hook that reads the body, or iterates over it, and may look at the status."""

    def hook(answer: httpx.Response) -> None:
        answer.read() if "read" in how else list(answer.iter_raw()) if "iterate" in how else None
        if "raise" in how:
            answer.raise_for_status()

    async def async_hook(answer: httpx.Response) -> None:
        if "read" in how:
            await answer.aread()
        if "iterate" in how:
            async for _ in answer.aiter_raw():
                pass
        if "raise" in how:
            answer.raise_for_status()

    return client(sync_or_async, event_hooks={"response": [async_hook if sync_or_async.is_async else hook]}, **options)


@pytest.mark.parametrize("ending", ["kept open", "closed"])
def test_a_body_that_a_hook_has_read_is_not_read_again(sync_or_async: Flavour, ending: str) -> None:
    def serve(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            answer = peer.act(request)
            if ending == "closed":
                head, _, body = answer.partition(b"\r\n\r\n")
                lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
                peer.send(b"\r\n".join([*lines, b"Connection: close", b"", body]))
                return
            peer.send(answer)

    http_client = reading(sync_or_async, "read")
    with (
        Misbehaving(serve) as server,
        sync_or_async.client("name", "password", base_url=server.base_url, http_client=http_client) as modica,
    ):
        for _ in range(3):
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
        close(http_client, modica.runner)
    assert server.acted == 3


def test_a_body_that_a_hook_has_thrown_away_leaves_the_id_of_the_location(sync_or_async: Flavour) -> None:
    with Misbehaving() as server:
        outcome = end_of_one_send(sync_or_async, reading(sync_or_async, "iterate"), server.base_url)
    assert outcome.id == str(ID)


@pytest.mark.parametrize("engine", ["httpcore", "mock"])
@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (400, InvalidAttributeError, 1), (401, AuthenticationError, 1), (404, NotFoundError, 1),
        (429, RateLimitError, 4), (500, ServerError, 1), (307, UnexpectedResponseError, 1),
    ],
)  # fmt: skip
def test_a_hook_that_raises_for_the_status_changes_nothing(
    sync_or_async: Flavour, status: int, kind: type[ModicaError], requests: int, engine: str
) -> None:
    body = {"error": "invalid_attrib", "error-desc": "destination is not a number"}
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=body)

    def behave(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            seen.append(httpx.Request("POST", "https://gateway.invalid", content=request.body))
            peer.send(response(status, body, {"Content-Type": "application/json"}))

    options = {"transport": httpx.MockTransport(handle)} if engine == "mock" else {}
    with Misbehaving(behave) as server:
        outcome = end_of_one_send(sync_or_async, reading(sync_or_async, "read, raise", **options), server.base_url)
    assert type(outcome) is kind
    assert outcome.may_have_been_sent is (status == 500)
    assert len(seen) == requests
    if status == 400:
        assert outcome.descriptions == ("destination is not a number",)


def test_a_status_that_a_hook_makes_up_does_not_hide_the_id(sync_or_async: Flavour) -> None:
    def refuse(answer: httpx.Response) -> None:
        raise httpx.HTTPStatusError("made up", request=answer.request, response=httpx.Response(400))

    async def refuse_async(answer: httpx.Response) -> None:
        refuse(answer)

    hooks = {"response": [refuse_async if sync_or_async.is_async else refuse]}
    with Misbehaving() as server:
        outcome = end_of_one_send(sync_or_async, client(sync_or_async, event_hooks=hooks), server.base_url)
    assert getattr(outcome, "id", outcome) == str(ID)
    assert server.acted == 1


def test_a_status_of_something_else_that_a_hook_asked_is_not_ours(sync_or_async: Flavour) -> None:
    """The hook reports to another service, and that says 401."""

    def audit(_: httpx.Response) -> None:
        httpx.Response(401, request=httpx.Request("POST", "https://audit.invalid")).raise_for_status()

    async def async_audit(answer: httpx.Response) -> None:
        audit(answer)

    hooks = {"response": [async_audit if sync_or_async.is_async else audit]}
    transport = httpx.MockTransport(lambda _: httpx.Response(201, json=[ID]))
    outcome = end_of_one_send(
        sync_or_async, client(sync_or_async, transport=transport, event_hooks=hooks), "https://gateway.invalid"
    )
    assert type(outcome) is OutcomeUnknownError


class Unclosable(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes whole, and fails as it is closed."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"[%d]" % ID

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"[%d]" % ID

    def close(self) -> None:
        raise self._error

    async def aclose(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [httpx.ReadError("gone"), ConnectionResetError(104, "reset"), httpx.CloseError("no")])
def test_what_fails_after_the_whole_response_came_takes_nothing_from_it(
    sync_or_async: Flavour, error: Exception
) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(201, stream=Unclosable(error)))
    outcome = end_of_one_send(sync_or_async, client(sync_or_async, transport=transport), "https://gateway.invalid")
    assert getattr(outcome, "id", outcome) == str(ID)


# Deadlines


def test_each_time_out_of_httpx_is_set_and_none_exceeds_the_deadline(sync_or_async: Flavour) -> None:
    given: list[dict[str, float]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        given.append(request.extensions["timeout"])
        return httpx.Response(201, json=[ID])

    for deadline in 3600.0, 2.0:
        own = client(sync_or_async, transport=httpx.MockTransport(handle))
        retry = RetryPolicy(attempts=1, deadline=deadline)
        end_of_one_send(sync_or_async, own, "https://gateway.invalid", retry=retry, timeout=77)
    wide, narrow = given
    assert wide == {"connect": 5.0, "write": 10.0, "read": 77, "pool": 5.0}
    assert set(narrow) == set(wide)
    assert all(0 < each <= 2.0 for each in narrow.values())


@pytest.mark.slow
@pytest.mark.parametrize("patched", [False, True], ids=["a proxy", "a patched httpx"])
def test_the_deadline_holds_between_the_bytes_of_a_head(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, trusted: trustme.CA, patched: bool
) -> None:
    """On connections that are ours alone, whatever is underneath: each byte comes well within every time-out."""

    def drip(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.drip(peer.act(request) * 99)

    retry = RetryPolicy(attempts=3, backoff=0, deadline=1.0)
    tls = None if patched else server_side(trusted, "gateway.invalid")
    with Misbehaving(drip, tls=tls) as server, Misbehaving(tunnel(server.port)) as proxy:
        base_url = server.base_url
        if patched:
            for kind, method in (
                (httpx.HTTPTransport, "handle_request"),
                (httpx.AsyncHTTPTransport, "handle_async_request"),
            ):
                monkeypatch.setattr(kind, method, functools.partialmethod(getattr(kind, method)))
        else:
            base_url = "https://gateway.invalid/rest/gateway"
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        outcome = end_of_one_send(sync_or_async, None, base_url, retry=retry)
    assert type(outcome) is OutcomeUnknownError
    assert outcome.timed_out
    assert "deadline" in str(outcome)
    assert server.acted == 1


@pytest.mark.parametrize("way", ["a proxy", "a patched httpx", "a client of the caller's"])
def test_the_addresses_of_a_host_share_the_time_to_connect(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore gives each of them the whole of it; asyncio ends the call at its deadline whatever was given."""
    connected_to = "proxy.invalid" if way == "a proxy" else "gateway.invalid"
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 443)) for last in range(2, 6)]
    given: list[float] = []

    def connect(address: object, timeout: float, **_: object) -> None:
        given.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: found if host == connected_to else [])
    monkeypatch.setattr(socket, "create_connection", connect)
    if way == "a proxy":
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    if way == "a patched httpx":
        monkeypatch.setattr(
            httpx.Client, "send", wrapt.FunctionWrapper(httpx.Client.send, lambda f, _, a, k: f(*a, **k))
        )
    with httpx.Client() if way.endswith("caller's") else contextlib.nullcontext() as http_client:
        modica = Modica(
            "name",
            "password",
            base_url="https://gateway.invalid",
            retry=RetryPolicy(attempts=1, deadline=2.0),
            http_client=http_client,
        )
        with modica, pytest.raises(NotSentError) as error:
            modica.send("+64211234567", "Kia ora")
    assert error.value.timed_out
    assert len(given) == 1
    assert 0 < given[0] <= 2.0 / 4


@pytest.mark.parametrize("way", ["a proxy", "a patched httpx", "a client of the caller's"])
def test_a_handshake_that_begins_late_ends_by_the_deadline(
    way: str, monkeypatch: pytest.MonkeyPatch, trusted: trustme.CA, tmp_path: Path
) -> None:
    given: list[float | None] = []
    original = ssl.SSLContext.wrap_socket

    def wrap_socket(context: ssl.SSLContext, sock: socket.socket, **options: Any) -> Any:
        if options.get("server_side"):
            return original(context, sock, **options)
        given.append(sock.gettimeout())
        raise TimeoutError("timed out")

    verify = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with (
        Misbehaving(tls=server_side(trusted, "localhost"), host="localhost") as server,
        Misbehaving(tunnel(server.port)) as proxy,
        httpx.Client(verify=verify) as http_client,
    ):
        monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap_socket)
        if way == "a proxy":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        if way == "a patched httpx":
            monkeypatch.setattr(httpx.Client, "send", functools.partialmethod(httpx.Client.send))
        modica = Modica(
            "name",
            "password",
            base_url=server.base_url if way != "a proxy" else "https://gateway.invalid/rest/gateway",
            retry=RetryPolicy(attempts=1, deadline=2.0),
            http_client=http_client if way.endswith("caller's") else None,
        )
        with modica, pytest.raises(NotSentError):
            modica.send("+64211234567", "Kia ora")
    assert len(given) == 1
    assert given[0] is not None
    assert 0 < given[0] <= 2.0


def test_the_clock_of_an_attempt_stops_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread for each send of the last ninety seconds would add up."""
    real = httpx.HTTPTransport.handle_request
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *args: real(*args))
    with Misbehaving() as server, Modica("name", "password", base_url=server.base_url) as modica:
        modica.send(NUMBER, "Kia ora")
    timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    assert all(each.finished.is_set() for each in timers)


def test_what_is_left_of_the_deadline_is_what_a_step_of_a_connection_gets() -> None:
    trace = RequestTrace(is_send=True, deadline=time.monotonic() - 1)
    for event in "connection.connect_tcp.started", "proxy.start_tls.started":
        info = {"timeout": 5.0, "host": "127.0.0.1", "port": 443}
        trace(event, info)
        assert info["timeout"] == 0.001, "0 would mean: do not wait at all"
    trace = RequestTrace(is_send=True, deadline=math.inf)
    trace("proxy.start_tls.started", info := {"timeout": 5.0})
    assert info == {"timeout": 5.0}
    trace("proxy.start_tls.started", info := {"timeout": None})
    assert info == {"timeout": None}


def test_a_host_that_is_not_found_was_not_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    retry = RetryPolicy(attempts=1, deadline=2.0)
    modica = Modica("name", "password", base_url="https://gateway.invalid", retry=retry)
    with modica, pytest.raises(NotSentError, match="Name or service not known"):
        modica.send("+64211234567", "Kia ora")


# Who patches httpx


@pytest.mark.parametrize(
    "target",
    [
        "httpx.Client.send", "httpx.Client._transport_for_url", "httpx.HTTPTransport.handle_request",
        "httpcore.ConnectionPool.handle_request", "httpcore.HTTPConnection.handle_request",
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["a function", "functools.wraps", "wrapt", "mock"])
def test_a_patched_method_is_noticed_and_its_restoration_too(target: str, how: str, sync_or_async: Flavour) -> None:
    if sync_or_async.is_async:
        library, name, method = target.split(".")
        target = f"{library}.Async{name}.{method.replace('handle_', 'handle_async_')}"
    original = pkgutil.resolve_name(target)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    replacements: dict[str, Any] = {
        "a function": replacement,
        "functools.wraps": functools.wraps(original)(replacement),
        "wrapt": wrapt.FunctionWrapper(original, lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs)),
        "mock": mock.MagicMock(),
    }
    assert not is_patched(is_async=sync_or_async.is_async)
    with mock.patch(target, replacements[how]):
        assert is_patched(is_async=sync_or_async.is_async)
        assert not is_patched(is_async=not sync_or_async.is_async)
    assert not is_patched(is_async=sync_or_async.is_async)


@pytest.mark.parametrize("library", ["httpx", "httpcore"])
def test_a_library_that_another_thread_is_importing_just_now_stops_no_send(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    with Misbehaving() as server, sync_or_async.client("app", "password", base_url=server.base_url) as modica:
        monkeypatch.setitem(sys.modules, library, ModuleType(library))
        modica.send("+64211234567", "Kia ora")
    assert server.acted == 1


def test_making_a_client_imports_neither_httpx_nor_asyncio() -> None:
    """They are what most of it would cost. (The generated models of the first call bring them.)"""
    script = """
import sys
from modica_facade import Modica
Modica("name", "password")
print(sorted({"httpx", "httpcore", "asyncio"} & set(sys.modules)))
"""
    assert run(script) == "[]\n"
