"""Whatever interrupts a call passes as itself, says what is known of the send, and leaves everything as it was."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Generator
from typing import Any

import httpx
import pytest

from modica_facade import AsyncModica, Modica
from modica_facade._transport import _async, _pool

from ..misbehaving import ID, Behaviour, Misbehaving, Peer, counted

NUMBER = "+64211234567"


@contextlib.contextmanager
def told_in_the_log(
    caplog: pytest.LogCaptureFixture, error: str, known: str = "may have gone out (reference 'order-42')"
) -> Generator[None]:
    with caplog.at_level(logging.DEBUG, "modica_facade"):
        yield
    expected = f"{error}: a send that was cut off {known}; do not repeat it"
    assert [record.getMessage() for record in caplog.records] == [expected]


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
    monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", 1)
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
    monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(_async, "POOL_TIMEOUT", 0.01)

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
            assert any(f"was accepted (id {ID}" in note for note in error.value.__notes__)
            assert (await modica.send(NUMBER, "Kia ora")).id == str(ID)

    with told_in_the_log(caplog, "CancelledError", f"was accepted (id {ID}, reference 'order-42')"):
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


def test_a_time_limit_out_of_a_signal_handler_ends_the_call_as_itself(caplog: pytest.LogCaptureFixture) -> None:
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
            counted(server),
            Modica("name", "password", base_url=server.base_url) as modica,
        ):
            with pytest.raises(SoftTimeLimitError) as found:
                modica.get(7)
            assert not hasattr(found.value, "__notes__")
            with told_in_the_log(caplog, "SoftTimeLimitError"), pytest.raises(SoftTimeLimitError) as sent:
                modica.send(NUMBER, "Kia ora", reference="order-42")
            assert any("may have gone out" in note for note in sent.value.__notes__)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(server.requests) == 2
