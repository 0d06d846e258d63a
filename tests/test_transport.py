"""Connections are accounted for: what an attempt proved, who may use a connection again, and that none is left over."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from modica_facade import (
    AsyncModica,
    ConfigurationError,
    Modica,
    ModicaError,
    NotSentError,
    OutcomeUnknownError,
    RetryPolicy,
    TransportError,
    _transport,
)
from modica_facade._calls import MAX_IN_FLIGHT
from modica_facade._transport import Endpoint, Evidence, check_base_url
from modica_facade._v1 import ACCEPT

from .conftest import Driver, Flavour
from .misbehaving import ID, Behaviour, Misbehaving, Peer, answering, response, tunnel

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


def site(base_url: str) -> Endpoint:
    made = Endpoint(base_url, "name", "password", ACCEPT, 2.0)
    made.prepare()
    return made


# Where to


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.modicagroup.com/rest/gateway", "api.modicagroup.com"),
        ("https://api.sms.optus.com.au/rest/gateway/", "api.sms.optus.com.au"),
        ("https://gateway.invalid", "gateway.invalid"),
        ("https://gateway.invalid:8443/x", "gateway.invalid"),
        ("https://[2001:db8::1]:8443/x", "[2001:db8::1]"),
        ("http://localhost:8080", "localhost"),
        ("http://127.0.0.1:8080/rest", "127.0.0.1"),
        ("http://[::1]/rest", "[::1]"),
    ],
)
def test_a_base_url_is_https_or_on_this_machine(base_url: str, host: str) -> None:
    with Modica("name", "password", base_url=base_url) as modica:
        assert repr(modica) == f"Modica(username='name', base_url={base_url.rstrip('/')!r})"
    assert check_base_url(base_url)[2] == host.strip("[]")


@pytest.mark.parametrize(
    "base_url",
    [
        None, b"https://gateway.invalid", "", "gateway.invalid", "//gateway.invalid", "ftp://gateway.invalid",
        "https://", "https:///rest", "http://gateway.invalid", "http://10.0.0.1", "http://127.0.0.1.gateway.invalid",
        "http://localhost.gateway.invalid", "http://2130706433", "https://sesame@gateway.invalid",
        "https://name:sesame@gateway.invalid/rest", "https://gateway.invalid?sesame=1",
        "https://gateway.invalid/#sesame", "https://gateway.invalid:", "https://gateway.invalid:0",
        "https://gateway.invalid:65536", "https://gateway.invalid:65536443", "https://gateway.invalid:-1",
        "https://gateway.invalid:\u0664\u0664\u0663", "https://gateway.invalid:4\u06643",
        "https://gat\u0435way.invalid", "https://gateway.invalid/m\u0101ori", "https://gateway .invalid",
        " https://gateway.invalid", "https://gateway.invalid\n", "https://gateway.invalid/a\r\nX: y",
        "https://gateway.invalid/../admin", "https://gateway.invalid/a/./b", "https://gateway.invalid\\@sesame",
        "https://999.999.999.999", "https://[1234]", "https://[::1", "https://-gateway.invalid",
        "https://gateway.invalid/%zz\x00",
    ],
)  # fmt: skip
def test_any_other_base_url_is_refused_without_being_repeated(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as error:
        check_base_url(base_url)
    assert "sesame" not in str(error.value)


@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}://{}{}{}".format,
            st.sampled_from(["https", "http"]),
            st.one_of(st.text("ab1.-_[]:@%é", max_size=9), st.ip_addresses().map(str), st.just("localhost")),
            st.one_of(st.just(""), st.integers(-1, 70000).map(":{}".format), st.text(":0٤", max_size=4)),
            st.text("/ab.%?#@\\ ", max_size=6),
        ),
    )
)
def test_every_base_url_that_is_taken_means_the_same_host_to_the_http_library(base_url: str) -> None:
    try:
        scheme, authority, host, port, path = check_base_url(base_url)
    except ConfigurationError:
        return
    parsed = httpx.URL(f"{scheme}://{authority}{path}/messages")
    assert scheme == "https" or host in {"localhost", "::1"} or host.startswith("127.")
    assert (parsed.scheme, parsed.host, parsed.path) == (scheme, host, f"{path}/messages")
    assert port == (parsed.port or {"https": 443, "http": 80}[scheme])
    assert parsed.userinfo == parsed.query == b""


@pytest.mark.parametrize("value", [None, True, "1", -1, -0.001, float("nan"), float("inf"), 86400, [1]])
def test_seconds_are_a_finite_number_below_a_day(value: Any) -> None:
    for option in "timeout", "keepalive":
        with pytest.raises(ConfigurationError, match=f"{option} must be seconds"):
            Modica("name", "password", **{option: value})


def test_only_keepalive_may_be_0() -> None:
    Modica("name", "password", keepalive=0).close()
    with pytest.raises(ConfigurationError, match="more than 0"):
        Modica("name", "password", timeout=0)


# Proxies and TLS settings come from the environment


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid:3128"}, "http://proxy.invalid:3128"),
        ({"https_proxy": "proxy.invalid:3128"}, "http://proxy.invalid:3128"),
        ({"ALL_PROXY": "http://proxy.invalid"}, "http://proxy.invalid"),
        ({"HTTP_PROXY": "http://proxy.invalid"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "example.org, gateway.invalid"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid", "NO_PROXY": "example.org"}, "http://proxy.invalid"),
    ],
)
def test_the_proxy_of_the_environment_is_used(
    no_proxies: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        no_proxies.setenv(name, value)
    found = site("https://gateway.invalid").proxy
    assert (None if found is None else str(found.url)) == proxy
    assert site("http://127.0.0.1:9").proxy is None
    assert site("https://localhost").proxy is None


@pytest.mark.parametrize("proxy", ["ftp://name:sesame@proxy.invalid", "http://name:sesame@proxy.invalid:port"])
def test_an_unusable_proxy_is_refused_without_being_repeated(no_proxies: pytest.MonkeyPatch, proxy: str) -> None:
    no_proxies.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as error:
        site("https://gateway.invalid")
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE"),
        ("ALL_PROXY", "socks5://name:sesame@proxy.invalid", "SOCKS proxy"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(
    no_proxies: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    no_proxies.setenv(variable, value)
    for kind in Modica, AsyncModica:
        with pytest.raises(ConfigurationError, match=message) as error:
            kind("name", "password")
        assert "sesame" not in str(error.value)


def test_an_http_client_of_the_callers_own_needs_none_of_these_settings(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("ALL_PROXY", "socks5://proxy.invalid")
    no_proxies.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with httpx.Client(trust_env=False, transport=httpx.MockTransport(lambda _: httpx.Response(201, json=[7]))) as mine:
        assert Modica("name", "password", http_client=mine).send(NUMBER, "Kia ora").id == "7"


def test_one_tls_context_serves_every_client_and_wants_tls_1_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = site("https://gateway.invalid").tls()
    assert context is not None
    assert context is site("https://elsewhere.invalid").tls()
    assert context.minimum_version.name == "TLSv1_2"
    assert context.check_hostname
    assert site("http://localhost").tls() is None


# What an attempt proved


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
        assert events - _transport._SILENT == {
            "http11.send_request_body.started",
            "http2.send_request_body.started",
            "http11.receive_response_headers.complete",
        }


class Recorder(Evidence):
    """Evidence that keeps the names of the events."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        super().__init__()
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
    evidence: list[Recorder] = []

    def record() -> Recorder:
        evidence.append(Recorder())
        return evidence[-1]

    monkeypatch.setattr(_transport, "Evidence", record)
    tls = None
    if way != "plain":
        tls = _server_side(authority, "localhost" if way == "tls" else "gateway.invalid")
    with Misbehaving(tls=tls, host="localhost") as server, Misbehaving(tunnel(server.port)) as proxy:
        url = server.base_url
        if way == "proxy":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            url = "https://gateway.invalid/rest/gateway"
        with sync_or_async.client("name", "password", base_url=url) as modica:
            for _ in range(2):
                assert modica.send(NUMBER, "Kia ora").id == str(ID)
    first = {
        "plain": CONNECTED,
        "tls": CONNECTED + HANDSHAKE,
        # To CONNECT everything happens once without us: only the request inside the tunnel counts.
        "proxy": CONNECTED + WRITTEN + HEAD + TUNNEL_HANDSHAKE,
    }[way]
    assert evidence[0].events == first + WRITTEN + HEAD + BODY
    assert evidence[1].events == WRITTEN + HEAD + BODY
    assert all(each.wrote and each.head is not None and each.head[0] == 201 for each in evidence)


