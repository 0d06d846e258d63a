"""Never twice, never lost: every fault, sync and async, for every operation; the server counts what it acted on.

The table is the specification. For a send ``acted`` is 0 or 1, never more; only what was certainly not processed is
tried again.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, NamedTuple

import httpx
import pytest
import trustme

from modica_facade import (
    AsyncModica,
    AsyncModicaV2,
    AuthenticationError,
    BroadcastResult,
    GatewayError,
    Message,
    Modica,
    ModicaError,
    ModicaV2,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
    RetryPolicy,
    ServerError,
    SubmittedMessage,
    TransportError,
    UnexpectedResponseError,
)
from modica_facade._transport import _async_connection, _pool, _sync_connection

from .conftest import Flavour
from .misbehaving import (
    ELSEWHERE,
    ID,
    UUID,
    Behaviour,
    Misbehaving,
    Peer,
    Received,
    answering,
    refusing,
    response,
    server_side,
    tunnel,
)

NUMBERS = ["+64211234567", "+64211234568"]
ATTEMPTS = 3
# Time-outs that elapse are kept short; everything else gets so much time that a busy machine cannot use it up.
SOON, LONG = 0.06, 30.0
RETRY = RetryPolicy(attempts=ATTEMPTS, backoff=0, deadline=LONG)
HASTY = RetryPolicy(attempts=ATTEMPTS, backoff=0, deadline=0.2)

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "send": lambda modica: modica.send(NUMBERS[0], "Kia ora", reference="order-42"),
    "broadcast": lambda modica: modica.broadcast(NUMBERS, "Kia ora", reference="order-42"),
    "get": lambda modica: modica.get(UUID if isinstance(modica.client, ModicaV2 | AsyncModicaV2) else ID),
}
VALUES = {"send": SubmittedMessage, "broadcast": BroadcastResult, "get": Message}


class End(NamedTuple):
    """How a call ends: exactly this class (None: a value), and how many requests the server saw."""

    error: type[ModicaError] | None
    may_have_been_sent: bool = False
    requests: int = 1


class Ends(NamedTuple):
    send: End
    broadcast: End
    get: End


def ends(send: End, get: End, broadcast: End | None = None) -> Ends:
    return Ends(send, broadcast or send, get)


_DONE = End(None)
_UNKNOWN = End(OutcomeUnknownError, True)
_NO_ANSWER = End(TransportError, requests=ATTEMPTS)

DONE = ends(_DONE, _DONE)
LOST = ends(_UNKNOWN, _NO_ANSWER)
# The id of a send is in the Location header as well: a cut body does not lose it.
LOCATED = ends(_DONE, _NO_ANSWER, broadcast=_UNKNOWN)
TOO_LATE = ends(_UNKNOWN, End(TransportError))
ODD = ends(End(UnexpectedResponseError, True), End(UnexpectedResponseError))
REDIRECTED = ends(End(UnexpectedResponseError), End(UnexpectedResponseError))
UNCLEAR = ends(End(GatewayError, True), End(GatewayError))
UNCLEAR_REPEATED = ends(End(GatewayError, True), End(GatewayError, requests=ATTEMPTS))
DOWN = ends(End(ServerError, True), End(ServerError))
DOWN_REPEATED = ends(End(ServerError, True), End(ServerError, requests=ATTEMPTS))


def refused(error: type[ModicaError], requests: int = 1) -> Ends:
    """Not processed; so a send may be repeated, if repeating is any use."""
    return ends(End(error, requests=requests), End(error, requests=requests))


class Fault(NamedTuple):
    name: str
    behaviour: Behaviour
    acted: int  # of a send or broadcast: how many messages go out and are billed
    ends: Ends
    timeout: float = LONG
    retry: RetryPolicy = RETRY


# How servers go wrong


def then(make: Callable[[bytes], bytes], *, acts: bool = True) -> Behaviour:
    """Answers every request with what ``make`` makes of the right answer, after acting or without."""

    def behave(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            right = peer.act(request) if acts else b""
            peer.send(make(right))

    return behave


def answer(
    status: int,
    body: Any = b"",
    headers: dict[str, str] | None = None,
    *,
    acts: bool = False,
    length: int | None = None,
) -> Behaviour:
    return then(lambda _: response(status, body, headers, length=length), acts=acts)


def once(action: Callable[[Peer, Received], object]) -> Behaviour:
    """Reads one request, does something to it, and closes the connection."""

    def behave(peer: Peer) -> None:
        if (request := peer.request()) is not None:
            action(peer, request)

    return behave


def acting(action: Callable[[Peer, bytes], object]) -> Behaviour:
    """Acts on one request, does something with the right answer, and closes the connection."""
    return once(lambda peer, request: action(peer, peer.act(request)))


def split(right: bytes) -> tuple[bytes, bytes]:
    head, gap, body = right.partition(b"\r\n\r\n")
    return head + gap, body


def without_location(right: bytes) -> bytes:
    head, body = split(right)
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Location")) + body


def without_length(right: bytes) -> bytes:
    head, body = split(right)
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")) + body


def chunked(right: bytes) -> bytes:
    head, body = split(without_length(right))
    head = head.replace(b"\r\n", b"\r\nTransfer-Encoding: chunked\r\n", 1)
    return head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def same_status(right: bytes, body: bytes, *, length: int | None = None) -> bytes:
    """Another body, no Location."""
    return response(int(right.split(b" ")[1]), body, length=length)


def first_then_well(data: bytes) -> Behaviour:
    """Answers its first request like this, without acting, and behaves from then on."""

    def behave(peer: Peer) -> None:
        if peer.request() is not None:
            peer.send(data)
            peer.serve()

    return behave


def after_head(action: Callable[[Peer], object]) -> Behaviour:
    """Does something after the head of a request, whose body it never reads, and closes the connection."""

    def behave(peer: Peer) -> None:
        if peer.head() is not None:
            action(peer)

    return behave


def forever(peer: Peer, first: bytes, piece: bytes) -> None:
    peer.send(first)
    while not peer.server.stopping.is_set():
        peer.send(piece)


def send_and_stall(peer: Peer, data: bytes) -> None:
    peer.send(data)
    peer.stall()


BOMB = gzip.compress(bytes(3_000_000))
HTML = "<html><body><h1>It works!</h1></body></html>"
HTML_TYPE = {"Content-Type": "text/html"}


FAULTS = [
    # Connections that break
    Fault("resets after the head of the request", after_head(Peer.reset), 0, LOST),
    Fault("closes without acting", once(lambda peer, _: None), 0, LOST),
    Fault("resets without acting", once(lambda peer, _: peer.reset()), 0, LOST),
    Fault("acts and closes", acting(lambda peer, _: None), 1, LOST),
    Fault("acts and resets", acting(lambda peer, _: peer.reset()), 1, LOST),
    Fault("cuts the status line", acting(lambda peer, right: peer.send(right[:9])), 1, LOST),
    Fault("cuts the head", acting(lambda peer, right: peer.send(right[:60])), 1, LOST),
    Fault("cuts the body", acting(lambda peer, right: peer.send(right[:-3])), 1, LOCATED),
    Fault(
        "cuts the body, and has no Location",
        acting(lambda peer, right: peer.send(without_location(right)[:-3])),
        1,
        LOST,
    ),
    # Silence
    Fault("accepts and stalls", Peer.stall, 0, LOST, SOON),
    Fault("acts and stalls", acting(lambda peer, _: peer.stall()), 1, LOST, SOON),
    Fault(
        "stalls in the head",
        acting(lambda peer, right: send_and_stall(peer, right[:60])),
        1,
        LOST,
        SOON,
    ),
    Fault(
        "stalls in the body",
        acting(lambda peer, right: send_and_stall(peer, right[:-3])),
        1,
        LOCATED,
        SOON,
    ),
    Fault(
        "drips the head",
        acting(lambda peer, right: peer.drip(right)),
        1,
        TOO_LATE,
        retry=HASTY,
    ),
    Fault(
        "drips the body",
        acting(lambda peer, right: peer.drip(same_status(right, b" " * 300 + split(right)[1]))),
        1,
        TOO_LATE,
        retry=HASTY,
    ),
    Fault(
        "says 100 Continue for ever",
        acting(lambda peer, _: peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 99)),
        1,
        TOO_LATE,
        retry=HASTY,
    ),
    Fault(
        "floods with 100 Continue",
        acting(lambda peer, _: peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)),
        1,
        LOST,
    ),
    # Nonsense
    Fault("is no HTTP server", acting(lambda peer, _: peer.send(b"220 mail ESMTP\r\n")), 1, LOST),
    Fault("claims too much", then(lambda right: same_status(right, b"[1", length=99)), 1, LOST, SOON),
    Fault("claims too little", answer(201, b"[123456789]", acts=True, length=3), 1, ODD),
    Fault(
        "has a head without end",
        acting(lambda peer, _: forever(peer, b"HTTP/1.1 201 X\r\nX: ", b"x" * 65536)),
        1,
        LOST,
    ),
    Fault(
        "has a body without end",
        acting(lambda peer, right: forever(peer, same_status(right, b"", length=10**12), b" " * 65536)),
        1,
        LOST,
    ),
    Fault("answers a gzip bomb", answer(201, BOMB, {"Content-Encoding": "gzip"}, acts=True), 1, ODD),
    Fault("answers HTML with 200", answer(200, HTML, HTML_TYPE, acts=True), 1, ODD),
    Fault("answers HTML with 201", answer(201, HTML, HTML_TYPE, acts=True), 1, ODD),
    Fault("answers 201 with nothing", answer(201, acts=True), 1, ODD),
    Fault("answers 202", answer(202, [1], acts=True), 1, ODD),
    Fault("answers 204", answer(204, acts=True, length=-1), 1, ODD),
    Fault("switches protocols", acting(lambda peer, _: peer.send(b"HTTP/1.1 101 Whatever\r\n\r\n")), 1, LOST),
    Fault("answers 999", answer(999, acts=True), 1, ODD),
    # 100 Continue and early hints are no answers
    Fault("says 100 Continue first", then(lambda right: b"HTTP/1.1 100 Continue\r\n\r\n" + right), 1, DONE),
    Fault(
        "gives early hints first", then(lambda right: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + right), 1, DONE
    ),
    # Other ways of being right
    Fault("answers in chunks", then(chunked), 1, DONE),
    Fault("answers with its end as the end", acting(lambda peer, right: peer.send(without_length(right))), 1, DONE),
    Fault("cuts a chunk", acting(lambda peer, right: peer.send(chunked(right)[:-9])), 1, LOCATED),
    # What came is an array or object that parses: no part of one does, so it is whole.
    Fault("cuts the end after the last chunk", acting(lambda peer, right: peer.send(chunked(right)[:-7])), 1, DONE),
    Fault(
        "claims more than the whole",
        acting(lambda peer, right: peer.send(right.replace(b"Length: ", b"Length: 1"))),
        1,
        DONE,
    ),
    Fault("claims two lengths", then(lambda right: right.replace(b"\r\n", b"\r\nContent-Length: 1\r\n", 1)), 1, LOST),
    # Redirects are never followed
    *(
        Fault(f"redirects with {status}", answer(status, b"", {"Location": ELSEWHERE}), 0, REDIRECTED)
        for status in (301, 302, 307, 308)
    ),
    Fault("redirects with 303", answer(303, b"", {"Location": ELSEWHERE}, acts=True), 1, ODD),
    # Errors
    Fault(
        "refuses before it reads the body",
        after_head(lambda peer: peer.send(response(401))),
        0,
        refused(AuthenticationError),
    ),
    Fault("refuses with 401", answer(401), 0, refused(AuthenticationError)),
    Fault("refuses with 400", answer(400, "no"), 0, refused(RejectedError)),
    Fault("refuses with 404 in HTML", answer(404, HTML, HTML_TYPE), 0, refused(NotFoundError)),
    *(Fault(f"answers {status}", answer(status, acts=True), 1, UNCLEAR) for status in (409, 423, 499)),
    Fault("answers 408", answer(408, acts=True), 1, UNCLEAR_REPEATED),
    *(
        Fault(f"answers {status}", answer(status, HTML, HTML_TYPE, acts=True), 1, DOWN_REPEATED)
        for status in (500, 502, 503, 504)
    ),
    *(Fault(f"answers {status}", answer(status, acts=True), 1, DOWN) for status in (501, 505, 520, 599)),
    Fault(
        "answers 503 with Retry-After, after acting",
        answer(503, b"", {"Retry-After": "0"}, acts=True),
        1,
        DOWN_REPEATED,
    ),
    Fault("answers 425", answer(425), 0, refused(GatewayError, ATTEMPTS)),
    Fault("answers 429", answer(429), 0, refused(RateLimitError, ATTEMPTS)),
    Fault(
        "answers 429 and cuts it",
        once(lambda peer, _: peer.send(response(429, b"{", length=9))),
        0,
        refused(RateLimitError, ATTEMPTS),
    ),
]


@contextlib.contextmanager
def facing(
    sync_or_async: Flavour,
    *behaviours: Behaviour,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **options: Any,
) -> Generator[tuple[Misbehaving, Any]]:
    """A server that behaves like this, and a client of it."""
    with Misbehaving(*behaviours, tls=tls, host=host) as server:
        kwargs = {"base_url": server.base_url, "retry": RETRY, **options}
        with sync_or_async.client("name", "password", **kwargs) as modica:
            yield server, modica


def perform(operation: str, modica: Any) -> Any:
    """What became of it: the value, or the exception of the tree; anything else is a failure of the test."""
    try:
        return OPERATIONS[operation](modica)
    except ModicaError as error:
        return error


def check(operation: str, outcome: Any, end: End) -> None:
    kind: Any = type(outcome)
    assert kind is (end.error or VALUES[operation]), repr(outcome)
    if end.error is None:
        return
    assert outcome.may_have_been_sent is end.may_have_been_sent
    assert "\n" not in str(outcome)
    if end.may_have_been_sent:
        assert outcome.reference == "order-42"
        assert "do not send it again" in str(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_call_ends_as_the_table_says_and_no_message_goes_out_twice(
    sync_or_async: Flavour, fault: Fault, operation: str
) -> None:
    with facing(sync_or_async, fault.behaviour, timeout=fault.timeout, retry=fault.retry) as (server, modica):
        outcome = perform(operation, modica)
        requests, acted = max(len(server.requests), server.connections), server.acted
    end: End = getattr(fault.ends, operation)
    check(operation, outcome, end)
    assert requests == end.requests
    if operation != "get":
        assert acted == fault.acted
    if fault.timeout == SOON or fault.retry is HASTY:
        assert getattr(outcome, "timed_out", True)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_rest_v2_ends_the_same(sync_or_async: Flavour, fault: Fault) -> None:
    with Misbehaving(fault.behaviour) as server:
        options = {"base_url": server.v2_base_url, "timeout": fault.timeout, "retry": fault.retry}
        with sync_or_async.client("name", "password", kind=(ModicaV2, AsyncModicaV2), **options) as modica:
            sent = perform("send", modica)
            found = perform("get", modica)
    # The id is in the body alone.
    check("send", sent, _UNKNOWN if fault.ends is LOCATED else fault.ends.send)
    check("get", found, fault.ends.get)
    assert [request.method for request in server.acted_on].count("POST") == fault.acted


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_on_a_connection_that_was_used_before_ends_the_same(sync_or_async: Flavour, fault: Fault) -> None:
    def well_at_first(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.send(peer.act(request))
        fault.behaviour(peer)

    options: dict[str, Any] = {"timeout": fault.timeout, "retry": fault.retry, "keepalive": 60}
    with facing(sync_or_async, well_at_first, fault.behaviour, **options) as (server, modica):
        check("send", perform("send", modica.with_options(retry=RETRY)), End(None))
        outcome = perform("send", modica)
    check("send", outcome, fault.ends.send)
    assert server.acted == 1 + fault.acted


def test_a_refused_connection_is_not_sent(sync_or_async: Flavour) -> None:
    with refusing() as url, sync_or_async.client("name", "password", base_url=url, retry=RETRY) as modica:
        for operation in OPERATIONS:
            check(operation, perform(operation, modica), End(NotSentError))


def test_a_connection_reset_at_once_is_never_taken_for_a_refusal_after_writing(sync_or_async: Flavour) -> None:
    """Which of the two it was is a race between the reset and our writing; neither may be repeated after writing."""
    with facing(sync_or_async, Peer.reset) as (server, modica):
        outcome = perform("send", modica)
    assert type(outcome) in {NotSentError, OutcomeUnknownError}
    # Every attempt but the last was certainly not sent.
    assert 1 <= server.connections <= ATTEMPTS
    if type(outcome) is NotSentError:
        assert server.connections == ATTEMPTS


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_goes_to_the_host_a_redirect_names(sync_or_async: Flavour, status: int, operation: str) -> None:
    with Misbehaving() as elsewhere:
        redirect = answer(status, b"", {"Location": elsewhere.base_url + "/messages"})
        with Misbehaving(redirect) as server, own_http_client(sync_or_async, follow_redirects=True) as theirs:
            for http_client in (None, theirs):
                with sync_or_async.client(
                    "name", "password", base_url=server.base_url, http_client=http_client
                ) as modica:
                    assert type(perform(operation, modica)) is UnexpectedResponseError
        assert len(server.requests) == 2
        assert elsewhere.connections == 0


# What was certainly not processed is tried again, and the message goes out once


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [425, 429])
def test_a_send_is_repeated_after_an_answer_that_says_not_processed(
    sync_or_async: Flavour, status: int, operation: str
) -> None:
    with facing(sync_or_async, first_then_well(response(status)), Peer.serve) as (server, modica):
        check(operation, perform(operation, modica), End(None))
    assert (len(server.requests), server.acted) == (2, 1)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_get_is_repeated_where_a_send_is_not(sync_or_async: Flavour, status: int) -> None:
    busy = once(lambda peer, _: peer.send(response(status, b"", {"Retry-After": "0", "Connection": "close"})))
    for operation, requests in ("get", 2), ("send", 1), ("broadcast", 1):
        with facing(sync_or_async, busy, Peer.serve) as (server, modica):
            perform(operation, modica)
        assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("retry_after", "read"),
    [
        ("0", 0.0),
        (format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True), 0.0),
        *((garbage, None) for garbage in ("", "soon", "-1", "+1", "1.5", "1e3", "inf", "\xb2", "1 2", "2020-01-01")),
    ],
)
def test_a_429_is_repeated_when_its_retry_after_allows_or_is_garbage(
    sync_or_async: Flavour, retry_after: str, read: float | None
) -> None:
    busy = response(429).replace(b"\r\n\r\n", f"\r\nRetry-After: {retry_after}\r\n\r\n".encode("latin-1"))
    with facing(sync_or_async, first_then_well(busy), Peer.serve) as (server, modica):
        assert modica.send(NUMBERS[0], "Kia ora").id == str(ID)
        assert (len(server.requests), server.acted) == (2, 1)
    with facing(sync_or_async, then(lambda _: busy, acts=False), retry=RetryPolicy(attempts=1)) as (server, modica):
        assert perform("send", modica).retry_after == read


@pytest.mark.parametrize(
    "retry_after",
    ["61", "3600", "999999999", "Tue, 31 Dec 2999 23:59:59 GMT"],
)
def test_nobody_waits_for_a_retry_after_beyond_the_cap(sync_or_async: Flavour, retry_after: str) -> None:
    with facing(sync_or_async, answer(429, b"", {"Retry-After": retry_after})) as (server, modica):
        outcome = perform("send", modica)
    assert type(outcome) is RateLimitError
    assert outcome.retry_after is not None
    assert outcome.retry_after > 60
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [425, 429])
def test_a_send_is_repeated_on_a_new_connection_in_case_the_server_hangs_up(
    sync_or_async: Flavour, status: int
) -> None:
    with facing(sync_or_async, answering(response(status)), Peer.serve) as (server, modica):
        assert modica.send(NUMBERS[0], "Kia ora").id == str(ID)
    assert (server.connections, server.acted) == (2, 1)


def test_a_get_is_tried_again_on_a_new_connection_after_a_cut(sync_or_async: Flavour) -> None:
    with facing(sync_or_async, once(lambda peer, _: peer.reset()), Peer.serve) as (server, modica):
        assert modica.get(7).id == "7"
    assert server.connections == 2


# Connections that are used again


def test_a_connection_that_the_server_closed_while_it_was_idle_is_not_used(sync_or_async: Flavour) -> None:
    closed = threading.Event()

    def serve_one(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.send(peer.act(request))
        peer.sock.shutdown(socket.SHUT_WR)
        closed.set()

    with facing(sync_or_async, serve_one) as (server, modica):
        for _ in range(5):
            modica.send(NUMBERS[0], "Kia ora")
            closed.wait()
            closed.clear()
    assert (server.connections, server.acted) == (5, 5)


@pytest.mark.parametrize("farewell", [Peer.reset, lambda peer: None], ids=["resets", "closes"])
def test_a_connection_that_dies_at_the_moment_of_its_second_use_is_an_unknown_outcome(
    sync_or_async: Flavour, farewell: Behaviour
) -> None:
    """To us it looks exactly like a gateway that acted and then died."""

    def serve_one(peer: Peer) -> None:
        for turn in range(2):
            request = peer.request()
            if request is None:
                return
            if turn == 0:
                peer.send(peer.act(request))
        farewell(peer)

    with facing(sync_or_async, serve_one) as (server, modica):
        modica.send(NUMBERS[0], "Kia ora")
        check("send", perform("send", modica), End(OutcomeUnknownError, True))
        assert server.acted == 1
        # A get meets the same fault on the connection it finds, and gets through on a new one.
        modica.send(NUMBERS[0], "Kia ora")
        assert modica.get(7).id == "7"
    assert server.acted == 3


def test_no_request_is_written_on_a_connection_that_has_more_to_say(sync_or_async: Flavour) -> None:
    """A surplus answer would be taken for the answer to the next request."""
    answered, surplus = threading.Event(), threading.Event()

    def talkative(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.send(peer.act(request))
        answered.wait()
        peer.send(response(201, [666]))
        surplus.set()
        peer.serve()

    with facing(sync_or_async, talkative, Peer.serve) as (server, modica):
        modica.send(NUMBERS[0], "Kia ora")
        answered.set()
        surplus.wait()
        assert modica.send(NUMBERS[0], "Kia ora").id == str(ID)
    assert (server.connections, server.acted) == (2, 2)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_an_answer_that_was_there_before_the_request_is_never_taken_for_its_own(
    sync_or_async: Flavour, trusted: trustme.CA, tls: bool
) -> None:
    """It came in one piece with the answer before, so nothing could be seen of it on the socket."""

    def doubled(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        right = peer.act(request)
        peer.send(right + right)
        peer.serve()

    context = server_side(trusted, "localhost") if tls else None
    with facing(sync_or_async, doubled, Peer.serve, tls=context, host="localhost") as (server, modica):
        for _ in range(3):
            assert modica.send(NUMBERS[0], "Kia ora").id == str(ID)
    assert (server.connections, server.acted) == (2, 3)


def test_a_kept_connection_is_used_again_and_keepalive_0_opens_a_new_one(sync_or_async: Flavour) -> None:
    for keepalive, connections in (2.0, 1), (0, 3):
        with facing(sync_or_async, keepalive=keepalive) as (server, modica):
            for operation in OPERATIONS:
                check(operation, perform(operation, modica), End(None))
        assert server.connections == connections


@pytest.mark.parametrize(
    "odd",
    [response(500), response(201, b"[", length=9), b"HTTP/1.1 201 Created\r\n\r\n[1]"],
    ids=["500", "cut", "open end"],
)
def test_a_connection_is_not_used_again_after_anything_odd(sync_or_async: Flavour, odd: bytes) -> None:
    with facing(sync_or_async, once(lambda peer, _: peer.send(odd)), Peer.serve) as (server, modica):
        perform("send", modica)
        assert modica.send(NUMBERS[0], "Kia ora").id == str(ID)
    assert server.connections == 2


# TLS


# Faults that could end otherwise where TLS or a proxy is in between
ON_THE_WAY = {"acts and closes", "acts and resets", "cuts the body", "acts and stalls", "drips the head"}


def https(server: Misbehaving) -> str:
    """The base URL that a plain server does not deserve."""
    return server.base_url.replace("http:", "https:")


def expired(authority: trustme.CA, name: str) -> ssl.SSLContext:
    return server_side(authority, name, not_after=datetime(2020, 1, 1, tzinfo=UTC))


CERTIFICATES: dict[str, Callable[[trustme.CA, str], ssl.SSLContext]] = {
    "wrong name": lambda authority, _: server_side(authority, "elsewhere.invalid"),
    "expired": expired,
    "of an unknown authority": lambda _, name: server_side(trustme.CA(), name),
}


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_nothing_is_sent_to_a_server_with_a_bad_certificate_and_it_is_not_asked_twice(
    sync_or_async: Flavour, trusted: trustme.CA, certificate: str
) -> None:
    with facing(sync_or_async, tls=CERTIFICATES[certificate](trusted, "localhost"), host="localhost") as (
        server,
        modica,
    ):
        for operation in OPERATIONS:
            outcome = perform(operation, modica)
            check(operation, outcome, End(NotSentError))
            assert "certificate" in str(outcome).lower()
            assert ("SSL_CERT_FILE" in str(outcome)) is (certificate == "of an unknown authority")
    assert server.requests == []
    assert server.connections == len(OPERATIONS)


def test_a_server_that_speaks_no_tls_is_told_nothing(sync_or_async: Flavour) -> None:
    plain = Misbehaving(lambda peer: peer.send(response(201, [1])), host="localhost")
    with plain as server, sync_or_async.client("name", "password", base_url=https(server), retry=RETRY) as modica:
        check("send", perform("send", modica), End(NotSentError))
    assert server.requests == []


def test_a_handshake_that_stalls_is_not_sent(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_async_connection if sync_or_async.is_async else _sync_connection, "CONNECT_TIMEOUT", SOON)
    stalling = Misbehaving(Peer.stall, host="localhost")
    with stalling as server, sync_or_async.client("name", "password", base_url=https(server), retry=RETRY) as modica:
        outcome = perform("send", modica)
        check("send", outcome, End(NotSentError))
        assert outcome.timed_out


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if fault.name in ON_THE_WAY],
    ids=lambda fault: fault.name,
)
def test_faults_under_tls_end_as_the_table_says(
    sync_or_async: Flavour, trusted: trustme.CA, fault: Fault, operation: str
) -> None:
    with facing(
        sync_or_async,
        fault.behaviour,
        tls=server_side(trusted, "localhost"),
        host="localhost",
        timeout=fault.timeout,
        retry=fault.retry,
    ) as (server, modica):
        outcome = perform(operation, modica)
    check(operation, outcome, getattr(fault.ends, operation))
    if operation != "get":
        assert server.acted == fault.acted


# Proxies: HTTPS_PROXY, a CONNECT, TLS inside the tunnel


class Proxied(NamedTuple):
    behaviour: Behaviour
    timed_out: bool = False
    timeout: float = LONG
    retry: RetryPolicy = RETRY


def connect(data: bytes) -> Behaviour:
    """A proxy that answers CONNECT with this."""
    return after_head(lambda peer: peer.send(data))


PROXIES = {
    "wants credentials": Proxied(connect(response(407))),
    "cannot connect": Proxied(connect(response(502, HTML, HTML_TYPE))),
    "redirects": Proxied(connect(response(307, b"", {"Location": ELSEWHERE}))),
    "closes": Proxied(lambda peer: peer.head()),
    "resets": Proxied(after_head(Peer.reset)),
    "talks nonsense": Proxied(connect(b"220 mail ESMTP\r\n")),
    "stalls": Proxied(lambda peer: peer.stall(), timed_out=True, timeout=SOON),
    "drips": Proxied(after_head(lambda peer: peer.drip(response(200) * 9)), timed_out=True, retry=HASTY),
    "connects and closes": Proxied(connect(b"HTTP/1.1 200 Connected\r\n\r\n")),
    "connects and talks no TLS": Proxied(connect(b"HTTP/1.1 200 Connected\r\n\r\n" + response(201, [1]))),
}


@contextlib.contextmanager
def behind(
    proxy: Misbehaving,
    sync_or_async: Flavour,
    monkeypatch: pytest.MonkeyPatch,
    timeout: float = LONG,
    retry: RetryPolicy = RETRY,
) -> Generator[Any]:
    """A client that reaches https://gateway.invalid through this proxy only."""
    with proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        url = "https://gateway.invalid/rest/gateway"
        with sync_or_async.client("name", "password", base_url=url, timeout=timeout, retry=retry) as modica:
            yield modica


