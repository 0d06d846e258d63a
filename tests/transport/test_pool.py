"""Connections and slots: who may use one again, that none is left over, and what a fork or another loop gets."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from modica_facade import (
    AsyncModica,
    ConfigurationError,
    Modica,
    ModicaError,
    NotSentError,
    OutcomeUnknownError,
    RetryPolicy,
)
from modica_facade._calls import MAX_IN_FLIGHT
from modica_facade._transport import _async, _pool, _sync

from ..conftest import Driver, Flavour
from ..misbehaving import ID, Misbehaving, Peer, answering, counted, full_backlogs, response

NUMBER = "+64211234567"
ONCE = RetryPolicy(attempts=1)


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


@pytest.mark.parametrize("flavour", ["blocking", "async"])
def test_a_fork_without_a_free_descriptor_takes_no_connection_along(flavour: str) -> None:
    """The parent may have as many files open as it is allowed: nothing can be opened before something is closed."""
    with Misbehaving() as server:
        script = f"""
import asyncio, os, resource, stat
from modica_facade import AsyncModica, Modica
loop = asyncio.new_event_loop()
loop.set_debug(False)  # it would report what is slow
def leads_to():
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return "nothing"
    return "the gateway" if stat.S_ISSOCK(mode) else "a device" if stat.S_ISCHR(mode) else "something else"
if {flavour == "async"}:
    modica = AsyncModica("name", "password", base_url={server.base_url!r}, keepalive=60)
    perform = loop.run_until_complete
else:
    modica = Modica("name", "password", base_url={server.base_url!r}, keepalive=60)
    perform = lambda result: result
perform(modica.send("+64211234567", "parent"))
[connection] = modica._transport._pool._idle
descriptor = connection.sock.fileno()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
assert leads_to() == "the gateway"
child = os.fork()
if child == 0:
    # What asyncio still holds must not become the number of a file that the child opens.
    assert connection.dead and leads_to() == {"a device" if flavour == "async" else "nothing"!r}
for each in taken:
    os.close(each)
if child == 0:
    perform(modica.send("+64211234567", "child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
perform(modica.send("+64211234567", "parent"))
perform(modica.aclose()) if {flavour == "async"} else modica.close()
loop.close()
"""
        assert run(script) == ""
    assert [request.json["content"] for request in server.acted_on] == ["parent", "child", "parent"]
    assert server.connections == 2


def test_a_connection_that_is_forgotten_keeps_its_number() -> None:
    """Also where a lower one is free, which is the one that the next file gets."""
    lower = os.open(os.devnull, os.O_RDONLY)
    ours, peers = socket.socketpair()
    os.close(lower)
    with ours, peers:
        _pool.Connection(ours).forget()
        assert stat.S_ISCHR(os.fstat(ours.fileno()).st_mode)


def test_another_event_loop_starts_without_connections_and_closes_those_of_the_first() -> None:
    with Misbehaving() as server, counted(server), asyncio.Runner() as elsewhere:
        modica = AsyncModica("name", "password", base_url=server.base_url)

        async def use() -> None:
            for _ in range(2):
                await modica.send(NUMBER, "Kia ora")

        async def use_there_and_here() -> None:
            await use()
            await asyncio.to_thread(elsewhere.run, use())
            # Back here the other loop does not run any more: its connections are its own to close.
            await asyncio.sleep(0)

        asyncio.run(use_there_and_here())
        elsewhere.run(modica.aclose())
    assert (server.acted, server.connections) == (4, 2)


@pytest.mark.parametrize("way", ["another loop", "a sibling", "a child"])
def test_a_closed_async_client_stays_closed(way: str) -> None:
    with Misbehaving() as server:
        script = f"""
import asyncio, logging, os
from modica_facade import AsyncModica
logging.getLogger("asyncio").setLevel(logging.ERROR)  # it finds the first look-up slow
modica = AsyncModica("name", "password", base_url={server.base_url!r})
async def use_and_close():
    await modica.send("+64211234567", "Kia ora")
    await modica.aclose()
async def use(client):
    try:
        await client.send("+64211234567", "Kia ora")
    except Exception as error:
        print(error)
asyncio.run(use_and_close())
way = {way!r}
if way == "a child" and (child := os.fork()) > 0:
    assert os.waitpid(child, 0)[1] == 0
else:
    asyncio.run(use(modica.with_options(timeout=5) if way == "a sibling" else modica))
"""
        assert run(script) == "this client, or the http_client it was given, was closed; make a new one\n"
    assert server.acted == 1


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(("instrumented", "connections"), [(False, 2), (True, 4)], ids=["ours", "instrumented"])
def test_a_connection_that_was_idle_for_longer_than_keepalive_is_not_used(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, instrumented: bool, connections: int
) -> None:
    """When something like OpenTelemetry has wrapped httpx, which would keep it for 5 s, none is used twice."""
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
    assert server.connections == connections


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


# Slots


def test_a_call_that_waits_too_long_for_a_slot_was_not_sent(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", 2)
    monkeypatch.setattr(_async if sync_or_async.is_async else _sync, "POOL_TIMEOUT", 0.01)
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
            outcomes = [send.exception() or send.result() for send in sends]
        # Otherwise every call would go on leaving a hint for nobody.
        assert modica._transport._waiting == set()
        return outcomes

    with Misbehaving(slow) as server:
        outcomes = asyncio.run(crowd(server.base_url)) if sync_or_async.is_async else threaded_crowd(server.base_url)
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert type(refused) is NotSentError
    assert refused.timed_out
    assert "in flight" in str(refused)
    assert (server.acted, server.connections) == (2, 2)


def test_every_slot_is_freed(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(_async if sync_or_async.is_async else _sync, "POOL_TIMEOUT", 0.01)
    with (
        Misbehaving(lambda peer: peer.request(), answering(b"nonsense\r\n\r\n"), Peer.serve) as server,
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


def test_waiting_for_a_slot_or_a_connection_ends_at_the_deadline(
    sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long either may take by itself."""
    retry = RetryPolicy(attempts=3, backoff=0, deadline=0.2)
    _, (host, *_), sockets = full_backlogs(1)
    base_url = f"http://{host}:{sockets[0].getsockname()[1]}/rest/gateway"
    with sync_or_async.client("name", "password", base_url=base_url, retry=retry) as modica:
        for most in 100, 0:
            monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", most)
            with pytest.raises(NotSentError, match="deadline") as error:
                modica.send(NUMBER, "Kia ora")
            assert error.value.timed_out
    for each in sockets:
        each.close()


def test_an_async_connection_in_use_while_the_client_is_closed_is_closed_after_its_call() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        asked.set()
        go_on.wait()
        peer.send(peer.act(request))
        peer.serve()

    async def close_meanwhile(base_url: str) -> str:
        modica = AsyncModica("name", "password", base_url=base_url)
        sending = asyncio.create_task(modica.send(NUMBER, "Kia ora"))
        await asyncio.to_thread(asked.wait)
        await modica.aclose()
        go_on.set()
        return (await sending).id

    with Misbehaving(slow) as server, counted(server):
        assert asyncio.run(close_meanwhile(server.base_url)) == str(ID)