def _server_side(authority: trustme.CA, name: str) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def told(*events: str, method: bytes = b"POST") -> Evidence:
    evidence = Evidence()
    for event in events:
        evidence(event, {"request": httpcore.Request(method, "https://gateway.invalid")})
    return evidence


def test_nothing_was_sent_before_the_body_was_begun() -> None:
    error = httpx.ReadError("")
    assert not told("connection.connect_tcp.started").sent(error)
    assert not told("http11.send_request_headers.complete", "http11.receive_response_headers.failed").sent(error)
    assert told("http11.send_request_headers.complete", "http11.send_request_body.started").sent(error)


def test_the_body_of_a_connect_is_nobodys_message() -> None:
    assert not told("http11.send_request_body.started", method=b"CONNECT").sent(httpx.ReadTimeout(""))


def test_an_unknown_event_counts_as_written() -> None:
    assert told("http3.send_everything.started").sent(httpx.ConnectError(""))


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError(""), False),
        (httpx.ConnectTimeout(""), False),
        (httpx.PoolTimeout(""), False),
        (httpx.ProxyError(""), False),
        (httpx.InvalidURL(""), False),
        (httpx.UnsupportedProtocol(""), False),
        (httpx.ReadTimeout(""), True),
        (httpx.ReadError(""), True),
        (httpx.WriteTimeout(""), True),
        (httpx.WriteError(""), True),
        (httpx.RemoteProtocolError(""), True),
        (httpx.LocalProtocolError(""), True),
        (RuntimeError("Event loop is closed"), True),
        (TimeoutError(), True),
    ],
)
def test_without_any_event_the_type_of_the_error_decides(sync_or_async: Flavour, error: Exception, sent: bool) -> None:
    """Mock transports and recordings fire no events."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    mock = httpx.MockTransport(fail)
    http_client = httpx.AsyncClient(transport=mock) if sync_or_async.is_async else httpx.Client(transport=mock)
    with (
        sync_or_async.client("name", "password", http_client=http_client, retry=ONCE) as modica,
        pytest.raises(TransportError) as caught,
    ):
        modica.send(NUMBER, "Kia ora", reference="order-42")
    assert type(caught.value) is (OutcomeUnknownError if sent else NotSentError)
    assert caught.value.timed_out is isinstance(error, httpx.TimeoutException | TimeoutError)


def test_an_http_client_that_was_closed_is_a_mistake_in_the_set_up(sync_or_async: Flavour) -> None:
    http_client: Any = httpx.AsyncClient() if sync_or_async.is_async else httpx.Client()
    with sync_or_async.client("name", "password", http_client=http_client) as modica:
        if sync_or_async.is_async:
            modica.runner.run(http_client.aclose())
        else:
            http_client.close()
        with pytest.raises(ConfigurationError, match="closed"):
            modica.send(NUMBER, "Kia ora")


def test_what_fails_before_the_request_is_handed_over_was_not_sent(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    with sync_or_async.client("name", "password", base_url="http://127.0.0.1:9", retry=ONCE) as modica:
        monkeypatch.setattr(_transport, "_AsyncLine" if sync_or_async.is_async else "_Line", broken)
        with pytest.raises(NotSentError, match="MemoryError"):
            modica.send(NUMBER, "Kia ora")


# Processes, threads, tasks and loops


def test_a_message_can_be_sent_while_the_interpreter_ends() -> None:
    with Misbehaving() as server:
        script = f"""
