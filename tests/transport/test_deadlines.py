"""What is known is not thrown away at a time-out: an answer that has arrived by then is read."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modica_facade import AsyncModica, Modica, ModicaError, NotSentError, OutcomeUnknownError, RetryPolicy
from modica_facade._transport import _sync_connection
from modica_facade._transport._sync_connection import SyncConnection

from ..conftest import Flavour
from ..misbehaving import ID, Misbehaving, Peer, response

NUMBER = "+64211234567"
LIMITS: dict[str, dict[str, Any]] = {
    "deadline": {"retry": RetryPolicy(attempts=1, deadline=0.3)},
    "timeout": {"retry": RetryPolicy(attempts=1), "timeout": 0.3},
}


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_a_busy_event_loop_reads_an_answer_that_came_in_time(loops: str, limit: str) -> None:
    """The loop stands still beyond the limit, and hears of the answer and of the time-out at once."""
    asked, standing_still, answered = threading.Event(), threading.Event(), threading.Event()

    def answer(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        asked.set()
        standing_still.wait()
        peer.send(peer.act(request))
        answered.set()
        peer.stall()

    async def stand_still(modica: AsyncModica) -> str:
        task = asyncio.create_task(modica.send(NUMBER, "Kia ora"))
        await asyncio.to_thread(asked.wait)
        standing_still.set()
        answered.wait()
        # Time passes, here by busy waiting, while the answer lies in the kernel.
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            pass
        return (await task).id

    flavour = Flavour("uvloop" if loops == "uvloop" else "async")
    with (
        Misbehaving(answer) as server,
        flavour.client("name", "password", base_url=server.base_url, **LIMITS[limit]) as modica,
    ):
        assert modica.runner.run(stand_still(modica.client)) == str(ID)


@pytest.mark.slow
@pytest.mark.parametrize("client", ["Modica", "AsyncModica"])
def test_a_process_that_was_stopped_reads_an_answer_that_came_in_time(client: str) -> None:
    stopped, go_on = threading.Event(), threading.Event()

    def answer(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        peer.send(peer.act(request))
        stopped.set()
        go_on.wait()
        os.kill(process.pid, signal.SIGCONT)
        peer.stall()

    script = """
import asyncio, sys
from modica_facade import AsyncModica, Modica, RetryPolicy
client, base_url = sys.argv[1:]
modica = globals()[client]("name", "password", base_url=base_url, timeout=0.5, retry=RetryPolicy(attempts=1))
async def send():
    return await modica.send("+64211234567", "Kia ora")
print((asyncio.run(send()) if client == "AsyncModica" else modica.send("+64211234567", "Kia ora")).id, flush=True)
import os; os._exit(0)
"""
    with Misbehaving(answer) as server:
        command = [sys.executable, "-c", script, client, server.base_url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stopped.wait()
        # The time-out elapses while the process does not run.
        time.sleep(0.6)
        go_on.set()
        assert process.communicate()[0] == f"{ID}\n"


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIMITS)
def test_silence_ends_at_the_limit(sync_or_async: Flavour, limit: str) -> None:
    with (
        Misbehaving(Peer.stall) as server,
        sync_or_async.client("name", "password", base_url=server.base_url, **LIMITS[limit]) as modica,
        pytest.raises(OutcomeUnknownError) as error,
    ):
        modica.send(NUMBER, "Kia ora", reference="r")
    assert error.value.timed_out
    assert server.connections == 1


# Everything at once


def faulty(chance: random.Random) -> Any:
    """A connection that goes wrong now and then, and otherwise answers with the reference as the id."""

    def behave(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            answer = response(201, [int(request.json["reference"])], {"Content-Type": "application/json"})
            fault = chance.randrange(40)
            if fault == 0:
                return
            if fault == 1:
                peer.send(response(429, b"", {"Retry-After": "0"}))
                continue
            peer.act(request)
            if fault == 2:
                peer.reset()
                return
            if fault == 3:
                peer.send(answer[:-2])
                return
            if fault == 4:
                peer.send(response(503))
                continue
            peer.send(answer + answer if fault == 5 else answer)

    return behave


@pytest.mark.slow
def test_64_threads_or_tasks_under_random_faults_send_nothing_twice_and_lose_nothing(sync_or_async: Flavour) -> None:
    ends: dict[int, str | bool] = {}
    numbers = itertools.count(1000)
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=4, backoff=0.001)}

    def work(modica: Modica) -> None:
        for number in itertools.islice(numbers, 25):
            try:
                ends[number] = modica.send(NUMBER, "Kia ora", reference=str(number)).id
            except ModicaError as error:
                ends[number] = error.may_have_been_sent

    async def work_async(modica: AsyncModica) -> None:
        for number in itertools.islice(numbers, 25):
            try:
                ends[number] = (await modica.send(NUMBER, "Kia ora", reference=str(number))).id
            except ModicaError as error:
                ends[number] = error.may_have_been_sent

    async def all_tasks(base_url: str) -> None:
        async with AsyncModica("name", "password", base_url=base_url, **options) as modica:
            await asyncio.gather(*(work_async(modica) for _ in range(64)))

    def all_threads(base_url: str) -> None:
        with Modica("name", "password", base_url=base_url, **options) as modica, ThreadPoolExecutor(64) as threads:
            for each in [threads.submit(work, modica) for _ in range(64)]:
                each.result()

    with Misbehaving(faulty(random.Random(3))) as server:
        asyncio.run(all_tasks(server.base_url)) if sync_or_async.is_async else all_threads(server.base_url)
    acted = Counter(request.json["reference"] for request in server.acted_on)
    assert len(ends) == 64 * 25
    assert max(acted.values()) == 1
    # An answer too many is noticed unless it comes after the next request: these come with the right one.
    sent = {number: end for number, end in ends.items() if isinstance(end, str)}
    assert sent == {number: str(number) for number in sent if acted[str(number)]}
    assert not [number for number, end in ends.items() if end is False and acted[str(number)]]


def test_a_connection_that_is_begun_after_the_deadline_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(sock: socket.socket, events: int, timeout: float) -> int:
        waited.append(timeout)
        return 0

    monkeypatch.setattr(_sync_connection, "wait", wait)
    late = time.monotonic() - 1
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket() as unconnected,
        pytest.raises(TimeoutError, match="timed out"),
    ):
        SyncConnection(unconnected).connect(listening.getsockname(), late)
    here, there = socket.socketpair()
    here.settimeout(0)
    connection = SyncConnection(here)
    with there, contextlib.closing(connection), pytest.raises(TimeoutError, match="timed out"):
        connection.start_tls(ssl.create_default_context(), "localhost", late)
    assert waited == [0.0, 0.0]


def test_a_handshake_that_is_never_answered_ends_at_the_deadline(sync_or_async: Flavour) -> None:
    """asyncio's own limit for it, a minute, would end it with another error."""
    with (
        Misbehaving(Peer.stall) as server,
        sync_or_async.client(
            "name",
            "password",
            base_url=f"https://127.0.0.1:{server.port}/rest/gateway",
            retry=RetryPolicy(attempts=1, deadline=0.3),
        ) as modica,
        pytest.raises(NotSentError, match="deadline of the call passed") as caught,
    ):
        modica.send(NUMBER, "Kia ora")
    assert type(caught.value.__cause__) is TimeoutError
