"""A canary for a password: it must not turn up in anything that a program shows, stores or passes on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import html
import json
import logging
import pickle
import signal
import ssl
import threading
import traceback
import types
import urllib.parse
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    BroadcastInterruptedError,
    ConfigurationError,
    InvalidAttributeError,
    Modica,
    ModicaError,
    ModicaV2,
    RetryPolicy,
)
from modica_facade._transport._httpx import HttpxAttempt

from .conftest import Flavour
from .misbehaving import Behaviour, Misbehaving, Peer, answering, refusing, response, tunnel

PASSWORD = "canary-Pa55word"
TOKEN = base64.b64encode(f"name:{PASSWORD}".encode()).decode()
PROXY_PASSWORD = "parrot-Pa55word"
PROXY_TOKEN = base64.b64encode(f"name:{PROXY_PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, TOKEN, PROXY_PASSWORD, PROXY_TOKEN)
NUMBER, CONTENT = "+64211234567", "Kia ora, a private message"
ONCE = RetryPolicy(attempts=1)
TWICE = RetryPolicy(attempts=2, backoff=0)


def leaks(shown: str) -> list[str]:
    return [secret for secret in SECRETS if secret in shown]


def contents(thing: object, seen: set[int] | None = None) -> Generator[str]:
    """What a tool that dumps objects by their attributes finds, however deep."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | types.ModuleType | types.FunctionType | logging.Logger):
        return
    seen.add(id(thing))
    yield repr(thing)
    inside: list[Any] = []
    if isinstance(thing, dict):
        inside += [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        inside += thing
    elif not isinstance(thing, str | bytes | int | float | None):
        inside += vars(thing).values() if hasattr(thing, "__dict__") else []
        for kind in type(thing).__mro__:
            slots = vars(kind).get("__slots__", ())
            inside += [getattr(thing, name, None) for name in ([slots] if isinstance(slots, str) else slots)]
    for each in inside:
        yield from contents(each, seen)


def everything_about(error: BaseException) -> str:
    """What can be shown of it: message, traceback with the locals of every frame, chain, attributes, pickle."""
    shown = [str(error), repr(error)]
    shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    link: BaseException | None = error
    while link is not None:
        shown += [*contents(link), str(link), *getattr(link, "__notes__", [])]
        link = link.__cause__ or link.__context__
    if isinstance(error, ModicaError):
        data = pickle.dumps(error)
        shown += [data.decode("latin-1"), *contents(pickle.loads(data)), *contents(copy.copy(error))]
    return "\n".join(shown)


@contextlib.contextmanager
def watched(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Our logs show at DEBUG no secret, no number and no text."""
    with caplog.at_level(logging.DEBUG, "modica_facade"):
        yield
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("modica_facade")]
    assert leaks("\n".join(ours)) == []
    assert not [line for line in ours if NUMBER in line or NUMBER[1:] in line or CONTENT in line or "private" in line]


def caught(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


def echo(status: int, content_type: str) -> Behaviour:
    """A page that repeats the request, as debugging proxies and framework error pages do."""

    def behave(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        page = f"{request.headers} PHP_AUTH_PW={PASSWORD}"
        peer.send(response(status, page, {"Content-Type": content_type}))

    return behave


def echo_in_the_head(peer: Peer) -> None:
    request = peer.request()
    assert request is not None
    peer.send(f"HTTP/1.1 200 OK\r\nAuthorization : {request.headers['authorization']}\r\n\r\n".encode())


def echo_in_the_reason(peer: Peer) -> None:
    request = peer.request()
    assert request is not None
    peer.send(f"HTTP/1.1 {request.headers['authorization']}\r\n\r\n".encode())


def resets(peer: Peer) -> None:
    peer.request()
    peer.reset()


BEHAVIOURS: dict[str, Behaviour] = {
    "closes": Peer.request,
    "stalls": Peer.stall,
    "resets": resets,
    "cuts the answer": answering(response(201, b"[", length=9)),
    "says 401": answering(response(401)),
    "says 500": answering(response(500)),
    "redirects": answering(response(307, b"", {"Location": "https://elsewhere.invalid"})),
    "echoes in a 404": echo(404, "text/html"),
    "echoes in a 500": echo(500, "application/json"),
    "echoes in a 200": echo(200, "text/html"),
    "echoes in a 201": echo(201, "text/html"),
    "echoes its credentials in JSON": lambda peer: peer.send(
        response(
            201, {"headers": (request := peer.request()) and request.headers}, {"Content-Type": "application/json"}
        )
    ),
    "echoes in its head": echo_in_the_head,
    "echoes in its status line": echo_in_the_reason,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(Modica, AsyncModica), (ModicaV2, AsyncModicaV2)], ids=["v1", "v2"])
@pytest.mark.parametrize("through", ["our connections", "http_client"])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_no_error_shows_the_password(
    sync_or_async: Flavour, caplog: pytest.LogCaptureFixture, name: str, through: str, kind: Any
) -> None:
    http_client: Any = None
    if through == "http_client":
        http_client = httpx.AsyncClient() if sync_or_async.is_async else httpx.Client()
    with (
        Misbehaving(BEHAVIOURS[name]) as server,
        watched(caplog),
        sync_or_async.client(
            "name",
            PASSWORD,
            kind=kind,
            base_url=server.base_url.replace("gateway", "sms/v2") if kind[0] is ModicaV2 else server.base_url,
            timeout=0.05 if name == "stalls" else 30,
            retry=TWICE,
            http_client=http_client,
        ) as modica,
    ):
        for act in (lambda: modica.send(NUMBER, CONTENT, reference="order-42"), lambda: modica.get(_an_id(kind))):
            error = caught(act)
            assert isinstance(error, ModicaError)
            assert leaks(everything_about(error)) == []
        if http_client is not None and sync_or_async.is_async:
            modica.runner.run(http_client.aclose())
    if http_client is not None and not sync_or_async.is_async:
        http_client.close()


def _an_id(kind: Any) -> str:
    return "7" if kind[0] is Modica else "00000000-0000-4000-8000-000000000007"


@pytest.mark.parametrize(
    "escape",
    [
        lambda text: json.dumps(text)[1:-1].replace("/", r"\/").replace("+", r"\u002B"),
        lambda text: json.dumps(text)[1:-1].replace("/", r"\u002f").replace('\\"', r"\u0022"),
        html.escape,
        lambda text: html.escape(text).replace("/", "&#x2F;").replace("+", "&#43;").replace("=", "&#61;"),
        urllib.parse.quote,
    ],
    ids=["PHP, .NET", "other JSON", "HTML", "strict HTML", "URL"],
)
@pytest.mark.parametrize("password", ['can"ary>>pass??wörd~', "canary-\N{SNAKE}-<&>"])
def test_no_escape_hides_the_password_from_us(
    sync_or_async: Flavour, escape: Callable[[str], str], password: str
) -> None:
    """What a page says is read as JSON later, which would restore it."""
    token = base64.b64encode(f"name:{password}".encode()).decode()
    body = f'{{"error": "invalid_attrib", "error-desc": "{escape(token)} {escape(password)}"}}'
    with (
        Misbehaving(answering(response(400, body, {"Content-Type": "application/json"}))) as server,
        sync_or_async.client("name", password, base_url=server.base_url) as modica,
    ):
        error = caught(lambda: modica.send(NUMBER, CONTENT))
    assert isinstance(error, InvalidAttributeError)
    assert error.descriptions == ("[redacted] [redacted]",)
    assert error.body == '{"error": "invalid_attrib", "error-desc": "[redacted] [redacted]"}'


def test_no_bulk_error_shows_the_password(sync_or_async: Flavour, caplog: pytest.LogCaptureFixture) -> None:
    with (
        Misbehaving(answering(response(500))) as server,
        watched(caplog),
        sync_or_async.client("name", PASSWORD, base_url=server.base_url, retry=ONCE) as modica,
    ):
        error = caught(lambda: list(modica.broadcast_many([NUMBER], CONTENT)))
    assert isinstance(error, BroadcastInterruptedError)
    assert leaks(everything_about(error)) == []


def test_a_refused_connection_or_certificate_does_not_show_the_password(
    sync_or_async: Flavour, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with refusing() as closed, Misbehaving(tls=context, host="localhost") as server, watched(caplog):
        for url in closed, server.base_url:
            with sync_or_async.client("name", PASSWORD, base_url=url, retry=ONCE) as modica:
                error = caught(lambda: modica.send(NUMBER, CONTENT))
                assert leaks(everything_about(error)) == []


def test_a_header_that_cannot_be_sent_is_not_repeated(sync_or_async: Flavour, caplog: pytest.LogCaptureFixture) -> None:
    """h11 repeats it in its message; the caller's own client may bring one that holds a secret of ours."""
    kwargs: Any = {"headers": {"X-Copy": f"{TOKEN}\n"}}
    http_client: Any = httpx.AsyncClient(**kwargs) if sync_or_async.is_async else httpx.Client(**kwargs)
    with (
        Misbehaving() as server,
        watched(caplog),
        sync_or_async.client("name", PASSWORD, base_url=server.base_url, http_client=http_client) as modica,
    ):
        error = caught(lambda: modica.send(NUMBER, CONTENT))
        assert leaks(everything_about(error)) == []
        if sync_or_async.is_async:
            modica.runner.run(http_client.aclose())
    if not sync_or_async.is_async:
        http_client.close()
    assert server.requests == []


def test_no_interruption_shows_the_password(sync_or_async: Flavour, caplog: pytest.LogCaptureFixture) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(peer: Peer) -> None:
        peer.request()
        signal.pthread_kill(main, signal.SIGINT)
        peer.stall()

    with Misbehaving(interrupt) as server, watched(caplog):
        for http_client in (None, httpx.AsyncClient() if sync_or_async.is_async else httpx.Client()):
            with sync_or_async.client("name", PASSWORD, base_url=server.base_url, http_client=http_client) as modica:
                error = caught(lambda: modica.send(NUMBER, CONTENT, reference="order-42"))
                assert isinstance(error, KeyboardInterrupt)
                assert leaks(everything_about(error)) == []
                if isinstance(http_client, httpx.AsyncClient):
                    modica.runner.run(http_client.aclose())
            if isinstance(http_client, httpx.Client):
                http_client.close()


def _password() -> str:
    return PASSWORD


@pytest.mark.parametrize("kind", [Modica, AsyncModica, ModicaV2, AsyncModicaV2])
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://gateway.invalid"},
        {"base_url": f"https://name:{PASSWORD}@gateway.invalid"},
        {"keepalive": -1},
        {"timeout": 0},
        {"retry": 4},
        {"http_client": object()},
        {"username": "with:colon"},
        {"username": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
@pytest.mark.parametrize("source", ["argument", "environment"])
def test_a_client_that_cannot_be_made_does_not_show_its_password(
    monkeypatch: pytest.MonkeyPatch, kind: Any, wrong: dict[str, Any], source: str
) -> None:
    def make() -> None:
        if source == "argument":
            kind(**{"username": "name", "base_url": "https://gateway.invalid"} | wrong, password=_password())
        else:
            kind(**{"username": "name", "base_url": "https://gateway.invalid"} | wrong)

    if source == "environment":
        monkeypatch.setenv("MODICA_PASSWORD", PASSWORD)
    error = caught(make)
    assert isinstance(error, ConfigurationError)
    assert leaks(str(error) + repr(error)) == []
    frames = traceback.walk_tb(error.__traceback__)
    ours = [repr(frame.f_locals) for frame, _ in frames if "modica_facade" in frame.f_code.co_filename]
    assert leaks("\n".join(ours)) == []


def test_an_unprintable_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODICA_PASSWORD", f"{PASSWORD}\n")
    error = caught(lambda: Modica("name"))
    assert isinstance(error, ConfigurationError)
    assert leaks(everything_about(error)) == []


def test_no_dump_of_a_client_in_use_shows_the_password(sync_or_async: Flavour) -> None:
    with (
        Misbehaving(Peer.serve) as server,
        sync_or_async.client("name", PASSWORD, base_url=server.base_url) as modica,
    ):
        modica.send(NUMBER, CONTENT)
        client = modica.client
        assert leaks("\n".join(contents(client))) == []
        assert leaks("\n".join(contents(client.with_options(timeout=1)))) == []
        for copied in copy.copy, copy.deepcopy, pickle.dumps:
            with pytest.raises(TypeError, match="holds a password"):
                copied(client)


def test_the_password_of_a_proxy_is_kept_as_well(
    sync_or_async: Flavour, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echoing(peer: Peer) -> None:
        head = peer.head()
        assert head is not None
        peer.send(b"HTTP/1.1 407 " + head.partition(b"Proxy-Authorization: ")[2].partition(b"\r")[0] + b"\r\n\r\n")

    for behaviour in answering(response(407)), Peer.stall, echoing:
        with Misbehaving(behaviour) as proxy, watched(caplog):
            monkeypatch.setenv("HTTPS_PROXY", f"http://name:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
            with sync_or_async.client(
                "name", PASSWORD, base_url="https://gateway.invalid", timeout=0.05, retry=ONCE
            ) as modica:
                error = caught(lambda: modica.send(NUMBER, CONTENT))
                assert leaks(everything_about(error)) == []
                assert leaks("\n".join(contents(modica.client))) == []


@pytest.mark.parametrize(
    "url", [f"ftp://name:{PROXY_PASSWORD}@proxy.invalid", f"http://name:{PROXY_PASSWORD}@proxy:port"]
)
def test_a_proxy_that_cannot_be_used_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    del url
    error = caught(lambda: Modica("name", _password(), base_url="https://gateway.invalid"))
    assert isinstance(error, ConfigurationError)
    assert leaks(everything_about(error)) == []


def test_tls_keys_are_written_nowhere(sync_or_async: Flavour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSLKEYLOGFILE lets whoever can read a file read every message and credential on the wire."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "gateway.invalid").configure_cert(context)
    with Misbehaving(tls=context, host="localhost") as server:
        with sync_or_async.client("name", PASSWORD, base_url=server.base_url) as modica:
            modica.send(NUMBER, CONTENT)
        # The same through a proxy that is spoken to in TLS itself
        with Misbehaving(tunnel(server.port), tls=context) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"https://name:{PROXY_PASSWORD}@localhost:{proxy.port}")
            with sync_or_async.client("name", PASSWORD, base_url="https://gateway.invalid/rest/gateway") as modica:
                modica.send(NUMBER, CONTENT)
    assert server.acted == 2
    # Python writes a comment into the file when it is told of it, before it can be told otherwise.
    assert all(line.startswith("#") for line in (tmp_path / "keys").read_text().splitlines())


def test_a_repeat_is_logged_without_number_and_text(sync_or_async: Flavour, caplog: pytest.LogCaptureFixture) -> None:
    with (
        Misbehaving(answering(response(429)), Peer.serve) as server,
        watched(caplog),
        sync_or_async.client("name", PASSWORD, base_url=server.base_url, retry=TWICE) as modica,
    ):
        modica.send(NUMBER, CONTENT, reference="order-42")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "modica_facade"]
    assert line == "POST /messages failed (HTTP 429), attempt 1; trying again in 0.00 s"


def test_a_stranger_who_names_our_password_in_a_message_changes_nothing(sync_or_async: Flavour) -> None:
    """A message that is fetched comes as it is stored, even if its text is our password."""
    body = {"id": 7, "source": "2000", "destination": NUMBER, "content": f"is it {PASSWORD}?"}
    with (
        Misbehaving(answering(response(200, body, {"Content-Type": "application/json"}))) as server,
        sync_or_async.client("name", PASSWORD, base_url=server.base_url) as modica,
    ):
        assert modica.get(7).content == f"is it {PASSWORD}?"


def test_credentials_go_to_the_gateway_and_nowhere_else(sync_or_async: Flavour) -> None:
    with Misbehaving() as elsewhere:
        redirect = response(307, b"", {"Location": f"{elsewhere.base_url}/messages"})
        with (
            Misbehaving(answering(redirect)) as server,
            sync_or_async.client("name", PASSWORD, base_url=server.base_url) as modica,
        ):
            caught(lambda: modica.send(NUMBER, CONTENT))
    assert server.requests[0].headers["authorization"] == f"Basic {TOKEN}"
    assert elsewhere.connections == 0


def test_a_cancelled_task_does_not_show_the_password(caplog: pytest.LogCaptureFixture) -> None:
    async def cancel(base_url: str) -> BaseException:
        async with AsyncModica("name", _password(), base_url=base_url) as modica:
            task = asyncio.create_task(modica.send(NUMBER, CONTENT, reference="order-42"))
            await asyncio.to_thread(asked.wait)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return error
        raise AssertionError

    asked = threading.Event()

    def stall(peer: Peer) -> None:
        peer.request()
        asked.set()
        peer.stall()

    with Misbehaving(stall) as server, watched(caplog):
        assert leaks(everything_about(asyncio.run(cancel(server.base_url)))) == []


def frames(error: BaseException) -> list[types.FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def test_a_task_cancelled_in_a_client_of_the_callers_takes_no_request_along() -> None:
    async def cancel(base_url: str) -> BaseException:
        async with (
            httpx.AsyncClient(trust_env=False) as http_client,
            AsyncModica("name", _password(), base_url=base_url, http_client=http_client) as modica,
        ):
            task = asyncio.create_task(modica.send(NUMBER, CONTENT, reference="order-42"))
            await asyncio.to_thread(asked.wait)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return error
        raise AssertionError

    asked = threading.Event()

    def stall(peer: Peer) -> None:
        peer.request()
        asked.set()
        peer.stall()

    with Misbehaving(stall) as server:
        error = asyncio.run(cancel(server.base_url))
    held = [local for frame in frames(error) for local in frame.f_locals.values()]
    assert [each for each in held if isinstance(each, httpx.Request)] == []
    # What the trace has noted leads to the frames of httpcore, which hold the request.
    assert {each.trace.failure for each in held if isinstance(each, HttpxAttempt)} == {None}
    assert [frame.f_code.co_name for frame in frames(error)][:2] == ["cancel", "send"]
    assert "may have gone out" in error.__notes__[0]


def test_what_a_hook_of_the_callers_raises_can_be_traced_to_its_line() -> None:
    def refuse(_: httpx.Request) -> None:
        raise LookupError("no tenant")

    with (
        httpx.Client(trust_env=False, event_hooks={"request": [refuse]}) as http_client,
        Modica("name", _password(), base_url="http://127.0.0.1:9", http_client=http_client) as modica,
    ):
        error = caught(lambda: modica.send(NUMBER, CONTENT))
    assert isinstance(error, LookupError)
    names = [frame.f_code.co_name for frame in frames(error)]
    assert (names[-1], "send" in names) == ("refuse", True)
    modules = {frame.f_globals["__name__"].partition(".")[0] for frame in frames(error)}
    assert modules.isdisjoint({"httpx", "httpcore"})