import atexit
from modica_facade import Modica
modica = Modica("name", "password", base_url={server.base_url!r})
atexit.register(modica.close)
atexit.register(lambda: print(modica.send("+64211234567", "Kia ora").id))
"""
        assert run(script) == f"{ID}\n"


def run(script: str) -> str:
    """What a script prints, in a Python of its own; anything on stderr, a warning too, is a failure."""
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_forked_child_never_uses_its_parents_connections() -> None:
    with Misbehaving() as server:
        script = f"""
import os
from modica_facade import Modica
modica = Modica("name", "password", base_url={server.base_url!r})
modica.send("+64211234567", "parent")
if (child := os.fork()) == 0:
    modica.send("+64211234567", "child")
    modica.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
# The parent's connection lives, whatever the child closed.
modica.send("+64211234567", "parent")
modica.close()
if (child := os.fork()) == 0:
    try:
        modica.send("+64211234567", "a child of a closed client")
    except Exception as error:
        os._exit("closed" not in str(error))
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
"""
        assert run(script) == ""
    assert [request.json["content"] for request in server.acted_on] == ["parent", "child", "parent"]
    assert server.connections == 2


def test_another_event_loop_starts_with_no_connection() -> None:
    with Misbehaving() as server:
        modica = AsyncModica("name", "password", base_url=server.base_url)

        async def use() -> None:
            for _ in range(2):
                await modica.send(NUMBER, "Kia ora")
            await modica.aclose()

        asyncio.run(use())
        asyncio.run(use())
    assert (server.acted, server.connections) == (4, 2)


@contextlib.contextmanager
def counted(server: Misbehaving) -> Generator[None]:
    """Every connection that is opened within is closed at the end, and nothing warns that it was forgotten."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    # The server's end of a connection returns when ours is closed, and not before.
    for thread in server.handlers:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_one_client_serves_32_threads_and_leaves_nothing_open() -> None:
    with Misbehaving() as server, counted(server), Modica("name", "password", base_url=server.base_url) as modica:
        together = threading.Barrier(32)

        def work(number: int) -> list[str]:
            together.wait()
            return [modica.send(NUMBER, f"{number}/{turn}").id for turn in range(20)]

        with ThreadPoolExecutor(32) as threads:
            ids = list(threads.map(work, range(32)))
    assert ids == [[str(ID)] * 20] * 32
    assert sorted(request.json["content"] for request in server.acted_on) == sorted(
        f"{number}/{turn}" for number in range(32) for turn in range(20)
    )
    assert server.connections <= 32