@pytest.mark.slow
@pytest.mark.parametrize("name", PROXIES)
def test_a_failing_proxy_means_not_sent(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    behaviour, timed_out, timeout, retry = PROXIES[name]
    with behind(Misbehaving(behaviour), sync_or_async, monkeypatch, timeout, retry) as modica:
        for operation in OPERATIONS:
            outcome = perform(operation, modica)
            check(operation, outcome, End(NotSentError))
            assert outcome.timed_out is timed_out


def test_a_refusing_proxy_means_not_sent(sync_or_async: Flavour, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as url:
        monkeypatch.setenv("HTTPS_PROXY", url.removesuffix("/rest/gateway"))
        with sync_or_async.client("name", "password", base_url="https://gateway.invalid/rest", retry=RETRY) as modica:
            check("send", perform("send", modica), End(NotSentError))


def test_tls_failures_inside_a_tunnel_leave_no_slot_taken(
    sync_or_async: Flavour, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpcore's own pool loses a slot for good at each of these."""
    monkeypatch.setattr(_pool, "MAX_IN_FLIGHT", 2)
    bad, good = expired(trusted, "gateway.invalid"), server_side(trusted, "gateway.invalid")
    with Misbehaving(tls=bad) as impostor, Misbehaving(tls=good) as gateway:
        proxy = Misbehaving(*[tunnel(impostor.port)] * 5, tunnel(gateway.port))
        with behind(proxy, sync_or_async, monkeypatch) as modica:
            for _ in range(5):
                check("send", perform("send", modica), End(NotSentError))
            for operation in OPERATIONS:
                check(operation, perform(operation, modica), End(None))
    assert impostor.requests == []
    # A tunnel serves one request.
    assert (gateway.acted, gateway.connections) == (3, 3)


# The same through an http_client of the caller's own, and through a proxy


@contextlib.contextmanager
def own_http_client(sync_or_async: Flavour, **kwargs: Any) -> Generator[Any]:
    """An httpx client as a caller would bring it; closed by us, not by the facade."""
    if sync_or_async.is_async:
        # Its connections are closed with the loop that made them, which the facade's client brings along.
        yield httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0), **kwargs)
        return
    with httpx.Client(trust_env=False, **kwargs) as client:
        yield client


# On a blocking connection that is not ours nothing looks at the clock between the bytes of a head, as documented.
UNBOUNDED = {"drips the head", "says 100 Continue for ever"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "operation", "used_before"),
    [
        ("v1", "send", False),
        ("v1", "send", True),
        ("v1", "broadcast", False),
        ("v1", "get", False),
        ("v2", "send", False),
        ("v2", "get", False),
    ],
)
@pytest.mark.parametrize("way", ["http_client", "proxy"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_way_to_the_gateway_ends_the_same(
    sync_or_async: Flavour,
    trusted: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    way: str,
    version: str,
    operation: str,
    used_before: bool,
) -> None:
    if way == "http_client" and fault.name in UNBOUNDED and not sync_or_async.is_async:
        pytest.skip("documented: a caller's connections are not looked at between two reads")

    def well_at_first(peer: Peer) -> None:
        request = peer.request()
        assert request is not None
        peer.send(peer.act(request))
        fault.behaviour(peer)

    behaviours = [well_at_first, fault.behaviour] if used_before else [fault.behaviour]
    tls = server_side(trusted, "gateway.invalid") if way == "proxy" else None
    kind = (ModicaV2, AsyncModicaV2) if version == "v2" else (Modica, AsyncModica)
    with (
        Misbehaving(*behaviours, tls=tls) as gateway,
        Misbehaving(tunnel(gateway.port)) as proxy,
        own_http_client(sync_or_async) as http_client,
    ):
        # A tunnel and two handshakes take longer than one connection.
        retry = RetryPolicy(attempts=ATTEMPTS, backoff=0, deadline=0.5) if fault.retry is HASTY else fault.retry
        options: dict[str, Any] = {"timeout": fault.timeout, "retry": retry}
        base_url = gateway.v2_base_url if version == "v2" else gateway.base_url
        if way == "proxy":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            base_url = base_url.replace(f"http://127.0.0.1:{gateway.port}", "https://gateway.invalid")
            base_url = base_url.replace(f"https://127.0.0.1:{gateway.port}", "https://gateway.invalid")
        else:
            options["http_client"] = http_client
        with sync_or_async.client("name", "password", kind=kind, base_url=base_url, **options) as modica:
            if used_before:
                check("send", perform("send", modica.with_options(retry=RETRY)), End(None))
            outcome = perform(operation, modica)
    end: End = getattr(fault.ends, operation)
    check(operation, outcome, _UNKNOWN if (version, operation) == ("v2", "send") and fault.ends is LOCATED else end)
    if operation != "get":
        assert gateway.acted == fault.acted + used_before
