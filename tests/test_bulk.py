"""A bulk send accounts for every destination exactly once, wherever it breaks: submitted, failed, batch or unsent."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import contextlib
import copy
import gc
import importlib
import itertools
import json
import logging
import pickle
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any
from unittest import mock
from uuid import uuid4

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    AuthenticationError,
    BroadcastInterruptedError,
    BroadcastOutcome,
    BroadcastResult,
    InvalidRequestError,
    Modica,
    ModicaError,
    ModicaV2,
    NotSentError,
    OutcomeUnknownError,
    RetryPolicy,
    SubmittedMessage,
    _v2,
)
from modica_facade._bulk import Batch, Bulk

from .conftest import Flavour
from .misbehaving import fail_to_connect
from .support.alarms import Alarm, Points

V1, V2 = (Modica, AsyncModica), (ModicaV2, AsyncModicaV2)
TWICE = RetryPolicy(attempts=2, backoff=0)
NUMBERS = [f"+6421123450{place}" for place in range(10)]
LOGGER = "modica_facade"

# What a gateway can make of a request, and whether it acts on it
ACTS = {"well", "mixed", "shuffled", "partial", "foreign", "html", "down", "lost"}
IDLES = {"refused", "unauthorised", "busy", "away", "unreachable", "unread"}
WELL = {"well", "mixed", "shuffled"}
ALARMS = {"alarm", "late alarm"}


class Gateway:
    """Answers the n-th request as the n-th word of its plan says, and well after that; v1 and v2."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan
        self.acted: list[str] = []
        self.words: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.ids = itertools.count(1)
        self.lock = threading.Lock()

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            word = self.plan[len(self.words)] if len(self.words) < len(self.plan) else "well"
            self.words.append(word)
            body = json.loads(request.content)
            broadcast = request.url.path.endswith("/broadcast")
            destinations = body["destination"] if broadcast else [body["destination"]]
            if word in ACTS or word == "late alarm":
                refused = destinations[1::2] if word == "mixed" and broadcast else []
                self.acted += [each for place, each in enumerate(destinations) if not (refused and place % 2)]
            if word in {"alarm", "late alarm"}:
                raise Alarm
            if word == "unreachable":
                fail_to_connect(request, httpx.ConnectError("no route"))
            if word in {"lost", "unread"}:
                raise httpx.ReadError("reset")
            status = {"refused": 400, "unauthorised": 401, "busy": 429, "away": 502, "down": 500}.get(word)
            if status is not None:
                return httpx.Response(status, json={"error": "invalid_attrib", "error-desc": "no"})
            if word == "html":
                return httpx.Response(201 if "gateway" in str(request.url) else 202, html="<h1>It works!</h1>")
            if not broadcast:
                uuid = f"00000000-0000-4000-8000-{next(self.ids):012d}"
                return httpx.Response(202, json={"id": uuid, "status": "accepted", "detail": ""})
            return httpx.Response(201, json=self.rows(word, destinations))

    def rows(self, word: str, destinations: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [
            {"destination": each, "status": "failure", "message": "no", "id": None}
            if word == "mixed" and place % 2
            else {"destination": each, "status": "success", "message": None, "id": next(self.ids)}
            for place, each in enumerate(destinations)
        ]
        if word == "shuffled":
            rows.reverse()
        if word == "partial":
            for row in rows[::2]:
                row.clear()
        if word == "foreign":
            rows = [{"destination": "+64299999999", "status": "success", "message": None, "id": 1}, *rows[::-1]]
        return rows

    def handle(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return self.answer(request)
        finally:
            with self.lock:
                self.in_flight -= 1

    async def handle_async(self, request: httpx.Request) -> httpx.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            # Answers come in any order.
            for _ in range(len(self.words) * 7 % 5):
                await asyncio.sleep(0)
            return self.answer(request)
        finally:
            self.in_flight -= 1

    def client(self, sync_or_async: Flavour, kind: Any = V1) -> Any:
        return sync_or_async.client(**self.options(sync_or_async.is_async, kind), kind=kind)

    def bare_client(self, *, is_async: bool, kind: Any = V1) -> Any:
        return kind[is_async](**self.options(is_async, kind))

    def options(self, is_async: bool, kind: Any) -> dict[str, Any]:
        if is_async:
            http_client: Any = httpx.AsyncClient(transport=httpx.MockTransport(self.handle_async))
        else:
            http_client = httpx.Client(transport=httpx.MockTransport(self.handle))
        return {
            "username": "name",
            "password": "password",
            "base_url": "https://gateway.invalid" if kind is V1 else "https://v2.invalid",
            "http_client": http_client,
            "retry": TWICE,
        }


class Input:
    """Destinations, counted as they are pulled; may break in the middle."""

    def __init__(self, destinations: list[Any], breaks: bool = False) -> None:
        self.destinations = destinations
        self.breaks = breaks
        self.pulled = 0

    def __iter__(self) -> Iterator[Any]:
        for destination in self.destinations:
            self.pulled += 1
            yield destination
        if self.breaks:
            raise KeyError("the caller's own database")


def drive(outcomes: Iterator[Any]) -> tuple[list[Any], BroadcastInterruptedError | None]:
    """What was yielded, and what stopped it."""
    known: list[Any] = []
    try:
        known.extend(outcomes)
    except BroadcastInterruptedError as error:
        return known, error
    return known, None


async def until_interrupted(outcomes: Any) -> AsyncIterator[Any]:
    with contextlib.suppress(BroadcastInterruptedError):
        async for outcome in outcomes:
            yield outcome


async def list_of(outcomes: Any) -> list[Any]:
    return [outcome async for outcome in outcomes]


def rest_of(error: BroadcastInterruptedError) -> list[Any]:
    """What was never tried; the rest of the input is the caller's own iterator, which may break here as well."""
    rest: list[Any] = []
    with contextlib.suppress(KeyError):
        rest.extend(error.unsent)
    return rest


def in_input_order(part: list[Any], whole: list[Any]) -> bool:
    remaining = iter(whole)
    return all(any(each == other for other in remaining) for each in part)


bulk_plans = st.lists(st.one_of(st.sampled_from(sorted(WELL)), st.sampled_from(sorted(ACTS | IDLES))), max_size=12)
bulk_inputs = st.lists(st.sampled_from(NUMBERS), max_size=40)


@pytest.mark.parametrize("name", ["sync", "async"])
@settings(max_examples=120, deadline=None)
@given(
    plan=bulk_plans,
    destinations=bulk_inputs,
    breaks=st.booleans(),
    bad=st.one_of(st.none(), st.none(), st.integers(0, 39)),
    size=st.integers(1, 12),
    concurrency=st.integers(1, 5),
    kind=st.sampled_from([V1, V2]),
)
@example(plan=["foreign"], destinations=NUMBERS, breaks=False, bad=None, size=4, concurrency=1, kind=V1)
@example(plan=["lost"], destinations=NUMBERS, breaks=True, bad=5, size=4, concurrency=5, kind=V1)
def test_submitted_failed_batch_and_unsent_are_the_input(
    name: str,
    plan: list[str],
    destinations: list[Any],
    breaks: bool,
    bad: int | None,
    size: int,
    concurrency: int,
    kind: Any,
) -> None:
    destinations = list(destinations)
    if bad is not None and bad < len(destinations):
        destinations[bad] = None
    gateway, given_in = Gateway(plan), Input(destinations, breaks)
    with gateway.client(Flavour(name), kind) as modica:
        if kind is V2:
            size = 1
            outcomes = modica.send_many(given_in, "Kia ora", reference="r", concurrency=concurrency)
        elif name == "async":
            outcomes = modica.broadcast_many(
                given_in, "Kia ora", reference="r", batch_size=size, concurrency=concurrency
            )
        else:
            concurrency = 1
            outcomes = modica.broadcast_many(given_in, "Kia ora", reference="r", batch_size=size)
        known, error = drive(outcomes)

    found = [outcome.destination for outcome in known]
    batch, unsent = ([], []) if error is None else (list(error.batch), rest_of(error))
    # Every destination is in one place, no more and no less, and in the order of the input.
    assert Counter(found) + Counter(batch) + Counter(unsent) == Counter(destinations)
    for part in found, batch, unsent:
        assert in_input_order(part, destinations)
    # Nothing went out twice; what went out was yielded, or is in a batch that says so.
    acted = Counter(gateway.acted)
    assert acted <= Counter(destinations)
    submitted = Counter(outcome.destination for outcome in known if outcome.ok)
    assert acted - submitted <= Counter(batch)
    if acted - submitted:
        assert error is not None
        assert error.may_have_been_sent
    assert gateway.most_in_flight <= concurrency
    if error is None:
        assert found == destinations
        assert not breaks
    else:
        assert error.submitted_count == submitted.total()
        assert error.__cause__ is error.cause
        doubtful = {"html", "down", "away", "lost", "unread"} | ({"partial", "foreign"} if kind is V1 else set())
        assert error.may_have_been_sent is bool(set(gateway.words) & doubtful)


END = object()


async def pull(outcomes: Any) -> Any:
    return await anext(outcomes, END) if hasattr(outcomes, "__anext__") else next(outcomes, END)


async def leave(outcomes: Any, how: str, ticks: int) -> list[Any]:
    """What a consumer does who wants no more of it; an outcome that came all the same."""
    is_async = hasattr(outcomes, "__anext__")
    with contextlib.suppress(Alarm, asyncio.CancelledError, BroadcastInterruptedError):
        if how == "close":
            await outcomes.aclose() if is_async else outcomes.close()
        elif how == "throw":
            await outcomes.athrow(Alarm()) if is_async else outcomes.throw(Alarm())
        else:
            task = asyncio.create_task(pull(outcomes))
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            return [await task]
    return []


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@settings(max_examples=120, deadline=None)
@given(
    plan=st.lists(st.sampled_from([*WELL, *ACTS, *IDLES, *ALARMS, *WELL]), max_size=12),
    destinations=bulk_inputs,
    size=st.integers(1, 12),
    concurrency=st.integers(1, 5),
    kind=st.sampled_from([V1, V2]),
    leaves_after=st.one_of(st.none(), st.integers(0, 40)),
    how=st.sampled_from(["close", "throw", "cancel"]),
    ticks=st.integers(0, 30),
)
@example(plan=[], destinations=NUMBERS, size=2, concurrency=3, kind=V1, leaves_after=1, how="cancel", ticks=2).via(
    "asyncio.timeout around one anext"
)
@example(plan=["late alarm"], destinations=NUMBERS, size=1, concurrency=5, kind=V2, leaves_after=None, how="", ticks=0)
def test_whatever_the_consumer_does_the_account_is_exact_for_who_goes_on(
    is_async: bool,
    plan: list[str],
    destinations: list[Any],
    size: int,
    concurrency: int,
    kind: Any,
    leaves_after: int | None,
    how: str,
    ticks: int,
) -> None:
    gateway = Gateway(plan)
    known: list[Any] = []
    options: dict[str, Any] = {"batch_size": size} if kind is V1 else {}
    if is_async or kind is V2:
        options["concurrency"] = concurrency

    async def consume() -> BroadcastInterruptedError | None:
        modica = gateway.bare_client(is_async=is_async, kind=kind)
        method = modica.broadcast_many if kind is V1 else modica.send_many
        outcomes = method(iter(destinations), "Kia ora", reference="r", **options)
        while True:
            if len(known) == leaves_after:
                known.extend(await leave(outcomes, how, ticks))
            try:
                known.append(await pull(outcomes))
            except Alarm as alarm:
                assert "account" in alarm.__notes__[-1]
            except BroadcastInterruptedError as error:
                # Again, and again, and the same.
                for _ in range(2):
                    with pytest.raises(BroadcastInterruptedError) as again:
                        await pull(outcomes)
                    assert again.value is error
                return error
            if END in known:
                assert await pull(outcomes) is END
                return None

    error = asyncio.run(consume())
    known = [outcome for outcome in known if outcome is not END]
    found = [outcome.destination for outcome in known]
    batch, unsent = ([], []) if error is None else (list(error.batch), list(error.unsent))
    assert Counter(found) + Counter(batch) + Counter(unsent) == Counter(destinations)
    for part in found, batch, unsent:
        assert in_input_order(part, destinations)
    acted = Counter(gateway.acted)
    submitted = Counter(outcome.destination for outcome in known if outcome.ok)
    assert acted - submitted <= Counter(batch)
    if acted - submitted:
        assert error is not None
        assert error.may_have_been_sent
    if error is not None:
        assert error.submitted_count == submitted.total()


@pytest.mark.parametrize("kind", [V1, V2], ids=["broadcast_many", "send_many"])
def test_input_is_pulled_as_it_is_needed_and_not_before(sync_or_async: Flavour, kind: Any) -> None:
    gateway, given_in = Gateway([]), Input([*NUMBERS] * 30)
    with gateway.client(sync_or_async, kind) as modica:
        if kind is V2:
            outcomes = modica.send_many(given_in, "Kia ora", concurrency=3)
            ahead = 3
        else:
            outcomes = modica.broadcast_many(given_in, "Kia ora", batch_size=20)
            ahead = 4 * 20 if sync_or_async.is_async else 20
        assert given_in.pulled == 0
        for done, _ in enumerate(outcomes):
            assert given_in.pulled <= done + ahead + 1
    assert given_in.pulled == 300


def test_an_endless_input_is_no_problem(sync_or_async: Flavour) -> None:
    gateway = Gateway(["well"] * 7 + ["away"])
    with gateway.client(sync_or_async) as modica:
        known, error = drive(modica.broadcast_many(itertools.cycle(NUMBERS), "Kia ora", batch_size=5))
    assert error is not None
    assert len(known) >= 35
    assert list(error.batch) == NUMBERS[5:]
    # The rest of the input is not copied: it goes on where the last batch ended.
    rest = list(itertools.islice(error.unsent, 3))
    assert rest in (NUMBERS[:3], NUMBERS[5:8])


@pytest.mark.slow
def test_batches_that_were_yielded_are_forgotten(sync_or_async: Flavour) -> None:
    def batches() -> int:
        return sum(type(each) is Batch for each in gc.get_objects())  # isinstance would wake lazy objects of Django

    gc.collect()
    before = batches()
    with Gateway([]).client(sync_or_async, V2) as modica:
        most = max(batches() for _ in modica.send_many(NUMBERS * 5, "Kia ora", concurrency=2))
    assert most - before <= 4


def test_the_account_can_be_taken_up_again(sync_or_async: Flavour) -> None:
    """The recipe: what was not sent goes on, what may have been sent is left to its receipts."""
    gateway = Gateway(["well", "unreachable", "unreachable", "well", "down", "well"])
    submitted: list[str] = []
    in_doubt: list[str] = []
    waiting: Any = iter([*NUMBERS] * 3)
    with gateway.client(sync_or_async) as modica:
        while True:
            # One batch at a time, so that the plan of the gateway is met in order.
            extra = {"concurrency": 1} if sync_or_async.is_async else {}
            known, error = drive(modica.broadcast_many(waiting, "Kia ora", reference="r", batch_size=7, **extra))
            submitted += [outcome.destination for outcome in known]
            if error is None:
                break
            waiting = error.unsent
            if error.may_have_been_sent:
                in_doubt += error.batch
            else:
                waiting = itertools.chain(error.batch, waiting)
    assert Counter(submitted) + Counter(in_doubt) == Counter(NUMBERS * 3)
    assert Counter(gateway.acted) == Counter(NUMBERS * 3)
    assert len(in_doubt) == 7


def test_a_destination_that_cannot_be_sent_stops_before_its_batch(sync_or_async: Flavour) -> None:
    gateway = Gateway([])
    with gateway.client(sync_or_async) as modica:
        known, error = drive(modica.broadcast_many([*NUMBERS, "", *NUMBERS], "Kia ora", batch_size=5))
    assert [outcome.destination for outcome in known] == NUMBERS
    assert error is not None
    assert isinstance(error.cause, InvalidRequestError)
    assert "destinations[10] is empty" in str(error)
    assert error.may_have_been_sent is False
    assert error.batch == ()
    assert list(error.unsent) == ["", *NUMBERS]


def test_a_batch_that_was_never_tried_is_not_mixed_with_one_in_doubt() -> None:
    """Several batches are in flight when the next one turns out to be impossible."""
    gateway = Gateway(["lost"])
    with gateway.client(Flavour("async")) as modica:
        _, error = drive(modica.broadcast_many([*NUMBERS[:2], None], "Kia ora", batch_size=2))
    assert error is not None
    assert isinstance(error.cause, InvalidRequestError | OutcomeUnknownError)
    assert error.may_have_been_sent is True
    assert ".batch (2 destinations) may have been sent, do not repeat it" in str(error)
    assert error.batch == tuple(NUMBERS[:2])
    assert list(error.unsent) == [None]


def test_the_callers_own_error_is_the_cause_and_loses_nothing(sync_or_async: Flavour) -> None:
    gateway = Gateway([])
    with gateway.client(sync_or_async) as modica:
        known, error = drive(modica.broadcast_many(Input(NUMBERS, breaks=True), "Kia ora", batch_size=4))
    assert len(known) == 8
    assert error is not None
    assert isinstance(error.cause, KeyError)
    assert list(error.unsent) == NUMBERS[8:]
    assert (error.batch, error.may_have_been_sent) == ((), False)
    assert str(error).endswith("stopped after 8 submitted: KeyError; .batch is empty; .unsent was never tried")


@pytest.mark.parametrize("word", ["partial", "foreign"])
def test_what_a_response_that_cannot_be_read_does_tell_is_yielded(sync_or_async: Flavour, word: str) -> None:
    gateway = Gateway([word])
    with gateway.client(sync_or_async) as modica:
        known, error = drive(modica.broadcast_many(NUMBERS[:5], "Kia ora"))
    assert error is not None
    # The row about somebody else has the id of the first: neither is certain.
    certain = {"partial": [NUMBERS[1], NUMBERS[3]], "foreign": NUMBERS[1:5]}[word]
    assert sorted(outcome.destination for outcome in known) == certain
    assert all(outcome.ok for outcome in known)
    assert error.batch == tuple(each for each in NUMBERS[:5] if each not in certain)


class Restless:
    """An iterator that goes on after it has ended or failed, as none should."""

    def __init__(self, ends_with: type[Exception]) -> None:
        self.numbers = itertools.cycle(NUMBERS)
        self.ends_with = ends_with
        self.calls = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.calls += 1
        if self.calls % 5 == 0:
            raise self.ends_with
        return next(self.numbers)


@pytest.mark.parametrize("ends_with", [StopIteration, KeyError])
def test_an_input_that_has_ended_or_failed_is_not_asked_again(
    sync_or_async: Flavour, ends_with: type[Exception]
) -> None:
    gateway, source = Gateway([]), Restless(ends_with)
    with gateway.client(sync_or_async, V2) as modica:
        known, error = drive(modica.send_many(source, "Kia ora", concurrency=3))
    assert [outcome.destination for outcome in known] == NUMBERS[:4]
    assert sorted(gateway.acted) == NUMBERS[:4]
    assert source.calls == 5
    assert (error is None) is (ends_with is StopIteration)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_the_account_survives_copying_and_pickling(again: Callable[[Any], Any]) -> None:
    gateway = Gateway(["well", "lost"])
    with gateway.client(Flavour("sync")) as modica:
        _, error = drive(modica.broadcast_many(NUMBERS, "Kia ora", reference="r", batch_size=3))
    assert error is not None
    copied = again(error)
    assert str(copied) == str(error)
    assert (copied.submitted_count, copied.batch, copied.may_have_been_sent) == (3, tuple(NUMBERS[3:6]), True)
    assert type(copied.cause) is OutcomeUnknownError
    assert copied.cause.reference == "r"
    assert list(copied.unsent) == list(error.unsent) == NUMBERS[6:]


@pytest.mark.parametrize("bad", ["+64211234567", b"+64211234567", None, 7])
def test_one_text_is_no_list_of_destinations(sync_or_async: Flavour, bad: Any) -> None:
    with Gateway([]).client(sync_or_async) as modica, pytest.raises(InvalidRequestError, match="destinations"):
        modica.broadcast_many(bad, "Kia ora")


@pytest.mark.parametrize("bad", [0, 1001, -1, True, 2.0, "10", None])
def test_sizes_are_whole_numbers_within_limits(sync_or_async: Flavour, bad: Any) -> None:
    with Gateway([]).client(sync_or_async) as modica:
        with pytest.raises(InvalidRequestError, match="batch_size"):
            modica.broadcast_many(NUMBERS, "Kia ora", batch_size=bad)
        if sync_or_async.is_async:
            with pytest.raises(InvalidRequestError, match="concurrency"):
                modica.broadcast_many(NUMBERS, "Kia ora", concurrency=bad)


def test_who_leaves_an_async_bulk_early_cancels_it_and_is_told_what_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = Gateway([])

    async def leave() -> list[str]:
        async with gateway.bare_client(is_async=True) as modica:
            outcomes = modica.broadcast_many(NUMBERS, "Kia ora", batch_size=2, concurrency=3)
            async with contextlib.aclosing(outcomes):
                async for _ in outcomes:
                    break
            assert len(asyncio.all_tasks()) == 1
            # One more of the first batch was known; nothing is lost for who goes on.
            known = [outcome.destination async for outcome in until_interrupted(outcomes)]
            assert known == NUMBERS[1:2]
            with pytest.raises(BroadcastInterruptedError) as stop:
                await anext(outcomes)
            assert stop.value.cause is None
            return [*stop.value.batch, "rest", *stop.value.unsent]

    with caplog.at_level(logging.WARNING, LOGGER):
        assert asyncio.run(leave()) == [*NUMBERS[2:6], "rest", *NUMBERS[6:]]
    first, *others = caplog.messages
    assert first.startswith("a bulk send was left early (requests in flight: 2); its iterator yields what is known")
    # Each that was cut off says the same of itself: a mock transport cannot prove that it was not sent.
    assert all(each.startswith("CancelledError: a send that was cut off may have gone out") for each in others)
    assert len(others) <= 2
    assert len(gateway.acted) < len(NUMBERS)


def test_leaving_between_two_batches_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway([])
    with gateway.client(Flavour("sync")) as modica, caplog.at_level(logging.WARNING, LOGGER):
        for _ in modica.broadcast_many(NUMBERS, "Kia ora", batch_size=5):
            break
    assert gateway.acted == NUMBERS[:5]
    assert caplog.records == []


def test_not_sent_stays_not_sent(sync_or_async: Flavour) -> None:
    gateway = Gateway(["unreachable"] * 99)
    with gateway.client(sync_or_async) as modica:
        known, error = drive(modica.broadcast_many(NUMBERS, "Kia ora", batch_size=20))
    assert known == []
    assert error is not None
    assert ".batch (10 destinations) was not sent, it can be repeated" in str(error)
    assert type(error.cause) is NotSentError
    assert (error.may_have_been_sent, error.submitted_count, error.batch) == (False, 0, tuple(NUMBERS))
    assert list(error.unsent) == []
    assert gateway.words == ["unreachable"] * TWICE.attempts


# Laziness


UNUSED = "nothing was sent: a broadcast_many or send_many sends while it is iterated"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kind", [V1, V2], ids=["broadcast_many", "send_many"])
def test_a_bulk_send_that_is_discarded_before_it_is_iterated_warns(is_async: bool, kind: Any) -> None:
    gateway = Gateway([])
    modica = gateway.bare_client(is_async=is_async, kind=kind)
    method = modica.broadcast_many if kind is V1 else modica.send_many
    with pytest.warns(RuntimeWarning, match=UNUSED) as caught:
        method(NUMBERS, "Kia ora")
    assert [(warning.filename, len(caught)) for warning in caught] == [(__file__, 1)]
    assert gateway.words == []


def test_the_warning_stands_on_stderr_of_a_program() -> None:
    program = """
from modica_facade import ModicaV2
modica = ModicaV2("name", "password", base_url="http://127.0.0.1:9/rest/sms/v2")
modica.send_many(["+64211234567"], "Kia ora")
kept_to_the_end = modica.send_many(["+64211234567"], "Kia ora")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.count(f"RuntimeWarning: {UNUSED}") == 2
    assert "<string>:4: RuntimeWarning" in done.stderr


def test_who_iterates_or_was_refused_is_not_warned(sync_or_async: Flavour) -> None:
    with Gateway([]).client(sync_or_async) as modica, warnings.catch_warnings():
        warnings.simplefilter("error")
        for outcomes in modica.broadcast_many(NUMBERS, "Kia ora"), modica.broadcast_many([], "Kia ora"):
            list(outcomes)
        with pytest.raises(InvalidRequestError):
            modica.broadcast_many(NUMBERS[0], "Kia ora")
        gc.collect()


# What stops a bulk send


def test_a_time_limit_around_one_outcome_is_followed_by_the_account() -> None:
    """Not by a normal end, which would read as if everything had been sent."""

    limits: list[asyncio.Timeout] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if b"+64211234503" in request.content:
            limits[0].reschedule(asyncio.get_running_loop().time())
            await asyncio.Event().wait()
        return httpx.Response(202, json={"id": str(uuid4()), "status": "accepted"})

    async def consume() -> None:
        http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        modica = AsyncModicaV2("name", "password", base_url="https://v2.invalid", http_client=http_client)
        outcomes = modica.send_many(NUMBERS, "Kia ora", concurrency=1)
        known = [(await anext(outcomes)).destination for _ in range(3)]
        assert known == NUMBERS[:3]
        limits.append(asyncio.timeout(None))
        with pytest.raises(TimeoutError):
            async with limits[0]:
                await anext(outcomes)
        for go_on in (anext, list_of):
            with pytest.raises(BroadcastInterruptedError, match="stopped after 3 submitted: CancelledError") as stop:
                await go_on(outcomes)
        assert stop.value.batch == (NUMBERS[3],)
        assert stop.value.may_have_been_sent
        assert list(stop.value.unsent) == NUMBERS[4:]
        assert isinstance(stop.value.cause, asyncio.CancelledError)

    asyncio.run(consume())


@pytest.mark.parametrize("exception", [MemoryError, KeyboardInterrupt, TimeoutError, ZeroDivisionError, SystemExit])
@pytest.mark.parametrize("kind", [V1, V2], ids=["broadcast_many", "send_many"])
def test_an_exception_that_is_not_ours_passes_as_itself_and_then_comes_the_account(
    kind: Any, exception: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway([])
    modica = gateway.bare_client(is_async=False, kind=kind)
    perform, calls = modica._perform, itertools.count()

    def fail(call: Any) -> Any:
        result = perform(call)
        if next(calls) == 2:
            raise exception("a time limit of the application")
        return result

    monkeypatch.setattr(modica, "_perform", fail)
    if kind is V1:
        outcomes, size = modica.broadcast_many(iter(NUMBERS), "Kia ora", batch_size=2), 2
    else:
        outcomes, size = modica.send_many(iter(NUMBERS), "Kia ora", concurrency=1), 1
    known = [next(outcomes).destination for _ in range(2 * size)]
    with pytest.raises(exception, match="a time limit") as passed:
        next(outcomes)
    assert passed.value.__notes__ == [f"modica_facade: {caplog.messages[-1]}"]
    with pytest.raises(BroadcastInterruptedError, match=f"{2 * size} submitted: {exception.__name__};") as stop:
        next(outcomes)
    assert known == NUMBERS[: 2 * size]
    assert stop.value.batch == tuple(NUMBERS[2 * size : 3 * size])
    assert list(stop.value.unsent) == NUMBERS[3 * size :]
    assert stop.value.may_have_been_sent
    assert stop.value.cause is stop.value.__cause__ is passed.value


def test_when_one_task_fails_for_a_reason_of_its_own_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway([])

    async def consume() -> None:
        modica = gateway.bare_client(is_async=True, kind=V2)
        perform, calls = modica._perform, itertools.count()

        async def fail(call: Any) -> Any:
            if next(calls) == 0:
                raise MemoryError
            await asyncio.sleep(0)
            return await perform(call)

        monkeypatch.setattr(modica, "_perform", fail)
        outcomes = modica.send_many(NUMBERS, "Kia ora", concurrency=3)
        with pytest.raises(MemoryError):
            await anext(outcomes)
        assert [outcome.destination async for outcome in until_interrupted(outcomes)] == NUMBERS[1:3]
        with pytest.raises(BroadcastInterruptedError) as stop:
            await anext(outcomes)
        assert (stop.value.batch, list(stop.value.unsent)) == (tuple(NUMBERS[:1]), NUMBERS[3:])

    asyncio.run(consume())


@pytest.mark.parametrize("most", [0, 1, 3])
def test_when_no_thread_can_be_started_the_calling_one_sends(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of a container; the end of the main thread is another reason."""
    started = itertools.count()

    def limited(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
        if next(started) >= most:
            raise RuntimeError("can't start new thread")
        # As one that coverage sees.
        threading.Thread(target=function, args=arguments).start()
        return 0

    gateway = Gateway(["well", "refused"])
    with gateway.client(Flavour("sync"), V2) as modica:
        monkeypatch.setattr(_thread, "start_new_thread", limited)
        outcomes = list(modica.send_many(NUMBERS * 3, "Kia ora", concurrency=8))
    assert [outcome.destination for outcome in outcomes] == NUMBERS * 3
    assert len(gateway.acted) == 29
    assert Counter(gateway.acted) == Counter(outcome.destination for outcome in outcomes if outcome.ok)
    assert gateway.most_in_flight <= 8


def test_the_cause_is_the_first_failure_in_the_order_of_the_input(sync_or_async: Flavour) -> None:
    statuses = {NUMBERS[0]: 202, NUMBERS[1]: 401, NUMBERS[2]: 500}

    def answer(request: httpx.Request) -> httpx.Response:
        status = statuses.get(json.loads(request.content)["destination"], 403)
        return httpx.Response(status, json={"id": str(uuid4())})

    transport = httpx.MockTransport(answer)
    http_client = (httpx.AsyncClient if sync_or_async.is_async else httpx.Client)(transport=transport)
    with sync_or_async.client("name", "password", kind=V2, http_client=http_client) as modica:
        known, error = drive(modica.send_many(NUMBERS, "Kia ora", concurrency=4))
    assert [outcome.destination for outcome in known] == NUMBERS[:1]
    assert error is not None
    assert type(error.cause) is AuthenticationError
    assert error.__cause__ is error.cause


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": ["not a number", "nor a name"], "statusCode": 400}, "not a number; nor a name"),
        ({"statusCode": 400}, "400"),
        ({}, "HTTP 400, no reason given; correct the request"),
    ],
)
def test_a_refusal_in_send_many_has_the_reason_of_the_gateway(
    sync_or_async: Flavour, body: dict[str, Any], reason: str
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json=body))
    http_client = (httpx.AsyncClient if sync_or_async.is_async else httpx.Client)(transport=transport)
    with sync_or_async.client("name", "password", kind=V2, http_client=http_client) as modica:
        outcomes = list(modica.send_many(NUMBERS[:2], "Kia ora", concurrency=1))
    assert outcomes == [BroadcastOutcome(number, None, "failure", reason) for number in NUMBERS[:2]]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("thrown", "why"), [(None, "it was closed early"), (ZeroDivisionError(), "ZeroDivisionError")])