def test_one_client_serves_1000_tasks_and_leaves_nothing_open() -> None:
    with Misbehaving() as server, counted(server):

        async def work() -> list[Any]:
            async with AsyncModica("name", "password", base_url=server.base_url) as modica:
                return await asyncio.gather(*(modica.send(NUMBER, str(number)) for number in range(1000)))

        sent = asyncio.run(work())
    assert [each.id for each in sent] == [str(ID)] * 1000
    assert Counter(request.json["content"] for request in server.acted_on) == Counter(map(str, range(1000)))
    assert server.connections <= MAX_IN_FLIGHT


def test_connections_of_failed_calls_are_closed_too(sync_or_async: Flavour) -> None:
    behaviours = [
        answering(response(500)),
        answering(response(201, b"[", length=9)),
        answering(b"nonsense\r\n\r\n"),
        Peer.stall,
        Peer.serve,
    ]
    with (
        Misbehaving(*behaviours) as server,
        counted(server),
        sync_or_async.client("name", "password", base_url=server.base_url, timeout=0.05, retry=ONCE) as modica,
    ):
        for _ in behaviours[:-1]:
            with pytest.raises(ModicaError):
                modica.send(NUMBER, "Kia ora")
        modica.send(NUMBER, "Kia ora")
    assert server.connections == len(behaviours)


@pytest.mark.parametrize("instrumented", [False, True], ids=["ours", "instrumented"])
def test_a_connection_that_was_idle_for_longer_than_keepalive_is_not_used(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, instrumented: bool
) -> None:
    """Also when something like OpenTelemetry has wrapped httpx, which would keep it for 5 s."""
    if instrumented:
        for kind, method in (
            (httpx.HTTPTransport, "handle_request"),
            (httpx.AsyncHTTPTransport, "handle_async_request"),
        ):
            monkeypatch.setattr(kind, method, functools.partialmethod(getattr(kind, method)))
    later, monotonic = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + later)
    with (
        Misbehaving() as server,
        counted(server),
        sync_or_async.client("name", "password", base_url=server.base_url, keepalive=2) as modica,
    ):
        for idle in 0.0, 1.0, 3.0, 1.0:
            later += idle
            assert modica.send(NUMBER, "Kia ora").id == str(ID)
    assert server.connections == 2


