"""Attempts through httpx: what its trace events prove, and what a caller's client may do to them."""

from __future__ import annotations

import ast
import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import trustme

from modica_facade import ConfigurationError, OutcomeUnknownError, RetryPolicy
from modica_facade._transport import _httpx, _trace
from modica_facade._transport._trace import RequestTrace

from ..conftest import Flavour
from ..misbehaving import ID, Misbehaving, tunnel

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


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

    def __init__(self, *, is_send: bool) -> None:
        super().__init__(is_send=is_send)
        self.events: list[str] = []

    def __call__(self, event: str, info: Any) -> None:
        self.events.append(event)
        super().__call__(event, info)


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
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    traces: list[Recorder] = []

    def record(*, is_send: bool) -> Recorder:
        traces.append(Recorder(is_send=is_send))
        return traces[-1]

    monkeypatch.setattr(_httpx, "RequestTrace", record)
    tls = None
    if way != "plain":
        tls = _server_side(authority, "localhost" if way == "tls" else "gateway.invalid")
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


def _server_side(authority: trustme.CA, name: str) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def traced(*events: str, method: bytes = b"POST") -> RequestTrace:
    trace = RequestTrace(is_send=True)
    for event in events:
        trace(event, {"request": httpcore.Request(method, "https://gateway.invalid")})
    return trace


def test_a_request_was_not_sent_before_its_body_was_begun() -> None:
    assert not traced("connection.connect_tcp.started").body_started
    assert not traced("http11.send_request_headers.complete", "http11.receive_response_headers.failed").body_started
    assert traced("http11.send_request_headers.complete", "http11.send_request_body.started").body_started


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