def test_what_a_bulk_send_returns_is_used_as_a_generator(is_async: bool, thrown: Exception | None, why: str) -> None:
    gateway = Gateway([])

    async def use() -> None:
        modica = gateway.bare_client(is_async=is_async, kind=V2)
        outcomes = modica.send_many(NUMBERS, "Kia ora", concurrency=1)
        assert isinstance(outcomes, AsyncGenerator if is_async else Generator)
        first = await outcomes.asend(None) if is_async else outcomes.send(None)
        assert first.destination == NUMBERS[0]
        if thrown is None:
            await outcomes.aclose() if is_async else outcomes.close()
        else:
            with pytest.raises(ZeroDivisionError):
                await outcomes.athrow(thrown) if is_async else outcomes.throw(thrown)
        with pytest.raises(BroadcastInterruptedError, match=f"stopped after 1 submitted: {why};") as stop:
            await pull(outcomes)
        assert stop.value.cause is thrown
        assert type(pickle.loads(pickle.dumps(stop.value)).cause) is (type(None) if thrown is None else ModicaError)
        assert stop.value.batch == ()
        assert list(stop.value.unsent) == NUMBERS[1:]
        assert not stop.value.may_have_been_sent

    asyncio.run(use())
    assert gateway.acted == NUMBERS[:1]