def test_connections_that_nobody_needs_any_more_are_closed(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst leaves many; one call after another uses the last, and the others grow old."""
    later, monotonic = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + later)
    together = threading.Barrier(3)

    def in_step(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            if request.json["content"] == "burst":
                together.wait()
            peer.send(peer.act(request))

    with (
        Misbehaving(in_step) as server,
        sync_or_async.client("name", "password", base_url=server.base_url, keepalive=2) as modica,
    ):
        if sync_or_async.is_async:

            async def burst() -> None:
                await asyncio.gather(*(modica.client.send(NUMBER, "burst") for _ in range(3)))

            modica.runner.run(burst())
        else:
            with ThreadPoolExecutor(3) as threads:
                wait([threads.submit(modica.send, NUMBER, "burst") for _ in range(3)])
        for _ in range(3):
            later += 1.5
            modica.send(NUMBER, "one by one")
        # The thread that serves a connection ends with it.
        for thread in server.handlers:
            thread.join(timeout=0.3)
        assert [thread.is_alive() for thread in server.handlers].count(False) == 2
    assert server.connections == 3


# Places


def test_who_waits_too_long_for_a_place_has_not_sent(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "MAX_IN_FLIGHT", 2)
    monkeypatch.setattr(_transport, "PLACE_SECONDS", 0.01)
    let_go = threading.Event()

    def slow(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            let_go.wait()
            peer.send(peer.act(request))

    async def crowd(base_url: str) -> list[Any]:
        async with AsyncModica("name", "password", base_url=base_url) as modica:
            sends = [asyncio.create_task(modica.send(NUMBER, "Kia ora")) for _ in range(3)]
            await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
            let_go.set()
            return await asyncio.gather(*sends, return_exceptions=True)

    def threaded_crowd(base_url: str) -> list[Any]:
        with Modica("name", "password", base_url=base_url) as modica, ThreadPoolExecutor(3) as threads:
            sends = [threads.submit(modica.send, NUMBER, "Kia ora") for _ in range(3)]
            wait(sends, return_when="FIRST_COMPLETED")
            let_go.set()
            return [send.exception() or send.result() for send in sends]

    with Misbehaving(slow) as server:
        outcomes = asyncio.run(crowd(server.base_url)) if sync_or_async.is_async else threaded_crowd(server.base_url)
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert type(refused) is NotSentError
    assert refused.timed_out
    assert "in flight" in str(refused)
    assert (server.acted, server.connections) == (2, 2)


def test_every_place_is_given_back(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(_transport, "PLACE_SECONDS", 0.01)
    with (
        Misbehaving(lambda peer: peer.request(), lambda peer: peer.send(b"nonsense\r\n\r\n"), Peer.serve) as server,
        sync_or_async.client("name", "password", base_url=server.base_url, retry=ONCE) as modica,
    ):
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError):
                modica.send(NUMBER, "Kia ora")
        for _ in range(3):
            modica.send(NUMBER, "Kia ora")


# Closing


def test_a_closed_client_says_so_and_closing_again_does_nothing(sync_or_async: Flavour) -> None:
    with sync_or_async.client("name", "password", base_url="http://127.0.0.1:9") as modica:
        sibling = modica.client.with_options(timeout=1)
        for _ in range(2):
            modica.aclose() if sync_or_async.is_async else modica.close()
        with pytest.raises(ConfigurationError, match="closed"):
            modica.send(NUMBER, "Kia ora")
        with pytest.raises(ConfigurationError, match="closed"):
            Driver(sibling, modica.runner).get(7)


def test_a_call_that_is_in_flight_while_the_client_is_closed_ends_well() -> None:
    asked, closed = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        asked.set()
        closed.wait()
        peer.send(peer.act(request))
        peer.serve()

    with Misbehaving(slow) as server, counted(server), ThreadPoolExecutor(1) as thread:
        modica = Modica("name", "password", base_url=server.base_url)
        sending = thread.submit(modica.send, NUMBER, "Kia ora")
        asked.wait()
        modica.close()
        closed.set()
        assert sending.result().id == str(ID)


# Interruptions


@contextlib.contextmanager
def told_in_the_log(caplog: pytest.LogCaptureFixture, error: str) -> Generator[None]:
    with caplog.at_level(logging.DEBUG, "modica_facade"):
        yield
    known = "a send that was cut off may have gone out (reference 'order-42'); do not repeat it"
    assert [record.getMessage() for record in caplog.records] == [f"{error}: {known}"]


def acting_then_silent(acted: threading.Event) -> Behaviour:
    def behave(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.act(request)
        acted.set()
        peer.stall()

    return behave


def test_a_cancelled_send_says_that_it_may_have_gone_out(caplog: pytest.LogCaptureFixture) -> None:
    acted = threading.Event()

    async def cancel(base_url: str) -> None:
        async with AsyncModica("name", "password", base_url=base_url) as modica:
            task = asyncio.create_task(modica.send(NUMBER, "Kia ora", reference="order-42"))
            await asyncio.to_thread(acted.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as error:
                await task
            assert any("may have gone out" in note for note in error.value.__notes__)
            # The place is free again, and so is the client.
            await modica.send(NUMBER, "Kia ora")

    with (
        Misbehaving(acting_then_silent(acted), Peer.serve) as server,
        counted(server),
        told_in_the_log(caplog, "CancelledError"),
    ):
        asyncio.run(cancel(server.base_url))
    assert server.acted == 2


def test_a_time_out_of_the_callers_own_is_told_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def hurry(base_url: str) -> None:
        async with AsyncModica("name", "password", base_url=base_url) as modica:
            with pytest.raises(TimeoutError) as error:
                async with asyncio.timeout(0.2):
                    await modica.send(NUMBER, "Kia ora", reference="order-42")
            assert any("may have gone out" in note for note in error.value.__cause__.__notes__)  # type: ignore[union-attr]

    with Misbehaving(acting_then_silent(threading.Event())) as server, told_in_the_log(caplog, "CancelledError"):
        asyncio.run(hurry(server.base_url))


def test_a_cancelled_get_or_a_send_that_waits_for_its_turn_has_nothing_to_say(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "MAX_IN_FLIGHT", 1)
    acted = threading.Event()

    async def cancel(base_url: str) -> None:
        async with AsyncModica("name", "password", base_url=base_url) as modica:
            tasks: list[asyncio.Task[Any]] = [asyncio.create_task(modica.get(7))]
            await asyncio.to_thread(acted.wait)
            tasks.append(asyncio.create_task(modica.send(NUMBER, "Kia ora")))
            await asyncio.sleep(0)
            for task in reversed(tasks):
                task.cancel()
                with pytest.raises(asyncio.CancelledError) as error:
                    await task
                assert not hasattr(error.value, "__notes__")

    with caplog.at_level(logging.DEBUG, "modica_facade"), Misbehaving(acting_then_silent(acted)) as server:
        asyncio.run(cancel(server.base_url))
    assert caplog.records == []


class Hesitant(httpx.AsyncByteStream):
    """A body whose closing takes as long as one likes."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield f"[{ID}]".encode()

    async def aclose(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()


def test_a_cancellation_while_the_connection_is_put_away_loses_no_place(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transport, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(_transport, "PLACE_SECONDS", 0.01)

    async def cancel() -> None:
        streams = [Hesitant(), httpx.ByteStream(f"[{ID}]".encode())]

        async def handle(request: httpx.Request) -> httpx.Response:
            # As httpcore does once the body of a request is written
            await request.extensions["trace"]("http11.send_request_body.started", {})
            return httpx.Response(201, stream=streams.pop(0))

        hesitant: Any = streams[0]
        http_client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        async with AsyncModica("name", "password", http_client=http_client) as modica:
            task = asyncio.create_task(modica.send(NUMBER, "Kia ora", reference="order-42"))
            await hesitant.closing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as error:
                await task
            assert any("may have gone out" in note for note in error.value.__notes__)
            assert (await modica.send(NUMBER, "Kia ora")).id == str(ID)

    with told_in_the_log(caplog, "CancelledError"):
        asyncio.run(cancel())


def test_an_interrupt_from_the_keyboard_says_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.act(request)
        # Ctrl-C, as this process gets it: the main thread is waiting for the answer.
        signal.pthread_kill(main, signal.SIGINT)
        peer.stall()

    with (
        Misbehaving(interrupt, Peer.serve) as server,
        counted(server),
        Modica("name", "password", base_url=server.base_url) as modica,
    ):
        with told_in_the_log(caplog, "KeyboardInterrupt"), pytest.raises(KeyboardInterrupt) as error:
            modica.send(NUMBER, "Kia ora", reference="order-42")
        assert any("may have gone out" in note for note in error.value.__notes__)
        modica.send(NUMBER, "Kia ora")
    assert server.acted == 2


class SoftTimeLimitError(Exception):
    """What a task queue raises out of a signal handler, wherever the program is just then."""


def test_an_exception_out_of_a_signal_handler_ends_the_call_and_is_its_cause() -> None:
    main = threading.main_thread().ident
    assert main is not None

    def raise_limit(*_: object) -> None:
        raise SoftTimeLimitError

    def ring(peer: Peer) -> None:
        if peer.request() is not None:
            signal.pthread_kill(main, signal.SIGUSR1)
            peer.stall()

    before = signal.signal(signal.SIGUSR1, raise_limit)
    try:
        with (
            Misbehaving(ring) as server,
            Modica("name", "password", base_url=server.base_url) as modica,
        ):
            with pytest.raises(TransportError) as found:
                modica.get(7)
            with pytest.raises(OutcomeUnknownError) as sent:
                modica.send(NUMBER, "Kia ora")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert isinstance(found.value.__cause__, SoftTimeLimitError)
    assert isinstance(sent.value.__cause__, SoftTimeLimitError)
    assert len(server.requests) == 2
