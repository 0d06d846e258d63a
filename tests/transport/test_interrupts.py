"""Whatever interrupts a call passes as itself, says what is known of the send, and leaves everything as it was."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import gc
import itertools
import logging
import random
import signal
import ssl
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from typing import Any

import h11
import httpx
import pytest
import trustme

from modica_facade import AsyncModica, Modica, ModicaError, RetryPolicy, _v1
from modica_facade._calls import Call, NoResponse, Response
from modica_facade._transport import _async, _pool, _sync
from modica_facade._transport._endpoint import Endpoint

from ..conftest import Flavour
from ..misbehaving import ID, Behaviour, Misbehaving, Peer, counted, response, server_side
from ..support.alarms import Points

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


# At every instruction


FILES = {str(path) for path in Path(_pool.__file__).parent.glob("*.py")}
BELOW = {str(path) for path in Path(h11.__file__).parent.glob("*.py")} | {ssl.__file__}
INTERRUPTIONS: dict[str, Callable[[], BaseException]] = {
    "an exception": SoftTimeLimitError,
    "TimeoutError": TimeoutError,
    "ECONNRESET": lambda: ConnectionResetError(errno.ECONNRESET, "from a handler"),
    "KeyboardInterrupt": KeyboardInterrupt,
}


def a_call(reference: int) -> Call[Any]:
    return _v1.send(NUMBER, "Kia ora", reference=str(reference))  # type: ignore[call-arg]  # the other options are None


def echo(peer: Peer) -> None:
    """Answers each send with an id that is its reference."""
    while (request := peer.request()) is not None:
        peer.act(request)
        peer.send(response(201, [int(request.json["reference"])], {"Content-Type": "application/json"}))


def an_endpoint(server: Misbehaving) -> Endpoint:
    endpoint = Endpoint(server.base_url, "name", "password", _v1.ACCEPT, 2.0)
    endpoint.prepare()
    return endpoint


def ended(server: Misbehaving) -> None:
    """Wait until every connection has ended: then nothing is under way any more."""
    for thread in server.handlers[-3:]:
        thread.join(0.05)
        if thread.is_alive():
            # Of one that was dropped in the middle the garbage collector has to see to it.
            gc.collect()
            thread.join(10)
            assert not thread.is_alive()


def judge(result: Response | NoResponse | BaseException, error: BaseException, received: bool, logged: bool) -> None:
    """What the gateway has is never called "not sent", and what interrupted passes as itself, saying so."""
    if isinstance(result, NoResponse):
        # An OSError with a number is taken for one of the system's, which is the careful thing to do.
        assert isinstance(error, OSError)
        assert result.may_have_been_sent or not received
    elif isinstance(result, Response):
        assert isinstance(error, OSError)
        assert received
    else:
        assert result is error
        noted = any("may have gone out" in note or "was accepted" in note for note in getattr(error, "__notes__", ()))
        assert noted or not received
        assert logged is noted


@pytest.mark.slow
@pytest.mark.parametrize("used_before", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("interruption", [*INTERRUPTIONS, "an exception below us"])
def test_wherever_a_call_is_interrupted_it_says_what_is_known_and_leaves_all_whole(
    caplog: pytest.LogCaptureFixture, interruption: str, used_before: bool
) -> None:
    # In what we call every seventh point is tried.
    files, step = (FILES | BELOW, 7) if "below" in interruption else (FILES, 1)
    make = INTERRUPTIONS[interruption.removesuffix(" below us")]
    with Misbehaving(echo) as server, Points(files) as points, warnings.catch_warnings():
        # A socket that was just made when the handler raised is closed by the garbage collector, with a warning.
        warnings.simplefilter("ignore", ResourceWarning)
        with contextlib.closing(_sync.Transport(an_endpoint(server))) as transport:
            transport.send_request(a_call(1), 5.0, time.monotonic() + 9)
        for number in itertools.count(1000, step):
            transport = _sync.Transport(an_endpoint(server))
            if used_before:
                transport.send_request(a_call(1), 5.0, time.monotonic() + 9)
            caplog.clear()
            error = make()
            result: Any
            call = a_call(number)
            with points.alarm(number - 999, error):
                try:
                    result = transport.send_request(call, 5.0, time.monotonic() + 9)
                except BaseException as caught:
                    result = caught.with_traceback(None)
            assert not transport._pool.in_flight, points.point
            again = transport.send_request(a_call(7), 5.0, time.monotonic() + 9)
            assert isinstance(again, Response)
            assert again.body == b"[7]", points.point
            transport.close()
            error.__context__ = None
            ended(server)
            if points.point is None:
                break
            judge(
                result, error, str(number) in {each.json["reference"] for each in server.acted_on}, bool(caplog.records)
            )
        gc.collect()
    assert number > 1050


def show(value: object) -> str:
    """As it would be shown, if it can be: an object may be half made."""
    try:
        return repr(value)
    except AttributeError:
        return ""


@pytest.mark.slow
def test_wherever_a_call_is_interrupted_its_frames_show_no_credentials(
    sync_or_async: Flavour, caplog: pytest.LogCaptureFixture
) -> None:
    """Services that collect errors show every frame with its locals. Every second point is tried."""
    # asyncio logs what interrupts its callbacks, frames and all, and pytest would keep that.
    caplog.set_level(logging.CRITICAL, "asyncio")
    password = "canary-Pa55word"
    secrets = [password, base64.b64encode(f"name:{password}".encode()).decode()]
    with Misbehaving(echo) as server, Points(FILES | BELOW) as points, warnings.catch_warnings():
        # What was just made when the handler raised is left to the garbage collector, with a warning.
        warnings.simplefilter("ignore")
        with sync_or_async.client("name", password, base_url=server.base_url) as modica:
            modica._perform(a_call(1))
        for number in itertools.count(1, 2):
            call = a_call(number)
            shown: list[str] = []
            with (
                sync_or_async.client("name", password, base_url=server.base_url, timeout=0.1) as modica,
                points.alarm(number, SoftTimeLimitError()),
                contextlib.suppress(ModicaError),
            ):
                try:
                    modica._perform(call)
                except SoftTimeLimitError as error:
                    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
                    for each in frames:
                        if each.f_code.co_filename != __file__:
                            shown += map(show, each.f_locals.values())
                    del each, error, frames
            assert not [secret for secret in secrets if secret in "".join(shown)], points.point
            if points.point is None:
                break
        gc.collect()
    assert number > 100


@pytest.mark.slow
def test_thousands_of_real_alarms_lose_no_send_no_slot_and_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "modica_facade")

    def ring(*_: object) -> None:
        raise SoftTimeLimitError

    chance = random.Random(7)
    outcomes: dict[int, str] = {}
    before = signal.signal(signal.SIGALRM, ring)
    # An alarm in a callback of the collector, as Hypothesis has one, has nobody to raise to.
    gc.disable()
    with Misbehaving(echo) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        modica = Modica("name", "password", base_url=server.base_url, retry=RetryPolicy(attempts=1))
        modica.send(NUMBER, "Kia ora", reference="1")
        # Seconds that a send takes, as far as is known.
        usual = 0.001
        rung = 0
        try:
            for number in range(1000, 4000):
                started = time.perf_counter()
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, usual))
                        outcomes[number] = modica.send(NUMBER, "Kia ora", reference=str(number)).id
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                    usual += (time.perf_counter() - started - usual) / 10
                except SoftTimeLimitError as error:
                    rung += 1
                    if number not in outcomes:
                        outcomes[number] = " ".join(getattr(error, "__notes__", ["not sent"]))
        finally:
            signal.signal(signal.SIGALRM, before)
            gc.enable()
        assert modica._transport._pool.in_flight == set()
        assert modica.send(NUMBER, "Kia ora", reference="5").id == "5"
        modica.close()
        gc.collect()
        for thread in server.handlers:
            thread.join()
    acted = Counter(request.json["reference"] for request in server.acted_on)
    assert rung > 300
    for number, outcome in outcomes.items():
        assert acted[str(number)] <= 1
        if outcome == "not sent":
            assert acted[str(number)] == 0, number
        elif outcome.isdigit():
            assert (outcome, acted[str(number)]) == (str(number), 1)


# On asyncio


async def finish(task: asyncio.Task[Any]) -> Any:
    """What became of it: a value or an exception."""
    try:
        return await task
    except BaseException as error:
        error.__context__ = None
        return error.with_traceback(None)


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("used_before", [False, True], ids=["fresh", "used"])
def test_a_cancellation_at_any_step_says_what_is_known_and_leaves_all_whole(
    trusted: trustme.CA, used_before: bool, tls: bool
) -> None:
    async def cancel_after(turns: int, modica: AsyncModica) -> Any:
        task = asyncio.create_task(modica.send(NUMBER, "Kia ora", reference=str(turns)))
        for _ in range(turns - 1000):
            await asyncio.sleep(0)
            if task.done():
                return task.result()
        task.cancel()
        return await finish(task)

    async def cancel_everywhere(base_url: str) -> None:
        for turns in itertools.count(1000):
            async with AsyncModica("name", "password", base_url=base_url, retry=RetryPolicy(attempts=1)) as modica:
                if used_before:
                    await modica.send(NUMBER, "Kia ora", reference="1")
                results[turns] = await cancel_after(turns, modica)
                assert (await modica.send(NUMBER, "Kia ora", reference="7")).id == "7"
                assert modica._transport._pool is not None
                assert modica._transport._pool.in_flight == set()
            if not isinstance(results[turns], asyncio.CancelledError):
                return

    results: dict[int, Any] = {}
    context = server_side(trusted, "localhost") if tls else None
    with Misbehaving(echo, tls=context, host="localhost") as server:
        asyncio.run(cancel_everywhere(server.base_url))
    acted = Counter(request.json["reference"] for request in server.acted_on)
    assert len(results) > 3
    for turns, result in results.items():
        assert acted[str(turns)] <= 1
        if isinstance(result, asyncio.CancelledError):
            assert getattr(result, "__notes__", []) or not acted[str(turns)]
        else:
            assert result.id == str(turns)


@pytest.mark.slow
@pytest.mark.parametrize("used_before", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("interruption", ["an exception", "TimeoutError", "ECONNRESET"])
def test_wherever_an_event_loop_is_interrupted_nothing_is_called_not_sent_that_was(
    caplog: pytest.LogCaptureFixture, interruption: str, used_before: bool
) -> None:
    """In a callback asyncio deals with the exception: then the call ends in doubt, by its time-out at the latest."""
    caplog.set_level(logging.CRITICAL)

    async def interrupt(number: int, server: Misbehaving, points: Points) -> Any:
        transport = _async.AsyncTransport(an_endpoint(server))
        if used_before:
            await transport.send_request(a_call(1), 5.0, time.monotonic() + 9)
        call = a_call(number)
        with points.alarm(number - 999, INTERRUPTIONS[interruption]()):
            result = await finish(asyncio.ensure_future(transport.send_request(call, 0.1, time.monotonic() + 9)))
        assert not transport._pool or not transport._pool.in_flight, points.point
        again = await transport.send_request(a_call(7), 5.0, time.monotonic() + 9)
        assert isinstance(again, Response)
        assert again.body == b"[7]", points.point
        await transport.aclose()
        return result

    with Misbehaving(echo) as server, Points(FILES) as points, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(interrupt(1, server, points))
        # Every third point is tried.
        for number in itertools.count(1000, 3):
            result = asyncio.run(interrupt(number, server, points))
            ended(server)
            if points.point is None:
                break
            received = str(number) in {each.json["reference"] for each in server.acted_on}
            if isinstance(result, NoResponse):
                assert result.may_have_been_sent or not received, points.point
            elif isinstance(result, BaseException):
                assert getattr(result, "__notes__", []) or not received, points.point
            else:
                assert received, points.point
    assert number > 1050