@pytest.mark.parametrize("bad", [None, "", " ", 64211234567, b"+64211234567"])
def test_send_many_makes_a_failure_of_a_destination_that_cannot_be_one(sync_or_async: Flavour, bad: Any) -> None:
    gateway = Gateway([])
    with gateway.client(sync_or_async, V2) as modica:
        outcomes = list(modica.send_many([NUMBERS[0], bad, NUMBERS[1]], "Kia ora"))
    assert [(outcome.destination, outcome.ok) for outcome in outcomes] == [
        (NUMBERS[0], True),
        (bad, False),
        (NUMBERS[1], True),
    ]
    assert outcomes[1].status == "failure"
    assert "destination" in outcomes[1].reason
    assert sorted(gateway.acted) == NUMBERS[:2]


def bulk_of_seven(kind: Any) -> tuple[Any, list[str]]:
    """A bulk send without a transport, and the destinations that were acted on."""
    acted: list[str] = []
    ids = itertools.count(1)

    class Client(kind):  # type: ignore[misc]
        def _perform(self, call: Any) -> Any:
            destinations = json.loads(call.body)["destination"]
            if kind is Modica:
                acted.extend(destinations)
                return BroadcastResult(BroadcastOutcome(each, str(next(ids)), "success") for each in destinations)
            acted.append(destinations)
            return SubmittedMessage(str(next(ids)), destinations)

    modica = Client("name", "password")
    if kind is Modica:
        return modica.broadcast_many(iter(NUMBERS[:7]), "Kia ora", batch_size=3), acted
    return modica.send_many(iter(NUMBERS[:7]), "Kia ora", concurrency=2), acted


def check_account(known: list[Any], error: BroadcastInterruptedError | None, acted: list[str]) -> None:
    """Of `bulk_of_seven`, in which everything that is tried is accepted."""
    found = [outcome.destination for outcome in known]
    batch, unsent = ([], []) if error is None else (list(error.batch), list(error.unsent))
    assert sorted(found + batch + unsent) == NUMBERS[:7]
    assert batch + unsent == sorted(batch + unsent)
    assert len(set(acted)) == len(acted)
    assert set(found) <= set(acted) <= {*found, *batch}
    if error is not None:
        assert error.submitted_count == len(found)
        assert error.may_have_been_sent is bool(batch)
        assert type(error.cause) in (Alarm, type(None))


FILES = [importlib.import_module(f"modica_facade.{name}").__file__ for name in ("_bulk", "client._sync")]


@pytest.mark.parametrize("kind", [Modica, ModicaV2])
def test_a_signal_handler_may_raise_at_any_point_and_the_account_is_exact(kind: Any) -> None:
    with Points(FILES) as points:
        assert len(list(bulk_of_seven(kind)[0])) == 7
        for at in itertools.count(1):
            (outcomes, acted), known, error = bulk_of_seven(kind), [], None
            with points.alarm(at, Alarm()):
                while True:
                    try:
                        known.extend(outcomes)
                    except Alarm:
                        continue
                    except BroadcastInterruptedError as stop:
                        error = stop
                    break
            check_account(known, error, acted)
            if points.point is None:
                break
    assert at > 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Modica, ModicaV2])
def test_real_alarms_neither_hang_a_bulk_send_nor_lose_its_account(kind: Any) -> None:
    armed = False
    alarms = 0

    def ring(_signal: int, _frame: object) -> None:
        nonlocal armed, alarms
        if armed:
            armed = False
            alarms += 1
            raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    # Also inside a destructor, which has nobody to raise to.
    with mock.patch.object(sys, "unraisablehook"):
        try:
            for _ in range(20_000):
                outcomes, acted = bulk_of_seven(kind)
                known: list[Any] = []
                error = None
                while True:
                    try:
                        if not known and not armed:
                            armed = True
                            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4))
                        known.extend(outcomes)
                        armed = False
                    except Alarm:
                        continue
                    except BroadcastInterruptedError as stop:
                        error = stop
                    break
                armed = False
                check_account(known, error, acted)
                if alarms >= 1000:
                    break
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert alarms >= 1000


def test_leaving_a_blocking_bulk_early_waits_for_the_sends_in_flight() -> None:
    left, began = threading.Event(), threading.Event()
    answered: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if NUMBERS[1].encode() in request.content:
            began.set()
            left.wait(60)
        answered.append(request.content)
        return httpx.Response(202, json={"id": str(uuid4())})

    modica = ModicaV2("name", "password", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
    outcomes = modica.send_many(NUMBERS, "Kia ora", concurrency=2)
    next(outcomes)
    began.wait(60)
    left.set()
    outcomes.close()
    assert len(answered) == 2
    assert next(outcomes).destination == NUMBERS[1]
    with pytest.raises(BroadcastInterruptedError) as stop:
        next(outcomes)
    assert list(stop.value.unsent) == NUMBERS[2:]


def test_a_bulk_send_that_has_ended_leaves_nothing_for_the_end_of_the_program() -> None:
    with (
        Gateway([]).client(Flavour("sync"), V2) as modica,
        mock.patch.object(atexit, "register") as register,
        mock.patch.object(atexit, "unregister") as unregister,
    ):
        list(modica.send_many(NUMBERS, "Kia ora"))
    assert register.call_count == 1
    assert unregister.call_args_list == register.call_args_list


def test_a_program_that_ends_while_it_holds_the_iterator_cuts_off_no_send() -> None:
    program = """
import threading
import httpx
from modica_facade import ModicaV2

def answer(request):
    if b"+64211234502" in request.content:
        threading.main_thread().join()
        print("answered after the end", flush=True)
    return httpx.Response(202, json={"id": "00000000-0000-4000-8000-000000000000"})

modica = ModicaV2("name", "password", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
outcomes = modica.send_many(["+64211234501", "+64211234502"], "Kia ora", concurrency=2)
print(next(outcomes).destination, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "+64211234501\nanswered after the end\n"


def test_the_context_of_the_program_is_that_of_each_send(sync_or_async: Flavour) -> None:
    """So that a span of OpenTelemetry, say, is the parent of the requests."""
    span: ContextVar[str] = ContextVar("span")
    seen: list[str] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        seen.append(span.get())
        return httpx.Response(202, json={"id": str(uuid4())})

    transport = httpx.MockTransport(answer)
    http_client = (httpx.AsyncClient if sync_or_async.is_async else httpx.Client)(transport=transport)

    def send() -> None:
        span.set("newsletter")
        with sync_or_async.client("name", "password", kind=V2, http_client=http_client) as modica:
            assert len(list(modica.send_many(NUMBERS, "Kia ora", concurrency=3))) == len(NUMBERS)

    copy_context().run(send)
    assert seen == ["newsletter"] * len(NUMBERS)


@pytest.mark.parametrize("kind", [V1, V2], ids=["broadcast_many", "send_many"])
def test_several_threads_may_share_the_iterator(kind: Any) -> None:
    """One at a time; who comes while another is in it is told so, and nothing is lost."""
    gateway = Gateway([])
    found: list[str] = []
    modica = gateway.bare_client(is_async=False, kind=kind)
    method, options = (modica.broadcast_many, {"batch_size": 3}) if kind is V1 else (modica.send_many, {})
    outcomes = method(iter(NUMBERS * 20), "Kia ora", **options)

    def consume() -> None:
        while True:
            try:
                found.append(next(outcomes).destination)
            except StopIteration:
                return
            except ValueError as error:
                assert str(error) == "generator already executing"

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(consume) for _ in range(4)]:
            done.result()
    assert Counter(found) == Counter(gateway.acted) == Counter(NUMBERS * 20)


def test_several_tasks_may_share_the_iterator() -> None:
    gateway = Gateway([])
    found: list[str] = []

    async def consume(outcomes: Any) -> None:
        while True:
            try:
                found.append((await anext(outcomes)).destination)
            except StopAsyncIteration:
                return
            except RuntimeError:
                await asyncio.sleep(0)

    async def share() -> None:
        outcomes = gateway.bare_client(is_async=True, kind=V2).send_many(NUMBERS * 5, "Kia ora", concurrency=3)
        await asyncio.gather(*(consume(outcomes) for _ in range(4)))

    asyncio.run(share())
    assert Counter(found) == Counter(gateway.acted) == Counter(NUMBERS * 5)


def test_a_batch_that_is_pulled_but_not_begun_at_the_end_is_not_begun_after_it() -> None:
    bulk = Bulk(NUMBERS, lambda destinations, _: _v2.sends("Kia ora")(*destinations), 1)
    with contextlib.suppress(Alarm), bulk:
        batch = bulk.next_batch()
        raise Alarm
    assert batch is not None
    assert bulk.start(batch) is None
    with pytest.raises(BroadcastInterruptedError) as stop:
        next(bulk)
    assert (stop.value.batch, list(stop.value.unsent), stop.value.may_have_been_sent) == ((), NUMBERS, False)
